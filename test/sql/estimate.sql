--
-- estimate: what is expected of points, kept with its date
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('estimate_beans', 'Pacific/Auckland'), ('estimate_tea', 'UTC');
SELECT program_id AS beans FROM loyalty.program WHERE name = 'estimate_beans' \gset
SET loyalty.program = 'estimate_beans';

-- Where nobody has estimated, all points are expected to be redeemed, and nothing says what one is worth.
SELECT kind, from_day, until_day, value, note FROM loyalty.estimates();

-- What the program says it is worth counts from the day of the change; before the first, that first one.
UPDATE loyalty.program SET point_value = 0.01 WHERE name = 'estimate_beans';
SELECT kind, from_day, until_day, value, note FROM loyalty.estimates();
UPDATE loyalty.program SET point_value = 0.02 WHERE name = 'estimate_beans';
SELECT kind, from_day, from_day = (now() AT TIME ZONE 'Pacific/Auckland')::date AS today, value, made_by = current_user AS by_me
FROM loyalty.estimates() WHERE kind = 'point_value' AND from_day > '-infinity';

-- An estimate holds from its day on until the next one; of two for a day the later one.
SELECT loyalty.set_estimate('redemption_rate', 0.9, '2024-01-01', 'two years of orders');
SELECT loyalty.set_estimate('redemption_rate', 0.8, '2025-01-01');
SELECT loyalty.set_estimate('redemption_rate', 0.85, '2024-01-01', 'counted again');
SELECT loyalty.set_estimate('point_value', 0.015, '-infinity');
SELECT loyalty.set_estimate('point_cost', 0, '2024-01-01');
SELECT kind, from_day, until_day, value, note FROM loyalty.estimates();
SELECT pg_sleep(0.01), now() AS closed \gset
SELECT loyalty.set_estimate('redemption_rate', 0.7, '2024-01-01');
SELECT loyalty.set_estimate('redemption_rate', 1);
SELECT kind, from_day, value FROM loyalty.estimates() WHERE kind = 'redemption_rate' AND from_day < '2026-01-01';
SELECT kind, from_day, value FROM loyalty.estimates(:'closed') WHERE kind = 'redemption_rate';
SELECT kind, from_day, value FROM loyalty.estimates('2000-01-01');
SELECT count(*), count(*) FILTER (WHERE from_day = (now() AT TIME ZONE 'Pacific/Auckland')::date) AS today, bool_and(made_by = current_user) AS mine FROM loyalty.estimate WHERE program_id = :beans;
SELECT what, name, operation FROM loyalty.config_history WHERE program = 'estimate_beans' AND what = 'estimate' LIMIT 1;

-- What makes no sense
SELECT loyalty.set_estimate('breakage', 0.1);
SELECT loyalty.set_estimate('redemption_rate', 1.1);
SELECT loyalty.set_estimate('redemption_rate', 'NaN');
SELECT loyalty.set_estimate('redemption_rate', -0.1);
SELECT loyalty.set_estimate('point_value', 0);
SELECT loyalty.set_estimate('point_value', 'Infinity');
SELECT loyalty.set_estimate('point_cost', -1);
SELECT loyalty.set_estimate('point_cost', 1, 'infinity');
SELECT loyalty.set_estimate(NULL, 1);
SELECT loyalty.set_estimate('point_cost', NULL);
SELECT loyalty.set_estimate('point_cost', 1, program => 'nobody''s');
SELECT count(*) FROM loyalty.estimates(program => 'nobody''s');

-- Never changed, not by the owner either
UPDATE loyalty.estimate SET value = 0.5;
DELETE FROM loyalty.estimate;
TRUNCATE loyalty.estimate;

-- Who manages the program makes them, who reads it sees them.
CREATE ROLE regress_estimate_manager;
CREATE ROLE regress_estimate_reader;
SELECT loyalty.grant_access('regress_estimate_manager', 'manage', 'estimate_tea'), loyalty.grant_access('regress_estimate_reader', 'read', 'estimate_tea');
RESET loyalty.program;
SET ROLE regress_estimate_manager;
SELECT loyalty.set_estimate('point_cost', 0.004, '2024-01-01');
SELECT loyalty.set_estimate('point_cost', 0.004, '2024-01-01', program => 'estimate_beans');
INSERT INTO loyalty.estimate (program_id, kind, from_day, value, made_by) VALUES (1, 'point_cost', '2024-01-01', 1, 'me');
SET ROLE regress_estimate_reader;
SELECT kind, from_day, value, made_by FROM loyalty.estimates();
SELECT kind, value FROM loyalty.estimate;
SELECT loyalty.set_estimate('point_cost', 0.004, '2024-01-01');
SELECT count(*) FROM loyalty.estimates(program => 'estimate_beans');
RESET ROLE;
SELECT loyalty.revoke_access('regress_estimate_manager', 'manage', 'estimate_tea'), loyalty.revoke_access('regress_estimate_reader', 'read', 'estimate_tea');
DROP ROLE regress_estimate_manager, regress_estimate_reader;
