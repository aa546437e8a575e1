-- redeem: rewards for points: who can have what, limits, stock, keys, states, back-orders
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
\d loyalty.redemption
\d loyalty.redemptions
\d loyalty.backorders
\d loyalty.redeemed

INSERT INTO loyalty.program (name, currency, time_zone) VALUES ('redeem_shop', 'USD', 'UTC');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('redeem_shop', 'base', 0, 0), ('redeem_shop', 'silver', 1, 100), ('redeem_shop', 'gold', 2, 250);
INSERT INTO loyalty.reward (program, name, cost, stock, max_quantity) VALUES ('redeem_shop', 'mug', 100, 5, 3);
INSERT INTO loyalty.reward (program, name, cost, member_cap, cap_period, needs_confirmation, needs_fulfillment) VALUES ('redeem_shop', 'tour', 20, 2, 'year', true, true);
INSERT INTO loyalty.reward (program, name, cost, active) VALUES ('redeem_shop', 'past', 1, '(,2020-01-01)'), ('redeem_shop', 'future', 1, '[2100-01-01,)');
INSERT INTO loyalty.reward (program, name, cost, condition) VALUES ('redeem_shop', 'birthday', 1, $$extract(month FROM member.birthday) = 5$$), ('redeem_shop', 'broken', 1, $$1 / length(member.data ->> 'nick') > 0$$), ('redeem_shop', 'bought', 1, $$member.qualifying >= 50$$);
INSERT INTO loyalty.reward (program, name, cost, price) VALUES ('redeem_shop', 'dinner', 40, 19.90);
INSERT INTO loyalty.reward (program, name) VALUES ('redeem_shop', 'lounge'), ('redeem_shop', 'nothing');
INSERT INTO loyalty.reward (program, name, kind, cost, value, valid_for) VALUES ('redeem_shop', 'five off', 'discount', 50, 5, '30 days');
INSERT INTO loyalty.reward_option (program, reward, name, cost, price, tier, segment) VALUES
	('redeem_shop', 'mug', 'silver', 80, NULL, 'silver', NULL), ('redeem_shop', 'mug', 'gold', 60, NULL, 'gold', NULL), ('redeem_shop', 'mug', 'staff', 10, NULL, NULL, 'staff'),
	('redeem_shop', 'mug', 'half', 50, 4.50, NULL, NULL), ('redeem_shop', 'lounge', 'gold', 30, NULL, 'gold', NULL);
INSERT INTO loyalty.reward_option (program, reward, name, cost, active) VALUES ('redeem_shop', 'mug', 'sale', 1, '(,2020-01-01)');
SET loyalty.program = 'redeem_shop';
SELECT count(loyalty.adjust(m, 1000)) FROM unnest('{ann,bea,cat,dan}'::text[]) m;
SELECT loyalty.set_tier('bea', 'silver'), loyalty.set_tier('cat', 'gold'), loyalty.set_member('dan', segments => '{staff}', birthday => '1990-05-05');

-- each at what it costs him, and what the answer says
SELECT * FROM loyalty.redeem('ann', 'mug');
SELECT entry, points, balance, status, price FROM loyalty.redeem('bea', 'mug');
SELECT entry, points, balance, status, price FROM loyalty.redeem('cat', 'mug', 1);
SELECT * FROM loyalty.redeem('dan', 'mug', quantity => 2, purchase => 'o1', option => 'half', reason => 'asked for it', key => 'till 1');
SELECT ref, entry.seq, points, context, note, source_key FROM loyalty.entry JOIN loyalty.member USING (member_id, program_id) JOIN loyalty.program p USING (program_id) WHERE p.name = 'redeem_shop' AND kind = 'redeem' ORDER BY ref, entry.seq;
SELECT * FROM loyalty.stock WHERE program = 'redeem_shop';
-- the last one is gone, whoever asks
SELECT m, pg_temp.try(format('SELECT loyalty.redeem(%L, ''mug'')', m)) FROM unnest('{ann,dan}'::text[]) m;
UPDATE loyalty.reward SET stock = 7 WHERE program = 'redeem_shop' AND name = 'mug';
SELECT points, balance FROM loyalty.redeem('dan', 'mug');
SELECT pg_temp.try($$SELECT loyalty.redeem('cat', 'mug', 2)$$);
UPDATE loyalty.reward SET stock = 3 WHERE program = 'redeem_shop' AND name = 'mug';
SELECT pg_temp.try($$SELECT loyalty.redeem('cat', 'mug')$$);
UPDATE loyalty.reward SET stock = NULL WHERE program = 'redeem_shop' AND name = 'mug';
SELECT points FROM loyalty.redeem('cat', 'mug', 3);
SELECT * FROM loyalty.stock WHERE program = 'redeem_shop';

-- what is refused, and leaves no trace
SELECT arguments, pg_temp.try(format('SELECT loyalty.redeem(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', 'nowhere'$$, $$'ann', NULL$$, $$NULL::text, 'mug'$$, $$'', 'mug'$$, $$'stranger', 'mug'$$, $$'ann', 'mug', 0$$, $$'ann', 'mug', -1$$, $$'ann', 'mug', NULL$$,
	$$'ann', 'mug', 4$$, $$'ann', 'past'$$, $$'ann', 'future'$$, $$'ann', 'birthday'$$, $$'ann', 'broken'$$, $$'ann', 'bought'$$, $$'ann', 'dinner'$$, $$'ann', 'lounge'$$, $$'ann', 'nothing'$$,
	$$'ann', 'mug', option => 'gold'$$, $$'bea', 'mug', option => 'gold'$$, $$'ann', 'mug', option => 'staff'$$, $$'ann', 'mug', option => 'sale'$$, $$'ann', 'mug', option => 'none'$$,
	$$'ann', 'tour', 3$$, $$'ann', 'five off', 1000$$, $$'ann', 'mug', purchase => ''$$, $$'ann', 'mug', at => 'infinity'$$, $$'ann', 'mug', at => '2100-01-01'$$, $$'ann', 'mug', at => '2020-01-01'$$, $$'ann', 'mug', program => 'redeem_nowhere'$$]) AS arguments;
SELECT count(*) FROM loyalty.redemptions WHERE program = 'redeem_shop';
SELECT points FROM loyalty.redeem('dan', 'birthday');
SELECT loyalty.set_member('ann', data => '{"nick": "annie"}'), pg_temp.try($$SELECT loyalty.redeem('ann', 'broken')$$);
SELECT loyalty.set_member('ann', data => '{"nick": ""}'), pg_temp.try($$SELECT loyalty.redeem('ann', 'broken')$$);
SELECT points, price FROM loyalty.redeem('ann', 'dinner', 2, option => 'base');
SELECT points FROM loyalty.redeem('cat', 'lounge');
SELECT loyalty.set_member('bea', status => 'suspended'), pg_temp.try($$SELECT loyalty.redeem('bea', 'mug')$$);
SELECT loyalty.set_member('bea', status => 'active');

-- a key answers again, and names one redemption
SELECT * FROM loyalty.redeem('dan', 'mug', quantity => 2, purchase => 'o1', option => 'half', reason => 'asked for it', key => 'till 1');
SELECT * FROM loyalty.redeem('dan', 'mug', quantity => 2, purchase => 'o1', reason => 'asked for it', key => 'till 1');
SELECT arguments, pg_temp.try(format('SELECT loyalty.redeem(%s, key => ''till 1'')', arguments)) FROM unnest(ARRAY[
	$$'dan', 'mug', 1, 'o1', reason => 'asked for it'$$, $$'dan', 'mug', 2, 'o2', reason => 'asked for it'$$, $$'dan', 'tour', 2, 'o1', reason => 'asked for it'$$,
	$$'dan', 'mug', 2, 'o1'$$, $$'dan', 'mug', 2, 'o1', 'silver', 'asked for it'$$]) AS arguments;

-- a voucher is shown once, unless it can be worked out again
SELECT entry, voucher ~ '^[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}$' AS voucher, status, why FROM loyalty.redeem('ann', 'five off', key => 'v1');
SELECT entry, repeated, voucher, why FROM loyalty.redeem('ann', 'five off', key => 'v1');
SET loyalty.voucher_secret = 'sixteen bytes or more';
SELECT voucher AS code FROM loyalty.redeem('ann', 'five off', key => 'v2') \gset
SELECT entry, repeated, voucher = :'code' AS same, why FROM loyalty.redeem('ann', 'five off', key => 'v2');
RESET loyalty.voucher_secret;
SELECT kind, value, uses, valid_until > now() + interval '29 days' AS valid FROM loyalty.voucher JOIN loyalty.member USING (member_id) WHERE ref = 'ann' AND voucher.program_id = (SELECT program_id FROM loyalty.program WHERE name = 'redeem_shop') ORDER BY voucher.seq;

-- from requested over confirmed to fulfilled
SELECT entry, points, status, why FROM loyalty.redeem('ann', 'tour', 2);
SELECT max(entry) AS tour FROM loyalty.redemptions WHERE program = 'redeem_shop' AND reward = 'tour' \gset
SELECT pg_temp.try(format('SELECT loyalty.fulfill_redemption(''ann'', %s)', :tour));
SELECT points, repeated, status, why FROM loyalty.confirm_redemption('ann', :tour, actor => 'Mia');
SELECT points, repeated, status, why FROM loyalty.confirm_redemption('ann', :tour, actor => 'Max');
SELECT points, repeated, status, why FROM loyalty.fulfill_redemption('ann', :tour, 'seat 7', 'Max');
SELECT points, repeated, status, why FROM loyalty.fulfill_redemption('ann', :tour, 'seat 7');
SELECT pg_temp.try(format('SELECT loyalty.fulfill_redemption(''ann'', %s, ''seat 8'')', :tour));
SELECT status, confirmed_by, fulfilled_by, reference, confirmed_at IS NOT NULL AS confirmed, fulfilled_at >= confirmed_at AS fulfilled FROM loyalty.redemptions WHERE entry = :tour AND member = 'ann' AND program = 'redeem_shop';
SELECT pg_temp.try($$SELECT loyalty.redeem('ann', 'tour')$$);
SELECT arguments, pg_temp.try(format('SELECT loyalty.confirm_redemption(%s)', arguments)) FROM unnest(ARRAY[$$'ann', 1$$, $$'ann', NULL$$, $$'ann', 999$$, $$'stranger', 1$$]) AS arguments;
SELECT pg_temp.try(format('SELECT loyalty.confirm_redemption(''dan'', %s, at => ''2020-01-01'')', entry)) FROM loyalty.redeem('dan', 'tour');

-- cancelled: the limit is free again, and nothing follows
SELECT points, balance FROM loyalty.cancel('ann', :tour, 20);
SELECT quantity, returned, status FROM loyalty.redemptions WHERE entry = :tour AND member = 'ann' AND program = 'redeem_shop';
SELECT points FROM loyalty.redeem('ann', 'tour');
SELECT points, balance FROM loyalty.cancel('ann', :tour, key => 'c1');
SELECT points, repeated FROM loyalty.cancel('ann', :tour, key => 'c1');
SELECT pg_temp.try(format('SELECT loyalty.confirm_redemption(''ann'', %s)', :tour));
SELECT pg_temp.try(format('SELECT loyalty.cancel(''ann'', %s)', :tour));
SELECT quantity, returned, status, cancelled_at IS NOT NULL AS at, cancelled_by = current_user AS by FROM loyalty.redemptions WHERE entry = :tour AND member = 'ann' AND program = 'redeem_shop';
-- a voucher that was used does not go back
SELECT taken, "left" FROM loyalty.use_voucher(:'code', 20, 'ann', 'o9');
SELECT split_part(pg_temp.try(format('SELECT loyalty.cancel(''ann'', %s)', max(entry))), E'\n', 2) FROM loyalty.redemptions WHERE program = 'redeem_shop' AND reward = 'five off';
SELECT points FROM loyalty.cancel('ann', (SELECT min(entry) FROM loyalty.redemptions WHERE program = 'redeem_shop' AND reward = 'five off'));

-- back-orders are served whole, in the order of asking
INSERT INTO loyalty.reward (program, name, cost, stock, backorder, needs_confirmation) VALUES ('redeem_shop', 'jug', 10, 3, true, false);
SELECT status, why FROM loyalty.redeem('ann', 'jug', 2);
SELECT status, why FROM loyalty.redeem('bea', 'jug', 2);
SELECT status, why FROM loyalty.redeem('cat', 'jug', 1);
SELECT status, why FROM loyalty.redeem('dan', 'jug', 4);
SELECT reward, place, member, units FROM loyalty.backorders WHERE program = 'redeem_shop';
SELECT pg_temp.try(format('SELECT loyalty.confirm_redemption(%L, %s)', member, entry)) FROM loyalty.backorders WHERE program = 'redeem_shop' AND place = 1;
CALL loyalty.maintain(program => 'redeem_shop');
SELECT reward, place, member, units FROM loyalty.backorders WHERE program = 'redeem_shop';
UPDATE loyalty.reward SET stock = 5 WHERE program = 'redeem_shop' AND name = 'jug';
CALL loyalty.maintain(program => 'redeem_shop');
SELECT reward, place, member, units FROM loyalty.backorders WHERE program = 'redeem_shop';
-- part of one that waits goes back from what waits, and what came back is for who waits
SELECT points FROM loyalty.cancel('dan', (SELECT entry FROM loyalty.backorders WHERE program = 'redeem_shop' AND member = 'dan'), 20);
SELECT points FROM loyalty.cancel('ann', (SELECT max(entry) FROM loyalty.redemptions WHERE program = 'redeem_shop' AND member = 'ann' AND reward = 'jug'));
SELECT status, why FROM loyalty.redeem('ann', 'jug');
CALL loyalty.maintain(program => 'redeem_shop');
SELECT member, quantity, returned, backordered, status FROM loyalty.redemptions WHERE program = 'redeem_shop' AND reward = 'jug' ORDER BY member, entry;
SELECT reward, stock, taken, left_over FROM loyalty.stock WHERE program = 'redeem_shop' ORDER BY reward;
-- one that waits can be cancelled whole
SELECT points FROM loyalty.cancel('ann', (SELECT entry FROM loyalty.backorders WHERE program = 'redeem_shop'));
SELECT count(*) FROM loyalty.backorders WHERE program = 'redeem_shop';

-- a stock for each day
INSERT INTO loyalty.reward (program, name, cost, stock, stock_period) VALUES ('redeem_shop', 'bun', 1, 1, 'day');
SELECT points FROM loyalty.redeem('ann', 'bun');
SELECT split_part(pg_temp.try($$SELECT loyalty.redeem('bea', 'bun')$$), E'\n', 1);
SELECT count(*), max(period) = current_date AS today FROM loyalty.stock WHERE reward = 'bun';

-- who made a voucher void that was used does not get its points back
SELECT entry AS used, voucher AS code FROM loyalty.redeem('cat', 'five off') \gset
SELECT taken FROM loyalty.use_voucher(:'code', 20, 'cat', 'o10');
SELECT "left", repeated FROM loyalty.void_voucher(:'code', 'lost');
SELECT split_part(pg_temp.try(format('SELECT loyalty.cancel(''cat'', %s)', :used)), E'\n', 2);
SELECT given_back FROM loyalty.return_voucher(:'code');
SELECT points FROM loyalty.cancel('cat', :used);

-- an empty pool holds up its own line, and no other
INSERT INTO loyalty.voucher_pool (program, name, kind, value) VALUES ('redeem_shop', 'partner', 'value', 5);
INSERT INTO loyalty.reward (program, name, kind, cost, stock, backorder, pool) VALUES ('redeem_shop', 'code', 'voucher', 10, 0, true, 'partner'), ('redeem_shop', 'vase', 'product', 10, 0, true, NULL);
SELECT a.why, b.why FROM loyalty.redeem('cat', 'code') a, loyalty.redeem('cat', 'vase') b;
UPDATE loyalty.reward SET stock = 1 WHERE program = 'redeem_shop' AND name IN ('code', 'vase');
SET loyalty.voucher_secret = 'sixteen bytes or more';
CALL loyalty.maintain(program => 'redeem_shop');
SELECT reward, status, backordered FROM loyalty.redemptions WHERE program = 'redeem_shop' AND reward IN ('code', 'vase') ORDER BY reward;
SELECT loyalty.import_vouchers('partner', '{redeem-partner-1}');
CALL loyalty.maintain(program => 'redeem_shop');
SELECT reward, status, backordered FROM loyalty.redemptions WHERE program = 'redeem_shop' AND reward IN ('code', 'vase') ORDER BY reward;
RESET loyalty.voucher_secret;

SELECT * FROM loyalty.verify('redeem_shop');
