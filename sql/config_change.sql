--
-- config_change: who changed which program, rule, tier or reward, from what to what
--

-- Whole rows are kept but for what the engine notes in them by itself.  Numbers
-- have no gaps worth looking for: a transaction that fails takes its own along.
CREATE TABLE loyalty.config_change (
	change_no bigint GENERATED ALWAYS AS IDENTITY
		CONSTRAINT config_change_pkey PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	program_id integer,
	program text COLLATE "C",
	what text COLLATE "C" NOT NULL,
	name text COLLATE "C",
	operation text NOT NULL
		CONSTRAINT config_change_operation_check CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')),
	role text NOT NULL,
	session_role text NOT NULL,
	old jsonb,
	new jsonb,
	CONSTRAINT config_change_images_check CHECK (
		(old IS NULL) = (operation = 'INSERT') AND (new IS NULL) = (operation IN ('DELETE', 'TRUNCATE')))
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.config_change', '');
SELECT pg_catalog.pg_extension_config_dump('loyalty.config_change_change_no_seq', '');
ALTER TABLE loyalty.config_change ENABLE ROW LEVEL SECURITY;
COMMENT ON SEQUENCE loyalty.config_change_change_no_seq IS 'numbers for config_change.change_no';
COMMENT ON TABLE loyalty.config_change IS 'every change of configuration, append-only; written only by the engine';
COMMENT ON COLUMN loyalty.config_change.change_no IS 'number of the change; later ones are greater';
COMMENT ON COLUMN loyalty.config_change.at IS 'when: start of the transaction';
COMMENT ON COLUMN loyalty.config_change.program_id IS 'the program; NULL: of one that did not exist yet';
COMMENT ON COLUMN loyalty.config_change.program IS 'its name';
COMMENT ON COLUMN loyalty.config_change.what IS 'the table: program, access, currency_rate, rule, tier, reward, reward_option, voucher_pool, velocity_limit, source or estimate';
COMMENT ON COLUMN loyalty.config_change.name IS 'name of the row afterwards; of a rate its currency, of an access its role, of an estimate its kind, of an option reward: option';
COMMENT ON COLUMN loyalty.config_change.operation IS 'INSERT, UPDATE, DELETE, or TRUNCATE with one line a row';
COMMENT ON COLUMN loyalty.config_change.role IS 'who did it: the role whose rights counted';
COMMENT ON COLUMN loyalty.config_change.session_role IS 'who had logged in';
COMMENT ON COLUMN loyalty.config_change.old IS 'the row before; of an UPDATE the columns that changed';
COMMENT ON COLUMN loyalty.config_change.new IS 'the row afterwards; of an UPDATE the columns that changed';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.config_change
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history');
COMMENT ON TRIGGER guard ON loyalty.config_change IS 'history is never rewritten';

CREATE FUNCTION loyalty.config_audit() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_config_audit' LANGUAGE C;
COMMENT ON FUNCTION loyalty.config_audit() IS 'keeps every change of configuration in config_change';

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.program
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.program IS 'keeps who changed programs';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.program
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.program IS 'keeps who threw programs away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.velocity_limit
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.velocity_limit IS 'keeps who changed velocity limits';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.velocity_limit
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.velocity_limit IS 'keeps who threw velocity limits away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.access
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.access IS 'keeps who changed who may do what';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.access
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.access IS 'keeps who threw who may do what away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.currency_rate
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.currency_rate IS 'keeps who changed rates';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.currency_rate
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.currency_rate IS 'keeps who threw rates away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.rule
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.rule IS 'keeps who changed rules';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.rule
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.rule IS 'keeps who threw rules away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.tier
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.tier IS 'keeps who changed tiers';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.tier
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.tier IS 'keeps who threw tiers away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.reward
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.reward IS 'keeps who changed rewards';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.reward
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.reward IS 'keeps who threw rewards away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.reward_option
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.reward_option IS 'keeps who changed options of rewards';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.reward_option
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.reward_option IS 'keeps who threw options of rewards away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.voucher_pool
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.voucher_pool IS 'keeps who changed pools';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.voucher_pool
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.voucher_pool IS 'keeps who threw pools away';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON loyalty.source
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit ON loyalty.source IS 'keeps who changed sources';
CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON loyalty.source
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_audit();
COMMENT ON TRIGGER audit_truncate ON loyalty.source IS 'keeps who threw sources away';

-- The role that had logged in is named where it is another one.
CREATE VIEW loyalty.config_history WITH (security_barrier = true) AS
	SELECT c.at, c.role OPERATOR(pg_catalog.||) CASE WHEN c.session_role OPERATOR(pg_catalog.<>) c.role
			THEN pg_catalog.format(' (%s)', c.session_role) ELSE '' END AS who,
		   c.program, c.what, c.name, c.operation,
		   (SELECT pg_catalog.string_agg(CASE c.operation
						WHEN 'UPDATE' THEN pg_catalog.format('%s: %s -> %s', k.key,
							coalesce(c.old OPERATOR(pg_catalog.->>) k.key, 'NULL'), coalesce(c.new OPERATOR(pg_catalog.->>) k.key, 'NULL'))
						ELSE pg_catalog.format('%s: %s', k.key, k.value) END, E'\n' ORDER BY k.key COLLATE "C")
			FROM pg_catalog.jsonb_each_text(coalesce(c.new, c.old)) k
			-- What stands in other columns, and of whole rows what is empty, says nothing.
			WHERE c.operation OPERATOR(pg_catalog.=) 'UPDATE'
			   OR k.value IS NOT NULL AND k.key OPERATOR(pg_catalog.<>) ALL ('{program,program_id,created_at}')
		   ) AS change
	FROM loyalty.config_change c
	WHERE loyalty.may_read(c.program_id)
	ORDER BY c.change_no;
COMMENT ON VIEW loyalty.config_history IS 'changes of configuration, to be read by people';
COMMENT ON COLUMN loyalty.config_history.at IS 'when: start of the transaction';
COMMENT ON COLUMN loyalty.config_history.who IS 'the role whose rights counted, and in parentheses who had logged in, if another';
COMMENT ON COLUMN loyalty.config_history.program IS 'the program';
COMMENT ON COLUMN loyalty.config_history.what IS 'the table';
COMMENT ON COLUMN loyalty.config_history.name IS 'name of the row afterwards';
COMMENT ON COLUMN loyalty.config_history.operation IS 'INSERT, UPDATE, DELETE or TRUNCATE';
COMMENT ON COLUMN loyalty.config_history.change IS 'column: old -> new, one a line; of a row that came or went column: value';
