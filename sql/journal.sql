--
-- journal: lines for the general ledger, and what points are worth and cost
--

-- The shop's own books have the sales at their full price.
CREATE FUNCTION loyalty.journal(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL,
								known_at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (date date, account text, debit numeric, credit numeric, reference text)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($5);
	SELECT d.ends, CASE WHEN s.debit = (l.amount > 0) THEN l.of ELSE l.to END,
		   CASE WHEN s.debit THEN abs(l.amount) END, CASE WHEN NOT s.debit THEN abs(l.amount) END,
		   format('%s/%s/%s', (SELECT p.name FROM loyalty.program p WHERE p.program_id = (SELECT loyalty.report_program($5))), d.starts, l.what)
	FROM loyalty.deferral($1, $2, $3, $4, $5) d
	CROSS JOIN LATERAL (VALUES
		(1, 'deferred', 'revenue', 'contract liability', d.deferred),
		(2, 'redeemed', 'contract liability', 'revenue', d.on_redemption),
		(3, 'expired', 'contract liability', 'breakage revenue', d.on_expiry),
		(4, 'catch-up', 'contract liability', 'breakage revenue', d.catch_up)) l (place, what, of, "to", amount)
	CROSS JOIN (VALUES (true), (false)) s (debit)
	WHERE l.amount <> 0
	ORDER BY d.starts, l.place, s.debit DESC
	$$;
COMMENT ON FUNCTION loyalty.journal(text, date, date, timestamptz, text) IS 'what deferral() comes to, as lines for a general ledger: two for each reference, a debit and a credit of one amount';

CREATE FUNCTION loyalty.point_values(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (point_value numeric, point_value_from date, point_cost numeric, point_cost_from date, redemption_rate numeric, redemption_rate_from date,
				   outstanding loyalty.points, value_outstanding numeric, value_expected numeric, cost_expected numeric,
				   issued loyalty.points, cost_issued numeric, redeemed loyalty.points, cost_redeemed numeric, sales numeric, sales_to_cost numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($3);
	WITH subject AS MATERIALIZED (
		SELECT p.program_id, p.name, (now() AT TIME ZONE p.time_zone)::date AS today
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	), estimate AS MATERIALIZED (
		SELECT e.kind, e.from_day, coalesce(e.until_day, 'infinity') AS until_day, e.value
		FROM loyalty.estimates(program => $3) e
	), present AS (
		SELECT max(e.value) FILTER (WHERE e.kind = 'point_value') AS point_value, max(e.from_day) FILTER (WHERE e.kind = 'point_value') AS point_value_from,
			   max(e.value) FILTER (WHERE e.kind = 'point_cost') AS point_cost, max(e.from_day) FILTER (WHERE e.kind = 'point_cost') AS point_cost_from,
			   max(e.value) FILTER (WHERE e.kind = 'redemption_rate') AS rate, max(e.from_day) FILTER (WHERE e.kind = 'redemption_rate') AS rate_from
		FROM subject s
		JOIN estimate e ON s.today >= e.from_day AND s.today < e.until_day
	), daily AS (
		SELECT d.day, sum(d.amount) AS sales,
			   coalesce(sum(d.points::numeric) FILTER (WHERE d.kind IN ('earn', 'clawback', 'adjust', 'import')), 0) AS issued,
			   coalesce(-sum(d.points::numeric) FILTER (WHERE d.kind IN ('redeem', 'refund')), 0) AS redeemed
		FROM loyalty.points_by_day d
		WHERE d.program_id = (SELECT loyalty.report_program($3)) AND ($1 IS NULL OR d.day >= $1)
		  AND d.day < coalesce($2, (SELECT s.today FROM subject s) + 1)
		GROUP BY 1
	), total AS (
		SELECT coalesce(sum(d.issued), 0) AS issued, coalesce(sum(d.redeemed), 0) AS redeemed, round(coalesce(sum(d.sales), 0), 2) AS sales,
			   sum(d.issued * q.value * c.value) AS cost_issued, sum(d.redeemed * c.value) AS cost_redeemed
		FROM daily d
		LEFT JOIN estimate q ON q.kind = 'redemption_rate' AND d.day >= q.from_day AND d.day < q.until_day
		LEFT JOIN estimate c ON c.kind = 'point_cost' AND d.day >= c.from_day AND d.day < c.until_day
	), owed AS (
		SELECT coalesce(sum(l.points::numeric), 0) AS points
		FROM loyalty.liability l
		WHERE l.program = (SELECT s.name FROM subject s)
	)
	SELECT p.point_value, p.point_value_from, p.point_cost, p.point_cost_from, p.rate, p.rate_from,
		   o.points, round(o.points * p.point_value, 2), round(o.points * p.rate * p.point_value, 2), round(o.points * p.rate * p.point_cost, 2),
		   t.issued, round(t.cost_issued, 2), t.redeemed, round(t.cost_redeemed, 2), t.sales, round(t.sales / nullif(t.cost_issued, 0), 2)
	FROM present p
	CROSS JOIN total t
	CROSS JOIN owed o
	$$;
COMMENT ON FUNCTION loyalty.point_values(date, date, text) IS 'what a point is worth and costs now, what is outstanding at that, and what points issued and redeemed have cost beside the sales';
