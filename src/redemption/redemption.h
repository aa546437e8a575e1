/*
 * redemption.h
 *		What was redeemed: one row a redemption, beside the entry that took its points.
 *
 * A redeem entry of a reward has context {"reward": name, ...}; its row in
 * redemption has the same member_id and seq, which is the redemption's number
 * for its member.  The lock on the member's row guards his redemptions.
 */
#ifndef LOYALTY_REDEMPTION_H
#define LOYALTY_REDEMPTION_H

#include "postgres.h"

#include "ledger/config.h"
#include "ledger/storage.h"
#include "redemption/reward.h"

typedef enum RedemptionStatus
{
	REDEMPTION_REQUESTED,
	REDEMPTION_CONFIRMED,
	REDEMPTION_FULFILLED,
	REDEMPTION_CANCELLED
} RedemptionStatus;

typedef enum VoucherState
{
	VOUCHER_NONE,				/* it has none, or not yet */
	VOUCHER_DUE,				/* for whoever asks: nobody would have seen the code */
	VOUCHER_ISSUED
} VoucherState;

/* A row of redemption. */
typedef struct RedemptionRow
{
	int64		member_id;
	int64		seq;
	Points		points;
	TimestampTz requested_at;
	TimestampTz confirmed_at;	/* DT_NOBEGIN: not yet; likewise the next two */
	TimestampTz fulfilled_at;
	TimestampTz cancelled_at;
	int32		program_id;
	int32		reward_id;
	int			quantity;
	int			returned;
	int			backordered;
	int			stocked;
	DateADT		stock_period;	/* DATEVAL_NOEND: none */
	Numeric		price;			/* NULL: none */
	RedemptionStatus status;
	text	   *option;
	VoucherState voucher;
	bool		automatic;
	text	   *purchase;		/* NULL: none; likewise what follows */
	text	   *requested_by;
	text	   *confirmed_by;
	text	   *fulfilled_by;
	text	   *cancelled_by;
	text	   *reference;
	text	   *note;
} RedemptionRow;

extern const char *redemption_status_name(RedemptionStatus status);

/*
 * To be called by whoever redeems, before he looks for the reward: from here to
 * the end of the transaction no reward goes, or gets another name.
 */
extern Config *redemption_begin(void);

/* The other side: wait for all who redeem, and keep others from it. */
extern void redemption_keep_others(void);

/* Who is acting, where nobody is named: the current role. */
extern text *redemption_actor(void);

/* The row as the snapshot sees it; false when there is none. */
extern bool redemption_find(Config *config, Snapshot snapshot, int64 member_id, int64 seq, RedemptionRow *row);

/* Whether the member's entry redeemed a reward, as of now. */
extern bool redemption_exists(Config *config, int64 member_id, int64 seq);

/* One of the member's that is not done with: not fulfilled yet, or its voucher not issued; false when there is none. */
extern bool redemption_find_open(Config *config, Snapshot snapshot, int64 member_id, RedemptionRow *row);

/*
 * The member's units of a reward that stand, redeemed in the period in which
 * "at" is, and those of whoever is merged into him.
 */
extern int64 redemption_units(Config *config, Snapshot snapshot, const Program *program, int64 member_id,
							  const Reward *reward, TimestampTz at);

extern void redemption_insert(Config *config, const RedemptionRow *row);
extern void redemption_update(Config *config, const RedemptionRow *row);

/*
 * Move the row on as far as nothing keeps it, and leave it to the caller to be
 * written: a reward that needs no confirmation is confirmed, one that needs no
 * fulfillment fulfilled, and its voucher is issued, unless nobody is "looking"
 * and its code could not be shown again.  "agreed": somebody has confirmed it.
 * Returns the code of a voucher that was issued now, else NULL.
 */
extern char *redemption_advance(Config *config, const Program *program, const Reward *reward,
								const MemberRow *member, RedemptionRow *row, bool agreed, bool looking,
								text *actor, TimestampTz at);

/* What keeps it from being fulfilled; NULL: nothing. */
extern const char *redemption_why(const RedemptionRow *row);

/*
 * Called by cancel with the member locked, before anything is posted: "points"
 * more of a redemption's points go back, "before" went back earlier, of
 * "taken".  Returns stock, voids or reduces the voucher, marks the row
 * cancelled when all is back.  Raises an error to refuse: LY025 for a voucher
 * that was used.
 */
extern void redemption_give_back(Config *config, Store *store, const Program *program,
								 const MemberRow *member, int64 seq,
								 Points taken, Points before, Points points,
								 const text *reason, TimestampTz at);

#endif							/* LOYALTY_REDEMPTION_H */
