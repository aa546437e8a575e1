/*
 * forgotten.h
 *		Members of whom nothing personal is left.
 *
 * Forgetting a person (redemption/forget.c) leaves the ledger, under a
 * pseudonym.  What entries say of him is blanked: the digests by which it is
 * hashed stand in its place, so that the chain holds.
 */
#ifndef LOYALTY_FORGOTTEN_H
#define LOYALTY_FORGOTTEN_H

#include "ledger/config.h"
#include "ledger/storage.h"

/* Field of a blanked entry's context: an object with the digests of "context" and "note", as far as there were any. */
#define FIELD_SHA256 "sha256"

/* Field that stays of what a recorded event said: it was a purchase, which reports count. */
#define FIELD_EVENT "event"
#define FIELD_EVENT_PURCHASE "purchase"

/* How a forgotten member's ref begins. */
#define PSEUDONYM "forgotten-"

/* Field of the entry by which he was forgotten. */
#define FIELD_FORGOTTEN "forgotten"

/* Whether the member has been forgotten, as the snapshot sees it; with NULL as of now. */
extern bool forgotten_has(Config *config, Snapshot snapshot, int64 member_id);

/*
 * The context that is to stand in place of an entry's context and note; false
 * when neither says anything personal.  What the engine goes by stays.
 */
extern bool forgotten_blank(const Jsonb *context, const text *note, Jsonb **blanked);

/* A digest of a blanked entry's context; false when it has none of this name. */
extern bool forgotten_digest(const Jsonb *context, const char *name, uint8 *digest);

/*
 * Purchases that are the forgotten member's though their rows name somebody
 * else by now, or nobody: they earn nobody anything again.
 */
extern bool forgotten_purchase(Config *config, Snapshot snapshot, int32 source_id, const text *key);
extern void forgotten_keep_purchase(Config *config, const Program *program, int32 source_id, const text *key,
									int64 member_id);

#endif							/* LOYALTY_FORGOTTEN_H */
