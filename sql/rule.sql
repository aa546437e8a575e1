--
-- rule: what earns points, one row each
--

-- Always numbered by the sequence: see guard_order below.
CREATE TABLE loyalty.rule (
	rule_id integer GENERATED ALWAYS AS IDENTITY
		CONSTRAINT rule_pkey PRIMARY KEY
		CONSTRAINT rule_rule_id_check CHECK (rule_id > 0),
	program text COLLATE "C" NOT NULL,
	name text NOT NULL CONSTRAINT rule_name_check CHECK (name <> ''),
	event text NOT NULL DEFAULT 'purchase'
		CONSTRAINT rule_event_check CHECK (event <> ''),
	award loyalty.award,
	award_points text,
	condition text,
	include_items text[],
	exclude_items text[],
	include_categories text[],
	exclude_categories text[],
	include_stores text[],
	exclude_stores text[],
	include_channels text[],
	exclude_channels text[],
	min_amount numeric
		CONSTRAINT rule_min_amount_check CHECK (min_amount BETWEEN 0 AND 1e15),
	min_quantity numeric
		CONSTRAINT rule_min_quantity_check CHECK (min_quantity BETWEEN 0 AND 1e15),
	priority integer NOT NULL DEFAULT 0,
	exclusive_group text
		CONSTRAINT rule_exclusive_group_check CHECK (exclusive_group <> ''),
	stop boolean NOT NULL DEFAULT false,
	active tstzrange NOT NULL DEFAULT '(,)'
		CONSTRAINT rule_active_check CHECK (NOT pg_catalog.isempty(active)),
	purchase_cap loyalty.points,
	member_cap loyalty.points,
	member_times integer
		CONSTRAINT rule_member_times_check CHECK (member_times > 0),
	cap_period text NOT NULL DEFAULT 'ever'
		CONSTRAINT rule_cap_period_check CHECK (cap_period IN ('day', 'week', 'month', 'year', 'ever')),
	cap_mode text NOT NULL DEFAULT 'reduce'
		CONSTRAINT rule_cap_mode_check CHECK (cap_mode IN ('reduce', 'reject')),
	once boolean NOT NULL DEFAULT false,
	cooldown interval
		CONSTRAINT rule_cooldown_check CHECK (cooldown > '0'),
	budget loyalty.points,
	budget_period text NOT NULL DEFAULT 'ever'
		CONSTRAINT rule_budget_period_check CHECK (budget_period IN ('day', 'week', 'month', 'year', 'ever')),
	expiry loyalty.expiry,
	pending interval,
	qualifies boolean NOT NULL DEFAULT true,
	confirm boolean NOT NULL DEFAULT false,
	confirm_within interval
		CONSTRAINT rule_confirm_within_check CHECK (confirm_within > '0'),
	on_silence text NOT NULL DEFAULT 'reject'
		CONSTRAINT rule_on_silence_check CHECK (on_silence IN ('accept', 'reject')),
	owner text COLLATE "C" NOT NULL DEFAULT CURRENT_USER,
	lineage integer,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT rule_award_check CHECK (pg_catalog.num_nonnulls(award, award_points) = 1)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rule', '');
ALTER TABLE loyalty.rule ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('loyalty.rule_rule_id_seq', '');
COMMENT ON SEQUENCE loyalty.rule_rule_id_seq IS 'numbers for rule.rule_id';

COMMENT ON TABLE loyalty.rule IS 'earning rules; once committed a rule changes only in its name, its owner and the end of its active range; revise_rule replaces it';
COMMENT ON COLUMN loyalty.rule.rule_id IS 'number of the rule; entries name it';
COMMENT ON COLUMN loyalty.rule.program IS 'name of the program';
COMMENT ON COLUMN loyalty.rule.name IS 'name of the rule; no two rules of a program have one name at one time';
COMMENT ON COLUMN loyalty.rule.event IS 'what the rule rewards; purchase: every counting purchase';
COMMENT ON COLUMN loyalty.rule.award IS 'what it gives; xN multiplies what others give on the lines that it is about';
COMMENT ON COLUMN loyalty.rule.award_points IS 'in place of award: SQL expression over the facts for the points; over facts of a line it is worked out for each line and scales, else it is given once a purchase';
COMMENT ON COLUMN loyalty.rule.condition IS 'SQL expression over the facts: on which lines it applies; immutable, run with the owner''s rights';
COMMENT ON COLUMN loyalty.rule.include_items IS 'only lines of these items';
COMMENT ON COLUMN loyalty.rule.exclude_items IS 'no lines of these items';
COMMENT ON COLUMN loyalty.rule.include_categories IS 'only lines of these categories';
COMMENT ON COLUMN loyalty.rule.exclude_categories IS 'no lines of these categories';
COMMENT ON COLUMN loyalty.rule.include_stores IS 'only lines of these stores';
COMMENT ON COLUMN loyalty.rule.exclude_stores IS 'no lines of these stores';
COMMENT ON COLUMN loyalty.rule.include_channels IS 'only lines of these channels';
COMMENT ON COLUMN loyalty.rule.exclude_channels IS 'no lines of these channels';
COMMENT ON COLUMN loyalty.rule.min_amount IS 'least amount of the whole purchase';
COMMENT ON COLUMN loyalty.rule.min_quantity IS 'least quantity of the whole purchase';
COMMENT ON COLUMN loyalty.rule.priority IS 'greater comes first; among equals the newer rule';
COMMENT ON COLUMN loyalty.rule.exclusive_group IS 'of the rules that apply in a group only the one that gives most counts';
COMMENT ON COLUMN loyalty.rule.stop IS 'when it applies, no rule that comes after it does';
COMMENT ON COLUMN loyalty.rule.active IS 'purchases of this time range earn; unbounded by default, so that history earns too';
COMMENT ON COLUMN loyalty.rule.purchase_cap IS 'most points of one purchase';
COMMENT ON COLUMN loyalty.rule.member_cap IS 'most points of one member in a cap_period';
COMMENT ON COLUMN loyalty.rule.member_times IS 'most purchases of one member that it rewards in a cap_period';
COMMENT ON COLUMN loyalty.rule.cap_period IS 'day, week (from Monday), month, year or ever, by the purchase''s time in the program''s time zone';
COMMENT ON COLUMN loyalty.rule.cap_mode IS 'what becomes of an award for which a cap or budget has too little left: reduce, reject';
COMMENT ON COLUMN loyalty.rule.once IS 'once in a member''s life; a return does not free it for another purchase';
COMMENT ON COLUMN loyalty.rule.cooldown IS 'least time between two purchases of a member that it rewards';
COMMENT ON COLUMN loyalty.rule.budget IS 'most points of all members together in a budget_period';
COMMENT ON COLUMN loyalty.rule.budget_period IS 'day, week, month, year or ever';
COMMENT ON COLUMN loyalty.rule.expiry IS 'life span of the points, in place of the program''s';
COMMENT ON COLUMN loyalty.rule.pending IS 'whole days before the points can be spent, in place of the program''s';
COMMENT ON COLUMN loyalty.rule.qualifies IS 'whether its points count toward tiers';
COMMENT ON COLUMN loyalty.rule.confirm IS 'what it gives awaits confirmation: accept() gives the points, reject() does not';
COMMENT ON COLUMN loyalty.rule.confirm_within IS 'whole days after the purchase''s day within which somebody may decide; then silence has decided; NULL: it never does';
COMMENT ON COLUMN loyalty.rule.on_silence IS 'what silence decides: accept, reject';
COMMENT ON COLUMN loyalty.rule.owner IS 'role that wrote it, with whose rights its expressions run';
COMMENT ON COLUMN loyalty.rule.lineage IS 'rule_id of its first version, whose limits it goes on with; NULL: it is a first version';
COMMENT ON COLUMN loyalty.rule.created_at IS 'when the rule was written';

-- A purchase keeps being judged by the end that a rule had when the purchase
-- first counted; so each end that was replaced is kept, with a number from the
-- rules' own sequence that tells which purchases came before.
CREATE TABLE loyalty.rule_change (
	version integer CONSTRAINT rule_change_pkey PRIMARY KEY,
	rule_id integer NOT NULL,
	until timestamptz NOT NULL,
	until_inclusive boolean NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rule_change', '');
ALTER TABLE loyalty.rule_change ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rule_change IS 'ends of rules that were replaced; written only by the engine';
COMMENT ON COLUMN loyalty.rule_change.version IS 'purchases with a smaller rule_horizon are judged by this end';
COMMENT ON COLUMN loyalty.rule_change.rule_id IS 'the rule';
COMMENT ON COLUMN loyalty.rule_change.until IS 'the end that it had; infinity: none';
COMMENT ON COLUMN loyalty.rule_change.until_inclusive IS 'whether the rule was still active at that very time';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rule_change
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history');
COMMENT ON TRIGGER guard ON loyalty.rule_change IS 'history is never rewritten';

CREATE FUNCTION loyalty.rule_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_rule_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.rule_guard() IS 'refuses rules that make no sense and changes to rules that have been in force';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON loyalty.rule
	FOR EACH ROW EXECUTE FUNCTION loyalty.rule_guard();
COMMENT ON TRIGGER guard ON loyalty.rule IS 'refuses rules that make no sense and changes to rules that have been in force';
-- Takes the lock that makes rule numbers become visible in order: a purchase
-- keeps the greatest number it saw, and that must describe exactly what it saw.
CREATE TRIGGER guard_order BEFORE INSERT OR UPDATE OR TRUNCATE ON loyalty.rule
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.rule_guard();
COMMENT ON TRIGGER guard_order ON loyalty.rule IS 'lets one transaction at a time write rules, so that their numbers become visible in order';
CREATE TRIGGER guard_name AFTER INSERT OR UPDATE ON loyalty.rule
	FOR EACH ROW EXECUTE FUNCTION loyalty.rule_guard();
COMMENT ON TRIGGER guard_name ON loyalty.rule IS 'keeps rules of a program apart by name';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON loyalty.rule
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.rule IS 'makes every session read rules again';

-- With the rights of whoever calls it, which the table's triggers judge.
CREATE FUNCTION loyalty.revise_rule(rule text, changes jsonb, at timestamptz DEFAULT NULL,
									program text DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'loyalty_revise_rule' LANGUAGE C VOLATILE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION loyalty.revise_rule(text, jsonb, timestamptz, text) IS 'ends the rule that is active at a time and opens its successor from then on, with changes such as {"award": "2 per 1", "condition": null}; limits go on; returns the successor''s rule_id';
