--
-- extend: a later last day for points, and expired points that come back
--

CREATE FUNCTION loyalty.extend(member text, ends date, new_ends date, points numeric DEFAULT NULL, reason text DEFAULT NULL,
							   key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_extend' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.extend(text, date, date, numeric, text, text, timestamptz, text) IS 'gives points that end on a day (NULL: the soonest) a later last day; points: how many of them, all by default';
CREATE FUNCTION loyalty.extend(member bigint, ends date, new_ends date, points numeric DEFAULT NULL, reason text DEFAULT NULL,
							   key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_extend' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.extend(bigint, date, date, numeric, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.reinstate(member text, points numeric DEFAULT NULL, expires date DEFAULT NULL, within interval DEFAULT '90 days',
								  reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_reinstate' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.reinstate(text, numeric, date, interval, text, text, timestamptz, text) IS 'brings expired points back (all by default) that expired within an interval and have not come back yet; expires: their new last day, else as the program''s';
CREATE FUNCTION loyalty.reinstate(member bigint, points numeric DEFAULT NULL, expires date DEFAULT NULL, within interval DEFAULT '90 days',
								  reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_reinstate' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.reinstate(bigint, numeric, date, interval, text, text, timestamptz, text) IS 'the same for a numeric customer id';
