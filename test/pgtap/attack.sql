-- A role that may do everything with one program, against another one; and SQL
-- in every text argument that there is.
\set QUIET on
SET client_min_messages = error;
SET timezone = 'UTC';
SELECT no_plan();

-- Everything that is of the other program has this word in it.
INSERT INTO loyalty.program (name, point_value, currency) VALUES ('mine', 0.01, 'EUR'), ('hidden', 0.01, 'EUR');
INSERT INTO loyalty.rule (program, name, award, member_cap, budget, confirm) VALUES
	('mine', 'base', '1 per 1', NULL, NULL, false),
	('hidden', 'hidden base', '1 per 1', 1000, 5000, false), ('hidden', 'hidden review', '5', NULL, NULL, true);
INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('mine', 'gold', 1, 50), ('hidden', 'hidden gold', 1, 50);
INSERT INTO loyalty.reward (program, name, title, cost, kind, stock, value) VALUES ('mine', 'mug', NULL, 5, 'product', 10, NULL), ('hidden', 'hidden mug', 'hidden title', 5, 'product', 10, NULL),
	('hidden', 'hidden card', NULL, 5, 'gift_card', NULL, 3);
INSERT INTO loyalty.reward_option (program, reward, name, cost) VALUES ('hidden', 'hidden mug', 'hidden option', 4);
INSERT INTO loyalty.voucher_pool (program, name, kind, value) VALUES ('hidden', 'hidden pool', 'value', 4);
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('hidden', 'hidden currency', 2);
CREATE TABLE orders (id text PRIMARY KEY, c text, t numeric, broken boolean);
CREATE TABLE hidden_orders (LIKE orders INCLUDING ALL);
SELECT loyalty.attach('orders', member => 'c', amount => 't', program => 'mine') \g /dev/null
SELECT loyalty.attach('hidden_orders', member => 'c', amount => 't / CASE WHEN broken THEN 0 ELSE 1 END', program => 'hidden') \g /dev/null
INSERT INTO orders VALUES ('o1', 'ann', 100, false);
INSERT INTO hidden_orders VALUES ('hidden o1', 'ann', 100, false), ('hidden o2', 'hidden ben', 90, false), ('hidden o3', 'hidden cid', 80, false), ('hidden o4', 'hidden dan', 1, true);
SELECT loyalty.set_member('hidden ben', birthday => '1990-01-01', segments => '{hidden segment}', data => '{"name": "hidden name"}', program => 'hidden'),
	loyalty.spend('ann', 1, purchase => 'hidden o1', amount => 100, reason => 'hidden reason', key => 'hidden key', program => 'hidden'),
	loyalty.hold('ann', 1, purchase => 'hidden o5', key => 'hidden hold', program => 'hidden'),
	loyalty.redeem('ann', 'hidden mug', reason => 'hidden redemption', program => 'hidden'), loyalty.redeem('ann', 'hidden card', program => 'hidden'),
	loyalty.choose_reward('hidden cid', 'hidden mug', program => 'hidden'),
	loyalty.transfer('ann', 'hidden ben', 1, reason => 'hidden gift', program => 'hidden'),
	loyalty.create_household('hidden household', 'hidden cid', program => 'hidden'),
	loyalty.merge_members('hidden eve', 'hidden cid', program => 'hidden')
FROM loyalty.enroll('hidden eve', program => 'hidden') \g /dev/null
SELECT voucher AS hidden_code FROM loyalty.redeem('ann', 'hidden card', program => 'hidden') \gset
SELECT loyalty.use_voucher(:'hidden_code', 1, 'ann', 'hidden o1', program => 'hidden') \g /dev/null

CREATE ROLE loyalty_attack_mine;
SELECT loyalty.grant_access('loyalty_attack_mine', access, 'mine') FROM unnest('{operate,manage}'::text[]) access \g /dev/null
-- What a careless administrator may do beside that.
GRANT SELECT ON ALL TABLES IN SCHEMA loyalty TO loyalty_attack_mine;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA loyalty TO loyalty_attack_mine;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA loyalty TO loyalty_attack_mine;

-- Whatever a command answers, or the error with all its fields.
CREATE FUNCTION answer(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text; code text; message text; detail text; hint text; context text;
BEGIN
	IF command ~ '^(CALL|INSERT)' THEN
		EXECUTE command;
		RETURN 'called';
	END IF;
	EXECUTE 'SELECT string_agg(a::text, E''\n'') FROM (' || command || ') a' INTO result;
	RETURN coalesce(result, 'nothing');
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(' ', code, message, detail, hint);
END $$;

-- Every relation, read by the role
CREATE TABLE relations AS
	SELECT c.oid::regclass::text AS name, c.relkind FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'loyalty' WHERE c.relkind IN ('r', 'v');
GRANT SELECT ON relations TO loyalty_attack_mine;
SET ROLE loyalty_attack_mine;
SELECT is((SELECT string_agg(name, ' ') FROM relations WHERE answer('SELECT * FROM ' || name) ~* 'hidden'), NULL, 'no relation shows it a row of the other program');
SELECT is((SELECT string_agg(name, ' ') FROM relations WHERE answer(format('SELECT * FROM %s x WHERE to_jsonb(x) ->> ''program_id'' <> ''%s''', name, (SELECT program_id FROM loyalty.program))) NOT IN ('nothing')), NULL, 'nor by number');
SELECT is((SELECT count(*)::int FROM loyalty.member), 1, 'its own member is there');
RESET ROLE;
SELECT cmp_ok((SELECT count(*)::int FROM relations WHERE answer('SELECT * FROM ' || name) ~* 'hidden'), '>=', 25, 'to others there is much to see');

-- Every function with a program: one that exists answers as one that does not
CREATE TABLE calls AS
	SELECT p.oid, p.oid::regprocedure::text AS name, p.prokind, p.proname, a.args
	FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'loyalty'
	CROSS JOIN LATERAL (
		SELECT array_agg(ARRAY[n, format_type(t, NULL)] ORDER BY o) AS args
		FROM unnest(p.proargnames[1:p.pronargs], p.proargtypes::oid[]) WITH ORDINALITY x (n, t, o)) a
	WHERE p.prokind IN ('f', 'p') AND p.provolatile <> 'i' AND p.pronargs > 0 AND p.proargnames IS NOT NULL;
GRANT SELECT ON calls TO loyalty_attack_mine;
-- A call with something sensible for each argument, or with "text" in the argument "at".
CREATE FUNCTION call(c calls, program text, place int DEFAULT 0, word text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT CASE c.prokind WHEN 'p' THEN 'CALL ' ELSE 'SELECT * FROM ' END || format('loyalty.%I(%s)', c.proname, string_agg(
		format('%I => %s', c.args[i][1], CASE
			WHEN i = place AND c.args[i][2] = 'text[]' THEN quote_literal(ARRAY[word]) || '::text[]'
			WHEN i = place AND c.args[i][2] = 'jsonb' THEN quote_literal(jsonb_build_object(word, word)) || '::jsonb'
			WHEN i = place THEN quote_literal(word) || '::text'
			WHEN c.args[i][1] = 'program' THEN quote_literal(program)
			WHEN c.proname = 'forget_member' AND c.args[i][1] = 'member' THEN '''9'''
			WHEN c.args[i][1] IN ('member', 'from_member') AND c.args[i][2] = 'text' THEN '''ann'''
			WHEN c.args[i][1] IN ('to_member', 'into_member') THEN quote_literal('2')
			WHEN c.args[i][1] IN ('reward') THEN '''mug'''
			WHEN c.args[i][1] = 'period' THEN '''month'''
			WHEN c.args[i][1] IN ('code') THEN '''7KQ4-9XMT-2R8W'''
			WHEN c.args[i][1] IN ('at', 'since', 'until') THEN 'NULL'
			WHEN c.args[i][2] = 'text' THEN quote_literal('word')
			WHEN c.args[i][2] IN ('bigint', 'integer', 'numeric') THEN '1'
			WHEN c.args[i][2] = 'regclass' THEN '''orders'''
			WHEN c.args[i][2] = 'boolean' THEN 'true'
			WHEN c.args[i][2] = 'date' THEN '''2100-01-01'''
			WHEN c.args[i][2] = 'interval' THEN '''1 day'''
			ELSE 'NULL' END || CASE WHEN c.args[i][2] IN ('bigint', 'integer', 'numeric', 'text', 'date', 'interval', 'regclass') AND i <> place THEN '::' || c.args[i][2] ELSE '' END), ', ' ORDER BY i))
	FROM generate_subscripts(c.args, 1) i $$;

SET ROLE loyalty_attack_mine;
SELECT cmp_ok((SELECT count(*)::int FROM calls c WHERE 'program' = ANY (SELECT c.args[i][1] FROM generate_subscripts(c.args, 1) i)), '>', 60, 'there are functions to try');
SELECT is((SELECT string_agg(c.name || ': ' || answer(call(c, 'hidden')), E'\n') FROM calls c
	WHERE 'program' = ANY (SELECT c.args[i][1] FROM generate_subscripts(c.args, 1) i)
	  AND answer(call(c, 'hidden')) <> replace(answer(call(c, 'absent')), 'absent', 'hidden')), NULL, 'of a program that it may not see a function says what it says of none');
SELECT is((SELECT string_agg(c.name || ': ' || answer(call(c, 'hidden')), E'\n') FROM calls c
	WHERE 'program' = ANY (SELECT c.args[i][1] FROM generate_subscripts(c.args, 1) i)
	  AND answer(call(c, 'hidden')) !~ '^(LY004|42501)' AND answer(call(c, 'hidden')) NOT IN ('(f)', 'nothing')), NULL, 'nothing is answered');
SELECT is((SELECT string_agg(c.name, ' ') FROM calls c WHERE answer(call(c, 'mine')) ~ 'LY004'), NULL, 'its own program is there for all of them');
-- By a source's name, and by what is named beside no program
SELECT matches(answer($$SELECT * FROM loyalty.explain('hidden_orders', 'hidden o1')$$), '^LY005', 'no purchase of a source of the other program');
SELECT matches(answer($$CALL loyalty.backfill('hidden_orders')$$), '^LY005', 'no backfill');
SELECT matches(answer($$SELECT loyalty.detach('hidden_orders')$$), '^LY005', 'no detaching');
SELECT matches(answer($$SELECT loyalty.spend('hidden ben', 1)$$), '^LY002', 'a member of the other program is a stranger');
SELECT matches(answer(format('SELECT * FROM loyalty.voucher(%L)', :'hidden_code')), '^LY024', 'a voucher of the other program is none');
SELECT matches(answer(format('SELECT * FROM loyalty.use_voucher(%L, 1, ''ann'')', :'hidden_code')), '^LY024', 'nor can it be used');
SELECT matches(answer($$SELECT loyalty.redeem('ann', 'hidden mug')$$), '^LY019', 'nor its rewards be redeemed');
SELECT is(answer($$SELECT * FROM loyalty.base_tier((SELECT program_id + 1 FROM loyalty.program))$$), '()', 'nor is the name of its first tier told');
SELECT matches(answer($$SELECT * FROM loyalty.outstanding('{1@infinity}', (SELECT program_id + 1 FROM loyalty.program), now(), now(), now())$$), '^LY004', 'nor how long its points last');
-- What is told of unique names, by what collides
SELECT matches(answer($$INSERT INTO loyalty.tier (program, name, rank) VALUES ('hidden', 'hidden gold', 1)$$), '^LY004', 'a name of the other program collides with nothing that is told');
-- Statistics of the planner
SELECT is((SELECT count(*)::int FROM pg_stats WHERE schemaname = 'loyalty'), 0, 'nor do the statistics tell');
SELECT is(answer($$SELECT * FROM loyalty.verify('mine')$$), 'nothing', 'verify of its own program finds nothing');
RESET ROLE;

-- Nothing of it did anything to the other program
SELECT is((SELECT count(*)::int FROM loyalty.rule WHERE program = 'hidden'), 2, 'the other program''s rules are as they were');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'and its ledger is sound');

-- SQL in every text argument, by the owner, who gets furthest
CREATE TABLE canary (x int);
INSERT INTO canary VALUES (1);
CREATE FUNCTION attack(c calls, place int, word text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text := public.answer(public.call(c, 'mine', place, word));
BEGIN
	IF (SELECT count(*) FROM public.canary) <> 1 OR to_regclass('public.canary') IS NULL THEN
		RAISE 'the canary is dead: %', public.call(c, 'mine', place, word);
	END IF;
	RETURN CASE WHEN left(said, 5) IN ('XX000', '57P01', '42601') THEN said END;
END $$;
CREATE TABLE words (w text);
INSERT INTO words VALUES ($$'; DELETE FROM public.canary; --$$), ($$' OR true --$$), ($$"; DROP TABLE public.canary; --$$), ($$$x$; DELETE FROM public.canary; --$$), ($$\'; DELETE FROM public.canary; --$$),
	($$%s %n %1$s$$), (repeat('x', 3000)), ($$1); DELETE FROM public.canary; SELECT ($$), ($$)$$), ('');
SELECT cmp_ok((SELECT count(*)::int FROM calls c, generate_subscripts(c.args, 1) i WHERE c.args[i][2] IN ('text', 'text[]', 'jsonb')), '>', 150, 'there are arguments to try');
-- expressions and queries, which are SQL, are judged by the parser and its errors are theirs
SELECT is((SELECT string_agg(DISTINCT c.proname || '.' || c.args[i][1], ' ') FROM calls c, generate_subscripts(c.args, 1) i, words
	WHERE c.args[i][2] IN ('text', 'text[]', 'jsonb') AND c.proname NOT IN ('schedule_maintenance', 'unschedule_maintenance')
	  AND NOT (c.proname IN ('attach', 'attach_query', 'import_balance', 'revise_rule') AND attack(c, i, w) ~ '^42601')
	  AND attack(c, i, w) IS NOT NULL), NULL, 'text is text');
SELECT is((SELECT count(*)::int FROM canary), 1, 'the canary lives');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'the ledger is sound');
-- and of names of programs, which are read again in many places
INSERT INTO loyalty.program (name) SELECT w FROM words WHERE w <> '' AND length(w) < 100;
SELECT is((SELECT string_agg(DISTINCT c.proname, ' ') FROM calls c, words
	WHERE 'program' = ANY (SELECT c.args[i][1] FROM generate_subscripts(c.args, 1) i) AND w <> '' AND length(w) < 100
	  AND answer(call(c, w)) ~ '^(XX000|42601|57P01)' ), NULL, 'a program''s name is a name');
SELECT is((SELECT count(*)::int FROM canary), 1, 'the canary still lives');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'the ledger is sound');
SELECT loyalty.revoke_access('loyalty_attack_mine', access, 'mine') FROM unnest('{operate,manage}'::text[]) access \g /dev/null
DROP OWNED BY loyalty_attack_mine;
DROP ROLE loyalty_attack_mine;
SELECT * FROM finish();
