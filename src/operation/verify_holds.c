/*
 * verify_holds.c
 *		Proving that what is held is what the entries left of it (I6).
 *
 * I6 holds	each entry of kind hold has a row, and each row such an entry, of
 *			the same points, time and purchase; the row's lots are that
 *			entry's less those that entries of kind release let go, and its
 *			captured points those that entries redeem from it.  An active hold
 *			holds something, one that is over nothing.  The member's row has
 *			the sum of what is held, and when the first active hold ends.
 *
 * That his held points are also what his entries say is checked with those, in
 * verify.c.  Entries name their hold in the context: where that is gone, since a
 * person was forgotten, his holds are not held against it.  Points are numeric,
 * since what was tampered with may add up to more than points can be.
 */
#include "postgres.h"

#include "operation/verify.h"
#include "redemption/held.h"

static const char *const members_query =
	"SELECT 'I6 holds', p.name, m.ref, v.problem, v.expected, v.actual"
	" FROM loyalty.member m"
	" LEFT JOIN (SELECT member_id, sum(loyalty.total(lots)::numeric) AS held, min(until) AS until"
	"  FROM loyalty.hold WHERE status = 'active' GROUP BY 1) h USING (member_id)"
	" LEFT JOIN loyalty.program p USING (program_id)"
	" CROSS JOIN LATERAL (VALUES"
	"  ('held points are not the sum of what active holds hold',"
	"   trim_scale(coalesce(h.held, 0))::text, trim_scale(m.held::numeric)::text),"
	"  ('hold_until is not when the first active hold ends',"
	"   coalesce(h.until::text, 'none'), coalesce(m.hold_until::text, 'none'))) AS v (problem, expected, actual)"
	" WHERE ($1 IS NULL OR p.name = $1)"
	/* Most hold nothing. */
	"  AND (m.held::numeric <> coalesce(h.held, 0) OR m.hold_until IS DISTINCT FROM h.until)"
	"  AND v.expected <> v.actual";

static const char *const rows_query =
	"WITH wanted AS (SELECT program_id FROM loyalty.program WHERE name = $1),"
	" rows AS (SELECT * FROM loyalty.hold WHERE $1 IS NULL OR program_id = (SELECT program_id FROM wanted)),"
	" moved AS (SELECT member_id, seq, program_id, kind, points::numeric AS points, lots, occurred_at, context,"
	"  CASE WHEN kind = 'hold' THEN seq"
	"   WHEN jsonb_typeof(context -> '" FIELD_HOLD "') = 'number' THEN (context ->> '" FIELD_HOLD "')::numeric END AS hold"
	"  FROM loyalty.entry"
	"  WHERE (kind = 'hold' OR (kind = 'release' AND points OPERATOR(loyalty.<>) 0)"
	"    OR (kind = 'redeem' AND context ? '" FIELD_HOLD "'))"
	"   AND ($1 IS NULL OR program_id = (SELECT program_id FROM wanted))),"
	" ledger AS (SELECT member_id, hold AS seq, min(program_id) AS program_id, bool_or(kind = 'hold') AS made,"
	"  sum(-points) FILTER (WHERE kind = 'hold') AS points,"
	"  coalesce(sum(-points) FILTER (WHERE kind = 'redeem'), 0) AS captured,"
	"  OPERATOR(loyalty.-) loyalty.sum(lots) FILTER (WHERE kind <> 'redeem') AS lots,"
	"  min(occurred_at) FILTER (WHERE kind = 'hold') AS made_at,"
	"  (array_agg(occurred_at ORDER BY seq DESC) FILTER (WHERE kind = 'release'))[1] AS ended_at"
	"  FROM moved WHERE hold IS NOT NULL GROUP BY 1, 2),"
	" both_sides AS (SELECT member_id, seq, l AS ledger, r AS row FROM ledger l FULL JOIN rows r USING (member_id, seq))"
	" SELECT 'I6 holds', p.name, coalesce(m.ref, format('member_id %s', b.member_id)),"
	"  format(v.problem, b.seq), v.expected, v.actual"
	" FROM both_sides b"
	" LEFT JOIN loyalty.member m USING (member_id)"
	" LEFT JOIN loyalty.program p ON p.program_id = coalesce(m.program_id, (b.ledger).program_id, (b.row).program_id)"
	/* Whose releases do not all say what they release. */
	" LEFT JOIN (SELECT DISTINCT member_id FROM moved WHERE hold IS NULL) f USING (member_id)"
	" CROSS JOIN LATERAL (SELECT (b.row).seq IS NOT NULL AND (b.ledger).made IS TRUE AS both, f.member_id IS NULL AS told,"
	"  (b.row).status = 'active' AS active) s"
	" CROSS JOIN LATERAL (VALUES"
	"  (m.member_id IS NULL, 'hold %s has no member', 'a member', 'none'),"
	"  ((b.row).seq IS NULL AND (b.ledger).made, 'points held by entry %s have no row of hold', 'a row', 'none'),"
	"  ((b.ledger).made IS NOT TRUE, 'hold %s was made by no entry', 'an entry', 'none'),"
	"  (s.both AND (b.row).program_id <> m.program_id, 'hold %s is not of its member''s program',"
	"   m.program_id::text, (b.row).program_id::text),"
	"  (s.both AND (b.row).points::numeric <> (b.ledger).points, 'points of hold %s are not those that its entry held',"
	"   trim_scale((b.ledger).points)::text, trim_scale((b.row).points::numeric)::text),"
	"  (s.both AND (b.row).made_at <> (b.ledger).made_at, 'time of hold %s is not its entry''s',"
	"   (b.ledger).made_at::text, (b.row).made_at::text),"
	"  (s.both AND (b.row).until <= (b.row).made_at, 'hold %s ends before it was made',"
	"   format('after %s', (b.row).made_at), (b.row).until::text),"
	"  (s.both AND s.told AND (b.row).captured::numeric <> (b.ledger).captured,"
	"   'captured points of hold %s are not what entries redeem of it',"
	"   trim_scale((b.ledger).captured)::text, trim_scale((b.row).captured::numeric)::text),"
	"  (s.both AND s.told AND (b.row).lots OPERATOR(loyalty.<>) (b.ledger).lots,"
	"   'lots of hold %s are not what its entries left of it',   (b.ledger).lots::text, (b.row).lots::text),"
	"  (s.both AND EXISTS (SELECT FROM loyalty.lots((b.row).lots) l WHERE l.points OPERATOR(loyalty.<) 0),"
	"   'a lot of hold %s is below zero', 'above 0', (b.row).lots::text),"
	"  (s.both AND (b.row).status <> ALL ('{active,captured,released,lapsed}'), 'status of hold %s is not known',"
	"   'active, captured, released or lapsed', (b.row).status),"
	"  (s.both AND s.active = ((b.row).lots::text = '{}'), 'status of hold %s is not that of what it holds',"
	"   CASE WHEN s.active THEN 'over' ELSE 'active' END, (b.row).status),"
	"  (s.both AND (b.row).status = 'captured' AND (b.row).captured::numeric = 0, 'hold %s is captured, and no points are',"
	"   'above 0', '0'),"
	"  (s.both AND s.active = ((b.row).ended_at IS NOT NULL), 'hold %s is over and has no end, or an end and is active',"
	"   CASE WHEN s.active THEN 'no end' ELSE 'an end' END, coalesce((b.row).ended_at::text, 'none')),"
	"  (s.both AND NOT s.active AND (b.row).ended_at <>"
	"    CASE WHEN (b.row).status = 'lapsed' THEN (b.row).until"
	"     WHEN s.told AND (b.ledger).ended_at IS NOT NULL THEN (b.ledger).ended_at ELSE (b.row).ended_at END,"
	"   'end of hold %s is not what its entries and its term say',"
	"   CASE (b.row).status WHEN 'lapsed' THEN (b.row).until ELSE (b.ledger).ended_at END::text, (b.row).ended_at::text))"
	" AS v (wrong, problem, expected, actual)"
	" WHERE v.wrong";

void
verify_holds(Verification *verification)
{
	verify_rows(verification, members_query);
	verify_rows(verification, rows_query);
}
