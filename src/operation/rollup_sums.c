/*
 * rollup_sums.c
 *		What the rollups add up.
 *
 * Days, lots, months and members are sums of entries, to which those of new ones
 * are added.  Cohorts are sums over members, of what only all of a member's months
 * say: who has new entries is taken out as his months were, and put in again as
 * they are then.  Whoever was merged, or another with him, is not in them, for
 * what he did is another's meanwhile and may become his own again; such are few.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "operation/rollup.h"

/* Until the rights are given back: looked-up rows cost the planner so much that compiling takes longer than running. */
void
rollups_without_jit(void)
{
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
rolling_execute(const char *sql, const Rolling *rolling)
{
	Oid			types[3] = {INT4ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[3] = {rolling->program_ids, TimestampTzGetDatum(rolling->until), TimestampTzGetDatum(rolling->since)};

	CHECK_FOR_INTERRUPTS();
	SPI_execute_with_args(sql, lengthof(types), types, values, NULL, false, 0);
}

#define IS_NEW(m) \
	" " m ".program_id = ANY ($1) AND " m ".posted_at >= $3 AND " m ".posted_at < $2 AND " m ".posted_at >= r.until"

#define NEW_MOVEMENTS \
	" FROM loyalty.movements m JOIN loyalty.rollup r ON r.program_id = m.program_id WHERE" IS_NEW("m") " GROUP BY "

/* Months of members with new entries. */
#define CHANGED_MONTHS \
	"SELECT a.*, t.cohort FROM loyalty.rollup_member t JOIN loyalty.rollup_month a ON a.member_id = t.member_id" \
	" WHERE t.cohort IS NOT NULL AND t.member_id IN (" \
	"  SELECT e.member_id FROM loyalty.entry e JOIN loyalty.rollup r ON r.program_id = e.program_id WHERE" IS_NEW("e") ")"

static void
add_cohorts(const Rolling *rolling, const char *points, const char *purchases)
{
	rolling_execute(points, rolling);
	rolling_execute(purchases, rolling);
}

#define ADD_POINT_COHORTS(weight) \
	"INSERT INTO loyalty.rollup_point_cohort AS c (" POINT_COHORT_COLUMNS ") " \
	POINT_COHORT_SUMS(weight, CHANGED_MONTHS) \
	" ON CONFLICT (program_id, cohort, month) DO UPDATE SET" \
	" issued = c.issued OPERATOR(loyalty.+) excluded.issued," \
	" redeemed = c.redeemed OPERATOR(loyalty.+) excluded.redeemed," \
	" expired = c.expired OPERATOR(loyalty.+) excluded.expired"

#define ADD_PURCHASE_COHORTS(weight) \
	"INSERT INTO loyalty.rollup_purchase_cohort AS c (" PURCHASE_COHORT_COLUMNS ") " \
	PURCHASE_COHORT_SUMS(weight, CHANGED_MONTHS) \
	" ON CONFLICT (program_id, cohort, month) DO UPDATE SET" \
	" buyers = c.buyers + excluded.buyers, new_buyers = c.new_buyers + excluded.new_buyers," \
	" returning_buyers = c.returning_buyers + excluded.returning_buyers, revenue = c.revenue + excluded.revenue"

static void
add_days(const Rolling *rolling)
{
	rolling_execute("INSERT INTO loyalty.rollup_day AS d (" DAY_COLUMNS ")"
					" SELECT " DAY_SUMS NEW_MOVEMENTS DAY_GROUPS
					" ON CONFLICT (program_id, day, kind, rule_id, source_id) DO UPDATE SET"
					" entries = d.entries + excluded.entries,"
					" points = d.points OPERATOR(loyalty.+) excluded.points,"
					" gained = d.gained OPERATOR(loyalty.+) excluded.gained,"
					" taken = d.taken OPERATOR(loyalty.+) excluded.taken,"
					" purchases = d.purchases + excluded.purchases, amount = d.amount + excluded.amount", rolling);
}

static void
add_months(const Rolling *rolling)
{
	rolling_execute("INSERT INTO loyalty.rollup_month AS a (" MONTH_COLUMNS ")"
					" SELECT " MONTH_SUMS NEW_MOVEMENTS MONTH_GROUPS
					" ON CONFLICT (member_id, month) DO UPDATE SET"
					" purchases = a.purchases + excluded.purchases, amount = a.amount + excluded.amount,"
					" first_purchase = least(a.first_purchase, excluded.first_purchase),"
					" last_purchase = greatest(a.last_purchase, excluded.last_purchase),"
					" earned = a.earned OPERATOR(loyalty.+) excluded.earned,"
					" clawed_back = a.clawed_back OPERATOR(loyalty.+) excluded.clawed_back,"
					" redeemed = a.redeemed OPERATOR(loyalty.+) excluded.redeemed,"
					" refunded = a.refunded OPERATOR(loyalty.+) excluded.refunded,"
					" expired = a.expired OPERATOR(loyalty.+) excluded.expired,"
					" adjusted = a.adjusted OPERATOR(loyalty.+) excluded.adjusted,"
					" redemptions = a.redemptions + excluded.redemptions", rolling);
}

/* Neither a month of enrollment nor a merge comes without an entry, so that each cohort is as it is now. */
static void
add_members(const Rolling *rolling)
{
	rolling_execute("INSERT INTO loyalty.rollup_member AS t (" MEMBER_COLUMNS ", cohort)"
					" SELECT n.*, CASE WHEN " NEVER_MERGED("n.member_id") " THEN " COHORT_OF("o", "p") " END"
					" FROM (SELECT " MEMBER_SUMS NEW_MOVEMENTS MEMBER_GROUPS ") n"
					" JOIN loyalty.member o ON o.member_id = n.member_id JOIN loyalty.program p ON p.program_id = n.program_id"
					" ON CONFLICT (member_id) DO UPDATE SET"
					" purchases = t.purchases + excluded.purchases, amount = t.amount + excluded.amount,"
					" first_purchase = least(t.first_purchase, excluded.first_purchase),"
					" last_purchase = greatest(t.last_purchase, excluded.last_purchase),"
					" last_active = greatest(t.last_active, excluded.last_active),"
					" earned = t.earned OPERATOR(loyalty.+) excluded.earned,"
					" redeemed = t.redeemed OPERATOR(loyalty.+) excluded.redeemed,"
					" redemptions = t.redemptions + excluded.redemptions, cohort = excluded.cohort", rolling);
}

/* NULL is no points at all. */
#define LOTS_SUM(column) \
	column " = coalesce(d." column " OPERATOR(loyalty.+) excluded." column ", d." column ", excluded." column ")"

/* Holds are not in lots, and so a day of the ledger may be without a row here. */
static void
add_lots(const Rolling *rolling)
{
	rolling_execute("INSERT INTO loyalty.rollup_lots AS d (" LOTS_COLUMNS ")"
					" SELECT " LOTS_SUMS " FROM loyalty.lot_movements m JOIN loyalty.rollup r ON r.program_id = m.program_id"
					" WHERE" IS_NEW("m") " GROUP BY " LOTS_GROUPS
					" ON CONFLICT (program_id, day) DO UPDATE SET"
					" sales = d.sales + excluded.sales, sold_amount = d.sold_amount + excluded.sold_amount,"
					" returned_amount = d.returned_amount + excluded.returned_amount, "
					LOTS_SUM("sold") ", " LOTS_SUM("returned") ", " LOTS_SUM("given") ", "
					LOTS_SUM("redeemed") ", " LOTS_SUM("expired") ", " LOTS_SUM("moved"), rolling);
}

void
rollup_add(const Rolling *rolling)
{
	add_cohorts(rolling, ADD_POINT_COHORTS("-1"), ADD_PURCHASE_COHORTS("-1"));
	add_days(rolling);
	add_lots(rolling);
	add_months(rolling);
	add_members(rolling);
	add_cohorts(rolling, ADD_POINT_COHORTS("1"), ADD_PURCHASE_COHORTS("1"));
	rolling_execute("UPDATE loyalty.rollup r SET until = $2, rolled_up_at = pg_catalog.clock_timestamp(),"
					" entries = (SELECT coalesce(sum(d.entries), 0) FROM loyalty.rollup_day d WHERE d.program_id = r.program_id),"
					" latest = greatest(r.latest, (SELECT max(e.occurred_at) FROM loyalty.entry e"
					"  WHERE e.program_id = r.program_id AND e.posted_at >= $3 AND e.posted_at < $2 AND e.posted_at >= r.until))"
					" WHERE r.program_id = ANY ($1)", rolling);
}

void
rollup_clear(const Rolling *rolling)
{
	rolling_execute("DELETE FROM loyalty.rollup_day WHERE program_id = ANY ($1)", rolling);
	rolling_execute("DELETE FROM loyalty.rollup_lots WHERE program_id = ANY ($1)", rolling);
	rolling_execute("DELETE FROM loyalty.rollup_month WHERE program_id = ANY ($1)", rolling);
	rolling_execute("DELETE FROM loyalty.rollup_member WHERE program_id = ANY ($1)", rolling);
	rolling_execute("DELETE FROM loyalty.rollup_point_cohort WHERE program_id = ANY ($1)", rolling);
	rolling_execute("DELETE FROM loyalty.rollup_purchase_cohort WHERE program_id = ANY ($1)", rolling);
	rolling_execute("UPDATE loyalty.rollup SET until = '-infinity', entries = 0, latest = NULL WHERE program_id = ANY ($1)", rolling);
}
