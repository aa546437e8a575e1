/*
 * batch.c
 *		Procedures that commit batch by batch.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "operation/batch.h"

void
batches_begin(FunctionCallInfo fcinfo, Batches *batches)
{
	batches->atomic = !(fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
						!castNode(CallContext, fcinfo->context)->atomic);
	batches->context = AllocSetContextCreate(batches->atomic ? CurrentMemoryContext : PortalContext,
											 "loyalty batches", ALLOCSET_DEFAULT_SIZES);
	SPI_connect_ext(batches->atomic ? 0 : SPI_OPT_NONATOMIC);
	MemoryContextSwitchTo(batches->context);
}

bool
batches_next(Batches *batches)
{
	if (batches->atomic)
		return false;
	SPI_commit();
#if PG_VERSION_NUM < 150000
	SPI_start_transaction();
#endif
	EnsurePortalSnapshotExists();
	MemoryContextSwitchTo(batches->context);
	return true;
}

void
batches_end(Batches *batches)
{
	SPI_finish();
	MemoryContextDelete(batches->context);
}

int
batch_size_argument(FunctionCallInfo fcinfo, int argno, int default_size)
{
	int			size = PG_ARGISNULL(argno) ? default_size : PG_GETARG_INT32(argno);

	if (size <= 0 || size > 1000000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("batch_size must be between 1 and 1000000")));
	return size;
}
