/*
 * lapse.h
 *		Writing down which holds have lapsed.
 */
#ifndef LOYALTY_LAPSE_H
#define LOYALTY_LAPSE_H

#include "ledger/config.h"
#include "operation/batch.h"

/*
 * Release what holds of a program's members that ended up to "at" still hold,
 * batch by batch; inside a transaction one batch.  False when there was nothing.
 */
extern bool lapse_write(Batches *batches, int32 program_id, TimestampTz at, int batch_size);

/* Whether a hold has ended by a time that is not written down. */
extern bool lapse_is_due(Config *config, int32 program_id, TimestampTz at);

#endif							/* LOYALTY_LAPSE_H */
