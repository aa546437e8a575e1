--
-- estimate: what is expected of points, for the accounts
--

-- Append-only: what is known now and what was known when a period was closed
-- are both there.
CREATE TABLE loyalty.estimate (
	estimate_no bigint GENERATED ALWAYS AS IDENTITY
		CONSTRAINT estimate_pkey PRIMARY KEY,
	program_id integer NOT NULL,
	kind text COLLATE "C" NOT NULL
		CONSTRAINT estimate_kind_check CHECK (kind IN ('redemption_rate', 'point_value', 'point_cost')),
	from_day date NOT NULL
		CONSTRAINT estimate_from_day_check CHECK (from_day < 'infinity'),
	-- NaN is greater than Infinity.
	value numeric NOT NULL
		CONSTRAINT estimate_value_check CHECK (value >= 0 AND value < 'Infinity'
			AND (kind <> 'redemption_rate' OR value <= 1) AND (kind <> 'point_value' OR value > 0)),
	made_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	made_by text COLLATE "C" NOT NULL,
	note text
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.estimate', '');
SELECT pg_catalog.pg_extension_config_dump('loyalty.estimate_estimate_no_seq', '');
ALTER TABLE loyalty.estimate ENABLE ROW LEVEL SECURITY;
COMMENT ON SEQUENCE loyalty.estimate_estimate_no_seq IS 'numbers for estimate.estimate_no';
COMMENT ON TABLE loyalty.estimate IS 'what is expected of points and what they are worth, append-only; written by set_estimate';
COMMENT ON COLUMN loyalty.estimate.estimate_no IS 'number of the estimate; later ones are greater';
COMMENT ON COLUMN loyalty.estimate.program_id IS 'the program';
COMMENT ON COLUMN loyalty.estimate.kind IS 'redemption_rate: share of the points issued that will be redeemed; point_value: stand-alone selling price of a point that is redeemed; point_cost: what it costs to fulfil one';
COMMENT ON COLUMN loyalty.estimate.from_day IS 'from which day on it holds, in the program''s time zone; -infinity: it always has';
COMMENT ON COLUMN loyalty.estimate.value IS 'a share from 0 to 1, or money in the program''s currency';
COMMENT ON COLUMN loyalty.estimate.made_at IS 'when it was made: start of the transaction; of two for one day the later one holds';
COMMENT ON COLUMN loyalty.estimate.made_by IS 'the role that made it';
COMMENT ON COLUMN loyalty.estimate.note IS 'what it rests on';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.estimate
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history');
COMMENT ON TRIGGER guard ON loyalty.estimate IS 'estimates are never rewritten';
CREATE TRIGGER audit AFTER INSERT ON loyalty.estimate
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.estimate IS 'shows estimates among the changes of configuration';

CREATE FUNCTION loyalty.set_estimate(kind text, value numeric, from_day date DEFAULT NULL, note text DEFAULT NULL,
									 program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_set_estimate' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.set_estimate(text, numeric, date, text, text) IS 'makes an estimate (redemption_rate, point_value or point_cost) that holds from a day on, today by default; earlier ones stay';

-- Where nobody has estimated, no point is expected to lapse, and a point is
-- worth what the program said on that day, which its changes still tell.  Before
-- it first said so, that first value.
CREATE FUNCTION loyalty.estimates(known_at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (kind text, from_day date, until_day date, value numeric, made_at timestamptz, made_by text, note text)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($2);
	WITH subject AS (
		SELECT p.program_id, p.time_zone, p.point_value
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($2))
	), change AS (
		SELECT c.change_no, c.at, (c.at AT TIME ZONE s.time_zone)::date AS day, c.role,
			   (c.old ->> 'point_value')::numeric AS old, (c.new ->> 'point_value')::numeric AS new
		FROM subject s
		JOIN loyalty.config_change c ON c.program_id = s.program_id
		WHERE c.what = 'program' AND c.operation = 'UPDATE' AND c.new ? 'point_value'
	), made AS (
		SELECT DISTINCT ON (e.kind, e.from_day) e.kind, e.from_day, e.value, e.made_at, e.made_by, e.note
		FROM subject s
		JOIN loyalty.estimate e ON e.program_id = s.program_id
		WHERE $1 IS NULL OR e.made_at <= $1
		ORDER BY e.kind, e.from_day, e.made_at DESC, e.estimate_no DESC
	), basis (kind, from_day, value, made_at, made_by, note) AS (
		SELECT 'redemption_rate', '-infinity'::date, 1::numeric, NULL::timestamptz, NULL, 'by default'
		FROM subject
		UNION ALL
		SELECT 'point_value', '-infinity', CASE WHEN NOT EXISTS (SELECT FROM change) THEN s.point_value
				ELSE coalesce((SELECT c.old FROM change c ORDER BY c.change_no LIMIT 1),
							  (SELECT c.new FROM change c WHERE c.new IS NOT NULL AND ($1 IS NULL OR c.at <= $1)
							   ORDER BY c.change_no LIMIT 1)) END,
			   NULL, NULL, 'program.point_value'
		FROM subject s
		UNION ALL
		(SELECT DISTINCT ON (c.day) 'point_value', c.day, c.new, c.at, c.role, 'program.point_value'
		 FROM change c
		 WHERE $1 IS NULL OR c.at <= $1
		 ORDER BY c.day, c.change_no DESC)
	)
	SELECT e.kind, e.from_day, lead(e.from_day) OVER (PARTITION BY e.kind ORDER BY e.from_day), e.value, e.made_at, e.made_by, e.note
	FROM (SELECT m.* FROM made m
		  UNION ALL
		  SELECT b.* FROM basis b
		  WHERE NOT EXISTS (SELECT FROM made m WHERE m.kind = b.kind AND m.from_day <= b.from_day)) e
	ORDER BY 1, 2
	$$;
COMMENT ON FUNCTION loyalty.estimates(timestamptz, text) IS 'which estimate held from which day on, as it was known at a time, now by default; where there is none, no point is expected to lapse and program.point_value is its value';
