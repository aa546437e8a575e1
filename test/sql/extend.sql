--
-- extend: points get a later last day, and expired points come back
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
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(detail, ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name) VALUES ('extend_a');
INSERT INTO loyalty.program (name, expiry) VALUES ('extend_month', '1 month'), ('extend_idle', 'inactive 1 month');
INSERT INTO loyalty.program (name, pending) VALUES ('extend_pending', '5 days');
INSERT INTO loyalty.rule (program, name, award) VALUES ('extend_pending', 'base', '1 per 1');
SET loyalty.program = 'extend_a';

-- The soonest by default, all of them by default
SELECT points, balance FROM (VALUES (1, 10, '2990-03-01'::date), (2, 20, '2990-01-01'), (3, 40, NULL), (4, 80, '2990-02-01')) v(n, p, e),
	loyalty.adjust('ann', p, expires => e) ORDER BY n;
SELECT * FROM loyalty.extend('ann', NULL, '2990-02-01', reason => 'sorry for the closed shop', key => 'x1');
SELECT points, ends FROM loyalty.lots('ann');
SELECT * FROM loyalty.extend('ann', '2990-02-01', '2991-01-31', points => 30.5);
SELECT * FROM loyalty.extend('ann', '2990-03-01', 'infinity');
SELECT points, ends FROM loyalty.lots('ann');
SELECT seq, kind, points, lots, source_key, nullif(context - 'by', '{}') AS context, note FROM loyalty.entry WHERE member_id = loyalty.find_member('ann') AND seq > 4 ORDER BY seq;
SELECT next_expiry <= '2990-02-01' AS still_a_lower_bound FROM loyalty.member WHERE member_id = loyalty.find_member('ann');

-- The same key: the same answer, and nothing is written
SELECT * FROM loyalty.extend('ann', NULL, '2990-02-01', reason => 'sorry for the closed shop', key => 'x1');
SELECT arguments, pg_temp.try(format('SELECT loyalty.extend(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', '2990-01-01', '2990-02-01', reason => 'sorry for the closed shop', key => 'x1'$$,
	$$'ann', NULL, '2990-02-02', reason => 'sorry for the closed shop', key => 'x1'$$,
	$$'ann', NULL, '2990-02-01', points => 20, reason => 'sorry for the closed shop', key => 'x1'$$,
	$$'ann', NULL, '2990-02-01', key => 'x1'$$,
	$$'ann', NULL, '2990-02-01', reason => 'sorry for the closed shop', at => '2024-01-01', key => 'x1'$$]) AS arguments;
-- a key of another kind of act is another key
SELECT points, repeated FROM loyalty.adjust('ann', 1, key => 'x1');

-- What is refused, and leaves no trace
SELECT arguments, pg_temp.try(format('SELECT loyalty.extend(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', '2990-02-01', NULL$$, $$'ann', '2990-02-01', '2990-02-01'$$, $$'ann', '2990-02-01', '2990-01-31'$$, $$'ann', '2001-01-01', '2990-01-01'$$,
	$$'ann', '2990-02-01', '2001-01-01'$$, $$'ann', '2990-02-01', '-infinity'$$, $$'ann', '2990-02-02', '2990-03-01'$$, $$'ann', 'infinity', '2990-03-01'$$,
	$$'ann', '2990-02-01', '2990-03-01', points => 69.5001$$, $$'ann', '2990-02-01', '2990-03-01', points => 0$$, $$'ann', '2990-02-01', '2990-03-01', points => -1$$,
	$$'ann', '2990-02-01', '2990-03-01', at => now() + interval '1 hour'$$, $$'ann', '2990-02-01', '2990-03-01', at => '2024-01-01'$$,
	$$'nobody', NULL, '2990-01-01'$$, $$'', NULL, '2990-01-01'$$, $$NULL::bigint, NULL, '2990-01-01'$$]) AS arguments;
SELECT seq FROM loyalty.member WHERE member_id = loyalty.find_member('ann');
SELECT pg_temp.try($$SELECT loyalty.extend('zoe', NULL, '2990-01-01')$$) FROM loyalty.adjust('zoe', 5);
SELECT loyalty.set_member('zoe', status => 'closed') \g /dev/null
SELECT pg_temp.try($$SELECT loyalty.extend('zoe', NULL, '2990-01-01')$$);

-- Numeric ids; what is pending stays so
CREATE TABLE extend_order (id int PRIMARY KEY, customer int, total numeric, at timestamptz);
SELECT loyalty.attach('extend_order', member => 'customer', amount => 'total', at => 'at', program => 'extend_pending') > 0 AS attached;
UPDATE loyalty.program SET expiry = '10 days' WHERE name = 'extend_pending';
INSERT INTO extend_order VALUES (1, 7, 10, now()), (2, 7, 20, now() - interval '1 day');
SELECT points, starts - current_date AS starts, ends - current_date AS ends FROM loyalty.lots(7, program => 'extend_pending');
SELECT points, balance FROM loyalty.extend(7, NULL, current_date + 20, program => 'extend_pending');
SELECT points, starts - current_date AS starts, ends - current_date AS ends FROM loyalty.lots(7, program => 'extend_pending');

-- By inactivity points end sooner than never
SELECT regexp_replace(pg_temp.try($$SELECT loyalty.extend('ian', NULL, 'infinity', program => 'extend_idle')$$), 'would end on .*', 'would end soon'), points FROM loyalty.adjust('ian', 5, expires => '2990-01-01', program => 'extend_idle');

-- What expired comes back: dated when it fell due, though nobody wrote it down
SET loyalty.program = 'extend_month';
SELECT points, balance FROM (VALUES (1, 100, 400), (2, 20, 110), (3, 3, 50), (4, 1000, 1)) v(n, p, d), loyalty.adjust('bob', p, at => now() - d * interval '1 day') ORDER BY n;
SELECT pg_temp.try($$SELECT loyalty.reinstate('bob', 23.5)$$) ~ 'Of member "bob" of program "extend_month" 23 points have expired since [0-9-]+ and not come back, 23.5 were asked for' AS too_many;
SELECT points, balance, repeated FROM loyalty.reinstate('bob', 21, reason => 'on holiday', key => 'r1');
SELECT points, balance, repeated FROM loyalty.reinstate('bob', 21, reason => 'on holiday', key => 'r1');
SELECT seq, kind, points, nullif(context - '{by,reinstates}'::text[], '{}') AS asked, context -> 'reinstates' AS reinstates, note FROM loyalty.entry WHERE member_id = loyalty.find_member('bob') AND seq > 3 ORDER BY seq;
SELECT points, ends - current_date > 27 AS a_month FROM loyalty.lots('bob') WHERE ends - current_date > 27 ORDER BY 1;
-- the rest of it, and no more
SELECT points, balance FROM loyalty.reinstate('bob', expires => '2990-01-01');
SELECT context -> 'reinstates' AS reinstates FROM loyalty.entry WHERE member_id = loyalty.find_member('bob') ORDER BY seq DESC LIMIT 1;
SELECT regexp_replace(pg_temp.try($$SELECT loyalty.reinstate('bob')$$), 'since [0-9-]+', 'since then');
-- longer ago
SELECT points, balance FROM loyalty.reinstate('bob', within => '2 years', expires => 'infinity');
-- what came back and lapsed again may come back again
SELECT points, balance FROM loyalty.adjust('cat', 8, at => now() - interval '80 days', expires => (now() - interval '70 days')::date);
SELECT points, balance FROM loyalty.reinstate('cat', at => now() - interval '60 days', expires => (now() - interval '50 days')::date);
SELECT points, balance FROM loyalty.reinstate('cat');
SELECT pg_temp.try($$SELECT loyalty.reinstate('cat')$$) LIKE 'LY001%' AS nothing_left;
SELECT kind, points FROM loyalty.entry WHERE member_id = loyalty.find_member('cat') ORDER BY seq;

-- What is refused
SELECT arguments, regexp_replace(pg_temp.try(format('SELECT loyalty.reinstate(%s)', arguments)), '[0-9]+-[0-9]+-[0-9]+', 'DAY', 'g') FROM unnest(ARRAY[
	$$'cat', 0$$, $$'cat', -1$$, $$'cat', 1, within => '-1 day'$$, $$'cat', 1, at => now() + interval '1 hour'$$, $$'cat', 1, at => now() - interval '1 year'$$,
	$$'bob', 21, key => 'r1'$$, $$'bob', 20, reason => 'on holiday', key => 'r1'$$, $$'bob', 21, within => '1 year', reason => 'on holiday', key => 'r1'$$,
	$$'bob', 21, expires => '2990-01-01', reason => 'on holiday', key => 'r1'$$, $$'nobody', 1$$, $$'nobody'$$]) AS arguments;
SELECT points FROM loyalty.adjust('dan', 8, at => now() - interval '80 days', expires => (now() - interval '70 days')::date);
SELECT arguments, pg_temp.try(format('SELECT loyalty.reinstate(%s)', arguments)) FROM unnest(ARRAY[
	$$'dan', 1, expires => '2001-01-01'$$]) AS arguments;
-- lapsed by inactivity: they would lapse again at once
SELECT points FROM loyalty.enroll('ida', at => now() - interval '80 days', program => 'extend_idle'), loyalty.adjust('ida', 8, at => now() - interval '70 days', program => 'extend_idle');
SELECT pg_temp.try($$SELECT loyalty.reinstate('ida', program => 'extend_idle')$$);
SELECT points, balance FROM loyalty.reinstate('ida', expires => '2990-01-01', program => 'extend_idle');

SELECT * FROM loyalty.verify() WHERE program LIKE 'extend%';
