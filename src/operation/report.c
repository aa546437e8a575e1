/*
 * report.c
 *		Arguments of reports.
 *
 * Reports are SQL, which could not say what is wrong with an argument; and what
 * "program" means they leave to the engine, with the default and the errors that
 * all functions have.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "ledger/access.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_report_program);
PG_FUNCTION_INFO_V1(loyalty_report_period);
PG_FUNCTION_INFO_V1(loyalty_report_choice);
PG_FUNCTION_INFO_V1(loyalty_report_day);
PG_FUNCTION_INFO_V1(loyalty_report_number);

static const char *const periods[] = {"day", "week", "month", "quarter", "year"};

/* report_program(program) → program_id */
Datum
loyalty_report_program(PG_FUNCTION_ARGS)
{
	Program    *program = access_program(config_get(), text_argument(fcinfo, 0), ACCESS_READ);

	PG_RETURN_INT32(program->program_id);
}

static void
add_choice(StringInfo possible, const char *choice)
{
	appendStringInfo(possible, "%s%s", possible->len > 0 ? ", " : "", choice);
}

pg_attribute_noreturn()
static void
no_choice(const char *argument, const char *value, const char *possible)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for argument \"%s\": \"%s\"", argument, value),
			 errhint("It can be: %s.", possible)));
}

/* report_period(period) → period, month for NULL */
Datum
loyalty_report_period(PG_FUNCTION_ARGS)
{
	StringInfoData possible;
	char	   *period;
	int			i;

	if (PG_ARGISNULL(0))
		PG_RETURN_TEXT_P(cstring_to_text("month"));
	period = text_to_cstring(PG_GETARG_TEXT_PP(0));
	initStringInfo(&possible);
	for (i = 0; i < lengthof(periods); i++)
	{
		if (strcmp(period, periods[i]) == 0)
			PG_RETURN_DATUM(PG_GETARG_DATUM(0));
		add_choice(&possible, periods[i]);
	}
	no_choice("period", period, possible.data);
}

/* report_choice(argument, value, choices) → value; NULL is none of them */
Datum
loyalty_report_choice(PG_FUNCTION_ARGS)
{
	StringInfoData possible;
	char	   *argument;
	char	   *value;
	Datum	   *choices;
	bool	   *nulls;
	int			count;
	int			i;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	argument = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be NULL", argument)));
	value = text_to_cstring(PG_GETARG_TEXT_PP(1));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &choices, &nulls, &count);
	initStringInfo(&possible);
	for (i = 0; i < count; i++)
	{
		char	   *choice;

		if (nulls[i])
			continue;
		choice = TextDatumGetCString(choices[i]);
		if (strcmp(choice, value) == 0)
			PG_RETURN_DATUM(PG_GETARG_DATUM(1));
		add_choice(&possible, choice);
	}
	no_choice(argument, value, possible.data);
}

/*
 * report_day(argument, day) → day
 *
 * Reports look back from a day, and on from it: by so much it must stay within
 * what a time can be.
 */
Datum
loyalty_report_day(PG_FUNCTION_ARGS)
{
	const DateADT century = 36525;
	DateADT		day;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	day = PG_GETARG_DATEADT(1);
	if (DATE_NOT_FINITE(day))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be a finite day", text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	if (day < DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE + century || day > TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE - century)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range", text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	PG_RETURN_DATEADT(day);
}

/* report_number(argument, value, least, most) → value */
Datum
loyalty_report_number(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be NULL", text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	if (PG_GETARG_INT32(1) < PG_GETARG_INT32(2) || PG_GETARG_INT32(1) > PG_GETARG_INT32(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be from %d to %d", text_to_cstring(PG_GETARG_TEXT_PP(0)),
						PG_GETARG_INT32(2), PG_GETARG_INT32(3)),
				 errdetail("It is %d.", PG_GETARG_INT32(1))));
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}
