--
-- rfm: recency, frequency and monetary value
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('rfm_beans', 'Asia/Kuala_Lumpur'), ('rfm_tea', 'UTC');
SET loyalty.program = 'rfm_beans';
SELECT * FROM loyalty.rfm();
SELECT * FROM loyalty.rfm_segments();
INSERT INTO loyalty.rule (program, name, award) VALUES ('rfm_beans', 'base', '1 per 1');
CREATE TABLE rfm_orders (order_id serial PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT count(loyalty.attach('rfm_orders', member => 'customer', amount => 'total', at => 'at'));
-- cN bought N times, for 10 each, the last time N days before the end of May, with a stranger
INSERT INTO rfm_orders (customer, total, at) SELECT 'c' || n, 10, '2026-06-01 15:59+00'::timestamptz - n * interval '1 day' - k * interval '1 hour' FROM generate_series(1, 10) n, generate_series(1, n) k;
INSERT INTO rfm_orders (customer, total, at) VALUES (NULL, 99, '2026-05-05'), ('only back', -9, '2026-05-05');
SELECT * FROM loyalty.rfm('2026-06-01') ORDER BY recency_days;
-- days are those of the program: none is before his first order
SELECT * FROM loyalty.rfm('2026-05-22') ORDER BY recency_days;
-- equals have equal scores: the last day is 5, one purchase is 1
INSERT INTO rfm_orders (customer, total, at) SELECT 'same ' || n, 10, '2026-05-31 15:00+00' FROM generate_series(1, 20) n;
SELECT recency_days, frequency, monetary, score, segment, count(*) FROM loyalty.rfm('2026-06-01') GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2;
SELECT * FROM loyalty.rfm_segments('2026-06-01');
SELECT sum(members) AS members, sum(revenue) AS revenue, round(sum(share), 2) AS share FROM loyalty.rfm_segments('2026-06-01');
SELECT recency_days = (now() AT TIME ZONE 'Asia/Kuala_Lumpur')::date - '2026-05-31'::date AS today FROM loyalty.rfm() WHERE member = 'c1';
-- who was merged is one person with the other
SELECT loyalty.merge_members('c2', 'c1');
SELECT member, recency_days, frequency, monetary FROM loyalty.rfm('2026-06-01') WHERE member IN ('c1', 'c2');

CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'rfm_tea');
SET ROLE regress_analyst;
SELECT * FROM loyalty.rfm();
SELECT * FROM loyalty.rfm_segments(program => 'rfm_beans');
SELECT * FROM loyalty.rfm(program => 'rfm_tea');
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'rfm_tea');
DROP ROLE regress_analyst;
SELECT count(loyalty.detach('rfm_orders'));
DROP TABLE rfm_orders;
