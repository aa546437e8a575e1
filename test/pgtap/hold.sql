-- hold: held points do not expire and are in no purse; part captures, debts beside a hold, lapsing read and written, returns, inactivity
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

-- what balance() says, in one line
CREATE FUNCTION has(member text, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS text LANGUAGE sql AS
	$$ SELECT format('%s available, %s pending, %s held, %s owed', available, pending, held, debt) FROM loyalty.balance($1, $2, $3) $$;
-- as if the hold had been made to end then
CREATE FUNCTION let_end(member text, seq bigint, at timestamptz, program text) RETURNS void LANGUAGE sql SET session_replication_role = replica AS $$
	UPDATE loyalty.hold h SET until = $3 WHERE h.member_id = loyalty.member_id($1, $4) AND h.seq = $2;
	UPDATE loyalty.member m SET hold_until = (SELECT min(until) FROM loyalty.hold h WHERE h.member_id = m.member_id AND status = 'active') WHERE m.member_id = loyalty.member_id($1, $4) $$;
CREATE FUNCTION entries(member text, program text, since bigint DEFAULT 0) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s %s', kind, lots, occurred_at::date), ', ' ORDER BY seq) FROM loyalty.entry WHERE member_id = loyalty.member_id($1, $2) AND seq > $3 $$;

-- Points whose last day passes while they are held
INSERT INTO loyalty.program (name, currency, point_value) VALUES ('beans', 'USD', 0.01);
SET LOCAL loyalty.program = 'beans';
SELECT loyalty.adjust('ann', 100, '2024-06-30', at => '2024-01-01'), loyalty.adjust('ann', 50, at => '2024-01-01') \g /dev/null
SELECT is((SELECT (points, balance)::text FROM loyalty.hold('ann', 120, '100 years', at => '2024-06-01 12:00', purchase => 'o1', amount => 10)), '(-120,30)', 'points are held, soonest to expire first');
SELECT is(has('ann', '2024-05-31'), '150 available, 0 pending, 0 held, 0 owed', 'before');
SELECT is(has('ann', '2024-06-01 12:00'), '30 available, 0 pending, 120 held, 0 owed', 'since then');
SELECT is(has('ann', '2024-07-01'), '30 available, 0 pending, 120 held, 0 owed', 'they do not expire');
SELECT is(has('ann'), '30 available, 0 pending, 120 held, 0 owed', 'to this day');
SELECT is_empty($$SELECT * FROM loyalty.expiring(within => '1 year', at => '2024-06-15')$$, 'nor are they about to');
CALL loyalty.maintain(program => 'beans');
SELECT is(has('ann'), '30 available, 0 pending, 120 held, 0 owed', 'maintenance leaves them alone');
SELECT results_eq($$SELECT month::text, members, points::numeric FROM loyalty.liability WHERE program = 'beans' ORDER BY month$$, $$VALUES (to_char(now(), 'YYYY-MM-01'), 1::bigint, 100::numeric), ('infinity', 1, 50)$$,
	'they are owed: those whose last day has passed this month');
SELECT is(has('ann', now() + interval '200 years'), '50 available, 0 pending, 0 held, 0 owed', 'once the hold ends what is over expires');
SELECT is((SELECT (points, balance)::text FROM loyalty.capture('ann', 3, 60, final => false, at => '2024-08-01')), '(-60,30)', 'a part is captured whose life span is over');
SELECT is(entries('ann', 'beans', 3), 'release {60@2024-06-30} 2024-08-01, redeem {-60@2024-06-30} 2024-08-01', 'from exactly those lots, and nothing expires');
SELECT is(has('ann', '2024-08-02'), '30 available, 0 pending, 60 held, 0 owed', 'the rest stays held');
SELECT is((SELECT context FROM loyalty.entry WHERE member_id = loyalty.member_id('ann', 'beans') AND seq = 5), '{"hold": 3, "purchase": "o1", "amount": 10, "value": 0.60, "left": 60}', 'it is a spend for the purchase');
SELECT is((SELECT (points, balance)::text FROM loyalty.release('ann', 3, at => '2024-09-01')), '(60,50)', 'the rest is released');
SELECT is(entries('ann', 'beans', 5), 'release {40@2024-06-30, 20@infinity} 2024-09-01, expire {-40@2024-06-30} 2024-09-01', 'what is over by then expires then');
SELECT is((SELECT (status, points, captured, lots, ended_at)::text FROM loyalty.hold), '(released,120,60,{},"2024-09-01 00:00:00+00")', 'the row says what became of it');
SELECT throws_ok($$SELECT loyalty.capture('ann', 3)$$, 'LY016', 'hold 3 of member "ann" is over', 'it is over');
SELECT throws_ok($$SELECT loyalty.release('ann', 4)$$, 'LY016', 'hold 4 of member "ann" does not exist', 'a release is no hold');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound');

-- The value is that of the time when they were held; what is left goes back with a final capture
SELECT entry AS hold FROM loyalty.hold('ann', 30, purchase => 'o2') \gset
UPDATE loyalty.program SET point_value = 0.02 WHERE name = 'beans';
SELECT is((SELECT (points, balance)::text FROM loyalty.capture('ann', :hold, 10)), '(-10,40)', 'a part, and the rest goes back');
SELECT is((SELECT context FROM loyalty.entry WHERE member_id = loyalty.member_id('ann', 'beans') ORDER BY seq DESC LIMIT 1), format('{"hold": %s, "purchase": "o2", "value": 0.10, "released": 20}', :hold)::jsonb, 'worth what it was when held');

-- What is held for a purchase counts as spent on it
INSERT INTO loyalty.program (name, currency, point_value, spend_maximum, spend_minimum) VALUES ('limits', 'USD', 0.01, 100, 20);
SET LOCAL loyalty.program = 'limits';
SELECT loyalty.adjust('lee', 1000) \g /dev/null
SELECT loyalty.spend('lee', 30, purchase => 'o1', amount => 2) \g /dev/null
SELECT is((SELECT entry FROM loyalty.hold('lee', 50, purchase => 'o1', amount => 2)), 3::bigint, 'under the maximum with what was spent');
SELECT throws_ok($$SELECT loyalty.spend('lee', 21, purchase => 'o1', amount => 2)$$, 'LY012', 'too many points to be spent on a purchase', 'a spend counts what is held');
SELECT throws_ok($$SELECT loyalty.hold('lee', 21, purchase => 'o1', amount => 2)$$, 'LY012', 'too many points to be spent on a purchase', 'a hold too');
SELECT throws_ok($$SELECT loyalty.hold('lee', 20, purchase => 'o1', amount => 0.9)$$, 'LY012', 'points would pay more than the amount', 'by value as well');
SELECT throws_ok($$SELECT loyalty.hold('lee', 19)$$, 'LY012', 'too few points to be spent at once', 'and the minimum');
SELECT is((SELECT balance::numeric FROM loyalty.capture('lee', 3, 5, final => false)), 920::numeric, 'the shop captures what it delivers');
SELECT throws_ok($$SELECT loyalty.spend('lee', 21, purchase => 'o1', amount => 2)$$, 'LY012', 'too many points to be spent on a purchase', 'captured and held count once each');
SELECT lives_ok($$SELECT loyalty.spend('lee', 20, purchase => 'o1', amount => 2)$$, 'what is left may be spent');
SELECT loyalty.release('lee', 3) \g /dev/null
SELECT lives_ok($$SELECT loyalty.spend('lee', 45, purchase => 'o1', amount => 2)$$, 'so may what was released');

-- A debt beside a hold
INSERT INTO loyalty.program (name) VALUES ('debts');
INSERT INTO loyalty.rule (program, name, award) VALUES ('debts', 'base', '1 per 1');
CREATE TABLE orders (id text PRIMARY KEY, customer text, total numeric, status text DEFAULT 'paid');
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', counts => $$status = 'paid'$$, program => 'debts') \g /dev/null
SET LOCAL loyalty.program = 'debts';
INSERT INTO orders VALUES ('d1', 'dan', 100), ('d2', 'deb', 100), ('d3', 'don', 100);
SELECT loyalty.hold(m, 80) FROM unnest('{dan,deb,don}'::text[]) m \g /dev/null
UPDATE orders SET status = 'returned' WHERE id ~ '^d';
SELECT is(has('dan'), '0 available, 0 pending, 80 held, 80 owed', 'a return takes what is not held, and leaves a debt for the rest');
SELECT loyalty.capture('dan', 2) \g /dev/null
SELECT is(has('dan'), '0 available, 0 pending, 0 held, 80 owed', 'captured: the debt is as it was');
SELECT loyalty.release('deb', 2) \g /dev/null
SELECT is(has('deb'), '0 available, 0 pending, 0 held, 0 owed', 'released: it repays the debt');
SELECT is(entries('deb', 'debts', 2), format('clawback {-100@infinity} %1$s, release {80@infinity} %1$s', now()::date), 'which never expires, so no netting is to be seen');
SELECT loyalty.capture('don', 2, 30) \g /dev/null
SELECT is(has('don'), '0 available, 0 pending, 0 held, 30 owed', 'in part: the rest repays');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound, also what a capture took beside the debt');

-- A purchase that comes to nothing releases what is held for it
INSERT INTO orders VALUES ('p0', 'pat', 500), ('p1', 'pat', 20), ('p2', 'pat', 20), ('p3', 'pat', 20);
SELECT loyalty.hold('pat', 10, purchase => p) FROM unnest('{p1,p2,p3,p3}'::text[]) p \g /dev/null
SELECT is(has('pat'), '520 available, 0 pending, 40 held, 0 owed', 'four holds');
UPDATE orders SET total = 10 WHERE id = 'p1';
SELECT is(has('pat'), '510 available, 0 pending, 40 held, 0 owed', 'a part of it is returned: nothing yet');
UPDATE orders SET status = 'returned' WHERE id IN ('p1', 'p3');
SELECT is(has('pat'), '510 available, 0 pending, 10 held, 0 owed', 'all of two: their holds are released');
SELECT bag_eq($$SELECT purchase, status FROM loyalty.hold WHERE purchase IS NOT NULL AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'debts')$$, $$VALUES ('p1', 'released'), ('p2', 'active'), ('p3', 'released'), ('p3', 'released')$$, 'and those alone');
UPDATE orders SET id = 'p9' WHERE id = 'p2';
SELECT is((SELECT purchase FROM loyalty.hold WHERE status = 'active' AND member_id = loyalty.member_id('pat', 'debts')), 'p9', 'a purchase with another key takes its hold along');
DELETE FROM orders WHERE id = 'p9';
SELECT is(has('pat'), '500 available, 0 pending, 0 held, 0 owed', 'a deleted one releases it');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound');

-- cancel
SELECT entry AS hold FROM loyalty.hold('pat', 100, purchase => 'q') \gset
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('pat', :hold, 40)), '(40,440)', 'a part of a hold is cancelled');
SELECT is((SELECT (points, repeated)::text FROM loyalty.cancel('pat', :hold, 10, key => 'c')), '(10,f)', 'with a key');
SELECT is((SELECT (points, balance, repeated)::text FROM loyalty.cancel('pat', :hold, 10, key => 'c')), '(10,450,t)', 'and again');
SELECT throws_ok(format($$SELECT loyalty.cancel('pat', %s, 51)$$, :hold), '22023', 'more points than are held', 'no more than it holds');
SELECT entry AS spent FROM loyalty.capture('pat', :hold, 30, final => false) \gset
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('pat', :hold)), '(20,470)', 'the rest is released');
SELECT throws_ok(format($$SELECT loyalty.cancel('pat', %s)$$, :hold), 'LY016', NULL, 'then it is over');
SELECT throws_ok(format($$SELECT loyalty.cancel('pat', %s)$$, :spent - 1), 'LY017', NULL, 'its releases are no acts');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('pat', :spent, 10)), '(10,480)', 'what was captured is a spend like any other');
SELECT is((SELECT (points, balance)::text FROM loyalty.cancel('pat', :spent)), '(20,500)', 'all of it comes back');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound');

-- Inactivity: a hold is no activity, a capture is
INSERT INTO loyalty.program (name, expiry) VALUES ('idle', 'inactive 3 months');
SET LOCAL loyalty.program = 'idle';
SELECT loyalty.enroll(m, at => '2024-01-01'), loyalty.adjust(m, 100, at => '2024-01-10') FROM unnest('{ian,ida,ivo}'::text[]) m \g /dev/null
SELECT loyalty.hold(m, 60, '100 years', at => '2024-03-01') FROM unnest('{ian,ida,ivo}'::text[]) m \g /dev/null
SELECT is(has('ian', '2024-04-01 23:59'), '40 available, 0 pending, 60 held, 0 owed', 'until the last day');
SELECT is(has('ian', '2024-04-02'), '0 available, 0 pending, 60 held, 0 owed', 'what is not held lapses, for holding is no activity');
SELECT is((SELECT sum(points::numeric) FROM loyalty.liability WHERE program = 'idle' AND month = date_trunc('month', now())), 180::numeric, 'what is held is owed');
SELECT loyalty.release('ian', 2, at => '2024-05-01') \g /dev/null
SELECT is(has('ian'), '0 available, 0 pending, 0 held, 0 owed', 'released then it lapses then');
SELECT is(entries('ian', 'idle', 2), 'expire {-40@infinity} 2024-04-02, release {60@infinity} 2024-05-01, expire {-60@infinity} 2024-05-01', 'as the entries say');
SELECT loyalty.capture('ida', 2, 50, at => '2024-05-01') \g /dev/null
SELECT is(has('ida', '2024-05-01'), '10 available, 0 pending, 0 held, 0 owed', 'with a capture the member is active again, when the rest goes back');
SELECT is(has('ida', '2024-08-02'), '0 available, 0 pending, 0 held, 0 owed', 'for another three months');
SELECT let_end('ivo', 2, '2024-03-20', 'idle') \g /dev/null
SELECT is(has('ivo', '2024-03-25'), '100 available, 0 pending, 0 held, 0 owed', 'a hold that lapsed in time gives its points back');
SELECT is(has('ivo', '2024-04-02'), '0 available, 0 pending, 0 held, 0 owed', 'and they lapse like the others');

-- Lapsing
SET LOCAL loyalty.program = 'beans';
SELECT loyalty.adjust('lou', 100, '2024-06-30', at => '2024-01-01'), loyalty.adjust('lou', 100, '2099-12-31', at => '2024-01-01') \g /dev/null
SELECT loyalty.hold('lou', 150, '100 years', at => '2024-06-01'), let_end('lou', 3, '2024-07-10 15:00', 'beans') \g /dev/null
SELECT is(has('lou', '2024-07-10 14:59:59'), '50 available, 0 pending, 150 held, 0 owed', 'until its end');
SELECT is(has('lou', '2024-07-10 15:00'), '100 available, 0 pending, 0 held, 0 owed', 'at its end, before anybody has written it down');
SELECT is(has('lou'), '100 available, 0 pending, 0 held, 0 owed', 'now');
SELECT is((SELECT points::numeric FROM loyalty.payable('lou', 100)), 100::numeric, 'payable knows');
SELECT is((SELECT points::numeric FROM loyalty.payable('lou', 100, at => '2024-07-10 14:00')), 50::numeric, 'also of the past');
SELECT is((SELECT string_agg(format('%s@%s', points, ends), ' ') FROM loyalty.lots('lou')), '100@2099-12-31', 'lots too');
SELECT results_eq($$SELECT points::numeric, ends FROM loyalty.expiring('beans', '100 years') WHERE member = 'lou'$$, $$VALUES (100::numeric, '2099-12-31'::date)$$, 'and expiring');
SELECT is((SELECT points::numeric FROM loyalty.liability WHERE program = 'beans' AND month = '2099-12-01'), 100::numeric, 'and liability');
SELECT is((SELECT seq FROM loyalty.member WHERE ref = 'lou'), 3::bigint, 'nothing was written');
SELECT throws_ok($$SELECT loyalty.capture('lou', 3)$$, 'LY016', 'hold 3 of member "lou" is over', 'it is over');
SELECT throws_ok($$SELECT loyalty.capture('lou', 3, at => '2024-07-01')$$, 'LY016', 'hold 3 of member "lou" is over', 'also for a capture of an earlier time');
SELECT throws_ok($$SELECT loyalty.spend('lou', 51, at => '2024-07-10 14:00')$$, 'LY001', 'insufficient points', 'what was held then cannot be spent then');
SELECT lives_ok($$SELECT loyalty.spend('lou', 50, at => '2024-07-10 14:00')$$, 'what was there can');
SELECT is(entries('lou', 'beans', 3), 'release {100@2024-06-30, 50@2099-12-31} 2024-07-10, expire {-100@2024-06-30} 2024-07-10, redeem {-50@2099-12-31} 2024-07-10', 'whoever acts next writes it, at its time');
SELECT is((SELECT (status, ended_at)::text FROM loyalty.hold WHERE member_id = loyalty.member_id('lou', 'beans')), '(lapsed,"2024-07-10 15:00:00+00")', 'the row says so');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound');

-- Suspended and closed members
SELECT loyalty.adjust('sue', 100, at => '2024-01-01') \g /dev/null
SELECT loyalty.hold('sue', 10, '100 years', at => '2024-02-01') FROM generate_series(1, 4) n \g /dev/null
SELECT loyalty.set_member('sue', status => 'suspended') \g /dev/null
SELECT throws_ok($$SELECT loyalty.hold('sue', 10)$$, 'LY003', NULL, 'a suspended member holds nothing');
SELECT lives_ok($$SELECT loyalty.capture('sue', 2)$$, 'but his order is finished');
SELECT lives_ok($$SELECT loyalty.release('sue', 3)$$, 'or not');
SELECT loyalty.set_member('sue', status => 'closed') \g /dev/null
SELECT throws_ok($$SELECT loyalty.capture('sue', 4)$$, 'LY003', NULL, 'a closed one pays nothing');
SELECT lives_ok($$SELECT loyalty.release('sue', 4)$$, 'but his points can be released');
SELECT let_end('sue', 5, '2024-03-01', 'beans') \g /dev/null
SELECT is(has('sue'), '90 available, 0 pending, 0 held, 0 owed', 'and time does that too');

-- What is read before anything is written is what is read afterwards, at every instant
INSERT INTO loyalty.program (name, expiry) VALUES ('r1', '2 months'), ('r2', 'inactive 2 months'), ('r3', 'never');
INSERT INTO loyalty.rule (program, name, award, pending) SELECT p, 'base', '1 per 1', d::interval FROM (VALUES ('r1', '10 days'), ('r2', '0'), ('r3', '20 days')) v(p, d);
INSERT INTO loyalty.rule (program, name, event, award, confirm, confirm_within, on_silence) SELECT p, 'review', 'review', '25', true, '10 days', 'accept' FROM unnest('{r1,r2,r3}'::text[]) p;
CREATE TABLE sales (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('sales', member => 'customer', amount => 'total', at => 'at', program => p) FROM unnest('{r1,r2,r3}'::text[]) p \g /dev/null
SELECT setseed(0.4711) \g /dev/null
INSERT INTO sales SELECT n, 'm' || n % 25, 10 + floor(random() * 90), timestamptz '2024-01-01' + random() * interval '100 days' FROM generate_series(1, 150) n;
CREATE TABLE wanted AS SELECT p, 'm' || m AS member, timestamptz '2024-01-05' + random() * interval '80 days' AS at FROM unnest('{r1,r2,r3}'::text[]) p, generate_series(0, 24) m, generate_series(1, 3);
DO $$
DECLARE
	h record; points numeric; seq bigint;
BEGIN
	FOR h IN SELECT * FROM wanted ORDER BY at LOOP
		SELECT floor(available::numeric * random()) INTO points FROM loyalty.balance(h.member, h.at, h.p);
		CONTINUE WHEN coalesce(points, 0) < 1;
		BEGIN
			seq := (loyalty.hold(h.member, points, '100 years', at => h.at, program => h.p)).entry;
			IF random() < 0.2 THEN
				PERFORM loyalty.capture(h.member, seq, ceil(points / 3), final => random() < 0.5, at => h.at + interval '5 days', program => h.p);
			END IF;
		EXCEPTION WHEN SQLSTATE 'LY001' THEN
		END;
	END LOOP;
END $$;
-- returns make debts beside them, and silence decides on reviews
UPDATE sales SET total = total / 4 WHERE id % 4 = 0;
DELETE FROM sales WHERE id % 7 = 0;
SELECT count(loyalty.record('m' || n % 25, 'review', at => timestamptz '2024-01-20' + random() * interval '60 days', key => 'v' || n, program => p)) FROM generate_series(1, 30) n, unnest('{r1,r2,r3}'::text[]) p \g /dev/null
SET session_replication_role = replica;
UPDATE loyalty.hold h SET until = greatest(made_at + interval '6 days', made_at + random() * interval '90 days') FROM loyalty.program p WHERE p.program_id = h.program_id AND p.name ~ '^r' AND h.status = 'active' AND random() < 0.8;
-- two that end at one time
UPDATE loyalty.hold h SET until = (SELECT max(until) FROM loyalty.hold g WHERE g.member_id = h.member_id AND g.until < now() AND g.status = 'active')
	WHERE h.status = 'active' AND h.seq % 3 = 0 AND h.made_at < (SELECT max(until) FROM loyalty.hold g WHERE g.member_id = h.member_id AND g.until < now() AND g.status = 'active');
UPDATE loyalty.member m SET hold_until = (SELECT min(until) FROM loyalty.hold h WHERE h.member_id = m.member_id AND status = 'active');
RESET session_replication_role;
SELECT cmp_ok((SELECT count(*) FROM loyalty.hold WHERE status = 'active' AND until < now()), '>', 50::bigint, 'many holds have lapsed and are not written down');
SELECT cmp_ok((SELECT count(*) FROM loyalty.member WHERE hold_until < now() AND awaiting::numeric > 0), '>', 20::bigint, 'of members on whose reviews silence has decided, too');
CREATE TABLE instant AS SELECT at FROM generate_series(timestamptz '2024-01-03 12:00', '2024-08-01', '9 days') at UNION SELECT until FROM loyalty.hold WHERE until < now() AND seq % 2 = 0 UNION SELECT now() + n * interval '40 days' FROM generate_series(0, 3) n;
CREATE VIEW reading AS SELECT p.name, m.ref, i.at, b.*, (SELECT string_agg(format('%s %s %s', l.points, l.starts, l.ends), ', ' ORDER BY l.ends, l.starts) FROM loyalty.lots(m.ref, i.at, p.name) l) AS lots
	FROM loyalty.program p JOIN loyalty.member m USING (program_id), instant i, loyalty.balance(m.ref, i.at, p.name) b WHERE p.name ~ '^r';
CREATE TABLE before AS SELECT * FROM reading;
SELECT cmp_ok((SELECT count(*) FROM before WHERE debt::numeric > 0), '>', 20::bigint, 'some with debts');
CREATE TABLE owed_before AS SELECT * FROM loyalty.liability;
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound before');
CALL loyalty.maintain(batch_size => 100000);
SELECT is_empty($$SELECT * FROM loyalty.hold WHERE status = 'active' AND until < now()$$, 'maintenance writes all of it');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound after');
SELECT is_empty('(TABLE before EXCEPT TABLE reading) UNION ALL (TABLE reading EXCEPT TABLE before)', 'balances and lots read the same');
SELECT is_empty('(TABLE owed_before EXCEPT TABLE loyalty.liability) UNION ALL (TABLE loyalty.liability EXCEPT TABLE owed_before)', 'so does liability');
SELECT results_eq($$SELECT program, sum(points::numeric) FROM loyalty.liability WHERE program ~ '^r' GROUP BY 1 ORDER BY 1$$,
	$$SELECT p.name, sum(b.available::numeric + b.pending::numeric + b.held::numeric - b.debt::numeric) FROM loyalty.program p JOIN loyalty.member m USING (program_id), loyalty.balance(m.ref, program => p.name) b WHERE p.name ~ '^r' GROUP BY 1 ORDER BY 1$$,
	'which is what all of them have');
SELECT * FROM finish();
ROLLBACK;
