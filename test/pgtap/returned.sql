-- returned: purchases paid with points that come to less, in whatever steps, give back what paid for them; both sides exactly
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = iso;
SET LOCAL client_min_messages = error;
SELECT no_plan();

CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is_empty('SELECT * FROM loyalty.verify()', description)
$$;
CREATE FUNCTION purse(who text, program text) RETURNS text LANGUAGE sql AS $$
	SELECT m.purse::text FROM loyalty.member m WHERE m.member_id = loyalty.member_id(who, program)
$$;
-- what of a spend has gone back
CREATE FUNCTION back(who text, entry bigint, program text) RETURNS numeric LANGUAGE sql AS $$
	SELECT coalesce(sum(e.points::numeric), 0) FROM loyalty.entry e WHERE e.member_id = loyalty.member_id(who, program) AND (e.context ->> 'entry')::bigint = entry
$$;

-- One purchase a member, lots with many ends, returned in random steps
INSERT INTO loyalty.program (name, points_scale, clawback) SELECT 'ret' || s, s, (ARRAY['debt', 'available', 'pending', 'none'])[s % 4 + 1] FROM generate_series(0, 4) s;
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 3' FROM loyalty.program;
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric, paid bool DEFAULT true);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', counts => 'paid', program => 'ret' || s) FROM generate_series(0, 4) s \g /dev/null
SELECT setseed(0.31) \g /dev/null
CREATE TABLE bought AS SELECT n, 'm' || n AS customer, (1 + random() * 500)::numeric(10, 2) AS total, 'ret' || s AS program, floor(1 + random() * 300)::numeric + round(random()::numeric, s) AS points
	FROM generate_series(1, 40) n, generate_series(0, 4) s;
UPDATE bought b SET total = (SELECT total FROM bought o WHERE o.n = b.n LIMIT 1);
SELECT count(loyalty.adjust(customer, 1 + (n * i * 37) % 90, expires => current_date + (i * 31) % 17 + 1, program => program)) FROM bought, generate_series(1, 9) i \g /dev/null
INSERT INTO orders SELECT DISTINCT n, customer, total FROM bought;
UPDATE bought SET points = least(points, (SELECT floor(available::numeric) FROM loyalty.balance(customer, program => program)));
ALTER TABLE bought ADD purse text, ADD entry bigint;
UPDATE bought SET purse = purse(customer, program);
UPDATE bought SET entry = s.entry FROM (SELECT n, program, (loyalty.spend(customer, points, purchase => n::text, program => program)).entry FROM bought) s WHERE (s.n, s.program) = (bought.n, bought.program);
CREATE TABLE wrong (step int, n int, program text, got numeric, expected numeric);
CREATE FUNCTION go(steps int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. steps LOOP
		-- many orders of many members in one statement; some rise again, up to what they were
		UPDATE orders o SET total = CASE WHEN random() < 0.15 THEN least(o.total * 1.3, b.total) ELSE round((o.total * random() ^ 0.5)::numeric, 2) END
			FROM (SELECT DISTINCT n, total FROM bought) b WHERE b.n = o.id AND random() < 0.5;
		INSERT INTO low SELECT i, id, total FROM orders;
		INSERT INTO wrong SELECT i, b.n, program, g.back, g.due FROM bought b, LATERAL (SELECT back(customer, entry, program) AS back,
			trunc(b.points * (1 - (SELECT min(l.total) FROM low l WHERE l.id = b.n) / b.total), right(program, 1)::int) AS due) g WHERE g.back <> g.due;
	END LOOP;
END $$;
CREATE TABLE low (step int, id int, total numeric);
SELECT go(7) \g /dev/null
SELECT is_empty('SELECT * FROM wrong', 'after any returns and rises n x (1 - a / most), rounded down, for the least that it came to');
SELECT cmp_ok((SELECT count(*) FROM bought WHERE back(customer, entry, program) > 0 AND back(customer, entry, program) < points), '>', 100::bigint, 'parts have gone back');
SELECT sound('verify finds nothing after partial returns');
UPDATE orders SET paid = false WHERE id % 3 = 0;
DELETE FROM orders WHERE id % 3 = 1;
UPDATE orders SET total = 0 WHERE id % 3 = 2;
SELECT is_empty('SELECT * FROM bought WHERE back(customer, entry, program) <> points', 'returned whole, all have gone back: not counting, deleted, at zero');
-- what it earned has been taken again; nothing was spent of it
SELECT is_empty($$SELECT b.*, x.earned FROM bought b, LATERAL (SELECT sum(points::numeric) AS earned FROM loyalty.entry e WHERE e.member_id = loyalty.member_id(customer, program) AND e.kind IN ('earn', 'clawback')) x
	WHERE program = 'ret0' AND x.earned <> 0$$, 'what they earned is taken again');
UPDATE orders SET paid = true, total = 500;
SELECT is_empty('SELECT * FROM bought WHERE back(customer, entry, program) <> points', 'and a rise takes nothing again');
SELECT sound('verify finds nothing after whole returns');
DROP TABLE orders;

-- Both sides exactly: what the customer pays in money and in points, of a purchase paid with both
INSERT INTO loyalty.program (name, point_value) VALUES ('till', 0.05);
INSERT INTO loyalty.rule (program, name, award) VALUES ('till', 'base', '1 per 1');
CREATE TABLE sale (id text PRIMARY KEY, customer text, total numeric, at timestamptz DEFAULT now() - interval '1 day', status text DEFAULT 'paid');
SELECT loyalty.attach('sale', member => 'customer', amount => 'total', at => 'at', counts => $$status = 'paid'$$, program => 'till') \g /dev/null
CREATE FUNCTION steps(who text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(e.kind || ' ' || e.points, ', ' ORDER BY e.seq) FROM loyalty.entry e WHERE e.member_id = loyalty.member_id(who, 'till')
$$;
CREATE FUNCTION available(who text) RETURNS numeric LANGUAGE sql AS $$
	SELECT available::numeric - debt::numeric FROM loyalty.balance(who, program => 'till')
$$;
SELECT loyalty.adjust(m, 1000, expires => current_date + 100, program => 'till') FROM unnest('{a,b,c,d,e,f,g,h,i,j,k,l,o,p,q,r}'::text[]) m \g /dev/null
-- the order of things: first points go back, then what was earned is taken
INSERT INTO sale VALUES ('a1', 'a', 100);
SELECT loyalty.spend('a', 1000, purchase => 'a1', amount => 100, program => 'till'), loyalty.spend('a', 100, program => 'till') \g /dev/null
UPDATE sale SET total = 67 WHERE id = 'a1';
DELETE FROM sale WHERE id = 'a1';
SELECT is(steps('a'), 'adjust 1000, earn 100, redeem -1000, redeem -100, refund 330, clawback -33, refund 670, clawback -67', 'points go back before what was earned is taken');
SELECT is(available('a'), 900::numeric, 'both sides exactly');

-- A spend before the row is there, several spends, one after a return, and one cancelled by hand besides
SELECT loyalty.spend('b', 100, purchase => 'b1', program => 'till') \g /dev/null
INSERT INTO sale VALUES ('b1', 'b', 80);
SELECT loyalty.spend('b', 50, purchase => 'b1', program => 'till') \g /dev/null
UPDATE sale SET total = 60 WHERE id = 'b1';
SELECT is((SELECT array_agg(back('b', e, 'till')) FROM unnest('{2,4}'::bigint[]) e), '{25,12}', 'several spends, one of them before the purchase');
SELECT loyalty.spend('b', 40, purchase => 'b1', program => 'till') \g /dev/null
SELECT is((SELECT max(seq) FROM loyalty.entry WHERE member_id = loyalty.member_id('b', 'till')), 8::bigint, 'one after a return');
UPDATE sale SET total = 30 WHERE id = 'b1';
SELECT is((SELECT array_agg(back('b', e, 'till')) FROM unnest('{2,4,8}'::bigint[]) e), '{62,31,20}', 'is held against what it came to then');
SELECT loyalty.cancel('b', 2, 18, program => 'till'), loyalty.cancel('b', 8, program => 'till') \g /dev/null
UPDATE sale SET total = 20 WHERE id = 'b1';
SELECT is((SELECT array_agg(back('b', e, 'till')) FROM unnest('{2,4,8}'::bigint[]) e), '{80,37,40}', 'what was cancelled by hand counts');
UPDATE sale SET total = 10 WHERE id = 'b1';
SELECT is((SELECT array_agg(back('b', e, 'till')) FROM unnest('{2,4,8}'::bigint[]) e), '{87,43,40}', 'and no more');
UPDATE sale SET status = 'returned' WHERE id = 'b1';
SELECT is((SELECT array_agg(back('b', e, 'till')) FROM unnest('{2,4,8}'::bigint[]) e), '{100,50,40}', 'whole');
SELECT is(purse('b', 'till'), format('{1000@%s}', current_date + 100), 'nothing is left of it');

-- A key that is renamed takes the payment along
INSERT INTO sale VALUES ('c1', 'c', 100);
SELECT loyalty.spend('c', 90, purchase => 'c1', program => 'till') \g /dev/null
UPDATE sale SET total = 80 WHERE id = 'c1';
UPDATE sale SET id = 'c2' WHERE id = 'c1';
SELECT is((SELECT (context ->> 'purchase', points, context -> 'value')::text FROM loyalty.entry WHERE member_id = loyalty.member_id('c', 'till') AND kind = 'redeem' AND seq > 3), '(c2,-72,3.6)', 'a renamed purchase takes what is left of the payment along');
SELECT is(available('c'), 1008::numeric, 'which changes nothing');
UPDATE sale SET total = 40 WHERE id = 'c2';
SELECT is(available('c'), 1004::numeric, 'half of it is returned');
UPDATE sale SET id = 'c3', total = 20 WHERE id = 'c2';
SELECT is(available('c'), 1002::numeric, 'a quarter, and renamed at once');
UPDATE sale SET id = 'c1' WHERE id = 'c3';
DELETE FROM sale WHERE id = 'c1';
SELECT is(available('c'), 1000::numeric, 'and back, and gone');
SELECT is(purse('c', 'till'), format('{1000@%s}', current_date + 100), 'every lot is as it was');
SELECT sound('verify finds nothing in renamed ones');
-- many at once
INSERT INTO sale SELECT 'c' || n, 'c', 10 FROM generate_series(101, 120) n;
SELECT count(loyalty.spend('c', 10 + n % 5, purchase => 'c' || n, program => 'till')) FROM generate_series(101, 120) n \g /dev/null
UPDATE sale SET id = id || 'x' WHERE id ~ '^c1..$';
UPDATE sale SET total = 5 WHERE id ~ '^c1..x$';
SELECT is(available('c'), 1000 - (SELECT sum(10 + n % 5 - (10 + n % 5) / 2) FROM generate_series(101, 120) n) + 100::numeric, 'many renamed, and then returned, in a statement each');
DELETE FROM sale WHERE id ~ '^c1..x$';
SELECT is(available('c'), 1000::numeric, 'and gone');

-- keys that move up, each to where another purchase was
INSERT INTO sale VALUES ('q3', 'q', 20), ('q2', 'q', 100), ('q1', 'q', 40);
SELECT loyalty.spend('q', 10 * n, purchase => 'q' || n, program => 'till') FROM generate_series(1, 3) n \g /dev/null
UPDATE sale SET id = 'q' || right(id, 1)::int + 1 WHERE customer = 'q';
SELECT is(available('q'), 1000 + 160 - 60::numeric, 'keys that move up give nothing back');
DELETE FROM sale WHERE id = 'q3';
SELECT is(available('q'), 1000 + 60 - 40::numeric, 'and each takes its payment along');
UPDATE sale SET total = 0 WHERE id = 'q2';
SELECT is(available('q'), 1000 + 20 - 30::numeric, 'the first');
DELETE FROM sale WHERE id = 'q4';
SELECT is(available('q'), 1000::numeric, 'and the last');

-- A member who changes: the one who paid gets it back
INSERT INTO sale VALUES ('d1', 'd', 100);
SELECT loyalty.spend('d', 90, purchase => 'd1', program => 'till') \g /dev/null
UPDATE sale SET customer = 'e' WHERE id = 'd1';
SELECT is((SELECT array_agg(available(m)) FROM unnest('{d,e}'::text[]) m), '{1000,1100}', 'another member''s now: who paid gets it back');
DELETE FROM sale WHERE id = 'd1';
SELECT is((SELECT array_agg(available(m)) FROM unnest('{d,e}'::text[]) m), '{1000,1000}', 'once');
-- a guest
INSERT INTO sale VALUES ('f1', 'f', 100);
SELECT loyalty.spend('f', 90, purchase => 'f1', program => 'till') \g /dev/null
UPDATE sale SET customer = NULL WHERE id = 'f1';
SELECT is(available('f'), 1000::numeric, 'nobody''s now');

-- A suspended and a closed member
INSERT INTO sale VALUES ('g1', 'g', 100), ('h1', 'h', 100);
SELECT loyalty.spend('g', 90, purchase => 'g1', program => 'till'), loyalty.spend('h', 90, purchase => 'h1', program => 'till') \g /dev/null
SELECT loyalty.set_member('g', status => 'suspended', program => 'till'), loyalty.set_member('h', status => 'closed', program => 'till') \g /dev/null
UPDATE sale SET total = 50 WHERE id IN ('g1', 'h1');
SELECT is((SELECT array_agg(available(m)) FROM unnest('{g,h}'::text[]) m), '{1005,1005}', 'a suspended and a closed member get back as others do');

-- No purchase, another one, and none of the member
SELECT loyalty.spend('i', 10, program => 'till'), loyalty.spend('i', 10, purchase => 'i2', program => 'till'), loyalty.spend('i', 10, purchase => 'j1', program => 'till') \g /dev/null
INSERT INTO sale VALUES ('i1', 'i', 100), ('j1', 'j', 100);
DELETE FROM sale WHERE id IN ('i1', 'j1');
SELECT is((SELECT array_agg(available(m)) FROM unnest('{i,j}'::text[]) m), '{970,1000}', 'nothing else is given back');

-- Several purchases of one member in one statement, some rising, and a deferred one
INSERT INTO sale SELECT 'k' || n, 'k', 10 * n FROM generate_series(1, 9) n;
SELECT count(loyalty.spend('k', 10 * n, purchase => 'k' || n, program => 'till')) FROM generate_series(1, 9) n \g /dev/null
UPDATE sale SET total = CASE WHEN id < 'k5' THEN total / 2 ELSE total + 1 END WHERE customer = 'k';
SELECT is((SELECT string_agg(back('k', seq, 'till')::text, ',' ORDER BY seq) FROM loyalty.entry WHERE member_id = loyalty.member_id('k', 'till') AND kind = 'redeem'), '5,10,15,20,0,0,0,0,0', 'several of one member at once');
SELECT is(available('k'), 1000 - 450 + 450 + 50 - 50 + 5::numeric, 'and each of them earns');
-- a rule that fails: the return is tried again by maintenance
INSERT INTO sale VALUES ('l1', 'l', 100);
SELECT loyalty.spend('l', 90, purchase => 'l1', program => 'till') \g /dev/null
CREATE FUNCTION fails(numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF $1 = 13 THEN RAISE 'fails' USING ERRCODE = 'P0001'; END IF; RETURN $1; END $$;
SELECT sound('verify finds nothing before');

-- Kept on delete
CREATE TABLE kept (id text PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('kept', member => 'customer', amount => 'fails(total)', on_delete => 'keep', program => 'till') \g /dev/null
INSERT INTO kept VALUES ('o1', 'o', 100), ('l2', 'l', 100);
SELECT loyalty.spend('o', 90, purchase => 'o1', program => 'till'), loyalty.spend('l', 50, purchase => 'l2', program => 'till') \g /dev/null
UPDATE kept SET total = 50 WHERE id = 'o1';
DELETE FROM kept WHERE id = 'o1';
SELECT is(available('o'), 1000 - 45 + 50::numeric, 'kept on delete: so is what paid');
UPDATE kept SET total = 13 WHERE id = 'l2';
SELECT is((SELECT count(*) FROM loyalty.deferred), 1::bigint, 'a return that is deferred');
SELECT is(available('l'), 1000 - 90 + 100 - 50 + 100::numeric, 'gives back nothing');
CREATE OR REPLACE FUNCTION fails(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CALL loyalty.maintain();
SELECT is((SELECT count(*) FROM loyalty.deferred), 0::bigint, 'is tried again');
SELECT is(available('l'), 1000 - 90 + 100 - 50 + 43 + 13::numeric, 'and gives back then');

-- Two sources with one key: it pays for the purchase of the older source
CREATE TABLE web (id text PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('web', member => 'customer', amount => 'total', program => 'till') \g /dev/null
INSERT INTO sale VALUES ('same', 'p', 100);
INSERT INTO web VALUES ('same', 'p', 100), ('same too', 'p', 100);
SELECT loyalty.spend('p', 100, purchase => 'same', program => 'till'), loyalty.spend('p', 10, purchase => 'same too', program => 'till') \g /dev/null
DELETE FROM web WHERE id = 'same';
SELECT is(available('p'), 1000 + 300 - 100 - 100 - 10::numeric, 'two sources with one key: not that of the younger');
UPDATE sale SET total = 0 WHERE id = 'same';
UPDATE web SET total = 50 WHERE id = 'same too';
SELECT is(available('p'), 1000 + 50 - 5::numeric, 'but that of the older');

-- A query with lines: some are returned
INSERT INTO loyalty.program (name) VALUES ('lines');
INSERT INTO loyalty.rule (program, name, award) VALUES ('lines', 'base', '1 per 1');
CREATE TABLE header (id int PRIMARY KEY, customer text, at timestamptz DEFAULT now());
CREATE TABLE line (id int REFERENCES header, item text, amount numeric, PRIMARY KEY (id, item));
SELECT loyalty.attach_query('lines', 'SELECT l.id AS key, h.customer AS member, h.at, l.amount, l.item FROM header h JOIN line l USING (id)', '{public.header.id, public.line.id}', program => 'lines') \g /dev/null
SELECT loyalty.adjust('n' || n, 500, expires => current_date + 50, program => 'lines') FROM generate_series(1, 20) n \g /dev/null
INSERT INTO header SELECT n, 'n' || n FROM generate_series(1, 20) n;
INSERT INTO line SELECT n, 'item ' || i, n * i + 0.25 FROM generate_series(1, 20) n, generate_series(1, 6) i;
SELECT count(loyalty.spend('n' || n, 100 + n * 3, purchase => n::text, program => 'lines')) FROM generate_series(1, 20) n \g /dev/null
DELETE FROM line WHERE (id + right(item, 1)::int) % 3 = 0;
UPDATE line SET amount = amount / 2 WHERE (id + right(item, 1)::int) % 4 = 0;
SELECT is_empty($$SELECT n, back('n' || n, s.seq, 'lines'), x.total, floor((100 + n * 3) * (1 - x.total / (21 * n + 1.5))) FROM generate_series(1, 20) n, LATERAL (SELECT coalesce(sum(amount), 0) AS total FROM line WHERE id = n) x,
	LATERAL (SELECT seq FROM loyalty.entry WHERE member_id = loyalty.member_id('n' || n, 'lines') AND kind = 'redeem') s
	WHERE back('n' || n, s.seq, 'lines') <> floor((100 + n * 3) * (1 - x.total / (21 * n + 1.5)))$$, 'lines that are returned');
DELETE FROM line;
SELECT is_empty($$SELECT n, purse('n' || n, 'lines') FROM generate_series(1, 20) n WHERE purse('n' || n, 'lines') <> format('{500@%s}', current_date + 50)$$, 'all of them');

-- Amounts in other currencies are those at the purchase's rate
INSERT INTO loyalty.program (name, currency) VALUES ('money', 'EUR');
INSERT INTO loyalty.rule (program, name, award) VALUES ('money', 'base', '1 per 1');
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('money', 'USD', 0.5);
CREATE TABLE foreign_sale (id int PRIMARY KEY, customer text, total numeric, money text);
SELECT loyalty.attach('foreign_sale', member => 'customer', amount => 'total', currency => 'money', program => 'money') \g /dev/null
SELECT loyalty.adjust('s', 100, program => 'money') \g /dev/null
INSERT INTO foreign_sale VALUES (1, 's', 80, 'USD');
SELECT loyalty.spend('s', 10, purchase => '1', program => 'money') \g /dev/null
UPDATE foreign_sale SET total = 20;
SELECT is(back('s', 3, 'money'), 7::numeric, 'another currency');

-- Whose life span has passed by the time of the return
INSERT INTO loyalty.program (name, reinstate) VALUES ('gone', NULL), ('anew', '30 days');
CREATE TABLE old_sale (id int PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('old_sale', member => 'customer', amount => 'total', at => $$'2024-01-05 12:00+00'::timestamptz$$, program => p) FROM unnest('{gone,anew}'::text[]) p \g /dev/null
SELECT loyalty.adjust('t', 100, expires => '2024-01-31', at => '2024-01-01 12:00+00', program => p) FROM unnest('{gone,anew}'::text[]) p \g /dev/null
INSERT INTO old_sale VALUES (1, 't', 100);
SELECT loyalty.spend('t', 60, purchase => '1', at => '2024-01-10 12:00+00', program => p) FROM unnest('{gone,anew}'::text[]) p \g /dev/null
UPDATE old_sale SET total = 50;
DELETE FROM old_sale;
SELECT is(purse('t', 'gone'), '{}', 'what has passed lapses');
SELECT is(purse('t', 'anew'), format('{60@%s}', current_date + 30), 'or gets a new life');

-- A discount that is off the purchase goes back as a spend does, and its redemption with it; what goes along does not
INSERT INTO loyalty.program (name) VALUES ('off');
INSERT INTO loyalty.reward (program, name, kind, cost, value, voucher, stock) VALUES ('off', 'FIVE', 'discount', 99, 5, false, 10);
INSERT INTO loyalty.reward (program, name, kind, cost, stock) VALUES ('off', 'MUG', 'product', 50, 10);
CREATE TABLE off_sale (id int PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('off_sale', member => 'customer', amount => 'total', program => 'off') \g /dev/null
SELECT loyalty.adjust('u', 1000, program => 'off') \g /dev/null
INSERT INTO off_sale VALUES (1, 'u', 100);
SELECT loyalty.redeem('u', 'FIVE', 2, purchase => '1', program => 'off'), loyalty.redeem('u', 'MUG', purchase => '1', program => 'off') \g /dev/null
UPDATE off_sale SET total = 75;
SELECT is(back('u', 3, 'off'), 49::numeric, 'a quarter of the points');
SELECT is((SELECT string_agg(format('%s %s %s', reward, status, returned), ', ' ORDER BY entry) FROM loyalty.redemptions WHERE program = 'off') COLLATE "default",
	'FIVE fulfilled 0, MUG fulfilled 0', 'no unit is back yet');
UPDATE off_sale SET total = 40;
UPDATE off_sale SET total = 0;
SELECT is(back('u', 3, 'off'), 198::numeric, 'all of them in the end');
SELECT is((SELECT string_agg(format('%s %s %s', reward, status, returned), ', ' ORDER BY entry) FROM loyalty.redemptions WHERE program = 'off') COLLATE "default",
	'FIVE cancelled 2, MUG fulfilled 0', 'the discount is cancelled with it');
SELECT is((SELECT string_agg(format('%s %s', reward, taken), ', ' ORDER BY reward) FROM loyalty.stock WHERE program = 'off') COLLATE "default",
	'FIVE 0, MUG 1', 'and is in stock again');

SELECT sound('verify finds nothing in the end');

-- In debt, an order that was paid with points gets another key: they still pay, and nobody owes more.
INSERT INTO loyalty.program (name) VALUES ('in debt');
INSERT INTO loyalty.rule (program, name, award) VALUES ('in debt', 'base', '1 per 1');
CREATE TABLE debt_order (id int PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('debt_order', member => 'customer', amount => 'total', program => 'in debt') \g /dev/null
INSERT INTO debt_order VALUES (1, 'deb', 100), (2, 'deb', 20);
SELECT loyalty.spend('deb', 90, purchase => '2', program => 'in debt') \g /dev/null
DELETE FROM debt_order WHERE id = 1;
UPDATE debt_order SET id = 3 WHERE id = 2;
SELECT is((SELECT debt FROM loyalty.balance('deb', program => 'in debt'))::numeric, 70::numeric, 'a new key leaves the debt as it is');
SELECT is_empty($$SELECT * FROM loyalty.verify('in debt')$$, 'and is sound');
SELECT * FROM finish();
ROLLBACK;
