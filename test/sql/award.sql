-- The type award: text and binary forms, bounds, equality and hashing.
SET search_path = loyalty, public;
CREATE TEMPORARY TABLE received (value loyalty.award);
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
SELECT i AS input, i::award AS output, i::award::text::award = i::award AS again
FROM unnest(ARRAY['1 per 10', '1 per full 10', '2 each', '5%', '100', 'x2',
	'2.5 per 1', '2.50 per full 1.00', '0.000001 per 0.000001', '.5 each', '1. each', '12.345678%', '0.10', 'x1.5',
	'5 %', 'x 2', 'X2', '  1   PER  10  ', '1per10', '007', '2.500000000',
	'0', '0%', '0 each', 'x0', '0 per 10', 'x0.0',
	'1000000000', '1000000000.000000', '1000000000 per 1000000000', 'x1000000000']) AS i;

SELECT E'\t1\nPer\r FULL\f10\x0b'::award AS any_blank;

-- not an award
SELECT '1 for 10'::award;
SELECT i AS input, pg_temp.try(format('SELECT %L::award', i))
FROM unnest(ARRAY['', ' ', 'x', '%', 'per 10', '1 per', '1 per full', '1 perfull 10', '1 full 10', '1 each 2', '5%%', '5% each',
	'2x', 'xx2', 'x2%', 'x2 per 10', '1,5', '1 000', '1e3', '1_000', '0x10', '+1', '.', 'x.', '1..2', '- 1', '1 per %', 'each',
	'NaN', 'infinity', '1 eachx', '1 per 10 per 10', '1 PER FULL', 'null', '1/10', '''; DROP TABLE t', '100 ;']) AS i;

-- an award with numbers out of range
SELECT '1 per 0'::award;
SELECT i AS input, pg_temp.try(format('SELECT %L::award', i))
FROM unnest(ARRAY['1 per 0', '1 per full 0.000000', '-1', '-0', 'x-2', '1 per -10', '-5%',
	'1000000000.000001', '1000000001 each', '1 per 1000000000.1', 'x99999999999999999999999999',
	'0.0000001', '1 per 0.0000001', '1.23456789%', '1000000000.0000001']) AS i;

-- long and hostile text
SELECT left(pg_temp.try(format('SELECT %L::award', i)), 70), length(i)
FROM unnest(ARRAY[repeat('9', 1000000), repeat(' ', 1000000), repeat(' ', 1000000) || '5%', repeat('x', 1000000), '1.' || repeat('0', 1000000),
	'1.' || repeat('0', 1000000) || '1', repeat('0', 1000000) || '1 per 1', '1 per ' || repeat('full ', 100000),
	E'1 \x01 per 10', '1 ' || repeat(chr(233), 1000)]) AS i;

-- binary form: kind, give, per
SELECT a, award_send(a::award), pg_temp.receive(award_send(a::award)) = a AS again
FROM unnest(ARRAY['1 per 10', '2.5 per full 0.01', '2 each', '5%', '100', 'x2', '0', '1000000000 per 1000000000']) AS a;
SELECT kind, give, per, pg_temp.receive(int4send(kind) || int8send(give) || int8send(per))
FROM (VALUES (1, 1000000, 10000000), (2, 0, 1), (3, 5, 0), (6, 1000000000000000, 0),
	(0, 1, 0), (7, 1, 0), (-1, 1, 0), (2147483647, 1, 1),
	(1, -1, 1), (1, 1, 0), (2, 1, -1), (3, 1, 1), (5, 1, -1), (4, 1000000000000001, 0), (1, 1, 1000000000000001),
	(5, -9223372036854775808, 0), (1, 9223372036854775807, 9223372036854775807)) AS v(kind, give, per);
SELECT length(m), pg_temp.receive(m) FROM (VALUES (''::bytea), ('\x00'), ('\x00000001'),
	(int4send(5) || int8send(1)), (int4send(5) || int8send(1) || int8send(0) || '\x00')) AS v(m);

-- equality is that of the written form: no award is reduced
SELECT a, b, a::award = b::award AS eq, a::award <> b::award AS ne,
	award_hash(a::award) = award_hash(b::award) AS hash, award_hash_extended(a::award, 7) = award_hash_extended(b::award, 7) AS hash_extended
FROM (VALUES ('1 per 10', '1.0 PER 10.00'), ('5%', '5 %'), ('x2', 'X 2'), ('1 per 10', '2 per 20'), ('1 per 10', '1 per full 10'),
	('1 per 1', '1 each'), ('2', '2 each'), ('2', 'x2'), ('2', '2%'), ('2', '2.000001')) AS v(a, b);
SELECT NULL::award = '1' AS null_eq;
SELECT award_hash_extended('5%', 1) <> award_hash_extended('5%', 2) AS seeded;

-- tables: storage, hash index, hash aggregation and joins, partitions
SELECT typlen, typbyval, typalign, typstorage, typcategory FROM pg_catalog.pg_type WHERE oid = 'award'::regtype;
CREATE TEMPORARY TABLE rule_award (filler boolean DEFAULT true, a award, filler2 boolean DEFAULT true);
INSERT INTO rule_award (a) SELECT (n % 500 || '.25 per ' || n % 7 + 1)::award FROM generate_series(1, 7000) AS n;
CREATE INDEX rule_award_a ON rule_award USING hash (a);
ANALYZE rule_award;
SELECT count(*), count(DISTINCT a::text) FROM rule_award;
SELECT count(*) FROM (SELECT a FROM rule_award GROUP BY a) AS g;
SET enable_seqscan = off;
SELECT count(*) FROM rule_award WHERE a = '3.25 per 4';
EXPLAIN (COSTS OFF) SELECT count(*) FROM rule_award WHERE a = '3.25 per 4';
RESET enable_seqscan;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM rule_award AS l JOIN rule_award AS r ON l.a = r.a WHERE l.a = '3.25 per 4' OR l.a = '9.25 per 3';
CREATE TEMPORARY TABLE award_part (a award) PARTITION BY HASH (a);
CREATE TEMPORARY TABLE award_part_0 PARTITION OF award_part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMPORARY TABLE award_part_1 PARTITION OF award_part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO award_part SELECT a FROM rule_award;
SELECT count(*), count(DISTINCT tableoid) FROM award_part;

-- an order is not defined, and nothing stands undocumented
SELECT a FROM rule_award ORDER BY a;
SELECT p.oid::regprocedure FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'loyalty'::regnamespace AND p.proname ~ '^award_'
	AND (p.provolatile <> 'i' OR p.proparallel <> 's' OR NOT p.proisstrict OR pg_catalog.obj_description(p.oid, 'pg_proc') IS NULL);
