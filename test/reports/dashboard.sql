--
-- dashboard: each figure anew, from the orders and the log of acts alone
--
-- Prints a line for each difference, and nothing when all is equal.
--
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET timezone = 'Europe/London';
SET client_min_messages = warning;

-- Orders of members: a point per unit, rounded down; negative ones are refunds of their own.
CREATE TEMP TABLE o AS
SELECT customer, at, (at AT TIME ZONE 'Europe/London')::date AS day, amount, trunc(amount) AS points FROM public.orders WHERE customer IS NOT NULL;
CREATE TEMP TABLE a AS
SELECT customer, at, (at AT TIME ZONE 'Europe/London')::date AS day, kind, points FROM public.acts;
CREATE TEMP TABLE joined AS
SELECT customer, coalesce((e.at AT TIME ZONE 'Europe/London')::date, c.day) AS day
FROM (SELECT customer, min(day) AS day FROM o GROUP BY 1) c FULL JOIN public.enrollments e USING (customer);
ANALYZE o; ANALYZE a; ANALYZE joined;

-- What expires: each member by himself, event by event.  Points are good for 12
-- months and to the end of that month; what is spent, or taken back, goes soonest to
-- expire first.  Acts come after the backfill of the orders: what lapsed by the time of a later order cannot be
-- spent any more, though it could have been at the time of the act.
CREATE FUNCTION pg_temp.expiries() RETURNS TABLE (day date, points numeric) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	event record;
	lot record;
	left_over numeric;
	debt numeric;
	person text := NULL;
	good_until date;
BEGIN
	CREATE TEMP TABLE lot (ends date PRIMARY KEY, points numeric);
	CREATE TEMP TABLE lapsed (ends date, points numeric);
	FOR event IN
		SELECT e.* FROM (
			SELECT customer, at, day, points, 1 AS turn FROM o WHERE points <> 0
			UNION ALL
			SELECT customer, at, day, CASE kind WHEN 'spend' THEN -abs(points) ELSE points END, 2 FROM a) e
		ORDER BY customer, turn, at, points DESC
	LOOP
		IF person IS DISTINCT FROM event.customer THEN
			INSERT INTO lapsed SELECT * FROM lot;
			DELETE FROM lot;
			debt := 0;
			person := event.customer;
		END IF;
		INSERT INTO lapsed SELECT * FROM lot l WHERE l.ends < event.day;
		DELETE FROM lot l WHERE l.ends < event.day;
		good_until := (date_trunc('month', event.day + interval '12 months') + interval '1 month')::date - 1;
		left_over := abs(event.points);
		IF event.points > 0 THEN
			IF debt > 0 THEN
				left_over := left_over - least(debt, left_over);
				debt := debt - least(debt, event.points);
			END IF;
			IF left_over > 0 THEN
				INSERT INTO lot AS l VALUES (good_until, left_over) ON CONFLICT (ends) DO UPDATE SET points = l.points + excluded.points;
			END IF;
		ELSE
			FOR lot IN SELECT * FROM lot l ORDER BY l.ends LOOP
				EXIT WHEN left_over = 0;
				UPDATE lot l SET points = l.points - least(left_over, lot.points) WHERE l.ends = lot.ends;
				left_over := left_over - least(left_over, lot.points);
			END LOOP;
			DELETE FROM lot l WHERE l.points = 0;
			debt := debt + left_over;
		END IF;
	END LOOP;
	INSERT INTO lapsed SELECT * FROM lot;
	RETURN QUERY SELECT l.ends + 1, sum(l.points) FROM lapsed l WHERE l.ends < (now() AT TIME ZONE 'Europe/London')::date GROUP BY 1;
END $$;
CREATE TEMP TABLE expired AS SELECT * FROM pg_temp.expiries();

-- In the midst of the data, at its end, after it; a period that is more than a month, and one that is less.
CREATE TEMP TABLE asked AS
SELECT d.day AS at, n.days, k.period, d.day - n.days * k.period AS last, d.day - n.days * (k.period + 1) AS first,
	   d.day - n.days * k.period - greatest(n.days, 30) AS wide_first
FROM (SELECT min(day) + ((max(day) - min(day)) * s / 4.0)::int AS day FROM o CROSS JOIN generate_series(1, 4) s GROUP BY s
	  UNION SELECT max(day) + 400 FROM o) d
CROSS JOIN (VALUES (30), (45), (7)) n (days)
CROSS JOIN (VALUES (0), (1)) k (period)
WHERE d.day <= (now() AT TIME ZONE 'Europe/London')::date;

CREATE TEMP TABLE wanted AS
SELECT q.at, q.days, q.period, f.figure, f.amount
FROM asked q
CROSS JOIN LATERAL (SELECT count(*) AS members, count(*) FILTER (WHERE day > q.first) AS new FROM joined WHERE day <= q.last) m
CROSS JOIN LATERAL (SELECT count(*) AS active, count(*) FILTER (WHERE EXISTS (SELECT FROM o b WHERE b.customer = c.customer AND b.amount > 0 AND b.day <= q.wide_first)) AS again,
						   coalesce(sum(c.n), 0) AS orders
					FROM (SELECT customer, count(*) AS n FROM o WHERE amount > 0 AND day > q.wide_first AND day <= q.last GROUP BY 1) c) b
CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE amount > 0) AS purchases, coalesce(sum(amount), 0) AS revenue,
						   coalesce(sum(points) FILTER (WHERE points > 0), 0) AS earned, coalesce(-sum(points) FILTER (WHERE points < 0), 0) AS clawed_back
					FROM o WHERE day > q.first AND day <= q.last) p
CROSS JOIN LATERAL (SELECT coalesce(sum(points), 0) AS issued FROM o WHERE day <= q.last) i
CROSS JOIN LATERAL (SELECT coalesce(sum(abs(points)) FILTER (WHERE kind = 'spend' AND day > q.first), 0) AS redeemed,
						   count(*) FILTER (WHERE kind = 'spend' AND day > q.first) AS redemptions,
						   coalesce(sum(CASE kind WHEN 'spend' THEN -abs(points) ELSE points END), 0) AS acted
					FROM a WHERE day <= q.last) s
CROSS JOIN LATERAL (SELECT coalesce(sum(points), 0) AS ever, coalesce(sum(points) FILTER (WHERE day > q.first), 0) AS expired FROM expired WHERE day <= q.last) x
CROSS JOIN LATERAL (VALUES
	('members', m.members), ('new members', m.new), ('active members', b.active), ('active rate', round(b.active::numeric / nullif(m.members, 0), 4)),
	('purchases', p.purchases), ('revenue', round(p.revenue, 2)), ('average order value', round(p.revenue / nullif(p.purchases, 0), 2)),
	('repeat purchase rate', round(b.again::numeric / nullif(b.active, 0), 4)), ('orders per buyer', round(b.orders / nullif(b.active, 0), 2)),
	('earned', p.earned), ('clawed back', p.clawed_back), ('redeemed', s.redeemed), ('expired', x.expired), ('redemptions', s.redemptions),
	('redemption rate', CASE WHEN p.earned > p.clawed_back THEN round(s.redeemed / (p.earned - p.clawed_back), 4) END),
	('breakage rate so far', CASE WHEN i.issued > 0 THEN round(x.ever / i.issued, 4) END),
	('outstanding', i.issued + s.acted - x.ever), ('liability', round((i.issued + s.acted - x.ever) * 0.01, 2)),
	('cost of points', round(s.redeemed * 0.01, 2)),
	('revenue per cost', CASE WHEN round(s.redeemed * 0.01, 2) <> 0 THEN round(p.revenue / round(s.redeemed * 0.01, 2), 2) END)) f (figure, amount);

CREATE TEMP TABLE got AS
SELECT q.at, q.days, q.period, d.figure, CASE q.period WHEN 0 THEN d.amount ELSE d.before END AS amount
FROM asked q
CROSS JOIN LATERAL loyalty.dashboard('shop', q.at, q.days) d
WHERE d.section <> 'feedback' AND d.figure <> 'expiring within 30 days';

SELECT format('dashboard %s, %s days, period %s, %s: %s, not %s', w.at, w.days, w.period, w.figure, g.amount, w.amount)
FROM wanted w
FULL JOIN got g USING (at, days, period, figure)
WHERE w.amount IS DISTINCT FROM g.amount
ORDER BY w.at, w.days, w.period, w.figure;

-- What expires next is what expires, of what there is now.
SELECT format('dashboard, expiring within 30 days: %s, not %s', d.amount, e.points)
FROM loyalty.dashboard('shop') d
CROSS JOIN LATERAL (SELECT coalesce(sum(points), 0) AS points FROM loyalty.expiring('shop', '29 days')) e
WHERE d.figure = 'expiring within 30 days' AND d.amount <> e.points::numeric;
DROP FUNCTION pg_temp.expiries();
