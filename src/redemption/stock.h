/*
 * stock.h
 *		The units of a reward that there are for all members together.
 *
 * ledger/slots.h says who waits for whom; members are locked before.
 */
#ifndef LOYALTY_STOCK_H
#define LOYALTY_STOCK_H

#include "redemption/reward.h"

/* The period of a reward's stock in which a time is, by its first day. */
extern DateADT stock_period(const Program *program, const Reward *reward, TimestampTz at);

/* Take units (> 0) of a period of a limited reward; false, and none is taken, where there are too few. */
extern bool stock_take(Config *config, const Reward *reward, DateADT period, int units);

/* Put units (> 0) back that were taken. */
extern void stock_return(Config *config, const Reward *reward, DateADT period, int units);

/* Units that are left now, or as the active snapshot sees it. */
extern int64 stock_left(Config *config, const Reward *reward, DateADT period, bool now);

/* Whether redemptions of the reward wait for stock. */
extern bool stock_is_awaited(Config *config, const Reward *reward);

#endif							/* LOYALTY_STOCK_H */
