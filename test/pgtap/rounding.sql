-- Rounding: awards of every kind, alone and together, against plain SQL over many amounts.
SET search_path = public, loyalty;
SELECT no_plan();

-- A program for each rounding mode and scale, all on one table. Each has a rule of every kind; which of them
-- comes first turns with the scale, so that each is rounded alone somewhere, and in every mode.
CREATE TABLE kinds (kind int PRIMARY KEY, award award);
INSERT INTO kinds VALUES (0, '1 per 3'), (1, '4 per full 7.5'), (2, '2.5 each'), (3, '7.5%'), (4, '12.3456');
INSERT INTO program (name, rounding, points_scale)
SELECT m || ' ' || s, m, s FROM unnest('{down,half_up,half_even,up}'::text[]) m, generate_series(0, 4) s;
INSERT INTO rule (program, name, award, priority)
SELECT name, award::text, award, (kind + points_scale) % 5 FROM program, kinds;
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, quantity numeric);
SELECT count(attach('orders', member => 'member', amount => 'amount', quantity => 'quantity', program => name)) FROM program;
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
-- Thrice what a kind gives on a base that is not below zero: that has an exact decimal form.
CREATE FUNCTION thrice(kind int, amount numeric, quantity numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE kind WHEN 0 THEN amount WHEN 1 THEN 12 * div(amount, 7.5) WHEN 2 THEN 7.5 * quantity
		   WHEN 3 THEN 0.225 * amount ELSE 37.0368 END $$;
-- A third of that, rounded.
CREATE FUNCTION third(n numeric, rounding text, scale int) RETURNS numeric IMMUTABLE LANGUAGE sql AS $$
	SELECT (q + CASE rounding WHEN 'down' THEN 0 WHEN 'up' THEN (r > 0)::int WHEN 'half_up' THEN (2 * r >= 3)::int
				ELSE (2 * r > 3 OR 2 * r = 3 AND q % 2 = 1)::int END) / 10::numeric ^ scale
	FROM (SELECT div(m, 3) AS q, m - 3 * div(m, 3) AS r FROM (SELECT n * 10::numeric ^ scale AS m) a) b $$;
-- What each rule should have given on each order, by the greatest priority first: differences of the rounded running sum.
CREATE VIEW should AS
	SELECT name AS program, id, kind, round(sign * (after - coalesce(lag(after) OVER (PARTITION BY name, id ORDER BY priority DESC), 0)), 4) AS points
	FROM (SELECT p.name, o.id, k.kind, p.priority, o.sign,
				 third(sum(thrice(k.kind, o.amount, o.quantity)) OVER (PARTITION BY p.name, o.id ORDER BY p.priority DESC), p.rounding, p.points_scale) AS after
		  FROM (SELECT p.*, r.priority, r.award FROM program p JOIN rule r ON r.program = p.name) p
		  JOIN kinds k ON k.award::text = p.award::text
		  CROSS JOIN (SELECT id, abs(amount) AS amount, abs(coalesce(quantity, 1)) AS quantity,
							 CASE WHEN amount < 0 THEN -1 ELSE 1 END AS sign FROM orders) o) s;
CREATE VIEW given AS
	SELECT s.program, source_key::int AS id, k.kind, sum(e.points)::numeric AS points
	FROM entry e JOIN source s USING (source_id) JOIN rule r USING (rule_id) JOIN kinds k ON k.award::text = r.award::text GROUP BY 1, 2, 3;
CREATE VIEW wrong AS
	SELECT program, id, amount, quantity, kind, should.points AS should, coalesce(given.points, 0) AS given
	FROM should LEFT JOIN given USING (program, id, kind) JOIN orders USING (id) WHERE should.points <> coalesce(given.points, 0);

-- around every boundary: small amounts, halves, steps, thirds, none, refunds, great ones
INSERT INTO orders SELECT i, 'm' || i % 7, i / 100.0, 1 FROM generate_series(0, 100) i;
INSERT INTO orders SELECT 1000 + i, 'm' || i % 7, i * 0.5, NULL FROM generate_series(1, 60) i;
INSERT INTO orders SELECT 2000 + i, 'm' || i % 7, i * 7.5 + (i % 3 - 1) * 0.01, i / 10.0 FROM generate_series(1, 60) i;
INSERT INTO orders SELECT 3000 + i, 'm' || i % 7, -i * 1.37, i % 4 FROM generate_series(1, 60) i;
INSERT INTO orders SELECT 4000 + i, 'm' || i % 7, 10::numeric ^ i + 0.0000001 * i, 10::numeric ^ (i - 8) FROM generate_series(0, 11) i;
SELECT is_empty('SELECT * FROM wrong', 'every part of every purchase');
SELECT results_eq('SELECT count(*) FROM should', 'VALUES ((101 + 60 + 60 + 60 + 12) * 20 * 5::bigint)', 'all of them compared');
SELECT cmp_ok((SELECT count(DISTINCT points) FROM given), '>', 1000::bigint, 'which are of many sizes');

-- worked out by hand: 4.50 at scale 0, the rules in order fixed, 7.5%, each, per full, per
INSERT INTO orders VALUES (9000, 'hand', 4.5, 1), (9001, 'hand', -4.5, 1);
CREATE FUNCTION parts(text, int) RETURNS numeric[] LANGUAGE sql
	AS $$ SELECT array_agg(coalesce(points, 0) ORDER BY kind DESC) FROM kinds LEFT JOIN (SELECT * FROM given WHERE program = $1 AND id = $2) g USING (kind) $$;
-- running sums 12.3456, 12.6831, 15.1831, 15.1831, 16.6831
SELECT is(parts('down 0', 9000), '{12,0,3,0,1}', 'down');
SELECT is(parts('half_up 0', 9000), '{12,1,2,0,2}', 'half up');
SELECT is(parts('up 0', 9000), '{13,0,3,0,1}', 'up');
SELECT is(parts('up 0', 9001), '{-13,0,-3,0,-1}', 'and a refund the same below zero');

-- up and down in steps: each part is always that of the row as it is; a series of returns gives back exactly the whole
DO $$ BEGIN
	FOR i IN 1..4 LOOP
		UPDATE orders SET amount = amount + (id * 37 % 100 - 50) * 0.013 * i, quantity = nullif((id + i) % 5, 0) WHERE id < 4000;
	END LOOP;
END $$;
SELECT is_empty('SELECT * FROM wrong', 'after four rounds of changes');
INSERT INTO orders VALUES (9100, 'steps', 100, 10);
DO $$ BEGIN FOR i IN 1..19 LOOP UPDATE orders SET amount = amount - 5.01, quantity = quantity - 0.5 WHERE id = 9100; END LOOP; END $$;
SELECT is_empty('SELECT * FROM wrong', 'after nineteen partial returns');
DELETE FROM orders WHERE id = 9100;
SELECT is_empty($$SELECT * FROM given WHERE id = 9100 AND points <> 0$$, 'and the last one');

SELECT is_empty('SELECT * FROM unsound()', 'every purse is the sum of its entries, and nothing contradicts itself');
SELECT * FROM finish();
