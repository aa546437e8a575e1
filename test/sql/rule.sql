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
	(8, 'award', 'plenty'), (9, 'award', NULL),
	(10, 'expiry', 'inactive 6 months'), (11, 'expiry', 'whenever'),
	(12, 'pending', '1 month'), (13, 'pending', '12 hours'), (14, 'pending', '-2 days'), (15, 'pending', '36526 days'),
	(16, 'active', 'empty'), (17, 'active', NULL), (18, 'event', ''),
	(19, 'award_points', 'amount'), (20, 'owner', NULL), (21, 'owner', 'rule_nobody'), (22, 'priority', NULL), (23, 'stop', NULL),
	(24, 'include_items', '{}'), (25, 'exclude_stores', '{}'), (26, 'include_categories', '{tea,NULL}'), (27, 'exclude_channels', '{{a},{b}}'),
	(28, 'min_amount', '-1'), (29, 'min_amount', 'NaN'), (30, 'min_amount', '1e16'), (31, 'min_amount', '0.123456789'), (32, 'min_quantity', 'Infinity'), (33, 'min_quantity', '1e-30'),
	(34, 'exclusive_group', ''), (35, 'purchase_cap', '0'), (36, 'member_cap', '-5'), (37, 'budget', '0'), (38, 'budget', '0.00001'), (39, 'member_times', '0'),
	(40, 'cap_period', 'decade'), (41, 'cap_mode', 'refuse'), (42, 'cap_mode', NULL), (43, 'budget_period', 'hour'),
	(44, 'cooldown', '0'), (45, 'cooldown', '1 month -1 day'), (46, 'cooldown', '101 years'), (47, 'cooldown', '36526 days'), (48, 'cooldown', '900000 hours'),
	(49, 'lineage', '0'), (50, 'lineage', '-1'), (51, 'lineage', '2000000000')) AS v(n, column_name, value)
ORDER BY n;
SELECT pg_temp.try(format('INSERT INTO loyalty.rule (program, name, %s) VALUES (''rule_a'', ''bad'', %s)', columns, given))
FROM (VALUES (1, 'event', $$'purchase'$$), (2, 'award, award_points', $$'1', 'amount'$$), (3, 'award, purchase_cap', $$'x2', 10$$)) AS v(n, columns, given) ORDER BY n;
SELECT pg_temp.try($$INSERT INTO loyalty.rule (rule_id, program, name, award) OVERRIDING SYSTEM VALUE VALUES (0, 'rule_a', 'bad', '1')$$) AS number_zero;
SELECT name FROM loyalty.rule WHERE program IN ('rule_a', 'rule_b') ORDER BY 1;

-- Rules that make sense, however odd
BEGIN;
SELECT pg_temp.try(format('INSERT INTO loyalty.rule (program, name, %s) VALUES (''rule_a'', ''odd %s'', %s)', columns, n, given))
FROM (VALUES (1, 'award', $$'x2'$$), (2, 'award', $$'x0.5'$$), (3, 'award, member_cap, budget, once, member_times, cooldown', $$'x3', 10, 20, true, 3, '100 years'$$),
	(4, 'award_points', $$'NULL'$$), (5, 'award, condition', $$'1', 'false'$$), (6, 'award, condition', $$'1', 'NULL'$$),
	(7, 'award, cap_mode, cap_period, budget_period', $$'1', 'reject', 'day', 'week'$$), (8, 'award, event, min_amount, min_quantity', $$'1', 'review', 12.12345678, 1e15$$),
	(9, 'award, include_items, exclude_items', $$'1', '{tea,tea,""}', '{tea,coffee}'$$), (10, 'award, condition', $$'1', repeat('amount > 0 AND ', 3000) || 'true'$$),
	(11, 'award_points', $$E'-- nothing but\n5'$$), (12, 'award, active', $$'1', '[infinity,)'$$)) AS v(n, columns, given) ORDER BY n;
ROLLBACK;

-- Expressions that are none of a rule's
SET client_min_messages = error;
CREATE DOMAIN pg_temp.mine AS text;
CREATE TYPE public.rule_day AS (day date);
CREATE FUNCTION pg_temp.mine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
RESET client_min_messages;
SELECT expression, pg_temp.try(format('INSERT INTO loyalty.rule (program, name, award, condition) VALUES (''rule_a'', ''bad'', ''1'', %L)', expression))
FROM unnest(ARRAY['', 'amount >', 'amount', 'amount > 5, true', 'amount > 5 AS x', 'price > 5', 'member.name = 1', '*', 'amount > 5 FROM loyalty.member',
	'amount > (SELECT 1)', 'EXISTS (SELECT 1)', 'amount > ANY (SELECT 1)', 'cardinality(ARRAY(SELECT 1)) > 0',
	'sum(amount) > 5', 'count(*) FILTER (WHERE amount > 3) > 5', 'GROUPING(amount) > 1', 'rank() OVER () > 1', 'amount > generate_series(1, 3)', 'amount > $1', 'amount > DEFAULT',
	'random() > 0.5', 'at > now()', 'at::text > ''2026''', 'at > ''yesterday''', '(item IS NOT NULL AND at > ''today'') IS UNKNOWN', 'at::date = date ''Today''', 'at::date = ANY (''{2026-01-01,tomorrow}'')', 'tsrange(''now'', NULL) @> at', '''{[today,today]}''::datemultirange @> at::date', 'at::date = (''(today)''::public.rule_day).day',
	'item::mine = ''a''', '''{a}''::pg_temp.mine[] IS NULL', 'pg_temp.mine(item)', 'item COLLATE pg_temp.mine = ''a''', 'item OPERATOR(pg_temp.=) ''a''']) WITH ORDINALITY AS u(expression, n) ORDER BY n;
SELECT expression, pg_temp.try(format('INSERT INTO loyalty.rule (program, name, award_points) VALUES (''rule_a'', ''bad'', %L)', expression))
FROM unnest(ARRAY['item', 'amount > 5', 'at', 'generate_series(1, 3)', 'max(amount)', '(SELECT 5)']) WITH ORDINALITY AS u(expression, n) ORDER BY n;
DROP TYPE public.rule_day;
-- say where
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('rule_a', 'bad', '1', 'amount > 5 AND item = (SELECT ''tea'')');
INSERT INTO loyalty.rule (program, name, award_points) VALUES ('rule_a', 'bad', 'round(amount) + sum(amount)');
INSERT INTO loyalty.rule (program, name, award_points) VALUES ('rule_a', 'bad', 'round(amount) + count(*) OVER ()');
INSERT INTO loyalty.rule (program, name, award_points) VALUES ('rule_a', 'bad', 'round(amount) + generate_series(1, 3)');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('rule_a', 'bad', '1', 'amount > 5 AND at > ''now''');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('rule_a', 'bad', '1', 'amount > 5 AND item::mine = ''a''');

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
	$$active = '[2000-01-01,)'$$, $$active = '(,2000-01-01)'$$, $$active = tstzrange(NULL, now() - interval '1 second')$$, $$active = '[2000-01-01,2000-02-01)'$$, $$active = 'empty'$$, $$active = NULL$$, $$owner = NULL$$, $$owner = 'rule_nobody'$$, $$lineage = 1$$, $$condition = 'true'$$, $$include_items = '{tea}'$$, $$once = true$$, $$name = ''$$, $$name = 'Base'$$,
	$$award = award, priority = 0, active = '(,)', owner = owner$$]) AS change;
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
SELECT pg_temp.try($$UPDATE loyalty.rule SET cooldown = '-1 day' WHERE name = 'draft' AND program = 'rule_b'$$) AS still_checked,
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

-- A rule whose function and owner are gone can still be ended
CREATE ROLE rule_former;
SET client_min_messages = error;
CREATE FUNCTION public.rule_function(numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
INSERT INTO loyalty.rule (program, name, award, condition, owner) VALUES ('rule_b', 'broken', '1', 'public.rule_function(amount)', 'rule_former');
DROP FUNCTION public.rule_function;
DROP ROLE rule_former;
RESET client_min_messages;
SELECT change, pg_temp.try(format('UPDATE loyalty.rule SET %s WHERE program = %L AND name = %L', change, 'rule_b', 'broken'))
FROM unnest(ARRAY[$$active = '(,2990-01-01)'$$, $$owner = 'rule_nobody'$$, $$owner = current_user$$]) AS change;
-- A restore brings rules before what they name
SET check_function_bodies = off;
SELECT pg_temp.try($$INSERT INTO loyalty.rule (program, name, award, condition, owner) VALUES ('rule_b', 'restored', '1', 'public.rule_function(amount)', 'rule_former')$$);
RESET check_function_bodies;
SELECT name, owner = current_user AS mine, active FROM loyalty.rule WHERE program = 'rule_b' AND condition IS NOT NULL ORDER BY rule_id;

-- Revising
CREATE TABLE rule_orders (id integer PRIMARY KEY, customer text, total numeric, at timestamptz);
INSERT INTO loyalty.program (name) VALUES ('rule_shop');
INSERT INTO loyalty.rule (program, name, award, condition, priority, member_cap, pending, active)
	VALUES ('rule_shop', 'base', '1 per 1', 'amount > 5', 3, 100, '2 days', '(,2995-01-01]');
SELECT loyalty.attach('rule_orders', member => 'customer', amount => 'total', at => 'at', program => 'rule_shop') > 0 AS attached;
SET client_min_messages = error;
CREATE VIEW pg_temp.versions AS
	SELECT name, award, award_points, condition, priority, member_cap, active, lineage = min(rule_id) OVER () AS of_the_first
	FROM loyalty.rule WHERE program = 'rule_shop' ORDER BY rule_id;
CREATE VIEW pg_temp.earned AS
	SELECT e.source_key, m.ref AS member, r.name, r.active, loyalty.sum(e.points) AS points FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id) JOIN loyalty.member m USING (member_id)
	WHERE r.program = 'rule_shop' GROUP BY 1, 2, 3, 4, r.rule_id ORDER BY e.source_key::int, r.rule_id;
RESET client_min_messages;
INSERT INTO rule_orders VALUES (1, 'rule_ada', 40, '2026-01-01'), (2, 'rule_ada', 30, '2990-06-01');
SELECT loyalty.revise_rule('base', '{"award": "2 per 1", "condition": null, "priority": 5}', at => '2990-01-01', program => 'rule_shop') > 0 AS revised;
TABLE pg_temp.versions;
-- What stands was judged by the first version, what comes is by that of its time; the cap goes on
INSERT INTO rule_orders VALUES (3, 'rule_bob', 10, '2989-12-31 23:59:59+00'), (4, 'rule_bob', 10, '2990-01-01 00:00+00'), (5, 'rule_bob', 4, '2989-02-01'), (6, 'rule_bob', 4, '2990-02-01'), (7, 'rule_bob', 10, '2995-01-01 00:00+00'), (8, 'rule_bob', 10, '2995-01-02');
UPDATE rule_orders SET total = total + 1 WHERE id IN (1, 2);
INSERT INTO rule_orders VALUES (9, 'rule_ada', 100, '2990-07-01');
TABLE pg_temp.earned;
SELECT * FROM loyalty.verify('rule_shop');
-- Again and again
SET loyalty.program = 'rule_shop';
SELECT loyalty.revise_rule('base', '{"award_points": "amount * 3", "name": "triple"}', at => '2991-01-01') > 0 AS worked_out,
	loyalty.revise_rule('triple', '{"award": "x2", "include_items": ["tea", "cake"], "stop": true, "member_cap": 7.5, "cooldown": "1 day"}', at => '2992-01-01') > 0 AS multiplied,
	loyalty.revise_rule('triple', '{}', at => '2993-01-01') > 0 AS as_it_was;
TABLE pg_temp.versions;
SELECT name, include_items, stop, cooldown, once, pending, owner = current_user AS mine FROM loyalty.rule WHERE program = 'rule_shop' ORDER BY rule_id DESC LIMIT 1;
INSERT INTO rule_orders VALUES (10, 'rule_eve', 10, '2991-06-01');
SELECT * FROM pg_temp.earned WHERE source_key = '10';
-- What is no revision
SELECT arguments, pg_temp.try(format('SELECT loyalty.revise_rule(%s)', arguments)) FROM (VALUES
	(1, $$NULL, '{}'$$), (2, $$'base', NULL$$), (3, $$'base', '[1]'$$), (4, $$'base', '"award"'$$), (5, $$'base', '{"prize": "5"}'$$),
	(6, $$'base', '{"rule_id": 5}'$$), (7, $$'base', '{"award": "5", "program": "rule_a"}'$$), (8, $$'base', '{"created_at": null}'$$), (9, $$'base', '{"lineage": 1}'$$), (10, $$'base', '{"owner": "postgres"}'$$), (11, $$'base', '{"active": "(,)"}'$$),
	(12, $$'base', '{}', at => '2020-01-01'$$), (13, $$'base', '{}', at => 'infinity'$$), (14, $$'nothing', '{}', at => '2990-06-01'$$), (15, $$'base', '{}', at => '2990-06-01', program => 'rule_nobody'$$),
	(16, $$'base', '{}', at => '2994-01-01'$$), (17, $$'triple', '{}', at => '2990-06-01'$$), (18, $$'triple', '{}', at => '2995-01-02'$$), (19, $$'triple', '{}', at => '2993-01-01'$$),
	(20, $$'base', '{"award": "plenty"}'$$), (21, $$'base', '{"award": null}'$$), (22, $$'base', '{"award": "5", "award_points": "amount"}'$$), (23, $$'base', '{"condition": "price > 5"}'$$), (24, $$'base', '{"include_items": []}'$$),
	(25, $$'base', '{"include_items": "tea"}'$$), (26, $$'base', '{"name": ""}'$$), (27, $$'base', '{"name": null}'$$), (28, $$'base', '{"name": "triple"}', at => '2990-06-01'$$), (29, $$'base', '{"purchase_cap": 3, "award": "x2"}'$$), (30, $$'base', '{"priority": "high"}'$$)) AS v(n, arguments) ORDER BY n;
SELECT pg_temp.try($$SELECT loyalty.revise_rule('base', '{}', at => now() - interval '1 microsecond')$$) ~ '^22023 a rule cannot be revised from .* on' AS not_in_the_past,
	pg_temp.try($$SELECT loyalty.revise_rule('triple', '{}')$$) ~ '^42704 program "rule_shop" has no rule "triple" that is active at ' AS not_before_its_beginning;
TABLE pg_temp.versions;
-- The name that another rule has at another time
SELECT loyalty.revise_rule('triple', '{"name": "base"}', at => '2994-01-01') > 0 AS revised;
SELECT name, active FROM pg_temp.versions;
-- A rule of this very transaction; the successor is a draft of it
BEGIN;
INSERT INTO loyalty.rule (program, name, award) VALUES ('rule_shop', 'fresh', '5');
INSERT INTO loyalty.rule (program, name, award, active) VALUES ('rule_shop', 'fresher', '6', tstzrange(now(), NULL));
SELECT loyalty.revise_rule('fresh', '{"award": "7"}') > 0 AS revised;
SELECT pg_temp.try($$SELECT loyalty.revise_rule('fresh', '{"award": "8"}')$$) AS twice, pg_temp.try($$SELECT loyalty.revise_rule('fresher', '{"award": "8"}')$$) AS at_its_beginning;
UPDATE loyalty.rule SET award = '9' WHERE program = 'rule_shop' AND name = 'fresh' AND upper_inf(active);
SELECT name, award, lower(active) = now() AS from_now, upper(active) = now() AS until_now, lineage IS NOT NULL AS successor FROM loyalty.rule WHERE program = 'rule_shop' AND name LIKE 'fresh%' ORDER BY rule_id;
ROLLBACK;
-- A lineage written by hand
SELECT what, pg_temp.try(format('INSERT INTO loyalty.rule (program, name, award, lineage) SELECT %L, %L, %L, rule_id FROM loyalty.rule WHERE program = %L AND %s ORDER BY rule_id LIMIT 1', program, 'heir', '1', 'rule_shop', which))
FROM (VALUES (1, 'of another program', 'rule_a', 'true'), (2, 'of a later version', 'rule_shop', 'lineage IS NOT NULL'), (3, 'of the first', 'rule_shop', 'true')) AS v(n, what, program, which) ORDER BY n;
-- With nobody's rights but the caller's
CREATE ROLE rule_clerk;
GRANT USAGE ON SCHEMA loyalty TO rule_clerk;
SET ROLE rule_clerk;
SELECT pg_temp.try($$SELECT loyalty.revise_rule('heir', '{"award": "2"}')$$) AS nothing;
RESET ROLE;
GRANT EXECUTE ON FUNCTION loyalty.revise_rule TO rule_clerk;
SET ROLE rule_clerk;
SELECT pg_temp.try($$SELECT loyalty.revise_rule('heir', '{"award": "2"}')$$) AS the_function;
RESET ROLE;
SELECT loyalty.grant_access('rule_clerk', 'manage');
REVOKE INSERT ON loyalty.rule FROM rule_clerk;
SET ROLE rule_clerk;
SELECT pg_temp.try($$SELECT loyalty.revise_rule('heir', '{"award": "2"}')$$) AS and_update;
RESET ROLE;
GRANT INSERT ON loyalty.rule TO rule_clerk;
SET ROLE rule_clerk;
SELECT pg_temp.try($$SELECT loyalty.revise_rule('heir', '{"award": "2"}')$$) ~ '^42501 must be member of role ".*" to write its rules' AS and_insert;
INSERT INTO loyalty.rule (program, name, award) VALUES ('rule_shop', 'clerk''s', '1');
SELECT loyalty.revise_rule('clerk''s', '{"award": "2"}', at => '2999-01-01') > 0 AS his_own;
RESET ROLE;
SELECT loyalty.revise_rule('clerk''s', '{"award": "3"}', at => '2998-01-01') > 0 AS somebodys;
SELECT name, award, owner, active FROM loyalty.rule WHERE name = 'clerk''s' ORDER BY rule_id;
SELECT loyalty.revoke_access('rule_clerk', 'manage');
DROP OWNED BY rule_clerk;
SET client_min_messages = error;
DROP ROLE rule_clerk;
SELECT * FROM loyalty.verify('rule_shop');
RESET loyalty.program;
DROP TABLE rule_orders;
