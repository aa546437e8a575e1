/*
 * subject.c
 *		Members as rules see them.
 */
#include "postgres.h"

#include "earning/subject.h"

MemberUsage *
subjects_load(Config *config, const RuleSet *rules, Snapshot snapshot,
			  Subject *subjects, int nsubjects, int *nusages)
{
	MemberUsage *usages = rules->has_limits ? palloc(sizeof(MemberUsage) * Max(nsubjects, 1)) : NULL;
	int			i;

	*nusages = 0;
	for (i = 0; i < nsubjects; i++)
	{
		Subject    *subject = &subjects[i];

		if (subject->member == NULL)
			continue;
		if (rules->reads & PROFILE_FACTS)
		{
			subject->profile = palloc(sizeof(FactValues));
			profile_load(config, snapshot, subject->member->member_id, subject->profile);
		}
		if (usages != NULL)
		{
			subject->usage = &usages[(*nusages)++];
			limits_begin(subject->usage, config, snapshot, subject->member->member_id);
		}
	}
	return usages;
}
