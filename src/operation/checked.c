/*
 * checked.c
 *		Arguments of reports, which are SQL and so could not say what is wrong.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_checked);

/* checked(value, valid, name, wanted) → value; 22023 unless it is valid */
Datum
loyalty_checked(PG_FUNCTION_ARGS)
{
	text	   *value = text_argument(fcinfo, 0);
	text	   *name = text_argument(fcinfo, 2);
	text	   *wanted = text_argument(fcinfo, 3);

	if (PG_ARGISNULL(1) || !PG_GETARG_BOOL(1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be %s", name == NULL ? "an argument" : text_to_cstring(name),
						wanted == NULL ? "another one" : text_to_cstring(wanted)),
				 value == NULL ? errdetail("It is null.") : errdetail("It is \"%s\".", text_to_cstring(value))));
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(value);
}
