/*
 * budget.h
 *		Points that a rule may give to all members together.
 *
 * A budget is one rule's (of a revised rule, its first version's) for one
 * period, which its first day names; DATEVAL_NOBEGIN is one budget for ever.
 * ledger/slots.h says who waits for whom.
 */
#ifndef LOYALTY_BUDGET_H
#define LOYALTY_BUDGET_H

#include "postgres.h"
#include "utils/date.h"

#include "ledger/config.h"
#include "types/points.h"

/*
 * Draw up to "wanted" (> 0) points; returns how many are ours: less than wanted
 * only when that is all there is, 0 when nothing is left.
 */
extern Points budget_draw(Config *config, int32 rule_id, DateADT period, Points budget, Points wanted);

/* Give back points (> 0) drawn before, by this transaction or an earlier one. */
extern void budget_give_back(Config *config, int32 rule_id, DateADT period, Points budget, Points points);

/* What is left as the active snapshot sees it, never negative; writes and locks nothing. */
extern Points budget_left(Config *config, int32 rule_id, DateADT period, Points budget);

#endif							/* LOYALTY_BUDGET_H */
