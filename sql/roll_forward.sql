--
-- roll_forward: how the points owed came to be what they are
--

-- Whose points may have fallen due is told by next_expiry, but not of inactivity.
CREATE VIEW loyalty.lapsed WITH (security_barrier = true) AS
	SELECT p.name AS program, p.program_id,
		   CASE WHEN l.ends < p.today THEN l.ends + 1 ELSE p.today END AS day,
		   loyalty.sum(l.points) AS points
	FROM (SELECT q.name, q.program_id, (now() AT TIME ZONE q.time_zone)::date AS today, q.expiry::text ~ '^inactive' AS idle
		  FROM loyalty.program q
		  WHERE loyalty.may_read(q.program_id)) p
	JOIN loyalty.member m ON m.program_id = p.program_id AND (m.next_expiry < p.today OR p.idle)
	CROSS JOIN LATERAL loyalty.lots(m.purse OPERATOR(loyalty.-) loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, now())) l
	GROUP BY 1, 2, 3
	HAVING loyalty.sum(l.points) OPERATOR(loyalty.<>) 0;
COMMENT ON VIEW loyalty.lapsed IS 'points that have fallen due, and that maintain() has not written down as expired: members'' purses have them still, and nobody can spend them';
COMMENT ON COLUMN loyalty.lapsed.program IS 'name of the program';
COMMENT ON COLUMN loyalty.lapsed.program_id IS 'the program';
COMMENT ON COLUMN loyalty.lapsed.day IS 'the day after their last one, on which they will have expired; of those that lapse by inactivity today';
COMMENT ON COLUMN loyalty.lapsed.points IS 'how many';

-- Held points are owed: hold and release move nothing here, and a capture is a
-- redemption.  A release that repays a debt adds up to nothing by itself.
CREATE FUNCTION loyalty.roll_forward(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, opening loyalty.points, earned loyalty.points, clawed_back loyalty.points, redeemed loyalty.points,
				   refunded loyalty.points, expired loyalty.points, adjusted loyalty.points, transferred loyalty.points,
				   imported loyalty.points, closing loyalty.points, held loyalty.points, lapsed loyalty.points)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($4);
	WITH asked AS (
		-- who may not read the program learns no more
		SELECT CASE WHEN (SELECT loyalty.report_program($4)) IS NOT NULL THEN loyalty.report_period($1) END AS unit,
			   $2 AS since, (now() AT TIME ZONE p.time_zone)::date AS today
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($4))
	), moved AS (
		SELECT d.day, d.kind, sum(d.points::numeric) AS points
		FROM loyalty.points_by_day d
		WHERE d.program_id = (SELECT loyalty.report_program($4))
		  AND d.day < coalesce($3, (SELECT a.today + 1 FROM asked a))
		GROUP BY 1, 2
	), bounds AS (
		-- however far away the days are that were asked for
		SELECT a.unit, greatest(a.since, m.first) AS since, least(coalesce($3, a.today + 1), greatest(a.today, m.last) + 1) AS until
		FROM asked a
		CROSS JOIN (SELECT min(day) AS first, max(day) AS last FROM moved) m
		WHERE a.unit <> '' AND m.first IS NOT NULL
	), periods AS (
		SELECT s::date AS starts
		FROM bounds b
		CROSS JOIN LATERAL generate_series(date_trunc(b.unit, b.since::timestamp), b.until::timestamp - interval '1 day',
										   CASE b.unit WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || b.unit)::interval END) s
		WHERE b.since < b.until
	), sums AS (
		-- NULL: what was before
		SELECT CASE WHEN m.day >= b.since THEN date_trunc(b.unit, m.day::timestamp)::date END AS starts,
			   sum(m.points) FILTER (WHERE m.kind = 'earn') AS earned,
			   sum(m.points) FILTER (WHERE m.kind = 'clawback') AS clawed_back,
			   sum(m.points) FILTER (WHERE m.kind = 'redeem') AS redeemed,
			   sum(m.points) FILTER (WHERE m.kind = 'refund') AS refunded,
			   sum(m.points) FILTER (WHERE m.kind = 'expire') AS expired,
			   sum(m.points) FILTER (WHERE m.kind = 'adjust') AS adjusted,
			   sum(m.points) FILTER (WHERE m.kind = 'transfer') AS transferred,
			   sum(m.points) FILTER (WHERE m.kind = 'import') AS imported,
			   sum(m.points) FILTER (WHERE m.kind NOT IN ('hold', 'release')) AS change,
			   -sum(m.points) FILTER (WHERE m.kind IN ('hold', 'release')) AS held
		FROM moved m
		CROSS JOIN bounds b
		GROUP BY 1
	), due AS (
		SELECT date_trunc(b.unit, l.day::timestamp)::date AS starts, sum(l.points::numeric) AS points
		FROM bounds b
		JOIN loyalty.lapsed l ON l.day >= b.since AND l.day < b.until
		WHERE l.program_id = (SELECT loyalty.report_program($4))
		GROUP BY 1
	), opening AS (
		SELECT coalesce(sum(s.change), 0) AS points, coalesce(sum(s.held), 0) AS held
		FROM sums s
		WHERE s.starts IS NULL
	)
	SELECT p.starts, (o.points + sum(coalesce(s.change, 0)) OVER w - coalesce(s.change, 0))::loyalty.points,
		   coalesce(s.earned, 0)::loyalty.points, coalesce(s.clawed_back, 0)::loyalty.points,
		   coalesce(s.redeemed, 0)::loyalty.points, coalesce(s.refunded, 0)::loyalty.points,
		   coalesce(s.expired, 0)::loyalty.points, coalesce(s.adjusted, 0)::loyalty.points,
		   coalesce(s.transferred, 0)::loyalty.points, coalesce(s.imported, 0)::loyalty.points,
		   (o.points + sum(coalesce(s.change, 0)) OVER w)::loyalty.points,
		   (o.held + sum(coalesce(s.held, 0)) OVER w)::loyalty.points, coalesce(d.points, 0)::loyalty.points
	FROM periods p
	CROSS JOIN opening o
	LEFT JOIN sums s ON s.starts = p.starts
	LEFT JOIN due d ON d.starts = p.starts
	WINDOW w AS (ORDER BY p.starts)
	ORDER BY p.starts
	$$;
COMMENT ON FUNCTION loyalty.roll_forward(text, date, date, text) IS 'points owed at the beginning of each period (day, week, month, quarter, year), what moved them, signed, by the day on which it happened, and what is owed at its end: opening and the movements make closing, which is the next opening; held is the part of closing that is held, lapsed what fell due in the period and is not written down as expired, so that closing has it still';

CREATE FUNCTION loyalty.roll_forward_by_rule(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (rule text, rule_id integer, earned loyalty.points, clawed_back loyalty.points, net loyalty.points)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($3);
	WITH rules AS (
		SELECT r.rule_id, coalesce(r.lineage, r.rule_id) AS first_id,
			   first_value(r.name) OVER (PARTITION BY coalesce(r.lineage, r.rule_id) ORDER BY r.rule_id DESC) AS name
		FROM loyalty.program p
		JOIN loyalty.rule r ON r.program = p.name
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	), moved AS (
		SELECT d.rule_id, coalesce(sum(d.points::numeric) FILTER (WHERE d.kind = 'earn'), 0) AS earned,
			   coalesce(sum(d.points::numeric) FILTER (WHERE d.kind = 'clawback'), 0) AS clawed_back
		FROM loyalty.points_by_day d
		WHERE d.program_id = (SELECT loyalty.report_program($3)) AND d.kind IN ('earn', 'clawback')
		  AND ($1 IS NULL OR d.day >= $1)
		  AND d.day < coalesce($2, (SELECT (now() AT TIME ZONE p.time_zone)::date + 1
									FROM loyalty.program p WHERE p.program_id = (SELECT loyalty.report_program($3))))
		GROUP BY 1
	)
	SELECT r.name, coalesce(r.first_id, nullif(m.rule_id, 0)), coalesce(sum(m.earned), 0)::loyalty.points,
		   coalesce(sum(m.clawed_back), 0)::loyalty.points, coalesce(sum(m.earned + m.clawed_back), 0)::loyalty.points
	FROM rules r
	FULL JOIN moved m ON m.rule_id = r.rule_id
	GROUP BY 1, 2
	-- purchases that earn nothing
	HAVING coalesce(r.name, '') <> '' OR sum(abs(m.earned) + abs(m.clawed_back)) <> 0
	ORDER BY 5 DESC, 1, 2
	$$;
COMMENT ON FUNCTION loyalty.roll_forward_by_rule(date, date, text) IS 'points that each rule gave, all its revisions together under the last one''s name, those that returns took back, and both; rule_id is the number of the first revision; rule NULL: points of no rule, or of one that is gone';

CREATE FUNCTION loyalty.points_by_kind(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, kind text, entries bigint, points loyalty.points, gained loyalty.points, taken loyalty.points)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($4);
	WITH asked AS (
		-- who may not read the program learns no more
		SELECT CASE WHEN (SELECT loyalty.report_program($4)) IS NOT NULL THEN loyalty.report_period($1) END AS unit,
			   coalesce($3, (now() AT TIME ZONE p.time_zone)::date + 1) AS until
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($4))
	)
	SELECT date_trunc(a.unit, d.day::timestamp)::date, d.kind, sum(d.entries)::bigint, sum(d.points::numeric)::loyalty.points,
		   sum(d.gained::numeric)::loyalty.points, sum(d.taken::numeric)::loyalty.points
	FROM asked a
	LEFT JOIN loyalty.points_by_day d ON d.day < a.until AND ($2 IS NULL OR d.day >= $2)
									 AND d.program_id = (SELECT loyalty.report_program($4))
	WHERE a.unit <> '' AND d.day IS NOT NULL
	GROUP BY 1, 2
	ORDER BY 1, 2
	$$;
COMMENT ON FUNCTION loyalty.points_by_kind(text, date, date, text) IS 'number and points of the entries of each kind by period, and apart those that added points and those that took some; only what there is';
