-- attach_query: what it refuses, what it accepts, and what the query then does.
CREATE SCHEMA purchase;
SET search_path = purchase, loyalty, public;
SET client_min_messages = warning;
INSERT INTO program (name, time_zone) VALUES ('purchase', 'Asia/Tokyo'), ('purchase two', 'UTC');
INSERT INTO rule (program, name, award) VALUES ('purchase', 'base', '1 per 1'), ('purchase two', 'base', '2 per 1');
SET loyalty.program = 'purchase';
CREATE TABLE head (id int PRIMARY KEY, member text, at timestamptz, day date, status text DEFAULT 'paid', code char(4), price money);
CREATE TABLE line (id int, no int, amount numeric, quantity int, item text, PRIMARY KEY (id, no));
CREATE TABLE other (ref text, part numeric(6,2), big bigint, note jsonb);
CREATE TEMP TABLE scratch (id int, member text, amount numeric);
CREATE VIEW clock AS SELECT id, member, now() AS at FROM head;
CREATE VIEW taken AS SELECT id, member FROM head FOR UPDATE;
CREATE COLLATION whatever (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE SEQUENCE numbers;
-- What the ledger says of a source's purchases.
CREATE FUNCTION earned(source text, program text DEFAULT 'purchase')
	RETURNS TABLE (ref text, key text, points points, postings bigint) LANGUAGE sql AS $$
	SELECT m.ref, e.source_key, sum(e.points), count(*) FROM loyalty.entry e
	JOIN loyalty.member m USING (member_id) JOIN loyalty.source s USING (source_id)
	WHERE s.name = $1 AND s.program = $2 GROUP BY 1, 2 ORDER BY 2, 1 $$;
-- Attaches a query over head; true is all that is worth printing of the source's number.
CREATE FUNCTION try(query text, watch text[] DEFAULT '{head.id}', name text DEFAULT 'q') RETURNS boolean LANGUAGE sql
	AS $$ SELECT loyalty.attach_query(name, query, watch) > 0 $$;

-- texts that are no query
SELECT try('');
SELECT try(' -- nothing');
SELECT try('SELEC');
SELECT try('SELECT id AS key, member, 1 AS amount FROM heads');
SELECT try('SELECT id AS key, member, amount FROM head');
SELECT try('SELECT 1 AS key, ''m'' AS member, 1 AS amount; SELECT 2');
SELECT try('DELETE FROM head RETURNING id AS key, member, 1 AS amount');
SELECT try('EXPLAIN SELECT 1');
SELECT try('SELECT id AS key, member, 1 AS amount INTO copy FROM head');
SELECT try('SELECT id AS key, member, $1 AS amount FROM head');
-- queries that do more than read
SELECT try('WITH gone AS (DELETE FROM head RETURNING *) SELECT id AS key, member, 1 AS amount FROM gone');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head FOR UPDATE');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head ORDER BY id LIMIT 10');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head OFFSET 10');
SELECT try('SELECT * FROM (SELECT id AS key, member, 1 AS amount FROM head FOR SHARE) h');
SELECT try('SELECT id AS key, member, 1 AS amount FROM taken');
-- queries that read differently tomorrow
SELECT try('SELECT id AS key, member, random() AS amount FROM head');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head WHERE id < (SELECT nextval(''numbers''))');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head WHERE at < now()');
SELECT try('SELECT id AS key, member, 1 AS amount, current_date AS at FROM head');
SELECT try('SELECT id AS key, current_user AS member, 1 AS amount FROM head');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head WHERE age(at) > ''1 day''');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head WHERE current_setting(''my.x'') = ''y''');
SELECT try('SELECT id AS key, member, 1 AS amount, at FROM clock');
SELECT try('SELECT id AS key, member, price::numeric AS amount FROM head');
SELECT try('SELECT id AS key, member, price AS amount FROM head');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head TABLESAMPLE system (10)');
SELECT try('SELECT id AS key, member, amount FROM scratch');
-- columns
SELECT try('SELECT id AS key, member, 1 AS amount, status FROM head');
SELECT try('SELECT id AS key, member, 1 FROM head');
SELECT try('SELECT id AS key, member, 1 AS amount, id AS key FROM head');
SELECT try('SELECT id AS key, 1 AS amount FROM head');
SELECT try('SELECT member, 1 AS amount FROM head');
SELECT try('SELECT id AS key, member FROM head');
SELECT try('SELECT id AS key, member, status AS amount FROM head');
SELECT try('SELECT id AS key, member, 1 AS amount, status AS quantity FROM head');
SELECT try('SELECT id AS key, member, 1 AS amount, status AS at FROM head');
SELECT try('SELECT id AS key, member, 1 AS amount, id AS counts FROM head');
SELECT try('SELECT id AS key, member, 1 AS amount, status AS data FROM head');
SELECT try('SELECT id::float8 AS key, member, 1 AS amount FROM head');
SELECT try('SELECT id::numeric AS key, member, 1 AS amount FROM head');
SELECT try('SELECT ''{}''::jsonb AS key, member, 1 AS amount FROM head');
SELECT try('SELECT code COLLATE whatever AS key, member, 1 AS amount FROM head');
-- tables to watch
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{NULL}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{head}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{head.}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{headd.id}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{head.nr}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{head.ctid}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{head.id, purchase.head.id}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{head.id, other.note}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{clock.id}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{scratch.id}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{pg_class.oid}');
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', '{{head.id},{line.id}}');
-- arguments
SELECT attach_query(NULL, 'SELECT 1', '{head.id}');
SELECT attach_query('q', NULL, '{head.id}');
SELECT attach_query('q', 'SELECT 1', NULL);
SELECT attach_query('', 'SELECT 1', '{head.id}');
SELECT attach_query('q', 'SELECT 1', '{head.id}', on_error => 'ignore');
SELECT attach_query('q', 'SELECT 1', '{head.id}', program => 'nobody''s');
SELECT count(*) AS attached FROM source WHERE program LIKE 'purchase%';
\set VERBOSITY terse
INSERT INTO source (program, name, query) VALUES ('purchase', 'q', 'SELECT 1');
INSERT INTO source (program, name, relation, member, amount, key, query) VALUES ('purchase', 'q', 'head', 'a', 'b', 'c', 'SELECT 1');
\set VERBOSITY default

-- what is kept names everything in full, whatever the settings
SET client_min_messages = error;
SET DateStyle = 'German';
SET standard_conforming_strings = off;
SET TimeZone = 'America/New_York';
CREATE FUNCTION worth(numeric) RETURNS numeric STABLE LANGUAGE sql AS 'SELECT $1';
SELECT attach_query('orders', E'
	WITH paid AS (SELECT * FROM head WHERE status = ''paid'' AND status <> ''\\\\'' AND at IS DISTINCT FROM ''24.12.2020 00:00'')
	SELECT h.id AS key, h.member, coalesce(h.day, h.at::date) AS at, worth(l.amount) AS amount, l.quantity, l.item AS item,
		   ''web'' AS channel, l.amount > -100 AS counts, to_jsonb(l) AS data
	FROM paid h LEFT JOIN line l USING (id)',
	'{head.id, line.id}') > 0 AS attached;
RESET DateStyle; RESET standard_conforming_strings; RESET TimeZone; SET client_min_messages = warning;
SELECT n, query ~ n AS found FROM source, unnest(ARRAY['FROM purchase\.head', '<> ''\\''::text', '''2020-12-24 05:00:00\+00''', 'purchase\.worth\(', ' purchase\.line ']) n WHERE name = 'orders' AND program = 'purchase';
SELECT watch, tables, key_type, on_error, owner = current_user AS mine FROM source WHERE name = 'orders' AND program = 'purchase';
SELECT tgname ~ '^loyalty_\d+_(insert|update|delete|truncate)$' AS named, tgrelid::regclass, pg_get_triggerdef(oid) ~ 'earn_watched\(''\d+'', ''id''\)' AS calls
FROM pg_trigger WHERE tgrelid IN ('head'::regclass, 'line'::regclass) AND NOT tgisinternal ORDER BY tgrelid, tgname;
SELECT try('SELECT id AS key, member, 1 AS amount FROM head', name => 'orders');

-- lines of one key are one purchase
INSERT INTO head (id, member, at) VALUES (1, 'a', '2024-01-31 20:00+00'), (2, 'b', '2024-02-01'), (3, NULL, '2024-02-01');
SELECT source_key, member_id FROM purchase ORDER BY source_key;
INSERT INTO line VALUES (1, 1, 1.4, 2, 'x'), (1, 2, 1.4, 1, 'y'), (1, 3, 1.4, NULL, NULL), (2, 1, 10, 1, 'x'), (3, 1, 5, 1, 'x'), (9, 1, 7, 1, 'x');
SELECT * FROM earned('orders');
SELECT source_key, member_id = loyalty.member_id(CASE source_key WHEN '1' THEN 'a' ELSE 'b' END, 'purchase') AS whose FROM purchase ORDER BY source_key;
SELECT occurred_at AT TIME ZONE 'Asia/Tokyo' AS in_tokyo, source, purchase, points, amount FROM statement('a');
INSERT INTO line VALUES (1, 4, -200, 1, 'z'), (1, 5, NULL, 1, 'z');
UPDATE head SET member = 'c' WHERE id = 1;
UPDATE head SET status = 'void' WHERE id = 2;
UPDATE line SET id = 2 WHERE (id, no) = (1, 3);
UPDATE head SET member = 'a' WHERE id = 3;
SELECT * FROM earned('orders');
UPDATE head SET status = 'paid' WHERE id = 2;
DELETE FROM head WHERE id = 1;
SELECT * FROM earned('orders');
SELECT * FROM verify('purchase');
TRUNCATE line;
TRUNCATE head, line;

-- two members of one purchase; a query that fails for one purchase; on_error
CREATE TABLE pay (ref text, member int, amount numeric, divisor int DEFAULT 1);
SELECT attach_query('pay', 'SELECT ref AS key, member, amount / divisor AS amount FROM pay', '{pay.ref}') > 0 AS attached;
RESET client_min_messages;
INSERT INTO pay VALUES ('p1', 1, 10, 1), ('p1', 2, 10, 1), ('p2', 1, 20, 1), ('p3', 3, 30, 0), ('p4', 4, 40, 1), (NULL, 5, 50, 1), (repeat('x', 2001), 6, 60, 1);
SELECT d.source_key, d.error_code, d.message, d.detail FROM deferred d JOIN source USING (source_id) WHERE name = 'pay' ORDER BY 1;
SELECT * FROM earned('pay');
SELECT * FROM verify('purchase');
UPDATE pay SET divisor = 1, member = coalesce(nullif(member, 2), 1) WHERE length(ref) < 10;
SET client_min_messages = warning;
CALL maintain(program => 'purchase');
SELECT * FROM earned('pay');
SELECT count(*) AS deferred FROM deferred JOIN source USING (source_id) WHERE name = 'pay';
SELECT detach('pay');
SELECT attach_query('pay', 'SELECT ref AS key, member, amount / divisor AS amount FROM pay', '{pay.ref}', on_error => 'fail') > 0 AS attached;
INSERT INTO pay VALUES ('p2', 2, 10);
\set SHOW_CONTEXT never
INSERT INTO pay VALUES ('p5', 2, 10, 0);
INSERT INTO pay VALUES ('p5', 2, 10);
SELECT * FROM earned('pay');
SELECT count(*) AS sources FROM source WHERE name = 'pay' AND program = 'purchase';

-- a name again: another program, another key type, another role
SELECT attach_query('pay', 'SELECT ref AS key, member, amount FROM pay', '{pay.ref}', program => 'purchase two') > 0 AS beside;
INSERT INTO pay VALUES ('p6', 6, 6);
SELECT * FROM earned('pay') WHERE key = 'p6' UNION ALL SELECT * FROM earned('pay', 'purchase two');
SET loyalty.program = '';
SELECT detach('pay');
SET loyalty.program = 'purchase';
SELECT detach('pay', program => 'purchase two'), detach('pay', program => 'purchase');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'pay'::regclass;
SELECT detach('pay');
SELECT try('SELECT divisor AS key, member, amount FROM pay', '{pay.divisor}', 'pay');
CREATE ROLE regress_purchase_clerk;
CREATE ROLE regress_purchase_owner;
GRANT USAGE ON SCHEMA purchase TO regress_purchase_clerk, regress_purchase_owner;
SELECT count(grant_access(role::regrole, 'manage', 'purchase')) FROM unnest('{regress_purchase_clerk, regress_purchase_owner}'::text[]) role;
GRANT SELECT, INSERT ON head, line TO regress_purchase_clerk;
SET ROLE regress_purchase_clerk;
SELECT try('SELECT id AS key, member, 1 AS amount FROM head');
\set VERBOSITY terse
SELECT detach('orders', 'purchase');
CALL backfill('orders', program => 'purchase');
\set VERBOSITY default
RESET ROLE;
-- what the owner may not read, and that nobody else's rights are used
CREATE TABLE secret (id int PRIMARY KEY, member text);
INSERT INTO secret VALUES (1, 's');
CREATE TABLE theirs (id int, amount numeric);
ALTER TABLE theirs OWNER TO regress_purchase_owner;
GRANT SELECT, INSERT ON theirs TO regress_purchase_clerk;
SET ROLE regress_purchase_owner;
SELECT try('SELECT s.id AS key, s.member, t.amount FROM secret s JOIN theirs t USING (id)', '{theirs.id}', 'theirs');
RESET ROLE;
GRANT SELECT ON secret TO regress_purchase_owner;
SET ROLE regress_purchase_owner;
SELECT try('SELECT s.id AS key, s.member, t.amount FROM secret s JOIN theirs t USING (id)', '{theirs.id}', 'theirs');
SELECT try('SELECT id AS key, ''m'' AS member, 1 AS amount FROM theirs', '{theirs.id}', 'pay');
SET ROLE regress_purchase_clerk;
INSERT INTO theirs VALUES (1, 11);
RESET ROLE;
SELECT * FROM earned('theirs');
REVOKE SELECT ON secret FROM regress_purchase_owner;
SET ROLE regress_purchase_clerk;
INSERT INTO theirs VALUES (1, 12);
RESET ROLE;
SELECT d.error_code, d.message FROM deferred d JOIN source USING (source_id) WHERE name = 'theirs';
GRANT SELECT ON secret TO regress_purchase_owner;
CALL maintain(program => 'purchase');
SELECT * FROM earned('theirs');
-- its role is gone, then back
ALTER ROLE regress_purchase_owner RENAME TO regress_purchase_gone;
\c -
SET search_path = purchase, loyalty, public;
SET client_min_messages = warning;
INSERT INTO theirs VALUES (1, 13);
SELECT problem FROM verify('purchase');
ALTER ROLE regress_purchase_gone RENAME TO regress_purchase_owner;
\c -
SET search_path = purchase, loyalty, public;
SET client_min_messages = warning;
SET loyalty.program = 'purchase';
CALL maintain(program => 'purchase');
SELECT * FROM earned('theirs');
SET ROLE regress_purchase_owner;
SELECT detach('theirs');
RESET ROLE;
DROP TABLE theirs;
SELECT count(revoke_access(role::regrole, 'manage', 'purchase')) FROM unnest('{regress_purchase_clerk, regress_purchase_owner}'::text[]) role;
DROP OWNED BY regress_purchase_clerk, regress_purchase_owner;
DROP ROLE regress_purchase_clerk, regress_purchase_owner;

-- keys of several types; a cast between what is watched and the key; two columns of one table
SELECT attach_query('codes', 'SELECT code AS key, member, 1 AS amount, at AS at FROM head', '{head.code}') > 0 AS attached;
SELECT attach_query('parts', 'SELECT part AS key, ref AS member, big AS amount FROM other', '{other.part}') > 0 AS attached;
SELECT attach_query('small', 'SELECT big::int AS key, ref AS member, 1 AS amount FROM other WHERE big < 100', '{other.big}') > 0 AS attached;
SELECT attach_query('both', 'SELECT big AS key, ''m'' AS member, 1 AS amount FROM other UNION ALL SELECT part::bigint, ''m'', 1 FROM other WHERE part <> big',
					'{other.big, other.part}') > 0 AS attached;
INSERT INTO head (id, member, code, at) VALUES (20, 'k', 'ab', '2024-01-01'), (21, 'k', 'ab', '2024-01-02'), (22, 'k', 'abcd', NULL);
INSERT INTO other VALUES ('o', 1.5, 7), ('o', 1.50, 8), ('o', 2, 5000000000);
SELECT 'codes', * FROM earned('codes') UNION ALL SELECT 'parts', * FROM earned('parts') UNION ALL SELECT 'small', * FROM earned('small')
UNION ALL SELECT 'both', * FROM earned('both');
SELECT * FROM verify('purchase');

-- renamed columns do not stop the till; nor does a table that is dropped
SELECT detach('parts'), detach('both');
ALTER TABLE other RENAME big TO large;
INSERT INTO other VALUES ('o', 3, 9);
ALTER TABLE other RENAME large TO big;
CALL maintain(program => 'purchase');
ALTER TABLE line RENAME item TO article;
INSERT INTO head (id, member, at) VALUES (4, 'd', '2024-01-01');
INSERT INTO line VALUES (4, 1, 10, 1, 'x');
SELECT invariant, purchase, problem FROM verify('purchase') WHERE purchase NOT LIKE 'small%';
ALTER TABLE line RENAME article TO item;
CALL maintain(program => 'purchase');
SELECT * FROM earned('orders') WHERE key = '4';
DROP TABLE line;
SELECT watch, tables FROM source WHERE name = 'orders' AND program = 'purchase';
UPDATE head SET status = 'void' WHERE id = 4;
SELECT source_key, error_code, message FROM deferred JOIN source USING (source_id) WHERE name = 'orders' ORDER BY 1;
SELECT detach('orders'), detach('codes'), detach('small');
CALL maintain(program => 'purchase');
SELECT * FROM verify('purchase');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname LIKE 'loyalty%' AND tgrelid IN ('head'::regclass, 'other'::regclass);

-- the trigger function by itself
CREATE TRIGGER mine AFTER INSERT ON head FOR EACH ROW EXECUTE FUNCTION earn_watched('1', 'id');
INSERT INTO head (id) VALUES (99);
DROP TRIGGER mine ON head;
CREATE TRIGGER mine AFTER INSERT ON head FOR EACH STATEMENT EXECUTE FUNCTION earn_watched('1');
INSERT INTO head (id) VALUES (99);
DROP TRIGGER mine ON head;

DROP SCHEMA purchase CASCADE;
