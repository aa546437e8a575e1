-- The type qualification: text and binary forms, bounds, equality, and its windows.
SET search_path = loyalty, public;
SET DateStyle = ISO;
CREATE TEMPORARY TABLE received (value loyalty.qualification);
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
SELECT i AS input, i::qualification AS output, i::qualification::text::qualification = i::qualification AS again, resolution(i::qualification)
FROM unnest(ARRAY['rolling 365 days', 'rolling 12 months', 'calendar year', 'membership year', 'lifetime',
	'ROLLING 1 Day', 'rolling 1 days', 'rolling 1 month', 'rolling 4 weeks', 'rolling 1 week', 'rolling 1 year', 'rolling 2 years', 'rolling12months', 'rolling 012 months',
	'  Rolling   90  DAYS ', 'Calendar  Year', ' MEMBERSHIP year', ' LifeTime ',
	'rolling 36525 days', 'rolling 5217 weeks', 'rolling 1200 months', 'rolling 100 years']) AS i;
SELECT E'\trolling\n1\rmonth\f'::qualification AS any_blank;

-- not a qualification
SELECT 'quarterly'::qualification;
SELECT i AS input, pg_temp.try(format('SELECT %L::qualification', i))
FROM unnest(ARRAY['', ' ', 'rolling', 'rolling year', 'rolling days', 'rolling 12', '12 months', '365 days', 'rolling 12 moons', 'rolling 1 year 6 months', 'rolling 1 month 1 day',
	'rolling 12 months end of month', 'calendar', 'calendar years', 'calendar month', 'calendaryear', 'calendar_year', 'membership', 'member year', 'anniversary year', 'year',
	'lifetime lifetime', 'life time', 'lifetime 1', 'never', 'rolling +1 month', 'rolling 1_0 days', 'rolling 1e1 days', 'rolling 0x1 days', 'rolling 12 months;', 'null',
	'rolling 0 moons', 'rolling 99999999999 moons']) AS i;
SELECT i AS input, pg_temp.try(format('SELECT %L::qualification', i))
FROM unnest(ARRAY['rolling 1.5 years', 'rolling 0.5 months', 'rolling 1. year', 'rolling 0 days', 'rolling 0 years', 'rolling -1 days', 'rolling - 12 months', 'rolling -0 days',
	'rolling 36526 days', 'rolling 5218 weeks', 'rolling 1201 months', 'rolling 101 years', 'rolling 36525 years', 'rolling 36526 weeks',
	'rolling 99999999999999999999 days', 'rolling 2147483648 months', 'rolling 4294967297 days']) AS i;

-- long and hostile text
SELECT left(pg_temp.try(format('SELECT %L::qualification', i)), 75), length(i)
FROM unnest(ARRAY['rolling ' || repeat('9', 1000000) || ' days', repeat(' ', 1000000), repeat(' ', 1000000) || 'lifetime', repeat('lifetime', 200000),
	'rolling ' || repeat('0', 1000000) || '1 day', 'rolling ' || repeat('1 day ', 200000), repeat('rolling ', 100000), 'rolling ' || repeat('-', 1000000),
	E'rolling 1\x01 day', 'rolling 1 ' || repeat(chr(233), 1000)]) AS i;

-- binary form
SELECT bool_and(pg_temp.receive(qualification_send(q::qualification)) = q) AS again, count(DISTINCT qualification_send(q::qualification))
FROM unnest(ARRAY['rolling 1 day', 'rolling 365 days', 'rolling 36525 days', 'rolling 1 month', 'rolling 12 months', 'rolling 1200 months', 'calendar year', 'membership year', 'lifetime']) AS q;
-- a word: kind, length << 3
SELECT what, pg_temp.receive(int4send(word)) FROM (VALUES
	('lifetime', 0), ('days', 1 + (7 << 3)), ('months', 2 + (12 << 3)), ('calendar year', 3), ('membership year', 4),
	('lifetime with a length', 8), ('no days', 1), ('no months', 2), ('36526 days', 1 + (36526 << 3)), ('65535 days', 1 + (65535 << 3)), ('1201 months', 2 + (1201 << 3)),
	('calendar year with a length', 3 + (1 << 3)), ('kind 5', 5), ('kind 7', 7), ('bit 19', 1 + (1 << 3) + (1 << 19)), ('bit 30', 1 << 30), ('all ones', -1), ('least', -2147483648)) AS v(what, word);
SELECT length(m), pg_temp.receive(m) FROM (VALUES (''::bytea), ('\x00'), ('\x000000'), ('\x0000000000')) AS v(m);

-- equality and hashing: weeks are days, years are months
SELECT a, b, a::qualification = b::qualification AS eq, a::qualification <> b::qualification AS ne,
	qualification_hash(a::qualification) = qualification_hash(b::qualification) AS hash, qualification_hash_extended(a::qualification, 7) = qualification_hash_extended(b::qualification, 7) AS hash_extended
FROM (VALUES ('rolling 2 weeks', 'rolling 14 days'), ('rolling 1 year', 'rolling 12 months'), ('LIFETIME', 'lifetime'), ('rolling 1 month', 'rolling 30 days'), ('rolling 12 months', 'rolling 12 days'),
	('rolling 12 months', 'calendar year'), ('calendar year', 'membership year'), ('lifetime', 'rolling 100 years')) AS v(a, b);
SELECT typlen, typbyval, typalign, typstorage, typcategory FROM pg_catalog.pg_type WHERE oid = 'qualification'::regtype;
CREATE TEMPORARY TABLE program_window AS SELECT ('rolling ' || n % 200 + 1 || CASE WHEN n % 3 = 0 THEN ' months' ELSE ' weeks' END)::qualification AS q FROM generate_series(1, 3000) AS n;
CREATE INDEX program_window_q ON program_window USING hash (q);
SELECT count(DISTINCT q::text) AS texts, (SELECT count(*) FROM (SELECT q FROM program_window GROUP BY q) AS g) AS groups FROM program_window;
SET enable_seqscan = off;
SELECT q, count(*) FROM program_window WHERE q = 'rolling 84 days' GROUP BY q;
RESET enable_seqscan;
CREATE TEMPORARY TABLE window_part (q qualification) PARTITION BY HASH (q);
CREATE TEMPORARY TABLE window_part_0 PARTITION OF window_part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMPORARY TABLE window_part_1 PARTITION OF window_part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO window_part SELECT q FROM program_window;
SELECT count(*), count(DISTINCT tableoid) FROM window_part;

-- windows: both ends inclusive; the day itself is the last that counts
SELECT q, day, enrolled, window_start(q::qualification, day, enrolled), window_end(q::qualification, day, enrolled) FROM (VALUES
	('rolling 365 days', '1998-07-01'::date, NULL::date), ('rolling 12 months', '1998-07-01', NULL), ('rolling 1 day', '2026-01-15', NULL), ('rolling 1 week', '2026-01-07', NULL),
	('rolling 365 days', '2028-12-31', NULL), ('rolling 12 months', '2028-12-31', NULL), ('rolling 12 months', '2028-02-29', NULL), ('rolling 12 months', '2029-02-28', NULL),
	('rolling 1 month', '2026-03-28', NULL), ('rolling 1 month', '2026-03-29', NULL), ('rolling 1 month', '2026-03-31', NULL), ('rolling 1 month', '2026-04-01', NULL), ('rolling 1 month', '2026-06-30', NULL),
	('calendar year', '2026-01-01', NULL), ('calendar year', '2026-12-31', NULL), ('calendar year', '0001-06-15 BC', NULL),
	('membership year', '2026-05-09', '2024-05-10'), ('membership year', '2026-05-10', '2024-05-10'), ('membership year', '2024-05-10', '2024-05-10'), ('membership year', '2027-05-09', '2024-05-10'),
	('membership year', '2025-02-27', '2024-02-29'), ('membership year', '2025-02-28', '2024-02-29'), ('membership year', '2027-12-31', '2024-02-29'), ('membership year', '2028-02-28', '2024-02-29'), ('membership year', '2028-02-29', '2024-02-29'),
	('membership year', '2100-02-28', '2096-02-29'), ('membership year', '2023-12-31', '2024-05-10'), ('membership year', '2020-05-10', '2024-05-10'),
	('lifetime', '2026-01-15', NULL), ('lifetime', 'infinity', NULL), ('lifetime', '-infinity', NULL),
	('rolling 12 months', 'infinity', NULL), ('rolling 90 days', '-infinity', NULL), ('calendar year', 'infinity', NULL), ('calendar year', '-infinity', NULL), ('membership year', 'infinity', '2024-05-10')) AS v(q, day, enrolled);
SELECT window_start('rolling 12 months', '1998-07-01') AS no_enrollment_needed, window_start('membership year', '1998-07-01') IS NULL AS needed,
	window_start(NULL, '1998-07-01') IS NULL AND window_end('lifetime', NULL) IS NULL AND window_end('membership year', '1998-07-01') IS NULL AND resolution(NULL::qualification) IS NULL AS nulls,
	window_end(enrolled => '2024-05-10', day => '2026-05-10', qualification => 'membership year') AS named;
SELECT q, pg_temp.try('SELECT ' || q) FROM unnest(ARRAY['window_start(''rolling 2 days'', ''4714-11-24 BC'')', 'window_start(''rolling 1 day'', ''4714-11-24 BC'')', 'window_start(''rolling 1 month'', ''4714-12-01 BC'')',
	'window_start(''calendar year'', ''4714-11-24 BC'')', 'window_end(''calendar year'', ''4714-11-24 BC'')', 'window_end(''calendar year'', ''5874897-12-31'')',
	'window_start(''membership year'', ''5874897-12-31'', ''4714-11-25 BC'')', 'window_end(''membership year'', ''5874897-12-31'', ''4714-11-25 BC'')', 'window_start(''membership year'', ''4714-11-24 BC'', ''5874897-12-31'')',
	'window_start(''membership year'', ''2026-01-01'', ''-infinity'')', 'window_end(''membership year'', ''2026-01-01'', ''infinity'')']) AS q;

-- windows agree with PostgreSQL's own dates and intervals, and membership years with a search for the anniversary
SELECT count(*), count(*) FILTER (WHERE window_start(('rolling ' || l)::qualification, d::date) <> (d - l::interval)::date + 1) AS wrong
FROM generate_series('2019-12-01'::timestamp, '2029-03-31', '1 day') AS d, unnest(ARRAY['1 day', '90 days', '365 days', '6 weeks', '1 month', '3 months', '11 months', '12 months', '2 years', '100 years']) AS l;
SELECT count(*), count(*) FILTER (WHERE window_start('calendar year', d::date) <> date_trunc('year', d)::date OR window_end('calendar year', d::date) <> (date_trunc('year', d) + interval '1 year')::date - 1) AS wrong
FROM generate_series('2019-12-01'::timestamp, '2029-03-31', '1 day') AS d;
SELECT count(*), count(*) FILTER (WHERE s <> w) AS wrong_start, count(*) FILTER (WHERE window_end('membership year', d, e) <> n - 1) AS wrong_end
FROM unnest(ARRAY['2024-02-29', '2023-02-28', '2024-03-01', '2024-01-01', '2024-12-31', '2030-07-15']::date[]) AS e, generate_series(0, 2200) AS i, LATERAL (SELECT date '2024-01-01' + i AS d) AS day,
	LATERAL (SELECT window_start('membership year', d, e) AS s, max(a) FILTER (WHERE a <= d) AS w, min(a) FILTER (WHERE a > d) AS n FROM generate_series(-12, 12) AS y, LATERAL (SELECT (e + y * interval '1 year')::date AS a) AS a) AS w;
-- windows only move forward, and the day is in its own
SELECT q, bool_and(s >= before) AS forward, bool_and(d BETWEEN s AND w) AS within FROM (SELECT q, d, s, w, coalesce(lag(s) OVER (PARTITION BY q ORDER BY d), s) AS before
	FROM unnest(ARRAY['rolling 1 month', 'rolling 12 months', 'rolling 365 days', 'calendar year', 'membership year', 'lifetime']) AS q, generate_series(0, 1500) AS i,
	LATERAL (SELECT date '2026-01-01' + i AS d) AS day, LATERAL (SELECT window_start(q::qualification, d, '2024-02-29') AS s, window_end(q::qualification, d, '2024-02-29') AS w) AS w) AS w
GROUP BY q ORDER BY q;

-- nothing stands undocumented or unlabelled
SELECT p.oid::regprocedure FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'loyalty'::regnamespace AND p.proname ~ '^qualification_|^window_|^resolution$'
	AND (p.provolatile <> 'i' OR p.proparallel <> 's' OR p.proisstrict <> (p.proname !~ '^window_') OR pg_catalog.obj_description(p.oid, 'pg_proc') IS NULL);
