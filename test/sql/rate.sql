--
-- rate: guards of the currency_rate table
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(regexp_replace(detail, '^Failing row .*', ''), ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name, currency) VALUES ('rate_usd', 'USD'), ('rate_eur', 'EUR'), ('rate_none', NULL);

-- What stands in a rate when only the needful is given
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('rate_usd', 'EUR', 1.1);
SELECT * FROM loyalty.currency_rate WHERE program = 'rate_usd';

-- Rates that make no sense
SELECT column_name, value, pg_temp.try(format('INSERT INTO loyalty.currency_rate (program, currency, rate, valid) SELECT program, currency, rate, valid FROM jsonb_populate_record(%L::loyalty.currency_rate, jsonb_build_object(%L, %L::text))',
	'(rate_usd,GBP,1.3,"(,)")', column_name, value))
FROM (VALUES
	(1, 'program', 'rate_nobody'), (2, 'program', NULL), (3, 'program', ''), (4, 'currency', ''), (5, 'currency', NULL), (6, 'currency', 'USD'),
	(7, 'rate', '0'), (8, 'rate', '-1'), (9, 'rate', 'NaN'), (10, 'rate', 'Infinity'), (11, 'rate', '-Infinity'), (12, 'rate', NULL), (13, 'rate', 'much'),
	(14, 'valid', 'empty'), (15, 'valid', '[2026-01-01,2026-01-01)'), (16, 'valid', NULL)) AS v(n, column_name, value)
ORDER BY n;
SELECT count(*) FROM loyalty.currency_rate WHERE program = 'rate_usd' AND currency <> 'EUR';
-- and at the edge, which are accepted: letters count, and each program has rates of its own
SELECT program, currency, rate, pg_temp.try(format('INSERT INTO loyalty.currency_rate VALUES (%L, %L, %L)', program, currency, rate))
FROM (VALUES
	(1, 'rate_usd', 'usd', '1'), (2, 'rate_usd', 'GBP', '0.0000000000000001'), (3, 'rate_usd', 'XAU', '1' || repeat('0', 40)),
	(4, 'rate_eur', 'USD', '0.9'), (5, 'rate_none', 'USD', '3'), (6, 'rate_none', 'EUR', '4')) AS v(n, program, currency, rate)
ORDER BY n;

-- A program that has just got its currency
BEGIN;
INSERT INTO loyalty.program (name, currency) VALUES ('rate_new', 'CHF');
SELECT pg_temp.try($$INSERT INTO loyalty.currency_rate VALUES ('rate_new', 'CHF', 1)$$) AS own, pg_temp.try($$INSERT INTO loyalty.currency_rate VALUES ('rate_new', 'EUR', 1)$$) AS other;
UPDATE loyalty.program SET currency = 'SEK' WHERE name = 'rate_new';
SELECT pg_temp.try($$INSERT INTO loyalty.currency_rate VALUES ('rate_new', 'SEK', 1)$$) AS own, pg_temp.try($$INSERT INTO loyalty.currency_rate VALUES ('rate_new', 'CHF', 1)$$) AS other;
ROLLBACK;

-- One rate at a time
DELETE FROM loyalty.currency_rate WHERE program LIKE 'rate_%';
SELECT n, valid, pg_temp.try(format('INSERT INTO loyalty.currency_rate VALUES (%L, %L, %s, %L)', 'rate_usd', 'EUR', n, valid))
FROM (VALUES
	(1, '[2026-01-01,2026-02-01)'), (2, '[2026-03-01,2026-04-01)'), (3, '[2026-02-01,2026-03-01)'), -- side by side
	(4, '[2026-01-01,2026-02-01)'), (5, '[2026-01-01,2026-02-01]'), (6, '[2026-01-01,2026-01-15)'), (7, '(2026-01-01,2026-02-01)'), -- the same, and within
	(8, '[2026-01-15,2026-01-16)'), (9, '[2025-12-01,2026-01-01]'), (10, '[2026-03-31,)'), (11, '(,)'), (12, '[2025-01-01,2027-01-01)'), -- over it
	(13, '(,2026-01-01)'), (14, '(2026-04-01,infinity)'), (15, '[2026-04-01,2026-04-01]'), (16, '[infinity,)'), (17, '[infinity,infinity]')) AS v(n, valid)
ORDER BY n;
-- also within one statement, of which nothing remains then
SELECT pg_temp.try($$INSERT INTO loyalty.currency_rate VALUES ('rate_usd', 'GBP', 1, '[2026-01-01,2026-02-01)'), ('rate_usd', 'GBP', 2, '[2026-02-01,2026-03-01)'), ('rate_usd', 'GBP', 3, '[2026-02-10,2026-02-11)')$$);
-- whose other currencies and programs do not matter
SELECT pg_temp.try($$INSERT INTO loyalty.currency_rate VALUES ('rate_usd', 'GBP', 1), ('rate_usd', 'eur', 1), ('rate_none', 'EUR', 1)$$);
SELECT * FROM loyalty.currency_rate WHERE program LIKE 'rate_%' ORDER BY program, currency, valid;

-- Rates may be changed and removed freely, as long as they remain rates
SELECT change, pg_temp.try(format('UPDATE loyalty.currency_rate SET %s WHERE program = %L AND currency = %L AND rate = 2', change, 'rate_usd', 'EUR'))
FROM unnest(ARRAY[$$rate = 0$$, $$program = 'rate_nobody'$$, $$currency = 'USD'$$, $$currency = 'GBP'$$, $$program = 'rate_eur'$$, $$valid = '[2026-02-28,2026-04-01)'$$, $$valid = 'empty'$$,
	$$valid = '[2026-02-01,2026-03-01)'$$, $$valid = '[2026-03-02,2026-03-31)'$$, $$valid = '[2026-03-01,2026-04-01)'$$, $$currency = 'CHF', valid = '(,)'$$]) AS change;
SELECT currency, rate, valid FROM loyalty.currency_rate WHERE program = 'rate_usd' AND rate = 2;
UPDATE loyalty.currency_rate SET rate = 2.5 WHERE currency = 'CHF';
INSERT INTO loyalty.currency_rate VALUES ('rate_usd', 'CHF', 2.6) ON CONFLICT (program, currency, valid) DO UPDATE SET rate = excluded.rate;
SELECT rate FROM loyalty.currency_rate WHERE currency = 'CHF';
-- several of them moved along at once
CREATE TEMPORARY TABLE days AS SELECT d AS rate, tstzrange('2030-01-01'::timestamptz + d * interval '1 day', '2030-01-02'::timestamptz + d * interval '1 day') AS valid FROM generate_series(1, 400) d;
INSERT INTO loyalty.currency_rate SELECT 'rate_usd', 'SEK', rate, valid FROM days ORDER BY rate % 7, rate;
UPDATE loyalty.currency_rate SET valid = tstzrange(lower(valid) + interval '12 hours', upper(valid) + interval '12 hours') WHERE currency = 'SEK';
SELECT count(*), min(lower(valid)), max(upper(valid)) FROM loyalty.currency_rate WHERE currency = 'SEK';
SELECT pg_temp.try($$UPDATE loyalty.currency_rate SET valid = tstzrange(lower(valid) + interval '12 hours', upper(valid) + interval '12 hours') WHERE currency = 'SEK' AND rate <= 200$$) AS half_of_them;
DELETE FROM loyalty.currency_rate WHERE currency = 'SEK' AND rate = 200;
SELECT pg_temp.try($$INSERT INTO loyalty.currency_rate VALUES ('rate_usd', 'SEK', 200, '[2030-07-20 12:00,2030-07-21 12:00)')$$) AS back_again;
BEGIN;
SELECT pg_temp.try($$TRUNCATE loyalty.currency_rate$$);
SELECT count(*) FROM loyalty.currency_rate;
ROLLBACK;

-- One transaction at a time writes rates; removing them waits for nobody
BEGIN;
DELETE FROM loyalty.currency_rate;
SELECT mode, granted FROM pg_catalog.pg_locks WHERE relation = 'loyalty.currency_rate'::regclass AND pid = pg_backend_pid() AND mode ~ 'Share' ORDER BY mode;
UPDATE loyalty.currency_rate SET rate = rate WHERE false;
SELECT mode, granted FROM pg_catalog.pg_locks WHERE relation = 'loyalty.currency_rate'::regclass AND pid = pg_backend_pid() AND mode ~ 'Share' ORDER BY mode;
ROLLBACK;
