/*
 * judge.h
 *		What the ledger says of a purchase, and what it should say.
 */
#ifndef LOYALTY_JUDGE_H
#define LOYALTY_JUDGE_H

#include "earning/evaluate.h"
#include "earning/purchase.h"
#include "earning/rule.h"
#include "ledger/storage.h"

/* What one rule (0: none) has given for a purchase so far. */
typedef struct RuleLedger
{
	int32		rule_id;
	Points		net;			/* earned less clawed back */
	Points		shortfall;		/* part of net that a clawback could not take */
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
	bool		earns;			/* false: the member was suspended or closed then */
	Numeric		amount;			/* that its postings add up to; NULL: zero */
	int			nrules;
	RuleLedger *rules;
} PurchaseLedger;

/* A step from what is to what should be, for one rule. */
typedef struct Step
{
	const Rule *rule;			/* NULL: the rule gives nothing any more */
	int32		rule_id;
	RuleLedger *ledger;			/* NULL: it has given nothing yet */
	Points		earn;			/* > 0 */
	Points		take;			/* > 0: to claw back */
	Points		shortfall;		/* what is to be on record, besides what "take" misses */
	bool		record;			/* the shortfall changes though no points move */
} Step;

/* Read a purchase's entries.  Inside store_begin_read. */
extern void judge_read(Store *store, int64 member_id, int32 source_id, const text *key,
					   PurchaseLedger *ledger);

/* The same for who reads the entries himself, in order of rule and revision. */
extern void judge_begin(PurchaseLedger *ledger);
extern void judge_add(PurchaseLedger *ledger, const EntryRow *entry);

/* Whether there are any. */
extern bool judge_has_entries(Store *store, int64 member_id, int32 source_id, const text *key);

/* What a purchase is worth now; NULL when it does not count. */
extern Numeric judge_amount(const Purchase *purchase);

/*
 * The steps to take; room for rules->nrules + ledger->nrules.  A purchase that
 * does not count (or NULL) is to stand at zero.
 */
extern int	judge_steps(const Program *program, const RuleSet *rules, PurchaseLedger *ledger,
						const Purchase *purchase, Step *steps);

#endif							/* LOYALTY_JUDGE_H */
