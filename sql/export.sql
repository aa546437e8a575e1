--
-- export: all that is known of one member
--

CREATE FUNCTION loyalty.export_member(member text, program text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'loyalty_export_member' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.export_member(text, text) IS 'all that is known of one member, for himself: who he is, consents, balance, every entry and what belongs to it, without what is other members''';
CREATE FUNCTION loyalty.export_member(member bigint, program text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'loyalty_export_member' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.export_member(bigint, text) IS 'the same for a numeric customer id';
