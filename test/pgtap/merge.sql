-- merge: whatever members are merged and parted meanwhile, every purchase stands for what its row gives, and nothing is lost.
-- The seed is printed; psql -v seed=0.25 -f test/pgtap/merge.sql repeats one.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
SET search_path = public;
SET timezone = 'UTC';
SET client_min_messages = error;
SELECT no_plan();
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

-- One table and one query over two tables, four ways to take back, tiers in windows of their own, limits and pending points.
INSERT INTO loyalty.program (name, clawback, expiry, pending, tier_window, tier_validity)
VALUES ('none', 'none', '90 days', '5 days', 'rolling 60 days', NULL), ('pending', 'pending', '90 days', '10 days', 'calendar year', 'end of year'),
	('available', 'available', 'inactive 3 months', '0', 'lifetime', NULL), ('debt', 'debt', 'never', '0', 'rolling 90 days', '60 days');
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 2' FROM loyalty.program;
INSERT INTO loyalty.rule (program, name, award, member_cap, cap_period) SELECT name, 'capped', '3', 9, 'month' FROM loyalty.program;
INSERT INTO loyalty.tier (program, name, rank, min_amount) SELECT p.name, t.name, t.rank, t.least
FROM loyalty.program p, (VALUES ('base', 0, 0), ('silver', 1, 150), ('gold', 2, 400)) t (name, rank, least);
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, paid boolean, at timestamptz);
CREATE TABLE sale (id int PRIMARY KEY, member text, at timestamptz);
CREATE TABLE sale_line (sale int, line int, amount numeric, PRIMARY KEY (sale, line));
SELECT loyalty.attach('orders', member => 'member', amount => 'amount', at => 'at', counts => 'paid', program => name),
	loyalty.attach_query('sales ' || name, 'SELECT s.id::text AS key, s.member, s.at, l.amount FROM public.sale s JOIN public.sale_line l ON l.sale = s.id',
						 '{public.sale.id,public.sale_line.sale}', program => name)
FROM loyalty.program \g /dev/null

CREATE FUNCTION someone() RETURNS text VOLATILE LANGUAGE sql AS $$ SELECT 'm' || 1 + floor(random() * 8)::int $$;
CREATE FUNCTION sometime() RETURNS timestamptz VOLATILE LANGUAGE sql AS $$ SELECT now() - random() * interval '120 days' $$;
-- One thing of chance; what is refused is refused.
CREATE FUNCTION step() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	what float := random();
	place text;
BEGIN
	SELECT name INTO place FROM loyalty.program ORDER BY random() LIMIT 1;
	IF what < 0.25 THEN
		INSERT INTO orders SELECT 1 + floor(random() * 120)::int, someone(), floor(random() * 120)::numeric, random() < 0.8, sometime() FROM generate_series(1, 1 + (random() * 3)::int) ON CONFLICT DO NOTHING;
	ELSIF what < 0.35 THEN
		UPDATE orders SET amount = amount * round(random()::numeric, 1), paid = random() < 0.8 WHERE random() < 0.15;
	ELSIF what < 0.40 THEN
		UPDATE orders SET member = someone() WHERE random() < 0.1;
	ELSIF what < 0.43 THEN
		DELETE FROM orders WHERE random() < 0.1;
	ELSIF what < 0.50 THEN
		INSERT INTO sale VALUES (1 + floor(random() * 60)::int, someone(), sometime()) ON CONFLICT DO NOTHING;
		INSERT INTO sale_line SELECT id, 1 + floor(random() * 3)::int, floor(random() * 60) FROM sale WHERE random() < 0.2 ON CONFLICT DO NOTHING;
	ELSIF what < 0.55 THEN
		UPDATE sale_line SET amount = floor(random() * 60) WHERE random() < 0.2;
		DELETE FROM sale_line WHERE random() < 0.1;
	ELSIF what < 0.65 THEN
		PERFORM loyalty.spend(m, ceil(available::numeric * random()::numeric), program => place) FROM someone() m, loyalty.balance(m, program => place) WHERE available::numeric > 0;
	ELSIF what < 0.70 THEN
		PERFORM loyalty.transfer(someone(), someone(), 1 + floor(random() * 30)::numeric, program => place);
	ELSIF what < 0.74 THEN
		PERFORM loyalty.record(someone(), 'purchase', floor(random() * 50)::numeric, at => sometime(), program => place);
	ELSIF what < 0.78 THEN
		PERFORM loyalty.adjust(someone(), floor(random() * 50)::numeric - 20, program => place);
	ELSIF what < 0.90 THEN
		PERFORM loyalty.merge_members(someone(), someone(), program => place);
	ELSE
		-- seldom somebody who is not merged
		PERFORM loyalty.unmerge_members(coalesce((SELECT ref FROM loyalty.member_merge JOIN loyalty.program USING (program_id)
				WHERE name = place AND undone_at IS NULL AND random() < 0.8 ORDER BY random() LIMIT 1), someone()), partial => random() < 0.5, program => place);
	END IF;
	RETURN format('%s', round(what::numeric, 2));
EXCEPTION WHEN SQLSTATE 'LY001' OR SQLSTATE 'LY002' OR SQLSTATE 'LY027' OR SQLSTATE '22023' THEN
	RETURN SQLSTATE;
END $$;
-- Points that were earned, and not taken back: what all members have done since the first day.
CREATE VIEW lifetimes AS SELECT p.name, (SELECT sum(m.lifetime)::numeric FROM loyalty.member m WHERE m.program_id = p.program_id) AS of_members,
	(SELECT sum(e.points)::numeric FROM loyalty.entry e WHERE e.program_id = p.program_id AND e.kind IN ('earn', 'clawback')) AS of_entries FROM loyalty.program p;

CREATE TABLE done (n int, what text);
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound in the beginning');
DO $$
DECLARE
	wrong text;
BEGIN
	FOR turn IN 1..300 LOOP
		INSERT INTO done VALUES (turn, step());
		IF turn % 10 = 0 THEN
			SELECT string_agg(v::text, E'\n') INTO wrong FROM loyalty.verify() v;
			IF wrong IS NOT NULL THEN
				RAISE EXCEPTION 'after step % (%): %', turn, (SELECT string_agg(what, ' ' ORDER BY d.n) FROM done d WHERE d.n > turn - 10), wrong;
			END IF;
		END IF;
		IF turn % 100 = 0 THEN
			COMMIT;
			CALL loyalty.maintain();
		END IF;
	END LOOP;
END $$;
SELECT pass('sound after each ten steps');
SELECT is_empty('SELECT * FROM lifetimes WHERE of_members <> of_entries', 'lifetime points are those of all entries');
SELECT is_empty($$SELECT * FROM loyalty.member WHERE status = 'merged' AND (purse::text <> '{}' OR lifetime::numeric <> 0)$$, 'who is merged has nothing');
SELECT cmp_ok((SELECT count(*) FROM loyalty.member_merge), '>', 5::bigint, 'members were merged');
SELECT cmp_ok((SELECT count(*) FROM loyalty.member_merge WHERE undone_at IS NOT NULL), '>', 1::bigint, 'and parted');
SELECT cmp_ok((SELECT count(*) FROM loyalty.entry WHERE source_key ~ '^pass#'), '>', 5::bigint, 'and orders from before have changed');
-- reconciling once more changes nothing
CREATE TABLE before AS SELECT member_id, seq, purse::text FROM loyalty.member;
UPDATE orders SET amount = amount;
CALL loyalty.backfill('orders');
SELECT results_eq('SELECT * FROM before ORDER BY 1', 'SELECT member_id, seq, purse::text FROM loyalty.member ORDER BY 1', 'all is as it should be');
-- all that was bought is returned: what is left was given otherwise, or could not be taken back
DELETE FROM orders;
DELETE FROM sale_line;
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound in the end');
SELECT * FROM finish();
