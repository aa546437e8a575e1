--
-- liability: what the shop owes, by program and month
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(regexp_replace(detail, '^Failing row .*', ''), ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name, expiry) VALUES ('liability_a', 'never'), ('liability_b', 'never'), ('liability_empty', 'never'), ('liability_idle', 'inactive 100 years');
INSERT INTO loyalty.program (name, time_zone) VALUES ('liability_east', 'Pacific/Kiritimati');
INSERT INTO loyalty.rule (program, name, award) VALUES ('liability_a', 'base', '1 per 1'), ('liability_idle', 'base', '1 per 1');
CREATE TABLE liability_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz, idle boolean DEFAULT false);
SELECT loyalty.attach('liability_order', member => 'customer', amount => 'total', at => 'at', counts => 'NOT idle', program => 'liability_a') > 0 AS a,
	loyalty.attach('liability_order', member => 'customer', amount => 'total', at => 'at', counts => 'idle', program => 'liability_idle') > 0 AS idle;
CREATE TEMPORARY VIEW owed AS SELECT * FROM loyalty.liability WHERE program ~ '^liability_';
SELECT * FROM owed;

-- By the month of the last day; what is over is owed no more, what is pending is
SELECT count(loyalty.adjust(m, p, expires => e, at => t::timestamptz, program => 'liability_a'))
FROM (VALUES ('ann', 10, '2990-01-15'::date, NULL), ('ann', 5, '2990-01-31', NULL), ('ann', 7, '2990-02-01', NULL), ('ann', 3, NULL, NULL),
	('ann', 1000, '2024-01-31', '2024-01-01 00:00Z'), ('bob', 20.5, '2990-01-20', NULL), ('cid', 4, '2990-12-31', NULL), ('dan', 1, '2024-01-31', '2024-01-01 00:00Z')) AS v(m, p, e, t);
INSERT INTO liability_order VALUES (1, 'cid', 6, '2999-01-01 00:00Z');
SELECT loyalty.enroll('eve', program => 'liability_a') IS NOT NULL AS has_nothing;
SELECT * FROM owed;
-- programs are kept apart, one ref or not
SELECT count(loyalty.adjust('ann', 99, expires => '2990-01-31', program => p)) FROM unnest(ARRAY['liability_b', 'liability_east']) AS p;
SELECT * FROM owed WHERE program <> 'liability_a';
-- spent points are gone from the month that they would have expired in
SELECT loyalty.adjust('ann', -12, program => 'liability_a') IS NOT NULL AS taken;
SELECT * FROM owed WHERE program = 'liability_a';
SELECT loyalty.adjust('ann', -99, program => 'liability_b') IS NOT NULL AS taken;
SELECT * FROM owed WHERE program = 'liability_b';

-- A debt is netted: against what is open at once, else under those that never expire
INSERT INTO liability_order VALUES (2, 'fay', 50, '2024-01-01 00:00Z');
SELECT balance FROM loyalty.adjust('fay', -50, program => 'liability_a');
DELETE FROM liability_order WHERE id = 2;
SELECT * FROM owed WHERE program = 'liability_a';
SELECT balance FROM loyalty.adjust('fay', 60, expires => '2990-02-28', program => 'liability_a');
SELECT * FROM owed WHERE program = 'liability_a';

-- Points that end by inactivity are owed in the month in which they would
INSERT INTO liability_order VALUES (3, 'gus', 8, '2024-01-10 00:00Z', true), (4, 'hal', 9, '2024-05-31 00:00Z', true), (5, 'gus', 1, '2024-05-01 00:00Z', true);
SELECT * FROM owed WHERE program = 'liability_idle';

-- It adds up to what the members have, and needs no maintenance
SELECT o.program, sum(o.points::numeric) = (SELECT sum(b.available::numeric + b.pending::numeric - b.debt::numeric) FROM loyalty.member m JOIN loyalty.program p USING (program_id),
	loyalty.balance(m.ref, program => p.name) b WHERE p.name = o.program) AS adds_up FROM owed o GROUP BY o.program ORDER BY 1;
CALL loyalty.maintain(program => 'liability_a');
SELECT * FROM owed WHERE program = 'liability_a';
-- The aggregate that it is made of: by what is known of members, and only of programs that the caller may read
SELECT o.* FROM (SELECT loyalty.owed(v.purse::loyalty.purse, p.program_id, v.active::timestamptz, v.enrolled::timestamptz, '2026-03-31 12:00Z') AS months
	FROM loyalty.program p, (VALUES ('{5@2026-03-30, 7@2026-03-31, 2@2026-04-01, 3@2026-04-30, 1@infinity}', NULL, '2026-01-01'), ('{}', NULL, '2026-01-01'), ('{4@2026-04-02, -6@infinity}', NULL, '2026-01-01'),
		('{1@2026-04-02}', NULL, NULL), (NULL, NULL, '2026-01-01'), ('{8@2026-06-30/2027-12-31, 9@2027-12-01}', '2026-02-01', '2026-01-01')) v (purse, active, enrolled)
	WHERE p.name = 'liability_a') s, unnest(s.months) o;
SELECT loyalty.owed('{5@infinity}', program_id, NULL, '2026-01-01', '2026-03-31') AS of_the_idle, loyalty.owed('{5@infinity}', -1, NULL, '2026-01-01', '2026-03-31') AS of_none FROM loyalty.program WHERE name = 'liability_idle';
SELECT loyalty.owed(m.purse, m.program_id, m.last_activity, m.enrolled_at, now()) IS NULL AS nobody FROM loyalty.member m WHERE false;
SELECT loyalty.owed(p::loyalty.purse, program_id, NULL, '2026-01-01', '2026-03-31') FROM loyalty.program, (VALUES ('{900000000000000@infinity}'), ('{900000000000000@infinity}')) v (p) WHERE name = 'liability_a';
SELECT loyalty.detach('liability_order', program => p) FROM unnest(ARRAY['liability_a', 'liability_idle']) AS p;
DROP TABLE liability_order;
