-- A property of tier_outlook: what it says will become of a tier is what daily maintenance makes of it, and what it said
-- then it still says when it is asked of the past. The seed is printed; psql -v seed=0.25 -f test/pgtap/outlook.sql repeats one.
SET search_path = public, loyalty;
SET TimeZone = 'UTC';
SELECT no_plan();
SET client_min_messages = warning;
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);

-- Each window with each validity, and each way down; grace, and what is asked, by turns.
INSERT INTO program (name, tier_window, tier_validity, tier_downgrade, tier_grace, tier_match, time_zone)
SELECT format('%s, %s, %s, %s', w, coalesce(v, 'none'), d, n % 2), w::qualification, v::expiry, d, (n % 2) * 5 * interval '1 day',
	   (ARRAY['any', 'all'])[1 + n % 3 / 2], (ARRAY['UTC', 'Asia/Tokyo', 'America/New_York'])[1 + n % 3]
FROM (SELECT w, v, d, row_number() OVER () AS n
	  FROM unnest('{rolling 20 days,rolling 1 month,calendar year,membership year,lifetime}'::text[]) w,
		   unnest(ARRAY[NULL, '15 days', 'end of month', '1 month end of month', 'end of year', 'never']) v, unnest('{one,earned}'::text[]) d) t
UNION ALL SELECT 'none', 'rolling 10 days', '5 days', 'none', '0', 'any', 'UTC';
INSERT INTO rule (program, name, award) SELECT name, 'base', '1 per 1' FROM program;
INSERT INTO tier (program, name, rank, min_amount, min_purchases, keep_amount)
SELECT name, t, r, a, CASE WHEN program_id % 4 = 0 THEN r + 1 END, CASE WHEN program_id % 5 = 0 THEN a / 2 END
FROM program, (VALUES ('bronze', 1, 0), ('silver', 2, 100), ('gold', 3, 200), ('platinum', 5, 300)) t (t, r, a) WHERE a > 0 OR program_id % 3 = 0;
INSERT INTO tier (program, name, rank) SELECT name, 'friend', 4 FROM program WHERE program_id % 2 = 0;
CREATE TABLE orders (id serial PRIMARY KEY, program text, member text, amount numeric, at timestamptz);
SELECT count(attach('orders', member => 'member', amount => 'amount', at => 'at', counts => format('program = %L', name), program => name)) AS attached FROM program \gset
SELECT count(enroll(m, program => name, at => timestamptz '2021-01-08' + program_id % 5 * interval '1 day')) AS enrolled FROM program, unnest('{a,b,c}'::text[]) m \gset

-- For ten weeks they buy, and maintenance runs each day; then it runs alone. All of it is over when the test runs.
CREATE TABLE said AS SELECT ''::text AS program, ''::text AS member, now() AS at, o.* FROM program p, tier_outlook('x', program => p.name) o WHERE false;
BEGIN;
DO $$
BEGIN
	FOR day IN 0..115 LOOP
		IF day <= 70 THEN
			INSERT INTO orders (program, member, amount, at)
			SELECT name, m, round((random() * 130 - 15)::numeric, 2), timestamptz '2022-10-20 08:00' + day * interval '1 day'
			FROM program, unnest('{a,b,c}'::text[]) m WHERE random() < 0.06;
		END IF;
		CALL loyalty.maintain(timestamptz '2022-10-20 16:00' + day * interval '1 day');
		IF day = 70 OR random() < 0.08 THEN
			INSERT INTO said SELECT p.name, m, o.at, l.*
			FROM program p, unnest('{a,b,c}'::text[]) m, LATERAL (SELECT timestamptz '2022-10-20 17:00' + day * interval '1 day' AS at) o,
				 LATERAL tier_outlook(m, at => o.at, program => p.name) l WHERE day = 70 OR random() < 0.3;
		END IF;
	END LOOP;
END $$;
COMMIT;
SELECT cmp_ok(count(*)::int, '>', 200, 'tiers moved') FROM tier_change;

-- The first thing that happened after the last purchase
CREATE TABLE happened AS
SELECT DISTINCT ON (c.member_id) p.name AS program, m.ref AS member, (c.at AT TIME ZONE p.time_zone)::date AS day, c.to_tier
FROM tier_change c JOIN member m USING (member_id) JOIN program p ON p.program_id = c.program_id
WHERE c.at > '2022-12-29 17:00' ORDER BY c.member_id, c.at, c.change_no;
SELECT cmp_ok(count(*)::int, '>', 30, 'tiers ended, or were kept, without a purchase') FROM happened;
SELECT is_empty($$
	SELECT s.program, s.member, s.tier, s.until, s.projected, h.day, h.to_tier
	FROM said s LEFT JOIN happened h USING (program, member)
	WHERE s.at = '2022-12-29 17:00'
	  AND (least(s.until + 1, '2023-02-10'), CASE WHEN s.until + 1 < '2023-02-10' THEN s.projected END)
		  IS DISTINCT FROM (least(h.day, '2023-02-10'), CASE WHEN h.day < '2023-02-10' THEN h.to_tier END)
$$, 'until and projected are what daily maintenance makes of them');
-- What is missing makes the difference: kept by it, lost without
SELECT is_empty($$SELECT * FROM said WHERE at = '2022-12-29 17:00' AND until IS NOT NULL AND projected <> tier AND rank > (SELECT rank FROM tier t WHERE t.program = said.program AND t.name = projected)
	AND coalesce(keep_amount, 0) = 0 AND coalesce(keep_points, 0) = 0 AND coalesce(keep_purchases, 0) = 0$$, 'who is to fall misses something');
SELECT is_empty($$SELECT * FROM said WHERE projected = tier AND until IS NOT NULL AND greatest(keep_amount, keep_points::numeric, keep_purchases) > 0$$, 'who is to be kept misses nothing');

-- The past reads as it did
SELECT cmp_ok(count(*)::int, '>', 200, 'enough was asked') FROM said;
SELECT is_empty($$
	SELECT s.*, o FROM said s, LATERAL tier_outlook(s.member, at => s.at, program => s.program) o
	WHERE (s.tier, s.rank, s.since, s.until, s.projected, s.floor, s.floor_until, s.window_start, s.window_end, s.amount, s.points, s.purchases, s.match,
		   s.keep_amount, s.keep_points, s.keep_purchases, s.keep_by, s.next_tier, s.next_amount, s.next_points, s.next_purchases) IS DISTINCT FROM
		  (o.tier, o.rank, o.since, o.until, o.projected, o.floor, o.floor_until, o.window_start, o.window_end, o.amount, o.points, o.purchases, o.match,
		   o.keep_amount, o.keep_points, o.keep_purchases, o.keep_by, o.next_tier, o.next_amount, o.next_points, o.next_purchases)
$$, 'what was said then is still said');
SELECT is_empty($$SELECT s.program, s.member, s.at FROM said s, LATERAL balance(s.member, at => s.at, program => s.program) b WHERE b.tier IS DISTINCT FROM s.tier$$, 'balance has the same tier');

-- The future: each day's answer leads to the next one's
INSERT INTO orders (program, member, amount, at)
SELECT name, m, round((random() * 150)::numeric, 2), now() - random() * 40 * interval '1 day' + CASE WHEN random() < 0.1 THEN interval '45 days' ELSE '0' END
FROM program, unnest('{a,b,c}'::text[]) m, generate_series(1, 3);
CALL maintain();
CREATE TABLE ahead AS SELECT p.name AS program, p.time_zone, m AS member, o.* FROM program p, unnest('{a,b,c}'::text[]) m, tier_outlook(m, program => p.name) o;
SELECT cmp_ok(count(until)::int, '>', 30, 'many have an end to come') FROM ahead;
SELECT is_empty($$
	SELECT a.program, a.member, a.tier, a.until, a.projected, b.tier, b.until, c.tier FROM ahead a,
		LATERAL tier_outlook(a.member, at => greatest((a.until + time '23:00') AT TIME ZONE a.time_zone, now()), program => a.program) b,
		LATERAL tier_outlook(a.member, at => (a.until + 1 + time '00:30') AT TIME ZONE a.time_zone, program => a.program) c
	WHERE b.tier IS DISTINCT FROM a.tier OR b.until IS DISTINCT FROM a.until OR c.tier IS DISTINCT FROM a.projected
$$, 'on its last day he has the tier still, and on the next one what was projected');
SELECT is_empty($$
	SELECT a.program, a.member FROM ahead a, LATERAL tier_outlook(a.member, at => now() + interval '20 years', program => a.program) b
	WHERE a.until IS NULL AND b.tier IS DISTINCT FROM a.tier
$$, 'what has no end is there in twenty years');
-- and what is missing for the next tier reaches it
INSERT INTO orders (program, member, amount, at) SELECT program, member, next_amount, now() FROM ahead WHERE match = 'any' AND next_amount IS NOT NULL;
SELECT is_empty($$
	SELECT a.program, a.member, a.next_tier, a.next_amount, o.tier, o.amount FROM ahead a, LATERAL tier_outlook(a.member, program => a.program) o
	WHERE a.match = 'any' AND a.next_amount IS NOT NULL AND o.rank < (SELECT rank FROM tier t WHERE t.program = a.program AND t.name = a.next_tier)
$$, 'who makes up for what is missing has the next tier');
SELECT is_empty($$SELECT * FROM verify()$$, 'all is sound');
SELECT finish();
