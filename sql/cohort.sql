--
-- cohort: points by the month of their issue
--

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
COMMENT ON VIEW loyalty.point_cohorts IS 'points by the month in which they were issued and what became of them in which month: each person''s redemptions and expiries are matched with his points from the oldest on';
COMMENT ON COLUMN loyalty.point_cohorts.program_id IS 'the program';
COMMENT ON COLUMN loyalty.point_cohorts.cohort IS 'first day of the month in which the points were issued; NULL, with the month: what was taken beyond what the person had been given, a debt';
COMMENT ON COLUMN loyalty.point_cohorts.month IS 'first day of the month in which this happened to them';
COMMENT ON COLUMN loyalty.point_cohorts.issued IS 'points earned, imported, adjusted and transferred, as of now: what returns and the like took is taken from the month itself, then from those before it, the last first';
COMMENT ON COLUMN loyalty.point_cohorts.redeemed IS 'points of them redeemed, as of now: what came back from redemptions is taken from the last ones';
COMMENT ON COLUMN loyalty.point_cohorts.expired IS 'points of them expired';

-- Who redeemed what is worked out anew each time; of millions of members that
-- takes long, and here is what it came to.
CREATE TABLE loyalty.kept_cohort (
	program_id integer NOT NULL,
	cohort date NOT NULL,
	month date NOT NULL,
	issued loyalty.points NOT NULL,
	redeemed loyalty.points NOT NULL,
	expired loyalty.points NOT NULL,
	kept_at timestamptz NOT NULL,
	CONSTRAINT kept_cohort_pkey PRIMARY KEY (program_id, cohort, month)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.kept_cohort', '');
ALTER TABLE loyalty.kept_cohort ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.kept_cohort IS 'point_cohorts of programs for which keep_cohorts was called, as it was then; written only by the engine';
COMMENT ON COLUMN loyalty.kept_cohort.program_id IS 'the program';
COMMENT ON COLUMN loyalty.kept_cohort.cohort IS 'first day of the month in which the points were issued; infinity: a debt';
COMMENT ON COLUMN loyalty.kept_cohort.month IS 'first day of the month in which this happened to them; infinity: a debt';
COMMENT ON COLUMN loyalty.kept_cohort.issued IS 'points issued, less what was taken back';
COMMENT ON COLUMN loyalty.kept_cohort.redeemed IS 'points of them redeemed';
COMMENT ON COLUMN loyalty.kept_cohort.expired IS 'points of them expired';
COMMENT ON COLUMN loyalty.kept_cohort.kept_at IS 'when it was so: start of the transaction';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.kept_cohort
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.kept_cohort IS 'written only by the engine';

CREATE FUNCTION loyalty.keep_cohorts(keep boolean DEFAULT true, program text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_keep_cohorts' LANGUAGE C VOLATILE
	SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '256MB';
COMMENT ON FUNCTION loyalty.keep_cohorts(boolean, text) IS 'works out point_cohorts of a program, from which on outstanding_by_age, redemption_cohorts, breakage and expiry_forecast answer as of now, at once, until it is called again; false: forgets it, and they work it out themselves again; returns how many rows are kept';

CREATE FUNCTION loyalty.cohorts(program text DEFAULT NULL)
	RETURNS TABLE (cohort date, month date, issued loyalty.points, redeemed loyalty.points, expired loyalty.points, kept_at timestamptz)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
	AS $$
	SELECT nullif(k.cohort, 'infinity'), nullif(k.month, 'infinity'), k.issued, k.redeemed, k.expired, k.kept_at
	FROM loyalty.kept_cohort k
	WHERE k.program_id = (SELECT loyalty.report_program($1))
	UNION ALL
	SELECT c.cohort, c.month, c.issued, c.redeemed, c.expired, NULL
	FROM loyalty.point_cohorts c
	WHERE c.program_id = (SELECT loyalty.report_program($1))
	  AND NOT EXISTS (SELECT FROM loyalty.kept_cohort k WHERE k.program_id = (SELECT loyalty.report_program($1)))
	$$;
COMMENT ON FUNCTION loyalty.cohorts(text) IS 'point_cohorts of a program: as keep_cohorts kept it at kept_at, else as it is now (kept_at NULL); what outstanding_by_age, redemption_cohorts and breakage are made of';
