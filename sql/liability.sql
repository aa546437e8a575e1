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
		   pg_catalog.count(DISTINCT m.member_id) AS members,
		   loyalty.sum(l.points) AS points
	FROM loyalty.member m
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
	CROSS JOIN LATERAL loyalty.lots(loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, pg_catalog.now())) l
	GROUP BY p.name, 2
	ORDER BY p.name, 2;
COMMENT ON VIEW loyalty.liability IS 'points owed now, by program and the month in which they expire';
COMMENT ON COLUMN loyalty.liability.program IS 'name of the program';
COMMENT ON COLUMN loyalty.liability.month IS 'first day of the month in which the points expire; infinity: they never do, debts are netted there';
COMMENT ON COLUMN loyalty.liability.members IS 'members who hold them';
COMMENT ON COLUMN loyalty.liability.points IS 'points, pending ones too';
