/*
 * purse_private.h
 *		What the files of the type purse share: the order of lots, and room for
 *		them.
 *
 * For purse*.c only; everybody else goes by purse.h.  The loops over lots are
 * made of these, so all but growing the array is inline.
 */
#ifndef LOYALTY_PURSE_PRIVATE_H
#define LOYALTY_PURSE_PRIVATE_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/date.h"

#include "types/points.h"
#include "types/purse.h"

/*
 * Two days as one number that sorts by the first of them, then by the second.
 * "No first day" and "never expires" are the ends of the range of a date.
 */
static inline uint64
days_key(DateADT major, DateADT minor)
{
	return ((uint64) ((uint32) major ^ 0x80000000U) << 32) |
		((uint32) minor ^ 0x80000000U);
}

static inline uint64
lot_key(const Lot *lot)
{
	return days_key(lot->ends, lot->starts);
}

/*
 * Canonical order, for qsort.
 */
static inline int
compare_lots(const void *a, const void *b)
{
	const Lot  *x = a;
	const Lot  *y = b;

	if (x->ends != y->ends)
		return x->ends < y->ends ? -1 : 1;
	if (x->starts != y->starts)
		return x->starts < y->starts ? -1 : 1;
	return 0;
}

/*
 * The place of a life span: the first lot that is not before it.
 */
static inline int
find(const Purse *purse, uint64 key)
{
	int			low = 0;
	int			high = purse->nlots;

	/* Points are mostly earned into the newest life span, or after it. */
	if (high > 0)
	{
		uint64		last = lot_key(&purse->lots[high - 1]);

		if (key > last)
			return high;
		if (key == last)
			return high - 1;
	}

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (lot_key(&purse->lots[middle]) < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Makes more room, at least double of what there is; 54000 beyond all bounds. */
extern void purse_grow(Purse *purse, int64 nlots);

/*
 * Makes room for "nlots" lots.
 */
static inline void
reserve(Purse *purse, int64 nlots)
{
	if (unlikely(nlots > purse->capacity))
		purse_grow(purse, nlots);
}

/*
 * Adds a lot that is known to come after all others.
 */
static inline void
append(Purse *purse, DateADT starts, DateADT ends, Points points)
{
	Lot		   *lot;

	reserve(purse, (int64) purse->nlots + 1);

	lot = &purse->lots[purse->nlots++];
	lot->starts = starts;
	lot->ends = ends;
	lot->points = points;
}

/*
 * A sum that was made 128 bits wide, so that the order of the lots does not
 * matter.  22003, as raised by points_add, when the sum itself is out of range.
 */
static inline Points
checked(int128 sum)
{
	if (unlikely(sum > POINTS_MAX || sum < POINTS_MIN))
		return points_add(sum > 0 ? POINTS_MAX : POINTS_MIN, sum > 0 ? 1 : -1);
	return (Points) sum;
}

/*
 * An argument of an SQL function, unpacked in the context of this call.
 */
static inline void
read_argument(FunctionCallInfo fcinfo, int n, Purse *purse)
{
	purse_init(purse);
	purse_read(purse, PG_GETARG_DATUM(n));
}

#endif							/* LOYALTY_PURSE_PRIVATE_H */
