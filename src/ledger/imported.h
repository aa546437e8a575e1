/*
 * imported.h
 *		What the entry of an import says beside its lots.
 *
 * Its context holds what was asked for, so that a repeated import is known
 * again, and so that all that follows from it can be worked out from entries:
 *
 * lots				  points with a last day, as a purse
 * undated			  points without one, as a purse of lots that never end
 * lifetime			  lifetime points; the entry's points unless it is there
 * last_activity	  likewise the time of the entry
 * tally			  what counts toward tiers, by day
 * enrolled_at, tier, tier_since, tier_until
 */
#ifndef LOYALTY_IMPORTED_H
#define LOYALTY_IMPORTED_H

#include "ledger/storage.h"
#include "types/tally.h"

/* What a member brings along; what is not given is as each line says. */
typedef struct Imported
{
	Purse		lots;
	Purse		undated;
	bool		has_lifetime;
	Points		lifetime;
	TimestampTz enrolled_at;	/* DT_NOBEGIN */
	TimestampTz last_activity;	/* DT_NOBEGIN */
	text	   *tier;			/* NULL */
	TimestampTz tier_since;		/* DT_NOBEGIN */
	DateADT		tier_until;		/* DATEVAL_NOEND */
	Tally		tally;			/* by day */
} Imported;

/* NULL when there is nothing to say. */
extern Jsonb *imported_write(const Imported *imported);

/* Read of an entry what member.lifetime and last_activity need. */
extern void imported_count(const EntryRow *entry, Points *lifetime, TimestampTz *last_activity);

/* Add the entry's tally. */
extern void imported_add_tally(const EntryRow *entry, Tally *tally);

#endif							/* LOYALTY_IMPORTED_H */
