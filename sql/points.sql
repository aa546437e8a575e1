-- points: an exact count of points with four decimals.
--
-- No operator takes points and another type: points * 1.5 goes through the
-- implicit cast to numeric, points + 1 through the implicit cast from integer.

CREATE TYPE loyalty.points;

-- Input and output

CREATE FUNCTION loyalty.points_in(cstring) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_in(cstring) IS 'text input of points';

CREATE FUNCTION loyalty.points_out(loyalty.points) RETURNS cstring
AS 'MODULE_PATHNAME', 'loyalty_points_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_out(loyalty.points) IS 'text output of points';

CREATE FUNCTION loyalty.points_recv(internal) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_recv(internal) IS 'binary input of points';

CREATE FUNCTION loyalty.points_send(loyalty.points) RETURNS bytea
AS 'MODULE_PATHNAME', 'loyalty_points_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_send(loyalty.points) IS 'binary output of points';

CREATE TYPE loyalty.points (
	INPUT = loyalty.points_in,
	OUTPUT = loyalty.points_out,
	RECEIVE = loyalty.points_recv,
	SEND = loyalty.points_send,
	LIKE = pg_catalog.int8,
	CATEGORY = 'N',
	PREFERRED = false
);
COMMENT ON TYPE loyalty.points IS 'exact count of points, at most 4 decimals: 37, -12.5';

-- Casts

CREATE FUNCTION loyalty.points_from_int2(pg_catalog.int2) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_from_int2' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_from_int2(pg_catalog.int2) IS 'cast smallint to points';

CREATE CAST (pg_catalog.int2 AS loyalty.points) WITH FUNCTION loyalty.points_from_int2(pg_catalog.int2) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.int2 AS loyalty.points) IS 'exact, an error when it does not fit';

CREATE FUNCTION loyalty.points_from_int4(pg_catalog.int4) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_from_int4' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_from_int4(pg_catalog.int4) IS 'cast integer to points';

CREATE CAST (pg_catalog.int4 AS loyalty.points) WITH FUNCTION loyalty.points_from_int4(pg_catalog.int4) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.int4 AS loyalty.points) IS 'exact, an error when it does not fit';

CREATE FUNCTION loyalty.points_from_int8(pg_catalog.int8) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_from_int8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_from_int8(pg_catalog.int8) IS 'cast bigint to points';

CREATE CAST (pg_catalog.int8 AS loyalty.points) WITH FUNCTION loyalty.points_from_int8(pg_catalog.int8) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.int8 AS loyalty.points) IS 'exact, an error when it does not fit';

CREATE FUNCTION loyalty.points_from_numeric(pg_catalog.numeric) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_from_numeric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_from_numeric(pg_catalog.numeric) IS 'cast numeric to points';

CREATE CAST (pg_catalog.numeric AS loyalty.points) WITH FUNCTION loyalty.points_from_numeric(pg_catalog.numeric) AS ASSIGNMENT;
COMMENT ON CAST (pg_catalog.numeric AS loyalty.points) IS 'exact, an error when it does not fit';

CREATE FUNCTION loyalty.points_to_numeric(loyalty.points) RETURNS pg_catalog.numeric
AS 'MODULE_PATHNAME', 'loyalty_points_to_numeric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_to_numeric(loyalty.points) IS 'cast points to numeric';

CREATE CAST (loyalty.points AS pg_catalog.numeric) WITH FUNCTION loyalty.points_to_numeric(loyalty.points) AS IMPLICIT;
COMMENT ON CAST (loyalty.points AS pg_catalog.numeric) IS 'exact';

-- to_json, to_jsonb, row_to_json and the like use the cast to json; without it
-- points would come out as a string.
CREATE FUNCTION loyalty.points_to_json(loyalty.points) RETURNS pg_catalog.json
AS 'MODULE_PATHNAME', 'loyalty_points_to_json' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_to_json(loyalty.points) IS 'cast points to json';

CREATE CAST (loyalty.points AS pg_catalog.json) WITH FUNCTION loyalty.points_to_json(loyalty.points);
COMMENT ON CAST (loyalty.points AS pg_catalog.json) IS 'as a number';

CREATE FUNCTION loyalty.points_to_jsonb(loyalty.points) RETURNS pg_catalog.jsonb
AS 'MODULE_PATHNAME', 'loyalty_points_to_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_to_jsonb(loyalty.points) IS 'cast points to jsonb';

CREATE CAST (loyalty.points AS pg_catalog.jsonb) WITH FUNCTION loyalty.points_to_jsonb(loyalty.points);
COMMENT ON CAST (loyalty.points AS pg_catalog.jsonb) IS 'as a number';

-- Arithmetic

CREATE FUNCTION loyalty.points_add(loyalty.points, loyalty.points) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_add(loyalty.points, loyalty.points) IS 'implementation of + operator';

CREATE OPERATOR loyalty.+ (
	FUNCTION = loyalty.points_add,
	LEFTARG = loyalty.points,
	RIGHTARG = loyalty.points,
	COMMUTATOR = OPERATOR(loyalty.+)
);
COMMENT ON OPERATOR loyalty.+ (loyalty.points, loyalty.points) IS 'add';

CREATE FUNCTION loyalty.points_sub(loyalty.points, loyalty.points) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_sub' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_sub(loyalty.points, loyalty.points) IS 'implementation of - operator';

CREATE OPERATOR loyalty.- (
	FUNCTION = loyalty.points_sub,
	LEFTARG = loyalty.points,
	RIGHTARG = loyalty.points
);
COMMENT ON OPERATOR loyalty.- (loyalty.points, loyalty.points) IS 'subtract';

CREATE FUNCTION loyalty.points_neg(loyalty.points) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_neg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_neg(loyalty.points) IS 'implementation of - operator';

CREATE OPERATOR loyalty.- (
	FUNCTION = loyalty.points_neg,
	RIGHTARG = loyalty.points
);
COMMENT ON OPERATOR loyalty.- (NONE, loyalty.points) IS 'negate';

CREATE FUNCTION loyalty.points_plus(loyalty.points) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_plus' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_plus(loyalty.points) IS 'implementation of + operator';

CREATE OPERATOR loyalty.+ (
	FUNCTION = loyalty.points_plus,
	RIGHTARG = loyalty.points
);
COMMENT ON OPERATOR loyalty.+ (NONE, loyalty.points) IS 'unary plus';

CREATE FUNCTION loyalty.abs(loyalty.points) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_abs' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.abs(loyalty.points) IS 'absolute value';

-- Comparison

CREATE FUNCTION loyalty.points_eq(loyalty.points, loyalty.points) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_points_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_eq(loyalty.points, loyalty.points) IS 'implementation of = operator';

CREATE OPERATOR loyalty.= (
	FUNCTION = loyalty.points_eq,
	LEFTARG = loyalty.points,
	RIGHTARG = loyalty.points,
	COMMUTATOR = OPERATOR(loyalty.=),
	NEGATOR = OPERATOR(loyalty.<>),
	RESTRICT = pg_catalog.eqsel,
	JOIN = pg_catalog.eqjoinsel,
	HASHES,
	MERGES
);
COMMENT ON OPERATOR loyalty.= (loyalty.points, loyalty.points) IS 'equal';

CREATE FUNCTION loyalty.points_ne(loyalty.points, loyalty.points) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_points_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_ne(loyalty.points, loyalty.points) IS 'implementation of <> operator';

CREATE OPERATOR loyalty.<> (
	FUNCTION = loyalty.points_ne,
	LEFTARG = loyalty.points,
	RIGHTARG = loyalty.points,
	COMMUTATOR = OPERATOR(loyalty.<>),
	NEGATOR = OPERATOR(loyalty.=),
	RESTRICT = pg_catalog.neqsel,
	JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR loyalty.<> (loyalty.points, loyalty.points) IS 'not equal';

CREATE FUNCTION loyalty.points_lt(loyalty.points, loyalty.points) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_points_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_lt(loyalty.points, loyalty.points) IS 'implementation of < operator';

CREATE OPERATOR loyalty.< (
	FUNCTION = loyalty.points_lt,
	LEFTARG = loyalty.points,
	RIGHTARG = loyalty.points,
	COMMUTATOR = OPERATOR(loyalty.>),
	NEGATOR = OPERATOR(loyalty.>=),
	RESTRICT = pg_catalog.scalarltsel,
	JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR loyalty.< (loyalty.points, loyalty.points) IS 'less than';

CREATE FUNCTION loyalty.points_le(loyalty.points, loyalty.points) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_points_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_le(loyalty.points, loyalty.points) IS 'implementation of <= operator';

CREATE OPERATOR loyalty.<= (
	FUNCTION = loyalty.points_le,
	LEFTARG = loyalty.points,
	RIGHTARG = loyalty.points,
	COMMUTATOR = OPERATOR(loyalty.>=),
	NEGATOR = OPERATOR(loyalty.>),
	RESTRICT = pg_catalog.scalarlesel,
	JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR loyalty.<= (loyalty.points, loyalty.points) IS 'less than or equal';

CREATE FUNCTION loyalty.points_gt(loyalty.points, loyalty.points) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_points_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_gt(loyalty.points, loyalty.points) IS 'implementation of > operator';

CREATE OPERATOR loyalty.> (
	FUNCTION = loyalty.points_gt,
	LEFTARG = loyalty.points,
	RIGHTARG = loyalty.points,
	COMMUTATOR = OPERATOR(loyalty.<),
	NEGATOR = OPERATOR(loyalty.<=),
	RESTRICT = pg_catalog.scalargtsel,
	JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR loyalty.> (loyalty.points, loyalty.points) IS 'greater than';

CREATE FUNCTION loyalty.points_ge(loyalty.points, loyalty.points) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_points_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_ge(loyalty.points, loyalty.points) IS 'implementation of >= operator';

CREATE OPERATOR loyalty.>= (
	FUNCTION = loyalty.points_ge,
	LEFTARG = loyalty.points,
	RIGHTARG = loyalty.points,
	COMMUTATOR = OPERATOR(loyalty.<=),
	NEGATOR = OPERATOR(loyalty.<),
	RESTRICT = pg_catalog.scalargesel,
	JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR loyalty.>= (loyalty.points, loyalty.points) IS 'greater than or equal';

CREATE FUNCTION loyalty.points_cmp(loyalty.points, loyalty.points) RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'loyalty_points_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_cmp(loyalty.points, loyalty.points) IS 'less-equal-greater of points';

CREATE FUNCTION loyalty.points_sortsupport(internal) RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'loyalty_points_sortsupport' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_sortsupport(internal) IS 'sort support of points';

CREATE FUNCTION loyalty.points_hash(loyalty.points) RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'loyalty_points_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_hash(loyalty.points) IS 'hash of points';

CREATE FUNCTION loyalty.points_hash_extended(loyalty.points, pg_catalog.int8) RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'loyalty_points_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_hash_extended(loyalty.points, pg_catalog.int8) IS '64-bit hash of points with a seed';

CREATE OPERATOR FAMILY loyalty.points_ops USING btree;
COMMENT ON OPERATOR FAMILY loyalty.points_ops USING btree IS 'ordering of points';

CREATE OPERATOR CLASS loyalty.points_ops
DEFAULT FOR TYPE loyalty.points USING btree FAMILY loyalty.points_ops AS
	OPERATOR 1 loyalty.<,
	OPERATOR 2 loyalty.<=,
	OPERATOR 3 loyalty.=,
	OPERATOR 4 loyalty.>=,
	OPERATOR 5 loyalty.>,
	FUNCTION 1 loyalty.points_cmp(loyalty.points, loyalty.points),
	FUNCTION 2 loyalty.points_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(pg_catalog.oid);
COMMENT ON OPERATOR CLASS loyalty.points_ops USING btree IS 'ordering of points';

CREATE OPERATOR FAMILY loyalty.points_ops USING hash;
COMMENT ON OPERATOR FAMILY loyalty.points_ops USING hash IS 'hashing of points';

CREATE OPERATOR CLASS loyalty.points_ops
DEFAULT FOR TYPE loyalty.points USING hash FAMILY loyalty.points_ops AS
	OPERATOR 1 loyalty.=,
	FUNCTION 1 loyalty.points_hash(loyalty.points),
	FUNCTION 2 loyalty.points_hash_extended(loyalty.points, pg_catalog.int8);
COMMENT ON OPERATOR CLASS loyalty.points_ops USING hash IS 'hashing of points';

-- Aggregates: the state is 128 bits wide, only the result is judged

CREATE FUNCTION loyalty.points_accum(internal, loyalty.points) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_points_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_accum(internal, loyalty.points) IS 'transition function of sum and avg of points';

CREATE FUNCTION loyalty.points_accum_inv(internal, loyalty.points) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_points_accum_inv' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_accum_inv(internal, loyalty.points) IS 'inverse transition function of sum and avg of points';

CREATE FUNCTION loyalty.points_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_points_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_combine(internal, internal) IS 'combine function of sum and avg of points';

CREATE FUNCTION loyalty.points_serialize(internal) RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'loyalty_points_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_serialize(internal) IS 'serialization of the state of sum and avg of points';

CREATE FUNCTION loyalty.points_deserialize(pg_catalog.bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_points_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_deserialize(pg_catalog.bytea, internal) IS 'deserialization of the state of sum and avg of points';

CREATE FUNCTION loyalty.points_sum(internal) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_sum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_sum(internal) IS 'final function of sum of points';

CREATE FUNCTION loyalty.points_avg(internal) RETURNS pg_catalog.numeric
AS 'MODULE_PATHNAME', 'loyalty_points_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_avg(internal) IS 'final function of avg of points';

CREATE AGGREGATE loyalty.sum(loyalty.points) (
	SFUNC = loyalty.points_accum,
	STYPE = internal,
	SSPACE = 48,
	FINALFUNC = loyalty.points_sum,
	COMBINEFUNC = loyalty.points_combine,
	SERIALFUNC = loyalty.points_serialize,
	DESERIALFUNC = loyalty.points_deserialize,
	MSFUNC = loyalty.points_accum,
	MINVFUNC = loyalty.points_accum_inv,
	MSTYPE = internal,
	MSSPACE = 48,
	MFINALFUNC = loyalty.points_sum,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE loyalty.sum(loyalty.points) IS 'sum as points across all input values';

CREATE AGGREGATE loyalty.avg(loyalty.points) (
	SFUNC = loyalty.points_accum,
	STYPE = internal,
	SSPACE = 48,
	FINALFUNC = loyalty.points_avg,
	COMBINEFUNC = loyalty.points_combine,
	SERIALFUNC = loyalty.points_serialize,
	DESERIALFUNC = loyalty.points_deserialize,
	MSFUNC = loyalty.points_accum,
	MINVFUNC = loyalty.points_accum_inv,
	MSTYPE = internal,
	MSSPACE = 48,
	MFINALFUNC = loyalty.points_avg,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE loyalty.avg(loyalty.points) IS 'average as numeric across all input values';

CREATE FUNCTION loyalty.points_smaller(loyalty.points, loyalty.points) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_smaller' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_smaller(loyalty.points, loyalty.points) IS 'the smaller of two';

CREATE AGGREGATE loyalty.min(loyalty.points) (
	SFUNC = loyalty.points_smaller,
	STYPE = loyalty.points,
	COMBINEFUNC = loyalty.points_smaller,
	SORTOP = OPERATOR(loyalty.<),
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE loyalty.min(loyalty.points) IS 'minimum value of all input values';

CREATE FUNCTION loyalty.points_larger(loyalty.points, loyalty.points) RETURNS loyalty.points
AS 'MODULE_PATHNAME', 'loyalty_points_larger' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.points_larger(loyalty.points, loyalty.points) IS 'the larger of two';

CREATE AGGREGATE loyalty.max(loyalty.points) (
	SFUNC = loyalty.points_larger,
	STYPE = loyalty.points,
	COMBINEFUNC = loyalty.points_larger,
	SORTOP = OPERATOR(loyalty.>),
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE loyalty.max(loyalty.points) IS 'maximum value of all input values';
