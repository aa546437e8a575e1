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
SELECT loyalty.report_program(nullif(:'program', '')) AS program_id \gset

\qecho :head
\qecho <style>
\qecho :style
\qecho </style></head><body><main id="page"></main>
\qecho <script id="data" type="application/json">
WITH program AS (
	SELECT p.*, (now() AT TIME ZONE p.time_zone)::date AS today
	FROM loyalty.program p
	WHERE p.program_id = :program_id
), bought AS (
	SELECT n.person_id, b.month
	FROM loyalty.activity_by_month b
	JOIN loyalty.persons n ON n.member_id = b.member_id
	WHERE b.program_id = :program_id AND b.first_purchase IS NOT NULL
	GROUP BY 1, 2
), flow AS (
	-- what opens and closes is outstanding: held points are, too
	SELECT date_trunc('month', d.day::timestamp)::date AS month,
		   sum(d.purchases) AS purchases, sum(d.amount) AS revenue,
		   sum(d.points::numeric) FILTER (WHERE d.kind = 'earn') AS earned,
		   sum(d.points::numeric) FILTER (WHERE d.kind = 'clawback') AS clawed_back,
		   sum(d.points::numeric) FILTER (WHERE d.kind IN ('redeem', 'refund')) AS redeemed,
		   sum(d.points::numeric) FILTER (WHERE d.kind = 'expire') AS expired,
		   sum(d.points::numeric) FILTER (WHERE d.kind IN ('adjust', 'transfer', 'import')) AS adjusted
	FROM loyalty.points_by_day d
	WHERE d.program_id = :program_id
	GROUP BY 1
), enrolled AS (
	SELECT date_trunc('month', e.day::timestamp)::date AS month, sum(e.members) AS members
	FROM loyalty.enrollments_by_day e
	WHERE e.program_id = :program_id
	GROUP BY 1
), active AS (
	SELECT b.month, count(*) AS active
	FROM bought b
	GROUP BY 1
), month AS (
	SELECT m.month::date AS month
	FROM (SELECT least((SELECT min(month) FROM flow), (SELECT min(month) FROM enrolled)) AS first,
				 least(greatest((SELECT max(month) FROM flow), (SELECT max(month) FROM enrolled)), (SELECT today FROM program)) AS last) s
	CROSS JOIN LATERAL generate_series(s.first::timestamp, s.last::timestamp, '1 month') m (month)
), months AS (
	SELECT m.month, sum(coalesce(e.members, 0)) OVER w AS members, coalesce(a.active, 0) AS active,
		   coalesce(f.purchases, 0) AS purchases, round(coalesce(f.revenue, 0), 2) AS revenue,
		   coalesce(f.earned, 0) AS earned, coalesce(f.clawed_back, 0) AS clawed_back, coalesce(f.redeemed, 0) AS redeemed,
		   coalesce(f.expired, 0) AS expired, coalesce(f.adjusted, 0) AS adjusted,
		   sum(coalesce(f.earned, 0) + coalesce(f.clawed_back, 0) + coalesce(f.redeemed, 0) + coalesce(f.expired, 0) + coalesce(f.adjusted, 0)) OVER w AS closing,
		   round(-coalesce(f.redeemed, 0) / nullif(greatest(coalesce(f.earned, 0) + coalesce(f.clawed_back, 0), 0), 0), 4) AS redemption_rate
	FROM month m
	LEFT JOIN flow f USING (month)
	LEFT JOIN enrolled e USING (month)
	LEFT JOIN active a USING (month)
	WINDOW w AS (ORDER BY m.month)
), cohort AS (
	-- how many of those who bought first in a month bought in the months after it
	SELECT b.cohort, (12 * (extract(year FROM b.month) - extract(year FROM b.cohort)) + extract(month FROM b.month) - extract(month FROM b.cohort))::integer AS age,
		   count(*) AS active
	FROM (SELECT person_id, month, min(month) OVER (PARTITION BY person_id) AS cohort FROM bought) b
	GROUP BY 1, 2
), cohorts AS (
	SELECT c.cohort, max(c.active) FILTER (WHERE c.age = 0) AS members, jsonb_object_agg(c.age, c.active) AS active
	FROM cohort c
	GROUP BY 1
)
-- No text in it ends the element: < is written as JSON may write it.
SELECT replace(jsonb_build_object(
	'program', p.name, 'currency', p.currency, 'today', p.today, 'time_zone', p.time_zone, 'point_value', p.point_value,
	'dashboard', (SELECT jsonb_agg(to_jsonb(d)) FROM loyalty.dashboard(p.name) d),
	'months', (SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.month), '[]') FROM months m),
	'liability', (SELECT coalesce(jsonb_agg(jsonb_build_object('month', l.month, 'points', l.points, 'members', l.members,
																'value', round(l.points::numeric * p.point_value, 2)) ORDER BY l.month), '[]')
				  FROM loyalty.liability l WHERE l.program = p.name),
	'cohorts', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.cohort), '[]') FROM cohorts c))::text, '<', '\u003c')
FROM program p;
\qecho </script>
\qecho <script>
\qecho :charts
\qecho </script>
\qecho <script>
\qecho :script
\qecho </script>
\qecho </body></html>
COMMIT;
