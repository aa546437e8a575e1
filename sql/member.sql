--
-- member: one hot row a member, and what belongs to his person
--

-- No foreign keys between the extension's tables: they break parallel
-- restores.  Postings are the only writers, and verify() proves the rest.
-- There are no CHECKs either: the engine, the only writer, checks what it reads
-- and writes, and a CHECK is planned anew for each order.
-- Fixed-length columns first, so that no byte goes to padding; fillfactor
-- leaves room for the next version of a row on its page (HOT).  Who shops every
-- day has a long purse and a long tally: both stay in the row.
CREATE TABLE loyalty.member (
	member_id bigint CONSTRAINT member_pkey PRIMARY KEY,
	seq bigint NOT NULL DEFAULT 0,
	lifetime loyalty.points NOT NULL DEFAULT 0,
	awaiting loyalty.points NOT NULL DEFAULT 0,
	held loyalty.points NOT NULL DEFAULT 0,
	enrolled_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	last_activity timestamptz,
	tier_since timestamptz,
	hold_until timestamptz,
	program_id integer NOT NULL,
	next_expiry date,
	purchases integer NOT NULL DEFAULT 0,
	tier_changes integer NOT NULL DEFAULT 0,
	tier_until date,
	tier_floor_until date,
	tally_since date,
	ref text COLLATE "C" NOT NULL,
	status text NOT NULL DEFAULT 'active',
	purse loyalty.purse NOT NULL DEFAULT '{}',
	head bytea NOT NULL DEFAULT '',
	tally loyalty.tally NOT NULL DEFAULT '{}',
	tier text COLLATE "C",
	tier_own text COLLATE "C",
	tier_floor text COLLATE "C"
) WITH (fillfactor = 70, toast_tuple_target = 8160);
SELECT pg_catalog.pg_extension_config_dump('loyalty.member', '');
ALTER TABLE loyalty.member ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE loyalty.member IS 'members of programs with their points; written only by the engine';
COMMENT ON COLUMN loyalty.member.member_id IS 'loyalty.member_id(ref, program), unless member_alias says otherwise';
COMMENT ON COLUMN loyalty.member.seq IS 'number of the member''s last entry';
COMMENT ON COLUMN loyalty.member.lifetime IS 'points ever earned or imported, less what returns took back';
COMMENT ON COLUMN loyalty.member.awaiting IS 'points that await confirmation, in no purse yet: the sum of confirmation.points';
COMMENT ON COLUMN loyalty.member.held IS 'points that are held, in no purse meanwhile: the sum of what active holds hold';
COMMENT ON COLUMN loyalty.member.enrolled_at IS 'when the member joined';
COMMENT ON COLUMN loyalty.member.last_activity IS 'when the member last earned or redeemed, or what was imported says so; an adjustment does not count; NULL: never yet';
COMMENT ON COLUMN loyalty.member.tier_since IS 'since when the member has the tier';
COMMENT ON COLUMN loyalty.member.hold_until IS 'when the first of the active holds ends; NULL: there is none';
COMMENT ON COLUMN loyalty.member.program_id IS 'the program';
COMMENT ON COLUMN loyalty.member.next_expiry IS 'nothing falls due for maintenance up to this day: no lot ends before it, no tier is to be reviewed; a lower bound that postings only lower and maintenance raises';
COMMENT ON COLUMN loyalty.member.purchases IS 'purchases that have ever counted: the purchase_no of the last one';
COMMENT ON COLUMN loyalty.member.tier_changes IS 'number of the member''s last row in tier_change';
COMMENT ON COLUMN loyalty.member.tier_until IS 'last day on which the tier that the member reached himself is not reviewed; NULL: it is held as long as the window gives it';
COMMENT ON COLUMN loyalty.member.tier_floor_until IS 'last day of tier_floor; NULL: it has no end';
COMMENT ON COLUMN loyalty.member.tally_since IS 'the tally is complete from this day on; NULL: it has not been counted yet';
COMMENT ON COLUMN loyalty.member.ref IS 'the shop''s own customer id; of a forgotten member a pseudonym';
COMMENT ON COLUMN loyalty.member.status IS 'active; suspended or closed: new purchases earn nothing; merged: another member has what was his; forgotten: who he was has been erased, and nothing is posted to him any more';
COMMENT ON COLUMN loyalty.member.purse IS 'the points by life span: the sum of the member''s entries';
COMMENT ON COLUMN loyalty.member.head IS 'hash of the last entry, which covers all before it';
COMMENT ON COLUMN loyalty.member.tally IS 'what counts toward tiers, by day; in a lifetime window as one total';
COMMENT ON COLUMN loyalty.member.tier IS 'the member''s tier: the one that he reached himself, or tier_floor if that is higher; NULL: none';
COMMENT ON COLUMN loyalty.member.tier_own IS 'beside a tier_floor: the tier that the member reached himself';
COMMENT ON COLUMN loyalty.member.tier_floor IS 'tier given by hand, below which the member does not fall; NULL: none';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.member
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.member IS 'written only by the engine';

-- Where maintenance finds what is due.  Postings hardly ever change next_expiry,
-- so they stay HOT; equal keys in the order of the table are kept as one.
CREATE INDEX member_next_expiry_idx ON loyalty.member (program_id, next_expiry) WHERE next_expiry IS NOT NULL;
COMMENT ON INDEX loyalty.member_next_expiry_idx IS 'members for whom something falls due, by day';

-- Where a member does not live at the place that his ref computes.
CREATE TABLE loyalty.member_alias (
	program_id integer NOT NULL,
	ref text COLLATE "C" NOT NULL,
	member_id bigint NOT NULL,
	CONSTRAINT member_alias_pkey PRIMARY KEY (program_id, ref)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.member_alias', '');
ALTER TABLE loyalty.member_alias ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.member_alias IS 'refs that lead to another member_id than the one they compute; written only by the engine';
COMMENT ON COLUMN loyalty.member_alias.program_id IS 'the program';
COMMENT ON COLUMN loyalty.member_alias.ref IS 'the shop''s own customer id; of a forgotten member ''sha256:'' and the digest of it';
COMMENT ON COLUMN loyalty.member_alias.member_id IS 'the member whom it means';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.member_alias
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.member_alias IS 'written only by the engine';

-- Apart from member, so that it can be erased while the ledger stands.
CREATE TABLE loyalty.profile (
	member_id bigint CONSTRAINT profile_pkey PRIMARY KEY,
	program_id integer NOT NULL,
	birthday date,
	segments text[] NOT NULL DEFAULT '{}',
	referred_by bigint,
	data jsonb NOT NULL DEFAULT '{}'
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.profile', '');
ALTER TABLE loyalty.profile ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.profile IS 'what is known of a member as a person';
COMMENT ON COLUMN loyalty.profile.member_id IS 'the member';
COMMENT ON COLUMN loyalty.profile.program_id IS 'the program';
COMMENT ON COLUMN loyalty.profile.birthday IS 'date of birth';
COMMENT ON COLUMN loyalty.profile.segments IS 'segments that the member belongs to';
COMMENT ON COLUMN loyalty.profile.referred_by IS 'the member who brought him';
COMMENT ON COLUMN loyalty.profile.data IS 'everything else';
CREATE INDEX profile_referred_by_idx ON loyalty.profile (referred_by) WHERE referred_by IS NOT NULL;
COMMENT ON INDEX loyalty.profile_referred_by_idx IS 'whom a member has brought';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.profile
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.profile IS 'written only by the engine';

CREATE FUNCTION loyalty.member_id(ref text, program text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_member_id' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.member_id(text, text) IS 'where a member lives: the first 8 bytes of sha256(program || ''\0'' || ref) in UTF-8, sign bit cleared';

CREATE FUNCTION loyalty.enroll(member text, profile jsonb DEFAULT NULL, referred_by text DEFAULT NULL,
							   key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_enroll' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.enroll(text, jsonb, text, text, timestamptz, text) IS 'makes a customer a member and returns the member_id; enrolling again changes nothing but the profile''s given fields';
CREATE FUNCTION loyalty.enroll(member bigint, profile jsonb DEFAULT NULL, referred_by text DEFAULT NULL,
							   key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_enroll' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.enroll(bigint, jsonb, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.set_member(member text, status text DEFAULT NULL, segments text[] DEFAULT NULL,
								   data jsonb DEFAULT NULL, birthday date DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_set_member' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.set_member(text, text, text[], jsonb, date, text) IS 'changes a member''s status or profile; NULL leaves a field as it is, data is merged key by key';
CREATE FUNCTION loyalty.set_member(member bigint, status text DEFAULT NULL, segments text[] DEFAULT NULL,
								   data jsonb DEFAULT NULL, birthday date DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_set_member' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.set_member(bigint, text, text[], jsonb, date, text) IS 'the same for a numeric customer id';
