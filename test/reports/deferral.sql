-- deferral(), journal() and point_values() of the program "shop", held against
-- figures made from public.orders and public.acts alone: points are followed
-- lot by lot and customer by customer, and each day's liability is worked out
-- from the beginning.  One line for each difference.
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = error;
SET timezone = 'Europe/London';
CALL loyalty.maintain(program => 'shop');
BEGIN;

-- What is expected changes in the middle.
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY at::date) AS middle, percentile_disc(0.7) WITHIN GROUP (ORDER BY at::date) AS later FROM public.orders \gset
SELECT loyalty.set_estimate('redemption_rate', 0.6, '-infinity', program => 'shop'), loyalty.set_estimate('redemption_rate', 0.45, :'middle', program => 'shop'),
	loyalty.set_estimate('point_value', 0.02, :'later', program => 'shop'), loyalty.set_estimate('point_cost', 0.007, '-infinity', program => 'shop') \g /dev/null

-- What came to the engine first: orders, also those of a later time, and then acts; or with
-- in_time whatever happened first.
\if :{?in_time}
\else
\set in_time false
\endif
CREATE TEMP TABLE replay AS SELECT :in_time AS in_time;

-- Lots of one customer: what is left by last day; a debt has none.
CREATE TEMP TABLE movement (day date, kind text, lot date, points numeric);
CREATE FUNCTION pg_temp.follow() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	act record; lot record; whose text; rest numeric; took numeric; own date;
BEGIN
	CREATE TEMP TABLE held (ends date PRIMARY KEY, points numeric);
	FOR act IN
		SELECT * FROM (
			SELECT customer, at, at::date AS day, 'sale' AS kind, floor(abs(amount)) * sign(amount) AS points, 0 AS place, order_id::text COLLATE "C" AS key FROM public.orders WHERE customer IS NOT NULL
			UNION ALL
			SELECT customer, at, at::date, kind, CASE kind WHEN 'spend' THEN -abs(points) ELSE points END, 1, '' FROM public.acts
			UNION ALL
			SELECT DISTINCT customer, now(), current_date, 'end', 0, 2, '' FROM public.orders WHERE customer IS NOT NULL) e
		ORDER BY customer, CASE WHEN (SELECT in_time FROM replay) THEN 0 ELSE place END, at, place, key
	LOOP
		IF whose IS DISTINCT FROM act.customer THEN
			DELETE FROM held;
			whose := act.customer;
		END IF;
		INSERT INTO movement SELECT ends + 1, 'expire', ends, points FROM held WHERE ends < act.day AND points > 0;
		DELETE FROM held WHERE ends < act.day OR points = 0;
		IF act.points > 0 THEN
			own := (date_trunc('month', act.day) + interval '13 months - 1 day')::date;
			rest := act.points;
			FOR lot IN SELECT * FROM held l WHERE l.points < 0 LOOP
				took := least(rest, -lot.points);
				UPDATE held l SET points = l.points + took WHERE l.ends = lot.ends;
				INSERT INTO movement VALUES (act.day, act.kind, lot.ends, took);
				rest := rest - took;
			END LOOP;
			CONTINUE WHEN rest = 0;
			INSERT INTO movement VALUES (act.day, act.kind, own, rest);
			INSERT INTO held VALUES (own, rest) ON CONFLICT (ends) DO UPDATE SET points = held.points + excluded.points;
		ELSIF act.points < 0 THEN
			rest := -act.points;
			FOR lot IN SELECT * FROM held l WHERE l.points > 0 ORDER BY l.ends LOOP
				took := least(rest, lot.points);
				CONTINUE WHEN took = 0;
				UPDATE held l SET points = l.points - took WHERE l.ends = lot.ends;
				INSERT INTO movement VALUES (act.day, act.kind, lot.ends, -took);
				rest := rest - took;
			END LOOP;
			CONTINUE WHEN rest = 0;
			INSERT INTO movement VALUES (act.day, act.kind, 'infinity', -rest);
			INSERT INTO held VALUES ('infinity', -rest) ON CONFLICT (ends) DO UPDATE SET points = held.points + excluded.points;
		END IF;
	END LOOP;
END $$;
SELECT pg_temp.follow() \g /dev/null

CREATE FUNCTION pg_temp.rate(day date, change date) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN day < change THEN 0.6 ELSE 0.45 END';
CREATE FUNCTION pg_temp.value(day date, change date) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN day < change THEN 0.01 ELSE 0.02 END';

-- Sales that gave points, returns that took some, each day on its own.
CREATE TEMP TABLE split AS
	SELECT day, positive, price, points, points * pg_temp.rate(day, :'middle') * pg_temp.value(day, :'later') AS stand_alone
	FROM (SELECT at::date AS day, amount > 0 AS positive, sum(amount) AS price, sum(floor(abs(amount)) * sign(amount)) AS points
		  FROM public.orders WHERE customer IS NOT NULL AND abs(amount) >= 1 GROUP BY 1, 2) s;
-- Pools, by the month of the last day.
CREATE TEMP TABLE pooled AS
	SELECT m.day, date_trunc('month', m.lot) AS pool, sum(m.points * s.price * s.stand_alone / (s.price + s.stand_alone) / s.points) FILTER (WHERE kind = 'sale') AS allocated,
		sum(m.points) FILTER (WHERE kind IN ('sale', 'adjust')) AS issued, -sum(m.points) FILTER (WHERE kind = 'spend') AS redeemed
	FROM movement m
	LEFT JOIN split s ON m.kind = 'sale' AND s.day = m.day AND s.positive = (m.points > 0)
	GROUP BY 1, 2;
-- What has been recognized by the end of a day, at a rate.
CREATE FUNCTION pg_temp.recognized(until date, rate numeric, OUT allocated numeric, OUT redeemed numeric, OUT in_all numeric) LANGUAGE sql AS $$
	SELECT coalesce(sum(a), 0),
		coalesce(sum(CASE WHEN i <= 0 THEN a ELSE a * r / greatest(r, i * rate) END), 0),
		coalesce(sum(CASE WHEN i <= 0 OR date_trunc('month', until) > pool THEN a ELSE a * r / greatest(r, i * rate) END), 0)
	FROM (SELECT pool, sum(p.allocated) AS a, sum(p.issued) AS i, coalesce(sum(p.redeemed), 0) AS r FROM pooled p WHERE day <= until GROUP BY pool) s $$;

CREATE FUNCTION pg_temp.differences(unit text, change date) RETURNS SETOF text LANGUAGE sql AS $$
	-- up to two months after the last movement
	WITH stop AS (
		SELECT least(max(day) + 62, current_date + 1) AS day FROM movement
	), shift AS MATERIALIZED (
		SELECT n.in_all - b.in_all AS catch_up, (n.in_all - n.redeemed) - (b.in_all - b.redeemed) AS late FROM pg_temp.recognized($2 - 1, 0.6) b, pg_temp.recognized($2 - 1, 0.45) n
	), expected AS (
		SELECT p.starts, p.ends,
			(SELECT coalesce(sum(amount), 0) FROM public.orders WHERE customer IS NOT NULL AND at::date BETWEEN p.starts AND p.ends) AS sales,
			(SELECT coalesce(sum(points), 0) FROM movement WHERE kind = 'sale' AND day BETWEEN p.starts AND p.ends) AS issued,
			(SELECT coalesce(-sum(points), 0) FROM movement WHERE kind = 'spend' AND day BETWEEN p.starts AND p.ends) AS redeemed,
			(SELECT coalesce(sum(points), 0) FROM movement WHERE kind = 'expire' AND day BETWEEN p.starts AND p.ends) AS expired,
			(SELECT coalesce(round(sum(stand_alone) FILTER (WHERE day <= p.ends), 2), 0) - coalesce(round(sum(stand_alone) FILTER (WHERE day < p.starts), 2), 0) FROM split) AS stand_alone,
			round(o.allocated, 2) - round(o.in_all, 2) AS opening, round(c.allocated, 2) - round(o.allocated, 2) AS deferred,
			round(c.allocated, 2) - round(c.in_all, 2) AS closing, round(c.in_all, 2) - round(o.in_all, 2) AS recognized,
			round((c.in_all - c.redeemed) - c.late, 2) - round((o.in_all - o.redeemed) - o.late, 2) AS on_expiry, round(c.catch_up, 2) - round(o.catch_up, 2) AS catch_up
		FROM (SELECT g::date AS starts, least((g + ('3 months'::interval * (unit = 'quarter')::int + '1 month'::interval * (unit = 'month')::int))::date, stop.day) - 1 AS ends
			  FROM stop, generate_series(date_trunc(unit, (SELECT min(day) FROM movement)::timestamp), (stop.day - 1)::timestamp, CASE unit WHEN 'quarter' THEN interval '3 months' ELSE '1 month' END) g) p
		CROSS JOIN LATERAL (SELECT r.*, CASE WHEN p.starts - 1 >= $2 THEN s.catch_up ELSE 0 END AS catch_up, CASE WHEN p.starts - 1 >= $2 THEN s.late ELSE 0 END AS late
							FROM pg_temp.recognized(p.starts - 1, pg_temp.rate(p.starts - 1, $2)) r, shift s) o
		CROSS JOIN LATERAL (SELECT r.*, CASE WHEN p.ends >= $2 THEN s.catch_up ELSE 0 END AS catch_up, CASE WHEN p.ends >= $2 THEN s.late ELSE 0 END AS late
							FROM pg_temp.recognized(p.ends, pg_temp.rate(p.ends, $2)) r, shift s) c
	)
	SELECT format('deferral %s %s: %s is %s, expected %s', unit, coalesce(d.starts, e.starts), v.name, v.is, v.expected)
	FROM expected e
	FULL JOIN (SELECT d.* FROM stop, loyalty.deferral(unit, until => stop.day, program => 'shop') d) d ON d.starts = e.starts
	CROSS JOIN LATERAL (VALUES ('days', d.ends - d.starts + 1::numeric, e.ends - e.starts + 1::numeric), ('sales', d.sales, round(e.sales, 2)),
		('issued', d.issued, e.issued), ('redeemed', d.redeemed, e.redeemed), ('expired', d.expired, e.expired), ('stand_alone', d.stand_alone, e.stand_alone),
		('goods', d.goods, round(e.sales, 2) - e.deferred), ('opening', d.opening, e.opening), ('deferred', d.deferred, e.deferred),
		('on_redemption', d.on_redemption, e.recognized - e.on_expiry - e.catch_up), ('on_expiry', d.on_expiry, e.on_expiry),
		('catch_up', d.catch_up, e.catch_up), ('closing', d.closing, e.closing)) v (name, "is", expected)
	WHERE v.is IS DISTINCT FROM v.expected
	ORDER BY 1 $$;
SELECT * FROM pg_temp.differences('month', :'middle');
SELECT * FROM pg_temp.differences('quarter', :'middle');

-- The journal balances by reference, and comes to what the liability comes to.
SELECT format('journal %s: debit %s, credit %s', reference, sum(debit), sum(credit))
FROM loyalty.journal(program => 'shop') GROUP BY reference HAVING sum(debit) IS DISTINCT FROM sum(credit) OR count(*) <> 2;
SELECT format('journal: the contract liability is %s, expected %s', j.owed, e.owed)
FROM (SELECT coalesce(sum(credit), 0) - coalesce(sum(debit), 0) AS owed FROM loyalty.journal(program => 'shop') WHERE account = 'contract liability') j,
	(SELECT round(allocated, 2) - round(in_all, 2) AS owed FROM pg_temp.recognized(current_date, 0.45)) e
WHERE j.owed <> e.owed;

-- What is outstanding, and what it has cost.
SELECT format('point_values: %s is %s, expected %s', v.name, v.is, v.expected)
FROM loyalty.point_values(program => 'shop') p
CROSS JOIN (SELECT sum(points * CASE WHEN kind = 'expire' THEN -1 ELSE 1 END) AS outstanding, sum(points) FILTER (WHERE kind IN ('sale', 'adjust')) AS issued, -sum(points) FILTER (WHERE kind = 'spend') AS redeemed,
				   sum(points * pg_temp.rate(day, :'middle') * 0.007) FILTER (WHERE kind IN ('sale', 'adjust')) AS cost FROM movement WHERE day <= current_date) m
CROSS JOIN (SELECT round(sum(amount), 2) AS sales FROM public.orders WHERE customer IS NOT NULL) s
CROSS JOIN LATERAL (VALUES ('outstanding', p.outstanding::numeric, m.outstanding), ('value_outstanding', p.value_outstanding, round(m.outstanding * 0.02, 2)),
	('value_expected', p.value_expected, round(m.outstanding * 0.02 * 0.45, 2)), ('cost_expected', p.cost_expected, round(m.outstanding * 0.007 * 0.45, 2)),
	('issued', p.issued::numeric, m.issued), ('cost_issued', p.cost_issued, round(m.cost, 2)), ('redeemed', p.redeemed::numeric, coalesce(m.redeemed, 0)),
	('cost_redeemed', p.cost_redeemed, coalesce(round(m.redeemed * 0.007, 2), 0)), ('sales', p.sales, s.sales), ('sales_to_cost', p.sales_to_cost, round(s.sales / nullif(m.cost, 0), 2))) v (name, "is", expected)
WHERE v.is IS DISTINCT FROM v.expected
ORDER BY 1;
ROLLBACK;
