/*
 * verify_proposals.c
 *		Proving that what took a second person had one (I6).
 *
 * I6 proposals	an approved proposal has its entry, of its points, which says by
 *				whom it was proposed and approved, and nobody else's proposal has
 *				the same; every entry that names a proposal is one of these.  The
 *				two persons are not the same, but for what went with a member who
 *				was forgotten.  Proposals of a member count 1..n.
 *
 * Entries whose context is gone since a person was forgotten name nothing; then
 * their number has to do.
 */
#include "postgres.h"

#include "ledger/actor.h"
#include "operation/verify.h"

#define SAYS(context, field) context " -> '" FIELD_BY "' ->> '" field "'"

/* As the context has it: the session only where it is another one. */
#define NAMES(role, session) "concat_ws(', ', " role ", nullif(" session ", " role "))"

static const char *const proposals_query =
	"WITH programs AS (SELECT program_id, name FROM loyalty.program WHERE $1 IS NULL OR name = $1),"
	" proposals AS (SELECT q.*, q.member_id || '#' || q.number AS proposal,"
	"  row_number() OVER (PARTITION BY q.member_id ORDER BY q.number) AS place,"
	"  count(*) OVER (PARTITION BY q.entry_member_id, q.entry) AS same_entry,"
	"  e.seq AS e_seq, e.kind AS e_kind, e.points AS e_points, e.context AS e_context, e.program_id AS e_program"
	"  FROM loyalty.proposal q LEFT JOIN loyalty.entry e ON e.member_id = q.entry_member_id AND e.seq = q.entry"
	"  WHERE q.program_id IN (SELECT program_id FROM programs))"
	" SELECT 'I6 proposals', p.name, coalesce(m.ref, format('member_id %s', q.member_id)), format(v.problem, q.proposal), v.expected, v.actual"
	" FROM proposals q JOIN programs p USING (program_id) LEFT JOIN loyalty.member m ON m.member_id = q.member_id CROSS JOIN LATERAL (VALUES"
	"  (m.ref IS NULL, 'proposal %s is of a member who is not there', NULL, NULL),"
	"  (m.program_id <> q.program_id, 'proposal %s is of a member of another program', q.program_id::text, m.program_id::text),"
	"  (q.number <> q.place, 'a proposal before %s is gone', q.place::text, q.number::text),"
	"  (q.state NOT IN ('open', 'approved', 'declined', 'withdrawn'), 'state of proposal %s is none', NULL, q.state),"
	"  ((q.state = 'open') <> (q.decided_at IS NULL AND q.decided_by IS NULL AND q.decided_session IS NULL),"
	"   'proposal %s is open and decided, or neither', q.state, coalesce(q.decided_by, 'nobody')),"
	"  ((q.state = 'approved') <> (q.entry IS NOT NULL AND q.entry_member_id IS NOT NULL), 'proposal %s is posted, but not approved, or the other way round',"
	"   q.state, coalesce('entry ' || q.entry, 'no entry')),"
	"  (q.state IN ('approved', 'declined') AND NOT (q.state = 'declined' AND (m.status = 'forgotten' OR EXISTS (SELECT FROM loyalty.forgotten f WHERE f.member_id = q.member_id)))"
	"   AND ARRAY[q.proposed_by, q.proposed_session] && ARRAY[q.decided_by, q.decided_session],"
	"   'proposal %s was decided by who had proposed it', 'somebody other than ' || " NAMES("q.proposed_by", "q.proposed_session") ","
	"   " NAMES("q.decided_by", "q.decided_session") "),"
	"  (q.state = 'withdrawn' AND (q.proposed_by, q.proposed_session) IS DISTINCT FROM (q.decided_by, q.decided_session),"
	"   'proposal %s was withdrawn by somebody else', " NAMES("q.proposed_by", "q.proposed_session") ", " NAMES("q.decided_by", "q.decided_session") "),"
	"  (q.entry IS NOT NULL AND q.e_seq IS NULL, 'the entry of proposal %s is not there', 'entry ' || q.entry, NULL),"
	"  (q.entry IS NOT NULL AND q.same_entry > 1, 'the entry of proposal %s is another one''s, too', '1', q.same_entry::text),"
	"  (q.e_seq IS NOT NULL AND (q.e_kind <> 'adjust' OR q.e_program <> q.program_id), 'the entry of proposal %s is none of an adjustment in its program', 'adjust', q.e_kind),"
	"  (q.e_seq IS NOT NULL AND q.e_points::numeric <> q.points::numeric, 'points of proposal %s are not those of its entry',"
	"   trim_scale(q.points::numeric)::text, trim_scale(q.e_points::numeric)::text),"
	"  (q.e_context IS NOT NULL AND (" SAYS("q.e_context", FIELD_PROPOSAL) ") IS DISTINCT FROM q.proposal,"
	"   'the entry of proposal %s does not name it', q.proposal, " SAYS("q.e_context", FIELD_PROPOSAL) "),"
	"  (q.e_context IS NOT NULL AND " NAMES("q.proposed_by", "q.proposed_session") " <>"
	"   concat_ws(', ', " SAYS("q.e_context", FIELD_ROLE) ", " SAYS("q.e_context", FIELD_SESSION) "),"
	"   'the entry of proposal %s says that somebody else had proposed it', " NAMES("q.proposed_by", "q.proposed_session") ","
	"   concat_ws(', ', " SAYS("q.e_context", FIELD_ROLE) ", " SAYS("q.e_context", FIELD_SESSION) ")),"
	"  (q.e_context IS NOT NULL AND " NAMES("q.decided_by", "q.decided_session") " <>"
	"   concat_ws(', ', " SAYS("q.e_context", FIELD_APPROVED_BY) ", " SAYS("q.e_context", FIELD_APPROVED_SESSION) "),"
	"   'the entry of proposal %s says that somebody else has approved it', " NAMES("q.decided_by", "q.decided_session") ","
	"   concat_ws(', ', " SAYS("q.e_context", FIELD_APPROVED_BY) ", " SAYS("q.e_context", FIELD_APPROVED_SESSION) ")))"
	"  AS v (wrong, problem, expected, actual) WHERE v.wrong"
	" UNION ALL"
	" SELECT 'I6 proposals', p.name, coalesce(m.ref, format('member_id %s', e.member_id)),"
	"  format('entry %s was posted by no approved proposal', e.seq), " SAYS("e.context", FIELD_PROPOSAL) ", NULL"
	" FROM loyalty.entry e JOIN programs p USING (program_id) LEFT JOIN loyalty.member m ON m.member_id = e.member_id"
	" WHERE e.kind = 'adjust' AND (" SAYS("e.context", FIELD_PROPOSAL) ") IS NOT NULL AND NOT EXISTS"
	"  (SELECT FROM loyalty.proposal q WHERE q.entry_member_id = e.member_id AND q.entry = e.seq AND q.program_id = e.program_id AND q.state = 'approved')";

void
verify_proposals(Verification *verification)
{
	verify_rows(verification, proposals_query);
}
