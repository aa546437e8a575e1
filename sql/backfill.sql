--
-- backfill: history earns too
--

CREATE PROCEDURE loyalty.backfill(source text, batch_size integer DEFAULT 10000, program text DEFAULT NULL)
	AS 'MODULE_PATHNAME', 'loyalty_backfill' LANGUAGE C;
COMMENT ON PROCEDURE loyalty.backfill(text, integer, text) IS 'lets the rows that a table already has earn, in order of time, in committed batches; resumes where it was stopped; changes nothing that has earned already';
