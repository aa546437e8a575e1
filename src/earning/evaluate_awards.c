/*
 * evaluate_awards.c
 *		What the awards of rules that apply give, which of an exclusive group
 *		counts, and what multipliers add.
 *
 * What scales is kept as shares by line, since a multiplier may be about some
 * of the lines only.  No contribution is rounded to points here: that is done
 * once, to the sum of them all.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "earning/evaluate_private.h"

/* Decimals that a worked-out award is taken to: it may be the result of a division. */
#define POINTS_EXPRESSION_SCALE 9

/*
 * Awards
 */

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

void
evaluate_award(Evaluation *eval, Candidate *candidate)
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
			evaluate_set_line(eval, 0);
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
			evaluate_set_line(eval, i);
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

void
evaluate_multiply(Evaluation *eval)
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

void
evaluate_choose(Evaluation *eval)
{
	if (!has_groups(eval))
		return;
	choose_best(eval, false, false);
	choose_best(eval, true, false);
	choose_best(eval, false, true);
}
