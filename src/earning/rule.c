/*
 * rule.c
 *		The rules of a program, ready for evaluation.
 *
 * A purchase is judged by the rules there were when it first counted; it keeps
 * the greatest rule_id of that moment (rule_horizon).  For this to describe
 * exactly what was seen, rule numbers become visible in order: one transaction
 * at a time writes rules.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/rule.h"
#include "loyalty.h"

Fact const listed_facts[NLISTED] = {FACT_ITEM, FACT_CATEGORY, FACT_STORE, FACT_CHANNEL};

static SPITupleTable *
query(const char *text, const char *program)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(program)};

	if (SPI_execute_with_args(text, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read rules");
	return SPI_tuptable;
}

static int
compare_numbers(const void *a, const void *b)
{
	const Rule *x = *(Rule *const *) a;
	const Rule *y = *(Rule *const *) b;

	return x->rule_id < y->rule_id ? -1 : x->rule_id > y->rule_id;
}

/* Give each rule the ends that it had; they come in order of rule and version. */
static void
read_former_ends(Config *config, RuleSet *set, const SPITupleTable *table)
{
	Rule	  **rules = palloc(sizeof(Rule *) * Max(set->nrules, 1));
	FormerEnd  *ends = MemoryContextAlloc(config->context, sizeof(FormerEnd) * Max(table->numvals, 1));
	int			at = 0;
	uint64		i;

	for (i = 0; i < set->nrules; i++)
		rules[i] = &set->rules[i];
	qsort(rules, set->nrules, sizeof(Rule *), compare_numbers);

	for (i = 0; i < table->numvals; i++)
	{
		FormerEnd  *former = &ends[i];
		bool		isnull;
		int32		rule_id = DatumGetInt32(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull));

		former->version = DatumGetInt32(SPI_getbinval(table->vals[i], table->tupdesc, 2, &isnull));
		former->until = DatumGetTimestampTz(SPI_getbinval(table->vals[i], table->tupdesc, 3, &isnull));
		former->until_inclusive = DatumGetBool(SPI_getbinval(table->vals[i], table->tupdesc, 4, &isnull));
		while (rules[at]->rule_id != rule_id)
			at++;
		if (rules[at]->nformer++ == 0)
			rules[at]->former = former;
		set->horizon = Max(set->horizon, former->version);
	}
	pfree(rules);
}

/* What a column of the rule at hand holds; allocated in the configuration. */
typedef struct RuleReader
{
	Config	   *config;
	RuleSet    *set;
	const Program *program;
	HeapTuple	row;
	TupleDesc	desc;
	char	  **groups;			/* exclusive groups, by their number less one */
	int			ngroups;
} RuleReader;

/* Columns of the query in load_rules, in order. */
enum
{
	COL_RULE_ID = 1, COL_LINEAGE, COL_NAME, COL_EVENT, COL_OWNER,
	COL_AWARD, COL_AWARD_POINTS, COL_CONDITION,
	COL_INCLUDE,				/* one for each ListedFact */
	COL_EXCLUDE = COL_INCLUDE + NLISTED,	/* likewise */
	COL_MIN_AMOUNT = COL_EXCLUDE + NLISTED, COL_MIN_QUANTITY, COL_PURCHASE_CAP,
	COL_GROUP, COL_STOP,
	COL_MEMBER_CAP, COL_MEMBER_TIMES, COL_CAP_PERIOD, COL_REJECT, COL_ONCE, COL_COOLDOWN,
	COL_BUDGET, COL_BUDGET_PERIOD,
	COL_FROM, COL_FROM_INCLUSIVE, COL_UNTIL, COL_UNTIL_INCLUSIVE,
	COL_EXPIRY, COL_PENDING, COL_QUALIFIES,
	COL_CONFIRM, COL_CONFIRM_WITHIN, COL_SILENCE_ACCEPTS
};

static Datum
get(const RuleReader *reader, int column, bool *isnull)
{
	return SPI_getbinval(reader->row, reader->desc, column, isnull);
}

static char *
get_text(const RuleReader *reader, int column)
{
	char	   *value = SPI_getvalue(reader->row, reader->desc, column);

	return value == NULL ? NULL : MemoryContextStrdup(reader->config->context, value);
}

static bool
get_bool(const RuleReader *reader, int column)
{
	bool		isnull;
	Datum		value = get(reader, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* A numeric as a fraction, zero for null. */
static Rational
get_rational(const RuleReader *reader, int column)
{
	bool		isnull;
	Datum		value = get(reader, column, &isnull);
	Rational	result = RATIONAL_ZERO;
	MemoryContext caller = MemoryContextSwitchTo(reader->config->context);

	if (!isnull)
		result = rational_from_numeric(DatumGetNumeric(value));
	MemoryContextSwitchTo(caller);
	return result;
}

static Points
get_points(const RuleReader *reader, int column)
{
	bool		isnull;
	Datum		value = get(reader, column, &isnull);

	return isnull ? 0 : DatumGetPoints(value);
}

/* The number of a name in a growing list; it is added when it is not there. */
static int
intern(MemoryContext context, char ***names, int *nnames, const char *name)
{
	int			i;

	for (i = 0; i < *nnames; i++)
		if (strcmp((*names)[i], name) == 0)
			return i;
	*names = *names == NULL ? MemoryContextAlloc(context, sizeof(char *))
		: repalloc(*names, sizeof(char *) * (*nnames + 1));
	(*names)[*nnames] = MemoryContextStrdup(context, name);
	return (*nnames)++;
}

static int
compare_texts(const void *a, const void *b)
{
	const text *x = *(text *const *) a;
	const text *y = *(text *const *) b;
	int			x_length = VARSIZE_ANY_EXHDR(x);
	int			y_length = VARSIZE_ANY_EXHDR(y);
	int			order = memcmp(VARDATA_ANY(x), VARDATA_ANY(y), Min(x_length, y_length));

	return order != 0 ? order : x_length - y_length;
}

static void
get_names(const RuleReader *reader, int column, NameList *list)
{
	bool		isnull;
	Datum		value = get(reader, column, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;

	if (isnull)
		return;
	list->given = true;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	list->names = MemoryContextAlloc(reader->config->context, sizeof(text *) * Max(count, 1));
	for (i = 0; i < count; i++)
		if (!nulls[i])
		{
			MemoryContext caller = MemoryContextSwitchTo(reader->config->context);

			list->names[list->nnames++] = DatumGetTextPCopy(elements[i]);
			MemoryContextSwitchTo(caller);
		}
	if (list->nnames > 1)
		qsort(list->names, list->nnames, sizeof(text *), compare_texts);
}

/* What one unit of the award's base gives. */
static Rational
award_rate(const Award *award)
{
	switch ((AwardKind) award->kind)
	{
		case AWARD_PER:
			return rational_from_int64(award->give, award->per);
		case AWARD_PERCENT:
			return rational_from_int64(award->give, AWARD_UNIT * 100);
		default:
			return rational_from_int64(award->give, AWARD_UNIT);
	}
}

static Expression *
get_expression(const RuleReader *reader, int column, ExpressionKind kind, Rule *rule)
{
	char	   *source = get_text(reader, column);
	MemoryContext caller;
	Expression *expression;

	if (source == NULL)
		return NULL;
	caller = MemoryContextSwitchTo(reader->config->context);
	expression = expression_compile(kind, source, rule->name, get_text(reader, COL_OWNER));
	MemoryContextSwitchTo(caller);
	rule->reads |= expression->reads;
	reader->config->uses_types |= expression->uses_types;
	return expression;
}

static void
read_award(const RuleReader *reader, Rule *rule)
{
	bool		isnull;
	Datum		value = get(reader, COL_AWARD, &isnull);
	int			i;

	if (!isnull)
	{
		rule->award = *DatumGetAwardP(value);
		rule->rate = award_rate(&rule->award);
	}
	rule->award_points = get_expression(reader, COL_AWARD_POINTS, EXPRESSION_POINTS, rule);
	rule->condition = get_expression(reader, COL_CONDITION, EXPRESSION_CONDITION, rule);
	rule->asks_lines = rule->condition != NULL;
	for (i = 0; i < NLISTED; i++)
	{
		get_names(reader, COL_INCLUDE + i, &rule->include[i]);
		get_names(reader, COL_EXCLUDE + i, &rule->exclude[i]);
		if (rule->include[i].given || rule->exclude[i].given)
		{
			rule->asks_lines = true;
			rule->reads |= FACT_BIT(listed_facts[i]);
		}
	}
}

static void
read_limits(const RuleReader *reader, RuleLimits *limits)
{
	bool		isnull;
	Datum		value;

	limits->member_cap = get_points(reader, COL_MEMBER_CAP);
	value = get(reader, COL_MEMBER_TIMES, &isnull);
	limits->member_times = isnull ? 0 : DatumGetInt32(value);
	limits->cap_period = calendar_period(get_text(reader, COL_CAP_PERIOD));
	limits->reject = get_bool(reader, COL_REJECT);
	limits->once = get_bool(reader, COL_ONCE);
	value = get(reader, COL_COOLDOWN, &isnull);
	if (!isnull)
	{
		limits->cooldown = MemoryContextAlloc(reader->config->context, sizeof(Interval));
		*limits->cooldown = *DatumGetIntervalP(value);
	}
	limits->budget = get_points(reader, COL_BUDGET);
	limits->budget_period = calendar_period(get_text(reader, COL_BUDGET_PERIOD));
	limits->any = limits->member_cap > 0 || limits->member_times > 0 || limits->once ||
		limits->cooldown != NULL || limits->budget > 0;
}

static void
read_rule(RuleReader *reader, Rule *rule)
{
	RuleSet    *set = reader->set;
	const Program *program = reader->program;
	bool		isnull;
	Datum		value;

	rule->rule_id = DatumGetInt32(get(reader, COL_RULE_ID, &isnull));
	rule->lineage = DatumGetInt32(get(reader, COL_LINEAGE, &isnull));
	rule->name = get_text(reader, COL_NAME);
	rule->event = intern(reader->config->context, &set->events, &set->nevents,
						 get_text(reader, COL_EVENT));
	read_award(reader, rule);
	rule->min_amount = get_rational(reader, COL_MIN_AMOUNT);
	rule->min_quantity = get_rational(reader, COL_MIN_QUANTITY);
	rule->purchase_cap = rational_from_int64(get_points(reader, COL_PURCHASE_CAP), POINTS_UNIT);
	rule->group_name = get_text(reader, COL_GROUP);
	if (rule->group_name != NULL)
		rule->exclusive_group = 1 + intern(CurrentMemoryContext, &reader->groups, &reader->ngroups, rule->group_name);
	rule->stop = get_bool(reader, COL_STOP);
	read_limits(reader, &rule->limits);
	rule->active_from = DatumGetTimestampTz(get(reader, COL_FROM, &isnull));
	rule->from_inclusive = get_bool(reader, COL_FROM_INCLUSIVE);
	rule->active_until = DatumGetTimestampTz(get(reader, COL_UNTIL, &isnull));
	rule->until_inclusive = get_bool(reader, COL_UNTIL_INCLUSIVE);
	value = get(reader, COL_EXPIRY, &isnull);
	rule->has_expiry = !isnull;
	rule->expiry = isnull ? program->expiry : DatumGetExpiry(value);
	value = get(reader, COL_PENDING, &isnull);
	rule->has_pending = !isnull;
	rule->pending_days = isnull ? program->pending_days
		: config_whole_days(DatumGetIntervalP(value), "pending");
	rule->qualifies = get_bool(reader, COL_QUALIFIES);
	rule->confirm = get_bool(reader, COL_CONFIRM);
	value = get(reader, COL_CONFIRM_WITHIN, &isnull);
	rule->confirm_days = isnull ? -1 : config_whole_days(DatumGetIntervalP(value), "confirm_within");
	rule->silence_accepts = get_bool(reader, COL_SILENCE_ACCEPTS);

	set->horizon = Max(set->horizon, rule->rule_id);
	set->reads |= rule->reads;
	set->has_limits |= rule->limits.any;
	set->has_confirm |= rule->confirm;
}

/* Read the program's rules as of the latest snapshot. */
static RuleSet *
load_rules(Config *config, const Program *program)
{
	RuleSet    *set = MemoryContextAllocZero(config->context, sizeof(RuleSet));
	RuleReader	reader = {.config = config, .set = set, .program = program};
	SPITupleTable *table;
	SPITupleTable *former;
	MemoryContext caller;
	EngineScope scope;
	uint64		i;

	(void) intern(config->context, &set->events, &set->nevents, "purchase");
	caller = MemoryContextSwitchTo(config->context);
	machine_begin(&set->machine);
	MemoryContextSwitchTo(caller);

	engine_enter(&scope, config->owner);
	SPI_connect();
	/* One snapshot for both: the horizon says which ends the rules have here. */
	PushActiveSnapshot(config_snapshot());
	table = query("SELECT rule_id, coalesce(lineage, rule_id), name, event, owner,"
				  " award, award_points, condition,"
				  " include_items, include_categories, include_stores, include_channels,"
				  " exclude_items, exclude_categories, exclude_stores, exclude_channels,"
				  " min_amount, min_quantity, purchase_cap, exclusive_group, stop,"
				  " member_cap, member_times, cap_period, cap_mode = 'reject', once, cooldown,"
				  " budget, budget_period,"
				  " coalesce(pg_catalog.lower(active), '-infinity'), pg_catalog.lower_inc(active),"
				  " coalesce(pg_catalog.upper(active), 'infinity'), pg_catalog.upper_inc(active),"
				  " expiry, pending, qualifies, confirm, confirm_within, on_silence = 'accept'"
				  " FROM loyalty.rule WHERE program = $1"
				  " ORDER BY priority DESC, rule_id DESC", program->name);
	former = query("SELECT c.rule_id, c.version, c.until, c.until_inclusive"
				   " FROM loyalty.rule_change c JOIN loyalty.rule r ON r.rule_id = c.rule_id"
				   " WHERE r.program = $1 ORDER BY c.rule_id, c.version", program->name);
	PopActiveSnapshot();

	reader.desc = table->tupdesc;
	set->nrules = (int) table->numvals;
	set->rules = MemoryContextAllocZero(config->context, sizeof(Rule) * Max(table->numvals, 1));
	for (i = 0; i < table->numvals; i++)
	{
		reader.row = table->vals[i];
		read_rule(&reader, &set->rules[i]);
	}
	read_former_ends(config, set, former);
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

const Rule *
rule_by_id(const RuleSet *set, int32 rule_id)
{
	int			i;

	for (i = 0; i < set->nrules; i++)
		if (set->rules[i].rule_id == rule_id)
			return &set->rules[i];
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("entries name rule %d, which does not exist", rule_id)));
}

int
rule_event(const RuleSet *set, const char *name)
{
	int			i;

	for (i = 0; i < set->nevents; i++)
		if (strcmp(set->events[i], name) == 0)
			return i;
	return EVENT_UNKNOWN;
}

bool
rule_existed(const Rule *rule, int32 horizon)
{
	return rule->rule_id <= horizon;
}

bool
rule_was_active(const Rule *rule, int32 horizon, TimestampTz at)
{
	TimestampTz until = rule->active_until;
	bool		until_inclusive = rule->until_inclusive;
	int			i;

	/* The end that the rule had when the purchase was first judged. */
	for (i = 0; i < rule->nformer; i++)
		if (rule->former[i].version > horizon)
		{
			until = rule->former[i].until;
			until_inclusive = rule->former[i].until_inclusive;
			break;
		}
	if (at < rule->active_from ||
		(at == rule->active_from && !rule->from_inclusive && !TIMESTAMP_IS_NOBEGIN(rule->active_from)))
		return false;
	return at < until || (at == until && (until_inclusive || TIMESTAMP_IS_NOEND(until)));
}

DateADT
rule_silence_day(const Rule *rule, DateADT day)
{
	return rule->confirm_days < 0 ? DATEVAL_NOEND : calendar_add_days(day, rule->confirm_days + 1);
}

static bool
has_name(const NameList *list, const text *value)
{
	return value != NULL && list->nnames > 0 &&
		bsearch(&value, list->names, list->nnames, sizeof(text *), compare_texts) != NULL;
}

bool
rule_lists(const Rule *rule, ListedFact listed, const text *value)
{
	if (rule->include[listed].given && !has_name(&rule->include[listed], value))
		return false;
	return !rule->exclude[listed].given || !has_name(&rule->exclude[listed], value);
}

/* The transaction of this session that judged purchases last. */
static LocalTransactionId judging_transaction = InvalidLocalTransactionId;

void
rule_set_used(void)
{
	judging_transaction = MY_TRANSACTION;
}

bool
rule_set_was_used(void)
{
	return judging_transaction == MY_TRANSACTION;
}
