/*
 * verify_cancel.c
 *		Proving that what was undone is what had been done (I6).
 *
 * I6 cancel	an entry that cancels names an earlier act of the same member, of
 *				the kind that fits, which moved points the other way and is no
 *				cancellation itself; and of a transfer one with the same member.
 *				Of an entry no more is undone than it moved.  What is given back
 *				goes where it came from, the longest-lived first, but for spans
 *				that were over by then: those may have got a new life.
 *
 * Releases of holds are verify_holds.c's.  Entries whose context is gone since a
 * person was forgotten name nothing, and are not held against anything.  PostgreSQL sorts or hashes, within work_mem
 * and on disk beyond it.
 */
#include "postgres.h"

#include "operation/verify.h"
#include "redemption/transfer.h"
#include "redemption/undone.h"

static const char *const cancel_query =
	"WITH acts AS ("
	" SELECT e.member_id, e.seq, e.program_id, e.kind, e.points::numeric AS points, e.lots, e.occurred_at, e.context,"
	"  CASE WHEN e.kind <> 'release' AND jsonb_typeof(e.context -> '" FIELD_ENTRY "') = 'number' THEN (e.context ->> '" FIELD_ENTRY "')::numeric END AS target"
	" FROM loyalty.entry e WHERE e.source_id = 0"
	" AND ($1 IS NULL OR e.program_id = (SELECT program_id FROM loyalty.program WHERE name = $1))),"
	/* An act, and after it what cancels it: one sort, where a join would be left to estimates of JSON. */
	" undone AS (SELECT a.*, g.cancels, first_value(CASE WHEN NOT g.cancels THEN a.seq END) OVER same AS o_seq,"
	"  first_value(a.kind) OVER same AS o_kind, first_value(a.points) OVER same AS o_points,"
	"  first_value(a.lots) OVER same AS o_lots, first_value(a.context) OVER same AS o_context,"
	"  sum(CASE WHEN g.cancels THEN abs(a.points) ELSE 0 END) OVER same AS back, lead(a.seq) OVER same IS NULL AS last"
	" FROM acts a CROSS JOIN LATERAL (VALUES (false, a.seq::numeric), (true, a.target)) g (cancels, act)"
	" WHERE g.act IS NOT NULL WINDOW same AS (PARTITION BY a.member_id, g.act ORDER BY g.cancels, a.seq)),"
	" judged AS (SELECT u.*, p.name, p.expiry::text LIKE 'inactive %' AS inactivity,"
	"  (u.occurred_at AT TIME ZONE p.time_zone)::date AS day"
	" FROM undone u LEFT JOIN loyalty.program p USING (program_id) WHERE u.cancels)"
	" SELECT 'I6 cancel', u.name, coalesce(m.ref, format('member_id %s', u.member_id)),"
	"  format(f.problem, u.seq, u.target), f.expected, f.actual"
	" FROM judged u LEFT JOIN loyalty.member m ON m.member_id = u.member_id"
	" CROSS JOIN LATERAL (VALUES"
	"  (u.o_seq IS NULL, 'entry %1$s cancels no act that is there', 'entry ' || u.target, NULL),"
	"  (u.o_seq >= u.seq, 'entry %1$s cancels one that is not earlier', 'below ' || u.seq, u.o_seq::text),"
	"  (u.o_seq IS NOT NULL AND (u.o_kind <> CASE u.kind WHEN 'refund' THEN 'redeem' ELSE u.kind END OR"
	"   u.o_kind NOT IN ('redeem', 'adjust', 'transfer')),"
	"   'entry %1$s cancels one of another kind', CASE u.kind WHEN 'refund' THEN 'redeem' ELSE u.kind END, u.o_kind),"
	"  (u.o_seq IS NOT NULL AND u.o_context ? '" FIELD_ENTRY "', 'entry %1$s cancels a cancellation', NULL, NULL),"
	"  (u.o_seq IS NOT NULL AND sign(u.points) <> -sign(u.o_points) AND u.points <> 0, 'entry %1$s moves points the same way as the one that it cancels',"
	"   CASE WHEN u.o_points > 0 THEN 'below 0' ELSE 'above 0' END, trim_scale(u.points)::text),"
	"  (jsonb_typeof(u.context -> '" FIELD_POINTS "') = 'number' AND (u.context ->> '" FIELD_POINTS "')::numeric <> abs(u.points),"
	"   'points of entry %1$s are not those that were asked for', u.context ->> '" FIELD_POINTS "', trim_scale(abs(u.points))::text),"
	"  (u.o_seq IS NOT NULL AND u.kind = 'transfer' AND u.o_context IS NOT NULL AND"
	"   coalesce(u.context -> '" TRANSFER_TO_MEMBER "', u.context -> '" TRANSFER_FROM_MEMBER "') IS DISTINCT FROM"
	"   coalesce(u.o_context -> '" TRANSFER_FROM_MEMBER "', u.o_context -> '" TRANSFER_TO_MEMBER "'),"
	"   'entry %1$s cancels a transfer with another member',"
	"   coalesce(u.o_context ->> '" TRANSFER_FROM_MEMBER "', u.o_context ->> '" TRANSFER_TO_MEMBER "'),"
	"   coalesce(u.context ->> '" TRANSFER_TO_MEMBER "', u.context ->> '" TRANSFER_FROM_MEMBER "')),"
	"  (u.o_seq IS NOT NULL AND u.last AND u.back > abs(u.o_points), 'more of entry %2$s was undone than it moved',"
	"   trim_scale(abs(u.o_points))::text, trim_scale(u.back)::text))"
	" AS f (wrong, problem, expected, actual) WHERE f.wrong"
	" UNION ALL"
	/* Where the points went: what the entry moved, from the end, as far as it was not undone before. */
	" SELECT 'I6 cancel', u.name, coalesce(m.ref, format('member_id %s', u.member_id)),"
	"  format('entry %s gives back to other life spans than those that entry %s took from', u.seq, u.target),"
	"  w.expected, u.lots::text"
	" FROM judged u LEFT JOIN loyalty.member m ON m.member_id = u.member_id"
	" CROSS JOIN LATERAL ("
	"  SELECT string_agg(format('%s@%s', trim_scale(t.due), t.ends), ', ' ORDER BY t.ends) FILTER (WHERE t.due > 0) AS expected,"
	"   bool_or(CASE WHEN t.due > 0 AND t.ends >= u.day AND NOT (u.inactivity AND t.ends = 'infinity') THEN t.got < t.due"
	"    ELSE t.got < 0 OR t.got > t.due AND t.ends < u.day END) AS wrong,"
	/* What did not go where it came from is what was over. */
	"   coalesce(sum(t.got - t.due) FILTER (WHERE t.got > t.due), 0) >"
	"   coalesce(sum(t.due - t.got) FILTER (WHERE t.got < t.due), 0) AS more"
	"  FROM (SELECT coalesce(s.starts, '-infinity') AS starts, s.ends, sum(s.due) AS due, sum(s.got) AS got FROM ("
	"   SELECT l.starts, l.ends, greatest(0, least(l.upto, abs(u.o_points) - u.back + u.points)"
	"    - greatest(l.upto - l.points, abs(u.o_points) - u.back)) AS due, 0 AS got"
	"   FROM (SELECT x.starts, x.ends, -x.points::numeric AS points, sum(-x.points::numeric) OVER (ORDER BY x.place) AS upto"
	"    FROM loyalty.lots(u.o_lots) WITH ORDINALITY x (points, starts, ends, place) WHERE x.points::numeric < 0) l"
	"   UNION ALL SELECT g.starts, g.ends, 0, g.points::numeric FROM loyalty.lots(u.lots) g) s GROUP BY 1, 2) t) w"
	" WHERE u.o_seq IS NOT NULL AND u.points > 0 AND u.o_points < 0 AND u.back <= abs(u.o_points) AND (w.wrong OR w.more)";

void
verify_cancel(Verification *verification)
{
	verify_rows(verification, cancel_query);
}
