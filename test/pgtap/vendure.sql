-- Vendure's way of writing an order: one row that is written over and over, from an empty cart to its return.
SET search_path = public, loyalty;
SELECT no_plan();

INSERT INTO program (name, currency, expiry, time_zone) VALUES ('shop', 'EUR', '12 months end of month', 'Europe/Vienna');
INSERT INTO rule (program, name, award) VALUES ('shop', 'base', '1 per full 10'), ('shop', 'welcome', '5');
-- What contradicts itself in the ledger; nothing, if all is well.
CREATE FUNCTION unsound() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT format('%s: purse %s, entries %s', m.ref, m.purse, e.lots) FROM loyalty.member m
		LEFT JOIN (SELECT member_id, loyalty.sum(lots) AS lots FROM loyalty.entry GROUP BY member_id) e USING (member_id)
		WHERE m.purse OPERATOR(loyalty.<>) coalesce(e.lots, '{}');
	IF to_regproc('loyalty.verify') IS NOT NULL THEN
		RETURN QUERY EXECUTE 'SELECT v::text FROM loyalty.verify() v';
	END IF;
END $$;
CREATE FUNCTION has(customer int) RETURNS numeric LANGUAGE sql AS $$ SELECT available::numeric FROM loyalty.balance(customer) $$;
CREATE FUNCTION entries() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM loyalty.entry $$;

-- As TypeORM creates it: quoted names, cents, a state that moves on.
CREATE TABLE "order" ("createdAt" timestamp(6) NOT NULL DEFAULT now(), "updatedAt" timestamp(6) NOT NULL DEFAULT now(),
	type varchar NOT NULL DEFAULT 'Regular', code varchar NOT NULL, state varchar NOT NULL, active boolean NOT NULL DEFAULT true,
	"orderPlacedAt" timestamp, "couponCodes" text NOT NULL DEFAULT '', "currencyCode" varchar NOT NULL DEFAULT 'EUR',
	id serial PRIMARY KEY, "customerId" integer, "subTotalWithTax" integer NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX "IDX_order_code" ON "order" (code);
SELECT lives_ok($$SELECT attach('"order"', member => '"customerId"', amount => '"subTotalWithTax" / 100.0', at => '"orderPlacedAt"',
	key => 'code', currency => '"currencyCode"',
	counts => 'state IN (''PaymentSettled'', ''PartiallyShipped'', ''Shipped'', ''PartiallyDelivered'', ''Delivered'')')$$, 'attached');

-- an empty cart of nobody, filled, with a customer
INSERT INTO "order" (code, state) VALUES ('T4', 'AddingItems');
UPDATE "order" SET "subTotalWithTax" = 2990, "updatedAt" = now() WHERE code = 'T4';
UPDATE "order" SET "customerId" = 7 WHERE code = 'T4';
UPDATE "order" SET "subTotalWithTax" = 5990, "couponCodes" = 'X' WHERE code = 'T4';
UPDATE "order" SET state = 'ArrangingPayment' WHERE code = 'T4';
UPDATE "order" SET state = 'AddingItems' WHERE code = 'T4';
UPDATE "order" SET "subTotalWithTax" = 9990, state = 'ArrangingPayment' WHERE code = 'T4';
SELECT is(entries(), 0::bigint, 'nothing is earned before it is paid');
SELECT is(count(*), 0::bigint, 'nor is anybody a member') FROM member;

-- paid in one UPDATE, the time of it in another
UPDATE "order" SET state = 'PaymentSettled' WHERE code = 'T4';
SELECT is(has(7), 14.0, 'paid: 9 for 99.90, and 5');
UPDATE "order" SET "orderPlacedAt" = now() AT TIME ZONE 'Europe/Vienna', active = false WHERE code = 'T4';
UPDATE "order" SET "updatedAt" = now(), active = false WHERE code = 'T4';
SELECT results_eq('SELECT has(7), entries()', 'VALUES (14.0, 2::bigint)', 'placed: nothing more');
UPDATE "order" SET state = 'PartiallyShipped' WHERE code = 'T4';
UPDATE "order" SET state = 'Shipped' WHERE code = 'T4';
UPDATE "order" SET state = 'Delivered' WHERE code = 'T4';
SELECT results_eq('SELECT has(7), entries()', 'VALUES (14.0, 2::bigint)', 'on its way: nothing more');

-- partial returns leave the state as it is
UPDATE "order" SET "subTotalWithTax" = 6990 WHERE code = 'T4';
SELECT is(has(7), 11.0, 'returned in part');
UPDATE "order" SET "subTotalWithTax" = 6000 WHERE code = 'T4';
SELECT is(has(7), 11.0, 'no full step less');
UPDATE "order" SET "subTotalWithTax" = 0 WHERE code = 'T4';
SELECT is(has(7), 5.0, 'all of it returned: what a purchase of nothing earns');
UPDATE "order" SET state = 'Cancelled' WHERE code = 'T4';
SELECT is(has(7), 0.0, 'cancelled');
UPDATE "order" SET "subTotalWithTax" = 1000 WHERE code = 'T4';
SELECT is(has(7), 0.0, 'stays cancelled');

-- the other way round: the time first, then the state; a guest who registers afterwards
INSERT INTO "order" (code, state, "customerId") VALUES ('T5', 'AddingItems', 7);
UPDATE "order" SET "subTotalWithTax" = 2000 WHERE code = 'T5';
UPDATE "order" SET "orderPlacedAt" = '2026-02-27 23:30' WHERE code = 'T5';
UPDATE "order" SET state = 'PaymentSettled' WHERE code = 'T5';
SELECT is(sum(points)::numeric, 7.0, 'both rules') FROM statement(7) WHERE purchase = 'T5';
SELECT results_eq($$SELECT DISTINCT occurred_at, ends FROM statement(7) s, loyalty.lots(s.lots) WHERE purchase = 'T5'$$,
	$$VALUES ('2026-02-27 22:30+00'::timestamptz, '2027-02-28'::date)$$, 'at the time it was placed, in the zone of the program');
INSERT INTO "order" (code, state) VALUES ('T6', 'AddingItems');
UPDATE "order" SET "subTotalWithTax" = 12345 WHERE code = 'T6';
UPDATE "order" SET state = 'PaymentAuthorized' WHERE code = 'T6';
UPDATE "order" SET state = 'PaymentSettled', "orderPlacedAt" = now() WHERE code = 'T6';
SELECT is(count(*), 0::bigint, 'a guest earns nothing') FROM entry WHERE source_key = 'T6';
UPDATE "order" SET "customerId" = 8 WHERE code = 'T6';
SELECT is(has(8), 17.0, 'until he has an account');
UPDATE "order" SET "customerId" = 9, "updatedAt" = now() WHERE code = 'T6';
SELECT results_eq('SELECT has(8), has(9)', 'VALUES (0.0, 17.0)', 'two accounts become one');
DELETE FROM "order" WHERE code = 'T6';
SELECT results_eq('SELECT has(8), has(9)', 'VALUES (0.0, 0.0)', 'deleted');

-- all at once, in one transaction
BEGIN;
INSERT INTO "order" (code, state) VALUES ('T7', 'AddingItems');
UPDATE "order" SET "customerId" = 10 WHERE code = 'T7';
UPDATE "order" SET "subTotalWithTax" = 10000 WHERE code = 'T7';
UPDATE "order" SET state = 'PaymentSettled' WHERE code = 'T7';
UPDATE "order" SET "orderPlacedAt" = now() WHERE code = 'T7';
UPDATE "order" SET "subTotalWithTax" = 5000 WHERE code = 'T7';
COMMIT;
SELECT is(has(10), 10.0, 'a whole life in one transaction');

SELECT is_empty('SELECT * FROM unsound()', 'every purse is the sum of its entries, and nothing contradicts itself');
SELECT * FROM finish();
