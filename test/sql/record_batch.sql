--
-- record_batch: many events at once, of feeds that no table holds
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
INSERT INTO loyalty.program (name, currency, time_zone) VALUES ('batch_a', 'USD', 'Asia/Tokyo');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('batch_closed_shop', false);
INSERT INTO loyalty.rule (program, name, award) VALUES ('batch_a', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, event, award, member_cap) VALUES ('batch_a', 'review', 'review', '10', 25);
INSERT INTO loyalty.rule (program, name, event, award, condition) VALUES ('batch_a', 'stars', 'survey', '5', $$(data ->> 'stars')::int > 3$$);
INSERT INTO loyalty.rule (program, name, event, award, budget) VALUES ('batch_a', 'gift', 'gift', '30', 70);
INSERT INTO loyalty.rule (program, name, event, award, condition) VALUES ('batch_a', 'morning', 'visit', '1', 'extract(hour FROM at) < 12');
SET loyalty.program = 'batch_a';

-- Answers stand where the events stood; a key does its work once, in a batch as between batches
SELECT * FROM loyalty.record_batch('[]');
SELECT * FROM loyalty.record_batch('[{"member": "ann", "event": "review", "reason": "thanks"}, {"member": 42, "event": "purchase", "amount": "12.50", "key": "p"},
	{"member": "ann", "event": "review", "key": "k"}, {"member": "ann", "event": "review", "key": "k"}, {"member": "ann", "event": "review", "amount": null},
	{"member": "42", "event": "purchase", "lines": [{"amount": 3, "item": "tea"}, {"amount": 4}], "data": {"till": 1}}]');
SELECT * FROM loyalty.record_batch('[{"member": "ann", "event": "review", "key": "k"}, {"member": "ann", "event": "nobody rewards this"}, {"member": "bob", "event": "nobody rewards this"}]');
SELECT m.ref, e.seq, r.name AS rule, e.points, e.source_key, e.amount, e.context - 'barred' AS context, e.note
FROM loyalty.entry e JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = e.program_id LEFT JOIN loyalty.rule r USING (rule_id) WHERE p.name = 'batch_a' ORDER BY m.ref, e.seq;
SELECT entry, points, balance, repeated FROM loyalty.record('ann', 'review', key => 'k');
-- of rows
SELECT * FROM loyalty.record_rows(ARRAY[('cid', 'purchase', 7, NULL, NULL, 'a fair', 'f', '2024-05-01 00:00Z'), ('cid', 'review', NULL, NULL, NULL, NULL, NULL, NULL)]::loyalty.event_request[]);
SELECT * FROM loyalty.record_rows(ARRAY[]::loyalty.event_request[]);
-- times are read in the program's zone
SELECT position, points FROM loyalty.record_batch('[{"member": "tim", "event": "visit", "at": "2024-05-01T08:00:00"}, {"member": "tim", "event": "visit", "at": "2024-05-01T02:59Z"}, {"member": "tim", "event": "visit", "at": "2024-05-01 04:00:00.5+01:00"}, {"member": "tim", "event": "visit", "at": "2024-05-01"}]');
-- a budget is first come, first served, whoever they are
SELECT position, points FROM loyalty.record_batch((SELECT jsonb_agg(jsonb_build_object('member', 'budget' || n, 'event', 'gift')) FROM generate_series(1, 4) n));

-- What fails: all of it by default, and the error says which it was
SELECT events, pg_temp.try(format('SELECT * FROM loyalty.record_batch(%L)', events)) FROM unnest(ARRAY[
	'{}', '5', 'null', '[5]', '[{"member": "new", "event": "review"}, []]', '[{"event": "review"}]', '[{"member": null, "event": "review"}]', '[{"member": "", "event": "review"}]',
	'[{"member": 4.5, "event": "review"}]', '[{"member": true, "event": "review"}]', '[{"member": "new"}]', '[{"member": "new", "event": ""}]', '[{"member": "new", "event": 5}]',
	'[{"member": "new", "event": "review", "colour": "red"}]', '[{"member": "new", "event": "review", "amount": "many"}]', '[{"member": "new", "event": "review", "key": 5}]',
	'[{"member": "new", "event": "review", "reason": {}}]', '[{"member": "new", "event": "review", "at": "now"}]', '[{"member": "new", "event": "review", "at": "2999-01-01"}]',
	'[{"member": "new", "event": "review", "at": "2024-02-30T10:00:00Z"}]', '[{"member": "new", "event": "purchase", "lines": [{"amount": 1}, {"colour": "red"}]}]',
	'[{"member": "new", "event": "purchase", "amount": 5, "lines": [{"amount": 1}]}]', '[{"member": "new", "event": "review"}, {"member": "ann", "event": "review", "amount": 1, "key": "k"}]',
	'[{"member": "new", "event": "review"}, {"member": "sue", "event": "survey", "data": {"stars": "many"}}]']) AS events;
SELECT pg_temp.try($$SELECT * FROM loyalty.record_batch(NULL)$$), pg_temp.try($$SELECT * FROM loyalty.record_batch('[]', 'ignore')$$), pg_temp.try($$SELECT * FROM loyalty.record_batch('[]', program => 'batch_nowhere')$$),
	pg_temp.try($$SELECT * FROM loyalty.record_batch('[{"member": "new", "event": "review"}]', program => 'batch_closed_shop')$$), pg_temp.try($$SELECT * FROM loyalty.record_batch(jsonb_build_array(jsonb_build_object('member', 'new', 'event', 'review', 'key', repeat('x', 2000))))$$),
	pg_temp.try($$SELECT * FROM loyalty.record_rows(ARRAY[NULL]::loyalty.event_request[])$$), pg_temp.try($$SELECT * FROM loyalty.record_rows(ARRAY[(NULL, 'review', NULL, NULL, NULL, NULL, NULL, NULL)]::loyalty.event_request[])$$),
	pg_temp.try($$SELECT * FROM loyalty.record_rows(ARRAY[('new', 'review', 'NaN', NULL, NULL, NULL, NULL, 'infinity')]::loyalty.event_request[])$$) \gx
SELECT count(*) AS strangers FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE m.ref IN ('new', 'sue', '') AND p.name ~ '^batch_';
-- or what fails is left out, and the answer says why; whoever has nothing else is no member
SELECT * FROM loyalty.record_batch('[{"member": "dan", "event": "review", "key": "d"}, {"member": "sue", "event": "survey", "data": {"stars": "many"}}, 5, {"member": "ann", "event": "review", "amount": 1, "key": "k"},
	{"member": "dan", "event": "survey", "data": {"stars": 4}}, {"member": "eve", "event": "purchase", "amount": 5, "lines": [{"amount": 1}]}, {"member": "dan", "event": "review", "key": "d"}]', on_error => 'skip');
SELECT m.ref, m.seq FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE p.name = 'batch_a' AND m.ref IN ('dan', 'sue', 'eve') ORDER BY 1;
SELECT position, points, error_code, message FROM loyalty.record_batch('[{"member": "gil", "event": "gift"}, {"member": "gil", "event": "gift", "at": "2999-01-01"}]', 'skip');
BEGIN READ ONLY;
SELECT * FROM loyalty.record_batch('[{"member": "ann", "event": "review"}]', 'skip');
ROLLBACK;

-- What a role may do
CREATE ROLE batch_till;
SELECT loyalty.grant_access('batch_till', 'operate', 'batch_a');
SET ROLE batch_till;
SELECT position, points FROM loyalty.record_batch('[{"member": "ann", "event": "purchase", "amount": 1}]');
SELECT * FROM loyalty.record_batch('[{"member": "ann", "event": "visit"}]', program => 'batch_closed_shop');
SELECT * FROM loyalty.record_batch('[]', program => 'batch_closed_shop');
SET loyalty.member_ref = 'ann';
SELECT position, entry FROM loyalty.record_batch('[{"member": "ann", "event": "survey"}]');
SELECT * FROM loyalty.record_batch('[{"member": "ann", "event": "survey"}, {"member": "bob", "event": "survey"}]', 'skip');
RESET loyalty.member_ref;
RESET ROLE;
SELECT loyalty.revoke_access('batch_till', 'operate', 'batch_a');
DROP ROLE batch_till;
SELECT * FROM loyalty.verify('batch_a');
