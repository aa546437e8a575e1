-- merge_keys: what was done under a key before a merge is not done again after it.
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
INSERT INTO loyalty.rule (program, name, award, event) VALUES ('beans', 'review', '7', 'review');
INSERT INTO loyalty.reward (program, name, title, cost) VALUES ('beans', 'MUG', 'Mug', 10);
INSERT INTO loyalty.tier (program, name, rank) VALUES ('beans', 'base', 0), ('beans', 'gold', 1);

-- a call that answers a posting, made before and after
CREATE TABLE call (n int, what text, before text, after text);
INSERT INTO call (n, what) VALUES
	(1, $$adjust('ann', 500, current_date + 20, key => 'k')$$), (2, $$spend('ann', 20, key => 'k')$$), (3, $$hold('ann', 30, key => 'k')$$), (4, $$hold('ann', 5, key => 'k2')$$),
	(5, $$capture('ann', 3, 10, key => 'k')$$), (6, $$release('ann', 4, key => 'k')$$), (7, $$transfer('ann', 'cat', 15, key => 'k')$$),
	(8, $$cancel('ann', 2, 8, key => 'k')$$), (9, $$record('ann', 'review', key => 'k')$$), (10, $$redeem('ann', 'MUG', key => 'k')$$),
	(11, $$extend('ann', current_date + 20, current_date + 30, 5, key => 'k')$$), (12, $$set_tier('ann', 'gold', key => 'k')$$);
SELECT loyalty.adjust('bea', 1000), loyalty.adjust('cat', 1000) \g /dev/null
DO $$
DECLARE c call;
BEGIN
	FOR c IN SELECT * FROM call ORDER BY n LOOP
		EXECUTE 'SELECT to_jsonb(a)::text FROM loyalty.' || c.what || ' a' INTO c.before;
		UPDATE call SET before = c.before WHERE n = c.n;
	END LOOP;
END $$;
SELECT loyalty.record('ann', 'review', key => 'second'), loyalty.cancel('ann', (SELECT max(entry) FROM loyalty.statement('ann') WHERE kind = 'earn'), key => 'event') \g /dev/null
SELECT loyalty.merge_members('ann', 'bea') \g /dev/null
CREATE TABLE entries AS SELECT member_id, seq FROM loyalty.entry;
DO $$
DECLARE c call;
BEGIN
	FOR c IN SELECT * FROM call ORDER BY n LOOP
		EXECUTE 'SELECT to_jsonb(a)::text FROM loyalty.' || c.what || ' a' INTO c.after;
		UPDATE call SET after = c.after WHERE n = c.n;
	END LOOP;
END $$;
SELECT is(after::jsonb - '{voucher_note,why}'::text[], jsonb_set(before::jsonb, '{repeated}', 'true') - '{voucher_note,why}'::text[], what) FROM call ORDER BY n;
SELECT is_empty('SELECT member_id, seq FROM loyalty.entry EXCEPT SELECT * FROM entries', 'nothing was done again');
SELECT throws_ok($$SELECT loyalty.cancel('ann', 1, key => 'event')$$, 'LY006', NULL, 'nor is another entry cancelled by the key of an event');
SELECT throws_ok($$SELECT loyalty.cancel('ann', 99, key => 'event')$$, 'LY006', NULL, 'be it there or not');
-- by way of a second merge
SELECT loyalty.merge_members('bea', 'cat') \g /dev/null
SELECT is((loyalty.spend('ann', 20, key => 'k')).repeated, true, 'nor after another merge');
SELECT throws_ok($$SELECT loyalty.spend('ann', 21, key => 'k')$$, 'LY006', NULL, 'with other arguments it is an error');
-- the key of one is none of the other's
SELECT is((loyalty.spend('cat', 20, key => 'k')).repeated, false, 'who stayed has keys of her own');
SELECT is((loyalty.spend('ann', 20, key => 'k3')).repeated, false, 'a new key is a new act');
SELECT is_empty('SELECT * FROM loyalty.verify()', 'sound');
SELECT * FROM finish();
