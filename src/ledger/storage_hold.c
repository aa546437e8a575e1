/*
 * storage_hold.c
 *		Rows of hold: found, listed and written.
 *
 * The lock on the member's row guards them.  The table is opened only when it
 * is needed: most members hold nothing.  Reading may happen in a subtransaction
 * that fails, so it opens it for itself.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "ledger/storage_private.h"

/* Columns of hold, in order. */
enum
{
	Anum_hold_member_id = 1,
	Anum_hold_seq,
	Anum_hold_points,
	Anum_hold_captured,
	Anum_hold_made_at,
	Anum_hold_until,
	Anum_hold_ended_at,
	Anum_hold_program_id,
	Anum_hold_status,
	Anum_hold_lots,
	Anum_hold_point_value,
	Anum_hold_amount,
	Anum_hold_purchase,
	Anum_hold_note,
	Natts_hold = Anum_hold_note
};

static const char *const status_names[] = {"active", "captured", "released", "lapsed"};

const char *
store_hold_status(HoldStatus status)
{
	return status_names[status];
}

/* XX001 for a name that is none. */
static HoldStatus
status_from_text(const text *value)
{
	int			i;

	for (i = 0; i < lengthof(status_names); i++)
		if (VARSIZE_ANY_EXHDR(value) == strlen(status_names[i]) &&
			memcmp(VARDATA_ANY(value), status_names[i], strlen(status_names[i])) == 0)
			return (HoldStatus) i;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("status \"%s\" of a hold is not known", text_to_cstring(value))));
}

/* Unpack a row; what it points to is allocated here and now. */
static void
unpack_hold(TupleTableSlot *slot, HoldRow *row)
{
	Datum	   *values;
	bool	   *nulls;

	slot_getallattrs(slot);
	values = slot->tts_values - 1;
	nulls = slot->tts_isnull - 1;

	row->tid = slot->tts_tid;
	row->member_id = DatumGetInt64(values[Anum_hold_member_id]);
	row->seq = DatumGetInt64(values[Anum_hold_seq]);
	row->points = DatumGetPoints(values[Anum_hold_points]);
	row->captured = DatumGetPoints(values[Anum_hold_captured]);
	row->made_at = DatumGetTimestampTz(values[Anum_hold_made_at]);
	row->until = DatumGetTimestampTz(values[Anum_hold_until]);
	row->ended_at = nulls[Anum_hold_ended_at] ? DT_NOEND : DatumGetTimestampTz(values[Anum_hold_ended_at]);
	row->program_id = DatumGetInt32(values[Anum_hold_program_id]);
	row->status = status_from_text(DatumGetTextPP(values[Anum_hold_status]));
	purse_init(&row->lots);
	purse_read(&row->lots, values[Anum_hold_lots]);
	row->point_value = nulls[Anum_hold_point_value] ? NULL : DatumGetNumericCopy(values[Anum_hold_point_value]);
	row->amount = nulls[Anum_hold_amount] ? NULL : DatumGetNumericCopy(values[Anum_hold_amount]);
	row->purchase = nulls[Anum_hold_purchase] ? NULL : DatumGetTextPCopy(values[Anum_hold_purchase]);
	row->note = nulls[Anum_hold_note] ? NULL : DatumGetTextPCopy(values[Anum_hold_note]);
}

/* In which order they end. */
static int
compare_ends(const ListCell *a, const ListCell *b)
{
	const HoldRow *x = lfirst(a);
	const HoldRow *y = lfirst(b);

	if (x->until != y->until)
		return x->until < y->until ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Rows of the member that have this number (0: all that are active). */
static List *
list_holds(Store *store, int64 member_id, int64 seq)
{
	List	   *rows = NIL;
	StoreTable	table = {0};
	ScanKeyData keys[2];
	int			nkeys = seq == 0 ? 1 : 2;
	IndexScanDesc scan;
	TupleTableSlot *slot;

	store_open_table(store, &table, store->hold_rel, false);
	store_begin_scan(store, &table, nkeys, &scan, &slot);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(seq));
	index_rescan(scan, keys, nkeys, NULL, 0);
	while (store_next(store, scan, slot))
	{
		bool		isnull;
		HoldRow    *row;

		CHECK_FOR_INTERRUPTS();
		if (seq == 0 && status_from_text(DatumGetTextPP(slot_getattr(slot, Anum_hold_status, &isnull))) != HOLD_ACTIVE)
			continue;
		row = palloc(sizeof(HoldRow));
		unpack_hold(slot, row);
		rows = lappend(rows, row);
	}
	store_end_scan(&scan, &slot);
	store_close_table(&table);
	return rows;
}

List *
store_active_holds(Store *store, int64 member_id)
{
	List	   *rows = list_holds(store, member_id, 0);

	list_sort(rows, compare_ends);
	return rows;
}

bool
store_find_hold(Store *store, int64 member_id, int64 seq, HoldRow *row)
{
	List	   *rows = seq <= 0 ? NIL : list_holds(store, member_id, seq);

	if (rows == NIL)
		return false;
	*row = *(HoldRow *) linitial(rows);
	return true;
}

/* Put the row into the slot. */
static void
pack_hold(const HoldRow *row, TupleTableSlot *slot)
{
	Datum	   *values = slot->tts_values - 1;
	bool	   *nulls = slot->tts_isnull - 1;

	memset(slot->tts_isnull, false, Natts_hold * sizeof(bool));
	values[Anum_hold_member_id] = Int64GetDatum(row->member_id);
	values[Anum_hold_seq] = Int64GetDatum(row->seq);
	values[Anum_hold_points] = PointsGetDatum(row->points);
	values[Anum_hold_captured] = PointsGetDatum(row->captured);
	values[Anum_hold_made_at] = TimestampTzGetDatum(row->made_at);
	values[Anum_hold_until] = TimestampTzGetDatum(row->until);
	values[Anum_hold_ended_at] = TimestampTzGetDatum(row->ended_at);
	nulls[Anum_hold_ended_at] = TIMESTAMP_IS_NOEND(row->ended_at);
	values[Anum_hold_program_id] = Int32GetDatum(row->program_id);
	values[Anum_hold_status] = CStringGetTextDatum(status_names[row->status]);
	values[Anum_hold_lots] = purse_pack(&row->lots);
	values[Anum_hold_point_value] = PointerGetDatum(row->point_value);
	nulls[Anum_hold_point_value] = row->point_value == NULL;
	values[Anum_hold_amount] = PointerGetDatum(row->amount);
	nulls[Anum_hold_amount] = row->amount == NULL;
	values[Anum_hold_purchase] = PointerGetDatum(row->purchase);
	nulls[Anum_hold_purchase] = row->purchase == NULL;
	values[Anum_hold_note] = PointerGetDatum(row->note);
	nulls[Anum_hold_note] = row->note == NULL;
	ExecStoreVirtualTuple(slot);
}

/* Put a new version in the row's place; true when indexes are to know of it. */
static bool
update_hold(Relation rel, HoldRow *row, TupleTableSlot *slot)
{
	TM_FailureData failure;
	TM_Result	result;
	LockTupleMode lockmode;
	bool		update_indexes;
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes which_indexes;

	result = table_tuple_update(rel, &row->tid, slot, GetCurrentCommandId(true), InvalidSnapshot,
								InvalidSnapshot, true, &failure, &lockmode, &which_indexes);
	update_indexes = which_indexes != TU_None;
#else
	result = table_tuple_update(rel, &row->tid, slot, GetCurrentCommandId(true), InvalidSnapshot,
								InvalidSnapshot, true, &failure, &lockmode, &update_indexes);
#endif
	if (result != TM_Ok)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("hold " INT64_FORMAT " of member " INT64_FORMAT " was changed twice by one command",
						row->seq, row->member_id)));
	return update_indexes;
}

void
store_write_hold(Store *store, HoldRow *row)
{
	StoreTable *table = &store->hold;
	bool		is_new = !ItemPointerIsValid(&row->tid);
	TupleTableSlot *slot;

	if (table->rel == NULL)
		store_open_table(store, table, store->hold_rel, true);
	/* A tuple of its own: an update takes no virtual one. */
	slot = MakeSingleTupleTableSlot(RelationGetDescr(table->rel), &TTSOpsHeapTuple);
	pack_hold(row, slot);
	store_check_constraints(store, table, slot);
	slot->tts_tableOid = RelationGetRelid(table->rel);
	if (is_new)
		table_tuple_insert(table->rel, slot, GetCurrentCommandId(true), 0, NULL);
	if (is_new || update_hold(table->rel, row, slot))
		store_insert_index_entries(store, table, slot, !is_new);
	row->tid = slot->tts_tid;
	ExecDropSingleTupleTableSlot(slot);
	store->wrote = true;
}
