--
-- redemption_report: what becomes of points, by when they were given
--

CREATE FUNCTION loyalty.redemption_rates(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, earned loyalty.points, redeemed loyalty.points, rate numeric,
				   cumulative_earned loyalty.points, cumulative_redeemed loyalty.points, cumulative_rate numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($4);
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

CREATE FUNCTION loyalty.outstanding_by_age(program text DEFAULT NULL)
	RETURNS TABLE (cohort date, age integer, issued loyalty.points, redeemed loyalty.points, expired loyalty.points,
				   outstanding loyalty.points, share numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($1);
	WITH sums AS (
		SELECT c.cohort, sum(c.issued::numeric) AS issued, sum(c.redeemed::numeric) AS redeemed, sum(c.expired::numeric) AS expired
		FROM loyalty.cohorts($1) c
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
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($1);
	WITH cells AS (
		SELECT c.cohort, c.month, c.issued::numeric AS issued, c.redeemed::numeric AS redeemed
		FROM loyalty.cohorts($1) c
		WHERE c.cohort IS NOT NULL
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
