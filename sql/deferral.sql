--
-- deferral: which part of the sales is owed for points, and when it is earned (IFRS 15, ASC 606)
--

-- What points belong together is told by their last day, which only lots know.
-- What earned nothing has no rule, but says itself what was recorded.  What a rule
-- is about never changes, nor what is read of an entry, so that these can be
-- added up for good.
CREATE VIEW loyalty.lot_movements WITH (security_barrier = true) AS
	SELECT e.program_id, (e.occurred_at AT TIME ZONE p.time_zone)::date AS day, e.posted_at, c.sale,
		   CASE WHEN c.sale THEN CASE WHEN e.points OPERATOR(loyalty.>) 0 THEN 'sale' WHEN e.points OPERATOR(loyalty.<) 0 THEN 'return' END
				WHEN e.kind IN ('redeem', 'refund') THEN 'redemption'
				WHEN e.kind = 'expire' THEN 'expiry'
				WHEN e.kind = 'transfer' OR e.kind = 'adjust' AND e.points OPERATOR(loyalty.=) 0 THEN 'move'
				ELSE 'gift' END AS what, e.lots, e.amount
	FROM loyalty.entry e
	JOIN loyalty.program p ON p.program_id = e.program_id
	CROSS JOIN LATERAL (
		SELECT e.kind IN ('earn', 'clawback')
			   -- hashed once, and looked up for acts alone
			   AND (e.source_id <> 0 OR e.rule_id IN (SELECT r.rule_id FROM loyalty.rule r WHERE r.event = 'purchase')
					OR e.rule_id = 0 AND (starts_with(e.source_key, 'purchase:') OR (coalesce(e.context -> 'request' ->> 'event', e.context ->> 'event') = 'purchase') IS TRUE)) AS sale) c
	WHERE e.kind NOT IN ('hold', 'release')
	  -- looked up once, and not for each entry
	  AND e.program_id = ANY (ARRAY(SELECT q.program_id FROM loyalty.program q WHERE loyalty.may_read(q.program_id)));
COMMENT ON VIEW loyalty.lot_movements IS 'the entries of a program with their lots, but for holds, which are owed still; for its accounts, so not whose they are';
COMMENT ON COLUMN loyalty.lot_movements.program_id IS 'the program';
COMMENT ON COLUMN loyalty.lot_movements.day IS 'when it happened, in the program''s time zone';
COMMENT ON COLUMN loyalty.lot_movements.posted_at IS 'when it was written down';
COMMENT ON COLUMN loyalty.lot_movements.sale IS 'whether it is of a purchase';
COMMENT ON COLUMN loyalty.lot_movements.what IS 'sale, or return (points taken back); redemption (also refunds), expiry, move (to another member or last day), or gift: points without a sale; NULL: a sale without points';
COMMENT ON COLUMN loyalty.lot_movements.lots IS 'points that it added, by life span';
COMMENT ON COLUMN loyalty.lot_movements.amount IS 'what it added to the amount of a purchase or an event (negative: took away); stands on the first entry of a posting';

-- The rollup, and what was posted since, bounded as in points_by_day.
CREATE VIEW loyalty.lots_by_day WITH (security_barrier = true) AS
	SELECT d.program_id, d.day, d.sales, d.sold_amount, d.sold, d.returned_amount, d.returned, d.given, d.redeemed, d.expired, d.moved
	FROM (SELECT b.program_id, b.day, sum(b.sales) AS sales, sum(b.sold_amount) AS sold_amount, loyalty.sum(b.sold) AS sold,
				 sum(b.returned_amount) AS returned_amount, loyalty.sum(b.returned) AS returned, loyalty.sum(b.given) AS given,
				 loyalty.sum(b.redeemed) AS redeemed, loyalty.sum(b.expired) AS expired, loyalty.sum(b.moved) AS moved
		  FROM (SELECT l.program_id, l.day, l.sales, l.sold_amount, l.sold, l.returned_amount, l.returned, l.given, l.redeemed, l.expired, l.moved
				FROM loyalty.rollup_lots l
				UNION ALL
				SELECT m.program_id, m.day, coalesce(sum(m.amount) FILTER (WHERE m.sale), 0),
					   coalesce(sum(m.amount) FILTER (WHERE m.what = 'sale'), 0), loyalty.sum(m.lots) FILTER (WHERE m.what = 'sale'),
					   coalesce(sum(m.amount) FILTER (WHERE m.what = 'return'), 0), loyalty.sum(m.lots) FILTER (WHERE m.what = 'return'),
					   loyalty.sum(m.lots) FILTER (WHERE m.what = 'gift'), loyalty.sum(m.lots) FILTER (WHERE m.what = 'redemption'),
					   loyalty.sum(m.lots) FILTER (WHERE m.what = 'expiry'), loyalty.sum(m.lots) FILTER (WHERE m.what = 'move')
				FROM loyalty.lot_movements m
				LEFT JOIN loyalty.rollup r ON r.program_id = m.program_id
				WHERE m.posted_at >= (SELECT min(coalesce(u.until, '-infinity'))
									  FROM loyalty.program p
									  LEFT JOIN loyalty.rollup u ON u.program_id = p.program_id)
				  AND m.posted_at <= 'infinity'
				  AND m.posted_at >= coalesce(r.until, '-infinity')
				GROUP BY 1, 2) b
		  GROUP BY 1, 2) d
	JOIN loyalty.program q ON q.program_id = d.program_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.lots_by_day IS 'how points of each life span moved, and for which sales, added up by day';
COMMENT ON COLUMN loyalty.lots_by_day.program_id IS 'the program';
COMMENT ON COLUMN loyalty.lots_by_day.day IS 'when it happened, in the program''s time zone';
COMMENT ON COLUMN loyalty.lots_by_day.sales IS 'what was bought, less what was returned';
COMMENT ON COLUMN loyalty.lots_by_day.sold_amount IS 'what was bought of it with points';
COMMENT ON COLUMN loyalty.lots_by_day.sold IS 'the points that it gave; NULL: none, as of the following';
COMMENT ON COLUMN loyalty.lots_by_day.returned_amount IS 'what was returned, below zero, that points were taken back for';
COMMENT ON COLUMN loyalty.lots_by_day.returned IS 'the points that were taken back, below zero';
COMMENT ON COLUMN loyalty.lots_by_day.given IS 'points given without a sale, less those taken: of events, adjustments and imports';
COMMENT ON COLUMN loyalty.lots_by_day.redeemed IS 'points redeemed, below zero, and refunded';
COMMENT ON COLUMN loyalty.lots_by_day.expired IS 'points that expired, below zero';
COMMENT ON COLUMN loyalty.lots_by_day.moved IS 'points that moved to another member or another last day; their total is zero';

-- Points whose last day is in one month are a pool, those that never expire
-- another.  Of a pool there is, up to each day: a, what was allocated to it of
-- the sales; i, points issued; r, redeemed; x, expired.  Of q * i points that
-- are expected to be redeemed in all, r have been, and so has a * r / (q * i) of
-- the money been earned.  Expected are at least those that have been redeemed,
-- and at most those that have not expired; once the month is over nothing more
-- is owed.
--
-- Points without a sale (events, adjustments, imports) are redeemed like others
-- and so are in i, but bring nothing to a.  Points that move to another last day
-- (extended, or given away) take along what was allocated to a point on average.
--
-- All is added up from the beginning, rounded, and only then subtracted, so that
-- any periods foot to the cent.
--
-- Days are few, which the planner does not know: it would sort the ledger by them.
-- What was known at a time is read entry by entry.
CREATE FUNCTION loyalty.deferral(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL,
								 known_at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, ends date, sales numeric, issued loyalty.points, redeemed loyalty.points, expired loyalty.points,
				   stand_alone numeric, goods numeric, opening numeric, deferred numeric, on_redemption numeric,
				   on_expiry numeric, catch_up numeric, closing numeric, redemption_rate numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	SET enable_sort = off SET work_mem = '64MB'
	AS $$
	SELECT loyalty.report_program($5);
	WITH estimate AS MATERIALIZED (
		SELECT e.kind, e.from_day, coalesce(e.until_day, 'infinity') AS until_day, e.value
		FROM loyalty.estimates($4, $5) e
	), posted AS MATERIALIZED (
		SELECT d.day, t.what, CASE t.what WHEN 'sale' THEN d.sales END AS sales, CASE t.what WHEN 'sale' THEN d.sold_amount WHEN 'return' THEN d.returned_amount END AS amount,
			   loyalty.total(t.lots)::numeric AS points, t.lots
		FROM loyalty.lots_by_day d
		CROSS JOIN LATERAL (VALUES ('sale', d.sold), ('return', d.returned), ('gift', d.given), ('redemption', d.redeemed), ('expiry', d.expired), ('move', d.moved)) t (what, lots)
		WHERE $4 IS NULL AND d.program_id = (SELECT loyalty.report_program($5)) AND (t.lots IS NOT NULL OR t.what = 'sale')
		UNION ALL
		SELECT m.day, coalesce(m.what, 'none'), sum(m.amount) FILTER (WHERE m.sale), sum(m.amount) FILTER (WHERE m.sale), loyalty.total(loyalty.sum(m.lots))::numeric, loyalty.sum(m.lots)
		FROM loyalty.lot_movements m
		WHERE $4 IS NOT NULL AND m.posted_at <= $4 AND m.program_id = (SELECT loyalty.report_program($5))
		GROUP BY m.day, m.what
	-- up to which day
	), bounds AS MATERIALIZED (
		SELECT b.first, b.stop,
			   CASE coalesce($1, 'month') WHEN 'day' THEN interval '1 day' WHEN 'week' THEN '7 days' WHEN 'month' THEN '1 month' WHEN 'quarter' THEN '3 months'
				WHEN 'year' THEN '1 year' END AS step
		FROM (SELECT e.first, least(coalesce($3, e.today + 1), greatest(e.today, e.last) + 1) AS stop
			  FROM (SELECT min(p.day) AS first, max(p.day) AS last,
						   (SELECT (least($4, now()) AT TIME ZONE p.time_zone)::date FROM loyalty.program p WHERE p.program_id = (SELECT loyalty.report_program($5))) AS today
					FROM posted p) e) b
		WHERE greatest(b.first, $2) < b.stop AND b.first IS NOT NULL
	), period AS MATERIALIZED (
		SELECT greatest(g::date, $2) AS starts, least((g + b.step)::date, b.stop) - 1 AS ends
		FROM bounds b
		CROSS JOIN generate_series(date_trunc(loyalty.report_period($1), greatest(b.first, $2)::timestamp), (b.stop - 1)::timestamp, b.step) g
	-- the days at whose end figures are needed: of periods, and before another estimate
	), mark AS MATERIALIZED (
		SELECT m.day, lag(m.day) OVER w AS before, m.rate, n.value AS next_rate, m.day - (extract(day FROM m.day)::integer - 1) AS month
		FROM (SELECT d.day, e.value AS rate
			  FROM (SELECT min(p.starts) - 1 AS day FROM period p HAVING count(*) > 0
					UNION
					SELECT p.ends FROM period p
					UNION
					SELECT e.from_day - 1
					FROM bounds b
					JOIN estimate e ON e.kind = 'redemption_rate' AND e.from_day > b.first AND e.from_day < b.stop) d
			  JOIN estimate e ON e.kind = 'redemption_rate' AND d.day >= e.from_day AND d.day < e.until_day) m
		JOIN estimate n ON n.kind = 'redemption_rate' AND m.day + 1 >= n.from_day AND m.day + 1 < n.until_day
		WINDOW w AS (ORDER BY m.day)
	), marked AS MATERIALIZED (
		SELECT d.day, min(d.mark) OVER (ORDER BY d.day ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS mark
		FROM (SELECT p.day, max(m.day) AS mark FROM (SELECT DISTINCT day FROM posted) p LEFT JOIN mark m ON m.day = p.day GROUP BY 1
			  UNION
			  SELECT m.day, m.day FROM mark m) d
	-- relative stand-alone selling prices: sales at theirs, points at what is expected to be redeemed of them
	), sale AS MATERIALIZED (
		SELECT p.day, p.what, s.stand_alone,
			   CASE WHEN p.amount * s.stand_alone > 0 THEN p.amount * s.stand_alone / (p.amount + s.stand_alone) WHEN s.stand_alone IS NOT NULL THEN 0 END / p.points AS allocated
		FROM posted p
		JOIN estimate q ON q.kind = 'redemption_rate' AND p.day >= q.from_day AND p.day < q.until_day
		JOIN estimate v ON v.kind = 'point_value' AND p.day >= v.from_day AND p.day < v.until_day
		CROSS JOIN LATERAL (SELECT p.points * q.value * v.value AS stand_alone) s
		WHERE p.what IN ('sale', 'return') AND p.points <> 0
	), average AS (
		SELECT a.day, sum(a.allocated) OVER w / nullif(sum(a.issued) OVER w, 0) AS allocated
		FROM (SELECT p.day, sum(p.points * s.allocated) AS allocated, sum(p.points) FILTER (WHERE p.what IN ('sale', 'return', 'gift')) AS issued
			  FROM posted p
			  LEFT JOIN sale s ON s.day = p.day AND s.what = p.what
			  GROUP BY 1) a
		WINDOW w AS (ORDER BY a.day)
	), change AS MATERIALIZED (
		SELECT d.mark, l.pool, sum(l.allocated) AS a, sum(l.points) FILTER (WHERE l.what NOT IN ('redemption', 'expiry')) AS i,
			   -sum(l.points) FILTER (WHERE l.what = 'redemption') AS r, -sum(l.points) FILTER (WHERE l.what = 'expiry') AS x, max(l.day) AS day
		FROM (SELECT p.day, p.what, t.points,
					 CASE WHEN isfinite(t.ends) THEN t.ends - (extract(day FROM t.ends)::integer - 1) ELSE t.ends END AS pool,
					 CASE WHEN p.what = 'move' THEN v.allocated ELSE s.allocated END * t.points AS allocated
			  FROM posted p
			  CROSS JOIN LATERAL (SELECT t.points::numeric AS points, t.ends FROM loyalty.lots(p.lots) t) t
			  JOIN average v ON v.day = p.day
			  LEFT JOIN sale s ON s.day = p.day AND s.what = p.what) l
		JOIN marked d ON d.day = l.day
		WHERE d.mark IS NOT NULL
		GROUP BY 1, 2
	), pool AS (
		SELECT g.pool, g.mark, g.rate, g.next_rate, g.month > g.pool AS over,
			   coalesce(sum(c.a) OVER w, 0) AS a, coalesce(sum(c.i) OVER w, 0) AS i, coalesce(sum(c.r) OVER w, 0) AS r, coalesce(sum(c.x) OVER w, 0) AS x,
			   lead(g.mark) OVER w IS NOT NULL AND g.next_rate <> g.rate AS estimated
		FROM (SELECT c.pool, m.day AS mark, m.rate, m.next_rate, m.month
			  FROM (SELECT c.pool, min(c.mark) AS first, max(c.mark) AS last FROM change c GROUP BY 1) c
			  JOIN mark m ON m.day >= c.first AND (m.before IS NULL OR m.before < c.last OR m.before - (extract(day FROM m.before)::integer - 1) <= c.pool)) g
		LEFT JOIN change c ON c.pool = g.pool AND c.mark = g.mark
		WINDOW w AS (PARTITION BY g.pool ORDER BY g.mark)
	-- what was earned by redemption alone, and what in fact
	), earned AS (
		SELECT e.mark, e.a - lag(e.a, 1, 0.0) OVER w AS deferred, e.redemption - lag(e.redemption, 1, 0.0) OVER w AS redemption,
			   e.earned - lag(e.earned, 1, 0.0) OVER w AS earned, n.redemption - e.redemption AS next_redemption, n.earned - e.earned AS next_earned
		FROM (SELECT p.*, CASE WHEN p.i <= 0 OR greatest(p.r, p.rate * p.i) <= 0 THEN p.a ELSE p.a * p.r / greatest(p.r, p.rate * p.i) END AS redemption,
					 CASE WHEN p.over OR p.i <= 0 OR greatest(p.r, least(p.rate * p.i, p.i - p.x)) <= 0 THEN p.a
						  ELSE p.a * p.r / greatest(p.r, least(p.rate * p.i, p.i - p.x)) END AS earned
			  FROM pool p) e
		LEFT JOIN LATERAL (
			SELECT CASE WHEN e.i <= 0 OR greatest(e.r, e.next_rate * e.i) <= 0 THEN e.a ELSE e.a * e.r / greatest(e.r, e.next_rate * e.i) END AS redemption,
				   CASE WHEN e.over OR e.i <= 0 OR greatest(e.r, least(e.next_rate * e.i, e.i - e.x)) <= 0 THEN e.a
						ELSE e.a * e.r / greatest(e.r, least(e.next_rate * e.i, e.i - e.x)) END AS earned) n ON e.estimated
		WINDOW w AS (PARTITION BY e.pool ORDER BY e.mark)
	), flow AS (
		SELECT d.mark, sum(p.sales) AS sales, sum(p.points) FILTER (WHERE p.what IN ('sale', 'return')) AS issued, -sum(p.points) FILTER (WHERE p.what = 'redemption') AS redeemed,
			   -sum(p.points) FILTER (WHERE p.what = 'expiry') AS expired, sum(s.stand_alone) AS stand_alone,
			   count(*) FILTER (WHERE s.day IS NOT NULL AND s.stand_alone IS NULL) AS valueless
		FROM posted p
		JOIN marked d ON d.day = p.day
		LEFT JOIN sale s ON s.day = p.day AND s.what = p.what
		WHERE d.mark IS NOT NULL
		GROUP BY 1
	), so_far AS (
		SELECT m.day, m.rate, round(coalesce(sum(f.sales) OVER w, 0), 2) AS sales, coalesce(sum(f.issued) OVER w, 0) AS issued,
			   coalesce(sum(f.redeemed) OVER w, 0) AS redeemed, coalesce(sum(f.expired) OVER w, 0) AS expired,
			   round(coalesce(sum(f.stand_alone) OVER w, 0), 2) AS stand_alone, coalesce(sum(f.valueless) OVER w, 0) = 0 AS valued,
			   round(coalesce(sum(t.deferred) OVER w, 0), 2) AS deferred, round(coalesce(sum(t.earned) OVER w, 0), 2) AS earned,
			   round(coalesce(sum(t.earned - t.redemption) OVER w, 0) - coalesce(sum(t.next_earned - t.next_redemption) OVER b, 0), 2) AS expiry,
			   round(coalesce(sum(t.next_earned) OVER b, 0), 2) AS catch_up
		FROM mark m
		LEFT JOIN flow f ON f.mark = m.day
		LEFT JOIN (SELECT e.mark, sum(e.deferred) AS deferred, sum(e.redemption) AS redemption, sum(e.earned) AS earned,
						  coalesce(sum(e.next_redemption), 0) AS next_redemption, coalesce(sum(e.next_earned), 0) AS next_earned
				   FROM earned e GROUP BY 1) t ON t.mark = m.day
		WINDOW w AS (ORDER BY m.day), b AS (ORDER BY m.day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
	)
	SELECT p.starts, p.ends, c.sales - o.sales, c.issued - o.issued, c.redeemed - o.redeemed, c.expired - o.expired, m.stand_alone,
		   c.sales - o.sales - m.deferred, m.opening, m.deferred, m.earned - m.expiry - m.catch_up, m.expiry, m.catch_up, m.closing, c.rate
	FROM period p
	JOIN so_far c ON c.day = p.ends
	JOIN so_far o ON o.day = p.starts - 1
	LEFT JOIN LATERAL (
		SELECT c.stand_alone - o.stand_alone AS stand_alone, o.deferred - o.earned AS opening, c.deferred - o.deferred AS deferred,
			   c.earned - o.earned AS earned, c.expiry - o.expiry AS expiry, c.catch_up - o.catch_up AS catch_up, c.deferred - c.earned AS closing) m ON c.valued
	-- so that a wrong one is an error also where there is nothing to report
	WHERE (SELECT loyalty.report_period($1) IS NOT NULL)
	ORDER BY p.starts
	$$;
COMMENT ON FUNCTION loyalty.deferral(text, date, date, timestamptz, text) IS 'which part of the sales is deferred for points and when it is recognized, by period: opening + deferred - on_redemption - on_expiry - catch_up = closing, the contract liability; by what was known at a time, now by default';
