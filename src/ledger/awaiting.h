/*
 * awaiting.h
 *		Points that await confirmation, in no purse yet.
 *
 * An entry says in its context what awaits, or what was decided; the table
 * confirmation has a row for each entry that began to await.  A decision that
 * is due is made by silence at the start of its day, whether or not it has been
 * written down.
 */
#ifndef LOYALTY_AWAITING_H
#define LOYALTY_AWAITING_H

#include "nodes/pg_list.h"

#include "ledger/config.h"
#include "ledger/storage.h"

typedef enum Decision
{
	DECISION_NONE,
	DECISION_ACCEPTED,
	DECISION_REJECTED
} Decision;

/* What an entry's context says. */
typedef struct Awaiting
{
	bool		any;			/* undecided */
	Points		points;			/* then: how many await; else 0 */
	Decision	decision;
} Awaiting;

/* A row of confirmation. */
typedef struct Confirmation
{
	int64		member_id;
	int64		seq;			/* of the entry that began to await */
	int32		program_id;
	int32		rule_id;
	int32		source_id;
	text	   *source_key;
	Points		points;			/* 0 once decided or returned */
	DateADT		due;			/* at its start silence decides; DATEVAL_NOEND: never */
	bool		silence_accepts;
	DateADT		starts;			/* life span that silence gives: DATEVAL_NOBEGIN at once */
	DateADT		ends;
	Decision	decision;
	TimestampTz decided_at;
	int64		decided_seq;	/* of the entry that says so; 0: none */
	bool		by_silence;
	text	   *key;			/* NULL: none */
	text	   *note;			/* likewise */
} Confirmation;

/* accepted, rejected; NULL for none. */
extern const char *decision_name(Decision decision);

/* What the context (NULL: none) says; 22023 where it is malformed. */
extern void awaiting_read(const Jsonb *context, Awaiting *awaiting);

/*
 * Rows of a member as the snapshot sees them, in the order in which silence
 * decides: those undecided that are due by a day (DATEVAL_NOEND: all undecided),
 * or all.  Nothing is planned.
 */
extern List *awaiting_list_open(Config *config, int64 member_id, Snapshot snapshot, DateADT due_by);
extern List *awaiting_list(Config *config, int64 member_id, Snapshot snapshot);

/* The row of an entry; NULL: there is none. */
extern Confirmation *awaiting_find(Config *config, int64 member_id, int64 seq, Snapshot snapshot);

/*
 * Rows of a member on which silence has decided by a time and nobody has
 * written it down, in the order in which it did; what still awaits is added to
 * *pending.  "past": as of that time.  Inside store_begin_read.
 */
extern List *awaiting_silent(Config *config, Store *store, Snapshot snapshot, const Program *program,
							 const MemberRow *member, TimestampTz at, bool past, Points *pending);

#endif							/* LOYALTY_AWAITING_H */
