--
-- rule: guards of the rule table
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
INSERT INTO loyalty.program (name) VALUES ('rule_a'), ('rule_b');

-- What stands in a rule when only the needful is given
INSERT INTO loyalty.rule (program, name, award) VALUES ('rule_a', 'base', '1 per 1');
SELECT program, name, event, award, priority, active, expiry, pending, rule_id > 0 AS numbered, created_at = now() AS created_now
FROM loyalty.rule WHERE program = 'rule_a';

-- Rules that make no sense
SELECT column_name, value, pg_temp.try(format(
	CASE column_name WHEN 'program' THEN 'INSERT INTO loyalty.rule (program, name, award) VALUES (%2$L, ''bad'', ''1'')'
		WHEN 'name' THEN 'INSERT INTO loyalty.rule (program, name, award) VALUES (''rule_a'', %2$L, ''1'')'
		WHEN 'award' THEN 'INSERT INTO loyalty.rule (program, name, award) VALUES (''rule_a'', ''bad'', %2$L)'
		ELSE 'INSERT INTO loyalty.rule (program, name, award, %1$I) VALUES (''rule_a'', ''bad'', ''1'', %2$L)' END, column_name, value))
FROM (VALUES
	(1, 'program', 'rule_nobody'), (2, 'program', NULL), (3, 'name', ''), (4, 'name', NULL), (5, 'name', 'base'),
	(6, 'award', 'x2'), (7, 'award', 'x0.5'), (8, 'award', 'plenty'), (9, 'award', NULL),
	(10, 'expiry', 'inactive 6 months'), (11, 'expiry', 'whenever'),
	(12, 'pending', '1 month'), (13, 'pending', '12 hours'), (14, 'pending', '-2 days'), (15, 'pending', '36526 days'),
	(16, 'active', 'empty'), (17, 'active', NULL), (18, 'event', '')) AS v(n, column_name, value)
ORDER BY n;
SELECT pg_temp.try($$INSERT INTO loyalty.rule (rule_id, program, name, award) OVERRIDING SYSTEM VALUE VALUES (0, 'rule_a', 'bad', '1')$$) AS number_zero;
SELECT name FROM loyalty.rule WHERE program IN ('rule_a', 'rule_b') ORDER BY 1;

-- One name stands once in a program at one time; at another time, or in another program, it may
SELECT pg_temp.try($$INSERT INTO loyalty.rule (program, name, award) VALUES ('rule_b', 'base', '2 per 1')$$) AS other_program;
SELECT pg_temp.try($$INSERT INTO loyalty.rule (program, name, award) VALUES ('rule_a', 'Base', '2 per 1')$$) AS other_case;
SELECT n, pg_temp.try(format('INSERT INTO loyalty.rule (program, name, award, active) VALUES (%L, %L, %L, %L)', 'rule_b', 'summer', '5%', active))
FROM (VALUES (1, '[2990-06-01,2990-09-01)'), (2, '[2991-06-01,2991-09-01)'), (3, '[2990-09-01,2990-10-01)'), (4, '[2990-08-31,2990-09-15)'), (5, '(,2990-06-01)'),
	(6, '[2991-09-01,)'), (7, '[2991-08-01,)')) AS v(n, active) ORDER BY n;

-- Once committed a rule does not change, column by column
SELECT change, pg_temp.try(format('UPDATE loyalty.rule SET %s WHERE program = %L AND name = %L', change, 'rule_a', 'base'))
FROM unnest(ARRAY[$$program = 'rule_b'$$, $$event = 'review'$$, $$award = '2 per 1'$$, $$priority = 1$$,
	$$expiry = '1 year'$$, $$pending = '1 day'$$, $$created_at = created_at + '1 second'$$,
	$$active = '[2000-01-01,)'$$, $$active = '(,2000-01-01)'$$, $$active = tstzrange(NULL, now() - interval '1 second')$$, $$active = '[2000-01-01,2000-02-01)'$$, $$active = 'empty'$$, $$name = ''$$, $$name = 'Base'$$,
	$$award = award, priority = 0, active = '(,)'$$]) AS change;
SELECT pg_temp.try($$UPDATE loyalty.rule SET rule_id = rule_id + 1000000 WHERE program = 'rule_a'$$) <> 'accepted' AS number_is_fixed;
SELECT pg_temp.try($$DELETE FROM loyalty.rule WHERE program = 'rule_a'$$);
SELECT pg_temp.try($$TRUNCATE loyalty.rule$$);
SELECT program, name, event, award, priority, active, expiry, pending FROM loyalty.rule WHERE program = 'rule_a' ORDER BY name;

-- but for its name, and for its end as long as that is not past
SELECT change, pg_temp.try(format('UPDATE loyalty.rule SET %s WHERE program = %L AND award::text = %L', change, 'rule_a', '1 per 1'))
FROM unnest(ARRAY[$$name = 'basic'$$, $$active = '(,2990-01-01)'$$, $$active = '(,2990-01-01]'$$, $$active = '(,2995-01-01)'$$, $$active = '(,)'$$, $$active = tstzrange(NULL, now())$$]) AS change;
-- Ended, its end is past, and stays
SELECT change, pg_temp.try(format('UPDATE loyalty.rule SET %s WHERE program = %L AND award::text = %L', change, 'rule_a', '1 per 1'))
FROM unnest(ARRAY[$$active = '(,)'$$, $$active = tstzrange(NULL, now() + interval '1 hour')$$, $$active = tstzrange(NULL, now())$$, $$name = 'first'$$]) AS change;
-- and its name is free for a successor from then on
SELECT pg_temp.try($$INSERT INTO loyalty.rule (program, name, award, active) SELECT program, name, '3 per 1', tstzrange(upper(active), NULL) FROM loyalty.rule WHERE program = 'rule_a' AND award::text = '1 per 1'$$) AS successor;
SELECT name, award, upper_inf(active) AS open_end FROM loyalty.rule WHERE program = 'rule_a' ORDER BY rule_id;

-- In the transaction that makes it a rule is still a draft, also over savepoints
BEGIN;
INSERT INTO loyalty.rule (program, name, award) VALUES ('rule_b', 'draft', '1 per 2');
UPDATE loyalty.rule SET award = '1 per 3', priority = 7, active = '[2000-01-01,2001-01-01)', event = 'visit' WHERE name = 'draft' AND program = 'rule_b';
SAVEPOINT one;
UPDATE loyalty.rule SET award = '1 per 4', event = 'purchase' WHERE name = 'draft' AND program = 'rule_b';
RELEASE one;
SAVEPOINT two;
UPDATE loyalty.rule SET award = '1 per 5' WHERE name = 'draft' AND program = 'rule_b';
ROLLBACK TO two;
UPDATE loyalty.rule SET pending = '3 days' WHERE name = 'draft' AND program = 'rule_b';
SELECT pg_temp.try($$UPDATE loyalty.rule SET award = 'x3' WHERE name = 'draft' AND program = 'rule_b'$$) AS still_checked,
	pg_temp.try($$UPDATE loyalty.rule SET program = 'rule_nobody' WHERE name = 'draft' AND program = 'rule_b'$$) AS and_the_program;
SELECT name, event, award, priority, active = '[2000-01-01,2001-01-01)' AS active, pending FROM loyalty.rule WHERE name = 'draft' AND program = 'rule_b';
SAVEPOINT three;
DELETE FROM loyalty.rule WHERE name = 'draft' AND program = 'rule_b';
SELECT count(*) FROM loyalty.rule WHERE name = 'draft' AND program = 'rule_b';
ROLLBACK TO three;
COMMIT;
SELECT pg_temp.try($$UPDATE loyalty.rule SET award = '1 per 6' WHERE name = 'draft' AND program = 'rule_b'$$) AS committed;
-- An allowed change does not make it a draft again
BEGIN;
UPDATE loyalty.rule SET name = 'renamed' WHERE name = 'draft' AND program = 'rule_b';
SELECT pg_temp.try($$UPDATE loyalty.rule SET award = '1 per 6' WHERE name = 'renamed' AND program = 'rule_b'$$) AS change,
	pg_temp.try($$DELETE FROM loyalty.rule WHERE name = 'renamed' AND program = 'rule_b'$$) AS removal;
ROLLBACK;
-- Renaming may not take a name either
SELECT pg_temp.try($$UPDATE loyalty.rule SET name = 'base', active = active WHERE name = 'draft' AND program = 'rule_b'$$) AS taken;

-- Numbers become visible in order: one transaction at a time writes rules
BEGIN;
UPDATE loyalty.rule SET name = name WHERE false;
SELECT mode, granted FROM pg_catalog.pg_locks WHERE relation = 'loyalty.rule'::regclass AND pid = pg_backend_pid() AND mode ~ 'Share' ORDER BY mode;
ROLLBACK;
