/*
 * storage_entry.c
 *		Rows of entry: visited in the order of their key, and appended.
 *
 * Entries are gathered, to be written many at a time.  Constraints are checked
 * when an entry is appended; indexes get to know of it when it is written.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "ledger/storage_private.h"

/* Columns of entry, in order. */
enum
{
	Anum_entry_member_id = 1,
	Anum_entry_seq,
	Anum_entry_points,
	Anum_entry_occurred_at,
	Anum_entry_posted_at,
	Anum_entry_program_id,
	Anum_entry_rule_id,
	Anum_entry_source_id,
	Anum_entry_revision,
	Anum_entry_rule_horizon,
	Anum_entry_kind,
	Anum_entry_source_key,
	Anum_entry_lots,
	Anum_entry_amount,
	Anum_entry_context,
	Anum_entry_note,
	Anum_entry_hash,
	Natts_entry = Anum_entry_hash
};

/* Unpack a slot; by-reference values stay in it. */
static void
unpack_entry(TupleTableSlot *slot, EntryRow *entry)
{
	Datum	   *values;
	bool	   *nulls;
	struct varlena *hash;

	StaticAssertStmt(ANUM_ENTRY_SEQ == Anum_entry_seq && ANUM_ENTRY_CONTEXT == Anum_entry_context &&
					 ANUM_ENTRY_NOTE == Anum_entry_note, "columns of entry have moved");
	slot_getallattrs(slot);
	values = slot->tts_values - 1;
	nulls = slot->tts_isnull - 1;

	entry->member_id = DatumGetInt64(values[Anum_entry_member_id]);
	entry->seq = DatumGetInt64(values[Anum_entry_seq]);
	entry->points = DatumGetPoints(values[Anum_entry_points]);
	entry->occurred_at = DatumGetTimestampTz(values[Anum_entry_occurred_at]);
	entry->posted_at = DatumGetTimestampTz(values[Anum_entry_posted_at]);
	entry->program_id = DatumGetInt32(values[Anum_entry_program_id]);
	entry->rule_id = DatumGetInt32(values[Anum_entry_rule_id]);
	entry->source_id = DatumGetInt32(values[Anum_entry_source_id]);
	entry->revision = DatumGetInt32(values[Anum_entry_revision]);
	entry->rule_horizon = DatumGetInt32(values[Anum_entry_rule_horizon]);
	entry->kind = TextDatumGetCString(values[Anum_entry_kind]);
	entry->source_key = DatumGetTextPP(values[Anum_entry_source_key]);
	entry->lots = values[Anum_entry_lots];
	entry->amount = nulls[Anum_entry_amount] ? NULL : DatumGetNumeric(values[Anum_entry_amount]);
	entry->context = nulls[Anum_entry_context] ? NULL : DatumGetJsonbP(values[Anum_entry_context]);
	entry->note = nulls[Anum_entry_note] ? NULL : DatumGetTextPP(values[Anum_entry_note]);
	hash = PG_DETOAST_DATUM_PACKED(values[Anum_entry_hash]);
	if (VARSIZE_ANY_EXHDR(hash) != HASH_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("hash of entry " INT64_FORMAT " of member " INT64_FORMAT " is damaged",
						entry->seq, entry->member_id)));
	memcpy(entry->hash, VARDATA_ANY(hash), HASH_LENGTH);
}

void
store_visit_entries(Store *store, int64 member_id, int32 source_id,
					const text *source_key, EntryVisitor visit, void *arg)
{
	ScanKeyData keys[3];
	int			nkeys = 1;
	EntryRow	entry;
	IndexScanDesc *scan;
	TupleTableSlot **slot;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(source_id));
	if (source_id != ANY_SOURCE)
		nkeys = 2;
	if (source_key != NULL)
	{
		ScanKeyEntryInitialize(&keys[2], 0, 3, BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, PointerGetDatum(source_key));
		nkeys = 3;
	}
	scan = &store->entry_scans[nkeys - 1];
	slot = &store->entry_slots[nkeys - 1];
	if (*scan == NULL)
		store_begin_scan(store, &store->entry, nkeys, scan, slot);
	index_rescan(*scan, keys, nkeys, NULL, 0);
	while (store_next(store, *scan, *slot))
	{
		CHECK_FOR_INTERRUPTS();
		unpack_entry(*slot, &entry);
		visit(&entry, arg);
	}
}

void
store_append_entry(Store *store, const EntryRow *entry)
{
	TupleTableSlot *slot;
	Datum	   *values;
	bool	   *nulls;

	if (store->entry.nbuffered == MAX_BUFFERED_ROWS)
		store_flush(store);
	slot = store_next_slot(store, &store->entry);
	values = slot->tts_values - 1;
	nulls = slot->tts_isnull - 1;
	memset(slot->tts_isnull, false, Natts_entry * sizeof(bool));
	values[Anum_entry_member_id] = Int64GetDatum(entry->member_id);
	values[Anum_entry_seq] = Int64GetDatum(entry->seq);
	values[Anum_entry_points] = PointsGetDatum(entry->points);
	values[Anum_entry_occurred_at] = TimestampTzGetDatum(entry->occurred_at);
	values[Anum_entry_posted_at] = TimestampTzGetDatum(entry->posted_at);
	values[Anum_entry_program_id] = Int32GetDatum(entry->program_id);
	values[Anum_entry_rule_id] = Int32GetDatum(entry->rule_id);
	values[Anum_entry_source_id] = Int32GetDatum(entry->source_id);
	values[Anum_entry_revision] = Int32GetDatum(entry->revision);
	values[Anum_entry_rule_horizon] = Int32GetDatum(entry->rule_horizon);
	values[Anum_entry_kind] = store_bytes(entry->kind, strlen(entry->kind));
	values[Anum_entry_source_key] = PointerGetDatum(entry->source_key);
	values[Anum_entry_lots] = entry->lots;
	values[Anum_entry_amount] = PointerGetDatum(entry->amount);
	nulls[Anum_entry_amount] = entry->amount == NULL;
	values[Anum_entry_context] = PointerGetDatum(entry->context);
	nulls[Anum_entry_context] = entry->context == NULL;
	values[Anum_entry_note] = PointerGetDatum(entry->note);
	nulls[Anum_entry_note] = entry->note == NULL;
	values[Anum_entry_hash] = store_bytes(entry->hash, HASH_LENGTH);
	ExecStoreVirtualTuple(slot);
	store_check_constraints(store, &store->entry, slot);
}

void
store_flush(Store *store)
{
	store_write_slots(store, &store->entry);
}
