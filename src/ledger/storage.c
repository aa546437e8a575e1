/*
 * storage.c
 *		The ledger's tables, read and written directly.
 *
 * An order must not pay for planning queries, so the hot path goes to the
 * table and index access methods itself, in the way the executor would: an
 * index scan under an MVCC snapshot (which also takes the predicate locks of
 * SERIALIZABLE), table_tuple_lock on what it finds, table_multi_insert and
 * table_tuple_update with the constraints checked and the indexes kept.
 *
 * Here is what the tables have in common; storage_member.c, storage_entry.c,
 * storage_tier.c and storage_hold.c know their rows; storage_blank.c blanks
 * what they say of a person.  Rows that belong to a member are found in one place,
 * store_open(): a ledger spread over several relations by member would be
 * resolved there.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "ledger/probe.h"
#include "ledger/storage_private.h"
#include "loyalty.h"

StoreFollowUp store_follow_up = {NULL, NULL};

/* Members remembered before it is asked for which of them something follows. */
#define POSTED_AT_ONCE 1024

void
store_open_table(Store *store, StoreTable *table, Oid relid, bool write)
{
	LOCKMODE	lockmode = write ? RowExclusiveLock : AccessShareLock;
	MemoryContext caller = MemoryContextSwitchTo(store->context);

	table->rel = table_open(relid, lockmode);
	table->index = index_open(probe_primary_key(table->rel), lockmode);

	/* Its constraints, as the executor readies them. */
	if (write)
	{
		table->result = makeNode(ResultRelInfo);
		InitResultRelInfo(table->result, table->rel, 0, NULL, 0);
	}
	MemoryContextSwitchTo(caller);
}

Store *
store_open(Config *config, bool write)
{
	Store	   *store = palloc0(sizeof(Store));

	if (write)
		PreventCommandIfReadOnly("loyalty posting");
	store->context = CurrentMemoryContext;
	store->write = write;
	store->tier_change_rel = config->tier_change_rel;
	store->hold_rel = config->hold_rel;
	store_open_table(store, &store->member, config->member_rel, write);
	store_open_table(store, &store->entry, config->entry_rel, write);
	if (write)
	{
		store->estate = CreateExecutorState();
		store->update_slot = MakeSingleTupleTableSlot(RelationGetDescr(store->member.rel),
													  &TTSOpsHeapTuple);
	}
	return store;
}

void
store_close_table(StoreTable *table)
{
	int			i;

	for (i = 0; i < table->nslots; i++)
		ExecDropSingleTupleTableSlot(table->slots[i]);
	if (table->result != NULL)
		ExecCloseIndices(table->result);
	index_close(table->index, NoLock);
	table_close(table->rel, NoLock);
}

void
store_note_posted(Store *store, const MemberRow *row)
{
	if (store->follows_nothing ||
		(store->nposted > 0 && store->posted[store->nposted - 1].member_id == row->member_id))
		return;
	if (store->nposted == store->posted_capacity)
	{
		if (store->nposted >= POSTED_AT_ONCE)
			store->nposted = store_follow_up.keep(store->posted, store->nposted);
		if (store->nposted * 2 > store->posted_capacity || store->posted == NULL)
		{
			store->posted_capacity = Max(8, store->posted_capacity * 2);
			store->posted = store->posted == NULL
				? MemoryContextAlloc(store->context, sizeof(PostedMember) * store->posted_capacity)
				: repalloc_huge(store->posted, sizeof(PostedMember) * store->posted_capacity);
		}
	}
	store->posted[store->nposted++] = (PostedMember) {row->member_id, row->program_id};
}

void
store_follow_nothing(Store *store)
{
	store->follows_nothing = true;
}

/* What follows from what was posted. */
static void
follow_up(PostedMember *members, int count)
{
	count = store_follow_up.keep(members, count);
	if (count > 0)
		store_follow_up.work(members, count);
	pfree(members);
}

void
store_close(Store *store)
{
	PostedMember *posted = store->posted;
	int			nposted = store->nposted;

	if (store->write)
		store_flush(store);
	if (store->wrote)
		CommandCounterIncrement();

	if (store->update_slot != NULL)
		ExecDropSingleTupleTableSlot(store->update_slot);
	store_close_table(&store->member);
	store_close_table(&store->entry);
	if (store->tier_change.rel != NULL)
		store_close_table(&store->tier_change);
	if (store->hold.rel != NULL)
		store_close_table(&store->hold);
	if (store->estate != NULL)
		FreeExecutorState(store->estate);
	pfree(store);
	if (posted != NULL)
		follow_up(posted, nposted);
}

Snapshot
store_snapshot(void)
{
	if (IsolationUsesXactSnapshot())
		return RegisterSnapshot(GetTransactionSnapshot());
	return RegisterSnapshot(GetLatestSnapshot());
}

void
store_begin_scan(Store *store, StoreTable *table, int nkeys, IndexScanDesc *scan, TupleTableSlot **slot)
{
	MemoryContext caller = MemoryContextSwitchTo(store->context);

	*scan = index_beginscan(table->rel, table->index, store->snapshot,
#if PG_VERSION_NUM >= 180000
							NULL,
#endif
							nkeys, 0);
	*slot = table_slot_create(table->rel, NULL);
	MemoryContextSwitchTo(caller);
}

bool
store_next(Store *store, IndexScanDesc scan, TupleTableSlot *slot)
{
	MemoryContext caller = MemoryContextSwitchTo(store->context);
	bool		found = index_getnext_slot(scan, ForwardScanDirection, slot);

	MemoryContextSwitchTo(caller);
	return found;
}

void
store_begin_read(Store *store, Snapshot snapshot)
{
	Assert(store->snapshot == NULL);
	store->snapshot = snapshot;
}

void
store_end_scan(IndexScanDesc *scan, TupleTableSlot **slot)
{
	if (*slot != NULL)
		ExecDropSingleTupleTableSlot(*slot);
	if (*scan != NULL)
		index_endscan(*scan);
	*slot = NULL;
	*scan = NULL;
}

void
store_end_read(Store *store)
{
	int			i;

	store_end_scan(&store->member_scan, &store->member_slot);
	for (i = 0; i < ENTRY_SCANS; i++)
		store_end_scan(&store->entry_scans[i], &store->entry_slots[i]);
	store->snapshot = NULL;
}

/* Aborting the subtransaction has released what the scans held. */
void
store_abandon_read(Store *store)
{
	store->member_slot = NULL;
	store->member_scan = NULL;
	memset(store->entry_scans, 0, sizeof(store->entry_scans));
	memset(store->entry_slots, 0, sizeof(store->entry_slots));
	store->snapshot = NULL;
}

void
store_check_constraints(Store *store, StoreTable *table, TupleTableSlot *slot)
{
	if (table->rel->rd_att->constr != NULL)
		ExecConstraints(table->result, slot, store->estate);
}

void
store_open_indexes(Store *store, StoreTable *table)
{
	MemoryContext caller = MemoryContextSwitchTo(store->context);

	if (table->result->ri_IndexRelationDescs == NULL)
		ExecOpenIndices(table->result, false);
	MemoryContextSwitchTo(caller);
}

void
store_insert_index_entries(Store *store, StoreTable *table, TupleTableSlot *slot, bool update)
{
	List	   *recheck;

	store_open_indexes(store, table);
#if PG_VERSION_NUM >= 160000
	recheck = ExecInsertIndexTuples(table->result, slot, store->estate,
									update, false, NULL, NIL, false);
#elif PG_VERSION_NUM >= 140000
	recheck = ExecInsertIndexTuples(table->result, slot, store->estate,
									update, false, NULL, NIL);
#else
	store->estate->es_result_relation_info = table->result;
	recheck = ExecInsertIndexTuples(slot, store->estate, false, NULL, NIL);
#endif
	list_free(recheck);
	ResetPerTupleExprContext(store->estate);
}

TupleTableSlot *
store_next_slot(Store *store, StoreTable *table)
{
	Assert(table->nbuffered < MAX_BUFFERED_ROWS);
	if (table->slots == NULL)
		table->slots = MemoryContextAlloc(store->context, sizeof(TupleTableSlot *) * MAX_BUFFERED_ROWS);
	if (table->nbuffered == table->nslots)
	{
		MemoryContext caller = MemoryContextSwitchTo(store->context);

		table->slots[table->nslots++] = table_slot_create(table->rel, NULL);
		MemoryContextSwitchTo(caller);
	}
	return ExecClearTuple(table->slots[table->nbuffered++]);
}

void
store_write_slots(Store *store, StoreTable *table)
{
	int			i;

	if (table->nbuffered == 0)
		return;
	table_multi_insert(table->rel, table->slots, table->nbuffered, GetCurrentCommandId(true), 0, NULL);
	for (i = 0; i < table->nbuffered; i++)
	{
		CHECK_FOR_INTERRUPTS();
		table->slots[i]->tts_tableOid = RelationGetRelid(table->rel);
		store_insert_index_entries(store, table, table->slots[i], false);
	}
	table->nbuffered = 0;
	store->wrote = true;
}

Datum
store_bytes(const void *bytes, Size length)
{
	struct varlena *result = palloc(length + VARHDRSZ_SHORT);

	Assert(length + VARHDRSZ_SHORT <= VARATT_SHORT_MAX);
	SET_VARSIZE_SHORT(result, length + VARHDRSZ_SHORT);
	memcpy(VARDATA_SHORT(result), bytes, length);
	return PointerGetDatum(result);
}
