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

/*
 * Called for a locked member for whom points await confirmation: writes down
 * what silence has decided by a day.  Set on loading, since to know what a
 * decision gives is another floor's business.
 */
typedef void (*MemberSilence) (Config *config, Store *store, MemberRow *row, DateADT day);
extern MemberSilence member_silence;

/*
 * Likewise for one with active holds: lets those lapse that end first, at
 * hold_until.  Returns how many; 0 when that has failed.
 */
typedef int (*MemberLapse) (Config *config, Store *store, MemberRow *row);
extern MemberLapse member_lapse;

/*
 * Write down what time has done to a locked member up to "at", in the order in
 * which it did.  Returns how many holds have lapsed.
 */
extern int	member_bring_current(Config *config, Store *store, MemberRow *row, TimestampTz at);

#endif							/* LOYALTY_UNWRITTEN_H */
