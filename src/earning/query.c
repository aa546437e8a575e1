/*
 * query.c
 *		Attached queries: their rows read as lines of purchases.
 *
 * The query stands as a subquery in statements of ours that give its columns
 * in fixed places and types, sorted by key.  It runs with the rights of the
 * role that attached it and under settings that do not depend on who writes an
 * order.  For a few keys it is asked for "key = ANY (keys)", which PostgreSQL
 * pushes down to the indexes of the tables; that plan is kept.
 *
 * Lines of one key stand together in what comes back, so purchases are put
 * together as the rows stream.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/query.h"
#include "ledger/posting.h"

/* Rows fetched at a time, and keys read at a time, where all are gone through. */
#define FETCH_SIZE 1000

typedef struct QueryReader
{
	Oid			key_type;
	int32		key_typmod;
	FmgrInfo	key_input;
	FmgrInfo	key_output;
	Oid			key_ioparam;
	Oid			array_type;
	int16		length;
	bool		by_value;
	char		align;
	char	   *lines;			/* SELECT ... FROM (query); NULL: not ready */
	SPIPlanPtr	by_keys;		/* the same for an array of keys */
	MemoryContextCallback release;
} QueryReader;

/*
 * Rights and settings
 */

void
query_enter(const Source *source, EngineScope *scope)
{
	/* Beside source_pin_settings's: what the text of the query may mean, and its rows. */
	static const char *const pins[][2] = {
		{"standard_conforming_strings", "on"}, {"transform_null_equals", "off"}, {"row_security", "on"},
		{"lc_monetary", "C"}, {"lc_numeric", "C"}, {"lc_time", "C"}, {"xmloption", "content"}
	};
	int			i;

	if (!OidIsValid(source->owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", source->owner_name),
				 errdetail("The query of source \"%s\" runs with its rights.", source->name),
				 errhint("Detach the source and attach it again.")));
	owner_enter(scope, source->owner);
	source_pin_settings();
	for (i = 0; i < lengthof(pins); i++)
		(void) set_config_option(pins[i][0], pins[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

void
query_leave(EngineScope *scope)
{
	engine_leave(scope);
}

/*
 * Getting ready
 */

/* The reader goes with the configuration that it belongs to. */
static void
release_reader(void *arg)
{
	QueryReader *reader = arg;

	if (reader->by_keys != NULL)
		SPI_freeplan(reader->by_keys);
	reader->by_keys = NULL;
}

/* Ready for keys, which need the key type alone. */
static QueryReader *
reader_for_keys(Source *source)
{
	MemoryContext context = source->config->context;
	QueryReader reader;
	EngineScope scope;
	Oid			function;
	bool		is_varlena;

	if (source->reader != NULL)
		return source->reader;
	memset(&reader, 0, sizeof(reader));
	engine_enter(&scope, source->config->owner);
	parseTypeString(source->key_type, &reader.key_type, &reader.key_typmod,
#if PG_VERSION_NUM >= 160000
					NULL
#else
					false
#endif
		);
	engine_leave(&scope);
	/* "character" would be one character long; only of numeric the scale matters. */
	if (reader.key_type != NUMERICOID)
		reader.key_typmod = -1;
	getTypeInputInfo(reader.key_type, &function, &reader.key_ioparam);
	fmgr_info_cxt(function, &reader.key_input, context);
	getTypeOutputInfo(reader.key_type, &function, &is_varlena);
	fmgr_info_cxt(function, &reader.key_output, context);
	reader.array_type = get_array_type(reader.key_type);
	get_typlenbyvalalign(reader.key_type, &reader.length, &reader.by_value, &reader.align);

	source->reader = MemoryContextAlloc(context, sizeof(QueryReader));
	*source->reader = reader;
	source->reader->release.func = release_reader;
	source->reader->release.arg = source->reader;
	MemoryContextRegisterResetCallback(context, &source->reader->release);
	return source->reader;
}

void
query_key_type(Source *source, Oid *type, int32 *typmod)
{
	QueryReader *reader = reader_for_keys(source);

	*type = reader->key_type;
	*typmod = reader->key_typmod;
}

/* The statement that gives the lines, without its condition and its end. */
static char *
lines_statement(const char *query, const QueryShape *shape)
{
	StringInfoData sql;
	int			field;

	initStringInfo(&sql);
	for (field = 0; field < NFIELDS; field++)
	{
		const char *column = psprintf("l.%s", quote_identifier(source_field_names[field]));

		appendStringInfoString(&sql, field == 0 ? "SELECT " : ", ");
		if (!OidIsValid(shape->types[field]))
			column = "NULL";
		if (field == FIELD_AT)
			appendStringInfoString(&sql, OidIsValid(shape->types[field]) ? column : "NULL::pg_catalog.timestamptz");
		else if (field == FIELD_AMOUNT || field == FIELD_QUANTITY)
			appendStringInfo(&sql, "%s::pg_catalog.numeric", column);
		else if (field == FIELD_COUNTS)
			appendStringInfo(&sql, "%s::pg_catalog.bool", OidIsValid(shape->types[field]) ? column : "true");
		else if (field == FIELD_DATA)
			appendStringInfo(&sql, "%s::pg_catalog.jsonb", column);
		else
			appendStringInfo(&sql, "%s::pg_catalog.text COLLATE pg_catalog.\"C\"", column);
	}
	appendStringInfo(&sql, " FROM (%s) AS l WHERE ", query);
	return sql.data;
}

/* By key, and then by everything, so that lines always come in one order. */
static char *
order_by_key(void)
{
	StringInfoData sql;
	int			field;

	initStringInfo(&sql);
	appendStringInfo(&sql, " ORDER BY %d", FIELD_KEY + 1);
	for (field = 0; field < NFIELDS; field++)
		if (field != FIELD_KEY)
			appendStringInfo(&sql, ", %d", field + 1);
	return sql.data;
}

void
query_ready(Source *source)
{
	QueryReader *reader = reader_for_keys(source);
	QueryShape	shape;
	EngineScope scope;
	SPIPlanPtr	plan;
	char	   *lines;

	if (reader->lines != NULL)
		return;
	query_enter(source, &scope);
	SPI_connect();
	(void) query_parse(source->name, source->query, &shape);
	if (shape.types[FIELD_KEY] != reader->key_type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("keys of source \"%s\" are not of type %s any more", source->name, source->key_type),
				 errhint("Detach the source and attach it again.")));
	lines = lines_statement(source->query, &shape);
	plan = SPI_prepare(psprintf("%sl.key OPERATOR(pg_catalog.=) ANY ($1)%s", lines, order_by_key()),
					   1, &reader->array_type);
	if (plan == NULL)
		elog(ERROR, "could not prepare to read source \"%s\"", source->name);
	reader->lines = MemoryContextStrdup(source->config->context, lines);
	SPI_keepplan(plan);
	reader->by_keys = plan;
	SPI_finish();
	query_leave(&scope);
}

/*
 * Lines
 */

/* A text column, copied into the caller's memory; NULL for null. */
static text *
line_text(HeapTuple row, TupleDesc desc, SourceField field)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, field + 1, &isnull);

	return isnull ? NULL : DatumGetTextPCopy(value);
}

static Numeric
line_number(HeapTuple row, TupleDesc desc, SourceField field)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, field + 1, &isnull);

	return isnull ? NULL : source_number(value, field);
}

/* The member of a line; an empty text is none. */
static text *
line_member(HeapTuple row, TupleDesc desc)
{
	text	   *ref = line_text(row, desc, FIELD_MEMBER);

	return ref == NULL || VARSIZE_ANY_EXHDR(ref) == 0 ? NULL : ref;
}

/* Room for one more line, zeroed. */
static PurchaseLine *
new_line(QueryPurchase *purchase)
{
	PurchaseLine *line;

	if (purchase->nlines == 0)
		purchase->lines = palloc(sizeof(PurchaseLine) * 4);
	else if (purchase->nlines >= 4 && (purchase->nlines & (purchase->nlines - 1)) == 0)
		purchase->lines = repalloc_huge(purchase->lines, sizeof(PurchaseLine) * purchase->nlines * 2);
	line = &purchase->lines[purchase->nlines++];
	memset(line, 0, sizeof(*line));
	return line;
}

/* Whose it is: LY010 when two lines disagree. */
static void
take_member(const Source *source, QueryPurchase *purchase, text *ref)
{
	if (ref == NULL)
		return;
	if (purchase->ref == NULL)
		purchase->ref = ref;
	else if (!same_text(purchase->ref, ref))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_SOURCE_CONFLICT),
				 errmsg("lines of purchase \"%s\" of source \"%s\" name different members",
						text_to_cstring(purchase->key), source->name),
				 errdetail("One is \"%s\", another one is \"%s\".", text_to_cstring(purchase->ref),
						   text_to_cstring(ref)),
				 errhint("A purchase is one member's: let the key tell them apart.")));
}

/* Add what one row says, in CurrentMemoryContext. */
static void
take_line(const Source *source, QueryPurchase *purchase, HeapTuple row, TupleDesc desc, TimestampTz now)
{
	bool		isnull;
	bool		counts = DatumGetBool(SPI_getbinval(row, desc, FIELD_COUNTS + 1, &isnull)) && !isnull;
	Numeric		amount = counts ? line_number(row, desc, FIELD_AMOUNT) : NULL;
	PurchaseLine *line;
	Datum		value;

	purchase->found = true;
	if (amount == NULL)
		return;
	take_member(source, purchase, line_member(row, desc));
	line = new_line(purchase);
	line->amount = amount;
	value = SPI_getbinval(row, desc, FIELD_AT + 1, &isnull);
	line->at = isnull ? DT_NOBEGIN
		: source_instant(source, value, getBaseType(TupleDescAttr(desc, FIELD_AT)->atttypid));
	line->quantity = line_number(row, desc, FIELD_QUANTITY);
	line->item = line_text(row, desc, FIELD_ITEM);
	line->category = line_text(row, desc, FIELD_CATEGORY);
	line->channel = line_text(row, desc, FIELD_CHANNEL);
	line->store = line_text(row, desc, FIELD_STORE);
	line->currency = line_text(row, desc, FIELD_CURRENCY);
	value = SPI_getbinval(row, desc, FIELD_DATA + 1, &isnull);
	if (!isnull)
		line->data = (Jsonb *) PG_DETOAST_DATUM_COPY(value);
	if (purchase->nlines == 1 || (isnull ? now : line->at) < purchase->at)
		purchase->at = TIMESTAMP_IS_NOBEGIN(line->at) ? now : line->at;
}

/* A purchase none of whose lines counts is its first line's member's. */
static void
take_left_out(QueryPurchase *purchase, HeapTuple *rows, int nrows, TupleDesc desc)
{
	int			i;

	for (i = 0; i < nrows && purchase->ref == NULL; i++)
		purchase->ref = line_member(rows[i], desc);
}

/* Put a purchase together from all rows of its key. */
static void
take_rows(const Source *source, QueryPurchase *purchase, HeapTuple *rows, int nrows, TupleDesc desc,
		  TimestampTz now)
{
	text	   *key = purchase->key;
	int			i;

	memset(purchase, 0, sizeof(*purchase));
	purchase->key = key;
	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		take_line(source, purchase, rows[i], desc, now);
	}
	if (purchase->nlines == 0)
		take_left_out(purchase, rows, nrows, desc);
}

/* The key of a row, in the row's own memory. */
static text *
row_key(HeapTuple row, TupleDesc desc)
{
	bool		isnull;

	return DatumGetTextPP(SPI_getbinval(row, desc, FIELD_KEY + 1, &isnull));
}

void
query_purchase(const QueryPurchase *read, int64 member_id, Purchase *purchase)
{
	memset(purchase, 0, sizeof(*purchase));
	purchase->member_id = member_id;
	purchase->ref = read->ref;
	purchase->key = read->key;
	purchase->counts = read->nlines > 0;
	purchase->at = read->at;
	purchase->nlines = read->nlines;
	purchase->lines = read->lines;
}

/*
 * By keys
 */

text *
query_key_text(Source *source, Datum value)
{
	char	   *written = OutputFunctionCall(&source->reader->key_output, value);
	int			length = strlen(written);

	/* Blanks that pad it are not part of it. */
	if (source->reader->key_type == BPCHAROID)
		while (length > 0 && written[length - 1] == ' ')
			length--;
	return cstring_to_text_with_len(written, length);
}

typedef struct Reading
{
	Source	   *source;
	QueryPurchase *purchases;
	int			from;			/* what is being read: purchases[from .. to) */
	int			to;
	bool		live;
	TimestampTz now;
} Reading;

/* The keys being read as an array of their type. */
static Datum
key_array(const Reading *reading)
{
	QueryReader *reader = reading->source->reader;
	int			nkeys = reading->to - reading->from;
	Datum	   *values = palloc(sizeof(Datum) * nkeys);
	int			i;

	for (i = 0; i < nkeys; i++)
		values[i] = InputFunctionCall(&reader->key_input, text_to_cstring(reading->purchases[reading->from + i].key),
									  reader->key_ioparam, -1);
	return PointerGetDatum(construct_array(values, nkeys, reader->key_type,
										   reader->length, reader->by_value, reader->align));
}

/*
 * A transaction with one snapshot for all cannot see lines that others have
 * committed since, though it may well see the purchase: then it must not post.
 */
static void
check_nothing_missed(QueryReader *reader, Datum *keys)
{
	SPITupleTable *seen = SPI_tuptable;
	uint64		nseen = SPI_processed;
	bool		missed;
	uint64		i;

	PushActiveSnapshot(GetLatestSnapshot());
	SPI_execute_plan(reader->by_keys, keys, NULL, true, 0);
	PopActiveSnapshot();
	missed = SPI_processed != nseen;
	for (i = 0; i < nseen && !missed; i++)
	{
		HeapTuple	a = seen->vals[i];
		HeapTuple	b = SPI_tuptable->vals[i];

		missed = a->t_len != b->t_len ||
			memcmp((char *) a->t_data + a->t_data->t_hoff, (char *) b->t_data + b->t_data->t_hoff,
				   a->t_len - a->t_data->t_hoff) != 0;
	}
	if (missed)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errhint("The transaction might succeed if retried.")));
	SPI_freetuptable(SPI_tuptable);
	SPI_tuptable = seen;
	SPI_processed = nseen;
}

/* Read a range of purchases in one go. */
static void
read_range(void *arg)
{
	Reading    *reading = arg;
	Source	   *source = reading->source;
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	Datum		keys;
	uint64		next = 0;
	int			i;

	query_ready(source);
	query_enter(source, &scope);
	SPI_connect();
	keys = key_array(reading);
	if (SPI_execute_plan(source->reader->by_keys, &keys, NULL, !reading->live, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read source \"%s\"", source->name);
	if (reading->live && IsolationUsesXactSnapshot())
		check_nothing_missed(source->reader, &keys);
	MemoryContextSwitchTo(caller);
	for (i = reading->from; i < reading->to; i++)
	{
		uint64		first = next;

		while (next < SPI_processed &&
			   same_text(row_key(SPI_tuptable->vals[next], SPI_tuptable->tupdesc), reading->purchases[i].key))
			next++;
		take_rows(source, &reading->purchases[i], SPI_tuptable->vals + first, (int) (next - first),
				  SPI_tuptable->tupdesc, reading->now);
	}
	if (next < SPI_processed)
		elog(ERROR, "source \"%s\" gave a key that was not asked for", source->name);
	SPI_finish();
	query_leave(&scope);
}

/* Read purchases [from .. to), halving what fails. */
static void
read_carefully(Reading *reading, int from, int to)
{
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	reading->from = from;
	reading->to = to;
	error = attempt(read_range, reading);
	if (error == NULL)
		return;
	if (to - from == 1)
	{
		reading->purchases[from].error = error;
		return;
	}
	read_carefully(reading, from, from + (to - from) / 2);
	read_carefully(reading, from + (to - from) / 2, to);
}

static void
ready_source(void *arg)
{
	query_ready((Source *) arg);
}

void
query_read(Source *source, QueryPurchase *purchases, int npurchases, bool live, TimestampTz now)
{
	Reading		reading = {source, purchases, 0, npurchases, live, now};
	ErrorData  *error;
	int			i;

	if (npurchases == 0)
		return;
	if (source->fail && live)
	{
		read_range(&reading);
		return;
	}

	/* What is wrong with the query as a whole is wrong with each of them. */
	error = source->reader != NULL && source->reader->lines != NULL ? NULL : attempt(ready_source, source);
	if (error == NULL)
		read_carefully(&reading, 0, npurchases);
	else
		for (i = 0; i < npurchases; i++)
			purchases[i].error = error;
}

/*
 * All of them
 *
 * The rows stream sorted by key.  Should one of them make the query fail, its
 * keys alone are listed, which needs none of its other columns, and the
 * purchases are read by them, so that the others can be read nevertheless.
 */

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
	scan->statement = psprintf("%sl.key IS NOT NULL%s", source->reader->lines, order_by_key());
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

	take_rows(scan->source, scan->purchase, scan->rows, scan->nrows, scan->table->tupdesc, scan->now);
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
		text	   *key = row_key(row, scan->table->tupdesc);

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
