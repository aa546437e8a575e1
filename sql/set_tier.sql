--
-- set_tier: a tier given by hand, below which a member does not fall
--

CREATE FUNCTION loyalty.set_tier(member text, tier text, until date DEFAULT NULL, reason text DEFAULT NULL,
								 key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_set_tier' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.set_tier(text, text, date, text, text, timestamptz, text) IS 'gives a member a tier below which he does not fall through a last day (NULL: for good); he still rises above it; tier NULL takes it away';
CREATE FUNCTION loyalty.set_tier(member bigint, tier text, until date DEFAULT NULL, reason text DEFAULT NULL,
								 key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_set_tier' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.set_tier(bigint, text, date, text, text, timestamptz, text) IS 'the same for a numeric customer id';
