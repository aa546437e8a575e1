/*
 * settle.c
 *		One purchase, from what it should have earned to the entries for it.
 *
 * Judging compares and posting writes down the difference, in memory: as
 * earned points with their life span, as a clawback, or as a shortfall on
 * record.  A purchase's first posting occurs at the purchase's time, later
 * ones now.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "earning/qualify.h"
#include "earning/settle.h"
#include "earning/span.h"
#include "loyalty.h"
#include "redemption/returned.h"
#include "types/calendar.h"

void
settle_begin(const Settlement *settlement, Subject *subject)
{
	subject->standing = NULL;
	if (!qualify_is_asked(settlement->rules, settlement->tiers))
		return;
	subject->standing = qualify_begin(settlement->program, settlement->rules, settlement->tiers,
									  settlement->store, subject->member);
}

void
settle_end(Subject *subject)
{
	if (subject->standing != NULL)
		standing_store(subject->standing);
	else
		standing_forget(subject->member);
}

/* The tier that the member had at a time, and what counted in its window; the purchase's own amount besides. */
static void
keep_tier_facts(const Settlement *settlement, FactValues *facts, Subject *subject, TimestampTz at, Numeric own)
{
	text	   *tier = subject->standing == NULL ? NULL : standing_tier_at(subject->standing, at);
	TallyTotals totals;
	Numeric		amount;

	facts->nulls[FACT_TIER] = tier == NULL;
	facts->values[FACT_TIER] = PointerGetDatum(tier);
	facts->nulls[FACT_QUALIFYING] = !(settlement->rules->reads & FACT_BIT(FACT_QUALIFYING));
	if (facts->nulls[FACT_QUALIFYING])
		return;
	standing_totals(subject->standing, calendar_day(at, settlement->program->zone), &totals);
	amount = tally_amount_to_numeric(totals.amount);
	if (own != NULL && settlement->event == EVENT_PURCHASE)
		amount = DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(amount), NumericGetDatum(own)));
	facts->values[FACT_QUALIFYING] = NumericGetDatum(amount);
}

/* The member's facts that rules in force read, as they are now. */
static void
keep_facts(const Settlement *settlement, const PurchaseLedger *ledger, PurchaseContext *kept,
		   Subject *subject, Numeric amount)
{
	const Program *program = settlement->program;
	FactValues *facts;

	facts = palloc(sizeof(FactValues));
	if (subject->profile != NULL)
		*facts = *subject->profile;
	else
		memset(facts->nulls, true, sizeof(facts->nulls));
	facts->values[FACT_PURCHASE_NO] = Int64GetDatum(subject->member->purchases);
	facts->nulls[FACT_PURCHASE_NO] = settlement->event != EVENT_PURCHASE;
	facts->values[FACT_ENROLLED_AT] =
		TimestampGetDatum(calendar_local(subject->member->enrolled_at, program->zone));
	facts->nulls[FACT_ENROLLED_AT] = false;
	facts->nulls[FACT_TIER] = true;
	facts->nulls[FACT_QUALIFYING] = true;
	if (kept->read & TIER_FACTS)
		keep_tier_facts(settlement, facts, subject, ledger->at, amount);
	kept->facts = facts;
}

/* A purchase that has no entries yet is judged by what is now. */
static void
begin_ledger(const Settlement *settlement, Case *case_, Subject *subject)
{
	PurchaseLedger *ledger = &case_->ledger;
	PurchaseContext *kept = &ledger->kept;

	case_->first = true;
	ledger->at = case_->purchase.at;
	ledger->rule_horizon = settlement->rules->horizon;
	if (subject->member->status != MEMBER_ACTIVE)
		kept->status = subject->member->status == MEMBER_CLOSED ? "closed" : "suspended";
	if (settlement->event == EVENT_PURCHASE)
		subject->member->purchases++;
	kept->request = case_->asked;
}

/* What such a purchase is judged by from now on, beside its rows; it keeps that. */
static void
keep_context(const Settlement *settlement, Case *case_, Subject *subject, Numeric amount)
{
	PurchaseLedger *ledger = &case_->ledger;
	PurchaseContext *kept = &ledger->kept;
	RuleSet    *rules = settlement->rules;
	int			i;

	/* How long points live may depend on the tier. */
	if (settlement->tiers->has_spans && kept->status == NULL)
		kept->read |= FACT_BIT(FACT_TIER);
	if (kept->status == NULL && (rules->reads & KEPT_FACTS || rules->has_limits))
		for (i = 0; i < rules->nrules; i++)
		{
			const Rule *rule = &rules->rules[i];

			if (rule->event != settlement->event ||
				!rule_was_active(rule, ledger->rule_horizon, ledger->at))
				continue;
			kept->read |= rule->reads & KEPT_FACTS;
			if (rule->limits.any && limit_bars(settlement->program, rule, subject->usage, ledger->at))
			{
				kept->barred = kept->barred == NULL ? palloc(sizeof(int32))
					: repalloc(kept->barred, sizeof(int32) * (kept->nbarred + 1));
				kept->barred[kept->nbarred++] = rule->lineage;
			}
		}
	if (kept->read != 0)
		keep_facts(settlement, ledger, kept, subject, amount);
	case_->fresh = *kept;
}

/* How the amount that counts has changed; NULL when it has not. */
static Numeric
amount_change(const PurchaseLedger *ledger, Numeric amount)
{
	Numeric		zero;
	Numeric		change;

	if (ledger->amount == NULL)
		return amount;
	zero = DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(0)));
	change = DatumGetNumeric(DirectFunctionCall2(numeric_sub,
												 NumericGetDatum(amount == NULL ? zero : amount),
												 NumericGetDatum(ledger->amount)));
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(change),
											 NumericGetDatum(zero))) != 0 ? change : NULL;
}

/* When a posting for the case takes place: first at the purchase's time, later now. */
static TimestampTz
occurs_at(const Settlement *settlement, const Case *case_)
{
	return case_->first ? case_->ledger.at : settlement->now;
}

/* Count toward the member's tier what the case comes to. */
static void
count_case(const Settlement *settlement, Case *case_, Standing *standing, Numeric amount)
{
	const PurchaseLedger *ledger = &case_->ledger;
	int			before = standing->nchanges;
	TallyTotals change;

	qualify_change(settlement->rules, settlement->event, ledger, case_->first,
				   case_->steps, case_->nsteps, amount, &change);
	standing_count(standing, calendar_day(ledger->at, settlement->program->zone),
				   occurs_at(settlement, case_), &change);
	case_->nchanges = standing->nchanges - before;
	case_->changes = case_->nchanges == 0 ? NULL
		: memcpy(palloc(sizeof(TierChangeRow) * case_->nchanges), &standing->changes[before],
				 sizeof(TierChangeRow) * case_->nchanges);
}

void
settle_judge(const Settlement *settlement, Case *case_, Subject *subject)
{
	Purchase   *purchase = &case_->purchase;
	PurchaseLedger *ledger = &case_->ledger;
	Limiter		limiter = {subject->usage, case_->ngrants, case_->grants};
	Worth		worth;
	int			i;

	/* A member without entries has none of this purchase, and nobody has any of an act of its own. */
	if (subject->member->seq > 0 && purchase->key != NULL)
		judge_read(settlement->store, subject->member->member_id, settlement->source_id,
				   purchase->key, ledger);
	else
		judge_begin(ledger);

	if (ledger->revision == 0)
	{
		if (!purchase->counts)
		{
			case_->settled = true;
			return;
		}
		begin_ledger(settlement, case_, subject);
	}

	judge_worth(settlement->config, settlement->program, ledger, purchase, &case_->fresh, &worth);
	if (case_->first)
		keep_context(settlement, case_, subject, worth.amount);
	case_->steps = palloc(sizeof(Step) * (settlement->rules->nrules + ledger->nrules + 1));
	case_->nsteps = judge_steps(settlement->program, settlement->rules, settlement->event, ledger,
								&worth, &limiter, case_->steps);
	case_->amount_change = amount_change(ledger, worth.amount);
	for (i = 0; i < case_->nsteps; i++)
		case_->gives_back |= case_->steps[i].gives_back;
	case_->fresh.cancelled = case_->cancelled;
	case_->fresh.cancel_key = case_->cancel_key;
	case_->settled = case_->nsteps == 0 && case_->amount_change == NULL && !case_->first && !case_->cancelled;
	if (subject->standing != NULL && !case_->settled)
		count_case(settlement, case_, subject->standing, worth.amount);
}

void
settle_reset(Case *case_)
{
	case_->settled = false;
	case_->first = false;
	case_->nsteps = 0;
	memset(&case_->fresh, 0, sizeof(case_->fresh));
	case_->amount_change = NULL;
	case_->nchanges = 0;
	case_->posted = false;
}

/* Add one entry of the case's posting; good until the next is added. */
static const EntryRow *
add_entry(const Settlement *settlement, Posting *posting, Case *case_, const char *kind, int32 rule_id,
		  const Purse *lots, const RuleContext *context)
{
	EntryRow	entry;
	EntryRow   *added;

	memset(&entry, 0, sizeof(entry));
	entry.kind = kind;
	entry.rule_id = rule_id;
	entry.source_id = settlement->source_id;
	entry.source_key = case_->purchase.key;
	entry.revision = case_->ledger.revision + 1;
	entry.rule_horizon = case_->ledger.rule_horizon;
	entry.occurred_at = occurs_at(settlement, case_);
	entry.context = context_write(case_->posted ? NULL : &case_->fresh, context);
	if (!case_->posted)
	{
		entry.amount = case_->amount_change;
		entry.note = case_->note;
	}
	posting_bring_current(posting, entry.occurred_at);
	added = posting_add(posting, &entry, lots);
	case_->purchase.key = added->source_key;
	if (!case_->posted)
		for (int i = 0; i < case_->nchanges; i++)
			posting_add_tier_change(posting, &case_->changes[i], added->seq);
	case_->posted = true;
	return added;
}

/* Put on record what limits, shortfalls and confirmation have come to, though no points move. */
static void
record_step(const Settlement *settlement, Posting *posting, Case *case_, Step *step)
{
	MemberRow  *member = posting->member;
	Points		before = step->ledger == NULL ? 0 : step->ledger->context.awaiting.points;
	Purse		nothing;

	purse_init(&nothing);
	step->member_id = member->member_id;
	step->seq = add_entry(settlement, posting, case_, KIND_EARN, step->rule_id, &nothing, &step->context)->seq;
	member->awaiting = points_add(member->awaiting, points_sub(step->context.awaiting.points, before));
}

/* The first day on which points of a purchase can be spent, DATEVAL_NOBEGIN for at once. */
static DateADT
first_day(const Settlement *settlement, int pending_days, TimestampTz at)
{
	DateADT		day = calendar_day(at, settlement->program->zone);

	if (pending_days > 0)
		return calendar_add_days(day, pending_days);
	/* A purchase of the future is pending until then. */
	if (day > calendar_day(settlement->now, settlement->program->zone))
		return day;
	return DATEVAL_NOBEGIN;
}

/*
 * What a refund took and is not to have taken any more goes back to where it
 * came from, the longest-lived first.  Returns how much that is.
 */
static Points
give_back(const RuleLedger *ledger, Points earned, Purse *lots)
{
	Points		owed;
	Points		rest;
	int			i;

	if (ledger == NULL || ledger->net >= 0)
		return 0;
	owed = Min(earned, -ledger->net);
	rest = owed;
	for (i = ledger->lots.nlots - 1; i >= 0 && rest > 0; i--)
	{
		const Lot  *lot = &ledger->lots.lots[i];

		if (lot->points < 0)
		{
			Points		back = Min(rest, -lot->points);

			purse_add_lot(lots, lot->starts, lot->ends, back);
			rest -= back;
		}
	}
	return owed - rest;
}

static void
earn_step(const Settlement *settlement, Posting *posting, Case *case_, Step *step)
{
	TimestampTz at = case_->ledger.at;
	Purse		lots;
	Points		rest;

	purse_init(&lots);
	rest = step->earn - give_back(step->ledger, step->earn, &lots);
	if (rest > 0)
	{
		Span		span = span_of(settlement->tiers, step->rule, case_->ledger.kept.facts);
		DateADT		day = calendar_day(at, settlement->program->zone);
		DateADT		starts = first_day(settlement, span.pending_days, at);
		DateADT		ends = expiry_last_day(span.expiry, DATE_IS_NOBEGIN(starts) ? day : starts);

		/* A rise lives as long as what was accepted. */
		if (step->ledger != NULL && !TIMESTAMP_IS_NOBEGIN(step->ledger->accepted_at))
			span_accepted(span, day, calendar_day(step->ledger->accepted_at, settlement->program->zone),
						  &starts, &ends);
		purse_add_lot(&lots, starts, ends, rest);
	}
	add_entry(settlement, posting, case_, KIND_EARN, step->rule_id, &lots, &step->context);
}

static void
take_step(const Settlement *settlement, Posting *posting, Case *case_, Step *step)
{
	TimestampTz at = occurs_at(settlement, case_);
	Purse		given;
	Purse		lots;
	RuleContext context = step->context;
	int			i;

	/* What was given and not taken back: clawbacks took the longest-lived first. */
	purse_init(&given);
	if (step->ledger != NULL)
	{
		Points		clawed = step->ledger->clawed;

		purse_copy(&given, &step->ledger->given);
		for (i = step->ledger->given.nlots - 1; i >= 0 && clawed > 0; i--)
		{
			const Lot  *lot = &step->ledger->given.lots[i];
			Points		gone = Min(clawed, lot->points);

			purse_add_lot(&given, lot->starts, lot->ends, -gone);
			clawed -= gone;
		}
	}

	posting_bring_current(posting, at);
	purse_init(&lots);
	posting_clawback_lots(posting, step->take, &given,
						  calendar_day(at, settlement->program->zone), &lots);
	/* What it missed. */
	context.shortfall = points_add(context.shortfall, points_add(step->take, purse_total(&lots)));
	add_entry(settlement, posting, case_, KIND_CLAWBACK, step->rule_id, &lots, &context);
}

/*
 * Which of a member's cases comes first: one that gives back to a limit (what
 * does not count any more may), then the earlier purchase.
 */
static int
compare_cases(const void *a, const void *b)
{
	const Case *x = *(Case *const *) a;
	const Case *y = *(Case *const *) b;
	bool		x_gives = x->gives_back || !x->purchase.counts;
	bool		y_gives = y->gives_back || !y->purchase.counts;

	if (x_gives != y_gives)
		return x_gives ? -1 : 1;
	if (x->purchase.at != y->purchase.at)
		return x->purchase.at < y->purchase.at ? -1 : 1;
	return x < y ? -1 : 1;
}

bool
settle_sort(Case **cases, int ncases)
{
	bool		in_order = true;
	int			i;

	/* One that takes and came before one that turned out to give. */
	for (i = 1; i < ncases; i++)
		in_order &= !cases[i]->gives_back || cases[i - 1]->gives_back || !cases[i - 1]->purchase.counts;
	if (ncases > 1)
		qsort(cases, ncases, sizeof(Case *), compare_cases);
	return in_order;
}

/* A judged case with the moment at which its posting takes effect. */
typedef struct Moment
{
	TimestampTz at;				/* not later than now: what a future purchase gives is there, pending */
	Case	   *case_;
} Moment;

static int
compare_moments(const void *a, const void *b)
{
	const Moment *x = a;
	const Moment *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->case_->ledger.at != y->case_->ledger.at)
		return x->case_->ledger.at < y->case_->ledger.at ? -1 : 1;
	return x->case_ < y->case_ ? -1 : 1;
}

/* A statement's cases of one member, and what he paid for purchases. */
typedef struct Batch
{
	Case	  **cases;
	int			ncases;
	bool		renames;		/* a key has changed */
	Payments	payments;
} Batch;

static bool
has_new_key(const Purchase *purchase)
{
	return purchase->old_key != NULL && !same_text(purchase->old_key, purchase->key);
}

/* The case that a purchase goes on as, under another key; NULL: none. */
static const Case *
renamed_to(const Case *case_, const Batch *batch)
{
	int			i;

	if (case_->goes_on != NULL)
		return case_->goes_on;
	for (i = 0; batch->renames && i < batch->ncases; i++)
	{
		const Purchase *other = &batch->cases[i]->purchase;

		if (has_new_key(other) && other->counts && same_text(other->old_key, case_->purchase.key))
			return batch->cases[i];
	}
	return NULL;
}

Numeric
settle_amount(const Case *case_)
{
	Numeric		before = case_->ledger.amount == NULL ? int64_to_numeric(0) : case_->ledger.amount;

	return case_->amount_change == NULL ? before
		: DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(before),
											  NumericGetDatum(case_->amount_change)));
}

/* When a purchase comes to less, points that paid for it go back. */
static void
give_back_spent(const Settlement *settlement, Posting *posting, const Case *case_, Batch *batch)
{
	const Case *renamed;

	if (settlement->source_id == SOURCE_API || case_->first)
		return;
	renamed = renamed_to(case_, batch);
	if (renamed == NULL &&
		(case_->amount_change == NULL || rational_sign(rational_from_numeric(case_->amount_change)) >= 0))
		return;
	returned_give_back(settlement->store, posting, &batch->payments, settlement->source_id, case_->purchase.key,
					   settle_amount(renamed == NULL ? case_ : renamed),
					   renamed == NULL ? NULL : renamed->purchase.key, occurs_at(settlement, case_));
}

/* Post cases of one moment: what adds before what takes. */
static void
post_moment(const Settlement *settlement, Posting *posting, const Moment *moments, int nmoments, Batch *batch)
{
	static const RuleContext no_context = {0};
	Purse		nothing;
	int			pass;
	int			i;
	int			j;

	purse_init(&nothing);
	for (pass = 0; pass < 3; pass++)
		for (i = 0; i < nmoments; i++)
		{
			Case	   *case_ = moments[i].case_;

			if (pass == 0)
				give_back_spent(settlement, posting, case_, batch);
			for (j = 0; j < case_->nsteps; j++)
			{
				Step	   *step = &case_->steps[j];

				if (pass == 0 && step->earn > 0)
					earn_step(settlement, posting, case_, step);
				else if (pass == 1 && step->take > 0)
					take_step(settlement, posting, case_, step);
				else if (pass == 2 && step->record)
					record_step(settlement, posting, case_, step);
			}
			/* A purchase that counts always has an entry, also when it earns nothing. */
			if (pass == 2 && !case_->posted)
				add_entry(settlement, posting, case_, KIND_EARN, 0, &nothing, &no_context);
		}
}

void
settle_post(const Settlement *settlement, Posting *posting, Case **cases, int ncases)
{
	Moment	   *moments = palloc(sizeof(Moment) * ncases);
	Batch		batch = {.cases = cases, .ncases = ncases};
	int			from;
	int			to;
	int			i;

	for (i = 0; i < ncases; i++)
	{
		moments[i].at = Min(occurs_at(settlement, cases[i]), settlement->now);
		moments[i].case_ = cases[i];
		batch.renames |= has_new_key(&cases[i]->purchase);
	}
	if (ncases > 1)
		qsort(moments, ncases, sizeof(Moment), compare_moments);
	for (from = 0; from < ncases; from = to)
	{
		for (to = from + 1; to < ncases && moments[to].at == moments[from].at; to++)
			;
		post_moment(settlement, posting, &moments[from], to - from, &batch);
	}
	pfree(moments);
}
