--
-- hold: points that are held until it is known what becomes of an order
--

CREATE TABLE loyalty.hold (
	member_id bigint NOT NULL,
	seq bigint NOT NULL,
	points loyalty.points NOT NULL,
	captured loyalty.points NOT NULL,
	made_at timestamptz NOT NULL,
	until timestamptz NOT NULL,
	ended_at timestamptz,
	program_id integer NOT NULL,
	status text COLLATE "C" NOT NULL,
	lots loyalty.purse NOT NULL,
	point_value numeric,
	amount numeric,
	purchase text COLLATE "C",
	note text,
	CONSTRAINT hold_pkey PRIMARY KEY (member_id, seq)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.hold', '');
ALTER TABLE loyalty.hold ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.hold IS 'points that are or were held; written only by the engine';
COMMENT ON COLUMN loyalty.hold.member_id IS 'the member, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.hold.seq IS 'number of the entry that made it: the hold that capture() and release() take';
COMMENT ON COLUMN loyalty.hold.points IS 'points that it held at first';
COMMENT ON COLUMN loyalty.hold.captured IS 'points of them that have been captured';
COMMENT ON COLUMN loyalty.hold.made_at IS 'since when';
COMMENT ON COLUMN loyalty.hold.until IS 'when it lapses, if it is not over by then';
COMMENT ON COLUMN loyalty.hold.ended_at IS 'when it ended; NULL: that is not written down';
COMMENT ON COLUMN loyalty.hold.program_id IS 'the program';
COMMENT ON COLUMN loyalty.hold.status IS 'active; how it ended: captured, released, lapsed';
COMMENT ON COLUMN loyalty.hold.lots IS 'what it still holds, by life span';
COMMENT ON COLUMN loyalty.hold.point_value IS 'what one point paid when they were held, and pays when they are captured; NULL: points were not money';
COMMENT ON COLUMN loyalty.hold.amount IS 'what the purchase comes to; NULL: unknown';
COMMENT ON COLUMN loyalty.hold.purchase IS 'key of the purchase that they are held for; NULL: none';
COMMENT ON COLUMN loyalty.hold.note IS 'reason given by whoever held them';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.hold
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.hold IS 'written only by the engine';

CREATE INDEX hold_until_idx ON loyalty.hold (program_id, until) WHERE status = 'active';
COMMENT ON INDEX loyalty.hold_until_idx IS 'where maintenance finds which holds have lapsed';

CREATE FUNCTION loyalty.hold(member text, points numeric, ttl interval DEFAULT NULL, purchase text DEFAULT NULL,
							 amount numeric DEFAULT NULL, reason text DEFAULT NULL, key text DEFAULT NULL,
							 at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_hold' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.hold(text, numeric, interval, text, numeric, text, text, timestamptz, text) IS 'holds points for a time (the program''s hold_ttl by default), soonest to expire first, under the limits of spend; meanwhile they are not available and do not expire; the entry is the hold''s number';
CREATE FUNCTION loyalty.hold(member bigint, points numeric, ttl interval DEFAULT NULL, purchase text DEFAULT NULL,
							 amount numeric DEFAULT NULL, reason text DEFAULT NULL, key text DEFAULT NULL,
							 at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_hold' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.hold(bigint, numeric, interval, text, numeric, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.capture(member text, hold bigint, points numeric DEFAULT NULL, final boolean DEFAULT true,
								reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL,
								program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_capture' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.capture(text, bigint, numeric, boolean, text, text, timestamptz, text) IS 'spends points that are held, all of them by default; the rest goes back, or unless final stays held; answers the entry that spends them';
CREATE FUNCTION loyalty.capture(member bigint, hold bigint, points numeric DEFAULT NULL, final boolean DEFAULT true,
								reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL,
								program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_capture' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.capture(bigint, bigint, numeric, boolean, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.release(member text, hold bigint, reason text DEFAULT NULL, key text DEFAULT NULL,
								at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_release' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.release(text, bigint, text, text, timestamptz, text) IS 'gives back what a hold still holds, with the life spans that the points had';
CREATE FUNCTION loyalty.release(member bigint, hold bigint, reason text DEFAULT NULL, key text DEFAULT NULL,
								at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_release' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.release(bigint, bigint, text, text, timestamptz, text) IS 'the same for a numeric customer id';
