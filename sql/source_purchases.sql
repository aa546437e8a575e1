--
-- source_purchases: what the shop sold, members' and others'
--

-- Unsafe in parallel: rows are read in subtransactions, so that one that cannot
-- be read does not stop the others.  So many rows that what they are joined to,
-- above all the members, is hashed, and not the purchases.
CREATE FUNCTION loyalty.source_purchases(program text DEFAULT NULL)
	RETURNS TABLE (source_id integer, source text, key text, member text, at timestamptz, amount numeric, channel text, store text)
	AS 'MODULE_PATHNAME', 'loyalty_source_purchases' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 10000000;
COMMENT ON FUNCTION loyalty.source_purchases(text) IS 'the purchases of the program''s attached tables and queries that count, as their rows now are, guests'' (member NULL) and those from before an enrollment too; time NULL: neither the row nor the ledger knows it; amount in the program''s currency; channel and store where all lines share them. Whoever may read the program sees these mapped columns of the shop''s tables, which are read with their owner''s rights, whatever he may read of the tables themselves';
