-- maintain: deferred purchases are tried again, in batches.
CREATE SCHEMA maintain;
SET search_path = maintain, loyalty, public;
INSERT INTO program (name) VALUES ('maintain'), ('maintain two');
INSERT INTO rule (program, name, award) VALUES ('maintain', 'base', '1 per 1'), ('maintain two', 'base', '1 per 1');
SET loyalty.program = 'maintain';
-- What contradicts itself in a program; nothing, if all is well.
CREATE FUNCTION unsound(program text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	found text[] := ARRAY(SELECT format('%s: purse %s, entries %s', m.ref, m.purse, e.lots)
		FROM loyalty.member m JOIN loyalty.program p USING (program_id)
		LEFT JOIN (SELECT member_id, sum(lots) AS lots FROM loyalty.entry GROUP BY member_id) e USING (member_id)
		WHERE p.name = $1 AND m.purse <> coalesce(e.lots, '{}'));
	more text[] := '{}';
BEGIN
	IF to_regproc('loyalty.verify') IS NOT NULL THEN
		EXECUTE 'SELECT array_agg(v::text) FROM loyalty.verify($1) v' INTO more USING program;
	END IF;
	RETURN found || more;
END $$;
-- How often each purchase that is put aside was tried.
CREATE VIEW aside AS SELECT p.name AS program, d.source_key, message, attempts, tried_at > deferred_at AS again
	FROM loyalty.deferred d JOIN loyalty.program p USING (program_id) WHERE p.name LIKE 'maintain%' ORDER BY 1, 2;
CREATE FUNCTION available(member text) RETURNS points LANGUAGE sql AS $$ SELECT available FROM loyalty.balance($1) $$;

-- refused
CALL maintain(now() + interval '1 day');
CALL maintain('infinity');
CALL maintain('-infinity');
CALL maintain(batch_size => 0);
CALL maintain(program => 'no such program');
-- nothing to do
CALL maintain(program => 'maintain');

-- seven purchases of one program and one of another, put aside
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, parts int);
SELECT attach('orders', member => 'member', amount => 'amount / parts') > 0 AS attached,
	   attach('orders', member => 'member', amount => 'amount / parts', counts => 'id = 7', program => 'maintain two') > 0 AS beside;
SET client_min_messages = error;
INSERT INTO orders SELECT i, 'm', 10 ^ (i - 1), 0 FROM generate_series(1, 7) i;
RESET client_min_messages;
SELECT * FROM aside;

-- none can be helped: each is tried once in a run, however small its batches
SET client_min_messages = error;
CALL maintain(program => 'maintain', batch_size => 2);
SELECT * FROM aside;

-- mended: in a transaction block one batch, elsewhere all; the other program's stays
ALTER TABLE orders DISABLE TRIGGER USER;
UPDATE orders SET parts = 1 WHERE id > 1;
ALTER TABLE orders ENABLE TRIGGER USER;
BEGIN;
CALL maintain(program => 'maintain', batch_size => 3);
SELECT available('m');
ROLLBACK;
SELECT available('m'), count(*) AS aside FROM aside;
BEGIN;
CALL maintain(program => 'maintain', batch_size => 3);
COMMIT;
SELECT available('m'), count(*) AS aside FROM aside;
CALL maintain(program => 'maintain', batch_size => 2);
SELECT available('m');
SELECT * FROM aside;
RESET client_min_messages;
CALL maintain(program => 'maintain two', at => now());
SELECT available('m'), (SELECT available FROM balance('m', program => 'maintain two')) AS beside, count(*) AS aside FROM aside;

-- what has earned meanwhile is left alone
ALTER TABLE orders DISABLE TRIGGER USER;
UPDATE orders SET parts = 1 WHERE id = 1;
ALTER TABLE orders ENABLE TRIGGER USER;
CALL backfill('maintain.orders', program => 'maintain');
SELECT available('m'), count(*) AS aside FROM aside;
CALL maintain(program => 'maintain');
SELECT available('m'), count(*) AS aside FROM aside;

-- of a table that is not attached any more nothing is left to earn
SET client_min_messages = error;
INSERT INTO orders VALUES (8, 'm', 10, 0);
RESET client_min_messages;
SELECT detach('orders', program => 'maintain'), detach('orders', program => 'maintain two');
CALL maintain(program => 'maintain');
SELECT available('m'), count(*) AS aside FROM aside;

-- every purse is the sum of its entries, and nothing contradicts itself
SELECT unsound('maintain'), unsound('maintain two');
