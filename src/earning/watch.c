/*
 * watch.c
 *		The trigger on the tables that a query watches.
 *
 * A statement trigger with transition tables: it gathers the keys that stand
 * in the old and new images of the changed rows, each once, and has their
 * purchases read again.  Nothing else is taken from the images, so it does not
 * matter if they are stale, or that other rows of a purchase are yet to come:
 * each firing leaves the ledger as the query then says.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplesort.h"

#include "earning/attempt.h"
#include "earning/requery.h"
#include "ledger/posting.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_earn_watched);

/* Purchases that are locked, and read, together. */
#define CHUNK_SIZE 1000

/* A column that holds the key. */
typedef struct KeyColumn
{
	ExprState  *state;			/* its value as the query's key type */
	bool		may_fail;
} KeyColumn;

typedef struct Firing
{
	Source	   *source;
	Trigger    *trigger;
	Relation	rel;
	ExprContext *econtext;
	int			ncolumns;
	KeyColumn  *columns;
	Tuplesortstate *keys;
	/* the key being evaluated */
	KeyColumn  *column;
	text	   *key;			/* NULL: none */
} Firing;

/* The value of a column of the row as a key of the query. */
static void
ready_column(Firing *firing, const char *name, KeyColumn *column)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(firing->rel), name);
	Form_pg_attribute attribute;
	Node	   *expr;
	Oid			type;
	int32		typmod;

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", name,
						RelationGetRelationName(firing->rel))));
	query_key_type(firing->source, &type, &typmod);
	attribute = TupleDescAttr(RelationGetDescr(firing->rel), attnum - 1);
	expr = (Node *) makeVar(1, attnum, attribute->atttypid, attribute->atttypmod, attribute->attcollation, 0);
	expr = coerce_to_target_type(NULL, expr, attribute->atttypid, type, typmod,
								 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" cannot hold a key of the query", name,
						RelationGetRelationName(firing->rel))));
	column->may_fail = !IsA(expr, Var) && !IsA(expr, RelabelType);
	column->state = ExecInitExpr(expression_planner((Expr *) expr), NULL);
}

static void
ready_columns(void *arg)
{
	Firing	   *firing = arg;
	int			i;

	firing->ncolumns = firing->trigger->tgnargs - 1;
	firing->columns = palloc0(sizeof(KeyColumn) * firing->ncolumns);
	firing->econtext = CreateStandaloneExprContext();
	for (i = 0; i < firing->ncolumns; i++)
		ready_column(firing, firing->trigger->tgargs[i + 1], &firing->columns[i]);
}

static void
eval_key(void *arg)
{
	Firing	   *firing = arg;
	bool		isnull;
	Datum		value = ExecEvalExprSwitchContext(firing->column->state, firing->econtext, &isnull);

	firing->key = isnull ? NULL : query_key_text(firing->source, value);
}

static void
warn_of_key(const Firing *firing)
{
	ereport(WARNING,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("a row of \"%s\" has no key that can be kept in source \"%s\" and earns nothing",
					RelationGetRelationName(firing->rel), firing->source->name),
			 errdetail("A key is not longer than %d bytes and of type %s.", MAX_KEY_BYTES,
					   firing->source->key_type)));
}

/* Put the keys of the row in econtext into the sort. */
static void
put_keys(Firing *firing)
{
	int			i;

	for (i = 0; i < firing->ncolumns; i++)
	{
		ErrorData  *error = NULL;

		firing->column = &firing->columns[i];
		firing->key = NULL;
		if (firing->column->may_fail && !firing->source->fail)
			error = attempt(eval_key, firing);
		else
			eval_key(firing);
		if (error != NULL || (firing->key != NULL && VARSIZE_ANY_EXHDR(firing->key) > MAX_KEY_BYTES))
			warn_of_key(firing);
		else if (firing->key != NULL)
			tuplesort_putdatum(firing->keys, PointerGetDatum(firing->key), false);
	}
}

/* Gather the keys of a transition table. */
static void
gather_keys(Firing *firing, Tuplestorestate *table)
{
	MemoryContext row_context;
	MemoryContext caller;
	TupleTableSlot *slot;
	EngineScope scope;

	if (table == NULL)
		return;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(firing->rel), &TTSOpsMinimalTuple);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty row", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(row_context);

	/* Casts to the key's type run as the table's owner. */
	owner_enter(&scope, firing->rel->rd_rel->relowner);
	source_pin_settings();
	tuplestore_rescan(table);
	while (tuplestore_gettupleslot(table, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		firing->econtext->ecxt_scantuple = slot;
		put_keys(firing);
		ResetExprContext(firing->econtext);
		/* What came from disk lies in the row's memory, and must not be freed after it. */
		ExecClearTuple(slot);
		MemoryContextReset(row_context);
	}
	engine_leave(&scope);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row_context);
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Working off
 */

/* The next keys of the sort, each once; "last" is the last one of all so far. */
static int
next_keys(Tuplesortstate *keys, Claim *claims, text **last)
{
	MemoryContext chunk = CurrentMemoryContext;
	int			nclaims = 0;
	Datum		value;
	bool		isnull;

	while (nclaims < CHUNK_SIZE &&
		   tuplesort_getdatum(keys, true,
#if PG_VERSION_NUM >= 160000
							  false,
#endif
							  &value, &isnull, NULL))
	{
		text	   *key = DatumGetTextPP(value);

		if (same_text(*last, key))
			continue;
		claims[nclaims].key = (text *) MemoryContextAlloc(chunk, VARSIZE_ANY(key));
		memcpy(claims[nclaims].key, key, VARSIZE_ANY(key));
		*last = claims[nclaims].key;
		nclaims++;
	}
	return nclaims;
}

/* The list of claims. */
static const ListColumn claim_columns[] = {{"key", TEXTOID}, {"member_id", INT8OID}};

/* Lock the purchases of all keys, chunk by chunk, into the list. */
static void
lock_all(Firing *firing, Requery *requery, Tuplestorestate *list, TupleDesc desc)
{
	MemoryContext contexts[2];
	MemoryContext caller = CurrentMemoryContext;
	text	   *last = NULL;
	int			nclaims;
	int			turn;
	int			i;

	/* By turns, since the last key of a chunk is compared with the next one's first. */
	for (turn = 0; turn < 2; turn++)
		contexts[turn] = AllocSetContextCreate(caller, "loyalty chunk", ALLOCSET_DEFAULT_SIZES);
	do
	{
		Claim	   *claims;

		turn = turn == 1 ? 0 : 1;
		MemoryContextReset(contexts[turn]);
		MemoryContextSwitchTo(contexts[turn]);
		claims = palloc(sizeof(Claim) * CHUNK_SIZE);
		nclaims = next_keys(firing->keys, claims, &last);
		requery_lock(requery, claims, nclaims);
		for (i = 0; i < nclaims; i++)
		{
			Datum		values[2] = {PointerGetDatum(claims[i].key), Int64GetDatum(claims[i].member_id)};
			bool		nulls[2] = {false, false};

			tuplestore_putvalues(list, desc, values, nulls);
		}
		MemoryContextSwitchTo(caller);
	} while (nclaims > 0);
	for (turn = 0; turn < 2; turn++)
		MemoryContextDelete(contexts[turn]);
}

/* Read the purchases of the list, chunk by chunk. */
static void
read_all(Requery *requery, Tuplestorestate *list, TupleDesc desc)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContext chunk = AllocSetContextCreate(CurrentMemoryContext, "loyalty chunk", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(chunk);
	int			nclaims;

	do
	{
		Claim	   *claims = palloc(sizeof(Claim) * CHUNK_SIZE);

		for (nclaims = 0; nclaims < CHUNK_SIZE && tuplestore_gettupleslot(list, true, false, slot); nclaims++)
		{
			bool		isnull;

			claims[nclaims].key = DatumGetTextPCopy(slot_getattr(slot, 1, &isnull));
			claims[nclaims].member_id = DatumGetInt64(slot_getattr(slot, 2, &isnull));
		}
		ExecClearTuple(slot);
		requery_read(requery, claims, nclaims);
		MemoryContextReset(chunk);
	} while (nclaims == CHUNK_SIZE);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(chunk);
	ExecDropSingleTupleTableSlot(slot);
}

/* All purchases are locked before the first is read, and before any member is locked. */
static void
work_off(Firing *firing)
{
	TupleDesc	desc = list_row_type(claim_columns, lengthof(claim_columns));
	Tuplestorestate *list = tuplestore_begin_heap(false, false, work_mem);
	Requery		requery;
	ReconcileResult result;

	requery_begin(&requery, firing->source);
	lock_all(firing, &requery, list, desc);
	read_all(&requery, list, desc);
	tuplestore_end(list);
	requery_end(&requery, &result);
}

/*
 * The trigger
 */

/* Called as the trigger that attach_query makes; 39P01 otherwise. */
static void
check_protocol(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "loyalty.earn_watched")));
	if (!TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event) || trigdata->tg_trigger->tgnargs < 2)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is for the triggers that loyalty.attach_query makes",
						"loyalty.earn_watched")));
}

/*
 * The source; NULL with a warning where there is none.  A restore may bring
 * orders before the ledger.
 */
static Source *
watching_source(Config *config, int32 source_id, Relation rel)
{
	Source	   *source = source_get(config, source_id, InvalidOid);

	if (source != NULL && source->attached && source->query != NULL)
	{
		config_watch(config, RelationGetRelid(rel));
		return source;
	}
	ereport(WARNING,
			(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
			 errmsg("rows of \"%s\" earn nothing: source %d does not exist",
					RelationGetRelationName(rel), source_id),
			 errhint("After a restore of data alone, CALL loyalty.backfill.")));
	return NULL;
}

/* Get ready to read keys; false with a warning where that is not possible: a renamed column must not stop the till. */
static bool
ready_firing(Firing *firing)
{
	ErrorData  *error = NULL;

	if (firing->source->fail)
		ready_columns(firing);
	else
		error = attempt(ready_columns, firing);
	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("rows of \"%s\" earn nothing: %s", RelationGetRelationName(firing->rel), error->message),
				 errhint("Detach the query and attach it again, then CALL loyalty.backfill.")));
	return error == NULL;
}

static bool
is_empty(Tuplestorestate *table)
{
	return table == NULL || tuplestore_tuple_count(table) == 0;
}

static void
fire(TriggerData *trigdata, Source *source)
{
	Firing		firing;

	memset(&firing, 0, sizeof(firing));
	firing.source = source;
	firing.trigger = trigdata->tg_trigger;
	firing.rel = trigdata->tg_relation;
	if (!ready_firing(&firing))
		return;
	firing.keys = tuplesort_begin_datum(TEXTOID, TextLessOperator, C_COLLATION_OID, false, work_mem, NULL,
#if PG_VERSION_NUM >= 150000
										TUPLESORT_NONE
#else
										false
#endif
		);
	gather_keys(&firing, trigdata->tg_oldtable);
	gather_keys(&firing, trigdata->tg_newtable);
	FreeExprContext(firing.econtext, true);
	tuplesort_performsort(firing.keys);
	work_off(&firing);
	tuplesort_end(firing.keys);
}

/* earn_watched(): AFTER INSERT, UPDATE, DELETE and BEFORE TRUNCATE, for each statement */
Datum
loyalty_earn_watched(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	MemoryContext context;
	MemoryContext caller;
	Source	   *source;

	check_protocol(fcinfo);
	if (!TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event) &&
		is_empty(trigdata->tg_oldtable) && is_empty(trigdata->tg_newtable))
		PG_RETURN_POINTER(NULL);

	context = AllocSetContextCreate(CurrentMemoryContext, "loyalty trigger", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	source = watching_source(config_get(), pg_strtoint32(trigdata->tg_trigger->tgargs[0]),
							 trigdata->tg_relation);
	if (source != NULL && TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot truncate \"%s\", whose rows have earned points",
						RelationGetRelationName(trigdata->tg_relation)),
				 errhint("DELETE takes the points back; loyalty.detach lets them stay.")));
	if (source != NULL && query_is_being_read())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\", which a query watches, cannot change while a query is read",
						RelationGetRelationName(trigdata->tg_relation)),
				 errhint("Functions that the query of a source calls must only read.")));
	if (source != NULL)
		fire(trigdata, source);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	PG_RETURN_POINTER(NULL);
}
