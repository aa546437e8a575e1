--
-- schedule: maintenance by the clock, through pg_cron
--

CREATE FUNCTION loyalty.schedule_maintenance(cron text, program text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_schedule_maintenance' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.schedule_maintenance(text, text) IS 'lets pg_cron call maintain, of one program or of all, as the caller; returns the number of the job, and replaces one made before';
CREATE FUNCTION loyalty.unschedule_maintenance() RETURNS bigint
	AS 'MODULE_PATHNAME', 'loyalty_unschedule_maintenance' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.unschedule_maintenance() IS 'removes the caller''s jobs that schedule_maintenance made, and returns how many there were';
