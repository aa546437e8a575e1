/*
 * source_purchases.c
 *		What the shop sold: members' purchases, and everybody else's.
 *
 * The ledger knows the purchases that it judged.  How they compare with those
 * of guests, and where they took place, only the shop's rows say.  So each
 * source is read once more, by the same expressions and with the same rights as
 * by backfill and verify(), one after the other and in bounded memory.
 *
 * Rows come by the thousand, and are read within one subtransaction as long as
 * all goes well.  What cannot be read is left out, and counted in a warning: it
 * did not earn either.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/current.h"
#include "earning/holders.h"
#include "earning/query.h"
#include "earning/rate.h"
#include "ledger/access.h"
#include "ledger/member.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_source_purchases);

/* Rows fetched at a time, and read in one subtransaction. */
#define FETCH_SIZE 1000

typedef struct Sales
{
	Config	   *config;
	Program    *program;
	Tuplestorestate *result;
	TupleDesc	desc;
	TimestampTz now;
	SPIPlanPtr	judged;			/* what the ledger says of a purchase; made when first needed */
	MemoryContext context;		/* of the source at hand */
	MemoryContext row_context;
	Source	   *source;
	/* of a query: its scan, and the purchase at hand */
	QueryScan  *scan;
	QueryPurchase read;
	/* of a table: the rows at hand */
	TupleTableSlot *slot;
	Portal		portal;
	SPITupleTable *table;
	uint64		count;
	uint64		next;
	/* what could not be read */
	int64		unreadable;
	const char *why;			/* of the first of them */
} Sales;

/*
 * One purchase
 */

/* What the ledger knows of a purchase; false: nothing. */
static bool
find_judged(Sales *sales, const text *ref, text *key, TimestampTz *at, Numeric *amount)
{
	Oid			types[3] = {INT8OID, INT4OID, TEXTOID};
	int64		member_id = holder_of(sales->config, sales->program, GetActiveSnapshot(),
									  member_resolve(sales->config, sales->program, ref),
									  sales->source->id.source_id, key);
	Datum		values[3] = {Int64GetDatum(member_id), Int32GetDatum(sales->source->id.source_id), PointerGetDatum(key)};
	MemoryContext caller = CurrentMemoryContext;
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;
	bool		found;
	Datum		value;

	if (sales->judged == NULL)
		sales->judged = SPI_prepare("SELECT pg_catalog.min(e.occurred_at) FILTER (WHERE e.revision = 1), pg_catalog.sum(e.amount)"
									" FROM loyalty.entry e WHERE e.member_id = $1 AND e.source_id = $2 AND e.source_key = $3",
									3, types);
	SPI_execute_plan(sales->judged, values, NULL, true, 0);
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	value = SPI_getbinval(row, desc, 1, &isnull);
	found = !isnull;
	if (found)
	{
		*at = DatumGetTimestampTz(value);
		value = SPI_getbinval(row, desc, 2, &isnull);
		MemoryContextSwitchTo(caller);
		*amount = isnull ? NULL : DatumGetNumericCopy(value);
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(caller);
	return found;
}

static bool
is_foreign(const Program *program, const text *currency)
{
	return currency != NULL &&
		(program->currency == NULL ||
		 VARSIZE_ANY_EXHDR(currency) != strlen(program->currency) ||
		 memcmp(VARDATA_ANY(currency), program->currency, strlen(program->currency)) != 0);
}

/* What the lines come to in the program's currency, by the rates of that time. */
static Numeric
total(const Sales *sales, const PurchaseLine *lines, int nlines, TimestampTz at)
{
	Datum		sum = (Datum) 0;
	int			i;

	for (i = 0; i < nlines; i++)
	{
		Datum		amount = NumericGetDatum(lines[i].amount);

		if (is_foreign(sales->program, lines[i].currency))
			amount = DirectFunctionCall2(numeric_mul, amount,
										 NumericGetDatum(rate_find(sales->config, sales->program, lines[i].currency, at)));
		sum = i == 0 ? amount : DirectFunctionCall2(numeric_add, sum, amount);
	}
	return DatumGetNumeric(sum);
}

/*
 * Put a purchase into the result.  The ledger is asked only where the rows do
 * not say all: for their time, and for the rates that the purchase was judged
 * by.
 */
static void
put_sale(Sales *sales, text *key, text *ref, const PurchaseLine *lines, int nlines)
{
	Source	   *source = sales->source;
	const text *channel = lines[0].channel;
	const text *store = lines[0].store;
	TimestampTz at = DT_NOBEGIN;
	TimestampTz judged_at;
	Numeric		amount = NULL;
	bool		foreign = false;
	bool		known = true;
	Datum		values[8];
	bool		nulls[8] = {false};
	int			i;

	for (i = 0; i < nlines; i++)
	{
		const PurchaseLine *line = &lines[i];

		foreign = foreign || is_foreign(sales->program, line->currency);
		if (TIMESTAMP_IS_NOBEGIN(line->at))
			known = false;
		else if (TIMESTAMP_IS_NOBEGIN(at) || line->at < at)
			at = line->at;
		if (channel != NULL && !same_text(line->channel, channel))
			channel = NULL;
		if (store != NULL && !same_text(line->store, store))
			store = NULL;
	}
	if (ref != NULL && (!known || foreign) && find_judged(sales, ref, key, &judged_at, &amount) && !known)
		at = judged_at;
	if (!foreign || amount == NULL)
		amount = total(sales, lines, nlines, TIMESTAMP_IS_NOBEGIN(at) ? sales->now : at);

	values[0] = Int32GetDatum(source->id.source_id);
	values[1] = CStringGetTextDatum(source->name);
	values[2] = PointerGetDatum(key);
	values[3] = PointerGetDatum(ref);
	nulls[3] = ref == NULL;
	values[4] = TimestampTzGetDatum(at);
	nulls[4] = TIMESTAMP_IS_NOBEGIN(at);
	values[5] = NumericGetDatum(amount);
	values[6] = PointerGetDatum(channel);
	nulls[6] = channel == NULL;
	values[7] = PointerGetDatum(store);
	nulls[7] = store == NULL;
	tuplestore_putvalues(sales->result, sales->desc, values, nulls);
}

static void
note_unreadable(Sales *sales, const ErrorData *error)
{
	if (sales->unreadable++ == 0)
		sales->why = MemoryContextStrdup(sales->context, error->message);
}

/* The source as a whole cannot be read: figures without it would be wrong. */
static void
raise_broken(const Source *source, const ErrorData *error)
{
	const char *owner = GetUserNameFromId(source->owner, true);

	ereport(ERROR,
			(errcode(error->sqlerrcode),
			 errmsg("source \"%s\" cannot be read: %s", source->name, error->message),
			 error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE && owner != NULL
			 ? errdetail("It is read with the rights of its owner, role \"%s\".", owner) : 0,
			 errhint("Mend the source, or end it with loyalty.detach.")));
}

/*
 * The rows of a table
 */

/* What is left of the rows at hand; an error leaves "next" behind the row that it is about. */
static void
read_rows(void *arg)
{
	Sales	   *sales = arg;
	MemoryContext caller = CurrentMemoryContext;

	while (sales->next < sales->count)
	{
		SourceRow	row;
		SourceScope scope;
		bool		counts;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(sales->row_context);
		MemoryContextSwitchTo(sales->row_context);
		ExecStoreHeapTuple(sales->table->vals[sales->next++], sales->slot, false);
		source_enter(sales->source, &scope);
		counts = source_read_sale(sales->source, sales->slot, &row);
		source_leave(sales->source, &scope);
		if (counts)
			put_sale(sales, row.key, row.ref, &row.line, 1);
		MemoryContextSwitchTo(caller);
	}
}

static void
open_table(void *arg)
{
	Sales	   *sales = arg;
	Source	   *source = sales->source;
	EngineScope scope;

	owner_enter(&scope, source->owner);
	sales->portal = SPI_cursor_open_with_args(NULL, psprintf("SELECT %s FROM %s", current_select_list(source),
															 current_relation_name(source)),
											  0, NULL, NULL, NULL, true, 0);
	engine_leave(&scope);
}

static void
read_table(Sales *sales)
{
	ErrorData  *error = attempt(open_table, sales);

	if (error != NULL)
		raise_broken(sales->source, error);
	sales->slot = MakeSingleTupleTableSlot(sales->portal->tupDesc, &TTSOpsHeapTuple);
	do
	{
		EngineScope scope;

		owner_enter(&scope, sales->source->owner);
		SPI_cursor_fetch(sales->portal, true, FETCH_SIZE);
		engine_leave(&scope);
		sales->table = SPI_tuptable;
		sales->count = SPI_processed;
		sales->next = 0;
		MemoryContextSwitchTo(sales->context);
		while (sales->next < sales->count)
		{
			error = attempt(read_rows, sales);
			if (error != NULL)
			{
				note_unreadable(sales, error);
				FreeErrorData(error);
			}
		}
		ExecClearTuple(sales->slot);
		SPI_freetuptable(sales->table);
	} while (sales->count > 0);
	ExecDropSingleTupleTableSlot(sales->slot);
	SPI_cursor_close(sales->portal);
}

/*
 * The purchases of a query
 */

static void
begin_scan(void *arg)
{
	Sales	   *sales = arg;

	sales->scan = query_scan_begin(sales->source, sales->now);
}

static void
put_read(void *arg)
{
	Sales	   *sales = arg;
	const QueryPurchase *read = &sales->read;

	put_sale(sales, read->key, read->ref, read->lines, read->nlines);
}

static void
read_query(Sales *sales)
{
	ErrorData  *error = attempt(begin_scan, sales);

	if (error != NULL)
		raise_broken(sales->source, error);
	MemoryContextSwitchTo(sales->row_context);
	while (query_scan_next(sales->scan, &sales->read))
	{
		error = sales->read.error;
		if (error == NULL && sales->read.nlines > 0)
			error = attempt(put_read, sales);
		if (error != NULL)
			note_unreadable(sales, error);
		MemoryContextReset(sales->row_context);
	}
	MemoryContextSwitchTo(sales->context);
	query_scan_end(sales->scan);
}

/*
 * The sources
 */

/* Compile the source for its own table; false: that is gone. */
static bool
open_source(Sales *sales, int32 source_id)
{
	Source	   *source = source_get(sales->config, source_id, InvalidOid);

	if (source != NULL && source->query == NULL)
		source = source_get(sales->config, source_id, source->root);
	sales->source = source;
	if (source == NULL)
		return false;
	if (source->query == NULL)
	{
		source_ready(source);
		if (source->broken != NULL)
			raise_broken(source, source->broken);
	}
	return true;
}

static void
read_source(Sales *sales, int32 source_id)
{
	sales->unreadable = 0;
	sales->scan = NULL;
	if (!open_source(sales, source_id))
		return;
	if (sales->source->query != NULL)
		read_query(sales);
	else
		read_table(sales);
	if (sales->unreadable > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("%lld purchases of source \"%s\" cannot be read", (long long) sales->unreadable, sales->source->name),
				 errdetail("They are left out. The first one: %s.", sales->why),
				 errhint("loyalty.deferred lists those of members.")));
}

/* Numbers of the attached sources. */
static List *
list_sources(const Program *program)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(program->name)};
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;
	uint64		i;

	SPI_execute_with_args("SELECT source_id FROM loyalty.source WHERE attached AND program = $1 ORDER BY source_id",
						  1, types, values, NULL, true, 0);
	MemoryContextSwitchTo(caller);
	for (i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		result = lappend_int(result, DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	}
	return result;
}

/* source_purchases(program) → setof (source_id, source, key, member, at, amount, channel, store) */
Datum
loyalty_source_purchases(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	Sales		sales;
	ListCell   *cell;

	memset(&sales, 0, sizeof(sales));
	sales.config = config_get();
	sales.program = access_program(sales.config, text_argument(fcinfo, 0), ACCESS_READ);
	sales.now = GetCurrentTransactionStartTimestamp();
	sales.result = result_begin(fcinfo, &sales.desc);
	sales.context = AllocSetContextCreate(caller, "loyalty source", ALLOCSET_DEFAULT_SIZES);
	sales.row_context = AllocSetContextCreate(caller, "loyalty row", ALLOCSET_DEFAULT_SIZES);
	engine_enter(&scope, sales.config->owner);
	SPI_connect();
	MemoryContextSwitchTo(caller);
	foreach(cell, list_sources(sales.program))
	{
		MemoryContextSwitchTo(sales.context);
		read_source(&sales, lfirst_int(cell));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(sales.context);
		MemoryContextReset(sales.row_context);
	}
	SPI_finish();
	engine_leave(&scope);
	MemoryContextDelete(sales.row_context);
	MemoryContextDelete(sales.context);
	PG_RETURN_NULL();
}
