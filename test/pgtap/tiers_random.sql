-- tiers_random: whatever happens to orders, after each review members stand where a model says that reads the orders alone
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
\if :{?seed}
\else
\set seed 0.3
\endif
\if :{?steps}
\else
\set steps 28
\endif
SET search_path = public;
SET timezone = 'UTC';
SET datestyle = iso;
SET client_min_messages = warning;
SELECT no_plan();
SELECT setseed(:seed) \g /dev/null

-- Programs: each kind of window, with what can be said of falling.
CREATE TABLE terms (
	program text PRIMARY KEY, tier_window text, days int, months int, validity text, valid_months int, valid_end boolean,
	downgrade text, grace int, zone text, match text, has_base boolean, keep numeric);
INSERT INTO terms VALUES
	('days',			'rolling 60 days',		60, NULL, NULL, NULL, false, 'earned', 0, 'UTC', 'any', false, NULL),
	('days, grace',		'rolling 60 days',		60, NULL, NULL, NULL, false, 'earned', 10, 'Asia/Kuala_Lumpur', 'any', true, NULL),
	('days, one',		'rolling 45 days',		45, NULL, NULL, NULL, false, 'one', 0, 'America/New_York', 'any', true, NULL),
	('days, one, grace', 'rolling 45 days',		45, NULL, NULL, NULL, false, 'one', 7, 'UTC', 'all', false, NULL),
	('days, none',		'rolling 60 days',		60, NULL, NULL, NULL, false, 'none', 0, 'UTC', 'any', false, NULL),
	('days, keep less',	'rolling 60 days',		60, NULL, NULL, NULL, false, 'earned', 5, 'UTC', 'any', true, 0.5),
	('days, held',		'rolling 60 days',		60, NULL, '3 months', 3, false, 'earned', 0, 'UTC', 'any', true, NULL),
	('days, held, grace', 'rolling 60 days',	60, NULL, '2 months', 2, false, 'earned', 15, 'Pacific/Kiritimati', 'any', false, 0.6),
	('days, held, one',	'rolling 60 days',		60, NULL, '2 months', 2, false, 'one', 0, 'UTC', 'any', true, 1.4),
	('days, held, one, grace', 'rolling 60 days', 60, NULL, '1 month', 1, false, 'one', 9, 'UTC', 'all', false, NULL),
	('days, for good',	'rolling 60 days',		60, NULL, 'never', NULL, false, 'earned', 0, 'UTC', 'any', false, NULL),
	('months',			'rolling 2 months',		NULL, 2, NULL, NULL, false, 'earned', 0, 'Pacific/Pago_Pago', 'all', false, NULL),
	('months, held',	'rolling 2 months',		NULL, 2, '2 months end of month', 2, NULL, 'earned', 3, 'UTC', 'any', true, NULL),
	('year',			'calendar year',		NULL, NULL, NULL, NULL, false, 'earned', 0, 'UTC', 'any', true, NULL),
	('year, one, grace', 'calendar year',		NULL, NULL, NULL, NULL, false, 'one', 30, 'UTC', 'any', false, NULL),
	('year, held',		'calendar year',		NULL, NULL, 'end of year', 0, true, 'earned', 0, 'UTC', 'any', true, NULL),
	('year, held longer', 'calendar year',		NULL, NULL, '12 months end of year', 12, true, 'one', 20, 'Asia/Tokyo', 'any', false, 0.7),
	('membership',		'membership year',		NULL, NULL, NULL, NULL, false, 'earned', 4, 'Europe/Berlin', 'any', false, NULL),
	('membership, held', 'membership year',		NULL, NULL, '6 months', 6, false, 'one', 0, 'UTC', 'all', true, NULL),
	('lifetime',		'lifetime',				NULL, NULL, NULL, NULL, false, 'earned', 0, 'UTC', 'any', true, NULL),
	('lifetime, held',	'lifetime',				NULL, NULL, '3 months', 3, false, 'one', 5, 'UTC', 'any', false, 1.2),
	('lifetime, all',	'lifetime',				NULL, NULL, NULL, NULL, false, 'one', 0, 'UTC', 'all', false, NULL);
INSERT INTO loyalty.program (name, tier_window, tier_match, tier_validity, tier_downgrade, tier_grace, time_zone)
SELECT program, tier_window::loyalty.qualification, match, validity::loyalty.expiry, downgrade, make_interval(days => grace), zone FROM terms;
INSERT INTO loyalty.rule (program, name, award, qualifies)
SELECT program, 'base', '1 per 2'::loyalty.award, true FROM terms UNION ALL SELECT program, 'gift', '7', false FROM terms;

-- Tiers, as the model sees them: what is asked to reach and to keep.
CREATE TABLE asked (
	program text, rank int, name text, amount numeric, points numeric, purchases int, keep_amount numeric, keep_points numeric, keep_purchases int);
INSERT INTO asked SELECT program, rank, name, amount, CASE match WHEN 'any' THEN points WHEN 'all' THEN round(amount / 3) END,
	CASE match WHEN 'any' THEN purchases WHEN 'all' THEN purchases / 3 END
FROM terms, (VALUES (1, 'base', 0, 0, 0), (2, 'silver', 150, 120, 9), (3, 'gold', 300, 240, 16), (4, 'platinum', 600, 450, 30)) t (rank, name, amount, points, purchases)
WHERE rank > 1 OR has_base;
UPDATE asked SET (keep_amount, keep_points, keep_purchases) = (amount * coalesce(keep, 1), round(points * coalesce(keep, 1)), CASE WHEN keep IS NULL THEN purchases ELSE round(purchases * keep) END)
FROM terms WHERE terms.program = asked.program;
INSERT INTO loyalty.tier (program, name, rank, min_amount, min_points, min_purchases, keep_amount, keep_points, keep_purchases)
SELECT a.program, name, rank, amount, points, purchases, CASE WHEN keep IS NOT NULL THEN keep_amount END, CASE WHEN keep IS NOT NULL THEN keep_points END, CASE WHEN keep IS NOT NULL THEN keep_purchases END
FROM asked a JOIN terms USING (program);

-- The shop.  Only orders of customers "w..." grow again: what grows is judged by the
-- clock on the wall, which is years ahead of this story, so of them the tally only is compared.
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(10,2), at timestamptz);
SELECT count(loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', program => program)) FROM terms \g /dev/null

-- The model
CREATE TABLE counted (program text, id int, customer text, day date, at timestamptz, amount numeric, PRIMARY KEY (program, customer, id));
CREATE INDEX ON counted (program, customer, day);
CREATE TABLE standing (program text, customer text, enrolled date, own int, since timestamptz DEFAULT '-infinity', until date, PRIMARY KEY (program, customer));
CREATE TABLE history (program text, customer text, no int, at timestamptz, from_tier int, to_tier int, until date, reason text, PRIMARY KEY (program, customer, no));

-- First day of the window of a day
CREATE FUNCTION window_from(t terms, day date, enrolled date) RETURNS date LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN t.days IS NOT NULL THEN day - t.days + 1
				WHEN t.months IS NOT NULL THEN (day - make_interval(months => t.months))::date + 1
				WHEN t.tier_window = 'calendar year' THEN date_trunc('year', day)::date
				WHEN t.tier_window = 'membership year' THEN
					(SELECT max(a::date) FROM generate_series(-10, 10) y, LATERAL (SELECT enrolled + make_interval(years => y)) x (a) WHERE a <= day)
				ELSE '-infinity' END $$;
-- Last day of the validity counted from a day; NULL: none
CREATE FUNCTION valid_until(t terms, day date) RETURNS date LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN t.valid_months IS NULL THEN NULL
				WHEN t.valid_end IS NULL THEN (date_trunc('month', day + make_interval(months => t.valid_months)) + interval '1 month')::date - 1
				WHEN t.valid_end THEN (date_trunc('year', day + make_interval(months => t.valid_months)) + interval '1 year')::date - 1
				ELSE (day + make_interval(months => t.valid_months))::date END $$;
-- The highest tier that is reached on a day, and whether one is kept
CREATE FUNCTION reached(t terms, s standing, day date) RETURNS int LANGUAGE sql STABLE AS $$
	SELECT coalesce(max(a.rank), 0)
	FROM (SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(floor(amount / 2)), 0) AS points, count(*) FILTER (WHERE amount > 0) AS purchases
		  FROM counted c WHERE c.program = t.program AND c.customer = s.customer AND c.day BETWEEN window_from(t, reached.day, s.enrolled) AND reached.day) w
	JOIN asked a ON a.program = t.program AND (a.rank = 1 OR CASE t.match
		WHEN 'any' THEN w.amount >= a.amount OR w.points >= a.points OR w.purchases >= a.purchases
		ELSE w.amount >= a.amount AND w.points >= a.points AND w.purchases >= a.purchases END) $$;
CREATE FUNCTION kept(t terms, s standing, tier int, day date) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT reached(t, s, day) >= tier OR CASE t.match
		WHEN 'any' THEN w.amount >= a.keep_amount OR w.points >= a.keep_points OR w.purchases >= a.keep_purchases
		ELSE w.amount >= a.keep_amount AND w.points >= a.keep_points AND w.purchases >= a.keep_purchases END
	FROM (SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(floor(amount / 2)), 0) AS points, count(*) FILTER (WHERE amount > 0) AS purchases
		  FROM counted c WHERE c.program = t.program AND c.customer = s.customer AND c.day BETWEEN window_from(t, kept.day, s.enrolled) AND kept.day) w
	JOIN asked a ON a.program = t.program AND a.rank = tier $$;
CREATE FUNCTION tier_at(s standing, moment timestamptz) RETURNS int LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT to_tier FROM history h WHERE (h.program, h.customer) = (s.program, s.customer) AND h.at <= moment AND h.from_tier <> h.to_tier ORDER BY h.at DESC, no DESC LIMIT 1),
		(SELECT from_tier FROM history h WHERE (h.program, h.customer) = (s.program, s.customer) ORDER BY h.at, no LIMIT 1), s.own) $$;
CREATE FUNCTION note(s standing, moment timestamptz, before int, after int, until date, reason text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO history SELECT s.program, s.customer, 1 + count(*), note.moment, note.before, note.after, note.until, note.reason FROM history h WHERE (h.program, h.customer) = (s.program, s.customer) $$;
-- Give a tier, from a time on
CREATE FUNCTION give(t terms, s standing, tier int, until date, moment timestamptz, reason text) RETURNS standing LANGUAGE plpgsql AS $$
BEGIN
	IF tier = 0 OR tier = 1 THEN until := NULL; END IF;
	PERFORM note(s, moment, s.own, tier, until, reason);
	IF tier <> s.own THEN s.since := moment; END IF;
	s.own := tier;
	s.until := until;
	UPDATE standing x SET own = s.own, since = s.since, until = s.until WHERE (x.program, x.customer) = (s.program, s.customer);
	RETURN s;
END $$;
-- What was reached before that time is held then only by its validity.
CREATE FUNCTION rise(t terms, s standing, day date, moment timestamptz) RETURNS standing LANGUAGE plpgsql AS $$
DECLARE
	best int := reached(t, s, day);
	starts date := (moment AT TIME ZONE t.zone)::date;
BEGIN
	RETURN CASE WHEN best > s.own AND (day >= starts OR t.validity = 'never' OR t.validity IS NOT NULL AND valid_until(t, day) >= starts) THEN give(t, s, best, valid_until(t, day), moment, 'earned') ELSE s END;
END $$;

-- A row of the shop as it is after a statement: the old one of the model gives way to it.
CREATE FUNCTION take(t terms, o orders, gone boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s standing;
	order_day date := (o.at AT TIME ZONE t.zone)::date;
	last date;
	best int;
	again boolean;
BEGIN
	IF gone THEN
		UPDATE counted c SET amount = 0 WHERE (c.program, c.id) = (t.program, o.id) AND c.customer = o.customer;
		RETURN;
	END IF;
	INSERT INTO standing VALUES (t.program, o.customer, order_day, CASE WHEN t.has_base THEN 1 ELSE 0 END) ON CONFLICT DO NOTHING;
	SELECT * INTO s FROM standing x WHERE (x.program, x.customer) = (t.program, o.customer);
	last := (SELECT max(day) FROM counted c WHERE (c.program, c.customer) = (t.program, o.customer) AND amount <> 0);
	again := EXISTS (SELECT FROM counted c WHERE (c.program, c.customer, c.id) = (t.program, o.customer, o.id));
	INSERT INTO counted VALUES (t.program, o.id, o.customer, order_day, o.at, o.total)
		ON CONFLICT (program, customer, id) DO UPDATE SET amount = excluded.amount;
	IF again OR o.total = 0 THEN RETURN; END IF;	-- not by the clock on the wall, which is years ahead
	IF o.at >= s.since THEN
		s := rise(t, s, order_day, o.at);
	ELSE
		best := reached(t, s, order_day);
		IF best > tier_at(s, o.at) THEN
			PERFORM note(s, o.at, tier_at(s, o.at), best, CASE WHEN best > 1 THEN valid_until(t, order_day) END, 'earned');
		END IF;
	END IF;
	-- it may lift him together with what came after it: when he got the tier that he has, and since
	IF o.at < s.since THEN
		s := rise(t, s, order_day, s.since);
		s := rise(t, s, (s.since AT TIME ZONE t.zone)::date, s.since);
	END IF;
	IF order_day < last THEN
		PERFORM rise(t, s, last, greatest(o.at, last::timestamp AT TIME ZONE t.zone, s.since));
	END IF;
END $$;

-- The review of a day, day by day
CREATE FUNCTION review(t terms, s standing, moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	today date := (moment AT TIME ZONE t.zone)::date;
	first date;
	judged date;
	hold date;
	best int;
BEGIN
	WHILE s.own > 1 AND t.downgrade <> 'none' AND t.validity IS DISTINCT FROM 'never' AND (s.until IS NULL OR today > s.until) LOOP
		IF t.validity IS NOT NULL AND s.until IS NOT NULL THEN
			judged := CASE WHEN valid_until(t, s.until) > s.until THEN s.until ELSE s.until + 1 END;
			IF kept(t, s, s.own, judged) THEN
				s := give(t, s, s.own, valid_until(t, judged), moment, 'kept');
				CONTINUE;
			ELSIF kept(t, s, s.own, today) THEN
				s := give(t, s, s.own, valid_until(t, today), moment, 'kept');
				CONTINUE;
			END IF;
			EXIT WHEN today <= s.until + t.grace;
		ELSE
			-- he falls when none of the last days kept it, one more than those of grace
			judged := today;
			first := greatest(today - t.grace, (s.since AT TIME ZONE t.zone)::date, s.until + 1);
			EXIT WHEN first > today - t.grace OR EXISTS (SELECT FROM generate_series(first, today, '1 day') d WHERE kept(t, s, s.own, d::date));
		END IF;
		best := least(greatest(reached(t, s, judged), reached(t, s, today)), s.own - 1);
		judged := CASE WHEN valid_until(t, judged) >= today THEN judged ELSE today END;
		IF t.downgrade = 'one' AND s.own - 1 > best AND (s.own > 2 OR t.has_base) THEN
			best := CASE WHEN s.own = 2 AND NOT t.has_base THEN 0 ELSE s.own - 1 END;
			hold := valid_until(t, judged);
			IF t.validity IS NULL AND best > 1 THEN
				-- until the window has passed once
				hold := CASE WHEN t.tier_window = 'lifetime' THEN today
					ELSE (SELECT min(d::date) - 1 FROM generate_series(today, today + interval '2 years', '1 day') d WHERE window_from(t, d::date, s.enrolled) > today) END;
			END IF;
		ELSE
			hold := valid_until(t, judged);
		END IF;
		IF best = 1 AND NOT t.has_base THEN best := 0; END IF;
		s := give(t, s, best, hold, moment, 'lapsed');
	END LOOP;
	PERFORM rise(t, s, today, moment);
END $$;

-- Orders of chance up to a time, mostly of the days before
CREATE SEQUENCE order_id;
CREATE FUNCTION new_orders(since timestamptz, until timestamptz, n int) RETURNS SETOF orders LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		RETURN NEXT ROW(nextval('order_id'), CASE WHEN random() < 0.9 THEN 'c' || floor(random() * 6 + 1) ELSE 'w' END, round((random() ^ 3 * 200 + 0.5)::numeric, 2),
			date_trunc('second', CASE WHEN random() < 0.2 THEN since - random() * interval '120 days' ELSE since + random() * (until - since) END))::orders;
	END LOOP;
END $$;
-- What happened to rows, for all programs; what takes goes before what gives.
CREATE TABLE happened (o orders, gone boolean, n serial);
CREATE FUNCTION follow() RETURNS void LANGUAGE sql AS $$
	SELECT count(take(t, o, gone)) FROM (SELECT t, o, gone FROM terms t, happened h ORDER BY t.program, gone DESC, (h.o).at, n) x;
	DELETE FROM happened $$;
CREATE FUNCTION happen(since timestamptz, until timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	low int := 1 + random() * (SELECT count(*) FROM orders);
	high int := low + random() ^ 2 * 12;
BEGIN
	CASE floor(random() * 9)
	WHEN 0, 1, 2, 3, 4 THEN
		WITH n AS (INSERT INTO orders SELECT * FROM new_orders(since, until, 1 + (random() ^ 2 * 12)::int) RETURNING orders)
		INSERT INTO happened SELECT orders, false FROM n;
	WHEN 5 THEN		-- partial returns
		WITH n AS (UPDATE orders SET total = trunc(total * (id * 37 % 100) / 100, 2) WHERE id BETWEEN low AND high RETURNING orders)
		INSERT INTO happened SELECT orders, false FROM n;
	WHEN 6 THEN		-- more, or one that comes back
		WITH n AS (UPDATE orders SET total = total + id % 70 WHERE id BETWEEN low AND high + 20 AND customer = 'w' RETURNING orders)
		INSERT INTO happened SELECT orders, false FROM n;
	WHEN 7 THEN		-- somebody else's, who never had it
		INSERT INTO happened SELECT o, true FROM orders o WHERE id BETWEEN low AND low + 3 AND customer < 'd';
		WITH n AS (UPDATE orders SET customer = 'd' || substr(customer, 2) WHERE id BETWEEN low AND low + 3 AND customer < 'd' RETURNING orders)
		INSERT INTO happened SELECT orders, false FROM n;
	ELSE
		WITH n AS (DELETE FROM orders WHERE id BETWEEN low AND low + 2 RETURNING orders)
		INSERT INTO happened SELECT orders, true FROM n;
	END CASE;
	PERFORM follow();
END $$;

-- What differs
CREATE FUNCTION rank_of(p text, t text) RETURNS int LANGUAGE sql STABLE AS $$ SELECT coalesce((SELECT rank FROM asked WHERE (program, name) = (p, t)), 0) $$;
CREATE VIEW differs AS
	SELECT s.program, s.customer, s.own, s.since, s.until, m.tier, m.tier_since, m.tier_until
	FROM standing s LEFT JOIN loyalty.member m ON m.member_id = loyalty.member_id(s.customer, s.program)
	WHERE ((rank_of(s.program, m.tier), m.tier_until) IS DISTINCT FROM (s.own, s.until) OR s.own > 1 AND s.since <> m.tier_since) AND s.customer <> 'w';
CREATE VIEW history_differs AS
	SELECT coalesce(h.program, c.program) AS program, coalesce(h.customer, c.customer) AS customer, coalesce(h.no, c.no) AS no, h.at, h.from_tier, h.to_tier, h.until, h.reason, c.at AS c_at, c.from_rank, c.to_rank, c.until AS c_until, c.reason AS c_reason
	FROM history h FULL JOIN (SELECT p.name AS program, m.ref AS customer, change_no AS no, at, coalesce(from_rank, 0) AS from_rank, coalesce(to_rank, 0) AS to_rank, until, reason
							  FROM loyalty.tier_change c JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = m.program_id) c
		ON (h.program, h.customer, h.no) = (c.program, c.customer, c.no)
	WHERE (h.at, h.from_tier, h.to_tier, h.until, h.reason) IS DISTINCT FROM (c.at, c.from_rank, c.to_rank, c.until, c.reason) AND coalesce(h.customer, c.customer) <> 'w';
-- By the orders alone: what counts on each day from which on the row says that it is complete
CREATE VIEW tally_differs AS
	WITH should AS (
		SELECT t.program, o.customer, CASE WHEN t.tier_window <> 'lifetime' THEN (o.at AT TIME ZONE t.zone)::date ELSE '-infinity' END AS day, sum(total) AS amount,
			   sum(floor(total / 2)) AS points, count(*) FILTER (WHERE total > 0) AS purchases
		FROM terms t, orders o GROUP BY 1, 2, 3),
	given AS (
		SELECT p.name AS program, m.ref AS customer, CASE WHEN t.tier_window <> 'lifetime' THEN d.starts ELSE '-infinity' END AS day, d.amount, d.points::numeric, d.purchases
		FROM loyalty.member m JOIN loyalty.program p USING (program_id) JOIN terms t ON t.program = p.name, loyalty.periods(m.tally) d)
	SELECT program, customer, day, s.amount, s.points, s.purchases, g.amount AS has_amount, g.points AS has_points, g.purchases AS has_purchases
	FROM should s FULL JOIN given g USING (program, customer, day)
		JOIN loyalty.member m ON m.member_id = loyalty.member_id(customer, program)
	WHERE (coalesce(s.amount, 0), coalesce(s.points, 0), coalesce(s.purchases, 0)) <> (coalesce(g.amount, 0), coalesce(g.points, 0), coalesce(g.purchases, 0))
		AND (g.day IS NOT NULL OR m.tally_since IS NULL OR day >= m.tally_since);

CREATE TABLE seen (step int, what text);
CREATE PROCEDURE simulate(steps int) LANGUAGE plpgsql AS $$
DECLARE
	clock timestamptz := '2019-10-15';
	before timestamptz;
	t terms;
	s standing;
BEGIN
	FOR i IN 1..steps LOOP
		EXIT WHEN clock > '2024-12-31';
		before := clock;
		clock := date_trunc('second', clock + interval '1 day' + random() ^ 2 * interval '45 days');
		FOR j IN 1..1 + random() * 4 LOOP
			PERFORM happen(before, clock);
			COMMIT;
		END LOOP;
		IF random() < 0.15 THEN
			clock := clock + random() * interval '300 days';
		END IF;
		IF random() < 0.75 THEN
			FOR t IN SELECT * FROM terms LOOP
				FOR s IN SELECT * FROM standing x WHERE x.program = t.program LOOP
					PERFORM review(t, s, clock);
				END LOOP;
			END LOOP;
			COMMIT;
			CALL loyalty.maintain(clock);
		END IF;
		INSERT INTO seen SELECT i, 'tier ' || d FROM differs d UNION ALL SELECT i, 'tally ' || d FROM tally_differs d;
		EXIT WHEN FOUND;
		COMMIT;
	END LOOP;
END $$;
CALL simulate(:steps);
SELECT is_empty('SELECT * FROM seen', 'after each review every member has the tier of the model, and the tally of his orders');
SELECT is_empty('SELECT * FROM history_differs ORDER BY program, customer, no', 'the histories are the same, change by change');
SELECT bag_eq($$SELECT DISTINCT reason FROM loyalty.tier_change$$, $$VALUES ('earned'), ('kept'), ('lapsed')$$, 'members rose, kept and fell');
SELECT cmp_ok(count(*), '>', 500::bigint, 'many times') FROM loyalty.tier_change;
SELECT is(count(*), 0::bigint, 'nothing was deferred') FROM loyalty.deferred;
SELECT is_empty('SELECT * FROM loyalty.verify()', 'and nothing contradicts itself');
SELECT * FROM finish();
