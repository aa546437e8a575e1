/*
 * attempt.c
 *		Trying something that must not stop the till.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "earning/attempt.h"
#include "errors.h"

/* Data, constraints, names and types, raised exceptions, and our own errors. */
static bool
is_deferrable(int code)
{
	int			category = ERRCODE_TO_CATEGORY(code);

	return category == MAKE_SQLSTATE('2', '2', '0', '0', '0') ||
		category == MAKE_SQLSTATE('2', '3', '0', '0', '0') ||
		category == MAKE_SQLSTATE('4', '2', '0', '0', '0') ||
		category == MAKE_SQLSTATE('P', '0', '0', '0', '0') ||
		category == MAKE_SQLSTATE('L', 'Y', '0', '0', '0');
}

ErrorData *
attempt(void (*work) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (error != NULL && !is_deferrable(error->sqlerrcode))
		ReThrowError(error);
	return error;
}
