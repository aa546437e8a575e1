/*
 * due.h
 *		Writing down what time has done to members whom nobody touched.
 */
#ifndef LOYALTY_DUE_H
#define LOYALTY_DUE_H

#include "ledger/posting.h"
#include "operation/batch.h"

/* Write what fell due up to "at" for the members of a program, batch by batch; inside a transaction one batch. */
extern void due_write(Batches *batches, int32 program_id, TimestampTz at, int batch_size);

/*
 * Make up, in memory, what has fallen due for a member by a time: entries,
 * changes of tier, and his next_expiry as it is.  False when nothing is to be
 * written.  Inside store_begin_read.
 */
extern bool due_settle_member(Config *config, Program *program, Store *store, MemberRow *row,
							  TimestampTz at, Posting *posting);

/* Whether next_expiry of all members tells when something falls due. */
extern bool due_is_known(Config *config, Program *program);

#endif							/* LOYALTY_DUE_H */
