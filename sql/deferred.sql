--
-- deferred: purchases that could not earn yet
--

CREATE TABLE loyalty.deferred (
	source_id integer NOT NULL,
	source_key text COLLATE "C" NOT NULL,
	program_id integer NOT NULL,
	member_ids bigint[] NOT NULL,
	error_code text NOT NULL,
	message text NOT NULL,
	detail text,
	hint text,
	context text,
	attempts integer NOT NULL DEFAULT 1,
	deferred_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	tried_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT deferred_pkey PRIMARY KEY (source_id, source_key)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.deferred', '');
ALTER TABLE loyalty.deferred ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.deferred IS 'purchases that failed to earn, with the cause; maintain tries them again';
COMMENT ON COLUMN loyalty.deferred.source_id IS 'the source';
COMMENT ON COLUMN loyalty.deferred.source_key IS 'key of the purchase';
COMMENT ON COLUMN loyalty.deferred.program_id IS 'the program';
COMMENT ON COLUMN loyalty.deferred.member_ids IS 'members who may have entries of it';
COMMENT ON COLUMN loyalty.deferred.error_code IS 'SQLSTATE of the last failure';
COMMENT ON COLUMN loyalty.deferred.message IS 'its message';
COMMENT ON COLUMN loyalty.deferred.detail IS 'its detail';
COMMENT ON COLUMN loyalty.deferred.hint IS 'its hint';
COMMENT ON COLUMN loyalty.deferred.context IS 'where it came up, for instance in the condition of which rule';
COMMENT ON COLUMN loyalty.deferred.attempts IS 'how often it was tried';
COMMENT ON COLUMN loyalty.deferred.deferred_at IS 'when it failed first';
COMMENT ON COLUMN loyalty.deferred.tried_at IS 'when it failed last';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.deferred
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.deferred IS 'written only by the engine';
