--
-- report: what reports are made of
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('figures_beans', 'Asia/Kuala_Lumpur'), ('figures_tea', 'UTC');
INSERT INTO loyalty.rule (program, name, award) VALUES ('figures_beans', 'base', '1 per 1'), ('figures_beans', 'double', 'x2'), ('figures_tea', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('figures_beans', 'review', 'review', '10');
CREATE TABLE figures_orders (order_id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT count(loyalty.attach('figures_orders', member => 'customer', amount => 'total', at => 'at', program => 'figures_beans'));

-- which program
SELECT p.name FROM loyalty.program p WHERE p.program_id = loyalty.report_program('figures_tea');
SELECT loyalty.report_program('nobody''s');
SELECT loyalty.report_period('quarter'), loyalty.report_period(NULL), loyalty.report_choice('by', 'tier', '{tier,NULL,segment}'), loyalty.report_number('days', 366, 1, 366);
SELECT loyalty.report_period('Month');
SELECT loyalty.report_choice('by', 'store', '{tier,NULL,segment}');
SELECT loyalty.report_choice('by', NULL, '{tier}');
SELECT loyalty.report_number('days', 0, 1, 366);
SELECT loyalty.report_number('days', NULL, 1, 366);
SELECT loyalty.report_day('at', '2026-02-28'), loyalty.report_day('at', NULL);
SELECT loyalty.report_day('at', '-infinity');
SELECT loyalty.report_day('at', '5874897-12-31');
SET loyalty.program = 'figures_beans';
SELECT p.name FROM loyalty.program p WHERE p.program_id = loyalty.report_program();

-- Purchases count while they are above zero; an amount stands once, however many rules gave.
INSERT INTO figures_orders VALUES (1, 'ann', 10, '2026-01-31 16:30+00'), (2, 'ann', 20, '2026-02-03 00:00+00'),
	(3, 'bob', 0, '2026-02-03 00:00+00'), (4, 'bob', -5, '2026-02-04 00:00+00'), (5, 'cid', 7, '2026-02-05 00:00+00');
UPDATE figures_orders SET total = 15 WHERE order_id = 2;
UPDATE figures_orders SET total = 0 WHERE order_id = 5;
UPDATE figures_orders SET total = 3 WHERE order_id = 3;
DELETE FROM figures_orders WHERE order_id = 1;
SELECT count(*) FROM loyalty.record('dan', 'review', at => '2026-02-06 00:00+00');
SELECT count(*) FROM loyalty.record('dan', 'purchase', 30, key => 'stall', at => '2026-02-06 00:00+00');
SELECT count(*) FROM loyalty.record('dan', 'review', key => 'again', at => '2026-02-07 00:00+00');
SELECT count(*) FROM loyalty.spend('dan', 20);
SELECT member, purchases, amount FROM (
	SELECT m.ref AS member, sum(v.purchases) AS purchases, sum(v.amount) AS amount
	FROM loyalty.movements v JOIN loyalty.member m USING (member_id) WHERE v.program_id = loyalty.report_program() GROUP BY 1) s ORDER BY 1;
SELECT d.program, CASE WHEN day < '2026-03-01' THEN day END AS day, kind, r.name AS rule, source_id > 0 AS source, entries, points, gained, taken, purchases, amount
FROM loyalty.points_by_day d LEFT JOIN loyalty.rule r USING (rule_id) WHERE d.program ~ '^figures_' ORDER BY 1, 2, 3, 4, 5;
SELECT m.ref, CASE WHEN a.month < '2026-03-01' THEN a.month END AS month, a.purchases, a.amount, CASE WHEN a.month < '2026-03-01' THEN first_purchase END AS first_purchase, CASE WHEN a.month < '2026-03-01' THEN last_purchase END AS last_purchase, earned, clawed_back, redeemed, refunded, expired, redemptions
FROM loyalty.activity_by_month a JOIN loyalty.member m USING (member_id) WHERE a.program = 'figures_beans' ORDER BY 1, 2;

-- Who was merged is somebody else.
SELECT loyalty.merge_members('ann', 'bob');
SELECT loyalty.merge_members('bob', 'cid');
SELECT m.ref, i.ref AS person
FROM loyalty.persons s
JOIN loyalty.member m ON m.member_id = s.member_id
JOIN loyalty.member i ON i.member_id = s.person_id
WHERE s.program_id = loyalty.report_program()
ORDER BY 1;

-- Every report that there is, asked with ends of time, by somebody who may not, and
-- where there is nothing to report on.
CREATE FUNCTION pg_temp.report_says(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text;
BEGIN
	EXECUTE format('SELECT coalesce(string_agg(r::text, E''\n'' ORDER BY r::text), ''nothing'') FROM %s r', call) INTO said;
	RETURN said;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE TEMP TABLE every_report AS
	SELECT format('loyalty.%I', p.proname) AS name, p.proargnames[1:p.pronargs] AS arguments, p.proargtypes::oid[] AS types,
		   CASE p.proargnames[1] WHEN 'kind' THEN 'kind => ''nps''' WHEN 'dimension' THEN 'dimension => ''store''' WHEN 'period' THEN 'period => ''month''' END AS first
	FROM loyalty.access_objects() o
	JOIN pg_proc p ON p.pronamespace = 'loyalty'::regnamespace AND p.proname = o.name
	WHERE o.access = 'read' AND o.kind = 'ROUTINE' AND 'program' = ANY (p.proargnames[1:p.pronargs])
		-- without a program these two are about all of them; the others are about a member, a voucher or a purchase
		AND p.proname NOT IN ('verify', 'suspicions') AND NOT p.proargnames[1:p.pronargs] && '{member,code,source}';
SELECT count(*) > 40 AS reports FROM every_report;
-- what is refused, and what differs from what has no bound
SELECT f.call, f.said
FROM every_report r
CROSS JOIN unnest(r.arguments) WITH ORDINALITY a (argument, n)
CROSS JOIN unnest('{-infinity,infinity}'::text[]) v
CROSS JOIN LATERAL (SELECT c.call, pg_temp.report_says(c.call) AS said FROM format('%s(%s)', r.name, concat_ws(', ', r.first, format('%I => %L', a.argument, v))) c (call)) f
WHERE r.types[a.n - 1] IN ('date'::regtype, 'timestamptz'::regtype)
	AND (f.said ~ '^[0-9A-Z]{5} '
		 OR (a.argument, v) IN (('since', '-infinity'), ('until', 'infinity'), ('known_at', 'infinity'))
			AND f.said <> pg_temp.report_says(format('%s(%s)', r.name, r.first)))
ORDER BY f.call COLLATE "C";

-- Only for who may read the program.
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'figures_tea');
GRANT SELECT ON every_report TO regress_analyst;
SET ROLE regress_analyst;
SELECT r.name, f FROM every_report r, pg_temp.report_says(format('%s(%s)', r.name, concat_ws(', ', r.first, 'program => ''figures_beans'''))) f WHERE f <> 'LY004 loyalty program "figures_beans" does not exist';
SELECT loyalty.report_program('figures_tea') IS NOT NULL;
SELECT loyalty.report_program('figures_beans');
SELECT count(*) FROM loyalty.points_by_day;
SELECT count(*) FROM loyalty.activity_by_month;
SELECT count(*) FROM loyalty.persons;
SELECT count(*) FROM loyalty.movements;
RESET ROLE;
REVOKE SELECT ON every_report FROM regress_analyst;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'figures_tea');
DROP ROLE regress_analyst;
SELECT * FROM loyalty.verify('figures_beans');

-- With no program at all, by whatever plan.
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION loyalty CASCADE;
CREATE EXTENSION loyalty;
RESET loyalty.program;
SELECT r.name, f FROM every_report r, pg_temp.report_says(format('%s(%s)', r.name, r.first)) f WHERE f <> 'LY004 there is no loyalty program yet';
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT r.name, f FROM every_report r, pg_temp.report_says(format('%s(%s)', r.name, r.first)) f WHERE f <> 'LY004 there is no loyalty program yet';
ROLLBACK;
