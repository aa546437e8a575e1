/*
 * evaluate.c
 *		What a purchase earns: a pure function of program, rules and facts.
 *
 * Nothing here reads a table, a clock or a setting; so the same facts give the
 * same points today, in a retry, and when history is proven.
 *
 * A purchase is gone through three times: which rules apply, to which lines;
 * what the awards among them give, line by line; what the multipliers add to
 * that.  Then the sum is rounded.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "earning/evaluate.h"

/* Decimals that a worked-out award is taken to: it may be the result of a division. */
#define POINTS_EXPRESSION_SCALE 9

/* A rule that applies. */
typedef struct Candidate
{
	const Rule *rule;
	RuleVerdict *verdict;		/* NULL: nobody asks */
	bool	   *matches;		/* by line; NULL: all of them */
	bool		multiplies;
	bool		scales;			/* shares hold its contribution by line */
	bool		beaten;			/* by another of its exclusive group */
	Rational   *shares;
	Rational	contribution;
} Candidate;

typedef struct Evaluation
{
	const Program *program;
	RuleSet    *rules;
	const PurchaseFacts *facts;
	bool		refund;			/* amounts and quantities are read negated */
	Rational	order_amount;
	Rational	order_quantity;
	int			line;			/* whose facts the machine holds; -1: none */
	int			ncandidates;
	Candidate  *candidates;
	int			nmultipliers;
} Evaluation;

/*
 * Facts
 */

static Rational
line_amount(const Evaluation *eval, int line)
{
	Rational	amount = eval->facts->lines[line].amount;

	return eval->refund ? rational_neg(amount) : amount;
}

/* A refund may give its amount alone as negative: then it is one item, not minus one. */
static Rational
line_quantity(const Evaluation *eval, int line)
{
	Rational	quantity = eval->facts->lines[line].quantity;

	return eval->refund && rational_sign(quantity) < 0 ? rational_neg(quantity) : quantity;
}

/*
 * A refund alone has no positive line and at least one negative: by its
 * amounts, or by its quantities where nothing was charged.
 */
static bool
is_refund(const PurchaseFacts *facts)
{
	bool		negative = false;
	int			i;

	for (i = 0; i < facts->nlines; i++)
	{
		int			sign = rational_sign(facts->lines[i].amount);

		if (sign == 0)
			sign = rational_sign(facts->lines[i].quantity) < 0 ? -1 : 0;
		if (sign > 0)
			return false;
		if (sign < 0)
			negative = true;
	}
	return negative;
}

static void
add_up(Evaluation *eval)
{
	int			i;

	eval->refund = is_refund(eval->facts);
	eval->order_amount = RATIONAL_ZERO;
	eval->order_quantity = RATIONAL_ZERO;
	for (i = 0; i < eval->facts->nlines; i++)
	{
		eval->order_amount = rational_add(eval->order_amount, line_amount(eval, i));
		eval->order_quantity = rational_add(eval->order_quantity, line_quantity(eval, i));
	}
}

bool
evaluate_totals(const PurchaseFacts *facts, Rational *amount, Rational *quantity)
{
	Evaluation	eval = {.facts = facts};

	add_up(&eval);
	*amount = eval.order_amount;
	*quantity = eval.order_quantity;
	return eval.refund;
}

/* A value as expressions see it in a purchase or in a refund. */
static Datum
signed_numeric(const Evaluation *eval, Numeric value)
{
	return eval->refund ? DirectFunctionCall1(numeric_uminus, NumericGetDatum(value))
		: NumericGetDatum(value);
}

static Datum
quantity_value(const Evaluation *eval, const FactLine *line)
{
	if (line->line->quantity == NULL)
		return DirectFunctionCall1(int8_numeric, Int64GetDatum(1));
	return rational_sign(line->quantity) < 0 ? signed_numeric(eval, line->line->quantity)
		: NumericGetDatum(line->line->quantity);
}

/* What the purchase as a whole and its member say, as far as rules read it. */
static void
set_order_facts(Evaluation *eval)
{
	Machine    *machine = &eval->rules->machine;
	FactSet		reads = eval->rules->reads;
	int			fact;

	if (reads & (FACT_BIT(FACT_ORDER_AMOUNT) | FACT_BIT(FACT_ORDER_QUANTITY)))
	{
		Datum		amount = DirectFunctionCall1(int8_numeric, Int64GetDatum(0));
		Datum		quantity = amount;
		int			i;

		for (i = 0; i < eval->facts->nlines; i++)
		{
			const FactLine *line = &eval->facts->lines[i];

			amount = DirectFunctionCall2(numeric_add, amount, signed_numeric(eval, line->amount_value));
			quantity = DirectFunctionCall2(numeric_add, quantity, quantity_value(eval, line));
		}
		machine_set(machine, FACT_ORDER_AMOUNT, amount, false);
		machine_set(machine, FACT_ORDER_QUANTITY, quantity, false);
	}
	if (reads & KEPT_FACTS)
		for (fact = FACT_PURCHASE_NO; fact < NFACTS; fact++)
			machine_set(machine, (Fact) fact,
						eval->facts->kept == NULL ? (Datum) 0 : eval->facts->kept->values[fact],
						eval->facts->kept == NULL || eval->facts->kept->nulls[fact]);
}

static void
set_pointer(Machine *machine, Fact fact, const void *value)
{
	machine_set(machine, fact, PointerGetDatum(value), value == NULL);
}

/* What a line says. */
static void
set_line_facts(Evaluation *eval, int i)
{
	Machine    *machine = &eval->rules->machine;
	FactSet		reads = eval->rules->reads;
	const FactLine *fact_line = &eval->facts->lines[i];
	const PurchaseLine *line = fact_line->line;

	if (eval->line == i)
		return;
	eval->line = i;
	if (reads & FACT_BIT(FACT_AMOUNT))
		machine_set(machine, FACT_AMOUNT, signed_numeric(eval, fact_line->amount_value), false);
	if (reads & FACT_BIT(FACT_QUANTITY))
		machine_set(machine, FACT_QUANTITY, quantity_value(eval, fact_line), false);
	if (reads & FACT_BIT(FACT_AT))
		machine_set(machine, FACT_AT,
					TimestampGetDatum(calendar_local(TIMESTAMP_IS_NOBEGIN(line->at) ? eval->facts->at : line->at,
													 eval->program->zone)), false);
	set_pointer(machine, FACT_ITEM, line->item);
	set_pointer(machine, FACT_CATEGORY, line->category);
	set_pointer(machine, FACT_CHANNEL, line->channel);
	set_pointer(machine, FACT_STORE, line->store);
	set_pointer(machine, FACT_CURRENCY, line->currency);
	set_pointer(machine, FACT_DATA, line->data);
}

void
evaluate_facts(const Program *program, RuleSet *rules, const PurchaseFacts *facts, FactValues *values)
{
	Evaluation	eval = {.program = program, .rules = rules, .facts = facts, .line = -1};
	int			i;

	add_up(&eval);
	set_order_facts(&eval);
	for (i = 0; i < facts->nlines; i++)
	{
		set_line_facts(&eval, i);
		memcpy(values[i].values, rules->machine.slot->tts_values, sizeof(values[i].values));
		memcpy(values[i].nulls, rules->machine.slot->tts_isnull, sizeof(values[i].nulls));
	}
}

static bool
condition_holds(Evaluation *eval, const Rule *rule, int line)
{
	bool		isnull;
	Datum		value;

	if (rule->condition == NULL)
		return true;
	set_line_facts(eval, line);
	value = expression_run(rule->condition, &eval->rules->machine, &isnull);
	return !isnull && DatumGetBool(value);
}

/*
 * Which rules apply
 */

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

static inline bool
is_about(const Candidate *candidate, int line)
{
	return candidate->matches == NULL || candidate->matches[line];
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
 * What awards give
 */

static Rational
max_zero(Rational value)
{
	return rational_sign(value) < 0 ? RATIONAL_ZERO : value;
}

/* The value of a worked-out award; zero for null. */
static Rational
run_points(Evaluation *eval, const Rule *rule)
{
	bool		isnull;
	Datum		value = expression_run(rule->award_points, &eval->rules->machine, &isnull);

	if (isnull)
		return RATIONAL_ZERO;
	if (numeric_is_nan(DatumGetNumeric(value)) || numeric_is_inf(DatumGetNumeric(value)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("award_points of rule \"%s\" must be a finite number", rule->name)));
	value = DirectFunctionCall2(numeric_round, value, Int32GetDatum(POINTS_EXPRESSION_SCALE));
	return rational_from_numeric(DatumGetNumeric(value));
}

/* Whether all that the rule is about was given back again, by lines below zero. */
static bool
is_returned(const Evaluation *eval, const Candidate *candidate)
{
	Rational	amount = RATIONAL_ZERO;
	bool		any = false;
	int			i;

	for (i = 0; i < eval->facts->nlines; i++)
		if (is_about(candidate, i))
		{
			amount = rational_add(amount, line_amount(eval, i));
			any |= rational_sign(line_amount(eval, i)) < 0;
		}
	return any && rational_sign(amount) <= 0;
}

/* Divide the whole among the lines as their weights are to all weights. */
static void
share_out(Candidate *candidate, int nlines, Rational whole, Rational weights)
{
	int			i;

	for (i = 0; i < nlines; i++)
		candidate->shares[i] = rational_sign(weights) == 0 ? RATIONAL_ZERO
			: rational_div(rational_mul(candidate->shares[i], whole), weights);
}

/*
 * What an award gives.  It scales with the amount (or quantity) of its lines,
 * which together are at least zero; its shares are what each of them brings.
 */
static void
work_out(Evaluation *eval, Candidate *candidate)
{
	const Rule *rule = candidate->rule;
	int			nlines = eval->facts->nlines;
	bool		by_line = rule->award_points == NULL || (rule->award_points->reads & LINE_FACTS) != 0;
	bool		by_quantity = rule->award.kind == AWARD_EACH;
	Rational	base = RATIONAL_ZERO;
	Rational	whole;
	int			i;

	candidate->scales = rule->award.kind != AWARD_FIXED && by_line;
	if (!candidate->scales)
	{
		/* A purchase of nothing is one; a purchase that was returned is not. */
		if (is_returned(eval, candidate))
			return;
		if (rule->award_points != NULL)
		{
			set_line_facts(eval, 0);
			candidate->contribution = max_zero(run_points(eval, rule));
		}
		else
			candidate->contribution = rule->rate;
		if (rational_sign(rule->purchase_cap) > 0 &&
			rational_cmp(candidate->contribution, rule->purchase_cap) > 0)
			candidate->contribution = rule->purchase_cap;
		return;
	}

	candidate->shares = palloc(sizeof(Rational) * nlines);
	for (i = 0; i < nlines; i++)
	{
		Rational   *share = &candidate->shares[i];

		*share = RATIONAL_ZERO;
		if (!is_about(candidate, i))
			continue;
		if (rule->award_points != NULL)
		{
			set_line_facts(eval, i);
			*share = run_points(eval, rule);
		}
		else
			*share = by_quantity ? line_quantity(eval, i) : line_amount(eval, i);
		base = rational_add(base, *share);
	}

	/* What all of it comes to, and then what of that is each line's. */
	base = max_zero(base);
	if (rule->award_points != NULL)
		whole = base;
	else if (rule->award.kind == AWARD_PER_FULL)
		whole = rational_mul(rational_floor(rational_div(base, rational_from_int64(rule->award.per, AWARD_UNIT))),
							 rule->rate);
	else
		whole = rational_mul(base, rule->rate);
	if (rational_sign(rule->purchase_cap) > 0 && rational_cmp(whole, rule->purchase_cap) > 0)
		whole = rule->purchase_cap;
	candidate->contribution = whole;
	if (eval->nmultipliers > 0)
		share_out(candidate, nlines, whole, base);
}

/*
 * Multipliers
 */

/* What scaling awards give on a line, leaving out those of a group (0: none). */
static Rational
scaled_on_line(const Evaluation *eval, int line, int without_group)
{
	Rational	sum = RATIONAL_ZERO;
	int			i;

	for (i = 0; i < eval->ncandidates; i++)
	{
		const Candidate *candidate = &eval->candidates[i];

		if (candidate->scales && !candidate->beaten &&
			(without_group == 0 || candidate->rule->exclusive_group != without_group))
			sum = rational_add(sum, candidate->shares[line]);
	}
	return sum;
}

static Rational
one_less(Rational factor)
{
	return rational_sub(factor, rational_from_int64(1, 1));
}

/* What a multiplier alone adds, for comparing it with others of its group. */
static Rational
increment_alone(const Evaluation *eval, const Candidate *candidate)
{
	Rational	sum = RATIONAL_ZERO;
	int			i;

	for (i = 0; i < eval->facts->nlines; i++)
		if (is_about(candidate, i))
			sum = rational_add(sum, scaled_on_line(eval, i, candidate->rule->exclusive_group));
	return rational_mul(sum, one_less(candidate->rule->rate));
}

/* Let each multiplier's contribution be what it adds to those before it. */
static void
multiply(Evaluation *eval)
{
	Rational	one = rational_from_int64(1, 1);
	int			line;
	int			i;

	for (line = 0; line < eval->facts->nlines; line++)
	{
		Rational	base = scaled_on_line(eval, line, 0);
		Rational	factor = one;	/* as the multipliers so far combine */
		Rational	applied = one;	/* the same, not below zero */
		bool		first = true;

		if (rational_sign(base) == 0)
			continue;
		for (i = 0; i < eval->ncandidates; i++)
		{
			Candidate  *candidate = &eval->candidates[i];
			Rational	rate = candidate->rule->rate;
			Rational	next;

			if (!candidate->multiplies || candidate->beaten || !is_about(candidate, line))
				continue;
			switch (eval->program->stacking)
			{
				case STACKING_MULTIPLY:
					factor = rational_mul(factor, rate);
					break;
				case STACKING_BEST:
					if (first || rational_cmp(rate, factor) > 0)
						factor = rate;
					break;
				default:
					factor = rational_add(factor, one_less(rate));
					break;
			}
			first = false;
			next = max_zero(factor);
			candidate->contribution = rational_add(candidate->contribution,
												   rational_mul(base, rational_sub(next, applied)));
			applied = next;
		}
	}
}

/*
 * Exclusive groups
 */

static void
beat(Candidate *loser, const Candidate *winner)
{
	loser->beaten = true;
	if (loser->verdict != NULL)
	{
		loser->verdict->verdict = VERDICT_NOT_BEST;
		loser->verdict->because = winner->rule;
	}
}

/*
 * Of each group keep the best among those that multiply, or among those that
 * do not; in the end the better of the two.  The earlier wins a tie.
 */
static void
choose_best(Evaluation *eval, bool multiplies, bool across)
{
	int			i;
	int			j;

	for (i = 0; i < eval->ncandidates; i++)
	{
		Candidate  *first = &eval->candidates[i];

		if (first->rule->exclusive_group == 0 || first->beaten ||
			(!across && first->multiplies != multiplies))
			continue;
		for (j = i + 1; j < eval->ncandidates && !first->beaten; j++)
		{
			Candidate  *second = &eval->candidates[j];
			Rational	x;
			Rational	y;

			if (second->rule->exclusive_group != first->rule->exclusive_group || second->beaten ||
				(!across && second->multiplies != multiplies))
				continue;
			x = first->multiplies ? increment_alone(eval, first) : first->contribution;
			y = second->multiplies ? increment_alone(eval, second) : second->contribution;
			if (rational_cmp(y, x) > 0)
				beat(first, second);
			else
				beat(second, first);
		}
	}
}

static bool
has_groups(const Evaluation *eval)
{
	int			i;

	for (i = 0; i < eval->ncandidates; i++)
		if (eval->candidates[i].rule->exclusive_group != 0)
			return true;
	return false;
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
	add_up(&eval);
	set_order_facts(&eval);
	find_candidates(&eval, verdicts);

	for (i = 0; i < eval.ncandidates; i++)
		if (!eval.candidates[i].multiplies)
			work_out(&eval, &eval.candidates[i]);

	/* Sums over shares of many lines may be wide, hundreds of them, and the caller has many purchases. */
	if (eval.nmultipliers > 0 && facts->nlines > 1)
	{
		sums = AllocSetContextCreate(caller, "loyalty sums", ALLOCSET_SMALL_SIZES);
		MemoryContextSwitchTo(sums);
	}
	if (has_groups(&eval))
	{
		choose_best(&eval, false, false);
		choose_best(&eval, true, false);
		choose_best(&eval, false, true);
	}
	if (eval.nmultipliers > 0)
		multiply(&eval);
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
