--
-- export: all that is known of one member
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, currency, point_value) VALUES ('export', 'USD', 0.01);
INSERT INTO loyalty.program (name) VALUES ('export_other');
SET loyalty.program = 'export';
SELECT program_id AS pid FROM loyalty.program WHERE name = 'export' \gset
INSERT INTO loyalty.rule (program, name, award) VALUES ('export', 'base', '1 per 1'), ('export_other', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('export', 'birthday', '10', $$member.birthday IS NOT NULL$$);
INSERT INTO loyalty.rule (program, name, event, award, confirm, member_cap, cap_period) VALUES ('export', 'review', 'review', '5', true, 50, 'year');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('export', 'silver', 1, 100);
INSERT INTO loyalty.reward (program, name, cost) VALUES ('export', 'latte', 10), ('export', 'sofa', 10000);
CREATE TABLE export_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz NOT NULL DEFAULT '2026-01-10 12:00Z');
CREATE TABLE export_line (id int PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('export_order', member => 'customer', amount => 'total', at => 'at') > 0 AS attached;
SELECT loyalty.attach_query('export_lines', $$SELECT id AS key, customer AS member, '2026-01-09Z'::timestamptz AS at, total AS amount FROM public.export_line$$, '{public.export_line.id}') > 0 AS attached;

-- Somebody of whom every table has something; and others, whose it is not
SELECT loyalty.enroll('friend', profile => '{"name": "Friend"}', at => '2026-01-01Z') IS NOT NULL AS enrolled;
SELECT loyalty.enroll('ann', profile => '{"birthday": "1990-05-17", "segments": ["vip"], "name": "Ann"}', referred_by => 'friend', at => '2026-01-02Z') IS NOT NULL AS enrolled;
SELECT loyalty.enroll('guest', referred_by => 'ann') IS NOT NULL AS enrolled;
INSERT INTO export_order VALUES (1, 'ann', 100), (2, 'ann', 50), (3, 'friend', 70), (4, 'card 2 of ann', 5);
INSERT INTO export_line VALUES (1, 'ann', 7), (2, 'friend', 8);
SELECT points FROM loyalty.record('ann', 'review', data => '{"text": "good"}', at => '2026-01-11Z');
SELECT points FROM loyalty.hold('ann', 20, reason => 'at the till', ttl => '90 years', at => '2026-01-12Z');
SELECT points FROM loyalty.transfer('ann', 'friend', 7, reason => 'for you', at => '2026-01-12Z');
SELECT points FROM loyalty.transfer('friend', 'ann', 3, reason => 'thanks', at => '2026-01-13Z');
SELECT status FROM loyalty.redeem('ann', 'latte', reason => 'thirsty', at => '2026-01-13Z');
SELECT loyalty.choose_reward('ann', 'sofa');
SELECT code FROM loyalty.issue_voucher('ann', kind => 'value', value => 9) \gset
SELECT taken FROM loyalty.use_voucher(:'code', 4, 'ann');
SELECT given_back FROM loyalty.return_voucher(:'code', 1);
SELECT count(*) FROM loyalty.issue_voucher('friend', kind => 'value', value => 5);
SELECT loyalty.set_consent('ann', 'marketing', true, source => 'form'), loyalty.set_consent('friend', 'marketing', true);
SELECT loyalty.feedback('ann', 9, 'lovely', about => 'order 1', at => '2026-01-14Z'), loyalty.feedback('friend', 3, at => '2026-01-14Z');
SELECT loyalty.set_tier('ann', 'silver', reason => 'a friend') IS NOT NULL AS set;
UPDATE loyalty.program SET adjust_limit = 10 WHERE program_id = :pid;
SELECT entry, points FROM loyalty.adjust('ann', 11, reason => 'sorry', key => 'big');
SELECT loyalty.merge_members('card 2 of ann', 'ann');
SELECT loyalty.merge_members('friend', 'ann');
SELECT loyalty.unmerge_members('friend');
SELECT loyalty.create_household('home', 'friend') IS NOT NULL, loyalty.join_household('ann', 'home') IS NOT NULL;
INSERT INTO loyalty.deferred (source_id, source_key, program_id, member_ids, error_code, message)
SELECT source_id, 'd' || m, p.program_id, ARRAY[m, 5::bigint], '22023', 'no' FROM loyalty.program p JOIN loyalty.source s ON s.program = p.name, (VALUES (loyalty.find_member('ann')), (loyalty.find_member('friend'))) v (m) WHERE s.name = 'export_order';
INSERT INTO loyalty.import_failure (program_id, key, ref, error_code, message)
SELECT program_id, 'k', r, '22023', 'no' FROM loyalty.program, unnest('{ann,friend,card 2 of ann}'::text[]) r WHERE name = 'export';
INSERT INTO loyalty.maintenance_failure (member_id, program_id, error_code, message)
SELECT member_id, program_id, '22023', 'no' FROM loyalty.member WHERE program_id = :pid AND ref IN ('ann', 'friend');

SELECT members FROM loyalty.seal();
SELECT loyalty.export_member('ann') AS exported \gset
SELECT key, jsonb_typeof(value) AS type, CASE jsonb_typeof(value) WHEN 'array' THEN jsonb_array_length(value) END AS rows FROM jsonb_each(:'exported') ORDER BY key COLLATE "C";

-- Every table that says something of a member is exported, each of its rows; a new one fails here until it is
CREATE TEMP TABLE person AS SELECT member_id FROM loyalty.member WHERE program_id = :pid AND ref IN ('ann', 'card 2 of ann');
CREATE TEMP TABLE exported (name text, key text, rows text, why_not text);
INSERT INTO exported (name, key) VALUES
	('member', 'ledgers'), ('profile', 'profile'), ('consent', 'consents'), ('feedback', 'feedback'), ('entry', 'entries'), ('hold', 'holds'),
	('confirmation', 'confirmations'), ('proposal', 'proposals'), ('redemption', 'redemptions'), ('reward_choice', 'choices'), ('voucher', 'vouchers'),
	('voucher_use', 'voucher_uses'), ('tier_change', 'tier_changes'), ('rule_usage', 'limits'), ('member_merge', 'merges'),
	('household_member', 'households'), ('purchase', 'query_purchases'), ('seal_leaf', 'seals'), ('maintenance_failure', 'maintenance_failures');
INSERT INTO exported (name, key, rows) VALUES
	('voucher_return', 'voucher_returns', '(hash, use_no) IN (SELECT hash, use_no FROM loyalty.voucher_use JOIN person USING (member_id))'),
	('deferred', 'deferred', 'member_ids && ARRAY(SELECT member_id FROM person)'),
	('import_failure', 'import_failures', format('ref IN (''ann'', ''card 2 of ann'') AND program_id = %s', :pid));
INSERT INTO exported (name, why_not) VALUES
	('member_alias', 'its refs are in refs'), ('household', 'its name is in households, its head is another member'),
	('rollup_month', 'his entries say it'), ('rollup_member', 'his entries say it'), ('forgotten', 'nobody who is exported is forgotten'), ('forgotten_purchase', 'nobody who is exported is forgotten');
SELECT DISTINCT c.relname AS not_exported
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'loyalty'::regnamespace AND c.relkind = 'r'
	AND (a.attname ~ '(^|_)(member|redeemer)_ids?$' OR a.attname ~ '^refs?$')
	AND c.relname NOT IN (SELECT name FROM exported) ORDER BY 1;
CREATE FUNCTION pg_temp.rows(name text, condition text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM loyalty.%I t WHERE %s', name, coalesce(condition, 'member_id IN (SELECT member_id FROM person)')) INTO n;
	RETURN n;
END $$;
SELECT name, key, pg_temp.rows(name, rows) AS rows, jsonb_array_length(:'exported'::jsonb -> key) AS exported
FROM exported WHERE key IS NOT NULL AND pg_temp.rows(name, rows) <> jsonb_array_length(:'exported'::jsonb -> key);
SELECT name AS empty FROM exported WHERE key IS NOT NULL AND pg_temp.rows(name, rows) = 0;

-- What is in it
SELECT :'exported'::jsonb -> 'refs' AS refs, :'exported'::jsonb -> 'has_referred' AS has_referred, :'exported'::jsonb -> 'program' AS program;
SELECT (:'exported'::jsonb -> 'member') - '{member_id,head,last_activity,hold_until,tier_since,enrolled_at,next_expiry}'::text[] AS member;
SELECT :'exported'::jsonb -> 'balance' AS balance;
SELECT e ->> 'ledger' AS ledger, e ->> 'seq' AS seq, e ->> 'kind' AS kind, e ->> 'points' AS points, e ->> 'rule' AS rule, e ->> 'source' AS source,
	e ->> 'source_key' AS key, e ->> 'note' AS note, nullif(e -> 'context', 'null') - 'last_activity'::text AS context
FROM jsonb_array_elements(:'exported'::jsonb -> 'entries') e;
SELECT jsonb_agg(DISTINCT k ORDER BY k) FROM jsonb_array_elements(:'exported'::jsonb -> 'vouchers') v, jsonb_object_keys(v) k;
SELECT v - '{until,made_at}'::text[] AS hold FROM jsonb_array_elements(:'exported'::jsonb -> 'holds') v;
SELECT v - '{recorded_at,at,role}'::text[] AS consent FROM jsonb_array_elements(:'exported'::jsonb -> 'consents') v;
SELECT v - '{recorded_at,role}'::text[] AS feedback FROM jsonb_array_elements(:'exported'::jsonb -> 'feedback') v;
SELECT v - '{merged_at,undone_at}'::text[] AS merge FROM jsonb_array_elements(:'exported'::jsonb -> 'merges') v;
SELECT v - '{joined_at}'::text[] AS household FROM jsonb_array_elements(:'exported'::jsonb -> 'households') v;
SELECT v ->> 'reason' AS reason, v ->> 'note' AS note FROM jsonb_array_elements(:'exported'::jsonb -> 'tier_changes') v;

-- Nothing of others: neither what they are called nor their numbers, nor what would let a voucher be used
SELECT r AS says FROM unnest(ARRAY['friend', 'guest', 'Friend', loyalty.find_member('friend')::text, loyalty.find_member('guest')::text,
	:'code'] || ARRAY(SELECT encode(hash, 'hex') FROM loyalty.voucher)) r
WHERE replace(:'exported', 'a friend', '') ~ r;

-- Chained as they are hashed: the last hash is the member's head
SELECT :'exported'::jsonb -> 'member' ->> 'head' = (SELECT e ->> 'hash' FROM jsonb_array_elements(:'exported'::jsonb -> 'entries') e
	WHERE e ->> 'ledger' = 'ann' ORDER BY (e ->> 'seq')::bigint DESC LIMIT 1) AS same_head;

-- By any of his refs, and by number; nobody, another program
SELECT (loyalty.export_member('card 2 of ann') - 'exported_at'::text - 'balance'::text) = (:'exported'::jsonb - 'exported_at'::text - 'balance'::text) AS same;
SELECT loyalty.enroll(42) IS NOT NULL AS enrolled;
SELECT loyalty.export_member(42) -> 'refs' AS refs, loyalty.export_member(42) -> 'entries' AS entries;
SELECT loyalty.export_member('nobody');
SELECT loyalty.export_member('ann', program => 'export_other');
SELECT loyalty.export_member(NULL::text);

-- Who sees persons may, and he himself; who only reads may not
CREATE ROLE regress_loyalty_export_reader;
CREATE ROLE regress_loyalty_export_clerk;
CREATE ROLE regress_loyalty_export_app;
SELECT loyalty.grant_access('regress_loyalty_export_reader', 'read', 'export'),
	loyalty.grant_access('regress_loyalty_export_clerk', 'operate', 'export'),
	loyalty.grant_access('regress_loyalty_export_app', 'member', 'export');
SET ROLE regress_loyalty_export_reader;
SELECT loyalty.export_member('ann') IS NOT NULL;
SET ROLE regress_loyalty_export_clerk;
SELECT loyalty.export_member('ann') - 'exported_at'::text = :'exported'::jsonb - 'exported_at'::text AS same;
SELECT loyalty.export_member('ann', program => 'export_other');
SET ROLE regress_loyalty_export_app;
SELECT loyalty.export_member('ann') IS NOT NULL;
SET loyalty.member_ref = 'ann';
SELECT loyalty.export_member('ann') - 'exported_at'::text = :'exported'::jsonb - 'exported_at'::text AS same;
SELECT loyalty.export_member('friend') IS NOT NULL;
RESET ROLE;
RESET loyalty.member_ref;
-- it only reads
BEGIN READ ONLY;
SELECT loyalty.export_member('ann') IS NOT NULL AS exported;
COMMIT;
SELECT loyalty.revoke_access('regress_loyalty_export_reader', 'read', 'export'),
	loyalty.revoke_access('regress_loyalty_export_clerk', 'operate', 'export'),
	loyalty.revoke_access('regress_loyalty_export_app', 'member', 'export');
DROP ROLE regress_loyalty_export_reader, regress_loyalty_export_clerk, regress_loyalty_export_app;
SELECT loyalty.detach('export_lines'), loyalty.detach('export_order');
DROP TABLE export_order, export_line;
-- nothing for other tests to find
SET client_min_messages = error;
DROP EXTENSION loyalty CASCADE;
CREATE EXTENSION loyalty;
