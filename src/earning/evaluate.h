/*
 * evaluate.h
 *		What a purchase earns: a pure function of program, rules and facts.
 */
#ifndef LOYALTY_EVALUATE_H
#define LOYALTY_EVALUATE_H

#include "earning/rule.h"
#include "ledger/config.h"
#include "types/rational.h"

/* One line of a purchase. */
typedef struct FactLine
{
	Rational	amount;
	Rational	quantity;
} FactLine;

/* What a purchase is judged by. */
typedef struct PurchaseFacts
{
	TimestampTz at;
	int32		rule_horizon;	/* rules with a greater number do not exist for it */
	int			nlines;
	const FactLine *lines;
} PurchaseFacts;

/* What one rule gives. */
typedef struct AwardGiven
{
	const Rule *rule;
	Points		points;
} AwardGiven;

/*
 * Work out what each rule that applies gives; "given" has room for rules->nrules.
 * Returns how many apply, in the order of the rules; some may give zero.
 *
 * The contributions S_i of the rules are summed exactly and rounded once over
 * the purchase: rule i gets round(S_1 + .. + S_i) - round(S_1 + .. + S_i-1), so
 * that the parts add up to the rounded whole.  A purchase with positive lines
 * never stands below zero; one that is a refund alone is judged by its
 * magnitude and taken back, so that f(-x) = -f(x).
 */
extern int	evaluate_purchase(const Program *program, const RuleSet *rules,
							  const PurchaseFacts *facts, AwardGiven *given);

#endif							/* LOYALTY_EVALUATE_H */
