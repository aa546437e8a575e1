/*
 * household.h
 *		Spending from a household's balance.
 *
 * What member_lock and act_take are for one member, these are for one who may be
 * in a household.  For who is in none they cost next to nothing.
 */
#ifndef LOYALTY_HOUSEHOLD_H
#define LOYALTY_HOUSEHOLD_H

#include "utils/jsonb.h"

#include "ledger/balance.h"
#include "ledger/households.h"
#include "ledger/member.h"

/* Members with whom one shares his balance. */
typedef struct Sharing
{
	bool		any;			/* he is in a household */
	Household	household;
	int			nothers;
	MemberRow **others;			/* locked; all but himself */
} Sharing;

/*
 * Lock a member to take points of his, and all of his household, in the order of
 * member_id.  request->row is NULL when nobody knows him.
 */
extern void household_lock(Config *config, Store *store, const Program *program, text *ref,
						   MemberRequest *request, Sharing *sharing);

/*
 * As act_take.  What he lacks comes from the others, soonest to expire first,
 * by transfers that are written here; so his row changes.  LY028 when he may not
 * spend, LY001 with what all of them have.
 */
extern void household_take(Config *config, Store *store, const Program *program, MemberRow *member,
						   const Sharing *sharing, Points points, TimestampTz at, bool at_given, Purse *lots);

/* Then, into the context of what he spends them on: what the others have left.  Nothing for who is in no household. */
extern void household_push_shared(JsonbParseState **state, const Program *program, const MemberRow *member,
								  const Sharing *sharing, TimestampTz at, bool at_given);

/* Requests in the order in which members are locked, for qsort. */
extern int	household_compare_requests(const void *a, const void *b);

/* What others would give to the member at a time, and whether he may spend at all; locks nothing. */
extern Points household_spendable(const Reading *reading, bool *may_spend);

#endif							/* LOYALTY_HOUSEHOLD_H */
