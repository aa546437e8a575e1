/*
 * verify_forgotten.c
 *		Proving that of forgotten members nothing is left that it should not be.
 *
 * forgotten	whoever has the status forgotten is in the table of that name, and
 *				the other way round; his last entry says that he was forgotten; he
 *				has a pseudonym, no points, none that are held or await anything,
 *				and nothing falls due for him; nothing is known of him as a person,
 *				no ref leads to him but by its digest, his entries but the last
 *				have no note and no facts; his vouchers are void; he is in no
 *				household; and who stands merged into him has been forgotten too.
 */
#include "postgres.h"

#include "ledger/forgotten.h"
#include "ledger/member.h"
#include "operation/verify.h"

static const char *const members_query =
	"WITH wanted AS (SELECT program_id, name FROM loyalty.program WHERE $1 IS NULL OR name = $1),"
	" members AS (SELECT w.name, m.*, f.seq AS forgotten_seq, f.member_id IS NOT NULL AS listed"
	"  FROM loyalty.member m JOIN wanted w USING (program_id) LEFT JOIN loyalty.forgotten f USING (member_id)"
	"  WHERE m.status = 'forgotten' OR f.member_id IS NOT NULL)"
	" SELECT 'forgotten', m.name, m.ref, v.problem, v.expected, v.actual FROM members m CROSS JOIN LATERAL (VALUES"
	"  (m.status <> 'forgotten', 'status of a forgotten member is another one', 'forgotten', m.status),"
	"  (NOT m.listed, 'a member with the status forgotten is not in the list', 'a row', 'none'),"
	"  (m.listed AND m.forgotten_seq <> m.seq, 'something was posted to a forgotten member', m.forgotten_seq::text, m.seq::text),"
	"  (NOT starts_with(m.ref, '" PSEUDONYM "'), 'ref of a forgotten member is no pseudonym', '" PSEUDONYM "...', 'another'),"
	"  (m.purse::text <> '{}', 'a forgotten member has points', '{}', m.purse::text),"
	"  (m.held::numeric <> 0 OR m.awaiting::numeric <> 0, 'points of a forgotten member are held, or await confirmation',"
	"   '0', concat_ws(', ', trim_scale(m.held::numeric), trim_scale(m.awaiting::numeric))),"
	"  (m.next_expiry IS NOT NULL OR m.hold_until IS NOT NULL, 'something falls due for a forgotten member', 'nothing',"
	"   coalesce(m.next_expiry::text, m.hold_until::text)),"
	"  (NOT EXISTS (SELECT FROM loyalty.entry e WHERE e.member_id = m.member_id AND e.seq = m.seq"
	"    AND e.kind = 'adjust' AND e.context = '{\"" FIELD_FORGOTTEN "\": true}'),"
	"   'last entry of a forgotten member does not say so', 'an entry', 'none'),"
	"  (EXISTS (SELECT FROM loyalty.entry e WHERE e.member_id = m.member_id AND e.seq < m.seq"
	"    AND (e.note IS NOT NULL OR e.context ?| '{facts,request,cancelled}')),"
	"   'entries of a forgotten member say what is personal', 'nothing', 'a note, or what was kept of him'),"
	"  (EXISTS (SELECT FROM loyalty.profile p WHERE p.member_id = m.member_id)"
	"    OR EXISTS (SELECT FROM loyalty.consent c WHERE c.member_id = m.member_id)"
	"    OR EXISTS (SELECT FROM loyalty.reward_choice c WHERE c.member_id = m.member_id)"
	"    OR EXISTS (SELECT FROM loyalty.maintenance_failure c WHERE c.member_id = m.member_id),"
	"   'something is known of a forgotten member', 'nothing', 'a row of profile, consent, reward_choice or maintenance_failure'),"
	"  (EXISTS (SELECT FROM loyalty.feedback c WHERE c.member_id = m.member_id"
	"    AND (c.comment IS NOT NULL OR c.about IS NOT NULL OR c.segments <> '{}')),"
	"   'feedback of a forgotten member says what is personal', 'a score', 'a comment, what it is about, or segments'),"
	"  (EXISTS (SELECT FROM loyalty.voucher c WHERE c.member_id = m.member_id AND c.void_at IS NULL),"
	"   'a voucher of a forgotten member is not void', 'void', 'not void'),"
	"  (EXISTS (SELECT FROM loyalty.household_member h WHERE h.member_id = m.member_id AND h.left_at IS NULL),"
	"   'a forgotten member is in a household', 'none', 'one'),"
	"  (EXISTS (SELECT FROM loyalty.member_merge g JOIN loyalty.member o ON o.member_id = g.member_id"
	"    WHERE g.into_member_id = m.member_id AND g.undone_at IS NULL AND o.status <> 'forgotten')"
	"   OR EXISTS (SELECT FROM loyalty.member_merge g JOIN loyalty.member o ON o.member_id = g.into_member_id"
	"    WHERE g.member_id = m.member_id AND g.undone_at IS NULL AND o.status <> 'forgotten'),"
	"   'somebody who is one person with a forgotten member is not forgotten', 'forgotten', 'another status'))"
	"  AS v (wrong, problem, expected, actual) WHERE v.wrong"
	" UNION ALL SELECT 'forgotten', w.name, m.ref, 'a ref leads to a forgotten member', '" FORGOTTEN_REF "...', 'another'"
	" FROM loyalty.forgotten f JOIN wanted w USING (program_id)"
	" JOIN loyalty.member_alias a ON a.member_id = f.member_id AND NOT starts_with(a.ref, '" FORGOTTEN_REF "')"
	" LEFT JOIN loyalty.member m ON m.member_id = f.member_id"
	" UNION ALL SELECT 'forgotten', w.name, format('member_id %s', f.member_id), 'a forgotten member is not there', 'a member', 'none'"
	" FROM loyalty.forgotten f JOIN wanted w USING (program_id)"
	" WHERE NOT EXISTS (SELECT FROM loyalty.member m WHERE m.member_id = f.member_id)";

void
verify_forgotten(Verification *verification)
{
	verify_rows(verification, members_query);
}
