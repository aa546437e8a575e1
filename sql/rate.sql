--
-- rate: what other currencies are worth in a program's own
--

CREATE TABLE loyalty.currency_rate (
	program text COLLATE "C" NOT NULL,
	currency text COLLATE "C" NOT NULL
		CONSTRAINT currency_rate_currency_check CHECK (currency <> ''),
	-- NaN is greater than Infinity.
	rate numeric NOT NULL
		CONSTRAINT currency_rate_rate_check CHECK (rate > 0 AND rate < 'Infinity'),
	valid tstzrange NOT NULL DEFAULT '(,)'
		CONSTRAINT currency_rate_valid_check CHECK (NOT pg_catalog.isempty(valid)),
	CONSTRAINT currency_rate_pkey PRIMARY KEY (program, currency, valid)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.currency_rate', '');
ALTER TABLE loyalty.currency_rate ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE loyalty.currency_rate IS 'what other currencies are worth in a program''s own; edited freely, for purchases yet to come';
COMMENT ON COLUMN loyalty.currency_rate.program IS 'name of the program';
COMMENT ON COLUMN loyalty.currency_rate.currency IS 'a currency of purchase amounts, other than the program''s own; for instance EUR';
COMMENT ON COLUMN loyalty.currency_rate.rate IS 'what one unit of it is worth in the program''s own currency';
COMMENT ON COLUMN loyalty.currency_rate.valid IS 'purchases of this time range are converted by it; rates of one currency do not overlap';

CREATE FUNCTION loyalty.rate_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_rate_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.rate_guard() IS 'refuses rates that make no sense, and two of them at one time';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON loyalty.currency_rate
	FOR EACH ROW EXECUTE FUNCTION loyalty.rate_guard();
COMMENT ON TRIGGER guard ON loyalty.currency_rate IS 'refuses rates that make no sense';
-- Takes the lock without which two sessions would not see each other's rates.
CREATE TRIGGER guard_order BEFORE INSERT OR UPDATE ON loyalty.currency_rate
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.rate_guard();
COMMENT ON TRIGGER guard_order ON loyalty.currency_rate IS 'lets one transaction at a time write rates, so that each sees those of the one before';
-- Afterwards, so that one statement may move several rates along.
CREATE TRIGGER guard_overlap AFTER INSERT OR UPDATE ON loyalty.currency_rate
	FOR EACH ROW EXECUTE FUNCTION loyalty.rate_guard();
COMMENT ON TRIGGER guard_overlap ON loyalty.currency_rate IS 'keeps rates of a currency apart in time';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.currency_rate
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.currency_rate IS 'makes every session read rates again';
