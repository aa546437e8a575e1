/*
 * rule.c
 *		The rules of a program: reading them, and what may be written.
 *
 * A purchase is judged by the rules there were when it first counted; it keeps
 * the greatest rule_id of that moment (rule_horizon).  For this to describe
 * exactly what was seen, rule numbers become visible in order: one transaction
 * at a time writes rules.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "earning/rule.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_rule_guard);

/* Columns of rule, in order. */
enum
{
	Anum_rule_rule_id = 1,
	Anum_rule_program,
	Anum_rule_name,
	Anum_rule_event,
	Anum_rule_award,
	Anum_rule_priority,
	Anum_rule_active,
	Anum_rule_expiry,
	Anum_rule_pending,
	Anum_rule_created_at
};

/* Read the ends that were moved; within the SPI connection of load_rules. */
static void
load_former_ends(Config *config, RuleSet *set, Oid *types, Datum *values)
{
	uint64		i;

	PushActiveSnapshot(config_snapshot());
	if (SPI_execute_with_args("SELECT c.rule_id, c.version, c.until, c.until_inclusive"
							  " FROM loyalty.rule_change c JOIN loyalty.rule r ON r.rule_id = c.rule_id"
							  " WHERE r.program = $1 ORDER BY c.version",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read changes of rules");
	PopActiveSnapshot();

	set->former = MemoryContextAllocZero(config->context, sizeof(FormerEnd) * Max(SPI_processed, 1));
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		FormerEnd  *former = &set->former[set->nformer++];
		bool		isnull;

		former->rule_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		former->version = DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull));
		former->until = DatumGetTimestampTz(SPI_getbinval(row, desc, 3, &isnull));
		former->until_inclusive = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
		set->horizon = Max(set->horizon, former->version);
	}
}

/* Read the program's rules as of the latest snapshot. */
static RuleSet *
load_rules(Config *config, const Program *program)
{
	RuleSet    *set = MemoryContextAllocZero(config->context, sizeof(RuleSet));
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(program->name)};
	EngineScope scope;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	if (SPI_execute_with_args("SELECT rule_id, name, award,"
							  " coalesce(pg_catalog.lower(active), '-infinity'), pg_catalog.lower_inc(active),"
							  " coalesce(pg_catalog.upper(active), 'infinity'), pg_catalog.upper_inc(active),"
							  " expiry, pending, event = 'purchase'"
							  " FROM loyalty.rule WHERE program = $1"
							  " ORDER BY priority DESC, rule_id DESC",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read rules");
	PopActiveSnapshot();

	set->rules = MemoryContextAllocZero(config->context, sizeof(Rule) * Max(SPI_processed, 1));
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Rule	   *rule = &set->rules[set->nrules];
		bool		isnull;
		Datum		value;

		rule->rule_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		set->horizon = Max(set->horizon, rule->rule_id);
		if (!DatumGetBool(SPI_getbinval(row, desc, 10, &isnull)))
			continue;
		rule->name = MemoryContextStrdup(config->context, SPI_getvalue(row, desc, 2));
		rule->award = *DatumGetAwardP(SPI_getbinval(row, desc, 3, &isnull));
		rule->active_from = DatumGetTimestampTz(SPI_getbinval(row, desc, 4, &isnull));
		rule->from_inclusive = DatumGetBool(SPI_getbinval(row, desc, 5, &isnull));
		rule->active_until = DatumGetTimestampTz(SPI_getbinval(row, desc, 6, &isnull));
		rule->until_inclusive = DatumGetBool(SPI_getbinval(row, desc, 7, &isnull));
		value = SPI_getbinval(row, desc, 8, &isnull);
		rule->expiry = isnull ? program->expiry : DatumGetExpiry(value);
		value = SPI_getbinval(row, desc, 9, &isnull);
		rule->pending_days = isnull ? program->pending_days
			: config_whole_days(DatumGetIntervalP(value), "pending");
		set->nrules++;
	}
	load_former_ends(config, set, types, values);
	SPI_finish();
	engine_leave(&scope);
	return set;
}

RuleSet *
rule_set(Config *config, Program *program)
{
	if (program->rules == NULL)
		program->rules = load_rules(config, program);
	return program->rules;
}

/* The transaction of this session that judged purchases last. */
static LocalTransactionId judging_transaction = InvalidLocalTransactionId;

#if PG_VERSION_NUM >= 170000
#define MY_TRANSACTION (MyProc->vxid.lxid)
#else
#define MY_TRANSACTION (MyProc->lxid)
#endif

void
rule_set_used(void)
{
	judging_transaction = MY_TRANSACTION;
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

/* A rule makes sense on its own. */
static void
check_rule(Relation rel, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Config	   *config = config_get();
	bool		isnull;
	Datum		program = heap_getattr(tuple, Anum_rule_program, desc, &isnull);
	Datum		value;
	Award	   *award;

	/* NULLs are left to the table's own constraints. */
	if (isnull)
		return;
	/* A restore may load rules before any program. */
	if (config->nprograms > 0 &&
		config_program_by_name(config, TextDatumGetCString(program)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program \"%s\" does not exist", TextDatumGetCString(program))));

	value = heap_getattr(tuple, Anum_rule_award, desc, &isnull);
	if (!isnull)
	{
		award = DatumGetAwardP(value);
		if (award->kind == AWARD_TIMES)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("rules do not multiply yet"),
					 errhint("Give points per amount, per item, in percent, or a fixed number.")));
	}
	value = heap_getattr(tuple, Anum_rule_expiry, desc, &isnull);
	if (!isnull && expiry_is_inactivity(DatumGetExpiry(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rule cannot let points expire by inactivity"),
				 errdetail("Inactivity is a property of the member, and so of the whole program."),
				 errhint("Set loyalty.program.expiry.")));
	value = heap_getattr(tuple, Anum_rule_pending, desc, &isnull);
	if (!isnull)
		(void) config_whole_days(DatumGetIntervalP(value), "pending");
}

/* No two rules of a program have one name at one time. */
static void
check_name(Relation rel, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		isnull;
	Datum		program = heap_getattr(tuple, Anum_rule_program, desc, &isnull);
	Datum		name = heap_getattr(tuple, Anum_rule_name, desc, &isnull);

	if (name_is_taken(config_get()->owner,
					  DatumGetInt32(heap_getattr(tuple, Anum_rule_rule_id, desc, &isnull)),
					  program, name, heap_getattr(tuple, Anum_rule_active, desc, &isnull)))
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
	Datum		created = heap_getattr(old, Anum_rule_created_at, desc, &isnull);

	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(old->t_data)) &&
		judging_transaction != MY_TRANSACTION &&
		!isnull && DatumGetTimestampTz(created) == GetCurrentTransactionStartTimestamp();
}

/* Nothing but the name and the end of the active range may differ. */
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

		if (attnum == Anum_rule_name || attnum == Anum_rule_active || attribute->attisdropped)
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
				 errhint("End the rule (the upper bound of \"active\") and insert its successor.")));
	}

	range_deserialize(range_type,
					  DatumGetRangeTypeP(heap_getattr(old, Anum_rule_active, desc, &isnull)),
					  &old_lower, &old_upper, &empty);
	range_deserialize(range_type,
					  DatumGetRangeTypeP(heap_getattr(new, Anum_rule_active, desc, &isnull)),
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
	Datum		values[3] = {heap_getattr(old, Anum_rule_rule_id, desc, &isnull),
		heap_getattr(old, Anum_rule_active, desc, &isnull),
	heap_getattr(new, Anum_rule_active, desc, &isnull)};
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
