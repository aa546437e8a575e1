--
-- forget: persons of whom nothing is to be known any more
--

-- Who was forgotten, when and by whom: by the pseudonym's number, nothing else.
CREATE TABLE loyalty.forgotten (
	member_id bigint CONSTRAINT forgotten_pkey PRIMARY KEY,
	seq bigint NOT NULL,
	forgotten_at timestamptz NOT NULL,
	program_id integer NOT NULL,
	role text COLLATE "C" NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.forgotten', '');
ALTER TABLE loyalty.forgotten ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.forgotten IS 'members who have been forgotten; written only by the engine';
COMMENT ON COLUMN loyalty.forgotten.member_id IS 'the member';
COMMENT ON COLUMN loyalty.forgotten.seq IS 'number of his last entry, which says so';
COMMENT ON COLUMN loyalty.forgotten.forgotten_at IS 'when';
COMMENT ON COLUMN loyalty.forgotten.program_id IS 'the program';
COMMENT ON COLUMN loyalty.forgotten.role IS 'the role that asked for it; of retention the role that called maintain';
CREATE INDEX forgotten_program_idx ON loyalty.forgotten (program_id);
COMMENT ON INDEX loyalty.forgotten_program_idx IS 'whether a program has any';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.forgotten
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history');
COMMENT ON TRIGGER guard ON loyalty.forgotten IS 'history is never rewritten';

-- The order of a forgotten customer may be another one's later, or lose its
-- customer and get another: it has earned already.
CREATE TABLE loyalty.forgotten_purchase (
	source_id integer NOT NULL,
	source_key text COLLATE "C" NOT NULL,
	member_id bigint NOT NULL,
	program_id integer NOT NULL,
	CONSTRAINT forgotten_purchase_pkey PRIMARY KEY (source_id, source_key)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.forgotten_purchase', '');
ALTER TABLE loyalty.forgotten_purchase ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.forgotten_purchase IS 'purchases of forgotten members whose rows have changed hands since: they earn nothing again; written only by the engine';
COMMENT ON COLUMN loyalty.forgotten_purchase.source_id IS 'the source';
COMMENT ON COLUMN loyalty.forgotten_purchase.source_key IS 'key of the purchase';
COMMENT ON COLUMN loyalty.forgotten_purchase.member_id IS 'the forgotten member who had it';
COMMENT ON COLUMN loyalty.forgotten_purchase.program_id IS 'the program';
CREATE INDEX forgotten_purchase_program_idx ON loyalty.forgotten_purchase (program_id);
COMMENT ON INDEX loyalty.forgotten_purchase_program_idx IS 'whether a program has any';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.forgotten_purchase
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history');
COMMENT ON TRIGGER guard ON loyalty.forgotten_purchase IS 'history is never rewritten';

CREATE FUNCTION loyalty.forget_member(member text, reason text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'loyalty_forget_member' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.forget_member(text, text, timestamptz, text) IS 'erases what is known of a person, for good, and writes off what is left; the ledger stays, under the pseudonym that is returned';
CREATE FUNCTION loyalty.forget_member(member bigint, reason text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'loyalty_forget_member' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.forget_member(bigint, text, timestamptz, text) IS 'the same for a numeric customer id';
