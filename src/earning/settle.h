/*
 * settle.h
 *		One purchase, from what it should have earned to the entries for it.
 */
#ifndef LOYALTY_SETTLE_H
#define LOYALTY_SETTLE_H

#include "earning/judge.h"
#include "earning/purchase.h"
#include "earning/rule.h"
#include "ledger/posting.h"

/* What the purchases of one statement are settled by. */
typedef struct Settlement
{
	const Program *program;
	int32		source_id;
	const RuleSet *rules;
	Store	   *store;
	TimestampTz now;
} Settlement;

/* One purchase, from judging to posting. */
typedef struct Case
{
	Purchase	purchase;
	int			request;		/* whose it is, for the caller to know */
	bool		dropped;		/* not this operation's business, or deferred */
	bool		settled;		/* judged, and nothing is left to do */
	bool		first;			/* its first posting */
	PurchaseLedger ledger;
	int			nsteps;
	Step	   *steps;
	Numeric		amount_change;	/* NULL: none */
	bool		posted;			/* an entry of this posting exists already */
} Case;

/* Read what the ledger says of the case, and what is left to do.  Inside store_begin_read. */
extern void settle_judge(const Settlement *settlement, Case *case_, const MemberRow *member);

/*
 * Turn the steps of a member's cases into entries: what adds before what takes,
 * so that nothing is taken from elsewhere that the same statement gives.
 */
extern void settle_post(const Settlement *settlement, Posting *posting, Case **cases, int ncases);

#endif							/* LOYALTY_SETTLE_H */
