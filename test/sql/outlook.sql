--
-- outlook: tiers as a member sees them
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(detail, ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name, time_zone, tier_window, tier_validity, tier_grace, tier_match, tier_downgrade) VALUES
	('outlook_year', 'Asia/Tokyo', 'calendar year', '12 months end of year', '31 days', 'any', 'earned'), ('outlook_roll', 'UTC', 'rolling 30 days', NULL, '0', 'all', 'one'),
	('outlook_grace', 'UTC', 'rolling 30 days', NULL, '10 days', 'any', 'earned'), ('outlook_end', 'UTC', 'calendar year', 'end of year', '0', 'any', 'earned'),
	('outlook_life', 'UTC', 'lifetime', NULL, '0', 'any', 'earned'), ('outlook_stay', 'UTC', 'rolling 1 day', NULL, '0', 'any', 'none'), ('outlook_bare', 'UTC', 'lifetime', NULL, '0', 'any', 'earned');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('outlook_strict', false);
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program WHERE name ~ '^outlook_';
INSERT INTO loyalty.tier (program, name, rank, min_amount, min_points, min_purchases, keep_amount, keep_purchases)
SELECT p, t, r, a, CASE WHEN p = 'outlook_roll' AND r > 1 THEN a END, CASE WHEN p = 'outlook_year' THEN r * 3 END, CASE WHEN p = 'outlook_roll' THEN a - 50 END, CASE WHEN p = 'outlook_roll' AND r > 1 THEN 2 END
FROM unnest('{outlook_year,outlook_roll,outlook_grace,outlook_end,outlook_life,outlook_stay}'::text[]) p, (VALUES ('base', 0, 0), ('silver', 10, 100), ('gold', 20, 200)) t (t, r, a) WHERE r > 0 OR p IN ('outlook_year', 'outlook_life');
INSERT INTO loyalty.tier (program, name, rank) VALUES ('outlook_life', 'friend', 15), ('outlook_life', 'founder', 30);
CREATE TABLE outlook_order (id serial PRIMARY KEY, program text, customer text, total numeric, at timestamptz);
SELECT count(loyalty.attach('outlook_order', member => 'customer', amount => 'total', at => 'at', counts => format('program = %L', name), program => name)) FROM loyalty.program WHERE name ~ '^outlook_';
-- the tier at many times; what counts; what is missing to keep it and for the next one
CREATE FUNCTION pg_temp.have(member text, program text, VARIADIC times text[])
RETURNS TABLE (at text, tier text, rank int, since timestamptz, until date, projected text, floor text, floor_until date) LANGUAGE sql AS $$
	SELECT t.at, o.tier, o.rank, o.since, o.until, o.projected, o.floor, o.floor_until FROM unnest(times) WITH ORDINALITY AS t(at, n), loyalty.tier_outlook($1, at => t.at::timestamptz, program => $2) o ORDER BY t.n
$$;
CREATE FUNCTION pg_temp.miss(member text, program text, VARIADIC times text[])
RETURNS TABLE (at text, counts text, keep text, keep_by date, next_tier text, next text) LANGUAGE sql AS $$
	SELECT t.at, concat_ws('/', o.amount, o.points, o.purchases), concat_ws('/', coalesce(o.keep_amount::text, '-'), coalesce(o.keep_points::text, '-'), coalesce(o.keep_purchases::text, '-')), o.keep_by,
		   o.next_tier, concat_ws('/', coalesce(o.next_amount::text, '-'), coalesce(o.next_points::text, '-'), coalesce(o.next_purchases::text, '-'))
	FROM unnest(times) WITH ORDINALITY AS t(at, n), loyalty.tier_outlook($1, at => t.at::timestamptz, program => $2) o ORDER BY t.n
$$;

-- A member nobody knows is nobody where he would become one: everyone's tier, all missing; elsewhere it is an error
SELECT tier, rank, since, until, projected, amount, points, purchases, match, keep_amount, keep_by, next_tier, next_amount, next_purchases FROM loyalty.tier_outlook('nobody', program => 'outlook_year');
SELECT tier, window_start, window_end, amount, next_tier FROM loyalty.tier_outlook(7::bigint, at => '2024-05-05', program => 'outlook_roll');
SELECT tier, window_start, window_end, amount, next_tier FROM loyalty.tier_outlook(7, program => 'outlook_bare');
SELECT * FROM loyalty.tier_progress('nobody', program => 'outlook_year');
SELECT * FROM loyalty.tier_progress(7, program => 'outlook_bare');
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$SELECT loyalty.tier_outlook('nobody', program => 'outlook_strict')$$, $$SELECT loyalty.tier_progress(7::bigint, program => 'outlook_strict')$$,
	$$SELECT loyalty.tier_outlook(NULL::text)$$, $$SELECT loyalty.tier_outlook('nobody', at => 'infinity', program => 'outlook_year')$$, $$SELECT loyalty.tier_progress('nobody', at => '-infinity', program => 'outlook_year')$$]) AS command;
SELECT count(*) AS nobody_was_enrolled FROM loyalty.member WHERE ref IN ('nobody', '7') AND program_id IN (SELECT program_id FROM loyalty.program WHERE name ~ '^outlook_');

-- A validity to the end of the next year, then grace: judged by the year of its last day; any figure is enough; days are Tokyo's
INSERT INTO outlook_order (program, customer, total, at) VALUES ('outlook_year', 'outlook_ann', 120.5, '2022-03-01 12:00Z'), ('outlook_year', 'outlook_ann', 30, '2022-11-30 15:00Z'), ('outlook_year', 'outlook_ann', 60, '2023-06-01 00:00Z');
SELECT * FROM pg_temp.have('outlook_ann', 'outlook_year', '2022-02-01', '2022-03-01 12:00Z', '2022-12-15', '2023-12-31 14:59:59Z', '2023-12-31 15:00Z');
SELECT * FROM pg_temp.miss('outlook_ann', 'outlook_year', '2022-02-01', '2022-03-01 12:00Z', '2022-12-15', '2023-07-01', '2023-12-31 14:59:59Z', '2023-12-31 15:00Z', '2024-01-30');
-- enough: kept for another period
INSERT INTO outlook_order (program, customer, total, at) VALUES ('outlook_year', 'outlook_ann', 40, '2023-07-02 00:00Z');
SELECT * FROM pg_temp.have('outlook_ann', 'outlook_year', '2023-07-02');
SELECT * FROM pg_temp.miss('outlook_ann', 'outlook_year', '2023-07-02');
-- a review that is due is taken for granted: nothing of it is written
SELECT * FROM pg_temp.have('outlook_ann', 'outlook_year', '2024-01-01');
SELECT tier, tier_until, tier_changes FROM loyalty.member WHERE ref = 'outlook_ann';
CALL loyalty.maintain('2024-01-02', program => 'outlook_year');
SELECT change_no, at, from_tier, to_tier, until, reason FROM loyalty.tier_change c JOIN loyalty.member m USING (member_id) WHERE m.ref = 'outlook_ann' ORDER BY 1;
CALL loyalty.maintain('2025-02-02', program => 'outlook_year');
SELECT tier, tier_since FROM loyalty.member WHERE ref = 'outlook_ann';
-- and the past reads as it did
SELECT * FROM pg_temp.have('outlook_ann', 'outlook_year', '2022-02-01', '2022-12-15', '2023-07-02', '2024-01-02', '2024-06-01', '2025-02-02');
SELECT * FROM pg_temp.miss('outlook_ann', 'outlook_year', '2022-12-15', '2023-07-02', '2024-01-02', '2024-12-30', '2025-01-15', '2025-02-02');

-- A validity that gains nothing from its last day: judged by the first day of the new year
INSERT INTO outlook_order (program, customer, total, at) VALUES ('outlook_end', 'outlook_eve', 150, '2022-03-01');
SELECT * FROM pg_temp.have('outlook_eve', 'outlook_end', '2022-06-01');
SELECT * FROM pg_temp.miss('outlook_eve', 'outlook_end', '2022-06-01');

-- No validity: as long as the window gives it; all figures are asked; one tier down
INSERT INTO outlook_order (program, customer, total, at) VALUES ('outlook_roll', 'outlook_bob', 150, '2023-01-01'), ('outlook_roll', 'outlook_bob', 60, '2023-01-11'), ('outlook_roll', 'outlook_bob', 10, '2023-01-21');
SELECT * FROM pg_temp.have('outlook_bob', 'outlook_roll', '2023-01-01', '2023-01-11', '2023-01-21', '2023-01-30');
SELECT * FROM pg_temp.miss('outlook_bob', 'outlook_roll', '2023-01-01', '2023-01-11', '2023-01-21', '2023-01-30');
SELECT * FROM loyalty.tier_progress('outlook_bob', at => '2023-01-21', program => 'outlook_roll');
SELECT * FROM loyalty.tier_progress('outlook_bob', at => '2023-02-10', program => 'outlook_roll');
-- with grace; asked in the grace, too
INSERT INTO outlook_order (program, customer, total, at) VALUES ('outlook_grace', 'outlook_gil', 150, '2023-01-01'), ('outlook_grace', 'outlook_gil', 60, '2023-01-21');
SELECT * FROM pg_temp.have('outlook_gil', 'outlook_grace', '2023-01-21', '2023-01-31', '2023-02-03');
SELECT * FROM pg_temp.miss('outlook_gil', 'outlook_grace', '2023-01-21', '2023-01-31', '2023-02-03');
-- overdue
SELECT * FROM pg_temp.have('outlook_gil', 'outlook_grace', '2023-03-01');
SELECT * FROM pg_temp.miss('outlook_gil', 'outlook_grace', '2023-03-01');
-- nobody falls
INSERT INTO outlook_order (program, customer, total, at) VALUES ('outlook_stay', 'outlook_sam', 150, '2023-01-01');
SELECT * FROM pg_temp.have('outlook_sam', 'outlook_stay', '2023-01-01', 'now');
SELECT * FROM pg_temp.miss('outlook_sam', 'outlook_stay', '2023-01-01', 'now');

-- What is dated ahead ends a tier by a higher one, and is there at a future time
INSERT INTO outlook_order (program, customer, total, at) VALUES ('outlook_roll', 'outlook_fay', 250, '2990-01-01 12:00'), ('outlook_roll', 'outlook_fay', 1, '2990-01-02 12:00');
SELECT * FROM pg_temp.have('outlook_fay', 'outlook_roll', 'now', '2989-12-31', '2990-01-01 00:00', '2990-01-31', '2990-02-01', '2991-01-01');
SELECT * FROM pg_temp.miss('outlook_fay', 'outlook_roll', 'now', '2990-01-02', '2990-01-31');

-- A lifetime has no window, and what was reached stays; returns do not change that by themselves
INSERT INTO outlook_order (program, customer, total, at) VALUES ('outlook_life', 'outlook_lea', 150, '2023-01-01'), ('outlook_life', 'outlook_lea', 100, '2024-01-01');
SELECT tier, until, projected, window_start, window_end, amount, purchases, keep_amount, keep_by, next_tier FROM loyalty.tier_outlook('outlook_lea', program => 'outlook_life');
SELECT at, counts, next_tier, next FROM pg_temp.miss('outlook_lea', 'outlook_life', '2022-12-31', '2023-06-01', '2024-01-01');
UPDATE outlook_order SET total = 20 WHERE customer = 'outlook_lea' AND at = '2024-01-01';
SELECT tier, until >= current_date AS today, projected, amount, keep_amount, next_tier FROM loyalty.tier_outlook('outlook_lea', program => 'outlook_life');
SELECT * FROM loyalty.tier_progress('outlook_lea', program => 'outlook_life');

-- A floor: until its end, what is missing is what reaches the tier; one above it does not show
BEGIN;
SET session_replication_role = replica;
UPDATE loyalty.member SET tier = 'gold', tier_own = 'silver', tier_floor = 'gold', tier_floor_until = '2990-06-30' WHERE ref = 'outlook_lea';
RESET session_replication_role;
SELECT tier, until, projected, floor, floor_until, keep_amount, keep_by, next_tier FROM loyalty.tier_outlook('outlook_lea', program => 'outlook_life');
SET session_replication_role = replica;
UPDATE loyalty.member SET tier = 'founder', tier_own = 'silver', tier_floor = 'founder', tier_floor_until = NULL WHERE ref = 'outlook_lea';
RESET session_replication_role;
SELECT tier, until, projected, floor, floor_until, keep_amount, keep_by, next_tier FROM loyalty.tier_outlook('outlook_lea', program => 'outlook_life');
SET session_replication_role = replica;
UPDATE loyalty.member SET tier = 'silver', tier_own = 'silver', tier_floor = 'base', tier_floor_until = '2990-06-30' WHERE ref = 'outlook_lea';
RESET session_replication_role;
SELECT tier, projected, floor, floor_until, keep_amount, next_tier FROM loyalty.tier_outlook('outlook_lea', program => 'outlook_life');
ROLLBACK;

-- Nothing is written, nor a member locked
BEGIN READ ONLY;
SELECT tier FROM loyalty.tier_outlook('outlook_ann', program => 'outlook_year');
SELECT count(*) FROM loyalty.tier_progress('outlook_ann', program => 'outlook_year');
COMMIT;
SELECT count(loyalty.detach('outlook_order', program => name)) FROM loyalty.program WHERE name ~ '^outlook_';
DROP TABLE outlook_order;
