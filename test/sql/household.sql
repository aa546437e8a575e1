--
-- household: members who share one balance: who may be in it, who may spend, and what leaving means
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
CREATE FUNCTION pg_temp.members(VARIADIC refs text[]) RETURNS TABLE (ref text, purse loyalty.purse, lifetime loyalty.points, seq bigint) LANGUAGE sql AS $$
	SELECT ref, purse, lifetime, seq FROM loyalty.member WHERE ref = ANY (refs)
	AND program_id = (SELECT program_id FROM loyalty.program WHERE name = current_setting('loyalty.program')) ORDER BY ref
$$;
CREATE FUNCTION pg_temp.entries(VARIADIC refs text[]) RETURNS TABLE (ref text, seq bigint, kind text, points loyalty.points, lots loyalty.purse, source_key text, note text) LANGUAGE sql AS $$
	SELECT m.ref, e.seq, e.kind, e.points, e.lots, regexp_replace(e.source_key, '\d{10,}', '<' || coalesce(o.ref, '') || '>'), e.note
	FROM loyalty.entry e JOIN loyalty.member m USING (member_id)
	LEFT JOIN loyalty.member o ON o.member_id = coalesce(e.context ->> 'to_member_id', e.context ->> 'from_member_id')::bigint
	WHERE m.ref = ANY (refs) AND m.program_id = (SELECT program_id FROM loyalty.program WHERE name = current_setting('loyalty.program')) ORDER BY m.ref, e.seq
$$;

INSERT INTO loyalty.program (name, point_value) VALUES ('household_plain', 0.01);
SET loyalty.program = 'household_plain';
SELECT m, (SELECT balance FROM loyalty.adjust(m, p, expires => e)) FROM (VALUES ('mum', 100, '2990-06-30'::date), ('dad', 50, '2990-01-31'), ('dad', 50, 'infinity'), ('kid', 20, '2990-03-31'), ('aunt', 500, '2990-12-31')) v (m, p, e);

-- Making one, and joining it
SELECT loyalty.create_household('home', 'mum', max_members => 3) = loyalty.member_id('home', 'household_plain') AS made;
SELECT available, next_expiry FROM loyalty.balance('mum');
SELECT loyalty.join_household('dad', 'home'), loyalty.join_household('kid', 'home', may_spend => false);
SELECT who, b.* FROM unnest('{mum,dad,kid,aunt}'::text[]) who, loyalty.balance(who) b;
SELECT household, member, head, may_spend, available, pending FROM loyalty.household('kid');
SELECT count(*) FROM loyalty.household('aunt');
SELECT entry, points, balance FROM loyalty.statement('dad');
SELECT arguments, pg_temp.try(format('SELECT loyalty.join_household(%s)', arguments)) FROM unnest(ARRAY[
	$$'aunt', 'home'$$, $$'aunt', 'nowhere'$$, $$'aunt', NULL$$, $$'aunt', ''$$, $$NULL::text, 'home'$$, $$'dad', 'home'$$]) AS arguments;
SELECT arguments, pg_temp.try(format('SELECT loyalty.create_household(%s)', arguments)) FROM unnest(ARRAY[
	$$'home', 'dad'$$, $$'other', 'dad'$$, $$'home', 'mum', max_members => 2$$, $$'home', 'mum', max_members => 0$$, $$'home', 'mum', on_leave => 'gone'$$,
	$$'home', 'mum', cooldown => '-1 day'$$, $$'', 'aunt'$$, $$'other', 'nobody', program => 'nowhere'$$]) AS arguments;
SELECT loyalty.create_household('home', 'mum', max_members => 4, cooldown => '30 days') IS NOT NULL AS same;

-- Spending: his own first, then what ends first among the others'
SELECT * FROM loyalty.payable('mum', 100);
SELECT * FROM loyalty.payable('kid', 100);
SELECT pg_temp.try($$SELECT loyalty.spend('kid', 1)$$);
SELECT pg_temp.try($$SELECT loyalty.spend('mum', 220.0001)$$);
SELECT points, balance, repeated FROM loyalty.spend('mum', 165, key => 's1');
SELECT points, balance, repeated FROM loyalty.spend('mum', 165, key => 's1');
SELECT * FROM pg_temp.members('mum', 'dad', 'kid');
SELECT * FROM pg_temp.entries('mum', 'dad', 'kid');
SELECT available FROM loyalty.balance('kid');
SELECT * FROM loyalty.verify();
-- his own are enough
SELECT points, balance FROM loyalty.spend('dad', 40);
SELECT seq FROM pg_temp.members('dad');
SELECT loyalty.join_household('kid', 'home');
SELECT points, balance FROM loyalty.spend('kid', 15);
SELECT * FROM pg_temp.members('mum', 'dad', 'kid');
SELECT pg_temp.try($$SELECT loyalty.spend('kid', 1)$$);

-- what each act answers is what all have; what was drawn is no act of its own
SELECT balance FROM loyalty.adjust('mum', 10);
SELECT points, balance, repeated FROM loyalty.hold('kid', 4, key => 'h1');
SELECT points, balance, repeated FROM loyalty.hold('kid', 4, key => 'h1');
SELECT available, held FROM loyalty.balance('dad');
SELECT pg_temp.try(format('SELECT loyalty.cancel(%L, %s)', 'mum', (SELECT min(entry) FROM loyalty.statement('mum') WHERE kind = 'transfer')));
SELECT loyalty.cancel('kid', (SELECT max(entry) FROM loyalty.statement('kid') WHERE kind = 'hold'));
SELECT loyalty.adjust('kid', -4), loyalty.adjust('mum', -6);
SELECT * FROM loyalty.verify();

-- Whoever is suspended neither spends nor gives; a debt is the household's
SELECT m, (SELECT balance FROM loyalty.adjust(m, 30)) FROM unnest('{mum,dad}'::text[]) m;
SELECT loyalty.set_member('dad', status => 'suspended');
SELECT available FROM loyalty.balance('kid');
SELECT pg_temp.try($$SELECT loyalty.spend('kid', 31)$$);
SELECT pg_temp.try($$SELECT loyalty.spend('dad', 1)$$);
SELECT loyalty.set_member('dad', status => 'active');
CREATE TABLE household_order (id int PRIMARY KEY, customer text, total numeric);
INSERT INTO loyalty.rule (program, name, award) VALUES ('household_plain', 'base', '1 per 1');
SELECT loyalty.attach('household_order', member => 'customer', amount => 'total') > 0 AS attached;
INSERT INTO household_order VALUES (1, 'kid', 25);
SELECT available, lifetime FROM loyalty.balance('mum');
SELECT points, balance FROM loyalty.spend('kid', 25);
DELETE FROM household_order;
SELECT available, debt FROM loyalty.balance('kid');
SELECT pg_temp.try($$SELECT loyalty.spend('kid', 36)$$);
SELECT points, balance FROM loyalty.spend('kid', 35);
SELECT * FROM pg_temp.members('mum', 'dad', 'kid');
SELECT * FROM loyalty.verify();
-- in the past: what all who were in it had then and still have
SELECT m, (SELECT balance FROM loyalty.adjust(m, 10, at => '2026-01-01 12:00Z')), (SELECT balance FROM loyalty.adjust(m, 90)) FROM unnest('{una,ugo,ulf}'::text[]) m;
SELECT loyalty.create_household('flat', 'una', at => '2026-01-02 12:00Z') IS NOT NULL, loyalty.join_household('ugo', 'flat', at => '2026-01-03 12:00Z'), loyalty.join_household('ulf', 'flat');
SELECT at, available FROM unnest('{2026-01-02 18:00Z,2026-01-04 12:00Z}'::timestamptz[]) at, loyalty.balance('una', at);
SELECT at, p.points, p.why FROM unnest('{2026-01-02 18:00Z,2026-01-04 12:00Z}'::timestamptz[]) at, loyalty.payable('una', 100, at => at) p;
SELECT pg_temp.try($$SELECT loyalty.spend('una', 21, at => '2026-01-04 12:00Z')$$);
SELECT pg_temp.try($$SELECT loyalty.spend('una', 11, at => '2026-01-02 18:00Z')$$);
SELECT points FROM loyalty.spend('una', 20, at => '2026-01-04 12:00Z');
SELECT available FROM loyalty.balance('ulf');
SELECT * FROM pg_temp.members('una', 'ugo', 'ulf');
SELECT * FROM loyalty.verify();

-- Leaving: each takes his own along
SELECT * FROM pg_temp.members('mum', 'dad', 'kid');
SELECT loyalty.leave_household('kid');
SELECT loyalty.leave_household('kid');
SELECT who, available FROM unnest('{mum,kid}'::text[]) who, loyalty.balance(who);
SELECT regexp_replace(pg_temp.try($$SELECT loyalty.join_household('kid', 'home')$$), 'at .* and', 'at ... and') AS try;
-- the next head is who joined first, and who is the last one ends it
SELECT loyalty.leave_household('mum');
SELECT household, member, head, available FROM loyalty.household('dad');
SELECT loyalty.leave_household('dad');
SELECT count(*) FROM loyalty.household WHERE name = 'home';
SELECT loyalty.create_household('home', 'kid', on_leave => 'stay') IS NOT NULL AS made_again;
SELECT loyalty.join_household('aunt', 'home'), loyalty.join_household('dad', 'home');
SELECT loyalty.leave_household('aunt', reason => 'moved out');
SELECT * FROM pg_temp.members('kid', 'aunt', 'dad');
SELECT * FROM pg_temp.entries('aunt');
SELECT pg_temp.try($$SELECT loyalty.merge_members('kid', 'aunt')$$);
SELECT loyalty.merge_members('aunt', 'kid');
SELECT available FROM loyalty.balance('aunt');
SELECT * FROM loyalty.verify();

-- Whoever tampers is found out
SET session_replication_role = replica;
BEGIN; UPDATE loyalty.household SET head_member_id = loyalty.find_member('mum') WHERE name = 'home'; SELECT invariant, problem, expected, actual FROM loyalty.verify(); ROLLBACK;
BEGIN; UPDATE loyalty.household SET max_members = 1 WHERE name = 'home'; SELECT problem, expected, actual FROM loyalty.verify(); ROLLBACK;
BEGIN; DELETE FROM loyalty.household WHERE name = 'home'; SELECT problem FROM loyalty.verify(); ROLLBACK;
BEGIN; UPDATE loyalty.household_member SET household_id = 7 WHERE left_at IS NULL AND member_id = loyalty.find_member('dad'); SELECT member, problem, expected FROM loyalty.verify(); ROLLBACK;
RESET session_replication_role;
RESET loyalty.program;
DROP TABLE household_order;
