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

typedef struct Subject
{
	MemberRow  *member;			/* purchases are counted in it; NULL: nobody */
	const Profile *profile;		/* NULL: no rule reads any */
	MemberUsage *usage;			/* NULL: no rule is limited */
} Subject;

/*
 * Read with the snapshot, which must stay until they are done with, what rules
 * need to know of the subjects' members for purchases from "earliest" on; what
 * limits have counted before its year is read when it is asked for.  Returns the
 * counts, *nusages of them; NULL when no rule is limited.
 */
extern MemberUsage *subjects_load(Config *config, const Program *program, const RuleSet *rules,
								  Snapshot snapshot, TimestampTz earliest,
								  Subject *subjects, int nsubjects, int *nusages);

#endif							/* LOYALTY_SUBJECT_H */
