--
-- proposal: adjustments that await a second person
--

CREATE TABLE loyalty.proposal (
	member_id bigint NOT NULL,
	number integer NOT NULL,
	program_id integer NOT NULL,
	points loyalty.points NOT NULL,
	expires date,
	at timestamptz,
	proposed_at timestamptz NOT NULL,
	decided_at timestamptz,
	entry_member_id bigint,
	entry bigint,
	state text COLLATE "C" NOT NULL,
	proposed_by text COLLATE "C" NOT NULL,
	proposed_session text COLLATE "C" NOT NULL,
	decided_by text COLLATE "C",
	decided_session text COLLATE "C",
	key text COLLATE "C",
	reason text,
	decision_reason text,
	CONSTRAINT proposal_pkey PRIMARY KEY (member_id, number)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.proposal', '');
ALTER TABLE loyalty.proposal ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE loyalty.proposal IS 'adjustments that await a second person, or did; written only by the engine';
COMMENT ON COLUMN loyalty.proposal.member_id IS 'the member, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.proposal.number IS 'number of the proposal for its member, 1, 2, 3 and so on';
COMMENT ON COLUMN loyalty.proposal.program_id IS 'the program';
COMMENT ON COLUMN loyalty.proposal.points IS 'points that are to be added (negative: taken)';
COMMENT ON COLUMN loyalty.proposal.expires IS 'last day that was asked for; NULL: as the program''s';
COMMENT ON COLUMN loyalty.proposal.at IS 'time that was asked for; NULL: that of the approval';
COMMENT ON COLUMN loyalty.proposal.proposed_at IS 'when it was proposed';
COMMENT ON COLUMN loyalty.proposal.decided_at IS 'when it was approved, declined or withdrawn';
COMMENT ON COLUMN loyalty.proposal.entry_member_id IS 'member whose entry posted it: another one once the member is merged; NULL: none has';
COMMENT ON COLUMN loyalty.proposal.entry IS 'number of that entry';
COMMENT ON COLUMN loyalty.proposal.state IS 'open, approved, declined or withdrawn';
COMMENT ON COLUMN loyalty.proposal.proposed_by IS 'role that proposed it, by SET ROLE';
COMMENT ON COLUMN loyalty.proposal.proposed_session IS 'role that had logged in';
COMMENT ON COLUMN loyalty.proposal.decided_by IS 'role that decided, by SET ROLE';
COMMENT ON COLUMN loyalty.proposal.decided_session IS 'role that had logged in';
COMMENT ON COLUMN loyalty.proposal.key IS 'idempotency key of the adjustment';
COMMENT ON COLUMN loyalty.proposal.reason IS 'reason given for the adjustment';
COMMENT ON COLUMN loyalty.proposal.decision_reason IS 'reason given for the decision';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.proposal
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history', 'state', 'decided_at', 'decided_by', 'decided_session',
															 'decision_reason', 'entry_member_id', 'entry', 'reason');
COMMENT ON TRIGGER guard ON loyalty.proposal IS 'written only by the engine, which only decides';

CREATE UNIQUE INDEX proposal_key_idx ON loyalty.proposal (member_id, key) WHERE key IS NOT NULL;
COMMENT ON INDEX loyalty.proposal_key_idx IS 'a key proposes once';

CREATE FUNCTION loyalty.approve(proposal text, reason text DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_approve' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.approve(text, text, text) IS 'posts an adjustment that another role has proposed; again it answers the same';
CREATE FUNCTION loyalty.decline(proposal text, reason text DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_decline' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.decline(text, text, text) IS 'declines an adjustment that another role has proposed';
CREATE FUNCTION loyalty.withdraw(proposal text, reason text DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_withdraw' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.withdraw(text, text, text) IS 'takes back an adjustment that the same role has proposed';

CREATE VIEW loyalty.proposals WITH (security_barrier) AS
	SELECT p.name AS program, q.member_id OPERATOR(pg_catalog.||) '#' OPERATOR(pg_catalog.||) q.number AS proposal,
		   m.ref AS member, q.points, q.expires, q.at, q.state, q.reason, q.key, q.proposed_at, q.proposed_by, q.proposed_session,
		   q.decided_at, q.decided_by, q.decided_session, q.decision_reason, e.ref AS entry_member, q.entry
	FROM loyalty.proposal q
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) q.program_id
	JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) q.member_id
	LEFT JOIN loyalty.member e ON e.member_id OPERATOR(pg_catalog.=) q.entry_member_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.proposals IS 'adjustments that await a second person, or did';
COMMENT ON COLUMN loyalty.proposals.program IS 'name of the program';
COMMENT ON COLUMN loyalty.proposals.proposal IS 'what approve, decline and withdraw take';
COMMENT ON COLUMN loyalty.proposals.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.proposals.points IS 'points that are to be added (negative: taken)';
COMMENT ON COLUMN loyalty.proposals.expires IS 'last day that was asked for; NULL: as the program''s';
COMMENT ON COLUMN loyalty.proposals.at IS 'time that was asked for; NULL: that of the approval';
COMMENT ON COLUMN loyalty.proposals.state IS 'open, approved, declined or withdrawn';
COMMENT ON COLUMN loyalty.proposals.reason IS 'reason given for the adjustment';
COMMENT ON COLUMN loyalty.proposals.key IS 'idempotency key of the adjustment';
COMMENT ON COLUMN loyalty.proposals.proposed_at IS 'when it was proposed';
COMMENT ON COLUMN loyalty.proposals.proposed_by IS 'role that proposed it, by SET ROLE';
COMMENT ON COLUMN loyalty.proposals.proposed_session IS 'role that had logged in';
COMMENT ON COLUMN loyalty.proposals.decided_at IS 'when it was approved, declined or withdrawn';
COMMENT ON COLUMN loyalty.proposals.decided_by IS 'role that decided, by SET ROLE';
COMMENT ON COLUMN loyalty.proposals.decided_session IS 'role that had logged in';
COMMENT ON COLUMN loyalty.proposals.decision_reason IS 'reason given for the decision';
COMMENT ON COLUMN loyalty.proposals.entry_member IS 'member whose entry posted it: another one once the member is merged';
COMMENT ON COLUMN loyalty.proposals.entry IS 'number of the entry that posted it';
