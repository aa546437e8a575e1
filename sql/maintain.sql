--
-- maintain: what time and failures leave to be done
--

CREATE TABLE loyalty.maintenance (
	program text COLLATE "C" CONSTRAINT maintenance_pkey PRIMARY KEY,
	at timestamptz NOT NULL,
	started_at timestamptz NOT NULL,
	finished_at timestamptz,
	members bigint NOT NULL DEFAULT 0,
	done bigint NOT NULL DEFAULT 0,
	entries bigint NOT NULL DEFAULT 0,
	skipped bigint NOT NULL DEFAULT 0,
	failed bigint NOT NULL DEFAULT 0,
	members_known boolean NOT NULL DEFAULT false,
	terms bigint
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.maintenance', '');
ALTER TABLE loyalty.maintenance ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.maintenance IS 'the last run of maintain for each program, but for passes inside a transaction';
COMMENT ON COLUMN loyalty.maintenance.program IS 'name of the program';
COMMENT ON COLUMN loyalty.maintenance.at IS 'what fell due up to this time was to be written down';
COMMENT ON COLUMN loyalty.maintenance.started_at IS 'when the run began';
COMMENT ON COLUMN loyalty.maintenance.finished_at IS 'when it had been through all members; NULL: it has not';
COMMENT ON COLUMN loyalty.maintenance.members IS 'members who were to be looked at';
COMMENT ON COLUMN loyalty.maintenance.done IS 'members who have been';
COMMENT ON COLUMN loyalty.maintenance.entries IS 'entries that were written';
COMMENT ON COLUMN loyalty.maintenance.skipped IS 'members whom somebody else was busy with; they are left to the next run';
COMMENT ON COLUMN loyalty.maintenance.failed IS 'members who failed: see maintenance_failure';
COMMENT ON COLUMN loyalty.maintenance.members_known IS 'next_expiry of every member counts in the program''s expiry by inactivity and its tiers; false: the next run looks at all of them';
COMMENT ON COLUMN loyalty.maintenance.terms IS 'fingerprint of the expiry and the tiers that they are worked out with; others: the next run looks at all members';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.maintenance
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.maintenance IS 'written only by the engine';

CREATE TABLE loyalty.maintenance_failure (
	member_id bigint CONSTRAINT maintenance_failure_pkey PRIMARY KEY,
	program_id integer NOT NULL,
	due date,
	error_code text NOT NULL,
	message text NOT NULL,
	detail text,
	attempts integer NOT NULL DEFAULT 1,
	failed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	tried_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.maintenance_failure', '');
ALTER TABLE loyalty.maintenance_failure ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.maintenance_failure IS 'members for whom maintain could not write down what fell due, with the cause; it tries them again, and strikes them off when it succeeds';
COMMENT ON COLUMN loyalty.maintenance_failure.member_id IS 'the member';
COMMENT ON COLUMN loyalty.maintenance_failure.program_id IS 'the program';
COMMENT ON COLUMN loyalty.maintenance_failure.due IS 'the member''s next_expiry at the time';
COMMENT ON COLUMN loyalty.maintenance_failure.error_code IS 'SQLSTATE of the last failure';
COMMENT ON COLUMN loyalty.maintenance_failure.message IS 'its message';
COMMENT ON COLUMN loyalty.maintenance_failure.detail IS 'its detail';
COMMENT ON COLUMN loyalty.maintenance_failure.attempts IS 'how often it was tried';
COMMENT ON COLUMN loyalty.maintenance_failure.failed_at IS 'when it failed first';
COMMENT ON COLUMN loyalty.maintenance_failure.tried_at IS 'when it failed last';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.maintenance_failure
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.maintenance_failure IS 'written only by the engine';

CREATE PROCEDURE loyalty.maintain(at timestamptz DEFAULT NULL, program text DEFAULT NULL, batch_size integer DEFAULT 1000)
	AS 'MODULE_PATHNAME', 'loyalty_maintain' LANGUAGE C;
COMMENT ON PROCEDURE loyalty.maintain(timestamptz, text, integer) IS 'tries deferred purchases again, and writes down what fell due up to a time (now by default): which holds have lapsed, what silence decided of points that awaited confirmation, debt that lots have repaid, lots that lapsed; then reviews tiers, serves redemptions that wait for stock, redeems what members have chosen, and forgets members by the program''s retention; of one program or of all, in committed batches; once a day brings the rollups up';
