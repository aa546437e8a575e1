--
-- member_report: who joined, who is active, and who leads
--

CREATE FUNCTION loyalty.report_today(program text DEFAULT NULL) RETURNS date
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT loyalty.report_program($1);
	SELECT (now() AT TIME ZONE p.time_zone)::date FROM loyalty.program p WHERE p.program_id = loyalty.report_program($1)
	$$;
COMMENT ON FUNCTION loyalty.report_today(text) IS 'today, in the time zone of the program that a report is about';

CREATE VIEW loyalty.readable_movements WITH (security_barrier = true) AS
	SELECT v.program_id, v.member_id, v.kind, v.points, v.occurred_at, v.amount, v.purchases
	FROM loyalty.movements v
	JOIN loyalty.program q ON q.program_id = v.program_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.readable_movements IS 'the entries of the programs that the caller may read, with what they changed of purchases';
COMMENT ON COLUMN loyalty.readable_movements.program_id IS 'the program';
COMMENT ON COLUMN loyalty.readable_movements.member_id IS 'the member in whose ledger it stands: see persons';
COMMENT ON COLUMN loyalty.readable_movements.kind IS 'kind of the entry';
COMMENT ON COLUMN loyalty.readable_movements.points IS 'points that it added (negative: took)';
COMMENT ON COLUMN loyalty.readable_movements.occurred_at IS 'when it happened: of a purchase its time, of a change of it when that was posted';
COMMENT ON COLUMN loyalty.readable_movements.amount IS 'what it added to a purchase''s amount (negative: took away); NULL: no purchase, or not the first entry of its posting';
COMMENT ON COLUMN loyalty.readable_movements.purchases IS '1: from here on the purchase counts, being above zero; -1: from here on it does not any more; 0: neither';

-- What members did in all: one row of each from the rollups, without its times, and
-- a row for each entry since.
CREATE VIEW loyalty.member_totals WITH (security_barrier = true) AS
	SELECT t.program_id, t.member_id, t.occurred_at, t.last_active, t.purchases, t.amount, t.first_purchase, t.last_purchase,
		   t.earned, t.redeemed, t.redemptions
	FROM (SELECT r.program_id, r.member_id, '-infinity'::timestamptz AS occurred_at, r.last_active, r.purchases, r.amount,
				 r.first_purchase, r.last_purchase, r.earned, r.redeemed, r.redemptions
		  FROM loyalty.rollup_member r
		  UNION ALL
		  SELECT e.program_id, e.member_id, e.occurred_at,
				 CASE WHEN e.purchases > 0 OR e.kind = 'earn' AND e.points OPERATOR(loyalty.>) 0 OR e.kind = 'redeem' THEN e.occurred_at END,
				 e.purchases, coalesce(e.amount, 0),
				 CASE WHEN e.purchases > 0 THEN e.occurred_at END, CASE WHEN e.purchases > 0 THEN e.occurred_at END,
				 CASE WHEN e.kind IN ('earn', 'clawback') THEN e.points ELSE 0 END,
				 CASE WHEN e.kind IN ('redeem', 'refund') THEN OPERATOR(loyalty.-) e.points ELSE 0 END,
				 (e.kind = 'redeem')::integer
		  FROM loyalty.fresh_movements e) t
	JOIN loyalty.program q ON q.program_id = t.program_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.member_totals IS 'what members did in all, as sums of several rows: of the rollups, and of what was posted since';
COMMENT ON COLUMN loyalty.member_totals.program_id IS 'the program';
COMMENT ON COLUMN loyalty.member_totals.member_id IS 'the member in whose ledger it stands: see persons';
COMMENT ON COLUMN loyalty.member_totals.occurred_at IS 'when it happened; -infinity: a row of the rollups, none of which is later than rollup.latest';
COMMENT ON COLUMN loyalty.member_totals.last_active IS 'when he last bought, earned or redeemed; NULL: he did not';
COMMENT ON COLUMN loyalty.member_totals.purchases IS 'purchases that came to count, less those that ceased to';
COMMENT ON COLUMN loyalty.member_totals.amount IS 'what was bought, less what was returned';
COMMENT ON COLUMN loyalty.member_totals.first_purchase IS 'time of the first purchase that came to count; NULL: none did';
COMMENT ON COLUMN loyalty.member_totals.last_purchase IS 'time of the last one';
COMMENT ON COLUMN loyalty.member_totals.earned IS 'points earned, less those that returns took back';
COMMENT ON COLUMN loyalty.member_totals.redeemed IS 'points redeemed, less those that came back';
COMMENT ON COLUMN loyalty.member_totals.redemptions IS 'number of redemptions';

-- The same by month, for reports that add up themselves.
CREATE VIEW loyalty.month_totals WITH (security_barrier = true) AS
	SELECT t.program_id, t.member_id, t.month, t.active, t.purchases, t.amount, t.first_purchase, t.last_purchase, t.earned, t.redeemed, t.redemptions
	FROM (SELECT r.program_id, r.member_id, r.month, r.first_purchase IS NOT NULL OR r.earned OPERATOR(loyalty.>) 0 OR r.redemptions > 0 AS active,
				 r.purchases, r.amount, r.first_purchase, r.last_purchase,
				 r.earned OPERATOR(loyalty.+) r.clawed_back AS earned,
				 OPERATOR(loyalty.-) (r.redeemed OPERATOR(loyalty.+) r.refunded) AS redeemed, r.redemptions
		  FROM loyalty.rollup_month r
		  UNION ALL
		  SELECT e.program_id, e.member_id, date_trunc('month', e.day::timestamp)::date,
				 e.purchases > 0 OR e.kind = 'earn' AND e.points OPERATOR(loyalty.>) 0 OR e.kind = 'redeem', e.purchases, coalesce(e.amount, 0),
				 CASE WHEN e.purchases > 0 THEN e.occurred_at END, CASE WHEN e.purchases > 0 THEN e.occurred_at END,
				 CASE WHEN e.kind IN ('earn', 'clawback') THEN e.points ELSE 0 END,
				 CASE WHEN e.kind IN ('redeem', 'refund') THEN OPERATOR(loyalty.-) e.points ELSE 0 END,
				 (e.kind = 'redeem')::integer
		  FROM loyalty.fresh_movements e) t
	JOIN loyalty.program q ON q.program_id = t.program_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.month_totals IS 'what members did in a month, as sums of several rows: activity_by_month is one row of each';
COMMENT ON COLUMN loyalty.month_totals.program_id IS 'the program';
COMMENT ON COLUMN loyalty.month_totals.member_id IS 'the member in whose ledger it stands: see persons';
COMMENT ON COLUMN loyalty.month_totals.month IS 'first day of the month, in the program''s time zone';
COMMENT ON COLUMN loyalty.month_totals.active IS 'whether he bought, earned or redeemed';
COMMENT ON COLUMN loyalty.month_totals.purchases IS 'purchases that came to count in it, less those that ceased to';
COMMENT ON COLUMN loyalty.month_totals.amount IS 'what was bought, less what was returned';
COMMENT ON COLUMN loyalty.month_totals.first_purchase IS 'time of the first purchase that came to count in it; NULL: none did';
COMMENT ON COLUMN loyalty.month_totals.last_purchase IS 'time of the last one';
COMMENT ON COLUMN loyalty.month_totals.earned IS 'points earned, less those that returns took back';
COMMENT ON COLUMN loyalty.month_totals.redeemed IS 'points redeemed, less those that came back';
COMMENT ON COLUMN loyalty.month_totals.redemptions IS 'number of redemptions';

-- The channel stands in the profile, which is not for everybody who may read
-- figures: so it is added up first.
CREATE VIEW loyalty.enrollments_by_day WITH (security_barrier = true) AS
	SELECT q.name AS program, d.program_id, d.day, d.channel, d.members
	FROM (SELECT m.program_id, (m.enrolled_at AT TIME ZONE p.time_zone)::date AS day, f.data ->> 'channel' AS channel, count(*) AS members
		  FROM loyalty.member m
		  JOIN loyalty.program p ON p.program_id = m.program_id
		  LEFT JOIN loyalty.profile f ON f.member_id = m.member_id
		  WHERE m.status <> 'merged'
		  GROUP BY 1, 2, 3) d
	JOIN loyalty.program q ON q.program_id = d.program_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.enrollments_by_day IS 'how many members joined, by day and channel';
COMMENT ON COLUMN loyalty.enrollments_by_day.program IS 'name of the program';
COMMENT ON COLUMN loyalty.enrollments_by_day.program_id IS 'the program';
COMMENT ON COLUMN loyalty.enrollments_by_day.day IS 'when they joined, in the program''s time zone';
COMMENT ON COLUMN loyalty.enrollments_by_day.channel IS 'the channel that their profile names; NULL: none';
COMMENT ON COLUMN loyalty.enrollments_by_day.members IS 'how many; whoever was merged is somebody else';

CREATE FUNCTION loyalty.enrollments(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, channel text, members bigint, total bigint)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($4), loyalty.report_period($1);
	WITH joined AS (
		SELECT e.day, e.channel, e.members
		FROM loyalty.enrollments_by_day e
		JOIN loyalty.program p ON p.program_id = e.program_id
		WHERE e.program_id = (SELECT loyalty.report_program($4))
		  AND e.day < coalesce($3, (now() AT TIME ZONE p.time_zone)::date + 1)
	), span AS (
		-- what has no end has no last row
		SELECT coalesce(nullif($2, '-infinity'), (SELECT min(day) FROM joined)) AS since,
			   coalesce(nullif($3, 'infinity') - 1, (now() AT TIME ZONE p.time_zone)::date) AS until
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($4))
	), periods AS (
		SELECT generate_series(date_trunc(coalesce($1, 'month'), since::timestamp), until::timestamp, CASE $1 WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || coalesce($1, 'month'))::interval END)::date AS starts
		FROM span
		WHERE isfinite(since) AND isfinite(until) AND since <= until
	), counted AS (
		SELECT date_trunc(coalesce($1, 'month'), j.day::timestamp)::date AS starts, j.channel,
			   sum(j.members) FILTER (WHERE $2 IS NULL OR j.day >= $2) AS members, sum(j.members) AS total
		FROM joined j
		GROUP BY 1, 2
	)
	SELECT r.starts, r.channel, r.members::bigint, r.total::bigint
	FROM (SELECT s.starts, c.channel, coalesce(n.members, 0) AS members,
				 coalesce(b.total, 0) + sum(coalesce(n.total, 0)) OVER (PARTITION BY c.channel ORDER BY s.starts) AS total
		  FROM periods s
		  CROSS JOIN (SELECT DISTINCT channel FROM joined) c
		  LEFT JOIN counted n ON n.starts = s.starts AND n.channel IS NOT DISTINCT FROM c.channel
		  LEFT JOIN (SELECT o.channel, sum(o.total) AS total
					 FROM counted o
					 WHERE o.starts < (SELECT min(starts) FROM periods)
					 GROUP BY 1) b ON b.channel IS NOT DISTINCT FROM c.channel) r
	ORDER BY r.starts, r.channel NULLS LAST
	$$;
COMMENT ON FUNCTION loyalty.enrollments(text, date, date, text) IS 'how many members joined, by period and channel';

-- What reports about members are made of.  Of all time there is one row a member,
-- unless something of the rollups occurred later.  Else whole months come added up;
-- the days before and after them are looked for in the ledger, but where there are
-- none, and so is the month in which recent begins.  Its body is parsed once, here, and
-- names nothing by a search_path: so it needs no setting of its own, and becomes a
-- part of the report that uses it, which then adds up only what it shows.
CREATE FUNCTION loyalty.member_activity(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL, recent date DEFAULT NULL)
	RETURNS TABLE (member_id bigint, active boolean, active_recently boolean, purchases bigint, amount numeric,
				   first_purchase timestamptz, last_purchase timestamptz, earned loyalty.points, redeemed loyalty.points, redemptions bigint)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	BEGIN ATOMIC
	WITH days AS MATERIALIZED (
		SELECT p.program_id, p.time_zone, coalesce($1, '-infinity'::date) AS since,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1) AS until,
			   coalesce($4, '-infinity'::date) AS recent_day,
			   CASE WHEN date_trunc('month', $4::timestamp) <> $4 THEN date_trunc('month', $4::timestamp)::date END AS apart
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	), span AS MATERIALIZED (
		SELECT d.*, d.since::timestamp AT TIME ZONE d.time_zone AS begins, d.until::timestamp AT TIME ZONE d.time_zone AS ends,
			   m.first, m.last, m.first::timestamp AT TIME ZONE d.time_zone AS whole_begins, m.last::timestamp AT TIME ZONE d.time_zone AS whole_ends,
			   d.apart::timestamp AT TIME ZONE d.time_zone AS apart_begins,
			   (d.apart::timestamp + interval '1 month') AT TIME ZONE d.time_zone AS apart_ends,
			   d.recent_day::timestamp AT TIME ZONE d.time_zone AS recent,
			   d.since = '-infinity' AND NOT EXISTS (SELECT FROM loyalty.rollup u WHERE u.program_id = d.program_id
													 AND u.latest >= d.until::timestamp AT TIME ZONE d.time_zone) AS whole
		FROM days d
		CROSS JOIN LATERAL (
			SELECT CASE WHEN date_trunc('month', d.since::timestamp) = d.since THEN d.since
						ELSE (date_trunc('month', d.since::timestamp) + interval '1 month')::date END AS first,
				   date_trunc('month', d.until::timestamp)::date AS last) m
	), merged AS MATERIALIZED (
		SELECT m.persons FROM loyalty.person_map m WHERE m.program_id = (SELECT s.program_id FROM span s)
	)
	SELECT CASE WHEN (SELECT m.persons IS NULL FROM merged m) THEN a.member_id
				ELSE coalesce(((SELECT m.persons FROM merged m) ->> a.member_id::text)::bigint, a.member_id) END,
		   bool_or(a.active), bool_or(a.active AND a.recent), sum(a.purchases)::bigint, sum(a.amount),
		   min(a.first_purchase), max(a.last_purchase), loyalty.sum(a.earned), loyalty.sum(a.redeemed), sum(a.redemptions)::bigint
	FROM (SELECT v.member_id, v.last_active IS NOT NULL AS active, v.last_active >= (SELECT s.recent FROM span s) AS recent,
				 v.purchases, v.amount, v.first_purchase, v.last_purchase, v.earned, v.redeemed, v.redemptions
		  FROM loyalty.member_totals v
		  WHERE v.program_id = (SELECT s.program_id FROM span s) AND (SELECT s.whole FROM span s)
			AND v.occurred_at < (SELECT s.ends FROM span s)
		  UNION ALL
		  SELECT v.member_id, v.active,
				 v.month >= (SELECT s.recent_day FROM span s) AS recent,
				 v.purchases, v.amount, v.first_purchase, v.last_purchase, v.earned, v.redeemed, v.redemptions
		  FROM loyalty.month_totals v
		  WHERE v.program_id = (SELECT s.program_id FROM span s) AND (SELECT NOT s.whole FROM span s)
			AND v.month >= (SELECT s.first FROM span s) AND v.month < (SELECT s.last FROM span s)
			AND v.month IS DISTINCT FROM (SELECT s.apart FROM span s)
		  UNION ALL
		  SELECT v.member_id, v.purchases > 0 OR v.kind = 'earn' AND v.points OPERATOR(loyalty.>) 0 OR v.kind = 'redeem',
				 v.occurred_at >= (SELECT s.recent FROM span s),
				 v.purchases, coalesce(v.amount, 0), CASE WHEN v.purchases > 0 THEN v.occurred_at END, CASE WHEN v.purchases > 0 THEN v.occurred_at END,
				 CASE WHEN v.kind IN ('earn', 'clawback') THEN v.points ELSE 0 END,
				 CASE WHEN v.kind IN ('redeem', 'refund') THEN OPERATOR(loyalty.-) v.points ELSE 0 END,
				 (v.kind = 'redeem')::integer
		  FROM loyalty.readable_movements v
		  WHERE v.program_id = (SELECT s.program_id FROM span s)
			AND (SELECT NOT s.whole AND s.since < s.until AND (s.since <> s.first OR s.until <> s.last OR s.apart IS NOT NULL) FROM span s)
			AND v.occurred_at >= (SELECT s.begins FROM span s) AND v.occurred_at < (SELECT s.ends FROM span s)
			AND (v.occurred_at < (SELECT s.whole_begins FROM span s) OR v.occurred_at >= (SELECT s.whole_ends FROM span s)
				 OR v.occurred_at >= (SELECT s.apart_begins FROM span s) AND v.occurred_at < (SELECT s.apart_ends FROM span s))) a
	-- so that there is an error also where nothing is to be read
	WHERE (SELECT loyalty.report_program($3)) IS NOT NULL
	GROUP BY 1;
	END;
COMMENT ON FUNCTION loyalty.member_activity(date, date, text, date) IS 'what each member did between two days, one row a member who is in the ledger then; active_recently: also from the day recent on';

CREATE FUNCTION loyalty.activity(within interval DEFAULT '90 days', at date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (day date, enrolled bigint, active bigint, lapsed bigint, never_active bigint, active_rate numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($3), loyalty.report_day('at', $2);
	WITH present AS MATERIALIZED (
		SELECT p.program_id, d.day, (d.day + 1)::timestamp AT TIME ZONE p.time_zone AS ends
		FROM loyalty.program p
		CROSS JOIN LATERAL (SELECT coalesce($2, (now() AT TIME ZONE p.time_zone)::date) AS day) d
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	)
	SELECT (SELECT day FROM present), c.enrolled, c.active, c.ever - c.active, c.enrolled - c.ever, round(c.active::numeric / nullif(c.enrolled, 0), 4)
	FROM (SELECT count(*) AS enrolled, count(*) FILTER (WHERE a.active_recently) AS active, count(*) FILTER (WHERE a.active) AS ever
		  FROM loyalty.member m
		  LEFT JOIN loyalty.member_activity(NULL, coalesce($2, loyalty.report_today($3)) + 1, $3,
											(coalesce($2, loyalty.report_today($3)) + 1 - $1)::date) a ON a.member_id = m.member_id
		  WHERE m.program_id = (SELECT program_id FROM present) AND m.status <> 'merged' AND m.enrolled_at < (SELECT ends FROM present)) c
	$$;
COMMENT ON FUNCTION loyalty.activity(interval, date, text) IS 'how many members are active, have lapsed, or have never been active, on a day';

CREATE FUNCTION loyalty.member_figures(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (members bigint, active bigint, active_rate numeric, earned loyalty.points, earned_per_member loyalty.points,
				   earned_per_active_member loyalty.points, redeemers bigint, redeemer_rate numeric, redemptions bigint,
				   redemptions_per_active_member numeric, redeemed loyalty.points, redeemed_per_redemption loyalty.points)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($3);
	SELECT m.members, a.active, round(a.active::numeric / nullif(m.members, 0), 4),
		   a.earned::loyalty.points, round(a.earned / nullif(m.members, 0), 4)::loyalty.points, round(a.earned / nullif(a.active, 0), 4)::loyalty.points,
		   a.redeemers, round(a.redeemers::numeric / nullif(a.active, 0), 4), a.redemptions, round(a.redemptions::numeric / nullif(a.active, 0), 4),
		   a.redeemed::loyalty.points, round(a.redeemed / nullif(a.redemptions, 0), 4)::loyalty.points
	FROM (SELECT count(*) AS members
		  FROM loyalty.member m
		  WHERE m.program_id = (SELECT loyalty.report_program($3)) AND m.status <> 'merged'
			AND m.enrolled_at < (SELECT coalesce($2, loyalty.report_today($3) + 1)::timestamp AT TIME ZONE o.time_zone FROM loyalty.program o WHERE o.program_id = loyalty.report_program($3))) m
	CROSS JOIN (SELECT count(*) FILTER (WHERE a.active) AS active, coalesce(loyalty.sum(a.earned), 0)::numeric AS earned,
					   count(*) FILTER (WHERE a.redemptions > 0) AS redeemers, coalesce(sum(a.redemptions), 0)::bigint AS redemptions,
					   coalesce(loyalty.sum(a.redeemed), 0)::numeric AS redeemed
				FROM loyalty.member_activity($1, $2, $3) a) a
	$$;
COMMENT ON FUNCTION loyalty.member_figures(date, date, text) IS 'what members earn and how often they redeem, per head; active_rate can be above 1, for active are also those who joined after the end and whose purchases from before count';

-- The greatest are found before they are ranked, which need not sort the others.
CREATE FUNCTION loyalty.leaderboard(measure text DEFAULT 'earned', since date DEFAULT NULL, until date DEFAULT NULL, top integer DEFAULT 10, program text DEFAULT NULL)
	RETURNS TABLE (rank bigint, member text, value numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($5), loyalty.report_choice('measure', $1, '{earned,redeemed,purchases,amount}');
	WITH score AS MATERIALIZED (
		SELECT a.member_id, CASE $1 WHEN 'earned' THEN a.earned::numeric WHEN 'redeemed' THEN a.redeemed::numeric
									WHEN 'purchases' THEN a.purchases ELSE a.amount END AS value
		FROM loyalty.member_activity($2, $3, $5) a
	), leader AS (
		SELECT s.member_id, s.value, rank() OVER (ORDER BY s.value DESC) AS rank
		FROM score s
		WHERE s.value > 0
		  AND s.value >= (SELECT min(t.value) FROM (SELECT o.value FROM score o WHERE o.value > 0 ORDER BY o.value DESC LIMIT CASE WHEN $4 >= 0 THEN $4 WHEN $4 < 0 THEN 0 END) t)
	)
	SELECT l.rank, m.ref, CASE WHEN $1 = 'amount' THEN round(l.value, 2) ELSE trim_scale(l.value) END
	FROM leader l
	JOIN loyalty.member m ON m.member_id = l.member_id
	ORDER BY l.rank, m.ref
	$$;
COMMENT ON FUNCTION loyalty.leaderboard(text, date, date, integer, text) IS 'the members who lead in points earned or redeemed, in purchases or in their amount; equal ones share a rank';
