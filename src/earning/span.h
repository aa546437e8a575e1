/*
 * span.h
 *		The life span of what a rule gives.
 */
#ifndef LOYALTY_SPAN_H
#define LOYALTY_SPAN_H

#include "earning/fact.h"
#include "earning/rule.h"
#include "tiers/tier.h"

typedef struct Span
{
	Expiry		expiry;
	int			pending_days;
} Span;

/*
 * The rule's own, else that of the tier in which the purchase was made (what
 * was kept with it may be NULL), else the program's.
 */
extern Span span_of(const TierSet *tiers, const Rule *rule, const FactValues *kept);

/* First and last day of points of a purchase of "day" that are accepted on a day. */
extern void span_accepted(Span span, DateADT day, DateADT accepted, DateADT *starts, DateADT *ends);

#endif							/* LOYALTY_SPAN_H */
