--
-- reward: what points are redeemed for, one row each
--

CREATE TABLE loyalty.reward (
	reward_id integer GENERATED ALWAYS AS IDENTITY
		CONSTRAINT reward_pkey PRIMARY KEY
		CONSTRAINT reward_reward_id_check CHECK (reward_id > 0),
	program text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL CONSTRAINT reward_name_check CHECK (name <> ''),
	kind text NOT NULL DEFAULT 'product'
		CONSTRAINT reward_kind_check CHECK (kind IN ('discount', 'product', 'voucher', 'gift_card', 'cashback', 'store_credit', 'experience', 'donation')),
	title text,
	description text,
	cost loyalty.points,
	price numeric
		CONSTRAINT reward_price_check CHECK (price BETWEEN 0 AND 1e15),
	value numeric
		CONSTRAINT reward_value_check CHECK (value > 0 AND value <= 1e15),
	percent numeric
		CONSTRAINT reward_percent_check CHECK (percent > 0 AND percent <= 100),
	maximum numeric
		CONSTRAINT reward_maximum_check CHECK (maximum > 0 AND maximum <= 1e15),
	product text,
	condition text,
	active tstzrange NOT NULL DEFAULT '(,)'
		CONSTRAINT reward_active_check CHECK (NOT pg_catalog.isempty(active)),
	stock bigint
		CONSTRAINT reward_stock_check CHECK (stock BETWEEN 0 AND 1000000000000000),
	stock_period text NOT NULL DEFAULT 'ever'
		CONSTRAINT reward_stock_period_check CHECK (stock_period IN ('day', 'week', 'month', 'year', 'ever')),
	backorder boolean NOT NULL DEFAULT false,
	member_cap integer
		CONSTRAINT reward_member_cap_check CHECK (member_cap > 0),
	cap_period text NOT NULL DEFAULT 'ever'
		CONSTRAINT reward_cap_period_check CHECK (cap_period IN ('day', 'week', 'month', 'year', 'ever')),
	max_quantity integer
		CONSTRAINT reward_max_quantity_check CHECK (max_quantity > 0),
	needs_confirmation boolean NOT NULL DEFAULT false,
	needs_fulfillment boolean NOT NULL DEFAULT false,
	auto_wait interval
		CONSTRAINT reward_auto_wait_check CHECK (auto_wait > '0'),
	voucher boolean,
	pool text,
	valid_for interval
		CONSTRAINT reward_valid_for_check CHECK (valid_for > '0'),
	uses integer
		CONSTRAINT reward_uses_check CHECK (uses > 0),
	stored boolean,
	bearer boolean,
	min_amount numeric
		CONSTRAINT reward_min_amount_check CHECK (min_amount BETWEEN 0 AND 1e15),
	owner text COLLATE "C" NOT NULL DEFAULT CURRENT_USER,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT reward_name_key UNIQUE (program, name)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.reward', '');
ALTER TABLE loyalty.reward ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('loyalty.reward_reward_id_seq', '');
COMMENT ON SEQUENCE loyalty.reward_reward_id_seq IS 'numbers for reward.reward_id';

COMMENT ON TABLE loyalty.reward IS 'what points are redeemed for; what changes is for redemptions from then on';
COMMENT ON COLUMN loyalty.reward.reward_id IS 'number of the reward; redemptions name it';
COMMENT ON COLUMN loyalty.reward.program IS 'name of the program';
COMMENT ON COLUMN loyalty.reward.name IS 'what it is redeemed by; fixed once it has been';
COMMENT ON COLUMN loyalty.reward.kind IS 'discount, voucher and gift_card give a voucher by default; product, cashback, store_credit, experience and donation none';
COMMENT ON COLUMN loyalty.reward.title IS 'what people read';
COMMENT ON COLUMN loyalty.reward.description IS 'what more there is to say';
COMMENT ON COLUMN loyalty.reward.cost IS 'points for one; NULL: only as reward_option says';
COMMENT ON COLUMN loyalty.reward.price IS 'money asked beside the points, for one';
COMMENT ON COLUMN loyalty.reward.value IS 'money that it is worth: of the voucher, the cashback, the credit, the donation';
COMMENT ON COLUMN loyalty.reward.percent IS 'of a discount: 10 is a tenth off; in place of value';
COMMENT ON COLUMN loyalty.reward.maximum IS 'most that a percentage takes off';
COMMENT ON COLUMN loyalty.reward.product IS 'the shop''s own number of the product';
COMMENT ON COLUMN loyalty.reward.condition IS 'SQL expression over member.* and at: who may have it; immutable, run with the owner''s rights';
COMMENT ON COLUMN loyalty.reward.active IS 'when it can be redeemed';
COMMENT ON COLUMN loyalty.reward.stock IS 'units in all, those redeemed included, in a stock_period; NULL: any number';
COMMENT ON COLUMN loyalty.reward.stock_period IS 'day, week (from Monday), month, year or ever, in the program''s time zone: for each there is the stock anew';
COMMENT ON COLUMN loyalty.reward.backorder IS 'whether it can be redeemed while the stock is out, to be served later';
COMMENT ON COLUMN loyalty.reward.member_cap IS 'most units of one member in a cap_period';
COMMENT ON COLUMN loyalty.reward.cap_period IS 'day, week, month, year or ever';
COMMENT ON COLUMN loyalty.reward.max_quantity IS 'most units at once';
COMMENT ON COLUMN loyalty.reward.needs_confirmation IS 'a redemption is only requested until confirm_redemption()';
COMMENT ON COLUMN loyalty.reward.needs_fulfillment IS 'a redemption is not fulfilled until fulfill_redemption()';
COMMENT ON COLUMN loyalty.reward.auto_wait IS 'how long an automatic redemption waits; NULL: not at all';
COMMENT ON COLUMN loyalty.reward.voucher IS 'whether it gives a voucher; NULL: as its kind does';
COMMENT ON COLUMN loyalty.reward.pool IS 'pool that the voucher''s code comes from, under the pool''s terms; NULL: a code is made';
COMMENT ON COLUMN loyalty.reward.valid_for IS 'how long the voucher is valid; NULL: for ever';
COMMENT ON COLUMN loyalty.reward.uses IS 'how often it can be used; NULL: once, of a stored value as often as something is left';
COMMENT ON COLUMN loyalty.reward.stored IS 'whether what a use leaves of the value stays for the next; NULL: of kinds voucher and gift_card';
COMMENT ON COLUMN loyalty.reward.bearer IS 'whether it is for whoever has the code; NULL: of kind gift_card';
COMMENT ON COLUMN loyalty.reward.min_amount IS 'least amount that it can be used on';
COMMENT ON COLUMN loyalty.reward.owner IS 'role that wrote it, with whose rights its condition runs';
COMMENT ON COLUMN loyalty.reward.created_at IS 'when it was written';

CREATE TABLE loyalty.reward_option (
	program text COLLATE "C" NOT NULL,
	reward text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL
		CONSTRAINT reward_option_name_check CHECK (name NOT IN ('', 'base')),
	cost loyalty.points NOT NULL,
	price numeric
		CONSTRAINT reward_option_price_check CHECK (price BETWEEN 0 AND 1e15),
	tier text COLLATE "C",
	segment text,
	condition text,
	active tstzrange NOT NULL DEFAULT '(,)'
		CONSTRAINT reward_option_active_check CHECK (NOT pg_catalog.isempty(active)),
	owner text COLLATE "C" NOT NULL DEFAULT CURRENT_USER,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT reward_option_pkey PRIMARY KEY (program, reward, name)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.reward_option', '');
ALTER TABLE loyalty.reward_option ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.reward_option IS 'other ways to pay for rewards: by tier, segment or condition, in points or in points and money';
COMMENT ON COLUMN loyalty.reward_option.program IS 'name of the program';
COMMENT ON COLUMN loyalty.reward_option.reward IS 'name of the reward';
COMMENT ON COLUMN loyalty.reward_option.name IS 'name of the option; "base" is what the reward itself asks';
COMMENT ON COLUMN loyalty.reward_option.cost IS 'points for one';
COMMENT ON COLUMN loyalty.reward_option.price IS 'money asked beside the points, for one; such an option must be named';
COMMENT ON COLUMN loyalty.reward_option.tier IS 'only for members of this tier or a higher one';
COMMENT ON COLUMN loyalty.reward_option.segment IS 'only for members of this segment';
COMMENT ON COLUMN loyalty.reward_option.condition IS 'SQL expression over member.* and at: who may pay so; immutable, run with the owner''s rights';
COMMENT ON COLUMN loyalty.reward_option.active IS 'when one can pay so';
COMMENT ON COLUMN loyalty.reward_option.owner IS 'role that wrote it, with whose rights its condition runs';
COMMENT ON COLUMN loyalty.reward_option.created_at IS 'when it was written';

CREATE FUNCTION loyalty.reward_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_reward_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.reward_guard() IS 'refuses rewards that make no sense and changes that redemptions do not bear';
CREATE FUNCTION loyalty.reward_option_guard() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_reward_option_guard' LANGUAGE C;
COMMENT ON FUNCTION loyalty.reward_option_guard() IS 'refuses options that make no sense';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON loyalty.reward
	FOR EACH ROW EXECUTE FUNCTION loyalty.reward_guard();
COMMENT ON TRIGGER guard ON loyalty.reward IS 'refuses rewards that make no sense and changes that redemptions do not bear';
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON loyalty.reward
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.reward_guard();
COMMENT ON TRIGGER guard_truncate ON loyalty.reward IS 'rewards are not truncated';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON loyalty.reward
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.reward IS 'makes every session read rewards again';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON loyalty.reward_option
	FOR EACH ROW EXECUTE FUNCTION loyalty.reward_option_guard();
COMMENT ON TRIGGER guard ON loyalty.reward_option IS 'refuses options that make no sense';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.reward_option
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.reward_option IS 'makes every session read rewards again';

-- In slots like rule_budget: what is allotted to all of them is the stock that
-- each names, and from none more is taken than was allotted to it.
CREATE TABLE loyalty.reward_stock (
	reward_id integer NOT NULL,
	period date NOT NULL,
	slot smallint NOT NULL,
	stock bigint NOT NULL DEFAULT 0,
	allotted bigint NOT NULL DEFAULT 0,
	taken bigint NOT NULL DEFAULT 0,
	CONSTRAINT reward_stock_pkey PRIMARY KEY (reward_id, period, slot)
) WITH (fillfactor = 50);
SELECT pg_catalog.pg_extension_config_dump('loyalty.reward_stock', '');
ALTER TABLE loyalty.reward_stock ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.reward_stock IS 'stock of rewards with what was taken of it, in slots; written only by the engine';
COMMENT ON COLUMN loyalty.reward_stock.reward_id IS 'the reward';
COMMENT ON COLUMN loyalty.reward_stock.period IS 'first day of the period; -infinity: one stock for ever';
COMMENT ON COLUMN loyalty.reward_stock.slot IS 'number of the slot, from 0';
COMMENT ON COLUMN loyalty.reward_stock.stock IS 'the whole stock from which the slots were allotted';
COMMENT ON COLUMN loyalty.reward_stock.allotted IS 'this slot''s part of it';
COMMENT ON COLUMN loyalty.reward_stock.taken IS 'units taken from this slot, less what came back';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.reward_stock
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.reward_stock IS 'written only by the engine';

CREATE VIEW loyalty.stock WITH (security_barrier = true) AS
	SELECT r.program, r.name AS reward, s.period, r.stock, s.taken,
		   greatest(r.stock OPERATOR(pg_catalog.-) s.taken, 0) AS left_over
	FROM loyalty.reward r
	JOIN (SELECT b.reward_id, b.period, pg_catalog.sum(b.taken)::pg_catalog.int8 AS taken
		  FROM loyalty.reward_stock b GROUP BY b.reward_id, b.period) s
	  ON s.reward_id OPERATOR(pg_catalog.=) r.reward_id
	WHERE loyalty.may_read(r.program)
	ORDER BY r.program, r.name, s.period;
COMMENT ON VIEW loyalty.stock IS 'stock of rewards and what is left of it; where nothing was taken yet there is no row';
COMMENT ON COLUMN loyalty.stock.program IS 'name of the program';
COMMENT ON COLUMN loyalty.stock.reward IS 'name of the reward';
COMMENT ON COLUMN loyalty.stock.period IS 'first day of the period; -infinity: one stock for ever';
COMMENT ON COLUMN loyalty.stock.stock IS 'units in all; NULL: any number by now';
COMMENT ON COLUMN loyalty.stock.taken IS 'units taken, less what came back';
COMMENT ON COLUMN loyalty.stock.left_over IS 'units that can still be taken';
