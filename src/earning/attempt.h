/*
 * attempt.h
 *		Trying something that must not stop the till.
 */
#ifndef LOYALTY_ATTEMPT_H
#define LOYALTY_ATTEMPT_H

#include "postgres.h"

/*
 * Run work(arg) in a subtransaction.  An error that a purchase can be deferred
 * for comes back as its data (allocated in CurrentMemoryContext); NULL is
 * success.  Others are raised: cancellation, deadlock, serialization failure,
 * a lock that cannot be had, lack of resources and the like would only happen
 * again, or must be retried as a whole.  The subtransaction is undone in either case.  Work that writes
 * nothing costs no transaction id.
 */
extern ErrorData *attempt(void (*work) (void *arg), void *arg);

/*
 * The same where the work is on one of many members: damaged rows come back
 * too, what the others would meet as well is raised.
 */
extern ErrorData *attempt_damaged(void (*work) (void *arg), void *arg);

/* Whether an error of this code is one that comes back so. */
extern bool error_is_deferrable(int code);

#endif							/* LOYALTY_ATTEMPT_H */
