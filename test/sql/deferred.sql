-- deferred: what fails to earn does not stop the till, and is tried again; on_error => 'fail'.
CREATE SCHEMA deferred;
SET search_path = deferred, loyalty, public;
INSERT INTO program (name) VALUES ('deferred');
INSERT INTO rule (program, name, award) VALUES ('deferred', 'base', '1 per 1');
SET loyalty.program = 'deferred';
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
-- What is put aside, and what each purchase of a table has earned.
CREATE VIEW aside AS SELECT d.source_key, error_code, message, detail, attempts, cardinality(member_ids) AS members
	FROM loyalty.deferred d JOIN loyalty.program USING (program_id) WHERE name = 'deferred' ORDER BY 1;
CREATE FUNCTION earned(source regclass) RETURNS TABLE (ref text, key text, points points, postings bigint) LANGUAGE sql AS $$
	SELECT m.ref, source_key, sum(e.points), count(*) FROM loyalty.entry e JOIN loyalty.member m USING (member_id)
	JOIN loyalty.source USING (source_id) WHERE relation = $1 GROUP BY 1, 2 ORDER BY 1, 2 $$;

-- one row of many cannot be read: only that one is put aside
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, parts int DEFAULT 1);
SELECT attach('orders', member => 'member', amount => 'amount / parts') > 0 AS attached;
INSERT INTO orders SELECT i, 'm' || i % 3, 10, (i <> 777)::int FROM generate_series(1, 2500) i;
SELECT ref, sum(points), count(*) FROM earned('orders') GROUP BY 1 ORDER BY 1;
SELECT * FROM aside;
SET client_min_messages = error;
CALL maintain(program => 'deferred');
RESET client_min_messages;
SELECT * FROM aside;
-- the row is mended: its old image still cannot be read
UPDATE orders SET parts = 2 WHERE id = 777;
CALL maintain(program => 'deferred');
SELECT * FROM earned('orders') WHERE key = '777';
SELECT * FROM aside;

-- a purchase that has earned breaks, changes its member meanwhile, and is mended
TRUNCATE orders;
DELETE FROM orders;
SELECT sum(points) FROM earned('orders');
INSERT INTO orders VALUES (1, 'a', 10), (2, 'a', 20);
UPDATE orders SET parts = 0 WHERE id = 1;
UPDATE orders SET member = 'b', amount = 30 WHERE id = 1;
SELECT * FROM earned('orders') WHERE key IN ('1', '2') AND points <> 0;
SET client_min_messages = error;
CALL maintain(program => 'deferred');
RESET client_min_messages;
UPDATE orders SET parts = 1 WHERE id = 1;
CALL maintain(program => 'deferred');
SELECT * FROM earned('orders') WHERE key IN ('1', '2') AND points <> 0;
SELECT * FROM aside;

-- it breaks and is deleted; another breaks, and is mended and deleted before anyone tries it again
UPDATE orders SET parts = 0;
DELETE FROM orders WHERE id = 2;
UPDATE orders SET parts = 1;
DELETE FROM orders;
SELECT source_key, attempts, members FROM aside;
CALL maintain(program => 'deferred');
SELECT sum(points) FROM earned('orders');
SELECT * FROM aside;

-- two good ones whose sum is too great, and a third: one of the two is put aside, nothing else
INSERT INTO orders VALUES (11, 'rich', 5e14), (12, 'rich', 5e14), (13, 'rich', 10), (14, 'poor', 10);
SELECT ref, key, points FROM earned('orders') WHERE ref IN ('rich', 'poor');
SELECT * FROM aside;
UPDATE orders SET amount = 20 WHERE id = 12;
CALL maintain(program => 'deferred');
SELECT key, points FROM earned('orders') WHERE ref = 'rich';

-- a rule gives more than fits; it is ended, and what it kept aside earns by the other one
INSERT INTO rule (program, name, award) VALUES ('deferred', 'huge', '1000000000 per 1');
INSERT INTO orders VALUES (21, 'c', 2e6), (22, 'c', 0);
SELECT * FROM aside;
UPDATE rule SET active = tstzrange(NULL, now()) WHERE program = 'deferred' AND name = 'huge';
CALL maintain(program => 'deferred');
SELECT * FROM earned('orders') WHERE ref = 'c';

-- an exception of the shop's own function; one with detail; what is no mistake is raised
CREATE FUNCTION worth(numeric) RETURNS numeric IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF $1 = 13 THEN RAISE EXCEPTION 'unlucky' USING DETAIL = 'It is 13.', HINT = 'Buy more.'; END IF;
	IF $1 = 14 THEN RAISE EXCEPTION 'try later' USING ERRCODE = 'serialization_failure'; END IF;
	RETURN $1;
END $$;
CREATE TABLE odd (id int PRIMARY KEY, member text, amount numeric);
SELECT attach('odd', member => 'member', amount => 'worth(amount)') > 0 AS attached;
INSERT INTO odd VALUES (1, 'd', 12), (2, 'd', 13);
INSERT INTO odd VALUES (3, 'd', 14);
BEGIN;
UPDATE odd SET amount = 15 WHERE id = 2;
CALL maintain(program => 'deferred');
ROLLBACK;
SELECT source_key, error_code, message, detail, attempts FROM aside;
CREATE OR REPLACE FUNCTION worth(numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CALL maintain(program => 'deferred');
SELECT * FROM earned('odd');

-- on_error => 'fail': the order fails with its points
CREATE TABLE strict (id int PRIMARY KEY, member text, amount numeric, parts int DEFAULT 1);
SELECT attach('strict', member => 'member', amount => 'amount / parts', on_error => 'fail') > 0 AS attached;
INSERT INTO strict VALUES (1, 'e', 10), (2, 'e', 20);
INSERT INTO strict VALUES (3, 'e', 30, 1), (4, 'e', 40, 0);
INSERT INTO strict VALUES (5, 'e', 1e15);
UPDATE strict SET parts = 0;
UPDATE strict SET member = 'f' WHERE id = 2;
SELECT id, strict.member, earned.* FROM strict FULL JOIN earned('strict') ON key = id::text AND ref = strict.member ORDER BY key, ref;

-- every purse is the sum of its entries, and nothing contradicts itself
SELECT unsound('deferred'), (SELECT count(*) FROM aside) AS aside;

-- a time that no calendar has is a mistake: days of it would be out of range for reports
CREATE TABLE times (id int PRIMARY KEY, member text, amount numeric, at timestamptz);
SELECT attach('times', member => 'member', amount => 'amount', at => 'at') > 0 AS attached;
SET client_min_messages = error;
INSERT INTO times VALUES (1, 't', 10, '294276-12-31 23:30+00'), (2, 't', 10, '4714-11-24 00:30+00 BC'), (3, 't', 10, 'infinity'), (4, 't', 10, '9999-12-31 23:30+00'), (5, 't', 10, '0001-01-02 00:00+00');
RESET client_min_messages;
SELECT source_key, error_code, message FROM aside WHERE message LIKE 'time of%';
SELECT key FROM earned('times');
SELECT starts, earned FROM loyalty.roll_forward('year', '9999-01-01', 'infinity');
SELECT cardinality(unsound('deferred'));
-- nor is it one of an act
SELECT record('t', 'review', at => '4713-01-01 BC');
SELECT adjust('t', 1, at => '0001-01-01 BC');
SELECT enroll('u', at => '294276-12-31 23:30+00');
