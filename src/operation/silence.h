/*
 * silence.h
 *		Writing down what silence has decided of points that awaited confirmation.
 */
#ifndef LOYALTY_SILENCE_H
#define LOYALTY_SILENCE_H

#include "ledger/config.h"
#include "operation/batch.h"

/*
 * Write what silence decided up to "at" for the members of a program, batch by
 * batch; inside a transaction one batch.  False when there was nothing.
 */
extern bool silence_write(Batches *batches, int32 program_id, TimestampTz at, int batch_size);

/* Whether silence has accepted something by a day that is not written down. */
extern bool silence_is_due(Config *config, int32 program_id, DateADT day);

#endif							/* LOYALTY_SILENCE_H */
