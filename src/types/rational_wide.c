/*
 * rational_wide.c
 *		Fractions that do not fit 128-bit integers.
 *
 * They are rare, so they are left to numeric, which has no end for what an
 * order can bring about.  Its division rounds; only what is exact for whole
 * numbers is used of it: product, sum, quotient without decimals, remainder,
 * greatest common divisor.
 *
 * A fraction that grew over many lines meets small ones: by keeping both in
 * lowest terms their greatest common divisors take one long division, and the
 * rest is done in 128 bits.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "types/numeric_wire.h"
#include "types/rational_wide.h"

/* Digits to the base 10000 of INT128_MAXIMUM. */
#define INT128_DIGITS 10

typedef struct WideRational
{
	Numeric		num;			/* both behind this struct, in the same chunk */
	Numeric		den;			/* > 0 */
	bool		negative;
} WideRational;

/* num and den, in lowest terms. */
typedef struct Parts
{
	Numeric		num;
	Numeric		den;
} Parts;

/* What an operation leaves behind on its way, until it ends or the next begins. */
static MemoryContext scratch = NULL;

/* Returns the caller's context. */
static MemoryContext
begin_operation(void)
{
	/* Numbers may become long enough for somebody to lose patience. */
	CHECK_FOR_INTERRUPTS();
	if (scratch == NULL)
		scratch = AllocSetContextCreate(TopMemoryContext, "loyalty wide fractions", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(scratch);
	return MemoryContextSwitchTo(scratch);
}

static void
end_operation(MemoryContext caller)
{
	MemoryContextSwitchTo(caller);
	MemoryContextReset(scratch);
}

static inline Numeric
apply(PGFunction function, Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(function, NumericGetDatum(a), NumericGetDatum(b)));
}

static inline int
compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

static inline Numeric
negate(Numeric a)
{
	return DatumGetNumeric(DirectFunctionCall1(numeric_uminus, NumericGetDatum(a)));
}

static inline Numeric
absolute(Numeric a)
{
	return DatumGetNumeric(DirectFunctionCall1(numeric_abs, NumericGetDatum(a)));
}

static inline const WideRational *
wide(Rational a)
{
	Assert(rational_is_wide(a) && a.num != 0);
	return (const WideRational *) (uintptr_t) a.num;
}

/* A whole number as an integer; false when it does not fit.  The sign is told either way. */
static bool
get_int128(Numeric value, int128 *result, bool *negative)
{
	NumericWire wire = numeric_wire_read(value);
	uint128		sum = 0;
	bool		fits = wire.weight < INT128_DIGITS;

	*negative = wire.negative;
	for (int i = 0; fits && i <= wire.weight; i++)
	{
		fits = sum <= (uint128) INT128_MAXIMUM / NUMERIC_WIRE_BASE;
		sum = sum * NUMERIC_WIRE_BASE + (i < wire.ndigits ? numeric_wire_digit(&wire, i) : 0);
	}
	pfree(wire.message);
	*result = wire.negative ? -(int128) sum : (int128) sum;
	return fits && sum <= (uint128) INT128_MAXIMUM;
}

/* Greatest common divisor; b is positive. */
static Numeric
gcd(Numeric a, Numeric b)
{
	int128		small;
	int128		rest;
	bool		negative;

	if (!get_int128(b, &small, &negative))
	{
		/* Of a large one and a small one it is one division, whichever comes first. */
		if (!get_int128(a, &small, &negative) || small == 0)
			return apply(numeric_gcd, a, b);
		small = (int128) rational_magnitude(small);
		a = b;
		b = numeric_wire_make_whole(small);
	}
	(void) get_int128(apply(numeric_mod, a, b), &rest, &negative);
	return numeric_wire_make_whole((int128) rational_gcd(rational_magnitude(rest), (uint128) small));
}

/* a / b, which leaves nothing */
static Numeric
divide(Numeric a, Numeric b)
{
	return apply(numeric_div_trunc, a, b);
}

static Parts
parts_of(Rational a)
{
	int128		common;

	if (rational_is_wide(a))
		return (Parts) {wide(a)->num, wide(a)->den};
	common = (int128) rational_gcd(rational_magnitude(a.num), (uint128) a.den);
	return (Parts) {numeric_wire_make_whole(a.num / common), numeric_wire_make_whole(a.den / common)};
}

/* num / den in lowest terms as the result of an operation, which ends. */
static Rational
finish(MemoryContext caller, Numeric num, Numeric den)
{
	Rational	result;
	WideRational *parts;
	bool		negative;
	bool		ignored;

	if (get_int128(num, &result.num, &negative) &&
		(result.num == 0 || get_int128(den, &result.den, &ignored)))
	{
		end_operation(caller);
		return result.num == 0 ? RATIONAL_ZERO : result;
	}

	parts = MemoryContextAlloc(caller, MAXALIGN(sizeof(WideRational)) + MAXALIGN(VARSIZE(num)) + VARSIZE(den));
	parts->num = (Numeric) ((char *) parts + MAXALIGN(sizeof(WideRational)));
	parts->den = (Numeric) ((char *) parts->num + MAXALIGN(VARSIZE(num)));
	parts->negative = negative;
	memcpy(parts->num, num, VARSIZE(num));
	memcpy(parts->den, den, VARSIZE(den));
	end_operation(caller);
	return (Rational) {(int128) (uintptr_t) parts, 0};
}

Rational
rational_wide_read(Numeric value, int decimals)
{
	MemoryContext caller = begin_operation();
	Numeric		den = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(psprintf("1e%d", decimals)),
														  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	Numeric		num = apply(numeric_mul, value, den);
	Numeric		common;

	/* It has the decimals of the value, all of them zero now. */
	num = DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(num)));
	common = gcd(num, den);
	return finish(caller, divide(num, common), divide(den, common));
}

void
rational_wide_parts(Rational a, Numeric *num, Numeric *den)
{
	Parts		parts = parts_of(a);

	*num = parts.num;
	*den = parts.den;
}

/* See add_reduced. */
Rational
rational_wide_add(Rational a, Rational b)
{
	MemoryContext caller = begin_operation();
	Parts		x = parts_of(a);
	Parts		y = parts_of(b);
	Numeric		common = gcd(x.den, y.den);
	Numeric		num;

	x.den = divide(x.den, common);
	num = apply(numeric_add,
				apply(numeric_mul, x.num, divide(y.den, common)),
				apply(numeric_mul, y.num, x.den));
	common = gcd(num, common);
	return finish(caller, divide(num, common), apply(numeric_mul, x.den, divide(y.den, common)));
}

Rational
rational_wide_mul(Rational a, Rational b)
{
	MemoryContext caller = begin_operation();
	Parts		x = parts_of(a);
	Parts		y = parts_of(b);
	Numeric		first = gcd(x.num, y.den);
	Numeric		second = gcd(y.num, x.den);

	return finish(caller,
				  apply(numeric_mul, divide(x.num, first), divide(y.num, second)),
				  apply(numeric_mul, divide(x.den, second), divide(y.den, first)));
}

Rational
rational_wide_neg(Rational a)
{
	MemoryContext caller = begin_operation();

	return finish(caller, negate(wide(a)->num), wide(a)->den);
}

Rational
rational_wide_inverse(Rational a)
{
	MemoryContext caller = begin_operation();
	const WideRational *parts = wide(a);

	return finish(caller, parts->negative ? negate(parts->den) : parts->den, absolute(parts->num));
}

int
rational_wide_sign(Rational a)
{
	return wide(a)->negative ? -1 : 1;
}

int
rational_wide_cmp(Rational a, Rational b)
{
	int			sign = rational_sign(a);
	int			other = rational_sign(b);
	MemoryContext caller;
	Parts		x;
	Parts		y;
	int			result;

	if (sign != other)
		return sign < other ? -1 : 1;
	caller = begin_operation();
	x = parts_of(a);
	y = parts_of(b);
	result = compare(apply(numeric_mul, x.num, y.den), apply(numeric_mul, y.num, x.den));
	end_operation(caller);
	return result;
}

Rational
rational_wide_floor(Rational a)
{
	MemoryContext caller = begin_operation();
	Parts		parts = parts_of(a);
	Numeric		one = numeric_wire_make_whole(1);
	Numeric		quotient = apply(numeric_div_trunc, parts.num, parts.den);

	if (rational_sign(a) < 0 && compare(apply(numeric_mul, quotient, parts.den), parts.num) != 0)
		quotient = apply(numeric_sub, quotient, one);
	return finish(caller, quotient, one);
}

uint128
rational_wide_steps(Rational a, uint64 factor, uint128 *quarters)
{
	MemoryContext caller = begin_operation();
	Parts		parts = parts_of(a);
	Numeric		scaled = apply(numeric_mul, absolute(parts.num), numeric_wire_make_whole(factor));
	Numeric		quotient = apply(numeric_div_trunc, scaled, parts.den);
	Numeric		left = apply(numeric_sub, scaled, apply(numeric_mul, quotient, parts.den));
	int128		steps;
	bool		negative;

	*quarters = compare(left, numeric_wire_make_whole(0)) == 0 ? 0
		: 2 + compare(apply(numeric_add, left, left), parts.den);
	if (!get_int128(quotient, &steps, &negative) || steps > POINTS_MAX)
		steps = (int128) POINTS_MAX + 1;
	end_operation(caller);
	return (uint128) steps;
}
