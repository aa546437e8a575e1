/*
 * seal.h
 *		What a seal covers: the bytes that its leaves and its hash are made of.
 */
#ifndef LOYALTY_SEAL_H
#define LOYALTY_SEAL_H

#include "postgres.h"
#include "utils/timestamp.h"

#include "ledger/storage.h"

/* Members whose subtree is kept with a seal, so that a proof reads these alone; a power of two. */
#define SEAL_PART 1024

/* A seal: all but what is worked out again from the leaves. */
typedef struct SealRow
{
	int32		program_id;
	const char *program;		/* its name */
	int32		seal;
	TimestampTz sealed_at;
	int64		members;
	uint8		root[HASH_LENGTH];
	uint8		previous[HASH_LENGTH];
	bool		has_previous;	/* else it is the first */
	uint8		hash[HASH_LENGTH];
} SealRow;

/*
 * The leaf of a member: over his member_id and seq as 64-bit big-endian
 * integers, and the hash of that entry; without entries there is none.
 */
extern void seal_leaf(int64 member_id, int64 seq, const void *head, Size length, uint8 *hash);

/* The hash of a seal, which covers all else in it. */
extern void seal_hash(const SealRow *row, uint8 *hash);

#endif							/* LOYALTY_SEAL_H */
