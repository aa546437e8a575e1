/*
 * expression.c
 *		SQL expressions in rules and rewards: conditions, and awards that are worked out.
 *
 * PostgreSQL's own parser reads them, with hooks that give column names their
 * meaning as facts, and its executor runs them, without planning.  The same
 * facts must give the same answer today and when history is proven, so only
 * immutable functions are let in.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
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
#include "parser/parse_type.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "earning/attempt.h"
#include "earning/expression.h"
#include "earning/parse.h"
#include "loyalty.h"

/* What the kinds are called, and what they may read. */
static const struct
{
	const char *name;
	const char *noun;
	const char *nouns;
	FactSet		facts;
}			kinds[] = {
	[EXPRESSION_CONDITION] = {"condition", "rule", "Rules", FACT_BIT(NFACTS) - 1},
	[EXPRESSION_POINTS] = {"award_points", "rule", "Rules", FACT_BIT(NFACTS) - 1},
	[EXPRESSION_REWARD] = {"condition", "reward", "Rewards", REWARD_FACTS}
};

/* The kind that is being parsed; a parser's hooks find it here. */
#define PARSED_KIND(pstate) (*(const ExpressionKind *) (pstate)->p_ref_hook_state)

/*
 * Rights
 */

typedef struct OwnerScope
{
	Oid			user_id;
	int			sec_context;
	int			guc_level;
	bool		read_only;
} OwnerScope;

/*
 * Take on the owner's rights.  His functions run in other people's sessions:
 * they change neither settings nor tables there.  An error needs no owner_end:
 * aborting a (sub)transaction restores all.
 */
static void
owner_begin(OwnerScope *scope, Oid owner)
{
	GetUserIdAndSecContext(&scope->user_id, &scope->sec_context);
	SetUserIdAndSecContext(owner, scope->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	scope->guc_level = settings_pin();
	scope->read_only = XactReadOnly;
	XactReadOnly = true;
}

static void
owner_end(OwnerScope *scope)
{
	settings_unpin(scope->guc_level);
	XactReadOnly = scope->read_only;
	SetUserIdAndSecContext(scope->user_id, scope->sec_context);
}

/*
 * Parsing
 */

/* All facts that the kind may read, for a hint. */
static char *
list_facts(ExpressionKind kind)
{
	StringInfoData list;
	int			fact;

	initStringInfo(&list);
	for (fact = 0; fact < NFACTS; fact++)
		if (kinds[kind].facts & FACT_BIT(fact))
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", fact_name((Fact) fact));
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
	if (fact == NFACTS || !(kinds[PARSED_KIND(pstate)].facts & FACT_BIT(fact)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" does not exist", NameListToString(ref->fields)),
				 errhint("%s read %s.", kinds[PARSED_KIND(pstate)].nouns, list_facts(PARSED_KIND(pstate))),
				 parser_errposition(pstate, ref->location)));
	var = makeVar(1, (AttrNumber) (fact + 1), fact_type(fact), -1, get_typcollation(fact_type(fact)), 0);
	var->location = ref->location;
	return (Node *) var;
}

/* What belongs to a session means something else, or nothing, in the next one. */
static void
refuse_temporary(ParseState *pstate, Oid schema, int location)
{
	if (OidIsValid(schema) && isAnyTempNamespace(schema))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("temporary objects cannot be used in a %s", kinds[PARSED_KIND(pstate)].noun),
				 PARSED_KIND(pstate) == EXPRESSION_REWARD ? errdetail("Every session reads it.")
				 : errdetail("Every session that judges purchases reads it."),
				 parser_errposition(pstate, location)));
}

/* Names of functions, operators and collations: only in full can they be temporary. */
static void
check_name(ParseState *pstate, List *names, int location)
{
	char	   *schema;
	char	   *name;

	if (names == NIL)
		return;
	DeconstructQualifiedName(names, &schema, &name);
	if (schema != NULL)
		refuse_temporary(pstate, LookupNamespaceNoError(schema), location);
}

static void
check_type(ParseState *pstate, TypeName *name)
{
	Type		type = LookupTypeName(pstate, name, NULL, true);

	if (type == NULL)
		return;
	refuse_temporary(pstate, ((Form_pg_type) GETSTRUCT(type))->typnamespace, name->location);
	ReleaseSysCache(type);
}

/* As it is written: reading a constant of a type may run functions already. */
static bool
check_raw(Node *node, void *context)
{
	ParseState *pstate = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_SubLink:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot use subquery in a %s", kinds[PARSED_KIND(pstate)].noun),
					 parser_errposition(pstate, ((SubLink *) node)->location)));
			break;
		case T_FuncCall:
			check_name(pstate, ((FuncCall *) node)->funcname, ((FuncCall *) node)->location);
			break;
		case T_A_Expr:
			check_name(pstate, ((A_Expr *) node)->name, ((A_Expr *) node)->location);
			break;
		case T_CollateClause:
			check_name(pstate, ((CollateClause *) node)->collname, ((CollateClause *) node)->location);
			break;
		case T_TypeName:
			check_type(pstate, (TypeName *) node);
			break;
		default:
			break;
	}
	return raw_expression_tree_walker(node, check_raw, context);
}

static bool
find_set(Node *node, void *location)
{
	if (node == NULL)
		return false;
	if ((IsA(node, FuncExpr) && ((FuncExpr *) node)->funcretset) ||
		(IsA(node, OpExpr) && ((OpExpr *) node)->opretset))
	{
		*(int *) location = exprLocation(node);
		return true;
	}
	return expression_tree_walker(node, find_set, location);
}

/* The parser lets these in where it does not know what the expression is for. */
static void
check_calls(ParseState *pstate, Node *expr)
{
	int			location;

	if (pstate->p_hasAggs)
		ereport(ERROR,
				(errcode(ERRCODE_GROUPING_ERROR),
				 errmsg("aggregate functions are not allowed in a %s", kinds[PARSED_KIND(pstate)].noun),
				 parser_errposition(pstate, locate_agg_of_level(expr, 0))));
	if (pstate->p_hasWindowFuncs)
		ereport(ERROR,
				(errcode(ERRCODE_WINDOWING_ERROR),
				 errmsg("window functions are not allowed in a %s", kinds[PARSED_KIND(pstate)].noun),
				 parser_errposition(pstate, locate_windowfunc(expr))));
	if (find_set(expr, &location))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-returning functions are not allowed in a %s", kinds[PARSED_KIND(pstate)].noun),
				 parser_errposition(pstate, location)));
}

/* A constant, looked for where it was written. */
typedef struct TimeSearch
{
	ParseState *pstate;
	Node	   *raw;
	int			location;
} TimeSearch;

static bool is_time(Oid type);

/* Whether a column of the row type is a time, or holds one. */
static bool
has_time(Oid row_type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(row_type, -1);
	bool		found = false;
	int			i;

	for (i = 0; i < desc->natts && !found; i++)
		found = !TupleDescAttr(desc, i)->attisdropped && is_time(TupleDescAttr(desc, i)->atttypid);
	ReleaseTupleDesc(desc);
	return found;
}

static bool
is_time(Oid type)
{
	Oid			base = getBaseType(type);

	if (OidIsValid(get_element_type(base)))
		return is_time(get_element_type(base));
	if (OidIsValid(get_range_subtype(base)))
		return is_time(get_range_subtype(base));
#if PG_VERSION_NUM >= 140000
	if (OidIsValid(get_multirange_range(base)))
		return is_time(get_multirange_range(base));
#endif
	if (get_typtype(base) == TYPTYPE_COMPOSITE)
		return has_time(base);
	return base == DATEOID || base == TIMEOID || base == TIMETZOID ||
		base == TIMESTAMPOID || base == TIMESTAMPTZOID;
}

static bool
find_clock_word(Node *node, void *context)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
	TimeSearch *search = context;
	char	   *written;
	int			i;

	if (node == NULL)
		return false;
	if (!IsA(node, A_Const))
		return raw_expression_tree_walker(node, find_clock_word, context);
	if (((A_Const *) node)->location != search->location || !IsA(&((A_Const *) node)->val, String))
		return false;
	written = asc_tolower(strVal(&((A_Const *) node)->val), strlen(strVal(&((A_Const *) node)->val)));
	for (i = 0; i < lengthof(words); i++)
		if (strstr(written, words[i]) != NULL)
			return true;
	return false;
}

static int
clock_hint(ExpressionKind kind)
{
	return kind == EXPRESSION_REWARD
		? errhint("\"at\" is the time of redeeming in the program's time zone, in place of now().")
		: errhint("\"at\" is the purchase's time in the program's time zone, in place of now().");
}

/* Words such as "today" are read when the text is: by every session at another time. */
static bool
check_times(Node *node, void *context)
{
	TimeSearch *search = context;

	if (node == NULL)
		return false;
	if (IsA(node, Const) && is_time(((Const *) node)->consttype))
	{
		search->location = ((Const *) node)->location;
		if (find_clock_word(search->raw, search))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("times in a %s must not depend on the clock", kinds[PARSED_KIND(search->pstate)].noun),
					 errdetail("The same facts must give the same answer today and when history is proven."),
					 clock_hint(PARSED_KIND(search->pstate)),
					 parser_errposition(search->pstate, search->location)));
	}
	return expression_tree_walker(node, check_times, context);
}

/* The expression as a tree, of the type that its kind asks for. */
static Node *
parse(ExpressionKind kind, const char *text)
{
	List	   *targets = parse_expressions(text);
	ParseState *pstate = make_parsestate(NULL);
	/* The parser's work leaves parts of its result in what it was given. */
	TimeSearch	times = {pstate, copyObject(linitial(targets)), -1};
	Node	   *expr;

	if (list_length(targets) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("one expression is needed")));
	pstate->p_sourcetext = text;
	pstate->p_pre_columnref_hook = read_column;
	pstate->p_ref_hook_state = (void *) &kind;
	(void) check_raw(linitial(targets), pstate);
	expr = transformExpr(pstate, linitial(targets), EXPR_KIND_OTHER);
	check_calls(pstate, expr);
	(void) check_times(expr, &times);
	if (kind != EXPRESSION_POINTS)
		expr = coerce_to_boolean(pstate, expr, kinds[kind].name);
	else
	{
		Oid			given = exprType(expr);

		expr = coerce_to_target_type(pstate, expr, given, NUMERICOID, -1,
									 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
		if (expr == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("%s must be of type %s, not %s", kinds[kind].name,
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
check_immutable(ExpressionKind kind, const char *text, Node *expr)
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
			 errmsg("functions in a %s must be immutable", kinds[kind].noun),
			 errdetail("The same facts must give the same answer today and when history is proven."),
			 clock_hint(kind),
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

/* Read the text and make it ready to run. */
static void
prepare(Expression *expression, const char *text, Oid owner)
{
	OwnerScope	scope;
	Node	   *expr;
	Expr	   *planned;

	owner_begin(&scope, owner);
	expr = parse(expression->kind, text);
	check_immutable(expression->kind, text, expr);
	expression->uses_types = uses_other_types(expr);
	planned = expression_planner((Expr *) expr);
	(void) gather_facts((Node *) planned, &expression->reads);
	if (runs_other_functions((Node *) planned))
		expression->owner = owner;
	expression->state = ExecInitExpr(planned, NULL);
	owner_end(&scope);
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
	Oid			owner = get_role_oid(compilation->owner, true);
	ParseScope	parsing;

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", compilation->owner),
				 errdetail("It owns %s \"%s\", whose expressions run with its rights.",
						   kinds[expression->kind].noun, expression->name),
				 errhint("Set loyalty.%s.owner.", kinds[expression->kind].noun)));
	parse_begin(&parsing, compilation->text,
				psprintf("%s of %s \"%s\"", kinds[expression->kind].name,
						 kinds[expression->kind].noun, expression->name));
	prepare(expression, compilation->text, owner);
	parse_end(&parsing);
}

Expression *
expression_compile(ExpressionKind kind, const char *text, const char *name, const char *owner)
{
	Expression *expression = palloc0(sizeof(Expression));
	Compilation compilation = {expression, text, owner};

	expression->kind = kind;
	expression->name = pstrdup(name);
	expression->broken = attempt(compile, &compilation);
	if (expression->broken != NULL)
	{
		expression->state = NULL;
		expression->uses_types = true;
		/* Whatever it may turn out to read, purchases that count meanwhile keep. */
		expression->reads = KEPT_FACTS;
	}
	return expression;
}

void
expression_check(ExpressionKind kind, const char *text, Oid owner)
{
	Expression	expression;
	ParseScope	parsing;

	memset(&expression, 0, sizeof(expression));
	expression.kind = kind;
	parse_begin(&parsing, text, kinds[kind].name);
	prepare(&expression, text, owner);
	parse_end(&parsing);
}

void
machine_begin(Machine *machine)
{
	machine->econtext = CreateStandaloneExprContext();
	machine->running = false;
	machine->slot = MakeSingleTupleTableSlot(fact_row_type(), &TTSOpsVirtual);
	memset(machine->slot->tts_isnull, true, NFACTS * sizeof(bool));
	ExecStoreVirtualTuple(machine->slot);
	machine->econtext->ecxt_scantuple = machine->slot;
}

void
machine_refuse(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_RECURSION),
			 errmsg("purchases cannot be judged while a rule is being evaluated"),
			 errdetail("A function that a rule calls has asked for it.")));
}

/* Say which rule or reward it was. */
static void
name_rule(void *arg)
{
	const Expression *expression = arg;

	errcontext("%s of %s \"%s\"", kinds[expression->kind].name, kinds[expression->kind].noun, expression->name);
}

static Datum
run_as_owner(const Expression *expression, Machine *machine, bool *isnull)
{
	OwnerScope	scope;
	volatile Datum value = (Datum) 0;

	owner_begin(&scope, expression->owner);
	machine->running = true;
	PG_TRY();
	{
		value = ExecEvalExprSwitchContext(expression->state, machine->econtext, isnull);
	}
	PG_FINALLY();
	{
		machine->running = false;
	}
	PG_END_TRY();
	owner_end(&scope);
	return value;
}

Datum
expression_run(const Expression *expression, Machine *machine, bool *isnull)
{
	ErrorContextCallback callback;
	Datum		value;

	if (expression->broken != NULL)
		ReThrowError(expression->broken);
	if (machine->running)
		machine_refuse();

	callback.callback = name_rule;
	callback.arg = unconstify(Expression *, expression);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	value = OidIsValid(expression->owner) ? run_as_owner(expression, machine, isnull)
		: ExecEvalExprSwitchContext(expression->state, machine->econtext, isnull);
	if (!*isnull && expression->kind == EXPRESSION_POINTS)
		value = datumCopy(value, false, -1);
	ResetExprContext(machine->econtext);
	error_context_stack = callback.previous;
	return value;
}
