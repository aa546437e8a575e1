/*
 * awaiting.c
 *		Points that await confirmation, in no purse yet.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "ledger/awaiting.h"
#include "loyalty.h"
#include "types/calendar.h"

static const char *const decision_names[] = {NULL, "accepted", "rejected"};

const char *
decision_name(Decision decision)
{
	return decision_names[decision];
}

/* A decision by its name of so many bytes; DECISION_NONE for anything else. */
static Decision
decision_from_name(const char *name, int length)
{
	int			i;

	for (i = DECISION_ACCEPTED; i <= DECISION_REJECTED; i++)
		if (length == strlen(decision_names[i]) && memcmp(name, decision_names[i], length) == 0)
			return (Decision) i;
	return DECISION_NONE;
}

static JsonbValue *
field(const Jsonb *context, const char *name)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	return findJsonbValueFromContainer(unconstify(JsonbContainer *, &context->root), JB_FOBJECT, &key);
}

static void
raise_malformed(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" in the context of a purchase is malformed", name)));
}

void
awaiting_read(const Jsonb *context, Awaiting *awaiting)
{
	JsonbValue *points;
	JsonbValue *decision;

	memset(awaiting, 0, sizeof(*awaiting));
	if (context == NULL || !JB_ROOT_IS_OBJECT(context))
		return;
	points = field(context, "awaiting");
	decision = field(context, "decision");
	if (points != NULL)
	{
		if (points->type != jbvNumeric || decision != NULL)
			raise_malformed("awaiting");
		awaiting->any = true;
		awaiting->points = points_from_numeric(points->val.numeric);
	}
	if (decision != NULL)
	{
		if (decision->type == jbvString)
			awaiting->decision = decision_from_name(decision->val.string.val, decision->val.string.len);
		if (awaiting->decision == DECISION_NONE)
			raise_malformed("decision");
	}
}

/*
 * The table
 */

/* Columns of the queries below, in order. */
enum
{
	COL_MEMBER_ID = 1, COL_SEQ, COL_PROGRAM_ID, COL_RULE_ID, COL_SOURCE_ID, COL_SOURCE_KEY, COL_POINTS,
	COL_DUE, COL_SILENCE_ACCEPTS, COL_STARTS, COL_ENDS, COL_DECISION, COL_DECIDED_AT, COL_DECIDED_SEQ,
	COL_BY_SILENCE, COL_KEY, COL_NOTE
};

#define SELECT_CONFIRMATION \
	"SELECT member_id, seq, program_id, rule_id, source_id, source_key, points, due, on_silence = 'accept'," \
	" starts, ends, decision, decided_at, decided_seq, by_silence, key, note" \
	" FROM loyalty.confirmation WHERE member_id = $1"

static text *
get_text(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? NULL : DatumGetTextPCopy(value);
}

/* Unpack a row into the current context. */
static Confirmation *
read_row(HeapTuple row, TupleDesc desc)
{
	Confirmation *result = palloc0(sizeof(Confirmation));
	text	   *decision = get_text(row, desc, COL_DECISION);
	bool		isnull;
	Datum		value;

	result->member_id = DatumGetInt64(SPI_getbinval(row, desc, COL_MEMBER_ID, &isnull));
	result->seq = DatumGetInt64(SPI_getbinval(row, desc, COL_SEQ, &isnull));
	result->program_id = DatumGetInt32(SPI_getbinval(row, desc, COL_PROGRAM_ID, &isnull));
	result->rule_id = DatumGetInt32(SPI_getbinval(row, desc, COL_RULE_ID, &isnull));
	result->source_id = DatumGetInt32(SPI_getbinval(row, desc, COL_SOURCE_ID, &isnull));
	result->source_key = get_text(row, desc, COL_SOURCE_KEY);
	result->points = DatumGetPoints(SPI_getbinval(row, desc, COL_POINTS, &isnull));
	value = SPI_getbinval(row, desc, COL_DUE, &isnull);
	result->due = isnull ? DATEVAL_NOEND : DatumGetDateADT(value);
	result->silence_accepts = DatumGetBool(SPI_getbinval(row, desc, COL_SILENCE_ACCEPTS, &isnull));
	value = SPI_getbinval(row, desc, COL_STARTS, &isnull);
	result->starts = isnull ? DATEVAL_NOBEGIN : DatumGetDateADT(value);
	value = SPI_getbinval(row, desc, COL_ENDS, &isnull);
	result->ends = isnull ? DATEVAL_NOEND : DatumGetDateADT(value);
	if (decision != NULL)
		result->decision = decision_from_name(VARDATA_ANY(decision), VARSIZE_ANY_EXHDR(decision));
	value = SPI_getbinval(row, desc, COL_DECIDED_AT, &isnull);
	result->decided_at = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
	value = SPI_getbinval(row, desc, COL_DECIDED_SEQ, &isnull);
	result->decided_seq = isnull ? 0 : DatumGetInt64(value);
	result->by_silence = DatumGetBool(SPI_getbinval(row, desc, COL_BY_SILENCE, &isnull));
	result->key = get_text(row, desc, COL_KEY);
	result->note = get_text(row, desc, COL_NOTE);
	return result;
}

SPIPlanPtr
awaiting_plan(SPIPlanPtr *kept, const char *sql, int nargs, Oid *types)
{
	if (*kept != NULL && !SPI_plan_is_valid(*kept))
	{
		SPIPlanPtr	former = *kept;

		*kept = NULL;
		SPI_freeplan(former);
	}
	if (*kept == NULL)
	{
		SPIPlanPtr	fresh = SPI_prepare_cursor(sql, nargs, types, CURSOR_OPT_GENERIC_PLAN);

		if (fresh == NULL || SPI_keepplan(fresh) != 0)
			elog(ERROR, "could not prepare to read or write what awaits confirmation");
		*kept = fresh;
	}
	return *kept;
}

/* The member's rows that a query gives, which has another parameter. */
static List *
select_rows(Config *config, SPIPlanPtr *plan, const char *sql, int64 member_id, Oid type, Datum value, bool read_only)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[2] = {INT8OID, type};
	Datum		values[2] = {Int64GetDatum(member_id), value};
	List	   *rows = NIL;
	EngineScope scope;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_plan(awaiting_plan(plan, sql, 2, types), values, NULL, read_only, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what awaits confirmation");
	MemoryContextSwitchTo(caller);
	for (i = 0; i < SPI_processed; i++)
		rows = lappend(rows, read_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
	SPI_finish();
	engine_leave(&scope);
	return rows;
}

List *
awaiting_list_open(Config *config, int64 member_id, DateADT due_by, bool read_only)
{
	static SPIPlanPtr plan = NULL;

	return select_rows(config, &plan,
					   SELECT_CONFIRMATION " AND decision IS NULL AND ($2 = 'infinity' OR due <= $2) ORDER BY due, seq",
					   member_id, DATEOID, DateADTGetDatum(due_by), read_only);
}

List *
awaiting_list(Config *config, int64 member_id)
{
	static SPIPlanPtr plan = NULL;

	return select_rows(config, &plan, SELECT_CONFIRMATION " AND $2 ORDER BY due, seq",
					   member_id, BOOLOID, BoolGetDatum(true), true);
}

Confirmation *
awaiting_find(Config *config, int64 member_id, int64 seq)
{
	static SPIPlanPtr plan = NULL;
	List	   *rows = select_rows(config, &plan, SELECT_CONFIRMATION " AND seq = $2",
								   member_id, INT8OID, Int64GetDatum(seq), false);

	return rows == NIL ? NULL : linitial(rows);
}

Confirmation *
awaiting_find_key(Config *config, int64 member_id, const text *key)
{
	static SPIPlanPtr plan = NULL;
	List	   *rows = select_rows(config, &plan, SELECT_CONFIRMATION " AND key = $2",
								   member_id, TEXTOID, PointerGetDatum(key), false);

	return rows == NIL ? NULL : linitial(rows);
}

/*
 * Reading a member
 */

typedef struct Search
{
	int32		rule_id;
	TimestampTz at;
	Awaiting	awaiting;
} Search;

static void
look_at_entry(const EntryRow *entry, void *arg)
{
	Search	   *search = arg;

	/* Entries of a rule come in order of their revision: the last one stands. */
	if (entry->rule_id == search->rule_id && entry->occurred_at <= search->at)
		awaiting_read(entry->context, &search->awaiting);
}

/* What awaited at a time under the row. */
static Points
points_then(Store *store, const Confirmation *row, TimestampTz at)
{
	Search		search = {.rule_id = row->rule_id, .at = at};

	store_visit_entries(store, row->member_id, row->source_id, row->source_key, look_at_entry, &search);
	return search.awaiting.points;
}

void
awaiting_apply(Config *config, Store *store, const Program *program, int64 member_id,
			   TimestampTz at, bool past, MemberState *state, Points *pending)
{
	DateADT		day = calendar_day(at, program->zone);
	List	   *rows = past ? awaiting_list(config, member_id)
		: awaiting_list_open(config, member_id, DATEVAL_NOEND, true);
	ListCell   *cell;

	foreach(cell, rows)
	{
		const Confirmation *row = lfirst(cell);
		Points		points = past ? points_then(store, row, at) : row->points;

		if (points == 0)
			continue;
		if (row->due > day)
			*pending = points_add(*pending, points);
		else if (row->silence_accepts)
		{
			TimestampTz decided_at = calendar_start_of_day(row->due, program->zone);

			purse_add_lot(&state->purse, row->starts, row->ends, points);
			state->lifetime = points_add(state->lifetime, points);
			state->last_activity = Max(state->last_activity, decided_at);
		}
	}
}
