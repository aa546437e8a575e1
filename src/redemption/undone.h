/*
 * undone.h
 *		What of an act has been undone.
 *
 * Acts are cancelled in parts, each an entry that names the one it cancels.
 * The parts go back in the order opposite to spending: the longest-lived lots
 * first.  So how many points went back says which, and after k of n were
 * cancelled the purse is what taking n - k would have left.
 */
#ifndef LOYALTY_UNDONE_H
#define LOYALTY_UNDONE_H

#include "ledger/config.h"
#include "ledger/fields.h"
#include "ledger/posting.h"
#include "ledger/storage.h"

/* Field of the context of an entry that cancels, beside FIELD_ENTRY: how many points were asked for. */
#define FIELD_POINTS "points"

/* Of an entry that pays for a purchase: its key, what it comes to, what the points were worth. */
#define FIELD_PURCHASE "purchase"
#define FIELD_AMOUNT "amount"
#define FIELD_VALUE "value"

/* Of one that redeems a reward: its name; and that it pays for the purchase, as a spend does. */
#define FIELD_REWARD "reward"
#define FIELD_PAYS "pays"

/* An act and what has been undone of it. */
typedef struct Undone
{
	EntryRow	entry;			/* without lots */
	Purse		lots;			/* that it moved, as points above zero */
	Points		points;			/* their total */
	Points		back;			/* of them, undone */
	int			times;			/* in so many parts */
} Undone;

/*
 * The member's entry of that number, whatever it is; false when there is none.
 * Inside store_begin_read.
 */
extern bool undone_read(Store *store, int64 member_id, int64 seq, Undone *undone);

/* The entries by which a member paid for a purchase, in the order of their numbers.  Inside store_begin_read. */
extern Undone *undone_of_purchase(Store *store, int64 member_id, const text *purchase, int *count);

/* Those by which he paid for any. */
extern Undone *undone_of_purchases(Store *store, int64 member_id, int *count);

/* Whether an entry redeemed a reward. */
extern bool undone_is_reward(const EntryRow *entry);

/* Whether an entry's context says that it pays for the purchase (NULL: for none). */
extern bool undone_is_purchase(const EntryRow *entry, const text *purchase);

/* What so many of its points are worth, if all of them are worth that much. */
extern Numeric undone_value(const Undone *undone, Numeric value, Points points);

/* Add the lots to which the next "points" of it go back. */
extern void undone_lots(const Undone *undone, Points points, Purse *lots);

/*
 * The same as they are put back on a day: by the program's policy what is over
 * gets a new life.
 */
extern void undone_put_back(const Undone *undone, const Program *program, const MemberRow *member,
							Points points, DateADT day, Purse *lots);

#endif							/* LOYALTY_UNDONE_H */
