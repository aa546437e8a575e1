/*
 * budget.h
 *		Points that a rule may give to all members together.
 *
 * A budget is one rule's (of a revised rule, its first version's) for one
 * period, which its first day names; DATEVAL_NOBEGIN is one budget for ever.
 * What is drawn belongs to the (sub)transaction that drew it: when that aborts,
 * the points are back.
 *
 * Locks on what was drawn or given back are held until the transaction ends.
 * They are taken in one order by whoever waits for them, so transactions that
 * draw or give back once do not deadlock with each other.  One that draws again
 * takes what is free in several slots before it waits; it can deadlock (40P01)
 * with another such one only while free slots do not hold enough, or while both
 * make the first draws of a period; and so can one that locks members after it
 * has drawn.
 * Under REPEATABLE READ and SERIALIZABLE a conflict may raise 40001 instead.
 *
 * The first draw of a period makes its slots, and the next ones wait for that
 * transaction.  Each draw leaves an old version of its slot behind, which the
 * later ones of its transaction step over: whoever has thousands of purchases
 * at hand had better draw for many at once, and give back what is left.
 */
#ifndef LOYALTY_BUDGET_H
#define LOYALTY_BUDGET_H

#include "postgres.h"
#include "utils/date.h"

#include "ledger/config.h"
#include "types/points.h"

#define BUDGET_SLOTS 32

/*
 * Draw up to "wanted" (> 0) points; returns how many are ours: less than wanted
 * only when that is all there is, 0 when nothing is left.  Waits only where no
 * slot that is free at the moment holds enough.
 */
extern Points budget_draw(Config *config, int32 rule_id, DateADT period, Points budget, Points wanted);

/* Give back points (> 0) drawn before, by this transaction or an earlier one. */
extern void budget_give_back(Config *config, int32 rule_id, DateADT period, Points budget, Points points);

/* What is left as the active snapshot sees it, never negative; writes and locks nothing. */
extern Points budget_left(Config *config, int32 rule_id, DateADT period, Points budget);

#endif							/* LOYALTY_BUDGET_H */
