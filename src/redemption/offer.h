/*
 * offer.h
 *		Who can have which reward, and how he can pay for it.
 *
 * Redeeming and the catalogue ask the same questions here; the one raises what
 * the other lists.
 */
#ifndef LOYALTY_OFFER_H
#define LOYALTY_OFFER_H

#include "ledger/storage.h"
#include "redemption/reward.h"

/* A member before the rewards of his program. */
typedef struct Buyer
{
	Config	   *config;
	Program    *program;
	RewardSet  *set;
	Store	   *store;
	Snapshot	snapshot;
	MemberRow  *row;			/* NULL: nobody knows him */
	TimestampTz at;
	FactSet		loaded;
	FactValues	facts;
} Buyer;

/* Why not. */
typedef struct Refusal
{
	int			code;			/* SQLSTATE */
	const char *why;			/* NULL: he can */
	const char *detail;			/* NULL: none */
} Refusal;

/* What follows reads inside store_begin_read with the snapshot, which must stay. */
extern void buyer_begin(Buyer *buyer, Config *config, Program *program, Store *store, Snapshot snapshot,
						MemberRow *row, TimestampTz at);

/* The reward is to be had now, and he is one of those who can; LY020 if not. */
extern bool offer_is_open(Buyer *buyer, const Reward *reward, Refusal *refusal);

/* He may pay so. */
extern bool offer_option_is_open(Buyer *buyer, const Reward *reward, const RewardOption *option, Refusal *refusal);

/*
 * How he pays: by the option named, else by the cheapest in points that asks
 * for no money.  NULL: he cannot; LY019 for an option that there is not.
 */
extern const RewardOption *offer_choose(Buyer *buyer, const Reward *reward, const text *named, Refusal *refusal);

/* How many units he may have in one go; 0 and LY022 when there are none left for him. */
extern int64 offer_most(Buyer *buyer, const Reward *reward, Refusal *refusal);

extern void refusal_raise(const Refusal *refusal) pg_attribute_noreturn();

#endif							/* LOYALTY_OFFER_H */
