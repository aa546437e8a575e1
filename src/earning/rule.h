/*
 * rule.h
 *		The rules of a program, ready for evaluation.
 */
#ifndef LOYALTY_RULE_H
#define LOYALTY_RULE_H

#include "ledger/config.h"
#include "types/award.h"

typedef struct Rule
{
	int32		rule_id;
	char	   *name;
	Award		award;
	TimestampTz active_from;	/* DT_NOBEGIN: always was */
	bool		from_inclusive;
	TimestampTz active_until;	/* DT_NOEND: always will be */
	bool		until_inclusive;
	Expiry		expiry;			/* the rule's, else the program's */
	int			pending_days;	/* likewise */
} Rule;

typedef struct RuleSet
{
	int32		horizon;		/* the greatest rule_id there is */
	int			nrules;
	Rule	   *rules;			/* of purchases, greatest priority first, then the newer */
} RuleSet;

extern RuleSet *rule_set(Config *config, Program *program);

#endif							/* LOYALTY_RULE_H */
