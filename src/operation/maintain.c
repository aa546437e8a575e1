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
#include "ledger/access.h"
#include "loyalty.h"
#include "operation/backorder.h"
#include "operation/batch.h"
#include "operation/chosen.h"
#include "operation/due.h"
#include "operation/lapse.h"
#include "operation/retention.h"
#include "operation/rollup.h"
#include "operation/silence.h"

PG_FUNCTION_INFO_V1(loyalty_maintain);

/* Try deferred purchases again, each once: those tried since the run began are left. */
static void
retry_deferred(Batches *batches, int32 program_id, TimestampTz now, int batch_size)
{
	MemoryContext batch_context = AllocSetContextCreate(batches->context, "loyalty batch", ALLOCSET_DEFAULT_SIZES);
	int64		succeeded = 0;
	int64		tried = 0;

	for (;;)
	{
		Config	   *config;
		int			batch;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(batch_context);
		config = config_get();
		give_way();
		batch = deferred_retry(config,
							   config_program_still(config, program_id),
							   now, batch_size, &succeeded);
		tried += batch;
		MemoryContextSwitchTo(batches->context);
		MemoryContextReset(batch_context);
		if (batch == 0 || !batches_next(batches))
			break;
	}
	MemoryContextDelete(batch_context);
	if (tried > 0)
		ereport(NOTICE,
				(errmsg("tried %lld deferred purchases again, %lld succeeded",
						(long long) tried, (long long) succeeded)));
}

/* The numbers of the programs that are meant: one, or all that the caller may maintain. */
static List *
wanted_programs(const text *program_name)
{
	Config	   *config = config_get();
	List	   *programs = program_name == NULL ? access_programs(config, ACCESS_OPERATE) : NIL;

	/* For whoever may maintain none it says so. */
	if (programs == NIL && (program_name != NULL || !access_is_owner(config)))
		programs = list_make1_int(access_program(config, program_name, ACCESS_OPERATE)->program_id);
	return programs;
}

/* maintain(at, program, batch_size) */
Datum
loyalty_maintain(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz at = PG_ARGISNULL(0) ? now : PG_GETARG_TIMESTAMPTZ(0);
	int			batch_size = batch_size_argument(fcinfo, 2, 1000);
	text	   *program_name = text_argument(fcinfo, 1);
	List	   *programs;
	Batches		batches;
	ListCell   *cell;

	if (TIMESTAMP_NOT_FINITE(at) || at > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must not be in the future")));

	batches_begin(fcinfo, &batches);
	if (program_name != NULL)
		program_name = (text *) PG_DETOAST_DATUM_COPY(PointerGetDatum(program_name));
	programs = wanted_programs(program_name);
	foreach(cell, programs)
	{
		retry_deferred(&batches, lfirst_int(cell), now, batch_size);
		if (lapse_write(&batches, lfirst_int(cell), at, batch_size))
			(void) batches_next(&batches);
		if (silence_write(&batches, lfirst_int(cell), at, batch_size))
			(void) batches_next(&batches);
		due_write(&batches, lfirst_int(cell), at, batch_size);
		if (backorders_serve(&batches, lfirst_int(cell), at, batch_size))
			(void) batches_next(&batches);
		if (chosen_redeem(&batches, lfirst_int(cell), at, batch_size))
			(void) batches_next(&batches);
		if (retention_forget(&batches, lfirst_int(cell), at, batch_size))
			(void) batches_next(&batches);
		if (lnext(programs, cell) != NULL)
			(void) batches_next(&batches);
	}
	rollups_advance(&batches, programs);
	batches_end(&batches);
	PG_RETURN_VOID();
}
