/*
 * verify_confirm.c
 *		Proving that what awaits confirmation is what the entries say (I4).
 *
 * Each award that began to await has a row of confirmation, and each row such
 * an award: the points that await and the decision are those of the last entry
 * of the rule for the purchase, the entry and time of the decision those of the
 * first that says so, and the day on which it is due follows from the rule.
 * What awaits of a member is the sum of his rows.  That the row of the purchase
 * wants what awaits is proven with the purchase.
 *
 * PostgreSQL sorts and adds up, and only entries of rules that confirm.
 */
#include "postgres.h"

#include "operation/verify.h"

static const char *const members_query =
	"SELECT 'I4 confirmation', p.name, m.ref, 'points that await confirmation are not what confirmation says',"
	" trim_scale(coalesce(c.points, 0))::text, trim_scale(m.awaiting::numeric)::text"
	" FROM loyalty.member m"
	" LEFT JOIN (SELECT member_id, sum(points::numeric) AS points FROM loyalty.confirmation GROUP BY 1) c USING (member_id)"
	" LEFT JOIN loyalty.program p USING (program_id)"
	" WHERE ($1 IS NULL OR p.name = $1) AND m.awaiting::numeric <> coalesce(c.points, 0)";

static const char *const rows_query =
	"WITH rows AS (SELECT * FROM loyalty.confirmation"
	"  WHERE $1 IS NULL OR program_id = (SELECT program_id FROM loyalty.program WHERE name = $1)),"
	" rules AS (SELECT r.rule_id, r.confirm_within, p.time_zone"
	"  FROM loyalty.rule r JOIN loyalty.program p ON p.name = r.program"
	"  WHERE ($1 IS NULL OR r.program = $1) AND (r.confirm OR r.rule_id IN (SELECT rule_id FROM rows))),"
	" ledger AS ("
	" SELECT e.member_id, e.program_id, e.source_id, e.source_key, e.rule_id,"
	"  coalesce(min(e.seq) FILTER (WHERE e.awaiting IS NOT NULL), min(e.seq)) AS seq,"
	"  coalesce((array_agg(e.awaiting ORDER BY e.revision DESC))[1], 0) AS points,"
	"  (array_agg(e.decision ORDER BY e.revision DESC))[1] AS decision,"
	"  (array_agg(e.seq ORDER BY e.revision) FILTER (WHERE e.decision IS NOT NULL))[1] AS decided_seq,"
	"  (array_agg(e.occurred_at ORDER BY e.revision) FILTER (WHERE e.decision IS NOT NULL))[1] AS decided_at"
	" FROM (SELECT member_id, seq, program_id, source_id, source_key, rule_id, revision, occurred_at,"
	"   CASE jsonb_typeof(context -> 'awaiting') WHEN 'number' THEN (context ->> 'awaiting')::numeric END AS awaiting,"
	"   context ->> 'decision' AS decision"
	"  FROM loyalty.entry WHERE rule_id = ANY (ARRAY(SELECT rule_id FROM rules)) OFFSET 0) e"
	" GROUP BY e.member_id, e.program_id, e.source_id, e.source_key, e.rule_id"
	" HAVING bool_or(e.awaiting IS NOT NULL OR e.decision IS NOT NULL)),"
	" both_sides AS (SELECT member_id, seq, l AS ledger, c AS row FROM ledger l FULL JOIN rows c USING (member_id, seq))"
	" SELECT 'I4 confirmation', p.name, coalesce(m.ref, format('member_id %s', b.member_id)), q.problem, q.expected, q.actual"
	" FROM both_sides b"
	" LEFT JOIN loyalty.program p ON p.program_id = coalesce((b.ledger).program_id, (b.row).program_id)"
	" LEFT JOIN loyalty.member m ON m.member_id = b.member_id"
	" LEFT JOIN rules r ON r.rule_id = (b.ledger).rule_id"
	" CROSS JOIN LATERAL (SELECT (f.occurred_at AT TIME ZONE r.time_zone)::date + extract(day FROM r.confirm_within)::integer + 1 AS due"
	"  FROM (SELECT) one LEFT JOIN loyalty.entry f ON (b.row).seq IS NOT NULL AND f.member_id = b.member_id"
	"   AND f.source_id = (b.ledger).source_id AND f.source_key = (b.ledger).source_key AND f.revision = 1 LIMIT 1) d"
	" CROSS JOIN LATERAL (VALUES"
	"  (1, format('confirmation of entry %s is not what the entries say', b.seq),"
	"   CASE WHEN (b.ledger).seq IS NULL THEN 'no row' ELSE 'a row' END,"
	"   CASE WHEN (b.row).seq IS NULL THEN 'no row' ELSE 'a row' END),"
	"  (2, format('points that await confirmation since entry %s are not what the entries say', b.seq),"
	"   trim_scale((b.ledger).points)::text, trim_scale((b.row).points::numeric)::text),"
	"  (2, format('decision on entry %s is not what the entries say', b.seq),"
	"   coalesce((b.ledger).decision, 'none'), coalesce((b.row).decision, 'none')),"
	"  (2, format('entry that decides on entry %s is not the one', b.seq),"
	"   coalesce((b.ledger).decided_seq::text, 'none'), coalesce((b.row).decided_seq::text, 'none')),"
	"  (2, format('time of the decision on entry %s is not the entry''s', b.seq),"
	"   coalesce((b.ledger).decided_at::text, 'none'), coalesce((b.row).decided_at::text, 'none')),"
	"  (2, format('purchase and rule of the confirmation of entry %s are not the entry''s', b.seq),"
	"   format('source %s, key %s, rule %s', (b.ledger).source_id, (b.ledger).source_key, (b.ledger).rule_id),"
	"   format('source %s, key %s, rule %s', (b.row).source_id, (b.row).source_key, (b.row).rule_id)),"
	"  (2, format('day on which silence decides on entry %s is not the rule''s', b.seq),"
	"   coalesce(d.due::text, 'never'), coalesce((b.row).due::text, 'never')))"
	" AS q (sides, problem, expected, actual)"
	" WHERE q.expected <> q.actual"
	"  AND q.sides = CASE WHEN (b.ledger).seq IS NULL OR (b.row).seq IS NULL THEN 1 ELSE 2 END";

void
verify_confirm(Verification *verification)
{
	verify_rows(verification, members_query);
	verify_rows(verification, rows_query);
}
