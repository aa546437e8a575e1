/*
 * member_run.c
 *		A step of maintenance over the members who need it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "earning/attempt.h"
#include "loyalty.h"
#include "operation/member_list.h"
#include "operation/member_run.h"
#include "types/calendar.h"

/* Members listed at a time. */
#define FETCH_SIZE 10000

/* A run over one program; outlives the commits. */
typedef struct Run
{
	const MemberStep *step;
	int32		program_id;
	TimestampTz at;
	int			batch_size;
	MemberList	list;
	int64		done;
	int64		skipped;
} Run;

/* One batch, or a part of it. */
typedef struct Batch
{
	Config	   *config;
	const Run  *run;
	int			count;
	const int64 *member_ids;
	/* out */
	int64		done;
	int64		skipped;
} Batch;

static void
make_list(Run *run)
{
	Config	   *config = config_get();
	const Program *program = config_program_still(config, run->program_id);
	Oid			types[3] = {INT4OID, DATEOID, TIMESTAMPTZOID};
	Datum		values[3] = {Int32GetDatum(run->program_id), DateADTGetDatum(calendar_day(run->at, program->zone)),
		TimestampTzGetDatum(run->at)};
	EngineScope scope;
	Portal		portal;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, run->step->query, lengthof(types), types, values, NULL, true, 0);
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

/* Lock the members who are free, and write. */
static void
write_members(void *arg)
{
	Batch	   *batch = arg;
	Store	   *store = store_open(batch->config, true);
	MemberRow  *rows = palloc(sizeof(MemberRow) * batch->count);
	int			nrows = members_lock_free(store, batch->member_ids, batch->count, rows, &batch->skipped);

	batch->done = batch->run->step->write(batch->config, store, rows, nrows, batch->run->at);
	store_close(store);
}

/* Write what can be written: what fails is halved until the member is found, who is tried again by the next run. */
static void
work_members(Run *run, const Batch *batch)
{
	Batch		part = *batch;
	ErrorData  *error = attempt_damaged(write_members, &part);

	if (error == NULL)
	{
		run->done += part.done;
		run->skipped += part.skipped;
		return;
	}
	if (part.count == 1)
	{
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("%s member_id " INT64_FORMAT " of program \"%s\" is not written down yet: %s",
						run->step->undone, part.member_ids[0],
						config_program_still(part.config, run->program_id)->name, error->message),
				 error->detail == NULL ? 0 : errdetail_internal("%s", error->detail),
				 errhint("The next CALL loyalty.maintain() tries it again.")));
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
		Batch		batch = {config_get(), run, count, member_ids, 0, 0};

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
				(errmsg_internal("%s", run->step->sentence(config_program_still(config_get(), run->program_id)->name,
														   run->done)),
				 run->skipped == 0 ? 0
				 : errdetail_plural("%lld member is busy and left to the next run.",
									"%lld members are busy and left to the next run.",
									run->skipped, (long long) run->skipped)));
}

bool
member_run(Batches *batches, const MemberStep *step, int32 program_id, TimestampTz at, int batch_size)
{
	Run			run = {.step = step, .program_id = program_id, .at = at, .batch_size = batch_size};

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
