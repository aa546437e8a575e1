/*
 * velocity_guard.c
 *		What may be written into the table velocity_limit.
 *
 * NULLs where there may be none are left to the table's own constraints, which
 * are checked after this trigger.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "ledger/access.h"
#include "ledger/config.h"
#include "ledger/velocity.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_velocity_guard);

static Datum
column(HeapTuple tuple, TupleDesc desc, const char *name, bool *isnull)
{
	return heap_getattr(tuple, SPI_fnumber(desc, name), desc, isnull);
}

static char *
text_column(HeapTuple tuple, TupleDesc desc, const char *name)
{
	bool		isnull;
	Datum		value = column(tuple, desc, name, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* In a restore it may come later. */
static void
check_program(const char *name)
{
	Config	   *config = config_get();

	if (name != NULL && config->nprograms > 0 && access_program_named(config, name) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program \"%s\" does not exist", name)));
}

static void
check_kind(const char *kind, const char *per)
{
	int			i;

	if (kind == NULL)
		return;
	for (i = 0; i < NVELOCITY_KINDS && strcmp(kind, velocity_kinds[i]) != 0; i++)
		;
	if (i == NVELOCITY_KINDS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no kind \"%s\" of velocity limits", kind),
				 errhint("There are earn, record, redeem, transfer, adjust and voucher.")));
	if (per != NULL && strcmp(per, "pair") == 0 && i != VELOCITY_TRANSFER)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only transfers are limited for each pair of members")));
}

static void
check_figures(HeapTuple tuple, TupleDesc desc)
{
	bool		no_times;
	bool		no_points;
	Datum		times = column(tuple, desc, "max_times", &no_times);
	Datum		points = column(tuple, desc, "max_points", &no_points);

	if (no_times && no_points)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a velocity limit needs max_times or max_points")));
	if (!no_times && DatumGetInt32(times) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_times must be greater than zero"),
				 errhint("NULL is no limit.")));
	if (!no_points && DatumGetPoints(points) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_points must be greater than zero"),
				 errhint("NULL is no limit.")));
}

/* Trigger on velocity_limit: before INSERT and UPDATE. */
Datum
loyalty_velocity_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;
	TupleDesc	desc;
	Datum		within;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) || TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE ROW trigger on INSERT or UPDATE",
						"loyalty.velocity_guard")));
	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	desc = RelationGetDescr(trigdata->tg_relation);
	check_program(text_column(tuple, desc, "program"));
	check_kind(text_column(tuple, desc, "kind"), text_column(tuple, desc, "per"));
	within = column(tuple, desc, "within", &isnull);
	if (!isnull)
		(void) velocity_span(DatumGetIntervalP(within));
	check_figures(tuple, desc);
	return PointerGetDatum(tuple);
}
