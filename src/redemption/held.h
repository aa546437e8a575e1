/*
 * held.h
 *		What becomes of points that are held.
 *
 * Held points are in no purse.  They go back in an entry of kind release, whose
 * lots are exactly those that were held; what is captured is redeemed from there
 * in the same posting.  Everything here happens in memory, within a posting of
 * the locked member, and is written with it.
 */
#ifndef LOYALTY_HELD_H
#define LOYALTY_HELD_H

#include "ledger/fields.h"
#include "ledger/posting.h"
#include "ledger/storage.h"
#include "redemption/payment.h"

/* On loading: holds of members who are locked lapse at their time. */
extern void held_init(void);

/*
 * The member's active holds as the posting (NULL: there is none yet) leaves
 * them, in the order in which they end; and that of a number among them: LY016
 * when there is no such hold, or it is over by *at, 22023 when that is before it
 * was made; unless at_given it is raised to then.  Inside store_begin_read.
 */
extern List *held_list(Store *store, const MemberRow *member, const Posting *posting);
extern HoldRow *held_find(Store *store, const Program *program, const MemberRow *member,
						  const List *holds, int64 seq, TimestampTz *at, bool at_given);

/* 22023 with the figures for more points than it holds. */
extern void held_check_points(const MemberRow *member, const HoldRow *hold, Points points);

/* The lots of so many of the points that it holds: soonest to expire first, or last. */
extern void held_part(const HoldRow *hold, Points points, bool soonest, Purse *lots);

/*
 * Let go of lots of one of the active holds; with "after" another status it is
 * over at "at".  Returns the entry, which takes the context (NULL: that names
 * the hold), source_key (NULL: none) and note.  posting_even_out is the caller's.
 */
extern EntryRow *held_release(Posting *posting, List *holds, HoldRow *hold, const Purse *lots, HoldStatus after,
							  TimestampTz at, Jsonb *context, text *source_key, text *note);

/*
 * Cancelling a hold: so many of the points that it holds go back (0: all), the
 * longest-lived first, and the posting is evened out.  Returns the release, whose
 * context is to name the hold; errors as of held_find, and 22023 for more than it
 * holds.  Inside store_begin_read.
 */
extern EntryRow held_cancel(Store *store, Posting *posting, int64 seq, Points points, TimestampTz at, bool at_given,
							Jsonb *context, text *source_key, text *note);

/*
 * A purchase does not count any more: release what the member's active holds
 * hold for it, and even the posting out.  Returns how many there were.  Inside
 * store_begin_read.
 */
extern int	hold_release_for_purchase(Store *store, Posting *posting, const text *purchase, TimestampTz at);

/* It goes on under another key: so does what is held for it.  Inside store_begin_read. */
extern void hold_rename_purchase(Store *store, Posting *posting, const text *purchase, const text *renamed);

/* Add to what has been spent on a purchase what the active holds hold for it. */
extern void held_add_spent(const List *holds, const text *purchase, Spent *spent);

#endif							/* LOYALTY_HELD_H */
