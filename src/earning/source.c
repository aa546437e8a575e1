/*
 * source.c
 *		Attached tables: their rows read as purchases.
 *
 * The expressions that attach was given are parsed and planned once a backend
 * (until the configuration or the table changes) and then evaluated on the
 * rows of transition tables: the hot path plans nothing.  They are immutable,
 * as in an index, and run with the rights of the table's owner, never with
 * those of whoever inserts an order, and never with the engine's.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "earning/attempt.h"
#include "earning/source.h"
#include "loyalty.h"
#include "types/calendar.h"

const char *const source_field_names[NFIELDS] = {
	"member", "amount", "at", "key", "counts", "item", "category",
	"quantity", "channel", "store", "currency", "data"
};

/* The type that a field's expression is coerced to; InvalidOid: it keeps its own. */
static const Oid field_types[NFIELDS] = {
	InvalidOid, NUMERICOID, InvalidOid, InvalidOid, BOOLOID, TEXTOID, TEXTOID,
	NUMERICOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID
};

/*
 * Parsing
 */

typedef struct ParseContext
{
	SourceField field;
	const char *expression;
} ParseContext;

/* Show positions within the expression, not within the statement around it. */
static void
parse_error_context(void *arg)
{
	ParseContext *context = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(context->expression);
	}
	errcontext("expression for \"%s\"", source_field_names[context->field]);
}

/* The expressions of a text, and nothing but expressions. */
static List *
parse_targets(const char *expression)
{
#if PG_VERSION_NUM >= 140000
	List	   *parsed = raw_parser(expression, RAW_PARSE_PLPGSQL_EXPR);
#else
	List	   *parsed = raw_parser(psprintf("SELECT %s", expression));
#endif
	SelectStmt *select;
	ListCell   *cell;
	List	   *targets = NIL;

	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("one expression is needed")));
	select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;
	if (!IsA(select, SelectStmt) || select->op != SETOP_NONE ||
		select->targetList == NIL || select->distinctClause != NIL ||
		select->intoClause != NULL || select->fromClause != NIL ||
		select->whereClause != NULL || select->groupClause != NIL ||
		select->havingClause != NULL || select->windowClause != NIL ||
		select->valuesLists != NIL || select->sortClause != NIL ||
		select->limitOffset != NULL || select->limitCount != NULL ||
		select->lockingClause != NIL || select->withClause != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("an expression over the row's columns is needed, not a query")));
	foreach(cell, select->targetList)
	{
		ResTarget  *target = lfirst_node(ResTarget, cell);

		if (target->name != NULL || target->indirection != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("an expression has no name here")));
		targets = lappend(targets, target->val);
	}
	return targets;
}

/* Only the row's own columns: neither system columns nor the row as a whole. */
static bool
has_other_columns(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varattno <= 0)
		return true;
	return expression_tree_walker(node, has_other_columns, context);
}

/* Coerce to what the field needs; 42804 where that is not possible. */
static Node *
coerce_field(ParseState *pstate, Node *expr, SourceField field)
{
	Oid			given = exprType(expr);
	Oid			wanted = field_types[field];
	Node	   *coerced;

	if (given == UNKNOWNOID && !OidIsValid(wanted))
		wanted = TEXTOID;
	if (field == FIELD_AT)
	{
		Oid			base = getBaseType(given);

		if (base != TIMESTAMPTZOID && base != TIMESTAMPOID && base != DATEOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("\"at\" must be a date or a time, not %s", format_type_be(given)),
					 parser_errposition(pstate, exprLocation(expr))));
		return expr;
	}
	if (!OidIsValid(wanted))
		return expr;
	coerced = coerce_to_target_type(pstate, expr, given, wanted, -1,
									COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"%s\" must be of type %s, not %s", source_field_names[field],
						format_type_be(wanted), format_type_be(given)),
				 parser_errposition(pstate, exprLocation(expr))));
	return coerced;
}

List *
source_parse(Relation rel, SourceField field, const char *expression)
{
	ParseContext context = {field, expression};
	ErrorContextCallback callback;
	ParseState *pstate;
	ParseNamespaceItem *nsitem;
	List	   *targets;
	List	   *result = NIL;
	ListCell   *cell;

	callback.callback = parse_error_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	targets = parse_targets(expression);
	if (list_length(targets) > (field == FIELD_KEY ? MAX_KEY_PARTS : 1))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("too many expressions")));

	pstate = make_parsestate(NULL);
	pstate->p_sourcetext = expression;
	nsitem = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, true);
	addNSItemToQuery(pstate, nsitem, true, true, true);

	foreach(cell, targets)
	{
		Node	   *expr = transformExpr(pstate, lfirst(cell), EXPR_KIND_INDEX_EXPRESSION);
		Node	   *planned;

		expr = coerce_field(pstate, expr, field);
		assign_expr_collations(pstate, expr);
		if (has_other_columns(expr, NULL))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("system columns and whole rows cannot be used here")));
		planned = (Node *) expression_planner((Expr *) copyObject(expr));
		if (contain_mutable_functions(planned))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("functions in a source expression must be immutable"),
					 errdetail("The same row must read the same today and when history is proven."),
					 exprType(expr) == NUMERICOID
					 ? errhint("Money depends on lc_monetary: store numeric.")
					 : errhint("For instance created_at AT TIME ZONE 'UTC' instead of created_at::date."),
					 parser_errposition(pstate, exprLocation(expr))));
		result = lappend(result, expr);
	}
	free_parsestate(pstate);
	error_context_stack = callback.previous;
	return result;
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
						  " s.attached, c.relowner"
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

void
source_ready(Source *source)
{
	if (!source->compiled)
		compile_source(source);
}

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
				 errhint("A source goes by its table's name; loyalty.source lists them.")));
	return result;
}

/*
 * Reading rows
 */

void
source_enter(Source *source, SourceScope *scope)
{
	GetUserIdAndSecContext(&scope->user_id, &scope->sec_context);
	SetUserIdAndSecContext(source->owner,
						   scope->sec_context | SECURITY_RESTRICTED_OPERATION);
	if (source->pin_settings)
	{
		static const char *const pins[][2] = {
			{"TimeZone", "UTC"}, {"DateStyle", "ISO, MDY"}, {"IntervalStyle", "postgres"},
			{"extra_float_digits", "1"}, {"bytea_output", "hex"}, {"search_path", "pg_catalog, pg_temp"}
		};
		int			i;

		scope->guc_level = NewGUCNestLevel();
		for (i = 0; i < lengthof(pins); i++)
			(void) set_config_option(pins[i][0], pins[i][1], PGC_USERSET, PGC_S_SESSION,
									 GUC_ACTION_SAVE, true, 0, false);
	}
}

void
source_leave(Source *source, SourceScope *scope)
{
	if (source->pin_settings)
		AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->user_id, scope->sec_context);
}

/* Evaluate on the row in econtext; the result lives until the context is reset. */
static Datum
eval(Source *source, SourceExpr *compiled, bool *isnull)
{
	return ExecEvalExprSwitchContext(compiled->state, source->econtext, isnull);
}

/* A value as text, in CurrentMemoryContext. */
static text *
value_text(SourceExpr *compiled, Datum value)
{
	char		digits[MAXINT8LEN + 1];

	switch (compiled->type)
	{
		case INT2OID:
			pg_ltoa(DatumGetInt16(value), digits);
			return cstring_to_text(digits);
		case INT4OID:
			pg_ltoa(DatumGetInt32(value), digits);
			return cstring_to_text(digits);
		case INT8OID:
			pg_lltoa(DatumGetInt64(value), digits);
			return cstring_to_text(digits);
		case BPCHAROID:
			{
				/* Blanks that pad it are not part of it. */
				char	   *padded = TextDatumGetCString(value);
				int			length = strlen(padded);

				while (length > 0 && padded[length - 1] == ' ')
					length--;
				return cstring_to_text_with_len(padded, length);
			}
		default:
			if (compiled->as_is)
				return DatumGetTextPCopy(value);
			return cstring_to_text(OutputFunctionCall(&compiled->output, value));
	}
}

/* Parts of a composite key are joined by commas; commas and backslashes in them are escaped. */
static void
append_escaped(StringInfo key, const char *part)
{
	for (; *part != '\0'; part++)
	{
		if (*part == ',' || *part == '\\')
			appendStringInfoChar(key, '\\');
		appendStringInfoChar(key, *part);
	}
}

/* The key of the row in econtext. */
static text *
read_key(Source *source)
{
	StringInfoData key;
	text	   *result;
	Datum		value;
	bool		isnull;
	int			i;

	if (source->nkeys == 1)
	{
		value = eval(source, &source->keys[0], &isnull);
		return isnull ? NULL : value_text(&source->keys[0], value);
	}
	initStringInfo(&key);
	for (i = 0; i < source->nkeys; i++)
	{
		value = eval(source, &source->keys[i], &isnull);
		if (isnull)
			return NULL;
		if (i > 0)
			appendStringInfoChar(&key, ',');
		append_escaped(&key, text_to_cstring(value_text(&source->keys[i], value)));
	}
	result = cstring_to_text_with_len(key.data, key.len);
	pfree(key.data);
	return result;
}

text *
source_read_key(Source *source, TupleTableSlot *slot)
{
	text	   *key;

	source->econtext->ecxt_scantuple = slot;
	key = read_key(source);
	ResetExprContext(source->econtext);
	return key;
}

void
source_split_key(const Source *source, const text *key, char **parts)
{
	char	   *rest = text_to_cstring(key);
	int			i;

	if (source->nkeys == 1)
	{
		parts[0] = rest;
		return;
	}
	for (i = 0; i < source->nkeys; i++)
	{
		char	   *to = rest;

		parts[i] = rest;
		while (*rest != '\0' && *rest != ',')
		{
			if (*rest == '\\' && rest[1] != '\0')
				rest++;
			*to++ = *rest++;
		}
		if ((*rest == ',') != (i + 1 < source->nkeys))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("\"%s\" is not a key of source \"%s\"", text_to_cstring(key), source->name)));
		if (*rest == ',')
			rest++;
		*to = '\0';
	}
}

/* The instant of a purchase: dates and local times are read in the program's zone. */
static TimestampTz
read_at(Source *source, TimestampTz now)
{
	SourceExpr *compiled = &source->fields[FIELD_AT];
	TimestampTz at = now;
	Datum		value;
	bool		isnull;

	if (compiled->expr != NULL)
	{
		value = eval(source, compiled, &isnull);
		if (!isnull)
		{
			if (compiled->type == TIMESTAMPTZOID)
				at = DatumGetTimestampTz(value);
			else if (compiled->type == TIMESTAMPOID)
				at = calendar_instant(DatumGetTimestamp(value), source->program->zone);
			else
				at = calendar_start_of_day(DatumGetDateADT(value), source->program->zone);
		}
	}
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of a purchase must be finite")));
	return at;
}

/* A numeric field, in CurrentMemoryContext; NULL for null or not mapped. */
static Numeric
read_numeric(Source *source, SourceField field)
{
	bool		isnull;
	Datum		value;
	Numeric		number;

	if (source->fields[field].expr == NULL)
		return NULL;
	value = eval(source, &source->fields[field], &isnull);
	if (isnull)
		return NULL;
	number = DatumGetNumericCopy(value);
	if (numeric_is_nan(number) || numeric_is_inf(number))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" of a purchase must be a finite number", source_field_names[field])));
	return number;
}

void
source_read_row(Source *source, TupleTableSlot *slot, TimestampTz now, SourceRow *row)
{
	Datum		value;
	bool		isnull;

	if (source->broken != NULL)
		ReThrowError(source->broken);

	memset(row, 0, sizeof(*row));
	source->econtext->ecxt_scantuple = slot;
	row->key = read_key(source);
	value = eval(source, &source->fields[FIELD_MEMBER], &isnull);
	if (!isnull && row->key != NULL)
	{
		row->ref = value_text(&source->fields[FIELD_MEMBER], value);
		if (VARSIZE_ANY_EXHDR(row->ref) == 0)
			row->ref = NULL;
	}
	if (row->ref != NULL)
	{
		row->counts = true;
		if (source->fields[FIELD_COUNTS].expr != NULL)
		{
			value = eval(source, &source->fields[FIELD_COUNTS], &isnull);
			row->counts = !isnull && DatumGetBool(value);
		}
	}
	if (row->counts)
	{
		row->amount = read_numeric(source, FIELD_AMOUNT);
		row->counts = row->amount != NULL;
	}
	if (row->counts)
	{
		row->at = read_at(source, now);
		row->quantity = read_numeric(source, FIELD_QUANTITY);
	}
	ResetExprContext(source->econtext);
}
