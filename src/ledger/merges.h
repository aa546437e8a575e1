/*
 * merges.h
 *		Who has been merged into whom.
 *
 * A member who was merged keeps his ledger, and what his orders from before the
 * merge come to is written there (earning/passing.h).  When members are parted
 * again, orders from meanwhile stay with the one who got them.  So whoever looks
 * for the entries of a purchase looks through the family of its member.
 *
 * All of this is read with the latest snapshot, since it says whom to lock; who
 * has locked them looks again.
 */
#ifndef LOYALTY_MERGES_H
#define LOYALTY_MERGES_H

#include "ledger/config.h"
#include "ledger/storage.h"

/* A row of member_merge. */
typedef struct Merge
{
	int64		member_id;
	int64		seq;			/* of his entry that made it */
	int64		into_id;
	int32		program_id;
	text	   *ref;			/* his */
	Datum		refs;			/* text[]: those that led to him, and lead to "into" since */
	TimestampTz enrolled_at;	/* of "into" before; DT_NOEND: not changed */
	/* what "into" was given of his, NULL: nothing; and what it had before */
	text	   *gave_tier;
	text	   *had_tier;
	DateADT		had_tier_until;	/* DATEVAL_NOEND: none */
	text	   *gave_floor;
	text	   *had_floor;
	DateADT		had_floor_until;
} Merge;

/* The merge that the member stands merged by; false when he is not. */
extern bool merge_of(Config *config, int64 member_id, Merge *merge);

/* The same of a ref that was a member's own; false when that one does not stand merged. */
extern bool merge_of_ref(Config *config, const Program *program, const text *ref, Merge *merge);

/* Into whom the member was merged by an entry of his, be it undone since, by any entry (0) first of all; 0: by none. */
extern int64 merge_by(Config *config, int64 member_id, int64 seq);

/* Members, by number. */
typedef struct MemberIds
{
	int			count;
	int			capacity;
	int64	   *ids;
} MemberIds;

/* On the way from a member to the one who stands for him: himself, whom he was merged into, and so on. */
extern void merge_way(Config *config, int64 member_id, MemberIds *way);

/*
 * The family of a member, he first: all whom merges have ever tied to him, or to
 * one of these.  Whatever became of the merges, a purchase of one of them may
 * have its entries with another one.
 */
extern void merge_family(Config *config, int64 member_id, MemberIds *family);

/* The member, he first, and all who stand merged into him. */
extern void merge_person(Config *config, const Program *program, int64 member_id, MemberIds *person);

extern void member_ids_add(MemberIds *members, int64 member_id);
extern bool member_ids_have(const MemberIds *members, int64 member_id);

/*
 * Ledgers in which acts under a ref may be, beside that of the locked member to
 * whom it leads: his whom it meant at first, and those that it led to while he
 * stood merged, if they have an act of that source_key from then.  A repeated
 * key is to be found there, too.
 */
extern void merge_other_ledgers(Config *config, const Program *program, const text *ref,
								const MemberRow *row, const text *source_key, MemberIds *ledgers);

/* Write the row of a merge, or that it was undone by an entry of the member's. */
extern void merge_write(Config *config, const Merge *merge, int64 into_seq, TimestampTz at);
extern void merge_undo(Config *config, const Merge *merge, int64 seq, TimestampTz at);

/* Let all refs that lead to one member lead to another; returns them, as text[]. */
extern Datum merge_lead_on(Config *config, const Program *program, int64 from, text *ref, int64 into);

/* Undo that, for the refs that still lead there. */
extern void merge_lead_back(Config *config, const Program *program, const Merge *merge);

#endif							/* LOYALTY_MERGES_H */
