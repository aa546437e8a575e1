/*
 * backfill.c
 *		History earns too.
 *
 * First the keys of the table's rows are put in order of time, on disk if they
 * are many; then batch after batch of them is read again by key, locked FOR
 * SHARE, and reconciled as a trigger would.  Each batch is a transaction that
 * also records how far it came: a run that was stopped goes on from there, and
 * what live statements earn meanwhile is found and left alone.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "earning/attempt.h"
#include "earning/current.h"
#include "earning/deferred.h"
#include "earning/judge.h"
#include "earning/reconcile.h"
#include "ledger/access.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "operation/backfill.h"

PG_FUNCTION_INFO_V1(loyalty_backfill);

/* "<" of timestamptz, which catalog/pg_operator.h gives no name. */
#define TIMESTAMPTZ_LESS_OPERATOR 1322

/* Rows fetched at a time while the keys are gathered. */
#define FETCH_SIZE 1000

/* The list of purchases, in order of time. */
static const ListColumn list_columns[] = {{"at", TIMESTAMPTZOID}, {"key", TEXTOID}};

/* The source by number; LY005 when it, its table or its program is gone. */
static Source *
existing_source(Config *config, int32 source_id)
{
	Source	   *source = source_get(config, source_id, InvalidOid);

	if (source == NULL || !source->attached)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
				 errmsg("source %d does not exist any more", source_id)));
	return source;
}

/* The same, ready to read its own table. */
static Source *
open_source(int32 source_id)
{
	Config	   *config = config_get();
	Source	   *source = existing_source(config, source_id);

	source = source_get(config, source_id, source->root);
	source_ready(source);
	return source;
}

static void
read_position(Source *source, Position *position)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->id.source_id)};
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	bool		isnull;
	Datum		value;

	engine_enter(&scope, source->config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT backfilled_at, backfilled_key FROM loyalty.source WHERE source_id = $1",
						  1, types, values, NULL, false, 1);
	position->at = DT_NOBEGIN;
	position->key = NULL;
	if (SPI_processed > 0)
	{
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		if (!isnull)
			position->at = DatumGetTimestampTz(value);
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
		if (!isnull)
		{
			MemoryContext spi = MemoryContextSwitchTo(caller);

			position->key = DatumGetTextPCopy(value);
			MemoryContextSwitchTo(spi);
		}
	}
	SPI_finish();
	engine_leave(&scope);
}

static bool
is_past(const Position *position, TimestampTz at, const text *key)
{
	int			length;
	int			order;

	if (position->key == NULL || at != position->at)
		return position->key == NULL || at > position->at;
	length = Min(VARSIZE_ANY_EXHDR(key), VARSIZE_ANY_EXHDR(position->key));
	order = memcmp(VARDATA_ANY(key), VARDATA_ANY(position->key), length);
	if (order == 0)
		order = (int) VARSIZE_ANY_EXHDR(key) - (int) VARSIZE_ANY_EXHDR(position->key);
	return order > 0;
}

/* Record how far the run has come; with "finished" that it has come to the end. */
static void
write_position(Source *source, const Position *position, int64 rows, bool finished)
{
	Oid			types[5] = {INT4OID, TIMESTAMPTZOID, TEXTOID, INT8OID, BOOLOID};
	Datum		values[5] = {Int32GetDatum(source->id.source_id), TimestampTzGetDatum(position->at),
		PointerGetDatum(position->key), Int64GetDatum(rows), BoolGetDatum(finished)};
	char		nulls[5] = {' ', ' ', position->key == NULL ? 'n' : ' ', ' ', ' '};
	EngineScope scope;

	engine_enter(&scope, source->config->owner);
	SPI_connect();
	if (SPI_execute_with_args("UPDATE loyalty.source SET"
							  " backfilled_at = CASE WHEN $3 IS NULL THEN backfilled_at ELSE $2 END,"
							  " backfilled_key = coalesce($3, backfilled_key),"
							  " backfilled_rows = backfilled_rows + $4,"
							  " backfill_finished_at = CASE WHEN $5 THEN pg_catalog.now() END"
							  " WHERE source_id = $1",
							  5, types, values, nulls, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not record the progress of a backfill");
	SPI_finish();
	engine_leave(&scope);
}

/*
 * Listing
 */

typedef struct Listing
{
	Backfill   *backfill;
	Source	   *source;
	HeapTuple	tuple;
	TupleDesc	desc;
	SourceRow	row;
} Listing;

static void
list_row(void *arg)
{
	Listing    *listing = arg;

	current_read_tuple(listing->source, listing->tuple, listing->desc,
					   GetCurrentTransactionStartTimestamp(), CurrentMemoryContext, &listing->row);
}

/* Read a row; answers what is wrong with it, which is raised where the source is to fail. */
static ErrorData *
read_row(Listing *listing, HeapTuple tuple, TupleDesc desc)
{
	listing->tuple = tuple;
	listing->desc = desc;
	if (!listing->source->fail)
		return attempt(list_row, listing);
	list_row(listing);
	return NULL;
}

/* A row that cannot even be read goes the way of one that fails to earn. */
static void
defer_row(Listing *listing, ErrorData *error)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(listing->desc, &TTSOpsHeapTuple);
	SourceScope scope;
	text	   *key;

	ExecStoreHeapTuple(listing->tuple, slot, false);
	source_enter(listing->source, &scope);
	key = source_read_key(listing->source, slot);
	source_leave(listing->source, &scope);
	ExecDropSingleTupleTableSlot(slot);
	if (key != NULL)
	{
		deferred_write(listing->source, key, NULL, 0, error);
		listing->backfill->deferred++;
	}
}

/* Whether the pass is about this purchase. */
static bool
is_wanted(PassList *list, const text *key, const text *ref, bool counts, TimestampTz at)
{
	Source	   *source = list->source;

	if (ref == NULL)
		return false;
	if (list->backfill->first_pass)
		return is_past(&list->position, at, key);
	return counts &&
		!judge_has_entries(list->store, member_resolve(source->config, source->program, ref),
						   source->id.source_id, key) &&
		(source->program->auto_enroll ||
		 store_member_exists(list->store, member_resolve(source->config, source->program, ref))) &&
		!deferred_has(source, key);
}

void
backfill_list(PassList *list, text *key, const text *ref, bool counts, TimestampTz at)
{
	TupleTableSlot *slot = list->slot;

	if (!counts)
		at = DT_NOBEGIN;
	if (!is_wanted(list, key, ref, counts, at))
		return;
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, 2 * sizeof(bool));
	slot->tts_values[0] = TimestampTzGetDatum(at);
	slot->tts_values[1] = PointerGetDatum(key);
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(list->sort, slot);
	list->backfill->listed++;
}

/* List the rows of the table. */
static void
list_rows(PassList *list)
{
	Backfill   *backfill = list->backfill;
	Source	   *source = list->source;
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty row",
													  ALLOCSET_DEFAULT_SIZES);
	EngineScope scope;
	Portal		portal;
	char	   *sql;
	Listing		listing = {.backfill = backfill, .source = source};

	owner_enter(&scope, source->owner);
	SPI_connect();
	sql = psprintf("SELECT %s FROM %s", current_select_list(source), current_relation_name(source));
	portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, 0);
	for (;;)
	{
		uint64		i;

		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		if (SPI_processed == 0)
			break;
		for (i = 0; i < SPI_processed; i++)
		{
			ErrorData  *error;
			MemoryContext spi = MemoryContextSwitchTo(row_context);

			CHECK_FOR_INTERRUPTS();
			error = read_row(&listing, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
			if (error != NULL)
			{
				/* Later passes find again what the first one deferred. */
				if (backfill->first_pass)
					defer_row(&listing, error);
			}
			else
				backfill_list(list, listing.row.key, listing.row.ref, listing.row.counts, listing.row.at);
			MemoryContextSwitchTo(spi);
			MemoryContextReset(row_context);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	engine_leave(&scope);
	MemoryContextDelete(row_context);
}

/* Make the list of this pass, in order of time. */
static void
make_list(Backfill *backfill)
{
	AttrNumber	columns[] = {1, 2};
	Oid			operators[] = {TIMESTAMPTZ_LESS_OPERATOR, TextLessOperator};
	Oid			collations[] = {InvalidOid, C_COLLATION_OID};
	bool		nulls_first[] = {false, false};
	PassList	list = {.backfill = backfill, .source = open_source(backfill->source_id)};
	Snapshot	snapshot;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(backfill->desc, &TTSOpsMinimalTuple);

	backfill->listed = 0;
	backfill->done = 0;
	list.sort = tuplesort_begin_heap(backfill->desc, 2, columns, operators, collations, nulls_first,
								work_mem, NULL,
#if PG_VERSION_NUM >= 150000
								TUPLESORT_NONE
#else
								false
#endif
		);
	read_position(list.source, &list.position);
	list.slot = MakeSingleTupleTableSlot(backfill->desc, &TTSOpsVirtual);
	list.store = store_open(list.source->config, false);
	snapshot = store_snapshot();
	store_begin_read(list.store, snapshot);
	if (list.source->query != NULL)
		backfill_list_query(&list);
	else
		list_rows(&list);
	store_end_read(list.store);
	store_close(list.store);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(list.slot);
	tuplesort_performsort(list.sort);
	while (tuplesort_gettupleslot(list.sort, true, false, slot, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_puttupleslot(backfill->keys, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplesort_end(list.sort);
}

/*
 * Batches
 */

/* The keys of the next batch; returns how many, and the last one as the position reached. */
static int
next_keys(Backfill *backfill, text **keys, Position *position)
{
	int			nkeys = 0;

	while (nkeys < backfill->batch_size &&
		   tuplestore_gettupleslot(backfill->keys, true, false, backfill->slot))
	{
		bool		isnull;

		position->at = DatumGetTimestampTz(slot_getattr(backfill->slot, 1, &isnull));
		keys[nkeys] = DatumGetTextPCopy(slot_getattr(backfill->slot, 2, &isnull));
		position->key = keys[nkeys];
		nkeys++;
	}
	/* What came from disk lies in this batch's memory, and must not be freed after it. */
	ExecClearTuple(backfill->slot);
	return nkeys;
}

/* The rows with the given keys, which come as one array a key part, locked. */
static char *
rows_query(Source *source, Oid *types)
{
	StringInfoData sql;
	char	   *condition;
	int			i;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM %s WHERE ",
					 current_select_list(source), current_relation_name(source));
	if (source->nkeys == 1)
		appendStringInfoString(&sql, current_key_condition(source, "ANY ($%d)", types));
	else
	{
		condition = current_key_condition(source, "loyalty_keys.k%d", types);
		appendStringInfoString(&sql, "EXISTS (SELECT FROM ROWS FROM (");
		for (i = 1; i <= source->nkeys; i++)
			appendStringInfo(&sql, "%spg_catalog.unnest($%d)", i > 1 ? ", " : "", i);
		appendStringInfoString(&sql, ") AS loyalty_keys (");
		for (i = 1; i <= source->nkeys; i++)
			appendStringInfo(&sql, "%sk%d", i > 1 ? ", " : "", i);
		appendStringInfo(&sql, ") WHERE %s)", condition);
	}
	appendStringInfoString(&sql, " FOR SHARE");
	return sql.data;
}

/* The keys of a batch as one array a key part; "types" become array types. */
static void
key_arrays(Source *source, text **keys, int nkeys, Oid *types, Datum *arrays)
{
	Datum	  **values = palloc(sizeof(Datum *) * source->nkeys);
	char	   *parts[MAX_KEY_PARTS];
	int			part;
	int			i;

	for (part = 0; part < source->nkeys; part++)
		values[part] = palloc(sizeof(Datum) * nkeys);
	for (i = 0; i < nkeys; i++)
	{
		source_split_key(source, keys[i], parts);
		for (part = 0; part < source->nkeys; part++)
			values[part][i] = current_key_value(types[part], parts[part]);
	}
	for (part = 0; part < source->nkeys; part++)
	{
		int16		length;
		bool		by_value;
		char		align;

		get_typlenbyvalalign(types[part], &length, &by_value, &align);
		arrays[part] = PointerGetDatum(construct_array(values[part], nkeys, types[part],
													   length, by_value, align));
		types[part] = get_array_type(types[part]);
	}
}

/* Read the rows of a batch as they are now, and reconcile them. */
static void
work_batch(Backfill *backfill, Source *source, text **keys, int nkeys)
{
	PurchasePile *pile = purchase_pile_begin();
	Oid			types[MAX_KEY_PARTS];
	Datum		arrays[MAX_KEY_PARTS];
	Listing		listing = {.backfill = backfill, .source = source};
	ReconcileResult result;
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty row",
													  ALLOCSET_DEFAULT_SIZES);
	EngineScope scope;
	char	   *sql;
	uint64		i;

	owner_enter(&scope, source->owner);
	SPI_connect();
	sql = rows_query(source, types);
	key_arrays(source, keys, nkeys, types, arrays);
	if (SPI_execute_with_args(sql, source->nkeys, types, arrays, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read source \"%s\"", source->name);
	for (i = 0; i < SPI_processed; i++)
	{
		ErrorData  *error;
		MemoryContext spi = MemoryContextSwitchTo(row_context);

		CHECK_FOR_INTERRUPTS();
		error = read_row(&listing, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		if (error != NULL)
			defer_row(&listing, error);
		else if (listing.row.ref != NULL)
		{
			Purchase	purchase;

			source_row_purchase(&listing.row,
								member_resolve(source->config, source->program, listing.row.ref), &purchase);
			purchase_pile_put(pile, &purchase);
		}
		MemoryContextSwitchTo(spi);
		MemoryContextReset(row_context);
	}
	SPI_finish();
	engine_leave(&scope);

	purchase_pile_sort(pile);
	reconcile(source, pile, true, &result);
	purchase_pile_end(pile);
	backfill->posted += result.posted;
	backfill->deferred += result.deferred;
	MemoryContextDelete(row_context);
}

/* One batch; false when the list is at its end. */
static bool
next_batch(Backfill *backfill)
{
	MemoryContext batch_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty batch",
														ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch_context);
	text	  **keys = palloc(sizeof(text *) * backfill->batch_size);
	Position	position = {DT_NOBEGIN, NULL};
	int			nkeys = next_keys(backfill, keys, &position);

	if (nkeys > 0)
	{
		Source	   *source = open_source(backfill->source_id);

		give_way();
		if (source->query != NULL)
			backfill_work_query(backfill, source, keys, nkeys);
		else
			work_batch(backfill, source, keys, nkeys);
		/* What a later pass finds lies before the position already reached. */
		if (!backfill->first_pass)
			position.key = NULL;
		write_position(source, &position, nkeys, false);
		backfill->done += nkeys;
		ereport(NOTICE,
				(errmsg("backfill of %s: %lld of %lld purchases", backfill->name,
						(long long) backfill->done, (long long) backfill->listed)));
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch_context);
	return nkeys > 0;
}

/* Throw the list away. */
static void
clear_list(Backfill *backfill)
{
	if (backfill->keys != NULL)
		tuplestore_end(backfill->keys);
	backfill->keys = NULL;
}

/* Start the list anew: a tuplestore is filled by the transaction that made it. */
static void
begin_pass(Backfill *backfill)
{
	clear_list(backfill);
	backfill->keys = tuplestore_begin_heap(false, true, work_mem);
	make_list(backfill);
}

/*
 * Passes over one source until nothing is left: the first takes all rows past
 * the position of an earlier run, the next ones what has slipped through it (a
 * row whose key changed meanwhile).  False when a transaction around us lets
 * no further batch be committed.
 */
static bool
backfill_source(Backfill *backfill)
{
	Source	   *source;
	Position	nowhere = {DT_NOBEGIN, NULL};
	int64		posted;

	backfill->first_pass = true;
	do
	{
		posted = backfill->posted;
		begin_pass(backfill);
		while (next_batch(backfill))
			if (!batches_next(backfill->batches) && backfill->done < backfill->listed)
				return false;
		if (!backfill->first_pass && backfill->posted == posted)
			break;
		backfill->first_pass = false;
	} while (true);
	source = open_source(backfill->source_id);
	write_position(source, &nowhere, 0, true);
	ereport(NOTICE,
			(errmsg("backfill of %s is complete", backfill->name),
			 backfill->deferred == 0 ? 0
			 : errdetail_plural("%lld purchase was deferred.", "%lld purchases were deferred.",
								backfill->deferred, (long long) backfill->deferred)));
	return true;
}

/* The list outlives transactions, so nobody else removes its file. */
static void
backfill_and_clear(Backfill *backfill)
{
	PG_TRY();
	{
		backfill->finished = backfill_source(backfill);
	}
	PG_CATCH();
	{
		clear_list(backfill);
		PG_RE_THROW();
	}
	PG_END_TRY();
	clear_list(backfill);
}

/* backfill(source, batch_size, program) */
Datum
loyalty_backfill(PG_FUNCTION_ARGS)
{
	int			batch_size = batch_size_argument(fcinfo, 1, 10000);
	Config	   *config;
	List	   *sources;
	Batches		batches;
	ListCell   *cell;
	MemoryContext caller = CurrentMemoryContext;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be null")));
	batches_begin(fcinfo, &batches);

	config = config_get();
	sources = source_find(config, PG_GETARG_TEXT_PP(0),
						  access_program_if_named(config, text_argument(fcinfo, 2), ACCESS_READ));
	foreach(cell, sources)
	{
		Source	   *source = existing_source(config, lfirst_int(cell));

		source_check_owner(source, true);
		if (!access_may(config, source->program, ACCESS_MANAGE))
			access_require(config, source->program, ACCESS_OPERATE);
	}

	foreach(cell, sources)
	{
		Backfill	backfill;

		memset(&backfill, 0, sizeof(backfill));
		backfill.source_id = lfirst_int(cell);
		backfill.name = pstrdup(existing_source(config_get(), backfill.source_id)->name);
		backfill.batch_size = batch_size;
		backfill.batches = &batches;
		backfill.desc = list_row_type(list_columns, lengthof(list_columns));
		backfill.slot = MakeSingleTupleTableSlot(backfill.desc, &TTSOpsMinimalTuple);
		backfill_and_clear(&backfill);
		ExecDropSingleTupleTableSlot(backfill.slot);
		if (!backfill.finished || (lnext(sources, cell) != NULL && !batches_next(&batches)))
			break;
	}
	batches_end(&batches);
	MemoryContextSwitchTo(caller);
	PG_RETURN_VOID();
}
