/*
 * maintain.c
 *		What time and failures leave to be done.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "earning/deferred.h"
#include "loyalty.h"
#include "operation/batch.h"

PG_FUNCTION_INFO_V1(loyalty_maintain);

/* maintain(at, program, batch_size) */
Datum
loyalty_maintain(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz at = PG_ARGISNULL(0) ? now : PG_GETARG_TIMESTAMPTZ(0);
	int			batch_size = batch_size_argument(fcinfo, 2, 1000);
	text	   *program_name = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	int64		succeeded = 0;
	int64		tried = 0;
	Batches		batches;
	MemoryContext batch_context;

	if (TIMESTAMP_NOT_FINITE(at) || at > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must not be in the future")));

	batches_begin(fcinfo, &batches);
	if (program_name != NULL)
		program_name = (text *) PG_DETOAST_DATUM_COPY(PointerGetDatum(program_name));
	batch_context = AllocSetContextCreate(batches.context, "loyalty batch", ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		Config	   *config;
		int			batch;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(batch_context);
		config = config_get();
		give_way();

		/* Each purchase is tried once a run: those tried since it began are left. */
		batch = deferred_retry(config,
							   program_name == NULL ? NULL : config_program(config, program_name),
							   now, batch_size, &succeeded);
		tried += batch;
		MemoryContextSwitchTo(batches.context);
		MemoryContextReset(batch_context);
		if (batch == 0 || !batches_next(&batches))
			break;
	}
	batches_end(&batches);
	if (tried > 0)
		ereport(NOTICE,
				(errmsg("tried %lld deferred purchases again, %lld succeeded",
						(long long) tried, (long long) succeeded)));
	PG_RETURN_VOID();
}
