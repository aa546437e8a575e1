--
-- record: events and purchases that no table holds
--

CREATE FUNCTION loyalty.record(member text, event text, amount numeric DEFAULT NULL, data jsonb DEFAULT NULL,
							   lines jsonb DEFAULT NULL, reason text DEFAULT NULL, key text DEFAULT NULL,
							   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_record' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.record(text, text, numeric, jsonb, jsonb, text, text, timestamptz, text) IS 'gives what the rules about an event (review, signup, survey and so on) or about a purchase that no table holds give; lines is an array of objects of amount, quantity, item, category, channel, store, currency, at and data; amount beside them must be their sum';
CREATE FUNCTION loyalty.record(member bigint, event text, amount numeric DEFAULT NULL, data jsonb DEFAULT NULL,
							   lines jsonb DEFAULT NULL, reason text DEFAULT NULL, key text DEFAULT NULL,
							   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_record' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.record(bigint, text, numeric, jsonb, jsonb, text, text, timestamptz, text) IS 'the same for a numeric customer id';
