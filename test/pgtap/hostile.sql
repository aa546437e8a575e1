-- Things that a shop, its users and its tables may do to the engine.
\set QUIET on
SET client_min_messages = error;
SELECT plan(26);

INSERT INTO loyalty.program (name) VALUES ('shop');
INSERT INTO loyalty.rule (program, name, award) VALUES ('shop', 'base', '1 per 1');
CREATE FUNCTION pg_temp.available(member text) RETURNS numeric LANGUAGE sql AS
	$$ SELECT available::numeric FROM loyalty.balance(member) $$;

-- A backfill whose list does not fit into work_mem, in several batches.
CREATE TABLE big (id int PRIMARY KEY, c int, t numeric, at timestamptz);
INSERT INTO big SELECT g, g % 50, 10, timestamptz '2024-01-01' + g * interval '1 min' FROM generate_series(1, 6000) g;
SELECT loyalty.attach('big', member => 'c', amount => 't', at => 'at') \g /dev/null
SET work_mem = '64kB';
CALL loyalty.backfill('big', 700);
RESET work_mem;
SELECT is((SELECT sum(points) FROM loyalty.entry), 60000::numeric, 'a list on disk is worked off');

-- A dropped table leaves its place to another one of the same name.
DROP TABLE big;
SELECT results_eq($$SELECT attached, relation::oid FROM loyalty.source$$, $$VALUES (false, 0::oid)$$,
	'a dropped table is no source any more');
SELECT throws_ok($$CALL loyalty.backfill('big')$$, 'LY005', NULL, 'and there is nothing to backfill');
CREATE TABLE big (id int PRIMARY KEY, c int, t numeric, at timestamptz);
SELECT lives_ok($$SELECT loyalty.attach('big', member => 'c', amount => 't', at => 'at')$$, 'its successor is attached');
INSERT INTO big VALUES (1, 7, 5, '2024-01-01');
SELECT is(pg_temp.available('7'), 1205::numeric, 'and earns');

-- The end of the calendar; what is beyond it waits to be mended.
INSERT INTO big VALUES (2, 8, 5, '9999-12-31'), (3, 8, 5, '294276-12-30');
SELECT lives_ok($$SELECT * FROM loyalty.liability, loyalty.roll_forward('year', NULL, 'infinity'), loyalty.roll_up(until => now())$$, 'a purchase at the end of the calendar does not stop a report');
SELECT results_eq('SELECT source_key COLLATE "default" FROM loyalty.deferred', $$VALUES ('3')$$, 'one beyond it is deferred');

-- Whoever inserts an order cannot make the owner's functions run his own.
CREATE ROLE loyalty_test_shop;
CREATE ROLE loyalty_test_clerk;
CREATE SCHEMA shop AUTHORIZATION loyalty_test_shop;
CREATE SCHEMA evil AUTHORIZATION loyalty_test_clerk;
SET ROLE loyalty_test_shop;
CREATE TABLE shop.secret (t text);
CREATE FUNCTION shop.norm(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN lower(t); END';
CREATE TABLE shop.orders (id int PRIMARY KEY, c text, t numeric);
GRANT USAGE ON SCHEMA shop TO loyalty_test_clerk;
GRANT SELECT, INSERT ON shop.orders TO loyalty_test_clerk;
RESET ROLE;
SELECT loyalty.attach('shop.orders', member => 'shop.norm(c)', amount => 't') \g /dev/null
SET ROLE loyalty_test_clerk;
CREATE FUNCTION evil.lower(t text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN INSERT INTO shop.secret VALUES (current_user); RETURN pg_catalog.lower(t); END $$;
SET search_path = evil, pg_catalog;
INSERT INTO shop.orders VALUES (1, 'ABC', 7);
RESET search_path;
SELECT throws_ok($$SELECT * FROM loyalty.member$$, '42501', NULL, 'he may not look at members');
SELECT throws_ok($$SELECT * FROM loyalty.balance('abc')$$, '42501', NULL, 'nor ask for balances');
RESET ROLE;
SELECT is_empty('SELECT * FROM shop.secret', 'a search_path leads no function of the owner astray');
SELECT is(pg_temp.available('abc'), 7::numeric, 'his order earns without any right on the ledger');

-- A key that changes in the transaction whose trigger inserted the row.
CREATE TABLE staging (id int);
CREATE FUNCTION from_staging() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN INSERT INTO big VALUES (5, 77, 50, ''2024-01-01''); RETURN NULL; END';
CREATE TRIGGER t AFTER INSERT ON staging FOR EACH ROW EXECUTE FUNCTION from_staging();
BEGIN;
INSERT INTO staging VALUES (1);
UPDATE big SET id = 6 WHERE id = 5;
COMMIT;
SELECT is(pg_temp.available('77'), 50::numeric, 'a key that changes after an inner insert');

-- A function in the statement itself that changes the row again.
CREATE FUNCTION fix(int) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN UPDATE big SET t = 10 WHERE id = $1; RETURN (SELECT t FROM big WHERE id = $1); END $$;
INSERT INTO big VALUES (11, 111, 100, '2024-01-01'), (12, 111, 100, '2024-01-01') RETURNING fix(id) \g /dev/null
SELECT is(pg_temp.available('111'), 20::numeric, 'a row changed by a function in RETURNING');
INSERT INTO big VALUES (13, 111, 100, '2024-01-01');
UPDATE big SET t = 30 WHERE id = 13 RETURNING fix(id) \g /dev/null
SELECT is(pg_temp.available('111'), 30::numeric, 'and by one within an update');
BEGIN;
INSERT INTO big VALUES (14, 111, 5, '2024-01-01');
UPDATE big SET t = 6 WHERE id = 14;
SAVEPOINT s;
UPDATE big SET t = 600 WHERE id = 14;
ROLLBACK TO s;
UPDATE big SET t = t + 1 WHERE id IN (13, 14);
COMMIT;
SELECT is(pg_temp.available('111'), 38::numeric, 'statement after statement in one transaction');

-- Tables and keys that are refused.
CREATE TABLE forced (id int PRIMARY KEY, c int, t numeric);
ALTER TABLE forced FORCE ROW LEVEL SECURITY;
SELECT throws_ok($$SELECT loyalty.attach('forced', member => 'c', amount => 't')$$, 'LY007', NULL, 'forced row-level security');
CREATE TABLE arrays (id int[] PRIMARY KEY, c int, t numeric);
SELECT throws_ok($$SELECT loyalty.attach('arrays', member => 'c', amount => 't')$$, 'LY007', NULL, 'an array for a key');

-- A key too long for the ledger does not stop the till.
CREATE TABLE long (id text PRIMARY KEY, c int, t numeric);
SELECT loyalty.attach('long', member => 'c', amount => 't') \g /dev/null
SELECT lives_ok($$INSERT INTO long SELECT string_agg(md5(g::text), ''), 1, 5 FROM generate_series(1, 80) g$$,
	'a long key does not stop the till');
SELECT throws_ok($$SELECT loyalty.adjust('1', 1, key => repeat('x', 3000))$$, '22001', NULL, 'nor is it taken for an act');

-- What earned by itself does not earn again as a partition.
CREATE TABLE orders (id int, c int, t numeric, d date, PRIMARY KEY (id, d));
SELECT loyalty.attach('orders', member => 'c', amount => 't') \g /dev/null
INSERT INTO orders VALUES (1, 900, 100, '2026-01-01');
ALTER TABLE orders RENAME TO orders_2026;
CREATE TABLE orders (id int, c int, t numeric, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
ALTER TABLE orders ATTACH PARTITION orders_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
SELECT throws_ok($$SELECT loyalty.attach('orders', member => 'c', amount => 't', key => 'id')$$, 'LY007', NULL,
	'a partition that earned by itself');

-- Nobody loses in the past what he got later.
SELECT throws_ok($$SELECT loyalty.adjust('900', -10, at => '2020-01-01')$$, 'LY001', NULL, 'taken before it was given');
SELECT is((SELECT debt FROM loyalty.balance('900', at => '2020-01-02'))::numeric, 0::numeric, 'so the past owes nothing');

-- Amounts at the edge: too great is deferred, the rest of the statement earns.
CREATE TABLE edge (id int PRIMARY KEY, c int, t numeric);
SELECT loyalty.attach('edge', member => 'c', amount => 't') \g /dev/null
INSERT INTO edge VALUES (1, 950, 1e30), (2, 950, 12), (3, 950, 'NaN'), (4, 950, 922337203685478), (5, 951, 1e-20);
SELECT is(pg_temp.available('950'), 12::numeric, 'amounts out of range do not stop the others');
SELECT results_eq('SELECT source_key COLLATE "default" FROM loyalty.deferred JOIN loyalty.source USING (source_id) WHERE relation = ''edge''::regclass ORDER BY 1', $$VALUES ('1'), ('3'), ('4')$$, 'they are deferred');

-- Thousands of purchases of one member in one statement.
INSERT INTO edge SELECT g, 960, 1 FROM generate_series(1001, 6000) g;
SELECT is(pg_temp.available('960'), 5000::numeric, 'one member, many purchases');

SELECT is_empty('SELECT * FROM loyalty.verify()', 'all is sound');

DROP SCHEMA shop, evil CASCADE;
DROP ROLE loyalty_test_shop, loyalty_test_clerk;
SELECT * FROM finish();
