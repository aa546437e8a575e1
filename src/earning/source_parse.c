/*
 * source_parse.c
 *		The expressions of a source: parsed, and checked to be what a source can
 *		read.
 *
 * They are over the row's own columns and immutable, as in an index: the same
 * row must read the same today and when history is proven.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "earning/source.h"

/* The type that a field's expression is coerced to; InvalidOid: it keeps its own. */
static const Oid field_types[NFIELDS] = {
	InvalidOid, NUMERICOID, InvalidOid, InvalidOid, BOOLOID, TEXTOID, TEXTOID,
	NUMERICOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID
};

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
