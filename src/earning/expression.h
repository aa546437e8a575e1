/*
 * expression.h
 *		SQL expressions in rules and rewards: conditions, and awards that are worked out.
 *
 * They are over facts (fact.h), immutable, and run with the rights of the
 * owner of the rule or reward, who can write nothing meanwhile.  Names in them mean what they
 * mean under search_path pg_catalog, so that nobody can give them another
 * meaning later.
 */
#ifndef LOYALTY_EXPRESSION_H
#define LOYALTY_EXPRESSION_H

#include "postgres.h"
#include "executor/executor.h"

#include "earning/fact.h"

/* Errors that come up in them say in their context "condition of rule "x"". */
#define EXPRESSION_CONTEXT " of rule \""

typedef enum ExpressionKind
{
	EXPRESSION_CONDITION,		/* boolean */
	EXPRESSION_POINTS,			/* numeric */
	EXPRESSION_REWARD			/* boolean, of a reward: over REWARD_FACTS */
} ExpressionKind;

typedef struct Expression
{
	ExpressionKind kind;
	const char *name;			/* of the rule or reward, for errors */
	ExprState  *state;			/* NULL: broken */
	FactSet		reads;
	Oid			owner;			/* who must be impersonated; InvalidOid: nobody */
	bool		uses_types;		/* that are not PostgreSQL's own, or it is broken */
	ErrorData  *broken;			/* why it cannot be run */
} Expression;

/* Where expressions find the facts. */
typedef struct Machine
{
	ExprContext *econtext;
	TupleTableSlot *slot;		/* of fact_row_type() */
	bool		running;		/* a function of an owner, who may do anything */
} Machine;

extern void machine_begin(Machine *machine);	/* in CurrentMemoryContext */

/* 42P19: that function asks for the judgement that it is part of. */
extern void machine_refuse(void) pg_attribute_noreturn();

/* Make a fact known to the machine; "value" must live as long as it is read. */
static inline void
machine_set(Machine *machine, Fact fact, Datum value, bool isnull)
{
	if (unlikely(machine->running))
		machine_refuse();
	machine->slot->tts_values[fact] = value;
	machine->slot->tts_isnull[fact] = isnull;
}

/*
 * Compile the text; what cannot be compiled any more says so when it is run.
 * Allocated in CurrentMemoryContext.
 */
extern Expression *expression_compile(ExpressionKind kind, const char *text, const char *name,
									  const char *owner);

/* Check the text as it is written: errors show their position.  "owner" must be able to run it. */
extern void expression_check(ExpressionKind kind, const char *text, Oid owner);

/* The value under the facts of the machine, allocated in CurrentMemoryContext. */
extern Datum expression_run(const Expression *expression, Machine *machine, bool *isnull);

#endif							/* LOYALTY_EXPRESSION_H */
