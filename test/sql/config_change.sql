--
-- config_change: who changed which program, rule, tier or reward, from what to what
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
SET client_min_messages = warning; -- roles of an earlier run
DROP ROLE IF EXISTS regress_loyalty_owner_of_rules, regress_loyalty_looks_on, regress_loyalty_other;
RESET client_min_messages;
CREATE ROLE regress_loyalty_owner_of_rules;
CREATE ROLE regress_loyalty_looks_on;
CREATE ROLE regress_loyalty_other;
SELECT current_user AS me \gset
-- what was written down since the last look: who by a name that is the same everywhere
CREATE FUNCTION pg_temp.looks() RETURNS TABLE (what text, name text, operation text, role text, login text, old jsonb, new jsonb) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT c.what COLLATE "default", c.name COLLATE "default", c.operation, replace(c.role, session_user, 'me'), replace(c.session_role, session_user, 'me'),
		replace(c.old::text, format('"%s"', session_user), '"me"')::jsonb - '{program_id,rule_id,source_id,reward_id,created_at,attached_at,granted_at}'::text[], replace(c.new::text, format('"%s"', session_user), '"me"')::jsonb - '{program_id,rule_id,source_id,reward_id,created_at,attached_at,granted_at}'::text[]
		FROM loyalty.config_change c WHERE c.program ~ '^change_' AND c.change_no > current_setting('test.seen', true)::bigint ORDER BY c.change_no;
	PERFORM set_config('test.seen', (SELECT coalesce(max(change_no), 0)::text FROM loyalty.config_change), false);
END $$;
CREATE VIEW pg_temp.looked AS SELECT what, name, operation, role, jsonb_strip_nulls(old) AS old, jsonb_strip_nulls(new) AS new FROM pg_temp.looks();
SELECT set_config('test.seen', (SELECT coalesce(max(change_no), 0)::text FROM loyalty.config_change), false) IS NOT NULL AS ready;

-- A row of each table that comes, and its columns that change
INSERT INTO loyalty.program (name, currency) VALUES ('change_a', 'USD'), ('change_b', 'USD');
SELECT * FROM pg_temp.looked;
UPDATE loyalty.program SET expiry = '12 months', pending = '14 days', point_value = 0.01 WHERE name = 'change_a';
-- the same again is no change, nor is a number written in another way
UPDATE loyalty.program SET expiry = '12 months', point_value = 0.0100 WHERE name = 'change_a';
SELECT * FROM pg_temp.looks();
INSERT INTO loyalty.rule (program, name, award, active) VALUES ('change_a', 'base', '1 per 1', '[2024-01-01 08:00+08,)');
INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('change_a', 'silver', 1, 12.5);
INSERT INTO loyalty.reward (program, name, cost, kind) VALUES ('change_a', 'mug', '10', 'product');
INSERT INTO loyalty.reward_option (program, reward, name, cost) VALUES ('change_a', 'mug', 'cheap', 5);
INSERT INTO loyalty.voucher_pool (program, name, kind, value) VALUES ('change_a', 'film', 'value', 5);
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_times) VALUES ('change_a', 'often', 'redeem', '1 day', 5);
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('change_a', 'EUR', 1.1), ('change_a', 'GBP', 1.3);
SELECT * FROM pg_temp.looked;
UPDATE loyalty.rule SET name = 'basic', active = '[2024-01-01 00:00Z,2999-01-01 00:00Z)' WHERE program = 'change_a';
UPDATE loyalty.tier SET min_points = NULL, min_amount = 100, rank = 2 WHERE program = 'change_a';
UPDATE loyalty.reward SET stock = 7, cost = 12 WHERE program = 'change_a';
UPDATE loyalty.reward_option SET cost = 6 WHERE program = 'change_a';
UPDATE loyalty.voucher_pool SET value = 6 WHERE program = 'change_a';
UPDATE loyalty.velocity_limit SET max_times = 6, within = '36 hours' WHERE program = 'change_a';
UPDATE loyalty.currency_rate SET rate = rate * 2 WHERE program = 'change_a';
SELECT what, name, operation, role, login, old, new FROM pg_temp.looks();
DELETE FROM loyalty.reward_option WHERE program = 'change_a';
DELETE FROM loyalty.tier WHERE program = 'change_a';
SELECT * FROM pg_temp.looked;
BEGIN;
TRUNCATE loyalty.currency_rate;
SELECT what, name, operation, old FROM pg_temp.looks();
ROLLBACK;
-- what is refused or taken back leaves nothing
TRUNCATE loyalty.tier;
BEGIN;
UPDATE loyalty.program SET expiry = 'never' WHERE name = 'change_a';
SAVEPOINT s;
UPDATE loyalty.program SET pending = '1 day' WHERE name = 'change_a';
ROLLBACK TO s;
SELECT what, name, old, new FROM loyalty.config_change WHERE program = 'change_a' ORDER BY change_no DESC LIMIT 1;
ROLLBACK;
SELECT count(*) FROM pg_temp.looks();

-- Who: whose rights counted, also when the engine wrote the row for him
SELECT loyalty.grant_access('regress_loyalty_owner_of_rules', 'manage', 'change_a'), loyalty.grant_access('regress_loyalty_looks_on', 'read', 'change_a');
SELECT loyalty.grant_access('regress_loyalty_other', 'manage', 'change_b');
CREATE TABLE change_order (id int PRIMARY KEY, customer text, total numeric);
ALTER TABLE change_order OWNER TO regress_loyalty_owner_of_rules;
SELECT * FROM pg_temp.looked;
SET ROLE regress_loyalty_owner_of_rules;
UPDATE loyalty.currency_rate SET rate = 3 WHERE program = 'change_a' AND currency = 'EUR';
INSERT INTO loyalty.rule (program, name, award) VALUES ('change_a', 'hers', '1');
SELECT loyalty.revise_rule('hers', '{"award": "2"}', program => 'change_a') IS NOT NULL AS revised;
SELECT loyalty.attach('change_order', member => 'customer', amount => 'total', program => 'change_a') > 0 AS attached;
-- nor does he get past it by looking like a restore
SET check_function_bodies = off;
UPDATE loyalty.currency_rate SET rate = 4 WHERE program = 'change_a' AND currency = 'EUR';
SELECT loyalty.detach('change_order', program => 'change_a');
RESET check_function_bodies;
INSERT INTO loyalty.config_change (what, operation, role, session_role, new) VALUES ('rule', 'INSERT', 'x', 'x', '{}');
UPDATE loyalty.config_change SET role = 'x';
DELETE FROM loyalty.config_change;
ALTER TABLE loyalty.reward DISABLE TRIGGER audit;
SET session_replication_role = replica;
RESET ROLE;
SELECT what, name, operation, role, login, jsonb_strip_nulls(old - '{active}'::text[]) AS old, jsonb_strip_nulls(new - '{active,lineage}'::text[]) AS new FROM pg_temp.looks() l;
UPDATE loyalty.config_change SET role = 'x';
-- what a backfill notes is no change of a source
SELECT loyalty.attach('change_order', member => 'customer', amount => 'total', program => 'change_a') > 0 AS attached;
CALL loyalty.backfill('change_order', program => 'change_a');
DROP TABLE change_order;
SELECT what, name, operation, role, old - '{relation}'::text[] AS old, new FROM pg_temp.looks();
-- nor is a restore, by who may make one
SET check_function_bodies = off;
UPDATE loyalty.reward SET stock = 1 WHERE program = 'change_a';
SELECT count(*) FROM pg_temp.looks();
-- but what the engine writes is none
SELECT loyalty.grant_access('regress_loyalty_looks_on', 'operate', 'change_a'), loyalty.revoke_access('regress_loyalty_looks_on', 'operate', 'change_a');
RESET check_function_bodies;
SELECT what, name, operation, role FROM pg_temp.looks();

-- Who may read it
SET ROLE regress_loyalty_looks_on;
SELECT DISTINCT program FROM loyalty.config_change;
SELECT DISTINCT program FROM loyalty.config_history;
\pset format aligned
SELECT replace(who, :'me', 'me') AS who, program, what, name, operation, change FROM loyalty.config_history WHERE what IN ('tier', 'currency_rate');
\pset format unaligned
SET ROLE regress_loyalty_other;
SELECT DISTINCT program FROM loyalty.config_history;
RESET ROLE;
-- of a program that is gone
SELECT loyalty.revoke_access('regress_loyalty_other', 'manage', 'change_b');
DELETE FROM loyalty.program WHERE name = 'change_b';
SELECT operation, old ->> 'name' AS name, program, program_id IS NOT NULL AS numbered FROM loyalty.config_change WHERE what = 'program' AND name = 'change_b' ORDER BY change_no;

SELECT loyalty.revoke_access('regress_loyalty_owner_of_rules', 'manage', 'change_a'), loyalty.revoke_access('regress_loyalty_looks_on', 'read', 'change_a');
SELECT what, name, operation, old FROM pg_temp.looked WHERE what = 'access';
DROP OWNED BY regress_loyalty_owner_of_rules, regress_loyalty_looks_on, regress_loyalty_other;
DROP ROLE regress_loyalty_owner_of_rules, regress_loyalty_looks_on, regress_loyalty_other;
