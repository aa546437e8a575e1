/*
 * backorder.c
 *		Serving redemptions that wait for stock.
 *
 * The line of a reward is taken from its head.  Whoever is locked is left alone,
 * as everywhere in maintenance; and so is everybody behind him, who would
 * otherwise take his units.  The next run goes on there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "earning/attempt.h"
#include "loyalty.h"
#include "operation/backorder.h"
#include "operation/member_list.h"
#include "redemption/redemption.h"
#include "redemption/stock.h"

/* One redemption in the line. */
typedef struct Place
{
	int64		member_id;
	int64		seq;
} Place;

/* A run over one program. */
typedef struct Run
{
	int32		program_id;
	TimestampTz at;
	int			batch_size;
	int64		served;
} Run;

/* Rewards that are waited for, or the head of the line of one. */
static SPITupleTable *
query(Config *config, const char *text, int32 number, int most, uint64 *count)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(number)};

	if (SPI_execute_with_args(text, 1, types, values, NULL, false, most) != SPI_OK_SELECT)
		elog(ERROR, "could not read back-orders");
	*count = SPI_processed;
	return SPI_tuptable;
}

static List *
awaited_rewards(int32 program_id)
{
	Config	   *config = config_get();
	MemoryContext caller = CurrentMemoryContext;
	List	   *rewards = NIL;
	SPITupleTable *table;
	EngineScope scope;
	uint64		count;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	table = query(config, "SELECT DISTINCT d.reward_id FROM loyalty.redemption d"
				  " WHERE d.program_id = $1 AND d.backordered > 0 ORDER BY d.reward_id", program_id, 0, &count);
	for (i = 0; i < count; i++)
	{
		bool		isnull;
		int32		reward_id = DatumGetInt32(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull));
		MemoryContext here = MemoryContextSwitchTo(caller);

		rewards = lappend_int(rewards, reward_id);
		MemoryContextSwitchTo(here);
	}
	SPI_finish();
	engine_leave(&scope);
	return rewards;
}

/* The first ones of a reward's line. */
static int
read_line(Config *config, int32 reward_id, Place *places, int most)
{
	SPITupleTable *table;
	EngineScope scope;
	uint64		count;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	table = query(config, "SELECT member_id, seq FROM loyalty.redemption WHERE reward_id = $1 AND backordered > 0"
				  " ORDER BY requested_at, member_id, seq", reward_id, most, &count);
	for (i = 0; i < count; i++)
	{
		bool		isnull;

		places[i].member_id = DatumGetInt64(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull));
		places[i].seq = DatumGetInt64(SPI_getbinval(table->vals[i], table->tupdesc, 2, &isnull));
	}
	SPI_finish();
	engine_leave(&scope);
	return (int) count;
}

/* A redemption in its turn. */
typedef struct Turn
{
	Run		   *run;
	Config	   *config;
	Program    *program;
	const Reward *reward;
	const Place *place;
	bool		done;			/* false: its member is busy, or there is too little for it */
} Turn;

static bool
serve(const Turn *turn)
{
	Run		   *run = turn->run;
	Config	   *config = turn->config;
	Program    *program = turn->program;
	const Reward *reward = turn->reward;
	const Place *place = turn->place;
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Store	   *store = store_open(config, true);
	MemberRow	member;
	int64		skipped = 0;
	bool		locked = members_lock_free(store, &place->member_id, 1, &member, &skipped) > 0;
	Snapshot	snapshot;
	RedemptionRow row;
	bool		found;
	int			units;

	store_close(store);
	if (!locked)
		return false;
	snapshot = store_snapshot();
	found = redemption_find(config, snapshot, place->member_id, place->seq, &row);
	UnregisterSnapshot(snapshot);
	/* Cancelled meanwhile. */
	if (!found || row.backordered == 0)
		return true;
	units = row.backordered;
	if (reward->stock != STOCK_UNLIMITED)
	{
		DateADT		period = stock_period(program, reward, run->at);

		if (!stock_take(config, reward, period, units))
			return false;
		row.stocked = units;
		row.stock_period = period;
	}
	row.backordered = 0;
	(void) redemption_advance(config, program, reward, &member, &row, false, false, redemption_actor(), now);
	redemption_update(config, &row);
	run->served++;
	return true;
}

static void
try_to_serve(void *arg)
{
	Turn	   *turn = arg;

	turn->done = serve(turn);
}

/* False when the line has to wait.  Where a voucher cannot be issued that must not keep maintenance from all else. */
static bool
take_turn(Turn *turn)
{
	ErrorData  *error = attempt(try_to_serve, turn);

	if (error == NULL)
		return turn->done;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("back-orders of reward \"%s\" of program \"%s\" are not served: %s",
					turn->reward->name, turn->program->name, error->message),
			 error->detail == NULL ? 0 : errdetail_internal("%s", error->detail),
			 error->hint == NULL ? 0 : errhint("%s", error->hint)));
	return false;
}

/* One batch of a reward's line; false when there is no more to be done for it. */
static bool
next_batch(Run *run, int32 reward_id)
{
	MemoryContext batch_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch_context);
	Config	   *config = config_get();
	Program    *program = config_program_still(config, run->program_id);
	const Reward *reward = reward_by_id(reward_set(config, program), reward_id);
	Place	   *places = palloc(sizeof(Place) * run->batch_size);
	int			count = reward == NULL ? 0 : read_line(config, reward_id, places, run->batch_size);
	bool		more = count == run->batch_size;
	Turn		turn = {.run = run, .config = config, .program = program, .reward = reward};
	int			i;

	give_way();
	for (i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		turn.place = &places[i];
		if (!take_turn(&turn))
		{
			more = false;
			break;
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch_context);
	return more;
}

bool
backorders_serve(Batches *batches, int32 program_id, TimestampTz at, int batch_size)
{
	Run			run = {.program_id = program_id, .at = at, .batch_size = batch_size};
	List	   *rewards = awaited_rewards(program_id);
	ListCell   *cell;

	foreach(cell, rewards)
	{
		while (next_batch(&run, lfirst_int(cell)) && batches_next(batches))
			;
		(void) batches_next(batches);
	}
	if (run.served > 0)
		ereport(NOTICE,
				(errmsg_plural("%lld back-order of program \"%s\" is served",
							   "%lld back-orders of program \"%s\" are served", run.served,
							   (long long) run.served, config_program_still(config_get(), program_id)->name)));
	return rewards != NIL;
}
