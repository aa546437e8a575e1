/*
 * verify_access.c
 *		Proving that nobody gets at what is not his program's, and that nobody but
 *		the engine can write what it writes.
 *
 * I8	  row-level security is enabled on every table, which the extension's owner
 *		  owns; its policies are those that access_objects asks for, unchanged;
 *		  each trigger that guards a table or keeps its changes is there, enabled
 *		  and calls the function of the library that it is meant to, and there is
 *		  no other trigger; nothing is granted to PUBLIC but what only computes,
 *		  and to nobody what row-level security and the guards do not see;
 *		  loyalty.access names roles that there are.
 *
 * All but the last is about the database and not about a program: it is looked
 * at when no program is named.
 */
#include "postgres.h"

#include "operation/access_objects.h"
#include "operation/verify.h"

static const char *const access_query =
	"SELECT 'I8', p.name, NULL::text, 'access is granted to a role that does not exist', NULL::text,"
	" format('%s to %I', a.access, a.role)"
	" FROM loyalty.access a LEFT JOIN loyalty.program p USING (program_id)"
	" WHERE ($1 IS NULL OR p.name = $1) AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = a.role)";

#define OWN \
	"WITH own AS" \
	" (SELECT d.classid, d.objid, e.extowner FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid" \
	"  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'loyalty' AND $1 IS NULL)," \
	" relation AS" \
	" (SELECT c.*, c.oid::regclass::text AS name, o.extowner FROM pg_class c" \
	"  JOIN own o ON o.classid = 'pg_class'::regclass AND o.objid = c.oid)"

static const char *const tables_query =
	OWN
	" SELECT 'I8', NULL::text, NULL::text, v.problem, v.expected, v.actual FROM relation r CROSS JOIN LATERAL (VALUES"
	"  (r.relkind IN ('r', 'p') AND NOT r.relrowsecurity, format('table %s has no row-level security', r.name), 'enabled', 'disabled'),"
	"  (r.relkind = 'v' AND NOT 'security_barrier=true' = ANY (coalesce(r.reloptions, '{}')),"
	"   format('view %s is no security barrier', r.name), NULL, NULL),"
	"  (r.relowner <> r.extowner, format('%s has another owner than the extension', r.name),"
	"   r.extowner::regrole::text, r.relowner::regrole::text))"
	"  AS v (wrong, problem, expected, actual) WHERE v.wrong";

static const char *const policies_query =
	ACCESS_POLICIES
	", wanted AS (SELECT p.oid, p.name, p.policy, concat_ws(' ', CASE p.command WHEN 'r' THEN 'FOR SELECT' END,"
	"  format('USING (%s)', p.condition), CASE p.command WHEN '*' THEN format('WITH CHECK (%s)', p.condition) END) AS text FROM policy p),"
	" actual AS (SELECT y.polrelid AS oid, y.polrelid::regclass::text AS name, y.polname::text AS policy,"
	"  concat_ws(' ', CASE WHEN NOT y.polpermissive THEN 'AS RESTRICTIVE' END,"
	"   CASE y.polcmd WHEN 'r' THEN 'FOR SELECT' WHEN 'a' THEN 'FOR INSERT' WHEN 'w' THEN 'FOR UPDATE' WHEN 'd' THEN 'FOR DELETE' END,"
	"   CASE WHEN y.polroles <> '{0}' THEN format('TO %s', y.polroles::regrole[]) END,"
	"   'USING (' || pg_get_expr(y.polqual, y.polrelid) || ')',"
	"   'WITH CHECK (' || pg_get_expr(y.polwithcheck, y.polrelid) || ')') AS text"
	"  FROM pg_policy y JOIN own o ON o.classid = 'pg_class'::regclass AND o.objid = y.polrelid)"
	" SELECT 'I8', NULL::text, NULL::text,"
	"  format(CASE WHEN a.oid IS NULL THEN 'policy %I of table %s is not there'"
	"         WHEN w.oid IS NULL THEN 'policy %I of table %s is not the extension''s'"
	"         ELSE 'policy %I of table %s is not what it was' END, coalesce(w.policy, a.policy), coalesce(w.name, a.name)),"
	"  w.text, a.text"
	" FROM wanted w FULL JOIN actual a ON a.oid = w.oid AND a.policy = w.policy"
	" WHERE $1 IS NULL AND w.text IS DISTINCT FROM a.text";

/*
 * Triggers by table, name, function and type: 1 row, 2 before, 4 INSERT,
 * 8 DELETE, 16 UPDATE, 32 TRUNCATE.  What is not listed here as configuration is
 * written by the engine.  Sessions of a logical replica hear of changes of what
 * is REPLICATED (sql/replication.sql).
 */
#define REPLICATED \
	"access, currency_rate, household, member_alias, member_merge, program, reward, reward_choice, reward_option, rule," \
	" source, tier, velocity_limit"

static const char *const triggers_query =
	OWN
	", function AS (SELECT p.oid, p.proname::text AS name, p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'c')"
	"   AND p.prosrc = 'loyalty_' || p.proname AS sound"
	"  FROM pg_proc p JOIN own o ON o.classid = 'pg_proc'::regclass AND o.objid = p.oid"
	"  WHERE p.prorettype = 'trigger'::regtype),"
	" configuration (relname, name, function, type) AS (VALUES"
	"  ('program', 'guard', 'program_guard', 31), ('program', 'guard_truncate', 'program_guard', 34),"
	"  ('program', 'changed', 'config_changed', 28),"
	"  ('currency_rate', 'guard', 'rate_guard', 23), ('currency_rate', 'guard_order', 'rate_guard', 22),"
	"  ('currency_rate', 'guard_overlap', 'rate_guard', 21), ('currency_rate', 'changed', 'config_changed', 60),"
	"  ('rule', 'guard', 'rule_guard', 31), ('rule', 'guard_order', 'rule_guard', 54), ('rule', 'guard_name', 'rule_guard', 21),"
	"  ('rule', 'changed', 'config_changed', 28),"
	"  ('tier', 'guard', 'tier_guard', 31), ('tier', 'guard_truncate', 'tier_guard', 34), ('tier', 'changed', 'config_changed', 28),"
	"  ('reward', 'guard', 'reward_guard', 31), ('reward', 'guard_truncate', 'reward_guard', 34), ('reward', 'changed', 'config_changed', 28),"
	"  ('reward_option', 'guard', 'reward_option_guard', 23), ('reward_option', 'changed', 'config_changed', 60),"
	"  ('voucher_pool', 'guard', 'voucher_pool_guard', 31), ('voucher_pool', 'guard_truncate', 'voucher_pool_guard', 34),"
	"  ('velocity_limit', 'guard', 'velocity_guard', 23), ('velocity_limit', 'changed', 'config_changed', 60),"
	"  ('source', 'changed', 'config_changed', 28), ('access', 'changed', 'config_changed', 60)),"
	" wanted AS (SELECT r.oid, r.name AS relation, c.name, c.function, c.type, 'O'::\"char\" AS enabled"
	"  FROM configuration c JOIN relation r USING (relname)"
	"  UNION ALL SELECT r.oid, r.name, 'guard', 'engine_guard', 62, 'O' FROM relation r WHERE r.relkind IN ('r', 'p')"
	"   AND (r.relname = 'access' OR NOT EXISTS (SELECT FROM configuration c WHERE c.relname = r.relname))"
	"  UNION ALL SELECT r.oid, r.name, 'replicated', 'config_changed', 29, 'R' FROM relation r"
	"  WHERE r.relname = ANY ('{" REPLICATED "}')"
	"  UNION ALL SELECT r.oid, r.name, a.name, 'config_audit', a.type, 'O'"
	"  FROM relation r, (VALUES ('audit', 29), ('audit_truncate', 34)) AS a (name, type)"
	"  WHERE r.relname IN (SELECT c.relname FROM configuration c)),"
	" actual AS (SELECT r.oid, r.name AS relation, t.tgname::text AS name, t.tgtype AS type, t.tgenabled, t.tgqual, f.name AS function, f.sound,"
	"   pg_get_triggerdef(t.oid) AS text"
	"  FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal LEFT JOIN function f ON f.oid = t.tgfoid)"
	" SELECT 'I8', NULL::text, NULL::text, format(v.problem, coalesce(w.name, a.name), coalesce(w.relation, a.relation)), v.expected, v.actual"
	" FROM wanted w FULL JOIN actual a ON a.oid = w.oid AND a.name = w.name CROSS JOIN LATERAL (VALUES"
	"  (a.oid IS NULL, 'trigger %I of table %s is not there', NULL, NULL),"
	"  (a.oid IS NOT NULL AND a.function IS NULL, 'trigger %I of table %s is not the extension''s', NULL, a.text),"
	/* pg_restore --disable-triggers leaves all of them enabled as usual. */
	"  (a.tgenabled <> coalesce(w.enabled, 'O') AND NOT (w.enabled = 'R' AND a.tgenabled = 'O'), 'trigger %I of table %s is not enabled',"
	"   CASE w.enabled WHEN 'R' THEN 'enabled for replicas only' ELSE 'enabled' END,"
	"   CASE a.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled for replicas only'"
	"   WHEN 'A' THEN 'enabled for replicas too' ELSE 'enabled' END),"
	"  (a.function IS NOT NULL AND (a.tgqual IS NOT NULL OR w.function <> a.function OR w.type <> a.type), 'trigger %I of table %s is not what it was', NULL, a.text),"
	"  (NOT a.sound, 'the function of trigger %I of table %s is not the library''s', 'loyalty_' || a.function, a.text))"
	"  AS v (wrong, problem, expected, actual) WHERE v.wrong";

static const char *const grants_query =
	OWN
	", granted AS"
	" (SELECT p.oid::regprocedure::text AS name, p.proowner AS owner, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl, 'f' AS kind"
	"  FROM pg_proc p JOIN own o ON o.classid = 'pg_proc'::regclass AND o.objid = p.oid WHERE p.provolatile <> 'i'"
	"  UNION ALL SELECT r.name, r.relowner, r.relacl, 'r' FROM relation r"
	"  UNION ALL SELECT format('%s (%I)', r.name, a.attname), r.relowner, a.attacl, 'r' FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid"
	"  UNION ALL SELECT 'schema ' || n.nspname, n.nspowner, n.nspacl, 'n' FROM pg_namespace n"
	"  JOIN own o ON o.classid = 'pg_namespace'::regclass AND o.objid = n.oid)"
	" SELECT 'I8', NULL::text, NULL::text, format('%s is granted to %s', g.name, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END),"
	"  'nothing', string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type)"
	" FROM granted g CROSS JOIN LATERAL aclexplode(g.acl) x"
	/* These pass over row-level security, or would put somebody's code among the engine's. */
	" WHERE x.grantee = 0 OR x.grantee <> g.owner AND (g.kind = 'r' AND x.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES')"
	"  OR g.kind = 'n' AND x.privilege_type = 'CREATE')"
	" GROUP BY g.name, x.grantee";

void
verify_access(Verification *verification)
{
	verify_rows(verification, access_query);
	if (verification->only != NULL)
		return;
	verify_rows(verification, tables_query);
	verify_rows(verification, policies_query);
	verify_rows(verification, triggers_query);
	verify_rows(verification, grants_query);
}
