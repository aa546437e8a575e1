/*
 * voucher_again.c
 *		Codes that can be shown once more.
 *
 * The code of a redemption, and of an issue with a key, is derived: whoever has
 * the secret and the row works it out again, and whether it is the one that was
 * issued the hash tells.  An imported code is kept under the same secret.
 *
 * The row's random bytes have a part in it since the secret is the server's: of
 * two databases with the same members, or keys, none can work out the codes of
 * the other one.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "redemption/voucher_private.h"
#include "redemption/voucher_secret.h"

#define NOT_SET "the code was shown once, and loyalty.voucher_secret is not set"
#define NOT_THE_SAME "the code was shown once, and loyalty.voucher_secret was another one then, or not set"
#define RANDOM "the code was shown once: it was issued without a key"

char *
voucher_derivation(const Program *program, int64 redeemer_id, int64 seq, const text *key, const bytea *nonce)
{
	char		hex[VOUCHER_NONCE_BYTES * 2 + 1];

	hex[hex_encode(VARDATA_ANY(nonce), Min(VARSIZE_ANY_EXHDR(nonce), VOUCHER_NONCE_BYTES), hex)] = '\0';
	if (seq != 0)
		return psprintf("redemption " INT64_FORMAT " " INT64_FORMAT " %s", redeemer_id, seq, hex);
	if (key == NULL)
		return NULL;
	return psprintf("issue %d %s %s", program->program_id, hex,
					pg_server_to_any(text_to_cstring(key), VARSIZE_ANY_EXHDR(key), PG_UTF8));
}

/* The code that was derived for the voucher; NULL when the secret gives another one. */
static char *
derive_again(const Program *program, const VoucherRow *row)
{
	VoucherCode code;
	uint8		hash[SHA256_LENGTH];

	if (row->nonce == NULL)
		return NULL;
	code = voucher_secret_derive(voucher_derivation(program, row->redeemer_id, row->seq, row->key, row->nonce));
	voucher_code_hash(code, hash);
	return memcmp(hash, row->hash, SHA256_LENGTH) == 0 ? voucher_code_to_cstring(code) : NULL;
}

/* Whether the text, in UTF-8, is the voucher's code. */
static bool
is_code_of(const char *utf8, int length, const uint8 *hash)
{
	uint8		digest[SHA256_LENGTH];
	VoucherCode ours;

	if (voucher_code_try(utf8, &ours))
		voucher_code_hash(ours, digest);
	else
		sha256(utf8, length, digest);
	return memcmp(digest, hash, SHA256_LENGTH) == 0;
}

char *
voucher_open_code(const VoucherRow *row)
{
	int			length = VARSIZE_ANY_EXHDR(row->code);
	char	   *utf8 = palloc(length + 1);

	memcpy(utf8, VARDATA_ANY(row->code), length);
	utf8[length] = '\0';
	if (row->sealed && !voucher_secret_is_set())
		return NULL;
	if (row->sealed)
		voucher_secret_seal(row->hash, (uint8 *) utf8, length);
	/* Under another secret it is noise, which no encoding would take. */
	if (!is_code_of(utf8, length, row->hash))
		return NULL;
	return pg_any_to_server(utf8, length, PG_UTF8);
}

char *
voucher_code_again(const Program *program, const VoucherRow *row, const char **why)
{
	char	   *code;

	*why = NULL;
	if (row->terms.pool != NULL)
		code = row->code == NULL ? NULL : voucher_open_code(row);
	else if (row->seq == 0 && row->key == NULL)
	{
		*why = RANDOM;
		return NULL;
	}
	else
		code = voucher_secret_is_set() ? derive_again(program, row) : NULL;
	if (code == NULL)
		*why = voucher_secret_is_set() ? NOT_THE_SAME : NOT_SET;
	return code;
}

char *
voucher_again(Config *config, const Program *program, int64 member_id, int64 seq, const char **why)
{
	VoucherWork work;
	VoucherRow	row;
	const char *reason = NULL;
	char	   *code = NULL;
	bool		found;

	voucher_begin(&work, config);
	found = voucher_of_redemption(&work, member_id, seq, false, &row);
	voucher_finish(&work);
	if (found)
		code = voucher_code_again(program, &row, &reason);
	if (why != NULL)
		*why = reason;
	return code;
}
