--
-- dashboard: how a program does, at a glance
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, currency, time_zone, expiry, point_value) VALUES ('dashboard_shop', 'USD', 'UTC', '3 months', 0.05), ('dashboard_empty', NULL, 'UTC', 'never', NULL);
SET loyalty.program = 'dashboard_shop';
INSERT INTO loyalty.rule (program, name, award) VALUES ('dashboard_shop', 'base', '1 per 1');
CREATE TABLE dashboard_orders (order_id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT count(loyalty.attach('dashboard_orders', member => 'customer', amount => 'total', at => 'at'));
-- the day is 2026-06-30: this period is 06-01 to 06-30, the one before 05-02 to 05-31
INSERT INTO dashboard_orders VALUES
	(1, 'ann', 100, '2026-03-02Z'), (2, 'bob', 50, '2026-05-02Z'), (3, 'ann', 20, '2026-05-31 23:59Z'), (4, 'bob', 30, '2026-06-01Z'),
	(5, 'bob', 10.50, '2026-06-15Z'), (6, 'cid', 40, '2026-06-30 23:59Z'), (7, 'dan', 99, '2026-07-01Z'), (8, 'ann', -5, '2026-06-20Z');
SELECT points FROM loyalty.spend('bob', 25, at => '2026-06-10Z');
SELECT points FROM loyalty.hold('bob', 5, ttl => '90 years', at => '2026-06-16Z');
SELECT loyalty.feedback('ann', 9, at => '2026-06-05Z'), loyalty.feedback('bob', 6, at => '2026-06-05Z'), loyalty.feedback('cid', 10, at => '2026-06-30Z'), loyalty.feedback('bob', 10, at => '2026-05-05Z'),
	loyalty.feedback('cid', 4, kind => 'satisfaction', at => '2026-06-30Z');
SET client_min_messages = error;
CALL loyalty.maintain(at => '2026-06-30 23:59:59Z');
RESET client_min_messages;
SELECT * FROM loyalty.dashboard(at => '2026-06-30');
-- a week; who bought is counted over 30 days still
SELECT figure, value, before, change FROM loyalty.dashboard(at => '2026-06-30', days => 7) WHERE section IN ('members', 'purchases');
-- merged, they are one
SELECT loyalty.merge_members('cid', 'ann');
SELECT figure, value, before FROM loyalty.dashboard(at => '2026-06-30') WHERE section IN ('members', 'purchases');
-- before anything; nothing at all; what makes no sense
SELECT figure, value, before, change, trend FROM loyalty.dashboard(at => '2020-01-01');
SELECT figure, value, before, change, trend FROM loyalty.dashboard('dashboard_empty');
SELECT count(*) FROM loyalty.dashboard(days => 0);
SELECT count(*) FROM loyalty.dashboard(days => 367);
SELECT count(*) FROM loyalty.dashboard(days => NULL);
SELECT count(*) FROM loyalty.dashboard('dashboard_none');

-- what will expire
INSERT INTO dashboard_orders VALUES (9, 'eve', 7, now() - interval '3 months' + interval '5 days'), (10, 'eve', 3, now());
SELECT sum(points) FILTER (WHERE day < now()::date + 30) AS soon, sum(points) >= 10 AS later_too FROM loyalty.expiring_by_day
WHERE program = 'dashboard_shop' AND day >= now()::date;
SELECT value FROM loyalty.dashboard() WHERE figure = 'expiring within 30 days';

-- block characters
SELECT loyalty.sparkline('{1,2,3,NULL,5,8,13}') AS line, loyalty.sparkline('{3,3}') AS same, loyalty.sparkline('{}') AS nothing, loyalty.sparkline(NULL) AS unknown,
	loyalty.sparkline('{-1,NaN,0,Infinity,1}') AS odd, loyalty.sparkline('{NULL}') || '|' AS blank;
SELECT v, loyalty.bar(v, 10, 5) || '|' AS bar FROM unnest('{-1,0,0.1,0.3,5,9.9,10,11,NaN,Infinity}'::numeric[]) v;
SELECT loyalty.bar(1, 0), loyalty.bar(1, 1, -5), length(loyalty.bar(1, 1, 100000)), loyalty.bar(1, NULL), loyalty.bar(1, 2);

-- only for who may read the program
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'dashboard_empty');
SET ROLE regress_analyst;
SELECT count(*), count(amount) FROM loyalty.dashboard('dashboard_empty');
SELECT count(*) FROM loyalty.dashboard('dashboard_shop');
SELECT count(*) FROM loyalty.expiring_by_day;
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'dashboard_empty');
SELECT loyalty.grant_access('regress_analyst', 'read', 'dashboard_shop');
SET ROLE regress_analyst;
SELECT figure, value FROM loyalty.dashboard(at => '2026-06-30') WHERE section = 'feedback';
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'dashboard_shop');
DROP ROLE regress_analyst;
