/*
 * storage_member.c
 *		Rows of member: found, locked, visited and updated.
 *
 * Whoever posts holds the member's row locked, in its latest version; where the
 * transaction has one snapshot for all that it does, a later one is an error.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "ledger/storage_private.h"
#include "loyalty.h"

/* Columns of member, in order. */
enum
{
	Anum_member_member_id = 1,
	Anum_member_seq,
	Anum_member_lifetime,
	Anum_member_awaiting,
	Anum_member_held,
	Anum_member_enrolled_at,
	Anum_member_last_activity,
	Anum_member_tier_since,
	Anum_member_hold_until,
	Anum_member_program_id,
	Anum_member_next_expiry,
	Anum_member_purchases,
	Anum_member_tier_changes,
	Anum_member_tier_until,
	Anum_member_tier_floor_until,
	Anum_member_tally_since,
	Anum_member_ref,
	Anum_member_status,
	Anum_member_purse,
	Anum_member_head,
	Anum_member_tally,
	Anum_member_tier,
	Anum_member_tier_own,
	Anum_member_tier_floor,
	Natts_member = Anum_member_tier_floor
};

/* Where members are found for whom something falls due. */
#define DUE_INDEX "member_next_expiry_idx"

static const char *const status_names[] = {"active", "suspended", "closed", "merged", "forgotten"};

/* Fetch the member's row into member_slot. */
static bool
fetch_member(Store *store, int64 member_id)
{
	ScanKeyData key;

	if (store->member_scan == NULL)
		store_begin_scan(store, &store->member, 1, &store->member_scan, &store->member_slot);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	index_rescan(store->member_scan, &key, 1, NULL, 0);
	return store_next(store, store->member_scan, store->member_slot);
}

/* The status of this name, one of the first "known"; 22023 for another one. */
static MemberStatus
status_from_text(const text *value, int known)
{
	int			i;

	for (i = 0; i < known; i++)
		if (VARSIZE_ANY_EXHDR(value) == strlen(status_names[i]) &&
			memcmp(VARDATA_ANY(value), status_names[i], strlen(status_names[i])) == 0)
			return (MemberStatus) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("member status \"%s\" is not known", text_to_cstring(value)),
			 errhint("It is active, suspended or closed.")));
}

MemberStatus
store_status_from_text(const text *value)
{
	return status_from_text(value, MEMBER_MERGED);
}

static DateADT
unpack_date(Datum value, bool isnull)
{
	return isnull ? DATEVAL_NOEND : DatumGetDateADT(value);
}

static text *
unpack_text(Datum value, bool isnull)
{
	return isnull ? NULL : DatumGetTextPCopy(value);
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
	row->awaiting = DatumGetPoints(values[Anum_member_awaiting]);
	row->held = DatumGetPoints(values[Anum_member_held]);
	row->enrolled_at = DatumGetTimestampTz(values[Anum_member_enrolled_at]);
	row->last_activity = nulls[Anum_member_last_activity] ? DT_NOBEGIN
		: DatumGetTimestampTz(values[Anum_member_last_activity]);
	row->hold_until = nulls[Anum_member_hold_until] ? DT_NOEND
		: DatumGetTimestampTz(values[Anum_member_hold_until]);
	row->program_id = DatumGetInt32(values[Anum_member_program_id]);
	row->next_expiry = unpack_date(values[Anum_member_next_expiry], nulls[Anum_member_next_expiry]);
	row->purchases = DatumGetInt32(values[Anum_member_purchases]);
	row->ref = DatumGetTextPCopy(values[Anum_member_ref]);
	row->status = status_from_text(DatumGetTextPP(values[Anum_member_status]), lengthof(status_names));
	purse_init(&row->purse);
	purse_read(&row->purse, values[Anum_member_purse]);
	row->tally = PointerGetDatum(PG_DETOAST_DATUM_COPY(values[Anum_member_tally]));
	row->tally_since = unpack_date(values[Anum_member_tally_since], nulls[Anum_member_tally_since]);
	row->tier = unpack_text(values[Anum_member_tier], nulls[Anum_member_tier]);
	row->tier_own = unpack_text(values[Anum_member_tier_own], nulls[Anum_member_tier_own]);
	row->tier_floor = unpack_text(values[Anum_member_tier_floor], nulls[Anum_member_tier_floor]);
	row->tier_since = nulls[Anum_member_tier_since] ? DT_NOBEGIN
		: DatumGetTimestampTz(values[Anum_member_tier_since]);
	row->tier_until = unpack_date(values[Anum_member_tier_until], nulls[Anum_member_tier_until]);
	row->tier_floor_until = unpack_date(values[Anum_member_tier_floor_until],
										nulls[Anum_member_tier_floor_until]);
	row->tier_changes = DatumGetInt32(values[Anum_member_tier_changes]);

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
		while (store_next(store, scan, store->visit_slot))
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

/* Put what the row says of tiers into the columns. */
static void
pack_tier(const MemberRow *row, Datum *values, bool *nulls)
{
	values[Anum_member_tally] = row->tally;
	values[Anum_member_tally_since] = DateADTGetDatum(row->tally_since);
	nulls[Anum_member_tally_since] = DATE_IS_NOEND(row->tally_since);
	values[Anum_member_tier] = PointerGetDatum(row->tier);
	nulls[Anum_member_tier] = row->tier == NULL;
	values[Anum_member_tier_own] = PointerGetDatum(row->tier_own);
	nulls[Anum_member_tier_own] = row->tier_own == NULL;
	values[Anum_member_tier_floor] = PointerGetDatum(row->tier_floor);
	nulls[Anum_member_tier_floor] = row->tier_floor == NULL;
	values[Anum_member_tier_since] = TimestampTzGetDatum(row->tier_since);
	nulls[Anum_member_tier_since] = TIMESTAMP_IS_NOBEGIN(row->tier_since);
	values[Anum_member_tier_until] = DateADTGetDatum(row->tier_until);
	nulls[Anum_member_tier_until] = DATE_IS_NOEND(row->tier_until);
	values[Anum_member_tier_floor_until] = DateADTGetDatum(row->tier_floor_until);
	nulls[Anum_member_tier_floor_until] = DATE_IS_NOEND(row->tier_floor_until);
	values[Anum_member_tier_changes] = Int32GetDatum(row->tier_changes);
}

/* Put the row into the slot, and check the constraints. */
static void
pack_member(Store *store, const MemberRow *row, TupleTableSlot *slot)
{
	Datum	   *values = slot->tts_values - 1;
	bool	   *nulls = slot->tts_isnull - 1;

	memset(slot->tts_isnull, false, Natts_member * sizeof(bool));
	values[Anum_member_member_id] = Int64GetDatum(row->member_id);
	values[Anum_member_seq] = Int64GetDatum(row->seq);
	values[Anum_member_lifetime] = PointsGetDatum(row->lifetime);
	values[Anum_member_awaiting] = PointsGetDatum(row->awaiting);
	values[Anum_member_held] = PointsGetDatum(row->held);
	values[Anum_member_enrolled_at] = TimestampTzGetDatum(row->enrolled_at);
	values[Anum_member_last_activity] = TimestampTzGetDatum(row->last_activity);
	nulls[Anum_member_last_activity] = TIMESTAMP_IS_NOBEGIN(row->last_activity);
	values[Anum_member_hold_until] = TimestampTzGetDatum(row->hold_until);
	nulls[Anum_member_hold_until] = TIMESTAMP_IS_NOEND(row->hold_until);
	values[Anum_member_program_id] = Int32GetDatum(row->program_id);
	values[Anum_member_next_expiry] = DateADTGetDatum(row->next_expiry);
	nulls[Anum_member_next_expiry] = DATE_IS_NOEND(row->next_expiry);
	values[Anum_member_purchases] = Int32GetDatum(row->purchases);
	values[Anum_member_ref] = PointerGetDatum(row->ref);
	values[Anum_member_status] = store_bytes(status_names[row->status],
											 strlen(status_names[row->status]));
	values[Anum_member_purse] = purse_pack(&row->purse);
	values[Anum_member_head] = store_bytes(row->head, row->has_head ? HASH_LENGTH : 0);
	pack_tier(row, values, nulls);
	ExecStoreVirtualTuple(slot);
	store_check_constraints(store, &store->member, slot);
	slot->tts_tableOid = RelationGetRelid(store->member.rel);
}

/* Begin to look members up with a snapshot. */
static void
begin_look(Store *store, Snapshot snapshot, IndexScanDesc *scan, TupleTableSlot **slot)
{
	Snapshot	reading = store->snapshot;

	store->snapshot = snapshot;
	store_begin_scan(store, &store->member, 1, scan, slot);
	store->snapshot = reading;
}

static bool
look(Store *store, IndexScanDesc scan, TupleTableSlot *slot, int64 member_id)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	index_rescan(scan, &key, 1, NULL, 0);
	return store_next(store, scan, slot);
}

/*
 * The first of the rows whose place is taken, also by the one before it, nrows if
 * none is; and whose transaction took it, if that is another one, still running.
 * Whoever is inserting a row is seen by a dirty look; but that misses a row that
 * moves between the index and the table, which has been committed then.
 */
static int
first_taken(Store *store, MemberRow **rows, int nrows, TransactionId *taker)
{
	TupleTableSlot *slots[2] = {NULL, NULL};
	IndexScanDesc scans[2] = {NULL, NULL};
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	SnapshotData dirty;
	int			i;

	*taker = InvalidTransactionId;
	InitDirtySnapshot(dirty);
	begin_look(store, &dirty, &scans[0], &slots[0]);
	begin_look(store, latest, &scans[1], &slots[1]);
	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if ((i > 0 && rows[i - 1]->member_id == rows[i]->member_id) ||
			look(store, scans[1], slots[1], rows[i]->member_id))
			break;
		if (look(store, scans[0], slots[0], rows[i]->member_id))
		{
			*taker = dirty.xmin;
			break;
		}
	}
	store_end_scan(&scans[0], &slots[0]);
	store_end_scan(&scans[1], &slots[1]);
	UnregisterSnapshot(latest);
	return i;
}

/* Write what is gathered of the rows up to "end"; where each lies is put into it. */
static void
write_members(Store *store, MemberRow **rows, int end)
{
	int			count = store->member.nbuffered;
	int			i;

	store_write_slots(store, &store->member);
	for (i = 0; i < count; i++)
		rows[end - count + i]->tid = store->member.slots[i]->tts_tid;
}

/*
 * The lock on the table's first page stands for all new rows: who has it looks
 * whose places are free, and takes them, and waits for nobody meanwhile.  Two
 * who enroll one member would otherwise find each other's rows, and wait for
 * each other.
 */
int
store_enroll_members(Store *store, MemberRow **rows, int nrows, bool all, TransactionId *taker)
{
	int			nfree;
	int			i;

	/* Where somebody may have to be waited for. */
	store_open_indexes(store, &store->member);
	LockPage(store->member.rel, 0, ExclusiveLock);
	nfree = first_taken(store, rows, nrows, taker);
	if (all && nfree < nrows)
		nfree = 0;
	for (i = 0; i < nfree; i++)
	{
		if (store->member.nbuffered == MAX_BUFFERED_ROWS)
			write_members(store, rows, i);
		pack_member(store, rows[i], store_next_slot(store, &store->member));
	}
	write_members(store, rows, nfree);
	UnlockPage(store->member.rel, 0, ExclusiveLock);
	/* So that they can be changed. */
	if (nfree > 0)
		CommandCounterIncrement();
	return nfree;
}

void
store_update_member(Store *store, MemberRow *row)
{
	TupleTableSlot *slot = ExecClearTuple(store->update_slot);
	TM_FailureData failure;
	TM_Result	result;
	LockTupleMode lockmode;
	bool		update_indexes;
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes which_indexes;
#endif

	Assert(ItemPointerIsValid(&row->tid));
	pack_member(store, row, slot);

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
		store_insert_index_entries(store, &store->member, slot, true);
	row->tid = slot->tts_tid;
	store->wrote = true;
}
