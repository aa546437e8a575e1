-- Limits: what rules may give a member, a purchase, and all members together; and that the counts are sums of entries.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SELECT no_plan();

-- A program for each limit, all on one table; and on another table budgets, which purchases of other tests would eat.
CREATE FUNCTION limited(program text, award text, limits text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO loyalty.program (name, time_zone) VALUES (program, 'America/New_York');
	EXECUTE format('INSERT INTO loyalty.rule (program, name, award, %s) SELECT %L, ''limited'', %L, %s',
				   regexp_replace(limits, ' *=> *[^,]*', '', 'g'), program, award, regexp_replace(limits, '[a-z_]* *=> *', '', 'g'));
	UPDATE loyalty.rule SET active = '(,2026-02-01)' WHERE rule.program = $1 AND $1 IN ('ever', 'once', 'cooldown', 'reduce');
END $$;
SELECT limited(p, '1 per 1', format('member_cap => 30, cap_period => %L', p)) FROM unnest('{day,week,month,year,ever}'::text[]) p;
SELECT limited('reject', '1 per 1', $$member_cap => 30, cap_period => 'day', cap_mode => 'reject'$$),
	limited('times', '10', $$member_times => 2, cap_period => 'day'$$),
	limited('once', '100', $$once => true$$),
	limited('big once', '100', $$once => true, condition => 'amount >= 50'$$),
	limited('cooldown', '10', $$cooldown => '1 day'$$),
	limited('purchase', '1 per 1', $$purchase_cap => 25$$),
	limited('all of them', '1 per 1', $$member_cap => 40, member_times => 3, cap_period => 'month', purchase_cap => 25, cooldown => '1 hour'$$),
	limited('reduce', '1 per 1', $$budget => 100$$),
	limited('rejected', '1 per 1', $$budget => 100, cap_mode => 'reject'$$),
	limited('daily', '1 per 1', $$budget => 100, budget_period => 'day'$$),
	limited('budget and cap', '1 per 1', $$budget => 100, budget_period => 'month', member_cap => 30, cap_period => 'day'$$);
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, at timestamptz, counts boolean DEFAULT true, note text);
CREATE TABLE sales (LIKE orders INCLUDING ALL);
SELECT count(attach(CASE WHEN budget IS NULL THEN 'orders' ELSE 'sales' END::regclass,
	member => 'member', amount => 'amount', at => 'at', counts => 'counts', program => rule.program)) FROM rule;

-- A time of day in the programs' zone.
CREATE FUNCTION ny(at timestamp) RETURNS timestamptz LANGUAGE sql AS $$ SELECT at AT TIME ZONE 'America/New_York' $$;
-- What stands for purchases from .. to of a program, in order; NULL: of no such entry.
CREATE FUNCTION stands(program text, "from" int, "to" int DEFAULT NULL) RETURNS numeric[] LANGUAGE sql AS $$
	SELECT array_agg((SELECT sum(e.points)::numeric FROM loyalty.entry e JOIN loyalty.program p USING (program_id)
					  WHERE p.name = $1 AND e.source_key = id::text) ORDER BY id) FROM generate_series($2, coalesce($3, $2)) id $$;

-- What stands of each limited rule for each purchase, from entries alone: the purchase's time is that of its first posting.
CREATE VIEW standing AS
	SELECT e.member_id, coalesce(r.lineage, r.rule_id) AS first_rule, e.source_id, e.source_key, f.at, f.at AT TIME ZONE p.time_zone AS local,
		   sum(e.points)::numeric - coalesce(((array_agg(e.context ORDER BY revision DESC))[1] ->> 'shortfall')::numeric, 0) AS points,
		   bool_or(e.points > '0'::points) AS rewarded
	FROM entry e JOIN rule r USING (rule_id) JOIN program p USING (program_id)
	JOIN (SELECT member_id, source_id, source_key, min(occurred_at) AS at FROM entry WHERE revision = 1 GROUP BY 1, 2, 3) f USING (member_id, source_id, source_key)
	GROUP BY 1, 2, 3, 4, 5, 6;
CREATE FUNCTION first_day(local timestamp, period text) RETURNS date LANGUAGE sql
	AS $$ SELECT CASE WHEN period = 'ever' THEN '-infinity' ELSE date_trunc(period, local)::date END $$;
CREATE VIEW usage_should AS
	SELECT member_id, first_rule AS rule_id, first_day(local, cap_period) AS period, sum(greatest(points, 0)) AS points, count(*) FILTER (WHERE points > 0) AS times
	FROM standing JOIN rule r ON r.rule_id = first_rule WHERE num_nonnulls(member_cap, member_times) > 0 GROUP BY 1, 2, 3;
CREATE VIEW last_should AS
	SELECT member_id, first_rule AS rule_id, max(at) AS last_at FROM standing JOIN rule r ON r.rule_id = first_rule
	WHERE (once OR cooldown IS NOT NULL) AND rewarded GROUP BY 1, 2;
CREATE VIEW budget_should AS
	SELECT first_rule AS rule_id, first_day(local, budget_period) AS period, sum(greatest(points, 0)) AS spent
	FROM standing JOIN rule r ON r.rule_id = first_rule WHERE budget IS NOT NULL GROUP BY 1, 2;
-- Counts that are not those sums, limits that are passed, and whatever verify() finds.
CREATE FUNCTION wrong() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('usage of rule %s in %s is %s in %s, should be %s in %s', rule_id, period, u.points, u.times, s.points, s.times)
	FROM usage_should s FULL JOIN loyalty.rule_usage u USING (member_id, rule_id, period)
	WHERE (coalesce(u.points::numeric, 0), coalesce(u.times, 0)) IS DISTINCT FROM (coalesce(s.points, 0), coalesce(s.times, 0))
	UNION ALL
	SELECT format('last award of rule %s was at %s, should be %s', rule_id, u.last_at, s.last_at)
	FROM last_should s FULL JOIN (SELECT * FROM loyalty.rule_usage WHERE last_at IS NOT NULL) u USING (member_id, rule_id)
	WHERE u.last_at IS DISTINCT FROM s.last_at OR u.period <> '-infinity'
	UNION ALL
	SELECT format('budget of rule %s in %s: spent %s, should be %s', rule_id, period, u.spent, s.spent)
	FROM budget_should s FULL JOIN loyalty.budget_usage u USING (rule_id, period) WHERE coalesce(u.spent::numeric, 0) <> coalesce(s.spent, 0)
	UNION ALL
	SELECT format('rule %s gave %s in %s of %s times', rule_id, points, times, period)
	FROM usage_should JOIN loyalty.rule USING (rule_id) WHERE points > member_cap::numeric OR times > member_times
	UNION ALL
	SELECT format('rule %s spent %s of its budget of %s', rule_id, spent, budget) FROM budget_should JOIN loyalty.rule USING (rule_id) WHERE spent > budget::numeric
	UNION ALL
	SELECT v::text FROM loyalty.verify() v $$;

--
-- periods begin and end in the program's zone
--
CREATE TABLE borders (n int, at timestamptz);
INSERT INTO borders VALUES
	(1, ny('2025-03-08 23:59:59')),	-- Saturday
	(2, ny('2025-03-09 00:00:00')),	-- Sunday, on which the clock goes forward
	(3, ny('2025-03-09 23:59:59')),
	(4, ny('2025-03-10 00:00:00')),	-- Monday
	(5, ny('2025-03-31 23:59:59')),	-- Monday
	(6, ny('2025-04-01 00:00:00')),
	(7, ny('2025-12-31 23:59:59')),	-- Wednesday
	(8, ny('2026-01-01 00:00:00'));
-- 20 each, at most 30 in a period: one statement each; all in one, in any order; backwards.
DO $$ BEGIN FOR i IN 1..8 LOOP INSERT INTO orders SELECT n, 'forth', 20, at FROM borders WHERE n = i; END LOOP; END $$;
INSERT INTO orders SELECT 10 + n, 'at once', 20, at FROM borders ORDER BY n % 3, n DESC;
DO $$ BEGIN FOR i IN REVERSE 8..1 LOOP INSERT INTO orders SELECT 20 + n, 'back', 20, at FROM borders WHERE n = i; END LOOP; END $$;
CREATE TABLE expected (program text, forth numeric[], back numeric[]);
INSERT INTO expected VALUES
	('day', '{20,20,10,20,20,20,20,20}', '{20,10,20,20,20,20,20,20}'),
	('week', '{20,10,0,20,20,10,20,10}', '{0,10,20,20,10,20,10,20}'),
	('month', '{20,10,0,0,0,20,20,20}', '{0,0,0,10,20,20,20,20}'),
	('year', '{20,10,0,0,0,0,0,20}', '{0,0,0,0,0,10,20,20}'),
	('ever', '{20,10,0,0,0,0,0,0}', '{0,0,0,0,0,0,10,20}'),
	-- not 10 for the second of 9 March: all or nothing
	('reject', '{20,20,0,20,20,20,20,20}', '{20,0,20,20,20,20,20,20}');
SELECT is(stands(program, 1, 8), forth, program || ': one by one') FROM expected;
SELECT is(stands(program, 11, 18), forth, program || ': in one statement, judged by their time') FROM expected;
SELECT is(stands(program, 21, 28), back, program || ': late ones get what the others left') FROM expected;
SELECT is_empty('SELECT * FROM wrong()', 'counts are sums of entries');
-- the sums themselves, worked out by hand: in the year 2025 30 points of two purchases, in 2026 20 of one
SELECT results_eq($$SELECT period, points::numeric, times FROM rule_usage JOIN rule r USING (rule_id) WHERE r.program = 'year' AND member_id = member_id('forth', 'year') ORDER BY 1$$,
	$$VALUES ('2025-01-01'::date, 30.0, 2), ('2026-01-01', 20.0, 1)$$, 'usage of a year');

--
-- up and down under a cap of 30 a day
--
CREATE FUNCTION buy(id int, member text, amount numeric, at timestamp DEFAULT '2025-06-02 12:00') RETURNS void LANGUAGE sql
	AS $$ INSERT INTO orders VALUES (id, member, amount, ny(at)) $$;
SELECT buy(31, 'r', 20), buy(32, 'r', 25), buy(33, 'r', 5);
SELECT is(stands('day', 31, 33), '{20,10,0}', 'reduce: what is left, then nothing');
SELECT is(stands('reject', 31, 33), '{20,0,5}', 'reject: what does not fit is given nothing, a smaller one may still fit');
UPDATE orders SET amount = 5 WHERE id = 31;
SELECT is(stands('day', 31, 33), '{5,10,0}', 'a fall gives back, and nobody else gets it unasked');
UPDATE orders SET amount = 12 WHERE id = 33;
SELECT is(stands('day', 31, 33), '{5,10,7}', 'a rise from 5 to 12 asks for 7');
UPDATE orders SET amount = 40 WHERE id = 32;
SELECT is(stands('day', 31, 33), '{5,18,7}', 'a rise of 15 gets the 8 that are left');
SELECT is(stands('reject', 31, 33), '{5,0,12}', 'and nothing where 13 of them would be');
UPDATE orders SET amount = 20 WHERE id = 32;
SELECT is(stands('day', 31, 33), '{5,18,7}', 'a fall to 20 is above what it has: it stays');
UPDATE orders SET amount = 17 WHERE id = 32;
SELECT is(stands('day', 31, 33), '{5,17,7}', 'a fall below takes');
UPDATE orders SET amount = 20 WHERE id = 32;
SELECT is(stands('day', 31, 33), '{5,18,7}', 'and a rise gets the one point that is left');
CREATE TEMP TABLE before AS SELECT (SELECT count(*) FROM entry) AS entries, (SELECT md5(string_agg(u::text, ',' ORDER BY u::text)) FROM rule_usage u) AS usage;
UPDATE orders SET amount = amount, at = at, note = 'seen';
UPDATE orders SET amount = amount + 0.00, note = 'twice';
UPDATE orders SET at = at + interval '3 days' WHERE id IN (31, 32, 33);
SELECT results_eq('SELECT (SELECT count(*) FROM entry), (SELECT md5(string_agg(u::text, '','' ORDER BY u::text)) FROM rule_usage u)', 'TABLE before', 'nothing is written for changes of nothing, nor for another time');
SELECT is_empty('SELECT * FROM wrong()', 'counts are sums of entries');
DELETE FROM orders WHERE id = 32;
SELECT buy(32, 'r', 30, '2025-07-02');
SELECT is(stands('day', 31, 33), '{5,18,7}', 'deleted and inserted again, it draws on the day on which it was first judged');
UPDATE orders SET counts = false WHERE id = 33;
SELECT buy(34, 'r', 100);
SELECT is(stands('day', 31, 34), '{5,18,0,7}', 'what does not count any more gives back');
UPDATE orders SET counts = true WHERE id = 33;
SELECT is(stands('day', 31, 34), '{5,18,0,7}', 'counting again, it finds nothing left');
UPDATE orders SET counts = NULL WHERE id = 34;
UPDATE orders SET amount = 13 WHERE id = 33;
SELECT is(stands('day', 31, 34), '{5,18,1,0}', 'a rise by one asks for one');
SELECT is_empty('SELECT * FROM wrong()', 'counts are sums of entries');

-- a transaction and its savepoints
BEGIN;
SELECT buy(41, 'sp', 20);
SAVEPOINT a;
SELECT buy(42, 'sp', 20);
UPDATE orders SET amount = 1 WHERE id = 41;
ROLLBACK TO a;
SELECT buy(43, 'sp', 15);
SAVEPOINT b;
DELETE FROM orders WHERE id = 41;
RELEASE b;
SELECT buy(44, 'sp', 16);
COMMIT;
SELECT is(stands('day', 41, 44), '{0,NULL,10,16}', 'savepoints: 20; rolled back; 10 of 15; 20 given back and 16 of 20');
SELECT is(stands('once', 41, 44), '{0,NULL,0,0}', 'once: the one that was deleted had it');
SELECT is_empty('SELECT * FROM wrong()', 'counts are sums of entries');

-- another member
SELECT buy(51, 's', 25), buy(52, 's', 25);
UPDATE orders SET member = 't' WHERE id = 51;
SELECT buy(53, 's', 40), buy(54, 't', 40);
SELECT results_eq($$SELECT stands('day', 51, 54), (SELECT lifetime::numeric FROM member WHERE member_id = member_id('s', 'day'))$$,
	$$VALUES ('{25,5,25,5}'::numeric[], 30.0)$$, 'a purchase that goes to another member gives back to the first, and draws on the other''s');
UPDATE orders SET member = 's' WHERE id = 51;
SELECT is(stands('day', 51, 54), '{0,5,25,5}', 'and back: nothing is left there');
SELECT is_empty('SELECT * FROM wrong()', 'counts are sums of entries');

--
-- so many purchases; once; not too soon
--
SELECT buy(61, 'u', 10), buy(62, 'u', 10), buy(63, 'u', 10), buy(64, 'u', 10, '2025-06-03');
SELECT is(stands('times', 61, 64), '{10,10,0,10}', 'two a day');
DELETE FROM orders WHERE id = 61;
UPDATE orders SET amount = 11 WHERE id = 63;
SELECT is(stands('times', 61, 64), '{0,10,0,10}', 'one that was kept from it when first judged stays so');
SELECT buy(65, 'u', 10);
SELECT is(stands('times', 61, 65), '{0,10,0,10,10}', 'a return makes room for a new one');
SELECT buy(61, 'u', 10);
SELECT is(stands('times', 61, 65), '{0,10,0,10,10}', 'then there is none for itself');
DELETE FROM orders WHERE id = 65;
DELETE FROM orders WHERE id = 62;
SELECT buy(62, 'u', 10);
SELECT is(stands('times', 61, 65), '{0,10,0,10,0}', 'else its own comes back');

SELECT buy(71, 'v', 10), buy(72, 'v', 10);
SELECT is(stands('once', 71, 72), '{100,0}', 'once');
DELETE FROM orders WHERE id = 71;
UPDATE orders SET amount = 60 WHERE id = 72;
SELECT buy(73, 'v', 10);
SELECT is(stands('once', 71, 73), '{0,0,0}', 'a return frees nothing');
SELECT buy(71, 'v', 80);
SELECT is(stands('once', 71, 73), '{100,0,0}', 'the same purchase gets its own back');
UPDATE orders SET counts = NOT counts WHERE id IN (71, 72);
UPDATE orders SET counts = NOT counts WHERE id IN (71, 72);
SELECT is(stands('once', 71, 73), '{100,0,0}', 'also from not counting');
SELECT is(stands('big once', 71, 73), '{0,100,0}', 'with a condition the first that met it had it: 72 rose to 60 before 71 came with 80');
INSERT INTO orders SELECT id, 'w', 70, ny('2025-06-01') + id % 3 * interval '1 hour' FROM generate_series(74, 78) id;
SELECT is(stands('once', 74, 78), '{0,100,0,0,0}', 'of a statement the earliest, 75');
SELECT is(stands('big once', 74, 78), '{0,100,0,0,0}', 'and with a condition');
UPDATE orders SET amount = 10 WHERE id = 75;
UPDATE orders SET amount = 500 WHERE id IN (74, 76);
UPDATE orders SET amount = 50 WHERE id = 75;
SELECT is(stands('big once', 74, 78), '{0,100,0,0,0}', 'below its condition and above again');
UPDATE orders SET member = 'w2' WHERE id IN (75, 76);
SELECT is(stands('once', 74, 78), '{0,100,0,0,0}', 'of another member the earlier one has it');
SELECT is((SELECT sum(points)::numeric FROM entry WHERE member_id = member_id('w', 'once')), 0.0, 'and the first member has had his');
SELECT is_empty('SELECT * FROM wrong()', 'counts are sums of entries');

-- a day in the program's zone is 23 hours long on 9 March
SELECT buy(81, 'x', 10, '2025-03-08 12:00'), buy(82, 'x', 10, '2025-03-09 11:59:59'), buy(83, 'x', 10, '2025-03-09 12:00');
SELECT is(stands('cooldown', 81, 83), '{10,0,10}', 'a day of cooldown over the change of the clock');
SELECT buy(84, 'x', 10, '2025-03-06 12:00'), buy(85, 'x', 10, '2025-03-09 13:00'), buy(86, 'x', 10, '2025-03-10 12:00');
SELECT is(stands('cooldown', 81, 86), '{10,0,10,0,0,10}', 'a late purchase of a time before the last award is too soon');
DELETE FROM orders WHERE id = 86;
SELECT buy(87, 'x', 10, '2025-03-10 20:00');
SELECT is(stands('cooldown', 81, 87), '{10,0,10,0,0,0,0}', 'a return does not shorten it');
INSERT INTO orders SELECT 90 + i, 'y', 10, ny('2025-05-01') + i * interval '7 hours' FROM generate_series(0, 8) i ORDER BY i DESC;
SELECT is(stands('cooldown', 90, 98), '{10,0,0,0,10,0,0,0,10}', 'nine purchases in one statement, seven hours apart');
SELECT is_empty('SELECT * FROM wrong()', 'counts are sums of entries');

--
-- of one purchase; all limits of a member together
--
SELECT buy(101, 'z', 100), buy(102, 'z', 20), buy(103, 'z', -100), buy(104, 'z', -20), buy(105, 'z', 25);
SELECT is(stands('purchase', 101, 105), '{25,20,-25,-20,25}', 'of one purchase, and of a refund alone');
UPDATE orders SET amount = amount * 0.3 WHERE id BETWEEN 101 AND 105;
SELECT is(stands('purchase', 101, 105), '{25,6,-25,-6,7}', 'a part of it');
-- 25 of 30; 10; too soon; 5 of 10; the fourth is one too many; next month
SELECT buy(111, 'q', 30, '2025-06-02 12:00'), buy(112, 'q', 10, '2025-06-02 13:00'), buy(113, 'q', 10, '2025-06-02 13:59'), buy(114, 'q', 10, '2025-06-02 14:00'),
	buy(115, 'q', 10, '2025-06-30 23:59:59'), buy(116, 'q', 10, '2025-07-01 00:59:59');
SELECT is(stands('all of them', 111, 116), '{25,10,0,5,0,10}', 'all limits of a member');
DELETE FROM orders WHERE id = 111;
SELECT buy(117, 'q', 100, '2025-07-02'), buy(118, 'q', 100, '2025-07-03');
SELECT is(stands('all of them', 111, 118), '{0,10,0,5,0,10,25,5}', 'a return of June makes no room in July');
SELECT is_empty('SELECT * FROM wrong()', 'counts are sums of entries');

--
-- budgets: of all members together
--
CREATE FUNCTION sell(id int, member text, amount numeric, at timestamp DEFAULT '2025-06-02 12:00') RETURNS void LANGUAGE sql
	AS $$ INSERT INTO sales VALUES (id, member, amount, ny(at)) $$;
CREATE FUNCTION budget(program text) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(spent), 0)::numeric FROM loyalty.budget_usage JOIN loyalty.rule r USING (rule_id) WHERE r.program = $1 $$;
SELECT sell(1, 'a', 60), sell(2, 'b', 60), sell(3, 'c', 30);
SELECT is(stands('reduce', 1, 3), '{60,40,0}', 'reduce: the last of it, then nothing');
SELECT is(stands('rejected', 1, 3), '{60,0,30}', 'reject: all or nothing');
SELECT results_eq($$SELECT budget('reduce'), budget('rejected'), budget('daily')$$, 'VALUES (100.0, 90.0, 100.0)', 'what is spent');
SELECT sell(4, 'c', 30, '2025-06-03 00:00'), sell(5, 'd', 200, '2025-06-01 23:59:59');
SELECT is(stands('daily', 1, 5), '{60,40,0,30,100}', 'another day, another budget');
SELECT is(stands('reduce', 4, 5), '{0,0}', 'an exhausted budget');
UPDATE sales SET amount = 20 WHERE id = 1;
SELECT results_eq($$SELECT budget('reduce'), budget('rejected')$$, 'VALUES (60.0, 50.0)', 'a return gives back');
SELECT is(stands('reduce', 1, 5), '{20,40,0,0,0}', 'nobody gets it unasked');
UPDATE sales SET amount = 61 WHERE id = 2;
UPDATE sales SET amount = 130 WHERE id = 3;
SELECT is(stands('reduce', 1, 5), '{20,41,39,0,0}', 'a rise draws on what is left');
SELECT is(stands('rejected', 1, 3), '{20,0,30}', 'what was rejected is asked for as a whole, or not at all: 61, and 100 of 30 to 130');
CREATE TEMP TABLE drawn AS SELECT (SELECT count(*) FROM entry) AS entries, (SELECT md5(string_agg(u::text, ',' ORDER BY u::text)) FROM rule_budget u) AS budgets;
UPDATE sales SET amount = amount, note = 'seen';
UPDATE sales SET amount = amount + 0.00, note = 'twice';
SELECT results_eq('SELECT (SELECT count(*) FROM entry), (SELECT md5(string_agg(u::text, '','' ORDER BY u::text)) FROM rule_budget u)', 'TABLE drawn', 'a change of nothing draws nothing');
SELECT is_empty('SELECT * FROM wrong()', 'budgets are sums of entries');
BEGIN;
DELETE FROM sales WHERE id = 2;
SAVEPOINT a;
SELECT sell(6, 'e', 41);
ROLLBACK TO a;
SELECT sell(7, 'e', 11);
SAVEPOINT b;
UPDATE sales SET amount = 21 WHERE id = 7;
ROLLBACK TO b;
COMMIT;
SELECT results_eq($$SELECT stands('reduce', 1, 7), budget('reduce')$$, $$VALUES ('{20,0,39,0,0,NULL,11}'::numeric[], 70.0)$$, 'savepoints');
SELECT is_empty('SELECT * FROM wrong()', 'budgets are sums of entries');
DELETE FROM sales;
SELECT results_eq($$SELECT budget('reduce'), budget('rejected'), budget('daily'), budget('budget and cap')$$, 'VALUES (0.0, 0.0, 0.0, 0.0)', 'all returned, all given back');
-- five members at once: who gets what is not promised, but all of it is used and no more
INSERT INTO sales SELECT 10 + i, 'm' || i, 30, ny('2025-06-02') FROM generate_series(1, 5) i;
SELECT is((SELECT array_agg(x ORDER BY x DESC) FROM unnest(stands('reduce', 11, 15)) x), '{30,30,30,10,0}', 'five members at once');
SELECT is((SELECT array_agg(x ORDER BY x DESC) FROM unnest(stands('rejected', 11, 15)) x), '{30,30,30,0,0}', 'all or nothing');
SELECT is_empty('SELECT * FROM wrong()', 'budgets are sums of entries');
-- what a statement gives back it can draw again
-- two that have 30 each: one is returned, one goes to another member
CREATE TEMP TABLE rich AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM generate_series(11, 15) id WHERE (stands('reduce', id))[1] = 30 LIMIT 2;
UPDATE sales SET amount = CASE n WHEN 1 THEN 0 ELSE amount END, member = CASE n WHEN 2 THEN 'new' ELSE member END FROM rich WHERE rich.id = sales.id;
SELECT results_eq($$SELECT n, stands('reduce', id) FROM rich ORDER BY n$$, $$VALUES (1::bigint, '{0}'::numeric[]), (2, '{30}')$$, 'one returned, and one that goes to another member with what it had');
SELECT is(budget('reduce'), 70.0, 'of which none is lost');
SELECT is_empty('SELECT * FROM wrong()', 'budgets are sums of entries');
DELETE FROM sales;
SELECT sell(21, 'a', 100);
UPDATE sales SET member = 'b' WHERE id = 21;
SELECT results_eq($$SELECT stands('reduce', 21), has.lifetime::numeric FROM member has WHERE member_id = member_id('b', 'reduce')$$, $$VALUES ('{100}'::numeric[], 100.0)$$,
	'the purchase that has all of the budget goes to another member');
SELECT sell(22, 'c', 0);
UPDATE sales SET amount = 100 - amount WHERE id IN (21, 22);
SELECT is(stands('reduce', 21, 22), '{0,100}', 'one gives up what the other wants');
SELECT is(stands('rejected', 21, 22), '{0,100}', 'all of it');
SELECT is_empty('SELECT * FROM wrong()', 'budgets are sums of entries');
DELETE FROM sales;
-- a cap and a budget: 30 of 60, twice; then what the budget of June has left
SELECT sell(31, 'k', 60), sell(32, 'k', 60, '2025-06-03'), sell(33, 'l', 60), sell(34, 'l', 60, '2025-06-30'), sell(35, 'l', 60, '2025-07-01');
SELECT is(stands('budget and cap', 31, 35), '{30,30,30,10,30}', 'the smaller of cap and budget');
INSERT INTO sales SELECT 40 + i, 'n', 20, ny('2025-08-02') + i * interval '1 hour' FROM generate_series(1, 3) i;
SELECT is(stands('budget and cap', 41, 43), '{20,10,0}', 'three of a member at once');
SELECT is_empty('SELECT * FROM wrong()', 'budgets are sums of entries');

--
-- a rule and its successor have one limit
--
CREATE FUNCTION revise(program text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO loyalty.rule (program, name, award, member_cap, cap_period, once, cooldown, budget, active, lineage)
	SELECT r.program, name, award, member_cap, cap_period, once, cooldown, budget, '[2026-02-01,)', rule_id
	FROM loyalty.rule r WHERE r.program = $1;
END $$;
SELECT revise(program) FROM rule WHERE NOT upper_inf(active);
SELECT buy(201, 'rev', 20, '2026-01-31 12:00'), buy(202, 'rev', 20, '2026-02-01 11:59:59'), buy(203, 'rev', 20, '2026-02-01 12:00');
SELECT is(stands('ever', 201, 202), '{20,10}', 'a cap is one');
SELECT is(stands('once', 201, 202), '{100,0}', 'once is once');
SELECT is(stands('cooldown', 201, 203), '{10,0,10}', 'and a cooldown');
DELETE FROM sales;
SELECT sell(51, 'rev', 60, '2026-01-31'), sell(52, 'rev', 60, '2026-02-01');
SELECT is(stands('reduce', 51, 52), '{60,40}', 'a budget is one');
SELECT is_empty('SELECT * FROM wrong()', 'counts and budgets are sums of entries');
UPDATE orders SET amount = 5 WHERE id = 202;
UPDATE orders SET amount = 15 WHERE id = 201;
UPDATE sales SET amount = amount / 2;
SELECT is_empty('SELECT * FROM wrong()', 'also when they become smaller');

--
-- by chance
--
SELECT round(random()::numeric, 6) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);
CREATE FUNCTION step(tab text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	low int := 1000 + random() * 150;
	high int := low + random() ^ 3 * 40;
BEGIN
	EXECUTE format(CASE (random() * 7)::int
		WHEN 0 THEN 'INSERT INTO %I SELECT 1000 + random() * 150, ''f'' || (random() * 4)::int, round(random()::numeric * 60), %L::timestamptz + random() * interval ''500 days'' FROM generate_series(1, 30) ON CONFLICT DO NOTHING'
		WHEN 1 THEN 'INSERT INTO %I SELECT i, ''f'' || i %% 5, round(random()::numeric * 60), %L::timestamptz + random() * interval ''3 days'' FROM generate_series($1, $2) i ON CONFLICT DO NOTHING'
		WHEN 2 THEN 'UPDATE %I SET amount = round(amount * random()::numeric), note = %L WHERE id BETWEEN $1 AND $2'
		WHEN 3 THEN 'UPDATE %I SET amount = round((random() * 70 - 8)::numeric), note = %L WHERE id BETWEEN $1 AND $2'
		WHEN 4 THEN 'UPDATE %I SET counts = random() < 0.7, note = %L WHERE id BETWEEN $1 AND $2'
		WHEN 5 THEN 'UPDATE %I SET member = ''f'' || (random() * 4)::int, note = %L WHERE id BETWEEN $1 AND $2'
		WHEN 6 THEN 'UPDATE %I SET at = at + interval ''40 days'', amount = amount + 1, note = %L WHERE id BETWEEN $1 AND $2'
		ELSE 'DELETE FROM %I WHERE id BETWEEN $1 AND $2 AND note IS DISTINCT FROM %L' END, tab, '2025-05-28') USING low, high;
END $$;
DO $$ BEGIN
	FOR i IN 1..120 LOOP
		BEGIN
			PERFORM step(tab) FROM unnest('{orders,sales}'::text[]) tab;
			IF random() < 0.2 THEN RAISE SQLSTATE 'UUUUU'; END IF;
		EXCEPTION WHEN SQLSTATE 'UUUUU' THEN NULL;
		END;
		IF i % 3 = 0 THEN COMMIT; END IF;
	END LOOP;
END $$;
SELECT is(count(*), 0::bigint, 'nothing was deferred') FROM deferred;
SELECT is_empty('SELECT * FROM wrong()', 'counts and budgets are sums of entries');
UPDATE orders SET counts = false;
DELETE FROM sales;
SELECT is_empty('SELECT * FROM wrong()', 'also when nothing is left');
SELECT is((SELECT loyalty.sum(spent)::numeric FROM budget_usage), 0.0, 'all is given back');
SELECT is((SELECT sum(times) FROM rule_usage), 0::bigint, 'and no purchase stands rewarded');
-- what one purchase gives back to a cap is there for another of the statement, whichever is the earlier
SELECT limited('swap', '1 per 1', $$member_cap => 30, cap_period => 'day'$$), limited('refunds', '100', $$once => true$$);
CREATE TABLE swaps (LIKE orders INCLUDING ALL);
SELECT count(attach('swaps', member => 'member', amount => 'amount', at => 'at', program => p)) FROM unnest('{swap,refunds}'::text[]) p;
INSERT INTO swaps VALUES (1, 'sam', 30, ny('2026-03-02 10:00')), (2, 'sam', 0, ny('2026-03-02 09:00'));
UPDATE swaps SET amount = 30 - amount;
SELECT is(stands('swap', 1, 2), '{0,30}', 'the later one gives, the earlier one takes');
UPDATE swaps SET amount = 30 - amount;
SELECT is(stands('swap', 1, 2), '{30,0}', 'and back');
-- a refund alone takes what a purchase of its size would have got by itself, and of a number of awards none
INSERT INTO swaps VALUES (3, 'tess', 100, ny('2026-03-02 10:00')), (4, 'tess', -100, ny('2026-04-02 10:00')), (5, 'tess', -10, ny('2026-04-02 11:00'));
SELECT is(stands('swap', 3, 5), '{30,-30,-10}', 'at most the cap');
SELECT is(stands('refunds', 3, 5), '{100,0,0}', 'nothing of what is given once');
-- the rest of a budget goes to who came first, not to whom a key or a member_id puts first
SELECT limited('race', '1 per 1', $$budget => 100$$);
CREATE TABLE race (LIKE orders INCLUDING ALL);
SELECT attach('race', member => 'member', amount => 'amount', at => 'at', program => 'race');
INSERT INTO race SELECT i, CASE WHEN i % 2 = 0 THEN 'twice' ELSE 'r' || i END, 30, ny('2026-03-02 10:00') - i * interval '1 minute' FROM generate_series(1, 8) i;
SELECT is(stands('race', 1, 8), '{0,0,0,0,10,30,30,30}', 'within one statement');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
SELECT * FROM finish();
