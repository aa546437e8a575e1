/*
 * query_scan.c
 *		All purchases of a query, one after the other.
 *
 * The rows stream sorted by key.  Should one of them make the query fail, its
 * keys alone are listed, which needs none of its other columns, and the
 * purchases are read by them, so that the others can be read nevertheless.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "earning/attempt.h"
#include "earning/query_private.h"
#include "ledger/posting.h"

/* Rows fetched at a time, and keys read at a time. */
#define FETCH_SIZE 1000

struct QueryScan
{
	Source	   *source;
	TimestampTz now;
	MemoryContext context;		/* of the scan */
	MemoryContext batch;		/* of what is at hand */
	Portal		portal;
	const char *statement;		/* to open the portal with */
	SPITupleTable *table;
	uint64		count;
	uint64		next;
	bool		by_keys;
	QueryPurchase *purchases;	/* then: read by their keys */
	text	   *last;			/* key of the last purchase that was given */
	/* rows of one purchase */
	QueryPurchase *purchase;
	HeapTuple  *rows;
	int			nrows;
};

static void
open_portal(void *arg)
{
	QueryScan  *scan = arg;
	EngineScope scope;

	query_enter(scan->source, &scope);
	scan->portal = SPI_cursor_open_with_args(NULL, scan->statement, 0, NULL, NULL, NULL, true, 0);
	query_leave(&scope);
}

static void
fetch_rows(void *arg)
{
	QueryScan  *scan = arg;
	EngineScope scope;

	if (scan->table != NULL)
		SPI_freetuptable(scan->table);
	scan->table = NULL;
	scan->next = 0;
	scan->count = 0;
	query_enter(scan->source, &scope);
	SPI_cursor_fetch(scan->portal, true, FETCH_SIZE);
	query_leave(&scope);
	scan->table = SPI_tuptable;
	scan->count = SPI_processed;
}

/* List keys instead; raises what stands in the way of that too. */
static void
fall_back(QueryScan *scan)
{
	scan->by_keys = true;
	scan->table = NULL;
	scan->next = 0;
	scan->count = 0;
	if (scan->portal != NULL)
		SPI_cursor_close(scan->portal);
	scan->portal = NULL;
	scan->statement = psprintf("SELECT DISTINCT l.key::pg_catalog.text COLLATE pg_catalog.\"C\" FROM (%s) AS l"
							   " WHERE l.key IS NOT NULL ORDER BY 1", scan->source->query);
	open_portal(scan);
}

QueryScan *
query_scan_begin(Source *source, TimestampTz now)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "loyalty query", ALLOCSET_DEFAULT_SIZES);
	QueryScan  *scan = MemoryContextAllocZero(context, sizeof(QueryScan));

	query_ready(source);
	scan->source = source;
	scan->now = now;
	scan->context = context;
	scan->batch = AllocSetContextCreate(context, "loyalty query batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	scan->statement = psprintf("%sl.key IS NOT NULL%s", source->reader->lines, query_order());
	if (attempt(open_portal, scan) != NULL)
		fall_back(scan);
	MemoryContextSwitchTo(caller);
	return scan;
}

/* The next row, copied; NULL at the end.  Falls back where it fails. */
static HeapTuple
peek_row(QueryScan *scan)
{
	if (scan->next == scan->count)
	{
		MemoryContext caller = MemoryContextSwitchTo(scan->context);

		if (attempt(fetch_rows, scan) != NULL)
			fall_back(scan);
		MemoryContextSwitchTo(caller);
	}
	return scan->next < scan->count ? scan->table->vals[scan->next] : NULL;
}

static void
join_rows(void *arg)
{
	QueryScan  *scan = arg;

	query_take_rows(scan->source, scan->purchase, scan->rows, scan->nrows, scan->table->tupdesc, scan->now);
}

/* Gather the rows of the next key; false at the end, or where it fell back. */
static bool
stream_next(QueryScan *scan, QueryPurchase *purchase)
{
	int			capacity = 4;
	HeapTuple	row;

	scan->nrows = 0;
	scan->rows = palloc(sizeof(HeapTuple) * capacity);
	memset(purchase, 0, sizeof(*purchase));
	while ((row = peek_row(scan)) != NULL && !scan->by_keys)
	{
		text	   *key = query_row_key(row, scan->table->tupdesc);

		CHECK_FOR_INTERRUPTS();
		if (purchase->key == NULL)
			purchase->key = DatumGetTextPCopy(PointerGetDatum(key));
		else if (!same_text(purchase->key, key))
			break;
		if (scan->nrows == capacity)
		{
			capacity *= 2;
			scan->rows = repalloc_huge(scan->rows, sizeof(HeapTuple) * capacity);
		}
		scan->rows[scan->nrows++] = heap_copytuple(row);
		scan->next++;
	}
	if (scan->by_keys || scan->nrows == 0)
		return false;
	scan->purchase = purchase;
	purchase->error = attempt(join_rows, scan);
	return true;
}

/* The next keys of the list, read. */
static bool
read_batch(QueryScan *scan)
{
	MemoryContext caller = CurrentMemoryContext;
	uint64		i;

	fetch_rows(scan);
	MemoryContextReset(scan->batch);
	MemoryContextSwitchTo(scan->batch);
	scan->purchases = palloc0(sizeof(QueryPurchase) * Max(scan->count, 1));
	for (i = 0; i < scan->count; i++)
	{
		bool		isnull;

		scan->purchases[i].key = DatumGetTextPCopy(SPI_getbinval(scan->table->vals[i], scan->table->tupdesc,
																 1, &isnull));
	}
	query_read(scan->source, scan->purchases, (int) scan->count, false, scan->now);
	MemoryContextSwitchTo(caller);
	return scan->count > 0;
}

static bool
is_past(const text *key, const text *last)
{
	int			length = Min(VARSIZE_ANY_EXHDR(key), VARSIZE_ANY_EXHDR(last));
	int			order = memcmp(VARDATA_ANY(key), VARDATA_ANY(last), length);

	return order != 0 ? order > 0 : VARSIZE_ANY_EXHDR(key) > VARSIZE_ANY_EXHDR(last);
}

/* The next purchase of those read by their keys, which stay good as long as the batch. */
static bool
batch_next(QueryScan *scan, QueryPurchase *purchase)
{
	do
	{
		if (scan->next == scan->count && !read_batch(scan))
			return false;
		*purchase = scan->purchases[scan->next++];
	} while (scan->last != NULL && !is_past(purchase->key, scan->last));
	return true;
}

bool
query_scan_next(QueryScan *scan, QueryPurchase *purchase)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!scan->by_keys && stream_next(scan, purchase))
		{
			if (scan->last != NULL)
				pfree(scan->last);
			scan->last = (text *) MemoryContextAlloc(scan->context, VARSIZE_ANY(purchase->key));
			memcpy(scan->last, purchase->key, VARSIZE_ANY(purchase->key));
		}
		else if (!scan->by_keys || !batch_next(scan, purchase))
			return false;
		/* No ledger can hold longer ones. */
		if (VARSIZE_ANY_EXHDR(purchase->key) <= MAX_KEY_BYTES)
			return true;
	}
}

void
query_scan_end(QueryScan *scan)
{
	if (scan->table != NULL)
		SPI_freetuptable(scan->table);
	SPI_cursor_close(scan->portal);
	MemoryContextDelete(scan->context);
}
