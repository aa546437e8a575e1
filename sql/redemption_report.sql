--
-- redemption_report: what becomes of points, by when they were given
--

CREATE FUNCTION loyalty.redemption_rates(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, earned loyalty.points, redeemed loyalty.points, rate numeric,
				   cumulative_earned loyalty.points, cumulative_redeemed loyalty.points, cumulative_rate numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT r.starts, r.earned::loyalty.points, r.redeemed::loyalty.points, round(r.redeemed / nullif(greatest(r.earned, 0), 0), 4),
		   r.all_earned::loyalty.points, r.all_redeemed::loyalty.points, round(r.all_redeemed / nullif(greatest(r.all_earned, 0), 0), 4)
	FROM (SELECT f.starts, f.earned::numeric + f.clawed_back::numeric AS earned, -(f.redeemed::numeric + f.refunded::numeric) AS redeemed,
				 coalesce(b.earned, 0) + sum(f.earned::numeric + f.clawed_back::numeric) OVER w AS all_earned,
				 coalesce(b.redeemed, 0) - sum(f.redeemed::numeric + f.refunded::numeric) OVER w AS all_redeemed
		  FROM loyalty.roll_forward($1, $2, $3, $4) f
		  CROSS JOIN (SELECT sum(d.points::numeric) FILTER (WHERE d.kind IN ('earn', 'clawback')) AS earned,
							 -sum(d.points::numeric) FILTER (WHERE d.kind IN ('redeem', 'refund')) AS redeemed
					  FROM loyalty.points_by_day d
					  WHERE d.program_id = (SELECT loyalty.report_program($4)) AND d.day < $2) b
		  WINDOW w AS (ORDER BY f.starts)) r
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.redemption_rates(text, date, date, text) IS 'points earned (less what returns took back) and redeemed (less what came back) in each period, and redeemed over earned; cumulative: since the program began; a rate over nothing is NULL';

-- One pass over what each person did in each month, in order.  Issued is all that
-- came or was taken but for redemption and expiry: where it falls, what was
-- issued last is gone, so that of a month there is left what the least running
-- sum from there on has above that of the month before.  What goes is matched
-- with that from the oldest on, by the engine's own way to spend from a purse:
-- the months are the last days of lots here, and a lot without end stands for
-- what is owed.  Within a month what expires goes first.  The frames are by
-- month, whose rows may be several: the first of them takes it all.
CREATE VIEW loyalty.point_cohorts WITH (security_barrier = true) AS
	WITH merged AS MATERIALIZED (
		SELECT g.member_id, s.person_id
		FROM (SELECT DISTINCT member_id FROM loyalty.member_merge WHERE undone_at IS NULL) g
		-- few, each looked up by himself
		CROSS JOIN LATERAL (SELECT p.person_id FROM loyalty.persons p WHERE p.member_id = g.member_id OFFSET 0) s
	), moved AS (
		SELECT a.program_id, a.member_id, a.month, a.earned OPERATOR(loyalty.+) a.clawed_back AS issued,
			   OPERATOR(loyalty.-) a.expired AS expired, OPERATOR(loyalty.-) (a.redeemed OPERATOR(loyalty.+) a.refunded) AS redeemed
		FROM loyalty.activity_by_month a
		UNION ALL
		SELECT e.program_id, e.member_id, date_trunc('month', e.day::timestamp)::date, e.points, 0, 0
		FROM loyalty.movements e
		JOIN loyalty.program p ON p.program_id = e.program_id
		WHERE loyalty.may_read(p.program_id) AND e.kind IN ('adjust', 'transfer', 'import')
	), running AS (
		SELECT v.program_id, coalesce(g.person_id, v.member_id) AS person_id, v.month, v.issued AS change,
			   loyalty.sum(v.issued) OVER w AS issued, loyalty.sum(v.expired) OVER w AS expired, loyalty.sum(v.redeemed) OVER w AS redeemed
		FROM moved v
		LEFT JOIN merged g ON g.member_id = v.member_id
		WINDOW w AS (PARTITION BY v.program_id, coalesce(g.person_id, v.member_id) ORDER BY v.month)
	), lasting AS (
		-- what lay before a month is the lesser of the sum there and of what lasts from here on
		SELECT r.program_id, r.person_id, r.month, r.change, r.expired,
			   loyalty.min(r.issued) OVER w AS issued, loyalty.min(r.redeemed) OVER w AS redeemed,
			   lag(r.issued, 1, 0::loyalty.points) OVER w AS before_issued, lag(r.expired, 1, 0::loyalty.points) OVER w AS before_expired,
			   lag(r.redeemed, 1, 0::loyalty.points) OVER w AS before_redeemed
		FROM running r
		WINDOW w AS (PARTITION BY r.program_id, r.person_id ORDER BY r.month RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
	), stepped AS (
		SELECT l.program_id, l.person_id, l.month, l.change,
			   greatest(l.issued, 0::loyalty.points) OPERATOR(loyalty.-) greatest(least(l.before_issued, l.issued), 0::loyalty.points) AS issued,
			   l.before_expired OPERATOR(loyalty.+) greatest(least(l.before_redeemed, l.redeemed), 0::loyalty.points) AS gone,
			   l.expired OPERATOR(loyalty.+) greatest(least(l.before_redeemed, l.redeemed), 0::loyalty.points) AS gone_expired,
			   l.expired OPERATOR(loyalty.+) greatest(l.redeemed, 0::loyalty.points) AS gone_redeemed
		FROM lasting l
	), pursed AS (
		SELECT s.program_id, s.month, s.change, s.issued, s.gone, s.gone_expired, s.gone_redeemed,
			   loyalty.sum(CASE WHEN s.issued OPERATOR(loyalty.>) 0 THEN loyalty.purse(s.issued, NULL, s.month)
								ELSE '{}'::loyalty.purse END) OVER (PARTITION BY s.program_id, s.person_id)
			   OPERATOR(loyalty.+) '{400000000000000@infinity}'::loyalty.purse AS purse
		FROM stepped s
	), matched AS (
		SELECT v.program_id, v.month, loyalty.sum(v.issued) AS issued,
			   loyalty.sum(v.change OPERATOR(loyalty.-) v.issued) AS lacking,
			   loyalty.sum(g.by_expired OPERATOR(loyalty.-) g.before) AS expired,
			   loyalty.sum(g.by_redeemed OPERATOR(loyalty.-) g.by_expired) AS redeemed
		FROM pursed v
		LEFT JOIN LATERAL (
			SELECT CASE WHEN v.gone OPERATOR(loyalty.>) 0 THEN loyalty.spend(v.purse, v.gone, '-infinity') ELSE '{}'::loyalty.purse END AS before,
				   CASE WHEN v.gone_expired OPERATOR(loyalty.>) 0 THEN loyalty.spend(v.purse, v.gone_expired, '-infinity') ELSE '{}'::loyalty.purse END AS by_expired,
				   loyalty.spend(v.purse, v.gone_redeemed, '-infinity') AS by_redeemed
			WHERE v.gone_redeemed OPERATOR(loyalty.>) v.gone
			-- so that each is worked out once
			OFFSET 0) g ON true
		GROUP BY 1, 2
	)
	SELECT m.program_id, c.cohort, c.month, loyalty.sum(c.issued) AS issued, loyalty.sum(c.redeemed) AS redeemed, loyalty.sum(c.expired) AS expired
	FROM matched m
	CROSS JOIN LATERAL (
		SELECT m.month AS cohort, m.month, m.issued, 0::loyalty.points AS redeemed, 0::loyalty.points AS expired
		UNION ALL
		SELECT NULL, NULL, m.lacking, 0, 0
		UNION ALL
		SELECT CASE WHEN isfinite(l.ends) THEN l.ends END, CASE WHEN isfinite(l.ends) THEN greatest(l.ends, m.month) END, 0, l.points, 0
		FROM loyalty.lots(m.redeemed) l
		UNION ALL
		SELECT CASE WHEN isfinite(l.ends) THEN l.ends END, CASE WHEN isfinite(l.ends) THEN greatest(l.ends, m.month) END, 0, 0, l.points
		FROM loyalty.lots(m.expired) l) c
	GROUP BY 1, 2, 3
	HAVING loyalty.sum(c.issued) OPERATOR(loyalty.<>) 0 OR loyalty.sum(c.redeemed) OPERATOR(loyalty.<>) 0 OR loyalty.sum(c.expired) OPERATOR(loyalty.<>) 0;
COMMENT ON VIEW loyalty.point_cohorts IS 'points by the month in which they were issued and what became of them in which month: each person''s redemptions and expiries are matched with his points from the oldest on; what outstanding_by_age, redemption_cohorts and breakage are made of';
COMMENT ON COLUMN loyalty.point_cohorts.program_id IS 'the program';
COMMENT ON COLUMN loyalty.point_cohorts.cohort IS 'first day of the month in which the points were issued; NULL, with the month: what was taken beyond what the person had been given, a debt';
COMMENT ON COLUMN loyalty.point_cohorts.month IS 'first day of the month in which this happened to them';
COMMENT ON COLUMN loyalty.point_cohorts.issued IS 'points earned, imported, adjusted and transferred, as of now: what returns and the like took is taken from the month itself, then from those before it, the last first';
COMMENT ON COLUMN loyalty.point_cohorts.redeemed IS 'points of them redeemed, as of now: what came back from redemptions is taken from the last ones';
COMMENT ON COLUMN loyalty.point_cohorts.expired IS 'points of them expired';

CREATE FUNCTION loyalty.outstanding_by_age(program text DEFAULT NULL)
	RETURNS TABLE (cohort date, age integer, issued loyalty.points, redeemed loyalty.points, expired loyalty.points,
				   outstanding loyalty.points, share numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
	AS $$
	WITH sums AS (
		SELECT c.cohort, sum(c.issued::numeric) AS issued, sum(c.redeemed::numeric) AS redeemed, sum(c.expired::numeric) AS expired
		FROM loyalty.point_cohorts c
		WHERE c.program_id = (SELECT loyalty.report_program($1))
		GROUP BY 1
	)
	SELECT s.cohort, (extract(year FROM p.today) * 12 + extract(month FROM p.today)
					  - extract(year FROM s.cohort) * 12 - extract(month FROM s.cohort))::integer,
		   s.issued::loyalty.points, s.redeemed::loyalty.points, s.expired::loyalty.points,
		   (s.issued - s.redeemed - s.expired)::loyalty.points,
		   CASE WHEN s.cohort IS NOT NULL
				THEN round((s.issued - s.redeemed - s.expired)
						   / nullif(sum(s.issued - s.redeemed - s.expired) FILTER (WHERE s.cohort IS NOT NULL) OVER (), 0), 4) END
	FROM sums s
	CROSS JOIN (SELECT (now() AT TIME ZONE q.time_zone)::date AS today
				FROM loyalty.program q
				WHERE q.program_id = (SELECT loyalty.report_program($1))) p
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.outstanding_by_age(text) IS 'points owed by the month in which they were issued (cohort) and its age in months: what was issued then (less what was taken back since), and how much of it was redeemed, expired and is still owed, held points too; share is of what is owed; cohort NULL: what members owe, below zero, so that the sum is the closing of roll_forward';

CREATE FUNCTION loyalty.redemption_cohorts(program text DEFAULT NULL)
	RETURNS TABLE (cohort date, age integer, issued loyalty.points, redeemed loyalty.points, rate numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
	AS $$
	WITH cells AS (
		SELECT c.cohort, c.month, c.issued::numeric AS issued, c.redeemed::numeric AS redeemed
		FROM loyalty.point_cohorts c
		WHERE c.program_id = (SELECT loyalty.report_program($1)) AND c.cohort IS NOT NULL
	), sums AS (
		SELECT c.cohort, sum(c.issued) AS issued
		FROM cells c
		GROUP BY 1
	), months AS (
		SELECT s.cohort, s.issued, m.n AS age, (s.cohort + make_interval(months => m.n))::date AS month
		FROM sums s
		CROSS JOIN (SELECT (now() AT TIME ZONE q.time_zone)::date AS today
					FROM loyalty.program q
					WHERE q.program_id = (SELECT loyalty.report_program($1))) p
		CROSS JOIN LATERAL generate_series(0, (extract(year FROM p.today) * 12 + extract(month FROM p.today)
											   - extract(year FROM s.cohort) * 12 - extract(month FROM s.cohort))::integer) m (n)
	)
	SELECT m.cohort, m.age, m.issued::loyalty.points, (sum(coalesce(c.redeemed, 0)) OVER w)::loyalty.points,
		   round(sum(coalesce(c.redeemed, 0)) OVER w / nullif(m.issued, 0), 4)
	FROM months m
	LEFT JOIN cells c ON c.cohort = m.cohort AND c.month = m.month
	WINDOW w AS (PARTITION BY m.cohort ORDER BY m.age)
	ORDER BY 1, 2
	$$;
COMMENT ON FUNCTION loyalty.redemption_cohorts(text) IS 'cumulative redemption curves: of the points issued in each month (cohort), how many, and which share, had been redeemed by the end of each month since (age 0: that month itself; the last one is the running month)';
