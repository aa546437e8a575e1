--
-- maintain: what time and failures leave to be done
--

CREATE PROCEDURE loyalty.maintain(at timestamptz DEFAULT NULL, program text DEFAULT NULL, batch_size integer DEFAULT 1000)
	AS 'MODULE_PATHNAME', 'loyalty_maintain' LANGUAGE C;
COMMENT ON PROCEDURE loyalty.maintain(timestamptz, text, integer) IS 'tries deferred purchases again, in committed batches';
