-- The coffee shop of shop.sql with a program in which members redeem and answer:
-- for the page of make report.

\ir shop.sql

CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, currency, expiry, time_zone, point_value)
VALUES ('beans', 'USD', '12 months end of month', 'UTC', 0.05);
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('beans', 'regular', 1, 100), ('beans', 'gold', 2, 500);
SELECT loyalty.attach('orders', member => 'customer_id', amount => 'total', at => 'created_at', counts => $$status = 'paid'$$) \g /dev/null
SET client_min_messages = warning;
CALL loyalty.backfill('orders', 1000);

-- Whoever has 50 points by an order, and has not lost them since, may pay with them.
\o /dev/null
SELECT format('SELECT loyalty.spend(%L, 50, at => %L) FROM (SELECT min(b.available) AS least FROM (SELECT %2$L::timestamptz UNION ALL'
			  ' SELECT generate_series(date_trunc(''month'', %2$L::timestamptz) + interval ''1 month'', now(), ''1 month'')) t (at)'
			  ' CROSS JOIN LATERAL loyalty.balance(%1$L, t.at) b) b WHERE least >= 50', customer_id, created_at)
FROM orders
WHERE customer_id IS NOT NULL AND status = 'paid' AND order_id % 4 = 0
ORDER BY created_at, order_id \gexec

-- One in nine is asked, and is rather pleased.
SELECT loyalty.feedback(customer_id, 10 - (order_id % 37 % 5 + order_id % 11 / 8)::integer, at => created_at)
FROM orders
WHERE customer_id IS NOT NULL AND status = 'paid' AND order_id % 9 = 0
ORDER BY created_at;
SELECT loyalty.feedback(customer_id, 5 - (order_id % 17 % 4)::integer, kind => 'satisfaction', at => created_at)
FROM orders
WHERE customer_id IS NOT NULL AND status = 'paid' AND order_id % 10 = 0
ORDER BY created_at;
CALL loyalty.maintain();
\o
