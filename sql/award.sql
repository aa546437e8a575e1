-- award: what a rule gives

CREATE TYPE loyalty.award;

CREATE FUNCTION loyalty.award_in(pg_catalog.cstring) RETURNS loyalty.award
	AS 'MODULE_PATHNAME', 'loyalty_award_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.award_in(pg_catalog.cstring) IS 'I/O';

CREATE FUNCTION loyalty.award_out(loyalty.award) RETURNS pg_catalog.cstring
	AS 'MODULE_PATHNAME', 'loyalty_award_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.award_out(loyalty.award) IS 'I/O';

CREATE FUNCTION loyalty.award_recv(pg_catalog.internal) RETURNS loyalty.award
	AS 'MODULE_PATHNAME', 'loyalty_award_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.award_recv(pg_catalog.internal) IS 'I/O';

CREATE FUNCTION loyalty.award_send(loyalty.award) RETURNS pg_catalog.bytea
	AS 'MODULE_PATHNAME', 'loyalty_award_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.award_send(loyalty.award) IS 'I/O';

CREATE TYPE loyalty.award (
	INPUT = loyalty.award_in,
	OUTPUT = loyalty.award_out,
	RECEIVE = loyalty.award_recv,
	SEND = loyalty.award_send,
	INTERNALLENGTH = 24,
	ALIGNMENT = double,
	STORAGE = plain
);
COMMENT ON TYPE loyalty.award IS 'what a rule gives: 1 per 10, 1 per full 10, 2 each, 5%, 100 or x2';

-- equality

CREATE FUNCTION loyalty.award_eq(loyalty.award, loyalty.award) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_award_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.award_eq(loyalty.award, loyalty.award) IS 'implementation of = operator';

CREATE FUNCTION loyalty.award_ne(loyalty.award, loyalty.award) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_award_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.award_ne(loyalty.award, loyalty.award) IS 'implementation of <> operator';

CREATE OPERATOR loyalty.= (
	LEFTARG = loyalty.award, RIGHTARG = loyalty.award, FUNCTION = loyalty.award_eq,
	COMMUTATOR = OPERATOR(loyalty.=), NEGATOR = OPERATOR(loyalty.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES
);
COMMENT ON OPERATOR loyalty.= (loyalty.award, loyalty.award) IS 'equal';

CREATE OPERATOR loyalty.<> (
	LEFTARG = loyalty.award, RIGHTARG = loyalty.award, FUNCTION = loyalty.award_ne,
	COMMUTATOR = OPERATOR(loyalty.<>), NEGATOR = OPERATOR(loyalty.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR loyalty.<> (loyalty.award, loyalty.award) IS 'not equal';

-- hashing

CREATE FUNCTION loyalty.award_hash(loyalty.award) RETURNS pg_catalog.int4
	AS 'MODULE_PATHNAME', 'loyalty_award_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.award_hash(loyalty.award) IS 'hash';

CREATE FUNCTION loyalty.award_hash_extended(loyalty.award, pg_catalog.int8) RETURNS pg_catalog.int8
	AS 'MODULE_PATHNAME', 'loyalty_award_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.award_hash_extended(loyalty.award, pg_catalog.int8) IS 'hash with a seed';

CREATE OPERATOR FAMILY loyalty.award_hash_ops USING hash;
COMMENT ON OPERATOR FAMILY loyalty.award_hash_ops USING hash IS 'hashing of awards';

CREATE OPERATOR CLASS loyalty.award_hash_ops
	DEFAULT FOR TYPE loyalty.award USING hash FAMILY loyalty.award_hash_ops AS
	OPERATOR 1 loyalty.= (loyalty.award, loyalty.award),
	FUNCTION 1 loyalty.award_hash(loyalty.award),
	FUNCTION 2 loyalty.award_hash_extended(loyalty.award, pg_catalog.int8);
COMMENT ON OPERATOR CLASS loyalty.award_hash_ops USING hash IS 'hashing of awards';
