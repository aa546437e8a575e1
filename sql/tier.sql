--
-- tier: what members rise to, and how they rose and fell
--

CREATE TABLE loyalty.tier (
	program text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL
		CONSTRAINT tier_name_check CHECK (name <> ''),
	rank integer NOT NULL,
	min_amount numeric
		CONSTRAINT tier_min_amount_check CHECK (min_amount BETWEEN 0 AND 1e15),
	min_points loyalty.points
		CONSTRAINT tier_min_points_check CHECK (min_points OPERATOR(loyalty.>=) '0'),
	min_purchases integer
		CONSTRAINT tier_min_purchases_check CHECK (min_purchases >= 0),
	keep_amount numeric
		CONSTRAINT tier_keep_amount_check CHECK (keep_amount BETWEEN 0 AND 1e15),
	keep_points loyalty.points
		CONSTRAINT tier_keep_points_check CHECK (keep_points OPERATOR(loyalty.>=) '0'),
	keep_purchases integer
		CONSTRAINT tier_keep_purchases_check CHECK (keep_purchases >= 0),
	expiry loyalty.expiry,
	pending interval,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT tier_pkey PRIMARY KEY (program, name),
	-- At the end of the statement, so that an UPDATE may shift all of them.
	CONSTRAINT tier_rank_key UNIQUE (program, rank) DEFERRABLE
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.tier', '');
ALTER TABLE loyalty.tier ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.tier IS 'tiers of programs; edited with INSERT, UPDATE and DELETE, members follow at their next review';
COMMENT ON COLUMN loyalty.tier.program IS 'name of the program';
COMMENT ON COLUMN loyalty.tier.name IS 'what rules and members call it; fixed once the program has members';
COMMENT ON COLUMN loyalty.tier.rank IS 'the greater, the higher; no two of a program are equal';
COMMENT ON COLUMN loyalty.tier.min_amount IS 'amount within the program''s tier_window that reaches it, in the program''s currency; NULL: not asked; a tier whose minimums are zero is everyone''s, one without any is only given by hand';
COMMENT ON COLUMN loyalty.tier.min_points IS 'points earned within the window that reach it, by rules that qualify; NULL: not asked';
COMMENT ON COLUMN loyalty.tier.min_purchases IS 'purchases within the window that reach it; NULL: not asked';
COMMENT ON COLUMN loyalty.tier.keep_amount IS 'amount within the window that keeps it; NULL: min_amount';
COMMENT ON COLUMN loyalty.tier.keep_points IS 'points within the window that keep it; NULL: min_points';
COMMENT ON COLUMN loyalty.tier.keep_purchases IS 'purchases within the window that keep it; NULL: min_purchases';
COMMENT ON COLUMN loyalty.tier.expiry IS 'life span of points earned by members who hold it, where the rule has none of its own; NULL: the program''s';
COMMENT ON COLUMN loyalty.tier.pending IS 'whole days before such points can be spent, where the rule does not say; NULL: the program''s';
COMMENT ON COLUMN loyalty.tier.created_at IS 'when the tier was written';

CREATE FUNCTION loyalty.tier_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_tier_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.tier_guard() IS 'refuses tiers that make no sense, and has members reviewed when tiers change';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON loyalty.tier
	FOR EACH ROW EXECUTE FUNCTION loyalty.tier_guard();
COMMENT ON TRIGGER guard ON loyalty.tier IS 'refuses tiers that make no sense, and has members reviewed when tiers change';
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON loyalty.tier
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.tier_guard();
COMMENT ON TRIGGER guard_truncate ON loyalty.tier IS 'tiers are not thrown away wholesale';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON loyalty.tier
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.tier IS 'makes every session read tiers again';

-- Numbered by member without gaps, so that none can be missing.  A change has
-- a time of its own: a promotion dates from its purchase, however late that is
-- written down.
CREATE TABLE loyalty.tier_change (
	member_id bigint NOT NULL,
	seq bigint NOT NULL,
	at timestamptz NOT NULL,
	posted_at timestamptz NOT NULL,
	program_id integer NOT NULL,
	change_no integer NOT NULL,
	from_rank integer,
	to_rank integer,
	until date,
	from_tier text COLLATE "C",
	to_tier text COLLATE "C",
	reason text COLLATE "C" NOT NULL,
	note text,
	CONSTRAINT tier_change_pkey PRIMARY KEY (member_id, change_no)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.tier_change', '');
ALTER TABLE loyalty.tier_change ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.tier_change IS 'how members rose and fell, append-only; written only by the engine';
COMMENT ON COLUMN loyalty.tier_change.member_id IS 'the member';
COMMENT ON COLUMN loyalty.tier_change.seq IS 'the entry that made it; of a review the member''s last entry at that time';
COMMENT ON COLUMN loyalty.tier_change.at IS 'when it took effect';
COMMENT ON COLUMN loyalty.tier_change.posted_at IS 'when it was written down: start of the transaction';
COMMENT ON COLUMN loyalty.tier_change.program_id IS 'the program';
COMMENT ON COLUMN loyalty.tier_change.change_no IS 'number of the change for its member, 1, 2, 3 and so on without gaps';
COMMENT ON COLUMN loyalty.tier_change.from_rank IS 'rank of from_tier at that time';
COMMENT ON COLUMN loyalty.tier_change.to_rank IS 'rank of to_tier at that time';
COMMENT ON COLUMN loyalty.tier_change.until IS 'last day on which the new tier is not reviewed, or of the floor; NULL: none';
COMMENT ON COLUMN loyalty.tier_change.from_tier IS 'tier before; NULL: none';
COMMENT ON COLUMN loyalty.tier_change.to_tier IS 'tier after; NULL: none';
COMMENT ON COLUMN loyalty.tier_change.reason IS 'earned (reached the minimum), kept (held for another period), lapsed (not kept), manual (set_tier), floor ended, removed (the tier is gone), imported, merged (got from another member, or taken back when they were parted)';
COMMENT ON COLUMN loyalty.tier_change.note IS 'reason given by whoever acted';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.tier_change
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history', 'note');
COMMENT ON TRIGGER guard ON loyalty.tier_change IS 'history is never rewritten';
