/*
 * profile.h
 *		What rules read of members beside their ledger.
 */
#ifndef LOYALTY_PROFILE_H
#define LOYALTY_PROFILE_H

#include "earning/fact.h"
#include "ledger/config.h"

/* The member's PROFILE_FACTS as the snapshot sees them; null where nothing is known. */
extern void profile_load(Config *config, Snapshot snapshot, int64 member_id, FactValues *facts);

#endif							/* LOYALTY_PROFILE_H */
