/*
 * chain.h
 *		The hash chain that ties a member's entries together.
 */
#ifndef LOYALTY_CHAIN_H
#define LOYALTY_CHAIN_H

#include "lib/stringinfo.h"

#include "ledger/storage.h"

/*
 * Sets entry->hash to sha256(previous || canonical bytes of the entry);
 * previous is NULL for a member's first entry.  Those of a forgotten member may
 * be blanked: then digests in the context stand for context and note
 * (ledger/forgotten.h).
 */
extern void chain_hash(EntryRow *entry, const uint8 *previous, bool may_be_blanked);

/* The canonical bytes of an entry are appended: what its hash covers beside the hash before it. */
extern void chain_bytes(const EntryRow *entry, bool may_be_blanked, StringInfo bytes);

/* The digests of a context and a note, which are all that is hashed of them; NULL where there is none. */
extern const uint8 *chain_context_digest(const Jsonb *context, uint8 *room);
extern const uint8 *chain_note_digest(const text *note, uint8 *room);

/* What they are made of: an integer, and text as its length and its UTF-8 bytes. */
extern void chain_append_int(StringInfo bytes, int64 value);
extern void chain_append_text(StringInfo bytes, const char *value, int length);

#endif							/* LOYALTY_CHAIN_H */
