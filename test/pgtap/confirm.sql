-- Whatever becomes of purchases whose points await confirmation, the ledger stays sound, time decides whether or not
-- anybody writes it down, and verify() finds what was changed by hand.
\set QUIET 1
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL TimeZone = 'UTC';
SELECT no_plan();
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);

CREATE FUNCTION found(program text DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', v.invariant, v.program, v.member, v.purchase, v.problem, v.expected, v.actual)
	FROM loyalty.verify(program) v WHERE v.invariant <> 'I3'
$$;
CREATE FUNCTION finds(description text, VARIADIC lines text[]) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), lines, description) FROM found() f
$$;
CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), '{}', description) FROM found() f
$$;
-- available/pending/lifetime
CREATE FUNCTION has(member text, at timestamptz DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws('/', available, pending, lifetime) FROM loyalty.balance(member, at, 'beans')
$$;
CREATE FUNCTION counted(rule text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', m.ref, u.points, u.times, u.last_at::date), ', ' ORDER BY m.ref, u.period)
	FROM loyalty.rule_usage u JOIN loyalty.rule r USING (rule_id) JOIN loyalty.member m USING (member_id) WHERE r.name = rule
$$;
CREATE FUNCTION spent(rule text) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(b.spent::numeric), 0) FROM loyalty.rule_budget b JOIN loyalty.rule r USING (rule_id) WHERE r.name = rule
$$;
-- The entry under which a rule's points for a purchase began to await.
CREATE FUNCTION entry_of(purchase text, rule text) RETURNS bigint LANGUAGE sql AS $$
	SELECT max(c.seq) FROM loyalty.confirmation c JOIN loyalty.rule r USING (rule_id) WHERE c.source_key = purchase AND r.name = rule
$$;

INSERT INTO loyalty.program (name, pending) VALUES ('beans', '2 days');
CREATE TABLE orders (id integer PRIMARY KEY, customer text, total numeric, status text DEFAULT 'paid', at timestamptz);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', counts => $$status = 'paid'$$);

-- Limits count what awaits as granted when it first awaits; a rejection gives back, but for what is given once.
INSERT INTO loyalty.rule (program, name, award, confirm, member_cap, active) VALUES ('beans', 'capped', '1 per 1', true, 100, '[2024-01-01,2024-02-01)');
INSERT INTO loyalty.rule (program, name, award, confirm, member_times, active) VALUES ('beans', 'twice', '10', true, 2, '[2024-02-01,2024-03-01)');
INSERT INTO loyalty.rule (program, name, award, confirm, once, active) VALUES ('beans', 'welcome', '50', true, true, '[2024-03-01,2024-04-01)');
INSERT INTO loyalty.rule (program, name, award, confirm, budget, active) VALUES ('beans', 'shared', '1 per 1', true, 120, '[2024-04-01,2024-05-01)');
INSERT INTO loyalty.rule (program, name, award, confirm, cooldown, active) VALUES ('beans', 'weekly', '5', true, '7 days', '[2024-05-01,2024-06-01)');

INSERT INTO orders VALUES (1, 'ann', 70, 'paid', '2024-01-01'), (2, 'ann', 50, 'paid', '2024-01-02');
SELECT is(has('ann'), '0/100/0', 'a cap holds for what awaits');
SELECT is(counted('capped'), 'ann 100 2', 'and counts it');
SELECT is((SELECT array_agg(context::text ORDER BY seq) FROM loyalty.entry WHERE context ? 'awaiting'), '{"{\"wanted\": 70, \"awaiting\": 70}","{\"wanted\": 50, \"awaiting\": 30}"}', 'beside what was wanted');
SELECT sound('awaiting within a cap');
SELECT is((SELECT (points, balance)::text FROM loyalty.accept('ann', entry_of('2', 'capped'))), '(30,30)', 'of the limited award what was granted is given');
SELECT loyalty.reject('ann', entry_of('1', 'capped'));
SELECT is(counted('capped'), 'ann 30 1', 'a rejection gives back to the cap');
SELECT sound('decided within a cap');
UPDATE orders SET total = total + 1;
SELECT is(has('ann'), '31/0/31', 'a rise is earned at once where it was accepted, and never where it was rejected');
SELECT is(counted('capped'), 'ann 31 1', 'and counted so');
INSERT INTO orders VALUES (3, 'ann', 500, 'paid', '2024-01-03');
SELECT is(has('ann'), '31/69/31', 'what was given back is there for another purchase');
UPDATE orders SET status = 'returned' WHERE id IN (2, 3);
SELECT is(has('ann') || ' ' || counted('capped'), '0/0/0 ann 0 0', 'returned before and after the decision');
SELECT throws_ok($$SELECT loyalty.accept('ann', entry_of('3', 'capped'))$$, 'LY014', NULL, 'nothing awaits of what was returned');
UPDATE orders SET status = 'paid';
SELECT is(has('ann') || ' ' || counted('capped'), '51/49/51 ann 100 2', 'and back again');
SELECT sound('returns within a cap');

INSERT INTO orders VALUES (11, 'bob', 1, 'paid', '2024-02-01'), (12, 'bob', 1, 'paid', '2024-02-02'), (13, 'bob', 1, 'paid', '2024-02-03');
SELECT is(has('bob') || ' ' || counted('twice'), '0/20/0 bob 20 2', 'awards that await are counted');
SELECT loyalty.reject('bob', entry_of('11', 'twice'));
INSERT INTO orders VALUES (14, 'bob', 1, 'paid', '2024-02-04'), (15, 'bob', 1, 'paid', '2024-02-05');
SELECT is(has('bob') || ' ' || counted('twice'), '0/20/0 bob 20 2', 'and one that was rejected is not');

INSERT INTO orders VALUES (21, 'cyd', 1, 'paid', '2024-03-01');
SELECT loyalty.reject('cyd', entry_of('21', 'welcome'));
INSERT INTO orders VALUES (22, 'cyd', 1, 'paid', '2024-03-02');
SELECT is(has('cyd') || ' ' || counted('welcome'), '0/0/0 cyd 0 0 2024-03-01', 'a rejection frees nothing that is given once');

INSERT INTO orders VALUES (31, 'dan', 80, 'paid', '2024-04-01'), (32, 'dan', 80, 'paid', '2024-04-02');
SELECT is(has('dan') || ' ' || spent('shared'), '0/120/0 120', 'a budget is spent on what awaits');
SELECT loyalty.reject('dan', entry_of('31', 'shared'));
SELECT is(has('dan') || ' ' || spent('shared'), '0/40/0 40', 'and has it back');
SELECT loyalty.accept('dan', entry_of('32', 'shared'));
UPDATE orders SET total = 100 WHERE id = 32;
SELECT is(has('dan') || ' ' || spent('shared'), '60/0/60 60', 'a rise after acceptance draws on what is left');
INSERT INTO orders VALUES (41, 'eve', 1, 'paid', '2024-05-01'), (42, 'eve', 1, 'paid', '2024-05-02'), (43, 'eve', 1, 'paid', '2024-05-09');
SELECT is(has('eve') || ' ' || counted('weekly'), '0/10/0 eve 0 0 2024-05-09', 'what awaits begins a cooldown');
SELECT sound('limits');

-- A refund alone takes nothing: whether the purchase that it is about was accepted nobody can tell.
INSERT INTO orders VALUES (51, 'fay', -20, 'paid', '2024-01-05');
SELECT is(has('fay'), '0/0/0', 'a refund alone');
UPDATE orders SET total = 20 WHERE id = 51;
SELECT is(has('fay'), '0/20/0', 'that becomes a purchase');
SELECT loyalty.accept('fay', entry_of('51', 'capped'));
SELECT loyalty.adjust('fay', -15);
UPDATE orders SET total = -20 WHERE id = 51;
SELECT is((SELECT purse::text FROM loyalty.member WHERE ref = 'fay'), '{-15@infinity}', 'spent and returned: a debt');
SELECT sound('refunds');

-- Pending days count from the purchase, and points cannot open before they are accepted.
INSERT INTO loyalty.rule (program, name, award, confirm, active, expiry) VALUES ('beans', 'now', '7', true, '[2024-06-01,)', '12 months');
INSERT INTO orders VALUES (61, 'gus', 1, 'paid', now()), (62, 'gus', 1, 'paid', now() - interval '9 days'), (63, 'gus', 1, 'paid', now() + interval '9 days');
SELECT loyalty.accept('gus', c.seq) FROM loyalty.confirmation c JOIN loyalty.member m USING (member_id) WHERE m.ref = 'gus';
SELECT is((SELECT array_agg((points, starts - current_date, ends)::text ORDER BY starts NULLS FIRST) FROM loyalty.lots('gus')),
		  ARRAY[format('(7,,%s)', (current_date + interval '1 year')::date), format('(7,2,%s)', (current_date + 2 + interval '1 year')::date),
				format('(7,11,%s)', (current_date + 11 + interval '1 year')::date)], 'life spans');
SELECT is(has('gus'), '7/14/21', 'and what they come to');

-- Acts find what silence has given.
INSERT INTO loyalty.rule (program, name, event, award, confirm, confirm_within, on_silence, pending) VALUES
	('beans', 'yes', 'review', '30', true, '3 days', 'accept', '0 days'), ('beans', 'no', 'review', '40', true, '3 days', 'reject', '0 days'), ('beans', 'never', 'review', '50', true, NULL, 'accept', NULL);
SELECT loyalty.record('hal', 'review', at => current_date - interval '4 days', key => 'r');
SELECT is(has('hal'), '30/50/30', 'silence has decided');
SELECT is((SELECT array_agg(points ORDER BY points)::text FROM loyalty.awaiting WHERE member = 'hal'), '{50}', 'only what it never decides is left to somebody');
SELECT is((SELECT sum(points::numeric) FROM loyalty.liability), (SELECT 30 + sum(loyalty.total(purse)::numeric) FROM loyalty.member), 'what silence has given is owed');
SELECT is((SELECT count(*)::int FROM loyalty.entry e JOIN loyalty.member m USING (member_id) WHERE m.ref = 'hal'), 3, 'though nobody has written it down');
SELECT is((SELECT balance::text FROM loyalty.adjust('hal', -25)), '5', 'it can be spent');
SELECT is((SELECT string_agg(concat_ws(' ', r.name, c.decision, c.by_silence, c.points), ', ' ORDER BY r.name) FROM loyalty.confirmation c JOIN loyalty.rule r USING (rule_id) WHERE c.source_id = 0),
		  'never f 50, no rejected t 0, yes accepted t 0', 'whoever posts to the member writes it down');
SELECT sound('silence');

-- Of what is unwritten maintenance changes nothing but that: neither today nor in the past or future.
UPDATE loyalty.rule SET active = tstzrange(lower(active), now()) WHERE name = 'now';
INSERT INTO loyalty.program (name, expiry, clawback, time_zone) VALUES ('sliding', 'inactive 6 months', 'available', 'America/New_York');
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', counts => $$status = 'paid'$$, program => 'sliding');
INSERT INTO loyalty.rule (program, name, award, confirm, confirm_within, on_silence, pending, condition, expiry, member_cap, cap_period, budget, active) SELECT p.name, r.name || ' here', r.award::loyalty.award, true, within::interval, silence, r.pending::interval, condition, r.expiry::loyalty.expiry, cap::numeric, 'month', budget::numeric, '[2024-07-01,)'
FROM loyalty.program p, (VALUES ('yes', '1 per 1', '4 days', 'accept', '6 days', 'amount > 10', '20 days', NULL, NULL), ('no', '5', '3 days', 'reject', '0 days', 'amount < 60', '10 days', 30, 400),
	('double', 'x2', '5 days', 'accept', NULL, 'amount > 20', '3 days', NULL, 500), ('open', '3', NULL, 'accept', '2 days', 'amount > 30', '40 days', 20, NULL)) r (name, award, within, silence, pending, condition, expiry, cap, budget)
WHERE p.name = 'beans';
INSERT INTO loyalty.rule (program, name, award, confirm, confirm_within, on_silence, active) VALUES ('sliding', 'yes', '1 per 1', true, '4 days', 'accept', '[2024-07-01,)'), ('sliding', 'no', '2', true, '2 days', 'reject', '[2024-07-01,)');
INSERT INTO loyalty.rule (program, name, award, condition, active) VALUES ('sliding', 'base', '1', 'amount > 50', '[2024-07-01,)'), ('beans', 'base', '1', 'amount > 50', '[2024-07-01,)');
CREATE FUNCTION change() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	low int := 1000 + random() * 150;
	high int := low + random() ^ 3 * 30;
	c record;
BEGIN
	CASE (random() * 8)::int
	WHEN 0, 1 THEN UPDATE orders SET total = round(total * random()::numeric, 2) WHERE id BETWEEN low AND high;
	WHEN 2 THEN UPDATE orders SET total = total + 15 WHERE id BETWEEN low AND high;
	WHEN 3 THEN UPDATE orders SET status = CASE status WHEN 'paid' THEN 'returned' ELSE 'paid' END WHERE id BETWEEN low AND high;
	WHEN 4 THEN UPDATE orders SET customer = 'm' || (random() * 9)::int WHERE id BETWEEN low AND high;
	WHEN 5 THEN DELETE FROM orders WHERE id BETWEEN low AND low + 2;
	WHEN 6 THEN
		FOR c IN SELECT a.*, random() < 0.5 AS good FROM loyalty.awaiting a WHERE random() < 0.1 LOOP
			-- the first of them may have brought another one's decision along
			BEGIN
				IF c.good THEN PERFORM loyalty.accept(c.member, c.entry, program => c.program);
				ELSE PERFORM loyalty.reject(c.member, c.entry, program => c.program); END IF;
			EXCEPTION WHEN SQLSTATE 'LY013' OR SQLSTATE 'LY014' THEN
				RAISE EXCEPTION '% %', SQLERRM, c;
			END;
		END LOOP;
	WHEN 7 THEN
		FOR c IN SELECT m.ref, p.name FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE random() < 0.2 LOOP
			PERFORM loyalty.adjust(c.ref, -(b.available::numeric * 0.7)::int, program => c.name) FROM loyalty.balance(c.ref, program => c.name) b WHERE (b.available::numeric * 0.7)::int > 0;
		END LOOP;
	ELSE UPDATE orders SET at = at WHERE id BETWEEN low AND high;
	END CASE;
END $$;
CREATE TEMPORARY TABLE seen (moment int, program text, member text, at timestamptz, has text);
-- Of the past without the lots: what is dated back repays a debt that was made later, which history shows under its own date.
CREATE FUNCTION look(moment int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO seen SELECT $1, p.name, m.ref, now() + d * interval '1 day', CASE WHEN d < 0 THEN (b.available, b.pending, b.debt, b.lifetime)::text ELSE b::text END
	FROM loyalty.member m JOIN loyalty.program p USING (program_id), generate_series(-20, 40, 5) d, loyalty.balance(m.ref, now() + d * interval '1 day', p.name) b
$$;
CREATE FUNCTION unlike() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', a.program, a.member, a.at, a.has, 'then', b.has) FROM seen a JOIN seen b USING (program, member, at) WHERE a.moment = 1 AND b.moment = 2 AND a.has <> b.has
$$;
INSERT INTO orders SELECT 1000 + i, 'm' || i % 9, round((random() * 100)::numeric, 2), 'paid', now() - random() * 12 * interval '1 day' FROM generate_series(1, 150) i;
SELECT sound('new purchases, some of them decided by silence already');
DO $$ BEGIN FOR i IN 1..40 LOOP PERFORM change(); END LOOP; END $$;
SELECT sound('random changes');
-- Purchases of members to whom nothing more is posted, so that silence is unwritten.
INSERT INTO orders SELECT 2000 + i, 'n' || i % 9, round((random() * 100)::numeric, 2), 'paid', now() - random() * 12 * interval '1 day' FROM generate_series(1, 60) i;
SELECT cmp_ok((SELECT count(*)::int FROM loyalty.confirmation WHERE decision IS NULL AND due <= current_date), '>', 20, 'there is much unwritten');
SELECT look(1);
SELECT sum(points::numeric) AS owed FROM loyalty.liability \gset
CALL loyalty.maintain();
SELECT look(2);
SELECT is((SELECT count(*)::int FROM loyalty.confirmation c JOIN loyalty.program p USING (program_id) WHERE decision IS NULL AND due <= (now() AT TIME ZONE p.time_zone)::date), 0, 'maintenance writes it down');
SELECT is(ARRAY(SELECT unlike()), '{}', 'and balances stay at every instant');
SELECT is((SELECT sum(points::numeric) FROM loyalty.liability), :owed::numeric, 'as does what is owed');
SELECT sound('maintained');
DO $$ BEGIN FOR i IN 1..30 LOOP PERFORM change(); END LOOP; END $$;
CALL loyalty.maintain();
SELECT sound('changed again');
SELECT cmp_ok((SELECT count(DISTINCT (decision, by_silence))::int FROM loyalty.confirmation WHERE decision IS NOT NULL), '>=', 3, 'all sorts of decisions were made');

-- What is damaged by hand is found, and nothing else.
UPDATE orders SET status = 'paid', total = 40 WHERE id = 3;
INSERT INTO orders VALUES (71, 'ivy', 40, 'paid', '2024-01-10'), (72, 'ivy', 30, 'paid', '2024-01-11'), (73, 'ivy', 20, 'paid', '2024-01-12');
SELECT loyalty.accept('ivy', entry_of('72', 'capped'), program => 'beans');
SELECT loyalty.reject('ivy', entry_of('73', 'capped'), program => 'beans');
INSERT INTO orders VALUES (74, 'ivy', 25, 'paid', '2024-06-10');
SELECT sound('to begin with');
SET session_replication_role = replica;
CREATE TEMPORARY VIEW ivy AS SELECT * FROM loyalty.confirmation WHERE member_id = loyalty.member_id('ivy', 'beans');
SAVEPOINT sound;
UPDATE loyalty.member SET awaiting = 41 WHERE member_id = loyalty.member_id('ivy', 'beans');
SELECT finds('what awaits of a member',
	'I4 confirmation | beans | ivy | points that await confirmation are not what confirmation says | 47 | 41');
ROLLBACK TO sound;
DELETE FROM ivy WHERE source_key = '71';
SELECT finds('a row is gone',
	'I4 confirmation | beans | ivy | confirmation of entry 1 is not what the entries say | a row | no row',
	'I4 confirmation | beans | ivy | points that await confirmation are not what confirmation says | 7 | 47');
ROLLBACK TO sound;
UPDATE ivy SET seq = 100 WHERE source_key = '71';
SELECT finds('a row of another entry',
	'I4 confirmation | beans | ivy | confirmation of entry 1 is not what the entries say | a row | no row',
	'I4 confirmation | beans | ivy | confirmation of entry 100 is not what the entries say | no row | a row');
ROLLBACK TO sound;
UPDATE ivy SET points = '39' WHERE source_key = '71';
SELECT finds('points of a row',
	'I4 confirmation | beans | ivy | points that await confirmation are not what confirmation says | 46 | 47',
	'I4 confirmation | beans | ivy | points that await confirmation since entry 1 are not what the entries say | 40 | 39');
ROLLBACK TO sound;
UPDATE ivy SET points = '30' WHERE source_key = '72';
SELECT finds('points that were decided on',
	'I4 confirmation | beans | ivy | points that await confirmation are not what confirmation says | 77 | 47',
	'I4 confirmation | beans | ivy | points that await confirmation since entry 2 are not what the entries say | 0 | 30');
ROLLBACK TO sound;
UPDATE ivy SET decision = 'rejected' WHERE source_key = '72';
SELECT finds('a decision',
	'I4 confirmation | beans | ivy | decision on entry 2 is not what the entries say | accepted | rejected');
ROLLBACK TO sound;
UPDATE ivy SET decision = NULL, decided_seq = NULL WHERE source_key = '73';
SELECT finds('no decision',
	'I4 confirmation | beans | ivy | decision on entry 3 is not what the entries say | rejected | none',
	'I4 confirmation | beans | ivy | entry that decides on entry 3 is not the one | 5 | none');
ROLLBACK TO sound;
UPDATE ivy SET decided_seq = 1, decided_at = '2024-06-01' WHERE source_key = '73';
SELECT is((SELECT count(*)::int FROM found()), 2, 'entry and time of a decision');
ROLLBACK TO sound;
UPDATE ivy SET source_key = '74', due = '2024-02-01' WHERE source_key = '71';
SELECT finds('purchase and day',
	'I4 confirmation | beans | ivy | day on which silence decides on entry 1 is not the rule''s | never | 2024-02-01',
	'I4 confirmation | beans | ivy | purchase and rule of the confirmation of entry 1 are not the entry''s | source 1, key 71, rule 1 | source 1, key 74, rule 1');
ROLLBACK TO sound;
UPDATE loyalty.confirmation SET due = due + 1 WHERE source_id = 0 AND on_silence = 'reject';
SELECT is((SELECT count(*)::int FROM found()), 1, 'the day on which silence decided');
ROLLBACK TO sound;
-- in the ledger
UPDATE loyalty.entry SET context = context || '{"awaiting": 39}' WHERE member_id = loyalty.member_id('ivy', 'beans') AND source_key = '71' AND context ? 'awaiting';
SELECT finds('what awaits by an entry',
	'I4 confirmation | beans | ivy | points that await confirmation since entry 1 are not what the entries say | 39 | 40',
	'I4 limits | beans | ivy | points counted of rule "capped" are not what stands | 69 | 70');
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = context || '{"awaiting": 8}' WHERE member_id = loyalty.member_id('ivy', 'beans') AND source_key = '74' AND context ? 'awaiting';
SELECT finds('and where nothing limits it',
	'I4 confirmation | beans | ivy | points that await confirmation since entry 6 are not what the entries say | 8 | 7',
	'I4 | beans | ivy | orders 74 | points of rule "now" that await confirmation are not what the row wants | 7 | 8');
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = context || '{"decision": "accepted"}' WHERE member_id = loyalty.member_id('ivy', 'beans') AND source_key = '73' AND context ? 'decision';
SELECT finds('a rejection made an acceptance',
	'I4 confirmation | beans | ivy | decision on entry 3 is not what the entries say | accepted | rejected',
	'I4 | beans | ivy | orders 73 | points of rule "capped" are not what the row earns | 20 | 0');
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = context || '{"decision": "rejected"}' WHERE member_id = loyalty.member_id('ivy', 'beans') AND source_key = '72' AND context ? 'decision';
SELECT finds('an acceptance made a rejection',
	'I4 confirmation | beans | ivy | decision on entry 2 is not what the entries say | rejected | accepted',
	'I4 | beans | ivy | orders 72 | points of rule "capped" are not what the row earns | 0 | 30');
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = context - 'decision' WHERE member_id = loyalty.member_id('ivy', 'beans') AND source_key = '73' AND context ? 'decision';
SELECT is((SELECT count(*)::int FROM found()), 4, 'a decision that no entry says');
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = '{"decision": "perhaps"}' WHERE member_id = loyalty.member_id('ivy', 'beans') AND source_key = '73' AND context ? 'decision';
SELECT finds('a decision that is none',
	'I4 confirmation | beans | ivy | decision on entry 3 is not what the entries say | perhaps | rejected',
	'I4 | beans | ivy | orders 73 | purchase cannot be judged: "decision" in the context of a purchase is malformed');
ROLLBACK TO sound;
UPDATE loyalty.rule_usage SET points = '1' WHERE member_id = loyalty.member_id('ivy', 'beans');
SELECT finds('what is counted of a limit',
	'I4 limits | beans | ivy | points counted of rule "capped" are not what stands | 70 | 1');
ROLLBACK TO sound;
-- What is wrong with one member keeps silence from nobody else, nor stops the till.
RESET session_replication_role;
INSERT INTO loyalty.rule (program, name, event, award, confirm, confirm_within, on_silence) VALUES ('beans', 'call', 'call', '9', true, '1 day', 'accept');
SELECT loyalty.record(m, 'call', at => '2024-01-01', key => 'c', program => 'beans') FROM unnest('{jim,kay,lea}'::text[]) m;
SET session_replication_role = replica;
UPDATE loyalty.entry SET context = context - 'awaiting' WHERE member_id = loyalty.member_id('kay', 'beans') AND context ? 'awaiting';
RESET session_replication_role;
CALL loyalty.maintain();
SELECT is((SELECT string_agg(concat_ws(' ', m.ref, c.decision), ', ' ORDER BY m.ref) FROM loyalty.confirmation c JOIN loyalty.member m USING (member_id) WHERE source_key = 'record:c'),
		  'jim accepted, kay, lea accepted', 'one member who fails is passed over');
INSERT INTO orders VALUES (75, 'kay', 12, 'paid', '2024-01-20');
SELECT is((SELECT awaiting::text FROM loyalty.member WHERE member_id = loyalty.member_id('kay', 'beans')), '21', 'and goes on earning');
ROLLBACK TO sound;
SELECT sound('all is as it was');

SELECT finish();
ROLLBACK;
