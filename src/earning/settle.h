/*
 * settle.h
 *		One purchase, from what it should have earned to the entries for it.
 */
#ifndef LOYALTY_SETTLE_H
#define LOYALTY_SETTLE_H

#include "earning/judge.h"
#include "earning/purchase.h"
#include "earning/rule.h"
#include "earning/subject.h"
#include "ledger/posting.h"

/* What the purchases of one statement are settled by. */
typedef struct Settlement
{
	Config	   *config;
	const Program *program;
	int32		source_id;
	RuleSet    *rules;
	TierSet    *tiers;
	int			event;			/* rule_event() */
	Store	   *store;
	TimestampTz now;
} Settlement;

/* One purchase, from judging to posting. */
typedef struct Case
{
	Purchase	purchase;		/* key NULL: an act of its own, which gets its first entry's number */
	Jsonb	   *asked;			/* what an act was asked for, NULL: none; kept with the first posting */
	text	   *note;			/* reason given for it, NULL: none; of a posting's first entry */
	bool		cancelled;		/* an act that somebody cancels */
	const char *cancel_key;		/* then; NULL: none */
	int			request;		/* whose it is, for the caller to know */
	const struct Case *goes_on; /* under another key it goes on as this one, which is judged elsewhere; NULL: see settle_post */
	int64		holder;			/* likewise: who has its entries; 0: nobody, as far as was asked */
	bool		alone;			/* no merge ties its member to anybody, as far as was asked */
	bool		dropped;		/* not this operation's business, or deferred */
	bool		settled;		/* judged, and nothing is left to do */
	bool		first;			/* its first posting */
	bool		gives_back;		/* to a limit, which others may draw on */
	PurchaseLedger ledger;
	PurchaseContext fresh;		/* what this posting adds to its context */
	int			ngrants;		/* what budgets let it draw, as in Limiter */
	struct BudgetGrant *grants;
	int			nsteps;
	Step	   *steps;
	Numeric		amount_change;	/* NULL: none */
	int			nchanges;		/* of the member's tier */
	const TierChangeRow *changes;
	bool		posted;			/* an entry of this posting exists already */
} Case;

/* Before the cases of a member are judged, and after they are posted: where he stands.  Inside store_begin_read. */
extern void settle_begin(const Settlement *settlement, Subject *subject);
extern void settle_end(Subject *subject);

/* Read what the ledger says of the case, and what is left to do.  Inside store_begin_read. */
extern void settle_judge(const Settlement *settlement, Case *case_, Subject *subject);

/* What the purchase of a judged case comes to. */
extern Numeric settle_amount(const Case *case_);

/* Forget what judging has worked out. */
extern void settle_reset(Case *case_);

/*
 * The cases of a member in the order in which they are judged: those that give
 * back to limits first, else the earlier purchases.  False when they had been
 * judged in another order as far as that matters.
 */
extern bool settle_sort(Case **cases, int ncases);

/*
 * Turn the steps of a member's cases into entries, in the order in which they
 * take effect, so that history gives the same in whatever batches it comes.  Of
 * one moment what adds comes before what takes, so that nothing is taken from
 * elsewhere that the same statement gives.  Inside store_begin_read.
 */
extern void settle_post(const Settlement *settlement, Posting *posting, Case **cases, int ncases);

#endif							/* LOYALTY_SETTLE_H */
