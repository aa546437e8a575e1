/*
 * member_list.h
 *		The members of a run of maintenance: listed first, then taken batch by batch.
 *
 * The list outlives commits, and goes to disk if it is long.
 */
#ifndef LOYALTY_MEMBER_LIST_H
#define LOYALTY_MEMBER_LIST_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "utils/tuplestore.h"

#include "ledger/storage.h"

typedef struct MemberList
{
	Tuplestorestate *members;	/* their numbers */
	TupleTableSlot *slot;
	int64		length;
} MemberList;

/* In the current memory context. */
extern void member_list_begin(MemberList *list);
extern void member_list_put(MemberList *list, int64 member_id);

/* The next ones, "most" at most; returns how many. */
extern int	member_list_take(MemberList *list, int64 *member_ids, int most);

/* To be called after an error too: nobody else removes the file. */
extern void member_list_end(MemberList *list);

/*
 * Lock those members who are free, in the order given, and put their rows into
 * "rows"; returns how many.  The others are "skipped": somebody is posting to
 * them, so that nobody waits for maintenance and it waits for nobody.
 */
extern int	members_lock_free(Store *store, const int64 *member_ids, int count, MemberRow *rows, int64 *skipped);

#endif							/* LOYALTY_MEMBER_LIST_H */
