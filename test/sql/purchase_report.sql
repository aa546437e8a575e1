--
-- purchase_report: how often members buy, for how much, and how long they stay
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone, point_value) VALUES ('buying_beans', 'Asia/Kuala_Lumpur', 0.02), ('buying_tea', 'UTC', NULL);
SET loyalty.program = 'buying_beans';
SELECT * FROM loyalty.purchase_figures();
SELECT * FROM loyalty.cohort_retention();
SELECT * FROM loyalty.member_flow();
SELECT * FROM loyalty.member_value();
SELECT * FROM loyalty.lifetime_value();

INSERT INTO loyalty.rule (program, name, award) VALUES ('buying_beans', 'base', '1 per 1'), ('buying_tea', 'base', '1 per 1');
CREATE TABLE buying_orders (order_id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT count(loyalty.attach('buying_orders', member => 'customer', amount => 'total', at => 'at', program => p)) FROM unnest('{buying_beans,buying_tea}'::text[]) p;
SELECT count(loyalty.enroll(m, at => t::timestamptz)) FROM (VALUES ('late', '2026-03-10'), ('idle', '2026-02-02')) v (m, t);
-- The third is of February there; "late" bought before he joined.
INSERT INTO buying_orders VALUES (1, 'ann', 100, '2026-01-10'), (2, 'ann', 20.10, '2026-01-31 15:59+00'), (3, 'bob', 50, '2026-01-31 16:00+00'),
	(4, 'ann', 10, '2026-02-20'), (5, 'late', 30, '2026-02-20'), (6, 'late', 33.33, '2026-03-20'), (7, 'bob', 5, '2026-04-20'), (8, NULL, 1000, '2026-04-20'),
	(9, 'bob', -5, '2026-04-21'), (10, 'cid', -8, '2026-04-22'), (11, 'twin', 40, '2026-02-01');
SELECT points FROM loyalty.spend('ann', 25, at => '2026-03-01');

SELECT * FROM loyalty.purchase_figures(until => '2026-05-01') \gx
SELECT * FROM loyalty.purchase_figures('2026-01-31', '2026-02-01') \gx
SELECT buyers, orders, revenue, purchase_interval FROM loyalty.purchase_figures('2026-02-01', '2026-03-01');
SELECT buyers, orders, revenue, average_order_value FROM loyalty.purchase_figures('2026-05-01', '2026-05-01');
SELECT * FROM loyalty.cohort_retention() WHERE age < 4;
SELECT max(cohort + age * interval '1 month') = date_trunc('month', now() AT TIME ZONE 'Asia/Kuala_Lumpur') AS to_the_present FROM loyalty.cohort_retention();
SELECT * FROM loyalty.member_flow() WHERE month < '2026-07-01';
SELECT max(month) = date_trunc('month', now() AT TIME ZONE 'Asia/Kuala_Lumpur') AS to_the_present FROM loyalty.member_flow();
SELECT * FROM loyalty.member_value() ORDER BY member;
SELECT * FROM loyalty.lifetime_value();
-- without a value of points there is no cost, and nothing to take it from
SELECT * FROM loyalty.lifetime_value('buying_tea');

-- Who was merged is one person with the other; who was forgotten still counts; a cancelled order does not.
SELECT loyalty.merge_members('twin', 'bob');
SELECT loyalty.forget_member('late') IS NOT NULL AS forgotten;
UPDATE buying_orders SET total = 0 WHERE order_id = 2;
SELECT buyers, orders, revenue, repeat_buyers FROM loyalty.purchase_figures();
SELECT * FROM loyalty.member_flow() WHERE month < '2026-05-01';
SELECT * FROM loyalty.cohort_retention() WHERE age < 3;
SELECT v.* FROM loyalty.member_value() v WHERE v.member = 'bob';
SELECT sum(members) AS members, sum(revenue) AS revenue FROM loyalty.lifetime_value();

-- Only for who may read the program.
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'buying_tea');
SET ROLE regress_analyst;
SELECT * FROM loyalty.purchase_figures(program => 'buying_beans');
SELECT * FROM loyalty.cohort_retention('buying_beans');
SELECT * FROM loyalty.member_flow();
SELECT * FROM loyalty.member_value('buying_beans');
SELECT * FROM loyalty.lifetime_value('nobody''s');
SELECT buyers, orders, revenue FROM loyalty.purchase_figures(until => '2026-05-01', program => 'buying_tea');
SELECT count(*) FROM loyalty.member_value('buying_tea');
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'buying_tea');
DROP ROLE regress_analyst;
SELECT count(loyalty.detach('buying_orders', program => p)) FROM unnest('{buying_beans,buying_tea}'::text[]) p;
DROP TABLE buying_orders;
