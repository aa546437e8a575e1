/*
 * qualify.c
 *		What purchases and events count for toward tiers.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "earning/json.h"
#include "earning/qualify.h"
#include "earning/request.h"
#include "ledger/imported.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "types/calendar.h"

static TallyAmount
tally_amount(Numeric amount)
{
	return amount == NULL ? 0 : tally_amount_from_rational(rational_from_numeric(amount));
}

/* What an amount counts for, of a purchase or of another event. */
static void
count_amount(Numeric amount, bool is_purchase, TallyTotals *totals)
{
	totals->amount = is_purchase ? tally_amount(amount) : 0;
	totals->purchases = totals->amount > 0 ? 1 : 0;
}

/* What a purchase counts for as its entries have it. */
static void
count_ledger(RuleSet *rules, bool is_purchase, const PurchaseLedger *ledger, TallyTotals *totals)
{
	int			i;

	memset(totals, 0, sizeof(*totals));
	if (ledger->revision == 0 || ledger->kept.status != NULL)
		return;
	count_amount(ledger->amount, is_purchase, totals);
	for (i = 0; i < ledger->nrules; i++)
		if (ledger->rules[i].rule_id != 0 && rule_by_id(rules, ledger->rules[i].rule_id)->qualifies)
			totals->points = points_add(totals->points, judge_stands_for(&ledger->rules[i]));
}

void
qualify_change(RuleSet *rules, int event, const PurchaseLedger *ledger, bool first,
			   const Step *steps, int nsteps, Numeric amount, TallyTotals *change)
{
	TallyTotals before;
	int			i;

	memset(change, 0, sizeof(*change));
	if (ledger->kept.status != NULL)
		return;
	memset(&before, 0, sizeof(before));
	if (!first)
		count_amount(ledger->amount, event == EVENT_PURCHASE, &before);
	count_amount(amount, event == EVENT_PURCHASE, change);
	change->amount -= before.amount;
	change->purchases -= before.purchases;
	for (i = 0; i < nsteps; i++)
		if (steps[i].rule->qualifies)
			change->points = points_add(change->points, steps[i].change);
}

/*
 * Counting a member's entries.  They come in order of source, key, rule and
 * revision, so those of a purchase stand together.
 */
typedef struct Count
{
	const QualifyCounter *counter;
	Tally	   *tally;
	TimestampTz until;			/* entries after it are left out */
	MemoryContext context;		/* of the purchase at hand */
	int32		source_id;
	text	   *key;			/* NULL: none is at hand */
	bool		begun;			/* its first posting is among what was read */
	PurchaseLedger ledger;
} Count;

/* Whether it is a purchase: of a source, or recorded as one. */
static bool
is_purchase(const Count *count)
{
	EventRequest request;

	if (count->source_id != SOURCE_API)
		return true;
	if (count->ledger.kept.request == NULL)
		return false;
	request_from_json(count->ledger.kept.request, &request);
	return strcmp(request.event, PURCHASE_EVENT) == 0;
}

static void
finish_purchase(Count *count)
{
	TallyTotals totals;

	if (count->key == NULL)
		return;
	count_ledger(count->counter->rules, is_purchase(count), &count->ledger, &totals);
	/* One that is dated ahead may have been changed before its time. */
	if (count->begun && (totals.amount != 0 || totals.points != 0 || totals.purchases != 0))
		tally_add_day(count->tally, calendar_day(count->ledger.at, count->counter->program->zone),
					  totals.amount, totals.points, totals.purchases);
	count->key = NULL;
	MemoryContextReset(count->context);
}

static void
count_entry(const EntryRow *entry, void *arg)
{
	Count	   *count = arg;
	MemoryContext caller;

	if (entry->occurred_at > count->until)
		return;
	if (strcmp(entry->kind, KIND_IMPORT) == 0 || strcmp(entry->kind, KIND_TRANSFER) == 0)
		imported_add_tally(entry, count->tally);
	if (strcmp(entry->kind, KIND_EARN) != 0 && strcmp(entry->kind, KIND_CLAWBACK) != 0)
		return;
	if (count->key != NULL &&
		(count->source_id != entry->source_id || !same_text(count->key, entry->source_key)))
		finish_purchase(count);
	caller = MemoryContextSwitchTo(count->context);
	if (count->key == NULL)
	{
		count->source_id = entry->source_id;
		count->key = DatumGetTextPCopy(PointerGetDatum(entry->source_key));
		count->begun = false;
		judge_begin(&count->ledger);
	}
	judge_add(&count->ledger, entry);
	count->begun |= entry->revision == 1;
	MemoryContextSwitchTo(caller);
}

static void
count_entries(const QualifyCounter *counter, TimestampTz until, int64 member_id, Tally *tally)
{
	Count		count = {.counter = counter, .tally = tally, .until = until};

	count.context = AllocSetContextCreate(CurrentMemoryContext, "loyalty count", ALLOCSET_SMALL_SIZES);
	store_visit_entries(counter->store, member_id, ANY_SOURCE, NULL, count_entry, &count);
	finish_purchase(&count);
	MemoryContextDelete(count.context);
}

void
qualify_count(void *arg, int64 member_id, Tally *tally)
{
	count_entries(arg, DT_NOEND, member_id, tally);
}

void
qualify_count_at(void *arg, int64 member_id, Tally *tally)
{
	const QualifyCounterAt *counter = arg;

	count_entries(&counter->counter, counter->until, member_id, tally);
}

bool
qualify_is_asked(const RuleSet *rules, const TierSet *tiers)
{
	return tiers->ntiers > 0 || rules->reads & FACT_BIT(FACT_QUALIFYING);
}

Standing *
qualify_begin(const Program *program, RuleSet *rules, const TierSet *tiers, Store *store, MemberRow *member)
{
	QualifyCounter *counter = palloc(sizeof(QualifyCounter));
	Standing   *standing = palloc(sizeof(Standing));

	counter->program = program;
	counter->rules = rules;
	counter->store = store;
	standing_begin(standing, program, tiers, store, member, qualify_count, counter);
	return standing;
}
