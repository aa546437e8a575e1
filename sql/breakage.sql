--
-- breakage: how many points will never be redeemed
--

-- Mack's formulas with C(i, m) = ultimate(i) / development(m), so that nothing is
-- divided by a cohort that has nothing yet.  The product of factors is cut at 20
-- decimals, since each factor would add its own to it.
CREATE FUNCTION loyalty.chain_ladder(triangle numeric[])
	RETURNS TABLE (cohort integer, age integer, latest numeric, factor numeric, development numeric,
				   ultimate numeric, standard_error numeric)
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	WITH RECURSIVE cells AS (
		SELECT t.i, t.k, t.c, t.next
		FROM (SELECT ((u.n - 1) / w.width)::integer + 1 AS i, ((u.n - 1) % w.width)::integer + 1 AS k, u.c,
					 lead(u.c) OVER (PARTITION BY (u.n - 1) / w.width ORDER BY u.n) AS next
			  FROM (SELECT CASE WHEN array_ndims($1) = 2 THEN array_length($1, 2) ELSE cardinality($1) END AS width) w
			  CROSS JOIN unnest($1) WITH ORDINALITY u (c, n)) t
		WHERE t.c IS NOT NULL
	), factors AS (
		SELECT c.k, sum(c.c) AS base, round(sum(c.next) / nullif(sum(c.c), 0), 20) AS f
		FROM cells c
		WHERE c.next IS NOT NULL
		GROUP BY 1
	), spread AS (
		SELECT f.k, f.base, f.f,
			   sum((c.next - f.f * c.c) ^ 2 / nullif(c.c, 0)) / nullif(count(*) FILTER (WHERE c.c <> 0) - 1, 0) AS s2
		FROM factors f
		JOIN cells c ON c.k = f.k AND c.next IS NOT NULL
		GROUP BY 1, 2, 3
	), last AS (
		-- where one cohort is all there is, as the ages before it let expect
		SELECT least(a.s2, b.s2, CASE WHEN b.s2 = 0 THEN 0 ELSE a.s2 ^ 2 / b.s2 END) AS s2
		FROM (SELECT s.s2, s.k FROM spread s WHERE s.s2 IS NOT NULL ORDER BY s.k DESC LIMIT 1) a
		JOIN spread b ON b.k = a.k - 1
		WHERE b.s2 IS NOT NULL
	), ages (k, development) AS (
		SELECT max(c.k), 1::numeric
		FROM cells c
		HAVING max(c.k) IS NOT NULL
		UNION ALL
		SELECT a.k - 1, round(a.development * coalesce(f.f, 1), 20)
		FROM ages a
		LEFT JOIN factors f ON f.k = a.k - 1
		WHERE a.k > 1
	), errors AS (
		SELECT a.k, a.development, s.f, s.base, coalesce(s.s2, (SELECT l.s2 FROM last l)) / nullif(s.f, 0) ^ 2 AS e
		FROM ages a
		LEFT JOIN spread s ON s.k = a.k
	), cohorts AS (
		SELECT DISTINCT ON (c.i) c.i, c.k, c.c, c.c * a.development AS ultimate
		FROM cells c
		JOIN ages a ON a.k = c.k
		ORDER BY c.i, c.k DESC
	), steps AS (
		-- what each step still to come adds to the error of a cohort, and of all together
		SELECT c.i, e.k, e.e * (c.ultimate * e.development + c.ultimate ^ 2 / nullif(e.base, 0)) AS e, c.ultimate, e.e AS unit, e.development, e.base
		FROM cohorts c
		-- what was nothing in all cohorts is taken to stay so
		JOIN errors e ON e.k >= c.k AND e.f IS NOT NULL
	)
	SELECT c.i, c.k, c.c, round(e.f, 6), round(e.development, 6), round(c.ultimate, 4),
		   round(CASE WHEN (SELECT bool_and(s.e IS NOT NULL) FROM steps s WHERE s.i = c.i) IS NOT FALSE
					  THEN sqrt(greatest((SELECT coalesce(sum(s.e), 0) FROM steps s WHERE s.i = c.i), 0)) END, 4)
	FROM cohorts c
	JOIN errors e ON e.k = c.k
	UNION ALL
	SELECT NULL, NULL, sum(c.c), NULL, round(sum(c.ultimate) / nullif(sum(c.c), 0), 6), round(sum(c.ultimate), 4),
		   round(CASE WHEN (SELECT bool_and(s.e IS NOT NULL) FROM steps s) IS NOT FALSE
					  THEN sqrt(greatest(coalesce((SELECT sum(t.e) FROM (
							SELECT s.unit * (sum(s.ultimate) * s.development + sum(s.ultimate) ^ 2 / nullif(s.base, 0)) AS e
							FROM steps s
							GROUP BY s.k, s.unit, s.development, s.base) t), 0), 0)) END, 4)
	FROM cohorts c
	HAVING count(*) > 0
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.chain_ladder(numeric[]) IS 'the chain ladder on a triangle of cumulative figures, one row a cohort, the oldest first, NULL what is not known yet: of each cohort its age (column of the latest figure), the volume-weighted factor from that age to the next, the product of all that follow (development), the ultimate and the standard error of its estimate by Mack (1993); cohort NULL: all of them';

-- The first column of the triangle is what was issued, so that the month that is
-- running, of which nothing is known yet, has an estimate too; and so that ages at
-- which nobody has redeemed anything can be left out.
CREATE FUNCTION loyalty.breakage(program text DEFAULT NULL)
	RETURNS TABLE (cohort date, age integer, issued loyalty.points, redeemed loyalty.points, expired loyalty.points,
				   outstanding loyalty.points, factor numeric, development numeric, ultimate loyalty.points,
				   ultimate_rate numeric, breakage loyalty.points, standard_error numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($1);
	WITH asked AS (
		SELECT q.points_scale, extract(year FROM t.today)::integer * 12 + extract(month FROM t.today)::integer AS month_no
		FROM loyalty.program q
		CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE q.time_zone)::date AS today) t
		WHERE q.program_id = (SELECT loyalty.report_program($1))
	), cells AS (
		SELECT c.cohort, c.issued::numeric AS issued, c.redeemed::numeric AS redeemed, c.expired::numeric AS expired,
			   extract(year FROM c.cohort)::integer * 12 + extract(month FROM c.cohort)::integer AS cohort_no,
			   extract(year FROM c.month)::integer * 12 + extract(month FROM c.month)::integer AS month_no
		FROM loyalty.cohorts($1) c
		WHERE c.cohort IS NOT NULL
	), sums AS (
		SELECT c.cohort, c.cohort_no, row_number() OVER (ORDER BY c.cohort) AS i, greatest(a.month_no - c.cohort_no, 0) AS age,
			   sum(c.issued) AS issued, sum(c.redeemed) AS redeemed, sum(c.expired) AS expired
		FROM cells c
		CROSS JOIN asked a
		GROUP BY 1, 2, 4
	), months AS (
		SELECT s.i, m.n, CASE WHEN m.n = 0 THEN s.issued
							  WHEN m.n <= s.age THEN sum(coalesce(c.redeemed, 0)) OVER (PARTITION BY s.i ORDER BY m.n) END AS c
		FROM sums s
		CROSS JOIN LATERAL generate_series(0, (SELECT max(o.age) FROM sums o)) m (n)
		LEFT JOIN cells c ON c.cohort = s.cohort AND m.n > 0 AND c.month_no = s.cohort_no + m.n - 1
	), ladder AS (
		SELECT l.*
		FROM loyalty.chain_ladder((SELECT array_agg(r.c ORDER BY r.i)
								   FROM (SELECT m.i, array_agg(m.c ORDER BY m.n) AS c
										 FROM (SELECT o.i, o.n, o.c, max(o.c) OVER (PARTITION BY o.n) AS most FROM months o) m
										 WHERE m.n = 0 OR m.most > 0
										 GROUP BY 1) r)) l
	), expected AS (
		SELECT s.*, s.issued - s.redeemed - s.expired AS outstanding, l.factor, l.development, l.standard_error,
			   least(greatest(round(l.ultimate, a.points_scale), s.redeemed), s.issued - s.expired) AS ultimate
		FROM sums s
		JOIN ladder l ON l.cohort = s.i
		CROSS JOIN asked a
	)
	SELECT e.cohort, e.age, e.issued::loyalty.points, e.redeemed::loyalty.points, e.expired::loyalty.points, e.outstanding::loyalty.points,
		   e.factor, e.development, e.ultimate::loyalty.points, round(e.ultimate / nullif(e.issued, 0), 4),
		   (e.issued - e.ultimate)::loyalty.points, round(CASE WHEN e.outstanding > 0 THEN e.standard_error ELSE 0 END, 2)
	FROM expected e
	UNION ALL
	SELECT NULL, NULL, sum(e.issued)::loyalty.points, sum(e.redeemed)::loyalty.points, sum(e.expired)::loyalty.points,
		   sum(e.outstanding)::loyalty.points, NULL, NULL, sum(e.ultimate)::loyalty.points, round(sum(e.ultimate) / nullif(sum(e.issued), 0), 4),
		   sum(e.issued - e.ultimate)::loyalty.points, (SELECT round(l.standard_error, 2) FROM ladder l WHERE l.cohort IS NULL)
	FROM expected e
	HAVING count(*) > 0
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.breakage(text) IS 'of the points issued in each month (cohort) how many will have been redeemed in the end (ultimate, ultimate_rate), by the chain ladder over the months that are over, never less than were redeemed and never those that have expired, and how many never will (breakage); age: months that are over since its beginning, factor and development: from there to the next and to the end, standard_error: of the chain ladder''s estimate; cohort NULL: all of them';

-- What is owed by expiry and by cohort is the same points: both are laid side by
-- side, soonest to expire beside oldest.
CREATE FUNCTION loyalty.expiry_forecast(program text DEFAULT NULL)
	RETURNS TABLE (month date, points loyalty.points, expected loyalty.points)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($1);
	WITH asked AS (
		SELECT q.name, q.points_scale
		FROM loyalty.program q
		WHERE q.program_id = (SELECT loyalty.report_program($1))
	), due AS (
		SELECT l.month, l.points::numeric AS points, sum(l.points::numeric) OVER (ORDER BY l.month) AS upto, sum(l.points::numeric) OVER () AS total
		FROM asked a
		JOIN loyalty.liability l ON l.program = a.name
		WHERE l.points::numeric > 0
	), curve AS (
		SELECT b.cohort, b.age, b.redeemed::numeric AS redeemed, b.outstanding::numeric AS outstanding, b.ultimate::numeric AS ultimate, b.development
		FROM loyalty.breakage($1) b
		WHERE b.cohort IS NOT NULL
	), owed AS (
		SELECT c.*, sum(c.outstanding) OVER (ORDER BY c.cohort) AS upto, sum(c.outstanding) OVER () AS total
		FROM curve c
		WHERE c.outstanding > 0
	), pieces AS (
		SELECT d.month, d.total * (least(d.upto / d.total, o.upto / o.total)
								   - greatest((d.upto - d.points) / d.total, (o.upto - o.outstanding) / o.total)) AS points,
			   least(greatest((o.ultimate / g.development - o.redeemed) / o.outstanding, 0), 1) AS redeemed
		FROM due d
		JOIN owed o ON o.upto / o.total > (d.upto - d.points) / d.total AND (o.upto - o.outstanding) / o.total < d.upto / d.total
		CROSS JOIN LATERAL (
			SELECT (SELECT nullif(c.development, 0)
					FROM curve c
					WHERE c.age > 0 AND c.age <= (extract(year FROM d.month) - extract(year FROM o.cohort)) * 12 + extract(month FROM d.month) - extract(month FROM o.cohort) + 1
					  -- before that nobody redeems
					  AND c.age >= (SELECT min(f.age) FROM curve f WHERE f.redeemed > 0)
					ORDER BY c.age DESC LIMIT 1) AS development) g
		WHERE isfinite(d.month)
	)
	SELECT d.month, d.points::loyalty.points,
		   round(coalesce((SELECT sum(p.points * (1 - coalesce(p.redeemed, 0))) FROM pieces p WHERE p.month = d.month), d.points), a.points_scale)::loyalty.points
	FROM due d
	CROSS JOIN asked a
	-- an error for a program that may not be read also where nothing is owed
	WHERE (SELECT loyalty.report_program($1)) IS NOT NULL AND isfinite(d.month)
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.expiry_forecast(text) IS 'points by the month in which they will expire if nobody redeems any more, and how many of them are expected to, since some are redeemed before, as by the redemption curves that breakage goes by';
