/*
 * query_parse.c
 *		The query of a source: analyzed, and checked to be one that purchases can
 *		be read from.
 *
 * It is one SELECT that only reads, and reads the same today and tomorrow from
 * the same rows: no volatile functions, no clock, no session.  Stable functions
 * are let in, since the settings that they heed are pinned whenever it runs.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_node.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "earning/query.h"

typedef struct ParseContext
{
	const char *name;
	ParseState *pstate;
	bool		within_views;	/* positions are not the query's */
	List	   *own;			/* QueryShape.own */
} ParseContext;

/* Show positions within the query, not within the statement around it. */
static void
parse_error_context(void *arg)
{
	ParseContext *context = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(context->pstate->p_sourcetext);
	}
	errcontext("query of source \"%s\"", context->name);
}

static int
position_of(const ParseContext *context, int location)
{
	return context->within_views ? 0 : parser_errposition(context->pstate, location);
}

/* The one SELECT of a text. */
static RawStmt *
parse_select(const ParseContext *context)
{
#if PG_VERSION_NUM >= 140000
	List	   *parsed = raw_parser(context->pstate->p_sourcetext, RAW_PARSE_DEFAULT);
#else
	List	   *parsed = raw_parser(context->pstate->p_sourcetext);
#endif
	RawStmt    *statement;
	SelectStmt *select;

	if (parsed == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a query is needed")));
	if (list_length(parsed) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("one query is needed, not several statements"),
				 position_of(context, lsecond_node(RawStmt, parsed)->stmt_location)));
	statement = linitial_node(RawStmt, parsed);
	if (!IsA(statement->stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a SELECT is needed"),
				 position_of(context, statement->stmt_location)));
	for (select = (SelectStmt *) statement->stmt; select->larg != NULL;)
		select = select->larg;
	if (select->intoClause != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the query of a source cannot have INTO"),
				 position_of(context, select->intoClause->rel->location)));
	return statement;
}

/*
 * What it may call
 */

/* Stable functions that read the clock or the session. */
static bool
reads_session(Oid function_id)
{
	switch (function_id)
	{
		case F_NOW:
		case F_TRANSACTION_TIMESTAMP:
		case F_STATEMENT_TIMESTAMP:
		case F_AGE_TIMESTAMP:
		case F_AGE_TIMESTAMPTZ:
		case F_CURRENT_USER:
		case F_SESSION_USER:
		case F_CURRENT_SCHEMA:
		case F_CURRENT_SCHEMAS:
		case F_CURRENT_DATABASE:
		case F_CURRENT_SETTING_TEXT:
		case F_CURRENT_SETTING_TEXT_BOOL:
		case F_INET_CLIENT_ADDR:
		case F_INET_CLIENT_PORT:
		case F_INET_SERVER_ADDR:
		case F_INET_SERVER_PORT:
		case F_PG_BACKEND_PID:
		case F_PG_CLIENT_ENCODING:
		case F_PG_CONF_LOAD_TIME:
		case F_PG_MY_TEMP_SCHEMA:
		case F_PG_POSTMASTER_START_TIME:
		case F_PG_TRIGGER_DEPTH:
		case F_TXID_CURRENT:
		case F_TXID_CURRENT_IF_ASSIGNED:
		case F_TXID_CURRENT_SNAPSHOT:
		case F_PG_CURRENT_XACT_ID:
		case F_PG_CURRENT_XACT_ID_IF_ASSIGNED:
		case F_PG_CURRENT_SNAPSHOT:
			return true;
		default:
			return false;
	}
}

/* Casts of money, whose value depends on lc_monetary. */
static bool
reads_money(Oid function_id)
{
	return function_id == F_NUMERIC_MONEY || function_id == F_MONEY_NUMERIC ||
		function_id == F_MONEY_INT4 || function_id == F_MONEY_INT8;
}

/* What a node calls that it may not. */
typedef struct Call
{
	ParseContext *context;
	Oid			function_id;
	bool		is_volatile;
} Call;

static bool
is_forbidden(Oid function_id, void *arg)
{
	Call	   *call = arg;

	if (function_id >= FirstNormalObjectId && !call->context->within_views)
		call->context->own = lappend_oid(call->context->own, function_id);
	call->function_id = function_id;
	call->is_volatile = func_volatile(function_id) == PROVOLATILE_VOLATILE;
	return call->is_volatile || reads_session(function_id) || reads_money(function_id);
}

static void
refuse_call(const ParseContext *context, Node *node, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("the query of a source cannot use %s", what),
			 errdetail("The same rows must read the same today and when history is proven."),
			 errhint("Keep in a column what it is to depend on."),
			 position_of(context, exprLocation(node))));
}

static void
check_calls(ParseContext *context, Node *node)
{
	Call		call = {.context = context};

	if (IsA(node, SQLValueFunction))
		refuse_call(context, node, "the current time, user or schema");
	if (IsA(node, NextValueExpr))
		refuse_call(context, node, "the next number of a sequence");
	if (!check_functions_in_node(node, is_forbidden, &call))
		return;
	if (reads_money(call.function_id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the query of a source cannot cast money"),
				 errdetail("The same rows must read the same today and when history is proven."),
				 errhint("Money depends on lc_monetary: store numeric."),
				 position_of(context, exprLocation(node))));
	refuse_call(context, node,
				psprintf(call.is_volatile ? "the volatile function %s()" : "%s(), which reads the clock or the session",
						 get_func_name(call.function_id)));
}

/*
 * What it may read
 */

static void
check_entry(const ParseContext *context, RangeTblEntry *rte)
{
	/* Policies of other people's tables are theirs, and see the source's owner. */
	if (context->within_views)
		rte->securityQuals = NIL;
	if (rte->rtekind == RTE_RELATION && get_rel_persistence(rte->relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the query of a source cannot read the temporary table \"%s\"", get_rel_name(rte->relid)),
				 errdetail("Other sessions do not see it.")));
	if (rte->tablesample != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the query of a source cannot have TABLESAMPLE"),
				 errdetail("The same rows must read the same today and when history is proven.")));
}

static bool
check_node(Node *node, void *arg)
{
	ParseContext *context = arg;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		check_entry(context, (RangeTblEntry *) node);
		return false;
	}
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *cell;

		foreach(cell, query->cteList)
		{
			CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

			if (IsA(cte->ctequery, Query) && ((Query *) cte->ctequery)->commandType != CMD_SELECT)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("the query of a source cannot change rows"),
						 errdetail("Its WITH query \"%s\" does.", cte->ctename),
						 position_of(context, cte->location)));
		}
		if (query->rowMarks != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the query of a source cannot lock rows"),
					 errhint("Leave FOR UPDATE or FOR SHARE out: purchases are locked by their key.")));
		return query_tree_walker(query, check_node, context, QTW_EXAMINE_RTES_BEFORE);
	}
	check_calls(context, node);
	return expression_tree_walker(node, check_node, context);
}

/* Further in it may well be about the rows of one key. */
static void
check_limit(const ParseContext *context, const Query *query)
{
	Node	   *limit = query->limitCount != NULL ? query->limitCount : query->limitOffset;

	if (limit != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the query of a source cannot have LIMIT or OFFSET"),
				 errdetail("A row that is written would change which other purchases there are."),
				 position_of(context, exprLocation(limit))));
}

/*
 * What it gives
 */

static SourceField
field_of(const char *name)
{
	int			field;

	for (field = 0; field < NFIELDS; field++)
		if (name != NULL && strcmp(name, source_field_names[field]) == 0)
			break;
	return (SourceField) field;
}

/*
 * Types whose equal values have one text form, which no setting changes once
 * they are pinned: numeric only where its scale is fixed.
 */
static bool
can_be_key(Oid type, int32 typmod)
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
		case UUIDOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case BYTEAOID:
			return true;
		case NUMERICOID:
			return typmod >= 0;
		default:
			return type_is_enum(type);
	}
}

static void
check_key_column(const ParseContext *context, Node *expr, Oid type, int32 typmod)
{
	Oid			collation = exprCollation(expr);

	if (!can_be_key(type, typmod))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"key\" cannot be of type %s", format_type_be(type)),
				 errdetail("Equal keys of that type may be written in several ways."),
				 type == NUMERICOID
				 ? errhint("Fix its scale, for instance order_id::numeric(20,0), or cast it to bigint.")
				 : errhint("Cast it, for instance to text."),
				 position_of(context, exprLocation(expr))));
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"key\" cannot have the collation \"%s\"", get_collation_name(collation)),
				 errdetail("It takes different texts for equal."),
				 errhint("Write COLLATE \"C\" behind it."),
				 position_of(context, exprLocation(expr))));
}

static void
check_column_type(const ParseContext *context, Node *expr, SourceField field, Oid type)
{
	Oid			given = exprType(expr);
	Oid			wanted = field == FIELD_AMOUNT || field == FIELD_QUANTITY ? NUMERICOID
		: field == FIELD_COUNTS ? BOOLOID
		: field == FIELD_DATA ? JSONBOID
		: TEXTOID;

	if (field == FIELD_AT)
	{
		if (type != TIMESTAMPTZOID && type != TIMESTAMPOID && type != DATEOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("\"at\" must be a date or a time, not %s", format_type_be(given)),
					 position_of(context, exprLocation(expr))));
		return;
	}
	if (wanted == NUMERICOID && type == CASHOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"%s\" must be of type %s, not %s", source_field_names[field],
						format_type_be(wanted), format_type_be(given)),
				 errhint("Money depends on lc_monetary: store numeric."),
				 position_of(context, exprLocation(expr))));
	if (!can_coerce_type(1, &given, &wanted, COERCION_ASSIGNMENT))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"%s\" must be of type %s, not %s", source_field_names[field],
						format_type_be(wanted), format_type_be(given)),
				 position_of(context, exprLocation(expr))));
}

/* Each column has a meaning, once, and the necessary ones are there. */
static void
check_columns(const ParseContext *context, Query *query, QueryShape *shape)
{
	static const SourceField needed[] = {FIELD_KEY, FIELD_MEMBER, FIELD_AMOUNT};
	ListCell   *cell;
	int			i;

	memset(shape, 0, sizeof(*shape));
	foreach(cell, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);
		Node	   *expr = (Node *) target->expr;
		SourceField field = field_of(target->resname);
		Oid			type = getBaseType(exprType(expr));
		int32		typmod = exprTypmod(expr);

		if (target->resjunk)
			continue;
		if (field == NFIELDS)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of the query means nothing", target->resname),
					 errhint("Columns are named key, member, at, amount, item, category, quantity, channel,"
							 " store, currency, counts and data."),
					 position_of(context, exprLocation(expr))));
		if (OidIsValid(shape->types[field]))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("the query has several columns \"%s\"", target->resname),
					 position_of(context, exprLocation(expr))));
		if (field == FIELD_KEY)
		{
			type = getBaseTypeAndTypmod(exprType(expr), &typmod);
			check_key_column(context, expr, type, typmod);
			shape->key_typmod = type == NUMERICOID ? typmod : -1;
		}
		else
			check_column_type(context, expr, field, type);
		shape->types[field] = type;
	}
	for (i = 0; i < lengthof(needed); i++)
		if (!OidIsValid(shape->types[needed[i]]))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("the query has no column \"%s\"", source_field_names[needed[i]]),
					 errhint("A purchase needs key, member and amount.")));
}

Query *
query_parse(const char *source_name, const char *text, QueryShape *shape)
{
#if PG_VERSION_NUM >= 150000
	ParseState *pstate = make_parsestate(NULL);
	ParseContext context = {source_name, pstate, false, NIL};
	ErrorContextCallback callback;
	Query	   *query;
	ListCell   *cell;

	pstate->p_sourcetext = text;
	callback.callback = parse_error_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	query = parse_analyze_fixedparams(parse_select(&context), text, NULL, 0, NULL);
	(void) check_node((Node *) query, &context);
	check_limit(&context, query);
	check_columns(&context, query, shape);
	shape->own = context.own;
	list_sort(shape->own, list_oid_cmp);

	/* The same within the views that it reads. */
	context.within_views = true;
	foreach(cell, QueryRewrite(copyObject(query)))
		(void) check_node(lfirst(cell), &context);

	error_context_stack = callback.previous;
	return query;
#else
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("queries cannot be attached before PostgreSQL 15")));
#endif
}

char *
query_deparse(const Query *query)
{
#if PG_VERSION_NUM >= 150000
	return pg_get_querydef(copyObject(unconstify(Query *, query)), false);
#else
	return NULL;
#endif
}

char *
query_key_type_name(const QueryShape *shape)
{
	bits16		flags = shape->key_typmod < 0 ? 0 : FORMAT_TYPE_TYPEMOD_GIVEN;

	if (type_is_enum(shape->types[FIELD_KEY]))
		flags |= FORMAT_TYPE_FORCE_QUALIFY;
	return format_type_extended(shape->types[FIELD_KEY], shape->key_typmod, flags);
}
