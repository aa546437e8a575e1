/*
 * subject.c
 *		Members as rules see them.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "earning/subject.h"
#include "types/calendar.h"

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

MemberUsage *
subjects_load(Config *config, const Program *program, const RuleSet *rules, Snapshot snapshot,
			  TimestampTz earliest, Subject *subjects, int nsubjects, int *nusages)
{
	int64	   *ids = palloc(sizeof(int64) * Max(nsubjects, 1));
	Profile    *profiles = NULL;
	MemberUsage *usages = NULL;
	int			nids = 0;
	int			i;

	*nusages = 0;
	for (i = 0; i < nsubjects; i++)
		if (subjects[i].member != NULL)
			ids[nids++] = subjects[i].member->member_id;
	if (nids == 0 || ((rules->reads & PROFILE_FACTS) == 0 && !rules->has_limits))
		return NULL;

	qsort(ids, nids, sizeof(int64), compare_ids);
	PushActiveSnapshot(snapshot);
	if (rules->reads & PROFILE_FACTS)
		profiles = profiles_load(config, ids, nids);
	if (rules->has_limits)
	{
		usages = limits_load(config, rules, ids, nids,
							 calendar_start_of_period(calendar_day(earliest, program->zone), PERIOD_YEAR));
		*nusages = nids;
	}
	PopActiveSnapshot();

	for (i = 0; i < nsubjects; i++)
	{
		Subject    *subject = &subjects[i];
		int64	   *place;

		if (subject->member == NULL)
			continue;
		place = bsearch(&subject->member->member_id, ids, nids, sizeof(int64), compare_ids);
		subject->profile = profiles == NULL ? NULL : &profiles[place - ids];
		subject->usage = usages == NULL ? NULL : &usages[place - ids];
	}
	return usages;
}
