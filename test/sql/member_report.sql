--
-- member_report: who joined, who is active, and who leads
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
-- Whoever reports on programs without anything is told so.
INSERT INTO loyalty.program (name, time_zone) VALUES ('people_beans', 'Asia/Kuala_Lumpur'), ('people_tea', 'UTC');
SET loyalty.program = 'people_beans';
SELECT * FROM loyalty.enrollments();
SELECT enrolled, active, lapsed, never_active, active_rate FROM loyalty.activity();
SELECT * FROM loyalty.member_figures();
SELECT * FROM loyalty.leaderboard();
SELECT * FROM loyalty.member_activity();

INSERT INTO loyalty.rule (program, name, award) VALUES ('people_beans', 'base', '1 per 1'), ('people_tea', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('people_beans', 'review', 'review', '10');
CREATE TABLE people_orders (order_id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT count(loyalty.attach('people_orders', member => 'customer', amount => 'total', at => 'at', program => p)) FROM unnest('{people_beans,people_tea}'::text[]) p;
SELECT count(loyalty.enroll(m, profile => p, at => t::timestamptz)) FROM (VALUES
	('ann', '{"channel": "web"}'::jsonb, '2026-01-10'), ('bob', '{"channel": "store"}', '2026-01-31 16:00+00'), ('cid', NULL, '2026-02-10'), ('dan', '{"channel": "web"}', '2026-04-30 15:59+00'), ('twin', NULL, '2026-01-02')) v (m, p, t);
INSERT INTO people_orders VALUES (1, 'ann', 100, '2026-01-15'), (2, 'ann', 50, '2026-03-31 15:59+00'), (3, 'bob', 50, '2026-03-31 16:01+00'),
	(4, 'cid', 20.75, '2026-02-28'), (5, 'cid', -5, '2026-03-02'), (6, NULL, 80, '2026-03-03'), (7, 'twin', 30, '2026-03-04'), (8, 'eve', 0, '2026-03-05');
SELECT count(*) FROM loyalty.record('dan', 'review', at => '2026-05-06');
SELECT (loyalty.spend('ann', 40, at => '2026-04-02')).points, (loyalty.spend('ann', 10, at => '2026-04-03')).points, (loyalty.spend('bob', 10, at => '2026-04-03')).points, (loyalty.adjust('cid', 500, at => '2026-04-03')).points;

-- days are those of the program; the day, the month and the year
SELECT * FROM loyalty.enrollments(until => '2026-06-01');
SELECT * FROM loyalty.enrollments('week', '2026-01-26', '2026-02-12');
SELECT * FROM loyalty.enrollments('day', '2026-02-01', '2026-02-03') WHERE channel = 'store';
SELECT * FROM loyalty.enrollments('quarter', '2026-01-01', '2026-07-01') WHERE channel = 'web';
SELECT starts, sum(members) FROM loyalty.enrollments('year', until => '2027-01-01') GROUP BY 1;
SELECT * FROM loyalty.enrollments('year', '2027-01-01', '2026-01-01');
SELECT max(starts) = date_trunc('month', now() AT TIME ZONE 'Asia/Kuala_Lumpur') AS to_the_present FROM loyalty.enrollments();
SELECT * FROM loyalty.enrollments('hour');
SELECT * FROM loyalty.enrollments(NULL, until => '2026-04-01') WHERE channel = 'web';

-- earned, bought or redeemed; an adjustment or a return is no activity
SELECT * FROM loyalty.activity('31 days', '2026-03-31');
SELECT * FROM loyalty.activity('30 days', '2026-03-31');
SELECT * FROM loyalty.activity('1 month', '2026-04-30');
SELECT * FROM loyalty.activity('1 day', '2026-04-01');
SELECT * FROM loyalty.activity(at => '2025-12-31');
SELECT * FROM loyalty.activity(NULL, '2026-05-31');
SELECT day = (now() AT TIME ZONE 'Asia/Kuala_Lumpur')::date AS today, enrolled, active + lapsed AS ever FROM loyalty.activity();

-- whole months, parts of them, and nothing at all
SELECT * FROM loyalty.member_figures('2026-04-01', '2026-05-01');
SELECT * FROM loyalty.member_figures('2026-04-03', '2026-04-04');
SELECT * FROM loyalty.member_figures(until => '2026-04-03');
SELECT * FROM loyalty.member_figures('2026-05-01', '2026-04-01');

SELECT * FROM loyalty.leaderboard();
SELECT * FROM loyalty.leaderboard('amount', top => 1);
SELECT * FROM loyalty.leaderboard('purchases', '2026-03-01', '2026-04-02', 1);
SELECT * FROM loyalty.leaderboard('redeemed');
SELECT * FROM loyalty.leaderboard(top => 0);
SELECT * FROM loyalty.leaderboard(top => -1);
SELECT count(*) FROM loyalty.leaderboard(top => NULL);
SELECT * FROM loyalty.leaderboard('charm');
SELECT * FROM loyalty.leaderboard(NULL);
SELECT loyalty.report_choice('color', 'red', '{NULL,red,green}'), loyalty.report_choice(NULL, 'red', '{green}') IS NULL AS no_name, loyalty.report_choice('color', 'red', NULL) IS NULL AS no_choices;

-- Who was merged is one person with the other; a cancelled order counts no more.
SELECT loyalty.merge_members('twin', 'bob');
UPDATE people_orders SET total = 0 WHERE order_id = 2;
SELECT enrolled, active, lapsed, never_active FROM loyalty.activity('1 month', '2026-03-31');
SELECT * FROM loyalty.leaderboard('purchases', until => '2026-04-02');
SELECT sum(members) FROM loyalty.enrollments();
SELECT m.ref, a.active, a.active_recently, a.purchases, a.amount, a.earned, a.redeemed, a.redemptions
FROM loyalty.member_activity(until => '2026-06-01', recent => '2026-04-01') a JOIN loyalty.member m USING (member_id) ORDER BY 1;
SELECT m.ref, sum(a.purchases) AS purchases, sum(a.amount) AS amount FROM loyalty.member_activity() a JOIN loyalty.member m USING (member_id) GROUP BY 1 ORDER BY 1;
SELECT loyalty.unmerge_members('twin');

-- Only for who may read the program; channels are there as sums.
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'people_tea');
SET ROLE regress_analyst;
SELECT * FROM loyalty.enrollments(program => 'people_beans');
SELECT * FROM loyalty.activity();
SELECT * FROM loyalty.member_figures(program => 'people_beans');
SELECT * FROM loyalty.leaderboard(program => 'people_beans');
SELECT * FROM loyalty.leaderboard(program => 'people_tea', until => '2026-04-02') WHERE rank = 1;
SELECT enrolled, active, lapsed FROM loyalty.activity('31 days', '2026-03-31', 'people_tea');
SELECT DISTINCT program FROM loyalty.enrollments_by_day;
SELECT count(DISTINCT program_id) FROM loyalty.readable_movements;
RESET ROLE;
SELECT loyalty.grant_access('regress_analyst', 'read', 'people_beans');
SET ROLE regress_analyst;
SELECT * FROM loyalty.enrollments('year', until => '2027-01-01', program => 'people_beans');
SELECT count(*) FROM loyalty.profile;
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', p) FROM unnest('{people_beans,people_tea}'::text[]) p;
DROP ROLE regress_analyst;
SELECT count(loyalty.detach('people_orders', program => p)) FROM unnest('{people_beans,people_tea}'::text[]) p;
DROP TABLE people_orders;
