/*
 * balance.h
 *		What a member has, had and will have.
 */
#ifndef LOYALTY_BALANCE_H
#define LOYALTY_BALANCE_H

#include "ledger/config.h"
#include "ledger/storage.h"

/* A member as he stood after some of his entries. */
typedef struct MemberState
{
	Purse		purse;
	Points		lifetime;
	TimestampTz last_activity;
} MemberState;

/*
 * Add up the entries that occurred up to "until" and whose number is at most
 * last_seq.  Inside store_begin_read.
 */
extern void balance_replay(Store *store, int64 member_id, TimestampTz until, int64 last_seq,
						   MemberState *state);

#endif							/* LOYALTY_BALANCE_H */
