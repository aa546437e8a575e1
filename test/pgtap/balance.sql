-- balance: days begin and end in the program's zone, in the past and in the future
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

-- Zones ahead and behind, with half hours, with clocks that change at midnight, and one that skipped a day
CREATE TABLE zone (name text, since date);
INSERT INTO zone VALUES ('UTC', '2024-01-01'), ('Pacific/Kiritimati', '2024-01-01'), ('Pacific/Pago_Pago', '2024-01-01'), ('Asia/Kathmandu', '2024-01-01'),
	('America/St_Johns', '2024-01-01'), ('Africa/Cairo', '2024-01-01'), ('America/Havana', '2024-01-01'), ('Australia/Lord_Howe', '2024-01-01'), ('Pacific/Apia', '2011-12-01');
INSERT INTO loyalty.program (name, time_zone) SELECT name, name FROM zone;

-- A point for each of 120 days in three parts of the year, all given beforehand: what is left tells the day
CREATE TABLE last_day AS SELECT z.name AS zone, z.since, z.since + n AS day FROM zone z, generate_series(0, 365) n
	WHERE z.name <> 'Pacific/Apia' AND n % 366 / 40 IN (0, 2, 7) OR z.name = 'Pacific/Apia' AND n < 60;
SELECT count(loyalty.adjust('past', 1, expires => day, at => since - interval '2 days', program => zone)) FROM last_day \g /dev/null
SELECT count(loyalty.adjust('future', 1, expires => (day + interval '900 years')::date, program => zone)) FROM last_day WHERE since >= '2024-01-01' \g /dev/null

CREATE FUNCTION left_on(zone text, day date) RETURNS numeric LANGUAGE sql AS $$ SELECT count(*) FROM last_day l WHERE l.zone = $1 AND l.day >= $2 $$;
CREATE TABLE instant AS
	SELECT d.zone, d.day::timestamp AT TIME ZONE d.zone + i AS at FROM last_day d,
		unnest(ARRAY['-1 hour', '-1 microsecond', '0', '59 minutes 59 seconds', '1 hour']::interval[]) AS i;
SELECT is_empty($$
	SELECT i.zone, i.at, i.at AT TIME ZONE i.zone AS local, b.available, left_on(i.zone, (i.at AT TIME ZONE i.zone)::date) AS expected
	FROM instant i, loyalty.balance('past', at => i.at, program => i.zone) b
	WHERE b.available::numeric <> left_on(i.zone, (i.at AT TIME ZONE i.zone)::date) ORDER BY 1, 2 LIMIT 5
$$, 'the past: points end with their last day in the program''s zone');
SELECT is_empty($$
	SELECT i.zone, i.at, b.next_expiry, b.next_expiry_points FROM instant i, loyalty.balance('past', at => i.at, program => i.zone) b
	WHERE b.next_expiry IS DISTINCT FROM (SELECT min(l.day) FROM last_day l WHERE l.zone = i.zone AND l.day >= (i.at AT TIME ZONE i.zone)::date)
	OR b.next_expiry_points::numeric <> CASE WHEN b.next_expiry IS NULL THEN 0 ELSE 1 END ORDER BY 1, 2 LIMIT 5
$$, 'the past: the next to expire is the first day that is left');
SELECT is_empty($$
	SELECT f.zone, f.at, f.available, f.expected FROM
		(SELECT d.zone, i.at, b.available, (SELECT count(*) FROM last_day l WHERE l.zone = d.zone AND (l.day + interval '900 years')::date >= (i.at AT TIME ZONE d.zone)::date) AS expected
		 FROM last_day d, LATERAL (SELECT (d.day + interval '900 years') AT TIME ZONE d.zone + s AS at FROM unnest(ARRAY['-1 microsecond', '0']::interval[]) s) i,
			loyalty.balance('future', at => i.at, program => d.zone) b WHERE d.since >= '2024-01-01') f
	WHERE f.available::numeric <> f.expected ORDER BY 1, 2 LIMIT 5
$$, 'the future: the same by projection');

-- Writing the ends down changes no balance
CREATE TABLE before AS SELECT i.*, b.* FROM instant i, loyalty.balance('past', at => i.at, program => i.zone) b;
SELECT count(loyalty.adjust('past', 1, program => name)) FROM zone \g /dev/null
SELECT is((SELECT count(*) FROM loyalty.entry WHERE kind = 'expire'), (SELECT count(*) FROM last_day), 'every last day has been written down');
SELECT is_empty($$SELECT * FROM before EXCEPT ALL SELECT i.*, b.* FROM instant i, loyalty.balance('past', at => i.at, program => i.zone) b LIMIT 5$$, 'which changes nothing in the past');
SELECT is_empty($$
	SELECT e.seq, p.time_zone, e.occurred_at, l.ends FROM loyalty.entry e JOIN loyalty.program p USING (program_id), loyalty.lots(e.lots) l
	WHERE e.kind = 'expire' AND ((e.occurred_at AT TIME ZONE p.time_zone)::date <= l.ends OR ((e.occurred_at - interval '1 microsecond') AT TIME ZONE p.time_zone)::date > l.ends) ORDER BY 2, 1 LIMIT 5
$$, 'they fell due at the first instant after their last day');
SELECT is_empty($$SELECT z.name FROM zone z, loyalty.balance('past', program => z.name) a, loyalty.balance('past', at => now(), program => z.name) b WHERE a IS DISTINCT FROM b OR a.available::numeric <> 1$$, 'now is now, asked for or not');

-- What is there at a time is the sum of the lots there, and of the statement up to it
SELECT is_empty($$
	SELECT i.zone, i.at FROM instant i, loyalty.balance('past', at => i.at, program => i.zone) b
	WHERE b.available::numeric <> (SELECT coalesce(sum(l.points::numeric), 0) FROM loyalty.lots('past', at => i.at, program => i.zone) l) LIMIT 5
$$, 'lots add up to the balance');
SELECT is_empty($$
	SELECT i.zone, i.at FROM instant i, loyalty.balance('past', at => i.at, program => i.zone) b
	WHERE b.available::numeric <> (SELECT coalesce(sum(s.points::numeric), 0) FROM loyalty.statement('past', until => i.at + interval '1 microsecond', program => i.zone) s) LIMIT 5
$$, 'and so does the statement, once the ends are written down');
SELECT * FROM finish();
ROLLBACK;
