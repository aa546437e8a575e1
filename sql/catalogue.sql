--
-- catalogue: what a member can have for his points
--

CREATE FUNCTION loyalty.catalogue(member text, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (reward text, title text, kind text, option text, cost loyalty.points, price numeric,
				   available bigint, missing loyalty.points, why text)
	AS 'MODULE_PATHNAME', 'loyalty_catalogue' LANGUAGE C STABLE;
COMMENT ON FUNCTION loyalty.catalogue(text, timestamptz, text) IS 'rewards, with how many units the member could redeem: first what he can have, then what he is close to by the points that are missing, then the rest, and why not';
CREATE FUNCTION loyalty.catalogue(member bigint, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (reward text, title text, kind text, option text, cost loyalty.points, price numeric,
				   available bigint, missing loyalty.points, why text)
	AS 'MODULE_PATHNAME', 'loyalty_catalogue' LANGUAGE C STABLE;
COMMENT ON FUNCTION loyalty.catalogue(bigint, timestamptz, text) IS 'the same for a numeric customer id';
