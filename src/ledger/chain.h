/*
 * chain.h
 *		The hash chain that ties a member's entries together.
 */
#ifndef LOYALTY_CHAIN_H
#define LOYALTY_CHAIN_H

#include "ledger/storage.h"

/*
 * Sets entry->hash to sha256(previous || canonical bytes of the entry);
 * previous is NULL for a member's first entry.
 */
extern void chain_hash(EntryRow *entry, const uint8 *previous);

#endif							/* LOYALTY_CHAIN_H */
