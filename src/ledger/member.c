/*
 * member.c
 *		Who a ref is, how he is locked, and how he becomes a member.
 *
 * member_id is computed from the program and the ref, so no counter is shared
 * and any client knows where a member lives.  The ref in the row is checked
 * whenever it is read; member_alias holds the exceptions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/holdings.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "types/calendar.h"
#include "types/sha256.h"

PG_FUNCTION_INFO_V1(loyalty_member_id);
PG_FUNCTION_INFO_V1(loyalty_enroll);
PG_FUNCTION_INFO_V1(loyalty_set_member);

MemberSilence member_silence = NULL;
MemberLapse member_lapse = NULL;

/*
 * The first 8 bytes of sha256(program || '\0' || ref), sign bit cleared, in
 * UTF-8.  "attempt" above 0 gives another place, for the day on which two refs
 * compute the same one.
 */
static int64
compute_member_id(const char *program, int program_length,
				  const char *ref, int ref_length, int attempt)
{
	char	   *utf8_program = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, program),
																  program_length, GetDatabaseEncoding(), PG_UTF8);
	char	   *utf8_ref = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, ref),
															  ref_length, GetDatabaseEncoding(), PG_UTF8);
	StringInfoData bytes;
	uint8		digest[HASH_LENGTH];
	uint64		id;

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
	memcpy(&id, digest, sizeof(id));
	return (int64) (pg_ntoh64(id) & PG_INT64_MAX);
}

/* What member_alias says of a ref; false when it says nothing. */
static bool
find_alias(Config *config, const Program *program, const text *ref, int64 *member_id)
{
	EngineScope scope;
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(program->program_id), PointerGetDatum(ref)};
	bool		found;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT member_id FROM loyalty.member_alias"
						  " WHERE program_id = $1 AND ref = $2",
						  2, types, values, NULL, true, 1);
	PopActiveSnapshot();
	found = SPI_processed > 0;
	if (found)
	{
		bool		isnull;

		*member_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												 SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	engine_leave(&scope);
	return found;
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

/* Insert rows for new members, in the order given; existing ones are left alone. */
static void
insert_members(Config *config, const Program *program, MemberRequest **requests, int nrequests)
{
	Datum	   *ids = palloc(sizeof(Datum) * nrequests);
	Datum	   *refs = palloc(sizeof(Datum) * nrequests);
	Datum	   *times = palloc(sizeof(Datum) * nrequests);
	Datum	   *days = palloc(sizeof(Datum) * nrequests);
	Oid			types[6] = {INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, DATEARRAYOID, INT4OID, TEXTOID};
	Datum		values[6];
	EngineScope scope;
	int			i;

	for (i = 0; i < nrequests; i++)
	{
		ids[i] = Int64GetDatum(requests[i]->member_id);
		refs[i] = PointerGetDatum(requests[i]->ref);
		times[i] = TimestampTzGetDatum(requests[i]->enrolled_at);
		days[i] = DateADTGetDatum(expected_expiry(program, requests[i]->enrolled_at));
	}
	values[0] = PointerGetDatum(construct_array(ids, nrequests, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = PointerGetDatum(construct_array(refs, nrequests, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(times, nrequests, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[3] = PointerGetDatum(construct_array(days, nrequests, DATEOID, sizeof(DateADT), true, TYPALIGN_INT));
	values[4] = Int32GetDatum(program->program_id);
	values[5] = PointerGetDatum(program->base_tier);

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.member (member_id, ref, enrolled_at, next_expiry, program_id, tier, tier_since)"
							  " SELECT m.member_id, m.ref, m.enrolled_at, nullif(m.next_expiry, 'infinity'), $5,"
							  " $6, CASE WHEN $6 IS NOT NULL THEN m.enrolled_at END"
							  " FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
							  " pg_catalog.unnest($3), pg_catalog.unnest($4))"
							  " AS m (member_id, ref, enrolled_at, next_expiry)"
							  " ON CONFLICT (member_id) DO NOTHING",
							  6, types, values, program->base_tier == NULL ? "     n" : NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not enroll members");
	SPI_finish();
	engine_leave(&scope);
	pfree(ids);
	pfree(refs);
	pfree(times);
	pfree(days);
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

/*
 * Enroll the waiting requests and lock them.  Whoever inserts one of them at
 * the same time makes us wait, and is found afterwards.
 */
static void
enroll_and_lock(Config *config, Store *store, const Program *program,
				MemberRequest **waiting, int nwaiting)
{
	Snapshot	snapshot;
	int			i;

	if (nwaiting == 0)
		return;
	insert_members(config, program, waiting, nwaiting);
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	for (i = 0; i < nwaiting; i++)
		if (!lock_one(store, program, waiting[i]))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent enrollment")));
	store_end_read(store);
	UnregisterSnapshot(snapshot);
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
			enroll_and_lock(config, store, program, waiting, nwaiting);
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
	enroll_and_lock(config, store, program, waiting, nwaiting);
	if (IsolationUsesXactSnapshot())
		check_unseen(store, requests, nrequests);

	/*
	 * The place of a ref may be taken by another one (one chance in 2^63, or
	 * a member who was renamed).  Only a newcomer gets a place of his own.
	 */
	for (i = 0; i < nrequests; i++)
	{
		MemberRequest *request = &requests[i];

		if (request->row == NULL || request->ref == NULL || member_is(config, program, request->row, request->ref))
			continue;
		request->row = NULL;
		if (!request->enroll)
			continue;
		resolve_collision(config, program, request);
		enroll_and_lock(config, store, program, &request, 1);
	}
	pfree(waiting);

	for (i = 0; i < nrequests; i++)
		if (requests[i].row != NULL)
			(void) member_bring_current(config, store, requests[i].row, GetCurrentTransactionStartTimestamp());
}

int
member_bring_current(Config *config, Store *store, MemberRow *row, TimestampTz at)
{
	pg_tz	   *zone;
	int			total = 0;

	if (row->awaiting == 0 && row->hold_until > at)
		return 0;
	zone = config_program_by_id(config, row->program_id)->zone;
	while (row->hold_until <= at)
	{
		int			lapsed;

		CHECK_FOR_INTERRUPTS();
		if (row->awaiting != 0)
			member_silence(config, store, row, calendar_day(row->hold_until, zone));
		lapsed = member_lapse(config, store, row);
		if (lapsed == 0)
			break;
		total += lapsed;
	}
	if (row->awaiting != 0)
		member_silence(config, store, row, calendar_day(at, zone));
	return total;
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

/* Whether the ref is a member's. */
static bool
member_is_known(Config *config, const Program *program, const text *ref, int64 member_id)
{
	Store	   *store = store_open(config, false);
	Snapshot	snapshot = store_snapshot();
	MemberRow	row;
	bool		known;

	store_begin_read(store, snapshot);
	known = store_find_member(store, member_id, &row) && member_is(config, program, &row, ref);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	store_close(store);
	return known;
}

void
member_write_profile(Config *config, const MemberRow *row, Datum *values, const char *nulls)
{
	/* values: birthday, segments, referred_by, data */
	Oid			types[6] = {INT8OID, INT4OID, DATEOID, TEXTARRAYOID, INT8OID, JSONBOID};
	Datum		args[6];
	char		arg_nulls[6];
	EngineScope scope;

	args[0] = Int64GetDatum(row->member_id);
	args[1] = Int32GetDatum(row->program_id);
	memcpy(&args[2], values, 4 * sizeof(Datum));
	memset(arg_nulls, ' ', 2);
	memcpy(&arg_nulls[2], nulls, 4);

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.profile AS p"
							  " (member_id, program_id, birthday, segments, referred_by, data)"
							  " VALUES ($1, $2, $3, coalesce($4, '{}'), $5, coalesce($6, '{}'))"
							  " ON CONFLICT (member_id) DO UPDATE SET"
							  " birthday = coalesce($3, p.birthday),"
							  " segments = coalesce($4, p.segments),"
							  " referred_by = coalesce(p.referred_by, $5),"
							  " data = p.data || coalesce($6, '{}')",
							  6, types, args, arg_nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write profile");
	SPI_finish();
	engine_leave(&scope);
}

/*
 * Take birthday and segments out of a profile given as JSON; the rest of it is
 * data.  22023 unless it is an object with fields of the right kind.
 */
static void
split_profile(Config *config, Jsonb *profile, Datum *values, char *nulls)
{
	EngineScope scope;
	Oid			types[1] = {JSONBOID};
	Datum		args[1] = {JsonbPGetDatum(profile)};
	MemoryContext caller = CurrentMemoryContext;
	int			field;

	if (!JB_ROOT_IS_OBJECT(profile))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("profile must be a JSON object"),
				 errhint("For instance '{\"birthday\": \"1990-05-17\", \"segments\": [\"vip\"], \"name\": \"Ada\"}'.")));

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT ($1 ->> 'birthday')::pg_catalog.date,"
						  " CASE WHEN $1 -> 'segments' <> 'null' THEN ARRAY(SELECT pg_catalog.jsonb_array_elements_text($1 -> 'segments')) END,"
						  " NULL::pg_catalog.int8,"
						  " $1 - '{birthday,segments}'::pg_catalog.text[]",
						  1, types, args, NULL, true, 1);
	for (field = 0; field < 4; field++)
	{
		static const Oid kinds[4] = {DATEOID, TEXTARRAYOID, INT8OID, JSONBOID};
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, field + 1, &isnull);
		MemoryContext spi = MemoryContextSwitchTo(caller);

		nulls[field] = isnull ? 'n' : ' ';
		values[field] = isnull ? (Datum) 0
			: (kinds[field] == TEXTARRAYOID || kinds[field] == JSONBOID
			   ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value)) : value);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	engine_leave(&scope);
}

/* enroll(member, profile, referred_by, key, at, program) → member_id */
Datum
loyalty_enroll(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	TimestampTz at = PG_ARGISNULL(4) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(4);
	Program    *program = config_program(config, text_argument(fcinfo, 5));
	Store	   *store;
	MemberRequest request;

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be a finite time")));

	store = store_open(config, true);
	member_lock(config, store, program, ref, true, at, &request);
	store_close(store);

	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2))
	{
		Datum		values[4];
		char		nulls[4] = {'n', 'n', 'n', 'n'};

		if (!PG_ARGISNULL(1))
			split_profile(config, PG_GETARG_JSONB_P(1), values, nulls);
		if (!PG_ARGISNULL(2))
		{
			text	   *referrer = PG_GETARG_TEXT_PP(2);
			int64		referrer_id = member_resolve(config, program, referrer);

			if (referrer_id == request.member_id)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("member \"%s\" cannot refer himself", text_to_cstring(ref))));
			if (!member_is_known(config, program, referrer, referrer_id))
				member_unknown(program, referrer);
			values[2] = Int64GetDatum(referrer_id);
			nulls[2] = ' ';
		}
		member_write_profile(config, request.row, values, nulls);
	}
	PG_RETURN_INT64(request.member_id);
}

/* set_member(member, status, segments, data, birthday, program) */
Datum
loyalty_set_member(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	Program    *program = config_program(config, text_argument(fcinfo, 5));
	Store	   *store;
	MemberRequest request;
	Datum		values[4];
	char		nulls[4] = {'n', 'n', 'n', 'n'};

	store = store_open(config, true);
	member_lock(config, store, program, ref, false, 0, &request);
	if (request.row == NULL)
		member_unknown(program, ref);

	if (!PG_ARGISNULL(1))
	{
		request.row->status = store_status_from_text(PG_GETARG_TEXT_PP(1));
		store_update_member(store, request.row);
	}
	store_close(store);

	if (!PG_ARGISNULL(3) && !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(3)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("data must be a JSON object")));
	if (!PG_ARGISNULL(4))
	{
		values[0] = PG_GETARG_DATUM(4);
		nulls[0] = ' ';
	}
	if (!PG_ARGISNULL(2))
	{
		values[1] = PG_GETARG_DATUM(2);
		nulls[1] = ' ';
	}
	if (!PG_ARGISNULL(3))
	{
		values[3] = PG_GETARG_DATUM(3);
		nulls[3] = ' ';
	}
	if (memchr(nulls, ' ', 4) != NULL)
		member_write_profile(config, request.row, values, nulls);
	PG_RETURN_VOID();
}
