/*
 * limit.c
 *		What rules may give a member, who has had something of them before.
 *
 * A limit is asked when a purchase first wants points and when it wants more:
 * a rise draws on what is left then, a fall gives back, and a purchase that
 * wants what it wanted before keeps what it has.  So reconciling twice changes
 * nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "earning/limit.h"
#include "loyalty.h"

/* What was read of the counts; one for all members of a group. */
struct LimitScope
{
	Config	   *config;
	MemoryContext context;
	int			nlineages;
	int32	   *lineages;
	DateADT    *since;			/* by lineage: earlier periods may not be loaded */
};

/* Which periods of a lineage to read. */
typedef enum PeriodRange
{
	PERIODS_SINCE,				/* those of the scope, and "ever" */
	PERIODS_BEFORE				/* the others */
} PeriodRange;

static void read_counts(const LimitScope *scope, PeriodRange range, MemberUsage *usages, int nmembers);

/*
 * Counts in memory
 */

static Usage *
add_usage(MemberUsage *usage, int32 lineage, DateADT period)
{
	Usage	   *count;

	if (usage->nusages == usage->capacity)
	{
		usage->capacity = Max(4, usage->capacity * 2);
		usage->usages = usage->usages == NULL
			? MemoryContextAlloc(usage->scope->context, sizeof(Usage) * usage->capacity)
			: repalloc(usage->usages, sizeof(Usage) * usage->capacity);
	}
	count = &usage->usages[usage->nusages++];
	memset(count, 0, sizeof(*count));
	count->lineage = lineage;
	count->period = period;
	count->last_at = DT_NOBEGIN;
	return count;
}

static bool
is_loaded(const MemberUsage *usage, int32 lineage, DateADT period)
{
	const LimitScope *scope = usage->scope;
	int			i;

	if (usage->complete || DATE_IS_NOBEGIN(period))
		return true;
	for (i = 0; i < scope->nlineages; i++)
		if (scope->lineages[i] == lineage)
			return period >= scope->since[i];
	return true;
}

/*
 * Read the periods that were left out.  The member's lock guards his counts, so
 * the latest snapshot sees them as that of limits_load did.
 */
static void
complete_usage(MemberUsage *usage)
{
	MemberUsage older = {.scope = usage->scope, .member_id = usage->member_id};
	int			nusages = usage->nusages;
	int			i;

	PushActiveSnapshot(GetLatestSnapshot());
	read_counts(usage->scope, PERIODS_BEFORE, &older, 1);
	PopActiveSnapshot();
	for (i = 0; i < older.nusages; i++)
		*add_usage(usage, older.usages[i].lineage, older.usages[i].period) = older.usages[i];
	usage->loaded = repalloc(usage->loaded, sizeof(Usage) * Max(usage->nloaded + older.nusages, 1));
	if (older.nusages > 0)
		memcpy(usage->loaded + usage->nloaded, usage->usages + nusages, sizeof(Usage) * older.nusages);
	usage->nloaded += older.nusages;
	usage->complete = true;
}

/* The count; made when there is none.  Good until the next is asked for. */
static Usage *
find_usage(MemberUsage *usage, int32 lineage, DateADT period)
{
	int			i;

	if (!is_loaded(usage, lineage, period))
		complete_usage(usage);
	for (i = 0; i < usage->nusages; i++)
		if (usage->usages[i].lineage == lineage && usage->usages[i].period == period)
			return &usage->usages[i];
	return add_usage(usage, lineage, period);
}

static DateADT
cap_period(const Program *program, const Rule *rule, TimestampTz at)
{
	return calendar_start_of_period(calendar_day(at, program->zone), rule->limits.cap_period);
}

void
limits_reset(MemberUsage *usage)
{
	usage->nusages = usage->nloaded;
	if (usage->nloaded > 0)
		memcpy(usage->usages, usage->loaded, sizeof(Usage) * usage->nloaded);
}

/*
 * Limits
 */

/*
 * Whether the cooldown that the last award began is not over.  A purchase that
 * comes late, with a time before that, is treated as one at that time.
 */
static bool
is_cooling_down(const Program *program, const Rule *rule, TimestampTz last_at, TimestampTz at)
{
	Timestamp	over;

	if (rule->limits.cooldown == NULL || TIMESTAMP_IS_NOBEGIN(last_at))
		return false;
	/* In the program's zone, where a day may have 23 hours. */
	over = DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
												 TimestampGetDatum(calendar_local(last_at, program->zone)),
												 IntervalPGetDatum(rule->limits.cooldown)));
	return calendar_local(at, program->zone) < over;
}

bool
limit_bars(const Program *program, const Rule *rule, MemberUsage *usage, TimestampTz at)
{
	const RuleLimits *limits = &rule->limits;

	if (limits->once || limits->cooldown != NULL)
	{
		TimestampTz last_at = find_usage(usage, rule->lineage, DATEVAL_NOBEGIN)->last_at;

		if (limits->once && !TIMESTAMP_IS_NOBEGIN(last_at))
			return true;
		if (is_cooling_down(program, rule, last_at, at))
			return true;
	}
	return limits->member_times > 0 &&
		find_usage(usage, rule->lineage, cap_period(program, rule, at))->times >= limits->member_times;
}

/* What a limit lets through. */
static Points
clip(const Rule *rule, Points wanted, Points left)
{
	if (wanted <= left)
		return wanted;
	return rule->limits.reject ? 0 : Max(left, 0);
}

/* How much more a purchase gets that wants "rise" more. */
static Points
grant_rise(const Program *program, const Rule *rule, MemberUsage *usage,
		   const LimitRequest *request, Points rise)
{
	const RuleLimits *limits = &rule->limits;
	Points		granted = rise;

	/* A purchase that had an award keeps its right to it, but for the count. */
	if (request->granted_before <= 0)
	{
		if (!request->rewarded_before)
		{
			if (limit_bars(program, rule, usage, request->at))
				return 0;
		}
		else if (limits->member_times > 0 &&
				 find_usage(usage, rule->lineage, cap_period(program, rule, request->at))->times >= limits->member_times)
			return 0;
	}
	if (limits->member_cap > 0)
		granted = clip(rule, granted,
					   points_sub(limits->member_cap,
								  find_usage(usage, rule->lineage, cap_period(program, rule, request->at))->points));
	if (limits->budget > 0)
		granted = clip(rule, granted, request->budget_grant);
	return granted;
}

/* Count that the purchase stands at "granted" now, as far as a limit asks for it. */
static void
count(const Program *program, const Rule *rule, MemberUsage *usage,
	  const LimitRequest *request, Points granted)
{
	const RuleLimits *limits = &rule->limits;
	Points		before = Max(request->granted_before, 0);
	Points		after = Max(granted, 0);

	if (before == after)
		return;
	if (limits->member_cap > 0 || limits->member_times > 0)
	{
		Usage	   *period = find_usage(usage, rule->lineage, cap_period(program, rule, request->at));

		period->points = Max(points_add(period->points, points_sub(after, before)), 0);
		if (before == 0)
			period->times++;
		else if (after == 0 && period->times > 0)
			period->times--;
		period->changed = true;
	}
	if (after > 0 && (limits->once || limits->cooldown != NULL))
	{
		Usage	   *ever = find_usage(usage, rule->lineage, DATEVAL_NOBEGIN);

		if (request->at > ever->last_at)
		{
			ever->last_at = request->at;
			ever->changed = true;
		}
	}
}

Points
limit_grant(const Program *program, const Rule *rule, MemberUsage *usage,
			const LimitRequest *request, Points *drawn)
{
	Points		granted;

	*drawn = 0;
	if (request->asked_before && request->wanted == request->wanted_before)
		return request->granted_before;

	if (request->wanted <= request->granted_before || request->wanted <= 0)
		granted = request->wanted;
	else
	{
		Points		had = Max(request->granted_before, request->asked_before ? request->wanted_before : 0);
		Points		rise = points_sub(request->wanted, Max(had, 0));

		granted = Max(request->granted_before, 0);
		if (rise > 0)
			granted = points_add(granted, grant_rise(program, rule, usage, request, rise));
	}
	count(program, rule, usage, request, granted);
	if (rule->limits.budget > 0)
		*drawn = points_sub(Max(granted, 0), Max(request->granted_before, 0));
	return granted;
}

/*
 * The table
 */

/* Read counts of the members into their usages; by the active snapshot. */
static void
read_counts(const LimitScope *scope, PeriodRange range, MemberUsage *usages, int nmembers)
{
	static const char *const queries[] = {
		[PERIODS_SINCE] = "SELECT u.member_id, u.rule_id, u.period, u.points, u.times, u.last_at"
		" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS r (rule_id, since)"
		" JOIN loyalty.rule_usage u ON u.rule_id = r.rule_id AND (u.period >= r.since OR u.period = '-infinity')"
		" WHERE u.member_id = ANY ($1) ORDER BY u.member_id",
		[PERIODS_BEFORE] = "SELECT u.member_id, u.rule_id, u.period, u.points, u.times, u.last_at"
		" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS r (rule_id, since)"
		" JOIN loyalty.rule_usage u ON u.rule_id = r.rule_id AND u.period < r.since AND u.period > '-infinity'"
		" WHERE u.member_id = ANY ($1) ORDER BY u.member_id"
	};
	Oid			types[3] = {INT8ARRAYOID, INT4ARRAYOID, DATEARRAYOID};
	Datum		values[3];
	Datum	   *ids = palloc(sizeof(Datum) * nmembers);
	Datum	   *lineages = palloc(sizeof(Datum) * Max(scope->nlineages, 1));
	Datum	   *since = palloc(sizeof(Datum) * Max(scope->nlineages, 1));
	EngineScope entered;
	int			at = 0;
	uint64		row;
	int			i;

	for (i = 0; i < nmembers; i++)
		ids[i] = Int64GetDatum(usages[i].member_id);
	for (i = 0; i < scope->nlineages; i++)
	{
		lineages[i] = Int32GetDatum(scope->lineages[i]);
		since[i] = DateADTGetDatum(scope->since[i]);
	}
	values[0] = PointerGetDatum(construct_array(ids, nmembers, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = PointerGetDatum(construct_array(lineages, scope->nlineages, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(since, scope->nlineages, DATEOID, sizeof(int32), true, TYPALIGN_INT));

	engine_enter(&entered, scope->config->owner);
	SPI_connect();
	if (SPI_execute_with_args(queries[range], 3, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what members have had of limited rules");
	for (row = 0; row < SPI_processed; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Usage	   *usage;
		Datum		value;
		bool		isnull;
		int64		member_id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));

		while (usages[at].member_id != member_id)
			at++;
		usage = add_usage(&usages[at],
						  DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull)),
						  DatumGetDateADT(SPI_getbinval(tuple, desc, 3, &isnull)));
		usage->points = DatumGetPoints(SPI_getbinval(tuple, desc, 4, &isnull));
		usage->times = DatumGetInt32(SPI_getbinval(tuple, desc, 5, &isnull));
		value = SPI_getbinval(tuple, desc, 6, &isnull);
		if (!isnull)
			usage->last_at = DatumGetTimestampTz(value);
	}
	SPI_finish();
	engine_leave(&entered);
}

/* The scope of counts since the period of each rule that the day is in. */
static LimitScope *
make_scope(Config *config, const RuleSet *rules, DateADT since)
{
	LimitScope *scope = palloc(sizeof(LimitScope));
	int			i;
	int			j;

	scope->config = config;
	scope->context = CurrentMemoryContext;
	scope->nlineages = 0;
	scope->lineages = palloc(sizeof(int32) * Max(rules->nrules, 1));
	scope->since = palloc(sizeof(DateADT) * Max(rules->nrules, 1));
	for (i = 0; i < rules->nrules; i++)
	{
		const Rule *rule = &rules->rules[i];
		DateADT		first;

		if (!rule->limits.any)
			continue;
		first = DATE_IS_NOBEGIN(since) ? since : calendar_start_of_period(since, rule->limits.cap_period);
		for (j = 0; j < scope->nlineages; j++)
			if (scope->lineages[j] == rule->lineage)
				break;
		if (j == scope->nlineages)
		{
			scope->lineages[j] = rule->lineage;
			scope->since[j] = first;
			scope->nlineages++;
		}
		/* Versions of a rule may count by different periods. */
		scope->since[j] = Min(scope->since[j], first);
	}
	return scope;
}

MemberUsage *
limits_load(Config *config, const RuleSet *rules, const int64 *member_ids, int nmembers, DateADT since)
{
	MemberUsage *usages = palloc0(sizeof(MemberUsage) * nmembers);
	LimitScope *scope = make_scope(config, rules, since);
	int			i;

	for (i = 0; i < nmembers; i++)
	{
		usages[i].scope = scope;
		usages[i].member_id = member_ids[i];
	}
	read_counts(scope, PERIODS_SINCE, usages, nmembers);
	for (i = 0; i < nmembers; i++)
	{
		usages[i].nloaded = usages[i].nusages;
		usages[i].loaded = palloc(sizeof(Usage) * Max(usages[i].nusages, 1));
		if (usages[i].nusages > 0)
			memcpy(usages[i].loaded, usages[i].usages, sizeof(Usage) * usages[i].nusages);
	}
	return usages;
}

void
limits_write(Config *config, MemberUsage *usages, int nmembers)
{
	Oid			types[6] = {INT8ARRAYOID, INT4ARRAYOID, DATEARRAYOID, INT8ARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID};
	Datum		values[6];
	Datum	   *columns[6];
	bool	   *nulls;
	EngineScope scope;
	int			dims[1];
	int			lower[1] = {1};
	int			capacity = 0;
	int			n = 0;
	int			i;
	int			j;

	for (i = 0; i < nmembers; i++)
		capacity += usages[i].nusages;
	if (capacity == 0)
		return;
	for (i = 0; i < 6; i++)
		columns[i] = palloc(sizeof(Datum) * capacity);
	nulls = palloc(sizeof(bool) * capacity);
	for (i = 0; i < nmembers; i++)
		for (j = 0; j < usages[i].nusages; j++)
		{
			const Usage *usage = &usages[i].usages[j];

			if (!usage->changed)
				continue;
			columns[0][n] = Int64GetDatum(usages[i].member_id);
			columns[1][n] = Int32GetDatum(usage->lineage);
			columns[2][n] = DateADTGetDatum(usage->period);
			columns[3][n] = Int64GetDatum(usage->points);
			columns[4][n] = Int32GetDatum(usage->times);
			columns[5][n] = TimestampTzGetDatum(usage->last_at);
			nulls[n] = TIMESTAMP_IS_NOBEGIN(usage->last_at);
			n++;
		}
	if (n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(columns[0], n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = PointerGetDatum(construct_array(columns[1], n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(columns[2], n, DATEOID, sizeof(int32), true, TYPALIGN_INT));
	values[3] = PointerGetDatum(construct_array(columns[3], n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[4] = PointerGetDatum(construct_array(columns[4], n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	dims[0] = n;
	values[5] = PointerGetDatum(construct_md_array(columns[5], nulls, 1, dims, lower, TIMESTAMPTZOID,
												   8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));

	engine_enter(&scope, config->owner);
	SPI_connect();
	/* Points travel as the ten-thousandths that they are kept in. */
	if (SPI_execute_with_args("INSERT INTO loyalty.rule_usage AS u (member_id, rule_id, period, points, times, last_at)"
							  " SELECT n.member_id, n.rule_id, n.period, (n.points * 0.0001)::loyalty.points, n.times, n.last_at"
							  " FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
							  " pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6))"
							  " AS n (member_id, rule_id, period, points, times, last_at)"
							  " ON CONFLICT (member_id, rule_id, period) DO UPDATE"
							  " SET points = excluded.points, times = excluded.times, last_at = excluded.last_at",
							  6, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not count what members have had of limited rules");
	SPI_finish();
	engine_leave(&scope);
}
