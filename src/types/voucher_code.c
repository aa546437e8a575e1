/*
 * voucher_code.c
 *		The type voucher_code: a random code that people read and type.
 *
 * The alphabet is Crockford's base 32: digits and letters without I, L, O and
 * U.  It is in ASCII order, so that codes compare as integers.
 *
 * The check character comes from the field GF(32), whose elements the 32
 * characters are: five bits, the coefficients of a polynomial, calculated
 * modulo x^5 + x^2 + 1.  A text is a code when
 *
 *		x^11 * c1 + x^10 * c2 + ... + x * c11 + c12 = CHECK_SUM
 *
 * All weights differ from zero and, x being a generator of 31 elements, from
 * each other.  So one wrong character changes the sum by weight * difference,
 * and two swapped ones, wherever they stand, by the sum of their weights times
 * their difference: neither is ever zero.  The same holds for two equal
 * neighbors that both turn into another pair of equal ones.  Of all other
 * mistakes one in 32 gets through.  A sum modulo a prime would take 31 or 37
 * characters; Luhn's formula misses some swaps.
 *
 * Codes are worth money to whoever has them, and logs are read by many.  So
 * error messages never repeat the text: one mistyped or missing character
 * leaves no more than a dozen codes that it can have been.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/sortsupport.h"

#include "types/scan.h"
#include "types/voucher_code.h"

#define CHARACTER_BITS 5
#define CHARACTER_MASK 0x1F
#define CODE_BITS (VOUCHER_CODE_CHARACTERS * CHARACTER_BITS)
#define RANDOM_BITS (CODE_BITS - CHARACTER_BITS)

StaticAssertDecl(RANDOM_BITS <= VOUCHER_CODE_BYTES * BITS_PER_BYTE, "bytes enough for a code");

/* x^5 + x^2 + 1, which is primitive. */
#define FIELD_POLYNOMIAL 0x25

/*
 * Any value would do.  Zero would make twelve zeros a code, and zeroed memory;
 * this one makes 7KQ4-9XMT-2R8W a code, which the documentation shows.
 */
#define CHECK_SUM 23

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

PG_FUNCTION_INFO_V1(loyalty_voucher_code_in);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_out);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_recv);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_send);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_eq);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_ne);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_lt);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_le);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_gt);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_ge);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_cmp);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_sortsupport);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_hash);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_hash_extended);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_new);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_derive);
PG_FUNCTION_INFO_V1(loyalty_voucher_code_digest);


/*
 * The word and its characters
 */

/* Character number "index" of a code, counted from 0. */
static inline int
character_of(VoucherCode code, int index)
{
	return (int) (code >> (VOUCHER_CODE_CHARACTERS - 1 - index) * CHARACTER_BITS) & CHARACTER_MASK;
}

/* The sum in the field, as above. */
static int
sum_of(VoucherCode code)
{
	int			sum = 0;
	int			index;

	for (index = 0; index < VOUCHER_CODE_CHARACTERS; index++)
	{
		sum <<= 1;
		if (sum > CHARACTER_MASK)
			sum ^= FIELD_POLYNOMIAL;
		sum ^= character_of(code, index);
	}
	return sum;
}

/* True for what voucher_code_in can make, and for nothing else. */
static bool
is_valid(VoucherCode code)
{
	return (uint64) code >> CODE_BITS == 0 && sum_of(code) == CHECK_SUM;
}

/* The code of eleven characters, whose twelfth then makes the sum right. */
static VoucherCode
complete(uint64 random_bits)
{
	VoucherCode code = (VoucherCode) ((random_bits & ((UINT64CONST(1) << RANDOM_BITS) - 1)) << CHARACTER_BITS);

	return code | (sum_of(code) ^ CHECK_SUM);
}


/*
 * Making codes
 */

/*
 * There are as many characters as values of five bits, so bits are taken as
 * they come: no remainder is formed and nothing has to be drawn again.
 */
VoucherCode
voucher_code_from_bytes(const uint8 *bytes, Size length)
{
	uint64		bits = 0;
	int			i;

	if (length < VOUCHER_CODE_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too few bytes for a voucher code"),
				 errdetail("A code takes %d bytes, there are %zu.", VOUCHER_CODE_BYTES, length),
				 errhint("Give the whole digest of an HMAC.")));

	for (i = 0; i < VOUCHER_CODE_BYTES; i++)
		bits = bits << BITS_PER_BYTE | bytes[i];
	return complete(bits);
}

VoucherCode
voucher_code_random(void)
{
	uint8		bytes[VOUCHER_CODE_BYTES];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	return voucher_code_from_bytes(bytes, sizeof(bytes));
}

/* loyalty.new_voucher_code() */
Datum
loyalty_voucher_code_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_VOUCHER_CODE(voucher_code_random());
}

/* loyalty.derive_voucher_code(bytea) */
Datum
loyalty_voucher_code_derive(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);

	PG_RETURN_VOUCHER_CODE(voucher_code_from_bytes((uint8 *) VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)));
}


/*
 * Text
 */

/* What a character stands for, or -1.  O is read as 0, I and L as 1, in any case. */
static int
value_of(char c)
{
	const char *found;

	if (c >= 'a' && c <= 'z')
		c -= 'a' - 'A';
	if (c == 'O')
		c = '0';
	else if (c == 'I' || c == 'L')
		c = '1';
	found = memchr(alphabet, c, sizeof(alphabet) - 1);
	return found == NULL ? -1 : (int) (found - alphabet);
}

/* Hyphens and blanks are for the eye, wherever they stand. */
static bool
is_separator(char c)
{
	return c == '-' || c == ' ' || (c >= '\t' && c <= '\r');
}

bool
voucher_code_from_cstring(const char *text, struct Node *escontext, VoucherCode *code)
{
	uint64		word = 0;
	int			characters = 0;
	const char *at;

	for (at = text; *at != '\0'; at++)
	{
		int			value;

		if (is_separator(*at))
			continue;
		characters++;
		value = value_of(*at);
		if (value < 0)
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s", "voucher_code"),
					 errdetail("Character %d, \"%.*s\", is in no voucher code.",
							   characters, (int) strnlen(at, pg_mblen(at)), at),
					 errhint("A voucher code is made of digits and letters; I, L, O and U are not among these.")));
		/* Of a text that is too long the value no longer matters. */
		word = word << CHARACTER_BITS | value;
	}

	if (characters != VOUCHER_CODE_CHARACTERS)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "voucher_code"),
				 errdetail("A voucher code has %d characters, not counting hyphens; this text has %d.",
						   VOUCHER_CODE_CHARACTERS, characters),
				 errhint("Compare it with the original: characters are missing, or there are too many.")));
	if (!is_valid((VoucherCode) word))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "voucher_code"),
				 errdetail("The check character does not fit the others."),
				 errhint("It was mistyped: compare it with the original, character by character.")));
	*code = (VoucherCode) word;
	return true;
}

bool
voucher_code_try(const char *text, VoucherCode *code)
{
	uint64		word = 0;
	int			characters = 0;

	for (; *text != '\0'; text++)
	{
		int			value;

		if (is_separator(*text))
			continue;
		value = value_of(*text);
		characters++;
		if (value < 0 || characters > VOUCHER_CODE_CHARACTERS)
			return false;
		word = word << CHARACTER_BITS | value;
	}
	*code = (VoucherCode) word;
	return characters == VOUCHER_CODE_CHARACTERS && is_valid((VoucherCode) word);
}

/* voucher_code_in: 22P02 for text that is no code. */
Datum
loyalty_voucher_code_in(PG_FUNCTION_ARGS)
{
	VoucherCode code;

	if (!voucher_code_from_cstring(PG_GETARG_CSTRING(0), fcinfo->context, &code))
		PG_RETURN_NULL();
	PG_RETURN_VOUCHER_CODE(code);
}

char *
voucher_code_to_cstring(VoucherCode code)
{
	char	   *text = palloc(VOUCHER_CODE_TEXT_LENGTH + 1);
	char	   *at = text;
	int			index;

	for (index = 0; index < VOUCHER_CODE_CHARACTERS; index++)
	{
		if (index > 0 && index % VOUCHER_CODE_GROUP == 0)
			*at++ = '-';
		*at++ = alphabet[character_of(code, index)];
	}
	*at = '\0';
	Assert(at == text + VOUCHER_CODE_TEXT_LENGTH);
	return text;
}

/* voucher_code_out: the canonical form, capitals in groups of four. */
Datum
loyalty_voucher_code_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(voucher_code_to_cstring(PG_GETARG_VOUCHER_CODE(0)));
}


/*
 * Binary form
 */

/* voucher_code_recv: the word itself.  22P03 for anything that voucher_code_in could not have made. */
Datum
loyalty_voucher_code_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	VoucherCode code = (VoucherCode) pq_getmsgint64(buf);

	if (!is_valid(code))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s", "voucher_code")));
	PG_RETURN_VOUCHER_CODE(code);
}

/* voucher_code_send: what voucher_code_recv reads. */
Datum
loyalty_voucher_code_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint64(&buf, PG_GETARG_VOUCHER_CODE(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}


/*
 * Comparison, hashing
 */

/* implementation of = operator */
Datum
loyalty_voucher_code_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_VOUCHER_CODE(0) == PG_GETARG_VOUCHER_CODE(1));
}

/* implementation of <> operator */
Datum
loyalty_voucher_code_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_VOUCHER_CODE(0) != PG_GETARG_VOUCHER_CODE(1));
}

/* implementation of < operator */
Datum
loyalty_voucher_code_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_VOUCHER_CODE(0) < PG_GETARG_VOUCHER_CODE(1));
}

/* implementation of <= operator */
Datum
loyalty_voucher_code_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_VOUCHER_CODE(0) <= PG_GETARG_VOUCHER_CODE(1));
}

/* implementation of > operator */
Datum
loyalty_voucher_code_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_VOUCHER_CODE(0) > PG_GETARG_VOUCHER_CODE(1));
}

/* implementation of >= operator */
Datum
loyalty_voucher_code_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_VOUCHER_CODE(0) >= PG_GETARG_VOUCHER_CODE(1));
}

/* three-way comparison, for btree */
Datum
loyalty_voucher_code_cmp(PG_FUNCTION_ARGS)
{
	VoucherCode a = PG_GETARG_VOUCHER_CODE(0);
	VoucherCode b = PG_GETARG_VOUCHER_CODE(1);

	PG_RETURN_INT32((a > b) - (a < b));
}

/* Sort without a function call a comparison. */
#if PG_VERSION_NUM >= 150000
#define voucher_code_sort_comparator ssup_datum_signed_cmp
#else
static int
voucher_code_sort_comparator(Datum x, Datum y, SortSupport ssup)
{
	VoucherCode a = DatumGetVoucherCode(x);
	VoucherCode b = DatumGetVoucherCode(y);

	return (a > b) - (a < b);
}
#endif

/* sort support, for btree */
Datum
loyalty_voucher_code_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = voucher_code_sort_comparator;
	PG_RETURN_VOID();
}

/* hash function that agrees with =: that of bigint */
Datum
loyalty_voucher_code_hash(PG_FUNCTION_ARGS)
{
	return hashint8(fcinfo);
}

/* the same with a seed, for hash partitioning */
Datum
loyalty_voucher_code_hash_extended(PG_FUNCTION_ARGS)
{
	return hashint8extended(fcinfo);
}

void
voucher_code_hash(VoucherCode code, uint8 *digest)
{
	char	   *text = voucher_code_to_cstring(code);

	sha256(text, VOUCHER_CODE_TEXT_LENGTH, digest);
	pfree(text);
}

/* loyalty.voucher_hash(voucher_code) */
Datum
loyalty_voucher_code_digest(PG_FUNCTION_ARGS)
{
	bytea	   *digest = palloc(VARHDRSZ + SHA256_LENGTH);

	SET_VARSIZE(digest, VARHDRSZ + SHA256_LENGTH);
	voucher_code_hash(PG_GETARG_VOUCHER_CODE(0), (uint8 *) VARDATA(digest));
	PG_RETURN_BYTEA_P(digest);
}
