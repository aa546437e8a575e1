/*
 * verify_purchases.c
 *		Proving that every purchase stands as its row says (I4).
 *
 * For each attached source its rows are read as purchases and sorted by member
 * and key, within work_mem; one cursor gives the entries of all sources in the
 * same order, and both are merged:
 *
 * both		judged as a reconcile would, under the context kept with the first
 *			posting: nothing may be left to do for any rule (what stands is what
 *			the row now earns, and the shortfall on record), and the amounts of
 *			the postings add up to the row's.
 * row		if it counts it must have been judged, unless the source has not been
 *			backfilled to its end (then nobody can tell whether the row is older
 *			than the source), or the program does not enroll by itself and the
 *			customer is no member or was none yet at the time of the purchase.
 * entries	must stand at zero.  What does not is looked up by key: the row now
 *			belongs to somebody else, or it is gone, which is a class of its own
 *			("I4 vanished": a dropped partition) and is as it should be where the
 *			source keeps points on delete.
 *
 * When members were merged, or parted, a purchase stays where its entries are:
 * that is whose it is here, wherever its ref leads by now.
 *
 * Whoever was forgotten keeps what he had earned, whatever becomes of his rows:
 * neither his rows nor his entries are looked at.
 *
 * Deferred purchases are excepted; they are looked up only when there is
 * something to report.  What cannot be read or judged is reported with its
 * error, and the run goes on.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/current.h"
#include "earning/deferred.h"
#include "earning/holders.h"
#include "ledger/forgotten.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "operation/verify_purchases.h"

/*
 * The rows of a source
 */

typedef struct Reading
{
	Proof	   *proof;
	Cursor	   *rows;
	SourceRow	row;
} Reading;

static void
read_row(void *arg)
{
	Reading    *reading = arg;

	current_read_tuple(reading->proof->source, reading->rows->tuple, reading->rows->table->tupdesc,
					   GetCurrentTransactionStartTimestamp(), CurrentMemoryContext, &reading->row);
}

/* The row at hand cannot be read as a purchase: report it under its key. */
static void
report_unreadable(Proof *proof, Cursor *rows, const ErrorData *error)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(rows->table->tupdesc, &TTSOpsHeapTuple);
	SourceScope scope;
	text	   *key;

	ExecStoreHeapTuple(rows->tuple, slot, false);
	source_enter(proof->source, &scope);
	key = source_read_key(proof->source, slot);
	source_leave(proof->source, &scope);
	ExecDropSingleTupleTableSlot(slot);
	if (key == NULL || !deferred_has(proof->source, key))
		proof_report(proof, "I4", NULL, key, psprintf("row cannot be read: %s", error->message), NULL, NULL);
}

int64
proof_holder(Proof *proof, const text *key, const text *ref)
{
	Config	   *config = proof->verification->config;
	Program    *program = proof->source->program;

	return holder_of(config, program, GetActiveSnapshot(), member_resolve(config, program, ref),
					 proof->subject->source_id, key);
}

bool
proof_is_forgotten(Proof *proof, const text *key, int64 holder)
{
	Config	   *config = proof->verification->config;
	const Program *program = proof->source->program;

	return program->has_forgotten &&
		(forgotten_has(config, GetActiveSnapshot(), holder) ||
		 (program->has_forgotten_purchases && forgotten_purchase(config, GetActiveSnapshot(), proof->subject->source_id, key)));
}

/* Put the rows of the source into the pile, but for those of guests, and of who was forgotten. */
static void
gather_rows(Proof *proof)
{
	Source	   *source = proof->source;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row_context = AllocSetContextCreate(caller, "loyalty row", ALLOCSET_DEFAULT_SIZES);
	EngineScope scope;
	Cursor		rows;
	Reading		reading;
	char	   *sql;

	reading.proof = proof;
	reading.rows = &rows;
	owner_enter(&scope, source->owner);
	sql = psprintf("SELECT %s FROM %s", current_select_list(source), current_relation_name(source));
	engine_leave(&scope);
	cursor_open(&rows, source->owner, sql, 0, NULL, NULL, NULL);
	MemoryContextSwitchTo(row_context);
	while (cursor_next(&rows))
	{
		ErrorData  *error = attempt(read_row, &reading);
		SourceRow  *row = &reading.row;

		if (error != NULL)
			report_unreadable(proof, &rows, error);
		else if (row->ref != NULL)
		{
			int64		holder = proof_holder(proof, row->key, row->ref);
			Purchase	purchase;

			source_row_purchase(row, holder, &purchase);
			if (!proof_is_forgotten(proof, row->key, holder))
				purchase_pile_put(proof->pile, &purchase);
		}
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(caller);
	cursor_close(&rows);
	MemoryContextDelete(row_context);
	purchase_pile_sort(proof->pile);
}

/* Order of two purchases in pile and cursor. */
static int
compare(int64 a_member, const text *a_key, int64 b_member, const text *b_key)
{
	int			a_length = VARSIZE_ANY_EXHDR(a_key);
	int			b_length = VARSIZE_ANY_EXHDR(b_key);
	int			order;

	if (a_member != b_member)
		return a_member < b_member ? -1 : 1;
	order = memcmp(VARDATA_ANY(a_key), VARDATA_ANY(b_key), Min(a_length, b_length));
	return order != 0 ? order : a_length - b_length;
}

/* On to the next purchase of the pile; a key is to stand there once a member. */
static void
next_purchase(Proof *proof)
{
	for (;;)
	{
		Purchase	last = proof->purchase;
		MemoryContext caller;

		proof->turn = 1 - proof->turn;
		MemoryContextReset(proof->contexts[proof->turn]);
		caller = MemoryContextSwitchTo(proof->contexts[proof->turn]);
		proof->more_purchases = purchase_pile_get(proof->pile, &proof->purchase);
		MemoryContextSwitchTo(caller);
		if (!proof->more_purchases || last.key == NULL ||
			compare(last.member_id, last.key, proof->purchase.member_id, proof->purchase.key) != 0)
			break;
		proof_report(proof, "I4", text_to_cstring(last.ref), last.key, "several rows have the key", "1", NULL);
	}
}

/* Whether the cursor stands at an entry of the source. */
static bool
at_entry(const Proof *proof)
{
	return proof->more_entries &&
		DatumGetInt32(proof->entries->values[7]) == proof->subject->source_id;
}

/* Merge rows and entries. */
static void
merge(Proof *proof)
{
	MemoryContext caller = CurrentMemoryContext;

	next_purchase(proof);
	while (proof->more_purchases || at_entry(proof))
	{
		int			order;

		MemoryContextReset(proof->case_context);
		MemoryContextSwitchTo(proof->case_context);
		if (!proof->more_purchases)
			order = 1;
		else if (!at_entry(proof))
			order = -1;
		else
			order = compare(proof->purchase.member_id, proof->purchase.key,
							DatumGetInt64(proof->entries->values[0]),
							DatumGetTextPP(proof->entries->values[11]));
		if (order < 0)
			proof_check_unjudged(proof, &proof->purchase);
		else
			proof_check_entries(proof, order == 0 ? &proof->purchase : NULL);
		if (order <= 0)
			next_purchase(proof);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Sources
 */

/* Compile the source for its own table. */
static void
open_source(void *arg)
{
	Proof	   *proof = arg;
	Config	   *config = proof->verification->config;
	Source	   *source = source_get(config, proof->subject->source_id, InvalidOid);

	if (source == NULL)
		return;
	source = source_get(config, proof->subject->source_id, source->root);
	source_ready(source);
	proof->rules = rule_set(config, source->program);
	proof->source = source;
}

static void
check_source(Proof *proof)
{
	ErrorData  *error = attempt(open_source, proof);

	if (error == NULL && proof->source != NULL)
		error = proof->source->broken;
	if (error != NULL)
		proof_report(proof, "I4", NULL, NULL, psprintf("source cannot be read: %s", error->message), NULL, NULL);
	else if (proof->source == NULL)
		proof_report(proof, "I4 vanished", NULL, NULL, "table or program of the source is gone", NULL, NULL);
	else
	{
		proof->pile = purchase_pile_begin();
		if (proof->source->query != NULL)
			proof_gather_query(proof);
		else
			gather_rows(proof);
		merge(proof);
		purchase_pile_end(proof->pile);
		if (proof->by_key != NULL)
			SPI_freeplan(proof->by_key);
	}
	while (at_entry(proof))
		proof->more_entries = cursor_next(proof->entries);
}

/* The attached sources in order of number; returns how many. */
static int
list_subjects(Verification *verification, Subject **subjects)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {(Datum) 0};
	char		nulls[1] = {verification->only == NULL ? 'n' : ' '};
	MemoryContext caller = CurrentMemoryContext;
	int			count;
	int			i;

	if (verification->only != NULL)
		values[0] = CStringGetTextDatum(verification->only->name);
	SPI_execute_with_args("SELECT source_id, name, program, backfill_finished_at IS NOT NULL"
						  " FROM loyalty.source WHERE attached AND ($1 IS NULL OR program = $1)"
						  " ORDER BY source_id", 1, types, values, nulls, true, 0);
	MemoryContextSwitchTo(caller);
	count = (int) SPI_processed;
	*subjects = palloc(sizeof(Subject) * Max(count, 1));
	for (i = 0; i < count; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Subject    *subject = &(*subjects)[i];
		bool		isnull;

		subject->source_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		subject->name = SPI_getvalue(row, desc, 2);
		subject->program = SPI_getvalue(row, desc, 3);
		subject->backfilled = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
	}
	return count;
}

/* The entries of the sources, in the order of their piles. */
static void
open_entries(Cursor *entries, const Subject *subjects, int nsubjects)
{
	Oid			types[1] = {INT4ARRAYOID};
	Datum		values[1];
	Datum	   *ids = palloc(sizeof(Datum) * Max(nsubjects, 1));
	int			i;

	for (i = 0; i < nsubjects; i++)
		ids[i] = Int32GetDatum(subjects[i].source_id);
	values[0] = PointerGetDatum(construct_array(ids, nsubjects, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	cursor_open(entries, InvalidOid,
				"SELECT " ENTRY_COLUMNS " FROM loyalty.entry e WHERE source_id = ANY ($1)"
				" AND NOT EXISTS (SELECT FROM loyalty.forgotten f WHERE f.member_id = e.member_id)"
				" ORDER BY source_id, member_id, source_key, rule_id, revision", 1, types, values, NULL);
}

void
verify_purchases(Verification *verification)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext source_context = AllocSetContextCreate(caller, "loyalty source", ALLOCSET_DEFAULT_SIZES);
	Subject    *subjects;
	int			nsubjects = list_subjects(verification, &subjects);
	Cursor		entries;
	bool		more_entries;
	int			i;

	if (nsubjects == 0)
		return;
	open_entries(&entries, subjects, nsubjects);
	more_entries = cursor_next(&entries);
	for (i = 0; i < nsubjects; i++)
	{
		Proof		proof;

		MemoryContextSwitchTo(source_context);
		memset(&proof, 0, sizeof(proof));
		proof.verification = verification;
		proof.subject = &subjects[i];
		proof.entries = &entries;
		proof.more_entries = more_entries;
		proof.case_context = AllocSetContextCreate(source_context, "loyalty purchase", ALLOCSET_DEFAULT_SIZES);
		proof.contexts[0] = AllocSetContextCreate(source_context, "loyalty purchase", ALLOCSET_DEFAULT_SIZES);
		proof.contexts[1] = AllocSetContextCreate(source_context, "loyalty purchase", ALLOCSET_DEFAULT_SIZES);
		check_source(&proof);
		more_entries = proof.more_entries;
		MemoryContextSwitchTo(caller);
		MemoryContextReset(source_context);
	}
	cursor_close(&entries);
	MemoryContextDelete(source_context);
}
