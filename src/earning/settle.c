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
#include "utils/jsonb.h"

#include "earning/settle.h"
#include "types/calendar.h"

void
settle_judge(const Settlement *settlement, Case *case_, const MemberRow *member)
{
	Purchase   *purchase = &case_->purchase;
	PurchaseLedger *ledger = &case_->ledger;
	Numeric		zero = NULL;
	Numeric		amount;

	/* A member without entries has none of this purchase. */
	if (member->seq > 0)
		judge_read(settlement->store, member->member_id, settlement->source_id,
				   purchase->key, ledger);
	else
	{
		memset(ledger, 0, sizeof(*ledger));
		ledger->earns = true;
	}

	if (ledger->revision == 0)
	{
		if (!purchase->counts)
		{
			case_->settled = true;
			return;
		}
		case_->first = true;
		ledger->at = purchase->at;
		ledger->rule_horizon = settlement->rules->horizon;
		ledger->earns = member->status == MEMBER_ACTIVE;
	}

	case_->steps = palloc(sizeof(Step) * (settlement->rules->nrules + ledger->nrules + 1));
	case_->nsteps = judge_steps(settlement->program, settlement->rules, ledger,
								purchase, case_->steps);
	amount = judge_amount(purchase);

	/* How the amount that counts has changed. */
	if (ledger->amount == NULL)
		case_->amount_change = amount;
	else
	{
		zero = DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(0)));
		if (amount == NULL)
			amount = zero;
		amount = DatumGetNumeric(DirectFunctionCall2(numeric_sub, NumericGetDatum(amount),
													 NumericGetDatum(ledger->amount)));
		if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(amount),
											  NumericGetDatum(zero))) != 0)
			case_->amount_change = amount;
	}
	case_->settled = case_->nsteps == 0 && case_->amount_change == NULL && !case_->first;
}

/* When a posting for the case takes place: first at the purchase's time, later now. */
static TimestampTz
occurs_at(const Settlement *settlement, const Case *case_)
{
	return case_->first ? case_->ledger.at : settlement->now;
}

/* {"name": value}, or both fields; NULL values are left out. */
static Jsonb *
make_context(const char *status, Points shortfall)
{
	JsonbParseState *state = NULL;
	JsonbValue	key;
	JsonbValue	value;

	if (status == NULL && shortfall == 0)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	key.type = jbvString;
	if (status != NULL)
	{
		key.val.string.val = "status";
		key.val.string.len = strlen(key.val.string.val);
		pushJsonbValue(&state, WJB_KEY, &key);
		value.type = jbvString;
		value.val.string.val = unconstify(char *, status);
		value.val.string.len = strlen(status);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	if (shortfall != 0)
	{
		key.val.string.val = "shortfall";
		key.val.string.len = strlen(key.val.string.val);
		pushJsonbValue(&state, WJB_KEY, &key);
		value.type = jbvNumeric;
		value.val.numeric = points_to_numeric(shortfall);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* Add one entry of the case's posting. */
static void
add_entry(const Settlement *settlement, Posting *posting, Case *case_, const char *kind, int32 rule_id,
		  const Purse *lots, Points shortfall)
{
	const MemberRow *member = posting->member;
	EntryRow	entry;

	memset(&entry, 0, sizeof(entry));
	entry.kind = kind;
	entry.rule_id = rule_id;
	entry.source_id = settlement->source_id;
	entry.source_key = case_->purchase.key;
	entry.revision = case_->ledger.revision + 1;
	entry.rule_horizon = case_->ledger.rule_horizon;
	entry.occurred_at = occurs_at(settlement, case_);
	entry.context = make_context(!case_->first || case_->ledger.earns ? NULL
								 : member->status == MEMBER_CLOSED ? "closed" : "suspended",
								 shortfall);
	if (!case_->posted)
		entry.amount = case_->amount_change;
	case_->posted = true;
	posting_bring_current(posting, entry.occurred_at);
	posting_add(posting, &entry, lots);
}

/* The first day on which points of a purchase can be spent, DATEVAL_NOBEGIN for at once. */
static DateADT
first_day(const Settlement *settlement, const Rule *rule, TimestampTz at)
{
	DateADT		day = calendar_day(at, settlement->program->zone);

	if (rule->pending_days > 0)
		return calendar_add_days(day, rule->pending_days);
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
	const Program *program = settlement->program;
	TimestampTz at = case_->ledger.at;
	Purse		lots;
	Points		rest;

	purse_init(&lots);
	rest = step->earn - give_back(step->ledger, step->earn, &lots);
	if (rest > 0)
	{
		/* A rule that does not apply any more gives nothing but back. */
		DateADT		starts = step->rule == NULL ? DATEVAL_NOBEGIN : first_day(settlement, step->rule, at);
		DateADT		first = DATE_IS_NOBEGIN(starts) ? calendar_day(at, program->zone) : starts;

		purse_add_lot(&lots, starts,
					  expiry_last_day(step->rule == NULL ? program->expiry : step->rule->expiry, first),
					  rest);
	}
	add_entry(settlement, posting, case_, KIND_EARN, step->rule_id, &lots, 0);
}

static void
take_step(const Settlement *settlement, Posting *posting, Case *case_, Step *step)
{
	TimestampTz at = occurs_at(settlement, case_);
	Purse		given;
	Purse		lots;
	Points		missed;
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
	missed = points_add(step->take, purse_total(&lots));
	add_entry(settlement, posting, case_, KIND_CLAWBACK, step->rule_id, &lots,
			  points_add(step->shortfall, missed));
}

/* Which of a member's cases comes first: the earlier purchase. */
static int
compare_cases(const void *a, const void *b)
{
	const Case *x = *(Case *const *) a;
	const Case *y = *(Case *const *) b;

	if (x->ledger.at != y->ledger.at)
		return x->ledger.at < y->ledger.at ? -1 : 1;
	return x < y ? -1 : 1;
}

void
settle_post(const Settlement *settlement, Posting *posting, Case **cases, int ncases)
{
	Purse		nothing;
	int			pass;
	int			i;
	int			j;

	if (ncases > 1)
		qsort(cases, ncases, sizeof(Case *), compare_cases);
	purse_init(&nothing);
	for (pass = 0; pass < 3; pass++)
		for (i = 0; i < ncases; i++)
		{
			Case	   *case_ = cases[i];

			for (j = 0; j < case_->nsteps; j++)
			{
				Step	   *step = &case_->steps[j];

				if (pass == 0 && step->earn > 0)
					earn_step(settlement, posting, case_, step);
				else if (pass == 1 && step->take > 0)
					take_step(settlement, posting, case_, step);
				else if (pass == 2 && step->record)
					add_entry(settlement, posting, case_, KIND_EARN, step->rule_id, &nothing, step->shortfall);
			}
			/* A purchase that counts always has an entry, also when it earns nothing. */
			if (pass == 2 && !case_->posted)
				add_entry(settlement, posting, case_, KIND_EARN, 0, &nothing, 0);
		}
}
