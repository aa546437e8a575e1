--
-- hold: points that are held: captured whole and in part, released, lapsed; limits, keys and refusals
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"; times of today without their digits
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(regexp_replace(detail, '20[0-9][0-9]-[0-9-]+ [0-9:.]{9,}[+]00', 'TIME'), ''), 'HINT ' || nullif(hint, ''));
END $$;

INSERT INTO loyalty.program (name, currency, point_value, hold_ttl) VALUES ('hold_plain', 'USD', 0.01, '3 days');
INSERT INTO loyalty.program (name, currency, point_value, spend_minimum, spend_step, spend_maximum, spend_share) VALUES ('hold_limits', 'USD', 0.05, 100, 50, 1000, 0.5);
INSERT INTO loyalty.program (name, time_zone) VALUES ('hold_zone', 'Europe/Berlin');
SET loyalty.program = 'hold_plain';

-- An order is placed: its points are held; when it is sent they are spent
SELECT balance FROM loyalty.adjust('ann', 500, expires => '2990-01-31', at => '2024-01-01 12:00Z');
SELECT balance FROM loyalty.adjust('ann', 100, at => '2024-01-01 12:00Z');
SELECT * FROM loyalty.hold('ann', 550, '1000 years', purchase => 'o1', amount => 20.00, reason => 'checkout', at => '2024-01-02 12:00Z');
SELECT available, held, next_expiry FROM loyalty.balance('ann');
SELECT available, held FROM loyalty.balance('ann', '2024-01-02 11:59Z');
SELECT available, held FROM loyalty.balance('ann', '4000-01-01Z');
SELECT * FROM loyalty.lots('ann');
SELECT points, why FROM loyalty.payable('ann', 20);
SELECT * FROM loyalty.capture('ann', 3, 300, final => false, reason => 'first parcel', at => '2024-01-03 12:00Z');
SELECT available, held FROM loyalty.balance('ann');
SELECT * FROM loyalty.capture('ann', 3, 200, at => '2024-01-04 12:00Z');
SELECT available, held FROM loyalty.balance('ann');
SELECT entry, occurred_at, kind, points, balance, lots, note FROM loyalty.statement('ann');
SELECT seq, kind, source_key, nullif(context - 'by', '{}') AS context FROM loyalty.entry WHERE member_id = loyalty.find_member('ann') ORDER BY seq;
SELECT seq, points, captured, made_at, until, ended_at, status, lots, point_value, amount, purchase, note FROM loyalty.hold WHERE member_id = loyalty.find_member('ann');
SELECT month, members, points FROM loyalty.liability WHERE program = 'hold_plain';

-- Or it is not: they go back
SELECT balance FROM loyalty.adjust('7', 10);
SELECT * FROM loyalty.hold(7, 4);
SELECT * FROM loyalty.release(7, 2, 'out of stock');
SELECT points, balance FROM loyalty.hold(7::bigint, 4.5, at => now());
SELECT points, balance FROM loyalty.capture(7, 4, 2.25);
SELECT available, held FROM loyalty.balance(7);
SELECT kind, points, note FROM loyalty.statement(7);

-- For how long: the program's time, or what the call says, by the program's calendar
SELECT entry FROM unnest(ARRAY[NULL, '36 hours', '1 month 1 day -1 second']::interval[]) ttl, loyalty.hold('7', 1, ttl);
SELECT seq, until - made_at BETWEEN interval '3 days -1 hour' AND interval '3 days 1 hour' AS three_days, until - made_at = interval '36 hours' AS a_day_and_a_half,
	until = made_at + interval '1 month 1 day -1 second' AS a_month FROM loyalty.hold WHERE member_id = loyalty.find_member('7') AND status = 'active' ORDER BY seq;
SELECT arguments, pg_temp.try(format('SELECT loyalty.hold(%s)', arguments)) FROM unnest(ARRAY[
	$$'7', 1, '0'$$, $$'7', 1, '-1 day'$$, $$'7', 1, '1 day -24 hours'$$, $$'7', 1, '1 month -40 days'$$, $$'7', 1, '300000 years'$$, $$'7', 1, '1 day', at => '2024-01-01 12:00Z'$$]) AS arguments;
-- a day is a day also when the clock changes
SELECT balance FROM loyalty.adjust('zoe', 10, at => '2024-01-01 12:00Z', program => 'hold_zone');
SELECT entry FROM unnest(ARRAY['100 years 180 days', '100 years 4320 hours']::interval[]) ttl, loyalty.hold('zoe', 1, ttl, at => '2024-01-29 12:00Z', program => 'hold_zone');
SELECT until AT TIME ZONE 'Europe/Berlin' AS until FROM loyalty.hold WHERE member_id = loyalty.find_member('zoe', 'hold_zone') ORDER BY seq;

-- What is refused, and leaves no trace
SELECT arguments, pg_temp.try(format('SELECT loyalty.hold(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', NULL$$, $$'ann', 0$$, $$'ann', -5$$, $$'ann', 'NaN'$$, $$'ann', 1.00001$$, $$'ann', 100.0001$$, $$'ann', 922337203685477.5807$$,
	$$'ann', 10, amount => -1$$, $$'ann', 10, purchase => ''$$, $$'ann', 10, purchase => repeat('o', 2001)$$, $$'ann', 10, at => now() + interval '1 hour'$$, $$'ann', 10, key => repeat('k', 2000)$$,
	$$'', 1$$, $$NULL::text, 1$$, $$NULL::bigint, 1$$, $$'ann', 1, program => 'hold_nowhere'$$, $$'stranger', 1$$, $$'ann', 101, amount => 1$$]) AS arguments;
SELECT arguments, pg_temp.try(format('SELECT loyalty.capture(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', 3$$, $$'ann', 1$$, $$'ann', 4$$, $$'ann', 0$$, $$'ann', -3$$, $$'ann', 99$$, $$'ann', NULL$$, $$'ann', 3, 0$$, $$'ann', 3, -1$$, $$'stranger', 1$$, $$'', 1$$, $$NULL::text, 1$$, $$NULL::bigint, 1$$,
	$$'ann', 3, program => 'hold_nowhere'$$, $$'7', 7, 1.5$$, $$'7', 7, 1.0001$$, $$'7', 7, at => '2024-01-01'$$, $$'7', 7, at => now() + interval '1 hour'$$, $$'7', 7, key => repeat('k', 2000)$$]) AS arguments;
SELECT arguments, pg_temp.try(format('SELECT loyalty.release(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', 3$$, $$'ann', 1$$, $$'ann', NULL$$, $$'7', 2$$, $$'stranger', 1$$, $$NULL::text, 1$$, $$NULL::bigint, 1$$, $$'7', 7, at => '2024-01-01'$$, $$'7', 7, key => repeat('k', 2000)$$]) AS arguments;
SELECT ref, seq, purse, held FROM loyalty.member WHERE member_id IN (loyalty.find_member('ann'), loyalty.find_member('7')) ORDER BY ref;

-- The program's limits are those of spend, and what is held for a purchase counts
SET loyalty.program = 'hold_limits';
SELECT balance FROM loyalty.adjust('ben', 2000);
SELECT arguments, pg_temp.try(format('SELECT loyalty.hold(%L, %s)', 'ben', arguments)) FROM unnest(ARRAY[
	$$99, amount => 200$$, $$120, amount => 200$$, $$1050, amount => 200$$, $$150$$, $$150, amount => 14.99$$]) AS arguments;
SELECT entry, balance FROM loyalty.hold('ben', 600, purchase => 'o1', amount => 100);
SELECT pg_temp.try($$SELECT loyalty.hold('ben', 450, purchase => 'o1', amount => 200)$$);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 450, purchase => 'o1', amount => 200)$$);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 450, purchase => 'o1', amount => 80)$$);
-- what the shop captures is its business
SELECT points, balance FROM loyalty.capture('ben', 2, 33, final => false);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 450, purchase => 'o1', amount => 200)$$);
SELECT balance FROM loyalty.spend('ben', 400, purchase => 'o1', amount => 200);
SELECT points, balance FROM loyalty.capture('ben', 2);
SELECT context FROM loyalty.entry WHERE member_id = loyalty.find_member('ben') AND kind IN ('hold', 'redeem') ORDER BY seq;

-- A key: the same call answers the same, and moves nothing
SET loyalty.program = 'hold_plain';
SELECT balance FROM loyalty.adjust('kim', 100, key => 'k1');
SELECT * FROM loyalty.hold('kim', 60, '2 days', purchase => 'o1', amount => 10, key => 'k1', reason => 'till');
SELECT balance FROM loyalty.spend('kim', 5, key => 'k1');
SELECT * FROM loyalty.hold('kim', 60.0, '2 days', purchase => 'o1', amount => 10.00, key => 'k1', reason => 'till');
SELECT * FROM loyalty.hold('kim', 60, purchase => 'o1', amount => 10, key => 'k1', reason => 'till');
SELECT arguments, pg_temp.try(format('SELECT loyalty.hold(%L, %s)', 'kim', arguments)) FROM unnest(ARRAY[
	$$61, '2 days', purchase => 'o1', amount => 10, key => 'k1', reason => 'till'$$, $$60, '3 days', purchase => 'o1', amount => 10, key => 'k1', reason => 'till'$$, $$60, '2 days', purchase => 'o2', amount => 10, key => 'k1', reason => 'till'$$,
	$$60, '2 days', purchase => 'o1', amount => 11, key => 'k1', reason => 'till'$$, $$60, '2 days', purchase => 'o1', amount => 10, key => 'k1'$$, $$60, '2 days', purchase => 'o1', amount => 10, key => 'k1', reason => 'till', at => '2024-01-01'$$]) AS arguments;
SELECT * FROM loyalty.capture('kim', 2, 20, final => false, key => 'k1');
SELECT * FROM loyalty.capture('kim', 2, 20, final => false, key => 'k1');
SELECT arguments, pg_temp.try(format('SELECT loyalty.capture(%L, %s)', 'kim', arguments)) FROM unnest(ARRAY[
	$$2, 21, final => false, key => 'k1'$$, $$2, 20, key => 'k1'$$, $$2, key => 'k1'$$, $$3, 20, final => false, key => 'k1'$$, $$2, 20, final => false, key => 'k1', reason => 'x'$$, $$2, 20, final => false, key => 'k1', at => '2024-01-01'$$]) AS arguments;
SELECT entry, points, balance, repeated FROM loyalty.capture('kim', 2, 15, key => 'k2');
SELECT entry, points, balance, repeated FROM loyalty.capture('kim', 2, 15, key => 'k2');
SELECT arguments, pg_temp.try(format('SELECT loyalty.capture(%L, %s)', 'kim', arguments)) FROM unnest(ARRAY[$$2, 15, final => false, key => 'k2'$$, $$2, key => 'k2'$$]) AS arguments;
SELECT entry FROM loyalty.hold('kim', 10, key => 'k2');
-- all that is held, however it is asked for
SELECT entry, points, balance, repeated FROM loyalty.capture('kim', 8, key => 'k3');
SELECT entry, points, balance, repeated FROM loyalty.capture('kim', 8, 10, key => 'k3');
SELECT entry, points, balance, repeated FROM loyalty.capture('kim', 8, final => false, key => 'k3');
SELECT entry FROM loyalty.hold('kim', 10);
SELECT * FROM loyalty.release('kim', 11, 'sold out', key => 'k1');
SELECT * FROM loyalty.release('kim', 11, 'sold out', key => 'k1');
SELECT arguments, pg_temp.try(format('SELECT loyalty.release(%L, %s)', 'kim', arguments)) FROM unnest(ARRAY[$$2, 'sold out', key => 'k1'$$, $$11, key => 'k1'$$, $$11, 'sold out', key => 'k1', at => '2024-01-01'$$]) AS arguments;

-- A hold lapses at its end, whether or not anybody writes that down
SELECT balance FROM loyalty.adjust('lou', 100, at => '2024-01-01 12:00Z');
SELECT points, balance FROM loyalty.hold('lou', 70, '0.05 seconds');
SELECT pg_sleep(0.1) AS time_goes_on;
SELECT available, held FROM loyalty.balance('lou');
SELECT seq, held, purse FROM loyalty.member WHERE member_id = loyalty.find_member('lou');
SELECT pg_temp.try($$SELECT loyalty.capture('lou', 2)$$);
SELECT pg_temp.try($$SELECT loyalty.release('lou', 2)$$);
\set VERBOSITY terse
CALL loyalty.maintain(program => 'hold_plain');
\set VERBOSITY default
SELECT seq, held, purse FROM loyalty.member WHERE member_id = loyalty.find_member('lou');
SELECT kind, points, occurred_at = (SELECT until FROM loyalty.hold WHERE member_id = loyalty.find_member('lou')) AS at_its_end FROM loyalty.statement('lou') WHERE entry > 1;
SELECT status, ended_at = until AS at_its_end FROM loyalty.hold WHERE member_id = loyalty.find_member('lou');
SELECT pg_temp.try($$SELECT loyalty.capture('lou', 2)$$);

-- A role may hold that may do nothing else, whatever stands in its search_path
SET client_min_messages = warning; -- of an earlier run
DROP ROLE IF EXISTS regress_loyalty_till;
RESET client_min_messages;
CREATE ROLE regress_loyalty_till;
CREATE SCHEMA hold_trap AUTHORIZATION regress_loyalty_till;
GRANT USAGE ON SCHEMA loyalty TO regress_loyalty_till;
SELECT loyalty.adjust('tim', 100) IS NOT NULL AS given;
SET ROLE regress_loyalty_till;
SELECT pg_temp.try($$SELECT loyalty.hold('tim', 1)$$) AS hold, pg_temp.try($$SELECT loyalty.capture('tim', 1)$$) AS capture, pg_temp.try($$SELECT loyalty.release('tim', 1)$$) AS release, pg_temp.try($$SELECT FROM loyalty.hold$$) AS rows;
CREATE FUNCTION hold_trap.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE OPERATOR hold_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hold_trap.eq);
CREATE TEMPORARY TABLE hold (member_id bigint);
RESET ROLE;
SELECT loyalty.grant_access('regress_loyalty_till', 'operate');
SET ROLE regress_loyalty_till;
SET search_path = hold_trap, pg_temp, pg_catalog;
SELECT balance FROM loyalty.hold('tim', 10, purchase => 'o1', amount => 1, key => 'k');
SELECT balance, repeated FROM loyalty.hold('tim', 10, '3 days', purchase => 'o1', amount => 1, key => 'k');
SELECT balance FROM loyalty.capture('tim', 2, 5, final => false, key => 'k');
SELECT balance, repeated FROM loyalty.capture('tim', 2, 5, final => false, key => 'k');
SELECT balance FROM loyalty.release('tim', 2, key => 'k');
SELECT current_user;
RESET search_path;
SELECT pg_temp.try($$DELETE FROM loyalty.hold$$) AS rows;
RESET ROLE;
SELECT loyalty.revoke_access('regress_loyalty_till', 'operate');
DROP OWNED BY regress_loyalty_till CASCADE;
DROP ROLE regress_loyalty_till;

SELECT v.* FROM loyalty.program p, loyalty.verify(p.name) v WHERE p.name ~ '^hold_';
RESET loyalty.program;
