--
-- performance: what each reward, rule and tier brought
--

CREATE FUNCTION loyalty.reward_performance(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (reward text, kind text, redemptions bigint, units bigint, returned bigint, members bigint, points loyalty.points,
				   average_points numeric, price_revenue numeric, value_given numeric, share numeric,
				   first_redeemed timestamptz, last_redeemed timestamptz, awaiting_confirmation bigint,
				   awaiting_fulfillment bigint, backordered bigint)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	WITH asked AS MATERIALIZED (
		SELECT p.program_id, p.name, p.point_value,
			   coalesce($1, '-infinity') AS since, coalesce($1::timestamp AT TIME ZONE p.time_zone, '-infinity') AS since_at,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1) AS until,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1)::timestamp AT TIME ZONE p.time_zone AS until_at
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	), redeemed AS (
		SELECT d.reward_id, count(*) AS redemptions, sum(d.quantity) AS units, sum(d.returned) AS returned,
			   count(DISTINCT s.person_id) AS members, loyalty.sum(d.points) AS points,
			   sum(d.points::numeric * (d.quantity - d.returned) / d.quantity) AS kept,
			   sum(d.price * (d.quantity - d.returned) / d.quantity) AS price,
			   min(d.requested_at) AS first, max(d.requested_at) AS last,
			   count(*) FILTER (WHERE d.status = 'requested') AS requested, count(*) FILTER (WHERE d.status = 'confirmed') AS confirmed,
			   sum(d.backordered) AS backordered
		FROM asked a
		JOIN loyalty.redemption d ON d.program_id = a.program_id AND d.requested_at >= a.since_at AND d.requested_at < a.until_at
		JOIN loyalty.persons s ON s.member_id = d.member_id
		GROUP BY d.reward_id
	)
	SELECT r.name, r.kind, coalesce(d.redemptions, 0), coalesce(d.units, 0), coalesce(d.returned, 0), coalesce(d.members, 0),
		   coalesce(d.points, 0), round(d.points::numeric / nullif(d.units, 0), 4), round(coalesce(d.price, 0), 2),
		   CASE WHEN d.redemptions IS NULL THEN 0
				WHEN r.value IS NOT NULL THEN round(r.value * (d.units - d.returned), 2)
				ELSE round(d.kept * a.point_value, 2) END,
		   round(d.points::numeric / nullif(t.points, 0), 4), d.first, d.last, coalesce(d.requested, 0), coalesce(d.confirmed, 0),
		   coalesce(d.backordered, 0)
	FROM asked a
	JOIN loyalty.reward r ON r.program = a.name
	LEFT JOIN redeemed d ON d.reward_id = r.reward_id
	CROSS JOIN (SELECT -loyalty.sum(b.points)::numeric AS points
				FROM asked a
				JOIN loyalty.points_by_day b ON b.program_id = a.program_id AND b.day >= a.since AND b.day < a.until
				WHERE b.kind = 'redeem') t
	ORDER BY 7 DESC, 1
	$$;
COMMENT ON FUNCTION loyalty.reward_performance(date, date, text) IS 'each reward of a program with what was redeemed for it: redemptions, units, those that went back since, members, points taken and for one unit, money asked beside them (less what went back), value given (the reward''s value a unit, else the points at point_value; less what went back), the part of all points redeemed, first and last time, and what waits for confirmation, fulfillment or stock now';

-- Who has no changes has the tier that is everybody's.
CREATE VIEW loyalty.tier_periods WITH (security_barrier = true) AS
	SELECT p.program_id, c.member_id, c.tier, c.since, c.until
	FROM (SELECT h.program_id, h.member_id, h.to_tier AS tier, h.at AS since,
				 coalesce(lead(h.at) OVER (PARTITION BY h.member_id ORDER BY h.at, h.change_no), 'infinity') AS until
		  FROM (SELECT t.program_id, t.member_id, t.to_tier, t.at, t.change_no
				FROM loyalty.tier_change t
				UNION ALL
				SELECT t.program_id, t.member_id, t.from_tier, '-infinity', 0
				FROM loyalty.tier_change t
				WHERE t.change_no = 1) h) c
	JOIN loyalty.program p ON p.program_id = c.program_id
	WHERE c.since < c.until AND loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.tier_periods IS 'which tier members had from when to when; without members whose tier never changed';
COMMENT ON COLUMN loyalty.tier_periods.program_id IS 'the program';
COMMENT ON COLUMN loyalty.tier_periods.member_id IS 'the member';
COMMENT ON COLUMN loyalty.tier_periods.tier IS 'the tier; NULL: none but that which is everybody''s';
COMMENT ON COLUMN loyalty.tier_periods.since IS 'since when he had it; -infinity: from the beginning';
COMMENT ON COLUMN loyalty.tier_periods.until IS 'until when; infinity: he has it still';

CREATE FUNCTION loyalty.tier_performance(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (tier text, rank integer, members bigint, purchases bigint, revenue numeric, average_order numeric,
				   earned loyalty.points, redeemed loyalty.points, revenue_per_member numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	WITH asked AS MATERIALIZED (
		SELECT p.program_id, p.name, loyalty.base_tier(p.program_id) AS base_tier,
			   coalesce($1, '-infinity') AS since, coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1) AS until
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	), moved AS (
		SELECT e.member_id, t.tier, sum(e.purchases) AS purchases, sum(e.amount) AS revenue,
			   loyalty.sum(e.points) FILTER (WHERE e.kind IN ('earn', 'clawback')) AS earned,
			   loyalty.sum(e.points) FILTER (WHERE e.kind IN ('redeem', 'refund')) AS redeemed
		FROM asked a
		JOIN loyalty.ledger e ON e.program_id = a.program_id AND e.day >= a.since AND e.day < a.until
		LEFT JOIN loyalty.tier_periods t ON t.program_id = a.program_id AND t.member_id = e.member_id
			AND e.occurred_at >= t.since AND e.occurred_at < t.until
		WHERE e.kind IN ('earn', 'clawback', 'redeem', 'refund')
		GROUP BY e.member_id, t.tier
	), held AS (
		SELECT coalesce(m.tier, a.base_tier) AS tier, count(DISTINCT s.person_id) AS members, sum(m.purchases)::bigint AS purchases,
			   coalesce(sum(m.revenue), 0) AS revenue, coalesce(loyalty.sum(m.earned), 0) AS earned,
			   coalesce(loyalty.sum(m.redeemed), 0) AS redeemed
		FROM asked a
		CROSS JOIN moved m
		JOIN loyalty.persons s ON s.member_id = m.member_id
		GROUP BY 1
	)
	SELECT coalesce(t.name, h.tier), t.rank, coalesce(h.members, 0), coalesce(h.purchases, 0), round(coalesce(h.revenue, 0), 2),
		   round(h.revenue / nullif(h.purchases, 0), 2), coalesce(h.earned, 0), coalesce(h.redeemed, 0),
		   round(h.revenue / nullif(h.members, 0), 2)
	FROM (SELECT t.name, t.rank FROM asked a JOIN loyalty.tier t ON t.program = a.name) t
	FULL JOIN held h ON h.tier = t.name
	ORDER BY t.rank NULLS FIRST, 1
	$$;
COMMENT ON FUNCTION loyalty.tier_performance(date, date, text) IS 'what members bought, earned (less what returns took back) and redeemed (less what came back) while they had each tier: members who did any of it, purchases, revenue, and what it comes to for a purchase and a member; rank NULL: no tier, or one that is gone';

-- Purchases are told apart by which rules gave on them, as a string with a bit a
-- rule, and by the stretch of time between the bounds of rules in which they
-- took place: of these there are few, and in each every rule was active or none
-- of the time.
CREATE FUNCTION loyalty.rule_performance(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (rule text, event text, earned loyalty.points, clawed_back loyalty.points, points loyalty.points, cost numeric,
				   purchases bigint, members bigint, revenue numeric, revenue_per_cost numeric, average_order numeric,
				   purchases_without bigint, average_order_without numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	WITH asked AS MATERIALIZED (
		SELECT p.program_id, p.name, p.point_value,
			   coalesce($1, '-infinity') AS since, coalesce($1::timestamp AT TIME ZONE p.time_zone, '-infinity') AS since_at,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1) AS until,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1)::timestamp AT TIME ZONE p.time_zone AS until_at
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	), version AS MATERIALIZED (
		SELECT r.rule_id, r.name, r.event, r.active, coalesce(r.lineage, r.rule_id) AS lineage,
			   dense_rank() OVER (ORDER BY coalesce(r.lineage, r.rule_id)) - 1 AS bit
		FROM asked a
		JOIN loyalty.rule r ON r.program = a.name
	), lineage AS MATERIALIZED (
		SELECT v.lineage, v.bit::integer AS bit, (array_agg(v.name ORDER BY v.rule_id DESC))[1] AS name,
			   (array_agg(v.event ORDER BY v.rule_id DESC))[1] AS event, range_agg(v.active) AS active
		FROM version v
		GROUP BY v.lineage, v.bit
	), bound AS MATERIALIZED (
		-- The first instants of the stretches; no time is finer than a microsecond.
		SELECT coalesce(array_agg(DISTINCT b.at ORDER BY b.at), '{}') AS instants
		FROM version v
		CROSS JOIN LATERAL (VALUES (CASE WHEN lower_inc(v.active) THEN lower(v.active) ELSE lower(v.active) + interval '1 microsecond' END),
								   (CASE WHEN upper_inc(v.active) THEN upper(v.active) + interval '1 microsecond' ELSE upper(v.active) END)) b (at)
		WHERE isfinite(b.at)
	), mask AS MATERIALIZED (
		SELECT v.rule_id, set_bit(n.nothing, v.bit::integer, 1) AS bits
		FROM version v
		CROSS JOIN (SELECT repeat('0', count(*)::integer)::varbit AS nothing FROM lineage) n
	), purchase AS (
		SELECT e.member_id, min(e.occurred_at) FILTER (WHERE e.revision = 1) AS at, sum(e.amount) AS amount, sum(e.purchases) AS purchases,
			   bit_or(k.bits) FILTER (WHERE e.points OPERATOR(loyalty.<>) 0) AS bits
		FROM asked a
		JOIN loyalty.ledger e ON e.program_id = a.program_id
		LEFT JOIN mask k ON k.rule_id = e.rule_id
		WHERE e.kind IN ('earn', 'clawback') AND (e.revision > 1 OR (e.occurred_at >= a.since_at AND e.occurred_at < a.until_at))
		GROUP BY e.member_id, e.source_id, e.source_key
		HAVING min(e.revision) = 1
	), kind AS MATERIALIZED (
		SELECT p.member_id, p.bits, width_bucket(p.at, b.instants) AS stretch, sum(p.purchases) AS purchases, sum(p.amount) AS amount
		FROM purchase p
		CROSS JOIN bound b
		GROUP BY 1, 2, 3
	), brought AS (
		SELECT l.lineage, sum(k.purchases) FILTER (WHERE k.given) AS purchases, sum(k.amount) FILTER (WHERE k.given) AS revenue,
			   sum(k.purchases) FILTER (WHERE NOT k.given AND k.active) AS purchases_without,
			   sum(k.amount) FILTER (WHERE NOT k.given AND k.active) AS revenue_without
		FROM lineage l
		CROSS JOIN LATERAL (
			SELECT s.purchases, s.amount, coalesce(get_bit(s.bits, l.bit) = 1, false) AS given,
				   l.event = 'purchase' AND l.active @> CASE s.stretch WHEN 0 THEN '-infinity' ELSE b.instants[s.stretch] END AS active
			FROM (SELECT k.bits, k.stretch, sum(k.purchases) AS purchases, sum(k.amount) AS amount FROM kind k GROUP BY 1, 2) s
			CROSS JOIN bound b) k
		GROUP BY l.lineage
	), reached AS (
		SELECT l.lineage, count(DISTINCT s.person_id) AS members
		FROM (SELECT DISTINCT k.member_id, k.bits FROM kind k WHERE k.bits IS NOT NULL) k
		JOIN lineage l ON get_bit(k.bits, l.bit) = 1
		JOIN loyalty.persons s ON s.member_id = k.member_id
		GROUP BY l.lineage
	), given AS (
		SELECT v.lineage, coalesce(loyalty.sum(d.points) FILTER (WHERE d.kind = 'earn'), 0) AS earned,
			   coalesce(loyalty.sum(d.points) FILTER (WHERE d.kind = 'clawback'), 0) AS clawed_back, loyalty.sum(d.points) AS points
		FROM asked a
		JOIN loyalty.points_by_day d ON d.program_id = a.program_id AND d.day >= a.since AND d.day < a.until
		JOIN version v ON v.rule_id = d.rule_id
		WHERE d.kind IN ('earn', 'clawback')
		GROUP BY v.lineage
	)
	SELECT l.name, l.event, coalesce(g.earned, 0), coalesce(g.clawed_back, 0), coalesce(g.points, 0),
		   round(coalesce(g.points::numeric, 0) * a.point_value, 2), coalesce(b.purchases, 0)::bigint, coalesce(r.members, 0),
		   round(coalesce(b.revenue, 0), 2), round(b.revenue / nullif(g.points::numeric * a.point_value, 0), 4),
		   round(b.revenue / nullif(b.purchases, 0), 2), coalesce(b.purchases_without, 0)::bigint,
		   round(b.revenue_without / nullif(b.purchases_without, 0), 2)
	FROM asked a
	CROSS JOIN lineage l
	LEFT JOIN brought b ON b.lineage = l.lineage
	LEFT JOIN reached r ON r.lineage = l.lineage
	LEFT JOIN given g ON g.lineage = l.lineage
	ORDER BY 5 DESC, 1
	$$;
