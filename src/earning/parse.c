/*
 * parse.c
 *		Texts that hold SQL expressions, whatever these are over.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"

#include "earning/parse.h"

/* Show positions within the expression, not within the statement around it. */
static void
show_position(void *arg)
{
	ParseScope *scope = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(scope->text);
	}
	errcontext("%s", scope->what);
}

void
parse_begin(ParseScope *scope, const char *text, const char *what)
{
	scope->text = text;
	scope->what = what;
	scope->callback.callback = show_position;
	scope->callback.arg = scope;
	scope->callback.previous = error_context_stack;
	error_context_stack = &scope->callback;
}

void
parse_end(ParseScope *scope)
{
	error_context_stack = scope->callback.previous;
}

List *
parse_expressions(const char *text)
{
#if PG_VERSION_NUM >= 140000
	List	   *parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
#else
	List	   *parsed = raw_parser(psprintf("SELECT %s", text));
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
				 errmsg("an expression is needed, not a query")));
	foreach(cell, select->targetList)
	{
		ResTarget  *target = lfirst_node(ResTarget, cell);

		if (target->name != NULL || target->indirection != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("an expression has no name here")));
		/* Not an expression: the parser's transformExpr would crash on it. */
		if (IsA(target->val, ColumnRef) && IsA(llast(((ColumnRef *) target->val)->fields), A_Star))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("\"*\" cannot be used here")));
		targets = lappend(targets, target->val);
	}
	return targets;
}

/* The type that a node makes of what is below it; InvalidOid: none of its own. */
static Oid
type_made(Node *node)
{
	switch (nodeTag(node))
	{
		case T_Const:
		case T_FuncExpr:
		case T_OpExpr:
		case T_FieldSelect:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_RowExpr:
		case T_CoerceToDomain:
			return exprType(node);
		default:
			return InvalidOid;
	}
}

static bool
has_other_types(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (type_made(node) >= FirstNormalObjectId)
		return true;
	return expression_tree_walker(node, has_other_types, context);
}

bool
uses_other_types(Node *expr)
{
	return has_other_types(expr, NULL);
}

static bool
is_other_function(Oid function_id, void *context)
{
	return function_id >= FirstNormalObjectId;
}

/* Immutable by their label, these write texts as settings say. */
static bool
has_unsettled_text(Oid type)
{
	switch (type)
	{
		case FLOAT4OID:
		case FLOAT8OID:
		case BYTEAOID:
		case POINTOID:
		case LSEGOID:
		case PATHOID:
		case BOXOID:
		case POLYGONOID:
		case LINEOID:
		case CIRCLEOID:
			return true;
		default:
			return false;
	}
}

static bool
has_other_functions(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (type_made(node) >= FirstNormalObjectId || type_made(node) == CSTRINGOID ||
		check_functions_in_node(node, is_other_function, NULL))
		return true;
	if (IsA(node, CoerceViaIO) && has_unsettled_text(exprType((Node *) ((CoerceViaIO *) node)->arg)))
		return true;
	return expression_tree_walker(node, has_other_functions, context);
}

bool
runs_other_functions(Node *expr)
{
	return has_other_functions(expr, NULL);
}

static bool
gather_function(Oid function_id, void *functions)
{
	if (function_id >= FirstNormalObjectId)
		*(List **) functions = lappend_oid(*(List **) functions, function_id);
	return false;
}

static bool
gather_functions(Node *node, void *functions)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, gather_function, functions);
	return expression_tree_walker(node, gather_functions, functions);
}

List *
other_functions(Node *expr)
{
	List	   *functions = NIL;

	(void) gather_functions(expr, &functions);
	list_sort(functions, list_oid_cmp);
	return functions;
}
