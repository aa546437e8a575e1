-- The rules about the installed extension: one line for each breach.

CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid, i.type, i.identity
FROM pg_depend d
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'loyalty'
CROSS JOIN pg_identify_object(d.classid, d.objid, 0) i
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';

CREATE TEMPORARY VIEW relation AS
SELECT c.*, m.type, m.identity
FROM pg_class c
JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid;

CREATE TEMPORARY VIEW routine AS
SELECT p.*, m.type, m.identity
FROM pg_proc p
JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;

-- Everything has a comment; but for operator families, which their class
-- makes, and the sequences of identity columns.
SELECT format('%s %s has no comment: add COMMENT ON', m.type, m.identity)
FROM member m
WHERE obj_description(m.objid, m.classid::regclass::name) IS NULL
  AND m.classid <> 'pg_opfamily'::regclass
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = m.classid AND d.objid = m.objid AND d.deptype = 'i')
UNION ALL
SELECT format('column %s.%s has no comment: add COMMENT ON', o.identity, a.attname)
FROM (SELECT oid, identity FROM relation WHERE relkind IN ('r', 'p', 'v')
      UNION ALL
      SELECT t.typrelid, m.identity
      FROM member m
      JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid AND t.typtype = 'c') o
JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE col_description(a.attrelid, a.attnum) IS NULL
UNION ALL
SELECT format('trigger %s on %s has no comment: add COMMENT ON', t.tgname, r.identity)
FROM relation r
JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
WHERE obj_description(t.oid, 'pg_trigger') IS NULL
ORDER BY 1;

-- Nothing for PUBLIC, but the use of types and of what only computes.
SELECT format('PUBLIC has %s on %s %s: revoke it in sql/security.sql', a.privilege_type, o.type, o.identity)
FROM (SELECT type, identity, coalesce(proacl, acldefault('f', proowner)) AS acl
      FROM routine
      WHERE provolatile <> 'i'
      UNION ALL
      SELECT type, identity, relacl
      FROM relation
      UNION ALL
      SELECT 'column', identity || '.' || attname, attacl
      FROM relation r
      JOIN pg_attribute ON attrelid = r.oid
      UNION ALL
      SELECT m.type, m.identity, nspacl
      FROM member m
      JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid) o
CROSS JOIN aclexplode(o.acl) a
WHERE a.grantee = 0
ORDER BY 1;

SELECT format('%s %s is IMMUTABLE but not for PUBLIC: grant it in sql/security.sql', type, identity)
FROM routine r
WHERE provolatile = 'i'
  AND NOT EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0)
  -- the catalog says it of each aggregate
  AND NOT (prokind = 'a' AND EXISTS (SELECT FROM loyalty.access_objects() o WHERE o.kind = 'ROUTINE' AND o.name = r.proname))
ORDER BY 1;

-- Who may call the rest is loyalty.access_objects()'s to say; some are for the
-- extension's owner alone.
SELECT format('%s %s is nobody''s: add it to access_objects() in sql/access.sql, or to the owner''s in scripts/lint.sql',
              r.type, r.identity)
FROM routine r
WHERE r.provolatile <> 'i' AND r.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND r.proname NOT IN ('access_objects', 'make_policies', 'grant_access', 'revoke_access', 'import_balance', 'new_voucher_code')
  AND NOT EXISTS (SELECT FROM loyalty.access_objects() o WHERE o.kind = 'ROUTINE' AND o.name = r.proname)
UNION ALL
SELECT format('access_objects() names %s %s, which does not exist', lower(o.kind), o.name)
FROM loyalty.access_objects() o
WHERE NOT EXISTS (SELECT FROM routine r WHERE o.kind = 'ROUTINE' AND r.proname = o.name)
  AND NOT EXISTS (SELECT FROM relation r WHERE o.kind = 'TABLE' AND r.relname = o.name)
UNION ALL
SELECT format('%s %s is to be read by programs: say which rows in access_objects()', r.type, r.identity)
FROM loyalty.access_objects() o
JOIN relation r ON r.relname = o.name AND r.relkind = 'r'
WHERE o.kind = 'TABLE' AND o.visible IS NULL
ORDER BY 1;

-- Tables keep the rows of programs apart, and views pass over that.
SELECT format('%s %s has no row-level security: ALTER TABLE ... ENABLE ROW LEVEL SECURITY', type, identity)
FROM relation
WHERE relkind IN ('r', 'p') AND NOT relrowsecurity
UNION ALL
SELECT format('%s %s is no security barrier: CREATE VIEW ... WITH (security_barrier)', type, identity)
FROM relation
WHERE relkind = 'v' AND NOT 'security_barrier=true' = ANY (coalesce(reloptions, '{}'))
UNION ALL
SELECT format('%s %s shows every program: filter it by loyalty.may_read', type, identity)
FROM relation
WHERE relkind = 'v' AND pg_get_viewdef(oid) !~ 'may_(read|see|manage)'
  -- what nobody is granted, views that filter are made of
  AND EXISTS (SELECT FROM loyalty.access_objects() o WHERE o.kind = 'TABLE' AND o.name = relname)
ORDER BY 1;

-- Who runs with the owner's rights looks up names where the owner says.
SELECT format('%s %s is SECURITY DEFINER: add SET search_path = pg_catalog, pg_temp', type, identity)
FROM routine
WHERE prosecdef AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))
ORDER BY 1;

-- The default label PARALLEL UNSAFE is for what writes, and for what judges
-- purchases, where what may fail is tried in subtransactions.
SELECT format('%s %s is %s but PARALLEL UNSAFE: label it SAFE or RESTRICTED', type, identity,
              CASE provolatile WHEN 'i' THEN 'IMMUTABLE' ELSE 'STABLE' END)
FROM routine
WHERE proparallel = 'u' AND provolatile <> 'v' AND identity !~ '^loyalty\.(verify|quote|explain|catalogue|source_purchases|purchases_by_membership|points_by_(place|dimension|store|channel))\('
ORDER BY 1;

SELECT format('%s %s is in %s: what ships is C or SQL', r.type, r.identity, l.lanname)
FROM routine r
JOIN pg_language l ON l.oid = r.prolang
WHERE l.lanname NOT IN ('c', 'internal', 'sql')
ORDER BY 1;

-- Every table and sequence is dumped.
SELECT format('%s %s is not dumped: SELECT pg_catalog.pg_extension_config_dump(%L, '''') under its CREATE',
              r.type, r.identity, r.identity)
FROM relation r
WHERE r.relkind IN ('r', 'p', 'S')
  AND NOT EXISTS (SELECT FROM pg_extension e
                  WHERE e.extname = 'loyalty' AND r.oid = ANY (e.extconfig))
ORDER BY 1;

-- A table is configuration, which people edit, or written only by the engine;
-- accesses are both.
WITH configuration AS (
	SELECT unnest('{program, access, currency_rate, rule, tier, reward, reward_option, voucher_pool, velocity_limit, source}'::name[]) AS relname)
SELECT format('%s %s is neither guarded nor listed as configuration in scripts/lint.sql: CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %3$s FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard()',
              r.type, r.identity, r.identity)
FROM relation r
WHERE r.relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM configuration c WHERE c.relname = r.relname AND c.relname <> 'access')
  -- Before the statement, on all four of INSERT, DELETE, UPDATE and TRUNCATE.
  AND NOT EXISTS (SELECT FROM pg_trigger t
                  WHERE t.tgrelid = r.oid AND t.tgfoid = 'loyalty.engine_guard'::regproc
                    AND t.tgtype = 2 + 4 + 8 + 16 + 32 AND t.tgenabled = 'O' AND t.tgqual IS NULL AND t.tgattr = '')
UNION ALL
SELECT format('nobody keeps who changes %s %s: CREATE TRIGGER audit, and audit_truncate, in sql/config_change.sql', r.type, r.identity)
FROM configuration c
JOIN relation r ON r.relname = c.relname
-- After each row on INSERT, DELETE and UPDATE; before the statement on TRUNCATE.
WHERE 2 <> (SELECT count(*) FROM pg_trigger t
            WHERE t.tgrelid = r.oid AND t.tgfoid = 'loyalty.config_audit'::regproc
              AND t.tgtype IN (1 + 4 + 8 + 16, 2 + 32) AND t.tgenabled = 'O' AND t.tgqual IS NULL AND t.tgattr = '')
ORDER BY 1;
