-- Currencies: amounts in others are worth what they were at the purchase's time, and stay so.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SET client_min_messages = error;	-- of purchases that are deferred
SELECT no_plan();

INSERT INTO program (name, currency, points_scale) VALUES ('shop', 'EUR', 4);
INSERT INTO currency_rate (program, currency, rate, valid) VALUES
	('shop', 'USD', 0.5, '[2025-01-01,2025-02-01)'), ('shop', 'USD', 0.8, '[2025-02-01,2025-03-01)'), ('shop', 'USD', 0.9, '[2025-03-01,)'),
	('shop', 'JPY', 0.00617, '(,)'), ('shop', 'GBP', 1.25, '[2025-01-15,2025-01-20)'), ('shop', 'GBP', 1.2, '[2025-01-20,)');
INSERT INTO rule (program, name, award, condition, min_amount) VALUES ('shop', 'base', '1 per 1', NULL, NULL), ('shop', 'more than 60', '1000', 'amount > 60 AND order_amount > 60', NULL), ('shop', 'least 50', '2000', NULL, 50), ('shop', 'dollars', '4000', $$currency = 'USD'$$, NULL);
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, currency text, at timestamptz DEFAULT '2025-02-15', counts boolean DEFAULT true);
INSERT INTO orders VALUES (1, 'old', 100, 'USD', '2025-01-31 23:59:59.999999+00'), (2, 'old', 10, 'CHF', '2025-01-31');
SELECT attach('orders', member => 'member', amount => 'amount', currency => 'currency', at => 'at', counts => 'counts') > 0;
CREATE FUNCTION net(id int) RETURNS numeric LANGUAGE sql AS $$ SELECT sum(points)::numeric FROM loyalty.entry WHERE source_key = id::text $$;
CREATE FUNCTION nets(VARIADIC ids int[]) RETURNS numeric[] LANGUAGE sql AS $$ SELECT array_agg(net(id) ORDER BY n) FROM unnest(ids) WITH ORDINALITY i (id, n) $$;
CREATE FUNCTION late() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(source_key || ' ' || error_code, ', ' ORDER BY source_key::int) FROM loyalty.deferred $$;

-- converted at the purchase's time
INSERT INTO orders VALUES (11, 'a', 100, 'USD', '2025-02-01'), (12, 'a', 100, 'USD', '2025-02-28 23:59:59.999999+00'), (13, 'a', 100, 'USD', '2025-03-01'), (14, 'a', 100, 'EUR', DEFAULT), (15, 'a', 100, NULL, DEFAULT), (16, 'a', 12345, 'JPY', DEFAULT), (17, 'a', -100, 'USD', '2025-02-01'), (18, 'a', 33.33, 'GBP', '2025-01-19');
-- 12345 yen are 76.16865, 33.33 pounds are 41.6625
SELECT is(nets(11, 12, 13, 14, 15, 16, 17, 18), '{7080,7080,7090,3100,3100,3076.1686,-7080,41.6625}', 'rates of the time; conditions and minima are in the program''s currency, refunds too');
SELECT is((SELECT sum(amount) FROM entry), 80 + 80 + 90 + 100 + 100 + 76.16865 - 80 + 41.6625, 'and so are amounts in the ledger');
-- no rate: deferred, and settled when there is one
INSERT INTO orders VALUES (21, 'b', 10, 'EUR', DEFAULT, true), (22, 'b', 10, 'CHF', DEFAULT, true), (23, 'b', 10, 'GBP', '2025-01-14 23:59:59+00', true), (24, 'b', 10, 'USD', '2024-12-31', true),
	(25, 'b', 10, 'eur', DEFAULT, true), (26, 'b', 10, 'USD', DEFAULT, true), (27, NULL, 10, 'CHF', DEFAULT, true), (28, 'b', 10, 'CHF', now(), false);
SELECT is(nets(21, 22, 23, 24, 25, 26), '{10,NULL,NULL,NULL,NULL,4008}', 'without a rate nothing, the others earn');
SELECT is(late(), '22 LY011, 23 LY011, 24 LY011, 25 LY011', 'and they are deferred');
SELECT is(count(*), 8::bigint, 'their orders stand') FROM orders WHERE id BETWEEN 21 AND 28;
CALL maintain();
SELECT results_eq('SELECT late(), min(attempts) FROM deferred', $$VALUES ('22 LY011, 23 LY011, 24 LY011, 25 LY011', 2)$$, 'they stay so as long as there is none');
INSERT INTO currency_rate (program, currency, rate, valid) VALUES ('shop', 'CHF', 1.05, '(,)'), ('shop', 'eur', 1, '(,)');
UPDATE currency_rate SET valid = '[2024-01-01,2025-02-01)' WHERE currency = 'USD' AND rate = 0.5;
CALL maintain();
SELECT is(nets(22, 23, 24, 25), '{10.5,NULL,4005,10}', 'maintenance settles those for which there is one now');
SELECT is(late(), '23 LY011', 'not the one before the first pound');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');

-- what a purchase was worth is kept
CREATE TEMP TABLE before AS SELECT source_key, sum(points) AS points FROM entry GROUP BY 1;
UPDATE currency_rate SET rate = rate * 10 WHERE currency IN ('USD', 'JPY');
DELETE FROM currency_rate WHERE currency = 'CHF';
UPDATE orders SET counts = counts, member = member;
SELECT results_eq('SELECT source_key, sum(points) FROM entry GROUP BY 1 ORDER BY 1', 'SELECT * FROM before ORDER BY 1', 'another rate changes nothing');
SELECT is_empty('SELECT * FROM verify()', 'nor does it contradict');
UPDATE orders SET amount = amount / 4 WHERE id BETWEEN 11 AND 27;
SELECT is(nets(11, 12, 13, 14, 15, 16, 17, 18, 22, 25, 26), '{4020,4020,4022.5,25,25,19.0421,-4020,10.4156,2.625,2.5,4002}', 'a return is worth what it was');
UPDATE orders SET amount = amount * 8 WHERE id BETWEEN 11 AND 13;
SELECT is(nets(11, 12, 13), '{7160,7160,7180}', 'and so is more of it');
UPDATE orders SET at = '2025-03-05', amount = 100 WHERE id = 11;
SELECT is(net(11), 7080.0, 'also when the order is given another time');
-- another currency: what that was worth at the time; and the first one's is still known
UPDATE orders SET currency = 'GBP' WHERE id IN (11, 18);
UPDATE orders SET currency = 'USD' WHERE id = 18;
SELECT is(nets(11, 18), '{3120,4041.6625}', 'another currency, at the rate of now for the time of then');
UPDATE orders SET currency = 'USD' WHERE id = 11;
SELECT is(net(11), 7080.0, 'and back: at the rate that was kept');
UPDATE orders SET currency = NULL WHERE id = 11;
SELECT is(net(11), 3100.0, 'its own');
UPDATE orders SET currency = 'CHF' WHERE id IN (11, 22);
SELECT results_eq('SELECT nets(11, 22), late()', $$VALUES ('{3100,2.625}'::numeric[], '11 LY011, 23 LY011')$$, 'one for which none is known is deferred; one that has it is not');
UPDATE orders SET currency = 'USD', amount = 50 WHERE id = 11;
SELECT is(net(11), 4040.0, 'until it is mended');
CALL maintain();
SELECT is(late(), '23 LY011', 'as maintenance notices');
UPDATE orders SET member = 'c' WHERE id = 12;
SELECT is((SELECT sum(points)::numeric FROM entry JOIN member USING (member_id) WHERE source_key = '12' AND ref = 'c'), 7000.0 + 200 * 8, 'for another member it is judged anew');
UPDATE orders SET counts = NOT counts WHERE id IN (13, 28);
UPDATE orders SET counts = NOT counts WHERE id = 13;
SELECT results_eq('SELECT net(13), late()', $$VALUES (7180.0, '23 LY011, 28 LY011')$$, 'what counts again has its rate, what counts for the first time asks for one');
DELETE FROM currency_rate;
DELETE FROM orders WHERE id IN (16, 18);
SELECT is(nets(16, 18), '{0,0}', 'to take back no rate is needed');
DELETE FROM orders WHERE id = 23;
CALL maintain();
SELECT is(late(), '28 LY011', 'what is gone is deferred no more');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');

-- history
INSERT INTO currency_rate (program, currency, rate, valid) VALUES ('shop', 'USD', 0.75, '(,)');
CALL backfill('orders');
SELECT results_eq('SELECT net(1), net(2), late()', $$VALUES (7075.0, NULL::numeric, '2 LY011, 28 LY011')$$, 'backfill converts as well');
INSERT INTO currency_rate (program, currency, rate, valid) VALUES ('shop', 'CHF', 1.1, '[2025-01-01,2025-02-01)'), ('shop', 'CHF', 1.2, '[2025-02-01,)');
CALL maintain();
SELECT results_eq('SELECT net(2), net(28), late()', $$VALUES (11.0, 12.0, NULL)$$, 'each at its time');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');

-- several currencies in one basket
CREATE TABLE lines (order_id int, amount numeric, currency text, PRIMARY KEY (order_id, currency));
INSERT INTO program (name, currency, points_scale) VALUES ('baskets', 'EUR', 2);
INSERT INTO currency_rate (program, currency, rate) VALUES ('baskets', 'USD', 0.75), ('baskets', 'GBP', 1.333333);
INSERT INTO rule (program, name, award) VALUES ('baskets', 'base', '1 per full 10'), ('baskets', 'percent', '1%');
SELECT attach_query(name => 'basket', query => $$SELECT order_id AS key, 'd' AS member, amount, currency, '2025-02-03'::timestamptz AS at FROM public.lines$$, watch => '{public.lines.order_id}', program => 'baskets') > 0;
CREATE FUNCTION basket() RETURNS numeric LANGUAGE sql AS $$ SELECT sum(points)::numeric FROM loyalty.entry JOIN loyalty.program USING (program_id) WHERE name = 'baskets' $$;
INSERT INTO lines VALUES (1, 10, 'USD'), (1, 20, 'GBP'), (1, 30, 'EUR');
-- 7.5 + 26.66666 + 30 = 64.16666
SELECT is(basket(), 6.64, 'one sum of all of them');
UPDATE currency_rate SET rate = 100 WHERE program = 'baskets';
UPDATE lines SET amount = 8 WHERE currency = 'EUR';
SELECT is(basket(), 4.42, '42.16666');
INSERT INTO lines VALUES (1, 5, 'CHF');
SELECT is(basket(), 4.42, 'one that is not known keeps the basket as it is');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
INSERT INTO currency_rate (program, currency, rate) VALUES ('baskets', 'CHF', 2);
CALL maintain();
SELECT is(basket(), 5.52, 'and then 52.16666: the others have kept theirs');
DELETE FROM lines WHERE currency = 'GBP';
SELECT is(basket(), 2.25, '25.5');
SELECT is_empty('SELECT * FROM verify()', 'nothing contradicts itself');
SELECT * FROM finish();
