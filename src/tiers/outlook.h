/*
 * outlook.h
 *		What a member has to do to keep his tier or reach another, and what
 *		becomes of it if he does nothing.
 */
#ifndef LOYALTY_OUTLOOK_H
#define LOYALTY_OUTLOOK_H

#include "tiers/standing.h"

typedef struct Outlook
{
	text	   *tier;			/* NULL: none */
	int			number;			/* of the tier; NO_TIER: none, or it is gone */
	TimestampTz since;			/* DT_NOBEGIN: since ever */
	DateADT		until;			/* last day on which he has it if nothing else happens; DATEVAL_NOEND: none */
	text	   *projected;		/* tier after that day */
	text	   *floor;			/* NULL: none */
	DateADT		floor_until;	/* DATEVAL_NOEND: none */
	DateADT		day;			/* the day itself */
	TallyTotals totals;			/* of its window */
	TierMinimums keep;			/* missing to keep it */
	DateADT		keep_by;		/* last day to make that up; DATEVAL_NOEND: he keeps it anyway */
	int			next;			/* next tier that can be reached; NO_TIER: he has the highest */
	TierMinimums reach;			/* missing to reach that */
} Outlook;

/*
 * These work on a Standing in memory that nobody will store.  All read entries
 * and changes inside store_begin_read.
 */

/*
 * Make his row what it was at an earlier time, as far as his changes of tier
 * tell.  What counted then is the counter's to know.
 */
extern void outlook_rewind(Standing *standing, TimestampTz at);

/* Make it what it will be if nothing happens up to a later time but reviews. */
extern void outlook_advance(Standing *standing, TimestampTz at);

/* How he stands at a time, to which his row belongs; reviews it. */
extern void outlook_see(Standing *standing, TimestampTz at, Outlook *outlook);

/* What is missing of the minimums that are asked; nothing when they are met. */
extern void outlook_missing(const TierMinimums *minimums, const TallyTotals *totals, bool met,
							TierMinimums *missing);

#endif							/* LOYALTY_OUTLOOK_H */
