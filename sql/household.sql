--
-- household: members who share one balance
--

CREATE TABLE loyalty.household (
	household_id bigint CONSTRAINT household_pkey PRIMARY KEY,
	head_member_id bigint NOT NULL,
	created_at timestamptz NOT NULL,
	program_id integer NOT NULL,
	max_members integer,
	name text COLLATE "C" NOT NULL,
	on_leave text COLLATE "C" NOT NULL,
	cooldown interval
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.household', '');
ALTER TABLE loyalty.household ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.household IS 'members who share one balance; written only by the engine';
COMMENT ON COLUMN loyalty.household.household_id IS 'computed from program and name as member_id is from program and ref';
COMMENT ON COLUMN loyalty.household.head_member_id IS 'its head: who gets what stays behind';
COMMENT ON COLUMN loyalty.household.created_at IS 'when it was made';
COMMENT ON COLUMN loyalty.household.program_id IS 'the program';
COMMENT ON COLUMN loyalty.household.max_members IS 'most members that it has; NULL: any number';
COMMENT ON COLUMN loyalty.household.name IS 'its name, of which there is one in a program';
COMMENT ON COLUMN loyalty.household.on_leave IS 'own: who leaves takes along what is in his own ledger; stay: that goes to the head';
COMMENT ON COLUMN loyalty.household.cooldown IS 'for so long nobody may join who has left one; NULL: at once';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.household
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.household IS 'written only by the engine';

-- One row a member, so nobody is in two; it stays when he leaves, and says when that was.
CREATE TABLE loyalty.household_member (
	member_id bigint CONSTRAINT household_member_pkey PRIMARY KEY,
	household_id bigint NOT NULL,
	joined_at timestamptz NOT NULL,
	left_at timestamptz,
	program_id integer NOT NULL,
	may_spend boolean NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.household_member', '');
ALTER TABLE loyalty.household_member ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.household_member IS 'who is in which household, or was last; written only by the engine';
COMMENT ON COLUMN loyalty.household_member.member_id IS 'the member';
COMMENT ON COLUMN loyalty.household_member.household_id IS 'the household';
COMMENT ON COLUMN loyalty.household_member.joined_at IS 'since when';
COMMENT ON COLUMN loyalty.household_member.left_at IS 'until when; NULL: he is in it';
COMMENT ON COLUMN loyalty.household_member.program_id IS 'the program';
COMMENT ON COLUMN loyalty.household_member.may_spend IS 'whether he may spend';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.household_member
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.household_member IS 'written only by the engine';
CREATE INDEX household_member_household_idx ON loyalty.household_member (household_id);
COMMENT ON INDEX loyalty.household_member_household_idx IS 'the members of a household';

CREATE FUNCTION loyalty.create_household(name text, head text, max_members integer DEFAULT NULL, on_leave text DEFAULT 'own',
										 cooldown interval DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_create_household' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.create_household(text, text, integer, text, interval, timestamptz, text) IS 'makes a household of one member, its head, with its rules, and returns its number; or gives it other rules, if that member is its head';

CREATE FUNCTION loyalty.join_household(member text, household text, may_spend boolean DEFAULT true,
									   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_join_household' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.join_household(text, text, boolean, timestamptz, text) IS 'takes a member into a household; who is in it already may spend from now on, or not';
CREATE FUNCTION loyalty.join_household(member bigint, household text, may_spend boolean DEFAULT true,
									   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_join_household' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.join_household(bigint, text, boolean, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.leave_household(member text, reason text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_leave_household' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.leave_household(text, text, timestamptz, text) IS 'takes a member out of his household: with his own points, or without, as it says; the next head is who joined first, and who is the last one ends it';
CREATE FUNCTION loyalty.leave_household(member bigint, reason text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_leave_household' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.leave_household(bigint, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.household(member text, program text DEFAULT NULL)
	RETURNS TABLE (household text, member text, head boolean, may_spend boolean, joined_at timestamptz,
				   available loyalty.points, pending loyalty.points)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT h.name, m.ref, m.member_id = h.head_member_id, o.may_spend, o.joined_at,
		   loyalty.available(s.lots, s.day), loyalty.pending(s.lots, s.day)
	FROM loyalty.household_member me
	JOIN loyalty.household h ON h.household_id = me.household_id
	JOIN loyalty.household_member o ON o.household_id = h.household_id AND o.left_at IS NULL
	JOIN loyalty.member m ON m.member_id = o.member_id
	JOIN loyalty.program p ON p.program_id = m.program_id
	CROSS JOIN LATERAL (SELECT loyalty.outstanding(m.purse, m.program_id, m.last_activity, m.enrolled_at, now()) AS lots,
							   (now() AT TIME ZONE p.time_zone)::date AS day) s
	WHERE me.member_id = loyalty.find_member($1, $2) AND me.left_at IS NULL
	ORDER BY o.joined_at, m.ref
	$$;
COMMENT ON FUNCTION loyalty.household(text, text) IS 'who is in a member''s household, and what lies in the ledger of each';
CREATE FUNCTION loyalty.household(member bigint, program text DEFAULT NULL)
	RETURNS TABLE (household text, member text, head boolean, may_spend boolean, joined_at timestamptz,
				   available loyalty.points, pending loyalty.points)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$ SELECT * FROM loyalty.household($1::text, $2) $$;
COMMENT ON FUNCTION loyalty.household(bigint, text) IS 'the same for a numeric customer id';
