-- The type voucher_code: text and binary forms, what the check character catches, order, and where codes come from.
SET search_path = loyalty, public;
CREATE TEMPORARY TABLE received (value loyalty.voucher_code);
-- Reads a code; gives its text, or the SQLSTATE and all that the error says.
CREATE FUNCTION pg_temp.read(input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text;
BEGIN
	RETURN input::voucher_code::text;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' / ', SQLSTATE, message, detail, hint);
END $$;
-- Which of the three faults an error names.
CREATE FUNCTION pg_temp.fault(answer text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN answer !~ '^22P02 ' THEN 'none' ELSE substring(answer FROM 'is in no voucher code|this text has|check character') END $$;
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
-- Codes of no special kind, the same in every run.
CREATE TEMPORARY TABLE sample AS
	SELECT i, derive_voucher_code(sha256(i::text::bytea)) AS code FROM generate_series(1, 2000) AS i;
CREATE FUNCTION pg_temp.alphabet() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '0123456789ABCDEFGHJKMNPQRSTVWXYZ' $$;

-- one code in many spellings
SELECT i AS input, pg_temp.read(i) AS output
FROM unnest(ARRAY['7KQ4-9XMT-2R8W', '7kq4-9xmt-2r8w', '7KQ49XMT2R8W', '7kQ4 9xMt 2r8W', '  7KQ4-9XMT-2R8W  ', '7-K-Q-4-9-X-M-T-2-R-8-W', '---7KQ4--9XMT- 2R8W-',
	E'7KQ4\t9XMT\n2R8W\r\x0b\x0c', '7KQ49-XMT2R-8W']) AS i;
SELECT length(repeat('-', 1000000) || '7KQ4-9XMT-2R8W') AS long, (repeat('-', 1000000) || '7KQ4-9XMT-2R8W' || repeat(' ', 1000000))::voucher_code;
-- look-alikes are read as the digits that they were taken for; U is not V
SELECT code, replace(code::text, '0', 'o')::voucher_code = code AND replace(code::text, '0', 'O')::voucher_code = code AS o,
	replace(code::text, '1', 'i')::voucher_code = code AND replace(code::text, '1', 'I')::voucher_code = code AS i,
	replace(code::text, '1', 'l')::voucher_code = code AND replace(code::text, '1', 'L')::voucher_code = code AS l,
	left(pg_temp.read(replace(code::text, 'V', 'U')), 5) AS u
FROM sample WHERE code::text ~ '0' AND code::text ~ '1' AND code::text ~ 'V' ORDER BY i LIMIT 3;
-- every text reads back, as do its small letters; the characters are those of the alphabet, and all of them
SELECT count(*), bool_and(code::text::voucher_code = code AND lower(code::text)::voucher_code = code AND replace(code::text, '-', '')::voucher_code = code) AS again,
	bool_and(code::text ~ '^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$') AS form, count(DISTINCT code) FROM sample;
SELECT string_agg(c, '' ORDER BY c COLLATE "C") = pg_temp.alphabet() AS all_used
FROM (SELECT DISTINCT c FROM sample, regexp_split_to_table(replace(code::text, '-', ''), '') AS c) AS used;

-- no code: what is wrong, and never the text itself
SELECT '7KQ4-9XMT-2R8X'::voucher_code;
SELECT '7KQ4-9XMT-2R8'::voucher_code;
SELECT '7KQ4-9XMU-2R8W'::voucher_code;
SELECT i AS input, pg_temp.read(i)
FROM unnest(ARRAY['', ' ', '-', '7', '7KQ4-9XMT', '7KQ4-9XMT-2R8W-2', '7KQ4-9XMT-2R8W 7KQ4-9XMT-2R8W', '7KQ4-9XMT-2R8U', '7KQ4_9XMT_2R8W', '7KQ4.9XMT.2R8W', '"7KQ4-9XMT-2R8W"', '7KQ4-9XMT-2R8W;',
	'7KQ4–9XMT–2R8W', '7KQ4-9XMT-2R8Ŵ', '７KQ4-9XMT-2R8W', 'null', '000000000000', '0000-0000-0000', '1111-1111-1111', 'ZZZZ-ZZZZ-ZZZZ', 'FREE-LATTE', '%s%n%d', '7KQ4-9XMT-2R8*', '7KQ4-9XMT-2R8$', '7KQ4-9XMT-2R8=', '@', '[', '`', '{', '/', ':']) AS i;
SELECT count(*) FILTER (WHERE position(replace(code::text, '-', '') IN pg_temp.read(code::text || 'x')) > 0 OR pg_temp.read(code::text || 'x') LIKE '%' || code || '%' OR pg_temp.read(left(code::text, 13)) LIKE '%' || left(code::text, 9) || '%') AS told FROM sample WHERE i <= 200;
-- long and hostile text
SELECT left(pg_temp.read(i), 110), length(i)
FROM unnest(ARRAY[repeat('0', 1000000), repeat('7KQ4-9XMT-2R8W', 100000), repeat('-', 1000000), repeat(' ', 1000000) || '7', repeat('Z', 13), repeat('0', 244) || '7KQ49XMT2R8W', E'7KQ4-9XMT-2R8\x01', E'\x7f',
	repeat(chr(233), 1000), chr(128512), '7KQ4' || chr(8203) || '9XMT2R8W', '7KQ4' || chr(160) || '9XMT2R8W']) AS i;
SELECT chr(n) AS accepted, pg_temp.read('7KQ4-9XMT-2R8' || chr(n)) FROM generate_series(1, 1500) AS n WHERE pg_temp.read('7KQ4-9XMT-2R8' || chr(n)) !~ '^22P02 ';
SELECT count(*), pg_temp.fault(pg_temp.read('7KQ4-9XMT-2R8' || chr(n))) FROM generate_series(1, 1500) AS n GROUP BY 2 ORDER BY 1;
-- texts of chance, of twelve characters of the alphabet: one in 32 is a code
SELECT count(*), count(*) FILTER (WHERE a = t) BETWEEN 250 AND 375 AS one_in_32, count(*) FILTER (WHERE a <> t AND pg_temp.fault(a) <> 'check character') AS other
FROM (SELECT n, string_agg(substr(pg_temp.alphabet(), 1 + get_byte(h, c) % 32, 1) || CASE WHEN c IN (3, 7) THEN '-' ELSE '' END, '' ORDER BY c) AS t
	FROM generate_series(1, 10000) AS n, sha256(n::text::bytea) AS h, generate_series(0, 11) AS c GROUP BY n) AS r, LATERAL (SELECT pg_temp.read(t) AS a) AS a;
-- codes damaged at random: refused, or read as what a plain reading of the text gives
SELECT count(*), count(*) FILTER (WHERE a !~ '^22P02 ' AND replace(a, '-', '') IS DISTINCT FROM plain) AS misread, count(*) FILTER (WHERE a ~ '^22P02 ' AND pg_temp.fault(a) IS NULL) AS other
FROM sample, generate_series(0, 3) AS k, LATERAL (SELECT sha256((code::text || k)::bytea) AS h) AS h,
	LATERAL (SELECT overlay(code::text PLACING CASE get_byte(h, 0) % 4 WHEN 0 THEN '' WHEN 1 THEN chr(1 + get_byte(h, 1) % 127) WHEN 2 THEN chr(32 + get_byte(h, 1) * 37) ELSE '-' || chr(65 + get_byte(h, 1) % 58) END
		FROM 1 + get_byte(h, 2) % 14 FOR get_byte(h, 3) % 3) AS t) AS t,
	LATERAL (SELECT translate(upper(t COLLATE "C"), E'OIL- \t\n\x0b\x0c\r', '011') AS plain) AS p, LATERAL (SELECT pg_temp.read(t) AS a) AS a;

-- every single wrong character is caught, at every place
CREATE TEMPORARY TABLE spelled AS SELECT code, replace(code::text, '-', '') AS t FROM sample WHERE i <= 100
	UNION ALL SELECT derive_voucher_code(b), replace(derive_voucher_code(b)::text, '-', '') FROM unnest(ARRAY['\x00000000000000', '\xffffffffffffff', '\x55555555555555', '\xaaaaaaaaaaaaaa']::bytea[]) AS b;
SELECT count(*) AS changed, count(*) FILTER (WHERE pg_temp.fault(pg_temp.read(overlay(t PLACING c FROM p FOR 1))) <> 'check character') AS accepted
FROM spelled, generate_series(1, 12) AS p, regexp_split_to_table(pg_temp.alphabet(), '') AS c WHERE c <> substr(t, p, 1);
-- every swap of neighbors, and of any two
SELECT q = p + 1 AS neighbors, count(*) AS swapped, count(*) FILTER (WHERE pg_temp.fault(pg_temp.read(overlay(overlay(t PLACING substr(t, q, 1) FROM p FOR 1) PLACING substr(t, p, 1) FROM q FOR 1))) <> 'check character') AS accepted
FROM spelled, generate_series(1, 11) AS p, generate_series(p + 1, 12) AS q WHERE substr(t, p, 1) <> substr(t, q, 1) GROUP BY 1 ORDER BY 1 DESC;
-- pairs of equal neighbors that turn into another such pair; a character lost or typed twice
SELECT count(*) > 1000 AS enough, count(*) FILTER (WHERE pg_temp.fault(pg_temp.read(overlay(t PLACING c || c FROM p FOR 2))) <> 'check character') AS accepted
FROM (SELECT replace(code::text, '-', '') AS t FROM sample) AS s, generate_series(1, 11) AS p, regexp_split_to_table(pg_temp.alphabet(), '') AS c
WHERE substr(t, p, 1) = substr(t, p + 1, 1) AND c <> substr(t, p, 1) AND t < '2';
SELECT count(*) AS lost, count(*) FILTER (WHERE pg_temp.fault(pg_temp.read(overlay(t PLACING '' FROM p FOR 1))) <> 'this text has') AS accepted,
	count(*) FILTER (WHERE pg_temp.fault(pg_temp.read(overlay(t PLACING repeat(substr(t, p, 1), 2) FROM p FOR 1))) <> 'this text has') AS accepted_twice FROM spelled, generate_series(1, 12) AS p;
-- the sum worked out here, over tables of the field's logarithms: x^n for n = 0 to 30
CREATE TEMPORARY TABLE power AS WITH RECURSIVE p(n, v) AS (SELECT 0, 1 UNION ALL SELECT n + 1, CASE WHEN v < 16 THEN v * 2 ELSE (v * 2) # 37 END FROM p WHERE n < 30) SELECT n, v FROM p;
SELECT count(*) AS powers, count(DISTINCT v) AS different, min(v) AS least FROM power;
CREATE AGGREGATE pg_temp.bit_xor(int) (SFUNC = int4xor, STYPE = int, INITCOND = '0');
SELECT DISTINCT (SELECT pg_temp.bit_xor(coalesce(product.v, 0)) FROM generate_series(1, 12) AS place LEFT JOIN power AS digit ON digit.v = strpos(pg_temp.alphabet(), substr(t, place, 1)) - 1
	LEFT JOIN power AS product ON product.n = (digit.n + 12 - place) % 31) AS check_sum FROM spelled;

-- binary form
SELECT voucher_code_send('7KQ4-9XMT-2R8W'), pg_temp.receive(voucher_code_send('7KQ4-9XMT-2R8W'));
SELECT count(*), bool_and(pg_temp.receive(voucher_code_send(code)) = code::text) AS again FROM sample WHERE i <= 50;
SELECT count(*), pg_temp.receive(set_bit(voucher_code_send(code), b, 1 - get_bit(voucher_code_send(code), b))) FROM sample, generate_series(0, 63) AS b WHERE i <= 4 GROUP BY 2;
SELECT m, pg_temp.receive(m) FROM unnest(ARRAY['', '\x00', '\x00000000000000', '\x000000000000000000', '\x0000000000000000', '\xffffffffffffffff', '\x8000000000000000', '\x0fffffffffffffff', '\x1000000000000000']::bytea[]) AS m;

-- comparison: the order of the texts
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, voucher_code_cmp(a, b)
FROM (SELECT lag(code) OVER (ORDER BY i) AS a, code AS b FROM sample WHERE i <= 3 UNION ALL SELECT code, code FROM sample WHERE i = 1) AS v WHERE a IS NOT NULL;
SELECT bool_and(row_number = by_text) AS sorted FROM (SELECT row_number() OVER (ORDER BY code), row_number() OVER (ORDER BY code::text COLLATE "C") AS by_text FROM sample) AS s;
SELECT bool_and((a.code < b.code) = (a.code::text COLLATE "C" < b.code::text) AND (a.code <= b.code) = (a.code::text COLLATE "C" <= b.code::text) AND (a.code > b.code) = (b.code < a.code)
	AND (a.code >= b.code) = (b.code <= a.code) AND (a.code = b.code) = (a.i = b.i) AND (a.code <> b.code) = (a.i <> b.i) AND voucher_code_cmp(a.code, b.code) = -voucher_code_cmp(b.code, a.code)) AS agree
FROM sample AS a, sample AS b WHERE a.i <= 100 AND b.i <= 100;
SELECT typlen, typbyval, typalign, typstorage, typcategory FROM pg_catalog.pg_type WHERE oid = 'voucher_code'::regtype;
SELECT amname, bool_and(amvalidate(c.oid)) FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = c.opcmethod WHERE opcintype = 'voucher_code'::regtype GROUP BY 1 ORDER BY 1;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ '(Index.* Scan|(Index|Hash|Merge) Cond|Join)' THEN
			RETURN NEXT ltrim(line, ' ->');
		END IF;
	END LOOP;
END $$;
ALTER TABLE sample ADD CONSTRAINT sample_code UNIQUE (code);
ANALYZE sample;
INSERT INTO sample SELECT 0, '7kq4-9xmt-2r8w';
INSERT INTO sample SELECT 0, '7KQ49XMT2R8W';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT pg_temp.plan_of($$SELECT i FROM sample WHERE code = '7kq4-9xmt-2r8w'$$);
SELECT i FROM sample WHERE code = '7kq4 9xmt 2r8w';
SELECT count(*) = (SELECT count(*) FROM sample WHERE code::text COLLATE "C" > '7KQ4-9XMT-2R8W') AS above FROM sample WHERE code > '7KQ4-9XMT-2R8W';
ALTER TABLE sample DROP CONSTRAINT sample_code;
CREATE INDEX sample_hash ON sample USING hash (code);
SELECT pg_temp.plan_of($$SELECT i FROM sample WHERE code = '7kq4-9xmt-2r8w'$$);
SELECT i FROM sample WHERE code = '7KQ4-9XMT-2R8W';
DROP INDEX sample_hash;
RESET enable_bitmapscan;
RESET enable_seqscan;
SET enable_nestloop = off;
SET enable_mergejoin = off;
SELECT pg_temp.plan_of('SELECT count(*) FROM sample AS a JOIN sample AS b USING (code)');
SELECT count(*) FROM sample AS a JOIN sample AS b USING (code);
SET enable_hashjoin = off;
SET enable_mergejoin = on;
SELECT pg_temp.plan_of('SELECT count(*) FROM sample AS a JOIN sample AS b USING (code)');
SELECT count(*) FROM sample AS a JOIN sample AS b USING (code);
RESET enable_nestloop;
RESET enable_mergejoin;
RESET enable_hashjoin;
SELECT bool_and(voucher_code_hash(code) = voucher_code_hash(code::text::voucher_code)) AS hash_agrees, bool_and(voucher_code_hash_extended(code, 0)::bit(32) = voucher_code_hash(code)::bit(32)) AS extended_agrees,
	count(DISTINCT voucher_code_hash_extended(code, 42)) = count(*) AS seeded FROM sample;
CREATE TEMPORARY TABLE part (code voucher_code) PARTITION BY HASH (code);
CREATE TEMPORARY TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMPORARY TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT code FROM sample;
SELECT count(*), count(DISTINCT tableoid), (SELECT count(*) FROM part WHERE code = '7KQ4-9XMT-2R8W') AS found FROM part;

-- casts: text by a cast only, and into a text column by itself; json as a string
CREATE TEMPORARY TABLE texts (t text, v varchar);
INSERT INTO texts VALUES ('7KQ4-9XMT-2R8W'::voucher_code, '7KQ4-9XMT-2R8W'::voucher_code);
SELECT t, v, t::voucher_code = v::voucher_code AS equal FROM texts;
INSERT INTO received SELECT t FROM texts;
SELECT code FROM sample, texts WHERE code = t;
SELECT 7::bigint::voucher_code;
SELECT to_json(code), jsonb_build_object('code', code), code || '!' AS concat FROM sample WHERE i = 0;

-- new codes: no two alike, and each bit, hence each character, as likely as its opposite
CREATE TEMPORARY TABLE drawn (code voucher_code DEFAULT loyalty.new_voucher_code(), i int);
INSERT INTO drawn (i) SELECT generate_series(1, 20000);
SELECT count(*), count(DISTINCT code), bool_and(code::text::voucher_code = code) AS again FROM drawn;
SELECT count(*) AS bits, bool_and(ones BETWEEN 9300 AND 10700) AS even FROM (SELECT b, sum(get_bit(voucher_code_send(code), b)) AS ones FROM drawn, generate_series(0, 63) AS b GROUP BY b) AS s WHERE ones > 0;
SELECT bool_and(n BETWEEN 450 AND 820) AS even, count(*) FROM (SELECT p, substr(replace(code::text, '-', ''), p, 1), count(*) AS n FROM drawn, generate_series(1, 12) AS p GROUP BY 1, 2) AS s;

-- derived codes: always the same, of the low 55 bits of the first seven bytes, one code for each value of them
SELECT b, derive_voucher_code(b) FROM unnest(ARRAY['\x00000000000000', '\x80000000000000', '\x00000000000001', '\x7fffffffffffff', '\xffffffffffffff', '\xffffffffffffff00', '\x00443214c74254', sha256('1'), sha256('')]::bytea[]) AS b;
SELECT count(DISTINCT derive_voucher_code(set_bit('\x00000000000000'::bytea, b, 1))) AS one_bit_each_or_none FROM generate_series(0, 55) AS b;
SELECT bool_and((('x' || encode(voucher_code_send(derive_voucher_code(h)), 'hex'))::bit(64)::bigint >> 5) = (('x00' || encode(substr(h, 1, 7), 'hex'))::bit(64)::bigint & 36028797018963967)) AS as_they_are
FROM generate_series(1, 2000) AS i, sha256(i::text::bytea) AS h;
SELECT derive_voucher_code('\x010203040506');
SELECT derive_voucher_code('');

-- the hash to look codes up by: sha256 of the canonical text, however it was typed
SELECT voucher_hash('7kq4 9xmt 2r8w'), voucher_hash('7kq4 9xmt 2r8w') = sha256('7KQ4-9XMT-2R8W') AS plain;
SELECT bool_and(voucher_hash(code) = sha256(code::text::bytea)) AS plain FROM sample;
SELECT derive_voucher_code(NULL) IS NULL AND voucher_hash(NULL) IS NULL AS strict;

-- nothing stands undocumented or unlabelled
SELECT p.oid::regprocedure FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'loyalty'::regnamespace AND p.proname ~ '^voucher_code_|^voucher_hash$|_voucher_code$'
	AND (p.provolatile <> CASE WHEN p.proname = 'new_voucher_code' THEN 'v' ELSE 'i' END OR p.proparallel <> 's' OR NOT p.proisstrict OR pg_catalog.obj_description(p.oid, 'pg_proc') IS NULL);
