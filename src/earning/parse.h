/*
 * parse.h
 *		Texts that hold SQL expressions, whatever these are over.
 */
#ifndef LOYALTY_PARSE_H
#define LOYALTY_PARSE_H

#include "postgres.h"
#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "utils/elog.h"

/*
 * While it is in force, errors show their position within the text and say
 * what the text is.  parse_begin and parse_end nest like blocks.
 */
typedef struct ParseScope
{
	ErrorContextCallback callback;
	const char *text;
	const char *what;			/* "expression for "amount"" */
} ParseScope;

extern void parse_begin(ParseScope *scope, const char *text, const char *what);
extern void parse_end(ParseScope *scope);

/* The expressions of the text, and nothing but expressions: raw parse trees. */
extern List *parse_expressions(const char *text);

/*
 * Whether the expression runs anything that did not come with PostgreSQL: that
 * looks up names as the settings say, and its right to run is somebody's.  Or
 * it writes texts as the settings say.
 */
extern bool runs_other_functions(Node *expr);

/* The functions that it calls, also by operators, which did not come with PostgreSQL: sorted Oids. */
extern List *other_functions(Node *expr);

/* Whether it is about types that did not come with PostgreSQL, and may change. */
extern bool uses_other_types(Node *expr);

#endif							/* LOYALTY_PARSE_H */
