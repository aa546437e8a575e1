--
-- access: who may do what with a program
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
SET datestyle = iso;
SET timezone = 'UTC';
SET client_min_messages = warning; -- roles of an earlier run
DROP ROLE IF EXISTS regress_loyalty_reader, regress_loyalty_clerk, regress_loyalty_manager, regress_loyalty_web, regress_loyalty_nobody;
RESET client_min_messages;
CREATE ROLE regress_loyalty_reader;
CREATE ROLE regress_loyalty_clerk;
CREATE ROLE regress_loyalty_manager;
CREATE ROLE regress_loyalty_web;
CREATE ROLE regress_loyalty_nobody;
INSERT INTO loyalty.program (name) VALUES ('access_a'), ('access_b');
INSERT INTO loyalty.rule (program, name, award) VALUES ('access_a', 'base', '1 per 1'), ('access_b', 'base', '2 per 1');
SELECT a.balance, b.balance FROM loyalty.adjust('ann', 10, program => 'access_a') a, loyalty.adjust('ann', 20, program => 'access_b') b;
SELECT points FROM loyalty.adjust('ben', 5, program => 'access_a');
SELECT loyalty.set_member('ann', birthday => '1990-01-01', program => 'access_a');

-- what makes no sense
SELECT loyalty.grant_access('regress_loyalty_reader', 'write', 'access_a');
SELECT loyalty.grant_access('regress_loyalty_absent', 'read', 'access_a');
SELECT loyalty.grant_access('regress_loyalty_reader', 'read', 'access_none');
SELECT loyalty.grant_access(4000000000, 'read', 'access_a');
SELECT loyalty.grant_access(NULL, 'read', 'access_a');
SELECT loyalty.revoke_access('regress_loyalty_reader', 'read', 'access_a');

SELECT loyalty.grant_access('regress_loyalty_reader', 'read', 'access_a');
SELECT loyalty.grant_access('regress_loyalty_clerk', 'operate', 'access_a');
SELECT loyalty.grant_access('regress_loyalty_manager', 'manage', 'access_a');
SELECT loyalty.grant_access('regress_loyalty_web', 'member', 'access_a');
-- again, it is there already
SELECT loyalty.grant_access('regress_loyalty_web', 'member', 'access_a');
SELECT role, access, granted_by = CURRENT_USER AS by_me FROM loyalty.access JOIN loyalty.program USING (program_id) WHERE name = 'access_a' ORDER BY role COLLATE "C";

-- read: of one program, and nothing else
SET ROLE regress_loyalty_reader;
SELECT name FROM loyalty.program ORDER BY 1;
SELECT ref, purse FROM loyalty.member ORDER BY 1;
SELECT program, points FROM loyalty.liability;
SELECT available FROM loyalty.balance('ann');
SELECT points, note FROM loyalty.statement('ann', program => 'access_a');
SELECT count(*) FROM loyalty.profile;
SELECT * FROM loyalty.verify();
SELECT loyalty.balance('ann', program => 'access_b');
SELECT loyalty.balance('ann', program => 'access_none');
SELECT loyalty.adjust('ann', 1);
SELECT hash FROM loyalty.voucher;
UPDATE loyalty.program SET name = name;
INSERT INTO loyalty.rule (program, name, award) VALUES ('access_a', 'mine', '100');
SELECT loyalty.grant_access('regress_loyalty_reader', 'manage', 'access_a');
-- the functions of views ask about whoever calls
SELECT loyalty.may_see('access_a'), loyalty.may_see('access_b'), loyalty.may_read('access_a'), loyalty.may_read('access_b'), loyalty.may_manage('access_a'), loyalty.may_see('access_none'), loyalty.may_see(NULL::text);

-- operate: acts, too
SET ROLE regress_loyalty_clerk;
SELECT balance FROM loyalty.adjust('ann', 1);
SELECT balance FROM loyalty.spend('ann', 1, program => 'access_a');
SELECT birthday FROM loyalty.profile;
SELECT loyalty.adjust('ann', 1, program => 'access_b');
INSERT INTO loyalty.rule (program, name, award) VALUES ('access_a', 'mine', '100');
CALL loyalty.maintain();
CALL loyalty.maintain(program => 'access_b');
-- the setting narrows it to one member
SET loyalty.member_ref = 'ann';
SELECT balance FROM loyalty.adjust('ann', 1);
SELECT loyalty.adjust('ben', 1);
SELECT loyalty.transfer('ben', 'ann', 1);
SELECT balance FROM loyalty.transfer('ann', 'ben', 1);
SELECT ref FROM loyalty.member;
SELECT loyalty.merge_members('ben', 'ann');
CALL loyalty.maintain();
SELECT * FROM loyalty.liability;
RESET loyalty.member_ref;

-- manage: its configuration, and no acts
SET ROLE regress_loyalty_manager;
INSERT INTO loyalty.rule (program, name, award) VALUES ('access_a', 'more', '10') RETURNING owner;
INSERT INTO loyalty.rule (program, name, award) VALUES ('access_b', 'more', '10');
INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('access_a', 'gold', 1, 100);
INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('access_b', 'gold', 1, 100);
UPDATE loyalty.tier SET program = 'access_b';
INSERT INTO loyalty.reward (program, name, cost) VALUES ('access_a', 'mug', 10);
UPDATE loyalty.reward SET cost = 11 RETURNING cost;
UPDATE loyalty.program SET point_value = 0.01 RETURNING name, point_value;
DELETE FROM loyalty.program;
SELECT loyalty.revise_rule('more', '{"award": "20"}') > 0 AS revised;
SELECT loyalty.revise_rule('base', '{"award": "20"}', program => 'access_b');
-- with numbers from the sequences alone
INSERT INTO loyalty.reward (reward_id, program, name, cost) OVERRIDING SYSTEM VALUE VALUES (2000000000, 'access_a', 'cup', 10);
INSERT INTO loyalty.rule (rule_id, program, name, award) OVERRIDING SYSTEM VALUE VALUES (2000000000, 'access_a', 'later', '10');
INSERT INTO loyalty.rule (rule_id, program, name, award) OVERRIDING SYSTEM VALUE VALUES (1, 'access_a', 'earlier', '10');
WITH added AS (INSERT INTO loyalty.rule (program, name, award, active)
	SELECT 'access_a', 'many ' || n, '1', tstzrange(NULL, now()) FROM generate_series(1, 3) n ORDER BY n DESC RETURNING name)
SELECT count(*) FROM added;
SELECT loyalty.adjust('ann', 1000000);
SELECT role, access FROM loyalty.access ORDER BY role COLLATE "C";
DELETE FROM loyalty.access;
UPDATE loyalty.member SET purse = '{1000000@infinity}';

-- member: of the one whom the setting names
SET ROLE regress_loyalty_web;
SELECT loyalty.balance('ann');
SELECT count(*) FROM loyalty.member;
SET loyalty.member_ref = 'ann';
SELECT available FROM loyalty.balance('ann');
SELECT entry, points, rule FROM loyalty.statement('ann') ORDER BY entry LIMIT 1;
SELECT ref FROM loyalty.member;
SELECT count(*) > 0 AS some, count(*) FILTER (WHERE member_id <> loyalty.member_id('ann', 'access_a')) AS others FROM loyalty.entry;
SELECT birthday FROM loyalty.profile;
SELECT reward FROM loyalty.catalogue('ann');
SELECT loyalty.balance('ben');
SELECT loyalty.spend('ann', 1);
SELECT * FROM loyalty.liability;
SET loyalty.member_ref = 'who';
SELECT available FROM loyalty.balance('who');
SELECT loyalty.balance('ann');
RESET loyalty.member_ref;

-- nobody
SET ROLE regress_loyalty_nobody;
SELECT loyalty.balance('ann');
RESET ROLE;
GRANT USAGE ON SCHEMA loyalty TO regress_loyalty_nobody;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA loyalty TO regress_loyalty_nobody;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA loyalty TO regress_loyalty_nobody;
SET ROLE regress_loyalty_nobody;
-- whatever was granted by hand
SELECT count(*) FROM loyalty.member;
SELECT count(*) FROM loyalty.program;
SELECT * FROM loyalty.liability;
SELECT loyalty.balance('ann');
SELECT loyalty.balance('ann', program => 'access_a');
SELECT loyalty.adjust('ann', 1, program => 'access_a');
INSERT INTO loyalty.rule (program, name, award) VALUES ('access_a', 'mine', '100');
INSERT INTO loyalty.access (program_id, role, access) SELECT 1, 'regress_loyalty_nobody', 'manage';
UPDATE loyalty.member SET purse = '{1000000@infinity}';
SELECT loyalty.grant_access('regress_loyalty_nobody', 'manage', 'access_a');
SELECT loyalty.revoke_access('regress_loyalty_reader', 'read', 'access_a');
CALL loyalty.import_balance('members.csv', 'k', program => 'access_a');
SELECT * FROM loyalty.verify();
CALL loyalty.maintain();
RESET ROLE;

-- A member of a role has what the role has, and loses it with the role
GRANT regress_loyalty_clerk TO regress_loyalty_nobody;
SET ROLE regress_loyalty_nobody;
SELECT available IS NOT NULL AS reads FROM loyalty.balance('ann');
RESET ROLE;
REVOKE regress_loyalty_clerk FROM regress_loyalty_nobody;
SET ROLE regress_loyalty_nobody;
SELECT loyalty.balance('ann');
RESET ROLE;
DROP OWNED BY regress_loyalty_nobody;

-- A plan that was made for one role shows another nothing more
PREPARE members AS SELECT ref FROM loyalty.member ORDER BY ref;
PREPARE liability AS SELECT program, points FROM loyalty.liability ORDER BY 1;
SET plan_cache_mode = force_generic_plan;
SELECT program FROM loyalty.liability WHERE program LIKE 'access%' ORDER BY 1;
EXECUTE members \g /dev/null
SET ROLE regress_loyalty_reader;
EXECUTE members;
EXECUTE liability;
SET ROLE regress_loyalty_web;
EXECUTE members;
SET loyalty.member_ref = 'ben';
EXECUTE members;
SET loyalty.member_ref = 'ann';
EXECUTE members;
EXECUTE liability;
RESET ROLE;
RESET loyalty.member_ref;
RESET plan_cache_mode;
DEALLOCATE members;
DEALLOCATE liability;

-- A function of a view's reader sees no row that the view hides
CREATE SCHEMA access_spy AUTHORIZATION regress_loyalty_reader;
SET ROLE regress_loyalty_reader;
CREATE FUNCTION access_spy.peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
SELECT count(*) > 0 AS some FROM loyalty.liability WHERE access_spy.peek(program);
SELECT count(*) > 0 AS some FROM loyalty.member WHERE access_spy.peek(ref);
RESET ROLE;
DROP SCHEMA access_spy CASCADE;

-- The install script makes the policies, since pg_dump takes none on an extension's tables along
SELECT count(*) > 30 AS policies, bool_and(policyname IN ('loyalty_read', 'loyalty_manage')) AS ours FROM pg_policies WHERE schemaname = 'loyalty';
-- Whoever reads all sees no person by naming one after the other
SET ROLE regress_loyalty_reader;
SET loyalty.member_ref = 'ann';
SELECT ref FROM loyalty.member;
SELECT birthday FROM loyalty.profile;
SELECT loyalty.export_member('ann');
RESET loyalty.member_ref;
-- What is there of another program is not to be found out by trying
SET ROLE regress_loyalty_manager;
INSERT INTO loyalty.reward_option (program, reward, name, cost) VALUES ('access_b', 'none', 'red', 5);
INSERT INTO loyalty.reward_option (program, reward, name, cost) VALUES ('access_none', 'none', 'red', 5);
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('access_b', 'EUR', 1);
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_times) VALUES ('access_b', 'few', 'earn', '1 day', 1);
RESET ROLE;
-- A constraint that runs where an expression is merely read has no rights but his own
CREATE SCHEMA access_trap AUTHORIZATION regress_loyalty_manager;
SET ROLE regress_loyalty_manager;
CREATE FUNCTION access_trap.check_it(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'runs as %', CURRENT_USER; RETURN true; END $$;
CREATE DOMAIN access_trap.trap AS integer CHECK (access_trap.check_it(VALUE));
CREATE TABLE access_trap.shop (id integer PRIMARY KEY, customer text, total numeric);
\set SHOW_CONTEXT never
SELECT loyalty.attach('access_trap.shop', member => $$CASE WHEN '{1}'::access_trap.trap[] IS NULL THEN '' ELSE customer END$$, amount => 'total') > 0 AS attached;
INSERT INTO access_trap.shop VALUES (1, 'ann', 5);
SELECT loyalty.detach('access_trap.shop');
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA access_trap CASCADE;
RESET client_min_messages;
-- What another access of the role needs stays
SELECT loyalty.grant_access('regress_loyalty_clerk', 'manage', 'access_a'), loyalty.grant_access('regress_loyalty_web', 'read', 'access_b');
SELECT loyalty.revoke_access('regress_loyalty_clerk', 'manage', 'access_a'), loyalty.revoke_access('regress_loyalty_web', 'read', 'access_b');
SELECT has_function_privilege('regress_loyalty_clerk', 'loyalty.backfill(text, integer, text)', 'EXECUTE') AS backfills,
	has_table_privilege('regress_loyalty_clerk', 'loyalty.deferred', 'SELECT') AS sees_deferred,
	has_function_privilege('regress_loyalty_clerk', 'loyalty.forget_member(text, text, timestamptz, text)', 'EXECUTE') AS forgets,
	has_column_privilege('regress_loyalty_web', 'loyalty.rule', 'name', 'SELECT') AS sees_names,
	has_column_privilege('regress_loyalty_web', 'loyalty.rule', 'award', 'SELECT') AS sees_awards;

-- With the last access everything goes
SELECT loyalty.grant_access('regress_loyalty_clerk', 'read', 'access_b');
SELECT loyalty.revoke_access('regress_loyalty_clerk', 'operate', 'access_a');
SET ROLE regress_loyalty_clerk;
SELECT name FROM loyalty.program;
SELECT available FROM loyalty.balance('ann');
SELECT loyalty.adjust('ann', 1);
RESET ROLE;
SELECT loyalty.revoke_access('regress_loyalty_clerk', 'read', 'access_b'), loyalty.revoke_access('regress_loyalty_reader', 'read', 'access_a'),
	loyalty.revoke_access('regress_loyalty_manager', 'manage', 'access_a'), loyalty.revoke_access('regress_loyalty_web', 'member', 'access_a');
SELECT loyalty.revoke_access('regress_loyalty_web', 'member', 'access_a');
UPDATE loyalty.rule SET owner = CURRENT_USER WHERE program LIKE 'access%';
UPDATE loyalty.reward SET owner = CURRENT_USER WHERE program LIKE 'access%';
-- no right of theirs is left
DROP ROLE regress_loyalty_reader, regress_loyalty_clerk, regress_loyalty_manager, regress_loyalty_web, regress_loyalty_nobody;
SELECT * FROM loyalty.verify('access_a');
