--
-- transfer: points that one member gives to another: life spans, limits, keys and refusals
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

-- What a program may say about it
INSERT INTO loyalty.program (name) VALUES ('transfer_terms');
SELECT transfer_enabled, transfer_policy, transfer_minimum, transfer_maximum, transfer_cap, transfer_cap_period FROM loyalty.program WHERE name = 'transfer_terms';
SELECT change, pg_temp.try('UPDATE loyalty.program SET ' || change || $$ WHERE name = 'transfer_terms'$$) FROM unnest(ARRAY[
	$$transfer_enabled = NULL$$, $$transfer_policy = 'new'$$, $$transfer_policy = NULL$$, $$transfer_policy = 'restart'$$,
	$$transfer_minimum = 0$$, $$transfer_maximum = -1$$, $$transfer_cap = 0$$, $$transfer_cap = 0.00001$$, $$transfer_cap_period = 'hour'$$, $$transfer_cap_period = NULL$$, $$transfer_cap_period = 'week'$$,
	$$transfer_minimum = 10, transfer_maximum = 9.9999$$, $$transfer_minimum = 10, transfer_cap = 9$$, $$transfer_minimum = 10, transfer_maximum = 10, transfer_cap = 10$$]) AS change;
-- the constraints say the same to whom no trigger tells
SET session_replication_role = replica;
SELECT change, pg_temp.try('UPDATE loyalty.program SET ' || change || $$ WHERE name = 'transfer_terms'$$) FROM unnest(ARRAY[
	$$transfer_minimum = 0$$, $$transfer_maximum = 0$$, $$transfer_cap = -1$$, $$transfer_maximum = 9$$, $$transfer_cap = 9$$]) AS change;
RESET session_replication_role;
DELETE FROM loyalty.program WHERE name = 'transfer_terms';

INSERT INTO loyalty.program (name, expiry) VALUES ('transfer_plain', '12 months');
INSERT INTO loyalty.program (name, expiry, transfer_policy) VALUES ('transfer_restart', '12 months end of month', 'restart');
INSERT INTO loyalty.program (name, transfer_minimum, transfer_maximum, transfer_cap, transfer_cap_period, time_zone) VALUES ('transfer_limits', 10, 100, 150, 'month', 'Asia/Kuala_Lumpur');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('transfer_closed_shop', false);
INSERT INTO loyalty.program (name, expiry) VALUES ('transfer_idle', 'inactive 3 months');
INSERT INTO loyalty.program (name, transfer_enabled) VALUES ('transfer_none', false);
SET loyalty.program = 'transfer_plain';
-- the entries of members in the order of their refs, without the numbers that members are computed to
CREATE FUNCTION pg_temp.entries(refs text[], program text) RETURNS TABLE (ref text, seq bigint, kind text, points loyalty.points, lots loyalty.purse, source_key text, note text, other text) LANGUAGE sql AS $$
	SELECT m.ref, e.seq, e.kind, e.points, e.lots, replace(e.source_key, o.member_id::text, '<' || o.ref || '>'), e.note,
		concat_ws(' ', CASE WHEN e.context ? 'to_entry' THEN 'to' ELSE 'from' END, o.ref, coalesce(e.context ->> 'to_entry', e.context ->> 'from_entry'))
	FROM loyalty.entry e JOIN loyalty.member m USING (member_id)
	JOIN loyalty.member o ON o.member_id = coalesce(e.context ->> 'to_member_id', e.context ->> 'from_member_id')::bigint
	WHERE m.ref = ANY (refs) AND m.program_id = (SELECT program_id FROM loyalty.program WHERE name = $2) ORDER BY m.ref, e.seq
$$;

-- Soonest to expire first; each lot keeps its last day, one that never ends too
SELECT balance FROM (VALUES (1, 10, '2990-03-01'::date), (2, 10, '2990-01-01'), (3, 10, 'infinity'), (4, 10, '2990-02-01')) v(n, p, e), loyalty.adjust('ann', p, expires => e) ORDER BY n;
SELECT loyalty.enroll('bob') IS NOT NULL AS enrolled;
SELECT * FROM loyalty.transfer('ann', 'bob', 15);
SELECT * FROM loyalty.transfer('ann', 'bob', 20.5, reason => 'for the party', key => 'gift 1');
SELECT * FROM pg_temp.entries('{ann,bob}', 'transfer_plain');
SELECT m.ref, m.purse, b.available, b.lifetime, m.last_activity FROM unnest('{ann,bob}'::text[]) r, loyalty.balance(r) b, loyalty.member m WHERE m.member_id = loyalty.find_member(r) ORDER BY 1;
SELECT entry, kind, points, balance, amount, source, lots, note FROM loyalty.statement('bob');
-- who is none becomes a member by it, where the program enrolls by itself
SELECT * FROM loyalty.transfer('bob', 'new', 15);
SELECT purse FROM loyalty.member WHERE member_id = loyalty.find_member('new');
SELECT pg_temp.try($$SELECT loyalty.transfer('nobody', 'new', 1)$$);
SELECT pg_temp.try($$SELECT loyalty.transfer('nobody', 'nobody else', 1)$$);
SELECT count(*) AS strangers FROM loyalty.member WHERE ref ~ '^nobody';
SELECT loyalty.enroll('bea', program => 'transfer_closed_shop') IS NOT NULL AS enrolled;
SELECT balance FROM loyalty.adjust('bea', 10, program => 'transfer_closed_shop');
SELECT pg_temp.try($$SELECT loyalty.transfer('bea', 'new', 1, program => 'transfer_closed_shop')$$);
SELECT loyalty.enroll('new', program => 'transfer_closed_shop') IS NOT NULL AS enrolled;
SELECT * FROM loyalty.transfer('bea', 'new', 1, program => 'transfer_closed_shop');
-- numeric ids
SELECT balance FROM loyalty.adjust(7, 10);
SELECT * FROM loyalty.transfer(7, 8, 4);
SELECT * FROM loyalty.transfer(from_member => 8::bigint, to_member => '7', points => 4, at => now());
SELECT * FROM loyalty.transfer('7', '8', 10);

-- What is refused, and leaves no trace
SELECT arguments, pg_temp.try(format('SELECT loyalty.transfer(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', 'bob', NULL$$, $$'ann', 'bob', 0$$, $$'ann', 'bob', -5$$, $$'ann', 'bob', 'NaN'$$, $$'ann', 'bob', 'Infinity'$$, $$'ann', 'bob', 1.00001$$, $$'ann', 'bob', 1e15$$, $$'ann', 'bob', 4.5001$$,
	$$'ann', 'ann', 1$$, $$7, 7, 1$$, $$'', 'bob', 1$$, $$'ann', '', 1$$, $$NULL::text, 'bob', 1$$, $$'ann', NULL::text, 1$$, $$NULL::bigint, 7, 1$$, $$7, NULL::bigint, 1$$,
	$$'ann', 'bob', 1, at => now() + interval '1 hour'$$, $$'ann', 'bob', 1, at => '-infinity'$$, $$'ann', 'bob', 1, key => repeat('k', 2000)$$,
	$$'ann', 'bob', 1, program => 'transfer_nowhere'$$, $$'ann', 'bob', 1, program => 'transfer_none'$$]) AS arguments;
SELECT loyalty.enroll('ann', program => 'transfer_none') IS NOT NULL AS enrolled;
SELECT pg_temp.try($$SELECT loyalty.transfer('ann', 'bob', 1, program => 'transfer_none')$$);
SELECT ref, seq, purse FROM loyalty.member WHERE member_id IN (loyalty.find_member('ann'), loyalty.find_member('bob')) ORDER BY 1;
-- himself under another name
INSERT INTO loyalty.member_alias (program_id, ref, member_id) SELECT program_id, 'anne', loyalty.find_member('ann') FROM loyalty.program WHERE name = 'transfer_plain';
UPDATE loyalty.program SET name = name WHERE name = 'transfer_plain'; -- so that everything is read again
SELECT pg_temp.try($$SELECT loyalty.transfer('ann', 'anne', 1)$$);
SELECT pg_temp.try($$SELECT loyalty.transfer('anne', 'ann', 1)$$);
SELECT balance FROM loyalty.transfer('anne', 'bob', 1);
SET session_replication_role = replica;
DELETE FROM loyalty.member_alias WHERE ref = 'anne';
RESET session_replication_role;
UPDATE loyalty.program SET name = name WHERE name = 'transfer_plain';
-- the greatest number of points there is: one member can have as many and no more
SELECT balance FROM loyalty.adjust('max', 922337203685477.5807);
SELECT points, balance FROM loyalty.transfer('max', 'mim', 922337203685477.5807);
SELECT balance FROM loyalty.adjust('max', 1);
SELECT pg_temp.try($$SELECT loyalty.transfer('max', 'mim', 1)$$);
SELECT balance FROM loyalty.transfer('mim', 'max', 922337203685476.5807);
SELECT balance FROM loyalty.transfer('max', 'mim', 1);

-- Suspended and closed members neither give nor get, but what was done is answered
SELECT balance FROM loyalty.adjust('sue', 50);
SELECT balance FROM loyalty.transfer('sue', 'tom', 10, key => 'k');
SELECT status, who, loyalty.set_member(who, status => status) IS NOT NULL AS set, pg_temp.try($$SELECT loyalty.transfer('sue', 'tom', 1)$$),
	(SELECT repeated FROM loyalty.transfer('sue', 'tom', 10, key => 'k')), loyalty.set_member(who, status => 'active') IS NOT NULL AS back
FROM unnest('{suspended,closed}'::text[]) status, unnest('{sue,tom}'::text[]) who;
SELECT balance FROM loyalty.transfer('sue', 'tom', 1);

-- A life span that begins anew
SELECT balance FROM (VALUES (1, 10, '2990-03-01'::date), (2, 10, 'infinity'), (3, 10, '2024-05-20')) v(n, p, e), loyalty.adjust('ray', p, expires => e, at => '2024-03-01 12:00Z', program => 'transfer_restart') ORDER BY n;
SELECT * FROM loyalty.transfer('ray', 'rex', 25, at => '2024-05-20 23:59:59Z', program => 'transfer_restart');
SELECT * FROM pg_temp.entries('{ray,rex}', 'transfer_restart');

-- The program's limits
SET loyalty.program = 'transfer_limits';
SELECT balance FROM loyalty.adjust('lea', 1000, at => '2023-12-01 12:00Z');
SELECT points, pg_temp.try(format('SELECT loyalty.transfer(%L, %L, %s, at => %L)', 'lea', 'leo', points, '2024-03-10 12:00Z')) FROM unnest(ARRAY[9.9999, 10, 100, 100.0001, 41, 40]) points;
-- months begin in the program's time zone
SELECT at, pg_temp.try(format('SELECT loyalty.transfer(%L, %L, %s, at => %L)', 'lea', 'leo', points, at))
FROM (VALUES (100, '2024-01-31 15:59:59Z'), (51, '2024-01-01 00:00+08'), (100, '2024-01-31 16:00Z'), (50, '2024-01-01 00:00+08'), (10, '2024-01-15 00:00Z')) v (points, at);
-- what he got counts for nothing, nor does what others give
SELECT points, pg_temp.try(format('SELECT loyalty.transfer(%L, %L, %s, at => %L)', 'leo', 'lea', points, '2024-02-10 12:00Z')) FROM unnest('{100,50,10}'::int[]) points;
SELECT period, pg_temp.try(format($$UPDATE loyalty.program SET transfer_cap_period = %L WHERE name = 'transfer_limits'$$, period)),
	pg_temp.try($$SELECT loyalty.transfer('lea', 'leo', 60, at => '2024-02-01 12:00+08')$$), pg_temp.try($$SELECT loyalty.transfer('lea', 'leo', 60, at => '2024-02-29 12:00+08')$$)
FROM unnest('{day,week,year,ever}'::text[]) period;
UPDATE loyalty.program SET transfer_enabled = false WHERE name = 'transfer_limits';
SELECT pg_temp.try($$SELECT loyalty.transfer('lea', 'leo', 10)$$);

-- A debt is repaid by it, and who is in debt has nothing to give
SET loyalty.program = 'transfer_plain';
CREATE TABLE transfer_order (id int PRIMARY KEY, customer text, total numeric);
INSERT INTO loyalty.rule (program, name, award) VALUES ('transfer_plain', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, award) VALUES ('transfer_idle', 'base', '1 per 1');
SELECT loyalty.attach('transfer_order', member => 'customer', amount => 'total', program => p) > 0 AS attached FROM unnest('{transfer_plain,transfer_idle}'::text[]) p;
INSERT INTO transfer_order VALUES (1, 'dan', 30);
SELECT balance FROM loyalty.transfer('dan', 'eve', 30);
DELETE FROM transfer_order;
SELECT pg_temp.try($$SELECT loyalty.transfer('dan', 'eve', 1)$$);
SELECT balance FROM loyalty.adjust('fay', 100, expires => '2990-01-01');
SELECT balance FROM loyalty.transfer('fay', 'dan', 50);
SELECT points, lots FROM loyalty.entry WHERE member_id = loyalty.find_member('dan') AND kind = 'transfer' AND points OPERATOR(loyalty.>) 0;
SELECT available, debt, lifetime FROM loyalty.balance('dan');

-- Points without a last day of their own, in a program where they lapse by inactivity
SELECT balance FROM loyalty.record('ian', 'purchase', 100, at => '2024-01-01 12:00Z', program => 'transfer_idle');
SELECT balance FROM loyalty.adjust('ian', 5, expires => '2990-01-01', at => '2024-01-01 12:00Z', program => 'transfer_idle');
SELECT loyalty.enroll('ida', at => '2023-01-01', program => 'transfer_idle') IS NOT NULL AS enrolled;
SELECT pg_temp.try($$SELECT loyalty.transfer('ian', 'ida', 6, at => '2024-04-01 12:00Z', program => 'transfer_idle')$$);
SELECT balance FROM loyalty.transfer('ian', 'ida', 5, at => '2024-04-01 12:00Z', program => 'transfer_idle');
-- it is no activity of either
SELECT balance FROM loyalty.transfer('ian', 'ivo', 40, at => '2024-04-01 12:00Z', program => 'transfer_idle');
SELECT ref, enrolled_at, last_activity, lifetime, purse, next_expiry FROM loyalty.member WHERE ref IN ('ian', 'ida', 'ivo') AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'transfer_idle') ORDER BY 1;
SELECT available FROM loyalty.balance('ian', at => '2024-04-02', program => 'transfer_idle');
SELECT next_expiry FROM loyalty.balance('ivo', at => '2024-04-02', program => 'transfer_idle');

-- In the past: what he had then and still has, and what had not lapsed then
SELECT balance FROM loyalty.adjust('old', 10, expires => '2024-01-31', at => '2024-01-01 12:00Z');
SELECT balance FROM loyalty.adjust('old', 100, expires => '2990-01-31', at => '2024-03-01 12:00Z');
SELECT at, pg_temp.try(format('SELECT loyalty.transfer(%L, %L, 6, at => %L)', 'old', 'own', at)) FROM unnest(ARRAY['2023-12-31 12:00Z', '2024-01-31 23:59:59.999999Z', '2024-02-01 00:00Z', '2024-03-01 12:00Z']::timestamptz[]) at;
SELECT balance FROM loyalty.adjust('odd', 10, expires => '2024-01-31', at => '2024-01-01 12:00Z');
SELECT balance FROM loyalty.transfer('odd', 'own', 6, at => '2024-01-31 23:59:59.999999Z');
SELECT pg_temp.try($$SELECT loyalty.transfer('odd', 'own', 4, at => '2024-02-01 00:00Z')$$);
SELECT at, available FROM unnest(ARRAY['2024-01-31 12:00Z', '2024-02-01 00:00Z', '2024-03-01 12:00Z']::timestamptz[]) at, loyalty.balance('own', at => at);
SELECT balance FROM loyalty.adjust('own', 1, expires => '2990-01-01', at => '2024-03-02 12:00Z');
SELECT seq, kind, points, lots, occurred_at FROM loyalty.entry WHERE member_id = loyalty.find_member('own') ORDER BY seq;

-- A key: the same call answers the same, and moves nothing
SELECT balance FROM loyalty.adjust('kim', 100, key => 'k1');
SELECT * FROM loyalty.transfer('kim', 'lou', 20, key => 'k1', reason => 'gift');
SELECT * FROM loyalty.transfer('kim', 'lou', 5, key => 'k2');
SELECT * FROM loyalty.transfer('kim', 'lou', 20.0, key => 'k1', reason => 'gift');
SELECT arguments, pg_temp.try(format('SELECT loyalty.transfer(%s)', arguments)) FROM unnest(ARRAY[
	$$'kim', 'lou', 21, key => 'k1', reason => 'gift'$$, $$'kim', 'ann', 20, key => 'k1', reason => 'gift'$$, $$'kim', 'lou', 20, key => 'k1'$$,
	$$'kim', 'lou', 20, key => 'k1', reason => 'gift', at => '2024-01-01'$$, $$'kim', 'liz', 5, key => 'k2'$$]) AS arguments;
SELECT count(*) AS strangers FROM loyalty.member WHERE ref = 'liz';
-- it is the giver's: the receiver may use it for what he gives
SELECT * FROM loyalty.transfer('lou', 'kim', 20, key => 'k1', reason => 'gift');
-- also when the program's terms have changed, and the points are gone
UPDATE loyalty.program SET transfer_enabled = false, transfer_minimum = 50 WHERE name = 'transfer_plain';
SELECT balance FROM loyalty.spend('kim', 95);
SELECT * FROM loyalty.transfer('kim', 'lou', 20, key => 'k1', reason => 'gift');
UPDATE loyalty.program SET transfer_enabled = true, transfer_minimum = NULL WHERE name = 'transfer_plain';
-- a failed attempt does not use up its key
SELECT pg_temp.try($$SELECT loyalty.transfer('kim', 'lou', 1, key => 'k4')$$);
SELECT balance FROM loyalty.adjust('kim', 1);
SELECT balance, repeated FROM loyalty.transfer('kim', 'lou', 1, key => 'k4');
-- a key like that of an entry that arrived is another one
SELECT balance FROM loyalty.transfer('lou', 'kim', 1, key => (SELECT source_key FROM loyalty.entry WHERE member_id = loyalty.find_member('lou') AND source_key ~ '^transfer from' LIMIT 1));

-- A role may transfer that may do nothing else
SET client_min_messages = warning; -- of an earlier run
DROP ROLE IF EXISTS regress_loyalty_till;
RESET client_min_messages;
CREATE ROLE regress_loyalty_till;
GRANT USAGE ON SCHEMA loyalty TO regress_loyalty_till;
SELECT balance FROM loyalty.adjust('tim', 100);
SET ROLE regress_loyalty_till;
SELECT pg_temp.try($$SELECT loyalty.transfer('tim', 'una', 1)$$);
CREATE TEMPORARY TABLE member (member_id bigint, ref text);
CREATE TEMPORARY TABLE entry (member_id bigint);
RESET ROLE;
SELECT loyalty.grant_access('regress_loyalty_till', 'operate');
UPDATE loyalty.program SET transfer_cap = 30 WHERE name = 'transfer_plain';
SET ROLE regress_loyalty_till;
SET search_path = pg_temp, pg_catalog;
SELECT balance FROM loyalty.transfer('tim', 'una', 10, key => 'k', reason => 'till');
SELECT balance, repeated FROM loyalty.transfer('tim', 'una', 10, key => 'k', reason => 'till');
SELECT balance FROM loyalty.transfer('tim', 'una', 20, at => now());
SELECT pg_temp.try($$SELECT loyalty.transfer('tim', 'una', 1)$$);
SELECT current_user;
RESET search_path;
SELECT pg_temp.try($$DELETE FROM loyalty.entry$$) AS entries;
RESET ROLE;
SELECT loyalty.revoke_access('regress_loyalty_till', 'operate');
DROP OWNED BY regress_loyalty_till CASCADE;
DROP ROLE regress_loyalty_till;

SELECT v.* FROM loyalty.program p, loyalty.verify(p.name) v WHERE p.name ~ '^transfer_';
SELECT loyalty.detach('transfer_order', program => p) FROM unnest('{transfer_plain,transfer_idle}'::text[]) p;
DROP TABLE transfer_order;
RESET loyalty.program;
