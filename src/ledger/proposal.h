/*
 * proposal.h
 *		Adjustments that await a second person.
 *
 * The row of a proposal is guarded by its member's lock.  Its name is the
 * member_id, "#" and its number for him: it says nothing about a person, and
 * stays when he is merged.
 */
#ifndef LOYALTY_PROPOSAL_H
#define LOYALTY_PROPOSAL_H

#include "ledger/actor.h"
#include "ledger/config.h"
#include "ledger/storage.h"

typedef enum ProposalState
{
	PROPOSAL_OPEN,
	PROPOSAL_APPROVED,
	PROPOSAL_DECLINED,
	PROPOSAL_WITHDRAWN
} ProposalState;

/* A row of proposal. */
typedef struct ProposalRow
{
	int64		member_id;
	int32		number;
	int32		program_id;
	Points		points;
	bool		has_expires;
	DateADT		expires;
	text	   *note;			/* NULL: none; likewise the key */
	text	   *key;
	bool		at_given;
	TimestampTz at;
	ProposalState state;
	Actor		proposer;
	Actor		decider;		/* of one that is decided */
	int64		entry_member_id;	/* of one that is approved: whose entry */
	int64		entry_seq;
} ProposalRow;

extern const char *proposal_state_name(ProposalState state);
extern char *proposal_name(const ProposalRow *row);

/* By its name in the program; false when there is none. */
extern bool proposal_find(Config *config, const Program *program, const text *name, ProposalRow *row);

/* By the key of the act; false when there is none. */
extern bool proposal_find_key(Config *config, int64 member_id, const text *key, ProposalRow *row);

/* Write a new one, which gets its number; 40001 when somebody was faster. */
extern void proposal_insert(Config *config, ProposalRow *row);

/* Write that it is decided; 40001 when somebody was faster. */
extern void proposal_decide(Config *config, const ProposalRow *row, const text *reason);

#endif							/* LOYALTY_PROPOSAL_H */
