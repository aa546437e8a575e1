-- transfer: nothing is lost or made by it, whatever goes round; what is refused; verify finds what was changed by hand
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
-- the same, and an accepted one stands
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN '00000';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE;
END $$;
-- what all members of a program have together, by life span
CREATE FUNCTION held(program text) RETURNS text LANGUAGE sql AS $$
	SELECT loyalty.sum(m.purse)::text FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE p.name = held.program
$$;
CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is_empty('SELECT * FROM loyalty.verify()', description)
$$;

-- Ten members with many lots each: lapsed, open, without an end, pending, and some in debt
INSERT INTO loyalty.program (name, expiry, pending) SELECT n, '12 months', '30 days' FROM unnest('{round,anew}'::text[]) n;
UPDATE loyalty.program SET transfer_policy = 'restart' WHERE name = 'anew';
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program;
CREATE TABLE purchase (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('purchase', member => 'customer', amount => 'total', at => 'at', program => p) FROM unnest('{round,anew}'::text[]) p \g /dev/null
SELECT setseed(0.4711) \g /dev/null
SELECT count(loyalty.adjust('m' || m, 1 + floor(random() * 4000)::numeric / 8, expires => (ARRAY['infinity'::date, current_date + 1 + (random() * 900)::int, current_date - 1 - (random() * 20)::int])[1 + (random() * 2.2)::int],
	at => now() - interval '30 days', program => p)) FROM generate_series(1, 10) m, generate_series(1, 25), unnest('{round,anew}'::text[]) p \g /dev/null
INSERT INTO purchase SELECT n, 'm' || 1 + n % 10, floor(random() * 300), now() - random() * interval '60 days' FROM generate_series(1, 60) n;

CREATE TABLE state AS SELECT p, 'm' || m AS member, b.* FROM generate_series(1, 10) m, unnest('{round,anew}'::text[]) p, loyalty.balance('m' || m, program => p) b;
SELECT cmp_ok((SELECT count(*) FROM state WHERE pending OPERATOR(loyalty.>) 0 AND available OPERATOR(loyalty.>) 0), '>', 15::bigint, 'points are available and pending');
SELECT cmp_ok((SELECT count(*) FROM loyalty.member, LATERAL loyalty.lots(purse) l WHERE l.ends < current_date), '>', 30::bigint, 'and lapsed');
-- all that is available can be given, and neither what is pending nor what has lapsed
SELECT is_empty($$SELECT * FROM state, code(format('SELECT loyalty.transfer(%L, %L, %s, program => %L)', member, 'x', available, p)) c WHERE available OPERATOR(loyalty.>) 0 AND c <> '00000'$$, 'all that is available');
SELECT is_empty($$SELECT * FROM state, code(format('SELECT loyalty.transfer(%L, %L, %s, program => %L)', member, 'x', available::numeric + 0.0001, p)) c WHERE c <> 'LY001'$$, 'and no more');

-- Round and round
CALL loyalty.maintain();
CREATE TABLE before AS SELECT p, held(p), loyalty.total(held(p)::loyalty.purse)::numeric AS points FROM unnest('{round,anew}'::text[]) p;
CREATE TABLE lives AS SELECT m.member_id, lifetime, last_activity, tally::text, tier FROM loyalty.member m;
CREATE FUNCTION go_round(times int, p text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	have numeric;
	giver text;
	receiver text;
BEGIN
	FOR i IN 1 .. times LOOP
		giver := 'm' || 1 + floor(random() * 10);
		receiver := 'm' || 1 + floor(random() * 10);
		SELECT available INTO have FROM loyalty.balance(giver, program => p);
		CONTINUE WHEN have = 0;
		RETURN NEXT try(format('SELECT loyalty.transfer(%L, %L, %s, program => %L, key => %L)', giver, receiver,
			CASE WHEN random() < 0.1 THEN have ELSE least(have, round((have * random() ^ 3 + 0.0001)::numeric, 4)) END, p, CASE WHEN random() < 0.3 THEN i::text END));
	END LOOP;
END $$;
CREATE TABLE code AS SELECT go_round(1500, 'round') AS code;
SELECT set_eq('SELECT DISTINCT code FROM code', $$VALUES ('00000'), ('22023')$$, 'what is there is given, but by nobody to himself');
SELECT cmp_ok((SELECT count(*) FROM code WHERE code = '00000'), '>', 1200::bigint, 'most of it');
SELECT is(held('round'), (SELECT held FROM before WHERE p = 'round'), 'all life spans hold together what they held');
CREATE TABLE code_anew AS SELECT go_round(300, 'anew') AS code;
SELECT is(loyalty.total(held('anew')::loyalty.purse)::numeric, (SELECT points FROM before WHERE p = 'anew'), 'and under "restart" all of them together');
SELECT is_empty($$SELECT l.* FROM loyalty.entry e, LATERAL loyalty.lots(e.lots) l WHERE e.kind = 'transfer' AND e.points OPERATOR(loyalty.>) 0 AND l.ends <> current_date + interval '12 months'
	AND e.program_id = (SELECT program_id FROM loyalty.program WHERE name = 'anew')$$, 'where what arrives ends as if it were given now');
SELECT set_eq('SELECT member_id, lifetime, last_activity, tally::text, tier FROM loyalty.member', 'SELECT * FROM lives', 'lifetime, activity and tiers stay');
SELECT is_empty($$SELECT * FROM loyalty.entry e JOIN loyalty.entry o ON o.member_id = (e.context ->> 'to_member_id')::bigint AND o.seq = (e.context ->> 'to_entry')::bigint
	WHERE e.program_id = (SELECT program_id FROM loyalty.program WHERE name = 'round') AND e.lots OPERATOR(loyalty.<>) (OPERATOR(loyalty.-) o.lots)$$, 'each lot arrives as it left') ;
SELECT is_empty($$SELECT * FROM loyalty.member, loyalty.lots(purse) l WHERE l.points OPERATOR(loyalty.<) 0$$, 'nobody is in debt by it');
SELECT sound('verify finds nothing');

-- Debts are repaid by it: together they have what they had
CREATE TABLE points AS SELECT loyalty.total(held('round')::loyalty.purse)::numeric AS points;
INSERT INTO purchase SELECT 100 + n, 'd' || n, 500, now() - interval '40 days' FROM generate_series(1, 5) n;
SELECT count(loyalty.transfer('d' || n, 'm1', 500, program => 'round')) FROM generate_series(1, 5) n \g /dev/null
DELETE FROM purchase WHERE id > 100;
SELECT is((SELECT sum(debt::numeric) FROM generate_series(1, 5) n, loyalty.balance('d' || n, program => 'round')), 2500::numeric, 'debts');
SELECT is(loyalty.total(held('round')::loyalty.purse)::numeric, (SELECT points FROM points), 'of what others have');
SELECT count(loyalty.transfer('m1', 'd' || n, 150 * n, program => 'round')) FROM generate_series(1, 5) n \g /dev/null
SELECT is((SELECT array_agg(available::numeric - debt::numeric ORDER BY n) FROM generate_series(1, 5) n, loyalty.balance('d' || n, program => 'round')), '{-350,-200,-50,100,250}'::numeric[], 'are repaid first');
SELECT is(loyalty.total(held('round')::loyalty.purse)::numeric, (SELECT points FROM points), 'and nothing is lost');
SELECT sound('verify finds nothing in debts');

-- In the past as many can be given as can be spent
CREATE TABLE past AS SELECT 'm' || 1 + n % 10 AS member, p, now() - random() ^ 2 * interval '70 days' AS at, points FROM generate_series(1, 150) n, unnest('{round,anew}'::text[]) p,
	LATERAL (SELECT round((random() ^ 2 * 1000)::numeric + 0.01, 2) AS points WHERE n > 0) r;
CREATE TABLE past_code AS SELECT past.*, code(format('SELECT loyalty.spend(%L, %s, at => %L, program => %L)', member, points, at, p)) AS spent,
	code(format('SELECT loyalty.transfer(%L, %L, %s, at => %L, program => %L)', member, 'x', points, at, p)) AS given FROM past;
SELECT is_empty('SELECT * FROM past_code WHERE spent <> given', 'in the past as many can be given as can be spent');
SELECT cmp_ok((SELECT least(count(*) FILTER (WHERE given = '00000'), count(*) FILTER (WHERE given = 'LY001')) FROM past_code), '>', 20::bigint, 'both have been met');
SELECT count(loyalty.transfer(member, 'late', points, at => at, program => p)) FROM (SELECT DISTINCT ON (member, p) * FROM past_code WHERE given = '00000' AND at < now() - interval '1 day') s \g /dev/null
SELECT sound('verify finds nothing in the past');
SELECT is_empty($$SELECT * FROM past, loyalty.balance(member, at => at, program => p) b WHERE b.debt OPERATOR(loyalty.>) 0 AND member <> 'm1'$$, 'nobody was in debt then');

-- Caps: by brute force
INSERT INTO loyalty.program (name, time_zone, transfer_cap, transfer_cap_period) SELECT period, 'America/New_York', 100, period FROM unnest('{day,week,month,year,ever}'::text[]) period;
SELECT count(loyalty.adjust('g' || n, 100000, at => '2023-01-01', program => p)) FROM unnest('{day,week,month,year,ever}'::text[]) p, generate_series(1, 3) n \g /dev/null
CREATE TABLE given (p text, member text, at timestamptz, points numeric);
CREATE TABLE cap_code (p text, expected text, got text);
CREATE FUNCTION give_capped(times int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	r record;
	before numeric;
	got text;
BEGIN
	FOR i IN 1 .. times LOOP
		SELECT (ARRAY['day', 'week', 'month', 'year', 'ever'])[1 + floor(random() * 5)::int] AS p, 'g' || 1 + floor(random() * 3) AS member, 'g' || 1 + floor(random() * 4) AS receiver,
			'2023-12-20'::timestamptz + floor(random() * 1000) * interval '1 hour' AS at, floor(random() * 300) / 4 + 0.25 AS points INTO r;
		CONTINUE WHEN r.member = r.receiver;
		SELECT coalesce(sum(g.points), 0) INTO before FROM given g WHERE (g.p, g.member) = (r.p, r.member)
			AND (r.p = 'ever' OR date_trunc(nullif(r.p, 'ever'), g.at AT TIME ZONE 'America/New_York') = date_trunc(nullif(r.p, 'ever'), r.at AT TIME ZONE 'America/New_York'));
		got := try(format('SELECT loyalty.transfer(%L, %L, %s, at => %L, program => %L)', r.member, r.receiver, r.points, r.at, r.p));
		INSERT INTO cap_code VALUES (r.p, CASE WHEN before + r.points <= 100 THEN '00000' ELSE 'LY015' END, got);
		IF got = '00000' THEN
			INSERT INTO given SELECT r.p, r.member, r.at, r.points;
		END IF;
	END LOOP;
END $$;
SELECT give_capped(800) \g /dev/null
SELECT is_empty('SELECT * FROM cap_code WHERE expected <> got', 'caps by day, week, month, year and ever');
SELECT is((SELECT count(DISTINCT (p, got)) FROM cap_code), 10::bigint, 'all have been reached');
SELECT sound('verify finds nothing in them');

-- verify finds what was changed by hand
INSERT INTO loyalty.program (name) VALUES ('tamper');
SELECT loyalty.adjust(m, 100, program => 'tamper') FROM unnest('{ann,bob,cid}'::text[]) m \g /dev/null
SELECT loyalty.transfer('ann', 'bob', 10, program => 'tamper'), loyalty.transfer('bob', 'cid', 20, key => 'k', program => 'tamper') \g /dev/null
CREATE FUNCTION finds(changes text, description text, VARIADIC lines text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text[];
BEGIN
	BEGIN
		EXECUTE replace(replace(replace(changes, '<ann>', loyalty.member_id('ann', 'tamper')::text), '<bob>', loyalty.member_id('bob', 'tamper')::text), '<cid>', loyalty.member_id('cid', 'tamper')::text);
		SELECT coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}') INTO found
		FROM (SELECT regexp_replace(regexp_replace(regexp_replace(concat_ws(' | ', member, problem, expected, actual), loyalty.member_id('ann', 'tamper')::text, '<ann>', 'g'),
			loyalty.member_id('bob', 'tamper')::text, '<bob>', 'g'), loyalty.member_id('cid', 'tamper')::text, '<cid>', 'g') AS f FROM loyalty.verify('tamper') WHERE invariant = 'I6 transfers') v;
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN is(found, lines, description);
	END;
END $$;
SET session_replication_role = replica;
SELECT finds('SELECT 1', 'nothing', VARIADIC '{}');
SELECT finds('DELETE FROM loyalty.entry WHERE member_id = <bob> AND seq = 2', 'what arrived is gone', 'ann | points given by entry 2 are not those that were received | 10 | 0');
SELECT finds('DELETE FROM loyalty.entry WHERE member_id = <ann> AND seq = 2', 'what was given is gone', 'bob | points received by entry 2 were given by nobody | 0 | 10');
SELECT finds('DELETE FROM loyalty.entry WHERE member_id = <ann>', 'and so is the giver', 'bob | points received by entry 2 were given by nobody | 0 | 10');
SELECT finds($$DELETE FROM loyalty.entry WHERE member_id = <cid>; DELETE FROM loyalty.member WHERE ref = 'cid'$$, 'and the receiver', 'bob | points given by entry 3 are not those that were received | 20 | 0');
SELECT finds($$UPDATE loyalty.entry SET points = 11, lots = '{11@infinity}' WHERE member_id = <bob> AND seq = 2$$, 'more arrived', 'ann | points given by entry 2 are not those that were received | 10 | 11');
SELECT finds($$UPDATE loyalty.entry SET points = -9, lots = '{-9@infinity}' WHERE member_id = <ann> AND seq = 2$$, 'less was given', 'ann | points given by entry 2 are not those that were received | 9 | 10');
SELECT finds($$UPDATE loyalty.entry SET points = -points WHERE kind = 'transfer' AND (member_id, seq) IN ((<ann>, 2), (<bob>, 2))$$, 'the other way round', 'ann | points given by entry 2 are none | below 0 | 10');
SELECT finds($$UPDATE loyalty.entry SET kind = 'adjust' WHERE member_id = <bob> AND seq = 2$$, 'it is no transfer any more', 'ann | points given by entry 2 are not those that were received | 10 | 0');
SELECT finds($$UPDATE loyalty.entry SET source_key = 'transfer from <ann>#9' WHERE member_id = <bob> AND seq = 2$$, 'from another entry',
	'ann | points given by entry 2 are not those that were received | 10 | 0', 'bob | points received by entry 2 were given by nobody | 0 | 10');
SELECT finds($$UPDATE loyalty.entry SET source_key = 'transfer from nobody' WHERE member_id = <bob> AND seq = 2$$, 'from none',
	'ann | points given by entry 2 are not those that were received | 10 | 0', 'bob | points received by entry 2 were given by nobody | 0 | 10');
SELECT finds($$INSERT INTO loyalty.entry SELECT (jsonb_populate_record(e, jsonb_build_object('member_id', <cid>, 'seq', 3))).* FROM loyalty.entry e WHERE member_id = <bob> AND seq = 2$$, 'it arrived twice',
	'ann | entry 2 does not name the entry that received its points | member_id <cid>, entry 3 | member_id <bob>, entry 2', 'ann | points given by entry 2 are not those that were received | 10 | 20',
	'ann | points given by entry 2 were received more than once | 1 | 2');
SELECT finds($$UPDATE loyalty.entry SET context = jsonb_set(context, '{to_member_id}', '7') WHERE member_id = <bob> AND seq = 3$$, 'it names another member',
	'bob | entry 3 does not name the entry that received its points | member_id <cid>, entry 2 | member_id 7, entry 2');
SELECT finds($$UPDATE loyalty.entry SET context = '{"from_member_id": "x"}' WHERE member_id = <cid> AND seq = 2$$, 'or nobody',
	'cid | entry 2 does not name the entry that gave its points | member_id <bob>, entry 3 | member_id x, entry ');
SELECT finds($$UPDATE loyalty.entry SET member_id = <ann> WHERE member_id = <bob> AND seq = 2; UPDATE loyalty.entry SET seq = 3, context = NULL WHERE member_id = <ann> AND points OPERATOR(loyalty.=) 10; UPDATE loyalty.entry SET context = NULL WHERE member_id = <ann>$$, 'the giver got it back',
	'ann | points given by entry 2 were received by the giver | another member | entry 3');
SELECT finds($$UPDATE loyalty.entry SET context = NULL WHERE kind = 'transfer'$$, 'a person who was forgotten is no violation', VARIADIC '{}');
RESET session_replication_role;
-- and the key still tells whether it was the same transfer
SET session_replication_role = replica;
UPDATE loyalty.entry SET context = NULL WHERE kind = 'transfer' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'tamper');
RESET session_replication_role;
SELECT is((SELECT repeated FROM loyalty.transfer('bob', 'cid', 20, key => 'k', program => 'tamper')), true, 'a key is known without it');
SELECT is(code($$SELECT loyalty.transfer('bob', 'ann', 20, key => 'k', program => 'tamper')$$), 'LY006', 'and so is whom it was for');

SELECT * FROM finish();
ROLLBACK;
