/*
 * access_objects.h
 *		What access consists of in PostgreSQL's own terms, as the beginning of
 *		queries: for granting it, and for proving that it is as it should be.
 */
#ifndef LOYALTY_ACCESS_OBJECTS_H
#define LOYALTY_ACCESS_OBJECTS_H

/*
 * The accesses that one brings along, and the functions and tables of a name
 * that belong to the extension.  Functions that only compute are everybody's; of
 * aggregates the catalog does not say that.
 */
#define ACCESS_OBJECTS \
	"WITH level (access, below) AS" \
	" (VALUES ('member', 'member'), ('read', 'read'), ('read', 'member')," \
	"  ('operate', 'operate'), ('operate', 'read'), ('operate', 'member')," \
	"  ('manage', 'manage'), ('manage', 'read'), ('manage', 'member'))," \
	" own AS" \
	" (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid" \
	"  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'loyalty')," \
	" object AS" \
	" (SELECT o.access, o.kind, o.privileges, o.visible, p.oid::regprocedure::text AS name, p.oid" \
	"  FROM loyalty.access_objects() o JOIN pg_proc p ON p.proname = o.name AND (p.provolatile <> 'i' OR p.prokind = 'a')" \
	"  JOIN own w ON w.classid = 'pg_proc'::regclass AND w.objid = p.oid WHERE o.kind = 'ROUTINE'" \
	"  UNION ALL" \
	"  SELECT o.access, o.kind, o.privileges, o.visible, c.oid::regclass::text, c.oid" \
	"  FROM loyalty.access_objects() o JOIN pg_class c ON c.relname = o.name" \
	"  JOIN own w ON w.classid = 'pg_class'::regclass AND w.objid = c.oid WHERE o.kind = 'TABLE')"

/*
 * The policies that keep the rows of programs apart: one for reading each table
 * that anybody may read, and one for changing each that is managed.
 */
#define ACCESS_POLICIES \
	ACCESS_OBJECTS \
	", clause AS" \
	" (SELECT o.name, o.oid, o.visible, o.access," \
	"         CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = o.oid AND a.attname = 'program_id')" \
	"              THEN 'program_id' ELSE 'program' END AS program" \
	"  FROM object o WHERE o.visible IS NOT NULL)," \
	" policy AS" \
	" (SELECT c.name, c.oid, 'loyalty_read' AS policy, 'r' AS command," \
	"         format(CASE min(c.visible) WHEN 'terms' THEN 'loyalty.may_see(%s)'" \
	"                                    WHEN 'program' THEN 'loyalty.may_read(%s)'" \
	"                                    WHEN 'person' THEN 'loyalty.may_read_person(%s, member_id)'" \
	"                                    ELSE 'loyalty.may_read(%s, member_id)' END, c.program) AS condition" \
	"  FROM clause c GROUP BY c.name, c.oid, c.program" \
	"  UNION ALL" \
	"  SELECT c.name, c.oid, 'loyalty_manage', '*', format('loyalty.may_manage(%s)', c.program)" \
	"  FROM clause c WHERE c.access = 'manage' AND c.visible = 'terms')"

#endif							/* LOYALTY_ACCESS_OBJECTS_H */
