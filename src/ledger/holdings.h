/*
 * holdings.h
 *		What a purse is worth on a day, under a program's expiry.
 *
 * The type purse knows lots and dates; a program may also let points lapse by
 * inactivity.  Both are told apart here and nowhere else.
 */
#ifndef LOYALTY_HOLDINGS_H
#define LOYALTY_HOLDINGS_H

#include "ledger/config.h"
#include "types/purse.h"

typedef struct Holdings
{
	Points		available;		/* below zero: a debt */
	Points		pending;
	Points		expired;		/* lapsed and not yet written down */
	DateADT		next_expiry;	/* DATEVAL_NOEND: none */
	Points		next_expiry_points;
} Holdings;

/*
 * Last day of points without a last day of their own; DATEVAL_NOEND unless the
 * program lets points lapse by inactivity.
 */
extern DateADT holdings_inactive_end(const Program *program, TimestampTz last_activity,
									 TimestampTz enrolled_at);

/*
 * A copy of the purse in which such points end on that day, netted up to "day".
 * Reading it by dates alone is then right.
 */
extern void holdings_settle(const Purse *purse, DateADT inactive_end, DateADT day, Purse *settled);

/*
 * What time writes into a ledger: the first day up to and including "day" on
 * which something falls due, and what does.  A debt takes lots on the day on
 * which they open; lots lapse on the day after their last one.
 */
typedef struct Due
{
	DateADT		day;
	Purse		netting;		/* moves of total zero, before anything lapses */
	Purse		lapsed;			/* negative lots */
} Due;

/*
 * The day before the first on which something will fall due, at the latest
 * DATEVAL_NOEND: nothing ever will.  As far as a purse goes this is what
 * member.next_expiry is a lower bound of.
 */
extern DateADT holdings_quiet_until(const Purse *purse, DateADT inactive_end);

/* False when nothing falls due up to and including "day".  The purses of "due" have been initialized. */
extern bool holdings_due(const Purse *purse, DateADT inactive_end, DateADT day, Due *due);

/* The lots that are over on "day", as negative ones. */
extern void holdings_lapsed(const Purse *purse, DateADT inactive_end, DateADT day, Purse *lapsed);

extern void holdings_read(const Purse *purse, DateADT inactive_end, DateADT day, Holdings *holdings);

#endif							/* LOYALTY_HOLDINGS_H */
