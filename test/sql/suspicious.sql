--
-- suspicious: what looks like gaming or fraud, with reasons
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
SET datestyle = iso;
SET timezone = 'UTC';
SET client_min_messages = warning; -- roles of an earlier run
DROP ROLE IF EXISTS regress_loyalty_suspicious_ann, regress_loyalty_suspicious_bob, regress_loyalty_suspicious_reader;
CREATE ROLE regress_loyalty_suspicious_ann;
CREATE ROLE regress_loyalty_suspicious_bob;
CREATE ROLE regress_loyalty_suspicious_reader;
RESET client_min_messages;
INSERT INTO loyalty.program (name, point_value) VALUES ('suspicious_a', 0.01), ('suspicious_b', 0.01);
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program WHERE name ~ '^suspicious_';
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('suspicious_a', 'review', 'review', '5');
SELECT loyalty.grant_access(r, 'operate', 'suspicious_a') FROM unnest('{regress_loyalty_suspicious_ann,regress_loyalty_suspicious_bob}'::regrole[]) r \g /dev/null
SELECT loyalty.grant_access('regress_loyalty_suspicious_reader', 'read', 'suspicious_b') \g /dev/null
SET loyalty.program = 'suspicious_a';
CREATE TABLE suspicious_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz DEFAULT now());
GRANT ALL ON suspicious_order TO PUBLIC;
SELECT loyalty.attach('suspicious_order', member => 'customer', amount => 'total', at => 'at', program => p) > 0 AS attached FROM unnest('{suspicious_a,suspicious_b}'::text[]) p;
-- what was done so long ago
CREATE FUNCTION pg_temp.age(refs text[], by interval) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	UPDATE loyalty.entry SET posted_at = posted_at - by, occurred_at = occurred_at - by
	WHERE member_id IN (SELECT loyalty.find_member(r) FROM unnest(refs) r);
	UPDATE loyalty.household_member SET joined_at = joined_at - by WHERE member_id IN (SELECT loyalty.find_member(r) FROM unnest(refs) r);
	SET LOCAL session_replication_role = origin;
END $$;
CREATE VIEW found AS SELECT program, member, reason, figures FROM loyalty.suspicious WHERE program IN ('suspicious_a', 'suspicious_b') ORDER BY 1, 2, 3, figures::text;
SELECT * FROM found;

-- Velocity: of orders, which are never refused, by their own time
INSERT INTO suspicious_order SELECT n, 'fast', 10, now() - n * interval '10 minutes' FROM generate_series(1, 6) n;
INSERT INTO suspicious_order SELECT 10 + n, 'slow', 10, now() - n * interval '2 hours' FROM generate_series(1, 6) n;
INSERT INTO suspicious_order SELECT 20 + n, 'old', 10, now() - interval '91 days' FROM generate_series(1, 6) n;
INSERT INTO suspicious_order VALUES (30, 'rich', 900), (31, 'rich', 200);
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_times, max_points, action) VALUES
	('suspicious_a', 'orders', 'earn', '1 hour', 5, 1000, 'report'), ('suspicious_a', 'reviews', 'record', '1 day', 1, NULL, 'report'),
	('suspicious_a', 'friend', 'transfer', '1 day', 1, NULL, 'report'), ('suspicious_a', 'spends', 'redeem', '1 day', 1, 50, 'report'),
	('suspicious_a', 'hand', 'adjust', '1 day', 1, NULL, 'report'), ('suspicious_a', 'codes', 'voucher', '1 day', 1, NULL, 'report');
UPDATE loyalty.velocity_limit SET per = 'pair' WHERE name = 'friend';
SELECT * FROM found;
SELECT loyalty.record('reviewer', 'review'), loyalty.record('reviewer', 'review') \g /dev/null
SELECT loyalty.spend('rich', 60), loyalty.hold('rich', 1) \g /dev/null
SELECT loyalty.transfer('rich', 'r1', 5), loyalty.transfer('rich', 'r2', 5) \g /dev/null
SELECT loyalty.transfer('rich', 'r1', 5) \g /dev/null
SELECT loyalty.adjust('lucky', 9, expires => '2990-01-01') \g /dev/null
SELECT loyalty.extend('lucky', '2990-01-01', '2991-01-01') \g /dev/null
SELECT loyalty.use_voucher(code, 1, member => 'coder') FROM generate_series(1, 2), loyalty.issue_voucher(NULL::text, 'value', value => 50) \g /dev/null
SELECT * FROM found;
SELECT since > now() - interval '1 hour' AS since_the_first_too_many FROM loyalty.suspicious_velocity WHERE member = 'fast';
DELETE FROM loyalty.velocity_limit WHERE program = 'suspicious_a';
SELECT * FROM found;

-- Referrals: to refer oneself, or go round in a circle, takes a merge
SELECT loyalty.enroll('r3'), loyalty.enroll('r4', referred_by => 'r3'), loyalty.enroll('r5', referred_by => 'r4') \g /dev/null
SELECT loyalty.enroll('r3', referred_by => 'r5');
SELECT loyalty.enroll('s1'), loyalty.enroll('s2', referred_by => 's1'), loyalty.enroll('s3'), loyalty.enroll('s4', referred_by => 's3') \g /dev/null
SELECT * FROM found;
-- the one who was referred into his referrer, and the other way round
SELECT loyalty.merge_members('s2', 's1'), loyalty.merge_members('s3', 's4') \g /dev/null
SELECT loyalty.enroll('s1', referred_by => 's2');
SELECT loyalty.enroll('c1'), loyalty.enroll('c2', referred_by => 'c1'), loyalty.enroll('c3', referred_by => 'c2'), loyalty.enroll('c4') \g /dev/null
SELECT loyalty.merge_members('c3', 'c4'), loyalty.enroll('c5', referred_by => 'c4') \g /dev/null
-- through a merge, too
SELECT loyalty.enroll('c1', referred_by => 'c5');
SELECT loyalty.merge_members('c5', 'c1') \g /dev/null
SELECT * FROM found;

-- Gifts that go round, and a funnel
SELECT count(loyalty.adjust(m, 70)) FROM unnest('{g1,g2,g3,g4,g5,g6,g7,f1,f2,f3,f4,f5,h1,h2}'::text[]) m;
SELECT loyalty.transfer('g1', 'g2', 50) \g /dev/null
SELECT loyalty.transfer('g2', 'g1', 40) \g /dev/null
SELECT loyalty.transfer('g3', 'g4', 30) \g /dev/null
SELECT loyalty.transfer('g4', 'g5', 20) \g /dev/null
SELECT loyalty.transfer('g5', 'g3', 10) \g /dev/null
SELECT loyalty.transfer('g6', 'g7', 10) \g /dev/null
-- what is cancelled goes no circle; what a merge moves is no gift
SELECT loyalty.cancel('g6', 2) \g /dev/null
SELECT loyalty.merge_members('h1', 'h2') \g /dev/null
SELECT loyalty.transfer(m, 'funnel', 3) FROM unnest('{f1,f2,f3,f4}'::text[]) m \g /dev/null
SELECT loyalty.transfer('f1', 'funnel', 3) \g /dev/null
SELECT * FROM found WHERE reason IN ('circular gifts', 'funnel');
SELECT loyalty.transfer('f5', 'funnel', 3) \g /dev/null
SELECT * FROM found WHERE reason IN ('circular gifts', 'funnel');
-- too long after each other
BEGIN;
SELECT pg_temp.age('{g1,f1}', '31 days') \g /dev/null
SELECT * FROM found WHERE reason IN ('circular gifts', 'funnel');
ROLLBACK;

-- Bought and returned
INSERT INTO suspicious_order SELECT 100 + n, 'returner', 10 FROM generate_series(1, 8) n;
INSERT INTO suspicious_order SELECT 200 + n, 'buyer', 10 FROM generate_series(1, 12) n;
DELETE FROM suspicious_order WHERE id IN (101, 102, 201, 202, 203);
UPDATE suspicious_order SET total = 8 WHERE id IN (103, 104, 105);
SELECT * FROM found WHERE reason ~ 'return';
UPDATE suspicious_order SET total = 5 WHERE id = 103;
SELECT * FROM found WHERE reason ~ 'return';
-- and spent before that
INSERT INTO suspicious_order VALUES (300, 'debtor', 100);
SELECT loyalty.spend('debtor', 90) \g /dev/null
DELETE FROM suspicious_order WHERE id = 300;
SELECT * FROM found WHERE reason ~ 'spent';
UPDATE loyalty.program SET clawback = 'available' WHERE name = 'suspicious_a';
INSERT INTO suspicious_order VALUES (301, 'loser', 100);
SELECT loyalty.spend('loser', 90) \g /dev/null
DELETE FROM suspicious_order WHERE id = 301;
SELECT * FROM found WHERE reason ~ 'spent';

-- By hand: just under the limit, often by one role, by vouchers
UPDATE loyalty.program SET adjust_limit = 100 WHERE name = 'suspicious_a';
SET SESSION AUTHORIZATION regress_loyalty_suspicious_ann;
SELECT loyalty.adjust('friend', 95) \g /dev/null
SELECT loyalty.adjust('cousin', 50) \g /dev/null
SELECT loyalty.adjust('cousin', 50) \g /dev/null
SELECT loyalty.adjust('aunt', 79) \g /dev/null
SET SESSION AUTHORIZATION regress_loyalty_suspicious_bob;
SELECT loyalty.adjust('uncle', 90) \g /dev/null
SELECT loyalty.adjust('often', 1) FROM generate_series(1, 4) \g /dev/null
SELECT loyalty.adjust('often', -1) \g /dev/null
RESET SESSION AUTHORIZATION;
SELECT * FROM found WHERE reason ~ 'limit|often|hand';
SET SESSION AUTHORIZATION regress_loyalty_suspicious_ann;
SELECT loyalty.adjust('aunt', 5) \g /dev/null
SET SESSION AUTHORIZATION regress_loyalty_suspicious_bob;
SELECT loyalty.adjust('often', 1) \g /dev/null
RESET SESSION AUTHORIZATION;
SELECT * FROM found WHERE reason ~ 'limit|often|hand';
-- not when it is a small part of what the role does
SET SESSION AUTHORIZATION regress_loyalty_suspicious_bob;
SELECT count(loyalty.adjust('many' || n, 1)) FROM generate_series(1, 45) n;
RESET SESSION AUTHORIZATION;
SELECT * FROM found WHERE reason ~ 'often';
SELECT loyalty.use_voucher(code, member => 'vouched') FROM loyalty.issue_voucher(NULL::text, 'points', points => 60) \g /dev/null
SELECT * FROM found WHERE reason ~ 'voucher';
SELECT loyalty.use_voucher(code, member => 'vouched') FROM loyalty.issue_voucher(NULL::text, 'points', points => 60) \g /dev/null
SELECT * FROM found WHERE reason ~ 'voucher';

-- A household that members join to pool points
SELECT loyalty.create_household('pool', 'boss'), loyalty.create_household('family', 'mum') \g /dev/null
SELECT count(loyalty.adjust(m, 20)) FROM unnest('{p1,p2,p3,q1,q2,q3}'::text[]) m;
SELECT loyalty.join_household(m, 'pool') FROM unnest('{p1,p2,p3}'::text[]) m \g /dev/null
SELECT loyalty.join_household(m, 'family') FROM unnest('{q1,q2,q3}'::text[]) m \g /dev/null
SELECT loyalty.spend('mum', 30) \g /dev/null
SELECT loyalty.spend('boss', 30) \g /dev/null
SELECT * FROM found WHERE reason = 'pooling';
SELECT loyalty.spend('boss', 30) \g /dev/null
SELECT * FROM found WHERE reason = 'pooling';

-- Of another program nothing is seen, and of this one by nobody without access
SELECT count(*) > 10 AS many FROM found;
SET ROLE regress_loyalty_suspicious_reader;
SELECT count(*) FROM loyalty.suspicious;
SELECT count(*) FROM loyalty.gifts;
SET ROLE regress_loyalty_suspicious_ann;
SELECT DISTINCT program FROM loyalty.suspicious;
SET loyalty.member_ref = 'friend';
SELECT count(*) FROM loyalty.suspicious;
RESET loyalty.member_ref;
RESET ROLE;
SELECT DISTINCT reason FROM loyalty.suspicious WHERE program = 'suspicious_a' ORDER BY 1;
SELECT count(*) FROM loyalty.suspicious WHERE since IS NULL OR figures IS NULL;
DROP VIEW found;
DROP TABLE suspicious_order;
DELETE FROM loyalty.velocity_limit WHERE program = 'suspicious_a';
SELECT loyalty.revoke_access(a.role::regrole, a.access, p.name) FROM loyalty.access a JOIN loyalty.program p USING (program_id) WHERE p.name ~ '^suspicious_';
DROP ROLE regress_loyalty_suspicious_ann, regress_loyalty_suspicious_bob, regress_loyalty_suspicious_reader;
