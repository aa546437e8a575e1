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

/* An end that a rule had before it was moved. */
typedef struct FormerEnd
{
	int32		rule_id;
	int32		version;		/* purchases with a smaller horizon are judged by it */
	TimestampTz until;
	bool		until_inclusive;
} FormerEnd;

typedef struct RuleSet
{
	int32		horizon;		/* the greatest rule_id or version there is */
	int			nformer;
	FormerEnd  *former;			/* in order of version */
	int			nrules;
	Rule	   *rules;			/* of purchases, greatest priority first, then the newer */
} RuleSet;

extern RuleSet *rule_set(Config *config, Program *program);

/*
 * To be called when purchases are judged: rules that this transaction made are
 * in force from then on, and change no more.
 */
extern void rule_set_used(void);

#endif							/* LOYALTY_RULE_H */
