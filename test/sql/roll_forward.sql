--
-- roll_forward: how the points owed came to be what they are
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone, expiry) VALUES ('rf_beans', 'Asia/Kuala_Lumpur', 'never'), ('rf_tea', 'UTC', 'inactive 6 months'), ('rf_empty', 'UTC', 'never');
INSERT INTO loyalty.rule (program, name, award) VALUES ('rf_beans', 'base', '1 per 1'), ('rf_beans', 'double', 'x2'), ('rf_tea', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('rf_beans', 'review', 'review', '10'), ('rf_beans', 'idle', 'idle', '1');
CREATE TABLE rf_orders (order_id int PRIMARY KEY, customer text, total numeric, at timestamptz, tea boolean DEFAULT false);
SELECT count(loyalty.attach('rf_orders', member => 'customer', amount => 'total', at => 'at', counts => CASE p WHEN 'rf_tea' THEN 'tea' ELSE 'NOT tea' END, program => p)) FROM unnest('{rf_beans,rf_tea}'::text[]) p;
SET loyalty.program = 'rf_beans';

-- Nothing yet, and periods that are none
SELECT * FROM loyalty.roll_forward();
SELECT * FROM loyalty.roll_forward('day', '-infinity', 'infinity');
SELECT * FROM loyalty.roll_forward('fortnight');
SELECT * FROM loyalty.roll_forward('Month');
SELECT * FROM loyalty.points_by_kind('hour');
SELECT * FROM loyalty.roll_forward(program => 'nobody''s');
SELECT rule, earned, clawed_back, net FROM loyalty.roll_forward_by_rule();
SELECT * FROM loyalty.points_by_kind();

-- One of each kind; the first order was made in February there
INSERT INTO rf_orders VALUES (1, 'ann', 50, '2024-01-31 16:30+00'), (2, 'bob', 20, '2024-02-10 00:00+00'), (3, 'cid', -5, '2024-02-11 00:00+00'), (4, 'dan', 0, '2024-02-12 00:00+00');
SELECT count(*) FROM loyalty.record('bob', 'review', at => '2024-02-20 00:00+00');
SELECT entry, points, balance FROM loyalty.spend('ann', 30, at => '2024-02-15 00:00+00');
SELECT points FROM loyalty.cancel('ann', 3, 12, at => '2024-04-02 00:00+00');
SELECT points FROM loyalty.adjust('dan', 7.0, at => '2024-04-10 00:00+00');
SELECT points FROM loyalty.adjust('ann', -2, at => '2024-04-11 00:00+00');
SELECT points FROM loyalty.transfer('bob', 'cid', 8, at => '2024-04-12 00:00+00');
CALL loyalty.import_balance($$SELECT 'eve' AS member, 100 AS points$$, 'old', at => '2024-04-13 00:00+00');
SELECT starts, opening, earned, clawed_back AS clawed, redeemed, refunded, expired, adjusted, transferred AS moved, imported, closing, held, lapsed FROM loyalty.roll_forward(until => '2024-06-01');
SELECT starts, opening, earned, redeemed, closing FROM loyalty.roll_forward('quarter', until => '2024-06-01');
SELECT starts, opening, earned, redeemed, closing FROM loyalty.roll_forward('year', '2024-02-02', '2024-03-01');
SELECT starts, opening, earned, redeemed, closing FROM loyalty.roll_forward('week', '2024-02-08', '2024-02-17');
SELECT starts, opening, earned, redeemed, closing FROM loyalty.roll_forward('day', '2024-01-01', '2024-02-03');
SELECT count(*) FROM loyalty.roll_forward('month', '2024-03-01', '2024-03-01');
SELECT starts, closing FROM loyalty.roll_forward(NULL, NULL, '2024-03-01', NULL);
SELECT * FROM loyalty.points_by_kind('quarter', until => '2024-06-01');

-- Held points are owed: a hold and a release move nothing, a capture redeems
SELECT entry, balance FROM loyalty.hold('eve', 60, ttl => '1 year');
SELECT points FROM loyalty.capture('eve', 2, 25, final => false);
CREATE TEMPORARY VIEW whole AS SELECT * FROM (SELECT *, lead(opening) OVER (ORDER BY starts) AS next, row_number() OVER (ORDER BY starts DESC) AS n FROM loyalty.roll_forward()) r;
SELECT redeemed, closing, held FROM whole WHERE n = 1;
SELECT points FROM loyalty.release('eve', 2);
SELECT redeemed, closing, held FROM whole WHERE n = 1;
-- a debt that a pending or a later lot repays adds up to nothing
INSERT INTO rf_orders VALUES (5, 'fay', 40, '2024-05-01 00:00+00');
SELECT balance FROM loyalty.spend('fay', 40, at => '2024-05-02 00:00+00');
DELETE FROM rf_orders WHERE order_id = 5;
SELECT balance FROM loyalty.adjust('fay', 15);
SELECT balance FROM loyalty.cancel('fay', 3);
-- somebody is merged, somebody forgotten
SELECT loyalty.merge_members('bob', 'ann');
SELECT loyalty.forget_member('dan') IS NOT NULL AS forgotten;

-- It foots, and comes to what the members have
SELECT count(*) FROM whole WHERE opening::numeric + earned::numeric + clawed_back::numeric + redeemed::numeric + refunded::numeric + expired::numeric
	+ adjusted::numeric + transferred::numeric + imported::numeric <> closing::numeric OR next::numeric <> closing::numeric;
SELECT closing::numeric = (SELECT sum(loyalty.total(purse)::numeric + held::numeric) FROM loyalty.member JOIN loyalty.program p USING (program_id) WHERE p.name = 'rf_beans') AS owed FROM whole WHERE n = 1;

-- By rule: revisions are one
SELECT loyalty.revise_rule('base', '{"award": "3 per 1"}') > 0 AS revised;
UPDATE loyalty.rule SET name = 'threefold' WHERE program = 'rf_beans' AND name = 'base' AND lineage IS NOT NULL;
INSERT INTO rf_orders VALUES (6, 'gus', 10, now());
SELECT r.rule, o.name AS began_as, r.earned, r.clawed_back, r.net FROM loyalty.roll_forward_by_rule() r JOIN loyalty.rule o USING (rule_id);
SELECT rule, earned, clawed_back, net FROM loyalty.roll_forward_by_rule('2024-02-01', '2024-02-12');
SELECT rule, earned, clawed_back, net FROM loyalty.roll_forward_by_rule('2024-02-11', '2024-02-12');

-- What fell due and is not written down
SELECT balance FROM loyalty.adjust('hal', 9, expires => (now() AT TIME ZONE 'Asia/Kuala_Lumpur')::date - 40, at => now() - interval '60 days');
SELECT balance FROM loyalty.adjust('hal', 4, expires => (now() AT TIME ZONE 'Asia/Kuala_Lumpur')::date - 1, at => now() - interval '60 days');
INSERT INTO rf_orders VALUES (7, 'ida', 11, now() - interval '1 year', true), (8, 'kim', 3, now(), true);
SELECT program, day - (now() AT TIME ZONE CASE program WHEN 'rf_beans' THEN 'Asia/Kuala_Lumpur' ELSE 'UTC' END)::date AS day, points FROM loyalty.lapsed WHERE program ~ '^rf_' ORDER BY 1, 2;
SELECT sum(lapsed::numeric) FROM loyalty.roll_forward();
SELECT r.closing::numeric - l.lapsed = o.owed AS rest_is_liability
FROM whole r, (SELECT sum(points::numeric) AS lapsed FROM loyalty.lapsed WHERE program = 'rf_beans') l, (SELECT sum(points::numeric) AS owed FROM loyalty.liability WHERE program = 'rf_beans') o WHERE r.n = 1;
CALL loyalty.maintain(program => 'rf_beans');
CALL loyalty.maintain(program => 'rf_tea');
SELECT program, points FROM loyalty.lapsed WHERE program ~ '^rf_';
SELECT sum(lapsed::numeric) AS lapsed, sum(expired::numeric) AS expired FROM loyalty.roll_forward();
SELECT sum(expired::numeric) AS expired FROM loyalty.roll_forward(program => 'rf_tea');

-- Only for who may read the program
CREATE ROLE regress_analyst;
SET ROLE regress_analyst;
SELECT * FROM loyalty.roll_forward();
RESET ROLE;
SELECT loyalty.grant_access('regress_analyst', 'read', 'rf_tea');
SET ROLE regress_analyst;
SELECT count(*) > 0 AS rolled FROM loyalty.roll_forward(program => 'rf_tea');
SELECT rule, earned FROM loyalty.roll_forward_by_rule(program => 'rf_tea');
SELECT kind, sum(points::numeric) FROM loyalty.points_by_kind(program => 'rf_tea') GROUP BY 1 ORDER BY 1;
SELECT * FROM loyalty.roll_forward(program => 'rf_beans');
SELECT * FROM loyalty.roll_forward_by_rule(program => 'rf_beans');
SELECT * FROM loyalty.points_by_kind(program => 'rf_beans');
SELECT count(*) FROM loyalty.lapsed;
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'rf_tea');
DROP ROLE regress_analyst;
SELECT * FROM loyalty.roll_forward(program => 'rf_empty');
SELECT * FROM loyalty.roll_forward_by_rule(program => 'rf_empty');
SELECT * FROM loyalty.verify('rf_beans');
