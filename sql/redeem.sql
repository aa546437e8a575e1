--
-- redeem: rewards for points, and what becomes of the redemptions
--

CREATE TABLE loyalty.redemption (
	member_id bigint NOT NULL,
	seq bigint NOT NULL,
	points loyalty.points NOT NULL,
	requested_at timestamptz NOT NULL,
	confirmed_at timestamptz,
	fulfilled_at timestamptz,
	cancelled_at timestamptz,
	program_id integer NOT NULL,
	reward_id integer NOT NULL,
	quantity integer NOT NULL,
	returned integer NOT NULL DEFAULT 0,
	backordered integer NOT NULL DEFAULT 0,
	stocked integer NOT NULL DEFAULT 0,
	stock_period date,
	price numeric,
	status text COLLATE "C" NOT NULL,
	option text NOT NULL,
	voucher_issued boolean,
	automatic boolean NOT NULL DEFAULT false,
	purchase text,
	requested_by text,
	confirmed_by text,
	fulfilled_by text,
	cancelled_by text,
	reference text,
	note text,
	CONSTRAINT redemption_pkey PRIMARY KEY (member_id, seq)
) WITH (fillfactor = 90);
SELECT pg_catalog.pg_extension_config_dump('loyalty.redemption', '');
ALTER TABLE loyalty.redemption ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.redemption IS 'what was redeemed, a row beside each entry that took the points; written only by the engine';
COMMENT ON COLUMN loyalty.redemption.member_id IS 'the member, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.redemption.seq IS 'number of the entry, which is the redemption''s number for its member';
COMMENT ON COLUMN loyalty.redemption.points IS 'points that it took';
COMMENT ON COLUMN loyalty.redemption.requested_at IS 'when it was redeemed';
COMMENT ON COLUMN loyalty.redemption.confirmed_at IS 'when it was confirmed, by somebody or by itself';
COMMENT ON COLUMN loyalty.redemption.fulfilled_at IS 'when the member had it';
COMMENT ON COLUMN loyalty.redemption.cancelled_at IS 'when all of it had gone back';
COMMENT ON COLUMN loyalty.redemption.program_id IS 'the program';
COMMENT ON COLUMN loyalty.redemption.reward_id IS 'the reward';
COMMENT ON COLUMN loyalty.redemption.quantity IS 'units redeemed';
COMMENT ON COLUMN loyalty.redemption.returned IS 'units that went back since';
COMMENT ON COLUMN loyalty.redemption.backordered IS 'units that wait for stock';
COMMENT ON COLUMN loyalty.redemption.stocked IS 'units that stand taken from the stock; 0 where the reward had any number';
COMMENT ON COLUMN loyalty.redemption.stock_period IS 'the stock''s period that they were taken from; NULL: none were';
COMMENT ON COLUMN loyalty.redemption.price IS 'money asked beside the points, for all units; NULL: none';
COMMENT ON COLUMN loyalty.redemption.status IS 'requested, confirmed, fulfilled or cancelled';
COMMENT ON COLUMN loyalty.redemption.option IS 'how it was paid: name of the reward''s option, or base';
COMMENT ON COLUMN loyalty.redemption.voucher_issued IS 'whether its voucher was issued; false: confirm_redemption() issues and shows it; NULL: it has none, or not yet';
COMMENT ON COLUMN loyalty.redemption.automatic IS 'whether the engine redeemed what the member had chosen';
COMMENT ON COLUMN loyalty.redemption.purchase IS 'key of the purchase that it is for';
COMMENT ON COLUMN loyalty.redemption.requested_by IS 'the role that called for it; of an automatic one the role whose posting reached the cost';
COMMENT ON COLUMN loyalty.redemption.confirmed_by IS 'who confirmed it';
COMMENT ON COLUMN loyalty.redemption.fulfilled_by IS 'who handed it over';
COMMENT ON COLUMN loyalty.redemption.cancelled_by IS 'who had it go back';
COMMENT ON COLUMN loyalty.redemption.reference IS 'what fulfilling it is known by elsewhere';
COMMENT ON COLUMN loyalty.redemption.note IS 'reason given';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.redemption
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.redemption IS 'written only by the engine';

-- In the order in which they are served.
CREATE INDEX redemption_backordered_idx ON loyalty.redemption (reward_id, requested_at, member_id, seq) WHERE backordered > 0;
COMMENT ON INDEX loyalty.redemption_backordered_idx IS 'redemptions that wait for stock, in the order of asking';

CREATE VIEW loyalty.redemptions WITH (security_barrier = true) AS
	SELECT p.name AS program, m.ref AS member, d.seq AS entry, r.name AS reward, d.option, d.quantity, d.returned,
		   d.points, d.price, d.status, d.backordered, d.automatic, d.purchase,
		   d.requested_at, d.requested_by, d.confirmed_at, d.confirmed_by, d.fulfilled_at, d.fulfilled_by,
		   d.cancelled_at, d.cancelled_by, d.reference, d.note
	FROM loyalty.redemption d
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) d.program_id
	JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) d.member_id
	LEFT JOIN loyalty.reward r ON r.reward_id OPERATOR(pg_catalog.=) d.reward_id
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.redemptions IS 'what was redeemed, and what became of it';
COMMENT ON COLUMN loyalty.redemptions.program IS 'name of the program';
COMMENT ON COLUMN loyalty.redemptions.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.redemptions.entry IS 'number of the redemption for its member';
COMMENT ON COLUMN loyalty.redemptions.reward IS 'name of the reward';
COMMENT ON COLUMN loyalty.redemptions.option IS 'how it was paid: name of the reward''s option, or base';
COMMENT ON COLUMN loyalty.redemptions.quantity IS 'units redeemed';
COMMENT ON COLUMN loyalty.redemptions.returned IS 'units that went back since';
COMMENT ON COLUMN loyalty.redemptions.points IS 'points that it took';
COMMENT ON COLUMN loyalty.redemptions.price IS 'money asked beside the points, for all units; NULL: none';
COMMENT ON COLUMN loyalty.redemptions.status IS 'requested, confirmed, fulfilled or cancelled';
COMMENT ON COLUMN loyalty.redemptions.backordered IS 'units that wait for stock';
COMMENT ON COLUMN loyalty.redemptions.automatic IS 'whether the engine redeemed what the member had chosen';
COMMENT ON COLUMN loyalty.redemptions.purchase IS 'key of the purchase that it is for';
COMMENT ON COLUMN loyalty.redemptions.requested_at IS 'when it was redeemed';
COMMENT ON COLUMN loyalty.redemptions.requested_by IS 'the role that called for it; of an automatic one the role whose posting reached the cost';
COMMENT ON COLUMN loyalty.redemptions.confirmed_at IS 'when it was confirmed, by somebody or by itself';
COMMENT ON COLUMN loyalty.redemptions.confirmed_by IS 'who confirmed it';
COMMENT ON COLUMN loyalty.redemptions.fulfilled_at IS 'when the member had it';
COMMENT ON COLUMN loyalty.redemptions.fulfilled_by IS 'who handed it over';
COMMENT ON COLUMN loyalty.redemptions.cancelled_at IS 'when all of it had gone back';
COMMENT ON COLUMN loyalty.redemptions.cancelled_by IS 'who had it go back';
COMMENT ON COLUMN loyalty.redemptions.reference IS 'what fulfilling it is known by elsewhere';
COMMENT ON COLUMN loyalty.redemptions.note IS 'reason given';

CREATE VIEW loyalty.backorders WITH (security_barrier = true) AS
	SELECT p.name AS program, r.name AS reward,
		   pg_catalog.row_number() OVER (PARTITION BY d.reward_id ORDER BY d.requested_at, d.member_id, d.seq) AS place,
		   m.ref AS member, d.seq AS entry, d.backordered AS units, d.requested_at AS since
	FROM loyalty.redemption d
	JOIN loyalty.program p ON p.program_id OPERATOR(pg_catalog.=) d.program_id
	JOIN loyalty.member m ON m.member_id OPERATOR(pg_catalog.=) d.member_id
	LEFT JOIN loyalty.reward r ON r.reward_id OPERATOR(pg_catalog.=) d.reward_id
	WHERE loyalty.may_read(p.program_id) AND d.backordered OPERATOR(pg_catalog.>) 0
	ORDER BY p.name, r.name, place;
COMMENT ON VIEW loyalty.backorders IS 'redemptions that wait for stock, in the order in which maintain serves them';
COMMENT ON COLUMN loyalty.backorders.program IS 'name of the program';
COMMENT ON COLUMN loyalty.backorders.reward IS 'name of the reward';
COMMENT ON COLUMN loyalty.backorders.place IS 'place in the line';
COMMENT ON COLUMN loyalty.backorders.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.backorders.entry IS 'number of the redemption for its member';
COMMENT ON COLUMN loyalty.backorders.units IS 'units that it waits for';
COMMENT ON COLUMN loyalty.backorders.since IS 'when it was redeemed';

CREATE TYPE loyalty.redeemed AS (
	entry bigint,
	points loyalty.points,
	balance loyalty.points,
	repeated boolean,
	voucher text,
	status text,
	price numeric,
	why text
);
COMMENT ON TYPE loyalty.redeemed IS 'what redeeming answers';
COMMENT ON COLUMN loyalty.redeemed.entry IS 'number of the member''s entry, and of the redemption';
COMMENT ON COLUMN loyalty.redeemed.points IS 'points that it moved';
COMMENT ON COLUMN loyalty.redeemed.balance IS 'what is available to the member after it';
COMMENT ON COLUMN loyalty.redeemed.repeated IS 'an earlier call has done it; nothing was written';
COMMENT ON COLUMN loyalty.redeemed.voucher IS 'code of the voucher; NULL: none, none yet, or it cannot be shown again';
COMMENT ON COLUMN loyalty.redeemed.status IS 'requested, confirmed, fulfilled or cancelled';
COMMENT ON COLUMN loyalty.redeemed.price IS 'money asked beside the points, for all units; NULL: none';
COMMENT ON COLUMN loyalty.redeemed.why IS 'what keeps it from being fulfilled, or the voucher from being shown; NULL: nothing';

CREATE FUNCTION loyalty.redeem(member text, reward text, quantity integer DEFAULT 1, purchase text DEFAULT NULL,
							   option text DEFAULT NULL, reason text DEFAULT NULL, key text DEFAULT NULL,
							   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.redeemed
	AS 'MODULE_PATHNAME', 'loyalty_redeem' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.redeem(text, text, integer, text, text, text, text, timestamptz, text) IS 'redeems points for units of a reward: checks, takes points and stock, and issues the voucher; paid by the option that is named, else by the cheapest in points that asks no money';
CREATE FUNCTION loyalty.redeem(member bigint, reward text, quantity integer DEFAULT 1, purchase text DEFAULT NULL,
							   option text DEFAULT NULL, reason text DEFAULT NULL, key text DEFAULT NULL,
							   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.redeemed
	AS 'MODULE_PATHNAME', 'loyalty_redeem' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.redeem(bigint, text, integer, text, text, text, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.confirm_redemption(member text, entry bigint, actor text DEFAULT NULL, at timestamptz DEFAULT NULL,
										   program text DEFAULT NULL) RETURNS loyalty.redeemed
	AS 'MODULE_PATHNAME', 'loyalty_confirm_redemption' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.confirm_redemption(text, bigint, text, timestamptz, text) IS 'confirms a redemption that was requested, and issues its voucher; again it answers the same';
CREATE FUNCTION loyalty.confirm_redemption(member bigint, entry bigint, actor text DEFAULT NULL, at timestamptz DEFAULT NULL,
										   program text DEFAULT NULL) RETURNS loyalty.redeemed
	AS 'MODULE_PATHNAME', 'loyalty_confirm_redemption' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.confirm_redemption(bigint, bigint, text, timestamptz, text) IS 'the same for a numeric customer id';

CREATE FUNCTION loyalty.fulfill_redemption(member text, entry bigint, reference text DEFAULT NULL, actor text DEFAULT NULL,
										   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.redeemed
	AS 'MODULE_PATHNAME', 'loyalty_fulfill_redemption' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.fulfill_redemption(text, bigint, text, text, timestamptz, text) IS 'writes down that the member has what he redeemed; again it answers the same';
CREATE FUNCTION loyalty.fulfill_redemption(member bigint, entry bigint, reference text DEFAULT NULL, actor text DEFAULT NULL,
										   at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS loyalty.redeemed
	AS 'MODULE_PATHNAME', 'loyalty_fulfill_redemption' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.fulfill_redemption(bigint, bigint, text, text, timestamptz, text) IS 'the same for a numeric customer id';
