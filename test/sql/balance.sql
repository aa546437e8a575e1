--
-- balance: what a member has, had and will have
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
INSERT INTO loyalty.program (name) VALUES ('balance_a');
INSERT INTO loyalty.program (name, time_zone) VALUES ('balance_east', 'Pacific/Kiritimati'), ('balance_west', 'Pacific/Pago_Pago'), ('balance_paris', 'Europe/Paris');
INSERT INTO loyalty.program (name, expiry, pending) VALUES ('balance_wait', '3 months', '7 days'), ('balance_idle', 'inactive 3 months', '0');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('balance_strict', false);
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program WHERE name IN ('balance_a', 'balance_wait', 'balance_idle');
CREATE TABLE balance_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz, program text);
SELECT count(loyalty.attach('balance_order', member => 'customer', amount => 'total', at => 'at', counts => format('program = %L', p), program => p))
FROM unnest(ARRAY['balance_a', 'balance_wait', 'balance_idle']) AS p;
SET loyalty.program = 'balance_a';
-- a member's balance at many times
CREATE FUNCTION pg_temp.at(member text, program text, VARIADIC times text[])
RETURNS TABLE (at text, available numeric, pending numeric, held numeric, debt numeric, lifetime numeric, tier text, next_expiry date, next_points numeric) LANGUAGE sql AS $$
	SELECT t.at, b.* FROM unnest(times) WITH ORDINALITY AS t(at, n), loyalty.balance($1, at => t.at::timestamptz, program => $2) b ORDER BY t.n
$$;

-- A member nobody knows has nothing, where he would become one; elsewhere it is an error
SELECT * FROM loyalty.balance('nobody');
SELECT * FROM loyalty.balance(1::bigint, at => '2990-01-01');
SELECT * FROM loyalty.lots('nobody');
SELECT * FROM loyalty.statement('nobody');
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$SELECT loyalty.balance('nobody', program => 'balance_strict')$$, $$SELECT * FROM loyalty.lots('nobody', program => 'balance_strict')$$,
	$$SELECT * FROM loyalty.statement('nobody', program => 'balance_strict')$$, $$SELECT loyalty.balance(1::bigint, program => 'balance_strict')$$,
	$$SELECT loyalty.balance(NULL::text)$$, $$SELECT loyalty.lots(NULL::bigint)$$, $$SELECT * FROM loyalty.statement(NULL::text)$$]) AS command;
SELECT count(*) AS nobody_was_enrolled FROM loyalty.member WHERE ref IN ('nobody', '1') AND program_id IN (SELECT program_id FROM loyalty.program WHERE name ~ '^balance_');

-- The past, from history: entries up to that time, lots judged on that day
SELECT count(loyalty.adjust('ann', p, at => t::timestamptz, expires => e)) FROM (VALUES (1, 100, '2024-01-10 12:00Z', '2024-04-30'::date), (2, -40, '2024-02-10 12:00Z', NULL), (3, 9, '2024-03-01 00:00Z', '2024-03-31')) AS v(n, p, t, e);
INSERT INTO balance_order VALUES (1, 'ann', 7, '2024-03-05 12:00Z', 'balance_a'), (2, 'ann', 5, '2024-05-02 12:00Z', 'balance_a');
SELECT * FROM pg_temp.at('ann', NULL, '-infinity', '2024-01-10 11:59:59.999999Z', '2024-01-10 12:00Z', '2024-02-10 11:59:59Z', '2024-02-10 12:00Z', '2024-03-01 00:00Z', '2024-03-05 12:00Z',
	'2024-03-31 23:59:59.999999Z', '2024-04-01 00:00Z', '2024-04-30 23:59:59Z', '2024-05-01 00:00Z', '2024-05-02 12:00Z', 'now', '2990-01-01Z', 'infinity');
SELECT at, l.* FROM unnest(ARRAY['2024-03-05 12:00Z', '2024-04-01 00:00Z', '2024-05-01 00:00Z', 'now']) AS at, loyalty.lots('ann', at => at::timestamptz) AS l;
-- a return shows from now on, not in the past
UPDATE balance_order SET total = 3 WHERE id = 1;
SELECT at, available, lifetime FROM pg_temp.at('ann', NULL, '2024-03-05 12:00Z', '2024-05-02 12:00Z', 'now');
-- the statement: since is inclusive, until is not, and the balance runs over all
SELECT entry, CASE WHEN occurred_at < '2025-01-01' THEN occurred_at END AS occurred_at, kind, points, balance, amount, rule, source, purchase, lots, note FROM loyalty.statement('ann');
SELECT entry, balance FROM loyalty.statement('ann', since => '2024-02-10 12:00Z', until => '2024-03-05 12:00Z');
SELECT entry, balance FROM loyalty.statement('ann', since => '2024-03-05 12:00Z') WHERE occurred_at < '2025-01-01';
SELECT entry FROM loyalty.statement('ann', until => '2024-01-10 12:00Z');

-- The last day is the program's own, to its last second
SELECT count(loyalty.adjust(p, 10, expires => '2999-06-30', program => p)) FROM unnest(ARRAY['balance_east', 'balance_west']) AS p;
SELECT * FROM pg_temp.at('balance_east', 'balance_east', '2999-06-30 23:59:59+14', '2999-06-30 09:59:59.999999Z', '2999-06-30 10:00:00Z', '2999-07-01 00:00:00+14');
SELECT * FROM pg_temp.at('balance_west', 'balance_west', '2999-06-30 10:00:00Z', '2999-06-30 23:59:59-11', '2999-07-01 10:59:59.999999Z', '2999-07-01 11:00:00Z');
-- also on the day on which the clocks change, and in the past, whether or not the end has been written down
SELECT count(loyalty.adjust('eve', 10, at => '2024-03-01 00:00Z', expires => d, program => 'balance_paris')) FROM unnest(ARRAY['2024-03-31'::date, '2024-10-27']) AS d;
SELECT at, available, next_expiry, next_points FROM pg_temp.at('eve', 'balance_paris', '2024-02-29 23:59:59.999999Z', '2024-03-01 00:00Z', '2024-03-31 21:59:59Z', '2024-03-31 22:00Z', '2024-10-27 22:59:59Z', '2024-10-27 23:00Z', 'now');
SELECT balance FROM loyalty.adjust('eve', 1, program => 'balance_paris');
SELECT at, available, next_expiry, next_points FROM pg_temp.at('eve', 'balance_paris', '2024-02-29 23:59:59.999999Z', '2024-03-01 00:00Z', '2024-03-31 21:59:59Z', '2024-03-31 22:00Z', '2024-10-27 22:59:59Z', '2024-10-27 23:00Z', 'now');
SELECT kind, points, lots, CASE kind WHEN 'expire' THEN occurred_at END AS fell_due FROM loyalty.entry WHERE member_id = loyalty.find_member('eve', 'balance_paris') ORDER BY seq;

-- Pending: opens at the start of its first day, lives from there on
INSERT INTO balance_order VALUES (10, 'kim', 30, '2024-01-31 23:00Z', 'balance_wait'), (11, 'kim', 20, '2999-01-31 23:00Z', 'balance_wait');
SELECT * FROM pg_temp.at('kim', 'balance_wait', '2024-01-31 23:00Z', '2024-02-06 23:59:59Z', '2024-02-07 00:00Z', '2024-05-07 23:59:59Z', '2024-05-08 00:00Z', 'now', '2999-02-06 23:59:59Z', '2999-02-07 00:00Z', '2999-05-07 23:59:59Z', '2999-05-08 00:00Z');
SELECT at, l.* FROM unnest(ARRAY['2024-02-01Z', '2024-02-07Z', 'now', '2999-02-07Z']) AS at, loyalty.lots('kim', at => at::timestamptz, program => 'balance_wait') AS l;
-- a purchase of the future is pending until its day, and until then nothing else ends
SELECT balance FROM loyalty.adjust('lea', 100, expires => '2990-12-31');
INSERT INTO balance_order VALUES (12, 'lea', 20, '2999-01-31 23:00Z', 'balance_a');
SELECT * FROM pg_temp.at('lea', 'balance_a', 'now', '2990-12-31 23:59:59Z', '2991-01-01 00:00Z', '2999-01-30 23:59:59Z', '2999-01-31 00:00Z');
SELECT kind, points FROM loyalty.statement('lea');
SELECT pg_temp.try($$SELECT loyalty.adjust('lea', -100)$$);

-- Next expiry: all that ends on the first day to come, as it stands at that time
SELECT count(loyalty.adjust('mia', p, expires => e)) FROM (VALUES (4, '2990-03-31'::date), (5, '2990-01-31'), (6, '2990-01-31'), (7, NULL)) AS v(p, e);
SELECT * FROM pg_temp.at('mia', NULL, 'now', '2990-01-31 23:59:59Z', '2990-02-01Z', '2990-03-31 23:59:59Z', '2990-04-01Z');
SELECT available, next_expiry, next_expiry_points FROM loyalty.balance('mia');
SELECT balance FROM loyalty.adjust('mia', -8);
SELECT available, next_expiry, next_expiry_points FROM loyalty.balance('mia');

-- Debt: no available points, and what opens next goes into it first
INSERT INTO balance_order VALUES (20, 'ned', 100, '2024-01-01Z', 'balance_a');
SELECT balance FROM loyalty.adjust('ned', -80);
DELETE FROM balance_order WHERE id = 20;
SELECT * FROM loyalty.balance('ned');
SELECT * FROM loyalty.lots('ned');
INSERT INTO balance_order VALUES (21, 'ned', 50, '2999-05-01 12:00Z', 'balance_a'), (22, 'ned', 45, '2999-06-01 12:00Z', 'balance_a');
SELECT * FROM pg_temp.at('ned', NULL, 'now', '2999-04-30 23:59:59Z', '2999-05-01 00:00Z', '2999-06-01 00:00Z');
SELECT points, balance FROM loyalty.adjust('ned', 10, expires => '2999-12-31');
SELECT * FROM pg_temp.at('ned', NULL, 'now', '2999-05-01 00:00Z', '2999-06-01 00:00Z');
INSERT INTO balance_order VALUES (23, 'ned', 200, now(), 'balance_a');
SELECT * FROM pg_temp.at('ned', NULL, 'now', '2999-05-01 00:00Z', '2999-06-01 00:00Z');

-- Inactivity: the end slides with every purchase; an adjustment does not move it
INSERT INTO balance_order VALUES (30, 'ida', 100, '2024-01-10 12:00Z', 'balance_idle');
SELECT * FROM pg_temp.at('ida', 'balance_idle', '2024-01-10 12:00Z', '2024-04-10 23:59:59.999999Z', '2024-04-11 00:00Z', 'now');
SELECT points FROM loyalty.adjust('ida', 1, at => '2024-02-20 00:00Z', program => 'balance_idle');
INSERT INTO balance_order VALUES (31, 'ida', 50, '2024-04-10 23:00Z', 'balance_idle');
SELECT * FROM pg_temp.at('ida', 'balance_idle', '2024-02-20 00:00Z', '2024-04-10 22:59:59Z', '2024-04-10 23:00Z', '2024-07-10 23:59:59Z', '2024-07-11 00:00Z');
SELECT at, l.* FROM unnest(ARRAY['2024-04-10 22:59:59Z', '2024-04-10 23:00Z', '2024-07-11Z']) AS at, loyalty.lots('ida', at => at::timestamptz, program => 'balance_idle') AS l;
INSERT INTO balance_order VALUES (32, 'ida', 20, '2024-08-31 00:00Z', 'balance_idle');
SELECT * FROM pg_temp.at('ida', 'balance_idle', '2024-07-10 23:59:59Z', '2024-07-11 00:00Z', '2024-08-31 00:00Z', '2024-11-30 23:59:59Z', '2024-12-01 00:00Z');
SELECT entry, occurred_at, kind, points, balance, lots FROM loyalty.statement('ida', program => 'balance_idle');
-- points with a day of their own keep it
SELECT points FROM loyalty.adjust('ida', 3, at => '2024-09-01 00:00Z', expires => '2025-01-31', program => 'balance_idle');
SELECT at, available, next_expiry, next_points FROM pg_temp.at('ida', 'balance_idle', '2024-11-30Z', '2024-12-01Z', '2025-01-31 23:59:59Z', '2025-02-01Z');

-- The tier at a time: of the latest change up to it, of two at one instant of the later one; before the first, and of
-- nobody, everyone's
INSERT INTO loyalty.program (name, tier_window) VALUES ('balance_tier', 'rolling 30 days');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('balance_tier', 'base', 0, 0), ('balance_tier', 'silver', 1, 100), ('balance_tier', 'gold', 2, 200);
CREATE TABLE balance_tier_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('balance_tier_order', member => 'customer', amount => 'total', at => 'at', program => 'balance_tier') > 0 AS attached;
SELECT b.tier, b.available FROM unnest('{nobody,7}'::text[]) m, loyalty.balance(m, program => 'balance_tier') b;
SELECT tier FROM loyalty.balance(7::bigint, at => '2024-01-01', program => 'balance_tier');
INSERT INTO balance_tier_order VALUES (1, 'tia', 20, '2024-01-01 12:00Z'), (2, 'tia', 100, '2024-01-10 12:00Z'), (3, 'tia', 100, '2024-01-10 12:00Z'), (4, 'tom', 50, '2024-01-01 12:00Z');
CALL loyalty.maintain('2024-03-01 12:00Z', program => 'balance_tier');
SELECT change_no, at, from_tier, to_tier, reason FROM loyalty.tier_change WHERE member_id = loyalty.find_member('tia', 'balance_tier') ORDER BY 1;
SELECT at, tier FROM pg_temp.at('tia', 'balance_tier', '-infinity', '2024-01-01 12:00Z', '2024-01-10 11:59:59.999999Z', '2024-01-10 12:00Z', '2024-03-01 11:59:59.999999Z', '2024-03-01 12:00Z', 'now', 'infinity');
SELECT at, tier FROM pg_temp.at('tom', 'balance_tier', '-infinity', '2024-01-01 12:00Z', 'now');
-- a purchase that comes late puts a promotion into the past, and raises the tier of now
INSERT INTO balance_tier_order VALUES (5, 'tim', 60, '2024-01-20 12:00Z'), (6, 'tim', 90, '2024-01-25 12:00Z');
SELECT at, tier FROM pg_temp.at('tim', 'balance_tier', '2024-01-22 12:00Z', '2024-01-25 12:00Z', 'now');
INSERT INTO balance_tier_order VALUES (7, 'tim', 50, '2024-01-22 12:00Z');
SELECT change_no, at, from_tier, to_tier, reason FROM loyalty.tier_change WHERE member_id = loyalty.find_member('tim', 'balance_tier') ORDER BY 1;
SELECT at, tier FROM pg_temp.at('tim', 'balance_tier', '2024-01-22 11:59:59Z', '2024-01-22 12:00Z', '2024-01-25 11:59:59Z', '2024-01-25 12:00Z', 'now');
-- a tier that comes to be everyone's is that of all who have none
SELECT (loyalty.balance('nobody')).tier;
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('balance_a', 'friend', 0, 0);
SELECT b.tier, b.available FROM unnest('{nobody,ann}'::text[]) m, loyalty.balance(m, at => '2024-02-10 12:00Z') b;
SELECT loyalty.detach('balance_tier_order', program => 'balance_tier');
DROP TABLE balance_tier_order;
SELECT loyalty.detach('balance_order', program => p) FROM unnest(ARRAY['balance_a', 'balance_wait', 'balance_idle']) AS p;
DROP TABLE balance_order;
