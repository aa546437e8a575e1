/*
 * returned.c
 *		Points that paid for a purchase which is returned.
 *
 * What the purchase came to at any time is in its entries, and so is what paid
 * for it; nothing else is kept.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "earning/judge.h"
#include "ledger/act.h"
#include "ledger/context_field.h"
#include "loyalty.h"
#include "redemption/held.h"
#include "redemption/redemption.h"
#include "redemption/returned.h"
#include "redemption/undone.h"
#include "types/calendar.h"
#include "types/rational.h"

/* What went back of points that redeemed a reward. */
typedef struct ReturnedReward
{
	int64		seq;
	Points		taken;
	Points		before;
	Points		points;
	TimestampTz at;
} ReturnedReward;

/* How a posting changed what a purchase comes to. */
typedef struct AmountChange
{
	int64		seq;
	TimestampTz posted_at;
	Numeric		change;
} AmountChange;

typedef struct AmountHistory
{
	int			count;
	int			capacity;
	AmountChange *changes;
} AmountHistory;

static void
add_change(const EntryRow *entry, void *arg)
{
	AmountHistory *history = arg;

	if (entry->amount == NULL)
		return;
	if (history->count == history->capacity)
	{
		history->capacity = Max(4, history->capacity * 2);
		history->changes = history->changes == NULL ? palloc(sizeof(AmountChange) * history->capacity)
			: repalloc(history->changes, sizeof(AmountChange) * history->capacity);
	}
	history->changes[history->count].seq = entry->seq;
	history->changes[history->count].posted_at = entry->posted_at;
	history->changes[history->count++].change = DatumGetNumericCopy(NumericGetDatum(entry->amount));
}

static int
compare_changes(const void *a, const void *b)
{
	const AmountChange *x = a;
	const AmountChange *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static Numeric
add(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

static bool
is_greater(Numeric a, Numeric b)
{
	return DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(a), NumericGetDatum(b)));
}

/* The most that the purchase came to since an entry, which may be in another ledger. */
static Numeric
most_since(const AmountHistory *history, const EntryRow *since, bool same_ledger)
{
	Numeric		now = int64_to_numeric(0);
	Numeric		most = now;
	int			i;

	for (i = 0; i < history->count; i++)
	{
		const AmountChange *change = &history->changes[i];

		now = add(now, change->change);
		if ((same_ledger ? change->seq < since->seq : change->posted_at < since->posted_at) || is_greater(now, most))
			most = now;
	}
	return most;
}

/* How many of the points an entry spent are to have gone back once so much is left of the purchase. */
static Points
points_due(const Program *program, const Undone *spent, Numeric left, Numeric most)
{
	Rational	share;

	if (rational_sign(rational_from_numeric(left)) <= 0)
		return spent->points;
	share = rational_sub(rational_from_int64(1, 1),
						 rational_div(rational_from_numeric(left), rational_from_numeric(most)));
	return rational_round(rational_mul(rational_from_int64(spent->points, POINTS_UNIT), share),
						  program->points_scale, ROUND_DOWN);
}

/*
 * A key names a purchase of one source.  Where several have one with this key,
 * of this member, what was spent paid for that of the oldest.
 */
static bool
is_paid_for(Store *store, int64 member_id, int32 source_id, const text *key)
{
	int32		older;

	for (older = SOURCE_API + 1; older < source_id; older++)
		if (judge_has_entries(store, member_id, older, key))
			return false;
	return true;
}

/* {"entry": 5, "purchase": "7"} */
static Jsonb *
refund_context(const Undone *spent, const text *key)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_numeric(&state, FIELD_ENTRY, int64_to_numeric(spent->entry.seq));
	act_push_text(&state, FIELD_PURCHASE, text_to_cstring(key));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The context of what was spent, with another purchase's key; what it is worth is the part that is left. */
static Jsonb *
renamed_context(const Undone *spent, Points left, const text *key)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_text(&state, FIELD_PURCHASE, text_to_cstring(key));
	if (context_field_of(spent->entry.context, FIELD_AMOUNT, jbvNumeric, &value))
		act_push_numeric(&state, FIELD_AMOUNT, value.val.numeric);
	if (context_field_of(spent->entry.context, FIELD_VALUE, jbvNumeric, &value))
		act_push_numeric(&state, FIELD_VALUE, undone_value(spent, value.val.numeric, left));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
begin_entry(EntryRow *entry, const char *kind, Jsonb *context, TimestampTz at)
{
	memset(entry, 0, sizeof(*entry));
	entry->kind = kind;
	entry->source_id = SOURCE_API;
	entry->occurred_at = at;
	entry->context = context;
}

/* The same lots pay for another purchase. */
static void
move_payment(Posting *posting, const Undone *spent, Points left, const text *key, const text *renamed, TimestampTz at)
{
	EntryRow	entry;
	Purse		lots;
	Purse		taken;

	purse_init(&lots);
	undone_lots(spent, left, &lots);
	purse_init(&taken);
	purse_sub(&taken, &lots);
	begin_entry(&entry, KIND_REFUND, refund_context(spent, key), at);
	(void) posting_add_exact(posting, &entry, &lots);
	begin_entry(&entry, KIND_REDEEM, renamed_context(spent, left, renamed), at);
	(void) posting_add_exact(posting, &entry, &taken);
	posting_even_out(posting, at);
}

static void
refund(Posting *posting, const Undone *spent, Points points, const text *key, TimestampTz at)
{
	EntryRow	entry;
	Purse		lots;

	purse_init(&lots);
	undone_put_back(spent, posting->program, posting->member, points,
					calendar_day(at, posting->program->zone), &lots);
	begin_entry(&entry, KIND_REFUND, refund_context(spent, key), at);
	(void) posting_add_exact(posting, &entry, &lots);
	posting_even_out(posting, at);

	if (undone_is_reward(&spent->entry))
	{
		ReturnedReward *reward = palloc(sizeof(ReturnedReward));

		reward->seq = spent->entry.seq;
		reward->taken = spent->points;
		reward->before = spent->back;
		reward->points = points;
		reward->at = at;
		posting->returns = lappend(posting->returns, reward);
	}
}

void
returned_write(Config *config, Store *store, const Posting *posting)
{
	ListCell   *cell;

	foreach(cell, posting->returns)
	{
		const ReturnedReward *reward = lfirst(cell);

		redemption_give_back(config, store, posting->program, posting->member, reward->seq,
							 reward->taken, reward->before, reward->points, NULL, reward->at);
	}
}

/* What is held for it goes back once nothing is left of it. */
static void
release_held(Store *store, Posting *posting, const text *key, Numeric amount, const text *renamed, TimestampTz at)
{
	if (renamed != NULL)
		hold_rename_purchase(store, posting, key, renamed);
	else if (rational_sign(rational_from_numeric(amount)) <= 0)
		(void) hold_release_for_purchase(store, posting, key, at);
}

/* Give back what is due of one payment, and let the rest of it follow the purchase. */
static void
settle_payment(Posting *posting, Undone *spent, const AmountHistory *history, bool same_ledger, const text *key,
			   Numeric amount, const text *renamed, TimestampTz at)
{
	Numeric		most = most_since(history, &spent->entry, same_ledger);

	if (rational_sign(rational_from_numeric(most)) > 0)
	{
		Points		due = points_due(posting->program, spent, amount, most);

		if (due > spent->back)
		{
			refund(posting, spent, due - spent->back, key, at);
			spent->back = due;
		}
	}
	/* A reward stays with the key it was redeemed for. */
	if (renamed != NULL && spent->back < spent->points && !undone_is_reward(&spent->entry))
		move_payment(posting, spent, spent->points - spent->back, key, renamed, at);
}

/* Whether one of these pays for the purchase, and something is left of it. */
static bool
pays_for(const Undone *spends, int count, const text *key)
{
	int			i;

	for (i = 0; i < count; i++)
		if (spends[i].back < spends[i].points && undone_is_purchase(&spends[i].entry, key))
			return true;
	return false;
}

/* What the posting's member paid goes back, for a purchase whose entries the holder has. */
static void
give_back(Store *store, Posting *posting, Undone *spends, int count, int64 holder_id, int32 source_id,
		  const text *key, Numeric amount, const text *renamed, TimestampTz at)
{
	int64		member_id = posting->member->member_id;
	AmountHistory history = {0};
	int			i;

	if (!is_paid_for(store, member_id, source_id, key) ||
		(holder_id != member_id && !is_paid_for(store, holder_id, source_id, key)))
		return;
	store_visit_entries(store, holder_id, source_id, key, add_change, &history);
	qsort(history.changes, history.count, sizeof(AmountChange), compare_changes);
	posting_bring_current(posting, at);
	release_held(store, posting, key, amount, renamed, at);
	for (i = 0; i < count; i++)
		if (spends[i].back < spends[i].points && undone_is_purchase(&spends[i].entry, key))
			settle_payment(posting, &spends[i], &history, holder_id == member_id, key, amount, renamed, at);
}

void
returned_give_back(Store *store, Posting *posting, Payments *payments, int32 source_id, const text *key,
				   Numeric amount, const text *renamed, TimestampTz at)
{
	int64		member_id = posting->member->member_id;

	if (!payments->read)
		payments->spends = undone_of_purchases(store, member_id, &payments->count);
	payments->read = true;
	if (posting->member->held != 0 || pays_for(payments->spends, payments->count, key))
		give_back(store, posting, payments->spends, payments->count, member_id, source_id, key, amount, renamed, at);
}

bool
returned_is_paid_by(Store *store, int64 member_id, const text *key)
{
	int			count;
	Undone	   *spends = undone_of_purchase(store, member_id, key, &count);
	ListCell   *cell;

	if (pays_for(spends, count, key))
		return true;
	foreach(cell, store_active_holds(store, member_id))
		if (same_text(((HoldRow *) lfirst(cell))->purchase, key))
			return true;
	return false;
}

void
returned_give_back_to(Store *store, Posting *posting, int64 holder_id, int32 source_id, const text *key,
					  Numeric amount, const text *renamed, TimestampTz at)
{
	int			count;
	Undone	   *spends = undone_of_purchase(store, posting->member->member_id, key, &count);

	give_back(store, posting, spends, count, holder_id, source_id, key, amount, renamed, at);
}
