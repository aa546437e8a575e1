/*
 * storage_blank.c
 *		Blanking what a member's history says of his person.
 *
 * The only place that changes rows of entry and tier_change, and it changes
 * nothing but context and note.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "ledger/forgotten.h"
#include "ledger/storage_private.h"
#include "loyalty.h"

/* Put other values into columns of the row at hand. */
static void
rewrite(Store *store, StoreTable *table, TupleTableSlot *old, const AttrNumber *columns,
		const Datum *values, const bool *nulls, int ncolumns)
{
	TupleDesc	desc = RelationGetDescr(table->rel);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
	ItemPointerData tid = old->tts_tid;
	TM_FailureData failure;
	TM_Result	result;
	LockTupleMode lockmode;
	bool		update_indexes;
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes which_indexes;
#endif
	int			i;

	slot_getallattrs(old);
	memcpy(slot->tts_values, old->tts_values, desc->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, old->tts_isnull, desc->natts * sizeof(bool));
	for (i = 0; i < ncolumns; i++)
	{
		slot->tts_values[columns[i] - 1] = values[i];
		slot->tts_isnull[columns[i] - 1] = nulls[i];
	}
	ExecStoreVirtualTuple(slot);
	store_check_constraints(store, table, slot);
	slot->tts_tableOid = RelationGetRelid(table->rel);
#if PG_VERSION_NUM >= 160000
	result = table_tuple_update(table->rel, &tid, slot, GetCurrentCommandId(true), InvalidSnapshot,
								InvalidSnapshot, true, &failure, &lockmode, &which_indexes);
	update_indexes = which_indexes != TU_None;
#else
	result = table_tuple_update(table->rel, &tid, slot, GetCurrentCommandId(true), InvalidSnapshot,
								InvalidSnapshot, true, &failure, &lockmode, &update_indexes);
#endif
	if (result != TM_Ok)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errhint("The transaction might succeed if retried.")));
	if (update_indexes)
		store_insert_index_entries(store, table, slot, true);
	ExecDropSingleTupleTableSlot(slot);
	store->wrote = true;
}

/* Call work for each of a member's rows. */
static void
for_each_row(Store *store, Oid relid, int64 member_id,
			 void (*work) (Store *store, StoreTable *table, TupleTableSlot *slot, void *arg), void *arg)
{
	StoreTable	table = {0};
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	ScanKeyData key;
	IndexScanDesc scan = NULL;
	TupleTableSlot *slot = NULL;

	store_open_table(store, &table, relid, true);
	store_begin_scan(store, &table, 1, &scan, &slot);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(row_context);
		work(store, &table, slot, arg);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
	}
	store_end_scan(&scan, &slot);
	store_close_table(&table);
	MemoryContextDelete(row_context);
}

static void
blank_entry(Store *store, StoreTable *table, TupleTableSlot *slot, void *arg)
{
	static const AttrNumber columns[] = {ANUM_ENTRY_CONTEXT, ANUM_ENTRY_NOTE};
	const int64 *last_seq = arg;
	bool		no_seq;
	bool		nulls[3];
	Datum		context = slot_getattr(slot, ANUM_ENTRY_CONTEXT, &nulls[0]);
	Datum		note = slot_getattr(slot, ANUM_ENTRY_NOTE, &nulls[1]);
	Datum		values[2] = {(Datum) 0, (Datum) 0};
	Jsonb	   *blanked;

	if (DatumGetInt64(slot_getattr(slot, ANUM_ENTRY_SEQ, &no_seq)) > *last_seq || (nulls[0] && nulls[1]) ||
		!forgotten_blank(nulls[0] ? NULL : DatumGetJsonbP(context), nulls[1] ? NULL : DatumGetTextPP(note), &blanked))
		return;
	values[0] = JsonbPGetDatum(blanked);
	nulls[0] = false;
	nulls[1] = true;
	rewrite(store, table, slot, columns, values, nulls, lengthof(columns));
}

void
store_blank_entries(Store *store, int64 member_id, int64 last_seq)
{
	for_each_row(store, RelationGetRelid(store->entry.rel), member_id, blank_entry, &last_seq);
}

static void
blank_tier_change(Store *store, StoreTable *table, TupleTableSlot *slot, void *arg)
{
	static const AttrNumber columns[] = {ANUM_CHANGE_NOTE};
	const NoteChange *change = arg;
	bool		isnull;
	Datum		note = slot_getattr(slot, ANUM_CHANGE_NOTE, &isnull);
	text	   *becomes;

	if (isnull)
		return;
	becomes = change->change(DatumGetTextPP(note), change->arg);
	if (becomes == NULL || !same_text(becomes, DatumGetTextPP(note)))
	{
		note = PointerGetDatum(becomes);
		isnull = becomes == NULL;
		rewrite(store, table, slot, columns, &note, &isnull, 1);
	}
}

void
store_change_tier_notes(Store *store, int64 member_id, const NoteChange *change)
{
	for_each_row(store, store->tier_change_rel, member_id, blank_tier_change, unconstify(NoteChange *, change));
}
