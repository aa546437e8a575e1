/*
 * tier.h
 *		The tiers of a program, and who reaches them.
 */
#ifndef LOYALTY_TIER_H
#define LOYALTY_TIER_H

#include "ledger/config.h"
#include "types/tally.h"

/* What a tier asks of the window; what is not asked is below zero. */
typedef struct TierMinimums
{
	TallyAmount amount;
	Points		points;
	int64		purchases;
} TierMinimums;

#define NOT_ASKED (-1)

typedef struct Tier
{
	text	   *name;
	int32		rank;
	TierMinimums reach;
	TierMinimums keep;
	bool		has_expiry;
	Expiry		expiry;			/* if it has one */
	int			pending_days;	/* below zero: the program's */
} Tier;

typedef struct TierSet
{
	int			ntiers;
	Tier	   *tiers;			/* lowest rank first */
	bool		has_spans;		/* any has an expiry or pending days of its own */
} TierSet;

/* No tier, where the number of one is meant. */
#define NO_TIER (-1)

extern TierSet *tier_set(Config *config, Program *program);

/* The number of a tier by its name; NO_TIER for NULL and for one that is gone. */
extern int	tier_by_name(const TierSet *set, const text *name);

/* The number of a tier that somebody names; 42704, with those there are, when there is none of that name. */
extern int	tier_named(const Program *program, const TierSet *set, const text *name);

/*
 * The highest tier whose minimums the totals reach: one of those that it asks,
 * or all of them (program.tier_match).  A tier that asks nothing is never reached.
 */
extern int	tier_reached(const Program *program, const TierSet *set, const TallyTotals *totals);

/* A fingerprint of all that says when something falls due for members: the program's expiry and its tiers. */
extern int64 tier_terms(const Program *program, const TierSet *set);

/* Whether the tier is everyone's: nothing is needed to reach it. */
extern bool tier_is_everyones(const Program *program, const TierSet *set, int tier);

/* Whether the tier is only given by hand: it asks nothing. */
extern bool tier_is_by_hand(const TierSet *set, int tier);

/* Whether the totals keep the tier; one that asks nothing is kept. */
extern bool tier_kept(const Program *program, const TierSet *set, int tier, const TallyTotals *totals);

#endif							/* LOYALTY_TIER_H */
