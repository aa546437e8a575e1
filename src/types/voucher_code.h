/*
 * voucher_code.h
 *		The type voucher_code: a random code that people read and type.
 *
 * Twelve characters of five bits in the low 60 bits of an int64, the first
 * character highest, so that codes sort as their texts do.  The last character
 * checks the eleven before it, which hold 55 random bits.
 */
#ifndef LOYALTY_VOUCHER_CODE_H
#define LOYALTY_VOUCHER_CODE_H

#include "postgres.h"
#include "fmgr.h"

#include "types/sha256.h"

typedef int64 VoucherCode;

#define VOUCHER_CODE_CHARACTERS 12
#define VOUCHER_CODE_GROUP 4	/* characters between hyphens */
#define VOUCHER_CODE_TEXT_LENGTH 14	/* 7KQ4-9XMT-2R8W, without the NUL */
#define VOUCHER_CODE_BYTES 7	/* of randomness, that make one code */

#define VoucherCodeGetDatum(X) Int64GetDatum(X)
#define DatumGetVoucherCode(X) DatumGetInt64(X)
#define PG_GETARG_VOUCHER_CODE(n) DatumGetVoucherCode(PG_GETARG_DATUM(n))
#define PG_RETURN_VOUCHER_CODE(x) return VoucherCodeGetDatum(x)

/* A code that nobody can guess: all 2^55 are equally likely. */
extern VoucherCode voucher_code_random(void);

/*
 * The code that these bytes give, always the same.  It takes 55 bits of the
 * first VOUCHER_CODE_BYTES as they are: where these are uniform, as those of an
 * HMAC are, so is the code, without any bias.  22023 for fewer bytes.
 */
extern VoucherCode voucher_code_from_bytes(const uint8 *bytes, Size length);

/* The canonical text, palloc'd. */
extern char *voucher_code_to_cstring(VoucherCode code);

/*
 * Reads any spelling of a code.  22P02 for text that is none, with what is
 * wrong in DETAIL: a character that no code has, the length, or the check
 * character.  False when the error went into "escontext", which may be NULL.
 */
extern bool voucher_code_from_cstring(const char *text, struct Node *escontext, VoucherCode *code);

/* The same without any error: false for text that is no code. */
extern bool voucher_code_try(const char *text, VoucherCode *code);

/* sha256 of the canonical text, SHA256_LENGTH bytes: for tables that shall not hold the code itself. */
extern void voucher_code_hash(VoucherCode code, uint8 *digest);

#endif							/* LOYALTY_VOUCHER_CODE_H */
