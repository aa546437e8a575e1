--
-- act: points moved by hand: adjust, its keys and its refusals
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(regexp_replace(detail, '^Failing row .*', ''), ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name) VALUES ('act_a');
INSERT INTO loyalty.program (name, expiry) VALUES ('act_month', '1 month');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('act_closed_shop', false);
INSERT INTO loyalty.rule (program, name, award) VALUES ('act_a', 'base', '1 per 1');
SET loyalty.program = 'act_a';

-- Add and take: who is not yet a member becomes one
SELECT * FROM loyalty.adjust('ann', 100, reason => 'welcome, Ann');
SELECT * FROM loyalty.adjust('ann', -30);
SELECT * FROM loyalty.adjust('ann', 0.5);
SELECT * FROM loyalty.adjust('ann', -0.0001::numeric, reason => '');
SELECT seq, kind, points, lots, source_key, rule_id, source_id, amount, nullif(context - 'by', '{}') AS context, note, occurred_at = posted_at AS at_once
FROM loyalty.entry WHERE member_id = loyalty.find_member('ann') ORDER BY seq;
SELECT available, pending, held, debt, lifetime FROM loyalty.balance('ann');
SELECT * FROM loyalty.adjust(7::bigint, 5);
SELECT * FROM loyalty.adjust('7', -5, at => now());
BEGIN;
SELECT * FROM loyalty.adjust('ann', 1);
SAVEPOINT one;
SELECT * FROM loyalty.adjust('ann', 1);
ROLLBACK TO one;
SELECT * FROM loyalty.adjust('ann', 2);
ROLLBACK;
SELECT seq, purse FROM loyalty.member WHERE member_id = loyalty.find_member('ann');

-- What is refused, and leaves no trace
SELECT arguments, pg_temp.try(format('SELECT loyalty.adjust(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', NULL$$, $$'ann', 0$$, $$'ann', 0.00$$, $$'ann', 'NaN'$$, $$'ann', 'Infinity'$$, $$'ann', 1.00001$$, $$'ann', -1.23456$$, $$'ann', 1e15$$, $$'ann', 922337203685477.5807$$,
	$$'ann', -1, expires => '2990-01-01'$$, $$'ann', 1, expires => '2001-01-01'$$, $$'ann', 1, expires => '2024-01-30', at => '2024-01-31 00:00Z'$$, $$'ann', 1, expires => '-infinity'$$,
	$$'ann', 1, at => now() + interval '1 hour'$$, $$'ann', 1, at => 'infinity'$$,
	$$'', 1$$, $$NULL::text, 1$$, $$NULL::bigint, 1$$, $$'ann', 1, program => 'act_nowhere'$$, $$'stranger', 1, program => 'act_closed_shop'$$,
	$$'ann', -70.5$$, $$'ann', -1000$$, $$'stranger', -1$$]) AS arguments;
SELECT seq, purse FROM loyalty.member WHERE member_id = loyalty.find_member('ann');
SELECT count(*) AS strangers FROM loyalty.member WHERE ref IN ('stranger', '') AND program_id IN (SELECT program_id FROM loyalty.program WHERE name ~ '^act_');
SELECT * FROM loyalty.adjust('ann', -70.4999);
-- the greatest number of points there is
SELECT points, balance FROM loyalty.adjust('max', 922337203685477.5807);
SELECT points, balance FROM loyalty.adjust('max', -922337203685477.5807);

-- Their last day: as asked for, else as the program's
SELECT * FROM loyalty.adjust('bea', 1, at => '2024-01-31 10:00Z', program => 'act_month');
SELECT * FROM loyalty.adjust('bea', 2, at => '2024-01-31 10:00Z', expires => '2024-01-31', program => 'act_month');
SELECT * FROM loyalty.adjust('bea', 4, at => '2024-01-31 10:00Z', expires => 'infinity', program => 'act_month');
SELECT lots FROM loyalty.entry WHERE member_id = loyalty.find_member('bea', 'act_month') ORDER BY seq;

-- Soonest to expire goes first, never-expiring last, and never below zero
SELECT points, balance FROM (VALUES (1, 10, '2990-03-01'::date), (2, 10, '2990-01-01'), (3, 10, NULL), (4, 10, '2990-02-01')) v(n, p, e), loyalty.adjust('cid', p, expires => e) ORDER BY n;
SELECT * FROM loyalty.adjust('cid', -15);
SELECT * FROM loyalty.lots('cid');
SELECT * FROM loyalty.adjust('cid', -25);
SELECT points, lots FROM loyalty.entry WHERE member_id = loyalty.find_member('cid') AND points::numeric < 0 ORDER BY seq;
SELECT pg_temp.try($$SELECT loyalty.adjust('cid', -0.0001)$$);
-- what is still pending cannot be taken
CREATE TABLE act_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('act_order', member => 'customer', amount => 'total', at => 'at') > 0 AS attached;
INSERT INTO act_order VALUES (1, 'cid', 50, '2990-01-01 00:00Z');
SELECT available, pending FROM loyalty.balance('cid');
SELECT pg_temp.try($$SELECT loyalty.adjust('cid', -1)$$);

-- In the past: judged on that day; what fell due since is written down first
SELECT * FROM loyalty.adjust('old', 10, expires => '2024-01-31', at => '2024-01-01 12:00Z');
SELECT * FROM loyalty.adjust('old', -4, at => '2024-01-31 23:59:59.999999Z');
SELECT pg_temp.try($$SELECT loyalty.adjust('old', -1, at => '2024-02-01 00:00Z')$$) AS next_day, pg_temp.try($$SELECT loyalty.adjust('old', -1)$$) AS today;
SELECT * FROM loyalty.adjust('old', 5, reason => 'now');
SELECT seq, kind, points, lots, source_key, CASE WHEN note IS NULL THEN occurred_at END AS occurred_at FROM loyalty.entry WHERE member_id = loyalty.find_member('old') ORDER BY seq;
SELECT enrolled_at FROM loyalty.member WHERE member_id = loyalty.find_member('old');

-- A key: the same call answers the same, and moves nothing
SELECT * FROM loyalty.adjust('kim', 50, key => 'k1', reason => 'sorry');
SELECT * FROM loyalty.adjust('kim', 50, key => 'k1', reason => 'sorry');
SELECT * FROM loyalty.adjust('kim', -20, key => 'k2');
SELECT * FROM loyalty.adjust('kim', 50.00, key => 'k1', reason => 'sorry');
SELECT * FROM loyalty.adjust('kim', -20, key => 'k2');
SELECT * FROM loyalty.adjust('kim', 9, key => 'k3', at => '2024-05-01 00:00Z', expires => '2990-12-31');
SELECT * FROM loyalty.adjust('kim', 9, key => 'k3', at => '2024-05-01 02:00+02', expires => '2990-12-31');
-- with other arguments it is refused
SELECT arguments, pg_temp.try(format('SELECT loyalty.adjust(%L, %s)', 'kim', arguments)) FROM unnest(ARRAY[
	$$51, key => 'k1', reason => 'sorry'$$, $$-50, key => 'k1', reason => 'sorry'$$, $$50, key => 'k1', reason => 'no'$$, $$50, key => 'k1'$$,
	$$50, key => 'k1', reason => 'sorry', expires => '2990-01-01'$$, $$50, key => 'k1', reason => 'sorry', at => '2024-01-01 00:00Z'$$, $$-20, key => 'k2', reason => ''$$,
	$$9, key => 'k3', at => '2024-05-01 00:00Z'$$, $$9, key => 'k3', at => '2024-05-01 00:00Z', expires => '2990-12-30'$$, $$9, key => 'k3', at => '2024-05-01 00:00:01Z', expires => '2990-12-31'$$]) AS arguments;
SELECT seq, points, source_key FROM loyalty.entry WHERE member_id = loyalty.find_member('kim') ORDER BY seq;
-- twice in one statement; a failed attempt does not use up its key; keys of other members are others
SELECT a.repeated, b.repeated FROM loyalty.adjust('lea', 3, key => 'k1') a, loyalty.adjust('lea', 3, key => 'k1') b;
SELECT pg_temp.try($$SELECT loyalty.adjust('lea', -4, key => 'k2')$$);
SELECT balance, repeated FROM loyalty.adjust('lea', 1);
SELECT balance, repeated FROM loyalty.adjust('lea', -4, key => 'k2');
-- the same answer when the program's expiry has changed since
SELECT * FROM loyalty.adjust('mia', 6, key => 'k', program => 'act_month');
UPDATE loyalty.program SET expiry = 'never' WHERE name = 'act_month';
SELECT * FROM loyalty.adjust('mia', 6, key => 'k', program => 'act_month');
UPDATE loyalty.program SET expiry = '1 month' WHERE name = 'act_month';
-- and when the points went into a debt
INSERT INTO act_order VALUES (2, 'ned', 20, now());
SELECT balance FROM loyalty.adjust('ned', -20);
DELETE FROM act_order WHERE id = 2;
SELECT available, debt FROM loyalty.balance('ned');
SELECT points, balance, repeated FROM loyalty.adjust('ned', 5, key => 'k5', expires => '2990-06-30');
SELECT points, balance, repeated FROM loyalty.adjust('ned', 25, key => 'k25', expires => '2990-07-31');
SELECT points, balance, repeated FROM loyalty.adjust('ned', 25, key => 'k25', expires => '2990-07-31');
SELECT points, balance, repeated FROM loyalty.adjust('ned', 5, key => 'k5', expires => '2990-06-30');
SELECT * FROM loyalty.lots('ned');

-- A closed member gets and gives nothing, but an act that was done is answered
SELECT loyalty.set_member('kim', status => 'closed');
SELECT pg_temp.try($$SELECT loyalty.adjust('kim', 1)$$) AS add, pg_temp.try($$SELECT loyalty.adjust('kim', -1)$$) AS take;
SELECT * FROM loyalty.adjust('kim', 50, key => 'k1', reason => 'sorry');
SELECT available FROM loyalty.balance('kim');
SELECT loyalty.set_member('kim', status => 'active');
SELECT points, balance FROM loyalty.adjust('kim', 1);
SELECT loyalty.detach('act_order');
DROP TABLE act_order;

-- points that would lapse at once are not given; with a last day of their own they are
INSERT INTO loyalty.program (name, expiry) VALUES ('act_idle', 'inactive 6 months');
SELECT loyalty.enroll('ivy', at => '2024-01-31 00:00Z', program => 'act_idle') IS NOT NULL AS enrolled;
SELECT * FROM loyalty.adjust('ivy', 10, at => '2024-07-31 00:00Z', program => 'act_idle');
SELECT * FROM loyalty.adjust('ivy', 10, at => '2024-08-01 00:00Z', program => 'act_idle');
SELECT * FROM loyalty.adjust('ivy', 10, expires => '2024-12-31', at => '2024-08-01 00:00Z', program => 'act_idle');
SELECT kind, points, occurred_at AT TIME ZONE 'UTC' AS occurred FROM loyalty.statement('ivy', program => 'act_idle');
