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
	award loyalty.award NOT NULL,
	priority integer NOT NULL DEFAULT 0,
	active tstzrange NOT NULL DEFAULT '(,)'
		CONSTRAINT rule_active_check CHECK (NOT pg_catalog.isempty(active)),
	expiry loyalty.expiry,
	pending interval,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rule', '');
SELECT pg_catalog.pg_extension_config_dump('loyalty.rule_rule_id_seq', '');
COMMENT ON SEQUENCE loyalty.rule_rule_id_seq IS 'numbers for rule.rule_id';

COMMENT ON TABLE loyalty.rule IS 'earning rules; once committed a rule changes only in its name and the end of its active range';
COMMENT ON COLUMN loyalty.rule.rule_id IS 'number of the rule; entries name it';
COMMENT ON COLUMN loyalty.rule.program IS 'name of the program';
COMMENT ON COLUMN loyalty.rule.name IS 'name of the rule; no two rules of a program have one name at one time';
COMMENT ON COLUMN loyalty.rule.event IS 'what the rule rewards; purchase: every counting purchase';
COMMENT ON COLUMN loyalty.rule.award IS 'what it gives';
COMMENT ON COLUMN loyalty.rule.priority IS 'greater comes first; among equals the newer rule';
COMMENT ON COLUMN loyalty.rule.active IS 'purchases of this time range earn; unbounded by default, so that history earns too';
COMMENT ON COLUMN loyalty.rule.expiry IS 'life span of the points, in place of the program''s';
COMMENT ON COLUMN loyalty.rule.pending IS 'whole days before the points can be spent, in place of the program''s';
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
COMMENT ON TABLE loyalty.rule_change IS 'ends of rules that were replaced; written only by the engine';
COMMENT ON COLUMN loyalty.rule_change.version IS 'purchases with a smaller rule_horizon are judged by this end';
COMMENT ON COLUMN loyalty.rule_change.rule_id IS 'the rule';
COMMENT ON COLUMN loyalty.rule_change.until IS 'the end that it had; infinity: none';
COMMENT ON COLUMN loyalty.rule_change.until_inclusive IS 'whether the rule was still active at that very time';

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
