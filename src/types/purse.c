/*
 * purse.c
 *		Purses unpacked for work, and their algebra.
 *
 * Lots are kept in canonical order, so that a life span is found by bisection
 * and two purses are added by merging them.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "types/points.h"
#include "types/purse.h"
#include "types/purse_private.h"

#define PURSE_MAX_LOTS	((int) (MaxAllocSize / sizeof(Lot)))

/*
 * points_add for loops: it is called only to raise its error.
 */
static inline Points
add(Points a, Points b)
{
	int64		sum;

	if (unlikely(pg_add_s64_overflow(a, b, &sum) || sum == PG_INT64_MIN))
		return points_add(a, b);
	return sum;
}

void
purse_init(Purse *purse)
{
	purse->nlots = 0;
	purse->capacity = 0;
	purse->lots = NULL;
	purse->context = CurrentMemoryContext;
}

void
purse_clear(Purse *purse)
{
	purse->nlots = 0;
}

/*
 * Makes room for "nlots" lots, at least doubling it.  54000 when that is more
 * than memory can be asked for.
 */
void
purse_grow(Purse *purse, int64 nlots)
{
	int64		capacity;

	if (nlots > PURSE_MAX_LOTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many lots in a purse"),
				 errdetail("A purse holds at most %d lots.", PURSE_MAX_LOTS)));

	CHECK_FOR_INTERRUPTS();

	capacity = Max(Max(nlots, 4), 2 * (int64) purse->capacity);
	capacity = Min(capacity, PURSE_MAX_LOTS);

	if (purse->lots == NULL)
		purse->lots = MemoryContextAlloc(purse->context, capacity * sizeof(Lot));
	else
		purse->lots = repalloc(purse->lots, capacity * sizeof(Lot));
	purse->capacity = (int) capacity;
}

void
purse_copy(Purse *to, const Purse *from)
{
	if (to == from)
		return;

	to->nlots = 0;
	if (from->nlots == 0)
		return;
	reserve(to, from->nlots);
	memcpy(to->lots, from->lots, from->nlots * sizeof(Lot));
	to->nlots = from->nlots;
}

/*
 * Adds points to one life span.  The life span of the last lot, or one after
 * it, costs the same however many lots there are; another one that is there
 * already is found by bisection.  22023 for a life span that is none, 22003
 * when its sum is out of range.
 */
void
purse_add_lot(Purse *purse, DateADT starts, DateADT ends, Points points)
{
	uint64		key = days_key(ends, starts);
	int			at;
	int			after;

	if (unlikely(starts > ends || starts == DATEVAL_NOEND || ends == DATEVAL_NOBEGIN))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid life span of points"),
				 ends == DATEVAL_NOBEGIN ?
				 errdetail("The last day cannot be \"-infinity\".") :
				 starts == DATEVAL_NOEND ?
				 errdetail("The first day cannot be \"infinity\".") :
				 errdetail("The first day is after the last day.")));

	/* Not a value of points, but arithmetic gone wrong; let it be said. */
	if (unlikely(points == PG_INT64_MIN))
		points = points_add(POINTS_MIN, -1);

	if (points == 0)
		return;

	at = find(purse, key);
	after = purse->nlots - at;

	if (after > 0 && lot_key(&purse->lots[at]) == key)
	{
		Lot		   *lot = &purse->lots[at];

		lot->points = add(lot->points, points);
		if (lot->points == 0)
		{
			memmove(lot, lot + 1, (after - 1) * sizeof(Lot));
			purse->nlots--;
		}
		return;
	}

	if (after == 0)
	{
		append(purse, starts, ends, points);
		return;
	}

	reserve(purse, (int64) purse->nlots + 1);
	memmove(&purse->lots[at + 1], &purse->lots[at], after * sizeof(Lot));
	purse->lots[at].starts = starts;
	purse->lots[at].ends = ends;
	purse->lots[at].points = points;
	purse->nlots++;
}

/*
 * Adds "other", times "sign", to "purse".  Both are sorted, so they are merged
 * from the back, within the one array; "other" may be "purse" itself.  22003
 * when a life span's sum is out of range: the purse is then not to be used.
 */
static void
merge(Purse *purse, const Purse *other, int sign)
{
	int			mine = purse->nlots - 1;
	int			theirs = other->nlots - 1;
	int			size;
	int			out;
	Lot		   *lots;

	if (other->nlots == 0)
		return;

	/* A posting into a large purse: look its lots up instead. */
	if (other->nlots <= 2 && other != purse)
	{
		for (int i = 0; i < other->nlots; i++)
			purse_add_lot(purse, other->lots[i].starts, other->lots[i].ends,
						  sign * other->lots[i].points);
		return;
	}

	reserve(purse, (int64) purse->nlots + other->nlots);
	size = purse->nlots + other->nlots;
	out = size;
	lots = purse->lots;

	while (theirs >= 0)
	{
		Lot			lot = other->lots[theirs];
		uint64		key = lot_key(&lot);

		lot.points *= sign;
		while (mine >= 0 && lot_key(&lots[mine]) > key)
			lots[--out] = lots[mine--];
		if (mine >= 0 && lot_key(&lots[mine]) == key)
			lot.points = add(lots[mine--].points, lot.points);
		theirs--;
		if (lot.points != 0)
			lots[--out] = lot;
	}

	/* What "mine" has not reached never moved: close the gap behind it. */
	memmove(&lots[mine + 1], &lots[out], (size - out) * sizeof(Lot));
	purse->nlots = mine + 1 + size - out;
}

void
purse_add(Purse *purse, const Purse *other)
{
	merge(purse, other, 1);
}

void
purse_sub(Purse *purse, const Purse *other)
{
	merge(purse, other, -1);
}

Points
purse_lot(const Purse *purse, DateADT starts, DateADT ends)
{
	uint64		key = days_key(ends, starts);
	int			at = find(purse, key);

	if (at < purse->nlots && lot_key(&purse->lots[at]) == key)
		return purse->lots[at].points;
	return 0;
}

Points
purse_total(const Purse *purse)
{
	int128		sum = 0;

	for (int i = 0; i < purse->nlots; i++)
		sum += purse->lots[i].points;
	return checked(sum);
}
