/*
 * estimate.c
 *		What is expected of a program's points, for its accounts.
 *
 * An estimate is never changed: a later one is another row, so that a period
 * that has been closed can be worked out again by what was known then.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_set_estimate);

/* Arguments, in order. */
enum
{
	ARG_KIND, ARG_VALUE, ARG_FROM_DAY, ARG_NOTE, ARG_PROGRAM
};

/* How the value compares with a whole number. */
static int
compare(Numeric value, int64 with)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(value),
											 NumericGetDatum(int64_to_numeric(with))));
}

/* The estimate is of a kind that there is, and within its range. */
static void
check_value(const char *kind, Numeric value)
{
	const char *range;
	bool		valid;

	if (strcmp(kind, "redemption_rate") == 0)
	{
		range = "It is a share of the points issued, from 0 to 1.";
		valid = !numeric_is_nan(value) && compare(value, 0) >= 0 && compare(value, 1) <= 0;
	}
	else if (strcmp(kind, "point_value") == 0)
	{
		range = "It is an amount of money above zero.";
		valid = !numeric_is_nan(value) && !numeric_is_inf(value) && compare(value, 0) > 0;
	}
	else if (strcmp(kind, "point_cost") == 0)
	{
		range = "It is an amount of money, zero or above.";
		valid = !numeric_is_nan(value) && !numeric_is_inf(value) && compare(value, 0) >= 0;
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no kind of estimate", kind),
				 errhint("Kinds are redemption_rate, point_value and point_cost.")));
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is no possible %s", numeric_normalize(value), kind),
				 errdetail_internal("%s", range)));
}

/* From which day it holds: today where none is given. */
static DateADT
from_day_argument(FunctionCallInfo fcinfo, const Program *program)
{
	DateADT		day;

	if (PG_ARGISNULL(ARG_FROM_DAY))
		return calendar_day(GetCurrentTransactionStartTimestamp(), program->zone);
	day = PG_GETARG_DATEADT(ARG_FROM_DAY);
	if (DATE_IS_NOEND(day))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("from_day must not be infinity"),
				 errhint("-infinity says that it has always held.")));
	return day;
}

/* set_estimate(kind, value, from_day, note, program) */
Datum
loyalty_set_estimate(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Program    *program = access_program(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_MANAGE);
	Oid			types[6] = {INT4OID, TEXTOID, DATEOID, NUMERICOID, TEXTOID, TEXTOID};
	Datum		values[6];
	char		nulls[6];
	EngineScope scope;

	if (PG_ARGISNULL(ARG_KIND) || PG_ARGISNULL(ARG_VALUE))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind and value must not be null")));
	check_value(text_to_cstring(PG_GETARG_TEXT_PP(ARG_KIND)), PG_GETARG_NUMERIC(ARG_VALUE));

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int32GetDatum(program->program_id);
	values[1] = PG_GETARG_DATUM(ARG_KIND);
	values[2] = DateADTGetDatum(from_day_argument(fcinfo, program));
	values[3] = PG_GETARG_DATUM(ARG_VALUE);
	values[4] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	values[5] = PG_GETARG_DATUM(ARG_NOTE);
	nulls[5] = PG_ARGISNULL(ARG_NOTE) ? 'n' : ' ';
	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.estimate (program_id, kind, from_day, value, made_by, note)"
							  " VALUES ($1, $2, $3, $4, $5, $6)",
							  lengthof(types), types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write an estimate");
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_VOID();
}
