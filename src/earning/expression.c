/*
 * expression.c
 *		SQL expressions in rules: conditions, and awards that are worked out.
 *
 * PostgreSQL's own parser reads them, with hooks that give column names their
 * meaning as facts, and its executor runs them, without planning.  The same
 * facts must give the same answer today and when history is proven, so only
 * immutable functions are let in.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "earning/attempt.h"
#include "earning/expression.h"
#include "earning/parse.h"
#include "loyalty.h"

static const char *const kind_names[] = {"condition", "award_points"};

/* All facts there are, for a hint. */
static char *
list_facts(void)
{
	StringInfoData list;
	int			fact;

	initStringInfo(&list);
	for (fact = 0; fact < NFACTS; fact++)
		appendStringInfo(&list, "%s%s", fact > 0 ? ", " : "", fact_name((Fact) fact));
	return list.data;
}

/* A column name means a fact. */
static Node *
read_column(ParseState *pstate, ColumnRef *ref)
{
	const char *names[2];
	Fact		fact = NFACTS;
	Var		   *var;
	ListCell   *cell;
	int			n = 0;

	foreach(cell, ref->fields)
	{
		if (!IsA(lfirst(cell), String))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("\"*\" cannot be used here"),
					 parser_errposition(pstate, ref->location)));
		if (n < 2)
			names[n] = strVal(lfirst(cell));
		n++;
	}
	if (n <= 2)
		fact = n == 1 ? fact_by_name(NULL, names[0]) : fact_by_name(names[0], names[1]);
	if (fact == NFACTS)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" does not exist", NameListToString(ref->fields)),
				 errhint("Rules read %s.", list_facts()),
				 parser_errposition(pstate, ref->location)));
	var = makeVar(1, (AttrNumber) (fact + 1), fact_type(fact), -1, get_typcollation(fact_type(fact)), 0);
	var->location = ref->location;
	return (Node *) var;
}

/* The expression as a tree, of the type that its kind asks for. */
static Node *
parse(ExpressionKind kind, const char *text)
{
	List	   *targets = parse_expressions(text);
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expr;

	if (list_length(targets) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("one expression is needed")));
	pstate->p_sourcetext = text;
	pstate->p_pre_columnref_hook = read_column;
	/* Like a CHECK's: neither subqueries nor aggregates nor sets. */
	expr = transformExpr(pstate, linitial(targets), EXPR_KIND_CHECK_CONSTRAINT);
	if (kind == EXPRESSION_CONDITION)
		expr = coerce_to_boolean(pstate, expr, kind_names[kind]);
	else
	{
		Oid			given = exprType(expr);

		expr = coerce_to_target_type(pstate, expr, given, NUMERICOID, -1,
									 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
		if (expr == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("%s must be of type %s, not %s", kind_names[kind],
							format_type_be(NUMERICOID), format_type_be(given)),
					 parser_errposition(pstate, exprLocation(linitial(targets)))));
	}
	assign_expr_collations(pstate, expr);
	free_parsestate(pstate);
	return expr;
}

/* The first function that is not immutable; -1: there is none. */
static bool
find_mutable(Node *node, int *location)
{
	if (node == NULL)
		return false;
	if (expression_tree_walker(node, find_mutable, location))
		return true;
	/* Not what stands below, which has been looked at. */
	if (!contain_mutable_functions(node))
		return false;
	*location = exprLocation(node);
	return true;
}

static void
check_immutable(const char *text, Node *expr)
{
	ParseState *pstate;
	int			location = -1;

	/* What is inlined or folded may be immutable though it is not labelled so. */
	if (!contain_mutable_functions((Node *) expression_planner((Expr *) copyObject(expr))))
		return;
	(void) find_mutable(expr, &location);
	pstate = make_parsestate(NULL);
	pstate->p_sourcetext = text;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("functions in a rule must be immutable"),
			 errdetail("The same facts must give the same answer today and when history is proven."),
			 errhint("\"at\" is the purchase's time in the program's time zone, in place of now()."),
			 parser_errposition(pstate, location)));
}

static bool
gather_facts(Node *node, FactSet *reads)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		*reads |= FACT_BIT(((Var *) node)->varattno - 1);
	return expression_tree_walker(node, gather_facts, reads);
}

/* Make it ready to run; with the owner's rights in force. */
static void
prepare(Expression *expression, Node *expr, Oid owner)
{
	Expr	   *planned = expression_planner((Expr *) expr);

	(void) gather_facts((Node *) planned, &expression->reads);
	if (runs_other_functions((Node *) planned))
		expression->owner = owner;
	expression->state = ExecInitExpr(planned, NULL);
}

typedef struct Compilation
{
	Expression *expression;
	const char *text;
	const char *owner;
} Compilation;

static void
compile(void *arg)
{
	Compilation *compilation = arg;
	Expression *expression = compilation->expression;
	Oid			owner = get_role_oid(compilation->owner, false);
	EngineScope scope;
	ParseScope	parsing;
	Node	   *expr;

	owner_enter(&scope, owner);
	parse_begin(&parsing, compilation->text,
				psprintf("%s of rule \"%s\"", kind_names[expression->kind], expression->rule));
	expr = parse(expression->kind, compilation->text);
	prepare(expression, expr, owner);
	parse_end(&parsing);
	engine_leave(&scope);
}

Expression *
expression_compile(ExpressionKind kind, const char *text, const char *rule, const char *owner)
{
	Expression *expression = palloc0(sizeof(Expression));
	Compilation compilation = {expression, text, owner};

	expression->kind = kind;
	expression->rule = pstrdup(rule);
	expression->broken = attempt(compile, &compilation);
	/* What cannot be read may depend on anything. */
	if (expression->broken != NULL)
		expression->state = NULL;
	return expression;
}

void
expression_check(ExpressionKind kind, const char *text, Oid owner)
{
	Expression	expression;
	EngineScope scope;
	ParseScope	parsing;
	Node	   *expr;

	memset(&expression, 0, sizeof(expression));
	owner_enter(&scope, owner);
	parse_begin(&parsing, text, kind_names[kind]);
	expr = parse(kind, text);
	check_immutable(text, expr);
	prepare(&expression, expr, owner);
	parse_end(&parsing);
	engine_leave(&scope);
}

void
machine_begin(Machine *machine)
{
	machine->econtext = CreateStandaloneExprContext();
	machine->slot = MakeSingleTupleTableSlot(fact_row_type(), &TTSOpsVirtual);
	memset(machine->slot->tts_isnull, true, NFACTS * sizeof(bool));
	ExecStoreVirtualTuple(machine->slot);
	machine->econtext->ecxt_scantuple = machine->slot;
}

/* Say which rule it was. */
static void
name_rule(void *arg)
{
	const Expression *expression = arg;

	errcontext("%s of rule \"%s\"", kind_names[expression->kind], expression->rule);
}

Datum
expression_run(const Expression *expression, Machine *machine, bool *isnull)
{
	ErrorContextCallback callback;
	Oid			user_id;
	int			sec_context;
	int			guc_level = 0;
	Datum		value;

	if (expression->broken != NULL)
		ReThrowError(expression->broken);

	callback.callback = name_rule;
	callback.arg = unconstify(Expression *, expression);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (OidIsValid(expression->owner))
	{
		GetUserIdAndSecContext(&user_id, &sec_context);
		SetUserIdAndSecContext(expression->owner, sec_context | SECURITY_RESTRICTED_OPERATION);
		guc_level = settings_pin();
	}
	value = ExecEvalExprSwitchContext(expression->state, machine->econtext, isnull);
	if (!*isnull && expression->kind == EXPRESSION_POINTS)
		value = datumCopy(value, false, -1);
	if (OidIsValid(expression->owner))
	{
		settings_unpin(guc_level);
		SetUserIdAndSecContext(user_id, sec_context);
	}
	ResetExprContext(machine->econtext);
	error_context_stack = callback.previous;
	return value;
}
