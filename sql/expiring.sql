--
-- expiring: what members are about to lose
--

CREATE FUNCTION loyalty.expiring(program text DEFAULT NULL, within interval DEFAULT '30 days', at timestamptz DEFAULT NULL)
	RETURNS TABLE (member text, points loyalty.points, ends date)
	AS 'MODULE_PATHNAME', 'loyalty_expiring' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000;
COMMENT ON FUNCTION loyalty.expiring(text, interval, timestamptz) IS 'points whose last day comes within an interval from a time (now by default), one row for each member and last day: what the member loses if nothing is done until then, by inactivity too';
