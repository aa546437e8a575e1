/*
 * rule_guard.c
 *		What may be written into the table rule.
 *
 * A rule must make sense on its own and beside the others; and once its
 * transaction has committed, or purchases have been judged by it, nothing of
 * it changes but its name, its owner and the end of its active range.
 *
 * NULLs where there may be none are left to the table's own constraints, which
 * are checked after these triggers.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "earning/expression.h"
#include "earning/owner.h"
#include "earning/rule.h"
#include "ledger/access.h"
#include "ledger/guard.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_rule_guard);

/* Decimals of amounts and quantities, which together with 1e15 go into exact arithmetic. */
#define MAX_MINIMUM_DECIMALS 8

/* No limit looks farther back. */
#define MAX_COOLDOWN_DAYS 36525

/* A column of the table by its name. */
static Datum
column(HeapTuple tuple, TupleDesc desc, const char *name, bool *isnull)
{
	int			attnum = SPI_fnumber(desc, name);

	if (attnum <= 0)
		elog(ERROR, "table rule has no column \"%s\"", name);
	return heap_getattr(tuple, attnum, desc, isnull);
}

/* Whether another rule of the program has this name at the same time. */
static bool
name_is_taken(Oid owner, int32 rule_id, Datum program, Datum name, Datum active)
{
	Oid			types[4] = {INT4OID, TEXTOID, TEXTOID, TSTZRANGEOID};
	Datum		values[4] = {Int32GetDatum(rule_id), program, name, active};
	EngineScope scope;
	bool		taken;

	/* With the rows of this very statement, and of whoever committed before it got the lock. */
	CommandCounterIncrement();
	engine_enter(&scope, owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT FROM loyalty.rule r WHERE r.program = $2 AND r.name = $3"
						  " AND r.rule_id <> $1 AND r.active && $4",
						  4, types, values, NULL, true, 1);
	PopActiveSnapshot();
	taken = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return taken;
}

/* The role whose rights the rule's expressions have; InvalidOid: there is none, and that may be. */
static Oid
check_owner(HeapTuple tuple, TupleDesc desc, bool may_be_missing)
{
	bool		isnull;
	Datum		value = column(tuple, desc, "owner", &isnull);

	return isnull ? InvalidOid : owner_check(TextDatumGetCString(value), "rules", may_be_missing);
}

/* Lists of names say something. */
static void
check_lists(HeapTuple tuple, TupleDesc desc)
{
	static const char *const columns[] = {
		"include_items", "exclude_items", "include_categories", "exclude_categories",
		"include_stores", "exclude_stores", "include_channels", "exclude_channels"
	};
	int			i;

	for (i = 0; i < lengthof(columns); i++)
	{
		bool		isnull;
		Datum		value = column(tuple, desc, columns[i], &isnull);
		ArrayType  *list;

		if (isnull)
			continue;
		list = DatumGetArrayTypeP(value);
		if (ARR_NDIM(list) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must not be empty", columns[i]),
					 strncmp(columns[i], "in", 2) == 0
					 ? errdetail("The rule would be about nothing.")
					 : errdetail("It would exclude nothing."),
					 errhint("NULL stands for no list.")));
		if (ARR_NDIM(list) > 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must have one dimension", columns[i])));
		if (array_contains_nulls(list))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain nulls", columns[i]),
					 errdetail("A line without a value is in no list.")));
	}
}

/* Least amounts and quantities can be reckoned with. */
static void
check_minimums(HeapTuple tuple, TupleDesc desc)
{
	static const char *const columns[] = {"min_amount", "min_quantity"};
	int			i;

	for (i = 0; i < lengthof(columns); i++)
	{
		bool		isnull;
		Datum		value = column(tuple, desc, columns[i], &isnull);

		if (!isnull && !numeric_is_nan(DatumGetNumeric(value)) && !numeric_is_inf(DatumGetNumeric(value)) &&
			DatumGetInt32(DirectFunctionCall1(numeric_min_scale, value)) > MAX_MINIMUM_DECIMALS)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must not have more than %d decimals", columns[i], MAX_MINIMUM_DECIMALS)));
	}
}

/*
 * Caps let something through.  These are no constraints of the table, whose
 * operators whoever writes a rule would need the right to run.
 */
static void
check_caps(HeapTuple tuple, TupleDesc desc)
{
	static const char *const columns[] = {"purchase_cap", "member_cap", "budget"};
	bool		isnull;
	Datum		value;
	int			i;

	for (i = 0; i < lengthof(columns); i++)
	{
		value = column(tuple, desc, columns[i], &isnull);
		if (!isnull && DatumGetPoints(value) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be greater than zero", columns[i])));
	}

	/* It is applied to awards, before they are multiplied. */
	(void) column(tuple, desc, "purchase_cap", &isnull);
	if (isnull)
		return;
	value = column(tuple, desc, "award", &isnull);
	if (!isnull && DatumGetAwardP(value)->kind == AWARD_TIMES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a multiplier has no purchase_cap"),
				 errdetail("What a rule gives for a purchase is capped before it is multiplied."),
				 errhint("member_cap and budget limit what a multiplier adds.")));
}

static void
check_cooldown(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value = column(tuple, desc, "cooldown", &isnull);
	Interval   *cooldown;

	if (isnull)
		return;
	cooldown = DatumGetIntervalP(value);
#ifdef INTERVAL_NOT_FINITE
	if (INTERVAL_NOT_FINITE(cooldown))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cooldown must be finite"),
				 errhint("\"once\" rewards a member once in his life.")));
#endif
	if (cooldown->month < 0 || cooldown->day < 0 || cooldown->time < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cooldown must not have negative parts")));
	if (cooldown->month * (DAYS_PER_YEAR / MONTHS_PER_YEAR) + cooldown->day +
		(double) cooldown->time / USECS_PER_DAY > MAX_COOLDOWN_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cooldown must not be longer than %d days", MAX_COOLDOWN_DAYS),
				 errhint("\"once\" rewards a member once in his life.")));
}

/* Time to decide in is for rules whose points await a decision. */
static void
check_confirm(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		within = column(tuple, desc, "confirm_within", &isnull);
	Datum		confirm;

	if (isnull)
		return;
	(void) config_whole_days(DatumGetIntervalP(within), "confirm_within");
	confirm = column(tuple, desc, "confirm", &isnull);
	if (!isnull && !DatumGetBool(confirm))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("confirm_within is for rules that confirm"),
				 errdetail("What this rule gives awaits nothing."),
				 errhint("Set \"confirm\" to true, or leave out \"confirm_within\".")));
}

/* A successor goes on with the limits of a first version; a restore may bring it before that. */
static void
check_lineage(Oid owner, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		lineage = column(tuple, desc, "lineage", &isnull);
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2];
	EngineScope scope;
	bool		wrong;

	if (isnull)
		return;
	values[0] = lineage;
	values[1] = column(tuple, desc, "program", &isnull);
	engine_enter(&scope, owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT FROM loyalty.rule WHERE rule_id = $1"
						  " AND (program <> $2 OR lineage IS NOT NULL)",
						  2, types, values, NULL, true, 1);
	PopActiveSnapshot();
	wrong = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);

	if (wrong || DatumGetInt32(lineage) <= 0 ||
		DatumGetInt32(lineage) >= DatumGetInt32(column(tuple, desc, "rule_id", &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lineage must be the rule_id of the first version of an older rule of the program"),
				 errhint("loyalty.revise_rule() sets it.")));
}

/* The rule's expressions can be run by its owner. */
static void
check_expressions(HeapTuple tuple, TupleDesc desc, Oid owner)
{
	static const char *const columns[] = {"condition", "award_points"};
	int			kind;

	if (!OidIsValid(owner) || owner_is_restore())
		return;
	for (kind = 0; kind < lengthof(columns); kind++)
	{
		bool		isnull;
		Datum		value = column(tuple, desc, columns[kind], &isnull);

		if (!isnull)
			expression_check((ExpressionKind) kind, TextDatumGetCString(value), owner);
	}
}

/* A rule makes sense on its own. */
static void
check_rule(Relation rel, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Config	   *config = config_get();
	bool		isnull;
	Datum		program = column(tuple, desc, "program", &isnull);
	Datum		value;

	if (isnull)
		return;
	/* A restore may load rules before any program. */
	if (config->nprograms > 0 &&
		access_program_named(config, TextDatumGetCString(program)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program \"%s\" does not exist", TextDatumGetCString(program))));

	value = column(tuple, desc, "expiry", &isnull);
	if (!isnull && expiry_is_inactivity(DatumGetExpiry(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rule cannot let points expire by inactivity"),
				 errdetail("Inactivity is a property of the member, and so of the whole program."),
				 errhint("Set loyalty.program.expiry.")));
	value = column(tuple, desc, "pending", &isnull);
	if (!isnull)
		(void) config_whole_days(DatumGetIntervalP(value), "pending");
	check_lists(tuple, desc);
	check_minimums(tuple, desc);
	check_caps(tuple, desc);
	check_cooldown(tuple, desc);
	check_confirm(tuple, desc);
	check_lineage(config->owner, tuple, desc);
	check_expressions(tuple, desc, check_owner(tuple, desc, owner_is_restore()));
}

/*
 * The greatest number that rules and their former ends have so far: to which
 * purchases compare the one that they saw.
 */
static int32
last_number(Oid owner)
{
	EngineScope scope;
	bool		isnull;
	int32		number;

	engine_enter(&scope, owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute("SELECT greatest((SELECT max(rule_id) FROM loyalty.rule),"
				" (SELECT max(version) FROM loyalty.rule_change), 0)", true, 1);
	PopActiveSnapshot();
	number = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	engine_leave(&scope);
	return number;
}

static void
check_number(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		rule_id = column(tuple, desc, "rule_id", &isnull);
	Oid			owner = config_get()->owner;

	if (!isnull && !has_privs_of_role(GetUserId(), owner))
		guard_number("loyalty.rule_rule_id_seq", DatumGetInt32(rule_id), last_number(owner));
}

/* No two rules of a program have one name at one time. */
static void
check_name(Relation rel, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		isnull;
	Datum		program = column(tuple, desc, "program", &isnull);
	Datum		name = column(tuple, desc, "name", &isnull);

	if (name_is_taken(config_get()->owner,
					  DatumGetInt32(column(tuple, desc, "rule_id", &isnull)),
					  program, name, column(tuple, desc, "active", &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("program \"%s\" already has a rule \"%s\" at that time",
						TextDatumGetCString(program), TextDatumGetCString(name)),
				 errhint("End the other rule first, or choose another name.")));
}

/*
 * Whether this transaction made the rule, and has judged nothing since.  The
 * row's xmin alone does not tell, since an allowed change would make it ours.
 */
static bool
made_by_us(HeapTuple old, TupleDesc desc)
{
	bool		isnull;
	Datum		created = column(old, desc, "created_at", &isnull);

	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(old->t_data)) &&
		!rule_set_was_used() &&
		!isnull && DatumGetTimestampTz(created) == GetCurrentTransactionStartTimestamp();
}

/* Nothing but the name, the owner and the end of the active range may differ. */
static void
check_change(Relation rel, HeapTuple old, HeapTuple new)
{
	TupleDesc	desc = RelationGetDescr(rel);
	TypeCacheEntry *range_type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	old_lower,
				old_upper,
				new_lower,
				new_upper;
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Datum		new_active;
	bool		empty;
	bool		isnull;
	int			attnum;

	for (attnum = 1; attnum <= desc->natts; attnum++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, attnum - 1);
		bool		old_null;
		bool		new_null;
		Datum		old_value;
		Datum		new_value;

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), "name") == 0 ||
			strcmp(NameStr(attribute->attname), "active") == 0 ||
			strcmp(NameStr(attribute->attname), "owner") == 0)
			continue;
		old_value = heap_getattr(old, attnum, desc, &old_null);
		new_value = heap_getattr(new, attnum, desc, &new_null);
		if (old_null == new_null &&
			(old_null || datum_image_eq(old_value, new_value, attribute->attbyval, attribute->attlen)))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("column \"%s\" of a rule that has been in force cannot be changed",
						NameStr(attribute->attname)),
				 errdetail("Purchases have been judged by it."),
				 errhint("loyalty.revise_rule() ends it and opens its successor.")));
	}

	range_deserialize(range_type,
					  DatumGetRangeTypeP(column(old, desc, "active", &isnull)),
					  &old_lower, &old_upper, &empty);
	new_active = column(new, desc, "active", &isnull);
	if (isnull)
		return;
	range_deserialize(range_type, DatumGetRangeTypeP(new_active), &new_lower, &new_upper, &empty);
	if (empty)
		return;
	if (range_cmp_bounds(range_type, &old_lower, &new_lower) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("the beginning of a rule that has been in force cannot be changed")));
	if (range_cmp_bounds(range_type, &old_upper, &new_upper) != 0 &&
		((!old_upper.infinite && DatumGetTimestampTz(old_upper.val) < now) ||
		 (!new_upper.infinite && DatumGetTimestampTz(new_upper.val) < now)))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("a rule cannot be ended, nor its end moved, in the past"),
				 errdetail("Purchases have been judged by it."),
				 errhint("The end may be now() or later.")));
}

/*
 * What an update leaves of the rule makes sense.  Whoever may update the table
 * may rename a rule or move its end, be it broken or its owner gone; that lends
 * no rights.
 */
static void
check_update(Relation rel, HeapTuple old, HeapTuple new)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		draft = made_by_us(old, desc);
	bool		old_null;
	bool		new_null;
	Datum		old_owner = column(old, desc, "owner", &old_null);
	Datum		new_owner = column(new, desc, "owner", &new_null);
	bool		same_owner = old_null == new_null &&
		(old_null || same_text(DatumGetTextPP(old_owner), DatumGetTextPP(new_owner)));

	if (!draft)
		check_change(rel, old, new);
	if (!same_owner)
		(void) check_owner(old, desc, superuser());
	if (draft)
		check_rule(rel, new);
	else if (!same_owner)
		check_expressions(new, desc, check_owner(new, desc, owner_is_restore()));
}

/* Keep the end that an update has moved, for the purchases judged by it. */
static void
keep_former_end(Relation rel, HeapTuple old, HeapTuple new)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		isnull;
	Oid			types[3] = {INT4OID, TSTZRANGEOID, TSTZRANGEOID};
	Datum		values[3] = {column(old, desc, "rule_id", &isnull),
		column(old, desc, "active", &isnull),
	column(new, desc, "active", &isnull)};
	EngineScope scope;

	engine_enter(&scope, config_get()->owner);
	SPI_connect();
	SPI_execute_with_args("INSERT INTO loyalty.rule_change (version, rule_id, until, until_inclusive)"
						  " SELECT pg_catalog.nextval('loyalty.rule_rule_id_seq'), $1,"
						  " coalesce(pg_catalog.upper($2), 'infinity'), pg_catalog.upper_inc($2)"
						  " WHERE (pg_catalog.upper($2), pg_catalog.upper_inc($2))"
						  " IS DISTINCT FROM (pg_catalog.upper($3), pg_catalog.upper_inc($3))",
						  3, types, values, NULL, false, 0);
	SPI_finish();
	engine_leave(&scope);
}

/*
 * Trigger on rule: before each statement to take the lock, before each row to
 * judge it by itself, after each row to judge it among the others.
 */
Datum
loyalty_rule_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation	rel;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"loyalty.rule_guard")));
	rel = trigdata->tg_relation;

	if (TRIGGER_FIRED_AFTER(trigdata->tg_event))
	{
		if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		{
			check_name(rel, trigdata->tg_newtuple);
			keep_former_end(rel, trigdata->tg_trigtuple, trigdata->tg_newtuple);
		}
		else
			check_name(rel, trigdata->tg_trigtuple);
		PG_RETURN_POINTER(NULL);
	}

	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("rules cannot be truncated"),
				 errhint("End a rule by the upper bound of its \"active\" range.")));
	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
	{
		/* Conflicts with itself and not with the INSERT that we already are. */
		LockRelation(rel, ShareUpdateExclusiveLock);
		PG_RETURN_POINTER(NULL);
	}

	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		check_number(trigdata->tg_trigtuple, RelationGetDescr(rel));
		check_rule(rel, trigdata->tg_trigtuple);
		return PointerGetDatum(trigdata->tg_trigtuple);
	}

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		if (!made_by_us(trigdata->tg_trigtuple, RelationGetDescr(rel)))
			ereport(ERROR,
					(errcode(ERRCODE_LOYALTY_FIXED),
					 errmsg("a rule that has been in force cannot be deleted"),
					 errdetail("Entries name it."),
					 errhint("End it by the upper bound of its \"active\" range.")));
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
	check_update(rel, trigdata->tg_trigtuple, trigdata->tg_newtuple);
	return PointerGetDatum(trigdata->tg_newtuple);
}
