--
-- quote: what an event or a purchase would give
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name, currency) VALUES ('quote_a', 'USD');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('quote_closed_shop', false);
INSERT INTO loyalty.rule (program, name, award) VALUES ('quote_a', 'base', '1 per 1'), ('quote_closed_shop', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('quote_a', 'coffee triple', 'x3', $$item = 'coffee'$$);
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('quote_a', 'second purchase', '500', 'purchase_no = 2');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('quote_a', 'birthday', '80', 'extract(month FROM member.birthday) = extract(month FROM at)');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('quote_a', 'joined in 2024', '9', $$member.enrolled_at < '2025-01-01'$$);
INSERT INTO loyalty.rule (program, name, event, award, member_cap) VALUES ('quote_a', 'review', 'review', '10', 25);
INSERT INTO loyalty.rule (program, name, event, award, once) VALUES ('quote_a', 'signup', 'signup', '100', true);
INSERT INTO loyalty.rule (program, name, event, award, budget) VALUES ('quote_a', 'survey', 'survey', '30', 70);
INSERT INTO loyalty.rule (program, name, event, award, budget, cap_mode) VALUES ('quote_a', 'poll', 'poll', '30', 40, 'reject');
INSERT INTO loyalty.rule (program, name, award, active) VALUES ('quote_a', 'fair', '7', '[2990-01-01,2990-02-01)');
SET loyalty.program = 'quote_a';

-- Whoever it is, nothing is written
BEGIN READ ONLY;
SELECT * FROM loyalty.quote('ann', amount => 37.90);
SELECT * FROM loyalty.quote(NULL::text, amount => 37.90, at => '2024-05-01');
SELECT * FROM loyalty.quote(NULL::bigint, 'review');
SELECT * FROM loyalty.quote('ann', lines => '[{"amount": 10, "item": "coffee"}, {"amount": "2.50", "item": "cake"}]', at => '2990-01-15');
SELECT * FROM loyalty.quote('ann', amount => -12);
SELECT * FROM loyalty.quote('ann', 'nobody rewards this', 100);
SELECT pg_current_xact_id_if_assigned() IS NULL AS without_transaction_id;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT * FROM loyalty.quote('ann', 'signup');
COMMIT;
SELECT count(*) AS members FROM loyalty.member WHERE ref = 'ann' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'quote_a');

-- It is what record then gives
CREATE TEMPORARY TABLE quote_case (n int, event text, amount numeric, data jsonb, lines jsonb, at timestamptz);
INSERT INTO quote_case VALUES (1, 'purchase', 10, NULL, NULL, '2024-03-01'), (2, 'purchase', NULL, NULL, '[{"amount": 10, "item": "coffee"}, {"amount": 5}]', '2024-05-01'),
	(3, 'purchase', 33.33, NULL, NULL, '2025-05-17'), (4, 'review', NULL, NULL, NULL, NULL), (5, 'review', NULL, NULL, NULL, NULL), (6, 'review', NULL, NULL, NULL, NULL), (7, 'review', NULL, NULL, NULL, NULL),
	(8, 'signup', NULL, NULL, NULL, NULL), (9, 'signup', NULL, NULL, NULL, NULL), (10, 'survey', NULL, NULL, NULL, NULL), (11, 'survey', NULL, NULL, NULL, NULL), (12, 'survey', NULL, NULL, NULL, NULL),
	(13, 'survey', NULL, NULL, NULL, NULL), (14, 'poll', NULL, NULL, NULL, NULL), (15, 'poll', NULL, NULL, NULL, NULL), (16, 'purchase', -5, NULL, NULL, '2025-06-01'), (17, 'purchase', -1000, NULL, NULL, NULL), (18, 'other', 5, NULL, NULL, NULL);
SELECT loyalty.enroll('bea', profile => '{"birthday": "1990-05-17"}', at => '2024-01-01') IS NOT NULL AS enrolled;
CREATE FUNCTION pg_temp.compare() RETURNS TABLE (n int, quoted text[], recorded text[]) LANGUAGE plpgsql AS $$
DECLARE
	c quote_case; first bigint;
BEGIN
	FOR c IN SELECT * FROM quote_case q ORDER BY q.n LOOP
		n := c.n;
		quoted := ARRAY(SELECT format('%s %s', q.rule, q.points) FROM loyalty.quote('bea', c.event, c.amount, c.data, c.lines, c.at) q);
		first := (loyalty.record('bea', c.event, c.amount, c.data, c.lines, at => c.at)).entry;
		recorded := ARRAY(SELECT format('%s %s', r.name, e.points) FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id)
			WHERE e.member_id = loyalty.find_member('bea') AND e.seq >= first AND e.points::numeric <> 0 ORDER BY e.seq);
		RETURN NEXT;
	END LOOP;
END $$;
SELECT n, recorded, quoted = recorded AS as_quoted FROM pg_temp.compare();
SELECT left_over FROM loyalty.budget_usage b JOIN loyalty.rule r USING (rule_id) WHERE r.program = 'quote_a' ORDER BY r.name;

-- Of a suspended member nothing, and what is refused
SELECT loyalty.set_member('bea', status => 'suspended');
SELECT * FROM loyalty.quote('bea', amount => 100);
SELECT arguments, pg_temp.try(format('SELECT loyalty.quote(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', NULL$$, $$'ann', ''$$, $$'', 'review'$$, $$'ann', amount => 'NaN'$$, $$'ann', at => 'infinity'$$, $$'ann', program => 'quote_nowhere'$$,
	$$'ann', amount => 5, program => 'quote_closed_shop'$$, $$NULL::text, amount => 5, program => 'quote_closed_shop'$$,
	$$'ann', lines => '[{"amount": 1, "colour": 1}]'$$, $$'ann', amount => 4, lines => '[{"amount": 5}]'$$, $$'ann', lines => '[{"amount": 5, "currency": "EUR"}]', at => '2024-01-01 00:00Z'$$]) AS arguments;
SELECT * FROM loyalty.quote(NULL::text, amount => 5, program => 'quote_closed_shop');
-- rules of this transaction are seen, and stay drafts
BEGIN;
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('quote_a', 'draft', 'draft', '5');
SELECT * FROM loyalty.quote('ann', 'draft');
DELETE FROM loyalty.rule WHERE name = 'draft' AND program = 'quote_a';
COMMIT;
-- beside a parallel scan
CREATE TABLE quote_wide AS SELECT i FROM generate_series(1, 1000) i;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT sum(q.points) FROM quote_wide, LATERAL loyalty.quote(i, amount => i) q WHERE i % 100 = 0;
DROP TABLE quote_wide;
