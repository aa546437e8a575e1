--
-- merge: members who are one person, their orders, and how they are parted again
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
-- members by their refs, and their entries without the numbers that members are computed to
CREATE FUNCTION pg_temp.members(VARIADIC refs text[]) RETURNS TABLE (ref text, status text, tier text, lifetime loyalty.points, purse loyalty.purse, tally loyalty.tally, seq bigint) LANGUAGE sql AS $$
	SELECT ref, status, tier, lifetime, purse, tally, seq FROM loyalty.member WHERE ref = ANY (refs)
	AND program_id = (SELECT program_id FROM loyalty.program WHERE name = current_setting('loyalty.program')) ORDER BY ref
$$;
CREATE FUNCTION pg_temp.entries(VARIADIC refs text[]) RETURNS TABLE (ref text, seq bigint, kind text, points loyalty.points, lots loyalty.purse, source_key text, note text, context text) LANGUAGE sql AS $$
	SELECT m.ref, e.seq, e.kind, e.points, e.lots, regexp_replace(e.source_key, '\d{10,}', '<' || coalesce(o.ref, '') || '>'), e.note,
		concat_ws(' ', o.ref, coalesce(e.context ->> 'to_entry', e.context ->> 'from_entry'), e.context ->> 'lifetime', e.context ->> 'tally')
	FROM loyalty.entry e JOIN loyalty.member m USING (member_id)
	LEFT JOIN loyalty.member o ON o.member_id = coalesce(e.context ->> 'to_member_id', e.context ->> 'from_member_id')::bigint
	WHERE m.ref = ANY (refs) AND m.program_id = (SELECT program_id FROM loyalty.program WHERE name = current_setting('loyalty.program')) ORDER BY m.ref, e.seq
$$;

INSERT INTO loyalty.program (name, tier_window) VALUES ('merge_plain', 'rolling 12 months');
INSERT INTO loyalty.rule (program, name, award) VALUES ('merge_plain', 'base', '1 per 1');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('merge_plain', 'base', 0, 0), ('merge_plain', 'silver', 1, 100), ('merge_plain', 'gold', 2, 250);
INSERT INTO loyalty.tier (program, name, rank) VALUES ('merge_plain', 'by hand', 3);
SET loyalty.program = 'merge_plain';
CREATE TABLE merge_order (id int PRIMARY KEY, customer text, total numeric, paid boolean NOT NULL DEFAULT true, at timestamptz NOT NULL DEFAULT '2026-01-10 12:00Z');
SELECT loyalty.attach('merge_order', member => 'customer', amount => 'total', at => 'at', counts => 'paid') > 0 AS attached;

-- All that he has goes: what expires, what is pending, and what stands beside points
INSERT INTO merge_order VALUES (1, 'ann', 120, true, '2026-01-05 12:00Z'), (2, 'ann', 20, true, '2026-01-07 12:00Z'), (3, 'anna', 150, true, '2026-01-08 12:00Z');
SELECT balance FROM loyalty.adjust('ann', 30, expires => '2990-12-31', at => '2026-01-09 12:00Z');
SELECT enrolled_at FROM loyalty.member WHERE member_id IN (loyalty.find_member('ann'), loyalty.find_member('anna')) ORDER BY 1;
SELECT * FROM pg_temp.members('ann', 'anna');
SELECT loyalty.merge_members('ann', 'anna', reason => 'same phone number', key => 'm1');
SELECT * FROM pg_temp.members('ann', 'anna');
SELECT * FROM pg_temp.entries('ann', 'anna');
SELECT count(*), min(enrolled_at) FROM loyalty.member WHERE member_id = loyalty.find_member('ann');
SELECT available, lifetime, tier FROM loyalty.balance('ann');
SELECT available, lifetime, tier FROM loyalty.balance('anna');
SELECT entry, kind, points, balance FROM loyalty.statement('ann');
SELECT seq, into_seq, undone_at, had_enrolled_at, ref, refs, gave_tier FROM loyalty.member_merge WHERE ref = 'ann';
SELECT a.ref, m.ref AS leads_to FROM loyalty.member_alias a JOIN loyalty.member m USING (member_id) WHERE a.ref LIKE 'ann%';
-- what is said of him is about her
INSERT INTO merge_order VALUES (4, 'ann', 5), (5, 'anna', 6);
SELECT balance FROM loyalty.spend('ann', 1);
SELECT loyalty.enroll('ann') = loyalty.find_member('anna') AS same;
SELECT * FROM pg_temp.members('ann', 'anna');
SELECT * FROM loyalty.verify();

-- Once more does nothing
SELECT loyalty.merge_members('ann', 'anna');
SELECT loyalty.merge_members('ann', 'anna', key => 'm1');
SELECT loyalty.merge_members('ann', 'anna', key => 'another');
SELECT sum(seq) AS entries FROM pg_temp.members('ann', 'anna');

-- What is refused
SELECT loyalty.enroll(who) IS NOT NULL AS enrolled FROM unnest('{bob,sue,cle}'::text[]) who;
SELECT loyalty.set_member('sue', status => 'suspended'), loyalty.set_member('cle', status => 'closed');
SELECT arguments, pg_temp.try(format('SELECT loyalty.merge_members(%s)', arguments)) FROM unnest(ARRAY[
	$$'anna', 'ann'$$, $$'bob', 'bob'$$, $$'ann', 'bob'$$, $$'nobody', 'bob'$$, $$'bob', 'nobody'$$, $$'nobody', 'nobody else'$$,
	$$'sue', 'bob'$$, $$'bob', 'sue'$$, $$'cle', 'bob'$$, $$'bob', 'cle'$$, $$NULL::text, 'bob'$$, $$'bob', ''$$,
	$$'bob', 'ann', at => now() + interval '1 hour'$$, $$'bob', 'ann', key => repeat('k', 2000)$$, $$'bob', 'ann', program => 'nowhere'$$]) AS arguments;
SELECT regexp_replace(pg_temp.try($$SELECT loyalty.merge_members('bob', 'ann', at => '2026-01-01')$$), 'is of .* and', 'is of ... and') AS try;
SELECT count(*) AS strangers FROM loyalty.member WHERE ref ~ '^nobody';
SELECT pg_temp.try($$SELECT loyalty.set_member('bob', status => 'merged')$$);
SELECT balance FROM loyalty.adjust('ned', 1);
INSERT INTO loyalty.program (name) VALUES ('merge_confirm');
INSERT INTO loyalty.rule (program, name, award, event, confirm, active) VALUES ('merge_confirm', 'review', '10', 'review', true, '(,)');
SELECT points FROM loyalty.record('dot', 'review', program => 'merge_confirm');
SELECT loyalty.enroll('dora', program => 'merge_confirm') IS NOT NULL AS enrolled;
SELECT pg_temp.try($$SELECT loyalty.merge_members('dot', 'dora', program => 'merge_confirm')$$);
SELECT pg_temp.try($$SELECT loyalty.merge_members('dora', 'dot', program => 'merge_confirm')$$);

-- His orders from before are judged in his ledger, and what they come to is passed on
UPDATE merge_order SET total = 60 WHERE id = 1;
SELECT * FROM pg_temp.members('ann', 'anna');
SELECT * FROM pg_temp.entries('ann');
SELECT rule, amount, points, why FROM loyalty.explain('merge_order', '1');
SELECT rule, amount, points, why FROM loyalty.explain('merge_order', '1', 'ann');
SELECT rule, amount, points, why FROM loyalty.explain('merge_order', '1', 'anna');
UPDATE merge_order SET total = 90 WHERE id = 1;
SELECT ref, lifetime, purse, tally FROM pg_temp.members('ann', 'anna');
-- nothing changes when the shop writes down whose they are now
UPDATE merge_order SET customer = 'anna';
UPDATE merge_order SET total = total;
SELECT ref, seq, purse FROM pg_temp.members('ann', 'anna');
SELECT * FROM loyalty.verify();
-- what has been spent of it is taken as the program says: below zero
SELECT balance FROM loyalty.spend('anna', (SELECT available FROM loyalty.balance('anna')) - 10);
SELECT ref, purse FROM pg_temp.members('anna');
DELETE FROM merge_order WHERE id = 1;
SELECT * FROM pg_temp.members('ann', 'anna');
SELECT * FROM loyalty.verify();
INSERT INTO merge_order VALUES (1, 'ann', 10, true, '2026-01-05 12:00Z');
UPDATE merge_order SET customer = 'zoe' WHERE id IN (2, 3);
SELECT * FROM pg_temp.members('ann', 'anna', 'zoe');
SELECT * FROM loyalty.verify();
-- in one statement with orders of hers, and of others
UPDATE merge_order SET total = total + 1;
SELECT ref, lifetime, purse, tally FROM pg_temp.members('ann', 'anna', 'zoe');
SELECT * FROM loyalty.verify();

-- A debt goes along; so does one that pending points will repay
UPDATE loyalty.program SET pending = '7 days' WHERE name = 'merge_plain';
INSERT INTO merge_order VALUES (10, 'dan', 40, true, '2026-01-01 12:00Z');
SELECT balance FROM loyalty.spend('dan', 40);
UPDATE merge_order SET paid = false WHERE id = 10;
INSERT INTO merge_order VALUES (11, 'dan', 100, true, now());
SELECT ref, left(purse::text, 16) AS purse, lifetime FROM pg_temp.members('dan');
SELECT balance FROM loyalty.adjust('dave', 70, expires => '2990-06-30');
SELECT loyalty.merge_members('dan', 'dave');
SELECT available, pending, debt, lifetime FROM loyalty.balance('dan');
SELECT * FROM loyalty.verify();
SELECT pg_temp.try($$SELECT loyalty.unmerge_members('dan')$$);
SELECT available, pending, debt, lifetime FROM loyalty.balance('dan');
SELECT available, pending, debt, lifetime FROM loyalty.balance('dave');
SELECT * FROM loyalty.verify();
UPDATE loyalty.program SET pending = '0' WHERE name = 'merge_plain';

-- Parting: what he brought comes back, from its own life spans first
SELECT a1.balance, a2.balance FROM loyalty.adjust('eve', 50, expires => '2990-01-31') a1, loyalty.adjust('eva', 100, expires => '2990-06-30') a2;
INSERT INTO merge_order VALUES (20, 'eve', 110, true, '2026-02-01 12:00Z'), (21, 'eva', 150, true, '2026-02-01 12:00Z');
SELECT loyalty.merge_members('eve', 'eva', key => 'once');
SELECT * FROM pg_temp.members('eve', 'eva');
INSERT INTO merge_order VALUES (22, 'eve', 7, true, '2026-02-02 12:00Z');
SELECT balance FROM loyalty.spend('eva', 60);
SELECT purse FROM pg_temp.members('eva');
SELECT loyalty.unmerge_members('eve', reason => 'not the same after all', key => 'u1');
SELECT * FROM pg_temp.members('eve', 'eva');
SELECT * FROM pg_temp.entries('eve', 'eva');
SELECT count(*) FROM loyalty.member_alias WHERE ref = 'eve';
SELECT * FROM loyalty.verify();
-- once more does nothing, by state and by key
SELECT loyalty.unmerge_members('eve'), loyalty.unmerge_members('eve', key => 'u1');
SELECT loyalty.merge_members('eve', 'eva', key => 'once');
SELECT ref, status, seq FROM pg_temp.members('eve', 'eva');
SELECT pg_temp.try($$SELECT loyalty.merge_members('eve', 'anna', key => 'once')$$);
SELECT arguments, pg_temp.try(format('SELECT loyalty.unmerge_members(%s)', arguments)) FROM unnest(ARRAY[$$'eva'$$, $$'nobody'$$, $$NULL::text$$]) AS arguments;
-- orders stay where their entries are, whoever they are about now
UPDATE merge_order SET total = total + 1 WHERE id BETWEEN 20 AND 22;
SELECT ref, lifetime, tally FROM pg_temp.members('eve', 'eva');
SELECT * FROM loyalty.verify();
-- but a purchase that goes to somebody else goes
UPDATE merge_order SET customer = 'eva' WHERE id = 20;
UPDATE merge_order SET customer = 'zach' WHERE id = 22;
SELECT ref, lifetime, tally FROM pg_temp.members('eve', 'eva', 'zach');
SELECT * FROM loyalty.verify();
-- they are merged and parted again, after most of it has been spent
SELECT loyalty.merge_members('eva', 'eve', key => 'twice');
SELECT balance FROM loyalty.spend('eva', (SELECT available FROM loyalty.balance('eve')) - 5);
SELECT pg_temp.try($$SELECT loyalty.unmerge_members('eva')$$);
SELECT loyalty.unmerge_members('eva', partial => true, key => 'u1');
SELECT * FROM pg_temp.members('eve', 'eva');
SELECT * FROM loyalty.verify();

-- A key parts one pair
SELECT a1.balance, a2.balance, a3.balance FROM loyalty.adjust('kim', 1) a1, loyalty.adjust('kit', 2) a2, loyalty.adjust('kay', 3) a3;
SELECT loyalty.merge_members('kim', 'kay'), loyalty.merge_members('kit', 'kay');
SELECT loyalty.unmerge_members('kim', key => 'k');
SELECT pg_temp.try($$SELECT loyalty.unmerge_members('kit', key => 'k')$$);
SELECT loyalty.merge_members('kim', 'kay');
SELECT loyalty.unmerge_members('kim', key => 'k');
SELECT ref, status FROM pg_temp.members('kim', 'kit');

-- One after the other: refs lead to the last one, and back
SELECT a1.balance, a2.balance, a3.balance FROM loyalty.adjust('t1', 1) a1, loyalty.adjust('t2', 2) a2, loyalty.adjust('t3', 4) a3;
INSERT INTO merge_order VALUES (30, 't1', 8), (31, 't2', 16);
SELECT loyalty.merge_members('t1', 't2');
SELECT loyalty.merge_members('t2', 't3');
SELECT who, available FROM unnest('{t1,t2,t3}'::text[]) who, loyalty.balance(who);
SELECT loyalty.merge_members('t1', 't3');
UPDATE merge_order SET total = total - 3 WHERE id IN (30, 31);
SELECT * FROM pg_temp.members('t1', 't2', 't3');
SELECT * FROM loyalty.verify();
SELECT pg_temp.try($$SELECT loyalty.merge_members('t3', 't1')$$);
SELECT pg_temp.try($$SELECT loyalty.unmerge_members('t1')$$);
SELECT loyalty.unmerge_members('t2');
SELECT loyalty.unmerge_members('t1');
SELECT * FROM pg_temp.members('t1', 't2', 't3');
SELECT count(*) FROM loyalty.member_alias WHERE ref LIKE 't_';
SELECT * FROM loyalty.verify();

-- Tiers: what he has reached, and what he was given
INSERT INTO loyalty.program (name, tier_validity) VALUES ('merge_tiers', '12 months');
INSERT INTO loyalty.tier (program, name, rank, min_amount) SELECT 'merge_tiers', name, rank, min_amount FROM loyalty.tier WHERE program = 'merge_plain';
INSERT INTO loyalty.rule (program, name, award) VALUES ('merge_tiers', 'base', '1 per 1');
SET loyalty.program = 'merge_tiers';
SELECT a1.points, a2.points FROM loyalty.record('gus', 'purchase', 300, at => '2026-03-01 12:00Z') a1, loyalty.record('gil', 'purchase', 20, at => '2026-03-02 12:00Z') a2;
SELECT balance FROM loyalty.set_tier('gus', 'by hand', until => '2990-01-01');
SELECT loyalty.merge_members('gus', 'gil');
SELECT ref, tier, tier_own, tier_until, tier_floor, tier_floor_until FROM loyalty.member WHERE ref IN ('gus', 'gil') AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'merge_tiers') ORDER BY ref;
SELECT c.from_tier, c.to_tier, c.until, c.reason, c.note FROM loyalty.tier_change c JOIN loyalty.member m USING (member_id) WHERE m.ref = 'gil' AND c.program_id = (SELECT program_id FROM loyalty.program WHERE name = 'merge_tiers') ORDER BY change_no;
SELECT gave_tier, had_tier, had_tier_until, gave_floor, had_floor FROM loyalty.member_merge WHERE ref = 'gus' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'merge_tiers');
SELECT loyalty.unmerge_members('gus');
SELECT ref, tier, tier_own, tier_until, tier_floor, tier_floor_until, tally FROM loyalty.member WHERE ref IN ('gus', 'gil') AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'merge_tiers') ORDER BY ref;
SELECT * FROM loyalty.verify();

-- Persons: of two values the one of who stays
SET loyalty.program = 'merge_plain';
SELECT loyalty.enroll('pat', '{"birthday": "1990-05-17", "segments": ["vip", "b2b"], "name": "Pat", "city": "Graz"}') IS NOT NULL,
	loyalty.enroll('pia', '{"segments": ["new", "vip"], "name": "Pia"}') IS NOT NULL, loyalty.enroll('pio', referred_by => 'pat') IS NOT NULL;
SELECT loyalty.merge_members('pat', 'pia');
SELECT birthday, segments, data FROM loyalty.profile WHERE member_id = loyalty.find_member('pat');
SELECT referred_by = loyalty.find_member('pia') AS by_her FROM loyalty.profile WHERE member_id = loyalty.find_member('pio');

-- Numeric ids; a program without tiers or rules; a gift is not what a merge moves
INSERT INTO loyalty.program (name, transfer_cap) VALUES ('merge_caps', 50);
SET loyalty.program = 'merge_caps';
SELECT a1.balance, a2.balance FROM loyalty.adjust(7, 100) a1, loyalty.adjust(8, 100) a2;
SELECT loyalty.merge_members(7, 8), loyalty.unmerge_members(7), loyalty.merge_members(7, 8);
SELECT balance FROM loyalty.transfer(8, 9, 50);
SELECT * FROM loyalty.verify();

-- Rewards: what is not done with must be first, limits are of the person, and so is what is chosen
INSERT INTO loyalty.reward (program, name, cost, member_cap, needs_confirmation) VALUES ('merge_caps', 'tour', 10, 2, true), ('merge_caps', 'bun', 500, NULL, false), ('merge_caps', 'cake', 600, NULL, false);
SELECT a1.balance, a2.balance, a3.balance FROM loyalty.adjust('rob', 100) a1, loyalty.adjust('bob', 100) a2, loyalty.adjust('sue', 100) a3;
SELECT loyalty.redeem('rob', 'tour', 2), loyalty.redeem('bob', 'tour');
SELECT loyalty.choose_reward('rob', 'bun'), loyalty.choose_reward('sue', 'cake');
SELECT pg_temp.try($$SELECT loyalty.merge_members('rob', 'bob')$$);
SELECT status FROM loyalty.confirm_redemption('rob', 2);
SELECT loyalty.merge_members('rob', 'bob');
SELECT member, reward FROM loyalty.choices WHERE program = 'merge_caps' ORDER BY member;
SELECT pg_temp.try($$SELECT loyalty.redeem('bob', 'tour')$$);
SELECT available, why FROM loyalty.catalogue('bob') WHERE reward = 'tour';
SELECT status FROM loyalty.confirm_redemption('bob', 2);
SELECT loyalty.merge_members('bob', 'sue');
SELECT member, reward FROM loyalty.choices WHERE program = 'merge_caps' ORDER BY member;
SELECT split_part(pg_temp.try($$SELECT loyalty.redeem('sue', 'tour')$$), E'\n', 2);
SELECT loyalty.unmerge_members('bob', partial => true), loyalty.unmerge_members('rob', partial => true);
SELECT points FROM loyalty.redeem('sue', 'tour');
SELECT split_part(pg_temp.try($$SELECT loyalty.redeem('rob', 'tour')$$), E'\n', 2), loyalty.adjust('bob', 10), (loyalty.redeem('bob', 'tour')).points AS his;
SELECT * FROM loyalty.verify('merge_caps');

-- Vouchers: each person can use one so often; points that one gave go back from whoever stands for him
SELECT code FROM loyalty.issue_voucher(kind => 'points', points => 10, uses => 3, per_member => 1) \gset
SELECT loyalty.adjust('tim', 5), taken FROM loyalty.use_voucher(:'code', member => 'tom');
SELECT loyalty.merge_members('tom', 'tim');
SELECT split_part(pg_temp.try(format('SELECT loyalty.use_voucher(%L, member => ''tim'')', :'code')), E'\n', 2);
SELECT given_back FROM loyalty.return_voucher(:'code', 4);
SELECT given_back FROM loyalty.return_voucher(:'code');
SELECT available FROM loyalty.balance('tim');
SELECT taken, use_no FROM loyalty.use_voucher(:'code', member => 'tim');
SELECT loyalty.unmerge_members('tom');
SELECT * FROM loyalty.verify('merge_caps');

-- Whoever tampers is found out
SET session_replication_role = replica;
BEGIN; UPDATE loyalty.member SET status = 'active' WHERE ref = '7'; SELECT problem, expected, actual FROM loyalty.verify(); ROLLBACK;
BEGIN; UPDATE loyalty.member SET status = 'merged' WHERE ref = '9'; SELECT problem, expected, actual FROM loyalty.verify('merge_caps'); ROLLBACK;
BEGIN; DELETE FROM loyalty.member_alias WHERE ref = '7'; SELECT problem, actual FROM loyalty.verify(); ROLLBACK;
BEGIN; UPDATE loyalty.member SET purse = '{5@infinity}' WHERE ref = '7'; SELECT invariant, problem, expected, actual FROM loyalty.verify('merge_caps'); ROLLBACK;
BEGIN; DELETE FROM loyalty.member WHERE ref = '8'; SELECT invariant, problem FROM loyalty.verify('merge_caps') WHERE invariant LIKE 'I6%' ORDER BY problem; ROLLBACK;
RESET session_replication_role;

RESET loyalty.program;
DROP TABLE merge_order;

-- Keys stay those of the person, before the merge, while it stands and after it
INSERT INTO loyalty.program (name) VALUES ('merge_keys');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('merge_keys', 'review', 'review', '50');
INSERT INTO loyalty.reward (program, name, cost) VALUES ('merge_keys', 'mug', 10);
SET loyalty.program = 'merge_keys';
SELECT points FROM loyalty.adjust('abe', 100, key => 'k');
SELECT points FROM loyalty.adjust('bob', 100);
SELECT loyalty.spend('abe', 5, key => 'k'), loyalty.transfer('abe', 'cid', 5, key => 'k'), loyalty.record('abe', 'review', key => 'k'),
	loyalty.redeem('abe', 'mug', key => 'k'), loyalty.cancel('abe', 2, 1, key => 'k');
SELECT loyalty.merge_members('abe', 'bob', key => 'm');
SELECT loyalty.adjust('abe', 100, key => 'k'), loyalty.spend('abe', 5, key => 'k'), loyalty.transfer('abe', 'cid', 5, key => 'k'), loyalty.record('abe', 'review', key => 'k'),
	loyalty.redeem('abe', 'mug', key => 'k'), loyalty.cancel('abe', 2, 1, key => 'k');
SELECT * FROM loyalty.spend('abe', 6, key => 'k');
SELECT points FROM loyalty.spend('abe', 7, key => 'meanwhile');
SELECT loyalty.unmerge_members('abe', key => 'u', partial => true);
SELECT loyalty.spend('abe', 7, key => 'meanwhile'), loyalty.spend('abe', 5, key => 'k'), loyalty.redeem('abe', 'mug', key => 'k');
SELECT * FROM loyalty.verify('merge_keys');
RESET loyalty.program;
