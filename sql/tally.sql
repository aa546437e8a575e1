-- tally: amount, points and purchases that count toward tiers, period by period.
--
-- A value with an algebra, like purse: what has counted can be taken back.

CREATE TYPE loyalty.tally;

CREATE FUNCTION loyalty.tally_in(cstring) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_in(cstring) IS 'text input of tally';

CREATE FUNCTION loyalty.tally_out(loyalty.tally) RETURNS cstring
AS 'MODULE_PATHNAME', 'loyalty_tally_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_out(loyalty.tally) IS 'text output of tally';

CREATE FUNCTION loyalty.tally_recv(internal) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_recv(internal) IS 'binary input of tally';

CREATE FUNCTION loyalty.tally_send(loyalty.tally) RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'loyalty_packed_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_send(loyalty.tally) IS 'binary output of tally';

-- Most tallies are short enough for a one-byte header, which needs no alignment.
CREATE TYPE loyalty.tally (
	INPUT = loyalty.tally_in,
	OUTPUT = loyalty.tally_out,
	RECEIVE = loyalty.tally_recv,
	SEND = loyalty.tally_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE loyalty.tally IS
	'amount, points and purchases by day {2026-01-05: 12.50/12/1}, by month {2026-01: 120.50/37/2, 2026-02: 9/9/1}, or in all {ever: 1200/1200/14}';

CREATE FUNCTION loyalty.tally_add(tally loyalty.tally, day pg_catalog.date, amount pg_catalog.numeric, points pg_catalog.numeric, purchases pg_catalog.int4) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_add_day' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_add(loyalty.tally, pg_catalog.date, pg_catalog.numeric, pg_catalog.numeric, pg_catalog.int4) IS
	'count on a day, in the period of the tally in which it falls; an empty tally counts by day';

-- Operators

CREATE FUNCTION loyalty.tally_add(loyalty.tally, loyalty.tally) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_add(loyalty.tally, loyalty.tally) IS 'implementation of + operator';

CREATE OPERATOR loyalty.+ (
	LEFTARG = loyalty.tally, RIGHTARG = loyalty.tally,
	FUNCTION = loyalty.tally_add,
	COMMUTATOR = OPERATOR(loyalty.+)
);
COMMENT ON OPERATOR loyalty.+ (loyalty.tally, loyalty.tally) IS 'add period by period; of two kinds of periods the longer remains';

CREATE FUNCTION loyalty.tally_sub(loyalty.tally, loyalty.tally) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_sub' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_sub(loyalty.tally, loyalty.tally) IS 'implementation of - operator';

CREATE OPERATOR loyalty.- (
	LEFTARG = loyalty.tally, RIGHTARG = loyalty.tally,
	FUNCTION = loyalty.tally_sub
);
COMMENT ON OPERATOR loyalty.- (loyalty.tally, loyalty.tally) IS 'subtract period by period';

CREATE FUNCTION loyalty.tally_neg(loyalty.tally) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_neg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_neg(loyalty.tally) IS 'implementation of - operator';

CREATE OPERATOR loyalty.- (
	RIGHTARG = loyalty.tally,
	FUNCTION = loyalty.tally_neg
);
COMMENT ON OPERATOR loyalty.- (NONE, loyalty.tally) IS 'negate';

CREATE FUNCTION loyalty.tally_eq(loyalty.tally, loyalty.tally) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_packed_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_eq(loyalty.tally, loyalty.tally) IS 'implementation of = operator';

CREATE FUNCTION loyalty.tally_ne(loyalty.tally, loyalty.tally) RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'loyalty_packed_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_ne(loyalty.tally, loyalty.tally) IS 'implementation of <> operator';

CREATE OPERATOR loyalty.= (
	LEFTARG = loyalty.tally, RIGHTARG = loyalty.tally,
	FUNCTION = loyalty.tally_eq,
	COMMUTATOR = OPERATOR(loyalty.=), NEGATOR = OPERATOR(loyalty.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES
);
COMMENT ON OPERATOR loyalty.= (loyalty.tally, loyalty.tally) IS 'equal';

CREATE OPERATOR loyalty.<> (
	LEFTARG = loyalty.tally, RIGHTARG = loyalty.tally,
	FUNCTION = loyalty.tally_ne,
	COMMUTATOR = OPERATOR(loyalty.<>), NEGATOR = OPERATOR(loyalty.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR loyalty.<> (loyalty.tally, loyalty.tally) IS 'not equal';

CREATE FUNCTION loyalty.tally_hash(loyalty.tally) RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'loyalty_packed_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_hash(loyalty.tally) IS 'hash';

CREATE FUNCTION loyalty.tally_hash_extended(loyalty.tally, pg_catalog.int8) RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'loyalty_packed_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_hash_extended(loyalty.tally, pg_catalog.int8) IS 'hash';

CREATE OPERATOR CLASS loyalty.tally_hash_ops
	DEFAULT FOR TYPE loyalty.tally USING hash AS
	OPERATOR 1 loyalty.= (loyalty.tally, loyalty.tally),
	FUNCTION 1 loyalty.tally_hash(loyalty.tally),
	FUNCTION 2 loyalty.tally_hash_extended(loyalty.tally, pg_catalog.int8);
COMMENT ON OPERATOR CLASS loyalty.tally_hash_ops USING hash IS 'hash operator class of tally';
COMMENT ON OPERATOR FAMILY loyalty.tally_hash_ops USING hash IS 'hash operator family of tally';

-- Readings and periods

CREATE FUNCTION loyalty.totals(tally loyalty.tally, since pg_catalog.date, until pg_catalog.date,
	OUT amount pg_catalog.numeric, OUT points loyalty.points, OUT purchases pg_catalog.int8)
AS 'MODULE_PATHNAME', 'loyalty_tally_totals' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.totals(loyalty.tally, pg_catalog.date, pg_catalog.date) IS
	'sums over the periods whose first day is from since to until, both inclusive; ever begins on -infinity';

CREATE FUNCTION loyalty.periods(tally loyalty.tally, OUT starts pg_catalog.date, OUT ends pg_catalog.date,
	OUT amount pg_catalog.numeric, OUT points loyalty.points, OUT purchases pg_catalog.int4)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'loyalty_tally_periods' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 50;
COMMENT ON FUNCTION loyalty.periods(loyalty.tally) IS
	'the periods of a tally in order of time, with first and last day';

CREATE FUNCTION loyalty.resolution(tally loyalty.tally) RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'loyalty_tally_resolution' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.resolution(loyalty.tally) IS
	'the kind of periods of a tally: day, month or ever; day for an empty one';

CREATE FUNCTION loyalty.coarsen(tally loyalty.tally, resolution pg_catalog.text) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_coarsen' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.coarsen(loyalty.tally, pg_catalog.text) IS
	'a tally in longer periods: month or ever; one that is as coarse already stays as it is';

CREATE FUNCTION loyalty.prune(tally loyalty.tally, before pg_catalog.date) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_prune' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.prune(loyalty.tally, pg_catalog.date) IS
	'a tally without the periods that end before a day';

-- Aggregate

CREATE FUNCTION loyalty.tally_accum(internal, loyalty.tally) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_tally_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_accum(internal, loyalty.tally) IS 'aggregate transition function';

CREATE FUNCTION loyalty.tally_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_tally_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_combine(internal, internal) IS 'aggregate combine function';

CREATE FUNCTION loyalty.tally_serialize(internal) RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'loyalty_tally_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_serialize(internal) IS 'aggregate serial function';

CREATE FUNCTION loyalty.tally_deserialize(pg_catalog.bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'loyalty_tally_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_deserialize(pg_catalog.bytea, internal) IS 'aggregate deserial function';

CREATE FUNCTION loyalty.tally_sum(internal) RETURNS loyalty.tally
AS 'MODULE_PATHNAME', 'loyalty_tally_sum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.tally_sum(internal) IS 'aggregate final function';

CREATE AGGREGATE loyalty.sum(loyalty.tally) (
	SFUNC = loyalty.tally_accum,
	STYPE = internal,
	SSPACE = 4096,
	FINALFUNC = loyalty.tally_sum,
	COMBINEFUNC = loyalty.tally_combine,
	SERIALFUNC = loyalty.tally_serialize,
	DESERIALFUNC = loyalty.tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE loyalty.sum(loyalty.tally) IS
	'sum of tallies, period by period; NULL over none';
