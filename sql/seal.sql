--
-- seal: proof to others that history is what it was
--

-- What is published of a seal is its hash, which covers all before it; nothing
-- in here has to be believed.
CREATE TABLE loyalty.seal (
	program_id integer NOT NULL,
	seal integer NOT NULL,
	sealed_at timestamptz NOT NULL,
	members bigint NOT NULL,
	changed bigint NOT NULL,
	root bytea NOT NULL,
	previous bytea NOT NULL,
	hash bytea NOT NULL,
	part_members bigint[] NOT NULL,
	part_roots bytea[] NOT NULL,
	CONSTRAINT seal_pkey PRIMARY KEY (program_id, seal)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.seal', '');
ALTER TABLE loyalty.seal ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.seal IS 'seals over the history of all members of a program, append-only; written only by the engine';
COMMENT ON COLUMN loyalty.seal.program_id IS 'the program';
COMMENT ON COLUMN loyalty.seal.seal IS 'number of the seal for its program, 1, 2, 3 and so on without gaps';
COMMENT ON COLUMN loyalty.seal.sealed_at IS 'when the members were read';
COMMENT ON COLUMN loyalty.seal.members IS 'how many there were, those without entries and merged ones too';
COMMENT ON COLUMN loyalty.seal.changed IS 'how many of them have got a leaf with this seal: newcomers, and who got entries since the seal before';
COMMENT ON COLUMN loyalty.seal.root IS 'root of the Merkle tree (RFC 6962) over the leaves of all members, in order of member_id';
COMMENT ON COLUMN loyalty.seal.previous IS 'hash of the seal before; empty: it is the first';
COMMENT ON COLUMN loyalty.seal.hash IS 'sha256 over all before in this row but "changed", and the program''s name: what is published';
COMMENT ON COLUMN loyalty.seal.part_members IS 'each 1024th leaf''s member, from the first on, so that a proof need not read all leaves';
COMMENT ON COLUMN loyalty.seal.part_roots IS 'root of the subtree over each 1024 leaves';

-- A leaf stands for all seals up to the member's next one.
CREATE TABLE loyalty.seal_leaf (
	member_id bigint NOT NULL,
	seq bigint NOT NULL,
	program_id integer NOT NULL,
	seal integer NOT NULL,
	head bytea NOT NULL,
	CONSTRAINT seal_leaf_pkey PRIMARY KEY (member_id, seal)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.seal_leaf', '');
ALTER TABLE loyalty.seal_leaf ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.seal_leaf IS 'what seals found of members that they had not found before, append-only; written only by the engine';
COMMENT ON COLUMN loyalty.seal_leaf.member_id IS 'the member';
COMMENT ON COLUMN loyalty.seal_leaf.seq IS 'number of his last entry; 0: he had none';
COMMENT ON COLUMN loyalty.seal_leaf.program_id IS 'the program';
COMMENT ON COLUMN loyalty.seal_leaf.seal IS 'number of the first seal that found that';
COMMENT ON COLUMN loyalty.seal_leaf.head IS 'hash of that entry, which covers all before it; empty: he had none';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.seal
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history');
COMMENT ON TRIGGER guard ON loyalty.seal IS 'what was sealed stays sealed';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.seal_leaf
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history');
COMMENT ON TRIGGER guard ON loyalty.seal_leaf IS 'what was sealed stays sealed';

CREATE VIEW loyalty.seals WITH (security_barrier) AS
	SELECT p.name AS program, s.seal, s.sealed_at, s.members, s.changed,
		   pg_catalog.encode(s.root, 'hex') AS root,
		   pg_catalog.encode(s.previous, 'hex') AS previous,
		   pg_catalog.encode(s.hash, 'hex') AS hash
	FROM loyalty.seal s
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) s.program_id
	WHERE loyalty.may_see(s.program_id)
	ORDER BY p.name, s.seal;
COMMENT ON VIEW loyalty.seals IS 'seals, to be read and published';
COMMENT ON COLUMN loyalty.seals.program IS 'name of the program';
COMMENT ON COLUMN loyalty.seals.seal IS 'number of the seal, 1, 2, 3 and so on';
COMMENT ON COLUMN loyalty.seals.sealed_at IS 'when it was made';
COMMENT ON COLUMN loyalty.seals.members IS 'members of the program then';
COMMENT ON COLUMN loyalty.seals.changed IS 'newcomers, and who got entries since the seal before';
COMMENT ON COLUMN loyalty.seals.root IS 'root of the Merkle tree over the last hash of each member, in hex';
COMMENT ON COLUMN loyalty.seals.previous IS 'hash of the seal before, in hex; empty: it is the first';
COMMENT ON COLUMN loyalty.seals.hash IS 'what is to be published, in hex: it covers program, number, time, members, root and the seal before';

CREATE FUNCTION loyalty.seal(program text DEFAULT NULL) RETURNS loyalty.seals
	AS 'MODULE_PATHNAME', 'loyalty_seal' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.seal(text) IS 'seals the history of all members of a program as it is now, and answers what is to be published';

CREATE FUNCTION loyalty.proof(member text, seal integer DEFAULT NULL, program text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'loyalty_proof' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.proof(text, integer, text) IS 'what proves to others that a member''s history is under a seal, the last one by default';
CREATE FUNCTION loyalty.proof(member bigint, seal integer DEFAULT NULL, program text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'loyalty_proof' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.proof(bigint, integer, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.check_proof(proof jsonb, root text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_check_proof' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.check_proof(jsonb, text) IS 'whether a proof holds against the published hash of a seal, in hex, or against its root alone, which leaves its time open; reads no table';
CREATE FUNCTION loyalty.check_proof(proof jsonb, root bytea) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_check_proof_bytes' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.check_proof(jsonb, bytea) IS 'the same for a hash in bytes';

CREATE FUNCTION loyalty.history(member text, program text DEFAULT NULL)
	RETURNS TABLE (seq bigint, bytes bytea, hash bytea)
	AS 'MODULE_PATHNAME', 'loyalty_history' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.history(text, text) IS 'a member''s entries as they were hashed: each hash is the sha256 of the hash before it and these bytes; the head in a proof is one of them';
CREATE FUNCTION loyalty.history(member bigint, program text DEFAULT NULL)
	RETURNS TABLE (seq bigint, bytes bytea, hash bytea)
	AS 'MODULE_PATHNAME', 'loyalty_history' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.history(bigint, text) IS 'the same for a numeric customer id';
