--
-- journal: lines for the general ledger, and what points are worth and cost
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, currency, expiry) VALUES ('journal_beans', 'USD', '3 months end of month'), ('journal_tea', 'USD', 'never');
INSERT INTO loyalty.rule (program, name, award) VALUES ('journal_beans', 'base', '1 per 1'), ('journal_tea', 'base', '1 per 1');
SET loyalty.program = 'journal_beans';
SELECT count(*) FROM loyalty.journal();
SELECT * FROM loyalty.point_values();
SELECT loyalty.set_estimate('point_value', 0.05, '-infinity'), loyalty.set_estimate('point_cost', 0.02, '-infinity'),
	loyalty.set_estimate('redemption_rate', 0.5, '-infinity'), loyalty.set_estimate('redemption_rate', 0.4, '2024-03-01'), loyalty.set_estimate('redemption_rate', 0.8, '2024-04-01');
SELECT entry FROM loyalty.record('ann', 'purchase', 1000, at => '2024-01-20');
SELECT entry FROM loyalty.spend('ann', 200, at => '2024-02-20');
CALL loyalty.maintain(program => 'journal_beans');
SELECT entry FROM loyalty.record('bob', 'purchase', 300, at => '2024-05-20');
SELECT * FROM loyalty.journal(until => '2024-06-01');

-- It comes to what deferral() does, whatever the periods.
SELECT u AS unit, bool_and(d.closing = j.owed) AS same, bool_and(j.balanced) AS balanced
FROM unnest('{day,week,month,quarter,year}'::text[]) u
CROSS JOIN LATERAL (SELECT sum(deferred - on_redemption - on_expiry - catch_up) AS closing FROM loyalty.deferral(u, until => '2024-06-01')) d
CROSS JOIN LATERAL (SELECT sum(credit) FILTER (WHERE account = 'contract liability') - sum(debit) FILTER (WHERE account = 'contract liability') AS owed, sum(debit) = sum(credit) AS balanced
	FROM loyalty.journal(u, until => '2024-06-01')) j
GROUP BY 1 ORDER BY 1;
SELECT reference, count(*) FROM loyalty.journal('quarter') GROUP BY reference, date HAVING sum(debit) <> sum(credit) OR count(*) <> 2;
SELECT count(*) FROM loyalty.journal('hour');
SELECT sum(debit) FROM loyalty.journal('year', known_at => '2000-01-01');

-- What points are worth, and what they cost beside the sales
CALL loyalty.maintain(program => 'journal_beans');
SELECT entry FROM loyalty.adjust('bob', 100, expires => '2100-12-31');
\x
SELECT * FROM loyalty.point_values();
SELECT issued, cost_issued, redeemed, cost_redeemed, sales, sales_to_cost FROM loyalty.point_values('2024-01-01', '2024-03-01');
SELECT issued, cost_issued, redeemed, cost_redeemed, sales, sales_to_cost FROM loyalty.point_values('2024-06-01', '2024-07-01');
SELECT point_value, point_cost, outstanding, value_outstanding, cost_expected FROM loyalty.point_values(program => 'journal_tea');
\x
CREATE ROLE regress_bookkeeper;
SET ROLE regress_bookkeeper;
SELECT count(*) FROM loyalty.journal();
RESET ROLE;
SELECT loyalty.grant_access('regress_bookkeeper', 'read', 'journal_tea');
SET ROLE regress_bookkeeper;
SELECT count(*) FROM loyalty.journal();
SELECT count(*) FROM loyalty.point_values();
SELECT outstanding FROM loyalty.point_values(program => 'journal_tea');
SELECT count(*) FROM loyalty.journal(program => 'journal_tea');
RESET ROLE;
SELECT loyalty.revoke_access('regress_bookkeeper', 'read', 'journal_tea');
DROP ROLE regress_bookkeeper;
