-- Whatever becomes of redemptions, rows, entries and stock agree; and verify() finds what was changed by hand.
\set QUIET 1
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL TimeZone = 'UTC';
SELECT no_plan();

CREATE FUNCTION found(program text DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', v.invariant, v.program, v.member, v.problem, v.expected, v.actual)
	FROM loyalty.verify(program) v WHERE v.invariant ~ 'redemptions|stock'
$$;
CREATE FUNCTION finds(description text, VARIADIC lines text[]) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), lines, description) FROM found() f
$$;
CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is(coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}'), '{}', description) FROM found() f
$$;

INSERT INTO loyalty.program (name) VALUES ('beans'), ('tea');
INSERT INTO loyalty.reward (program, name, cost, stock) VALUES ('beans', 'mug', 10, 100), ('beans', 'cup', 10, NULL), ('tea', 'pot', 5, 3);
INSERT INTO loyalty.reward (program, name, cost, stock, backorder) VALUES ('beans', 'jug', 7, 2, true);
INSERT INTO loyalty.reward (program, name, cost, needs_confirmation, needs_fulfillment) VALUES ('beans', 'tour', 20, true, true);
SELECT count(loyalty.adjust(m, 10000, program => p)) FROM unnest('{ann,bob}'::text[]) m, unnest('{beans,tea}'::text[]) p;

-- Everything that can become of a redemption, at random: what is refused is refused.
CREATE FUNCTION try(command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
EXCEPTION WHEN SQLSTATE 'LY017' OR SQLSTATE 'LY018' OR SQLSTATE 'LY021' OR SQLSTATE 'LY023' OR SQLSTATE 'LY001' OR SQLSTATE 'LY019' THEN
END $$;
SELECT setseed(0.5);
CREATE FUNCTION pick(VARIADIC things text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT things[1 + floor(random() * array_length(things, 1))] $$;
CREATE FUNCTION live(rounds int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	d record;
BEGIN
	FOR i IN 1..rounds LOOP
		PERFORM try(format('SELECT loyalty.redeem(%L, %L, %s, program => ''beans'')', pick('ann', 'bob'), pick('mug', 'cup', 'jug', 'tour'), pick('1', '2', '3', '5')));
		SELECT * INTO d FROM loyalty.redemptions WHERE program = 'beans' ORDER BY random() LIMIT 1;
		PERFORM try(format(pick('SELECT loyalty.cancel(%1$L, %2$s, %3$s, program => ''beans'')', 'SELECT loyalty.cancel(%1$L, %2$s, program => ''beans'')',
			'SELECT loyalty.confirm_redemption(%1$L, %2$s, program => ''beans'')', 'SELECT loyalty.fulfill_redemption(%1$L, %2$s, program => ''beans'')',
			'UPDATE loyalty.reward SET stock = stock + %3$s WHERE name IN (''mug'', ''jug'')', 'UPDATE loyalty.reward SET stock = greatest(stock - 3, 0) WHERE name IN (''mug'', ''jug'')',
			'CALL loyalty.maintain(program => ''beans'')'), d.member, d.entry, pick('1', '3', '10', '14')));
	END LOOP;
END $$;
SELECT live(150);
SELECT sound('after many of them');
SELECT ok(count(*) > 100 AND count(DISTINCT status) = 4 AND bool_or(returned BETWEEN 1 AND quantity - 1), 'which came to every state') FROM loyalty.redemptions;
SELECT is((SELECT sum(taken)::int FROM loyalty.stock WHERE reward = 'mug'), (SELECT sum(stocked)::int FROM loyalty.redemption JOIN loyalty.reward USING (reward_id) WHERE name = 'mug'), 'and as many are taken as stand');
SELECT is((SELECT coalesce(array_agg(v::text), '{}') FROM loyalty.verify() v), '{}', 'nothing else is wrong either');
SELECT points FROM loyalty.redeem('ann', 'pot', 2, program => 'tea') \g /dev/null
SELECT sound('in another program');

-- What was changed by hand, one thing at a time.
CREATE FUNCTION tampered(change text, description text, VARIADIC lines text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		EXECUTE change;
		SET LOCAL session_replication_role = origin;
		answer := (SELECT string_agg(f, E'\n' ORDER BY f COLLATE "C") FROM found('tea') f);
		RAISE EXCEPTION USING MESSAGE = 'undo', DETAIL = coalesce(answer, '');
	EXCEPTION WHEN raise_exception THEN
		GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
	END;
	RETURN NEXT is(answer, array_to_string(lines, E'\n'), description);
END $$;
SELECT tampered('DELETE FROM loyalty.redemption WHERE program_id = 2', 'a row is gone',
	'I6 redemptions | tea | ann | entry 2 redeemed a reward, and is in no row | a row | none',
	'I6 stock | tea | units taken of the stock of reward "pot" are not those redeemed | 0 | 2');
SELECT tampered('UPDATE loyalty.redemption SET seq = 9 WHERE program_id = 2', 'a row is of another entry',
	'I6 redemptions | tea | ann | entry 2 redeemed a reward, and is in no row | a row | none',
	'I6 redemptions | tea | ann | redemption 9 took no points | an entry | none');
SELECT tampered('UPDATE loyalty.redemption SET points = ''5'' WHERE program_id = 2', 'other points',
	'I6 redemptions | tea | ann | points of redemption 2 are not those of its entry | 10 | 5');
SELECT tampered('UPDATE loyalty.redemption SET quantity = 1, stocked = 1 WHERE program_id = 2', 'another quantity',
	'I6 redemptions | tea | ann | quantity of redemption 2 is not that of its entry | 2 | 1',
	'I6 stock | tea | units taken of the stock of reward "pot" are not those redeemed | 1 | 2');
SELECT tampered('UPDATE loyalty.redemption SET reward_id = 1 WHERE program_id = 2', 'a reward of another program',
	'I6 redemptions | tea | ann | entry 2 names another reward than its redemption | mug | pot',
	'I6 redemptions | tea | ann | redemption 2 is of no reward of its program | a reward | mug',
	'I6 stock | tea | units taken of the stock of reward "pot" are not those redeemed | 0 | 2');
SELECT tampered('UPDATE loyalty.redemption SET returned = 1 WHERE program_id = 2', 'a unit that never went back',
	'I6 redemptions | tea | ann | units of redemption 2 do not add up | 2 | 1 returned, 0 on back-order, 2 from stock',
	'I6 redemptions | tea | ann | units returned of redemption 2 are not those whose points went back | 0 | 1');
SELECT tampered('UPDATE loyalty.redemption SET status = ''confirmed'' WHERE program_id = 2', 'a status that its times do not say',
	'I6 redemptions | tea | ann | status of redemption 2 is not what its times say | what they say | confirmed');
SELECT tampered('UPDATE loyalty.redemption SET status = ''cancelled'', cancelled_at = now() WHERE program_id = 2', 'cancelled, though nothing went back',
	'I6 redemptions | tea | ann | redemption 2 is cancelled, or not, against its units | not cancelled | cancelled');
SELECT tampered('UPDATE loyalty.redemption SET fulfilled_at = confirmed_at - interval ''1 day'' WHERE program_id = 2', 'fulfilled before it was confirmed',
	'I6 redemptions | tea | ann | status of redemption 2 is not what its times say | what they say | fulfilled');
SELECT tampered('UPDATE loyalty.reward_stock SET taken = taken + 1 WHERE reward_id = 3 AND slot = (SELECT min(slot) FROM loyalty.reward_stock WHERE reward_id = 3 AND taken = 0 AND allotted = 0)', 'more taken than allotted',
	'I6 stock | tea | more was taken from a slot of the stock of reward "pot" than was allotted to it | 0 | 1',
	'I6 stock | tea | units taken of the stock of reward "pot" are not those redeemed | 2 | 3');
SELECT tampered('UPDATE loyalty.reward_stock SET allotted = allotted + 1, stock = stock + CASE slot WHEN 0 THEN 1 ELSE 0 END WHERE reward_id = 3 AND slot < 1', 'slots that name another stock',
	'I6 stock | tea | slots of the stock of reward "pot" name different stocks | 4 | 3');
SELECT tampered('DELETE FROM loyalty.reward_stock WHERE reward_id = 3', 'no slots',
	'I6 stock | tea | units taken of the stock of reward "pot" are not those redeemed | 2 | 0');
-- A person who was forgotten leaves contexts blank.
SELECT tampered('UPDATE loyalty.entry SET context = NULL WHERE program_id = 2', 'what was blanked is not asked', VARIADIC '{}'::text[]);
SELECT sound('as it was');
SELECT * FROM finish();
ROLLBACK;
