-- Figures of sql/purchase_report.sql, from orders, enrollments and acts alone.

SET timezone = 'Europe/London';

CREATE TEMPORARY TABLE joined AS
SELECT coalesce(e.customer, o.customer) AS customer, coalesce(e.at, o.at) AS at
FROM enrollments e
FULL JOIN (SELECT customer, min(at) AS at FROM orders WHERE customer IS NOT NULL GROUP BY 1) o ON o.customer = e.customer;
CREATE TEMPORARY VIEW bought AS
SELECT customer, at::date AS day, date_trunc('month', at)::date AS month, (amount > 0)::integer AS n, amount FROM orders WHERE customer IS NOT NULL;

-- purchase_figures() between any two days in the middle of months and at their ends
WITH day AS (
	SELECT DISTINCT d
	FROM (SELECT min(at)::date AS a, max(at)::date AS z FROM orders) o
	CROSS JOIN LATERAL (VALUES (a), (a + (z - a) / 3), ((date_trunc('month', a + (z - a) / 3))::date), (a + (z - a) / 2),
						((date_trunc('month', a + (z - a) / 2 + 40))::date), (z - 20), (z + 1), (NULL::date)) v (d))
SELECT 'purchase_figures', d.d, u.d, f.*, x.*, m
FROM day d, day u, LATERAL loyalty.purchase_figures(d.d, u.d) f,
	LATERAL (SELECT count(*) FROM joined WHERE at::date < u.d OR u.d IS NULL) j (m),
	LATERAL (SELECT count(*) FILTER (WHERE n > 0) AS buyers, coalesce(sum(n), 0) AS orders, round(coalesce(sum(amount), 0), 2) AS revenue, coalesce(sum(amount), 0) AS exact,
					count(*) FILTER (WHERE n >= 2) AS repeat, avg(days) FILTER (WHERE n >= 2) AS unused,
					sum(days) FILTER (WHERE n >= 2) / sum(n - 1) FILTER (WHERE n >= 2) AS every
			 FROM (SELECT customer, sum(n) AS n, sum(amount) AS amount, (max(day) FILTER (WHERE n = 1) - min(day) FILTER (WHERE n = 1))::numeric AS days
				   FROM bought
				   WHERE (day >= d.d OR d.d IS NULL) AND (day < u.d OR u.d IS NULL)
				   GROUP BY 1) c) x
WHERE (f.members, f.buyers, f.orders, f.revenue, f.repeat_buyers, f.repeat_purchase_rate, f.average_order_value, f.orders_per_buyer, f.revenue_per_buyer,
	   f.orders_per_member, f.revenue_per_member, f.purchase_interval)
	IS DISTINCT FROM (m, x.buyers, x.orders::bigint, x.revenue, x.repeat, round(x.repeat / nullif(x.buyers, 0)::numeric, 4), round(x.exact / nullif(x.orders, 0), 2),
					  round(x.orders / nullif(x.buyers, 0)::numeric, 4), round(x.exact / nullif(x.buyers, 0), 2), round(x.orders / nullif(m, 0)::numeric, 4),
					  round(x.exact / nullif(m, 0), 2), round(x.every, 2));

-- cohort_retention(): every month of every cohort
WITH cohort AS (
	SELECT date_trunc('month', at)::date AS cohort, array_agg(customer) AS members FROM joined GROUP BY 1
), expected AS (
	SELECT c.cohort, a AS age, cardinality(c.members)::bigint AS members, count(*) FILTER (WHERE b.n > 0) AS buyers,
		   round(count(*) FILTER (WHERE b.n > 0) / cardinality(c.members)::numeric, 4) AS rate,
		   round(coalesce(sum(b.amount), 0), 2) AS revenue, round(coalesce(sum(b.amount), 0) / cardinality(c.members), 2) AS each
	FROM cohort c
	CROSS JOIN generate_series(0, 1000) a
	LEFT JOIN (SELECT customer, month, sum(n) AS n, sum(amount) AS amount FROM bought GROUP BY 1, 2) b
		ON b.customer = ANY (c.members) AND b.month = (c.cohort + a * interval '1 month')::date
	WHERE c.cohort + a * interval '1 month' <= now()
	GROUP BY 1, 2, 3, c.members)
SELECT 'cohort_retention', coalesce(e.cohort, r.cohort), coalesce(e.age, r.age), e, r
FROM expected e
FULL JOIN loyalty.cohort_retention() r ON r.cohort = e.cohort AND r.age = e.age
WHERE e IS DISTINCT FROM r;

-- member_flow(): each month by itself, and its sums
WITH active AS MATERIALIZED (
	SELECT month, array_agg(customer) AS who FROM (SELECT customer, month FROM bought GROUP BY 1, 2 HAVING sum(n) > 0) b GROUP BY 1
), first AS (
	SELECT customer, min(month) AS month FROM bought WHERE n = 1 GROUP BY 1
), expected AS (
	SELECT s::date AS month, coalesce(cardinality(a.who), 0)::bigint AS buyers, (SELECT count(*) FROM first f WHERE f.month = s::date) AS new,
		   (SELECT count(*) FROM (SELECT unnest(a.who) INTERSECT SELECT unnest(b.who)) x) AS returning,
		   (SELECT count(*) FROM (SELECT unnest(b.who) EXCEPT SELECT unnest(a.who)) x) AS lost, cardinality(b.who) AS before
	FROM generate_series((SELECT min(month) FROM first)::timestamp, now()::timestamp, interval '1 month') s
	LEFT JOIN active a ON a.month = s::date
	LEFT JOIN active b ON b.month = (s - interval '1 month')::date)
SELECT 'member_flow', e, r
FROM expected e
FULL JOIN loyalty.member_flow() r ON r.month = e.month
WHERE (r.buyers, r.new_buyers, r.returning_buyers, r.lost_buyers, r.churn_rate)
	IS DISTINCT FROM (e.buyers, e.new, e.returning, e.lost, round(e.lost::numeric / e.before, 4))
   OR r.buyers <> r.new_buyers + r.returning_buyers + r.reactivated_buyers;

-- member_value() and lifetime_value(), which it adds up to
CREATE TEMPORARY VIEW value AS
SELECT j.customer, j.at::date AS day, coalesce(o.n, 0) AS n, coalesce(o.amount, 0) AS amount, coalesce(a.points, 0) AS points
FROM joined j
LEFT JOIN (SELECT customer, sum(n) AS n, sum(amount) AS amount FROM bought GROUP BY 1) o ON o.customer = j.customer
LEFT JOIN (SELECT customer, sum(points) AS points FROM acts WHERE kind = 'spend' GROUP BY 1) a ON a.customer = j.customer;
SELECT 'member_value', v, r
FROM value v
FULL JOIN loyalty.member_value() r ON r.member = v.customer
WHERE (r.enrolled_on, r.orders, r.revenue, r.redeemed::numeric, r.points_cost, r.lifetime_value)
	IS DISTINCT FROM (v.day, v.n, round(v.amount, 2), v.points, round(v.points * 0.01, 2), round(v.amount, 2) - round(v.points * 0.01, 2));
SELECT 'lifetime_value', v, r
FROM (SELECT date_trunc('month', day)::date AS cohort, count(*) AS members, count(*) FILTER (WHERE n > 0) AS buyers, sum(n)::bigint AS n, sum(amount) AS amount, sum(points) AS points
	  FROM value GROUP BY 1) v
FULL JOIN loyalty.lifetime_value() r ON r.cohort = v.cohort
WHERE (r.members, r.buyers, r.orders, r.revenue, r.redeemed::numeric, r.points_cost, r.lifetime_value, r.lifetime_value_per_member)
	IS DISTINCT FROM (v.members, v.buyers, v.n, round(v.amount, 2), v.points, round(v.points / 100, 2), round(v.amount - v.points / 100, 2),
					  round((v.amount - v.points / 100) / v.members, 2));
