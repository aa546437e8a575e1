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
	bool		alone;			/* the others are not locked yet */
	MemberRow **others;			/* locked; all but himself */
} Sharing;

/*
 * Lock a member to take points of his: alone where his own are enough and nobody
 * of his household is in debt, as far as can be seen before; else all of his
 * household, in the order of member_id.  So who pays for his own order, which
 * has locked him, waits for nobody.  With POINTS_MAX all are locked.  request->row
 * is NULL when nobody knows him.
 */
extern void household_lock(Config *config, Store *store, const Program *program, text *ref, Points points,
						   MemberRequest *request, Sharing *sharing);

/*
 * As act_take.  What he lacks comes from the others, soonest to expire first,
 * by transfers that are written here; so his row changes.  LY028 when he may not
 * spend, LY001 with what all of them have.
 */
extern void household_take(Config *config, Store *store, const Program *program, MemberRow *member,
						   Sharing *sharing, Points points, TimestampTz at, bool at_given, Purse *lots);

/*
 * As household_lock, for a member who is locked, and without waiting for the
 * others: false when somebody else has one of them.
 */
extern bool household_try_lock(Config *config, Store *store, const Program *program, const MemberRow *member,
							   Sharing *sharing);

/* What the others would give to the member now. */
extern Points household_gives(Store *store, const Program *program, const MemberRow *member, const Sharing *sharing,
							  TimestampTz at);

/* LY028 when the member is in a household and may not spend. */
extern void household_check_may_spend(Config *config, const Program *program, const MemberRow *member);

/* Then, into the context of what he spends them on: what the others have left, who need not be locked.  Nothing for who is in no household. */
extern void household_push_shared(JsonbParseState **state, const Program *program, const MemberRow *member,
								  Store *store, const Sharing *sharing, TimestampTz at, bool at_given);

/* Requests in the order in which members are locked, for qsort. */
extern int	household_compare_requests(const void *a, const void *b);

/* What others would give to the member at a time, and whether he may spend at all; locks nothing. */
extern Points household_spendable(const Reading *reading, bool *may_spend);

#endif							/* LOYALTY_HOUSEHOLD_H */
