--
-- tier_report: how many members stand where, and how they moved
--

CREATE FUNCTION loyalty.base_tier(program_id integer) RETURNS text
	AS 'MODULE_PATHNAME', 'loyalty_base_tier' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.base_tier(integer) IS 'the highest tier of a program for which nothing is asked: who has no other has it; NULL: there is none';

CREATE VIEW loyalty.tier_distribution WITH (security_barrier = true) AS
	WITH program AS (
		SELECT p.program_id, p.name AS program,
			   (pg_catalog.now() AT TIME ZONE p.time_zone)::pg_catalog.date AS today,
			   loyalty.base_tier(p.program_id) AS base_tier
		FROM loyalty.program p
		WHERE loyalty.may_read(p.program_id)
	), held AS (
		SELECT b.program, coalesce(m.tier, b.base_tier) AS tier,
			   pg_catalog.sum(m.members) AS members, pg_catalog.sum(m.by_hand) AS by_hand, pg_catalog.sum(m.due) AS due
		FROM (SELECT m.program_id, m.tier, pg_catalog.count(*) AS members,
					 pg_catalog.count(m.tier_floor) FILTER (WHERE m.tier_own IS NULL OR m.tier_own OPERATOR(pg_catalog.<>) m.tier) AS by_hand,
					 pg_catalog.count(*) FILTER (WHERE m.next_expiry OPERATOR(pg_catalog.<) b.today) AS due
			  FROM loyalty.member m
			  JOIN program b ON b.program_id OPERATOR(pg_catalog.=) m.program_id
			  GROUP BY m.program_id, m.tier) m
		JOIN program b ON b.program_id OPERATOR(pg_catalog.=) m.program_id
		GROUP BY 1, 2
	)
	SELECT coalesce(t.program, h.program) AS program, coalesce(t.name, h.tier) AS tier, t.rank,
		   coalesce(h.members, 0)::pg_catalog.int8 AS members,
		   pg_catalog.round(coalesce(h.members, 0) OPERATOR(pg_catalog./)
							nullif(pg_catalog.sum(h.members) OVER (PARTITION BY coalesce(t.program, h.program)), 0), 4) AS share,
		   coalesce(h.by_hand, 0)::pg_catalog.int8 AS by_hand,
		   coalesce(h.due, 0)::pg_catalog.int8 AS due
	FROM loyalty.tier t
	FULL JOIN held h ON h.program OPERATOR(pg_catalog.=) t.program AND h.tier OPERATOR(pg_catalog.=) t.name
	WHERE (t.program IS NULL OR loyalty.may_read(t.program))
	  AND (t.name IS NOT NULL
		   OR EXISTS (SELECT FROM loyalty.tier o WHERE o.program OPERATOR(pg_catalog.=) h.program)
		   OR h.tier IS NOT NULL)
	ORDER BY 1, t.rank NULLS FIRST, 2;
COMMENT ON VIEW loyalty.tier_distribution IS 'members by tier now, of programs that have tiers';
COMMENT ON COLUMN loyalty.tier_distribution.program IS 'name of the program';
COMMENT ON COLUMN loyalty.tier_distribution.tier IS 'the tier; NULL: members without any';
COMMENT ON COLUMN loyalty.tier_distribution.rank IS 'its rank; NULL: none, or the tier is gone and its members are still to be reviewed';
COMMENT ON COLUMN loyalty.tier_distribution.members IS 'members who have it, whatever their status';
COMMENT ON COLUMN loyalty.tier_distribution.share IS 'their part of all members of the program, 0 to 1; NULL: there are none';
COMMENT ON COLUMN loyalty.tier_distribution.by_hand IS 'how many of them have it by a floor only, which was given by hand';
COMMENT ON COLUMN loyalty.tier_distribution.due IS 'for how many of them a tier, or points, may have come to an end that maintain() has not written down yet';

-- One pass over changes, in the order of members and time; a member's enrollment
-- stands before them, with the tier that he had before the first.  Members
-- without changes need no order.  Ranks are those of today, so that tiers which
-- were numbered anew compare; of one that is gone the rank that it had.
CREATE VIEW loyalty.tier_movement WITH (security_barrier = true) AS
	WITH program AS (
		SELECT p.program_id, p.name, p.time_zone, b.rank AS base_rank,
			   pg_catalog.date_trunc('month', pg_catalog.now() AT TIME ZONE p.time_zone) AS present
		FROM loyalty.program p
		LEFT JOIN loyalty.tier b ON b.program OPERATOR(pg_catalog.=) p.name
								AND b.name OPERATOR(pg_catalog.=) loyalty.base_tier(p.program_id)
		WHERE loyalty.may_read(p.program_id)
	), event AS (
		SELECT m.member_id, m.program_id, 0 AS n, '-infinity'::pg_catalog.timestamptz AS at, NULL::pg_catalog.int4 AS from_rank, NULL::pg_catalog.int4 AS to_rank,
			   pg_catalog.date_trunc('month', m.enrolled_at AT TIME ZONE p.time_zone) AS month
		FROM loyalty.member m
		JOIN program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
		WHERE m.tier_changes OPERATOR(pg_catalog.>) 0
		UNION ALL
		SELECT c.member_id, c.program_id, c.change_no, c.at,
			   CASE WHEN c.from_tier IS NOT NULL THEN coalesce(f.rank, c.from_rank) ELSE p.base_rank END,
			   CASE WHEN c.to_tier IS NOT NULL THEN coalesce(t.rank, c.to_rank) ELSE p.base_rank END,
			   pg_catalog.date_trunc('month', c.at AT TIME ZONE p.time_zone)
		FROM loyalty.tier_change c
		JOIN program p ON p.program_id OPERATOR(pg_catalog.=) c.program_id
		LEFT JOIN loyalty.tier f ON f.program OPERATOR(pg_catalog.=) p.name AND f.name OPERATOR(pg_catalog.=) c.from_tier
		LEFT JOIN loyalty.tier t ON t.program OPERATOR(pg_catalog.=) p.name AND t.name OPERATOR(pg_catalog.=) c.to_tier
	), ordered AS (
		SELECT e.member_id, e.program_id, e.n, e.at, e.month,
			   CASE WHEN e.n OPERATOR(pg_catalog.=) 0 THEN pg_catalog.lead(e.from_rank) OVER w ELSE e.to_rank END AS ended,
			   pg_catalog.lead(e.month) OVER w AS next_month
		FROM event e
		WINDOW w AS (PARTITION BY e.member_id ORDER BY e.at, e.n)
	), last AS (
		-- The last of each member's months, and how the one before ended.  An enrollment in
		-- the month of the first change, or later, is only what that one follows.
		SELECT o.program_id, o.month, o.n, o.ended, pg_catalog.lag(o.ended) OVER w AS began,
			   o.n OPERATOR(pg_catalog.=) 0 AND o.next_month OPERATOR(pg_catalog.<=) o.month AS skip,
			   pg_catalog.lag(o.n OPERATOR(pg_catalog.=) 0 AND o.next_month OPERATOR(pg_catalog.<=) o.month) OVER w AS follows
		FROM ordered o
		WHERE o.n OPERATOR(pg_catalog.=) 0 OR o.next_month IS NULL OR o.next_month OPERATOR(pg_catalog.>) o.month
		WINDOW w AS (PARTITION BY o.member_id ORDER BY o.at, o.n)
	), moved AS (
		SELECT l.program_id, l.month, l.n, l.ended,
			   CASE WHEN l.n OPERATOR(pg_catalog.=) 0 THEN l.ended ELSE l.began END AS began,
			   coalesce(l.follows, true) AS entered
		FROM last l
		WHERE l.skip IS NOT TRUE
	), counted AS (
		SELECT l.program_id, l.month, pg_catalog.bool_or(l.n OPERATOR(pg_catalog.>) 0) AS changes,
			   pg_catalog.count(*) FILTER (WHERE l.ended OPERATOR(pg_catalog.>) l.began OR (l.began IS NULL AND l.ended IS NOT NULL)) AS up,
			   pg_catalog.count(*) FILTER (WHERE l.ended OPERATOR(pg_catalog.<) l.began OR (l.ended IS NULL AND l.began IS NOT NULL)) AS down,
			   pg_catalog.count(*) FILTER (WHERE l.entered AND l.ended OPERATOR(pg_catalog.=) l.began) AS entered,
			   -- of those who began the month as members with a tier
			   pg_catalog.count(l.began) FILTER (WHERE NOT l.entered AND l.ended IS DISTINCT FROM l.began) AS moved,
			   pg_catalog.count(l.ended) OPERATOR(pg_catalog.-) pg_catalog.count(l.began) FILTER (WHERE NOT l.entered) AS more
		FROM moved l
		GROUP BY 1, 2
		UNION ALL
		SELECT p.program_id, pg_catalog.date_trunc('month', m.enrolled_at AT TIME ZONE p.time_zone), false, 0, 0,
			   pg_catalog.count(*), 0, pg_catalog.count(*)
		FROM loyalty.member m
		JOIN program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
		WHERE m.tier_changes OPERATOR(pg_catalog.=) 0 AND (m.tier IS NOT NULL OR p.base_rank IS NOT NULL)
		GROUP BY 1, 2
	), span AS (
		SELECT c.program_id, pg_catalog.min(c.month) AS first, pg_catalog.min(c.month) FILTER (WHERE c.changes) AS first_change
		FROM counted c
		GROUP BY c.program_id
	), month AS (
		SELECT p.name AS program, m.month, s.first_change,
			   pg_catalog.sum(coalesce(c.up, 0))::pg_catalog.int8 AS up,
			   pg_catalog.sum(coalesce(c.down, 0))::pg_catalog.int8 AS down,
			   pg_catalog.sum(coalesce(c.entered, 0))::pg_catalog.int8 AS entered,
			   (coalesce(pg_catalog.sum(pg_catalog.sum(coalesce(c.more, 0))) OVER (PARTITION BY p.name ORDER BY m.month
						ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
				OPERATOR(pg_catalog.-) pg_catalog.sum(coalesce(c.moved, 0)))::pg_catalog.int8 AS kept
		FROM span s
		JOIN program p ON p.program_id OPERATOR(pg_catalog.=) s.program_id
		CROSS JOIN LATERAL pg_catalog.generate_series(s.first, p.present, '1 month') m (month)
		LEFT JOIN counted c ON c.program_id OPERATOR(pg_catalog.=) s.program_id AND c.month OPERATOR(pg_catalog.=) m.month
		GROUP BY p.name, m.month, s.first_change
	)
	SELECT m.program, m.month::pg_catalog.date AS month, m.up, m.down, m.kept, m.entered
	FROM month m
	WHERE m.month OPERATOR(pg_catalog.>=) m.first_change
	ORDER BY 1, 2;
COMMENT ON VIEW loyalty.tier_movement IS 'how many members moved between tiers, by program and month, from the first change on; who is in none of the four had no tier at either end of the month';
COMMENT ON COLUMN loyalty.tier_movement.program IS 'name of the program';
COMMENT ON COLUMN loyalty.tier_movement.month IS 'first day of the month, in the program''s time zone; the present one as far as it has come';
COMMENT ON COLUMN loyalty.tier_movement.up IS 'members who ended it in a higher tier than they began it in, or enrolled in';
COMMENT ON COLUMN loyalty.tier_movement.down IS 'members who ended it in a lower tier than they began it in, or in none';
COMMENT ON COLUMN loyalty.tier_movement.kept IS 'members who ended it in the tier that they began it in';
COMMENT ON COLUMN loyalty.tier_movement.entered IS 'members who enrolled in it and ended it in the tier that this gave them';
