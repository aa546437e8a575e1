-- Baskets: purchases of several lines, which a query reads, under rules that are about some of them.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SET client_min_messages = error;	-- of purchases that are deferred
SELECT no_plan();

CREATE TABLE orders (id int PRIMARY KEY, customer text, at timestamptz DEFAULT '2025-03-15 12:00+00', state text DEFAULT 'paid', channel text);
CREATE TABLE lines (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id int, item text, category text, amount numeric, quantity numeric, currency text, data jsonb);
-- Each program reads them by a query of its own.
CREATE FUNCTION program(name text, stacking text DEFAULT 'add', points_scale int DEFAULT 4, rounding text DEFAULT 'down') RETURNS int LANGUAGE sql AS $$
	INSERT INTO loyalty.program (name, currency, stacking, points_scale, rounding) VALUES ($1, 'USD', $2, $3, $4);
	SELECT loyalty.attach_query(name => 'basket', query => $q$
			SELECT o.id AS key, o.customer AS member, o.at, l.amount, l.item, l.category, l.quantity, o.channel, l.currency, o.state = 'paid' AS counts, l.data
			FROM public.orders o JOIN public.lines l ON l.order_id = o.id$q$,
		watch => '{public.orders.id, public.lines.order_id}', program => $1) $$;
CREATE FUNCTION add_line(order_id int, item text, category text, amount numeric, quantity numeric DEFAULT NULL, currency text DEFAULT NULL, data jsonb DEFAULT NULL) RETURNS void LANGUAGE sql
	AS $$ INSERT INTO lines (order_id, item, category, amount, quantity, currency, data) VALUES ($1, $2, $3, $4, $5, $6, $7) $$;
-- What a purchase has earned in a program.
CREATE FUNCTION net(program text, id int) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(e.points), 0)::numeric FROM loyalty.entry e JOIN loyalty.program p USING (program_id) WHERE p.name = $1 AND e.source_key = id::text $$;
CREATE FUNCTION nets(program text, VARIADIC ids int[]) RETURNS numeric[] LANGUAGE sql AS $$
	SELECT array_agg(net($1, id) ORDER BY n) FROM unnest(ids) WITH ORDINALITY i (id, n) $$;
CREATE FUNCTION parts(program text, id int) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(name || ' ' || trim_scale(points), ', ' ORDER BY name) FROM (
		SELECT r.name, sum(e.points)::numeric AS points FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id) WHERE r.program = $1 AND e.source_key = id::text GROUP BY 1) s
	WHERE points <> 0 $$;

-- one order of three lines: 12 of item 123, 100 of item 000, 40 for delivery
SELECT count(program(p, points_scale => 0)) FROM unnest('{excluding,excluding by condition,tripled,three products,three rules}'::text[]) p;
INSERT INTO rule (program, name, award, exclude_items, exclude_categories) VALUES ('excluding', 'base', '4 per 1', '{123}', '{delivery}');
INSERT INTO rule (program, name, award, condition) VALUES ('excluding by condition', 'base', '4 per 1', $$item <> '123' AND category <> 'delivery'$$);
INSERT INTO rule (program, name, award, include_items) VALUES ('tripled', 'base', '4 per 1', NULL), ('tripled', 'x3', 'x3', '{123}'),
	('three products', 'four', '4 per 1', NULL), ('three products', 'ten', '10 per 1', NULL), ('three products', 'x3', 'x3', '{123}'), ('three products', 'x5', 'x5', '{000}'), ('three products', 'bonus', '200', '{000}');
INSERT INTO rule (program, name, award, priority, stop) VALUES ('three rules', 'one', '1 per 1', 3, false), ('three rules', 'two', '1 per 1', 2, true), ('three rules', 'three', '1 per 1', 1, false);
BEGIN;
INSERT INTO orders VALUES (1, 'ada');
SELECT add_line(1, '123', 'goods', 12, 1), add_line(1, '000', 'goods', 100, 2), add_line(1, '0001', 'delivery', 40, 1);
COMMIT;
-- 100 x 4; 152 x 4 + 12 x 4 x 2; 14 x (36 + 500 + 40) + 200; 152 x 2
SELECT results_eq($$SELECT net('excluding', 1), net('excluding by condition', 1), net('tripled', 1), net('three products', 1), net('three rules', 1)$$, 'VALUES (400.0, 400.0, 704.0, 8264.0, 304.0)', 'three lines');
-- x3 adds 2 x 14 x 12, x5 adds 4 x 14 x 100
SELECT is(parts('three products', 1), 'bonus 200, four 608, ten 1520, x3 336, x5 5600', 'rule by rule');
SELECT is(parts('three rules', 1), 'one 152, two 152', 'stopped');

--
-- awards over the lines together, and what each line has of them
--
SELECT program('kinds'), program('shares');
INSERT INTO rule (program, name, award) SELECT p, award, award::award FROM unnest('{kinds,shares}'::text[]) p, unnest('{1 per 8,5 per full 50,2 each,7.5%,12.5}'::text[]) award;
INSERT INTO rule (program, name, award, purchase_cap) SELECT p, 'capped', '1 per 1', 100 FROM unnest('{kinds,shares}'::text[]) p;
INSERT INTO rule (program, name, award, include_items) VALUES ('shares', 'x2', 'x2', '{123}'), ('shares', 'x1.5', 'x1.5', '{123,000}');
INSERT INTO rule (program, name, award, include_categories, min_amount, min_quantity) VALUES ('kinds', 'delivery of much', '1', '{delivery}', 152, 4);
INSERT INTO orders SELECT i, 'ada' FROM generate_series(11, 18) i;
SELECT add_line(id, '123', 'goods', sign * 12, sign * 1), add_line(id, '000', 'goods', sign * 100, sign * 2), add_line(id, '0001', 'delivery', sign * 40, CASE WHEN sign > 0 THEN 1 END)
FROM (VALUES (11, 1), (12, -1)) v (id, sign);
SELECT is(nets('kinds', 11, 12), ARRAY[19 + 15 + 8 + 11.4 + 12.5 + 100 + 1, -(19 + 15 + 8 + 11.4 + 12.5 + 100 + 1)], 'over all lines together: 3 full 50 of 152, and a cap of all');
-- The per full 50 gives 15, of which the line of 12 has 12/152; the capped 100 likewise; of quantity it has 1/4 of 8.
-- Line of 12: 1.5 + 180/152 + 2 + 0.9 + 1200/152 = 13.478947.., and of 100: 12.5 + 1500/152 + 4 + 7.5 + 10000/152 = 99.6578947..; x2 and x1.5 add 1.5 of the first and half of the second
SELECT is(net('shares', 11), trunc(19 + 15 + 8 + 11.4 + 12.5 + 100 + (1.5 * (4.4 * 152 + 1380) + 0.5 * (24 * 152 + 11500)) / 152, 4), 'what each line has of an award is as its amount or quantity');
SELECT is(net('shares', 12), -net('shares', 11), 'and of a refund');

-- negative lines: a discount, a return in the same basket
SELECT add_line(13, '123', 'goods', 12), add_line(13, '000', 'goods', 100), add_line(13, 'voucher', 'discount', -20),
	add_line(14, '123', 'goods', 12), add_line(14, '000', 'goods', -100, -1), add_line(15, '123', 'goods', -12), add_line(15, '000', 'goods', 0), add_line(16, 'x', 'goods', 0), add_line(16, 'y', 'goods', 0, 0);
SELECT is(nets('excluding', 13, 14, 15, 16), '{320,0,0,0}', 'a discount is subtracted; what is below zero in all gives nothing');
-- -88 gives nothing; two items of 1 and -1 are none
SELECT is(nets('tripled', 13, 14, 15, 16), '{464,0,-144,0}', '(92 + 24) x 4; nothing; a refund alone of 12 x 4 x 3');
-- a line of 12 has 12/-88 of nothing, and a fixed award is not for what was returned
SELECT is(nets('kinds', 13, 14, 15, 16), ARRAY[11.5 + 5 + 6 + 6.9 + 12.5 + 92, 0, -(1.5 + 0 + 4 + 0.9 + 12.5 + 12), 2 + 12.5], 'of every kind');
-- an award whose lines are below zero takes nothing from others
SELECT program('below');
INSERT INTO rule (program, name, award, include_items, condition) VALUES ('below', 'goods', '1 per 1', '{123,000}', NULL), ('below', 'negative', '1 per 1', NULL, 'amount < 0'), ('below', 'x2', 'x2', '{voucher}', NULL), ('below', 'all', '1 per 1', NULL, NULL);
INSERT INTO orders VALUES (19, 'ada');
SELECT add_line(19, '123', 'goods', 12), add_line(19, '000', 'goods', 100), add_line(19, 'voucher', 'discount', -20);
-- 112 + 0 + 92, and the double of -20 within the 92
SELECT is(parts('below', 19), 'all 92, goods 92', 'x2 of a line below zero takes 20 from those before it');

--
-- several multipliers on overlapping lines
--
SELECT program(s, s, 0) FROM unnest('{add,multiply,best}'::text[]) s;
INSERT INTO rule (program, name, award, include_items, include_categories, condition) SELECT p, name, award::award, items::text[], categories::text[], condition FROM unnest('{add,multiply,best}'::text[]) p, (VALUES
	('base', '1 per 1', NULL, NULL, NULL), ('all', 'x2', NULL, NULL, NULL), ('item', 'x3', '{123}', NULL, NULL), ('none', 'x0', NULL, '{delivery}', NULL), ('big', 'x1.5', NULL, NULL, 'amount > 50 AND order_amount > 150')) r (name, award, items, categories, condition);
INSERT INTO orders VALUES (21, 'bob'), (22, 'bob');
SELECT add_line(21, '123', 'goods', 12), add_line(21, '000', 'goods', 100), add_line(21, '0001', 'delivery', 40), add_line(22, '123', 'goods', 12), add_line(22, '000', 'goods', 100);
-- 12 x 4 + 100 x 2.5 + 40 x 1; 12 x 6 + 100 x 3 + 0; 12 x 3 + 100 x 2 + 40 x 2; and 112 in all does not reach 150
SELECT results_eq($$SELECT nets('add', 21, 22), nets('multiply', 21, 22), nets('best', 21, 22)$$, $$VALUES ('{338,248}'::numeric[], '{372,272}'::numeric[], '{316,236}'::numeric[])$$, 'line by line');

--
-- conditions, and awards that are worked out
--
SELECT program('facts');
INSERT INTO rule (program, name, award, condition) VALUES ('facts', 'a order', '1', 'order_amount = 152 AND order_quantity = 4'), ('facts', 'b both', '2', $$item = '123' AND amount = 100$$), ('facts', 'c line', '1 per 1', $$data ->> 'k' = 'v'$$),
	('facts', 'd channel', '4', $$channel = 'web'$$), ('facts', 'e raises', '8', $$CASE WHEN category IN ('goods', 'delivery') THEN 100 / (amount - 7) > 0 AND category = 'goods' END$$);
INSERT INTO rule (program, name, award_points, condition) VALUES ('facts', 'f lines', 'amount * quantity', $$category = 'goods'$$), ('facts', 'g order', 'order_amount / 10', $$category = 'goods'$$), ('facts', 'h null', 'CASE WHEN quantity > 1 THEN amount END', NULL);
INSERT INTO orders (id, customer, channel) VALUES (31, 'cy', 'web'), (32, 'cy', NULL), (33, 'cy', NULL);
SELECT add_line(31, '123', 'goods', 12, 1), add_line(31, '000', 'goods', 100, 2, data => '{"k": "v"}'), add_line(31, '0001', 'delivery', 40, 1), add_line(32, '000', 'goods', 8, 1), add_line(33, '0001', 'delivery', 7, 1), add_line(33, '000', 'goods', 9, 1);
SELECT is(parts('facts', 31), 'a order 1, c line 100, d channel 4, e raises 8, f lines 212, g order 15.2, h null 100', 'a condition holds on a line; what is worked out over lines is a sum, over the order given once');
SELECT is(net('facts', 32), 8 + 8 + 0.8, 'another order');
SELECT results_eq($$SELECT net('facts', 33), error_code FROM deferred JOIN program USING (program_id) WHERE name = 'facts'$$, $$VALUES (0.0, '22012')$$, 'one line that raises defers the purchase');
DELETE FROM lines WHERE order_id = 33 AND amount = 7;
CALL maintain();
SELECT is(net('facts', 33), 8 + 9 + 0.9, 'without it, it earns');

--
-- exclusive groups are of the whole basket
--
SELECT program('group');
INSERT INTO rule (program, name, award, include_items, exclusive_group) VALUES ('group', 'base', '1 per 1', NULL, NULL), ('group', 'x5 small', 'x5', '{123}', 'g'), ('group', 'x2 great', 'x2', '{000}', 'g'), ('group', 'fix', '60', '{0001}', 'g'), ('group', 'x1.3', 'x1.3', NULL, 'g');
INSERT INTO orders VALUES (41, 'di'), (42, 'di'), (43, 'di');
SELECT add_line(41, '123', 'goods', 12), add_line(41, '000', 'goods', 100), add_line(41, '0001', 'delivery', 40), add_line(42, '123', 'goods', 12), add_line(42, '0001', 'delivery', 40), add_line(43, '123', 'goods', 20), add_line(43, '0001', 'delivery', 40);
-- 48, 100, 60, 45.6; 48, 60, 15.6; 80, 60, 18
SELECT is(nets('group', 41, 42, 43), '{252,112,140}', 'the best of the group over all lines');

--
-- however lines change
--
SELECT program('plain', points_scale => 0);
INSERT INTO rule (program, name, award, exclude_categories) VALUES ('plain', 'base', '1 per full 10', '{delivery}');
INSERT INTO rule (program, name, award, include_items) VALUES ('plain', 'x2', 'x2', '{123}');
CREATE FUNCTION is_plain(id int, points numeric, why text) RETURNS text LANGUAGE sql AS $$ SELECT is(net('plain', id), points, why) $$;
INSERT INTO orders VALUES (51, 'ed');
SELECT is_plain(51, 0, 'no lines, no purchase');
SELECT add_line(51, '000', 'goods', 15);
SELECT is_plain(51, 1, 'a line');
SELECT add_line(51, '000', 'goods', 15);
SELECT is_plain(51, 3, 'two of 15 make 30');
SELECT add_line(51, '123', 'goods', 30), add_line(51, '0001', 'delivery', 1000);
SELECT is_plain(51, 9, 'and 30 of another: half of 6, doubled');
UPDATE lines SET category = 'goods', amount = 4 WHERE order_id = 51 AND item = '0001';
SELECT is_plain(51, 8, '64: 6 and 30/64 of 6');
UPDATE lines SET amount = amount - 10 WHERE order_id = 51 AND amount > 10;
SELECT is_plain(51, 4, '34: 3 and 20/34 of 3');
DELETE FROM lines WHERE order_id = 51 AND item <> '123';
SELECT is_plain(51, 4, '20 doubled');
UPDATE lines SET item = 'other' WHERE order_id = 51;
SELECT is_plain(51, 2, 'another item');
UPDATE orders SET customer = 'flo' WHERE id = 51;
SELECT results_eq($$SELECT ref, lifetime::numeric FROM member JOIN program p USING (program_id) WHERE p.name = 'plain' AND ref IN ('ed', 'flo') ORDER BY 1$$, $$VALUES ('ed' COLLATE "C", 0.0), ('flo', 2.0)$$, 'to another member');
UPDATE orders SET state = 'open' WHERE id = 51;
SELECT is_plain(51, 0, 'counts no more');
UPDATE orders SET state = 'paid', customer = NULL WHERE id = 51;
SELECT is_plain(51, 0, 'a guest');
UPDATE orders SET customer = 'ed' WHERE id = 51;
SELECT is_plain(51, 2, 'and back');
INSERT INTO lines (order_id, item, amount) VALUES (52, '123', 50);
SELECT is_plain(52, 0, 'lines without their order');
INSERT INTO orders VALUES (52, 'ed');
SELECT is_plain(52, 10, 'which comes later');
UPDATE lines SET order_id = CASE order_id WHEN 51 THEN 52 ELSE 51 END WHERE order_id IN (51, 52);
SELECT is(nets('plain', 51, 52), '{10,2}', 'lines change places');
UPDATE orders SET id = id + 100 WHERE id IN (51, 52);
SELECT is(nets('plain', 51, 52, 151, 152), '{0,0,0,0}', 'orders leave their lines behind');
UPDATE lines SET order_id = order_id + 100 WHERE order_id IN (51, 52);
SELECT is(nets('plain', 51, 52, 151, 152), '{0,0,10,2}', 'which follow');
DELETE FROM lines WHERE order_id = 151;
DELETE FROM orders WHERE id = 152;
SELECT is(nets('plain', 151, 152), '{0,0}', 'deleted');
-- partial returns, line by line or in the lines, give back what the whole return does
INSERT INTO orders VALUES (53, 'gus'), (54, 'gus');
SELECT add_line(o, CASE WHEN i % 3 = 0 THEN '123' ELSE '000' END, 'goods', i * 7.77) FROM generate_series(53, 54) o, generate_series(1, 9) i;
DO $$ BEGIN
	FOR i IN 1..9 LOOP
		UPDATE lines SET amount = round(amount * 0.61, 2) WHERE order_id = 53;
		DELETE FROM lines WHERE order_id = 53 AND id = (SELECT min(id) FROM lines WHERE order_id = 53);
	END LOOP;
END $$;
DELETE FROM lines WHERE order_id = 54;
SELECT is(nets('plain', 53, 54), '{0,0}', 'in eighteen steps, and at once');
SELECT is((SELECT lifetime::numeric FROM member WHERE member_id = member_id('gus', 'plain')), 0.0, 'nothing is left');

-- what was returned by lines below zero was not bought: a fixed award goes with it, but not for what was given away
SELECT program('returned');
INSERT INTO rule (program, name, award, include_items) VALUES ('returned', 'base', '1 per 1', NULL), ('returned', 'bonus', '200', '{r}');
INSERT INTO orders SELECT i, 'ray' FROM generate_series(901, 903) i;
SELECT add_line(901, 'r', 'a', 30), add_line(901, 's', 'a', 5), add_line(902, 'r', 'a', 0), add_line(903, 'r', 'a', 30), add_line(903, 'r', 'a', -10);
SELECT is(nets('returned', 901, 902, 903), '{235,200,220}', 'a fixed award for a line');
SELECT add_line(901, 'r', 'a', -30), add_line(903, 'r', 'a', -20);
SELECT is(nets('returned', 901, 902, 903), '{5,200,0}', 'not for one that was returned');

--
-- random baskets against plain SQL
--
SELECT round(random()::numeric, 6) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);
SELECT program('chance add', 'add'), program('chance multiply', 'multiply'), program('chance best', 'best');
INSERT INTO rule (program, name, award, include_categories, condition) SELECT p, name, award::award, categories::text[], condition FROM unnest('{chance add,chance multiply,chance best}'::text[]) p, (VALUES
	('per', '1 per 3', NULL, NULL), ('percent', '12.5%', '{a,b}', NULL), ('item', '0.75 each', '{a}', NULL), ('fixed', '11', '{c}', NULL),
	('x2', 'x2', '{b}', NULL), ('x0.5', 'x0.5', NULL, 'amount < 5'), ('x1.75', 'x1.75', NULL, $$item = 'i'$$)) r (name, award, categories, condition);
CREATE FUNCTION chance_lines(orders int, lines int) RETURNS void VOLATILE LANGUAGE sql AS $$
	INSERT INTO orders SELECT 10000 + i, 'c' || i % 20 FROM generate_series(1, $1) i ON CONFLICT DO NOTHING;
	INSERT INTO lines (order_id, item, category, amount, quantity) SELECT 10001 + random() * ($1 - 1), substr('ijk', 1 + (random() * 2.9)::int, 1), substr('abc', 1 + (random() * 2.9)::int, 1), round((random() * 40)::numeric, 2), (random() * 3)::int FROM generate_series(1, $2) $$;
CREATE VIEW chance AS SELECT id, trunc(fixed + "add" / 24, 4) AS "add", trunc(fixed + multiply / 24, 4) AS multiply, trunc(fixed + best / 24, 4) AS best FROM (
	SELECT order_id AS id, 11 * bool_or(category = 'c')::int AS fixed, sum(base * (1 + b + h + i)) AS "add", sum(base * (1 + b) * (1 + h) * (1 + i)) AS multiply,
		   sum(base * CASE WHEN b = 0 AND h = 0 AND i = 0 THEN 1 ELSE greatest(CASE WHEN b <> 0 THEN 1 + b END, CASE WHEN h <> 0 THEN 1 + h END, CASE WHEN i <> 0 THEN 1 + i END) END) AS best
	FROM (SELECT order_id, category, 8 * amount + CASE WHEN category IN ('a', 'b') THEN 3 * amount ELSE 0 END + CASE WHEN category = 'a' THEN 18 * coalesce(quantity, 1) ELSE 0 END AS base,
				 CASE WHEN category = 'b' THEN 1 ELSE 0 END AS b, CASE WHEN amount < 5 THEN -0.5 ELSE 0 END AS h, CASE WHEN item = 'i' THEN 0.75 ELSE 0 END AS i
		  FROM lines WHERE order_id > 10000) l GROUP BY 1) s;
CREATE VIEW chance_wrong AS SELECT id, p, "add", multiply, best, points FROM chance
	FULL JOIN (SELECT source_key::int AS id, p.name AS p, sum(points)::numeric AS points FROM entry JOIN program p USING (program_id) WHERE p.name LIKE 'chance %' GROUP BY 1, 2) g USING (id)
	WHERE points <> coalesce(CASE p WHEN 'chance add' THEN "add" WHEN 'chance multiply' THEN multiply ELSE best END, 0) OR points IS NULL;
SELECT chance_lines(300, 1500);
SELECT is_empty('SELECT * FROM chance_wrong', '1,500 lines of 300 baskets');
SELECT cmp_ok(count(*), '>', 250::bigint, 'compared') FROM chance;
UPDATE lines SET amount = round(amount * 0.7, 2), quantity = quantity + id % 2 WHERE order_id > 10000 AND id % 3 = 0;
DELETE FROM lines WHERE order_id > 10000 AND id % 7 = 0;
UPDATE lines SET category = 'b', order_id = 10001 + random() * 299 WHERE order_id > 10000 AND id % 11 = 0;
SELECT chance_lines(300, 200);
SELECT is_empty('SELECT * FROM chance_wrong', 'and after changes');

SELECT is_empty('SELECT * FROM deferred', 'nothing is deferred');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
DELETE FROM orders WHERE id % 2 = 0;
DELETE FROM lines;
SELECT is(count(*), 0::bigint, 'without lines nothing') FROM member WHERE total(purse) <> 0;
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
SELECT * FROM finish();
