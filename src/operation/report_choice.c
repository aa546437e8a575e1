/*
 * report_choice.c
 *		Arguments of reports that can only be one of some words.
 *
 * A report in plain SQL cannot raise an error that says what was meant.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_report_choice);

Datum
loyalty_report_choice(PG_FUNCTION_ARGS)
{
	StringInfoData possible;
	char	   *argument;
	char	   *value;
	Datum	   *choices;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	argument = text_to_cstring(PG_GETARG_TEXT_PP(0));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &choices, &nulls, &count);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be NULL", argument)));
	value = text_to_cstring(PG_GETARG_TEXT_PP(1));

	initStringInfo(&possible);
	for (int i = 0; i < count; i++)
	{
		char	   *choice;

		if (nulls[i])
			continue;
		choice = TextDatumGetCString(choices[i]);
		if (strcmp(choice, value) == 0)
			PG_RETURN_DATUM(PG_GETARG_DATUM(1));
		appendStringInfo(&possible, "%s%s", possible.len > 0 ? ", " : "", choice);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no %s \"%s\"", argument, value),
			 errhint("It can be: %s.", possible.data)));
}
