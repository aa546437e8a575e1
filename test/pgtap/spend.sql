-- spend: what payable says is exactly what spend accepts; limits, exact values, inactivity renewed, nothing else changed
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = iso;
SELECT no_plan();

-- SQLSTATE of a command that is undone again, 00000 when it is accepted
CREATE FUNCTION code(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RAISE EXCEPTION USING ERRCODE = 'XX999';
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN '00000';
WHEN others THEN
	RETURN SQLSTATE;
END $$;

-- Many programs, members and amounts
CREATE TABLE terms (program text PRIMARY KEY, scale int, value numeric, minimum numeric, step numeric, maximum numeric, share numeric);
SELECT setseed(0.2342) \g /dev/null
INSERT INTO terms SELECT 'p' || n, n % 4, v, CASE WHEN random() < 0.4 THEN 1 + floor(random() * 200) END,
	CASE WHEN random() < 0.4 THEN (ARRAY[1, 5, 25, 100, 0.5, 33])[1 + floor(random() * 6)::int] END,
	CASE WHEN random() < 0.4 THEN 300 + floor(random() * 3000) / 4 END,
	CASE WHEN random() < 0.4 THEN (ARRAY[0.1, 0.25, 0.333, 0.5, 1])[1 + floor(random() * 5)::int] END
	FROM generate_series(1, 60) n, LATERAL (SELECT (ARRAY[0.01, 0.005, 0.3, 1, 0.0333, 2.5, 1e-6, 0.07])[1 + n % 8] AS v) v;
INSERT INTO loyalty.program (name, points_scale, point_value, spend_minimum, spend_step, spend_maximum, spend_share) SELECT * FROM terms;
CREATE TABLE pay AS SELECT row_number() OVER ()::int AS n, t.*, 'm' || m AS member, (CASE m WHEN 0 THEN 0 ELSE floor(random() * 20000) / 8 END)::numeric(20, 4) AS had,
	CASE k WHEN 1 THEN (random() * 10)::numeric(20, 2) WHEN 2 THEN (random() * 1000)::numeric(20, 3) WHEN 3 THEN value * floor(random() * 800)::numeric ELSE 0 END AS amount,
	CASE WHEN random() < 0.3 THEN floor(random() * 2000) / 4 END::numeric AS asked
	FROM terms t, generate_series(0, 4) m, generate_series(1, 4) k;
UPDATE pay p SET had = f.had FROM (SELECT program, member, max(had) AS had FROM pay GROUP BY 1, 2) f WHERE (f.program, f.member) = (p.program, p.member);
SELECT count(loyalty.adjust(member, had, program => program)) FROM (SELECT DISTINCT program, member, had FROM pay WHERE had > 0) p \g /dev/null
SELECT count(loyalty.enroll(member, program => program)) FROM (SELECT DISTINCT program, member FROM pay) p \g /dev/null
CREATE TABLE answer AS SELECT p.*, coalesce(p.step, 10::numeric ^ -p.scale) AS part, b.points::numeric AS points, b.value AS pays, b.points_needed::numeric AS needed, b.why
	FROM pay p, loyalty.payable(member, amount, asked, program => program) b;
SELECT is_empty($$SELECT * FROM answer WHERE pays <> points * value$$, 'the value is points x point_value, exactly');
SELECT is_empty($$SELECT * FROM answer WHERE pays > amount OR points > had OR points > coalesce(asked, points) OR points > coalesce(maximum, points) OR pays > amount * coalesce(share, 1) OR points % part <> 0
	OR points > 0 AND points < coalesce(minimum, 0)$$, 'never more than any limit');
SELECT is_empty($$SELECT * FROM answer WHERE (why IS NULL) <> (pays = amount)$$, 'why is NULL when the whole amount is paid, and only then');
SELECT is_empty($$SELECT * FROM answer WHERE needed * value < amount OR (needed - 10::numeric ^ -scale) * value >= amount AND amount > 0 OR needed % 10::numeric ^ -scale <> 0$$, 'points_needed are the fewest that are worth it all');
-- by brute force: one part more breaks a limit, and what why names is one that it breaks
CREATE TABLE more AS SELECT *, greatest(points + part, ceil(coalesce(minimum, 0) / part) * part) AS next FROM answer WHERE why IS NOT NULL;
SELECT is_empty($$SELECT * FROM more WHERE next <= had AND next <= coalesce(asked, next) AND next <= coalesce(maximum, next) AND next * value <= amount * coalesce(share, 1)$$, 'nothing more would do');
SELECT is_empty($$SELECT * FROM more WHERE NOT CASE why WHEN 'no more points are available' THEN points + part > had WHEN 'no more points were asked for' THEN points + part > asked
	WHEN 'no more points may be spent on a purchase' THEN points + part > maximum WHEN 'no more of an amount may be paid with points' THEN (points + part) * value > amount * share
	WHEN 'more points must be spent at once' THEN points = 0 AND minimum > part
	WHEN 'points are spent in steps' THEN step IS NOT NULL AND (points + part) * value > amount
	WHEN 'one more point would pay more than the amount' THEN step IS NULL AND (points + part) * value > amount ELSE false END$$, 'why names a limit that one step more breaks');
SELECT is((SELECT count(DISTINCT why) FROM answer), 7::bigint, 'all of them have been met');
SELECT cmp_ok((SELECT count(*) FROM answer WHERE points > 0), '>', 500::bigint, 'and payments');
-- and by spending
SELECT is_empty($$SELECT a.*, c FROM answer a, code(format('SELECT loyalty.spend(%L, %s, amount => %s, program => %L)', member, points, amount, program)) c WHERE points > 0 AND c <> '00000'$$, 'spend accepts it');
SELECT is_empty($$SELECT a.*, c FROM more a, code(format('SELECT loyalty.spend(%L, %s, amount => %s, program => %L)', member, points + part, amount, program)) c
	WHERE points + part <= coalesce(asked, points + part) AND c NOT IN ('LY001', 'LY012')$$, 'one step more is refused');
SELECT is_empty($$SELECT a.*, c FROM more a, code(format('SELECT loyalty.spend(%L, %s, amount => %s, program => %L)', member, next, amount, program)) c
	WHERE next <= coalesce(asked, next) AND c NOT IN ('LY001', 'LY012')$$, 'so is the next number that the minimum allows');
SELECT is_empty($$SELECT a.*, c FROM answer a, code(format('SELECT loyalty.spend(%L, %s, amount => %s, program => %L)', member, points - part / 2, amount, program)) c
	WHERE points > 0 AND step IS NOT NULL AND (part / 2)::numeric(20, 4) = part / 2 AND c <> 'LY012'$$, 'half a step is refused');
SELECT is_empty($$SELECT a.* FROM answer a, loyalty.payable(member, amount, asked, at => now(), program => program) b WHERE b.points::numeric <> a.points OR b.why IS DISTINCT FROM a.why$$, 'with a time, too');

-- In several spends for one purchase it is never more than in one
CREATE TABLE several (n int, program text, spent numeric, paid numeric);
DO $$
DECLARE
	a record;
	tries numeric[];
	wanted numeric;
BEGIN
	FOR a IN SELECT * FROM answer WHERE points > 0 AND n % 3 = 0 LOOP
		FOREACH wanted IN ARRAY ARRAY[a.points - a.part, a.part, a.points, greatest(a.minimum, a.part), a.part] LOOP
			BEGIN
				PERFORM loyalty.spend(a.member, wanted, purchase => 'order ' || a.n, amount => a.amount, program => a.program) WHERE wanted > 0;
			EXCEPTION WHEN SQLSTATE 'LY001' OR SQLSTATE 'LY012' THEN
			END;
		END LOOP;
	END LOOP;
END $$;
CREATE TABLE paid AS SELECT a.n, a.amount, a.maximum, a.share, -sum(e.points::numeric) AS points, sum((e.context ->> 'value')::numeric) AS pays, count(*) AS times, sum(-e.points::numeric) * a.value AS exactly
	FROM answer a JOIN loyalty.entry e ON e.member_id = loyalty.member_id(a.member, a.program) AND e.context ->> 'purchase' = 'order ' || a.n GROUP BY a.n, a.amount, a.maximum, a.share, a.value;
SELECT cmp_ok((SELECT count(*) FROM paid WHERE times > 1), '>', 20::bigint, 'several spends for a purchase');
SELECT is_empty($$SELECT * FROM paid WHERE pays > amount * coalesce(share, 1) OR points > coalesce(maximum, points) OR pays <> exactly$$, 'are held to the limits together');

-- Redeeming moves points and activity, and nothing else
SELECT is_empty($$SELECT m.ref, e.seq FROM loyalty.entry e JOIN loyalty.member m USING (member_id) WHERE e.kind = 'redeem' AND
	(e.points::numeric >= 0 OR e.points::numeric <> loyalty.total(e.lots)::numeric OR e.amount IS NOT NULL OR e.rule_id <> 0 OR e.source_id <> 0)$$, 'its entries take points');
CREATE TABLE before AS SELECT * FROM loyalty.member;
CREATE TABLE profile_before AS SELECT * FROM loyalty.profile;
SELECT count(s) FROM answer a, loyalty.payable(member, amount, asked, program => program) p, LATERAL (SELECT loyalty.spend(member, p.points::numeric, amount => amount, program => program) WHERE p.points::numeric > 0 AND a.n % 4 = 1) s \g /dev/null
CREATE VIEW redeemed AS SELECT m.member_id, b.purse OPERATOR(loyalty.+) (SELECT loyalty.sum(e.lots) FROM loyalty.entry e WHERE e.member_id = m.member_id AND e.seq > b.seq) AS purse
	FROM loyalty.member m JOIN before b USING (member_id) WHERE m.seq > b.seq;
SELECT cmp_ok((SELECT count(*) FROM redeemed), '>', 50::bigint, 'many have redeemed');
SELECT bag_eq($$SELECT member_id, lifetime, enrolled_at, program_id, purchases, ref, status FROM loyalty.member$$, $$SELECT member_id, lifetime, enrolled_at, program_id, purchases, ref, status FROM before$$, 'who they are stays');
SELECT is_empty($$SELECT * FROM redeemed r JOIN loyalty.member m USING (member_id) WHERE NOT m.purse OPERATOR(loyalty.=) r.purse OR m.last_activity <> now()$$, 'purse and activity are what changes');
SELECT bag_eq('SELECT * FROM loyalty.profile', 'SELECT * FROM profile_before', 'profiles stay');

-- Inactivity is renewed by earning and by redeeming, to the day
INSERT INTO loyalty.program (name, expiry, time_zone, point_value) VALUES ('idle', 'inactive 3 months', 'Asia/Kuala_Lumpur', 0.01), ('idle end', 'inactive 1 month end of quarter', 'America/New_York', NULL);
INSERT INTO loyalty.rule (program, name, award) VALUES ('idle', 'base', '1 per 1'), ('idle end', 'base', '1 per 1');
CREATE TABLE purchase (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('purchase', member => 'customer', amount => 'total', at => 'at', program => p) FROM unnest('{idle,idle end}'::text[]) p \g /dev/null
CREATE FUNCTION last_day(text, text) RETURNS date LANGUAGE sql AS $$ SELECT next_expiry FROM loyalty.balance($1, at => (SELECT last_activity FROM loyalty.member WHERE member_id = loyalty.member_id($1, $2)), program => $2) $$;
INSERT INTO purchase VALUES (1, 'ian', 100, '2023-11-30 12:00+08');
SELECT is(last_day('ian', 'idle'), '2024-02-29', 'three months after earning');
SELECT is((SELECT points::numeric FROM loyalty.payable('ian', 1, at => '2024-02-29 23:59:59+08', program => 'idle')), 100::numeric, 'payable on the last day');
SELECT is((SELECT points::numeric FROM loyalty.payable('ian', 1, at => '2024-03-01 00:00:00+08', program => 'idle')), 0::numeric, 'and no second longer');
SELECT is((SELECT balance::numeric FROM loyalty.spend('ian', 10, at => '2024-02-29 23:59:59+08', program => 'idle')), 90::numeric, 'he redeems in its last second');
SELECT is((SELECT last_activity FROM loyalty.member WHERE ref = 'ian' AND member_id = loyalty.member_id('ian', 'idle')), '2024-02-29 23:59:59+08', 'that is activity');
SELECT is(last_day('ian', 'idle'), '2024-05-29', 'three months after redeeming');
SELECT loyalty.adjust('ian', 5, at => '2024-05-01 00:00+08', program => 'idle') \g /dev/null
SELECT is(last_day('ian', 'idle'), '2024-05-29', 'an adjustment is none');
INSERT INTO purchase VALUES (2, 'ian', 10, '2024-05-29 23:59:59+08');
SELECT is(last_day('ian', 'idle'), '2024-08-29', 'earning again');
SELECT is((SELECT available::numeric FROM loyalty.balance('ian', at => '2024-08-29 23:59:59+08', program => 'idle')), 105::numeric, 'there until then');
SELECT throws_ok($$SELECT loyalty.spend('ian', 1, at => '2024-08-30 00:00:00+08', program => 'idle')$$, 'LY001', 'insufficient points', 'a second later nothing is left to redeem');
SELECT is((SELECT last_activity FROM loyalty.member WHERE member_id = loyalty.member_id('ian', 'idle')), '2024-05-29 23:59:59+08', 'and the attempt renewed nothing');
CALL loyalty.maintain('2024-08-29 23:59:59+08', 'idle');
SELECT is((SELECT loyalty.total(purse)::numeric FROM loyalty.member WHERE member_id = loyalty.member_id('ian', 'idle')), 105::numeric, 'maintenance in the last second takes nothing');
CALL loyalty.maintain('2024-08-30 00:00:00+08', 'idle');
SELECT is((SELECT loyalty.total(purse)::numeric FROM loyalty.member WHERE member_id = loyalty.member_id('ian', 'idle')), 0::numeric, 'a second later it takes all');
-- rounded up to the end of a quarter, in a zone behind UTC
SELECT is(last_day('ian', 'idle end'), '2024-06-30', 'a month after 29 May, to the end of the quarter');
SELECT loyalty.spend('ian', 1, at => '2024-05-31 23:59:59-04', program => 'idle end') \g /dev/null
SELECT is(last_day('ian', 'idle end'), '2024-06-30', 'after 31 May');
SELECT loyalty.spend('ian', 1, at => '2024-06-01 00:00:00-04', program => 'idle end') \g /dev/null
SELECT is(last_day('ian', 'idle end'), '2024-09-30', 'after 1 June');
-- one of the past does not take activity back
SELECT loyalty.spend('ian', 1, at => '2024-05-30 00:00:00-04', program => 'idle end') \g /dev/null
SELECT is(last_day('ian', 'idle end'), '2024-09-30', 'activity is the last there was');

SELECT is_empty($$SELECT * FROM loyalty.verify()$$, 'verify finds nothing');
SET session_replication_role = replica;
UPDATE loyalty.member SET last_activity = '2024-05-29 23:59:59+08' WHERE member_id = loyalty.member_id('ian', 'idle end');
RESET session_replication_role;
SELECT is((SELECT string_agg(concat_ws(' | ', invariant, member, problem, expected, actual), ', ') FROM loyalty.verify()),
	'I1 | ian | last activity is not what the entries say | 2024-06-01 04:00:00+00 | 2024-05-29 15:59:59+00', 'but an activity that no redemption explains');
SELECT * FROM finish();
ROLLBACK;
