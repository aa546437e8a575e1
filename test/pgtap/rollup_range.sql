-- rollup_range: a program whose points add up to more than there can be keeps no other from its rollups and reports.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
SET search_path = public;
SET client_min_messages = error;
SELECT no_plan();

INSERT INTO loyalty.program (name) VALUES ('absurd'), ('coffee'), ('tea');
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program;
SELECT loyalty.record(format('m%s', n), 'purchase', n, at => now() - interval '3 days', program => name) FROM loyalty.program, generate_series(1, 3) n \g /dev/null
SELECT loyalty.adjust(format('m%s', n), 900000000000000, program => 'absurd') FROM generate_series(1, 2) n \g /dev/null
-- As though it were two hours ago: maintenance leaves the last one.
SET session_replication_role = replica;
UPDATE loyalty.entry SET posted_at = posted_at - interval '2 hours';
RESET session_replication_role;

CREATE VIEW rolled_up AS SELECT p.name::text COLLATE "default" AS name, r.until > '-infinity' AS rolled_up, r.entries, (SELECT count(*) FROM loyalty.rollup_day d WHERE d.program_id = r.program_id) AS days
FROM loyalty.rollup r JOIN loyalty.program p USING (program_id);
CALL loyalty.maintain();
SELECT results_eq('SELECT * FROM rolled_up ORDER BY name', $$VALUES ('absurd', false, 0::bigint, 0::bigint), ('coffee', true, 3, 1), ('tea', true, 3, 1)$$, 'the others are rolled up');
SELECT throws_ok($$SELECT loyalty.roll_up('absurd', now())$$, '22003', 'points out of range', 'it says why it is not');
SELECT lives_ok($$SELECT loyalty.roll_up('coffee', now())$$, 'another one is');
SELECT results_eq($$SELECT points::numeric, purchases FROM loyalty.points_by_day WHERE program_id = (SELECT program_id FROM loyalty.program WHERE name = 'tea')$$,
	$$VALUES (6::numeric, 3::bigint)$$, 'its points can be read');

SELECT * FROM finish();
