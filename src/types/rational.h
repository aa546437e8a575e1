/*
 * rational.h
 *		Exact fractions, and the one place that rounds.
 *
 * What a purchase earns is a sum of products and quotients (1 per 3, 2.3 per
 * unit, 5 %); it is kept as a fraction and rounded once, at the end.  Nearly
 * always it is one of 128-bit integers, reduced only when a step would
 * overflow.  What does not fit even then goes on as two numerics, in the
 * CurrentMemoryContext of the operation: the shares of lines in ten awards may
 * have ten denominators, which multiply.
 *
 * Only 22003 of numeric itself is left, for fractions of 131072 digits.
 */
#ifndef LOYALTY_RATIONAL_H
#define LOYALTY_RATIONAL_H

#include "postgres.h"
#include "types/points.h"

/* Nobody but rational*.c looks inside. */
typedef struct Rational
{
	int128		num;
	int128		den;			/* > 0; or 0: does not fit, see rational_wide.h */
} Rational;

/* program.rounding */
typedef enum Rounding
{
	ROUND_DOWN,					/* toward zero */
	ROUND_HALF_UP,				/* halves away from zero */
	ROUND_HALF_EVEN,			/* halves to the even neighbour */
	ROUND_UP					/* away from zero */
} Rounding;

#define RATIONAL_ZERO ((Rational) {0, 1})

extern Rational rational_from_int64(int64 num, int64 den);
extern Rational rational_from_numeric(Numeric value);	/* 22003 for NaN, infinity, over 200 digits */
extern Numeric rational_to_numeric(Rational a); /* exact as far as 30 decimals go; without trailing zeros */
extern bool rational_get_int128(Rational a, int128 *value); /* false: it is no integer, or does not fit */
extern Rational rational_add(Rational a, Rational b);
extern Rational rational_sub(Rational a, Rational b);
extern Rational rational_mul(Rational a, Rational b);
extern Rational rational_div(Rational a, Rational b);	/* 22012 when b is zero */
extern Rational rational_neg(Rational a);
extern int	rational_sign(Rational a);	/* -1, 0, 1 */
extern int	rational_cmp(Rational a, Rational b);
extern Rational rational_floor(Rational a);

/*
 * As points with at most "scale" (0..4) decimals.  All modes act on the
 * magnitude, so rational_round(-a) = -rational_round(a).
 */
extern Points rational_round(Rational a, int scale, Rounding mode);

#endif							/* LOYALTY_RATIONAL_H */
