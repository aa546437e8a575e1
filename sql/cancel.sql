--
-- cancel: undoing an act, whole or in part
--

CREATE FUNCTION loyalty.cancel(member text, entry bigint, points numeric DEFAULT NULL, reason text DEFAULT NULL,
							   key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_cancel' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.cancel(text, bigint, numeric, text, text, timestamptz, text) IS 'undoes what an entry of a member did, or so many points of it: what was taken goes back into the lots it came from, what was given is taken again, a transfer goes the other way, a hold is released';
CREATE FUNCTION loyalty.cancel(member bigint, entry bigint, points numeric DEFAULT NULL, reason text DEFAULT NULL,
							   key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_cancel' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.cancel(bigint, bigint, numeric, text, text, timestamptz, text) IS 'the same for a numeric customer id';
