--
-- deferral: which part of the sales is owed for points, and when it is earned
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';

-- IFRS 15, Illustrative Example 52 (IE267 to IE270): a point for each 10 paid, each takes 1 off a later price; sales of
-- 100,000, 9,500 of 10,000 points expected to be redeemed; 4,500 in the first year, 8,500 in all in the second, 9,700
-- expected then. Goods 91,324, points 8,676; 4,110 recognized, 4,566 left; 3,493 recognized, 1,073 left.
INSERT INTO loyalty.program (name, currency, point_value) VALUES ('deferral_ifrs', 'CU', 1);
INSERT INTO loyalty.rule (program, name, award) VALUES ('deferral_ifrs', 'base', '1 per 10');
SET loyalty.program = 'deferral_ifrs';
SELECT loyalty.set_estimate('redemption_rate', 0.95, '2023-01-01'), loyalty.set_estimate('redemption_rate', 0.97, '2024-01-01');
SELECT count(loyalty.record('member ' || i, 'purchase', 1000, at => '2023-01-10'::timestamptz + i * interval '1 day')) FROM generate_series(1, 100) i;
SELECT count(loyalty.spend('member ' || i, 45, at => '2023-06-01'::timestamptz + i * interval '1 day')) FROM generate_series(1, 100) i;
SELECT count(loyalty.spend('member ' || i, 40, at => '2024-06-01'::timestamptz + i * interval '1 day')) FROM generate_series(1, 100) i;
SELECT starts, round(goods) AS goods, round(deferred) AS points, round(on_redemption + on_expiry + catch_up) AS recognized, round(closing) AS closing
FROM loyalty.deferral('year', until => '2025-01-01');
\x
SELECT * FROM loyalty.deferral('year', until => '2025-01-01');
\x
-- However it is cut, it comes to the same; a part begins with what was before.
SELECT starts, ends, opening, deferred, on_redemption, catch_up, closing FROM loyalty.deferral('quarter', '2023-05-01', '2024-08-16');
SELECT u AS unit, count(*), sum(sales) AS sales, sum(deferred) AS deferred, sum(on_redemption) AS on_redemption, sum(on_expiry) AS on_expiry, sum(catch_up) AS catch_up,
	bool_and(opening + deferred - on_redemption - on_expiry - catch_up = closing) AS foots, bool_and(goods + deferred = sales) AS shared
FROM unnest('{day,week,month,quarter,year}'::text[]) WITH ORDINALITY p (u, n), loyalty.deferral(u, until => '2025-01-01') GROUP BY n, u ORDER BY n;

-- A closed period stays as it was known: not with what is posted later of before, nor with another estimate.
SELECT pg_sleep(0.01), now() AS closed \gset
SELECT md5(string_agg(d::text, '|')) AS figures FROM loyalty.deferral('month', until => '2025-01-01') d \gset
SELECT entry FROM loyalty.spend('member 1', 10, at => '2024-03-01');
SELECT entry FROM loyalty.record('late', 'purchase', 500, at => '2023-12-31 12:00');
SELECT loyalty.set_estimate('redemption_rate', 0.96, '2024-01-01'), loyalty.set_estimate('point_value', 0.9, '-infinity');
UPDATE loyalty.program SET point_value = 2 WHERE name = 'deferral_ifrs';
SELECT md5(string_agg(d::text, '|')) = :'figures' AS same FROM loyalty.deferral('month', until => '2025-01-01') d;
SELECT md5(string_agg(d::text, '|')) = :'figures' AS same FROM loyalty.deferral('month', until => '2025-01-01', known_at => :'closed') d;
SELECT starts, sales, deferred, on_redemption, catch_up, closing FROM loyalty.deferral('year', until => '2025-01-01');

-- Points that end: 60 of 100 are expected to be redeemed, 50 are; with their month the rest is earned. Extended and given
-- points take their money along. What was bought without points is not shared, what was given without a sale brings nothing.
INSERT INTO loyalty.program (name, currency, expiry, point_value) VALUES ('deferral_ends', 'USD', '3 months end of month', 0.1);
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('deferral_ends', 'base', 'purchase', '1 per full 1'), ('deferral_ends', 'double', 'purchase', 'x2'), ('deferral_ends', 'review', 'review', '10');
SET loyalty.program = 'deferral_ends';
SELECT loyalty.set_estimate('redemption_rate', 0.6, '-infinity');
SELECT entry FROM loyalty.record('ann', 'purchase', 50, key => 'a', at => '2024-01-10') UNION ALL SELECT entry FROM loyalty.record('ann', 'purchase', 0.9, at => '2024-01-11');
SELECT entry FROM loyalty.spend('ann', 50, at => '2024-02-10');
SELECT entry FROM loyalty.record('bob', 'purchase', 20, key => 'b', at => '2024-02-01');
SELECT entry FROM loyalty.record('cid', 'review', key => 'c', at => '2024-02-01');
CALL loyalty.maintain(program => 'deferral_ends');
SELECT starts, sales, goods, issued, redeemed, expired, stand_alone, deferred, on_redemption, on_expiry, catch_up, closing FROM loyalty.deferral('month', until => '2024-08-01');
-- returned: what was deferred is taken back
INSERT INTO loyalty.program (name, currency, point_value, clawback) VALUES ('deferral_moves', 'USD', 0.1, 'debt');
INSERT INTO loyalty.rule (program, name, award, expiry) VALUES ('deferral_moves', 'base', '1 per 1', '3 months end of month');
SET loyalty.program = 'deferral_moves';
CREATE TABLE deferral_orders (order_id int PRIMARY KEY, customer text, at timestamptz, total numeric);
SELECT count(loyalty.attach('deferral_orders', member => 'customer', amount => 'total', at => 'at'));
INSERT INTO deferral_orders VALUES (1, 'ann', now(), 110), (2, 'bob', now(), 110), (3, 'cid', now(), 220);
SELECT sales, issued, stand_alone, deferred, on_redemption, on_expiry, closing FROM loyalty.deferral('year');
UPDATE deferral_orders SET total = 0 WHERE order_id = 2;
SELECT entry FROM loyalty.spend('cid', 220);
DELETE FROM deferral_orders WHERE order_id = 3;
SELECT sales, issued, redeemed, stand_alone, deferred, on_redemption, on_expiry, closing FROM loyalty.deferral('year');
SELECT ends AS last FROM loyalty.lots('ann') \gset
SELECT entry FROM loyalty.extend('ann', :'last', (:'last'::date + interval '1 year')::date);
SELECT entry FROM loyalty.transfer('ann', 'dan', 55);
SELECT entry FROM loyalty.hold('dan', 20);
SELECT sales, issued, redeemed, deferred, on_redemption, on_expiry, closing FROM loyalty.deferral('year');
SELECT entry FROM loyalty.spend('dan', 35);
SELECT sales, issued, redeemed, deferred, on_redemption, on_expiry, closing FROM loyalty.deferral('year');

-- Nothing is recognized of what has no value: it is not known.
INSERT INTO loyalty.program (name) VALUES ('deferral_none');
INSERT INTO loyalty.rule (program, name, award) VALUES ('deferral_none', 'base', '1 per 1');
SET loyalty.program = 'deferral_none';
SELECT count(*) FROM loyalty.deferral();
SELECT count(*) FROM loyalty.deferral('day', '-infinity', 'infinity', 'infinity');
SELECT entry FROM loyalty.record('ann', 'purchase', 100, at => '2024-05-05');
SELECT starts, ends, sales, issued, deferred, goods, closing FROM loyalty.deferral('month', '2024-05-03', '2024-07-10');
SELECT count(*) FROM loyalty.deferral('month', '2024-07-01', '2024-07-01');
SELECT count(*) FROM loyalty.deferral(known_at => '2000-01-01');
SELECT count(*) FROM loyalty.deferral('day', '5874897-12-31', 'infinity');
SELECT count(*) FROM loyalty.deferral('day', 'infinity');
SELECT count(*) FROM loyalty.deferral('day', until => '-infinity');
SELECT count(*), min(starts), sum(sales) FROM loyalty.deferral('year', '4713-01-01 BC', '2025-01-01');

-- Periods that there are none of
SELECT count(*) FROM loyalty.deferral('hour');
SELECT count(*) FROM loyalty.deferral('fortnight', program => 'deferral_ends');
SELECT count(*) FROM loyalty.deferral(NULL);
SELECT count(*) FROM loyalty.deferral(program => 'nobody''s');

-- Only for who may read the program
RESET loyalty.program;
CREATE ROLE regress_accountant;
SET ROLE regress_accountant;
SELECT count(*) FROM loyalty.deferral(program => 'deferral_ifrs');
RESET ROLE;
SELECT loyalty.grant_access('regress_accountant', 'read', 'deferral_ifrs');
SET ROLE regress_accountant;
SELECT sum(deferred) > 0 AS deferred FROM loyalty.deferral('year');
SELECT count(DISTINCT program_id) FROM loyalty.lots_by_day;
SELECT count(DISTINCT program_id) FROM loyalty.lot_movements;
SELECT count(*) FROM loyalty.deferral(program => 'deferral_ends');
RESET ROLE;
SELECT loyalty.revoke_access('regress_accountant', 'read', 'deferral_ifrs');
DROP ROLE regress_accountant;
DROP TABLE deferral_orders;
