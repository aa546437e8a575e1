/*
 * points.c
 *		The type points: text and binary form, casts, arithmetic, comparison.
 *
 * A value is an int64 in ten-thousandths, passed by value, so that comparing,
 * hashing and sorting cost what they cost for bigint.  INT64_MIN is kept out at
 * every door (text, binary, casts, arithmetic): every value has a negative.
 *
 * There are no operators between points and other types.  points * 1.5 goes
 * through the implicit cast to numeric, and points + 1 through the implicit
 * cast from integer, so that the extension adds no candidates that could make
 * anybody's arithmetic ambiguous.
 *
 * The aggregates are in points_agg.c.
 */
#include "postgres.h"

#include "common/int.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/sortsupport.h"

#include "types/numeric_wire.h"
#include "types/points.h"

/* Before PostgreSQL 16 an input function can only raise its errors. */
#if PG_VERSION_NUM < 160000
#define ereturn(context, dummy_value, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#endif

/* How much of a refused value an error message repeats, in bytes. */
#define SHOWN_LENGTH 64

PG_FUNCTION_INFO_V1(loyalty_points_in);
PG_FUNCTION_INFO_V1(loyalty_points_out);
PG_FUNCTION_INFO_V1(loyalty_points_recv);
PG_FUNCTION_INFO_V1(loyalty_points_send);
PG_FUNCTION_INFO_V1(loyalty_points_from_int2);
PG_FUNCTION_INFO_V1(loyalty_points_from_int4);
PG_FUNCTION_INFO_V1(loyalty_points_from_int8);
PG_FUNCTION_INFO_V1(loyalty_points_from_numeric);
PG_FUNCTION_INFO_V1(loyalty_points_to_numeric);
PG_FUNCTION_INFO_V1(loyalty_points_to_json);
PG_FUNCTION_INFO_V1(loyalty_points_to_jsonb);
PG_FUNCTION_INFO_V1(loyalty_points_add);
PG_FUNCTION_INFO_V1(loyalty_points_sub);
PG_FUNCTION_INFO_V1(loyalty_points_neg);
PG_FUNCTION_INFO_V1(loyalty_points_plus);
PG_FUNCTION_INFO_V1(loyalty_points_abs);
PG_FUNCTION_INFO_V1(loyalty_points_eq);
PG_FUNCTION_INFO_V1(loyalty_points_ne);
PG_FUNCTION_INFO_V1(loyalty_points_lt);
PG_FUNCTION_INFO_V1(loyalty_points_le);
PG_FUNCTION_INFO_V1(loyalty_points_gt);
PG_FUNCTION_INFO_V1(loyalty_points_ge);
PG_FUNCTION_INFO_V1(loyalty_points_cmp);
PG_FUNCTION_INFO_V1(loyalty_points_sortsupport);
PG_FUNCTION_INFO_V1(loyalty_points_hash);
PG_FUNCTION_INFO_V1(loyalty_points_hash_extended);
PG_FUNCTION_INFO_V1(loyalty_points_smaller);
PG_FUNCTION_INFO_V1(loyalty_points_larger);

/* A refused value for an error message: all of it, or its beginning. */
static const char *
shown(const char *string)
{
	int			length = (int) strlen(string);

	if (length <= SHOWN_LENGTH)
		return string;
	length = pg_mbcliplen(string, length, SHOWN_LENGTH);
	return psprintf("%.*s...", length, string);
}

/* 22003: a result that no points value can hold. */
static void
raise_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("points out of range")));
}

/* The blanks that text input forgives, whatever the locale. */
static inline bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Text input: blanks, a sign, digits with or without a decimal point, blanks.
 *
 * 22P02 for anything else, 22003 for more than four decimals that matter or a
 * value out of range; syntax is judged first.  No exponent, NaN or infinity.
 */
Datum
loyalty_points_in(PG_FUNCTION_ARGS)
{
	const char *string = PG_GETARG_CSTRING(0);
	fmNodePtr	escontext = fcinfo->context;
	const char *p = string;
	int64		units = 0;		/* magnitude: INT64_MIN cannot arise */
	int			decimals = 0;
	bool		negative = false;
	bool		has_digits = false;
	bool		excess = false;
	bool		overflow = false;

	while (is_blank(*p))
		p++;
	if (*p == '-' || *p == '+')
		negative = (*p++ == '-');

	for (; is_digit(*p); p++)
	{
		has_digits = true;
		overflow = overflow ||
			pg_mul_s64_overflow(units, 10, &units) ||
			pg_add_s64_overflow(units, *p - '0', &units);
	}
	if (*p == '.')
	{
		for (p++; is_digit(*p); p++)
		{
			has_digits = true;
			if (decimals == POINTS_DECIMALS)
			{
				excess = excess || *p != '0';
				continue;
			}
			decimals++;
			overflow = overflow ||
				pg_mul_s64_overflow(units, 10, &units) ||
				pg_add_s64_overflow(units, *p - '0', &units);
		}
	}
	while (is_blank(*p))
		p++;

	if (*p != '\0' || !has_digits)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"",
						"points", shown(string))));
	if (excess)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("points have at most %d decimals: \"%s\"",
						POINTS_DECIMALS, shown(string))));

	for (; decimals < POINTS_DECIMALS; decimals++)
		overflow = overflow || pg_mul_s64_overflow(units, 10, &units);
	if (overflow)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value \"%s\" is out of range for type %s",
						shown(string), "points")));

	PG_RETURN_POINTS(negative ? -units : units);
}

/* Shortest text: no trailing zeros after the point, no point when whole. */
char *
points_to_cstring(Points value)
{
	char	   *string = palloc(sizeof("-922337203685477.5807"));
	char	   *p = string;
	uint64		units = value < 0 ? -(uint64) value : (uint64) value;
	int			fraction = (int) (units % POINTS_UNIT);

	if (value < 0)
		*p++ = '-';
	p += pg_ulltoa_n(units / POINTS_UNIT, p);
	if (fraction != 0)
	{
		*p++ = '.';
		for (int place = POINTS_UNIT / 10; fraction != 0; place /= 10)
		{
			*p++ = '0' + fraction / place;
			fraction %= place;
		}
	}
	*p = '\0';
	return string;
}

/* Text output. */
Datum
loyalty_points_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(points_to_cstring(PG_GETARG_POINTS(0)));
}

/* Binary input: the int64; 22P03 for the one that is not a value. */
Datum
loyalty_points_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int64		units = pq_getmsgint64(message);

	if (units == PG_INT64_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid external \"%s\" value", "points")));
	PG_RETURN_POINTS(units);
}

/* Binary output: the int64 in ten-thousandths. */
Datum
loyalty_points_send(PG_FUNCTION_ARGS)
{
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint64(&message, PG_GETARG_POINTS(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* Whole points; 22003 when there are too many of them. */
static Points
points_from_whole(int64 whole)
{
	Points		result;

	/* The smallest multiple of the unit lies above INT64_MIN. */
	if (pg_mul_s64_overflow(whole, POINTS_UNIT, &result))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value \"%lld\" is out of range for type %s",
						(long long) whole, "points")));
	return result;
}

/* Cast from smallint, which always fits. */
Datum
loyalty_points_from_int2(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(PG_GETARG_INT16(0) * POINTS_UNIT);
}

/* Cast from integer, which always fits. */
Datum
loyalty_points_from_int4(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(PG_GETARG_INT32(0) * POINTS_UNIT);
}

/* Cast from bigint; 22003 out of range. */
Datum
loyalty_points_from_int8(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(points_from_whole(PG_GETARG_INT64(0)));
}

/*
 * A numeric as points, exactly.
 *
 * 22003 for more than four decimals that matter, out of range, NaN or
 * infinity: nothing is ever rounded here.
 */
Points
points_from_numeric(Numeric value)
{
	NumericWire wire = numeric_wire_read(value);
	int			last = wire.weight - wire.ndigits + 1;	/* its weight */
	int64		units = 0;
	bool		overflow = wire.special;
	bool		excess = !overflow && wire.ndigits > 0 && last < -1;

	/* Weight 3 starts at a million million; 10000^4 is out of range. */
	if (wire.ndigits > 0 && wire.weight > 3)
		overflow = true;
	if (!overflow && !excess && wire.ndigits > 0)
	{
		for (int i = 0; i <= wire.weight + 1; i++)
		{
			int			digit = i < wire.ndigits ? numeric_wire_digit(&wire, i) : 0;

			overflow = overflow ||
				pg_mul_s64_overflow(units, NUMERIC_WIRE_BASE, &units) ||
				pg_add_s64_overflow(units, digit, &units);
		}
	}
	pfree(wire.message);

	if (overflow || excess)
	{
		const char *string = DatumGetCString(DirectFunctionCall1(numeric_out,
															   NumericGetDatum(value)));

		if (overflow)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("value \"%s\" is out of range for type %s",
							shown(string), "points")));
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("points have at most %d decimals: \"%s\"",
						POINTS_DECIMALS, shown(string))));
	}
	return wire.negative ? -units : units;
}

/* Cast from numeric, as above. */
Datum
loyalty_points_from_numeric(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(points_from_numeric(PG_GETARG_NUMERIC(0)));
}

/* With as many decimals as the value has, so that it prints as the points do. */
Numeric
points_to_numeric(Points value)
{
	return numeric_wire_make(value);
}

/* Cast to numeric. */
Datum
loyalty_points_to_numeric(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(points_to_numeric(PG_GETARG_POINTS(0)));
}

/*
 * Cast to json, as a number.
 *
 * to_json, to_jsonb and all that build on them look for a cast to json and
 * would otherwise quote the text form.
 */
Datum
loyalty_points_to_json(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(points_to_cstring(PG_GETARG_POINTS(0))));
}

/* Cast to jsonb, as a number. */
Datum
loyalty_points_to_jsonb(PG_FUNCTION_ARGS)
{
	JsonbValue	number;

	number.type = jbvNumeric;
	number.val.numeric = points_to_numeric(PG_GETARG_POINTS(0));
	PG_RETURN_JSONB_P(JsonbValueToJsonb(&number));
}

/* a + b; 22003 out of range. */
Points
points_add(Points a, Points b)
{
	Points		result;

	if (unlikely(pg_add_s64_overflow(a, b, &result) || result < POINTS_MIN))
		raise_out_of_range();
	return result;
}

/* a - b; 22003 out of range. */
Points
points_sub(Points a, Points b)
{
	Points		result;

	if (unlikely(pg_sub_s64_overflow(a, b, &result) || result < POINTS_MIN))
		raise_out_of_range();
	return result;
}

/* Operator +. */
Datum
loyalty_points_add(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(points_add(PG_GETARG_POINTS(0), PG_GETARG_POINTS(1)));
}

/* Operator -. */
Datum
loyalty_points_sub(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(points_sub(PG_GETARG_POINTS(0), PG_GETARG_POINTS(1)));
}

/* Unary minus, which cannot fail: INT64_MIN is not a value. */
Datum
loyalty_points_neg(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(-PG_GETARG_POINTS(0));
}

/* Unary plus. */
Datum
loyalty_points_plus(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(PG_GETARG_POINTS(0));
}

/* Magnitude, which cannot fail either. */
Datum
loyalty_points_abs(PG_FUNCTION_ARGS)
{
	Points		value = PG_GETARG_POINTS(0);

	PG_RETURN_POINTS(value < 0 ? -value : value);
}

/* Operator =. */
Datum
loyalty_points_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_POINTS(0) == PG_GETARG_POINTS(1));
}

/* Operator <>. */
Datum
loyalty_points_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_POINTS(0) != PG_GETARG_POINTS(1));
}

/* Operator <. */
Datum
loyalty_points_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_POINTS(0) < PG_GETARG_POINTS(1));
}

/* Operator <=. */
Datum
loyalty_points_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_POINTS(0) <= PG_GETARG_POINTS(1));
}

/* Operator >. */
Datum
loyalty_points_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_POINTS(0) > PG_GETARG_POINTS(1));
}

/* Operator >=. */
Datum
loyalty_points_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_POINTS(0) >= PG_GETARG_POINTS(1));
}

/* Three-way comparison, for btree. */
Datum
loyalty_points_cmp(PG_FUNCTION_ARGS)
{
	Points		a = PG_GETARG_POINTS(0);
	Points		b = PG_GETARG_POINTS(1);

	PG_RETURN_INT32((a > b) - (a < b));
}

/* Sort without a function call per comparison. */
#if PG_VERSION_NUM >= 150000
#define points_sort_comparator ssup_datum_signed_cmp
#else
static int
points_sort_comparator(Datum x, Datum y, SortSupport ssup)
{
	Points		a = DatumGetPoints(x);
	Points		b = DatumGetPoints(y);

	return (a > b) - (a < b);
}
#endif

/* Sort support, for btree. */
Datum
loyalty_points_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = points_sort_comparator;
	PG_RETURN_VOID();
}

/* Hash: that of the bigint, which agrees with equality. */
Datum
loyalty_points_hash(PG_FUNCTION_ARGS)
{
	return hashint8(fcinfo);
}

/* 64-bit hash with a seed. */
Datum
loyalty_points_hash_extended(PG_FUNCTION_ARGS)
{
	return hashint8extended(fcinfo);
}

/* The smaller of two, for min. */
Datum
loyalty_points_smaller(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(Min(PG_GETARG_POINTS(0), PG_GETARG_POINTS(1)));
}

/* The larger of two, for max. */
Datum
loyalty_points_larger(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTS(Max(PG_GETARG_POINTS(0), PG_GETARG_POINTS(1)));
}
