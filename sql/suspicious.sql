--
-- suspicious: what looks like gaming or fraud, with reasons
--

-- Nothing here is proof, and nothing follows from it by itself: it says where a
-- person should look.  Acts are looked at as far back as 90 days, by when they
-- were written down; what orders earned by the time of the order.  The figures of
-- each reason say what was found; the thresholds are these:
--
-- velocity               a limit of velocity_limit was passed, be it by orders, which are never refused,
--                        or since it only reports, or before it was there
-- self-referral          a member is his own referrer, by a merge
-- circular referral      up to 10 members were each referred by the next
-- circular gifts         points went from A to B and to A again, or from A to B to C to A, within 30 days
-- funnel                 within the last 30 days at least 5 members gave points to one
-- returns                at least 3 purchases, and at least a third of all in 90 days, were returned,
--                        each for half of its points or more
-- spent before return    a return took points that were spent already: a debt stands, or some are lost
-- just under the limit   at least 3 times within 30 days a role adjusted, within a day (of the program's
--                        zone), 80 to 100 percent of adjust_limit of a member without a second person
-- adjusted often         at least 5 times within 30 days a role gave one member points by hand, and a
--                        tenth of all its adjustments or more were of him
-- vouchers by hand       within a day (of the program's zone) a member used points vouchers that no pool
--                        and no reward gave, for more than adjust_limit
-- pooling                of members who joined a household within 7 days of each other, at least 3 had
--                        points drawn for it within 7 days of joining
--
-- Wrong voucher codes are not recorded: who tries them is the application's to see.

CREATE VIEW loyalty.gifts WITH (security_barrier) AS
	SELECT e.program_id, e.member_id AS from_member_id, (e.context ->> 'to_member_id')::bigint AS to_member_id,
		   -e.points::numeric AS points, e.posted_at AS at
	FROM loyalty.program p
	JOIN loyalty.entry e ON e.program_id = p.program_id
	WHERE loyalty.may_read(p.program_id)
	  AND e.kind = 'transfer' AND e.posted_at > now() - interval '90 days' AND e.points::numeric < 0
	  AND e.context ? 'to_member_id' AND NOT e.context ? 'entry'
	  -- what merges and households move is no gift
	  AND e.source_key !~ '^((merge|unmerge|pass|household)[:#]|transfer from )';
COMMENT ON VIEW loyalty.gifts IS 'points that members gave to others within 90 days';
COMMENT ON COLUMN loyalty.gifts.program_id IS 'the program';
COMMENT ON COLUMN loyalty.gifts.from_member_id IS 'who gave';
COMMENT ON COLUMN loyalty.gifts.to_member_id IS 'who got them';
COMMENT ON COLUMN loyalty.gifts.points IS 'how many';
COMMENT ON COLUMN loyalty.gifts.at IS 'when it was written down';

CREATE VIEW loyalty.suspicious_velocity WITH (security_barrier) AS
	WITH limits AS (
		SELECT row_number() OVER () AS no, p.program_id, p.name AS program, l.name, l.kind, l.per,
			   extract(epoch FROM l.within)::float8 AS span, l.max_times, l.max_points::numeric AS max_points
		FROM loyalty.velocity_limit l
		JOIN loyalty.program p ON p.name = l.program
		WHERE loyalty.may_read(p.program_id)
	), deeds AS (
		-- an amount stands on the first entry of a posting only
		SELECT l.no, e.member_id, NULL::bigint AS other, CASE e.source_id WHEN 0 THEN e.posted_at ELSE e.occurred_at END AS at,
			   CASE WHEN e.revision = 1 AND e.amount IS NOT NULL THEN 1 ELSE 0 END AS times, e.points::numeric AS points,
			   l.span, l.max_times, l.max_points
		FROM limits l
		JOIN loyalty.entry e ON e.program_id = l.program_id AND e.kind = 'earn' AND (l.kind = 'earn' OR e.source_id = 0)
		WHERE l.kind IN ('earn', 'record')
		  AND CASE e.source_id WHEN 0 THEN e.posted_at ELSE e.occurred_at END > now() - interval '90 days'
		UNION ALL
		SELECT l.no, e.member_id, NULL, e.posted_at, 1, -e.points::numeric, l.span, l.max_times, l.max_points
		FROM limits l
		JOIN loyalty.entry e ON e.program_id = l.program_id
		WHERE l.kind = 'redeem' AND e.posted_at > now() - interval '90 days'
		  AND (e.kind = 'hold' OR (e.kind = 'redeem' AND NOT coalesce(e.context ? 'hold', false)))
		UNION ALL
		SELECT l.no, e.member_id, NULL, e.posted_at, 1,
			   CASE WHEN e.points::numeric <> 0 THEN abs(e.points::numeric)
					ELSE (SELECT coalesce(sum(t.points::numeric), 0) FROM loyalty.lots(e.lots) t WHERE t.points::numeric > 0) END,
			   l.span, l.max_times, l.max_points
		FROM limits l
		JOIN loyalty.entry e ON e.program_id = l.program_id
		WHERE l.kind = 'adjust' AND e.kind = 'adjust' AND e.posted_at > now() - interval '90 days'
		  AND e.context ? 'by' AND NOT e.context ? 'entry'
		UNION ALL
		SELECT l.no, g.from_member_id, CASE l.per WHEN 'pair' THEN g.to_member_id END, g.at, 1, g.points,
			   l.span, l.max_times, l.max_points
		FROM limits l
		JOIN loyalty.gifts g ON g.program_id = l.program_id
		WHERE l.kind = 'transfer'
		UNION ALL
		SELECT l.no, u.member_id, NULL, u.recorded_at, 1, CASE WHEN u.seq IS NULL THEN 0 ELSE u.taken END, l.span, l.max_times, l.max_points
		FROM limits l
		JOIN loyalty.voucher_use u ON u.program_id = l.program_id AND u.member_id IS NOT NULL
		WHERE l.kind = 'voucher' AND u.recorded_at > now() - interval '90 days'
	), counted AS (
		-- time in units of the limit's own, so that one frame suits all
		SELECT d.*, sum(d.times) OVER same AS all_times, sum(d.points) OVER same AS all_points
		FROM deeds d
		WINDOW same AS (PARTITION BY d.no, d.member_id, d.other ORDER BY extract(epoch FROM d.at)::float8 / d.span
						RANGE BETWEEN 1 PRECEDING AND CURRENT ROW)
	), passed AS (
		SELECT c.no, c.member_id, c.other, min(c.at) AS since, max(c.all_times) AS times, max(c.all_points) AS points
		FROM counted c
		WHERE c.all_times > c.max_times OR c.all_points > c.max_points
		GROUP BY c.no, c.member_id, c.other
	)
	SELECT l.program, m.ref AS member, 'velocity' AS reason, c.since,
		   jsonb_strip_nulls(jsonb_build_object('limit', l.name, 'kind', l.kind, 'hours', trim_scale(round(l.span::numeric / 3600, 4)),
			'with', o.ref, 'times', c.times, 'max_times', l.max_times,
			'points', trim_scale(c.points), 'max_points', trim_scale(l.max_points))) AS figures
	FROM passed c
	JOIN limits l ON l.no = c.no
	JOIN loyalty.member m ON m.member_id = c.member_id
	LEFT JOIN loyalty.member o ON o.member_id = c.other;
COMMENT ON VIEW loyalty.suspicious_velocity IS 'members who passed a velocity limit';
COMMENT ON COLUMN loyalty.suspicious_velocity.program IS 'name of the program';
COMMENT ON COLUMN loyalty.suspicious_velocity.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.suspicious_velocity.reason IS 'what is suspicious';
COMMENT ON COLUMN loyalty.suspicious_velocity.since IS 'when it began, of what is looked at';
COMMENT ON COLUMN loyalty.suspicious_velocity.figures IS 'what was found';

CREATE VIEW loyalty.suspicious_referrals WITH (security_barrier) AS
	WITH RECURSIVE stands (member_id, person_id, steps) AS (
		SELECT g.member_id, g.into_member_id, 1
		FROM loyalty.member_merge g
		WHERE g.undone_at IS NULL
		UNION
		SELECT s.member_id, g.into_member_id, s.steps + 1
		FROM stands s
		JOIN loyalty.member_merge g ON g.member_id = s.person_id AND g.undone_at IS NULL
		WHERE s.steps < 100
	), person AS (
		SELECT DISTINCT ON (member_id) member_id, person_id
		FROM stands
		ORDER BY member_id, steps DESC
	), referral AS (
		SELECT DISTINCT f.program_id, coalesce(a.person_id, f.member_id) AS member_id, coalesce(b.person_id, f.referred_by) AS referrer_id
		FROM loyalty.profile f
		JOIN loyalty.program p ON p.program_id = f.program_id
		LEFT JOIN person a ON a.member_id = f.member_id
		LEFT JOIN person b ON b.member_id = f.referred_by
		WHERE f.referred_by IS NOT NULL AND loyalty.may_read(p.program_id)
	), way (program_id, member_id, path) AS (
		-- only who was referred, and has referred somebody, can be in a circle
		SELECT r.program_id, r.referrer_id, ARRAY[r.member_id]
		FROM referral r
		WHERE r.member_id <> r.referrer_id AND EXISTS (SELECT FROM referral o WHERE o.referrer_id = r.member_id)
		UNION ALL
		SELECT w.program_id, r.referrer_id, w.path || r.member_id
		FROM way w
		JOIN referral r ON r.member_id = w.member_id
		WHERE w.member_id <> ALL (w.path) AND cardinality(w.path) < 10
	)
	SELECT p.name AS program, m.ref AS member, f.reason, m.enrolled_at AS since, f.figures
	FROM (SELECT r.program_id, r.member_id, 'self-referral' AS reason, '{}'::jsonb AS figures
		  FROM referral r
		  WHERE r.member_id = r.referrer_id
		  UNION ALL
		  SELECT DISTINCT w.program_id, w.member_id, 'circular referral',
				 jsonb_build_object('by', (SELECT jsonb_agg(o.ref ORDER BY t.place)
										   FROM unnest(w.path) WITH ORDINALITY t (member_id, place)
										   JOIN loyalty.member o ON o.member_id = t.member_id WHERE t.place > 1))
		  FROM way w
		  WHERE w.member_id = w.path[1]) f
	JOIN loyalty.program p ON p.program_id = f.program_id
	JOIN loyalty.member m ON m.member_id = f.member_id;
COMMENT ON VIEW loyalty.suspicious_referrals IS 'members who referred themselves, or each other in a circle';
COMMENT ON COLUMN loyalty.suspicious_referrals.program IS 'name of the program';
COMMENT ON COLUMN loyalty.suspicious_referrals.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.suspicious_referrals.reason IS 'what is suspicious';
COMMENT ON COLUMN loyalty.suspicious_referrals.since IS 'when it began, of what is looked at';
COMMENT ON COLUMN loyalty.suspicious_referrals.figures IS 'what was found';

CREATE VIEW loyalty.suspicious_gifts WITH (security_barrier) AS
	SELECT p.name AS program, m.ref AS member, f.reason, f.since, f.figures
	FROM (SELECT a.program_id, a.from_member_id AS member_id, 'circular gifts' AS reason, min(a.at) AS since,
				 jsonb_build_object('through', jsonb_build_array(o.ref), 'points', trim_scale(max(a.points)),
									'back', trim_scale(max(b.points)), 'days', ceil(min(extract(epoch FROM b.at - a.at)) / 86400)) AS figures
		  FROM loyalty.gifts a
		  JOIN loyalty.gifts b ON b.from_member_id = a.to_member_id AND b.to_member_id = a.from_member_id
							  AND b.at >= a.at AND b.at <= a.at + interval '30 days'
		  JOIN loyalty.member o ON o.member_id = a.to_member_id
		  -- of two at one time each would be the first
		  WHERE b.at > a.at OR a.from_member_id < a.to_member_id
		  GROUP BY a.program_id, a.from_member_id, o.ref
		  UNION ALL
		  SELECT a.program_id, a.from_member_id, 'circular gifts', min(a.at),
				 jsonb_build_object('through', jsonb_build_array(o.ref, q.ref), 'points', trim_scale(max(a.points)),
									'back', trim_scale(max(c.points)), 'days', ceil(min(extract(epoch FROM c.at - a.at)) / 86400))
		  FROM loyalty.gifts a
		  JOIN loyalty.gifts b ON b.from_member_id = a.to_member_id AND b.to_member_id <> a.from_member_id AND b.at >= a.at
		  JOIN loyalty.gifts c ON c.from_member_id = b.to_member_id AND c.to_member_id = a.from_member_id
							  AND c.at >= b.at AND c.at <= a.at + interval '30 days'
		  JOIN loyalty.member o ON o.member_id = a.to_member_id
		  JOIN loyalty.member q ON q.member_id = b.to_member_id
		  WHERE c.at > a.at OR (a.from_member_id < b.from_member_id AND a.from_member_id < c.from_member_id)
		  GROUP BY a.program_id, a.from_member_id, o.ref, q.ref
		  UNION ALL
		  SELECT g.program_id, g.to_member_id, 'funnel', min(g.at),
				 jsonb_build_object('members', count(DISTINCT g.from_member_id), 'gifts', count(*), 'points', trim_scale(sum(g.points)))
		  FROM loyalty.gifts g
		  WHERE g.at > now() - interval '30 days'
		  GROUP BY g.program_id, g.to_member_id
		  HAVING count(DISTINCT g.from_member_id) >= 5) f
	JOIN loyalty.program p ON p.program_id = f.program_id
	JOIN loyalty.member m ON m.member_id = f.member_id
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.suspicious_gifts IS 'members whose gifts go in a circle, or who get them from many';
COMMENT ON COLUMN loyalty.suspicious_gifts.program IS 'name of the program';
COMMENT ON COLUMN loyalty.suspicious_gifts.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.suspicious_gifts.reason IS 'what is suspicious';
COMMENT ON COLUMN loyalty.suspicious_gifts.since IS 'when it began, of what is looked at';
COMMENT ON COLUMN loyalty.suspicious_gifts.figures IS 'what was found';

CREATE VIEW loyalty.suspicious_returns WITH (security_barrier) AS
	WITH taken AS (
		SELECT e.program_id, e.member_id, e.source_id, e.source_key, min(e.posted_at) AS at, -sum(e.points::numeric) AS points,
			   max((e.context ->> 'shortfall')::numeric) AS lost
		FROM loyalty.program p
		JOIN loyalty.entry e ON e.program_id = p.program_id
		WHERE loyalty.may_read(p.program_id)
		  AND e.kind = 'clawback' AND e.source_id <> 0 AND e.posted_at > now() - interval '90 days'
		GROUP BY e.program_id, e.member_id, e.source_id, e.source_key
	), returned AS (
		SELECT t.program_id, t.member_id, min(t.at) AS since, sum(t.points) AS points, sum(t.lost) AS lost,
			   count(*) FILTER (WHERE t.points + coalesce(t.lost, 0) >= g.points / 2 AND g.points > 0) AS purchases
		FROM taken t
		CROSS JOIN LATERAL (SELECT sum(e.points::numeric) AS points
							FROM loyalty.entry e
							WHERE e.member_id = t.member_id AND e.source_id = t.source_id AND e.source_key = t.source_key
							  AND e.kind = 'earn') g
		GROUP BY t.program_id, t.member_id
	)
	SELECT p.name AS program, m.ref AS member, f.reason, r.since, f.figures
	FROM returned r
	JOIN loyalty.program p ON p.program_id = r.program_id
	JOIN loyalty.member m ON m.member_id = r.member_id
	CROSS JOIN LATERAL (SELECT count(DISTINCT (e.source_id, e.source_key)) AS purchases
						FROM loyalty.entry e
						WHERE e.member_id = r.member_id AND e.kind = 'earn' AND e.source_id <> 0
						  AND e.posted_at > now() - interval '90 days') b
	CROSS JOIN LATERAL (SELECT coalesce(-sum(t.points::numeric), 0) AS points
						FROM loyalty.lots(m.purse) t
						WHERE t.points::numeric < 0) debt
	CROSS JOIN LATERAL (SELECT 'returns' AS reason,
							   jsonb_build_object('returned', r.purchases, 'purchases', b.purchases, 'points', trim_scale(r.points)) AS figures
						WHERE r.purchases >= 3 AND r.purchases * 3 >= b.purchases
						UNION ALL
						SELECT 'spent before return',
							   jsonb_build_object('debt', trim_scale(debt.points), 'lost', trim_scale(coalesce(r.lost, 0)), 'points', trim_scale(r.points))
						WHERE debt.points > 0 OR (r.lost > 0 AND p.clawback <> 'none')) f;
COMMENT ON VIEW loyalty.suspicious_returns IS 'members who buy, and return what they bought';
COMMENT ON COLUMN loyalty.suspicious_returns.program IS 'name of the program';
COMMENT ON COLUMN loyalty.suspicious_returns.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.suspicious_returns.reason IS 'what is suspicious';
COMMENT ON COLUMN loyalty.suspicious_returns.since IS 'when it began, of what is looked at';
COMMENT ON COLUMN loyalty.suspicious_returns.figures IS 'what was found';

CREATE VIEW loyalty.suspicious_adjustments WITH (security_barrier) AS
	WITH adjusted AS (
		SELECT e.program_id, e.member_id, e.context -> 'by' ->> 'role' AS role, e.posted_at AS at, e.points::numeric AS points,
			   CASE WHEN e.points::numeric <> 0 THEN abs(e.points::numeric)
					ELSE (SELECT coalesce(sum(t.points::numeric), 0) FROM loyalty.lots(e.lots) t WHERE t.points::numeric > 0) END AS moved,
			   date_trunc('day', e.posted_at, p.time_zone) AS day, p.adjust_limit::numeric AS adjust_limit,
			   e.context -> 'by' ? 'proposal' AS approved, e.context ? 'entry' AS cancels
		FROM loyalty.program p
		JOIN loyalty.entry e ON e.program_id = p.program_id
		WHERE loyalty.may_read(p.program_id)
		  AND e.kind = 'adjust' AND e.context ? 'by' AND NOT e.context -> 'by' ? 'own'
		  AND e.posted_at > now() - interval '30 days'
	), days AS (
		SELECT a.*, sum(a.near) OVER (PARTITION BY a.program_id, a.role) AS days_of_role
		FROM (SELECT program_id, role, member_id, count(*) AS near, min(since) AS since, sum(moved) AS points, max(adjust_limit) AS adjust_limit
			  FROM (SELECT program_id, role, member_id, day, min(at) AS since, sum(moved) AS moved, max(adjust_limit) AS adjust_limit
					FROM adjusted
					WHERE NOT approved AND adjust_limit IS NOT NULL
					GROUP BY program_id, role, member_id, day
					HAVING sum(moved) BETWEEN max(adjust_limit) * 0.8 AND max(adjust_limit)) d
			  GROUP BY program_id, role, member_id) a
	), often AS (
		SELECT program_id, role, member_id, count(*) AS times, min(at) AS since, sum(points) AS points,
			   sum(count(*)) OVER (PARTITION BY program_id, role) AS times_of_role
		FROM adjusted
		WHERE points > 0 AND NOT cancels
		GROUP BY program_id, role, member_id
	)
	SELECT p.name AS program, m.ref AS member, f.reason, f.since, f.figures
	FROM (SELECT program_id, member_id, 'just under the limit' AS reason, since,
				 jsonb_build_object('role', role, 'days', near, 'days_of_role', days_of_role, 'points', trim_scale(points),
									'adjust_limit', trim_scale(adjust_limit)) AS figures
		  FROM days
		  WHERE days_of_role >= 3
		  UNION ALL
		  SELECT program_id, member_id, 'adjusted often', since,
				 jsonb_build_object('role', role, 'times', times, 'times_of_role', times_of_role, 'points', trim_scale(points))
		  FROM often
		  WHERE times >= 5 AND times * 10 >= times_of_role
		  UNION ALL
		  SELECT u.program_id, u.member_id, 'vouchers by hand', min(e.posted_at),
				 jsonb_build_object('vouchers', count(DISTINCT u.hash), 'points', trim_scale(sum(u.taken)),
									'adjust_limit', trim_scale(max(p.adjust_limit::numeric)))
		  FROM loyalty.program p
		  JOIN loyalty.voucher_use u ON u.program_id = p.program_id
		  JOIN loyalty.voucher v ON v.hash = u.hash AND v.kind = 'points' AND v.pool IS NULL AND v.redeemer_id IS NULL
		  JOIN loyalty.entry e ON e.member_id = u.member_id AND e.seq = u.seq
		  WHERE loyalty.may_read(p.program_id) AND p.adjust_limit IS NOT NULL AND e.posted_at > now() - interval '90 days'
		  GROUP BY u.program_id, u.member_id, date_trunc('day', e.posted_at, p.time_zone)
		  HAVING sum(u.taken) > max(p.adjust_limit::numeric)) f
	JOIN loyalty.program p ON p.program_id = f.program_id
	JOIN loyalty.member m ON m.member_id = f.member_id;
COMMENT ON VIEW loyalty.suspicious_adjustments IS 'members who are given points by hand in a way that a second person should look at';
COMMENT ON COLUMN loyalty.suspicious_adjustments.program IS 'name of the program';
COMMENT ON COLUMN loyalty.suspicious_adjustments.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.suspicious_adjustments.reason IS 'what is suspicious';
COMMENT ON COLUMN loyalty.suspicious_adjustments.since IS 'when it began, of what is looked at';
COMMENT ON COLUMN loyalty.suspicious_adjustments.figures IS 'what was found';

CREATE VIEW loyalty.suspicious_households WITH (security_barrier) AS
	WITH joined AS (
		SELECT o.household_id, o.program_id, o.member_id, o.joined_at, d.points
		FROM loyalty.program p
		JOIN loyalty.household_member o ON o.program_id = p.program_id
		CROSS JOIN LATERAL (SELECT -sum(e.points::numeric) AS points
							FROM loyalty.entry e
							WHERE e.member_id = o.member_id AND e.source_id = 0 AND e.kind = 'transfer' AND e.points::numeric < 0
							  AND e.source_key ~ '^household[:#]'
							  AND e.posted_at >= o.joined_at AND e.posted_at <= o.joined_at + interval '7 days') d
		WHERE loyalty.may_read(p.program_id) AND o.joined_at > now() - interval '90 days' AND d.points > 0
	), together AS (
		SELECT j.*, count(*) OVER same AS members, sum(points) OVER same AS drawn, min(joined_at) OVER same AS since
		FROM joined j
		WINDOW same AS (PARTITION BY household_id ORDER BY joined_at RANGE BETWEEN '7 days' PRECEDING AND CURRENT ROW)
	)
	SELECT p.name AS program, m.ref AS member, 'pooling' AS reason, min(t.since) AS since,
		   jsonb_build_object('household', h.name, 'members', max(t.members), 'points', trim_scale(max(t.drawn))) AS figures
	FROM together t
	JOIN loyalty.program p ON p.program_id = t.program_id
	JOIN loyalty.household h ON h.household_id = t.household_id
	JOIN loyalty.member m ON m.member_id = h.head_member_id
	WHERE t.members >= 3
	GROUP BY p.name, m.ref, h.name;
COMMENT ON VIEW loyalty.suspicious_households IS 'heads of households that members join to pool points';
COMMENT ON COLUMN loyalty.suspicious_households.program IS 'name of the program';
COMMENT ON COLUMN loyalty.suspicious_households.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.suspicious_households.reason IS 'what is suspicious';
COMMENT ON COLUMN loyalty.suspicious_households.since IS 'when it began, of what is looked at';
COMMENT ON COLUMN loyalty.suspicious_households.figures IS 'what was found';

-- Compiling all of this with LLVM would take longer than to run it.
CREATE FUNCTION loyalty.suspicions(program text) RETURNS TABLE (member text, reason text, since timestamptz, figures jsonb)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT v.member, v.reason, v.since, v.figures FROM loyalty.suspicious_velocity v WHERE v.program = $1
	UNION ALL
	SELECT v.member, v.reason, v.since, v.figures FROM loyalty.suspicious_referrals v WHERE v.program = $1
	UNION ALL
	SELECT v.member, v.reason, v.since, v.figures FROM loyalty.suspicious_gifts v WHERE v.program = $1
	UNION ALL
	SELECT v.member, v.reason, v.since, v.figures FROM loyalty.suspicious_returns v WHERE v.program = $1
	UNION ALL
	SELECT v.member, v.reason, v.since, v.figures FROM loyalty.suspicious_adjustments v WHERE v.program = $1
	UNION ALL
	SELECT v.member, v.reason, v.since, v.figures FROM loyalty.suspicious_households v WHERE v.program = $1
	$$;
COMMENT ON FUNCTION loyalty.suspicions(text) IS 'what the views suspicious_velocity and so on say of a program';

CREATE VIEW loyalty.suspicious WITH (security_barrier) AS
	SELECT p.name AS program, s.member, s.reason, s.since, s.figures
	FROM loyalty.program p
	CROSS JOIN LATERAL loyalty.suspicions(p.name) s
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.suspicious IS 'what looks like gaming or fraud, with reasons and figures; nothing of it is proof';
COMMENT ON COLUMN loyalty.suspicious.program IS 'name of the program';
COMMENT ON COLUMN loyalty.suspicious.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.suspicious.reason IS 'what is suspicious';
COMMENT ON COLUMN loyalty.suspicious.since IS 'when it began, of what is looked at';
COMMENT ON COLUMN loyalty.suspicious.figures IS 'what was found';
