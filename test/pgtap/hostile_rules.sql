-- What a manager, who may write rules and functions but nothing else, can make
-- the sessions do that judge purchases by his rules.
\set QUIET on
SET client_min_messages = error;
SELECT plan(146);

CREATE ROLE loyalty_test_manager;
CREATE ROLE loyalty_test_colleague;
CREATE ROLE loyalty_test_clerk;
CREATE SCHEMA crm AUTHORIZATION loyalty_test_manager;
CREATE SCHEMA hr AUTHORIZATION loyalty_test_colleague;
CREATE TABLE secret (t text);

INSERT INTO loyalty.program (name) VALUES ('shop');
INSERT INTO loyalty.rule (program, name, award) VALUES ('shop', 'base', '1 per 1');
SELECT loyalty.grant_access('loyalty_test_manager', 'manage'), loyalty.grant_access('loyalty_test_colleague', 'manage') \g /dev/null
CREATE TABLE orders (id int PRIMARY KEY, c text, t numeric, at timestamptz, item text);
SELECT loyalty.attach('orders', member => 'c', amount => 't', at => 'at', item => 'item') \g /dev/null
GRANT SELECT, INSERT, UPDATE ON orders TO loyalty_test_clerk, loyalty_test_manager;

-- Every order is of a later day than those before it, all of them in the future.
CREATE SEQUENCE order_id;
CREATE FUNCTION outcome(number int) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT coalesce((SELECT error_code FROM loyalty.deferred WHERE source_key = number::text),
					(SELECT sum(points)::numeric::text FROM loyalty.entry WHERE source_key = number::text), 'nothing') $$;
CREATE FUNCTION sell(amount numeric DEFAULT 10, item text DEFAULT 'tea') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	number int := nextval('public.order_id');
BEGIN
	INSERT INTO public.orders VALUES (number, 'ada', amount, timestamptz '2100-01-01' + number * interval '1 day', item);
	RETURN public.outcome(number);
EXCEPTION WHEN others THEN
	RETURN 'the till stops: ' || sqlstate || ' ' || sqlerrm;
END $$;
GRANT USAGE ON SEQUENCE order_id TO loyalty_test_clerk;
-- All that a session can see of itself.
CREATE FUNCTION session_state() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', current_user, session_user, (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings),
		(SELECT count(*) FROM pg_class WHERE relpersistence = 't'), (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors WHERE is_holdable)) $$;
-- A rule takes the place of the one before it of the same name, as of now.
CREATE FUNCTION end_rule(which text) RETURNS void LANGUAGE sql AS $$
	UPDATE loyalty.rule SET active = tstzrange(NULL, now()), name = name || rule_id WHERE name = which $$;

--
-- Whatever he has his function do, it is done with his rights, and leaves nothing behind.
--
SET ROLE loyalty_test_manager;
CREATE FUNCTION crm.run(command text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE command; END';
CREATE FUNCTION crm.try(command text) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM crm.run(command); RETURN 7; END';
RESET ROLE;

CREATE TABLE attempt (n int GENERATED ALWAYS AS IDENTITY, command text, answer text);
INSERT INTO attempt (answer, command) VALUES
	('25006', 'CREATE ROLE loyalty_test_evil'),
	('25006', 'ALTER ROLE loyalty_test_manager SUPERUSER'),
	('42501', 'SELECT * FROM public.secret'),
	('42501', 'SET ROLE postgres'),
	('42501', 'RESET ROLE'),
	('42501', 'SET SESSION AUTHORIZATION postgres'),
	('42501', 'RESET SESSION AUTHORIZATION'),
	('42501', $$SELECT set_config('role', 'postgres', false)$$),
	('42501', $$SELECT set_config('session_replication_role', 'replica', false)$$),
	('17', $$SELECT set_config('search_path', 'crm', false)$$),
	('17', $$SELECT set_config('loyalty.program', 'other', false)$$),
	('17', $$SELECT set_config('statement_timeout', '1ms', true)$$),
	('17', 'RESET ALL'),
	('42501', 'DISCARD ALL'),
	('25001', $$SELECT set_config('transaction_read_only', 'off', false)$$),
	('25001', 'SET TRANSACTION READ WRITE'),
	('25006', 'CREATE TEMP TABLE entry (i int)'),
	('25006', 'CREATE TEMP VIEW entry AS SELECT 1'),
	('25006', 'CREATE FUNCTION crm.abs(numeric) RETURNS numeric LANGUAGE sql RETURN 1'),
	('42501', $$COPY (SELECT 1) TO PROGRAM 'true'$$),
	('42501', 'SELECT * FROM loyalty.import_failure'),
	('25006', 'INSERT INTO loyalty.entry SELECT * FROM loyalty.entry'),
	('25006', 'DELETE FROM loyalty.member'),
	('25006', 'UPDATE loyalty.rule SET name = name'),
	('25006', $$INSERT INTO public.orders VALUES (1000000, 'eve', 5, now())$$),
	('42501', $$SELECT loyalty.adjust('ada', 1000000)$$),
	('0A000', 'COMMIT'),
	('42501', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'),
	('42501', 'PREPARE p AS SELECT 1'),
	('42501', 'LISTEN x'),
	('42501', $$LOAD 'auto_explain'$$),
	('25001', 'VACUUM'),
	('22012', 'SELECT 1 / 0'),
	('P0001', $$DO 'BEGIN RAISE ''no''; END'$$),
	('SHOP1', $$DO 'BEGIN RAISE ''closed'' USING ERRCODE = ''SHOP1''; END'$$),
	('54001', $$SELECT crm.deep()$$),
	('20000', $$DO 'BEGIN CASE 1 WHEN 2 THEN NULL; END CASE; END'$$),
	('42P01', 'TABLE nothing'),
	('17', $$SELECT crm.try('SELECT 1')$$);
SET ROLE loyalty_test_manager;
CREATE FUNCTION crm.deep() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN crm.deep(); END';
RESET ROLE;

-- written by him, judged in a superuser's session
CREATE FUNCTION try_rule(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text;
	answer text;
BEGIN
	SET LOCAL ROLE loyalty_test_manager;
	INSERT INTO loyalty.rule (program, name, award_points) VALUES ('shop', 'evil', format('crm.try(%L || left(item, 0))', command));
	RESET ROLE;
	before := public.session_state();
	answer := public.sell();
	IF public.session_state() <> before THEN
		answer := 'changed the session: ' || public.session_state();
	END IF;
	PERFORM public.end_rule('evil');
	RETURN answer;
END $$;
SELECT is(try_rule(command), answer, 'judging: ' || command) FROM attempt ORDER BY n;
-- what needs no fact is worked out at once, in the session that writes the rule
CREATE FUNCTION try_write(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := public.session_state();
	answer text := '17';
BEGIN
	BEGIN
		INSERT INTO loyalty.rule (program, name, award_points, owner) VALUES ('shop', 'evil', format('crm.try(%L)', command), 'loyalty_test_manager');
	EXCEPTION WHEN others THEN
		answer := sqlstate;
	END;
	IF public.session_state() <> before THEN
		answer := 'changed the session: ' || public.session_state();
	END IF;
	PERFORM public.end_rule('evil');
	RETURN answer;
END $$;
SELECT is(try_write(command), answer, 'writing: ' || command) FROM attempt ORDER BY n;
SELECT is((SELECT count(*) FROM pg_roles WHERE rolname = 'loyalty_test_evil' OR (rolname = 'loyalty_test_manager' AND rolsuper)), 0::bigint, 'nobody rose');
DELETE FROM orders;
CALL loyalty.maintain();

--
-- On every path his functions, and all that leads to one, run as himself.
--
SET ROLE loyalty_test_manager;
CREATE FUNCTION crm.me(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_user <> 'loyalty_test_manager' OR current_setting('search_path') <> 'pg_catalog, pg_temp' THEN
		RAISE 'runs as % under %', current_user, current_setting('search_path');
	END IF;
	RETURN true;
END $$;
CREATE FUNCTION crm.me_inlined(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT crm.me($1) $$;
CREATE FUNCTION crm.me_named(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT current_user = 'loyalty_test_manager' $$;
CREATE DOMAIN crm.mine AS text CHECK (crm.me(value));
CREATE FUNCTION crm.equal(text, numeric) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN crm.me($1); END';
CREATE OPERATOR crm.=== (LEFTARG = text, RIGHTARG = numeric, FUNCTION = crm.equal);
CREATE TYPE crm.pair AS (a text, b numeric);
CREATE FUNCTION crm.pair_to_boolean(crm.pair) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN crm.me($1.a); END';
CREATE CAST (crm.pair AS boolean) WITH FUNCTION crm.pair_to_boolean AS IMPLICIT;
INSERT INTO loyalty.rule (program, name, award, condition) VALUES
	('shop', 'function', '1', 'crm.me(item)'),
	('shop', 'inlined', '1', 'crm.me_inlined(item)'),
	('shop', 'named', '1', 'crm.me_named(item)'),
	('shop', 'domain', '1', 'item::crm.mine IS NOT NULL'),
	('shop', 'domains', '1', 'cardinality(ARRAY[item]::crm.mine[]) = 1'),
	('shop', 'operator', '1', 'item OPERATOR(crm.===) amount'),
	('shop', 'cast', '1', 'ROW(item, amount)::crm.pair'),
	('shop', 'constant', '1', $$'x'::crm.mine = 'x' AND crm.me(1)$$);
INSERT INTO loyalty.rule (program, name, award_points) VALUES ('shop', 'points', 'CASE WHEN crm.me(amount) THEN 1 END');
RESET ROLE;
SELECT is(sell(), '19', 'in a superuser''s INSERT');
SET ROLE loyalty_test_clerk;
SELECT is(public.sell(), '19', 'in a clerk''s');
RESET ROLE;
SET search_path = crm, public;
SELECT is(public.sell(), '19', 'under his search_path');
RESET search_path;
\copy orders from stdin
1000	ada	10	2200-01-01	tea
1001	bob	10	2200-01-01	tea
\.
SELECT is(outcome(1000) || outcome(1001), '1919', 'in a COPY');
UPDATE orders SET t = 20 WHERE id = 1000;
SELECT is(outcome(1000), '29', 'in an UPDATE');
CREATE TABLE old_orders (LIKE orders);
ALTER TABLE old_orders ADD PRIMARY KEY (id);
INSERT INTO old_orders SELECT 2000 + g, 'ada', 10, '2200-01-01', 'tea' FROM generate_series(1, 3) g;
SELECT loyalty.attach('old_orders', member => 'c', amount => 't', at => 'at', item => 'item') \g /dev/null
CALL loyalty.backfill('old_orders', 2);
CALL loyalty.backfill('orders');
SELECT is(outcome(2001) || outcome(2002) || outcome(2003), '191919', 'in a backfill');
CREATE TEMP TABLE state AS SELECT session_state() AS before;
SELECT is_empty('SELECT * FROM loyalty.verify()', 'in verify');
SELECT is((SELECT session_state() = before FROM state), true, 'which leaves the session as it was');
SELECT is_empty('SELECT * FROM loyalty.import_failure', 'and nothing was deferred');

--
-- Functions that change
--
SET ROLE loyalty_test_manager;
CREATE OR REPLACE FUNCTION crm.me(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'out of order'; END $$;
RESET ROLE;
SELECT is(sell(), 'P0001', 'a function that raises defers the purchase, the order stands');
SELECT is((SELECT message FROM loyalty.deferred), 'out of order', 'with what it said');
SET ROLE loyalty_test_manager;
CREATE OR REPLACE FUNCTION crm.me(anyelement) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN current_user = 'loyalty_test_manager'; END $$;
RESET ROLE;
SELECT is(sell(), '42P17', 'one that is not immutable any more');
SET ROLE loyalty_test_manager;
CREATE OR REPLACE FUNCTION crm.me(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN current_user = 'loyalty_test_manager'; END $$;
RESET ROLE;
CALL loyalty.maintain();
SELECT is(outcome(currval('order_id')::int) || outcome(currval('order_id')::int - 1), '1919', 'maintain tries them again, as himself');
SELECT is_empty('SELECT * FROM loyalty.import_failure', 'and is done with them');
ALTER DOMAIN crm.mine ADD CHECK (value <> 'beer');
SELECT is(sell(item => 'beer'), '23514', 'a domain has its constraints of now');
ALTER DOMAIN crm.mine DROP CONSTRAINT mine_check1;
SELECT is(sell(item => 'beer'), '19', 'and those alone');
ALTER OPERATOR crm.=== (text, numeric) SET SCHEMA hr;
SELECT is(sell(), '42883', 'an operator that is gone');
ALTER OPERATOR hr.=== (text, numeric) SET SCHEMA crm;
DROP CAST (crm.pair AS boolean);
SELECT is(sell(), '42804', 'a cast that is gone');
CREATE CAST (crm.pair AS boolean) WITH FUNCTION crm.pair_to_boolean AS IMPLICIT;
ALTER SCHEMA crm RENAME TO crm2;
SELECT is(sell(), '3F000', 'a schema that is gone');
ALTER SCHEMA crm2 RENAME TO crm;
ALTER TYPE crm.mine RENAME TO yours;
SELECT is(sell(), '42704', 'a type that is gone');
ALTER DOMAIN crm.yours RENAME TO mine;
CALL loyalty.maintain();
SELECT is(sell() || (SELECT count(*) FROM loyalty.deferred), '190', 'all of them put back');

-- An answer that changes is his own lie; verify finds it.
SELECT end_rule(name) FROM loyalty.rule WHERE owner = 'loyalty_test_manager' AND name !~ '[0-9]' \g /dev/null
SET ROLE loyalty_test_manager;
CREATE FUNCTION crm.lie(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('shop', 'lie', '5', 'crm.lie(item)');
RESET ROLE;
SELECT is(sell(), '15', 'an answer');
CREATE OR REPLACE FUNCTION crm.lie(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
SELECT is((SELECT string_agg(DISTINCT invariant, ',') FROM loyalty.verify()), 'I4', 'another one later is found by verify');
CREATE OR REPLACE FUNCTION crm.lie(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
SELECT is_empty('SELECT * FROM loyalty.verify()', 'the first again');

-- A function that asks for the judgement that it is part of
GRANT EXECUTE ON FUNCTION loyalty.verify TO loyalty_test_manager;
CREATE OR REPLACE FUNCTION crm.lie(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RETURN (SELECT count(problem) >= 0 FROM loyalty.verify()); END $$;
SELECT is(sell(), '15', 'judging within judging is refused, not confused');
REVOKE EXECUTE ON FUNCTION loyalty.verify FROM loyalty_test_manager;
SELECT is(sell(), '42501', 'and needs the right to');
CREATE OR REPLACE FUNCTION crm.lie(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';

-- Where the shop lets orders fail, nothing of him stays either.
CREATE TABLE strict_orders (LIKE orders);
ALTER TABLE strict_orders ADD PRIMARY KEY (id);
SELECT loyalty.attach('strict_orders', member => 'c', amount => 't', at => 'at', item => 'item', on_error => 'fail') \g /dev/null
CREATE OR REPLACE FUNCTION crm.lie(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM set_config('loyalty.program', 'x', false); RETURN 1 / length(replace($1, 'beer', '')) >= 0; END $$;
BEGIN;
SAVEPOINT s;
SELECT throws_ok($$INSERT INTO strict_orders VALUES (3000, 'ada', 10, '2200-01-01', 'beer')$$, '22012', NULL, 'an order that fails');
ROLLBACK TO s;
SELECT is(current_user || current_setting('transaction_read_only') || coalesce(current_setting('loyalty.program'), ''), session_user || 'off', 'leaves the transaction as it was');
SELECT lives_ok($$INSERT INTO strict_orders VALUES (3000, 'ada', 10, '2200-01-01', 'tea')$$, 'for the next one');
COMMIT;
SELECT is(outcome(3000), '15', 'which earns');
CREATE OR REPLACE FUNCTION crm.lie(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';

--
-- Rights that he does not have, or not any more
--
SET ROLE loyalty_test_colleague;
CREATE FUNCTION hr.worth(numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
REVOKE EXECUTE ON FUNCTION hr.worth FROM PUBLIC;
RESET ROLE;
SET ROLE loyalty_test_manager;
SELECT throws_ok($$INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('shop', 'hr', '5', 'hr.worth(amount) > 5')$$, '42501',
	'permission denied for schema hr', 'a schema that he may not use');
RESET ROLE;
GRANT USAGE ON SCHEMA hr TO loyalty_test_manager;
SET ROLE loyalty_test_manager;
SELECT throws_ok($$INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('shop', 'hr', '5', 'hr.worth(amount) > 5')$$, '42501',
	'permission denied for function worth', 'a function that he may not run');
RESET ROLE;
SELECT throws_ok($$INSERT INTO loyalty.rule (program, name, award, condition, owner) VALUES ('shop', 'hr', '5', 'hr.worth(amount) > 5', 'loyalty_test_manager')$$, '42501',
	'permission denied for function worth', 'nor may a superuser have him run it');
GRANT EXECUTE ON FUNCTION hr.worth TO loyalty_test_manager;
SET ROLE loyalty_test_manager;
SELECT lives_ok($$INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('shop', 'hr', '5', 'hr.worth(amount) > 5')$$, 'once he may');
RESET ROLE;
SELECT is(sell(), '20', 'it earns');
REVOKE EXECUTE ON FUNCTION hr.worth FROM loyalty_test_manager;
SELECT is(sell(), '42501', 'revoked, the purchase waits');
GRANT EXECUTE ON FUNCTION hr.worth TO loyalty_test_manager;
CALL loyalty.maintain();
SELECT is(outcome(currval('order_id')::int), '20', 'and earns when it is granted again');

SET ROLE loyalty_test_manager;
SELECT throws_ok($$INSERT INTO loyalty.rule (program, name, award, owner) VALUES ('shop', 'x', '5', 'postgres')$$, '42501',
	'must be member of role "postgres" to write its rules', 'a rule of somebody else');
SELECT throws_ok($$INSERT INTO loyalty.rule (program, name, award, owner) VALUES ('shop', 'x', '5', 'nobody at all')$$, '42704', NULL, 'a rule of nobody');
SELECT throws_ok($$UPDATE loyalty.rule SET owner = 'loyalty_test_colleague' WHERE name = 'hr'$$, '42501',
	'must be member of role "loyalty_test_colleague" to write its rules', 'his rule given away');
SELECT throws_ok($$UPDATE loyalty.rule SET owner = current_user WHERE name = 'base'$$, '42501', NULL, 'somebody''s rule taken');
SET check_function_bodies = off;
SELECT throws_ok($$UPDATE loyalty.rule SET owner = 'nobody at all' WHERE name = 'hr'$$, '42704', NULL, 'given to nobody, as in a restore');
SELECT throws_ok($$INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('shop', 'x', '5', 'crm.nothing(item)')$$, '42883', NULL, 'he is checked as ever');
RESET check_function_bodies;
RESET ROLE;
SET ROLE loyalty_test_colleague;
SELECT throws_ok($$SELECT loyalty.revise_rule('hr', '{"condition": "true"}')$$, '42501',
	'must be member of role "loyalty_test_manager" to write its rules', 'a rule of his revised by a colleague');
SELECT lives_ok($$UPDATE loyalty.rule SET active = tstzrange(NULL, '2999-01-01') WHERE name = 'hr'$$, 'who may end it');
RESET ROLE;
GRANT loyalty_test_colleague TO loyalty_test_manager;
SET ROLE loyalty_test_manager;
SELECT lives_ok($$UPDATE loyalty.rule SET owner = 'loyalty_test_colleague' WHERE name = 'hr'$$, 'given to a role that he is member of');
SELECT throws_ok($$UPDATE loyalty.rule SET owner = 'loyalty_test_colleague' WHERE name = 'lie'$$, '42501', 'permission denied for schema crm', 'who must be able to run it');
RESET ROLE;
REVOKE loyalty_test_colleague FROM loyalty_test_manager;
SELECT is(sell(), '20', 'it earns as his');
SET ROLE loyalty_test_manager;
SELECT throws_ok($$UPDATE loyalty.rule SET owner = current_user WHERE name = 'hr'$$, '42501', NULL, 'and is not to be had back');
RESET ROLE;

-- A role that is gone
ALTER FUNCTION hr.worth OWNER TO loyalty_test_manager;
ALTER SCHEMA hr OWNER TO loyalty_test_manager;
SELECT loyalty.revoke_access('loyalty_test_colleague', 'manage') \g /dev/null
DROP OWNED BY loyalty_test_colleague;
DROP ROLE loyalty_test_colleague;
SELECT is(sell(), '42704', 'the owner dropped, the purchase waits');
SELECT is((SELECT hint FROM loyalty.deferred), 'Set loyalty.rule.owner.', 'and says what to do');
SET ROLE loyalty_test_manager;
SELECT throws_ok($$UPDATE loyalty.rule SET owner = current_user WHERE name = 'hr'$$, '42704', NULL, 'not by everybody');
RESET ROLE;
UPDATE loyalty.rule SET owner = 'loyalty_test_manager' WHERE name = 'hr';
CALL loyalty.maintain();
SELECT is(outcome(currval('order_id')::int), '20', 'another owner');

--
-- What belongs to a session
--
CREATE DOMAIN pg_temp.trap AS text CHECK (value <> 'x');
CREATE FUNCTION pg_temp.trap(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION pg_temp.refused(condition text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('shop', 'temporary', '5', condition);
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	RETURN sqlerrm;
END $$;
SELECT is(pg_temp.refused(condition), 'temporary objects cannot be used in a rule', condition)
FROM (VALUES ($$'a'::trap = item$$), ($$'{a}'::pg_temp.trap[] = '{}'$$), ($$CAST(item AS pg_temp.trap) = 'a'$$), ($$pg_temp.trap(item)$$),
	($$item OPERATOR(pg_temp.=) 'a'$$), ($$item COLLATE pg_temp.x = 'a'$$)) AS v (condition);
SET check_function_bodies = off;
SELECT is(pg_temp.refused($$'a'::pg_temp.trap = item$$), 'accepted', 'a restore is taken at its word');
RESET check_function_bodies;
SELECT is(sell(), '42P17', 'until purchases are judged');
SELECT end_rule('temporary') \g /dev/null
CALL loyalty.maintain();

-- What a session has set
INSERT INTO loyalty.rule (program, name, award, condition) VALUES
	('shop', 'literals', '100', $$at > '02/03/2100' AND length('a\b') = 3 AND at - '2100-02-03' > '0 1:00'$$),
	('shop', 'texts', '200', $$(amount::float8 / 3)::text = '3.3333333333333335' AND decode(left(item, 0) || '74', 'hex')::text = '\x74'$$),
	('shop', 'nulls', '400', $$(item = NULL) IS NULL AND '{NULL}'::text[] <> '{"NULL"}'$$);
SELECT is(sell(), '720', 'as it is');
SET datestyle = 'SQL, DMY';
SET intervalstyle = iso_8601;
SET extra_float_digits = -5;
SET bytea_output = escape;
SET standard_conforming_strings = off;
SET transform_null_equals = on;
SET array_nulls = off;
SELECT is(sell(), '720', 'under other settings');
UPDATE loyalty.rule SET name = name WHERE name = 'nulls';
SELECT is(sell(), '720', 'also when it is read anew');
SELECT is_empty('SELECT * FROM loyalty.import_failure', 'none waits');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'all is sound');
RESET ALL;
SET client_min_messages = error;
SELECT is_empty('SELECT * FROM loyalty.verify()', 'under whatever settings');

DROP TABLE orders, old_orders, strict_orders;
DROP SCHEMA crm, hr CASCADE;
SELECT loyalty.revoke_access('loyalty_test_manager', 'manage') \g /dev/null
DROP OWNED BY loyalty_test_manager, loyalty_test_clerk;
DROP ROLE loyalty_test_manager, loyalty_test_clerk;
SELECT * FROM finish();
