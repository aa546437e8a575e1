/*
 * rational_wide.h
 *		Fractions that do not fit 128-bit integers.
 *
 * den of such a fraction is zero, and num the address of its parts.  They are
 * never changed, so that copies may share them.  A wide fraction is in lowest
 * terms, and one that would fit is narrow again; all functions take both
 * kinds, unless they say otherwise.
 *
 * Private to rational*.c.
 */
#ifndef LOYALTY_RATIONAL_WIDE_H
#define LOYALTY_RATIONAL_WIDE_H

#include "types/rational.h"

#define INT128_MAXIMUM ((int128) (~(uint128) 0 >> 1))

static inline bool
rational_is_wide(Rational a)
{
	return a.den == 0;
}

static inline uint128
rational_magnitude(int128 value)
{
	return value < 0 ? -(uint128) value : (uint128) value;
}

/* rational.c: greatest common divisor; gcd(0, b) = b */
extern uint128 rational_gcd(uint128 a, uint128 b);

/* A finite numeric with so many decimals that matter. */
extern Rational rational_wide_read(Numeric value, int decimals);
extern void rational_wide_parts(Rational a, Numeric *num, Numeric *den);
extern Rational rational_wide_add(Rational a, Rational b);
extern Rational rational_wide_mul(Rational a, Rational b);
extern Rational rational_wide_neg(Rational a);	/* of a wide one */
extern Rational rational_wide_inverse(Rational a);	/* of a wide one */
extern int	rational_wide_sign(Rational a); /* of a wide one */
extern int	rational_wide_cmp(Rational a, Rational b);
extern Rational rational_wide_floor(Rational a);

/*
 * |a| * factor as whole steps, and in quarters of one what is left: 0 nothing,
 * 1 less than half a step, 2 half of it, 3 more.  More steps than there are
 * points come as POINTS_MAX + 1.
 */
#define RATIONAL_WIDE_QUARTERS 4
extern uint128 rational_wide_steps(Rational a, uint64 factor, uint128 *quarters);

#endif							/* LOYALTY_RATIONAL_WIDE_H */
