--
-- outlook: tiers as a member sees them
--

CREATE FUNCTION loyalty.tier_outlook(member text, at timestamptz DEFAULT NULL, program text DEFAULT NULL,
									 OUT tier text, OUT rank integer, OUT since timestamptz, OUT until date, OUT projected text,
									 OUT floor text, OUT floor_until date,
									 OUT window_start date, OUT window_end date,
									 OUT amount numeric, OUT points loyalty.points, OUT purchases bigint, OUT match text,
									 OUT keep_amount numeric, OUT keep_points loyalty.points, OUT keep_purchases bigint, OUT keep_by date,
									 OUT next_tier text, OUT next_amount numeric, OUT next_points loyalty.points, OUT next_purchases bigint)
	AS 'MODULE_PATHNAME', 'loyalty_tier_outlook' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.tier_outlook(text, timestamptz, text) IS 'a member''s tier, until when he has it and what follows if nothing else happens, what counts in the window, and what is missing to keep it and to reach the next one; where match is any, one of the figures that are missing is enough';
CREATE FUNCTION loyalty.tier_outlook(member bigint, at timestamptz DEFAULT NULL, program text DEFAULT NULL,
									 OUT tier text, OUT rank integer, OUT since timestamptz, OUT until date, OUT projected text,
									 OUT floor text, OUT floor_until date,
									 OUT window_start date, OUT window_end date,
									 OUT amount numeric, OUT points loyalty.points, OUT purchases bigint, OUT match text,
									 OUT keep_amount numeric, OUT keep_points loyalty.points, OUT keep_purchases bigint, OUT keep_by date,
									 OUT next_tier text, OUT next_amount numeric, OUT next_points loyalty.points, OUT next_purchases bigint)
	AS 'MODULE_PATHNAME', 'loyalty_tier_outlook' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.tier_outlook(bigint, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.tier_progress(member text, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (tier text, rank integer, reached boolean,
				   missing_amount numeric, missing_points loyalty.points, missing_purchases bigint)
	AS 'MODULE_PATHNAME', 'loyalty_tier_progress' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.tier_progress(text, timestamptz, text) IS 'for each tier, lowest first, whether what counts in the window of the day reaches it, and what is missing: one of the figures where the program''s tier_match is any; NULL: not asked, reached NULL: only given by hand';
CREATE FUNCTION loyalty.tier_progress(member bigint, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (tier text, rank integer, reached boolean,
				   missing_amount numeric, missing_points loyalty.points, missing_purchases bigint)
	AS 'MODULE_PATHNAME', 'loyalty_tier_progress' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.tier_progress(bigint, timestamptz, text) IS 'the same for a numeric customer id';
