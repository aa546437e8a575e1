--
-- replication: what is applied as a replica is known to sessions that have read the configuration
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
BEGIN;
INSERT INTO loyalty.program (name) VALUES ('replication');
INSERT INTO loyalty.rule (program, name, award) VALUES ('replication', 'base', '1 per 1');
SELECT loyalty.adjust('ann', 10, program => 'replication'), loyalty.adjust('ben', 5, program => 'replication');

-- every table that config_changed watches has both triggers, and no other has
SELECT tgrelid::regclass, array_agg(format('%s %s', tgname, tgenabled) ORDER BY tgname) AS triggers
FROM pg_trigger WHERE tgfoid = 'loyalty.config_changed'::regproc GROUP BY 1 ORDER BY tgrelid::regclass::text COLLATE "C";

-- as the worker does that applies changes
SET session_replication_role = replica;
INSERT INTO loyalty.program (name, program_id) OVERRIDING SYSTEM VALUE VALUES ('replication_later', 100000);
INSERT INTO loyalty.rule (program, name, event, award, rule_id) OVERRIDING SYSTEM VALUE VALUES ('replication', 'visit', 'visit', '7', 100000);
RESET session_replication_role;
SELECT rule, points FROM loyalty.quote('ann', 'visit', program => 'replication');
SELECT balance FROM loyalty.adjust('ann', 3, program => 'replication_later');
SET session_replication_role = replica;
UPDATE loyalty.program SET time_zone = 'Asia/Tokyo', expiry = '1 year' WHERE name = 'replication_later';
RESET session_replication_role;
SELECT points FROM loyalty.adjust('ben', 2, program => 'replication_later');
SELECT points, ends IS NOT NULL AS ends FROM loyalty.lots('ben', program => 'replication_later');
-- a name that leads elsewhere
SET session_replication_role = replica;
INSERT INTO loyalty.member_alias SELECT program_id, 'old ann', loyalty.find_member('ann', name) FROM loyalty.program WHERE name = 'replication';
RESET session_replication_role;
SELECT available FROM loyalty.balance('old ann', program => 'replication');
ROLLBACK;
SELECT * FROM loyalty.balance('ann', program => 'replication_later');
