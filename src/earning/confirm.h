/*
 * confirm.h
 *		What awaits confirmation, and what is decided of it.
 */
#ifndef LOYALTY_CONFIRM_H
#define LOYALTY_CONFIRM_H

#include "earning/limit.h"
#include "earning/settle.h"
#include "ledger/awaiting.h"
#include "ledger/posting.h"

/* On loading: members who are locked are brought current. */
extern void confirm_init(void);

/* Write down what the cases, which have been posted, let await. */
extern void confirm_write(const Settlement *settlement, const Case *cases, int ncases);

/* One decision, made in memory. */
typedef struct Decided
{
	const Confirmation *row;
	Decision	decision;
	TimestampTz at;
	bool		by_silence;
	text	   *key;			/* NULL: none */
	text	   *note;			/* likewise */
	int64		seq;			/* of its entry */
	/* what it gives back of the rule's budget */
	const Rule *rule;
	DateADT		period;
	Points		given_back;
} Decided;

/* Decisions about a locked member. */
typedef struct Deciding
{
	Config	   *config;
	const Program *program;
	Store	   *store;
	Snapshot	snapshot;
	RuleSet    *rules;
	TierSet    *tiers;
	Standing   *standing;		/* NULL: nobody asks */
	MemberUsage usage;
	Posting		posting;
	List	   *decided;		/* of Decided */
} Deciding;

/* The snapshot must stay until the decisions have been made. */
extern void confirm_begin(Deciding *deciding, Config *config, Store *store, Snapshot snapshot, MemberRow *member);

/*
 * Make a decision, or all that silence has made by a day, in memory.  Inside
 * store_begin_read.
 */
extern void confirm_decide(Deciding *deciding, const Confirmation *row, Decision decision, TimestampTz at,
						   bool by_silence, text *key, text *note);
extern void confirm_silence(Deciding *deciding, DateADT day);

/* Write the decisions about some members; returns how many. */
extern int	confirm_post(Deciding *deciding, int nmembers);

#endif							/* LOYALTY_CONFIRM_H */
