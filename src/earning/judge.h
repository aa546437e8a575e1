/*
 * judge.h
 *		What the ledger says of a purchase, and what it should say.
 */
#ifndef LOYALTY_JUDGE_H
#define LOYALTY_JUDGE_H

#include "earning/context.h"
#include "earning/evaluate.h"
#include "earning/limit.h"
#include "earning/purchase.h"
#include "earning/rule.h"
#include "ledger/storage.h"

/* What one rule (0: none) has given for a purchase so far. */
typedef struct RuleLedger
{
	int32		rule_id;
	Points		net;			/* earned less clawed back */
	RuleContext context;		/* shortfall: part of net that a clawback could not take */
	bool		rewarded;		/* it has stood for points, be they taken back since */
	int64		awaits_seq;		/* of the entry that began to await confirmation; 0: none */
	TimestampTz accepted_at;	/* DT_NOBEGIN: never */
	Points		clawed;			/* taken back in all */
	Purse		given;			/* earned in all, by life span */
	Purse		lots;			/* earned less clawed back, by life span */
} RuleLedger;

/* What the ledger says of a purchase of a member. */
typedef struct PurchaseLedger
{
	int32		revision;		/* of the last posting; 0: there is none */
	int32		rule_horizon;
	TimestampTz at;				/* the purchase's time when it was first judged */
	PurchaseContext kept;		/* what it is judged by; a status: it earns nothing */
	Numeric		amount;			/* that its postings add up to; NULL: zero */
	int			nrules;
	RuleLedger *rules;
} PurchaseLedger;

/* A step from what is to what should be, for one rule. */
typedef struct Step
{
	const Rule *rule;
	int32		rule_id;
	RuleLedger *ledger;			/* NULL: it has given nothing yet */
	Points		earn;			/* > 0 */
	Points		take;			/* > 0: to claw back */
	Points		change;			/* of what it stands for */
	RuleContext context;		/* what is to be on record; of the shortfall, besides what "take" misses */
	bool		record;			/* the context changes though no points move */
	Points		drawn;			/* on the rule's budget; below zero: given back */
	bool		gives_back;		/* to a limit of the member */
	int64		member_id;		/* once it is posted and something awaits: whose entry, */
	int64		seq;			/* and which */
} Step;

/* Who asks limits. */
typedef struct Limiter
{
	MemberUsage *usage;
	int			ngrants;		/* what budgets let a purchase draw, by rule; -1: all it wants */
	struct BudgetGrant
	{
		int32		rule_id;
		Points		points;
	}		   *grants;
} Limiter;

/* What a purchase comes to, in the program's currency. */
typedef struct Worth
{
	int			nlines;			/* none: it stands at zero */
	FactLine   *lines;
	Numeric		amount;			/* NULL: it stands at zero */
} Worth;

/* Read a purchase's entries.  Inside store_begin_read. */
extern void judge_read(Store *store, int64 member_id, int32 source_id, const text *key,
					   PurchaseLedger *ledger);

/* The same for who reads the entries himself, in order of rule and revision. */
extern void judge_begin(PurchaseLedger *ledger);
extern void judge_add(PurchaseLedger *ledger, const EntryRow *entry);

/* What a rule stands for: its target of last time, whatever a clawback could take. */
extern Points judge_stands_for(const RuleLedger *ledger);

/* Whether there are any. */
extern bool judge_has_entries(Store *store, int64 member_id, int32 source_id, const text *key);

/*
 * What a purchase comes to: nothing when it is NULL or does not count.  Amounts
 * in other currencies are worth what they were at the purchase's time: rates
 * that are not kept in the ledger yet are looked up, added to it, and to
 * "fresh"; with config NULL they may not be missing (LY011).
 */
extern void judge_worth(Config *config, const Program *program, PurchaseLedger *ledger,
						const Purchase *purchase, PurchaseContext *fresh, Worth *worth);

/* What a purchase with this ledger is judged by. */
extern void judge_facts(const PurchaseLedger *ledger, int event, const Worth *worth, PurchaseFacts *facts);

/*
 * The steps to take; room for rules->nrules + ledger->nrules.  Limits are asked
 * through the limiter; where it is NULL, limited rules must stand as they were
 * granted, and steps are what does not.
 */
extern int	judge_steps(const Program *program, RuleSet *rules, int event, PurchaseLedger *ledger,
						const Worth *worth, Limiter *limiter, Step *steps);

#endif							/* LOYALTY_JUDGE_H */
