--
-- merge: two members who are one person, and how they are parted again
--

-- A member who was merged keeps his ledger, and is found through his refs no
-- more: member_alias leads them to the other one.
CREATE TABLE loyalty.member_merge (
	member_id bigint NOT NULL,
	seq bigint NOT NULL,
	into_member_id bigint NOT NULL,
	into_seq bigint NOT NULL,
	merged_at timestamptz NOT NULL,
	undone_at timestamptz,
	undone_seq bigint,
	had_enrolled_at timestamptz,
	program_id integer NOT NULL,
	had_tier_until date,
	had_floor_until date,
	ref text COLLATE "C" NOT NULL,
	refs text[] COLLATE "C" NOT NULL,
	gave_tier text COLLATE "C",
	had_tier text COLLATE "C",
	gave_floor text COLLATE "C",
	had_floor text COLLATE "C",
	CONSTRAINT member_merge_pkey PRIMARY KEY (member_id, seq)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.member_merge', '');
ALTER TABLE loyalty.member_merge ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.member_merge IS 'members who were merged into others; written only by the engine';
COMMENT ON COLUMN loyalty.member_merge.member_id IS 'who was merged';
COMMENT ON COLUMN loyalty.member_merge.seq IS 'number of his entry that gave what he had';
COMMENT ON COLUMN loyalty.member_merge.into_member_id IS 'into whom';
COMMENT ON COLUMN loyalty.member_merge.into_seq IS 'number of that one''s entry that got it';
COMMENT ON COLUMN loyalty.member_merge.merged_at IS 'when';
COMMENT ON COLUMN loyalty.member_merge.undone_at IS 'when they were parted again; NULL: the merge stands';
COMMENT ON COLUMN loyalty.member_merge.undone_seq IS 'number of his entry that got what was left of it';
COMMENT ON COLUMN loyalty.member_merge.had_enrolled_at IS 'when the other one had joined, who has been a member since then by the merge; NULL: it did not change that';
COMMENT ON COLUMN loyalty.member_merge.program_id IS 'the program';
COMMENT ON COLUMN loyalty.member_merge.had_tier_until IS 'member.tier_until of the other one before the merge, where it gave him a tier';
COMMENT ON COLUMN loyalty.member_merge.had_floor_until IS 'likewise member.tier_floor_until';
COMMENT ON COLUMN loyalty.member_merge.ref IS 'his ref';
COMMENT ON COLUMN loyalty.member_merge.refs IS 'the refs that led to him, and since then to the other one';
COMMENT ON COLUMN loyalty.member_merge.gave_tier IS 'tier that the other one has reached by the merge; NULL: none';
COMMENT ON COLUMN loyalty.member_merge.had_tier IS 'the tier that the other one had reached himself before that';
COMMENT ON COLUMN loyalty.member_merge.gave_floor IS 'tier_floor that the other one got from him; NULL: none';
COMMENT ON COLUMN loyalty.member_merge.had_floor IS 'the tier_floor of the other one before that';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.member_merge
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history', 'undone_at', 'undone_seq', 'ref', 'refs');
COMMENT ON TRIGGER guard ON loyalty.member_merge IS 'history is never rewritten';
CREATE INDEX member_merge_into_idx ON loyalty.member_merge (into_member_id);
COMMENT ON INDEX loyalty.member_merge_into_idx IS 'who was merged into a member';

CREATE FUNCTION loyalty.merge_members(from_member text, into_member text, reason text DEFAULT NULL, key text DEFAULT NULL,
									  at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_merge_members' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.merge_members(text, text, text, text, timestamptz, text) IS 'makes two members one: all that the first one has becomes the second one''s, whom his ref means from now on';
CREATE FUNCTION loyalty.merge_members(from_member bigint, into_member bigint, reason text DEFAULT NULL, key text DEFAULT NULL,
									  at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_merge_members' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.merge_members(bigint, bigint, text, text, timestamptz, text) IS 'the same for numeric customer ids';

CREATE FUNCTION loyalty.unmerge_members(from_member text, partial boolean DEFAULT false, reason text DEFAULT NULL, key text DEFAULT NULL,
										at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_unmerge_members' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.unmerge_members(text, boolean, text, text, timestamptz, text) IS 'parts a member again from the one he was merged into: what he brought comes back to him; partial: as far as it has not been spent';
CREATE FUNCTION loyalty.unmerge_members(from_member bigint, partial boolean DEFAULT false, reason text DEFAULT NULL, key text DEFAULT NULL,
										at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_unmerge_members' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.unmerge_members(bigint, boolean, text, text, timestamptz, text) IS 'the same for a numeric customer id';
