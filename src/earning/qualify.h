/*
 * qualify.h
 *		What purchases and events count for toward tiers.
 *
 * A purchase counts with its amount, as one purchase while that is above zero,
 * and with the points of rules that qualify, whatever of them a clawback could
 * take; another event with its points only.  What a suspended member bought
 * does not count.  What was imported, or moved by a merge, counts as it was given.
 */
#ifndef LOYALTY_QUALIFY_H
#define LOYALTY_QUALIFY_H

#include "earning/judge.h"
#include "tiers/standing.h"
#include "types/tally.h"

/* How a posting changes what it counts for, given its ledger before and its steps. */
extern void qualify_change(RuleSet *rules, int event, const PurchaseLedger *ledger, bool first,
						   const Step *steps, int nsteps, Numeric amount, TallyTotals *change);

/* Adding up all that a member's entries count for, as a TallyCounter. */
typedef struct QualifyCounter
{
	const Program *program;
	RuleSet    *rules;
	Store	   *store;
} QualifyCounter;

extern void qualify_count(void *counter, int64 member_id, Tally *tally);

/* The same of the entries that occurred up to a time. */
typedef struct QualifyCounterAt
{
	QualifyCounter counter;
	TimestampTz until;
} QualifyCounterAt;

extern void qualify_count_at(void *counter, int64 member_id, Tally *tally);

/* Whether anybody asks: there are tiers, or a rule reads it. */
extern bool qualify_is_asked(const RuleSet *rules, const TierSet *tiers);

/* Where a member stands, counted so. */
extern Standing *qualify_begin(const Program *program, RuleSet *rules, const TierSet *tiers,
							   Store *store, MemberRow *member);

#endif							/* LOYALTY_QUALIFY_H */
