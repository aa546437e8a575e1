/*
 * silence.h
 *		Writing down what silence has decided of points that awaited confirmation.
 */
#ifndef LOYALTY_SILENCE_H
#define LOYALTY_SILENCE_H

#include "operation/batch.h"

/*
 * Write what silence decided up to "at" for the members of a program, batch by
 * batch; inside a transaction one batch.  False when there was nothing.
 */
extern bool silence_write(Batches *batches, int32 program_id, TimestampTz at, int batch_size);

#endif							/* LOYALTY_SILENCE_H */
