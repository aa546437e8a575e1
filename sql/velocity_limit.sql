--
-- velocity_limit: how often, and how many points, within a time
--

CREATE TABLE loyalty.velocity_limit (
	program text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL CONSTRAINT velocity_limit_name_check CHECK (name <> ''),
	kind text COLLATE "C" NOT NULL,
	per text NOT NULL DEFAULT 'member'
		CONSTRAINT velocity_limit_per_check CHECK (per IN ('member', 'pair')),
	within interval NOT NULL,
	max_times integer,
	max_points loyalty.points,
	action text NOT NULL DEFAULT 'refuse'
		CONSTRAINT velocity_limit_action_check CHECK (action IN ('refuse', 'report')),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT velocity_limit_pkey PRIMARY KEY (program, name)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.velocity_limit', '');
ALTER TABLE loyalty.velocity_limit ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE loyalty.velocity_limit IS 'how often members may do something, and with how many points, within a time; edited with INSERT and UPDATE';
COMMENT ON COLUMN loyalty.velocity_limit.program IS 'name of the program';
COMMENT ON COLUMN loyalty.velocity_limit.name IS 'what messages and reports call it';
COMMENT ON COLUMN loyalty.velocity_limit.kind IS 'earn (purchases and events), record (events, and purchases that no table holds), redeem (spends, rewards, holds), transfer (given to others), adjust (adjust, extend, reinstate), voucher (uses)';
COMMENT ON COLUMN loyalty.velocity_limit.per IS 'member; or pair: of transfers, those from one member to the same other one';
COMMENT ON COLUMN loyalty.velocity_limit.within IS 'the time, which ends with the act: days (of 24 hours) or hours';
COMMENT ON COLUMN loyalty.velocity_limit.max_times IS 'most times within it; NULL: any number';
COMMENT ON COLUMN loyalty.velocity_limit.max_points IS 'most points within it; NULL: any number';
COMMENT ON COLUMN loyalty.velocity_limit.action IS 'refuse: functions fail with LY029, orders are never refused; report: loyalty.suspicious says so, as it does of orders';
COMMENT ON COLUMN loyalty.velocity_limit.created_at IS 'when it was written';

CREATE FUNCTION loyalty.velocity_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_velocity_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.velocity_guard() IS 'refuses limits that make no sense';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON loyalty.velocity_limit
	FOR EACH ROW EXECUTE FUNCTION loyalty.velocity_guard();
COMMENT ON TRIGGER guard ON loyalty.velocity_limit IS 'refuses limits that make no sense';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.velocity_limit
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.velocity_limit IS 'makes every session read limits again';
