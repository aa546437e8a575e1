/*
 * spend.h
 *		What all acts share that pay for a purchase with points.
 */
#ifndef LOYALTY_SPEND_H
#define LOYALTY_SPEND_H

#include "fmgr.h"

#include "ledger/storage.h"
#include "redemption/payment.h"

/* The argument "purchase", NULL without one; 22023 when empty, 22001 when too long. */
extern text *spend_purchase_argument(FunctionCallInfo fcinfo, int argno);

/* Put what is known of these into the context under way. */
extern void spend_push(JsonbParseState **state, const text *purchase, Numeric amount, Numeric value);

/* Whether an entry pays for that purchase (NULL: none) of that amount (NULL: unknown). */
extern bool spend_is_for(const EntryRow *earlier, const text *purchase, Numeric amount);

/* What a locked member has spent on the purchase, and what is held for it. */
extern Spent spend_before(Store *store, const Program *program, const MemberRow *member,
						  const text *purchase, Numeric amount);

#endif							/* LOYALTY_SPEND_H */
