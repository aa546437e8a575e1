-- expiry: how long earned points can be spent

CREATE TYPE loyalty.expiry;

CREATE FUNCTION loyalty.expiry_in(pg_catalog.cstring) RETURNS loyalty.expiry
	AS 'MODULE_PATHNAME', 'loyalty_expiry_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expiry_in(pg_catalog.cstring) IS 'I/O';

CREATE FUNCTION loyalty.expiry_out(loyalty.expiry) RETURNS pg_catalog.cstring
	AS 'MODULE_PATHNAME', 'loyalty_expiry_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expiry_out(loyalty.expiry) IS 'I/O';

CREATE FUNCTION loyalty.expiry_recv(pg_catalog.internal) RETURNS loyalty.expiry
	AS 'MODULE_PATHNAME', 'loyalty_expiry_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expiry_recv(pg_catalog.internal) IS 'I/O';

CREATE FUNCTION loyalty.expiry_send(loyalty.expiry) RETURNS pg_catalog.bytea
	AS 'MODULE_PATHNAME', 'loyalty_expiry_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expiry_send(loyalty.expiry) IS 'I/O';

CREATE TYPE loyalty.expiry (
	INPUT = loyalty.expiry_in,
	OUTPUT = loyalty.expiry_out,
	RECEIVE = loyalty.expiry_recv,
	SEND = loyalty.expiry_send,
	LIKE = pg_catalog.int8
);
COMMENT ON TYPE loyalty.expiry IS 'how long earned points can be spent: never, 12 months, 12 months end of quarter, end of year, 03-31 after 1 year, inactive 18 months';

-- equality

CREATE FUNCTION loyalty.expiry_eq(loyalty.expiry, loyalty.expiry) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_expiry_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expiry_eq(loyalty.expiry, loyalty.expiry) IS 'implementation of = operator';

CREATE FUNCTION loyalty.expiry_ne(loyalty.expiry, loyalty.expiry) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_expiry_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expiry_ne(loyalty.expiry, loyalty.expiry) IS 'implementation of <> operator';

CREATE OPERATOR loyalty.= (
	LEFTARG = loyalty.expiry, RIGHTARG = loyalty.expiry, FUNCTION = loyalty.expiry_eq,
	COMMUTATOR = OPERATOR(loyalty.=), NEGATOR = OPERATOR(loyalty.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES
);
COMMENT ON OPERATOR loyalty.= (loyalty.expiry, loyalty.expiry) IS 'equal';

CREATE OPERATOR loyalty.<> (
	LEFTARG = loyalty.expiry, RIGHTARG = loyalty.expiry, FUNCTION = loyalty.expiry_ne,
	COMMUTATOR = OPERATOR(loyalty.<>), NEGATOR = OPERATOR(loyalty.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR loyalty.<> (loyalty.expiry, loyalty.expiry) IS 'not equal';

-- hashing

CREATE FUNCTION loyalty.expiry_hash(loyalty.expiry) RETURNS pg_catalog.int4
	AS 'MODULE_PATHNAME', 'loyalty_expiry_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expiry_hash(loyalty.expiry) IS 'hash';

CREATE FUNCTION loyalty.expiry_hash_extended(loyalty.expiry, pg_catalog.int8) RETURNS pg_catalog.int8
	AS 'MODULE_PATHNAME', 'loyalty_expiry_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expiry_hash_extended(loyalty.expiry, pg_catalog.int8) IS 'hash with a seed';

CREATE OPERATOR FAMILY loyalty.expiry_hash_ops USING hash;
COMMENT ON OPERATOR FAMILY loyalty.expiry_hash_ops USING hash IS 'hashing of expiries';

CREATE OPERATOR CLASS loyalty.expiry_hash_ops
	DEFAULT FOR TYPE loyalty.expiry USING hash FAMILY loyalty.expiry_hash_ops AS
	OPERATOR 1 loyalty.= (loyalty.expiry, loyalty.expiry),
	FUNCTION 1 loyalty.expiry_hash(loyalty.expiry),
	FUNCTION 2 loyalty.expiry_hash_extended(loyalty.expiry, pg_catalog.int8);
COMMENT ON OPERATOR CLASS loyalty.expiry_hash_ops USING hash IS 'hashing of expiries';

-- days

CREATE FUNCTION loyalty.last_day(expiry loyalty.expiry, first pg_catalog.date) RETURNS pg_catalog.date
	AS 'MODULE_PATHNAME', 'loyalty_expiry_last_day' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.last_day(loyalty.expiry, pg_catalog.date) IS
	'last day on which points can be spent whose first spendable day is given; infinity for never and for inactivity';

CREATE FUNCTION loyalty.inactive_last_day(expiry loyalty.expiry, active pg_catalog.date) RETURNS pg_catalog.date
	AS 'MODULE_PATHNAME', 'loyalty_expiry_inactive_last_day' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.inactive_last_day(loyalty.expiry, pg_catalog.date) IS
	'last day on which points can be spent whose member was last active on the day given; infinity unless the expiry is one of inactivity';
