-- Purchases made of many rows: however they come, go and change, each has earned what the query says of it.
SET search_path = public, loyalty;
SET client_min_messages = error;
SELECT no_plan();

INSERT INTO program (name, points_scale) VALUES ('shop', 1);
INSERT INTO rule (program, name, award) VALUES ('shop', 'base', '1 per 3');
CREATE TABLE head (id int PRIMARY KEY, customer int, at timestamptz DEFAULT now(), status text DEFAULT 'paid');
CREATE TABLE line (id int, no int, price numeric, quantity int DEFAULT 1, divisor int DEFAULT 1);
CREATE INDEX ON line (id);
-- Older than the source.
INSERT INTO head SELECT i, 1 + i % 3, timestamptz '2024-01-01' + i * interval '1 hour' FROM generate_series(-20, -1) i;
INSERT INTO line SELECT i, n, 10 - n, n FROM generate_series(-20, -1) i, generate_series(1, 3) n;
SELECT attach_query('orders', $$
	SELECT h.id AS key, h.customer AS member, h.at, l.price * l.quantity / l.divisor AS amount, l.quantity,
		   h.status = 'paid' AS counts
	FROM head h JOIN line l USING (id)$$, '{head.id, line.id}') > 0;

-- What the rows should have earned, what they have, and where both differ. Only a refund alone stands below zero.
CREATE VIEW should AS
	SELECT id::text AS key, customer::text AS ref,
		CASE WHEN sum(amount) < 0 AND bool_or(amount > 0) THEN 0 ELSE sign(sum(amount)) * trunc(abs(sum(amount)) / 3, 1) END AS points FROM
		(SELECT h.id, h.customer, price * quantity AS amount FROM head h JOIN line USING (id)
		 WHERE customer IS NOT NULL AND status = 'paid' AND price IS NOT NULL) x GROUP BY 1, 2;
CREATE VIEW given AS
	SELECT source_key AS key, m.ref, sum(e.points)::numeric AS points FROM entry e JOIN member m USING (member_id)
	JOIN source s USING (source_id) WHERE s.name = 'orders' GROUP BY 1, 2;
CREATE FUNCTION wrong() RETURNS TABLE (key text, ref text, should numeric, given numeric) LANGUAGE sql AS $$
	SELECT key, ref, coalesce(s.points, 0), coalesce(g.points, 0) FROM should s FULL JOIN given g USING (key, ref)
	WHERE coalesce(s.points, 0) <> coalesce(g.points, 0) $$;
CREATE FUNCTION net(key int, customer int DEFAULT NULL) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(points), 0)::numeric FROM given g WHERE g.key = net.key::text AND ref = coalesce(customer::text, ref) $$;
CREATE FUNCTION entries() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM loyalty.entry $$;
CREATE FUNCTION sound(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT is_empty('SELECT * FROM wrong()', what);
	RETURN NEXT is_empty('SELECT * FROM loyalty.verify()', what || ': nothing contradicts itself');
END $$;

-- history
SELECT is_empty('SELECT * FROM verify()', 'history has not earned, and nobody says it should have');
UPDATE line SET price = 30 WHERE (id, no) = (-1, 1);
SELECT is(net(-1), trunc((30 + 16 + 21) / 3.0, 1), 'a purchase of history that is touched earns at once, as a whole');
CALL backfill('orders', 7);
SELECT sound('backfill');
SELECT results_eq('SELECT backfilled_rows, backfill_finished_at IS NOT NULL FROM source', 'VALUES (20::bigint, true)', 'it has been through all purchases');
SELECT is(min(occurred_at), timestamptz '2024-01-01' - interval '20 hours', 'as of when they were made') FROM entry;
SELECT entries() AS before \gset
CALL backfill('orders');
SELECT is(entries(), :before::bigint, 'again it finds nothing');

-- headers and lines in any order
INSERT INTO head VALUES (1, 1);
SELECT is(entries(), :before::bigint, 'a header without lines is no purchase');
INSERT INTO line VALUES (1, 1, 10), (1, 2, 20);
SELECT is(net(1), 10.0, 'header first');
INSERT INTO line VALUES (2, 1, 10), (2, 2, 20);
INSERT INTO head VALUES (2, 1);
SELECT is(net(2), 10.0, 'lines first');
BEGIN;
INSERT INTO line VALUES (3, 1, 10);
INSERT INTO head VALUES (3, 2);
INSERT INTO line VALUES (3, 2, 10), (3, 2, 10);
UPDATE line SET price = 20 WHERE id = 3 AND no = 1;
SELECT is(net(3), 13.3, 'within the transaction');
COMMIT;
WITH h AS (INSERT INTO head VALUES (4, 2) RETURNING id) INSERT INTO line SELECT id, n, 3 FROM h, generate_series(1, 2) n;
SELECT is(net(4), 2.0, 'in one statement');
SELECT is((SELECT net(3)), 13.3, 'two equal lines are two');
SELECT sound('headers and lines');

-- members
UPDATE head SET customer = 5 WHERE id = 1;
SELECT results_eq('SELECT net(1, 1), net(1, 5)', 'VALUES (0.0, 10.0)', 'another member');
UPDATE head SET customer = NULL WHERE id = 1;
SELECT is(net(1), 0.0, 'a guest''s');
UPDATE line SET price = 16 WHERE (id, no) = (1, 1);
SELECT is(net(1), 0.0, 'still a guest''s');
UPDATE head SET customer = 5 WHERE id = 1;
SELECT results_eq('SELECT net(1, 1), net(1, 5)', 'VALUES (0.0, 12.0)', 'the same member again');
UPDATE head SET customer = 1 WHERE id = 1;
SELECT results_eq('SELECT net(1, 1), net(1, 5)', 'VALUES (12.0, 0.0)', 'the first one again');
INSERT INTO head VALUES (5, NULL);
INSERT INTO line VALUES (5, 1, 30);
SELECT results_eq($$SELECT count(*), count(member_id) FROM purchase WHERE source_key = '5'$$, 'VALUES (1::bigint, 0::bigint)', 'a guest''s purchase is known, its member is not');
UPDATE head SET customer = 3 WHERE id = 5;
SELECT is(net(5), 10.0, 'a guest who becomes known');
SELECT sound('members');

-- keys
UPDATE head SET id = 100 WHERE id = 1;
SELECT is(net(1), 0.0, 'lines without a header');
UPDATE line SET id = 100 WHERE id = 1;
SELECT results_eq('SELECT net(1), net(100)', 'VALUES (0.0, 12.0)', 'a key that changes');
UPDATE line SET id = 2 WHERE (id, no) = (100, 2);
SELECT results_eq('SELECT net(2), net(100)', 'VALUES (16.6, 5.3)', 'a line that moves to another purchase');
UPDATE line SET id = NULL WHERE (id, no) = (100, 1);
SELECT is(net(100), 0.0, 'and one that belongs to none');
UPDATE line SET id = 100 WHERE id IS NULL;
SELECT sound('keys');

-- less and less
UPDATE head SET status = 'void' WHERE id = 3;
SELECT is(net(3), 0.0, 'what counts no more');
UPDATE head SET status = 'paid' WHERE id = 3;
DELETE FROM line WHERE id = 3 AND no = 2;
SELECT is(net(3), 6.6, 'fewer lines');
UPDATE line SET price = NULL WHERE id = 3;
SELECT is(net(3), 0.0, 'without an amount');
DELETE FROM head WHERE id IN (3, 4);
DELETE FROM line WHERE id IN (3, 4, 100);
SELECT is(net(4) + net(100), 0.0, 'deleted');
INSERT INTO line VALUES (6, 1, -30);
INSERT INTO head VALUES (6, 6);
SELECT is(net(6), -10.0, 'a refund by itself');
SELECT sound('less');

-- ways to write
COPY line (id, no, price) FROM stdin;
10	1	9
10	2	9
11	1	9
\.
INSERT INTO head VALUES (10, 7), (11, 7) ON CONFLICT (id) DO UPDATE SET customer = 8;
INSERT INTO head VALUES (10, 7), (12, 7) ON CONFLICT (id) DO UPDATE SET customer = 8;
MERGE INTO line l USING (VALUES (10, 1, 90), (11, 1, 0), (12, 1, 60)) AS n (id, no, price) ON (l.id, l.no) = (n.id, n.no)
WHEN MATCHED AND n.price = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET price = n.price
WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.no, n.price);
SELECT results_eq('SELECT net(10, 8), net(10, 7), net(11), net(12)', 'VALUES (33.0, 0.0, 0.0, 20.0)', 'COPY, ON CONFLICT and MERGE');
INSERT INTO head SELECT i, i % 50 FROM generate_series(1000, 4999) i;
SET work_mem = '64kB';
INSERT INTO line SELECT i, n, i % 7 + n FROM generate_series(1000, 4999) i, generate_series(1, 3) n;
UPDATE line SET price = price + 1 WHERE id BETWEEN 1000 AND 4999;
UPDATE head SET customer = customer + 1 WHERE id BETWEEN 1000 AND 4999;
RESET work_mem;
SELECT sound('thousands at once');
BEGIN;
SAVEPOINT s;
DELETE FROM head WHERE id BETWEEN 1000 AND 1500;
ROLLBACK TO s;
DELETE FROM line WHERE id BETWEEN 1200 AND 1300;
COMMIT;
SELECT sound('a savepoint');

-- what fails is put aside by itself, and tried again
UPDATE line SET divisor = 0 WHERE (id, no) = (1400, 2);
UPDATE line SET price = price + 5 WHERE id BETWEEN 1350 AND 1450;
SELECT results_eq('SELECT source_key COLLATE "default", error_code FROM deferred', $$VALUES ('1400', '22012')$$, 'only what fails is deferred');
SELECT is_empty($$SELECT * FROM wrong() WHERE key <> '1400'$$, 'its neighbours are not');
SELECT is_empty('SELECT * FROM verify()', 'and verify() reads on');
SELECT entries() AS before \gset
CALL backfill('orders');
SELECT is(entries(), :before::bigint, 'and so does backfill');
UPDATE line SET divisor = 1 WHERE id = 1400;
SELECT is(count(*), 1::bigint, 'it stands in the list still') FROM deferred;
CALL maintain();
SELECT is(count(*), 0::bigint, 'until it is tried again') FROM deferred;
SELECT sound('deferred and retried');

-- a change that no trigger saw
ALTER TABLE line DISABLE TRIGGER USER;
UPDATE line SET price = 3 WHERE (id, no) = (2, 1);
INSERT INTO line VALUES (11, 1, 30);
DELETE FROM line WHERE id = 12;
ALTER TABLE line ENABLE TRIGGER USER;
SELECT results_eq($$SELECT DISTINCT purchase, invariant FROM verify() ORDER BY 1$$, $$VALUES ('orders 11', 'I4'), ('orders 12', 'I4 vanished'), ('orders 2', 'I4')$$, 'verify() tells');
UPDATE line SET no = no WHERE id IN (2, 11);
UPDATE head SET id = id WHERE id = 12;
SELECT sound('touched again');

-- payments and refunds of two tables, which share their keys
CREATE TABLE payment (ref varchar(20), customer text, amount numeric, paid_on date);
CREATE TABLE refund (id int, payment_ref text, amount real);
SELECT attach_query('payments', $$
	SELECT ref AS key, customer AS member, amount, paid_on AS at, NULL::text AS item FROM payment
	UNION ALL SELECT payment_ref, NULL, -amount::numeric, NULL, 'refund' FROM refund$$,
	ARRAY['payment.ref', 'refund.payment_ref'], program => 'shop') > 0;
CREATE FUNCTION paid(ref text) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(points), 0)::numeric FROM loyalty.entry JOIN loyalty.source USING (source_id) WHERE name = 'payments' AND source_key = ref $$;
INSERT INTO payment VALUES ('A', 'x', 30, '2024-05-01'), ('B', 'x', 60, '2024-05-01'), ('B', NULL, 3, NULL);
SELECT results_eq($$SELECT paid('A'), paid('B')$$, 'VALUES (10.0, 21.0)', 'payments');
INSERT INTO refund VALUES (1, 'A', 15), (2, 'B', 3), (3, 'C', 9);
SELECT results_eq($$SELECT paid('A'), paid('B'), paid('C')$$, 'VALUES (5.0, 20.0, 0.0)', 'with refunds; one of nobody''s');
INSERT INTO refund VALUES (4, 'A', 15);
SELECT is(paid('A'), 0.0, 'in the end nothing is left');
DELETE FROM refund WHERE id IN (1, 4);
SELECT is(paid('A'), 10.0, 'refunds that are taken back');
INSERT INTO payment VALUES ('A', 'y', 3, NULL);
SELECT results_eq('SELECT source_key COLLATE "default", error_code FROM deferred', $$VALUES ('A', 'LY010')$$, 'two members in one purchase');
SELECT is(paid('A'), 10.0, 'it stays as it was');
SELECT is_empty('SELECT * FROM verify()', 'and is excepted');
UPDATE payment SET customer = 'y' WHERE ref = 'A';
CALL maintain();
SELECT sound('payments and refunds');
SELECT results_eq($$SELECT source COLLATE "default", purchase COLLATE "default", points::numeric FROM statement('y')$$, $$VALUES ('payments', 'A', 11.0)$$, 'a statement names the source');

-- a purchase took place when the earliest of its lines that count did, in whatever order they come
CREATE TABLE leg (ref text, amount numeric, at timestamptz, data jsonb);
SELECT attach_query('legs', $$SELECT ref AS key, 'z' AS member, amount, at, data FROM leg$$, '{leg.ref}', program => 'shop') > 0;
INSERT INTO leg VALUES
	('refunded', -20, '2024-03-01'), ('refunded', 90, '2024-01-01'),
	('untimed', 20, NULL), ('untimed', 90, '2024-01-01'),
	('future', 10, '2999-01-01'), ('future', 20, NULL);
INSERT INTO leg SELECT ref || ' with data', amount, at, '{}' FROM leg;
SELECT results_eq($$SELECT purchase COLLATE "default", least(occurred_at, current_date)::date FROM statement('z') ORDER BY 1$$, $$VALUES
	('future', current_date), ('future with data', current_date),
	('refunded', date '2024-01-01'), ('refunded with data', '2024-01-01'),
	('untimed', '2024-01-01'), ('untimed with data', '2024-01-01')$$, 'the earliest line says when');
SELECT is(count(*), 0::bigint, 'not in the future') FROM statement('z') WHERE occurred_at > now();

-- what it reads beside its watched tables may change its type
CREATE TABLE closing (ref text, at date);
INSERT INTO closing VALUES ('late', '2024-01-01');
SELECT attach_query('closings', $$SELECT ref AS key, 'late' AS member, amount, c.at FROM leg JOIN closing c USING (ref)$$,
	'{leg.ref}', program => 'shop') > 0;
ALTER TABLE closing ALTER at TYPE int USING 5000;
INSERT INTO leg VALUES ('late', 30);
SELECT results_eq($$SELECT DISTINCT error_code FROM deferred WHERE source_key = 'late'$$, $$VALUES ('42804')$$, 'a number is no time');
ALTER TABLE closing ALTER at TYPE timestamptz USING '2024-02-01';
CALL maintain();
SELECT results_eq($$SELECT points::numeric, occurred_at FROM statement('late')$$, $$VALUES (10.0, timestamptz '2024-02-01')$$, 'another kind of time is one');
SELECT sound('times');

-- a function that says it only reads, and writes: the order stands, and nothing goes round in circles
CREATE TABLE circle (id int, amount numeric);
CREATE FUNCTION again() RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.circle VALUES (9, 9); RETURN 'round'; END $$;
CREATE FUNCTION reads() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN public.again(); END $$;
SELECT attach_query('circles', 'SELECT id AS key, reads() AS member, amount FROM circle', '{circle.id}', program => 'shop') > 0;
INSERT INTO circle VALUES (1, 1);
SELECT results_eq('SELECT id FROM circle', 'VALUES (1)', 'what it wrote is gone, the row stands');
SELECT results_eq('SELECT source_key COLLATE "default", error_code FROM deferred', $$VALUES ('1', '0A000')$$, 'and is deferred');
SELECT detach('circles');
SET session_replication_role = replica;
DELETE FROM deferred;
RESET session_replication_role;

-- what would not mean the same to everybody
CREATE EXTENSION citext SCHEMA public;
CREATE TABLE coupon (code citext, owner text);
CREATE TABLE used (code citext, amount numeric);
SELECT throws_ok($$SELECT attach_query('coupons', 'SELECT code::text COLLATE "C" AS key, owner AS member, amount FROM coupon JOIN used USING (code)',
	'{coupon.code, used.code}', program => 'shop')$$, 'LY007', NULL, 'an operator that has no place for its schema');
SELECT attach_query('coupons', 'SELECT lower(c.code::text) COLLATE "C" AS key, owner AS member, amount FROM coupon c JOIN used u ON c.code = u.code',
	'{coupon.code, used.code}', program => 'shop') > 0;
INSERT INTO used VALUES ('abc', 30);
INSERT INTO coupon VALUES ('ABC', 'keen');
UPDATE coupon SET code = 'abc';
SELECT is(sum(points)::numeric, 10.0, 'one that has') FROM statement('keen');
CREATE TABLE loud (id int PRIMARY KEY, member text, amount numeric, state citext);
SELECT throws_ok($$SELECT attach('loud', member => 'member', amount => 'amount', counts => 'CASE state WHEN ''paid'' THEN true END', program => 'shop')$$,
	'LY007', NULL, 'and an expression over a row: its CASE would compare as text does');
SELECT throws_ok($$SELECT attach_query('dear', 'SELECT id AS key, id AS member, amount, ''EUR''::text AS currency FROM circle',
	'{circle.id}', program => 'shop')$$, '22023', NULL, 'a currency, where the program has none');

-- partitions: those that are there, those that come, and those that go
CREATE TABLE sale (day date, ref int, customer int, amount numeric) PARTITION BY RANGE (day);
CREATE TABLE sale_1 PARTITION OF sale FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
SELECT attach_query('sales', 'SELECT ref AS key, customer AS member, amount, day AS at FROM sale', '{sale.ref}') > 0;
CREATE TABLE sale_2 PARTITION OF sale FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE sale_3 (LIKE sale);
ALTER TABLE sale ATTACH PARTITION sale_3 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
CREATE FUNCTION sold(ref int) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(points), 0)::numeric FROM loyalty.entry JOIN loyalty.source USING (source_id) WHERE name = 'sales' AND source_key = ref::text $$;
INSERT INTO sale VALUES ('2024-01-05', 1, 1, 30), ('2024-02-05', 2, 1, 30), ('2024-03-05', 1, 1, 30);
INSERT INTO sale_1 VALUES ('2024-01-06', 2, 1, 30);
INSERT INTO sale_2 VALUES ('2024-02-06', 3, 1, 30);
INSERT INTO sale_3 VALUES ('2024-03-06', 3, 1, 30);
SELECT results_eq('SELECT sold(1), sold(2), sold(3)', 'VALUES (20.0, 20.0, 20.0)', 'through the table and straight into partitions');
UPDATE sale SET day = day + interval '1 month' WHERE ref = 2 AND day < '2024-02-01';
ALTER TABLE sale DETACH PARTITION sale_3;
SELECT is(count(*), 0::bigint, 'a partition that went has no triggers any more') FROM pg_trigger WHERE tgrelid = 'sale_3'::regclass;
SELECT is(count(*), 12::bigint, 'the others have') FROM pg_trigger WHERE tgrelid IN ('sale'::regclass, 'sale_1'::regclass, 'sale_2'::regclass);
INSERT INTO sale VALUES ('2024-02-07', 1, 1, 0);
DELETE FROM sale WHERE ref = 3;
SELECT sound('partitions');
SELECT detach('sales');
SELECT is(count(*), 0::bigint, 'detached, no table has triggers') FROM pg_trigger WHERE tgrelid IN ('sale'::regclass, 'sale_1'::regclass, 'sale_2'::regclass);

-- statements of chance
SELECT setseed(0.5);
CREATE FUNCTION step() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	low int := 5000 + random() * 60;
	high int := low + random() ^ 3 * 30;
BEGIN
	CASE (random() * 9)::int
	WHEN 0, 1 THEN INSERT INTO head SELECT i, nullif((random() * 7)::int, 0) FROM generate_series(low, high) i ON CONFLICT DO NOTHING;
	WHEN 2, 3 THEN INSERT INTO line SELECT i, (random() * 5)::int, round((random() * 40 - 5)::numeric, 2), (random() * 3)::int FROM generate_series(low, high) i;
	WHEN 4 THEN UPDATE line SET price = nullif(round((random() * 30)::numeric, 1), 7) WHERE id BETWEEN low AND high;
	WHEN 5 THEN UPDATE head SET customer = nullif((random() * 7)::int, 0) WHERE id BETWEEN low AND high;
	WHEN 6 THEN UPDATE head SET status = CASE WHEN random() < 0.7 THEN 'paid' ELSE 'open' END WHERE id BETWEEN low AND high;
	WHEN 7 THEN UPDATE line SET id = 5000 + (random() * 60)::int WHERE id BETWEEN low AND low + 3;
	WHEN 8 THEN DELETE FROM line WHERE id BETWEEN low AND high AND random() < 0.5;
	ELSE DELETE FROM head WHERE id BETWEEN low AND low + 2;
	END CASE;
END $$;
DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM step(); COMMIT; END LOOP; END $$;
SELECT sound('after 300 transactions');
DO $$ BEGIN
	FOR i IN 1..300 LOOP
		BEGIN
			PERFORM step();
			IF random() < 0.3 THEN RAISE SQLSTATE 'UUUUU'; END IF;
		EXCEPTION WHEN SQLSTATE 'UUUUU' THEN NULL;
		END;
	END LOOP;
END $$;
SELECT sound('after 300 statements in one transaction, some of them rolled back');
SELECT is(count(*), 0::bigint, 'nothing was deferred') FROM deferred;
DELETE FROM line;
SELECT is_empty('SELECT * FROM given WHERE points <> 0', 'and without lines nothing');
SELECT sound('the end');

-- attached again it goes on under the same number
SELECT source_id AS number FROM source WHERE name = 'orders' \gset
SELECT detach('orders');
INSERT INTO line VALUES (2, 1, 30);
SELECT is(attach_query('orders', 'SELECT id AS key, customer AS member, price AS amount FROM head JOIN line USING (id)', '{head.id, line.id}'),
	:number, 'the same number');
CALL backfill('orders');
SELECT is(net(2), 10.0, 'and what was missed earns');
SELECT is_empty('SELECT * FROM verify()', 'the end of ends');
SELECT * FROM finish();
