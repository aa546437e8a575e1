/*
 * unwritten.h
 *		What time has done to a member that nobody has written down yet.
 *
 * Silence decides on what awaits confirmation, and holds lapse, at their time,
 * whether or not somebody was there.  Whoever locks the member writes it down
 * (member_bring_current); whoever only reads adds it to what is written.
 */
#ifndef LOYALTY_UNWRITTEN_H
#define LOYALTY_UNWRITTEN_H

#include "nodes/pg_list.h"

#include "ledger/balance.h"
#include "ledger/config.h"
#include "ledger/storage.h"

/*
 * The entries, as EntryRow, that writing it down up to a time would make, in
 * the order in which they occurred.  What still awaits confirmation then is
 * added to *awaiting.  "past": as of that time.  Inside store_begin_read.
 */
extern List *unwritten_list(Config *config, Store *store, Snapshot snapshot, const Program *program,
							const MemberRow *member, TimestampTz at, bool past, Points *awaiting);

/* Let them happen to a member in this state, each at its time. */
extern void unwritten_apply(const Program *program, const MemberRow *member, const List *entries,
							MemberState *state);

#endif							/* LOYALTY_UNWRITTEN_H */
