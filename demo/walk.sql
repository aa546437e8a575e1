-- ---------------------------------------------------------------------------
-- The shop has kept its orders in PostgreSQL for two years.
-- ---------------------------------------------------------------------------

SELECT count(*) AS orders, count(DISTINCT customer_id) AS customers,
       min(created_at)::date AS first, max(created_at)::date AS last
FROM orders;

-- ---------------------------------------------------------------------------
-- Now it gets a program: a point for every full dollar, good for a year and
-- then to the end of that month. Programs and rules are rows.
-- ---------------------------------------------------------------------------

CREATE EXTENSION loyalty;

INSERT INTO loyalty.program (name, currency, expiry, time_zone)
VALUES ('beans', 'USD', '12 months end of month', 'UTC');

INSERT INTO loyalty.rule (program, name, award)
VALUES ('beans', 'base', '1 per 1');

-- Attach the shop's own table: which column is the customer, which the amount,
-- and which orders count. Nothing about the table changes but its triggers.

SELECT loyalty.attach('orders', member => 'customer_id', amount => 'total',
                      at => 'created_at', counts => $$status = 'paid'$$);

-- Two years of history earn too, in committed batches. Orders without a
-- customer are guests' and left out.

CALL loyalty.backfill('orders', 1000);

-- What customer 42 has now ("-" stands for NULL). "lifetime" is all that he has
-- earned; the rest of it expired in the meantime.

SELECT * FROM loyalty.balance('42');

-- ---------------------------------------------------------------------------
-- An order earns in its own transaction: before it commits, and only if it does.
-- ---------------------------------------------------------------------------

BEGIN;
INSERT INTO orders (order_id, customer_id, total) VALUES (900001, 42, 37.90);
SELECT available FROM loyalty.balance('42');
ROLLBACK;

SELECT available FROM loyalty.balance('42');

-- The same order again, and this time it stays: 37 points.

INSERT INTO orders (order_id, customer_id, total) VALUES (900001, 42, 37.90);
SELECT available FROM loyalty.balance('42');

-- ---------------------------------------------------------------------------
-- The ledger follows the rows. An order that is not paid yet earns nothing ...
-- ---------------------------------------------------------------------------

INSERT INTO orders (order_id, customer_id, total, status) VALUES (900002, 42, 80, 'pending');
SELECT available FROM loyalty.balance('42');

-- ... until it is paid: 80 points.

UPDATE orders SET status = 'paid' WHERE order_id = 900002;
SELECT available FROM loyalty.balance('42');

-- Part of it comes back: 25.50 of the 80 are refunded, 54 points remain of it.

UPDATE orders SET total = 54.50 WHERE order_id = 900002;
SELECT available FROM loyalty.balance('42');

-- Then the rest is cancelled, and the other order deleted: the balance is what
-- it was before both.

UPDATE orders SET status = 'cancelled' WHERE order_id = 900002;
DELETE FROM orders WHERE order_id = 900001;
SELECT available FROM loyalty.balance('42');

-- A goodwill gesture. With a key, it can be sent twice and counts once.

SELECT * FROM loyalty.adjust('42', 100, reason => 'sorry for the wait', key => 'ticket-7');
SELECT * FROM loyalty.adjust('42', 100, reason => 'sorry for the wait', key => 'ticket-7');

-- ---------------------------------------------------------------------------
-- Points are spent where they are earned. As money: a point pays a cent of the
-- order that names it ...
-- ---------------------------------------------------------------------------

UPDATE loyalty.program SET point_value = 0.01;
INSERT INTO orders (order_id, customer_id, total) VALUES (900003, 42, 24.90);
SELECT * FROM loyalty.spend('42', 60, purchase => '900003', amount => 24.90);

-- ... and half of it goes back with half of the order.

UPDATE orders SET total = 12.45 WHERE order_id = 900003;
SELECT kind, points, balance FROM loyalty.statement('42') ORDER BY entry DESC LIMIT 2;

-- Or for a reward. This one gives a voucher, of whose code only a hash is kept.

INSERT INTO loyalty.reward (program, name, title, kind, cost, value, valid_for)
VALUES ('beans', 'FIVE-OFF', 'Five dollars off', 'discount', 50, 5, '30 days');
SELECT reward, title, cost, available, missing FROM loyalty.catalogue('42');
SELECT entry, points, balance, voucher, status FROM loyalty.redeem('42', 'FIVE-OFF', key => 'app-1');

-- He changes his mind: the points go back into the lots they came from, and the
-- voucher is void.

SELECT * FROM loyalty.cancel('42', (SELECT max(entry) FROM loyalty.redemptions WHERE member = '42'));
SELECT reward, points, status FROM loyalty.redemptions;
SELECT kind, value, void_reason FROM loyalty.voucher;

-- ---------------------------------------------------------------------------
-- Every point can be explained.
-- ---------------------------------------------------------------------------

SELECT * FROM loyalty.balance('42');

-- What happened within the last hour. Each entry names its rule and its purchase:

SELECT * FROM loyalty.statement('42', since => now() - interval '1 hour');

-- What he can spend, and the last day of it:

SELECT * FROM loyalty.lots('42');

-- What the shop owes all its members, by the month in which it expires:

SELECT * FROM loyalty.liability;

-- Points open and expire on their day without any job. Maintenance writes down
-- what did, and tries orders again that an error kept from earning.

CALL loyalty.maintain();

-- And the proof: every balance is the sum of its entries, every purchase has
-- earned what its row says, no entry was touched. No row means sound.

SELECT * FROM loyalty.verify();
