--
-- retention: members who are forgotten because they have been inactive for long
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
CREATE FUNCTION pg_temp.members() RETURNS TABLE (ref text, status text) LANGUAGE sql AS $$
	SELECT regexp_replace(ref, '[0-9a-f]{16}', '*'), status FROM loyalty.member
	WHERE program_id = (SELECT program_id FROM loyalty.program WHERE name = 'retention') ORDER BY enrolled_at, ref COLLATE "C"
$$;
-- What is wrong
INSERT INTO loyalty.program (name, retention) VALUES ('retention', '0');
INSERT INTO loyalty.program (name, retention) VALUES ('retention', '-1 year');
-- Days of Kuala Lumpur; points that live for 30 days
INSERT INTO loyalty.program (name, time_zone, expiry, retention) VALUES ('retention', 'Asia/Kuala_Lumpur', '30 days', '1 year');
SET loyalty.program = 'retention';
SELECT program_id AS pid FROM loyalty.program WHERE name = 'retention' \gset
INSERT INTO loyalty.rule (program, name, award) VALUES ('retention', 'base', '1 per 1');
INSERT INTO loyalty.reward (program, name, cost, needs_fulfillment) VALUES ('retention', 'mug', 10, true);
CREATE TABLE retention_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('retention_order', member => 'customer', amount => 'total', at => 'at') > 0 AS attached;

-- The last day is the day of the last activity and a year: 2025-02-28 is that of 2024-02-29
INSERT INTO retention_order VALUES (1, 'day 28', 10, '2024-02-28 23:30+08'), (2, 'day 29', 10, '2024-02-29 00:30+08'), (3, 'late on 29', 10, '2024-02-29 23:30+08'), (4, 'day 1', 10, '2024-03-01 00:30+08');
SELECT loyalty.enroll('only joined', profile => '{"name": "x"}', at => '2024-02-28 12:00Z') IS NOT NULL AS enrolled;
CALL loyalty.maintain('2025-02-28 23:59+08', 'retention');
SELECT * FROM pg_temp.members();
CALL loyalty.maintain('2025-03-01 00:00+08', 'retention');
SELECT * FROM pg_temp.members();
CALL loyalty.maintain('2025-03-01 23:59+08', 'retention');
CALL loyalty.maintain('2025-03-02 00:00+08', 'retention');
SELECT * FROM pg_temp.members();
SELECT e.points, e.note, e.occurred_at FROM loyalty.entry e JOIN loyalty.forgotten f USING (member_id, seq) WHERE f.program_id = :pid ORDER BY e.occurred_at, e.member_id LIMIT 1;
SELECT role = current_user AS by_me, count(*) FROM loyalty.forgotten WHERE program_id = :pid GROUP BY 1;
SELECT * FROM loyalty.verify('retention');

-- Whoever has something to lose is kept: points, also held ones; a voucher that can be used; a household; something to get
INSERT INTO retention_order SELECT 100 + n, m, 50, '2024-04-01Z' FROM unnest('{points,held,voucher,used up,void,over,spouse 1,spouse 2,mug,merged,stays,owes,nothing}'::text[]) WITH ORDINALITY u (m, n);
SELECT count(*) FROM unnest('{points}'::text[]) m, loyalty.adjust(m, 5, expires => '2990-12-31', at => '2024-04-02Z');
SELECT points FROM loyalty.hold('held', 5, ttl => '90 years', at => '2024-04-02Z');
SELECT count(*) FROM loyalty.issue_voucher('voucher', kind => 'value', value => 5);
SELECT code FROM loyalty.issue_voucher('used up', kind => 'value', value => 5) \gset
SELECT taken, "left" FROM loyalty.use_voucher(:'code', 100, 'used up');
SELECT code FROM loyalty.issue_voucher('used up', kind => 'percentage', percent => 5, uses => 1) \gset
SELECT taken FROM loyalty.use_voucher(:'code', 100, 'used up');
SELECT code FROM loyalty.issue_voucher('void', kind => 'value', value => 5) \gset
SELECT "left" FROM loyalty.void_voucher(:'code');
SELECT count(*) FROM loyalty.issue_voucher('over', kind => 'value', value => 5, valid_from => '2024-01-01Z', valid_until => '2024-05-01Z', at => '2024-04-02Z');
SELECT loyalty.create_household('home', 'spouse 1') IS NOT NULL AS made, loyalty.join_household('spouse 2', 'home');
SELECT status FROM loyalty.redeem('mug', 'mug', at => '2024-04-02Z');
SELECT loyalty.merge_members('merged', 'stays', at => '2024-04-02Z');
SELECT points FROM loyalty.spend('owes', 50, at => '2024-04-02Z');
DELETE FROM retention_order WHERE customer = 'owes';
CALL loyalty.maintain('2025-06-01Z', 'retention');
SELECT * FROM pg_temp.members() WHERE status <> 'forgotten';
SELECT count(*) FROM loyalty.forgotten WHERE program_id = :pid;
SELECT * FROM loyalty.verify('retention');
-- ... an order that has not earned yet, an adjustment that awaits a second person
UPDATE loyalty.program SET adjust_limit = 10 WHERE name = 'retention';
SELECT loyalty.enroll(m, at => '2024-04-01Z') IS NOT NULL AS enrolled FROM unnest('{deferred,proposed}'::text[]) m;
INSERT INTO loyalty.rule (program, name, award, condition, active) VALUES ('retention', 'broken', '1 per 1', 'amount / (quantity - quantity) > 1', tstzrange(now() - interval '1 hour', NULL));
INSERT INTO retention_order VALUES (300, 'deferred', 7, now());
SELECT points FROM loyalty.adjust('proposed', 20);
CALL loyalty.maintain('2025-06-01Z', 'retention');
SELECT * FROM pg_temp.members() WHERE ref IN ('deferred', 'proposed');
DELETE FROM retention_order WHERE id = 300;
SELECT loyalty.withdraw(proposal) FROM loyalty.proposals WHERE program = 'retention' AND member = 'proposed';
UPDATE loyalty.program SET adjust_limit = NULL WHERE name = 'retention';
-- ... until he has not
SELECT loyalty.leave_household('spouse 2');
SELECT status FROM loyalty.fulfill_redemption('mug', 2);
CALL loyalty.maintain('2025-06-01Z', 'retention');
SELECT * FROM pg_temp.members() WHERE status <> 'forgotten';
SELECT * FROM loyalty.verify('retention');

-- In bounded batches; inside a transaction one of them
INSERT INTO retention_order SELECT 1000 + n, 'c' || n, 5, '2024-05-01Z' FROM generate_series(1, 25) n;
CALL loyalty.maintain('2025-05-01Z', 'retention', batch_size => 100);
BEGIN;
CALL loyalty.maintain('2025-05-02Z', 'retention', batch_size => 10);
SELECT count(*) FROM loyalty.member WHERE program_id = :pid AND ref LIKE 'c%';
COMMIT;
CALL loyalty.maintain('2025-05-02Z', 'retention', batch_size => 10);
SELECT count(*) FROM loyalty.member WHERE program_id = :pid AND ref LIKE 'c%';
-- what could never be imported has been kept for as long, too
INSERT INTO loyalty.import_failure (program_id, key, ref, error_code, message, failed_at)
SELECT program_id, 'k', r, '22023', 'no', now() - a FROM loyalty.program, (VALUES ('long ago', interval '2 years'), ('lately', '1 month')) v (r, a) WHERE name = 'retention';
CALL loyalty.maintain(program => 'retention');
SELECT ref FROM loyalty.import_failure WHERE program_id = :pid;
SELECT * FROM loyalty.verify('retention');

-- NULL: for ever
UPDATE loyalty.program SET retention = NULL WHERE name = 'retention';
INSERT INTO retention_order VALUES (2000, 'old', 5, '2001-01-01Z');
CALL loyalty.maintain(program => 'retention');
SELECT status FROM loyalty.member WHERE program_id = :pid AND ref = 'old';
SET session_replication_role = replica;
DELETE FROM loyalty.import_failure WHERE program_id = :pid;
RESET session_replication_role;
SELECT loyalty.detach('retention_order');
DROP TABLE retention_order;
