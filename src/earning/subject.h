/*
 * subject.h
 *		Members as rules see them.
 */
#ifndef LOYALTY_SUBJECT_H
#define LOYALTY_SUBJECT_H

#include "utils/snapshot.h"

#include "earning/limit.h"
#include "earning/profile.h"
#include "earning/rule.h"
#include "ledger/storage.h"
#include "tiers/standing.h"

typedef struct Subject
{
	MemberRow  *member;			/* purchases are counted in it; NULL: nobody */
	FactValues *profile;		/* PROFILE_FACTS; NULL: no rule reads any */
	MemberUsage *usage;			/* NULL: no rule is limited */
	Standing   *standing;		/* NULL: there are no tiers, and no rule asks */
} Subject;

/*
 * What rules need to know of the subjects' members, read with the snapshot,
 * which must stay until they are done with.  Returns what limits have counted,
 * *nusages of them; NULL when no rule is limited.
 */
extern MemberUsage *subjects_load(Config *config, const RuleSet *rules, Snapshot snapshot,
								  Subject *subjects, int nsubjects, int *nusages);

#endif							/* LOYALTY_SUBJECT_H */
