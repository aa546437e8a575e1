/*
 * import_list.c
 *		The rows of a source of members, put in the order in which members lock.
 *
 * The source is read once, before anything is written: a table that changes
 * meanwhile is imported as it was.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/tuplesort.h"
#include "utils/varlena.h"

#include "ledger/member.h"
#include "loyalty.h"
#include "operation/import.h"

/* Rows fetched at a time. */
#define FETCH_SIZE 1000

static const struct
{
	const char *name;
	const char *type;
}			columns[IMPORT_NCOLUMNS] = {
	[IMPORT_MEMBER] = {"member", "pg_catalog.text"},
	[IMPORT_POINTS] = {"points", "pg_catalog.numeric"},
	[IMPORT_STARTS] = {"starts", "pg_catalog.date"},
	[IMPORT_ENDS] = {"ends", "pg_catalog.date"},
	[IMPORT_LIFETIME] = {"lifetime", "pg_catalog.numeric"},
	[IMPORT_ENROLLED_AT] = {"enrolled_at", "pg_catalog.timestamptz"},
	[IMPORT_LAST_ACTIVITY] = {"last_activity", "pg_catalog.timestamptz"},
	[IMPORT_TIER] = {"tier", "pg_catalog.text"},
	[IMPORT_TIER_SINCE] = {"tier_since", "pg_catalog.timestamptz"},
	[IMPORT_TIER_UNTIL] = {"tier_until", "pg_catalog.date"},
	[IMPORT_TALLY] = {"tally", "loyalty.tally"},
	[IMPORT_BIRTHDAY] = {"birthday", "pg_catalog.date"},
	[IMPORT_SEGMENTS] = {"segments", "pg_catalog.text[]"},
	[IMPORT_DATA] = {"data", "pg_catalog.jsonb"}
};

/*
 * The source's columns
 */

/* Whether a text is a query: one of the words that begin one, and more after it. */
static bool
is_query(const char *source)
{
	static const char *const words[] = {"select", "with", "values", "table"};
	int			i;

	if (*source == '(')
		return true;
	for (i = 0; i < lengthof(words); i++)
	{
		size_t		length = strlen(words[i]);

		if (pg_strncasecmp(source, words[i], length) == 0 &&
			(scanner_isspace(source[length]) || source[length] == '('))
			return true;
	}
	return false;
}

/* The source as what stands after FROM. */
static char *
from_item(const char *source)
{
	int			length;

	while (scanner_isspace(*source))
		source++;
	length = strlen(source);
	if (is_query(source))
	{
		while (length > 0 && (scanner_isspace(source[length - 1]) || source[length - 1] == ';'))
			length--;
		/* A line of its own: the query may end in a comment. */
		return psprintf("(%s\n)", pnstrdup(source, length));
	}
	else
	{
		List	   *names = textToQualifiedNameList(cstring_to_text(source));
		Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, false);

		return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	}
}

static char *
column_names(void)
{
	StringInfoData names;
	int			i;

	initStringInfo(&names);
	for (i = IMPORT_MEMBER; i < IMPORT_NCOLUMNS; i++)
		appendStringInfo(&names, "%s%s", i > IMPORT_MEMBER ? ", " : "", columns[i].name);
	return names.data;
}

/* Which columns the source has; 42703 for one that nobody knows, and without a member. */
static void
find_columns(const char *from, bool *found)
{
	SPIPlanPtr	plan = SPI_prepare(psprintf("SELECT * FROM %s AS s", from), 0, NULL);
	TupleDesc	desc;
	int			i;
	int			j;

	if (plan == NULL)
		elog(ERROR, "could not prepare to read members");
	desc = linitial_node(CachedPlanSource, SPI_plan_get_plan_sources(plan))->resultDesc;
	memset(found, false, IMPORT_NCOLUMNS);
	for (i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);

		for (j = IMPORT_MEMBER; j < IMPORT_NCOLUMNS && strcmp(name, columns[j].name) != 0; j++)
			;
		if (j == IMPORT_NCOLUMNS)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" means nothing to an import", name),
					 errdetail("The columns are %s; all but the first may be left out.", column_names()),
					 errhint("Import a query that gives the columns these names.")));
		found[j] = true;
	}
	if (!found[IMPORT_MEMBER])
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("what is imported has no column \"member\""),
				 errhint("Import a query that gives the customer's id this name.")));
	SPI_freeplan(plan);
}

/* All columns in their order and types. */
static char *
list_query(const char *source)
{
	char	   *from = from_item(source);
	bool		found[IMPORT_NCOLUMNS];
	StringInfoData sql;
	int			i;

	find_columns(from, found);
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT 0::pg_catalog.int8");
	for (i = IMPORT_MEMBER; i < IMPORT_NCOLUMNS; i++)
		appendStringInfo(&sql, ", %s%s::%s", found[i] ? "s." : "NULL", found[i] ? columns[i].name : "", columns[i].type);
	appendStringInfo(&sql, " FROM %s AS s", from);
	return sql.data;
}

/*
 * Reading
 */

/* Put a row into the list, with the place of its member. */
static void
put_row(ImportList *list, Config *config, const Program *program, Tuplesortstate *sort,
		TupleTableSlot *slot, HeapTuple row, TupleDesc desc)
{
	text	   *ref;
	int			i;

	ExecClearTuple(slot);
	heap_deform_tuple(row, desc, slot->tts_values, slot->tts_isnull);
	/* The list outlives what these point to. */
	for (i = IMPORT_MEMBER; i < IMPORT_NCOLUMNS; i++)
		if (!slot->tts_isnull[i] && TupleDescAttr(desc, i)->attlen == -1)
			slot->tts_values[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(slot->tts_values[i]));
	ref = slot->tts_isnull[IMPORT_MEMBER] ? NULL : DatumGetTextPP(slot->tts_values[IMPORT_MEMBER]);
	if (ref == NULL || VARSIZE_ANY_EXHDR(ref) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("what is imported has a row without a member"),
				 errhint("Import a query that leaves such rows out. Nothing has been imported.")));
	slot->tts_values[IMPORT_MEMBER_ID] = Int64GetDatum(member_resolve(config, program, ref));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(sort, slot);
}

/* Read the source into a sort, which is begun here. */
static Tuplesortstate *
sort_rows(ImportList *list, Config *config, const Program *program, const char *source)
{
	AttrNumber	keys[] = {IMPORT_MEMBER_ID + 1, IMPORT_MEMBER + 1};
	Oid			operators[] = {Int8LessOperator, TextLessOperator};
	Oid			collations[] = {InvalidOid, C_COLLATION_OID};
	bool		nulls_first[] = {false, false};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row_context = AllocSetContextCreate(caller, "loyalty row", ALLOCSET_DEFAULT_SIZES);
	int			level = NewGUCNestLevel();
	Tuplesortstate *sort;
	TupleTableSlot *slot;
	Portal		portal;

	(void) set_config_option("TimeZone", pg_get_timezone_name(program->zone), PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, list_query(source), 0, NULL, NULL, NULL, true, 0);
	MemoryContextSwitchTo(list->context);
	list->desc = CreateTupleDescCopy(portal->tupDesc);
	MemoryContextSwitchTo(caller);
	sort = tuplesort_begin_heap(list->desc, lengthof(keys), keys, operators, collations, nulls_first, work_mem, NULL,
#if PG_VERSION_NUM >= 150000
								TUPLESORT_NONE
#else
								false
#endif
		);
	slot = MakeSingleTupleTableSlot(list->desc, &TTSOpsVirtual);
	for (;;)
	{
		uint64		i;

		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		if (SPI_processed == 0)
			break;
		for (i = 0; i < SPI_processed; i++)
		{
			MemoryContext spi = MemoryContextSwitchTo(row_context);

			CHECK_FOR_INTERRUPTS();
			put_row(list, config, program, sort, slot, SPI_tuptable->vals[i], list->desc);
			MemoryContextSwitchTo(spi);
			MemoryContextReset(row_context);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	ExecDropSingleTupleTableSlot(slot);
	SPI_finish();
	AtEOXact_GUC(false, level);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row_context);
	return sort;
}

void
import_list_begin(ImportList *list, Config *config, const Program *program, const char *source)
{
	Tuplesortstate *sort = sort_rows(list, config, program, source);
	int64		before = -1;
	text	   *ref = NULL;
	MemoryContext caller = MemoryContextSwitchTo(list->context);

	list->slot = MakeSingleTupleTableSlot(list->desc, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(caller);
	tuplesort_performsort(sort);
	while (tuplesort_gettupleslot(sort, true, false, list->slot, NULL))
	{
		bool		isnull;
		int64		member_id = DatumGetInt64(slot_getattr(list->slot, IMPORT_MEMBER_ID + 1, &isnull));
		text	   *member = DatumGetTextPP(slot_getattr(list->slot, IMPORT_MEMBER + 1, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (member_id != before || !same_text(member, ref))
		{
			if (ref != NULL)
				pfree(ref);
			ref = DatumGetTextPCopy(PointerGetDatum(member));
			before = member_id;
			list->members++;
		}
		tuplestore_puttupleslot(list->rows, list->slot);
	}
	ExecClearTuple(list->slot);
	tuplesort_end(sort);
}

void
import_list_end(ImportList *list)
{
	tuplestore_end(list->rows);
}

/* The next row, of whoever it is; NULL at the end. */
static HeapTuple
next_row(ImportList *list)
{
	if (list->ahead != NULL)
	{
		HeapTuple	row = heap_copytuple(list->ahead);

		heap_freetuple(list->ahead);
		list->ahead = NULL;
		return row;
	}
	return tuplestore_gettupleslot(list->rows, true, false, list->slot)
		? ExecCopySlotHeapTuple(list->slot) : NULL;
}

int
import_list_next(ImportList *list, ImportMember *members, int limit)
{
	int			count = 0;
	HeapTuple	row;

	while ((row = next_row(list)) != NULL)
	{
		ImportMember *last = count == 0 ? NULL : &members[count - 1];
		bool		isnull;
		int64		member_id = DatumGetInt64(heap_getattr(row, IMPORT_MEMBER_ID + 1, list->desc, &isnull));
		text	   *ref = DatumGetTextPP(heap_getattr(row, IMPORT_MEMBER + 1, list->desc, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (last == NULL || last->member_id != member_id || !same_text(last->ref, ref))
		{
			if (count == limit)
			{
				MemoryContext caller = MemoryContextSwitchTo(list->context);

				list->ahead = heap_copytuple(row);
				MemoryContextSwitchTo(caller);
				break;
			}
			last = &members[count++];
			last->member_id = member_id;
			last->ref = ref;
			last->nrows = 0;
			last->rows = NULL;
		}
		/* Room for a power of two. */
		if ((last->nrows & (last->nrows - 1)) == 0)
			last->rows = last->rows == NULL ? palloc(sizeof(HeapTuple))
				: repalloc(last->rows, sizeof(HeapTuple) * last->nrows * 2);
		last->rows[last->nrows++] = row;
	}
	/* What came from disk lies in this batch's memory, and must not be freed after it. */
	ExecClearTuple(list->slot);
	return count;
}
