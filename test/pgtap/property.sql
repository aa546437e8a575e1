-- A property of rules: whatever way rows came to what they are, they have earned what they earn when they are read
-- but once as they are. The seed is printed; psql -v seed=0.25 -f test/pgtap/property.sql repeats one.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SELECT no_plan();
SET client_min_messages = warning;
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);

-- "long" sees every change of the rows; "short" is attached when they are what they will be, and backfilled.
INSERT INTO program (name, points_scale, rounding, stacking) SELECT name || s, n % 3, (ARRAY['half_even', 'down', 'up'])[n], s FROM unnest(ARRAY['long ', 'short ']) name, unnest('{add,multiply,best}'::text[]) WITH ORDINALITY s (s, n);
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, quantity numeric, item text, category text, at timestamptz, counts boolean, note text);
-- No facts of the member, nor limits: those tell what was first.
INSERT INTO rule (program, name, award, award_points, condition, include_categories, exclude_items, min_amount, min_quantity, priority, exclusive_group, stop, purchase_cap, active)
SELECT p.name, r.name, award::award, award_points, condition, categories::text[], items::text[], min_amount, min_quantity, priority, exclusive_group, stop, cap::numeric, active::tstzrange FROM program p, (VALUES
	('per', '1 per 3', NULL, NULL, NULL, NULL, NULL, NULL, 10, NULL, false, NULL, '(,)'),
	('full', '7 per full 15', NULL, NULL, NULL, '{x}', NULL, NULL, 9, NULL, false, NULL, '(,)'),
	('each', '1.3 each', NULL, $$category = 'a'$$, NULL, NULL, NULL, NULL, 8, NULL, false, 4, '(,)'),
	('percent', '8%', NULL, 'amount > 40', NULL, NULL, NULL, NULL, 7, 'g', false, NULL, '(,)'),
	('fix', '5', NULL, 'amount > 20', NULL, NULL, NULL, NULL, 6, 'g', false, NULL, '(,)'),
	('half', 'x0.5', NULL, 'amount < 30', '{b,c}', NULL, NULL, NULL, 5, NULL, false, NULL, '(,)'),
	('weekend', 'x2', NULL, 'extract(isodow FROM at) >= 6', NULL, NULL, NULL, NULL, 4, NULL, false, NULL, '(,)'),
	('many', 'x1.75', NULL, NULL, NULL, NULL, 50, 2, 3, 'm', false, NULL, '(,)'),
	('summer', 'x3', NULL, NULL, NULL, NULL, NULL, NULL, 2, 'm', false, NULL, '[2025-06-01,2025-09-01)'),
	('stop', '2', NULL, $$category = 'd'$$, NULL, NULL, NULL, NULL, 1, NULL, true, NULL, '(,)'),
	('stopped', '11', NULL, NULL, '{a,d}', NULL, NULL, NULL, 0, NULL, false, NULL, '(,)'),
	('worked out', NULL, 'CASE WHEN quantity > 0 THEN amount / quantity END', $$item <> 'y'$$, NULL, NULL, 10, NULL, -1, 'g2', false, NULL, '(,)'),
	('or this', NULL, 'order_amount / 9', NULL, NULL, NULL, NULL, NULL, -2, 'g2', false, NULL, '(,)')
) r (name, award, award_points, condition, categories, items, min_amount, min_quantity, priority, exclusive_group, stop, cap, active);
SELECT count(attach('orders', member => 'member', amount => 'amount', quantity => 'quantity', item => 'item', category => 'category', at => 'at', counts => 'counts', program => name)) FROM program WHERE name LIKE 'long %';

-- Purchases of chance; one's time is its own once and for all.
CREATE FUNCTION new_orders(first int, last int) RETURNS SETOF orders VOLATILE LANGUAGE sql AS $$
	SELECT i, nullif('m' || (i * 7 % 24), 'm0'), round((random() * 110 - 10)::numeric, (random() * 2)::int), nullif(round((random() * 4)::numeric, (random() * 1)::int), 0), substr('xyz', 1 + (random() * 2.9)::int, 1),
		   substr('abcd', 1 + (random() * 3.9)::int, 1), timestamptz '2025-01-01' + i * 7919 % 525600 * interval '1 minute', random() < 0.9, NULL FROM generate_series(first, last) i $$;
-- What the ledger says of each purchase and member.
CREATE FUNCTION totals(prefix text) RETURNS TABLE (program text, member text, key text, points numeric) LANGUAGE sql AS $$
	SELECT substr(p.name, length(prefix) + 1), m.ref, e.source_key, sum(e.points)::numeric FROM loyalty.entry e JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = e.program_id
	WHERE p.name LIKE prefix || '%' GROUP BY 1, 2, 3 HAVING sum(e.points)::numeric <> 0 $$;

-- 3,000 of them come in single statements, several rows, many rows, by COPY or in savepoints that are rolled back;
-- between them they change, are returned in part or whole, and move from one to another.
CREATE FUNCTION come(first int, last int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF random() < 0.3 THEN
		FOR i IN first..last LOOP INSERT INTO orders SELECT * FROM new_orders(i, i); END LOOP;
	ELSE
		INSERT INTO orders SELECT * FROM new_orders(first, last);
	END IF;
END $$;
CREATE FUNCTION change() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	top int := (SELECT max(id) FROM orders);
	low int := random() * top;
	high int := low + random() ^ 4 * 200;
BEGIN
	CASE (random() * 9)::int
	WHEN 0, 1 THEN UPDATE orders SET amount = round(amount * random()::numeric, 2) WHERE id BETWEEN low AND high;
	WHEN 2 THEN UPDATE orders SET amount = amount + 5, quantity = coalesce(quantity, 1) + 1 WHERE id BETWEEN low AND high;
	WHEN 3 THEN UPDATE orders SET quantity = nullif(quantity - 1, 0), amount = amount * 0.75 WHERE id BETWEEN low AND high;
	WHEN 4 THEN UPDATE orders SET counts = NOT counts WHERE id BETWEEN low AND high;
	WHEN 5 THEN UPDATE orders SET member = nullif('m' || (random() * 23)::int, 'm0') WHERE id BETWEEN low AND high;
	WHEN 6 THEN UPDATE orders SET item = substr('xyz', 1 + id % 3, 1), category = substr('abcd', 1 + (random() * 3.9)::int, 1) WHERE id BETWEEN low AND high;
	WHEN 7 THEN UPDATE orders SET amount = -amount WHERE id BETWEEN low AND low + 3;
	WHEN 8 THEN DELETE FROM orders WHERE id BETWEEN low AND low + (high - low) / 8;
	ELSE UPDATE orders SET note = 'seen' WHERE id BETWEEN low AND high;
	END CASE;
END $$;
DO $$
DECLARE
	next int := 1;
	last int;
BEGIN
	WHILE next <= 3000 LOOP
		last := least(next + (random() ^ 5 * 400)::int, 3000);
		BEGIN
			PERFORM come(next, last);
			IF random() < 0.1 THEN RAISE SQLSTATE 'UUUUU'; END IF;
			next := last + 1;
		EXCEPTION WHEN SQLSTATE 'UUUUU' THEN NULL;
		END;
		FOR i IN 1..(random() * 4)::int LOOP
			BEGIN
				PERFORM change();
				IF random() < 0.2 THEN RAISE SQLSTATE 'UUUUU'; END IF;
			EXCEPTION WHEN SQLSTATE 'UUUUU' THEN NULL;
			END;
		END LOOP;
		IF random() < 0.5 THEN COMMIT; END IF;
	END LOOP;
END $$;
COPY orders FROM stdin (DELIMITER ' ');
4001 m1 10.5 1 x a 2025-01-02 t 1
4002 m2 -99 2 y b 2025-07-05 t 2
4003 m3 77.77 0.5 z d 2025-07-06 f 3
4004 m1 15 4 x c 2025-01-05 t 4
\.
UPDATE orders SET counts = true WHERE id > 4000;
SELECT cmp_ok(count(*), '>', 2500::bigint, 'thousands of purchases stand') FROM orders;
SELECT cmp_ok(count(*), '>', 20000::bigint, 'with tens of thousands of entries') FROM entry;
SELECT count(attach('orders', member => 'member', amount => 'amount', quantity => 'quantity', item => 'item', category => 'category', at => 'at', counts => 'counts', program => name)) FROM program WHERE name LIKE 'short %';
CALL backfill('orders', program => 'short add');
CALL backfill('orders', program => 'short multiply');
CALL backfill('orders', program => 'short best');
SELECT is(count(*), 0::bigint, 'nothing was deferred') FROM deferred;
CREATE TEMP TABLE long AS SELECT * FROM totals('long ');
CREATE TEMP TABLE short AS SELECT * FROM totals('short ');
SELECT is_empty('SELECT program, member, key, l.points AS long, s.points AS short FROM long l FULL JOIN short s USING (program, member, key) WHERE l.points IS DISTINCT FROM s.points', 'each purchase has for each member what its row alone gives');
SELECT cmp_ok(count(DISTINCT points), '>', 500::bigint, 'which is of many sizes') FROM long;
SELECT is_empty($$SELECT ref, sum(purse) FROM member m JOIN program p USING (program_id) WHERE p.name LIKE 'long %' AND (lifetime::numeric, total(purse)::numeric) IS DISTINCT FROM
	(SELECT (o.lifetime::numeric, total(o.purse)::numeric) FROM member o WHERE o.member_id = member_id(m.ref, 'short ' || substr(p.name, 6))) AND total(purse) <> 0 GROUP BY 1$$, 'and so has each member');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');

-- partial returns: in however many parts, in the end it is as though the whole had been returned at once; and midway
-- as though what is left had been bought
CREATE FUNCTION shrink(parts int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN REVERSE parts..1 LOOP
		UPDATE orders SET amount = round(amount * (i - random()::numeric) / i, 2), quantity = greatest(quantity - random() * 0.3, 0)::numeric(10, 1) WHERE id BETWEEN 5001 AND 5100 AND (id + i) % 3 > 0;
	END LOOP;
END $$;
INSERT INTO orders SELECT * FROM new_orders(5001, 5100);
UPDATE orders SET counts = true WHERE id BETWEEN 5001 AND 5100;
SELECT shrink(12);
INSERT INTO orders SELECT id + 1000, member, amount, quantity, item, category, at, counts, 'left' FROM orders WHERE id BETWEEN 5001 AND 5100;
SELECT results_eq($$SELECT program, member, key::int + 1000 AS k, points FROM totals('long ') WHERE key::int BETWEEN 5001 AND 5100 ORDER BY 1, 2, 3$$,
	$$SELECT program, member, key::int AS k, points FROM totals('long ') WHERE key::int BETWEEN 6001 AND 6100 ORDER BY 1, 2, 3$$, 'returned in part: as though what is left had been bought');
UPDATE orders SET amount = 0, quantity = NULL WHERE id % 3 = 0 AND id > 5000;
UPDATE orders SET counts = false WHERE id % 3 = 1 AND id > 5000;
DELETE FROM orders WHERE id % 3 = 2 AND id > 5000;
UPDATE orders SET counts = NULL WHERE id > 5000;
SELECT is_empty($$SELECT * FROM totals('long ') WHERE key::int > 5000$$, 'returned in all: nothing is left');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
DELETE FROM orders;
SELECT is_empty($$SELECT * FROM totals('')$$, 'and without purchases nothing at all');
SELECT is(count(*), 0::bigint, 'nobody has anything') FROM member WHERE total(purse) <> 0;
SELECT * FROM finish();
