--
-- redemption_report: what becomes of points, by when they were given
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('rr_beans', 'Asia/Kuala_Lumpur'), ('rr_tea', 'UTC'), ('rr_empty', 'UTC');
INSERT INTO loyalty.rule (program, name, award) VALUES ('rr_beans', 'base', '1 per 1'), ('rr_tea', 'base', '1 per 1');
CREATE TABLE rr_orders (order_id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT count(loyalty.attach('rr_orders', member => 'customer', amount => 'total', at => 'at', program => 'rr_beans'));
SET loyalty.program = 'rr_beans';
-- the first two years of it
CREATE TEMPORARY VIEW cohorts AS SELECT cohort, age, issued, redeemed, rate FROM loyalty.redemption_cohorts() WHERE cohort < '2024-01-01' AND age <= 4;
CREATE TEMPORARY VIEW outstanding AS SELECT cohort, issued, redeemed, expired, outstanding, share FROM loyalty.outstanding_by_age();
SELECT * FROM loyalty.redemption_rates();
SELECT * FROM loyalty.redemption_rates('decade');
SELECT * FROM cohorts;
SELECT * FROM outstanding;

-- The oldest points go first: 120 redeemed in April take the 100 of January and 20 of February
INSERT INTO rr_orders VALUES (1, 'ann', 100, '2023-01-10'), (2, 'ann', 50, '2023-02-10'), (3, 'bob', 40, '2023-01-31 16:30+00'), (4, 'ann', 30, '2023-04-20');
SELECT points FROM loyalty.spend('ann', 120, at => '2023-04-25');
SELECT * FROM cohorts;
SELECT * FROM outstanding;
SELECT * FROM loyalty.redemption_rates('month', until => '2023-06-01');
SELECT * FROM loyalty.redemption_rates('quarter', '2023-04-01', '2023-10-01');
-- what came back was never redeemed
SELECT points FROM loyalty.cancel('ann', 4, 60, at => '2023-05-03');
SELECT cohort, age, redeemed FROM cohorts WHERE cohort = '2023-01-01';
SELECT starts, redeemed, rate, cumulative_rate FROM loyalty.redemption_rates('month', '2023-04-01', '2023-07-01');
-- what expires goes first of all that goes in its month
SELECT points FROM loyalty.adjust('cid', 10, expires => '2023-02-28', at => '2023-02-01');
SELECT points FROM loyalty.adjust('cid', 25, at => '2023-02-01');
SELECT points FROM loyalty.adjust('cid', 5, at => '2023-03-01');
CALL loyalty.maintain(program => 'rr_beans');
SELECT points FROM loyalty.spend('cid', 20, at => '2023-03-05');
SELECT * FROM outstanding;
-- what is taken is taken from the last months
SELECT points FROM loyalty.adjust('cid', -7, at => '2023-06-01');
SELECT cohort, month, issued, redeemed, expired FROM loyalty.point_cohorts WHERE program_id = loyalty.report_program() ORDER BY 1, 2;
-- a debt is in no month; when it is repaid, what it was spent on is of that month
INSERT INTO rr_orders VALUES (5, 'dan', 40, '2023-01-01');
SELECT points FROM loyalty.spend('dan', 30, at => '2023-01-05');
INSERT INTO rr_orders VALUES (6, 'dan', -40, '2023-05-01');
SELECT cohort, issued, redeemed, outstanding, share FROM outstanding WHERE cohort IS NULL;
SELECT issued, redeemed, outstanding FROM outstanding WHERE cohort = '2023-01-01';
INSERT INTO rr_orders VALUES (7, 'dan', 50, '2023-07-01');
SELECT cohort, issued, redeemed, outstanding, share FROM outstanding WHERE cohort IS NULL;
SELECT * FROM cohorts WHERE cohort = '2023-07-01';
-- who was merged is somebody else: his older points go first
SELECT loyalty.transfer('bob', 'eve', 10, at => '2023-08-01') IS NOT NULL AS gave;
SELECT cohort, issued, redeemed, outstanding FROM outstanding WHERE cohort IN ('2023-02-01', '2023-08-01');
SELECT loyalty.merge_members('bob', 'ann');
SELECT cohort, issued, redeemed, outstanding FROM outstanding WHERE cohort < '2023-03-01';
-- held points are owed
SELECT points FROM loyalty.hold('cid', 3, ttl => '1 year');
SELECT (SELECT sum(outstanding::numeric) FROM outstanding) = (SELECT sum(loyalty.total(purse)::numeric + held::numeric) FROM loyalty.member WHERE program_id = loyalty.report_program()) AS all_of_it,
	   (SELECT sum(outstanding::numeric) FROM outstanding) = (SELECT closing::numeric FROM loyalty.roll_forward() ORDER BY starts DESC LIMIT 1) AS as_rolled_forward;

-- Only for who may read the program
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'rr_tea');
SELECT points FROM loyalty.adjust('ann', 8, program => 'rr_tea');
SET ROLE regress_analyst;
SELECT issued, outstanding, share FROM loyalty.outstanding_by_age('rr_tea');
SELECT age, issued, redeemed, rate FROM loyalty.redemption_cohorts('rr_tea');
SELECT earned, redeemed, rate, cumulative_rate FROM loyalty.redemption_rates(program => 'rr_tea');
SELECT count(*), sum(issued::numeric) FROM loyalty.point_cohorts;
SELECT * FROM loyalty.outstanding_by_age('rr_beans');
SELECT * FROM loyalty.redemption_cohorts('rr_beans');
SELECT * FROM loyalty.redemption_rates(program => 'rr_beans');
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'rr_tea');
DROP ROLE regress_analyst;
SELECT * FROM loyalty.outstanding_by_age('rr_empty');
SELECT * FROM loyalty.redemption_cohorts('rr_empty');
