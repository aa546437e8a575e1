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
 * Lines of one key stand together in what comes back.
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
#include "earning/query_private.h"

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

char *
query_order(void)
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
	/* One plan for any keys: planning would take longer than reading. */
	plan = SPI_prepare_cursor(psprintf("%sl.key OPERATOR(pg_catalog.=) ANY ($1)%s", lines, query_order()),
							  1, &reader->array_type, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare to read source \"%s\"", source->name);
	reader->lines = MemoryContextStrdup(source->config->context, lines);
	SPI_keepplan(plan);
	reader->by_keys = plan;
	SPI_finish();
	query_leave(&scope);
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

		/* From where it is said which columns are null: the values of others look the same. */
		missed = a->t_len != b->t_len ||
			memcmp(a->t_data->t_bits, b->t_data->t_bits, a->t_len - SizeofHeapTupleHeader) != 0;
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

/* Queries that are being read by their keys, one within the other. */
static int	being_read = 0;

bool
query_is_being_read(void)
{
	return being_read > 0;
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
	being_read++;
	PG_TRY();
	{
		if (SPI_execute_plan(source->reader->by_keys, &keys, NULL, !reading->live, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not read source \"%s\"", source->name);
		if (reading->live && IsolationUsesXactSnapshot())
			check_nothing_missed(source->reader, &keys);
	}
	PG_FINALLY();
	{
		being_read--;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	for (i = reading->from; i < reading->to; i++)
	{
		uint64		first = next;

		while (next < SPI_processed &&
			   same_text(query_row_key(SPI_tuptable->vals[next], SPI_tuptable->tupdesc), reading->purchases[i].key))
			next++;
		query_take_rows(source, &reading->purchases[i], SPI_tuptable->vals + first, (int) (next - first),
				  SPI_tuptable->tupdesc, reading->now);
	}
	if (next < SPI_processed)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("source \"%s\" gives the key \"%s\", which was not asked for", source->name,
						text_to_cstring(query_row_key(SPI_tuptable->vals[next], SPI_tuptable->tupdesc)))));
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
