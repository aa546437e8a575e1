--
-- liability: what the shop owes
--

CREATE FUNCTION loyalty.outstanding(purse loyalty.purse, program_id integer, last_activity timestamptz, enrolled_at timestamptz, at timestamptz)
	RETURNS loyalty.purse
	AS 'MODULE_PATHNAME', 'loyalty_outstanding' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.outstanding(loyalty.purse, integer, timestamptz, timestamptz, timestamptz) IS 'what a member''s purse still holds at a time under the program''s expiry: lapsed lots left out, debt netted';

CREATE VIEW loyalty.liability AS
	SELECT p.name AS program,
		   -- not by date_trunc: the last days of the calendar are no timestamps
		   CASE WHEN pg_catalog.isfinite(l.ends)
				THEN l.ends OPERATOR(pg_catalog.-)
					 (extract(day FROM l.ends)::pg_catalog.int4 OPERATOR(pg_catalog.-) 1)
				ELSE l.ends END AS month,
		   pg_catalog.count(DISTINCT o.member_id) AS members,
		   loyalty.sum(l.points) AS points
	FROM (SELECT m.program_id, m.member_id,
				 loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, pg_catalog.now()) AS purse
		  FROM loyalty.member m
		  UNION ALL
		  -- what silence has accepted, and nobody has written down
		  SELECT c.program_id, c.member_id,
				 loyalty.outstanding(loyalty.purse(c.points, c.starts, c.ends), c.program_id,
									 pg_catalog.timezone(q.time_zone, c.due::pg_catalog.timestamp),
									 m.enrolled_at, pg_catalog.now())
		  FROM loyalty.confirmation c
		  JOIN loyalty.program q ON q.program_id OPERATOR(pg_catalog.=) c.program_id
		  JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) c.member_id
		  WHERE c.decision IS NULL AND c.on_silence OPERATOR(pg_catalog.=) 'accept'
			AND c.points::pg_catalog.numeric OPERATOR(pg_catalog.>) 0
			AND c.due OPERATOR(pg_catalog.<=) pg_catalog.timezone(q.time_zone, pg_catalog.now())::pg_catalog.date) o
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) o.program_id
	CROSS JOIN LATERAL loyalty.lots(o.purse) l
	GROUP BY p.name, 2
	ORDER BY p.name, 2;
COMMENT ON VIEW loyalty.liability IS 'points owed now, by program and the month in which they expire';
COMMENT ON COLUMN loyalty.liability.program IS 'name of the program';
COMMENT ON COLUMN loyalty.liability.month IS 'first day of the month in which the points expire; infinity: they never do, debts are netted there';
COMMENT ON COLUMN loyalty.liability.members IS 'members who hold them';
COMMENT ON COLUMN loyalty.liability.points IS 'points, pending ones too, but not those that await confirmation';
