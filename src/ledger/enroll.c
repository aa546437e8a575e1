/*
 * enroll.c
 *		How a customer becomes a member, and what is known of him as a person.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_enroll);
PG_FUNCTION_INFO_V1(loyalty_set_member);

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

/*
 * Whether a way leads from the referrer up to the member: by who was referred by
 * whom, and who stands merged into whom.
 */
static bool
leads_to(Config *config, int64 referrer_id, int64 member_id)
{
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		args[2] = {Int64GetDatum(referrer_id), Int64GetDatum(member_id)};
	EngineScope scope;
	bool		found;

	engine_enter(&scope, config->owner);
	SPI_connect();
	/* UNION: a circle that there is already, by a merge, comes to an end. */
	if (SPI_execute_with_args("WITH RECURSIVE up (member_id) AS (SELECT $1 UNION SELECT n.member_id FROM up u CROSS JOIN LATERAL"
							  " (SELECT referred_by AS member_id FROM loyalty.profile WHERE member_id = u.member_id"
							  "  UNION ALL SELECT into_member_id FROM loyalty.member_merge"
							  "  WHERE member_id = u.member_id AND undone_at IS NULL) n WHERE n.member_id IS NOT NULL)"
							  " SELECT FROM up WHERE member_id = $2",
							  2, types, args, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read referrals");
	found = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return found;
}

/* The member_id of whoever brought the member; LY002, and 22023 for himself, or a circle. */
static int64
resolve_referrer(Config *config, const Program *program, const text *ref, int64 member_id, const text *referrer)
{
	int64		referrer_id = member_resolve(config, program, referrer);

	if (referrer_id == member_id)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("member \"%s\" cannot refer himself", text_to_cstring(ref))));
	if (!member_is_known(config, program, referrer, referrer_id))
		member_unknown(program, referrer);
	if (leads_to(config, referrer_id, member_id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("member \"%s\" cannot be referred by member \"%s\"", text_to_cstring(ref), text_to_cstring(referrer)),
				 errdetail("That one was himself referred by the former, or by somebody whom he referred.")));
	return referrer_id;
}

/* enroll(member, profile, referred_by, key, at, program) → member_id */
Datum
loyalty_enroll(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	TimestampTz at = PG_ARGISNULL(4) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(4);
	Program    *program = access_program_for(config, text_argument(fcinfo, 5), ACCESS_OPERATE, ref);
	Store	   *store;
	MemberRequest request;

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be a finite time")));
	if (!calendar_has(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be in the years 1 to 9999")));

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
			values[2] = Int64GetDatum(resolve_referrer(config, program, ref, request.member_id, PG_GETARG_TEXT_PP(2)));
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
	Program    *program = access_program_for(config, text_argument(fcinfo, 5), ACCESS_OPERATE, ref);
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
