-- purse: points by life span, the first and the last day on which they can be spent.
--
-- A value with an algebra: a member's purse is the sum of the purses of his entries.

CREATE TYPE loyalty.purse;

CREATE FUNCTION loyalty.purse_in(cstring) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_in(cstring) IS 'text input of purse';

CREATE FUNCTION loyalty.purse_out(loyalty.purse) RETURNS cstring
AS 'MODULE_PATHNAME', 'loyalty_purse_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_out(loyalty.purse) IS 'text output of purse';

CREATE FUNCTION loyalty.purse_recv(internal) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_recv(internal) IS 'binary input of purse';

CREATE FUNCTION loyalty.purse_send(loyalty.purse) RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'loyalty_packed_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_send(loyalty.purse) IS 'binary output of purse';

-- Most purses are short enough for a one-byte header, which needs no alignment.
CREATE TYPE loyalty.purse (
	INPUT = loyalty.purse_in,
	OUTPUT = loyalty.purse_out,
	RECEIVE = loyalty.purse_recv,
	SEND = loyalty.purse_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE loyalty.purse IS
	'points by first and last day on which they can be spent: {120@2026-03-31, 40@2026-01-15/2026-12-31, 5@infinity}';

CREATE FUNCTION loyalty.purse(points loyalty.points, starts pg_catalog.date, ends pg_catalog.date) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_make' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse(loyalty.points, pg_catalog.date, pg_catalog.date) IS
	'purse of one lot; starts NULL: spendable at once, ends infinity: never expires';

-- Operators

CREATE FUNCTION loyalty.purse_add(loyalty.purse, loyalty.purse) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_add(loyalty.purse, loyalty.purse) IS 'implementation of + operator';

CREATE OPERATOR loyalty.+ (
	LEFTARG = loyalty.purse, RIGHTARG = loyalty.purse,
	FUNCTION = loyalty.purse_add,
	COMMUTATOR = OPERATOR(loyalty.+)
);
COMMENT ON OPERATOR loyalty.+ (loyalty.purse, loyalty.purse) IS 'add life span by life span';

CREATE FUNCTION loyalty.purse_sub(loyalty.purse, loyalty.purse) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_sub' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_sub(loyalty.purse, loyalty.purse) IS 'implementation of - operator';

CREATE OPERATOR loyalty.- (
	LEFTARG = loyalty.purse, RIGHTARG = loyalty.purse,
	FUNCTION = loyalty.purse_sub
);
COMMENT ON OPERATOR loyalty.- (loyalty.purse, loyalty.purse) IS 'subtract life span by life span';

CREATE FUNCTION loyalty.purse_neg(loyalty.purse) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_neg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_neg(loyalty.purse) IS 'implementation of - operator';

CREATE OPERATOR loyalty.- (
	RIGHTARG = loyalty.purse,
	FUNCTION = loyalty.purse_neg
);
COMMENT ON OPERATOR loyalty.- (NONE, loyalty.purse) IS 'negate';

CREATE FUNCTION loyalty.purse_eq(loyalty.purse, loyalty.purse) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_packed_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_eq(loyalty.purse, loyalty.purse) IS 'implementation of = operator';

CREATE FUNCTION loyalty.purse_ne(loyalty.purse, loyalty.purse) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_packed_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_ne(loyalty.purse, loyalty.purse) IS 'implementation of <> operator';

CREATE OPERATOR loyalty.= (
	LEFTARG = loyalty.purse, RIGHTARG = loyalty.purse,
	FUNCTION = loyalty.purse_eq,
	COMMUTATOR = OPERATOR(loyalty.=), NEGATOR = OPERATOR(loyalty.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES
);
COMMENT ON OPERATOR loyalty.= (loyalty.purse, loyalty.purse) IS 'equal';

CREATE OPERATOR loyalty.<> (
	LEFTARG = loyalty.purse, RIGHTARG = loyalty.purse,
	FUNCTION = loyalty.purse_ne,
	COMMUTATOR = OPERATOR(loyalty.<>), NEGATOR = OPERATOR(loyalty.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR loyalty.<> (loyalty.purse, loyalty.purse) IS 'not equal';

CREATE FUNCTION loyalty.purse_hash(loyalty.purse) RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'loyalty_packed_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_hash(loyalty.purse) IS 'hash';

CREATE FUNCTION loyalty.purse_hash_extended(loyalty.purse, pg_catalog.int8) RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'loyalty_packed_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_hash_extended(loyalty.purse, pg_catalog.int8) IS 'hash';

CREATE OPERATOR CLASS loyalty.purse_hash_ops
	DEFAULT FOR TYPE loyalty.purse USING hash AS
	OPERATOR 1 loyalty.= (loyalty.purse, loyalty.purse),
	FUNCTION 1 loyalty.purse_hash(loyalty.purse),
	FUNCTION 2 loyalty.purse_hash_extended(loyalty.purse, pg_catalog.int8);
COMMENT ON OPERATOR CLASS loyalty.purse_hash_ops USING hash IS 'hash operator class of purse';
COMMENT ON OPERATOR FAMILY loyalty.purse_hash_ops USING hash IS 'hash operator family of purse';

-- Readings.  A debt is netted first, against lots in the order in which they open.

CREATE FUNCTION loyalty.total(purse loyalty.purse) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_purse_total' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.total(loyalty.purse) IS
	'all points of a purse: available, pending and expired together';

CREATE FUNCTION loyalty.available(purse loyalty.purse, day pg_catalog.date) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_purse_available' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.available(loyalty.purse, pg_catalog.date) IS
	'points that can be spent on a day; below zero when a debt is left';

CREATE FUNCTION loyalty.pending(purse loyalty.purse, day pg_catalog.date) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_purse_pending' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.pending(loyalty.purse, pg_catalog.date) IS
	'points whose first day is after a day';

CREATE FUNCTION loyalty.expired(purse loyalty.purse, day pg_catalog.date) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_purse_expired' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.expired(loyalty.purse, pg_catalog.date) IS
	'points whose last day is before a day';

CREATE FUNCTION loyalty.outstanding(purse loyalty.purse, day pg_catalog.date) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_outstanding' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.outstanding(loyalty.purse, pg_catalog.date) IS
	'what is left of a purse on a day: open and pending lots and debt, netted';

CREATE FUNCTION loyalty.spend(purse loyalty.purse, points loyalty.points, day pg_catalog.date) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_spend' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.spend(loyalty.purse, loyalty.points, pg_catalog.date) IS
	'the part of a purse that a redemption takes on a day, soonest to expire first';

CREATE FUNCTION loyalty.lots(purse loyalty.purse, OUT points loyalty.points, OUT starts pg_catalog.date, OUT ends pg_catalog.date)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'loyalty_purse_lots' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION loyalty.lots(loyalty.purse) IS
	'the lots of a purse, soonest to expire first; starts NULL: spendable at once, ends infinity: never expires';

-- Aggregate

CREATE FUNCTION loyalty.purse_accum(internal, loyalty.purse) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_purse_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_accum(internal, loyalty.purse) IS 'aggregate transition function';

CREATE FUNCTION loyalty.purse_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_purse_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_combine(internal, internal) IS 'aggregate combine function';

CREATE FUNCTION loyalty.purse_serialize(internal) RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'loyalty_purse_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_serialize(internal) IS 'aggregate serial function';

CREATE FUNCTION loyalty.purse_deserialize(pg_catalog.bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_purse_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_deserialize(pg_catalog.bytea, internal) IS 'aggregate deserial function';

CREATE FUNCTION loyalty.purse_sum(internal) RETURNS loyalty.purse
AS 'MODULE_PATHNAME', 'loyalty_purse_sum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.purse_sum(internal) IS 'aggregate final function';

CREATE AGGREGATE loyalty.sum(loyalty.purse) (
	SFUNC = loyalty.purse_accum,
	STYPE = internal,
	SSPACE = 4096,
	FINALFUNC = loyalty.purse_sum,
	COMBINEFUNC = loyalty.purse_combine,
	SERIALFUNC = loyalty.purse_serialize,
	DESERIALFUNC = loyalty.purse_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE loyalty.sum(loyalty.purse) IS
	'sum of purses, life span by life span; NULL over none';
