-- merge_forget: merged, parted and forgotten in any order, and orders that change hands before and after: every purchase stands for what its row gives.
-- The seed is printed; psql -v seed=0.25 -f test/pgtap/merge_forget.sql repeats one.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
SET search_path = public;
SET client_min_messages = error;
SELECT no_plan();
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

INSERT INTO loyalty.program (name) VALUES ('table'), ('query');
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program;
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric, paid boolean NOT NULL DEFAULT true, at timestamptz NOT NULL DEFAULT now());
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', counts => 'paid', program => 'table') \g /dev/null
SELECT loyalty.attach_query('orders read', 'SELECT id::text AS key, customer AS member, at, total AS amount, paid AS counts FROM public.orders',
	'{public.orders.id}', program => 'query') \g /dev/null
-- Order 1 is a's, order 2 is b's.
CREATE TABLE act (name text PRIMARY KEY, kind text NOT NULL, sql text NOT NULL);
INSERT INTO act VALUES
	('merge', 'people', $$SELECT loyalty.merge_members('a', 'b', program => name) FROM loyalty.program$$),
	('merge back', 'people', $$SELECT loyalty.merge_members('b', 'a', program => name) FROM loyalty.program$$),
	('part', 'people', $$SELECT loyalty.unmerge_members('a', program => name) FROM loyalty.program$$),
	('part back', 'people', $$SELECT loyalty.unmerge_members('b', program => name) FROM loyalty.program$$),
	('forget a', 'people', $$SELECT loyalty.forget_member('a', program => name) FROM loyalty.program$$),
	('forget b', 'people', $$SELECT loyalty.forget_member('b', program => name) FROM loyalty.program$$);
INSERT INTO act SELECT format(t.name, o.id), 'order', format(t.sql, o.id) FROM generate_series(1, 2) o (id),
	(VALUES ('%s to a', $$UPDATE orders SET customer = 'a' WHERE id = %s$$), ('%s to b', $$UPDATE orders SET customer = 'b' WHERE id = %s$$),
		('%s to c', $$UPDATE orders SET customer = 'c' WHERE id = %s$$), ('%s to nobody', $$UPDATE orders SET customer = NULL WHERE id = %s$$),
		('%s up', $$UPDATE orders SET total = total + 5 WHERE id = %s$$), ('%s off', $$UPDATE orders SET paid = false WHERE id = %s$$),
		('%s on', $$UPDATE orders SET paid = true WHERE id = %s$$), ('%s again', $$UPDATE orders SET paid = paid WHERE id = %s$$),
		('%s gone', $$DELETE FROM orders WHERE id = %s$$)) t (name, sql);

-- What is wrong after the acts; what is refused is refused, and nothing stays.
CREATE FUNCTION wrong_after(steps text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	step text;
	seqs text;
BEGIN
	INSERT INTO orders VALUES (1, 'a', 10), (2, 'b', 20);
	FOREACH step IN ARRAY steps LOOP
		BEGIN
			EXECUTE (SELECT sql FROM act WHERE name = step);
		EXCEPTION WHEN OTHERS THEN
			IF SQLSTATE NOT LIKE 'LY%' AND SQLSTATE <> '22023' THEN
				RAISE;
			END IF;
		END;
	END LOOP;
	RETURN QUERY SELECT format('%s: %s', steps, v) FROM loyalty.verify() v;
	SELECT string_agg(seq::text, ' ' ORDER BY member_id) INTO seqs FROM loyalty.member;
	UPDATE orders SET total = total, at = at;
	IF seqs IS DISTINCT FROM (SELECT string_agg(seq::text, ' ' ORDER BY member_id) FROM loyalty.member) THEN
		RETURN NEXT format('%s: to write the orders as they are changes something', steps);
	END IF;
	RAISE USING ERRCODE = 'U0001';
EXCEPTION WHEN SQLSTATE 'U0001' THEN
	RETURN;
END $$;

-- Who was parted from one who is forgotten since, and his order comes to that one: it left his ledger for good.
SELECT is_empty(format('SELECT wrong_after(%L)', steps), steps::text)
FROM (SELECT twice || ARRAY[person, move] || later AS steps
	FROM (VALUES ('{merge,part}'::text[]), ('{merge,part,merge,part}')) t (twice),
		(VALUES ('forget a', '2 to a'), ('forget b', '1 to b'), ('forget a', '1 to b'), ('forget b', '2 to a')) m (person, move),
		(VALUES ('{}'::text[]), ('{1 up,2 up}'), ('{1 off,2 off,1 on,2 on}'), ('{1 to a,2 to b}'), ('{1 to c,2 to c,1 up}'), ('{1 gone,2 gone}')) l (later)) s;
SELECT is_empty(format('SELECT wrong_after(%L)', steps), steps::text)
FROM (VALUES ('{1 to b,merge,part,forget b,1 to a}'::text[]), ('{merge,1 to b,part,forget a,1 to a}'), ('{forget b,1 to b,1 up}'),
	('{merge,part,forget b,1 gone}'), ('{merge,part,forget a,1 gone,2 gone}'), ('{merge,forget b,1 to a,2 to c}')) t (steps);

-- And whatever comes to mind.
CREATE FUNCTION some_steps() RETURNS text[] VOLATILE LANGUAGE sql AS $$
	SELECT array_agg((SELECT name FROM act WHERE n > 0 AND kind = CASE WHEN random() < 0.5 THEN 'people' ELSE 'order' END ORDER BY random() LIMIT 1))
	FROM generate_series(1, 3 + (random() * 5)::int) n
$$;
SELECT is_empty('SELECT wrong_after(some_steps()) FROM generate_series(1, 150)', 'sound after any acts');
SELECT * FROM finish();
