/*
 * rollup.c
 *		Up to when the ledger is added up, for big ledgers.
 *
 * Entries that were posted before rollup.until are in the rollups (rollup_sums.c);
 * the views that read these add the others to them.  That is exact as long as nobody still commits an entry that was posted
 * before.  posted_at is the start of a transaction, so "until" has to lie before
 * the start of whatever is under way in this database, and of whatever begins
 * from now on:
 *
 * - A running transaction tells its start in the backend status.  One that is
 *	 between two transactions of one query string, or about to report its start,
 *	 tells when the string came, which is what the next one takes for its start.
 *	 Where that is not told (track_activities is off) nothing is rolled up.
 * - Nor while there are prepared transactions: they do not tell.
 * - What begins later starts later, unless the clock is set back, or a process
 *	 sleeps between reading the clock and reporting: an hour is left for that.
 * - Parallel workers and the worker of a subscription report like any other;
 *	 procedures that commit start each transaction at its own time.
 *
 * Whether something has come late nevertheless (the clock was set back by more
 * than an hour, a dump was restored into a ledger that is in use) is looked at
 * each time: then the rollups are made anew.  Entries themselves never change
 * in what is added up here; neither does a program's time zone.
 *
 * The time is taken in one transaction, rows are read in the next, so that no
 * isolation level can read a snapshot from before.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "earning/attempt.h"
#include "ledger/access.h"
#include "loyalty.h"
#include "operation/rollup.h"

PG_FUNCTION_INFO_V1(loyalty_roll_up);

/* What is left for clocks and sleeping processes. */
#define MARGIN USECS_PER_HOUR

/* How often maintenance does it: each time it reads the members, and what was posted meanwhile. */
#define SPACING USECS_PER_DAY

/*
 * How far it is safe to go
 */

static TimestampTz
start_in_status(const PgBackendStatus *status)
{
	TimestampTz start = DT_NOEND;

	if (status->st_state == STATE_DISABLED)
		return DT_NOBEGIN;
	if (status->st_xact_start_timestamp != 0)
		start = status->st_xact_start_timestamp;
	if ((status->st_state == STATE_RUNNING || status->st_state == STATE_FASTPATH) &&
		status->st_activity_start_timestamp != 0)
		start = Min(start, status->st_activity_start_timestamp);
	return start;
}

/* Start of the oldest transaction under way, one that begins now included; DT_NOBEGIN: not known. */
static TimestampTz
oldest_start(void)
{
	TimestampTz oldest = Min(GetCurrentTimestamp(), GetCurrentTransactionStartTimestamp());
	int			i;

	if (!pgstat_track_activities)
		return DT_NOBEGIN;
	pgstat_clear_backend_activity_snapshot();
	for (i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
	{
		const PgBackendStatus *status = &pgstat_fetch_stat_local_beentry(i)->backendStatus;

		/* Autovacuum may take hours, and writes no entries. */
		if (status->st_procpid != MyProcPid && status->st_databaseid == MyDatabaseId &&
			status->st_backendType != B_AUTOVAC_WORKER)
			oldest = Min(oldest, start_in_status(status));
	}
	return oldest;
}

/* After oldest_start: one that was running then may have been prepared since. */
static bool
prepared_transactions(void)
{
	SPI_execute("SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()", true, 1);
	return SPI_processed > 0;
}

/*
 * Rolling up
 */

static Datum
id_array(List *program_ids)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(list_length(program_ids), 1));
	int			i;

	for (i = 0; i < list_length(program_ids); i++)
		ids[i] = Int32GetDatum(list_nth_int(program_ids, i));
	return PointerGetDatum(construct_array(ids, i, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* Each program has its row, so that it can be locked. */
static void
add_rows(Datum program_ids)
{
	Rolling		rolling = {.program_ids = program_ids};

	rolling_execute("INSERT INTO loyalty.rollup (program_id) SELECT p.program_id FROM loyalty.program p"
			" WHERE p.program_id = ANY ($1)"
			" AND NOT EXISTS (SELECT FROM loyalty.rollup r WHERE r.program_id = p.program_id)"
			" ON CONFLICT (program_id) DO NOTHING", &rolling);
}

/* Lock those rows that are behind the time; false when there are none. */
static bool
lock_rows(Rolling *rolling, const char *sql, TimestampTz behind)
{
	List	   *program_ids = NIL;
	Rolling		wanted = *rolling;
	MemoryContext caller = CurrentMemoryContext;
	uint64		i;

	wanted.since = behind;
	rolling_execute(sql, &wanted);
	rolling->since = rolling->until;
	for (i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		HeapTuple	row = SPI_tuptable->vals[i];

		program_ids = lappend_int(program_ids, DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)));
		rolling->since = Min(rolling->since,
							 DatumGetTimestampTz(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull)));
	}
	MemoryContextSwitchTo(caller);
	rolling->program_ids = id_array(program_ids);
	return program_ids != NIL;
}

/*
 * The programs for which an entry has come late.  As members number their
 * entries there are as many as their rows say, and it is enough to count the new
 * ones.
 */
static void
start_late_anew(Rolling *rolling)
{
	List	   *late = NIL;
	Rolling		anew = *rolling;
	uint64		i;

	rolling_execute("SELECT r.program_id, p.name FROM loyalty.rollup r JOIN loyalty.program p USING (program_id)"
			" LEFT JOIN (SELECT m.program_id, sum(m.seq) AS entries FROM loyalty.member m"
			"  WHERE m.program_id = ANY ($1) GROUP BY 1) a USING (program_id)"
			" LEFT JOIN (SELECT e.program_id, count(*) AS entries FROM loyalty.entry e JOIN loyalty.rollup o USING (program_id)"
			"  WHERE e.program_id = ANY ($1) AND e.posted_at >= $3 AND e.posted_at >= o.until GROUP BY 1) n USING (program_id)"
			" WHERE r.program_id = ANY ($1) AND r.until > '-infinity'"
			" AND coalesce(a.entries, 0) - coalesce(n.entries, 0) <> r.entries", rolling);
	for (i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		HeapTuple	row = SPI_tuptable->vals[i];

		late = lappend_int(late, DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)));
		ereport(WARNING,
				(errmsg("rollups of program \"%s\" are made anew", SPI_getvalue(row, SPI_tuptable->tupdesc, 2)),
				 errdetail("Entries have come, or gone, that were posted before the time up to which there were rollups."),
				 errhint("That happens when the clock is set back by more than an hour, or entries are restored. See loyalty.verify().")));
	}
	if (late == NIL)
		return;
	anew.program_ids = id_array(late);
	rollup_clear(&anew);
	rolling->since = DT_NOBEGIN;
}

/* Who is rolling a program up already will have done it; he is not waited for. */
#define LOCK_BEHIND \
	"SELECT program_id, until FROM loyalty.rollup WHERE program_id = ANY ($1) AND until < $2 AND until <= $3" \
	" ORDER BY program_id FOR UPDATE"

static void
advance(void *arg)
{
	Rolling    *rolling = arg;
	EngineScope scope;

	engine_enter(&scope, config_get()->owner);
	rollups_without_jit();
	if (lock_rows(rolling, LOCK_BEHIND " SKIP LOCKED", rolling->until - SPACING))
	{
		start_late_anew(rolling);
		rollup_add(rolling);
	}
	engine_leave(&scope);
}

/* Bring some programs up to a time, and commit; what fails is undone. */
static ErrorData *
advance_to(Batches *batches, List *programs, TimestampTz until)
{
	Rolling		rolling = {.program_ids = id_array(programs), .until = until};
	ErrorData  *error = attempt(advance, &rolling);

	(void) batches_next(batches);
	return error;
}

void
rollups_advance(Batches *batches, List *programs)
{
	Config	   *config;
	EngineScope scope;
	TimestampTz oldest;
	ListCell   *cell;
	bool		known;

	if (programs == NIL || !batches_next(batches))
		return;
	config = config_get();
	engine_enter(&scope, config->owner);
	oldest = oldest_start();
	known = oldest != DT_NOBEGIN && !prepared_transactions();
	if (known)
		add_rows(id_array(programs));
	engine_leave(&scope);
	(void) batches_next(batches);
	/* All at once read the ledger once.  Where that fails, one must not keep the others from it. */
	if (!known || advance_to(batches, programs, oldest - MARGIN) == NULL)
		return;
	foreach(cell, programs)
	{
		ErrorData  *error = advance_to(batches, list_make1_int(lfirst_int(cell)), oldest - MARGIN);
		const Program *program = error == NULL ? NULL : config_program_by_id(config_get(), lfirst_int(cell));

		if (program != NULL)
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("rollups of program \"%s\" are not brought up to date: %s", program->name, error->message),
					 error->detail == NULL ? 0 : errdetail_internal("%s", error->detail),
					 errhint("The next CALL loyalty.maintain() tries it again; reports are made of the entries meanwhile.")));
	}
}

static TimestampTz
wanted_until(FunctionCallInfo fcinfo)
{
	TimestampTz oldest = oldest_start();

	if (oldest == DT_NOBEGIN || prepared_transactions())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("it is not known when all transactions under way have begun"),
				 errdetail("There are prepared transactions in this database, or sessions with track_activities off."),
				 errhint("Try again without them; reports are right meanwhile.")));
	if (PG_ARGISNULL(1))
		return oldest - MARGIN;
	if (PG_GETARG_TIMESTAMPTZ(1) > oldest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("until must not be after the start of any transaction that is under way"),
				 errdetail("The oldest one began at %s.", timestamptz_to_str(oldest))));
	return PG_GETARG_TIMESTAMPTZ(1);
}

/* roll_up(program, until, anew) → how far the rollups go */
Datum
loyalty_roll_up(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	const Program *program = access_program(config, text_argument(fcinfo, 0), ACCESS_MANAGE);
	bool		anew = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	Rolling		rolling = {.program_ids = id_array(list_make1_int(program->program_id))};
	EngineScope scope;
	Datum		until;
	bool		isnull;

	PreventCommandIfReadOnly("loyalty.roll_up");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("loyalty.roll_up needs isolation level READ COMMITTED"),
				 errdetail("It must see everything that was committed before it began.")));
	engine_enter(&scope, config->owner);
	rollups_without_jit();
	SPI_connect();
	rolling.until = wanted_until(fcinfo);
	add_rows(rolling.program_ids);
	if (anew)
	{
		rolling_execute("SELECT FROM loyalty.rollup WHERE program_id = ANY ($1) FOR UPDATE", &rolling);
		rollup_clear(&rolling);
	}
	if (lock_rows(&rolling, LOCK_BEHIND, rolling.until))
	{
		start_late_anew(&rolling);
		rollup_add(&rolling);
	}
	rolling.program_ids = id_array(list_make1_int(program->program_id));
	rolling_execute("SELECT until FROM loyalty.rollup WHERE program_id = ANY ($1)", &rolling);
	until = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_DATUM(until);
}
