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
 *
 * When members are merged, or parted, what moves beside points is said in the
 * same way by the two entries of the transfer: lifetime and tally by both, below
 * zero by the one that takes them away; last_activity by the one that brings.
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

/* Add the entry's tally, of an import or of a transfer. */
extern void imported_add_tally(const EntryRow *entry, Tally *tally);

/* What a merge moves beside lots. */
typedef struct Moved
{
	Points		lifetime;
	TimestampTz last_activity;	/* DT_NOBEGIN: says nothing */
	Tally		tally;			/* by day */
} Moved;

/* Put its fields, as far as they say something, into the JSON object under way. */
extern void moved_push(JsonbParseState **state, const Moved *moved);

/* What the entry of a transfer adds to lifetime points, and to what last activity (DT_NOBEGIN: none). */
extern void moved_count(const EntryRow *entry, Points *lifetime, TimestampTz *last_activity);

/*
 * The source_keys of transfers that the engine makes, on the side that gives: one of these, then a
 * colon and the key that somebody passed, or # and the number of the entry.
 * They are no gifts: no limit of transfers counts them, and they may move a
 * debt, or nothing but what stands beside points.
 */
#define MERGE_KEYS "merge"		/* all that a member has goes to another one */
#define UNMERGE_KEYS "unmerge"	/* as far as it is there, it comes back */
#define PASS_KEYS "pass"		/* what a purchase from before the merge comes to */
#define HOUSEHOLD_KEYS "household"	/* what members of a household have for each other */

extern bool moved_by_merge(const text *source_key);	/* or within a household */
extern bool drawn_by_household(const text *source_key);

#endif							/* LOYALTY_IMPORTED_H */
