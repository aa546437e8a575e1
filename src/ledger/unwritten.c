/*
 * unwritten.c
 *		What time has done to a member that nobody has written down yet.
 *
 * It is put together as the entries that writing it down would make: reading
 * then counts them like all others.  Both reading and writing go by the order of
 * their time, so that it makes no difference when it is written.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "ledger/awaiting.h"
#include "ledger/holdings.h"
#include "ledger/posting.h"
#include "ledger/unwritten.h"
#include "types/calendar.h"

MemberSilence member_silence = NULL;
MemberLapse member_lapse = NULL;

static EntryRow *
make_entry(const char *kind, TimestampTz at, const Purse *lots)
{
	EntryRow   *entry = palloc0(sizeof(EntryRow));

	entry->kind = kind;
	entry->seq = PG_INT64_MAX;
	entry->revision = 1;
	entry->points = purse_total(lots);
	entry->lots = purse_pack(lots);
	entry->occurred_at = at;
	/* Not before it happens, which may be in the future. */
	entry->posted_at = Max(at, GetCurrentTransactionStartTimestamp());
	return entry;
}

/* What silence has accepted: entries in the order of their time. */
static List *
list_silent(Config *config, Store *store, Snapshot snapshot, const Program *program,
			const MemberRow *member, TimestampTz at, bool past, Points *awaiting)
{
	List	   *entries = NIL;
	ListCell   *cell;

	foreach(cell, awaiting_silent(config, store, snapshot, program, member, at, past, awaiting))
	{
		const Confirmation *row = lfirst(cell);
		Purse		lots;

		if (!row->silence_accepts)
			continue;
		purse_init(&lots);
		purse_add_lot(&lots, row->starts, row->ends, row->points);
		entries = lappend(entries, make_entry(KIND_EARN, calendar_start_of_day(row->due, program->zone), &lots));
	}
	return entries;
}

/* In the order of their time; of two at one time the accepted comes first, as member_bring_current has it. */
static int
compare_entries(const ListCell *a, const ListCell *b)
{
	const EntryRow *x = lfirst(a);
	const EntryRow *y = lfirst(b);

	if (x->occurred_at != y->occurred_at)
		return x->occurred_at < y->occurred_at ? -1 : 1;
	return strcmp(x->kind, y->kind);
}

List *
unwritten_list(Config *config, Store *store, Snapshot snapshot, const Program *program,
			   const MemberRow *member, TimestampTz at, bool past, Points *awaiting)
{
	List	   *entries = NIL;
	List	   *holds;
	ListCell   *cell;
	Purse		lots;

	if (past || member->awaiting != 0)
		entries = list_silent(config, store, snapshot, program, member, at, past, awaiting);
	if (member->hold_until > at)
		return entries;
	holds = store_active_holds(store, member->member_id);
	purse_init(&lots);
	foreach(cell, holds)
	{
		const HoldRow *hold = lfirst(cell);
		ListCell   *next = lnext(holds, cell);

		if (hold->until > at)
			break;
		/* What ends at one time is one change. */
		purse_add(&lots, &hold->lots);
		if (next != NULL && ((HoldRow *) lfirst(next))->until == hold->until)
			continue;
		entries = lappend(entries, make_entry(KIND_RELEASE, hold->until, &lots));
		purse_clear(&lots);
	}
	list_sort(entries, compare_entries);
	return entries;
}

/* As posting_bring_current, posting_add and posting_even_out do it. */
void
unwritten_apply(const Program *program, const MemberRow *member, const List *entries, MemberState *state)
{
	const ListCell *cell;
	Purse		lots;
	Due			due;

	purse_init(&lots);
	purse_init(&due.netting);
	purse_init(&due.lapsed);
	foreach(cell, entries)
	{
		const EntryRow *entry = lfirst(cell);
		DateADT		day = calendar_day(entry->occurred_at, program->zone);

		while (holdings_due(&state->purse,
							holdings_inactive_end(program, state->last_activity, member->enrolled_at), day, &due))
		{
			purse_add(&state->purse, &due.netting);
			purse_add(&state->purse, &due.lapsed);
		}
		purse_read(&lots, entry->lots);
		purse_add(&state->purse, &lots);
		posting_count(entry, &state->lifetime, &state->held, &state->last_activity);
		purse_netting(&state->purse, day, &due.netting);
		purse_add(&state->purse, &due.netting);
		holdings_lapsed(&state->purse,
						holdings_inactive_end(program, state->last_activity, member->enrolled_at), day, &due.lapsed);
		purse_add(&state->purse, &due.lapsed);
	}
}

int
member_bring_current(Config *config, Store *store, MemberRow *row, TimestampTz at)
{
	pg_tz	   *zone;
	int			total = 0;

	if (row->awaiting == 0 && row->hold_until > at)
		return 0;
	zone = config_program_by_id(config, row->program_id)->zone;
	while (row->hold_until <= at)
	{
		int			lapsed;

		CHECK_FOR_INTERRUPTS();
		if (row->awaiting != 0)
			member_silence(config, store, row, calendar_day(row->hold_until, zone));
		lapsed = member_lapse(config, store, row);
		if (lapsed == 0)
			break;
		total += lapsed;
	}
	if (row->awaiting != 0)
		member_silence(config, store, row, calendar_day(at, zone));
	return total;
}
