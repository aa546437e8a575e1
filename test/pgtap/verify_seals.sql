-- verify_seals: whatever is changed behind the engine's back under a seal is found, and nothing else is
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

INSERT INTO loyalty.program (name) VALUES ('beans'), ('other');
SET LOCAL loyalty.program = 'beans';
SELECT loyalty.adjust(m, 100, at => '2024-01-01') FROM unnest('{ann,bob,cat}'::text[]) m \g /dev/null
SELECT loyalty.enroll('dan') \g /dev/null
SELECT loyalty.adjust('eve', 5, program => 'other') \g /dev/null
SELECT * FROM loyalty.seal() \g /dev/null
SELECT loyalty.adjust('ann', 50, at => '2024-01-02'), loyalty.enroll('fay') \g /dev/null
SELECT * FROM loyalty.seal() \g /dev/null
SELECT * FROM loyalty.seal() \g /dev/null
SELECT * FROM loyalty.seal('other') \g /dev/null
SELECT loyalty.adjust('bob', 1, at => '2024-01-03') \g /dev/null
CREATE TEMPORARY TABLE published AS SELECT * FROM loyalty.seals;
SELECT is((SELECT string_agg(format('%s %s %s', seal, members, changed), ', ' ORDER BY seal) FROM published WHERE program = 'beans'), '1 4 4, 2 5 2, 3 5 0', 'three seals');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound');

-- what verify says after a change, which is undone again; hashes are not told
CREATE FUNCTION found(change text, program text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE change;
	SET LOCAL session_replication_role = origin;
	SELECT string_agg(regexp_replace(concat_ws(' | ', v.invariant, v.member, v.problem, v.expected, v.actual), '[0-9a-f]{64}', 'HASH', 'g'), E'\n'
					  ORDER BY v.invariant COLLATE "C", v.problem COLLATE "C", v.member COLLATE "C")
	INTO answer FROM loyalty.verify(program) v;
	RAISE EXCEPTION USING ERRCODE = 'XX999', MESSAGE = coalesce(answer, 'nothing');
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
CREATE FUNCTION id(ref text) RETURNS bigint LANGUAGE sql AS 'SELECT loyalty.member_id($1, ''beans'')';

-- leaves
SELECT is(found($$UPDATE loyalty.seal_leaf SET head = sha256('x') WHERE member_id = id('cat')$$),
	E'I3 seals | cat | head under seal 1 is not the hash of entry 1 | HASH | HASH\nI3 seals | root of seal 1 is not that of its leaves | HASH | HASH\n' ||
	E'I3 seals | root of seal 2 is not that of its leaves | HASH | HASH\nI3 seals | root of seal 3 is not that of its leaves | HASH | HASH', 'a head');
SELECT is(found($$UPDATE loyalty.seal_leaf SET seq = 9 WHERE member_id = id('ann') AND seal = 2$$),
	E'I3 seals | root of seal 2 is not that of its leaves | HASH | HASH\nI3 seals | root of seal 3 is not that of its leaves | HASH | HASH\n' ||
	'I3 seals | ann | the entry that seal 2 found last is not there | entry 9', 'a number of an entry');
SELECT is(found($$UPDATE loyalty.seal_leaf SET head = sha256('x') WHERE member_id = id('dan')$$) ~ 'dan . head under seal 1 is not the hash of entry 0', true, 'a head of who had no entry');
SELECT is(found($$DELETE FROM loyalty.seal_leaf WHERE member_id = id('ann') AND seal = 2$$),
	E'I3 seals | changed members of seal 2 are not the leaves that it made | 1 | 2\n' ||
	E'I3 seals | root of seal 2 is not that of its leaves | HASH | HASH\nI3 seals | root of seal 3 is not that of its leaves | HASH | HASH', 'a leaf that is gone');
SELECT is(found($$DELETE FROM loyalty.seal_leaf WHERE member_id = id('fay')$$) ~ E'members under seal 2 are not its leaves . 4 . 5\n.*members under seal 3 are not its leaves . 4 . 5', true, 'a member without a leaf');
SELECT is(found($$UPDATE loyalty.seal_leaf SET seal = 3 WHERE member_id = id('fay')$$) ~ 'changed members of seal 3 are not the leaves that it made . 1 . 0', true, 'a leaf of a later seal');
SELECT is(found($$INSERT INTO loyalty.seal_leaf SELECT member_id, seq, program_id, 7, head FROM loyalty.seal_leaf WHERE member_id = id('fay')$$),
	'I3 seals | fay | there is no seal 7 of a leaf', 'a leaf of no seal');
SELECT is(found($$UPDATE loyalty.seal_leaf SET program_id = (SELECT program_id FROM loyalty.program WHERE name = 'other') WHERE member_id = id('fay')$$) ~ 'fay . a member under seal 2 is another program''s', true, 'a leaf of another program');
SELECT is(found($$INSERT INTO loyalty.seal_leaf SELECT 12345, seq, program_id, seal, head FROM loyalty.seal_leaf WHERE member_id = id('fay')$$) ~ 'member_id 12345 . a member under seal 2 is not there', true, 'a leaf of nobody');
SELECT is(found($$DELETE FROM loyalty.entry WHERE member_id = id('cat'); DELETE FROM loyalty.member WHERE ref = 'cat'$$) ~ 'I3 seals . member_id [0-9]+ . a member under seal 1 is not there', true, 'a sealed member who is gone');

-- seals
SELECT is(found($$UPDATE loyalty.seal SET sealed_at = '2024-01-01' WHERE seal = 1 AND members = 4$$), 'I3 seals | hash of seal 1 does not cover it | HASH | HASH', 'its time');
SELECT is(found($$UPDATE loyalty.seal SET sealed_at = '2024-01-01' WHERE seal = 2$$) ~ 'hash of seal 2 does not cover it.*seal 2 is older than the seal before it', true, 'before the one before');
SELECT is(found($$UPDATE loyalty.seal SET members = 6 WHERE seal = 2$$), E'I3 seals | hash of seal 2 does not cover it | HASH | HASH\nI3 seals | members under seal 2 are not its leaves | 5 | 6', 'its members');
SELECT is(found($$UPDATE loyalty.seal SET changed = 6 WHERE seal = 2$$), 'I3 seals | changed members of seal 2 are not the leaves that it made | 2 | 6', 'who changed');
SELECT is(found($$UPDATE loyalty.seal SET root = sha256('x') WHERE seal = 2$$),
	E'I3 seals | hash of seal 2 does not cover it | HASH | HASH\nI3 seals | root of seal 2 is not that of its leaves | HASH | HASH\nI3 seals | root of seal 2 is not that of its parts | HASH | HASH', 'its root');
SELECT is(found($$UPDATE loyalty.seal SET previous = sha256('x') WHERE seal = 2$$),
	E'I3 seals | hash of seal 2 does not cover it | HASH | HASH\nI3 seals | seal 2 does not name the seal before it | HASH | HASH', 'the one before');
SELECT is(found($$UPDATE loyalty.seal SET hash = sha256('x') WHERE seal = 2$$),
	E'I3 seals | hash of seal 2 does not cover it | HASH | HASH\nI3 seals | seal 3 does not name the seal before it | HASH | HASH', 'its hash');
SELECT is(found($$UPDATE loyalty.seal SET hash = '\x00' WHERE seal = 3$$) ~ 'a hash or a part of seal 3 is none', true, 'a hash that is none');
SELECT is(found($$UPDATE loyalty.seal SET part_roots = ARRAY[sha256('x')] WHERE seal = 3$$), 'I3 seals | root of seal 3 is not that of its parts | HASH | HASH', 'the root of a part');
SELECT is(found($$UPDATE loyalty.seal SET part_members = '{1}' WHERE seal = 3$$), 'I3 seals | parts of seal 3 do not begin with their members', 'where a part begins');
SELECT is(found($$UPDATE loyalty.seal SET part_members = '{1,NULL}' WHERE seal = 3$$) ~ 'a hash or a part of seal 3 is none', true, 'a part too many');
SELECT is(found($$DELETE FROM loyalty.seal WHERE seal = 2$$) ~ E'seal 3 does not follow the seal before it . 2 . 3\n.*there is no seal 2 of a leaf', true, 'a seal that is gone');
SELECT is(found($$DELETE FROM loyalty.seal WHERE seal = 1 AND members = 4$$) ~ 'seal 2 does not follow the seal before it . 1 . 2', true, 'the first one');
SELECT is(found($$DELETE FROM loyalty.seal WHERE seal = 3$$), 'nothing', 'that the last seals are gone is seen from outside only');
SELECT is(found($$UPDATE loyalty.seal SET members = 6 WHERE seal = 2$$, 'other'), 'nothing', 'of one program');

-- history, rewritten so well that it agrees with itself
CREATE FUNCTION rewrite(ref text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	e record;
	before bytea := '';
BEGIN
	UPDATE loyalty.entry SET points = 500, lots = '{500@infinity}' WHERE member_id = id(ref) AND seq = 1;
	FOR e IN SELECT * FROM loyalty.history(ref) LOOP
		before := sha256(before || e.bytes);
		UPDATE loyalty.entry SET hash = before WHERE member_id = id(ref) AND seq = e.seq;
	END LOOP;
	UPDATE loyalty.member m SET head = before, purse = (SELECT loyalty.sum(lots) FROM loyalty.entry WHERE member_id = m.member_id) WHERE m.member_id = id(rewrite.ref);
END $$;
SELECT is(found($$SELECT rewrite('ann')$$), E'I3 seals | ann | head under seal 1 is not the hash of entry 1 | HASH | HASH\nI3 seals | ann | head under seal 2 is not the hash of entry 2 | HASH | HASH', 'a chain rewritten is found by the seals alone');
SELECT is(found($$SELECT rewrite('ann'); SELECT rewrite('bob')$$, 'beans') ~ 'bob . head under seal 1 is not', true, 'so is one that has gone on since');
-- and the leaves and seals with it: then only what was published tells
CREATE FUNCTION reseal() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM loyalty.seal WHERE program_id = (SELECT program_id FROM loyalty.program WHERE name = 'beans');
	DELETE FROM loyalty.seal_leaf WHERE program_id = (SELECT program_id FROM loyalty.program WHERE name = 'beans');
	PERFORM loyalty.seal('beans');
END $$;
SELECT is(found($$SELECT rewrite('ann'); SELECT reseal()$$), 'nothing', 'who rewrites everything agrees with himself');
SELECT loyalty.proof('ann', 1) AS proof \gset
SELECT is(loyalty.check_proof(:'proof', (SELECT hash FROM published WHERE program = 'beans' AND seal = 1)), true, 'a proof from before holds against what was published');
SET LOCAL session_replication_role = replica;
SELECT rewrite('ann'), reseal() \g /dev/null
SET LOCAL session_replication_role = origin;
SELECT is(loyalty.check_proof(loyalty.proof('ann'), hash), false, 'one from now does not: ' || seal) FROM published WHERE program = 'beans';
SELECT is(loyalty.check_proof(loyalty.proof('ann'), (SELECT hash FROM loyalty.seals WHERE program = 'beans')), true, 'but against what the forger says');
SELECT is(loyalty.check_proof(:'proof', (SELECT hash FROM published WHERE program = 'beans' AND seal = 1)), true, 'the one from before still holds');
SELECT isnt((SELECT encode(hash, 'hex') FROM loyalty.history('ann') WHERE seq = (:'proof'::jsonb ->> 'seq')::bigint), :'proof'::jsonb ->> 'head', 'and its head is not in the history');

SELECT * FROM finish();
ROLLBACK;
