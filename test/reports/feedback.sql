--
-- feedback: each figure anew, from answers that are made of the orders here
--
-- Prints a line for each difference, and nothing when all is equal; what it writes
-- it takes back.
--
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET timezone = 'Europe/London';
SET client_min_messages = warning;
BEGIN;

-- At the time of each seventh order, as it happens.
CREATE TEMP TABLE said AS
SELECT o.customer, o.at, (o.at AT TIME ZONE 'Europe/London')::date AS day, o.n, k.kind, CASE k.kind WHEN 'nps' THEN o.n * 7 % 11 ELSE 1 + o.n % 5 END AS score
FROM (SELECT customer, at, row_number() OVER (ORDER BY order_id)::int AS n FROM public.orders WHERE customer IS NOT NULL) o
JOIN (VALUES ('nps', 7), ('satisfaction', 11)) k (kind, every) ON o.n % k.every = 0;
SELECT count(loyalty.feedback(customer, score, kind => kind, at => at, key => kind || n, program => 'shop')) AS n FROM said \gset
CREATE TEMP TABLE joined AS
SELECT customer, coalesce(e.at AT TIME ZONE 'Europe/London', c.at)::date AS day
FROM (SELECT customer, min(at AT TIME ZONE 'Europe/London') AS at FROM public.orders WHERE customer IS NOT NULL GROUP BY 1) c
FULL JOIN public.enrollments e USING (customer);

CREATE TEMP TABLE asked AS
SELECT p.period, p.step, s.since, s.until
FROM (VALUES ('week', interval '7 days'), ('month', '1 month'), ('quarter', '3 months'), ('year', '1 year')) p (period, step)
CROSS JOIN (SELECT NULL::date AS since, NULL::date AS until UNION ALL SELECT min(day) + 20, max(day) - 10 FROM said) s;

CREATE TEMP TABLE wanted AS
SELECT q.period, q.since, t.starts::date, k.kind, count(s.*) AS answers,
	   round(100.0 * (count(*) FILTER (WHERE s.score > 8) - count(*) FILTER (WHERE s.score < 7)) / nullif(count(s.*), 0), 2) AS nps,
	   round(1.0 * count(*) FILTER (WHERE s.score > 3) / nullif(count(s.*), 0), 4) AS csat, round(avg(s.score), 4) AS mean,
	   round(count(DISTINCT s.customer)::numeric
			 / (SELECT count(*) FROM joined j WHERE j.day < least((t.starts + q.step)::date, coalesce(q.until, 'infinity'))), 4) AS rate
FROM asked q
CROSS JOIN (VALUES ('nps'), ('satisfaction')) k (kind)
CROSS JOIN LATERAL (SELECT min(day) AS first, max(day) AS last FROM said s WHERE s.kind = k.kind AND day >= coalesce(q.since, day) AND day < coalesce(q.until, 'infinity')) f
CROSS JOIN LATERAL generate_series(date_trunc(q.period, f.first::timestamp), f.last, q.step) t (starts)
LEFT JOIN said s ON s.kind = k.kind AND s.day >= t.starts AND s.day < t.starts + q.step AND s.day >= coalesce(q.since, s.day) AND s.day < coalesce(q.until, 'infinity')
GROUP BY q.period, q.since, q.until, q.step, t.starts, k.kind;

SELECT format('net_promoter_score, %s since %s, %s: %s, not %s', w.period, w.since, w.starts,
			  ROW(g.answers, g.score, g.response_rate), ROW(w.answers, w.nps, w.rate))
FROM (SELECT * FROM wanted WHERE kind = 'nps') w
FULL JOIN (SELECT q.period, q.since, n.* FROM asked q CROSS JOIN LATERAL loyalty.net_promoter_score(q.period, q.since, q.until, program => 'shop') n) g
	ON g.period = w.period AND g.since IS NOT DISTINCT FROM w.since AND g.starts = w.starts
WHERE (g.answers, g.score, g.response_rate) IS DISTINCT FROM (w.answers, w.nps, w.rate)
   OR g.answers <> g.promoters + g.passives + g.detractors;

SELECT format('satisfaction, %s since %s, %s: %s, not %s', w.period, w.since, w.starts,
			  ROW(g.answers, g.score, g.mean, g.response_rate), ROW(w.answers, w.csat, w.mean, w.rate))
FROM (SELECT * FROM wanted WHERE kind = 'satisfaction') w
FULL JOIN (SELECT q.period, q.since, n.* FROM asked q CROSS JOIN LATERAL loyalty.satisfaction(q.period, q.since, q.until, program => 'shop') n) g
	ON g.period = w.period AND g.since IS NOT DISTINCT FROM w.since AND g.starts = w.starts
WHERE (g.answers, g.score, g.mean, g.response_rate) IS DISTINCT FROM (w.answers, w.csat, w.mean, w.rate);

-- And of a dashboard in the midst of them.
SELECT format('dashboard %s, %s: %s, not %s', q.day, d.figure, d.amount, w.amount)
FROM (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY day) AS day FROM said) q
CROSS JOIN LATERAL loyalty.dashboard('shop', q.day) d
JOIN LATERAL (SELECT 'net promoter score' AS figure, round(100 * avg(CASE WHEN score > 8 THEN 1 WHEN score < 7 THEN -1 ELSE 0 END), 2) AS amount
			  FROM said WHERE kind = 'nps' AND day > q.day - 30 AND day <= q.day
			  UNION ALL
			  SELECT 'satisfaction', round(avg(CASE WHEN score > 3 THEN 1 ELSE 0 END), 4)
			  FROM said WHERE kind = 'satisfaction' AND day > q.day - 30 AND day <= q.day) w ON w.figure = d.figure
WHERE d.amount IS DISTINCT FROM w.amount;
ROLLBACK;
