--
-- enrollment: how many became members, and when
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('enrollment_far', 'Pacific/Auckland'), ('enrollment_none', 'UTC');
SET loyalty.program = 'enrollment_far';
SELECT count(loyalty.enroll(m, at => a::timestamptz)) FROM (VALUES ('ann', '2026-01-31 10:59Z'), ('bob', '2026-01-31 11:00Z'), ('cid', '2026-01-31 23:00Z'), ('dan', '2026-02-02 00:00Z')) v (m, a);
SELECT program, day, members FROM loyalty.enrollments_by_day WHERE program ~ '^enrollment_' ORDER BY 2;
-- closed and forgotten ones stay, who was merged is somebody else
SELECT loyalty.set_member('ann', status => 'closed');
SELECT loyalty.forget_member('bob') IS NOT NULL AS forgotten;
SELECT loyalty.merge_members('dan', 'cid');
SELECT program, day, members FROM loyalty.enrollments_by_day WHERE program ~ '^enrollment_' ORDER BY 2;

-- only for who may read the program
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'enrollment_none');
SET ROLE regress_analyst;
SELECT count(*) FROM loyalty.enrollments_by_day;
RESET ROLE;
SELECT loyalty.revoke_access('regress_analyst', 'read', 'enrollment_none');
DROP ROLE regress_analyst;
