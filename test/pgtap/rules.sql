-- Rules: which of them apply to a purchase of one line, what they give together, and what a purchase keeps of them.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SET client_min_messages = error;	-- of purchases that are deferred
SELECT no_plan();

-- A program for each test, all on one table.
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, quantity numeric, item text, category text, channel text, store text,
					 currency text, at timestamptz DEFAULT '2025-03-15 12:00+00', data jsonb, counts boolean DEFAULT true);
CREATE FUNCTION program(name text, stacking text DEFAULT 'add', points_scale int DEFAULT 4, rounding text DEFAULT 'down', time_zone text DEFAULT 'UTC') RETURNS int LANGUAGE sql AS $$
	INSERT INTO loyalty.program (name, currency, stacking, points_scale, rounding, time_zone) VALUES ($1, 'USD', $2, $3, $4, $5);
	SELECT loyalty.attach('orders', member => 'member', amount => 'amount', quantity => 'quantity', item => 'item', category => 'category',
		channel => 'channel', store => 'store', currency => 'currency', at => 'at', data => 'data', counts => 'counts', program => $1) $$;
CREATE FUNCTION buy(id int, member text, amount numeric, quantity numeric DEFAULT NULL, item text DEFAULT NULL, category text DEFAULT NULL) RETURNS void LANGUAGE sql
	AS $$ INSERT INTO orders (id, member, amount, quantity, item, category) VALUES ($1, $2, $3, $4, $5, $6) $$;
-- What a purchase has earned in a program.
CREATE FUNCTION net(program text, id int) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(e.points), 0)::numeric FROM loyalty.entry e JOIN loyalty.program p USING (program_id) WHERE p.name = $1 AND e.source_key = id::text $$;
CREATE FUNCTION nets(program text, VARIADIC ids int[]) RETURNS numeric[] LANGUAGE sql AS $$
	SELECT array_agg(net($1, id) ORDER BY n) FROM unnest(ids) WITH ORDINALITY i (id, n) $$;
-- The same rule by rule, by name: "base 230, first 10".
CREATE FUNCTION parts(program text, id int) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(name || ' ' || trim_scale(points), ', ' ORDER BY name) FROM (
		SELECT r.name, sum(e.points)::numeric AS points FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id) WHERE r.program = $1 AND e.source_key = id::text GROUP BY 1) s
	WHERE points <> 0 $$;

--
-- multipliers, as the program stacks them
--
SELECT count(program(s, s, 0)) FROM unnest('{add,multiply,best}'::text[]) s;
INSERT INTO rule (program, name, award) SELECT name, 'base', '2.3 per 1' FROM program;
INSERT INTO rule (program, name, award, include_items) SELECT name, 'product', 'x2', '{coffee}' FROM program;
INSERT INTO rule (program, name, award, condition) SELECT name, 'segment', 'x4', $$'vip' = ANY (member.segments)$$ FROM program;
INSERT INTO rule (program, name, award, condition) SELECT name, 'first', '10', 'purchase_no = 1' FROM program;
SELECT count(enroll('vip', '{"segments": ["vip", "other"]}', program => name)) FROM program;
SELECT buy(1, 'vip', 100, item => 'coffee'), buy(2, 'vip', 100, item => 'coffee'), buy(3, 'vip', 100), buy(4, 'plain', 100, item => 'coffee'), buy(5, 'plain', 100, item => 'tea');
-- 230 x (2 x 4), 230 x (1 + 1 + 3), 230 x 4; and 10 of the first; not for the others what they do not meet
SELECT is(nets('multiply', 1, 2, 3, 4, 5), '{1850,1840,920,470,230}', 'multiply');
SELECT is(nets('add', 1, 2, 3, 4, 5), '{1160,1150,920,470,230}', 'add');
SELECT is(nets('best', 1, 2, 3, 4, 5), '{930,920,920,470,230}', 'best');
-- The newer rule first: segment, then product. Each has what it adds to those before it.
SELECT is(parts('multiply', 1), 'base 230, first 10, product 920, segment 690', 'multiply: 230 x 4 - 230, then x 8 - x 4');
SELECT is(parts('add', 1), 'base 230, first 10, product 230, segment 690', 'add: each its own');
SELECT is(parts('best', 1), 'base 230, first 10, segment 690', 'best: the others add nothing');

-- x0, x0.5; several; never below zero; nothing but scaling awards is multiplied
SELECT count(program('x ' || s, s)) FROM unnest('{add,multiply,best}'::text[]) s;
INSERT INTO rule (program, name, award, condition, priority)
SELECT p, name, award::award, condition, priority FROM unnest('{x add,x multiply,x best}'::text[]) p, (VALUES ('base', '1 per 3', NULL, 9), ('fixed', '7', NULL, 8),
	('none', 'x0', $$data ? 'none'$$, 7), ('half', 'x0.5', $$data ? 'half'$$, 6), ('more', 'x1.5', $$data ? 'more'$$, 5), ('thrice', 'x3', $$data ? 'thrice'$$, 4)) r (name, award, condition, priority);
CREATE TABLE mixes (id int, data jsonb, "add" numeric, multiply numeric, best numeric);
-- the factor on 33.3333.. of 100
INSERT INTO mixes VALUES (11, '[]', 1, 1, 1), (12, '["none"]', 0, 0, 0), (13, '["half"]', 0.5, 0.5, 0.5), (14, '["half", "more"]', 1, 0.75, 1.5), (15, '["none", "half"]', 0, 0, 0.5),
	(16, '["none", "thrice"]', 2, 0, 3), (17, '["half", "thrice", "more"]', 3, 2.25, 3), (18, '["more"]', 1.5, 1.5, 1.5), (19, '["none", "half", "more", "thrice"]', 2, 0, 3);
INSERT INTO orders (id, member, amount, data) SELECT id, 'x', 100, data FROM mixes;
INSERT INTO orders (id, member, amount, data) SELECT id + 10, 'x', -100, data FROM mixes;
SELECT results_eq($$SELECT net('x add', id), net('x multiply', id), net('x best', id) FROM mixes ORDER BY id$$,
	$$SELECT trunc("add" * 100 / 3 + 7, 4), trunc(multiply * 100 / 3 + 7, 4), trunc(best * 100 / 3 + 7, 4) FROM mixes ORDER BY id$$, 'multipliers of every size');
SELECT results_eq($$SELECT net('x add', id + 10), net('x multiply', id + 10), net('x best', id + 10) FROM mixes ORDER BY id$$,
	$$SELECT -trunc("add" * 100 / 3 + 7, 4), -trunc(multiply * 100 / 3 + 7, 4), -trunc(best * 100 / 3 + 7, 4) FROM mixes ORDER BY id$$, 'and of refunds');
-- running sums 33.3333, 40.3333 (and of 0.5: 23.6666)
SELECT is(parts('x multiply', 13), 'base 23.6666', 'what x0.5 takes is taken from those before it, the last first');
SELECT is((SELECT sum(points)::numeric FROM entry e JOIN rule r USING (rule_id) WHERE program = 'x add' AND source_key = '12'), 7.0, 'what is multiplied by zero is nothing, the fixed award stands');
SELECT is_empty($$SELECT * FROM entry e JOIN program p USING (program_id) WHERE name LIKE 'x %' AND amount > 0 AND e.points < '0'::points$$, 'no rule gives less than nothing');

--
-- priority, equal priority, stop
--
SELECT program('order');
INSERT INTO rule (program, name, award, priority, stop, condition) VALUES ('order', 'd old', '1', 0, false, NULL), ('order', 'c new', '2', 0, true, $$data ? 'stop c'$$),
	('order', 'b', '4', 1, true, $$data ? 'stop b'$$), ('order', 'a', '8', 2, false, NULL), ('order', 'e', '16', -1, false, NULL), ('order', 'x', 'x2', -2, false, NULL), ('order', 'per', '1 per 1', 3, false, NULL);
INSERT INTO orders (id, member, amount, data) VALUES (31, 'o', 10, '[]'), (32, 'o', 10, '["stop c"]'), (33, 'o', 10, '["stop b"]'), (34, 'o', 10, '["stop b", "stop c"]');
SELECT is(parts('order', 31), 'a 8, d old 1, e 16, per 10, x 10', 'what does not apply stops nothing');
SELECT is(parts('order', 32), 'a 8, c new 2, per 10', 'of equal priority the newer comes first, and stops the older');
SELECT is(parts('order', 33), 'a 8, b 4, per 10', 'the greater priority first');
SELECT is(parts('order', 34), 'a 8, b 4, per 10', 'a rule that was stopped stops nothing');
-- the order shows in the rounding too: at scale 0 the first of three thirds and a half gives nothing
SELECT program('turns', points_scale => 0);
INSERT INTO rule (program, name, award, priority) VALUES ('turns', 'a', '0.4', 1), ('turns', 'b', '0.4', 1), ('turns', 'c', '0.4', 2);
SELECT buy(35, 'o', 1);
SELECT is(parts('turns', 35), 'a 1', '0.4 of c, 0.8 with b, 1.2 with a, which is the older');

--
-- exclusive groups: of awards, of multipliers, of both
--
SELECT program('group');
INSERT INTO rule (program, name, award, exclusive_group, condition, priority) VALUES
	('group', 'base', '1 per 1', NULL, NULL, 0),
	('group', 'fix 50', '50', 'g', $$data ? 'g'$$, 9), ('group', 'percent', '60%', 'g', $$data ? 'g'$$, 8), ('group', 'per full', '25 per full 50', 'g', $$data ? 'g'$$, 7),
	('group', 'x1.2', 'x1.2', 'm', $$data ? 'm'$$, 6), ('group', 'x1.5', 'x1.5', 'm', $$data ? 'm'$$, 5), ('group', 'x0.5', 'x0.5', 'm', $$data ? 'm'$$, 4),
	('group', 'mixed 40', '40', 'mix', $$data ? 'mix'$$, 3), ('group', 'mixed x2', 'x2', 'mix', $$data ? 'mix'$$, 2), ('group', 'mixed x1.1', 'x1.1', 'mix', $$data ? 'mix'$$, 1);
INSERT INTO orders (id, member, amount, data) VALUES
	-- 50, 42, 25; 50, 60, 50; 50, 48, 25 and a tie of 50 and 25 x 2 at 100 is not of these
	(41, 'g', 70, '["g"]'), (42, 'g', 100, '["g"]'), (43, 'g', 80, '["g"]'),
	(44, 'g', 80, '["m"]'), (45, 'g', 39, '["mix"]'), (46, 'g', 41, '["mix"]'), (47, 'g', 40, '["mix"]'), (48, 'g', 100, '["g", "m", "mix"]'), (49, 'g', -100, '["g", "m", "mix"]');
SELECT is(parts('group', 41), 'base 70, fix 50 50', 'awards: 50 is more than 42 and 25');
SELECT is(parts('group', 42), 'base 100, percent 60', 'at 100 the percentage is');
SELECT is(parts('group', 43), 'base 80, fix 50 50', 'and at 80 it is not');
SELECT is(parts('group', 44), 'base 80, x1.5 40', 'multipliers: the greatest');
SELECT is(parts('group', 45), 'base 39, mixed 40 40', 'mixed: 40 is more than 39 by x2');
SELECT is(parts('group', 46), 'base 41, mixed x2 41', 'and less than 41');
SELECT is(parts('group', 47), 'base 40, mixed 40 40', 'on a tie the earlier');
-- 100 + 60, scaling awards of another group are multiplied too: x1.5 adds 80, x2 adds 160 (more than 40)
SELECT is(parts('group', 48), 'base 100, mixed x2 160, percent 60, x1.5 80', 'groups beside each other');
SELECT is(parts('group', 49), 'base -100, mixed x2 -160, percent -60, x1.5 -80', 'and in a refund');
SELECT program('group of ties');
INSERT INTO rule (program, name, award, exclusive_group) VALUES ('group of ties', 'older', '5', 'g'), ('group of ties', 'newer', '5', 'g'), ('group of ties', 'zero', '1 per full 1000', 'z');
SELECT is(parts('group of ties', 41), NULL, 'rules judge no purchase of before');
SELECT buy(50, 'g', 1);
SELECT is(parts('group of ties', 50), 'newer 5', 'of equals the newer');

--
-- minima, lists
--
SELECT program('minima');
INSERT INTO rule (program, name, award, min_amount, min_quantity) VALUES ('minima', 'amount', '1', 50, NULL), ('minima', 'quantity', '2', NULL, 3), ('minima', 'both', '4', 100, 5), ('minima', 'zero', '8', 0, 0);
INSERT INTO orders (id, member, amount, quantity) VALUES (51, 'm', 49.99, 2.999), (52, 'm', 50, 3), (53, 'm', 100, 4), (54, 'm', 100, 5), (55, 'm', -50, -3), (56, 'm', -49.99, 3), (57, 'm', 0, 3), (58, 'm', 50, NULL);
SELECT is(nets('minima', 51, 52, 53, 54, 55, 56, 57, 58), '{8,11,11,15,-11,-10,10,9}', 'least amount and quantity, of refunds by magnitude');
SELECT program('lists');
INSERT INTO rule (program, name, award, include_items, exclude_items, include_categories, exclude_categories) VALUES
	('lists', 'a in', '1', '{p,q}', NULL, NULL, NULL), ('lists', 'b out', '1', NULL, '{p}', NULL, NULL), ('lists', 'c category', '1', NULL, NULL, '{k}', NULL),
	('lists', 'd both', '1', '{p,q}', '{q}', NULL, '{l}');
INSERT INTO rule (program, name, award, include_stores, exclude_stores, include_channels, exclude_channels) VALUES
	('lists', 'g store', '1', '{s}', NULL, NULL, NULL), ('lists', 'h not store', '1', NULL, '{s}', NULL, NULL), ('lists', 'i web', '1', NULL, NULL, '{web}', NULL), ('lists', 'j not web', '1', NULL, NULL, NULL, '{web}');
INSERT INTO orders (id, member, amount, item, category, store, channel) VALUES (61, 'l', 1, 'p', 'k', 's', 'web'), (62, 'l', 1, 'q', 'l', 'S', 'Web'), (63, 'l', 1, NULL, NULL, NULL, NULL), (64, 'l', 1, 'pq', 'k', '', 'app');
SELECT is(parts('lists', 61), 'a in 1, c category 1, d both 1, g store 1, i web 1', 'lists');
SELECT is(parts('lists', 62), 'a in 1, b out 1, h not store 1, j not web 1', 'by letter and case');
SELECT is(parts('lists', 63), 'b out 1, h not store 1, j not web 1', 'what is not known is in no list');
SELECT is(parts('lists', 64), 'b out 1, c category 1, h not store 1, j not web 1', 'nor by a part of its name');

--
-- every kind of award, alone and multiplied, forth and back: f(-x) = -f(x)
--
SELECT program('kinds'), program('kinds x3');
INSERT INTO rule (program, name, award) SELECT p, award, award::award FROM unnest('{kinds,kinds x3}'::text[]) p, unnest('{3 per 10,5 per full 10,2 each,7.5%,12.5}'::text[]) award;
INSERT INTO rule (program, name, award) VALUES ('kinds x3', 'x3', 'x3');
INSERT INTO rule (program, name, award, purchase_cap) SELECT p, 'capped', '2 per 1', 15 FROM unnest('{kinds,kinds x3}'::text[]) p;
INSERT INTO orders (id, member, amount, quantity) VALUES (71, 'k', 99.99, 2), (72, 'k', -99.99, -2), (73, 'k', 9.99, 0.5), (74, 'k', -9.99, -0.5), (75, 'k', 5, NULL), (76, 'k', -5, NULL), (77, 'k', 0, 3), (78, 'k', 0, -3), (79, 'k', 0, 0), (80, 'k', -5, 2);
CREATE VIEW kinds AS SELECT id, s, CASE WHEN s > 0 THEN a END AS up,
		trunc(0.3 * a + 5 * div(a, 10) + 2 * q + 0.075 * a + least(2 * a, 15), 10) AS scaling, 12.5 AS fixed
	FROM (SELECT id, CASE WHEN amount < 0 OR amount = 0 AND quantity < 0 THEN -1 ELSE 1 END AS s, abs(amount) AS a, abs(coalesce(quantity, 1)) AS q FROM orders WHERE id BETWEEN 71 AND 80) o;
SELECT results_eq($$SELECT id, net('kinds', id), net('kinds x3', id) FROM kinds ORDER BY id$$, $$SELECT id, s * trunc(scaling + fixed, 4), s * trunc(3 * scaling + fixed, 4) FROM kinds ORDER BY id$$, 'every kind of award, and of refund');
-- 99.99 of 2: 29.997 + 45 + 4 + 7.49925 + 15 and 12.5
SELECT is(nets('kinds', 71, 72), '{113.9962,-113.9962}', 'worked out by hand');
SELECT is(net('kinds x3', 71), 316.9887, 'and x3: 3 x 101.49625 and 12.5');

--
-- award_points
--
SELECT program('worked out');
INSERT INTO rule (program, name, award_points, condition) VALUES
	('worked out', 'a third', 'amount / 3', NULL), ('worked out', 'b by quantity', 'quantity * 2', NULL), ('worked out', 'c null', 'CASE WHEN amount > 50 THEN 5 END', NULL),
	('worked out', 'd order', 'order_amount / 8', NULL), ('worked out', 'e member', $$coalesce((member.data ->> 'bonus')::numeric, 0) + purchase_no$$, NULL),
	('worked out', 'f constant', '7', NULL), ('worked out', 'g condition', 'amount', $$item = 'yes'$$), ('worked out', 'h negative', 'amount - 1000', NULL), ('worked out', 'i order null', 'nullif(order_quantity, 2) * 0', NULL);
INSERT INTO rule (program, name, award, condition) VALUES ('worked out', 'x2', 'x2', $$category = 'double'$$);
SELECT enroll('w', '{"bonus": 2.5}', program => 'worked out');
SELECT buy(91, 'w', 100, 2, 'yes'), buy(92, 'w', 10, 3, 'no', 'double'), buy(93, 'w2', -100, -2, 'yes');
-- In order of the newest: what is rounded is the running sum. 100 + 7 + 3.5 + 12.5 + 5 + 4 + 33.3333.
SELECT is(parts('worked out', 91), 'a third 33.3333, b by quantity 4, c null 5, d order 12.5, e member 3.5, f constant 7, g condition 100', 'worked out');
-- Over facts of a line it scales, and is multiplied; over the order and the member it is fixed: 2 x (3.3333.. + 6) + 1.25 + 4.5 + 7
SELECT is(net('worked out', 92), 31.4166, 'multiplied where it is about lines');
SELECT is(net('worked out', 93), -162.8333, 'and a refund: 100 + 7 + 1 + 12.5 + 5 + 4 + 33.3333, by magnitude');
SELECT program('division');
INSERT INTO rule (program, name, award_points, include_items) VALUES ('division', 'd', '10 / (amount - 3)', '{divide}');
SELECT buy(94, 'w', 5, 1, 'divide'), buy(95, 'w', 3, 1, 'divide'), buy(96, 'w', 2.5, 1, 'divide');
-- 10 / -0.5 is below zero
SELECT is(nets('division', 94, 95, 96), '{5,0,0}', 'what cannot be worked out gives nothing');
SELECT results_eq($$SELECT source_key, error_code FROM deferred WHERE program_id = (SELECT program_id FROM program WHERE name = 'division')$$, $$VALUES ('95' COLLATE "C", '22012')$$, 'and is deferred');

--
-- conditions on each fact
--
SELECT program('facts', time_zone => 'America/New_York');
INSERT INTO rule (program, name, award, condition) SELECT 'facts', name, '1', condition FROM (VALUES
	('amount', 'amount >= 60.5'), ('quantity', 'quantity > 2'), ('item', $$item LIKE 'A%'$$), ('category', $$category IN ('k', 'l')$$), ('channel', $$channel = 'web'$$), ('store', $$store IS NULL$$),
	('currency', $$currency = 'USD'$$), ('data', $$(data ->> 'gift')::boolean$$), ('order_amount', 'order_amount = 60.5'), ('order_quantity', 'order_quantity BETWEEN 1 AND 1'),
	('weekend', 'extract(isodow FROM at) >= 6'), ('early', $$at::time < '02:00'$$), ('spring', $$at::date = '2025-03-09'$$), ('autumn', $$at >= '2025-11-02 01:00' AND at < '2025-11-02 02:00'$$),
	('birthday', $$(extract(month FROM at), extract(day FROM at)) = (extract(month FROM member.birthday), extract(day FROM member.birthday))$$), ('segments', $$member.segments && '{a,b}'$$), ('member_data', $$member.data @> '{"tier": "gold"}'$$),
	('enrolled_at', $$member.enrolled_at::date = '2025-01-01'$$), ('new', $$at < member.enrolled_at + interval '7 days'$$), ('third', 'purchase_no % 3 = 0')) c (name, condition);
CREATE FUNCTION meets(id int) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(parts('facts', $1), ' -?1', '', 'g') $$;
SELECT buy(101, 'f1', 60.49), buy(102, 'f1', 60.5, 2.5, 'Aa', 'k'), buy(103, 'f2', -60.5, -3, 'bA', 'm');
SELECT is(meets(101), 'new, order_quantity, store, weekend', 'a condition on what is not known does not hold; the quantity is one');
SELECT is(meets(102), 'amount, category, item, new, order_amount, quantity, store, weekend', 'of a line');
SELECT is(meets(103), 'amount, new, order_amount, quantity, store, weekend', 'a refund by its magnitude');
INSERT INTO orders (id, member, amount, channel, store, currency, data) VALUES (104, 'f1', 1, 'web', '', NULL, '{"gift": "yes"}'), (105, 'f1', 1, 'WEB', 's', NULL, '{"gift": false}'), (106, 'f1', 1, NULL, NULL, NULL, 'null');
SELECT results_eq('SELECT meets(104), meets(105), meets(106)', $$VALUES ('channel, data, new, order_quantity, third, weekend', 'new, order_quantity, weekend', 'new, order_quantity, store, weekend')$$, 'channel, store, data; the third purchase');
-- the clock goes from 02:00 to 03:00 in spring and from 02:00 back to 01:00 in autumn
INSERT INTO orders (id, member, amount, store, at) VALUES (111, 'f3', 1, '', '2025-03-09 04:59:59+00'), (112, 'f3', 1, '', '2025-03-09 05:00+00'), (113, 'f3', 1, '', '2025-03-09 06:59:59+00'), (114, 'f3', 1, '', '2025-03-09 07:00+00'),
	(115, 'f3', 1, '', '2025-03-10 03:59:59+00'), (116, 'f3', 1, '', '2025-03-10 04:00+00'), (117, 'f3', 1, '', '2025-11-02 04:59:59+00'), (118, 'f3', 1, '', '2025-11-02 05:30+00'), (119, 'f3', 1, '', '2025-11-02 06:30+00'), (120, 'f3', 1, '', '2025-11-02 07:00+00');
SELECT is(array_agg((SELECT string_agg(name, ' ') FROM regexp_split_to_table(meets(id), ', ') name WHERE name IN ('autumn', 'early', 'spring', 'weekend')) ORDER BY id), ARRAY['weekend',	-- Saturday, 23:59:59
	'early spring weekend', 'early spring weekend', 'spring weekend', 'spring weekend', 'early', 'early weekend', 'autumn early weekend', 'autumn early weekend', 'weekend'], 'at in the program''s zone') FROM generate_series(111, 120) id;

-- the member: enrolled on New Year's Eve in UTC is New Year in New York only later
SELECT enroll('f4', '{"birthday": "1990-03-15", "segments": ["b"], "tier": "gold", "x": 1}', at => '2025-01-01 05:00+00', program => 'facts'), enroll('f5', at => '2025-01-01 04:59:59+00', program => 'facts');
SELECT set_member('f5', birthday => '2000-03-16', segments => '{c}', data => '{"tier": "silver"}', program => 'facts');
SELECT buy(121, 'f4', 1, 1), buy(122, 'f5', 1, 1);
SELECT results_eq('SELECT meets(121), meets(122)', $$VALUES ('birthday, enrolled_at, member_data, order_quantity, segments, store, weekend', 'order_quantity, store, weekend')$$, 'what is known of a member');
-- and what was known then is kept
SELECT set_member('f4', birthday => '1991-07-01', segments => '{}', data => '{"tier": null}', program => 'facts'), set_member('f5', birthday => '2000-03-15', segments => '{a}', data => '{"tier": "gold"}', program => 'facts');
UPDATE orders SET amount = 2, channel = 'web' WHERE id IN (121, 122);
SELECT results_eq('SELECT meets(121), meets(122)', $$VALUES ('birthday, channel, enrolled_at, member_data, order_quantity, segments, store, weekend', 'channel, order_quantity, store, weekend')$$, 'facts of the member are those of the first time, facts of the line those of now');
-- a Monday, which is neither's birthday
UPDATE orders SET at = '2025-03-17 12:00+00', amount = 3 WHERE id IN (121, 122);
SELECT results_eq('SELECT meets(121), meets(122)', $$VALUES ('channel, enrolled_at, member_data, order_quantity, segments, store', 'channel, order_quantity, store')$$, 'the time of the line is one of these');
UPDATE orders SET counts = false WHERE id IN (121, 122);
UPDATE orders SET counts = true, at = '2025-03-15 13:00+00' WHERE id IN (121, 122);
DELETE FROM orders WHERE id = 121;
SELECT buy(121, 'f4', 60.5, 1), buy(123, 'f4', 1, 1), buy(124, 'f5', 1, 1);
SELECT results_eq('SELECT meets(121), meets(122), meets(123), meets(124)',
	$$VALUES ('amount, birthday, enrolled_at, member_data, order_amount, order_quantity, segments, store, weekend', 'channel, order_quantity, store, weekend',
		'enrolled_at, order_quantity, store, weekend', 'birthday, member_data, order_quantity, segments, store, weekend')$$, 'also when it counts no more, is deleted, and comes back; new purchases by what is known now');
UPDATE orders SET member = 'f5' WHERE id = 123;
-- the third of f5
SELECT is(meets(123), 'birthday, member_data, order_quantity, segments, store, third, weekend', 'a purchase of another member is judged anew');
SELECT set_member('f5', segments => '{}', data => '{"tier": "none"}', program => 'facts');
UPDATE orders SET member = 'f4', quantity = 3 WHERE id = 123;
SELECT is(meets(123), 'enrolled_at, quantity, store, weekend', 'and back at the first one by what was kept there');

--
-- purchases stand by the rules of their time
--
SELECT program('versions');
INSERT INTO rule (program, name, award) VALUES ('versions', 'base', '1 per 1');
INSERT INTO rule (program, name, award, active) VALUES ('versions', 'march', '2 per 1', '[2025-03-01,2025-04-01)'), ('versions', 'to the end', '3 per 1', '[2025-04-01,2025-05-01]'), ('versions', 'coming', '5 per 1', '[2990-01-01,2990-07-01)');
INSERT INTO orders (id, member, amount, at) VALUES (131, 'v', 1, '2025-02-28 23:59:59.999999+00'), (132, 'v', 1, '2025-03-01'), (133, 'v', 1, '2025-03-31 23:59:59.999999+00'), (134, 'v', 1, '2025-04-01'), (135, 'v', 1, '2025-05-01'), (136, 'v', 1, '2025-05-01 00:00:00.000001+00'), (137, 'v', 1, '2990-07-01');
SELECT is(nets('versions', 131, 132, 133, 134, 135, 136, 137), '{1,3,3,4,4,1,1}', 'ends of the active range');
INSERT INTO rule (program, name, award, priority, stop) VALUES ('versions', 'later', '100', 9, true);
UPDATE rule SET active = '[2990-01-01,2990-12-31)' WHERE program = 'versions' AND name = 'coming';
UPDATE orders SET amount = amount + 1 WHERE id BETWEEN 131 AND 137;
SELECT is(nets('versions', 131, 132, 133, 134, 135, 136, 137), '{2,6,6,8,8,2,2}', 'neither a rule of later nor another end touches what was judged');
INSERT INTO orders (id, member, amount, at) VALUES (138, 'v', 1, '2025-03-01'), (139, 'v', 1, '2990-07-01');
SELECT is(nets('versions', 138, 139), '{100,100}', 'a new purchase is judged by all of them');
UPDATE rule SET active = tstzrange(NULL, now()) WHERE program = 'versions' AND name = 'later';
UPDATE rule SET active = '[2990-01-01,2990-02-01)' WHERE program = 'versions' AND name = 'coming';
INSERT INTO orders (id, member, amount, at) VALUES (140, 'v', 1, '2025-03-01'), (141, 'v', 1, now()), (142, 'v', 1, '2990-07-01'), (143, 'v', 1, '2990-01-15');
UPDATE orders SET amount = 3 WHERE id IN (137, 138, 139);
SELECT is(nets('versions', 137, 138, 139, 140, 142, 143), '{3,100,100,100,1,6}', 'ended, it is a rule of its time');

--
-- a condition that raises defers that purchase alone
--
SELECT program('raises', points_scale => 0);
INSERT INTO rule (program, name, award) VALUES ('raises', 'base', '1 per 1');
INSERT INTO rule (program, name, award, condition) VALUES ('raises', 'bad', 'x2', $$(data ->> 'n')::int / quantity > 1$$);
INSERT INTO orders (id, member, amount, quantity, data) SELECT 150 + i, 'r' || i % 2, 10, CASE i WHEN 4 THEN 0 ELSE 1 END, jsonb_build_object('n', CASE i WHEN 7 THEN 'many' WHEN 2 THEN '1' ELSE '2' END) FROM generate_series(1, 9) i;
SELECT is(nets('raises', 151, 152, 153, 154, 155, 156, 157, 158, 159), '{20,10,20,0,20,20,0,20,20}', 'the others earn');
SELECT results_eq($$SELECT source_key, error_code FROM deferred JOIN program USING (program_id) WHERE name = 'raises' ORDER BY 1$$, $$VALUES ('154' COLLATE "C", '22012'), ('157', '22P02')$$, 'two are deferred, with the cause');
UPDATE orders SET quantity = 2 WHERE id = 154;
CALL maintain();
SELECT is(net('raises', 154), 10.0, 'mended, it earns');
SELECT is(count(*), 1::bigint, 'and is deferred no more') FROM deferred JOIN program USING (program_id) WHERE name = 'raises';

--
-- the parts add up to the rounded whole, in every mode
--
CREATE TABLE modes (mode text, scale int);
INSERT INTO modes SELECT m, s FROM unnest('{down,half_up,half_even,up}'::text[]) m, unnest('{0,1,4}'::int[]) s;
SELECT count(program(mode || scale, 'multiply', scale, mode)) FROM modes;
INSERT INTO rule (program, name, award, condition, priority)
SELECT mode || scale, name, award::award, condition, (length(name) * (scale + 3)) % 7 FROM modes, (VALUES ('per', '1 per 3', NULL), ('percent', '12.5%', NULL), ('item', '0.35 each', NULL), ('fixed', '1.05', 'amount > 1'),
	('half', 'x0.5', 'amount < 20'), ('double', 'x2', 'quantity = 2'), ('third', 'x1.25', 'amount BETWEEN 10 AND 30')) r (name, award, condition);
INSERT INTO orders (id, member, amount, quantity) SELECT 1000 + i, 'p' || i % 5, (i * 7919 % 4001) / 100.0, i % 4 FROM generate_series(1, 200) i;
INSERT INTO orders (id, member, amount, quantity) SELECT id + 1000, member, -amount, quantity FROM orders WHERE id BETWEEN 1001 AND 1200;
CREATE VIEW given AS SELECT p.name AS program, source_key::int AS id, sum(points)::numeric AS points FROM entry JOIN program p USING (program_id) GROUP BY 1, 2;
-- 24 times what it comes to: exact decimals.
CREATE VIEW whole AS SELECT id, mode || scale AS program, sign * rounded / 10::numeric ^ scale AS points FROM (
	SELECT id, mode, scale, sign, div(m, 24) + CASE mode WHEN 'down' THEN 0 WHEN 'up' THEN (mod(m, 24) > 0)::int WHEN 'half_up' THEN (mod(m, 24) >= 12)::int
		   ELSE (mod(m, 24) > 12 OR mod(m, 24) = 12 AND div(m, 24) % 2 = 1)::int END AS rounded
	FROM (SELECT id, mode, scale, sign, 10::numeric ^ scale * 24 * fixed + 10::numeric ^ scale * (8 * a + 3 * a + 8.4 * q) * factor AS m FROM modes, (
		SELECT id, CASE WHEN amount < 0 THEN -1 ELSE 1 END AS sign, abs(amount) AS a, abs(quantity) AS q, CASE WHEN abs(amount) > 1 THEN 1.05 ELSE 0 END AS fixed,
			   CASE WHEN abs(amount) < 20 THEN 0.5 ELSE 1 END * CASE WHEN quantity = 2 THEN 2 ELSE 1 END * CASE WHEN abs(amount) BETWEEN 10 AND 30 THEN 1.25 ELSE 1 END AS factor
		FROM orders WHERE id BETWEEN 1001 AND 2200) o) x) y;
SELECT is_empty('SELECT * FROM whole LEFT JOIN given USING (program, id) WHERE whole.points IS DISTINCT FROM given.points', 'the parts add up to the rounded whole');
SELECT is(count(*), (400 * 12)::bigint, 'of all of them') FROM whole;
SELECT is_empty($$SELECT * FROM entry e JOIN program p USING (program_id) JOIN modes m ON p.name = mode || m.scale WHERE sign(points::numeric) = -sign((source_key::int < 2000)::int - 0.5) OR points::numeric <> round(points::numeric, m.scale)$$,
	'each part is of the right sign and rounded');
UPDATE orders SET amount = amount * 0.77, quantity = quantity - 1 WHERE id BETWEEN 1001 AND 2200 AND quantity > 0;
SELECT is_empty('SELECT * FROM whole LEFT JOIN given USING (program, id) WHERE whole.points IS DISTINCT FROM given.points', 'also after partial returns');

-- What is known of a member is read the same the first time as once it is kept, whatever the shape of the array.
SELECT program('shapes');
INSERT INTO rule (program, name, award, condition) VALUES ('shapes', 'first', '1', $$member.segments[1] = 'a'$$), ('shapes', 'two', '10', 'array_length(member.segments, 1) = 2');
SELECT count(enroll(v, program => 'shapes')) FROM unnest('{nulls,bounds,dimensions}'::text[]) v;
SELECT set_member('nulls', segments => '{NULL,a}', program => 'shapes'), set_member('bounds', segments => '[3:4]={a,b}', program => 'shapes'), set_member('dimensions', segments => '{{a},{b}}', program => 'shapes');
SELECT buy(3001, 'nulls', 1), buy(3002, 'bounds', 1), buy(3003, 'dimensions', 1);
SELECT is(nets('shapes', 3001, 3002, 3003), '{1,11,11}', 'a list without nulls');
SELECT is_empty($$SELECT * FROM verify('shapes')$$, 'and so it is kept');

-- A condition that cannot be read for a while: what it reads of the member is kept all the same.
SELECT program('broken');
CREATE FUNCTION is_vip(text[]) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 'vip' = ANY ($1); END $$;
INSERT INTO rule (program, name, award, condition, min_amount) VALUES ('broken', 'vip', '50', 'public.is_vip(member.segments)', 100);
SELECT enroll('vince', '{"segments": ["vip"]}', program => 'broken');
ALTER FUNCTION is_vip(text[]) RENAME TO was_vip;
SELECT buy(3101, 'vince', 50);
ALTER FUNCTION was_vip(text[]) RENAME TO is_vip;
UPDATE orders SET amount = 150 WHERE id = 3101;
SELECT is(net('broken', 3101), 50::numeric, 'read again, it knows the member');

SELECT results_eq('SELECT p.name, source_key::int FROM deferred JOIN program p USING (program_id) ORDER BY 1', $$VALUES ('division' COLLATE "C", 95), ('raises', 157)$$, 'nothing else was deferred');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
DELETE FROM orders;
SELECT is(count(*), 0::bigint, 'without purchases nothing') FROM member WHERE total(purse) <> 0;
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
SELECT * FROM finish();
