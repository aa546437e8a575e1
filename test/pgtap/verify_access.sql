-- I8: verify() names whatever lets somebody at what is not his.
\set QUIET on
SET client_min_messages = warning;
BEGIN;
SELECT no_plan();
CREATE ROLE verify_access_shop;
CREATE ROLE verify_access_gone;
INSERT INTO loyalty.program (name) VALUES ('beans'), ('stars');
SELECT loyalty.adjust('ann', 5, program => 'beans') \g /dev/null
SELECT loyalty.grant_access('verify_access_shop', 'operate', 'beans'), loyalty.grant_access('verify_access_gone', 'read', 'stars') \g /dev/null

-- what verify says after a change, which is undone again
CREATE FUNCTION found(change text, program text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE change;
	SELECT string_agg(concat_ws(' | ', invariant, v.program, member, problem, expected, actual), E'\n' ORDER BY problem COLLATE "C") INTO answer FROM loyalty.verify($2) v;
	RAISE EXCEPTION USING ERRCODE = 'XX999', MESSAGE = coalesce(answer, 'nothing');
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
CREATE FUNCTION finds(change text, lines text, description text) RETURNS text LANGUAGE sql AS $$ SELECT is(found($1), $2, $3) $$;
SELECT finds('', 'nothing', 'sound to begin with');

-- rows
SELECT finds('ALTER TABLE loyalty.member DISABLE ROW LEVEL SECURITY', 'I8 | table loyalty.member has no row-level security | enabled | disabled', 'row-level security is off');
SELECT finds('ALTER TABLE loyalty.hold OWNER TO verify_access_shop',
	format(E'I8 | loyalty.hold has another owner than the extension | %s | verify_access_shop', current_user), 'a table is given away');
SELECT finds('ALTER VIEW loyalty.liability RESET (security_barrier)', 'I8 | view loyalty.liability is no security barrier', 'a view leaks what it filters');

-- policies
SELECT finds('DROP POLICY loyalty_read ON loyalty.entry', 'I8 | policy loyalty_read of table loyalty.entry is not there | FOR SELECT USING (loyalty.may_read(program_id, member_id))', 'a policy is gone');
SELECT finds('ALTER POLICY loyalty_read ON loyalty.profile USING (true)', 'I8 | policy loyalty_read of table loyalty.profile is not what it was | FOR SELECT USING (loyalty.may_read_person(program_id, member_id)) | FOR SELECT USING (true)', 'or shows everything');
SELECT finds('ALTER POLICY loyalty_manage ON loyalty.rule WITH CHECK (true)', 'I8 | policy loyalty_manage of table loyalty.rule is not what it was | USING (loyalty.may_manage(program)) WITH CHECK (loyalty.may_manage(program)) | USING (loyalty.may_manage(program)) WITH CHECK (true)', 'or lets everything be written');
SELECT finds('ALTER POLICY loyalty_read ON loyalty.tier TO verify_access_shop', 'I8 | policy loyalty_read of table loyalty.tier is not what it was | FOR SELECT USING (loyalty.may_see(program)) | FOR SELECT TO {verify_access_shop} USING (loyalty.may_see(program))', 'or is for others');
SELECT finds('CREATE POLICY more ON loyalty.member FOR UPDATE TO verify_access_shop USING (true)', 'I8 | policy more of table loyalty.member is not the extension''s | FOR UPDATE TO {verify_access_shop} USING (true)', 'one too many');
SELECT finds('CREATE POLICY less ON loyalty.member AS RESTRICTIVE USING (false)', 'I8 | policy less of table loyalty.member is not the extension''s | AS RESTRICTIVE USING (false)', 'even one that hides');

-- triggers
SELECT finds('ALTER TABLE loyalty.entry DISABLE TRIGGER guard', 'I8 | trigger guard of table loyalty.entry is not enabled | enabled | disabled', 'a guard is off');
SELECT finds('ALTER TABLE loyalty.entry ENABLE REPLICA TRIGGER guard', 'I8 | trigger guard of table loyalty.entry is not enabled | enabled | enabled for replicas only', 'or for replicas only');
SELECT finds('DROP TRIGGER guard ON loyalty.member', 'I8 | trigger guard of table loyalty.member is not there', 'or gone');
SELECT finds('DROP TRIGGER guard ON loyalty.member; CREATE TRIGGER guard BEFORE DELETE ON loyalty.member FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard()',
	'I8 | trigger guard of table loyalty.member is not what it was | CREATE TRIGGER guard BEFORE DELETE ON loyalty.member FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard()', 'or looks away');
SELECT finds('DROP TRIGGER guard ON loyalty.purchase; CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.purchase WHEN (false) EXECUTE FUNCTION loyalty.engine_guard()',
	'I8 | trigger guard of table loyalty.purchase is not what it was | CREATE TRIGGER guard BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON loyalty.purchase FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION loyalty.engine_guard()', 'always');
SELECT finds('ALTER TABLE loyalty.rule DISABLE TRIGGER ALL', E'I8 | trigger audit of table loyalty.rule is not enabled | enabled | disabled\nI8 | trigger audit_truncate of table loyalty.rule is not enabled | enabled | disabled\n'
	'I8 | trigger changed of table loyalty.rule is not enabled | enabled | disabled\nI8 | trigger guard of table loyalty.rule is not enabled | enabled | disabled\n'
	'I8 | trigger guard_name of table loyalty.rule is not enabled | enabled | disabled\nI8 | trigger guard_order of table loyalty.rule is not enabled | enabled | disabled\n'
	'I8 | trigger replicated of table loyalty.rule is not enabled | enabled for replicas only | disabled', 'configuration too');
SELECT finds('DROP TRIGGER audit_truncate ON loyalty.currency_rate', 'I8 | trigger audit_truncate of table loyalty.currency_rate is not there', 'also what keeps its changes');
CREATE FUNCTION harmless() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
SELECT finds('CREATE TRIGGER spy AFTER INSERT ON loyalty.entry FOR EACH ROW EXECUTE FUNCTION harmless()',
	'I8 | trigger spy of table loyalty.entry is not the extension''s | CREATE TRIGGER spy AFTER INSERT ON loyalty.entry FOR EACH ROW EXECUTE FUNCTION public.harmless()', 'somebody''s code among the engine''s');
SELECT matches(found($$CREATE OR REPLACE FUNCTION loyalty.config_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'$$),
	'^I8 \| the function of trigger audit of table loyalty.access is not the library''s \| loyalty_config_audit \| CREATE TRIGGER', 'a function that does nothing');

-- grants
SELECT finds('GRANT SELECT ON loyalty.liability TO PUBLIC', 'I8 | loyalty.liability is granted to PUBLIC | nothing | SELECT', 'a view for everybody');
SELECT finds('GRANT SELECT (ref) ON loyalty.member TO PUBLIC', 'I8 | loyalty.member (ref) is granted to PUBLIC | nothing | SELECT', 'a column');
SELECT finds('GRANT USAGE ON SCHEMA loyalty TO PUBLIC', 'I8 | schema loyalty is granted to PUBLIC | nothing | USAGE', 'the schema');
SELECT finds('GRANT EXECUTE ON FUNCTION loyalty.find_member(text, text) TO PUBLIC', 'I8 | loyalty.find_member(text,text) is granted to PUBLIC | nothing | EXECUTE', 'a function');
SELECT finds('GRANT ALL ON loyalty.tier TO verify_access_shop', 'I8 | loyalty.tier is granted to verify_access_shop | nothing | REFERENCES, TRIGGER, TRUNCATE', 'what row-level security does not see');
SELECT finds('GRANT CREATE ON SCHEMA loyalty TO verify_access_shop', 'I8 | schema loyalty is granted to verify_access_shop | nothing | CREATE', 'a place for names of his own');
SELECT finds('GRANT SELECT ON ALL TABLES IN SCHEMA loyalty TO verify_access_shop', 'nothing', 'what it does see is no harm');

-- access
SELECT finds('SET LOCAL session_replication_role = replica; UPDATE loyalty.access SET role = ''nobody there'' WHERE role = ''verify_access_gone''', 'I8 | stars | access is granted to a role that does not exist | read to "nobody there"', 'a role that is not there');
SELECT is(found('DROP OWNED BY verify_access_gone; DROP ROLE verify_access_gone', 'stars'), 'I8 | stars | access is granted to a role that does not exist | read to verify_access_gone', 'or not any more, of one program');
SELECT is(found('DROP OWNED BY verify_access_gone; DROP ROLE verify_access_gone', 'beans'), 'nothing', 'which is not another''s');
SELECT is(found('ALTER TABLE loyalty.entry DISABLE TRIGGER guard', 'beans'), 'nothing', 'of one program nothing else is looked at');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'all is as it was');
SELECT * FROM finish();
ROLLBACK;
