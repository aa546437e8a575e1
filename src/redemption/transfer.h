/*
 * transfer.h
 *		The two entries of a transfer, and how they find each other.
 */
#ifndef LOYALTY_TRANSFER_H
#define LOYALTY_TRANSFER_H

#include "ledger/fields.h"
#include "ledger/posting.h"

/* One of the two members. */
typedef struct TransferSide
{
	MemberRow  *member;			/* locked */
	Posting		posting;		/* of his, brought current */
	Purse		lots;			/* that he gives (below zero) or gets */
	text	   *source_key;		/* of the act; NULL: none */
	int64		cancels;		/* number of the entry that this cancels; 0: none */
	Points		asked;			/* then: so many were asked for; 0: all that was left */
	EntryRow	entry;			/* out */
} TransferSide;

/*
 * Write both entries.  What is given back goes exactly into the lots it came
 * from.
 */
extern void transfer_post(Store *store, TransferSide *giving, TransferSide *getting, TimestampTz at, text *note);

/* The number of the other entry; 0 where the context no longer says. */
extern int64 transfer_counterpart(const EntryRow *entry);

/* The source_key of the side that receives what an entry of the giver gave. */
extern text *transfer_received_key(int64 giver_id, int64 seq);

#endif							/* LOYALTY_TRANSFER_H */
