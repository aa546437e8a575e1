--
-- quote: what an event or a purchase would give
--

-- Unsafe in parallel: rules are compiled in subtransactions.
CREATE FUNCTION loyalty.quote(member text, event text DEFAULT 'purchase', amount numeric DEFAULT NULL, data jsonb DEFAULT NULL,
							  lines jsonb DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (rule text, points loyalty.points, awaiting loyalty.points)
	AS 'MODULE_PATHNAME', 'loyalty_quote' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 5;
COMMENT ON FUNCTION loyalty.quote(text, text, numeric, jsonb, jsonb, timestamptz, text) IS 'what record would give at a time, rule by rule, those that multiply last; writes and locks nothing, and runs on a standby; member NULL: anybody new; awaiting: points that would await confirmation, and be given once accepted';
CREATE FUNCTION loyalty.quote(member bigint, event text DEFAULT 'purchase', amount numeric DEFAULT NULL, data jsonb DEFAULT NULL,
							  lines jsonb DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (rule text, points loyalty.points, awaiting loyalty.points)
	AS 'MODULE_PATHNAME', 'loyalty_quote' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 5;
COMMENT ON FUNCTION loyalty.quote(bigint, text, numeric, jsonb, jsonb, timestamptz, text) IS 'the same for a numeric customer id';
