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
#include "earning/expression.h"
#include "earning/reconcile.h"
#include "earning/requery.h"
#include "ledger/member.h"
#include "loyalty.h"

/* What is told of the cause beside its message: its detail, and which rule it came up in. */
static char *
detail_of(const ErrorData *error)
{
	const char *rule = error->context == NULL ? NULL : strstr(error->context, EXPRESSION_CONTEXT);
	const char *line = rule;

	if (rule == NULL)
		return error->detail;
	while (line > error->context && line[-1] != '\n')
		line--;
	return psprintf("%s%s%.*s", error->detail == NULL ? "" : error->detail, error->detail == NULL ? "" : "\n",
					(int) strcspn(line, "\n"), line);
}

void
deferred_write(Source *source, const text *key, const int64 *member_ids, int nmembers,
			   const ErrorData *error)
{
	Oid			types[9] = {INT4OID, TEXTOID, INT4OID, INT8ARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[9];
	char		nulls[9];
	Datum	   *ids = palloc(sizeof(Datum) * Max(nmembers, 1));
	char	   *detail = detail_of(error);
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
	values[8] = error->context == NULL ? (Datum) 0 : CStringGetTextDatum(error->context);
	nulls[8] = error->context == NULL ? 'n' : ' ';

	engine_enter(&scope, source->config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.deferred AS d"
							  " (source_id, source_key, program_id, member_ids, error_code, message, detail, hint, context)"
							  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
							  " ON CONFLICT (source_id, source_key) DO UPDATE SET"
							  " member_ids = ARRAY(SELECT pg_catalog.unnest(d.member_ids)"
							  " UNION SELECT pg_catalog.unnest($4) ORDER BY 1),"
							  " error_code = $5, message = $6, detail = $7, hint = $8, context = $9,"
							  " attempts = d.attempts + 1, tried_at = pg_catalog.clock_timestamp()",
							  9, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not defer a purchase");
	SPI_finish();
	engine_leave(&scope);

	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("purchase \"%s\" of source \"%s\" earns nothing yet: %s",
					text_to_cstring(key), source->name, error->message),
			 detail == NULL ? 0 : errdetail_internal("%s", detail),
			 errhint("%s%sIt is kept in loyalty.deferred; CALL loyalty.maintain() tries it again.",
					 error->hint == NULL ? "" : error->hint, error->hint == NULL ? "" : "\n")));
}

char *
deferred_message(Source *source, const text *key)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source->id.source_id), PointerGetDatum(key)};
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	char	   *message = NULL;

	engine_enter(&scope, source->config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT message FROM loyalty.deferred WHERE source_id = $1 AND source_key = $2",
						  2, types, values, NULL, true, 1);
	if (SPI_processed > 0)
		message = MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	engine_leave(&scope);
	return message;
}

bool
deferred_has(Source *source, const text *key)
{
	char	   *message = deferred_message(source, key);
	bool		found = message != NULL;

	if (found)
		pfree(message);
	return found;
}

/* One purchase that is tried again. */
typedef struct Retry
{
	text	   *key;
	int			nmembers;
	int64	   *member_ids;		/* who may have entries of it */
	bool		locked;			/* its line in the list is ours */
	bool		present;
	SourceRow	row;
	Source	   *source;
} Retry;

/* The lines of one source that are to be tried: the first that has any. */
static List *
next_retries(Config *config, const Program *program, TimestampTz before, int limit, int32 *source_id)
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
						  " WHERE source_id = (SELECT pg_catalog.min(d.source_id) FROM loyalty.deferred d"
						  " WHERE ($1 IS NULL OR d.program_id = $1) AND d.tried_at < $2)"
						  " AND tried_at < $2 ORDER BY source_key LIMIT $3",
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

		*source_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
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

/* Take the purchase's line, unless another run has it. */
static bool
lock_line(Config *config, int32 source_id, const text *key)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(source_id), PointerGetDatum(key)};
	EngineScope scope;
	bool		locked;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT FROM loyalty.deferred WHERE source_id = $1 AND source_key = $2"
						  " FOR UPDATE SKIP LOCKED",
						  2, types, values, NULL, false, 1);
	locked = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return locked;
}

/* Strike what went well off the list: the lines that were not written again since. */
static int64
strike_off(Config *config, int32 source_id, List *retries, TimestampTz since)
{
	Oid			types[3] = {INT4OID, TEXTARRAYOID, TIMESTAMPTZOID};
	Datum		values[3];
	Datum	   *keys = palloc(sizeof(Datum) * list_length(retries));
	EngineScope scope;
	int64		struck;
	int			nkeys = 0;
	ListCell   *cell;

	foreach(cell, retries)
	{
		Retry	   *retry = lfirst(cell);

		if (retry->locked)
			keys[nkeys++] = PointerGetDatum(retry->key);
	}
	values[0] = Int32GetDatum(source_id);
	values[1] = PointerGetDatum(construct_array(keys, nkeys, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = TimestampTzGetDatum(since);

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("DELETE FROM loyalty.deferred"
						  " WHERE source_id = $1 AND source_key = ANY ($2) AND tried_at < $3",
						  3, types, values, NULL, false, 0);
	struck = (int64) SPI_processed;
	SPI_finish();
	engine_leave(&scope);
	return struck;
}

/* Read and lock the purchase's row as it is now. */
static void
read_retry(void *arg)
{
	Retry	   *retry = arg;

	source_ready(retry->source);
	retry->present = current_row(retry->source, retry->key, true,
								 GetCurrentTransactionStartTimestamp(), &retry->row) &&
		retry->row.ref != NULL;
}

/* Put what the purchase is to be for everybody who may have entries of it. */
static void
put_retry(Config *config, PurchasePile *pile, Retry *retry)
{
	Purchase	purchase;
	int			i;

	memset(&purchase, 0, sizeof(purchase));
	purchase.key = retry->key;
	for (i = 0; i < retry->nmembers; i++)
	{
		purchase.member_id = retry->member_ids[i];
		purchase_pile_put(pile, &purchase);
	}
	if (retry->present)
	{
		source_row_purchase(&retry->row, member_resolve(config, retry->source->program, retry->row.ref),
							&purchase);
		purchase.key = retry->key;
		purchase_pile_put(pile, &purchase);
	}
}

/*
 * Locks are taken in the order in which an order's own trigger takes them:
 * rows of the table, lines of the list, members in order of member_id.
 */
static void
retry_batch(Config *config, Source *source, List *retries)
{
	PurchasePile *pile = purchase_pile_begin();
	ReconcileResult result;
	bool		fail = source->fail;
	ListCell   *cell;

	foreach(cell, retries)
	{
		Retry	   *retry = lfirst(cell);
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		retry->source = source;
		error = attempt(read_retry, retry);
		retry->locked = lock_line(config, source->id.source_id, retry->key);
		if (!retry->locked)
			continue;
		if (error != NULL)
			deferred_write(source, retry->key, NULL, 0, error);
		else
			put_retry(config, pile, retry);
	}
	purchase_pile_sort(pile);

	/* What fails again is written down again, whatever the source says of orders. */
	source->fail = false;
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

/*
 * The same for purchases of a query: they are locked in place of rows, in the
 * order in which next_retries gives them.
 */
static void
retry_query_batch(Source *source, List *retries)
{
	Claim	   *claims = palloc0(sizeof(Claim) * list_length(retries));
	int			nclaims = 0;
	int			nlocked = 0;
	Requery		requery;
	ReconcileResult result;
	bool		fail = source->fail;
	ListCell   *cell;
	int			i = 0;

	foreach(cell, retries)
		claims[nclaims++].key = ((Retry *) lfirst(cell))->key;
	requery_begin(&requery, source);
	requery_lock(&requery, claims, nclaims);
	foreach(cell, retries)
	{
		Retry	   *retry = lfirst(cell);
		Claim		claim = claims[i++];
		Purchase	purchase;
		int			j;

		CHECK_FOR_INTERRUPTS();
		retry->locked = lock_line(source->config, source->id.source_id, retry->key);
		if (!retry->locked)
			continue;
		claims[nlocked++] = claim;
		memset(&purchase, 0, sizeof(purchase));
		purchase.key = retry->key;
		for (j = 0; j < retry->nmembers; j++)
		{
			purchase.member_id = retry->member_ids[j];
			purchase_pile_put(requery.pile, &purchase);
		}
	}

	/* What fails again is written down again, whatever the source says of orders. */
	source->fail = false;
	PG_TRY();
	{
		requery_read(&requery, claims, nlocked);
		requery_end(&requery, &result);
	}
	PG_FINALLY();
	{
		source->fail = fail;
	}
	PG_END_TRY();
}

int
deferred_retry(Config *config, const Program *program, TimestampTz before, int limit, int64 *succeeded)
{
	TimestampTz since = GetCurrentTimestamp();
	int32		source_id = 0;
	List	   *retries = next_retries(config, program, before, limit, &source_id);
	Source	   *source;
	ListCell   *cell;
	int			tried = 0;

	if (retries == NIL)
		return 0;
	source = source_get(config, source_id, InvalidOid);
	if (source != NULL && source->attached && source->query != NULL)
		retry_query_batch(source, retries);
	else if (source != NULL && source->attached)
		retry_batch(config, source_get(config, source_id, source->root), retries);
	else
	{
		/* Of a source that is gone nothing is left to earn. */
		foreach(cell, retries)
			((Retry *) lfirst(cell))->locked = true;
	}
	*succeeded += strike_off(config, source_id, retries, since);

	/* What another run holds is left to it. */
	foreach(cell, retries)
		if (((Retry *) lfirst(cell))->locked)
			tried++;
	return tried;
}
