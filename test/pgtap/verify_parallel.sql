-- verify_parallel: with parallel workers, with fewer of them than asked for and without, verify finds the same
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages = error;
SELECT no_plan();

INSERT INTO loyalty.program (name) VALUES ('beans'), ('other');
SELECT loyalty.adjust('m' || m, m, program => p), loyalty.adjust('m' || m, 2.5, program => p) FROM generate_series(1, 60) m, unnest('{beans,other}'::text[]) p \g /dev/null
SELECT loyalty.merge_members('m1', 'm2', program => 'beans'), loyalty.seal('beans') \g /dev/null

CREATE FUNCTION found(program text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(v::text, E'\n'), 'nothing') FROM loyalty.verify(program) v
$$;
-- each way: workers asked for, workers that there are
CREATE TABLE way (name text, asked text, have text);
INSERT INTO way VALUES ('none asked for', '0', '8'), ('one', '1', '8'), ('six', '6', '8'), ('six asked for, none there', '6', '0'), ('six asked for, one there', '6', '1');
CREATE FUNCTION each_way(program text DEFAULT NULL) RETURNS TABLE (name text, answer text) LANGUAGE plpgsql AS $$
DECLARE
	w way;
BEGIN
	FOR w IN SELECT * FROM way LOOP
		PERFORM set_config('min_parallel_table_scan_size', '0', true), set_config('max_parallel_workers_per_gather', w.asked, true),
				set_config('max_parallel_workers', w.have, true);
		name := w.name;
		answer := found(program);
		RETURN NEXT;
	END LOOP;
END $$;
SELECT is(answer, 'nothing', 'sound: ' || name) FROM each_way();

-- what all ways find of a change, which is undone again
CREATE FUNCTION all_find(change text, program text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answers text[];
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE change;
	SET LOCAL session_replication_role = origin;
	SELECT array_agg(DISTINCT answer) INTO answers FROM each_way(program);
	RAISE EXCEPTION USING ERRCODE = 'XX999', MESSAGE = CASE WHEN cardinality(answers) = 1 THEN answers[1] ELSE 'different: ' || answers::text END;
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
SELECT is((SELECT count(*) FROM regexp_matches(all_find($$UPDATE loyalty.member SET lifetime = 7$$), 'I1,', 'g'))::int, 120, 'every member');
SELECT is(all_find($$UPDATE loyalty.member SET lifetime = 7 WHERE ref = 'm9' AND program_id = 2$$), '(I1,other,m9,,"lifetime points are not what the entries say",0,7)', 'one member');
SELECT is(all_find($$UPDATE loyalty.member SET lifetime = 7 WHERE ref = 'm9'$$, 'other'), '(I1,other,m9,,"lifetime points are not what the entries say",0,7)', 'of one program');
SELECT is(all_find($$UPDATE loyalty.member SET member_id = -5 WHERE ref = 'm9' AND program_id = 2$$) ~ 'entries whose member is not there.*ref does not lead|ref does not lead.*entries whose member is not there', true, 'a member_id below all others');
SELECT is(all_find($$UPDATE loyalty.entry SET points = '900000000000000', lots = '{900000000000000@infinity}' WHERE member_id = loyalty.member_id('m9', 'beans')$$)
	~ 'entry 2 cannot be added up', true, 'sums that are too great');
SELECT is(all_find($$UPDATE loyalty.entry SET hash = sha256(hash) WHERE member_id = loyalty.member_id('m9', 'beans') AND seq = 2$$)
	~ 'I3,beans,m9,,"hash of entry 2 does not cover it.*I3 seals.*head is not the hash of the last entry', true, 'a hash');
SELECT is(all_find($$INSERT INTO loyalty.member_alias SELECT program_id, ref, member_id FROM loyalty.member WHERE ref = 'm9' AND program_id = 1; UPDATE loyalty.member SET ref = 'x' WHERE ref = 'm8' AND program_id = 1$$),
	format('(member,beans,x,,"ref does not lead to the member",%s,%s)', loyalty.member_id('x', 'beans'), loyalty.member_id('m8', 'beans')), 'a ref');
SELECT is(all_find($$INSERT INTO loyalty.member_alias SELECT program_id, 'x', member_id FROM loyalty.member WHERE ref = 'm8' AND program_id = 1; UPDATE loyalty.member SET ref = 'x' WHERE ref = 'm8' AND program_id = 1$$),
	'nothing', 'a ref that an alias leads');
SELECT * FROM finish();
ROLLBACK;
