/*
 * evaluate.h
 *		What a purchase earns: a pure function of program, rules and facts.
 */
#ifndef LOYALTY_EVALUATE_H
#define LOYALTY_EVALUATE_H

#include "earning/purchase.h"
#include "earning/rule.h"
#include "ledger/config.h"
#include "types/rational.h"

/* One line of a purchase, its amount in the program's currency. */
typedef struct FactLine
{
	Rational	amount;
	Rational	quantity;
	Numeric		amount_value;	/* the same as a value for expressions */
	const PurchaseLine *line;	/* the rest of what it says */
} FactLine;

/* What a purchase is judged by. */
typedef struct PurchaseFacts
{
	int			event;			/* rule_event() */
	TimestampTz at;
	int32		rule_horizon;	/* rules with a greater number do not exist for it */
	int			nlines;
	const FactLine *lines;
	const FactValues *kept;		/* the member's facts; NULL: no rule reads any */
	int			nbarred;		/* rules that limits kept from it, by lineage */
	const int32 *barred;
} PurchaseFacts;

/* What one rule gives. */
typedef struct AwardGiven
{
	const Rule *rule;
	Points		points;
} AwardGiven;

typedef enum Verdict
{
	VERDICT_APPLIES,
	VERDICT_OTHER_EVENT,
	VERDICT_TOO_NEW,			/* written after the purchase was first judged */
	VERDICT_NOT_ACTIVE,
	VERDICT_BARRED,				/* once, member_times or cooldown */
	VERDICT_STOPPED,			/* by an earlier rule */
	VERDICT_MIN_AMOUNT,
	VERDICT_MIN_QUANTITY,
	VERDICT_NO_LINE,
	VERDICT_NOT_BEST			/* another of its exclusive group gives more */
} Verdict;

/* Why a rule gives what it gives, for who wants to know. */
typedef struct RuleVerdict
{
	const Rule *rule;
	Verdict		verdict;
	const Rule *because;		/* the other rule, of STOPPED and NOT_BEST */
	Rational	amount;			/* of the lines that it applies to */
	Rational	quantity;
	Points		points;
} RuleVerdict;

/*
 * Work out what each rule that applies gives; "given" has room for
 * rules->nrules.  Returns how many apply, those that multiply last, else in the
 * order of the rules; some may give zero.  "verdicts" (NULL, or with the same
 * room) tells of every rule, in the order of the rules.
 *
 * Which rules apply is decided in their order: the purchase's amount and
 * quantity reach the rule's minimum, and lines meet its lists and condition.
 * Of an exclusive group the one that gives most counts, the earlier on a tie.
 * A scaling award scales with the amount or quantity of its lines, a fixed one
 * is given once, unless lines below zero have returned all that it is about.
 * Multipliers multiply what scaling awards give on their lines.
 *
 * The contributions S_i of the rules are summed exactly and rounded once over
 * the purchase: rule i gets round(S_1 + .. + S_i) - round(S_1 + .. + S_i-1), so
 * that the parts add up to the rounded whole.  A purchase with positive lines
 * never stands below zero; one that is a refund alone is judged by its
 * magnitude and taken back, so that f(-x) = -f(x).
 */
extern int	evaluate_purchase(const Program *program, RuleSet *rules,
							  const PurchaseFacts *facts, AwardGiven *given, RuleVerdict *verdicts);

/* What the purchase's lines add up to, by magnitude if it is a refund alone (true). */
extern bool evaluate_totals(const PurchaseFacts *facts, Rational *amount, Rational *quantity);

/*
 * What expressions see of each line, of the purchase and of its member; room
 * for facts->nlines.  Only what rules of the set read is good.
 */
extern void evaluate_facts(const Program *program, RuleSet *rules, const PurchaseFacts *facts,
						   FactValues *values);

#endif							/* LOYALTY_EVALUATE_H */
