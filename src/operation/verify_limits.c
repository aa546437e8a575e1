/*
 * verify_limits.c
 *		Proving that what is counted for limits is what the entries say (I4).
 *
 * I4 limits	for each member, limited rule (all its versions) and period: the
 *				points and purchases counted are those that stand of purchases of
 *				the period; and of a rule with once or cooldown the last award is
 *				the latest purchase that ever stood rewarded.
 * I4 budgets	for each budget and period: what is spent is what stands of all
 *				members' purchases of the period, given back included; and its
 *				slots allot the budget that they name, and none spends more.
 *
 * What stands is what was earned less what was clawed back less the shortfall
 * on record, and what awaits confirmation; a purchase's period is that of its first posting.  No row means
 * that nothing is counted.
 *
 * PostgreSQL sorts and adds up, within work_mem and on disk beyond it, and only
 * where a rule is limited; violations alone come back.  Sums are numeric, since
 * entries that were tampered with may be out of the range of points.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "operation/verify.h"

/* The rules at hand that a condition is true of, with their zone. */
#define RULES(condition) \
	"rules AS (" \
	" SELECT r.*, coalesce(r.lineage, r.rule_id) AS first_version, p.time_zone" \
	" FROM loyalty.rule r JOIN loyalty.program p ON p.name = r.program" \
	" WHERE ($1 IS NULL OR r.program = $1) AND (" condition "))"

/* Whose counts are looked at: those of rules that are not there too, unless one program's are asked for. */
#define IS_OURS(rule_id) \
	"($1 IS NULL OR " rule_id " IN (SELECT coalesce(lineage, rule_id) FROM loyalty.rule WHERE program = $1))"

/*
 * Their entries: what stands after each, whether it is the last one of its
 * purchase, and the purchase's time.  OFFSET keeps context out of the sort.
 */
#define STANDING \
	"standing AS (" \
	" SELECT e.member_id, e.rule_id," \
	"  sum(e.points) OVER postings - e.shortfall + e.awaiting AS stands," \
	"  lead(e.revision) OVER postings IS NULL AS is_last," \
	"  first_value(CASE WHEN e.revision = 1 THEN e.occurred_at" \
	"   ELSE (SELECT f.occurred_at FROM loyalty.entry f" \
	"    WHERE f.member_id = e.member_id AND f.source_id = e.source_id AND f.source_key = e.source_key" \
	"    AND f.revision = 1 LIMIT 1) END) OVER postings AS at" \
	" FROM (SELECT member_id, source_id, source_key, rule_id, revision, occurred_at, points::numeric AS points," \
	"   CASE jsonb_typeof(context -> 'shortfall') WHEN 'number' THEN (context ->> 'shortfall')::numeric" \
	"   ELSE 0 END AS shortfall," \
	"   CASE jsonb_typeof(context -> 'awaiting') WHEN 'number' THEN (context ->> 'awaiting')::numeric" \
	"   ELSE 0 END AS awaiting" \
	"  FROM loyalty.entry WHERE rule_id = ANY (ARRAY(SELECT rule_id FROM rules)) OFFSET 0) e" \
	" WINDOW postings AS (PARTITION BY e.member_id, e.source_id, e.source_key, e.rule_id" \
	"  ORDER BY e.revision ROWS UNBOUNDED PRECEDING))"

/* First day of the period of a purchase in "standing", by a rule in "rules". */
#define PERIOD(column) \
	"CASE r." column " WHEN 'ever' THEN '-infinity'::date" \
	" ELSE date_trunc(r." column ", s.at AT TIME ZONE r.time_zone)::date END"

/* How a rule and a period are called in a problem. */
#define NAMES \
	"LEFT JOIN loyalty.rule v ON v.rule_id = c.rule_id" \
	" CROSS JOIN LATERAL (SELECT coalesce('rule \"' || v.name || '\"', 'rule ' || c.rule_id) AS rule," \
	"  CASE WHEN c.period > '-infinity' THEN format(' in the period from %s', c.period) ELSE '' END AS period) n"

static const char *const which_limits =
	"SELECT coalesce(bool_or(num_nonnulls(member_cap, member_times, cooldown) > 0 OR once), false),"
	" coalesce(bool_or(budget IS NOT NULL), false)"
	" FROM loyalty.rule WHERE $1 IS NULL OR program = $1";

static const char *const limits_query =
	"WITH " RULES("num_nonnulls(r.member_cap, r.member_times, r.cooldown) > 0 OR r.once") ", " STANDING ","
	" stands AS ("
	" SELECT s.member_id, r.first_version AS rule_id, c.period, sum(c.points) AS points, sum(c.times) AS times,"
	"  max(c.last_at) AS last_at"
	" FROM standing s JOIN rules r ON r.rule_id = s.rule_id"
	" CROSS JOIN LATERAL (SELECT " PERIOD("cap_period") ", greatest(s.stands, 0), (s.stands > 0)::integer, NULL::timestamptz"
	"  WHERE s.is_last AND num_nonnulls(r.member_cap, r.member_times) > 0"
	"  UNION ALL SELECT '-infinity', 0, 0, s.at"
	"  WHERE s.stands > 0 AND (r.once OR r.cooldown IS NOT NULL)) c (period, points, times, last_at)"
	" GROUP BY 1, 2, 3),"
	" counts AS ("
	" SELECT member_id, rule_id, period, s.points AS stands, u.points::numeric AS points,"
	"  s.times AS stand_rewarded, u.times, s.last_at AS last_award, u.last_at"
	" FROM stands s FULL JOIN (SELECT * FROM loyalty.rule_usage WHERE " IS_OURS("rule_id") ") u"
	"  USING (member_id, rule_id, period)"
	" WHERE coalesce(s.points, 0) <> coalesce(u.points::numeric, 0) OR coalesce(s.times, 0) <> coalesce(u.times, 0)"
	"  OR s.last_at IS DISTINCT FROM u.last_at)"
	" SELECT 'I4 limits', v.program, coalesce(m.ref, format('member_id %s', c.member_id)), p.problem, p.expected, p.actual"
	" FROM counts c LEFT JOIN loyalty.member m ON m.member_id = c.member_id " NAMES
	" CROSS JOIN LATERAL (VALUES"
	"  (format('points counted of %s%s are not what stands', n.rule, n.period),"
	"   trim_scale(coalesce(c.stands, 0))::text, trim_scale(coalesce(c.points, 0))::text),"
	"  (format('purchases counted of %s%s are not those that stand rewarded', n.rule, n.period),"
	"   coalesce(c.stand_rewarded, 0)::text, coalesce(c.times, 0)::text),"
	"  (format('last award of %s is not the latest purchase that was rewarded', n.rule),"
	"   coalesce(c.last_award::text, 'none'), coalesce(c.last_at::text, 'none')))"
	" AS p (problem, expected, actual) WHERE p.expected <> p.actual";

static const char *const budgets_query =
	"WITH " RULES("r.budget IS NOT NULL") ", " STANDING ","
	" stands AS ("
	" SELECT r.first_version AS rule_id, " PERIOD("budget_period") " AS period, sum(greatest(s.stands, 0)) AS points"
	" FROM standing s JOIN rules r ON r.rule_id = s.rule_id WHERE s.is_last GROUP BY 1, 2),"
	" slots AS ("
	" SELECT rule_id, period, sum(spent::numeric) AS spent, sum(allotted::numeric) AS allotted,"
	"  min(budget::numeric) AS least, max(budget::numeric) AS budget,"
	"  max(spent::numeric - allotted::numeric) AS overspent, min(spent::numeric) AS least_spent"
	" FROM loyalty.rule_budget WHERE " IS_OURS("rule_id") " GROUP BY 1, 2),"
	" counts AS (SELECT rule_id, period, points, spent, allotted, least, budget, overspent, least_spent"
	" FROM stands FULL JOIN slots USING (rule_id, period))"
	" SELECT 'I4 budgets', v.program, NULL, p.problem, p.expected, p.actual"
	" FROM counts c " NAMES
	" CROSS JOIN LATERAL (VALUES"
	"  (format('points spent of the budget of %s%s are not what stands', n.rule, n.period),"
	"   coalesce(c.points, 0), coalesce(c.spent, 0)),"
	"  (format('slots of the budget of %s%s do not allot it', n.rule, n.period), c.budget, c.allotted),"
	"  (format('slots of the budget of %s%s name different budgets', n.rule, n.period), c.budget, c.least),"
	"  (format('a slot of the budget of %s%s has spent more than was allotted to it', n.rule, n.period),"
	"   0, greatest(c.overspent, 0)),"
	"  (format('a slot of the budget of %s%s has spent less than nothing', n.rule, n.period),"
	"   0, least(c.least_spent, 0)))"
	" AS q (problem, wanted, found)"
	" CROSS JOIN LATERAL (SELECT q.problem, trim_scale(q.wanted)::text AS expected, trim_scale(q.found)::text AS actual) p"
	" WHERE q.wanted <> q.found";

void
verify_limits(Verification *verification)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {(Datum) 0};
	char		nulls[1] = {verification->only == NULL ? 'n' : ' '};
	MemoryContext caller = CurrentMemoryContext;
	bool		isnull;
	bool		limits;
	bool		budgets;

	if (verification->only != NULL)
		values[0] = CStringGetTextDatum(verification->only->name);
	SPI_execute_with_args(which_limits, 1, types, values, nulls, true, 0);
	MemoryContextSwitchTo(caller);
	limits = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	budgets = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (limits)
		verify_rows(verification, limits_query);
	if (budgets)
		verify_rows(verification, budgets_query);
}
