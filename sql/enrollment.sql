--
-- enrollment: how many became members, and when
--

CREATE VIEW loyalty.enrollments_by_day WITH (security_barrier = true) AS
	SELECT p.name AS program, m.program_id, m.day, m.members
	FROM (SELECT m.program_id, (m.enrolled_at AT TIME ZONE p.time_zone)::date AS day, count(*) AS members
		  FROM loyalty.member m
		  JOIN loyalty.program p ON p.program_id = m.program_id
		  WHERE m.status <> 'merged' AND loyalty.may_read(p.program_id)
		  GROUP BY 1, 2) m
	JOIN loyalty.program p ON p.program_id = m.program_id;
COMMENT ON VIEW loyalty.enrollments_by_day IS 'how many became members on each day, by program; closed and forgotten ones too; who was merged joined as the one who stands for him';
COMMENT ON COLUMN loyalty.enrollments_by_day.program IS 'name of the program';
COMMENT ON COLUMN loyalty.enrollments_by_day.program_id IS 'the program';
COMMENT ON COLUMN loyalty.enrollments_by_day.day IS 'the day in the program''s time zone';
COMMENT ON COLUMN loyalty.enrollments_by_day.members IS 'how many';
