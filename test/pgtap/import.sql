-- import: members from another system against sums in plain SQL, and what they do afterwards
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = iso;
SET LOCAL client_min_messages = error;
SELECT no_plan();

INSERT INTO loyalty.program (name, expiry, tier_window) VALUES
	('rolling', '12 months', 'rolling 12 months'), ('year', '12 months', 'calendar year'), ('ever', '12 months', 'lifetime');
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program;
INSERT INTO loyalty.tier (program, name, rank, min_amount)
SELECT p.name, t.name, rank, min FROM loyalty.program p, (VALUES ('base', 0, 0), ('silver', 1, 100), ('gold', 2, 250)) t(name, rank, min);
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric, at timestamptz, program text);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', counts => format('program = %L', name), program => name)
FROM loyalty.program \g /dev/null

-- 400 members, with up to six lots, some with a debt, some with purchases that count
SELECT setseed(0.4711) \g /dev/null
CREATE TABLE lot AS
SELECT 'm' || n AS member, round((random() * 100)::numeric, 2) AS points,
	   CASE WHEN random() < 0.3 THEN date '2025-05-20' + (random() * 40)::int END AS starts,
	   CASE WHEN random() < 0.8 THEN date '2025-07-01' + (random() * 500)::int WHEN random() < 0.5 THEN 'infinity' END AS ends
FROM generate_series(1, 400) n, generate_series(1, 6) k WHERE random() < 0.6
UNION ALL
SELECT 'm' || n, -round((random() * 50)::numeric, 2), NULL, NULL FROM generate_series(1, 400, 7) n;
CREATE TABLE counted AS
SELECT 'm' || n AS member, date '2025-06-01' - (random() * 600)::int AS day, round((random() * 120)::numeric, 2) AS amount
FROM generate_series(1, 400) n, generate_series(1, 5) k WHERE random() < 0.7;
CREATE TABLE person AS
SELECT 'm' || n AS member, CASE WHEN n % 3 = 0 THEN (random() * 1000)::int END AS lifetime, (ARRAY[NULL, NULL, 'silver', 'gold'])[1 + n % 4] AS tier
FROM generate_series(1, 400) n;
CREATE VIEW old AS
SELECT member, points, starts, ends, NULL::numeric AS lifetime, NULL::text AS tier, NULL::date AS tier_until, NULL::loyalty.tally AS tally FROM lot
UNION ALL
SELECT p.member, NULL, NULL, NULL, lifetime, tier, CASE WHEN tier IS NOT NULL THEN date '2025-12-31' END,
	   (SELECT loyalty.sum(loyalty.tally_add('{}', day, amount, amount, 1)) FROM counted c WHERE c.member = p.member)
FROM person p;
SELECT lives_ok(format($$CALL loyalty.import_balance('old', 'k', at => '2025-06-01', program => %L, batch_size => 10000)$$, name), name) FROM loyalty.program;
SELECT is((SELECT count(*) FROM loyalty.import_failure), 0::bigint, 'nobody failed');
SELECT is((SELECT count(*) FROM loyalty.member), 1200::bigint, 'everybody is there');

-- Balances and lifetime points are the sums
CREATE VIEW have AS
SELECT p.name COLLATE "default" AS program, m.ref COLLATE "default" AS member, b.tier, b.available::numeric, b.pending::numeric, b.debt::numeric, b.lifetime::numeric
FROM loyalty.member m JOIN loyalty.program p USING (program_id), loyalty.balance(m.ref, '2025-06-01', p.name) b;
SELECT results_eq($$SELECT program, member, available - debt + pending FROM have ORDER BY 1, 2$$,
	$$SELECT name COLLATE "default", p.member, coalesce((SELECT sum(points) FROM lot l WHERE l.member = p.member), 0) FROM loyalty.program, person p ORDER BY 1, 2$$, 'points');
SELECT results_eq($$SELECT program, member, pending FROM have WHERE debt = 0 AND member NOT IN (SELECT member FROM lot WHERE points < 0) ORDER BY 1, 2$$,
	$$SELECT name COLLATE "default", p.member, coalesce((SELECT sum(points) FROM lot l WHERE l.member = p.member AND starts > '2025-06-01'), 0)
	  FROM loyalty.program, person p WHERE member NOT IN (SELECT member FROM lot WHERE points < 0) ORDER BY 1, 2$$, 'pending points');
SELECT results_eq($$SELECT program, member, lifetime FROM have ORDER BY 1, 2$$,
	$$SELECT name COLLATE "default", p.member, coalesce(lifetime, greatest((SELECT sum(points) FROM lot l WHERE l.member = p.member), 0)) FROM loyalty.program, person p ORDER BY 1, 2$$, 'lifetime points');

-- Tiers: the higher of what is given and what the window of the day reaches
CREATE VIEW amount AS
SELECT s.program, p.member, tier, coalesce(sum(amount) FILTER (WHERE day >= since), 0) AS amount
FROM person p CROSS JOIN (VALUES ('rolling', date '2024-06-02'), ('year', '2025-01-01'), ('ever', '-infinity')) s(program, since) LEFT JOIN counted c USING (member)
GROUP BY s.program, p.member, tier;
SELECT results_eq($$SELECT program, member, tier FROM have ORDER BY 1, 2$$,
	$$SELECT program, member, CASE WHEN amount >= 250 OR tier = 'gold' THEN 'gold' WHEN amount >= 100 OR tier = 'silver' THEN 'silver' ELSE 'base' END
	  FROM amount ORDER BY 1, 2$$, 'tiers');
SELECT is((SELECT count(*) FROM loyalty.verify()), 0::bigint, 'all of it is sound');

-- Purchases go on from there, also those that come late: whatever was brought is counted anew with them
INSERT INTO orders SELECT row_number() OVER (), member, 60, '2025-06-02', program FROM amount;
INSERT INTO orders SELECT 2000 + row_number() OVER (), member, 1, '2020-06-02', program FROM amount;
CREATE VIEW amount_then AS
SELECT s.program, p.member, coalesce(sum(amount) FILTER (WHERE day >= since), 0) + more AS amount
FROM person p CROSS JOIN (VALUES ('rolling', date '2024-06-03', 60), ('year', '2025-01-01', 60), ('ever', '-infinity', 61)) s(program, since, more) LEFT JOIN counted c USING (member)
GROUP BY s.program, p.member, more;
SELECT results_eq($$SELECT program, member, now.tier FROM have, loyalty.balance(member, program => program) now ORDER BY 1, 2$$,
	$$SELECT program, member, CASE WHEN greatest(a.amount, t.amount) >= 250 OR tier = 'gold' THEN 'gold' WHEN greatest(a.amount, t.amount) >= 100 OR tier = 'silver' THEN 'silver' ELSE 'base' END
	  FROM amount a JOIN amount_then t USING (program, member) ORDER BY 1, 2$$, 'tiers after purchases');
SELECT results_eq($$SELECT ref COLLATE "default", split_part(split_part(tally::text, ' ', 2), '/', 1)::numeric, rtrim(split_part(tally::text, '/', 3), '}')::bigint
	  FROM loyalty.member JOIN loyalty.program p USING (program_id) WHERE p.name = 'ever' ORDER BY 1$$,
	$$SELECT member, amount, 2 + (SELECT count(*) FROM counted c WHERE c.member = t.member AND c.amount > 0) FROM amount_then t WHERE program = 'ever' ORDER BY 1$$, 'the total of all');
SELECT is((SELECT count(*) FROM loyalty.verify()), 0::bigint, 'all of it is sound');

-- Time goes on: lots lapse on their day, debts take what opens, and maintenance finds all of it
SELECT lives_ok(format($$CALL loyalty.maintain('2025-12-15', program => %L, batch_size => 10000)$$, name), 'maintenance of ' || name) FROM loyalty.program;
SELECT results_eq($$SELECT ref COLLATE "default", loyalty.total(purse)::numeric FROM loyalty.member JOIN loyalty.program p USING (program_id) WHERE p.name = 'ever' AND ref NOT IN (SELECT member FROM lot WHERE points < 0) ORDER BY 1$$,
	$$SELECT p.member, coalesce((SELECT sum(points) FROM lot l WHERE l.member = p.member AND coalesce(ends, '2026-06-01') >= '2025-12-15'), 0) + 60 FROM person p WHERE member NOT IN (SELECT member FROM lot WHERE points < 0) ORDER BY 1$$, 'points half a year later');
SELECT is((SELECT count(*) FROM loyalty.member WHERE next_expiry < '2025-12-15'), 0::bigint, 'nothing is left to be done');
SELECT is((SELECT count(*) FROM loyalty.verify()), 0::bigint, 'all of it is sound');

-- Imported again, as it was
SELECT lives_ok(format($$CALL loyalty.import_balance('old', 'k', program => %L, batch_size => 10000)$$, name), name || ' again') FROM loyalty.program;
SELECT is((SELECT count(*) FROM loyalty.import_failure), 0::bigint, 'nobody is another than before');
SELECT is((SELECT count(*) FROM loyalty.entry WHERE kind = 'import'), 1200::bigint, 'nobody is imported twice');

-- A tier without figures or an end is held until the window has passed once
INSERT INTO loyalty.program (name, tier_window) VALUES ('held year', 'rolling 365 days'), ('held life', 'lifetime');
INSERT INTO loyalty.tier (program, name, rank, min_amount) SELECT p, 'gold', 1, 100 FROM unnest('{held year,held life}'::text[]) p;
CREATE TABLE held_old (member text, tier text);
INSERT INTO held_old VALUES ('a', 'gold');
CALL loyalty.import_balance('held_old', key => 'k', at => '2024-01-10', program => 'held year');
CALL loyalty.import_balance('held_old', key => 'k', at => '2024-01-10', program => 'held life');
CALL loyalty.maintain('2025-01-08 23:59', 'held year');
SELECT results_eq($$SELECT tier COLLATE "default", tier_until FROM loyalty.member WHERE ref = 'a' AND member_id = loyalty.member_id('a', 'held year')$$, $$VALUES ('gold', '2025-01-08'::date)$$, 'held for as many days as the window has');
CALL loyalty.maintain('2025-01-09', 'held year');
SELECT is((SELECT tier FROM loyalty.member WHERE member_id = loyalty.member_id('a', 'held year')), NULL, 'and reviewed on the next');
CALL loyalty.maintain(program => 'held life');
SELECT results_eq($$SELECT tier COLLATE "default", tier_until FROM loyalty.member WHERE member_id = loyalty.member_id('a', 'held life')$$, $$VALUES ('gold', '9999-12-31'::date)$$, 'a lifetime does not pass');
SELECT is_empty($$SELECT * FROM loyalty.verify('held year') UNION ALL SELECT * FROM loyalty.verify('held life')$$, 'and all of it is sound');

SELECT * FROM finish();
ROLLBACK;
