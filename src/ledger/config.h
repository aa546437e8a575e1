/*
 * config.h
 *		Programs as every backend keeps them, and when it must read them again.
 *
 * One Config holds what was compiled from the tables program, currency_rate,
 * rule, tier, reward, reward_option, velocity_limit and source.  A change to any of them, to an
 * attached table, or to what their expressions may name, marks it stale; the next
 * operation builds a new one.  So does the first merge, household, choice or
 * forgotten member of a program, which it says there are.  The old one lives on until the last
 * operation that holds it has ended, so nobody's pointers go bad under him.
 */
#ifndef LOYALTY_CONFIG_H
#define LOYALTY_CONFIG_H

#include "postgres.h"
#include "pgtime.h"
#include "utils/hsearch.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

#include "types/calendar.h"
#include "types/expiry.h"
#include "types/points.h"
#include "types/qualification.h"
#include "types/rational.h"

/* program.clawback */
typedef enum ClawbackPolicy
{
	CLAWBACK_NONE,
	CLAWBACK_PENDING,
	CLAWBACK_AVAILABLE,
	CLAWBACK_DEBT
} ClawbackPolicy;

/* program.stacking */
typedef enum Stacking
{
	STACKING_ADD,				/* 1 + the sum of (x - 1) */
	STACKING_MULTIPLY,
	STACKING_BEST				/* the greatest x */
} Stacking;

/* program.tier_downgrade */
typedef enum Downgrade
{
	DOWNGRADE_NONE,
	DOWNGRADE_ONE,				/* one tier down */
	DOWNGRADE_EARNED			/* to what is earned */
} Downgrade;

struct AccessList;				/* ledger/access.c */
struct RateSet;					/* earning/rate.c */
struct RewardSet;				/* redemption/reward.h */
struct RuleSet;					/* earning/rule.h */
struct TierSet;					/* tiers/tier.h */
struct VelocitySet;				/* ledger/velocity.c */

typedef struct Program
{
	int32		program_id;
	char	   *name;
	char	   *currency;		/* of amounts; NULL: none */
	pg_tz	   *zone;
	Expiry		expiry;
	int			pending_days;
	int			points_scale;
	Rounding	rounding;
	Stacking	stacking;
	ClawbackPolicy clawback;
	bool		auto_enroll;
	bool		has_aliases;	/* any row in member_alias */
	bool		has_merges;		/* any row there, or in member_merge */
	bool		has_households; /* any row in household */
	bool		has_forgotten;	/* any row in forgotten */
	bool		has_forgotten_purchases;	/* any row there */
	bool		has_velocity;	/* any row in velocity_limit */
	Qualification tier_window;
	bool		tier_match_all; /* tier_match; else any */
	bool		tier_has_validity;
	Expiry		tier_validity;	/* if there is one */
	Downgrade	tier_downgrade;
	int			tier_grace;		/* days */
	text	   *base_tier;		/* everyone's; NULL: there is none */
	int32		base_rank;		/* its rank */
	Numeric		point_value;	/* NULL: points are not money */
	Points		spend_minimum;	/* 0: none, of the next two too */
	Points		spend_step;
	Points		spend_maximum;
	Numeric		spend_share;	/* NULL: none */
	bool		transfer_enabled;
	bool		transfer_restart;	/* transfer_policy; else keep */
	Points		transfer_minimum;	/* 0: none, of the next two too */
	Points		transfer_maximum;
	Points		transfer_cap;
	CalendarPeriod transfer_cap_period;
	Interval	hold_ttl;
	bool		has_reinstate;
	Expiry		reinstate;		/* if there is one; else such points lapse */
	bool		has_retention;	/* members are forgotten after a time */
	Points		adjust_limit;	/* 0: none */
	struct RateSet *rates;		/* read when first asked for */
	struct RuleSet *rules;		/* likewise */
	struct TierSet *tiers;		/* likewise */
	struct RewardSet *rewards;	/* likewise */
	struct VelocitySet *velocity;	/* likewise */
} Program;

typedef struct Config
{
	MemoryContext context;
	int			users;			/* operations that hold it */
	bool		stale;
	Oid			owner;			/* of the extension's tables */
	Oid			program_rel;
	Oid			access_rel;
	Oid			rate_rel;
	Oid			rule_rel;
	Oid			tier_rel;
	Oid			velocity_rel;
	Oid			source_rel;
	Oid			member_rel;
	Oid			entry_rel;
	Oid			tier_change_rel;
	Oid			alias_rel;
	Oid			budget_rel;
	Oid			usage_rel;
	Oid			profile_rel;
	Oid			confirmation_rel;
	Oid			hold_rel;
	Oid			merge_rel;
	Oid			merge_into_index;	/* over it, by into whom */
	Oid			household_rel;
	Oid			household_member_rel;
	Oid			household_member_index;	/* over it, by household */
	Oid			reward_rel;
	Oid			option_rel;
	Oid			stock_rel;
	Oid			redemption_rel;
	Oid			choice_rel;
	Oid			forgotten_rel;
	Oid			forgotten_purchase_rel;
	int			nprograms;
	Program    *programs;
	struct AccessList *access;	/* read when first asked for */
	HTAB	   *sources;		/* earning/source.c's, by source_id and relation */
	HTAB	   *watched;		/* attached tables whose change makes it stale */
	bool		uses_types;		/* rules do, so that a change of any makes it stale */
} Config;

extern void config_init(void);

/* The valid Config, held until CurrentMemoryContext is reset or deleted. */
extern Config *config_get(void);

/* The snapshot that configuration is read with. */
extern Snapshot config_snapshot(void);

/* Makes a change of the relation mark this Config stale. */
extern void config_watch(Config *config, Oid relid);

/* Marks it stale in every backend, when this transaction commits. */
extern void config_invalidate(Config *config);

/*
 * The first merge of a program may have committed since its terms were read.
 * Whoever has locked members looks whether it has, and notes it at once when one
 * of them turns out to be merged: what has_merges lets him skip would be missed.
 */
extern void config_look_for_merges(Config *config, const Program *program);
extern void config_note_merges(Config *config, const Program *program);

/*
 * A program by its name (a text datum; NULL means the default: the setting
 * loyalty.program, else the only program).  LY004 when there is none.
 */
extern Program *config_program(Config *config, const text *name);
/* The name that is meant: as given, else the setting loyalty.program; NULL: none. */
extern char *config_wanted_program(const text *name);

/* LY004 for a name that no program has, and where none is named among several. */
extern void config_unknown_program(const char *name) pg_attribute_noreturn();
extern void config_several_programs(int count) pg_attribute_noreturn();

extern Program *config_program_if_named(Config *config, const text *name);	/* NULL where none is named */
extern Program *config_program_by_id(Config *config, int32 program_id); /* NULL: none */
extern Program *config_program_by_name(Config *config, const char *name);	/* NULL: none */

/* By its number, for a run that outlives commits: LY004 when the program is gone by now. */
extern Program *config_program_still(Config *config, int32 program_id);

/* Whole days of an interval; 22023 naming "what" for anything else. */
extern int	config_whole_days(const Interval *interval, const char *what);

#endif							/* LOYALTY_CONFIG_H */
