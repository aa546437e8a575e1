--
-- shop_report: members' purchases beside everybody else's, and points by place
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, currency, time_zone, auto_enroll) VALUES ('mall_beans', 'USD', 'Asia/Tokyo', false), ('mall_tea', 'USD', 'UTC', true);
INSERT INTO loyalty.rule (program, name, award) VALUES ('mall_beans', 'base', '1 per 1'), ('mall_tea', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('mall_beans', 'review', 'review', '10');
-- nothing yet
SELECT * FROM loyalty.purchases_by_membership('month', program => 'mall_beans');
SELECT * FROM loyalty.points_by_place(program => 'mall_beans');
SELECT * FROM loyalty.purchases_by_membership('fortnight', program => 'mall_beans');
SELECT * FROM loyalty.purchases_by_membership('hour', program => 'mall_beans');
SELECT * FROM loyalty.purchases_by_membership(NULL, program => 'mall_beans');
SELECT * FROM loyalty.purchases_by_membership('day', program => 'nobody''s');

CREATE TABLE mall_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz, shop text, till text);
SELECT count(loyalty.attach('mall_order', member => 'customer', amount => 'total', at => 'at', store => 'shop', channel => 'till', program => 'mall_beans'));
SELECT count(loyalty.enroll(m, at => t::timestamptz, program => 'mall_beans')) FROM (VALUES ('ann', '2026-01-01'), ('ben', '2026-02-10'), ('cid', '2026-01-01'), ('eve', '2026-01-01')) v (m, t);
-- the month is Tokyo's; ben bought before he joined, dan never did; March is empty
INSERT INTO mall_order VALUES (1, 'ann', 10, '2025-12-31 16:00Z', 's1', 'web'), (2, 'ann', 20, '2026-01-10', 's1', 'till'), (3, 'ben', 30, '2026-01-11', 's2', 'till'),
	(4, NULL, 40, '2026-01-12', 's2', 'till'), (5, NULL, 50.555, '2026-01-13', NULL, 'web'), (6, 'dan', 60, '2026-01-14', 's1', 'web'), (7, 'dan', 5, '2026-01-31 15:00Z', 's1', 'web'),
	(8, 'ben', 70, '2026-02-10', 's2', 'till'), (9, 'ann', -4, '2026-02-11', 's1', 'till'), (10, 'ann', 0, '2026-02-12', 's1', 'till'),
	(11, 'cid', 25, '2026-04-01', 's2', 'web'), (12, 'eve', 100, '2026-04-02', 's3', 'web');
\x on
SELECT * FROM loyalty.purchases_by_membership('month', program => 'mall_beans');
SELECT * FROM loyalty.purchases_by_membership('quarter', '2026-01-12', '2026-04-02', 'mall_beans');
\x off
SELECT starts FROM loyalty.purchases_by_membership('week', '2026-01-10', '2026-02-12', 'mall_beans');
SELECT starts, member_orders, other_orders FROM loyalty.purchases_by_membership('year', program => 'mall_beans');
SELECT * FROM loyalty.purchases_by_membership('day', '1900-01-01', '1901-01-01', 'mall_beans');

-- Whoever was merged is one buyer with the other; who was forgotten is a member still; a ref that leads to him is his.
SELECT loyalty.merge_members('cid', 'ann', program => 'mall_beans');
SELECT loyalty.forget_member('eve', program => 'mall_beans') IS NOT NULL;
SELECT starts, member_buyers, member_orders, other_buyers, other_orders FROM loyalty.purchases_by_membership('year', program => 'mall_beans');

-- Points: an order's spends and what came back of them, returns, events, other sources' keys.
SELECT count(*) FROM loyalty.record('ann', 'review', at => '2026-02-15', program => 'mall_beans');
SELECT count(*) FROM loyalty.spend('ann', 8, purchase => '2', at => '2026-02-20', program => 'mall_beans');
SELECT count(*) FROM loyalty.spend('ann', 3, purchase => '9999', at => '2026-02-20', program => 'mall_beans');
SELECT count(*) FROM loyalty.spend('ann', 2, key => 'none', at => '2026-02-20', program => 'mall_beans');
SELECT count(*) FROM loyalty.spend('ben', 40, purchase => '8', key => 'undone', at => '2026-02-20', program => 'mall_beans');
SELECT count(*) FROM loyalty.cancel('ben', (SELECT max(seq) FROM loyalty.entry WHERE source_key = 'spend:undone'), 15, program => 'mall_beans');
UPDATE mall_order SET total = 15 WHERE id = 2;
DELETE FROM mall_order WHERE id = 11;
SELECT * FROM loyalty.points_by_place(program => 'mall_beans');
SELECT * FROM loyalty.points_by_store(program => 'mall_beans');
SELECT * FROM loyalty.points_by_channel(program => 'mall_beans');
SELECT * FROM loyalty.points_by_store('2026-01-01', '2026-02-11', 'mall_beans');
SELECT * FROM loyalty.points_by_dimension('city', program => 'mall_beans');
-- all rows together are all that was earned and redeemed
SELECT sum(earned + clawed_back), sum(redeemed), sum(net) FROM loyalty.points_by_place(program => 'mall_beans');
SELECT sum(points) FILTER (WHERE kind IN ('earn', 'clawback')), sum(points) FILTER (WHERE kind IN ('redeem', 'refund')) FROM loyalty.points_by_day WHERE program = 'mall_beans';

-- Two sources with the same keys: the oldest of his own is meant.
CREATE TABLE mall_web (id int PRIMARY KEY, customer text, total numeric, at timestamptz, shop text);
SELECT count(loyalty.attach('mall_web', member => 'customer', amount => 'total', at => 'at', store => 'shop', program => 'mall_tea'));
CREATE TABLE mall_till (id int PRIMARY KEY, customer text, total numeric, at timestamptz, shop text);
SELECT count(loyalty.attach('mall_till', member => 'customer', amount => 'total', at => 'at', store => 'shop', program => 'mall_tea'));
INSERT INTO mall_web VALUES (1, 'ann', 10, '2026-01-01', 'web'), (2, 'ben', 10, '2026-01-01', 'web');
INSERT INTO mall_till VALUES (1, 'ben', 20, '2026-01-01', 'till'), (2, 'ben', 20, '2026-01-01', 'till');
SELECT count(*) FROM loyalty.spend('ben', 1, purchase => '1', at => '2026-01-02', program => 'mall_tea');
SELECT count(*) FROM loyalty.spend('ben', 2, purchase => '2', at => '2026-01-02', program => 'mall_tea');
SELECT * FROM loyalty.points_by_store(program => 'mall_tea');

-- Only for who may read the program.
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'mall_tea');
SET ROLE regress_analyst;
SELECT * FROM loyalty.points_by_store();
SELECT starts, member_buyers, member_orders FROM loyalty.purchases_by_membership('year');
SELECT count(*) FROM loyalty.points_by_channel(program => 'mall_beans');
SELECT count(*) FROM loyalty.purchases_by_membership('year', program => 'mall_beans');
SELECT program, count(*) FROM loyalty.ledger GROUP BY 1;
SELECT count(*), count(DISTINCT program_id) FROM loyalty.member_refs;
SELECT count(*), count(DISTINCT program_id) FROM loyalty.purchase_payments;
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'mall_tea');
SET ROLE regress_analyst;
SELECT count(*) FROM loyalty.points_by_store(program => 'mall_tea');
RESET ROLE;
DROP ROLE regress_analyst;

-- Two who were one are so when they are forgotten, too.
INSERT INTO mall_till VALUES (3, 'gil', 5, '2025-01-01', 'till'), (4, 'hal', 5, '2025-01-02', 'till');
SELECT loyalty.merge_members('gil', 'hal', program => 'mall_tea');
SELECT starts, member_buyers, member_orders, other_orders FROM loyalty.purchases_by_membership('year', until => '2026-01-01', program => 'mall_tea');
SELECT loyalty.forget_member('hal', program => 'mall_tea') IS NOT NULL AS forgotten;
SELECT starts, member_buyers, member_orders, other_orders FROM loyalty.purchases_by_membership('year', until => '2026-01-01', program => 'mall_tea');
SELECT * FROM loyalty.verify('mall_beans');
SELECT count(loyalty.detach(t, program => p)) FROM (VALUES ('mall_order', 'mall_beans'), ('mall_web', 'mall_tea'), ('mall_till', 'mall_tea')) v (t, p);
DROP TABLE mall_order, mall_web, mall_till;
