/*
 * redemption.h
 *		What was redeemed: one row a redemption, beside the entry that took its points.
 *
 * A redeem entry of a reward has context {"reward": name, ...}; its row in
 * redemption has the same member_id and seq, which is the redemption's number
 * for its member.
 */
#ifndef LOYALTY_REDEMPTION_H
#define LOYALTY_REDEMPTION_H

#include "postgres.h"

#include "ledger/config.h"
#include "ledger/storage.h"

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
