-- time: what falls due is written down, once, on the day it fell due, and changes no reading
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = iso;
SET LOCAL client_min_messages = warning;
SELECT no_plan();

-- Last days, by hand: ends of months across February, quarters, half-years, yearly dates
CREATE TABLE rule_of (expiry text, first date, last date);
INSERT INTO rule_of VALUES
	('1 month', '2023-01-31', '2023-02-28'), ('1 month', '2024-01-31', '2024-02-29'), ('1 month', '2024-02-29', '2024-03-29'), ('1 month', '2024-01-30', '2024-02-29'),
	('12 months', '2024-02-29', '2025-02-28'), ('1 year', '2023-02-28', '2024-02-28'), ('4 years', '2020-02-29', '2024-02-29'), ('1 day', '2024-02-28', '2024-02-29'), ('1 day', '2023-02-28', '2023-03-01'),
	('2 weeks', '2024-02-20', '2024-03-05'), ('1 month 1 day', '2024-01-31', '2024-03-01'),
	('1 month end of month', '2024-01-31', '2024-02-29'), ('1 month end of month', '2023-01-01', '2023-02-28'), ('12 months end of month', '2023-02-10', '2024-02-29'),
	('end of month', '2024-02-01', '2024-02-29'), ('end of month', '2023-02-28', '2023-02-28'), ('end of month', '2024-04-30', '2024-04-30'),
	('end of quarter', '2024-01-01', '2024-03-31'), ('end of quarter', '2024-03-31', '2024-03-31'), ('end of quarter', '2024-04-01', '2024-06-30'), ('3 months end of quarter', '2023-11-30', '2024-03-31'),
	('end of half-year', '2024-06-30', '2024-06-30'), ('end of half-year', '2024-07-01', '2024-12-31'), ('6 months end of half-year', '2024-01-15', '2024-12-31'), ('6 months end of half-year', '2023-12-31', '2024-06-30'), ('6 months end of half-year', '2023-07-01', '2024-06-30'),
	('1 month end of half-year', '2024-05-31', '2024-06-30'), ('1 month end of half-year', '2024-06-01', '2024-12-31'), ('1 month end of quarter', '2024-02-29', '2024-03-31'), ('1 month end of quarter', '2024-08-31', '2024-09-30'),
	('end of year', '2024-01-01', '2024-12-31'), ('end of year', '2023-12-31', '2023-12-31'), ('2 months end of year', '2023-11-30', '2024-12-31'),
	('03-31', '2024-03-31', '2024-03-31'), ('03-31', '2024-04-01', '2025-03-31'), ('03-31 after 1 year', '2023-03-31', '2024-03-31'), ('03-31 after 1 year', '2023-04-01', '2025-03-31'),
	('12-31', '2024-12-31', '2024-12-31'), ('02-28', '2024-02-29', '2025-02-28'), ('02-28 after 2 months', '2023-12-28', '2024-02-28'), ('02-28 after 2 months', '2023-12-31', '2025-02-28'), ('02-29', '2023-03-01', '2024-02-29'), ('02-29', '2024-03-01', '2025-02-28'), ('02-28 after 2 months', '2024-01-31', '2025-02-28'),
	('24 months end of month', '2022-02-01', '2024-02-29'), ('1 month end of month', '2023-12-31', '2024-01-31'), ('end of month', '2024-12-31', '2024-12-31');
-- Zones ahead and behind, with clocks that change, at midnight too
CREATE TABLE zone (name text);
INSERT INTO zone VALUES ('UTC'), ('Pacific/Kiritimati'), ('Pacific/Pago_Pago'), ('Europe/Berlin'), ('America/Havana');

-- One program each, one member a day, who earns in the first and in the last instant of that day
INSERT INTO loyalty.program (name, expiry, time_zone) SELECT DISTINCT expiry || ' in ' || name, expiry::loyalty.expiry, name FROM rule_of, zone;
CREATE TABLE lot AS SELECT r.*, z.name AS zone, expiry || ' in ' || name AS program, first::text AS member,
	first::timestamp AT TIME ZONE name AS opens, (last + 1)::timestamp AT TIME ZONE name AS lapses FROM rule_of r, zone z;
SELECT count(loyalty.adjust(member, 1, at => opens, program => program)), count(loyalty.adjust(member, 1, at => (first + 1)::timestamp AT TIME ZONE zone - interval '1 microsecond', program => program)) FROM lot \g /dev/null
SELECT is_empty($$SELECT l.* FROM lot l, loyalty.lots(member, at => lapses - interval '1 microsecond', program => program) b WHERE b.ends <> l.last OR b.points::numeric <> 2$$, 'last days are as by hand');
SELECT is_empty($$SELECT l.*, b.available FROM lot l, loyalty.balance(member, at => lapses - interval '1 microsecond', program => program) b WHERE b.available::numeric <> 2$$, 'on the last day they are there');
SELECT is_empty($$SELECT l.*, b.available FROM lot l, loyalty.balance(member, at => lapses, program => program) b WHERE b.available::numeric <> 0$$, 'a moment later they are not');

-- Maintenance instant by instant: nothing on the last day, all a second later
CREATE TABLE seen (program text, member text, last date, early bigint, late bigint);
DO $$
DECLARE
	l record;
BEGIN
	FOR l IN SELECT DISTINCT program, lapses FROM lot ORDER BY lapses, program LOOP
		CALL loyalty.maintain(l.lapses - interval '1 second', l.program);
		INSERT INTO seen SELECT o.program, o.member, o.last, (SELECT count(*) FROM loyalty.entry
			WHERE member_id = loyalty.member_id(o.member, o.program) AND kind = 'expire') FROM lot o WHERE (o.program, o.lapses) = (l.program, l.lapses);
		CALL loyalty.maintain(l.lapses, l.program);
		UPDATE seen SET late = (SELECT count(*) FROM loyalty.entry WHERE member_id = loyalty.member_id(seen.member, seen.program)
			AND kind = 'expire' AND occurred_at = l.lapses AND points::numeric = -2) WHERE seen.program = l.program AND late IS NULL;
	END LOOP;
END $$;
SELECT is((SELECT count(*) FROM seen), (SELECT count(*) FROM lot), 'all lots have been seen');
SELECT is_empty($$SELECT * FROM seen WHERE early <> 0$$, 'on the last day nothing is written');
SELECT is_empty($$SELECT * FROM seen WHERE late <> 1$$, 'a second later one entry is, dated there');
SELECT is((SELECT count(*) FROM loyalty.entry WHERE kind = 'expire'), (SELECT count(*) FROM lot), 'and only once');
SELECT is_empty($$SELECT ref FROM loyalty.member WHERE next_expiry IS NOT NULL$$, 'nobody is left to be looked at');

-- Days, with the instants of their beginning and end in UTC by hand: ahead and behind, of 23 and 25 hours, without
-- a midnight (Havana in March), with two of them (Havana in November)
CREATE TABLE day_of (zone text, day date, begins timestamptz, ends timestamptz);
INSERT INTO day_of VALUES
	('Pacific/Kiritimati', '2024-02-29', '2024-02-28 10:00Z', '2024-02-29 10:00Z'), ('Pacific/Pago_Pago', '2024-02-29', '2024-02-29 11:00Z', '2024-03-01 11:00Z'),
	('Asia/Kathmandu', '2023-12-31', '2023-12-30 18:15Z', '2023-12-31 18:15Z'), ('America/St_Johns', '2023-12-31', '2023-12-31 03:30Z', '2024-01-01 03:30Z'),
	('Europe/Berlin', '2024-03-30', '2024-03-29 23:00Z', '2024-03-30 23:00Z'), ('Europe/Berlin', '2024-03-31', '2024-03-30 23:00Z', '2024-03-31 22:00Z'),
	('Europe/Berlin', '2024-10-27', '2024-10-26 22:00Z', '2024-10-27 23:00Z'), ('Europe/Berlin', '2024-10-28', '2024-10-27 23:00Z', '2024-10-28 23:00Z'),
	('America/Havana', '2024-03-09', '2024-03-09 05:00Z', '2024-03-10 05:00Z'), ('America/Havana', '2024-03-10', '2024-03-10 05:00Z', '2024-03-11 04:00Z'),
	('America/Havana', '2024-11-02', '2024-11-02 04:00Z', '2024-11-03 04:00Z'), ('America/Havana', '2024-11-03', '2024-11-03 04:00Z', '2024-11-04 05:00Z');
INSERT INTO loyalty.program (name, expiry, time_zone) SELECT DISTINCT 'day in ' || zone, '1 day'::loyalty.expiry, zone FROM day_of;
CREATE TABLE given AS SELECT d.*, 'day in ' || zone AS program, 'd' || day || g AS member, at, zone_day FROM day_of d,
	LATERAL (VALUES ('before', begins - interval '1 second', day - 1), ('first', begins, day), ('last', ends - interval '1 second', day), ('after', ends, day + 1)) g(g, at, zone_day);
SELECT count(loyalty.adjust(member, 1, at => at, program => program)) FROM given \g /dev/null
SELECT is_empty($$SELECT g.*, l.ends FROM given g, loyalty.lots(member, at => at, program => program) l WHERE l.ends <> zone_day + 1$$, 'a day begins and ends where the clocks say');
SELECT count(loyalty.adjust('x' || day, 1, expires => day, at => begins, program => 'day in ' || zone)) FROM day_of \g /dev/null
SELECT is_empty($$SELECT d.* FROM day_of d, loyalty.balance('x' || day, at => ends - interval '1 second', program => 'day in ' || zone) b WHERE b.available::numeric <> 1 OR b.next_expiry <> day$$, 'a second before it ends points of that last day are there');
SELECT is_empty($$SELECT d.* FROM day_of d, loyalty.balance('x' || day, at => ends, program => 'day in ' || zone) b WHERE b.available::numeric <> 0$$, 'as it ends they are not');
CREATE TABLE noted (zone text, day date, early bigint, late bigint);
DO $$
DECLARE
	d record;
BEGIN
	FOR d IN SELECT *, 'day in ' || zone AS program, loyalty.member_id('x' || day, 'day in ' || zone) AS id FROM day_of ORDER BY ends LOOP
		CALL loyalty.maintain(d.ends - interval '1 second', d.program);
		INSERT INTO noted SELECT d.zone, d.day, count(*) FROM loyalty.entry WHERE member_id = d.id AND kind = 'expire';
		CALL loyalty.maintain(d.ends, d.program);
		UPDATE noted SET late = (SELECT count(*) FROM loyalty.entry WHERE member_id = d.id AND kind = 'expire' AND occurred_at = d.ends) WHERE (zone, day) = (d.zone, d.day);
	END LOOP;
END $$;
SELECT bag_eq('SELECT * FROM noted', 'SELECT zone, day, 0::bigint AS early, 1::bigint AS late FROM day_of', 'maintenance writes it down as it ends, not a second before');
CALL loyalty.maintain();

-- Inactivity is renewed by earning and by redeeming, not by an adjustment
INSERT INTO loyalty.program (name, expiry, time_zone) VALUES ('idle', 'inactive 3 months', 'Asia/Kuala_Lumpur');
INSERT INTO loyalty.rule (program, name, award) VALUES ('idle', 'base', '1 per 1');
CREATE TABLE purchase (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('purchase', member => 'customer', amount => 'total', at => 'at', program => 'idle') \g /dev/null
INSERT INTO purchase VALUES (1, 'ian', 10, '2024-01-31 12:00+08'), (2, 'ida', 10, '2023-11-30 12:00+08');
CALL loyalty.maintain('2024-02-29 23:59:59+08', 'idle');
SELECT is((SELECT members_known FROM loyalty.maintenance WHERE program = 'idle'), NULL, 'a pass within a transaction leaves no record');
SELECT is((SELECT string_agg(ref || ' ' || next_expiry, ', ' ORDER BY ref) FROM loyalty.member WHERE next_expiry IS NOT NULL), 'ian 2024-04-30, ida 2024-02-29', 'the end is the last day of inactivity');
INSERT INTO purchase VALUES (3, 'ian', 10, '2024-04-30 23:59:59+08');
SELECT loyalty.adjust('ian', 1, at => '2024-06-01', program => 'idle') \g /dev/null
SELECT is((SELECT next_expiry FROM loyalty.member WHERE ref = 'ian'), '2024-04-30', 'postings do not raise it');
CALL loyalty.maintain('2024-05-01 00:00+08', 'idle');
SELECT is((SELECT string_agg(ref || ' ' || next_expiry, ', ' ORDER BY ref) FROM loyalty.member WHERE next_expiry IS NOT NULL), 'ian 2024-07-30', 'maintenance does');
SELECT is((SELECT string_agg(m.ref || ' ' || e.points || ' ' || (e.occurred_at AT TIME ZONE 'Asia/Kuala_Lumpur'), ', ') FROM loyalty.entry e JOIN loyalty.member m USING (member_id)
	WHERE e.kind = 'expire' AND m.ref IN ('ian', 'ida')), 'ida -10 2024-03-01 00:00:00', 'who was idle too long has lost his points, on the day');
SELECT is((SELECT available::numeric FROM loyalty.balance('ian', at => '2024-07-30 23:59:59+08', program => 'idle')), 21::numeric, 'the other has not, until');
CALL loyalty.maintain('2024-07-30 23:59:59+08', 'idle');
SELECT is((SELECT loyalty.total(purse)::numeric FROM loyalty.member WHERE ref = 'ian'), 21::numeric, 'his last day is over,');
CALL loyalty.maintain('2024-07-31 00:00+08', 'idle');
SELECT is((SELECT loyalty.total(purse)::numeric FROM loyalty.member WHERE ref = 'ian'), 0::numeric, 'he does too');

INSERT INTO purchase VALUES (7, 'ira', 10, '2023-11-29 23:59:59+08');
SELECT is((SELECT available::numeric FROM loyalty.balance('ira', at => '2024-02-29 23:59:59+08', program => 'idle')), 10::numeric, 'three months after 29 November is 29 February,');
SELECT is((SELECT available::numeric FROM loyalty.balance('ira', at => '2024-03-01 00:00:00+08', program => 'idle')), 0::numeric, 'in its last second');
SELECT is((SELECT balance::numeric FROM loyalty.spend('ira', 4, at => '2024-02-29 23:59:59+08', program => 'idle')), 6::numeric, 'redeeming then');
SELECT is((SELECT available::numeric || ' until ' || next_expiry FROM loyalty.balance('ira', at => '2024-03-01 00:00:00+08', program => 'idle')), '6 until 2024-05-29', 'gives the rest three months more');
CALL loyalty.maintain('2024-05-29 23:59:59+08', 'idle');
SELECT is((SELECT loyalty.total(purse)::numeric FROM loyalty.member WHERE ref = 'ira'), 6::numeric, 'which are over');
CALL loyalty.maintain('2024-05-30 00:00:00+08', 'idle');
SELECT is((SELECT string_agg(e.kind || ' ' || e.points || ' ' || (e.occurred_at AT TIME ZONE 'Asia/Kuala_Lumpur'), ', ' ORDER BY e.seq) FROM loyalty.entry e WHERE member_id = loyalty.member_id('ira', 'idle')),
	'earn 10 2023-11-29 23:59:59, redeem -4 2024-02-29 23:59:59, expire -6 2024-05-30 00:00:00', 'on the day after');

-- A debt that stands when lots open
INSERT INTO loyalty.program (name, expiry, pending, time_zone) VALUES ('debt', '10 days', '5 days', 'America/New_York');
INSERT INTO loyalty.rule (program, name, award) VALUES ('debt', 'base', '1 per 1');
CREATE TABLE sale (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('sale', member => 'customer', amount => 'total', at => 'at', program => 'debt') \g /dev/null
INSERT INTO sale VALUES (4, 'dan', 50, now() - interval '6 days');
SELECT loyalty.adjust('dan', -50, program => 'debt') \g /dev/null
INSERT INTO sale VALUES (5, 'dan', 30, now() - interval '1 day'), (6, 'dan', 40, now());
DELETE FROM sale WHERE id = 4;
SELECT is((SELECT debt::numeric FROM loyalty.balance('dan', program => 'debt')), 50::numeric, 'dan owes 50');
SELECT is((SELECT next_expiry - (now() AT TIME ZONE 'America/New_York')::date FROM loyalty.member WHERE ref = 'dan'), 3, 'next_expiry is the day before the first lot opens');
SELECT bag_eq($$SELECT points::numeric, ends - (now() AT TIME ZONE 'America/New_York')::date FROM loyalty.expiring('debt') WHERE member = 'dan'$$, $$VALUES (20::numeric, 15)$$, 'what the debt takes does not expire');
SELECT is((SELECT available::numeric FROM loyalty.balance('dan', at => now() + interval '6 days', program => 'debt')), 20::numeric, 'and 20 will be left');

-- Random members, whom nobody touches after a year: readings before and after
INSERT INTO loyalty.program (name, expiry, pending, time_zone) VALUES ('random', '2 months', '3 days', 'Europe/Berlin'), ('random idle', 'inactive 2 months', '0', 'Europe/Berlin');
INSERT INTO loyalty.rule (program, name, award) VALUES ('random', 'base', '1 per 1'), ('random idle', 'base', '1 per 1');
CREATE TABLE visit (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('visit', member => 'customer', amount => 'total', at => 'at', program => p) FROM unnest('{random,random idle}'::text[]) p \g /dev/null
DO $$
DECLARE
	clock timestamptz := '2024-01-01';
	who text;
	program text;
BEGIN
	PERFORM setseed(0.11);
	FOR step IN 1..1200 LOOP
		clock := clock + random() * interval '14 hours';
		who := 'r' || floor(random() * 25)::int;
		program := (ARRAY['random', 'random idle'])[1 + (random() < 0.5)::int];
		CASE floor(random() * 5)::int
		WHEN 0 THEN
			PERFORM loyalty.adjust(who, (1 + floor(random() * 100) / 4)::numeric, at => clock, expires => (clock::date + 1 + floor(random() * 90)::int), program => program);
		WHEN 1 THEN
			BEGIN
				PERFORM loyalty.adjust(who, (-1 - floor(random() * 60))::numeric, at => clock, program => program);
			EXCEPTION WHEN SQLSTATE 'LY001' THEN
			END;
		ELSE
			INSERT INTO visit VALUES (step, who, floor(random() * 40), clock);
		END CASE;
	END LOOP;
END $$;
-- returns: they make debts, now
UPDATE visit SET total = total / 3 WHERE id % 7 = 0;
DELETE FROM visit WHERE id % 5 = 0;
CREATE TABLE instant AS SELECT i AS at FROM generate_series('2024-01-01'::timestamptz, '2025-06-01', '41 hours') i UNION SELECT now() + n * interval '13 days' FROM generate_series(0, 6) n;
CREATE VIEW reading AS SELECT p AS program, m, at, b.* FROM unnest('{random,random idle}'::text[]) p, (SELECT 'r' || n AS m FROM generate_series(0, 24) n) m, instant, loyalty.balance(m, at => at, program => p) b;
CREATE TABLE before AS SELECT * FROM reading;
CREATE TABLE lots_before AS SELECT p AS program, m, l.* FROM unnest('{random,random idle}'::text[]) p, (SELECT 'r' || n AS m FROM generate_series(0, 24) n) m, loyalty.lots(m, program => p) l;
CREATE TABLE liability_before AS SELECT * FROM loyalty.liability;
CREATE TABLE entries_before AS SELECT * FROM loyalty.entry;
CREATE TABLE lost_before AS SELECT p AS program, e.* FROM unnest('{random,random idle}'::text[]) p, loyalty.expiring(p, '2000 years', (SELECT max(posted_at) FROM loyalty.entry)) e;
SELECT cmp_ok((SELECT count(*) FROM before WHERE available::numeric > 0), '>', 1000::bigint, 'the model has met what it is about');
CALL loyalty.maintain();
SELECT is_empty($$(SELECT * FROM before EXCEPT SELECT * FROM reading) LIMIT 5$$, 'balances of the past, of now and of the future stay as they were');
SELECT bag_eq($$SELECT p AS program, m, l.* FROM unnest('{random,random idle}'::text[]) p, (SELECT 'r' || n AS m FROM generate_series(0, 24) n) m, loyalty.lots(m, program => p) l$$, 'SELECT * FROM lots_before', 'so do the lots');
SELECT bag_eq('SELECT * FROM loyalty.liability', 'SELECT * FROM liability_before', 'so does the liability');
SELECT is_empty($$SELECT member_id, seq, hash FROM entries_before EXCEPT SELECT member_id, seq, hash FROM loyalty.entry$$, 'what was written stays');
SELECT bag_eq($$SELECT p AS program, e.* FROM unnest('{random,random idle}'::text[]) p, loyalty.expiring(p, '2000 years', (SELECT max(posted_at) FROM loyalty.entry)) e$$, 'SELECT * FROM lost_before', 'and what will be lost');
SELECT is_empty($$SELECT m.ref, p.name, m.next_expiry FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE m.next_expiry < (now() AT TIME ZONE p.time_zone)::date$$, 'nothing is left that fell due');
SELECT is_empty($$SELECT m.ref, l.* FROM loyalty.member m JOIN loyalty.program p USING (program_id), loyalty.lots(m.purse) l WHERE l.ends < (now() AT TIME ZONE p.time_zone)::date$$, 'no lot is left that lapsed');
SELECT is_empty($$SELECT m.ref, e.seq FROM loyalty.entry e JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = m.program_id, loyalty.lots(e.lots) l
	WHERE e.kind = 'expire' AND p.name = 'random' AND e.occurred_at <> (l.ends + 1)::timestamp AT TIME ZONE 'Europe/Berlin'$$, 'lots expire on the day after their last one');
SELECT is_empty($$SELECT * FROM loyalty.verify()$$, 'verify finds nothing');
CREATE TABLE rows_before AS SELECT ctid AS place, * FROM loyalty.member;
CALL loyalty.maintain();
SELECT is_empty($$SELECT ctid, member_id FROM loyalty.member EXCEPT SELECT place, member_id FROM rows_before$$, 'once more: nothing is written');

-- What was foretold is what happens
INSERT INTO loyalty.program (name, time_zone) VALUES ('foretold', 'Asia/Kathmandu'), ('foretold idle', 'Asia/Kathmandu');
SELECT count(loyalty.adjust('f' || n % 30, n, expires => '2024-01-01'::date + n * 7 % 400, at => '2023-12-01', program => 'foretold')) FROM generate_series(1, 200) n \g /dev/null
CREATE TABLE foretold AS SELECT * FROM loyalty.expiring('foretold', '1 year', '2023-12-02');
CALL loyalty.maintain(program => 'foretold');
SELECT bag_eq($$SELECT m.ref AS member, -e.points::numeric AS points, ((e.occurred_at AT TIME ZONE 'Asia/Kathmandu') - interval '1 day')::date AS ends
	FROM loyalty.entry e JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = m.program_id
	WHERE e.kind = 'expire' AND p.name = 'foretold' AND e.occurred_at <= '2024-12-03 00:00+05:45'$$, 'SELECT member, points::numeric, ends FROM foretold', 'expiring foretells every expiry');

-- Postings leave what is indexed alone (few, so that there is room on their page)
CREATE TABLE updates AS SELECT pg_stat_get_xact_tuples_updated('loyalty.member'::regclass) AS all_of_them, pg_stat_get_xact_tuples_hot_updated('loyalty.member'::regclass) AS hot;
INSERT INTO visit SELECT 10000 + n, 'new' || n % 3, 10, now() - interval '1 day' FROM generate_series(1, 6) n;
INSERT INTO visit SELECT 20000 + n, 'new' || n % 3, 10, now() FROM generate_series(1, 3) n;
SELECT is(pg_stat_get_xact_tuples_updated('loyalty.member'::regclass) - all_of_them, 6::bigint, 'members are updated, but for new ones, who are written once') FROM updates;
SELECT is(pg_stat_get_xact_tuples_hot_updated('loyalty.member'::regclass) - hot, 6::bigint, 'and all updates are HOT') FROM updates;

-- A debt is netted on the day on which a lot opens, and before another lapses. (The purse is forged: debts are
-- made now, and lots that open after now cannot have opened yet.)
SELECT is_empty($$SELECT * FROM loyalty.verify()$$, 'verify finds nothing');
SELECT loyalty.enroll('nat', at => '2024-01-01', program => 'debt') \g /dev/null
SET session_replication_role = replica;
UPDATE loyalty.member SET purse = '{-50@infinity, 30@2024-01-10/2024-01-20, 40@2024-01-15/2024-01-25, 7@2024-02-10/2990-01-01}', next_expiry = '2024-01-08' WHERE ref = 'nat';
RESET session_replication_role;
CREATE VIEW nat AS SELECT kind || ' ' || lots || ' ' || (occurred_at AT TIME ZONE 'America/New_York')::text FROM loyalty.entry WHERE member_id = loyalty.member_id('nat', 'debt');
CREATE TABLE nat_before AS SELECT at, loyalty.available(purse, at::date), loyalty.pending(purse, at::date) FROM loyalty.member, generate_series('2024-02-10'::date, '2024-04-01', '1 day') at WHERE ref = 'nat';
CALL loyalty.maintain('2024-01-12', 'debt');
SELECT bag_eq('SELECT * FROM nat', $$VALUES ('release {-30@2024-01-10/2024-01-20, 30@infinity} 2024-01-10 00:00:00')$$, 'netted');
SELECT is((SELECT next_expiry FROM loyalty.member WHERE ref = 'nat'), '2024-01-14', 'the next lot opens on the day after');
CALL loyalty.maintain(program => 'debt');
SELECT bag_eq('SELECT * FROM nat OFFSET 1', $$VALUES ('release {-20@2024-01-15/2024-01-25, 20@infinity} 2024-01-15 00:00:00'), ('expire {-20@2024-01-15/2024-01-25} 2024-01-26 00:00:00')$$, 'netted, and what is left lapsed');
SELECT is((SELECT next_expiry FROM loyalty.member WHERE ref = 'nat'), '2990-01-01', 'nothing more before long');
SELECT bag_eq($$SELECT at, loyalty.available(purse, at::date), loyalty.pending(purse, at::date) FROM loyalty.member, generate_series('2024-02-10'::date, '2024-04-01', '1 day') at WHERE ref = 'nat'$$, 'SELECT * FROM nat_before', 'the days after read as before');
SELECT * FROM finish();
ROLLBACK;
