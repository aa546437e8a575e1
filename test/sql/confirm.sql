--
-- confirm: points that await confirmation
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || CASE WHEN detail NOT LIKE 'Failing row%' THEN nullif(detail, '') END, 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name, time_zone) VALUES ('confirm_shop', 'Asia/Kuala_Lumpur');
SET loyalty.program = 'confirm_shop';

-- rules: refused
SELECT columns, pg_temp.try(format('INSERT INTO loyalty.rule (program, name, award, %s) VALUES (''confirm_shop'', ''wrong'', ''5'', %s)', split_part(columns, ':', 1), split_part(columns, ':', 2)))
FROM unnest(ARRAY[$$confirm, confirm_within:true, '0 days'$$, $$confirm, confirm_within:true, '-3 days'$$, $$confirm, confirm_within:true, '1 month'$$,
	$$confirm, confirm_within:true, '1 day 2 hours'$$, $$confirm, confirm_within:true, '40000 days'$$, $$confirm, on_silence:true, 'shrug'$$,
	$$confirm_within:'3 days'$$, $$confirm:NULL$$]) columns;

CREATE TABLE confirm_orders (id integer PRIMARY KEY, customer text, total numeric, status text DEFAULT 'paid', at timestamptz);
INSERT INTO loyalty.rule (program, name, award) VALUES ('confirm_shop', 'base', '1 per 10');
INSERT INTO loyalty.rule (program, name, award, confirm, pending, expiry) VALUES ('confirm_shop', 'bonus', '1 per 1', true, '14 days', '12 months');
INSERT INTO loyalty.rule (program, name, event, award, confirm, confirm_within, on_silence, expiry) VALUES
	('confirm_shop', 'review', 'review', '30', true, '7 days', 'accept', '12 months'), ('confirm_shop', 'long review', 'review', '20', true, '7 days', 'reject', NULL);
-- a multiplier confirms as any other; its successor goes on with that
INSERT INTO loyalty.rule (program, name, award, condition, confirm) VALUES ('confirm_shop', 'big', 'x3', 'amount >= 500', true);
SELECT loyalty.revise_rule('big', '{"award": "x2"}') IS NOT NULL AS revised;
SELECT name, award, confirm, confirm_within, on_silence FROM loyalty.rule WHERE program = 'confirm_shop' ORDER BY rule_id;
SELECT loyalty.attach('confirm_orders', member => 'customer', amount => 'total', at => 'at', counts => $$status = 'paid'$$) > 0 AS attached;

-- what awaits moves no points
INSERT INTO confirm_orders VALUES (1, 'ada', 100, 'paid', '2024-03-01 12:00+08'), (2, 'ada', 50, 'paid', '2024-03-02 12:00+08'), (3, 'ada', 600, 'paid', '2024-03-03 12:00+08');
SELECT entry, kind, points, balance, rule, purchase, lots, awaiting, decision FROM loyalty.statement('ada');
SELECT member, entry, source, purchase, rule, points, due, on_silence FROM loyalty.awaiting WHERE program = 'confirm_shop' ORDER BY entry;
SELECT available, pending, lifetime FROM loyalty.balance('ada');
SELECT lifetime, awaiting, purse FROM loyalty.member WHERE ref = 'ada' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'confirm_shop');
SELECT rule, points, why FROM loyalty.explain('confirm_orders', 3);
SELECT * FROM loyalty.quote('ada', amount => 20);
-- before a decision what awaits follows the row
UPDATE confirm_orders SET total = 120 WHERE id = 1;
UPDATE confirm_orders SET status = 'returned' WHERE id = 2;
SELECT entry, purchase, rule, points FROM loyalty.awaiting WHERE program = 'confirm_shop' ORDER BY entry;
SELECT seq, source_key, points, context FROM loyalty.entry WHERE source_key IN ('1', '2') AND context IS NOT NULL ORDER BY seq;

-- accepted
SELECT points, balance, repeated FROM loyalty.accept('ada', 2, 'called', 'call 1');
SELECT points, balance, repeated FROM loyalty.accept('ada', 2, 'called', 'call 1');
SELECT points, balance, repeated FROM loyalty.accept('ada', 2);
SELECT available, pending FROM loyalty.balance('ada');
SELECT points, occurred_at = posted_at AS now, context, note, lots OPERATOR(loyalty.=) loyalty.purse(120, NULL, ((now() AT TIME ZONE 'Asia/Kuala_Lumpur')::date + interval '1 year')::date) AS life_span
FROM loyalty.entry WHERE context ? 'decision';
-- later rises are earned at once, for as long as what was accepted; falls are clawed back
UPDATE confirm_orders SET total = 150 WHERE id = 1;
UPDATE confirm_orders SET total = 80 WHERE id = 1;
SELECT kind, points, context FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id) WHERE source_key = '1' AND r.name = 'bonus' AND r.program = 'confirm_shop' ORDER BY seq;
SELECT count(*) AS life_spans FROM loyalty.lots('ada') WHERE ends < 'infinity';
SELECT rule, points, why FROM loyalty.explain('confirm_orders', 1);
-- rejected
SELECT points, repeated FROM loyalty.reject('ada', (SELECT entry FROM loyalty.awaiting WHERE purchase = '3' AND rule = 'bonus'), 'fraud');
UPDATE confirm_orders SET total = 700 WHERE id = 3;
SELECT rule, points, why FROM loyalty.explain('confirm_orders', 3);
SELECT entry, purchase, rule, points FROM loyalty.awaiting WHERE program = 'confirm_shop' ORDER BY entry;

-- refused
SELECT command, regexp_replace(pg_temp.try(command), 'since [^,]*,', 'since ...,') AS try FROM unnest(ARRAY[
	$$SELECT loyalty.reject('ada', 2)$$, $$SELECT loyalty.accept('ada', 6)$$, $$SELECT loyalty.accept('ada', 4)$$, $$SELECT loyalty.accept('ada', 1)$$, $$SELECT loyalty.accept('ada', 99)$$,
	$$SELECT loyalty.accept('ada', NULL)$$, $$SELECT loyalty.accept('nobody', 1)$$, $$SELECT loyalty.accept(NULL::text, 1)$$,
	$$SELECT loyalty.accept('ada', 7, at => now() + interval '1 hour')$$, $$SELECT loyalty.accept('ada', 7, at => '2024-03-03')$$,
	$$SELECT loyalty.accept('ada', 7, 'called', 'call 1')$$, $$SELECT loyalty.accept('ada', 2, 'wrote', 'call 1')$$, $$SELECT loyalty.reject('ada', 2, 'called', 'call 1')$$,
	$$SELECT loyalty.accept('ada', 7, key => repeat('k', 1901))$$]) command;
-- whoever is suspended gets what he earned before; a closed member is left alone
SELECT loyalty.set_member('ada', status => 'closed');
SELECT pg_temp.try($$SELECT loyalty.accept('ada', 7)$$);
SELECT loyalty.set_member('ada', status => 'suspended');
SELECT points FROM loyalty.accept('ada', 7);
SELECT loyalty.set_member('ada', status => 'active');

-- silence decides at the start of a day, whether or not anybody writes it down
SELECT entry, points, balance FROM loyalty.record(77::bigint, 'review', key => 'r', at => '2024-03-01 23:00+08');
SELECT seq, due, starts, ends, on_silence, decision FROM loyalty.confirmation WHERE source_id = 0 AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'confirm_shop') ORDER BY seq;
SELECT count(*) AS to_decide FROM loyalty.awaiting WHERE member = '77';
CREATE VIEW confirm_days AS
	SELECT at, b.available, b.pending, b.lifetime, b.next_expiry
	FROM (VALUES ('2024-03-01 22:59+08'::timestamptz), ('2024-03-01 23:00+08'), ('2024-03-08 23:59:59+08'), ('2024-03-09 00:00+08'), ('2025-03-09 23:00+08'), ('2025-03-10 00:00+08')) d (at), loyalty.balance(77::bigint, d.at) b;
SELECT * FROM confirm_days;
SELECT rule, points, why FROM loyalty.explain('api', 'r');
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$SELECT loyalty.accept('77', 1)$$, $$SELECT loyalty.reject('77', 2)$$]) command;
BEGIN;
SELECT entry, points, repeated FROM loyalty.accept(77::bigint, 2);
SELECT entry, points, repeated FROM loyalty.reject(77::bigint, 1);
ROLLBACK;
CALL loyalty.maintain(at => '2024-03-08 23:59+08', program => 'confirm_shop');
CALL loyalty.maintain(at => '2024-03-09 00:00+08', program => 'confirm_shop');
SELECT e.seq, kind, points, lots, occurred_at, context - 'request' AS context FROM loyalty.entry e JOIN loyalty.member m USING (member_id) WHERE m.ref = '77' AND m.program_id = (SELECT program_id FROM loyalty.program WHERE name = 'confirm_shop') ORDER BY e.seq;
SELECT seq, points, decision, decided_at, decided_seq, by_silence FROM loyalty.confirmation WHERE source_id = 0 AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'confirm_shop') ORDER BY seq;
SELECT * FROM confirm_days;
SELECT rule, points, why FROM loyalty.explain('api', 'r');
SELECT awaiting FROM loyalty.member WHERE ref IN ('ada', '77') AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'confirm_shop') ORDER BY ref;
SELECT * FROM loyalty.verify('confirm_shop');

-- in batches; whoever posts to a member, or changes him, writes it down before
SELECT count(loyalty.record('m' || n, 'review', key => 'm' || n, at => now() - interval '20 days')) FROM generate_series(1, 7) n;
-- it pays, and can be lost, from that day on
BEGIN;
UPDATE loyalty.program SET point_value = 0.01 WHERE name = 'confirm_shop';
SELECT days, points, value, why FROM unnest('{0,11,13}'::int[]) days, loyalty.payable('m4', 100, at => now() - days * interval '1 day');
SELECT points, balance FROM loyalty.spend('m4', 30, at => now() - interval '11 days');
SELECT count(*), sum(points) AS points FROM loyalty.expiring('confirm_shop', '2 years') WHERE member ~ '^m[1-7]$';
ROLLBACK;
SELECT loyalty.set_member('m1', status => 'suspended');
SELECT loyalty.set_member('m2', status => 'closed');
SELECT points, balance FROM loyalty.adjust('m3', -10);
CALL loyalty.maintain(program => 'confirm_shop', batch_size => 2);
CALL loyalty.maintain(program => 'confirm_shop', batch_size => 2);
SELECT m.ref, m.status, m.awaiting, m.lifetime, string_agg(c.decision, ' ' ORDER BY c.seq) AS decided
FROM loyalty.member m JOIN loyalty.confirmation c USING (member_id) WHERE m.ref ~ '^m[1-7]$' GROUP BY 1, 2, 3, 4 ORDER BY 1;

-- history, and purchases of many rows; other tests look at all of these
BEGIN;
CREATE TABLE confirm_lines (receipt integer, line integer, customer text, amount numeric, at timestamptz, PRIMARY KEY (receipt, line));
INSERT INTO confirm_lines SELECT r, l, 'q' || r, 10 * l, '2024-06-01'::timestamptz + r * interval '1 day' FROM generate_series(1, 3) r, generate_series(1, 2) l;
SELECT loyalty.attach_query('confirm_lines', 'SELECT receipt AS key, customer AS member, at, amount FROM confirm_lines', '{confirm_lines.receipt}') > 0 AS attached;
SET client_min_messages = warning;
CALL loyalty.backfill('confirm_lines', 100);
RESET client_min_messages;
INSERT INTO confirm_lines VALUES (2, 3, 'q2', 5, '2024-06-03'), (4, 1, 'q4', 9, '2024-06-05');
DELETE FROM confirm_lines WHERE receipt = 1;
SELECT member, entry, source, purchase, points FROM loyalty.awaiting WHERE source = 'confirm_lines' ORDER BY purchase;
SELECT points, balance FROM loyalty.accept('q2', 2);
SELECT * FROM loyalty.verify('confirm_shop');
ROLLBACK;
DROP VIEW confirm_days;
