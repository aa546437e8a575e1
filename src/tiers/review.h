/*
 * review.h
 *		Reviews of tiers: who keeps his tier, who falls, and when to look again.
 */
#ifndef LOYALTY_REVIEW_H
#define LOYALTY_REVIEW_H

#include "tiers/standing.h"

/*
 * Review the member at a time: floors end, tiers are kept for another period or
 * lapse, and what is reached is given.  Changes are the standing's to be
 * posted.  Reads entries as standing.h says.
 */
extern void review(Standing *standing, TimestampTz at);

/*
 * The last day through which reviews do nothing if nothing else happens, as
 * seen from the day "from", on which he has been reviewed: what
 * member.next_expiry is a lower bound of, as far as tiers go.  DATEVAL_NOEND:
 * they never will.
 */
extern DateADT review_quiet_after(Standing *standing, DateADT from);

/* The same as seen from when he got his tier, as far as his tally goes back; needs no entries. */
extern DateADT review_quiet_until(Standing *standing);

/*
 * The last day on which a tier is held that the window of "day" has not
 * reached, where there is no validity: until that window has passed once;
 * DATEVAL_NOEND: it never passes.
 */
extern DateADT review_window_passes(const Standing *standing, DateADT day);

/*
 * Whether he may rise by the passing of time alone, after a day: by what is
 * dated ahead, or when what lowers the figures leaves the window.
 */
extern bool review_may_rise(const Standing *standing, DateADT from);

/*
 * The day whose window says whether his own tier is kept once its validity is
 * over; DATEVAL_NOEND: none is running, the window of each day says so.
 */
extern DateADT review_judgment_day(const Standing *standing);

#endif							/* LOYALTY_REVIEW_H */
