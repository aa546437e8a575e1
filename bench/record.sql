-- Members with points, for the engine and for a minimal double-entry ledger in
-- PL/pgSQL: a point for each unit of the amount, the customer's balance raised,
-- and two rows written, one for each side. The shop's side has no balance row,
-- on which all would queue. No rules, no lots, no expiry, no keys, no limits,
-- no hash chain.
--
-- Variables: members.

CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, currency, expiry, time_zone) VALUES ('beans', 'USD', '12 months end of month', 'UTC');
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
SELECT count(loyalty.record(n, 'purchase', 100)) FROM generate_series(1, :members) n \g /dev/null

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
	amount numeric,
	points bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON peer_entry (customer_id, entry_id);

CREATE FUNCTION peer_record(customer bigint, paid numeric) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	earned bigint := floor(paid);
	have bigint;
BEGIN
	INSERT INTO peer_account AS a (customer_id, balance) VALUES (customer, earned)
	ON CONFLICT (customer_id) DO UPDATE SET balance = a.balance + excluded.balance
	RETURNING balance INTO have;
	INSERT INTO peer_entry (account, customer_id, amount, points)
	VALUES ('points', customer, paid, earned), ('shop', NULL, paid, -earned);
	RETURN have;
END
$$;
SELECT count(peer_record(n, 100)) FROM generate_series(1, :members) n \g /dev/null
VACUUM (ANALYZE);
