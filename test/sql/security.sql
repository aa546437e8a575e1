--
-- security: nothing is for everybody, and nobody borrows the engine's rights
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
SET client_min_messages = warning; -- roles of an earlier run
DROP ROLE IF EXISTS regress_loyalty_shop;
RESET client_min_messages;
CREATE ROLE regress_loyalty_shop;
INSERT INTO loyalty.program (name) VALUES ('security_a');
INSERT INTO loyalty.rule (program, name, award) VALUES ('security_a', 'base', '1 per 1');

-- What PUBLIC may do: nothing but compute
SELECT 'relation' AS kind, c.oid::regclass::text AS object FROM pg_catalog.pg_class c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
	WHERE c.relnamespace = 'loyalty'::regnamespace AND c.relkind IN ('r', 'v', 'S', 'm', 'f', 'p') AND a.grantee = 0
UNION ALL SELECT 'routine', p.oid::regprocedure::text FROM pg_catalog.pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.pronamespace = 'loyalty'::regnamespace AND a.grantee = 0 AND p.provolatile <> 'i'
UNION ALL SELECT 'schema', nspname FROM pg_catalog.pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname = 'loyalty' AND a.grantee = 0;
-- Nothing runs with the owner's rights
SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'loyalty'::regnamespace AND p.prosecdef;

-- A role with no rights at all on the extension sees and does nothing
SET ROLE regress_loyalty_shop;
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$SELECT * FROM loyalty.member$$, $$SELECT * FROM loyalty.liability$$, $$INSERT INTO loyalty.rule (program, name, award) VALUES ('security_a', 'mine', '1000000')$$,
	$$SELECT loyalty.balance('ann', program => 'security_a')$$, $$SELECT loyalty.adjust('ann', 1000000, program => 'security_a')$$, $$SELECT loyalty.enroll('ann', program => 'security_a')$$,
	$$CALL loyalty.maintain()$$, $$SELECT '1'::loyalty.points$$]) AS command;
RESET ROLE;
-- with the schema in sight it is still nothing
GRANT USAGE ON SCHEMA loyalty TO regress_loyalty_shop;
SET ROLE regress_loyalty_shop;
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$SELECT * FROM loyalty.member$$, $$SELECT * FROM loyalty.entry$$, $$SELECT * FROM loyalty.profile$$, $$SELECT * FROM loyalty.liability$$,
	$$INSERT INTO loyalty.rule (program, name, award) VALUES ('security_a', 'mine', '1000000')$$, $$UPDATE loyalty.member SET purse = '{1000000@infinity}'$$,
	$$SELECT loyalty.balance('ann', program => 'security_a')$$, $$SELECT loyalty.adjust('ann', 1000000, program => 'security_a')$$, $$SELECT loyalty.enroll('ann', program => 'security_a')$$,
	$$SELECT * FROM loyalty.statement('ann', program => 'security_a')$$, $$CALL loyalty.maintain()$$, $$TRUNCATE loyalty.entry$$]) AS command;
RESET ROLE;
REVOKE USAGE ON SCHEMA loyalty FROM regress_loyalty_shop;

-- Yet its orders earn: the trigger needs no rights of the role
CREATE SCHEMA security_shop AUTHORIZATION regress_loyalty_shop;
SET ROLE regress_loyalty_shop;
CREATE TABLE security_shop.orders (id int PRIMARY KEY, customer text, total numeric);
RESET ROLE;
SELECT loyalty.attach('security_shop.orders', member => 'customer', amount => 'total', program => 'security_a') > 0 AS attached;
SET ROLE regress_loyalty_shop;
INSERT INTO security_shop.orders VALUES (1, 'ann', 10), (2, 'ben', 20);
UPDATE security_shop.orders SET total = 15 WHERE id = 1;
DELETE FROM security_shop.orders WHERE id = 2;
SELECT current_user;
RESET ROLE;
SELECT b.available FROM unnest(ARRAY['ann', 'ben']) m, loyalty.balance(m, program => 'security_a') b;

-- Tables, functions and operators of the same names in front of the real ones change nothing, and never run with other rights
CREATE SCHEMA security_trap AUTHORIZATION regress_loyalty_shop;
SET ROLE regress_loyalty_shop;
CREATE TABLE security_trap.member (LIKE security_shop.orders);
CREATE TEMPORARY TABLE member (member_id bigint, ref text);
CREATE TEMPORARY TABLE entry (member_id bigint);
CREATE FUNCTION security_trap.eq(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE FUNCTION security_trap.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE FUNCTION security_trap.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE FUNCTION security_trap.lower(anyrange) RETURNS anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE OPERATOR security_trap.= (LEFTARG = int, RIGHTARG = int, FUNCTION = security_trap.eq);
CREATE OPERATOR security_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = security_trap.eq);
RESET ROLE;
UPDATE loyalty.program SET name = name WHERE name = 'security_a'; -- so that everything is read again
SET ROLE regress_loyalty_shop;
SET search_path = security_trap, pg_temp, pg_catalog;
INSERT INTO security_shop.orders VALUES (3, 'cid', 30), (4, 'ann', 1);
UPDATE security_shop.orders SET total = 31 WHERE id OPERATOR(pg_catalog.=) 3;
RESET search_path;
RESET ROLE;
SELECT b.available FROM unnest(ARRAY['ann', 'ben', 'cid']) m, loyalty.balance(m, program => 'security_a') b;
-- the same for a session that acts and reads
UPDATE loyalty.program SET name = name WHERE name = 'security_a';
SET search_path = security_trap, pg_temp, pg_catalog;
SELECT points, balance FROM loyalty.adjust('dan', 5, program => 'security_a');
SELECT available FROM loyalty.balance('dan', program => 'security_a');
SELECT entry, points, rule FROM loyalty.statement('cid', program => 'security_a');
SELECT loyalty.enroll('eve', profile => '{"birthday": "2000-01-01", "segments": ["a"]}', program => 'security_a') IS NOT NULL AS enrolled;
SELECT loyalty.set_member('eve', status => 'closed', segments => '{b}', program => 'security_a');
RESET search_path;
SELECT loyalty.detach('security_shop.orders', program => 'security_a');
DROP TABLE pg_temp.member, pg_temp.entry;
DROP OWNED BY regress_loyalty_shop CASCADE;
DROP ROLE regress_loyalty_shop;
