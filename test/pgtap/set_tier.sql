-- set_tier: floors beside tiers that are reached, against a model in plain SQL, now and as history tells it
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = iso;
SET LOCAL client_min_messages = warning;
SELECT no_plan();

INSERT INTO loyalty.program (name) VALUES ('beans');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES
	('beans', 'base', 0, 0), ('beans', 'silver', 1, 1000), ('beans', 'gold', 2, 2500), ('beans', 'black', 3, 6000);
CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, total numeric NOT NULL, at timestamptz NOT NULL);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at') \g /dev/null
SELECT loyalty.enroll('m' || n, at => '2023-01-01') FROM generate_series(0, 4) n \g /dev/null
CREATE TABLE model (member text PRIMARY KEY, spent numeric NOT NULL DEFAULT 0, floor int, until date);
INSERT INTO model SELECT 'm' || n FROM generate_series(0, 4) n;
CREATE TABLE expected (step int, member text, at timestamptz, tier text);
CREATE TABLE mismatch (step int, member text, is_now text, should_be text);

-- Lifetime windows: nobody's own tier falls, so all that falls are floors
DO $$
DECLARE
	clock timestamptz := '2023-01-01 00:00Z';
	who text;
	given int;
	last date;
BEGIN
	PERFORM setseed(0.815);
	FOR step IN 1..600 LOOP
		clock := clock + random() * interval '40 hours';
		who := 'm' || floor(random() * 5)::int;
		CASE floor(random() * 3)::int
		WHEN 0 THEN
			given := floor(random() * 150);
			INSERT INTO orders VALUES (step, who, given, clock);
			UPDATE model SET spent = spent + given WHERE member = who;
		WHEN 1 THEN
			given := floor(random() * 5)::int - 1;
			last := CASE WHEN given >= 0 AND random() < 0.7 THEN clock::date + floor(random() * 40)::int END;
			PERFORM loyalty.set_tier(who, (ARRAY['base', 'silver', 'gold', 'black'])[given + 1], last, 'step ' || step, step::text, clock);
			UPDATE model SET floor = nullif(given, -1), until = last WHERE member = who;
		ELSE
			CALL loyalty.maintain(clock, batch_size => 100000);
			UPDATE model SET floor = NULL, until = NULL WHERE until < clock::date;
		END CASE;
		INSERT INTO expected
		SELECT step, model.member, clock, (ARRAY['base', 'silver', 'gold', 'black'])[1 +
			greatest(CASE WHEN spent >= 6000 THEN 3 WHEN spent >= 2500 THEN 2 WHEN spent >= 1000 THEN 1 ELSE 0 END, floor)]
		FROM model;
		INSERT INTO mismatch
		SELECT e.step, e.member, m.tier, e.tier
		FROM expected e JOIN loyalty.member m ON m.ref = e.member WHERE e.at = clock AND m.tier IS DISTINCT FROM e.tier;
	END LOOP;
END $$;
SELECT is_empty('SELECT * FROM mismatch', 'at each step everybody has the higher of his own tier and his floor');
SELECT is_empty($$SELECT e.*, b.tier FROM expected e, loyalty.balance(member, at) b WHERE b.tier <> e.tier$$, 'and history tells the same of each step');
SELECT cmp_ok((SELECT count(DISTINCT tier) FROM expected), '=', 4::bigint, 'all tiers were there');
SELECT cmp_ok((SELECT count(*) FROM loyalty.tier_change WHERE reason = 'floor ended'), '>', 20::bigint, 'floors have ended');
SELECT is_empty($$SELECT * FROM loyalty.entry e LEFT JOIN loyalty.tier_change c ON c.member_id = e.member_id AND c.seq = e.seq AND c.reason = 'manual' AND c.note = e.note AND c.at = e.occurred_at
	WHERE source_key LIKE 'tier:%' AND c.member_id IS NULL$$, 'each act has its change');
SELECT is_empty($$SELECT member_id FROM loyalty.tier_change GROUP BY member_id HAVING max(change_no) <> count(*)$$, 'changes are numbered without gaps');
SELECT is_empty($$SELECT m.ref FROM loyalty.member m WHERE tier_floor_until < next_expiry$$, 'no review comes after the end of a floor');
SELECT is((SELECT count(*) FROM loyalty.verify()), 0::bigint, 'all of it is sound');

-- Each act again: the same answers, and nothing is written
CREATE TABLE before AS SELECT count(*) FROM loyalty.entry;
SELECT is_empty($$SELECT e.seq, r.* FROM loyalty.entry e JOIN loyalty.member m USING (member_id),
	loyalty.set_tier(m.ref, e.context ->> 'tier', (e.context ->> 'until')::date, e.note, substr(e.source_key, 6), e.occurred_at) r
	WHERE source_key LIKE 'tier:%' AND (NOT r.repeated OR r.entry <> e.seq)$$, 'every key is remembered');
SELECT is((SELECT count(*) FROM loyalty.entry), (SELECT count FROM before), 'nothing was written');

SELECT * FROM finish();
ROLLBACK;
