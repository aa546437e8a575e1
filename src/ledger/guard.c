/*
 * guard.c
 *		Triggers that keep what only the engine writes, and the terms of a
 *		program, as they are.
 *
 * Guards only refuse, they never move points; so they are harmless in a
 * restore.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "ledger/config.h"
#include "ledger/guard.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_engine_guard);
PG_FUNCTION_INFO_V1(loyalty_program_guard);

/*
 * What only the engine writes
 */

/* How people change what stands in the tables that they may not write. */
static const struct
{
	const char *table;
	const char *way;
}			ways[] = {
	{"entry", "loyalty.adjust puts a balance right."},
	{"tier_change", "loyalty.set_tier gives a member a tier."},
	{"member", "loyalty.set_member changes a member, loyalty.adjust his points, loyalty.set_tier his tier."},
	{"member_alias", "loyalty.merge_members makes two members one."},
	{"member_merge", "loyalty.unmerge_members parts members."},
	{"profile", "loyalty.enroll writes a member's profile."},
	{"hold", "loyalty.capture, loyalty.release and loyalty.cancel end a hold."},
	{"redemption", "loyalty.cancel undoes a redemption."},
	{"voucher", "loyalty.void_voucher makes a voucher void."},
	{"voucher_use", "loyalty.return_voucher gives back what was used."},
	{"reward_stock", "The stock of a reward stands in loyalty.reward."},
	{"reward_choice", "loyalty.choose_reward changes what a member has chosen."},
	{"rule_budget", "The budget of a rule stands in loyalty.rule."},
	{"confirmation", "loyalty.accept and loyalty.reject decide."},
	{"household_member", "loyalty.join_household and loyalty.leave_household change it."},
	{"rollup", "loyalty.roll_up makes rollups anew."},
	{"rollup_day", "loyalty.roll_up makes rollups anew."},
	{"rollup_lots", "loyalty.roll_up makes rollups anew."},
	{"rollup_month", "loyalty.roll_up makes rollups anew."},
	{"rollup_member", "loyalty.roll_up makes rollups anew."},
	{"rollup_point_cohort", "loyalty.roll_up makes rollups anew."},
	{"rollup_purchase_cohort", "loyalty.roll_up makes rollups anew."},
	{"estimate", "loyalty.set_estimate makes another estimate, which holds from then on."},
	{"deferred", "CALL loyalty.maintain() tries purchases again, and removes those that earn."}
};

static void refuse(Relation rel, int code, const char *message, const char *detail) pg_attribute_noreturn();

static void
refuse(Relation rel, int code, const char *message, const char *detail)
{
	const char *way = "";
	const char *repair = superuser()
		? "To repair or test, set session_replication_role to replica, and look at loyalty.verify() afterwards." : "";
	int			i;

	for (i = 0; i < lengthof(ways); i++)
		if (strcmp(RelationGetRelationName(rel), ways[i].table) == 0)
			way = ways[i].way;
	ereport(ERROR,
			(errcode(code),
			 errmsg_internal("%s", message),
			 errdetail_internal("%s", detail),
			 way[0] == '\0' && repair[0] == '\0' ? 0
			 : errhint("%s%s%s", way, way[0] != '\0' && repair[0] != '\0' ? "\n" : "", repair)));
}

/* Whether all columns that the UPDATE names are among the trigger's arguments. */
static bool
changes_only_listed(const TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	const Trigger *trigger = trigdata->tg_trigger;
	int			column = -1;

	while ((column = bms_next_member(trigdata->tg_updatedcols, column)) >= 0)
	{
		AttrNumber	attnum = column + FirstLowInvalidHeapAttributeNumber;
		bool		listed = false;
		int			i;

		for (i = 1; i < trigger->tgnargs && attnum > 0; i++)
			listed |= namestrcmp(&TupleDescAttr(desc, attnum - 1)->attname, trigger->tgargs[i]) == 0;
		if (!listed)
			return false;
	}
	return true;
}

/* Whether the caller has the rights of the extension's owner, who owns the trigger's function. */
static bool
caller_is_owner(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return has_privs_of_role(GetUserId(), owner);
}

/*
 * Statement trigger on what only the engine writes: before INSERT, UPDATE,
 * DELETE and TRUNCATE.  Whatever somebody was granted, or owns, he does not.
 * Only the owner may insert: a restore does.
 *
 * With the argument 'history' the engine itself inserts only; further arguments
 * are columns that it changes nevertheless.
 */
Datum
loyalty_engine_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TriggerEvent event;
	Relation	rel;
	bool		history;
	bool		engine;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE STATEMENT trigger", "loyalty.engine_guard")));
	event = trigdata->tg_event;
	rel = trigdata->tg_relation;
	history = trigdata->tg_trigger->tgnargs > 0;
	engine = engine_is_writing();

	if (engine && !history)
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_INSERT(event))
	{
		if (!engine && !caller_is_owner(fcinfo->flinfo->fn_oid))
			refuse(rel, ERRCODE_INSUFFICIENT_PRIVILEGE,
				   psprintf("table \"%s\" is written only by the engine", RelationGetRelationName(rel)),
				   "Beside it only a restore inserts rows, with the rights of the extension's owner.");
		return PointerGetDatum(NULL);
	}
	if (engine && TRIGGER_FIRED_BY_UPDATE(event) && changes_only_listed(trigdata))
		return PointerGetDatum(NULL);
	if (history)
		refuse(rel, ERRCODE_LOYALTY_APPEND_ONLY, "the ledger is append-only",
			   psprintf("Rows of table \"%s\" are never changed or removed.", RelationGetRelationName(rel)));
	refuse(rel, ERRCODE_INSUFFICIENT_PRIVILEGE,
		   psprintf("table \"%s\" is written only by the engine", RelationGetRelationName(rel)),
		   "This holds for its owner and for superusers too.");
	return PointerGetDatum(NULL);		/* keep compiler quiet */
}

/*
 * Programs
 */

bool
guard_has_members(Oid owner, int32 program_id)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(program_id)};
	EngineScope scope;
	bool		found;

	engine_enter(&scope, owner);
	SPI_connect();
	SPI_execute_with_args("SELECT FROM loyalty.member WHERE program_id = $1",
						  1, types, values, NULL, false, 1);
	found = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return found;
}

/* Whether the column differs between the rows. */
static bool
differs(HeapTuple old, HeapTuple new, TupleDesc desc, const char *column)
{
	int			attnum = SPI_fnumber(desc, column);
	Form_pg_attribute attribute = TupleDescAttr(desc, attnum - 1);
	bool		old_null;
	bool		new_null;
	Datum		old_value = heap_getattr(old, attnum, desc, &old_null);
	Datum		new_value = heap_getattr(new, attnum, desc, &new_null);

	return old_null != new_null ||
		(!old_null && !datum_image_eq(old_value, new_value, attribute->attbyval, attribute->attlen));
}

static bool
was_null(HeapTuple old, TupleDesc desc, const char *column)
{
	bool		isnull;

	(void) heap_getattr(old, SPI_fnumber(desc, column), desc, &isnull);
	return isnull;
}

/* A column of points; 0 where it is NULL. */
static Points
points_column(HeapTuple tuple, TupleDesc desc, const char *column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, SPI_fnumber(desc, column), desc, &isnull);

	return isnull ? 0 : DatumGetPoints(value);
}

/*
 * What points pay and how many at once.  The table's constraints forbid most of
 * it too; here it is said what is wrong.
 */
static void
check_spending(HeapTuple tuple, TupleDesc desc)
{
	static const char *const limits[] = {"spend_minimum", "spend_step", "spend_maximum"};
	Points		minimum = points_column(tuple, desc, "spend_minimum");
	Points		step = points_column(tuple, desc, "spend_step");
	Points		maximum = points_column(tuple, desc, "spend_maximum");
	Points		most;
	Points		fewest;
	bool		no_value;
	bool		isnull;
	Datum		value;
	int			i;

	value = heap_getattr(tuple, SPI_fnumber(desc, "point_value"), desc, &no_value);
	if (!no_value && rational_sign(rational_from_numeric(DatumGetNumeric(value))) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("point_value must be greater than zero"),
				 errhint("With 0.01 a hundred points pay 1; with NULL points are not money.")));
	value = heap_getattr(tuple, SPI_fnumber(desc, "spend_share"), desc, &isnull);
	if (!isnull)
	{
		Rational	share = rational_from_numeric(DatumGetNumeric(value));

		if (rational_sign(share) <= 0 || rational_cmp(share, rational_from_int64(1, 1)) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("spend_share must be greater than 0 and at most 1"),
					 errhint("With 0.5 points pay at most half of a purchase.")));
		if (no_value)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("spend_share needs a point_value"),
					 errdetail("Without one points pay nothing of an amount.")));
	}
	for (i = 0; i < lengthof(limits); i++)
	{
		value = heap_getattr(tuple, SPI_fnumber(desc, limits[i]), desc, &isnull);
		if (!isnull && DatumGetPoints(value) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be greater than zero", limits[i]),
					 errhint("NULL is no limit.")));
	}
	most = step == 0 ? maximum : maximum - maximum % step;
	fewest = Max(minimum, step);
	if (maximum > 0 && (most == 0 || most < fewest))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no number of points could be spent"),
				 errdetail("At most %s can be spent on a purchase, at least %s must be at once.",
						   points_to_cstring(most), points_to_cstring(fewest)),
				 errhint("Look at spend_minimum, spend_step and spend_maximum together.")));
}

/* How many points may be given to each other; like check_spending. */
static void
check_transfers(HeapTuple tuple, TupleDesc desc)
{
	static const char *const limits[] = {"transfer_minimum", "transfer_maximum", "transfer_cap"};
	Points		minimum = points_column(tuple, desc, "transfer_minimum");
	bool		isnull;
	int			i;

	for (i = 0; i < lengthof(limits); i++)
	{
		Datum		value = heap_getattr(tuple, SPI_fnumber(desc, limits[i]), desc, &isnull);

		if (!isnull && DatumGetPoints(value) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be greater than zero", limits[i]),
					 errhint("NULL is no limit.")));
		if (!isnull && DatumGetPoints(value) < minimum)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("no number of points could be transferred"),
					 errdetail("%s is %s, transfer_minimum is %s.", limits[i],
							   points_to_cstring(DatumGetPoints(value)), points_to_cstring(minimum))));
	}
}

/* How long members are kept who are inactive; like check_spending. */
static void
check_retention(HeapTuple tuple, TupleDesc desc)
{
	Interval	least = {0, 1, 0};
	bool		isnull;
	Datum		value = heap_getattr(tuple, SPI_fnumber(desc, "retention"), desc, &isnull);

	if (!isnull && DatumGetBool(DirectFunctionCall2(interval_lt, value, IntervalPGetDatum(&least))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retention must be at least a day"),
				 errhint("For instance '3 years'; with NULL members are never forgotten by themselves.")));
}

/* Values that the table's own constraints cannot judge. */
static void
check_values(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value;

	value = heap_getattr(tuple, SPI_fnumber(desc, "adjust_limit"), desc, &isnull);
	if (!isnull && DatumGetPoints(value) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("adjust_limit must be greater than zero"),
				 errhint("NULL is no limit.")));
	value = heap_getattr(tuple, SPI_fnumber(desc, "time_zone"), desc, &isnull);
	if (!isnull)
		(void) calendar_zone(TextDatumGetCString(value));
	value = heap_getattr(tuple, SPI_fnumber(desc, "pending"), desc, &isnull);
	if (!isnull)
		(void) config_whole_days(DatumGetIntervalP(value), "pending");
	value = heap_getattr(tuple, SPI_fnumber(desc, "tier_grace"), desc, &isnull);
	if (!isnull)
		(void) config_whole_days(DatumGetIntervalP(value), "tier_grace");
	value = heap_getattr(tuple, SPI_fnumber(desc, "tier_validity"), desc, &isnull);
	if (!isnull && expiry_is_inactivity(DatumGetExpiry(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tier cannot lapse by inactivity"),
				 errhint("For instance '12 months', 'end of year' or 'end of next year'.")));
	value = heap_getattr(tuple, SPI_fnumber(desc, "reinstate"), desc, &isnull);
	if (!isnull && expiry_is_inactivity(DatumGetExpiry(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points that are given back cannot be reinstated until inactivity"),
				 errhint("For instance '30 days', 'end of year' or 'never'.")));
	check_retention(tuple, desc);
	check_spending(tuple, desc);
	check_transfers(tuple, desc);
}

/* What history was made by cannot be changed behind it. */
static void
check_change(HeapTuple old, HeapTuple new, TupleDesc desc)
{
	static const char *const terms[] = {"time_zone", "points_scale", "rounding", "stacking", "currency"};
	bool		isnull;
	Oid			owner;
	int32		program_id;
	int			i;

	if (differs(old, new, desc, "name") || differs(old, new, desc, "program_id"))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("a program's name is fixed"),
				 errdetail("Where members live is computed from it.")));

	owner = config_get()->owner;
	program_id = DatumGetInt32(heap_getattr(old, SPI_fnumber(desc, "program_id"), desc, &isnull));
	for (i = 0; i < lengthof(terms); i++)
		/* A currency that was not there has converted nothing. */
		if (differs(old, new, desc, terms[i]) && !was_null(old, desc, terms[i]) &&
			guard_has_members(owner, program_id))
			ereport(ERROR,
					(errcode(ERRCODE_LOYALTY_FIXED),
					 errmsg("column \"%s\" of a program with members cannot be changed", terms[i]),
					 errdetail("Purchases have been judged by it.")));
}

void
guard_forget_members(Datum program)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {program};
	EngineScope scope;

	engine_enter(&scope, config_get()->owner);
	SPI_connect();
	if (SPI_execute_with_args("UPDATE loyalty.maintenance SET members_known = false"
							  " WHERE program = $1 AND members_known",
							  1, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not reset maintenance");
	SPI_finish();
	engine_leave(&scope);
}

/* Whether terms have changed that say what falls due for members. */
static bool
changes_dues(HeapTuple old, HeapTuple new, TupleDesc desc)
{
	static const char *const terms[] = {"expiry", "tier_window", "tier_match", "tier_validity",
	"tier_downgrade", "tier_grace"};
	int			i;

	for (i = 0; i < lengthof(terms); i++)
		if (differs(old, new, desc, terms[i]))
			return true;
	return false;
}

void
guard_number(const char *sequence, int32 number, int32 above)
{
	Oid			owner = config_get()->owner;
	Oid			types[2] = {TEXTOID, INT4OID};
	Datum		values[2] = {CStringGetTextDatum(sequence), Int32GetDatum(number)};
	EngineScope scope;
	bool		drawn;

	if (has_privs_of_role(GetUserId(), owner))
		return;
	engine_enter(&scope, owner);
	SPI_connect();
	SPI_execute_with_args("SELECT WHERE $2 <= pg_catalog.pg_sequence_last_value($1::pg_catalog.regclass)",
						  2, types, values, NULL, true, 1);
	drawn = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	if (!drawn || number <= above)
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("number %d does not come from sequence \"%s\"", number, sequence),
				 errhint("Leave the column out.")));
}

/* Trigger on program: before INSERT, UPDATE, DELETE (rows) and TRUNCATE. */
Datum
loyalty_program_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE trigger", "loyalty.program_guard")));
	desc = RelationGetDescr(trigdata->tg_relation);

	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("programs cannot be truncated")));
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		int32		program_id =
			DatumGetInt32(heap_getattr(trigdata->tg_trigtuple, SPI_fnumber(desc, "program_id"), desc, &isnull));

		if (guard_has_members(config_get()->owner, program_id))
			ereport(ERROR,
					(errcode(ERRCODE_LOYALTY_FIXED),
					 errmsg("a program with members cannot be deleted"),
					 errdetail("Their ledger names it.")));
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		check_change(trigdata->tg_trigtuple, trigdata->tg_newtuple, desc);
		check_values(trigdata->tg_newtuple, desc);
		if (changes_dues(trigdata->tg_trigtuple, trigdata->tg_newtuple, desc))
			guard_forget_members(heap_getattr(trigdata->tg_trigtuple, SPI_fnumber(desc, "name"), desc, &isnull));
		return PointerGetDatum(trigdata->tg_newtuple);
	}
	check_values(trigdata->tg_trigtuple, desc);
	return PointerGetDatum(trigdata->tg_trigtuple);
}
