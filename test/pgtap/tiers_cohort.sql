-- tiers_cohort: a cohort of customers over eighteen months, reviewed on the first of each month, against one line of SQL
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
SET search_path = public;
SET timezone = 'UTC';
SET datestyle = iso;
SET client_min_messages = warning;
SELECT no_plan();

-- The one shop brings its orders month by month, the other has its history read at last.
INSERT INTO loyalty.program (name, tier_window, tier_downgrade)
SELECT name, 'rolling 365 days', 'earned' FROM unnest('{monthly,at once}'::text[]) name;
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program;
INSERT INTO loyalty.tier (program, name, rank, min_amount)
SELECT p.name, t.name, rank, amount FROM loyalty.program p, (VALUES ('silver', 1, 100), ('gold', 2, 250), ('platinum', 3, 500)) t (name, rank, amount);

-- All joined in one quarter; most buy once, few often, at all prices.
CREATE TABLE src AS
	SELECT row_number() OVER (ORDER BY day, customer, n) AS id, customer, day, total FROM (
		SELECT c AS customer, n, '1997-01-01'::date + c * 7919 % 91 + n * (n + 1) / 2 * (5 + c * 104729 % 23) AS day, (299 + (c * 31337 + n * 7907) % 9973)::numeric / 100 * (1 + n % 2) AS total
		FROM generate_series(1, 1200) c, generate_series(0, (c * 37 % 97) * c % 12) n) x
	WHERE day <= '1998-06-30';
SELECT cmp_ok(count(*), '>', 3000::bigint, 'a few thousand orders') FROM src;
CREATE TABLE monthly (id int PRIMARY KEY, customer int, total numeric, day date);
CREATE TABLE later (LIKE monthly INCLUDING ALL);
SELECT loyalty.attach('monthly', member => 'customer', amount => 'total', at => 'day', program => 'monthly'),
	   loyalty.attach('later', member => 'customer', amount => 'total', at => 'day', program => 'at once') \g /dev/null

-- The highest tier whose amount the last 365 days reach
CREATE FUNCTION expected(today date) RETURNS TABLE (customer int, tier text) LANGUAGE sql AS $$
	SELECT customer, CASE WHEN s >= 500 THEN 'platinum' WHEN s >= 250 THEN 'gold' WHEN s >= 100 THEN 'silver' END
	FROM (SELECT customer, sum(total) FILTER (WHERE day > today - 365) AS s FROM src WHERE day <= today GROUP BY 1) x $$;
CREATE FUNCTION differ(program text, today date) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s: member %s has %s, should have %s', today, e.customer, m.tier, e.tier)
	FROM expected(today) e LEFT JOIN loyalty.member m ON m.member_id = loyalty.member_id(e.customer::text, program) WHERE m.tier IS DISTINCT FROM e.tier $$;

CREATE TABLE wrong (what text);
CREATE TABLE counted (month date, silver int, gold int, platinum int);
CREATE PROCEDURE run() LANGUAGE plpgsql AS $$
DECLARE
	today date;
BEGIN
	FOR i IN 1..18 LOOP
		today := '1997-01-01'::date + make_interval(months => i);
		INSERT INTO monthly SELECT id, customer, total, day FROM src WHERE day <= today AND day > today - interval '1 month';
		COMMIT;
		CALL loyalty.maintain(today + time '23:59', 'monthly');
		INSERT INTO wrong SELECT differ('monthly', today);
		INSERT INTO counted SELECT today, count(*) FILTER (WHERE tier = 'silver'), count(*) FILTER (WHERE tier = 'gold'), count(*) FILTER (WHERE tier = 'platinum') FROM loyalty.member;
		COMMIT;
	END LOOP;
END $$;
-- What is of the first day of all comes before the first month.
INSERT INTO monthly SELECT id, customer, total, day FROM src WHERE day = '1997-01-01';
CALL run();
SELECT is_empty('SELECT * FROM wrong', 'on the first of each month every member has the tier that his orders give');
SELECT is((SELECT count(*) FROM monthly), (SELECT count(*) FROM src), 'all orders came');
SELECT cmp_ok(least(max(silver) - min(silver), max(gold) - min(gold), max(platinum) - min(platinum)), '>', 20, 'many rose, and many fell') FROM counted WHERE month >= '1997-06-01';

INSERT INTO later SELECT id, customer, total, day FROM src;
CALL loyalty.maintain('1998-07-01 23:59', 'at once');
SELECT is_empty($$SELECT differ('at once', '1998-07-01')$$, 'all at once: the same tiers in the end');
SELECT is_empty($$SELECT m.ref FROM loyalty.member m, loyalty.totals(m.tally, '1997-07-02', '1998-07-01') t
	WHERE t.amount <> coalesce((SELECT sum(total) FROM src WHERE customer::text = m.ref AND day BETWEEN '1997-07-02' AND '1998-07-01'), 0)$$, 'and the tallies of the last year are exact');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'nothing contradicts itself');
SELECT * FROM finish();
