/*
 * schedule.c
 *		Maintenance by the clock, through pg_cron.
 *
 * pg_cron is an extension of one database of a server, the one that
 * cron.database_name names; from another one its functions cannot be called,
 * so all that can be done there is to say what is to be called where.
 *
 * Everything runs with the caller's rights: the job is his, and pg_cron decides
 * whether he may have one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "ledger/access.h"
#include "ledger/config.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_schedule_maintenance);
PG_FUNCTION_INFO_V1(loyalty_unschedule_maintenance);

#define JOB_NAME "loyalty maintenance"

/* The way out for who has no pg_cron here. */
static char *
way_out(const char *cron, const char *command)
{
	const char *home = GetConfigOption("cron.database_name", true, false);
	const char *here = get_database_name(MyDatabaseId);

	if (home == NULL)
		return pstrdup("Install pg_cron, add it to shared_preload_libraries, restart, "
					   "and CREATE EXTENSION pg_cron in the database that cron.database_name names.");
	if (here != NULL && strcmp(home, here) == 0)
		return pstrdup("CREATE EXTENSION pg_cron.");
	return psprintf("pg_cron is at home in database \"%s\". Call there: SELECT cron.schedule_in_database(%s, %s, %s, %s);",
					home, quote_literal_cstr(JOB_NAME),
					quote_literal_cstr(cron), quote_literal_cstr(command), quote_literal_cstr(here));
}

static void
check_installed(const char *cron, const char *command)
{
	if (!OidIsValid(get_extension_oid("pg_cron", true)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pg_cron\" is not installed in this database"),
				 errhint("%s", way_out(cron, command))));
}

/* Run a command that answers with one bigint. */
static int64
call_cron(const char *sql, int nargs, Datum *values)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	bool		isnull;
	int64		answer;

	SPI_connect();
	if (SPI_execute_with_args(sql, nargs, types, values, NULL, false, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "pg_cron gave no answer");
	answer = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return answer;
}

/* schedule_maintenance(cron, program) → the job's number */
Datum
loyalty_schedule_maintenance(PG_FUNCTION_ARGS)
{
	Datum		values[3];
	char	   *cron;
	char	   *command = "CALL loyalty.maintain()";
	char	   *name = JOB_NAME;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("cron must not be null"),
				 errhint("For instance '7 * * * *', seven minutes past each hour.")));
	cron = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1))
	{
		Program    *program = access_program(config_get(), PG_GETARG_TEXT_PP(1), ACCESS_OPERATE);

		command = psprintf("CALL loyalty.maintain(program => %s)", quote_literal_cstr(program->name));
		/* By number: names of jobs are cut off. */
		name = psprintf(JOB_NAME " of program %d", program->program_id);
	}
	check_installed(cron, command);
	values[0] = CStringGetTextDatum(name);
	values[1] = PG_GETARG_DATUM(0);
	values[2] = CStringGetTextDatum(command);
	PG_RETURN_INT64(call_cron("SELECT cron.schedule($1, $2, $3)", 3, values));
}

/* unschedule_maintenance() → how many jobs there were */
Datum
loyalty_unschedule_maintenance(PG_FUNCTION_ARGS)
{
	Datum		values[1] = {CStringGetTextDatum(JOB_NAME)};

	check_installed("* * * * *", "CALL loyalty.maintain()");
	PG_RETURN_INT64(call_cron("SELECT pg_catalog.count(cron.unschedule(j.jobid)) FROM cron.job j"
							  " WHERE j.username OPERATOR(pg_catalog.=) current_user"
							  " AND pg_catalog.starts_with(j.jobname::pg_catalog.text, $1)"
							  " AND j.database OPERATOR(pg_catalog.=) pg_catalog.current_database()",
							  1, values));
}
