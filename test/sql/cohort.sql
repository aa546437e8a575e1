--
-- cohort: points by the month of their issue, and keeping what they came to
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('co_beans', 'UTC'), ('co_tea', 'UTC');
SET loyalty.program = 'co_beans';
SELECT count(loyalty.adjust(m, p, at => t::timestamptz)) FROM (VALUES ('ann', 100, '2023-01-10'), ('ann', 50, '2023-02-10'), ('bob', 40, '2023-02-11')) v (m, p, t);
SELECT points FROM loyalty.spend('ann', 120, at => '2023-04-25');
SELECT * FROM loyalty.cohorts() ORDER BY 1, 2;

-- As it was when it was kept
SELECT loyalty.keep_cohorts();
SELECT cohort, month, issued, redeemed, expired, kept_at < now() AS kept FROM loyalty.cohorts() ORDER BY 1, 2;
SELECT points FROM loyalty.adjust('cid', 7, at => '2023-05-01');
SELECT cohort, issued, outstanding FROM loyalty.outstanding_by_age();
SELECT DISTINCT cohort, issued FROM loyalty.redemption_cohorts() ORDER BY 1;
SELECT issued, redeemed, ultimate FROM loyalty.breakage() WHERE cohort IS NULL;
SELECT cohort, issued FROM loyalty.point_cohorts WHERE program_id = loyalty.report_program() AND issued::numeric > 0 ORDER BY 1;
SELECT loyalty.keep_cohorts();
SELECT cohort, issued, outstanding FROM loyalty.outstanding_by_age();
-- a debt too, and back again
CALL loyalty.import_balance($$SELECT 'dan' AS member, -5 AS points$$, 'old shop', at => '2023-06-01');
SELECT loyalty.keep_cohorts();
SELECT cohort, month, issued FROM loyalty.kept_cohort WHERE issued::numeric < 0;
SELECT cohort, month, issued FROM loyalty.cohorts() WHERE cohort IS NULL;
SELECT loyalty.keep_cohorts(false);
SELECT cohort, issued, outstanding FROM loyalty.outstanding_by_age();
SELECT count(*) FROM loyalty.kept_cohort;
SELECT loyalty.keep_cohorts(NULL, NULL);
SELECT loyalty.keep_cohorts(program => 'co_tea');

-- Only the engine writes it, for who operates the program; who may read the program may read it
DELETE FROM loyalty.kept_cohort;
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'co_beans');
SET ROLE regress_analyst;
SELECT loyalty.keep_cohorts();
SELECT count(*) FROM loyalty.kept_cohort;
SELECT count(*) FROM loyalty.cohorts('co_beans');
SELECT count(*) FROM loyalty.cohorts('co_tea');
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'co_beans');
SELECT loyalty.grant_access('regress_analyst', 'operate', 'co_tea');
SET ROLE regress_analyst;
SELECT count(*) FROM loyalty.kept_cohort;
SELECT loyalty.keep_cohorts(program => 'co_tea');
SELECT loyalty.keep_cohorts(program => 'co_beans');
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'operate', 'co_tea');
DROP ROLE regress_analyst;
SELECT loyalty.keep_cohorts(false);
