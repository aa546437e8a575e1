--
-- choice: rewards that are redeemed by themselves
--

CREATE TABLE loyalty.reward_choice (
	member_id bigint CONSTRAINT reward_choice_pkey PRIMARY KEY,
	program_id integer NOT NULL,
	reward_id integer NOT NULL,
	option text,
	chosen_at timestamptz NOT NULL,
	reached_at timestamptz,
	due timestamptz,
	redeemed bigint NOT NULL DEFAULT 0,
	last_error text,
	last_error_at timestamptz
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.reward_choice', '');
ALTER TABLE loyalty.reward_choice ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.reward_choice IS 'rewards that members have chosen to be redeemed as soon as their points suffice; written only by the engine';
COMMENT ON COLUMN loyalty.reward_choice.member_id IS 'the member, whose row''s lock guards this too';
COMMENT ON COLUMN loyalty.reward_choice.program_id IS 'the program';
COMMENT ON COLUMN loyalty.reward_choice.reward_id IS 'the reward';
COMMENT ON COLUMN loyalty.reward_choice.option IS 'the option that was named; NULL: the cheapest';
COMMENT ON COLUMN loyalty.reward_choice.chosen_at IS 'when it was chosen';
COMMENT ON COLUMN loyalty.reward_choice.reached_at IS 'since when the points suffice, while the redemption waits; NULL: it does not';
COMMENT ON COLUMN loyalty.reward_choice.due IS 'when maintain looks at it: the wait is over, points open, or a failure is tried again; NULL: never';
COMMENT ON COLUMN loyalty.reward_choice.redeemed IS 'redemptions that it has made';
COMMENT ON COLUMN loyalty.reward_choice.last_error IS 'why it could not be redeemed; NULL: the last time it could';
COMMENT ON COLUMN loyalty.reward_choice.last_error_at IS 'when that was';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.reward_choice
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.reward_choice IS 'written only by the engine';

CREATE INDEX reward_choice_due_idx ON loyalty.reward_choice (program_id, due) WHERE due IS NOT NULL;
COMMENT ON INDEX loyalty.reward_choice_due_idx IS 'choices that maintain looks at, by time';

CREATE FUNCTION loyalty.choose_reward(member text, reward text, option text DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_choose_reward' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.choose_reward(text, text, text, text) IS 'has a reward redeemed by itself for a member whenever his points suffice; NULL: none any more';
CREATE FUNCTION loyalty.choose_reward(member bigint, reward text, option text DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_choose_reward' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.choose_reward(bigint, text, text, text) IS 'the same for a numeric customer id';

CREATE VIEW loyalty.choices WITH (security_barrier = true) AS
	SELECT p.name AS program, m.ref AS member, r.name AS reward, c.option, c.chosen_at, c.reached_at, c.due,
		   c.redeemed, c.last_error, c.last_error_at
	FROM loyalty.reward_choice c
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) c.program_id
	JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) c.member_id
	LEFT JOIN loyalty.reward r ON r.reward_id OPERATOR(pg_catalog.=) c.reward_id
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.choices IS 'who has chosen what to be redeemed by itself, and how that stands';
COMMENT ON COLUMN loyalty.choices.program IS 'name of the program';
COMMENT ON COLUMN loyalty.choices.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.choices.reward IS 'name of the reward';
COMMENT ON COLUMN loyalty.choices.option IS 'the option that was named; NULL: the cheapest';
COMMENT ON COLUMN loyalty.choices.chosen_at IS 'when it was chosen';
COMMENT ON COLUMN loyalty.choices.reached_at IS 'since when the points suffice, while the redemption waits; NULL: it does not';
COMMENT ON COLUMN loyalty.choices.due IS 'when maintain looks at it: the wait is over, points open, or a failure is tried again; NULL: never';
COMMENT ON COLUMN loyalty.choices.redeemed IS 'redemptions that it has made';
COMMENT ON COLUMN loyalty.choices.last_error IS 'why it could not be redeemed; NULL: the last time it could';
COMMENT ON COLUMN loyalty.choices.last_error_at IS 'when that was';
