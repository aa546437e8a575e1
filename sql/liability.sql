--
-- liability: what the shop owes
--

CREATE FUNCTION loyalty.outstanding(purse loyalty.purse, program_id integer, last_activity timestamptz, enrolled_at timestamptz, at timestamptz)
	RETURNS loyalty.purse
	AS 'MODULE_PATHNAME', 'loyalty_outstanding' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.outstanding(loyalty.purse, integer, timestamptz, timestamptz, timestamptz) IS 'what a member''s purse still holds at a time under the program''s expiry: lapsed lots left out, debt netted';

-- What silence has accepted is owed, though nobody has written it down: such
-- members, few after maintenance, are read one by one.
CREATE VIEW loyalty.liability AS
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
		  WHERE NOT EXISTS (SELECT
							FROM loyalty.confirmation c
							JOIN loyalty.program q ON q.program_id OPERATOR(pg_catalog.=) c.program_id
							WHERE c.member_id OPERATOR(pg_catalog.=) m.member_id AND c.decision IS NULL
							  AND c.on_silence OPERATOR(pg_catalog.=) 'accept'
							  AND c.due OPERATOR(pg_catalog.<=) pg_catalog.timezone(q.time_zone, pg_catalog.now())::pg_catalog.date)
		  UNION ALL
		  SELECT p.name, m.member_id, l.ends, l.points
		  FROM (SELECT DISTINCT c.member_id
				FROM loyalty.confirmation c
				JOIN loyalty.program q ON q.program_id OPERATOR(pg_catalog.=) c.program_id
				WHERE c.decision IS NULL AND c.on_silence OPERATOR(pg_catalog.=) 'accept'
				  AND c.due OPERATOR(pg_catalog.<=) pg_catalog.timezone(q.time_zone, pg_catalog.now())::pg_catalog.date) s
		  JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) s.member_id
		  JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
		  CROSS JOIN LATERAL loyalty.lots(m.ref, NULL::pg_catalog.timestamptz, p.name) l) o
	GROUP BY o.program, 2
	ORDER BY o.program, 2;
COMMENT ON VIEW loyalty.liability IS 'points owed now, by program and the month in which they expire';
COMMENT ON COLUMN loyalty.liability.program IS 'name of the program';
COMMENT ON COLUMN loyalty.liability.month IS 'first day of the month in which the points expire; infinity: they never do, debts are netted there';
COMMENT ON COLUMN loyalty.liability.members IS 'members who hold them';
COMMENT ON COLUMN loyalty.liability.points IS 'points, pending ones too, but not those that await confirmation';
