-- Whatever becomes of purchases of limited rules, what is counted is what stands; and verify() finds what was changed by hand.
\set QUIET 1
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL TimeZone = 'UTC';
SELECT no_plan();

CREATE FUNCTION found(program text DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', v.invariant, v.program, v.member, v.problem, v.expected, v.actual)
	FROM loyalty.verify(program) v WHERE v.invariant <> 'I3'
$$;
CREATE FUNCTION finds(description text, VARIADIC lines text[]) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), lines, description) FROM found() f
$$;
CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), '{}', description) FROM found() f
$$;

-- What is counted of a rule, newest period first; and what is spent of its budget.
CREATE FUNCTION counted(rule text, program text DEFAULT 'beans') RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', m.ref, nullif(u.period, '-infinity'), u.points, u.times, u.last_at::date), ', ' ORDER BY m.ref, u.period DESC)
	FROM loyalty.rule_usage u JOIN loyalty.rule r USING (rule_id) JOIN loyalty.member m USING (member_id)
	WHERE r.name = rule AND r.program = counted.program
$$;
CREATE FUNCTION spent(rule text, program text DEFAULT 'beans') RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(b.spent::numeric), 0) FROM loyalty.rule_budget b JOIN loyalty.rule r USING (rule_id) WHERE r.name = rule AND r.program = spent.program
$$;
CREATE FUNCTION given(rule text, key text, program text DEFAULT 'beans') RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s', m.ref, e.points), ', ' ORDER BY m.ref)
	FROM (SELECT e.member_id, sum(e.points::numeric) AS points FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id)
		  WHERE r.name = rule AND r.program = given.program AND e.source_key = key GROUP BY 1) e JOIN loyalty.member m USING (member_id)
$$;

-- A program for each policy of clawback, all fed by one table.
INSERT INTO loyalty.program (name, clawback, time_zone) VALUES
	('beans', 'debt', 'Asia/Kuala_Lumpur'), ('none', 'none', 'UTC'), ('available', 'available', 'UTC');
INSERT INTO loyalty.rule (program, name, award, member_cap, cap_period, active) SELECT name, 'month', '1 per 1', 100, 'month', '(, 2026-06-01)' FROM loyalty.program;
INSERT INTO loyalty.rule (program, name, award, member_times, cap_period) SELECT name, 'times', '10', 2, 'day' FROM loyalty.program;
INSERT INTO loyalty.rule (program, name, award, once) SELECT name, 'welcome', '50', true FROM loyalty.program;
INSERT INTO loyalty.rule (program, name, award, cooldown, condition) SELECT name, 'visit', '5', '7 days', 'amount > 10' FROM loyalty.program;
INSERT INTO loyalty.rule (program, name, award, budget, active) SELECT name, 'launch', '1 per 1', 200, '(, 2026-06-01)' FROM loyalty.program;
INSERT INTO loyalty.rule (program, name, award, budget, budget_period) SELECT name, 'weekly', '1 per 1', 150, 'week' FROM loyalty.program;
-- Successors, which go on with the limits of the first versions, whatever their periods are.
INSERT INTO loyalty.rule (program, name, award, member_cap, cap_period, lineage, active)
	SELECT program, 'month 2', '2 per 1', 150, 'day', rule_id, '[2026-06-01,)' FROM loyalty.rule WHERE name = 'month';
INSERT INTO loyalty.rule (program, name, award, budget, budget_period, lineage, active)
	SELECT program, 'launch 2', '2 per 1', 500, 'month', rule_id, '[2026-06-01,)' FROM loyalty.rule WHERE name = 'launch';
CREATE TABLE orders (id integer PRIMARY KEY, customer text, total numeric, status text DEFAULT 'paid', at timestamptz);
SELECT count(loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', counts => $$status = 'paid'$$, program => name))
FROM loyalty.program;

-- In Kuala Lumpur the first of these is made on the 1st of March.
INSERT INTO orders VALUES (1, 'ada', 60, 'paid', '2026-02-28 18:00'), (2, 'ada', 60, 'paid', '2026-03-10');
INSERT INTO orders VALUES (3, 'ada', 20, 'paid', '2026-03-12'), (4, 'bob', 90, 'paid', '2026-03-12'), (5, 'bob', 8, 'open', '2026-03-12');
SELECT sound('purchases');
SELECT is(counted('month'), 'ada 2026-03-01 100 2, bob 2026-03-01 90 1', 'by the month of the program''s zone');
SELECT is(counted('month', 'none'), 'ada 2026-03-01 80 2, ada 2026-02-01 60 1, bob 2026-03-01 90 1', 'and of another''s');
SELECT is(counted('welcome'), 'ada 0 0 2026-02-28, bob 0 0 2026-03-12', 'of a rule that gives once only when');
SELECT is(spent('launch'), 200.0, 'the budget is spent');

UPDATE orders SET total = 30 WHERE id = 2;
SELECT sound('a return in part');
UPDATE orders SET status = 'open' WHERE id IN (1, 4);
SELECT sound('whole returns');
SELECT is(counted('month'), 'ada 2026-03-01 30 1, bob 2026-03-01 0 0', 'are given back to the cap');
SELECT is(counted('welcome'), 'ada 0 0 2026-02-28, bob 0 0 2026-03-12', 'but a return frees nothing that is given once');
UPDATE orders SET status = 'paid', at = at + '1 year' WHERE id IN (1, 4, 5);
SELECT sound('and back, with another time than they are judged by');
UPDATE orders SET total = 300 WHERE id = 3;
SELECT sound('a rise');
UPDATE orders SET customer = 'cyd' WHERE id IN (1, 3);
SELECT sound('purchases of another member now');
DELETE FROM orders WHERE id = 2;
UPDATE orders SET id = id + 100;
SELECT sound('under other keys');
INSERT INTO orders VALUES (6, 'dan', -25, 'paid', '2026-03-20'), (7, 'dan', 40, 'paid', '2026-03-21'), (8, 'dan', 40, 'paid', '2026-03-21');
UPDATE orders SET total = -5 WHERE id = 6;
SELECT sound('a refund alone');
UPDATE orders SET total = 15 WHERE id = 6;
SELECT sound('that becomes a purchase');
SELECT loyalty.set_member('dan', status => 'suspended', program => name) FROM loyalty.program;
INSERT INTO orders VALUES (9, 'dan', 70, 'paid', '2026-03-25');
SELECT sound('a suspended member');
SELECT loyalty.set_member('dan', status => 'active', program => name) FROM loyalty.program;

-- Points that are spent before the purchase is returned.
INSERT INTO orders VALUES (10, 'eve', 80, 'paid', '2026-05-01');
SELECT loyalty.adjust('eve', -available::numeric, program => name) FROM loyalty.program, loyalty.balance('eve', program => name);
UPDATE orders SET total = 20 WHERE id = 10;
SELECT ok((SELECT sum((context ->> 'shortfall')::numeric) > 0 FROM loyalty.entry WHERE source_key = '10'), 'there are shortfalls');
SELECT sound('and they do not count');
UPDATE orders SET total = 90 WHERE id = 10;
SELECT sound('nor when they are used up');
DELETE FROM orders WHERE id = 10;
SELECT sound('everything is returned');

-- Purchases of both versions of a rule.
INSERT INTO orders VALUES (11, 'fay', 80, 'paid', '2026-05-31'), (12, 'fay', 80, 'paid', '2026-06-01'), (13, 'fay', 80, 'paid', '2026-06-02');
SELECT sound('two versions of a rule');
UPDATE orders SET total = total - 30 WHERE id IN (11, 12);
DELETE FROM orders WHERE id = 13;
SELECT sound('and returns of both');

-- What a statement gives back is there for what it wants.
INSERT INTO loyalty.program (name) VALUES ('tight');
INSERT INTO loyalty.rule (program, name, award, budget) VALUES ('tight', 'budget', '1 per 1', 100);
INSERT INTO loyalty.rule (program, name, award, member_cap) VALUES ('tight', 'cap', '1 per 1', 100);
INSERT INTO loyalty.rule (program, name, award, once) VALUES ('tight', 'welcome', '1 per 1', true);
CREATE TABLE tickets (id integer PRIMARY KEY, customer text, total numeric, quantity integer, at timestamptz);
SELECT loyalty.attach('tickets', member => 'customer', amount => 'total', quantity => 'quantity', at => 'at', program => 'tight') > 0;
INSERT INTO tickets VALUES (5, 'ada', 100, 1, '2026-01-10');
UPDATE tickets SET customer = 'bob';
SELECT is(given('budget', '5', 'tight'), 'ada 0, bob 100', 'a purchase that changes its member keeps its part of the budget');
UPDATE tickets SET id = 3;
SELECT is(given('cap', '3', 'tight'), 'bob 100', 'one that changes its key keeps its part of the cap');
SELECT is(given('budget', '3', 'tight'), 'bob 100', 'and of the budget');
SELECT sound('and nothing is counted twice');
INSERT INTO tickets VALUES (21, 'cyd', -10, 1, '2026-01-11');
UPDATE tickets SET total = -5 WHERE id = 21;
INSERT INTO tickets VALUES (22, 'cyd', 50, 1, '2026-01-12');
UPDATE tickets SET total = 70 WHERE id = 21;
SELECT is(given('welcome', '21', 'tight'), 'cyd 0', 'a refund that shrank has no right to an award');
SELECT sound('nor is it counted');

-- With what is left of a budget a purchase may be looked at that an award kept out before, and fail.
INSERT INTO loyalty.rule (program, name, award, budget, once, condition) VALUES
	('tight', 'first', '100', 100, true, '1 / (quantity - 2) > -5'), ('tight', 'half', '1 per 2', 75, false, NULL);
INSERT INTO tickets VALUES (31, 'dan', 100, 1, '2026-01-10');
SELECT lives_ok($$INSERT INTO tickets VALUES (32, 'eve', 10, 1, '2026-01-11'), (33, 'eve', 100, 2, '2026-01-12'), (34, 'eve', 20, 1, '2026-01-13')$$,
	'that does not stop the till');
SELECT is((SELECT array_agg(source_key) FROM loyalty.deferred), '{33}', 'but defers the purchase');
SELECT sound('and what it had been granted goes back');

-- Events and purchases that no table holds
SELECT loyalty.record('gus', 'purchase', 12, program => 'tight'), loyalty.record('gus', 'purchase', 8, key => 'k', program => 'tight'),
	loyalty.record('gus', 'visit', 3, program => 'tight'), loyalty.record('gus', 'visit', 3, key => 'purchase:', program => 'tight'), loyalty.adjust('gus', 5, program => 'tight');
SELECT is((SELECT purchases FROM loyalty.member WHERE ref = 'gus'), 2, 'a purchase is one with or without a key, another event is none');
SELECT is(counted('cap', 'tight'), 'ada 0 0, bob 100 1, cyd 100 2, dan 100 1, eve 30 2, gus 20 2', 'and limits are about it');
SELECT sound('recorded');

-- By hand
SET session_replication_role = replica;
SAVEPOINT sound;
UPDATE loyalty.rule_usage SET points = 7 WHERE (member_id, rule_id, period) =
	(SELECT loyalty.member_id('fay', 'beans'), rule_id, date '2026-05-01' FROM loyalty.rule WHERE program = 'beans' AND name = 'month');
SELECT finds('points counted',
	'I4 limits | beans | fay | points counted of rule "month" in the period from 2026-05-01 are not what stands | 50 | 7');
ROLLBACK TO sound;
UPDATE loyalty.rule_usage SET times = 3 WHERE member_id = loyalty.member_id('fay', 'none') AND period = '2026-06-01' AND times = 1 AND points = '10';
SELECT finds('purchases counted',
	'I4 limits | none | fay | purchases counted of rule "times" in the period from 2026-06-01 are not those that stand rewarded | 1 | 3');
ROLLBACK TO sound;
UPDATE loyalty.rule_usage SET last_at = '2026-06-02' WHERE (member_id, rule_id) =
	(SELECT loyalty.member_id('fay', 'beans'), rule_id FROM loyalty.rule WHERE program = 'beans' AND name = 'welcome');
SELECT finds('the last award',
	'I4 limits | beans | fay | last award of rule "welcome" is not the latest purchase that was rewarded | 2026-05-31 00:00:00+00 | 2026-06-02 00:00:00+00');
ROLLBACK TO sound;
DELETE FROM loyalty.rule_usage WHERE member_id = loyalty.member_id('bob', 'tight');
SELECT finds('counts that are gone',
	'I4 limits | tight | bob | last award of rule "welcome" is not the latest purchase that was rewarded | 2026-01-10 00:00:00+00 | none',
	'I4 limits | tight | bob | points counted of rule "cap" are not what stands | 100 | 0',
	'I4 limits | tight | bob | purchases counted of rule "cap" are not those that stand rewarded | 1 | 0');
ROLLBACK TO sound;
INSERT INTO loyalty.rule_usage VALUES (5, 99, '2026-01-01', 3, 0), (loyalty.member_id('bob', 'tight'), 99, '2026-01-01', 0, 0);
SELECT finds('counts of nobody and nothing',
	'I4 limits | member_id 5 | points counted of rule 99 in the period from 2026-01-01 are not what stands | 0 | 3');
ROLLBACK TO sound;
UPDATE loyalty.rule_budget SET spent = spent OPERATOR(loyalty.+) '1' WHERE (rule_id, slot) =
	(SELECT rule_id, (SELECT min(b.slot) FROM loyalty.rule_budget b WHERE b.rule_id = r.rule_id AND b.spent OPERATOR(loyalty.<) b.allotted)
	 FROM loyalty.rule r WHERE program = 'tight' AND name = 'half');
SELECT finds('a budget',
	'I4 budgets | tight | points spent of the budget of rule "half" are not what stands | 65 | 66');
ROLLBACK TO sound;
DELETE FROM loyalty.rule_budget WHERE (rule_id, period) = (SELECT rule_id, date '2026-05-25' FROM loyalty.rule WHERE program = 'none' AND name = 'weekly');
SELECT finds('a budget that is gone',
	'I4 budgets | none | points spent of the budget of rule "weekly" in the period from 2026-05-25 are not what stands | 50 | 0');
ROLLBACK TO sound;
UPDATE loyalty.rule_budget SET allotted = allotted OPERATOR(loyalty.+) '9' WHERE (rule_id, slot) = (SELECT rule_id, 3 FROM loyalty.rule WHERE program = 'tight' AND name = 'budget');
SELECT finds('more than there is',
	'I4 budgets | tight | slots of the budget of rule "budget" do not allot it | 100 | 109');
ROLLBACK TO sound;
UPDATE loyalty.rule_budget SET budget = 99 WHERE (rule_id, slot) = (SELECT rule_id, 3 FROM loyalty.rule WHERE program = 'tight' AND name = 'budget');
SELECT finds('another budget',
	'I4 budgets | tight | slots of the budget of rule "budget" name different budgets | 100 | 99');
ROLLBACK TO sound;
UPDATE loyalty.entry SET points = 922337203685477 WHERE member_id = loyalty.member_id('bob', 'tight') AND points OPERATOR(loyalty.>) '0';
SELECT is(array_agg(f ORDER BY f COLLATE "C"), '{
	I4 budgets | tight | points spent of the budget of rule \"budget\" are not what stands | 1844674407370854 | 100,
	I4 limits | tight | bob | points counted of rule \"cap\" are not what stands | 1844674407370854 | 100,
	I4 limits | tight | bob | purchases counted of rule \"cap\" are not those that stand rewarded | 2 | 1}', 'sums out of range')
FROM found() f WHERE f LIKE 'I4 %';
ROLLBACK TO sound;
UPDATE loyalty.rule_usage SET points = points OPERATOR(loyalty.+) '1' WHERE points OPERATOR(loyalty.>) '0';
UPDATE loyalty.rule_budget SET allotted = 0;
SELECT ok(count(*) > 0 AND bool_and(f LIKE '% | tight | %'), 'only what is wrong with one program') FROM found('tight') f;
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = NULL WHERE source_id = 0;
SELECT sound('a purchase without a key cannot be told any more when its context is blanked');
UPDATE loyalty.member SET purchases = 4 WHERE ref = 'gus';
SELECT finds('but no more than there may be', 'I2 | tight | gus | number of purchases is not what the entries say | 1 | 4');
ROLLBACK TO sound;
SELECT sound('and all is as before');
SELECT * FROM finish();
ROLLBACK;
