-- voucher_code: a random code with a check character, for people to read and type.
--
-- Text becomes a code, and a code text, by the casts that every type has:
-- '7kq4 9xmt 2r8w'::text::loyalty.voucher_code.

CREATE TYPE loyalty.voucher_code;

CREATE FUNCTION loyalty.voucher_code_in(pg_catalog.cstring) RETURNS loyalty.voucher_code
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_in(pg_catalog.cstring) IS 'I/O';

CREATE FUNCTION loyalty.voucher_code_out(loyalty.voucher_code) RETURNS pg_catalog.cstring
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_out(loyalty.voucher_code) IS 'I/O';

CREATE FUNCTION loyalty.voucher_code_recv(pg_catalog.internal) RETURNS loyalty.voucher_code
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_recv(pg_catalog.internal) IS 'I/O';

CREATE FUNCTION loyalty.voucher_code_send(loyalty.voucher_code) RETURNS pg_catalog.bytea
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_send(loyalty.voucher_code) IS 'I/O';

CREATE TYPE loyalty.voucher_code (
	INPUT = loyalty.voucher_code_in,
	OUTPUT = loyalty.voucher_code_out,
	RECEIVE = loyalty.voucher_code_recv,
	SEND = loyalty.voucher_code_send,
	LIKE = pg_catalog.int8
);
COMMENT ON TYPE loyalty.voucher_code IS 'random code with a check character: 7KQ4-9XMT-2R8W; case and hyphens do not matter, O is read as 0, I and L as 1';

-- comparison

CREATE FUNCTION loyalty.voucher_code_eq(loyalty.voucher_code, loyalty.voucher_code) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_eq(loyalty.voucher_code, loyalty.voucher_code) IS 'implementation of = operator';

CREATE FUNCTION loyalty.voucher_code_ne(loyalty.voucher_code, loyalty.voucher_code) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_ne(loyalty.voucher_code, loyalty.voucher_code) IS 'implementation of <> operator';

CREATE FUNCTION loyalty.voucher_code_lt(loyalty.voucher_code, loyalty.voucher_code) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_lt(loyalty.voucher_code, loyalty.voucher_code) IS 'implementation of < operator';

CREATE FUNCTION loyalty.voucher_code_le(loyalty.voucher_code, loyalty.voucher_code) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_le(loyalty.voucher_code, loyalty.voucher_code) IS 'implementation of <= operator';

CREATE FUNCTION loyalty.voucher_code_gt(loyalty.voucher_code, loyalty.voucher_code) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_gt(loyalty.voucher_code, loyalty.voucher_code) IS 'implementation of > operator';

CREATE FUNCTION loyalty.voucher_code_ge(loyalty.voucher_code, loyalty.voucher_code) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_ge(loyalty.voucher_code, loyalty.voucher_code) IS 'implementation of >= operator';

CREATE OPERATOR loyalty.= (
	LEFTARG = loyalty.voucher_code, RIGHTARG = loyalty.voucher_code, FUNCTION = loyalty.voucher_code_eq,
	COMMUTATOR = OPERATOR(loyalty.=), NEGATOR = OPERATOR(loyalty.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR loyalty.= (loyalty.voucher_code, loyalty.voucher_code) IS 'equal';

CREATE OPERATOR loyalty.<> (
	LEFTARG = loyalty.voucher_code, RIGHTARG = loyalty.voucher_code, FUNCTION = loyalty.voucher_code_ne,
	COMMUTATOR = OPERATOR(loyalty.<>), NEGATOR = OPERATOR(loyalty.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR loyalty.<> (loyalty.voucher_code, loyalty.voucher_code) IS 'not equal';

CREATE OPERATOR loyalty.< (
	LEFTARG = loyalty.voucher_code, RIGHTARG = loyalty.voucher_code, FUNCTION = loyalty.voucher_code_lt,
	COMMUTATOR = OPERATOR(loyalty.>), NEGATOR = OPERATOR(loyalty.>=),
	RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR loyalty.< (loyalty.voucher_code, loyalty.voucher_code) IS 'less than';

CREATE OPERATOR loyalty.<= (
	LEFTARG = loyalty.voucher_code, RIGHTARG = loyalty.voucher_code, FUNCTION = loyalty.voucher_code_le,
	COMMUTATOR = OPERATOR(loyalty.>=), NEGATOR = OPERATOR(loyalty.>),
	RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR loyalty.<= (loyalty.voucher_code, loyalty.voucher_code) IS 'less than or equal';

CREATE OPERATOR loyalty.> (
	LEFTARG = loyalty.voucher_code, RIGHTARG = loyalty.voucher_code, FUNCTION = loyalty.voucher_code_gt,
	COMMUTATOR = OPERATOR(loyalty.<), NEGATOR = OPERATOR(loyalty.<=),
	RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR loyalty.> (loyalty.voucher_code, loyalty.voucher_code) IS 'greater than';

CREATE OPERATOR loyalty.>= (
	LEFTARG = loyalty.voucher_code, RIGHTARG = loyalty.voucher_code, FUNCTION = loyalty.voucher_code_ge,
	COMMUTATOR = OPERATOR(loyalty.<=), NEGATOR = OPERATOR(loyalty.<),
	RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR loyalty.>= (loyalty.voucher_code, loyalty.voucher_code) IS 'greater than or equal';

CREATE FUNCTION loyalty.voucher_code_cmp(loyalty.voucher_code, loyalty.voucher_code) RETURNS pg_catalog.int4
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_cmp(loyalty.voucher_code, loyalty.voucher_code) IS 'less-equal-greater';

CREATE FUNCTION loyalty.voucher_code_sortsupport(pg_catalog.internal) RETURNS pg_catalog.void
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_sortsupport' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_sortsupport(pg_catalog.internal) IS 'sort support';

CREATE OPERATOR FAMILY loyalty.voucher_code_ops USING btree;
COMMENT ON OPERATOR FAMILY loyalty.voucher_code_ops USING btree IS 'ordering of voucher codes, that of their texts';

CREATE OPERATOR CLASS loyalty.voucher_code_ops
	DEFAULT FOR TYPE loyalty.voucher_code USING btree FAMILY loyalty.voucher_code_ops AS
	OPERATOR 1 loyalty.<,
	OPERATOR 2 loyalty.<=,
	OPERATOR 3 loyalty.=,
	OPERATOR 4 loyalty.>=,
	OPERATOR 5 loyalty.>,
	FUNCTION 1 loyalty.voucher_code_cmp(loyalty.voucher_code, loyalty.voucher_code),
	FUNCTION 2 loyalty.voucher_code_sortsupport(pg_catalog.internal),
	FUNCTION 4 pg_catalog.btequalimage(pg_catalog.oid);
COMMENT ON OPERATOR CLASS loyalty.voucher_code_ops USING btree IS 'ordering of voucher codes, that of their texts';

-- hashing

CREATE FUNCTION loyalty.voucher_code_hash(loyalty.voucher_code) RETURNS pg_catalog.int4
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_hash(loyalty.voucher_code) IS 'hash, for indexes and joins; for the sha256 see voucher_hash';

CREATE FUNCTION loyalty.voucher_code_hash_extended(loyalty.voucher_code, pg_catalog.int8) RETURNS pg_catalog.int8
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_code_hash_extended(loyalty.voucher_code, pg_catalog.int8) IS 'hash with a seed';

CREATE OPERATOR FAMILY loyalty.voucher_code_hash_ops USING hash;
COMMENT ON OPERATOR FAMILY loyalty.voucher_code_hash_ops USING hash IS 'hashing of voucher codes';

CREATE OPERATOR CLASS loyalty.voucher_code_hash_ops
	DEFAULT FOR TYPE loyalty.voucher_code USING hash FAMILY loyalty.voucher_code_hash_ops AS
	OPERATOR 1 loyalty.= (loyalty.voucher_code, loyalty.voucher_code),
	FUNCTION 1 loyalty.voucher_code_hash(loyalty.voucher_code),
	FUNCTION 2 loyalty.voucher_code_hash_extended(loyalty.voucher_code, pg_catalog.int8);
COMMENT ON OPERATOR CLASS loyalty.voucher_code_hash_ops USING hash IS 'hashing of voucher codes';

-- making codes

CREATE FUNCTION loyalty.new_voucher_code() RETURNS loyalty.voucher_code
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_new' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.new_voucher_code() IS 'a code that nobody can guess, from the machines source of randomness';

CREATE FUNCTION loyalty.derive_voucher_code(bytes pg_catalog.bytea) RETURNS loyalty.voucher_code
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_derive' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.derive_voucher_code(pg_catalog.bytea) IS 'the code that these bytes give, always the same: 7 or more, of an HMAC; the low 55 bits of the first 7 make it';

CREATE FUNCTION loyalty.voucher_hash(code loyalty.voucher_code) RETURNS pg_catalog.bytea
	AS 'MODULE_PATHNAME', 'loyalty_voucher_code_digest' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.voucher_hash(loyalty.voucher_code) IS 'sha256 of the canonical text, 7KQ4-9XMT-2R8W: to look a code up in a table that does not hold it';
