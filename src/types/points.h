/*
 * points.h
 *		The type points: an exact count of points with four decimals.
 *
 * Held as an int64 in ten-thousandths of a point.  INT64_MIN is not a value,
 * so that every value can be negated.
 */
#ifndef LOYALTY_POINTS_H
#define LOYALTY_POINTS_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/numeric.h"

typedef int64 Points;

#define POINTS_DECIMALS 4
#define POINTS_UNIT INT64CONST(10000)	/* one whole point */
#define POINTS_MAX PG_INT64_MAX
#define POINTS_MIN (-PG_INT64_MAX)

#define PointsGetDatum(X) Int64GetDatum(X)
#define DatumGetPoints(X) DatumGetInt64(X)
#define PG_GETARG_POINTS(n) DatumGetPoints(PG_GETARG_DATUM(n))
#define PG_RETURN_POINTS(x) return PointsGetDatum(x)

/* Overflow-checked; 22003 when the result is out of range. */
extern Points points_add(Points a, Points b);
extern Points points_sub(Points a, Points b);

/* 22003 for more than four decimals, out of range, NaN or infinity. */
extern Points points_from_numeric(Numeric value);
extern Numeric points_to_numeric(Points value);

/* Shortest text: no trailing zeros after the point, no point when whole. */
extern char *points_to_cstring(Points value);

#endif							/* LOYALTY_POINTS_H */
