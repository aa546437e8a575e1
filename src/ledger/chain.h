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

/* The digests of a context and a note, which are all that is hashed of them; NULL where there is none. */
extern const uint8 *chain_context_digest(const Jsonb *context, uint8 *room);
extern const uint8 *chain_note_digest(const text *note, uint8 *room);

#endif							/* LOYALTY_CHAIN_H */
