/*
 * merkle.h
 *		Merkle trees as RFC 6962 (Certificate Transparency) has them.
 *
 * A leaf is sha256(0x00 || bytes), a node sha256(0x01 || left || right), and of
 * n leaves the left side has the greatest power of two below n.  The tree of no
 * leaves is the sha256 of nothing.
 */
#ifndef LOYALTY_MERKLE_H
#define LOYALTY_MERKLE_H

#include "postgres.h"

#include "types/sha256.h"

/* Enough for 2^48 leaves. */
#define MERKLE_LEVELS 48

/* A tree that leaves are added to, from left to right. */
typedef struct Merkle
{
	uint64		count;			/* of leaves; for each of its bits a full subtree is kept */
	uint8		subtrees[MERKLE_LEVELS][SHA256_LENGTH];
} Merkle;

/* One step on the way from a leaf to the root. */
typedef struct MerkleStep
{
	bool		left;			/* the sibling stands there */
	uint8		sibling[SHA256_LENGTH];
} MerkleStep;

extern void merkle_leaf(const void *bytes, Size length, uint8 *hash);

extern void merkle_init(Merkle *tree);
extern void merkle_add(Merkle *tree, const uint8 *hash);	/* of a leaf, or of full subtrees of one size and then the rest */
extern void merkle_root(const Merkle *tree, uint8 *root);

/* The root over hashes that stand one after the other. */
extern void merkle_root_of(const uint8 *hashes, uint64 count, uint8 *root);

/* The way from one of them to that root; room for MERKLE_LEVELS steps.  Returns how many there are. */
extern int	merkle_path(const uint8 *hashes, uint64 count, uint64 index, MerkleStep *steps);

/* Where the way leads from a leaf that stands there among so many; false if no such leaf can have that way. */
extern bool merkle_follow(const uint8 *leaf, uint64 index, uint64 count,
						  const MerkleStep *steps, int nsteps, uint8 *root);

#endif							/* LOYALTY_MERKLE_H */
