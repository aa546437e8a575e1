/*
 * merkle.c
 *		Merkle trees as RFC 6962 (Certificate Transparency) has them.
 *
 * A growing tree keeps one hash for each full subtree that has no neighbor of
 * its size yet: as many as its count of leaves has bits.  Leaf and node begin
 * with different bytes, so that nobody passes one for the other.
 */
#include "postgres.h"

#include "types/merkle.h"

#define LEAF_PREFIX 0x00
#define NODE_PREFIX 0x01

void
merkle_leaf(const void *bytes, Size length, uint8 *hash)
{
	const uint8 prefix = LEAF_PREFIX;

	sha256_joined(&prefix, sizeof(prefix), bytes, length, hash);
}

/* "hash" may be one of both. */
static void
node(const uint8 *left, const uint8 *right, uint8 *hash)
{
	uint8		bytes[1 + 2 * SHA256_LENGTH];

	bytes[0] = NODE_PREFIX;
	memcpy(bytes + 1, left, SHA256_LENGTH);
	memcpy(bytes + 1 + SHA256_LENGTH, right, SHA256_LENGTH);
	sha256(bytes, sizeof(bytes), hash);
}

void
merkle_init(Merkle *tree)
{
	tree->count = 0;
}

void
merkle_add(Merkle *tree, const uint8 *hash)
{
	uint8		subtree[SHA256_LENGTH];
	int			level;

	memcpy(subtree, hash, SHA256_LENGTH);
	for (level = 0; (tree->count >> level & 1) != 0; level++)
		node(tree->subtrees[level], subtree, subtree);
	if (level >= MERKLE_LEVELS)
		elog(ERROR, "too many leaves");
	memcpy(tree->subtrees[level], subtree, SHA256_LENGTH);
	tree->count++;
}

void
merkle_root(const Merkle *tree, uint8 *root)
{
	bool		any = false;
	int			level;

	for (level = 0; level < MERKLE_LEVELS; level++)
	{
		if ((tree->count >> level & 1) == 0)
			continue;
		if (any)
			node(tree->subtrees[level], root, root);
		else
			memcpy(root, tree->subtrees[level], SHA256_LENGTH);
		any = true;
	}
	if (!any)
		sha256(NULL, 0, root);
}

void
merkle_root_of(const uint8 *hashes, uint64 count, uint8 *root)
{
	Merkle		tree;
	uint64		i;

	merkle_init(&tree);
	for (i = 0; i < count; i++)
		merkle_add(&tree, hashes + i * SHA256_LENGTH);
	merkle_root(&tree, root);
}

int
merkle_path(const uint8 *hashes, uint64 count, uint64 index, MerkleStep *steps)
{
	MerkleStep	down[MERKLE_LEVELS];
	int			nsteps = 0;
	int			i;

	/* From the root down; the way is told the other way round. */
	while (count > 1)
	{
		uint64		half = 1;
		MerkleStep *step = &down[nsteps++];

		while (half * 2 < count)
			half *= 2;
		step->left = index >= half;
		if (step->left)
		{
			merkle_root_of(hashes, half, step->sibling);
			hashes += half * SHA256_LENGTH;
			count -= half;
			index -= half;
		}
		else
		{
			merkle_root_of(hashes + half * SHA256_LENGTH, count - half, step->sibling);
			count = half;
		}
	}
	for (i = 0; i < nsteps; i++)
		steps[i] = down[nsteps - 1 - i];
	return nsteps;
}

bool
merkle_follow(const uint8 *leaf, uint64 index, uint64 count,
			  const MerkleStep *steps, int nsteps, uint8 *root)
{
	uint64		last;
	int			i;

	if (index >= count)
		return false;
	last = count - 1;
	memmove(root, leaf, SHA256_LENGTH);
	for (i = 0; i < nsteps; i++)
	{
		bool		left = (index & 1) != 0 || index == last;

		if (last == 0 || steps[i].left != left)
			return false;
		if (left)
		{
			node(steps[i].sibling, root, root);
			/* The last of a level moves up without a sibling. */
			while ((index & 1) == 0)
			{
				index >>= 1;
				last >>= 1;
			}
		}
		else
			node(root, steps[i].sibling, root);
		index >>= 1;
		last >>= 1;
	}
	return last == 0;
}
