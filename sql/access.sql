--
-- access: who may do what with a program
--

-- A role by its name: a dump may be restored where there is no such role.
CREATE TABLE loyalty.access (
	program_id integer NOT NULL,
	role text COLLATE "C" NOT NULL CONSTRAINT access_role_check CHECK (role <> ''),
	access text NOT NULL
		CONSTRAINT access_access_check CHECK (access IN ('member', 'read', 'operate', 'manage')),
	granted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	granted_by text NOT NULL DEFAULT CURRENT_USER,
	CONSTRAINT access_pkey PRIMARY KEY (program_id, role, access)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.access', '');
ALTER TABLE loyalty.access ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.access IS 'what roles may do with programs; written by grant_access and revoke_access';
COMMENT ON COLUMN loyalty.access.program_id IS 'the program';
COMMENT ON COLUMN loyalty.access.role IS 'name of the role; its members have the access, too';
COMMENT ON COLUMN loyalty.access.access IS 'read: see all of it; operate: also act on members; manage: also see and change its configuration, without acting; member: see what is of the member that the setting loyalty.member_ref names';
COMMENT ON COLUMN loyalty.access.granted_at IS 'when it was granted';
COMMENT ON COLUMN loyalty.access.granted_by IS 'the role that granted it';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.access
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.access IS 'written only by the engine';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.access
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.access IS 'makes every session read it again';

-- For row-level security and views.  They ask about whoever runs the query, and
-- say true to the extension's owner, whom row-level security passes over.
CREATE FUNCTION loyalty.may_see(program_id integer) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_may_see' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.may_see(integer) IS 'whether the caller has any access to a program, and so may see its terms';
CREATE FUNCTION loyalty.may_see(program text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_may_see' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.may_see(text) IS 'the same by the program''s name';
CREATE FUNCTION loyalty.may_read(program_id integer) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_may_read' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.may_read(integer) IS 'whether the caller may read all of a program: access read, operate or manage, and the setting loyalty.member_ref names nobody';
CREATE FUNCTION loyalty.may_read(program text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_may_read' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.may_read(text) IS 'the same by the program''s name';
CREATE FUNCTION loyalty.may_read(program_id integer, member_id bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_may_read_member' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.may_read(integer, bigint) IS 'whether the caller may read what is of one member: of any member of a program that he may read, but where the setting loyalty.member_ref names one only of that one';
CREATE FUNCTION loyalty.may_read_person(program_id integer, member_id bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_may_read_person' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.may_read_person(integer, bigint) IS 'whether the caller may read what is known of a member as a person: who operates or manages the program, and with access member he himself';
CREATE FUNCTION loyalty.may_manage(program_id integer) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_may_manage' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.may_manage(integer) IS 'whether the caller may change the configuration of a program';
CREATE FUNCTION loyalty.may_manage(program text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_may_manage' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.may_manage(text) IS 'the same by the program''s name';

-- What each access needs of PostgreSQL's own rights, beside what the accesses
-- below it need, and which rows of a table it means.
CREATE FUNCTION loyalty.access_objects() RETURNS TABLE (access text, kind text, name text, privileges text, visible text)
	LANGUAGE sql STABLE PARALLEL SAFE
	AS $$
	SELECT 'member', 'ROUTINE', n, 'EXECUTE', NULL
	FROM pg_catalog.unnest('{may_see,may_read,may_read_person,may_manage,find_member,balance,lots,statement,payable,catalogue,
							 vouchers,tier_outlook,tier_progress,base_tier,outstanding,held_ends,
							 proof,history,has_consent,export_member}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'member', 'TABLE', n, 'SELECT', 'member'
	FROM pg_catalog.unnest('{member,entry,tier_change,hold,redemption,confirmation,household_member,reward_choice}'::pg_catalog.text[]) n
	UNION ALL
	VALUES ('member', 'TABLE', 'profile', 'SELECT', 'person'),
		   ('member', 'TABLE', 'consent', 'SELECT', 'person'),
		   ('member', 'TABLE', 'feedback', 'SELECT', 'person'),
		   ('member', 'TABLE', 'program', 'SELECT', 'terms'),
		   ('member', 'TABLE', 'tier', 'SELECT', 'terms'),
		   ('member', 'TABLE', 'rule', 'SELECT (rule_id, program, name)', 'terms'),
		   ('member', 'TABLE', 'source', 'SELECT (source_id, program, name)', 'terms'),
		   ('member', 'TABLE', 'reward', 'SELECT (reward_id, program, name, kind, title, description, cost, price)', 'terms')
	UNION ALL
	VALUES ('member', 'TABLE', 'seals', 'SELECT', NULL)
	UNION ALL
	SELECT 'read', 'ROUTINE', n, 'EXECUTE', NULL
	FROM pg_catalog.unnest('{household,quote,explain,expiring,verify,voucher,suspicions,owed,owed_accum,owed_months,
							 cohort_cells,cohort_cells_accum,cohort_cells_final}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'read', 'TABLE', n, 'SELECT', 'terms'
	FROM pg_catalog.unnest('{rule,source,reward,reward_option,currency_rate,voucher_pool,velocity_limit,maintenance,seal}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'read', 'TABLE', n, 'SELECT', 'program'
	FROM pg_catalog.unnest('{household,config_change,rollup,estimate}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'read', 'TABLE', n, 'SELECT', 'member'
	FROM pg_catalog.unnest('{member_alias,member_merge,voucher_use,seal_leaf,forgotten}'::pg_catalog.text[]) n
	UNION ALL
	-- not the hash, by which a code could be searched for elsewhere
	VALUES ('read', 'TABLE', 'voucher', 'SELECT (member_id, redeemer_id, seq, program_id, bearer, kind, value, stored, percent, maximum,'
			|| ' product, points, uses, per_member, min_amount, valid_from, valid_until, remaining, used, issued_at, void_at,'
			|| ' void_reason, pool, delivery, hint, note)', 'member')
	UNION ALL
	SELECT 'read', 'TABLE', n, 'SELECT', NULL
	FROM pg_catalog.unnest('{config_history,liability,awaiting,tier_distribution,tier_movement,budget_usage,voucher_stock,redemptions,
							 backorders,choices,stock,consents,proposals,gifts,suspicious_velocity,suspicious_referrals,suspicious_gifts,
							 suspicious_returns,suspicious_adjustments,suspicious_households,suspicious}'::pg_catalog.text[]) n
	UNION ALL
	-- reports, and what they are made of
	SELECT 'read', 'ROUTINE', n, 'EXECUTE', NULL
	FROM pg_catalog.unnest('{report_program,report_period,report_choice,report_day,report_number,report_today,
							 enrollments,member_activity,activity,member_figures,leaderboard,purchase_figures,
							 cohort_retention,member_flow,member_value,lifetime_value,rfm_scores,rfm,rfm_segments,
							 roll_forward,roll_forward_by_rule,points_by_kind,redemption_rates,cohorts,outstanding_by_age,
							 redemption_cohorts,chain_ladder,breakage,expiry_forecast,estimates,deferral,journal,point_values,
							 source_purchases,purchases_by_membership,points_by_place,points_by_dimension,points_by_store,points_by_channel,
							 reward_performance,rule_performance,tier_performance,feedback_by_period,net_promoter_score,satisfaction,
							 dashboard}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'read', 'TABLE', n, 'SELECT', NULL
	FROM pg_catalog.unnest('{persons,person_map,points_by_day,activity_by_month,readable_movements,enrollments_by_day,lapsed,member_totals,month_totals,point_cohorts,purchase_cohorts,
							 lots_by_day,lot_movements,ledger,member_refs,purchase_payments,tier_steps,activity_by_tier,tier_stays,
							 feedback_by_day,expiring_by_day}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'operate', 'ROUTINE', n, 'EXECUTE', NULL
	FROM pg_catalog.unnest('{feedback}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'manage', 'ROUTINE', n, 'EXECUTE', NULL
	FROM pg_catalog.unnest('{roll_up,set_estimate}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'operate', 'ROUTINE', n, 'EXECUTE', NULL
	FROM pg_catalog.unnest('{adjust,spend,hold,capture,release,transfer,cancel,redeem,confirm_redemption,fulfill_redemption,
							 choose_reward,issue_voucher,use_voucher,return_voucher,void_voucher,merge_members,unmerge_members,
							 create_household,join_household,leave_household,seal,enroll,set_member,set_tier,extend,reinstate,
							 record,record_batch,record_rows,accept,reject,maintain,backfill,set_consent,approve,decline,withdraw,
							 schedule_maintenance,unschedule_maintenance}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'operate', 'TABLE', n, 'SELECT', 'program'
	FROM pg_catalog.unnest('{deferred,import_failure,maintenance_failure,proposal}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'manage', 'ROUTINE', n, 'EXECUTE', NULL
	FROM pg_catalog.unnest('{attach,attach_query,detach,backfill,revise_rule,import_vouchers,forget_member}'::pg_catalog.text[]) n
	UNION ALL
	SELECT 'manage', 'TABLE', n, 'INSERT, UPDATE, DELETE', 'terms'
	FROM pg_catalog.unnest('{rule,tier,reward,reward_option,voucher_pool,velocity_limit,currency_rate}'::pg_catalog.text[]) n
	UNION ALL
	VALUES ('manage', 'TABLE', 'deferred', 'SELECT', 'program'),
		   ('manage', 'TABLE', 'program', 'UPDATE', 'terms'),
		   ('manage', 'TABLE', 'access', 'SELECT', 'program')
	$$;
COMMENT ON FUNCTION loyalty.access_objects() IS 'what grant_access grants of PostgreSQL''s own rights, for each access beside those below it: on the TABLE or all ROUTINEs of a name; visible: which rows of a table, by whether the caller may see the program (terms), read all of it (program), or what is of the row''s member (member, person)';

-- security.sql calls it, and so must each upgrade script that adds tables.
CREATE FUNCTION loyalty.make_policies() RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_make_policies' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.make_policies() IS 'makes the row-level security policies that access_objects asks for and that are missing; for the extension''s owner';

CREATE FUNCTION loyalty.grant_access(role regrole, access text, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_grant_access' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.grant_access(regrole, text, text) IS 'lets a role read, operate or manage a program, or read what is of one member (member); again after an upgrade it grants what is new; for the extension''s owner';
CREATE FUNCTION loyalty.revoke_access(role regrole, access text, program text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'loyalty_revoke_access' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.revoke_access(regrole, text, text) IS 'takes it away again, with those of PostgreSQL''s own rights that no other access of the role needs; false: the role had no such access';
