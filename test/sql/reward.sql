-- reward: what points are redeemed for, its options, and what may be written into both
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(regexp_replace(detail, '^Failing row .*', ''), ''), 'HINT ' || nullif(hint, ''));
END $$;

\d loyalty.reward
\d loyalty.reward_option
\d loyalty.reward_stock
SELECT reloptions FROM pg_class WHERE oid = 'loyalty.reward_stock'::regclass;
\d loyalty.stock

INSERT INTO loyalty.program (name, currency) VALUES ('reward_shop', 'USD'), ('reward_other', NULL);
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('reward_shop', 'base', 0, 0), ('reward_shop', 'gold', 2, 250);

-- what makes no sense
SELECT terms, pg_temp.try(format('INSERT INTO loyalty.reward (program, name, %s) VALUES (''reward_shop'', ''r'', %s)', split_part(terms, ' := ', 1), split_part(terms, ' := ', 2)))
FROM unnest(ARRAY[
	$$cost := 0$$, $$cost := -5$$, $$kind := 'car'$$, $$price := -1$$, $$price := 'NaN'$$, $$value := 0$$, $$percent := 101$$, $$stock := -1$$,
	$$stock_period := 'decade'$$, $$member_cap := 0$$, $$cap_period := 'hour'$$, $$max_quantity := 0$$, $$active := 'empty'$$, $$auto_wait := '-1 day'$$,
	$$auto_wait := '1 month -1 day'$$, $$valid_for := '0'$$, $$valid_for := '200 years'$$, $$backorder := true$$, $$kind := 'discount'$$, $$kind := 'gift_card'$$,
	$$voucher := true$$, $$pool := 'codes'$$, $$uses := 0$$, $$owner := 'reward_nobody'$$,
	$$condition := 'amount > 5'$$, $$condition := 'member.tier = ''gold'' AND'$$, $$condition := 'now() > ''2026-01-01'''$$, $$condition := 'purchase_no = 1'$$,
	$$condition := '(SELECT true)'$$, $$condition := 'at > ''tomorrow'''$$, $$condition := 'member.birthday'$$]) AS terms;
SELECT pg_temp.try($$INSERT INTO loyalty.reward (program, name, cost) VALUES ('reward_shop', '', 1)$$);
SELECT pg_temp.try($$INSERT INTO loyalty.reward (program, name, cost) VALUES ('reward_nowhere', 'mug', 1)$$);
SELECT pg_temp.try($$INSERT INTO loyalty.reward (program, name, kind, cost, value, percent) VALUES ('reward_shop', 'both', 'discount', 1, 5, 10)$$);
SELECT pg_temp.try($$INSERT INTO loyalty.reward (reward_id, program, name) VALUES (7, 'reward_shop', 'mug')$$);

-- what does, and what it says of itself
INSERT INTO loyalty.reward (program, name, cost) VALUES ('reward_shop', 'mug', 100);
INSERT INTO loyalty.reward (program, name, kind, title, cost, value, valid_for) VALUES ('reward_shop', 'five', 'discount', 'Five off', 50, 5, '30 days');
INSERT INTO loyalty.reward (program, name, kind, cost, percent, maximum) VALUES ('reward_shop', 'tenth', 'discount', 80, 10, 20);
INSERT INTO loyalty.reward (program, name, kind, cost, value) VALUES ('reward_shop', 'card', 'gift_card', 1000, 10);
INSERT INTO loyalty.reward (program, name, kind, cost, product, voucher) VALUES ('reward_shop', 'latte', 'product', 30, 'LATTE', true);
INSERT INTO loyalty.reward (program, name, kind, cost, pool) VALUES ('reward_shop', 'cinema', 'voucher', 500, 'tickets');
INSERT INTO loyalty.reward (program, name, kind, cost, value) VALUES ('reward_shop', 'forest', 'donation', 10, 1), ('reward_shop', 'cash', 'cashback', 100, 1), ('reward_shop', 'credit', 'store_credit', 100, 1);
INSERT INTO loyalty.reward (program, name, kind, condition) VALUES ('reward_shop', 'tour', 'experience', $$member.tier = 'gold' AND member.enrolled_at < at - interval '1 year'$$);
SELECT name, kind, cost, price, stock, stock_period, backorder, cap_period, needs_confirmation, needs_fulfillment, voucher, active, owner = current_user AS own FROM loyalty.reward WHERE program = 'reward_shop' ORDER BY reward_id;
SELECT pg_temp.try($$INSERT INTO loyalty.reward (program, name, cost) VALUES ('reward_shop', 'mug', 100)$$);
INSERT INTO loyalty.reward (program, name, cost) VALUES ('reward_other', 'mug', 100);

-- options
SELECT terms, pg_temp.try(format('INSERT INTO loyalty.reward_option (program, reward, name, %s) VALUES (''reward_shop'', ''tour'', ''o'', %s)', split_part(terms, ' = ', 1), split_part(terms, ' = ', 2)))
FROM unnest(ARRAY[$$cost = 0$$, $$cost = NULL$$, $$cost, price = 5, -1$$, $$cost, tier = 5, 'platinum'$$, $$cost, condition = 5, 'amount > 1'$$, $$cost, active = 5, 'empty'$$]) AS terms;
SELECT pg_temp.try($$INSERT INTO loyalty.reward_option (program, reward, name, cost) VALUES ('reward_shop', 'tour', 'base', 5)$$);
SELECT pg_temp.try($$INSERT INTO loyalty.reward_option (program, reward, name, cost) VALUES ('reward_shop', 'nothing', 'o', 5)$$);
SELECT pg_temp.try($$INSERT INTO loyalty.reward_option (program, reward, name, cost) VALUES ('reward_nowhere', 'tour', 'o', 5)$$);
INSERT INTO loyalty.reward_option (program, reward, name, cost, tier) VALUES ('reward_shop', 'tour', 'gold', 200, 'gold');
INSERT INTO loyalty.reward_option (program, reward, name, cost, price) VALUES ('reward_shop', 'mug', 'half', 50, 4.5);
SELECT pg_temp.try($$UPDATE loyalty.reward SET name = 'walk' WHERE program = 'reward_shop' AND name = 'tour'$$);
SELECT pg_temp.try($$DELETE FROM loyalty.reward WHERE program = 'reward_shop' AND name = 'tour'$$);

-- what is fixed once it has been redeemed
SELECT loyalty.adjust('ann', 1000, program => 'reward_shop');
SELECT entry, points FROM loyalty.redeem('ann', 'five', program => 'reward_shop');
SELECT pg_temp.try($$UPDATE loyalty.reward SET name = 'six' WHERE program = 'reward_shop' AND name = 'five'$$);
SELECT pg_temp.try($$UPDATE loyalty.reward SET program = 'reward_other' WHERE program = 'reward_shop' AND name = 'five'$$);
SELECT pg_temp.try($$DELETE FROM loyalty.reward WHERE program = 'reward_shop' AND name = 'five'$$);
SELECT pg_temp.try($$TRUNCATE loyalty.reward$$);
UPDATE loyalty.reward SET cost = 60, title = 'Five dollars off' WHERE program = 'reward_shop' AND name = 'five';
SELECT entry, points FROM loyalty.redeem('ann', 'five', program => 'reward_shop');
SELECT entry, points, option FROM loyalty.redemptions WHERE program = 'reward_shop' ORDER BY entry;
UPDATE loyalty.reward SET name = 'trees' WHERE program = 'reward_shop' AND name = 'forest';
DELETE FROM loyalty.reward WHERE program = 'reward_shop' AND name = 'trees';

-- a role writes no conditions with another's rights, and users write no stock
SET client_min_messages = warning; -- a role of an earlier run
DROP ROLE IF EXISTS regress_loyalty_reward;
RESET client_min_messages;
CREATE ROLE regress_loyalty_reward;
SELECT loyalty.grant_access('regress_loyalty_reward', 'manage', 'reward_shop');
SELECT current_user AS me \gset
SET ROLE regress_loyalty_reward;
INSERT INTO loyalty.reward (program, name, cost, condition) VALUES ('reward_shop', 'hers', '1', 'true');
SELECT replace(pg_temp.try(format('INSERT INTO loyalty.reward (program, name, cost, owner) VALUES (''reward_shop'', ''mine'', ''1'', %L)', :'me')), :'me', 'me') AS try;
SELECT pg_temp.try('UPDATE loyalty.reward_stock SET taken = 0');
SELECT pg_temp.try('DELETE FROM loyalty.redemption');
SELECT pg_temp.try($$SELECT loyalty.redeem('ann', 'mug')$$);
RESET ROLE;
DELETE FROM loyalty.reward WHERE program = 'reward_shop' AND name = 'hers';
SELECT loyalty.revoke_access('regress_loyalty_reward', 'manage', 'reward_shop');
DROP ROLE regress_loyalty_reward;
SELECT c.relname, a.privilege_type FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
WHERE c.relnamespace = 'loyalty'::regnamespace AND c.relname ~ '^(reward|redemption|stock|choices|backorders)' AND a.grantee = 0;
