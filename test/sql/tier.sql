-- tier: what may be written, and the everyday story: rise, earn more, return, fall.
CREATE SCHEMA tier;
SET search_path = tier, loyalty, public;
SET timezone = 'UTC';
SET datestyle = iso;
SET client_min_messages = warning;

-- tiers that make no sense
INSERT INTO program (name, currency, tier_window) VALUES ('tier', 'USD', 'rolling 365 days');
INSERT INTO tier (program, name, rank, min_amount) VALUES ('nowhere', 'silver', 1, 100);
-- details of what a constraint refuses hold the time
\set VERBOSITY terse
INSERT INTO tier (program, name, rank, min_amount) VALUES (NULL, 'silver', 1, 100);
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', NULL, 1, 100);
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', '', 1, 100);
INSERT INTO tier (program, name, min_amount) VALUES ('tier', 'silver', 100);
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'silver', 1, -1);
INSERT INTO tier (program, name, rank, min_points) VALUES ('tier', 'silver', 1, -1);
INSERT INTO tier (program, name, rank, min_purchases) VALUES ('tier', 'silver', 1, -1);
INSERT INTO tier (program, name, rank, min_amount, keep_amount) VALUES ('tier', 'silver', 1, 1, -1);
INSERT INTO tier (program, name, rank, min_points, keep_points) VALUES ('tier', 'silver', 1, 1, -1);
INSERT INTO tier (program, name, rank, min_purchases, keep_purchases) VALUES ('tier', 'silver', 1, 1, -1);
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'silver', 1, 1e16);
\set VERBOSITY default
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'silver', 1, 'NaN');
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'silver', 1, 'Infinity');
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'silver', 1, 1e40);
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'silver', 1, 0.000000000000000000001);
INSERT INTO tier (program, name, rank, min_amount, keep_amount) VALUES ('tier', 'silver', 1, 1, 1e40);
INSERT INTO tier (program, name, rank, min_amount, expiry) VALUES ('tier', 'silver', 1, 100, 'inactive 18 months');
INSERT INTO tier (program, name, rank, min_amount, pending) VALUES ('tier', 'silver', 1, 100, '1 hour');
INSERT INTO tier (program, name, rank, min_amount, pending) VALUES ('tier', 'silver', 1, 100, '-1 day');
INSERT INTO tier (program, name, rank, min_amount, pending) VALUES ('tier', 'silver', 1, 100, '1 month');

-- two of one name, two of one rank; all ranks shifted at once
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'silver', 1, 100), ('tier', 'gold', 2, 250);
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'silver', 3, 100);
INSERT INTO tier (program, name, rank, min_amount) VALUES ('tier', 'platinum', 2, 1000);
UPDATE tier SET rank = rank + 1 WHERE program = 'tier';
SELECT name, rank FROM tier WHERE program = 'tier' ORDER BY rank;

-- of a program without members anything may be changed, except all at once
UPDATE tier SET name = 'argent' WHERE program = 'tier' AND name = 'silver';
UPDATE tier SET name = 'silver' WHERE program = 'tier' AND name = 'argent';
UPDATE tier SET program = 'nowhere' WHERE program = 'tier';
TRUNCATE tier;
TRUNCATE tier_change;

-- what a program says of tiers
UPDATE program SET tier_window = 'fortnightly' WHERE name = 'tier';
\set VERBOSITY terse
UPDATE program SET tier_window = NULL WHERE name = 'tier';
UPDATE program SET tier_match = 'some' WHERE name = 'tier';
UPDATE program SET tier_downgrade = 'two' WHERE name = 'tier';
UPDATE program SET tier_grace = NULL WHERE name = 'tier';
\set VERBOSITY default
UPDATE program SET tier_grace = '1 month' WHERE name = 'tier';
UPDATE program SET tier_grace = '-1 day' WHERE name = 'tier';
UPDATE program SET tier_validity = 'inactive 12 months' WHERE name = 'tier';
UPDATE program SET tier_validity = 'a while' WHERE name = 'tier';

-- the everyday story
SET loyalty.program = 'tier';
CREATE VIEW story AS
	SELECT m.ref AS member, c.change_no AS no, CASE WHEN c.at >= c.posted_at - interval '2 days' THEN 'lately' ELSE c.at::text END AS at, c.from_tier, c.from_rank, c.to_tier, c.to_rank, c.until, c.reason, c.seq
	FROM tier_change c JOIN member m USING (member_id) JOIN program p ON p.program_id = m.program_id WHERE p.name LIKE 'tier%' ORDER BY p.name, m.ref, c.change_no;
CREATE VIEW standing AS
	SELECT m.ref AS member, m.tier, b.tier AS balance_tier, CASE WHEN m.tier_since >= now() - interval '1 hour' THEN 'now' ELSE m.tier_since::text END AS since, m.tier_until AS until, t.amount, t.points, t.purchases, total(m.purse) AS purse
	FROM member m JOIN program p USING (program_id), balance(m.ref, program => p.name) b, totals(m.tally, '-infinity', 'infinity') t WHERE p.name = 'tier' ORDER BY m.ref;
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric, status text DEFAULT 'paid', at timestamptz);
SELECT attach('orders', member => 'customer', amount => 'total', at => 'at', counts => $$status = 'paid'$$) > 0 AS attached;
INSERT INTO rule (program, name, award) VALUES ('tier', 'base', '1 per 1');
INSERT INTO rule (program, name, award, condition) VALUES ('tier', 'gold doubles', 'x2', $$member.tier = 'gold'$$), ('tier', 'big spender', '5', 'member.qualifying >= 300');
UPDATE tier SET expiry = '24 months', pending = '3 days' WHERE program = 'tier' AND name = 'gold';

INSERT INTO orders (id, customer, total, at) VALUES (1, 'ann', 60, '2024-01-10 09:00');
SELECT * FROM standing;
INSERT INTO orders (id, customer, total, at) VALUES (2, 'ann', 40, '2024-01-20 09:00'), (3, 'bob', 99.99, '2024-01-20 10:00');
SELECT * FROM standing;
-- one statement: the second purchase already earns at the tier that the first one reached
INSERT INTO orders (id, customer, total, at) VALUES (5, 'ann', 10, '2024-02-02 09:00'), (4, 'ann', 150, '2024-02-01 09:00');
SELECT * FROM standing;
SELECT * FROM story;
SELECT key, e.* FROM unnest('{4,5}'::text[]) key, explain('orders', key) e;
SELECT points, starts, ends FROM lots('ann', '2024-02-03');
SELECT at, (balance('ann', at)).tier FROM (VALUES ('2024-01-01'::timestamptz), ('2024-01-20 08:59'), ('2024-01-20 09:00'), ('2024-02-01 08:59'), ('2024-02-01 09:00'), ('2026-01-01')) v (at);
-- a tier has members now: its name is fixed, its minimums are not
UPDATE tier SET name = 'argent' WHERE program = 'tier' AND name = 'silver';
UPDATE tier SET min_amount = 260, min_points = 1000 WHERE program = 'tier' AND name = 'gold';
UPDATE tier SET min_amount = 250, min_points = NULL WHERE program = 'tier' AND name = 'gold';

-- returned: the tally goes down at once, the tier at the next review
UPDATE orders SET status = 'cancelled' WHERE id = 4;
SELECT * FROM standing;
CALL maintain('2024-02-10');
SELECT * FROM standing;
CALL maintain('2024-02-10');
SELECT * FROM story;
-- a return does not earn by a lower tier either: the second order goes as it came
DELETE FROM orders WHERE id = 5;
SELECT * FROM standing;
-- a year later nothing is left of it, but what was
CALL maintain('2025-01-08 23:59');
SELECT * FROM standing;
CALL maintain('2025-01-09');
SELECT * FROM standing;
SELECT * FROM story;

-- a validity: held to its last day, kept for another one, or not
INSERT INTO program (name, tier_window, tier_validity, tier_downgrade) VALUES ('tier year', 'calendar year', '12 months end of year', 'one');
INSERT INTO rule (program, name, award) VALUES ('tier year', 'base', '1 per 1');
INSERT INTO tier (program, name, rank, min_amount, min_points, min_purchases, keep_purchases) VALUES
	('tier year', 'basic', 0, 0, 0, 0, NULL), ('tier year', 'plus', 10, NULL, 500, 3, 2), ('tier year', 'guest of honor', 15, NULL, NULL, NULL, NULL), ('tier year', 'prime', 20, 1000, NULL, NULL, NULL);
SELECT attach('orders', member => 'customer', amount => 'total', at => 'at', counts => $$status = 'paid'$$, program => 'tier year') > 0 AS attached;
SELECT enroll('zoe', at => '2020-01-01', program => 'tier year') > 0 AS enrolled;
INSERT INTO orders (id, customer, total, at) VALUES (11, 'cat', 1200, '2020-03-01'), (12, 'cat', 5, '2021-03-01'), (13, 'cat', 5, '2021-04-01'), (14, 'dan', 400, '2020-03-01'), (15, 'dan', 100, '2020-04-01'), (16, 'dan', 1, '2021-12-31'), (17, 'dan', 1, '2021-12-31');
CALL maintain('2021-12-31 23:59', 'tier year');
CALL maintain('2022-01-01', 'tier year');
CALL maintain('2023-01-01', 'tier year');
SELECT * FROM story WHERE member IN ('cat', 'dan', 'zoe') AND until IS NOT NULL OR to_tier = 'basic';
SELECT ref, tier, tier_since, tier_until, next_expiry FROM member WHERE program_id = (SELECT program_id FROM program WHERE name = 'tier year') ORDER BY ref;

-- a tier that is gone: members are looked at
INSERT INTO orders (id, customer, total, at) VALUES (21, 'eve', 120, now() - interval '1 day'), (22, 'fay', 300, now() - interval '1 day');
SELECT member, tier FROM standing WHERE member IN ('eve', 'fay');
DELETE FROM tier WHERE program = 'tier' AND name = 'gold';
SELECT member, tier, balance_tier FROM standing WHERE member IN ('eve', 'fay');
CALL maintain(program => 'tier');
SELECT member, tier FROM standing WHERE member IN ('eve', 'fay');
DELETE FROM tier WHERE program = 'tier';
CALL maintain(program => 'tier');
SELECT member, tier FROM standing WHERE member IN ('eve', 'fay');
SELECT * FROM story WHERE member IN ('eve', 'fay');

-- history is never rewritten, and a dump holds it
UPDATE tier_change SET to_tier = 'gold';
DELETE FROM tier_change;
SELECT c::regclass AS in_dump FROM pg_extension, unnest(extconfig) c WHERE extname = 'loyalty' AND c::regclass::text LIKE '%tier%' ORDER BY 1;
SELECT * FROM verify('tier');
SELECT * FROM verify('tier year');
DROP SCHEMA tier CASCADE;
