--
-- breakage: how many points will never be redeemed
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';

-- The triangle of Taylor and Ashe (1983).  Mack (1993) prints reserves of 94,634, 469,511, 709,638, 984,889, 1,419,459, 2,177,641,
-- 3,920,301, 4,278,972 and 4,625,811, 18,680,856 in all, with standard errors of 75,535, 121,699, 133,549, 261,406, 411,010, 558,317,
-- 875,328, 971,258 and 1,363,155, of all 2,447,095.
SELECT cohort, age, latest, factor, development, round(ultimate - latest) AS reserve, round(standard_error) AS standard_error FROM loyalty.chain_ladder('{
	{357848, 1124788, 1735330, 2218270, 2745596, 3319994, 3466336, 3606286, 3833515, 3901463},
	{352118, 1236139, 2170033, 3353322, 3799067, 4120063, 4647867, 4914039, 5339085, NULL},
	{290507, 1292306, 2218525, 3235179, 3985995, 4132918, 4628910, 4909315, NULL, NULL},
	{310608, 1418858, 2195047, 3757447, 4029929, 4381982, 4588268, NULL, NULL, NULL},
	{443160, 1136350, 2128333, 2897821, 3402672, 3873311, NULL, NULL, NULL, NULL},
	{396132, 1333217, 2180715, 2985752, 3691712, NULL, NULL, NULL, NULL, NULL},
	{440832, 1288463, 2419861, 3483130, NULL, NULL, NULL, NULL, NULL, NULL},
	{359480, 1421128, 2864498, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
	{376686, 1363294, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
	{344014, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}}');
-- By hand: (30 + 60) / (20 + 40) = 1.5 and 36 / 30 = 1.2; too little to tell an error from
SELECT * FROM loyalty.chain_ladder('{{20,30,36},{40,60,NULL},{10,NULL,NULL}}');
-- nothing, one, nothing yet, and what is no triangle
SELECT * FROM loyalty.chain_ladder(NULL);
SELECT * FROM loyalty.chain_ladder('{}');
SELECT * FROM loyalty.chain_ladder('{7}');
SELECT * FROM loyalty.chain_ladder('{{0,0,0},{0,0,NULL},{5,NULL,NULL}}');
SELECT * FROM loyalty.chain_ladder('{{NULL,NULL},{NULL,NULL}}');
-- a figure that is missing between others makes no factor across it
SELECT * FROM loyalty.chain_ladder('{{1,NULL,3},{1,2,4},{1,2,NULL},{1,NULL,NULL}}');
SELECT ultimate FROM loyalty.chain_ladder('{{1,-2,3},{-1,2,NULL},{NaN,NULL,NULL}}');

-- Cohorts of five months: issued, and redeemed by the end of each month since
INSERT INTO loyalty.program (name, time_zone) VALUES ('br_beans', 'Asia/Kuala_Lumpur'), ('br_tea', 'UTC'), ('br_empty', 'UTC');
INSERT INTO loyalty.rule (program, name, award) VALUES ('br_beans', 'base', '1 per 1');
SET loyalty.program = 'br_beans';
CREATE FUNCTION pg_temp.month(ago int) RETURNS timestamptz LANGUAGE sql
	AS $$ SELECT (date_trunc('month', now() AT TIME ZONE 'Asia/Kuala_Lumpur') - make_interval(months => ago)) AT TIME ZONE 'Asia/Kuala_Lumpur' $$;
SELECT count(loyalty.adjust('m' || ago, points, at => pg_temp.month(ago), expires => CASE WHEN ago = 0 THEN (pg_temp.month(-3) AT TIME ZONE 'Asia/Kuala_Lumpur')::date + 9 ELSE (pg_temp.month(-2) AT TIME ZONE 'Asia/Kuala_Lumpur')::date - 1 END))
FROM (VALUES (4, 100), (3, 200), (2, 100), (1, 300), (0, 80)) v (ago, points);
SELECT count(loyalty.spend('m' || cohort, points, at => pg_temp.month(ago) + interval '1 second'))
FROM (VALUES (4, 4, 10), (4, 3, 20), (4, 2, 15), (4, 1, 5), (3, 3, 30), (3, 2, 30), (3, 1, 20), (2, 2, 10), (2, 1, 10), (1, 1, 45), (1, 0, 3)) v (cohort, ago, points);
CREATE TEMPORARY VIEW broken AS SELECT age, issued, redeemed, expired, outstanding, factor, development, ultimate, ultimate_rate, breakage, standard_error FROM loyalty.breakage();
SELECT * FROM broken;
SELECT cohort, age, factor, development, ultimate, standard_error FROM loyalty.chain_ladder('{{100,10,30,45,50},{200,30,60,80,NULL},{100,10,20,NULL,NULL},{300,45,NULL,NULL,NULL},{80,NULL,NULL,NULL,NULL}}');
-- what has expired will never be redeemed, whatever the ladder says
SELECT points FROM loyalty.adjust('m5', 100, at => pg_temp.month(2), expires => (pg_temp.month(1) AT TIME ZONE 'Asia/Kuala_Lumpur')::date + 9);
CALL loyalty.maintain(program => 'br_beans');
SELECT issued, redeemed, expired, outstanding, ultimate, breakage FROM broken;
-- where nobody can redeem in the month of issue, that month says nothing: (40 + 20) / (100 + 100) and 40 / 40
INSERT INTO loyalty.program (name, time_zone) VALUES ('br_late', 'Asia/Kuala_Lumpur');
SELECT count(loyalty.adjust('m' || ago, 100, at => pg_temp.month(ago), program => 'br_late')) FROM generate_series(0, 3) ago;
SELECT count(loyalty.spend('m' || cohort, points, at => pg_temp.month(ago) + interval '1 second', program => 'br_late')) FROM (VALUES (3, 2, 40), (2, 1, 20)) v (cohort, ago, points);
SELECT age, issued, redeemed, factor, development, ultimate FROM loyalty.breakage('br_late');
SELECT * FROM loyalty.expiry_forecast('br_late');

-- so many expire if nobody redeems any more, and so many are expected to
SELECT (extract(year FROM month) * 12 + extract(month FROM month)) - (extract(year FROM t) * 12 + extract(month FROM t)) AS ahead, points, expected
FROM loyalty.expiry_forecast(), LATERAL (SELECT pg_temp.month(0) AT TIME ZONE 'Asia/Kuala_Lumpur') v (t);

-- Only for who may read the program
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'br_tea');
SELECT points FROM loyalty.adjust('ann', 8, program => 'br_tea');
SET ROLE regress_analyst;
SELECT age, issued, outstanding, ultimate, breakage FROM loyalty.breakage('br_tea');
SELECT * FROM loyalty.expiry_forecast('br_tea');
SELECT * FROM loyalty.breakage('br_beans');
SELECT * FROM loyalty.expiry_forecast('br_beans');
-- nor in a session that is one member's, where nothing seems to be owed
SET loyalty.member_ref = 'ann';
SELECT * FROM loyalty.expiry_forecast('br_tea');
SELECT * FROM loyalty.breakage('br_tea');
RESET loyalty.member_ref;
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'br_tea');
DROP ROLE regress_analyst;
SELECT * FROM loyalty.breakage('br_empty');
SELECT * FROM loyalty.expiry_forecast('br_empty');
SELECT * FROM loyalty.breakage('nobody''s');
