/*
 * award.h
 *		The type award: what a rule gives.
 */
#ifndef LOYALTY_AWARD_H
#define LOYALTY_AWARD_H

#include "postgres.h"
#include "fmgr.h"

typedef enum AwardKind
{
	AWARD_PER = 1,				/* "1 per 10": pro rata to the amount */
	AWARD_PER_FULL,				/* "1 per full 10": for each full step of the amount */
	AWARD_EACH,					/* "2 each": for each item */
	AWARD_PERCENT,				/* "5%": of the amount */
	AWARD_FIXED,				/* "100": once a purchase */
	AWARD_TIMES					/* "x2": multiplies what scaling rules gave */
} AwardKind;

#define AWARD_UNIT INT64CONST(1000000)	/* give and per are in millionths */

/* Fixed length, passed by reference. */
typedef struct Award
{
	int64		give;			/* >= 0; "5%" is 5 * AWARD_UNIT, "x1.5" is 1.5 * AWARD_UNIT */
	int64		per;			/* > 0 for AWARD_PER and AWARD_PER_FULL, else 0 */
	int32		kind;			/* AwardKind */
	int32		reserved;		/* always 0, so that equal awards are equal bytes */
} Award;

#define DatumGetAwardP(X) ((Award *) DatumGetPointer(X))
#define PG_GETARG_AWARD_P(n) DatumGetAwardP(PG_GETARG_DATUM(n))
#define PG_RETURN_AWARD_P(x) PG_RETURN_POINTER(x)

#endif							/* LOYALTY_AWARD_H */
