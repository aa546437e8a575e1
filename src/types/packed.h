/*
 * packed.h
 *		What types that are kept packed have in common: purse and tally.
 */
#ifndef LOYALTY_PACKED_H
#define LOYALTY_PACKED_H

#include "postgres.h"
#include "fmgr.h"

/* Whether a packed value has just these bytes: binary input takes no other spelling of it. */
extern bool packed_is(Datum packed, const char *bytes, int size);

#endif							/* LOYALTY_PACKED_H */
