-- qualification: the window in which tiers count

CREATE TYPE loyalty.qualification;

CREATE FUNCTION loyalty.qualification_in(pg_catalog.cstring) RETURNS loyalty.qualification
	AS 'MODULE_PATHNAME', 'loyalty_qualification_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.qualification_in(pg_catalog.cstring) IS 'I/O';

CREATE FUNCTION loyalty.qualification_out(loyalty.qualification) RETURNS pg_catalog.cstring
	AS 'MODULE_PATHNAME', 'loyalty_qualification_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.qualification_out(loyalty.qualification) IS 'I/O';

CREATE FUNCTION loyalty.qualification_recv(pg_catalog.internal) RETURNS loyalty.qualification
	AS 'MODULE_PATHNAME', 'loyalty_qualification_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.qualification_recv(pg_catalog.internal) IS 'I/O';

CREATE FUNCTION loyalty.qualification_send(loyalty.qualification) RETURNS pg_catalog.bytea
	AS 'MODULE_PATHNAME', 'loyalty_qualification_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.qualification_send(loyalty.qualification) IS 'I/O';

CREATE TYPE loyalty.qualification (
	INPUT = loyalty.qualification_in,
	OUTPUT = loyalty.qualification_out,
	RECEIVE = loyalty.qualification_recv,
	SEND = loyalty.qualification_send,
	LIKE = pg_catalog.int4
);
COMMENT ON TYPE loyalty.qualification IS 'the window in which tiers count: rolling 365 days, rolling 12 months, calendar year, membership year or lifetime';

-- equality

CREATE FUNCTION loyalty.qualification_eq(loyalty.qualification, loyalty.qualification) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_qualification_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.qualification_eq(loyalty.qualification, loyalty.qualification) IS 'implementation of = operator';

CREATE FUNCTION loyalty.qualification_ne(loyalty.qualification, loyalty.qualification) RETURNS pg_catalog.bool
	AS 'MODULE_PATHNAME', 'loyalty_qualification_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.qualification_ne(loyalty.qualification, loyalty.qualification) IS 'implementation of <> operator';

CREATE OPERATOR loyalty.= (
	LEFTARG = loyalty.qualification, RIGHTARG = loyalty.qualification, FUNCTION = loyalty.qualification_eq,
	COMMUTATOR = OPERATOR(loyalty.=), NEGATOR = OPERATOR(loyalty.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES
);
COMMENT ON OPERATOR loyalty.= (loyalty.qualification, loyalty.qualification) IS 'equal';

CREATE OPERATOR loyalty.<> (
	LEFTARG = loyalty.qualification, RIGHTARG = loyalty.qualification, FUNCTION = loyalty.qualification_ne,
	COMMUTATOR = OPERATOR(loyalty.<>), NEGATOR = OPERATOR(loyalty.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR loyalty.<> (loyalty.qualification, loyalty.qualification) IS 'not equal';

-- hashing

CREATE FUNCTION loyalty.qualification_hash(loyalty.qualification) RETURNS pg_catalog.int4
	AS 'MODULE_PATHNAME', 'loyalty_qualification_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.qualification_hash(loyalty.qualification) IS 'hash';

CREATE FUNCTION loyalty.qualification_hash_extended(loyalty.qualification, pg_catalog.int8) RETURNS pg_catalog.int8
	AS 'MODULE_PATHNAME', 'loyalty_qualification_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.qualification_hash_extended(loyalty.qualification, pg_catalog.int8) IS 'hash with a seed';

CREATE OPERATOR FAMILY loyalty.qualification_hash_ops USING hash;
COMMENT ON OPERATOR FAMILY loyalty.qualification_hash_ops USING hash IS 'hashing of qualifications';

CREATE OPERATOR CLASS loyalty.qualification_hash_ops
	DEFAULT FOR TYPE loyalty.qualification USING hash FAMILY loyalty.qualification_hash_ops AS
	OPERATOR 1 loyalty.= (loyalty.qualification, loyalty.qualification),
	FUNCTION 1 loyalty.qualification_hash(loyalty.qualification),
	FUNCTION 2 loyalty.qualification_hash_extended(loyalty.qualification, pg_catalog.int8);
COMMENT ON OPERATOR CLASS loyalty.qualification_hash_ops USING hash IS 'hashing of qualifications';

-- windows

-- Not strict: only a membership year asks for the day of enrollment.
CREATE FUNCTION loyalty.window_start(qualification loyalty.qualification, day pg_catalog.date, enrolled pg_catalog.date DEFAULT NULL) RETURNS pg_catalog.date
	AS 'MODULE_PATHNAME', 'loyalty_qualification_window_start' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.window_start(loyalty.qualification, pg_catalog.date, pg_catalog.date) IS
	'first day of the window that counts on a day: 1997-07-02 for rolling 365 days on 1998-07-01; -infinity for lifetime';

CREATE FUNCTION loyalty.window_end(qualification loyalty.qualification, day pg_catalog.date, enrolled pg_catalog.date DEFAULT NULL) RETURNS pg_catalog.date
	AS 'MODULE_PATHNAME', 'loyalty_qualification_window_end' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.window_end(loyalty.qualification, pg_catalog.date, pg_catalog.date) IS
	'last day of the window that runs on a day: December 31 for calendar year; infinity for rolling windows, which move, and for lifetime';

CREATE FUNCTION loyalty.resolution(qualification loyalty.qualification) RETURNS pg_catalog.text
	AS 'MODULE_PATHNAME', 'loyalty_qualification_resolution' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.resolution(loyalty.qualification) IS
	'coarsest periods in which a tally may count for this window: ever for lifetime, else day';
