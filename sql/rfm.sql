--
-- rfm: recency, frequency and monetary value
--

-- What cutting a sorted list into fifths gives, but equals stay equal: r goes down
-- with the part of all who bought more recently, so that whoever bought last has 5
-- with however many others; f and m go up with the part of all who bought less, so
-- that those who bought once have 1.  Days and purchases have few values and are
-- counted by value, which need not sort everybody.
CREATE FUNCTION loyalty.rfm_scores(at date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (member_id bigint, recency_days integer, frequency bigint, monetary numeric, r integer, f integer, m integer, segment text)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	BEGIN ATOMIC
	WITH present AS MATERIALIZED (
		SELECT p.time_zone, coalesce(loyalty.report_day('at', $1), (now() AT TIME ZONE p.time_zone)::date) AS day
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($2))
	), buyer AS MATERIALIZED (
		SELECT a.member_id, (SELECT n.day FROM present n) - (a.last_purchase AT TIME ZONE (SELECT n.time_zone FROM present n))::date AS recency_days,
			   a.purchases AS frequency, a.amount AS monetary
		FROM loyalty.member_activity(NULL, loyalty.report_day('at', $1) + 1, $2) a
		WHERE a.purchases > 0
	), recency AS MATERIALIZED (
		SELECT v.recency_days, ((sum(v.buyers) OVER (ORDER BY v.recency_days) - v.buyers) * 5 / sum(v.buyers) OVER ()) AS share
		FROM (SELECT b.recency_days, count(*) AS buyers FROM buyer b GROUP BY 1) v
	), frequency AS MATERIALIZED (
		SELECT v.frequency, ((sum(v.buyers) OVER (ORDER BY v.frequency) - v.buyers) * 5 / sum(v.buyers) OVER ()) AS share
		FROM (SELECT b.frequency, count(*) AS buyers FROM buyer b GROUP BY 1) v
	), scored AS (
		SELECT b.member_id, b.recency_days, b.frequency, b.monetary, 5 - floor(x.share)::integer AS r, 1 + floor(y.share)::integer AS f,
			   (1 + (rank() OVER (ORDER BY b.monetary) - 1) * 5 / (SELECT count(*) FROM buyer))::integer AS m
		FROM buyer b
		JOIN recency x ON x.recency_days = b.recency_days
		JOIN frequency y ON y.frequency = b.frequency
	)
	SELECT s.member_id, s.recency_days, s.frequency, s.monetary, s.r, s.f, s.m,
		   ('{{lost,lost,at risk,cannot lose them,cannot lose them},
			  {hibernating,hibernating,at risk,at risk,at risk},
			  {about to sleep,about to sleep,need attention,loyal,loyal},
			  {promising,potential loyalists,potential loyalists,champions,champions},
			  {new customers,potential loyalists,potential loyalists,champions,champions}}'::text[])[s.r][(s.f + s.m + 1) / 2]
	FROM scored s
	WHERE (SELECT loyalty.report_program($2)) IS NOT NULL;
	END;
COMMENT ON FUNCTION loyalty.rfm_scores(date, text) IS 'rfm by member_id, for reports';

-- Buyers are as many as members, which the planner does not know.
CREATE FUNCTION loyalty.rfm(at date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (member text, recency_days integer, frequency bigint, monetary numeric, r integer, f integer, m integer, score text, segment text)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	SET enable_nestloop = off
	AS $$
	SELECT loyalty.report_program($2), loyalty.report_day('at', $1);
	SELECT m.ref, s.recency_days, s.frequency, round(s.monetary, 2), s.r, s.f, s.m, (100 * s.r + 10 * s.f + s.m)::text, s.segment
	FROM loyalty.rfm_scores($1, $2) s
	JOIN loyalty.member m ON m.member_id = s.member_id
	$$;
COMMENT ON FUNCTION loyalty.rfm(date, text) IS 'recency, frequency and monetary value of each member who has bought, scores from 1 to 5, and the segment that they make';

CREATE FUNCTION loyalty.rfm_segments(at date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (segment text, members bigint, share numeric, revenue numeric, revenue_share numeric, average_recency_days numeric, average_frequency numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($2), loyalty.report_day('at', $1);
	WITH counted AS (
		SELECT s.segment, count(*) AS members, sum(s.monetary) AS revenue, sum(s.recency_days) AS recency_days, sum(s.frequency) AS frequency
		FROM loyalty.rfm_scores($1, $2) s
		GROUP BY 1
	)
	SELECT o.segment, coalesce(c.members, 0), round(coalesce(c.members, 0) / nullif(sum(c.members) OVER (), 0), 4), round(coalesce(c.revenue, 0), 2),
		   round(coalesce(c.revenue, 0) / nullif(sum(c.revenue) OVER (), 0), 4), round(c.recency_days::numeric / c.members, 1), round(c.frequency / c.members, 2)
	FROM unnest('{champions,loyal,potential loyalists,new customers,promising,need attention,about to sleep,at risk,cannot lose them,hibernating,lost}'::text[])
		 WITH ORDINALITY o (segment, n)
	LEFT JOIN counted c ON c.segment = o.segment
	ORDER BY o.n
	$$;
COMMENT ON FUNCTION loyalty.rfm_segments(date, text) IS 'how many members each segment of rfm has, and what they brought';
