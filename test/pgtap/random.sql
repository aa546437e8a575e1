-- A property: whatever happens to the rows, in whatever statements, each purchase ends with what its row gives.
-- The seed is printed; psql -v seed=0.25 -f test/pgtap/random.sql repeats one.
SET search_path = public, loyalty;
SELECT no_plan();
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);

INSERT INTO program (name, points_scale, rounding) VALUES ('shop', 1, 'half_even');
INSERT INTO rule (program, name, award) VALUES ('shop', 'per', '1 per 3'), ('shop', 'percent', '2.5%'), ('shop', 'item', '1.25 each');
CREATE TABLE orders (id int PRIMARY KEY, member int, amount numeric, quantity int, status text, at timestamptz);
SELECT attach('orders', member => 'member', amount => 'amount', quantity => 'quantity', at => 'at', counts => $$status IN ('paid', 'sent')$$, program => 'shop');
-- Beside it, programs that spend, wait, forget and take back in every way; of them only soundness is asked.
INSERT INTO program (name, clawback, expiry, pending, rounding) SELECT p, p, '90 days', '10 days', 'up' FROM unnest('{none,pending,available,debt}'::text[]) p;
INSERT INTO rule (program, name, award, expiry, pending) SELECT name, 'per', '1 per 2'::award, NULL::expiry, NULL::interval FROM program WHERE name <> 'shop'
	UNION ALL SELECT name, 'now', '10%', 'never', '0 days' FROM program WHERE name <> 'shop';
SELECT count(attach('orders', member => 'member', amount => 'amount', at => 'at', counts => $$status IN ('paid', 'sent')$$, program => name))
FROM program WHERE name <> 'shop';

-- What contradicts itself in the ledger; nothing, if all is well.
CREATE FUNCTION unsound() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT format('%s: purse %s, entries %s', m.ref, m.purse, e.lots) FROM loyalty.member m
		LEFT JOIN (SELECT member_id, loyalty.sum(lots) AS lots FROM loyalty.entry GROUP BY member_id) e USING (member_id)
		WHERE m.purse OPERATOR(loyalty.<>) coalesce(e.lots, '{}');
	IF to_regproc('loyalty.verify') IS NOT NULL THEN
		RETURN QUERY EXECUTE 'SELECT v::text FROM loyalty.verify() v';
	END IF;
END $$;
-- What the rows should have earned, and what they have.
CREATE VIEW should AS
	SELECT id::text AS key, member::text AS ref, sign * (floor(x) + CASE WHEN x - floor(x) > 0.5 OR x - floor(x) = 0.5 AND floor(x) % 2 = 1 THEN 1 ELSE 0 END) / 10 AS points
	FROM (SELECT id, member, CASE WHEN amount < 0 THEN -1 ELSE 1 END AS sign,
				 -- Tenths; the sum over 120 is exact, and a half is never met by accident.
				 trunc((abs(amount) * 43 + 150 * coalesce(quantity, 1)) / 12, 30) AS x
		  FROM orders WHERE member IS NOT NULL AND amount IS NOT NULL AND status IN ('paid', 'sent')) o;
CREATE VIEW given AS
	SELECT source_key AS key, m.ref, sum(e.points)::numeric AS points FROM entry e JOIN member m USING (member_id)
	WHERE e.program_id = (SELECT program_id FROM program WHERE name = 'shop') GROUP BY 1, 2;
CREATE FUNCTION wrong() RETURNS TABLE (key text, ref text, should numeric, given numeric) LANGUAGE sql AS $$
	SELECT key, ref, coalesce(s.points, 0), coalesce(g.points, 0) FROM should s FULL JOIN given g USING (key, ref)
	WHERE coalesce(s.points, 0) <> coalesce(g.points, 0) $$;

-- Rows of chance: seven members and guests, every state, refunds, at any time of the last year.
CREATE FUNCTION new_rows(n int) RETURNS SETOF orders VOLATILE LANGUAGE sql AS $$
	SELECT DISTINCT ON (id) * FROM (SELECT (random() * 400)::int AS id, nullif((random() * 7)::int, 0),
		   CASE WHEN random() < 0.95 THEN round((random() * 120 - 20)::numeric, (random() * 3)::int) END, nullif((random() * 4)::int, 4),
		   (ARRAY['open', 'paid', 'paid', 'sent', 'void', NULL])[1 + (random() * 5)::int], now() - random() * interval '365 days'
		   FROM generate_series(1, n)) r $$;
-- One statement of chance.
CREATE FUNCTION step() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	low int := random() * 400;
	high int := low + random() ^ 3 * 120;
BEGIN
	IF random() < 0.2 THEN
		PERFORM adjust(m.ref, -ceil(b.available / 2.0), program => p.name) FROM member m JOIN program p USING (program_id), balance(m.ref, program => p.name) b
		WHERE p.name <> 'shop' AND b.available > 0 AND random() < 0.3;
	END IF;
	CASE (random() * 10)::int
	WHEN 0, 1 THEN INSERT INTO orders SELECT * FROM new_rows(1 + (random() ^ 4 * 200)::int) ON CONFLICT DO NOTHING;
	WHEN 2 THEN INSERT INTO orders SELECT * FROM new_rows(1 + (random() ^ 4 * 200)::int)
		ON CONFLICT (id) DO UPDATE SET (member, amount, status) = (excluded.member, excluded.amount, excluded.status);
	WHEN 3 THEN UPDATE orders SET amount = round(amount * random()::numeric, 2) WHERE id BETWEEN low AND high;
	WHEN 4 THEN UPDATE orders SET amount = round((random() * 130 - 20)::numeric, 2), quantity = (random() * 3)::int WHERE id BETWEEN low AND high;
	WHEN 5 THEN UPDATE orders SET status = (ARRAY['open', 'paid', 'sent', 'void', NULL])[1 + (random() * 4)::int] WHERE id BETWEEN low AND high;
	WHEN 6 THEN UPDATE orders SET member = nullif((member + 1) % 8, (random() * 40)::int) WHERE id BETWEEN low AND high;
	WHEN 7 THEN UPDATE orders SET id = id + 1000 WHERE id BETWEEN low AND high;
		UPDATE orders SET id = (SELECT min(i) FROM generate_series(0, 999) i WHERE NOT EXISTS (SELECT FROM orders WHERE id = i)) WHERE id =
			(SELECT min(id) FROM orders WHERE id >= 1000);
		DELETE FROM orders WHERE id >= 1000;
	WHEN 8 THEN DELETE FROM orders WHERE id BETWEEN low AND low + (high - low) / 4;
	WHEN 9 THEN UPDATE orders SET at = at + interval '1 day', amount = amount WHERE id BETWEEN low AND high;
	ELSE MERGE INTO orders o USING (SELECT * FROM new_rows(20)) n ON o.id = n.id
		WHEN MATCHED AND n.status = 'void' THEN DELETE
		WHEN MATCHED THEN UPDATE SET amount = n.amount, member = n.member
		WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.member, n.amount, n.quantity, n.status, n.at);
	END CASE;
END $$;

-- one statement a transaction, many in one, and some in savepoints that are rolled back
DO $$ BEGIN FOR i IN 1..400 LOOP PERFORM step(); COMMIT; END LOOP; END $$;
SELECT is_empty('SELECT * FROM wrong()', 'after 400 transactions');
DO $$ BEGIN FOR i IN 1..400 LOOP PERFORM step(); END LOOP; END $$;
SELECT is_empty('SELECT * FROM wrong()', 'after 400 statements in one transaction');
DO $$ BEGIN
	FOR i IN 1..400 LOOP
		BEGIN
			PERFORM step();
			IF random() < 0.3 THEN RAISE SQLSTATE 'UUUUU'; END IF;
		EXCEPTION WHEN SQLSTATE 'UUUUU' THEN NULL;
		END;
		IF i % 20 = 0 THEN COMMIT; END IF;
	END LOOP;
END $$;
SELECT is_empty('SELECT * FROM wrong()', 'after 400 statements, some of them rolled back');
SELECT is(count(*), 0::bigint, 'nothing was deferred') FROM deferred;
SELECT cmp_ok(count(*), '>', 3000::bigint, 'thousands of entries') FROM entry;

-- members: purse = sum of lots = sum over purchases
SELECT is_empty($$SELECT * FROM (SELECT m.ref, total(m.purse)::numeric AS purse, m.lifetime::numeric, (b.available + b.pending - b.debt)::numeric AS balance,
	(SELECT coalesce(sum(points), 0) FROM given g WHERE g.ref = m.ref) AS given, (SELECT coalesce(sum(points), 0) FROM should s WHERE s.ref = m.ref) AS should
	FROM member m JOIN program p USING (program_id), balance(m.ref, program => 'shop') b WHERE p.name = 'shop') x WHERE purse <> given OR given <> should OR lifetime <> should OR balance <> should$$,
	'each member has what his purchases give');
SELECT is_empty($$SELECT p.name, m.ref, b.debt FROM member m JOIN program p USING (program_id), balance(m.ref, program => p.name) b
	WHERE b.debt > 0 AND p.name NOT IN ('shop', 'debt')$$, 'only a program that owns to it lets members into debt');
SELECT is_empty('SELECT * FROM unsound()', 'every purse is the sum of its entries, and nothing contradicts itself');
DELETE FROM orders;
SELECT is(count(*), 0::bigint, 'and without them nothing') FROM member JOIN program p USING (program_id) WHERE p.name = 'shop' AND total(purse) <> 0;

SELECT is_empty('SELECT * FROM unsound()', 'every purse is the sum of its entries, and nothing contradicts itself');
SELECT * FROM finish();
