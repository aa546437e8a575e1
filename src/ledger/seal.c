/*
 * seal.c
 *		What a seal covers: the bytes that its leaves and its hash are made of.
 *
 * These bytes are part of the interface: others work them out by themselves.
 * The hash of a seal is over the tag below, then program_id, the length of the
 * program's name in UTF-8 and the name, the seal's number, its time in
 * microseconds since 2000-01-01 UTC and its members, integers as 64-bit
 * big-endian; then the root, and the hash of the seal before, if there is one.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "port/pg_bswap.h"

#include "ledger/chain.h"
#include "ledger/seal.h"
#include "types/merkle.h"

#define SEAL_TAG "loyalty seal 1"

void
seal_leaf(int64 member_id, int64 seq, const void *head, Size length, uint8 *hash)
{
	uint64		numbers[2] = {pg_hton64((uint64) member_id), pg_hton64((uint64) seq)};
	uint8		bytes[sizeof(numbers) + HASH_LENGTH];

	Assert(length <= HASH_LENGTH);
	memcpy(bytes, numbers, sizeof(numbers));
	memcpy(bytes + sizeof(numbers), head, length);
	merkle_leaf(bytes, sizeof(numbers) + length, hash);
}

void
seal_hash(const SealRow *row, uint8 *hash)
{
	StringInfoData bytes;

	initStringInfo(&bytes);
	appendStringInfoString(&bytes, SEAL_TAG);
	chain_append_int(&bytes, row->program_id);
	chain_append_text(&bytes, row->program, strlen(row->program));
	chain_append_int(&bytes, row->seal);
	chain_append_int(&bytes, row->sealed_at);
	chain_append_int(&bytes, row->members);
	appendBinaryStringInfo(&bytes, (const char *) row->root, HASH_LENGTH);
	if (row->has_previous)
		appendBinaryStringInfo(&bytes, (const char *) row->previous, HASH_LENGTH);
	sha256(bytes.data, bytes.len, hash);
	pfree(bytes.data);
}
