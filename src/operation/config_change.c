/*
 * config_change.c
 *		Keeping who changed which row of configuration, from what to what.
 *
 * A trigger on each table that people edit writes a row of config_change, with
 * the engine's rights and in the transaction of the change.  It moves no points.
 * In a restore it does nothing: these rows come with the dump as all others.
 * Only who has the rights of the extension's owner can make a session look like
 * one; and what the engine itself writes, for whomever, is no restore.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

#include "earning/owner.h"
#include "ledger/config.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_config_audit);

/*
 * $1 table, $2 operation, $3 role, $4 session role, $5 old row, $6 new row.  What
 * the engine notes by itself in a row is no change of it.
 */
static const char change_sql[] =
"INSERT INTO loyalty.config_change (what, operation, role, session_role, program_id, program, name, old, new)"
" SELECT $1, $2, $3, $4,"
"  coalesce((r.image ->> 'program_id')::integer, p.program_id), coalesce(r.program, p.name),"
"  CASE $1 WHEN 'access' THEN r.image ->> 'role'"
"          WHEN 'currency_rate' THEN r.image ->> 'currency'"
"          WHEN 'estimate' THEN r.image ->> 'kind'"
"          WHEN 'reward_option' THEN (r.image ->> 'reward') || ': ' || (r.image ->> 'name')"
"          ELSE r.image ->> 'name' END,"
"  CASE $2 WHEN 'UPDATE' THEN d.old ELSE $5 END, CASE $2 WHEN 'UPDATE' THEN d.new ELSE $6 END"
" FROM (SELECT coalesce($6, $5) AS image,"
"        coalesce($6, $5) ->> CASE $1 WHEN 'program' THEN 'name' ELSE 'program' END AS program) r"
" LEFT JOIN loyalty.program p ON p.name = r.program OR p.program_id = (r.image ->> 'program_id')::integer"
" LEFT JOIN LATERAL (SELECT jsonb_object_agg(o.key, o.value) AS old, jsonb_object_agg(o.key, $6 -> o.key) AS new"
"  FROM jsonb_each($5) o WHERE o.value <> $6 -> o.key"
"  AND NOT ($1 = 'source' AND o.key = ANY ('{backfilled_rows,backfilled_at,backfilled_key,backfill_finished_at}'))"
" ) d ON $2 = 'UPDATE'"
" WHERE $2 <> 'UPDATE' OR d.old IS NOT NULL";

static Datum
jsonb_from_text(Datum json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(json)));
}

/* A row of the table; within settings_pin, so that it reads the same for everybody. */
static Datum
row_to_jsonb(HeapTuple tuple, TupleDesc desc)
{
	return jsonb_from_text(DirectFunctionCall1(row_to_json, heap_copy_tuple_as_datum(tuple, desc)));
}

/* Write down one change; within engine_enter and SPI_connect. */
static void
write_change(Relation rel, const char *operation, Oid role, Datum old, Datum new)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[6] = {CStringGetTextDatum(RelationGetRelationName(rel)), CStringGetTextDatum(operation),
	CStringGetTextDatum(GetUserNameFromId(role, false)), CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false)), old, new};
	char		nulls[6] = {' ', ' ', ' ', ' ', old == (Datum) 0 ? 'n' : ' ', new == (Datum) 0 ? 'n' : ' '};

	if (plan == NULL)
	{
		Oid			types[6] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID};
		SPIPlanPtr	fresh = SPI_prepare(change_sql, lengthof(types), types);

		if (fresh == NULL)
			elog(ERROR, "could not prepare to write down a change of configuration");
		SPI_keepplan(fresh);
		plan = fresh;
	}
	if (SPI_execute_plan(plan, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write down a change of configuration");
}

/* All rows that are about to go; like write_change. */
static void
write_truncate(Relation rel, Oid role)
{
	SPITupleTable *rows;
	uint64		count;
	uint64		i;
	bool		isnull;

	if (SPI_execute(psprintf("SELECT row_to_json(t) FROM loyalty.%s t",
							 quote_identifier(RelationGetRelationName(rel))), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read \"%s\"", RelationGetRelationName(rel));
	rows = SPI_tuptable;
	count = SPI_processed;
	for (i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_change(rel, "TRUNCATE", role,
					 jsonb_from_text(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull)),
					 (Datum) 0);
	}
}

/* Trigger on configuration: after INSERT, UPDATE and DELETE of each row, before TRUNCATE. */
Datum
loyalty_config_audit(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation	rel;
	Oid			role;
	EngineScope scope;
	Datum		old = (Datum) 0;
	Datum		new = (Datum) 0;
	int			settings;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		(TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event) ? !TRIGGER_FIRED_BEFORE(trigdata->tg_event)
		 : !TRIGGER_FIRED_AFTER(trigdata->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigdata->tg_event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as an AFTER ROW or BEFORE TRUNCATE trigger", "loyalty.config_audit")));
	if (!engine_is_writing() && owner_is_restore())
		return PointerGetDatum(NULL);

	rel = trigdata->tg_relation;
	role = engine_caller();
	engine_enter(&scope, config_get()->owner);
	settings = settings_pin();
	SPI_connect();
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		write_truncate(rel, role);
	else if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		new = row_to_jsonb(trigdata->tg_trigtuple, RelationGetDescr(rel));
		write_change(rel, "INSERT", role, old, new);
	}
	else if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		old = row_to_jsonb(trigdata->tg_trigtuple, RelationGetDescr(rel));
		write_change(rel, "DELETE", role, old, new);
	}
	else
	{
		old = row_to_jsonb(trigdata->tg_trigtuple, RelationGetDescr(rel));
		new = row_to_jsonb(trigdata->tg_newtuple, RelationGetDescr(rel));
		write_change(rel, "UPDATE", role, old, new);
	}
	SPI_finish();
	settings_unpin(settings);
	engine_leave(&scope);
	return PointerGetDatum(NULL);
}
