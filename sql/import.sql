--
-- import: members who come from another system
--

CREATE TABLE loyalty.import_failure (
	program_id integer NOT NULL,
	key text COLLATE "C" NOT NULL,
	ref text COLLATE "C" NOT NULL,
	error_code text NOT NULL,
	message text NOT NULL,
	detail text,
	failed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	CONSTRAINT import_failure_pkey PRIMARY KEY (program_id, key, ref)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.import_failure', '');
ALTER TABLE loyalty.import_failure ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.import_failure IS 'members whom the last run of an import could not take, with the cause; started again, it tries them again';
COMMENT ON COLUMN loyalty.import_failure.program_id IS 'the program';
COMMENT ON COLUMN loyalty.import_failure.key IS 'key of the import';
COMMENT ON COLUMN loyalty.import_failure.ref IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.import_failure.error_code IS 'SQLSTATE of the failure';
COMMENT ON COLUMN loyalty.import_failure.message IS 'its message';
COMMENT ON COLUMN loyalty.import_failure.detail IS 'its detail';
COMMENT ON COLUMN loyalty.import_failure.failed_at IS 'when it failed';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.import_failure
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.import_failure IS 'written only by the engine';

CREATE PROCEDURE loyalty.import_balance(source text, key text, at timestamptz DEFAULT NULL, program text DEFAULT NULL, batch_size integer DEFAULT 1000)
	AS 'MODULE_PATHNAME', 'loyalty_import_balance' LANGUAGE C;
COMMENT ON PROCEDURE loyalty.import_balance(text, text, timestamptz, text, integer) IS 'takes over members with their points, tiers and profiles from a table or query, in committed batches; started again with the same key it goes on where it was stopped, and changes nothing that is imported already';
