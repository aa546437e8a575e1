--
-- source_purchases: what the shop sold, members' and others'
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, currency, time_zone, auto_enroll) VALUES ('sales_beans', 'USD', 'Asia/Tokyo', true), ('sales_tea', NULL, 'UTC', true);
INSERT INTO loyalty.rule (program, name, award) VALUES ('sales_beans', 'base', '1 per 1'), ('sales_tea', 'base', '1 per 1');
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('sales_beans', 'EUR', 2);
SELECT * FROM loyalty.source_purchases('sales_beans');

-- Guests' rows, those from before the source, in another currency, that do not count.
CREATE TABLE sales_order (a int, b text, customer char(6), total numeric, at timestamp, shop text, till text, money text, paid boolean DEFAULT true, PRIMARY KEY (a, b));
INSERT INTO sales_order VALUES (1, 'x', 'old', 5, '2026-01-01 09:00', 's1', 'web', NULL), (1, 'y,z', NULL, 7, '2026-01-02', NULL, NULL, 'EUR');
SELECT count(loyalty.attach('sales_order', member => 'customer', amount => 'total', at => 'at', store => 'shop', channel => 'till', currency => 'money', counts => 'paid', program => 'sales_beans'));
INSERT INTO sales_order VALUES (2, 'x', 'ann', 8, '2026-01-03', 's1', 'web', 'EUR', true), (2, 'y', '', 9, '2026-01-04', 's2', 'web', 'USD', true), (2, 'z', 'ann', -3, '2026-01-05', 's2', NULL, NULL, true),
	(3, 'x', 'ben', 6, '2026-01-06', 's1', 'web', NULL, false), (3, 'y', 'ben', NULL, '2026-01-06', 's1', 'web', NULL, true);
-- it stays what it was judged by; who is a guest has the rate of today's table
UPDATE loyalty.currency_rate SET rate = 3 WHERE program = 'sales_beans';
SELECT source, key, member, at, amount, channel, store FROM loyalty.source_purchases('sales_beans') ORDER BY key;
-- the mapped columns only, those that no rule reads too, and by their own names
\df loyalty.source_purchases
SELECT count(*) FROM loyalty.source_purchases('sales_tea');
SELECT * FROM loyalty.source_purchases('nobody''s');

-- What cannot be read is left out.
SET client_min_messages = error;
INSERT INTO sales_order VALUES (4, 'x', NULL, 'NaN', '2026-01-07', NULL, NULL, NULL), (4, 'y', 'cid', 4, '2026-01-07', NULL, NULL, 'SEK'), (4, 'z', 'cid', 5, '2026-01-08', NULL, NULL, NULL);
RESET client_min_messages;
SELECT key, member, amount FROM loyalty.source_purchases('sales_beans') WHERE key >= '4';
DELETE FROM sales_order WHERE a = 4;

-- Without a time it is the ledger's, and a guest's is unknown.
CREATE TABLE sales_plain (id int PRIMARY KEY, customer text, total numeric);
SELECT count(loyalty.attach('sales_plain', member => 'customer', amount => 'total', program => 'sales_tea'));
INSERT INTO sales_plain VALUES (1, 'ann', 10), (2, NULL, 20);
SELECT s.key, s.member, s.amount, s.at = e.occurred_at AS judged, s.at IS NULL AS unknown
FROM loyalty.source_purchases('sales_tea') s LEFT JOIN loyalty.entry e ON e.source_id = s.source_id AND e.source_key = s.key ORDER BY 1;

-- Lines are added up; what they share is theirs.
CREATE TABLE sales_head (id int PRIMARY KEY, customer text, at timestamptz);
CREATE TABLE sales_line (head int, price numeric, shop text, till text);
SELECT count(loyalty.attach_query('sales_lines', 'SELECT h.id AS key, h.customer AS member, h.at, l.price AS amount, l.shop AS store, l.till AS channel FROM sales_head h JOIN sales_line l ON l.head = h.id',
	'{public.sales_head.id,public.sales_line.head}', program => 'sales_tea'));
INSERT INTO sales_head VALUES (1, 'ann', '2026-02-01'), (2, NULL, '2026-02-02'), (3, 'cid', NULL), (4, 'cid', '2026-02-03');
INSERT INTO sales_line VALUES (1, 5, 's1', 'web'), (1, 6, 's1', 'till'), (2, 1, NULL, 'web'), (2, 1, NULL, 'web'), (3, 8, 's2', 'web'), (3, 8, NULL, 'web');
SELECT key, member, CASE WHEN at < '2026-03-01' THEN at END AS at, at IS NULL AS unknown, amount, channel, store FROM loyalty.source_purchases('sales_tea') WHERE source = 'sales_lines' ORDER BY 1;

-- Whoever may read the program may, whatever he may read of the tables.
CREATE ROLE regress_analyst;
SELECT loyalty.grant_access('regress_analyst', 'read', 'sales_tea');
SET ROLE regress_analyst;
SELECT source, count(*), sum(amount) FROM loyalty.source_purchases('sales_tea') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM sales_plain;
SELECT count(*) FROM loyalty.source_purchases('sales_beans');
SET loyalty.member_ref = 'ann';
SELECT count(*) FROM loyalty.source_purchases('sales_tea');
RESET loyalty.member_ref;
RESET ROLE;

-- A source without which the figures would be wrong stops it; one that has ended does not.
ALTER TABLE sales_plain RENAME total TO sum;
SELECT count(*) FROM loyalty.source_purchases('sales_tea');
DROP TABLE sales_plain;
ALTER TABLE sales_line DROP COLUMN till;
SELECT count(*) FROM loyalty.source_purchases('sales_tea');
SELECT loyalty.detach('sales_lines', program => 'sales_tea');
SELECT count(*) FROM loyalty.source_purchases('sales_tea');

-- One whose owner may not read it any more stops it, too.
CREATE ROLE regress_sales_owner;
CREATE TABLE sales_stall (id int PRIMARY KEY, customer text, total numeric);
ALTER TABLE sales_stall OWNER TO regress_sales_owner;
SELECT loyalty.grant_access('regress_sales_owner', 'manage', 'sales_tea');
SET ROLE regress_sales_owner;
SELECT count(loyalty.attach('sales_stall', member => 'customer', amount => 'total', program => 'sales_tea'));
INSERT INTO sales_stall VALUES (1, 'ann', 5);
RESET ROLE;
SELECT count(*) FROM loyalty.source_purchases('sales_tea');
REVOKE SELECT ON sales_stall FROM regress_sales_owner;
SELECT count(*) FROM loyalty.source_purchases('sales_tea');
SELECT loyalty.detach('sales_stall', program => 'sales_tea');
SELECT loyalty.revoke_access('regress_sales_owner', 'manage', 'sales_tea');
DROP TABLE sales_stall;
DROP ROLE regress_sales_owner;

-- More rows than are fetched at a time, some of which cannot be read.
SELECT count(loyalty.detach('sales_order', program => 'sales_beans'));
DELETE FROM sales_order;
INSERT INTO sales_order SELECT n, 'x', CASE WHEN n % 2 = 0 THEN 'c' || n % 10 END, CASE WHEN n % 500 = 0 THEN 'NaN'::numeric ELSE n END, '2026-01-01', 's', 'w', NULL FROM generate_series(1, 2500) n;
SELECT count(loyalty.attach('sales_order', member => 'customer', amount => 'total', at => 'at', program => 'sales_beans'));
SELECT count(*), sum(amount), count(member), count(store) FROM loyalty.source_purchases('sales_beans');
SELECT loyalty.revoke_access('regress_analyst', 'read', 'sales_tea');
DROP ROLE regress_analyst;
DROP TABLE sales_order, sales_head, sales_line;
