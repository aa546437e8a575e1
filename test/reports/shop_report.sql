-- purchases_by_membership, points_by_place, points_by_store and points_by_channel,
-- each figure computed anew from orders and acts.
\ir shared/sold.sql

CREATE TEMPORARY VIEW expected_membership AS
	WITH cut AS (
		SELECT w.name, p.period, date_trunc(p.period, s.local)::date AS starts, s.*
		FROM span w
		CROSS JOIN unnest('{day,week,month,quarter,year}'::text[]) p (period)
		JOIN sold s ON s.local >= w.since_at AND s.local < w.until_at
	), calendar AS (
		-- every first day of a period between the first and the last
		SELECT DISTINCT c.name, c.period, date_trunc(c.period, d.day::timestamp)::date AS starts
		FROM (SELECT name, period, min(starts) AS first, max(starts) AS last FROM cut GROUP BY 1, 2) c
		CROSS JOIN LATERAL (SELECT first + i AS day FROM generate_series(0, last - first) i) d
	)
	SELECT c.name, c.period, c.starts,
		   count(DISTINCT s.customer) FILTER (WHERE s.by_member AND s.amount > 0) AS member_buyers,
		   count(*) FILTER (WHERE s.by_member AND s.amount > 0) AS member_orders,
		   coalesce(sum(s.amount) FILTER (WHERE s.by_member), 0) AS member_revenue,
		   count(DISTINCT s.customer) FILTER (WHERE NOT s.by_member AND s.amount > 0) AS other_buyers,
		   count(*) FILTER (WHERE NOT s.by_member AND s.customer IS NOT NULL AND s.amount > 0) AS known_orders,
		   count(*) FILTER (WHERE NOT s.by_member AND s.amount > 0) AS other_orders,
		   coalesce(sum(s.amount) FILTER (WHERE NOT s.by_member), 0) AS other_revenue
	FROM calendar c
	LEFT JOIN cut s USING (name, period, starts)
	GROUP BY 1, 2, 3;
CREATE TEMPORARY TABLE compared AS
	SELECT 'expected' AS side, 'purchases_by_membership ' || name || ' ' || period AS report, starts::text AS row,
		   ROW(member_buyers, member_orders, round(member_revenue, 2),
			   CASE WHEN member_orders > 0 THEN round(member_revenue / member_orders, 2) END,
			   CASE WHEN member_buyers > 0 THEN round(member_orders::numeric / member_buyers, 4) END,
			   other_buyers, other_orders, round(other_revenue, 2), CASE WHEN other_orders > 0 THEN round(other_revenue / other_orders, 2) END,
			   CASE WHEN other_buyers > 0 THEN round(known_orders::numeric / other_buyers, 4) END,
			   CASE WHEN member_orders + other_orders > 0 THEN round(member_orders::numeric / (member_orders + other_orders), 4) END,
			   CASE WHEN member_revenue + other_revenue <> 0 THEN round(member_revenue / (member_revenue + other_revenue), 4) END)::text AS figures
	FROM expected_membership
	UNION ALL
	SELECT 'reported', 'purchases_by_membership ' || w.name || ' ' || p.period, r.starts::text,
		   ROW(r.member_buyers, r.member_orders, r.member_revenue, r.member_average_order, r.member_orders_per_buyer, r.other_buyers,
			   r.other_orders, r.other_revenue, r.other_average_order, r.other_orders_per_buyer, r.order_penetration, r.revenue_penetration)::text
	FROM span w
	CROSS JOIN unnest('{day,week,month,quarter,year}'::text[]) p (period)
	CROSS JOIN LATERAL loyalty.purchases_by_membership(p.period, w.since, w.until, 'shop') r;

-- What was spent names no order, and so belongs to no place.
CREATE TEMPORARY VIEW expected_place AS
	SELECT name, store, channel, sum(orders) AS orders, sum(revenue) AS revenue, sum(earned) AS earned, sum(clawed_back) AS clawed_back,
		   sum(redeemed) AS redeemed
	FROM (SELECT w.name, s.store, s.channel, (s.amount > 0)::integer AS orders, s.amount AS revenue, greatest(s.points, 0) AS earned,
				 least(s.points, 0) AS clawed_back, 0 AS redeemed
		  FROM span w
		  JOIN sold s ON s.is_member AND s.local >= w.since_at AND s.local < w.until_at
		  UNION ALL
		  SELECT w.name, NULL, NULL, 0, 0, 0, 0, -abs(c.points)
		  FROM span w
		  JOIN public.acts c ON c.kind = 'spend' AND c.at AT TIME ZONE 'Europe/London' >= w.since_at AND c.at AT TIME ZONE 'Europe/London' < w.until_at) m
	GROUP BY 1, 2, 3;
INSERT INTO compared
	SELECT 'expected', 'points_by_place ' || name, ROW(store, channel)::text,
		   ROW(orders, trim_scale(revenue), earned, clawed_back, redeemed, earned + clawed_back + redeemed)::text
	FROM expected_place
	UNION ALL
	SELECT 'reported', 'points_by_place ' || w.name, ROW(r.store, r.channel)::text,
		   ROW(r.orders, trim_scale(r.revenue), r.earned, r.clawed_back, r.redeemed, r.net)::text
	FROM span w CROSS JOIN LATERAL loyalty.points_by_place(w.since, w.until, 'shop') r
	UNION ALL
	SELECT 'expected', 'points_by_store ' || name, ROW(store)::text,
		   ROW(sum(orders), round(sum(revenue), 2), sum(earned), sum(clawed_back), sum(redeemed), sum(earned + clawed_back + redeemed))::text
	FROM expected_place GROUP BY name, store
	UNION ALL
	SELECT 'reported', 'points_by_store ' || w.name, ROW(r.store)::text, ROW(r.orders, r.revenue, r.earned, r.clawed_back, r.redeemed, r.net)::text
	FROM span w CROSS JOIN LATERAL loyalty.points_by_store(w.since, w.until, 'shop') r
	UNION ALL
	SELECT 'expected', 'points_by_channel ' || name, ROW(channel)::text,
		   ROW(sum(orders), round(sum(revenue), 2), sum(earned), sum(clawed_back), sum(redeemed), sum(earned + clawed_back + redeemed))::text
	FROM expected_place GROUP BY name, channel
	UNION ALL
	SELECT 'reported', 'points_by_channel ' || w.name, ROW(r.channel)::text, ROW(r.orders, r.revenue, r.earned, r.clawed_back, r.redeemed, r.net)::text
	FROM span w CROSS JOIN LATERAL loyalty.points_by_channel(w.since, w.until, 'shop') r;

SELECT concat_ws(' ', c.report, c.row, c.side, c.figures)
FROM (SELECT min(side) AS side, report, row, figures, count(*) FROM compared GROUP BY report, row, figures HAVING count(*) <> 2 OR min(side) = max(side)) c
ORDER BY 1;
SELECT 'nothing was compared' WHERE NOT EXISTS (SELECT FROM compared WHERE side = 'reported' AND report ~ ' all');

-- The sources, row by row.
SELECT concat_ws(' ', 'source_purchases', coalesce(o.order_id::text, s.key), 'differs')
FROM (SELECT * FROM public.orders WHERE amount IS NOT NULL) o
FULL JOIN loyalty.source_purchases('shop') s ON s.key = o.order_id::text
WHERE (nullif(o.customer, ''), o.at, o.amount, o.channel, o.store) IS DISTINCT FROM (s.member, s.at, s.amount, s.channel, s.store)
   OR o.order_id IS NULL OR s.key IS NULL
ORDER BY 1;
DROP TABLE compared CASCADE;
DROP TABLE span, sold CASCADE;
