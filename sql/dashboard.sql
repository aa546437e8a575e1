--
-- dashboard: how a program does, at a glance
--

-- Block characters by number: the script is read in the encoding of the database.
CREATE FUNCTION loyalty.sparkline(series numeric[]) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(string_agg(CASE WHEN v.value IS NULL THEN ' '
									WHEN v.highest = v.lowest THEN chr(9604)
									ELSE chr(9601 + least(7, floor(8 * (v.value - v.lowest) / (v.highest - v.lowest)))::integer) END,
							   '' ORDER BY v.place), '')
	FROM (SELECT u.place, f.value, min(f.value) OVER () AS lowest, max(f.value) OVER () AS highest
		  FROM unnest($1) WITH ORDINALITY u (value, place)
		  CROSS JOIN LATERAL (SELECT CASE WHEN abs(u.value) < 'Infinity' THEN u.value END AS value) f) v
	$$;
COMMENT ON FUNCTION loyalty.sparkline(numeric[]) IS 'a line of block characters, one a value: the lowest is the lowest block, the highest the highest one; a blank for NULL; half a block each where all are equal';

CREATE FUNCTION loyalty.bar(value numeric, whole numeric, width integer DEFAULT 20) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT repeat(chr(9608), e.eighths / 8) || CASE WHEN e.eighths % 8 > 0 THEN chr(9616 - e.eighths % 8) ELSE '' END
	FROM (SELECT CASE WHEN abs($1) < 'Infinity' AND $2 > 0 AND $2 < 'Infinity'
					  THEN round(8 * least(greatest($3, 0), 1000) * least(greatest($1 / $2, 0), 1))::integer
					  ELSE 0 END AS eighths) e
	$$;
COMMENT ON FUNCTION loyalty.bar(numeric, numeric, integer) IS 'a bar of block characters, to an eighth of one: as long as value is of whole, which has width characters (1000 at most); nothing for what is below zero';

CREATE VIEW loyalty.expiring_by_day WITH (security_barrier = true) AS
	SELECT p.name AS program, p.program_id, l.ends AS day, l.points
	FROM (SELECT m.program_id, loyalty.sum(loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, now())) AS purse
		  FROM loyalty.member m
		  JOIN loyalty.program p ON p.program_id = m.program_id
		  WHERE loyalty.may_read(p.program_id)
		  GROUP BY 1) o
	JOIN loyalty.program p ON p.program_id = o.program_id
	CROSS JOIN LATERAL (SELECT l.ends, loyalty.sum(l.points) AS points FROM loyalty.lots(o.purse) l GROUP BY 1) l;
COMMENT ON VIEW loyalty.expiring_by_day IS 'points that members have now, by program and last day; held ones are not among them';
COMMENT ON COLUMN loyalty.expiring_by_day.program IS 'name of the program';
COMMENT ON COLUMN loyalty.expiring_by_day.program_id IS 'the program';
COMMENT ON COLUMN loyalty.expiring_by_day.day IS 'last day on which they can be spent; infinity: they never expire, debts are netted there';
COMMENT ON COLUMN loyalty.expiring_by_day.points IS 'how many';

-- Periods are counted backwards from the last day, which "ago" counts from, too:
-- number k has the days from k * days ago on.  Who bought in them is known by
-- month only, with the first and the last purchase of each.  That is enough
-- where a period has 30 days or more: between two purchases of one month it does
-- not fit, so one of the two is in every period in which there was one.
CREATE FUNCTION loyalty.dashboard(program text DEFAULT NULL, at date DEFAULT NULL, days integer DEFAULT 30)
	RETURNS TABLE (section text, figure text, value text, amount numeric, before numeric, change numeric, trend text)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($1), loyalty.report_day('at', $2);
	WITH argument AS MATERIALIZED (
		SELECT p.program_id, p.time_zone, coalesce(p.currency, '') AS currency, p.point_value::numeric AS point_value, t.today,
			   coalesce($2, t.today) AS last,
			   loyalty.report_number('days', coalesce($3, 30), 1, 366) AS days,
			   greatest(coalesce($3, 30), 30) AS wide
		FROM loyalty.program p
		CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE p.time_zone)::date AS today) t
		WHERE p.program_id = (SELECT loyalty.report_program($1))
	), span AS (
		SELECT a.*, k, k * a.days AS until, (k + 1) * a.days AS since, k * a.days + a.wide AS wide_since,
			   (a.last - (k * a.days + a.wide) + 1)::timestamp AT TIME ZONE a.time_zone AS begins,
			   (a.last - k * a.days + 1)::timestamp AT TIME ZONE a.time_zone AS ends
		FROM argument a
		CROSS JOIN generate_series(0, 11) k
	), flow AS MATERIALIZED (
		SELECT a.last - d.day AS ago, sum(d.purchases) AS purchases, sum(d.amount) AS revenue,
			   sum(d.points::numeric) FILTER (WHERE d.kind = 'earn') AS earned,
			   -sum(d.points::numeric) FILTER (WHERE d.kind = 'clawback') AS clawed_back,
			   -sum(d.points::numeric) FILTER (WHERE d.kind IN ('redeem', 'refund')) AS redeemed,
			   -sum(d.points::numeric) FILTER (WHERE d.kind = 'expire') AS expired,
			   sum(d.entries) FILTER (WHERE d.kind = 'redeem') AS redemptions,
			   -- what is held is owed
			   sum(d.points::numeric) FILTER (WHERE d.kind NOT IN ('hold', 'release')) AS outstanding
		FROM argument a
		JOIN loyalty.points_by_day d ON d.program_id = a.program_id AND d.day <= a.last
		GROUP BY 1
	), flows AS (
		SELECT s.k,
			   coalesce(sum(f.purchases) FILTER (WHERE f.ago < s.since), 0) AS purchases,
			   coalesce(sum(f.purchases) FILTER (WHERE f.ago < s.wide_since), 0) AS wide_purchases,
			   coalesce(sum(f.revenue) FILTER (WHERE f.ago < s.since), 0) AS revenue,
			   coalesce(sum(f.earned) FILTER (WHERE f.ago < s.since), 0) AS earned,
			   coalesce(sum(f.clawed_back) FILTER (WHERE f.ago < s.since), 0) AS clawed_back,
			   coalesce(sum(f.redeemed) FILTER (WHERE f.ago < s.since), 0) AS redeemed,
			   coalesce(sum(f.expired) FILTER (WHERE f.ago < s.since), 0) AS expired,
			   coalesce(sum(f.redemptions) FILTER (WHERE f.ago < s.since), 0) AS redemptions,
			   coalesce(sum(f.outstanding), 0) AS outstanding,
			   coalesce(sum(f.expired), 0) AS ever_expired,
			   coalesce(sum(f.earned), 0) - coalesce(sum(f.clawed_back), 0) AS ever_issued
		FROM span s
		LEFT JOIN flow f ON f.ago >= s.until
		GROUP BY 1
	), enrolled AS MATERIALIZED (
		SELECT a.last - e.day AS ago, e.members
		FROM argument a
		JOIN loyalty.enrollments_by_day e ON e.program_id = a.program_id AND e.day <= a.last
	), members AS (
		SELECT s.k, coalesce(sum(e.members), 0) AS members, coalesce(sum(e.members) FILTER (WHERE e.ago < s.since), 0) AS new_members
		FROM span s
		LEFT JOIN enrolled e ON e.ago >= s.until
		GROUP BY 1
	), edge AS (
		-- which of the 12 a time is in, a bit each, from one edge of them to the next
		SELECT e.edge, (SELECT coalesce(bit_or(1 << s.k), 0) FROM span s WHERE s.begins <= e.edge AND s.ends > e.edge) AS mask
		FROM (SELECT begins AS edge FROM span UNION SELECT ends FROM span) e
	), edges AS MATERIALIZED (
		SELECT array_agg(e.edge ORDER BY e.edge) AS at, array_agg(e.mask ORDER BY e.edge) AS masks,
			   (SELECT array_agg(s.begins ORDER BY s.begins) FROM span s) AS begins
		FROM edge e
	), merged AS MATERIALIZED (
		SELECT m.persons FROM loyalty.person_map m WHERE m.program_id = (SELECT program_id FROM argument)
	), bought AS (
		SELECT CASE WHEN (SELECT m.persons IS NULL FROM merged m) THEN b.member_id
					ELSE coalesce(((SELECT m.persons FROM merged m) ->> b.member_id::text)::bigint, b.member_id) END AS person_id,
			   b.first_purchase,
			   CASE WHEN b.last_purchase >= (SELECT at[1] FROM edges)
					THEN coalesce((SELECT masks FROM edges)[width_bucket(b.first_purchase, (SELECT at FROM edges))], 0)
						 | coalesce((SELECT masks FROM edges)[width_bucket(b.last_purchase, (SELECT at FROM edges))], 0)
					ELSE 0 END AS mask
		FROM loyalty.month_totals b
		WHERE b.program_id = (SELECT program_id FROM argument) AND b.first_purchase IS NOT NULL
		  AND b.month >= (SELECT date_trunc('month', e.at[1] AT TIME ZONE a.time_zone)::date FROM edges e, argument a)
		UNION ALL
		-- months before are told by the first purchase of all
		SELECT CASE WHEN (SELECT m.persons IS NULL FROM merged m) THEN t.member_id
					ELSE coalesce(((SELECT m.persons FROM merged m) ->> t.member_id::text)::bigint, t.member_id) END, t.first_purchase, 0
		FROM loyalty.member_totals t
		WHERE t.program_id = (SELECT program_id FROM argument) AND t.first_purchase IS NOT NULL
	), buyer AS (
		-- earlier: the last of the 12 before which he had bought already, -1: none
		SELECT p.mask, cardinality(e.begins) - 1 - width_bucket(p.first, e.begins) AS earlier, count(*) AS persons
		FROM (SELECT bit_or(b.mask) AS mask, min(b.first_purchase) AS first
			  FROM bought b
			  GROUP BY b.person_id) p
		CROSS JOIN edges e
		WHERE p.mask > 0
		GROUP BY 1, 2
	), buyers AS (
		SELECT s.k, coalesce(sum(b.persons) FILTER (WHERE b.mask & (1 << s.k) > 0), 0) AS active,
			   coalesce(sum(b.persons) FILTER (WHERE b.mask & (1 << s.k) > 0 AND b.earlier >= s.k), 0) AS again
		FROM span s
		LEFT JOIN buyer b ON true
		GROUP BY 1
	), answer AS (
		SELECT s.k, sum(f.answers) FILTER (WHERE f.kind = 'nps') AS answers,
			   sum(f.answers * CASE WHEN f.score >= 9 THEN 1 WHEN f.score <= 6 THEN -1 ELSE 0 END) FILTER (WHERE f.kind = 'nps') AS promoters,
			   sum(f.answers) FILTER (WHERE f.kind = 'satisfaction') AS scores,
			   sum(f.answers) FILTER (WHERE f.kind = 'satisfaction' AND f.score >= 4) AS satisfied
		FROM span s
		JOIN loyalty.feedback_by_day f ON f.program_id = s.program_id AND f.day <= s.last - s.until AND f.day > s.last - s.since
		GROUP BY 1
	), figure AS (
		SELECT s.k, s.currency, v.*
		FROM span s
		JOIN flows f USING (k)
		JOIN members m USING (k)
		JOIN buyers b USING (k)
		LEFT JOIN answer w USING (k)
		CROSS JOIN LATERAL (VALUES
			(1, 'members', 'members', 'count', m.members),
			(2, 'members', 'new members', 'count', m.new_members),
			(3, 'members', 'active members', 'count', b.active),
			(4, 'members', 'active rate', 'rate', round(b.active / nullif(m.members, 0), 4)),
			(5, 'purchases', 'purchases', 'count', f.purchases),
			(6, 'purchases', 'revenue', 'money', round(f.revenue, 2)),
			(7, 'purchases', 'average order value', 'money', round(f.revenue / nullif(f.purchases, 0), 2)),
			(8, 'purchases', 'repeat purchase rate', 'rate', round(b.again / nullif(b.active, 0), 4)),
			(9, 'purchases', 'orders per buyer', 'ratio', round(f.wide_purchases / nullif(b.active, 0), 2)),
			(10, 'points', 'earned', 'points', f.earned),
			(11, 'points', 'clawed back', 'points', f.clawed_back),
			(12, 'points', 'redeemed', 'points', f.redeemed),
			(13, 'points', 'expired', 'points', f.expired),
			(14, 'points', 'redemptions', 'count', f.redemptions),
			(15, 'points', 'redemption rate', 'rate', round(f.redeemed / nullif(greatest(f.earned - f.clawed_back, 0), 0), 4)),
			(16, 'points', 'breakage rate so far', 'rate', round(f.ever_expired / nullif(greatest(f.ever_issued, 0), 0), 4)),
			(17, 'liability', 'outstanding', 'points', f.outstanding),
			(18, 'liability', 'liability', 'money', round(f.outstanding * s.point_value, 2)),
			(19, 'liability', 'expiring within 30 days', 'points',
			 CASE WHEN s.k = 0 AND s.last = s.today
				  THEN (SELECT coalesce(sum(e.points::numeric), 0) FROM loyalty.expiring_by_day e
						WHERE e.program_id = s.program_id AND e.day >= s.today AND e.day < s.today + 30) END),
			(20, 'money', 'cost of points', 'money', round(f.redeemed * s.point_value, 2)),
			(21, 'money', 'revenue per cost', 'ratio', round(f.revenue / nullif(round(f.redeemed * s.point_value, 2), 0), 2)),
			(22, 'feedback', 'net promoter score', 'score', round(100 * w.promoters / nullif(w.answers, 0), 2)),
			(23, 'feedback', 'satisfaction', 'rate', round(w.satisfied / nullif(w.scores, 0), 4))) v (place, section, figure, unit, amount)
	), figures AS (
		SELECT g.place, g.section, g.figure, g.unit, g.currency, max(g.amount) FILTER (WHERE g.k = 0) AS amount,
			   max(g.amount) FILTER (WHERE g.k = 1) AS before, array_agg(g.amount ORDER BY g.k DESC) AS amounts
		FROM figure g
		GROUP BY 1, 2, 3, 4, 5
	)
	SELECT g.section, g.figure,
		   CASE g.unit
				WHEN 'rate' THEN to_char(100 * g.amount, 'FM999,990.0') || ' %'
				WHEN 'score' THEN to_char(g.amount, 'FMSG990.0')
				WHEN 'ratio' THEN to_char(g.amount, 'FM999,999,990.00')
				WHEN 'money' THEN btrim(to_char(g.amount, 'FM999,999,999,999,990.00') || ' ' || g.currency)
				ELSE rtrim(to_char(g.amount, 'FM999,999,999,999,990.9999'), '.') END,
		   trim_scale(g.amount), trim_scale(g.before),
		   round(100 * (g.amount - g.before) / nullif(abs(g.before), 0), 1),
		   CASE WHEN cardinality(array_remove(g.amounts, NULL)) > 1 THEN loyalty.sparkline(g.amounts) END
	FROM figures g
	ORDER BY g.place
	$$;
COMMENT ON FUNCTION loyalty.dashboard(text, date, integer) IS 'the figures of a program in the days up to and including a day (today by default), those of the days before and the change in percent; trend: of 12 such periods, the last one on the right, NULL where there are not two figures; members who bought are those of at least 30 days, also who joined later, so that the active rate can be above 1';
