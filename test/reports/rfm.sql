-- Scores and segments of sql/rfm.sql, from orders alone.

SET timezone = 'Europe/London';

CREATE TEMPORARY TABLE day AS
SELECT DISTINCT d
FROM (SELECT min(at)::date AS a, max(at)::date AS z FROM orders) o, LATERAL (VALUES (a - 1), (a + (z - a) / 2), (date_trunc('month', z)::date - 1)) v (d)
UNION ALL
SELECT NULL;

-- How many of all are more recent, and how many bought less, counted one by one in an array of values in order.
CREATE TEMPORARY TABLE expected AS
WITH buyer AS (
	SELECT d, customer, coalesce(d, current_date) - max(at::date) FILTER (WHERE amount > 0) AS days, count(*) FILTER (WHERE amount > 0) AS n, sum(amount) AS amount
	FROM day
	JOIN orders ON at::date <= d OR d IS NULL
	WHERE customer IS NOT NULL
	GROUP BY 1, 2
	HAVING count(*) FILTER (WHERE amount > 0) > 0
), placed AS (
	SELECT b.*, count(*) OVER w AS everybody,
		   count(*) OVER (PARTITION BY d ORDER BY days RANGE UNBOUNDED PRECEDING EXCLUDE GROUP) AS later,
		   count(*) OVER (PARTITION BY d ORDER BY n RANGE UNBOUNDED PRECEDING EXCLUDE GROUP) AS oftener,
		   count(*) OVER (PARTITION BY d ORDER BY amount RANGE UNBOUNDED PRECEDING EXCLUDE GROUP) AS dearer
	FROM buyer b
	WINDOW w AS (PARTITION BY d)
)
SELECT d, customer, days, n, amount, 5 - floor(5.0 * later / everybody)::integer AS r, 1 + floor(5.0 * oftener / everybody)::integer AS f, 1 + floor(5.0 * dearer / everybody)::integer AS m
FROM placed;

CREATE TEMPORARY VIEW named AS
SELECT e.*, CASE
	WHEN r >= 4 AND fm >= 4 THEN 'champions'
	WHEN r = 3 AND fm >= 4 THEN 'loyal'
	WHEN r >= 4 AND fm >= 2 THEN 'potential loyalists'
	WHEN r = 5 THEN 'new customers'
	WHEN r = 4 THEN 'promising'
	WHEN r = 3 AND fm = 3 THEN 'need attention'
	WHEN r = 3 THEN 'about to sleep'
	WHEN r = 1 AND fm >= 4 THEN 'cannot lose them'
	WHEN fm >= 3 THEN 'at risk'
	WHEN r = 2 THEN 'hibernating'
	ELSE 'lost' END AS segment
FROM (SELECT *, round((f + m) / 2.0) AS fm FROM expected) e;

SELECT 'rfm', coalesce(e.d, s.d), e, s
FROM named e
FULL JOIN (SELECT d, r.* FROM day, LATERAL loyalty.rfm(d) r) s ON s.member = e.customer AND coalesce(s.d, 'infinity') = coalesce(e.d, 'infinity')
WHERE (s.recency_days, s.frequency, s.monetary, s.r, s.f, s.m, s.score, s.segment)
	IS DISTINCT FROM (e.days, e.n, round(e.amount, 2), e.r, e.f, e.m, concat(e.r, e.f, e.m), e.segment);

SELECT 'rfm_segments', day.d, s.*
FROM day, LATERAL loyalty.rfm_segments(d) s,
	LATERAL (SELECT count(*) AS everybody, sum(n.amount) AS amount FROM named n WHERE n.d IS NOT DISTINCT FROM day.d) t,
	LATERAL (SELECT count(*) AS members, coalesce(sum(n.amount), 0) AS amount, avg(n.days) AS days, avg(n.n) AS n FROM named n WHERE n.d IS NOT DISTINCT FROM day.d AND n.segment = s.segment) x
WHERE (s.members, s.share, s.revenue, s.revenue_share, s.average_recency_days, s.average_frequency)
	IS DISTINCT FROM (x.members, round(x.members / nullif(t.everybody, 0)::numeric, 4), round(x.amount, 2), round(x.amount / nullif(t.amount, 0), 4), round(x.days, 1), round(x.n, 2));
