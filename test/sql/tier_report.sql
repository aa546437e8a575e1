--
-- tier_report: how many members stand where, and how they moved
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE TEMPORARY VIEW distribution AS SELECT * FROM loyalty.tier_distribution WHERE program ~ '^report_';
-- the months in which something moved, and whether each month is there
CREATE TEMPORARY VIEW movement AS SELECT * FROM loyalty.tier_movement WHERE program ~ '^report_' AND (up > 0 OR down > 0 OR entered > 0);
INSERT INTO loyalty.program (name, time_zone, tier_window, tier_downgrade) VALUES ('report_a', 'Asia/Tokyo', 'rolling 60 days', 'earned'), ('report_b', 'UTC', 'lifetime', 'earned'), ('report_none', 'UTC', 'lifetime', 'earned');
SELECT * FROM distribution;
SELECT * FROM movement;

-- In report_a a tier is everyone's, in report_b there is none to begin with
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('report_a', 'base', 0, 0), ('report_a', 'silver', 1, 100), ('report_a', 'gold', 2, 200), ('report_b', 'silver', 1, 100), ('report_b', 'gold', 2, 200);
SELECT loyalty.base_tier(program_id), name FROM loyalty.program WHERE name ~ '^report_' ORDER BY name;
SELECT loyalty.base_tier(-1);
SELECT * FROM distribution;
CREATE TABLE report_order (id serial PRIMARY KEY, program text, customer text, total numeric, at timestamptz);
SELECT count(loyalty.attach('report_order', member => 'customer', amount => 'total', at => 'at', counts => format('program = %L', name), program => name)) FROM loyalty.program WHERE name ~ '^report_';
SELECT count(loyalty.enroll(m, at => t::timestamptz, program => p)) FROM unnest('{report_a,report_b,report_none}'::text[]) p, (VALUES ('report_ann', '2022-12-01'), ('report_bob', '2023-01-31 15:00Z'), ('report_cid', '2023-02-01')) v (m, t);
-- enrolling moves nobody: there are no months before the first change
SELECT * FROM movement;
SELECT * FROM distribution;
-- the month is Tokyo's: bob joined on February 1, and so did ann rise on March 1
INSERT INTO report_order (program, customer, total, at) SELECT p, c, a, t::timestamptz FROM unnest('{report_a,report_b}'::text[]) p, (VALUES
	('report_ann', 150, '2023-02-28 15:30Z'), ('report_cid', 120, '2023-04-10'), ('report_cid', 120, '2023-04-20'), ('report_dan', 250, '2023-04-11'), ('report_eve', 20, '2023-04-12')) v (c, a, t);
SELECT * FROM movement;
SELECT program, min(month), max(month) = date_trunc('month', now() AT TIME ZONE p.time_zone)::date AS to_the_present, count(*) = 1 + extract(year FROM age(max(month), min(month))) * 12 + extract(month FROM age(max(month), min(month))) AS without_gaps
FROM loyalty.tier_movement JOIN loyalty.program p ON p.name = program WHERE program ~ '^report_' GROUP BY program, p.time_zone ORDER BY 1;
-- falling, all the way and in two steps; who rises and falls within a month has kept his tier
DO $$ BEGIN FOR d IN 0..36 LOOP CALL loyalty.maintain('2023-04-25'::timestamptz + d * interval '1 day', program => 'report_a'); END LOOP; END $$;
INSERT INTO report_order (program, customer, total, at) SELECT p, 'report_eve', 100, '2023-06-01' FROM unnest('{report_a,report_b}'::text[]) p;
DO $$ BEGIN FOR d IN 37..130 LOOP CALL loyalty.maintain('2023-04-25'::timestamptz + d * interval '1 day', program => 'report_a'); END LOOP; END $$;
INSERT INTO report_order (program, customer, total, at) VALUES ('report_a', 'report_ann', 110, '2023-11-01 12:00Z');
UPDATE report_order SET total = 0 WHERE customer = 'report_ann' AND at = '2023-11-01 12:00Z';
CALL loyalty.maintain('2023-11-20', program => 'report_a');
SELECT p.name, m.ref, (c.at AT TIME ZONE p.time_zone)::date AS day, c.from_tier, c.to_tier, c.reason FROM loyalty.tier_change c JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = m.program_id WHERE p.name ~ '^report_' ORDER BY 1, 2, c.change_no;
SELECT * FROM loyalty.tier_movement WHERE program = 'report_a' AND month <= '2023-12-01';
SELECT * FROM loyalty.tier_movement WHERE program = 'report_b' AND month <= '2023-07-01';
-- all members with a tier at the end of a month are in one of the four; so are those who lost it
SELECT month, sum(up + down + kept + entered) FROM loyalty.tier_movement WHERE program = 'report_a' AND month BETWEEN '2023-03-01' AND '2023-06-01' GROUP BY month ORDER BY month;
SELECT * FROM distribution;

-- Tiers that are numbered anew compare as they are now; one that is gone keeps its rank, and its members until they are reviewed
UPDATE loyalty.tier SET rank = rank * 10 WHERE program = 'report_b';
SELECT * FROM movement WHERE program = 'report_b';
DELETE FROM loyalty.tier WHERE program = 'report_b' AND name = 'gold';
SELECT * FROM distribution WHERE program = 'report_b';
CALL loyalty.maintain(program => 'report_b');
SELECT * FROM distribution WHERE program = 'report_b';
-- by hand, and due
BEGIN;
SET session_replication_role = replica;
UPDATE loyalty.member SET tier = 'gold', tier_own = 'base', tier_floor = 'gold', next_expiry = '2023-01-01' WHERE ref = 'report_eve' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'report_a');
RESET session_replication_role;
SELECT * FROM distribution WHERE program = 'report_a';
ROLLBACK;
-- A purchase that is older than the enrollment: he is there since then
SELECT loyalty.enroll('report_old', at => '2024-05-05', program => 'report_b') IS NOT NULL AS enrolled;
INSERT INTO report_order (program, customer, total, at) VALUES ('report_b', 'report_old', 150, '2023-05-05');
SELECT * FROM loyalty.tier_movement WHERE program = 'report_b' AND month BETWEEN '2023-04-01' AND '2023-07-01';
SELECT count(loyalty.detach('report_order', program => name)) FROM loyalty.program WHERE name ~ '^report_';
DROP TABLE report_order;
