-- The reports on points, against what orders and acts come to when they are
-- played through lot by lot: nothing here reads the ledger.
\set QUIET on
SET client_min_messages = warning;

-- Every movement of points.  Purchases were earned in the order of time, then came
-- the acts, also those of an earlier time; they take what is there, soonest to expire
-- first.
CREATE TEMPORARY TABLE moved (customer text, day date, kind text, points numeric);
CREATE TEMPORARY TABLE lots (customer text, ends date, points numeric);
CREATE FUNCTION pg_temp.play() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	today date := (now() AT TIME ZONE 'Europe/London')::date;
	c text; e record; i int; whole numeric; taken numeric; debt numeric; here date;
	span date[]; has numeric[];
BEGIN
	FOR c IN SELECT customer FROM orders WHERE customer IS NOT NULL UNION SELECT customer FROM acts LOOP
		span := '{}'; has := '{}'; debt := 0;
		FOR e IN
			SELECT 1 AS phase, at, order_id AS n, CASE WHEN amount < 0 THEN 'clawback' ELSE 'earn' END AS kind, sign(amount) * floor(abs(amount)) AS points
			FROM orders WHERE customer = c
			UNION ALL
			SELECT 2, at, 0, CASE kind WHEN 'spend' THEN 'redeem' ELSE kind END, CASE kind WHEN 'spend' THEN -points ELSE points END
			FROM acts WHERE customer = c
			UNION ALL
			SELECT 3, now(), 0, 'expire', 0
			ORDER BY 1, 2, 3
		LOOP
			here := (e.at AT TIME ZONE 'Europe/London')::date;
			FOR i IN 1 .. cardinality(span) LOOP
				IF span[i] < here AND has[i] > 0 THEN
					INSERT INTO moved VALUES (c, span[i] + 1, 'expire', -has[i]);
					has[i] := 0;
				END IF;
			END LOOP;
			IF e.points > 0 THEN
				INSERT INTO moved VALUES (c, here, e.kind, e.points);
				whole := e.points - least(debt, e.points);
				debt := debt - least(debt, e.points);
				i := array_position(span, (date_trunc('month', here + interval '12 months') + interval '1 month - 1 day')::date);
				IF i IS NULL THEN
					span := span || (date_trunc('month', here + interval '12 months') + interval '1 month - 1 day')::date;
					has := has || 0::numeric;
					i := cardinality(span);
				END IF;
				has[i] := has[i] + whole;
			ELSIF e.points < 0 THEN
				whole := -e.points;
				FOR i IN SELECT n FROM unnest(span) WITH ORDINALITY s (ends, n) WHERE ends >= here ORDER BY ends LOOP
					taken := least(whole, has[i]);
					CONTINUE WHEN taken <= 0;
					has[i] := has[i] - taken;
					whole := whole - taken;
				END LOOP;
				debt := debt + whole;
				INSERT INTO moved VALUES (c, here, e.kind, e.points);
			END IF;
		END LOOP;
		INSERT INTO lots SELECT c, s, p FROM unnest(span, has) u (s, p) WHERE p > 0;
	END LOOP;
END $$;
SELECT pg_temp.play() \g /dev/null

-- Which points went, from the oldest on, month by month.
CREATE TEMPORARY TABLE went (customer text, cohort date, month date, issued numeric DEFAULT 0, redeemed numeric DEFAULT 0, expired numeric DEFAULT 0);
CREATE FUNCTION pg_temp.match() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c text; m record; i int; part numeric; rest numeric; months date[]; left_over numeric[]; issued numeric[];
BEGIN
	FOR c IN SELECT DISTINCT customer FROM moved LOOP
		months := '{}'; left_over := '{}';
		FOR m IN SELECT date_trunc('month', day)::date AS month, sum(points) AS points FROM moved
				 WHERE customer = c AND kind IN ('earn', 'clawback', 'adjust') GROUP BY 1 ORDER BY 1 LOOP
			months := months || m.month; left_over := left_over || greatest(m.points, 0);
			rest := greatest(-m.points, 0);
			FOR i IN REVERSE cardinality(months) .. 1 LOOP
				part := least(rest, greatest(left_over[i], 0));
				left_over[i] := left_over[i] - part;
				rest := rest - part;
			END LOOP;
			-- a debt, which what comes next repays
			IF rest > 0 THEN
				left_over[cardinality(months)] := -rest;
			END IF;
			FOR i IN 1 .. cardinality(months) - 1 LOOP
				IF left_over[i] < 0 THEN
					part := least(-left_over[i], greatest(left_over[cardinality(months)], 0));
					left_over[cardinality(months)] := left_over[cardinality(months)] - part;
					left_over[i] := left_over[i] + part;
				END IF;
			END LOOP;
		END LOOP;
		FOR i IN 1 .. cardinality(months) LOOP
			INSERT INTO went VALUES (c, CASE WHEN left_over[i] > 0 THEN months[i] END, CASE WHEN left_over[i] > 0 THEN months[i] END, left_over[i]);
			left_over[i] := greatest(left_over[i], 0);
		END LOOP;
		FOR m IN SELECT date_trunc('month', day)::date AS month, kind, -sum(points) AS points FROM moved
				 WHERE customer = c AND kind IN ('expire', 'redeem') GROUP BY 1, 2 ORDER BY 1, 2 LOOP
			rest := m.points;
			FOR i IN 1 .. cardinality(months) LOOP
				part := least(rest, left_over[i]);
				CONTINUE WHEN part = 0;
				INSERT INTO went VALUES (c, months[i], greatest(months[i], m.month), 0, CASE m.kind WHEN 'redeem' THEN part ELSE 0 END, CASE m.kind WHEN 'expire' THEN part ELSE 0 END);
				left_over[i] := left_over[i] - part;
				rest := rest - part;
			END LOOP;
			IF rest > 0 THEN
				INSERT INTO went VALUES (c, NULL, NULL, 0, CASE m.kind WHEN 'redeem' THEN rest ELSE 0 END, CASE m.kind WHEN 'expire' THEN rest ELSE 0 END);
			END IF;
		END LOOP;
	END LOOP;
END $$;
SELECT pg_temp.match() \g /dev/null

-- roll_forward, by every period, in parts too
CREATE FUNCTION pg_temp.rolled(period text, since date, until date)
	RETURNS TABLE (starts date, opening numeric, earned numeric, clawed_back numeric, redeemed numeric, expired numeric, adjusted numeric, closing numeric) LANGUAGE sql AS $$
	SELECT s::date, (SELECT coalesce(sum(points), 0) FROM moved WHERE day < greatest(s, since)),
		   coalesce(sum(points) FILTER (WHERE kind = 'earn'), 0), coalesce(sum(points) FILTER (WHERE kind = 'clawback'), 0),
		   coalesce(sum(points) FILTER (WHERE kind = 'redeem'), 0), coalesce(sum(points) FILTER (WHERE kind = 'expire'), 0),
		   coalesce(sum(points) FILTER (WHERE kind = 'adjust'), 0),
		   (SELECT coalesce(sum(points), 0) FROM moved WHERE day < least(s + step, until))
	FROM (SELECT CASE period WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || period)::interval END) i (step)
	CROSS JOIN LATERAL generate_series(date_trunc(period, greatest(since, (SELECT min(day) FROM moved))), until - interval '1 day', step) s
	LEFT JOIN moved ON day >= greatest(s, since) AND day < least(s + step, until)
	GROUP BY s, step
$$;
SELECT 'roll_forward', p, d.*
FROM (SELECT min(day) + 40 AS early, max(day) - 50 AS late, (now() AT TIME ZONE 'Europe/London')::date + 1 AS tomorrow FROM moved) b
CROSS JOIN unnest('{week,month,quarter,year}'::text[]) p
CROSS JOIN LATERAL (VALUES (NULL::date, NULL::date), (early, late)) v (since, until)
CROSS JOIN LATERAL (
	(SELECT 'too much', starts, opening::numeric, earned::numeric, clawed_back::numeric, redeemed::numeric, expired::numeric, adjusted::numeric, closing::numeric
	 FROM loyalty.roll_forward(p, since, until)
	 EXCEPT ALL SELECT 'too much', r.* FROM pg_temp.rolled(p, since, coalesce(until, tomorrow)) r)
	UNION ALL
	(SELECT 'missing', r.* FROM pg_temp.rolled(p, since, coalesce(until, tomorrow)) r
	 EXCEPT ALL SELECT 'missing', starts, opening::numeric, earned::numeric, clawed_back::numeric, redeemed::numeric, expired::numeric, adjusted::numeric, closing::numeric
	 FROM loyalty.roll_forward(p, since, until))) d;
SELECT 'roll_forward by day', starts, closing FROM loyalty.roll_forward('day') r
WHERE closing::numeric <> (SELECT sum(points) FROM moved WHERE day <= starts);
SELECT 'roll_forward does not foot', r.* FROM (SELECT *, lag(closing) OVER (ORDER BY starts) AS before FROM loyalty.roll_forward()) r
WHERE opening::numeric + earned::numeric + clawed_back::numeric + redeemed::numeric + refunded::numeric + expired::numeric + adjusted::numeric
	  + transferred::numeric + imported::numeric <> closing::numeric OR coalesce(before, 0)::numeric <> opening::numeric OR held::numeric <> 0 OR lapsed::numeric <> 0;
SELECT 'roll_forward_by_rule', r.* FROM loyalty.roll_forward_by_rule() r
WHERE (rule, earned::numeric, clawed_back::numeric, net::numeric)
	IS DISTINCT FROM (SELECT ('base'::text, sum(points) FILTER (WHERE kind = 'earn'), coalesce(sum(points) FILTER (WHERE kind = 'clawback'), 0), sum(points)) FROM moved WHERE kind IN ('earn', 'clawback'));
SELECT 'points_by_kind', k.* FROM loyalty.points_by_kind() k
LEFT JOIN (SELECT date_trunc('month', day)::date AS starts, kind, sum(points) AS points FROM moved GROUP BY 1, 2) m USING (starts, kind)
WHERE k.points::numeric IS DISTINCT FROM coalesce(m.points, 0) OR k.gained::numeric + k.taken::numeric <> k.points::numeric;

-- redemption_rates
SELECT 'redemption_rates', p, r.*, m.*
FROM unnest('{month,quarter}'::text[]) p
CROSS JOIN LATERAL loyalty.redemption_rates(p) r
CROSS JOIN LATERAL (
	SELECT coalesce(sum(points) FILTER (WHERE kind IN ('earn', 'clawback') AND day >= r.starts), 0) AS earned,
		   -coalesce(sum(points) FILTER (WHERE kind = 'redeem' AND day >= r.starts), 0) AS redeemed,
		   coalesce(sum(points) FILTER (WHERE kind IN ('earn', 'clawback')), 0) AS all_earned, -coalesce(sum(points) FILTER (WHERE kind = 'redeem'), 0) AS all_redeemed
	FROM moved WHERE day < r.starts + CASE p WHEN 'month' THEN interval '1 month' ELSE interval '3 months' END) m
WHERE (r.earned::numeric, r.redeemed::numeric, r.rate, r.cumulative_earned::numeric, r.cumulative_redeemed::numeric, r.cumulative_rate) IS DISTINCT FROM
	(m.earned, m.redeemed, CASE WHEN m.earned > 0 THEN round(m.redeemed / m.earned, 4) END, m.all_earned, m.all_redeemed, CASE WHEN m.all_earned > 0 THEN round(m.all_redeemed / m.all_earned, 4) END);

-- outstanding_by_age, redemption_cohorts
CREATE TEMPORARY TABLE aged AS
	SELECT cohort, sum(issued) AS issued, sum(redeemed) AS redeemed, sum(expired) AS expired, sum(issued - redeemed - expired) AS outstanding
	FROM went GROUP BY 1 HAVING sum(issued) <> 0 OR sum(redeemed) <> 0 OR sum(expired) <> 0;
SELECT 'outstanding_by_age', a.*, o.* FROM aged a
FULL JOIN loyalty.outstanding_by_age() o ON coalesce(o.cohort, 'infinity') = coalesce(a.cohort, 'infinity')
WHERE (a.issued, a.redeemed, a.expired, a.outstanding) IS DISTINCT FROM (o.issued::numeric, o.redeemed::numeric, o.expired::numeric, o.outstanding::numeric)
   OR abs(o.share - a.outstanding / nullif((SELECT sum(outstanding) FROM aged WHERE cohort IS NOT NULL), 0)) > 0.00005
   OR o.age <> (extract(year FROM age(date_trunc('month', now() AT TIME ZONE 'Europe/London'), o.cohort)) * 12 + extract(month FROM age(date_trunc('month', now() AT TIME ZONE 'Europe/London'), o.cohort)));
SELECT 'outstanding', * FROM (SELECT (SELECT sum(points) FROM moved) AS a, (SELECT sum(outstanding::numeric) FROM loyalty.outstanding_by_age()) AS b) s WHERE a <> b;
CREATE TEMPORARY TABLE curve AS
	SELECT a.cohort, n AS age, a.issued, coalesce(sum(w.redeemed), 0) AS redeemed
	FROM aged a
	CROSS JOIN generate_series(0, 12 * 40) n
	LEFT JOIN (SELECT cohort, month, sum(redeemed) AS redeemed FROM went GROUP BY 1, 2) w ON w.cohort = a.cohort AND w.month <= a.cohort + make_interval(months => n)
	WHERE a.cohort + make_interval(months => n) <= now() AT TIME ZONE 'Europe/London'
	GROUP BY 1, 2, 3;
SELECT 'redemption_cohorts', c.*, r.* FROM curve c
FULL JOIN loyalty.redemption_cohorts() r ON r.cohort = c.cohort AND r.age = c.age
WHERE (c.issued, c.redeemed, round(c.redeemed / nullif(c.issued, 0), 4)) IS DISTINCT FROM (r.issued::numeric, r.redeemed::numeric, r.rate);

-- breakage: the chain ladder step by step, and Mack's double sums as they are printed
-- (the first column is what was issued; ages at which nobody has redeemed say nothing)
CREATE TEMPORARY TABLE cell AS
	SELECT dense_rank() OVER (ORDER BY cohort) AS i, cohort, over, dense_rank() OVER (ORDER BY n) AS k, c
	FROM (SELECT cohort, n, c, max(c) OVER (PARTITION BY n) AS most, max(n) OVER (PARTITION BY cohort) AS over
		  FROM (SELECT cohort, age + 1 AS n, redeemed::float8 AS c FROM curve
				WHERE cohort + make_interval(months => age + 1) <= now() AT TIME ZONE 'Europe/London'
				UNION ALL
				SELECT cohort, 0, issued::float8 FROM curve WHERE age = 0) v) w
	WHERE n = 0 OR most > 0;
CREATE INDEX ON cell (k, i);
ANALYZE cell;
CREATE TEMPORARY TABLE ladder (cohort date, age int, factor float8, ultimate float8, error float8);
CREATE FUNCTION pg_temp.climb() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	top int := (SELECT max(k) FROM cell); f float8[]; base float8[]; s2 float8[]; n int; k int; c record; full_c float8[]; mse float8; known boolean; had float8; lastk int; step int; x float8; y float8;
BEGIN
	FOR step IN 1 .. top - 1 LOOP
		SELECT sum(b.c) / nullif(sum(a.c), 0), sum(a.c) INTO x, y FROM cell a JOIN cell b ON b.i = a.i AND b.k = a.k + 1 WHERE a.k = step;
		f[step] := x; base[step] := y;
		SELECT count(*) INTO n FROM cell a JOIN cell b ON b.i = a.i AND b.k = a.k + 1 WHERE a.k = step AND a.c > 0;
		s2[step] := NULL;
		IF n > 1 THEN
			SELECT sum(a.c * (b.c / a.c - x) ^ 2) / (n - 1) INTO y FROM cell a JOIN cell b ON b.i = a.i AND b.k = a.k + 1 WHERE a.k = step AND a.c > 0;
			s2[step] := y;
			lastk := step;
		END IF;
	END LOOP;
	FOR k IN coalesce(lastk, top) + 1 .. top - 1 LOOP
		s2[k] := least(s2[lastk], s2[lastk - 1], CASE WHEN s2[lastk - 1] = 0 THEN 0 ELSE s2[lastk] ^ 2 / s2[lastk - 1] END);
		IF s2[lastk - 1] IS NULL THEN s2[k] := NULL; END IF;
	END LOOP;
	FOR c IN SELECT DISTINCT ON (i) * FROM cell ORDER BY i, cell.k DESC LOOP
		had := c.c; mse := 0; known := true;
		FOR k IN c.k .. top - 1 LOOP
			IF f[k] IS NOT NULL THEN
				IF s2[k] IS NULL THEN known := false; END IF;
				IF had > 0 THEN mse := mse + coalesce(s2[k], 0) / f[k] ^ 2 * (1 / had + 1 / base[k]); END IF;
				had := had * f[k];
			END IF;
		END LOOP;
		INSERT INTO ladder VALUES (c.cohort, c.over, f[c.k], had, CASE WHEN known THEN sqrt(mse) * had END);
	END LOOP;
END $$;
SELECT pg_temp.climb() \g /dev/null
CREATE TEMPORARY TABLE expected AS
	SELECT l.cohort, l.age, a.issued, a.redeemed, a.expired, a.outstanding, l.factor, l.error,
		   least(greatest(round(l.ultimate::numeric), a.redeemed), a.issued - a.expired) AS ultimate
	FROM ladder l JOIN aged a USING (cohort);
SELECT 'breakage', e.*, b.* FROM expected e
FULL JOIN (SELECT * FROM loyalty.breakage() WHERE cohort IS NOT NULL) b USING (cohort)
WHERE (e.age, e.issued, e.redeemed, e.expired, e.outstanding, e.ultimate, round(e.ultimate / nullif(e.issued, 0), 4), e.issued - e.ultimate)
	IS DISTINCT FROM (b.age, b.issued::numeric, b.redeemed::numeric, b.expired::numeric, b.outstanding::numeric, b.ultimate::numeric, b.ultimate_rate, b.breakage::numeric)
   OR abs(e.factor - b.factor) > 0.000001 OR (e.factor IS NULL) <> (b.factor IS NULL)
   OR abs(CASE WHEN e.outstanding > 0 THEN e.error ELSE 0 END - b.standard_error) > 0.006 + 1e-9 * e.error
   OR (CASE WHEN e.outstanding > 0 THEN e.error ELSE 0 END IS NULL) <> (b.standard_error IS NULL);
SELECT 'breakage of all', b.*, s.* FROM loyalty.breakage() b
CROSS JOIN (SELECT sum(issued) AS issued, sum(ultimate) AS ultimate, sum(outstanding) AS outstanding FROM expected) s
WHERE b.cohort IS NULL
  AND (b.issued::numeric, b.ultimate::numeric, b.breakage::numeric, b.outstanding::numeric, b.ultimate_rate)
	IS DISTINCT FROM (s.issued, s.ultimate, s.issued - s.ultimate, s.outstanding, round(s.ultimate / s.issued, 4));

-- expiry_forecast: point by point in the order of both, with the share that the curve still takes
CREATE TEMPORARY TABLE forecast (month date, points numeric, expected numeric);
CREATE FUNCTION pg_temp.look_ahead() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	d record; o record; rest numeric := 0; part numeric; here numeric; sum_here numeric; k int; reach float8;
	owed CURSOR FOR SELECT * FROM expected WHERE outstanding > 0 ORDER BY cohort;
	scale numeric := (SELECT sum(outstanding) FROM expected WHERE outstanding > 0) / nullif((SELECT sum(points) FROM lots), 0);
BEGIN
	OPEN owed;
	FOR d IN SELECT date_trunc('month', ends)::date AS month, sum(points) AS points FROM lots GROUP BY 1 ORDER BY 1 LOOP
		here := d.points * scale; sum_here := 0;
		WHILE here > 0.000000001 LOOP
			IF rest <= 0.000000001 THEN
				FETCH owed INTO o;
				EXIT WHEN NOT FOUND;
				rest := o.outstanding;
			END IF;
			part := least(here, rest);
			k := extract(year FROM age(d.month, o.cohort)) * 12 + extract(month FROM age(d.month, o.cohort)) + 1;
			-- the way from that age to the end undone
			reach := o.ultimate / coalesce((SELECT exp(sum(ln(nullif(factor, 0)))) FROM ladder WHERE age >= k AND factor > 0), 1);
			sum_here := sum_here + part / scale * (1 - least(greatest((reach::numeric - o.redeemed) / o.outstanding, 0), 1));
			here := here - part; rest := rest - part;
		END LOOP;
		INSERT INTO forecast VALUES (d.month, d.points, sum_here);
	END LOOP;
END $$;
SELECT pg_temp.look_ahead() \g /dev/null
SELECT 'expiry_forecast', f.*, e.* FROM forecast f
FULL JOIN loyalty.expiry_forecast() e ON e.month = f.month
WHERE f.points IS DISTINCT FROM e.points::numeric OR e.expected IS NULL OR abs(f.expected - e.expected::numeric) > 0.51;
