/*
 * tally_private.h
 *		What the files of the type tally share: the order of periods, room for
 *		them, and arguments.
 *
 * For tally*.c only; everybody else goes by tally.h.
 */
#ifndef LOYALTY_TALLY_PRIVATE_H
#define LOYALTY_TALLY_PRIVATE_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/date.h"

#include "types/tally.h"

static inline bool
is_amount(TallyAmount amount)
{
	return amount <= TALLY_AMOUNT_MAX && amount >= TALLY_AMOUNT_MIN;
}

static inline bool
is_purchases(int64 purchases)
{
	return purchases <= TALLY_PURCHASES_MAX && purchases >= TALLY_PURCHASES_MIN;
}

static inline bool
is_nothing(const TallyPeriod *period)
{
	return period->amount == 0 && period->points == 0 && period->purchases == 0;
}

/*
 * Canonical order, for qsort.
 */
static inline int
compare_periods(const void *a, const void *b)
{
	DateADT		x = ((const TallyPeriod *) a)->first;
	DateADT		y = ((const TallyPeriod *) b)->first;

	return x < y ? -1 : x > y;
}

/*
 * The place of a period: the first one that is not before it.
 */
static inline int
find(const Tally *tally, DateADT first)
{
	int			low = 0;
	int			high = tally->nperiods;

	/* Purchases mostly count in the newest period, or after it. */
	if (high > 0)
	{
		DateADT		last = tally->periods[high - 1].first;

		if (first > last)
			return high;
		if (first == last)
			return high - 1;
	}

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (tally->periods[middle].first < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Makes more room, at least double of what there is; 54000 beyond all bounds. */
extern void tally_grow(Tally *tally, int64 nperiods);

/*
 * Makes room for "nperiods" periods.
 */
static inline void
reserve(Tally *tally, int64 nperiods)
{
	if (unlikely(nperiods > tally->capacity))
		tally_grow(tally, nperiods);
}

/*
 * Adds a period that is known to come after all others.
 */
static inline void
append(Tally *tally, const TallyPeriod *period)
{
	reserve(tally, (int64) tally->nperiods + 1);
	tally->periods[tally->nperiods++] = *period;
}

/* 22003: what no tally can hold. */
extern void tally_amount_out_of_range(void) pg_attribute_noreturn();
extern void tally_purchases_out_of_range(void) pg_attribute_noreturn();

/*
 * A sum of points that was made 128 bits wide.  22003, as raised by points_add,
 * when it is out of range.
 */
static inline Points
checked_points(int128 sum)
{
	if (unlikely(sum > POINTS_MAX || sum < POINTS_MIN))
		return points_add(sum > 0 ? POINTS_MAX : POINTS_MIN, sum > 0 ? 1 : -1);
	return (Points) sum;
}

/*
 * An argument of an SQL function, unpacked in the context of this call.
 */
static inline void
read_argument(FunctionCallInfo fcinfo, int n, Tally *tally)
{
	tally_init(tally);
	tally_read(tally, PG_GETARG_DATUM(n));
}

#endif							/* LOYALTY_TALLY_PRIVATE_H */
