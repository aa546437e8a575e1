/*
 * backorder.h
 *		Serving redemptions that wait for stock.
 */
#ifndef LOYALTY_BACKORDER_H
#define LOYALTY_BACKORDER_H

#include "operation/batch.h"

/*
 * Serve the back-orders of a program, reward by reward, each in the order of
 * asking and whole, as far as the stock of "at" reaches; batch by batch, inside
 * a transaction one batch of each.  False when none was there.
 */
extern bool backorders_serve(Batches *batches, int32 program_id, TimestampTz at, int batch_size);

#endif							/* LOYALTY_BACKORDER_H */
