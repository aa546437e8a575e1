/*
 * hmac.c
 *		HMAC-SHA-256 (RFC 2104): what only who knows a secret can compute.
 *
 * Written down here, since PostgreSQL has common/hmac.h from 14 on only.
 */
#include "postgres.h"

#include "types/hmac.h"

#define BLOCK_LENGTH 64			/* of SHA-256 */

void
hmac_sha256(const void *key, Size key_length, const void *message, Size length, uint8 *digest)
{
	uint8		inner[BLOCK_LENGTH];
	uint8		outer[BLOCK_LENGTH];
	uint8		short_key[SHA256_LENGTH];
	uint8		inner_digest[SHA256_LENGTH];
	int			i;

	if (key_length > BLOCK_LENGTH)
	{
		sha256(key, key_length, short_key);
		key = short_key;
		key_length = SHA256_LENGTH;
	}
	memset(inner, 0, sizeof(inner));
	memcpy(inner, key, key_length);
	for (i = 0; i < BLOCK_LENGTH; i++)
	{
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	sha256_joined(inner, sizeof(inner), message, length, inner_digest);
	sha256_joined(outer, sizeof(outer), inner_digest, sizeof(inner_digest), digest);
}
