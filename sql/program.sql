--
-- program: what a loyalty program promises, one row each
--

CREATE TABLE loyalty.program (
	name text COLLATE "C" CONSTRAINT program_pkey PRIMARY KEY
		CONSTRAINT program_name_check CHECK (name <> ''),
	program_id integer NOT NULL GENERATED ALWAYS AS IDENTITY
		CONSTRAINT program_program_id_key UNIQUE,
	currency text,
	time_zone text NOT NULL DEFAULT 'UTC',
	expiry loyalty.expiry NOT NULL DEFAULT 'never',
	pending interval NOT NULL DEFAULT '0',
	points_scale smallint NOT NULL DEFAULT 0
		CONSTRAINT program_points_scale_check CHECK (points_scale BETWEEN 0 AND 4),
	rounding text NOT NULL DEFAULT 'down'
		CONSTRAINT program_rounding_check CHECK (rounding IN ('down', 'half_up', 'half_even', 'up')),
	stacking text NOT NULL DEFAULT 'add'
		CONSTRAINT program_stacking_check CHECK (stacking IN ('add', 'multiply', 'best')),
	clawback text NOT NULL DEFAULT 'debt'
		CONSTRAINT program_clawback_check CHECK (clawback IN ('debt', 'available', 'pending', 'none')),
	auto_enroll boolean NOT NULL DEFAULT true,
	tier_window loyalty.qualification NOT NULL DEFAULT 'lifetime',
	tier_match text NOT NULL DEFAULT 'any'
		CONSTRAINT program_tier_match_check CHECK (tier_match IN ('any', 'all')),
	tier_validity loyalty.expiry,
	tier_downgrade text NOT NULL DEFAULT 'earned'
		CONSTRAINT program_tier_downgrade_check CHECK (tier_downgrade IN ('none', 'one', 'earned')),
	tier_grace interval NOT NULL DEFAULT '0',
	point_value numeric
		CONSTRAINT program_point_value_check CHECK (point_value > 0 AND point_value < 'Infinity'),
	spend_minimum loyalty.points
		CONSTRAINT program_spend_minimum_check CHECK (spend_minimum OPERATOR(loyalty.>) 0),
	spend_step loyalty.points
		CONSTRAINT program_spend_step_check CHECK (spend_step OPERATOR(loyalty.>) 0),
	spend_maximum loyalty.points
		CONSTRAINT program_spend_maximum_check CHECK (spend_maximum OPERATOR(loyalty.>) 0),
	spend_share numeric
		CONSTRAINT program_spend_share_check CHECK (spend_share > 0 AND spend_share <= 1),
	transfer_enabled boolean NOT NULL DEFAULT true,
	transfer_policy text NOT NULL DEFAULT 'keep'
		CONSTRAINT program_transfer_policy_check CHECK (transfer_policy IN ('keep', 'restart')),
	transfer_minimum loyalty.points
		CONSTRAINT program_transfer_minimum_check CHECK (transfer_minimum OPERATOR(loyalty.>) 0),
	transfer_maximum loyalty.points
		CONSTRAINT program_transfer_maximum_check CHECK (transfer_maximum OPERATOR(loyalty.>) 0),
	transfer_cap loyalty.points
		CONSTRAINT program_transfer_cap_check CHECK (transfer_cap OPERATOR(loyalty.>) 0),
	transfer_cap_period text NOT NULL DEFAULT 'ever'
		CONSTRAINT program_transfer_cap_period_check CHECK (transfer_cap_period IN ('day', 'week', 'month', 'year', 'ever')),
	hold_ttl interval NOT NULL DEFAULT '7 days'
		CONSTRAINT program_hold_ttl_check CHECK (hold_ttl > '0' AND hold_ttl <= '100 years'),
	reinstate loyalty.expiry,
	retention interval
		CONSTRAINT program_retention_check CHECK (retention >= '1 day'),
	adjust_limit loyalty.points,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT program_spend_limits_check CHECK (spend_minimum OPERATOR(loyalty.<=) spend_maximum),
	CONSTRAINT program_spend_value_check CHECK (spend_share IS NULL OR point_value IS NOT NULL),
	CONSTRAINT program_transfer_limits_check CHECK (transfer_minimum OPERATOR(loyalty.<=) transfer_maximum),
	CONSTRAINT program_transfer_cap_limits_check CHECK (transfer_minimum OPERATOR(loyalty.<=) transfer_cap)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.program', '');
ALTER TABLE loyalty.program ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('loyalty.program_program_id_seq', '');
COMMENT ON SEQUENCE loyalty.program_program_id_seq IS 'numbers for program.program_id';

COMMENT ON TABLE loyalty.program IS 'loyalty programs; edited with INSERT and UPDATE';
COMMENT ON COLUMN loyalty.program.name IS 'what everything else calls the program; fixed once it is inserted';
COMMENT ON COLUMN loyalty.program.program_id IS 'short form of the name in the ledger';
COMMENT ON COLUMN loyalty.program.currency IS 'currency of purchase amounts, for instance USD';
COMMENT ON COLUMN loyalty.program.time_zone IS 'time zone in which days begin and end; fixed once the program has members';
COMMENT ON COLUMN loyalty.program.expiry IS 'life span of points earned from now on';
COMMENT ON COLUMN loyalty.program.pending IS 'whole days before earned points can be spent';
COMMENT ON COLUMN loyalty.program.points_scale IS 'decimals that earned points are rounded to, 0 to 4; fixed once the program has members';
COMMENT ON COLUMN loyalty.program.rounding IS 'down, half_up, half_even or up, once over the whole purchase; fixed once the program has members';
COMMENT ON COLUMN loyalty.program.stacking IS 'how several multipliers on a line combine: add (1 + the sum of what each adds), multiply (their product), best (the greatest); fixed once the program has members';
COMMENT ON COLUMN loyalty.program.clawback IS 'where returned points are taken from once they are spent: debt (other points, then below zero), available (other points, never below zero), pending (only points still pending), none';
COMMENT ON COLUMN loyalty.program.auto_enroll IS 'whether the first purchase makes a customer a member';
COMMENT ON COLUMN loyalty.program.tier_window IS 'window in which amounts, points and purchases count toward tiers';
COMMENT ON COLUMN loyalty.program.tier_match IS 'any: one of a tier''s minimums is enough; all: every minimum that it has must be reached';
COMMENT ON COLUMN loyalty.program.tier_validity IS 'how long a tier that was reached is held: a length (12 months), end of year, end of next year, never (it never ends); NULL: as long as the window gives it';
COMMENT ON COLUMN loyalty.program.tier_downgrade IS 'where a member goes who does not keep a tier: none (he keeps it), one (one tier down), earned (to the tier that he has earned)';
COMMENT ON COLUMN loyalty.program.tier_grace IS 'whole days for which a tier is held that is not kept any more';
COMMENT ON COLUMN loyalty.program.point_value IS 'what one point pays, in the program''s currency; NULL: points are not money';
COMMENT ON COLUMN loyalty.program.spend_minimum IS 'fewest points that are spent at once';
COMMENT ON COLUMN loyalty.program.spend_step IS 'points are spent in multiples of this only';
COMMENT ON COLUMN loyalty.program.spend_maximum IS 'most points that are spent on one purchase';
COMMENT ON COLUMN loyalty.program.spend_share IS 'most of a purchase''s amount that points may pay: 0.5 is half of it';
COMMENT ON COLUMN loyalty.program.transfer_enabled IS 'whether members may give points to each other';
COMMENT ON COLUMN loyalty.program.transfer_policy IS 'what becomes of their life span: keep (they end when they would have), restart (it begins anew, by the program''s expiry)';
COMMENT ON COLUMN loyalty.program.transfer_minimum IS 'fewest points of one transfer';
COMMENT ON COLUMN loyalty.program.transfer_maximum IS 'most points of one transfer';
COMMENT ON COLUMN loyalty.program.transfer_cap IS 'most points that one member gives away in a transfer_cap_period';
COMMENT ON COLUMN loyalty.program.transfer_cap_period IS 'day, week (from Monday), month, year or ever, by the transfer''s time in the program''s time zone';
COMMENT ON COLUMN loyalty.program.hold_ttl IS 'how long points stay held when a hold does not say; then they are released';
COMMENT ON COLUMN loyalty.program.reinstate IS 'life span from then on of points that a cancellation or return gives back after their own has passed: 30 days, or never; NULL: they lapse';
COMMENT ON COLUMN loyalty.program.retention IS 'members who have been inactive for longer, and have no points, are forgotten by maintain: 3 years; NULL: never';
COMMENT ON COLUMN loyalty.program.adjust_limit IS 'most points of a member that one role adjusts within a day; what is more is proposed, and another role approves it; NULL: no limit';
COMMENT ON COLUMN loyalty.program.created_at IS 'when the program was set up';

CREATE FUNCTION loyalty.program_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_program_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.program_guard() IS 'refuses programs that make no sense and changes that history forbids';

CREATE FUNCTION loyalty.config_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_config_changed' LANGUAGE C;
COMMENT ON FUNCTION loyalty.config_changed() IS 'makes every session read programs, rates, rules, tiers, rewards and sources again';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON loyalty.program
	FOR EACH ROW EXECUTE FUNCTION loyalty.program_guard();
COMMENT ON TRIGGER guard ON loyalty.program IS 'refuses programs that make no sense and changes that history forbids';
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON loyalty.program
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.program_guard();
COMMENT ON TRIGGER guard_truncate ON loyalty.program IS 'programs are not thrown away wholesale';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON loyalty.program
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.program IS 'makes every session read programs again';
