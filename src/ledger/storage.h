/*
 * storage.h
 *		The ledger's tables, read and written directly.
 *
 * The only place that knows how the rows of member and entry lie in their
 * tables and which relation holds a member's rows.  What it writes goes
 * through the same constraints, indexes and WAL as an INSERT or UPDATE.
 */
#ifndef LOYALTY_STORAGE_H
#define LOYALTY_STORAGE_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

#include "ledger/config.h"
#include "types/points.h"
#include "types/purse.h"

#define HASH_LENGTH 32			/* sha256 */

typedef enum MemberStatus
{
	MEMBER_ACTIVE,
	MEMBER_SUSPENDED,
	MEMBER_CLOSED,
	MEMBER_MERGED,				/* into another member: only merging makes it */
	MEMBER_FORGOTTEN			/* nothing is posted to him any more: only forgetting makes it */
} MemberStatus;

/* A row of member, unpacked. */
typedef struct MemberRow
{
	ItemPointerData tid;		/* invalid: not written yet */
	int64		member_id;
	int64		seq;
	Points		lifetime;
	Points		awaiting;		/* confirmation */
	Points		held;			/* in no purse */
	TimestampTz enrolled_at;
	TimestampTz last_activity;	/* DT_NOBEGIN: none yet */
	TimestampTz hold_until;		/* when the first active hold ends; DT_NOEND: there is none */
	int32		program_id;
	DateADT		next_expiry;	/* DATEVAL_NOEND: nothing expires */
	int32		purchases;		/* that have ever counted */
	text	   *ref;
	MemberStatus status;
	Purse		purse;
	uint8		head[HASH_LENGTH];
	bool		has_head;
	/* Tiers: who stands where is tiers/standing.c's business. */
	Datum		tally;			/* packed */
	DateADT		tally_since;	/* DATEVAL_NOEND: not counted yet */
	text	   *tier;			/* NULL: none; likewise the other two */
	text	   *tier_own;		/* beside a floor only: reached by himself */
	text	   *tier_floor;
	TimestampTz tier_since;		/* DT_NOBEGIN: since ever */
	DateADT		tier_until;		/* DATEVAL_NOEND: none */
	DateADT		tier_floor_until;	/* DATEVAL_NOEND: none */
	int32		tier_changes;
} MemberRow;

/* A row of tier_change. */
typedef struct TierChangeRow
{
	int64		member_id;
	int64		seq;
	TimestampTz at;
	TimestampTz posted_at;
	int32		program_id;
	int32		change_no;
	int32		from_rank;		/* of a tier that there is */
	int32		to_rank;
	DateADT		until;			/* DATEVAL_NOEND: none */
	text	   *from_tier;		/* NULL: none */
	text	   *to_tier;
	const char *reason;
	text	   *note;			/* NULL: none */
} TierChangeRow;

typedef enum HoldStatus
{
	HOLD_ACTIVE,
	HOLD_CAPTURED,
	HOLD_RELEASED,
	HOLD_LAPSED
} HoldStatus;

/* A row of hold. */
typedef struct HoldRow
{
	ItemPointerData tid;		/* invalid: not written yet */
	int64		member_id;
	int64		seq;			/* of the entry that made it */
	Points		points;			/* then */
	Points		captured;		/* of them */
	TimestampTz made_at;
	TimestampTz until;			/* when it lapses */
	TimestampTz ended_at;		/* DT_NOEND: active */
	int32		program_id;
	HoldStatus	status;
	Purse		lots;			/* still held */
	Numeric		point_value;	/* that a point had then; NULL: points were not money */
	Numeric		amount;			/* of the purchase; NULL: unknown */
	text	   *purchase;		/* NULL: none */
	text	   *note;			/* NULL: none */
} HoldRow;

/* A row of entry; the unpacked lots stand beside it until it is written. */
typedef struct EntryRow
{
	int64		member_id;
	int64		seq;
	Points		points;
	TimestampTz occurred_at;
	TimestampTz posted_at;
	int32		program_id;
	int32		rule_id;
	int32		source_id;
	int32		revision;
	int32		rule_horizon;
	const char *kind;
	text	   *source_key;
	Datum		lots;			/* packed purse */
	Numeric		amount;			/* NULL: none */
	Jsonb	   *context;		/* NULL: none */
	text	   *note;			/* NULL: none */
	uint8		hash[HASH_LENGTH];
} EntryRow;

typedef struct Store Store;

/*
 * What follows a posting, set on loading, since to know it is another floor's
 * business.  "keep" leaves, of members to whom something was posted, those for
 * whom something may follow; "work" is called by store_close for these, when
 * everything is written and all members are locked.
 */
typedef struct PostedMember
{
	int64		member_id;
	int32		program_id;
} PostedMember;

typedef struct StoreFollowUp
{
	int			(*keep) (PostedMember *members, int count);
	void		(*work) (const PostedMember *members, int count);
} StoreFollowUp;
extern StoreFollowUp store_follow_up;

/* Something is posted to the member; and: nothing follows from what is posted through this store. */
extern void store_note_posted(Store *store, const MemberRow *row);
extern void store_follow_nothing(Store *store);

/* 22023 for anything but active, suspended and closed. */
extern MemberStatus store_status_from_text(const text *value);

/* Open the ledger's tables: for reading, or for posting too. */
extern Store *store_open(Config *config, bool write);
extern void store_close(Store *store);	/* flushes; makes what was written visible */

/*
 * A snapshot that sees what was committed before now (READ COMMITTED), or the
 * transaction's own.  Registered; the caller unregisters it.
 */
extern Snapshot store_snapshot(void);

/* Reading members: begin and end in one subtransaction. */
extern void store_begin_read(Store *store, Snapshot snapshot);
extern void store_end_read(Store *store);
extern void store_abandon_read(Store *store);	/* instead, after that subtransaction was aborted */

/* The member as the snapshot sees him; false when there is none. */
extern bool store_find_member(Store *store, int64 member_id, MemberRow *row);

extern bool store_member_exists(Store *store, int64 member_id);

/*
 * The same, locked against every other posting until the transaction ends, in
 * his latest version.  40001 under REPEATABLE READ and SERIALIZABLE when he
 * changed since the snapshot.
 */
extern bool store_lock_member(Store *store, int64 member_id, MemberRow *row);

/*
 * The same without waiting: STORE_BUSY when somebody else holds the member, or
 * when he changed since the snapshot and that is one of the transaction's.
 */
typedef enum StoreLock
{
	STORE_LOCKED,
	STORE_GONE,
	STORE_BUSY
} StoreLock;
extern StoreLock store_try_lock_member(Store *store, int64 member_id, MemberRow *row);

/*
 * Call visit for the program's members whose next_expiry is before a day, in
 * that order; with DATEVAL_NOEND for all of them.  Within the visit
 * store_visited_member unpacks the row.
 */
typedef void (*MemberVisitor) (Store *store, int64 member_id, void *arg);
extern void store_visit_members(Store *store, int32 program_id, DateADT before,
								MemberVisitor visit, void *arg);
extern void store_visited_member(Store *store, MemberRow *row);

#define ANY_SOURCE (-1)

/*
 * Call visit for the entries of a purchase in key order (rule, revision); with
 * source_key NULL for all of the source, with ANY_SOURCE for all of the member.
 * What an entry points to is gone after the visit.
 */
typedef void (*EntryVisitor) (const EntryRow *entry, void *arg);
extern void store_visit_entries(Store *store, int64 member_id, int32 source_id,
								const text *source_key, EntryVisitor visit, void *arg);

/*
 * Call visit for the member's changes of tier, in the order in which they were
 * written.  What a change points to is gone after the visit.
 */
typedef void (*TierChangeVisitor) (const TierChangeRow *change, void *arg);
extern void store_visit_tier_changes(Store *store, int64 member_id, TierChangeVisitor visit, void *arg);

/* Names of the statuses, as the table has them. */
extern const char *store_hold_status(HoldStatus status);

/*
 * The member's active holds in the order in which they end, as HoldRow; and any
 * hold of his, false when there is none of that number.
 */
extern List *store_active_holds(Store *store, int64 member_id);
extern bool store_find_hold(Store *store, int64 member_id, int64 seq, HoldRow *row);

/* Writing, outside of store_begin_read. */
extern void store_append_entry(Store *store, const EntryRow *entry);	/* buffered: keep what it points to until store_flush */
extern void store_flush(Store *store);
extern void store_update_member(Store *store, MemberRow *row);

/*
 * Write rows of new members, in order of member_id, whose tid is invalid until
 * then: those before the first whose place is taken, or all or none of them;
 * returns how many.  "taker" is the running transaction that takes that place;
 * when it is invalid the member can be locked.  Nobody is waited for.
 */
extern int	store_enroll_members(Store *store, MemberRow **rows, int nrows, bool all, TransactionId *taker);

extern void store_append_tier_change(Store *store, const TierChangeRow *change);
extern void store_write_hold(Store *store, HoldRow *row);	/* a new one, or a change */

/*
 * Blanking what a member's history says of his person, inside store_begin_read:
 * context and note of his entries up to a number (ledger/forgotten.h), and notes
 * of his changes of tier, for which "change" gives another one, or NULL.
 */
typedef struct NoteChange
{
	text	   *(*change) (text *note, void *arg);
	void	   *arg;
} NoteChange;

extern void store_blank_entries(Store *store, int64 member_id, int64 last_seq);
extern void store_change_tier_notes(Store *store, int64 member_id, const NoteChange *change);

#endif							/* LOYALTY_STORAGE_H */
