-- Members with twelve lots of 1000 points, one for each of the last months, for
-- the engine and for the PL/pgSQL peer.
--
-- Variables: members.

CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, currency, expiry, time_zone, point_value)
VALUES ('beans', 'USD', '12 months end of month', 'UTC', 0.01);
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
CREATE TABLE orders (
	order_id bigint PRIMARY KEY,
	customer_id bigint NOT NULL,
	total numeric(10,2) NOT NULL,
	status text NOT NULL DEFAULT 'paid',
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE peer_orders (LIKE orders INCLUDING ALL);
SELECT loyalty.attach('orders', member => 'customer_id', amount => 'total', at => 'created_at',
                      counts => $$status = 'paid'$$) \g /dev/null
\ir plpgsql_peer.sql

INSERT INTO orders (order_id, customer_id, total, created_at)
SELECT month * :members + n, n, 1000, date_trunc('month', now(), 'UTC') - make_interval(months => month)
FROM generate_series(0, 11) month, generate_series(1, :members) n;

-- As the trigger would write it, in one statement each.
ALTER TABLE peer_orders DISABLE TRIGGER earn;
INSERT INTO peer_orders SELECT * FROM orders;
INSERT INTO peer_lot (order_id, customer_id, points, remaining, expires)
SELECT order_id, customer_id, total, total, (date_trunc('month', created_at, 'UTC') AT TIME ZONE 'UTC' + interval '13 months')::date - 1
FROM peer_orders;
INSERT INTO peer_balance SELECT customer_id, sum(points) FROM peer_lot GROUP BY customer_id;
ALTER TABLE peer_orders ENABLE TRIGGER earn;

-- Everybody once, in no order.
CREATE TABLE customer AS SELECT 1 + n * 48271::bigint % :members AS c FROM generate_series(1, :members) n;
VACUUM (ANALYZE);
