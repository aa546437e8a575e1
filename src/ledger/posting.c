/*
 * posting.c
 *		The one way in which points move.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ledger/chain.h"
#include "ledger/holdings.h"
#include "ledger/imported.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "types/calendar.h"

void
posting_begin(Posting *posting, const Program *program, MemberRow *member)
{
	memset(posting, 0, sizeof(*posting));
	posting->program = program;
	posting->member = member;
	posting->posted_at = GetCurrentTransactionStartTimestamp();
}

/* "#" and the number: the key of an act that has none of its own. */
static text *
numbered_key(int64 seq)
{
	return cstring_to_text(psprintf("#" INT64_FORMAT, seq));
}

/*
 * The time by which an entry's effects are judged: a purchase of the future
 * neither lets lots lapse nor opens any before that future has come.
 */
static TimestampTz
effective_time(TimestampTz occurred_at, TimestampTz posted_at)
{
	return Min(occurred_at, posted_at);
}

/* Whether the member has done something: returned nothing, and waited for no decision. */
static bool
is_activity(const EntryRow *entry)
{
	if (strcmp(entry->kind, KIND_EARN) == 0)
		return entry->revision == 1 || entry->points > 0;
	return strcmp(entry->kind, KIND_REDEEM) == 0;
}

void
posting_count(const EntryRow *entry, Points *lifetime, Points *held, TimestampTz *last_activity)
{
	if (strcmp(entry->kind, KIND_EARN) == 0 || strcmp(entry->kind, KIND_CLAWBACK) == 0)
		*lifetime = points_add(*lifetime, entry->points);
	/* Netting a debt is a release too; it adds nothing up. */
	if (strcmp(entry->kind, KIND_HOLD) == 0 || strcmp(entry->kind, KIND_RELEASE) == 0)
		*held = points_sub(*held, entry->points);
	if (is_activity(entry))
		*last_activity = Max(*last_activity, effective_time(entry->occurred_at, entry->posted_at));
	if (strcmp(entry->kind, KIND_IMPORT) == 0)
	{
		Points		brought;
		TimestampTz active;

		imported_count(entry, &brought, &active);
		*lifetime = points_add(*lifetime, brought);
		*last_activity = Max(*last_activity, active);
	}
	else if (strcmp(entry->kind, KIND_TRANSFER) == 0)
	{
		Points		moved;
		TimestampTz active;

		moved_count(entry, &moved, &active);
		*lifetime = points_add(*lifetime, moved);
		*last_activity = Max(*last_activity, active);
	}
}

/* Last day of the member's points without one of their own. */
static DateADT
inactive_end(const Posting *posting)
{
	return holdings_inactive_end(posting->program, posting->member->last_activity,
								 posting->member->enrolled_at);
}

/* Add an entry of these lots; a debt is netted in it, or left for later. */
static EntryRow *
add_entry(Posting *posting, const EntryRow *template, const Purse *lots, bool net)
{
	MemberRow  *member = posting->member;
	DateADT		day = calendar_day(effective_time(template->occurred_at, posting->posted_at),
								   posting->program->zone);
	EntryRow   *entry;
	Purse		moved;

	/* Whoever gives this posting up goes back to the row's purse as it was. */
	if (!posting->owns_purse)
	{
		Purse		before = member->purse;

		purse_init(&member->purse);
		purse_copy(&member->purse, &before);
		posting->owns_purse = true;
	}

	/* The member's purse as it will be, debt netted on the way. */
	purse_init(&moved);
	purse_copy(&moved, lots);
	purse_add(&member->purse, lots);
	if (net)
	{
		Purse		netting;

		purse_init(&netting);
		purse_netting(&member->purse, day, &netting);
		purse_add(&moved, &netting);
		purse_add(&member->purse, &netting);
	}

	if (posting->nentries == posting->capacity)
	{
		posting->capacity = Max(4, posting->capacity * 2);
		posting->entries = posting->entries == NULL
			? palloc(posting->capacity * sizeof(EntryRow))
			: repalloc(posting->entries, posting->capacity * sizeof(EntryRow));
	}
	entry = &posting->entries[posting->nentries];
	*entry = *template;
	entry->member_id = member->member_id;
	entry->program_id = member->program_id;
	entry->seq = member->seq + 1;
	entry->posted_at = posting->posted_at;
	entry->points = purse_total(&moved);
	entry->lots = purse_pack(&moved);
	if (entry->source_key == NULL)
		entry->source_key = numbered_key(entry->seq);
	chain_hash(entry, member->has_head ? member->head : NULL, false);

	posting_count(entry, &member->lifetime, &member->held, &member->last_activity);
	member->seq = entry->seq;
	memcpy(member->head, entry->hash, HASH_LENGTH);
	member->has_head = true;
	posting->nentries++;
	return entry;
}

/* Only lowered, so that an index over it leaves most updates HOT. */
static void
lower_next_expiry(Posting *posting)
{
	MemberRow  *member = posting->member;

	member->next_expiry = Min(member->next_expiry,
							  holdings_quiet_until(&member->purse, inactive_end(posting)));
}

EntryRow *
posting_add(Posting *posting, const EntryRow *template, const Purse *lots)
{
	EntryRow   *entry = add_entry(posting, template, lots, true);

	lower_next_expiry(posting);
	return entry;
}

EntryRow *
posting_add_exact(Posting *posting, const EntryRow *template, const Purse *lots)
{
	return add_entry(posting, template, lots, false);
}

/* An entry of what time has done, dated when it did. */
static void
add_due(Posting *posting, const char *kind, TimestampTz at, const Purse *lots)
{
	EntryRow	entry;

	if (lots->nlots == 0)
		return;
	memset(&entry, 0, sizeof(entry));
	entry.kind = kind;
	entry.source_id = SOURCE_API;
	entry.occurred_at = at;
	posting_add(posting, &entry, lots);
}

void
posting_even_out(Posting *posting, TimestampTz at)
{
	const Purse *purse = &posting->member->purse;
	DateADT		day = calendar_day(effective_time(at, posting->posted_at), posting->program->zone);
	Purse		netting;
	Purse		lapsed;

	purse_init(&netting);
	purse_netting(purse, day, &netting);
	add_due(posting, KIND_RELEASE, at, &netting);
	purse_init(&lapsed);
	holdings_lapsed(purse, inactive_end(posting), day, &lapsed);
	add_due(posting, KIND_EXPIRE, at, &lapsed);
	lower_next_expiry(posting);
}

void
posting_bring_current(Posting *posting, TimestampTz at)
{
	MemberRow  *member = posting->member;
	const Program *program = posting->program;
	DateADT		day = calendar_day(effective_time(at, posting->posted_at), program->zone);
	Due			due;

	/* Of inactivity next_expiry knows nothing when the program's expiry has been changed since. */
	if (member->purse.nlots == 0 ||
		(member->next_expiry >= day && !expiry_is_inactivity(program->expiry)))
		return;

	purse_init(&due.netting);
	purse_init(&due.lapsed);
	while (holdings_due(&member->purse, inactive_end(posting), day, &due))
	{
		TimestampTz fell_due = calendar_start_of_day(due.day, program->zone);

		add_due(posting, KIND_RELEASE, fell_due, &due.netting);
		add_due(posting, KIND_EXPIRE, fell_due, &due.lapsed);
	}
}

bool
posting_settle(Posting *posting, TimestampTz at)
{
	MemberRow  *member = posting->member;
	DateADT		next_expiry = member->next_expiry;

	posting_bring_current(posting, at);
	member->next_expiry = holdings_quiet_until(&member->purse, inactive_end(posting));
	posting->settled = posting->nentries > 0 || member->next_expiry != next_expiry;
	return posting->settled;
}

/* Take up to "wanted" from one life span of the purse; returns what was there. */
static Points
take_from_span(const Purse *purse, Purse *lots, DateADT starts, DateADT ends, Points wanted)
{
	Points		there = points_add(purse_lot(purse, starts, ends), purse_lot(lots, starts, ends));
	Points		taken = Min(wanted, there);

	if (taken <= 0)
		return 0;
	purse_add_lot(lots, starts, ends, -taken);
	return taken;
}

/* Up to "wanted" of what opens only after "day", in order of its end. */
static Points
take_pending(const Purse *purse, Purse *lots, DateADT day, Points wanted)
{
	Points		taken = 0;
	int			i;

	for (i = 0; i < purse->nlots && taken < wanted; i++)
	{
		const Lot  *lot = &purse->lots[i];

		if (lot->starts > day && lot->points > 0)
			taken += take_from_span(purse, lots, lot->starts, lot->ends, wanted - taken);
	}
	return taken;
}

/* Up to "wanted" of what is available on "day", soonest to expire first. */
static Points
take_available(const Purse *purse, Purse *lots, DateADT day, Points wanted)
{
	Purse		left;
	Purse		spent;
	Points		taken;

	purse_init(&left);
	purse_copy(&left, purse);
	purse_add(&left, lots);
	taken = Min(wanted, purse_available(&left, day));
	if (taken <= 0)
		return 0;
	purse_init(&spent);
	purse_spend(&left, taken, day, &spent);
	purse_sub(lots, &spent);
	return taken;
}

void
posting_clawback_lots(const Posting *posting, Points wanted, const Purse *given,
					  DateADT day, Purse *lots)
{
	posting_take_back_lots(posting, posting->program->clawback, wanted, given, day, lots);
}

void
posting_take_back_lots(const Posting *posting, ClawbackPolicy policy, Points wanted, const Purse *given,
					   DateADT day, Purse *lots)
{
	const Purse *purse = &posting->member->purse;
	Points		living = 0;
	Points		rest;
	int			i;

	purse_clear(lots);

	/*
	 * Spans that are over drop out of what can still be asked for.  What is
	 * wanted beyond all that was given (a refund alone) is asked for whole.
	 */
	for (i = 0; i < given->nlots; i++)
		if (given->lots[i].ends >= day)
			living = points_add(living, given->lots[i].points);
	rest = Min(wanted, living);
	if (wanted > purse_total(given))
		rest = points_add(rest, points_sub(wanted, Max(purse_total(given), rest)));

	/* The purchase's own life spans, the longest-lived first. */
	for (i = given->nlots - 1; i >= 0 && rest > 0; i--)
	{
		const Lot  *lot = &given->lots[i];
		Points		from_lot = Min(rest, lot->points);
		Points		taken;

		if (lot->ends < day)
			break;
		taken = take_from_span(purse, lots, lot->starts, lot->ends, from_lot);
		/* What has opened may have been merged with what never was pending. */
		if (taken < from_lot && lot->starts <= day && !DATE_IS_NOBEGIN(lot->starts))
			taken += take_from_span(purse, lots, DATEVAL_NOBEGIN, lot->ends, from_lot - taken);
		rest -= taken;
	}

	/* What has been spent since. */
	if (rest > 0 && policy == CLAWBACK_PENDING)
		rest -= take_pending(purse, lots, day, rest);
	if (rest > 0 && (policy == CLAWBACK_AVAILABLE || policy == CLAWBACK_DEBT))
		rest -= take_available(purse, lots, day, rest);
	if (rest > 0 && policy == CLAWBACK_DEBT)
		purse_add_lot(lots, DATEVAL_NOBEGIN, DATEVAL_NOEND, -rest);
}

void
posting_add_tier_change(Posting *posting, const TierChangeRow *change, int64 seq)
{
	posting->changes = posting->nchanges == 0 ? palloc(sizeof(TierChangeRow))
		: repalloc(posting->changes, sizeof(TierChangeRow) * (posting->nchanges + 1));
	posting->changes[posting->nchanges] = *change;
	posting->changes[posting->nchanges].seq = seq;
	posting->changes[posting->nchanges].posted_at = posting->posted_at;
	posting->nchanges++;
}

void
posting_put_hold(Posting *posting, HoldRow *hold)
{
	posting->holds = list_append_unique_ptr(posting->holds, hold);
}

bool
posting_enroll(Posting *postings, MemberRow *const *rows, int nrows, Store *store)
{
	MemberRow **newcomers = palloc(sizeof(MemberRow *) * nrows);
	TransactionId taker;
	int			count = 0;
	int			i;

	for (i = 0; i < nrows; i++)
	{
		if (rows[i] == NULL || ItemPointerIsValid(&rows[i]->tid))
			continue;
		newcomers[count++] = rows[i];
		postings[i].member_written = true;
	}
	return count == 0 || store_enroll_members(store, newcomers, count, true, &taker) == count;
}

void
posting_write(Posting *posting, Store *store)
{
	ListCell   *cell;
	int			i;

	if (posting->nentries == 0 && posting->nchanges == 0 && !posting->settled)
		return;
	for (i = 0; i < posting->nentries; i++)
		store_append_entry(store, &posting->entries[i]);
	for (i = 0; i < posting->nchanges; i++)
		store_append_tier_change(store, &posting->changes[i]);
	foreach(cell, posting->holds)
		store_write_hold(store, lfirst(cell));
	if (!posting->member_written)
		store_update_member(store, posting->member);
	if (posting->nentries > 0)
		store_note_posted(store, posting->member);
}
