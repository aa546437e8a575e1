--
-- balance: what a member has, had and will have
--

CREATE FUNCTION loyalty.find_member(member text, program text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_find_member' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.find_member(text, text) IS 'member_id of a member, NULL when nobody knows him and the program enrolls by itself, else LY002';

CREATE FUNCTION loyalty.balance(member text, at timestamptz DEFAULT NULL, program text DEFAULT NULL,
								OUT available loyalty.points, OUT pending loyalty.points, OUT held loyalty.points,
								OUT debt loyalty.points, OUT lifetime loyalty.points, OUT tier text,
								OUT next_expiry date, OUT next_expiry_points loyalty.points)
	AS 'MODULE_PATHNAME', 'loyalty_balance' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.balance(text, timestamptz, text) IS 'what a member has at a time: now, in the past from history, in the future as things stand; pending: with what awaits confirmation; in a household what all have, but for lifetime and tier';
CREATE FUNCTION loyalty.balance(member bigint, at timestamptz DEFAULT NULL, program text DEFAULT NULL,
								OUT available loyalty.points, OUT pending loyalty.points, OUT held loyalty.points,
								OUT debt loyalty.points, OUT lifetime loyalty.points, OUT tier text,
								OUT next_expiry date, OUT next_expiry_points loyalty.points)
	AS 'MODULE_PATHNAME', 'loyalty_balance' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.balance(bigint, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.lots(member text, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (points loyalty.points, starts date, ends date)
	AS 'MODULE_PATHNAME', 'loyalty_member_lots' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.lots(text, timestamptz, text) IS 'a member''s points by life span at a time: first day (NULL: already open) and last day';
CREATE FUNCTION loyalty.lots(member bigint, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (points loyalty.points, starts date, ends date)
	AS 'MODULE_PATHNAME', 'loyalty_member_lots' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.lots(bigint, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.statement(member text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (entry bigint, occurred_at timestamptz, kind text, points loyalty.points, balance loyalty.points,
				   amount numeric, rule text, source text, purchase text, lots loyalty.purse, note text,
				   awaiting loyalty.points, decision text)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT s.seq, s.occurred_at, s.kind, s.points, s.balance, s.amount, r.name,
		   CASE s.source_id WHEN 0 THEN 'api' ELSE o.name END, s.source_key, s.lots, s.note,
		   -- contexts of acts are theirs
		   CASE WHEN s.rule_id <> 0 THEN (s.context ->> 'awaiting')::numeric::loyalty.points END,
		   CASE WHEN s.rule_id <> 0 THEN s.context ->> 'decision' END
	FROM (SELECT e.*, loyalty.sum(e.points) OVER (ORDER BY e.seq) AS balance
		  FROM loyalty.entry e
		  WHERE e.member_id = loyalty.find_member($1, $4)) s
	LEFT JOIN loyalty.rule r ON r.rule_id = s.rule_id
	LEFT JOIN loyalty.source o ON o.source_id = s.source_id
	WHERE s.occurred_at >= coalesce($2, '-infinity') AND s.occurred_at < coalesce($3, 'infinity')
	ORDER BY s.seq
	$$;
COMMENT ON FUNCTION loyalty.statement(text, timestamptz, timestamptz, text) IS 'what happened to a member, and which rule gave what; balance is the sum of all points so far, pending ones too; awaiting: points of the rule that await confirmation since then; decision: accepted or rejected';
CREATE FUNCTION loyalty.statement(member bigint, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (entry bigint, occurred_at timestamptz, kind text, points loyalty.points, balance loyalty.points,
				   amount numeric, rule text, source text, purchase text, lots loyalty.purse, note text,
				   awaiting loyalty.points, decision text)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$ SELECT * FROM loyalty.statement($1::text, $2, $3, $4) $$;
COMMENT ON FUNCTION loyalty.statement(bigint, timestamptz, timestamptz, text) IS 'the same for a numeric customer id';
