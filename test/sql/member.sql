--
-- member: who a ref is, how he becomes a member, and what is kept of him
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
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(regexp_replace(detail, '^Failing row .*', ''), ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name) VALUES ('member_a');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('member_b', false);
SET loyalty.program = 'member_a';

-- member_id is the documented formula: 8 bytes of sha256(program || '\0' || ref), sign bit cleared
CREATE FUNCTION pg_temp.place(program text, ref text, attempt text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$
	SELECT ('x' || encode(substr(pg_catalog.sha256(convert_to(program, 'UTF8') || '\x00' || convert_to(ref, 'UTF8') || attempt::bytea), 1, 8), 'hex'))::bit(64)::bigint & 9223372036854775807
$$;
SELECT program, ref, loyalty.member_id(ref, program) = pg_temp.place(program, ref) AS as_documented
FROM (VALUES ('member_a', '42'), ('member_a', ''), ('', '42'), ('member_a', 'José'), ('会员', '顧客-7'), ('member_a', E'a\tb'), ('member_a', repeat('x', 5000)::varchar(20)), ('bonus €', '😀')) AS v(program, ref);
SELECT count(*) AS refs, count(*) FILTER (WHERE loyalty.member_id(n::text, 'member_a') = pg_temp.place('member_a', n::text)) AS as_documented,
	count(DISTINCT loyalty.member_id(n::text, 'member_a')) AS places, min(loyalty.member_id(n::text, 'member_a')) >= 0 AS no_sign
FROM generate_series(1, 1000) AS n;
SELECT loyalty.member_id('42', 'beans'), loyalty.member_id(NULL, 'beans') IS NULL AS null_ref, loyalty.member_id('42', NULL) IS NULL AS null_program,
	loyalty.member_id('b', 'a') <> loyalty.member_id('', 'ab') AS told_apart;
SELECT provolatile, proparallel, proisstrict FROM pg_catalog.pg_proc WHERE oid = 'loyalty.member_id(text,text)'::regprocedure;

-- enroll: once, and then again without any change
SELECT loyalty.enroll('ann', at => '2024-03-01 10:00Z') = loyalty.member_id('ann', 'member_a') AS enrolled;
SELECT loyalty.enroll('ann', at => '2025-01-01 00:00Z') = loyalty.member_id('ann', 'member_a') AS again, loyalty.enroll('ann', key => 'k1') = loyalty.member_id('ann', 'member_a') AS with_key;
SELECT ref, status, enrolled_at, seq, lifetime, purse, head, last_activity, next_expiry FROM loyalty.member WHERE member_id = loyalty.member_id('ann', 'member_a');
SELECT count(*) AS profiles FROM loyalty.profile WHERE member_id = loyalty.member_id('ann', 'member_a');
-- in another program he is another member; a number and its text are one
SELECT loyalty.enroll('ann', program => 'member_b') <> loyalty.member_id('ann', 'member_a') AS other_member;
SELECT loyalty.enroll(42::bigint) = loyalty.member_id('42', 'member_a') AS by_number, loyalty.enroll('42') = loyalty.enroll(42) AS the_same, loyalty.enroll(-9223372036854775808) = loyalty.member_id('-9223372036854775808', 'member_a') AS the_least;
SELECT loyalty.enroll('042') <> loyalty.enroll('42') AS text_is_text, loyalty.enroll(' 42') <> loyalty.enroll('42') AS blanks_count;
SELECT count(*) FROM loyalty.member WHERE program_id = (SELECT program_id FROM loyalty.program WHERE name = 'member_a');
-- a rolled back enrollment leaves nobody
BEGIN;
SELECT loyalty.enroll('brief') IS NOT NULL AS enrolled;
ROLLBACK;
SELECT pg_temp.try($$SELECT loyalty.set_member('brief', status => 'active')$$);
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$SELECT loyalty.enroll('')$$, $$SELECT loyalty.enroll(NULL::text)$$, $$SELECT loyalty.enroll(NULL::bigint)$$,
	$$SELECT loyalty.enroll('bob', at => 'infinity')$$, $$SELECT loyalty.enroll('bob', at => '-infinity')$$]) AS command;

-- The profile is split: birthday and segments have columns, the rest is data
SELECT loyalty.enroll('bob', profile => '{"birthday": "1990-05-17", "segments": ["vip", "vegan"], "name": "Bob", "langs": ["en"], "nothing": null}') IS NOT NULL AS enrolled;
CREATE FUNCTION pg_temp.profile(ref text) RETURNS TABLE (birthday date, segments text[], referred_by text, data jsonb) LANGUAGE sql AS $$
	SELECT p.birthday, p.segments, (SELECT r.ref FROM loyalty.member r WHERE r.member_id = p.referred_by), p.data
	FROM loyalty.profile p JOIN loyalty.member m USING (member_id, program_id) WHERE m.ref = $1 AND m.program_id = (SELECT program_id FROM loyalty.program WHERE name = 'member_a')
$$;
SELECT * FROM pg_temp.profile('bob');
-- enrolling again touches the given fields only, data key by key
SELECT loyalty.enroll('bob', profile => '{"name": "Robert", "city": "Ipoh"}') IS NOT NULL AS again;
SELECT * FROM pg_temp.profile('bob');
SELECT loyalty.enroll('bob', profile => '{"segments": [], "birthday": "1990-05-18"}') IS NOT NULL AS again;
SELECT * FROM pg_temp.profile('bob');
SELECT profile, pg_temp.try(format('SELECT loyalty.enroll(%L, profile => %L)', 'cat', profile))
FROM unnest(ARRAY['[]', '"x"', '7', 'null', '{"birthday": "someday"}', '{"segments": "vip"}', '{"segments": {"a": 1}}', '{}', '{"birthday": null}']) AS profile;
SELECT * FROM pg_temp.profile('cat');

-- Who referred him: a member, not himself, and it stays
SELECT loyalty.enroll('dan', referred_by => 'bob') IS NOT NULL AS enrolled;
SELECT * FROM pg_temp.profile('dan');
SELECT loyalty.enroll('dan', referred_by => 'ann') IS NOT NULL AS again;
SELECT referred_by FROM pg_temp.profile('dan');
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$SELECT loyalty.enroll('eve', referred_by => 'stranger')$$, $$SELECT loyalty.enroll('eve', referred_by => 'eve')$$, $$SELECT loyalty.enroll('dan', referred_by => 'dan')$$]) AS command;
SELECT count(*) AS eve_is_no_member FROM loyalty.member WHERE member_id = loyalty.member_id('eve', 'member_a');

-- set_member: NULL leaves a field as it is
SELECT loyalty.set_member('bob', segments => '{gold}', data => '{"city": "Taiping", "tel": 1}', birthday => '1991-01-01');
SELECT * FROM pg_temp.profile('bob');
SELECT loyalty.set_member('bob', data => '{"tel": 2}');
SELECT loyalty.set_member('bob');
SELECT * FROM pg_temp.profile('bob');
SELECT loyalty.set_member(42::bigint, status => 'suspended', data => '{"by": "number"}');
SELECT m.status, p.data FROM loyalty.member m JOIN loyalty.profile p USING (member_id) WHERE m.ref = '42' AND member_id = loyalty.member_id('42', 'member_a');
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$SELECT loyalty.set_member('stranger', status => 'closed')$$, $$SELECT loyalty.set_member('ann', status => 'asleep')$$,
	$$SELECT loyalty.set_member('ann', status => '')$$, $$SELECT loyalty.set_member(NULL::text, status => 'closed')$$, $$SELECT loyalty.set_member('ann', data => '[1]')$$,
	$$SELECT loyalty.set_member('ann', program => 'member_nowhere')$$, $$SELECT loyalty.set_member('stranger', program => 'member_b')$$]) AS command;

-- Suspended and closed members earn nothing, and what they bought then stays judged so
INSERT INTO loyalty.rule (program, name, award) VALUES ('member_a', 'base', '1 per 1'), ('member_b', 'base', '1 per 1');
CREATE TABLE member_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz NOT NULL DEFAULT '2024-01-05 12:00Z');
SELECT loyalty.attach('member_order', member => 'customer', amount => 'total', at => 'at', program => 'member_a') > 0 AS attached;
CREATE FUNCTION pg_temp.stand(ref text, OUT status text, OUT available numeric, OUT debt numeric, OUT lifetime numeric) LANGUAGE sql AS $$
	SELECT (SELECT m.status FROM loyalty.member m WHERE m.member_id = loyalty.find_member($1, 'member_a')), b.available, b.debt, b.lifetime FROM loyalty.balance($1, program => 'member_a') b
$$;
INSERT INTO member_order VALUES (1, 'fay', 100), (2, 'gus', 100);
SELECT loyalty.set_member('fay', status => 'suspended'), loyalty.set_member('gus', status => 'closed');
INSERT INTO member_order VALUES (3, 'fay', 50), (4, 'gus', 50);
SELECT 'fay', * FROM pg_temp.stand('fay') UNION ALL SELECT 'gus', * FROM pg_temp.stand('gus');
-- a return of what was bought before takes back, a purchase of that time may still rise
UPDATE member_order SET total = 80 WHERE id IN (1, 2);
SELECT 'fay', * FROM pg_temp.stand('fay') UNION ALL SELECT 'gus', * FROM pg_temp.stand('gus');
UPDATE member_order SET total = 90 WHERE id IN (1, 2);
SELECT 'fay', * FROM pg_temp.stand('fay') UNION ALL SELECT 'gus', * FROM pg_temp.stand('gus');
-- active again they earn, but not for what they bought meanwhile
SELECT loyalty.set_member('fay', status => 'active'), loyalty.set_member('gus', status => 'active');
UPDATE member_order SET total = 60 WHERE id IN (3, 4);
UPDATE member_order SET total = 40 WHERE id IN (3, 4);
INSERT INTO member_order VALUES (5, 'fay', 7), (6, 'gus', 8);
SELECT 'fay', * FROM pg_temp.stand('fay') UNION ALL SELECT 'gus', * FROM pg_temp.stand('gus');
DELETE FROM member_order WHERE id IN (3, 4);
SELECT 'fay', * FROM pg_temp.stand('fay') UNION ALL SELECT 'gus', * FROM pg_temp.stand('gus');
SELECT entry, kind, points, balance, amount, rule, purchase FROM loyalty.statement('fay', program => 'member_a');

-- Auto-enrollment: on the day of the purchase, and not for guests; where it is off, nobody is enrolled and nothing earned
SELECT loyalty.attach('member_order', member => 'customer', amount => 'total', at => 'at', program => 'member_b') > 0 AS attached;
INSERT INTO member_order VALUES (10, 'hal', 10, '2023-02-03 04:05Z'), (11, NULL, 10, '2023-02-03 04:05Z'), (12, 'hal', 10, '2023-02-01 04:05Z'), (13, 'ann', 10, '2023-02-03 04:05Z');
SELECT ref, (SELECT p.name FROM loyalty.program p WHERE p.program_id = m.program_id) AS program, CASE ref WHEN 'hal' THEN enrolled_at END AS enrolled_at, lifetime FROM loyalty.member m
WHERE program_id IN (SELECT program_id FROM loyalty.program WHERE name ~ '^member_') AND ref IN ('hal', 'ann') ORDER BY 1, 2;
SELECT pg_temp.try($$SELECT loyalty.balance('hal', program => 'member_b')$$), pg_temp.try($$SELECT loyalty.adjust('hal', 5, program => 'member_b')$$);

-- Somebody else lives where a ref computes (here: a renamed member): the newcomer gets a place of his own
INSERT INTO loyalty.member (member_id, program_id, ref, enrolled_at) SELECT loyalty.member_id('zed', 'member_a'), program_id, 'occupant', '2024-01-01 00:00Z' FROM loyalty.program WHERE name = 'member_a';
INSERT INTO loyalty.member_alias (member_id, program_id, ref) SELECT loyalty.member_id('zed', 'member_a'), program_id, 'occupant' FROM loyalty.program WHERE name = 'member_a';
UPDATE loyalty.program SET name = name WHERE name = 'member_a'; -- every session looks for aliases again
SELECT loyalty.find_member('occupant') = loyalty.member_id('zed', 'member_a') AS occupant_found, loyalty.find_member('zed') IS NULL AS zed_is_unknown;
SELECT available, lifetime FROM loyalty.balance('zed');
SELECT pg_temp.try($$SELECT loyalty.set_member('zed', status => 'closed')$$);
SELECT pg_temp.try($$SELECT loyalty.enroll('yan', referred_by => 'zed')$$) AS zed_cannot_have_referred_anybody;
INSERT INTO member_order VALUES (21, 'zed', 13);
SELECT loyalty.find_member('zed') = pg_temp.place('member_a', 'zed', '\x0031') AS place_of_his_own, (SELECT count(*) FROM loyalty.member WHERE ref = 'zed') AS members;
SELECT loyalty.enroll('zed') = loyalty.find_member('zed') AS enrolled_again;
INSERT INTO member_order VALUES (20, 'occupant', 11), (22, 'zed', 4), (23, 'xia', 5);
SELECT ref, member_id = loyalty.member_id(ref, 'member_a') AS computed FROM loyalty.member_alias WHERE program_id = (SELECT program_id FROM loyalty.program WHERE name = 'member_a') ORDER BY ref;
SELECT 'occupant', * FROM pg_temp.stand('occupant') UNION ALL SELECT 'zed', * FROM pg_temp.stand('zed') UNION ALL SELECT 'xia', * FROM pg_temp.stand('xia');
UPDATE member_order SET total = 3 WHERE id IN (20, 22);
SELECT (loyalty.adjust('zed', -10)).balance AS zed, (loyalty.adjust('occupant', 100)).balance AS occupant;
SELECT 'occupant', * FROM pg_temp.stand('occupant') UNION ALL SELECT 'zed', * FROM pg_temp.stand('zed');
-- a purchase moves from one to the other
UPDATE member_order SET customer = 'occupant' WHERE id = 22;
SELECT 'occupant', * FROM pg_temp.stand('occupant') UNION ALL SELECT 'zed', * FROM pg_temp.stand('zed');
SELECT entry, kind, points, purchase FROM loyalty.statement('zed');
SELECT points, starts, ends FROM loyalty.lots('occupant');
SELECT loyalty.enroll('yan', referred_by => 'zed') IS NOT NULL AS enrolled;
SELECT referred_by FROM pg_temp.profile('yan');
-- also when both buy in one statement, before the newcomer has a place
INSERT INTO loyalty.member (member_id, program_id, ref) SELECT loyalty.member_id('wei', 'member_a'), program_id, 'tenant' FROM loyalty.program WHERE name = 'member_a';
INSERT INTO loyalty.member_alias (member_id, program_id, ref) SELECT loyalty.member_id('wei', 'member_a'), program_id, 'tenant' FROM loyalty.program WHERE name = 'member_a';
INSERT INTO member_order VALUES (30, 'tenant', 20), (31, 'wei', 300), (32, 'tenant', 1);
SELECT 'tenant', * FROM pg_temp.stand('tenant') UNION ALL SELECT 'wei', * FROM pg_temp.stand('wei');
-- the sum of the entries is what is in the purse, for everybody
SELECT count(*) AS unsound FROM loyalty.member m WHERE program_id IN (SELECT program_id FROM loyalty.program WHERE name ~ '^member_')
	AND NOT m.purse OPERATOR(loyalty.=) coalesce((SELECT loyalty.sum(e.lots) FROM loyalty.entry e WHERE e.member_id = m.member_id), '{}');
SELECT loyalty.detach('member_order', program => p) FROM unnest(ARRAY['member_a', 'member_b']) AS p;
DROP TABLE member_order;
