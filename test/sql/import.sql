--
-- import: members who come from another system
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone, expiry, tier_window, tier_validity)
VALUES ('im_a', 'Asia/Kuala_Lumpur', '12 months end of month', 'rolling 12 months', '12 months');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('im_plain', false);
INSERT INTO loyalty.program (name, expiry, tier_window) VALUES ('im_idle', 'inactive 12 months', 'lifetime');
INSERT INTO loyalty.rule (program, name, award) VALUES ('im_a', 'base', '1 per 1'), ('im_idle', 'base', '1 per 1');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES
	('im_a', 'base', 0, 0), ('im_a', 'silver', 1, 100), ('im_a', 'gold', 2, 250), ('im_idle', 'star', 1, 1000);
INSERT INTO loyalty.tier (program, name, rank) VALUES ('im_a', 'partner', 3);
CREATE TABLE im_orders (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('im_orders', member => 'customer', amount => 'total', at => 'at', program => 'im_a') \g /dev/null
SET loyalty.program = 'im_a';
CREATE VIEW im_member AS
	SELECT p.name AS program, ref, enrolled_at, last_activity, lifetime, purse, tier, tier_since, tier_until, tally, next_expiry
	FROM loyalty.member JOIN loyalty.program p USING (program_id) WHERE p.name LIKE 'im\_%';

-- A table: several rows of a member are several lots
CREATE TABLE im_old (
	member text, points numeric, starts date, ends date, lifetime numeric, enrolled_at date, last_activity timestamp,
	tier text, tier_since date, tier_until date, tally loyalty.tally, birthday date, segments text[], data jsonb
);
INSERT INTO im_old (member, points, starts, ends) VALUES
	('ann', 100, NULL, '2026-01-31'), ('ann', 20.5, '2025-08-01', '2026-07-31'), ('ann', 40, '2024-01-01', '2026-01-31'), ('ann', 7, NULL, 'infinity');
INSERT INTO im_old (member, points, lifetime, enrolled_at, last_activity, birthday, segments, data)
VALUES ('ann', 50, 2500, '2019-05-01', '2025-05-30 18:00', '1990-05-17', '{vip,"a b"}', '{"name": "Ann"}');
INSERT INTO im_old (member, tier, tier_since, tier_until) VALUES ('bob', 'gold', '2024-03-01', '2025-12-31');
INSERT INTO im_old (member, points) VALUES ('bob', 0), ('cid', -30), ('dan', 5), ('dan', -30), ('dan', 20);
INSERT INTO im_old (member, tally) VALUES ('eve', '{2024-12: 80/80/2, 2025-02: 60/60/1}'), ('fay', '{2025-05-20: 260/0/1}');
INSERT INTO im_old (member, tier, tally) VALUES ('fay', 'silver', NULL), ('gus', 'partner', '{ever: 400/400/9}');
CALL loyalty.import_balance('im_old', 'old shop', at => '2025-06-01 12:00+08');
SELECT * FROM im_member ORDER BY program, ref;
SELECT ref, seq, kind, points, lots, source_key, context, occurred_at
FROM loyalty.entry JOIN loyalty.member m USING (member_id, seq) WHERE source_key = 'import:old shop' ORDER BY ref;
SELECT ref, at, from_tier, to_tier, until, reason FROM loyalty.tier_change JOIN loyalty.member USING (member_id)
WHERE loyalty.tier_change.program_id = (SELECT program_id FROM loyalty.program WHERE name = 'im_a') ORDER BY ref, change_no;
SELECT birthday, segments, data FROM loyalty.profile WHERE member_id = loyalty.find_member('ann');
SELECT * FROM loyalty.balance('ann', '2025-06-01 12:00+08');
SELECT * FROM loyalty.balance('ann', '2025-06-01 11:59+08');
SELECT * FROM loyalty.lots('ann', '2025-06-02');
SELECT at, tier FROM unnest(ARRAY['2024-02-01', '2024-03-02', '2025-06-02']::timestamptz[]) at, loyalty.balance('bob', at);
SELECT available, debt FROM loyalty.balance('dan', '2025-06-02');
SELECT kind, points, balance, purchase FROM loyalty.statement('ann');
SELECT v.* FROM loyalty.program p, loyalty.verify(p.name) v WHERE p.name LIKE 'im\_%';

-- Again: nothing happens, whatever the time is and in whatever order the rows come
CALL loyalty.import_balance('SELECT * FROM im_old ORDER BY points DESC;', 'old shop', batch_size => 3);
CALL loyalty.import_balance('im_old', 'old shop', at => '2025-06-01 12:00+08');
-- one who was added comes in; what is other than before is refused, member by member
INSERT INTO im_old (member, points, ends) VALUES ('hal', 8, 'infinity');
UPDATE im_old SET points = 41 WHERE points = 40;
UPDATE im_old SET tier_until = '2026-12-31' WHERE member = 'bob' AND tier = 'gold';
CALL loyalty.import_balance('im_old', 'old shop');
SELECT key, ref, error_code, message, detail FROM loyalty.import_failure ORDER BY ref;
UPDATE im_old SET points = 40 WHERE points = 41;
CALL loyalty.import_balance($$SELECT * FROM im_old WHERE member <> 'bob'$$, 'old shop');
SELECT count(*) FROM loyalty.import_failure;
-- at another time it is another import
CALL loyalty.import_balance($$SELECT 'cid' AS member, -30 AS points$$, 'old shop', at => '2025-06-02');
-- another key is another import, and adds
CALL loyalty.import_balance($$SELECT 'cid' AS member, 45 AS points, date 'infinity' AS ends$$, 'second shop');
SELECT available, debt, lifetime FROM loyalty.balance('cid');

-- What members bring goes on as if it had always been here
INSERT INTO im_orders VALUES (1, 'eve', 120, '2025-06-10'), (2, 'fay', 10, '2025-06-10');
SELECT ref, tier, tier_until, tally FROM im_member WHERE ref IN ('eve', 'fay') ORDER BY ref;
-- counted anew from the entries, the same
INSERT INTO im_orders VALUES (3, 'eve', 1, '2023-06-10'), (4, 'fay', 1, '2023-06-10');
SELECT ref, tier, tally FROM im_member WHERE ref IN ('eve', 'fay') ORDER BY ref;
CALL loyalty.maintain('2026-02-01', 'im_a');
SELECT ref, tier, tier_until, purse, next_expiry FROM im_member WHERE program = 'im_a' ORDER BY ref;
SELECT v.* FROM loyalty.program p, loyalty.verify(p.name) v WHERE p.name LIKE 'im\_%';

-- Members who are there already keep what they have; who joined earlier has
INSERT INTO im_orders VALUES (11, 'old', 300, '2025-03-01');
CALL loyalty.import_balance($$SELECT 'old' AS member, 1000 AS points, date '2027-12-31' AS ends, 'silver' AS tier, timestamptz '2020-01-01' AS enrolled_at,
	'{2025-04-01: 5/5/1}'::loyalty.tally AS tally$$, 'old', at => '2025-04-15');
SELECT * FROM im_member WHERE ref = 'old';
SELECT at, from_tier, to_tier, reason FROM loyalty.tier_change WHERE member_id = loyalty.find_member('old');

-- Programs without tiers, and those that enroll nobody by themselves: an import is an enrollment
CALL loyalty.import_balance($$VALUES (1)$$, 'x');
CALL loyalty.import_balance($$SELECT n AS member, n * 10 AS points, '{2025-01: 1/1/1}'::loyalty.tally AS tally FROM generate_series(1, 3) n$$, 'x', at => '2025-06-01', program => 'im_plain');
SELECT ref, enrolled_at, purse, tier, tally FROM im_member WHERE program = 'im_plain' ORDER BY ref;
-- tiers that come later count what was brought
INSERT INTO loyalty.tier (program, name, rank, min_purchases) VALUES ('im_plain', 'known', 1, 1);
CALL loyalty.maintain(program => 'im_plain');
SELECT ref, tier FROM im_member WHERE program = 'im_plain' ORDER BY ref;

-- Inactivity counts from the last activity, or from the import; lifetime windows take one total
SET client_min_messages = error;
CALL loyalty.import_balance($$
	SELECT 'a' AS member, 10 AS points, now() - interval '11 months' AS last_activity, '{ever: 999/0/9}'::loyalty.tally AS tally
	UNION ALL SELECT 'b', 10, NULL, '{ever: 1000/0/9}' UNION ALL SELECT 'c', 10, now() - interval '13 months', NULL
$$, 'x', program => 'im_idle');
RESET client_min_messages;
SELECT ref, available, m.next_expiry < now()::date + interval '2 months' AS soon, tally, m.tier
FROM im_member m, loyalty.balance(ref, program => 'im_idle') WHERE program = 'im_idle' ORDER BY ref;
SELECT message ~ 'over already' AS over FROM loyalty.import_failure WHERE key = 'x';

-- What is wrong with one member is his failure alone
SELECT loyalty.enroll('zoe') \g /dev/null
SELECT loyalty.set_member('zoe', status => 'closed') \g /dev/null
SET client_min_messages = error;
CREATE TABLE im_bad (member text, points numeric, starts date, ends date, lifetime numeric, enrolled_at timestamptz, last_activity timestamptz,
	tier text, tier_since timestamptz, tier_until date, tally loyalty.tally, data jsonb);
INSERT INTO im_bad (member, points, starts, ends) VALUES
	('good', 1, NULL, NULL), ('over', 5, NULL, '2025-05-31'), ('debt that ends', -5, NULL, '2030-01-01'), ('debt that starts', -5, '2024-01-01', NULL),
	('ends first', 5, '2026-01-02', '2026-01-01'), ('never starts', 5, 'infinity', NULL), ('decimals', 0.00001, NULL, NULL), ('NaN', 'NaN', NULL, NULL),
	('zoe', 5, NULL, NULL);
INSERT INTO im_bad (member, lifetime) VALUES ('lifetime', -1), ('two of it', 1), ('two of it', 2);
INSERT INTO im_bad (member, enrolled_at) VALUES ('joins later', '2025-06-02'), ('joins never', 'infinity');
INSERT INTO im_bad (member, last_activity) VALUES ('acts later', '2025-06-02');
INSERT INTO im_bad (member, tier, tier_since, tier_until) VALUES ('tier', 'platinum', NULL, NULL), ('tier over', 'gold', NULL, '2025-05-31'),
	('tier for ever', 'gold', NULL, 'infinity'), ('no tier', NULL, '2024-01-01', NULL), ('tier later', 'gold', '2025-06-02', NULL);
INSERT INTO im_bad (member, tally) VALUES ('tally', '{2025-06-02: 1/1/1}');
INSERT INTO im_bad (member, last_activity, tally) VALUES ('tally 2', '2025-05-01', '{2025-05-02: 1/1/1}');
INSERT INTO im_bad (member, data) VALUES ('data', '[1]');
INSERT INTO im_bad (member, points) SELECT 'good ' || n, n FROM generate_series(1, 20) n;
CALL loyalty.import_balance('im_bad', 'bad', at => '2025-06-01', batch_size => 20);
SELECT ref, error_code, message, detail FROM loyalty.import_failure WHERE key = 'bad' ORDER BY ref;
SELECT count(*), loyalty.sum(loyalty.total(purse)) FROM im_member WHERE ref LIKE 'good%';
RESET client_min_messages;

-- What is wrong with the whole is an error, and nothing is imported
CALL loyalty.import_balance($$SELECT 'x' AS member, 1 AS point$$, 'y');
CALL loyalty.import_balance($$SELECT 1 AS points$$, 'y');
CALL loyalty.import_balance($$SELECT 'x' AS member UNION ALL SELECT NULL$$, 'y');
CALL loyalty.import_balance($$SELECT 'x' AS member UNION ALL SELECT ''$$, 'y');
CALL loyalty.import_balance($$SELECT 'x' AS member, 'many' AS points$$, 'y');
CALL loyalty.import_balance('im_nothing', 'y');
CALL loyalty.import_balance('DELETE FROM im_old RETURNING *', 'y');
CALL loyalty.import_balance($$WITH gone AS (DELETE FROM im_old RETURNING *) SELECT * FROM gone$$, 'y');
CALL loyalty.import_balance(NULL, 'y');
CALL loyalty.import_balance('im_old', NULL);
CALL loyalty.import_balance('im_old', repeat('y', 2000));
CALL loyalty.import_balance('im_old', 'y', at => 'infinity');
CALL loyalty.import_balance('im_old', 'y', at => now() + interval '1 hour');
CALL loyalty.import_balance('im_old', 'y', program => 'im_nowhere');
CALL loyalty.import_balance('im_old', 'y', batch_size => 0);
SELECT count(*) FROM im_member WHERE ref = 'x';

-- Inside a transaction: one batch a call, and whoever is imported already is passed over
BEGIN;
CALL loyalty.import_balance($$SELECT 't' || n AS member, 1 AS points FROM generate_series(1, 5) n$$, 't', batch_size => 2);
CALL loyalty.import_balance($$SELECT 't' || n AS member, 1 AS points FROM generate_series(1, 5) n$$, 't', batch_size => 2);
CALL loyalty.import_balance($$SELECT 't' || n AS member, 1 AS points FROM generate_series(1, 5) n$$, 't', batch_size => 2);
SELECT count(*) FROM im_member WHERE ref LIKE 't_';
ROLLBACK;
SELECT count(*) FROM im_member WHERE ref LIKE 't_';

-- A member who is there already: what counts for him is not lost while the program has no tiers, nor before what his tally still tells
BEGIN;
SELECT points FROM loyalty.record('kim', 'purchase', 50, at => now() - interval '1 day');
CREATE TEMPORARY TABLE im_kept ON COMMIT DROP AS SELECT * FROM loyalty.tier WHERE program = 'im_a';
DELETE FROM loyalty.tier WHERE program = 'im_a';
CALL loyalty.import_balance($$SELECT 'kim' AS member, format('{%s: 70/0/1, %s: 600/0/3}', d - 400, d - 5)::loyalty.tally AS tally FROM (SELECT current_date AS d) d$$, 'kim');
INSERT INTO loyalty.tier SELECT * FROM im_kept;
SELECT points FROM loyalty.record('kim', 'purchase', 1);
SELECT tier, (SELECT sum(p.amount) FROM loyalty.periods(tally) p) AS amount FROM loyalty.member WHERE member_id = loyalty.find_member('kim');
CALL loyalty.import_balance($$SELECT 'kim' AS member, format('{%s: 70/0/1, %s: 6/0/1}', d - 401, d - 4)::loyalty.tally AS tally FROM (SELECT current_date AS d) d$$, 'kim again');
SELECT tier, (SELECT sum(p.amount) FROM loyalty.periods(tally) p) AS amount FROM loyalty.member WHERE member_id = loyalty.find_member('kim');
SELECT * FROM loyalty.verify('im_a');
-- the same key with what has come since then
CALL loyalty.import_balance($$SELECT 'kim' AS member, format('{%s: 6/0/1}', d + 3)::loyalty.tally AS tally FROM (SELECT current_date AS d) d$$, 'kim again');
ROLLBACK;

-- Who may: members of the role that owns the extension, with what they may read themselves
CREATE ROLE regress_im_clerk;
GRANT USAGE ON SCHEMA loyalty TO regress_im_clerk;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA loyalty TO regress_im_clerk;
CREATE TEMPORARY TABLE im_mine AS SELECT 'x' AS member;
GRANT SELECT ON im_mine TO regress_im_clerk;
SET ROLE regress_im_clerk;
DO $$
BEGIN
	CALL loyalty.import_balance('im_mine', 'y');
EXCEPTION WHEN insufficient_privilege THEN
	RAISE NOTICE '%', sqlerrm;
END $$;
RESET ROLE;
DROP OWNED BY regress_im_clerk;
DROP ROLE regress_im_clerk;

SELECT v.* FROM loyalty.program p, loyalty.verify(p.name) v WHERE p.name LIKE 'im\_%';
