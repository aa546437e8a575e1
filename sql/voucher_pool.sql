--
-- voucher_pool: codes that a supplier made, and what they are good for
--

CREATE TABLE loyalty.voucher_pool (
	program text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL
		CONSTRAINT voucher_pool_name_check CHECK (name <> ''),
	kind text NOT NULL
		CONSTRAINT voucher_pool_kind_check CHECK (kind IN ('value', 'percentage', 'product', 'points')),
	value numeric
		CONSTRAINT voucher_pool_value_check CHECK (value > 0 AND value < 'Infinity'),
	stored boolean NOT NULL DEFAULT false,
	percent numeric
		CONSTRAINT voucher_pool_percent_check CHECK (percent > 0 AND percent <= 100),
	maximum numeric
		CONSTRAINT voucher_pool_maximum_check CHECK (maximum > 0 AND maximum < 'Infinity'),
	product text
		CONSTRAINT voucher_pool_product_check CHECK (product <> ''),
	points loyalty.points
		CONSTRAINT voucher_pool_points_check CHECK (points OPERATOR(loyalty.>) 0),
	uses integer DEFAULT 1
		CONSTRAINT voucher_pool_uses_check CHECK (uses > 0),
	per_member integer
		CONSTRAINT voucher_pool_per_member_check CHECK (per_member > 0),
	min_amount numeric
		CONSTRAINT voucher_pool_min_amount_check CHECK (min_amount >= 0 AND min_amount < 'Infinity'),
	valid_from timestamptz,
	valid_until timestamptz,
	valid_for interval
		CONSTRAINT voucher_pool_valid_for_check CHECK (valid_for > '0'),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT voucher_pool_pkey PRIMARY KEY (program, name),
	CONSTRAINT voucher_pool_terms_check CHECK (
		(value IS NOT NULL) = (kind = 'value') AND (percent IS NOT NULL) = (kind = 'percentage')
		AND (product IS NOT NULL) = (kind = 'product') AND (points IS NOT NULL) = (kind = 'points')
		AND (kind = 'value' OR NOT stored) AND (kind = 'percentage' OR maximum IS NULL))
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.voucher_pool', '');
ALTER TABLE loyalty.voucher_pool ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.voucher_pool IS 'pools of codes that a supplier made; edited with INSERT, UPDATE and DELETE, for codes that are handed out from then on';
COMMENT ON COLUMN loyalty.voucher_pool.program IS 'name of the program';
COMMENT ON COLUMN loyalty.voucher_pool.name IS 'what import_vouchers, issue_voucher and rewards call it; fixed once it has codes';
COMMENT ON COLUMN loyalty.voucher_pool.kind IS 'value, percentage, product, points';
COMMENT ON COLUMN loyalty.voucher_pool.value IS 'amount that each of its codes is worth, in the program''s currency';
COMMENT ON COLUMN loyalty.voucher_pool.stored IS 'what a use leaves of the value stays for the next one';
COMMENT ON COLUMN loyalty.voucher_pool.percent IS 'part of an amount that a percentage takes: 10 is a tenth';
COMMENT ON COLUMN loyalty.voucher_pool.maximum IS 'most that one use of a percentage takes; NULL: any amount';
COMMENT ON COLUMN loyalty.voucher_pool.product IS 'the product that a code pays for';
COMMENT ON COLUMN loyalty.voucher_pool.points IS 'points that a code gives';
COMMENT ON COLUMN loyalty.voucher_pool.uses IS 'how often a code can be used; NULL: any number of times';
COMMENT ON COLUMN loyalty.voucher_pool.per_member IS 'how often one member can use a code; NULL: as often as it can be used';
COMMENT ON COLUMN loyalty.voucher_pool.min_amount IS 'least amount that a code can be used on; NULL: any';
COMMENT ON COLUMN loyalty.voucher_pool.valid_from IS 'not before; NULL: at once';
COMMENT ON COLUMN loyalty.voucher_pool.valid_until IS 'from then on no more; NULL: for ever';
COMMENT ON COLUMN loyalty.voucher_pool.valid_for IS 'how long after it was handed out; NULL: without such an end';
COMMENT ON COLUMN loyalty.voucher_pool.created_at IS 'when the pool was written';

CREATE FUNCTION loyalty.voucher_pool_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_voucher_pool_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.voucher_pool_guard() IS 'refuses pools that make no sense, and keeps those that have codes';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON loyalty.voucher_pool
	FOR EACH ROW EXECUTE FUNCTION loyalty.voucher_pool_guard();
COMMENT ON TRIGGER guard ON loyalty.voucher_pool IS 'refuses pools that make no sense, and keeps those that have codes';
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON loyalty.voucher_pool
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.voucher_pool_guard();
COMMENT ON TRIGGER guard_truncate ON loyalty.voucher_pool IS 'pools are not thrown away wholesale';

CREATE FUNCTION loyalty.import_vouchers(pool text, codes text[], key text DEFAULT NULL, program text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_import_vouchers' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.import_vouchers(text, text[], text, text) IS 'adds a supplier''s codes to a pool and answers how many were new; with a key, how many it has brought in all';

CREATE VIEW loyalty.voucher_stock WITH (security_barrier = true) AS
	SELECT p.program, p.name AS pool,
		   pg_catalog.count(v.hash) FILTER (WHERE v.issued_at IS NULL AND v.void_at IS NULL) AS available,
		   pg_catalog.count(v.hash) FILTER (WHERE v.issued_at IS NOT NULL) AS handed_out,
		   pg_catalog.count(v.hash) FILTER (WHERE v.issued_at IS NULL AND v.void_at IS NOT NULL) AS void
	FROM loyalty.voucher_pool p
	LEFT JOIN loyalty.program g ON g.name OPERATOR(pg_catalog.=) p.program
	LEFT JOIN loyalty.voucher v ON v.program_id OPERATOR(pg_catalog.=) g.program_id AND v.pool OPERATOR(pg_catalog.=) p.name
	WHERE loyalty.may_read(p.program)
	GROUP BY p.program, p.name
	ORDER BY p.program, p.name;
COMMENT ON VIEW loyalty.voucher_stock IS 'pools and how many of their codes can still be handed out';
COMMENT ON COLUMN loyalty.voucher_stock.program IS 'name of the program';
COMMENT ON COLUMN loyalty.voucher_stock.pool IS 'name of the pool';
COMMENT ON COLUMN loyalty.voucher_stock.available IS 'codes that can be handed out';
COMMENT ON COLUMN loyalty.voucher_stock.handed_out IS 'codes that have been handed out';
COMMENT ON COLUMN loyalty.voucher_stock.void IS 'codes that became void before that';
