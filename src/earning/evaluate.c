/*
 * evaluate.c
 *		What a purchase earns: a pure function of program, rules and facts.
 *
 * Nothing here reads a table, a clock or a setting; so the same facts give the
 * same points today, in a retry, and when history is proven.
 */
#include "postgres.h"

#include "earning/evaluate.h"

/* Whether the rule existed for the purchase and was active at its time. */
static bool
rule_applies(const RuleSet *rules, const Rule *rule, const PurchaseFacts *facts)
{
	TimestampTz until = rule->active_until;
	bool		until_inclusive = rule->until_inclusive;
	int			i;

	/* The end that the rule had when the purchase was first judged. */
	for (i = 0; i < rules->nformer; i++)
		if (rules->former[i].rule_id == rule->rule_id && rules->former[i].version > facts->rule_horizon)
		{
			until = rules->former[i].until;
			until_inclusive = rules->former[i].until_inclusive;
			break;
		}

	if (rule->rule_id > facts->rule_horizon)
		return false;
	if (facts->at < rule->active_from ||
		(facts->at == rule->active_from && !rule->from_inclusive && !TIMESTAMP_IS_NOBEGIN(rule->active_from)))
		return false;
	if (facts->at > until ||
		(facts->at == until && !until_inclusive && !TIMESTAMP_IS_NOEND(until)))
		return false;
	return true;
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

/* What the rule gives on a base of amount and quantity, neither below zero. */
static Rational
contribution(const Rule *rule, Rational amount, Rational quantity)
{
	const Award *award = &rule->award;
	Rational	give = rational_from_int64(award->give, AWARD_UNIT);

	switch ((AwardKind) award->kind)
	{
		case AWARD_PER:
			return rational_mul(amount, rational_from_int64(award->give, award->per));
		case AWARD_PER_FULL:
			return rational_mul(rational_floor(rational_div(amount, rational_from_int64(award->per, AWARD_UNIT))),
								give);
		case AWARD_PERCENT:
			return rational_mul(amount, rational_from_int64(award->give, AWARD_UNIT * 100));
		case AWARD_EACH:
			return rational_mul(quantity, give);
		case AWARD_FIXED:
			return give;
		case AWARD_TIMES:
			break;
	}
	elog(ERROR, "unexpected award kind %d", award->kind);
}

int
evaluate_purchase(const Program *program, const RuleSet *rules,
				  const PurchaseFacts *facts, AwardGiven *given)
{
	bool		refund = is_refund(facts);
	Rational	amount = RATIONAL_ZERO;
	Rational	quantity = RATIONAL_ZERO;
	Rational	sum = RATIONAL_ZERO;
	Points		before = 0;
	int			ngiven = 0;
	int			i;

	for (i = 0; i < facts->nlines; i++)
	{
		amount = rational_add(amount, facts->lines[i].amount);
		quantity = rational_add(quantity, facts->lines[i].quantity);
	}
	if (refund)
	{
		amount = rational_neg(amount);
		/* An amount alone may be negative: a refund of one item, not of minus one. */
		if (rational_sign(quantity) < 0)
			quantity = rational_neg(quantity);
	}
	if (rational_sign(amount) < 0)
		amount = RATIONAL_ZERO;
	if (rational_sign(quantity) < 0)
		quantity = RATIONAL_ZERO;

	for (i = 0; i < rules->nrules; i++)
	{
		const Rule *rule = &rules->rules[i];
		Points		after;

		if (!rule_applies(rules, rule, facts))
			continue;
		sum = rational_add(sum, contribution(rule, amount, quantity));
		after = rational_round(sum, program->points_scale, program->rounding);
		given[ngiven].rule = rule;
		given[ngiven].points = refund ? before - after : after - before;
		before = after;
		ngiven++;
	}
	return ngiven;
}
