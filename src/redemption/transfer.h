/*
 * transfer.h
 *		How the two entries of a transfer find each other.
 */
#ifndef LOYALTY_TRANSFER_H
#define LOYALTY_TRANSFER_H

#include "postgres.h"

/*
 * The receiver's source_key is this, the giver's member_id, "#" and the number
 * of his entry.  Keys that somebody passes have their kind and a colon before
 * them, so none can be the same; and unlike the context it stays when a person
 * is forgotten.
 */
#define TRANSFER_RECEIVED "transfer from "

extern text *transfer_received_key(int64 giver_id, int64 seq);

#endif							/* LOYALTY_TRANSFER_H */
