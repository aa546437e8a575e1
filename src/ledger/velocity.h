/*
 * velocity.h
 *		How often, and how many points, within a time.
 */
#ifndef LOYALTY_VELOCITY_H
#define LOYALTY_VELOCITY_H

#include "ledger/config.h"
#include "ledger/storage.h"

/* velocity_limit.kind */
typedef enum VelocityKind
{
	VELOCITY_EARN,				/* by purchases and events */
	VELOCITY_RECORD,			/* by events, and purchases that no table holds */
	VELOCITY_REDEEM,			/* spends, rewards, holds: what captures one was counted as that */
	VELOCITY_TRANSFER,			/* given */
	VELOCITY_ADJUST,			/* adjust, extend, reinstate */
	VELOCITY_VOUCHER			/* used */
} VelocityKind;

#define NVELOCITY_KINDS (VELOCITY_VOUCHER + 1)

extern const char *const velocity_kinds[NVELOCITY_KINDS];

/*
 * LY029 when the act, of so many points, would pass a limit of the program that
 * refuses.  The member is locked, so nobody is faster.  "other" is with whom a
 * transfer is, else 0.
 */
extern void velocity_check(Config *config, const Program *program, Store *store, const MemberRow *member,
						   VelocityKind kind, Points points, int64 other);

/* A span of days and hours; 22023 for one of months, which have no length, or none at all. */
extern int64 velocity_span(const Interval *within);

#endif							/* LOYALTY_VELOCITY_H */
