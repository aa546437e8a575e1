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
 * Rows that belong to a member are found in one place, open_relations(): a
 * ledger spread over several relations by member would be resolved there.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_collation.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "ledger/storage.h"
#include "loyalty.h"

/* Columns of member, in order. */
enum
{
	Anum_member_member_id = 1,
	Anum_member_seq,
	Anum_member_lifetime,
	Anum_member_enrolled_at,
	Anum_member_last_activity,
	Anum_member_program_id,
	Anum_member_next_expiry,
	Anum_member_purchases,
	Anum_member_ref,
	Anum_member_status,
	Anum_member_purse,
	Anum_member_head,
	Natts_member = Anum_member_head
};

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

/* Where members are found for whom something falls due. */
#define DUE_INDEX "member_next_expiry_idx"

/* Entries gathered before they are written together. */
#define MAX_BUFFERED_ENTRIES 500

/* One table with what inserting into it takes. */
typedef struct StoreTable
{
	Relation	rel;
	Relation	index;			/* its primary key */
	ResultRelInfo *result;		/* only when writing */
} StoreTable;

struct Store
{
	MemoryContext context;
	bool		write;
	bool		wrote;
	StoreTable	member;
	StoreTable	entry;
	EState	   *estate;			/* only when writing */
	TupleTableSlot *member_slot;
	TupleTableSlot *entry_slot;
	TupleTableSlot *update_slot;
	TupleTableSlot *visit_slot;	/* the member being visited */
	Snapshot	snapshot;
	IndexScanDesc member_scan;
	IndexScanDesc entry_scan;
	int			nbuffered;
	int			nslots;
	TupleTableSlot **slots;		/* MAX_BUFFERED_ENTRIES, made when first needed */
};

static const char *const status_names[] = {"active", "suspended", "closed"};

/* Open a table and its primary key. */
static void
open_table(StoreTable *table, Oid relid, LOCKMODE lockmode)
{
	Oid			key;

	table->rel = table_open(relid, lockmode);
	key = RelationGetPrimaryKeyIndex(table->rel
#if PG_VERSION_NUM >= 180000
									 ,false
#endif
		);
	if (!OidIsValid(key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.%s\" has no primary key",
						LOYALTY_SCHEMA, RelationGetRelationName(table->rel)),
				 errhint("It came with the extension; restore it before going on.")));
	table->index = index_open(key, lockmode);
}

/* Ready a table's constraints and indexes for writing, as the executor does. */
static void
open_for_write(Store *store, StoreTable *table)
{
	table->result = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result, table->rel, 0, NULL, 0);
	ExecOpenIndices(table->result, false);
}

Store *
store_open(Config *config, bool write)
{
	Store	   *store = palloc0(sizeof(Store));
	LOCKMODE	lockmode = write ? RowExclusiveLock : AccessShareLock;

	store->context = CurrentMemoryContext;
	store->write = write;
	open_table(&store->member, config->member_rel, lockmode);
	open_table(&store->entry, config->entry_rel, lockmode);
	if (write)
	{
		PreventCommandIfReadOnly("loyalty posting");
		store->estate = CreateExecutorState();
		store->update_slot = MakeSingleTupleTableSlot(RelationGetDescr(store->member.rel),
													  &TTSOpsHeapTuple);
		open_for_write(store, &store->member);
		open_for_write(store, &store->entry);
	}
	return store;
}

/* Close a table that open_table opened; locks are kept to the end of the transaction. */
static void
close_table(StoreTable *table)
{
	if (table->result != NULL)
		ExecCloseIndices(table->result);
	index_close(table->index, NoLock);
	table_close(table->rel, NoLock);
}

void
store_close(Store *store)
{
	int			i;

	if (store->write)
		store_flush(store);
	if (store->wrote)
		CommandCounterIncrement();

	for (i = 0; i < store->nslots; i++)
		ExecDropSingleTupleTableSlot(store->slots[i]);
	if (store->update_slot != NULL)
		ExecDropSingleTupleTableSlot(store->update_slot);
	close_table(&store->member);
	close_table(&store->entry);
	if (store->estate != NULL)
		FreeExecutorState(store->estate);
	pfree(store);
}

Snapshot
store_snapshot(void)
{
	if (IsolationUsesXactSnapshot())
		return RegisterSnapshot(GetTransactionSnapshot());
	return RegisterSnapshot(GetLatestSnapshot());
}

/* Start an index scan with nkeys keys, and make the slot for what it finds; they outlive the caller's context. */
static void
begin_scan(Store *store, StoreTable *table, int nkeys, IndexScanDesc *scan, TupleTableSlot **slot)
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

void
store_begin_read(Store *store, Snapshot snapshot)
{
	Assert(store->snapshot == NULL);
	store->snapshot = snapshot;
}

/* End one scan and its slot. */
static void
end_scan(IndexScanDesc *scan, TupleTableSlot **slot)
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
	end_scan(&store->member_scan, &store->member_slot);
	end_scan(&store->entry_scan, &store->entry_slot);
	store->snapshot = NULL;
}

/* Aborting the subtransaction has released what the scans held. */
void
store_abandon_read(Store *store)
{
	store->member_slot = NULL;
	store->entry_slot = NULL;
	store->member_scan = NULL;
	store->entry_scan = NULL;
	store->snapshot = NULL;
}

/* Fetch the member's row into member_slot. */
static bool
fetch_member(Store *store, int64 member_id)
{
	ScanKeyData key;

	if (store->member_scan == NULL)
		begin_scan(store, &store->member, 1, &store->member_scan, &store->member_slot);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	index_rescan(store->member_scan, &key, 1, NULL, 0);
	return index_getnext_slot(store->member_scan, ForwardScanDirection, store->member_slot);
}

MemberStatus
store_status_from_text(const text *value)
{
	int			i;

	for (i = 0; i < lengthof(status_names); i++)
		if (VARSIZE_ANY_EXHDR(value) == strlen(status_names[i]) &&
			memcmp(VARDATA_ANY(value), status_names[i], strlen(status_names[i])) == 0)
			return (MemberStatus) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("member status \"%s\" is not known", text_to_cstring(value)),
			 errhint("It is active, suspended or closed.")));
}

/* Unpack a row of member; what it points to is allocated here and now. */
static void
unpack_member(TupleTableSlot *slot, MemberRow *row)
{
	Datum	   *values;
	bool	   *nulls;
	struct varlena *head;

	slot_getallattrs(slot);
	values = slot->tts_values - 1;	/* so that columns count from 1 */
	nulls = slot->tts_isnull - 1;

	row->tid = slot->tts_tid;
	row->member_id = DatumGetInt64(values[Anum_member_member_id]);
	row->seq = DatumGetInt64(values[Anum_member_seq]);
	row->lifetime = DatumGetPoints(values[Anum_member_lifetime]);
	row->enrolled_at = DatumGetTimestampTz(values[Anum_member_enrolled_at]);
	row->last_activity = nulls[Anum_member_last_activity] ? DT_NOBEGIN
		: DatumGetTimestampTz(values[Anum_member_last_activity]);
	row->program_id = DatumGetInt32(values[Anum_member_program_id]);
	row->next_expiry = nulls[Anum_member_next_expiry] ? DATEVAL_NOEND
		: DatumGetDateADT(values[Anum_member_next_expiry]);
	row->purchases = DatumGetInt32(values[Anum_member_purchases]);
	row->ref = DatumGetTextPCopy(values[Anum_member_ref]);
	row->status = store_status_from_text(DatumGetTextPP(values[Anum_member_status]));
	purse_init(&row->purse);
	purse_read(&row->purse, values[Anum_member_purse]);

	head = PG_DETOAST_DATUM_PACKED(values[Anum_member_head]);
	row->has_head = VARSIZE_ANY_EXHDR(head) == HASH_LENGTH;
	if (row->has_head)
		memcpy(row->head, VARDATA_ANY(head), HASH_LENGTH);
	else if (VARSIZE_ANY_EXHDR(head) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("hash of member " INT64_FORMAT " is damaged", row->member_id)));
}

bool
store_member_exists(Store *store, int64 member_id)
{
	return fetch_member(store, member_id);
}

bool
store_find_member(Store *store, int64 member_id, MemberRow *row)
{
	if (!fetch_member(store, member_id))
		return false;
	unpack_member(store->member_slot, row);
	return true;
}

static StoreLock
lock_member(Store *store, int64 member_id, LockWaitPolicy wait, MemberRow *row)
{
	TM_FailureData failure;
	TM_Result	result;
	ItemPointerData tid;
	Datum		xmin;
	bool		isnull;

	if (!fetch_member(store, member_id))
		return STORE_GONE;

	/* A row that this transaction wrote is locked already. */
	xmin = slot_getsysattr(store->member_slot, MinTransactionIdAttributeNumber, &isnull);
	if (!isnull && TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin)))
	{
		unpack_member(store->member_slot, row);
		return STORE_LOCKED;
	}

	tid = store->member_slot->tts_tid;
	result = table_tuple_lock(store->member.rel, &tid,
							  store->snapshot, store->member_slot,
							  GetCurrentCommandId(true),
							  LockTupleNoKeyExclusive, wait,
							  IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
							  &failure);
	switch (result)
	{
		case TM_Ok:
			break;
		case TM_WouldBlock:
			return STORE_BUSY;
		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot() && wait == LockWaitSkip)
				return STORE_BUSY;
			if (IsolationUsesXactSnapshot())
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update"),
						 errhint("The transaction might succeed if retried.")));
			return STORE_GONE;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("member " INT64_FORMAT " is being changed by the current command", member_id)));
	}
	unpack_member(store->member_slot, row);
	return STORE_LOCKED;
}

bool
store_lock_member(Store *store, int64 member_id, MemberRow *row)
{
	return lock_member(store, member_id, LockWaitBlock, row) == STORE_LOCKED;
}

StoreLock
store_try_lock_member(Store *store, int64 member_id, MemberRow *row)
{
	return lock_member(store, member_id, LockWaitSkip, row);
}

/* The index over member (program_id, next_expiry). */
static Relation
open_due_index(Store *store)
{
	List	   *indexes = RelationGetIndexList(store->member.rel);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (strcmp(RelationGetRelationName(index), DUE_INDEX) == 0)
			return index;
		index_close(index, AccessShareLock);
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s.%s\" has no index \"%s\"",
					LOYALTY_SCHEMA, RelationGetRelationName(store->member.rel), DUE_INDEX),
			 errhint("It came with the extension; restore it before going on.")));
}

/* Visit the member in visit_slot, if he is the program's. */
static void
visit_member(Store *store, int32 program_id, MemberVisitor visit, void *arg)
{
	bool		isnull;

	CHECK_FOR_INTERRUPTS();
	if (DatumGetInt32(slot_getattr(store->visit_slot, Anum_member_program_id, &isnull)) == program_id)
		visit(store, DatumGetInt64(slot_getattr(store->visit_slot, Anum_member_member_id, &isnull)), arg);
}

void
store_visit_members(Store *store, int32 program_id, DateADT before, MemberVisitor visit, void *arg)
{
	store->visit_slot = table_slot_create(store->member.rel, NULL);
	if (DATE_IS_NOEND(before))
	{
		TableScanDesc scan = table_beginscan(store->member.rel, store->snapshot, 0, NULL);

		while (table_scan_getnextslot(scan, ForwardScanDirection, store->visit_slot))
			visit_member(store, program_id, visit, arg);
		table_endscan(scan);
	}
	else
	{
		Relation	index = open_due_index(store);
		ScanKeyData keys[2];
		IndexScanDesc scan;

		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(program_id));
		ScanKeyInit(&keys[1], 2, BTLessStrategyNumber, F_DATE_LT, DateADTGetDatum(before));
		scan = index_beginscan(store->member.rel, index, store->snapshot,
#if PG_VERSION_NUM >= 180000
							   NULL,
#endif
							   lengthof(keys), 0);
		index_rescan(scan, keys, lengthof(keys), NULL, 0);
		while (index_getnext_slot(scan, ForwardScanDirection, store->visit_slot))
			visit_member(store, program_id, visit, arg);
		index_endscan(scan);
		index_close(index, NoLock);
	}
	ExecDropSingleTupleTableSlot(store->visit_slot);
	store->visit_slot = NULL;
}

void
store_visited_member(Store *store, MemberRow *row)
{
	unpack_member(store->visit_slot, row);
}

/* Unpack entry_slot; by-reference values stay in the slot. */
static void
unpack_entry(Store *store, EntryRow *entry)
{
	TupleTableSlot *slot = store->entry_slot;
	Datum	   *values;
	bool	   *nulls;
	struct varlena *hash;

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
	if (store->entry_scan == NULL || store->entry_scan->numberOfKeys != nkeys)
	{
		end_scan(&store->entry_scan, &store->entry_slot);
		begin_scan(store, &store->entry, nkeys, &store->entry_scan, &store->entry_slot);
	}
	index_rescan(store->entry_scan, keys, nkeys, NULL, 0);
	while (index_getnext_slot(store->entry_scan, ForwardScanDirection, store->entry_slot))
	{
		CHECK_FOR_INTERRUPTS();
		unpack_entry(store, &entry);
		visit(&entry, arg);
	}
}

/* Insert index entries for a tuple just written, as the executor does. */
static void
insert_index_entries(Store *store, StoreTable *table, TupleTableSlot *slot, bool update)
{
	List	   *recheck;

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

/* Check NOT NULL and CHECK constraints of a tuple about to be written. */
static void
check_constraints(Store *store, StoreTable *table, TupleTableSlot *slot)
{
	if (table->rel->rd_att->constr != NULL)
		ExecConstraints(table->result, slot, store->estate);
}

/* Short-header copy of some bytes. */
static Datum
bytes_datum(const void *bytes, Size length)
{
	struct varlena *result = palloc(length + VARHDRSZ_SHORT);

	Assert(length + VARHDRSZ_SHORT <= VARATT_SHORT_MAX);
	SET_VARSIZE_SHORT(result, length + VARHDRSZ_SHORT);
	memcpy(VARDATA_SHORT(result), bytes, length);
	return PointerGetDatum(result);
}

/* The next free slot of the buffer. */
static TupleTableSlot *
next_slot(Store *store)
{
	if (store->nbuffered == MAX_BUFFERED_ENTRIES)
		store_flush(store);
	if (store->slots == NULL)
		store->slots = MemoryContextAlloc(store->context,
										  sizeof(TupleTableSlot *) * MAX_BUFFERED_ENTRIES);
	if (store->nbuffered == store->nslots)
	{
		MemoryContext caller = MemoryContextSwitchTo(store->context);

		store->slots[store->nslots++] = table_slot_create(store->entry.rel, NULL);
		MemoryContextSwitchTo(caller);
	}
	return ExecClearTuple(store->slots[store->nbuffered++]);
}

void
store_append_entry(Store *store, const EntryRow *entry)
{
	TupleTableSlot *slot = next_slot(store);
	Datum	   *values = slot->tts_values - 1;
	bool	   *nulls = slot->tts_isnull - 1;

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
	values[Anum_entry_kind] = bytes_datum(entry->kind, strlen(entry->kind));
	values[Anum_entry_source_key] = PointerGetDatum(entry->source_key);
	values[Anum_entry_lots] = entry->lots;
	values[Anum_entry_amount] = PointerGetDatum(entry->amount);
	nulls[Anum_entry_amount] = entry->amount == NULL;
	values[Anum_entry_context] = PointerGetDatum(entry->context);
	nulls[Anum_entry_context] = entry->context == NULL;
	values[Anum_entry_note] = PointerGetDatum(entry->note);
	nulls[Anum_entry_note] = entry->note == NULL;
	values[Anum_entry_hash] = bytes_datum(entry->hash, HASH_LENGTH);
	ExecStoreVirtualTuple(slot);
	check_constraints(store, &store->entry, slot);
}

void
store_flush(Store *store)
{
	int			i;

	if (store->nbuffered == 0)
		return;

	table_multi_insert(store->entry.rel, store->slots, store->nbuffered,
					   GetCurrentCommandId(true), 0, NULL);
	for (i = 0; i < store->nbuffered; i++)
	{
		CHECK_FOR_INTERRUPTS();
		store->slots[i]->tts_tableOid = RelationGetRelid(store->entry.rel);
		insert_index_entries(store, &store->entry, store->slots[i], false);
		ExecClearTuple(store->slots[i]);
	}
	store->nbuffered = 0;
	store->wrote = true;
}

void
store_update_member(Store *store, MemberRow *row)
{
	TupleTableSlot *slot = ExecClearTuple(store->update_slot);
	Datum	   *values = slot->tts_values - 1;
	bool	   *nulls = slot->tts_isnull - 1;
	TM_FailureData failure;
	TM_Result	result;
	LockTupleMode lockmode;
	bool		update_indexes;
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes which_indexes;
#endif

	memset(slot->tts_isnull, false, Natts_member * sizeof(bool));
	values[Anum_member_member_id] = Int64GetDatum(row->member_id);
	values[Anum_member_seq] = Int64GetDatum(row->seq);
	values[Anum_member_lifetime] = PointsGetDatum(row->lifetime);
	values[Anum_member_enrolled_at] = TimestampTzGetDatum(row->enrolled_at);
	values[Anum_member_last_activity] = TimestampTzGetDatum(row->last_activity);
	nulls[Anum_member_last_activity] = TIMESTAMP_IS_NOBEGIN(row->last_activity);
	values[Anum_member_program_id] = Int32GetDatum(row->program_id);
	values[Anum_member_next_expiry] = DateADTGetDatum(row->next_expiry);
	nulls[Anum_member_next_expiry] = DATE_IS_NOEND(row->next_expiry);
	values[Anum_member_purchases] = Int32GetDatum(row->purchases);
	values[Anum_member_ref] = PointerGetDatum(row->ref);
	values[Anum_member_status] = bytes_datum(status_names[row->status],
											 strlen(status_names[row->status]));
	values[Anum_member_purse] = purse_pack(&row->purse);
	values[Anum_member_head] = bytes_datum(row->head, row->has_head ? HASH_LENGTH : 0);
	ExecStoreVirtualTuple(slot);
	check_constraints(store, &store->member, slot);
	slot->tts_tableOid = RelationGetRelid(store->member.rel);

#if PG_VERSION_NUM >= 160000
	result = table_tuple_update(store->member.rel, &row->tid, slot,
								GetCurrentCommandId(true), InvalidSnapshot, InvalidSnapshot,
								true, &failure, &lockmode, &which_indexes);
	update_indexes = which_indexes != TU_None;
#else
	result = table_tuple_update(store->member.rel, &row->tid, slot,
								GetCurrentCommandId(true), InvalidSnapshot, InvalidSnapshot,
								true, &failure, &lockmode, &update_indexes);
#endif
	if (result != TM_Ok)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("member " INT64_FORMAT " was changed twice by one command", row->member_id)));
	if (update_indexes)
		insert_index_entries(store, &store->member, slot, true);
	row->tid = slot->tts_tid;
	store->wrote = true;
}
