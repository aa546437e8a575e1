--
-- confirm: points that await confirmation
--

CREATE TABLE loyalty.confirmation (
	member_id bigint NOT NULL,
	seq bigint NOT NULL,
	points loyalty.points NOT NULL,
	since timestamptz NOT NULL,
	decided_at timestamptz,
	decided_seq bigint,
	program_id integer NOT NULL,
	rule_id integer NOT NULL,
	source_id integer NOT NULL,
	due date,
	starts date,
	ends date,
	by_silence boolean NOT NULL DEFAULT false,
	on_silence text NOT NULL,
	decision text,
	source_key text COLLATE "C" NOT NULL,
	key text COLLATE "C",
	note text,
	CONSTRAINT confirmation_pkey PRIMARY KEY (member_id, seq)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.confirmation', '');
ALTER TABLE loyalty.confirmation ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.confirmation IS 'awards that await confirmation, and what was decided of them; written only by the engine';
COMMENT ON COLUMN loyalty.confirmation.member_id IS 'the member, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.confirmation.seq IS 'number of the entry that began to await: the entry that accept() and reject() take';
COMMENT ON COLUMN loyalty.confirmation.points IS 'points that await; 0 once decided, or while the purchase stands at zero';
COMMENT ON COLUMN loyalty.confirmation.since IS 'when it was written down that they await';
COMMENT ON COLUMN loyalty.confirmation.decided_at IS 'when it was decided; by silence at the start of the day on which it was due';
COMMENT ON COLUMN loyalty.confirmation.decided_seq IS 'number of the entry that says so';
COMMENT ON COLUMN loyalty.confirmation.program_id IS 'the program';
COMMENT ON COLUMN loyalty.confirmation.rule_id IS 'the rule that gives the points';
COMMENT ON COLUMN loyalty.confirmation.source_id IS 'where the purchase comes from; 0: what record recorded';
COMMENT ON COLUMN loyalty.confirmation.due IS 'at the start of this day silence decides; NULL: it never does';
COMMENT ON COLUMN loyalty.confirmation.starts IS 'first day of the points if silence accepts them; NULL: at once';
COMMENT ON COLUMN loyalty.confirmation.ends IS 'their last day; infinity: none; NULL: silence accepts nothing';
COMMENT ON COLUMN loyalty.confirmation.by_silence IS 'nobody else decided';
COMMENT ON COLUMN loyalty.confirmation.on_silence IS 'what silence decides: accept, reject';
COMMENT ON COLUMN loyalty.confirmation.decision IS 'accepted or rejected; NULL: undecided';
COMMENT ON COLUMN loyalty.confirmation.source_key IS 'key of the purchase in its source';
COMMENT ON COLUMN loyalty.confirmation.key IS 'idempotency key of the decision';
COMMENT ON COLUMN loyalty.confirmation.note IS 'reason given for it';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.confirmation
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.confirmation IS 'written only by the engine';

CREATE INDEX confirmation_due_idx ON loyalty.confirmation (program_id, due) WHERE decision IS NULL;
COMMENT ON INDEX loyalty.confirmation_due_idx IS 'where maintenance finds what silence has decided';

CREATE VIEW loyalty.awaiting WITH (security_barrier = true) AS
	SELECT p.name AS program, m.ref AS member, c.seq AS entry,
		   CASE c.source_id WHEN 0 THEN 'api' ELSE s.name END AS source, c.source_key AS purchase,
		   r.name AS rule, c.points, c.since, c.due, c.on_silence
	FROM loyalty.confirmation c
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) c.program_id
	JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) c.member_id
	LEFT JOIN loyalty.rule r ON r.rule_id OPERATOR(pg_catalog.=) c.rule_id
	LEFT JOIN loyalty.source s ON s.source_id OPERATOR(pg_catalog.=) c.source_id
	WHERE loyalty.may_read(p.program_id) AND c.decision IS NULL AND c.points::pg_catalog.numeric OPERATOR(pg_catalog.>) 0
	  -- by then silence has decided, whether or not it has been written down
	  AND (c.due IS NULL OR c.due OPERATOR(pg_catalog.>) pg_catalog.timezone(p.time_zone, pg_catalog.now())::pg_catalog.date)
	ORDER BY c.due, c.since, c.member_id, c.seq;
COMMENT ON VIEW loyalty.awaiting IS 'what somebody is to decide on, the most urgent first';
COMMENT ON COLUMN loyalty.awaiting.program IS 'name of the program';
COMMENT ON COLUMN loyalty.awaiting.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.awaiting.entry IS 'entry that accept() and reject() take';
COMMENT ON COLUMN loyalty.awaiting.source IS 'name of the source; api: recorded by a function';
COMMENT ON COLUMN loyalty.awaiting.purchase IS 'key of the purchase in its source';
COMMENT ON COLUMN loyalty.awaiting.rule IS 'name of the rule';
COMMENT ON COLUMN loyalty.awaiting.points IS 'points that await confirmation';
COMMENT ON COLUMN loyalty.awaiting.since IS 'when it was written down that they do';
COMMENT ON COLUMN loyalty.awaiting.due IS 'at the start of this day silence decides; NULL: it never does';
COMMENT ON COLUMN loyalty.awaiting.on_silence IS 'what it decides: accept, reject';

CREATE FUNCTION loyalty.accept(member text, entry bigint, reason text DEFAULT NULL, key text DEFAULT NULL,
							   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_accept' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.accept(text, bigint, text, text, timestamptz, text) IS 'gives the points that await confirmation since an entry; accepting again answers the same, accepting what was rejected is LY013';
CREATE FUNCTION loyalty.accept(member bigint, entry bigint, reason text DEFAULT NULL, key text DEFAULT NULL,
							   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_accept' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.accept(bigint, bigint, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.reject(member text, entry bigint, reason text DEFAULT NULL, key text DEFAULT NULL,
							   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_reject' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.reject(text, bigint, text, text, timestamptz, text) IS 'gives nothing of the points that await confirmation since an entry; rejecting again answers the same, rejecting what was accepted is LY013';
CREATE FUNCTION loyalty.reject(member bigint, entry bigint, reason text DEFAULT NULL, key text DEFAULT NULL,
							   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_reject' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.reject(bigint, bigint, text, text, timestamptz, text) IS 'the same for a numeric customer id';
