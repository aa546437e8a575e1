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

/*
 * The same for an entry of a forgotten member, whose context and note may have
 * been blanked: then their digests are in the context (ledger/forgotten.h).
 */
extern void chain_hash_blanked(EntryRow *entry, const uint8 *previous);

/* The digest of a context or a note, which is all that is hashed of it. */
extern void chain_digest(const char *value, uint8 *digest);

#endif							/* LOYALTY_CHAIN_H */
