/*
 * consent.c
 *		What members have agreed to.
 *
 * Every statement is a row of its own, also one that repeats what he said
 * before: it has another time and source, and may be asked for as proof.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_set_consent);

/* Arguments, in order. */
enum
{
	ARG_MEMBER, ARG_PURPOSE, ARG_GRANTED, ARG_SOURCE, ARG_AT, ARG_KEY, ARG_PROGRAM
};

#define MAX_PURPOSE_BYTES 200

static text *
purpose_argument(FunctionCallInfo fcinfo)
{
	text	   *purpose;

	if (PG_ARGISNULL(ARG_PURPOSE) || PG_ARGISNULL(ARG_GRANTED))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("purpose and granted must not be null")));
	purpose = PG_GETARG_TEXT_PP(ARG_PURPOSE);
	if (VARSIZE_ANY_EXHDR(purpose) == 0 || VARSIZE_ANY_EXHDR(purpose) > MAX_PURPOSE_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a purpose has 1 to %d bytes", MAX_PURPOSE_BYTES),
				 errhint("For instance 'marketing'.")));
	return purpose;
}

/* Whether the key has been used for the member; LY006 when it was for another statement.  Inside SPI_connect. */
static bool
was_said(FunctionCallInfo fcinfo, int64 member_id, text *purpose, TimestampTz at)
{
	Oid			types[6] = {INT8OID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[6] = {Int64GetDatum(member_id), (Datum) 0, PointerGetDatum(purpose),
		PG_GETARG_DATUM(ARG_GRANTED), PG_GETARG_DATUM(ARG_SOURCE), TimestampTzGetDatum(at)};
	char		nulls[6] = {' ', ' ', ' ', ' ', PG_ARGISNULL(ARG_SOURCE) ? 'n' : ' ', PG_ARGISNULL(ARG_AT) ? 'n' : ' '};
	bool		same;
	bool		isnull;

	if (PG_ARGISNULL(ARG_KEY))
		return false;
	values[1] = PG_GETARG_DATUM(ARG_KEY);
	SPI_execute_with_args("SELECT purpose = $3 AND granted = $4 AND source IS NOT DISTINCT FROM $5 AND at = coalesce($6, at),"
						  " pg_catalog.format('By it the member said of \"%s\" that he %s.', purpose,"
						  "  CASE WHEN granted THEN 'agrees' ELSE 'does not agree' END)"
						  " FROM loyalty.consent WHERE member_id = $1 AND key = $2",
						  lengthof(types), types, values, nulls, false, 1);
	if (SPI_processed == 0)
		return false;
	same = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (!same)
		act_key_reused(PG_GETARG_TEXT_PP(ARG_KEY), SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
	return true;
}

/* set_consent(member, purpose, granted, source, at, key, program) */
Datum
loyalty_set_consent(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, ARG_MEMBER);
	text	   *purpose = purpose_argument(fcinfo);
	TimestampTz at = act_time(fcinfo, ARG_AT);
	Program    *program = access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, ref);
	Oid			types[8] = {INT8OID, TEXTOID, BOOLOID, TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[8];
	char		nulls[8];
	Store	   *store = store_open(config, true);
	MemberRequest member;
	EngineScope scope;

	(void) act_key("consent", text_argument(fcinfo, ARG_KEY));
	member_lock(config, store, program, ref, false, 0, &member);
	if (member.row == NULL)
		member_unknown(program, ref);
	store_close(store);

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(member.row->member_id);
	values[1] = PointerGetDatum(purpose);
	values[2] = PG_GETARG_DATUM(ARG_GRANTED);
	values[3] = TimestampTzGetDatum(at);
	values[4] = Int32GetDatum(program->program_id);
	values[5] = PG_GETARG_DATUM(ARG_SOURCE);
	nulls[5] = PG_ARGISNULL(ARG_SOURCE) ? 'n' : ' ';
	values[6] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	values[7] = PG_GETARG_DATUM(ARG_KEY);
	nulls[7] = PG_ARGISNULL(ARG_KEY) ? 'n' : ' ';
	engine_enter(&scope, config->owner);
	SPI_connect();
	if (!was_said(fcinfo, member.row->member_id, purpose, at) &&
		SPI_execute_with_args("INSERT INTO loyalty.consent (member_id, purpose, consent_no, granted, at, recorded_at,"
							  " program_id, source, role, key)"
							  " SELECT $1, $2, coalesce(pg_catalog.max(consent_no), 0) + 1, $3, $4, pg_catalog.now(), $5, $6, $7, $8"
							  " FROM loyalty.consent WHERE member_id = $1 AND purpose = $2",
							  lengthof(types), types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write a consent");
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_VOID();
}
