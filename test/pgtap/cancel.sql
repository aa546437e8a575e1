-- cancel: points go back to where they came from, in whatever parts; spans that have passed; debts, inactivity, the past
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = iso;
SET LOCAL client_min_messages = error;
SELECT no_plan();

-- SQLSTATE of a command that is undone again, 00000 when it is accepted
CREATE FUNCTION code(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RAISE EXCEPTION USING ERRCODE = 'XX999';
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN '00000';
WHEN others THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is_empty('SELECT * FROM loyalty.verify()', description)
$$;
CREATE FUNCTION purse(who text, program text) RETURNS text LANGUAGE sql AS $$
	SELECT m.purse::text FROM loyalty.member m WHERE m.member_id = loyalty.member_id(who, program)
$$;
-- the same as rows
CREATE FUNCTION holds(who text, program text, OUT ends date, OUT points numeric) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT l.ends, sum(l.points::numeric) FROM loyalty.member m, loyalty.lots(m.purse) l WHERE m.member_id = loyalty.member_id(who, program) GROUP BY 1
$$;

-- a member's entries after one of them
CREATE FUNCTION entries(who text, program text, after bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s %s', e.kind, e.points, e.lots), '; ' ORDER BY e.seq) FROM loyalty.entry e WHERE e.member_id = loyalty.member_id(who, program) AND e.seq > after
$$;

-- Random lots, spends and parts of cancellations, interleaved.  What is left of a spend is what it took first.
INSERT INTO loyalty.program (name, points_scale) VALUES ('parts', 4);
SELECT setseed(0.815) \g /dev/null
CREATE TABLE given AS SELECT 'm' || m AS member, ends, sum(points) AS points
	FROM generate_series(1, 12) m, generate_series(1, 12) n, LATERAL (SELECT (ARRAY['infinity'::date, current_date + 1 + (random() * 6)::int, current_date + 1 + (random() * 900)::int])[1 + (random() * 2)::int] AS ends,
		1 + floor(random() * 800) / 8 AS points WHERE n > 0) l GROUP BY 1, 2;
ALTER TABLE given ALTER points TYPE numeric;
SELECT count(loyalty.adjust(member, points, expires => ends, program => 'parts')) FROM given \g /dev/null
CREATE TABLE took (member text, entry bigint, place bigint, ends date, points numeric, PRIMARY KEY (member, entry, ends));
CREATE TABLE spent (member text, entry bigint, points numeric, back numeric, PRIMARY KEY (member, entry));
CREATE TABLE wrong (step int, member text, what text);

-- what each spend keeps: the first "points - back" of its lots
CREATE VIEW kept AS SELECT member, entry, ends, greatest(0, least(t.points, s.points - s.back - sum(t.points) OVER spend + t.points)) AS points
	FROM took t JOIN spent s USING (member, entry) WINDOW spend AS (PARTITION BY member, entry ORDER BY place);
CREATE VIEW model AS SELECT member, ends, points FROM (SELECT member, ends, g.points - coalesce((SELECT sum(k.points) FROM kept k WHERE (k.member, k.ends) = (g.member, g.ends)), 0) AS points FROM given g) m WHERE points <> 0;
CREATE FUNCTION differs(who text) RETURNS boolean LANGUAGE sql AS $$
	SELECT EXISTS (SELECT ends, points FROM model WHERE member = who EXCEPT SELECT * FROM holds(who, 'parts'))
		OR EXISTS (SELECT * FROM holds(who, 'parts') EXCEPT SELECT ends, points FROM model WHERE member = who)
$$;
CREATE FUNCTION go(times int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	who text;
	have numeric;
	wanted numeric;
	s spent;
	made record;
BEGIN
	FOR i IN 1 .. times LOOP
		who := 'm' || 1 + floor(random() * 12);
		SELECT available INTO have FROM loyalty.balance(who, program => 'parts');
		SELECT * INTO s FROM spent WHERE member = who AND back < points ORDER BY random() LIMIT 1;
		IF s IS NULL OR random() < 0.3 AND have > 0 THEN
			wanted := greatest(0.0001, round((have * random() ^ 2)::numeric, (random() * 4)::int));
			CONTINUE WHEN wanted > have;
			SELECT * INTO made FROM loyalty.spend(who, wanted, program => 'parts');
			INSERT INTO spent VALUES (who, made.entry, wanted, 0);
			INSERT INTO took SELECT who, made.entry, row_number() OVER (ORDER BY l.ends), l.ends, -l.points::numeric
				FROM loyalty.entry e, loyalty.lots(e.lots) l WHERE e.member_id = loyalty.member_id(who, 'parts') AND e.seq = made.entry;
		ELSE
			wanted := CASE WHEN random() < 0.2 THEN s.points - s.back ELSE greatest(0.0001, round(((s.points - s.back) * random() ^ 2)::numeric, (random() * 4)::int)) END;
			CONTINUE WHEN wanted > s.points - s.back;
			SELECT * INTO made FROM loyalty.cancel(who, s.entry, wanted, program => 'parts');
			UPDATE spent SET back = back + wanted WHERE (member, entry) = (who, s.entry);
			IF made.points::numeric <> wanted OR made.balance::numeric <> have + wanted THEN
				INSERT INTO wrong VALUES (i, who, 'points or balance');
			END IF;
			IF random() < 0.2 AND code(format('SELECT loyalty.cancel(%L, %s, %s, program => %L)', who, s.entry, s.points - s.back - wanted + 0.0001, 'parts')) <> 'LY018' THEN
				INSERT INTO wrong VALUES (i, who, 'more than is left');
			END IF;
		END IF;
		IF differs(who) THEN
			INSERT INTO wrong VALUES (i, who, 'purse');
		END IF;
	END LOOP;
END $$;
SELECT go(900) \g /dev/null
SELECT is_empty('SELECT * FROM wrong', 'after every step the purse is what the spends left, each of them reduced to what it took first');
SELECT cmp_ok((SELECT count(*) FROM spent WHERE back > 0 AND back < points), '>', 20::bigint, 'parts have been cancelled');
SELECT cmp_ok((SELECT count(*) FROM took), '>', (SELECT 2 * count(*) FROM spent), 'of spends from many lots');
SELECT sound('verify finds nothing');
SELECT count(loyalty.cancel(member, entry, program => 'parts')) FROM (SELECT * FROM spent WHERE back < points ORDER BY random()) s \g /dev/null
SELECT is_empty($$SELECT * FROM (SELECT DISTINCT member FROM given) m, LATERAL (SELECT ends, points FROM given g WHERE g.member = m.member EXCEPT SELECT * FROM holds(m.member, 'parts')) d$$, 'once all are cancelled every lot is as it was');
SELECT is_empty($$SELECT * FROM (SELECT DISTINCT member FROM given) m, LATERAL (SELECT * FROM holds(m.member, 'parts') EXCEPT SELECT ends, points FROM given g WHERE g.member = m.member) d$$, 'and there is no other');
SELECT set_eq($$SELECT code(format('SELECT loyalty.cancel(%L, %s, 0.0001, program => %L)', member, entry, 'parts')) FROM spent$$, $$VALUES ('LY018')$$, 'and none can be cancelled once more');

-- A spend less what is cancelled of it is a smaller spend
INSERT INTO loyalty.program (name) VALUES ('twin');
CREATE TABLE twin AS SELECT n, 'a' || n AS a, 'b' || n AS b, 1 + (random() * 400)::int AS points FROM generate_series(1, 60) n;
ALTER TABLE twin ADD back int;
UPDATE twin SET back = floor(random() * points);
SELECT count(loyalty.adjust(m, 1 + (n * 7 + i * 31) % 90, expires => current_date + 1 + (n * i) % 11, program => 'twin')) FROM twin, unnest(ARRAY[a, b]) m, generate_series(1, 10) i \g /dev/null
UPDATE twin SET points = (SELECT least(points, available::numeric)::int FROM loyalty.balance(a, program => 'twin'));
UPDATE twin SET back = least(back, points - 1);
SELECT count(loyalty.spend(a, points, program => 'twin')), count(loyalty.spend(b, points - back, program => 'twin')) FROM twin \g /dev/null
SELECT count(loyalty.cancel(a, 11, p, program => 'twin')) FROM twin, unnest(ARRAY[back / 3, back / 4, back - back / 3 - back / 4]) p WHERE p > 0 \g /dev/null
SELECT is_empty($$SELECT * FROM twin WHERE purse(a, 'twin') <> purse(b, 'twin')$$, 'a spend less what is cancelled of it, in three parts, is a smaller spend');

-- Adjustments and transfers, undone in any order, leave what was
CREATE TABLE undone AS SELECT n, 'u' || n AS u, 'v' || n AS v FROM generate_series(1, 40) n;
SELECT count(loyalty.adjust(m, 500, expires => current_date + i * 10, program => 'twin')) FROM undone, unnest(ARRAY[u, v]) m, generate_series(1, 4) i \g /dev/null
CREATE TABLE was AS SELECT n, purse(u, 'twin') AS u, purse(v, 'twin') AS v FROM undone;
SELECT count(loyalty.adjust(u, -(1 + n * 30), program => 'twin')), count(loyalty.adjust(u, n * 3, expires => current_date + 17, program => 'twin')),
	count(loyalty.transfer(u, v, 1 + n * 10, program => 'twin')), count(loyalty.transfer(v, u, 1 + n * 40, program => 'twin')) FROM undone \g /dev/null
SELECT cmp_ok((SELECT count(*) FROM undone JOIN was USING (n) WHERE purse(undone.u, 'twin') <> was.u), '=', 40::bigint, 'lots have moved');
DO $$
DECLARE
	r record;
	left_ numeric;
	part numeric;
BEGIN
	-- the latest first, so that what is taken again is there
	FOR r IN SELECT e.member, e.seq, abs(e.points::numeric) AS points FROM undone, LATERAL (SELECT m.ref AS member, x.seq, x.points FROM loyalty.member m JOIN loyalty.entry x USING (member_id) WHERE m.ref = CASE WHEN n % 2 = 0 THEN u ELSE v END
			AND m.member_id = loyalty.member_id(m.ref, 'twin') AND x.kind = 'transfer') e ORDER BY n, e.seq DESC LOOP
		left_ := r.points;
		WHILE left_ > 0 LOOP
			part := least(left_, 1 + floor(random() * r.points));
			PERFORM loyalty.cancel(r.member, r.seq, part, program => 'twin');
			left_ := left_ - part;
		END LOOP;
	END LOOP;
	FOR r IN SELECT u, s FROM undone, unnest(ARRAY[6, 5]) s LOOP
		PERFORM loyalty.cancel(r.u, r.s, program => 'twin');
	END LOOP;
END $$;
SELECT is_empty($$SELECT * FROM undone JOIN was USING (n) WHERE purse(undone.u, 'twin') <> was.u OR purse(undone.v, 'twin') <> was.v$$, 'adjustments and transfers undone from either side leave every lot as it was');
SELECT sound('verify finds nothing');

-- Life spans that have passed: they lapse at once, or get a new one
INSERT INTO loyalty.program (name, reinstate) VALUES ('lapse', NULL), ('anew', '30 days'), ('ever', 'never'), ('month', 'end of month');
CREATE TABLE over (program text, ends text);
INSERT INTO over VALUES ('anew', (current_date + 30)::text), ('ever', 'infinity'), ('month', (date_trunc('month', current_date) + interval '1 month - 1 day')::date::text);
SELECT count(loyalty.adjust('x', 100, expires => current_date - 5, at => now() - interval '20 days', program => p)), count(loyalty.adjust('x', 100, expires => current_date + 5, at => now() - interval '20 days', program => p)),
	count(loyalty.spend('x', 150, at => now() - interval '10 days', program => p)) FROM unnest('{lapse,anew,ever,month}'::text[]) p \g /dev/null
SELECT is((SELECT (c.points, c.balance)::text FROM loyalty.cancel('x', 3, 80, program => 'lapse') c), '(80,100)', 'what has passed is given back, and lapses');
SELECT is(entries('x', 'lapse', 3), format('refund 80 {30@%s, 50@%s}; expire -30 {-30@%1$s}', current_date - 5, current_date + 5), 'in two entries');
SELECT is((SELECT count(DISTINCT occurred_at) FROM loyalty.entry WHERE member_id = loyalty.member_id('x', 'lapse') AND seq > 3), 1::bigint, 'of the same time');
SELECT is((SELECT balance::numeric FROM loyalty.cancel('x', 3, program => 'lapse')), 100::numeric, 'all of the rest has passed: the balance stays');
SELECT is((SELECT array_agg(available::numeric ORDER BY d) FROM generate_series(0, 11) d, loyalty.balance('x', at => now() - d * interval '1 day', program => 'lapse')), '{100,50,50,50,50,50,50,50,50,50,50,200}'::numeric[], 'what was before stays');
SELECT is((SELECT array_agg(c.balance::numeric ORDER BY p) FROM unnest('{anew,ever,month}'::text[]) p, loyalty.cancel('x', 3, 80, program => p) c), '{130,130,130}'::numeric[], 'it gets a new life');
SELECT is((SELECT array_agg(c.balance::numeric ORDER BY p) FROM unnest('{anew,ever,month}'::text[]) p, loyalty.cancel('x', 3, program => p) c), '{200,200,200}'::numeric[], 'all of it');
SELECT is_empty($$SELECT * FROM over o WHERE purse('x', program) NOT IN (format('{100@%s, 100@%s}', current_date + 5, ends), format('{100@%s, 100@%s}', ends, current_date + 5), format('{200@%s}', ends))$$, 'as the program says');
SELECT is_empty($$SELECT * FROM loyalty.entry WHERE member_id = loyalty.member_id('x', 'ever') AND kind = 'expire' AND seq > 3$$, 'and nothing lapses');
-- a negative adjustment and a transfer, likewise
SELECT count(loyalty.adjust(m, 100, expires => current_date - 5, at => now() - interval '20 days', program => p)), count(loyalty.adjust('y', -40, at => now() - interval '10 days', program => p)),
	count(loyalty.adjust('z', 30, at => now() - interval '20 days', program => p)) FROM unnest('{lapse,anew}'::text[]) p, unnest('{y}'::text[]) m \g /dev/null
SELECT is((SELECT array_agg(c.balance::numeric ORDER BY p DESC) FROM unnest('{lapse,anew}'::text[]) p, loyalty.cancel('y', 2, 10, program => p) c), '{0,10}'::numeric[], 'a negative adjustment');
-- on the last day they live
SELECT count(loyalty.adjust('last', 100, expires => current_date, program => 'anew')), count(loyalty.spend('last', 60, program => 'anew')), count(loyalty.cancel('last', 2, program => 'anew')) \g /dev/null
SELECT is(purse('last', 'anew'), format('{100@%s}', current_date), 'on its last day a span has not passed');

-- Beside a debt: what comes back goes to the lots, and then repays
CREATE TABLE purchase (id int PRIMARY KEY, customer text, total numeric);
INSERT INTO loyalty.program (name) VALUES ('debt');
INSERT INTO loyalty.rule (program, name, award) VALUES ('debt', 'base', '1 per 1');
SELECT loyalty.attach('purchase', member => 'customer', amount => 'total', program => 'debt') \g /dev/null
INSERT INTO purchase VALUES (1, 'd', 100);
SELECT loyalty.spend('d', 80, program => 'debt') \g /dev/null
DELETE FROM purchase;
SELECT is((SELECT (available, debt)::text FROM loyalty.balance('d', program => 'debt')), '(0,80)', 'a debt');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('d', 2, 30, program => 'debt')), '(30,-50)', 'beside it a part is given back');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('d', 2, program => 'debt')), '(50,0)', 'and the rest');
SELECT is(purse('d', 'debt'), '{}', 'which repays it');
SELECT is(entries('d', 'debt', 3), 'refund 30 {30@infinity}; refund 50 {50@infinity}', 'without a last day it is one lot with the debt');
SELECT loyalty.adjust('e', 100, expires => current_date + 9, program => 'debt') \g /dev/null
INSERT INTO purchase VALUES (2, 'e', 10);
SELECT loyalty.spend('e', 105, program => 'debt') \g /dev/null
DELETE FROM purchase;
SELECT is(purse('e', 'debt'), '{-5@infinity}', 'another debt');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('e', 3, 50, program => 'debt')), '(50,45)', 'a part is given back');
SELECT is(entries('e', 'debt', 4), format('refund 50 {45@%s, 5@infinity}', current_date + 9), 'the longest-lived repays it by itself');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('e', 3, program => 'debt')), '(55,100)', 'and then the rest');
-- netted with a lot that has an end
SELECT loyalty.adjust('f', 100, expires => current_date + 9, program => 'debt'), loyalty.spend('f', 60, program => 'debt') \g /dev/null
INSERT INTO purchase VALUES (3, 'f', 10);
SELECT loyalty.spend('f', 50, program => 'debt') \g /dev/null
DELETE FROM purchase;
SELECT loyalty.cancel('f', 2, 25, program => 'debt') \g /dev/null
SELECT is(entries('f', 'debt', 5), format('refund 25 {25@%1$s}; release 0 {-10@%1$s, 10@infinity}', current_date + 9), 'a debt is repaid by an entry of its own');
SELECT is((SELECT (repeated, balance)::text FROM loyalty.cancel('f', 2, 5, key => 'k', program => 'debt')), (SELECT (false, balance)::text FROM loyalty.cancel('f', 2, 5, key => 'k', program => 'debt')), 'a repetition answers the same balance');
SELECT sound('verify finds nothing in debts');

-- Inactivity: giving back is no activity, and what comes back to somebody inactive lapses or gets a life
INSERT INTO loyalty.program (name, expiry, reinstate) VALUES ('idle', 'inactive 30 days', NULL), ('idle anew', 'inactive 30 days', '10 days');
SELECT count(loyalty.enroll('i', at => now() - interval '60 days', program => p)), count(loyalty.adjust('i', 100, at => now() - interval '60 days', program => p)), count(loyalty.spend('i', 70, at => now() - interval '50 days', program => p))
	FROM unnest('{idle,"idle anew"}'::text[]) p \g /dev/null
CREATE TABLE active AS SELECT member_id, last_activity FROM loyalty.member WHERE ref = 'i';
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('i', 2, 10, at => now() - interval '45 days', program => 'idle')), '(10,40)', 'as long as he is active, it is there');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('i', 2, 20, program => 'idle')), '(20,0)', 'later it lapses');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('i', 2, 20, program => 'idle anew')), '(20,20)', 'or gets a new life');
SELECT is(purse('i', 'idle anew'), format('{20@%s}', current_date + 10), 'as the program says');
SELECT set_eq($$SELECT member_id, last_activity FROM loyalty.member WHERE ref = 'i'$$, 'SELECT * FROM active', 'giving back is no activity');

-- The past: any balance between, and nothing is taken again that was not there
INSERT INTO loyalty.program (name) VALUES ('past');
SELECT loyalty.adjust('p', 100, at => now() - interval '100 days', program => 'past'), loyalty.spend('p', 60, at => now() - interval '80 days', program => 'past'),
	loyalty.cancel('p', 2, 10, at => now() - interval '40 days', program => 'past'), loyalty.cancel('p', 2, 20, at => now() - interval '60 days', program => 'past') \g /dev/null
SELECT is((SELECT array_agg(available::numeric ORDER BY d DESC) FROM unnest(ARRAY[90, 70, 50, 30, 0]) d, loyalty.balance('p', at => now() - d * interval '1 day', program => 'past')), '{100,40,60,70,70}'::numeric[], 'the balance at every time between');
SELECT is(code($$SELECT loyalty.cancel('p', 1, 41, at => now() - interval '70 days', program => 'past')$$), 'LY001', 'what was spent then cannot be taken again then');
SELECT is(code($$SELECT loyalty.cancel('p', 1, 40, at => now() - interval '70 days', program => 'past')$$), '00000', 'what was there can');
SELECT is(code($$SELECT loyalty.cancel('p', 1, 70, program => 'past')$$), '00000', 'and now what is there now');
SELECT is(code($$SELECT loyalty.cancel('p', 1, 71, program => 'past')$$), 'LY001', 'but no more');

-- An event gives back to its limits, and leaves the tier
INSERT INTO loyalty.rule (program, name, event, award, member_cap, cap_period) VALUES ('past', 'visit', 'visit', '5', 10, 'ever');
SELECT loyalty.record('w', 'visit', key => k, program => 'past') FROM unnest('{a,b,c}'::text[]) k \g /dev/null
SELECT is((SELECT available::numeric FROM loyalty.balance('w', program => 'past')), 10::numeric, 'a cap');
SELECT loyalty.cancel('w', 1, program => 'past') \g /dev/null
SELECT is((SELECT points::numeric FROM loyalty.record('w', 'visit', key => 'd', program => 'past')), 5::numeric, 'to which a cancelled event gives back');
SELECT is((SELECT lifetime::numeric FROM loyalty.balance('w', program => 'past')), 10::numeric, 'and lifetime points');
-- one that awaits confirmation
INSERT INTO loyalty.program (name) VALUES ('await');
INSERT INTO loyalty.rule (program, name, event, award, confirm) VALUES ('await', 'visit', 'visit', '10', true);
SELECT loyalty.record('w', 'visit', key => 'a', program => 'await'), loyalty.record('w', 'visit', key => 'b', program => 'await'), loyalty.accept('w', 2, program => 'await') \g /dev/null
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('w', 1, program => 'await')), '(0,10)', 'what awaits confirmation gives nothing back');
SELECT is(code($$SELECT loyalty.accept('w', 1, program => 'await')$$), 'LY014', 'and awaits it no more');
SELECT is(code($$SELECT loyalty.cancel('w', 1, program => 'await')$$), 'LY018', 'nor can be cancelled again');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('w', 2, program => 'await')), '(-10,0)', 'what was accepted is taken again');
-- in the past: only where there are debts more than was there then
INSERT INTO loyalty.program (name, clawback) VALUES ('past none', 'none'), ('past available', 'available'), ('past debt', 'debt');
INSERT INTO loyalty.rule (program, name, event, award) SELECT name, 'visit', 'visit', '100' FROM loyalty.program WHERE name LIKE 'past %';
SELECT loyalty.record('v', 'visit', at => now() - interval '90 days', program => name), loyalty.spend('v', 60, at => now() - interval '50 days', program => name), loyalty.adjust('v', 500, at => now() - interval '10 days', program => name)
	FROM loyalty.program WHERE name LIKE 'past %' \g /dev/null
SELECT is((SELECT string_agg(code(format('SELECT loyalty.cancel(%L, 1, at => %L, program => %L)', 'v', now() - d * interval '1 day', name)), ',' ORDER BY name, d) FROM loyalty.program, unnest('{5,20,70}'::int[]) d WHERE name LIKE 'past %'),
	'00000,LY001,LY001,00000,00000,00000,00000,LY001,LY001', 'in the past an event is cancelled as long as that takes nothing that was not there');
SELECT loyalty.cancel('v', 1, at => now() - interval '70 days', program => 'past debt') \g /dev/null
SELECT is((SELECT array_agg(available::numeric - debt::numeric ORDER BY d DESC) FROM unnest('{80,60,30,0}'::int[]) d, loyalty.balance('v', at => now() - d * interval '1 day', program => 'past debt')), '{100,0,-60,440}'::numeric[], 'or the program makes debts');
SELECT sound('verify finds nothing in the end');
SELECT * FROM finish();
ROLLBACK;
