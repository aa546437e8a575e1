/*
 * award.c
 *		The type award: what a rule gives.
 *
 * An award holds no arithmetic of its own: the evaluation of a purchase reads
 * its fields.  Here is only its text, its binary form and its equality.  Two
 * awards are equal when they are written alike ("2 per 20" is not "1 per 10":
 * the steps of "per full" differ, so no form is reduced).
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"

#include "types/award.h"
#include "types/scan.h"

StaticAssertDecl(sizeof(Award) == 24, "award is 24 bytes on disk");
StaticAssertDecl(AWARD_UNIT == SCAN_UNIT, "awards are scanned in their own unit");

/* The most that an award gives, or that one step of it takes. */
#define AWARD_MOST INT64CONST(1000000000)

#define AWARD_FORMS \
	"An award is written \"1 per 10\", \"1 per full 10\", \"2 each\", \"5%%\", \"100\" or \"x2\"."

PG_FUNCTION_INFO_V1(loyalty_award_in);
PG_FUNCTION_INFO_V1(loyalty_award_out);
PG_FUNCTION_INFO_V1(loyalty_award_recv);
PG_FUNCTION_INFO_V1(loyalty_award_send);
PG_FUNCTION_INFO_V1(loyalty_award_eq);
PG_FUNCTION_INFO_V1(loyalty_award_ne);
PG_FUNCTION_INFO_V1(loyalty_award_hash);
PG_FUNCTION_INFO_V1(loyalty_award_hash_extended);

static bool
has_step(int32 kind)
{
	return kind == AWARD_PER || kind == AWARD_PER_FULL;
}

/* A decimal number in millionths, without needless zeros. */
static void
append_decimal(StringInfo buf, int64 millionths)
{
	int			fraction = (int) (millionths % AWARD_UNIT);

	appendStringInfo(buf, INT64_FORMAT, millionths / AWARD_UNIT);
	if (fraction != 0)
	{
		appendStringInfo(buf, ".%06d", fraction);
		while (buf->data[buf->len - 1] == '0')
			buf->data[--buf->len] = '\0';
	}
}

/*
 * Reads one of the forms.  SCAN_NOTHING stands for any text that is not an
 * award; the other failures are about a number in a text that may well be one.
 */
static ScanResult
scan_award(const char *str, Award *award)
{
	Scanner		scanner = {str};
	ScanResult	give;
	ScanResult	per = SCAN_OK;

	memset(award, 0, sizeof(Award));

	if (scan_word(&scanner, "x"))
	{
		award->kind = AWARD_TIMES;
		give = scan_decimal(&scanner, AWARD_MOST, &award->give);
	}
	else
	{
		give = scan_decimal(&scanner, AWARD_MOST, &award->give);
		if (scan_word(&scanner, "per"))
		{
			award->kind = scan_word(&scanner, "full") ? AWARD_PER_FULL : AWARD_PER;
			per = scan_decimal(&scanner, AWARD_MOST, &award->per);
		}
		else if (scan_word(&scanner, "each"))
			award->kind = AWARD_EACH;
		else if (scan_char(&scanner, '%'))
			award->kind = AWARD_PERCENT;
		else
			award->kind = AWARD_FIXED;
	}

	if (give == SCAN_NOTHING || per == SCAN_NOTHING || !scan_end(&scanner))
		return SCAN_NOTHING;
	return give != SCAN_OK ? give : per;
}

/*
 * award_in: 22P02 for text that is no award, 22003 for numbers out of range.
 */
Datum
loyalty_award_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	struct Node *escontext = fcinfo->context;
	Award	   *award = (Award *) palloc(sizeof(Award));

	switch (scan_award(str, award))
	{
		case SCAN_OK:
			break;
		case SCAN_NEGATIVE:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("award is out of range: \"%s\"", str),
					 errdetail("The numbers of an award must not be negative.")));
			break;
		case SCAN_TOO_LARGE:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("award is out of range: \"%s\"", str),
					 errdetail("The numbers of an award must not exceed " INT64_FORMAT ".",
							   AWARD_MOST)));
			break;
		case SCAN_TOO_FINE:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("award is out of range: \"%s\"", str),
					 errdetail("The numbers of an award have at most %d decimals.",
							   SCAN_DECIMALS)));
			break;
		case SCAN_NOTHING:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", "award", str),
					 errhint(AWARD_FORMS)));
			break;
	}
	if (has_step(award->kind) && award->per == 0)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("award is out of range: \"%s\"", str),
				 errdetail("The amount after \"per\" must be greater than zero.")));

	PG_RETURN_AWARD_P(award);
}

/* award_out: the canonical form, which award_in reads back as the same award. */
Datum
loyalty_award_out(PG_FUNCTION_ARGS)
{
	Award	   *award = PG_GETARG_AWARD_P(0);
	StringInfoData buf;

	initStringInfo(&buf);
	if (award->kind == AWARD_TIMES)
		appendStringInfoChar(&buf, 'x');
	append_decimal(&buf, award->give);
	switch ((AwardKind) award->kind)
	{
		case AWARD_PER:
			appendStringInfoString(&buf, " per ");
			append_decimal(&buf, award->per);
			break;
		case AWARD_PER_FULL:
			appendStringInfoString(&buf, " per full ");
			append_decimal(&buf, award->per);
			break;
		case AWARD_EACH:
			appendStringInfoString(&buf, " each");
			break;
		case AWARD_PERCENT:
			appendStringInfoChar(&buf, '%');
			break;
		case AWARD_FIXED:
		case AWARD_TIMES:
			break;
	}
	PG_RETURN_CSTRING(buf.data);
}

/*
 * award_recv: kind (4 bytes), give and per (8 bytes each).  22P03 for anything
 * that award_in could not have made.
 */
Datum
loyalty_award_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	Award	   *award = (Award *) palloc0(sizeof(Award));

	award->kind = (int32) pq_getmsgint(buf, sizeof(int32));
	award->give = pq_getmsgint64(buf);
	award->per = pq_getmsgint64(buf);

	if (award->kind < AWARD_PER || award->kind > AWARD_TIMES ||
		award->give < 0 || award->give > AWARD_MOST * AWARD_UNIT ||
		award->per > AWARD_MOST * AWARD_UNIT ||
		(has_step(award->kind) ? award->per <= 0 : award->per != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s", "award"),
				 errdetail("Received kind %d, give " INT64_FORMAT ", per " INT64_FORMAT ".",
						   award->kind, award->give, award->per)));

	PG_RETURN_AWARD_P(award);
}

/* award_send: what award_recv reads. */
Datum
loyalty_award_send(PG_FUNCTION_ARGS)
{
	Award	   *award = PG_GETARG_AWARD_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, (uint32) award->kind);
	pq_sendint64(&buf, (uint64) award->give);
	pq_sendint64(&buf, (uint64) award->per);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* Equal awards are equal bytes: "reserved" and an unused "per" are always 0. */
static bool
award_equal(const Award *a, const Award *b)
{
	return memcmp(a, b, sizeof(Award)) == 0;
}

/* implementation of = operator */
Datum
loyalty_award_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(award_equal(PG_GETARG_AWARD_P(0), PG_GETARG_AWARD_P(1)));
}

/* implementation of <> operator */
Datum
loyalty_award_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!award_equal(PG_GETARG_AWARD_P(0), PG_GETARG_AWARD_P(1)));
}

/* hash function that agrees with = */
Datum
loyalty_award_hash(PG_FUNCTION_ARGS)
{
	return hash_any((unsigned char *) PG_GETARG_AWARD_P(0), sizeof(Award));
}

/* the same with a seed, for hash partitioning */
Datum
loyalty_award_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended((unsigned char *) PG_GETARG_AWARD_P(0), sizeof(Award),
							 (uint64) PG_GETARG_INT64(1));
}
