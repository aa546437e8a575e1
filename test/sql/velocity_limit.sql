--
-- velocity_limit: how often, and how many points, within a time
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
SET datestyle = iso;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"; times are masked
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(regexp_replace(detail, '^Failing row .*', ''), ''),
		'HINT ' || nullif(regexp_replace(hint, '\d{4}-\d\d-\d\d [\d:.]+\+00', '(time)'), ''));
END $$;
-- what was done so long ago
CREATE FUNCTION pg_temp.age(ref text, by interval) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	UPDATE loyalty.entry SET posted_at = posted_at - by WHERE member_id = loyalty.find_member(ref);
	UPDATE loyalty.voucher_use SET recorded_at = recorded_at - by WHERE member_id = loyalty.find_member(ref);
	SET LOCAL session_replication_role = origin;
END $$;
INSERT INTO loyalty.program (name, point_value) VALUES ('velocity_a', 0.01), ('velocity_b', 0.01);
INSERT INTO loyalty.rule (program, name, award) VALUES ('velocity_a', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('velocity_a', 'review', 'review', '5');
INSERT INTO loyalty.reward (program, name, cost) VALUES ('velocity_a', 'mug', 10);
SET loyalty.program = 'velocity_a';

-- What makes no sense
SELECT v, pg_temp.try(format('INSERT INTO loyalty.velocity_limit (program, name, kind, per, within, max_times, max_points, action) VALUES (%s)', v)) FROM unnest(ARRAY[
	$$'velocity_x', 'a', 'redeem', 'member', '1 day', 1, NULL, 'refuse'$$, $$'velocity_a', '', 'redeem', 'member', '1 day', 1, NULL, 'refuse'$$,
	$$'velocity_a', 'a', 'walk', 'member', '1 day', 1, NULL, 'refuse'$$, $$'velocity_a', 'a', 'redeem', 'pair', '1 day', 1, NULL, 'refuse'$$,
	$$'velocity_a', 'a', 'transfer', 'trio', '1 day', 1, NULL, 'refuse'$$, $$'velocity_a', 'a', 'redeem', 'member', '1 month', 1, NULL, 'refuse'$$,
	$$'velocity_a', 'a', 'redeem', 'member', '0', 1, NULL, 'refuse'$$, $$'velocity_a', 'a', 'redeem', 'member', '-1 hour', 1, NULL, 'refuse'$$,
	$$'velocity_a', 'a', 'redeem', 'member', '200000 days', 1, NULL, 'refuse'$$,
	$$'velocity_a', 'a', 'redeem', 'member', '1 day', NULL, NULL, 'refuse'$$, $$'velocity_a', 'a', 'redeem', 'member', '1 day', 0, NULL, 'refuse'$$,
	$$'velocity_a', 'a', 'redeem', 'member', '1 day', NULL, 0, 'refuse'$$, $$'velocity_a', 'a', 'redeem', 'member', '1 day', 1, NULL, 'warn'$$,
	$$'velocity_a', 'a', 'redeem', 'member', NULL, 1, NULL, 'refuse'$$, $$'velocity_a', 'a', NULL, 'member', '1 day', 1, NULL, 'refuse'$$]) AS v;
SELECT loyalty.velocity_guard();

-- Redeem: spends, rewards and holds together; a capture was counted as its hold
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_times, max_points) VALUES ('velocity_a', 'two a day', 'redeem', '24 hours', 3, 100);
SELECT points FROM loyalty.adjust('ann', 1000);
SELECT points FROM loyalty.spend('ann', 20, key => 's1');
SELECT points FROM loyalty.redeem('ann', 'mug');
SELECT entry AS hold, points FROM loyalty.hold('ann', 30, key => 'h1') \gset
SELECT pg_temp.try($$SELECT loyalty.spend('ann', 1)$$);
SELECT pg_temp.try($$SELECT loyalty.redeem('ann', 'mug')$$);
SELECT pg_temp.try($$SELECT loyalty.hold('ann', 1)$$);
SELECT points FROM loyalty.capture('ann', :hold);
-- a repeated key is answered, and not counted
SELECT points, repeated FROM loyalty.spend('ann', 20, key => 's1');
SELECT points, repeated FROM loyalty.hold('ann', 30, key => 'h1');
-- the time that is given does not help, nor does what was cancelled since
SELECT pg_temp.try($$SELECT loyalty.spend('ann', 1, at => now() - interval '3 days')$$);
SELECT points FROM loyalty.cancel('ann', 2);
SELECT pg_temp.try($$SELECT loyalty.spend('ann', 1)$$);
-- other members, and programs, have their own
SELECT points FROM loyalty.adjust('ben', 1000);
SELECT points FROM loyalty.spend('ben', 60);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 40.0001)$$);
SELECT points FROM loyalty.spend('ben', 40);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 1)$$);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 101)$$);
SELECT a.points, s.points FROM loyalty.adjust('ann', 10, program => 'velocity_b') a, loyalty.spend('ann', 1, program => 'velocity_b') s;
-- once it is long enough ago
BEGIN;
SELECT pg_temp.age('ben', '23 hours 59 minutes');
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 1)$$);
SELECT pg_temp.age('ben', '2 minutes');
SELECT points FROM loyalty.spend('ben', 1);
ROLLBACK;
-- it is as it is now: changed, reported only, or gone
UPDATE loyalty.velocity_limit SET max_times = 4 WHERE program = 'velocity_a';
SELECT points FROM loyalty.spend('ann', 1);
SELECT pg_temp.try($$SELECT loyalty.spend('ann', 1)$$);
BEGIN;
UPDATE loyalty.velocity_limit SET action = 'report' WHERE program = 'velocity_a';
SELECT points FROM loyalty.spend('ann', 1);
ROLLBACK;
SELECT pg_temp.try($$SELECT loyalty.spend('ann', 1)$$);
DELETE FROM loyalty.velocity_limit WHERE program = 'velocity_a';
SELECT points FROM loyalty.spend('ann', 1);

-- Transfers: of a member, and of a pair; what comes back is none
INSERT INTO loyalty.velocity_limit (program, name, kind, per, within, max_times) VALUES ('velocity_a', 'gifts', 'transfer', 'member', '7 days', 3), ('velocity_a', 'same friend', 'transfer', 'pair', '1 day', 1);
SELECT entry, points FROM loyalty.transfer('ann', 'cid', 5);
SELECT pg_temp.try($$SELECT loyalty.transfer('ann', 'cid', 5)$$);
SELECT points FROM loyalty.transfer('cid', 'ann', 1);
SELECT points FROM loyalty.transfer('ann', 'dan', 5);
SELECT points FROM loyalty.transfer('ann', 'eve', 5);
SELECT pg_temp.try($$SELECT loyalty.transfer('ann', 'fay', 5)$$);
-- whoever is merged into him has done what he does
SELECT a.points, t.points FROM loyalty.adjust('gus', 10) a, loyalty.transfer('gus', 'dan', 1) t;
SELECT points FROM loyalty.transfer('gus', 'eve', 1);
SELECT points FROM loyalty.transfer('gus', 'ann', 1);
SELECT points FROM loyalty.adjust('hal', 10);
SELECT loyalty.merge_members('gus', 'hal');
SELECT pg_temp.try($$SELECT loyalty.transfer('hal', 'eve', 1)$$);
-- and who was merged into another one is that one
SELECT points FROM loyalty.adjust('ivo', 10);
SELECT points FROM loyalty.transfer('ivo', 'jan', 1);
SELECT loyalty.enroll('kit') IS NOT NULL AS enrolled;
SELECT loyalty.merge_members('jan', 'kit');
SELECT pg_temp.try($$SELECT loyalty.transfer('ivo', 'kit', 1)$$);
DELETE FROM loyalty.velocity_limit WHERE program = 'velocity_a';

-- Events and purchases that are recorded; an order is never refused
CREATE TABLE velocity_order (id int PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('velocity_order', member => 'customer', amount => 'total') > 0 AS attached;
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_times, max_points) VALUES
	('velocity_a', 'reviews', 'record', '1 day', 2, NULL), ('velocity_a', 'earned', 'earn', '1 day', NULL, 100);
SELECT points FROM loyalty.record('ian', 'review', key => 'r1');
SELECT points FROM loyalty.record('ian', 'review');
SELECT pg_temp.try($$SELECT loyalty.record('ian', 'review')$$);
SELECT points, repeated FROM loyalty.record('ian', 'review', key => 'r1');
INSERT INTO velocity_order VALUES (1, 'jo', 90);
INSERT INTO velocity_order VALUES (2, 'jo', 90), (3, 'jo', 90);
SELECT available FROM loyalty.balance('jo');
SELECT pg_temp.try($$SELECT loyalty.record('jo', 'review')$$);
SELECT pg_temp.try($$SELECT loyalty.record('kim', 'purchase', amount => 101)$$);
SELECT points FROM loyalty.record('kim', 'purchase', amount => 100);
DELETE FROM loyalty.velocity_limit WHERE program = 'velocity_a';

-- Adjustments, extended and reinstated points among them
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_times, max_points) VALUES ('velocity_a', 'by hand', 'adjust', '1 day', 3, 100);
SELECT points FROM loyalty.adjust('lea', 30, expires => '2990-01-01');
SELECT points FROM loyalty.adjust('lea', -10);
SELECT points FROM loyalty.extend('lea', '2990-01-01', '2991-01-01');
SELECT pg_temp.try($$SELECT loyalty.adjust('lea', 1)$$);
SELECT pg_temp.try($$SELECT loyalty.extend('lea', '2991-01-01', '2992-01-01')$$);
SELECT pg_temp.try($$SELECT loyalty.adjust('mia', 101)$$);
SELECT points FROM loyalty.adjust('mia', 60, expires => '2990-01-01');
SELECT pg_temp.try($$SELECT loyalty.extend('mia', '2990-01-01', '2991-01-01')$$);
DELETE FROM loyalty.velocity_limit WHERE program = 'velocity_a';

-- Vouchers, where a member is named
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_times, max_points) VALUES ('velocity_a', 'codes', 'voucher', '1 day', 3, 100);
SELECT code AS value FROM loyalty.issue_voucher(NULL::text, 'value', value => 50) \gset
SELECT code AS points FROM loyalty.issue_voucher(NULL::text, 'points', points => 40, uses => 10) \gset
SELECT taken FROM loyalty.use_voucher(:'value', 5, member => 'ned');
SELECT taken FROM loyalty.use_voucher(:'points', member => 'ned');
SELECT taken FROM loyalty.use_voucher(:'points', member => 'ned', key => 'u');
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 5, member => %L)', :'value', 'ned'));
SELECT taken, repeated FROM loyalty.use_voucher(:'points', member => 'ned', key => 'u');
SELECT taken FROM loyalty.use_voucher(:'value', 5);
-- nor does the time that is given help here
SELECT taken FROM loyalty.use_voucher(:'value', 5, member => 'otto', at => now() - interval '3 days');
SELECT taken FROM loyalty.use_voucher(:'value', 5, member => 'otto', at => now() - interval '3 days');
SELECT taken FROM loyalty.use_voucher(:'value', 5, member => 'otto', at => now() - interval '3 days');
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 5, member => %L, at => now() - interval ''3 days'')', :'value', 'otto'));
UPDATE loyalty.velocity_limit SET max_times = NULL WHERE program = 'velocity_a';
SELECT taken FROM loyalty.use_voucher(:'value', 5, member => 'ned');
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, member => %L)', :'points', 'ned'));
BEGIN;
SELECT pg_temp.age('ned', '1 day');
SELECT taken FROM loyalty.use_voucher(:'points', member => 'ned');
ROLLBACK;
DELETE FROM loyalty.velocity_limit WHERE program = 'velocity_a';

-- What a member has chosen is redeemed by the order that reaches its cost; a limit must not stop that one
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_times) VALUES ('velocity_a', 'once', 'redeem', '1 day', 1);
SELECT a.points, s.points FROM loyalty.adjust('oda', 5) a, loyalty.spend('oda', 1) s;
SELECT pg_temp.try($$SELECT loyalty.choose_reward('oda', 'mug')$$);
INSERT INTO velocity_order VALUES (10, 'oda', 20);
SELECT available FROM loyalty.balance('oda');
SELECT last_error FROM loyalty.reward_choice WHERE member_id = loyalty.find_member('oda');
DELETE FROM loyalty.velocity_limit WHERE program = 'velocity_a';
DROP TABLE velocity_order;
