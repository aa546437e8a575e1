--
-- rollup: what the ledger adds up to by day and by month
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('rollup_beans', 'Asia/Kuala_Lumpur'), ('rollup_tea', 'UTC');
INSERT INTO loyalty.rule (program, name, award) VALUES ('rollup_beans', 'base', '1 per 1'), ('rollup_tea', 'base', '1 per 1');
SELECT count(*) FROM loyalty.record('rollup_ann', 'purchase', 10, at => '2026-01-31 16:30+00', program => 'rollup_beans');
SELECT count(*) FROM loyalty.record('rollup_ann', 'purchase', 20, at => '2026-01-31 17:00+00', program => 'rollup_beans');
SELECT count(*) FROM loyalty.record('rollup_bob', 'purchase', 5, at => '2026-02-01 12:00+00', program => 'rollup_beans');
SELECT count(*) FROM loyalty.record('rollup_ann', 'purchase', 7, at => '2026-02-01 12:00+00', program => 'rollup_tea');
CREATE VIEW reported AS
	SELECT 'day' AS by, program, day, NULL AS member, entries, points, purchases, amount FROM loyalty.points_by_day WHERE program ~ '^rollup_'
	UNION ALL
	SELECT 'month', program, month, m.ref, NULL, a.earned, a.purchases, a.amount FROM loyalty.activity_by_month a JOIN loyalty.member m USING (member_id) WHERE program ~ '^rollup_';
CREATE VIEW rolled_up AS
	SELECT p.name, r.entries, r.rolled_up_at IS NOT NULL AS rolled_up, (SELECT count(*) FROM loyalty.rollup_day d WHERE d.program_id = r.program_id) AS days, (SELECT count(*) FROM loyalty.rollup_month m WHERE m.program_id = r.program_id) AS months,
		   (SELECT count(*) FROM loyalty.rollup_lots l WHERE l.program_id = r.program_id) AS lots
	FROM loyalty.rollup r JOIN loyalty.program p USING (program_id) WHERE p.name ~ '^rollup_';
CREATE VIEW lots AS
	SELECT p.name AS program, l.day, l.sales, l.sold, l.redeemed FROM loyalty.lots_by_day l JOIN loyalty.program p USING (program_id) WHERE p.name ~ '^rollup_';
SELECT * FROM reported ORDER BY 1, 2, 3, 4;
SELECT * FROM lots ORDER BY 1, 2;

-- maintain leaves what was posted within the last hour, and rolls nothing up within a transaction.
BEGIN;
CALL loyalty.maintain(program => 'rollup_beans');
SELECT * FROM rolled_up ORDER BY 1;
COMMIT;
CALL loyalty.maintain(program => 'rollup_beans');
SELECT * FROM rolled_up ORDER BY 1;

-- The program's manager says how far.
SELECT loyalty.roll_up('rollup_beans', now()) = now() AS now;
SELECT * FROM rolled_up ORDER BY 1;
SELECT * FROM reported ORDER BY 1, 2, 3, 4;
SELECT count(*) FROM loyalty.record('rollup_bob', 'purchase', 3, at => '2026-01-31 18:00+00', program => 'rollup_beans');
SELECT * FROM rolled_up ORDER BY 1;
SELECT * FROM reported ORDER BY 1, 2, 3, 4;
SELECT * FROM lots ORDER BY 1, 2;
-- Never back, unless it is made anew.
SELECT loyalty.roll_up('rollup_beans', '2026-01-01') > now() - interval '1 day' AS stays;
SELECT loyalty.roll_up('rollup_beans') > now() - interval '1 day' AS stays;
SELECT loyalty.roll_up('rollup_beans', '2026-01-01', anew => true);
SELECT * FROM rolled_up ORDER BY 1;
SELECT loyalty.roll_up('rollup_beans', now()) = now() AS now;
SELECT * FROM rolled_up ORDER BY 1;
SELECT * FROM reported ORDER BY 1, 2, 3, 4;
SELECT * FROM lots ORDER BY 1, 2;
SELECT * FROM loyalty.verify('rollup_beans');

-- errors
\set VERBOSITY terse
SELECT loyalty.roll_up();
SELECT loyalty.roll_up('nobody''s');
SELECT loyalty.roll_up('rollup_beans', now() + interval '1 day');
SELECT loyalty.roll_up('rollup_beans', 'infinity');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT loyalty.roll_up('rollup_beans');
ROLLBACK;
BEGIN READ ONLY;
SELECT loyalty.roll_up('rollup_beans');
ROLLBACK;
SET track_activities = off;
SELECT loyalty.roll_up('rollup_beans');
RESET track_activities;
\set VERBOSITY default

-- Written only by the engine.
DELETE FROM loyalty.rollup;
UPDATE loyalty.rollup_day SET points = 0;
TRUNCATE loyalty.rollup_month;
UPDATE loyalty.rollup_lots SET sales = 0;

-- Readers see how far it goes, of their program, and managers may have it made anew.
CREATE ROLE regress_reader;
CREATE ROLE regress_manager;
SELECT loyalty.grant_access('regress_reader', 'read', 'rollup_tea');
SELECT loyalty.grant_access('regress_manager', 'manage', 'rollup_tea');
SELECT loyalty.roll_up('rollup_tea', now()) = now() AS now;
SET ROLE regress_reader;
SELECT count(*) FROM loyalty.rollup;
SELECT * FROM loyalty.rollup_day;
SELECT * FROM loyalty.rollup_lots;
SELECT program, points FROM loyalty.points_by_day;
SELECT loyalty.roll_up('rollup_tea');
SET ROLE regress_manager;
SELECT loyalty.roll_up('rollup_tea', now(), anew => true) = now() AS now;
SELECT loyalty.roll_up('rollup_beans');
RESET ROLE;
SELECT loyalty.revoke_access('regress_reader', 'read', 'rollup_tea');
SELECT loyalty.revoke_access('regress_manager', 'manage', 'rollup_tea');
DROP ROLE regress_reader;
DROP ROLE regress_manager;
DROP VIEW reported, rolled_up, lots;
