/*
 * evaluate_private.h
 *		What the files that evaluate a purchase share: the rules that apply to
 *		it, and what is known of it meanwhile.
 *
 * For evaluate*.c only; everybody else goes by evaluate.h.  What is asked of
 * every line of every rule is inline.
 */
#ifndef LOYALTY_EVALUATE_PRIVATE_H
#define LOYALTY_EVALUATE_PRIVATE_H

#include "postgres.h"

#include "earning/evaluate.h"

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

/* A purchase on its way through the rules. */
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

/* A line's amount, by magnitude in a refund. */
static inline Rational
line_amount(const Evaluation *eval, int line)
{
	Rational	amount = eval->facts->lines[line].amount;

	return eval->refund ? rational_neg(amount) : amount;
}

/* A refund may give its amount alone as negative: then it is one item, not minus one. */
static inline Rational
line_quantity(const Evaluation *eval, int line)
{
	Rational	quantity = eval->facts->lines[line].quantity;

	return eval->refund && rational_sign(quantity) < 0 ? rational_neg(quantity) : quantity;
}

/* Whether a line is among those that the rule is about. */
static inline bool
is_about(const Candidate *candidate, int line)
{
	return candidate->matches == NULL || candidate->matches[line];
}

static inline Rational
max_zero(Rational value)
{
	return rational_sign(value) < 0 ? RATIONAL_ZERO : value;
}

/* Fill in whether the purchase is a refund alone, and what its lines add up to. */
extern void evaluate_add_up(Evaluation *eval);

/* Let expressions see what the purchase as a whole and its member say, as far as rules read it. */
extern void evaluate_set_order(Evaluation *eval);

/* Let expressions see what a line says. */
extern void evaluate_set_line(Evaluation *eval, int i);

/*
 * What an award gives.  It scales with the amount (or quantity) of its lines,
 * which together are at least zero; its shares are what each of them brings.
 */
extern void evaluate_award(Evaluation *eval, Candidate *candidate);

/* Of each exclusive group keep the candidate that gives most, the earlier on a tie. */
extern void evaluate_choose(Evaluation *eval);

/* Let each multiplier's contribution be what it adds to those before it. */
extern void evaluate_multiply(Evaluation *eval);

#endif							/* LOYALTY_EVALUATE_PRIVATE_H */
