/*
 * judge.c
 *		What the ledger says of a purchase, and what it should say.
 *
 * A purchase keeps what it was first judged by: its time, the rules there were
 * and whether the member could earn.  Its target under them is compared, rule
 * by rule, with what was posted; the difference is what is left to do.  So
 * judging twice does nothing, and judging never looks at today's rules.
 *
 * A clawback that finds less than it should take leaves a shortfall, which is
 * final: net = target + shortfall.  A later rise of the target uses it up.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "earning/judge.h"
#include "earning/rate.h"
#include "ledger/posting.h"
#include "loyalty.h"

static RuleLedger *
rule_ledger(PurchaseLedger *ledger, int32 rule_id)
{
	int			i;

	for (i = 0; i < ledger->nrules; i++)
		if (ledger->rules[i].rule_id == rule_id)
			return &ledger->rules[i];
	return NULL;
}

/* Room for one more rule; entries come in order of rule_id. */
static RuleLedger *
add_rule_ledger(PurchaseLedger *ledger, int32 rule_id)
{
	RuleLedger *rule;

	if (ledger->nrules == 0)
		ledger->rules = palloc(sizeof(RuleLedger) * 4);
	else if (ledger->nrules >= 4 && (ledger->nrules & (ledger->nrules - 1)) == 0)
		ledger->rules = repalloc(ledger->rules, sizeof(RuleLedger) * ledger->nrules * 2);
	rule = &ledger->rules[ledger->nrules++];
	memset(rule, 0, sizeof(*rule));
	rule->rule_id = rule_id;
	rule->accepted_at = DT_NOBEGIN;
	purse_init(&rule->given);
	purse_init(&rule->lots);
	return rule;
}

void
judge_begin(PurchaseLedger *ledger)
{
	memset(ledger, 0, sizeof(*ledger));
}

void
judge_add(PurchaseLedger *ledger, const EntryRow *entry)
{
	RuleLedger *rule = rule_ledger(ledger, entry->rule_id);
	Purse		lots;

	if (rule == NULL)
		rule = add_rule_ledger(ledger, entry->rule_id);

	/* The first posting says what the purchase is judged by. */
	if (entry->revision == 1)
	{
		ledger->rule_horizon = entry->rule_horizon;
		ledger->at = entry->occurred_at;
		if (entry->context != NULL)
			context_read_purchase(entry->context, &ledger->kept);
	}
	else if (entry->context != NULL)
		context_read_rates(entry->context, &ledger->kept);
	ledger->revision = Max(ledger->revision, entry->revision);
	if (entry->amount != NULL)
		ledger->amount = ledger->amount == NULL
			? DatumGetNumericCopy(NumericGetDatum(entry->amount))
			: DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(ledger->amount),
												  NumericGetDatum(entry->amount)));

	/* Entries of a rule come in order of their revision: the last one's context stands. */
	context_read_rule(entry->context, &rule->context);
	rule->net = points_add(rule->net, entry->points);
	rule->rewarded |= rule->net > rule->context.shortfall || rule->context.awaiting.points > 0;
	if (rule->context.awaiting.any && rule->awaits_seq == 0)
		rule->awaits_seq = entry->seq;
	if (rule->context.awaiting.decision == DECISION_ACCEPTED && TIMESTAMP_IS_NOBEGIN(rule->accepted_at))
		rule->accepted_at = entry->occurred_at;
	purse_init(&lots);
	purse_read(&lots, entry->lots);
	purse_add(&rule->lots, &lots);
	if (strcmp(entry->kind, KIND_CLAWBACK) == 0)
		rule->clawed = points_sub(rule->clawed, entry->points);
	else
		purse_add(&rule->given, &lots);
}

static void
read_entry(const EntryRow *entry, void *arg)
{
	judge_add((PurchaseLedger *) arg, entry);
}

void
judge_read(Store *store, int64 member_id, int32 source_id, const text *key, PurchaseLedger *ledger)
{
	judge_begin(ledger);
	store_visit_entries(store, member_id, source_id, key, read_entry, ledger);
}

static void
notice_entry(const EntryRow *entry, void *arg)
{
	*(bool *) arg = true;
}

bool
judge_has_entries(Store *store, int64 member_id, int32 source_id, const text *key)
{
	bool		found = false;

	store_visit_entries(store, member_id, source_id, key, notice_entry, &found);
	return found;
}

/*
 * Worth
 */

static Numeric
converted(Config *config, const Program *program, PurchaseLedger *ledger,
		  const PurchaseLine *line, PurchaseContext *fresh)
{
	Numeric		rate;

	if (line->currency == NULL)
		return line->amount;
	if (program->currency != NULL &&
		VARSIZE_ANY_EXHDR(line->currency) == strlen(program->currency) &&
		memcmp(VARDATA_ANY(line->currency), program->currency, strlen(program->currency)) == 0)
		return line->amount;
	rate = context_rate(&ledger->kept, line->currency);
	if (rate == NULL && config == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_NO_RATE),
				 errmsg("no rate for \"%s\" is kept with the purchase", text_to_cstring(line->currency))));
	if (rate == NULL)
	{
		rate = rate_find(config, program, line->currency, ledger->at);
		context_add_rate(&ledger->kept, line->currency, rate);
		context_add_rate(fresh, line->currency, rate);
	}
	return DatumGetNumeric(DirectFunctionCall2(numeric_mul, NumericGetDatum(line->amount),
											   NumericGetDatum(rate)));
}

void
judge_worth(Config *config, const Program *program, PurchaseLedger *ledger,
			const Purchase *purchase, PurchaseContext *fresh, Worth *worth)
{
	int			i;

	memset(worth, 0, sizeof(*worth));
	if (purchase == NULL || !purchase->counts)
		return;
	worth->nlines = purchase->nlines;
	worth->lines = palloc(sizeof(FactLine) * purchase->nlines);
	for (i = 0; i < purchase->nlines; i++)
	{
		const PurchaseLine *line = &purchase->lines[i];
		FactLine   *fact = &worth->lines[i];

		fact->line = line;
		fact->amount_value = converted(config, program, ledger, line, fresh);
		fact->amount = rational_from_numeric(fact->amount_value);
		fact->quantity = line->quantity == NULL ? rational_from_int64(1, 1)
			: rational_from_numeric(line->quantity);
		worth->amount = i == 0 ? fact->amount_value
			: DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(worth->amount),
												  NumericGetDatum(fact->amount_value)));
	}
}

void
judge_facts(const PurchaseLedger *ledger, int event, const Worth *worth, PurchaseFacts *facts)
{
	facts->event = event;
	facts->at = ledger->at;
	facts->rule_horizon = ledger->rule_horizon;
	facts->nlines = worth->nlines;
	facts->lines = worth->lines;
	facts->kept = ledger->kept.facts;
	facts->nbarred = ledger->kept.nbarred;
	facts->barred = ledger->kept.barred;
}

/*
 * Steps
 */

Points
judge_stands_for(const RuleLedger *ledger)
{
	return ledger == NULL ? 0 : points_sub(ledger->net, ledger->context.shortfall);
}

/* What a limited rule gives of what it would give. */
static Points
limited_target(const Program *program, const Rule *rule, const PurchaseLedger *ledger,
			   Limiter *limiter, Step *step, Points wanted)
{
	const RuleLedger *before = step->ledger;
	LimitRequest request;
	Points		granted;
	int			i;

	/* Nothing was asked for, and nothing is. */
	if (wanted == 0 && before == NULL)
		return 0;
	step->context.limited = true;
	step->context.wanted = wanted;

	memset(&request, 0, sizeof(request));
	request.at = ledger->at;
	request.wanted = wanted;
	request.budget_grant = limiter != NULL && limiter->ngrants >= 0 ? 0 : POINTS_MAX;
	if (before != NULL)
	{
		request.asked_before = before->context.limited;
		request.wanted_before = before->context.wanted;
		/* What awaits confirmation counts as granted. */
		request.granted_before = points_add(judge_stands_for(before), before->context.awaiting.points);
		request.rewarded_before = before->rewarded;
	}
	if (limiter == NULL)
		return request.asked_before && request.wanted_before == wanted ? request.granted_before : wanted;
	for (i = 0; i < limiter->ngrants; i++)
		if (limiter->grants[i].rule_id == rule->rule_id)
			request.budget_grant = limiter->grants[i].points;
	granted = limit_grant(program, rule, limiter->usage, &request, &step->drawn);
	step->gives_back = granted < request.granted_before;
	return granted;
}

/* The step of one rule to what it gives; false when there is nothing to do. */
static bool
make_step(const Program *program, PurchaseLedger *ledger, Limiter *limiter,
		  const Rule *rule, Points target, Step *step)
{
	RuleContext *before;
	Points		net;

	memset(step, 0, sizeof(*step));
	step->rule = rule;
	step->rule_id = rule->rule_id;
	step->ledger = rule_ledger(ledger, rule->rule_id);
	before = step->ledger == NULL ? NULL : &step->ledger->context;
	net = step->ledger == NULL ? 0 : step->ledger->net;
	if (before != NULL)
		step->context.awaiting.decision = before->awaiting.decision;
	/* Whether the purchase that a refund alone is about was accepted nobody can tell. */
	if (rule->confirm && (target < 0 || step->context.awaiting.decision == DECISION_REJECTED))
		target = 0;
	if (rule->limits.any && step->context.awaiting.decision != DECISION_REJECTED)
		target = limited_target(program, rule, ledger, limiter, step, target);
	if (rule->confirm && step->context.awaiting.decision == DECISION_NONE)
	{
		step->context.awaiting.any = target > 0 || (before != NULL && before->awaiting.any);
		step->context.awaiting.points = target;
		target = 0;
	}

	step->change = points_sub(target, judge_stands_for(step->ledger));
	if (target < judge_stands_for(step->ledger))
	{
		step->take = points_sub(judge_stands_for(step->ledger), target);
		step->context.shortfall = before == NULL ? 0 : before->shortfall;
	}
	else if (target > net)
		step->earn = points_sub(target, net);
	else
		step->context.shortfall = points_sub(net, target);

	if (step->earn == 0 && step->take == 0)
		step->record = step->context.shortfall != (before == NULL ? 0 : before->shortfall) ||
			(step->context.limited &&
			 (before == NULL ? step->context.wanted != target
			  : !before->limited || step->context.wanted != before->wanted)) ||
			(step->context.awaiting.any &&
			 (before == NULL || !before->awaiting.any || step->context.awaiting.points != before->awaiting.points));
	return step->earn != 0 || step->take != 0 || step->record;
}

int
judge_steps(const Program *program, RuleSet *rules, int event, PurchaseLedger *ledger,
			const Worth *worth, Limiter *limiter, Step *steps)
{
	AwardGiven *given = palloc(sizeof(AwardGiven) * Max(rules->nrules, 1));
	int			ngiven = 0;
	int			nsteps = 0;
	int			i;
	int			j;

	if (worth->nlines > 0 && ledger->kept.status == NULL)
	{
		PurchaseFacts facts;

		judge_facts(ledger, event, worth, &facts);
		ngiven = evaluate_purchase(program, rules, &facts, given, NULL);
	}
	for (i = 0; i < ngiven; i++)
		nsteps += make_step(program, ledger, limiter, given[i].rule, given[i].points, &steps[nsteps]);

	/* Rules that gave something and do not apply any more. */
	for (i = 0; i < ledger->nrules; i++)
	{
		for (j = 0; j < ngiven; j++)
			if (given[j].rule->rule_id == ledger->rules[i].rule_id)
				break;
		if (j < ngiven || ledger->rules[i].rule_id == 0)
			continue;
		nsteps += make_step(program, ledger, limiter, rule_by_id(rules, ledger->rules[i].rule_id), 0,
							&steps[nsteps]);
	}
	pfree(given);
	return nsteps;
}
