/*
 * deferred.c
 *		Purchases that could not earn yet.
 *
 * A loyalty mistake must not stop the till: a purchase that fails is written
 * down by its key, with the cause and the members who may have entries of it,
 * and tried again by maintenance from the row as it is then.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/current.h"
#include "earning/deferred.h"
#include "earning/reconcile.h"
#include "ledger/member.h"
#include "loyalty.h"

void
deferred_write(Source *source, const text *key, const int64 *member_ids, int nmembers,
			   const ErrorData *error)
{
	Oid			types[8] = {INT4OID, TEXTOID, INT4OID, INT8ARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[8];
	char		nulls[8];
	Datum	   *ids = palloc(sizeof(Datum) * Max(nmembers, 1));
	EngineScope scope;
	int			i;

	for (i = 0; i < nmembers; i++)
		ids[i] = Int64GetDatum(member_ids[i]);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int32GetDatum(source->id.source_id);
	values[1] = PointerGetDatum(key);
	values[2] = Int32GetDatum(source->program->program_id);
	values[3] = PointerGetDatum(construct_array(ids, nmembers, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[4] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
	values[5] = CStringGetTextDatum(error->message);
	values[6] = error->detail == NULL ? (Datum) 0 : CStringGetTextDatum(error->detail);
	nulls[6] = error->detail == NULL ? 'n' : ' ';
	values[7] = error->hint == NULL ? (Datum) 0 : CStringGetTextDatum(error->hint);
	nulls[7] = error->hint == NULL ? 'n' : ' ';

	engine_enter(&scope, source->config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.deferred AS d"
							  " (source_id, source_key, program_id, member_ids, error_code, message, detail, hint)"
							  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
							  " ON CONFLICT (source_id, source_key) DO UPDATE SET"
							  " member_ids = ARRAY(SELECT pg_catalog.unnest(d.member_ids)"
							  " UNION SELECT pg_catalog.unnest($4) ORDER BY 1),"
							  " error_code = $5, message = $6, detail = $7, hint = $8,"
							  " attempts = d.attempts + 1, tried_at = pg_catalog.now()",
							  8, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not defer a purchase");
	SPI_finish();
	engine_leave(&scope);

	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("purchase \"%s\" of source \"%s\" earns nothing yet: %s",
					text_to_cstring(key), source->name, error->message),
			 error->detail == NULL ? 0 : errdetail_internal("%s", error->detail),
			 errhint("It is kept in loyalty.deferred; CALL loyalty.maintain() tries it again.")));
}

bool
deferred_has(Source *source, const text *key)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source->id.source_id), PointerGetDatum(key)};
	EngineScope scope;
	bool		found;

	engine_enter(&scope, source->config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT FROM loyalty.deferred WHERE source_id = $1 AND source_key = $2",
						  2, types, values, NULL, true, 1);
	found = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return found;
}

/* One purchase that is tried again. */
typedef struct Retry
{
	Config	   *config;
	int32		source_id;
	text	   *key;
	int			nmembers;
	int64	   *member_ids;
	Source	   *source;
} Retry;

/* Reconcile it from its row as it is now, raising whatever is wrong. */
static void
retry_purchase(void *arg)
{
	Retry	   *retry = arg;
	Source	   *source = retry->source;
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	PurchasePile *pile = purchase_pile_begin();
	ReconcileResult result;
	SourceRow	row;
	Purchase	purchase;
	bool		fail = source->fail;
	int			i;

	source_ready(source);
	memset(&row, 0, sizeof(row));
	memset(&purchase, 0, sizeof(purchase));
	purchase.key = retry->key;
	for (i = 0; i < retry->nmembers; i++)
	{
		purchase.member_id = retry->member_ids[i];
		purchase_pile_put(pile, &purchase);
	}
	if (current_row(source, retry->key, true, now, &row) && row.ref != NULL)
	{
		purchase.member_id = member_resolve(retry->config, source->program, row.ref);
		purchase.ref = row.ref;
		purchase.counts = row.counts;
		purchase.at = row.at;
		purchase.amount = row.amount;
		purchase.quantity = row.quantity;
		purchase_pile_put(pile, &purchase);
	}
	purchase_pile_sort(pile);

	source->fail = true;
	PG_TRY();
	{
		reconcile(source, pile, true, &result);
	}
	PG_FINALLY();
	{
		source->fail = fail;
	}
	PG_END_TRY();
	purchase_pile_end(pile);
}

/* Record how a retry ended: gone from the list, or tried once more in vain. */
static void
record_outcome(const Retry *retry, const ErrorData *error)
{
	Oid			types[6] = {INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[6] = {Int32GetDatum(retry->source_id), PointerGetDatum(retry->key)};
	char		nulls[6] = {' ', ' ', ' ', ' ', 'n', 'n'};
	EngineScope scope;

	engine_enter(&scope, retry->config->owner);
	SPI_connect();
	if (error == NULL)
		SPI_execute_with_args("DELETE FROM loyalty.deferred WHERE source_id = $1 AND source_key = $2",
							  2, types, values, NULL, false, 0);
	else
	{
		values[2] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
		values[3] = CStringGetTextDatum(error->message);
		if (error->detail != NULL)
		{
			values[4] = CStringGetTextDatum(error->detail);
			nulls[4] = ' ';
		}
		if (error->hint != NULL)
		{
			values[5] = CStringGetTextDatum(error->hint);
			nulls[5] = ' ';
		}
		SPI_execute_with_args("UPDATE loyalty.deferred SET error_code = $3, message = $4, detail = $5, hint = $6,"
							  " attempts = attempts + 1, tried_at = pg_catalog.clock_timestamp()"
							  " WHERE source_id = $1 AND source_key = $2",
							  6, types, values, nulls, false, 0);
	}
	SPI_finish();
	engine_leave(&scope);
}

/* The next purchases to try, locked against other runs. */
static List *
next_retries(Config *config, const Program *program, TimestampTz before, int limit)
{
	Oid			types[3] = {INT4OID, TIMESTAMPTZOID, INT8OID};
	Datum		values[3] = {(Datum) 0, TimestampTzGetDatum(before), Int64GetDatum(limit)};
	char		nulls[3] = {'n', ' ', ' '};
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	List	   *retries = NIL;
	uint64		i;

	if (program != NULL)
	{
		values[0] = Int32GetDatum(program->program_id);
		nulls[0] = ' ';
	}
	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT source_id, source_key, member_ids FROM loyalty.deferred"
						  " WHERE ($1 IS NULL OR program_id = $1) AND tried_at < $2"
						  " ORDER BY source_id, source_key LIMIT $3 FOR UPDATE SKIP LOCKED",
						  3, types, values, nulls, false, 0);
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext spi = MemoryContextSwitchTo(caller);
		Retry	   *retry = palloc0(sizeof(Retry));
		Datum	   *ids;
		bool		isnull;
		int			j;

		retry->config = config;
		retry->source_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		retry->key = DatumGetTextPCopy(SPI_getbinval(row, desc, 2, &isnull));
		deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(row, desc, 3, &isnull)),
						  INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &ids, NULL, &retry->nmembers);
		retry->member_ids = palloc(sizeof(int64) * Max(retry->nmembers, 1));
		for (j = 0; j < retry->nmembers; j++)
			retry->member_ids[j] = DatumGetInt64(ids[j]);
		retries = lappend(retries, retry);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	engine_leave(&scope);
	return retries;
}

/* The attached table of a source; InvalidOid when it is gone or detached. */
static Source *
retry_source(Config *config, int32 source_id)
{
	Source	   *source = source_get(config, source_id, InvalidOid);

	if (source == NULL || !source->attached)
		return NULL;
	return source_get(config, source_id, source->root);
}

int
deferred_retry(Config *config, const Program *program, TimestampTz before, int limit, int64 *succeeded)
{
	List	   *retries = next_retries(config, program, before, limit);
	ListCell   *cell;

	foreach(cell, retries)
	{
		Retry	   *retry = lfirst(cell);
		ErrorData  *error = NULL;

		CHECK_FOR_INTERRUPTS();
		retry->source = retry_source(config, retry->source_id);
		/* Of a source that is gone nothing is left to earn. */
		if (retry->source != NULL)
			error = attempt(retry_purchase, retry);
		record_outcome(retry, error);
		if (error == NULL)
			(*succeeded)++;
	}
	return list_length(retries);
}
