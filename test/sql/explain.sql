--
-- explain: why a purchase earned what it earned
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
-- All of it is taken back in the end, limits and budgets too.
BEGIN;
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
INSERT INTO loyalty.program (name, currency, clawback, time_zone) VALUES ('explain', 'USD', 'none', 'Asia/Tokyo');
SET loyalty.program = 'explain';
INSERT INTO loyalty.rule (name, program, priority, award, condition) VALUES ('base', 'explain', 0, '1 per 1', NULL),
	('coffee triple', 'explain', 5, 'x3', $$item = 'coffee'$$), ('first', 'explain', 0, '50', 'purchase_no = 1'),
	('birthday', 'explain', 0, '80', 'extract(month FROM member.birthday) = extract(month FROM at)');
INSERT INTO loyalty.rule (name, program, award, min_amount) VALUES ('big', 'explain', '10%', 100);
INSERT INTO loyalty.rule (name, program, award, min_quantity) VALUES ('many', 'explain', '2 each', 3);
INSERT INTO loyalty.rule (name, program, award, exclusive_group) VALUES ('small bonus', 'explain', '5', 'bonus'), ('great bonus', 'explain', '7', 'bonus');
INSERT INTO loyalty.rule (name, program, award, active) VALUES ('opening', 'explain', '9', '[2030-01-01 00:00Z,)');
INSERT INTO loyalty.rule (name, program, award, once) VALUES ('welcome', 'explain', '100', true);
INSERT INTO loyalty.rule (name, program, award, member_times) VALUES ('two visits', 'explain', '3', 2);
INSERT INTO loyalty.rule (name, program, award, member_cap) VALUES ('capped', 'explain', '1 per 1', 50);
INSERT INTO loyalty.rule (name, program, priority, award, condition, stop) VALUES ('staff', 'explain', -5, '1', $$channel = 'staff'$$, true);
INSERT INTO loyalty.rule (name, program, priority, award) VALUES ('last', 'explain', -9, '4');
INSERT INTO loyalty.rule (name, program, event, award) VALUES ('review', 'explain', 'review', '10');
SELECT loyalty.enroll('ann', profile => '{"birthday": "1990-05-17"}', at => '2024-01-01 00:00Z') IS NOT NULL AS enrolled;
CREATE TABLE explain_orders (id int PRIMARY KEY, customer text, total numeric, item text, channel text, status text, at timestamptz);
SELECT loyalty.attach('explain_orders', member => 'customer', amount => 'total', at => 'at', item => 'item', channel => 'channel', counts => $$status = 'paid'$$) > 0 AS attached;
INSERT INTO explain_orders VALUES (1, 'ann', 40, 'coffee', NULL, 'paid', '2024-05-01 10:00Z'), (2, 'ann', 120.50, 'tea', 'staff', 'paid', '2024-06-01 10:00Z'),
	(3, 'ann', 10, NULL, NULL, 'paid', '2024-06-02 10:00Z'), (4, 'ann', 10, NULL, NULL, 'new', '2024-06-03 10:00Z'), (5, NULL, 10, NULL, NULL, 'paid', '2024-06-03 10:00Z');
INSERT INTO loyalty.rule (name, program, award) VALUES ('newer', 'explain', '1');
SELECT * FROM loyalty.explain('explain_orders', '1');
SELECT * FROM loyalty.explain('explain_orders', 2);
SELECT rule, points, why FROM loyalty.explain('explain_orders', '3', 'ann', 'explain') WHERE why <> 'applies';
SELECT n, (SELECT sum(e.points) FROM loyalty.explain('explain_orders', n::text) e) = (SELECT sum(points) FROM loyalty.entry WHERE member_id = loyalty.find_member('ann') AND source_key = n::text) AS all_points
FROM generate_series(1, 3) n;
-- what does not count, and what is nobody's
SELECT * FROM loyalty.explain('explain_orders', '4');
SELECT * FROM loyalty.explain('explain_orders', '5');

-- After a return: what had been spent could not be taken back
SELECT points FROM loyalty.adjust('ann', -(SELECT available FROM loyalty.balance('ann')));
UPDATE explain_orders SET total = 30 WHERE id = 1;
SELECT rule, amount, points, why FROM loyalty.explain('explain_orders', '1') WHERE points <> 0::loyalty.points;
DELETE FROM explain_orders WHERE id = 3;
SELECT * FROM loyalty.explain('explain_orders', '3');
-- another member's
UPDATE explain_orders SET customer = 'bea' WHERE id = 2;
SELECT rule, points, why FROM loyalty.explain('explain_orders', '2', 'ann');
SELECT rule, points, why FROM loyalty.explain('explain_orders', '2') WHERE points <> 0::loyalty.points;
-- without entries: as it would be now; nobody is enrolled
SET session_replication_role = replica;
INSERT INTO explain_orders VALUES (6, 'cid', 60, 'coffee', NULL, 'paid', '2024-07-01 10:00Z'), (7, 'bea', 60, NULL, NULL, 'paid', '2024-07-01 10:00Z');
RESET session_replication_role;
SELECT * FROM loyalty.explain('explain_orders', '6');
SELECT rule, points, why FROM loyalty.explain('explain_orders', '7', 'bea') WHERE rule IN ('capped', 'welcome', 'newer');
SELECT count(*) FROM loyalty.member WHERE ref = 'cid' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'explain');
-- of a suspended member
SELECT loyalty.set_member('bea', status => 'suspended');
SELECT * FROM loyalty.explain('explain_orders', '7');
INSERT INTO explain_orders VALUES (8, 'bea', 60, NULL, NULL, 'paid', '2024-07-01 10:00Z');
SELECT * FROM loyalty.explain('explain_orders', '8');
-- deferred
INSERT INTO explain_orders VALUES (9, 'ann', 'NaN', NULL, NULL, 'paid', '2024-07-01 10:00Z');
SELECT * FROM loyalty.explain('explain_orders', '9');

-- What was recorded: of several lines, with amounts in another currency, and without a key
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('explain', 'EUR', 1.25);
SELECT points FROM loyalty.record('dan', 'purchase', lines => '[{"amount": 10.10, "item": "coffee", "quantity": 2}, {"amount": 100, "currency": "EUR"}]', key => 'k', at => '2024-07-01 10:00Z');
SELECT points FROM loyalty.record('dan', 'review', data => '{"stars": 5}', key => 'r');
SELECT points FROM loyalty.record('dan', 'review');
SELECT points FROM loyalty.record('dan', 'nobody rewards this', key => 'n');
SELECT points FROM loyalty.record('dan', 'purchase', -20, key => 'refund', at => '2024-07-02 10:00Z');
DELETE FROM loyalty.currency_rate WHERE program = 'explain';
SELECT * FROM loyalty.explain('api', 'k');
SELECT * FROM loyalty.explain('api', 'r');
SELECT * FROM loyalty.explain('api', 'record:r', 'dan');
SELECT e.rule, e.points, e.why FROM loyalty.statement('dan') s, loyalty.explain('api', s.purchase, 'dan') e WHERE s.purchase ~ '#';
SELECT * FROM loyalty.explain('api', 'n');
SELECT rule, amount, points, why FROM loyalty.explain('api', 'refund') WHERE why ~ 'applies|limit';
SELECT points FROM loyalty.record('eve', 'review', key => 'r');
SELECT rule, points FROM loyalty.explain('api', 'r', 'eve');

-- What is refused
SELECT arguments, pg_temp.try(format('SELECT * FROM loyalty.explain(%s)', arguments)) FROM unnest(ARRAY[
	$$NULL, '1'$$, $$'explain_orders', NULL$$, $$'nowhere', '1'$$, $$'explain_orders', '99'$$, $$'explain_orders', '1', 'dan'$$, $$'explain_orders', '1', 'stranger'$$, $$'explain_orders', 'x'$$,
	$$'api', 'r'$$, $$'api', 'missing'$$, $$'api', 'k', 'eve'$$, $$'api', 'k', 'stranger'$$, $$'api', 'k', program => 'nowhere'$$, $$'explain_orders', '1', ''$$]) AS arguments;

-- Purchases of a query
CREATE TABLE explain_head (id int PRIMARY KEY, customer text, at timestamptz);
CREATE TABLE explain_line (head int, item text, price numeric);
SELECT loyalty.attach_query('explain_sales', $$SELECT h.id AS key, h.customer AS member, h.at, l.price AS amount, l.item FROM explain_head h JOIN explain_line l ON l.head = h.id$$,
	watch => '{explain_head.id,explain_line.head}', program => 'explain') > 0 AS attached;
INSERT INTO explain_head VALUES (1, 'fay', '2024-08-01 10:00Z');
INSERT INTO explain_line VALUES (1, 'coffee', 20), (1, 'cake', 5);
SELECT * FROM loyalty.explain('explain_sales', '1') WHERE rule IN ('base', 'coffee triple');
DELETE FROM explain_head;
SELECT * FROM loyalty.explain('explain_sales', '1');
SELECT pg_temp.try($$SELECT * FROM loyalty.explain('explain_sales', '2')$$);
ROLLBACK;
