/*
 * report.c
 *		Which program a report is about.
 *
 * Reports are SQL; what they need of the engine is its reading of the argument
 * "program", with the default and the errors that all functions have.
 */
#include "postgres.h"

#include "ledger/access.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_report_program);

Datum
loyalty_report_program(PG_FUNCTION_ARGS)
{
	Program    *program = access_program(config_get(), text_argument(fcinfo, 0), ACCESS_READ);

	PG_RETURN_INT32(program->program_id);
}
