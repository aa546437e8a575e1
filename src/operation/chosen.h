/*
 * chosen.h
 *		Redeeming what members have chosen, when its time has come.
 */
#ifndef LOYALTY_CHOSEN_H
#define LOYALTY_CHOSEN_H

#include "operation/batch.h"

/*
 * Look at the choices of a program that are due by "at", batch by batch; inside
 * a transaction one batch.  False when none is.
 */
extern bool chosen_redeem(Batches *batches, int32 program_id, TimestampTz at, int batch_size);

#endif							/* LOYALTY_CHOSEN_H */
