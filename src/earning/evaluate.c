/*
 * evaluate.c
 *		What a purchase earns: a pure function of program, rules and facts.
 *
 * Nothing here reads a table, a clock or a setting; so the same facts give the
 * same points today, in a retry, and when history is proven.
 *
 * A purchase is gone through three times: which rules apply, to which lines;
 * what the awards among them give, line by line; what the multipliers add to
 * that.  Then the sum is rounded.  Here are the first and the last of it, and
 * the order of all; evaluate_facts.c knows what rules see of a purchase,
 * evaluate_awards.c what they give.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "earning/evaluate_private.h"

/*
 * Which rules apply
 */

static bool
condition_holds(Evaluation *eval, const Rule *rule, int line)
{
	bool		isnull;
	Datum		value;

	if (rule->condition == NULL)
		return true;
	evaluate_set_line(eval, line);
	value = expression_run(rule->condition, &eval->rules->machine, &isnull);
	return !isnull && DatumGetBool(value);
}

static bool
line_matches(Evaluation *eval, const Rule *rule, int i)
{
	const PurchaseLine *line = eval->facts->lines[i].line;
	const text *values[NLISTED] = {line->item, line->category, line->store, line->channel};
	int			listed;

	for (listed = 0; listed < NLISTED; listed++)
		if (!rule_lists(rule, (ListedFact) listed, values[listed]))
			return false;
	return condition_holds(eval, rule, i);
}

/* The lines that the rule is about; false when there is none. */
static bool
match_lines(Evaluation *eval, Candidate *candidate)
{
	int			nlines = eval->facts->nlines;
	bool		any = false;
	int			i;

	candidate->matches = NULL;
	if (!candidate->rule->asks_lines)
		return true;
	if (nlines == 1)
		return line_matches(eval, candidate->rule, 0);
	candidate->matches = palloc(sizeof(bool) * nlines);
	for (i = 0; i < nlines; i++)
	{
		candidate->matches[i] = line_matches(eval, candidate->rule, i);
		any |= candidate->matches[i];
	}
	return any;
}

static bool
is_barred(const PurchaseFacts *facts, const Rule *rule)
{
	int			i;

	for (i = 0; i < facts->nbarred; i++)
		if (facts->barred[i] == rule->lineage)
			return true;
	return false;
}

static Verdict
judge_rule(Evaluation *eval, Candidate *candidate, const Rule *stopped_by)
{
	const PurchaseFacts *facts = eval->facts;
	const Rule *rule = candidate->rule;

	if (rule->event != facts->event)
		return VERDICT_OTHER_EVENT;
	if (!rule_existed(rule, facts->rule_horizon))
		return VERDICT_TOO_NEW;
	if (!rule_was_active(rule, facts->rule_horizon, facts->at))
		return VERDICT_NOT_ACTIVE;
	if (stopped_by != NULL)
		return VERDICT_STOPPED;
	if (facts->nbarred > 0 && is_barred(facts, rule))
		return VERDICT_BARRED;
	if (rational_sign(rule->min_amount) > 0 && rational_cmp(eval->order_amount, rule->min_amount) < 0)
		return VERDICT_MIN_AMOUNT;
	if (rational_sign(rule->min_quantity) > 0 && rational_cmp(eval->order_quantity, rule->min_quantity) < 0)
		return VERDICT_MIN_QUANTITY;
	return match_lines(eval, candidate) ? VERDICT_APPLIES : VERDICT_NO_LINE;
}

/* Gather the rules that apply, in their order. */
static void
find_candidates(Evaluation *eval, RuleVerdict *verdicts)
{
	const Rule *stopped_by = NULL;
	int			i;

	for (i = 0; i < eval->rules->nrules; i++)
	{
		Candidate  *candidate = &eval->candidates[eval->ncandidates];
		Verdict		verdict;

		memset(candidate, 0, sizeof(*candidate));
		candidate->rule = &eval->rules->rules[i];
		verdict = judge_rule(eval, candidate, stopped_by);
		if (verdicts != NULL)
		{
			memset(&verdicts[i], 0, sizeof(verdicts[i]));
			verdicts[i].rule = candidate->rule;
			verdicts[i].verdict = verdict;
			verdicts[i].because = verdict == VERDICT_STOPPED ? stopped_by : NULL;
			verdicts[i].amount = verdicts[i].quantity = RATIONAL_ZERO;
			candidate->verdict = &verdicts[i];
		}
		if (verdict != VERDICT_APPLIES)
			continue;
		candidate->multiplies = candidate->rule->award.kind == AWARD_TIMES;
		candidate->contribution = RATIONAL_ZERO;
		eval->nmultipliers += candidate->multiplies;
		eval->ncandidates++;
		if (candidate->rule->stop)
			stopped_by = candidate->rule;
	}
}

/*
 * The sum
 */

/* Tell of each candidate what it applies to. */
static void
report_bases(Evaluation *eval)
{
	int			i;
	int			line;

	for (i = 0; i < eval->ncandidates; i++)
	{
		Candidate  *candidate = &eval->candidates[i];

		for (line = 0; line < eval->facts->nlines; line++)
			if (is_about(candidate, line))
			{
				candidate->verdict->amount = rational_add(candidate->verdict->amount, line_amount(eval, line));
				candidate->verdict->quantity = rational_add(candidate->verdict->quantity, line_quantity(eval, line));
			}
	}
}

/*
 * Round the running sum.  What a multiplier below x1 takes is taken from those
 * before it, the last first, so that nobody gives less than nothing.
 */
static int
round_sum(Evaluation *eval, AwardGiven *given)
{
	Rational	sum = RATIONAL_ZERO;
	Points		before = 0;
	int			ngiven = 0;
	int			pass;
	int			i;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < eval->ncandidates; i++)
		{
			Candidate  *candidate = &eval->candidates[i];
			Points		after;
			Points		missing;
			int			j;

			if (candidate->beaten || candidate->multiplies != (pass == 1))
				continue;
			sum = rational_add(sum, candidate->contribution);
			after = rational_round(max_zero(sum), eval->program->points_scale, eval->program->rounding);
			given[ngiven].rule = candidate->rule;
			given[ngiven].points = Max(after - before, 0);
			missing = Max(before - after, 0);
			for (j = ngiven - 1; j >= 0 && missing > 0; j--)
			{
				Points		taken = Min(given[j].points, missing);

				given[j].points -= taken;
				missing -= taken;
			}
			before = after;
			ngiven++;
		}

	for (i = 0; eval->refund && i < ngiven; i++)
		given[i].points = -given[i].points;
	return ngiven;
}

/* Tell of each rule what it gives. */
static void
report_points(const Evaluation *eval, const AwardGiven *given, int ngiven, RuleVerdict *verdicts)
{
	int			i;

	for (i = 0; i < ngiven; i++)
		verdicts[given[i].rule - eval->rules->rules].points = given[i].points;
}

int
evaluate_purchase(const Program *program, RuleSet *rules,
				  const PurchaseFacts *facts, AwardGiven *given, RuleVerdict *verdicts)
{
	Evaluation	eval = {.program = program, .rules = rules, .facts = facts, .line = -1};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext sums = NULL;
	int			ngiven;
	int			i;

	if (rules->nrules == 0)
		return 0;
	eval.candidates = palloc(sizeof(Candidate) * rules->nrules);
	evaluate_add_up(&eval);
	evaluate_set_order(&eval);
	find_candidates(&eval, verdicts);

	for (i = 0; i < eval.ncandidates; i++)
		if (!eval.candidates[i].multiplies)
			evaluate_award(&eval, &eval.candidates[i]);

	/* Sums over shares of many lines may be wide, hundreds of them, and the caller has many purchases. */
	if (eval.nmultipliers > 0 && facts->nlines > 1)
	{
		sums = AllocSetContextCreate(caller, "loyalty sums", ALLOCSET_SMALL_SIZES);
		MemoryContextSwitchTo(sums);
	}
	evaluate_choose(&eval);
	if (eval.nmultipliers > 0)
		evaluate_multiply(&eval);
	ngiven = round_sum(&eval, given);
	if (sums != NULL)
	{
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(sums);
	}
	if (verdicts != NULL)
	{
		report_bases(&eval);
		report_points(&eval, given, ngiven, verdicts);
	}

	for (i = 0; i < eval.ncandidates; i++)
	{
		if (eval.candidates[i].matches != NULL)
			pfree(eval.candidates[i].matches);
		if (eval.candidates[i].shares != NULL)
			pfree(eval.candidates[i].shares);
	}
	pfree(eval.candidates);
	return ngiven;
}
