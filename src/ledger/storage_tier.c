/*
 * storage_tier.c
 *		Rows of tier_change: visited in the order of their key, and appended.
 *
 * The table is opened only when it is needed: most postings change no tier.
 * Reading may happen in a subtransaction that fails, so it opens it for itself.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "ledger/storage_private.h"

/* Columns of tier_change, in order. */
enum
{
	Anum_change_member_id = 1,
	Anum_change_seq,
	Anum_change_at,
	Anum_change_posted_at,
	Anum_change_program_id,
	Anum_change_change_no,
	Anum_change_from_rank,
	Anum_change_to_rank,
	Anum_change_until,
	Anum_change_from_tier,
	Anum_change_to_tier,
	Anum_change_reason,
	Anum_change_note,
	Natts_change = Anum_change_note
};

static void
unpack_change(TupleTableSlot *slot, TierChangeRow *change)
{
	Datum	   *values;
	bool	   *nulls;

	slot_getallattrs(slot);
	values = slot->tts_values - 1;
	nulls = slot->tts_isnull - 1;

	StaticAssertStmt(ANUM_CHANGE_NOTE == Anum_change_note, "columns of tier_change have moved");
	change->member_id = DatumGetInt64(values[Anum_change_member_id]);
	change->seq = DatumGetInt64(values[Anum_change_seq]);
	change->at = DatumGetTimestampTz(values[Anum_change_at]);
	change->posted_at = DatumGetTimestampTz(values[Anum_change_posted_at]);
	change->program_id = DatumGetInt32(values[Anum_change_program_id]);
	change->change_no = DatumGetInt32(values[Anum_change_change_no]);
	change->from_rank = nulls[Anum_change_from_rank] ? 0 : DatumGetInt32(values[Anum_change_from_rank]);
	change->to_rank = nulls[Anum_change_to_rank] ? 0 : DatumGetInt32(values[Anum_change_to_rank]);
	change->until = nulls[Anum_change_until] ? DATEVAL_NOEND : DatumGetDateADT(values[Anum_change_until]);
	change->from_tier = nulls[Anum_change_from_tier] ? NULL : DatumGetTextPP(values[Anum_change_from_tier]);
	change->to_tier = nulls[Anum_change_to_tier] ? NULL : DatumGetTextPP(values[Anum_change_to_tier]);
	change->reason = TextDatumGetCString(values[Anum_change_reason]);
	change->note = nulls[Anum_change_note] ? NULL : DatumGetTextPP(values[Anum_change_note]);
}

void
store_visit_tier_changes(Store *store, int64 member_id, TierChangeVisitor visit, void *arg)
{
	StoreTable	table = {0};
	ScanKeyData key;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	TierChangeRow change;

	store_open_table(store, &table, store->tier_change_rel, false);
	store_begin_scan(store, &table, 1, &scan, &slot);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	index_rescan(scan, &key, 1, NULL, 0);
	while (store_next(store, scan, slot))
	{
		CHECK_FOR_INTERRUPTS();
		unpack_change(slot, &change);
		visit(&change, arg);
	}
	store_end_scan(&scan, &slot);
	store_close_table(&table);
}

void
store_append_tier_change(Store *store, const TierChangeRow *change)
{
	TupleTableSlot *slot;
	Datum	   *values;
	bool	   *nulls;

	if (store->tier_change.rel == NULL)
		store_open_table(store, &store->tier_change, store->tier_change_rel, true);
	slot = table_slot_create(store->tier_change.rel, NULL);
	values = slot->tts_values - 1;
	nulls = slot->tts_isnull - 1;
	memset(slot->tts_isnull, false, Natts_change * sizeof(bool));
	values[Anum_change_member_id] = Int64GetDatum(change->member_id);
	values[Anum_change_seq] = Int64GetDatum(change->seq);
	values[Anum_change_at] = TimestampTzGetDatum(change->at);
	values[Anum_change_posted_at] = TimestampTzGetDatum(change->posted_at);
	values[Anum_change_program_id] = Int32GetDatum(change->program_id);
	values[Anum_change_change_no] = Int32GetDatum(change->change_no);
	values[Anum_change_from_rank] = Int32GetDatum(change->from_rank);
	nulls[Anum_change_from_rank] = change->from_tier == NULL;
	values[Anum_change_to_rank] = Int32GetDatum(change->to_rank);
	nulls[Anum_change_to_rank] = change->to_tier == NULL;
	values[Anum_change_until] = DateADTGetDatum(change->until);
	nulls[Anum_change_until] = DATE_IS_NOEND(change->until);
	values[Anum_change_from_tier] = PointerGetDatum(change->from_tier);
	nulls[Anum_change_from_tier] = change->from_tier == NULL;
	values[Anum_change_to_tier] = PointerGetDatum(change->to_tier);
	nulls[Anum_change_to_tier] = change->to_tier == NULL;
	values[Anum_change_reason] = CStringGetTextDatum(change->reason);
	values[Anum_change_note] = PointerGetDatum(change->note);
	nulls[Anum_change_note] = change->note == NULL;
	ExecStoreVirtualTuple(slot);
	store_check_constraints(store, &store->tier_change, slot);
	slot->tts_tableOid = RelationGetRelid(store->tier_change.rel);
	table_tuple_insert(store->tier_change.rel, slot, GetCurrentCommandId(true), 0, NULL);
	store_insert_index_entries(store, &store->tier_change, slot, false);
	ExecDropSingleTupleTableSlot(slot);
	store->wrote = true;
}
