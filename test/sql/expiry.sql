-- The type expiry: text and binary forms, bounds, equality, and the days that it gives.
SET search_path = loyalty, public;
SET DateStyle = ISO;
CREATE TEMPORARY TABLE received (value loyalty.expiry);
-- Runs a query; gives its result, or the SQLSTATE and DETAIL of its failure.
CREATE FUNCTION pg_temp.try(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	detail text;
BEGIN
	EXECUTE query INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || rtrim(': ' || detail, ': ');
END $$;
-- Feeds bytes to the type's receive function, through a binary COPY.
CREATE FUNCTION pg_temp.receive(message bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	stream bytea := '\x5047434f50590aff0d0a00'::bytea || decode(repeat('00', 8), 'hex')
		|| '\x0001'::bytea || int4send(length(message)) || message || '\xffff'::bytea;
	octal text := '';
	byte int;
	result text;
BEGIN
	FOR i IN 0 .. length(stream) - 1 LOOP
		byte := get_byte(stream, i);
		octal := octal || '\' || (byte >> 6) || (byte >> 3 & 7) || (byte & 7);
	END LOOP;
	TRUNCATE received;
	EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', format('printf ''%s''', octal));
	SELECT value::text INTO result FROM received;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

-- every form, and its canonical text
SELECT i AS input, i::expiry AS output, i::expiry::text::expiry::text = i::expiry::text AS again
FROM unnest(ARRAY['never', '12 months', '90 days', '2 years', '6 weeks', '1 year 6 months', '1 year 2 months 3 weeks 4 days',
	'12 months end of month', '12 months end of quarter', '1 year end of half-year', '90 days end of year',
	'end of month', 'end of quarter', 'end of half-year', 'end of year',
	'end of next month', 'end of next quarter', 'end of next half-year', 'end of next year',
	'03-31', '12-31', '02-29', '03-31 after 1 year', '06-30 after 6 months 15 days',
	'inactive 18 months', 'inactive 1 year 6 months', 'inactive 12 months end of month',
	'NEVER', '1 Month', '1 months', '2 year', '1 WEEKS', '1 day', '12months', '3 days 2 years', '012 months',
	'  12   months  END OF   Half - Year ', '1 year end of half year', ' 3 - 5 ', '3-31 AFTER 1 years', 'Inactive  1  WEEK',
	'100 years', '1200 months', '36525 days', '5217 weeks', '99 years 12 months', '50 years 600 months']) AS i;
SELECT E'\t1\nYear\r END\fof\x0bmonth'::expiry AS any_blank;

-- not an expiry
SELECT '12 moons'::expiry;
SELECT i AS input, pg_temp.try(format('SELECT %L::expiry', i))
FROM unnest(ARRAY['', ' ', '12', 'months', 'year', '12 mon', '1y', 'P1Y', '1 year, 6 months', '1 year and 1 day', '12 month s',
	'never ever', 'never end of month', '12 months never', 'end', 'end of', 'end month', 'end of day', 'end of week', 'end of half',
	'end of next', '12 months end of next year', 'inactive 12 months end of next year', 'end of half-years', 'end of years', 'end of month end of year', 'end of month 1 day', '12 months end', '12 months end of',
	'12 months of year', 'inactive', 'inactive never', 'inactive end of year', 'inactive 12', 'inactive 03-31', '12 months inactive',
	'03-', '-03-31', '03--31', '03/31', '03-31 after', '03-31 after year', '03-31 after 1', '03-31 1 year', '2026-03-31', '03-31 end of month',
	'03-31 after 1 year end of month', '1 month - 1 day', '+1 year', '1_0 days', '1e1 days', '0x1 days', 'infinity', '1 day;', 'null']) AS i;
SELECT '1.5 years'::expiry;
SELECT i AS input, pg_temp.try(format('SELECT %L::expiry', i))
FROM unnest(ARRAY['1.5 years', 'inactive 0.5 years', '03-31 after 1.5 years', '1. year', '1 month 2 months', '1 year 1 day 1 years', 'inactive 1 day 1 day',
	'0 months', '0 days end of month', '1 year 0 months', '-1 days', '- 1 days', '1 year -1 months', 'inactive 0 days', 'inactive -5 days',
	'03-31 after 0 days', '03-31 after -1 year', '-0 days', '0 moons',
	'101 years', '1201 months', '5218 weeks', '36526 days', '100 years 1 day', '99 years 13 months', '60 years 600 months', 'inactive 101 years',
	'03-31 after 101 years', '99999999999999999999 days', '2147483648 months', '4294967297 days', '99999999999 moons',
	'02-30', '00-10', '13-01', '31-03', '04-31', '01-00', '01-32', '99999999999-01', '01-99999999999', '02-30 after 1 year', '02-30 after 1 moon']) AS i;

-- long and hostile text
SELECT left(pg_temp.try(format('SELECT %L::expiry', i)), 75), length(i)
FROM unnest(ARRAY[repeat('9', 1000000) || ' days', repeat(' ', 1000000), repeat(' ', 1000000) || 'end of year', repeat('never', 200000),
	repeat('0', 1000000) || '1 day', repeat('1 day ', 200000), 'inactive ' || repeat('1 year ', 100000), '03-' || repeat('0', 1000000) || '5',
	repeat('-', 1000000), E'1\x01 day', '1 ' || repeat(chr(233), 1000)]) AS i;

-- binary form
SELECT bool_and(pg_temp.receive(expiry_send(e::expiry)) = e) AS again, count(DISTINCT expiry_send(e::expiry))
FROM unnest(ARRAY['never', '12 months', '1 year 2 months 3 weeks 4 days', '12 months end of quarter', 'end of month', 'end of half-year', 'end of year',
	'03-31', '02-29', '12-31 after 100 years', 'inactive 36525 days', 'inactive 5217 weeks end of year', '1200 months']) AS e;
-- a word: kind, years << 3, months << 10, weeks << 21, days << 34, end or month << 50, day << 54
SELECT what, pg_temp.receive(int8send(word)) FROM (VALUES
	('never', 0::bigint), ('1 month', 1 + (1::bigint << 10)), ('end of quarter', 1 + (3::bigint << 50)), ('02-29', 2 + (2::bigint << 50) + (29::bigint << 54)),
	('never, with a length', 1::bigint << 10), ('never, with an end', 1::bigint << 50), ('no length', 1), ('inactive without a length', 3),
	('inactive end of year', 3 + (12::bigint << 50)), ('kind 4', 4), ('kind 7', 7), ('all ones', -1), ('least', -9223372036854775808),
	('end of 2 months', 1 + (2::bigint << 50)), ('end of 15 months', 1 + (15::bigint << 50)), ('a length with a day', 1 + (1::bigint << 3) + (1::bigint << 54)),
	('month 0', 2 + (1::bigint << 54)), ('month 13', 2 + (13::bigint << 50) + (1::bigint << 54)), ('day 0', 2 + (1::bigint << 50)),
	('02-30', 2 + (2::bigint << 50) + (30::bigint << 54)), ('101 years', 1 + (101::bigint << 3)), ('1201 months', 1 + (1201::bigint << 10)),
	('5218 weeks', 1 + (5218::bigint << 21)), ('36526 days', 1 + (36526::bigint << 34)), ('high bit', 1 + (1::bigint << 10) + (1::bigint << 59))) AS v(what, word);
SELECT length(m), pg_temp.receive(m) FROM (VALUES (''::bytea), ('\x00'), ('\x00000000000000'), ('\x000000000000000000')) AS v(m);

-- equality: lengths are equal when their months and their days are
SELECT a, b, a::expiry = b::expiry AS eq, a::expiry <> b::expiry AS ne,
	expiry_hash(a::expiry) = expiry_hash(b::expiry) AS hash, expiry_hash_extended(a::expiry, 7) = expiry_hash_extended(b::expiry, 7) AS hash_extended
FROM (VALUES ('12 months', '1 year'), ('2 weeks', '14 days'), ('1 year 6 months 1 week', '18 months 7 days'), ('inactive 100 years', 'inactive 1200 months'),
	('03-31 after 1 year', '3-31 after 12 months'), ('never', 'NEVER'), ('1 month', '30 days'), ('12 months', '12 months end of month'), ('12 months', 'inactive 12 months'),
	('end of month', 'end of year'), ('03-31', '03-30'), ('03-31', '03-31 after 1 year'), ('never', 'end of year')) AS v(a, b);
SELECT typlen, typbyval, typalign, typstorage, typcategory FROM pg_catalog.pg_type WHERE oid = 'expiry'::regtype;
CREATE TEMPORARY TABLE rule_expiry AS
	SELECT (n % 100 + 1 || CASE WHEN n % 3 = 0 THEN ' months end of quarter' WHEN n % 3 = 1 THEN ' days' ELSE ' years' END)::expiry AS e FROM generate_series(1, 3000) AS n;
CREATE INDEX rule_expiry_e ON rule_expiry USING hash (e);
SELECT count(DISTINCT e::text) AS texts, (SELECT count(*) FROM (SELECT e FROM rule_expiry GROUP BY e) AS g) AS groups FROM rule_expiry;
SET enable_seqscan = off;
SELECT e, count(*) FROM rule_expiry WHERE e = '84 months' GROUP BY e;
RESET enable_seqscan;
CREATE TEMPORARY TABLE expiry_part (e expiry) PARTITION BY HASH (e);
CREATE TEMPORARY TABLE expiry_part_0 PARTITION OF expiry_part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMPORARY TABLE expiry_part_1 PARTITION OF expiry_part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO expiry_part SELECT e FROM rule_expiry;
SELECT count(*), count(DISTINCT tableoid) FROM expiry_part;

-- the last day: inclusive, clamped to the month, then up to the end
SELECT e, first, last_day(e::expiry, first) FROM (VALUES
	('12 months', '2026-01-15'::date), ('1 month', '2026-01-31'), ('1 month', '2028-01-31'), ('1 year', '2028-02-29'), ('4 years', '2028-02-29'), ('1 day', '2026-12-31'),
	('2 weeks', '2028-02-20'), ('1 month 1 day', '2026-01-31'), ('1 year 1 month 1 week 1 day', '2027-01-31'),
	('1 month end of month', '2026-01-31'), ('1 month end of month', '2028-01-31'), ('1 month end of month', '2026-01-01'), ('28 days end of month', '2026-01-31'),
	('end of month', '2026-02-01'), ('end of month', '2028-02-29'), ('end of month', '2000-02-01'), ('end of month', '2100-02-28'),
	('end of quarter', '2026-01-01'), ('end of quarter', '2026-03-31'), ('end of quarter', '2026-04-01'), ('end of quarter', '2026-11-30'),
	('end of next year', '2024-02-29'), ('end of next year', '2026-12-31'), ('end of next quarter', '2025-11-30'), ('end of next half-year', '2025-08-31'), ('end of next month', '2026-01-31'), ('end of half-year', '2026-06-30'), ('end of half-year', '2026-07-01'), ('end of year', '2026-01-01'), ('end of year', '2026-12-31'),
	('12 months end of quarter', '2026-02-10'), ('6 months end of half-year', '2026-08-31'), ('2 years end of year', '2026-12-31'),
	('03-31', '2026-03-30'), ('03-31', '2026-03-31'), ('03-31', '2026-04-01'), ('01-01', '2026-12-31'), ('12-31', '2026-12-31'),
	('03-31 after 1 year', '2026-03-31'), ('03-31 after 1 year', '2026-04-01'), ('03-31 after 1 year', '2026-01-01'), ('06-30 after 18 months', '2026-01-01'),
	('02-29', '2026-01-10'), ('02-29', '2026-02-28'), ('02-29', '2026-03-01'), ('02-29', '2028-02-28'), ('02-29', '2028-02-29'), ('02-29', '2027-03-01'), ('02-29', '2100-02-28'), ('02-28', '2028-02-29'),
	('02-29 after 1 year', '2027-02-28'), ('never', '2026-01-01'), ('inactive 18 months', '2026-01-01'), ('never', '-infinity'),
	('12 months', 'infinity'), ('end of year', 'infinity'), ('03-31', 'infinity')) AS v(e, first);
SELECT e, active, inactive_last_day(e::expiry, active) FROM (VALUES ('inactive 18 months', '2026-08-31'::date), ('inactive 1 month end of month', '2026-01-31'), ('inactive 1 year end of quarter', '2026-02-01'),
	('inactive 90 days', 'infinity'), ('12 months', '2026-01-01'), ('never', '2026-01-01'), ('end of year', '2026-01-01'), ('03-31', '2026-01-01')) AS v(e, active);
SELECT last_day(NULL, '2026-01-01') IS NULL AND inactive_last_day('inactive 1 day', NULL) IS NULL AS strict;

-- the edges of the calendar
SELECT q, pg_temp.try('SELECT ' || q) FROM unnest(ARRAY['last_day(''1 day'', ''5874897-12-31'')', 'last_day(''1 day'', ''5874897-12-30'')', 'last_day(''1 month'', ''5874897-12-01'')',
	'last_day(''100 years'', ''5874800-01-01'')', 'last_day(''end of year'', ''5874897-01-01'')', 'last_day(''03-31'', ''5874897-04-01'')', 'last_day(''03-31'', ''5874897-03-31'')', 'last_day(''11-24'', ''4714-11-24 BC'')', 'last_day(''12-01'', ''5874897-12-02'')',
	'last_day(''12-31 after 1 day'', ''5874897-12-30'')',
	'last_day(''1 month'', ''4714-11-24 BC'')', 'last_day(''01-31'', ''4714-11-24 BC'')', 'last_day(''1 month end of year'', ''0001-12-31 BC'')',
	'last_day(''12 months'', ''-infinity'')', 'last_day(''end of month'', ''-infinity'')', 'last_day(''03-31'', ''-infinity'')', 'inactive_last_day(''inactive 1 day'', ''-infinity'')']) AS q;

-- plain lengths agree with PostgreSQL's own date + interval, ends with date_trunc, yearly dates with a search
SELECT count(*), count(*) FILTER (WHERE last_day(l::expiry, d::date) <> (d + l::interval)::date) AS wrong
FROM generate_series('2019-12-01'::timestamp, '2029-03-31', '1 day') AS d,
	unnest(ARRAY['1 day', '90 days', '6 weeks', '1 month', '3 months', '11 months', '12 months', '1 year 6 months', '2 years', '1 month 3 days', '1 year 1 month 1 week 1 day', '100 years']) AS l;
SELECT count(*), count(*) FILTER (WHERE last_day((l || ' end of ' || p)::expiry, d::date)
	<> (date_trunc(p, d + l::interval) + CASE p WHEN 'quarter' THEN '3 months' ELSE '1 ' || p END::interval)::date - 1) AS wrong
FROM generate_series('2023-12-01'::timestamp, '2029-03-31', '1 day') AS d, unnest(ARRAY['month', 'quarter', 'year']) AS p, unnest(ARRAY['1 month', '45 days', '1 year']) AS l;
SELECT count(*), count(*) FILTER (WHERE last_day(y::expiry, d::date) <> (SELECT min(c)::date FROM generate_series(d, d + interval '366 days', '1 day') AS c
	WHERE to_char(c, 'MM-DD') = y OR (y = '02-29' AND to_char(c, 'MM-DD') = '02-28' AND to_char(c + interval '1 day', 'MM-DD') = '03-01'))) AS wrong
FROM generate_series('2027-01-01'::timestamp, '2028-12-31', '5 days') AS d, unnest(ARRAY['01-01', '02-28', '02-29', '03-31', '12-31']) AS y;

-- nothing stands undocumented or unlabelled
SELECT p.oid::regprocedure FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'loyalty'::regnamespace AND p.proname ~ '^expiry_|last_day' AND p.proname <> 'expiry_forecast'
	AND (p.provolatile <> 'i' OR p.proparallel <> 's' OR NOT p.proisstrict OR pg_catalog.obj_description(p.oid, 'pg_proc') IS NULL);
