/*
 * reward.h
 *		The rewards of a program, ready to be redeemed.
 */
#ifndef LOYALTY_REWARD_H
#define LOYALTY_REWARD_H

#include "datatype/timestamp.h"

#include "earning/expression.h"
#include "ledger/config.h"
#include "redemption/voucher.h"
#include "types/calendar.h"

/* When something can be had; both bounds inclusive or not. */
typedef struct ActiveTime
{
	TimestampTz from;			/* DT_NOBEGIN: always could */
	bool		from_inclusive;
	TimestampTz until;			/* DT_NOEND: always will */
	bool		until_inclusive;
} ActiveTime;

/* A way to pay. */
typedef struct RewardOption
{
	char	   *name;
	Points		cost;			/* for one */
	Numeric		price;			/* NULL: no money */
	text	   *tier;			/* NULL: any, or none */
	text	   *segment;		/* NULL: likewise */
	Expression *condition;		/* NULL: none */
	ActiveTime	active;
} RewardOption;

/* The name of what the reward itself asks. */
#define BASE_OPTION "base"

#define STOCK_UNLIMITED (-1)

typedef struct Reward
{
	int32		reward_id;
	char	   *name;
	char	   *kind;
	char	   *title;			/* NULL: none */
	Expression *condition;		/* NULL: none */
	ActiveTime	active;
	int64		stock;
	CalendarPeriod stock_period;
	bool		backorder;
	int			member_cap;		/* 0: none */
	CalendarPeriod cap_period;
	int			max_quantity;	/* 0: none */
	bool		needs_confirmation;
	bool		needs_fulfillment;
	Interval   *auto_wait;		/* NULL: none */
	bool		has_voucher;
	VoucherTerms voucher;		/* if it has one, of one unit; without times */
	Interval   *valid_for;		/* NULL: for ever */
	int			noptions;
	RewardOption *options;		/* base first where there is one, then by name */
	FactSet		reads;			/* what its conditions, tiers and segments ask */
} Reward;

typedef struct RewardSet
{
	bool		has_choices;	/* somebody has chosen one to be redeemed by itself */
	int			nrewards;
	Reward	   *rewards;		/* by name */
	Machine		machine;		/* where conditions find the facts */
} RewardSet;

extern RewardSet *reward_set(Config *config, Program *program);

/* By its name or number; NULL: there is none. */
extern const Reward *reward_find(const RewardSet *set, const text *name);
extern const Reward *reward_by_id(const RewardSet *set, int32 reward_id);

/* The same; LY019 when there is none. */
extern const Reward *reward_named(const Program *program, const RewardSet *set, const text *name);

extern bool reward_is_active(const ActiveTime *active, TimestampTz at);

/* What a row of reward says of the voucher that it gives. */
enum
{
	VOUCHER_GIVEN, VOUCHER_PERCENT, VOUCHER_MAXIMUM, VOUCHER_WORTH, VOUCHER_ITEM, VOUCHER_POOL,
	VOUCHER_USES, VOUCHER_STORED, VOUCHER_BEARER, VOUCHER_MIN_AMOUNT, NVOUCHER_COLUMNS
};

typedef struct RewardVoucher
{
	const char *kind;			/* of the reward */
	Datum		values[NVOUCHER_COLUMNS];
	bool		nulls[NVOUCHER_COLUMNS];
} RewardVoucher;

extern const char *const reward_voucher_columns[NVOUCHER_COLUMNS];

/* Its terms for one unit, but for the times; false: it gives none. */
extern bool reward_voucher_terms(const RewardVoucher *row, VoucherTerms *terms);

#endif							/* LOYALTY_REWARD_H */
