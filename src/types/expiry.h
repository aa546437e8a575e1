/*
 * expiry.h
 *		The type expiry: how long earned points can be spent.
 *
 * Eight bytes passed by value; the layout is private to expiry.c.
 */
#ifndef LOYALTY_EXPIRY_H
#define LOYALTY_EXPIRY_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/date.h"

typedef uint64 Expiry;

#define DatumGetExpiry(X) ((Expiry) DatumGetInt64(X))
#define ExpiryGetDatum(X) Int64GetDatum((int64) (X))
#define PG_GETARG_EXPIRY(n) DatumGetExpiry(PG_GETARG_DATUM(n))
#define PG_RETURN_EXPIRY(x) return ExpiryGetDatum(x)

/*
 * Last day of points whose first spendable day is "first": first + length,
 * inclusive, clamped to the month, then rounded up to the end that the expiry
 * names.  DATEVAL_NOEND for never, and for inactivity, whose end is not a
 * property of the points.
 */
extern DateADT expiry_last_day(Expiry expiry, DateADT first);

/* True for "inactive ...". */
extern bool expiry_is_inactivity(Expiry expiry);

/* Last day on which points live that were last active on "active"; DATEVAL_NOEND unless expiry_is_inactivity. */
extern DateADT expiry_inactive_last_day(Expiry expiry, DateADT active);

#endif							/* LOYALTY_EXPIRY_H */
