--
-- program: guards of the program table, and how a program is named
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

-- What stands in a program when only its name is given
INSERT INTO loyalty.program (name) VALUES ('program_plain');
SELECT name, currency, time_zone, expiry, pending, points_scale, rounding, clawback, auto_enroll, created_at = now() AS created_now
FROM loyalty.program WHERE name = 'program_plain';

-- Values that make no sense
SELECT column_name, value, pg_temp.try(format('INSERT INTO loyalty.program (name, %I) VALUES (%L, %L)', column_name, 'program_bad', value))
FROM (VALUES
	(1, 'time_zone', 'Mars/Olympus'), (2, 'time_zone', ''), (3, 'time_zone', 'MYT-8'), (4, 'time_zone', '+08:00'), (5, 'time_zone', NULL),
	(10, 'pending', '1 month'), (11, 'pending', '1 year'), (12, 'pending', '36 hours'), (13, 'pending', '1 day 00:00:01'),
	(14, 'pending', '-1 day'), (15, 'pending', '36526 days'), (16, 'pending', NULL),
	(20, 'points_scale', '-1'), (21, 'points_scale', '5'), (22, 'rounding', 'sideways'), (23, 'clawback', 'maybe'),
	(24, 'expiry', 'sometime'), (25, 'auto_enroll', NULL)) AS v(n, column_name, value)
ORDER BY n;
SELECT pg_temp.try($$INSERT INTO loyalty.program (name) VALUES ('')$$);
SELECT pg_temp.try($$INSERT INTO loyalty.program (name) VALUES (NULL)$$);
SELECT pg_temp.try($$INSERT INTO loyalty.program (name) VALUES ('program_plain')$$);
-- and values at the edge, which are accepted (a zone in any case)
SELECT column_name, value, pg_temp.try(format('INSERT INTO loyalty.program (name, %I) VALUES (%L, %L)', column_name, 'program_edge_' || n, value))
FROM (VALUES
	(1, 'time_zone', 'asia/kuala_lumpur'), (2, 'time_zone', 'Pacific/Kiritimati'), (3, 'time_zone', 'UTC'), (4, 'pending', '0'), (5, 'pending', '36525 days'),
	(6, 'points_scale', '4'), (7, 'rounding', 'half_even'), (8, 'clawback', 'none'), (9, 'expiry', 'inactive 18 months'), (10, 'currency', 'USD')) AS v(n, column_name, value)
ORDER BY n;
SELECT count(*) FROM loyalty.program WHERE name = 'program_bad';

-- Without members all but the name may still change, and the program may go
INSERT INTO loyalty.program (name) VALUES ('program_open');
SELECT change, pg_temp.try(format('UPDATE loyalty.program SET %s WHERE name = %L', change, 'program_open'))
FROM unnest(ARRAY[$$time_zone = 'Europe/Paris'$$, $$points_scale = 2$$, $$rounding = 'up'$$, $$currency = 'EUR'$$, $$expiry = '1 year'$$,
	$$pending = '14 days'$$, $$clawback = 'available'$$, $$auto_enroll = false$$,
	$$time_zone = 'Nowhere'$$, $$pending = '1 month'$$, $$name = 'program_other'$$, $$name = name$$]) AS change;
SELECT pg_temp.try($$UPDATE loyalty.program SET program_id = program_id + 1000000 WHERE name = 'program_open'$$) <> 'accepted' AS number_is_fixed;
SELECT pg_temp.try($$DELETE FROM loyalty.program WHERE name = 'program_open'$$);

-- With members the terms by which purchases were judged are fixed
INSERT INTO loyalty.program (name, currency) VALUES ('program_busy', 'USD');
SELECT loyalty.enroll('ann', program => 'program_busy') = loyalty.member_id('ann', 'program_busy') AS enrolled;
SELECT change, pg_temp.try(format('UPDATE loyalty.program SET %s WHERE name = %L', change, 'program_busy'))
FROM unnest(ARRAY[$$name = 'program_lazy'$$, $$time_zone = 'Europe/Paris'$$, $$points_scale = 2$$, $$rounding = 'up'$$, $$currency = 'EUR'$$, $$currency = NULL$$,
	$$time_zone = 'UTC', points_scale = 0, rounding = 'down', currency = 'USD'$$,
	$$expiry = '1 year'$$, $$pending = '14 days'$$, $$clawback = 'available'$$, $$auto_enroll = false$$, $$pending = '1 month'$$]) AS change;
SELECT pg_temp.try($$DELETE FROM loyalty.program WHERE name = 'program_busy'$$);
SELECT pg_temp.try($$TRUNCATE loyalty.program$$);
SELECT name, currency, time_zone, expiry, pending, points_scale, rounding, clawback, auto_enroll FROM loyalty.program WHERE name = 'program_busy';

-- Several programs and none named (the DETAIL counts them)
SELECT split_part(pg_temp.try($$SELECT loyalty.balance('ann')$$), E'\n', 1) AS message, pg_temp.try($$SELECT loyalty.balance('ann')$$) ~ 'DETAIL There are \d+ programs\.' AS counted,
	split_part(pg_temp.try($$SELECT loyalty.balance('ann')$$), E'\n', 3) AS hint;
SELECT command, split_part(pg_temp.try(command), E'\n', 1) FROM unnest(ARRAY[
	$$SELECT loyalty.balance('ann', program => NULL)$$, $$SELECT loyalty.enroll('ann')$$, $$SELECT loyalty.adjust('ann', 1)$$,
	$$SELECT loyalty.set_member('ann', status => 'closed')$$, $$SELECT * FROM loyalty.lots('ann')$$, $$SELECT * FROM loyalty.statement('ann')$$,
	$$SELECT loyalty.balance('ann', program => 'program_nobody')$$, $$SELECT loyalty.balance('ann', program => 'PROGRAM_BUSY')$$,
	$$SELECT loyalty.enroll('ann', program => '')$$]) AS command;

-- loyalty.program is the default; a named program goes before it
SET loyalty.program = 'program_busy';
SELECT (loyalty.adjust('ann', 5)).points;
SELECT available FROM loyalty.balance('ann');
SELECT available FROM loyalty.balance('ann', program => NULL);
SELECT available FROM loyalty.balance('ann', program => 'program_plain');
SET loyalty.program = 'program_nobody';
SELECT pg_temp.try($$SELECT loyalty.balance('ann')$$);
SELECT available FROM loyalty.balance('ann', program => 'program_busy');
SET loyalty.program = '';
SELECT split_part(pg_temp.try($$SELECT loyalty.balance('ann')$$), E'\n', 1) AS none_named;
-- it is set for a role or a transaction as well, and a savepoint takes it back
RESET loyalty.program;
BEGIN;
SAVEPOINT before;
SET LOCAL loyalty.program = 'program_busy';
SELECT available FROM loyalty.balance('ann');
ROLLBACK TO before;
SELECT split_part(pg_temp.try($$SELECT loyalty.balance('ann')$$), E'\n', 1) AS none_named;
COMMIT;

-- A change counts at once, and one that was rolled back does not
BEGIN;
SELECT available FROM loyalty.balance('nobody', program => 'program_plain');
SAVEPOINT before;
UPDATE loyalty.program SET auto_enroll = false WHERE name = 'program_plain';
SELECT pg_temp.try($$SELECT available FROM loyalty.balance('nobody', program => 'program_plain')$$);
INSERT INTO loyalty.program (name) VALUES ('program_brief');
SELECT available FROM loyalty.balance('nobody', program => 'program_brief');
ROLLBACK TO before;
SELECT available FROM loyalty.balance('nobody', program => 'program_plain');
SELECT pg_temp.try($$SELECT available FROM loyalty.balance('nobody', program => 'program_brief')$$);
COMMIT;
