-- A shop of its own, three years of sales, returns, spends and adjustments at
-- random, each posted when it happened; its accounts against those made from
-- orders and acts alone.
\set QUIET on
SET client_min_messages = error;
SET timezone = 'Europe/London';
SELECT plan(2);

INSERT INTO loyalty.program (name, time_zone, currency, point_value, expiry) VALUES ('shop', 'Europe/London', 'USD', 0.01, '12 months end of month');
INSERT INTO loyalty.rule (program, name, award) VALUES ('shop', 'base', '1 per 1');
CREATE TABLE public.orders (order_id bigint PRIMARY KEY, customer text, at timestamptz, amount numeric, channel text, store text);
CREATE TABLE public.acts (customer text, at timestamptz, kind text, points numeric);
SELECT loyalty.attach('public.orders', member => 'customer', amount => 'amount', at => 'at', program => 'shop') \g /dev/null
SELECT setseed(0.52) \g /dev/null
CREATE FUNCTION run(orders int, customers int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	whose text; moment timestamptz; available numeric;
BEGIN
	FOR i IN 1 .. orders LOOP
		whose := CASE WHEN random() >= 0.05 THEN 'c' || floor(random() * customers) END;
		moment := now() - interval '1000 days' + i * interval '990 days' / orders;
		INSERT INTO orders VALUES (i, whose, moment, round((CASE WHEN random() < 0.1 THEN -1 ELSE 1 END * random() * random() * 80)::numeric, 2));
		CONTINUE WHEN whose IS NULL OR random() > 0.25;
		moment := moment + interval '1 minute';
		SELECT b.available::numeric INTO available FROM loyalty.balance(whose, at => moment, program => 'shop') b;
		CONTINUE WHEN coalesce(available, 0) < 1;
		IF random() < 0.85 THEN
			available := greatest(1, floor(available * random()));
			PERFORM loyalty.spend(whose, available, at => moment, program => 'shop');
			INSERT INTO acts VALUES (whose, moment, 'spend', available);
		ELSE
			PERFORM loyalty.adjust(whose, 7, at => moment, program => 'shop');
			INSERT INTO acts VALUES (whose, moment, 'adjust', 7);
		END IF;
	END LOOP;
END $$;
SELECT run(1500, 40) \g /dev/null
SELECT cmp_ok((SELECT count(DISTINCT kind)::int FROM loyalty.entry), '=', 5, 'points were earned, taken back, redeemed and adjusted, and expired');
\pset format unaligned
\pset tuples_only on
\o | sed 's/^/not ok - /'
\set in_time true
\ir ../reports/deferral.sql
\o
SELECT pass('deferral, journal and point_values are what orders and acts come to');
SELECT * FROM finish();
