/*
 * due.c
 *		Writing down what time has done to members whom nobody touched.
 *
 * member.next_expiry is a lower bound: nothing falls due for the member up to
 * that day.  Postings only lower it; here it is raised, so an index over it
 * leads to the members for whom something may have fallen due, and to few
 * others.  What fell due, when, and what is written of it is the business of
 * ledger/posting.c.
 *
 * A run first lists the members, by number and on disk if they are many, then
 * takes them batch by batch, each in a transaction.  Whoever is locked is being
 * posted to, or written by another run: he is skipped, so that nobody waits for
 * maintenance and it waits for nobody, and neither can deadlock.  Once locked
 * he is judged by his row as it is then.  So the state of a run is in the
 * members themselves: one that was stopped is simply started again.
 *
 * When a program's expiry becomes one by inactivity, or another such, or its
 * tiers change, the members' next_expiry does not know of it
 * (maintenance.members_known, which guards reset, and terms): then the run looks
 * at all of them.
 *
 * A pass inside a transaction leaves no record of itself: the row would stay
 * locked, and other runs would wait for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"

#include "earning/attempt.h"
#include "earning/qualify.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "operation/due.h"
#include "operation/member_list.h"
#include "tiers/review.h"
#include "types/calendar.h"

/* A run over one program; outlives the commits. */
typedef struct Run
{
	int32		program_id;
	char	   *name;
	TimestampTz at;
	TimestampTz started_at;
	int			batch_size;
	bool		recorded;		/* in loyalty.maintenance */
	bool		all;			/* members are looked at whatever their next_expiry */
	int64		terms;			/* the program's when the members were listed */
	MemberList	list;			/* in the order of their numbers */
	int64		done;
	int64		entries;
	int64		skipped;
	int64		failed;
} Run;

/* One batch, or a part of it. */
typedef struct Batch
{
	Config	   *config;
	Program    *program;
	TimestampTz at;
	int			first;
	int			count;
	const int64 *member_ids;
	/* out */
	int64		entries;
	int64		skipped;
} Batch;

bool
due_is_known(Config *config, Program *program)
{
	const TierSet *tiers = tier_set(config, program);
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(program->name), Int64GetDatum(tier_terms(program, tiers))};
	EngineScope scope;
	bool		known;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT coalesce(members_known AND terms = $2, false) FROM loyalty.maintenance WHERE program = $1",
						  2, types, values, NULL, true, 1);
	/* Of lots with a last day, postings know themselves. */
	known = !expiry_is_inactivity(program->expiry) && tiers->ntiers == 0;
	if (SPI_processed > 0)
	{
		bool		isnull;

		known = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	engine_leave(&scope);
	return known;
}

/*
 * The record of the run, for everybody to see
 */

static void
record_start(Config *config, Run *run)
{
	Oid			types[6] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, BOOLOID, INT8OID};
	Datum		values[6] = {CStringGetTextDatum(run->name), TimestampTzGetDatum(run->at),
		TimestampTzGetDatum(run->started_at), Int64GetDatum(run->list.length),
	BoolGetDatum(!run->all), Int64GetDatum(run->terms)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.maintenance AS m (program, at, started_at, members, members_known, terms)"
							  " VALUES ($1, $2, $3, $4, $5, $6)"
							  " ON CONFLICT (program) DO UPDATE SET at = $2, started_at = $3, finished_at = NULL,"
							  " members = $4, done = 0, entries = 0, skipped = 0, failed = 0",
							  6, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record the start of maintenance");
	SPI_finish();
	engine_leave(&scope);
}

/* How far it has come; a run that began later has the record to itself. */
static void
record_progress(Config *config, Run *run, bool finished)
{
	Oid			types[9] = {TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID, BOOLOID, BOOLOID, INT8OID};
	Program    *program = config_program_still(config, run->program_id);
	Datum		values[9] = {CStringGetTextDatum(run->name), TimestampTzGetDatum(run->started_at),
		Int64GetDatum(run->done), Int64GetDatum(run->entries), Int64GetDatum(run->skipped),
		Int64GetDatum(run->failed), BoolGetDatum(finished),
		BoolGetDatum(finished && run->all && run->skipped + run->failed == 0 &&
					 tier_terms(program, tier_set(config, program)) == run->terms),
	Int64GetDatum(run->terms)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("UPDATE loyalty.maintenance"
						  " SET done = $3, entries = $4, skipped = $5, failed = $6,"
						  " finished_at = CASE WHEN $7 THEN pg_catalog.clock_timestamp() END,"
						  " members_known = members_known OR $8,"
						  " terms = CASE WHEN $8 THEN $9 ELSE terms END"
						  " WHERE program = $1 AND started_at = $2",
						  9, types, values, NULL, false, 0);
	SPI_finish();
	engine_leave(&scope);
}

/* Keep why a member failed, and say so. */
static void
record_failure(Config *config, const Program *program, int64 member_id, const ErrorData *error)
{
	Oid			types[4] = {INT8OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4] = {Int64GetDatum(member_id), CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)),
		CStringGetTextDatum(error->message),
		error->detail == NULL ? (Datum) 0 : CStringGetTextDatum(error->detail)};
	char		nulls[4] = {' ', ' ', ' ', error->detail == NULL ? 'n' : ' '};
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	char	   *ref = NULL;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("INSERT INTO loyalty.maintenance_failure AS f"
						  " (member_id, program_id, due, error_code, message, detail)"
						  " SELECT m.member_id, m.program_id, m.next_expiry, $2, $3, $4"
						  " FROM loyalty.member m WHERE m.member_id = $1"
						  " ON CONFLICT (member_id) DO UPDATE SET"
						  " due = excluded.due, error_code = $2, message = $3, detail = $4,"
						  " attempts = f.attempts + 1, tried_at = pg_catalog.clock_timestamp()"
						  " RETURNING (SELECT m.ref FROM loyalty.member m WHERE m.member_id = f.member_id)",
						  4, types, values, nulls, false, 0);
	if (SPI_processed > 0)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		ref = value == NULL ? NULL : MemoryContextStrdup(caller, value);
	}
	SPI_finish();
	engine_leave(&scope);
	if (ref == NULL)
		return;					/* he is gone */
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("what fell due for member \"%s\" of program \"%s\" is not written down yet: %s",
					ref, program->name, error->message),
			 error->detail == NULL ? 0 : errdetail_internal("%s", error->detail),
			 errhint("It is kept in loyalty.maintenance_failure; the next CALL loyalty.maintain() tries it again.")));
}

/* Strike off whose next_expiry has been raised since he failed. */
static void
strike_off(Config *config, const Program *program)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(program->program_id)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("DELETE FROM loyalty.maintenance_failure f WHERE program_id = $1"
						  " AND NOT EXISTS (SELECT FROM loyalty.member m WHERE m.member_id = f.member_id"
						  " AND m.next_expiry IS NOT DISTINCT FROM f.due)",
						  1, types, values, NULL, false, 0);
	SPI_finish();
	engine_leave(&scope);
}

/*
 * Settling one member
 */

static void
notice_change(const TierChangeRow *change, void *arg)
{
	*(TimestampTz *) arg = change->posted_at;
}

/*
 * When the member's review takes place: not before he got the tier that he has,
 * since what he has reached is not to be judged by what was there before.  But
 * where history was written down afterwards (a backfill), and reviews follow as
 * of the days of that history, he is to have what was his on those days.
 */
static TimestampTz
review_time(Store *store, const MemberRow *row, TimestampTz at)
{
	TimestampTz posted_at = row->tier_since;

	if (at >= row->tier_since)
		return at;
	store_visit_tier_changes(store, row->member_id, notice_change, &posted_at);
	return posted_at - row->tier_since > USECS_PER_DAY ? at : row->tier_since;
}

/* Review his tier as of a time; true when his row changes by it. */
static bool
review_member(Config *config, Program *program, Store *store, MemberRow *row, TimestampTz at, Posting *posting)
{
	Standing   *standing = qualify_begin(program, rule_set(config, program), tier_set(config, program), store, row);
	DateADT		quiet;
	bool		counted;
	int			i;

	at = review_time(store, row, at);
	review(standing, at);
	quiet = review_quiet_after(standing, calendar_day(at, program->zone));
	row->next_expiry = Min(row->next_expiry, quiet);
	for (i = 0; i < standing->nchanges; i++)
		posting_add_tier_change(posting, &standing->changes[i], row->seq);
	counted = standing->changed;
	standing_store(standing);
	return counted || standing->nchanges > 0;
}

bool
due_settle_member(Config *config, Program *program, Store *store, MemberRow *row, TimestampTz at, Posting *posting)
{
	DateADT		next_expiry = row->next_expiry;
	bool		reviewed = false;

	posting_begin(posting, program, row);
	/* Whoever was merged has nothing, and is nobody of whom there is a tier to be reviewed. */
	if (row->status == MEMBER_FORGOTTEN)
		return false;
	if (row->status == MEMBER_MERGED && row->purse.nlots == 0)
	{
		row->next_expiry = DATEVAL_NOEND;
		posting->settled = next_expiry != row->next_expiry;
		return posting->settled;
	}
	(void) posting_settle(posting, at);
	if (tier_set(config, program)->ntiers > 0 || row->tier != NULL)
		reviewed = review_member(config, program, store, row, at, posting);
	posting->settled = posting->nentries > 0 || reviewed || row->next_expiry != next_expiry;
	return posting->settled;
}

/*
 * Listing
 */

typedef struct Listing
{
	Config	   *config;
	Program    *program;
	TimestampTz at;
	Tuplesortstate *sort;
	MemoryContext row_context;
	Store	   *store;			/* that is visited */
	Store	   *reader;			/* another one, to be read in subtransactions */
	Snapshot	snapshot;
	bool		wanted;			/* the member at hand */
} Listing;

static void
put_member(Store *store, int64 member_id, void *arg)
{
	Listing    *listing = arg;

	tuplesort_putdatum(listing->sort, Int64GetDatum(member_id), false);
}

/* Whether something is due for the member at hand, or his next_expiry is not what it should be. */
static void
look_at_member(void *arg)
{
	Listing    *listing = arg;
	MemberRow	row;
	Posting		posting;

	store_visited_member(listing->store, &row);
	store_begin_read(listing->reader, listing->snapshot);
	listing->wanted = due_settle_member(listing->config, listing->program, listing->reader, &row,
										listing->at, &posting);
	store_end_read(listing->reader);
}

/*
 * The same for a row that may be damaged: then the batch is to say so.  He is
 * put outside of the subtransaction, which would take the list's file with it.
 */
static void
put_if_needed(Store *store, int64 member_id, void *arg)
{
	Listing    *listing = arg;
	MemoryContext caller = MemoryContextSwitchTo(listing->row_context);

	listing->store = store;
	listing->wanted = true;
	if (attempt_damaged(look_at_member, listing) != NULL)
		store_abandon_read(listing->reader);
	MemoryContextSwitchTo(caller);
	if (listing->wanted)
		put_member(store, member_id, listing);
	MemoryContextReset(listing->row_context);
}

/* List the members of the run in the order of their numbers. */
static void
make_list(Config *config, Run *run)
{
	Program    *program = config_program_still(config, run->program_id);
	DateADT		day = calendar_day(run->at, program->zone);
	Tuplesortstate *sort = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, NULL,
#if PG_VERSION_NUM >= 150000
												 TUPLESORT_NONE
#else
												 false
#endif
		);
	Listing		listing = {.config = config, .program = program, .at = run->at, .sort = sort};
	Store	   *store = store_open(config, false);
	Snapshot	snapshot = store_snapshot();
	Datum		value;
	bool		isnull;

	listing.row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty row", ALLOCSET_SMALL_SIZES);
	run->terms = tier_terms(program, tier_set(config, program));
	run->all = !due_is_known(config, program);
	store_begin_read(store, snapshot);
	if (run->all)
	{
		listing.snapshot = snapshot;
		listing.reader = store_open(config, false);
		store_visit_members(store, run->program_id, DATEVAL_NOEND, put_if_needed, &listing);
		store_close(listing.reader);
	}
	else
		store_visit_members(store, run->program_id, day, put_member, &listing);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	store_close(store);
	MemoryContextDelete(listing.row_context);

	tuplesort_performsort(sort);
	while (tuplesort_getdatum(sort, true, &value, &isnull, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		member_list_put(&run->list, DatumGetInt64(value));
	}
	tuplesort_end(sort);
}

/*
 * Batches
 */

/* Lock the members, and write what has fallen due for them. */
static void
write_members(void *arg)
{
	Batch	   *batch = arg;
	Store	   *store = store_open(batch->config, true);
	Snapshot	snapshot;
	MemberRow  *rows = palloc(sizeof(MemberRow) * batch->count);
	Posting    *postings = palloc(sizeof(Posting) * batch->count);
	int			nrows = members_lock_free(store, batch->member_ids + batch->first, batch->count, rows, &batch->skipped);
	int			i;

	batch->entries = 0;

	/* Entries are read as of now: somebody may have posted before he let go of a member. */
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) due_settle_member(batch->config, batch->program, store, &rows[i], batch->at, &postings[i]);
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);

	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		posting_write(&postings[i], store);
		batch->entries += postings[i].nentries;
	}
	store_close(store);
}

/* Write what can be written: what fails is halved until the member is found. */
static void
work_members(Run *run, Batch *batch)
{
	ErrorData  *error = attempt_damaged(write_members, batch);
	Batch		half = *batch;

	if (error == NULL)
	{
		run->done += batch->count - batch->skipped;
		run->entries += batch->entries;
		run->skipped += batch->skipped;
		return;
	}
	if (batch->count == 1)
	{
		run->failed++;
		record_failure(batch->config, batch->program, batch->member_ids[batch->first], error);
		return;
	}
	half.count = batch->count / 2;
	work_members(run, &half);
	half.first = batch->first + half.count;
	half.count = batch->count - half.count;
	work_members(run, &half);
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
		Batch		batch = {config, config_program_still(config, run->program_id), run->at, 0, count, member_ids, 0, 0};

		give_way();
		work_members(run, &batch);
		/* Last, so that nobody waits for this row but at the end of a batch. */
		if (run->recorded)
			record_progress(config, run, false);
		ereport(NOTICE,
				(errmsg("maintenance of program \"%s\": %lld of %lld members", run->name,
						(long long) (run->done + run->skipped + run->failed), (long long) run->list.length),
				 run->skipped == 0 ? 0
				 : errdetail_plural("%lld member is busy and left to the next run.",
									"%lld members are busy and left to the next run.",
									run->skipped, (long long) run->skipped)));
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch_context);
	return count > 0;
}

/* List, and work through the list; inside a transaction only through its first batch. */
static void
work_list(Batches *batches, Run *run)
{
	Config	   *config = config_get();

	run->recorded = !batches->atomic;
	make_list(config, run);
	if (run->recorded)
		record_start(config, run);
	while (next_batch(run))
		if (!batches_next(batches))
			break;
	if (run->recorded)
	{
		config = config_get();
		strike_off(config, config_program_still(config, run->program_id));
		record_progress(config, run, true);
	}
}

void
due_write(Batches *batches, int32 program_id, TimestampTz at, int batch_size)
{
	Run			run = {.program_id = program_id, .at = at, .batch_size = batch_size,
		.started_at = GetCurrentTimestamp()};

	run.name = pstrdup(config_program_still(config_get(), program_id)->name);
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
}
