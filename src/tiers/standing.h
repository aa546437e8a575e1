/*
 * standing.h
 *		Where a member stands: what counts toward tiers, and the tier he has.
 *
 * A Standing works on a locked member's row, in memory: what it changes there
 * is written by the posting, and the changes of tier that it makes are for the
 * posting to take along.  A member rises at once and falls at a review only
 * (tiers/review.h).
 *
 * The row's tally may be short of what a question needs: not counted yet, older
 * days dropped, or days put together because a lifetime window needs no more.
 * Then it is counted anew from the entries, by a function of the caller's,
 * who knows what purchases are.
 */
#ifndef LOYALTY_STANDING_H
#define LOYALTY_STANDING_H

#include "ledger/storage.h"
#include "tiers/tier.h"

/* Adds up a member's entries in an empty tally, by day.  Inside store_begin_read. */
typedef void (*TallyCounter) (void *arg, int64 member_id, Tally *tally);

typedef struct Standing
{
	const Program *program;
	const TierSet *tiers;
	MemberRow  *member;
	Store	   *store;
	TallyCounter counter;
	void	   *counter_arg;
	TimestampTz now;
	DateADT		enrolled;		/* the day */
	Tally		tally;
	DateADT		tally_since;	/* it is complete from this day on */
	Tally		added;			/* what entries do not say yet, by day */
	bool		changed;		/* the row's tally is another one */
	int			nchanges;
	TierChangeRow *changes;		/* made here */
} Standing;

/* Reasons of changes */
#define TIER_EARNED "earned"
#define TIER_KEPT "kept"
#define TIER_LAPSED "lapsed"
#define TIER_MANUAL "manual"
#define TIER_FLOOR_ENDED "floor ended"
#define TIER_REMOVED "removed"
#define TIER_IMPORTED "imported"
#define TIER_MERGED "merged"

/* What follows reads entries and changes inside store_begin_read, except as noted. */
extern void standing_begin(Standing *standing, const Program *program, const TierSet *tiers, Store *store,
						   MemberRow *member, TallyCounter counter, void *counter_arg);

/* What counts in the window of a day. */
extern void standing_totals(Standing *standing, DateADT day, TallyTotals *totals);

/* The tier that the member had at a time; NULL: none. */
extern text *standing_tier_at(Standing *standing, TimestampTz at);

/*
 * Count a change of what a purchase counts for: on its day, and at its time or
 * at a later one (a return).  He rises where that reaches a tier.
 */
extern void standing_count(Standing *standing, DateADT day, TimestampTz at, const TallyTotals *change);

/*
 * Count what he brings from elsewhere, by day, at a time that is not ahead.  A
 * tier (NO_TIER: none) that is not below his own is his own from "since" on.
 */
extern void standing_import(Standing *standing, const Tally *tally, int tier, DateADT until,
							TimestampTz since, TimestampTz at);

/* When his tier last changed, was kept or given; DT_NOBEGIN: never. */
extern TimestampTz standing_last_change(Standing *standing);

/* The tier that he reached himself; NO_TIER: none. */
extern int	standing_own(const Standing *standing);

/* Let him have a tier of his own from a time on; needs no entries. */
extern void standing_set_own(Standing *standing, int tier, DateADT until, TimestampTz at, const char *reason);

/* Give him a floor from a time on, or take it away (NO_TIER); likewise.  A review is due after its end. */
extern void standing_set_floor(Standing *standing, int tier, DateADT until, TimestampTz at,
							   const char *reason, text *note);

/* Let the higher one of his own tier and his floor be his, should ranks have changed since; likewise. */
extern void standing_weigh_floor(Standing *standing, TimestampTz at);

/* The last day on which a tier reached on a day is not reviewed; DATEVAL_NOEND: there is none. */
extern DateADT standing_valid_until(const Standing *standing, DateADT day);

/* The same for what a tier is: nobody ever loses one that is everyone's. */
extern DateADT standing_until(const Standing *standing, int tier, DateADT day);

/* The last day on which something counts, as far as the row knows; DATEVAL_NOBEGIN: there is none. */
extern DateADT standing_last_counted_day(const Standing *standing);

/* Count everything anew, so that no day is missing. */
extern void standing_count_all(Standing *standing);

/* Put the tally back into the member's row, once what was counted has been posted; needs no entries. */
extern void standing_store(Standing *standing);

/* Drop the tally of a row to which something is posted that nobody counts. */
extern void standing_forget(MemberRow *member);

#endif							/* LOYALTY_STANDING_H */
