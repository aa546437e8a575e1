/*
 * attach.c
 *		Making the rows of a table earn points, and ending it.
 *
 * attach checks everything that can be checked before the first order: what
 * the table is, that purchases can be told apart, and that each expression
 * parses, has the right type and is immutable.  What it stores names every
 * function and operator in full, so that it reads the same under any
 * search_path.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"

#include "earning/attach.h"
#include "earning/parse.h"
#include "earning/partitions.h"
#include "earning/source.h"
#include "ledger/access.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_attach);
PG_FUNCTION_INFO_V1(loyalty_detach);

/* Arguments of attach. */
enum
{
	ARG_SOURCE,
	ARG_MEMBER,					/* from here the fields, in the order of SourceField */
	ARG_ON_DELETE = ARG_MEMBER + NFIELDS,
	ARG_ON_ERROR,
	ARG_PROGRAM
};

void
attach_refuse(Relation rel, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_CANNOT_ATTACH),
			 errmsg("cannot attach \"%s\"", RelationGetRelationName(rel)),
			 errdetail("%s", detail),
			 hint == NULL ? 0 : errhint("%s", hint)));
}

void
attach_check_relation(Relation rel)
{
	List	   *partitions;
	ListCell   *cell;

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			attach_refuse(rel, "It is a view: its rows are written elsewhere.", "Attach the table beneath it.");
			break;
		case RELKIND_MATVIEW:
			attach_refuse(rel, "It is a materialized view: its rows are written elsewhere.", "Attach the table beneath it.");
			break;
		case RELKIND_FOREIGN_TABLE:
			attach_refuse(rel, "It is a foreign table: it can change without this database knowing.",
				   "Attach the table where it lives.");
			break;
		default:
			attach_refuse(rel, "It is not a table.", NULL);
	}
	if (!has_privs_of_role(GetUserId(), rel->rd_rel->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table \"%s\"", RelationGetRelationName(rel))));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		attach_refuse(rel, "It is a temporary table: it would take its purchases along.", NULL);
	if (IsCatalogRelation(rel) ||
		RelationGetNamespace(rel) == get_namespace_oid(LOYALTY_SCHEMA, false))
		attach_refuse(rel, "It belongs to the system or to loyalty itself.", NULL);
	if (rel->rd_rules != NULL)
		attach_refuse(rel, "It has rules, which may turn a write into another one.",
			   "Use a trigger in place of the rule.");
	if (rel->rd_rel->relforcerowsecurity)
		attach_refuse(rel, "Its row-level security is forced on its owner, with whose rights purchases are read again.",
			   "ALTER TABLE ... NO FORCE ROW LEVEL SECURITY.");
	if (rel->rd_rel->relispartition)
		attach_refuse(rel, "It is a partition.", "Attach the partitioned table.");

	partitions = partitions_of(RelationGetRelid(rel));
	if (rel->rd_rel->relkind == RELKIND_RELATION &&
		(list_length(partitions) > 1 || has_superclass(RelationGetRelid(rel))))
		attach_refuse(rel, "It takes part in table inheritance: a key need not be unique in the whole of it.",
			   "Use declarative partitioning.");
	foreach(cell, partitions)
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
			attach_refuse(rel, psprintf("Its partition \"%s\" is a foreign table, which can change without this database knowing.",
								 get_rel_name(lfirst_oid(cell))), NULL);
}

/* No part of a partitioned table may feed the program by itself: its rows would earn twice. */
static void
check_partitions(Relation rel, const Program *program)
{
	List	   *partitions = partitions_of(RelationGetRelid(rel));
	Datum	   *oids = palloc(sizeof(Datum) * list_length(partitions));
	Oid			types[2] = {OIDARRAYOID, TEXTOID};
	Datum		values[2];
	int			n = 0;
	ListCell   *cell;

	foreach(cell, partitions)
		if (lfirst_oid(cell) != RelationGetRelid(rel))
			oids[n++] = ObjectIdGetDatum(lfirst_oid(cell));
	if (n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(oids, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	values[1] = CStringGetTextDatum(program->name);

	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT relation::pg_catalog.text FROM loyalty.source"
						  " WHERE relation::pg_catalog.oid = ANY ($1) AND program = $2",
						  2, types, values, NULL, true, 1);
	PopActiveSnapshot();
	if (SPI_processed > 0)
		attach_refuse(rel, psprintf("Rows of its partition %s have earned points by themselves.",
							 SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
			   "Their purchases would earn a second time.");
	SPI_finish();
}

/* The text of parsed expressions, everything named in full, and constants as every session reads them. */
static char *
deparse(Relation rel, List *exprs)
{
	List	   *context = deparse_context_for(RelationGetRelationName(rel), RelationGetRelid(rel));
	int			level = settings_pin();
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, exprs)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
						 deparse_expression(lfirst(cell), context, false, false));
	settings_unpin(level);
	return text.data;
}

/*
 * Some operators have no place for a schema: those behind NULLIF and CASE x
 * WHEN, for instance.  Where another one is found under the search_path that
 * the text is read under, it would mean something else.
 */
static void
check_same_meaning(Relation rel, SourceField field, const char *text, List *exprs)
{
	if (!equal(other_functions((Node *) source_parse(rel, field, text)), other_functions((Node *) exprs)))
		attach_refuse(rel, psprintf("The expression for \"%s\" compares by an operator that cannot be named with its schema, for instance in CASE x WHEN.",
									source_field_names[field]),
					  "Write the comparison with an operator, or cast both sides.");
}

/* The columns of the primary key as a key expression; LY007 without one. */
static char *
primary_key_text(Relation rel)
{
	Oid			index_id = RelationGetPrimaryKeyIndex(rel
#if PG_VERSION_NUM >= 180000
													  ,false
#endif
		);
	Relation	index;
	StringInfoData text;
	int			i;

	if (!OidIsValid(index_id))
		attach_refuse(rel, "It has no primary key, and no key was named.",
			   "Add a primary key, or name a unique column or expression with key => '...'.");
	index = index_open(index_id, AccessShareLock);
	initStringInfo(&text);
	for (i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(RelationGetRelid(rel),
													  index->rd_index->indkey.values[i], false)));
	index_close(index, AccessShareLock);
	return text.data;
}

/* Whether the key expressions contain this one. */
static bool
key_has(List *exprs, Node *wanted)
{
	ListCell   *cell;

	foreach(cell, exprs)
		if (equal(strip_implicit_coercions(lfirst(cell)), strip_implicit_coercions(wanted)))
			return true;
	return false;
}

/* Whether a column decides which partition, somewhere in the tree, a row belongs to. */
static bool
is_partition_column(Relation rel, AttrNumber attnum)
{
	const char *name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
	bool		found = false;
	ListCell   *cell;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	foreach(cell, partitions_of(RelationGetRelid(rel)))
	{
		Relation	part = relation_open(lfirst_oid(cell), AccessShareLock);
		PartitionKey key = part->rd_rel->relkind == RELKIND_PARTITIONED_TABLE
			? RelationGetPartitionKey(part) : NULL;
		int			i;

		/* By name: a partition may have its columns in another order. */
		for (i = 0; key != NULL && i < key->partnatts; i++)
			if (key->partattrs[i] != 0 &&
				strcmp(get_attname(RelationGetRelid(part), key->partattrs[i], false), name) == 0)
				found = true;
		relation_close(part, NoLock);
	}
	return found;
}

/*
 * Whether the index makes the key unique: all its columns are part of the key.
 * In a partitioned table the key may leave out the columns that partition it;
 * then *by_index is false, and the rows themselves have to be looked at.
 */
static bool
index_covers(Relation rel, Relation index, List *exprs, bool *by_index)
{
	List	   *index_exprs = RelationGetIndexExpressions(index);
	ListCell   *next_expr = list_head(index_exprs);
	int			covered = 0;
	int			i;

	if (!index->rd_index->indisunique || !index->rd_index->indisvalid ||
		!index->rd_index->indimmediate || RelationGetIndexPredicate(index) != NIL)
		return false;
	*by_index = true;
	for (i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];
		Node	   *expr;

		if (attnum != 0)
		{
			Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

			expr = (Node *) makeVar(1, attnum, attribute->atttypid, attribute->atttypmod,
									attribute->attcollation, 0);
		}
		else
		{
			expr = lfirst(next_expr);
			next_expr = lnext(index_exprs, next_expr);
		}
		if (key_has(exprs, expr))
			covered++;
		else if (attnum != 0 && is_partition_column(rel, attnum))
			*by_index = false;
		else
			return false;
	}
	return covered > 0;
}

/* Rows of a partitioned table may share a key that no index keeps unique. */
static void
check_duplicates(Relation rel, const char *key)
{
	SPI_connect();
	SPI_execute(psprintf("SELECT FROM %s GROUP BY %s HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1 LIMIT 1",
						 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
													RelationGetRelationName(rel)),
						 key), true, 1);
	if (SPI_processed > 0)
		attach_refuse(rel, psprintf("Several of its rows have the same key (%s).", key),
			   "Name a key that tells purchases apart.");
	SPI_finish();
}

/* Purchases can be told apart by the key; LY007 otherwise. */
static void
check_key(Relation rel, List *exprs, const char *key)
{
	List	   *indexes = RelationGetIndexList(rel);
	bool		unique = false;
	bool		by_index = false;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		bool		covers_by_index;

		if (index_covers(rel, index, exprs, &covers_by_index))
		{
			unique = true;
			by_index = by_index || covers_by_index;
		}
		index_close(index, AccessShareLock);
	}
	if (!unique)
		attach_refuse(rel, psprintf("No unique index keeps its key (%s) unique.", key),
			   "Name the primary key, or an expression over a unique index.");
	if (!by_index)
		check_duplicates(rel, key);

	foreach(cell, exprs)
	{
		Var		   *var = (Var *) lfirst(cell);
		Oid			type = getBaseType(exprType((Node *) var));

		/* Batches of keys are passed as arrays. */
		if (!OidIsValid(get_array_type(type)))
			attach_refuse(rel, psprintf("Its key is of type %s.", format_type_be(type)),
				   "Name a key of another type, for instance its text.");
		if (IsA(var, Var) && !TupleDescAttr(RelationGetDescr(rel), var->varattno - 1)->attnotnull)
			attach_refuse(rel, psprintf("Column \"%s\" of its key may be null.",
								 get_attname(RelationGetRelid(rel), var->varattno, false)),
				   "Make the column NOT NULL.");
	}
}

/*
 * The number of a source that feeds this program from this table already: 0
 * when there is none.  LY007 while it is attached, or when its purchases had
 * other keys, under which they would earn a second time.
 */
static int32
former_source(Relation rel, const Program *program, const char *key)
{
	Oid			types[2] = {REGCLASSOID, TEXTOID};
	Datum		values[2] = {ObjectIdGetDatum(RelationGetRelid(rel)), CStringGetTextDatum(program->name)};
	int32		source_id = 0;

	/* As of now: whoever attached it held the lock that we have waited for. */
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT source_id, attached, key FROM loyalty.source"
						  " WHERE relation = $1 AND program = $2",
						  2, types, values, NULL, true, 1);
	PopActiveSnapshot();
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		source_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		if (DatumGetBool(SPI_getbinval(row, desc, 2, &isnull)))
			attach_refuse(rel, psprintf("It is attached to program \"%s\" already.", program->name),
				   "loyalty.detach ends that.");
		if (strcmp(SPI_getvalue(row, desc, 3), key) != 0)
			attach_refuse(rel, psprintf("Its purchases have earned under the key (%s) before.", SPI_getvalue(row, desc, 3)),
				   "Attach it with that key.");
	}
	SPI_finish();
	return source_id;
}

/* Write the source's row; returns its number. */
static int32
write_source(Relation rel, const Program *program, char **texts, const char *on_delete,
			 const char *on_error, int32 former)
{
	Oid			types[NFIELDS + 6];
	Datum		values[NFIELDS + 6];
	char		nulls[NFIELDS + 6];
	int32		source_id;
	bool		isnull;
	int			i;

	for (i = 0; i < NFIELDS; i++)
	{
		types[i] = TEXTOID;
		nulls[i] = texts[i] == NULL ? 'n' : ' ';
		values[i] = texts[i] == NULL ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	memset(&nulls[NFIELDS], ' ', 6);
	types[NFIELDS] = TEXTOID;
	values[NFIELDS] = CStringGetTextDatum(program->name);
	types[NFIELDS + 1] = TEXTOID;
	values[NFIELDS + 1] = CStringGetTextDatum(RelationGetRelationName(rel));
	types[NFIELDS + 2] = REGCLASSOID;
	values[NFIELDS + 2] = ObjectIdGetDatum(RelationGetRelid(rel));
	types[NFIELDS + 3] = TEXTOID;
	values[NFIELDS + 3] = CStringGetTextDatum(on_delete);
	types[NFIELDS + 4] = TEXTOID;
	values[NFIELDS + 4] = CStringGetTextDatum(on_error);
	types[NFIELDS + 5] = INT4OID;
	values[NFIELDS + 5] = Int32GetDatum(former);

	SPI_connect();
	SPI_execute_with_args(former == 0
						  ? "INSERT INTO loyalty.source (member, amount, at, key, counts, item, category, quantity,"
						  " channel, store, currency, data, program, name, relation, on_delete, on_error)"
						  " SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17"
						  " WHERE $18 = 0 RETURNING source_id"
						  : "UPDATE loyalty.source SET member = $1, amount = $2, at = $3, key = $4, counts = $5, item = $6,"
						  " category = $7, quantity = $8, channel = $9, store = $10, currency = $11, data = $12,"
						  " program = $13, name = $14, relation = $15, on_delete = $16, on_error = $17,"
						  " attached = true, attached_at = pg_catalog.now(), backfilled_rows = 0,"
						  " backfilled_at = NULL, backfilled_key = NULL, backfill_finished_at = NULL"
						  " WHERE source_id = $18 RETURNING source_id",
						  NFIELDS + 6, types, values, nulls, false, 0);
	if (SPI_processed != 1)
		elog(ERROR, "could not write source");
	source_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return source_id;
}

char *
attach_on_error(FunctionCallInfo fcinfo, int argno)
{
	char	   *on_error = PG_ARGISNULL(argno) ? "defer" : text_to_cstring(PG_GETARG_TEXT_PP(argno));

	if (strcmp(on_error, "defer") != 0 && strcmp(on_error, "fail") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_error must be defer or fail, not \"%s\"", on_error)));
	return on_error;
}

void
attach_check_currency(const Program *program)
{
	if (program->currency == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("program \"%s\" has no currency, so that amounts in others cannot be converted",
						program->name),
				 errhint("Set loyalty.program.currency, or leave out \"currency\".")));
}

/* attach(source, member, amount, at, key, ..., on_delete, on_error, program) → source_id */
Datum
loyalty_attach(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Program    *program = access_program(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_MANAGE);
	char	   *on_delete = PG_ARGISNULL(ARG_ON_DELETE) ? "reverse" : text_to_cstring(PG_GETARG_TEXT_PP(ARG_ON_DELETE));
	char	   *on_error;
	char	   *texts[NFIELDS];
	List	   *exprs[NFIELDS];
	Relation	rel;
	EngineScope scope;
	int32		source_id;
	int			field;

	/* Else a standby would speak of a lock. */
	PreventCommandIfReadOnly("loyalty.attach");
	if (PG_ARGISNULL(ARG_SOURCE) || PG_ARGISNULL(ARG_MEMBER + FIELD_MEMBER) ||
		PG_ARGISNULL(ARG_MEMBER + FIELD_AMOUNT))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source, member and amount must not be null")));
	if (strcmp(on_delete, "reverse") != 0 && strcmp(on_delete, "keep") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_delete must be reverse or keep, not \"%s\"", on_delete)));
	on_error = attach_on_error(fcinfo, ARG_ON_ERROR);

	if (!PG_ARGISNULL(ARG_MEMBER + FIELD_CURRENCY))
		attach_check_currency(program);

	/* As strong as CREATE TRIGGER's, at once: writers in flight end first. */
	rel = relation_open(PG_GETARG_OID(ARG_SOURCE), ShareRowExclusiveLock);
	attach_check_relation(rel);

	/* The caller's search_path gives names their meaning, once. */
	for (field = 0; field < NFIELDS; field++)
	{
		char	   *expression = PG_ARGISNULL(ARG_MEMBER + field) ? NULL
			: text_to_cstring(PG_GETARG_TEXT_PP(ARG_MEMBER + field));

		if (expression == NULL && field == FIELD_KEY)
			expression = primary_key_text(rel);
		exprs[field] = expression == NULL ? NIL : source_parse(rel, field, expression);
	}

	/* Parsing may run code: a literal of an array of domains is checked by their constraints. */
	owner_enter(&scope, rel->rd_rel->relowner);
	for (field = 0; field < NFIELDS; field++)
	{
		texts[field] = exprs[field] == NIL ? NULL : deparse(rel, exprs[field]);
		if (exprs[field] != NIL)
			check_same_meaning(rel, field, texts[field], exprs[field]);
	}
	check_key(rel, exprs[FIELD_KEY], texts[FIELD_KEY]);
	engine_leave(&scope);

	engine_enter(&scope, config->owner);
	check_partitions(rel, program);
	source_id = write_source(rel, program, texts, on_delete, on_error,
							 former_source(rel, program, texts[FIELD_KEY]));
	partitions_add_triggers(RelationGetRelid(rel), source_id, partitions_earn_call(source_id, NIL));
	engine_leave(&scope);
	relation_close(rel, NoLock);
	PG_RETURN_INT32(source_id);
}

/* detach(source, program) */
Datum
loyalty_detach(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	List	   *sources;
	Source	   *source;
	EngineScope scope;
	ListCell   *cell;
	ListCell   *part;
	Oid			types[1] = {INT4OID};
	Datum		values[1];

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be null")));
	sources = source_find(config, PG_GETARG_TEXT_PP(0),
						  access_program_if_named(config, text_argument(fcinfo, 1), ACCESS_MANAGE));
	if (list_length(sources) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
				 errmsg("several sources are called \"%s\"", text_to_cstring(PG_GETARG_TEXT_PP(0))),
				 errhint("Name the table with its schema, or the program.")));
	source = source_get(config, linitial_int(sources), InvalidOid);
	if (source == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
				 errmsg("source \"%s\" does not exist", text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	source_check_owner(source, source->query != NULL);

	engine_enter(&scope, config->owner);
	foreach(cell, partitions_roots(source->id.source_id))
		foreach(part, partitions_of(lfirst_oid(cell)))
			partitions_drop_triggers(lfirst_oid(part), source->id.source_id);
	values[0] = Int32GetDatum(source->id.source_id);
	SPI_connect();
	if (SPI_execute_with_args("UPDATE loyalty.source SET attached = false WHERE source_id = $1",
							  1, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not detach source");
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_VOID();
}
