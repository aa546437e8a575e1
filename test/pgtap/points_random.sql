-- A property: whatever happens to points, the reports on points and money foot, agree with each other, and come to
-- what members have; and what was known at a time stays what it was.
-- The seed is printed; psql -v seed=0.25 -f test/pgtap/points_random.sql repeats one.
SET search_path = public, loyalty;
SET client_min_messages = error;
SET timezone = 'UTC';
SELECT no_plan();
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);

-- Far apart in time zones, life spans and what becomes of points that were spent before their purchase was returned.
INSERT INTO program (name, currency, point_value, time_zone, expiry, clawback, pending, points_scale) VALUES
	('shop', 'USD', 0.01, 'Pacific/Auckland', '60 days', 'debt', '0', 0), ('wait', NULL, NULL, 'America/Los_Angeles', '3 months end of month', 'available', '14 days', 2),
	('idle', 'EUR', 0.5, 'Asia/Kathmandu', 'inactive 4 months', 'debt', '3 days', 1), ('none', 'USD', 0.02, 'UTC', 'never', 'none', '0', 0);
INSERT INTO rule (program, name, award) SELECT name, 'base', '1 per 1'::award FROM program UNION ALL SELECT name, 'twice', 'x2' FROM program;
INSERT INTO rule (program, name, event, award) SELECT name, 'review', 'review', '10'::award FROM program;
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, status text, at timestamptz);
SELECT count(attach('orders', member => 'member', amount => 'amount', at => 'at', counts => $$status = 'paid'$$, program => name)) FROM program;

CREATE FUNCTION somebody() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'm' || ceil(random() * 12)::int $$;
-- One act of chance; what is refused, since there is too little or a member is gone, is another chance.
CREATE FUNCTION step() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	low int := random() * 300;
	high int := low + random() ^ 3 * 60;
	who text := somebody();
	which text := (ARRAY['shop', 'wait', 'idle', 'none'])[1 + floor(random() * 4)::int];
	act int := floor(random() * 22);
	moment timestamptz := CASE WHEN random() < 0.4 THEN now() - random() * interval '100 days' END;
BEGIN
	CASE act
	WHEN 0, 1, 2 THEN INSERT INTO orders SELECT DISTINCT ON (id) * FROM (SELECT (random() * 300)::int AS id, somebody(), round((random() * 120 - 20)::numeric, (random() * 3)::int),
			(ARRAY['open', 'paid', 'paid', 'paid'])[1 + (random() * 3)::int], now() + (random() * 405 - 400) * interval '1 day' FROM generate_series(1, 1 + (random() ^ 3 * 40)::int)) r ON CONFLICT DO NOTHING;
	WHEN 3 THEN UPDATE orders SET amount = round((random() * 130 - 20)::numeric, 2) WHERE id BETWEEN low AND high;
	WHEN 4 THEN UPDATE orders SET status = (ARRAY['open', 'paid'])[1 + (random())::int] WHERE id BETWEEN low AND high;
	WHEN 5 THEN UPDATE orders SET member = somebody() WHERE id BETWEEN low AND high;
	WHEN 6 THEN DELETE FROM orders WHERE id BETWEEN low AND low + 5;
	WHEN 7, 8 THEN PERFORM spend(who, 1 + (random() * 40)::int, at => moment, program => which);
	WHEN 9 THEN PERFORM adjust(who, (random() * 100)::int - 30, expires => CASE WHEN random() < 0.3 AND moment IS NULL THEN current_date + (random() * 100)::int END, at => moment, program => which);
	WHEN 10 THEN PERFORM record(who, 'purchase', round((random() * 50)::numeric, 2), key => CASE WHEN random() < 0.5 THEN 'k' || (random() * 1000000)::int END,
		at => now() - random() * interval '300 days', program => which);
	WHEN 11 THEN PERFORM record(who, 'review', round((random() * 50)::numeric, 2), at => moment, program => which);
	WHEN 12, 13 THEN PERFORM cancel(m.ref, e.seq, CASE WHEN random() < 0.5 THEN ceil(abs(e.points::numeric) / 2) END, program => which) FROM member m JOIN entry e USING (member_id) JOIN program p ON p.program_id = m.program_id
		WHERE p.name = which AND e.kind IN ('redeem', 'adjust', 'transfer', 'expire', 'import') ORDER BY random() LIMIT 1;
	WHEN 14 THEN PERFORM hold(who, 1 + (random() * 30)::int, ttl => (random() * 20)::int * interval '1 hour', program => which);
	WHEN 15 THEN PERFORM capture(m.ref, h.seq, ceil(h.points::numeric * random()::numeric), final => random() < 0.5, program => which) FROM hold h JOIN member m USING (member_id) JOIN program p ON p.program_id = m.program_id
		WHERE p.name = which ORDER BY random() LIMIT 1;
	WHEN 16 THEN PERFORM release(m.ref, h.seq, program => which) FROM hold h JOIN member m USING (member_id) JOIN program p ON p.program_id = m.program_id
		WHERE p.name = which ORDER BY random() LIMIT 1;
	WHEN 17 THEN PERFORM transfer(who, somebody(), 1 + (random() * 20)::int, at => moment, program => which);
	WHEN 18 THEN IF random() < 0.3 THEN PERFORM merge_members(who, somebody(), program => which); ELSE PERFORM transfer(who, somebody(), 5, program => which); END IF;
	WHEN 19 THEN PERFORM unmerge_members(m.ref, true, program => which) FROM member m JOIN member_merge g USING (member_id) JOIN program p ON p.program_id = m.program_id WHERE p.name = which AND g.undone_at IS NULL ORDER BY random() LIMIT 1;
	WHEN 20 THEN PERFORM extend(who, l.ends, l.ends + 30, program => which) FROM lots(who, program => which) l WHERE isfinite(l.ends) ORDER BY random() LIMIT 1;
	ELSE
		IF random() < 0.15 THEN PERFORM forget_member(who, program => which);
		ELSE PERFORM set_estimate((ARRAY['redemption_rate', 'point_value', 'point_cost'])[1 + floor(random() * 3)::int], round(random()::numeric, 2) + 0.01 * (random() < 0.5)::int,
			CASE WHEN random() < 0.2 THEN '-infinity' ELSE current_date - (random() * 300)::int END, program => which); END IF;
	END CASE;
EXCEPTION WHEN OTHERS THEN NULL;
END $$;
CREATE PROCEDURE steps(n int) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..n LOOP PERFORM step(); COMMIT; END LOOP; END $$;

-- What does not foot in any of the reports.
CREATE FUNCTION wrong(which text) RETURNS TABLE (what text, line text) LANGUAGE plpgsql AS $$
DECLARE
	unit text;
	low date;
	high date;
BEGIN
	FOREACH unit IN ARRAY '{day,week,month,quarter,year}'::text[] LOOP
		low := CASE WHEN random() < 0.7 THEN current_date - (random() * 500)::int END;
		high := CASE WHEN random() < 0.7 THEN current_date - (random() * 200)::int + 20 ELSE 'infinity' END;
		RETURN QUERY SELECT 'roll_forward ' || unit, r::text FROM (SELECT *, lag(closing) OVER (ORDER BY starts) AS was FROM roll_forward(unit, low, high, which)) r
			WHERE opening::numeric + earned::numeric + clawed_back::numeric + redeemed::numeric + refunded::numeric + expired::numeric + adjusted::numeric + transferred::numeric + imported::numeric <> closing::numeric
				OR was::numeric <> opening::numeric;
		RETURN QUERY SELECT 'roll_forward meets ' || unit, concat_ws(' ', low, high, before, opening) FROM
			(SELECT (SELECT closing::numeric FROM roll_forward('day', NULL, coalesce(low, '-infinity'), which) ORDER BY starts DESC LIMIT 1) AS before,
				(SELECT opening::numeric FROM roll_forward(unit, low, high, which) ORDER BY starts LIMIT 1) AS opening) x WHERE coalesce(before, 0) <> opening;
		RETURN QUERY SELECT 'deferral ' || unit, r::text FROM (SELECT *, lag(d.closing) OVER (ORDER BY d.starts) AS was FROM deferral(unit, low, high, NULL, which) d) r
			WHERE r.opening + r.deferred - r.on_redemption - r.on_expiry - r.catch_up <> r.closing OR r.was <> r.opening OR r.sales <> r.goods + r.deferred;
		RETURN QUERY SELECT 'known now ' || unit, d::text FROM (SELECT * FROM deferral(unit, low, high, NULL, which) EXCEPT ALL SELECT * FROM deferral(unit, low, high, clock_timestamp(), which)) d;
		RETURN QUERY SELECT 'known now, less ' || unit, d::text FROM (SELECT * FROM deferral(unit, low, high, clock_timestamp(), which) EXCEPT ALL SELECT * FROM deferral(unit, low, high, NULL, which)) d;
		RETURN QUERY SELECT 'journal ' || unit, j.reference FROM journal(unit, low, high, NULL, which) j GROUP BY j.reference HAVING sum(j.debit) IS DISTINCT FROM sum(j.credit) OR count(*) <> 2;
		-- nothing is deferred yet on days before the first points; where nothing says what these are worth the period has no figure
		RETURN QUERY SELECT 'periods ' || unit, 'deferral' FROM (SELECT coalesce(sum(d.deferred), 0) AS deferred, coalesce(sum(d.on_redemption + d.on_expiry + d.catch_up), 0) AS earned, sum(d.sales) AS sales, sum(d.redeemed::numeric) AS r FROM deferral(unit, low, high, NULL, which) d) a,
			(SELECT coalesce(sum(d.deferred), 0) AS deferred, coalesce(sum(d.on_redemption + d.on_expiry + d.catch_up), 0) AS earned, sum(d.sales) AS sales, sum(d.redeemed::numeric) AS r FROM deferral('day', low, high, NULL, which) d) b WHERE a IS DISTINCT FROM b;
	END LOOP;
	RETURN QUERY SELECT 'closing', concat_ws(' ', r.closing, r.held, m.points, m.held) FROM (SELECT * FROM roll_forward('day', NULL, 'infinity', which) ORDER BY starts DESC LIMIT 1) r,
		(SELECT sum(total(m.purse)::numeric + m.held::numeric) AS points, sum(m.held::numeric) AS held FROM member m JOIN program p USING (program_id) WHERE p.name = which) m
		WHERE r.closing::numeric <> m.points OR r.held::numeric <> m.held;
	RETURN QUERY SELECT 'age', concat_ws(' ', a.points, r.closing) FROM (SELECT * FROM roll_forward('month', NULL, 'infinity', which) ORDER BY starts DESC LIMIT 1) r,
		(SELECT sum(o.outstanding::numeric) AS points FROM outstanding_by_age(which) o) a WHERE r.closing::numeric <> a.points;
	RETURN QUERY SELECT 'lapsed', concat_ws(' ', m.points, l.points, o.points) FROM
		(SELECT sum(total(m.purse)::numeric + m.held::numeric) AS points FROM member m JOIN program p USING (program_id) WHERE p.name = which) m,
		(SELECT coalesce(sum(l.points::numeric), 0) AS points FROM lapsed l WHERE l.program = which) l, (SELECT coalesce(sum(l.points::numeric), 0) AS points FROM liability l WHERE l.program = which) o
		WHERE m.points - l.points <> o.points;
	RETURN QUERY SELECT 'cohorts', c::text FROM cohorts(which) c WHERE c.cohort IS NOT NULL AND (c.issued::numeric < 0 OR c.month < c.cohort);
	RETURN QUERY SELECT 'age, cohort', o::text FROM outstanding_by_age(which) o WHERE o.cohort IS NOT NULL AND o.outstanding::numeric < 0;
	RETURN QUERY SELECT 'redeemed', concat_ws(' ', c.r, f.r, c.x, f.x) FROM (SELECT sum(redeemed::numeric) AS r, sum(expired::numeric) AS x FROM cohorts(which)) c,
		(SELECT -sum(redeemed::numeric + refunded::numeric) AS r, -sum(expired::numeric) AS x FROM roll_forward('month', NULL, 'infinity', which)) f WHERE c.r <> f.r OR c.x <> f.x;
	RETURN QUERY SELECT 'breakage', b::text FROM breakage(which) b WHERE b.cohort IS NOT NULL AND (b.ultimate::numeric < b.redeemed::numeric OR b.ultimate::numeric > b.issued::numeric - b.expired::numeric);
	RETURN QUERY SELECT 'forecast', f::text FROM expiry_forecast(which) f WHERE f.expected::numeric NOT BETWEEN 0 AND f.points::numeric;
	RETURN QUERY SELECT 'sales', concat_ws(' ', a.sales, b.sales) FROM (SELECT coalesce(sum(d.sales), 0) AS sales FROM lots_by_day d JOIN program USING (program_id) WHERE name = which) a,
		(SELECT coalesce(sum(d.amount), 0) AS sales FROM points_by_day d WHERE d.program = which) b WHERE a.sales <> b.sales;
	RETURN QUERY SELECT 'deferred points', concat_ws(' ', a.i, a.r, a.x, f.i, f.r, f.x) FROM (SELECT sum(d.issued::numeric) AS i, sum(d.redeemed::numeric) AS r, sum(d.expired::numeric) AS x FROM deferral('month', NULL, 'infinity', NULL, which) d) a,
		(SELECT sum(earned::numeric + clawed_back::numeric) AS i, -sum(redeemed::numeric + refunded::numeric) AS r, -sum(expired::numeric) AS x FROM roll_forward('month', NULL, 'infinity', which)) f WHERE a.r <> f.r OR a.x <> f.x;
	RETURN QUERY SELECT 'by rule', concat_ws(' ', a.n, f.n) FROM (SELECT coalesce(sum(net::numeric), 0) AS n FROM roll_forward_by_rule(NULL, 'infinity', which)) a,
		(SELECT sum(earned::numeric + clawed_back::numeric) AS n FROM roll_forward('month', NULL, 'infinity', which)) f WHERE a.n <> f.n;
	RETURN QUERY SELECT 'point_values', v::text FROM point_values(program => which) v WHERE v.outstanding::numeric <> (SELECT coalesce(sum(l.points::numeric), 0) FROM liability l WHERE l.program = which);
END $$;

-- What was known at a time, kept as it was.
CREATE TABLE known (at timestamptz, program text, unit text, lines text[]);
CREATE FUNCTION accounts(which text, unit text, at timestamptz) RETURNS text[] LANGUAGE sql AS $$
	SELECT array(SELECT d::text FROM deferral(unit, NULL, NULL, at, which) d UNION ALL SELECT j::text FROM journal(unit, NULL, NULL, at, which) j) $$;
CREATE FUNCTION all_wrong() RETURNS TABLE (program text, what text, line text) LANGUAGE sql AS $$ SELECT p.name, w.* FROM program p, wrong(p.name) w $$;

CALL steps(80);
SELECT is_empty('SELECT * FROM all_wrong()', 'after a few acts');
DO $$ BEGIN
	FOR round IN 1..3 LOOP
		CALL steps(80);
		INSERT INTO known SELECT k.at, p.name, u, accounts(p.name, u, k.at) FROM (SELECT clock_timestamp() AS at) k, program p, unnest('{week,quarter}'::text[]) u;
		COMMIT;
	END LOOP;
END $$;
SELECT is_empty('SELECT * FROM all_wrong()', 'after many');
CALL import_balance($$SELECT 'm' || i AS member, i * 10 AS points FROM generate_series(1, 15) i$$, 'old', program => 'shop');
CALL import_balance($$SELECT 'm' || i AS member, i * 10 AS points FROM generate_series(1, 15) i$$, 'old', program => 'wait');
CALL steps(40);
CALL maintain();
SELECT is_empty('SELECT * FROM all_wrong()', 'after imports and maintenance');
CALL steps(60);
SELECT is_empty('SELECT * FROM all_wrong()', 'and more acts');
SELECT count(roll_up(name, now())) FROM program \g /dev/null
SELECT is_empty('SELECT * FROM all_wrong()', 'with rollups');
SELECT count(forget_member(ref, program => p.name)) FROM member m JOIN program p USING (program_id) WHERE m.status = 'active' AND ref IN ('m1', 'm2', 'm3') \g /dev/null
SELECT is_empty('SELECT at, program, unit, o FROM known, unnest(lines) o WHERE lines <> accounts(program, unit, at) AND o <> ALL (accounts(program, unit, at))', 'what was known at a time is known still');
SELECT is_empty('SELECT at, program, unit, n FROM known, unnest(accounts(program, unit, at)) n WHERE n <> ALL (lines)', 'and no more');
SELECT is_empty('SELECT * FROM verify() WHERE invariant ~ ''^I1''', 'and the ledger adds up');
SELECT * FROM finish();
