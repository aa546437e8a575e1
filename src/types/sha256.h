/*
 * sha256.h
 *		SHA-256 digests.
 */
#ifndef LOYALTY_SHA256_H
#define LOYALTY_SHA256_H

#include "postgres.h"

#define SHA256_LENGTH 32

/* Sets "digest", SHA256_LENGTH bytes, to the sha256 of some bytes. */
extern void sha256(const void *bytes, Size length, uint8 *digest);

/* The same of two pieces, one after the other; the first may be empty. */
extern void sha256_joined(const void *first, Size first_length,
						  const void *second, Size second_length, uint8 *digest);

#endif							/* LOYALTY_SHA256_H */
