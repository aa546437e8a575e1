--
-- explain: why a purchase earned what it earned
--

-- Unsafe in parallel: rules are compiled in subtransactions.
CREATE FUNCTION loyalty.explain(source text, key text, member text DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (rule text, facts jsonb, amount numeric, points loyalty.points, why text)
	AS 'MODULE_PATHNAME', 'loyalty_explain' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION loyalty.explain(text, text, text, text) IS 'each rule that could have rewarded a purchase, those that multiply last: the facts that it read, the amount of the lines that it applies to, the points that stand, and why. Source: the name of a source, or api for what record recorded. Member: whose entries, by default those of the row''s member, or of whoever has some (without a row that takes a look at all entries). A row without a rule is about the purchase as a whole';
CREATE FUNCTION loyalty.explain(source text, key bigint, member text DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (rule text, facts jsonb, amount numeric, points loyalty.points, why text)
	AS 'MODULE_PATHNAME', 'loyalty_explain' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION loyalty.explain(text, bigint, text, text) IS 'the same for a numeric key';
