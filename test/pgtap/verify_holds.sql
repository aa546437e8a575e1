-- verify_holds: whatever is changed behind the engine's back about what is held is found, and nothing else is
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

INSERT INTO loyalty.program (name, point_value) VALUES ('beans', 0.01), ('other', NULL);
SET LOCAL loyalty.program = 'beans';
SELECT loyalty.adjust(m, 1000, at => '2024-01-01') FROM unnest('{ann,bob}'::text[]) m \g /dev/null
SELECT loyalty.adjust('ann', 100, '2030-12-31', at => '2024-01-01') \g /dev/null
SELECT loyalty.hold('ann', 110 + n, '100 years', at => '2024-02-01', purchase => 'o' || n) FROM generate_series(1, 4) n \g /dev/null
-- 3: active, 4: captured in parts, 5: released, 6: lapsed
SELECT loyalty.capture('ann', 4, 20, final => false, at => '2024-02-02'), loyalty.capture('ann', 4, 30, at => '2024-02-03'), loyalty.release('ann', 5, at => '2024-02-04') \g /dev/null
SET session_replication_role = replica;
UPDATE loyalty.hold SET until = '2024-02-05' WHERE seq = 6;
UPDATE loyalty.member SET hold_until = '2024-02-05' WHERE ref = 'ann';
RESET session_replication_role;
CALL loyalty.maintain();
SELECT is((SELECT string_agg(format('%s %s %s', seq, status, captured), ', ' ORDER BY seq) FROM loyalty.hold), '3 active 0, 4 captured 50, 5 released 0, 6 lapsed 0', 'one of each');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound');

-- what verify says after a change, which is undone again
CREATE FUNCTION found(change text) RETURNS text LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE change;
	SELECT string_agg(concat_ws(' | ', invariant, member, problem, expected, actual), E'\n' ORDER BY invariant, problem) INTO answer FROM loyalty.verify();
	RAISE EXCEPTION USING ERRCODE = 'XX999', MESSAGE = coalesce(answer, 'nothing');
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
SELECT is(found($$UPDATE loyalty.member SET held = held OPERATOR(loyalty.+) 1 WHERE ref = 'ann'$$),
	E'I1 | ann | held points are not what the entries say | 111 | 112\nI6 holds | ann | held points are not the sum of what active holds hold | 111 | 112', 'held points');
SELECT is(found($$UPDATE loyalty.member SET held = 5 WHERE ref = 'bob'$$),
	E'I1 | bob | held points are not what the entries say | 0 | 5\nI6 holds | bob | held points are not the sum of what active holds hold | 0 | 5', 'of one who holds nothing');
SELECT is(found($$UPDATE loyalty.member SET hold_until = '2025-01-01' WHERE ref = 'ann'$$),
	'I6 holds | ann | hold_until is not when the first active hold ends | 2124-02-01 00:00:00+00 | 2025-01-01 00:00:00+00', 'the first end');
SELECT is(found($$UPDATE loyalty.member SET hold_until = '2025-01-01' WHERE ref = 'bob'$$), 'I6 holds | bob | hold_until is not when the first active hold ends | none | 2025-01-01 00:00:00+00', 'of one without holds');
SELECT is(found($$UPDATE loyalty.member SET hold_until = NULL WHERE ref = 'ann'$$), 'I6 holds | ann | hold_until is not when the first active hold ends | 2124-02-01 00:00:00+00 | none', 'none at all');
SELECT is(found($$DELETE FROM loyalty.hold WHERE seq = 4$$), 'I6 holds | ann | points held by entry 4 have no row of hold | a row | none', 'a row is gone');
SELECT is(found($$INSERT INTO loyalty.hold SELECT member_id, 99, points, captured, made_at, until, ended_at, program_id, status, lots FROM loyalty.hold WHERE seq = 5$$), 'I6 holds | ann | hold 99 was made by no entry | an entry | none', 'one too many');
SELECT is(found($$INSERT INTO loyalty.hold SELECT 7, seq, points, captured, made_at, until, ended_at, program_id, status, lots FROM loyalty.hold WHERE seq = 5$$), E'I6 holds | member_id 7 | hold 5 has no member | a member | none\nI6 holds | member_id 7 | hold 5 was made by no entry | an entry | none', 'of nobody');
SELECT is(found($$UPDATE loyalty.hold SET program_id = (SELECT program_id FROM loyalty.program WHERE name = 'other') WHERE seq = 5$$),
	format('I6 holds | ann | hold 5 is not of its member''s program | %s | %s', (SELECT program_id FROM loyalty.program WHERE name = 'beans'), (SELECT program_id FROM loyalty.program WHERE name = 'other')), 'of another program');
SELECT is(found($$UPDATE loyalty.hold SET points = 1 WHERE seq = 5$$), 'I6 holds | ann | points of hold 5 are not those that its entry held | 113 | 1', 'points');
SELECT is(found($$UPDATE loyalty.hold SET captured = 51 WHERE seq = 4$$), 'I6 holds | ann | captured points of hold 4 are not what entries redeem of it | 50 | 51', 'captured points');
SELECT is(found($$UPDATE loyalty.hold SET made_at = made_at + interval '1 day' WHERE seq = 3$$), 'I6 holds | ann | time of hold 3 is not its entry''s | 2024-02-01 00:00:00+00 | 2024-02-02 00:00:00+00', 'its time');
SELECT is(found($$UPDATE loyalty.hold SET until = '2024-01-01', ended_at = '2024-02-04' WHERE seq = 5$$), 'I6 holds | ann | hold 5 ends before it was made | after 2024-02-01 00:00:00+00 | 2024-01-01 00:00:00+00', 'its end');
SELECT is(found($$UPDATE loyalty.hold SET lots = '{100@2030-12-31, 11@2031-12-31}' WHERE seq = 3$$), 'I6 holds | ann | lots of hold 3 are not what its entries left of it | {100@2030-12-31, 11@infinity} | {100@2030-12-31, 11@2031-12-31}', 'a life span');
SELECT is(found($$UPDATE loyalty.hold SET lots = '{}' WHERE seq = 3$$), E'I6 holds | ann | held points are not the sum of what active holds hold | 0 | 111\n' ||
	E'I6 holds | ann | lots of hold 3 are not what its entries left of it | {100@2030-12-31, 11@infinity} | {}\nI6 holds | ann | status of hold 3 is not that of what it holds | over | active', 'nothing in an active one');
SELECT is(found($$UPDATE loyalty.hold SET status = 'released', ended_at = now() WHERE seq = 3$$), E'I6 holds | ann | held points are not the sum of what active holds hold | 0 | 111\n' ||
	E'I6 holds | ann | hold_until is not when the first active hold ends | none | 2124-02-01 00:00:00+00\nI6 holds | ann | status of hold 3 is not that of what it holds | active | released', 'an active one that is called over');
SELECT is(found($$UPDATE loyalty.hold SET status = 'gone' WHERE seq = 5$$), 'I6 holds | ann | status of hold 5 is not known | active, captured, released or lapsed | gone', 'a status that is none');
SELECT is(found($$UPDATE loyalty.hold SET status = 'captured' WHERE seq = 5$$), 'I6 holds | ann | hold 5 is captured, and no points are | above 0 | 0', 'captured without points');
SELECT is(found($$UPDATE loyalty.hold SET ended_at = NULL WHERE seq = 5$$), 'I6 holds | ann | hold 5 is over and has no end, or an end and is active | an end | none', 'over and without an end');
SELECT is(found($$UPDATE loyalty.hold SET ended_at = now() WHERE seq = 3$$), format('I6 holds | ann | hold 3 is over and has no end, or an end and is active | no end | %s', now()), 'active and with an end');
SELECT is(found($$UPDATE loyalty.hold SET ended_at = '2024-02-06' WHERE seq = 5$$), 'I6 holds | ann | end of hold 5 is not what its entries and its term say | 2024-02-04 00:00:00+00 | 2024-02-06 00:00:00+00', 'another end');
SELECT is(found($$UPDATE loyalty.hold SET ended_at = '2024-02-06' WHERE seq = 6$$), 'I6 holds | ann | end of hold 6 is not what its entries and its term say | 2024-02-05 00:00:00+00 | 2024-02-06 00:00:00+00', 'of a lapsed one');
SELECT is(found($$UPDATE loyalty.hold SET until = '2024-02-06' WHERE seq = 6$$), 'I6 holds | ann | end of hold 6 is not what its entries and its term say | 2024-02-06 00:00:00+00 | 2024-02-05 00:00:00+00', 'another term');
-- what a shop may know better, and what a forgotten person leaves
SELECT is(found($$UPDATE loyalty.hold SET note = 'x', purchase = 'renamed'$$), 'nothing', 'a purchase may go on under another key');
SELECT is(found($$UPDATE loyalty.entry SET context = NULL WHERE kind = 'release' AND points OPERATOR(loyalty.<>) 0; UPDATE loyalty.entry SET context = NULL WHERE kind = 'redeem'$$) ~ 'I6', false, 'contexts that are gone are not held against a hold');
-- the other program is sound
SELECT is_empty($$SELECT * FROM loyalty.verify('other')$$, 'of one program');
-- a row that is wrong does not stop the till
SET session_replication_role = replica;
UPDATE loyalty.member SET hold_until = '2024-02-05' WHERE ref = 'bob';
RESET session_replication_role;
SELECT lives_ok($$SELECT loyalty.adjust('bob', 1)$$, 'an act goes on');
SELECT is((SELECT string_agg(concat_ws(' | ', member, problem), ', ') FROM loyalty.verify()), 'bob | hold_until is not when the first active hold ends', 'and verify still says what is wrong');
SELECT * FROM finish();
ROLLBACK;
