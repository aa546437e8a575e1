/*
 * tier_guard.c
 *		What may be written into the table tier.
 *
 * Members follow a change at their next review, so maintenance is told to look
 * at all of them.  NULLs where there may be none are left to the table's own
 * constraints, which are checked after these triggers.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/rel.h"

#include "ledger/access.h"
#include "ledger/config.h"
#include "ledger/guard.h"
#include "loyalty.h"
#include "types/tally.h"

PG_FUNCTION_INFO_V1(loyalty_tier_guard);

/* A column of the table by its name. */
static Datum
column(HeapTuple tuple, TupleDesc desc, const char *name, bool *isnull)
{
	return heap_getattr(tuple, SPI_fnumber(desc, name), desc, isnull);
}

/* A tier makes sense on its own. */
static void
check_tier(HeapTuple tuple, TupleDesc desc)
{
	Config	   *config = config_get();
	bool		isnull;
	Datum		value = column(tuple, desc, "program", &isnull);

	if (isnull)
		return;
	/* A restore may load tiers before any program. */
	if (config->nprograms > 0 && access_program_named(config, TextDatumGetCString(value)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program \"%s\" does not exist", TextDatumGetCString(value))));

	value = column(tuple, desc, "expiry", &isnull);
	if (!isnull && expiry_is_inactivity(DatumGetExpiry(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tier cannot let points expire by inactivity"),
				 errdetail("Inactivity is a property of the member, and so of the whole program."),
				 errhint("Set loyalty.program.expiry.")));
	value = column(tuple, desc, "pending", &isnull);
	if (!isnull)
		(void) config_whole_days(DatumGetIntervalP(value), "pending");

	/* Held against tallies, so it has to fit into one. */
	value = column(tuple, desc, "min_amount", &isnull);
	if (!isnull)
		(void) tally_amount_from_numeric(DatumGetNumeric(value));
	value = column(tuple, desc, "keep_amount", &isnull);
	if (!isnull)
		(void) tally_amount_from_numeric(DatumGetNumeric(value));
}

/* Members and their history go by the name. */
static void
check_name(HeapTuple old, HeapTuple new, TupleDesc desc)
{
	Config	   *config = config_get();
	bool		isnull;
	text	   *old_program = DatumGetTextPP(column(old, desc, "program", &isnull));
	text	   *old_name = DatumGetTextPP(column(old, desc, "name", &isnull));
	Datum		program = column(new, desc, "program", &isnull);
	Datum		name;
	const Program *known = config_program_by_name(config, text_to_cstring(old_program));

	if (isnull)
		return;
	name = column(new, desc, "name", &isnull);
	if (isnull || known == NULL ||
		(same_text(old_program, DatumGetTextPP(program)) && same_text(old_name, DatumGetTextPP(name))))
		return;
	if (guard_has_members(config->owner, known->program_id))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("the name of a tier is fixed once its program has members"),
				 errdetail("Members, their history and rules go by it."),
				 errhint("Add a tier with the new name, delete the old one, and CALL loyalty.maintain().")));
}

/* The tier may be the last one: that members hold it must not be forgotten with it. */
static void
remember_to_review(Datum program)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {program};
	EngineScope scope;

	engine_enter(&scope, config_get()->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.maintenance (program, at, started_at, finished_at)"
							  " VALUES ($1, pg_catalog.now(), pg_catalog.now(), pg_catalog.now())"
							  " ON CONFLICT (program) DO NOTHING",
							  1, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not reset maintenance");
	SPI_finish();
	engine_leave(&scope);
}

/* Trigger on tier: before INSERT, UPDATE, DELETE (rows) and TRUNCATE. */
Datum
loyalty_tier_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	tuple;
	Datum		program;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE trigger", "loyalty.tier_guard")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("tiers cannot be truncated"),
				 errhint("DELETE them.")));

	desc = RelationGetDescr(trigdata->tg_relation);
	tuple = trigdata->tg_trigtuple;
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		remember_to_review(column(tuple, desc, "program", &isnull));
	else
	{
		if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		{
			check_name(tuple, trigdata->tg_newtuple, desc);
			tuple = trigdata->tg_newtuple;
		}
		check_tier(tuple, desc);
	}
	program = column(tuple, desc, "program", &isnull);
	if (!isnull)
		guard_forget_members(program);
	return PointerGetDatum(tuple);
}
