-- Fractions beyond 128 bits: awards with as many denominators, long decimals, great amounts; against plain SQL.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SET client_min_messages = error;	-- of purchases that are deferred
SET jit = off;	-- it would take longer than the queries
SELECT no_plan();

-- n / d, which are not below zero, rounded; by whole numbers alone, so that it is exact.
CREATE FUNCTION rounded(n numeric, d numeric, rounding text, scale int) RETURNS numeric IMMUTABLE LANGUAGE sql AS $$
	SELECT (q + CASE rounding WHEN 'down' THEN 0 WHEN 'up' THEN (r > 0)::int WHEN 'half_up' THEN (2 * r >= d)::int
				ELSE (2 * r > d OR 2 * r = d AND q % 2 = 1)::int END) / 10::numeric ^ scale
	FROM (SELECT div(m, d) AS q, m - d * div(m, d) AS r FROM (SELECT n * 10::numeric ^ scale AS m) a) b $$;

--
-- baskets of 40 lines under twelve awards, each of them with a base of its own, and three multipliers
--
SELECT round(random()::numeric, 6) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);
CREATE TABLE orders (id int PRIMARY KEY, customer text, at timestamptz DEFAULT '2025-03-15 12:00+00');
CREATE TABLE lines (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id int, item text, category text, amount numeric);
INSERT INTO program (name, stacking, rounding, points_scale)
	VALUES ('add', 'add', 'down', 4), ('multiply', 'multiply', 'half_even', 2), ('best', 'best', 'up', 0), ('half up', 'add', 'half_up', 3);
SELECT count(attach_query(name => 'basket', query => $q$
		SELECT o.id AS key, o.customer AS member, o.at, l.amount, l.item, l.category FROM public.orders o JOIN public.lines l ON l.order_id = o.id$q$,
	watch => '{public.orders.id, public.lines.order_id}', program => name)) FROM program;
-- What is given for each "per" or each full "per", and at most; the greatest rank comes first. Ten are of one category each.
CREATE TABLE awards (rank int PRIMARY KEY, give numeric, per int, is_full bool, cap numeric, categories text[]);
INSERT INTO awards SELECT 20 - i, 1 + i / 4.0, 3 + 4 * i, i % 2 = 0, CASE WHEN i % 2 = 1 THEN 100.0007 * i END, ARRAY['c' || i] FROM generate_series(0, 9) i;
INSERT INTO awards VALUES (2, 7, 101, true, NULL, NULL), (1, 0.35, 3, false, 777.7777, '{c0,c1,c2,c3,c4,c5}');
INSERT INTO rule (program, name, award, purchase_cap, priority, include_categories)
	SELECT p.name, rank, (give || CASE WHEN is_full THEN ' per full ' ELSE ' per ' END || per)::award, cap, rank, categories FROM program p, awards;
INSERT INTO rule (program, name, award, priority, include_items, include_categories, condition)
	SELECT p.name, r.* FROM program p, (VALUES
		('0', 'x2'::award, 0, '{i}'::text[], NULL::text[], NULL), ('-1', 'x1.3', -1, NULL, '{c0,c2,c4,c6,c8}', NULL), ('-2', 'x1.75', -2, NULL, NULL, 'amount >= 5000')) r;

-- All lines by magnitude when they are a refund, once for each award that they count for.
CREATE VIEW covered AS
	SELECT order_id, sign, unit, rank, category, item, sign * amount AS amount
	FROM (SELECT *, round(10::numeric ^ max(scale(amount)) OVER (PARTITION BY order_id)) AS unit, CASE WHEN max(amount) OVER (PARTITION BY order_id) < 0 THEN -1 ELSE 1 END AS sign FROM lines) l
	JOIN awards ON categories IS NULL OR category = ANY (categories);
-- What an award gives is n / d; its base, counted in the smallest decimals of the order, is whole.
CREATE VIEW wholes AS
	SELECT order_id, rank, unit, base, CASE WHEN n > cap * d THEN cap ELSE n END AS n, CASE WHEN n > cap * d THEN 1 ELSE d END AS d
	FROM (SELECT order_id, rank, unit, trunc(unit * base) AS base, CASE WHEN is_full THEN give * div(base, per) ELSE give * base END AS n, CASE WHEN is_full THEN 1 ELSE per END AS d, cap
		  FROM (SELECT order_id, rank, unit, greatest(sum(amount), 0) AS base FROM covered GROUP BY 1, 2, 3) b JOIN awards USING (rank)) w;
CREATE AGGREGATE product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = 1);
CREATE VIEW denominators AS
	SELECT order_id, product(base * d) AS common FROM wholes WHERE base > 0 GROUP BY 1;
-- What multipliers up to the first, second, third add to a line, as a factor.
CREATE VIEW factors AS
	SELECT name AS program, order_id, rank, m, sum(amount * CASE stacking
		WHEN 'add' THEN x + y * (m < 0)::int + z * (m < -1)::int
		WHEN 'multiply' THEN (1 + x) * (1 + y * (m < 0)::int) * (1 + z * (m < -1)::int) - 1
		ELSE greatest(x, y * (m < 0)::int, z * (m < -1)::int) END) AS extra
	FROM (SELECT *, (item = 'i')::int AS x, 0.3 * (category IN ('c0', 'c2', 'c4', 'c6', 'c8'))::int AS y, 0.75 * (amount >= 5000)::int AS z FROM covered) c,
		 program, unnest('{0,-1,-2}'::int[]) m
	GROUP BY 1, 2, 3, 4;
-- What an award gives over the order's common denominator, and of that what a line has for each unit of its amount.
CREATE VIEW numerators AS
	SELECT order_id, rank, common, n * div(common, d) AS n, CASE WHEN base > 0 THEN unit * n * div(common, base * d) ELSE 0 END AS of_unit
	FROM wholes JOIN denominators USING (order_id);
-- Running sums, rule by rule.
CREATE VIEW sums AS
	WITH numerators AS MATERIALIZED (TABLE numerators)
	SELECT name AS program, order_id, rank, common, sum(n) OVER (PARTITION BY name, order_id ORDER BY rank DESC) AS n FROM numerators, program
	UNION ALL
	SELECT program, order_id, m, common, sum(n + extra * of_unit) FROM numerators JOIN factors USING (order_id, rank) GROUP BY 1, 2, 3, 4;
CREATE VIEW should AS
	SELECT program, order_id, rank, sign * (after - coalesce(lag(after) OVER (PARTITION BY program, order_id ORDER BY rank DESC), 0)) AS points
	FROM (SELECT *, rounded(greatest(n, 0), common, rounding, points_scale) AS after FROM sums JOIN program ON name = program) s
	JOIN (SELECT order_id, max(sign) AS sign FROM covered GROUP BY 1) o USING (order_id);
CREATE VIEW given AS
	SELECT r.program, source_key::int AS order_id, r.name::int AS rank, sum(e.points)::numeric AS points
	FROM entry e JOIN rule r USING (rule_id) WHERE r.name ~ '^-?\d+$' GROUP BY 1, 2, 3;
-- What rules below zero take from others is not worked out here: such an order is compared as a whole.
CREATE VIEW wrong AS
	WITH should AS MATERIALIZED (TABLE should)
	SELECT program, order_id, rank, s.points AS should, g.points AS given FROM should s FULL JOIN given g USING (program, order_id, rank)
	WHERE coalesce(s.points, 0) <> coalesce(g.points, 0) AND order_id NOT IN (SELECT order_id FROM lines GROUP BY 1 HAVING max(sign(amount)) > min(sign(amount)))
	UNION ALL
	SELECT program, order_id, NULL, s.points, g.points
	FROM (SELECT program, order_id, sum(points) AS points FROM should GROUP BY 1, 2) s FULL JOIN (SELECT program, order_id, sum(points) AS points FROM given GROUP BY 1, 2) g USING (program, order_id)
	WHERE coalesce(s.points, 0) <> coalesce(g.points, 0);

-- Of every five baskets one is a refund and one has returns among its lines; of every ten one has twenty decimals.
INSERT INTO orders SELECT i, 'm' || i % 7 FROM generate_series(1, 50) i;
INSERT INTO lines (order_id, item, category, amount)
	SELECT o, substr('ijk', 1 + floor(random() * 3)::int, 1), 'c' || (CASE WHEN l <= 10 THEN l - 1 ELSE floor(random() * 10) END),
		   CASE WHEN o % 5 = 1 OR o % 5 = 2 AND l > 30 THEN -1 ELSE 1 END * (CASE o % 10 WHEN 0 THEN round(30000 * random()::numeric * random()::numeric, 20) ELSE round(30000 * random()::numeric, 2) END + 0.01)
	FROM generate_series(1, 50) o, generate_series(1, 40) l;
SELECT is_empty('SELECT * FROM wrong', '50 baskets of 40 lines');
SELECT results_eq('SELECT count(DISTINCT order_id), count(*) FROM should', 'VALUES (50::bigint, 50 * 15 * 4::bigint)', 'all of them compared');
SELECT cmp_ok(count(DISTINCT points), '>', 500::bigint, 'which are of many sizes') FROM given;
SELECT cmp_ok(count(DISTINCT order_id), '>', 45::bigint, 'and sums do not fit 128 bits, not even reduced') FROM sums WHERE rank = -2 AND 1e60 * common / gcd(trunc(1e60 * n), 1e60 * common) > 2::numeric ^ 127;
SELECT is_empty('SELECT * FROM deferred', 'nothing is deferred');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
UPDATE lines SET amount = round(amount * 0.7, 2) WHERE id % 3 = 0;
DELETE FROM lines WHERE id % 7 = 0;
UPDATE lines SET category = 'c1' WHERE id % 11 = 0;
SELECT is_empty('SELECT * FROM wrong', 'and after changes');
SELECT is_empty('SELECT * FROM deferred', 'nothing is deferred');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
-- explain goes by the same sums
SELECT results_eq($$SELECT program COLLATE "default", order_id, sum(e.points)::numeric FROM (VALUES ('add', 3), ('best', 10)) v (program, order_id), explain('basket', order_id::text, program => program) e GROUP BY 1, 2 ORDER BY 1$$,
	$$SELECT program COLLATE "default", order_id, sum(points) FROM given WHERE (program, order_id) IN (('add', 3), ('best', 10)) GROUP BY 1, 2 ORDER BY 1$$, 'explained');
-- of a group the best is chosen by sums as long
INSERT INTO program (name, points_scale) VALUES ('group', 4);
INSERT INTO rule (program, name, award, purchase_cap, include_categories) SELECT 'group', 'r' || rank, (give || CASE WHEN is_full THEN ' per full ' ELSE ' per ' END || per)::award, cap, categories FROM awards;
INSERT INTO rule (program, name, award, exclusive_group, include_items) SELECT 'group', 'x' || i, 'x2', 'g', ARRAY[i] FROM unnest('{i,j,k}'::text[]) i;
SELECT attach_query(name => 'basket', query => $q$
		SELECT o.id AS key, o.customer AS member, o.at, l.amount, l.item, l.category FROM public.orders o JOIN public.lines l ON l.order_id = o.id$q$,
	watch => '{public.orders.id, public.lines.order_id}', program => 'group') \g /dev/null
UPDATE lines SET amount = amount + sign(amount);
CREATE VIEW best AS
	SELECT DISTINCT ON (order_id) order_id, 'x' || item AS rule, sign * (rounded(n + extra, common, 'down', 4) - rounded(n, common, 'down', 4)) AS points
	FROM (SELECT order_id, sign, item, sum(amount * of_unit) AS extra FROM covered JOIN numerators USING (order_id, rank) GROUP BY 1, 2, 3) m
	JOIN (SELECT order_id, common, sum(n) AS n FROM numerators GROUP BY 1, 2) n USING (order_id)
	WHERE order_id NOT IN (SELECT order_id FROM lines GROUP BY 1 HAVING max(sign(amount)) > min(sign(amount))) ORDER BY order_id, extra DESC;
SELECT is_empty($$SELECT order_id, b.rule, b.points, g.rule, g.points FROM best b
	LEFT JOIN (SELECT source_key::int AS order_id, r.name AS rule, sum(points)::numeric AS points FROM entry e JOIN rule r USING (rule_id) WHERE r.program = 'group' AND r.name ~ '^x' GROUP BY 1, 2) g USING (order_id)
	WHERE (b.rule COLLATE "default", b.points) IS DISTINCT FROM (g.rule COLLATE "default", g.points)$$, 'the greatest multiplier');
SELECT results_eq('SELECT count(*), count(DISTINCT rule) FROM best', 'VALUES (40::bigint, 3::bigint)', 'which is not always the same');
SELECT is_empty('SELECT * FROM deferred', 'nothing is deferred');

--
-- many decimals beside every boundary
--
CREATE TABLE fine (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, member text DEFAULT 'eve', amount numeric);
INSERT INTO program (name, rounding, points_scale) SELECT format('%s/%s %s', give, per, m), m, s
	FROM unnest('{down,half_up,half_even,up}'::text[]) m, (VALUES (1, 1, 0), (1, 3, 1), (17, 7, 4)) k (give, per, s);
INSERT INTO rule (program, name, award) SELECT name, 'base', (split_part(name, '/', 1) || ' per ' || substring(name FROM '/(\d)'))::award FROM program WHERE name ~ '/';
SELECT count(attach('fine', member => 'member', amount => 'amount', program => name)) FROM program WHERE name ~ '/';
INSERT INTO fine (amount) SELECT sign * (i * 0.05 + e) FROM generate_series(0, 100) i, unnest('{0,1e-50,-1e-50,1e-25,3e-199}'::numeric[]) e, unnest('{1,-1}'::int[]) sign;
SELECT is_empty($$SELECT name, amount, should, points
	FROM (SELECT p.name, f.id, amount, sign(amount) * rounded(abs(amount) * split_part(p.name, '/', 1)::int, substring(p.name FROM '/(\d)')::int, rounding, points_scale) AS should FROM program p, fine f WHERE p.name ~ '/') s
	LEFT JOIN (SELECT p.name, source_key::int AS id, sum(points)::numeric AS points FROM entry JOIN program p USING (program_id) GROUP BY 1, 2) g USING (name, id)
	WHERE should <> coalesce(points, 0)$$, 'all modes, on both sides');
SELECT is_empty('SELECT * FROM deferred', 'nothing is deferred');

--
-- great amounts
--
CREATE TABLE great (id int PRIMARY KEY, member text DEFAULT 'ann', amount numeric);
INSERT INTO program (name, points_scale) VALUES ('billionth', 4), ('capped', 4), ('plain', 4), ('least', 4);
INSERT INTO rule (program, name, award, purchase_cap, min_amount) VALUES ('billionth', 'base', '0.000001 per 1000000000', NULL, NULL), ('capped', 'base', '3 per full 7', 100, NULL), ('plain', 'base', '1 per 1', NULL, NULL),
	('least', 'base', '1', NULL, 10.00000001);
SELECT count(attach('great', member => 'member', amount => 'amount', program => name)) FROM program WHERE name IN ('billionth', 'capped', 'plain', 'least');
INSERT INTO great VALUES (1, DEFAULT, 123456789012345678901234567890.5);
INSERT INTO great VALUES (2, DEFAULT, -123456789012345678901234567890.5);
INSERT INTO great VALUES (3, DEFAULT, 10.00000000999999999999999999999999999999999);
INSERT INTO great VALUES (4, DEFAULT, 10.00000001000000000000000000000000000000000);
INSERT INTO great VALUES (5, DEFAULT, 1e199);
INSERT INTO great VALUES (6, DEFAULT, 1e200);
INSERT INTO great VALUES (7, DEFAULT, 1e-200);
INSERT INTO great VALUES (8, DEFAULT, 1e-201);
CREATE FUNCTION nets(program text) RETURNS numeric[] LANGUAGE sql AS $$
	SELECT array_agg((SELECT sum(e.points)::numeric FROM entry e JOIN program p USING (program_id) WHERE p.name = $1 AND e.source_key = great.id::text) ORDER BY id) FROM great $$;
SELECT is(nets('billionth'), '{123456789012345.6789,-123456789012345.6789,0,0,NULL,NULL,0,NULL}', 'a small part of much');
SELECT is(nets('capped'), '{100,-100,3,3,100,NULL,0,NULL}', 'capped');
SELECT is(nets('plain'), '{NULL,NULL,10,10,NULL,NULL,0,NULL}', 'more than there are points');
SELECT is(nets('least'), '{1,-1,0,1,1,NULL,0,NULL}', 'a minimum, missed by the smallest part');
SELECT is(array_agg(DISTINCT message ORDER BY message), '{number is out of range for exact arithmetic,points out of range}', 'the others are deferred') FROM deferred WHERE error_code = '22003';
SELECT results_eq($$SELECT name COLLATE "default", array_agg(source_key::int ORDER BY source_key::int) FROM deferred JOIN program USING (program_id) GROUP BY 1 ORDER BY 1$$,
	$$VALUES ('billionth', '{5,6,8}'::int[]), ('capped', '{6,8}'), ('least', '{6,8}'), ('plain', '{1,2,5,6,8}')$$, 'each where it does not fit');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
SELECT * FROM finish();
