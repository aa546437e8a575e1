/*
 * unrecord.h
 *		Cancelling an event that record recorded.
 */
#ifndef LOYALTY_UNRECORD_H
#define LOYALTY_UNRECORD_H

#include "ledger/act.h"

/* What the ledger says of an event. */
typedef struct Recorded
{
	Points		net;			/* that it stands for now */
	bool		cancelled;
	text	   *key;			/* of the call that cancelled it; NULL: none */
	EarlierAct	by;				/* that call's entries, taken together as one */
} Recorded;

/* Read the entries of the event with this source_key, of a locked member. */
extern void recorded_read(Store *store, int64 member_id, const text *source_key, Recorded *recorded);

/* Whether a call with this key has cancelled another event than that with this source_key. */
extern bool recorded_cancelled_by(Store *store, int64 member_id, const text *key, const text *source_key);

/*
 * Let it stand at zero, as a purchase that was returned: what it gave is taken
 * back by the program's policy, and given back to limits.  The answer is what
 * was posted, taken together as one entry.
 */
extern EntryRow unrecord(Config *config, Program *program, Store *store, MemberRow *member,
						 const text *source_key, text *note, const text *key, TimestampTz at);

#endif							/* LOYALTY_UNRECORD_H */
