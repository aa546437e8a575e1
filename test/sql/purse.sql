--
-- purse: points by life span
--
SET search_path = loyalty, public;
SET client_min_messages = warning;

-- What a statement raises: SQLSTATE, message, detail.
CREATE FUNCTION pg_temp.raises(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text;
BEGIN
	EXECUTE statement;
	RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN state || ' ' || message || coalesce(' / ' || nullif(detail, ''), '');
END $$;

-- Text: any order, canonical out, independent of DateStyle
SET datestyle = 'German, DMY';
SELECT t, t::purse FROM unnest(ARRAY[
	'{}', ' { } ', '{0@infinity}', '{5@infinity, 120@2026-03-31, 40@2026-01-15/2026-12-31}',
	'{1@2026-01-01,2@2026-01-01,-3@2026-01-01}', '{1@2026-01-01,2@2026-01-01/2026-01-01,3@2026-01-01}',
	'{-50@infinity}', '{ +1.50@-infinity/2026-01-01 , .0001 @ 2026-01-02 / INFINITY }',
	'{922337203685477.5807@infinity}', '{-922337203685477.5807@infinity}', '{1.20000@2026-01-01}',
	'{1@0001-01-01, 1@4714-11-24 BC, 1@0001-12-31 BC/5874897-12-31, 1@12026-01-01, 1@2024-02-29}',
	'{922337203685477.5807@2026-01-01, 1@2026-01-01, -1@2026-01-01}']) t;
RESET datestyle;

SELECT t, pg_temp.raises(format('SELECT %L::loyalty.purse', t)) FROM unnest(ARRAY[
	'', '{', '}', '{,}', '{1}', '{1@}', '{@infinity}', '{1@infinity', '{1@infinity,}', '{1@infinity} x',
	'{1@infinity 2@2026-01-01}', '{x@infinity}', '{1e3@infinity}', '{.@infinity}', '{NaN@infinity}',
	'{1.00001@infinity}', '{922337203685477.5808@infinity}', '{1@-infinity}', '{1@infinity/infinity}',
	'{1@2026-01-01/-infinity}', '{1@- infinity/2026-01-01}', '{1@2026-02-01/2026-01-31}', '{1@2026-1-1}',
	'{1@26-01-01}', '{1@2026-13-01}', '{1@2026-00-01}', '{1@2026-02-29}', '{1@2026-01-00}', '{1@01.02.2026}',
	'{1@2026-01-01 00:00}', '{1@20260101}', '{1@02026-01-01}', '{1@0000-01-01}', '{1@4714-11-23 BC}',
	'{1@5874898-01-01}', '{1@99999999999-01-01}', '{1@2026-01-01/}', '{1@infinite}', '{1@today}',
	'{900000000000000@infinity, 900000000000000@infinity}', '{1@2026-01-01,' || repeat('x', 50) || '}']) t;

-- Constructor
SELECT purse(120, NULL, '2026-03-31') AS at_once, purse('12.5', '2026-01-15', 'infinity') AS pending,
	purse(1, '-infinity', '2026-01-01') AS no_first, purse(0, NULL, 'infinity') AS none,
	purse(NULL, NULL, 'infinity') IS NULL AS no_points, purse(1, NULL, NULL) IS NULL AS no_end;
SELECT pg_temp.raises(s) FROM unnest(ARRAY[
	$$SELECT purse(1, '2026-02-01', '2026-01-31')$$, $$SELECT purse(1, NULL, '-infinity')$$,
	$$SELECT purse(0, 'infinity', 'infinity')$$]) s;

-- Operators
SELECT a + b AS plus, a - b AS minus, -a AS neg, a = b AS eq, a <> b AS ne
FROM (VALUES ('{120@2026-03-31, 5@infinity}'::purse, '{40@2026-01-15/2026-12-31, -5@infinity}'::purse),
	('{1@2026-01-01}', '{1@2026-01-01}'), ('{1@2026-01-01}', '{1@2026-01-01/2026-01-01}'), ('{}', '{}'), ('{}', NULL)) v(a, b);
SELECT pg_temp.raises(s) FROM unnest(ARRAY[
	$$SELECT '{922337203685477.5807@infinity}'::purse + '{0.0001@infinity}'$$,
	$$SELECT '{-922337203685477.5807@infinity}'::purse - '{0.0001@infinity}'$$,
	$$SELECT total('{922337203685477.5807@infinity, 0.0001@2026-01-01}')$$,
	$$SELECT available('{922337203685477.5807@infinity, 0.0001@2026-01-01}', '2026-01-01')$$,
	$$SELECT pending('{922337203685477@2027-01-01/infinity, 1@2027-01-02/infinity}', '2026-01-01')$$,
	$$SELECT expired('{922337203685477@2025-01-01, 1@2025-01-02}', '2026-01-01')$$,
	$$SELECT sum(p) FROM (VALUES ('{922337203685477.5807@infinity}'::purse), ('{0.0001@infinity}')) v(p)$$]) s;
SELECT total('{922337203685477.5807@2026-01-01, 922337203685477.5807@2026-01-02, -922337203685477.5807@infinity}');

-- Lots
SELECT * FROM lots(purse '{120.5@2026-03-31, 40@2026-01-15/2026-12-31, -5@infinity, 7@2026-01-01/infinity}');
SELECT * FROM lots(purse '{}');
SELECT * FROM lots(NULL::purse);

-- Readings on a day, both ends inclusive
CREATE FUNCTION pg_temp.readings(p purse, days date[])
RETURNS TABLE (day date, available points, pending points, expired points, outstanding purse) LANGUAGE sql AS $$
	SELECT d, available(p, d), pending(p, d), expired(p, d), outstanding(p, d) FROM unnest(days) d $$;
SELECT * FROM pg_temp.readings('{120@2026-03-31, 40@2026-01-15/2026-12-31, 5@infinity}',
	'{-infinity,2026-01-14,2026-01-15,2026-03-31,2026-04-01,2026-12-31,2027-01-01,infinity}');
-- a debt, and lots that open on different days; the first is partly used up, and lapses
SELECT * FROM pg_temp.readings('{-50@infinity, 30@2026-02-01/2026-12-31, 40@2026-03-01/2026-03-31, 10@2026-03-01/2027-01-31}',
	'{2026-01-31,2026-02-01,2026-02-28,2026-03-01,2026-03-31,2026-04-01,2027-02-01}');
-- opening day first, then the soonest to expire, never-expiring last
SELECT * FROM pg_temp.readings('{-5@infinity, 3@2026-01-01/2026-06-30, 3@2026-12-31, 3@2026-01-01/infinity, 3@2026-09-30}', '{2025-01-01,2026-01-01}');
SELECT * FROM pg_temp.readings('{-7@infinity, 3@2026-01-01/2026-06-30, 3@2026-12-31, 3@2026-01-01/infinity}', '{2025-12-31,2026-01-01,2026-07-01}');
-- a debt larger than all; no debt at all; other negative lots are no debt
SELECT * FROM pg_temp.readings('{-500@infinity, 30@2026-02-01/2026-12-31, 40@2026-03-31}', '{2026-01-01,2026-02-01,2027-01-01}');
SELECT * FROM pg_temp.readings('{5@infinity, 1@2026-03-31}', '{2026-03-31,2026-04-01}');
SELECT * FROM pg_temp.readings('{-20@infinity, 50@infinity, -10@2026-03-31, 25@2026-06-30}', '{2026-03-31,2026-04-01}');
SELECT * FROM pg_temp.readings('{-20@infinity, -10@2026-03-31, 15@2026-06-30, -1@2026-05-01/infinity}', '{2026-03-31,2026-04-01,2026-05-01}');
SELECT * FROM pg_temp.readings('{}', '{2026-01-01}');

-- Spending
SELECT n, spend('{5@infinity, 120@2026-03-31, 40@2026-01-15/2026-12-31, 7@2026-01-01/2026-03-31, 9@2025-12-31, 9@2027-01-01/infinity}', n, '2026-03-31')
FROM unnest('{0.0001, 100, 120, 127, 130, 167, 172}'::numeric[]::points[]) n;
SELECT spend(purse '{-50@infinity, 30@2026-02-01/2026-12-31, 40@2026-03-01/2026-03-31}', 20, '2026-03-01') AS after_netting,
	spend(purse '{-5@2026-01-31, 30@2026-02-28, 4@2026-03-31}', 29, '2026-01-31') AS beside_negative_lots;
SELECT pg_temp.raises(s) FROM unnest(ARRAY[
	$$SELECT spend(purse '{120@2026-03-31}', 150, '2026-03-31')$$, $$SELECT spend(purse '{120@2026-03-31}', '0.0001', '2026-04-01')$$,
	$$SELECT spend(purse '{120@2026-02-01/2026-03-31}', 1, '2026-01-31')$$, $$SELECT spend(purse '{-50.25@infinity}', 1, '2026-01-31')$$,
	$$SELECT spend(purse '{-50@infinity, 60@2026-03-31}', '10.5', '2026-03-31')$$,
	$$SELECT spend(purse '{120@2026-03-31}', 0, '2026-03-31')$$, $$SELECT spend(purse '{120@2026-03-31}', -1, '2026-03-31')$$]) s;

-- Laws, over generated purses: signed, with fractions, with and without debt
CREATE TEMP TABLE gen AS
SELECT i, coalesce(sum(purse(
	((x % 2000) * (CASE i % 3 WHEN 0 THEN 1 WHEN 1 THEN 0.5 ELSE 0.0001 END) * (CASE WHEN i % 4 = 0 AND x % 3 = 0 THEN -1 ELSE 1 END))::points,
	CASE WHEN x % 5 < 3 THEN date '2026-01-01' + x % 11 * 10 END,
	CASE WHEN x % 7 = 0 THEN 'infinity' ELSE date '2026-05-01' + x % 13 * 7 END)), '{}')
	+ purse(CASE WHEN i % 2 = 0 THEN -(i * 37 % 5000) ELSE 0 END, NULL, 'infinity') AS p
FROM generate_series(0, 399) i LEFT JOIN LATERAL (SELECT i * 7919 + j * 10007 + i * j * 31 AS x FROM generate_series(1, i % 15) j) r ON true
GROUP BY i;
CREATE TEMP TABLE days AS SELECT date '2025-12-31' + 9 * n AS d FROM generate_series(0, 28) n;
SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT p FROM gen) g) AS different FROM gen;

SELECT bool_and(a.p + b.p - b.p = a.p) AS inverse, bool_and(a.p + b.p = b.p + a.p) AS commutes,
	bool_and((a.p + b.p) + c.p = a.p + (b.p + c.p)) AS associates, bool_and(a.p - b.p = -(b.p - a.p)) AS minus,
	bool_and(a.p - a.p = '{}') AS zero, bool_and(a.p + '{}' = a.p) AS neutral, bool_and(a.p + a.p - a.p = a.p) AS twice,
	bool_and(total(a.p + b.p) = total(a.p) + total(b.p)) AS total, bool_and((a.p = b.p) = (a.p::text = b.p::text)) AS equality
FROM gen a JOIN gen b ON b.i = (a.i * 17 + 3) % 400 JOIN gen c ON c.i = (a.i * 29 + 5) % 400;
SELECT bool_and(p::text::purse = p) AS text, bool_and(purse_hash(p) = purse_hash(p::text::purse)) AS hash,
	bool_and(purse_hash_extended(p, 7) = purse_hash_extended(p::text::purse, 7)) AS hash_extended,
	bool_and((SELECT coalesce(sum(purse(points, starts, ends)), '{}') FROM lots(p)) = p) AS lots,
	bool_and((SELECT array_agg(l ORDER BY n) IS NOT DISTINCT FROM array_agg(l ORDER BY l.ends, l.starts NULLS FIRST)
		FROM (SELECT ROW(points, starts, ends)::text AS l, starts, ends, n FROM lots(p) WITH ORDINALITY o(points, starts, ends, n)) l)) AS canonical
FROM gen;
SELECT available(p, d) + pending(p, d) + expired(p, d) = total(p) AS adds_up,
	total(outstanding(p, d)) = available(p, d) + pending(p, d) AND expired(outstanding(p, d), d) = 0
	AND available(outstanding(p, d), d) = available(p, d) AND outstanding(outstanding(p, d), d) = outstanding(p, d) AS outstanding, count(*)
FROM gen, days GROUP BY 1, 2;
-- the same readings from rows: what the debt takes is a running sum
SELECT count(*) AS differ FROM gen, days, LATERAL (
	SELECT coalesce(sum(rest) FILTER (WHERE ends >= d AND starts <= d), 0) + CASE WHEN debt > 0 THEN least(0, coalesce(sum(points) FILTER (WHERE nets), 0) - debt) ELSE 0 END AS available,
		coalesce(sum(rest) FILTER (WHERE ends < d), 0) AS expired
	FROM (SELECT *, points - CASE WHEN nets THEN least(points, greatest(0, debt - coalesce(before, 0))) ELSE 0 END AS rest
		FROM (SELECT *, starts <= d AND points > 0 AS nets, sum(points) FILTER (WHERE starts <= d AND points > 0) OVER
				(ORDER BY starts, ends ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
				coalesce(-min(points) FILTER (WHERE starts = '-infinity' AND ends = 'infinity' AND points < 0) OVER (), 0) AS debt
			FROM (SELECT points::numeric, coalesce(starts, '-infinity') AS starts, ends FROM lots(p)) l) l) l
	WHERE NOT (starts = '-infinity' AND ends = 'infinity' AND points < 0)
	GROUP BY debt) r
WHERE (r.available, r.expired) IS DISTINCT FROM (available(p, d)::numeric, expired(p, d)::numeric);
-- what is spent, before or after netting, leaves the same, and nothing older
SELECT bool_and(total(s) = n) AS exact, bool_and(available(p - s, d) = available(p, d) - n) AS leaves,
	bool_and(outstanding(p - s, d) = outstanding(p, d) - s) AS commutes,
	bool_and(NOT EXISTS (SELECT FROM lots(outstanding(p - s, d)) r WHERE r.points > 0 AND coalesce(r.starts, d) <= d AND r.ends < (SELECT max(ends) FROM lots(s)))) AS soonest, count(*)
FROM gen, days, LATERAL (SELECT (available(p, d)::numeric * (1 + i % 3) / 3)::numeric(20, 4)::points AS n) n, LATERAL (SELECT spend(p, n, d) AS s) s
WHERE n > 0;

-- The aggregate: any order, in parallel, over windows
SELECT sum(p) FROM gen WHERE false;
SELECT sum(p) FROM (VALUES (NULL::purse), ('{1@2026-01-01}'), (NULL), ('{2@2026-01-01, -1@infinity}')) v(p);
SELECT sum(p) FROM (VALUES ('{922337203685477@infinity}'::purse), ('{1@infinity}'), ('{-922337203685477@infinity}')) v(p);
SELECT sum(p ORDER BY i) = sum(p ORDER BY -i) AND sum(p) = sum(p ORDER BY i * 7919 % 400) AS any_order, sum(p) - sum(-p) = sum(p) + sum(p) AS linear FROM gen;
SELECT bool_and(s - before = p) AS running FROM (SELECT p, s, coalesce(lag(s) OVER w, '{}') AS before
	FROM (SELECT i, p, sum(p) OVER (ORDER BY i) AS s FROM gen) s WINDOW w AS (ORDER BY i)) s;
CREATE TABLE purse_parallel AS SELECT p FROM gen, generate_series(1, 50);
ALTER TABLE purse_parallel SET (parallel_workers = 2);
ANALYZE purse_parallel;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT sum(p) FROM purse_parallel;
SELECT sum(p) = (SELECT sum(g.p) FROM gen g, generate_series(1, 50)) AS parallel FROM purse_parallel;
SELECT sum(p) FILTER (WHERE false) IS NULL AS none FROM purse_parallel;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET max_parallel_workers_per_gather;

-- Hash opclass
SET enable_sort = off; SET enable_nestloop = off; SET enable_mergejoin = off;
SELECT count(*) FROM (SELECT p, count(*) FROM purse_parallel GROUP BY p) g;
SELECT count(*) FROM gen a JOIN gen b USING (p);
RESET enable_sort; RESET enable_nestloop; RESET enable_mergejoin;
CREATE INDEX ON purse_parallel USING hash (p);
SELECT count(*) FROM purse_parallel WHERE p = (SELECT p FROM gen WHERE i = 14);
CREATE TEMP TABLE parts (p purse) PARTITION BY HASH (p);
CREATE TEMP TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT p FROM gen;
SELECT count(*) FROM parts WHERE p = '{}';
DROP TABLE purse_parallel;

-- Size: a member who shops every day for a year; one lot; toasted
CREATE TEMP TABLE sizes (what text, p purse);
INSERT INTO sizes VALUES ('empty', '{}'), ('one', '{120@2026-03-31}'), ('debt', '{-50@infinity}');
INSERT INTO sizes SELECT 'year at once', sum(purse(100 + i * 7 % 500, NULL, date '2027-01-01' + i)) FROM generate_series(0, 364) i;
INSERT INTO sizes SELECT 'year pending', sum(purse(100 + i * 7 % 500, date '2026-01-01' + i, date '2027-01-01' + i)) FROM generate_series(0, 364) i;
INSERT INTO sizes SELECT 'year mixed, debt', sum(purse(100 + i * 7 % 500, CASE WHEN i % 2 = 0 THEN date '2026-01-01' + i END, date '2027-01-01' + i)) + '{-99@infinity}' FROM generate_series(0, 364) i;
INSERT INTO sizes SELECT 'toasted', sum(purse((i * 7919 % 100003 * 0.0001)::points, date '2026-01-01' + i, date '2027-01-01' + i * 3)) FROM generate_series(0, 4999) i;
SELECT what, (SELECT count(*) FROM lots(p)) AS lots, octet_length(purse_send(p)) AS bytes, pg_column_size(p) <= octet_length(purse_send(p)) + 4 AS fits, p::text::purse = p AND p + p - p = p AS sound FROM sizes;
SELECT pg_column_size(p) FROM sizes WHERE what IN ('empty', 'one', 'debt');

-- Binary: there and back, and what is refused
CREATE TEMP TABLE received (p purse);
COPY (SELECT p FROM gen UNION ALL SELECT p FROM sizes) TO PROGRAM 'cat > /tmp/loyalty_purse.$PPID' (FORMAT binary);
COPY received FROM PROGRAM 'cat /tmp/loyalty_purse.$PPID; rm /tmp/loyalty_purse.$PPID' (FORMAT binary);
SELECT count(*) FROM received;
SELECT count(*) AS differ FROM ((SELECT p FROM gen UNION ALL SELECT p FROM sizes) EXCEPT ALL SELECT p FROM received) d;
CREATE FUNCTION pg_temp.receive(payload bytea) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.raises(format('COPY pg_temp.received FROM PROGRAM %L (FORMAT binary)', format('printf %%b ''%s''', string_agg(format('\0%s%s%s', b >> 6, b >> 3 & 7, b & 7), '' ORDER BY n))))
	FROM (SELECT '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000' || int2send(1::int2) || int4send(length(payload)) || payload || '\xffff' AS m) m,
		generate_series(0, length(m) - 1) n, get_byte(m, n) b $$;
CREATE TEMP TABLE payloads (what text, payload bytea);
INSERT INTO payloads VALUES ('good', '\x1090d70478'), ('nothing', ''), ('version 0', '\x00'), ('version 2', '\x20'), ('5 decimals', '\x15'),
	('cut in a tag', '\x1090'), ('cut before points', '\x1002'), ('cut in a first day', '\x100381'), ('too long', '\x1002ffffffffffffffffffff01'),
	('over 64 bits', '\x1002ffffffffffffffffff02'), ('overlong', '\x10028100'), ('decimals not needed', '\x11020a'), ('sign not needed', '\x180202'),
	('zero', '\x100200'), ('INT64_MIN', '\x1c02ffffffffffffffffff01'), ('over INT64_MAX', '\x1402ffffffffffffffffff01'), ('overflow', '\x1002ffffffffffffff7f'),
	('never, yet days', '\x100601'), ('same life span', '\x1002010201'), ('wrong order', '\x100201000a'), ('first days in wrong order', '\x10031401030101'),
	('first after last', '\x10010201'), ('last day far', '\x10f0ffffff7f01'), ('last day early', '\x10fcffffff0f01'), ('first day far', '\x1003feffffffff0f01'), ('first day early', '\x1003ffffff0f01'), ('huge tag', '\x10fcffffffffffff0101');
SELECT what, pg_temp.receive(payload) FROM payloads;
-- a corrupted table is told from bad input; equality and send look at bytes only
CREATE CAST (bytea AS purse) WITHOUT FUNCTION;
SELECT pg_temp.raises(format('SELECT total(%L::bytea::purse)', payload)) AS stored, count(*) FROM payloads GROUP BY 1 ORDER BY 2 DESC, 1;
DROP CAST (bytea AS purse);
