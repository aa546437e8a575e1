--
-- liability: what the shop owes
--

CREATE FUNCTION loyalty.outstanding(purse loyalty.purse, program_id integer, last_activity timestamptz, enrolled_at timestamptz, at timestamptz)
	RETURNS loyalty.purse
	AS 'MODULE_PATHNAME', 'loyalty_outstanding' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.outstanding(loyalty.purse, integer, timestamptz, timestamptz, timestamptz) IS 'what a member''s purse still holds at a time under the program''s expiry: lapsed lots left out, debt netted';

CREATE FUNCTION loyalty.held_ends(lots loyalty.purse, program_id integer, last_activity timestamptz, enrolled_at timestamptz, at timestamptz)
	RETURNS loyalty.purse
	AS 'MODULE_PATHNAME', 'loyalty_held_ends' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.held_ends(loyalty.purse, integer, timestamptz, timestamptz, timestamptz) IS 'held points by the last day that they have left under the program''s expiry; today where that has passed, since they would expire once they are released';

-- What silence has accepted, and what a hold held that has lapsed, is owed
-- though nobody has written it down: such members, few after maintenance, are
-- read one by one; so are those with holds, whose purse and holds may end in
-- one month. The others are added up as purses.
CREATE VIEW loyalty.liability WITH (security_barrier = true) AS
	WITH unwritten AS (
		SELECT c.member_id
		FROM loyalty.confirmation c
		JOIN loyalty.program q ON q.program_id OPERATOR(pg_catalog.=) c.program_id
		WHERE c.decision IS NULL AND c.on_silence OPERATOR(pg_catalog.=) 'accept'
		  AND c.due OPERATOR(pg_catalog.<=) pg_catalog.timezone(q.time_zone, pg_catalog.now())::pg_catalog.date
		UNION
		SELECT h.member_id
		FROM loyalty.program q
		JOIN loyalty.hold h ON h.program_id OPERATOR(pg_catalog.=) q.program_id
		WHERE h.status OPERATOR(pg_catalog.=) 'active' AND h.until OPERATOR(pg_catalog.<=) pg_catalog.now()),
	purses AS (
		SELECT o.program, loyalty.sum(o.owed) AS owed, loyalty.sum(loyalty.months(o.owed)) AS months
		FROM (SELECT p.name AS program,
					 loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, pg_catalog.now()) AS owed
			  FROM loyalty.member m
			  JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
			  WHERE loyalty.may_read(p.program_id) AND m.hold_until IS NULL
				AND NOT EXISTS (SELECT FROM unwritten u WHERE u.member_id OPERATOR(pg_catalog.=) m.member_id)
			  -- so that it is worked out once
			  OFFSET 0) o
		GROUP BY o.program),
	lots AS (
		SELECT p.name AS program, m.member_id, l.ends, l.points
		FROM loyalty.member m
		JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
		CROSS JOIN LATERAL loyalty.lots(loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, pg_catalog.now())) l
		WHERE loyalty.may_read(p.program_id) AND m.hold_until IS NOT NULL
		  AND NOT EXISTS (SELECT FROM unwritten u WHERE u.member_id OPERATOR(pg_catalog.=) m.member_id)
		UNION ALL
		SELECT p.name, m.member_id, l.ends, l.points
		FROM unwritten u
		JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) u.member_id
		JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
		CROSS JOIN LATERAL loyalty.lots(m.ref, NULL::pg_catalog.timestamptz, p.name) l
		WHERE loyalty.may_read(p.program_id)
		UNION ALL
		SELECT p.name, m.member_id, l.ends, l.points
		FROM loyalty.program p
		JOIN loyalty.hold h ON h.program_id OPERATOR(pg_catalog.=) p.program_id
		JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) h.member_id
		CROSS JOIN LATERAL loyalty.lots(loyalty.held_ends(h.lots, m.program_id, m.last_activity, m.enrolled_at, pg_catalog.now())) l
		WHERE loyalty.may_read(p.program_id)
		  AND h.status OPERATOR(pg_catalog.=) 'active' AND h.until OPERATOR(pg_catalog.>) pg_catalog.now())
	SELECT o.program, o.month, pg_catalog.sum(o.members)::pg_catalog.int8 AS members, loyalty.sum(o.points) AS points
	FROM (SELECT s.program, l.ends AS month, l.points::pg_catalog.numeric::pg_catalog.int8 AS members, NULL::loyalty.points AS points
		  FROM purses s CROSS JOIN LATERAL loyalty.lots(s.months) l
		  UNION ALL
		  -- not by date_trunc: the last days of the calendar are no timestamps
		  SELECT s.program, CASE WHEN pg_catalog.isfinite(l.ends) THEN l.ends OPERATOR(pg_catalog.-) (extract(day FROM l.ends)::pg_catalog.int4 OPERATOR(pg_catalog.-) 1) ELSE l.ends END, 0, l.points
		  FROM purses s CROSS JOIN LATERAL loyalty.lots(s.owed) l
		  UNION ALL
		  SELECT s.program, CASE WHEN pg_catalog.isfinite(s.ends) THEN s.ends OPERATOR(pg_catalog.-) (extract(day FROM s.ends)::pg_catalog.int4 OPERATOR(pg_catalog.-) 1) ELSE s.ends END, pg_catalog.count(DISTINCT s.member_id), loyalty.sum(s.points)
		  FROM lots s
		  GROUP BY s.program, 2) o
	GROUP BY o.program, o.month
	ORDER BY o.program, o.month;
COMMENT ON VIEW loyalty.liability IS 'points owed now, by program and the month in which they expire';
COMMENT ON COLUMN loyalty.liability.program IS 'name of the program';
COMMENT ON COLUMN loyalty.liability.month IS 'first day of the month in which the points expire; infinity: they never do, debts are netted there; of held points whose last day has passed this month';
COMMENT ON COLUMN loyalty.liability.members IS 'members who hold them';
COMMENT ON COLUMN loyalty.liability.points IS 'points, pending and held ones too, but not those that await confirmation';
