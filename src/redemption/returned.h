/*
 * returned.h
 *		Points that paid for a purchase which is returned.
 */
#ifndef LOYALTY_RETURNED_H
#define LOYALTY_RETURNED_H

#include "ledger/posting.h"
#include "redemption/undone.h"

/* What a member paid for purchases with points; read once for all that a statement returns. */
typedef struct Payments
{
	bool		read;
	int			count;
	Undone	   *spends;
} Payments;

/*
 * A purchase of the posting's member is about to come to that amount: the points that paid for it go back in proportion, into the lots
 * they came from.  Of n points n x (1 - a / b) are given back in all, rounded
 * down, where a is what the purchase comes to then and b the most that it came
 * to since they were spent; so it does not matter in how many parts it is
 * returned, and a rise takes nothing again.  What was cancelled by hand counts.
 * With "renamed" the purchase goes on under that key, and they pay for it there.
 * Inside store_begin_read.
 */
extern void returned_give_back(Store *store, Posting *posting, Payments *payments, int32 source_id,
							   const text *key, Numeric amount, const text *renamed, TimestampTz at);

/*
 * Whether a member paid for the purchase with points that have not gone back, or
 * they are held for it; and to give back to him, whose posting it is, what he paid
 * for one whose entries are in another member's ledger: a merge ties them, and
 * only where each posting stands in time says which came first.  Inside
 * store_begin_read.
 */
extern bool returned_is_paid_by(Store *store, int64 member_id, const text *key);
extern void returned_give_back_to(Store *store, Posting *posting, int64 holder_id, int32 source_id,
								  const text *key, Numeric amount, const text *renamed, TimestampTz at);

/* Once the posting is written: let the redemptions of rewards follow that paid for what was returned. */
extern void returned_write(Config *config, Store *store, const Posting *posting);

#endif							/* LOYALTY_RETURNED_H */
