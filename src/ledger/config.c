/*
 * config.c
 *		Programs as every backend keeps them, and when it must read them again.
 *
 * Writers of program, access, currency_rate, rule, tier, reward, reward_option,
 * velocity_limit and source send a relation cache invalidation
 * (loyalty_config_changed); it reaches every backend when they commit, and their
 * own at once, also when a savepoint is rolled back.  The callback must not read
 * catalogs or allocate: it only sets a flag.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "ledger/config.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_config_changed);

static Config *current = NULL;

/* A relation changed: relid, or all of them when it is InvalidOid. */
static void
relation_changed(Datum arg, Oid relid)
{
	if (current == NULL || current->stale)
		return;
	if (!OidIsValid(relid) ||
		relid == current->program_rel ||
		relid == current->access_rel ||
		relid == current->rate_rel ||
		relid == current->rule_rel ||
		relid == current->tier_rel ||
		relid == current->velocity_rel ||
		relid == current->source_rel ||
		relid == current->member_rel ||
		relid == current->entry_rel ||
		hash_search(current->watched, &relid, HASH_FIND, NULL) != NULL)
		current->stale = true;
}

/*
 * Something changed that compiled expressions may have been built from, or
 * waited for: a function (inlined, or its rights), operator, cast, schema, or a
 * role that they run as.
 */
static void
object_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	if (current != NULL)
		current->stale = true;
}

/* Every temporary table makes a type: only for who uses any. */
static void
type_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	if (current != NULL && current->uses_types)
		current->stale = true;
}

void
config_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(OPEROID, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(CASTSOURCETARGET, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, type_changed, (Datum) 0);
}

/* One of the extension's relations. */
static Oid
relation_oid(Oid schema, const char *name)
{
	Oid			relid = get_relname_relid(name, schema);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" does not exist", LOYALTY_SCHEMA, name),
				 errhint("Is the extension loyalty installed in this database?")));
	return relid;
}

static Rounding
rounding_from_text(const char *text)
{
	if (strcmp(text, "half_up") == 0)
		return ROUND_HALF_UP;
	if (strcmp(text, "half_even") == 0)
		return ROUND_HALF_EVEN;
	if (strcmp(text, "up") == 0)
		return ROUND_UP;
	return ROUND_DOWN;
}

static Stacking
stacking_from_text(const char *text)
{
	if (strcmp(text, "multiply") == 0)
		return STACKING_MULTIPLY;
	if (strcmp(text, "best") == 0)
		return STACKING_BEST;
	return STACKING_ADD;
}

static ClawbackPolicy
clawback_from_text(const char *text)
{
	if (strcmp(text, "none") == 0)
		return CLAWBACK_NONE;
	if (strcmp(text, "pending") == 0)
		return CLAWBACK_PENDING;
	if (strcmp(text, "available") == 0)
		return CLAWBACK_AVAILABLE;
	return CLAWBACK_DEBT;
}

static Downgrade
downgrade_from_text(const char *text)
{
	if (strcmp(text, "none") == 0)
		return DOWNGRADE_NONE;
	if (strcmp(text, "one") == 0)
		return DOWNGRADE_ONE;
	return DOWNGRADE_EARNED;
}

int
config_whole_days(const Interval *interval, const char *what)
{
	if (interval->month != 0 || interval->time != 0 || interval->day < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a number of whole days", what),
				 errhint("For instance '14 days'.")));
	if (interval->day > 36525)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be longer than 36525 days", what)));
	return interval->day;
}

/*
 * The snapshot that configuration is read with: the latest one, whatever the
 * isolation level.  A parallel query cannot take it and goes by its own.
 */
Snapshot
config_snapshot(void)
{
	return IsInParallelMode() ? GetActiveSnapshot() : GetLatestSnapshot();
}

/* What the row at hand says of tiers; its columns from "first" on. */
static void
read_tier_terms(Config *config, HeapTuple row, TupleDesc desc, int first, Program *program)
{
	bool		isnull;
	Datum		value;

	program->tier_window = DatumGetQualification(SPI_getbinval(row, desc, first, &isnull));
	program->tier_match_all = strcmp(SPI_getvalue(row, desc, first + 1), "all") == 0;
	value = SPI_getbinval(row, desc, first + 2, &isnull);
	program->tier_has_validity = !isnull;
	if (!isnull)
		program->tier_validity = DatumGetExpiry(value);
	program->tier_downgrade = downgrade_from_text(SPI_getvalue(row, desc, first + 3));
	program->tier_grace =
		config_whole_days(DatumGetIntervalP(SPI_getbinval(row, desc, first + 4, &isnull)), "tier_grace");
	value = SPI_getbinval(row, desc, first + 5, &isnull);
	if (!isnull)
	{
		MemoryContext caller = MemoryContextSwitchTo(config->context);

		program->base_tier = DatumGetTextPCopy(value);
		MemoryContextSwitchTo(caller);
		program->base_rank = DatumGetInt32(SPI_getbinval(row, desc, first + 6, &isnull));
	}
}

/* A numeric column that outlives the row; NULL where it is. */
static Numeric
kept_numeric(Config *config, HeapTuple row, TupleDesc desc, int column)
{
	MemoryContext caller = MemoryContextSwitchTo(config->context);
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);
	Numeric		kept = isnull ? NULL : DatumGetNumericCopy(value);

	MemoryContextSwitchTo(caller);
	return kept;
}

/* A column of points; 0 where it is NULL. */
static Points
points_or_zero(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? 0 : DatumGetPoints(value);
}

/* What the row at hand says of transfers; its columns from "first" on. */
static void
read_transfer_terms(HeapTuple row, TupleDesc desc, int first, Program *program)
{
	bool		isnull;

	program->transfer_enabled = DatumGetBool(SPI_getbinval(row, desc, first, &isnull));
	program->transfer_restart = strcmp(SPI_getvalue(row, desc, first + 1), "restart") == 0;
	program->transfer_minimum = points_or_zero(row, desc, first + 2);
	program->transfer_maximum = points_or_zero(row, desc, first + 3);
	program->transfer_cap = points_or_zero(row, desc, first + 4);
	program->transfer_cap_period = calendar_period(SPI_getvalue(row, desc, first + 5));
}

/* Fill config->programs from the table, as of the latest snapshot. */
static void
load_programs(Config *config)
{
	EngineScope scope;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	if (SPI_execute("SELECT program_id, name, time_zone, expiry, pending, points_scale,"
					" rounding, clawback, auto_enroll,"
					" EXISTS (SELECT FROM loyalty.member_alias a WHERE a.program_id = p.program_id),"
					" currency, stacking,"
					" tier_window, tier_match, tier_validity, tier_downgrade, tier_grace, base_tier, base_rank,"
					" point_value, spend_minimum, spend_step, spend_maximum, spend_share,"
					" transfer_enabled, transfer_policy, transfer_minimum, transfer_maximum, transfer_cap, transfer_cap_period,"
					" hold_ttl, reinstate,"
					" EXISTS (SELECT FROM loyalty.member_merge g WHERE g.program_id = p.program_id),"
					" EXISTS (SELECT FROM loyalty.household h WHERE h.program_id = p.program_id),"
					" EXISTS (SELECT FROM loyalty.forgotten f WHERE f.program_id = p.program_id), retention IS NOT NULL,"
					" EXISTS (SELECT FROM loyalty.forgotten_purchase f WHERE f.program_id = p.program_id),"
					" EXISTS (SELECT FROM loyalty.velocity_limit v WHERE v.program = p.name), adjust_limit"
					" FROM loyalty.program p LEFT JOIN LATERAL"
	/* The highest of the tiers that nothing is asked for. */
					" (SELECT t.name AS base_tier, t.rank AS base_rank FROM loyalty.tier t WHERE t.program = p.name"
					"  AND CASE p.tier_match WHEN 'any'"
					"      THEN t.min_amount = 0 OR t.min_points OPERATOR(loyalty.=) '0' OR t.min_purchases = 0"
					"      ELSE pg_catalog.num_nonnulls(t.min_amount, t.min_points, t.min_purchases) > 0"
					"       AND coalesce(t.min_amount, 0) = 0 AND coalesce(t.min_purchases, 0) = 0"
					"       AND (t.min_points IS NULL OR t.min_points OPERATOR(loyalty.=) '0') END"
					"  ORDER BY t.rank DESC LIMIT 1) base ON true"
					" ORDER BY program_id",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read programs");
	PopActiveSnapshot();

	config->nprograms = (int) SPI_processed;
	config->programs = MemoryContextAllocZero(config->context,
											  sizeof(Program) * Max(SPI_processed, 1));
	for (i = 0; i < SPI_processed; i++)
	{
		Program    *program = &config->programs[i];
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *zone = SPI_getvalue(row, desc, 3);
		char	   *currency = SPI_getvalue(row, desc, 11);
		Datum		reinstate;
		bool		isnull;

		program->program_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		program->name = MemoryContextStrdup(config->context, SPI_getvalue(row, desc, 2));
		program->zone = calendar_zone(zone);
		program->expiry = DatumGetExpiry(SPI_getbinval(row, desc, 4, &isnull));
		program->pending_days =
			config_whole_days(DatumGetIntervalP(SPI_getbinval(row, desc, 5, &isnull)), "pending");
		program->points_scale = DatumGetInt16(SPI_getbinval(row, desc, 6, &isnull));
		program->rounding = rounding_from_text(SPI_getvalue(row, desc, 7));
		program->clawback = clawback_from_text(SPI_getvalue(row, desc, 8));
		program->auto_enroll = DatumGetBool(SPI_getbinval(row, desc, 9, &isnull));
		program->has_aliases = DatumGetBool(SPI_getbinval(row, desc, 10, &isnull));
		program->currency = currency == NULL ? NULL : MemoryContextStrdup(config->context, currency);
		program->stacking = stacking_from_text(SPI_getvalue(row, desc, 12));
		read_tier_terms(config, row, desc, 13, program);
		program->point_value = kept_numeric(config, row, desc, 20);
		program->spend_minimum = points_or_zero(row, desc, 21);
		program->spend_step = points_or_zero(row, desc, 22);
		program->spend_maximum = points_or_zero(row, desc, 23);
		program->spend_share = kept_numeric(config, row, desc, 24);
		read_transfer_terms(row, desc, 25, program);
		program->hold_ttl = *DatumGetIntervalP(SPI_getbinval(row, desc, 31, &isnull));
		program->has_merges = program->has_aliases || DatumGetBool(SPI_getbinval(row, desc, 33, &isnull));
		program->has_households = DatumGetBool(SPI_getbinval(row, desc, 34, &isnull));
		program->has_forgotten = DatumGetBool(SPI_getbinval(row, desc, 35, &isnull));
		program->has_retention = DatumGetBool(SPI_getbinval(row, desc, 36, &isnull));
		program->has_forgotten_purchases = DatumGetBool(SPI_getbinval(row, desc, 37, &isnull));
		program->has_velocity = DatumGetBool(SPI_getbinval(row, desc, 38, &isnull));
		program->adjust_limit = points_or_zero(row, desc, 39);
		reinstate = SPI_getbinval(row, desc, 32, &isnull);
		program->has_reinstate = !isnull;
		if (!isnull)
			program->reinstate = DatumGetExpiry(reinstate);
	}
	SPI_finish();
	engine_leave(&scope);
}

/* Read the configuration anew. */
static Config *
config_build(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "loyalty configuration",
												  ALLOCSET_DEFAULT_SIZES);
	Config	   *config = MemoryContextAllocZero(context, sizeof(Config));
	Oid			schema = get_namespace_oid(LOYALTY_SCHEMA, false);
	HASHCTL		ctl;
	HeapTuple	tuple;

	config->context = context;
	config->program_rel = relation_oid(schema, "program");
	config->access_rel = relation_oid(schema, "access");
	config->rate_rel = relation_oid(schema, "currency_rate");
	config->rule_rel = relation_oid(schema, "rule");
	config->tier_rel = relation_oid(schema, "tier");
	config->velocity_rel = relation_oid(schema, "velocity_limit");
	config->source_rel = relation_oid(schema, "source");
	config->member_rel = relation_oid(schema, "member");
	config->entry_rel = relation_oid(schema, "entry");
	config->tier_change_rel = relation_oid(schema, "tier_change");
	config->alias_rel = relation_oid(schema, "member_alias");
	config->budget_rel = relation_oid(schema, "rule_budget");
	config->usage_rel = relation_oid(schema, "rule_usage");
	config->profile_rel = relation_oid(schema, "profile");
	config->confirmation_rel = relation_oid(schema, "confirmation");
	config->hold_rel = relation_oid(schema, "hold");
	config->merge_rel = relation_oid(schema, "member_merge");
	config->merge_into_index = relation_oid(schema, "member_merge_into_idx");
	config->household_rel = relation_oid(schema, "household");
	config->household_member_rel = relation_oid(schema, "household_member");
	config->household_member_index = relation_oid(schema, "household_member_household_idx");
	config->reward_rel = relation_oid(schema, "reward");
	config->option_rel = relation_oid(schema, "reward_option");
	config->stock_rel = relation_oid(schema, "reward_stock");
	config->redemption_rel = relation_oid(schema, "redemption");
	config->choice_rel = relation_oid(schema, "reward_choice");
	config->forgotten_rel = relation_oid(schema, "forgotten");
	config->forgotten_purchase_rel = relation_oid(schema, "forgotten_purchase");

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(config->member_rel));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", config->member_rel);
	config->owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Oid);
	ctl.hcxt = context;
	config->watched = hash_create("loyalty watched relations", 16, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return config;
}

/* An operation that held the Config has ended. */
static void
config_release(void *arg)
{
	Config	   *config = (Config *) arg;

	config->users--;
	if (config->users == 0 && config != current)
		MemoryContextDelete(config->context);
}

Config *
config_get(void)
{
	MemoryContextCallback *callback;

	AcceptInvalidationMessages();

	if (current != NULL && current->stale)
	{
		Config	   *old = current;

		current = NULL;
		if (old->users == 0)
			MemoryContextDelete(old->context);
	}
	if (current == NULL)
	{
		Config	   *config = config_build();

		/*
		 * In place before it is filled, so that a change that arrives while
		 * we read marks it stale; taken away again should reading fail.
		 */
		current = config;
		PG_TRY();
		{
			load_programs(config);
		}
		PG_CATCH();
		{
			if (current == config)
				current = NULL;
			MemoryContextDelete(config->context);
			PG_RE_THROW();
		}
		PG_END_TRY();
	}

	callback = palloc(sizeof(MemoryContextCallback));
	callback->func = config_release;
	callback->arg = current;
	current->users++;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return current;
}

void
config_watch(Config *config, Oid relid)
{
	(void) hash_search(config->watched, &relid, HASH_ENTER, NULL);
}

void
config_invalidate(Config *config)
{
	CacheInvalidateRelcacheByRelid(config->program_rel);
}

/* Whether anybody was ever merged in the program, as of now. */
static bool
was_merged(Config *config, int32 program_id)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(program_id)};
	EngineScope scope;
	bool		found;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT FROM loyalty.member_merge WHERE program_id = $1", 1, types, values, NULL, true, 1);
	found = SPI_processed > 0;
	PopActiveSnapshot();
	SPI_finish();
	engine_leave(&scope);
	return found;
}

void
config_look_for_merges(Config *config, const Program *program)
{
	if (program->has_merges)
		return;
	AcceptInvalidationMessages();
	if (config->stale && was_merged(config, program->program_id))
		config_note_merges(config, program);
}

void
config_note_merges(Config *config, const Program *program)
{
	config_program_by_id(config, program->program_id)->has_merges = true;
}

Program *
config_program_by_id(Config *config, int32 program_id)
{
	int			i;

	for (i = 0; i < config->nprograms; i++)
		if (config->programs[i].program_id == program_id)
			return &config->programs[i];
	return NULL;
}

Program *
config_program_still(Config *config, int32 program_id)
{
	Program    *program = config_program_by_id(config, program_id);

	if (program == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program %d does not exist any more", program_id)));
	return program;
}

Program *
config_program_by_name(Config *config, const char *name)
{
	int			i;

	for (i = 0; i < config->nprograms; i++)
		if (strcmp(config->programs[i].name, name) == 0)
			return &config->programs[i];
	return NULL;
}

/* The setting loyalty.program, NULL when it is not set. */
static char *
default_program(void)
{
	return loyalty_default_program == NULL || loyalty_default_program[0] == '\0'
		? NULL : loyalty_default_program;
}

Program *
config_program_if_named(Config *config, const text *name)
{
	return name == NULL && default_program() == NULL ? NULL : config_program(config, name);
}

char *
config_wanted_program(const text *name)
{
	return name != NULL ? text_to_cstring(name) : default_program();
}

void
config_unknown_program(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
			 errmsg("loyalty program \"%s\" does not exist", name)));
}

void
config_several_programs(int count)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
			 errmsg("no loyalty program is named, and there are several"),
			 errdetail("There are %d programs.", count),
			 errhint("Pass program => '...', or SET loyalty.program.")));
}

Program *
config_program(Config *config, const text *name)
{
	char	   *wanted = config_wanted_program(name);
	Program    *program;

	if (wanted == NULL && config->nprograms == 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("there is no loyalty program yet"),
				 errhint("Add one: INSERT INTO loyalty.program (name) VALUES ('points');")));
	if (wanted == NULL && config->nprograms > 1)
		config_several_programs(config->nprograms);

	program = wanted == NULL ? &config->programs[0] : config_program_by_name(config, wanted);
	if (program == NULL)
		config_unknown_program(wanted);
	return program;
}

/* Trigger on program, access, currency_rate, rule, tier and source: every backend reads them again. */
Datum
loyalty_config_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"loyalty.config_changed")));
	CacheInvalidateRelcacheByRelid(RelationGetRelid(trigdata->tg_relation));
	/* Replicated rows, also of tables that the configuration only knows not to be empty. */
	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		CacheInvalidateRelcacheByRelid(get_relname_relid("program", RelationGetNamespace(trigdata->tg_relation)));
	PG_RETURN_POINTER(NULL);
}
