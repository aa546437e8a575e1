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
-- read one by one.
CREATE VIEW loyalty.liability WITH (security_barrier = true) AS
	SELECT o.program,
		   -- not by date_trunc: the last days of the calendar are no timestamps
		   CASE WHEN pg_catalog.isfinite(o.ends)
				THEN o.ends OPERATOR(pg_catalog.-)
					 (extract(day FROM o.ends)::pg_catalog.int4 OPERATOR(pg_catalog.-) 1)
				ELSE o.ends END AS month,
		   pg_catalog.count(DISTINCT o.member_id) AS members,
		   loyalty.sum(o.points) AS points
	FROM (SELECT p.name AS program, m.member_id, l.ends, l.points
		  FROM loyalty.member m
		  JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
		  CROSS JOIN LATERAL loyalty.lots(loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, pg_catalog.now())) l
		  WHERE loyalty.may_read(p.program_id)
			AND NOT EXISTS (SELECT
							FROM loyalty.confirmation c
							JOIN loyalty.program q ON q.program_id OPERATOR(pg_catalog.=) c.program_id
							WHERE c.member_id OPERATOR(pg_catalog.=) m.member_id AND c.decision IS NULL
							  AND c.on_silence OPERATOR(pg_catalog.=) 'accept'
							  AND c.due OPERATOR(pg_catalog.<=) pg_catalog.timezone(q.time_zone, pg_catalog.now())::pg_catalog.date)
			AND (m.hold_until IS NULL OR m.hold_until OPERATOR(pg_catalog.>) pg_catalog.now())
		  UNION ALL
		  SELECT p.name, m.member_id, l.ends, l.points
		  FROM (SELECT c.member_id
				FROM loyalty.confirmation c
				JOIN loyalty.program q ON q.program_id OPERATOR(pg_catalog.=) c.program_id
				WHERE c.decision IS NULL AND c.on_silence OPERATOR(pg_catalog.=) 'accept'
				  AND c.due OPERATOR(pg_catalog.<=) pg_catalog.timezone(q.time_zone, pg_catalog.now())::pg_catalog.date
				UNION
				SELECT h.member_id
				FROM loyalty.program q
				JOIN loyalty.hold h ON h.program_id OPERATOR(pg_catalog.=) q.program_id
				WHERE h.status OPERATOR(pg_catalog.=) 'active' AND h.until OPERATOR(pg_catalog.<=) pg_catalog.now()) s
		  JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) s.member_id
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
			AND h.status OPERATOR(pg_catalog.=) 'active' AND h.until OPERATOR(pg_catalog.>) pg_catalog.now()) o
	GROUP BY o.program, 2
	ORDER BY o.program, 2;
COMMENT ON VIEW loyalty.liability IS 'points owed now, by program and the month in which they expire';
COMMENT ON COLUMN loyalty.liability.program IS 'name of the program';
COMMENT ON COLUMN loyalty.liability.month IS 'first day of the month in which the points expire; infinity: they never do, debts are netted there; of held points whose last day has passed this month';
COMMENT ON COLUMN loyalty.liability.members IS 'members who hold them';
COMMENT ON COLUMN loyalty.liability.points IS 'points, pending and held ones too, but not those that await confirmation';
