-- Earning: however an order table is written, each purchase has earned once what its row now gives.
SET search_path = public, loyalty;
SELECT no_plan();

INSERT INTO program (name, points_scale) VALUES ('shop', 2);
INSERT INTO rule (program, name, award) VALUES ('shop', 'base', '1 per 3');
CREATE TABLE customers (id int PRIMARY KEY);
INSERT INTO customers SELECT generate_series(1, 20);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE,
					 amount numeric, status text DEFAULT 'paid', at timestamptz DEFAULT now(), note text);
-- Older than the source.
INSERT INTO orders VALUES (-1, 20, 30, 'paid'), (-2, 20, 60, 'paid'), (-3, 20, 90, 'paid'), (-4, NULL, 90, 'paid'), (-5, 20, 120, 'open');
SELECT attach('orders', member => 'customer', amount => 'amount', at => 'at', counts => $$status = 'paid'$$) > 0;

-- What a purchase or a member has earned so far, and how many entries there are.
CREATE FUNCTION net(key int, customer int DEFAULT NULL) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(e.points), 0)::numeric FROM loyalty.entry e JOIN loyalty.member m USING (member_id)
	WHERE source_id > 0 AND source_key = key::text AND ref = coalesce(customer::text, ref) $$;
CREATE FUNCTION has(customer int) RETURNS numeric LANGUAGE sql AS $$ SELECT available::numeric FROM loyalty.balance(customer) $$;
CREATE FUNCTION entries() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM loyalty.entry $$;
-- Purchases whose points are not those of their rows.
CREATE FUNCTION wrong() RETURNS TABLE (key text, ref text, has numeric, should numeric) LANGUAGE sql AS $$
	SELECT key, ref, coalesce(e.net, 0), coalesce(o.target, 0)
	FROM (SELECT source_key AS key, m.ref, sum(e.points)::numeric AS net FROM loyalty.entry e
		  JOIN loyalty.member m USING (member_id) WHERE source_id > 0 GROUP BY 1, 2) e
	FULL JOIN (SELECT id::text AS key, customer::text AS ref, sign(amount) * trunc(abs(amount) / 3, 2) AS target FROM orders
			   WHERE customer IS NOT NULL AND status = 'paid' AND id > 0) o USING (key, ref)
	WHERE coalesce(e.net, 0) <> coalesce(o.target, 0) $$;
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

-- orders older than the source are backfill's
UPDATE orders SET amount = 33 WHERE id = -1;
DELETE FROM orders WHERE id = -2;
UPDATE orders SET customer = 19 WHERE id = -3;
SELECT is(entries(), 0::bigint, 'a change of an order older than the source is left to backfill');
UPDATE orders SET status = 'open' WHERE id = -1;
SELECT is(entries(), 0::bigint, 'also when it counts no more');
UPDATE orders SET status = 'paid' WHERE id IN (-1, -5);
UPDATE orders SET customer = 18 WHERE id = -4;
SELECT results_eq('SELECT net(-1), net(-3), net(-4), net(-5)', 'VALUES (11.0, 0.0, 30.0, 40.0)', 'what begins to count earns');
CALL backfill('orders');
SELECT results_eq('SELECT net(-1), net(-2), net(-3), net(-4), net(-5)', 'VALUES (11.0, 0.0, 30.0, 30.0, 40.0)', 'backfill gives the rest');
DELETE FROM orders WHERE id < 0;
SELECT is(has(20) + has(19) + has(18), 0.0, 'and now they can be deleted');

-- ways to insert
INSERT INTO orders (id, customer, amount) VALUES (1, 1, 10), (2, 1, 10), (3, 2, 10), (4, NULL, 10);
SELECT results_eq('SELECT has(1), has(2)', 'VALUES (6.66, 3.33)', 'an INSERT of several rows, each purchase rounded by itself');
COPY orders (id, customer, amount, status) FROM stdin;
5	1	9	paid
6	3	30	paid
7	3	30	open
8	\N	30	paid
\.
SELECT results_eq('SELECT has(1), has(3)', 'VALUES (9.66, 10.0)', 'COPY');
INSERT INTO orders (id, customer, amount) SELECT i, 1 + i % 15, i / 7.0 FROM generate_series(1000, 4999) i;
SELECT is_empty('SELECT * FROM wrong()', 'INSERT of 4,000 rows');
INSERT INTO orders (id, customer, amount) SELECT i, 14, 1 + i % 10 FROM generate_series(10001, 19001) i;
UPDATE orders SET amount = amount + 3, customer = 13 - id % 2 WHERE id BETWEEN 10001 AND 18000;
SELECT is_empty('SELECT * FROM wrong()', '9,001 purchases of one member in one statement, most of them changed in another');
DELETE FROM orders WHERE id > 10000;
SELECT is_empty('SELECT * FROM wrong()', 'and deleted');
INSERT INTO orders (id, customer, amount) VALUES (5, 1, 90), (9, 4, 90) ON CONFLICT (id) DO UPDATE SET amount = excluded.amount;
SELECT results_eq('SELECT net(5), net(9)', 'VALUES (30.0, 30.0)', 'ON CONFLICT DO UPDATE');
INSERT INTO orders (id, customer, amount) VALUES (5, 2, 3), (10, 4, 9) ON CONFLICT DO NOTHING;
SELECT results_eq('SELECT net(5), net(10)', 'VALUES (30.0, 3.0)', 'ON CONFLICT DO NOTHING');
MERGE INTO orders o USING (VALUES (5, 1, 60), (9, 4, 0), (10, 5, 30), (11, 5, 60)) AS n (id, customer, amount) ON o.id = n.id
WHEN MATCHED AND n.amount = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET amount = n.amount, customer = n.customer
WHEN NOT MATCHED THEN INSERT (id, customer, amount) VALUES (n.id, n.customer, n.amount);
SELECT results_eq('SELECT net(5), net(9), net(10, 4), net(10, 5), net(11)', 'VALUES (20.0, 0.0, 0.0, 10.0, 20.0)', 'MERGE');
WITH gone AS (DELETE FROM orders WHERE id IN (10, 11) RETURNING *), less AS (UPDATE orders SET amount = amount - 30 WHERE id = 5)
INSERT INTO orders (id, customer, amount) SELECT id + 10, 6, amount + 3 FROM gone;
SELECT results_eq('SELECT net(5), net(10), net(11), net(20), net(21)', 'VALUES (10.0, 0.0, 0.0, 11.0, 21.0)', 'data-modifying WITH');
SELECT is_empty('SELECT * FROM wrong()', 'all of them together');

-- changes
UPDATE orders SET customer = 7 WHERE id = 20;
SELECT results_eq('SELECT net(20, 6), net(20, 7), has(7) >= 11', 'VALUES (0.0, 11.0, true)', 'a purchase goes to another member');
UPDATE orders SET customer = CASE customer WHEN 6 THEN 7 ELSE 6 END, amount = 300 WHERE id IN (20, 21);
SELECT results_eq('SELECT net(20, 6), net(20, 7), net(21, 6), net(21, 7)', 'VALUES (100.0, 0.0, 0.0, 100.0)', 'two change places');
UPDATE orders SET customer = 7 WHERE id = 20;
UPDATE orders SET customer = 6 WHERE id = 20;
SELECT results_eq('SELECT net(20, 6), net(20, 7)', 'VALUES (100.0, 0.0)', 'there and back');
UPDATE orders SET customer = 8 WHERE id = 4;
SELECT is(net(4, 8), 3.33, 'a guest becomes a member');
UPDATE orders SET customer = NULL WHERE id = 4;
SELECT is(net(4, 8), 0.0, 'and a guest again');
UPDATE orders SET status = 'open' WHERE id = 5;
UPDATE orders SET status = NULL, amount = 1000 WHERE id = 5;
SELECT is(net(5), 0.0, 'an order that counts no more');
UPDATE orders SET status = 'paid', amount = 31 WHERE id = 5;
UPDATE orders SET status = 'void' WHERE id = 5;
UPDATE orders SET status = 'paid' WHERE id = 5;
SELECT is(net(5), 10.33, 'and back');
UPDATE orders SET amount = NULL WHERE id = 5;
SELECT is(net(5), 0.0, 'without an amount it does not count');
UPDATE orders SET amount = a FROM (VALUES (1, 100)) v (id, a) WHERE orders.id = 5;
SELECT is(net(5), 33.33, 'up');
DO $$ BEGIN FOR a IN REVERSE 99..1 LOOP UPDATE orders SET amount = a + 0.01 WHERE id = 5; END LOOP; END $$;
SELECT is(net(5), 0.33, 'returned in 99 parts');
UPDATE orders SET amount = 0 WHERE id = 5;
SELECT is(net(5), 0.0, 'and what was left: exactly the whole');
UPDATE orders SET amount = 10 WHERE id = 5;
DELETE FROM orders WHERE id = 5;
SELECT is(net(5), 0.0, 'deleted');
INSERT INTO orders (id, customer, amount) VALUES (5, 1, 12);
SELECT is(net(5), 4.0, 'and inserted again under the same key');
SELECT is_empty('SELECT * FROM wrong()', 'all of them together');

-- what is irrelevant writes nothing
CREATE TEMP TABLE before AS SELECT entries() AS n, (SELECT md5(string_agg(m::text, ',' ORDER BY member_id)) FROM member m) AS members;
UPDATE orders SET note = 'read', at = at - interval '1 hour';
UPDATE orders SET id = id, amount = amount + 0.00, customer = customer, status = status;
UPDATE orders SET amount = 17 WHERE customer IS NULL OR status = 'open';
UPDATE orders SET status = 'new' WHERE status = 'open';
UPDATE orders SET amount = 1 WHERE false;
DELETE FROM orders WHERE customer IS NULL OR status = 'new';
INSERT INTO orders (id, customer, amount) VALUES (5, 1, 1) ON CONFLICT DO NOTHING;
SELECT is(entries(), n, 'a change of nothing that matters writes no entry') FROM before;
SELECT is((SELECT md5(string_agg(m::text, ',' ORDER BY member_id)) FROM member m), members, 'and no member') FROM before;

-- refunds of their own, cascades
INSERT INTO orders (id, customer, amount) VALUES (30, 16, 100), (31, 16, -40), (32, 16, -0.01);
SELECT results_eq('SELECT net(30), net(31), net(32), has(16)', 'VALUES (33.33, -13.33, 0.0, 20.0)', 'rows below zero take back');
UPDATE orders SET amount = -10 WHERE id = 31;
SELECT is(has(16), 30.0, 'a refund becomes smaller');
UPDATE orders SET amount = 10 WHERE id = 31;
SELECT is(has(16), 36.66, 'and a purchase');
DELETE FROM customers WHERE id IN (1, 16);
SELECT results_eq('SELECT has(1), has(16)', 'VALUES (0.0, 0.0)', 'orders deleted with their customers');
SELECT is_empty('SELECT * FROM wrong()', 'all of them together');

-- a transaction and its savepoints
BEGIN;
INSERT INTO orders (id, customer, amount) VALUES (40, 17, 3);
SAVEPOINT a;
UPDATE orders SET amount = 300 WHERE id = 40;
ROLLBACK TO a;
UPDATE orders SET amount = 30 WHERE id = 40;
SAVEPOINT b;
DELETE FROM orders WHERE id = 40;
SELECT is(has(17), 0.0, 'within a savepoint');
ROLLBACK TO b;
COMMIT;
SELECT is(has(17), 10.0, 'after it was rolled back');
SELECT is_empty('SELECT * FROM wrong()', 'all of them together');

SELECT is_empty('SELECT * FROM unsound()', 'every purse is the sum of its entries, and nothing contradicts itself');
SELECT * FROM finish();
