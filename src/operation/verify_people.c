/*
 * verify_people.c
 *		Proving that members who were merged are found in the one who stands for
 *		them, and that households have the members that they may have.
 *
 * I6 merges	whoever has the status merged stands merged, once, into somebody who
 *				is there, and who in the end is not merged himself; he has no
 *				points, no lifetime points, none that await confirmation, and his
 *				ref leads to whom he was merged into in the end.  Nobody stands
 *				merged who does not have that status.  Whoever was merged into somebody who
 *				has been forgotten has been forgotten too (verify_forgotten.c).
 * I6 households	whoever is in a household is a member of its program, and not merged;
 *				it is there, has no more members than it may have, and its head is
 *				one of them.  That nobody is in two the table's key sees to.
 */
#include "postgres.h"

#include "operation/verify.h"

static const char *const merges_query =
	"WITH RECURSIVE members AS (SELECT * FROM loyalty.member"
	" WHERE $1 IS NULL OR program_id = (SELECT program_id FROM loyalty.program WHERE name = $1)),"
	" merges AS (SELECT * FROM loyalty.member_merge WHERE undone_at IS NULL),"
	" way AS (SELECT g.member_id, g.into_member_id AS stands, 1 AS steps FROM merges g"
	/* A ring would have no end. */
	"  UNION SELECT w.member_id, g.into_member_id, w.steps + 1 FROM way w JOIN merges g ON g.member_id = w.stands"
	"   WHERE w.steps < 1000),"
	" ends AS (SELECT DISTINCT ON (member_id) member_id, stands, steps FROM way ORDER BY member_id, steps DESC),"
	" merged AS (SELECT m.member_id, m.program_id, m.ref, m.status, m.purse, m.lifetime, m.awaiting, e.stands, e.steps,"
	"  (SELECT count(*) FROM merges g WHERE g.member_id = m.member_id) AS times,"
	"  (SELECT s.ref FROM loyalty.member s WHERE s.member_id = e.stands AND s.program_id = m.program_id AND s.status <> 'merged') AS stands_ref,"
	"  (SELECT a.member_id FROM loyalty.member_alias a WHERE a.program_id = m.program_id AND a.ref = m.ref) AS leads_to"
	"  FROM members m LEFT JOIN ends e USING (member_id)"
	"  WHERE m.status = 'merged' OR (e.member_id IS NOT NULL AND m.status <> 'forgotten'))"
	" SELECT 'I6 merges', p.name, m.ref, v.problem, v.expected, v.actual"
	" FROM merged m JOIN loyalty.program p USING (program_id) CROSS JOIN LATERAL (VALUES"
	"  (m.status <> 'merged', 'status of a member who stands merged is another one', 'merged', m.status),"
	"  (m.times <> 1, 'a member with the status merged does not stand merged once', '1', m.times::text),"
	"  (m.times = 1 AND m.stands_ref IS NULL, 'a member is merged into nobody who stands', 'a member', 'member_id ' || m.stands),"
	"  (m.times = 1 AND m.leads_to IS DISTINCT FROM m.stands, 'ref of a merged member does not lead to who stands for him',"
	"   'member_id ' || m.stands, coalesce('member_id ' || m.leads_to, 'himself')),"
	"  (m.status = 'merged' AND m.purse::text <> '{}', 'a merged member has points', '{}', m.purse::text),"
	"  (m.status = 'merged' AND m.lifetime::text <> '0', 'a merged member has lifetime points', '0', m.lifetime::text),"
	"  (m.status = 'merged' AND m.awaiting::text <> '0', 'points of a merged member await confirmation', '0', m.awaiting::text))"
	"  AS v (wrong, problem, expected, actual) WHERE v.wrong"
	" UNION ALL SELECT 'I6 merges', p.name, format('member_id %s', g.member_id), 'a merge is of a member who is not there', NULL, NULL"
	" FROM loyalty.member_merge g LEFT JOIN loyalty.program p USING (program_id)"
	" WHERE ($1 IS NULL OR p.name = $1) AND NOT EXISTS (SELECT FROM loyalty.member m WHERE m.member_id = g.member_id)";

static const char *const households_query =
	"WITH program AS (SELECT program_id, name FROM loyalty.program WHERE $1 IS NULL OR name = $1),"
	" members AS (SELECT o.member_id, o.household_id, o.program_id, m.ref, m.status,"
	"  m.program_id AS member_program, h.name, h.program_id AS household_program"
	"  FROM loyalty.household_member o LEFT JOIN loyalty.member m USING (member_id)"
	"  LEFT JOIN loyalty.household h USING (household_id) WHERE o.left_at IS NULL)"
	" SELECT 'I6 households', p.name, coalesce(m.ref, format('member_id %s', m.member_id)), v.problem, v.expected, v.actual"
	" FROM members m JOIN program p USING (program_id) CROSS JOIN LATERAL (VALUES"
	"  (m.ref IS NULL, 'a member of a household is not there', NULL, NULL),"
	"  (m.status = 'merged', 'a merged member is in a household', NULL, m.name),"
	"  (m.member_program <> m.program_id OR m.household_program <> m.program_id,"
	"   'a member of a household is another program''s', m.program_id::text, concat_ws(', ', m.member_program, m.household_program)),"
	"  (m.name IS NULL, 'the household of a member is not there', 'household ' || m.household_id, 'none'))"
	"  AS v (wrong, problem, expected, actual) WHERE v.wrong"
	" UNION ALL SELECT 'I6 households', p.name, NULL, v.problem, v.expected, v.actual"
	" FROM (SELECT h.*, (SELECT count(*) FROM members m WHERE m.household_id = h.household_id) AS count,"
	"  EXISTS (SELECT FROM members m WHERE m.household_id = h.household_id AND m.member_id = h.head_member_id) AS has_head"
	"  FROM loyalty.household h) h JOIN program p USING (program_id) CROSS JOIN LATERAL (VALUES"
	"  (h.count > h.max_members, format('household %L has more members than it may have', h.name), h.max_members::text, h.count::text),"
	"  (NOT h.has_head, format('the head of household %L is none of its members', h.name), NULL, 'member_id ' || h.head_member_id))"
	"  AS v (wrong, problem, expected, actual) WHERE v.wrong";

void
verify_people(Verification *verification)
{
	verify_rows(verification, merges_query);
	verify_rows(verification, households_query);
}
