-- Partitioned order tables: each purchase earns once, whichever way its row is written.
SET search_path = public, loyalty;
SET client_min_messages = warning;
SELECT no_plan();

INSERT INTO program (name) VALUES ('shop'), ('beside');
INSERT INTO rule (program, name, award) VALUES ('shop', 'base', '1 per 1'), ('beside', 'base', '2 per 1');
SET loyalty.program = 'shop';
-- What contradicts itself in the ledger; nothing, if all is well.
CREATE FUNCTION unsound() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT format('%s: purse %s, entries %s', m.ref, m.purse, e.lots) FROM loyalty.member m
		LEFT JOIN (SELECT member_id, loyalty.sum(lots) AS lots FROM loyalty.entry GROUP BY member_id) e USING (member_id)
		WHERE m.purse OPERATOR(loyalty.<>) coalesce(e.lots, '{}');
	IF to_regproc('loyalty.verify') IS NOT NULL THEN
		RETURN QUERY EXECUTE 'SELECT v::text FROM loyalty.verify() v';
	END IF;
END $$;
CREATE FUNCTION has(customer int, program text DEFAULT 'shop') RETURNS numeric LANGUAGE sql
	AS $$ SELECT available::numeric FROM loyalty.balance(customer, program => program) $$;
CREATE FUNCTION entries() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM loyalty.entry $$;
-- Tables with our triggers.
CREATE FUNCTION watched() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgfoid = 'loyalty.earn'::regproc AND tgname LIKE '%insert' ORDER BY 1 $$;

-- Two levels; the key of the source leaves out the partition column, that of "beside" is the primary key.
CREATE TABLE pay (id int, day date, region text NOT NULL DEFAULT 'eu', customer int, amount numeric, PRIMARY KEY (id, day, region))
	PARTITION BY RANGE (day);
CREATE TABLE pay_q1 PARTITION OF pay FOR VALUES FROM ('2026-01-01') TO ('2026-04-01');
CREATE TABLE pay_q2 PARTITION OF pay FOR VALUES FROM ('2026-04-01') TO ('2026-07-01') PARTITION BY LIST (region);
CREATE TABLE pay_q2_eu PARTITION OF pay_q2 FOR VALUES IN ('eu');
CREATE TABLE pay_q2_us PARTITION OF pay_q2 FOR VALUES IN ('us');
INSERT INTO pay (id, day) VALUES (1, '2026-01-01'), (1, '2026-05-01');
SELECT throws_ok($$SELECT attach('pay', member => 'customer', amount => 'amount', at => 'day', key => 'id, region')$$,
				 'LY007', NULL, 'rows that share a key are refused when attaching');
DELETE FROM pay WHERE day > '2026-04-01';
SELECT throws_ok($$SELECT attach('pay', member => 'customer', amount => 'amount', key => 'customer')$$, 'LY007', NULL,
				 'a key must be kept unique within each partition');
SELECT lives_ok($$SELECT attach('pay', member => 'customer', amount => 'amount', at => 'day', key => 'id, region')$$,
				'the key may leave out the partition column');
SELECT lives_ok($$SELECT attach('pay', member => 'customer', amount => 'amount', at => 'day', program => 'beside')$$,
				'or be the primary key');
SELECT set_eq('SELECT watched()', ARRAY['pay', 'pay_q1', 'pay_q2', 'pay_q2_eu', 'pay_q2_us'], 'all partitions have the triggers');

-- the key may leave out the columns of all levels
CREATE TABLE deep (LIKE pay INCLUDING ALL) PARTITION BY RANGE (day);
CREATE TABLE deep_1 PARTITION OF deep FOR VALUES FROM ('2026-01-01') TO ('2026-07-01') PARTITION BY LIST (region);
CREATE TABLE deep_1_eu PARTITION OF deep_1 FOR VALUES IN ('eu');
SELECT lives_ok($$SELECT attach('deep', member => 'customer', amount => 'amount', key => 'id', program => 'beside')$$,
				'a column by which only partitions are partitioned is a partition column too');
DROP TABLE deep;
DELETE FROM loyalty.source WHERE name = 'deep';

-- through the parent, straight into a partition, at any level
DELETE FROM pay;
INSERT INTO pay VALUES (1, '2026-02-01', 'eu', 1, 10), (2, '2026-05-01', 'us', 1, 20), (3, '2026-05-01', 'eu', 2, 30);
INSERT INTO pay_q1 VALUES (4, '2026-03-01', 'eu', 1, 40);
INSERT INTO pay_q2 VALUES (5, '2026-06-01', 'us', 2, 50);
INSERT INTO pay_q2_us VALUES (6, '2026-06-01', 'us', 2, 60);
COPY pay (id, day, customer, amount) FROM stdin;
7	2026-01-07	3	70
8	2026-04-08	3	80
\.
SELECT results_eq('SELECT has(1), has(2), has(3)', 'VALUES (70.0, 140.0, 150.0)', 'each row earns once');
SELECT results_eq($$SELECT has(1, 'beside'), has(2, 'beside'), has(3, 'beside')$$, 'VALUES (140.0, 280.0, 300.0)', 'in each program');
SELECT is(entries(), 16::bigint, 'one entry a row and program');

-- rows move: through the parent, from a partition of partitions, and back
CREATE TEMP TABLE before AS SELECT entries() AS n, has(1) AS a, has(2) AS b, has(3) AS c;
UPDATE pay SET day = day + interval '3 months' WHERE id IN (1, 4);
UPDATE pay_q2 SET region = 'us' WHERE id = 3;
UPDATE pay SET day = day - interval '3 months' WHERE id IN (1, 2, 7, 8) AND day > '2026-04-01';
SELECT results_eq('SELECT has(1), has(2), has(3)', 'SELECT a, b, c FROM before', 'an UPDATE across partitions changes no balance');
SELECT results_eq($$SELECT has(1, 'beside'), has(2, 'beside'), has(3, 'beside')$$, 'VALUES (140.0, 280.0, 300.0)', 'also where the key changes');
SELECT is((SELECT count(*) FROM entry JOIN source USING (source_id) WHERE source.program = 'shop' AND source_key LIKE '%,eu'
		   AND revision > 1), 1::bigint, 'where the key stays only the purchase of another region has a second entry');
UPDATE pay SET day = day + interval '3 months', amount = amount + 5, customer = 2 WHERE id = 7;
SELECT results_eq('SELECT has(2), has(3)', 'VALUES (215.0, 80.0)', 'a row that moves, grows and goes to another member');
UPDATE pay_q2_us SET amount = 0 WHERE id = 6;
DELETE FROM pay_q2 WHERE id = 5;
DELETE FROM pay WHERE id IN (3, 7);
SELECT results_eq($$SELECT has(2), has(2, 'beside')$$, 'VALUES (0.0, 0.0)', 'changed and deleted at every level');

-- partitions that come and go
CREATE TABLE pay_q3 PARTITION OF pay FOR VALUES FROM ('2026-07-01') TO ('2026-10-01');
INSERT INTO pay_q3 VALUES (10, '2026-07-10', 'eu', 4, 10);
CREATE TABLE pay_q2_as PARTITION OF pay_q2 FOR VALUES IN ('as');
INSERT INTO pay_q2_as VALUES (11, '2026-04-11', 'as', 4, 20);
SELECT results_eq($$SELECT has(4), has(4, 'beside')$$, 'VALUES (30.0, 60.0)', 'partitions made later earn');
CREATE TABLE pay_old (LIKE pay INCLUDING ALL);
INSERT INTO pay_old VALUES (12, '2025-12-12', 'eu', 4, 30);
ALTER TABLE pay ATTACH PARTITION pay_old FOR VALUES FROM ('2025-10-01') TO ('2026-01-01');
SELECT is(has(4), 30.0, 'what a partition brings along is left to backfill');
INSERT INTO pay_old VALUES (13, '2025-12-13', 'eu', 4, 40);
UPDATE pay_old SET amount = 31 WHERE id = 12;
SELECT is(has(4), 70.0, 'what is put into it then earns');
CALL backfill('pay', program => 'shop');
CALL backfill('pay', program => 'beside');
SELECT results_eq($$SELECT has(4), has(4, 'beside')$$, 'VALUES (101.0, 202.0)', 'and backfill gives the rest');
ALTER TABLE pay DETACH PARTITION pay_old;
SELECT set_eq('SELECT watched()', ARRAY['pay', 'pay_q1', 'pay_q2', 'pay_q2_eu', 'pay_q2_us', 'pay_q2_as', 'pay_q3'],
			  'a detached partition loses the triggers');
INSERT INTO pay_old VALUES (14, '2025-12-14', 'eu', 4, 1000);
DELETE FROM pay_old WHERE id = 14;
SELECT is(has(4), 101.0, 'and earns no more; what it earned stays');
ALTER TABLE pay ATTACH PARTITION pay_old FOR VALUES FROM ('2025-10-01') TO ('2026-01-01');
UPDATE pay_old SET amount = 30 WHERE id = 12;
SELECT is(has(4), 100.0, 'attached again it goes on where it was');
ALTER TABLE pay_q2 DETACH PARTITION pay_q2_as;
SELECT ok('pay_q2_as' NOT IN (SELECT watched()), 'a partition of a partition is detached');
ALTER TABLE pay_q2 ATTACH PARTITION pay_q2_as FOR VALUES IN ('as');
CREATE TABLE pay_q4 (LIKE pay INCLUDING ALL) PARTITION BY LIST (region);
CREATE TABLE pay_q4_eu PARTITION OF pay_q4 FOR VALUES IN ('eu');
ALTER TABLE pay ATTACH PARTITION pay_q4 FOR VALUES FROM ('2026-10-01') TO ('2027-01-01');
INSERT INTO pay_q4_eu VALUES (15, '2026-10-15', 'eu', 5, 10);
SELECT is(has(5), 10.0, 'a whole tree is attached');
SELECT throws_ok('TRUNCATE pay_q4_eu', '0A000', NULL, 'a partition is not truncated behind our back');
SELECT throws_ok($$SELECT attach('pay_q1', member => 'customer', amount => 'amount')$$, 'LY007', NULL, 'nor attached by itself');

-- detached from its programs nothing of us is left
SELECT detach('pay', program => 'beside');
SELECT is(count(*), 10::bigint, 'the other program keeps its triggers') FROM watched();
INSERT INTO pay_q1 VALUES (16, '2026-01-16', 'eu', 6, 10);
SELECT results_eq($$SELECT has(6), has(6, 'beside')$$, 'VALUES (10.0, 0.0)', 'and goes on earning');
SELECT is_empty('SELECT * FROM unsound()', 'every purse is the sum of its entries, and nothing contradicts itself');
SELECT detach('pay');
SELECT is_empty('SELECT watched()', 'detach takes the triggers off all partitions');
SELECT * FROM finish();
