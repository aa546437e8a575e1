-- What a careful developer writes without the extension: a row trigger that
-- keeps a lot for each purchase and a balance for each customer. No rules, no
-- history, no hash chain; inserts only.

CREATE TABLE peer_balance (
	customer_id bigint PRIMARY KEY,
	points bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE peer_lot (
	order_id bigint PRIMARY KEY,
	customer_id bigint NOT NULL,
	points bigint NOT NULL,
	remaining bigint NOT NULL,
	expires date NOT NULL
);
CREATE INDEX ON peer_lot (customer_id, expires);

CREATE FUNCTION peer_earn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	earned bigint;
BEGIN
	IF NEW.status <> 'paid' THEN
		RETURN NULL;
	END IF;
	earned := floor(NEW.total);
	INSERT INTO peer_lot (order_id, customer_id, points, remaining, expires)
	VALUES (NEW.order_id, NEW.customer_id, earned, earned,
	        (date_trunc('month', NEW.created_at AT TIME ZONE 'UTC') + interval '13 months')::date - 1);
	INSERT INTO peer_balance AS b (customer_id, points)
	VALUES (NEW.customer_id, earned)
	ON CONFLICT (customer_id) DO UPDATE SET points = b.points + excluded.points;
	RETURN NULL;
END
$$;

CREATE TRIGGER earn AFTER INSERT ON peer_orders FOR EACH ROW EXECUTE FUNCTION peer_earn();
