/*
 * balance.h
 *		What a member has, had and will have.
 */
#ifndef LOYALTY_BALANCE_H
#define LOYALTY_BALANCE_H

#include "fmgr.h"

#include "nodes/pg_list.h"

#include "ledger/config.h"
#include "ledger/storage.h"

/* A member as he stood after some of his entries. */
typedef struct MemberState
{
	Purse		purse;
	Points		lifetime;
	Points		held;
	TimestampTz last_activity;
} MemberState;

/*
 * Add up the entries that occurred up to "until" and whose number is at most
 * last_seq.  Inside store_begin_read.
 */
extern void balance_replay(Store *store, int64 member_id, TimestampTz until, int64 last_seq,
						   MemberState *state);

/*
 * The tier that a member had at a time: that of the latest change up to it, not
 * counting what kept one, of two at one time of the one written last.  Begin
 * with the tier that he has if there are no changes, then consider each in the
 * order in which it was written.
 */
typedef struct TierAt
{
	TimestampTz at;
	TimestampTz since;
	bool		any;			/* change was considered */
	text	   *tier;			/* NULL: none */
} TierAt;

extern void tier_at_begin(TierAt *then, TimestampTz at, text *tier);
extern void tier_at_consider(const TierChangeRow *change, void *then);

/* That tier, or the program's base tier where he had none; NULL: there is none.  Inside store_begin_read. */
extern text *tier_at(Store *store, const Program *program, const MemberRow *member, TimestampTz at);

/*
 * The least that has been available to the member since a time: then and after
 * everything that occurred later.  So much can be taken at that time without
 * giving what he got later.  "then" is how he stood.  "unwritten" is what
 * nobody has written down yet (ledger/unwritten.h).  Inside store_begin_read.
 */
extern Points balance_least_since(Store *store, const Program *program, const MemberRow *member,
								  TimestampTz since, const List *unwritten, MemberState *then);

/* What a function that only reads is asked about. */
typedef struct Reading
{
	Config	   *config;
	Program    *program;
	text	   *ref;
	int64		member_id;
	TimestampTz at;
	bool		known;
	MemberRow	row;			/* as he is now; only of a known member */
	MemberState state;			/* as he stands at "at" */
	text	   *tier;			/* that he has at "at"; NULL: none */
	Points		awaiting;		/* confirmation, likewise */
} Reading;

/*
 * Read the member of the first argument as of the argument "at" (at_arg -1:
 * now).  One whom nobody knows reads as nothing where the program enrolls by
 * itself, else LY002.  Writes and locks nothing.
 */
extern void balance_read_member(FunctionCallInfo fcinfo, int at_arg, int program_arg, Reading *reading);

#endif							/* LOYALTY_BALANCE_H */
