/*
 * verify.c
 *		Proving that the ledger is sound.
 *
 * verify() reads everything under one snapshot, writes nothing (it runs on a
 * standby), and returns one row for each violation.  What grows with the ledger
 * comes from cursors, sorted within work_mem, so memory does not.
 *
 * Members and their entries (I1, I2, I3, I5) are in verify_members.c,
 * verify_entry.c and, side by side, verify_parallel.c; seals (I3) in
 * verify_seals.c, purchases (I4) in verify_purchases.c, limits in
 * verify_limits.c, what awaits confirmation in verify_confirm.c; who was
 * forgotten in verify_forgotten.c; rollups (I1) in verify_rollups.c; transfers, holds, cancellations, redemptions,
 * vouchers, merges and households (I6) in verify_transfers.c, verify_holds.c,
 * verify_cancel.c, verify_redemptions.c, verify_vouchers.c and verify_people.c;
 * tiers (I7) in verify_tiers.c; access (I8) in verify_access.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "ledger/access.h"
#include "loyalty.h"
#include "operation/verify.h"

PG_FUNCTION_INFO_V1(loyalty_verify);

/* Rows fetched at a time. */
#define FETCH_SIZE 1000

void
verify_report(Verification *verification, const Violation *violation)
{
	const char *texts[7] = {violation->invariant, violation->program, violation->member,
		violation->purchase, violation->problem, violation->expected, violation->actual};
	Datum		values[7];
	bool		nulls[7];
	int			i;

	for (i = 0; i < lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	tuplestore_putvalues(verification->result, verification->desc, values, nulls);
}

/*
 * Cursors
 */

/* What reads a shop's table may run the shop's functions. */
static void
enter(const Cursor *cursor, EngineScope *scope)
{
	if (cursor->foreign)
		owner_enter(scope, cursor->user_id);
	else
		engine_enter(scope, cursor->user_id);
}

void
cursor_open(Cursor *cursor, Oid user_id, const char *sql, int nargs,
			Oid *types, Datum *values, const char *nulls)
{
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;

	memset(cursor, 0, sizeof(*cursor));
	cursor->foreign = OidIsValid(user_id);
	cursor->user_id = cursor->foreign ? user_id : GetUserId();
	enter(cursor, &scope);
	cursor->portal = SPI_cursor_open_with_args(NULL, sql, nargs, types, values, nulls, true, 0);
	engine_leave(&scope);
	MemoryContextSwitchTo(caller);
	cursor->values = palloc(sizeof(Datum) * cursor->portal->tupDesc->natts);
	cursor->nulls = palloc(sizeof(bool) * cursor->portal->tupDesc->natts);
}

bool
cursor_next(Cursor *cursor)
{
	CHECK_FOR_INTERRUPTS();
	if (cursor->next == cursor->count)
	{
		MemoryContext caller = CurrentMemoryContext;
		EngineScope scope;

		if (cursor->table != NULL)
			SPI_freetuptable(cursor->table);
		enter(cursor, &scope);
		SPI_cursor_fetch(cursor->portal, true, FETCH_SIZE);
		engine_leave(&scope);
		MemoryContextSwitchTo(caller);
		cursor->table = SPI_tuptable;
		cursor->count = SPI_processed;
		cursor->next = 0;
	}
	cursor->tuple = cursor->next < cursor->count ? cursor->table->vals[cursor->next++] : NULL;
	if (cursor->tuple == NULL)
		return false;
	heap_deform_tuple(cursor->tuple, cursor->table->tupdesc, cursor->values, cursor->nulls);
	return true;
}

void
cursor_close(Cursor *cursor)
{
	if (cursor->table != NULL)
		SPI_freetuptable(cursor->table);
	SPI_cursor_close(cursor->portal);
}

void
cursor_entry(const Cursor *cursor, EntryRow *entry)
{
	const Datum *values = cursor->values;
	const bool *nulls = cursor->nulls;
	struct varlena *hash = PG_DETOAST_DATUM_PACKED(values[16]);

	memset(entry, 0, sizeof(*entry));
	entry->member_id = DatumGetInt64(values[0]);
	entry->seq = DatumGetInt64(values[1]);
	entry->points = DatumGetPoints(values[2]);
	entry->occurred_at = DatumGetTimestampTz(values[3]);
	entry->posted_at = DatumGetTimestampTz(values[4]);
	entry->program_id = DatumGetInt32(values[5]);
	entry->rule_id = DatumGetInt32(values[6]);
	entry->source_id = DatumGetInt32(values[7]);
	entry->revision = DatumGetInt32(values[8]);
	entry->rule_horizon = DatumGetInt32(values[9]);
	entry->kind = TextDatumGetCString(values[10]);
	entry->source_key = DatumGetTextPP(values[11]);
	entry->lots = values[12];
	entry->amount = nulls[13] ? NULL : DatumGetNumeric(values[13]);
	entry->context = nulls[14] ? NULL : DatumGetJsonbP(values[14]);
	entry->note = nulls[15] ? NULL : DatumGetTextPP(values[15]);
	/* A hash of another length stays zero, which no entry's is. */
	if (VARSIZE_ANY_EXHDR(hash) == HASH_LENGTH)
		memcpy(entry->hash, VARDATA_ANY(hash), HASH_LENGTH);
}

/* verify(program) → setof violation */
Datum
loyalty_verify(PG_FUNCTION_ARGS)
{
	Verification verification;
	EngineScope scope;

	verification.config = config_get();
	verification.only = PG_ARGISNULL(0) && access_is_owner(verification.config) ? NULL
		: access_program(verification.config, text_argument(fcinfo, 0), ACCESS_READ);
	verification.result = result_begin(fcinfo, &verification.desc);
	engine_enter(&scope, verification.config->owner);
	SPI_connect();
	verify_members(&verification);
	verify_purchases(&verification);
	verify_limits(&verification);
	verify_confirm(&verification);
	verify_transfers(&verification);
	verify_holds(&verification);
	verify_cancel(&verification);
	verify_redemptions(&verification);
	verify_vouchers(&verification);
	verify_people(&verification);
	verify_proposals(&verification);
	verify_seals(&verification);
	verify_rollups(&verification);
	verify_tiers(&verification);
	verify_forgotten(&verification);
	verify_access(&verification);
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_NULL();
}
