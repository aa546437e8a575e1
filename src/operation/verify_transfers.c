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
 * The receiver's source_key leads to the giver's entry; it is hashed, and never
 * blanked.  PostgreSQL sorts or hashes, within work_mem and on disk beyond it.
 * Points are numeric, since entries that were tampered with may add up to more
 * than points can be.
 */
#include "postgres.h"

#include "ledger/imported.h"
#include "operation/verify.h"
#include "redemption/transfer.h"

static const char *const transfers_query =
	"WITH transfers AS ("
	" SELECT e.member_id, e.seq, e.program_id, e.points::numeric AS points, e.source_key, e.context"
	" FROM loyalty.entry e WHERE e.kind = 'transfer'"
	" AND ($1 IS NULL OR e.program_id = (SELECT program_id FROM loyalty.program WHERE name = $1))),"
	" given AS (SELECT *, '" TRANSFER_RECEIVED "' || member_id || '#' || seq AS pair,"
	" source_key ~ '^(" MERGE_KEYS "|" UNMERGE_KEYS "|" PASS_KEYS "|" HOUSEHOLD_KEYS ")[:#]' AS merged FROM transfers"
	" WHERE NOT starts_with(source_key, '" TRANSFER_RECEIVED "')),"
	" received AS (SELECT *, source_key AS pair, sum(points) OVER same AS arrived,"
	" count(*) OVER same AS times FROM transfers"
	" WHERE starts_with(source_key, '" TRANSFER_RECEIVED "') WINDOW same AS (PARTITION BY source_key)),"
	/* Either side may be missing. */
	" pairs AS (SELECT g.member_id AS giver, g.seq AS given_seq, g.points AS given, g.merged, g.context AS given_context,"
	"  r.member_id AS receiver, r.seq AS received_seq, r.arrived, r.times, r.context AS received_context,"
	"  coalesce(g.program_id, r.program_id) AS program_id, coalesce(g.member_id, r.member_id) AS member_id"
	" FROM given g FULL JOIN received r ON r.pair = g.pair AND r.program_id = g.program_id"
	/* What is sound goes no further. */
	" WHERE ((g.points < 0 OR g.merged) AND r.arrived = -g.points AND r.times = 1 AND r.member_id <> g.member_id"
	"  AND (g.context IS NULL OR g.context @> jsonb_build_object('to_member_id', r.member_id, 'to_entry', r.seq))"
	"  AND (r.context IS NULL OR r.context @> jsonb_build_object('from_member_id', g.member_id, 'from_entry', g.seq)))"
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
	"   jsonb_build_object('to_member_id', t.receiver, 'to_entry', t.received_seq), t.giver,"
	"   format('entry %s does not name the entry that received its points', t.given_seq),"
	"   format('member_id %s, entry %s', t.receiver, t.received_seq),"
	"   format('member_id %s, entry %s', t.given_context ->> 'to_member_id', t.given_context ->> 'to_entry')),"
	"  (t.received_context IS NOT NULL AND t.giver IS NOT NULL AND NOT t.received_context @>"
	"   jsonb_build_object('from_member_id', t.giver, 'from_entry', t.given_seq), t.receiver,"
	"   format('entry %s does not name the entry that gave its points', t.received_seq),"
	"   format('member_id %s, entry %s', t.giver, t.given_seq),"
	"   format('member_id %s, entry %s', t.received_context ->> 'from_member_id', t.received_context ->> 'from_entry')))"
	"  AS v (wrong, member_id, problem, expected, actual) WHERE v.wrong) f"
	" LEFT JOIN loyalty.program p ON p.program_id = f.program_id"
	" LEFT JOIN loyalty.member m ON m.member_id = f.member_id";

void
verify_transfers(Verification *verification)
{
	verify_rows(verification, transfers_query);
}
