/*
 * redeem.h
 *		A reward for points, in one step.
 */
#ifndef LOYALTY_REDEEM_H
#define LOYALTY_REDEEM_H

#include "ledger/storage.h"
#include "redemption/household.h"
#include "redemption/redemption.h"
#include "redemption/reward.h"

/* What is asked for. */
typedef struct RedeemRequest
{
	const Reward *reward;
	text	   *option;			/* NULL: the cheapest that asks no money */
	int			quantity;
	text	   *purchase;		/* NULL: none */
	text	   *note;
	text	   *source_key;		/* NULL: none */
	TimestampTz at;
	bool		at_given;
	bool		automatic;		/* the member chose it once; nobody looks */
	Sharing    *sharing;		/* with whom he shares his balance; NULL: with nobody */
} RedeemRequest;

typedef struct RedeemResult
{
	RedemptionRow row;
	const EntryRow *entry;		/* until the store is flushed */
	char	   *voucher;		/* NULL: none, or none yet */
} RedeemResult;

/*
 * Redeem for a member who is locked: check, take points and stock, write all of
 * it, issue the voucher.  LY019 to LY022, LY001, LY003, LY026.
 */
extern void redeem_reward(Config *config, Program *program, Store *store, MemberRow *member,
						  const RedeemRequest *request, RedeemResult *result);

/*
 * The points that one unit would take of the member, locked or not, and that he
 * can pay so; LY019, LY020 or LY022 with the reason if he cannot have it.
 */
extern Points redeem_cost(Config *config, Program *program, Store *store, MemberRow *member,
						  const Reward *reward, const text *option, TimestampTz at);

/* What redeeming answers, as a row of the function's result. */
typedef struct RedeemAnswer
{
	int64		entry;
	Points		points;
	Points		balance;
	bool		repeated;
	const char *voucher;		/* NULL: none */
	const RedemptionRow *row;
	const char *why;			/* NULL: as the row says */
} RedeemAnswer;

extern Datum redeem_answer(FunctionCallInfo fcinfo, const RedeemAnswer *answer);

#endif							/* LOYALTY_REDEEM_H */
