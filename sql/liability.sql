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

CREATE TYPE loyalty.month_owed AS (
	month date,
	members bigint,
	points loyalty.points
);
COMMENT ON TYPE loyalty.month_owed IS 'what is owed of a month';
COMMENT ON COLUMN loyalty.month_owed.month IS 'first day of the month in which the points expire; infinity: they never do';
COMMENT ON COLUMN loyalty.month_owed.members IS 'members who hold them';
COMMENT ON COLUMN loyalty.month_owed.points IS 'points, less debts that they do not repay yet';

CREATE FUNCTION loyalty.owed_accum(state internal, purse loyalty.purse, program_id integer, last_activity timestamptz, enrolled_at timestamptz, at timestamptz)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'loyalty_owed_accum' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.owed_accum(internal, loyalty.purse, integer, timestamptz, timestamptz, timestamptz) IS 'aggregate transition function';
CREATE FUNCTION loyalty.owed_months(state internal) RETURNS loyalty.month_owed[]
	AS 'MODULE_PATHNAME', 'loyalty_owed_months' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.owed_months(internal) IS 'aggregate final function';
CREATE AGGREGATE loyalty.owed(purse loyalty.purse, program_id integer, last_activity timestamptz, enrolled_at timestamptz, at timestamptz) (
	SFUNC = loyalty.owed_accum,
	STYPE = internal,
	SSPACE = 8192,
	FINALFUNC = loyalty.owed_months,
	PARALLEL = RESTRICTED
);
COMMENT ON AGGREGATE loyalty.owed(loyalty.purse, integer, timestamptz, timestamptz, timestamptz) IS 'what purses of members still hold at a time under the expiry of their programs, by month, lapsed lots left out and debt netted; members of programs that the caller may not read are left out';

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
		SELECT m.program_id,
			   loyalty.owed(m.purse, m.program_id, m.last_activity, m.enrolled_at, pg_catalog.now()) AS months
		FROM loyalty.member m
		WHERE m.hold_until IS NULL
		  AND NOT EXISTS (SELECT FROM unwritten u WHERE u.member_id OPERATOR(pg_catalog.=) m.member_id)
		GROUP BY m.program_id),
	lots AS (
		SELECT p.name AS program, m.member_id, l.ends, l.points
		FROM (SELECT DISTINCT h.member_id FROM loyalty.hold h WHERE h.status OPERATOR(pg_catalog.=) 'active') h
		JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) h.member_id
		JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) m.program_id
		CROSS JOIN LATERAL loyalty.lots(loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, pg_catalog.now())) l
		WHERE loyalty.may_read(p.program_id)
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
	FROM (SELECT p.name AS program, w.month, w.members, w.points
		  FROM purses s
		  JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) s.program_id
		  CROSS JOIN LATERAL pg_catalog.unnest(s.months) w
		  WHERE loyalty.may_read(p.program_id)
		  UNION ALL
		  -- not by date_trunc: the last days of the calendar are no timestamps
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
