-- budget: the table that budgets are kept in, and the view of what is left
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
\d loyalty.rule_budget
SELECT reloptions FROM pg_class WHERE oid = 'loyalty.rule_budget'::regclass;
\d loyalty.budget_usage

-- slots are added up by rule and period
BEGIN;
INSERT INTO loyalty.rule_budget (rule_id, period, slot, budget, allotted, spent)
	SELECT 2147483647, '2026-01-01', slot, 100.5, CASE slot WHEN 31 THEN 7.5 ELSE 3 END, slot / 16 * 2.25 FROM generate_series(0, 31) slot;
INSERT INTO loyalty.rule_budget (rule_id, period, slot, budget, allotted, spent)
	VALUES (2147483647, '-infinity', 0, 50, 20, 20), (2147483647, '-infinity', 1, 50, 30, 30), (2147483646, '2026-02-01', 0, 922337203685477.5807, 922337203685477.5807, 0.0001);
-- a slot as it is made
INSERT INTO loyalty.rule_budget (rule_id, period, slot) VALUES (2147483645, 'infinity', 0);
SELECT * FROM loyalty.budget_usage WHERE rule_id >= 2147483645;
-- one row a slot, and none without its number
SAVEPOINT before;
INSERT INTO loyalty.rule_budget (rule_id, period, slot) VALUES (2147483647, '-infinity', 1);
ROLLBACK TO before;
INSERT INTO loyalty.rule_budget (rule_id, period) VALUES (2147483647, '-infinity');
ROLLBACK;

-- dumped whole, and nothing for PUBLIC
SELECT extcondition[array_position(extconfig, 'loyalty.rule_budget'::regclass::oid)] = '' AS dumped FROM pg_extension WHERE extname = 'loyalty';
SELECT c.oid::regclass, a.privilege_type FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
WHERE c.oid IN ('loyalty.rule_budget'::regclass, 'loyalty.budget_usage'::regclass) AND a.grantee = 0;
SET client_min_messages = warning; -- a role of an earlier run
DROP ROLE IF EXISTS regress_loyalty_budget;
RESET client_min_messages;
CREATE ROLE regress_loyalty_budget;
GRANT USAGE ON SCHEMA loyalty TO regress_loyalty_budget;
SET ROLE regress_loyalty_budget;
SELECT count(*) FROM loyalty.rule_budget;
SELECT count(*) FROM loyalty.budget_usage;
UPDATE loyalty.rule_budget SET spent = allotted;
RESET ROLE;
REVOKE USAGE ON SCHEMA loyalty FROM regress_loyalty_budget;
DROP ROLE regress_loyalty_budget;
