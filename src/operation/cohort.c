/*
 * cohort.c
 *		Keeping what became of points by the month of their issue.
 *
 * The view point_cohorts goes through what every member did in every month.  Its
 * rows are few: they are kept as they were, and replaced as a whole.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "ledger/access.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_keep_cohorts);

/* Run a command on the rows of a program; returns how many it wrote. */
static uint64
run(const char *sql, int expected, int32 program_id)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(program_id)};

	if (SPI_execute_with_args(sql, 1, types, values, NULL, false, 0) != expected)
		elog(ERROR, "could not execute \"%s\"", sql);
	return SPI_processed;
}

/* keep_cohorts(keep, program) → bigint */
Datum
loyalty_keep_cohorts(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Program    *program = access_program(config, text_argument(fcinfo, 1), ACCESS_OPERATE);
	uint64		kept = 0;
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();

	/* Who comes second replaces what the first one kept; readers do not wait. */
	if (SPI_execute("LOCK TABLE loyalty.kept_cohort IN SHARE ROW EXCLUSIVE MODE", false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not lock the kept cohorts");
	run("DELETE FROM loyalty.kept_cohort WHERE program_id = $1", SPI_OK_DELETE, program->program_id);
	if (PG_ARGISNULL(0) || PG_GETARG_BOOL(0))
		kept = run("INSERT INTO loyalty.kept_cohort (program_id, cohort, month, issued, redeemed, expired, kept_at)"
				   " SELECT c.program_id, coalesce(c.cohort, 'infinity'), coalesce(c.month, 'infinity'),"
				   " c.issued, c.redeemed, c.expired, now()"
				   " FROM loyalty.point_cohorts c WHERE c.program_id = $1",
				   SPI_OK_INSERT, program->program_id);
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_INT64((int64) kept);
}
