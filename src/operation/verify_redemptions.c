/*
 * verify_redemptions.c
 *		Proving that what was redeemed is what was paid for (I6).
 *
 * I6 redemptions	for each entry that redeemed a reward there is a row, and the
 *					other way round; points, quantity and what went back are the
 *					same in both, and the status is what the times say.
 * I6 stock			what is taken of a stock are the units of redemptions that
 *					stand; its slots allot what they name, and none has more
 *					taken than was allotted to it.
 *
 * A member's caps are not held against what he has had: they may have been
 * lowered since.  What was blanked when a person was forgotten is not asked.
 */
#include "postgres.h"

#include "operation/verify.h"

#define IS_OURS(table) \
	"($1 IS NULL OR " table ".program_id = (SELECT program_id FROM loyalty.program WHERE name = $1))"

static const char *const redemptions_query =
	"WITH paid AS ("
	" SELECT e.member_id, e.seq, e.program_id, e.points::numeric AS points, e.context"
	" FROM loyalty.entry e WHERE e.kind = 'redeem' AND " IS_OURS("e") "),"
	" back AS ("
	" SELECT e.member_id, CASE jsonb_typeof(e.context -> 'entry') WHEN 'number' THEN (e.context ->> 'entry')::numeric END AS seq,"
	"  sum(e.points::numeric) AS points"
	" FROM loyalty.entry e WHERE e.kind = 'refund' AND " IS_OURS("e") " GROUP BY 1, 2),"
	" both_sides AS ("
	" SELECT coalesce(d.member_id, e.member_id) AS member_id, coalesce(d.seq, e.seq) AS seq,"
	"  coalesce(d.program_id, e.program_id) AS program_id,"
	"  e.seq IS NOT NULL AS has_entry, d.seq IS NOT NULL AS has_row, e.points AS paid, e.context,"
	"  d.points::numeric AS points, d.quantity, d.returned, d.backordered, d.stocked, d.stock_period, d.status,"
	"  d.requested_at, d.confirmed_at, d.fulfilled_at, d.cancelled_at, r.name AS reward, r.program,"
	"  coalesce(b.points, 0) AS went_back,"
	"  EXISTS (SELECT FROM back f WHERE f.member_id = d.member_id AND f.seq IS NULL) AS forgotten"
	" FROM (SELECT * FROM loyalty.redemption WHERE " IS_OURS("redemption") ") d"
	" FULL JOIN paid e ON e.member_id = d.member_id AND e.seq = d.seq"
	" LEFT JOIN loyalty.reward r ON r.reward_id = d.reward_id"
	" LEFT JOIN back b ON b.member_id = d.member_id AND b.seq = d.seq"
	/* What was spent as money is no redemption. */
	" WHERE d.seq IS NOT NULL OR e.context ? 'reward')"
	" SELECT 'I6 redemptions', p.name, coalesce(m.ref, format('member_id %s', f.member_id)), f.problem, f.expected, f.actual"
	" FROM (SELECT t.program_id, t.member_id, v.* FROM both_sides t CROSS JOIN LATERAL (VALUES"
	"  (NOT t.has_row, format('entry %s redeemed a reward, and is in no row', t.seq), 'a row', 'none'),"
	"  (NOT t.has_entry, format('redemption %s took no points', t.seq), 'an entry', 'none'),"
	"  (t.has_entry AND t.has_row AND -t.paid <> t.points, format('points of redemption %s are not those of its entry', t.seq),"
	"   trim_scale(-t.paid)::text, trim_scale(t.points)::text),"
	"  (t.has_row AND t.program IS DISTINCT FROM (SELECT name FROM loyalty.program WHERE program_id = t.program_id),"
	"   format('redemption %s is of no reward of its program', t.seq), 'a reward', coalesce(t.reward, 'none')),"
	"  (t.has_row AND t.context ->> 'reward' <> t.reward, format('entry %s names another reward than its redemption', t.seq),"
	"   t.reward, t.context ->> 'reward'),"
	"  (t.has_row AND t.context ->> 'quantity' <> t.quantity::text, format('quantity of redemption %s is not that of its entry', t.seq),"
	"   t.context ->> 'quantity', t.quantity::text),"
	"  (t.has_row AND (t.quantity <= 0 OR least(t.returned, t.backordered, t.stocked) < 0"
	"    OR t.returned + t.backordered + t.stocked > t.quantity OR (t.stocked > 0 AND t.stock_period IS NULL)),"
	"   format('units of redemption %s do not add up', t.seq), t.quantity::text,"
	"   format('%s returned, %s on back-order, %s from stock', t.returned, t.backordered, t.stocked)),"
	"  (t.has_row AND t.quantity > 0 AND t.points > 0 AND NOT t.forgotten"
	"    AND t.returned <> least(floor(t.went_back / (t.points / t.quantity)), t.quantity),"
	"   format('units returned of redemption %s are not those whose points went back', t.seq),"
	"   CASE WHEN t.quantity > 0 AND t.points > 0 THEN floor(t.went_back / (t.points / t.quantity))::text END, t.returned::text),"
	"  (t.has_row AND (t.status = 'cancelled') <> (t.returned = t.quantity),"
	"   format('redemption %s is cancelled, or not, against its units', t.seq),"
	"   CASE WHEN t.returned = t.quantity THEN 'cancelled' ELSE 'not cancelled' END, t.status),"
	"  (t.has_row AND CASE t.status"
	"    WHEN 'requested' THEN num_nonnulls(t.confirmed_at, t.fulfilled_at, t.cancelled_at) > 0"
	"    WHEN 'confirmed' THEN t.confirmed_at IS NULL OR num_nonnulls(t.fulfilled_at, t.cancelled_at) > 0 OR t.backordered > 0"
	"    WHEN 'fulfilled' THEN num_nulls(t.confirmed_at, t.fulfilled_at) > 0 OR t.cancelled_at IS NOT NULL OR t.backordered > 0"
	"    WHEN 'cancelled' THEN t.cancelled_at IS NULL"
	"    ELSE true END OR t.confirmed_at < t.requested_at OR t.fulfilled_at < t.confirmed_at,"
	"   format('status of redemption %s is not what its times say', t.seq), 'what they say', t.status))"
	"  AS v (wrong, problem, expected, actual) WHERE v.wrong) f"
	" LEFT JOIN loyalty.program p ON p.program_id = f.program_id"
	" LEFT JOIN loyalty.member m ON m.member_id = f.member_id";

static const char *const stock_query =
	"WITH ours AS (SELECT reward_id, name, program FROM loyalty.reward WHERE $1 IS NULL OR program = $1),"
	" stands AS ("
	" SELECT d.reward_id, d.stock_period AS period, sum(d.stocked) AS units FROM loyalty.redemption d"
	" JOIN ours USING (reward_id) WHERE d.stock_period IS NOT NULL GROUP BY 1, 2),"
	" slots AS ("
	" SELECT s.reward_id, s.period, sum(s.taken) AS taken, sum(s.allotted) AS allotted, min(s.stock) AS least,"
	"  max(s.stock) AS stock, max(s.taken - s.allotted) AS overdrawn, min(s.taken) AS least_taken"
	" FROM loyalty.reward_stock s JOIN ours USING (reward_id) GROUP BY 1, 2)"
	" SELECT 'I6 stock', o.program, NULL, p.problem, p.expected::text, p.actual::text"
	" FROM (SELECT * FROM stands FULL JOIN slots USING (reward_id, period)) c JOIN ours o USING (reward_id)"
	" CROSS JOIN LATERAL (SELECT CASE WHEN c.period > '-infinity' THEN format(' in the period from %s', c.period) ELSE '' END AS period) n"
	" CROSS JOIN LATERAL (VALUES"
	"  (format('units taken of the stock of reward \"%s\"%s are not those redeemed', o.name, n.period),"
	"   coalesce(c.units, 0), coalesce(c.taken, 0)),"
	"  (format('slots of the stock of reward \"%s\"%s do not allot it', o.name, n.period), c.stock, c.allotted),"
	"  (format('slots of the stock of reward \"%s\"%s name different stocks', o.name, n.period), c.stock, c.least),"
	"  (format('more was taken from a slot of the stock of reward \"%s\"%s than was allotted to it', o.name, n.period),"
	"   0, greatest(c.overdrawn, 0)),"
	"  (format('less than nothing was taken from a slot of the stock of reward \"%s\"%s', o.name, n.period),"
	"   0, least(c.least_taken, 0)))"
	" AS p (problem, expected, actual) WHERE p.expected <> p.actual";

void
verify_redemptions(Verification *verification)
{
	verify_rows(verification, redemptions_query);
	verify_rows(verification, stock_query);
}
