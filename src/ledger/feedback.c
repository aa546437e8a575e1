/*
 * feedback.c
 *		What members answer when they are asked how satisfied they are.
 *
 * An answer moves no points and so is no entry; whoever wants to give points for
 * it records an event.  It stays with the member who gave it when he is merged
 * into another one: a key is looked for with both.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/balance.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_feedback);

/* Arguments, in order. */
enum
{
	ARG_MEMBER, ARG_SCORE, ARG_COMMENT, ARG_KIND, ARG_ABOUT, ARG_KEY, ARG_AT, ARG_PROGRAM
};

#define MAX_COMMENT_BYTES 10000
#define MAX_ABOUT_BYTES 200

/* What is asked, and in which numbers it is answered. */
static const struct
{
	const char *name;
	int			lowest;
	int			highest;
}			kinds[] = {
	{"nps", 0, 10},
	{"satisfaction", 1, 5},
};

static text *
kind_argument(FunctionCallInfo fcinfo)
{
	char	   *name = PG_ARGISNULL(ARG_KIND) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(ARG_KIND));
	int			kind = 0;
	int			score;

	if (name == NULL || PG_ARGISNULL(ARG_SCORE))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("score and kind must not be null")));
	while (kind < lengthof(kinds) && strcmp(kinds[kind].name, name) != 0)
		kind++;
	if (kind == lengthof(kinds))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind \"%s\" is not one of feedback", name),
				 errhint("Use 'nps' or 'satisfaction'.")));
	score = PG_GETARG_INT32(ARG_SCORE);
	if (score < kinds[kind].lowest || score > kinds[kind].highest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("score is out of range"),
				 errdetail("A score of kind \"%s\" is from %d to %d, not %d.", name,
						   kinds[kind].lowest, kinds[kind].highest, score)));
	return PG_GETARG_TEXT_PP(ARG_KIND);
}

static void
check_length(FunctionCallInfo fcinfo, int argno, const char *name, int most)
{
	text	   *value = text_argument(fcinfo, argno);

	if (value != NULL && VARSIZE_ANY_EXHDR(value) > most)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("%s is too long", name),
				 errdetail("It has %d bytes, %d are allowed.", (int) VARSIZE_ANY_EXHDR(value), most)));
}

static Datum
id_array(const MemberIds *members)
{
	Datum	   *values = palloc(sizeof(Datum) * members->count);
	int			i;

	for (i = 0; i < members->count; i++)
		values[i] = Int64GetDatum(members->ids[i]);
	return PointerGetDatum(construct_array(values, members->count, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* What an answer is made of, for both statements below. */
enum
{
	VALUE_MEMBER, VALUE_SCORE, VALUE_COMMENT, VALUE_KIND, VALUE_ABOUT, VALUE_KEY, VALUE_AT, VALUE_PROGRAM_ID, VALUE_TIER,
	VALUE_ROLE, VALUE_PERSON, VALUE_FAMILY, VALUE_AT_GIVEN,
	NVALUES
};

static Oid types[NVALUES] = {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID, TEXTOID,
TEXTOID, INT8ARRAYOID, INT8ARRAYOID, BOOLOID};

/*
 * The answer that the key stands for, by its number; 0: it is new; LY006 when it
 * stands for another one.  Who has been parted from somebody since may have
 * given it as that one: it is the same answer if it says the same.
 */
static int32
given_before(Datum *values, const char *nulls)
{
	bool		isnull;

	if (nulls[VALUE_KEY] == 'n')
		return 0;
	if (SPI_execute_with_args("SELECT f.feedback_no, f.same, pg_catalog.format('By it the member answered %s to \"%s\".', f.score, f.kind)"
							  " FROM (SELECT *, score = $2 AND comment IS NOT DISTINCT FROM $3 AND kind = $4"
							  "  AND about IS NOT DISTINCT FROM $5 AND (NOT $13 OR at = $7) AS same"
							  "  FROM loyalty.feedback WHERE member_id = ANY ($12) AND key = $6) f"
							  " WHERE f.same OR f.member_id = ANY ($11)"
							  " ORDER BY f.same DESC, f.member_id <> $1, f.member_id, f.feedback_no",
							  NVALUES, types, values, nulls, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for feedback");
	if (SPI_processed == 0)
		return 0;
	if (!DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull)))
		act_key_reused(DatumGetTextPP(values[VALUE_KEY]), SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3));
	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static int32
write_answer(Datum *values, const char *nulls)
{
	bool		isnull;

	/*
	 * Segments as they are: when he came into them nobody has kept.  The number is
	 * taken by somebody else only where the snapshot is older than the member's
	 * lock; then ON CONFLICT says 40001, which the caller knows to try again.
	 */
	if (SPI_execute_with_args("INSERT INTO loyalty.feedback (member_id, feedback_no, score, comment, kind, about, key, at,"
							  " program_id, tier, role, segments, recorded_at)"
							  " SELECT $1, coalesce((SELECT pg_catalog.max(feedback_no) FROM loyalty.feedback WHERE member_id = $1), 0) + 1,"
							  " $2, $3, $4, $5, $6, $7, $8, $9, $10,"
							  " coalesce((SELECT segments FROM loyalty.profile WHERE member_id = $1), '{}'), pg_catalog.now()"
							  " ON CONFLICT DO NOTHING RETURNING feedback_no",
							  NVALUES, types, values, nulls, false, 0) != SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not write feedback");
	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static text *
tier_then(Store *store, const Program *program, const MemberRow *member, TimestampTz at)
{
	Snapshot	snapshot = store_snapshot();
	text	   *tier;

	store_begin_read(store, snapshot);
	tier = tier_at(store, program, member, at);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return tier;
}

static void
set_value(Datum *values, char *nulls, int which, text *value)
{
	values[which] = PointerGetDatum(value);
	nulls[which] = value == NULL ? 'n' : ' ';
}

/* feedback(member, score, comment, kind, about, key, at, program) → its number for the member */
Datum
loyalty_feedback(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, ARG_MEMBER);
	Program    *program = access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, ref);
	text	   *kind = kind_argument(fcinfo);
	TimestampTz at = act_time(fcinfo, ARG_AT);
	Store	   *store = store_open(config, true);
	Datum		values[NVALUES] = {0};
	char		nulls[NVALUES];
	MemberRequest member;
	MemberIds	person;
	MemberIds	family = {0};
	EngineScope scope;
	int32		number;

	check_length(fcinfo, ARG_COMMENT, "comment", MAX_COMMENT_BYTES);
	check_length(fcinfo, ARG_ABOUT, "about", MAX_ABOUT_BYTES);
	(void) act_key("feedback", text_argument(fcinfo, ARG_KEY));
	member_lock(config, store, program, ref, false, 0, &member);
	if (member.row == NULL)
		member_unknown(program, ref);

	memset(nulls, ' ', sizeof(nulls));
	merge_person(config, program, member.row->member_id, &person);
	if (program->has_merges)
		merge_family(config, member.row->member_id, &family);
	values[VALUE_MEMBER] = Int64GetDatum(member.row->member_id);
	values[VALUE_SCORE] = PG_GETARG_DATUM(ARG_SCORE);
	values[VALUE_AT] = TimestampTzGetDatum(at);
	values[VALUE_PROGRAM_ID] = Int32GetDatum(program->program_id);
	values[VALUE_PERSON] = id_array(&person);
	values[VALUE_FAMILY] = id_array(family.count > 0 ? &family : &person);
	values[VALUE_AT_GIVEN] = BoolGetDatum(!PG_ARGISNULL(ARG_AT));
	set_value(values, nulls, VALUE_COMMENT, text_argument(fcinfo, ARG_COMMENT));
	set_value(values, nulls, VALUE_KIND, kind);
	set_value(values, nulls, VALUE_ABOUT, text_argument(fcinfo, ARG_ABOUT));
	set_value(values, nulls, VALUE_KEY, text_argument(fcinfo, ARG_KEY));
	set_value(values, nulls, VALUE_TIER, tier_then(store, program, member.row, at));
	set_value(values, nulls, VALUE_ROLE, cstring_to_text(GetUserNameFromId(GetUserId(), false)));
	store_close(store);

	engine_enter(&scope, config->owner);
	SPI_connect();
	number = given_before(values, nulls);
	if (number == 0)
		number = write_answer(values, nulls);
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_INT32(number);
}
