/*
 * verify_transfers.c
 *		Proving that what one member gave has arrived at another (I6).
 *
 * I6 transfers	for each entry of points given to another member there is one,
 *				of another member, by which as many arrived, and the other way
 *				round; and each names the other, unless its context is gone
 *				since a person was forgotten.
 *
 * What a merge moves may be a debt, or no points at all.
 *
 * The source_key of one of the two leads to the other; it is hashed, and never
 * blanked.  PostgreSQL sorts or hashes, within work_mem and on disk beyond it.
 * Points are numeric, since entries that were tampered with may add up to more
 * than points can be.
 */
#include "postgres.h"

#include "ledger/imported.h"
#include "operation/verify.h"
#include "redemption/transfer.h"

#define LINKED "starts_with(source_key, '" TRANSFER_RECEIVED "') OR starts_with(source_key, '" TRANSFER_GIVEN "')"

static const char *const transfers_query =
	"WITH transfers AS ("
	" SELECT e.member_id, e.seq, e.program_id, e.points::numeric AS points, e.source_key, e.context"
	" FROM loyalty.entry e WHERE e.kind = 'transfer'"
	" AND ($1 IS NULL OR e.program_id = (SELECT program_id FROM loyalty.program WHERE name = $1))),"
	" first AS (SELECT *, member_id || '#' || seq AS pair,"
	" source_key ~ '^(" MERGE_KEYS "|" UNMERGE_KEYS "|" PASS_KEYS "|" HOUSEHOLD_KEYS ")[:#]' AS merged FROM transfers WHERE NOT (" LINKED ")),"
	" linked AS (SELECT *, substr(source_key, length(CASE WHEN starts_with(source_key, '" TRANSFER_GIVEN "')"
	"  THEN '" TRANSFER_GIVEN "' ELSE '" TRANSFER_RECEIVED "' END) + 1) AS pair,"
	" starts_with(source_key, '" TRANSFER_GIVEN "') AS gives,"
	" sum(points) OVER same AS all_points, count(*) OVER same AS times FROM transfers"
	" WHERE " LINKED " WINDOW same AS (PARTITION BY source_key)),"
	/* Either side may be missing. */
	" joined AS (SELECT coalesce(k.gives, l.points > 0) AS reversed, l.member_id AS l_member, l.seq AS l_seq,"
	"  l.points AS l_points, l.context AS l_context, k.member_id AS k_member, k.seq AS k_seq,"
	"  k.all_points AS k_points, k.context AS k_context, k.times, coalesce(l.program_id, k.program_id) AS program_id, coalesce(l.merged, false) AS merged"
	" FROM first l FULL JOIN linked k ON k.pair = l.pair AND k.program_id = l.program_id),"
	" sides AS (SELECT program_id, merged, coalesce(times, 1) AS times,"
	"  CASE WHEN reversed THEN k_member ELSE l_member END AS giver,"
	"  CASE WHEN reversed THEN k_seq ELSE l_seq END AS given_seq,"
	"  CASE WHEN reversed THEN k_points ELSE l_points END AS given,"
	"  CASE WHEN reversed THEN k_context ELSE l_context END AS given_context,"
	"  CASE WHEN reversed THEN l_member ELSE k_member END AS receiver,"
	"  CASE WHEN reversed THEN l_seq ELSE k_seq END AS received_seq,"
	"  CASE WHEN reversed THEN l_points ELSE k_points END AS arrived,"
	"  CASE WHEN reversed THEN l_context ELSE k_context END AS received_context FROM joined),"
	" pairs AS (SELECT * FROM sides"
	/* What is sound goes no further. */
	" WHERE ((given < 0 OR merged) AND arrived = -given AND times = 1 AND receiver <> giver"
	"  AND (given_context IS NULL OR given_context @> jsonb_build_object('" TRANSFER_TO_MEMBER "', receiver, '" TRANSFER_TO_ENTRY "', received_seq))"
	"  AND (received_context IS NULL OR received_context @> jsonb_build_object('" TRANSFER_FROM_MEMBER "', giver, '" TRANSFER_FROM_ENTRY "', given_seq)))"
	"  IS NOT TRUE)"
	" SELECT 'I6 transfers', p.name, coalesce(m.ref, format('member_id %s', f.member_id)), f.problem, f.expected, f.actual"
	" FROM (SELECT DISTINCT t.program_id, v.* FROM pairs t CROSS JOIN LATERAL (VALUES"
	"  (t.giver IS NULL, t.receiver, format('points received by entry %s were given by nobody', t.received_seq),"
	"   '0', trim_scale(t.arrived)::text),"
	"  (t.given >= 0 AND NOT t.merged, t.giver, format('points given by entry %s are none', t.given_seq),"
	"   'below 0', trim_scale(t.given)::text),"
	"  (t.giver IS NOT NULL AND coalesce(t.arrived, 0) <> -t.given, t.giver,"
	"   format('points given by entry %s are not those that were received', t.given_seq),"
	"   trim_scale(-t.given)::text, trim_scale(coalesce(t.arrived, 0))::text),"
	"  (t.giver IS NOT NULL AND t.times > 1, t.giver,"
	"   format('points given by entry %s were received more than once', t.given_seq), '1', t.times::text),"
	"  (t.giver = t.receiver, t.giver, format('points given by entry %s were received by the giver', t.given_seq),"
	"   'another member', format('entry %s', t.received_seq)),"
	"  (t.given_context IS NOT NULL AND t.receiver IS NOT NULL AND NOT t.given_context @>"
	"   jsonb_build_object('" TRANSFER_TO_MEMBER "', t.receiver, '" TRANSFER_TO_ENTRY "', t.received_seq), t.giver,"
	"   format('entry %s does not name the entry that received its points', t.given_seq),"
	"   format('member_id %s, entry %s', t.receiver, t.received_seq),"
	"   format('member_id %s, entry %s', t.given_context ->> '" TRANSFER_TO_MEMBER "', t.given_context ->> '" TRANSFER_TO_ENTRY "')),"
	"  (t.received_context IS NOT NULL AND t.giver IS NOT NULL AND NOT t.received_context @>"
	"   jsonb_build_object('" TRANSFER_FROM_MEMBER "', t.giver, '" TRANSFER_FROM_ENTRY "', t.given_seq), t.receiver,"
	"   format('entry %s does not name the entry that gave its points', t.received_seq),"
	"   format('member_id %s, entry %s', t.giver, t.given_seq),"
	"   format('member_id %s, entry %s', t.received_context ->> '" TRANSFER_FROM_MEMBER "', t.received_context ->> '" TRANSFER_FROM_ENTRY "')))"
	"  AS v (wrong, member_id, problem, expected, actual) WHERE v.wrong) f"
	" LEFT JOIN loyalty.program p ON p.program_id = f.program_id"
	" LEFT JOIN loyalty.member m ON m.member_id = f.member_id";

void
verify_transfers(Verification *verification)
{
	verify_rows(verification, transfers_query);
}
