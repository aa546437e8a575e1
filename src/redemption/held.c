/*
 * held.c
 *		What becomes of points that are held.
 *
 * Time ends a hold, not a job: whoever locks a member, to post to him in
 * whatever way, first writes down which of his holds have lapsed meanwhile.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "ledger/act.h"
#include "ledger/unwritten.h"
#include "loyalty.h"
#include "redemption/held.h"

/* The row as the posting changed it, or as it was. */
static HoldRow *
as_changed(const Posting *posting, HoldRow *hold)
{
	const ListCell *cell;

	if (posting != NULL)
		foreach(cell, posting->holds)
			if (((HoldRow *) lfirst(cell))->seq == hold->seq)
				return lfirst(cell);
	return hold;
}

List *
held_list(Store *store, const MemberRow *member, const Posting *posting)
{
	List	   *holds = NIL;
	ListCell   *cell;

	/* A tampered row is verify's business. */
	if (member->held == 0 && TIMESTAMP_IS_NOEND(member->hold_until))
		return NIL;
	foreach(cell, store_active_holds(store, member->member_id))
	{
		HoldRow    *hold = as_changed(posting, lfirst(cell));

		if (hold->status == HOLD_ACTIVE)
			holds = lappend(holds, hold);
	}
	return holds;
}

/* LY016: the hold is over, or there is none. */
static void
refuse(Store *store, const Program *program, const MemberRow *member, int64 seq)
{
	HoldRow		hold;

	if (!store_find_hold(store, member->member_id, seq, &hold))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_HOLD_OVER),
				 errmsg("hold " INT64_FORMAT " of member \"%s\" does not exist", seq, text_to_cstring(member->ref)),
				 errdetail("No points of program \"%s\" have been held with that entry.", program->name),
				 errhint("The entry that loyalty.hold answers is the hold's number.")));
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_HOLD_OVER),
			 errmsg("hold " INT64_FORMAT " of member \"%s\" is over", seq, text_to_cstring(member->ref)),
			 hold.status == HOLD_ACTIVE || hold.status == HOLD_LAPSED
			 ? errdetail("It lapsed at %s.", timestamptz_to_str(hold.until))
			 : errdetail("It was %s at %s.", store_hold_status(hold.status), timestamptz_to_str(hold.ended_at)),
			 errhint("Its points are the member's again, but for those that were captured; hold them anew.")));
}

HoldRow *
held_find(Store *store, const Program *program, const MemberRow *member,
		  const List *holds, int64 seq, TimestampTz *at, bool at_given)
{
	HoldRow    *hold = NULL;
	const ListCell *cell;

	foreach(cell, holds)
		if (((HoldRow *) lfirst(cell))->seq == seq)
			hold = lfirst(cell);
	/* In a long transaction time goes on. */
	if (hold == NULL || *at >= hold->until)
		refuse(store, program, member, seq);
	/* This transaction may have begun before the one that made it. */
	if (!at_given)
		*at = Max(*at, hold->made_at);
	if (*at < hold->made_at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must not be before the points were held"),
				 errdetail("They have been held since %s.", timestamptz_to_str(hold->made_at))));
	return hold;
}

void
held_check_points(const MemberRow *member, const HoldRow *hold, Points points)
{
	Points		there = purse_total(&hold->lots);

	if (points > there)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("more points than are held"),
				 errdetail("Hold " INT64_FORMAT " of member \"%s\" holds %s, %s were asked for.",
						   hold->seq, text_to_cstring(member->ref), points_to_cstring(there), points_to_cstring(points))));
}

void
held_part(const HoldRow *hold, Points points, bool soonest, Purse *lots)
{
	int			i;

	purse_clear(lots);
	for (i = 0; i < hold->lots.nlots && points > 0; i++)
	{
		/* Lots are in order of their last day. */
		const Lot  *lot = &hold->lots.lots[soonest ? i : hold->lots.nlots - 1 - i];
		Points		part = Min(lot->points, points);

		purse_add_lot(lots, lot->starts, lot->ends, part);
		points -= part;
	}
}

static Jsonb *
hold_context(int64 seq)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_numeric(&state, FIELD_HOLD, int64_to_numeric(seq));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* When the first of them ends that is still active. */
static TimestampTz
first_end(const List *holds)
{
	const ListCell *cell;

	foreach(cell, holds)
		if (((HoldRow *) lfirst(cell))->status == HOLD_ACTIVE)
			return ((HoldRow *) lfirst(cell))->until;
	return DT_NOEND;
}

EntryRow *
held_release(Posting *posting, List *holds, HoldRow *hold, const Purse *lots,
			 HoldStatus after, TimestampTz at, Jsonb *context, text *source_key, text *note)
{
	EntryRow	entry;

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_RELEASE;
	entry.source_id = SOURCE_API;
	entry.source_key = source_key;
	entry.occurred_at = at;
	entry.context = context == NULL ? hold_context(hold->seq) : context;
	entry.note = note;
	purse_sub(&hold->lots, lots);
	if (after != HOLD_ACTIVE)
	{
		hold->status = after;
		hold->ended_at = at;
	}
	posting->member->hold_until = first_end(holds);
	posting_put_hold(posting, hold);
	return posting_add_exact(posting, &entry, lots);
}

EntryRow
held_cancel(Store *store, Posting *posting, int64 seq, Points points, TimestampTz at, bool at_given,
			Jsonb *context, text *source_key, text *note)
{
	List	   *holds = held_list(store, posting->member, posting);
	HoldRow    *hold = held_find(store, posting->program, posting->member, holds, seq, &at, at_given);
	Points		there = purse_total(&hold->lots);
	Purse		lots;
	EntryRow	release;

	held_check_points(posting->member, hold, points);
	if (points == 0)
		points = there;
	purse_init(&lots);
	held_part(hold, points, false, &lots);
	posting_bring_current(posting, at);
	release = *held_release(posting, holds, hold, &lots, points == there ? HOLD_RELEASED : HOLD_ACTIVE,
							at, context, source_key, note);
	posting_even_out(posting, at);
	return release;
}

int
hold_release_for_purchase(Store *store, Posting *posting, const text *purchase, TimestampTz at)
{
	List	   *holds = held_list(store, posting->member, posting);
	ListCell   *cell;
	int			count = 0;

	foreach(cell, holds)
	{
		HoldRow    *hold = lfirst(cell);
		Purse		lots;

		if (!same_text(hold->purchase, purchase))
			continue;
		purse_init(&lots);
		purse_copy(&lots, &hold->lots);
		/* A purchase may have ended before it is written down, not before its points were held. */
		(void) held_release(posting, holds, hold, &lots, HOLD_RELEASED, Max(at, hold->made_at),
							NULL, NULL, NULL);
		count++;
	}
	if (count > 0)
		posting_even_out(posting, at);
	return count;
}

void
hold_rename_purchase(Store *store, Posting *posting, const text *purchase, const text *renamed)
{
	ListCell   *cell;

	foreach(cell, held_list(store, posting->member, posting))
	{
		HoldRow    *hold = lfirst(cell);

		if (!same_text(hold->purchase, purchase))
			continue;
		hold->purchase = DatumGetTextPCopy(PointerGetDatum(renamed));
		posting_put_hold(posting, hold);
		posting->settled = true;
	}
}

void
held_add_spent(const List *holds, const text *purchase, Spent *spent)
{
	const ListCell *cell;

	foreach(cell, holds)
	{
		const HoldRow *hold = lfirst(cell);
		Points		points = purse_total(&hold->lots);

		if (!same_text(hold->purchase, purchase))
			continue;
		spent->points = points_add(spent->points, points);
		if (hold->point_value != NULL)
			spent->value = DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(spent->value),
															   NumericGetDatum(payment_worth(hold->point_value, points))));
	}
}

/*
 * Lapsing
 */

typedef struct Lapse
{
	Store	   *store;
	Snapshot	snapshot;
	const Program *program;
	MemberRow  *row;
	/* out */
	Posting		posting;
	int			count;
} Lapse;

/* Let the holds lapse that end first, in memory. */
static void
make_lapse(void *arg)
{
	Lapse	   *lapse = arg;
	MemberRow  *row = lapse->row;
	TimestampTz at = row->hold_until;
	List	   *holds;
	ListCell   *cell;

	store_begin_read(lapse->store, lapse->snapshot);
	holds = store_active_holds(lapse->store, row->member_id);
	store_end_read(lapse->store);

	posting_begin(&lapse->posting, lapse->program, row);
	posting_bring_current(&lapse->posting, at);
	foreach(cell, holds)
	{
		HoldRow    *hold = lfirst(cell);
		Purse		lots;

		if (hold->until > at)
			break;
		purse_init(&lots);
		purse_copy(&lots, &hold->lots);
		(void) held_release(&lapse->posting, holds, hold, &lots, HOLD_LAPSED, hold->until,
							NULL, NULL, NULL);
		lapse->count++;
	}
	if (lapse->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("no hold of member " INT64_FORMAT " ends at %s, as his row says",
						row->member_id, timestamptz_to_str(at))));
	posting_even_out(&lapse->posting, at);
}

/* What goes wrong in that must not stop the till: it is left to the next time. */
static int
lapse_first(Config *config, Store *store, MemberRow *row)
{
	MemberRow	before = *row;
	Lapse		lapse = {.store = store, .row = row};
	ErrorData  *error;

	lapse.program = config_program_by_id(config, row->program_id);
	lapse.snapshot = store_snapshot();
	error = attempt_damaged(make_lapse, &lapse);
	UnregisterSnapshot(lapse.snapshot);
	if (error != NULL)
	{
		store_abandon_read(store);
		*row = before;
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("what holds of member \"%s\" of program \"%s\" held is not released yet: %s",
						text_to_cstring(row->ref), lapse.program->name, error->message)));
		return 0;
	}
	posting_write(&lapse.posting, store);
	store_flush(store);
	CommandCounterIncrement();
	return lapse.count;
}

void
held_init(void)
{
	member_lapse = lapse_first;
}
