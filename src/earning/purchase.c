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
#include "loyalty.h"

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
	Anum_lines,					/* as pack_lines makes them */
	Natts_purchase = Anum_lines
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

/*
 * Lines
 */

/* Where a line points to values of its own. */
static const size_t line_fields[] = {
	offsetof(PurchaseLine, amount), offsetof(PurchaseLine, quantity),
	offsetof(PurchaseLine, item), offsetof(PurchaseLine, category),
	offsetof(PurchaseLine, channel), offsetof(PurchaseLine, store),
	offsetof(PurchaseLine, currency), offsetof(PurchaseLine, data)
};

static inline struct varlena **
line_field(const PurchaseLine *line, int field)
{
	return (struct varlena **) ((char *) unconstify(PurchaseLine *, line) + line_fields[field]);
}

bool
purchase_line_equal(const PurchaseLine *a, const PurchaseLine *b)
{
	int			field;

	if (a->at != b->at)
		return false;
	for (field = 0; field < lengthof(line_fields); field++)
	{
		struct varlena *x = *line_field(a, field);
		struct varlena *y = *line_field(b, field);

		if (x == NULL || y == NULL)
		{
			if (x != y)
				return false;
		}
		else if (VARSIZE_ANY(x) != VARSIZE_ANY(y) || memcmp(x, y, VARSIZE_ANY(x)) != 0)
			return false;
	}
	return true;
}

/*
 * Lines as one value: for each its time, a byte that tells which fields there
 * are, and these, aligned as varlena are.
 */
static bytea *
pack_lines(int nlines, const PurchaseLine *lines)
{
	Size		size = VARHDRSZ;
	bytea	   *packed;
	char	   *to;
	int			i;
	int			field;

	for (i = 0; i < nlines; i++)
	{
		size += sizeof(TimestampTz) + sizeof(int32);
		for (field = 0; field < lengthof(line_fields); field++)
			if (*line_field(&lines[i], field) != NULL)
				size += INTALIGN(VARSIZE_ANY(*line_field(&lines[i], field)));
	}
	packed = palloc0(size);
	SET_VARSIZE(packed, size);
	to = VARDATA(packed);
	for (i = 0; i < nlines; i++)
	{
		int32		present = 0;

		memcpy(to, &lines[i].at, sizeof(TimestampTz));
		for (field = 0; field < lengthof(line_fields); field++)
			if (*line_field(&lines[i], field) != NULL)
				present |= 1 << field;
		memcpy(to + sizeof(TimestampTz), &present, sizeof(int32));
		to += sizeof(TimestampTz) + sizeof(int32);
		for (field = 0; field < lengthof(line_fields); field++)
		{
			struct varlena *value = *line_field(&lines[i], field);

			if (value == NULL)
				continue;
			memcpy(to, value, VARSIZE_ANY(value));
			to += INTALIGN(VARSIZE_ANY(value));
		}
	}
	return packed;
}

/* The lines again; they point into "packed". */
static PurchaseLine *
unpack_lines(bytea *packed, int *nlines)
{
	char	   *from = VARDATA(packed);
	char	   *end = (char *) packed + VARSIZE(packed);
	int			capacity = 1;
	PurchaseLine *lines = palloc(sizeof(PurchaseLine));
	int			field;

	*nlines = 0;
	while (from < end)
	{
		PurchaseLine *line;
		int32		present;

		if (*nlines == capacity)
		{
			capacity *= 2;
			lines = repalloc(lines, sizeof(PurchaseLine) * capacity);
		}
		line = &lines[(*nlines)++];
		memset(line, 0, sizeof(*line));
		memcpy(&line->at, from, sizeof(TimestampTz));
		memcpy(&present, from + sizeof(TimestampTz), sizeof(int32));
		from += sizeof(TimestampTz) + sizeof(int32);
		for (field = 0; field < lengthof(line_fields); field++)
			if (present & (1 << field))
			{
				*line_field(line, field) = (struct varlena *) from;
				from += INTALIGN(VARSIZE_ANY(from));
			}
	}
	return lines;
}

/*
 * Piles
 */

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
static const ListColumn sort_columns[Natts_purchase] = {
	[Anum_member_id - 1] = {"member_id", INT8OID},
	[Anum_key - 1] = {"key", TEXTOID},
	[Anum_absent - 1] = {"absent", BOOLOID},
	[Anum_ref - 1] = {"ref", TEXTOID},
	[Anum_was_counting - 1] = {"was_counting", BOOLOID},
	[Anum_old_member_id - 1] = {"old_member_id", INT8OID},
	[Anum_old_key - 1] = {"old_key", TEXTOID},
	[Anum_at - 1] = {"at", TIMESTAMPTZOID},
	[Anum_lines - 1] = {"lines", BYTEAOID}
};

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
	nulls[Anum_lines] = purchase->nlines == 0;
	if (purchase->nlines > 0)
		values[Anum_lines] = PointerGetDatum(pack_lines(purchase->nlines, purchase->lines));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(pile->sort, slot);
	ExecClearTuple(slot);
	if (purchase->nlines > 0)
		pfree(DatumGetPointer(values[Anum_lines]));
}

/* They have become many: hand them to tuplesort. */
static void
begin_sort(PurchasePile *pile)
{
	AttrNumber	columns[] = {Anum_member_id, Anum_key, Anum_absent};
	Oid			operators[] = {Int8LessOperator, TextLessOperator, BOOLEAN_LESS_OPERATOR};
	Oid			collations[] = {InvalidOid, C_COLLATION_OID, InvalidOid};
	bool		nulls_first[] = {false, false, false};
	TupleDesc	desc = list_row_type(sort_columns, Natts_purchase);
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
	if (from->nlines > 0)
		to->lines = unpack_lines(pack_lines(from->nlines, from->lines), &to->nlines);
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
	purchase->nlines = 0;
	purchase->lines = NULL;
	/* A copy, since a short value of the sort is not aligned. */
	if (!pile->slot->tts_isnull[Anum_lines - 1])
		purchase->lines = unpack_lines(DatumGetByteaPCopy(values[Anum_lines]), &purchase->nlines);
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
