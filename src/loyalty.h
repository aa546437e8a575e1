/*
 * loyalty.h
 *		What every floor of loyalty may use: names, settings, engine rights.
 */
#ifndef LOYALTY_H
#define LOYALTY_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/tuplestore.h"

#include "errors.h"

#define LOYALTY_SCHEMA "loyalty"

/* GUC loyalty.program: the program meant where none is named; may be NULL or empty. */
extern char *loyalty_default_program;

/*
 * Engine rights.  Between engine_enter and engine_leave SQL runs as the owner
 * of the extension, with a search_path that nobody else can put names into.
 * An error needs no engine_leave: aborting a (sub)transaction restores both.
 */
typedef struct EngineScope
{
	Oid			user_id;
	int			sec_context;
	int			guc_level;
	int			level;			/* how deep the session was in such scopes before */
} EngineScope;

extern void engine_enter(EngineScope *scope, Oid user_id);
extern void engine_leave(EngineScope *scope);

/* The same with the rights of a table's owner, whose functions may run: a security-restricted operation. */
extern void owner_enter(EngineScope *scope, Oid user_id);

/*
 * For a trigger: whether the statement that fired it is one that the engine
 * itself runs between engine_enter and engine_leave, and not somebody else's
 * function or trigger that was reached from there.
 */
extern bool engine_is_writing(void);

/* For a trigger too: the role that runs the statement, or that called the engine to. */
extern Oid	engine_caller(void);

/*
 * Between these, settings have the values under which texts and times read the
 * same for everybody; whatever is set meanwhile is undone.
 */
extern int	settings_pin(void);
extern void settings_unpin(int level);

/* Tells this session's transactions apart, also those that have no number; needs storage/proc.h. */
#if PG_VERSION_NUM >= 170000
#define MY_TRANSACTION (MyProc->vxid.lxid)
#else
#define MY_TRANSACTION (MyProc->lxid)
#endif

/*
 * Until the transaction ends, notice a deadlock before anybody else does: a
 * backfill can be called again, an order at the till should not have to.
 */
extern void give_way(void);

/* Whether two texts are the same bytes; NULL is the same as NULL only. */
extern bool same_text(const text *a, const text *b);

/* An argument of a function that may be NULL. */
extern text *text_argument(FunctionCallInfo fcinfo, int argno);

/* The row type of a list that is kept for a while, or sorted. */
typedef struct ListColumn
{
	const char *name;
	Oid			type;
} ListColumn;

extern TupleDesc list_row_type(const ListColumn *columns, int ncolumns);

/* Start the result of a set-returning function: a tuplestore and its row type. */
extern Tuplestorestate *result_begin(FunctionCallInfo fcinfo, TupleDesc *desc);

#endif							/* LOYALTY_H */
