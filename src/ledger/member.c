/*
 * member.c
 *		Who a ref is, how he is locked, and how he becomes a member.
 *
 * member_id is computed from the program and the ref, so no counter is shared
 * and any client knows where a member lives.  The ref in the row is checked
 * whenever it is read; member_alias holds the exceptions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/holdings.h"
#include "ledger/member.h"
#include "ledger/probe.h"
#include "ledger/unwritten.h"
#include "loyalty.h"
#include "types/calendar.h"
#include "types/sha256.h"
#include "types/tally.h"

PG_FUNCTION_INFO_V1(loyalty_member_id);

/* Columns of member_alias; the first two are its key. */
enum
{
	Anum_alias_program_id = 1,
	Anum_alias_ref,
	Anum_alias_member_id
};

/*
 * sha256(program || '\0' || ref), in UTF-8.  "attempt" above 0 gives another
 * digest, for the day on which two refs compute the same place.
 */
static void
digest_ref(const char *program, int program_length,
		   const char *ref, int ref_length, int attempt, uint8 *digest)
{
	char	   *utf8_program = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, program),
																  program_length, GetDatabaseEncoding(), PG_UTF8);
	char	   *utf8_ref = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, ref),
															  ref_length, GetDatabaseEncoding(), PG_UTF8);
	StringInfoData bytes;

	if (utf8_program != program)
		program_length = strlen(utf8_program);
	if (utf8_ref != ref)
		ref_length = strlen(utf8_ref);
	initStringInfo(&bytes);
	appendBinaryStringInfo(&bytes, utf8_program, program_length);
	appendStringInfoChar(&bytes, '\0');
	appendBinaryStringInfo(&bytes, utf8_ref, ref_length);
	if (attempt > 0)
	{
		appendStringInfoChar(&bytes, '\0');
		appendStringInfo(&bytes, "%d", attempt);
	}
	sha256(bytes.data, bytes.len, digest);
	pfree(bytes.data);
}

/* Its first 8 bytes, sign bit cleared. */
static int64
compute_member_id(const char *program, int program_length,
				  const char *ref, int ref_length, int attempt)
{
	uint8		digest[HASH_LENGTH];
	uint64		id;

	digest_ref(program, program_length, ref, ref_length, attempt, digest);
	memcpy(&id, digest, sizeof(id));
	return (int64) (pg_ntoh64(id) & PG_INT64_MAX);
}

text *
member_ref_digest(const Program *program, const text *ref)
{
	int			prefix = strlen(FORGOTTEN_REF);
	char	   *hex = palloc(prefix + HASH_LENGTH * 2 + 1);
	uint8		digest[HASH_LENGTH];

	digest_ref(program->name, strlen(program->name), VARDATA_ANY(ref), VARSIZE_ANY_EXHDR(ref), 0, digest);
	memcpy(hex, FORGOTTEN_REF, prefix);
	hex[prefix + hex_encode((char *) digest, HASH_LENGTH, hex + prefix)] = '\0';
	return cstring_to_text(hex);
}

/* What member_alias says of exactly this; false when it says nothing. */
static bool
find_alias_of(Config *config, const Program *program, const text *ref, int64 *member_id)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	Probe		probe;
	ScanKeyData keys[2];
	HeapTuple	row;
	bool		isnull;

	ScanKeyInit(&keys[0], Anum_alias_program_id, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(program->program_id));
	ScanKeyInit(&keys[1], Anum_alias_ref, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(ref));
	row = probe_begin(&probe, config->alias_rel, snapshot, keys, lengthof(keys));
	if (row != NULL)
		*member_id = DatumGetInt64(heap_getattr(row, Anum_alias_member_id, RelationGetDescr(probe.rel), &isnull));
	probe_end(&probe);
	UnregisterSnapshot(snapshot);
	return row != NULL;
}

/* What member_alias says of a ref, or of its digest since its member was forgotten. */
static bool
find_alias(Config *config, const Program *program, const text *ref, int64 *member_id)
{
	return find_alias_of(config, program, ref, member_id) ||
		(program->has_forgotten && find_alias_of(config, program, member_ref_digest(program, ref), member_id));
}

int64
member_resolve(Config *config, const Program *program, const text *ref)
{
	int64		member_id;

	if (program->has_aliases && find_alias(config, program, ref, &member_id))
		return member_id;
	return compute_member_id(program->name, strlen(program->name),
							 VARDATA_ANY(ref), VARSIZE_ANY_EXHDR(ref), 0);
}

bool
member_is(Config *config, const Program *program, const MemberRow *row, const text *ref)
{
	int64		aliased;

	/* Of who was forgotten nobody is told that he was here. */
	if (row->status == MEMBER_FORGOTTEN)
		return false;
	return same_text(row->ref, ref) ||
		(find_alias(config, program, ref, &aliased) && aliased == row->member_id);
}

/*
 * What next_expiry is going to be once a new member earns.  Lower bound as it
 * is, it may stand in his row from the start: then neither his first posting
 * nor those after it change what is indexed.
 */
static DateADT
expected_expiry(const Program *program, TimestampTz enrolled_at)
{
	DateADT		day = calendar_day(enrolled_at, program->zone);

	return Min(expiry_last_day(program->expiry, calendar_add_days(day, program->pending_days)),
			   holdings_inactive_end(program, DT_NOBEGIN, enrolled_at));
}

/* Somebody else lives where this ref computes: find it another place. */
static void
resolve_collision(Config *config, const Program *program, MemberRequest *request)
{
	EngineScope scope;
	Oid			types[3] = {INT4OID, TEXTOID, INT8OID};
	Datum		values[3];
	int			attempt;

	for (attempt = 1;; attempt++)
	{
		int64		place = compute_member_id(program->name, strlen(program->name),
											  VARDATA_ANY(request->ref),
											  VARSIZE_ANY_EXHDR(request->ref), attempt);

		CHECK_FOR_INTERRUPTS();
		values[0] = Int32GetDatum(program->program_id);
		values[1] = PointerGetDatum(request->ref);
		values[2] = Int64GetDatum(place);
		engine_enter(&scope, config->owner);
		SPI_connect();
		SPI_execute_with_args("INSERT INTO loyalty.member_alias (program_id, ref, member_id)"
							  " SELECT $1, $2, $3 WHERE NOT EXISTS"
							  " (SELECT FROM loyalty.member m WHERE m.member_id = $3)"
							  " ON CONFLICT (program_id, ref) DO NOTHING",
							  3, types, values, NULL, false, 0);
		SPI_finish();
		engine_leave(&scope);
		if (find_alias(config, program, request->ref, &request->member_id))
			break;
	}
	config_invalidate(config);
}

/* Look at one member under a new snapshot and lock him; false when nobody is there. */
static bool
lock_one(Store *store, const Program *program, MemberRequest *request)
{
	MemberRow  *row = palloc(sizeof(MemberRow));

	if (!store_lock_member(store, request->member_id, row))
	{
		pfree(row);
		return false;
	}
	if (row->program_id != program->program_id)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("member " INT64_FORMAT " belongs to another program", request->member_id)));
	request->row = row;
	return true;
}

void
member_newcomer(const Program *program, int64 member_id, text *ref, TimestampTz at, MemberRow *row)
{
	Tally		tally;

	memset(row, 0, sizeof(*row));
	ItemPointerSetInvalid(&row->tid);
	row->member_id = member_id;
	row->program_id = program->program_id;
	row->ref = ref;
	row->status = MEMBER_ACTIVE;
	row->enrolled_at = at;
	row->last_activity = DT_NOBEGIN;
	row->hold_until = DT_NOEND;
	row->next_expiry = expected_expiry(program, at);
	purse_init(&row->purse);
	tally_init(&tally);
	row->tally = tally_pack(&tally);
	row->tally_since = DATEVAL_NOEND;
	row->tier = program->base_tier;
	row->tier_since = program->base_tier == NULL ? DT_NOBEGIN : at;
	row->tier_until = DATEVAL_NOEND;
	row->tier_floor_until = DATEVAL_NOEND;
}

static MemberRow *
make_row(const Program *program, const MemberRequest *request)
{
	MemberRow  *row = palloc(sizeof(MemberRow));

	member_newcomer(program, request->member_id, request->ref, request->enrolled_at, row);
	return row;
}

/*
 * Enroll the waiting requests and lock them, one after the other.  Whoever is
 * enrolling one of them at the same time makes us wait, and is found afterwards.
 */
static void
enroll_and_lock(Store *store, const Program *program, MemberRequest **waiting, int nwaiting)
{
	MemberRow **rows = palloc(sizeof(MemberRow *) * nwaiting);
	int			done;
	int			i;

	for (i = 0; i < nwaiting; i++)
		rows[i] = make_row(program, waiting[i]);
	for (done = 0; done < nwaiting;)
	{
		TransactionId taker;
		Snapshot	snapshot;
		int			enrolled = store_enroll_members(store, &rows[done], nwaiting - done, false, &taker);

		CHECK_FOR_INTERRUPTS();
		for (i = done; i < done + enrolled; i++)
			waiting[i]->row = rows[i];
		done += enrolled;
		if (done == nwaiting)
			break;
		if (TransactionIdIsValid(taker))
		{
			XactLockTableWait(taker, NULL, NULL, XLTW_None);
			continue;
		}
		snapshot = store_snapshot();
		store_begin_read(store, snapshot);
		if (!lock_one(store, program, waiting[done++]))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update"),
					 errhint("The transaction might succeed if retried.")));
		store_end_read(store);
		UnregisterSnapshot(snapshot);
	}
	pfree(rows);
}

/* Give the waiting requests unwritten rows, where that is asked for and each has a place of his own. */
static bool
give_unwritten(const Program *program, MemberRequest **waiting, int nwaiting)
{
	int			i;

	for (i = 0; i < nwaiting; i++)
		if (!waiting[i]->unwritten_too || (i > 0 && waiting[i - 1]->member_id == waiting[i]->member_id))
			return false;
	for (i = 0; i < nwaiting; i++)
		waiting[i]->row = make_row(program, waiting[i]);
	return true;
}

/*
 * A member whom the transaction's snapshot does not see may have been enrolled
 * since, and have entries that we would miss.
 */
static void
check_unseen(Store *store, const MemberRequest *requests, int nrequests)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	int			i;

	store_begin_read(store, snapshot);
	for (i = 0; i < nrequests; i++)
		if (requests[i].row == NULL && store_member_exists(store, requests[i].member_id))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update"),
					 errhint("The transaction might succeed if retried.")));
	store_end_read(store);
	UnregisterSnapshot(snapshot);
}

/*
 * Whether the row that was locked is the one that the request's ref means.  Who
 * was forgotten has no ref any more: his are those that lead to him.
 */
static bool
is_whom_it_means(Config *config, const Program *program, const MemberRequest *request)
{
	if (request->row->status == MEMBER_FORGOTTEN)
		return true;
	return request->row->status != MEMBER_MERGED && member_is(config, program, request->row, request->ref);
}

/*
 * While we waited for the lock, the ref has come to mean somebody else: members
 * were merged, or parted.  Lock whom it means now; false when it leads nowhere
 * else.  What we hold already may stand behind him in the order of locking, so
 * this can deadlock, with a third one who wants both at this very moment: only
 * the lock could tell us.
 */
static bool
follow_ref(Config *config, Store *store, const Program *program, MemberRequest *request)
{
	for (;;)
	{
		int64		place;
		Snapshot	snapshot;

		CHECK_FOR_INTERRUPTS();
		if (!find_alias(config, program, request->ref, &place))
			place = compute_member_id(program->name, strlen(program->name),
									  VARDATA_ANY(request->ref), VARSIZE_ANY_EXHDR(request->ref), 0);
		if (place == request->member_id)
			return false;
		request->member_id = place;
		request->row = NULL;
		snapshot = store_snapshot();
		store_begin_read(store, snapshot);
		(void) lock_one(store, program, request);
		store_end_read(store);
		UnregisterSnapshot(snapshot);
		if (request->row == NULL || is_whom_it_means(config, program, request))
			return true;
	}
}

/* Refs that mean one member, and were asked for each by itself, get one row of his. */
static void
share_rows(MemberRequest *requests, int nrequests)
{
	bool		in_order = true;
	int			i;
	int			j;

	for (i = 1; i < nrequests; i++)
	{
		MemberRequest *request = &requests[i];

		in_order &= requests[i - 1].member_id <= request->member_id;
		if (request->row == NULL)
			continue;
		/* Those who came to mean another member stand anywhere. */
		for (j = i - 1; j >= 0 && (!in_order || requests[j].member_id == request->member_id); j--)
			if (requests[j].row != NULL && requests[j].row->member_id == request->row->member_id)
				request->row = requests[j].row;
	}
}

void
members_lock(Config *config, Store *store, const Program *program,
			 MemberRequest *requests, int nrequests)
{
	MemberRequest **waiting = palloc(sizeof(MemberRequest *) * nrequests);
	int			nwaiting = 0;
	Snapshot	snapshot = NULL;
	int			i;

	/*
	 * New members wait until the next existing one, so that many are enrolled
	 * by one statement, and yet every lock is taken in ascending order.
	 */
	for (i = 0; i < nrequests; i++)
	{
		MemberRequest *request = &requests[i];

		CHECK_FOR_INTERRUPTS();
		Assert(i == 0 || requests[i - 1].member_id <= request->member_id);
		request->row = NULL;
		if (snapshot == NULL)
		{
			snapshot = store_snapshot();
			store_begin_read(store, snapshot);
		}
		if (nwaiting > 0 && !store_member_exists(store, request->member_id))
		{
			if (request->enroll)
				waiting[nwaiting++] = request;
			continue;
		}
		if (nwaiting > 0)
		{
			store_end_read(store);
			UnregisterSnapshot(snapshot);
			enroll_and_lock(store, program, waiting, nwaiting);
			nwaiting = 0;
			snapshot = store_snapshot();
			store_begin_read(store, snapshot);
		}
		if (!lock_one(store, program, request) && request->enroll)
			waiting[nwaiting++] = request;
	}
	if (snapshot != NULL)
	{
		store_end_read(store);
		UnregisterSnapshot(snapshot);
	}
	if (!give_unwritten(program, waiting, nwaiting))
		enroll_and_lock(store, program, waiting, nwaiting);
	if (IsolationUsesXactSnapshot())
		check_unseen(store, requests, nrequests);
	config_look_for_merges(config, program);

	for (i = 0; i < nrequests; i++)
	{
		MemberRequest *request = &requests[i];

		if (request->row == NULL || request->ref == NULL || is_whom_it_means(config, program, request))
			continue;
		if (request->row->status == MEMBER_MERGED)
			config_note_merges(config, program);
		if (follow_ref(config, store, program, request))
			continue;

		/* The place of a ref may be taken by another one (one chance in 2^63).  Only a newcomer gets a place of his own. */
		request->row = NULL;
		if (!request->enroll)
			continue;
		resolve_collision(config, program, request);
		enroll_and_lock(store, program, &request, 1);
	}
	share_rows(requests, nrequests);
	pfree(waiting);

	for (i = 0; i < nrequests; i++)
	{
		if (requests[i].row == NULL)
			continue;
		if (requests[i].row->status != MEMBER_FORGOTTEN)
			(void) member_bring_current(config, store, requests[i].row, GetCurrentTransactionStartTimestamp());
		else if (!requests[i].forgotten_too)
			member_forgotten(program, requests[i].ref);
	}
}

void
member_unknown(const Program *program, const text *ref)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_UNKNOWN_MEMBER),
			 errmsg("member \"%s\" of program \"%s\" does not exist",
					text_to_cstring(ref), program->name),
			 errhint("loyalty.enroll makes a customer a member.")));
}

void
member_forgotten(const Program *program, const text *ref)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_MEMBER_STATUS),
			 ref != NULL
			 ? errmsg("member \"%s\" of program \"%s\" has been forgotten", text_to_cstring(ref), program->name)
			 : errmsg("a member of program \"%s\" whom this is about has been forgotten", program->name),
			 errdetail("What was known of this person was erased, and nothing is posted to that ledger any more."),
			 errhint("A customer who comes back gets a new customer id.")));
}

text *
member_argument(FunctionCallInfo fcinfo, int argno)
{
	text	   *ref;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("member must not be null")));
	if (get_fn_expr_argtype(fcinfo->flinfo, argno) == INT8OID)
		return cstring_to_text(psprintf(INT64_FORMAT, PG_GETARG_INT64(argno)));
	ref = PG_GETARG_TEXT_PP(argno);
	if (VARSIZE_ANY_EXHDR(ref) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("member must not be empty")));
	return ref;
}

/* member_id(ref text, program text) → bigint */
Datum
loyalty_member_id(PG_FUNCTION_ARGS)
{
	text	   *ref = PG_GETARG_TEXT_PP(0);
	text	   *program = PG_GETARG_TEXT_PP(1);

	PG_RETURN_INT64(compute_member_id(VARDATA_ANY(program), VARSIZE_ANY_EXHDR(program),
									  VARDATA_ANY(ref), VARSIZE_ANY_EXHDR(ref), 0));
}

/* Lock one member by his ref, outside of any purchase; NULL row when unknown and not enrolled. */
void
member_lock(Config *config, Store *store, const Program *program, text *ref,
			bool enroll, TimestampTz enrolled_at, MemberRequest *request)
{
	memset(request, 0, sizeof(*request));
	request->member_id = member_resolve(config, program, ref);
	request->ref = ref;
	request->enroll = enroll;
	request->enrolled_at = enrolled_at;
	members_lock(config, store, program, request, 1);
}
