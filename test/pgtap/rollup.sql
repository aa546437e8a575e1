-- A property: whatever happens, and however far the rollups go, points_by_day, activity_by_month and lots_by_day are the sums of all entries.
-- The seed is printed; psql -v seed=0.25 -f test/pgtap/rollup.sql repeats one.
SET search_path = public, loyalty;
SET client_min_messages = warning;
SELECT no_plan();
\if :{?seed}
\else
SELECT round(random()::numeric, 6) AS seed \gset
\endif
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed);

-- Two programs, far apart, the second of few members; a third has nothing.
INSERT INTO program (name, currency, time_zone, expiry, clawback, retention) VALUES ('shop', 'USD', 'Pacific/Auckland', '60 days', 'debt', NULL),
	('other', 'USD', 'America/Los_Angeles', '12 months', 'available', NULL), ('empty', NULL, 'UTC', 'never', 'debt', NULL);
INSERT INTO rule (program, name, award) SELECT name, 'base', '1 per 1'::award FROM program UNION ALL SELECT name, 'twice', 'x2' FROM program;
INSERT INTO rule (program, name, event, award) VALUES ('shop', 'review', 'review', '10');
CREATE TABLE orders (id int PRIMARY KEY, member text, amount numeric, status text, at timestamptz);
SELECT count(attach('orders', member => 'member', amount => 'amount', at => 'at', counts => $$status = 'paid'$$, program => name)) FROM program WHERE name <> 'empty';

-- The views as they would be without rollups.
CREATE VIEW plain_day AS
	SELECT p.name AS program, e.program_id, e.day, e.kind, e.rule_id, e.source_id, count(*) AS entries, loyalty.sum(e.points) AS points,
		   coalesce(loyalty.sum(e.points) FILTER (WHERE e.points::numeric > 0), 0) AS gained, coalesce(loyalty.sum(e.points) FILTER (WHERE e.points::numeric < 0), 0) AS taken,
		   pg_catalog.sum(e.purchases) AS purchases, coalesce(pg_catalog.sum(e.amount), 0) AS amount
	FROM loyalty.movements e JOIN loyalty.program p USING (program_id) GROUP BY 1, 2, 3, 4, 5, 6;
CREATE VIEW plain_month AS
	SELECT p.name AS program, e.program_id, e.member_id, date_trunc('month', e.day::timestamp)::date AS month, pg_catalog.sum(e.purchases) AS purchases, coalesce(pg_catalog.sum(e.amount), 0) AS amount,
		   pg_catalog.min(e.occurred_at) FILTER (WHERE e.purchases > 0) AS first_purchase, pg_catalog.max(e.occurred_at) FILTER (WHERE e.purchases > 0) AS last_purchase,
		   coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'earn'), 0) AS earned, coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'clawback'), 0) AS clawed_back,
		   coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'redeem'), 0) AS redeemed, coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'refund'), 0) AS refunded,
		   coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'expire'), 0) AS expired,
		   coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind IN ('adjust', 'transfer', 'import')), 0) AS adjusted, count(*) FILTER (WHERE e.kind = 'redeem') AS redemptions
	FROM loyalty.movements e JOIN loyalty.program p USING (program_id) GROUP BY 1, 2, 3, 4;
-- Each person's redemptions and expiries against his points from the oldest on, by windows and the engine's own way to spend from a
-- purse: the months are the last days of lots here, and a lot without end stands for what is owed.
CREATE VIEW plain_point_cohorts AS
	WITH merged AS MATERIALIZED (
		SELECT g.member_id, s.person_id
		FROM (SELECT DISTINCT member_id FROM loyalty.member_merge WHERE undone_at IS NULL) g
		-- few, each looked up by himself
		CROSS JOIN LATERAL (SELECT p.person_id FROM loyalty.persons p WHERE p.member_id = g.member_id OFFSET 0) s
	), moved AS (
		SELECT a.program_id, a.member_id, a.month, a.earned OPERATOR(loyalty.+) a.clawed_back OPERATOR(loyalty.+) a.adjusted AS issued,
			   OPERATOR(loyalty.-) a.expired AS expired, OPERATOR(loyalty.-) (a.redeemed OPERATOR(loyalty.+) a.refunded) AS redeemed
		FROM plain_month a
	), running AS (
		SELECT v.program_id, coalesce(g.person_id, v.member_id) AS person_id, v.month, v.issued AS change,
			   loyalty.sum(v.issued) OVER w AS issued, loyalty.sum(v.expired) OVER w AS expired, loyalty.sum(v.redeemed) OVER w AS redeemed
		FROM moved v
		LEFT JOIN merged g ON g.member_id = v.member_id
		WINDOW w AS (PARTITION BY v.program_id, coalesce(g.person_id, v.member_id) ORDER BY v.month)
	), lasting AS (
		-- what lay before a month is the lesser of the sum there and of what lasts from here on
		SELECT r.program_id, r.person_id, r.month, r.change, r.expired,
			   loyalty.min(r.issued) OVER w AS issued, loyalty.min(r.redeemed) OVER w AS redeemed,
			   lag(r.issued, 1, 0::loyalty.points) OVER w AS before_issued, lag(r.expired, 1, 0::loyalty.points) OVER w AS before_expired,
			   lag(r.redeemed, 1, 0::loyalty.points) OVER w AS before_redeemed
		FROM running r
		WINDOW w AS (PARTITION BY r.program_id, r.person_id ORDER BY r.month RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
	), stepped AS (
		SELECT l.program_id, l.person_id, l.month, l.change,
			   greatest(l.issued, 0::loyalty.points) OPERATOR(loyalty.-) greatest(least(l.before_issued, l.issued), 0::loyalty.points) AS issued,
			   l.before_expired OPERATOR(loyalty.+) greatest(least(l.before_redeemed, l.redeemed), 0::loyalty.points) AS gone,
			   l.expired OPERATOR(loyalty.+) greatest(least(l.before_redeemed, l.redeemed), 0::loyalty.points) AS gone_expired,
			   l.expired OPERATOR(loyalty.+) greatest(l.redeemed, 0::loyalty.points) AS gone_redeemed
		FROM lasting l
	), pursed AS (
		SELECT s.program_id, s.month, s.change, s.issued, s.gone, s.gone_expired, s.gone_redeemed,
			   loyalty.sum(CASE WHEN s.issued OPERATOR(loyalty.>) 0 THEN loyalty.purse(s.issued, NULL, s.month)
								ELSE '{}'::loyalty.purse END) OVER (PARTITION BY s.program_id, s.person_id)
			   OPERATOR(loyalty.+) '{400000000000000@infinity}'::loyalty.purse AS purse
		FROM stepped s
	), matched AS (
		SELECT v.program_id, v.month, loyalty.sum(v.issued) AS issued,
			   loyalty.sum(v.change OPERATOR(loyalty.-) v.issued) AS lacking,
			   loyalty.sum(g.by_expired OPERATOR(loyalty.-) g.before) AS expired,
			   loyalty.sum(g.by_redeemed OPERATOR(loyalty.-) g.by_expired) AS redeemed
		FROM pursed v
		LEFT JOIN LATERAL (
			SELECT CASE WHEN v.gone OPERATOR(loyalty.>) 0 THEN loyalty.spend(v.purse, v.gone, '-infinity') ELSE '{}'::loyalty.purse END AS before,
				   CASE WHEN v.gone_expired OPERATOR(loyalty.>) 0 THEN loyalty.spend(v.purse, v.gone_expired, '-infinity') ELSE '{}'::loyalty.purse END AS by_expired,
				   loyalty.spend(v.purse, v.gone_redeemed, '-infinity') AS by_redeemed
			WHERE v.gone_redeemed OPERATOR(loyalty.>) v.gone
			-- so that each is worked out once
			OFFSET 0) g ON true
		GROUP BY 1, 2
	)
	SELECT m.program_id, c.cohort, c.month, loyalty.sum(c.issued) AS issued, loyalty.sum(c.redeemed) AS redeemed, loyalty.sum(c.expired) AS expired
	FROM matched m
	CROSS JOIN LATERAL (
		SELECT m.month AS cohort, m.month, m.issued, 0::loyalty.points AS redeemed, 0::loyalty.points AS expired
		UNION ALL
		SELECT NULL, NULL, m.lacking, 0, 0
		UNION ALL
		SELECT CASE WHEN isfinite(l.ends) THEN l.ends END, CASE WHEN isfinite(l.ends) THEN greatest(l.ends, m.month) END, 0, l.points, 0
		FROM loyalty.lots(m.redeemed) l
		UNION ALL
		SELECT CASE WHEN isfinite(l.ends) THEN l.ends END, CASE WHEN isfinite(l.ends) THEN greatest(l.ends, m.month) END, 0, 0, l.points
		FROM loyalty.lots(m.expired) l) c
	GROUP BY 1, 2, 3
	HAVING loyalty.sum(c.issued) OPERATOR(loyalty.<>) 0 OR loyalty.sum(c.redeemed) OPERATOR(loyalty.<>) 0 OR loyalty.sum(c.expired) OPERATOR(loyalty.<>) 0;
-- Persons who bought in a month, by when they joined.
CREATE VIEW plain_purchase_cohorts AS
	WITH bought AS (
		SELECT a.program_id, s.person_id, a.month, pg_catalog.sum(a.purchases) AS purchases, pg_catalog.sum(a.amount) AS amount
		FROM plain_month a JOIN loyalty.persons s USING (member_id) GROUP BY 1, 2, 3)
	SELECT b.program_id, date_trunc('month', m.enrolled_at AT TIME ZONE p.time_zone)::date AS cohort, b.month, count(*) FILTER (WHERE b.purchases > 0) AS buyers,
		   count(*) FILTER (WHERE b.purchases > 0 AND NOT EXISTS (SELECT FROM bought o WHERE o.person_id = b.person_id AND o.month < b.month AND o.purchases > 0)) AS new_buyers,
		   count(*) FILTER (WHERE b.purchases > 0 AND EXISTS (SELECT FROM bought o WHERE o.person_id = b.person_id AND o.month = b.month - interval '1 month' AND o.purchases > 0)) AS returning_buyers,
		   trim_scale(pg_catalog.sum(b.amount)) AS revenue
	FROM bought b JOIN loyalty.member m ON m.member_id = b.person_id JOIN loyalty.program p ON p.program_id = b.program_id
	GROUP BY 1, 2, 3 HAVING count(*) FILTER (WHERE b.purchases > 0) <> 0 OR pg_catalog.sum(b.amount) <> 0;
CREATE VIEW view_purchase_cohorts AS
	SELECT program_id, cohort, month, buyers, new_buyers, returning_buyers, trim_scale(revenue) AS revenue FROM loyalty.purchase_cohorts;
CREATE VIEW plain_member AS
	SELECT a.program_id, a.member_id, pg_catalog.sum(a.purchases) AS purchases, pg_catalog.sum(a.amount) AS amount, pg_catalog.min(a.first_purchase) AS first_purchase,
		   pg_catalog.max(a.last_purchase) AS last_purchase, loyalty.sum(a.earned) + loyalty.sum(a.clawed_back) AS earned, -(loyalty.sum(a.redeemed) + loyalty.sum(a.refunded)) AS redeemed,
		   pg_catalog.sum(a.redemptions) AS redemptions
	FROM plain_month a GROUP BY 1, 2;
CREATE VIEW plain_lots AS
	SELECT m.program_id, m.day, coalesce(pg_catalog.sum(m.amount) FILTER (WHERE m.sale), 0) AS sales,
		   coalesce(pg_catalog.sum(m.amount) FILTER (WHERE m.what = 'sale'), 0) AS sold_amount, loyalty.sum(m.lots) FILTER (WHERE m.what = 'sale') AS sold,
		   coalesce(pg_catalog.sum(m.amount) FILTER (WHERE m.what = 'return'), 0) AS returned_amount, loyalty.sum(m.lots) FILTER (WHERE m.what = 'return') AS returned,
		   loyalty.sum(m.lots) FILTER (WHERE m.what = 'gift') AS given, loyalty.sum(m.lots) FILTER (WHERE m.what = 'redemption') AS redeemed,
		   loyalty.sum(m.lots) FILTER (WHERE m.what = 'expiry') AS expired, loyalty.sum(m.lots) FILTER (WHERE m.what = 'move') AS moved
	FROM loyalty.lot_movements m GROUP BY 1, 2;
CREATE VIEW view_member AS
	SELECT t.program_id, t.member_id, pg_catalog.sum(t.purchases)::numeric AS purchases, pg_catalog.sum(t.amount) AS amount, pg_catalog.min(t.first_purchase) AS first_purchase,
		   pg_catalog.max(t.last_purchase) AS last_purchase, loyalty.sum(t.earned) AS earned, loyalty.sum(t.redeemed) AS redeemed, pg_catalog.sum(t.redemptions)::numeric AS redemptions
	FROM loyalty.member_totals t GROUP BY 1, 2;
-- Lines that there are not as often as there should be; as text, so that types and decimals are the same, too.
CREATE FUNCTION wrong() RETURNS TABLE (source text, line text, too_many bigint) LANGUAGE sql AS $$
	SELECT source, line, pg_catalog.sum(n) FROM (
		SELECT 'day' AS source, v::text AS line, 1 AS n FROM loyalty.points_by_day v UNION ALL SELECT 'day', p::text, -1 FROM plain_day p
		UNION ALL SELECT 'lots', v::text, 1 FROM loyalty.lots_by_day v UNION ALL SELECT 'lots', p::text, -1 FROM plain_lots p
		UNION ALL SELECT 'month', v::text, 1 FROM loyalty.activity_by_month v UNION ALL SELECT 'month', p::text, -1 FROM plain_month p
		UNION ALL SELECT 'member', v::text, 1 FROM view_member v UNION ALL SELECT 'member', p::text, -1 FROM plain_member p
		UNION ALL SELECT 'points', v::text, 1 FROM loyalty.point_cohorts v UNION ALL SELECT 'points', p::text, -1 FROM plain_point_cohorts p
		UNION ALL SELECT 'purchases', v::text, 1 FROM view_purchase_cohorts v UNION ALL SELECT 'purchases', p::text, -1 FROM plain_purchase_cohorts p) l
	GROUP BY 1, 2 HAVING pg_catalog.sum(n) <> 0 $$;

CREATE FUNCTION somebody() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'm' || (random() * 12)::int $$;
CREATE FUNCTION new_rows(n int) RETURNS SETOF orders VOLATILE LANGUAGE sql AS $$
	SELECT DISTINCT ON (id) * FROM (SELECT (random() * 300)::int AS id, nullif(somebody(), 'm0'), round((random() * 120 - 20)::numeric, (random() * 3)::int),
		   (ARRAY['open', 'paid', 'paid', 'paid'])[1 + (random() * 3)::int], now() + (random() * 405 - 400) * interval '1 day' FROM generate_series(1, n)) r $$;
-- One act of chance; what is refused, since there is too little or a member is gone, is another chance.
CREATE FUNCTION step() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	low int := random() * 300;
	high int := low + random() ^ 3 * 60;
	who text := somebody();
	which text := CASE WHEN random() < 0.8 THEN 'shop' ELSE 'other' END;
BEGIN
	CASE (random() * 13)::int
	WHEN 0, 1 THEN INSERT INTO orders SELECT * FROM new_rows(1 + (random() ^ 3 * 60)::int) ON CONFLICT DO NOTHING;
	WHEN 2 THEN UPDATE orders SET amount = round(amount * random()::numeric, 2) WHERE id BETWEEN low AND high;
	WHEN 3 THEN UPDATE orders SET amount = round((random() * 130 - 20)::numeric, 2) WHERE id BETWEEN low AND high;
	WHEN 4 THEN UPDATE orders SET status = (ARRAY['open', 'paid'])[1 + (random())::int] WHERE id BETWEEN low AND high;
	WHEN 5 THEN UPDATE orders SET member = somebody() WHERE id BETWEEN low AND high;
	WHEN 6 THEN UPDATE orders SET id = id + 1000 WHERE id BETWEEN low AND low + 3 AND id < 1000;
	WHEN 7 THEN DELETE FROM orders WHERE id BETWEEN low AND low + 5;
	WHEN 8 THEN PERFORM spend(who, 1 + (random() * 20)::int, program => which);
	WHEN 9 THEN PERFORM adjust(who, (random() * 100)::int - 20, program => which);
	WHEN 10 THEN PERFORM record(who, 'purchase', round((random() * 50)::numeric, 2), key => CASE WHEN random() < 0.5 THEN 'k' || (random() * 1000000)::int END,
		at => now() - random() * interval '300 days', program => which);
	WHEN 11 THEN PERFORM record(who, 'review', round((random() * 50)::numeric, 2), program => 'shop');
	WHEN 12 THEN PERFORM cancel(m.ref, e.seq, program => which) FROM member m JOIN entry e USING (member_id) JOIN program p ON p.program_id = m.program_id
		WHERE p.name = which AND e.kind = 'redeem' AND e.context ->> 'cancelled' IS NULL ORDER BY random() LIMIT 1;
	ELSE
		IF random() < 0.5 THEN PERFORM merge_members(who, somebody(), program => which);
		ELSIF random() < 0.3 THEN PERFORM forget_member(who, program => which);
		ELSE PERFORM transfer(who, somebody(), 5, program => which); END IF;
	END CASE;
EXCEPTION WHEN OTHERS THEN NULL;
END $$;

-- Everybody's posted_at is another one, and rollups go up to any of the times there were.
CREATE PROCEDURE steps(n int) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..n LOOP PERFORM step(); COMMIT; END LOOP; END $$;
CREATE FUNCTION roll_up_to(name text, share float) RETURNS timestamptz LANGUAGE sql AS $$
	SELECT roll_up(name, (SELECT percentile_disc(share) WITHIN GROUP (ORDER BY posted_at) FROM loyalty.entry WHERE program_id = report_program(name))) $$;
CALL steps(120);
SELECT is_empty('SELECT * FROM wrong()', 'without rollups');
SELECT isnt_empty('SELECT FROM loyalty.activity_by_month WHERE purchases > 0', 'there are purchases');
SELECT roll_up_to('shop', 0.4) IS NOT NULL \g /dev/null
SELECT is_empty('SELECT * FROM wrong()', 'one program is rolled up in part');
SELECT is_empty('SELECT * FROM verify()', 'and sound');
SELECT roll_up_to('shop', 0.9) IS NOT NULL, roll_up_to('other', 0.5) IS NOT NULL, roll_up('empty', clock_timestamp() - interval '1 minute') \g /dev/null
SELECT is_empty('SELECT * FROM wrong()', 'both are, one a second time');
SELECT is_empty('SELECT * FROM verify()', 'and sound');
DO $$ BEGIN
	FOR round IN 1..8 LOOP
		CALL steps(30);
		PERFORM roll_up_to((ARRAY['shop', 'other'])[1 + random()::int], random());
		COMMIT;
		IF EXISTS (SELECT FROM wrong()) THEN
			RAISE 'round % of % is wrong: %', round, (SELECT rollup FROM loyalty.rollup LIMIT 1), (SELECT string_agg(w::text, E'\n') FROM wrong() w);
		END IF;
	END LOOP;
END $$;
SELECT pass('eight rounds more');
-- Chance may have forgotten nobody.
SELECT forget_member(m.ref, program => 'shop') FROM member m JOIN loyalty.entry e USING (member_id) WHERE m.program_id = report_program('shop') AND m.status = 'active' LIMIT 1 \g /dev/null
SELECT ok(count(*) > 0, 'there are recorded purchases in it, expired points, returns and forgotten members: ' || count(*)) FROM loyalty.entry e JOIN member m USING (member_id) WHERE m.status = 'forgotten';
CALL maintain();
SELECT roll_up('shop', now()) = now() AS now \g /dev/null
SELECT is_empty('SELECT * FROM wrong()', 'all is rolled up');
SELECT is((SELECT entries FROM rollup WHERE program_id = report_program('shop')), (SELECT count(*) FROM loyalty.entry WHERE program_id = report_program('shop') AND posted_at < (SELECT until FROM rollup WHERE program_id = report_program('shop'))), 'and counted');
SELECT is_empty('SELECT * FROM verify()', 'and sound');

-- Who is forgotten stays in sums, of purchases without a key, too.
SELECT record('gone', 'purchase', 30, program => 'shop'), record('gone', 'purchase', 12, program => 'shop', at => now() - interval '40 days') \g /dev/null
CREATE TABLE before AS SELECT sum(purchases) AS purchases, sum(amount) AS amount FROM loyalty.activity_by_month;
SELECT forget_member('gone', program => 'shop') \g /dev/null
SELECT results_eq('SELECT sum(purchases), sum(amount) FROM loyalty.activity_by_month', 'SELECT * FROM before', 'forgotten members stay in sums');
SELECT is_empty('SELECT * FROM wrong()', 'with rollups and without');
SELECT roll_up('shop', now()) IS NULL \g /dev/null
SELECT is_empty('SELECT * FROM verify()', 'and sound');

-- Anew gives the same.
CREATE TABLE days AS SELECT d::text FROM rollup_day d;
CREATE TABLE months AS SELECT m::text FROM rollup_month m;
CREATE TABLE lots AS SELECT l::text FROM rollup_lots l;
CREATE TABLE kept AS SELECT * FROM rollup;
SELECT roll_up(p.name, k.until, anew => true) = k.until FROM kept k JOIN program p USING (program_id) \g /dev/null
SELECT set_eq('SELECT d::text FROM rollup_day d', 'SELECT * FROM days', 'days made anew are the same');
SELECT set_eq('SELECT m::text FROM rollup_month m', 'SELECT * FROM months', 'so are months');
SELECT set_eq('SELECT l::text FROM rollup_lots l', 'SELECT * FROM lots', 'so are lots');

-- What is tampered with is found, and put right.
CREATE FUNCTION found(sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE sql;
	RETURN (SELECT string_agg(concat_ws(' | ', invariant, program, regexp_replace(problem, ' of rule.*on [0-9-]+', ' ...')), E'\n' ORDER BY problem COLLATE "C") FROM loyalty.verify('shop'));
END $$;
SELECT is(found('UPDATE loyalty.rollup_day SET points = points + 1::points WHERE ctid = (SELECT min(ctid) FROM loyalty.rollup_day WHERE program_id = loyalty.report_program(''shop'') AND kind = ''earn'')'),
	'I1 rollups | shop | the rollup of earn ... is not what the entries say', 'a day that is another');
SELECT roll_up('shop', anew => true) IS NULL \g /dev/null
SELECT is_empty('SELECT * FROM verify()', 'made anew');
SELECT is(roll_up('shop', now()), now(), 'and brought up to now');
SELECT ok(found('DELETE FROM loyalty.rollup_month WHERE ctid = (SELECT min(ctid) FROM loyalty.rollup_month WHERE program_id = loyalty.report_program(''shop''))') ~ '^I1 rollups . shop . the rollup of [0-9]{4}-[0-9]{2} is not what the entries say(\n|$)', 'a month that is gone');
SELECT ok(found('UPDATE loyalty.rule SET event = ''review'' WHERE program = ''shop'' AND name = ''base''') ~ 'the rollup of lots on [0-9-]+ is not what the entries say', 'a rule that is about something else now');
SELECT ok(coalesce(found('UPDATE loyalty.rule SET event = ''purchase'' WHERE program = ''shop'' AND name = ''base'''), '') !~ 'the rollup of lots', 'and again about purchases');
SELECT ok(found('UPDATE loyalty.rollup_lots SET sold = sold + ''{1@infinity}'' WHERE ctid = (SELECT min(ctid) FROM loyalty.rollup_lots WHERE program_id = loyalty.report_program(''shop'') AND sold IS NOT NULL)') ~ 'the rollup of lots on [0-9-]+ is not what the entries say', 'lots that are others');
SELECT ok(found('UPDATE loyalty.rollup_lots SET given = ''{}'' WHERE ctid = (SELECT min(ctid) FROM loyalty.rollup_lots WHERE program_id = loyalty.report_program(''shop'') AND given IS NULL)') ~ 'the rollup of lots on [0-9-]+ is not what the entries say', 'none that were not there');
SELECT roll_up('shop', now(), anew => true) = now() \g /dev/null
SELECT adjust('alone', 5, program => 'shop') \g /dev/null
SELECT roll_up('shop', now()) = now() \g /dev/null
SELECT is_empty('SELECT * FROM verify()', 'made anew');
SELECT ok(found('UPDATE loyalty.rollup_member t SET cohort = NULL FROM loyalty.member m WHERE m.member_id = t.member_id AND m.ref = ''alone'' AND t.program_id = loyalty.report_program(''shop'')') ~ 'the month of enrollment in the rollup of the member is not his', 'a month of enrollment that is another');
SELECT ok(found('DELETE FROM loyalty.rollup WHERE program_id = loyalty.report_program(''shop'')') ~ 'rollup of', 'a boundary that is gone');
SELECT roll_up('shop', now(), anew => true) = now() \g /dev/null
SELECT is_empty('SELECT * FROM verify()', 'made anew');
SELECT is(found('UPDATE loyalty.rollup SET entries = entries + 1 WHERE program_id = loyalty.report_program(''shop'')'),
	'I1 rollups | shop | the count of entries in the rollups is not that of the rollups', 'a count that is another');
-- What has come late, as when the clock was set back, is noticed the next time.
SELECT roll_up('shop', now(), anew => true) = now() \g /dev/null
SELECT adjust('late', 10, program => 'shop') \g /dev/null
SELECT is_empty('SELECT * FROM verify()', 'nothing is late');
SELECT adjust('late', 5, program => 'shop') \g /dev/null
DO $$ BEGIN
	SET LOCAL session_replication_role = replica;
	UPDATE loyalty.rollup SET until = clock_timestamp() - interval '1 microsecond' WHERE program_id = report_program('shop');
END $$;
SELECT isnt_empty('SELECT * FROM verify()', 'entries are there that were posted before the rollups'' time');
SELECT isnt_empty('SELECT * FROM wrong()', 'and in no report');
SELECT roll_up('shop', now()) = now() \g /dev/null
SELECT is_empty('SELECT * FROM verify()', 'the next time they are made anew');
SELECT is_empty('SELECT * FROM wrong()', 'and right');
SELECT * FROM finish();
