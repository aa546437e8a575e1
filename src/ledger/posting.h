/*
 * posting.h
 *		The one way in which points move.
 *
 * A Posting gathers in memory what one statement does to one locked member:
 * entries with their numbers and hashes, and the member's row as it will be.
 * Nothing is written before posting_write, so whatever fails before it leaves
 * no trace.
 */
#ifndef LOYALTY_POSTING_H
#define LOYALTY_POSTING_H

#include "nodes/pg_list.h"

#include "ledger/config.h"
#include "ledger/storage.h"

/* source_id of acts through functions */
#define SOURCE_API 0

/* Longer keys would not fit into the index of entry. */
#define MAX_KEY_BYTES 2000

#define KIND_EARN "earn"
#define KIND_CLAWBACK "clawback"
#define KIND_EXPIRE "expire"
#define KIND_ADJUST "adjust"
#define KIND_RELEASE "release"
#define KIND_REDEEM "redeem"
#define KIND_REFUND "refund"
#define KIND_HOLD "hold"
#define KIND_IMPORT "import"
#define KIND_TRANSFER "transfer"

typedef struct Posting
{
	const Program *program;
	MemberRow  *member;
	TimestampTz posted_at;
	bool		settled;		/* the row has changed, with or without entries */
	bool		member_written; /* the row stands in its table as it is */
	bool		owns_purse;		/* the row's purse is the posting's own copy */
	int			nentries;
	int			capacity;
	EntryRow   *entries;
	int			nchanges;
	TierChangeRow *changes;
	List	   *holds;			/* rows that are new or changed */
	List	   *returns;		/* of rewards that paid for a returned purchase: redemption/returned.c's */
} Posting;

extern void posting_begin(Posting *posting, const Program *program, MemberRow *member);

/*
 * Write down what time has done to the member up to the day of "at", each
 * thing on the day it fell due: a debt is netted against lots that have opened,
 * lots that have lapsed expire.  To be called before anything else is posted.
 */
extern void posting_bring_current(Posting *posting, TimestampTz at);

/*
 * The same, and next_expiry, which postings only lower, is raised to what it
 * is.  False when nothing is left to be written.
 */
extern bool posting_settle(Posting *posting, TimestampTz at);

/*
 * Add an entry.  The caller fills kind, rule_id, source_id, source_key (NULL:
 * "#" and the number), revision, rule_horizon, occurred_at, amount, context
 * and note; lots say what moves.  Debt is netted in the same entry.  Returns
 * the entry, valid until the next is added.
 */
extern EntryRow *posting_add(Posting *posting, const EntryRow *entry, const Purse *lots);

/*
 * The same for what puts points back into the lots they came from: the entry's
 * lots are these and no others, whatever the member owes and whatever is over.
 * posting_even_out, once all of them are added, writes down the rest at their
 * time: a debt is netted, and what was put back under a life span that is over
 * lapses.
 */
extern EntryRow *posting_add_exact(Posting *posting, const EntryRow *entry, const Purse *lots);
extern void posting_even_out(Posting *posting, TimestampTz at);

/*
 * What a clawback of "wanted" points takes on "day" under the policy, as a
 * purse of negative lots: first from the life spans in "given" (what the
 * purchase gave and has not taken back), the rest as the policy says.  What was given
 * under a span that is over is neither taken nor owed.
 */
extern void posting_clawback_lots(const Posting *posting, Points wanted, const Purse *given,
								  DateADT day, Purse *lots);

/* The same under a policy of the caller's, for something else that was given. */
extern void posting_take_back_lots(const Posting *posting, ClawbackPolicy policy, Points wanted, const Purse *given,
								   DateADT day, Purse *lots);

/*
 * What an entry means to a member's lifetime points, the points that are held
 * for him, and his last activity: earning and redeeming are active, and entries
 * of imports and merges say themselves.
 */
extern void posting_count(const EntryRow *entry, Points *lifetime, Points *held, TimestampTz *last_activity);

/* Add a change of tier that the entry with this number made. */
extern void posting_add_tier_change(Posting *posting, const TierChangeRow *change, int64 seq);

/* Have a hold written with the rest, once, as it is then. */
extern void posting_put_hold(Posting *posting, HoldRow *hold);

/*
 * Write those of the rows that have not been written yet, NULL: nobody's, with
 * all that they have by now; each is the member of the posting at its place,
 * which does not write him again.  False, and none of them is, when somebody
 * else enrolls one.
 */
extern bool posting_enroll(Posting *postings, MemberRow *const *rows, int nrows, Store *store);

/* Write everything; the only function that does. */
extern void posting_write(Posting *posting, Store *store);

#endif							/* LOYALTY_POSTING_H */
