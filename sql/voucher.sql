--
-- voucher: codes that are worth something, and what became of them
--

-- Looked up by the hash of the code, which is not in the table.  member_id
-- follows the person; (redeemer_id, seq) is the redemption's own name for ever.
-- fillfactor leaves room for the next version of a voucher on its page (HOT).
CREATE TABLE loyalty.voucher (
	hash bytea NOT NULL
		CONSTRAINT voucher_hash_check CHECK (pg_catalog.octet_length(hash) = 32),
	member_id bigint,
	redeemer_id bigint,
	seq bigint,
	program_id integer NOT NULL,
	bearer boolean NOT NULL,
	kind text NOT NULL
		CONSTRAINT voucher_kind_check CHECK (kind IN ('value', 'percentage', 'product', 'points')),
	value numeric
		CONSTRAINT voucher_value_check CHECK (value > 0 AND value < 'Infinity'),
	stored boolean NOT NULL,
	percent numeric
		CONSTRAINT voucher_percent_check CHECK (percent > 0 AND percent <= 100),
	maximum numeric
		CONSTRAINT voucher_maximum_check CHECK (maximum > 0 AND maximum < 'Infinity'),
	product text
		CONSTRAINT voucher_product_check CHECK (product <> ''),
	points loyalty.points
		CONSTRAINT voucher_points_check CHECK (points OPERATOR(loyalty.>) 0),
	uses integer
		CONSTRAINT voucher_uses_check CHECK (uses > 0),
	per_member integer
		CONSTRAINT voucher_per_member_check CHECK (per_member > 0),
	min_amount numeric
		CONSTRAINT voucher_min_amount_check CHECK (min_amount >= 0 AND min_amount < 'Infinity'),
	valid_from timestamptz,
	valid_until timestamptz,
	remaining numeric,
	used integer NOT NULL DEFAULT 0,
	last_use integer NOT NULL DEFAULT 0,
	last_return integer NOT NULL DEFAULT 0,
	issued_at timestamptz,
	recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	void_at timestamptz,
	void_reason text,
	pool text COLLATE "C",
	delivery text COLLATE "C",
	hint text NOT NULL,
	code bytea,
	sealed boolean NOT NULL DEFAULT false,
	key text COLLATE "C",
	note text,
	nonce bytea,
	CONSTRAINT voucher_pkey PRIMARY KEY (hash),
	CONSTRAINT voucher_terms_check CHECK (
		(value IS NOT NULL) = (kind = 'value') AND (percent IS NOT NULL) = (kind = 'percentage')
		AND (product IS NOT NULL) = (kind = 'product') AND (points IS NOT NULL) = (kind = 'points')
		AND (kind = 'value' OR NOT stored) AND (kind = 'percentage' OR maximum IS NULL)),
	CONSTRAINT voucher_remaining_check CHECK ((remaining IS NOT NULL) = stored AND remaining BETWEEN 0 AND value),
	CONSTRAINT voucher_used_check CHECK (used BETWEEN 0 AND last_use AND used <= uses),
	CONSTRAINT voucher_bearer_check CHECK (bearer OR member_id IS NOT NULL OR issued_at IS NULL),
	CONSTRAINT voucher_redemption_check CHECK ((redeemer_id IS NULL) = (seq IS NULL)),
	CONSTRAINT voucher_stock_check CHECK (pool IS NOT NULL OR (issued_at IS NOT NULL AND code IS NULL))
) WITH (fillfactor = 80);
SELECT pg_catalog.pg_extension_config_dump('loyalty.voucher', '');
ALTER TABLE loyalty.voucher ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.voucher IS 'vouchers, and codes that are in a pool still, by the hash of their code; written only by the engine';
COMMENT ON COLUMN loyalty.voucher.hash IS 'sha256 of the code: loyalty.voucher_hash() of one of our own; of any other, of its text without blanks around it, in UTF-8';
COMMENT ON COLUMN loyalty.voucher.member_id IS 'whose it is; of a bearer voucher to whom it was given; NULL: to nobody that we know';
COMMENT ON COLUMN loyalty.voucher.redeemer_id IS 'member whose redemption it comes from; NULL: from none';
COMMENT ON COLUMN loyalty.voucher.seq IS 'number of that redemption''s entry';
COMMENT ON COLUMN loyalty.voucher.program_id IS 'the program, whose currency amounts are in';
COMMENT ON COLUMN loyalty.voucher.bearer IS 'for whoever has the code; else for its member only';
COMMENT ON COLUMN loyalty.voucher.kind IS 'value, percentage, product, points';
COMMENT ON COLUMN loyalty.voucher.value IS 'amount that a voucher of value is worth: in all, or where nothing is stored at each use';
COMMENT ON COLUMN loyalty.voucher.stored IS 'what a use leaves of the value stays for the next one';
COMMENT ON COLUMN loyalty.voucher.percent IS 'part of an amount that a percentage takes: 10 is a tenth';
COMMENT ON COLUMN loyalty.voucher.maximum IS 'most that one use of a percentage takes; NULL: any amount';
COMMENT ON COLUMN loyalty.voucher.product IS 'the product that it pays for';
COMMENT ON COLUMN loyalty.voucher.points IS 'points that each use gives to the member who uses it';
COMMENT ON COLUMN loyalty.voucher.uses IS 'how often it can be used; NULL: any number of times';
COMMENT ON COLUMN loyalty.voucher.per_member IS 'how often one member can use it; NULL: as often as it can be used';
COMMENT ON COLUMN loyalty.voucher.min_amount IS 'least amount that it can be used on; NULL: any';
COMMENT ON COLUMN loyalty.voucher.valid_from IS 'not before; NULL: at once';
COMMENT ON COLUMN loyalty.voucher.valid_until IS 'from then on no more; NULL: for ever';
COMMENT ON COLUMN loyalty.voucher.remaining IS 'what is left of a stored value';
COMMENT ON COLUMN loyalty.voucher.used IS 'uses that stand; one that was given back whole does not';
COMMENT ON COLUMN loyalty.voucher.last_use IS 'number of its last use';
COMMENT ON COLUMN loyalty.voucher.last_return IS 'number of its last return';
COMMENT ON COLUMN loyalty.voucher.issued_at IS 'when it was issued; NULL: it is in its pool still';
COMMENT ON COLUMN loyalty.voucher.recorded_at IS 'when it was made or imported, whatever time was given';
COMMENT ON COLUMN loyalty.voucher.void_at IS 'when it became void; NULL: it is not';
COMMENT ON COLUMN loyalty.voucher.void_reason IS 'why it is void';
COMMENT ON COLUMN loyalty.voucher.pool IS 'name of the pool that its code was imported into; NULL: the code was made here';
COMMENT ON COLUMN loyalty.voucher.delivery IS 'key of the import that brought it';
COMMENT ON COLUMN loyalty.voucher.hint IS 'four characters by which people tell vouchers apart; from the hash, so they say nothing about the code';
COMMENT ON COLUMN loyalty.voucher.code IS 'an imported code: until it is handed out, and if sealed for ever';
COMMENT ON COLUMN loyalty.voucher.sealed IS 'nobody can read the code without loyalty.voucher_secret';
COMMENT ON COLUMN loyalty.voucher.key IS 'idempotency key of issue_voucher';
COMMENT ON COLUMN loyalty.voucher.note IS 'reason given for it';
COMMENT ON COLUMN loyalty.voucher.nonce IS 'random bytes that its code was derived with; NULL: it was not derived';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.voucher
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.voucher IS 'written only by the engine';

CREATE INDEX voucher_member_idx ON loyalty.voucher (member_id) WHERE member_id IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_member_idx IS 'where a member finds his vouchers';
CREATE UNIQUE INDEX voucher_redemption_idx ON loyalty.voucher (redeemer_id, seq) WHERE redeemer_id IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_redemption_idx IS 'where a redemption finds its voucher';
CREATE UNIQUE INDEX voucher_key_idx ON loyalty.voucher (program_id, key) WHERE key IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_key_idx IS 'a key issues one voucher';
CREATE INDEX voucher_stock_idx ON loyalty.voucher (program_id, pool, hash) WHERE issued_at IS NULL AND void_at IS NULL;
COMMENT ON INDEX loyalty.voucher_stock_idx IS 'where codes that can be handed out are found';
CREATE INDEX voucher_delivery_idx ON loyalty.voucher (program_id, pool, delivery) WHERE pool IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_delivery_idx IS 'what an import brought';

CREATE TABLE loyalty.voucher_use (
	hash bytea NOT NULL,
	use_no integer NOT NULL,
	program_id integer NOT NULL,
	member_id bigint,
	seq bigint,
	amount numeric,
	taken numeric NOT NULL
		CONSTRAINT voucher_use_taken_check CHECK (taken > 0 AND taken < 'Infinity'),
	given_back numeric NOT NULL DEFAULT 0,
	remaining numeric,
	at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	purchase text COLLATE "C",
	key text COLLATE "C",
	note text,
	CONSTRAINT voucher_use_pkey PRIMARY KEY (hash, use_no),
	CONSTRAINT voucher_use_given_back_check CHECK (given_back BETWEEN 0 AND taken)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.voucher_use', '');
ALTER TABLE loyalty.voucher_use ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.voucher_use IS 'what vouchers were used for; written only by the engine';
COMMENT ON COLUMN loyalty.voucher_use.hash IS 'the voucher, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.voucher_use.use_no IS 'number of the use, from 1';
COMMENT ON COLUMN loyalty.voucher_use.program_id IS 'the program';
COMMENT ON COLUMN loyalty.voucher_use.member_id IS 'who used it; NULL: nobody was named';
COMMENT ON COLUMN loyalty.voucher_use.seq IS 'number of his entry with the points of a points voucher';
COMMENT ON COLUMN loyalty.voucher_use.amount IS 'amount that it was used on; NULL: unknown';
COMMENT ON COLUMN loyalty.voucher_use.taken IS 'what it paid of the amount, or the points that it gave';
COMMENT ON COLUMN loyalty.voucher_use.given_back IS 'what returns have given back of it';
COMMENT ON COLUMN loyalty.voucher_use.remaining IS 'what the use left of the value';
COMMENT ON COLUMN loyalty.voucher_use.at IS 'when it was used';
COMMENT ON COLUMN loyalty.voucher_use.recorded_at IS 'when that was written down, whatever time was given';
COMMENT ON COLUMN loyalty.voucher_use.purchase IS 'key of the purchase that it paid for';
COMMENT ON COLUMN loyalty.voucher_use.key IS 'idempotency key';
COMMENT ON COLUMN loyalty.voucher_use.note IS 'reason given for it';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.voucher_use
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history', 'given_back', 'note');
COMMENT ON TRIGGER guard ON loyalty.voucher_use IS 'history is never rewritten';

CREATE UNIQUE INDEX voucher_use_key_idx ON loyalty.voucher_use (program_id, key) WHERE key IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_use_key_idx IS 'a key uses one voucher once';
CREATE INDEX voucher_use_member_idx ON loyalty.voucher_use (hash, member_id) WHERE member_id IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_use_member_idx IS 'where uses of one member are counted';
CREATE INDEX voucher_use_by_idx ON loyalty.voucher_use (member_id) WHERE member_id IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_use_by_idx IS 'what a member has used';

CREATE INDEX voucher_use_person_idx ON loyalty.voucher_use (member_id, recorded_at) WHERE member_id IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_use_person_idx IS 'what a member has used within a time';

CREATE TABLE loyalty.voucher_return (
	hash bytea NOT NULL,
	return_no integer NOT NULL,
	use_no integer NOT NULL,
	program_id integer NOT NULL,
	seq bigint,
	amount numeric NOT NULL
		CONSTRAINT voucher_return_amount_check CHECK (amount > 0 AND amount < 'Infinity'),
	asked numeric,
	remaining numeric,
	at timestamptz NOT NULL,
	purchase text COLLATE "C",
	key text COLLATE "C",
	note text,
	CONSTRAINT voucher_return_pkey PRIMARY KEY (hash, return_no)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.voucher_return', '');
ALTER TABLE loyalty.voucher_return ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.voucher_return IS 'what was given back of uses of vouchers; written only by the engine';
COMMENT ON COLUMN loyalty.voucher_return.hash IS 'the voucher, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.voucher_return.return_no IS 'number of the return, from 1';
COMMENT ON COLUMN loyalty.voucher_return.use_no IS 'the use that it gives back';
COMMENT ON COLUMN loyalty.voucher_return.program_id IS 'the program';
COMMENT ON COLUMN loyalty.voucher_return.seq IS 'number of the entry that took the points of a points voucher back';
COMMENT ON COLUMN loyalty.voucher_return.amount IS 'what was given back';
COMMENT ON COLUMN loyalty.voucher_return.asked IS 'how much was asked for; NULL: all that was left';
COMMENT ON COLUMN loyalty.voucher_return.remaining IS 'what the value came to by it';
COMMENT ON COLUMN loyalty.voucher_return.at IS 'when it was given back';
COMMENT ON COLUMN loyalty.voucher_return.purchase IS 'key of the purchase that was named; NULL: none';
COMMENT ON COLUMN loyalty.voucher_return.key IS 'idempotency key';
COMMENT ON COLUMN loyalty.voucher_return.note IS 'reason given for it';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.voucher_return
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history', 'note');
COMMENT ON TRIGGER guard ON loyalty.voucher_return IS 'history is never rewritten';

CREATE UNIQUE INDEX voucher_return_key_idx ON loyalty.voucher_return (program_id, key) WHERE key IS NOT NULL;
COMMENT ON INDEX loyalty.voucher_return_key_idx IS 'a key gives back once';

CREATE FUNCTION loyalty.issue_voucher(member text DEFAULT NULL, kind text DEFAULT NULL, value numeric DEFAULT NULL,
									  percent numeric DEFAULT NULL, maximum numeric DEFAULT NULL, product text DEFAULT NULL,
									  points numeric DEFAULT NULL, uses integer DEFAULT NULL, per_member integer DEFAULT NULL,
									  stored boolean DEFAULT NULL, min_amount numeric DEFAULT NULL,
									  valid_from timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL,
									  valid_for interval DEFAULT NULL, pool text DEFAULT NULL, reason text DEFAULT NULL,
									  key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL,
									  OUT code text, OUT hint text, OUT repeated boolean, OUT why text)
	AS 'MODULE_PATHNAME', 'loyalty_issue_voucher' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.issue_voucher(text, text, numeric, numeric, numeric, text, numeric, integer, integer, boolean, numeric, timestamptz, timestamptz, interval, text, text, text, timestamptz, text) IS 'issues a voucher for a member, or for whoever has its code; why: what keeps the code from being shown again';
CREATE FUNCTION loyalty.issue_voucher(member bigint, kind text DEFAULT NULL, value numeric DEFAULT NULL,
									  percent numeric DEFAULT NULL, maximum numeric DEFAULT NULL, product text DEFAULT NULL,
									  points numeric DEFAULT NULL, uses integer DEFAULT NULL, per_member integer DEFAULT NULL,
									  stored boolean DEFAULT NULL, min_amount numeric DEFAULT NULL,
									  valid_from timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL,
									  valid_for interval DEFAULT NULL, pool text DEFAULT NULL, reason text DEFAULT NULL,
									  key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL,
									  OUT code text, OUT hint text, OUT repeated boolean, OUT why text)
	AS 'MODULE_PATHNAME', 'loyalty_issue_voucher' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.issue_voucher(bigint, text, numeric, numeric, numeric, text, numeric, integer, integer, boolean, numeric, timestamptz, timestamptz, interval, text, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.use_voucher(code text, amount numeric DEFAULT NULL, member text DEFAULT NULL, purchase text DEFAULT NULL,
									reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL,
									program text DEFAULT NULL,
									OUT taken numeric, OUT "left" numeric, OUT use_no integer, OUT repeated boolean,
									OUT kind text, OUT product text)
	AS 'MODULE_PATHNAME', 'loyalty_use_voucher' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.use_voucher(text, numeric, text, text, text, text, timestamptz, text) IS 'takes from a voucher what fits an amount; left: what is left of its value; LY025 says why it cannot be used';
CREATE FUNCTION loyalty.use_voucher(code text, amount numeric, member bigint, purchase text DEFAULT NULL,
									reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL,
									program text DEFAULT NULL,
									OUT taken numeric, OUT "left" numeric, OUT use_no integer, OUT repeated boolean,
									OUT kind text, OUT product text)
	AS 'MODULE_PATHNAME', 'loyalty_use_voucher' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.use_voucher(text, numeric, bigint, text, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.return_voucher(code text, amount numeric DEFAULT NULL, purchase text DEFAULT NULL,
									   reason text DEFAULT NULL, key text DEFAULT NULL, at timestamptz DEFAULT NULL,
									   program text DEFAULT NULL,
									   OUT given_back numeric, OUT "left" numeric, OUT use_no integer, OUT repeated boolean)
	AS 'MODULE_PATHNAME', 'loyalty_return_voucher' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.return_voucher(text, numeric, text, text, text, timestamptz, text) IS 'gives back what the latest use of a voucher for a purchase (NULL: for any) took, or an amount of it; never more than was taken';

CREATE FUNCTION loyalty.void_voucher(code text, reason text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL,
									 OUT hint text, OUT void_at timestamptz, OUT "left" numeric, OUT repeated boolean)
	AS 'MODULE_PATHNAME', 'loyalty_void_voucher' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.void_voucher(text, text, timestamptz, text) IS 'makes a voucher void: it cannot be used any more; again it answers the same';

CREATE FUNCTION loyalty.voucher(code text, at timestamptz DEFAULT NULL, program text DEFAULT NULL,
								OUT hint text, OUT state text, OUT kind text, OUT value numeric, OUT stored boolean, OUT "left" numeric,
								OUT percent numeric, OUT maximum numeric, OUT product text, OUT points loyalty.points,
								OUT uses integer, OUT used integer, OUT per_member integer, OUT min_amount numeric,
								OUT member text, OUT bearer boolean, OUT valid_from timestamptz, OUT valid_until timestamptz,
								OUT issued_at timestamptz, OUT void_at timestamptz, OUT void_reason text, OUT pool text, OUT note text)
	AS 'MODULE_PATHNAME', 'loyalty_voucher' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.voucher(text, timestamptz, text) IS 'what a voucher is good for and how it stands: usable, used up, void, expired, not yet valid or in its pool; changes nothing';

CREATE FUNCTION loyalty.vouchers(member text, amount numeric DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (hint text, code text, kind text, takes numeric, "left" numeric, percent numeric, maximum numeric, product text,
				   points loyalty.points, uses_left integer, min_amount numeric, valid_until timestamptz, bearer boolean)
	AS 'MODULE_PATHNAME', 'loyalty_vouchers' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.vouchers(text, numeric, timestamptz, text) IS 'vouchers that a member could use now, the soonest to expire first; takes: what each would take of an amount; code: where it can be worked out again';
CREATE FUNCTION loyalty.vouchers(member bigint, amount numeric DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (hint text, code text, kind text, takes numeric, "left" numeric, percent numeric, maximum numeric, product text,
				   points loyalty.points, uses_left integer, min_amount numeric, valid_until timestamptz, bearer boolean)
	AS 'MODULE_PATHNAME', 'loyalty_vouchers' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.vouchers(bigint, numeric, timestamptz, text) IS 'the same for a numeric customer id';
