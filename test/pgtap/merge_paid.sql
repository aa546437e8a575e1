-- merge_paid: points that paid for an order go back with it, whoever's ledger they and the order are in since members were merged and parted.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
SET search_path = public;
SET timezone = 'UTC';
SET client_min_messages = error;
SELECT no_plan();

INSERT INTO loyalty.program (name, point_value) VALUES ('beans', 0.1);
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric);
SELECT loyalty.attach('orders', member => 'member', amount => 'amount') \g /dev/null

CREATE FUNCTION have(member text) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s %s %s', available, held, debt) FROM loyalty.balance(member)
$$;
CREATE FUNCTION sound(what text) RETURNS text LANGUAGE sql AS $$ SELECT is_empty('SELECT * FROM loyalty.verify()', what) $$;

-- an order from before the merge, paid for after it
INSERT INTO orders VALUES (1, 'ann', 100), (2, 'bea', 100);
SELECT loyalty.merge_members('ann', 'bea') \g /dev/null
SELECT loyalty.spend('ann', 50, purchase => '1') \g /dev/null
SELECT loyalty.hold('bea', 20, purchase => '1') \g /dev/null
SELECT is(have('ann'), '130 20 0', 'paid from what both have');
UPDATE orders SET amount = 60 WHERE id = 1;
SELECT is(have('ann'), '110 20 0', 'of 50 points 20 come back, and 40 that it earned go');
UPDATE orders SET amount = 59.9 WHERE id = 1;
SELECT is(have('ann'), '109 20 0', 'none of a part of a point; one that it earned');
SELECT sound('sound with a part returned');
DELETE FROM orders WHERE id = 1;
SELECT is(have('ann'), '100 0 0', 'all of it comes back, what was held too');
SELECT is((SELECT array_agg(kind || ' ' || points ORDER BY seq) FROM loyalty.entry WHERE context ->> 'purchase' = '1' AND kind = 'refund'),
	'{refund 20,refund 30}', 'in the ledger that it came from');
SELECT sound('sound with all returned');

-- the same in a chain: each pays in the ledger that was hers then
INSERT INTO orders VALUES (11, 'cat', 100), (12, 'dee', 100), (13, 'eve', 100);
SELECT loyalty.spend('cat', 10, purchase => '11') \g /dev/null
SELECT loyalty.merge_members('cat', 'dee') \g /dev/null
SELECT loyalty.spend('cat', 20, purchase => '11') \g /dev/null
SELECT loyalty.merge_members('dee', 'eve') \g /dev/null
SELECT loyalty.spend('cat', 30, purchase => '11') \g /dev/null
SELECT is(have('cat'), '240 0 0', 'three have paid for it');
UPDATE orders SET amount = 50 WHERE id = 11;
SELECT is(have('cat'), '220 0 0', 'half of what each paid comes back');
DELETE FROM orders WHERE id = 11;
SELECT is(have('cat'), '200 0 0', 'and the other half');
SELECT sound('sound in a chain');

-- parted since: what was paid goes back to who paid it
INSERT INTO orders VALUES (21, 'fay', 100), (22, 'gil', 100);
SELECT loyalty.merge_members('fay', 'gil') \g /dev/null
SELECT loyalty.spend('fay', 40, purchase => '21') \g /dev/null
INSERT INTO orders VALUES (23, 'fay', 100);
SELECT loyalty.unmerge_members('fay') \g /dev/null
SELECT loyalty.spend('fay', 30, purchase => '23') \g /dev/null
SELECT is(have('fay') || ', ' || have('gil'), '70 0 0, 160 0 0', 'parted');
DELETE FROM orders WHERE id = 21;
SELECT is(have('fay') || ', ' || have('gil'), '0 0 30, 200 0 0', 'paid by one, for an order in the ledger of the other');
DELETE FROM orders WHERE id = 23;
SELECT is(have('fay') || ', ' || have('gil'), '0 0 0, 100 0 0', 'and the other way round');
SELECT sound('sound when parted');

-- an order under another key is still paid for, in whose ledger that may be
INSERT INTO orders VALUES (31, 'hal', 100), (32, 'ian', 100);
SELECT loyalty.spend('hal', 10, purchase => '31') \g /dev/null
SELECT loyalty.merge_members('hal', 'ian') \g /dev/null
SELECT loyalty.spend('hal', 20, purchase => '31') \g /dev/null
SELECT loyalty.hold('hal', 5, purchase => '31') \g /dev/null
UPDATE orders SET id = 33 WHERE id = 31;
SELECT is(have('hal'), '165 5 0', 'nothing comes back by a new key');
SELECT sound('sound under another key');
DELETE FROM orders WHERE id = 33;
SELECT is(have('hal'), '100 0 0', 'all of it by a return');
SELECT sound('sound in the end');
SELECT * FROM finish();
