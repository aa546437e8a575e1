/*
 * import.c
 *		Members who come from another system.
 *
 * The source is put in order first (import_list.c), then taken batch by batch,
 * each in a transaction.  The state of a run is in the members themselves, by
 * the key of their entry: one that was stopped is simply started again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "earning/attempt.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "loyalty.h"
#include "operation/batch.h"
#include "operation/import.h"

PG_FUNCTION_INFO_V1(loyalty_import_balance);

/* Failures that are warned of one by one; all of them are in the table. */
#define MAX_WARNINGS 10

/* A run; outlives the commits. */
typedef struct Run
{
	int32		program_id;
	char	   *name;			/* of the program */
	text	   *key;
	TimestampTz at;
	bool		at_given;
	int			batch_size;
	ImportList	list;
	int64		imported;
	int64		repeated;
	int64		forgotten;
	int64		failed;
	bool		complete;
} Run;

/* Forget why members failed in an earlier run. */
static void
strike_off(Config *config, const Run *run)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(run->program_id), PointerGetDatum(run->key)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("DELETE FROM loyalty.import_failure WHERE program_id = $1 AND key = $2",
						  2, types, values, NULL, false, 0);
	SPI_finish();
	engine_leave(&scope);
}

/* Keep why a member failed, and say so. */
static void
record_failure(Run *run, const ImportBatch *batch, const ImportMember *member, const ErrorData *error)
{
	Oid			types[6] = {INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[6] = {Int32GetDatum(run->program_id), PointerGetDatum(run->key), PointerGetDatum(member->ref),
		CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)), CStringGetTextDatum(error->message),
	error->detail == NULL ? (Datum) 0 : CStringGetTextDatum(error->detail)};
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', error->detail == NULL ? 'n' : ' '};
	EngineScope scope;

	engine_enter(&scope, batch->config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.import_failure AS f (program_id, key, ref, error_code, message, detail)"
							  " VALUES ($1, $2, $3, $4, $5, $6)"
							  " ON CONFLICT (program_id, key, ref) DO UPDATE SET"
							  " error_code = $4, message = $5, detail = $6, failed_at = pg_catalog.clock_timestamp()",
							  6, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record a failure");
	SPI_finish();
	engine_leave(&scope);
	if (run->failed++ < MAX_WARNINGS)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("member \"%s\" of program \"%s\" is not imported: %s",
						text_to_cstring(member->ref), run->name, error->message),
				 error->detail == NULL ? 0 : errdetail_internal("%s", error->detail),
				 error->hint == NULL ? 0 : errhint("%s", error->hint)));
}

/* Write what can be written: what fails is halved until the member is found. */
static void
work_members(Run *run, ImportBatch *batch)
{
	ErrorData  *error = attempt(import_write, batch);
	ImportBatch half = *batch;

	if (error == NULL)
	{
		run->imported += batch->imported;
		run->repeated += batch->repeated;
		run->forgotten += batch->forgotten;
		return;
	}
	if (batch->count == 1)
	{
		record_failure(run, batch, &batch->members[0], error);
		return;
	}
	half.count = batch->count / 2;
	work_members(run, &half);
	half.members = batch->members + half.count;
	half.count = batch->count - half.count;
	work_members(run, &half);
}

/* One batch; false when the list is at its end. */
static bool
next_batch(Run *run)
{
	MemoryContext batch_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch_context);
	ImportMember *members = palloc(sizeof(ImportMember) * run->batch_size);
	int			count = import_list_next(&run->list, members, run->batch_size);

	if (count > 0)
	{
		Config	   *config = config_get();
		ImportBatch batch = {config, config_program_still(config, run->program_id), run->key, run->at, run->at_given,
		run->list.desc, members, count, 0, 0, 0};

		give_way();
		work_members(run, &batch);
		ereport(NOTICE,
				(errmsg("import \"%s\" into program \"%s\": %lld of %lld members", text_to_cstring(run->key), run->name,
						(long long) (run->imported + run->repeated + run->forgotten + run->failed), (long long) run->list.members)));
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch_context);
	return count > 0;
}

/* Work through the list.  Inside a transaction only until a batch has been imported; false when that leaves a rest. */
static bool
work_list(Batches *batches, Run *run)
{
	while (next_batch(run))
		if (!batches_next(batches) && run->imported >= run->batch_size)
			return run->imported + run->repeated + run->forgotten + run->failed == run->list.members;
	return true;
}

static void
report_end(const Run *run)
{
	char	   *forgotten = run->forgotten == 0 ? "" : psprintf(", left out since they are forgotten: %lld", (long long) run->forgotten);
	char	   *detail = psprintf("Imported: %lld, imported before: %lld, failed: %lld%s.", (long long) run->imported,
								  (long long) run->repeated, (long long) run->failed, forgotten);

	ereport(NOTICE,
			(run->complete ? errmsg("import \"%s\" into program \"%s\" is complete", text_to_cstring(run->key), run->name)
			 : errmsg("import \"%s\" into program \"%s\" goes on with the next call", text_to_cstring(run->key), run->name),
			 errdetail_internal("%s", detail),
			 run->failed == 0 ? 0
			 : errhint("Who failed is in loyalty.import_failure; the same call tries them again.")));
}

/* import_balance(source, key, at, program, batch_size) */
Datum
loyalty_import_balance(PG_FUNCTION_ARGS)
{
	int			batch_size = batch_size_argument(fcinfo, 4, 1000);
	Run			run = {.batch_size = batch_size, .at_given = !PG_ARGISNULL(2), .at = act_time(fcinfo, 2)};
	char	   *source;
	Config	   *config;
	Program    *program;
	Batches		batches;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be null")));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key must not be null"),
				 errhint("It names the import: started again with the same key, it goes on where it was stopped.")));
	batches_begin(fcinfo, &batches);
	source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	run.key = (text *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(1));
	(void) act_key("import", run.key);
	config = config_get();
	access_require_owner(config, "import members");
	program = config_program(config, text_argument(fcinfo, 3));
	run.program_id = program->program_id;
	run.name = pstrdup(program->name);
	run.list.context = batches.context;
	run.list.rows = tuplestore_begin_heap(false, true, work_mem);

	/* The list outlives transactions, so nobody else removes its file. */
	PG_TRY();
	{
		import_list_begin(&run.list, config, program, source);
		strike_off(config, &run);
		run.complete = work_list(&batches, &run);
	}
	PG_FINALLY();
	{
		import_list_end(&run.list);
	}
	PG_END_TRY();
	ExecDropSingleTupleTableSlot(run.list.slot);
	report_end(&run);
	batches_end(&batches);
	PG_RETURN_VOID();
}
