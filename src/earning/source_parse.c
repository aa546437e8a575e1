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
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "earning/parse.h"
#include "earning/source.h"

/* The type that a field's expression is coerced to; InvalidOid: it keeps its own. */
static const Oid field_types[NFIELDS] = {
	InvalidOid, NUMERICOID, InvalidOid, InvalidOid, BOOLOID, TEXTOID, TEXTOID,
	NUMERICOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID
};

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
	ParseScope	scope;
	ParseState *pstate;
	ParseNamespaceItem *nsitem;
	List	   *targets;
	List	   *result = NIL;
	ListCell   *cell;

	parse_begin(&scope, expression,
				psprintf("expression for \"%s\"", source_field_names[field]));
	targets = parse_expressions(expression);
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
	parse_end(&scope);
	return result;
}
