--
-- set_tier: a tier by hand is a floor
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
SET client_min_messages = warning;
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
-- a member's standing, and his history
CREATE FUNCTION pg_temp.standing(ref text) RETURNS TABLE (tier text, since date, until date, own text, floor text, floor_until date, next_expiry date)
	LANGUAGE sql AS $$
	SELECT m.tier, CASE WHEN tier_since < '2025-01-01' THEN tier_since::date END, tier_until, tier_own, tier_floor, tier_floor_until, m.next_expiry
	FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE m.ref = $1 AND p.name LIKE 'st\_%' $$;
CREATE FUNCTION pg_temp.history(ref text) RETURNS TABLE (seq bigint, no int, at date, "from" text, "to" text, until date, reason text, note text)
	LANGUAGE sql AS $$
	SELECT c.seq, change_no, CASE WHEN at < '2025-01-01' THEN at::date END, concat(from_rank, ' ', from_tier), concat(to_rank, ' ', to_tier), until, reason, note
	FROM loyalty.tier_change c JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = m.program_id
	WHERE m.ref = $1 AND p.name LIKE 'st\_%' ORDER BY change_no $$;

INSERT INTO loyalty.program (name, tier_window) VALUES ('st_a', 'rolling 12 months');
INSERT INTO loyalty.program (name) VALUES ('st_none');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('st_club', false);
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES
	('st_a', 'base', 0, 0), ('st_a', 'silver', 1, 100), ('st_a', 'gold', 2, 250), ('st_club', 'one', 1, 10);
INSERT INTO loyalty.tier (program, name, rank) VALUES ('st_a', 'partner', 3);
CREATE TABLE st_orders (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('st_orders', member => 'customer', amount => 'total', at => 'at', program => 'st_a') \g /dev/null
SET loyalty.program = 'st_a';

-- Above his own: it counts, and his own goes on beside it
INSERT INTO st_orders VALUES (1, 'ann', 120, '2024-01-10');
SELECT * FROM loyalty.set_tier('ann', 'gold', '2024-03-31', 'sister of the boss', 'k1', '2024-01-20');
SELECT * FROM pg_temp.standing('ann');
SELECT * FROM pg_temp.history('ann');
SELECT seq, kind, points, lots, source_key, context, note, occurred_at FROM loyalty.entry WHERE member_id = loyalty.find_member('ann') AND kind = 'adjust';
SELECT at, tier FROM unnest(ARRAY['2024-01-09', '2024-01-15', '2024-01-25']::timestamptz[]) at, loyalty.balance('ann', at);
INSERT INTO st_orders VALUES (2, 'ann', 200, '2024-02-01');
SELECT * FROM pg_temp.standing('ann');
-- a review after its end takes it away; what he has reached himself stays as long as the window gives it
CALL loyalty.maintain('2024-03-31 23:00Z', 'st_a');
SELECT tier, floor FROM pg_temp.standing('ann');
CALL loyalty.maintain('2024-04-01 00:00Z', 'st_a');
SELECT * FROM pg_temp.standing('ann');
SELECT * FROM pg_temp.history('ann');

-- The same key: the same answer, and nothing is written
SELECT * FROM loyalty.set_tier('ann', 'gold', '2024-03-31', 'sister of the boss', 'k1', '2024-01-20');
SELECT * FROM loyalty.set_tier('ann', 'gold', '2024-03-31', 'sister of the boss', 'k1');
SELECT arguments, pg_temp.try(format('SELECT loyalty.set_tier(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', 'silver', '2024-03-31', 'sister of the boss', 'k1'$$,
	$$'ann', NULL, '2024-03-31', 'sister of the boss', 'k1'$$,
	$$'ann', 'gold', NULL, 'sister of the boss', 'k1'$$,
	$$'ann', 'gold', '2024-03-30', 'sister of the boss', 'k1'$$,
	$$'ann', 'gold', '2024-03-31', 'brother of the boss', 'k1'$$,
	$$'ann', 'gold', '2024-03-31', 'sister of the boss', 'k1', '2024-01-21'$$]) AS arguments;
-- a key of another kind of act is another key
SELECT points, repeated FROM loyalty.adjust('ann', 1, key => 'k1', at => '2024-04-02');

-- Below his own it waits there; replaced, higher and lower; taken away at once
INSERT INTO st_orders VALUES (11, 'bob', 130, '2024-01-10');
SELECT entry, points, balance, repeated FROM loyalty.set_tier('bob', 'base', '2024-12-31', at => '2024-01-11');
SELECT * FROM pg_temp.standing('bob');
SELECT entry FROM loyalty.set_tier('bob', 'partner', at => '2024-01-12', reason => 'partner of the shop');
SELECT * FROM pg_temp.standing('bob');
SELECT entry FROM loyalty.set_tier('bob', 'partner', at => '2024-01-12', reason => 'partner of the shop');
SELECT entry FROM loyalty.set_tier('bob', 'gold', 'infinity', at => '2024-01-13');
SELECT * FROM pg_temp.standing('bob');
SELECT entry FROM loyalty.set_tier('bob', NULL, reason => 'mistake', at => '2024-01-14');
SELECT * FROM pg_temp.standing('bob');
SELECT entry FROM loyalty.set_tier('bob', NULL, at => '2024-01-15');
SELECT * FROM pg_temp.history('bob');
SELECT seq, context, note FROM loyalty.entry WHERE member_id = loyalty.find_member('bob') AND kind = 'adjust' ORDER BY seq;

-- His own is the one that reviews judge, with or without a floor
INSERT INTO st_orders VALUES (21, 'cid', 300, '2023-01-10');
SELECT entry FROM loyalty.set_tier('cid', 'silver', '2024-06-30', at => '2023-02-01');
CALL loyalty.maintain('2024-02-01', 'st_a');
SELECT * FROM pg_temp.standing('cid');
CALL loyalty.maintain('2024-07-01', 'st_a');
SELECT * FROM pg_temp.standing('cid');
SELECT * FROM pg_temp.history('cid');

-- Whoever has no tier, and who is no member yet
SELECT entry FROM loyalty.set_tier(4711, 'partner', '2990-12-31', at => '2024-01-01', key => 'x');
SELECT * FROM pg_temp.standing('4711');
SELECT tier FROM loyalty.balance(4711);
SELECT loyalty.enroll('dan', at => '2024-01-01', program => 'st_club') IS NOT NULL AS enrolled;
SELECT entry FROM loyalty.set_tier('dan', 'one', at => '2024-01-02', program => 'st_club');
SELECT * FROM pg_temp.standing('dan');
SELECT entry FROM loyalty.set_tier('dan', NULL, at => '2024-01-03', program => 'st_club');
SELECT * FROM pg_temp.standing('dan');
SELECT * FROM pg_temp.history('dan');

-- What was due is written down on the way, and the answer tells what is left
SELECT loyalty.adjust('eve', 50, expires => '2024-02-01', at => '2024-01-01') \g /dev/null
SELECT points, balance FROM loyalty.set_tier('eve', 'silver', at => '2024-03-01');
SELECT seq, kind, points FROM loyalty.entry WHERE member_id = loyalty.find_member('eve') ORDER BY seq;

-- What is refused, and leaves no trace
SELECT loyalty.enroll('zoe') \g /dev/null
SELECT loyalty.set_member('zoe', status => 'closed') \g /dev/null
SELECT loyalty.enroll('sue') \g /dev/null
SELECT loyalty.set_member('sue', status => 'suspended') \g /dev/null
SELECT arguments, pg_temp.try(format('SELECT loyalty.set_tier(%s)', arguments)) FROM unnest(ARRAY[
	$$'bob', 'platinum'$$, $$'bob', ''$$, $$'bob', 'gold', '2024-01-15', at => '2024-01-16'$$, $$'bob', 'gold', '-infinity', at => '2024-01-16'$$,
	$$'bob', NULL, '2990-01-01'$$, $$'bob', 'gold', at => '2024-01-14 23:59Z'$$, $$'bob', 'gold', at => now() + interval '1 hour'$$,
	$$'bob', 'gold', at => '-infinity'$$, $$'bob', 'gold', program => 'st_none'$$, $$'bob', 'gold', program => 'st_nowhere'$$,
	$$'bob', 'one', program => 'st_club'$$, $$'zoe', 'gold'$$, $$'', 'gold'$$, $$NULL::text, 'gold'$$, $$NULL::bigint, 'gold'$$,
	$$'sue', 'gold'$$, $$'bob', 'gold', key => repeat('k', 2000)$$]) AS arguments;
SELECT ref, seq, tier FROM loyalty.member WHERE ref IN ('bob', 'zoe', 'sue') AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'st_a') ORDER BY ref;

-- A tier that is gone: the floor falls with it at the next review
DELETE FROM loyalty.tier WHERE program = 'st_a' AND name = 'partner';
CALL loyalty.maintain(program => 'st_a');
SELECT * FROM pg_temp.standing('4711');
SELECT "from", "to", until, reason FROM pg_temp.history('4711');

SELECT * FROM loyalty.verify('st_a');
SELECT * FROM loyalty.verify('st_club');
