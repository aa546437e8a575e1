/*
 * verify_walk.h
 *		What verify_members.c and verify_entry.c share: the way through members
 *		and their entries.
 */
#ifndef LOYALTY_VERIFY_WALK_H
#define LOYALTY_VERIFY_WALK_H

#include "postgres.h"

#include "ledger/balance.h"
#include "operation/verify.h"

/* One way through a range of members. */
typedef struct Round
{
	Verification *verification; /* NULL: quietly */
	bool		sound;			/* so far */
	int			nprograms;
	int32	   *program_ids;
	const char **program_names;
	SPIPlanPtr	alias;			/* where a ref leads; NULL until it is asked for */
	uint64		moved;			/* points that the member's entries have moved, without their sign */
	Cursor		members;
	Cursor		entries;
	Cursor		leaves;			/* of seals */
	bool		more_members;
	bool		more_entries;
	bool		more_leaves;
} Round;

/* A member on the way through his entries. */
typedef struct Walk
{
	Round	   *round;
	int64		member_id;
	bool		known;			/* his row is there */
	bool		forgotten;		/* what was personal has been blanked */
	MemberRow	row;			/* then; but for status and head */
	const char *status;
	struct varlena *head;
	const char *program;		/* its name; NULL: none has his number */
	Violation	violation;		/* program and member are filled in */
	int64		nentries;
	int64		seq;			/* of the last entry */
	int			purchases;		/* that begin with one of them */
	int			maybe_purchases;	/* events of which nobody can tell any more */
	Points		debt_before;	/* the last entry, if that released held points or gave back what was spent; else 0 */
	uint8		hash[HASH_LENGTH];	/* its hash, as stored */
	MemberState state;			/* what the entries add up to */
	bool		broken;			/* they cannot be added up */
	/* the entry at hand */
	EntryRow	entry;
	uint8		computed[HASH_LENGTH];
	Points		total;
} Walk;

/* Something is wrong with him. */
extern void walk_report(Walk *walk, const char *invariant, const char *problem,
						const char *expected, const char *actual);

extern char *walk_int_text(int64 value);
extern char *walk_hex_text(const void *bytes, Size length);

/* The entry at hand follows from those before it, and from its own columns; it is added to them. */
extern void walk_check_entry(Walk *walk);

/*
 * Check the leaves of seals that found the member's history end before this
 * entry, or with it; NULL: after the last one.
 */
extern void walk_check_leaves(Walk *walk, const EntryRow *entry);

#endif							/* LOYALTY_VERIFY_WALK_H */
