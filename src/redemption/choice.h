/*
 * choice.h
 *		Rewards that are redeemed by themselves, for members who have chosen one.
 *
 * Whatever is posted to such a member is followed by a look whether his points
 * suffice, in the same statement.  No more than so many units are redeemed in
 * one go; the next posting, or maintain, goes on.
 */
#ifndef LOYALTY_CHOICE_H
#define LOYALTY_CHOICE_H

#include "ledger/config.h"
#include "ledger/storage.h"

#define CHOICE_MOST_AT_ONCE 100

/* On loading: postings are followed up. */
extern void choice_init(void);

/*
 * Look whether a reward that the member, who is locked, has chosen is to be
 * redeemed now.  What keeps it from being so is written down, and raised
 * only where the transaction as a whole must be tried again.  Returns how many
 * were redeemed.
 */
extern int	choice_look(int32 program_id, int64 member_id);

#endif							/* LOYALTY_CHOICE_H */
