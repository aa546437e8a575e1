/*
 * forget.h
 *		Forgetting a person.
 */
#ifndef LOYALTY_FORGET_H
#define LOYALTY_FORGET_H

#include "ledger/config.h"
#include "ledger/merges.h"
#include "ledger/storage.h"

/* The member, he first, and all who stand merged into him, as of now. */
extern void forget_person(Config *config, int64 member_id, MemberIds *person);

/*
 * Forget the members, who are locked: of each person all of them.  What is left
 * is written off at "at", and what is known of them erased.  Nothing else may be
 * under way in the store.
 */
extern void forget(Config *config, Program *program, Store *store, MemberRow **rows, int nrows,
				   TimestampTz at, text *note);

#endif							/* LOYALTY_FORGET_H */
