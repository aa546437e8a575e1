--
-- guard: what only the engine writes
--

CREATE FUNCTION loyalty.engine_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_engine_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.engine_guard() IS 'refuses what anybody but the engine writes; with the argument history also what the engine changes, but for the columns that are named';
