--
-- seal: seals over the history of all members, proofs that one is under a seal, and what is refused as none
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
INSERT INTO loyalty.program (name) VALUES ('seal_beans'), ('seal_empty');
SET loyalty.program = 'seal_beans';
SET timezone = 'UTC';

-- Without a seal there is nothing to prove.
SELECT loyalty.adjust('ann', 100) \g /dev/null
SELECT loyalty.proof('ann');
SELECT loyalty.proof('nobody');

-- No members: the root is the sha256 of nothing.
SELECT program, seal, members, changed, root = encode(sha256(''), 'hex') AS root, previous FROM loyalty.seal('seal_empty');

-- One: the root is his leaf, and the way to it has no steps.
SELECT program, seal, members, changed, previous, hash ~ '^[0-9a-f]{64}$' AS hash,
	   root = encode(sha256('\x00' || int8send(m.member_id) || int8send(1) || m.head), 'hex') AS root
FROM loyalty.seal(), loyalty.member m WHERE m.member_id = loyalty.member_id('ann', 'seal_beans');
SELECT k, CASE WHEN jsonb_typeof(v) = 'string' THEN regexp_replace(v #>> '{}', '^[0-9a-f]{64}$', 'a hash') ELSE v::text END AS value
FROM jsonb_each(loyalty.proof('ann')) AS e (k, v) WHERE k NOT IN ('sealed_at', 'program_id') ORDER BY k COLLATE "C";
SELECT p ->> 'sealed_at' = to_char(s.sealed_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS sealed_at, p ->> 'hash' = s.hash AS hash,
	   p ->> 'root' = s.root AS root, p ->> 'head' = encode(m.head, 'hex') AS head
FROM loyalty.proof('ann') p, loyalty.seals s, loyalty.member m WHERE s.program = 'seal_beans' AND m.member_id = loyalty.member_id('ann', 'seal_beans');

-- Every number of members, under every seal, with and without entries.
CREATE FUNCTION published(text, integer) RETURNS text LANGUAGE sql STABLE AS
	'SELECT hash FROM loyalty.seals WHERE program = $1 AND seal = $2';
INSERT INTO loyalty.program (name) SELECT 'seal_of_' || n FROM unnest('{1,2,3,4,5,7,8,9,16,17}'::int[]) n;
SELECT loyalty.adjust('m' || i, i, program => 'seal_of_' || n) FROM unnest('{1,2,3,4,5,7,8,9,16,17}'::int[]) n, generate_series(1, (n + 1) / 2) i \g /dev/null
SELECT loyalty.enroll('m' || i, program => 'seal_of_' || n) FROM unnest('{1,2,3,4,5,7,8,9,16,17}'::int[]) n, generate_series(1, n) i \g /dev/null
SELECT s.* FROM unnest('{1,2,3,4,5,7,8,9,16,17}'::int[]) n, loyalty.seal('seal_of_' || n) s \g /dev/null
SELECT s.seal, s.members, s.changed,
	   (SELECT count(*) FROM generate_series(1, s.members) i WHERE loyalty.check_proof(loyalty.proof('m' || i, program => s.program), s.hash)) AS proven,
	   (SELECT max(jsonb_array_length(loyalty.proof('m' || i, program => s.program) -> 'path')) FROM generate_series(1, s.members) i) AS steps
FROM loyalty.seals s WHERE s.program LIKE 'seal_of_%' ORDER BY s.members;

-- More than one part; a member who changes, newcomers, and then nothing.
SELECT loyalty.adjust('m' || i, 1) FROM generate_series(1, 2100) i \g /dev/null
SELECT seal, members, changed FROM loyalty.seal();
SELECT cardinality(part_members) AS parts, cardinality(part_roots) AS roots FROM loyalty.seal WHERE seal = 2 AND members = 2101;
SELECT loyalty.adjust('ann', 1), loyalty.enroll('bob') \g /dev/null
SELECT seal, members, changed FROM loyalty.seal();
SELECT seal, members, changed FROM loyalty.seal();
SELECT seal, count(*) FILTER (WHERE loyalty.check_proof(loyalty.proof('m' || i, seal), published('seal_beans', seal))) AS proven
FROM generate_series(2, 4) seal, generate_series(1, 2100, 7) i GROUP BY 1 ORDER BY 1;
SELECT seal, loyalty.proof('ann', seal) -> 'seq' AS seq, loyalty.check_proof(loyalty.proof('ann', seal), published('seal_beans', seal)) FROM generate_series(1, 4) seal;
SELECT a.seal, a.root = b.root AS same_root, a.previous = b.hash AS follows, a.sealed_at >= b.sealed_at AS later
FROM loyalty.seals a JOIN loyalty.seals b ON b.program = a.program AND b.seal = a.seal - 1 WHERE a.program = 'seal_beans' ORDER BY 1;
SELECT count(*) FROM loyalty.seal_leaf WHERE program_id = (SELECT program_id FROM loyalty.program WHERE name = 'seal_beans');
SELECT * FROM loyalty.verify('seal_beans');

-- Who was no member yet, seals that there are not.
SELECT loyalty.proof('bob', 2);
SELECT loyalty.proof('bob', 9);
SELECT loyalty.proof('bob', 0);
SELECT loyalty.seal('nowhere');

-- Several programs in one statement; a numeric customer id.
SELECT loyalty.adjust(42, 5) \g /dev/null
SELECT s.program, s.seal FROM (VALUES ('seal_beans'), ('seal_empty')) p (name), loyalty.seal(p.name) s;
SELECT loyalty.check_proof(loyalty.proof(42), published('seal_beans', 5));

-- A merged member's ledger stays under the seals; his ref means the other one.
SELECT loyalty.merge_members('m1', 'ann') \g /dev/null
SELECT seal, members, changed FROM loyalty.seal();
SELECT loyalty.proof('m1') = loyalty.proof('ann') AS same, loyalty.check_proof(loyalty.proof('m1', 6), published('seal_beans', 6)) AS after,
	   loyalty.check_proof(loyalty.proof('m1', 2), published('seal_beans', 2)) AS before;
SELECT * FROM loyalty.verify('seal_beans');

-- A member's history can be hashed again by whoever reads it.
SELECT loyalty.adjust('ann', -7.25, reason => 'ünïcode') \g /dev/null
WITH RECURSIVE entries AS (SELECT * FROM loyalty.history('ann')),
chain AS (
	SELECT seq, sha256(bytes) AS hash FROM entries WHERE seq = 1
	UNION ALL
	SELECT e.seq, sha256(c.hash || e.bytes) FROM chain c JOIN entries e ON e.seq = c.seq + 1)
SELECT e.seq, e.hash = c.hash AS same, length(e.bytes) > 100 AS bytes FROM entries e JOIN chain c USING (seq) ORDER BY 1;
SELECT count(*) FROM loyalty.history('bob');
SELECT * FROM loyalty.history('stranger');

-- A proof of something else does not hold.
SELECT loyalty.proof('m9', 2) AS proof, published('seal_beans', 2) AS published, (SELECT root FROM loyalty.seals WHERE program = 'seal_beans' AND seal = 2) AS root \gset
SELECT loyalty.check_proof(:'proof', :'published') AS hash, loyalty.check_proof(:'proof', :'root') AS root,
	   loyalty.check_proof(:'proof', decode(:'published', 'hex')) AS bytes, loyalty.check_proof(:'proof', '\x' || upper(:'published')) AS shown,
	   loyalty.check_proof(NULL, :'root') AS nothing;
SELECT loyalty.check_proof(:'proof', published('seal_beans', 3)) AS another_seal, loyalty.check_proof(:'proof', published('seal_empty', 1)) AS another_program;
SELECT k, loyalty.check_proof(:'proof'::jsonb || jsonb_build_object(k, v::jsonb), :'published')
FROM (VALUES ('seq', '2'), ('seq', '0'), ('head', '""'), ('head', format('"%s"', repeat('0', 64))), ('seal', '1'), ('members', '2102'), ('members', '0'), ('index', '0'), ('index', '9999'),
	   ('path', '[]'), ('program', '"seal_bean"'), ('program_id', '2147480000'), ('previous', '""'), ('root', format('"%s"', repeat('f', 64))), ('hash', format('"%s"', repeat('f', 64))),
	   ('member_id', '"1"'), ('sealed_at', '"2026-01-31T23:59:59.123456Z"')) AS t (k, v);
-- turned round, cut off, prolonged; more fields do no harm
SELECT loyalty.check_proof(jsonb_set(:'proof', '{path,0,side}', CASE :'proof'::jsonb #>> '{path,0,side}' WHEN 'left' THEN '"right"'::jsonb ELSE '"left"' END), :'published') AS turned,
	   loyalty.check_proof(:'proof'::jsonb #- '{path,0}', :'published') AS cut,
	   loyalty.check_proof(jsonb_set(:'proof', '{path,99}', :'proof'::jsonb #> '{path,0}'), :'published') AS longer,
	   loyalty.check_proof(:'proof'::jsonb || '{"note": "x"}', :'published') AS more;

-- What is no proof is refused.
\set VERBOSITY verbose
SELECT loyalty.check_proof('[]', :'published');
\set VERBOSITY default
SELECT loyalty.check_proof('null', :'published');
SELECT loyalty.check_proof('"x"', :'published');
SELECT loyalty.check_proof('{}', :'published');
SELECT loyalty.check_proof('[{"format": "loyalty proof 1"}]', :'published');
SELECT loyalty.check_proof('{"format": "loyalty proof 2"}', :'published');
SELECT loyalty.check_proof(:'proof', '');
SELECT loyalty.check_proof(:'proof', repeat('g', 64));
SELECT loyalty.check_proof(:'proof', '\x00'::bytea);
CREATE FUNCTION refused(proof jsonb, published text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	RETURN loyalty.check_proof(proof, published);
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
SELECT k, left(v, 40) AS value, refused(:'proof'::jsonb || jsonb_build_object(k, v::jsonb), :'published')
FROM (VALUES ('format', '1'), ('program', 'null'), ('program_id', '2147483648'), ('program_id', '-1'), ('member_id', '5'), ('member_id', '"9223372036854775808"'), ('member_id', '" 5"'), ('member_id', '"-5"'),
	   ('member_id', '""'), ('seq', '1.5'), ('seq', '1e400'), ('seq', '"1"'), ('seq', 'true'), ('head', '"abc"'), ('head', format('"%s"', repeat('ä', 32))), ('head', '[]'), ('seal', '{}'),
	   ('index', '9223372036854775808'), ('members', '-0.5'), ('sealed_at', '"2026-02-30T00:00:00.000000Z"'), ('sealed_at', '"2026-01-31 23:59:59"'), ('sealed_at', '"2026-01-31T24:00:00.000000Z"'),
	   ('sealed_at', '"2026-13-01T00:00:00.000000Z"'), ('sealed_at', '"-026-01-01T00:00:00.000000Z"'), ('sealed_at', '"infinity"'), ('root', '""'), ('hash', 'null'), ('previous', '"00"'),
	   ('path', '{}'), ('path', '"x"'), ('path', '[1]'), ('path', '[[]]'), ('path', '[{}]'), ('path', '[{"side": "up"}]'), ('path', '[{"side": "left"}]'), ('path', '[{"side": "left", "hash": "0"}]'),
	   ('path', (SELECT jsonb_agg(1) FROM generate_series(1, 1000))::text), ('path', repeat('[', 1000) || repeat(']', 1000))) AS t (k, v);
SELECT k, refused(:'proof'::jsonb - k, :'published') FROM jsonb_object_keys(:'proof') AS k ORDER BY k COLLATE "C";

-- Sealed is sealed.
UPDATE loyalty.seal SET members = 0;
DELETE FROM loyalty.seal_leaf;
TRUNCATE loyalty.seal;
BEGIN READ ONLY;
SELECT loyalty.seal();
ROLLBACK;

-- A sealed member who is gone is missed.
SET session_replication_role = replica;
BEGIN;
DELETE FROM loyalty.member WHERE ref = 'm5' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'seal_beans');
SELECT loyalty.seal();
ROLLBACK;
BEGIN;
UPDATE loyalty.member SET head = '\x00' WHERE member_id = 4611686018427387904 OR ref = 'm5' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'seal_of_5');
SELECT loyalty.seal('seal_of_5');
ROLLBACK;
RESET session_replication_role;

-- Who may what: who reads a program sees its seals and proves any member, who operates it seals, a member proves himself.
CREATE ROLE seal_reader;
CREATE ROLE seal_till;
CREATE ROLE seal_app;
CREATE ROLE seal_stranger;
SELECT loyalty.grant_access('seal_reader', 'read'), loyalty.grant_access('seal_till', 'operate'), loyalty.grant_access('seal_app', 'member'),
	   loyalty.grant_access('seal_stranger', 'operate', 'seal_empty') \g /dev/null
SET ROLE seal_reader;
SELECT program, seal FROM loyalty.seals WHERE seal < 3;
SELECT count(*) > 2000 AS leaves FROM loyalty.seal_leaf;
SELECT loyalty.check_proof(loyalty.proof('m9', 2), (SELECT hash FROM loyalty.seals WHERE seal = 2));
SELECT count(*) FROM loyalty.history('m9');
SELECT loyalty.seal();
SELECT loyalty.seal('seal_empty');
SELECT loyalty.proof('m9', program => 'seal_of_16');
SET ROLE seal_till;
SELECT program, seal, changed FROM loyalty.seal();
SET ROLE seal_app;
SELECT loyalty.proof('m9', 2);
SET loyalty.member_ref = 'm9';
SELECT loyalty.check_proof(loyalty.proof('m9', 2), (SELECT hash FROM loyalty.seals WHERE seal = 2));
SELECT count(*) FROM loyalty.history('m9');
SELECT loyalty.proof('m8');
SELECT loyalty.history('m8');
SELECT loyalty.seal();
SELECT count(*) FROM loyalty.seal_leaf;
RESET loyalty.member_ref;
SET ROLE seal_stranger;
SELECT program, seal FROM loyalty.seals;
SELECT count(*) FROM loyalty.seal_leaf;
SELECT loyalty.proof('m9', program => 'seal_beans');
RESET ROLE;
SELECT loyalty.revoke_access('seal_reader', 'read'), loyalty.revoke_access('seal_till', 'operate'), loyalty.revoke_access('seal_app', 'member'),
	   loyalty.revoke_access('seal_stranger', 'operate', 'seal_empty') \g /dev/null
DROP ROLE seal_reader, seal_till, seal_app, seal_stranger;
DROP FUNCTION published, refused;
