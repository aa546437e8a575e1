--
-- spend: points as money at the till
--

CREATE FUNCTION loyalty.spend(member text, points numeric, purchase text DEFAULT NULL, amount numeric DEFAULT NULL,
							  reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL,
							  program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_spend' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.spend(text, numeric, text, numeric, text, text, timestamptz, text) IS 'pays with points, soonest to expire first, under the program''s limits; purchase is the key of what they pay for, amount what it comes to';
CREATE FUNCTION loyalty.spend(member bigint, points numeric, purchase text DEFAULT NULL, amount numeric DEFAULT NULL,
							  reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL,
							  program text DEFAULT NULL) RETURNS loyalty.posting
	AS 'MODULE_PATHNAME', 'loyalty_spend' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.spend(bigint, numeric, text, numeric, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.payable(member text, amount numeric, points numeric DEFAULT NULL, at timestamptz DEFAULT NULL,
								program text DEFAULT NULL, OUT points loyalty.points, OUT value numeric,
								OUT points_needed loyalty.points, OUT why text)
	AS 'MODULE_PATHNAME', 'loyalty_payable' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.payable(text, numeric, numeric, timestamptz, text) IS 'how many points a member can spend on a new purchase of an amount (at most the points given), what they pay, how many would pay all of it, and what keeps it from being more (NULL: all is paid)';
CREATE FUNCTION loyalty.payable(member bigint, amount numeric, points numeric DEFAULT NULL, at timestamptz DEFAULT NULL,
								program text DEFAULT NULL, OUT points loyalty.points, OUT value numeric,
								OUT points_needed loyalty.points, OUT why text)
	AS 'MODULE_PATHNAME', 'loyalty_payable' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.payable(bigint, numeric, numeric, timestamptz, text) IS 'the same for a numeric customer id';
