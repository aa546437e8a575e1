-- backfill: history in batches, in order of time, resumed, repeated, beside what has earned already.
CREATE SCHEMA backfill;
SET search_path = backfill, loyalty, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
INSERT INTO program (name) VALUES ('backfill'), ('backfill two');
INSERT INTO rule (program, name, award) VALUES ('backfill', 'base', '1 per 1'), ('backfill two', 'base', '2 per 1');
SET loyalty.program = 'backfill';
-- What contradicts itself in a program; nothing, if all is well.
CREATE FUNCTION unsound(program text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	found text[] := ARRAY(SELECT format('%s: purse %s, entries %s', m.ref, m.purse, e.lots)
		FROM loyalty.member m JOIN loyalty.program p USING (program_id)
		LEFT JOIN (SELECT member_id, sum(lots) AS lots FROM loyalty.entry GROUP BY member_id) e USING (member_id)
		WHERE p.name = $1 AND m.purse <> coalesce(e.lots, '{}'));
	more text[] := '{}';
BEGIN
	IF to_regproc('loyalty.verify') IS NOT NULL THEN
		EXECUTE 'SELECT array_agg(v::text) FROM loyalty.verify($1) v' INTO more USING program;
	END IF;
	RETURN found || more;
END $$;
-- How far the backfill of a table has come.
CREATE FUNCTION progress(source regclass) RETURNS TABLE (program text, done bigint, at timestamptz, key text, finished boolean)
	LANGUAGE sql AS $$ SELECT program, backfilled_rows, backfilled_at, backfilled_key, backfill_finished_at IS NOT NULL
	FROM loyalty.source WHERE relation = $1 ORDER BY source_id $$;
-- What the purchases of a table have earned.
CREATE FUNCTION earned(source regclass) RETURNS TABLE (program text, purchases bigint, points points, entries bigint)
	LANGUAGE sql AS $$ SELECT program, count(DISTINCT source_key), sum(points), count(*)
	FROM loyalty.entry JOIN loyalty.source USING (source_id) WHERE relation = $1 GROUP BY 1 ORDER BY 1 $$;

-- 25 orders, the later ones first; every fifth of a guest, every seventh not paid
CREATE TABLE history (id int PRIMARY KEY, member int, amount numeric, at timestamptz, paid boolean);
INSERT INTO history SELECT i, CASE WHEN i % 5 > 0 THEN i % 5 END, i, '2026-03-01'::timestamptz - i * interval '1 day', i % 7 > 0
FROM generate_series(1, 25) i;
SELECT attach('history', member => 'member', amount => 'amount', at => 'at', counts => 'paid') > 0 AS attached;
SELECT * FROM progress('history');

-- older than the attachment: left to backfill; what newly counts, and what is new, earns
UPDATE history SET amount = 110 WHERE id = 11;
DELETE FROM history WHERE id = 12;
UPDATE history SET member = 1 WHERE id = 10;
UPDATE history SET paid = true WHERE id = 7;
INSERT INTO history VALUES (100, 4, 1000, '2026-01-01', true);
SELECT * FROM earned('history');
SELECT source_key, points FROM entry JOIN source USING (source_id) WHERE relation = 'history'::regclass ORDER BY source_key;

-- inside a transaction block: one batch; then on from there
BEGIN;
CALL backfill('backfill.history', 8);
SELECT * FROM progress('history');
ROLLBACK;
SELECT * FROM progress('history');
BEGIN;
CALL backfill('backfill.history', 8);
COMMIT;
SELECT * FROM progress('history');
CALL backfill('history', batch_size => 5);
SELECT * FROM progress('history');
SELECT * FROM earned('history');
SELECT sum(amount) AS expected, count(*) AS purchases FROM history WHERE member IS NOT NULL AND paid;

-- again: nothing; what slipped in behind the position is found
CALL backfill('backfill.history');
SELECT * FROM earned('history');
ALTER TABLE history DISABLE TRIGGER USER;
INSERT INTO history VALUES (101, 4, 50, '2026-01-02', true), (102, 4, 60, '2026-03-02', true), (103, NULL, 70, '2026-03-02', true);
ALTER TABLE history ENABLE TRIGGER USER;
CALL backfill('history', program => 'backfill');
SELECT * FROM earned('history');

-- who became a member by it has been one since his first purchase; history came in order of time
SELECT enrolled_at FROM member WHERE member_id = member_id('3', 'backfill');
SELECT available, lifetime FROM balance(3);
SELECT entry, occurred_at, points, purchase FROM statement(2);

-- a row that cannot be read does not stop the others; where errors are to fail, the batches before it stand
CREATE TABLE broken (id int PRIMARY KEY, member int, amount numeric, parts int);
INSERT INTO broken SELECT i, 9, 10, i - 4 FROM generate_series(1, 6) i;
SELECT attach('broken', member => 'member', amount => 'amount / parts', counts => 'parts < 3') > 0 AS attached;
CALL backfill('backfill.broken', 2);
SELECT source_key, points FROM entry JOIN source USING (source_id) WHERE relation = 'broken'::regclass ORDER BY 1;
UPDATE broken SET parts = 2 WHERE id = 4;
CALL maintain(program => 'backfill');
SELECT * FROM earned('broken');
CREATE TABLE strict (LIKE broken INCLUDING ALL, at timestamp);
INSERT INTO strict SELECT i, 10, 10, 1, '2026-01-01'::timestamp + i * interval '1 minute' FROM generate_series(1, 6) i;
UPDATE strict SET amount = 1e15 WHERE id = 4;
SELECT attach('strict', member => 'member', amount => 'amount', at => 'at', on_error => 'fail') > 0 AS attached;
CALL backfill('backfill.strict', 2);
SELECT * FROM progress('strict');
ALTER TABLE strict DISABLE TRIGGER USER;
UPDATE strict SET amount = 40 WHERE id = 4;
ALTER TABLE strict ENABLE TRIGGER USER;
CALL backfill('backfill.strict', 2);
SELECT * FROM earned('strict');

-- composite keys, partitions; two programs on one table
CREATE TABLE parted (shop text, no int, placed date, member text, amount numeric, PRIMARY KEY (shop, no, placed)) PARTITION BY RANGE (placed);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT 'a,' || i % 2, i, '2025-12-30'::date + i, 'p', i FROM generate_series(1, 4) i;
SELECT attach('parted', member => 'member', amount => 'amount', at => 'placed', key => 'shop, no') > 0 AS attached,
	   attach('parted', member => 'member', amount => 'amount', at => 'placed', program => 'backfill two') > 0 AS beside;
CALL backfill('backfill.parted', 3, program => 'backfill two');
SELECT * FROM earned('parted');
CALL backfill('backfill.parted', 3);
SELECT * FROM earned('parted');
SELECT source_key, occurred_at FROM entry JOIN source USING (source_id) WHERE relation = 'parted'::regclass ORDER BY source_id, seq;

-- where nobody becomes a member by himself, only members earn
UPDATE program SET auto_enroll = false WHERE name = 'backfill two';
CREATE TABLE invited (id int PRIMARY KEY, member text, amount numeric);
INSERT INTO invited VALUES (1, 'known', 10), (2, 'unknown', 20);
SELECT enroll('known', program => 'backfill two') = member_id('known', 'backfill two') AS enrolled,
	   attach('invited', member => 'member', amount => 'amount', program => 'backfill two') > 0 AS attached;
CALL backfill('backfill.invited', program => 'backfill two');
SELECT * FROM earned('invited');
SELECT enroll('unknown', program => 'backfill two') = member_id('unknown', 'backfill two') AS enrolled;
CALL backfill('backfill.invited', program => 'backfill two');
SELECT * FROM earned('invited');

-- refused
CALL backfill(NULL);
CALL backfill('history', 0);
CALL backfill('nothing');
CREATE ROLE regress_backfill_clerk;
GRANT USAGE ON SCHEMA backfill TO regress_backfill_clerk;
SELECT grant_access('regress_backfill_clerk', 'manage', 'backfill');
SET ROLE regress_backfill_clerk;
CALL backfill('history', program => 'backfill');
RESET ROLE;
SELECT revoke_access('regress_backfill_clerk', 'manage', 'backfill');
DROP OWNED BY regress_backfill_clerk;
DROP ROLE regress_backfill_clerk;
SELECT detach('history');
CALL backfill('history', program => 'backfill');

-- every purse is the sum of its entries, and nothing contradicts itself
SELECT unsound('backfill'), unsound('backfill two');
