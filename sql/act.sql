--
-- act: what moves points by hand; every act answers with a posting
--

CREATE TYPE loyalty.posting AS (
	entry bigint,
	points loyalty.points,
	balance loyalty.points,
	repeated boolean
);
COMMENT ON TYPE loyalty.posting IS 'answer of an act: number of the member''s entry, points moved, points available afterwards, whether the key had been used before';
COMMENT ON COLUMN loyalty.posting.entry IS 'number of the entry for its member';
COMMENT ON COLUMN loyalty.posting.points IS 'points that it added (negative: took)';
COMMENT ON COLUMN loyalty.posting.balance IS 'points available afterwards, below zero in debt';
COMMENT ON COLUMN loyalty.posting.repeated IS 'true when an earlier call with the same key did the work';

CREATE FUNCTION loyalty.adjust(member text, points numeric, expires date DEFAULT NULL, reason text DEFAULT NULL,
							   key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_adjust' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.adjust(text, numeric, date, text, text, timestamptz, text) IS 'adds points (expires: their last day, else as the program''s) or takes them (soonest to expire first, never below zero)';
CREATE FUNCTION loyalty.adjust(member bigint, points numeric, expires date DEFAULT NULL, reason text DEFAULT NULL,
							   key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_adjust' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.adjust(bigint, numeric, date, text, text, timestamptz, text) IS 'the same for a numeric customer id';
