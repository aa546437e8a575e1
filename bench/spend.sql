-- Members with points, for the engine and for a minimal double-entry ledger in
-- PL/pgSQL: the customer's balance is locked, checked and lowered, and two rows
-- are written, one for each side. The shop's side has no balance row, on which
-- all would queue. No lots, no expiry, no keys, no limits, no hash chain.
--
-- Variables: members.

CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, currency, time_zone, point_value) VALUES ('beans', 'USD', 'UTC', 0.01);
SELECT count(loyalty.adjust(n, 1000000, expires => '2990-12-31')), count(loyalty.adjust(n, 1000000))
FROM generate_series(1, :members) n \g /dev/null

-- Everybody once, in no order.
CREATE TABLE customer AS SELECT 1 + n * 48271::bigint % :members AS c FROM generate_series(1, :members) n;

CREATE TABLE peer_account (
	customer_id bigint PRIMARY KEY,
	balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 70);
CREATE TABLE peer_entry (
	entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	account text NOT NULL,
	customer_id bigint,
	points bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON peer_entry (customer_id, entry_id);
INSERT INTO peer_account SELECT n, 2000000 FROM generate_series(1, :members) n;
INSERT INTO peer_entry (account, customer_id, points)
SELECT account, CASE account WHEN 'points' THEN n END, CASE account WHEN 'points' THEN 1000000 ELSE -1000000 END
FROM generate_series(1, :members) n, generate_series(1, 2), unnest('{points,shop}'::text[]) account;

CREATE FUNCTION peer_spend(customer bigint, wanted bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	have bigint;
BEGIN
	SELECT balance INTO have FROM peer_account WHERE customer_id = customer FOR UPDATE;
	IF NOT FOUND OR have < wanted THEN
		RAISE EXCEPTION 'insufficient points';
	END IF;
	INSERT INTO peer_entry (account, customer_id, points) VALUES ('points', customer, -wanted), ('shop', NULL, wanted);
	UPDATE peer_account SET balance = balance - wanted WHERE customer_id = customer;
	RETURN have - wanted;
END
$$;
VACUUM (ANALYZE);
