-- tiers: what counts, who rises and when, who keeps his tier and who falls, day by day
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
SET search_path = public;
SET timezone = 'UTC';
SET datestyle = iso;
SET client_min_messages = warning;
SELECT no_plan();

-- A program with silver at 100 and gold at 250, and a table of its own that is attached to it
CREATE FUNCTION open_shop(program text, tier_window text, validity text DEFAULT NULL, downgrade text DEFAULT 'earned', grace text DEFAULT '0',
						  zone text DEFAULT 'UTC', tiers boolean DEFAULT true, match text DEFAULT 'any') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO loyalty.program (name, tier_window, tier_validity, tier_downgrade, tier_grace, time_zone, tier_match)
	VALUES (program, tier_window::loyalty.qualification, validity::loyalty.expiry, downgrade, grace::interval, zone, match);
	INSERT INTO loyalty.rule (program, name, award) VALUES (program, 'base', '1 per 1');
	IF tiers THEN
		INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES (program, 'silver', 1, 100), (program, 'gold', 2, 250);
	END IF;
	EXECUTE format('CREATE TABLE %I (id serial PRIMARY KEY, customer text, total numeric, at timestamptz)', program);
	PERFORM loyalty.attach(format('%I', program), member => 'customer', amount => 'total', at => 'at', program => program);
END $$;
-- A purchase; returns its id
CREATE FUNCTION buy(program text, customer text, total numeric, at text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	new_id int;
BEGIN
	EXECUTE format('INSERT INTO %I (customer, total, at) SELECT $1, $2, $3::timestamptz RETURNING id', program) INTO new_id USING customer, total, at;
	RETURN new_id;
END $$;
CREATE FUNCTION tier(program text, customer text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(tier, '-') FROM loyalty.member WHERE member_id = loyalty.member_id(customer, program) $$;
CREATE FUNCTION tier(program text, customer text, at text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(tier, '-') FROM loyalty.balance(customer, at::timestamptz, program) $$;
-- What has become of him: days, in the program's zone
CREATE FUNCTION story(program text, customer text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s>%s %s', (c.at AT TIME ZONE p.time_zone)::date, coalesce(from_tier, '-'), coalesce(to_tier, '-'), reason) || coalesce(' till ' || until, ''), ', ' ORDER BY change_no)
	FROM loyalty.tier_change c JOIN loyalty.program p USING (program_id) WHERE p.name = program AND member_id = loyalty.member_id(customer, program) $$;
CREATE FUNCTION tally(program text, customer text) RETURNS text LANGUAGE sql AS $$
	SELECT tally::text FROM loyalty.member WHERE member_id = loyalty.member_id(customer, program) $$;
-- Maintenance every morning, as the shop runs it
CREATE PROCEDURE each_morning(program text, first date, last date) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 0..last - first LOOP
		CALL loyalty.maintain((first + i) + time '03:00', program);
	END LOOP;
END $$;

--
-- Windows
--

SELECT open_shop('days', 'rolling 30 days') \g /dev/null
SELECT buy('days', 'a', 60, '2023-01-01 12:00'), buy('days', 'a', 40, '2023-01-01 13:00') \g /dev/null
SELECT is(tier('days', 'a'), 'silver', 'rolling days: what reaches a tier gives it at once');
SELECT is(tier('days', 'a', '2023-01-01 13:00'), 'silver', 'from the very time of the purchase');
SELECT is(tier('days', 'a', '2023-01-01 12:59:59'), '-', 'and not before');
CALL loyalty.maintain('2023-01-30 23:59:59', 'days');
SELECT is(tier('days', 'a'), 'silver', 'the thirtieth day still counts the first');
CALL loyalty.maintain('2023-01-31 00:00', 'days');
SELECT is(story('days', 'a'), '2023-01-01 ->silver earned, 2023-01-31 silver>- lapsed', 'the next one does not');
SELECT is(tier('days', 'a', '2023-01-30 23:59:59'), 'silver', 'what was is still to be known');
SELECT buy('days', 'b', 100, '2023-02-01'), buy('days', 'b', 99, '2023-03-01'), buy('days', 'b', 1, '2023-03-02') \g /dev/null
SELECT is(tier('days', 'b'), 'silver', 'nobody falls by buying');
CALL loyalty.maintain('2023-03-02 12:00', 'days');
SELECT is(tier('days', 'b'), 'silver', 'nor is he told that he did when he qualifies again');
CALL loyalty.maintain('2023-03-31 12:00', 'days');
SELECT is(story('days', 'b'), '2023-02-01 ->silver earned, 2023-03-31 silver>- lapsed', 'a tier is kept by whatever the window holds');

SELECT open_shop('months', 'rolling 1 month') \g /dev/null
SELECT buy('months', 'jan31', 100, '2023-01-31') \g /dev/null
CALL each_morning('months', '2023-02-26', '2023-02-28');
SELECT buy('months', 'feb28', 100, '2023-02-28') \g /dev/null
CALL each_morning('months', '2023-03-01', '2023-03-31');
SELECT buy('months', 'mar30', 100, '2023-03-30'), buy('months', 'mar31', 100, '2023-03-31') \g /dev/null
CALL each_morning('months', '2023-04-01', '2023-05-03');
SELECT buy('months', 'jan31leap', 100, '2024-01-31') \g /dev/null
CALL each_morning('months', '2024-02-26', '2024-03-03');
SELECT is(story('months', 'jan31'), '2023-01-31 ->silver earned, 2023-03-01 silver>- lapsed', 'rolling months: January 31 counts through the end of February');
SELECT is(story('months', 'jan31leap'), '2024-01-31 ->silver earned, 2024-03-01 silver>- lapsed', 'which may be a long one');
SELECT is(story('months', 'mar30'), '2023-03-30 ->silver earned, 2023-04-30 silver>- lapsed', 'March 30 counts through April 29');
SELECT is(story('months', 'mar31'), '2023-03-31 ->silver earned, 2023-05-01 silver>- lapsed', 'March 31 through April 30');
SELECT is(story('months', 'feb28'), '2023-02-28 ->silver earned, 2023-03-28 silver>- lapsed', 'February 28 through March 27');

SELECT open_shop('year', 'calendar year') \g /dev/null
SELECT buy('year', 'a', 60, '2022-12-31 23:59:59'), buy('year', 'a', 60, '2023-01-01') \g /dev/null
SELECT is(tier('year', 'a'), '-', 'calendar year: two years are not added up');
SELECT buy('year', 'a', 40, '2023-06-15') \g /dev/null
CALL loyalty.maintain('2023-12-31 23:59:59', 'year');
SELECT is(tier('year', 'a'), 'silver', 'a tier is kept to the end of the year');
CALL loyalty.maintain('2024-01-01', 'year');
SELECT is(story('year', 'a'), '2023-06-15 ->silver earned, 2024-01-01 silver>- lapsed', 'and no longer');

SELECT open_shop('membership', 'membership year') \g /dev/null
SELECT loyalty.enroll('leap', at => '2020-02-29 10:00', program => 'membership') \g /dev/null
SELECT buy('membership', 'leap', 60, '2021-02-27 23:00'), buy('membership', 'leap', 60, '2021-02-28 01:00') \g /dev/null
SELECT is(tier('membership', 'leap'), '-', 'membership year: who joined on February 29 begins anew on February 28');
SELECT buy('membership', 'leap', 40, '2022-02-27 23:00') \g /dev/null
CALL loyalty.maintain('2022-02-27 23:59', 'membership');
SELECT is(tier('membership', 'leap'), 'silver', 'through the day before');
CALL loyalty.maintain('2022-02-28', 'membership');
SELECT buy('membership', 'leap', 100, '2024-02-28 12:00') \g /dev/null
CALL loyalty.maintain('2024-02-28 23:59', 'membership');
SELECT is(tier('membership', 'leap'), 'silver', 'and in leap years');
CALL loyalty.maintain('2024-02-29', 'membership');
SELECT is(story('membership', 'leap'), '2022-02-27 ->silver earned, 2022-02-28 silver>- lapsed, 2024-02-28 ->silver earned, 2024-02-29 silver>- lapsed', 'on February 29');

SELECT open_shop('ever', 'lifetime') \g /dev/null
SELECT buy('ever', 'a', 99.99, '2001-01-01'), buy('ever', 'a', 0.01, '2015-01-01'), buy('ever', 'a', 150, '2024-01-01') \g /dev/null
CALL loyalty.maintain(program => 'ever');
SELECT is(story('ever', 'a'), '2015-01-01 ->silver earned, 2024-01-01 silver>gold earned', 'lifetime: everything counts, for ever');
SELECT is(tally('ever', 'a'), '{ever: 250/249/3}', 'as one total');

--
-- What is asked
--

SELECT open_shop('any', 'lifetime', tiers => false), open_shop('all', 'lifetime', tiers => false, match => 'all') \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount, min_points, min_purchases) VALUES
	('any', 'amount', 1, 1000, NULL, NULL), ('any', 'points or three', 2, NULL, 300, 3), ('any', 'gift', 9, NULL, NULL, NULL),
	('all', 'two', 1, 100, NULL, 2), ('all', 'three', 2, 100, 50, 3), ('all', 'gift', 9, NULL, NULL, NULL);
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('any', 'bonus', '300', 'amount = 77');
SELECT buy('any', 'often', 1, '2024-01-01'), buy('any', 'often', 1, '2024-01-02') \g /dev/null
SELECT is(tier('any', 'often'), '-', 'two purchases are not three');
SELECT buy('any', 'often', 0, '2024-01-03') \g /dev/null
SELECT is(tier('any', 'often'), '-', 'one of nothing is none');
SELECT buy('any', 'often', 1, '2024-01-04'), buy('any', 'points', 77, '2024-01-01'), buy('any', 'much', 299, '2024-01-01') \g /dev/null
SELECT is(tier('any', 'often'), 'points or three', 'any: the third purchase does it');
SELECT is(tier('any', 'points'), 'points or three', 'or the points do');
SELECT is(tier('any', 'much'), '-', 'almost is not enough');
SELECT buy('all', 'once', 500, '2024-01-01') \g /dev/null
SELECT is(tier('all', 'once'), '-', 'all: much in one purchase is not two purchases');
SELECT buy('all', 'once', 1, '2024-01-02') \g /dev/null
SELECT is(tier('all', 'once'), 'two', 'with the second it is');
SELECT buy('all', 'once', 1, '2024-01-02') \g /dev/null
SELECT is(tier('all', 'once'), 'three', 'with the third it is more');
SELECT buy('any', 'rich', 1e9, '2024-01-01'), buy('all', 'rich', 1e9, '2024-01-01'), buy('all', 'rich', 1e9, '2024-01-02'), buy('all', 'rich', 1e9, '2024-01-03') \g /dev/null
SELECT isnt(tier('any', 'rich'), 'gift', 'any: a tier that asks nothing is reached by nobody');
SELECT isnt(tier('all', 'rich'), 'gift', 'all: nor here');

SELECT open_shop('points', 'lifetime', tiers => false) \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('points', 'silver', 1, 100);
INSERT INTO loyalty.rule (program, name, award, qualifies) VALUES ('points', 'welcome', '500', false);
SELECT buy('points', 'a', 60, '2024-01-01') \g /dev/null
SELECT is(tier('points', 'a'), '-', 'points of a rule that does not qualify do not count');
SELECT is(tally('points', 'a'), '{ever: 60/60/1}', 'nor are they in the tally');
SELECT buy('points', 'a', 40, '2024-01-02') \g /dev/null
SELECT is(tier('points', 'a'), 'silver', 'others do');
SELECT loyalty.adjust('b', 1000, program => 'points'), buy('points', 'b', 99, '2024-01-01') \g /dev/null
SELECT is(tier('points', 'b'), '-', 'points that were given do not');

--
-- A tier that is everyone's
--

SELECT open_shop('base', 'rolling 30 days') \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount, min_points, min_purchases) VALUES ('base', 'bronze', 0, 0, NULL, NULL);
SELECT loyalty.enroll('new', program => 'base') \g /dev/null
SELECT is(tier('base', 'new') || coalesce(story('base', 'new'), ''), 'bronze', 'it is had from enrollment on, without a change');
SELECT buy('base', 'a', 100, '2023-01-01 10:00') \g /dev/null
CALL loyalty.maintain('2023-02-01', 'base');
SELECT is(story('base', 'a'), '2023-01-01 bronze>silver earned, 2023-02-01 silver>bronze lapsed', 'and what one falls to');
SELECT is(tier('base', 'a', '2023-01-01 09:59'), 'bronze', 'before the first change it is the tier');
SELECT open_shop('base later', 'rolling 30 days', tiers => false) \g /dev/null
SELECT loyalty.enroll('early', at => '2023-01-01', program => 'base later') \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_purchases) VALUES ('base later', 'bronze', 0, 0);
SELECT is(tier('base later', 'early', 'now'), 'bronze', 'added later: it is everyone''s at once');
CALL loyalty.maintain('2023-01-02', 'base later');
SELECT is(tier('base later', 'early'), 'bronze', 'and in the rows after a review');
SELECT open_shop('base all', 'rolling 30 days', tiers => false, match => 'all') \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount, min_purchases) VALUES ('base all', 'half', 0, 0, 1), ('base all', 'bronze', -1, 0, 0);
SELECT loyalty.enroll('new', program => 'base all') \g /dev/null
SELECT is(tier('base all', 'new'), 'bronze', 'all: one zero is not enough');

--
-- What keeps
--

SELECT open_shop('keep', 'rolling 30 days', tiers => false) \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount, keep_amount, keep_purchases) VALUES ('keep', 'silver', 1, 100, 50, NULL), ('keep', 'gold', 2, 250, 400, 4);
SELECT buy('keep', 'a', 100, '2023-01-01'), buy('keep', 'a', 50, '2023-01-20') \g /dev/null
CALL each_morning('keep', '2023-01-25', '2023-02-25');
SELECT is(story('keep', 'a'), '2023-01-01 ->silver earned, 2023-02-19 silver>- lapsed', 'less is asked to keep it');
SELECT buy('keep', 'b', 250, '2023-01-01'), buy('keep', 'b', 1, '2023-01-10'), buy('keep', 'b', 1, '2023-01-11'), buy('keep', 'b', 1, '2023-01-12'), buy('keep', 'b', 1, '2023-01-13') \g /dev/null
CALL each_morning('keep', '2023-01-25', '2023-02-25');
SELECT is(story('keep', 'b'), '2023-01-01 ->gold earned, 2023-02-09 gold>- lapsed', 'or something else: four purchases');
SELECT open_shop('keep more', 'rolling 30 days', validity => '1 month', tiers => false) \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount, keep_amount) VALUES ('keep more', 'silver', 1, 100, 400);
SELECT buy('keep more', 'a', 100, '2023-01-10'), buy('keep more', 'a', 120, '2023-02-01') \g /dev/null
CALL each_morning('keep more', '2023-02-08', '2023-04-20');
SELECT is(story('keep more', 'a'), '2023-01-10 ->silver earned till 2023-02-10, 2023-02-11 silver>silver kept till 2023-03-10, 2023-03-11 silver>- lapsed', 'who reaches it again keeps it, whatever is asked to keep');

--
-- Validity
--

SELECT open_shop('12 months', 'rolling 365 days', '12 months') \g /dev/null
SELECT buy('12 months', p, 100, '2020-03-10 12:00'), buy('12 months', p, 100, '2020-06-01') FROM unnest('{punctual,late}'::text[]) p \g /dev/null
SELECT buy('12 months', 'idle', 100, '2020-03-10 12:00') \g /dev/null
CALL loyalty.maintain('2021-03-10 23:59', '12 months');
SELECT is(tier('12 months', 'idle'), 'silver', 'a tier is held through the last day of its validity');
CALL loyalty.maintain('2021-03-11', '12 months');
SELECT is(story('12 months', 'idle'), '2020-03-10 ->silver earned till 2021-03-10, 2021-03-11 silver>- lapsed', 'and lapses after it');
CALL each_morning('12 months', '2022-03-08', '2022-03-13');
SELECT is(story('12 months', 'punctual'), '2020-03-10 ->silver earned till 2021-03-10, 2021-03-11 silver>silver kept till 2022-03-10, 2022-03-11 silver>- lapsed', 'who keeps it holds it for another period');
SELECT is(story('12 months', 'late'), story('12 months', 'punctual'), 'so does his friend');
SELECT open_shop('years late', 'rolling 365 days', '12 months') \g /dev/null
SELECT buy('years late', 'a', 100, '2015-03-10'), buy('years late', 'a', 100, '2015-06-01'), buy('years late', 'a', 100, '2016-06-01'), buy('years late', 'a', 300, '2017-02-01'), buy('years late', 'a', 250, '2017-06-01') \g /dev/null
SELECT is(story('years late', 'a'), '2015-03-10 ->silver earned till 2016-03-10, 2017-02-01 silver>gold earned till 2018-02-01', 'no maintenance for years: he rises still,');
CALL loyalty.maintain('2021-01-01', 'years late');
SELECT is(story('years late', 'a'), '2015-03-10 ->silver earned till 2016-03-10, 2017-02-01 silver>gold earned till 2018-02-01, 2021-01-01 gold>gold kept till 2019-02-01, 2021-01-01 gold>- lapsed',
	'and each period is judged when it comes at last');

SELECT open_shop('end of year', 'calendar year', 'end of year') \g /dev/null
SELECT buy('end of year', 'a', 100, '2020-05-01'), buy('end of year', 'b', 100, '2020-05-01'), buy('end of year', 'b', 100, '2021-01-01 01:00') \g /dev/null
CALL each_morning('end of year', '2020-12-29', '2021-01-03');
SELECT is(story('end of year', 'a'), '2020-05-01 ->silver earned till 2020-12-31, 2021-01-01 silver>- lapsed', 'end of year: the new year begins with nothing');
SELECT is(story('end of year', 'b'), '2020-05-01 ->silver earned till 2020-12-31, 2021-01-01 silver>silver kept till 2021-12-31', 'unless its first day brings enough');
SELECT open_shop('next year', 'calendar year', '12 months end of year') \g /dev/null
SELECT buy('next year', 'a', 100, '2020-05-01'), buy('next year', 'a', 99, '2021-05-01'), buy('next year', 'b', 100, '2020-05-01'), buy('next year', 'b', 100, '2021-12-31 23:00') \g /dev/null
CALL each_morning('next year', '2020-12-29', '2021-01-03');
CALL each_morning('next year', '2021-12-29', '2022-01-03');
CALL each_morning('next year', '2022-12-29', '2023-01-03');
SELECT is(story('next year', 'a'), '2020-05-01 ->silver earned till 2021-12-31, 2022-01-01 silver>- lapsed', 'end of the next year: a year asks for the year after');
SELECT is(story('next year', 'b'), '2020-05-01 ->silver earned till 2021-12-31, 2022-01-01 silver>silver kept till 2022-12-31, 2023-01-01 silver>- lapsed', 'and its last day counts');
SELECT open_shop('for good', 'rolling 30 days', 'never') \g /dev/null
SELECT buy('for good', 'a', 100, '2020-05-01') \g /dev/null
CALL loyalty.maintain('2022-05-01', 'for good');
CALL loyalty.maintain(program => 'for good');
SELECT is(story('for good', 'a'), '2020-05-01 ->silver earned', 'never: what is reached is reached for good');
SELECT is((SELECT next_expiry FROM loyalty.member WHERE member_id = loyalty.member_id('a', 'for good')), NULL, 'and nobody looks at him again');

--
-- Falling
--

SELECT open_shop('none', 'rolling 30 days', downgrade => 'none'), open_shop('one', 'rolling 30 days', downgrade => 'one'), open_shop('earned', 'rolling 30 days') \g /dev/null
SELECT buy('none', 'a', 300, '2023-01-01') \g /dev/null
CALL loyalty.maintain('2024-01-01', 'none');
SELECT is(story('none', 'a'), '2023-01-01 ->gold earned', 'none: nobody falls');

INSERT INTO loyalty.tier (program, name, rank) VALUES ('one', 'gift', 0);
UPDATE loyalty.tier SET rank = CASE name WHEN 'gold' THEN 3 WHEN 'gift' THEN 2 ELSE rank END WHERE program = 'one';
SELECT buy('one', 'a', 300, '2023-01-01'), buy('one', 'late', 300, '2023-01-01'), buy('one', 'b', 300, '2023-01-01'), buy('one', 'b', 100, '2023-02-20') \g /dev/null
SELECT buy('one', 'never looked at', 300, '2023-01-01') \g /dev/null
CALL each_morning('one', '2023-01-28', '2023-03-25');
SELECT is(story('one', 'a'), '2023-01-01 ->gold earned, 2023-01-31 gold>silver lapsed till 2023-03-01, 2023-03-02 silver>- lapsed', 'one: a tier down, past one by hand, and there until the window has passed once');
SELECT is(story('one', 'b'), '2023-01-01 ->gold earned, 2023-01-31 gold>silver lapsed till 2023-03-01, 2023-03-22 silver>- lapsed', 'from then on the window says');
SELECT is(story('one', 'late'), story('one', 'a'), 'whoever it is');
SELECT open_shop('one late', 'rolling 30 days', downgrade => 'one') \g /dev/null
SELECT buy('one late', 'a', 300, '2023-01-01') \g /dev/null
CALL loyalty.maintain('2023-06-01', 'one late');
CALL loyalty.maintain('2023-06-30', 'one late');
CALL loyalty.maintain('2023-07-01', 'one late');
SELECT is(story('one late', 'a'), '2023-01-01 ->gold earned, 2023-06-01 gold>silver lapsed till 2023-06-30, 2023-07-01 silver>- lapsed', 'late: from the day on which he is told');
SELECT buy('earned', 'a', 300, '2023-01-01'), buy('earned', 'a', 100, '2023-01-15'), buy('earned', 'b', 300, '2023-01-01') \g /dev/null
CALL each_morning('earned', '2023-01-28', '2023-02-20');
SELECT is(story('earned', 'a'), '2023-01-01 ->gold earned, 2023-01-31 gold>silver lapsed, 2023-02-14 silver>- lapsed', 'earned: to what the window gives');
SELECT is(story('earned', 'b'), '2023-01-01 ->gold earned, 2023-01-31 gold>- lapsed', 'however far down that is');

SELECT open_shop('one held', 'rolling 30 days', '1 month', 'one'), open_shop('one held late', 'rolling 30 days', '1 month', 'one'), open_shop('earned held', 'rolling 30 days', '1 month') \g /dev/null
SELECT buy(p, 'a', 300, '2023-01-10') FROM unnest('{one held,one held late,earned held}'::text[]) p \g /dev/null
SELECT buy('earned held', 'b', 300, '2023-01-10'), buy('earned held', 'b', 110, '2023-02-01') \g /dev/null
CALL each_morning('one held', '2023-02-08', '2023-04-15');
CALL each_morning('earned held', '2023-02-08', '2023-04-15');
CALL loyalty.maintain('2023-12-05', 'one held late');
SELECT is(story('one held', 'a'), '2023-01-10 ->gold earned till 2023-02-10, 2023-02-11 gold>silver lapsed till 2023-03-10, 2023-03-11 silver>- lapsed', 'with a validity: a tier down for another one');
SELECT is(story('one held late', 'a'), '2023-01-10 ->gold earned till 2023-02-10, 2023-12-05 gold>silver lapsed till 2024-01-05', 'counted from the review where that is too late');
SELECT is(story('earned held', 'a'), '2023-01-10 ->gold earned till 2023-02-10, 2023-02-11 gold>- lapsed', 'earned: to nothing');
SELECT is(story('earned held', 'b'), '2023-01-10 ->gold earned till 2023-02-10, 2023-02-11 gold>silver lapsed till 2023-03-10, 2023-03-11 silver>- lapsed', 'or to what the last window gave, for a validity');

--
-- Grace
--

SELECT open_shop('grace', 'rolling 30 days', grace => '10 days'), open_shop('grace late', 'rolling 30 days', grace => '10 days'), open_shop('grace held', 'rolling 30 days', '1 month', grace => '5 days') \g /dev/null
SELECT buy(p, 'a', 100, '2023-01-01'), buy(p, 'back', 100, '2023-01-01'), buy(p, 'back', 100, '2023-02-09 12:00') FROM unnest('{grace,grace late}'::text[]) p \g /dev/null
CALL each_morning('grace', '2023-01-29', '2023-03-25');
SELECT is(story('grace', 'a'), '2023-01-01 ->silver earned, 2023-02-10 silver>- lapsed', 'ten days from the first that does not keep it');
SELECT is(story('grace', 'back'), '2023-01-01 ->silver earned, 2023-03-21 silver>- lapsed', 'who comes back on the last of them keeps it, with grace anew');
CALL loyalty.maintain('2023-02-09 23:59:59', 'grace late');
SELECT is(tier('grace late', 'a'), 'silver', 'on the last day of grace it is held,');
CALL loyalty.maintain('2023-02-10', 'grace late');
SELECT is(tier('grace late', 'a'), '-', 'on the next one not');
CALL loyalty.maintain('2023-05-05', 'grace late');
SELECT is(story('grace late', 'back'), '2023-01-01 ->silver earned, 2023-05-05 silver>- lapsed', 'late, it lapses when that is noticed');
SELECT buy('grace held', 'a', 100, '2023-01-10'), buy('grace held', 'back', 100, '2023-01-10') \g /dev/null
CALL each_morning('grace held', '2023-02-09', '2023-02-13');
SELECT buy('grace held', 'back', 100, '2023-02-15 12:00') \g /dev/null
CALL each_morning('grace held', '2023-02-14', '2023-04-25');
SELECT is(story('grace held', 'a'), '2023-01-10 ->silver earned till 2023-02-10, 2023-02-16 silver>- lapsed', 'with a validity: five days after its last');
SELECT is(story('grace held', 'back'), '2023-01-10 ->silver earned till 2023-02-10, 2023-02-15 silver>silver kept till 2023-03-15, 2023-03-16 silver>silver kept till 2023-04-15, 2023-04-21 silver>- lapsed', 'who keeps it in those days holds it from then on');

--
-- Returns
--

SELECT open_shop('returns', 'rolling 365 days'), open_shop('returns grace', 'rolling 365 days', grace => '10 days') \g /dev/null
SELECT buy('returns', 'a', 300, (now() - interval '3 days')::text) AS id \gset
CREATE TABLE steps (n int, total numeric, tally text, tier text);
CREATE PROCEDURE return_step(id int, rest numeric) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'UPDATE returns SET total = $2 WHERE id = $1' USING id, rest;
	INSERT INTO steps SELECT count(*), rest, (SELECT format('%s/%s/%s', t.amount, t.points, t.purchases) FROM loyalty.member m, loyalty.totals(m.tally, '-infinity', 'infinity') t
		WHERE member_id = loyalty.member_id('a', 'returns')), tier('returns', 'a') FROM steps;
END $$;
CALL return_step(:id, 260);
CALL return_step(:id, 120.50);
CALL return_step(:id, 100);
CALL return_step(:id, 99.99);
CALL return_step(:id, 0);
CALL return_step(:id, 100);
CALL return_step(:id, 250.01);
CALL return_step(:id, 40);
SELECT results_eq('SELECT total, tally, tier FROM steps ORDER BY n', $$VALUES
	(260, '260/260/1', 'gold'), (120.50, '120.50/120/1', 'gold'), (100, '100/100/1', 'gold'), (99.99, '99.99/99/1', 'gold'), (0, '0/0/0', 'gold'),
	(100, '100/100/1', 'gold'), (250.01, '250.01/250/1', 'gold'), (40::numeric, '40/40/1', 'gold')$$, 'returns lower the tally at once, and the tier not yet');
SELECT is(array_length(regexp_split_to_array(story('returns', 'a'), ', '), 1), 1, 'without any change');
CALL loyalty.maintain(program => 'returns');
SELECT is(tier('returns', 'a'), '-', 'the next review does');
UPDATE returns SET total = 270 WHERE id = :id;
SELECT is(tier('returns', 'a'), 'gold', 'a return that is taken back lets him rise at once');
SELECT is((SELECT tier_since > now() - interval '1 hour' FROM loyalty.member WHERE member_id = loyalty.member_id('a', 'returns')), true, 'from now on');
UPDATE returns SET customer = 'b' WHERE id = :id;
SELECT is(tier('returns', 'b'), 'gold', 'a purchase that turns out to be another''s lifts him');
SELECT is((SELECT tier_since = (SELECT at FROM returns WHERE id = :id) FROM loyalty.member WHERE member_id = loyalty.member_id('b', 'returns')), true, 'from the time of the purchase');
SELECT is((SELECT (loyalty.totals(tally, '-infinity', 'infinity')).amount FROM loyalty.member WHERE member_id = loyalty.member_id('a', 'returns')), 0::numeric, 'and counts for the one no more');
CALL loyalty.maintain(program => 'returns');
SELECT is(tier('returns', 'a') || ' ' || tier('returns', 'b'), '- gold', 'who falls at the review');
DELETE FROM returns WHERE id = :id;
SELECT is((SELECT (loyalty.totals(tally, '-infinity', 'infinity')).purchases FROM loyalty.member WHERE member_id = loyalty.member_id('b', 'returns')), 0::bigint, 'deleted: it counts for nobody');
CALL loyalty.maintain(program => 'returns');
SELECT is(tier('returns', 'b'), '-', 'and the next review says so');
SELECT buy('returns grace', 'nine', 100, (now() - interval '9 days')::text), buy('returns grace', 'ten', 100, (now() - interval '10 days')::text) \g /dev/null
DELETE FROM "returns grace";
CALL loyalty.maintain(program => 'returns grace');
SELECT is(tier('returns grace', 'nine'), 'silver', 'grace after a return is counted from the first day that, as we now know, did not give the tier');
SELECT is(tier('returns grace', 'ten'), '-', 'so it may be over');
SELECT open_shop('returns ever', 'lifetime', grace => '10 days') \g /dev/null
SELECT buy('returns ever', 'nine', 100, (now() - interval '9 days')::text), buy('returns ever', 'ten', 100, (now() - interval '10 days')::text), buy('returns ever', 'ten', 1, now()::text) \g /dev/null
CALL loyalty.maintain(program => 'returns ever');
DELETE FROM "returns ever" WHERE total = 100;
CALL loyalty.maintain(program => 'returns ever');
SELECT is(tier('returns ever', 'nine') || ' ' || tier('returns ever', 'ten'), 'silver -', 'in a lifetime window too');

--
-- Ahead, and late
--

SELECT open_shop('ahead', 'rolling 365 days'), open_shop('ahead ever', 'lifetime') \g /dev/null
SELECT buy(p, 'a', 60, (now() - interval '1 day')::text), buy(p, 'a', 60, (now() + interval '5 days')::text) FROM unnest('{ahead,ahead ever}'::text[]) p \g /dev/null
SELECT is(tier('ahead', 'a'), '-', 'a purchase dated ahead waits for its day');
CALL loyalty.maintain(program => 'ahead');
SELECT is(tier('ahead', 'a'), '-', 'at reviews as well');
SELECT is((SELECT next_expiry FROM loyalty.member WHERE member_id = loyalty.member_id('a', 'ahead')), (now() + interval '4 days')::date, 'which comes to him on that day');
SELECT is(tier('ahead ever', 'a'), 'silver', 'in a lifetime window it counts at once');
SELECT is((SELECT tier_since <= now() FROM loyalty.member WHERE member_id = loyalty.member_id('a', 'ahead ever')), true, 'and the tier is not dated ahead');

-- a lifetime's total that has to be counted anew, by day, is still the same total
SELECT buy('ahead ever', 'b', 0, now()::text), buy('ahead ever', 'b', 120, (now() + interval '5 days')::text) \g /dev/null
SELECT is(tier('ahead ever', 'b'), 'silver', 'also when nothing had counted before');
SELECT buy('ahead ever', 'c', 120, (now() + interval '5 days')::text), buy('ahead ever', 'c', 130, (now() - interval '5 days')::text) \g /dev/null
SELECT is(tier('ahead ever', 'c') || ' ' || tier('ahead ever', 'c', (now() - interval '4 days')::text), 'gold silver', 'together with what comes late too, from now on');
CALL loyalty.maintain(program => 'ahead ever');
DELETE FROM loyalty.tier WHERE program = 'ahead ever';
CALL loyalty.maintain(program => 'ahead ever');
SELECT buy('ahead ever', m, 1, now()::text) FROM unnest('{a,b,c}'::text[]) m \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('ahead ever', 'silver', 1, 100), ('ahead ever', 'gold', 2, 250);
CALL loyalty.maintain(program => 'ahead ever');
SELECT is(string_agg(tier('ahead ever', m), ' '), 'silver silver gold', 'and at reviews') FROM unnest('{a,b,c}'::text[]) m;

SELECT open_shop('late', 'rolling 30 days') \g /dev/null
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('late', 'silver bonus', '1000', $$member.tier = 'silver'$$), ('late', 'gold bonus', '2000', $$member.tier = 'gold'$$);
SELECT buy('late', 'a', 100, '2023-01-01 12:00') \g /dev/null
CALL loyalty.maintain('2023-01-31', 'late');
SELECT buy('late', 'a', 1, '2023-01-15') AS inside, buy('late', 'a', 1, '2023-01-31 00:00') AS after, buy('late', 'a', 1, '2022-12-31 23:59') AS before \gset
SELECT is((SELECT string_agg(e.source_key || ' ' || e.points, ', ' ORDER BY e.source_key) FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id) WHERE r.name = 'silver bonus' AND r.program = 'late'), :'inside' || ' 1000', 'late: judged by the tier of its own time');
SELECT is(story('late', 'a'), '2023-01-01 ->silver earned, 2023-01-31 silver>- lapsed', 'which is history');
SELECT buy('late', 'a', 150, '2022-12-20') \g /dev/null
SELECT is(story('late', 'a'), '2023-01-01 ->silver earned, 2023-01-31 silver>- lapsed, 2022-12-20 ->silver earned', 'it may put a promotion into the past');
SELECT is(tier('late', 'a', '2022-12-25') || ' ' || tier('late', 'a', '2023-01-10') || ' ' || tier('late', 'a', '2023-02-10'), 'silver silver -', 'which changes what came after as little as it can');
SELECT open_shop('late grace', 'rolling 10 days', '20 days', 'earned', '5 days') \g /dev/null
SELECT buy('late grace', 'a', 100, (now() - interval '22 days')::text) \g /dev/null
CALL loyalty.maintain(program => 'late grace');
SELECT buy('late grace', 'a', 100, (now() - interval '3 days')::text) \g /dev/null
CALL loyalty.maintain(program => 'late grace');
SELECT is(tier_until, ((now() - interval '2 days')::date + 20), 'late, in the days of grace: the next review keeps it') FROM loyalty.member WHERE member_id = loyalty.member_id('a', 'late grace');
SELECT open_shop('together', 'rolling 365 days'), open_shop('together ever', 'lifetime') \g /dev/null
SELECT buy(p, 'a', 60, (now() - interval '10 days')::text), buy(p, 'a', 50, (now() - interval '20 days')::text) FROM unnest('{together,together ever}'::text[]) p \g /dev/null
SELECT is(tier(p, 'a') || ' ' || tier(p, 'a', (now() - interval '11 days')::text) || ' ' || tier(p, 'a', (now() - interval '9 days')::text), 'silver - silver', p || ': together with what came after it may lift him, from that day on')
FROM unnest('{together,together ever}'::text[]) p;
SELECT buy(p, 'a', 150, (now() - interval '300 days')::text) FROM unnest('{together,together ever}'::text[]) p \g /dev/null
SELECT is(tier(p, 'a') || ' ' || tier(p, 'a', (now() - interval '299 days')::text) || ' ' || tier(p, 'a', (now() - interval '301 days')::text), 'gold silver -', p || ': or both, then and now') FROM unnest('{together,together ever}'::text[]) p;
SELECT is((SELECT count(*) FROM loyalty.tier_change c JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = m.program_id WHERE p.name LIKE 'together%' AND change_no > m.tier_changes), 0::bigint, 'changes are numbered');

--
-- Who, and what else
--

SELECT open_shop('status', 'lifetime') \g /dev/null
SELECT loyalty.enroll('a', program => 'status'), loyalty.set_member('a', status => 'suspended', program => 'status'), buy('status', 'a', 500, '2024-01-01') AS id \gset
SELECT is(tier('status', 'a') || tally('status', 'a'), '-{}', 'what a suspended member buys does not count');
SELECT loyalty.set_member('a', status => 'active', program => 'status') \g /dev/null
UPDATE "status" SET total = 600 WHERE id = :id;
SELECT is(tier('status', 'a') || tally('status', 'a'), '-{}', 'nor later');
SELECT buy('status', 'a', 100, '2024-01-02') \g /dev/null
SELECT is(tier('status', 'a') || tally('status', 'a'), 'silver{ever: 100/100/1}', 'from then on it does');

SELECT open_shop('events', 'lifetime', tiers => false) \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount, min_points, min_purchases) VALUES ('events', 'silver', 1, 100, 100, 2);
INSERT INTO loyalty.rule (program, name, event, award, qualifies) VALUES ('events', 'review', 'review', '50', true), ('events', 'survey', 'survey', '50', false);
SELECT loyalty.record('a', 'review', 1000, key => '1', program => 'events'), loyalty.record('a', 'survey', 1000, key => '2', program => 'events') \g /dev/null
SELECT is(tier('events', 'a') || tally('events', 'a'), '-{ever: 0/50/0}', 'an event counts with its points only, those of rules that qualify');
SELECT loyalty.record('a', 'review', key => '3', program => 'events') \g /dev/null
SELECT is(tier('events', 'a'), 'silver', 'which may do');
SELECT loyalty.record('b', 'purchase', 60, key => '4', program => 'events') \g /dev/null
SELECT is(tier('events', 'b') || tally('events', 'b'), '-{ever: 60/60/1}', 'a purchase that is recorded counts as one');
SELECT loyalty.record('b', 'purchase', 10, program => 'events') \g /dev/null
SELECT is(tier('events', 'b') || tally('events', 'b'), 'silver{ever: 70/70/2}', 'without a key too');

SELECT open_shop('money', 'lifetime') \g /dev/null
UPDATE loyalty.program SET currency = 'USD' WHERE name = 'money';
INSERT INTO loyalty.currency_rate (program, currency, rate) VALUES ('money', 'EUR', 1.25);
CREATE TABLE payment (id int PRIMARY KEY, customer text, total numeric, currency text, at timestamptz);
SELECT loyalty.attach('payment', member => 'customer', amount => 'total', currency => 'currency', at => 'at', program => 'money') \g /dev/null
INSERT INTO payment VALUES (1, 'a', 79.99, 'EUR', '2024-01-01');
SELECT is(tier('money', 'a') || tally('money', 'a'), '-{ever: 99.9875/99/1}', 'another currency counts as converted');
UPDATE payment SET total = 80;
SELECT is(tier('money', 'a') || tally('money', 'a'), 'silver{ever: 100/100/1}', 'exactly');

SELECT open_shop('lines', 'lifetime', tiers => false) \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount, min_purchases) VALUES ('lines', 'silver', 1, 100, 2);
CREATE TABLE head (id int PRIMARY KEY, customer text, at timestamptz);
CREATE TABLE line (id int, no int, amount numeric, PRIMARY KEY (id, no));
SELECT loyalty.attach_query('baskets', 'SELECT id AS key, customer AS member, at, amount FROM head JOIN line USING (id)', '{head.id, line.id}', program => 'lines') \g /dev/null
INSERT INTO head VALUES (1, 'a', '2024-01-01'), (2, 'b', '2024-01-01');
INSERT INTO line VALUES (1, 1, 30), (1, 2, 40), (1, 3, 20), (2, 1, 5);
SELECT is(tier('lines', 'a') || tally('lines', 'a'), '-{ever: 90/90/1}', 'all lines of a purchase are one purchase');
INSERT INTO line VALUES (1, 4, 10);
SELECT is(tier('lines', 'a') || tally('lines', 'a'), 'silver{ever: 100/100/1}', 'a further line counts');
UPDATE head SET customer = 'b' WHERE id = 1;
SELECT is(tally('lines', 'a') || tier('lines', 'b') || tally('lines', 'b'), '{}silver{ever: 105/105/2}', 'and goes where its purchase goes');

--
-- How long points live, and what conditions read
--

SELECT open_shop('spans', 'rolling 30 days') \g /dev/null
UPDATE loyalty.program SET expiry = '10 years' WHERE name = 'spans';
UPDATE loyalty.tier SET expiry = '20 years', pending = '7 days' WHERE program = 'spans' AND name = 'silver';
INSERT INTO loyalty.rule (program, name, award, expiry, pending) VALUES ('spans', 'own', '1000', '5 years', '1 day');
SELECT buy('spans', 'a', 100, '2023-01-01 10:00') AS first, buy('spans', 'a', 20, '2023-01-02 10:00') AS second \gset
CREATE FUNCTION spans(key text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(r.name || ' ' || e.lots, ', ' ORDER BY revision, r.name) FROM loyalty.entry e JOIN loyalty.rule r USING (rule_id) WHERE r.program = 'spans' AND source_key = key $$;
SELECT is(spans(:'first'), 'base {100@2033-01-01}, own {1000@2023-01-02/2028-01-02}', 'the purchase that lifts him has the program''s life span');
SELECT is(spans(:'second'), 'base {20@2023-01-09/2043-01-09}, own {1000@2023-01-03/2028-01-03}', 'the next one his tier''s, unless the rule has its own');
CALL loyalty.maintain('2023-03-01', 'spans');
UPDATE spans SET total = 25 WHERE id = :second;
UPDATE spans SET total = 90 WHERE id = :first;
SELECT is(tier('spans', 'a') || ' ' || (SELECT string_agg((source_key = :'second') || ' ' || lots, ', ' ORDER BY source_key = :'second') FROM loyalty.entry e JOIN loyalty.program p USING (program_id) WHERE p.name = 'spans' AND revision = 2),
	'- false {-10@2033-01-01}, true {5@2023-01-09/2043-01-09}', 'whatever becomes of him, it stays so for the purchase');

SELECT open_shop('facts', 'rolling 30 days') \g /dev/null
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('facts', 'silver', 'x2', $$member.tier = 'silver'$$), ('facts', 'big', '7', 'member.qualifying >= 150');
CREATE FUNCTION facts(key int) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(rule || ' ' || points, ', ' ORDER BY rule) FROM loyalty.explain('facts', key::text, program => 'facts') WHERE points::numeric <> 0 $$;
-- one statement
WITH n AS (INSERT INTO facts (customer, total, at) VALUES ('a', 10, '2023-01-03'), ('a', 100, '2023-01-01'), ('a', 40, '2023-01-02') RETURNING id) SELECT min(id) AS id FROM n \gset
SELECT is(facts(:id) || '; ' || facts(:id + 1) || '; ' || facts(:id + 2), 'base 10, big 7, silver 10; base 100; base 40, silver 40', 'in one statement: the second purchase already earns at the new tier; qualifying holds the purchase itself');
SELECT is((SELECT string_agg(context->>'facts', ' ' ORDER BY occurred_at) FROM loyalty.entry JOIN loyalty.program p USING (program_id) WHERE p.name = 'facts' AND revision = 1 AND context ? 'facts'),
	'{"qualifying": 100} {"tier": "silver", "qualifying": 140} {"tier": "silver", "qualifying": 150}', 'what was read is kept');
CALL loyalty.maintain('2023-06-01', 'facts');
UPDATE facts SET total = total * 2 WHERE id >= :id;
SELECT is(facts(:id) || '; ' || facts(:id + 1) || '; ' || facts(:id + 2), 'base 20, big 7, silver 20; base 200; base 80, silver 80', 'and is read again later');

--
-- Other terms
--

SELECT open_shop('change', 'lifetime') \g /dev/null
INSERT INTO change (customer, total, at) SELECT 'a', 60, now() - n * interval '300 days' FROM generate_series(0, 4) n;
SELECT is(tier('change', 'a') || tally('change', 'a'), 'gold{ever: 300/300/5}', 'lifetime');
CREATE FUNCTION counted(program text, customer text) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s %s/%s/%s', coalesce(m.tier, '-'), t.amount, t.points, t.purchases) FROM loyalty.member m JOIN loyalty.program p USING (program_id),
		loyalty.totals(m.tally, coalesce(loyalty.window_start(p.tier_window, current_date, m.enrolled_at::date), '-infinity'), 'infinity') t
	WHERE m.ref = customer AND p.name = program $$;
UPDATE loyalty.program SET tier_window = 'rolling 365 days' WHERE name = 'change';
CALL loyalty.maintain(program => 'change');
SELECT is(counted('change', 'a'), 'silver 120/120/2', 'to rolling 365 days: counted anew at a review');
UPDATE loyalty.program SET tier_window = 'rolling 730 days' WHERE name = 'change';
SELECT buy('change', 'a', 1, now()::text) \g /dev/null
SELECT is(counted('change', 'a'), 'silver 181/181/4', 'to rolling 730 days: or at a purchase');
UPDATE loyalty.program SET tier_window = 'lifetime' WHERE name = 'change';
SELECT buy('change', 'a', 1, now()::text) \g /dev/null
SELECT is(counted('change', 'a') || tally('change', 'a'), 'gold 302/302/7{ever: 302/302/7}', 'to lifetime: and everything counts again');
UPDATE loyalty.program SET tier_window = 'rolling 2 months' WHERE name = 'change';
DELETE FROM change WHERE total = 1;
SELECT is(tier('change', 'a'), 'gold', 'a return does not let him fall');
CALL loyalty.maintain(program => 'change');
SELECT is(tier('change', 'a'), '-', 'the review goes by the new window');

SELECT open_shop('history', 'rolling 365 days', tiers => false), open_shop('history review', 'rolling 365 days', tiers => false) \g /dev/null
SELECT buy(p, c, n * 30, (now() - n * interval '100 days')::text) FROM unnest('{history,history review}'::text[]) p, unnest('{a,b}'::text[]) c, generate_series(1, 4) n \g /dev/null
SELECT is((SELECT bool_and(tally_since IS NULL AND tally::text = '{}') FROM loyalty.member m JOIN loyalty.program p USING (program_id) WHERE p.name LIKE 'history%'), true, 'without tiers nothing is counted');
INSERT INTO loyalty.tier (program, name, rank, min_amount) SELECT p, name, rank, amount FROM unnest('{history,history review}'::text[]) p, (VALUES ('silver', 1, 180), ('gold', 2, 200)) t (name, rank, amount);
SELECT buy('history', 'a', 1, now()::text), buy('history', 'b', 20, now()::text) \g /dev/null
SELECT is(tier('history', 'a') || ' ' || tier('history', 'b'), 'silver gold', 'tiers later: history counts at the next purchase');
CALL loyalty.maintain(program => 'history review');
SELECT is(tier('history review', 'a') || ' ' || counted('history review', 'b'), 'silver silver 180/180/3', 'or the next review');
UPDATE loyalty.tier SET min_amount = min_amount - 100 WHERE program = 'history review' AND name = 'gold';
SELECT is(tier('history review', 'a'), 'silver', 'less is asked: nothing happens by itself');
CALL loyalty.maintain(program => 'history review');
SELECT is(tier('history review', 'a'), 'gold', 'the review lifts him');
UPDATE loyalty.tier SET min_amount = min_amount + 10 WHERE program = 'history review' AND name = 'silver';
UPDATE loyalty.tier SET min_amount = min_amount + 200 WHERE program = 'history review' AND name = 'gold';
CALL loyalty.maintain(program => 'history review');
SELECT is(tier('history review', 'a'), '-', 'more is asked: it lets him fall');
DELETE FROM loyalty.tier WHERE program = 'history';
CALL loyalty.maintain(program => 'history');
SELECT is(tier('history', 'a') || ' ' || (SELECT string_agg(DISTINCT reason, ',') FROM loyalty.tier_change c JOIN loyalty.program p USING (program_id) WHERE p.name = 'history' AND to_tier IS NULL), '- removed', 'no tiers: none has one');

INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('history', 'silver', 1, 100);
SELECT is(tier('history', 'a') || ' ' || counted('history', 'b'), '- - 200/200/4', 'others instead: what was counted stands');
DELETE FROM loyalty.tier WHERE program = 'history';
SELECT buy('history', 'b', 1000, now()::text) \g /dev/null
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('history', 'silver', 1, 100);
CALL loyalty.maintain(program => 'history');
SELECT is(counted('history', 'b'), 'silver 1200/1200/5', 'what was bought while there were none counts too');

-- Days are the program's
SELECT open_shop('east', 'calendar year', zone => 'Pacific/Kiritimati'), open_shop('west', 'calendar year', zone => 'Pacific/Pago_Pago') \g /dev/null
SELECT buy(p, 'a', 50, '2022-12-31 09:59+00'), buy(p, 'a', 50, '2022-12-31 10:00+00') FROM unnest('{east,west}'::text[]) p \g /dev/null
SELECT is(tier('east', 'a') || tally('east', 'a') || ' ' || tier('west', 'a') || tally('west', 'a'), '-{2022-12-31: 50/50/1, 2023-01-01: 50/50/1} silver{2022-12-30: 100/100/2}', 'a new year begins where the program is');
SELECT buy('east', 'a', 50, '2023-12-31 09:59:59+00') \g /dev/null
CALL loyalty.maintain('2023-12-31 09:59:59+00', 'east');
SELECT is(tier('east', 'a'), 'silver', 'and ends there: east,');
CALL loyalty.maintain('2023-12-31 10:00+00', 'east');
SELECT is(tier('east', 'a'), '-', 'a second later,');
CALL loyalty.maintain('2023-01-01 10:59:59+00', 'west');
SELECT is(tier('west', 'a'), 'silver', 'west,');
CALL loyalty.maintain('2023-01-01 11:00:00+00', 'west');
SELECT is(tier('west', 'a'), '-', 'a second later');

--
-- A lifetime's total, and a refund alone that is later than all that the member did
--

INSERT INTO loyalty.program (name, time_zone) VALUES ('life', 'UTC');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('life', 'silver', 1, 100);
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('life', 'base', '1 per 1', NULL), ('life', 'much', '5', 'member.qualifying >= 1000');
CREATE FUNCTION pg_temp.qualifying(ref text) RETURNS text LANGUAGE sql AS
	$$SELECT string_agg(e.amount || ' with ' || (e.context -> 'facts' ->> 'qualifying'), ', ' ORDER BY e.occurred_at) FROM loyalty.entry e JOIN loyalty.member m USING (member_id) WHERE m.ref = $1 AND e.amount IS NOT NULL$$;
SELECT loyalty.record('one', 'purchase', a, at => t::timestamptz, program => 'life') FROM (VALUES (1, 90, '2023-01-01'), (2, -40, '2023-01-05'), (3, 10, '2023-01-03'), (4, 1, '2023-01-04'), (5, 1, '2023-01-06')) v (n, a, t) ORDER BY n \g /dev/null
SELECT is(pg_temp.qualifying('one'), '90 with 90, 10 with 100, 1 with 101, -40 with 50, 1 with 62', 'what comes before it does not know of it');
SELECT is(tier('life', 'one'), 'silver', 'and reaches what was reached before it');
SELECT loyalty.record_rows(array_agg(ROW('many', 'purchase', a, NULL, NULL, NULL, NULL, t::timestamptz)::loyalty.event_request ORDER BY n), program => 'life') FROM (VALUES (1, 90, '2023-01-01'), (2, -40, '2023-01-05'), (3, 10, '2023-01-03'), (4, 1, '2023-01-04'), (5, 1, '2023-01-06')) v (n, a, t) \g /dev/null
SELECT is(pg_temp.qualifying('many'), pg_temp.qualifying('one'), 'likewise in a batch');

--
-- The same once more
--

CALL loyalty.maintain();
CREATE TABLE first AS SELECT m.member_id, m.tier, m.tier_since, m.tier_until, m.tally::text, m.tally_since, m.next_expiry, m.seq, m.tier_changes FROM loyalty.member m;
SELECT max(at) AS at FROM loyalty.maintenance \gset
CALL loyalty.maintain(:'at');
SELECT is((SELECT sum(members) FROM loyalty.maintenance), 0::numeric, 'a second run finds nobody to look at');
UPDATE loyalty.program SET tier_grace = '1 day' WHERE tier_grace = '0';
UPDATE loyalty.program SET tier_grace = '0 days' WHERE tier_grace = '1 day';
CALL loyalty.maintain(:'at');
SELECT set_eq('SELECT m.member_id, m.tier, m.tier_since, m.tier_until, m.tally::text, m.tally_since, m.next_expiry, m.seq, m.tier_changes FROM loyalty.member m', 'SELECT * FROM first', 'nor does one that looks at everybody change anything');
SELECT is_empty($$SELECT m.ref FROM loyalty.member m LEFT JOIN (SELECT member_id, count(*), max(change_no) FROM loyalty.tier_change GROUP BY 1) c USING (member_id)
	WHERE m.tier_changes <> coalesce(c.count, 0) OR m.tier_changes <> coalesce(c.max, 0)$$, 'changes are numbered without gaps');
SELECT is(count(*), 0::bigint, 'nothing was deferred') FROM loyalty.deferred;

-- A tier that was kept, and a late purchase that lifts him from a day before that
SELECT open_shop('masked', 'rolling 30 days', '3 months') \g /dev/null
SELECT buy('masked', 'a', 100, '2023-01-01'), buy('masked', 'a', 100, '2023-03-20') \g /dev/null
CALL loyalty.maintain('2023-04-02', 'masked');
SELECT buy('masked', 'a', 200, '2023-03-25') \g /dev/null
CALL loyalty.maintain('2023-09-01', 'masked');
SELECT is(story('masked', 'a'), '2023-01-01 ->silver earned till 2023-04-01, 2023-04-02 silver>silver kept till 2023-07-01, 2023-03-25 silver>gold earned till 2023-06-25, 2023-09-01 gold>- lapsed', 'kept, lifted from before that, and fallen');
SELECT is(tier('masked', 'a', '2023-04-10'), 'gold', 'what kept the lower tier does not hide the higher one');
SELECT is(tier('masked', 'a', '2023-03-24'), 'silver', 'which he did not have before');

SELECT is_empty('SELECT * FROM loyalty.verify()', 'and nothing contradicts itself');
SELECT * FROM finish();
