/*
 * verify_rows.c
 *		Violations that a query finds.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "operation/verify.h"

void
verify_rows(Verification *verification, const char *sql)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {(Datum) 0};
	char		nulls[1] = {verification->only == NULL ? 'n' : ' '};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row_context = AllocSetContextCreate(caller, "loyalty violation", ALLOCSET_DEFAULT_SIZES);
	Cursor		rows;

	if (verification->only != NULL)
		values[0] = CStringGetTextDatum(verification->only->name);
	cursor_open(&rows, InvalidOid, sql, 1, types, values, nulls);
	MemoryContextSwitchTo(row_context);
	while (cursor_next(&rows))
	{
		const char *texts[6];
		Violation	violation = {0};
		int			i;

		MemoryContextReset(row_context);
		for (i = 0; i < lengthof(texts); i++)
			texts[i] = rows.nulls[i] ? NULL : TextDatumGetCString(rows.values[i]);
		violation.invariant = texts[0];
		violation.program = texts[1];
		violation.member = texts[2];
		violation.problem = texts[3];
		violation.expected = texts[4];
		violation.actual = texts[5];
		verify_report(verification, &violation);
	}
	MemoryContextSwitchTo(caller);
	cursor_close(&rows);
	MemoryContextDelete(row_context);
}
