-- rule_performance and tier_performance, each figure computed anew from orders
-- and acts.  The program has one rule and no tiers.
\ir shared/sold.sql

CREATE TEMPORARY TABLE compared AS
	SELECT 'expected' AS side, 'rule_performance ' || name AS report, 'base' AS row,
		   ROW('purchase', earned, clawed_back, earned + clawed_back, round((earned + clawed_back) * 0.01, 2), purchases, members,
			   round(revenue, 2), CASE WHEN earned + clawed_back <> 0 THEN round(revenue / ((earned + clawed_back) * 0.01), 4) END,
			   CASE WHEN purchases > 0 THEN round(revenue / purchases, 2) END, without,
			   CASE WHEN without > 0 THEN round(revenue_without / without, 2) END)::text AS figures
	FROM (SELECT w.name, coalesce(sum(s.points) FILTER (WHERE s.points > 0), 0) AS earned, coalesce(sum(s.points) FILTER (WHERE s.points < 0), 0) AS clawed_back,
				 count(*) FILTER (WHERE s.points > 0) AS purchases, count(DISTINCT s.customer) FILTER (WHERE s.points <> 0) AS members,
				 coalesce(sum(s.amount) FILTER (WHERE s.points <> 0), 0) AS revenue,
				 count(*) FILTER (WHERE s.points = 0 AND s.amount > 0) AS without,
				 coalesce(sum(s.amount) FILTER (WHERE s.points = 0), 0) AS revenue_without
		  FROM span w
		  LEFT JOIN sold s ON s.is_member AND s.local >= w.since_at AND s.local < w.until_at
		  GROUP BY w.name) e
	UNION ALL
	SELECT 'reported', 'rule_performance ' || w.name, r.rule,
		   ROW(r.event, r.earned, r.clawed_back, r.points, r.cost, r.purchases, r.members, r.revenue, r.revenue_per_cost, r.average_order,
			   r.purchases_without, r.average_order_without)::text
	FROM span w CROSS JOIN LATERAL loyalty.rule_performance(w.since, w.until, 'shop') r;

INSERT INTO compared
	SELECT 'expected', 'tier_performance ' || name, 'none',
		   ROW(max(j.members), sum(purchases), round(sum(revenue), 2), CASE WHEN sum(purchases) > 0 THEN round(sum(revenue) / sum(purchases), 2) END,
			   sum(earned), sum(redeemed), round(sum(revenue) / max(j.members), 2))::text
	FROM (SELECT w.name, s.customer, (s.amount > 0)::integer AS purchases, s.amount AS revenue, s.points AS earned, 0 AS redeemed
		  FROM span w
		  JOIN sold s ON s.is_member AND s.local >= w.since_at AND s.local < w.until_at
		  UNION ALL
		  SELECT w.name, c.customer, 0, 0, 0, -abs(c.points)
		  FROM span w
		  JOIN public.acts c ON c.kind = 'spend' AND c.at AT TIME ZONE 'Europe/London' >= w.since_at AND c.at AT TIME ZONE 'Europe/London' < w.until_at) m
	-- who had joined by then has no tier, whether he does anything or not
	JOIN (SELECT w.name, count(*) AS members
		  FROM span w
		  JOIN (SELECT coalesce(e.at AT TIME ZONE 'Europe/London', b.first) AS first
				FROM (SELECT customer, min(local) AS first FROM sold WHERE is_member GROUP BY customer) b
				FULL JOIN public.enrollments e USING (customer)) b ON b.first < w.until_at
		  GROUP BY w.name) j USING (name)
	GROUP BY name
	UNION ALL
	SELECT 'reported', 'tier_performance ' || w.name, coalesce(r.tier, 'none'),
		   ROW(r.members, r.purchases, r.revenue, r.average_order, r.earned, r.redeemed, r.revenue_per_member)::text
	FROM span w CROSS JOIN LATERAL loyalty.tier_performance(w.since, w.until, 'shop') r;

SELECT concat_ws(' ', c.report, c.row, c.side, c.figures)
FROM (SELECT min(side) AS side, report, row, figures FROM compared GROUP BY report, row, figures HAVING count(*) <> 2 OR min(side) = max(side)) c
ORDER BY 1;
SELECT 'nothing was compared' WHERE NOT EXISTS (SELECT FROM compared WHERE side = 'reported' AND report = 'tier_performance all');
DROP TABLE compared, span, sold;
