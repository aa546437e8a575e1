/*
 * single.h
 *		One purchase of one member, judged by itself.
 *
 * The same judging as in a group of reconcile, without its subtransactions:
 * whatever goes wrong is raised.
 */
#ifndef LOYALTY_SINGLE_H
#define LOYALTY_SINGLE_H

#include "earning/settle.h"

typedef struct Single
{
	Settlement	settlement;
	Case		case_;
	Subject		subject;
	MemberRow	before;			/* the member as he was */
	Posting		posting;
} Single;

/* Somebody who would become a member at that time, and whom no table holds; "ref" may be NULL. */
extern void single_newcomer(const Program *program, text *ref, TimestampTz at, MemberRow *row);

extern void single_begin(Single *single, Config *config, Program *program, Store *store,
						 int32 source_id, int event, const Purchase *purchase, MemberRow *member);

/*
 * Judge as the snapshot has it, and make up the posting.  Budgets are drawn
 * with "draw", else looked at, and then nothing is written or locked.
 */
extern void single_judge(Single *single, Snapshot snapshot, bool draw);

/* Write it. */
extern void single_write(Single *single);

/* Whether the entry of the posting is about the purchase, and not what time has done meanwhile. */
extern bool single_is_own(const Single *single, const EntryRow *entry);

#endif							/* LOYALTY_SINGLE_H */
