-- Figures of sql/member_report.sql, from orders, enrollments and acts alone.

SET timezone = 'Europe/London';

CREATE TEMPORARY TABLE joined AS
SELECT coalesce(e.customer, o.customer) AS customer, coalesce(e.at, o.at) AS at, e.channel
FROM enrollments e
FULL JOIN (SELECT customer, min(at) AS at FROM orders WHERE customer IS NOT NULL GROUP BY 1) o ON o.customer = e.customer;

CREATE TEMPORARY TABLE done AS
SELECT customer, at, 'buy' AS what, 1 AS purchases, amount, trunc(amount) AS points FROM orders WHERE customer IS NOT NULL AND amount > 0
UNION ALL
SELECT customer, at, 'return', 0, amount, trunc(amount) FROM orders WHERE customer IS NOT NULL AND amount <= 0
UNION ALL
SELECT customer, at, 'redeem', 0, 0, points FROM acts WHERE kind = 'spend';

-- Days in the middle of months and at their ends, and the two ends of everything.
CREATE TEMPORARY TABLE day AS
SELECT DISTINCT d
FROM (SELECT min(at)::date AS a, max(at)::date AS z FROM orders) o
CROSS JOIN LATERAL (VALUES (a + (z - a) / 3), ((date_trunc('month', a + (z - a) / 2))::date), (z - 20), (NULL::date)) v (d);
ANALYZE joined, done;

-- enrollments(): what must be there with something in it, and nothing else
SELECT 'enrollments', p, d.d, u.d, r.*
FROM unnest('{day,week,month,quarter,year}'::text[]) p, day d, day u,
	LATERAL (
		(SELECT starts, channel, members, total FROM loyalty.enrollments(p, d.d, u.d) WHERE members > 0
		 EXCEPT
		 SELECT starts, channel, members,
				(SELECT count(*) FROM joined k WHERE k.at < least((starts + CASE p WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || p)::interval END)::date, u.d)
					AND k.channel IS NOT DISTINCT FROM j.channel)
		 FROM (SELECT date_trunc(p, at)::date AS starts, channel, count(*) AS members
			   FROM joined
			   WHERE (at::date >= d.d OR d.d IS NULL) AND (at::date < u.d OR u.d IS NULL)
			   GROUP BY 1, 2) j)
		UNION ALL
		SELECT NULL, 'all', sum(members), NULL
		FROM loyalty.enrollments(p, d.d, u.d)
		HAVING coalesce(sum(members), 0) <> (SELECT count(*) FROM joined WHERE (at::date >= d.d OR d.d IS NULL) AND (at::date < u.d OR u.d IS NULL))) r
WHERE d.d < u.d OR d.d IS NULL OR u.d IS NULL;

-- activity() on days, with windows short and long
SELECT 'activity', w, d, a.enrolled, a.active, a.lapsed, a.never_active, a.active_rate, j.*
FROM unnest('{1 day,20 days,90 days,1 month,1 year}'::interval[]) w, day, LATERAL loyalty.activity(w, d) a,
	LATERAL (SELECT count(*) AS enrolled, count(*) FILTER (WHERE recent) AS active, count(*) FILTER (WHERE ever) AS ever
			 FROM (SELECT coalesce(bool_or(x.at::date >= coalesce(d, current_date) + 1 - w), false) AS recent, count(x.at) > 0 AS ever
				   FROM joined k
				   LEFT JOIN done x ON x.customer = k.customer AND x.at::date <= coalesce(d, current_date) AND x.what <> 'return'
				   WHERE k.at::date <= coalesce(d, current_date)
				   GROUP BY k.customer) p) j
WHERE (a.day, a.enrolled, a.active, a.lapsed, a.never_active, a.active_rate)
	IS DISTINCT FROM (coalesce(d, current_date), j.enrolled, j.active, j.ever - j.active, j.enrolled - j.ever,
					  CASE WHEN j.enrolled > 0 THEN round(j.active / j.enrolled::numeric, 4) END);

-- member_figures() between any two of the days
SELECT 'member_figures', d.d, u.d, f.*, x.*
FROM day d, day u, LATERAL loyalty.member_figures(d.d, u.d) f,
	LATERAL (SELECT (SELECT count(*) FROM joined k WHERE k.at::date < u.d OR u.d IS NULL) AS members,
					count(DISTINCT customer) FILTER (WHERE what <> 'return') AS active, coalesce(sum(points) FILTER (WHERE what <> 'redeem'), 0) AS earned,
					count(DISTINCT customer) FILTER (WHERE what = 'redeem') AS redeemers, count(*) FILTER (WHERE what = 'redeem') AS redemptions,
					coalesce(sum(points) FILTER (WHERE what = 'redeem'), 0) AS redeemed
			 FROM done
			 WHERE (at::date >= d.d OR d.d IS NULL) AND (at::date < u.d OR u.d IS NULL)) x
WHERE (f.members, f.active, f.active_rate, f.earned::numeric, f.earned_per_member::numeric, f.earned_per_active_member::numeric, f.redeemers, f.redeemer_rate,
	   f.redemptions, f.redemptions_per_active_member, f.redeemed::numeric, f.redeemed_per_redemption::numeric)
	IS DISTINCT FROM (x.members, x.active, round(x.active / nullif(x.members, 0)::numeric, 4), x.earned, round(x.earned / nullif(x.members, 0), 4),
					  round(x.earned / nullif(x.active, 0), 4), x.redeemers, round(x.redeemers / nullif(x.active, 0)::numeric, 4),
					  x.redemptions, round(x.redemptions / nullif(x.active, 0)::numeric, 4), x.redeemed, round(x.redeemed / nullif(x.redemptions, 0), 4));

-- leaderboard(): one more than have a greater value
SELECT 'leaderboard', w, d.d, u.d, r.*
FROM unnest('{earned,redeemed,purchases,amount}'::text[]) w, day d, day u,
	LATERAL (
		WITH total AS (
			SELECT customer, CASE w WHEN 'earned' THEN sum(points) FILTER (WHERE what <> 'redeem') WHEN 'redeemed' THEN sum(points) FILTER (WHERE what = 'redeem')
									WHEN 'purchases' THEN sum(purchases) ELSE sum(amount) END AS value
			FROM done
			WHERE (at::date >= d.d OR d.d IS NULL) AND (at::date < u.d OR u.d IS NULL)
			GROUP BY 1
		), expected AS (
			SELECT 1 + (SELECT count(*) FROM total o WHERE o.value > t.value) AS rank, customer, CASE w WHEN 'amount' THEN round(value, 2) ELSE value END AS value
			FROM (SELECT * FROM total WHERE value > 0 ORDER BY value DESC FETCH FIRST 7 ROWS WITH TIES) t)
		(SELECT * FROM loyalty.leaderboard(w, d.d, u.d, 7) EXCEPT ALL SELECT * FROM expected)
		UNION ALL
		(SELECT * FROM expected EXCEPT ALL SELECT * FROM loyalty.leaderboard(w, d.d, u.d, 7))) r
WHERE u.d IS NULL OR d.d IS NULL OR u.d >= d.d;
