--
-- forget: persons of whom nothing is to be known any more
--
\set SHOW_CONTEXT never
\set VERBOSITY default
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
-- pseudonyms are random, digests are long
CREATE FUNCTION pg_temp.short(value text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace(regexp_replace(value, 'forgotten-[0-9a-f]{16}', 'forgotten-*', 'g'), '[0-9a-f]{64}', '*', 'g'), '\d{15,}', '*', 'g')
$$;
CREATE FUNCTION pg_temp.members() RETURNS TABLE (ref text, status text, tier text, lifetime loyalty.points, purse loyalty.purse, held loyalty.points, awaiting loyalty.points, due text) LANGUAGE sql AS $$
	SELECT pg_temp.short(ref), status, tier, lifetime, purse, held, awaiting, next_expiry::text FROM loyalty.member
	WHERE program_id = (SELECT program_id FROM loyalty.program WHERE name = current_setting('loyalty.program')) ORDER BY enrolled_at, ref COLLATE "C"
$$;
-- every text and JSON of every table of the extension that says a word, but for indexes and TOAST
CREATE FUNCTION pg_temp.mentions(word text) RETURNS TABLE (place text, times bigint) LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT c.oid::regclass AS place FROM pg_class c WHERE relnamespace = 'loyalty'::regnamespace AND relkind = 'r' ORDER BY relname LOOP
		RETURN QUERY EXECUTE format('SELECT %L::text, count(*) FROM %s t WHERE to_jsonb(t)::text ~ %L HAVING count(*) > 0', r.place, r.place, word);
	END LOOP;
END $$;

INSERT INTO loyalty.program (name, currency, point_value, tier_window, expiry) VALUES ('forget', 'USD', 0.01, 'lifetime', '12 months');
SET loyalty.program = 'forget';
SELECT program_id AS pid FROM loyalty.program WHERE name = 'forget' \gset
INSERT INTO loyalty.rule (program, name, award) VALUES ('forget', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('forget', 'birthday', '10', $$member.birthday IS NOT NULL AND 'vip' = ANY (member.segments) AND member.data ->> 'name' <> ''$$);
INSERT INTO loyalty.rule (program, name, event, award, confirm, budget, member_cap, cap_period)
VALUES ('forget', 'review', 'review', '5', true, 1000, 50, 'year');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('forget', 'silver', 1, 100);
INSERT INTO loyalty.reward (program, name, cost) VALUES ('forget', 'latte', 10), ('forget', 'sofa', 10000);
INSERT INTO loyalty.reward (program, name, cost, needs_confirmation, needs_fulfillment) VALUES ('forget', 'mug', 10, true, true);
CREATE TABLE forget_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz NOT NULL DEFAULT '2026-01-10 12:00Z');
SELECT loyalty.attach('forget_order', member => 'customer', amount => 'total', at => 'at') > 0 AS attached;

-- Somebody of whom every table says something; "Zyx" is written wherever a text can be
SELECT loyalty.enroll('zyx-1', profile => '{"birthday": "1990-05-17", "segments": ["vip", "Zyx"], "name": "Zyx", "mail": "zyx@example.org"}', at => '2026-01-01Z') IS NOT NULL AS enrolled;
SELECT loyalty.enroll('ben', referred_by => 'zyx-1', at => '2026-01-02Z') IS NOT NULL AS enrolled;
INSERT INTO forget_order VALUES (1, 'zyx-1', 100), (2, 'zyx-1', 50), (3, 'ben', 70);
SELECT points FROM loyalty.record('zyx-1', 'review', data => '{"text": "by Zyx"}', at => '2026-01-11Z');
SELECT points FROM loyalty.adjust('zyx-1', 30, reason => 'sorry Zyx', at => '2026-01-12Z');
UPDATE loyalty.program SET adjust_limit = 1000 WHERE program_id = :pid;
SELECT entry, points FROM loyalty.adjust('zyx-1', 1001, reason => 'much for Zyx');
SELECT points FROM loyalty.hold('zyx-1', 20, reason => 'Zyx at the till', ttl => '90 years');
SELECT points FROM loyalty.hold('zyx-1', 5, reason => 'Zyx again', ttl => '90 years');
SELECT points FROM loyalty.capture('zyx-1', (SELECT max(seq) FROM loyalty.hold WHERE program_id = :pid), 2, reason => 'Zyx took it');
SELECT points FROM loyalty.transfer('zyx-1', 'ben', 7, reason => 'for you');
SELECT points FROM loyalty.transfer('ben', 'zyx-1', 3, reason => 'for Zyx');
SELECT points, status FROM loyalty.redeem('zyx-1', 'latte', reason => 'Zyx was thirsty');
SELECT points, status FROM loyalty.redeem('zyx-1', 'mug', reason => 'for Zyx');
SELECT loyalty.confirm_redemption('zyx-1', (SELECT max(seq) FROM loyalty.redemption WHERE program_id = :pid)) IS NOT NULL AS confirmed;
SELECT loyalty.choose_reward('zyx-1', 'sofa');
SELECT hint IS NOT NULL AS issued FROM loyalty.issue_voucher('zyx-1', kind => 'value', value => 5, reason => 'sorry Zyx');
SELECT code AS value_code FROM loyalty.issue_voucher('zyx-1', kind => 'value', value => 9, reason => 'Zyx') \gset
SELECT taken FROM loyalty.use_voucher(:'value_code', 4, 'zyx-1', reason => 'Zyx paid');
SELECT given_back FROM loyalty.return_voucher(:'value_code', 1, reason => 'Zyx came back');
SELECT loyalty.void_voucher(code, reason => 'Zyx lost it') IS NOT NULL AS void FROM loyalty.issue_voucher('zyx-1', kind => 'percentage', percent => 5);
SELECT loyalty.set_consent('zyx-1', 'marketing', true, source => 'Zyx on the phone');
SELECT loyalty.feedback('zyx-1', 9, 'Zyx likes it', about => 'the latte of Zyx') AS answer;
SELECT loyalty.set_tier('zyx-1', 'silver', reason => 'friend of Zyx') IS NOT NULL AS set;
SELECT loyalty.adjust('zyx-2', 11, at => '2026-01-03Z') IS NOT NULL AS other_card;
SELECT loyalty.merge_members('zyx-2', 'zyx-1', reason => 'Zyx has two cards');
SELECT loyalty.create_household('Zyx & Ben', 'zyx-1') IS NOT NULL, loyalty.join_household('ben', 'Zyx & Ben') IS NOT NULL;
SELECT count(*) FROM loyalty.verify('forget');
SELECT * FROM pg_temp.members();
SELECT * FROM pg_temp.mentions('[Zz]yx');

-- Not while others share his points, nor while he is to get something
\set try 'SELECT pg_temp.try($try$SELECT loyalty.forget_member(''zyx-1'', reason => ''letter 7'')$try$)'
:try;
SELECT loyalty.leave_household('ben'), loyalty.leave_household('zyx-1');
:try;
SELECT status FROM loyalty.fulfill_redemption('zyx-1', (SELECT max(seq) FROM loyalty.redemption WHERE program_id = :pid), reference => 'parcel of Zyx');
SELECT pg_temp.try($$SELECT loyalty.forget_member('zyx-1', at => '2026-01-11Z')$$) ~ '^22023 a member cannot be forgotten before what he did last' AS refused;
SELECT pg_temp.try($$SELECT loyalty.forget_member('nobody')$$);
SELECT pg_temp.try($$SELECT loyalty.forget_member(NULL::text)$$);

-- Others have what they had, and the heads of old entries stand
CREATE TEMP TABLE before AS SELECT member_id, seq, points, lots, amount, hash, occurred_at, source_key FROM loyalty.entry WHERE program_id = :pid;
CREATE TEMP TABLE others AS SELECT * FROM loyalty.member WHERE ref = 'ben' AND program_id = :pid;
SELECT points AS liable_before FROM loyalty.liability WHERE program = 'forget' ORDER BY 1;
SELECT hash AS sealed FROM loyalty.seal() \gset
SELECT loyalty.proof('zyx-1') AS proof \gset
SELECT loyalty.forget_member('zyx-1', reason => 'letter 7') AS pseudonym \gset
-- what was sealed and proven of him still is
SELECT loyalty.check_proof(:'proof', :'sealed') AS proven, previous = :'sealed' AS follows, changed FROM loyalty.seal();
SELECT pg_temp.try($$SELECT loyalty.proof('zyx-1')$$);
SELECT pg_temp.short(:'pseudonym');
SELECT * FROM loyalty.verify('forget');
SELECT count(*) AS changed FROM before b LEFT JOIN loyalty.entry e USING (member_id, seq, hash, occurred_at, source_key)
WHERE e.seq IS NULL OR e.points <> b.points OR e.lots OPERATOR(loyalty.<>) b.lots;
SELECT m.seq = o.seq AND m.head = o.head AND m.purse OPERATOR(loyalty.=) o.purse AS ben_has_what_he_had FROM loyalty.member m JOIN others o USING (member_id);
SELECT points AS liable FROM loyalty.liability WHERE program = 'forget' ORDER BY 1;
SELECT * FROM pg_temp.members();
SELECT * FROM pg_temp.mentions('[Zz]yx');
SELECT e.seq, e.kind, e.points, e.lots, pg_temp.short(nullif(e.context - 'by', '{}')::text) AS context, e.note
FROM loyalty.entry e JOIN loyalty.member m USING (member_id) WHERE m.ref = :'pseudonym' ORDER BY 1;
SELECT e.seq, e.kind, e.points, pg_temp.short(nullif(e.context - 'by', '{}')::text) AS context, e.note
FROM loyalty.entry e JOIN loyalty.member m USING (member_id) WHERE m.status = 'forgotten' AND m.program_id = :pid AND m.ref <> :'pseudonym' ORDER BY 1;
SELECT pg_temp.short(ref) AS ref, pg_temp.short(refs::text) AS refs FROM loyalty.member_merge WHERE program_id = :pid;
SELECT pg_temp.short(ref) AS ref FROM loyalty.member_alias WHERE program_id = :pid;
SELECT forgotten_at = now() OR forgotten_at < now() AS then, role = current_user AS by_me FROM loyalty.forgotten WHERE program_id = :pid;
SELECT void_at IS NOT NULL AS void, void_reason, remaining, used, note FROM loyalty.voucher WHERE program_id = :pid ORDER BY kind, remaining;
SELECT points, status, lots FROM loyalty.hold WHERE program_id = :pid ORDER BY seq;
SELECT score, comment, about FROM loyalty.feedback WHERE program_id = :pid;
SELECT points, decision FROM loyalty.confirmation WHERE program_id = :pid;
SELECT spent, left_over FROM loyalty.budget_usage JOIN loyalty.rule USING (rule_id) WHERE program = 'forget';
SELECT member_id = loyalty.find_member('ben') AS ben, referred_by FROM loyalty.profile WHERE program_id = :pid;

-- He is known by his customer ids, which are stored nowhere
SELECT loyalty.member_id('zyx-1', 'forget') IN (SELECT member_id FROM loyalty.forgotten) AS is_known;
SELECT pg_temp.try($$SELECT loyalty.enroll('zyx-1')$$);
SELECT pg_temp.try($$SELECT loyalty.enroll('zyx-2')$$);
SELECT pg_temp.try(c) FROM (VALUES ($$SELECT loyalty.adjust('zyx-1', 5)$$), ($$SELECT loyalty.spend('zyx-2', 5)$$), ($$SELECT loyalty.record('zyx-1', 'review')$$),
	($$SELECT loyalty.set_member('zyx-1', status => 'active')$$), ($$SELECT loyalty.set_tier('zyx-1', 'silver')$$), ($$SELECT loyalty.transfer('ben', 'zyx-1', 1)$$),
	($$SELECT loyalty.merge_members('zyx-1', 'ben')$$), ($$SELECT loyalty.merge_members('ben', 'zyx-2')$$), ($$SELECT loyalty.unmerge_members('zyx-2')$$),
	($$SELECT loyalty.issue_voucher('zyx-1', kind => 'value', value => 5)$$), ($$SELECT loyalty.set_consent('zyx-1', 'marketing', true)$$),
	($$SELECT loyalty.feedback('zyx-1', 9)$$),
	($$SELECT loyalty.create_household('h', 'zyx-1')$$), ($$SELECT loyalty.hold('zyx-1', 1)$$), ($$SELECT loyalty.redeem('zyx-1', 'latte')$$),
	($$SELECT loyalty.choose_reward('zyx-1', 'latte')$$), ($$SELECT loyalty.quote('zyx-1', 'review')$$), ($$SELECT loyalty.export_member('zyx-1')$$),
	($$SELECT loyalty.enroll('carl', referred_by => 'zyx-1')$$)) v (c);
SELECT pg_temp.try(format($$SELECT loyalty.cancel('ben', %s)$$, (SELECT min(seq) FROM loyalty.entry e WHERE e.member_id = loyalty.find_member('ben') AND e.kind = 'transfer')));
SELECT * FROM loyalty.balance('zyx-1');
SELECT count(*) FROM loyalty.statement('zyx-2');
SELECT loyalty.find_member('zyx-1') IS NULL AND loyalty.find_member('zyx-2') IS NULL AS unknown;
-- again nothing happens
SELECT loyalty.forget_member('zyx-1') = :'pseudonym' AS same, loyalty.forget_member('zyx-2', reason => 'Zyx') = :'pseudonym' AS also;
SELECT count(*) FROM loyalty.forgotten WHERE program_id = :pid;

-- His orders: what becomes of them changes nothing, and makes nobody a member
UPDATE forget_order SET total = 10 WHERE id = 1;
DELETE FROM forget_order WHERE id = 2;
INSERT INTO forget_order VALUES (4, 'zyx-1', 40), (5, 'zyx-2', 50);
-- nor does the shop's own erasure: another customer, none, none and then another one, another key
UPDATE forget_order SET customer = 'anonymous' WHERE id = 1;
UPDATE forget_order SET total = 20 WHERE id = 1;
INSERT INTO forget_order VALUES (6, 'zyx-1', 60);
UPDATE forget_order SET customer = NULL WHERE id IN (1, 4);
UPDATE forget_order SET customer = 'anonymous' WHERE id = 1;
UPDATE forget_order SET id = 101 WHERE id = 1;
UPDATE forget_order SET total = 30 WHERE id = 101;
SELECT source_key FROM loyalty.forgotten_purchase WHERE program_id = :pid ORDER BY 1;
CALL loyalty.backfill('forget_order');
CALL loyalty.maintain(program => 'forget');
SELECT ref, count(*) FROM pg_temp.members() GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM loyalty.deferred WHERE program_id = :pid;
SELECT * FROM loyalty.verify('forget');
-- an order that never earned him anything may be somebody's
UPDATE forget_order SET customer = 'ben' WHERE id = 6;
SELECT available FROM loyalty.balance('ben');
SELECT * FROM loyalty.verify('forget');

-- A list that another system gives has him still: he is left out, and not put on record
CALL loyalty.import_balance($$SELECT * FROM (VALUES ('zyx-1', 5), ('zyx-2', 5), ('dora', 6)) v (member, points)$$, 'list');
SELECT count(*) FROM loyalty.import_failure WHERE program_id = :pid;
SELECT * FROM loyalty.verify('forget');

-- A debt is written off too, and what is pending; failures and what waits of his go
INSERT INTO forget_order VALUES (10, 'eve', 100, '2026-01-05Z');
SELECT points FROM loyalty.spend('eve', 80);
DELETE FROM forget_order WHERE id = 10;
SELECT points FROM loyalty.adjust('fay', 5, at => '2026-01-05Z');
INSERT INTO forget_order VALUES (11, 'fay', 100, now() + interval '10 days');
INSERT INTO loyalty.import_failure (program_id, key, ref, error_code, message) SELECT program_id, 'k', 'eve', '22023', 'no' FROM loyalty.program WHERE name = 'forget';
INSERT INTO loyalty.deferred (source_id, source_key, program_id, member_ids, error_code, message, detail)
SELECT source_id, 'only eve', program_id, ARRAY[loyalty.find_member('eve')], '22023', 'no', 'eve' FROM loyalty.program p JOIN loyalty.source s ON s.program = p.name WHERE s.name = 'forget_order'
UNION ALL SELECT source_id, 'eve and ben', program_id, ARRAY[loyalty.find_member('eve'), loyalty.find_member('ben')], '22023', 'no', 'eve' FROM loyalty.program p JOIN loyalty.source s ON s.program = p.name WHERE s.name = 'forget_order';
SELECT pg_temp.short(loyalty.forget_member('eve')), pg_temp.short(loyalty.forget_member('fay', reason => 'by mail'));
SELECT e.kind, e.points, e.note FROM loyalty.entry e JOIN loyalty.forgotten f USING (member_id, seq) WHERE f.program_id = :pid AND e.points <> 0 ORDER BY e.points;
SELECT source_key, cardinality(member_ids), detail FROM loyalty.deferred WHERE program_id = :pid;
SET session_replication_role = replica;
DELETE FROM loyalty.deferred WHERE program_id = :pid;
RESET session_replication_role;
SELECT count(*) FROM loyalty.import_failure WHERE program_id = :pid;
SELECT * FROM loyalty.verify('forget');

-- Parted again: the ref of one who is forgotten stands in notes of the other one, too
-- what was proposed for somebody forgotten is declined
SELECT state, decided_by IS NOT NULL AS decided FROM loyalty.proposal WHERE program_id = :pid;
SELECT loyalty.enroll('gus', at => '2026-01-06Z') IS NOT NULL, loyalty.enroll('gil', at => '2026-01-06Z') IS NOT NULL;
SELECT loyalty.set_tier('gus', 'silver') IS NOT NULL AS set;
SELECT loyalty.merge_members('gus', 'gil');
INSERT INTO forget_order VALUES (20, 'gus', 25);
SELECT loyalty.unmerge_members('gus');
SELECT note FROM loyalty.tier_change WHERE program_id = :pid AND note ~ 'gus';
SELECT pg_temp.short(loyalty.forget_member('gus'));
SELECT pg_temp.short(note) AS note FROM loyalty.tier_change WHERE program_id = :pid AND note ~ 'from member';
SELECT * FROM pg_temp.mentions('\mgus\M');
SELECT * FROM loyalty.verify('forget');
-- what he bought while they were one is in the other one's ledger, and lives
UPDATE forget_order SET total = 15 WHERE id = 20;
SELECT available FROM loyalty.balance('gil');
SELECT * FROM loyalty.verify('forget');
-- the other way round, it is frozen with the one who is forgotten
INSERT INTO forget_order VALUES (21, 'hal', 30), (22, 'hans', 40);
SELECT loyalty.merge_members('hal', 'hans');
INSERT INTO forget_order VALUES (23, 'hal', 5);
SELECT loyalty.unmerge_members('hal');
SELECT pg_temp.short(loyalty.forget_member('hans'));
UPDATE forget_order SET total = total - 1 WHERE id IN (21, 22, 23);
SELECT available FROM loyalty.balance('hal');
SELECT * FROM loyalty.verify('forget');

-- A query as source: the same
CREATE TABLE forget_head (id int PRIMARY KEY, customer text);
CREATE TABLE forget_line (id int, no int, amount numeric, PRIMARY KEY (id, no));
SELECT loyalty.attach_query('forget_lines', $$SELECT id AS key, customer AS member, '2026-01-20Z'::timestamptz AS at, amount FROM public.forget_head JOIN public.forget_line USING (id)$$,
	'{public.forget_head.id, public.forget_line.id}') > 0 AS attached;
INSERT INTO forget_head VALUES (1, 'ida'), (2, 'ida');
INSERT INTO forget_line VALUES (1, 1, 10), (1, 2, 5), (2, 1, 7);
SELECT pg_temp.short(loyalty.forget_member('ida'));
INSERT INTO forget_line VALUES (2, 2, 9);
DELETE FROM forget_line WHERE id = 1 AND no = 2;
UPDATE forget_head SET customer = 'anonymous' WHERE id = 1;
UPDATE forget_line SET amount = 8 WHERE id = 1;
INSERT INTO forget_head VALUES (3, 'ida');
INSERT INTO forget_line VALUES (3, 1, 70);
CALL loyalty.backfill('forget_lines');
SELECT ref FROM pg_temp.members() WHERE ref IN ('ida', 'anonymous');
SELECT * FROM loyalty.verify('forget');

-- In the transaction in which he did something, and rolled back
BEGIN;
INSERT INTO forget_order VALUES (30, 'jozef', 30);
SELECT points FROM loyalty.adjust('jozef', 3, reason => 'for jozef');
SAVEPOINT s;
SELECT pg_temp.short(loyalty.forget_member('jozef'));
INSERT INTO forget_order VALUES (31, 'jozef', 31);
SELECT * FROM loyalty.verify('forget');
ROLLBACK TO s;
SELECT available FROM loyalty.balance('jozef');
SELECT pg_temp.short(loyalty.forget_member('jozef'));
COMMIT;
SELECT * FROM pg_temp.mentions('\mjozef\M');
SELECT * FROM loyalty.verify('forget');

-- Who manages may, who only acts may not
CREATE ROLE regress_loyalty_forget_clerk;
CREATE ROLE regress_loyalty_forget_manager;
SELECT loyalty.grant_access('regress_loyalty_forget_clerk', 'operate', 'forget'), loyalty.grant_access('regress_loyalty_forget_manager', 'manage', 'forget');
SELECT loyalty.enroll(77) IS NOT NULL AS enrolled;
SET ROLE regress_loyalty_forget_clerk;
SELECT loyalty.forget_member(77);
SET ROLE regress_loyalty_forget_manager;
SELECT pg_temp.short(loyalty.forget_member(77));
RESET ROLE;
SELECT role FROM loyalty.forgotten WHERE program_id = :pid ORDER BY forgotten_at DESC LIMIT 1;
SELECT loyalty.revoke_access('regress_loyalty_forget_clerk', 'operate', 'forget'), loyalty.revoke_access('regress_loyalty_forget_manager', 'manage', 'forget');
DROP ROLE regress_loyalty_forget_clerk, regress_loyalty_forget_manager;
SELECT * FROM loyalty.verify('forget');

-- verify() names what was done to it by hand
SELECT member_id AS victim FROM loyalty.member WHERE ref = :'pseudonym' \gset
CREATE FUNCTION pg_temp.tamper(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	found text[];
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		EXECUTE command;
		SELECT array_agg(concat_ws(' | ', v.invariant, v.problem, pg_temp.short(v.expected), pg_temp.short(v.actual)) ORDER BY v.invariant, v.problem) INTO found FROM loyalty.verify('forget') v;
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	RETURN QUERY SELECT unnest(found);
END $$;
SELECT c, pg_temp.tamper(replace(c, ':victim', :'victim')) FROM (VALUES
	($$UPDATE loyalty.entry SET context = '{"sha256": {"note": "00"}}' WHERE member_id = :victim AND seq = 6$$),
	($$UPDATE loyalty.entry SET context = context - 'sha256' WHERE member_id = :victim AND seq = 6$$),
	($$UPDATE loyalty.entry SET note = 'Zyx' WHERE member_id = :victim AND seq = 6$$),
	($$UPDATE loyalty.entry SET points = 1 WHERE member_id = :victim AND seq = 6$$),
	($$UPDATE loyalty.member SET status = 'active' WHERE member_id = :victim$$),
	($$UPDATE loyalty.member SET ref = 'zyx-1' WHERE member_id = :victim$$),
	($$UPDATE loyalty.member SET next_expiry = '2026-01-01' WHERE member_id = :victim$$),
	($$DELETE FROM loyalty.forgotten WHERE member_id = :victim$$),
	($$UPDATE loyalty.forgotten SET seq = 3 WHERE member_id = :victim$$),
	($$INSERT INTO loyalty.profile (member_id, program_id) SELECT member_id, program_id FROM loyalty.member WHERE member_id = :victim$$),
	($$INSERT INTO loyalty.member_alias SELECT program_id, 'zyx-3', member_id FROM loyalty.member WHERE member_id = :victim$$),
	($$UPDATE loyalty.voucher SET void_at = NULL WHERE member_id = :victim$$),
	($$INSERT INTO loyalty.forgotten SELECT 5, 1, now(), program_id, 'x' FROM loyalty.program WHERE name = 'forget'$$)) v (c);
-- what stands for a blanked context is taken of nobody else
SELECT pg_temp.tamper(format($$UPDATE loyalty.entry SET context = jsonb_build_object('sha256', jsonb_build_object('note', encode(sha256(convert_to(note, 'UTF8')), 'hex'))), note = NULL
	WHERE member_id = %s AND note IS NOT NULL$$, loyalty.find_member('ben'))) ~ 'I3' AS named;
SELECT loyalty.detach('forget_lines'), loyalty.detach('forget_order');
DROP TABLE forget_order, forget_head, forget_line;
-- nothing for other tests to find
SET client_min_messages = error;
DROP EXTENSION loyalty CASCADE;
CREATE EXTENSION loyalty;
