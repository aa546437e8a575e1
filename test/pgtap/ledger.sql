-- ledger: random acts and purchases against a model in plain SQL, and the invariants they must leave
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = iso;
SELECT no_plan();

-- Which program is meant, when none is named
SELECT throws_ok($$SELECT loyalty.balance('ann')$$, 'LY004', 'there is no loyalty program yet', 'no program yet');
SELECT throws_ok($$SELECT loyalty.enroll('ann')$$, 'LY004', 'there is no loyalty program yet', 'nobody can join what is not there');
SELECT lives_ok($$INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1')$$, 'a restore may load rules before programs');
INSERT INTO loyalty.program (name, expiry, pending) VALUES ('beans', '2 months', '3 days');
SELECT throws_ok($$INSERT INTO loyalty.rule (program, name, award) VALUES ('peas', 'base', '1 per 1')$$, 'LY004', 'loyalty program "peas" does not exist', 'but not once there is a program');
SELECT is(loyalty.enroll('ann'), loyalty.member_id('ann', 'beans'), 'the only program there is');
SELECT is((SELECT available::numeric FROM loyalty.balance('ann')), 0::numeric, 'also for balances');
INSERT INTO loyalty.program (name) VALUES ('empty');
SELECT throws_ok($$SELECT loyalty.balance('ann')$$, 'LY004', 'no loyalty program is named, and there are several', 'several programs');
SET LOCAL loyalty.program = 'beans';
SELECT lives_ok($$SELECT loyalty.balance('ann')$$, 'the setting names one');

-- A model: lots in a table, spent soonest to expire first
CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, total numeric NOT NULL, at timestamptz NOT NULL);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at') \g /dev/null
CREATE TABLE model_lot (member text, starts date, ends date, points numeric);
CREATE TABLE expected (member text, at timestamptz, available numeric, pending numeric, next_expiry date);
CREATE TABLE mismatch (step int, what text);

DO $$
DECLARE
	clock timestamptz := '2023-01-01 00:00Z';
	who text;
	day date;
	last date;
	have numeric;
	want numeric;
	lot record;
	piece numeric;
BEGIN
	PERFORM setseed(0.4711);
	FOR step IN 1..1500 LOOP
		clock := clock + random() * interval '20 hours';
		day := clock::date;
		who := 'm' || floor(random() * 6)::int;
		SELECT coalesce(sum(points), 0) INTO have FROM model_lot WHERE member = who AND day >= starts AND day <= ends;
		CASE floor(random() * 4)::int
		WHEN 0 THEN
			-- a purchase: pending for 3 days, 2 months from then on
			want := floor(random() * 40);
			INSERT INTO orders VALUES (step, who, want + 0.99, clock);
			INSERT INTO model_lot SELECT who, day + 3, (day + 3 + interval '2 months')::date, want WHERE want > 0;
		WHEN 1 THEN
			-- points by hand, with a last day of their own
			want := 1 + floor(random() * 100) / 4;
			last := day + floor(random() * 30)::int;
			PERFORM loyalty.adjust(who, want, at => clock, expires => last);
			INSERT INTO model_lot VALUES (who, day, last, want);
		ELSE
			-- taken, if there is enough
			want := 1 + floor(random() * 30);
			BEGIN
				PERFORM loyalty.adjust(who, -want, at => clock);
				IF have < want THEN
					INSERT INTO mismatch VALUES (step, format('took %s of %s', want, have));
				END IF;
				FOR lot IN SELECT ctid, points FROM model_lot WHERE member = who AND day >= starts AND day <= ends ORDER BY ends, starts LOOP
					piece := least(want, lot.points);
					UPDATE model_lot SET points = points - piece WHERE ctid = lot.ctid;
					want := want - piece;
					EXIT WHEN want = 0;
				END LOOP;
			EXCEPTION WHEN SQLSTATE 'LY001' THEN
				IF have >= want THEN
					INSERT INTO mismatch VALUES (step, format('refused %s of %s', want, have));
				END IF;
			END;
		END CASE;
		INSERT INTO expected SELECT who, clock, coalesce(sum(points) FILTER (WHERE day >= starts), 0), coalesce(sum(points) FILTER (WHERE day < starts), 0),
			min(ends) FILTER (WHERE points > 0)
		FROM model_lot WHERE member = who AND day <= ends;
	END LOOP;
END $$;
SELECT is_empty('SELECT * FROM mismatch ORDER BY step', 'points are taken when there are enough, and only then');
SELECT cmp_ok((SELECT count(*) FROM expected WHERE available > 0 AND pending > 0), '>', 100::bigint, 'the model has met what it is about');
SELECT is_empty($$
	SELECT e.*, b.* FROM expected e, loyalty.balance(e.member, at => e.at) b
	WHERE (b.available::numeric, b.pending::numeric, b.debt::numeric) <> (e.available, e.pending, 0) OR b.next_expiry IS DISTINCT FROM e.next_expiry
	ORDER BY e.at LIMIT 5
$$, 'every balance of the past is still what it was');
SELECT is_empty($$
	SELECT e.member, e.at FROM expected e WHERE (e.available, e.pending) <>
		(SELECT coalesce(sum(points::numeric) FILTER (WHERE starts IS NULL), 0), coalesce(sum(points::numeric) FILTER (WHERE starts IS NOT NULL), 0) FROM loyalty.lots(e.member, at => e.at))
	LIMIT 5
$$, 'and so are the lots');

-- The invariants
SELECT is_empty($$SELECT m.ref FROM loyalty.member m WHERE NOT m.purse OPERATOR(loyalty.=) coalesce((SELECT loyalty.sum(e.lots) FROM loyalty.entry e WHERE e.member_id = m.member_id), '{}')$$, 'I1: the purse is the sum of the entries');
SELECT is_empty($$SELECT member_id, seq FROM loyalty.entry WHERE points::numeric <> loyalty.total(lots)::numeric$$, 'I1: an entry''s points are the total of its lots');
SELECT is_empty($$SELECT m.ref FROM loyalty.member m LEFT JOIN loyalty.entry e USING (member_id) GROUP BY m.member_id
	HAVING m.seq <> count(e.seq) OR m.seq <> coalesce(max(e.seq), 0) OR count(DISTINCT e.seq) <> count(e.seq) OR min(e.seq) <> 1$$, 'I2: numbers without gaps');
SELECT is_empty($$SELECT m.ref FROM loyalty.member m JOIN loyalty.entry e ON e.member_id = m.member_id AND e.seq = m.seq WHERE m.head <> e.hash$$, 'I3: the head is the last hash');
SELECT is_empty($$SELECT m.ref FROM loyalty.member m, generate_series('2023-01-01'::date, '2026-01-01', '1 day') d WHERE loyalty.available(m.purse, d::date)::numeric < 0$$, 'I5: nobody is below zero');
SELECT is_empty($$SELECT ref FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE member_id <> loyalty.member_id(m.ref, p.name)$$, 'members live where their refs compute');
SELECT is_empty($$SELECT m.ref FROM loyalty.member m WHERE m.lifetime::numeric <> (SELECT coalesce(sum(floor(o.total)), 0) FROM orders o WHERE o.customer = m.ref)$$, 'lifetime is what purchases earned');
SELECT is_empty($$SELECT m.ref FROM loyalty.member m, loyalty.lots(m.purse) l WHERE m.next_expiry > l.ends AND l.ends < 'infinity'$$, 'next_expiry is a lower bound');
-- expiry entries take what was there, on the day after the last
SELECT is_empty($$SELECT e.member_id, e.seq FROM loyalty.entry e, loyalty.lots(e.lots) l WHERE e.kind = 'expire' AND (l.points::numeric >= 0 OR e.occurred_at <> (l.ends + 1)::timestamp AT TIME ZONE 'UTC')$$, 'points expire on the day after their last');
SELECT * FROM finish();
ROLLBACK;
