/*
 * chosen.c
 *		Redeeming what members have chosen, when its time has come.
 *
 * As in silence.c: a run lists the members, then takes them batch by batch, each
 * in a transaction; whoever is locked is being posted to, which looks at his
 * choice too, and is skipped.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "loyalty.h"
#include "operation/chosen.h"
#include "operation/member_list.h"
#include "redemption/choice.h"

/* Members listed at a time. */
#define FETCH_SIZE 10000

/* A run over one program; outlives the commits. */
typedef struct Run
{
	int32		program_id;
	TimestampTz at;
	int			batch_size;
	MemberList	list;
	int64		redeemed;
	int64		skipped;
} Run;

static void
make_list(Run *run)
{
	Config	   *config = config_get();
	Oid			types[2] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[2] = {Int32GetDatum(run->program_id), TimestampTzGetDatum(run->at)};
	EngineScope scope;
	Portal		portal;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, "SELECT member_id FROM loyalty.reward_choice"
									   " WHERE program_id = $1 AND due <= $2 ORDER BY member_id", 2, types, values, NULL, true, 0);
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		for (i = 0; i < SPI_processed; i++)
		{
			bool		isnull;

			member_list_put(&run->list, DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	SPI_finish();
	engine_leave(&scope);
}

/* One batch; false when the list is at its end. */
static bool
next_batch(Run *run)
{
	MemoryContext batch_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch_context);
	int64	   *member_ids = palloc(sizeof(int64) * run->batch_size);
	int			count = member_list_take(&run->list, member_ids, run->batch_size);

	if (count > 0)
	{
		Config	   *config = config_get();
		Store	   *store = store_open(config, true);
		MemberRow  *rows = palloc(sizeof(MemberRow) * count);
		int64		skipped;
		int			nrows;
		int			i;

		give_way();
		/* All of them before any stock. */
		nrows = members_lock_free(store, member_ids, count, rows, &skipped);
		run->skipped += skipped;
		store_close(store);
		for (i = 0; i < nrows; i++)
		{
			CHECK_FOR_INTERRUPTS();
			run->redeemed += choice_look(run->program_id, rows[i].member_id);
		}
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
	if (run->redeemed > 0 || run->skipped > 0)
		ereport(NOTICE,
				(errmsg_plural("%lld reward that was chosen is redeemed in program \"%s\"",
							   "%lld rewards that were chosen are redeemed in program \"%s\"", run->redeemed,
							   (long long) run->redeemed, config_program_still(config_get(), run->program_id)->name),
				 run->skipped == 0 ? 0
				 : errdetail_plural("%lld member is busy and left to the next run.",
									"%lld members are busy and left to the next run.",
									run->skipped, (long long) run->skipped)));
}

bool
chosen_redeem(Batches *batches, int32 program_id, TimestampTz at, int batch_size)
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
