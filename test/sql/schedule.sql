--
-- schedule: without pg_cron the way to it is told
--
-- With it: test/t/cron.pl.
SELECT loyalty.schedule_maintenance('0 * * * *');
SELECT loyalty.unschedule_maintenance();
SELECT loyalty.schedule_maintenance(NULL);
SELECT loyalty.schedule_maintenance('0 * * * *', 'schedule_nowhere');
-- who has one in a schema of its name is not fooled
CREATE SCHEMA cron;
CREATE FUNCTION cron.schedule(text, text, text) RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint';
SELECT loyalty.schedule_maintenance('0 * * * *');
DROP SCHEMA cron CASCADE;
