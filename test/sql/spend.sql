--
-- spend: points as money at the till: what they pay, the program's limits, keys and refusals
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

-- What a program may say about it
INSERT INTO loyalty.program (name) VALUES ('spend_terms');
SELECT point_value, spend_minimum, spend_step, spend_maximum, spend_share FROM loyalty.program WHERE name = 'spend_terms';
SELECT change, pg_temp.try('UPDATE loyalty.program SET ' || change || $$ WHERE name = 'spend_terms'$$) FROM unnest(ARRAY[
	$$point_value = 0$$, $$point_value = -1$$, $$point_value = 'NaN'$$, $$point_value = 'Infinity'$$, $$point_value = 0.01$$, $$point_value = 1e-30$$, $$point_value = NULL$$,
	$$spend_minimum = 0$$, $$spend_minimum = 0.00001$$, $$spend_step = -10$$, $$spend_maximum = 0$$, $$spend_maximum = 0.0001$$,
	$$spend_share = 0.5$$, $$point_value = 0.01, spend_share = 0$$, $$point_value = 0.01, spend_share = 1.01$$, $$point_value = 0.01, spend_share = 'NaN'$$,
	$$point_value = 0.01, spend_share = 1$$, $$point_value = NULL$$, $$spend_share = 0.333$$,
	$$spend_minimum = 200, spend_step = NULL, spend_maximum = 199$$, $$spend_minimum = 150, spend_step = 100, spend_maximum = 199$$, $$spend_minimum = NULL, spend_step = 100, spend_maximum = 99$$,
	$$spend_minimum = 150, spend_step = 100, spend_maximum = 200$$, $$spend_maximum = NULL$$, $$spend_minimum = 922337203685477.5807$$]) AS change;
-- the constraints say the same to whom no trigger tells
SET session_replication_role = replica;
SELECT change, pg_temp.try('UPDATE loyalty.program SET ' || change || $$ WHERE name = 'spend_terms'$$) FROM unnest(ARRAY[
	$$point_value = 0$$, $$point_value = 'NaN'$$, $$point_value = NULL$$, $$spend_minimum = 0$$, $$spend_step = -1$$, $$spend_maximum = 0$$, $$spend_share = 1.5$$, $$spend_minimum = 2, spend_maximum = 1$$]) AS change;
RESET session_replication_role;
DELETE FROM loyalty.program WHERE name = 'spend_terms';

INSERT INTO loyalty.program (name, currency, point_value) VALUES ('spend_plain', 'USD', 0.01);
INSERT INTO loyalty.program (name, currency, point_value, spend_minimum, spend_step, spend_maximum, spend_share) VALUES ('spend_limits', 'USD', 0.05, 100, 50, 1000, 0.5);
INSERT INTO loyalty.program (name, point_value, points_scale) VALUES ('spend_parts', 0.3, 2);
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('spend_closed_shop', false);
INSERT INTO loyalty.program (name) VALUES ('spend_no_money');
SET loyalty.program = 'spend_plain';

-- What can be paid
SELECT balance FROM loyalty.adjust('ann', 500);
SELECT * FROM loyalty.payable('ann', 3.99);
SELECT * FROM loyalty.payable('ann', 20);
SELECT * FROM loyalty.payable('ann', 20, 120);
SELECT * FROM loyalty.payable('ann', 20, 0);
SELECT * FROM loyalty.payable('ann', 20, points => 12.5);
SELECT * FROM loyalty.payable('ann', 1.005);
SELECT * FROM loyalty.payable('ann', 0);
SELECT * FROM loyalty.payable(amount => 5, member => 'ann');
SELECT * FROM loyalty.payable('stranger', 20);
SELECT count(*) AS strangers FROM loyalty.member WHERE ref = 'stranger' AND program_id IN (SELECT program_id FROM loyalty.program WHERE name ~ '^spend_');
SELECT * FROM loyalty.payable('ann', 20, program => 'spend_no_money');
SELECT arguments, pg_temp.try(format('SELECT loyalty.payable(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', NULL$$, $$'ann', -1$$, $$'ann', 'NaN'$$, $$'ann', 'Infinity'$$, $$'ann', 1, -1$$, $$'ann', 1, 'NaN'$$, $$'ann', 1, 0.00001$$, $$'', 1$$, $$NULL::text, 1$$,
	$$'stranger', 1, program => 'spend_closed_shop'$$, $$'ann', 1, program => 'spend_nowhere'$$]) AS arguments;
SELECT * FROM loyalty.payable('ann', 1e15);
-- a column is an amount like any other, and a reading writes nothing
BEGIN READ ONLY;
SELECT total, p.* FROM (VALUES (1, 1.20), (2, 4.999), (3, 5), (4, 7)) o(n, total), loyalty.payable('ann', total) p ORDER BY n;
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
COMMIT;

-- Paying
SELECT * FROM loyalty.spend('ann', 120);
SELECT * FROM loyalty.spend('ann', 30, purchase => 'o1', amount => 25.00, reason => 'asked for it', key => 'till 1');
SELECT entry, kind, points, balance, amount, source, purchase, lots, note FROM loyalty.statement('ann');
SELECT seq, kind, points, nullif(context - 'by', '{}') AS context, rule_id, revision FROM loyalty.entry WHERE member_id = loyalty.find_member('ann') ORDER BY seq;
SELECT available, lifetime FROM loyalty.balance('ann');
SELECT * FROM loyalty.adjust('7', 10);
SELECT * FROM loyalty.spend(7, 4);
SELECT * FROM loyalty.spend(7::bigint, 4.5, at => now());
SELECT * FROM loyalty.payable(7, 4);

-- What is refused, and leaves no trace
SELECT arguments, pg_temp.try(format('SELECT loyalty.spend(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', NULL$$, $$'ann', 0$$, $$'ann', -5$$, $$'ann', 'NaN'$$, $$'ann', 'Infinity'$$, $$'ann', 1.00001$$, $$'ann', 1e15$$, $$'ann', 922337203685477.5807$$, $$'ann', 350.0001$$,
	$$'ann', 10, amount => -1$$, $$'ann', 10, amount => 'NaN'$$, $$'ann', 10, amount => '-Infinity'$$, $$'ann', 10, purchase => ''$$, $$'ann', 10, purchase => repeat('o', 2001)$$,
	$$'ann', 10, at => now() + interval '1 hour'$$, $$'ann', 10, at => '-infinity'$$, $$'ann', 10, key => repeat('k', 2000)$$,
	$$'', 1$$, $$NULL::text, 1$$, $$NULL::bigint, 1$$, $$'ann', 1, program => 'spend_nowhere'$$, $$'stranger', 1$$, $$'stranger', 1, program => 'spend_closed_shop'$$,
	$$'ann', 101, amount => 1$$, $$'ann', 100.0001, amount => 1$$, $$'ann', 1, amount => 0$$, $$'ann', 1, amount => 0.0099$$, $$'ann', 400, amount => 1$$]) AS arguments;
SELECT seq, purse FROM loyalty.member WHERE member_id = loyalty.find_member('ann');
SELECT count(*) AS strangers FROM loyalty.member WHERE ref IN ('stranger', '') AND program_id IN (SELECT program_id FROM loyalty.program WHERE name ~ '^spend_');
SELECT balance FROM loyalty.spend('ann', 350, amount => 3.5);
SELECT * FROM loyalty.payable('ann', 1);
-- the greatest number of points there is
SELECT balance FROM loyalty.adjust('max', 922337203685477.5807);
SELECT points, value, why FROM loyalty.payable('max', 9223372036854.775807);
SELECT points, balance FROM loyalty.spend('max', 922337203685477.5807, amount => 9223372036854.775807);

-- Parts of points
SELECT balance FROM loyalty.adjust('pia', 40.5555, program => 'spend_parts');
SELECT amount, p.* FROM unnest(ARRAY[1, 0.003, 0.001, 12, 12.166, 12.165, 99.99]) amount, loyalty.payable('pia', amount, program => 'spend_parts') p;
SELECT points, balance FROM loyalty.spend('pia', 3.33, amount => 1, program => 'spend_parts');
SELECT pg_temp.try($$SELECT loyalty.spend('pia', 3.34, amount => 1, program => 'spend_parts')$$);
SELECT context FROM loyalty.entry WHERE member_id = loyalty.find_member('pia', 'spend_parts') AND kind = 'redeem';

-- The program's limits
SET loyalty.program = 'spend_limits';
SELECT balance FROM loyalty.adjust('ben', 1620);
SELECT amount, p.* FROM unnest(ARRAY[200, 100, 99.99, 50, 20, 12.5, 10, 9.99, 5, 1]) amount, loyalty.payable('ben', amount) p;
SELECT asked, p.* FROM unnest(ARRAY[1500, 1000, 999.9999, 130, 100, 99, 50, 20]) asked, loyalty.payable('ben', 200, asked) p;
SELECT arguments, pg_temp.try(format('SELECT loyalty.spend(%L, %s)', 'ben', arguments)) FROM unnest(ARRAY[
	$$99, amount => 200$$, $$50, amount => 200$$, $$120, amount => 200$$, $$150.5, amount => 200$$, $$1050, amount => 200$$, $$1050, purchase => 'o1', amount => 200$$,
	$$150$$, $$150, purchase => 'o1'$$, $$150, amount => 14.99$$, $$150, amount => 7.49$$, $$150, purchase => 'o"1"', amount => 14.99$$, $$150, purchase => 'o1', amount => 5$$]) AS arguments;
SELECT balance FROM loyalty.spend('ben', 150, amount => 15);
-- with the same purchase they count together, and nobody else's do
SELECT balance FROM loyalty.spend('ben', 600, purchase => 'o1', amount => 100, reason => 'first');
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 450, purchase => 'o1', amount => 100)$$);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 400, purchase => 'o1', amount => 99.99)$$);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 400, purchase => 'o1', amount => 49.99)$$);
SELECT balance FROM loyalty.spend('ben', 400, purchase => 'o1', amount => 100, reason => 'second');
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 100, purchase => 'o1', amount => 1000)$$);
SELECT balance FROM loyalty.spend('ben', 100, purchase => 'o', amount => 100);
SELECT balance FROM loyalty.spend('ben', 100, purchase => 'o11', amount => 100);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 300, purchase => 'o11', amount => 100)$$);
SELECT * FROM loyalty.payable('ben', 100);
-- each at what it paid then
UPDATE loyalty.program SET point_value = 0.5, spend_minimum = NULL, spend_step = NULL WHERE name = 'spend_limits';
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 91, purchase => 'o', amount => 100)$$);
SELECT balance FROM loyalty.spend('ben', 90, purchase => 'o', amount => 100);
-- without a value of points there is nothing to be held against an amount, and only numbers of points are
UPDATE loyalty.program SET point_value = NULL, spend_share = NULL, spend_maximum = 200 WHERE name = 'spend_limits';
SELECT balance FROM loyalty.adjust('ben', 500);
SELECT pg_temp.try($$SELECT loyalty.spend('ben', 11, purchase => 'o', amount => 0.01)$$);
SELECT balance FROM loyalty.spend('ben', 10, purchase => 'o', amount => 0.01);
SELECT context FROM loyalty.entry WHERE member_id = loyalty.find_member('ben') AND kind = 'redeem' ORDER BY seq;
SELECT balance FROM loyalty.spend('ben', 10);

-- Soonest to expire first; what is pending, and anything in debt, cannot be spent
SET loyalty.program = 'spend_plain';
CREATE TABLE spend_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
INSERT INTO loyalty.rule (program, name, award) VALUES ('spend_plain', 'base', '1 per 1');
SELECT loyalty.attach('spend_order', member => 'customer', amount => 'total', at => 'at') > 0 AS attached;
SELECT balance FROM (VALUES (1, 10, '2990-03-01'::date), (2, 10, '2990-01-01'), (3, 10, NULL), (4, 10, '2990-02-01')) v(n, p, e), loyalty.adjust('cid', p, expires => e) ORDER BY n;
SELECT balance FROM loyalty.spend('cid', 35);
SELECT lots FROM loyalty.entry WHERE member_id = loyalty.find_member('cid') AND kind = 'redeem';
INSERT INTO spend_order VALUES (1, 'cid', 50, '2990-01-01 00:00Z'), (2, 'dan', 20, now());
SELECT * FROM loyalty.payable('cid', 1);
SELECT pg_temp.try($$SELECT loyalty.spend('cid', 6)$$);
SELECT balance FROM loyalty.spend('dan', 20);
DELETE FROM spend_order WHERE id = 2;
SELECT * FROM loyalty.payable('dan', 1);
SELECT pg_temp.try($$SELECT loyalty.spend('dan', 1)$$);
SELECT available, debt, lifetime FROM loyalty.balance('dan');

-- In the past: what he had then and still has
SELECT balance FROM loyalty.adjust('old', 10, expires => '2024-01-31', at => '2024-01-01 12:00Z');
SELECT * FROM loyalty.payable('old', 1, at => '2024-01-31 23:59:59.999999Z');
SELECT balance FROM loyalty.spend('old', 4, at => '2024-01-31 23:59:59.999999Z');
SELECT * FROM loyalty.payable('old', 1, at => '2024-02-01 00:00Z');
SELECT pg_temp.try($$SELECT loyalty.spend('old', 1, at => '2024-02-01 00:00Z')$$);
-- the rest lapsed before he got these: there is nothing left of what he had in January
SELECT balance FROM loyalty.adjust('old', 100, at => '2024-03-01 12:00Z');
SELECT at, p.*, pg_temp.try(format('SELECT loyalty.spend(%L, 6, at => %L)', 'old', at)) FROM unnest(ARRAY['2023-12-31 12:00Z', '2024-01-15 12:00Z', '2024-02-15 00:00Z']::timestamptz[]) at, loyalty.payable('old', 1, at => at) p;
-- nor when he spent it in between
SELECT balance FROM loyalty.spend('old', 90, at => '2024-04-01 12:00Z');
SELECT balance FROM loyalty.adjust('old', 50, expires => '2990-01-31', at => '2024-05-01 12:00Z');
SELECT points, pg_temp.try(format('SELECT loyalty.spend(%L, 11, at => %L)', 'old', at)) FROM unnest(ARRAY['2024-03-15 12:00Z', '2024-04-15 12:00Z']::timestamptz[]) at, loyalty.payable('old', 1, at => at) p;
-- what he had then goes first, though it ends later
SELECT balance FROM loyalty.spend('old', 8, at => '2024-04-15 12:00Z');
SELECT balance FROM loyalty.spend('old', 51, at => '2024-05-01 12:00Z');
SELECT seq, kind, points, lots, occurred_at FROM loyalty.entry WHERE member_id = loyalty.find_member('old') ORDER BY seq;
-- points that have been given a later last day are his all the time
SELECT balance FROM loyalty.adjust('eve', 10, expires => '2989-01-31', at => '2024-01-01 12:00Z');
SELECT balance FROM loyalty.extend('eve', ends => '2989-01-31', new_ends => '2990-01-31');
SELECT balance FROM loyalty.spend('eve', 10, at => '2024-02-01 12:00Z');

-- A key: the same call answers the same, and moves nothing
SELECT balance FROM loyalty.adjust('kim', 100, key => 'k1');
SELECT * FROM loyalty.spend('kim', 20, purchase => 'o1', amount => 10, key => 'k1', reason => 'till');
SELECT balance FROM loyalty.spend('kim', 5, key => 'k2');
SELECT * FROM loyalty.spend('kim', 20.0, purchase => 'o1', amount => 10.00, key => 'k1', reason => 'till');
SELECT arguments, pg_temp.try(format('SELECT loyalty.spend(%L, %s)', 'kim', arguments)) FROM unnest(ARRAY[
	$$21, purchase => 'o1', amount => 10, key => 'k1', reason => 'till'$$, $$20, purchase => 'o2', amount => 10, key => 'k1', reason => 'till'$$,
	$$20, purchase => 'o1', amount => 11, key => 'k1', reason => 'till'$$, $$20, purchase => 'o1', amount => 10, key => 'k1'$$, $$20, amount => 10, key => 'k1', reason => 'till'$$,
	$$20, purchase => 'o1', key => 'k1', reason => 'till'$$, $$20, purchase => 'o1', amount => 10, key => 'k1', reason => 'till', at => '2024-01-01'$$, $$5, purchase => 'x', key => 'k2'$$, $$5, amount => 1, key => 'k2'$$]) AS arguments;
-- also when the program's terms have changed, and the points are gone
UPDATE loyalty.program SET point_value = 7, spend_minimum = 75 WHERE name = 'spend_plain';
SELECT balance FROM loyalty.spend('kim', 75, key => 'k3');
SELECT entry, points, balance, repeated FROM loyalty.spend('kim', 20, purchase => 'o1', amount => 10, key => 'k1', reason => 'till');
UPDATE loyalty.program SET point_value = 0.01, spend_minimum = NULL WHERE name = 'spend_plain';
-- a failed attempt does not use up its key
SELECT pg_temp.try($$SELECT loyalty.spend('kim', 1, key => 'k4')$$);
SELECT balance FROM loyalty.adjust('kim', 1);
SELECT balance, repeated FROM loyalty.spend('kim', 1, key => 'k4');

-- Suspended and closed members cannot, but what was done is answered
SELECT balance FROM loyalty.adjust('sue', 50);
SELECT balance FROM loyalty.spend('sue', 10, key => 'k');
SELECT loyalty.set_member('sue', status => 'suspended');
SELECT pg_temp.try($$SELECT loyalty.spend('sue', 1)$$);
SELECT * FROM loyalty.payable('sue', 1);
SELECT loyalty.set_member('sue', status => 'closed');
SELECT pg_temp.try($$SELECT loyalty.spend('sue', 1)$$);
SELECT * FROM loyalty.payable('sue', 1);
SELECT balance, repeated FROM loyalty.spend('sue', 10, key => 'k');
SELECT loyalty.set_member('sue', status => 'active');
SELECT balance FROM loyalty.spend('sue', 1);
SELECT available FROM loyalty.balance('sue');

-- A role may spend that may do nothing else, whatever stands in its search_path
SET client_min_messages = warning; -- of an earlier run
DROP ROLE IF EXISTS regress_loyalty_till;
RESET client_min_messages;
CREATE ROLE regress_loyalty_till;
CREATE SCHEMA spend_trap AUTHORIZATION regress_loyalty_till;
GRANT USAGE ON SCHEMA loyalty TO regress_loyalty_till;
SELECT loyalty.adjust('tim', 100) IS NOT NULL AS given;
SET ROLE regress_loyalty_till;
SELECT pg_temp.try($$SELECT loyalty.spend('tim', 1)$$) AS spend, pg_temp.try($$SELECT loyalty.payable('tim', 1)$$) AS payable;
CREATE FUNCTION spend_trap.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE OPERATOR spend_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = spend_trap.eq);
CREATE TEMPORARY TABLE member (member_id bigint, ref text);
CREATE TEMPORARY TABLE entry (member_id bigint);
RESET ROLE;
SELECT loyalty.grant_access('regress_loyalty_till', 'operate');
INSERT INTO loyalty.member_alias (program_id, ref, member_id) SELECT program_id, 'timothy', loyalty.find_member('tim') FROM loyalty.program WHERE name = 'spend_plain';
UPDATE loyalty.program SET name = name WHERE name = 'spend_plain'; -- so that everything is read again
SET ROLE regress_loyalty_till;
SET search_path = spend_trap, pg_temp, pg_catalog;
SELECT balance FROM loyalty.spend('tim', 10, purchase => 'o1', amount => 1, key => 'k', reason => 'till');
SELECT balance, repeated FROM loyalty.spend('tim', 10, purchase => 'o1', amount => 1, key => 'k', reason => 'till');
SELECT balance FROM loyalty.spend('tim', 10, purchase => 'o1', amount => 1, at => now());
SELECT points, value FROM loyalty.payable('tim', 20, at => now());
SELECT current_user;
RESET search_path;
SELECT pg_temp.try($$DELETE FROM loyalty.entry$$) AS entries;
RESET ROLE;
SET session_replication_role = replica;
DELETE FROM loyalty.member_alias WHERE ref = 'timothy';
RESET session_replication_role;
SELECT loyalty.revoke_access('regress_loyalty_till', 'operate');
DROP OWNED BY regress_loyalty_till CASCADE;
DROP ROLE regress_loyalty_till;

SELECT v.* FROM loyalty.program p, loyalty.verify(p.name) v WHERE p.name ~ '^spend_';
SELECT loyalty.detach('spend_order');
DROP TABLE spend_order;
RESET loyalty.program;
