/*
 * rule.h
 *		The rules of a program, ready for evaluation.
 */
#ifndef LOYALTY_RULE_H
#define LOYALTY_RULE_H

#include "datatype/timestamp.h"

#include "earning/expression.h"
#include "earning/fact.h"
#include "ledger/config.h"
#include "types/award.h"
#include "types/calendar.h"
#include "types/rational.h"

/* The facts of a line that rules list names of. */
typedef enum ListedFact
{
	LISTED_ITEMS,
	LISTED_CATEGORIES,
	LISTED_STORES,
	LISTED_CHANNELS,
	NLISTED
} ListedFact;

extern Fact const listed_facts[NLISTED];

/* Names in order of their bytes. */
typedef struct NameList
{
	bool		given;			/* false: the rule does not ask */
	int			nnames;
	text	  **names;
} NameList;

/* Limits that depend on what was given before. */
typedef struct RuleLimits
{
	bool		any;			/* there is one of them */
	Points		member_cap;		/* 0: none */
	int			member_times;	/* 0: none */
	CalendarPeriod cap_period;
	bool		reject;			/* cap_mode; else reduce */
	bool		once;
	Interval   *cooldown;		/* NULL: none */
	Points		budget;			/* 0: none */
	CalendarPeriod budget_period;
} RuleLimits;

/* An end that a rule had before it was moved. */
typedef struct FormerEnd
{
	int32		version;		/* purchases with a smaller horizon are judged by it */
	TimestampTz until;
	bool		until_inclusive;
} FormerEnd;

typedef struct Rule
{
	int32		rule_id;
	int32		lineage;		/* rule_id of its first version */
	char	   *name;
	int			event;			/* rule_event() of its name */
	Award		award;			/* kind 0: award_points in its place */
	Rational	rate;			/* what the award gives per unit, step or item, or its factor */
	Expression *award_points;	/* NULL: none */
	Expression *condition;		/* NULL: none */
	NameList	include[NLISTED];
	NameList	exclude[NLISTED];
	bool		asks_lines;		/* a condition or a list: it need not be about every line */
	Rational	min_amount;
	Rational	min_quantity;
	Rational	purchase_cap;	/* zero: none */
	FactSet		reads;
	int			exclusive_group;	/* 0: none; equal in a group */
	char	   *group_name;		/* its name */
	bool		stop;
	RuleLimits	limits;
	TimestampTz active_from;	/* DT_NOBEGIN: always was */
	bool		from_inclusive;
	TimestampTz active_until;	/* DT_NOEND: always will be */
	bool		until_inclusive;
	int			nformer;
	FormerEnd  *former;			/* in order of version */
	bool		has_expiry;		/* of its own */
	bool		has_pending;	/* likewise */
	Expiry		expiry;			/* the rule's, else the program's */
	int			pending_days;	/* likewise */
	bool		qualifies;		/* its points count toward tiers */
	bool		confirm;		/* what it gives awaits confirmation */
	int			confirm_days;	/* within which somebody may decide; -1: silence never does */
	bool		silence_accepts;
} Rule;

typedef struct RuleSet
{
	int32		horizon;		/* the greatest rule_id or version there is */
	int			nrules;
	Rule	   *rules;			/* greatest priority first, then the newer */
	int			nevents;
	char	  **events;			/* their names; the first is "purchase" */
	FactSet		reads;			/* by any rule */
	bool		has_limits;		/* any rule */
	bool		has_confirm;	/* likewise */
	Machine		machine;		/* where their expressions find the facts */
} RuleSet;

#define EVENT_PURCHASE 0
#define EVENT_UNKNOWN (-1)		/* no rule is about it */

extern RuleSet *rule_set(Config *config, Program *program);

/* A rule by its number; XX001 when there is none. */
extern const Rule *rule_by_id(const RuleSet *set, int32 rule_id);

/* The number of an event by its name. */
extern int	rule_event(const RuleSet *set, const char *name);

/* Whether the rule existed for a purchase with this horizon, and was active at its time. */
extern bool rule_existed(const Rule *rule, int32 horizon);
extern bool rule_was_active(const Rule *rule, int32 horizon, TimestampTz at);

/* The day at whose start silence decides on a purchase of that day; DATEVAL_NOEND: never. */
extern DateADT rule_silence_day(const Rule *rule, DateADT day);

/* Whether the rule is about a line with this value of a listed fact (NULL: none). */
extern bool rule_lists(const Rule *rule, ListedFact listed, const text *value);

/*
 * To be called when purchases are judged: rules that this transaction made are
 * in force from then on, and change no more.
 */
extern void rule_set_used(void);
extern bool rule_set_was_used(void);

#endif							/* LOYALTY_RULE_H */
