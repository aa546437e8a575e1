--
-- shop_report: members' purchases beside everybody else's, and points by place
--

-- Somebody who was merged is found by his own ref still; the others by theirs,
-- or by one that leads to them.
CREATE VIEW loyalty.member_refs WITH (security_barrier = true) AS
	SELECT r.program_id, r.ref, s.person_id, r.enrolled_at
	FROM (SELECT m.program_id, m.ref, m.member_id, m.enrolled_at
		  FROM loyalty.member m
		  WHERE m.status <> 'forgotten'
		  UNION ALL
		  SELECT a.program_id, a.ref, a.member_id, m.enrolled_at
		  FROM loyalty.member_alias a
		  JOIN loyalty.member m ON m.member_id = a.member_id AND m.status <> 'forgotten'
		  WHERE NOT EXISTS (SELECT FROM loyalty.member o WHERE o.program_id = a.program_id AND o.ref = a.ref)) r
	JOIN loyalty.program p ON p.program_id = r.program_id
	JOIN loyalty.persons s ON s.member_id = r.member_id
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.member_refs IS 'whose customer ids are known, and to which person each leads now; without who was forgotten';
COMMENT ON COLUMN loyalty.member_refs.program_id IS 'the program';
COMMENT ON COLUMN loyalty.member_refs.ref IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.member_refs.person_id IS 'the member who stands for him: see persons';
COMMENT ON COLUMN loyalty.member_refs.enrolled_at IS 'when he joined';

CREATE VIEW loyalty.ledger WITH (security_barrier = true) AS
	SELECT p.name AS program, p.program_id, e.member_id, e.seq, e.kind, e.rule_id, e.source_id, e.source_key, e.revision, e.points,
		   e.occurred_at, e.day, e.amount, e.purchases
	FROM loyalty.movements e
	JOIN loyalty.program p ON p.program_id = e.program_id
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.ledger IS 'every movement of points, with what it changed of purchases: movements, of the programs that one may read';
COMMENT ON COLUMN loyalty.ledger.program IS 'name of the program';
COMMENT ON COLUMN loyalty.ledger.program_id IS 'the program';
COMMENT ON COLUMN loyalty.ledger.member_id IS 'the member in whose ledger it stands: see persons';
COMMENT ON COLUMN loyalty.ledger.seq IS 'number of the entry for its member';
COMMENT ON COLUMN loyalty.ledger.kind IS 'kind of the entry';
COMMENT ON COLUMN loyalty.ledger.rule_id IS 'the rule that gave the points; 0: none';
COMMENT ON COLUMN loyalty.ledger.source_id IS 'where the purchase comes from; 0: an act through a function';
COMMENT ON COLUMN loyalty.ledger.source_key IS 'key of the purchase in its source';
COMMENT ON COLUMN loyalty.ledger.revision IS 'number of the posting of this purchase, from 1';
COMMENT ON COLUMN loyalty.ledger.points IS 'points that it added (negative: took)';
COMMENT ON COLUMN loyalty.ledger.occurred_at IS 'when it happened: of a purchase its time, of a change of it when that was posted';
COMMENT ON COLUMN loyalty.ledger.day IS 'the day of occurred_at in the program''s time zone';
COMMENT ON COLUMN loyalty.ledger.amount IS 'what it added to a purchase''s amount (negative: took away); NULL: no purchase, or not the first entry of its posting';
COMMENT ON COLUMN loyalty.ledger.purchases IS '1: from here on the purchase counts, being above zero; -1: from here on it does not any more; 0: neither';

-- What points paid for, and what of it came back.  A return says for which
-- purchase, whoever cancels says which entry.
CREATE VIEW loyalty.purchase_payments WITH (security_barrier = true) AS
	SELECT p.program_id, e.member_id, e.seq, (e.occurred_at AT TIME ZONE p.time_zone)::date AS day, e.points,
		   coalesce(e.context ->> 'purchase', u.context ->> 'purchase') AS purchase
	FROM loyalty.entry e
	JOIN loyalty.program p ON p.program_id = e.program_id
	LEFT JOIN loyalty.entry u ON e.kind = 'refund' AND e.context ->> 'purchase' IS NULL
		AND u.member_id = e.member_id AND u.source_id = 0 AND u.kind = 'redeem' AND u.seq = (e.context ->> 'entry')::bigint
	WHERE loyalty.may_read(p.program_id) AND e.kind IN ('redeem', 'refund') AND e.source_id = 0;
COMMENT ON VIEW loyalty.purchase_payments IS 'points redeemed, and refunded, with the purchase that they were for';
COMMENT ON COLUMN loyalty.purchase_payments.program_id IS 'the program';
COMMENT ON COLUMN loyalty.purchase_payments.member_id IS 'the member';
COMMENT ON COLUMN loyalty.purchase_payments.seq IS 'number of the entry for its member';
COMMENT ON COLUMN loyalty.purchase_payments.day IS 'when it happened, in the program''s time zone';
COMMENT ON COLUMN loyalty.purchase_payments.points IS 'points that were redeemed, below zero, or came back';
COMMENT ON COLUMN loyalty.purchase_payments.purchase IS 'key of the purchase; NULL: none was named';

-- Unsafe in parallel, as source_purchases is. Whoever was forgotten is known by
-- where his ref computes to live; only for refs that lead to nobody that is
-- worked out.  Purchases are unordered: sorting millions by a text, for a join or
-- to group them, takes longer than all the rest, and they are hashed instead.
CREATE FUNCTION loyalty.purchases_by_membership(period text, since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, member_buyers bigint, member_orders bigint, member_revenue numeric, member_average_order numeric,
				   member_orders_per_buyer numeric, other_buyers bigint, other_orders bigint, other_revenue numeric,
				   other_average_order numeric, other_orders_per_buyer numeric, order_penetration numeric, revenue_penetration numeric)
	LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
	SET enable_mergejoin = off SET enable_sort = off SET work_mem = '256MB'
	AS $$
	SELECT loyalty.report_program($4);
	WITH asked AS MATERIALIZED (
		SELECT p.program_id, p.name, p.time_zone,
			   loyalty.report_period($1) AS period,
			   coalesce($2::timestamp AT TIME ZONE p.time_zone, '-infinity') AS since,
			   coalesce($3::timestamp, date_trunc('day', now() AT TIME ZONE p.time_zone) + interval '1 day') AT TIME ZONE p.time_zone AS until
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($4))
	), sale AS MATERIALIZED (
		SELECT date_trunc(a.period, s.at AT TIME ZONE a.time_zone)::date AS starts, s.amount,
			   coalesce(r.person_id, n.person_id) AS person_id, CASE WHEN r.person_id IS NULL AND f.member_id IS NULL THEN s.member END AS ref,
			   coalesce(s.at >= coalesce(r.enrolled_at, f.enrolled_at), false) AS is_member
		FROM asked a
		CROSS JOIN loyalty.source_purchases(a.name) s
		LEFT JOIN loyalty.member_refs r ON r.program_id = a.program_id AND r.ref = s.member
		LEFT JOIN (loyalty.member f JOIN loyalty.persons n ON n.member_id = f.member_id)
			ON f.program_id = a.program_id AND f.status = 'forgotten' AND f.member_id = CASE WHEN r.person_id IS NULL THEN loyalty.member_id(s.member, a.name) END
		WHERE s.at >= a.since AND s.at < a.until
	), volume AS (
		SELECT s.starts, s.is_member, (s.person_id IS NOT NULL OR s.ref IS NOT NULL) AS is_known,
			   count(*) FILTER (WHERE s.amount > 0) AS orders, sum(s.amount) AS revenue
		FROM sale s
		GROUP BY 1, 2, 3
	), buyer AS (
		-- Told apart by themselves: sums for each of them would take several times the memory.
		SELECT d.starts, count(*) FILTER (WHERE d.is_member) AS members, count(*) FILTER (WHERE NOT d.is_member) AS others
		FROM (SELECT DISTINCT s.starts, s.is_member, s.person_id, s.ref
			  FROM sale s
			  WHERE s.amount > 0 AND (s.person_id IS NOT NULL OR s.ref IS NOT NULL)) d
		GROUP BY d.starts
	), total AS (
		SELECT v.starts, coalesce(b.members, 0) AS member_buyers, coalesce(b.others, 0) AS other_buyers,
			   coalesce(sum(v.orders) FILTER (WHERE v.is_member), 0)::bigint AS member_orders,
			   coalesce(sum(v.revenue) FILTER (WHERE v.is_member), 0) AS member_revenue,
			   coalesce(sum(v.orders) FILTER (WHERE NOT v.is_member), 0)::bigint AS other_orders,
			   coalesce(sum(v.orders) FILTER (WHERE NOT v.is_member AND v.is_known), 0) AS known_orders,
			   coalesce(sum(v.revenue) FILTER (WHERE NOT v.is_member), 0) AS other_revenue
		FROM volume v
		LEFT JOIN buyer b ON b.starts = v.starts
		GROUP BY v.starts, b.members, b.others
	)
	SELECT g.at::date, coalesce(t.member_buyers, 0), coalesce(t.member_orders, 0), round(coalesce(t.member_revenue, 0), 2),
		   round(t.member_revenue / nullif(t.member_orders, 0), 2), round(t.member_orders::numeric / nullif(t.member_buyers, 0), 4),
		   coalesce(t.other_buyers, 0), coalesce(t.other_orders, 0), round(coalesce(t.other_revenue, 0), 2),
		   round(t.other_revenue / nullif(t.other_orders, 0), 2), round(t.known_orders / nullif(t.other_buyers, 0), 4),
		   round(t.member_orders::numeric / nullif(t.member_orders + t.other_orders, 0), 4),
		   round(t.member_revenue / nullif(t.member_revenue + t.other_revenue, 0), 4)
	FROM asked a
	CROSS JOIN (SELECT min(t.starts) AS first, max(t.starts) AS last FROM total t) e
	CROSS JOIN LATERAL generate_series(e.first::timestamp, e.last::timestamp,
									   CASE a.period WHEN 'quarter' THEN '3 months' ELSE '1 ' || a.period END::interval) g (at)
	LEFT JOIN total t ON t.starts = g.at::date
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.purchases_by_membership(text, date, date, text) IS 'members'' purchases beside those of guests and of people before they were members, as the shop''s rows now are, by period: buyers, orders (above zero), revenue (less refunds), revenue and orders per order and buyer, and the members'' part of all; guests without an id are no buyers, and what nobody knows the time of is left out';

-- Keys are hashed, for sorting millions of texts takes longer.
CREATE FUNCTION loyalty.points_by_place(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (store text, channel text, orders bigint, revenue numeric, earned loyalty.points, clawed_back loyalty.points,
				   redeemed loyalty.points, net loyalty.points)
	LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
	SET enable_mergejoin = off SET work_mem = '256MB'
	AS $$
	SELECT loyalty.report_program($3);
	WITH asked AS MATERIALIZED (
		SELECT p.program_id, p.name, coalesce($1, '-infinity') AS since,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date + 1) AS until,
			   coalesce($1::timestamp AT TIME ZONE p.time_zone + interval '2 days', '-infinity') AS surely_since,
			   coalesce($2, (now() AT TIME ZONE p.time_zone)::date)::timestamp AT TIME ZONE p.time_zone - interval '2 days' AS surely_before
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($3))
	), place AS MATERIALIZED (
		SELECT s.source_id, s.key, s.member, s.store, s.channel
		FROM asked a
		CROSS JOIN loyalty.source_purchases(a.name) s
		WHERE s.member IS NOT NULL
	), payment AS MATERIALIZED (
		SELECT y.program_id, y.member_id, y.seq, y.points, y.purchase, s.person_id
		FROM asked a
		JOIN loyalty.purchase_payments y ON y.program_id = a.program_id AND y.day >= a.since AND y.day < a.until
		JOIN loyalty.persons s ON s.member_id = y.member_id
	), paid_place AS MATERIALIZED (
		SELECT l.source_id, l.key, l.member, l.store, l.channel
		FROM place l
		WHERE l.key IN (SELECT y.purchase FROM payment y WHERE y.purchase IS NOT NULL)
	), paid AS (
		-- A key may name purchases of several sources: the oldest of his is meant.
		SELECT DISTINCT ON (y.member_id, y.seq) l.store, l.channel, y.points
		FROM payment y
		LEFT JOIN (paid_place l JOIN loyalty.member_refs r ON r.ref = l.member)
			ON r.program_id = y.program_id AND r.person_id = y.person_id AND l.key = y.purchase
		ORDER BY y.member_id, y.seq, l.source_id
	), moved AS (
		SELECT l.store, l.channel, sum(e.purchases) AS orders, sum(e.amount) AS revenue,
			   loyalty.sum(e.points) FILTER (WHERE e.kind = 'earn') AS earned,
			   loyalty.sum(e.points) FILTER (WHERE e.kind = 'clawback') AS clawed_back, NULL::loyalty.points AS redeemed
		FROM loyalty.ledger e
		LEFT JOIN place l ON l.source_id = e.source_id AND l.key = e.source_key
		WHERE e.program_id = (SELECT a.program_id FROM asked a) AND e.kind IN ('earn', 'clawback')
		  AND (e.occurred_at >= (SELECT a.surely_since FROM asked a) OR e.day >= (SELECT a.since FROM asked a))
		  AND (e.occurred_at < (SELECT a.surely_before FROM asked a) OR e.day < (SELECT a.until FROM asked a))
		GROUP BY l.store, l.channel
		UNION ALL
		SELECT p.store, p.channel, 0, 0, NULL, NULL, loyalty.sum(p.points)
		FROM paid p
		GROUP BY p.store, p.channel
	)
	SELECT m.store, m.channel, sum(m.orders)::bigint, coalesce(sum(m.revenue), 0), coalesce(loyalty.sum(m.earned), 0),
		   coalesce(loyalty.sum(m.clawed_back), 0), coalesce(loyalty.sum(m.redeemed), 0),
		   (coalesce(loyalty.sum(m.earned), 0)::numeric + coalesce(loyalty.sum(m.clawed_back), 0)::numeric
			+ coalesce(loyalty.sum(m.redeemed), 0)::numeric)::loyalty.points
	FROM moved m
	GROUP BY m.store, m.channel
	ORDER BY m.store, m.channel
	$$;
COMMENT ON FUNCTION loyalty.points_by_place(date, date, text) IS 'how points moved by the store and channel of the purchases: members'' orders that came to count, revenue (less returns; not rounded, so that it adds up), points earned on them, taken back, and redeemed for them, and the sum of the three; where store and channel are NULL stands also what belongs to no order, so that the rows add up to all the program''s';

CREATE FUNCTION loyalty.points_by_dimension(dimension text, since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (place text, orders bigint, revenue numeric, earned loyalty.points, clawed_back loyalty.points,
				   redeemed loyalty.points, net loyalty.points)
	LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($4), loyalty.report_choice('dimension', $1, '{store,channel}');
	SELECT CASE $1 WHEN 'store' THEN b.store ELSE b.channel END, sum(b.orders)::bigint, round(sum(b.revenue), 2),
		   loyalty.sum(b.earned), loyalty.sum(b.clawed_back), loyalty.sum(b.redeemed), loyalty.sum(b.net)
	FROM loyalty.points_by_place($2, $3, $4) b
	GROUP BY 1
	ORDER BY 1
	$$;
COMMENT ON FUNCTION loyalty.points_by_dimension(text, date, date, text) IS 'points_by_place by store or by channel (place): what points_by_store and points_by_channel are';

CREATE FUNCTION loyalty.points_by_store(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (store text, orders bigint, revenue numeric, earned loyalty.points, clawed_back loyalty.points,
				   redeemed loyalty.points, net loyalty.points)
	LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$SELECT * FROM loyalty.points_by_dimension('store', $1, $2, $3)$$;
COMMENT ON FUNCTION loyalty.points_by_store(date, date, text) IS 'points_by_place by store';

CREATE FUNCTION loyalty.points_by_channel(since date DEFAULT NULL, until date DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (channel text, orders bigint, revenue numeric, earned loyalty.points, clawed_back loyalty.points,
				   redeemed loyalty.points, net loyalty.points)
	LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$SELECT * FROM loyalty.points_by_dimension('channel', $1, $2, $3)$$;
COMMENT ON FUNCTION loyalty.points_by_channel(date, date, text) IS 'points_by_place by channel';
