/*
 * offer.c
 *		Who can have which reward, and how he can pay for it.
 *
 * Facts of a member are read when a reward asks for them, and once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "earning/profile.h"
#include "earning/qualify.h"
#include "earning/rule.h"
#include "ledger/act.h"
#include "loyalty.h"
#include "redemption/offer.h"
#include "redemption/redemption.h"
#include "tiers/standing.h"
#include "types/tally.h"

void
buyer_begin(Buyer *buyer, Config *config, Program *program, Store *store, Snapshot snapshot,
			MemberRow *row, TimestampTz at)
{
	memset(buyer, 0, sizeof(*buyer));
	buyer->config = config;
	buyer->program = program;
	buyer->set = reward_set(config, program);
	buyer->store = store;
	buyer->snapshot = snapshot;
	buyer->row = row;
	buyer->at = at;
	memset(buyer->facts.nulls, true, sizeof(buyer->facts.nulls));
}

static void
set_fact(Buyer *buyer, Fact fact, Datum value, bool isnull)
{
	buyer->facts.values[fact] = value;
	buyer->facts.nulls[fact] = isnull;
}

/* The tier that the member had then, and what counted in its window. */
static void
load_tier(Buyer *buyer, FactSet asked)
{
	RuleSet    *rules = rule_set(buyer->config, buyer->program);
	/* What is worked out here is not to be written with the row. */
	MemberRow	row = *buyer->row;
	Standing   *standing = qualify_begin(buyer->program, rules, tier_set(buyer->config, buyer->program), buyer->store, &row);

	if (asked & FACT_BIT(FACT_TIER))
	{
		text	   *tier = standing_tier_at(standing, buyer->at);

		set_fact(buyer, FACT_TIER, PointerGetDatum(tier), tier == NULL);
	}
	if (asked & FACT_BIT(FACT_QUALIFYING))
	{
		TallyTotals totals;

		standing_totals(standing, calendar_day(buyer->at, buyer->program->zone), &totals);
		set_fact(buyer, FACT_QUALIFYING, NumericGetDatum(tally_amount_to_numeric(totals.amount)), false);
	}
}

static void
load_facts(Buyer *buyer, FactSet asked)
{
	pg_tz	   *zone = buyer->program->zone;

	asked &= ~buyer->loaded;
	if (asked == 0)
		return;
	buyer->loaded |= asked;
	if (asked & FACT_BIT(FACT_AT))
		set_fact(buyer, FACT_AT, TimestampGetDatum(calendar_local(buyer->at, zone)), false);
	/* Who is nobody yet would begin where everybody does. */
	if (buyer->row == NULL)
	{
		set_fact(buyer, FACT_TIER, PointerGetDatum(buyer->program->base_tier), buyer->program->base_tier == NULL);
		return;
	}
	if (asked & FACT_BIT(FACT_ENROLLED_AT))
		set_fact(buyer, FACT_ENROLLED_AT, TimestampGetDatum(calendar_local(buyer->row->enrolled_at, zone)), false);
	if (asked & PROFILE_FACTS)
	{
		FactValues	profile;
		int			fact;

		profile_load(buyer->config, buyer->snapshot, buyer->row->member_id, &profile);
		for (fact = 0; fact < NFACTS; fact++)
			if (PROFILE_FACTS & FACT_BIT(fact))
				set_fact(buyer, (Fact) fact, profile.values[fact], profile.nulls[fact]);
		buyer->loaded |= PROFILE_FACTS;
	}
	if (asked & TIER_FACTS)
		load_tier(buyer, asked);
}

/* NULL is no, as in a WHERE. */
static bool
is_met(Buyer *buyer, const Expression *condition)
{
	Machine    *machine = &buyer->set->machine;
	bool		isnull;
	Datum		value;
	int			fact;

	if (condition == NULL)
		return true;
	load_facts(buyer, condition->reads & REWARD_FACTS);
	for (fact = 0; fact < NFACTS; fact++)
		if (REWARD_FACTS & FACT_BIT(fact))
			machine_set(machine, (Fact) fact, buyer->facts.values[fact], buyer->facts.nulls[fact]);
	value = expression_run(condition, machine, &isnull);
	return !isnull && DatumGetBool(value);
}

static bool
refuse(Refusal *refusal, int code, const char *why, const char *detail)
{
	refusal->code = code;
	refusal->why = why;
	refusal->detail = detail;
	return false;
}

/* The instant as the program's people write it. */
static char *
time_text(const Buyer *buyer, TimestampTz at)
{
	int			level = settings_pin();
	char	   *text = DatumGetCString(DirectFunctionCall1(timestamp_out,
														   TimestampGetDatum(calendar_local(at, buyer->program->zone))));

	settings_unpin(level);
	return text;
}

bool
offer_is_open(Buyer *buyer, const Reward *reward, Refusal *refusal)
{
	const ActiveTime *active = &reward->active;

	refusal->why = NULL;
	if (buyer->at < active->from)
		return refuse(refusal, ERRCODE_LOYALTY_REWARD_UNAVAILABLE, "it is not to be had yet",
					  psprintf("Reward \"%s\" is active from %s.", reward->name, time_text(buyer, active->from)));
	if (!reward_is_active(active, buyer->at))
		return refuse(refusal, ERRCODE_LOYALTY_REWARD_UNAVAILABLE, "it is not to be had any more",
					  psprintf("Reward \"%s\" was active until %s.", reward->name, time_text(buyer, active->until)));
	if (!is_met(buyer, reward->condition))
		return refuse(refusal, ERRCODE_LOYALTY_REWARD_UNAVAILABLE, "its condition is not met",
					  psprintf("The member does not meet the condition of reward \"%s\".", reward->name));
	return true;
}

static bool
has_segment(const Buyer *buyer, const text *segment)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;

	if (buyer->facts.nulls[FACT_SEGMENTS])
		return false;
	deconstruct_array(DatumGetArrayTypeP(buyer->facts.values[FACT_SEGMENTS]), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (i = 0; i < count; i++)
		if (!nulls[i] && same_text(DatumGetTextPP(elements[i]), segment))
			return true;
	return false;
}

/* The tier that is asked, or a higher one. */
static bool
has_tier(Buyer *buyer, const text *asked)
{
	const TierSet *tiers = tier_set(buyer->config, buyer->program);
	int			needed = tier_by_name(tiers, asked);
	int			has = buyer->facts.nulls[FACT_TIER] ? NO_TIER
		: tier_by_name(tiers, DatumGetTextPP(buyer->facts.values[FACT_TIER]));

	return needed != NO_TIER && has != NO_TIER && tiers->tiers[has].rank >= tiers->tiers[needed].rank;
}

bool
offer_option_is_open(Buyer *buyer, const Reward *reward, const RewardOption *option, Refusal *refusal)
{
	int			code = ERRCODE_LOYALTY_REWARD_UNAVAILABLE;

	refusal->why = NULL;
	if (!reward_is_active(&option->active, buyer->at))
		return refuse(refusal, code, "one cannot pay so at this time",
					  psprintf("Option \"%s\" of reward \"%s\" is not active.", option->name, reward->name));
	if (option->tier != NULL)
	{
		load_facts(buyer, FACT_BIT(FACT_TIER));
		if (!has_tier(buyer, option->tier))
			return refuse(refusal, code, psprintf("it is for tier \"%s\"", text_to_cstring(option->tier)),
						  psprintf("Option \"%s\" of reward \"%s\" is for members of tier \"%s\" or a higher one.",
								   option->name, reward->name, text_to_cstring(option->tier)));
	}
	if (option->segment != NULL)
	{
		load_facts(buyer, FACT_BIT(FACT_SEGMENTS));
		if (!has_segment(buyer, option->segment))
			return refuse(refusal, code, psprintf("it is for segment \"%s\"", text_to_cstring(option->segment)),
						  psprintf("Option \"%s\" of reward \"%s\" is for members of segment \"%s\".",
								   option->name, reward->name, text_to_cstring(option->segment)));
	}
	if (!is_met(buyer, option->condition))
		return refuse(refusal, code, "the option's condition is not met",
					  psprintf("The member does not meet the condition of option \"%s\" of reward \"%s\".",
							   option->name, reward->name));
	return true;
}

const RewardOption *
offer_choose(Buyer *buyer, const Reward *reward, const text *named, Refusal *refusal)
{
	const RewardOption *best = NULL;
	bool		asks_money = false;
	Refusal		last = {ERRCODE_LOYALTY_REWARD_UNAVAILABLE, "there is no way to pay for it",
	psprintf("Reward \"%s\" has neither a cost nor options.", reward->name)};
	int			i;

	for (i = 0; i < reward->noptions; i++)
	{
		const RewardOption *option = &reward->options[i];

		if (named != NULL)
		{
			if (strlen(option->name) != VARSIZE_ANY_EXHDR(named) ||
				memcmp(option->name, VARDATA_ANY(named), VARSIZE_ANY_EXHDR(named)) != 0)
				continue;
			return offer_option_is_open(buyer, reward, option, refusal) ? option : NULL;
		}
		if (best != NULL && option->cost >= best->cost)
			continue;
		if (!offer_option_is_open(buyer, reward, option, refusal))
			last = *refusal;
		else if (option->price != NULL)
			asks_money = true;
		else
			best = option;
	}
	refusal->why = NULL;
	if (best != NULL)
		return best;
	if (named != NULL)
		(void) refuse(refusal, ERRCODE_LOYALTY_UNKNOWN_REWARD, "there is no such option",
					  psprintf("Reward \"%s\" has no option \"%s\".", reward->name, text_to_cstring(named)));
	else if (asks_money)
		(void) refuse(refusal, ERRCODE_LOYALTY_REWARD_UNAVAILABLE, "it asks for money beside the points",
					  psprintf("An option of reward \"%s\" that asks for money must be named.", reward->name));
	else
		*refusal = last;
	return NULL;
}

int64
offer_most(Buyer *buyer, const Reward *reward, Refusal *refusal)
{
	int64		most = reward->max_quantity > 0 ? reward->max_quantity : PG_INT32_MAX;
	int64		had;

	refusal->why = NULL;
	if (reward->member_cap == 0 || buyer->row == NULL)
		return reward->member_cap > 0 ? Min(most, reward->member_cap) : most;
	had = redemption_units(buyer->config, buyer->snapshot, buyer->program, buyer->row->member_id, reward, buyer->at);
	if (had >= reward->member_cap)
		(void) refuse(refusal, ERRCODE_LOYALTY_REWARD_LIMIT,
					  reward->cap_period == PERIOD_EVER ? "no more of it may be had"
					  : psprintf("no more of it may be had in the %s", calendar_period_name(reward->cap_period)),
					  psprintf("The member has had " INT64_FORMAT " of reward \"%s\"%s, %d are allowed.", had, reward->name,
							   reward->cap_period == PERIOD_EVER ? ""
							   : psprintf(" in the %s from %s", calendar_period_name(reward->cap_period),
										  act_day_text(calendar_start_of_period(calendar_day(buyer->at, buyer->program->zone),
																				reward->cap_period))),
							   reward->member_cap));
	return Max(Min(most, reward->member_cap - had), 0);
}

void
refusal_raise(const Refusal *refusal)
{
	const char *message = "the reward cannot be had";

	if (refusal->code == ERRCODE_LOYALTY_REWARD_LIMIT)
		message = "the reward's limit is reached";
	else if (refusal->code == ERRCODE_LOYALTY_OUT_OF_STOCK)
		message = "the reward is out of stock";
	else if (refusal->code == ERRCODE_LOYALTY_UNKNOWN_REWARD)
		message = "the reward has no such option";
	ereport(ERROR,
			(errcode(refusal->code),
			 refusal->code == ERRCODE_LOYALTY_REWARD_UNAVAILABLE
			 ? errmsg("%s: %s", message, refusal->why) : errmsg("%s", message),
			 refusal->detail == NULL ? 0 : errdetail_internal("%s", refusal->detail),
			 errhint("loyalty.catalogue says what a member can have, and why not.")));
}
