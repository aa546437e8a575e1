/*
 * attach_query.c
 *		Making the rows of a query earn points.
 *
 * The query is checked and its names get their meaning under the caller's
 * search_path, once.  What is kept names everything in full, and runs ever
 * after with the rights of the role that attached it.  The tables that it
 * watches get triggers that tell the keys of changed rows.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "earning/attach.h"
#include "earning/partitions.h"
#include "earning/query.h"
#include "ledger/access.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_attach_query);

/* Arguments of attach_query. */
enum
{
	ARG_NAME,
	ARG_QUERY,
	ARG_WATCH,
	ARG_ON_ERROR,
	ARG_PROGRAM
};

/* A watched table with the columns of it that hold the key. */
typedef struct Watched
{
	Relation	rel;
	List	   *columns;
} Watched;

static void
refuse_query(const char *name, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_CANNOT_ATTACH),
			 errmsg("cannot attach query \"%s\"", name),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/*
 * Watched tables
 */

/* Open the table of an element of "watch"; as strong as CREATE TRIGGER's lock, at once. */
static Relation
open_watched(const char *element, char **column)
{
	List	   *names = stringToQualifiedNameList(element);
	Relation	rel;

	if (list_length(names) < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" does not name a table and a column", element),
				 errhint("For instance watch => '{public.orders.order_id}'.")));
	*column = strVal(llast(names));
	rel = table_openrv(makeRangeVarFromNameList(list_truncate(list_copy(names), list_length(names) - 1)),
					   ShareRowExclusiveLock);
	attach_check_relation(rel);
	return rel;
}

static Watched *
watched_table(List **watched, Relation rel)
{
	ListCell   *cell;
	Watched    *table;

	foreach(cell, *watched)
	{
		table = lfirst(cell);
		if (RelationGetRelid(table->rel) == RelationGetRelid(rel))
		{
			table_close(rel, NoLock);
			return table;
		}
	}
	table = palloc0(sizeof(Watched));
	table->rel = rel;
	*watched = lappend(*watched, table);
	return table;
}

/* The tables named by "watch", locked; *names is the argument with all names in full. */
static List *
read_watch(ArrayType *watch, Datum *names)
{
	List	   *watched = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;

	if (ARR_NDIM(watch) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("watch must be one-dimensional")));
	deconstruct_array(watch, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("watch must name a table"),
				 errdetail("Purchases are read again when a watched table changes."),
				 errhint("For instance watch => '{public.orders.order_id}'.")));
	for (i = 0; i < count; i++)
	{
		Watched    *table;
		char	   *column;
		ListCell   *cell;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("watch must not contain nulls")));
		table = watched_table(&watched, open_watched(TextDatumGetCString(elements[i]), &column));
		foreach(cell, table->columns)
			if (strcmp(lfirst(cell), column) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("watch names column \"%s\" of table \"%s\" twice", column,
								RelationGetRelationName(table->rel))));
		table->columns = lappend(table->columns, column);
		elements[i] = CStringGetTextDatum(psprintf("%s.%s",
												   quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table->rel)),
																			  RelationGetRelationName(table->rel)),
												   quote_identifier(column)));
	}
	*names = PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
	return watched;
}

/* Each column is there and can hold a key. */
static void
check_watched(List *watched, const QueryShape *shape)
{
	ListCell   *cell;
	ListCell   *column;

	foreach(cell, watched)
	{
		Watched    *table = lfirst(cell);

		foreach(column, table->columns)
		{
			char	   *name = lfirst(column);
			AttrNumber	attnum = get_attnum(RelationGetRelid(table->rel), name);
			Oid			type;

			if (attnum <= 0)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 errmsg("column \"%s\" of relation \"%s\" does not exist", name,
								RelationGetRelationName(table->rel))));
			type = get_atttype(RelationGetRelid(table->rel), attnum);
			if (!can_coerce_type(1, &type, unconstify(Oid *, &shape->types[FIELD_KEY]), COERCION_ASSIGNMENT))
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("column \"%s\" of table \"%s\" cannot hold a key of the query", name,
								RelationGetRelationName(table->rel)),
						 errdetail("It is of type %s, the key is of type %s.", format_type_be(type),
								   query_key_type_name(shape)),
						 errhint("Watch the column that the query gives as \"key\", or one that refers to it.")));
		}
	}
}

/*
 * The source's row
 */

/*
 * The number of a detached query that fed this program under the same name: 0
 * when there was none.  LY007 while the name is taken, or when its purchases
 * had other keys; 42501 when it was somebody else's, whose purchases they are.
 */
static int32
former_query(const char *name, const Program *program, const char *key_type, Oid caller)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(name), CStringGetTextDatum(program->name)};
	int32		source_id = 0;
	bool		isnull;
	HeapTuple	row;
	TupleDesc	desc;

	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT source_id, attached, key_type, owner FROM loyalty.source"
						  " WHERE name = $1 AND program = $2 AND (attached OR query IS NOT NULL)"
						  " ORDER BY attached DESC, source_id DESC", 2, types, values, NULL, true, 1);
	PopActiveSnapshot();
	if (SPI_processed > 0)
	{
		row = SPI_tuptable->vals[0];
		desc = SPI_tuptable->tupdesc;
		source_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		if (DatumGetBool(SPI_getbinval(row, desc, 2, &isnull)))
			refuse_query(name, psprintf("A source of that name feeds program \"%s\" already.", program->name),
						 "Give it another name; or end the other one with loyalty.detach.");
		if (strcmp(SPI_getvalue(row, desc, 3), key_type) != 0)
			refuse_query(name, psprintf("Its purchases have earned under keys of type %s before, not %s.",
										SPI_getvalue(row, desc, 3), key_type),
						 "Cast the key to that type, or give the query another name.");
		if (!has_privs_of_role(caller, get_role_oid(SPI_getvalue(row, desc, 4), true)))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("must be owner of source \"%s\"", name),
					 errdetail("It belongs to role \"%s\", who attached it before.", SPI_getvalue(row, desc, 4)),
					 errhint("Give it another name.")));
	}
	SPI_finish();
	return source_id;
}

/* The watched tables as an array. */
static Datum
table_array(List *watched)
{
	Datum	   *oids = palloc(sizeof(Datum) * list_length(watched));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, watched)
		oids[count++] = ObjectIdGetDatum(RelationGetRelid(((Watched *) lfirst(cell))->rel));
	return PointerGetDatum(construct_array(oids, count, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT));
}

/* Write the source's row; returns its number. */
static int32
write_query(const char *name, const Program *program, const char *query, Datum watch, List *watched,
			const char *key_type, Oid owner, const char *on_error, int32 former)
{
	Oid			types[9] = {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, REGCLASSARRAYOID, TEXTOID, TEXTOID, TEXTOID, INT4OID};
	Datum		values[9];
	int32		source_id;
	bool		isnull;

	values[0] = CStringGetTextDatum(program->name);
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(query);
	values[3] = watch;
	values[4] = table_array(watched);
	values[5] = CStringGetTextDatum(key_type);
	values[6] = CStringGetTextDatum(GetUserNameFromId(owner, false));
	values[7] = CStringGetTextDatum(on_error);
	values[8] = Int32GetDatum(former);

	SPI_connect();
	SPI_execute_with_args(former == 0
						  ? "INSERT INTO loyalty.source (program, name, query, watch, tables, key_type, owner, on_error)"
						  " SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE $9 = 0 RETURNING source_id"
						  : "UPDATE loyalty.source SET program = $1, name = $2, query = $3, watch = $4, tables = $5,"
						  " key_type = $6, owner = $7, on_error = $8,"
						  " attached = true, attached_at = pg_catalog.now(), backfilled_rows = 0,"
						  " backfilled_at = NULL, backfilled_key = NULL, backfill_finished_at = NULL"
						  " WHERE source_id = $9 RETURNING source_id",
						  9, types, values, NULL, false, 0);
	if (SPI_processed != 1)
		elog(ERROR, "could not write source");
	source_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return source_id;
}

/* The query runs as it is kept: what it lacks is better told now than at the till. */
static void
try_query(int32 source_id)
{
	Config	   *config;
	Source	   *source;
	EngineScope scope;

	CommandCounterIncrement();
	config = config_get();
	source = source_get(config, source_id, InvalidOid);
	query_ready(source);
	query_enter(source, &scope);
	SPI_connect();
	SPI_execute(psprintf("SELECT FROM (%s) AS l LIMIT 0", source->query), true, 0);
	SPI_finish();
	query_leave(&scope);
}

/*
 * Some operators have no place for a schema: those behind JOIN USING, IN and
 * NULLIF, for instance.  Where another one is found under the settings that the
 * text is read under, it would mean something else.
 */
static void
check_same_meaning(const char *name, const char *text, const QueryShape *shape)
{
	QueryShape	kept;

	(void) query_parse(name, text, &kept);
	if (!equal(kept.own, shape->own))
		refuse_query(name, "It compares by an operator that cannot be named with its schema, for instance in JOIN USING.",
					 "Write the comparison with an operator, a.code = b.code, or cast both sides.");
}

/* Deparse under the settings that the text will be read under. */
static char *
deparse(const char *name, Query *query, const QueryShape *shape)
{
	EngineScope scope;
	char	   *text;

	owner_enter(&scope, GetUserId());
	source_pin_settings();
	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	text = query_deparse(query);
	check_same_meaning(name, text, shape);
	engine_leave(&scope);
	return text;
}

/* attach_query(name, query, watch, on_error, program) → source_id */
Datum
loyalty_attach_query(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Program    *program = access_program(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_MANAGE);
	char	   *on_error = attach_on_error(fcinfo, ARG_ON_ERROR);
	Oid			owner = GetUserId();
	char	   *name;
	Query	   *query;
	QueryShape	shape;
	Datum		watch;
	List	   *watched;
	char	   *kept;
	EngineScope scope;
	int32		source_id;
	ListCell   *cell;

	/* Else a standby would speak of a lock. */
	PreventCommandIfReadOnly("loyalty.attach_query");
	if (PG_ARGISNULL(ARG_NAME) || PG_ARGISNULL(ARG_QUERY) || PG_ARGISNULL(ARG_WATCH))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("name, query and watch must not be null")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_NAME));
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name must not be empty")));

	watched = read_watch(PG_GETARG_ARRAYTYPE_P(ARG_WATCH), &watch);
	query = query_parse(name, text_to_cstring(PG_GETARG_TEXT_PP(ARG_QUERY)), &shape);
	check_watched(watched, &shape);
	if (OidIsValid(shape.types[FIELD_CURRENCY]))
		attach_check_currency(program);
	kept = deparse(name, query, &shape);

	engine_enter(&scope, config->owner);
	source_id = write_query(name, program, kept, watch, watched, query_key_type_name(&shape), owner, on_error,
							former_query(name, program, query_key_type_name(&shape), owner));
	foreach(cell, watched)
	{
		Watched    *table = lfirst(cell);

		partitions_add_triggers(RelationGetRelid(table->rel), source_id,
								partitions_earn_call(source_id, table->columns));
	}
	engine_leave(&scope);
	try_query(source_id);
	foreach(cell, watched)
		table_close(((Watched *) lfirst(cell))->rel, NoLock);
	PG_RETURN_INT32(source_id);
}
