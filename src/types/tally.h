/*
 * tally.h
 *		The type tally: what counts toward tiers, period by period.
 *
 * For each period it holds an amount, points and a number of purchases, any of
 * which may be below zero after returns.  All periods of a tally are of one
 * kind, its resolution: days, months, or a single one that never ends.  What
 * is added counts in the period in which its day falls.  Canonical order is by
 * time, and no period holds nothing but zeros.  So equal tallies are equal
 * bytes; an empty tally is the same whatever its periods have been.
 *
 * A window is read by the first days of the periods.  It is exact where it
 * begins and ends with a period; see qualification_resolution.
 */
#ifndef LOYALTY_TALLY_H
#define LOYALTY_TALLY_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/date.h"
#include "utils/numeric.h"

#include "types/calendar.h"
#include "types/points.h"
#include "types/rational.h"

/*
 * An amount in millionths of the currency's unit.  The amount of a period has
 * at most 18 digits before the point; a sum over periods may have more.
 */
typedef int128 TallyAmount;

#define TALLY_AMOUNT_DECIMALS 6
#define TALLY_AMOUNT_UNIT INT64CONST(1000000)
#define TALLY_AMOUNT_MAX \
	((TallyAmount) INT64CONST(1000000000000000000) * TALLY_AMOUNT_UNIT - 1)
#define TALLY_AMOUNT_MIN (-TALLY_AMOUNT_MAX)

/* As with points, every number of purchases can be negated. */
#define TALLY_PURCHASES_MAX PG_INT32_MAX
#define TALLY_PURCHASES_MIN (-PG_INT32_MAX)

typedef struct TallyPeriod
{
	DateADT		first;			/* first day; DATEVAL_NOBEGIN of PERIOD_EVER */
	int32		purchases;
	Points		points;
	TallyAmount amount;
} TallyPeriod;

/*
 * A tally unpacked for work; as with purses the array grows in the context that
 * made it, is allocated once the first period comes, and after an error in an
 * addition the content is only to be cleared.
 */
typedef struct Tally
{
	CalendarPeriod resolution;	/* PERIOD_DAY, PERIOD_MONTH or PERIOD_EVER */
	int			nperiods;
	int			capacity;
	TallyPeriod *periods;		/* canonical order */
	MemoryContext context;
} Tally;

/* Sums over periods. */
typedef struct TallyTotals
{
	TallyAmount amount;
	Points		points;
	int64		purchases;
} TallyTotals;

extern void tally_init(Tally *tally);	/* empty, by day, in CurrentMemoryContext */
extern void tally_clear(Tally *tally);	/* the same again, keeps its memory */
extern void tally_read(Tally *tally, Datum packed); /* replaces the content; detoasts; XX001 */
extern Datum tally_pack(const Tally *tally);	/* palloc'd varlena */
extern void tally_copy(Tally *to, const Tally *from);	/* replaces the content of "to" */

/*
 * Counts on a day.  22003 when a figure of the period leaves its range, 22008
 * for a day that is infinite.
 */
extern void tally_add_day(Tally *tally, DateADT day,
						  TallyAmount amount, Points points, int32 purchases);

/* Of two resolutions the coarser remains, unless a tally is empty. */
extern void tally_add(Tally *tally, const Tally *other);
extern void tally_sub(Tally *tally, const Tally *other);

/*
 * Puts periods together, up to that resolution; a tally that is as coarse
 * already stays as it is.  On an empty one it says how to count from here on:
 * it is called between tally_read and the first tally_add_day.  22023 for
 * weeks and years.
 */
extern void tally_coarsen(Tally *tally, CalendarPeriod resolution);

/*
 * Drops the periods that end before the day.  With the first day of a window
 * it changes nothing that this window, or a later one, reads.
 */
extern void tally_prune(Tally *tally, DateADT before);

/*
 * Sums over the periods whose first day is neither before "since" nor after
 * "until".  So one total is read only since -infinity, and what two adjoining
 * windows read is what the window over both reads.  22003 when the points
 * leave their range.
 */
extern void tally_totals(const Tally *tally, DateADT since, DateADT until, TallyTotals *totals);

/* Last day of a period of the tally, given its first. */
extern DateADT tally_period_end(const Tally *tally, DateADT first);

/*
 * Amounts.  From a numeric exactly: 22003 for more than six decimals and out of
 * range.  From a fraction to the nearest millionth, halves away from zero: for
 * amounts that were worked out, by a rate of exchange for instance, and so may
 * have any number of decimals.  The opposite amount gives the opposite result.
 */
extern TallyAmount tally_amount_from_numeric(Numeric value);
extern TallyAmount tally_amount_from_rational(Rational value);
extern Numeric tally_amount_to_numeric(TallyAmount amount);

/* Whole, or with two decimals at least: 9, 120.50, 0.000001. */
extern char *tally_amount_to_cstring(TallyAmount amount);

/*
 * What tally_read and the type's recv function are made of: replaces the
 * content by a payload's and answers NULL, or a sentence that says what is
 * wrong with it.
 */
extern const char *tally_unpack(Tally *tally, const void *bytes, Size size);

#endif							/* LOYALTY_TALLY_H */
