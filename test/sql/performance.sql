--
-- performance: what each reward, rule and tier brought
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, currency, time_zone, point_value, tier_window) VALUES ('perf_beans', 'USD', 'Asia/Tokyo', 0.05, 'rolling 60 days'), ('perf_tea', 'USD', 'UTC', NULL, 'lifetime');
-- nothing yet
SELECT * FROM loyalty.reward_performance(program => 'perf_beans');
SELECT * FROM loyalty.rule_performance(program => 'perf_beans');
SELECT * FROM loyalty.tier_performance(program => 'perf_beans');
SELECT * FROM loyalty.reward_performance(program => 'nobody''s');
SELECT * FROM loyalty.rule_performance(program => 'nobody''s');
SELECT * FROM loyalty.tier_performance(program => 'nobody''s');

INSERT INTO loyalty.rule (program, name, award) VALUES ('perf_beans', 'base', '1 per 1'), ('perf_tea', 'base', '1 per 1');
-- active from the very instant of an order until before another's
INSERT INTO loyalty.rule (program, name, award, condition, active) VALUES ('perf_beans', 'web doubles', 'x2', $$channel = 'web'$$, '[2026-02-01 00:00Z,2026-03-01 00:00Z)');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('perf_beans', 'never', '100', 'amount > 10000');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('perf_beans', 'review', 'review', '10');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('perf_beans', 'base', 0, 0), ('perf_beans', 'silver', 1, 100), ('perf_beans', 'gold', 2, 1000);
CREATE TABLE perf_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz, till text);
SELECT count(loyalty.attach('perf_order', member => 'customer', amount => 'total', at => 'at', channel => 'till', program => 'perf_beans'));
INSERT INTO perf_order VALUES (1, 'ann', 50, '2026-01-10', 'web'), (2, 'ben', 30, '2026-01-31 23:59:59.999999Z', 'web'), (3, 'ann', 60, '2026-02-01 00:00Z', 'web'),
	(4, 'ben', 20, '2026-02-10', 'till'), (5, 'cid', 0.5, '2026-02-11', 'web'), (6, 'cid', 40, '2026-03-01 00:00Z', 'web'), (7, 'ann', 80, '2026-02-20', 'till'), (8, 'dan', 10, '2026-02-21', 'web'),
	(9, 'dan', -4, '2026-02-22', 'web'), (10, 'eve', 25, '2026-02-23', 'web');
SELECT count(*) FROM loyalty.record('cid', 'review', at => '2026-02-15', program => 'perf_beans');
SELECT count(*) FROM loyalty.record('dan', 'purchase', 12, at => '2026-03-05', key => 'stall', program => 'perf_beans');
-- a return, whole and in part
DELETE FROM perf_order WHERE id = 10;
UPDATE perf_order SET total = 45 WHERE id = 3;
\x on
SELECT * FROM loyalty.rule_performance(program => 'perf_beans');
SELECT * FROM loyalty.rule_performance('2026-02-01', '2026-02-21', 'perf_beans');
\x off
-- its revisions are one rule, by the name that it has now
SELECT loyalty.revise_rule('base', '{"award": "2 per 1"}', program => 'perf_beans') IS NOT NULL;
UPDATE loyalty.rule SET name = 'basic' WHERE program = 'perf_beans' AND lineage IS NOT NULL;
INSERT INTO perf_order VALUES (11, 'ann', 7, '2026-04-02', 'till'), (13, 'gus', 8, now(), 'till');
SELECT rule, earned, points, purchases, members, revenue FROM loyalty.rule_performance(program => 'perf_beans');
SELECT rule, points, cost, revenue_per_cost FROM loyalty.rule_performance(program => 'perf_tea');
-- worked out the other way, purchase by purchase
WITH purchase AS (
	SELECT source_key, min(occurred_at) AS at, sum(amount) AS amount, array_agg(DISTINCT rule_id) FILTER (WHERE points <> 0) AS rules
	FROM loyalty.ledger WHERE program = 'perf_beans' AND kind IN ('earn', 'clawback') GROUP BY source_key)
SELECT r.rule, r.revenue = e.revenue AS revenue, r.purchases_without = e.without AS without
FROM loyalty.rule_performance(program => 'perf_beans') r
JOIN (SELECT coalesce(lineage, rule_id) AS lineage, max(name) AS name, range_agg(active) AS active, array_agg(rule_id) AS ids FROM loyalty.rule WHERE program = 'perf_beans' AND event = 'purchase' GROUP BY 1) l ON l.name = r.rule
CROSS JOIN LATERAL (SELECT coalesce(sum(amount) FILTER (WHERE p.rules && l.ids), 0) AS revenue,
						   count(*) FILTER (WHERE p.amount > 0 AND NOT coalesce(p.rules && l.ids, false) AND l.active @> p.at) AS without FROM purchase p) e
ORDER BY 1;

-- Tiers: ann is silver from her second order on, and falls; ben never rises; a return counts in the tier of its time.
SELECT * FROM loyalty.tier_performance(program => 'perf_beans');
DO $$ BEGIN FOR d IN 0..70 LOOP CALL loyalty.maintain('2026-03-01'::timestamptz + d * interval '1 day', program => 'perf_beans'); END LOOP; END $$;
INSERT INTO perf_order VALUES (12, 'ann', 9, '2026-06-01', 'till');
SELECT count(*) FROM loyalty.spend('ann', 20, at => '2026-06-02', program => 'perf_beans');
SELECT m.ref, c.at, c.from_tier, c.to_tier FROM loyalty.tier_change c JOIN loyalty.member m USING (member_id) WHERE m.program_id = loyalty.report_program('perf_beans') ORDER BY 1, 2;
SELECT * FROM loyalty.tier_performance(program => 'perf_beans');
SELECT * FROM loyalty.tier_performance('2026-02-01', '2026-03-01', 'perf_beans');
SELECT tier, members, purchases FROM loyalty.tier_performance('1900-01-01', '1901-01-01', 'perf_beans');
-- all of them together are the program's
SELECT sum(t.purchases) = min(d.purchases), sum(t.earned) = min(d.earned), sum(t.redeemed) = min(d.redeemed)
FROM loyalty.tier_performance(program => 'perf_beans') t
CROSS JOIN (SELECT sum(purchases) AS purchases, sum(points) FILTER (WHERE kind IN ('earn', 'clawback')) AS earned, sum(points) FILTER (WHERE kind = 'redeem') AS redeemed
			FROM loyalty.points_by_day WHERE program = 'perf_beans') d;
-- without tiers there is one row, of nobody's tier
SELECT count(*) FROM loyalty.record('zoe', 'purchase', 5, at => '2026-01-01', program => 'perf_tea');
SELECT * FROM loyalty.tier_performance(program => 'perf_tea');

-- Rewards: by what they are worth, else by what points are; gone back in part, requested, not in stock, never redeemed.
INSERT INTO loyalty.reward (program, name, kind, cost, price, value, stock, backorder, needs_confirmation) VALUES ('perf_beans', 'mug', 'product', 10, 2, NULL, 3, true, false),
	('perf_beans', 'credit', 'store_credit', 20, NULL, 3, NULL, false, true), ('perf_beans', 'dust', 'product', 1, NULL, NULL, NULL, false, false);
SELECT status FROM loyalty.redeem('ann', 'mug', 2, option => 'base', at => '2026-06-03', program => 'perf_beans');
SELECT status FROM loyalty.redeem('cid', 'mug', 2, option => 'base', at => '2026-06-04', program => 'perf_beans');
SELECT status FROM loyalty.redeem('ann', 'credit', 2, at => '2026-06-05', program => 'perf_beans');
SELECT count(*) FROM loyalty.cancel('ann', (SELECT max(seq) FROM loyalty.redemption WHERE reward_id = (SELECT reward_id FROM loyalty.reward WHERE program = 'perf_beans' AND name = 'mug') AND member_id = loyalty.find_member('ann', 'perf_beans')), 10, program => 'perf_beans');
\x on
SELECT reward, kind, redemptions, units, returned, members, points, average_points, price_revenue, value_given, share, first_redeemed, last_redeemed, awaiting_confirmation, awaiting_fulfillment, backordered
FROM loyalty.reward_performance(program => 'perf_beans');
\x off
SELECT reward, redemptions, points, share FROM loyalty.reward_performance('2026-06-04', '2026-06-05', 'perf_beans');
-- two who are one by now
SELECT loyalty.merge_members('dan', 'ann', program => 'perf_beans');
SELECT rule, purchases, members FROM loyalty.rule_performance(program => 'perf_beans');
SELECT tier, members FROM loyalty.tier_performance(program => 'perf_beans');

-- Only for who may read the program.
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'perf_tea');
SET ROLE regress_analyst;
SELECT rule, points, purchases, members FROM loyalty.rule_performance();
SELECT tier, members, purchases FROM loyalty.tier_performance();
SELECT count(*) FROM loyalty.reward_performance();
SELECT count(*) FROM loyalty.rule_performance(program => 'perf_beans');
SELECT count(*) FROM loyalty.tier_performance(program => 'perf_beans');
SELECT count(*) FROM loyalty.reward_performance(program => 'perf_beans');
SELECT count(*), count(DISTINCT program_id) FROM loyalty.activity_by_tier;
SELECT count(*), count(DISTINCT program_id) FROM loyalty.tier_stays;
SELECT count(*), count(DISTINCT program_id) FROM loyalty.tier_steps;
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'perf_tea');
DROP ROLE regress_analyst;
SELECT loyalty.detach('perf_order', program => 'perf_beans');
DROP TABLE perf_order;
