--
-- consent: what members have agreed to
--

-- Numbered by member and purpose, so that the last one is found at once.
CREATE TABLE loyalty.consent (
	member_id bigint NOT NULL,
	purpose text COLLATE "C" NOT NULL,
	consent_no integer NOT NULL,
	granted boolean NOT NULL,
	at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL,
	program_id integer NOT NULL,
	source text,
	role text COLLATE "C" NOT NULL,
	key text COLLATE "C",
	CONSTRAINT consent_pkey PRIMARY KEY (member_id, purpose, consent_no)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.consent', '');
ALTER TABLE loyalty.consent ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.consent IS 'what members agreed to and withdrew, append-only but for who is forgotten; written only by the engine';
COMMENT ON COLUMN loyalty.consent.member_id IS 'the member, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.consent.purpose IS 'what for: marketing, profiling, whatever the shop calls it';
COMMENT ON COLUMN loyalty.consent.consent_no IS 'number of the statement for its member and purpose, 1, 2, 3 and so on';
COMMENT ON COLUMN loyalty.consent.granted IS 'true: he agreed; false: he refused, or withdrew it';
COMMENT ON COLUMN loyalty.consent.at IS 'when he said so';
COMMENT ON COLUMN loyalty.consent.recorded_at IS 'when it was written down: start of the transaction';
COMMENT ON COLUMN loyalty.consent.program_id IS 'the program';
COMMENT ON COLUMN loyalty.consent.source IS 'where he said so: a form, a call, a till';
COMMENT ON COLUMN loyalty.consent.role IS 'the role that wrote it down';
COMMENT ON COLUMN loyalty.consent.key IS 'idempotency key';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.consent
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.consent IS 'written only by the engine';

CREATE FUNCTION loyalty.set_consent(member text, purpose text, granted boolean, source text DEFAULT NULL,
									at timestamptz DEFAULT NULL, key text DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_set_consent' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.set_consent(text, text, boolean, text, timestamptz, text, text) IS 'writes down that a member agreed to something, or refused or withdrew it; what he said last counts';
CREATE FUNCTION loyalty.set_consent(member bigint, purpose text, granted boolean, source text DEFAULT NULL,
									at timestamptz DEFAULT NULL, key text DEFAULT NULL, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_set_consent' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.set_consent(bigint, text, boolean, text, timestamptz, text, text) IS 'the same for a numeric customer id';

-- What he said last counts, not what was written down last.
CREATE FUNCTION loyalty.has_consent(member text, purpose text, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce((SELECT c.granted FROM loyalty.consent c
					 WHERE c.member_id = loyalty.find_member($1, $4) AND c.purpose = $2 AND c.at <= coalesce($3, now())
					 ORDER BY c.at DESC, c.consent_no DESC LIMIT 1), false)
	$$;
COMMENT ON FUNCTION loyalty.has_consent(text, text, timestamptz, text) IS 'whether a member agrees to something at a time, now by default; false also when he never said';
CREATE FUNCTION loyalty.has_consent(member bigint, purpose text, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$ SELECT loyalty.has_consent($1::text, $2, $3, $4) $$;
COMMENT ON FUNCTION loyalty.has_consent(bigint, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE VIEW loyalty.consents WITH (security_barrier = true) AS
	SELECT p.name AS program, m.ref AS member, c.purpose, c.granted, c.at AS since, c.source
	FROM (SELECT DISTINCT ON (c.member_id, c.purpose) c.member_id, c.program_id, c.purpose, c.granted, c.at, c.source
		  FROM loyalty.consent c
		  WHERE c.at OPERATOR(pg_catalog.<=) pg_catalog.now()
		  ORDER BY c.member_id, c.purpose, c.at DESC, c.consent_no DESC) c
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) c.program_id
	JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) c.member_id
	WHERE loyalty.may_read_person(c.program_id, c.member_id);
COMMENT ON VIEW loyalty.consents IS 'what each member agrees to now, and what he refused or withdrew';
COMMENT ON COLUMN loyalty.consents.program IS 'name of the program';
COMMENT ON COLUMN loyalty.consents.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.consents.purpose IS 'what for';
COMMENT ON COLUMN loyalty.consents.granted IS 'true: he agrees; false: he refused, or withdrew it';
COMMENT ON COLUMN loyalty.consents.since IS 'when he said so last';
COMMENT ON COLUMN loyalty.consents.source IS 'where he said so';
