-- attach and detach: what they refuse, what they accept, and what an attached table then does.
CREATE SCHEMA source;
SET search_path = source, loyalty, public;
SET client_min_messages = warning;
INSERT INTO program (name) VALUES ('source'), ('source two');
INSERT INTO rule (program, name, award) VALUES ('source', 'base', '1 per 1'), ('source two', 'base', '2 per 1');
SET loyalty.program = 'source';
-- Attaches; true is all that is worth printing of the source's number.
CREATE FUNCTION try_key(source regclass, key text) RETURNS boolean LANGUAGE sql
	AS $$ SELECT loyalty.attach(source, member => 'member', amount => 'amount', key => key) > 0 $$;
-- What the ledger says of a table's purchases.
CREATE FUNCTION earned(source text, program text DEFAULT 'source')
	RETURNS TABLE (ref text, key text, points points, postings bigint) LANGUAGE sql AS $$
	SELECT m.ref, e.source_key, sum(e.points), count(*) FROM loyalty.entry e
	JOIN loyalty.member m USING (member_id) JOIN loyalty.source s USING (source_id)
	WHERE s.relation = $1::regclass AND s.program = $2 GROUP BY 1, 2 ORDER BY 1, 2 $$;
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

-- relations that cannot be attached
CREATE TABLE orders (id int PRIMARY KEY, member int, amount numeric, at timestamptz, placed timestamp,
					 note text, price money, twin int, code text UNIQUE);
CREATE VIEW orders_view AS SELECT * FROM orders;
CREATE MATERIALIZED VIEW orders_matview AS SELECT * FROM orders;
CREATE FOREIGN DATA WRAPPER source_fdw;
CREATE SERVER source_server FOREIGN DATA WRAPPER source_fdw;
CREATE FOREIGN TABLE orders_far (id int, member int, amount numeric) SERVER source_server;
CREATE TABLE parted (id int, member int, amount numeric, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_far_tree (id int, member int, amount numeric) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE parted_far PARTITION OF parted_far_tree FOR VALUES FROM (0) TO (100) SERVER source_server;
CREATE TABLE parent (id int PRIMARY KEY, member int, amount numeric);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
CREATE TABLE ruled (id int PRIMARY KEY, member int, amount numeric);
CREATE RULE quiet AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE TEMP TABLE temporary (id int PRIMARY KEY, member int, amount numeric);
CREATE SEQUENCE numbers;
SELECT attach('orders_view', member => 'member', amount => 'amount');
SELECT attach('orders_matview', member => 'member', amount => 'amount');
SELECT attach('orders_far', member => 'member', amount => 'amount');
SELECT attach('parted_1', member => 'member', amount => 'amount');
SELECT attach('parted_far_tree', member => 'member', amount => 'amount', key => 'id');
SELECT attach('parent', member => 'member', amount => 'amount');
SELECT attach('child', member => 'member', amount => 'amount');
SELECT attach('ruled', member => 'member', amount => 'amount');
SELECT attach('temporary', member => 'member', amount => 'amount');
SELECT attach('numbers', member => 'member', amount => 'amount');
SELECT attach('pg_class', member => 'oid', amount => '1');
SELECT attach('loyalty.member', member => 'ref', amount => '1');
SELECT attach('nowhere', member => 'member', amount => 'amount');

-- keys that do not tell purchases apart
CREATE TABLE keyless (id int UNIQUE, member int, amount numeric, maybe int, UNIQUE (id, maybe));
CREATE TABLE late (id int NOT NULL, code text NOT NULL, part int NOT NULL, member int, amount numeric,
				   UNIQUE (id) DEFERRABLE, UNIQUE (code, part));
CREATE UNIQUE INDEX late_some ON late (part) WHERE amount > 0;
SELECT attach('keyless', member => 'member', amount => 'amount');
SELECT try_key('keyless', 'id');
SELECT try_key('keyless', 'maybe');
SELECT try_key('late', 'id');
SELECT try_key('late', 'code');
SELECT try_key('late', 'part');
SELECT try_key('late', 'lower(code), part');
SELECT try_key('late', '1');
SELECT try_key('late', 'code, part, id');
SELECT try_key('orders', 'code');

-- expressions that cannot be used
SELECT attach('orders', member => 'customer', amount => 'amount');
SELECT attach('orders', member => 'member', amount => 'note');
SELECT attach('orders', member => 'member', amount => 'amount', at => 'note');
SELECT attach('orders', member => 'member', amount => 'amount', counts => 'id');
SELECT attach('orders', member => 'member', amount => 'amount', data => 'id');
SELECT attach('orders', member => 'member', amount => 'price');
SELECT attach('orders', member => 'member', amount => 'amount', at => 'id > 0 AND at::date');
SELECT attach('orders', member => 'member', amount => 'amount', at => 'at::date');
SELECT attach('orders', member => 'member', amount => 'amount', counts => 'at < now()');
SELECT attach('orders', member => 'member', amount => '(SELECT 1)');
SELECT attach('orders', member => 'member', amount => 'sum(amount)');
SELECT attach('orders', member => 'member', amount => 'sum(amount) OVER ()');
SELECT attach('orders', member => 'member', amount => 'generate_series(1, id)');
SELECT attach('orders', member => 'member, id', amount => 'amount');
SELECT attach('orders', member => 'member', amount => 'amount AS total');
SELECT attach('orders', member => 'member', amount => 'amount FROM orders');
SELECT attach('orders', member => 'member', amount => 'amount; DROP TABLE orders');
SELECT attach('orders', member => 'member', amount => 'amount;');
SELECT attach('orders', member => 'member', amount => '');
SELECT attach('orders', member => 'member', amount => 'amount +');
SELECT attach('orders', member => 'member', amount => '$1');
SELECT attach('orders', member => 'member', amount => '*');
SELECT attach('orders', member => 'member', amount => 'amount', key => 'id, orders.*');
SELECT attach('orders', member => 'ctid', amount => 'amount');
SELECT attach('orders', member => 'tableoid::int', amount => 'amount');
SELECT attach('orders', member => 'orders', amount => 'amount');
SELECT attach('orders', member => '(orders.*)::text', amount => 'amount');

-- arguments
SELECT attach(NULL, member => 'member', amount => 'amount');
SELECT attach('orders', member => NULL, amount => 'amount');
SELECT attach('orders', member => 'member', amount => 'amount', on_delete => 'forget');
SELECT attach('orders', member => 'member', amount => 'amount', on_error => 'ignore');
SELECT attach('orders', member => 'member', amount => 'amount', program => 'nobody''s');
SELECT detach('orders');
SELECT detach(NULL);
SELECT count(*) AS attached FROM source WHERE program IN ('source', 'source two');

-- only the owner attaches and detaches; whoever inserts needs no right on the ledger
CREATE ROLE regress_source_clerk;
GRANT USAGE ON SCHEMA source TO regress_source_clerk;
SELECT grant_access('regress_source_clerk', 'manage', 'source');
GRANT INSERT, SELECT ON orders TO regress_source_clerk;
SET ROLE regress_source_clerk;
SELECT attach('orders', member => 'member', amount => 'amount');
RESET ROLE;
SELECT attach('orders', member => 'member', amount => 'amount', key => 'id -- the number' || E'\n') > 0 AS attached;
SELECT revoke_access('regress_source_clerk', 'manage', 'source');
SET ROLE regress_source_clerk;
INSERT INTO orders (id, member, amount) VALUES (1, 7, 10.5);
RESET ROLE;
SELECT grant_access('regress_source_clerk', 'manage', 'source');
SET ROLE regress_source_clerk;
SELECT loyalty.detach('orders');
RESET ROLE;
SELECT revoke_access('regress_source_clerk', 'manage', 'source');
DROP OWNED BY regress_source_clerk;
DROP ROLE regress_source_clerk;
SELECT * FROM earned('orders');

-- already attached; another program beside it; detached; attached again under the same key and another
SELECT attach('orders', member => 'member', amount => 'amount');
SELECT attach('orders', member => 'member', amount => 'amount', counts => 'id <> 3', program => 'source two') > 0 AS beside;
INSERT INTO orders (id, member, amount, code) VALUES (2, 7, 20, 'b'), (3, 8, 30, 'c');
SELECT detach('source.orders', program => 'source');
INSERT INTO orders (id, member, amount, code) VALUES (4, 7, 40, 'd');
SELECT * FROM earned('orders');
SELECT * FROM earned('orders', 'source two');
ALTER TABLE orders ALTER code SET DEFAULT '', ADD UNIQUE (id, twin), ALTER twin SET DEFAULT 0;
UPDATE orders SET twin = 0;
ALTER TABLE orders ALTER twin SET NOT NULL;
SELECT try_key('orders', 'id, twin');
SELECT try_key('orders', '(id)') AS again;
SELECT count(*) AS sources FROM source WHERE relation = 'orders'::regclass;
UPDATE orders SET amount = amount + 1;
SELECT * FROM earned('orders');
SELECT detach('orders', program => 'source'), detach('orders', program => 'source two');
SELECT detach('orders');

-- names that need quotes, in a schema that does; comments; a dropped column before the others
CREATE SCHEMA "Ein Laden";
CREATE TABLE "Ein Laden"."Bestell;ungen" ("weg" int, "Nr." int PRIMARY KEY, "Kunde, wer" text, "select" numeric, "at" timestamp);
ALTER TABLE "Ein Laden"."Bestell;ungen" DROP COLUMN "weg";
SELECT attach('"Ein Laden"."Bestell;ungen"', member => '"Kunde, wer" /* ; -- */', amount => $$"select" -- in euro, not ';' $$,
			  at => '"at"', counts => $$"Kunde, wer" NOT LIKE '%;%'$$) > 0 AS attached;
INSERT INTO "Ein Laden"."Bestell;ungen" VALUES (1, 'Miller, "A"', 10.9, '2026-01-31 23:59:59'), (2, 'x;y', 10, NULL);
ALTER TABLE "Ein Laden"."Bestell;ungen" ADD COLUMN "neu" int DEFAULT 5;
INSERT INTO "Ein Laden"."Bestell;ungen" VALUES (3, 'Miller, "A"', 3, '2026-01-01');
SELECT ref, key, points, postings FROM earned('"Ein Laden"."Bestell;ungen"');
SELECT detach('"Ein Laden"."Bestell;ungen"');
SELECT detach('Bestell;ungen');

-- expressions keep the meaning that they had when attached
CREATE SCHEMA source_near;
CREATE SCHEMA source_far;
CREATE FUNCTION source_near.worth(numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE FUNCTION source_far.worth(numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 1000';
CREATE FUNCTION source_far.plus(numeric, int) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT 777777::numeric';
CREATE OPERATOR source_far.+ (FUNCTION = source_far.plus, LEFTARG = numeric, RIGHTARG = int);
CREATE FUNCTION source_far.same(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR source_far.= (FUNCTION = source_far.same, LEFTARG = text, RIGHTARG = text);
CREATE TABLE meant (id int PRIMARY KEY, member text, amount numeric, status text);
SET search_path = source_near, source, loyalty, public;
SELECT attach('meant', member => 'member', amount => 'worth(amount) + 1', counts => $$status = 'paid'$$) > 0 AS attached;
INSERT INTO meant VALUES (1, 'm', 10, 'paid');
SET search_path = source_far, source, loyalty, public, pg_catalog;
INSERT INTO source.meant VALUES (2, 'm', 10, 'paid');
SET search_path = '';
UPDATE source.meant SET amount = 20 WHERE id OPERATOR(pg_catalog.=) 1;
INSERT INTO source.meant VALUES (3, 'm', 10, 'open');
SET search_path = source, loyalty, public;
SELECT * FROM earned('meant');
SELECT detach('meant');

-- keys of many types: neither settings nor the way back from text change them
CREATE TABLE keyed (a int, b text, c uuid, d char(8), e timestamptz, f date, g interval, h float8, i bytea,
					member text, amount numeric, PRIMARY KEY (a, b, c, d, e, f, g, h, i));
SELECT attach('keyed', member => 'member', amount => '100 / amount') > 0 AS attached;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
INSERT INTO keyed VALUES (1, E'a,b\\c', '6F9619FF-8B86-D011-B42D-00C04FC964FF', 'pad', '2026-02-01 07:30+09', '2026-02-03',
						  '-1 day +02:00', 0.1, '\x00ff', 'm', 10);
SET TimeZone = 'America/New_York';
SET DateStyle = 'Postgres, DMY';
SET IntervalStyle = 'sql_standard';
SET bytea_output = 'escape';
SET extra_float_digits = -15;
UPDATE keyed SET amount = 5;
UPDATE keyed SET amount = 0;
SET IntervalStyle = 'iso_8601';
UPDATE keyed SET member = member;
SELECT * FROM earned('keyed');
ALTER TABLE keyed DISABLE TRIGGER ALL;
UPDATE keyed SET amount = 4;
ALTER TABLE keyed ENABLE TRIGGER ALL;
CALL maintain(program => 'source');
SELECT * FROM earned('keyed');
RESET TimeZone; RESET DateStyle; RESET IntervalStyle; RESET bytea_output; RESET extra_float_digits;
DELETE FROM keyed;
SELECT * FROM earned('keyed');

-- keys that change, that pass from row to row, and that are swapped
CREATE TABLE moved (id int, part int, member text, amount numeric, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE moved_1 PARTITION OF moved FOR VALUES IN (1);
CREATE TABLE moved_2 PARTITION OF moved FOR VALUES IN (2);
SELECT try_key('moved', 'id');
INSERT INTO moved VALUES (1, 1, 'v', 100), (2, 2, 'w', 50), (4, 1, 'v', 7);
UPDATE moved SET id = 3 - id WHERE id < 3;
SELECT * FROM earned('moved');
UPDATE moved SET id = id + 1;
SELECT * FROM earned('moved');
UPDATE moved SET id = 9 WHERE id = 5;
UPDATE moved SET id = 5, member = 'w', amount = 8 WHERE id = 9;
SELECT * FROM earned('moved');
SELECT entry, kind, points, balance, amount, purchase FROM statement('v');

-- on_delete and TRUNCATE; on_error
CREATE TABLE returned (id int PRIMARY KEY, member text, amount numeric);
CREATE TABLE kept (LIKE returned INCLUDING ALL);
SELECT attach('returned', member => 'member', amount => 'amount') > 0 AS reverse,
	   attach('kept', member => 'member', amount => 'amount', on_delete => 'keep', on_error => 'fail') > 0 AS keep;
INSERT INTO returned VALUES (1, 'r', 10), (2, 'r', 20);
INSERT INTO kept VALUES (1, 'k', 10), (2, 'k', 20), (3, 'k', 30);
TRUNCATE returned;
DELETE FROM returned WHERE id = 1;
DELETE FROM kept WHERE id = 1;
TRUNCATE kept;
SELECT * FROM earned('returned') UNION ALL SELECT * FROM earned('kept');
INSERT INTO kept VALUES (4, 'k', 'NaN');
INSERT INTO kept VALUES (4, 'k', 1), (5, 'k', 'Infinity');
INSERT INTO kept VALUES (1, 'k', 12), (2, 'k', 15);
SELECT * FROM earned('kept');

-- a renamed column does not stop the till; attached again it earns on
ALTER TABLE returned RENAME amount TO total;
INSERT INTO returned VALUES (3, 'r', 30);
UPDATE returned SET total = 25 WHERE id = 2;
ALTER TABLE returned RENAME total TO amount;
CALL maintain(program => 'source');
SELECT * FROM earned('returned');
SELECT count(*) AS deferred FROM deferred d JOIN program USING (program_id) WHERE name LIKE 'source%';
ALTER TABLE kept RENAME amount TO total;
INSERT INTO kept VALUES (6, 'k', 1);
ALTER TABLE kept RENAME total TO amount;

-- nor does a renamed key, without which purchases cannot be told apart
ALTER TABLE returned RENAME id TO nr;
INSERT INTO returned VALUES (4, 'r', 40);
ALTER TABLE returned RENAME nr TO id;
INSERT INTO returned VALUES (5, 'r', 50);
CALL backfill('source.returned', program => 'source');
SELECT * FROM earned('returned');
-- an expression over a unique index; a row without it earns nothing
CREATE TABLE named (code varchar(9), member text, amount int);
CREATE UNIQUE INDEX ON named (lower(code));
SELECT try_key('named', 'lower(code)');
INSERT INTO named VALUES ('A1', 'n', 1), (NULL, 'n', 2), ('b2', 'n', 3);
UPDATE named SET code = upper(code), amount = amount + 10;
SELECT * FROM earned('named');

-- triggers go with the table, and a table of the same name begins anew
BEGIN;
DROP TABLE returned;
CREATE TABLE returned (id int PRIMARY KEY, member text, amount numeric);
INSERT INTO returned VALUES (1, 'r', 99);
SELECT count(*) FROM earned('returned');
ROLLBACK;

-- every purse is the sum of its entries, and nothing contradicts itself
SELECT name, count(*) AS members FROM member JOIN program USING (program_id) WHERE name LIKE 'source%' GROUP BY 1 ORDER BY 1;
SELECT unsound('source'), unsound('source two');
