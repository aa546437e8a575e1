--
-- entry: the ledger is append-only, and every entry is tied to the one before
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
INSERT INTO loyalty.program (name, points_scale, expiry) VALUES ('entry_a', 2, '100 years');
INSERT INTO loyalty.rule (program, name, award, priority) VALUES ('entry_a', 'percent', '5%', 2), ('entry_a', 'bonus', '10', 1);
INSERT INTO loyalty.rule (program, name, award, pending) VALUES ('entry_a', 'later', '1 per 100', '30 days');
SET loyalty.program = 'entry_a';
CREATE TABLE entry_order (id text PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('entry_order', member => 'customer', amount => 'total', at => 'at') > 0 AS attached;

-- What a purchase leaves: an entry a rule, its amount on the first; then what changes
INSERT INTO entry_order VALUES ('A-1', 'ann', 123.45, '2024-01-15 08:00Z'), ('B é', 'ben', 100, '2999-01-15 08:00Z');
SELECT e.seq, e.kind, e.points, e.lots, e.amount, r.name AS rule, e.source_key, e.revision, e.occurred_at
FROM loyalty.entry e LEFT JOIN loyalty.rule r USING (rule_id) WHERE e.member_id = loyalty.find_member('ann') ORDER BY e.seq;
SELECT loyalty.adjust('ann', -8, reason => 'a mug — blue ☕') IS NOT NULL AS taken;
UPDATE entry_order SET total = 23.45 WHERE id = 'A-1';
UPDATE entry_order SET total = total WHERE id = 'A-1';
SELECT e.seq, e.kind, e.points, e.lots, e.amount, r.name AS rule, e.source_key, e.revision, e.occurred_at = e.posted_at AS now
FROM loyalty.entry e LEFT JOIN loyalty.rule r USING (rule_id) WHERE e.member_id = loyalty.find_member('ann') AND e.seq > 3 ORDER BY e.seq;
-- more of it: expiry, a debt, a member who earns nothing, decimals
SELECT loyalty.adjust('ann', 0.0007, at => '2024-01-20 00:00Z', expires => '2024-02-29', key => 'clé') IS NOT NULL AS given;
SELECT loyalty.adjust('ben', 1000000000.5, expires => 'infinity', reason => '') IS NOT NULL AS given, loyalty.adjust('ben', 3, expires => '1999-12-31', at => '1999-06-01 00:00Z') IS NOT NULL AS before_2000;
DELETE FROM entry_order WHERE id = 'A-1';
SELECT loyalty.enroll('eve') IS NOT NULL AS enrolled, loyalty.set_member('eve', status => 'suspended');
INSERT INTO entry_order VALUES ('C-1', 'eve', 0.00, '2024-02-01 00:00Z'), ('C-2', 'eve', -5.5, '2024-02-01 00:00Z');
SELECT seq, kind, points, rule_id, amount, context, source_key FROM loyalty.entry WHERE member_id = loyalty.find_member('eve') ORDER BY seq;

-- Append-only, for everybody
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$UPDATE loyalty.entry SET points = 0$$, $$UPDATE loyalty.entry SET note = NULL WHERE false$$, $$DELETE FROM loyalty.entry$$,
	$$DELETE FROM loyalty.entry WHERE member_id = -1$$, $$TRUNCATE loyalty.entry$$, $$TRUNCATE loyalty.entry, loyalty.member$$]) AS command;
-- and the same award twice is impossible
SELECT split_part(pg_temp.try($$INSERT INTO loyalty.entry SELECT * FROM loyalty.entry WHERE member_id = loyalty.find_member('ann') AND seq = 1$$), E'\n', 1);

CREATE TEMPORARY VIEW mine AS SELECT e.* FROM loyalty.entry e JOIN loyalty.program p USING (program_id) WHERE p.name = 'entry_a';
-- entry.points is the total of its lots, and the entries add up to the member
SELECT count(*) AS wrong_totals FROM mine WHERE points::numeric <> loyalty.total(lots)::numeric;
SELECT m.ref, m.purse OPERATOR(loyalty.=) loyalty.sum(e.lots) AS purse, m.seq = count(*) AND min(e.seq) = 1 AND max(e.seq) = count(*) AS gapless
FROM loyalty.member m JOIN mine e USING (member_id)
GROUP BY m.member_id, m.ref, m.seq ORDER BY m.ref;

-- The hash chain, recomputed from the canonical bytes
CREATE FUNCTION pg_temp.bytes(value bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT coalesce(int8send(length($1)) || $1, int8send(-1)) $$;
CREATE FUNCTION pg_temp.micros(at timestamptz) RETURNS bytea LANGUAGE sql AS $$ SELECT int8send(((extract(epoch FROM $1) - 946684800) * 1000000)::bigint) $$;
CREATE TEMPORARY VIEW chain AS
	SELECT member_id, seq, hash, kind, sha256(coalesce(lag(hash) OVER (PARTITION BY member_id ORDER BY seq), '')
		|| int8send(member_id) || int8send(seq) || int8send((points::numeric * 10000)::bigint) || pg_temp.micros(occurred_at) || pg_temp.micros(posted_at)
		|| int8send(program_id) || int8send(rule_id) || int8send(source_id) || int8send(revision) || int8send(rule_horizon)
		|| pg_temp.bytes(convert_to(kind, 'UTF8')) || pg_temp.bytes(convert_to(source_key, 'UTF8')) || pg_temp.bytes(loyalty.purse_send(lots))
		|| pg_temp.bytes(convert_to(amount::text, 'UTF8')) || pg_temp.bytes(sha256(convert_to(context::text, 'UTF8'))) || pg_temp.bytes(sha256(convert_to(note, 'UTF8')))) AS computed
	FROM mine;
SELECT kind, count(*) FILTER (WHERE hash = computed) AS sound, count(*) FILTER (WHERE hash IS DISTINCT FROM computed) AS broken FROM chain GROUP BY kind ORDER BY kind;
SELECT count(*) AS wrong_heads FROM loyalty.member m WHERE m.program_id IN (SELECT program_id FROM mine)
	AND m.head <> (SELECT hash FROM mine e WHERE e.member_id = m.member_id ORDER BY seq DESC LIMIT 1);
-- whoever gets round the guard cannot get round the chain
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE loyalty.entry SET points = points::numeric + 1 WHERE member_id = loyalty.find_member('ann') AND seq = 2;
UPDATE loyalty.entry SET note = 'a mug — red ☕' WHERE member_id = loyalty.find_member('ann') AND note ~ 'blue';
SELECT seq FROM chain WHERE hash <> computed AND member_id = loyalty.find_member('ann') ORDER BY seq;
ROLLBACK;
SELECT loyalty.detach('entry_order');
DROP TABLE entry_order;
