/*
 * slots.h
 *		A number that all members draw on, kept so that they do not queue for it.
 *
 * The budget of a rule and the stock of a reward are such numbers, one for each
 * period, which its first day names; DATEVAL_NOBEGIN is one for ever.  What is
 * drawn belongs to the (sub)transaction that drew it: when that aborts, it is
 * back.
 *
 * Locks on what was drawn or given back are held until the transaction ends.
 * They are taken in one order by whoever waits for them, so transactions that
 * draw or give back once do not deadlock with each other.  One that draws again
 * takes what is free in several slots before it waits; it can deadlock (40P01)
 * with another such one only while free slots do not hold enough, or while both
 * make the first draws of a period; and so can one that locks members after it
 * has drawn.
 * Under REPEATABLE READ and SERIALIZABLE a conflict may raise 40001 instead.
 *
 * The first draw of a period makes its slots, and the next ones wait for that
 * transaction.  Each draw leaves an old version of its slot behind, which the
 * later ones of its transaction step over: whoever has thousands of draws at
 * hand had better draw for many at once, and give back what is left.
 */
#ifndef LOYALTY_SLOTS_H
#define LOYALTY_SLOTS_H

#include "postgres.h"
#include "executor/spi.h"
#include "utils/date.h"

#include "ledger/config.h"

#define NSLOTS 32				/* of one period */

/*
 * A table of slots: (id integer, period date, slot smallint, total, allotted,
 * drawn), the first three its key, the others all of type points or bigint.
 */
typedef struct SlotTable
{
	const char *name;
	const char *id;				/* names of columns */
	const char *total;
	const char *drawn;
	bool		points;			/* their type; else bigint */
	SPIPlanPtr	plans[4];		/* kept; begin with none */
} SlotTable;

/* One such number, and how much there is in all. */
typedef struct SlotCount
{
	SlotTable  *table;
	Config	   *config;
	Oid			rel;			/* the table */
	int32		id;
	DateADT		period;
	int64		total;
} SlotCount;

/*
 * Draw up to "wanted" (> 0); returns how much is ours: less than wanted only
 * when that is all there is, 0 when nothing is left.  Waits only where no slot
 * that is free at the moment holds enough.
 */
extern int64 slots_draw(const SlotCount *count, int64 wanted);

/* Give back what was drawn before (> 0), by this transaction or an earlier one. */
extern void slots_give_back(const SlotCount *count, int64 amount);

/* What is left now, or as the active snapshot sees it, never negative; writes and locks nothing. */
extern int64 slots_left(const SlotCount *count, bool now);

#endif							/* LOYALTY_SLOTS_H */
