--
-- record: events and purchases that no table holds
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
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
INSERT INTO loyalty.program (name, currency, time_zone) VALUES ('record_a', 'USD', 'Asia/Tokyo');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('record_closed_shop', false);
INSERT INTO loyalty.program (name, expiry) VALUES ('record_month', '1 month');
INSERT INTO loyalty.rule (program, name, award) VALUES ('record_a', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('record_a', 'coffee triple', 'x3', $$item = 'coffee'$$);
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('record_a', 'third purchase', '500', 'purchase_no = 3');
INSERT INTO loyalty.rule (program, name, event, award, condition) VALUES ('record_a', 'long review', 'review', '40', $$(data ->> 'words')::int >= 20$$);
INSERT INTO loyalty.rule (program, name, event, award, member_cap) VALUES ('record_a', 'review', 'review', '10', 25);
INSERT INTO loyalty.rule (program, name, event, award, once) VALUES ('record_a', 'signup', 'signup', '100', true);
INSERT INTO loyalty.rule (program, name, event, award, budget) VALUES ('record_a', 'survey', 'survey', '30', 70);
INSERT INTO loyalty.rule (program, name, event, award, budget, cap_mode) VALUES ('record_a', 'poll', 'poll', '30', 40, 'reject');
INSERT INTO loyalty.rule (program, name, event, award_points) VALUES ('record_a', 'steps', 'walk', 'quantity / 1000');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('record_month', 'base', 'purchase', '1 per 1');
SET loyalty.program = 'record_a';

-- Events: the rules about them, and nothing where there is none
SELECT * FROM loyalty.record('ann', 'review');
SELECT * FROM loyalty.record('ann', 'review', data => '{"words": 25}', reason => 'thank you');
SELECT * FROM loyalty.record('ann', 'signup');
SELECT * FROM loyalty.record('ann', 'signup');
SELECT * FROM loyalty.record('ann', 'review');
SELECT * FROM loyalty.record('ann', 'nobody rewards this', 12, '{"a": null}');
SELECT * FROM loyalty.record('ann', 'walk', lines => '[{"amount": 0, "quantity": 4321}, {"amount": 0, "quantity": "2000"}]');
SELECT e.seq, r.name, e.kind, e.points, e.source_id, e.source_key, e.revision, e.amount, e.context - 'barred' AS context, e.context ? 'barred' AS barred, e.note
FROM loyalty.entry e LEFT JOIN loyalty.rule r USING (rule_id) WHERE e.member_id = loyalty.find_member('ann') ORDER BY seq;
-- budgets are everybody's: what is left, or nothing
SELECT n, points FROM generate_series(1, 4) n, loyalty.record('budget' || n, 'survey');
SELECT n, points FROM generate_series(1, 2) n, loyalty.record('budget' || n, 'poll');
SELECT r.name, b.spent, b.left_over FROM loyalty.budget_usage b JOIN loyalty.rule r USING (rule_id) WHERE r.program = 'record_a' ORDER BY 1;

-- Purchases: counted, and of several lines
SELECT * FROM loyalty.record(7::bigint, 'purchase', 19.90);
SELECT * FROM loyalty.record('7', 'purchase', lines => '[{"amount": "12.50", "item": "coffee"}, {"amount": 7, "item": null}]');
SELECT * FROM loyalty.record('7', 'purchase', 10.5, lines => '[{"amount": 10, "currency": "USD"}, {"amount": 0.50}]', key => 'third');
SELECT purchases, lifetime FROM loyalty.member WHERE member_id = loyalty.find_member('7');
SELECT entry, kind, points, amount, rule, source, purchase FROM loyalty.statement('7');
-- a refund without its purchase takes
SELECT points, balance FROM loyalty.record('7', 'purchase', -10);
-- other currencies
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('record_a', 'EUR', 1.25);
SELECT points, balance FROM loyalty.record('eve', 'purchase', lines => '[{"amount": 100, "currency": "EUR"}, {"amount": 1}]');
SELECT amount, context FROM loyalty.entry WHERE member_id = loyalty.find_member('eve');
SELECT pg_temp.try($$SELECT loyalty.record('eve', 'purchase', lines => '[{"amount": 100, "currency": "GBP"}]', at => '2024-05-01 00:00Z')$$);
-- times of lines are read in the program's zone
INSERT INTO loyalty.rule (program, name, event, award, condition) VALUES ('record_a', 'morning', 'visit', '1 per 1', 'extract(hour FROM at) < 12');
SELECT points FROM loyalty.record('tim', 'visit', lines => '[{"amount": 1, "at": "2024-05-01T08:00:00"}, {"amount": 10, "at": "2024-05-01T04:00Z"}, {"amount": 100, "at": "2024-05-01T02:59:59Z"}, {"amount": 1000, "at": "2024-05-01"}]');
SELECT points FROM loyalty.record('tim', 'visit', 5, at => '2024-05-01 02:00Z');

-- In the past: enrolled then, and what fell due since is seen
SELECT * FROM loyalty.record('old', 'purchase', 10, at => '2024-01-31 10:00Z', program => 'record_month');
SELECT * FROM loyalty.record('old', 'purchase', 5, at => '2024-03-31 10:00Z', program => 'record_month');
SELECT seq, kind, points, lots, source_key, occurred_at FROM loyalty.entry WHERE member_id = loyalty.find_member('old', 'record_month') ORDER BY seq;
SELECT enrolled_at FROM loyalty.member WHERE member_id = loyalty.find_member('old', 'record_month');

-- A key: the same call answers the same, and moves nothing
SELECT * FROM loyalty.record('kim', 'purchase', 20, '{"till": 3}', '[{"amount": 20.00, "item": "coffee"}]', 'at the fair', 'k', '2024-05-01 00:00Z');
SELECT * FROM loyalty.record('kim', 'review', key => 'k');
SELECT * FROM loyalty.record('kim', 'purchase', 20.0, '{"till": 3.0}', '[{"item": "coffee", "amount": 20}]', 'at the fair', 'k', '2024-05-01 02:00+02');
SELECT * FROM loyalty.record('kim', 'review', key => 'k');
SELECT seq, points, source_key, rule_id > 0 AS of_rule, note FROM loyalty.entry WHERE member_id = loyalty.find_member('kim') ORDER BY seq;
-- with other arguments it is refused
SELECT arguments, pg_temp.try(format('SELECT loyalty.record(%L, %s)', 'kim', arguments)) FROM unnest(ARRAY[
	$$'purchase', 21, '{"till": 3}', NULL, 'at the fair', 'k', '2024-05-01 00:00Z'$$,
	$$'purchase', 20, '{"till": 3}', '[{"amount": 20, "item": "tea"}]', 'at the fair', 'k', '2024-05-01 00:00Z'$$,
	$$'purchase', 20, '{"till": 4}', '[{"amount": 20, "item": "coffee"}]', 'at the fair', 'k', '2024-05-01 00:00Z'$$,
	$$'purchase', 20, '{"till": 3}', '[{"amount": 20, "item": "coffee"}]', NULL, 'k', '2024-05-01 00:00Z'$$,
	$$'purchase', 20, '{"till": 3}', '[{"amount": 20, "item": "coffee"}]', 'at the fair', 'k', '2024-05-01 00:00:01Z'$$,
	$$'purchase', 20, '{"till": 3}', '[{"amount": 20, "item": "coffee"}]', 'at the fair', 'k'$$,
	$$'signup', key => 'k'$$, $$'review', 0, key => 'k'$$]) AS arguments;
-- of a suspended or closed member, too
SELECT loyalty.set_member('kim', status => 'suspended');
SELECT points, balance, repeated FROM loyalty.record('kim', 'review', key => 'k');
SELECT pg_temp.try($$SELECT loyalty.record('kim', 'review')$$);
SELECT loyalty.set_member('kim', status => 'closed');
SELECT pg_temp.try($$SELECT loyalty.record('kim', 'purchase', 1, key => 'new')$$);
-- twice in one statement; the same key of another member is another
SELECT a.repeated, b.repeated FROM loyalty.record('lea', 'review', key => 'k') a, loyalty.record('lea', 'review', key => 'k') b;
-- a failed attempt does not use up its key
SELECT pg_temp.try($$SELECT loyalty.record('lea', 'purchase', lines => '[{"amount": 1, "currency": "GBP"}]', key => 'g', at => '2024-05-01 00:00Z')$$);
SELECT points, repeated FROM loyalty.record('lea', 'purchase', 1, key => 'g');

-- What is refused, and leaves no trace
SELECT arguments, pg_temp.try(format('SELECT loyalty.record(%s)', arguments)) FROM unnest(ARRAY[
	$$'new', NULL$$, $$'new', ''$$, $$NULL::text, 'review'$$, $$NULL::bigint, 'review'$$, $$'', 'review'$$,
	$$'new', 'purchase', 'NaN'$$, $$'new', 'purchase', '-Infinity'$$, $$'new', 'purchase', 1e30$$, $$'new', 'purchase', 1e200$$,
	$$'new', 'review', at => now() + interval '1 hour'$$, $$'new', 'review', at => '-infinity'$$,
	$$'new', 'review', program => 'record_nowhere'$$, $$'new', 'review', program => 'record_closed_shop'$$,
	$$'new', 'review', key => repeat('x', 2000)$$]) AS arguments;
SELECT lines, amount, pg_temp.try(format('SELECT loyalty.record(%L, %L, %L, NULL, %L)', 'new', 'purchase', amount, lines)) FROM (VALUES
	('{}', NULL), ('[]', NULL), ('5', NULL), ('null', NULL), ('[5]', NULL), ('[{"amount": 1}, []]', NULL), ('[{"amount": 1}, {}]', NULL), ('[{"amount": null}]', NULL),
	('[{"amount": true}]', NULL), ('[{"amount": "1,5"}]', NULL), ('[{"amount": "NaN"}]', NULL), ('[{"amount": ""}]', NULL), ('[{"amount": 1, "quantity": []}]', NULL),
	('[{"amount": 1, "item": 5}]', NULL), ('[{"amount": 1}, {"amount": 1, "currency": {}}]', NULL), ('[{"amount": 1}, {"amount": 1, "colour": "red"}]', NULL),
	('[{"amount": 1, "at": "now"}]', NULL), ('[{"amount": 1, "at": 5}]', NULL), ('[{"amount": 1}, {"amount": 1, "at": "2024-02-30"}]', NULL), ('[{"amount": 1, "at": "2024-02-01 infinity"}]', NULL),
	('[{"amount": 1}, {"amount": 2}]', 2), ('[{"amount": 1}, {"amount": 2, "currency": "EUR"}]', 3)) v (lines, amount);
SELECT count(*) AS strangers FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE m.ref IN ('new', '') AND p.name ~ '^record_';
-- a rule that fails stops the act
INSERT INTO loyalty.rule (program, name, event, award, condition) VALUES ('record_a', 'broken', 'broken', '1', $$(data ->> 'n')::int > 0$$);
SELECT pg_temp.try($$SELECT loyalty.record('new', 'broken', data => '{"n": "many"}')$$);
SELECT loyalty.record('new', 'broken', data => '{"n": 1}');
BEGIN READ ONLY;
SELECT loyalty.record('new', 'review');
ROLLBACK;

-- What this transaction wrote is in force, and what it takes back is gone
BEGIN;
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('record_a', 'today', 'today', '7');
SELECT * FROM loyalty.record('ben', 'today', key => 'k');
SAVEPOINT one;
SELECT * FROM loyalty.record('ben', 'today');
ROLLBACK TO one;
SELECT * FROM loyalty.record('ben', 'today');
COMMIT;
SELECT seq, points, source_key FROM loyalty.entry WHERE member_id = loyalty.find_member('ben') ORDER BY seq;
-- one who never had it
CREATE ROLE record_nobody;
SET ROLE record_nobody;
SELECT loyalty.record('ann', 'review', program => 'record_a');
RESET ROLE;
DROP ROLE record_nobody;
SELECT * FROM loyalty.verify();
