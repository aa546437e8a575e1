/*
 * adjust.h
 *		Points given or taken by hand.
 */
#ifndef LOYALTY_ADJUST_H
#define LOYALTY_ADJUST_H

#include "ledger/actor.h"
#include "ledger/posting.h"

/* What is asked for, of a member who is locked. */
typedef struct Adjustment
{
	Config	   *config;
	Program    *program;
	Store	   *store;
	MemberRow  *member;
	Points		points;
	bool		has_expires;
	DateADT		expires;
	text	   *note;
	text	   *source_key;		/* NULL: none */
	bool		at_given;
	TimestampTz at;
	Posting		posting;		/* of adjust_prepare and adjust_post */
	Purse		lots;
} Adjustment;

/* Bring the member up to date, in memory, and see whether it can be posted. */
extern void adjust_prepare(Adjustment *adjustment);

/* Post it; NULL: nobody else has approved it. */
extern EntryRow *adjust_post(Adjustment *adjustment, const Approval *approval);

#endif							/* LOYALTY_ADJUST_H */
