/*
 * silence.c
 *		Writing down what silence has decided of points that awaited confirmation.
 *
 * As in due.c: a run lists the members, then takes them batch by batch, each in
 * a transaction.  Whoever is locked is being posted to, which writes down what
 * silence decided of him, or is written by another run: he is skipped.  Once
 * locked he is judged by what awaits then.  So a run that was stopped is simply
 * started again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/confirm.h"
#include "loyalty.h"
#include "operation/member_list.h"
#include "operation/silence.h"
#include "types/calendar.h"

/* Members listed at a time. */
#define FETCH_SIZE 10000

/* A run over one program; outlives the commits. */
typedef struct Run
{
	int32		program_id;
	TimestampTz at;
	int			batch_size;
	MemberList	list;
	int64		decided;
	int64		skipped;
	int64		failed;
} Run;

/* One batch, or a part of it. */
typedef struct Batch
{
	Config	   *config;
	DateADT		day;
	int			count;
	const int64 *member_ids;
	/* out */
	int64		decided;
	int64		skipped;
} Batch;

/* List the members of whom silence has decided something. */
static void
make_list(Run *run)
{
	Config	   *config = config_get();
	const Program *program = config_program_still(config, run->program_id);
	Oid			types[2] = {INT4OID, DATEOID};
	Datum		values[2] = {Int32GetDatum(run->program_id), DateADTGetDatum(calendar_day(run->at, program->zone))};
	EngineScope scope;
	Portal		portal;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, "SELECT DISTINCT member_id FROM loyalty.confirmation"
									   " WHERE program_id = $1 AND due <= $2 AND decision IS NULL"
									   " ORDER BY member_id", 2, types, values, NULL, true, 0);
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		for (i = 0; i < SPI_processed; i++)
		{
			bool		isnull;
			Datum		member_id = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

			member_list_put(&run->list, DatumGetInt64(member_id));
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	SPI_finish();
	engine_leave(&scope);
}

/* Lock the members, and write what silence has decided of them. */
static void
write_members(void *arg)
{
	Batch	   *batch = arg;
	Store	   *store = store_open(batch->config, true);
	Snapshot	snapshot;
	MemberRow  *rows = palloc(sizeof(MemberRow) * batch->count);
	Deciding   *deciding = palloc(sizeof(Deciding) * batch->count);
	int			nrows = members_lock_free(store, batch->member_ids, batch->count, rows, &batch->skipped);
	int			i;


	/* One that misses nothing of what was posted before the locks. */
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		confirm_begin(&deciding[i], batch->config, store, snapshot, &rows[i]);
		confirm_silence(&deciding[i], batch->day);
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	batch->decided = confirm_post(deciding, nrows);
	store_close(store);
}

bool
silence_is_due(Config *config, int32 program_id, DateADT day)
{
	Oid			types[2] = {INT4OID, DATEOID};
	Datum		values[2] = {Int32GetDatum(program_id), DateADTGetDatum(day)};
	EngineScope scope;
	bool		is_due;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT FROM loyalty.confirmation"
						  " WHERE program_id = $1 AND due <= $2 AND decision IS NULL AND on_silence = 'accept' LIMIT 1",
						  2, types, values, NULL, true, 1);
	is_due = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return is_due;
}

/* Say which member failed; he is tried again by the next run. */
static void
report_failure(const Program *program, int64 member_id, const ErrorData *error)
{
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("what silence decided for member_id " INT64_FORMAT " of program \"%s\" is not written down yet: %s",
					member_id, program->name, error->message),
			 error->detail == NULL ? 0 : errdetail_internal("%s", error->detail),
			 errhint("The next CALL loyalty.maintain() tries it again.")));
}

/* Write what can be written: what fails is halved until the member is found. */
static void
work_members(Run *run, const Batch *batch)
{
	Batch		part = *batch;
	ErrorData  *error = attempt_damaged(write_members, &part);

	if (error == NULL)
	{
		run->decided += part.decided;
		run->skipped += part.skipped;
		return;
	}
	if (part.count == 1)
	{
		run->failed++;
		report_failure(config_program_still(part.config, run->program_id), part.member_ids[0], error);
		return;
	}
	part.count = batch->count / 2;
	work_members(run, &part);
	part.member_ids += part.count;
	part.count = batch->count - part.count;
	work_members(run, &part);
}

/* One batch; false when the list is at its end. */
static bool
next_batch(Run *run)
{
	MemoryContext batch_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty batch",
														ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch_context);
	int64	   *member_ids = palloc(sizeof(int64) * run->batch_size);
	int			count = member_list_take(&run->list, member_ids, run->batch_size);

	if (count > 0)
	{
		Config	   *config = config_get();
		Program    *program = config_program_still(config, run->program_id);
		Batch		batch = {config, calendar_day(run->at, program->zone), count, member_ids, 0, 0};

		give_way();
		work_members(run, &batch);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch_context);
	return count > 0;
}

/* List, and work through the list; inside a transaction only through its first batch. */
static void
work_list(Batches *batches, Run *run)
{
	make_list(run);
	while (next_batch(run))
		if (!batches_next(batches))
			break;
	if (run->list.length > 0)
		ereport(NOTICE,
				(errmsg_plural("silence decided on %lld award of program \"%s\"",
							   "silence decided on %lld awards of program \"%s\"", run->decided,
							   (long long) run->decided, config_program_still(config_get(), run->program_id)->name),
				 run->skipped == 0 ? 0
				 : errdetail_plural("%lld member is busy and left to the next run.",
									"%lld members are busy and left to the next run.",
									run->skipped, (long long) run->skipped)));
}

bool
silence_write(Batches *batches, int32 program_id, TimestampTz at, int batch_size)
{
	Run			run = {.program_id = program_id, .at = at, .batch_size = batch_size};

	member_list_begin(&run.list);
	PG_TRY();
	{
		work_list(batches, &run);
	}
	PG_FINALLY();
	{
		member_list_end(&run.list);
	}
	PG_END_TRY();
	return run.list.length > 0;
}
