--
-- transfer: points that one member gives to another
--

CREATE FUNCTION loyalty.transfer(from_member text, to_member text, points numeric, reason text DEFAULT NULL,
								 key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_transfer' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.transfer(text, text, numeric, text, text, timestamptz, text) IS 'gives points of one member to another, soonest to expire first, under the program''s limits; answers the giver''s posting';
CREATE FUNCTION loyalty.transfer(from_member bigint, to_member bigint, points numeric, reason text DEFAULT NULL,
								 key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_transfer' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.transfer(bigint, bigint, numeric, text, text, timestamptz, text) IS 'the same for numeric customer ids';
