-- Clawback: what a return takes back when the points have been spent, lapsed or are still pending.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SELECT no_plan();

-- One table, a program for each policy. Points live 30 days after the day they can be spent.
INSERT INTO program (name, clawback, expiry) SELECT p, p, '30 days' FROM unnest('{none,pending,available,debt}'::text[]) p;
INSERT INTO rule (program, name, award) SELECT name, 'base', '1 per 1' FROM program;
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, day date);
SELECT attach('orders', member => 'member', amount => 'amount', at => 'day', program => name) FROM program;
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
-- An order of so many days ago (below zero: to come).
CREATE FUNCTION buy(id int, member text, amount numeric, ago int) RETURNS void LANGUAGE sql
	AS $$ INSERT INTO orders VALUES (id, member, amount, current_date - ago) $$;
CREATE FUNCTION spend(member text, points numeric) RETURNS void LANGUAGE sql
	AS $$ SELECT loyalty.adjust(member, -points, program => name) FROM loyalty.program WHERE name IN ('none', 'pending', 'available', 'debt') $$;
-- A member in each program as available/pending/debt, with the net points of a purchase when one is named.
CREATE FUNCTION state(member text, key int DEFAULT NULL, day int DEFAULT 0)
	RETURNS TABLE ("none" text, pending text, available text, debt text) LANGUAGE sql AS $$
	SELECT max(s) FILTER (WHERE name = 'none'), max(s) FILTER (WHERE name = 'pending'),
		   max(s) FILTER (WHERE name = 'available'), max(s) FILTER (WHERE name = 'debt')
	FROM (SELECT p.name, format('%s/%s/%s', b.available, b.pending, b.debt) || coalesce(' ' ||
				 (SELECT sum(points) FROM loyalty.entry e WHERE e.member_id = loyalty.member_id($1, p.name) AND source_key = $2::text), '') AS s
		  FROM loyalty.program p, loyalty.balance($1, now() + day * interval '1 day', p.name) b) s $$;
CREATE FUNCTION is_state(member text, key int, expected text[], why text) RETURNS text LANGUAGE sql AS $$
	SELECT is(ARRAY[s."none", s.pending, s.available, s.debt], expected, why) FROM state(member, key) s $$;

-- nothing was spent: the purchase's own life span, nothing else, under every policy
SELECT buy(1, 'a', 100, 10), buy(2, 'a', 50, 5), buy(3, 'a', 40, -5);
SELECT is_state('a', NULL, '{150/40/0,150/40/0,150/40/0,150/40/0}', 'two lots, and one to come');
UPDATE orders SET amount = 30 WHERE id = 2;
SELECT is_state('a', 2, '{130/40/0 30,130/40/0 30,130/40/0 30,130/40/0 30}', 'a partial return');
UPDATE orders SET amount = 10 WHERE id = 3;
SELECT is_state('a', 3, '{130/10/0 10,130/10/0 10,130/10/0 10,130/10/0 10}', 'of what is pending');
SELECT results_eq($$SELECT points::numeric, ends - current_date FROM lots('a', program => 'debt') ORDER BY 2$$,
				  'VALUES (100.0, 20), (30.0, 25), (10.0, 35)', 'each from its own life span');

-- what was spent: none gives it up, pending and available take it there, debt goes below zero
SELECT buy(11, 'b', 100, 10), buy(12, 'b', 50, 5), buy(13, 'b', 40, -5), spend('b', 120);
DELETE FROM orders WHERE id = 11;
SELECT is_state('b', 11, '{30/40/0 100,30/0/0 60,0/40/0 70,0/40/70 0}', 'all of it spent, and returned');
SELECT is((SELECT s.debt FROM state('b', 11, 5) s), '0/0/30 0', 'the debt will be repaid by the lot that opens');
SELECT is((SELECT s.available FROM state('b', 11, 5) s), '40/0/0 70', 'and nothing else will');
SELECT is((SELECT points::numeric FROM liability WHERE program = 'debt' AND month = 'infinity'), -70.0, 'a debt is netted in the liability');
-- the shortfall is final
SELECT buy(14, 'b', 10, 0);
SELECT is_state('b', 11, '{40/40/0 100,40/0/0 60,10/40/0 70,0/40/60 0}', 'later earning repays a debt only');
SELECT is((SELECT lots FROM entry WHERE member_id = member_id('b', 'debt') AND source_key = '14'),
		  '{10@infinity}'::purse, 'the lots of the entry say that it repaid');
UPDATE orders SET amount = 10 WHERE id = 14;
DELETE FROM orders WHERE id = 14;
SELECT is_state('b', 11, '{30/40/0 100,30/0/0 60,0/40/0 70,0/40/70 0}', 'returned again, the debt is what it was');
-- a later rise uses it up first
INSERT INTO orders VALUES (11, 'b', 50, current_date - 10);
SELECT is_state('b', 11, '{30/40/0 100,30/0/0 60,0/40/0 70,0/40/20 50}', 'it comes back in part: only the debt has something to earn');
UPDATE orders SET amount = 65 WHERE id = 11;
SELECT is_state('b', 11, '{30/40/0 100,35/0/0 65,0/40/0 70,0/40/5 65}', 'and more');
UPDATE orders SET amount = 105 WHERE id = 11;
SELECT is_state('b', 11, '{35/40/0 105,75/0/0 105,35/40/0 105,35/40/0 105}', 'and more than there ever was');
UPDATE orders SET amount = 100 WHERE id = 11;
SELECT is_state('b', 11, '{30/40/0 100,70/0/0 100,30/40/0 100,30/40/0 100}', 'a return takes what it should again');

-- returned in steps: nothing is given up or taken twice
SELECT buy(21, 'c', 100, 1), spend('c', 60);
DO $$ BEGIN FOR i IN 1..10 LOOP UPDATE orders SET amount = amount - 10 WHERE id = 21; END LOOP; END $$;
SELECT is_state('c', 21, '{0/0/0 60,0/0/0 60,0/0/0 60,0/0/60 0}', 'in ten steps');
SELECT buy(22, 'c', 60, 0);
UPDATE orders SET day = day, amount = 0 WHERE id IN (21, 22);
SELECT is_state('c', 21, '{0/0/0 60,0/0/0 60,0/0/0 60,0/0/60 0}', 'and the next one is returned whole');

-- one statement: what it gives comes before what it takes
SELECT buy(31, 'd', 100, 9), buy(32, 'd', 0, 4), spend('d', 100);
UPDATE orders SET amount = CASE id WHEN 31 THEN 0 ELSE 60 END WHERE id IN (31, 32);
SELECT is_state('d', 31, '{60/0/0 100,60/0/0 100,0/0/0 40,0/0/40 0}', 'taken from what the same statement gave');

-- a span that is over is neither taken nor owed, whether or not its end has been written down
SELECT buy(41, 'e', 100, 50), buy(42, 'e', 20, 2);
SELECT is_state('e', 41, '{20/0/0 100,20/0/0 100,20/0/0 100,20/0/0 100}', 'lapsed 20 days ago');
UPDATE orders SET amount = 50 WHERE id = 41;
SELECT is_state('e', 41, '{20/0/0 100,20/0/0 100,20/0/0 100,20/0/0 100}', 'a partial return of it');
DELETE FROM orders WHERE id = 41;
SELECT is_state('e', 41, '{20/0/0 100,20/0/0 100,20/0/0 100,20/0/0 100}', 'and the rest');
SELECT buy(43, 'e', 5, 0);
SELECT is_state('e', 41, '{25/0/0 100,25/0/0 100,25/0/0 100,25/0/0 100}', 'is not owed later either');
SELECT buy(44, 'e', 30, 60), buy(45, 'e', 0, 60);
SELECT is_state('e', NULL, '{25/0/0,25/0/0,25/0/0,25/0/0}', 'a late purchase of a time that is over');
UPDATE orders SET amount = 0 WHERE id = 44;
SELECT is_state('e', 44, '{25/0/0 30,25/0/0 30,25/0/0 30,25/0/0 30}', 'returned');

-- rows below zero: a refund alone takes its magnitude, as far as the policy goes
SELECT buy(51, 'f', 30, 3), buy(52, 'f', -20, 2);
SELECT is_state('f', 52, '{30/0/0 0,30/0/0 0,10/0/0 -20,10/0/0 -20}', 'a refund has no life span of its own');
SELECT buy(53, 'f', 25, -4), buy(54, 'f', -40, 0);
SELECT is_state('f', 54, '{30/25/0 0,30/0/0 -25,0/25/0 -10,0/25/30 -40}', 'one that is greater than what there is');
DELETE FROM orders WHERE id IN (52, 54);
SELECT is_state('f', NULL, '{30/25/0,30/25/0,30/25/0,30/25/0}', 'refunds undone: back where they were taken');
SELECT buy(55, 'g', -20, 0);
SELECT is_state('g', 55, '{0/0/0 0,0/0/0 0,0/0/0 0,0/0/20 -20}', 'a cancellation without its original');
UPDATE orders SET amount = 20 WHERE id = 55;
SELECT is_state('g', 55, '{20/0/0 20,20/0/0 20,20/0/0 20,20/0/0 20}', 'that becomes a purchase');
-- an old refund that is undone gives back what it took, not points that have lapsed by now
SELECT buy(56, 'i', 100, 0), buy(57, 'i', -20, 50);
SELECT is_state('i', 57, '{100/0/0 0,100/0/0 0,80/0/0 -20,80/0/0 -20}', 'a refund dated before all life spans');
UPDATE orders SET amount = -10 WHERE id = 57;
SELECT is_state('i', 57, '{100/0/0 0,100/0/0 0,90/0/0 -10,90/0/0 -10}', 'becomes smaller');
DELETE FROM orders WHERE id = 57;
SELECT is_state('i', 57, '{100/0/0 0,100/0/0 0,100/0/0 0,100/0/0 0}', 'is undone');

-- history in one statement: each refund takes what there was at its time
INSERT INTO orders VALUES (58, 'j', 10, current_date - 9), (59, 'j', -50, current_date - 8), (60, 'j', 100, current_date - 7);
SELECT is_state('j', 59, '{110/0/0 0,110/0/0 0,100/0/0 -10,60/0/0 -50}', 'a refund does not take what was bought after it, but as a debt');

-- two rules: what one gave has lapsed, what the other gave is taken
INSERT INTO rule (program, name, award, expiry) SELECT name, 'short', '2 per 1', '5 days' FROM program WHERE name <> 'waiting';
SELECT buy(61, 'h', 10, 7), buy(62, 'h', 10, 1), spend('h', 15);
SELECT is_state('h', 61, '{25/0/0 30,25/0/0 30,25/0/0 30,25/0/0 30}', '10 and 10 live, 20 lapsed, 20 live until tomorrow; 15 of those are spent');
DELETE FROM orders WHERE id = 61;
SELECT is_state('h', 61, '{15/0/0 20,15/0/0 20,15/0/0 20,15/0/0 20}', 'the lapsed part is not asked for');
DELETE FROM orders WHERE id = 62;
SELECT is_state('h', 62, '{0/0/0 15,0/0/0 15,0/0/0 15,0/0/15 0}', 'the spent part is');

-- a debt of the past, repaid by a lot that was pending and has opened since
INSERT INTO program (name, pending) VALUES ('waiting', '3 days');
INSERT INTO rule (program, name, award, expiry, pending) VALUES ('waiting', 'slow', '1 per 1', '90 days', NULL);
CREATE TABLE visits (id int PRIMARY KEY, amount numeric, day date, member text DEFAULT 'w');
SELECT attach('visits', member => 'member', amount => 'amount', at => 'day', program => 'waiting');
CREATE FUNCTION waiting(ago int, member text DEFAULT 'w') RETURNS text LANGUAGE sql
	AS $$ SELECT concat_ws('/', available, pending, debt) FROM loyalty.balance(member, now() - ago * interval '1 day', 'waiting') $$;
INSERT INTO visits VALUES (1, -50, current_date - 10);
INSERT INTO visits VALUES (2, 80, current_date - 8);
SELECT results_eq('SELECT waiting(9), waiting(7), waiting(6), waiting(5), waiting(0)',
	$$VALUES ('0/0/50', '0/80/50', '0/80/50', '30/0/0', '30/0/0')$$, 'in debt, pending, and repaid on the day the lot opened');
INSERT INTO visits VALUES (3, 7, current_date);
SELECT is(waiting(0), '30/7/0', 'written down by the next posting');
SELECT is(string_agg(kind, ',' ORDER BY entry), 'clawback,earn,release,earn', 'as a release') FROM statement('w', program => 'waiting');
SELECT is(purse::text, format('{30@%s/%s, 7@%s/%s}', current_date - 5, current_date + 85, current_date + 3, current_date + 93),
		  'the purse') FROM member WHERE member_id = member_id('w', 'waiting');
UPDATE visits SET amount = 30 WHERE id = 2;
SELECT is(waiting(0), '0/7/20', 'returned in part: what repaid the debt is owed again');

-- a refund that becomes a purchase gives back at once what it took; only what it earns beyond that is pending
INSERT INTO visits VALUES (11, -20, current_date, 'x');
UPDATE visits SET amount = 30 WHERE id = 11;
SELECT is(waiting(0, 'x'), '0/30/0', 'a refund of 20 becomes a purchase of 30');
DELETE FROM visits WHERE id = 11;
SELECT is(waiting(0, 'x'), '0/0/0', 'and is deleted: neither debt nor points');

SELECT is_empty('SELECT * FROM unsound()', 'every purse is the sum of its entries, and nothing contradicts itself');
SELECT * FROM finish();
