--
-- tally: what counts toward tiers, period by period
--
SET search_path = loyalty, public;
SET client_min_messages = warning;
SET DateStyle = ISO;

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
SELECT t, t::tally, resolution(t::tally) FROM unnest(ARRAY[
	'{}', ' { } ', '{2026-02: 9/9/1, 2026-01: 120.50/37/2}', '{2026-01-05: 12.5/12/1}', '{ever: 1200/1200/14}', '{EVER:-1.1/-2.5/-3}',
	'{ 2026-01-05 :+1.50 / .25 /+1 ,2026-01-04:0/0/1}', '{2026-01: 0/0/0}', '{ever: 0.00/0/0}', '{2026-01: 1/0/0, 2026-02: 0/1/0, 2026-03: 0/0/1, 2026-04: 0/0/0}',
	'{2026-01: 1/2/3, 2026-01: 4/5/6, 2026-01: -2/-3/-4}', '{2026-01: 1/2/3, 2026-01: -1/-2/-3}',
	'{2026-01: 999999999999999999.999999/922337203685477.5807/2147483647, 2026-02: -999999999999999999.999999/-922337203685477.5807/-2147483647}',
	'{2026-01: 1.1/1/1, 2026-02: 1.10/1.0/1, 2026-03: 1.123/1/1, 2026-04: 0.000001/0.0001/1, 2026-05: 1.1200000/1.50000/1, 2026-06: 100000/100000/100000}',
	'{0001-01-01: 1/1/1, 4714-11-24 BC: 1/1/1, 0001-12-31 bc: 1/1/1, 5874897-12-31: 1/1/1, 2024-02-29: 1/1/1, 12026-01-01: 1/1/1, 2000-01-01: 1/1/1, 1999-12-31: 1/1/1}',
	'{0001-01: 1/1/1, 4714-12 BC: 1/1/1, 0001-12 BC: 1/1/1, 5874897-12: 1/1/1, 2000-01: 1/1/1, 1999-12: 1/1/1}',
	'{ever: 999999999999999999/1/1, ever: 999999999999999999/1/1, ever: -999999999999999999/1/1}']) t;
SET datestyle = ISO;

SELECT t, pg_temp.raises(format('SELECT %L::loyalty.tally', t)) FROM unnest(ARRAY[
	'', '{', '}', '{,}', '{2026-01}', '{2026-01:}', '{2026-01: 1}', '{2026-01: 1/1}', '{2026-01: 1/1/}', '{2026-01: 1/1/1', '{2026-01: 1/1/1,}', '{2026-01: 1/1/1} x', '{2026-01: 1/1/1/1}',
	'{: 1/1/1}', '{2026-01 1/1/1}', '{2026-01: 1/1/1 2026-02: 1/1/1}', '{2026-01: //}', '{2026-01: x/1/1}', '{2026-01: ./1/1}', '{2026-01: 1e3/1/1}', '{2026-01: NaN/1/1}', '{2026-01: 1/Infinity/1}',
	'{2026-01: 1/1/1.5}', '{2026-01: 1/1/1.}', '{2026-01: - 1/1/1}', '{2026-01: --1/1/1}', '{2026-01: 1.2.3/1/1}', '{2026-01: 1,5/1/1}',
	'{2026-01: 0.0000001/1/1}', '{2026-01: 1/0.00001/1}', '{2026-01: 1000000000000000000/1/1}', '{2026-01: 999999999999999999.9999999/1/1}', '{2026-01: 99999999999999999999999999999999999999999999/1/1}',
	'{2026-01: 1/922337203685477.5808/1}', '{2026-01: 1/1/2147483648}', '{2026-01: 1/1/-2147483648}',
	'{2026-01: 900000000000000000/1/1, 2026-01: 900000000000000000/1/1}', '{2026-01: 1/900000000000000/1, 2026-01: 1/900000000000000/1}', '{2026-01: 1/1/2000000000, 2026-01: 1/1/2000000000}',
	'{2026: 1/1/1}', '{2026-1: 1/1/1}', '{26-01: 1/1/1}', '{2026-13: 1/1/1}', '{2026-00: 1/1/1}', '{2026-02-29: 1/1/1}', '{2026-01-00: 1/1/1}', '{2026-01-5: 1/1/1}', '{2026-01-: 1/1/1}', '{01.02.2026: 1/1/1}',
	'{20260101: 1/1/1}', '{02026-01: 1/1/1}', '{0000-01: 1/1/1}', '{-2026-01: 1/1/1}', '{4714-11-23 BC: 1/1/1}', '{4714-11 BC: 1/1/1}', '{5874898-01: 1/1/1}', '{99999999999-01: 1/1/1}', '{infinity: 1/1/1}', '{2026-W01: 1/1/1}', '{forever: 1/1/1}',
	'{2026-01: 1/1/1, 2026-01-05: 1/1/1}', '{2026-01-05: 1/1/1, ever: 1/1/1}', '{2026-01: 1/1/1,' || repeat('x', 50) || '}']) t;

-- Long and hostile text
SELECT left(pg_temp.raises(format('SELECT %L::loyalty.tally', t)), 60), length(t)
FROM unnest(ARRAY[repeat('{', 1000000), '{2026-01: ' || repeat('9', 1000000) || '/1/1}', '{2026-01: 1/' || repeat('0', 1000000) || '1/1}', '{2026-01: 1.' || repeat('0', 1000000) || '1/1/1}',
	'{' || repeat('9', 1000000) || '-01: 1/1/1}', '{' || repeat(' ', 1000000) || '}', '{' || repeat('2026-01: 1/1/1, ', 100000) || '2026-01: 1/1/1}', '{2026-01: 1/1/1,' || repeat(chr(233), 1000), '{2026-01: 1/1/1' || chr(1) || '}']) t;

-- Counting: a day counts in its period; what nets to nothing disappears
SELECT tally_add('{}', '2026-01-05', 12.5, 12, 1), tally_add('{2026-01-05: 12.5/12/1}', '2026-01-05', 7.5, '7.5', 1), tally_add('{2026-01-05: 12.5/12/1}', '2026-01-04', 1, 0, 0),
	tally_add('{2026-01: 12.5/12/1}', '2026-01-31', 1.5, 1, 1), tally_add('{2026-01: 12.5/12/1}', '2026-02-01', 1.5, 1, 1), tally_add('{ever: 12.5/12/1}', '2026-01-31', 1.5, 1, 1);
SELECT tally_add('{2026-01-05: 12.5/12/1, 2026-01-06: 1/1/1}', '2026-01-05', -12.5, -12, -1) AS gone, tally_add('{2026-01-05: 12.5/12/1}', '2026-01-05', -20, -20, -1) AS below_zero,
	tally_add('{}', '2026-01-05', 0, 0, 0) AS nothing, tally_add('{ever: 1/1/1}', '2026-01-05', -1, -1, -1) AS ever_gone, tally_add(NULL, '2026-01-05', 1, 1, 1) IS NULL AS strict;
SELECT pg_temp.raises('SELECT loyalty.tally_add(' || a || ')') FROM unnest(ARRAY['''{}'', ''infinity'', 1, 1, 1', '''{ever: 1/1/1}'', ''-infinity'', 1, 1, 1', '''{}'', ''2026-01-05'', 0.0000001, 1, 1', '''{}'', ''2026-01-05'', ''NaN'', 1, 1', '''{}'', ''2026-01-05'', ''Infinity'', 1, 1',
	'''{}'', ''2026-01-05'', 1e18, 1, 1', '''{}'', ''2026-01-05'', -1e18, 1, 1', '''{}'', ''2026-01-05'', 1e24, 1, 1', '''{}'', ''2026-01-05'', 1e1000, 1, 1', '''{}'', ''2026-01-05'', 1, 1, -2147483648', '''{2026-01: 1/1/1}'', ''4714-11-24 BC'', 1, 1, 1',
	'''{2026-01-05: 1/1/2147483647}'', ''2026-01-05'', 1, 1, 1', '''{2026-01-05: 1/922337203685477.5807/1}'', ''2026-01-05'', 1, 0.0001, 1', '''{2026-01-05: 999999999999999999.999999/1/1}'', ''2026-01-05'', 0.000001, 1, 1',
	'''{}'', ''2026-01-05'', 1, 0.0001, 1', '''{}'', ''2026-01-05'', 999999999999999999.999999, 1, 2147483647', '''{}'', ''2026-01-05'', 12.50000000000000000000, 1, 1']) a;

-- Operators
SELECT a::tally + b::tally AS plus, a::tally - b::tally AS minus, -(a::tally) AS negated, a::tally = b::tally AS eq, a::tally <> b::tally AS ne FROM (VALUES
	('{}', '{}'), ('{2026-01: 1/1/1}', '{}'), ('{2026-01-05: 120.50/37/2}', '{2026-01-05: 20.5/7/1, 2026-01-04: 1/1/1, 2026-01-06: 2/2/1, 2026-01-07: 0.01/0.001/0}'),
	('{2026-01: 1/2/3}', '{2026-01: 1/2/3}'), ('{2026-01: 1.0/2.0/3}', '{2026-01: 1/2/3, 2026-02: 0/0/0}'), ('{ever: 1/2/3}', '{ever: 4/5/6}'),
	('{2026-01-05: 1/1/1, 2026-02-05: 2/2/2, 2026-02-06: 4/4/4, 2026-03-01: 8/8/8}', '{2026-02: 10/10/10}'), ('{2026-02: 10/10/10}', '{2026-01-31: 1/1/1, 2026-02-05: 2/2/2, 2026-02-28: 4/4/4}'),
	('{ever: 10/10/10}', '{2026-01-31: 1/1/1, 2026-02-05: 2/2/2}'), ('{2026-01: 1/1/1}', '{ever: 10/10/10}'), ('{2026-01: 1/1/1}', '{2026-01-05: 1/1/1}')) v(a, b);
SELECT pg_temp.raises(s) FROM unnest(ARRAY[$$SELECT tally '{2026-01: 900000000000000000/1/1}' + '{2026-01: 900000000000000000/1/1}'$$, $$SELECT tally '{2026-01: 1/-900000000000000/1}' - '{2026-01: 1/900000000000000/1}'$$,
	$$SELECT tally '{2026-01: 1/1/2000000000}' + '{2026-01: 1/1/2000000000}'$$, $$SELECT tally '{2026-01-01: 1/1/1, 2026-01-02: 1/1/2000000000, 2026-01-03: 1/1/1}' + '{2026-01-01: 1/1/1, 2026-01-02: 1/1/2000000000, 2026-01-03: 1/1/1}'$$,
	$$SELECT coarsen('{2026-01-01: 900000000000000000/1/1, 2026-01-02: 900000000000000000/1/1}', 'month')$$]) s;

-- Coarser periods, pruning, rows
SELECT t, coarsen(t::tally, 'day') AS day, coarsen(t::tally, 'month') AS month, coarsen(t::tally, 'ever') AS ever
FROM unnest(ARRAY['{}', '{2026-01-05: 1/1/1, 2026-01-31: 2/2/1, 2026-02-01: 4/4/1}', '{2025-12-31: 1/1/1, 2026-01-01: 2/2/1, 2026-01-02: -2/-2/-1}', '{2026-01: 1/1/1, 2027-01: -1/-1/-1}', '{ever: 1/1/1}', '{4714-11-30 BC: 1/1/1}']) t WHERE t !~ 'BC'
UNION ALL SELECT 'before all months', NULL, NULL, coarsen('{4714-11-30 BC: 1/1/1}', 'ever');
SELECT pg_temp.raises(format('SELECT loyalty.coarsen(%L, %L)', t, r)) FROM (VALUES ('{}', 'week'), ('{ever: 1/1/1}', 'year'), ('{}', 'Month'), ('{}', ''), ('{4714-11-30 BC: 1/1/1}', 'month')) v(t, r);
SELECT before, prune('{2025-12-31: 1/1/1, 2026-01-01: 2/2/1, 2026-02-10: 4/4/1}', before) AS days, prune('{2025-12: 1/1/1, 2026-01: 2/2/1, 2026-02: 4/4/1}', before) AS months, prune('{ever: 1/1/1}', before) AS ever
FROM unnest('{-infinity,2026-01-01,2026-01-02,2026-02-01,2026-02-28,2026-03-01,infinity}'::date[]) before;
SELECT * FROM periods('{2026-01-05: 12.5/12/1, 2026-02-05: -0.000001/0.5/-3}');
SELECT * FROM periods('{2028-01: 12/12/1, 2028-02: 120.50/37/2}');
SELECT * FROM periods('{ever: 1200/1200/14}');
SELECT * FROM periods('{}');
SELECT * FROM periods(NULL);

-- Windows: the first day of a period decides, so what adjoins adds up
SELECT since, until, (totals('{2025-12-31: 1/1/1, 2026-01-01: 2/2/1, 2026-02-10: 4.25/4.5/1}', since, until)).* FROM (VALUES
	('-infinity'::date, 'infinity'::date), ('2026-01-01', '2026-02-09'), ('2026-01-01', '2026-02-10'), ('2025-12-31', '2025-12-31'), ('2026-01-02', '2026-02-09'), ('2026-02-10', '2026-01-01')) v(since, until);
SELECT since, until, (totals('{2025-12: 1/1/1, 2026-01: 2/2/1, 2026-02: 4/4/1}', since, until)).* FROM (VALUES
	('2026-01-01'::date, '2026-02-15'::date), ('2026-01-02', '2026-02-28'), ('2025-12-01', '2026-01-31'), ('2026-01-01', '2026-01-31')) v(since, until);
SELECT since, (totals('{ever: 1200/1200/14}', since, '2026-01-31')).* FROM unnest('{-infinity,2026-01-01}'::date[]) since;
SELECT totals('{}', '-infinity', 'infinity') AS empty, totals('{2026-01: 1/1/1}', NULL, 'infinity') AS strict,
	totals('{2026-01: 999999999999999999/1/2147483647, 2026-02: 999999999999999999/1/2147483647}', '-infinity', 'infinity') AS beyond_one_period;
SELECT pg_temp.raises($$SELECT totals('{2026-01: 1/900000000000000/1, 2026-02: 1/900000000000000/1}', '-infinity', 'infinity')$$);
-- the window of a tier, from its qualification; a year of spending as of 1998-07-01
SELECT q, w.since, t.* FROM unnest('{rolling 365 days,rolling 12 months,rolling 90 days,calendar year,membership year,lifetime}'::qualification[]) q,
	LATERAL (SELECT window_start(q, '1998-07-01', '1996-08-15') AS since) w,
	LATERAL totals('{1996-08-15: 1/1/1, 1997-07-01: 2/2/1, 1997-07-02: 4/4/1, 1997-08-14: 8/8/1, 1997-08-15: 16/16/1, 1998-01-01: 32/32/1, 1998-07-01: 64/64/1, 1998-07-02: 128/128/1}', since, '1998-07-01') t;

-- Laws, over generated tallies: by day, by month and in all, with fractions and returns
CREATE TEMP TABLE gen AS
SELECT i, coarsen(coalesce(sum(tally_add('{}', date '2026-01-01' + x % 97 * 3, (x % 20000 * (ARRAY[1, 0.01, 0.5, 0.000001])[i % 4 + 1] * CASE WHEN x % 7 = 0 THEN -1 ELSE 1 END)::numeric,
	(x % 900 * (ARRAY[1, 0.5, 0.0001])[i % 3 + 1])::numeric::points, CASE WHEN x % 7 = 0 THEN -1 WHEN x % 11 = 0 THEN 0 WHEN x % 13 = 0 THEN 300 ELSE 1 END)), '{}'),
	CASE WHEN i < 300 THEN 'day' WHEN i < 360 THEN 'month' ELSE 'ever' END) AS t
FROM generate_series(0, 399) i LEFT JOIN LATERAL (SELECT i * 7919 + j * 10007 + i * j * 31 AS x FROM generate_series(1, i % 15) j) r ON true
GROUP BY i;
SELECT resolution(t), count(*), count(DISTINCT t::text) AS different FROM gen GROUP BY 1 ORDER BY 1;
SELECT bool_and(a.t + b.t - b.t = coarsen(a.t, resolution(b.t))) AS inverse, bool_and(a.t + b.t = b.t + a.t) AS commutes,
	bool_and((a.t + b.t) + c.t = a.t + (b.t + c.t)) AS associates, bool_and(a.t - b.t = -(b.t - a.t)) AS minus, bool_and(a.t - b.t = a.t + -b.t) AS plus_minus,
	bool_and(a.t - a.t = '{}') AS zero, bool_and(a.t + '{}' = a.t AND '{}' + a.t = a.t AND a.t - '{}' = a.t) AS neutral, bool_and(a.t + a.t - a.t = a.t) AS twice,
	bool_and(coarsen(a.t + b.t, r) = coarsen(a.t, r) + coarsen(b.t, r)) AS coarser_alike, bool_and((a.t = b.t) = (a.t::text = b.t::text)) AS equality
FROM gen a JOIN gen b ON b.i = (a.i * 17 + 3) % 400 JOIN gen c ON c.i = (a.i * 29 + 5) % 400 CROSS JOIN unnest('{day,month,ever}'::text[]) r;
SELECT bool_and(t::text::tally = t) AS text, bool_and(tally_hash(t) = tally_hash(t::text::tally)) AS hash, bool_and(tally_hash_extended(t, 7) = tally_hash_extended(t::text::tally, 7)) AS hash_extended,
	bool_and((SELECT coalesce(coarsen(sum(tally_add('{}', greatest(starts, '2026-01-01'), amount, points, purchases)), resolution(t)), '{}') FROM periods(t)) = t) AS periods,
	bool_and((SELECT bool_and(amount <> 0 OR points <> 0 OR purchases <> 0) IS NOT FALSE AND array_agg(starts ORDER BY n) IS NOT DISTINCT FROM array_agg(starts ORDER BY starts) FROM periods(t) WITH ORDINALITY o(starts, ends, amount, points, purchases, n))) AS canonical
FROM gen;
-- windows are sums over rows, adjoining ones add up, and pruning leaves the later ones alone
SELECT bool_and(w = (SELECT ROW(coalesce(sum(amount), 0), coalesce(sum(points), 0)::points, coalesce(sum(purchases), 0)) FROM periods(t) WHERE starts BETWEEN s AND u)) AS rows,
	bool_and((w).amount + (v).amount = (b).amount AND (w).points + (v).points = (b).points AND (w).purchases + (v).purchases = (b).purchases) AS adjoining,
	bool_and(totals(prune(t, s), s, u) = w AND totals(prune(t, s), u + 1, 'infinity') = v) AS pruned, bool_and(prune(prune(t, s), u) = prune(t, greatest(s, u))) AS pruned_twice, count(*)
FROM gen, generate_series(0, 9) n, LATERAL (SELECT date '2026-01-01' + 28 * n AS s, date '2026-01-20' + 28 * n + n AS u) d,
	LATERAL (SELECT totals(t, s, u) AS w, totals(t, u + 1, 'infinity') AS v, totals(t, s, 'infinity') AS b) r;

-- The aggregate: any order, in parallel, over windows
SELECT sum(t) FROM gen WHERE false;
SELECT sum(t) FROM (VALUES ('{}'::tally), (NULL), ('{}')) v(t);
SELECT sum(t) FROM (VALUES (NULL::tally), ('{2026-01-05: 1/1/1}'), (NULL), ('{2026-01-05: 2/2/1, 2026-01-06: -1/0/0}')) v(t);
SELECT sum(t) FROM (VALUES ('{2026-01-05: 1/1/1}'::tally), ('{2026-02: 2/2/1}'), ('{2026-01-31: 4/4/1}'), ('{}')) v(t);
SELECT sum(t) FROM (VALUES ('{2026-01: 999999999999999999/922337203685477/2147483647}'::tally), ('{2026-01: 1/1/1}'), ('{2026-01: -999999999999999999/-922337203685477/-2147483647}')) v(t);
SELECT pg_temp.raises(format('SELECT sum(t) FROM (VALUES (%L::tally), (%L)) v(t)', a, b)) FROM (VALUES ('{ever: 999999999999999999/0/0}', '{ever: 1/0/0}'), ('{ever: 0/922337203685477/0}', '{2026-01: 0/1/0}'), ('{ever: 0/0/2147483647}', '{2026-01-05: 0/0/1}')) v(a, b);
SELECT sum(t ORDER BY i) = sum(t ORDER BY -i) AND sum(t) = sum(t ORDER BY i * 7919 % 400) AS any_order, sum(t) - sum(-t) = sum(t) + sum(t) AS linear, sum(t) = coarsen(sum(t) FILTER (WHERE i < 300), 'ever') + sum(t) FILTER (WHERE i >= 300) AS parts FROM gen;
CREATE FUNCTION pg_temp.fold(resolution text) RETURNS tally LANGUAGE plpgsql AS $$
DECLARE
	result tally := '{}'; each tally;
BEGIN
	FOR each IN SELECT t FROM gen WHERE loyalty.resolution(t) = fold.resolution ORDER BY i LOOP
		result := result + each;
	END LOOP;
	RETURN result;
END $$;
SELECT resolution(t), sum(t) = pg_temp.fold(resolution(t)) AS fold FROM gen GROUP BY 1 ORDER BY 1;
SELECT bool_and(s - before = coarsen(t, resolution(s))) AS running FROM (SELECT t, s, coalesce(lag(s) OVER w, '{}') AS before
	FROM (SELECT i, t, sum(t) OVER (ORDER BY i) AS s FROM gen) s WINDOW w AS (ORDER BY i)) s;
CREATE TABLE tally_parallel AS SELECT t FROM gen, generate_series(1, 50);
ALTER TABLE tally_parallel SET (parallel_workers = 2);
ANALYZE tally_parallel;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT sum(t) FROM tally_parallel;
SELECT sum(t) = (SELECT sum(g.t) FROM gen g, generate_series(1, 50)) AS parallel, sum(t) FILTER (WHERE resolution(t) = 'day') = (SELECT sum(g.t) FROM gen g, generate_series(1, 50) WHERE resolution(g.t) = 'day') AS parallel_days FROM tally_parallel;
SELECT sum(t) FILTER (WHERE false) IS NULL AS none FROM tally_parallel;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET max_parallel_workers_per_gather;

-- Hash opclass
SET enable_sort = off; SET enable_nestloop = off; SET enable_mergejoin = off;
SELECT count(*) = (SELECT count(DISTINCT t::text) FROM gen) AS groups FROM (SELECT t, count(*) FROM tally_parallel GROUP BY t) g;
SELECT count(*) >= 400 AS joined FROM gen a JOIN gen b USING (t);
RESET enable_sort; RESET enable_nestloop; RESET enable_mergejoin;
CREATE INDEX ON tally_parallel USING hash (t);
SELECT count(*) FROM tally_parallel WHERE t = (SELECT t FROM gen WHERE i = 14);
CREATE TEMP TABLE parts (t tally) PARTITION BY HASH (t);
CREATE TEMP TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT t FROM gen;
SELECT count(*) = (SELECT count(*) FROM gen WHERE t = '{}') AS found FROM parts WHERE t = '{}';
DROP TABLE tally_parallel;

-- Size: a member who shops every day for a year, beside lesser ones; toasted
CREATE TEMP TABLE sizes (what text, t tally);
INSERT INTO sizes VALUES ('empty', '{}'), ('one day', '{2026-01-05: 37.90/37/1}'), ('ever', '{ever: 12345.60/12340/250}'), ('returned', '{2026-01-05: -37.90/-37/-1}');
INSERT INTO sizes SELECT 'year, small', sum(tally_add('{}', date '2026-01-01' + i, 20 + i * 37 % 14000 * 0.01, 20 + i * 7 % 100, 1)) FROM generate_series(0, 364) i;
INSERT INTO sizes SELECT 'year', sum(tally_add('{}', date '2026-01-01' + i, 20 + i * 7919 % 50000 * 0.01, 20 + i * 7919 % 5000, 1 + i % 3)) FROM generate_series(0, 364) i;
INSERT INTO sizes SELECT 'year, a return', t + '{2026-12-31: -900/-900/-9}' FROM sizes WHERE what = 'year';
INSERT INTO sizes SELECT 'year by month', coarsen(t, 'month') FROM sizes WHERE what = 'year';
INSERT INTO sizes SELECT 'every week', sum(tally_add('{}', date '2026-01-01' + i * 7, 80 + i * 7919 % 20000 * 0.01, 80 + i * 37 % 200, 1)) FROM generate_series(0, 51) i;
INSERT INTO sizes SELECT 'toasted', sum(tally_add('{}', date '2026-01-01' + i, i * 7919 % 100003 * 0.000001, (i * 7919 % 100003 * 0.0001)::points, i)) FROM generate_series(0, 4999) i;
SELECT what, (SELECT count(*) FROM periods(t)) AS periods, octet_length(tally_send(t)) AS bytes, round(octet_length(tally_send(t))::numeric / (SELECT greatest(count(*), 1) FROM periods(t)), 1) AS each,
	pg_column_size(t) <= octet_length(tally_send(t)) + 4 AS fits, t::text::tally = t AND t + t - t = t AS sound FROM sizes;
-- a year stays in the row as it is where the table lets rows grow
CREATE TEMP TABLE inline_sizes (what text, t tally) WITH (toast_tuple_target = 8160);
INSERT INTO inline_sizes SELECT what, t::text::tally FROM sizes WHERE what LIKE 'year%';
SELECT what, pg_column_size(t), pg_column_size(t) - octet_length(tally_send(t)) AS header FROM inline_sizes;
SELECT pg_relation_size(reltoastrelid) AS toasted FROM pg_class WHERE oid = 'inline_sizes'::regclass;
SELECT what, pg_column_size(t) FROM sizes WHERE what IN ('empty', 'one day', 'ever', 'every week');
SELECT pg_column_size(tally_add('{}', '2026-01-05', 37.90, 37, 1)) AS unstored;

-- Binary: there and back, and what is refused
CREATE TEMP TABLE received (t tally);
COPY (SELECT t FROM gen UNION ALL SELECT t FROM sizes) TO PROGRAM 'cat > /tmp/loyalty_tally.$PPID' (FORMAT binary);
COPY received FROM PROGRAM 'cat /tmp/loyalty_tally.$PPID; rm /tmp/loyalty_tally.$PPID' (FORMAT binary);
SELECT count(*) FROM received;
SELECT count(*) AS differ FROM ((SELECT t FROM gen UNION ALL SELECT t FROM sizes) EXCEPT ALL SELECT t FROM received) d;
SELECT tally_send('{2026-01-05: 120.50/37/2}'), tally_send('{2026-01: 9/9/1, 2026-03: -1/0.5/0}'), tally_send('{ever: 0.000001/1/1}'), tally_send('{}');
CREATE FUNCTION pg_temp.receive(payload bytea) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.raises(format('COPY pg_temp.received FROM PROGRAM %L (FORMAT binary)', format('printf %%b ''%s''', string_agg(format('\0%s%s%s', b >> 6, b >> 3 & 7, b & 7), '' ORDER BY n))))
	FROM (SELECT '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000' || int2send(1::int2) || int4send(length(payload)) || payload || '\xffff' AS m) m,
		generate_series(0, length(m) - 1) n, get_byte(m, n) b $$;
CREATE TEMP TABLE payloads (what text, payload bytea);
INSERT INTO payloads VALUES ('good', '\x100005010103'), ('good month', '\x1100040101'), ('nothing', ''), ('half a header', '\x10'), ('version 0', '\x0000'), ('version 2', '\x2000'), ('resolution 3', '\x1300'), ('reserved bit', '\x1400'), ('7 decimals', '\x1070'), ('5 decimals of points', '\x1005'),
	('empty by month', '\x1100'), ('empty, yet decimals', '\x1020'), ('cut in a tag', '\x100080'), ('cut before the amount', '\x100004'), ('cut in the amount', '\x10000480'), ('cut before the points', '\x10000401'), ('cut before the purchases', '\x1000050101'),
	('number of 13 bytes', '\x100004' || decode(repeat('ff', 12) || '7f', 'hex') || '\x01'), ('number of 14 bytes', '\x100004' || decode(repeat('ff', 13) || '01', 'hex') || '\x01'), ('number without end', '\x100004' || decode(repeat('ff', 100), 'hex')),
	('overlong', '\x100084000101'), ('decimals not needed', '\x1010040a01'), ('decimals of points not needed', '\x100104010a'), ('sign not needed', '\x1800040202'), ('one purchase spelled out', '\x100005010101'),
	('nothing counted', '\x100005000000'), ('most amount', '\x106004ffffff87da9db3e79b84cf0601'), ('amount too large', '\x10600480808088da9db3e79b84cf0601'), ('amount overflows', '\x1000048080808080808080808080804001'),
	('most points', '\x10040401ffffffffffffffff7f'), ('points INT64_MIN', '\x18040402ffffffffffffffffff01'), ('points too many', '\x10040401ffffffffffffffffff01'), ('points overflow', '\x10000401ffffffffffffff7f'),
	('purchases too many', '\x10000501018080808008'), ('purchases INT32_MIN', '\x1800050202ffffffff0f'), ('huge tag', '\x1000fcffffffffffff010101'), ('day wraps', '\x100080808080400101'), ('day far', '\x1000b4b8a9fb1f0101'), ('day early', '\x1000e6c2d6040101'), ('month far', '\x1100e0e0b586010101'), ('month early', '\x110086d5130101'), ('last day', '\x1000b0b8a9fb1f0101'), ('first day', '\x1000e2c2d6040101'), ('last month', '\x1100dce0b586010101'), ('first month', '\x110082d5130101'), ('month very early', '\x1100feffffff1f0101'),
	('ever with a day', '\x1200020101'), ('ever twice', '\x1200000101000101'), ('same day', '\x1000040101000101'), ('second day far', '\x1000040101feffffff3f0101');
SELECT what, pg_temp.receive(payload) FROM payloads;
-- a corrupted table is told from bad input; equality and send look at bytes only
CREATE CAST (bytea AS tally) WITHOUT FUNCTION;
SELECT pg_temp.raises(format('SELECT totals(%L::bytea::tally, ''-infinity'', ''infinity'')', payload)) AS stored, count(*) FROM payloads GROUP BY 1 ORDER BY 2 DESC, 1;
-- bytes of a good tally, each changed in turn: refused, or another tally that reads back
SELECT count(*), count(*) FILTER (WHERE r <> 'nothing' AND r NOT LIKE 'XX001 stored tally is corrupted / %') AS other
FROM sizes, generate_series(0, least(octet_length(tally_send(t)), 60) - 1) n, unnest(ARRAY[0, 1, 2, 127, 128, 255]) b,
	LATERAL (SELECT set_byte(tally_send(t), n, get_byte(tally_send(t), n) # b) AS m) m, LATERAL (SELECT pg_temp.raises(format('SELECT (%L::bytea::tally)::text::tally', m)) AS r) r;
DROP CAST (bytea AS tally);

-- nothing stands undocumented or unlabelled
SELECT p.oid::regprocedure FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'loyalty'::regnamespace AND p.prokind = 'f' AND p.proname ~ '^tally_|^totals$|^periods$|^prune$|^coarsen$|^resolution$'
	AND (p.provolatile <> 'i' OR p.proparallel <> 's' OR p.proisstrict <> (p.proname !~ '_(accum|combine|sum)$') OR pg_catalog.obj_description(p.oid, 'pg_proc') IS NULL);
