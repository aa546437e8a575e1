/*
 * purse.h
 *		The type purse: a map from life span to points.
 *
 * A life span is the first and the last day on which points can be spent,
 * both inclusive, in the program's time zone.  Points that are spendable at
 * once have no first day (DATEVAL_NOBEGIN), points that never expire no last
 * day (DATEVAL_NOEND).  Canonical order is by last day, then by first day; no
 * lot holds zero points, no life span stands twice.  So equal purses are equal
 * bytes, and those bytes are what the ledger hashes.
 *
 * Debt is one negative lot without first and last day.  It is netted against
 * positive lots in the order in which they open: at once for those that are
 * open, on its first day for a pending one.  Every reading below nets first.
 */
#ifndef LOYALTY_PURSE_H
#define LOYALTY_PURSE_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/date.h"
#include "types/points.h"

typedef struct Lot
{
	DateADT		starts;			/* DATEVAL_NOBEGIN: spendable at once */
	DateADT		ends;			/* DATEVAL_NOEND: never expires */
	Points		points;			/* never zero */
} Lot;

/*
 * A purse unpacked for work; the array grows in the context that made it, and
 * is allocated once the first lot comes.  Packing, adding and reading never
 * keep a pointer to it.  After an error in purse_add or purse_sub the content
 * is not to be used any more, only to be cleared.
 */
typedef struct Purse
{
	int			nlots;
	int			capacity;
	Lot		   *lots;			/* canonical order */
	MemoryContext context;
} Purse;

extern void purse_init(Purse *purse);	/* empty, in CurrentMemoryContext */
extern void purse_clear(Purse *purse);	/* empty again, keeps its memory */
extern void purse_read(Purse *purse, Datum packed); /* replaces the content; detoasts; XX001 */
extern Datum purse_pack(const Purse *purse);	/* palloc'd varlena */
extern void purse_copy(Purse *to, const Purse *from);	/* replaces the content of "to" */
extern void purse_add_lot(Purse *purse, DateADT starts, DateADT ends, Points points);
extern void purse_add(Purse *purse, const Purse *other);
extern void purse_sub(Purse *purse, const Purse *other);
extern Points purse_lot(const Purse *purse, DateADT starts, DateADT ends);	/* 0 when there is none */

/*
 * What purse_read and the type's recv function are made of: replaces the
 * content by a payload's and answers NULL, or a sentence that says what is
 * wrong with it.
 */
extern const char *purse_unpack(Purse *purse, const void *bytes, Size size);

extern Points purse_total(const Purse *purse);
extern Points purse_available(const Purse *purse, DateADT day); /* below zero: a debt */
extern Points purse_pending(const Purse *purse, DateADT day);	/* opens after "day" */
extern Points purse_expired(const Purse *purse, DateADT day);	/* what has lapsed before "day" */

/*
 * The purses below that are filled are cleared first, and must be others than
 * the one that is read.
 *
 * What netting the debt moves between lots up to and including "day": a purse
 * of total zero, which makes the debt smaller.  Added to the purse it leaves
 * either no debt or no positive lot that has opened by then.
 */
extern void purse_netting(const Purse *purse, DateADT day, Purse *moves);

/*
 * The lots (after netting) whose last day is before "day": in a member's
 * purse all of them are positive, and their total is purse_expired.
 */
extern void purse_lapsed(const Purse *purse, DateADT day, Purse *lapsed);

/* After netting, what is not lapsed: open, pending and debt; the rest of the above. */
extern void purse_outstanding(const Purse *purse, DateADT day, Purse *outstanding);

/*
 * The part that a redemption of "points" (> 0, else 22023) takes on "day":
 * soonest to expire first, never expiring last.  LY001 with the figures when
 * less is available.  Taking it leaves netting as it was: netted before or
 * after, the same remains.
 */
extern void purse_spend(const Purse *purse, Points points, DateADT day, Purse *taken);

#endif							/* LOYALTY_PURSE_H */
