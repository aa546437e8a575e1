/*
 * verify_vouchers.c
 *		Proving that vouchers are worth what they should be (I6).
 *
 * I6 vouchers	what is left of a stored value is what uses took and returns did
 *				not give back; uses and returns count 1..n; as many uses stand
 *				as the voucher says, and no more by one member than it lets him;
 *				what a use gave back is what its returns say; each use and
 *				return of points has its entry, and each such entry its use or
 *				return; the member is there, and the redemption, and the pool.
 *
 * PostgreSQL sorts or hashes, within work_mem and on disk beyond it.
 */
#include "postgres.h"

#include "operation/verify.h"
#include "redemption/voucher.h"

#define IS_OURS "($1 IS NULL OR program_id = (SELECT program_id FROM loyalty.program WHERE name = $1))"

static const char *const vouchers_query =
	"WITH uses AS (SELECT hash, count(*) AS uses, max(use_no) AS last_use,"
	"  count(*) FILTER (WHERE given_back < taken) AS standing, sum(taken - given_back) AS taken"
	"  FROM loyalty.voucher_use WHERE " IS_OURS " GROUP BY hash),"
	" returns AS (SELECT hash, count(*) AS returns, max(return_no) AS last_return"
	"  FROM loyalty.voucher_return WHERE " IS_OURS " GROUP BY hash)"
	" SELECT 'I6 vouchers', p.name, coalesce(m.ref, 'member_id ' || v.member_id), q.problem, q.expected, q.actual"
	" FROM (SELECT * FROM loyalty.voucher WHERE " IS_OURS ") v"
	" LEFT JOIN uses u USING (hash) LEFT JOIN returns r USING (hash)"
	" LEFT JOIN loyalty.program p USING (program_id)"
	" LEFT JOIN loyalty.member m ON m.member_id = v.member_id AND m.program_id = v.program_id"
	" LEFT JOIN loyalty.entry e ON e.member_id = v.redeemer_id AND e.seq = v.seq"
	" LEFT JOIN loyalty.voucher_pool o ON o.program = p.name AND o.name = v.pool"
	" CROSS JOIN LATERAL (VALUES"
	"  (v.remaining <> v.value - coalesce(u.taken, 0),"
	"   format('what is left of voucher %s is not what its uses left', v.hint),"
	"   trim_scale(v.value - coalesce(u.taken, 0))::text, trim_scale(v.remaining)::text),"
	"  (v.used <> coalesce(u.standing, 0), format('uses of voucher %s that stand are not those that are counted', v.hint),"
	"   coalesce(u.standing, 0)::text, v.used::text),"
	"  (v.last_use <> coalesce(u.uses, 0) OR v.last_use <> coalesce(u.last_use, 0),"
	"   format('uses of voucher %s do not count up to the last one', v.hint), v.last_use::text,"
	"   format('%s, the last is %s', coalesce(u.uses, 0), coalesce(u.last_use, 0))),"
	"  (v.last_return <> coalesce(r.returns, 0) OR v.last_return <> coalesce(r.last_return, 0),"
	"   format('returns of voucher %s do not count up to the last one', v.hint), v.last_return::text,"
	"   format('%s, the last is %s', coalesce(r.returns, 0), coalesce(r.last_return, 0))),"
	"  (v.member_id IS NOT NULL AND m.member_id IS NULL, format('voucher %s belongs to nobody', v.hint),"
	"   'a member', 'none'),"
	"  (v.seq IS NOT NULL AND e.kind IS DISTINCT FROM 'redeem',"
	"   format('voucher %s comes from entry %s, which redeems nothing', v.hint, v.seq), 'redeem', coalesce(e.kind, 'none')),"
	"  (v.pool IS NOT NULL AND o.name IS NULL, format('voucher %s is of a pool that is not there', v.hint), v.pool, 'none'),"
	"  (v.issued_at IS NULL AND v.last_use > 0, format('voucher %s has been used and never been handed out', v.hint),"
	"   '0', v.last_use::text))"
	" AS q (wrong, problem, expected, actual) WHERE q.wrong";

static const char *const uses_query =
	"WITH returns AS (SELECT hash, use_no, sum(amount) AS amount FROM loyalty.voucher_return WHERE " IS_OURS
	"  GROUP BY hash, use_no),"
	" uses AS (SELECT * FROM loyalty.voucher_use WHERE " IS_OURS ")"
	" SELECT 'I6 vouchers', p.name, m.ref, q.problem, q.expected, q.actual"
	" FROM uses u FULL JOIN returns r USING (hash, use_no)"
	" LEFT JOIN loyalty.voucher v USING (hash)"
	" LEFT JOIN loyalty.program p ON p.program_id = coalesce(v.program_id, u.program_id)"
	" LEFT JOIN loyalty.member m ON m.member_id = u.member_id"
	" CROSS JOIN LATERAL (VALUES"
	"  (v.hash IS NULL, format('use %s is of no voucher', use_no), 'a voucher', encode(hash, 'hex')),"
	"  (u.use_no IS NULL, format('a return of voucher %s gives back use %s, which is not there', v.hint, use_no),"
	"   '0', trim_scale(r.amount)::text),"
	"  (u.given_back <> coalesce(r.amount, 0),"
	"   format('what use %s of voucher %s gave back is not what its returns say', use_no, v.hint),"
	"   trim_scale(coalesce(r.amount, 0))::text, trim_scale(u.given_back)::text),"
	"  (u.member_id IS NOT NULL AND m.member_id IS NULL, format('use %s of voucher %s is of nobody', use_no, v.hint),"
	"   'a member', format('member_id %s', u.member_id)))"
	" AS q (wrong, problem, expected, actual) WHERE q.wrong"
	" UNION ALL SELECT 'I6 vouchers', p.name, m.ref, format('voucher %s was used more often by one member than it lets him', v.hint),"
	"  v.per_member::text, u.times::text"
	" FROM (SELECT hash, member_id, count(*) AS times FROM uses WHERE member_id IS NOT NULL AND given_back < taken"
	"  GROUP BY hash, member_id) u"
	" JOIN loyalty.voucher v ON v.hash = u.hash AND v.per_member < u.times"
	" LEFT JOIN loyalty.program p USING (program_id) LEFT JOIN loyalty.member m ON m.member_id = u.member_id";

/* What a use gave and a return took, beside the entries that say so. */
static const char *const points_query =
	"WITH moves AS (SELECT u.hash, u.program_id, u.member_id, u.seq, u.taken AS points,"
	"  u.member_id AS holder_id,"
	"  '" VOUCHER_ENTRY "' || encode(u.hash, 'hex') || '#' || u.use_no AS source_key"
	"  FROM loyalty.voucher_use u JOIN loyalty.voucher v USING (hash)"
	"  WHERE v.kind = 'points' AND ($1 IS NULL OR u.program_id = (SELECT program_id FROM loyalty.program WHERE name = $1))"
	"  UNION ALL SELECT r.hash, r.program_id, u.member_id, r.seq, -r.amount, NULL,"
	"  '" VOUCHER_ENTRY "' || encode(r.hash, 'hex') || '#' || r.use_no || ' returned #' || r.return_no"
	"  FROM loyalty.voucher_return r JOIN loyalty.voucher v USING (hash)"
	"  LEFT JOIN loyalty.voucher_use u ON u.hash = r.hash AND u.use_no = r.use_no"
	"  WHERE v.kind = 'points' AND ($1 IS NULL OR r.program_id = (SELECT program_id FROM loyalty.program WHERE name = $1))),"
	" entries AS (SELECT program_id, member_id, seq, points::numeric AS points, source_key FROM loyalty.entry"
	"  WHERE kind = 'adjust' AND starts_with(source_key, '" VOUCHER_ENTRY "') AND " IS_OURS ")"
	" SELECT 'I6 vouchers', p.name, coalesce(m.ref, format('member_id %s', coalesce(e.member_id, u.member_id))),"
	"  q.problem, q.expected, q.actual"
	" FROM moves u FULL JOIN entries e ON e.source_key = u.source_key"
	" LEFT JOIN loyalty.program p ON p.program_id = coalesce(e.program_id, u.program_id)"
	" LEFT JOIN loyalty.member m ON m.member_id = coalesce(e.member_id, u.member_id)"
	" CROSS JOIN LATERAL (VALUES"
	"  (e.seq IS NULL, format('points that %s moved are in no entry', left(u.source_key, 16)),"
	"   trim_scale(u.points)::text, '0'),"
	"  (u.points IS NULL, format('entry %s has points of a voucher that it did not move', e.seq),"
	"   '0', trim_scale(e.points)::text),"
	/* A return may be of whoever stands for him since a merge. */
	"  (e.member_id <> u.holder_id, format('points of entry %s are not with the member who used the voucher', e.seq),"
	"   format('member_id %s', u.holder_id), format('member_id %s', e.member_id)),"
	"  (e.points <> u.points, format('points of entry %s are not those that the voucher moved', e.seq),"
	"   trim_scale(u.points)::text, trim_scale(e.points)::text),"
	"  (e.seq IS DISTINCT FROM u.seq AND e.seq IS NOT NULL AND u.points IS NOT NULL,"
	"   format('the voucher that moved points of entry %s names another', e.seq), e.seq::text, coalesce(u.seq::text, 'none')))"
	" AS q (wrong, problem, expected, actual) WHERE q.wrong";

void
verify_vouchers(Verification *verification)
{
	verify_rows(verification, vouchers_query);
	verify_rows(verification, uses_query);
	verify_rows(verification, points_query);
}
