-- proposal: what takes a second person has one, however it is split; verify finds what was changed by hand
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

-- a clerk does something: SQLSTATE, 00000 when it is accepted, and stands
CREATE FUNCTION as_role(who text, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL SESSION AUTHORIZATION %I', who);
	BEGIN
		EXECUTE command;
	EXCEPTION WHEN others THEN
		RESET SESSION AUTHORIZATION;
		RETURN SQLSTATE;
	END;
	RESET SESSION AUTHORIZATION;
	RETURN '00000';
END $$;
CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is_empty('SELECT * FROM loyalty.verify()', description)
$$;
-- what verify says once a command has run without guards; then it is undone
CREATE FUNCTION finds(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		EXECUTE command;
		SET LOCAL session_replication_role = origin;
		SELECT string_agg(regexp_replace(problem, '\d{10,}', 'M', 'g'), '; ' ORDER BY problem COLLATE "C") INTO found
		FROM loyalty.verify() WHERE invariant = 'I6 proposals';
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN coalesce(found, '');
	END;
END $$;

CREATE ROLE fraud_ann;
CREATE ROLE fraud_bob;
CREATE ROLE fraud_cleo;
CREATE ROLE fraud_desk;
GRANT fraud_desk TO fraud_ann, fraud_bob;
INSERT INTO loyalty.program (name, adjust_limit) VALUES ('shop', 100);
SELECT loyalty.grant_access(r, 'operate') FROM unnest('{fraud_ann,fraud_bob,fraud_cleo,fraud_desk}'::regrole[]) r \g /dev/null

-- Whatever one person tries at random within a day, no more than the limit is posted by him of a member
SELECT setseed(0.815) \g /dev/null
CREATE TABLE attempt AS
	SELECT n, (ARRAY['fraud_ann', 'fraud_bob'])[1 + n % 2] AS who, 'm' || 1 + (random() * 3)::int AS member,
		   (ARRAY['adjust', 'adjust', 'adjust', 'extend', 'cancel', 'desk'])[1 + floor(random() * 6)::int] AS act,
		   (1 + floor(random() * 60))::int AS points, random() < 0.3 AS takes
	FROM generate_series(1, 400) n;
GRANT SELECT ON attempt TO PUBLIC;
SELECT count(as_role(who, CASE act
	WHEN 'adjust' THEN format('SELECT loyalty.adjust(%L, %s, expires => %s)', member, CASE WHEN takes THEN -points ELSE points END,
							  CASE WHEN takes THEN 'NULL' ELSE '''2990-01-01''' END)
	WHEN 'extend' THEN format('SELECT loyalty.extend(%L, NULL, ''2995-01-01'', points => %s)', member, points)
	WHEN 'cancel' THEN format('SELECT loyalty.cancel(%L, %s)', member, 1 + points % 20)
	ELSE format('SET LOCAL ROLE fraud_desk; SELECT loyalty.adjust(%L, %s)', member, points) END)) > 0 FROM (SELECT * FROM attempt ORDER BY n) a \g /dev/null
CREATE VIEW by_hand AS
	SELECT m.ref, coalesce(e.context -> 'by' ->> 'session', e.context -> 'by' ->> 'role') AS person, e.*,
		   greatest(abs(e.points::numeric), (SELECT sum(l.points::numeric) FROM loyalty.lots(e.lots) l WHERE l.points::numeric > 0)) AS moved
	FROM loyalty.entry e JOIN loyalty.member m USING (member_id)
	WHERE e.kind = 'adjust' AND NOT e.context -> 'by' ? 'proposal';
SELECT cmp_ok((SELECT count(*) FROM by_hand), '>', 10::bigint, 'something was posted');
SELECT cmp_ok((SELECT count(*) FROM loyalty.proposals WHERE state = 'open'), '>', 50::bigint, 'and more was proposed');
SELECT is_empty($$SELECT ref, person, sum(moved) FROM by_hand WHERE NOT context -> 'by' ? 'own' GROUP BY 1, 2 HAVING sum(moved) > 100$$, 'no more than the limit of a member by one person');
SELECT is_empty($$SELECT * FROM loyalty.proposals WHERE member IN (SELECT ref FROM loyalty.member WHERE member_id IS NULL)$$, 'proposals are of members');
SELECT sound('sound with many proposals');
-- everybody decides what he can
SELECT is_empty($$SELECT * FROM loyalty.proposals p, as_role(p.proposed_session, format('SELECT loyalty.approve(%L)', p.proposal)) c WHERE c <> 'LY030'$$, 'nobody approves his own');
CREATE TABLE decided AS
	SELECT p.proposal, as_role(CASE p.proposed_session WHEN 'fraud_ann' THEN 'fraud_bob' ELSE 'fraud_ann' END, format('SELECT loyalty.approve(%L)', p.proposal)) AS code
	FROM loyalty.proposals p WHERE p.points::numeric > 0 AND p.proposed_by <> 'fraud_desk' ORDER BY p.proposal LIMIT 20;
SELECT is_empty($$SELECT * FROM decided WHERE code <> '00000'$$, 'somebody else does');
SELECT is((SELECT count(*) FROM loyalty.proposals WHERE state = 'approved'), 20::bigint, 'all of them');
SELECT is(as_role('fraud_cleo', format('SELECT loyalty.decline(%L)', proposal)), '00000', 'one is declined') FROM loyalty.proposals WHERE state = 'open' AND proposed_session = 'fraud_ann' AND proposed_by = 'fraud_ann' ORDER BY proposal LIMIT 1;
SELECT is(as_role('fraud_ann', format('SELECT loyalty.withdraw(%L)', proposal)), '00000', 'one is withdrawn') FROM loyalty.proposals WHERE state = 'open' AND proposed_session = 'fraud_ann' AND proposed_by = 'fraud_ann' ORDER BY proposal LIMIT 1;
SELECT sound('sound once they are decided');

-- What was changed by hand
CREATE VIEW one AS SELECT * FROM loyalty.proposal WHERE state = 'approved' ORDER BY member_id, number LIMIT 1;
CREATE FUNCTION mask(problems text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace($1, '(M|4711)#\d+', 'M#N', 'g'), 'entry \d+', 'entry E', 'g')
$$;
SELECT matches(mask(finds(replace(command, 'ONE', '(SELECT member_id, number FROM one)'))), problem, command) FROM (VALUES
	('UPDATE loyalty.proposal SET points = ''9999'' WHERE (member_id, number) IN ONE', 'points of proposal M#N are not those of its entry'),
	('UPDATE loyalty.proposal SET decided_by = proposed_by WHERE (member_id, number) IN ONE', 'proposal M#N was decided by who had proposed it; the entry of proposal M#N says that somebody else has approved it'),
	('UPDATE loyalty.proposal SET decided_by = ''mallory'' WHERE (member_id, number) IN ONE', 'the entry of proposal M#N says that somebody else has approved it'),
	('UPDATE loyalty.proposal SET proposed_by = ''mallory'' WHERE (member_id, number) IN ONE', 'the entry of proposal M#N says that somebody else had proposed it'),
	('UPDATE loyalty.proposal SET state = ''declined'' WHERE (member_id, number) IN ONE', 'entry E was posted by no approved proposal; proposal M#N is posted, but not approved, or the other way round'),
	('UPDATE loyalty.proposal SET state = ''open'' WHERE (member_id, number) IN ONE', 'entry E was posted by no approved proposal; proposal M#N is open and decided, or neither; proposal M#N is posted, but not approved, or the other way round'),
	('UPDATE loyalty.proposal SET state = ''maybe'' WHERE (member_id, number) IN ONE', 'entry E was posted by no approved proposal; proposal M#N is posted, but not approved, or the other way round; state of proposal M#N is none'),
	('UPDATE loyalty.proposal SET entry = 9999 WHERE (member_id, number) IN ONE', 'entry E was posted by no approved proposal; the entry of proposal M#N is not there'),
	('UPDATE loyalty.proposal SET program_id = 77 WHERE (member_id, number) IN ONE', 'entry E was posted by no approved proposal'),
	('DELETE FROM loyalty.proposal WHERE (member_id, number) IN ONE', 'entry E was posted by no approved proposal'),
	('UPDATE loyalty.proposal SET decided_by = ''fraud_cleo'', decided_session = ''fraud_cleo'' WHERE state = ''withdrawn''', 'proposal M#N was withdrawn by somebody else'),
	('UPDATE loyalty.proposal SET decided_by = proposed_by, decided_session = proposed_session WHERE state = ''declined''', 'proposal M#N was decided by who had proposed it'),
	('UPDATE loyalty.proposal SET decided_at = NULL, decided_by = NULL, decided_session = NULL WHERE state = ''declined''', 'proposal M#N is open and decided, or neither'),
	('INSERT INTO loyalty.proposal SELECT 4711, 1, program_id, points, expires, at, proposed_at, NULL, NULL, NULL, ''open'', ''x'', ''x'' FROM one', 'proposal M#N is of a member who is not there'),
	('UPDATE loyalty.entry SET context = context #- ''{by,proposal}'' WHERE (member_id, seq) IN (SELECT entry_member_id, entry FROM one)', 'the entry of proposal M#N does not name it'),
	('UPDATE loyalty.entry SET kind = ''earn'' WHERE (member_id, seq) IN (SELECT entry_member_id, entry FROM one)', 'the entry of proposal M#N is none of an adjustment in its program')) AS v (command, problem);
SELECT sound('sound again');
SELECT * FROM finish();
ROLLBACK;
