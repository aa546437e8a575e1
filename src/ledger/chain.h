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
 * previous is NULL for a member's first entry.
 */
extern void chain_hash(EntryRow *entry, const uint8 *previous);

/* The canonical bytes of an entry are appended: what its hash covers beside the hash before it. */
extern void chain_bytes(const EntryRow *entry, StringInfo bytes);

/* What they are made of: an integer, and text as its length and its UTF-8 bytes. */
extern void chain_append_int(StringInfo bytes, int64 value);
extern void chain_append_text(StringInfo bytes, const char *value, int length);

#endif							/* LOYALTY_CHAIN_H */
