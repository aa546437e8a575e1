-- What a careful developer writes without the extension: a row trigger that
-- keeps a lot for each purchase and a balance for each customer, and a function
-- that redeems from the lots, soonest to expire first. No rules, no history but
-- a row for each redemption, no hash chain; inserts only.

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
) WITH (fillfactor = 90);
CREATE INDEX ON peer_lot (customer_id, expires);

CREATE TABLE peer_redemption (
	redemption_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer_id bigint NOT NULL,
	points bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON peer_redemption (customer_id);

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

-- The lock on the customer's balance is the lock on his lots. The balance may
-- still have what has expired, so the lots decide; it is what is left in all.
CREATE FUNCTION peer_redeem(customer bigint, wanted bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	have bigint;
	due bigint := wanted;
	taken bigint;
	lot record;
BEGIN
	SELECT points INTO have FROM peer_balance WHERE customer_id = customer FOR UPDATE;
	IF NOT FOUND OR have < wanted THEN
		RAISE EXCEPTION 'insufficient points';
	END IF;
	FOR lot IN
		SELECT order_id, remaining FROM peer_lot
		WHERE customer_id = customer AND expires >= current_date AND remaining > 0
		ORDER BY expires
	LOOP
		taken := least(due, lot.remaining);
		UPDATE peer_lot SET remaining = remaining - taken WHERE order_id = lot.order_id;
		due := due - taken;
		EXIT WHEN due = 0;
	END LOOP;
	IF due > 0 THEN
		RAISE EXCEPTION 'insufficient points';
	END IF;
	UPDATE peer_balance SET points = points - wanted WHERE customer_id = customer;
	INSERT INTO peer_redemption (customer_id, points) VALUES (customer, wanted);
	RETURN have - wanted;
END
$$;
