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

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"

#include "earning/limit.h"
#include "ledger/probe.h"
#include "loyalty.h"

/* Columns of rule_usage; the first three are its key. */
enum
{
	Anum_rule_usage_member_id = 1,
	Anum_rule_usage_rule_id,
	Anum_rule_usage_period,
	Anum_rule_usage_points,
	Anum_rule_usage_times,
	Anum_rule_usage_last_at
};

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
		usage->usages = usage->usages == NULL ? palloc(sizeof(Usage) * usage->capacity)
			: repalloc(usage->usages, sizeof(Usage) * usage->capacity);
	}
	count = &usage->usages[usage->nusages++];
	memset(count, 0, sizeof(*count));
	count->lineage = lineage;
	count->period = period;
	count->last_at = DT_NOBEGIN;
	return count;
}

/* Read what was counted before. */
static void
load_usage(MemberUsage *usage, Usage *count)
{
	Probe		probe;
	ScanKeyData keys[3];
	HeapTuple	row;
	TupleDesc	desc;
	Datum		last_at;
	bool		isnull;

	ScanKeyInit(&keys[0], Anum_rule_usage_member_id, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(usage->member_id));
	ScanKeyInit(&keys[1], Anum_rule_usage_rule_id, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(count->lineage));
	ScanKeyInit(&keys[2], Anum_rule_usage_period, BTEqualStrategyNumber, F_DATE_EQ,
				DateADTGetDatum(count->period));
	row = probe_begin(&probe, usage->config->usage_rel, usage->snapshot, keys, lengthof(keys));
	if (row != NULL)
	{
		desc = RelationGetDescr(probe.rel);
		count->points = DatumGetPoints(heap_getattr(row, Anum_rule_usage_points, desc, &isnull));
		count->times = DatumGetInt32(heap_getattr(row, Anum_rule_usage_times, desc, &isnull));
		last_at = heap_getattr(row, Anum_rule_usage_last_at, desc, &isnull);
		if (!isnull)
			count->last_at = DatumGetTimestampTz(last_at);
	}
	probe_end(&probe);
}

/* The count; read when it is first asked for.  Good until the next is asked for. */
static Usage *
find_usage(MemberUsage *usage, int32 lineage, DateADT period)
{
	Usage	   *count;
	int			i;

	for (i = 0; i < usage->nusages; i++)
		if (usage->usages[i].lineage == lineage && usage->usages[i].period == period)
			return &usage->usages[i];
	count = add_usage(usage, lineage, period);
	load_usage(usage, count);
	return count;
}

static DateADT
cap_period(const Program *program, const Rule *rule, TimestampTz at)
{
	return calendar_start_of_period(calendar_day(at, program->zone), rule->limits.cap_period);
}

void
limits_begin(MemberUsage *usage, Config *config, Snapshot snapshot, int64 member_id)
{
	memset(usage, 0, sizeof(*usage));
	usage->config = config;
	usage->snapshot = snapshot;
	usage->member_id = member_id;
}

void
limits_reset(MemberUsage *usage)
{
	usage->nusages = 0;
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

/* What a limit lets through: no smaller part of a point than the program has. */
static Points
clip(const Program *program, const Rule *rule, Points wanted, Points left)
{
	Points		unit = POINTS_UNIT;
	int			i;

	if (wanted <= left)
		return wanted;
	if (rule->limits.reject || left <= 0)
		return 0;
	for (i = 0; i < program->points_scale; i++)
		unit /= 10;
	return left - left % unit;
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
		granted = clip(program, rule, granted,
					   points_sub(limits->member_cap,
								  find_usage(usage, rule->lineage, cap_period(program, rule, request->at))->points));
	if (limits->budget > 0)
		granted = clip(program, rule, granted, request->budget_grant);
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

/*
 * What a refund alone takes back: what a purchase of its size would have got by
 * itself, at most.  Whether the purchase that it is about, which it does not
 * name, had one of a number of awards nobody can tell: of these it takes none.
 */
static Points
refund_grant(const Rule *rule, Points wanted)
{
	const RuleLimits *limits = &rule->limits;

	if (limits->once || limits->cooldown != NULL || limits->member_times > 0)
		return 0;
	return limits->member_cap > 0 ? Max(wanted, -limits->member_cap) : wanted;
}

Points
limit_grant(const Program *program, const Rule *rule, MemberUsage *usage,
			const LimitRequest *request, Points *drawn)
{
	Points		granted;

	*drawn = 0;
	if (request->asked_before && request->wanted == request->wanted_before)
		return request->granted_before;

	if (request->wanted < 0)
		granted = refund_grant(rule, request->wanted);
	else if (request->wanted <= request->granted_before)
		granted = request->wanted;
	else
	{
		/* What was refused before is not asked for again, unless an award is given whole or not at all. */
		Points		had = Max(request->granted_before,
							  request->asked_before && !rule->limits.reject ? request->wanted_before : 0);
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

/* Kept: it has nothing that another plan would be better for. */
static SPIPlanPtr
write_plan(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[6] = {INT8ARRAYOID, INT4ARRAYOID, DATEARRAYOID, INT8ARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID};

	if (plan != NULL && !SPI_plan_is_valid(plan))
	{
		SPIPlanPtr	former = plan;

		plan = NULL;
		SPI_freeplan(former);
	}
	if (plan == NULL)
	{
		/* Points travel as the ten-thousandths that they are kept in. */
		SPIPlanPtr	fresh = SPI_prepare_cursor("INSERT INTO loyalty.rule_usage AS u (member_id, rule_id, period, points, times, last_at)"
											   " SELECT n.member_id, n.rule_id, n.period, (n.points * 0.0001)::loyalty.points, n.times, n.last_at"
											   " FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
											   " pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6))"
											   " AS n (member_id, rule_id, period, points, times, last_at)"
											   " ON CONFLICT (member_id, rule_id, period) DO UPDATE"
											   " SET points = excluded.points, times = excluded.times, last_at = excluded.last_at",
											   6, types, CURSOR_OPT_GENERIC_PLAN);

		if (fresh == NULL || SPI_keepplan(fresh) != 0)
			elog(ERROR, "could not prepare to count what members have had of limited rules");
		plan = fresh;
	}
	return plan;
}

void
limits_write(Config *config, MemberUsage *usages, int nmembers)
{
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
	if (SPI_execute_plan(write_plan(), values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not count what members have had of limited rules");
	SPI_finish();
	engine_leave(&scope);
}
