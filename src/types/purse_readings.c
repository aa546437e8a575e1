/*
 * purse_readings.c
 *		What a purse is worth on a day.
 *
 * Every reading but the pending points, which no debt can touch, is one of the
 * lots as netting leaves them on that day.  The purse itself is not changed:
 * netting is worked out in a copy, and only where there is debt and something
 * that it can take.
 */
#include "postgres.h"

#include "utils/date.h"

#include "errors.h"
#include "types/points.h"
#include "types/purse.h"
#include "types/purse_private.h"

/* A lot in the order in which netting comes to it. */
typedef struct Opening
{
	uint64		key;
	int			lot;
} Opening;

static inline bool
is_lapsed(const Lot *lot, DateADT day)
{
	return lot->ends < day;
}

/* A lot that has not opened has not lapsed either. */
static inline bool
is_pending(const Lot *lot, DateADT day)
{
	return lot->starts > day;
}

static inline bool
is_open(const Lot *lot, DateADT day)
{
	return !is_lapsed(lot, day) && !is_pending(lot, day);
}

static int
compare_openings(const void *a, const void *b)
{
	uint64		x = ((const Opening *) a)->key;
	uint64		y = ((const Opening *) b)->key;

	return x < y ? -1 : x > y;
}

/*
 * The lots as they are once the debt has taken what had opened by "day", in
 * the order of opening, on one day the soonest to expire first.  Lots that are
 * used up stay, with zero points, so that the array runs beside the purse's
 * own.  When nothing moves it is the purse's own; otherwise the caller frees
 * it with free_netted.
 */
static Lot *
net(const Purse *purse, DateADT day)
{
	int			at = find(purse, days_key(DATEVAL_NOEND, DATEVAL_NOBEGIN));
	Opening    *openings;
	int			nopenings = 0;
	Points		debt;
	Lot		   *lots;

	if (at == purse->nlots ||
		purse->lots[at].starts != DATEVAL_NOBEGIN ||
		purse->lots[at].ends != DATEVAL_NOEND ||
		purse->lots[at].points > 0)
		return purse->lots;

	openings = MemoryContextAllocHuge(CurrentMemoryContext,
									  purse->nlots * sizeof(Opening));
	for (int i = 0; i < purse->nlots; i++)
	{
		const Lot  *lot = &purse->lots[i];

		if (lot->points > 0 && !is_pending(lot, day))
		{
			openings[nopenings].key = days_key(lot->starts, lot->ends);
			openings[nopenings].lot = i;
			nopenings++;
		}
	}

	if (nopenings == 0)
	{
		pfree(openings);
		return purse->lots;
	}

	qsort(openings, nopenings, sizeof(Opening), compare_openings);

	lots = palloc(purse->nlots * sizeof(Lot));
	memcpy(lots, purse->lots, purse->nlots * sizeof(Lot));
	debt = lots[at].points;
	for (int i = 0; i < nopenings && debt < 0; i++)
	{
		Lot		   *lot = &lots[openings[i].lot];
		Points		taken = Min(-debt, lot->points);

		lot->points -= taken;
		debt += taken;
	}
	lots[at].points = debt;

	pfree(openings);
	return lots;
}

static inline void
free_netted(const Purse *purse, Lot *lots)
{
	if (lots != purse->lots)
		pfree(lots);
}

Points
purse_available(const Purse *purse, DateADT day)
{
	Lot		   *lots = net(purse, day);
	int128		sum = 0;

	for (int i = 0; i < purse->nlots; i++)
		if (is_open(&lots[i], day))
			sum += lots[i].points;

	free_netted(purse, lots);
	return checked(sum);
}

/*
 * No netting: it never touches a lot that has yet to open.
 */
Points
purse_pending(const Purse *purse, DateADT day)
{
	int128		sum = 0;

	for (int i = 0; i < purse->nlots; i++)
		if (is_pending(&purse->lots[i], day))
			sum += purse->lots[i].points;
	return checked(sum);
}

Points
purse_expired(const Purse *purse, DateADT day)
{
	Lot		   *lots = net(purse, day);
	int128		sum = 0;

	/* Canonical order: what has lapsed comes first. */
	for (int i = 0; i < purse->nlots && is_lapsed(&lots[i], day); i++)
		sum += lots[i].points;

	free_netted(purse, lots);
	return checked(sum);
}

void
purse_netting(const Purse *purse, DateADT day, Purse *moves)
{
	Lot		   *lots = net(purse, day);

	Assert(moves != purse);
	purse_clear(moves);

	if (lots != purse->lots)
	{
		for (int i = 0; i < purse->nlots; i++)
		{
			Points		moved = lots[i].points - purse->lots[i].points;

			if (moved != 0)
				append(moves, lots[i].starts, lots[i].ends, moved);
		}
		pfree(lots);
	}
}

void
purse_lapsed(const Purse *purse, DateADT day, Purse *lapsed)
{
	Lot		   *lots = net(purse, day);

	Assert(lapsed != purse);
	purse_clear(lapsed);

	for (int i = 0; i < purse->nlots && is_lapsed(&lots[i], day); i++)
		if (lots[i].points != 0)
			append(lapsed, lots[i].starts, lots[i].ends, lots[i].points);

	free_netted(purse, lots);
}

void
purse_outstanding(const Purse *purse, DateADT day, Purse *outstanding)
{
	Lot		   *lots = net(purse, day);

	Assert(outstanding != purse);
	purse_clear(outstanding);

	for (int i = 0; i < purse->nlots; i++)
		if (lots[i].points != 0 && !is_lapsed(&lots[i], day))
			append(outstanding, lots[i].starts, lots[i].ends, lots[i].points);

	free_netted(purse, lots);
}

/*
 * Canonical order is the order of spending.  What is taken from a purse that
 * has not been netted still leaves the debt what it will net.  22023 for
 * points that are not above zero, LY001 when less is available.
 */
void
purse_spend(const Purse *purse, Points points, DateADT day, Purse *taken)
{
	Lot		   *lots;
	Points		available;
	int128		sum = 0;

	Assert(taken != purse);
	purse_clear(taken);

	if (points <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points to spend must be greater than zero")));

	lots = net(purse, day);
	for (int i = 0; i < purse->nlots; i++)
		if (is_open(&lots[i], day))
			sum += lots[i].points;
	available = checked(sum);

	if (available < points)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("insufficient points"),
				 errdetail("%s points are available, %s were asked for.",
						   points_to_cstring(available),
						   points_to_cstring(points))));

	for (int i = 0; i < purse->nlots && points > 0; i++)
	{
		Points		part = Min(points, lots[i].points);

		if (part <= 0 || !is_open(&lots[i], day))
			continue;
		append(taken, lots[i].starts, lots[i].ends, part);
		points -= part;
	}

	free_netted(purse, lots);
}
