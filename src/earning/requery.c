/*
 * requery.c
 *		Purchases of queries: locked, read again by their keys, reconciled.
 *
 * A purchase of a query is made of rows that several sessions may write at
 * once, none of whom sees the others' yet.  So whoever changed one of them
 * first inserts or locks the purchase's row in loyalty.purchase, in order of
 * the keys and before any member is locked, and only then reads the query,
 * with a new snapshot: whoever comes last sees all that was committed before.
 * That row also says who has the purchase's entries, which its lines may not
 * say any more.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "earning/deferred.h"
#include "earning/holders.h"
#include "earning/requery.h"
#include "ledger/member.h"
#include "loyalty.h"

/*
 * Statements on loyalty.purchase that orders wait for.  Their plans are kept,
 * and so must not be those that suit the table while it is small: they are
 * written so that each key is looked up by itself in the primary key.
 */
typedef struct Statement
{
	const char *sql;
	int			nargs;
	Oid			types[3];
	SPIPlanPtr	plan;
} Statement;

static Statement insert_statement = {
	"INSERT INTO loyalty.purchase (source_id, source_key)"
	" SELECT $1, k FROM pg_catalog.unnest($2) AS k ON CONFLICT DO NOTHING",
	2, {INT4OID, TEXTARRAYOID}, NULL
};
static Statement lock_statement = {
	"SELECT p.member_id FROM pg_catalog.unnest($2) AS k CROSS JOIN LATERAL"
	" (SELECT member_id FROM loyalty.purchase WHERE source_id = $1 AND source_key = k FOR UPDATE) AS p",
	2, {INT4OID, TEXTARRAYOID}, NULL
};
static Statement move_statement = {
	"UPDATE loyalty.purchase SET member_id = $3"
	" WHERE source_id = $1 AND source_key = $2 AND member_id IS DISTINCT FROM $3",
	3, {INT4OID, TEXTOID, INT8OID}, NULL
};

/* Run one of them; within engine_enter and SPI_connect. */
static void
execute(Statement *statement, Datum *values, int expected)
{
	if (statement->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(statement->sql, statement->nargs, statement->types,
											  CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			elog(ERROR, "could not prepare: %s", statement->sql);
		SPI_keepplan(plan);
		statement->plan = plan;
	}
	if (SPI_execute_plan(statement->plan, values, NULL, false, 0) != expected)
		elog(ERROR, "could not execute: %s", statement->sql);
}

/* Engine rights for them, and no scan of the whole table, however small it is yet. */
static void
enter(EngineScope *scope, const Config *config)
{
	engine_enter(scope, config->owner);
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
}

static Datum
text_array(Datum *values, int count)
{
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The list of moved purchases. */
static const ListColumn moved_columns[] = {{"key", TEXTOID}, {"ref", TEXTOID}};

void
requery_begin(Requery *requery, Source *source)
{
	memset(requery, 0, sizeof(*requery));
	requery->source = source;
	requery->context = CurrentMemoryContext;
	requery->now = GetCurrentTransactionStartTimestamp();
	requery->pile = purchase_pile_begin();
}

void
requery_lock(Requery *requery, Claim *claims, int nclaims)
{
	Datum	   *keys = palloc(sizeof(Datum) * Max(nclaims, 1));
	Datum		values[2];
	EngineScope scope;
	int			i;

	if (nclaims == 0)
		return;
	for (i = 0; i < nclaims; i++)
		keys[i] = PointerGetDatum(claims[i].key);
	values[0] = Int32GetDatum(requery->source->id.source_id);
	values[1] = text_array(keys, nclaims);

	enter(&scope, requery->source->config);
	execute(&insert_statement, values, SPI_OK_INSERT);
	execute(&lock_statement, values, SPI_OK_SELECT);
	if (SPI_processed != nclaims)
		elog(ERROR, "purchases of source \"%s\" cannot be locked", requery->source->name);
	for (i = 0; i < nclaims; i++)
	{
		bool		isnull;
		Datum		member_id = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		claims[i].member_id = isnull ? 0 : DatumGetInt64(member_id);
	}
	SPI_finish();
	engine_leave(&scope);
	pfree(keys);
}

/* Remember that the purchase comes to the member of this ref. */
static void
note_moved(Requery *requery, text *key, text *ref)
{
	Datum		values[2] = {PointerGetDatum(key), PointerGetDatum(ref)};
	bool		nulls[2] = {false, false};

	if (requery->moved == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(requery->context);

		requery->moved = tuplestore_begin_heap(false, false, work_mem);
		requery->slot = MakeSingleTupleTableSlot(list_row_type(moved_columns, lengthof(moved_columns)), &TTSOpsMinimalTuple);
		MemoryContextSwitchTo(caller);
	}
	tuplestore_putvalues(requery->moved, requery->slot->tts_tupleDescriptor, values, nulls);
}

/* Put what the purchase is to be for its member, and for who had it before. */
static void
put_purchase(Requery *requery, const Claim *claim, const QueryPurchase *read)
{
	Source	   *source = requery->source;
	int64		member_id = read->ref == NULL ? 0 : member_resolve(source->config, source->program, read->ref);
	bool		stays = member_id != 0 && claim->member_id != 0 &&
		holders_are_related(source->config, source->program, member_id, claim->member_id);
	Purchase	purchase;

	/* With who is tied to him by a merge it stays where it is. */
	if (claim->member_id != 0 && !stays && claim->member_id != member_id)
	{
		memset(&purchase, 0, sizeof(purchase));
		purchase.member_id = claim->member_id;
		purchase.key = read->key;
		purchase_pile_put(requery->pile, &purchase);
	}
	if (read->ref == NULL)
		return;
	query_purchase(read, member_id, &purchase);
	purchase.old_member_id = claim->member_id;
	purchase_pile_put(requery->pile, &purchase);
	if (purchase.counts && !stays && member_id != claim->member_id)
		note_moved(requery, read->key, read->ref);
}

void
requery_read(Requery *requery, const Claim *claims, int nclaims)
{
	Source	   *source = requery->source;
	QueryPurchase *purchases = palloc0(sizeof(QueryPurchase) * Max(nclaims, 1));
	int			i;

	for (i = 0; i < nclaims; i++)
		purchases[i].key = claims[i].key;
	query_read(source, purchases, nclaims, true, requery->now);
	for (i = 0; i < nclaims; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (purchases[i].error == NULL)
			put_purchase(requery, &claims[i], &purchases[i]);
		else
		{
			deferred_write(source, claims[i].key, &claims[i].member_id,
						   claims[i].member_id == 0 ? 0 : 1, purchases[i].error);
			requery->deferred++;
		}
	}
	pfree(purchases);
}

/*
 * After they have been reconciled, so that members are known who are kept at
 * another place than their ref computes.
 */
static void
record_members(Requery *requery)
{
	Config	   *config = config_get();
	Program    *program = config_program_by_id(config, requery->source->program->program_id);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty purchase",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;

	enter(&scope, config);
	MemoryContextSwitchTo(row_context);
	while (program != NULL && tuplestore_gettupleslot(requery->moved, true, false, requery->slot))
	{
		Datum		values[3];
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		values[0] = Int32GetDatum(requery->source->id.source_id);
		values[1] = slot_getattr(requery->slot, 1, &isnull);
		values[2] = Int64GetDatum(member_resolve(config, program,
												 DatumGetTextPP(slot_getattr(requery->slot, 2, &isnull))));
		execute(&move_statement, values, SPI_OK_UPDATE);
		MemoryContextSwitchTo(row_context);
		ExecClearTuple(requery->slot);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(caller);
	SPI_finish();
	engine_leave(&scope);
	MemoryContextDelete(row_context);
}

void
requery_end(Requery *requery, ReconcileResult *result)
{
	purchase_pile_sort(requery->pile);
	reconcile(requery->source, requery->pile, true, result);
	purchase_pile_end(requery->pile);
	result->deferred += requery->deferred;
	if (requery->moved != NULL)
	{
		record_members(requery);
		ExecDropSingleTupleTableSlot(requery->slot);
		tuplestore_end(requery->moved);
	}
}
