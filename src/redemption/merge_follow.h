/*
 * merge_follow.h
 *		What other tables hold about members, when these are merged or parted.
 *
 * The ledger moves by entries (merge.c); here is the place for what is kept by
 * member_id elsewhere.  Both members are locked, and brought up to date.
 */
#ifndef LOYALTY_MERGE_FOLLOW_H
#define LOYALTY_MERGE_FOLLOW_H

#include "ledger/config.h"
#include "ledger/storage.h"

/* Before anything is written: LY027 when something keeps them from being merged. */
extern void members_check_merge(Config *config, const Program *program, const MemberRow *from, const MemberRow *into);

/* After the ledger was written. */
extern void members_merged(Config *config, const Program *program, const MemberRow *from, const MemberRow *into,
						   TimestampTz at);
extern void members_unmerged(Config *config, const Program *program, const MemberRow *from, const MemberRow *into,
							 TimestampTz at);

#endif							/* LOYALTY_MERGE_FOLLOW_H */
