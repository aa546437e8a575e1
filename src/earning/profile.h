/*
 * profile.h
 *		What rules read of members beside their ledger.
 */
#ifndef LOYALTY_PROFILE_H
#define LOYALTY_PROFILE_H

#include "earning/fact.h"
#include "ledger/config.h"

typedef struct Profile
{
	int64		member_id;
	FactValues	facts;			/* PROFILE_FACTS; null where nothing is known */
} Profile;

/* The profiles of members, whose ids ascend, as the active snapshot sees them; one for each. */
extern Profile *profiles_load(Config *config, const int64 *member_ids, int nmembers);

#endif							/* LOYALTY_PROFILE_H */
