/*
 * purchase.c
 *		Purchases on their way from rows to the ledger, sorted by member.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#include "earning/purchase.h"

/* Above this many the pile goes through tuplesort, which spills to disk. */
#define MAX_IN_MEMORY 64

/* "<" of boolean, which catalog/pg_operator.h gives no name. */
#define BOOLEAN_LESS_OPERATOR 58

/* Columns of a purchase while it is sorted. */
enum
{
	Anum_member_id = 1,
	Anum_key,
	Anum_absent,				/* NOT counts, so that counting comes first */
	Anum_ref,
	Anum_was_counting,
	Anum_old_member_id,
	Anum_old_key,
	Anum_at,
	Anum_amount,
	Anum_quantity,
	Natts_purchase = Anum_quantity
};

struct PurchasePile
{
	MemoryContext context;
	int			count;
	int			next;
	Purchase	few[MAX_IN_MEMORY];
	Tuplesortstate *sort;		/* NULL while they are few */
	TupleTableSlot *slot;
};

PurchasePile *
purchase_pile_begin(void)
{
	PurchasePile *pile = palloc(sizeof(PurchasePile));

	pile->context = CurrentMemoryContext;
	pile->count = 0;
	pile->next = 0;
	pile->sort = NULL;
	pile->slot = NULL;
	return pile;
}

/* Row type of the sort. */
static TupleDesc
sort_row_type(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(Natts_purchase);

	TupleDescInitEntry(desc, Anum_member_id, "member_id", INT8OID, -1, 0);
	TupleDescInitEntry(desc, Anum_key, "key", TEXTOID, -1, 0);
	TupleDescInitEntry(desc, Anum_absent, "absent", BOOLOID, -1, 0);
	TupleDescInitEntry(desc, Anum_ref, "ref", TEXTOID, -1, 0);
	TupleDescInitEntry(desc, Anum_was_counting, "was_counting", BOOLOID, -1, 0);
	TupleDescInitEntry(desc, Anum_old_member_id, "old_member_id", INT8OID, -1, 0);
	TupleDescInitEntry(desc, Anum_old_key, "old_key", TEXTOID, -1, 0);
	TupleDescInitEntry(desc, Anum_at, "at", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(desc, Anum_amount, "amount", NUMERICOID, -1, 0);
	TupleDescInitEntry(desc, Anum_quantity, "quantity", NUMERICOID, -1, 0);
#if PG_VERSION_NUM >= 190000
	TupleDescFinalize(desc);
#endif
	return desc;
}

static void
put_into_sort(PurchasePile *pile, const Purchase *purchase)
{
	TupleTableSlot *slot = ExecClearTuple(pile->slot);
	Datum	   *values = slot->tts_values - 1;
	bool	   *nulls = slot->tts_isnull - 1;

	memset(slot->tts_isnull, false, Natts_purchase * sizeof(bool));
	values[Anum_member_id] = Int64GetDatum(purchase->member_id);
	values[Anum_key] = PointerGetDatum(purchase->key);
	values[Anum_absent] = BoolGetDatum(!purchase->counts);
	values[Anum_ref] = PointerGetDatum(purchase->ref);
	nulls[Anum_ref] = purchase->ref == NULL;
	values[Anum_was_counting] = BoolGetDatum(purchase->was_counting);
	values[Anum_old_member_id] = Int64GetDatum(purchase->old_member_id);
	values[Anum_old_key] = PointerGetDatum(purchase->old_key);
	nulls[Anum_old_key] = purchase->old_key == NULL;
	values[Anum_at] = TimestampTzGetDatum(purchase->at);
	values[Anum_amount] = PointerGetDatum(purchase->amount);
	nulls[Anum_amount] = purchase->amount == NULL;
	values[Anum_quantity] = PointerGetDatum(purchase->quantity);
	nulls[Anum_quantity] = purchase->quantity == NULL;
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(pile->sort, slot);
}

/* They have become many: hand them to tuplesort. */
static void
begin_sort(PurchasePile *pile)
{
	AttrNumber	columns[] = {Anum_member_id, Anum_key, Anum_absent};
	Oid			operators[] = {Int8LessOperator, TextLessOperator, BOOLEAN_LESS_OPERATOR};
	Oid			collations[] = {InvalidOid, C_COLLATION_OID, InvalidOid};
	bool		nulls_first[] = {false, false, false};
	TupleDesc	desc = sort_row_type();
	int			i;

	pile->sort = tuplesort_begin_heap(desc, 3, columns, operators, collations, nulls_first,
									  work_mem, NULL,
#if PG_VERSION_NUM >= 150000
									  TUPLESORT_NONE
#else
									  false
#endif
		);
	pile->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	for (i = 0; i < pile->count; i++)
		put_into_sort(pile, &pile->few[i]);
}

static void *
copy_varlena(const void *value)
{
	Size		size;
	void	   *copy;

	if (value == NULL)
		return NULL;
	size = VARSIZE_ANY(value);
	copy = palloc(size);
	memcpy(copy, value, size);
	return copy;
}

static void
copy_purchase(Purchase *to, const Purchase *from)
{
	*to = *from;
	to->ref = copy_varlena(from->ref);
	to->key = copy_varlena(from->key);
	to->old_key = copy_varlena(from->old_key);
	to->amount = copy_varlena(from->amount);
	to->quantity = copy_varlena(from->quantity);
}

void
purchase_pile_put(PurchasePile *pile, const Purchase *purchase)
{
	MemoryContext caller = MemoryContextSwitchTo(pile->context);

	if (pile->sort == NULL && pile->count == MAX_IN_MEMORY)
		begin_sort(pile);
	if (pile->sort != NULL)
		put_into_sort(pile, purchase);
	else
		copy_purchase(&pile->few[pile->count], purchase);
	pile->count++;
	MemoryContextSwitchTo(caller);
}

/* The same order as the sort's. */
static int
compare_purchases(const void *a, const void *b)
{
	const Purchase *x = a;
	const Purchase *y = b;
	int			x_length = VARSIZE_ANY_EXHDR(x->key);
	int			y_length = VARSIZE_ANY_EXHDR(y->key);
	int			order;

	if (x->member_id != y->member_id)
		return x->member_id < y->member_id ? -1 : 1;
	order = memcmp(VARDATA_ANY(x->key), VARDATA_ANY(y->key), Min(x_length, y_length));
	if (order != 0)
		return order;
	if (x_length != y_length)
		return x_length < y_length ? -1 : 1;
	return (int) y->counts - (int) x->counts;
}

void
purchase_pile_sort(PurchasePile *pile)
{
	if (pile->sort != NULL)
		tuplesort_performsort(pile->sort);
	else if (pile->count > 1)
		qsort(pile->few, pile->count, sizeof(Purchase), compare_purchases);
}

/* A by-reference column of the slot, copied; NULL for null. */
static void *
copy_column(TupleTableSlot *slot, int attnum)
{
	return slot->tts_isnull[attnum - 1] ? NULL
		: copy_varlena(DatumGetPointer(slot->tts_values[attnum - 1]));
}

bool
purchase_pile_get(PurchasePile *pile, Purchase *purchase)
{
	Datum	   *values;

	if (pile->sort == NULL)
	{
		if (pile->next == pile->count)
			return false;
		*purchase = pile->few[pile->next++];
		return true;
	}

	if (!tuplesort_gettupleslot(pile->sort, true, false, pile->slot, NULL))
		return false;
	slot_getallattrs(pile->slot);
	values = pile->slot->tts_values - 1;
	purchase->member_id = DatumGetInt64(values[Anum_member_id]);
	purchase->key = copy_column(pile->slot, Anum_key);
	purchase->counts = !DatumGetBool(values[Anum_absent]);
	purchase->ref = copy_column(pile->slot, Anum_ref);
	purchase->was_counting = DatumGetBool(values[Anum_was_counting]);
	purchase->old_member_id = DatumGetInt64(values[Anum_old_member_id]);
	purchase->old_key = copy_column(pile->slot, Anum_old_key);
	purchase->at = DatumGetTimestampTz(values[Anum_at]);
	purchase->amount = copy_column(pile->slot, Anum_amount);
	purchase->quantity = copy_column(pile->slot, Anum_quantity);
	return true;
}

void
purchase_pile_end(PurchasePile *pile)
{
	if (pile->sort != NULL)
	{
		ExecDropSingleTupleTableSlot(pile->slot);
		tuplesort_end(pile->sort);
	}
	pfree(pile);
}
