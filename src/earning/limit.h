/*
 * limit.h
 *		What rules may give a member, who has had something of them before.
 *
 * What a member has had of a limited rule is counted in rule_usage, by period.
 * His row's lock guards the counts too.
 */
#ifndef LOYALTY_LIMIT_H
#define LOYALTY_LIMIT_H

#include "earning/rule.h"
#include "ledger/config.h"

/* What a member has had of a rule (all its versions) in a period. */
typedef struct Usage
{
	int32		lineage;
	DateADT		period;			/* its first day; DATEVAL_NOBEGIN: ever */
	Points		points;
	int32		times;			/* purchases that stand rewarded */
	TimestampTz last_at;		/* of the last purchase that was; kept with "ever"; DT_NOBEGIN: none */
	bool		changed;
} Usage;

typedef struct MemberUsage
{
	int64		member_id;
	int			nusages;
	int			capacity;
	Usage	   *usages;
	int			nloaded;		/* as they were read, for limits_reset */
	Usage	   *loaded;
	/* for what was not read at once */
	Config	   *config;
	Snapshot	snapshot;
	DateADT		since;
} MemberUsage;

/* A purchase that asks for an award. */
typedef struct LimitRequest
{
	TimestampTz at;				/* of the purchase */
	Points		wanted;			/* what the rule gives without limits */
	bool		asked_before;	/* and then with these: */
	Points		wanted_before;
	Points		granted_before;
	bool		rewarded_before;	/* it has had points of the rule, be they taken back since */
	Points		budget_grant;	/* most that it may draw on the budget now */
} LimitRequest;

/*
 * What members have had of limited rules, read with the active snapshot, which
 * must stay until they are done with; the member_ids ascend.  Periods that
 * begin before the day "since" are read when they are asked for.
 */
extern MemberUsage *limits_load(Config *config, const RuleSet *rules, const int64 *member_ids,
								int nmembers, DateADT since);

/* Forget what was granted since limits_load. */
extern void limits_reset(MemberUsage *usage);

/* Whether once, member_times or cooldown keep the rule from a purchase of that time. */
extern bool limit_bars(const Program *program, const Rule *rule, MemberUsage *usage, TimestampTz at);

/*
 * What the rule gives within its limits; counted in "usage".  *drawn is what
 * that takes of the rule's budget, below zero when it gives back.
 */
extern Points limit_grant(const Program *program, const Rule *rule, MemberUsage *usage,
						  const LimitRequest *request, Points *drawn);

/* Write the counts that have changed. */
extern void limits_write(Config *config, MemberUsage *usages, int nmembers);

#endif							/* LOYALTY_LIMIT_H */
