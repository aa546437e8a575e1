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
#include "utils/jsonb.h"

#include "earning/judge.h"
#include "ledger/posting.h"

/* A field of an entry's context; NULL when it is not there. */
static JsonbValue *
context_field(const Jsonb *context, const char *name)
{
	JsonbValue	key;

	if (context == NULL || !JB_ROOT_IS_OBJECT(context))
		return NULL;
	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	return findJsonbValueFromContainer(unconstify(JsonbContainer *, &context->root), JB_FOBJECT, &key);
}

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
	purse_init(&rule->given);
	purse_init(&rule->lots);
	return rule;
}

void
judge_begin(PurchaseLedger *ledger)
{
	memset(ledger, 0, sizeof(*ledger));
	ledger->earns = true;
}

void
judge_add(PurchaseLedger *ledger, const EntryRow *entry)
{
	RuleLedger *rule = rule_ledger(ledger, entry->rule_id);
	JsonbValue *shortfall = context_field(entry->context, "shortfall");
	Purse		lots;

	if (rule == NULL)
		rule = add_rule_ledger(ledger, entry->rule_id);

	/* The first posting says what the purchase is judged by. */
	if (entry->revision == 1)
	{
		ledger->rule_horizon = entry->rule_horizon;
		ledger->at = entry->occurred_at;
		if (context_field(entry->context, "status") != NULL)
			ledger->earns = false;
	}
	ledger->revision = Max(ledger->revision, entry->revision);
	if (entry->amount != NULL)
		ledger->amount = ledger->amount == NULL
			? DatumGetNumericCopy(NumericGetDatum(entry->amount))
			: DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(ledger->amount),
												  NumericGetDatum(entry->amount)));

	/* Entries of a rule come in order of their revision: the last one's shortfall stands. */
	if (shortfall != NULL && shortfall->type != jbvNumeric)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("shortfall of a purchase is not a number")));
	rule->shortfall = shortfall == NULL ? 0 : points_from_numeric(shortfall->val.numeric);
	rule->net = points_add(rule->net, entry->points);
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

/* The step of one rule to its target. */
static void
step_to(Step *step, Points target)
{
	Points		net = step->ledger == NULL ? 0 : step->ledger->net;
	Points		shortfall = step->ledger == NULL ? 0 : step->ledger->shortfall;
	Points		stands_for = points_sub(net, shortfall);	/* the target of last time */

	if (target < stands_for)
	{
		step->take = points_sub(stands_for, target);
		step->shortfall = shortfall;
	}
	else if (target > net)
		step->earn = points_sub(target, net);
	else
	{
		step->shortfall = points_sub(net, target);
		step->record = step->shortfall != shortfall;
	}
}

Numeric
judge_amount(const Purchase *purchase)
{
	Numeric		sum;
	int			i;

	if (purchase == NULL || !purchase->counts)
		return NULL;
	sum = purchase->lines[0].amount;
	for (i = 1; i < purchase->nlines; i++)
		sum = DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(sum),
												  NumericGetDatum(purchase->lines[i].amount)));
	return sum;
}

int
judge_steps(const Program *program, const RuleSet *rules, PurchaseLedger *ledger,
			const Purchase *purchase, Step *steps)
{
	AwardGiven *given = palloc(sizeof(AwardGiven) * Max(rules->nrules, 1));
	int			ngiven = 0;
	int			nsteps = 0;
	int			i;
	int			j;

	if (purchase != NULL && purchase->counts && ledger->earns)
	{
		PurchaseFacts facts;
		FactLine   *lines = palloc(sizeof(FactLine) * purchase->nlines);

		for (i = 0; i < purchase->nlines; i++)
		{
			const PurchaseLine *line = &purchase->lines[i];

			lines[i].amount = rational_from_numeric(line->amount);
			lines[i].quantity = line->quantity == NULL ? rational_from_int64(1, 1)
				: rational_from_numeric(line->quantity);
		}
		facts.at = ledger->at;
		facts.rule_horizon = ledger->rule_horizon;
		facts.nlines = purchase->nlines;
		facts.lines = lines;
		ngiven = evaluate_purchase(program, rules, &facts, given);
	}

	for (i = 0; i < ngiven; i++)
	{
		Step	   *step = &steps[nsteps];

		memset(step, 0, sizeof(*step));
		step->rule = given[i].rule;
		step->rule_id = given[i].rule->rule_id;
		step->ledger = rule_ledger(ledger, step->rule_id);
		step_to(step, given[i].points);
		if (step->earn != 0 || step->take != 0 || step->record)
			nsteps++;
	}

	/* Rules that gave something and do not apply any more. */
	for (i = 0; i < ledger->nrules; i++)
	{
		Step	   *step = &steps[nsteps];

		for (j = 0; j < ngiven; j++)
			if (given[j].rule->rule_id == ledger->rules[i].rule_id)
				break;
		if (j < ngiven || ledger->rules[i].rule_id == 0)
			continue;
		memset(step, 0, sizeof(*step));
		step->rule_id = ledger->rules[i].rule_id;
		step->ledger = &ledger->rules[i];
		step_to(step, 0);
		if (step->earn != 0 || step->take != 0 || step->record)
			nsteps++;
	}
	pfree(given);
	return nsteps;
}
