--
-- cohort: points by the month of their issue
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('co_beans', 'UTC'), ('co_tea', 'UTC');
SET loyalty.program = 'co_beans';
SELECT count(loyalty.adjust(m, p, at => t::timestamptz)) FROM (VALUES ('ann', 100, '2023-01-10'), ('ann', 50, '2023-02-10'), ('bob', 40, '2023-02-11')) v (m, p, t);
SELECT points FROM loyalty.spend('ann', 120, at => '2023-04-25');
SELECT * FROM loyalty.cohorts() ORDER BY 1, 2;

-- The same from the rollups, and with what came since: also of somebody whom they have
CREATE VIEW co_cells AS SELECT cohort, month, issued, redeemed, expired FROM loyalty.cohorts('co_beans');
CREATE TABLE co_before AS SELECT * FROM co_cells;
SELECT loyalty.roll_up(until => now()) = now() AS rolled_up;
SELECT * FROM co_cells EXCEPT SELECT * FROM co_before;
SELECT count(*) FROM loyalty.rollup_point_cohort WHERE program_id = loyalty.report_program();
SELECT points FROM loyalty.adjust('cid', 7, at => '2023-05-01');
SELECT points FROM loyalty.spend('bob', 10, at => '2023-05-02');
SELECT * FROM co_cells ORDER BY 1, 2;
SELECT cohort, issued, outstanding FROM loyalty.outstanding_by_age();
SELECT DISTINCT cohort, issued FROM loyalty.redemption_cohorts() ORDER BY 1;
SELECT issued, redeemed, ultimate FROM loyalty.breakage() WHERE cohort IS NULL;
-- a debt too, and back again
CALL loyalty.import_balance($$SELECT 'dan' AS member, -5 AS points$$, 'old shop', at => '2023-06-01');
SELECT loyalty.roll_up(until => now()) = now() AS rolled_up;
SELECT cohort, month, issued FROM loyalty.rollup_point_cohort WHERE program_id = loyalty.report_program() AND cohort = 'infinity';
SELECT * FROM co_cells WHERE cohort IS NULL;
-- Merged, he is another's, and his own when that is undone
SELECT loyalty.merge_members('cid', 'ann') IS NOT NULL AS merged;
SELECT * FROM co_cells ORDER BY 1, 2;
SELECT loyalty.roll_up(until => now()) = now() AS rolled_up;
SELECT * FROM co_cells ORDER BY 1, 2;
SELECT loyalty.unmerge_members('cid') IS NOT NULL AS parted;
SELECT * FROM co_cells ORDER BY 1, 2;
SELECT loyalty.roll_up(until => now()) = now() AS rolled_up;
SELECT * FROM co_cells ORDER BY 1, 2;
SELECT count(*) AS never_in FROM loyalty.rollup_member WHERE program_id = loyalty.report_program() AND cohort IS NULL;
SELECT * FROM loyalty.verify('co_beans');

-- Rows that are not in order are refused, and so are NULLs
SELECT (unnest(loyalty.cohort_cells(w, p, m::date, i, r, 0))).* FROM (VALUES (-1, 1::bigint, '2023-01-01', 10, 0), (1, 1, '2023-01-01', 10, 0), (1, 1, '2023-02-01', 5, 12)) v (w, p, m, i, r);
SELECT loyalty.cohort_cells(1, 1, m::date, 1, 0, 0) FROM (VALUES ('2023-02-01'), ('2023-01-01')) v (m);
SELECT loyalty.cohort_cells(w, p, '2023-01-01', 1, 0, 0) FROM (VALUES (1, 1), (1, 2), (1, 1)) v (w, p);
SELECT loyalty.cohort_cells(w, p, '2023-01-01', 1, 0, 0) FROM (VALUES (1, 1), (-1, 1), (1, 1)) v (w, p);
SELECT loyalty.cohort_cells(1, 1, NULL, 1, 0, 0);
SELECT loyalty.cohort_cells(1, 1, now()::date, 1, 0, 0) FROM generate_series(1, 0);
SELECT loyalty.cohort_cells(2000000000, p, '2023-01-01', 500000000000000, 0, 0) FROM generate_series(1, 2) p;

-- Only the engine writes rollups, and who may not read the program may read nothing of it
DELETE FROM loyalty.rollup_point_cohort;
DELETE FROM loyalty.rollup_purchase_cohort;
DELETE FROM loyalty.rollup_member;
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'co_beans');
SET ROLE regress_analyst;
SELECT count(*) FROM loyalty.rollup_point_cohort;
SELECT count(*) FROM loyalty.cohorts('co_beans');
SELECT count(*) FROM loyalty.purchase_cohorts WHERE program_id = loyalty.report_program('co_beans');
SELECT count(*) FROM loyalty.changed_months;
SELECT count(*) FROM loyalty.cohorts('co_tea');
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'co_beans');
DROP ROLE regress_analyst;
DROP VIEW co_cells;
DROP TABLE co_before;
