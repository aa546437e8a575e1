/*
 * hmac.h
 *		HMAC-SHA-256 (RFC 2104): what only who knows a secret can compute.
 */
#ifndef LOYALTY_HMAC_H
#define LOYALTY_HMAC_H

#include "types/sha256.h"

/* Sets "digest", SHA256_LENGTH bytes, to the HMAC of a message under a key. */
extern void hmac_sha256(const void *key, Size key_length,
						const void *message, Size length, uint8 *digest);

#endif							/* LOYALTY_HMAC_H */
