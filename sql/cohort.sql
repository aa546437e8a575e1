--
-- cohort: points by the month of their issue
--

CREATE TYPE loyalty.cohort_cell AS (
	cohort date,
	month date,
	issued loyalty.points,
	redeemed loyalty.points,
	expired loyalty.points
);
COMMENT ON TYPE loyalty.cohort_cell IS 'what became in a month of the points that were issued in one';
COMMENT ON COLUMN loyalty.cohort_cell.cohort IS 'first day of the month of issue; NULL: there were no points for it';
COMMENT ON COLUMN loyalty.cohort_cell.month IS 'first day of the month in which it happened';
COMMENT ON COLUMN loyalty.cohort_cell.issued IS 'points issued, in the cell whose month is the cohort''s own';
COMMENT ON COLUMN loyalty.cohort_cell.redeemed IS 'points redeemed, less those that came back';
COMMENT ON COLUMN loyalty.cohort_cell.expired IS 'points expired';

CREATE FUNCTION loyalty.cohort_cells_accum(state internal, weight integer, person_id bigint, month date, issued loyalty.points, redeemed loyalty.points, expired loyalty.points)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'loyalty_cohort_cells_accum' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.cohort_cells_accum(internal, integer, bigint, date, loyalty.points, loyalty.points, loyalty.points) IS 'aggregate transition function';
CREATE FUNCTION loyalty.cohort_cells_final(state internal) RETURNS loyalty.cohort_cell[]
	AS 'MODULE_PATHNAME', 'loyalty_cohort_cells_final' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.cohort_cells_final(internal) IS 'aggregate final function';
CREATE AGGREGATE loyalty.cohort_cells(weight integer, person_id bigint, month date, issued loyalty.points, redeemed loyalty.points, expired loyalty.points) (
	SFUNC = loyalty.cohort_cells_accum,
	STYPE = internal,
	FINALFUNC = loyalty.cohort_cells_final,
	FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE loyalty.cohort_cells(integer, bigint, date, loyalty.points, loyalty.points, loyalty.points) IS 'points by the month of their issue, of what each person did in each month, times a weight; the rows in the order of weights, persons and months';

-- What the rollups of cohorts have of a month of somebody who is not as he was
-- then (weight -1), and what there is of him (weight 1).  Joined by the program,
-- too, so that who asks for one does not read what is new in all others.
CREATE VIEW loyalty.changed_months WITH (security_barrier = true) AS
	WITH merged AS MATERIALIZED (
		SELECT program_id, member_id, person_id FROM loyalty.merged_persons
	)
	SELECT -1 AS weight, a.program_id, a.member_id AS person_id, r.cohort, a.month, a.purchases, a.amount,
		   a.earned OPERATOR(loyalty.+) a.clawed_back OPERATOR(loyalty.+) a.adjusted AS issued,
		   OPERATOR(loyalty.-) (a.redeemed OPERATOR(loyalty.+) a.refunded) AS redeemed, OPERATOR(loyalty.-) a.expired AS expired
	FROM (SELECT e.program_id, e.member_id FROM loyalty.fresh_movements e GROUP BY 1, 2) c
	JOIN loyalty.rollup_member r ON r.program_id = c.program_id AND r.member_id = c.member_id AND r.cohort IS NOT NULL
	JOIN loyalty.rollup_month a ON a.program_id = c.program_id AND a.member_id = c.member_id
	UNION ALL
	SELECT 1, v.program_id, m.member_id, date_trunc('month', m.enrolled_at AT TIME ZONE p.time_zone)::date, v.month, v.purchases, v.amount,
		   v.issued, v.redeemed, v.expired
	FROM (SELECT a.program_id, coalesce(g.person_id, a.member_id) AS person_id, a.month, a.purchases, a.amount,
				 a.earned OPERATOR(loyalty.+) a.clawed_back OPERATOR(loyalty.+) a.adjusted AS issued,
				 OPERATOR(loyalty.-) (a.redeemed OPERATOR(loyalty.+) a.refunded) AS redeemed, OPERATOR(loyalty.-) a.expired AS expired
		  FROM (SELECT e.program_id, e.member_id FROM loyalty.fresh_movements e UNION SELECT g.program_id, g.member_id FROM merged g) c
		  JOIN loyalty.rollup_month a ON a.program_id = c.program_id AND a.member_id = c.member_id
		  LEFT JOIN merged g ON g.member_id = a.member_id
		  UNION ALL
		  SELECT e.program_id, coalesce(g.person_id, e.member_id), date_trunc('month', e.day::timestamp)::date, e.purchases, coalesce(e.amount, 0),
				 CASE WHEN e.kind IN ('earn', 'clawback', 'adjust', 'transfer', 'import') THEN e.points ELSE 0 END,
				 CASE WHEN e.kind IN ('redeem', 'refund') THEN OPERATOR(loyalty.-) e.points ELSE 0 END,
				 CASE WHEN e.kind = 'expire' THEN OPERATOR(loyalty.-) e.points ELSE 0 END
		  FROM loyalty.fresh_movements e
		  LEFT JOIN merged g ON g.member_id = e.member_id) v
	JOIN loyalty.member m ON m.member_id = v.person_id
	JOIN loyalty.program p ON p.program_id = v.program_id;
COMMENT ON VIEW loyalty.changed_months IS 'the months by which cohorts differ from their rollups: as they were in them, with weight -1, and as they are; nobody is granted it';
COMMENT ON COLUMN loyalty.changed_months.weight IS '1: to be added; -1: to be taken away';
COMMENT ON COLUMN loyalty.changed_months.program_id IS 'the program';
COMMENT ON COLUMN loyalty.changed_months.person_id IS 'the member whose it is, or who stands for him';
COMMENT ON COLUMN loyalty.changed_months.cohort IS 'first day of the month of his enrollment';
COMMENT ON COLUMN loyalty.changed_months.month IS 'first day of the month; one may stand in several rows';
COMMENT ON COLUMN loyalty.changed_months.purchases IS 'purchases that came to count, less those that ceased to';
COMMENT ON COLUMN loyalty.changed_months.amount IS 'what was bought, less what was returned';
COMMENT ON COLUMN loyalty.changed_months.issued IS 'points that came or were taken, but for redemption and expiry';
COMMENT ON COLUMN loyalty.changed_months.redeemed IS 'points redeemed, less those that came back';
COMMENT ON COLUMN loyalty.changed_months.expired IS 'points expired';

CREATE VIEW loyalty.point_cohorts WITH (security_barrier = true) AS
	SELECT s.program_id, s.cohort, s.month, s.issued, s.redeemed, s.expired
	FROM (SELECT c.program_id, c.cohort, c.month, loyalty.sum(c.issued) AS issued, loyalty.sum(c.redeemed) AS redeemed, loyalty.sum(c.expired) AS expired
		  FROM (SELECT r.program_id, nullif(r.cohort, 'infinity') AS cohort, nullif(r.month, 'infinity') AS month, r.issued, r.redeemed, r.expired
				FROM loyalty.rollup_point_cohort r
				UNION ALL
				SELECT d.program_id, c.cohort, c.month, c.issued, c.redeemed, c.expired
				FROM (SELECT v.program_id, loyalty.cohort_cells(v.weight, v.person_id, v.month, v.issued, v.redeemed, v.expired) AS cells
					  FROM (SELECT v.* FROM loyalty.changed_months v ORDER BY v.program_id, v.weight, v.person_id, v.month) v
					  GROUP BY v.program_id) d
				CROSS JOIN LATERAL unnest(d.cells) c) c
		  GROUP BY 1, 2, 3) s
	JOIN loyalty.program p ON p.program_id = s.program_id
	WHERE loyalty.may_read(p.program_id)
	  AND (s.issued OPERATOR(loyalty.<>) 0 OR s.redeemed OPERATOR(loyalty.<>) 0 OR s.expired OPERATOR(loyalty.<>) 0);
COMMENT ON VIEW loyalty.point_cohorts IS 'points by the month in which they were issued and what became of them in which month: each person''s redemptions and expiries are matched with his points from the oldest on';
COMMENT ON COLUMN loyalty.point_cohorts.program_id IS 'the program';
COMMENT ON COLUMN loyalty.point_cohorts.cohort IS 'first day of the month in which the points were issued; NULL, with the month: what was taken beyond what the person had been given, a debt';
COMMENT ON COLUMN loyalty.point_cohorts.month IS 'first day of the month in which this happened to them';
COMMENT ON COLUMN loyalty.point_cohorts.issued IS 'points earned, imported, adjusted and transferred, as of now: what returns and the like took is taken from the month itself, then from those before it, the last first';
COMMENT ON COLUMN loyalty.point_cohorts.redeemed IS 'points of them redeemed, as of now: what came back from redemptions is taken from the last ones';
COMMENT ON COLUMN loyalty.point_cohorts.expired IS 'points of them expired';

-- Whoever bought in a month is new to it, returns from the month before, or comes
-- back.
CREATE VIEW loyalty.purchase_cohorts WITH (security_barrier = true) AS
	SELECT s.program_id, s.cohort, s.month, s.buyers, s.new_buyers, s.returning_buyers, s.revenue
	FROM (SELECT c.program_id, c.cohort, c.month, sum(c.buyers)::bigint AS buyers, sum(c.new_buyers)::bigint AS new_buyers,
				 sum(c.returning_buyers)::bigint AS returning_buyers, sum(c.revenue) AS revenue
		  FROM (SELECT r.program_id, r.cohort, r.month, r.buyers, r.new_buyers, r.returning_buyers, r.revenue
				FROM loyalty.rollup_purchase_cohort r
				UNION ALL
				SELECT b.program_id, b.cohort, b.month, coalesce(sum(b.weight) FILTER (WHERE b.purchases > 0), 0),
					   coalesce(sum(b.weight) FILTER (WHERE b.purchases > 0 AND b.before IS NULL), 0),
					   coalesce(sum(b.weight) FILTER (WHERE b.purchases > 0 AND b.before = b.month - interval '1 month'), 0), sum(b.weight * b.amount)
				FROM (SELECT v.program_id, v.weight, v.cohort, v.month, v.purchases, v.amount,
							 max(v.month) FILTER (WHERE v.purchases > 0) OVER (PARTITION BY v.program_id, v.weight, v.person_id ORDER BY v.month
																			   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
					  FROM (SELECT v.program_id, v.weight, v.person_id, v.cohort, v.month, sum(v.purchases) AS purchases, sum(v.amount) AS amount
							FROM loyalty.changed_months v
							GROUP BY 1, 2, 3, 4, 5) v) b
				GROUP BY 1, 2, 3) c
		  GROUP BY 1, 2, 3) s
	JOIN loyalty.program p ON p.program_id = s.program_id
	WHERE loyalty.may_read(p.program_id) AND (s.buyers <> 0 OR s.revenue <> 0);
COMMENT ON VIEW loyalty.purchase_cohorts IS 'who bought in a month, and for how much, by month of enrollment';
COMMENT ON COLUMN loyalty.purchase_cohorts.program_id IS 'the program';
COMMENT ON COLUMN loyalty.purchase_cohorts.cohort IS 'first day of the month of enrollment';
COMMENT ON COLUMN loyalty.purchase_cohorts.month IS 'first day of the month of the purchases; before the cohort''s there are purchases that came to count on enrollment';
COMMENT ON COLUMN loyalty.purchase_cohorts.buyers IS 'persons of the cohort who bought in it';
COMMENT ON COLUMN loyalty.purchase_cohorts.new_buyers IS 'of those, who had not bought in a month before';
COMMENT ON COLUMN loyalty.purchase_cohorts.returning_buyers IS 'of those, who had bought in the month before';
COMMENT ON COLUMN loyalty.purchase_cohorts.revenue IS 'what they bought, less what they returned';

CREATE FUNCTION loyalty.cohorts(program text DEFAULT NULL)
	RETURNS TABLE (cohort date, month date, issued loyalty.points, redeemed loyalty.points, expired loyalty.points)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
	AS $$
	SELECT loyalty.report_program($1);
	SELECT c.cohort, c.month, c.issued, c.redeemed, c.expired
	FROM loyalty.point_cohorts c
	-- an error also where nothing is to be read
	WHERE c.program_id = (SELECT loyalty.report_program($1)) AND (SELECT loyalty.report_program($1)) IS NOT NULL
	$$;
COMMENT ON FUNCTION loyalty.cohorts(text) IS 'point_cohorts of a program: what outstanding_by_age, redemption_cohorts and breakage are made of';
