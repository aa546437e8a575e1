--
-- points: an exact count of points with four decimals
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- Text form: forgiving of blanks, sign and trailing zeros; shortest output
SELECT v AS text, v::loyalty.points AS points
FROM unnest(ARRAY['37', '-12.5', '+0.5', '.5', '5.', '-0', '  7	', '1.00010000000', '000000000000000000000012',
	'922337203685477.5807', '-922337203685477.5807', E'\n-0.0001\r\f\x0b']) AS v;

-- What is not points, with its SQLSTATE
CREATE FUNCTION sqlstate_of(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT v AS text, sqlstate_of(format('SELECT %L::loyalty.points', v))
FROM unnest(ARRAY['', ' ', '.', '-', '+-1', '- 1', '1 2', '1,5', '1e3', '0x10', 'NaN', 'Infinity', '1.2.3', '12a', '12.00001', '1.000001a',
	'922337203685477.5808', '-922337203685477.5808', '1000000000000000', '99999999999999999999999999999999.5']) AS v;
-- Very long text is refused as calmly, and not repeated whole
SELECT sqlstate_of(format('SELECT %L::loyalty.points', v))
FROM unnest(ARRAY[repeat('9', 100000), repeat('x', 1000000), '1.' || repeat('0', 100000) || '1']) AS v;
SELECT left(sqlstate_of(format('SELECT %L::loyalty.points', v)), 5) AS other_scripts FROM unnest(ARRAY['٣', 'x' || repeat('é', 1000), '３']) AS v;
SELECT (repeat('0', 100000) || '1.5' || repeat('0', 100000) || repeat(' ', 1000))::loyalty.points AS long_but_fine;

-- Casts: implicit from the integers, by assignment from numeric, implicit to numeric
SELECT 7::smallint::loyalty.points, (-7)::integer::loyalty.points, 922337203685477::bigint::loyalty.points,
	(-2147483648)::integer::loyalty.points, (-32768)::smallint::loyalty.points;
SELECT 922337203685478::bigint::loyalty.points;
SELECT (-9223372036854775808)::bigint::loyalty.points;
SELECT v AS "numeric", sqlstate_of(format('SELECT %L::numeric::loyalty.points', v)), CASE WHEN sqlstate_of(format('SELECT %L::numeric::loyalty.points', v)) = 'accepted' THEN v::numeric::loyalty.points END AS points
FROM unnest(ARRAY['0', '37.0000000', '-12.5', '0.0001', '10000', '100000000', '10000.0001', '922337203685477.5807', '-922337203685477.5807',
	'922337203685477.5808', '-922337203685477.5808', '1e16', '1e300', '0.00001', '1e-300', '12.34567', 'NaN']) AS v;
SELECT v::loyalty.points::numeric FROM unnest(ARRAY['37', '-12.5', '0', '0.0001', '120000', '100000000', '10000.01', '922337203685477.5807', '-922337203685477.5807']) AS v;
CREATE TEMP TABLE member_points (member int, points loyalty.points);
INSERT INTO member_points VALUES (1, 100), (1, 20.5), (2, -7.25::numeric), (2, '3'), (3, NULL), (4, 9::smallint), (4, 1::bigint);
INSERT INTO member_points VALUES (5, 0.00005);
INSERT INTO member_points VALUES (5, 'many');
-- A numeric parameter of a function does not become points by itself
SELECT loyalty.abs(1.5);

-- json: a number, wherever it is built
SELECT to_json(points), to_jsonb(points), points::json AS cast_json, points::jsonb AS cast_jsonb, jsonb_typeof(to_jsonb(points)) AS type,
	row_to_json(m), to_jsonb(m) AS row_to_jsonb, jsonb_build_object('p', points), json_build_array(points)
FROM member_points AS m WHERE member = 2 ORDER BY points;
SELECT json_agg(points ORDER BY points), jsonb_agg(points ORDER BY points), json_object_agg(member, points), to_jsonb(array_agg(points ORDER BY points)) FROM member_points WHERE member = 1;

-- Arithmetic, without loyalty in the search_path: everything is numeric
SELECT pg_typeof(points + points), points * 1.5, points / 2 AS half, coalesce(points, 0), pg_typeof(coalesce(points, 0)), coalesce(points, 0.5), pg_typeof(sum(points) OVER ()), greatest(points, 0), points > 0 AS positive
FROM member_points WHERE member = 2 ORDER BY points;
SELECT sum(points), avg(points), min(points), max(points), round(sum(points)) FROM member_points;
-- and with it: points stay points, and nobody else's arithmetic changes
SET search_path = public, loyalty;
SELECT pg_typeof(points + points), points * 1.5, points / 2 AS half, coalesce(points, 0), pg_typeof(coalesce(points, 0)), coalesce(points, 0.5), pg_typeof(sum(points) OVER ()), points > 0 AS positive
FROM member_points WHERE member = 2 ORDER BY points;
SELECT sum(points), avg(points), min(points), max(points), round(sum(points)) FROM member_points;
SELECT 3 * 0.5 AS a, 1 + 1 AS b, 1 + 0.5 AS c, 1::smallint + 1::bigint AS d, - 1.5 AS e, abs(-3) AS f, 2 > 1.5 AS g, '5' + 1 AS h, sum(x) AS i, max(x) AS j FROM generate_series(1, 3) AS x;
SELECT points + 1 AS plus, 1 - points AS minus, - points AS negated, + points AS same, abs(points), points - points AS zero FROM member_points WHERE member = 2 ORDER BY points;
SELECT points + 0.5 AS numeric_plus, points > 0.5 AS numeric_above FROM member_points WHERE member = 2 ORDER BY points;

-- The ends of the range: every value has a negative, and nothing wraps around
\set top '''922337203685477.5807''::points'
SELECT - :top AS bottom, - (- :top) AS top, abs(- :top), :top + (- :top) AS zero, :top - 0.0001::points AS below;
SELECT :top + 0.0001::points;
SELECT - :top - 0.0001::points;
SELECT - :top + (-0.0001)::points;
SELECT :top - (-0.0001)::points;
SELECT - :top - :top;

-- Comparison
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, points_cmp(a, b), points_smaller(a, b), points_larger(a, b)
FROM (VALUES ('-1'::points, '1'::points), ('1.5', '1.5000'), ('2', '1.9999'), (- :top, :top)) AS v (a, b);

-- Aggregates: NULL and no rows as ever, and only the result is judged
SELECT sum(points), avg(points), min(points), max(points), count(points) FROM member_points WHERE member = 3;
SELECT sum(points), avg(points), min(points), max(points) FROM member_points WHERE false;
SELECT member, sum(points), avg(points), min(points), max(points) FROM member_points GROUP BY member ORDER BY member;
SELECT sum(p) AS back_in_range, avg(p) FROM (VALUES (:top), (:top), (- :top), (NULL), (- :top), ('0.0003')) AS v (p);
SELECT avg(p), max(p) FROM (VALUES (:top), (:top), (:top)) AS v (p);
SELECT sum(p) FROM (VALUES (:top), ('0.0001')) AS v (p);
SELECT sum(p) FROM (VALUES (- :top), ('-0.0001')) AS v (p);
-- Moving frames take rows out again, exactly, and each frame is judged by itself
SELECT i, p, sum(p) OVER w, round(avg(p) OVER w, 4) AS avg, max(p) OVER w
FROM (VALUES (1, 5::points), (2, NULL), (3, NULL), (4, 2.5::points), (5, -1), (6, '0.0001')) AS v (i, p)
WINDOW w AS (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW);
SELECT i, sum(p) OVER (ORDER BY i ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) FROM (VALUES (1, :top), (2, - :top), (3, 5)) AS v (i, p);
SELECT sum(p) OVER (ORDER BY i ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) FROM (VALUES (1, :top), (2, :top)) AS v (i, p);
-- Indexes, sorts and hashes; of a plan only what is the same in all versions
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ '(Index.* Scan|(Index|Hash|Merge) Cond|Join|HashAggregate|Partial Aggregate)' THEN
			RETURN NEXT ltrim(line, ' ->');
		END IF;
	END LOOP;
END $$;
CREATE TABLE points_rows AS SELECT i, (i % 1000 - 500)::points + ((i % 3) * 0.25)::points AS p FROM generate_series(1, 20000) AS i;
CREATE INDEX points_rows_btree ON points_rows (p);
CREATE INDEX points_rows_hash ON points_rows USING hash (p);
ANALYZE points_rows;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT plan_of('SELECT i FROM points_rows WHERE p > 499 AND p <= 499.25::points');
SELECT count(*), min(p), max(p) FROM points_rows WHERE p > 499 AND p <= 499.25::points;
SELECT plan_of('SELECT min(p), max(p) FROM points_rows');
SELECT min(p), max(p) FROM points_rows;
SELECT p FROM points_rows ORDER BY p DESC LIMIT 3;
DROP INDEX points_rows_btree;
SELECT plan_of('SELECT i FROM points_rows WHERE p = 7');
SELECT count(*) FROM points_rows WHERE p = 7;
RESET enable_bitmapscan;
RESET enable_seqscan;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT plan_of('SELECT count(*) FROM points_rows AS a JOIN (SELECT p FROM points_rows GROUP BY p) AS b USING (p)');
SELECT count(*) FROM points_rows AS a JOIN (SELECT p FROM points_rows GROUP BY p) AS b USING (p);
SET enable_hashjoin = off;
SET enable_mergejoin = on;
SELECT plan_of('SELECT count(*) FROM points_rows AS a JOIN points_rows AS b ON a.p = b.p WHERE a.i <= 10');
SELECT count(*) FROM points_rows AS a JOIN points_rows AS b ON a.p = b.p WHERE a.i <= 10;
RESET enable_mergejoin;
RESET enable_nestloop;
RESET enable_hashjoin;
SELECT bool_and(points_hash(p) = points_hash(p::text::points)) AS hash_agrees, bool_and(points_hash_extended(p, 0)::bit(32) = points_hash(p)::bit(32)) AS extended_agrees,
	count(DISTINCT points_hash_extended(p, 42)) = count(DISTINCT p) AS seeded FROM points_rows;
SELECT bool_and(p >= q) AS sorted FROM (SELECT p, lag(p, 1, - :top) OVER (ORDER BY p) AS q FROM points_rows) AS s;
SELECT DISTINCT amvalidate(oid) FROM pg_opclass WHERE opcname = 'points_ops';

-- In parallel: the state travels between workers
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT plan_of('SELECT sum(p), avg(p), min(p), max(p) FROM points_rows');
SELECT sum(p), avg(p), min(p), max(p), sum(p)::numeric = sum(p::numeric) AS exact, round(avg(p) - avg(p::numeric), 10) AS difference FROM points_rows;
SELECT avg(CASE WHEN i % 3 = 0 THEN - :top ELSE :top END) FROM points_rows WHERE i <= 15000;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- Binary form: the int64 in ten-thousandths; the one that is no value is refused
SELECT points_send('37'), points_send('-0.0001'), points_send(- :top);
SELECT current_setting('data_directory') || '/pg_stat_tmp/loyalty_points' AS file \gset
COPY member_points TO :'file' (FORMAT binary);
CREATE TEMP TABLE copied (LIKE member_points);
COPY copied FROM :'file' (FORMAT binary);
SELECT count(*), count(points), sum(points) FROM copied;
(TABLE copied EXCEPT ALL TABLE member_points) UNION ALL (TABLE member_points EXCEPT ALL TABLE copied);
CREATE TEMP TABLE incoming (points points);
SELECT lo_from_bytea(0, ('\x5047434f50590aff0d0a00' || '0000000000000000' || '0001' || '00000008' || '8000000000000000' || 'ffff')::bytea) AS object \gset
SELECT lo_export(:object, :'file'), lo_unlink(:object);
COPY incoming FROM :'file' (FORMAT binary);
SELECT lo_from_bytea(0, ('\x5047434f50590aff0d0a00' || '0000000000000000' || '0001' || '00000004' || '00000001' || 'ffff')::bytea) AS object \gset
SELECT lo_export(:object, :'file'), lo_unlink(:object);
COPY incoming FROM :'file' (FORMAT binary);
SELECT count(*) FROM incoming;

-- Each object has a comment
SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND obj_description(objid, classid::regclass::text) IS NULL
	AND pg_describe_object(classid, objid, objsubid) ~ '^(type points$|function (points_|(abs|sum|avg|min|max)\(points\))|operator .*\((points|NONE),points\)|cast .*points|operator (class|family) points_ops)';
SELECT count(*) > 50 AS all_seen FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND pg_describe_object(classid, objid, objsubid) ~ '^(type points$|function (points_|(abs|sum|avg|min|max)\(points\))|operator .*\((points|NONE),points\)|cast .*points|operator (class|family) points_ops)';

DROP TABLE points_rows, member_points, copied, incoming;
DROP FUNCTION sqlstate_of(text), plan_of(text);
RESET search_path;
