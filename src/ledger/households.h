/*
 * households.h
 *		Members who share one balance.
 *
 * Each keeps a ledger of his own and earns into it; what they share is what can
 * be spent (redemption/household.h), and what balance shows.
 */
#ifndef LOYALTY_HOUSEHOLDS_H
#define LOYALTY_HOUSEHOLDS_H

#include "utils/snapshot.h"

#include "ledger/config.h"

typedef struct HouseholdMember
{
	int64		member_id;
	bool		may_spend;
	TimestampTz joined_at;
} HouseholdMember;

typedef struct Household
{
	int64		household_id;
	int32		program_id;
	text	   *name;
	int64		head_id;
	int			max_members;	/* 0: any number */
	bool		points_stay;	/* on_leave; else each takes his own along */
	Interval   *cooldown;		/* NULL: none */
	int			nmembers;
	HouseholdMember *members;	/* in order of member_id */
} Household;

/* The household by its number, as the snapshot sees it; false when there is none. */
extern bool household_find(Config *config, Snapshot snapshot, int64 household_id, Household *household);

/* The one that the member is in; false: in none. */
extern bool household_of(Config *config, Snapshot snapshot, int64 member_id, Household *household);

/* When the member last left one, if he is in none; DT_NOBEGIN: never. */
extern TimestampTz household_left_at(Config *config, Snapshot snapshot, int64 member_id);

/* What it says of one of its members; NULL: he is none. */
extern HouseholdMember *household_member(const Household *household, int64 member_id);

#endif							/* LOYALTY_HOUSEHOLDS_H */
