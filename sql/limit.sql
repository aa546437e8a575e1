--
-- limit: what members have had of limited rules
--

CREATE TABLE loyalty.rule_usage (
	member_id bigint NOT NULL,
	rule_id integer NOT NULL,
	period date NOT NULL,
	points loyalty.points NOT NULL,
	times integer NOT NULL,
	last_at timestamptz,
	CONSTRAINT rule_usage_pkey PRIMARY KEY (member_id, rule_id, period)
) WITH (fillfactor = 70);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rule_usage', '');
ALTER TABLE loyalty.rule_usage ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rule_usage IS 'what members have had of limited rules, by period; written only by the engine';
COMMENT ON COLUMN loyalty.rule_usage.member_id IS 'the member, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.rule_usage.rule_id IS 'the rule''s first version';
COMMENT ON COLUMN loyalty.rule_usage.period IS 'first day of the cap_period; -infinity: ever, where last_at is kept';
COMMENT ON COLUMN loyalty.rule_usage.points IS 'points that stand of purchases of the period';
COMMENT ON COLUMN loyalty.rule_usage.times IS 'purchases of the period that stand rewarded';
COMMENT ON COLUMN loyalty.rule_usage.last_at IS 'time of the latest purchase that was ever rewarded by a rule with once or cooldown';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rule_usage
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rule_usage IS 'written only by the engine';
