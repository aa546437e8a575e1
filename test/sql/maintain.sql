-- maintain: deferred purchases are tried again, and what fell due is written down, in batches.
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

-- what lapsed is written down, dated on the day after its last one, for members whom nobody touched
SET timezone = 'UTC';
SET datestyle = iso;
INSERT INTO program (name, expiry) VALUES ('maintain due', '1 month');
SET loyalty.program = 'maintain due';
CREATE VIEW written AS SELECT m.ref, e.seq, e.kind, e.lots, e.occurred_at
	FROM loyalty.entry e JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = m.program_id
	WHERE p.name = 'maintain due' AND e.kind <> 'adjust' ORDER BY 1, 2;
CREATE VIEW bounds AS SELECT ref, purse, next_expiry FROM loyalty.member JOIN loyalty.program USING (program_id)
	WHERE name = 'maintain due' ORDER BY 1;
CREATE VIEW run AS SELECT at, finished_at > started_at AS finished, members, done, entries, skipped, failed FROM loyalty.maintenance WHERE program = 'maintain due';
SELECT count(adjust(m, 1, at => t)) FROM unnest('{a,b,c,d,e}'::text[]) m, unnest('{2024-01-31,2024-02-29 23:59:59}'::timestamptz[]) t;
-- of whom nothing has lapsed, though his next_expiry would allow it
SELECT count(adjust('f', 1, at => '2024-01-31', expires => '2990-01-01'));
SELECT * FROM bounds;
CALL maintain('2024-03-01', 'maintain due', 3);
SELECT * FROM written;
SELECT * FROM bounds;
SELECT * FROM run;
-- twice: nothing
CALL maintain('2024-03-01', 'maintain due');
SELECT * FROM run;

-- one who fails does not stop the others; he is kept, and tried again
SET session_replication_role = replica;
UPDATE loyalty.member SET head = '\x00' WHERE ref = 'c' AND member_id = loyalty.member_id('c', 'maintain due');
RESET session_replication_role;
CALL maintain('2024-04-01', 'maintain due');
SELECT * FROM written WHERE occurred_at > '2024-03-15';
SELECT * FROM bounds;
SELECT * FROM run;
CALL maintain('2024-04-02', 'maintain due', 1);
SELECT m.ref, f.due, f.error_code, f.message, f.detail, f.attempts, f.tried_at > f.failed_at AS again
FROM loyalty.maintenance_failure f JOIN loyalty.member m USING (member_id);
SET session_replication_role = replica;
UPDATE loyalty.member SET head = (SELECT hash FROM loyalty.entry e WHERE e.member_id = loyalty.member_id('c', 'maintain due') ORDER BY seq DESC LIMIT 1)
WHERE member_id = loyalty.member_id('c', 'maintain due');
RESET session_replication_role;
CALL maintain(program => 'maintain due');
SELECT count(*) AS failures FROM loyalty.maintenance_failure;
SELECT count(*) AS written, count(DISTINCT ref) AS members FROM written;
SELECT finished, members, done, entries, skipped, failed FROM run;

-- in a transaction block: one batch, and no record of it
SELECT count(adjust(m, 1, at => '2024-05-31')) FROM unnest('{a,b,c,d,e}'::text[]) m;
BEGIN;
CALL maintain(program => 'maintain due', batch_size => 3);
SELECT count(*) FROM bounds WHERE next_expiry < now();
CALL maintain(program => 'maintain due', batch_size => 3);
COMMIT;
SELECT count(*) FROM bounds WHERE next_expiry < now();
SELECT finished, members, done, entries, skipped, failed FROM run;

-- a changed expiry by inactivity is not known to next_expiry: everybody is looked at, once
SELECT count(adjust(m, 10)) FROM unnest('{a,b}'::text[]) m;
SELECT count(adjust('g', 10, expires => 'infinity', at => '2024-06-01'));
UPDATE program SET expiry = 'inactive 3 months' WHERE name = 'maintain due';
BEGIN;
CALL maintain(program => 'maintain due', batch_size => 1);
COMMIT;
CALL maintain(program => 'maintain due', batch_size => 1);
SELECT * FROM written WHERE ref = 'g';
CALL maintain(program => 'maintain due');
SELECT members_known FROM loyalty.maintenance WHERE program = 'maintain due';
-- all programs
SELECT count(adjust('h', 1, at => '2024-01-31', expires => '2024-02-01', program => p)) FROM unnest('{maintain,maintain due}'::text[]) p;
BEGIN;
SET LOCAL client_min_messages = warning;
CALL maintain();
SELECT ref, name, purse FROM loyalty.member JOIN loyalty.program USING (program_id) WHERE ref = 'h' AND name LIKE 'maintain%' ORDER BY 2;
ROLLBACK;

-- every purse is the sum of its entries, and nothing contradicts itself
SELECT unsound('maintain'), unsound('maintain two'), unsound('maintain due');
