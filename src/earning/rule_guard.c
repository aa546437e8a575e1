/*
 * rule_guard.c
 *		What may be written into the table rule.
 *
 * A rule must make sense on its own and beside the others; and once its
 * transaction has committed, or purchases have been judged by it, nothing of
 * it changes but its name, its owner and the end of its active range.
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
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "earning/expression.h"
#include "earning/rule.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_rule_guard);

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

/*
 * The role whose rights the rule's expressions have: nobody may lend himself
 * another one's.  InvalidOid: a restore names a role that is not there, which
 * whoever may write every role's rules may do.
 */
static Oid
check_owner(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	char	   *name = TextDatumGetCString(column(tuple, desc, "owner", &isnull));
	Oid			owner = get_role_oid(name, true);

	if (OidIsValid(owner) ? has_privs_of_role(GetUserId(), owner) : superuser())
		return owner;
	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", name)));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be member of role \"%s\" to write its rules", name),
			 errdetail("A rule's expressions run with the rights of its owner.")));
}

/* Limits that an award of its kind cannot have. */
static void
check_limits(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value = column(tuple, desc, "cooldown", &isnull);

	if (!isnull && (DatumGetIntervalP(value)->month < 0 || DatumGetIntervalP(value)->day < 0 ||
					DatumGetIntervalP(value)->time < 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cooldown must not have negative parts")));
	value = column(tuple, desc, "lineage", &isnull);
	if (!isnull &&
		DatumGetInt32(value) >= DatumGetInt32(column(tuple, desc, "rule_id", &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lineage must be the number of an older rule"),
				 errhint("loyalty.revise_rule sets it.")));
}

/*
 * The rule's expressions can be run by its owner.  A restore may bring rules
 * before the functions that they call: so superusers are let through where a
 * name has no meaning yet, and purchases find the mistake.
 */
static void
check_expressions(HeapTuple tuple, TupleDesc desc, Oid owner)
{
	static const char *const columns[] = {"condition", "award_points"};
	int			kind;

	for (kind = 0; kind < lengthof(columns); kind++)
	{
		bool		isnull;
		Datum		value = column(tuple, desc, columns[kind], &isnull);

		if (!isnull && OidIsValid(owner))
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

	/* NULLs are left to the table's own constraints. */
	if (isnull)
		return;
	/* A restore may load rules before any program. */
	if (config->nprograms > 0 &&
		config_program_by_name(config, TextDatumGetCString(program)) == NULL)
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
	check_limits(tuple, desc);
	check_expressions(tuple, desc, check_owner(tuple, desc));
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
	range_deserialize(range_type,
					  DatumGetRangeTypeP(column(new, desc, "active", &isnull)),
					  &new_lower, &new_upper, &empty);
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
		check_rule(rel, trigdata->tg_trigtuple);
		return PointerGetDatum(trigdata->tg_trigtuple);
	}

	if (!made_by_us(trigdata->tg_trigtuple, RelationGetDescr(rel)))
	{
		if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
			ereport(ERROR,
					(errcode(ERRCODE_LOYALTY_FIXED),
					 errmsg("a rule that has been in force cannot be deleted"),
					 errdetail("Entries name it."),
					 errhint("End it by the upper bound of its \"active\" range.")));
		check_change(rel, trigdata->tg_trigtuple, trigdata->tg_newtuple);
	}
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		return PointerGetDatum(trigdata->tg_trigtuple);
	check_rule(rel, trigdata->tg_newtuple);
	return PointerGetDatum(trigdata->tg_newtuple);
}
