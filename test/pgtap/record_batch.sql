-- record_batch: posts what the same calls of record would, one after the other in one transaction, to the byte.
-- The seed is printed; psql -v seed=0.25 -f test/pgtap/record_batch.sql repeats one.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SET client_min_messages = warning;
SELECT no_plan();
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);

-- A program for each thing that may depend on what came before.
INSERT INTO program (name, currency, time_zone, expiry, pending, tier_window, points_scale) VALUES
	('tiers', 'USD', 'Asia/Tokyo', '12 months end of month', '0', 'rolling 365 days', 1), ('total', 'USD', 'UTC', 'never', '3 days', 'lifetime', 0);
INSERT INTO program (name, expiry) VALUES ('plain', 'inactive 6 months'), ('limits', '2 months'), ('confirm', '1 year'), ('velocity', 'never'), ('budget', 'never'), ('choice', 'never');
INSERT INTO program (name, auto_enroll) VALUES ('closed', false);
INSERT INTO rule (program, name, event, award, condition) SELECT name, 'base', 'purchase', '1 per 1'::award, NULL FROM program
	UNION ALL SELECT name, 'stars', 'review', '7', $$coalesce((data ->> 'stars')::int, 3) >= 3$$ FROM program
	UNION ALL SELECT name, 'coffee', 'purchase', 'x2', $$item = 'coffee'$$ FROM program;
INSERT INTO tier (program, name, rank, min_amount) SELECT p, t, r, a FROM unnest('{tiers,total}'::text[]) p, (VALUES ('base', 0, 0), ('silver', 1, 60), ('gold', 2, 200)) t (t, r, a);
INSERT INTO rule (program, name, award, condition) SELECT p, 'gold', 'x3'::award, $$member.tier = 'gold'$$ FROM unnest('{tiers,total}'::text[]) p
	UNION ALL SELECT p, 'much', '25', 'member.qualifying > 150 AND purchase_no % 3 = 0' FROM unnest('{tiers,total}'::text[]) p;
INSERT INTO rule (program, name, event, award, member_cap, cap_period, cap_mode) VALUES ('limits', 'cap', 'review', '10', 25, 'month', 'reduce'), ('limits', 'cap p', 'purchase', '50%', 40, 'ever', 'reject');
INSERT INTO rule (program, name, event, award, once) VALUES ('limits', 'once', 'purchase', '100', true);
INSERT INTO rule (program, name, event, award, member_times, cap_period) VALUES ('limits', 'times', 'review', '3', 2, 'week');
INSERT INTO rule (program, name, event, award, cooldown) VALUES ('limits', 'cooldown', 'review', '4', '20 days');
INSERT INTO rule (program, name, event, award, confirm, confirm_within, on_silence) VALUES
	('confirm', 'slow', 'review', '11', true, '30 days', 'accept'), ('confirm', 'no', 'purchase', '13', true, '100 days', 'reject'), ('confirm', 'wait', 'visit', '2', true, NULL, DEFAULT);
INSERT INTO velocity_limit (program, name, kind, within, max_times, max_points) VALUES ('velocity', 'many', 'record', '1 day', 12, NULL), ('velocity', 'much', 'earn', '1 day', NULL, 150);
INSERT INTO rule (program, name, event, award, budget) VALUES ('budget', 'gift', 'review', '10', 333);
INSERT INTO reward (program, name, cost) VALUES ('choice', 'mug', 40);
SELECT count(enroll('m' || n, program => 'closed')) FROM generate_series(1, 5) n;
SELECT enroll('m1', program => 'choice'), choose_reward('m1', 'mug', program => 'choice');
SELECT set_member('m2', segments => '{vip}', program => p) FROM (SELECT enroll('m2', program => name), name AS p FROM program) p;
INSERT INTO rule (program, name, event, award, condition) SELECT name, 'vip', 'review', '1', $$'vip' = ANY (member.segments)$$ FROM program;

-- Everything that the extension has written for a program; of budgets what is spent, since the slots are drawn by lot.
CREATE FUNCTION ledger(program text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	t text;
	rows jsonb;
	all_rows jsonb := '{}';
	id text := (SELECT program_id FROM loyalty.program WHERE name = $1);
BEGIN
	FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'loyalty'::regnamespace AND (relkind = 'r' AND relname <> 'rule_budget' OR relname = 'budget_usage') LOOP
		EXECUTE format('SELECT jsonb_agg(r ORDER BY r::text) FROM (SELECT to_jsonb(t) - ''{recorded_at}''::text[] AS r FROM loyalty.%I t) r WHERE coalesce(r ->> ''program_id'', $1) = $1', t) INTO rows USING id;
		all_rows := all_rows || jsonb_build_object(t, coalesce(rows, '[]'));
	END LOOP;
	RETURN all_rows;
END $$;
-- What record answers to one event, as record_batch puts it; what fails leaves nothing.
CREATE FUNCTION one(event jsonb, "position" int, program text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	answer event_answer;
BEGIN
	SELECT "position", a.entry, a.points, a.balance, a.repeated INTO answer FROM record(event ->> 'member', event ->> 'event', (event ->> 'amount')::numeric, event -> 'data',
		event -> 'lines', event ->> 'reason', event ->> 'key', (event ->> 'at')::timestamptz, program) a;
	RETURN to_jsonb(answer);
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS answer.error_code = RETURNED_SQLSTATE, answer.message = MESSAGE_TEXT, answer.detail = PG_EXCEPTION_DETAIL;
	answer."position" := "position";
	answer.detail := nullif(answer.detail, '');
	RETURN to_jsonb(answer);
END $$;
CREATE FUNCTION batch(events jsonb, rows boolean, on_error text, program text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF rows THEN
		RETURN (SELECT jsonb_agg(to_jsonb(a)) FROM record_rows((SELECT array_agg(r) FROM jsonb_populate_recordset(NULL::event_request, events) r), on_error, program) a);
	END IF;
	RETURN (SELECT jsonb_agg(to_jsonb(a)) FROM record_batch(events, on_error, program) a);
END $$;
-- Where a batch and single calls differ; NULL: nowhere.
CREATE FUNCTION differs(events jsonb, rows boolean, program text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answers jsonb; wanted jsonb; got jsonb; failing jsonb; position_said int; said text;
BEGIN
	BEGIN
		SELECT jsonb_agg(one(e, n::int, program) ORDER BY n) INTO answers FROM jsonb_array_elements(events) WITH ORDINALITY e (e, n);
		wanted := ledger(program);
		RAISE EXCEPTION USING errcode = 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	END;
	-- all or nothing: an error of one of those that fail, or all of it
	SELECT jsonb_agg(a) INTO failing FROM jsonb_array_elements(answers) a WHERE a ->> 'error_code' IS NOT NULL;
	BEGIN
		got := batch(events, rows, 'fail', program);
		IF failing IS NOT NULL THEN
			RETURN 'it did not fail: ' || failing;
		END IF;
	EXCEPTION WHEN others THEN
		GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
		position_said := substring(said FROM 'This is about event (\d+) of the batch\.$');
		IF NOT EXISTS (SELECT FROM jsonb_array_elements(failing) f WHERE f ->> 'error_code' = SQLSTATE AND f ->> 'message' = SQLERRM AND (f ->> 'position')::int = position_said) THEN
			RETURN format('it failed with %s %s %s, and not with one of %s', SQLSTATE, SQLERRM, said, failing);
		END IF;
		got := batch(events, rows, 'skip', program);
	END;
	RETURN nullif(concat_ws(E'\n', (SELECT format('answers: %s, and not %s', a, b) FROM jsonb_array_elements(got) WITH ORDINALITY x (a, n) FULL JOIN jsonb_array_elements(answers) WITH ORDINALITY y (b, n) USING (n)
			WHERE a IS DISTINCT FROM b ORDER BY n LIMIT 1),
		(SELECT format('%s: %s, and not %s', k, (SELECT jsonb_agg(r) FROM jsonb_array_elements(g -> k) r WHERE NOT wanted -> k @> jsonb_build_array(r)),
			(SELECT jsonb_agg(r) FROM jsonb_array_elements(wanted -> k) r WHERE NOT g -> k @> jsonb_build_array(r)))
			FROM ledger(program) g, jsonb_object_keys(wanted) k WHERE g -> k <> wanted -> k LIMIT 1)), '');
END $$;

-- A feed of chance: few members and keys, so that much is repeated; what is wrong now and then; times of the last year.
CREATE FUNCTION feed(n int, faulty boolean) RETURNS jsonb VOLATILE LANGUAGE sql AS $$
	SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
		'member', CASE WHEN random() < 0.05 THEN 'new' || (random() * 1000)::int ELSE 'm' || (random() * 8)::int END,
		'event', kind,
		'amount', CASE WHEN kind = 'purchase' AND lines IS NULL THEN round((random() * 60 - 5)::numeric, 2) END,
		'lines', lines,
		'data', CASE WHEN faulty AND random() < 0.02 THEN '{"stars": "many"}' WHEN random() < 0.3 THEN jsonb_build_object('stars', (random() * 5)::int) END,
		'key', CASE WHEN random() < 0.4 THEN 'k' || (random() * 60)::int END,
		'reason', CASE WHEN random() < 0.2 THEN 'why' END,
		'at', CASE WHEN faulty AND random() < 0.02 THEN now() + interval '1 day' WHEN random() < 0.7 THEN date_trunc('hour', now()) - (random() * 365)::int * interval '1 day' END)))
	FROM (SELECT (ARRAY['purchase', 'purchase', 'review', 'review', 'visit', 'unknown'])[1 + (random() * 5)::int] AS kind,
				 CASE WHEN random() < 0.2 THEN jsonb_build_array(jsonb_build_object('amount', (random() * 20)::int, 'item', 'coffee'), jsonb_build_object('amount', 3.25)) END AS lines
		  FROM generate_series(1, n)) k $$;

SELECT is(differs(feed(n, n > 25), n % 2 = 0, name), NULL, format('%s: %s events', name, n)) FROM program, unnest('{1,25,120}'::int[]) n ORDER BY program_id, n;
-- members who are somebody else by now, or may not
SELECT merge_members('m1', 'm3', program => name), set_member('m4', status => 'suspended', program => name), set_member('m5', status => 'closed', program => name),
	forget_member('m6', program => name) FROM program WHERE name NOT IN ('closed', 'confirm') \g /dev/null
SELECT is(differs(feed(n, n > 25), n % 2 = 1, name), NULL, format('%s, after merges: %s events', name, n)) FROM program, unnest('{25,60}'::int[]) n WHERE name <> 'closed' ORDER BY program_id, n;
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound');

-- more than one group, and one member with more events than a group has
SELECT is((SELECT jsonb_agg(a.points::numeric) FROM record_batch((SELECT jsonb_agg(jsonb_build_object('member', CASE WHEN n % 2 = 0 THEN 'busy' ELSE 'w' || n END, 'event', 'purchase', 'amount', n,
	'key', CASE WHEN n % 1000 = 0 THEN 'thousand' || n ELSE 'n' || n END)) FROM generate_series(1, 3500) n), program => 'plain') a), (SELECT jsonb_agg(n) FROM generate_series(1, 3500) n), 'answers stand where the events stood');
SELECT is((SELECT (count(*), bool_and(repeated)) FROM record_batch((SELECT jsonb_agg(jsonb_build_object('member', CASE WHEN n % 2 = 0 THEN 'busy' ELSE 'w' || n END, 'event', 'purchase', 'amount', n,
	'key', CASE WHEN n % 1000 = 0 THEN 'thousand' || n ELSE 'n' || n END)) FROM generate_series(1, 3500) n), program => 'plain') a), (3500::bigint, true), 'the same file again is all repeated');

-- Times are read as PostgreSQL reads them, in the program's zone.
CREATE TABLE clock AS
SELECT to_char(t, f) || z AS written FROM (SELECT timestamp '1901-01-01' + random() * interval '123 years' AS t FROM generate_series(1, 60)
	UNION ALL VALUES (timestamp '2024-02-29 23:59:59.999999'), ('2000-12-31 00:00'), ('1999-02-28 12:00')) t,
	unnest(ARRAY['YYYY-MM-DD HH24:MI:SS.US', 'YYYY-MM-DD"T"HH24:MI:SS', 'YYYY-MM-DD"T"HH24:MI', 'YYYY-MM-DD"T"HH24:MI:SS.MS', 'YYYY-MM-DD']) f, unnest('{"",Z,+00:00,+05:30,-03:30,+14,-08}'::text[]) z
WHERE f <> 'YYYY-MM-DD' OR z = '';
SET TimeZone = 'Asia/Tokyo';
SELECT is((SELECT array_agg(error_code) FROM record_batch((SELECT jsonb_agg(jsonb_build_object('member', 'clock', 'event', 'clock', 'key', written, 'at', written)) FROM clock), 'skip', 'tiers') WHERE error_code IS NOT NULL), NULL, 'times are taken');
SELECT is_empty($$SELECT written, occurred_at FROM clock JOIN loyalty.entry ON source_key = 'record:' || written WHERE occurred_at <> written::timestamptz$$, 'times are what PostgreSQL says they are');
SELECT is((SELECT count(DISTINCT source_key) FROM loyalty.entry JOIN clock ON source_key = 'record:' || written), (SELECT count(*) FROM (SELECT DISTINCT written FROM clock) c), 'all of them');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound at the end');
SELECT * FROM finish();
