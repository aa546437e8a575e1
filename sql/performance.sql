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
	SELECT loyalty.report_program($3);
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
			   -- what waits for stock cannot be confirmed yet
			   count(*) FILTER (WHERE d.status = 'requested' AND d.backordered = 0) AS requested, count(*) FILTER (WHERE d.status = 'confirmed') AS confirmed,
			   sum(d.backordered) AS backordered
		FROM asked a
		JOIN loyalty.redemption d ON d.program_id = a.program_id AND d.requested_at >= a.since_at AND d.requested_at < a.until_at
		JOIN loyalty.persons s ON s.member_id = d.member_id
		GROUP BY d.reward_id
	)
	SELECT r.name, r.kind, coalesce(d.redemptions, 0), coalesce(d.units, 0), coalesce(d.returned, 0), coalesce(d.members, 0),
		   coalesce(d.points, 0), round(d.points::numeric / nullif(d.units, 0), 4), round(coalesce(d.price, 0), 2),
		   CASE WHEN d.redemptions IS NULL THEN 0.00
				WHEN r.value IS NOT NULL THEN round(r.value * (d.units - d.returned), 2)
				ELSE round(d.kept * a.point_value, 2) END,
		   round(coalesce(d.points::numeric, 0) / nullif(t.points, 0), 4), d.first, d.last, coalesce(d.requested, 0), coalesce(d.confirmed, 0),
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
COMMENT ON FUNCTION loyalty.reward_performance(date, date, text) IS 'each reward of a program with what was redeemed for it: redemptions, units, those that went back since, members, points taken and for one unit, money asked beside them (less what went back), value given (the reward''s value a unit, else the points at point_value; less what went back), the part of all points redeemed, first and last time, and what waits now: redemptions for confirmation and for fulfillment, units for stock';

-- A member without changes has the tier that is everybody's.
CREATE VIEW loyalty.tier_steps WITH (security_barrier = true) AS
	SELECT p.program_id, c.member_id, c.ats, c.tiers
	FROM (SELECT h.program_id, h.member_id, array_agg(h.at ORDER BY h.at, h.change_no) AS ats,
				 (array_agg(h.from_tier ORDER BY h.at, h.change_no))[1:1] || array_agg(h.to_tier ORDER BY h.at, h.change_no) AS tiers
		  FROM loyalty.tier_change h
		  GROUP BY h.program_id, h.member_id) c
	JOIN loyalty.program p ON p.program_id = c.program_id
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.tier_steps IS 'when the tier of each member changed, and what it was before, between and after';
COMMENT ON COLUMN loyalty.tier_steps.program_id IS 'the program';
COMMENT ON COLUMN loyalty.tier_steps.member_id IS 'the member';
COMMENT ON COLUMN loyalty.tier_steps.ats IS 'when it changed, in the order of time';
COMMENT ON COLUMN loyalty.tier_steps.tiers IS 'the tier before the first change, and after each; NULL: none but that which is everybody''s';

CREATE VIEW loyalty.activity_by_tier WITH (security_barrier = true) AS
	SELECT q.name AS program, d.program_id, d.day, d.tier, d.purchases, d.amount, d.earned, d.redeemed
	FROM (SELECT e.program_id, e.day, t.tiers[width_bucket(e.occurred_at, t.ats) + 1] AS tier,
				 coalesce(sum(e.purchases), 0) AS purchases, coalesce(sum(e.amount), 0) AS amount,
				 coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind IN ('earn', 'clawback')), 0) AS earned,
				 coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind IN ('redeem', 'refund')), 0) AS redeemed
		  FROM loyalty.movements e
		  LEFT JOIN loyalty.tier_steps t ON t.program_id = e.program_id AND t.member_id = e.member_id
		  WHERE e.kind IN ('earn', 'clawback', 'redeem', 'refund')
		  GROUP BY 1, 2, 3) d
	JOIN loyalty.program q ON q.program_id = d.program_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.activity_by_tier IS 'what members did, by the tier that each had at the time, added up by day';
COMMENT ON COLUMN loyalty.activity_by_tier.program IS 'name of the program';
COMMENT ON COLUMN loyalty.activity_by_tier.program_id IS 'the program';
COMMENT ON COLUMN loyalty.activity_by_tier.day IS 'when it happened, in the program''s time zone';
COMMENT ON COLUMN loyalty.activity_by_tier.tier IS 'the tier; NULL: none but that which is everybody''s';
COMMENT ON COLUMN loyalty.activity_by_tier.purchases IS 'purchases that came to count, less those that ceased to';
COMMENT ON COLUMN loyalty.activity_by_tier.amount IS 'what was bought, less what was returned';
COMMENT ON COLUMN loyalty.activity_by_tier.earned IS 'points earned, less what returns took back';
COMMENT ON COLUMN loyalty.activity_by_tier.redeemed IS 'points redeemed, below zero, less what came back';

CREATE VIEW loyalty.tier_stays WITH (security_barrier = true) AS
	SELECT p.program_id, s.person_id, t.tier, t.since, t.until
	FROM loyalty.program p
	JOIN loyalty.member m ON m.program_id = p.program_id
	JOIN loyalty.persons s ON s.member_id = m.member_id
	LEFT JOIN loyalty.tier_steps c ON c.program_id = p.program_id AND c.member_id = m.member_id
	CROSS JOIN LATERAL (
		SELECT b.tier, CASE WHEN b.n = 1 THEN m.enrolled_at ELSE greatest(c.ats[b.n - 1], m.enrolled_at) END AS since,
			   coalesce(c.ats[b.n], 'infinity') AS until
		FROM unnest(coalesce(c.tiers, '{NULL}')) WITH ORDINALITY b (tier, n)) t
	WHERE loyalty.may_read(p.program_id) AND t.since < t.until;
COMMENT ON VIEW loyalty.tier_stays IS 'which tier each member had from when to when';
COMMENT ON COLUMN loyalty.tier_stays.program_id IS 'the program';
COMMENT ON COLUMN loyalty.tier_stays.person_id IS 'the member who stands for him: see persons';
COMMENT ON COLUMN loyalty.tier_stays.tier IS 'the tier; NULL: none but that which is everybody''s';
COMMENT ON COLUMN loyalty.tier_stays.since IS 'since when he had it';
COMMENT ON COLUMN loyalty.tier_stays.until IS 'until when; infinity: he has it still';

-- A merge join would sort the ledger for the few whose tier changed.
CREATE FUNCTION loyalty.tier_performance(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (tier text, rank integer, members bigint, purchases bigint, revenue numeric, average_order numeric,
				   earned loyalty.points, redeemed loyalty.points, revenue_per_member numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	SET enable_mergejoin = off SET enable_sort = off
	AS $$
	SELECT loyalty.report_program($3);
	WITH asked AS MATERIALIZED (
		SELECT p.program_id, p.name, loyalty.base_tier(p.program_id) AS base_tier,
			   coalesce($1, '-infinity') AS since, coalesce($1::timestamp AT TIME ZONE p.time_zone, '-infinity') AS since_at,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1) AS until,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1)::timestamp AT TIME ZONE p.time_zone AS until_at,
			   coalesce($1::timestamp AT TIME ZONE p.time_zone + interval '2 days', '-infinity') AS surely_since,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date)::timestamp AT TIME ZONE p.time_zone - interval '2 days' AS surely_before
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	), moved AS (
		-- As activity_by_tier, without its days, which need not be worked out for most.
		SELECT coalesce(d.tier, (SELECT a.base_tier FROM asked a)) AS tier, sum(d.purchases)::bigint AS purchases, sum(d.revenue) AS revenue,
			   loyalty.sum(d.points) FILTER (WHERE d.kind IN ('earn', 'clawback')) AS earned,
			   loyalty.sum(d.points) FILTER (WHERE d.kind IN ('redeem', 'refund')) AS redeemed
		FROM (SELECT t.tiers[width_bucket(e.occurred_at, t.ats) + 1] AS tier, e.kind, sum(e.purchases) AS purchases,
					 coalesce(sum(e.amount), 0) AS revenue, loyalty.sum(e.points) AS points
			  FROM loyalty.ledger e
			  LEFT JOIN loyalty.tier_steps t ON t.program_id = e.program_id AND t.member_id = e.member_id
			  WHERE e.program_id = (SELECT a.program_id FROM asked a) AND e.kind IN ('earn', 'clawback', 'redeem', 'refund')
				AND (e.occurred_at >= (SELECT a.surely_since FROM asked a) OR e.day >= (SELECT a.since FROM asked a))
				AND (e.occurred_at < (SELECT a.surely_before FROM asked a) OR e.day < (SELECT a.until FROM asked a))
			  GROUP BY 1, 2) d
		GROUP BY 1
	), held AS (
		SELECT coalesce(s.tier, (SELECT a.base_tier FROM asked a)) AS tier, count(DISTINCT s.person_id) AS members
		FROM loyalty.tier_stays s
		WHERE s.program_id = (SELECT a.program_id FROM asked a)
		  AND s.until > (SELECT a.since_at FROM asked a) AND s.since < (SELECT a.until_at FROM asked a)
		GROUP BY 1
	), named AS (
		SELECT t.name FROM loyalty.tier t WHERE t.program = (SELECT a.name FROM asked a)
		UNION
		SELECT h.tier FROM held h
		UNION
		SELECT m.tier FROM moved m
	)
	SELECT n.name, t.rank, coalesce(h.members, 0), coalesce(m.purchases, 0), round(coalesce(m.revenue, 0), 2),
		   round(m.revenue / nullif(m.purchases, 0), 2), coalesce(m.earned, 0), coalesce(m.redeemed, 0),
		   round(m.revenue / nullif(h.members, 0), 2)
	FROM named n
	LEFT JOIN loyalty.tier t ON t.program = (SELECT a.name FROM asked a) AND t.name = n.name
	LEFT JOIN held h ON h.tier IS NOT DISTINCT FROM n.name
	LEFT JOIN moved m ON m.tier IS NOT DISTINCT FROM n.name
	ORDER BY t.rank NULLS FIRST, 1
	$$;
COMMENT ON FUNCTION loyalty.tier_performance(date, date, text) IS 'each tier with the members who had it, if only for a while, and what they bought, earned (less what returns took back) and redeemed (less what came back) while they had it: purchases, revenue, and what that comes to for a purchase and a member; rank NULL: no tier, or one that is gone';

-- Purchases are told apart by which rules gave on them, as a string with a bit a
-- rule, and by the stretch of time between the bounds of rules in which they
-- took place: of these there are few, and in each every rule was active or none
-- of the time.
CREATE FUNCTION loyalty.rule_performance(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (rule text, event text, earned loyalty.points, clawed_back loyalty.points, points loyalty.points, cost numeric,
				   purchases bigint, members bigint, revenue numeric, revenue_per_cost numeric, average_order numeric,
				   purchases_without bigint, average_order_without numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	SET enable_sort = off SET work_mem = '256MB'
	AS $$
	SELECT loyalty.report_program($3);
	WITH asked AS MATERIALIZED (
		SELECT p.program_id, p.name, p.point_value,
			   coalesce($1, '-infinity') AS since, coalesce($1::timestamp AT TIME ZONE p.time_zone, '-infinity') AS since_at,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1) AS until,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date)::timestamp AT TIME ZONE p.time_zone - interval '2 days' AS surely_before
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
	), first AS (
		-- The entry that carries what a purchase came to at first; most have no other.
		-- IS NOT DISTINCT FROM: an equality would be looked for in all of the index.
		SELECT e.member_id, e.source_id, e.source_key, e.occurred_at AS at, e.amount, e.purchases,
			   CASE WHEN e.points OPERATOR(loyalty.<>) 0 THEN e.rule_id END AS rule_id
		FROM loyalty.ledger e
		WHERE e.program_id = (SELECT a.program_id FROM asked a) AND e.revision IS NOT DISTINCT FROM 1 AND e.amount IS NOT NULL
		  AND e.occurred_at >= (SELECT a.since_at FROM asked a)
		  AND (e.occurred_at < (SELECT a.surely_before FROM asked a) OR e.day < (SELECT a.until FROM asked a))
	), rest AS (
		SELECT e.member_id, e.source_id, e.source_key, min(e.occurred_at) FILTER (WHERE e.revision = 1) AS at, sum(e.amount) AS amount,
			   sum(e.purchases) AS purchases, bit_or(k.bits) FILTER (WHERE e.points OPERATOR(loyalty.<>) 0) AS bits
		FROM loyalty.ledger e
		LEFT JOIN mask k ON k.rule_id = e.rule_id
		WHERE e.program_id = (SELECT a.program_id FROM asked a) AND e.kind IN ('earn', 'clawback')
		  AND (e.revision > 1 OR (e.amount IS NULL AND e.occurred_at >= (SELECT a.since_at FROM asked a)
								  AND e.day < (SELECT a.until FROM asked a)))
		GROUP BY e.member_id, e.source_id, e.source_key
	), purchase AS MATERIALIZED (
		-- The rest of one from before is left out; of an event without an amount there is only a rest.
		-- Rules are a number, or text: strings of bits cannot be hashed.
		SELECT coalesce(f.member_id, r.member_id) AS member_id, f.rule_id, r.bits::text AS rest,
			   width_bucket(coalesce(f.at, r.at), b.instants) AS stretch,
			   CASE WHEN r.member_id IS NULL THEN f.amount ELSE coalesce(f.amount, 0) + coalesce(r.amount, 0) END AS amount,
			   coalesce(f.purchases, 0) + coalesce(r.purchases::integer, 0) AS purchases
		FROM first f
		FULL JOIN rest r ON r.member_id = f.member_id AND r.source_id = f.source_id AND r.source_key = f.source_key
		CROSS JOIN bound b
		WHERE f.member_id IS NOT NULL OR r.at IS NOT NULL
	), kind AS MATERIALIZED (
		SELECT g.rule_id, g.rest, g.stretch, g.purchases, g.amount,
			   CASE WHEN g.rest IS NULL THEN k.bits WHEN k.bits IS NULL THEN g.rest::varbit ELSE k.bits | g.rest::varbit END AS bits
		FROM (SELECT p.rule_id, p.rest, p.stretch, sum(p.purchases) AS purchases, sum(p.amount) AS amount
			  FROM purchase p
			  GROUP BY 1, 2, 3) g
		LEFT JOIN mask k ON k.rule_id = g.rule_id
	), brought AS (
		SELECT l.lineage, sum(k.purchases) FILTER (WHERE k.given) AS purchases, sum(k.amount) FILTER (WHERE k.given) AS revenue,
			   sum(k.purchases) FILTER (WHERE NOT k.given AND k.active) AS purchases_without,
			   sum(k.amount) FILTER (WHERE NOT k.given AND k.active) AS revenue_without
		FROM lineage l
		CROSS JOIN LATERAL (
			SELECT s.purchases, s.amount, coalesce(get_bit(s.bits, l.bit) = 1, false) AS given,
				   l.event = 'purchase' AND l.active @> CASE s.stretch WHEN 0 THEN '-infinity' ELSE b.instants[s.stretch] END AS active
			FROM kind s
			CROSS JOIN bound b) k
		GROUP BY l.lineage
	), reached AS (
		SELECT l.lineage, count(DISTINCT s.person_id) AS members
		FROM (SELECT DISTINCT p.member_id, p.rule_id, p.rest FROM purchase p WHERE p.rule_id IS NOT NULL OR p.rest IS NOT NULL) p
		JOIN (SELECT DISTINCT k.rule_id, k.rest, k.bits FROM kind k) k
			ON coalesce(k.rule_id, 0) = coalesce(p.rule_id, 0) AND coalesce(k.rest, '') = coalesce(p.rest, '')
		JOIN lineage l ON get_bit(k.bits, l.bit) = 1
		JOIN loyalty.persons s ON s.member_id = p.member_id
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
COMMENT ON FUNCTION loyalty.rule_performance(date, date, text) IS 'each rule of a program, with its revisions, by its name now: points that it gave, that were taken back, the sum and its cost at point_value; the purchases that took place then on which it gave points, their members and revenue, as they stand now, revenue for one unit of cost, average order; and number and average of the purchases without it at times when it was active';
