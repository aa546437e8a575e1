-- catalogue: what a member can have, what he is close to, and why not
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, currency, time_zone, pending) VALUES ('catalogue_shop', 'USD', 'UTC', '10 days'), ('catalogue_closed', NULL, 'UTC', '0');
UPDATE loyalty.program SET auto_enroll = false WHERE name = 'catalogue_closed';
SET loyalty.program = 'catalogue_shop';
SELECT * FROM loyalty.catalogue('ann');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('catalogue_shop', 'base', 0, 0), ('catalogue_shop', 'gold', 2, 250);
INSERT INTO loyalty.reward (program, name, title, cost, stock, max_quantity) VALUES ('catalogue_shop', 'mug', 'Mug with a cat', 100, 50, 20);
INSERT INTO loyalty.reward (program, name, cost, member_cap) VALUES ('catalogue_shop', 'tour', 20, 1);
INSERT INTO loyalty.reward (program, name, kind, cost, value) VALUES ('catalogue_shop', 'five off', 'discount', 50, 5);
INSERT INTO loyalty.reward (program, name, cost, stock, backorder) VALUES ('catalogue_shop', 'sold', 5, 0, false), ('catalogue_shop', 'sold but', 5, 0, true);
INSERT INTO loyalty.reward (program, name, cost, active) VALUES ('catalogue_shop', 'past', 1, '(,2020-01-01)'), ('catalogue_shop', 'future', 1, '[2100-01-01,)');
INSERT INTO loyalty.reward (program, name, cost, condition) VALUES ('catalogue_shop', 'vip', 30, $$member.tier = 'gold'$$), ('catalogue_shop', 'breaks', 30, $$1 / length(coalesce(member.data ->> 'nick', '')) > 0$$),
	('catalogue_shop', 'veteran', 30, $$member.enrolled_at < '2020-01-01'$$);
INSERT INTO loyalty.reward (program, name, cost, price) VALUES ('catalogue_shop', 'dinner', 40, 19.90);
INSERT INTO loyalty.reward (program, name) VALUES ('catalogue_shop', 'lounge');
INSERT INTO loyalty.reward_option (program, reward, name, cost, price, tier) VALUES ('catalogue_shop', 'mug', 'gold', 60, NULL, 'gold'), ('catalogue_shop', 'mug', 'half', 50, 4.50, NULL), ('catalogue_shop', 'lounge', 'gold', 30, NULL, 'gold');
SELECT loyalty.adjust('ann', 70), loyalty.adjust('cat', 1000), loyalty.set_tier('cat', 'gold'), loyalty.adjust('sam', 100), loyalty.set_member('sam', status => 'suspended');
SELECT * FROM loyalty.catalogue('ann');
SELECT reward, option, cost, available, missing, why FROM loyalty.catalogue('cat');
SELECT reward, available, why FROM loyalty.catalogue('sam') WHERE reward IN ('mug', 'past');
-- who is nobody yet is where everybody begins
SELECT reward, option, available, missing, why FROM loyalty.catalogue('stranger') WHERE reward IN ('mug', 'veteran', 'vip', 'tour');
SELECT count(*) FROM loyalty.member WHERE ref = 'stranger' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'catalogue_shop');
-- what he says he can have he can have
SELECT c.reward, c.option, c.available, r.points FROM loyalty.catalogue('cat') c, loyalty.redeem('cat', c.reward, option => c.option) r WHERE c.why IS NULL AND c.reward IN ('tour', 'lounge', 'mug') ORDER BY c.reward, c.option;
SELECT reward, option, available, why FROM loyalty.catalogue('cat') WHERE reward IN ('tour', 'mug');
-- at other times: before there were points, and when a reward is to be had
SELECT reward, available, missing, why FROM loyalty.catalogue('ann', '2020-06-01') WHERE reward IN ('mug', 'tour', 'past');
SELECT reward, available FROM loyalty.catalogue('ann', '2101-01-01') WHERE reward = 'future';
-- reads only
BEGIN READ ONLY;
SELECT count(*) > 5 AS lines FROM loyalty.catalogue('ann');
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
COMMIT;
SELECT * FROM loyalty.adjust('7', 25);
SELECT reward, available FROM loyalty.catalogue(7) WHERE reward = 'tour';
SELECT * FROM loyalty.catalogue('stranger', program => 'catalogue_closed');
SELECT * FROM loyalty.catalogue(NULL::text);
-- of a household: what all of them have, for who may spend it
SELECT loyalty.create_household('catalogue home', 'hal') IS NOT NULL AS home FROM loyalty.adjust('hal', 15) a, loyalty.adjust('ida', 10) b, loyalty.adjust('jon', 5) c;
SELECT loyalty.join_household('ida', 'catalogue home'), loyalty.join_household('jon', 'catalogue home', may_spend => false);
SELECT reward, available, missing, why FROM loyalty.catalogue('ida') WHERE reward IN ('tour', 'dinner', 'five off');
SELECT reward, available, missing, why FROM loyalty.catalogue('jon') WHERE reward IN ('tour', 'dinner', 'five off');
SELECT points, balance FROM loyalty.redeem('ida', 'tour');
