/*
 * voucher_text.c
 *		Codes as people write them, and the hash by which they are found.
 *
 * A text that reads as a voucher_code is one, in whatever way it is written;
 * its hash is loyalty.voucher_hash.  Any other is a supplier's, whose letters
 * count as they are: its hash is that of the text in UTF-8, without the blanks
 * around it.  So one look-up serves both, and an imported code that happens to
 * read as ours is found as well.
 *
 * Codes are money: no message repeats one.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "redemption/voucher_private.h"
#include "types/voucher_code.h"

/* Longer ones nobody types, and no scanner reads. */
#define MAX_CODE_BYTES 200

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* "code", or "code 7" of a list. */
static char *
name_of(int which)
{
	return which == 0 ? pstrdup("code") : psprintf("code %d", which);
}

void
code_read(const text *code, int which, CodeText *result)
{
	const char *at = VARDATA_ANY(code);
	int			length = VARSIZE_ANY_EXHDR(code);
	char	   *trimmed;
	VoucherCode ours;

	while (length > 0 && is_blank(*at))
		at++, length--;
	while (length > 0 && is_blank(at[length - 1]))
		length--;
	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name_of(which))));
	if (length > MAX_CODE_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("%s is too long", name_of(which)),
				 errdetail("It has %d bytes, %d are allowed.", length, MAX_CODE_BYTES)));
	trimmed = pnstrdup(at, length);
	result->utf8 = pg_server_to_any(trimmed, length, PG_UTF8);
	result->length = strlen(result->utf8);
	if (voucher_code_try(trimmed, &ours))
		voucher_code_hash(ours, result->hash);
	else
		sha256(result->utf8, result->length, result->hash);
}

void
code_argument(FunctionCallInfo fcinfo, int argno, CodeText *result)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("code must not be null")));
	code_read(PG_GETARG_TEXT_PP(argno), 0, result);
}

char *
code_hint(const uint8 *hash)
{
	char	   *hint = voucher_code_to_cstring(voucher_code_from_bytes(hash, SHA256_LENGTH));

	hint[VOUCHER_HINT_LENGTH] = '\0';
	return hint;
}

char *
code_hex(const uint8 *hash)
{
	char	   *hex = palloc(SHA256_LENGTH * 2 + 1);

	hex[hex_encode((const char *) hash, SHA256_LENGTH, hex)] = '\0';
	return hex;
}
