-- verify() finds what was damaged by hand where members stand, names it, and finds nothing else.
\set QUIET 1
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only true
\pset pager off
SET client_min_messages = error;
SET TimeZone = 'UTC';
SET datestyle = iso;
SELECT no_plan();

-- What verify finds, as lines.
CREATE FUNCTION finds(description text, VARIADIC lines text[]) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), lines, description)
	FROM loyalty.verify() v, concat_ws(' | ', v.invariant, v.member, v.problem, v.expected, v.actual) f
$$;
CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT finds(description, VARIADIC '{}')
$$;

-- Ada has earned silver, bob earned gold, and holds a floor above it; cem was given one and has nothing of his own.
INSERT INTO loyalty.program (name, tier_window, tier_validity) VALUES ('beans', 'rolling 365 days', '12 months');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('beans', 'base', 0, 0), ('beans', 'silver', 1, 100), ('beans', 'gold', 2, 250), ('beans', 'vip', 3, NULL);
CREATE TABLE orders (id serial PRIMARY KEY, customer text, total numeric, at timestamptz DEFAULT now());
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at') \g /dev/null
INSERT INTO orders (customer, total) VALUES ('ada', 120), ('bob', 300);
SELECT loyalty.set_tier('bob', 'vip', current_date + 30), loyalty.set_tier('cem', 'gold', current_date + 30) \g /dev/null
SELECT sound('before maintenance');
CALL loyalty.maintain();
SELECT sound('and after');

SELECT tier_since AS since FROM loyalty.member WHERE ref = 'ada' \gset

BEGIN;
SET LOCAL session_replication_role = replica;
SAVEPOINT sound;

UPDATE loyalty.member SET tally = '{}' WHERE ref = 'ada';
SELECT finds('a tally', format('I7 | ada | tally is not what the entries count for | {%s: 120/0/1} | {}', current_date));
ROLLBACK TO sound;
UPDATE loyalty.member SET tier = 'gold' WHERE ref = 'ada';
SELECT finds('a tier', 'I7 | ada | tier is not the one that the changes lead to | silver | gold');
ROLLBACK TO sound;
UPDATE loyalty.member SET tier_since = '2020-01-01' WHERE ref = 'ada';
SELECT finds('since when', format('I7 | ada | tier_since is not when the last change took effect | %s | 2020-01-01 00:00:00+00', :'since'::timestamptz));
ROLLBACK TO sound;
UPDATE loyalty.member SET tier_until = '2999-12-31' WHERE ref = 'ada';
SELECT finds('until when', format('I7 | ada | tier_until is not what the last change says | %s | 2999-12-31', (current_date + interval '12 months')::date));
ROLLBACK TO sound;
UPDATE loyalty.member SET tier_until = NULL WHERE ref = 'ada';
SELECT finds('or for good', format('I7 | ada | tier_until is not what the last change says | %s | none', (current_date + interval '12 months')::date),
	format('member | ada | something falls due before next_expiry | %s | %s', current_date + 364, (current_date + interval '12 months')::date));
ROLLBACK TO sound;
UPDATE loyalty.member SET tier_floor_until = NULL WHERE ref = 'bob';
SELECT finds('the end of a floor', format('I7 | bob | tier_floor_until is not what its change says | %s | none', current_date + 30));
ROLLBACK TO sound;
UPDATE loyalty.member SET tier_floor = 'silver' WHERE ref = 'bob';
SELECT finds('a floor', 'I7 | bob | tier is not the higher one of the member''s own and his floor | gold | vip', 'member | bob | tier is to be reviewed before next_expiry | gold | vip');
ROLLBACK TO sound;
UPDATE loyalty.member SET tier_floor = NULL WHERE ref = 'cem';
SELECT ok((SELECT count(*) > 0 FROM loyalty.verify() WHERE invariant = 'I7' AND member = 'cem' AND problem = 'row tells of a floor that is not there'), 'no floor');
ROLLBACK TO sound;
UPDATE loyalty.member SET tier_changes = 7 WHERE ref = 'cem';
SELECT finds('their number', 'I7 | cem | changes of tier do not count up to the row''s number | 7 | 1');
ROLLBACK;

-- What was given by tiers that have changed since waits for the review
UPDATE loyalty.tier SET rank = CASE name WHEN 'gold' THEN 3 ELSE 2 END WHERE name IN ('gold', 'vip');
SELECT sound('new ranks are nobody''s fault');
CALL loyalty.maintain();
SELECT is(string_agg(tier, ' ' ORDER BY ref), 'silver gold gold', 'the review lets the higher one be his') FROM loyalty.member;
SELECT is(string_agg(reason, ' ' ORDER BY change_no), 'earned manual earned', 'and says so') FROM loyalty.tier_change JOIN loyalty.member USING (member_id) WHERE ref = 'bob';
SELECT sound('and that is sound');
UPDATE loyalty.tier SET rank = CASE name WHEN 'gold' THEN 2 ELSE 3 END WHERE name IN ('gold', 'vip');
CALL loyalty.maintain();
SELECT is(string_agg(tier, ' ' ORDER BY ref), 'silver vip gold', 'or the floor again') FROM loyalty.member;
SELECT sound('which is sound as well');
DELETE FROM loyalty.tier WHERE name = 'vip';
SELECT sound('nor is a floor that is gone');
CALL loyalty.maintain();
SELECT is(tier, 'gold', 'the review leaves what he has reached') FROM loyalty.member WHERE ref = 'bob';
SELECT sound('and that is sound too');

-- Older than what he was given without having had another tier
SELECT loyalty.enroll('dan', at => '2026-01-01'), loyalty.set_tier('dan', 'base') \g /dev/null
INSERT INTO orders (customer, total, at) VALUES ('dan', 120, '2024-01-01');
SELECT is((loyalty.balance('dan')).tier, 'silver', 'a purchase from before the enrollment lifts him');
SELECT sound('as it would without a floor');

SELECT * FROM finish();
