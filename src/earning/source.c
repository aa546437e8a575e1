/*
 * source.c
 *		Attached tables and queries: found, loaded and made ready to be read.
 *
 * The expressions that attach was given are parsed and planned once a backend
 * (until the configuration or the table changes) and then evaluated on the
 * rows of transition tables: the hot path plans nothing.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/parse.h"
#include "earning/query.h"
#include "earning/rule.h"
#include "earning/source.h"
#include "loyalty.h"

const char *const source_field_names[NFIELDS] = {
	"member", "amount", "at", "key", "counts", "item", "category",
	"quantity", "channel", "store", "currency", "data"
};

/*
 * Loading
 */

/* A column of the current SPI row as text in the configuration's memory; NULL for null. */
static char *
config_text(Config *config, HeapTuple row, TupleDesc desc, int column)
{
	char	   *value = SPI_getvalue(row, desc, column);

	return value == NULL ? NULL : MemoryContextStrdup(config->context, value);
}

/* Read a source's row; false when there is none. */
static bool
load_source(Config *config, Source *source)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(source->id.source_id)};
	EngineScope scope;
	bool		found;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT s.member, s.amount, s.at, s.key, s.counts, s.item, s.category,"
						  " s.quantity, s.channel, s.store, s.currency, s.data,"
						  " s.name, s.program, s.relation::pg_catalog.oid, s.on_delete = 'keep', s.on_error = 'fail',"
						  " s.attached, c.relowner, s.query, s.key_type, s.owner"
						  " FROM loyalty.source s LEFT JOIN pg_catalog.pg_class c ON c.oid = s.relation"
						  " WHERE s.source_id = $1",
						  1, types, values, NULL, true, 1);
	PopActiveSnapshot();
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		int			field;

		for (field = 0; field < NFIELDS; field++)
			source->texts[field] = config_text(config, row, desc, field + 1);
		source->name = config_text(config, row, desc, 13);
		source->program = config_program_by_name(config, SPI_getvalue(row, desc, 14));
		source->root = DatumGetObjectId(SPI_getbinval(row, desc, 15, &isnull));
		source->keep_deleted = DatumGetBool(SPI_getbinval(row, desc, 16, &isnull));
		source->fail = DatumGetBool(SPI_getbinval(row, desc, 17, &isnull));
		source->attached = DatumGetBool(SPI_getbinval(row, desc, 18, &isnull));
		source->owner = DatumGetObjectId(SPI_getbinval(row, desc, 19, &isnull));
		found = source->program != NULL && !isnull;
		source->query = config_text(config, row, desc, 20);
		if (source->query != NULL)
		{
			source->key_type = config_text(config, row, desc, 21);
			source->owner_name = config_text(config, row, desc, 22);
			source->owner = get_role_oid(source->owner_name, true);
			found = source->program != NULL;
		}
	}
	SPI_finish();
	engine_leave(&scope);
	return found;
}

Source *
source_get(Config *config, int32 source_id, Oid relid)
{
	struct
	{
		int32		source_id;
		Oid			relid;
	}			id = {source_id, relid};
	Source	   *source;
	bool		found;

	if (config->sources == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(id);
		ctl.entrysize = sizeof(Source);
		ctl.hcxt = config->context;
		config->sources = hash_create("loyalty sources", 16, &ctl,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	source = hash_search(config->sources, &id, HASH_FIND, NULL);
	if (source == NULL)
	{
		Source		loaded;

		memset(&loaded, 0, sizeof(loaded));
		memcpy(&loaded.id, &id, sizeof(id));
		loaded.config = config;
		if (!load_source(config, &loaded))
			return NULL;
		source = hash_search(config->sources, &id, HASH_ENTER, &found);
		*source = loaded;
	}
	return source;
}

/*
 * Finding
 */

List *
source_find(Config *config, const text *name, const Program *program)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {PointerGetDatum(name), (Datum) 0};
	char		nulls[2] = {' ', program == NULL ? 'n' : ' '};
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	List	   *result = NIL;
	uint64		i;

	if (program != NULL)
		values[1] = CStringGetTextDatum(program->name);
	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT s.source_id FROM loyalty.source s"
						  " LEFT JOIN pg_catalog.pg_class c ON c.oid = s.relation"
						  " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
						  " WHERE s.attached AND ($2 IS NULL OR s.program = $2)"
						  " AND $1 IN (s.name, c.relname, pg_catalog.quote_ident(c.relname),"
						  " n.nspname || '.' || c.relname,"
						  " pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname))"
						  " ORDER BY s.source_id",
						  2, types, values, nulls, true, 0);
	PopActiveSnapshot();
	for (i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int32		source_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
															SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContext spi = MemoryContextSwitchTo(caller);

		result = lappend_int(result, source_id);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	engine_leave(&scope);
	if (result == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
				 errmsg("source \"%s\" does not exist", text_to_cstring(name)),
				 errhint("A source goes by its own or its table's name; loyalty.source lists them.")));
	return result;
}

void
source_check_owner(const Source *source, bool engine)
{
	if (has_privs_of_role(GetUserId(), source->owner) ||
		(engine && has_privs_of_role(GetUserId(), source->config->owner)))
		return;
	if (source->query != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of source \"%s\"", source->name),
				 errdetail("It belongs to role \"%s\", who attached it.", source->owner_name)));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg(engine ? "must be owner of table \"%s\" to backfill it" : "must be owner of table \"%s\"",
					get_rel_name(source->root))));
}

/*
 * Compiling
 */

/* Types whose text form no setting changes. */
static bool
has_stable_text(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case CHAROID:
		case UUIDOID:
		case NUMERICOID:
		case BOOLOID:
			return true;
		default:
			return type_is_enum(type);
	}
}

static void
ready_expr(Source *source, SourceExpr *compiled, Expr *expr, bool as_text)
{
	compiled->type = getBaseType(exprType((Node *) expr));
	compiled->expr = expression_planner(expr);
	if (runs_other_functions((Node *) compiled->expr))
		source->pin_settings = true;
	compiled->state = ExecInitExpr(compiled->expr, NULL);
	compiled->as_is = compiled->type == TEXTOID || compiled->type == VARCHAROID;
	if (as_text)
	{
		Oid			output;
		bool		is_varlena;

		getTypeOutputInfo(compiled->type, &output, &is_varlena);
		fmgr_info_cxt(output, &compiled->output, CurrentMemoryContext);
		if (!has_stable_text(compiled->type))
			source->pin_settings = true;
	}
}

static void
compile_keys(void *arg)
{
	Source	   *source = arg;
	Relation	rel = relation_open(source->id.relid, AccessShareLock);
	List	   *exprs = source_parse(rel, FIELD_KEY, source->texts[FIELD_KEY]);
	ListCell   *cell;

	source->nkeys = 0;
	foreach(cell, exprs)
		ready_expr(source, &source->keys[source->nkeys++], lfirst(cell), true);
	relation_close(rel, AccessShareLock);
}

/* What no rule reads need not be read from a row; what "facts" leaves at zero always is. */
static void
want_fields(Source *source)
{
	static const Fact facts[NFIELDS] = {
		[FIELD_ITEM] = FACT_ITEM, [FIELD_CATEGORY] = FACT_CATEGORY, [FIELD_CHANNEL] = FACT_CHANNEL,
		[FIELD_STORE] = FACT_STORE, [FIELD_DATA] = FACT_DATA
	};
	FactSet		reads = rule_set(source->config, source->program)->reads;
	int			field;

	for (field = 0; field < NFIELDS; field++)
		source->wanted[field] = facts[field] == 0 || (reads & FACT_BIT(facts[field])) != 0;
}

static void
compile_fields(void *arg)
{
	Source	   *source = arg;
	Relation	rel = relation_open(source->id.relid, AccessShareLock);
	SourceField field;

	for (field = 0; field < NFIELDS; field++)
		if (field != FIELD_KEY && source->texts[field] != NULL)
			ready_expr(source, &source->fields[field],
					   linitial(source_parse(rel, field, source->texts[field])),
					   field == FIELD_MEMBER);
	relation_close(rel, AccessShareLock);
	want_fields(source);
}

/*
 * Compile for the relation.  Stored expressions name everything in full, so
 * they are read under a search_path that nobody else can put names into.
 */
static void
compile_source(Source *source)
{
	MemoryContext caller = MemoryContextSwitchTo(source->config->context);
	EngineScope scope;

	owner_enter(&scope, source->owner);
	if (source->econtext == NULL)
		source->econtext = CreateStandaloneExprContext();
	compile_keys(source);
	if (source->fail)
		compile_fields(source);
	else
		source->broken = attempt(compile_fields, source);
	engine_leave(&scope);
	MemoryContextSwitchTo(caller);
	config_watch(source->config, source->id.relid);
	config_watch(source->config, source->root);
	source->compiled = true;
}

void
source_ready(Source *source)
{
	if (source->query != NULL)
		query_ready(source);
	else if (!source->compiled)
		compile_source(source);
}
