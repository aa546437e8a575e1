/*
 * rule_revise.c
 *		Ending a rule and opening its successor.
 *
 * It runs with the rights of whoever calls it: the table's own privileges and
 * triggers judge what he writes, as if he had written UPDATE and INSERT.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/config.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_revise_rule);

/* Columns that no revision changes, and what does. */
static const struct
{
	const char *column;
	const char *hint;
}			kept_columns[] = {
	{"rule_id", "The successor has a number of its own."},
	{"program", "Insert a rule into the other program, and end this one by the upper bound of its \"active\" range."},
	{"created_at", "It is the time of the revision."},
	{"lineage", "The successor goes on with the limits of the rule."},
	{"owner", "Set loyalty.rule.owner of the successor afterwards."},
	{"active", "The successor begins at \"at\" and ends when the rule would have; its end can be moved afterwards."}
};

/* The columns that a revision may change, with commas between and a prefix before each. */
static char *
list_columns(TupleDesc desc, const char *prefix)
{
	StringInfoData list;
	int			i;
	int			j;

	initStringInfo(&list);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		for (j = 0; j < lengthof(kept_columns); j++)
			if (strcmp(NameStr(attribute->attname), kept_columns[j].column) == 0)
				break;
		if (attribute->attisdropped || attribute->attgenerated != '\0' || j < lengthof(kept_columns))
			continue;
		appendStringInfo(&list, "%s%s%s", list.len > 0 ? ", " : "", prefix,
						 quote_identifier(NameStr(attribute->attname)));
	}
	return list.data;
}

/* Every change is to a column that can be changed. */
static void
check_changes(Jsonb *changes, TupleDesc desc)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	int			i;

	if (!JB_ROOT_IS_OBJECT(changes))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"changes\" must be an object of column names and values"),
				 errhint("For instance '{\"award\": \"2 per 1\", \"condition\": null}'.")));
	iterator = JsonbIteratorInit(&changes->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char	   *name;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(value.val.string.val, value.val.string.len);
		for (i = 0; i < lengthof(kept_columns); i++)
			if (strcmp(name, kept_columns[i].column) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("a revision cannot change column \"%s\"", name),
						 errhint("%s", kept_columns[i].hint)));
		i = SPI_fnumber(desc, name);
		if (i <= 0 || TupleDescAttr(desc, i - 1)->attgenerated != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("a rule has no column \"%s\" that can be changed", name),
					 errhint("Columns are %s.", list_columns(desc, ""))));
	}
}

/* The rule of that name that is active at that time, and its active range. */
static int32
find_rule(const Program *program, Datum name, TimestampTz at, Datum *active)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[3] = {CStringGetTextDatum(program->name), name, TimestampTzGetDatum(at)};
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	/* As the guard will take it: nobody else writes rules meanwhile. */
	if (SPI_execute("LOCK TABLE loyalty.rule IN SHARE UPDATE EXCLUSIVE MODE", false, 0) != SPI_OK_UTILITY ||
		SPI_execute_with_args("SELECT rule_id, active, coalesce(pg_catalog.lower(active) = $3, false)"
							  " FROM loyalty.rule"
							  " WHERE program = $1 AND name = $2 AND active @> $3",
							  3, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read rules");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("program \"%s\" has no rule \"%s\" that is active at %s",
						program->name, TextDatumGetCString(name), timestamptz_to_str(at)),
				 errhint("loyalty.rule lists the rules and when they are active.")));
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	if (DatumGetBool(SPI_getbinval(row, desc, 3, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rule \"%s\" begins at that very time", TextDatumGetCString(name)),
				 errdetail("Nothing would be left of it."),
				 errhint("Revise it from a later time on, or UPDATE it in the transaction that made it.")));
	*active = SPI_getbinval(row, desc, 2, &isnull);
	return DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
}

static void
end_rule(int32 rule_id, TimestampTz at)
{
	Oid			types[2] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[2] = {Int32GetDatum(rule_id), TimestampTzGetDatum(at)};

	if (SPI_execute_with_args("UPDATE loyalty.rule SET active = pg_catalog.tstzrange(pg_catalog.lower(active), $2,"
							  " CASE WHEN pg_catalog.lower_inc(active) THEN '[)' ELSE '()' END)"
							  " WHERE rule_id = $1",
							  2, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not end a rule");
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rule %d was not ended", rule_id),
				 errdetail("A policy or trigger of the table kept it.")));
}

/* Open the successor of the rule, which was active in that range; returns its number. */
static int32
open_successor(int32 rule_id, TimestampTz at, Datum active, Jsonb *changes, TupleDesc desc)
{
	Oid			types[4] = {INT4OID, TIMESTAMPTZOID, TSTZRANGEOID, JSONBOID};
	Datum		values[4] = {Int32GetDatum(rule_id), TimestampTzGetDatum(at), active, JsonbPGetDatum(changes)};
	bool		isnull;

	/* An award takes the place of award_points, and the other way round. */
	if (SPI_execute_with_args(psprintf("INSERT INTO loyalty.rule (program, owner, lineage, active, %s)"
									   " SELECT r.program, r.owner, coalesce(r.lineage, r.rule_id),"
									   " pg_catalog.tstzrange($2, pg_catalog.upper($3),"
									   " CASE WHEN pg_catalog.upper_inc($3) THEN '[]' ELSE '[)' END), %s"
									   " FROM loyalty.rule r, LATERAL pg_catalog.jsonb_populate_record(r, $4 ||"
									   " CASE WHEN $4 -> 'award' <> 'null' AND NOT $4 ? 'award_points'"
									   " THEN '{\"award_points\": null}'"
									   " WHEN $4 -> 'award_points' <> 'null' AND NOT $4 ? 'award'"
									   " THEN '{\"award\": null}' ELSE '{}' END::pg_catalog.jsonb) n"
									   " WHERE r.rule_id = $1 RETURNING rule_id",
									   list_columns(desc, ""), list_columns(desc, "n.")),
							  4, types, values, NULL, false, 0) != SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not open the successor of a rule");
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the successor of rule %d was not written", rule_id),
				 errdetail("A policy or trigger of the table kept it out.")));
	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* revise_rule(rule, changes, at, program) → rule_id of the successor */
Datum
loyalty_revise_rule(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	TimestampTz at = PG_ARGISNULL(2) ? now : PG_GETARG_TIMESTAMPTZ(2);
	Config	   *config = config_get();
	Program    *program = access_program(config, text_argument(fcinfo, 3), ACCESS_MANAGE);
	Relation	rel;
	Jsonb	   *changes;
	Datum		active;
	int32		rule_id;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("rule and changes must not be null")));
	changes = PG_GETARG_JSONB_P(1);
	if (TIMESTAMP_NOT_FINITE(at) || at < now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rule cannot be revised from %s on", timestamptz_to_str(at)),
				 errdetail("Purchases have been judged by it."),
				 errhint("\"at\" may be now() or later.")));

	rel = table_open(config->rule_rel, AccessShareLock);
	check_changes(changes, RelationGetDescr(rel));
	SPI_connect();
	rule_id = find_rule(program, PG_GETARG_DATUM(0), at, &active);
	end_rule(rule_id, at);
	rule_id = open_successor(rule_id, at, active, changes, RelationGetDescr(rel));
	SPI_finish();
	table_close(rel, AccessShareLock);
	PG_RETURN_INT32(rule_id);
}
