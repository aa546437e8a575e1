/*
 * verify_rollups.c
 *		Proving that rollups are what the entries say.
 *
 * I1 rollups	each row of rollup_day, rollup_lots, rollup_month and
 *				rollup_member is the sum of the entries that were posted before
 *				rollup.until, and there is one wherever there are such entries;
 *				rollup counts them.  The rollups of cohorts are what the months
 *				of their members come to.
 */
#include "postgres.h"

#include "operation/rollup.h"
#include "operation/verify.h"

#define PROGRAMS \
	"WITH program AS (SELECT p.program_id, p.name, coalesce(r.until, '-infinity') AS until, coalesce(r.entries, 0) AS entries" \
	"  FROM loyalty.program p LEFT JOIN loyalty.rollup r USING (program_id) WHERE $1 IS NULL OR p.name = $1)"

#define OLD_MOVEMENTS " FROM loyalty.movements m" OLD_ENTRIES
#define OLD_ENTRIES \
	" JOIN program p USING (program_id)" \
	" WHERE m.posted_at < (SELECT max(until) FROM program) AND m.posted_at < p.until GROUP BY "

static const char *const days_query =
	PROGRAMS
	" SELECT 'I1 rollups', p.name, NULL,"
	"  format('the rollup of %s of rule %s and source %s on %s is not what the entries say', kind, rule_id, source_id, day),"
	"  (e.entries, e.points, e.gained, e.taken, e.purchases, e.amount)::text,"
	"  (d.entries, d.points, d.gained, d.taken, d.purchases, d.amount)::text"
	" FROM (SELECT " DAY_SUMS OLD_MOVEMENTS DAY_GROUPS ") e"
	" FULL JOIN (SELECT d.* FROM loyalty.rollup_day d JOIN program USING (program_id)) d"
	"  USING (program_id, day, kind, rule_id, source_id)"
	" JOIN program p USING (program_id)"
	" WHERE (e.entries, e.points, e.gained, e.taken, e.purchases, e.amount)"
	"  IS DISTINCT FROM (d.entries, d.points, d.gained, d.taken, d.purchases, d.amount)";

static const char *const months_query =
	PROGRAMS
	" SELECT 'I1 rollups', p.name, coalesce(m.ref, format('member_id %s', member_id)),"
	"  format('the rollup of %s is not what the entries say', pg_catalog.to_char(month, 'YYYY-MM')),"
	"  (e.purchases, e.amount, e.first_purchase, e.last_purchase, e.earned, e.clawed_back, e.redeemed, e.refunded, e.expired, e.adjusted, e.redemptions)::text,"
	"  (d.purchases, d.amount, d.first_purchase, d.last_purchase, d.earned, d.clawed_back, d.redeemed, d.refunded, d.expired, d.adjusted, d.redemptions)::text"
	" FROM (SELECT " MONTH_SUMS OLD_MOVEMENTS MONTH_GROUPS ") e"
	" FULL JOIN (SELECT d.* FROM loyalty.rollup_month d JOIN program USING (program_id)) d"
	"  USING (program_id, member_id, month)"
	" JOIN program p USING (program_id)"
	" LEFT JOIN loyalty.member m USING (member_id)"
	" WHERE (e.purchases, e.amount, e.first_purchase, e.last_purchase, e.earned, e.clawed_back, e.redeemed, e.refunded, e.expired, e.adjusted, e.redemptions)"
	"  IS DISTINCT FROM (d.purchases, d.amount, d.first_purchase, d.last_purchase, d.earned, d.clawed_back, d.redeemed, d.refunded, d.expired, d.adjusted, d.redemptions)";

static const char *const members_query =
	PROGRAMS
	" SELECT 'I1 rollups', p.name, coalesce(m.ref, format('member_id %s', member_id)), 'the rollup of the member is not what the entries say',"
	"  (e.purchases, e.amount, e.first_purchase, e.last_purchase, e.last_active, e.earned, e.redeemed, e.redemptions)::text,"
	"  (d.purchases, d.amount, d.first_purchase, d.last_purchase, d.last_active, d.earned, d.redeemed, d.redemptions)::text"
	" FROM (SELECT " MEMBER_SUMS OLD_MOVEMENTS MEMBER_GROUPS ") e"
	" FULL JOIN (SELECT d.* FROM loyalty.rollup_member d JOIN program USING (program_id)) d USING (program_id, member_id)"
	" JOIN program p USING (program_id)"
	" LEFT JOIN loyalty.member m USING (member_id)"
	" WHERE (e.purchases, e.amount, e.first_purchase, e.last_purchase, e.last_active, e.earned, e.redeemed, e.redemptions)"
	"  IS DISTINCT FROM (d.purchases, d.amount, d.first_purchase, d.last_purchase, d.last_active, d.earned, d.redeemed, d.redemptions)";

/*
 * Under which month somebody stands follows from him as he is, unless there is
 * something new of him.  The few others are looked up one by one.
 */
static const char *const cohorts_query =
	PROGRAMS
	" SELECT 'I1 rollups', d.name, d.ref, 'the month of enrollment in the rollup of the member is not his',"
	"  coalesce(d.expected::text, 'none'), coalesce(d.cohort::text, 'none')"
	" FROM (SELECT p.name, p.until, m.member_id, m.ref, t.cohort, x.expected FROM program p"
	"  JOIN loyalty.program o USING (program_id) JOIN loyalty.rollup_member t USING (program_id)"
	"  JOIN loyalty.member m ON m.member_id = t.member_id"
	"  CROSS JOIN LATERAL (SELECT CASE WHEN " NEVER_MERGED("m.member_id")
	"   THEN " COHORT_OF("m", "o") " END AS expected) x"
	"  WHERE t.cohort IS DISTINCT FROM x.expected OFFSET 0) d"
	" CROSS JOIN LATERAL (SELECT max(e.posted_at) AS posted_at FROM loyalty.entry e WHERE e.member_id = d.member_id OFFSET 0) n"
	" WHERE n.posted_at < d.until";

/* Months of members are proven above. */
#define COHORT_MONTHS \
	"SELECT a.*, t.cohort FROM program JOIN loyalty.rollup_member t USING (program_id)" \
	" JOIN loyalty.rollup_month a ON a.member_id = t.member_id WHERE t.cohort IS NOT NULL"

static const char *const point_cohorts_query =
	PROGRAMS
	" SELECT 'I1 rollups', p.name, NULL,"
	"  format('the rollup of what became in %s of points of %s is not what the months of members say', to_char(month, 'YYYY-MM'), to_char(cohort, 'YYYY-MM')),"
	"  (e.issued, e.redeemed, e.expired)::text, (d.issued, d.redeemed, d.expired)::text"
	" FROM (" POINT_COHORT_SUMS("1", COHORT_MONTHS) ") e"
	" FULL JOIN (SELECT d.* FROM loyalty.rollup_point_cohort d JOIN program USING (program_id)) d USING (program_id, cohort, month)"
	" JOIN program p USING (program_id)"
	" WHERE (coalesce(e.issued, 0), coalesce(e.redeemed, 0), coalesce(e.expired, 0))"
	"  IS DISTINCT FROM (coalesce(d.issued, 0), coalesce(d.redeemed, 0), coalesce(d.expired, 0))";

static const char *const purchase_cohorts_query =
	PROGRAMS
	" SELECT 'I1 rollups', p.name, NULL,"
	"  format('the rollup of what members of %s bought in %s is not what their months say', to_char(cohort, 'YYYY-MM'), to_char(month, 'YYYY-MM')),"
	"  (e.buyers, e.new_buyers, e.returning_buyers, e.revenue)::text, (d.buyers, d.new_buyers, d.returning_buyers, d.revenue)::text"
	" FROM (" PURCHASE_COHORT_SUMS("1", COHORT_MONTHS) ") e"
	" FULL JOIN (SELECT d.* FROM loyalty.rollup_purchase_cohort d JOIN program USING (program_id)) d USING (program_id, cohort, month)"
	" JOIN program p USING (program_id)"
	" WHERE (coalesce(e.buyers, 0), coalesce(e.new_buyers, 0), coalesce(e.returning_buyers, 0), coalesce(e.revenue, 0))"
	"  IS DISTINCT FROM (coalesce(d.buyers, 0), coalesce(d.new_buyers, 0), coalesce(d.returning_buyers, 0), coalesce(d.revenue, 0))";

/* Lots as text, for what is not there is not equal to none. */
static const char *const lots_query =
	PROGRAMS
	" SELECT 'I1 rollups', p.name, NULL, format('the rollup of lots on %s is not what the entries say', day),"
	"  (e.sales, e.sold_amount, e.sold, e.returned_amount, e.returned, e.given, e.redeemed, e.expired, e.moved)::text,"
	"  (d.sales, d.sold_amount, d.sold, d.returned_amount, d.returned, d.given, d.redeemed, d.expired, d.moved)::text"
	" FROM (SELECT " LOTS_SUMS " FROM loyalty.lot_movements m" OLD_ENTRIES LOTS_GROUPS ") e"
	" FULL JOIN (SELECT d.* FROM loyalty.rollup_lots d JOIN program USING (program_id)) d USING (program_id, day)"
	" JOIN program p USING (program_id)"
	" WHERE (e.sales, e.sold_amount, e.sold, e.returned_amount, e.returned, e.given, e.redeemed, e.expired, e.moved)::text"
	"  IS DISTINCT FROM (d.sales, d.sold_amount, d.sold, d.returned_amount, d.returned, d.given, d.redeemed, d.expired, d.moved)::text";

static const char *const count_query =
	PROGRAMS
	" SELECT 'I1 rollups', p.name, NULL, 'the count of entries in the rollups is not that of the rollups',"
	"  coalesce(sum(d.entries), 0)::text, p.entries::text"
	" FROM program p LEFT JOIN loyalty.rollup_day d USING (program_id)"
	" GROUP BY p.name, p.entries HAVING coalesce(sum(d.entries), 0) <> p.entries";

void
verify_rollups(Verification *verification)
{
	rollups_without_jit();
	verify_rows(verification, days_query);
	verify_rows(verification, lots_query);
	verify_rows(verification, months_query);
	verify_rows(verification, members_query);
	verify_rows(verification, cohorts_query);
	verify_rows(verification, point_cohorts_query);
	verify_rows(verification, purchase_cohorts_query);
	verify_rows(verification, count_query);
}
