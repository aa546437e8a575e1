-- verify() finds what was undone without having been done, more than it was, or put back elsewhere.
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

INSERT INTO loyalty.program (name, reinstate) VALUES ('tamper', NULL), ('anew', '30 days');
INSERT INTO loyalty.program (name, expiry) VALUES ('idle', 'inactive 30 days');
SELECT loyalty.adjust(m, p, expires => e, program => 'tamper') FROM unnest('{ann,bob}'::text[]) m, (VALUES (100, '2090-01-31'::date), (100, '2091-01-31')) l (p, e) \g /dev/null
-- ann: 3 spends 150, of which 4 and 5 give back 70 and 20; 6 is an adjustment, 7 undoes a part of it; 8 a transfer, 9 undoes it
SELECT loyalty.spend('ann', 150, program => 'tamper') \g /dev/null
SELECT loyalty.cancel('ann', 3, 70, program => 'tamper') \g /dev/null
SELECT loyalty.cancel('ann', 3, 20, program => 'tamper') \g /dev/null
SELECT loyalty.adjust('ann', 10, program => 'tamper') \g /dev/null
SELECT loyalty.cancel('ann', 6, 4, program => 'tamper') \g /dev/null
SELECT loyalty.transfer('ann', 'bob', 30, program => 'tamper') \g /dev/null
SELECT loyalty.cancel('bob', 3, program => 'tamper') \g /dev/null
-- spans that are over, and inactivity
SELECT loyalty.adjust('cid', 100, expires => '2024-01-31', at => '2024-01-01 12:00+00', program => p), loyalty.adjust('cid', 100, expires => '2090-01-31', at => '2024-01-01 12:00+00', program => p),
	loyalty.spend('cid', 150, at => '2024-01-10 12:00+00', program => p), loyalty.cancel('cid', 3, 90, program => p) FROM unnest('{tamper,anew}'::text[]) p \g /dev/null
SELECT loyalty.enroll('cid', at => '2024-01-01 12:00+00', program => 'idle'), loyalty.adjust('cid', 100, at => '2024-01-01 12:00+00', program => 'idle'), loyalty.spend('cid', 60, at => '2024-01-10 12:00+00', program => 'idle'),
	loyalty.cancel('cid', 2, 10, program => 'idle') \g /dev/null
SELECT is_empty('SELECT * FROM loyalty.verify()', 'nothing');

CREATE FUNCTION finds(changes text, description text, VARIADIC lines text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text[];
BEGIN
	BEGIN
		EXECUTE replace(replace(replace(changes, '<ann>', loyalty.member_id('ann', 'tamper')::text), '<bob>', loyalty.member_id('bob', 'tamper')::text), '<anew>', loyalty.member_id('cid', 'anew')::text);
		SELECT coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}') INTO found
		FROM (SELECT regexp_replace(regexp_replace(concat_ws(' | ', member, problem, expected, actual), loyalty.member_id('ann', 'tamper')::text, '<ann>', 'g'),
			loyalty.member_id('bob', 'tamper')::text, '<bob>', 'g') AS f FROM loyalty.verify() WHERE invariant = 'I6 cancel') v;
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN is(found, lines, description);
	END;
END $$;
CREATE FUNCTION names(seq int, target text) RETURNS text LANGUAGE sql AS $$
	SELECT format('UPDATE loyalty.entry SET context = jsonb_set(context, ''{entry}'', %L) WHERE member_id = <ann> AND seq = %s', target, seq)
$$;
SET session_replication_role = replica;
SELECT finds('SELECT 1', 'nothing', VARIADIC '{}');
SELECT finds('DELETE FROM loyalty.entry WHERE member_id = <ann> AND seq = 3', 'what was undone is gone', 'ann | entry 4 cancels no act that is there | entry 3', 'ann | entry 5 cancels no act that is there | entry 3');
SELECT finds(names(4, '99'), 'another number', 'ann | entry 4 cancels no act that is there | entry 99',
	'ann | entry 5 gives back to other life spans than those that entry 3 took from | 20@2091-01-31 | {20@2090-01-31}');
SELECT finds(names(4, '1e40') || '; ' || names(5, '-2.5'), 'what is no number of an entry', 'ann | entry 4 cancels no act that is there | entry 10000000000000000000000000000000000000000', 'ann | entry 5 cancels no act that is there | entry -2.5');
SELECT finds(names(4, '8'), 'one that is later', 'ann | entry 4 cancels one of another kind | redeem | transfer', 'ann | entry 4 cancels one that is not earlier | below 4 | 8',
	'ann | entry 5 gives back to other life spans than those that entry 3 took from | 20@2091-01-31 | {20@2090-01-31}', 'ann | more of entry 8 was undone than it moved | 30 | 100');
SELECT finds(names(5, '5'), 'itself', 'ann | entry 5 cancels a cancellation', 'ann | entry 5 cancels one of another kind | redeem | refund', 'ann | entry 5 cancels one that is not earlier | below 5 | 5',
	'ann | entry 5 moves points the same way as the one that it cancels | below 0 | 20');
SELECT finds(names(5, '4'), 'a cancellation', 'ann | entry 5 cancels a cancellation', 'ann | entry 5 cancels one of another kind | redeem | refund',
	'ann | entry 5 moves points the same way as the one that it cancels | below 0 | 20');
SELECT finds(names(4, '1'), 'one of another kind', 'ann | entry 4 cancels one of another kind | redeem | adjust', 'ann | entry 4 moves points the same way as the one that it cancels | below 0 | 70',
	'ann | entry 5 gives back to other life spans than those that entry 3 took from | 20@2091-01-31 | {20@2090-01-31}');
SELECT finds($$UPDATE loyalty.entry SET points = 140, lots = '{90@2090-01-31, 50@2091-01-31}', context = context - 'points' WHERE member_id = <ann> AND seq = 4$$, 'more than it moved',
	'ann | more of entry 3 was undone than it moved | 150 | 160');
SELECT finds($$UPDATE loyalty.entry SET points = 60, lots = '{20@2090-01-31, 40@2091-01-31}' WHERE member_id = <ann> AND seq = 4$$, 'less than was asked for',
	'ann | entry 4 gives back to other life spans than those that entry 3 took from | 10@2090-01-31, 50@2091-01-31 | {20@2090-01-31, 40@2091-01-31}',
	'ann | points of entry 4 are not those that were asked for | 70 | 60');
SELECT finds($$UPDATE loyalty.entry SET lots = '{70@2091-01-31}' WHERE member_id = <ann> AND seq = 4$$, 'given back with a longer life',
	'ann | entry 4 gives back to other life spans than those that entry 3 took from | 20@2090-01-31, 50@2091-01-31 | {70@2091-01-31}');
SELECT finds($$UPDATE loyalty.entry SET lots = '{70@2090-01-31}' WHERE member_id = <ann> AND seq = 4$$, 'or a shorter one',
	'ann | entry 4 gives back to other life spans than those that entry 3 took from | 20@2090-01-31, 50@2091-01-31 | {70@2090-01-31}');
SELECT finds($$UPDATE loyalty.entry SET lots = '{20@2090-01-31, 50@2090-03-01/2091-01-31}' WHERE member_id = <ann> AND seq = 4$$, 'or a later beginning',
	'ann | entry 4 gives back to other life spans than those that entry 3 took from | 20@2090-01-31, 50@2091-01-31 | {20@2090-01-31, 50@2090-03-01/2091-01-31}');
SELECT finds($$UPDATE loyalty.entry SET lots = '{-10@2089-01-31, 30@2090-01-31, 50@2091-01-31}' WHERE member_id = <ann> AND seq = 4$$, 'or besides',
	'ann | entry 4 gives back to other life spans than those that entry 3 took from | 20@2090-01-31, 50@2091-01-31 | {-10@2089-01-31, 30@2090-01-31, 50@2091-01-31}');
SELECT finds($$UPDATE loyalty.entry SET points = 4, lots = '{4@infinity}' WHERE member_id = <ann> AND seq = 7$$, 'the same way', 'ann | entry 7 moves points the same way as the one that it cancels | below 0 | 4');
SELECT finds($$UPDATE loyalty.entry SET context = jsonb_set(context, '{from_member_id}', '7') WHERE member_id = <ann> AND seq = 9$$, 'a transfer with another member', 'ann | entry 9 cancels a transfer with another member | <bob> | 7');
-- what was over may go elsewhere, but nothing else may, and not where it is over too
SELECT finds($$UPDATE loyalty.entry SET lots = '{40@2080-01-31, 50@2090-01-31}' WHERE member_id = <anew> AND seq = 4$$, 'what was over may get any life', VARIADIC '{}');
SELECT finds($$UPDATE loyalty.entry SET lots = '{40@2024-01-31, 50@2090-01-31}' WHERE member_id = <anew> AND seq = 4$$, 'or none', VARIADIC '{}');
SELECT finds($$UPDATE loyalty.entry SET lots = '{50@2080-01-31, 40@2090-01-31}' WHERE member_id = <anew> AND seq = 4$$, 'but nothing else may',
	'cid | entry 4 gives back to other life spans than those that entry 3 took from | 40@2024-01-31, 50@2090-01-31 | {50@2080-01-31, 40@2090-01-31}');
SELECT finds($$UPDATE loyalty.entry SET lots = '{40@2024-02-29, 50@2090-01-31}' WHERE member_id = <anew> AND seq = 4$$, 'nor to where it is over too',
	'cid | entry 4 gives back to other life spans than those that entry 3 took from | 40@2024-01-31, 50@2090-01-31 | {40@2024-02-29, 50@2090-01-31}');
SELECT finds($$UPDATE loyalty.entry SET context = NULL WHERE member_id IN (<ann>, <bob>)$$, 'a person who was forgotten is no violation', VARIADIC '{}');
SELECT finds($$UPDATE loyalty.entry SET context = NULL WHERE member_id = <bob>$$, 'nor is the other one of a transfer', VARIADIC '{}');
SELECT finds($$UPDATE loyalty.entry SET context = '{"entry": "x"}' WHERE member_id = <bob>$$, 'what is no number names nothing', VARIADIC '{}');
-- a call with a key whose entry no longer says what it was, and a transfer whose other side does not
SELECT loyalty.cancel('ann', 3, 1, key => 'k', program => 'tamper'), loyalty.transfer('bob', 'ann', 30, program => 'tamper') \g /dev/null
SELECT loyalty.cancel('bob', 5, 10, program => 'tamper') \g /dev/null
UPDATE loyalty.entry SET context = NULL WHERE member_id = loyalty.member_id('ann', 'tamper');
RESET session_replication_role;
SELECT throws_ok($$SELECT loyalty.cancel('ann', 3, 1, key => 'k', program => 'tamper')$$, 'LY006', NULL, 'a key is known without it');
SELECT throws_ok($$SELECT loyalty.cancel('ann', 8, program => 'tamper')$$, 'LY017', NULL, 'a transfer that no longer names the other one');
SELECT is((SELECT points::numeric FROM loyalty.cancel('bob', 5, program => 'tamper')), 20::numeric, 'from the other side it can be cancelled');
SELECT throws_ok($$SELECT loyalty.cancel('bob', 5, 1, program => 'tamper')$$, 'LY018', NULL, 'once');
SELECT * FROM finish();
ROLLBACK;
