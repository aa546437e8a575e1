/*
 * reconcile_private.h
 *		What the parts of reconcile() share: the group of purchases being worked on.
 *
 * For reconcile*.c only.
 */
#ifndef LOYALTY_RECONCILE_PRIVATE_H
#define LOYALTY_RECONCILE_PRIVATE_H

#include "earning/reconcile.h"
#include "earning/settle.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "ledger/posting.h"

/* A member, and whom what he has goes on to, one after the other. */
typedef struct KeptWay
{
	int			nrows;
	MemberRow **rows;
} KeptWay;

/* A case that is settled by itself. */
typedef struct KeptCase
{
	Case		case_;
	int			nrows;
	MemberRow **way;			/* who has its entries, and whom what he has goes on to */
	int			npayers;
	KeptWay    *payers;			/* who else paid for it with points */
} KeptCase;

typedef struct WorkGroup
{
	Config	   *config;
	Source	   *source;
	Settlement	settlement;
	Store	   *store;
	bool		backfill;
	int			ncases;
	Case	   *cases;
	int			nmembers;
	MemberRequest *members;
	MemberRow  *before;			/* the members as they were locked */
	Posting    *postings;		/* one a member */
	Subject    *subjects;		/* likewise */
	int			nusages;
	MemberUsage *usages;		/* NULL: no rule is limited */
	Snapshot	snapshot;
	/* the member being judged: his cases are cases[from .. to) */
	int			member;
	int			from;
	int			to;
	ReconcileResult *result;
	/* cases whose entries, or what paid for them, are in another ledger than their member's, or in that of one who was merged */
	int			nkept;
	KeptCase   *kept;
	int			nrows;			/* everybody who is locked, once each */
	MemberRow **rows;
} WorkGroup;

/* Put the purchase aside for maintenance, or raise its error where the source says so. */
extern void reconcile_defer(WorkGroup *group, Case *case_, ErrorData *error);

/*
 * Lock the members of the remaining cases.  New ones may be unwritten until what
 * they have got is known, where nothing else is kept by member meanwhile.  False
 * when it turns out that they may not, since somebody has been merged by now.
 */
extern bool lock_group(WorkGroup *group, bool may_be_unwritten);

/*
 * Write the new members' rows, in the state that they are in.  False, and nobody
 * is written, when somebody else has enrolled one of them, or is about to.
 */
extern bool lock_write_newcomers(WorkGroup *group);

/* The same with the rows as they were before their cases were judged, for judging them again. */
extern bool lock_write_as_locked(WorkGroup *group);

/* Who has the case's entries, of all whom merges tie to its member; 0: nobody.  Inside store_begin_read; see holder_find. */
extern int64 kept_holder(WorkGroup *group, Case *case_, int64 member_id, bool always);

/* Add to the members to be locked those whom the cases' holders lead to. */
extern void kept_add_members(WorkGroup *group);

/*
 * Once they are locked: take out the cases that are to be settled by themselves,
 * and bring the others in line with whom they turned out to be about.
 */
extern void kept_part(WorkGroup *group);

/* Whose ledger a case is about; 0: nobody's, or not any more. */
extern int64 kept_ledger(const WorkGroup *group, const Case *case_);

/* The row of a member; locked now when a merge that was faster than us has brought him in. */
extern MemberRow *kept_lock_row(WorkGroup *group, int64 member_id);

/*
 * Drop the cases that were a forgotten member's before they came to another one,
 * before and after members are locked; those that are about his ledger; and these where every case is about its own
 * member's: then nothing else is to be done for forgotten ones either.
 */
extern void forgotten_drop_moved(WorkGroup *group, bool locked);
extern void forgotten_drop(WorkGroup *group);
extern void forgotten_drop_members(WorkGroup *group);

/* After the group has been written: settle the cases that were taken out. */
extern void kept_settle(WorkGroup *group);

#endif							/* LOYALTY_RECONCILE_PRIVATE_H */
