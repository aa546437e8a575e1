--
-- purchase_report: how often members buy, for how much, and how long they stay
--

CREATE FUNCTION loyalty.purchase_figures(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (members bigint, buyers bigint, orders bigint, revenue numeric, repeat_buyers bigint, repeat_purchase_rate numeric,
				   average_order_value numeric, orders_per_buyer numeric, revenue_per_buyer numeric, orders_per_member numeric,
				   revenue_per_member numeric, purchase_interval numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($3);
	WITH span AS MATERIALIZED (
		SELECT p.program_id, p.time_zone, coalesce($2, loyalty.report_today($3) + 1)::timestamp AT TIME ZONE p.time_zone AS ends
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	)
	SELECT m.members, b.buyers, b.orders, round(b.revenue, 2), b.repeat_buyers, round(b.repeat_buyers::numeric / nullif(b.buyers, 0), 4),
		   round(b.revenue / nullif(b.orders, 0), 2), round(b.orders::numeric / nullif(b.buyers, 0), 4), round(b.revenue / nullif(b.buyers, 0), 2),
		   round(b.orders::numeric / nullif(m.members, 0), 4), round(b.revenue / nullif(m.members, 0), 2), round(b.days::numeric / nullif(b.intervals, 0), 2)
	FROM (SELECT count(*) AS members
		  FROM loyalty.member m
		  WHERE m.program_id = (SELECT program_id FROM span) AND m.status <> 'merged' AND m.enrolled_at < (SELECT ends FROM span)) m
	CROSS JOIN (SELECT count(*) FILTER (WHERE a.purchases > 0) AS buyers, count(*) FILTER (WHERE a.purchases > 1) AS repeat_buyers,
					   coalesce(sum(a.purchases), 0)::bigint AS orders, coalesce(sum(a.amount), 0) AS revenue,
					   sum(CASE WHEN a.purchases > 1 THEN (a.last_purchase AT TIME ZONE (SELECT time_zone FROM span))::date
														 - (a.first_purchase AT TIME ZONE (SELECT time_zone FROM span))::date END) AS days,
					   sum(CASE WHEN a.purchases > 1 THEN a.purchases - 1 END) AS intervals
				FROM loyalty.member_activity($1, $2, $3) a) b
	$$;
COMMENT ON FUNCTION loyalty.purchase_figures(date, date, text) IS 'how many members buy, how often, and for how much';

CREATE FUNCTION loyalty.cohort_retention(program text DEFAULT NULL)
	RETURNS TABLE (cohort date, age integer, members bigint, buyers bigint, retention_rate numeric, revenue numeric, revenue_per_member numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($1);
	WITH present AS MATERIALIZED (
		SELECT p.program_id, p.time_zone, date_trunc('month', now() AT TIME ZONE p.time_zone)::date AS month
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($1))
	), bought AS MATERIALIZED (
		SELECT b.cohort, b.month, b.buyers, b.revenue
		FROM loyalty.purchase_cohorts b
		WHERE b.program_id = (SELECT program_id FROM present)
	)
	SELECT c.cohort, (12 * (extract(year FROM s.month) - extract(year FROM c.cohort)) + extract(month FROM s.month) - extract(month FROM c.cohort))::integer,
		   c.members, coalesce(b.buyers, 0), round(coalesce(b.buyers, 0)::numeric / c.members, 4),
		   round(coalesce(b.revenue, 0), 2), round(coalesce(b.revenue, 0) / c.members, 2)
	FROM (SELECT date_trunc('month', m.enrolled_at AT TIME ZONE (SELECT time_zone FROM present))::date AS cohort, count(*) AS members
		  FROM loyalty.member m
		  WHERE m.program_id = (SELECT program_id FROM present) AND m.status <> 'merged'
		  GROUP BY 1) c
	CROSS JOIN LATERAL (SELECT generate_series(c.cohort::timestamp, (SELECT month FROM present)::timestamp, interval '1 month')::date AS month) s
	LEFT JOIN bought b ON b.cohort = c.cohort AND b.month = s.month
	ORDER BY 1, 2
	$$;
COMMENT ON FUNCTION loyalty.cohort_retention(text) IS 'which part of those who joined in a month bought so many months later';

CREATE FUNCTION loyalty.member_flow(program text DEFAULT NULL)
	RETURNS TABLE (month date, buyers bigint, new_buyers bigint, returning_buyers bigint, reactivated_buyers bigint, lost_buyers bigint, churn_rate numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($1);
	WITH flow AS (
		SELECT b.month, sum(b.buyers)::bigint AS buyers, sum(b.new_buyers)::bigint AS new_buyers, sum(b.returning_buyers)::bigint AS returning_buyers
		FROM loyalty.purchase_cohorts b
		WHERE b.program_id = (SELECT loyalty.report_program($1)) AND b.month <= loyalty.report_today($1)
		GROUP BY 1
		HAVING sum(b.buyers) > 0
	)
	SELECT r.month, r.buyers, r.new_buyers, r.returning_buyers, r.buyers - r.new_buyers - r.returning_buyers,
		   r.before - r.returning_buyers, round((r.before - r.returning_buyers)::numeric / nullif(r.before, 0), 4)
	FROM (SELECT s.month, coalesce(f.buyers, 0) AS buyers, coalesce(f.new_buyers, 0) AS new_buyers, coalesce(f.returning_buyers, 0) AS returning_buyers,
				 coalesce(lag(f.buyers) OVER (ORDER BY s.month), 0) AS before
		  FROM (SELECT generate_series((SELECT min(month) FROM flow)::timestamp, loyalty.report_today($1)::timestamp, interval '1 month')::date AS month) s
		  LEFT JOIN flow f ON f.month = s.month) r
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.member_flow(text) IS 'by month how many members buy for the first time, again, again after a pause, and no more';

-- For both of the following: per person, with the month in which he joined.
CREATE FUNCTION loyalty.member_value(program text DEFAULT NULL)
	RETURNS TABLE (member text, enrolled_on date, orders bigint, revenue numeric, redeemed loyalty.points, points_cost numeric, lifetime_value numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	BEGIN ATOMIC
	WITH terms AS MATERIALIZED (
		SELECT p.program_id, p.time_zone, p.point_value
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($1))
	)
	SELECT m.ref, (m.enrolled_at AT TIME ZONE (SELECT t.time_zone FROM terms t))::date, coalesce(a.purchases, 0), round(coalesce(a.amount, 0), 2),
		   coalesce(a.redeemed, 0), c.cost, round(coalesce(a.amount, 0), 2) - c.cost
	FROM loyalty.member m
	LEFT JOIN loyalty.member_activity(NULL, NULL, $1) a ON a.member_id = m.member_id
	CROSS JOIN LATERAL (SELECT round(coalesce(a.redeemed, 0)::numeric * (SELECT t.point_value FROM terms t), 2) AS cost) c
	WHERE (SELECT loyalty.report_program($1)) IS NOT NULL AND m.program_id = (SELECT t.program_id FROM terms t) AND m.status <> 'merged';
	END;
COMMENT ON FUNCTION loyalty.member_value(text) IS 'what each member has brought to date, less what his points have cost';

CREATE FUNCTION loyalty.lifetime_value(program text DEFAULT NULL)
	RETURNS TABLE (cohort date, members bigint, buyers bigint, orders bigint, revenue numeric, redeemed loyalty.points, points_cost numeric,
				   lifetime_value numeric, lifetime_value_per_member numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($1);
	WITH terms AS MATERIALIZED (
		SELECT p.program_id, p.time_zone, p.point_value
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($1))
	)
	SELECT c.cohort, c.members, c.buyers, c.orders, round(c.revenue, 2), c.redeemed, round(k.cost, 2), round(c.revenue - k.cost, 2), round((c.revenue - k.cost) / c.members, 2)
	FROM (SELECT date_trunc('month', m.enrolled_at AT TIME ZONE (SELECT t.time_zone FROM terms t))::date AS cohort, count(*) AS members,
				 count(*) FILTER (WHERE a.purchases > 0) AS buyers, coalesce(sum(a.purchases), 0)::bigint AS orders, coalesce(sum(a.amount), 0) AS revenue,
				 coalesce(loyalty.sum(a.redeemed), 0) AS redeemed
		  FROM loyalty.member m
		  LEFT JOIN loyalty.member_activity(NULL, NULL, $1) a ON a.member_id = m.member_id
		  WHERE m.program_id = (SELECT t.program_id FROM terms t) AND m.status <> 'merged'
		  GROUP BY 1) c
	CROSS JOIN LATERAL (SELECT c.redeemed::numeric * (SELECT t.point_value FROM terms t) AS cost) k
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.lifetime_value(text) IS 'what those who joined in a month have brought to date, less what their points have cost';
