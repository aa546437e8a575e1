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
	/* for what is asked for */
	Config	   *config;
	Snapshot	snapshot;
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
 * What the member has had of limited rules: each count is read, as the snapshot
 * sees it, when it is first asked for.  So the snapshot must stay meanwhile.
 */
extern void limits_begin(MemberUsage *usage, Config *config, Snapshot snapshot, int64 member_id);

/* Forget what was granted since. */
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
