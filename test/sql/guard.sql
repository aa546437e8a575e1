--
-- guard: nobody but the engine writes the engine's tables
--
\set SHOW_CONTEXT never
\pset format unaligned
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_loyalty_guard; -- of an earlier run
RESET client_min_messages;
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
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(detail, ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name) VALUES ('guard');
INSERT INTO loyalty.rule (program, name, award) VALUES ('guard', 'base', '1 per 1');
INSERT INTO loyalty.reward (program, name, cost, kind) VALUES ('guard', 'mug', '10', 'product');
SET loyalty.program = 'guard';
SELECT loyalty.enroll('ann') IS NOT NULL AS enrolled, balance FROM loyalty.adjust('ann', 100);

-- Of every table, whoever asks
CREATE TEMPORARY TABLE guarded AS
	SELECT c.oid::regclass AS name,
		(SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1) AS first
	FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgfoid = 'loyalty.engine_guard'::regproc
	WHERE c.relnamespace = 'loyalty'::regnamespace;
SELECT left(pg_temp.try(format('UPDATE %s SET %I = %2$I WHERE false', name, first)), 5) AS update,
	left(pg_temp.try(format('DELETE FROM %s WHERE false', name)), 5) AS delete,
	left(pg_temp.try(format('TRUNCATE %s', name)), 5) AS truncate,
	left(pg_temp.try(format('MERGE INTO %s t USING (SELECT 1) s ON false WHEN MATCHED THEN DELETE', name)), 5) AS merge,
	left(pg_temp.try(format('INSERT INTO %s OVERRIDING SYSTEM VALUE SELECT * FROM %1$s WHERE false', name)), 8) AS insert,
	count(*) > 6 AS many, bool_or(name IN ('loyalty.entry'::regclass, 'loyalty.member'::regclass)) AS ledger
FROM guarded GROUP BY 1, 2, 3, 4, 5 ORDER BY 1;
SELECT pg_temp.try(command) FROM unnest(ARRAY[$$UPDATE loyalty.member SET lifetime = 0$$, $$DELETE FROM loyalty.purchase$$, $$WITH gone AS (DELETE FROM loyalty.entry RETURNING *) SELECT * FROM gone$$,
	$$INSERT INTO loyalty.member SELECT * FROM loyalty.member ON CONFLICT (member_id) DO UPDATE SET lifetime = 0$$]) AS command;

-- also those who were granted everything; they may not even insert
CREATE ROLE regress_loyalty_guard;
GRANT USAGE ON SCHEMA loyalty TO regress_loyalty_guard;
GRANT ALL ON ALL TABLES IN SCHEMA loyalty TO regress_loyalty_guard;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA loyalty TO regress_loyalty_guard;
GRANT SELECT ON guarded TO regress_loyalty_guard;
SET ROLE regress_loyalty_guard;
SELECT DISTINCT left(pg_temp.try(format('UPDATE %s SET %I = %2$I WHERE false', name, first)), 5) AS update,
	left(pg_temp.try(format('DELETE FROM %s WHERE false', name)), 5) AS delete,
	left(pg_temp.try(format('INSERT INTO %s OVERRIDING SYSTEM VALUE SELECT * FROM %1$s WHERE false', name)), 5) AS insert
FROM guarded ORDER BY 1;
SELECT pg_temp.try($$INSERT INTO loyalty.entry DEFAULT VALUES$$);
SELECT pg_temp.try($$UPDATE loyalty.member SET status = status$$);
RESET ROLE;
-- nor who owns the table
BEGIN;
ALTER TABLE loyalty.hold OWNER TO regress_loyalty_guard;
SET LOCAL ROLE regress_loyalty_guard;
SELECT left(pg_temp.try($$INSERT INTO loyalty.hold SELECT * FROM loyalty.hold$$), 5) AS insert, left(pg_temp.try($$DELETE FROM loyalty.hold$$), 5) AS delete;
COPY loyalty.hold FROM stdin;
\.
ROLLBACK;

-- What is reached from the engine is not the engine: a trigger that somebody puts on one of its tables,
CREATE FUNCTION pg_temp.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% on %: %', TG_OP, TG_TABLE_NAME, split_part(pg_temp.try('UPDATE loyalty.member SET lifetime = 0'), E'\n', 1);
	RETURN NEW;
END $$;
BEGIN;
CREATE TRIGGER meddle BEFORE INSERT ON loyalty.redemption FOR EACH ROW EXECUTE FUNCTION pg_temp.meddle();
SELECT points FROM loyalty.redeem('ann', 'mug');
ROLLBACK;
-- or on the shop's,
CREATE TABLE guard_order (id int PRIMARY KEY, customer text, total numeric);
CREATE TRIGGER a_meddle BEFORE INSERT ON guard_order FOR EACH ROW EXECUTE FUNCTION pg_temp.meddle();
SELECT loyalty.attach('guard_order', member => 'customer', amount => 'total') > 0 AS attached;
CREATE TRIGGER z_meddle AFTER INSERT ON guard_order FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.meddle();
INSERT INTO guard_order VALUES (1, 'ann', 5);
-- or a function that reads for a source
CREATE FUNCTION guard_meddle(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'reading: %', split_part(pg_temp.try('UPDATE loyalty.member SET lifetime = 0'), E'\n', 1);
	RETURN $1;
END $$;
CREATE FUNCTION guard_calm(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.guard_meddle($1); END';
SELECT loyalty.detach('guard_order');
SELECT loyalty.attach('guard_order', member => 'public.guard_calm(customer)', amount => 'total') > 0 AS attached;
INSERT INTO guard_order VALUES (2, 'ann', 6);
SELECT count(*) FROM loyalty.verify('guard');
-- What an error left of the engine's work is over with it.
CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
BEGIN;
CREATE TRIGGER fail BEFORE INSERT ON loyalty.redemption FOR EACH ROW EXECUTE FUNCTION pg_temp.fail();
SELECT pg_temp.try($$SELECT loyalty.redeem('ann', 'mug')$$), left(pg_temp.try('UPDATE loyalty.member SET lifetime = 0'), 5) AS after;
SAVEPOINT s;
SELECT loyalty.redeem('ann', 'mug');
ROLLBACK TO s;
SELECT left(pg_temp.try('UPDATE loyalty.member SET lifetime = 0'), 5) AS after;
SELECT loyalty.redeem('ann', 'mug');
ROLLBACK;
SELECT left(pg_temp.try('UPDATE loyalty.member SET lifetime = 0'), 5) AS after;

-- The owner inserts, as a restore does; a repair is a replica's
BEGIN;
INSERT INTO loyalty.member_alias SELECT program_id, 'anne', loyalty.find_member('ann') FROM loyalty.program WHERE name = 'guard';
SET LOCAL session_replication_role = replica;
UPDATE loyalty.member SET lifetime = 0 WHERE member_id = loyalty.find_member('ann');
DELETE FROM loyalty.entry WHERE member_id = loyalty.find_member('ann');
ROLLBACK;
-- The guard guards statements only
CREATE TABLE guard_other (id int);
CREATE TRIGGER guard AFTER DELETE ON guard_other FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
SELECT pg_temp.try('DELETE FROM guard_other'), pg_temp.try('SELECT loyalty.engine_guard()');

SELECT * FROM loyalty.verify('guard');
SELECT loyalty.detach('guard_order');
DROP TABLE guard_order, guard_other;
DROP FUNCTION guard_meddle, guard_calm;
DROP OWNED BY regress_loyalty_guard CASCADE;
DROP ROLE regress_loyalty_guard;
