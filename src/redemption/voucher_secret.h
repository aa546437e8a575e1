/*
 * voucher_secret.h
 *		The setting loyalty.voucher_secret, and what is worked out with it.
 */
#ifndef LOYALTY_VOUCHER_SECRET_H
#define LOYALTY_VOUCHER_SECRET_H

#include "postgres.h"

#include "types/voucher_code.h"

/* On loading: the setting. */
extern void voucher_secret_init(void);

extern bool voucher_secret_is_set(void);

/* The code that the secret, which is set, gives for a message: always the same. */
extern VoucherCode voucher_secret_derive(const char *message);

/*
 * Makes bytes unreadable without the secret, which is set, or readable again.
 * "hash" is the voucher's: no two codes meet the same key stream.
 */
extern void voucher_secret_seal(const uint8 *hash, uint8 *bytes, Size length);

#endif							/* LOYALTY_VOUCHER_SECRET_H */
