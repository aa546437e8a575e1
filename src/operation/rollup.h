/*
 * rollup.h
 *		What the ledger adds up to by day and by month, for big ledgers.
 */
#ifndef LOYALTY_ROLLUP_H
#define LOYALTY_ROLLUP_H

#include "nodes/pg_list.h"

#include "operation/batch.h"

/* Bring the rollups of some programs up to now, but for an hour; inside a transaction, and within a day of the last time, leave them. */
extern void rollups_advance(Batches *batches, List *programs);

/* For queries over movements, between engine_enter and engine_leave. */
extern void rollups_without_jit(void);

/*
 * What the views points_by_day and activity_by_month add up (sql/report.sql), of
 * rows m of loyalty.movements; the first ones are what they group by.
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
	" earned, clawed_back, redeemed, refunded, expired, redemptions"
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
	" count(*) FILTER (WHERE m.kind = 'redeem') AS redemptions"
#define MONTH_GROUPS "m.program_id, m.member_id, date_trunc('month', m.day::timestamp)::date"

#endif							/* LOYALTY_ROLLUP_H */
