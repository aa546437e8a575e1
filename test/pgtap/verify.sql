-- verify() finds what was damaged by hand, names it, and finds nothing else.
\set QUIET 1
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL TimeZone = 'UTC';
SELECT plan(62);

-- What verify finds, as lines; hashes are left out.
CREATE FUNCTION found(program text DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', v.invariant, v.program, v.member, v.purchase, v.problem,
					 CASE WHEN v.invariant <> 'I3' THEN v.expected END,
					 CASE WHEN v.invariant <> 'I3' THEN v.actual END)
	FROM loyalty.verify(program) v
$$;

CREATE FUNCTION finds(description text, VARIADIC lines text[]) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), lines, description) FROM found() f
$$;

CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), '{}', description) FROM found() f
$$;

SELECT sound('nothing is sound');

-- A shop with two programs, all sorts of purchases, and a clawback of each kind.
INSERT INTO loyalty.program (name, expiry) VALUES ('beans', '12 months');
INSERT INTO loyalty.program (name, clawback, auto_enroll, pending) VALUES ('tight', 'available', false, '7 days');
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1'), ('tight', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, award, active) VALUES ('beans', 'welcome', '5', '[2026-01-01, 2026-02-01)');

CREATE TABLE orders (id integer PRIMARY KEY, customer text, total numeric, status text DEFAULT 'paid', at timestamptz);
CREATE TABLE tickets (shop integer, no text, customer text, total numeric, at timestamptz, PRIMARY KEY (shop, no));
INSERT INTO orders VALUES (1, 'ada', 11, 'paid', '2026-01-10');
CREATE TEMPORARY TABLE source AS
	SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at',
						  counts => $$status = 'paid'$$, program => 'beans') AS orders,
		   loyalty.attach('tickets', member => 'customer', amount => 'total', at => 'at',
						  on_delete => 'keep', program => 'tight') AS tickets;
SELECT sound('rows older than the source are left to backfill');
CALL loyalty.backfill('orders');
SELECT sound('backfilled');

INSERT INTO orders VALUES
	(2, 'ada', 20.50, 'paid', '2026-01-12'), (3, 'ada', 30, 'paid', '2026-03-12'), (4, 'bob', 40, 'paid', '2026-03-13'),
	(5, 'cyd', 50, 'paid', '2026-03-14'), (6, 'cyd', 60, 'open', '2026-03-15'), (7, NULL, 70, 'paid', '2026-03-16'),
	(8, 'dan', -8, 'paid', '2026-03-16'), (9, 'eve', 90, 'paid', '2026-03-16');
SELECT loyalty.set_member('eve', status => 'suspended', program => 'beans');
INSERT INTO orders VALUES (10, 'eve', 100, 'paid', '2026-03-17');
UPDATE orders SET total = 35 WHERE id = 3;
UPDATE orders SET customer = 'bob' WHERE id = 2;
SELECT loyalty.adjust('cyd', -50, program => 'beans');
DELETE FROM orders WHERE id = 5;
SELECT loyalty.enroll('fay', at => '2026-01-01', program => 'tight');
INSERT INTO tickets VALUES
	(1, 'a', 'fay', 100, '2026-02-01'), (1, 'b,c', 'fay', 50, '2026-02-02'), (2, 'a', 'gus', 10, '2026-02-03');
SELECT loyalty.adjust('fay', -150, program => 'tight');
SELECT loyalty.adjust('fay', 20, program => 'tight');
UPDATE tickets SET total = 70 WHERE no = 'a' AND shop = 1;
DELETE FROM tickets WHERE no = 'b,c';
UPDATE loyalty.source SET backfill_finished_at = now();
SELECT sound('orders, returns, a debt, a shortfall, a refund alone, guests, and those who are no members');
SELECT is((SELECT purse::text FROM loyalty.member WHERE ref = 'cyd'), '{-50@infinity}', 'there is a debt');
SELECT is((SELECT sum((context ->> 'shortfall')::numeric) FROM loyalty.entry WHERE context ? 'shortfall'), 10.0, 'and a shortfall');

SET session_replication_role = replica;
SAVEPOINT sound;

-- I1
UPDATE loyalty.entry SET points = 41 WHERE member_id = loyalty.member_id('bob', 'beans') AND seq = 1;
SELECT finds('points of an entry',
	'I1 | beans | bob | lifetime points are not what the entries say | 66 | 65',
	'I1 | beans | bob | points of entry 1 are not the total of its lots | 40 | 41',
	'I3 | beans | bob | hash of entry 1 does not cover it and the hash before it',
	'I4 | beans | bob | orders 4 | points of rule "base" are not what the row earns | 40 | 41');
ROLLBACK TO sound;
UPDATE loyalty.entry SET lots = '{41@2027-03-13}' WHERE member_id = loyalty.member_id('bob', 'beans') AND seq = 1;
SELECT finds('lots of an entry',
	'I1 | beans | bob | points of entry 1 are not the total of its lots | 41 | 40',
	'I1 | beans | bob | purse is not the sum of the entries'' lots | {25@2027-01-12, 41@2027-03-13} | {25@2027-01-12, 40@2027-03-13}',
	'I3 | beans | bob | hash of entry 1 does not cover it and the hash before it');
ROLLBACK TO sound;
UPDATE loyalty.member SET purse = purse OPERATOR(loyalty.+) '{1@infinity}' WHERE ref = 'bob';
SELECT finds('a purse',
	'I1 | beans | bob | purse is not the sum of the entries'' lots | {25@2027-01-12, 40@2027-03-13} | {25@2027-01-12, 40@2027-03-13, 1@infinity}');
ROLLBACK TO sound;
UPDATE loyalty.member SET lifetime = 1 WHERE ref = 'bob';
SELECT finds('lifetime points',
	'I1 | beans | bob | lifetime points are not what the entries say | 65 | 1');
ROLLBACK TO sound;
UPDATE loyalty.member SET last_activity = NULL WHERE ref = 'bob';
SELECT finds('last activity',
	'I1 | beans | bob | last activity is not what the entries say | 2026-03-13 00:00:00+00 | none');
ROLLBACK TO sound;
UPDATE loyalty.entry SET points = 922337203685477, lots = '{922337203685477@2027-03-13}' WHERE member_id = loyalty.member_id('bob', 'beans');
SELECT finds('sums out of range',
	'I1 | beans | bob | entry 2 cannot be added up: points out of range',
	'I3 | beans | bob | hash of entry 1 does not cover it and the hash before it',
	'I3 | beans | bob | hash of entry 3 does not cover it and the hash before it',
	'I4 | beans | bob | orders 2 | points of rule "base" are not what the row earns | 20 | 922337203685477',
	'I4 | beans | bob | orders 2 | points of rule "welcome" are not what the row earns | 5 | 922337203685477',
	'I4 | beans | bob | orders 4 | points of rule "base" are not what the row earns | 40 | 922337203685477');
ROLLBACK TO sound;

-- I2
DELETE FROM loyalty.entry WHERE member_id = loyalty.member_id('bob', 'beans') AND seq = 1;
SELECT finds('an entry in the midst is gone',
	'I1 | beans | bob | last activity is not what the entries say | 2026-01-12 00:00:00+00 | 2026-03-13 00:00:00+00',
	'I1 | beans | bob | lifetime points are not what the entries say | 25 | 65',
	'I1 | beans | bob | purse is not the sum of the entries'' lots | {25@2027-01-12} | {25@2027-01-12, 40@2027-03-13}',
	'I2 | beans | bob | entry 2 does not follow the entry before it | 1 | 2',
	'I2 | beans | bob | number of purchases is not what the entries say | 1 | 2',
	'I3 | beans | bob | hash of entry 2 does not cover it and the hash before it',
	'I4 | beans | bob | orders 4 | row counts and was never judged | an entry for 40 | none');
ROLLBACK TO sound;
DELETE FROM loyalty.entry WHERE member_id = loyalty.member_id('bob', 'beans') AND seq = 3;
SELECT finds('the last entry is gone',
	'I1 | beans | bob | lifetime points are not what the entries say | 45 | 65',
	'I1 | beans | bob | purse is not the sum of the entries'' lots | {5@2027-01-12, 40@2027-03-13} | {25@2027-01-12, 40@2027-03-13}',
	'I2 | beans | bob | number of the last entry is not the row''s | 2 | 3',
	'I3 | beans | bob | head is not the hash of the last entry',
	'I4 | beans | bob | orders 2 | points of rule "base" are not what the row earns | 20 | 0');
ROLLBACK TO sound;
UPDATE loyalty.entry SET seq = 2 WHERE member_id = loyalty.member_id('bob', 'beans') AND seq = 1;
SELECT finds('a number stands twice',
	'I2 | beans | bob | entry 2 does not follow the entry before it | 1 | 2',
	'I2 | beans | bob | entry 2 does not follow the entry before it | 3 | 2',
	'I3 | beans | bob | hash of entry 2 does not cover it and the hash before it',
	'I3 | beans | bob | hash of entry 2 does not cover it and the hash before it',
	'I3 | beans | bob | hash of entry 3 does not cover it and the hash before it');
ROLLBACK TO sound;
UPDATE loyalty.entry SET program_id = 2 WHERE member_id = loyalty.member_id('bob', 'beans') AND seq = 1;
SELECT finds('program of an entry',
	'I2 | beans | bob | entry 1 is not of its member''s program | 1 | 2',
	'I3 | beans | bob | hash of entry 1 does not cover it and the hash before it');
ROLLBACK TO sound;
DELETE FROM loyalty.member WHERE ref = 'bob';
SELECT finds('a member is gone',
	'I2 | beans | member_id 8716880717983737148 | entries whose member is not there | 0 | 3');
ROLLBACK TO sound;
DELETE FROM loyalty.entry WHERE member_id = loyalty.member_id('dan', 'beans');
SELECT finds('all entries are gone',
	'I1 | beans | dan | lifetime points are not what the entries say | 0 | -8',
	'I1 | beans | dan | purse is not the sum of the entries'' lots | {} | {-8@infinity}',
	'I2 | beans | dan | number of purchases is not what the entries say | 0 | 1',
	'I2 | beans | dan | number of the last entry is not the row''s | 0 | 1',
	'I3 | beans | dan | head is not the hash of the last entry',
	'I4 | beans | dan | orders 8 | row counts and was never judged | an entry for -8 | none');
ROLLBACK TO sound;
UPDATE loyalty.member SET purchases = 3 WHERE ref = 'bob';
SELECT finds('a number of purchases',
	'I2 | beans | bob | number of purchases is not what the entries say | 2 | 3');
ROLLBACK TO sound;

-- I3
UPDATE loyalty.entry SET note = 'x' WHERE member_id = loyalty.member_id('fay', 'tight') AND seq = 2;
SELECT finds('a note',
	'I3 | tight | fay | hash of entry 2 does not cover it and the hash before it');
ROLLBACK TO sound;
UPDATE loyalty.entry SET occurred_at = occurred_at + '1 second' WHERE member_id = loyalty.member_id('ada', 'beans') AND seq = 2;
SELECT finds('a time',
	'I3 | beans | ada | hash of entry 2 does not cover it and the hash before it');
ROLLBACK TO sound;
UPDATE loyalty.entry SET hash = sha256('') WHERE member_id = loyalty.member_id('ada', 'beans') AND seq = 2;
SELECT finds('a hash: the next does not follow it',
	'I3 | beans | ada | hash of entry 2 does not cover it and the hash before it',
	'I3 | beans | ada | hash of entry 3 does not cover it and the hash before it');
ROLLBACK TO sound;
UPDATE loyalty.entry SET hash = '\x00' WHERE member_id = loyalty.member_id('bob', 'beans') AND seq = 2;
SELECT finds('a hash that is none',
	'I3 | beans | bob | hash of entry 2 does not cover it and the hash before it',
	'I3 | beans | bob | hash of entry 3 does not cover it and the hash before it');
ROLLBACK TO sound;
UPDATE loyalty.member SET head = '' WHERE ref = 'bob';
SELECT finds('a head',
	'I3 | beans | bob | head is not the hash of the last entry');
ROLLBACK TO sound;

-- I4: the entries
UPDATE loyalty.entry SET amount = 41 WHERE member_id = loyalty.member_id('bob', 'beans') AND amount = 40;
SELECT finds('amount of an entry',
	'I3 | beans | bob | hash of entry 1 does not cover it and the hash before it',
	'I4 | beans | bob | orders 4 | amount on record is not the row''s | 40 | 41');
ROLLBACK TO sound;
UPDATE loyalty.entry SET rule_horizon = 0 WHERE member_id = loyalty.member_id('bob', 'beans') AND source_key = '4';
SELECT finds('the rules that a purchase was judged by',
	'I3 | beans | bob | hash of entry 1 does not cover it and the hash before it',
	'I4 | beans | bob | orders 4 | points of rule "base" are not what the row earns | 0 | 40');
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = NULL WHERE member_id = loyalty.member_id('eve', 'beans');
SELECT finds('the status that a purchase was judged by',
	'I3 | beans | eve | hash of entry 2 does not cover it and the hash before it',
	'I4 | beans | eve | orders 10 | points of rule "base" are not what the row earns | 100 | 0');
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = '{"shortfall": 12}' WHERE context ? 'shortfall';
SELECT finds('a shortfall',
	'I3 | tight | fay | hash of entry 5 does not cover it and the hash before it',
	'I4 | tight | fay | tickets 1,a | shortfall of rule "base" is not what a clawback left | 10 | 12');
ROLLBACK TO sound;
UPDATE loyalty.entry SET context = '{"shortfall": "12"}' WHERE context ? 'shortfall';
SELECT finds('a shortfall that is no number',
	'I3 | tight | fay | hash of entry 5 does not cover it and the hash before it',
	'I4 | tight | fay | tickets 1,a | purchase cannot be judged: "shortfall" in the context of a purchase is malformed');
ROLLBACK TO sound;
UPDATE loyalty.entry SET source_key = '44' WHERE member_id = loyalty.member_id('bob', 'beans') AND source_key = '4';
SELECT finds('a key',
	'I3 | beans | bob | hash of entry 1 does not cover it and the hash before it',
	'I4 vanished | beans | bob | orders 44 | points stand though the row is gone | 0 points for 0 | 40 points for 40',
	'I4 | beans | bob | orders 4 | row counts and was never judged | an entry for 40 | none');
ROLLBACK TO sound;

-- I4: the rows, changed behind the trigger's back
SET LOCAL session_replication_role = replica;
SAVEPOINT behind;
UPDATE orders SET total = 41 WHERE id = 4;
SELECT finds('amount of a row',
	'I4 | beans | bob | orders 4 | amount on record is not the row''s | 41 | 40',
	'I4 | beans | bob | orders 4 | points of rule "base" are not what the row earns | 41 | 40');
ROLLBACK TO behind;
UPDATE orders SET status = 'open' WHERE id = 4;
SELECT finds('a row that counts no more',
	'I4 | beans | bob | orders 4 | amount on record is not the row''s | 0 | 40',
	'I4 | beans | bob | orders 4 | points of rule "base" are not what the row earns | 0 | 40');
ROLLBACK TO behind;
UPDATE orders SET status = 'paid' WHERE id = 6;
SELECT finds('a row that counts and was never judged',
	'I4 | beans | cyd | orders 6 | row counts and was never judged | an entry for 60 | none');
UPDATE loyalty.source SET backfill_finished_at = NULL;
SELECT sound('nobody can tell before the backfill is finished');
ROLLBACK TO behind;
UPDATE orders SET customer = 'ada' WHERE id = 4;
SELECT finds('a row that changed its member',
	'I4 | beans | ada | orders 4 | row counts and was never judged | an entry for 40 | none',
	'I4 | beans | bob | orders 4 | points stand though the row belongs to member "ada" | 0 points for 0 | 40 points for 40');
ROLLBACK TO behind;
UPDATE orders SET customer = NULL WHERE id = 4;
SELECT finds('a row that became a guest''s',
	'I4 | beans | bob | orders 4 | points stand though the row is a guest''s | 0 points for 0 | 40 points for 40');
ROLLBACK TO behind;
DELETE FROM orders WHERE id = 4;
SELECT finds('a row that vanished',
	'I4 vanished | beans | bob | orders 4 | points stand though the row is gone | 0 points for 0 | 40 points for 40');
ROLLBACK TO behind;
DELETE FROM tickets;
SELECT sound('a source that keeps points may lose its rows');
ROLLBACK TO behind;
UPDATE tickets SET total = 71 WHERE no = 'a' AND shop = 1;
SELECT finds('a key of two parts',
	'I4 | tight | fay | tickets 1,a | amount on record is not the row''s | 71 | 70',
	'I4 | tight | fay | tickets 1,a | shortfall of rule "base" is not what a clawback left | 9 | 10');
ROLLBACK TO behind;
INSERT INTO tickets VALUES (3, 'a', 'fay', 10, '2025-12-31');
SELECT sound('a purchase from before he joined, in a program that does not enroll');
INSERT INTO tickets VALUES (3, 'b', 'fay', 10, '2026-01-02');
SELECT finds('a purchase from after he joined',
	'I4 | tight | fay | tickets 3,b | row counts and was never judged | an entry for 10 | none');
ROLLBACK TO behind;
UPDATE orders SET at = 'infinity' WHERE id IN (4, 9);
SELECT finds('rows that cannot be read',
	'I4 | beans | orders 4 | row cannot be read: time of a purchase must be finite',
	'I4 | beans | orders 9 | row cannot be read: time of a purchase must be finite');
ROLLBACK TO behind;
UPDATE orders SET total = 1e30 WHERE id = 4;
SELECT finds('a row that cannot be judged',
	'I4 | beans | bob | orders 4 | purchase cannot be judged: points out of range');
INSERT INTO loyalty.deferred (source_id, source_key, program_id, member_ids, error_code, message)
	SELECT orders, '4', 1, '{}', '22003', '' FROM source;
SELECT sound('deferred purchases are excepted');
ROLLBACK TO behind;
UPDATE orders SET total = 41 WHERE id = 4;
INSERT INTO loyalty.deferred (source_id, source_key, program_id, member_ids, error_code, message)
	SELECT orders, '4', 1, '{}', '22003', '' FROM source;
SELECT sound('whatever is wrong with them');
ROLLBACK TO behind;
ALTER TABLE orders DROP CONSTRAINT orders_pkey;
INSERT INTO orders SELECT * FROM orders WHERE id = 4;
SELECT finds('two rows with one key',
	'I4 | beans | bob | orders 4 | several rows have the key | 1');
ROLLBACK TO behind;
ALTER TABLE orders DROP COLUMN status;
SELECT finds('a source that cannot be read',
	'I4 | beans | orders | source cannot be read: column "status" does not exist');
ROLLBACK TO behind;
DROP TABLE orders;
SELECT finds('a table that is gone',
	'I4 vanished | beans | orders | table or program of the source is gone');
ROLLBACK TO sound;

-- I5
UPDATE loyalty.member SET purse = '{-1@2027-01-01}' WHERE ref = 'bob';
SELECT finds('a lot below zero',
	'I1 | beans | bob | purse is not the sum of the entries'' lots | {25@2027-01-12, 40@2027-03-13} | {-1@2027-01-01}',
	'I5 | beans | bob | a lot that is no debt is below zero | 0 | -1 that end on 2027-01-01');
ROLLBACK TO sound;
UPDATE loyalty.entry SET kind = 'adjust' WHERE kind = 'clawback' AND member_id = loyalty.member_id('cyd', 'beans');
SELECT finds('a debt that no clawback made',
	'I1 | beans | cyd | lifetime points are not what the entries say | 50 | 0',
	'I3 | beans | cyd | hash of entry 3 does not cover it and the hash before it',
	'I5 | beans | cyd | entry 3 makes a debt though it is no clawback | 0 | -50');
ROLLBACK TO sound;
UPDATE loyalty.program SET clawback = 'none' WHERE name = 'beans';
SELECT sound('a debt from when the policy allowed it');
ROLLBACK TO sound;

-- The row itself
UPDATE loyalty.member SET ref = 'bert' WHERE ref = 'bob';
SELECT finds('a ref',
	'member | beans | bert | ref does not lead to the member | 4787652597375131500 | 8716880717983737148');
INSERT INTO loyalty.member_alias SELECT program_id, ref, member_id FROM loyalty.member WHERE ref = 'bert';
SET LOCAL session_replication_role = origin;
UPDATE loyalty.program SET name = name;
SELECT sound('a ref that has an alias');
ROLLBACK TO sound;
UPDATE loyalty.member SET program_id = 99 WHERE ref = 'bob';
SELECT finds('a program that is not there',
	'I2 | bob | entry 1 is not of its member''s program | 99 | 1',
	'I2 | bob | entry 2 is not of its member''s program | 99 | 1',
	'I2 | bob | entry 3 is not of its member''s program | 99 | 1',
	'member | bob | program does not exist | 99');
ROLLBACK TO sound;
UPDATE loyalty.member SET next_expiry = '2027-03-14' WHERE ref = 'bob';
SELECT finds('a next_expiry that is too late',
	'member | beans | bob | points end before next_expiry | 2027-01-12 | 2027-03-14');
UPDATE loyalty.member SET next_expiry = NULL WHERE ref = 'bob';
SELECT finds('none',
	'member | beans | bob | points end before next_expiry | 2027-01-12 | infinity');
UPDATE loyalty.member SET next_expiry = '2026-01-01' WHERE ref = 'bob';
SELECT sound('too early is as it may be');
ROLLBACK TO sound;
UPDATE loyalty.member SET status = 'frozen' WHERE ref = 'bob';
SELECT finds('a status',
	'member | beans | bob | status is not known | active, suspended, closed, merged or forgotten | frozen');
ROLLBACK TO sound;

-- One program of several
UPDATE loyalty.member SET lifetime = lifetime OPERATOR(loyalty.+) '1' WHERE ref IN ('bob', 'fay');
UPDATE loyalty.entry SET amount = 1 WHERE amount = 40;
SELECT is((SELECT count(*) FROM found('tight')), 1::bigint, 'only what is wrong with one program');
SELECT is((SELECT count(DISTINCT split_part(f, ' | ', 2)) FROM found() f), 2::bigint, 'or with all');
SELECT throws_ok($$SELECT * FROM loyalty.verify('none')$$, 'LY004', NULL, 'a program that does not exist');
ROLLBACK TO sound;

SELECT sound('and all is as before');
SELECT * FROM finish();
ROLLBACK;
