-- A page about a program, to standard output; from the top of this tree:
--
--   psql -X -v program=beans -f scripts/report/report.sql shop > report.html
--
-- Without "program" it is about the default one. What draws the charts is a file
-- of JavaScript that REPORT_CHARTS names (scripts/report.sh fetches it); without
-- it the page has tables only. The session may read the program, nothing more.

\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\encoding UTF8
SET datestyle = iso;
SET timezone = 'UTC';

\if :{?program}
\else
\set program ''
\endif
\set head `cat scripts/report/head.html`
\set style `cat scripts/report/page.css`
\set charts `cat "${REPORT_CHARTS:-/dev/null}"`
\set script `cat scripts/report/page.js`

-- All of it is of one moment.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT p.name AS program
FROM loyalty.report_program(nullif(:'program', '')) r
JOIN loyalty.program p ON p.program_id = r \gset

\qecho :head
\qecho <style>
\qecho :style
\qecho </style></head><body><main id="page"></main>
\qecho <script id="data" type="application/json">
WITH bought AS (
	SELECT date_trunc('month', d.day::timestamp)::date AS month, sum(d.purchases) AS purchases, round(sum(d.amount), 2) AS revenue
	FROM loyalty.points_by_day d
	WHERE d.program = :'program'
	GROUP BY 1
), joined AS (
	SELECT e.starts AS month, sum(e.total) AS members
	FROM loyalty.enrollments('month', program => :'program') e
	GROUP BY 1
), rolled AS (
	SELECT f.starts AS month, f.opening::numeric, f.earned::numeric, f.clawed_back::numeric, f.expired::numeric, f.closing::numeric,
		   f.redeemed::numeric + f.refunded::numeric AS redeemed,
		   f.adjusted::numeric + f.transferred::numeric + f.imported::numeric AS adjusted, r.rate AS redemption_rate
	FROM loyalty.roll_forward('month', program => :'program') f
	JOIN loyalty.redemption_rates('month', program => :'program') r USING (starts)
), months AS (
	SELECT month, coalesce(j.members, 0) AS members, coalesce(w.buyers, 0) AS active,
		   coalesce(b.purchases, 0) AS purchases, coalesce(b.revenue, 0) AS revenue, coalesce(f.opening, 0) AS opening,
		   coalesce(f.earned, 0) AS earned, coalesce(f.clawed_back, 0) AS clawed_back, coalesce(f.redeemed, 0) AS redeemed,
		   coalesce(f.expired, 0) AS expired, coalesce(f.adjusted, 0) AS adjusted, coalesce(f.closing, 0) AS closing, f.redemption_rate
	FROM joined j
	FULL JOIN rolled f USING (month)
	LEFT JOIN bought b USING (month)
	LEFT JOIN loyalty.member_flow(:'program') w USING (month)
), cohorts AS (
	SELECT c.cohort, c.members, jsonb_agg(c.retention_rate ORDER BY c.age) AS rates
	FROM loyalty.cohort_retention(:'program') c
	GROUP BY 1, 2
)
-- No text in it ends the element: < is written as JSON may write it.
SELECT replace(jsonb_build_object(
	'program', p.name, 'currency', p.currency, 'today', loyalty.report_today(p.name), 'time_zone', p.time_zone, 'point_value', p.point_value,
	'dashboard', (SELECT jsonb_agg(to_jsonb(d)) FROM loyalty.dashboard(p.name) d),
	'months', (SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.month), '[]') FROM months m),
	'liability', (SELECT coalesce(jsonb_agg(jsonb_build_object('month', l.month, 'points', l.points, 'members', l.members,
																'value', round(l.points::numeric * p.point_value, 2)) ORDER BY l.month), '[]')
				  FROM loyalty.liability l WHERE l.program = p.name),
	'cohorts', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.cohort), '[]') FROM cohorts c))::text, '<', '\u003c')
FROM loyalty.program p
WHERE p.name = :'program';
\qecho </script>
\qecho <script>
\qecho :charts
\qecho </script>
\qecho <script>
\qecho :script
\qecho </script>
\qecho </body></html>
COMMIT;
