/*
 * rational.c
 *		Exact fractions, and the one place that rounds.
 *
 * Evaluation adds and multiplies fractions for every purchase, and nearly all
 * of them are small and share a denominator.  So each operation first looks for
 * the cheap case, then does the plain operation, and only when that overflows
 * reduces by greatest common divisors and tries again.  What does not fit even
 * then is left to rational_wide.c.
 *
 * Invariants of what fits: den > 0, and num is never the smallest int128, so
 * that every fraction has a negative.  No operation on it allocates, except in
 * reading a numeric.
 */
#include "postgres.h"

#include "types/numeric_wire.h"
#include "types/rational.h"
#include "types/rational_wide.h"

/* Decimals of a fraction that becomes a numeric; more than any amount has. */
#define TO_NUMERIC_DECIMALS 30

/* Decimal digits, before and after the point together, that fit for sure. */
#define MAX_NARROW_DIGITS 24

/*
 * And those that a numeric may have at all: more than any amount has, and few
 * enough for a basket of such to take no longer than a few seconds.
 */
#define MAX_NUMERIC_DIGITS 200

static inline bool
fits_int64(int128 value)
{
	return value == (int64) value;
}

/* a + b; true when it does not fit. */
static inline bool
add_overflow(int128 a, int128 b, int128 *result)
{
	return __builtin_add_overflow(a, b, result) || *result < -INT128_MAXIMUM;
}

/*
 * a * b; true when it does not fit.
 *
 * Not __builtin_mul_overflow: clang turns it into a call of __muloti4, which
 * libgcc does not have.  The common case costs one multiplication anyway.
 */
static inline bool
mul_overflow(int128 a, int128 b, int128 *result)
{
	uint128		factor;

	if (likely(fits_int64(a) && fits_int64(b)))
	{
		*result = (int128) (int64) a * (int64) b;
		return false;
	}
	factor = rational_magnitude(b);
	if (factor != 0 && rational_magnitude(a) > (uint128) INT128_MAXIMUM / factor)
		return true;
	*result = a * b;
	return false;
}

uint128
rational_gcd(uint128 a, uint128 b)
{
	uint64		x;
	uint64		y;

	while (b > PG_UINT64_MAX)
	{
		uint128		rest = a % b;

		a = b;
		b = rest;
	}
	if (b == 0)
		return a;

	/* One more wide step, and both fit in 64 bits. */
	x = (uint64) b;
	y = (uint64) (a % b);
	while (y != 0)
	{
		uint64		rest = x % y;

		x = y;
		y = rest;
	}
	return x;
}

/* Divide both by what they have in common; *b is positive. */
static void
cancel(int128 *a, int128 *b)
{
	int128		common = (int128) rational_gcd(rational_magnitude(*a), (uint128) *b);

	if (common > 1)
	{
		*a /= common;
		*b /= common;
	}
}

/* num / den; 22012 when den is zero. */
Rational
rational_from_int64(int64 num, int64 den)
{
	if (den == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DIVISION_BY_ZERO),
				 errmsg("division by zero")));
	if (den < 0)
		return (Rational) {-(int128) num, -(int128) den};
	return (Rational) {num, den};
}

/*
 * The fraction whose denominator is the smallest power of ten that will do:
 * 37.90 is 379/10.
 *
 * 22003 for NaN, infinity and more than 200 digits.
 */
Rational
rational_from_numeric(Numeric value)
{
	NumericWire wire = numeric_wire_read(value);
	Rational	result = RATIONAL_ZERO;
	int			first;
	int			last;
	int			place;
	int			whole = 0;		/* decimal digits before the point */
	int			decimals = 0;	/* and after it */

	if (wire.ndigits == 0 && !wire.special)
	{
		pfree(wire.message);
		return result;
	}
	if (!wire.special)
	{
		place = wire.weight - wire.ndigits + 1;
		if (wire.weight >= 0)
		{
			whole = 4 * wire.weight + 1;
			for (first = numeric_wire_digit(&wire, 0); first >= 10; first /= 10)
				whole++;
		}
		if (place < 0)
		{
			decimals = -4 * place;
			for (last = numeric_wire_digit(&wire, wire.ndigits - 1); last % 10 == 0; last /= 10)
				decimals--;
		}
	}
	if (unlikely(wire.special || whole + decimals > MAX_NUMERIC_DIGITS))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number is out of range for exact arithmetic"),
				 wire.special ? errdetail("NaN and infinity are not amounts.") :
				 errdetail("It has %d digits, at most %d are supported.",
						   whole + decimals, MAX_NUMERIC_DIGITS)));
	if (unlikely(whole + decimals > MAX_NARROW_DIGITS))
	{
		pfree(wire.message);
		return rational_wide_read(value, decimals);
	}

	/*
	 * Up to the last digit, or the zeros after it up to the point.  The last
	 * digit's trailing zeros are left out: 10^24 * 10^3 fits at every step.
	 */
	place = wire.weight;
	for (int i = 0; i < wire.ndigits || place >= 0; i++, place--)
	{
		int			digit = i < wire.ndigits ? numeric_wire_digit(&wire, i) : 0;

		if (place >= 0 || -4 * place <= decimals)
			result.num = result.num * NUMERIC_WIRE_BASE + digit;
		else
		{
			for (int step = 1000, n = decimals % 4; n > 0; n--, step /= 10)
				result.num = result.num * 10 + digit / step % 10;
		}
	}
	while (decimals-- > 0)
		result.den *= 10;
	if (wire.negative)
		result.num = -result.num;
	pfree(wire.message);
	return result;
}

Numeric
rational_to_numeric(Rational a)
{
	Numeric		num;
	Numeric		den;
	Datum		quotient;

	rational_wide_parts(a, &num, &den);
	/* The quotient has the decimals of what is divided. */
	quotient = DirectFunctionCall2(numeric_round, NumericGetDatum(num), Int32GetDatum(TO_NUMERIC_DECIMALS));
	quotient = DirectFunctionCall2(numeric_div, quotient, NumericGetDatum(den));
	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale, quotient));
}

/* a + b without reducing; true when it does not fit. */
static inline bool
add_plain(Rational a, Rational b, Rational *result)
{
	int128		x;
	int128		y;

	if (likely(a.den == b.den))
	{
		result->den = a.den;
		return add_overflow(a.num, b.num, &result->num);
	}

	/*
	 * If one denominator is a multiple of the other, the sum needs no more
	 * than that: adding up cents and tenths must not let it grow.
	 */
	if (likely(fits_int64(a.den) && fits_int64(b.den)))
	{
		uint64		p = (uint64) a.den;
		uint64		q = (uint64) b.den;

		if (p > q && p % q == 0)
		{
			result->den = a.den;
			return mul_overflow(b.num, p / q, &y) ||
				add_overflow(a.num, y, &result->num);
		}
		if (q > p && q % p == 0)
		{
			result->den = b.den;
			return mul_overflow(a.num, q / p, &x) ||
				add_overflow(x, b.num, &result->num);
		}
	}
	return mul_overflow(a.num, b.den, &x) ||
		mul_overflow(b.num, a.den, &y) ||
		add_overflow(x, y, &result->num) ||
		mul_overflow(a.den, b.den, &result->den);
}

/*
 * a + b in lowest terms (Knuth, 4.5.1): what the new numerator can have in
 * common with the new denominator divides the common part of the old ones.
 * True when a step does not fit.
 */
static bool
add_reduced(Rational a, Rational b, Rational *result)
{
	int128		common;
	int128		x;
	int128		y;

	cancel(&a.num, &a.den);
	cancel(&b.num, &b.den);
	common = (int128) rational_gcd((uint128) a.den, (uint128) b.den);
	a.den /= common;
	if (mul_overflow(a.num, b.den / common, &x) ||
		mul_overflow(b.num, a.den, &y) ||
		add_overflow(x, y, &result->num))
		return true;

	common = (int128) rational_gcd(rational_magnitude(result->num), (uint128) common);
	result->num /= common;
	return mul_overflow(a.den, b.den / common, &result->den);
}

/* a + b */
Rational
rational_add(Rational a, Rational b)
{
	Rational	result;

	if (unlikely(rational_is_wide(a) || rational_is_wide(b)))
		return rational_wide_add(a, b);
	if (likely(!add_plain(a, b, &result)) || !add_reduced(a, b, &result))
		return result;
	return rational_wide_add(a, b);
}

/* a - b */
Rational
rational_sub(Rational a, Rational b)
{
	return rational_add(a, rational_neg(b));
}

/* -a */
Rational
rational_neg(Rational a)
{
	if (unlikely(rational_is_wide(a)))
		return rational_wide_neg(a);
	a.num = -a.num;
	return a;
}

/* a * b */
Rational
rational_mul(Rational a, Rational b)
{
	Rational	result;

	if (unlikely(rational_is_wide(a) || rational_is_wide(b)))
		return rational_wide_mul(a, b);
	if (likely(!mul_overflow(a.num, b.num, &result.num) &&
			   !mul_overflow(a.den, b.den, &result.den)))
		return result;

	/* With these four divided out nothing is left to reduce. */
	cancel(&a.num, &a.den);
	cancel(&b.num, &b.den);
	cancel(&a.num, &b.den);
	cancel(&b.num, &a.den);
	if (mul_overflow(a.num, b.num, &result.num) ||
		mul_overflow(a.den, b.den, &result.den))
		return rational_wide_mul(a, b);
	return result;
}

/* a / b; 22012 when b is zero. */
Rational
rational_div(Rational a, Rational b)
{
	if (b.num == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DIVISION_BY_ZERO),
				 errmsg("division by zero")));
	if (unlikely(rational_is_wide(b)))
		return rational_mul(a, rational_wide_inverse(b));
	if (b.num < 0)
		return rational_mul(a, (Rational) {-b.den, -b.num});
	return rational_mul(a, (Rational) {b.den, b.num});
}

/* -1, 0, 1 */
int
rational_sign(Rational a)
{
	if (unlikely(rational_is_wide(a)))
		return rational_wide_sign(a);
	return (a.num > 0) - (a.num < 0);
}

/* The whole number at or below num / den. */
static inline int128
floor_div(int128 num, int128 den)
{
	int128		quotient;

	if (den == 1)
		return num;
	if (likely(fits_int64(num) && fits_int64(den)))
		quotient = (int64) num / (int64) den;
	else
		quotient = num / den;
	return quotient - (quotient * den > num);
}

/*
 * Compare by what is left after the whole parts, turned upside down, over and
 * over (continued fractions): needs no wider integers.
 */
static int
cmp_stepwise(Rational a, Rational b)
{
	int			direction = 1;

	for (;;)
	{
		int128		p = floor_div(a.num, a.den);
		int128		q = floor_div(b.num, b.den);
		int128		x = a.num % a.den;
		int128		y = b.num % b.den;

		if (p != q)
			return p < q ? -direction : direction;

		/* What is above the whole part, so that it is not negative. */
		if (x < 0)
			x += a.den;
		if (y < 0)
			y += b.den;
		if (x == 0 || y == 0)
			return ((x > 0) - (y > 0)) * direction;
		a = (Rational) {a.den, x};
		b = (Rational) {b.den, y};
		direction = -direction;
	}
}

/* -1, 0 or 1 as a is less than, equal to or greater than b. */
int
rational_cmp(Rational a, Rational b)
{
	int128		x;
	int128		y;

	if (unlikely(rational_is_wide(a) || rational_is_wide(b)))
		return rational_wide_cmp(a, b);
	if (likely(a.den == b.den))
		return (a.num > b.num) - (a.num < b.num);
	if (mul_overflow(a.num, b.den, &x) || mul_overflow(b.num, a.den, &y))
		return cmp_stepwise(a, b);
	return (x > y) - (x < y);
}

/* The greatest whole number that is not above a. */
Rational
rational_floor(Rational a)
{
	if (unlikely(rational_is_wide(a)))
		return rational_wide_floor(a);
	return (Rational) {floor_div(a.num, a.den), 1};
}

/* The whole number that it is; a wide one does not fit. */
bool
rational_get_int128(Rational a, int128 *value)
{
	if (rational_is_wide(a) || a.num % a.den != 0)
		return false;
	*value = a.num / a.den;
	return true;
}

/*
 * rest * factor / den as quotient and remainder, for rest < den < 2^127, when
 * the product may need more than 128 bits: one binary digit of the factor at a
 * time, so that nothing ever exceeds twice den.
 */
static uint64
scaled_quotient(uint128 rest, uint64 factor, uint128 den, uint128 *remainder)
{
	uint64		quotient = 0;
	uint128		left = 0;

	for (uint64 bit = UINT64CONST(1) << 13; bit > 0; bit >>= 1)
	{
		quotient *= 2;
		left *= 2;
		if (left >= den)
		{
			left -= den;
			quotient++;
		}
		if ((factor & bit) == 0)
			continue;
		left += rest;
		if (left >= den)
		{
			left -= den;
			quotient++;
		}
	}
	*remainder = left;
	return quotient;
}

/*
 * As points with at most "scale" (0..4) decimals: the only place where the
 * extension rounds.  Exact whatever the size of the fraction, since it compares
 * the remainder with the denominator.  All modes act on the magnitude.
 *
 * 22003 when the result is out of the range of points.
 */
Points
rational_round(Rational a, int scale, Rounding mode)
{
	static const uint64 powers[] = {1, 10, 100, 1000, 10000};
	bool		negative = a.num < 0;
	uint128		num = rational_magnitude(a.num);
	uint128		den = (uint128) a.den;
	uint64		factor;
	uint128		steps;			/* of 10^-scale */
	uint128		rest;
	bool		away = false;	/* one step away from zero */

	Assert(scale >= 0 && scale <= POINTS_DECIMALS);
	factor = powers[scale];

	if (unlikely(rational_is_wide(a)))
	{
		negative = rational_wide_sign(a) < 0;
		steps = rational_wide_steps(a, factor, &rest);
		den = RATIONAL_WIDE_QUARTERS;
	}
	else if (likely(num <= PG_UINT64_MAX / POINTS_UNIT && den <= PG_UINT64_MAX))
	{
		uint64		scaled = (uint64) num * factor;

		steps = scaled / (uint64) den;
		rest = scaled % (uint64) den;
	}
	else
	{
		steps = num / den;
		rest = num % den;
		/* Out of range already?  Then scaling it would overflow, too. */
		if (steps <= POINTS_MAX)
			steps = steps * factor + scaled_quotient(rest, factor, den, &rest);
	}

	switch (mode)
	{
		case ROUND_DOWN:
			break;
		case ROUND_HALF_UP:
			away = rest >= den - rest;
			break;
		case ROUND_HALF_EVEN:
			away = rest > den - rest || (rest == den - rest && steps % 2 == 1);
			break;
		case ROUND_UP:
			away = rest > 0;
			break;
	}
	if (away)
		steps++;

	if (steps > POINTS_MAX / (POINTS_UNIT / factor))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("points out of range")));
	steps *= POINTS_UNIT / factor;
	return negative ? -(Points) steps : (Points) steps;
}
