-- choice: rewards that are redeemed by themselves, as soon as the points suffice
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
\d loyalty.reward_choice
\d loyalty.choices
INSERT INTO loyalty.program (name, currency, time_zone) VALUES ('choice_shop', 'USD', 'UTC'), ('choice_slow', NULL, 'UTC');
UPDATE loyalty.program SET pending = '10 days' WHERE name = 'choice_slow';
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program WHERE name ~ '^choice_';
INSERT INTO loyalty.reward (program, name, cost) VALUES ('choice_shop', 'bun', 50), ('choice_slow', 'bun', 50);
INSERT INTO loyalty.reward (program, name, cost, stock) VALUES ('choice_shop', 'mug', 30, 2);
INSERT INTO loyalty.reward (program, name, cost, auto_wait) VALUES ('choice_shop', 'later', 50, '2 days');
INSERT INTO loyalty.reward (program, name, cost, price) VALUES ('choice_shop', 'dinner', 40, 10);
INSERT INTO loyalty.reward (program, name, kind, cost, value) VALUES ('choice_shop', 'five off', 'discount', 50, 5);
INSERT INTO loyalty.reward_option (program, reward, name, cost, price) VALUES ('choice_shop', 'mug', 'half', 10, 3), ('choice_shop', 'mug', 'dear', 40, NULL);
CREATE TABLE choice_orders (id integer PRIMARY KEY, customer text, total numeric);
CREATE TABLE choice_slow_orders (id integer PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('choice_orders', member => 'customer', amount => 'total', program => 'choice_shop') > 0 AS attached, loyalty.attach('choice_slow_orders', member => 'customer', amount => 'total', program => 'choice_slow') > 0 AS slow;
SET loyalty.program = 'choice_shop';
CREATE VIEW stands AS
	SELECT m.ref, (SELECT available FROM loyalty.balance(m.ref, program => p.name)) AS available, c.redeemed, c.reached_at IS NOT NULL AS waits,
		   date_trunc('day', c.due - now())::text AS due_in, c.last_error
	FROM loyalty.reward_choice c JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = c.program_id WHERE p.name ~ '^choice_' ORDER BY m.ref;

-- what can be chosen
SELECT arguments, pg_temp.try(format('SELECT loyalty.choose_reward(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann', 'nothing'$$, $$'ann', 'dinner'$$, $$'ann', 'mug', 'half'$$, $$'ann', 'mug', 'none'$$, $$'ann', NULL, 'half'$$, $$NULL::text, 'bun'$$]) AS arguments;

-- in the statement that reaches the cost, as often as the balance allows
INSERT INTO choice_orders VALUES (1, 'ann', 40);
SELECT loyalty.choose_reward('ann', 'bun');
SELECT * FROM stands;
INSERT INTO choice_orders VALUES (2, 'ann', 10), (3, 'ben', 500);
SELECT * FROM stands;
INSERT INTO choice_orders VALUES (4, 'ann', 170);
SELECT * FROM stands;
SELECT kind, points FROM loyalty.statement('ann');
SELECT DISTINCT quantity, automatic, status, requested_by = current_user AS by FROM loyalty.redemptions WHERE program = 'choice_shop' AND member = 'ann';
-- by acts too, of whatever kind
SELECT balance FROM loyalty.adjust('ann', 35);
SELECT * FROM stands;
SELECT loyalty.adjust('ben', 100), loyalty.transfer('ben', 'ann', 60) IS NOT NULL AS given;
SELECT * FROM stands;
-- whoever has enough when he chooses need not wait for more
SELECT loyalty.choose_reward('ben', 'bun');
SELECT * FROM stands;
-- no more than a hundred in one go; the next posting goes on
SELECT balance FROM loyalty.adjust('ben', 6000);
SELECT * FROM stands WHERE ref = 'ben';
CALL loyalty.maintain(program => 'choice_shop');
SELECT * FROM stands WHERE ref = 'ben';
-- what goes back is not redeemed again at once; and who chooses nothing any more keeps his points
SELECT balance FROM loyalty.cancel('ben', (SELECT max(entry) FROM loyalty.redemptions WHERE program = 'choice_shop' AND member = 'ben'));
SELECT loyalty.choose_reward('ben', NULL);
SELECT balance FROM loyalty.adjust('ben', 10);

-- a failure stops no order: it is put down, and said once
SELECT loyalty.choose_reward('ann', 'mug');
INSERT INTO choice_orders VALUES (5, 'ann', 70);
SELECT * FROM stands;
INSERT INTO choice_orders VALUES (6, 'ann', 30);
INSERT INTO choice_orders VALUES (7, 'ann', 1);
SELECT * FROM stands;
UPDATE loyalty.reward SET stock = 3 WHERE program = 'choice_shop' AND name = 'mug';
SET session_replication_role = replica;
UPDATE loyalty.reward_choice SET due = now() WHERE last_error IS NOT NULL;
RESET session_replication_role;
CALL loyalty.maintain(program => 'choice_shop');
SELECT * FROM stands;
SELECT loyalty.choose_reward('ann', 'mug', 'dear');
SELECT loyalty.set_member('ann', status => 'suspended'), loyalty.adjust('ann', 100);
SELECT * FROM stands;
SELECT pg_temp.try($$SELECT loyalty.choose_reward('ann', 'bun')$$);

-- after a wait, unless the points go back meanwhile
SELECT loyalty.choose_reward('cat', 'later');
INSERT INTO choice_orders VALUES (10, 'cat', 60);
SELECT * FROM stands WHERE ref = 'cat';
INSERT INTO choice_orders VALUES (11, 'cat', 10);
SELECT loyalty.choose_reward('cat', 'later');
SELECT * FROM stands WHERE ref = 'cat';
DELETE FROM choice_orders WHERE id = 10;
SELECT * FROM stands WHERE ref = 'cat';
INSERT INTO choice_orders VALUES (12, 'cat', 100);
SELECT * FROM stands WHERE ref = 'cat';
CALL loyalty.maintain(program => 'choice_shop');
SELECT * FROM stands WHERE ref = 'cat';
SET session_replication_role = replica;
UPDATE loyalty.reward_choice SET reached_at = reached_at - interval '2 days', due = due - interval '2 days' WHERE reached_at IS NOT NULL;
RESET session_replication_role;
CALL loyalty.maintain(program => 'choice_shop');
SELECT * FROM stands WHERE ref = 'cat';

-- points that only open later are waited for
SELECT loyalty.choose_reward('dan', 'bun', program => 'choice_slow');
INSERT INTO choice_slow_orders VALUES (1, 'dan', 60);
SELECT ref, available, waits, due_in BETWEEN '9 days' AND '9 days 24:00' OR due_in = '9 days' AS due FROM stands WHERE ref = 'dan';

-- a voucher that nobody would have seen is issued when somebody asks
SELECT loyalty.choose_reward('eve', 'five off');
INSERT INTO choice_orders VALUES (20, 'eve', 50);
SELECT redemption.status, voucher_issued FROM loyalty.redemption JOIN loyalty.member USING (member_id) WHERE ref = 'eve';
SELECT length(voucher), repeated, status FROM loyalty.confirm_redemption('eve', 2, program => 'choice_shop');
SELECT voucher, repeated, status, why FROM loyalty.confirm_redemption('eve', 2, program => 'choice_shop');

-- with what his household has, whoever of it earns; but not for who may not spend it
SELECT loyalty.create_household('choice home', 'fay') IS NOT NULL AS home FROM loyalty.adjust('fay', 20) a, loyalty.adjust('gus', 20) b, loyalty.adjust('hal', 5) c;
SELECT loyalty.join_household('gus', 'choice home'), loyalty.join_household('hal', 'choice home', may_spend => false);
SELECT loyalty.choose_reward('fay', 'bun'), pg_temp.try($$SELECT loyalty.choose_reward('hal', 'bun')$$);
INSERT INTO choice_orders VALUES (30, 'hal', 10);
SELECT * FROM stands WHERE ref = 'fay';
SELECT loyalty.adjust('hal', 50);
SELECT * FROM stands WHERE ref = 'fay';
SELECT loyalty.join_household('fay', 'choice home', may_spend => false);
INSERT INTO choice_orders VALUES (31, 'fay', 60);
SELECT * FROM stands WHERE ref = 'fay';
SELECT member, available FROM loyalty.household('fay');

SELECT count(*) FROM loyalty.deferred d JOIN loyalty.source s USING (source_id) WHERE s.name ~ 'choice_';
SELECT * FROM loyalty.verify('choice_shop');
SELECT * FROM loyalty.verify('choice_slow');
DROP VIEW stands;
DROP TABLE choice_orders, choice_slow_orders;
