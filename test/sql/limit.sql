--
-- limit: what members have had of limited rules
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name) VALUES ('limit_shop');
CREATE TABLE limit_orders (id integer PRIMARY KEY, customer text, total numeric, at timestamptz);
INSERT INTO loyalty.rule (program, name, award, member_cap, cap_period) VALUES ('limit_shop', 'capped', '1 per 1', 30, 'day');
INSERT INTO loyalty.rule (program, name, award, once) VALUES ('limit_shop', 'welcome', '100', true);
SELECT loyalty.attach('limit_orders', member => 'customer', amount => 'total', at => 'at', program => 'limit_shop') > 0 AS attached;
INSERT INTO limit_orders VALUES (1, 'ada', 20, '2026-03-01 10:00+00'), (2, 'ada', 25, '2026-03-01 11:00+00'), (3, 'ada', 7, '2026-03-02 00:00+00');
SELECT r.name, u.period, u.points, u.times, u.last_at FROM loyalty.rule_usage u JOIN loyalty.rule r USING (rule_id) WHERE r.program = 'limit_shop' ORDER BY 1, 2;
SELECT source_key, r.name, points, context - 'barred' AS context, jsonb_array_length(context -> 'barred') AS barred FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id) WHERE r.program = 'limit_shop' ORDER BY 1, 2;
-- a return gives back to the cap, but frees nothing that is given once
DELETE FROM limit_orders WHERE id = 1;
SELECT r.name, u.period, u.points, u.times, u.last_at FROM loyalty.rule_usage u JOIN loyalty.rule r USING (rule_id) WHERE r.program = 'limit_shop' ORDER BY 1, 2;
INSERT INTO limit_orders VALUES (4, 'ada', 50, '2026-03-01 12:00+00');
SELECT source_key, r.name, points, context - 'barred' AS context, jsonb_array_length(context -> 'barred') AS barred FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id) WHERE r.program = 'limit_shop' AND source_key = '4' ORDER BY 1, 2;
SELECT * FROM loyalty.verify('limit_shop');
