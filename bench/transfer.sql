-- Members with points, for the engine and for a minimal double-entry ledger in
-- PL/pgSQL: both balances are locked in the order of their ids, the giver's is
-- checked, both are changed, and two rows are written, one for each side. No
-- lots, no expiry, no keys, no limits, no hash chain.
--
-- Variables: members.

CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, currency, time_zone) VALUES ('beans', 'USD', 'UTC');
SELECT count(loyalty.adjust(n, 1000000, expires => '2990-12-31')), count(loyalty.adjust(n, 1000000))
FROM generate_series(1, :members) n \g /dev/null

-- Everybody gives once and gets once, in no order.
CREATE TABLE pair AS
SELECT 1 + n * 48271::bigint % :members AS giver, 1 + (n * 48271::bigint % :members + :members / 3 + 1) % :members AS receiver
FROM generate_series(1, :members) n;

CREATE TABLE peer_account (
	customer_id bigint PRIMARY KEY,
	balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 70);
CREATE TABLE peer_entry (
	entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer_id bigint NOT NULL,
	other_id bigint,
	points bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON peer_entry (customer_id, entry_id);
INSERT INTO peer_account SELECT n, 2000000 FROM generate_series(1, :members) n;
INSERT INTO peer_entry (customer_id, points) SELECT n, 1000000 FROM generate_series(1, :members) n, generate_series(1, 2);

CREATE FUNCTION peer_transfer(giver bigint, receiver bigint, wanted bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	have bigint;
BEGIN
	IF giver = receiver THEN
		RAISE EXCEPTION 'a member cannot transfer points to himself';
	END IF;
	PERFORM FROM peer_account WHERE customer_id = least(giver, receiver) FOR UPDATE;
	PERFORM FROM peer_account WHERE customer_id = greatest(giver, receiver) FOR UPDATE;
	SELECT balance INTO have FROM peer_account WHERE customer_id = giver;
	IF NOT FOUND OR have < wanted THEN
		RAISE EXCEPTION 'insufficient points';
	END IF;
	INSERT INTO peer_entry (customer_id, other_id, points) VALUES (giver, receiver, -wanted), (receiver, giver, wanted);
	UPDATE peer_account SET balance = balance - wanted WHERE customer_id = giver;
	UPDATE peer_account SET balance = balance + wanted WHERE customer_id = receiver;
	RETURN have - wanted;
END
$$;
VACUUM (ANALYZE);
