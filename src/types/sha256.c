/*
 * sha256.c
 *		SHA-256 digests.
 */
#include "postgres.h"

#if PG_VERSION_NUM >= 140000
#include "common/cryptohash.h"
#endif
#include "common/sha2.h"
#include "utils/resowner.h"

#include "types/sha256.h"

StaticAssertDecl(SHA256_LENGTH == PG_SHA256_DIGEST_LENGTH, "length of a SHA-256 digest");

void
sha256_joined(const void *first, Size first_length,
			  const void *second, Size second_length, uint8 *digest)
{
#if PG_VERSION_NUM >= 140000
	/*
	 * One context for the life of the backend: making one costs more than
	 * hashing an entry.  It belongs to a resource owner of its own, so that
	 * the end of a transaction does not free it.
	 */
	static pg_cryptohash_ctx *hasher = NULL;

	if (hasher == NULL)
	{
		ResourceOwner caller = CurrentResourceOwner;

		CurrentResourceOwner = ResourceOwnerCreate(NULL, "loyalty sha256");
		hasher = pg_cryptohash_create(PG_SHA256);
		CurrentResourceOwner = caller;
	}
	if (hasher == NULL ||
		pg_cryptohash_init(hasher) < 0 ||
		pg_cryptohash_update(hasher, first, first_length) < 0 ||
		pg_cryptohash_update(hasher, second, second_length) < 0 ||
		pg_cryptohash_final(hasher, digest, SHA256_LENGTH) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute %s hash", "SHA256")));
#else
	pg_sha256_ctx hasher;

	pg_sha256_init(&hasher);
	pg_sha256_update(&hasher, first, first_length);
	pg_sha256_update(&hasher, second, second_length);
	pg_sha256_final(&hasher, digest);
#endif
}

void
sha256(const void *bytes, Size length, uint8 *digest)
{
	sha256_joined(NULL, 0, bytes, length, digest);
}
