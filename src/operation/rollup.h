/*
 * rollup.h
 *		What the ledger adds up to, for big ledgers.
 */
#ifndef LOYALTY_ROLLUP_H
#define LOYALTY_ROLLUP_H

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "operation/batch.h"

/* Bring the rollups of some programs up to now, but for an hour; inside a transaction, and within a day of the last time, leave them. */
extern void rollups_advance(Batches *batches, List *programs);

/* For queries over movements, between engine_enter and engine_leave. */
extern void rollups_without_jit(void);

/* What is to be done for some programs, whose rows of rollup are locked. */
typedef struct Rolling
{
	Datum		program_ids;	/* an array: $1 of what is executed */
	TimestampTz until;			/* $2 */
	TimestampTz since;			/* $3: the earliest of their "until" */
} Rolling;

extern void rolling_execute(const char *sql, const Rolling *rolling);

/* Add what was posted from each program's "until" on. */
extern void rollup_add(const Rolling *rolling);

/* Throw away what there is. */
extern void rollup_clear(const Rolling *rolling);

/*
 * What is added up (the views of sql/report.sql and sql/cohort.sql do the same
 * for what was posted since), of rows m of loyalty.movements; the first columns
 * are what they are grouped by.
 */
#define DAY_COLUMNS \
	"program_id, day, kind, rule_id, source_id, entries, points, gained, taken, purchases, amount"
#define DAY_SUMS \
	"m.program_id, m.day, m.kind, m.rule_id, m.source_id, count(*) AS entries, loyalty.sum(m.points) AS points," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.points OPERATOR(loyalty.>) 0), 0) AS gained," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.points OPERATOR(loyalty.<) 0), 0) AS taken," \
	" sum(m.purchases) AS purchases, coalesce(sum(m.amount), 0) AS amount"
#define DAY_GROUPS "m.program_id, m.day, m.kind, m.rule_id, m.source_id"

#define MONTH_COLUMNS \
	"program_id, member_id, month, purchases, amount, first_purchase, last_purchase," \
	" earned, clawed_back, redeemed, refunded, expired, adjusted, redemptions"
#define MONTH_SUMS \
	"m.program_id, m.member_id, date_trunc('month', m.day::timestamp)::date AS month," \
	" sum(m.purchases) AS purchases, coalesce(sum(m.amount), 0) AS amount," \
	" min(m.occurred_at) FILTER (WHERE m.purchases > 0) AS first_purchase," \
	" max(m.occurred_at) FILTER (WHERE m.purchases > 0) AS last_purchase," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.kind = 'earn'), 0) AS earned," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.kind = 'clawback'), 0) AS clawed_back," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.kind = 'redeem'), 0) AS redeemed," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.kind = 'refund'), 0) AS refunded," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.kind = 'expire'), 0) AS expired," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.kind IN ('adjust', 'transfer', 'import')), 0) AS adjusted," \
	" count(*) FILTER (WHERE m.kind = 'redeem') AS redemptions"
#define MONTH_GROUPS "m.program_id, m.member_id, date_trunc('month', m.day::timestamp)::date"

#define MEMBER_COLUMNS \
	"program_id, member_id, purchases, amount, first_purchase, last_purchase, last_active, earned, redeemed, redemptions"
#define MEMBER_SUMS \
	"m.program_id, m.member_id, sum(m.purchases) AS purchases, coalesce(sum(m.amount), 0) AS amount," \
	" min(m.occurred_at) FILTER (WHERE m.purchases > 0) AS first_purchase," \
	" max(m.occurred_at) FILTER (WHERE m.purchases > 0) AS last_purchase," \
	" max(m.occurred_at) FILTER (WHERE m.purchases > 0 OR m.kind = 'redeem'" \
	"  OR m.kind = 'earn' AND m.points OPERATOR(loyalty.>) 0) AS last_active," \
	" coalesce(loyalty.sum(m.points) FILTER (WHERE m.kind IN ('earn', 'clawback')), 0) AS earned," \
	" coalesce(loyalty.sum(OPERATOR(loyalty.-) m.points) FILTER (WHERE m.kind IN ('redeem', 'refund')), 0) AS redeemed," \
	" count(*) FILTER (WHERE m.kind = 'redeem') AS redemptions"
#define MEMBER_GROUPS "m.program_id, m.member_id"

/* Under which month the rollups of cohorts have a member, and whom. */
#define COHORT_OF(member, program) \
	"date_trunc('month', " member ".enrolled_at AT TIME ZONE " program ".time_zone)::date"
#define NEVER_MERGED(member_id) \
	"NOT EXISTS (SELECT FROM loyalty.member_merge g WHERE g.member_id = " member_id ")" \
	" AND NOT EXISTS (SELECT FROM loyalty.member_merge g WHERE g.into_member_id = " member_id ")"

/* Of rows a of rollup_month with the month of enrollment as cohort, in the order of programs, members and months. */
#define POINT_COHORT_COLUMNS "program_id, cohort, month, issued, redeemed, expired"
#define POINT_COHORT_SUMS(weight, months) \
	"SELECT d.program_id, coalesce(c.cohort, 'infinity') AS cohort, coalesce(c.month, 'infinity') AS month," \
	"  c.issued, c.redeemed, c.expired" \
	" FROM (SELECT a.program_id, loyalty.cohort_cells(" weight ", a.member_id, a.month," \
	"   a.earned OPERATOR(loyalty.+) a.clawed_back OPERATOR(loyalty.+) a.adjusted," \
	"   OPERATOR(loyalty.-) (a.redeemed OPERATOR(loyalty.+) a.refunded), OPERATOR(loyalty.-) a.expired) AS cells" \
	"  FROM (" months " ORDER BY a.program_id, a.member_id, a.month) a GROUP BY a.program_id) d" \
	" CROSS JOIN LATERAL unnest(d.cells) c"

#define PURCHASE_COHORT_COLUMNS "program_id, cohort, month, buyers, new_buyers, returning_buyers, revenue"
#define PURCHASE_COHORT_SUMS(weight, months) \
	"SELECT a.program_id, a.cohort, a.month, " weight " * count(*) FILTER (WHERE a.purchases > 0) AS buyers," \
	"  " weight " * count(*) FILTER (WHERE a.purchases > 0 AND a.before IS NULL) AS new_buyers," \
	"  " weight " * count(*) FILTER (WHERE a.purchases > 0 AND a.before = a.month - interval '1 month') AS returning_buyers," \
	"  " weight " * sum(a.amount) AS revenue" \
	" FROM (SELECT a.program_id, a.cohort, a.month, a.purchases, a.amount," \
	"   max(a.month) FILTER (WHERE a.purchases > 0) OVER (PARTITION BY a.program_id, a.member_id ORDER BY a.month" \
	"    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before" \
	"  FROM (" months ") a) a GROUP BY a.program_id, a.cohort, a.month"

/* What the view lots_by_day adds up (sql/deferral.sql), of rows m of loyalty.lot_movements. */
#define LOTS_COLUMNS \
	"program_id, day, sales, sold_amount, sold, returned_amount, returned, given, redeemed, expired, moved"
#define LOTS_SUMS \
	"m.program_id, m.day, coalesce(sum(m.amount) FILTER (WHERE m.sale), 0) AS sales," \
	" coalesce(sum(m.amount) FILTER (WHERE m.what = 'sale'), 0) AS sold_amount," \
	" loyalty.sum(m.lots) FILTER (WHERE m.what = 'sale') AS sold," \
	" coalesce(sum(m.amount) FILTER (WHERE m.what = 'return'), 0) AS returned_amount," \
	" loyalty.sum(m.lots) FILTER (WHERE m.what = 'return') AS returned," \
	" loyalty.sum(m.lots) FILTER (WHERE m.what = 'gift') AS given," \
	" loyalty.sum(m.lots) FILTER (WHERE m.what = 'redemption') AS redeemed," \
	" loyalty.sum(m.lots) FILTER (WHERE m.what = 'expiry') AS expired," \
	" loyalty.sum(m.lots) FILTER (WHERE m.what = 'move') AS moved"
#define LOTS_GROUPS "m.program_id, m.day"

#endif							/* LOYALTY_ROLLUP_H */
