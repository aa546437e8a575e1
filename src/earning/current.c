/*
 * current.c
 *		Purchases as their rows now are, read again by key.
 *
 * The image in a transition table can be stale: the shop's own trigger may
 * have changed the row again.  Retries and proofs start from a key alone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_operator.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "earning/current.h"
#include "loyalty.h"

char *
current_relation_name(Source *source)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(source->root)),
									  get_rel_name(source->root));
}

/* "schema.operator" of the equality of a type, for OPERATOR(). */
static char *
equality_name(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
	HeapTuple	tuple;
	Form_pg_operator form;
	char	   *name;

	if (!OidIsValid(entry->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify an equality operator for type %s", format_type_be(type))));
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(entry->eq_opr));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", entry->eq_opr);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = psprintf("%s.%s", quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return name;
}

char *
current_key_condition(Source *source, const char *right, Oid *types)
{
	Relation	rel = table_open(source->root, AccessShareLock);
	List	   *exprs = source_parse(rel, FIELD_KEY, source->texts[FIELD_KEY]);
	List	   *context = deparse_context_for(RelationGetRelationName(rel), source->root);
	StringInfoData sql;
	ListCell   *cell;
	int			i = 0;

	initStringInfo(&sql);
	foreach(cell, exprs)
	{
		Node	   *expr = lfirst(cell);

		types[i] = getBaseType(exprType(expr));
		appendStringInfo(&sql, "%s(%s) OPERATOR(%s) ", i > 0 ? " AND " : "",
						 deparse_expression(expr, context, false, false),
						 equality_name(types[i]));
		appendStringInfo(&sql, right, i + 1);
		i++;
	}
	table_close(rel, AccessShareLock);
	return sql.data;
}

Datum
current_key_value(Oid type, char *part)
{
	Oid			input;
	Oid			param;

	getTypeInputInfo(type, &input, &param);
	return OidInputFunctionCall(input, part, param, -1);
}

char *
current_select_list(Source *source)
{
	Relation	rel = table_open(source->root, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData sql;
	int			i;

	/* Dropped columns keep their place, as compiled expressions go by number. */
	initStringInfo(&sql);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (i > 0)
			appendStringInfoString(&sql, ", ");
		appendStringInfoString(&sql, attribute->attisdropped ? "NULL::pg_catalog.int4"
							   : quote_identifier(NameStr(attribute->attname)));
	}
	table_close(rel, AccessShareLock);
	return sql.data;
}

void
current_read_tuple(Source *source, HeapTuple tuple, TupleDesc desc, TimestampTz now,
				   MemoryContext context, SourceRow *row)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
	SourceScope scope;
	MemoryContext spi;

	ExecStoreHeapTuple(tuple, slot, false);
	source_enter(source, &scope);
	spi = MemoryContextSwitchTo(context);
	source_read_row(source, slot, now, row);
	MemoryContextSwitchTo(spi);
	source_leave(source, &scope);
	ExecDropSingleTupleTableSlot(slot);
}

bool
current_row(Source *source, const text *key, bool lock, TimestampTz now, SourceRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[MAX_KEY_PARTS];
	Datum		values[MAX_KEY_PARTS];
	char	   *parts[MAX_KEY_PARTS];
	EngineScope scope;
	bool		found;
	char	   *sql;
	int			i;

	owner_enter(&scope, source->owner);
	SPI_connect();
	sql = psprintf("SELECT %s FROM %s WHERE %s%s", current_select_list(source),
				   current_relation_name(source), current_key_condition(source, "$%d", types), lock ? " FOR SHARE" : "");
	source_split_key(source, key, parts);
	for (i = 0; i < source->nkeys; i++)
		values[i] = current_key_value(types[i], parts[i]);

	if (SPI_execute_with_args(sql, source->nkeys, types, values, NULL, !lock, 2) != SPI_OK_SELECT)
		elog(ERROR, "could not read source \"%s\"", source->name);
	if (SPI_processed > 1)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_SOURCE_CONFLICT),
				 errmsg("several rows of source \"%s\" have the key \"%s\"",
						source->name, text_to_cstring(key))));
	found = SPI_processed == 1;
	if (found)
		current_read_tuple(source, SPI_tuptable->vals[0], SPI_tuptable->tupdesc, now, caller, row);
	SPI_finish();
	engine_leave(&scope);
	return found;
}
