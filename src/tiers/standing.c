/*
 * standing.c
 *		Where a member stands: what counts toward tiers, and the tier he has.
 *
 * Changes of tier have a time of their own, so that a purchase that comes late
 * is judged by the tier at its own time, and the promotion that it makes dates
 * from it.  The tier at a time is that of the latest change up to it; of two at
 * one time the one written last counts.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"

#include "ledger/balance.h"
#include "loyalty.h"
#include "tiers/review.h"
#include "tiers/standing.h"
#include "types/calendar.h"

/*
 * Days kept beyond what the window of the last purchase needs, so that a
 * purchase that comes a little late does not have everything counted anew.
 */
#define SPARE_DAYS 31

void
standing_begin(Standing *standing, const Program *program, const TierSet *tiers, Store *store,
			   MemberRow *member, TallyCounter counter, void *counter_arg)
{
	memset(standing, 0, sizeof(*standing));
	standing->program = program;
	standing->tiers = tiers;
	standing->member = member;
	standing->store = store;
	standing->counter = counter;
	standing->counter_arg = counter_arg;
	standing->now = GetCurrentTransactionStartTimestamp();
	standing->enrolled = calendar_day(member->enrolled_at, program->zone);
	tally_init(&standing->tally);
	tally_init(&standing->added);
	tally_read(&standing->tally, member->tally);
	standing->tally_since = member->tally_since;
	/* Nobody who has no entries can have anything counted. */
	if (DATE_IS_NOEND(standing->tally_since) && member->seq == 0)
		standing->tally_since = DATEVAL_NOBEGIN;
	/* How an empty one is to count. */
	if (standing->tally.nperiods == 0 && !DATE_IS_NOEND(standing->tally_since))
		tally_coarsen(&standing->tally, qualification_resolution(program->tier_window));
}

/*
 * The tally
 */

/* Count everything anew, by day. */
static void
recount(Standing *standing)
{
	tally_clear(&standing->tally);
	standing->counter(standing->counter_arg, standing->member->member_id, &standing->tally);
	tally_add(&standing->tally, &standing->added);
	standing->tally_since = DATEVAL_NOBEGIN;
	standing->changed = true;
}

/* Whether what is dated ahead counts at once: a total does not know days, and its days are to tell the same. */
static bool
counts_at_once(const Standing *standing)
{
	return qualification_resolution(standing->program->tier_window) == PERIOD_EVER;
}

/* The day of the member's last activity: what a total counts beside that is not later, see standing_store. */
static DateADT
last_active_day(const Standing *standing)
{
	return calendar_day(standing->member->last_activity, standing->program->zone);
}

DateADT
standing_last_counted_day(const Standing *standing)
{
	const Tally *tally = &standing->tally;
	DateADT		today = calendar_day(standing->now, standing->program->zone);
	int			i;

	if (tally->resolution == PERIOD_EVER)
	{
		const Tally *added = &standing->added;
		DateADT		last = last_active_day(standing);

		return added->nperiods == 0 ? last : Max(last, Min(added->periods[added->nperiods - 1].first, today));
	}
	for (i = tally->nperiods - 1; i >= 0; i--)
		if (tally->periods[i].first <= today || counts_at_once(standing))
			return Min(tally->periods[i].first, today);
	return DATEVAL_NOBEGIN;
}

/* Have a tally that can tell the window of a day. */
static void
cover(Standing *standing, DateADT day)
{
	DateADT		start = qualification_start(standing->program->tier_window, day, standing->enrolled);

	if (DATE_IS_NOEND(standing->tally_since) || start < standing->tally_since)
		recount(standing);
	else if (standing->tally.nperiods > 0 && standing->tally.resolution == PERIOD_EVER &&
			 (!DATE_IS_NOBEGIN(start) || day < standing_last_counted_day(standing)))
		recount(standing);
}

void
standing_count_all(Standing *standing)
{
	if (!DATE_IS_NOBEGIN(standing->tally_since) ||
		(standing->tally.nperiods > 0 && standing->tally.resolution == PERIOD_EVER))
		recount(standing);
}

void
standing_totals(Standing *standing, DateADT day, TallyTotals *totals)
{
	DateADT		last = day;

	cover(standing, day);
	if (counts_at_once(standing) && day >= calendar_day(standing->now, standing->program->zone))
		last = DATEVAL_NOEND;
	tally_totals(&standing->tally,
				 qualification_start(standing->program->tier_window, day, standing->enrolled),
				 last, totals);
}

void
standing_store(Standing *standing)
{
	Qualification window = standing->program->tier_window;
	DateADT		last;

	if (!standing->changed)
		return;
	last = standing_last_counted_day(standing);
	if (counts_at_once(standing))
	{
		tally_coarsen(&standing->tally, PERIOD_EVER);
		/*
		 * Nothing in all is not nothing on each day: another window will ask.
		 * Nor does a total tell of what is later than all that the member did
		 * (a refund alone): whoever comes before it has to count anew.
		 */
		if (standing->tally.nperiods == 0 || last > last_active_day(standing))
		{
			tally_clear(&standing->tally);
			standing->tally_since = DATEVAL_NOEND;
		}
	}
	else
	{
		if (!DATE_IS_NOBEGIN(last))
		{
			DateADT		first = calendar_add_days(qualification_start(window, last, standing->enrolled), -SPARE_DAYS);

			if (first > standing->tally_since)
			{
				tally_prune(&standing->tally, first);
				standing->tally_since = first;
			}
		}
	}
	standing->member->tally = tally_pack(&standing->tally);
	standing->member->tally_since = standing->tally_since;
	standing->changed = false;
}

void
standing_forget(MemberRow *member)
{
	Tally		empty;

	if (DATE_IS_NOEND(member->tally_since))
		return;
	tally_init(&empty);
	member->tally = tally_pack(&empty);
	member->tally_since = DATEVAL_NOEND;
}

/*
 * Tiers
 */

int
standing_own(const Standing *standing)
{
	const MemberRow *member = standing->member;

	return tier_by_name(standing->tiers, member->tier_floor != NULL ? member->tier_own : member->tier);
}

DateADT
standing_valid_until(const Standing *standing, DateADT day)
{
	if (!standing->program->tier_has_validity)
		return DATEVAL_NOEND;
	return expiry_last_day(standing->program->tier_validity, day);
}

DateADT
standing_until(const Standing *standing, int tier, DateADT day)
{
	if (tier == NO_TIER || tier_is_everyones(standing->program, standing->tiers, tier))
		return DATEVAL_NOEND;
	return standing_valid_until(standing, day);
}

static text *
tier_name(const Standing *standing, int tier)
{
	return tier == NO_TIER ? NULL : standing->tiers->tiers[tier].name;
}

static int32
tier_rank(const Standing *standing, const text *name)
{
	int			tier = tier_by_name(standing->tiers, name);

	return tier == NO_TIER ? 0 : standing->tiers->tiers[tier].rank;
}

/* Put down a change; it has its number, and so its place in history, from here on. */
static void
add_change(Standing *standing, text *from, text *to, TimestampTz at, DateADT until,
		   const char *reason, text *note)
{
	TierChangeRow *change;

	standing->changes = standing->nchanges == 0 ? palloc(sizeof(TierChangeRow))
		: repalloc(standing->changes, sizeof(TierChangeRow) * (standing->nchanges + 1));
	change = &standing->changes[standing->nchanges++];
	memset(change, 0, sizeof(*change));
	change->member_id = standing->member->member_id;
	change->program_id = standing->member->program_id;
	change->change_no = ++standing->member->tier_changes;
	change->at = at;
	change->from_tier = from;
	change->from_rank = tier_rank(standing, from);
	change->to_tier = to;
	change->to_rank = tier_rank(standing, to);
	change->until = until;
	change->reason = reason;
	change->note = note;
}

/* The member's tier is the higher one of his own and his floor. */
static text *
effective_tier(const Standing *standing)
{
	const MemberRow *member = standing->member;
	int			own = standing_own(standing);
	int			lowest = tier_by_name(standing->tiers, member->tier_floor);

	return tier_name(standing, Max(own, lowest));
}

/* Take over his tier as it now is; says so where it is another one, or "always". */
static void
take_effect(Standing *standing, TimestampTz at, DateADT until, const char *reason, text *note, bool always)
{
	MemberRow  *member = standing->member;
	text	   *before = member->tier;
	text	   *after = effective_tier(standing);
	bool		same = before == after || (before != NULL && after != NULL && same_text(before, after));

	if (same && !always)
		return;
	if (!same)
	{
		member->tier = after;
		member->tier_since = at;
	}
	add_change(standing, before, after, at, until, reason, note);
}

void
standing_set_own(Standing *standing, int tier, DateADT until, TimestampTz at, const char *reason)
{
	MemberRow  *member = standing->member;
	bool		kept = tier != NO_TIER && tier == standing_own(standing);
	text	   *before = member->tier;

	member->tier_until = tier == NO_TIER ? DATEVAL_NOEND : until;
	if (member->tier_floor != NULL)
	{
		member->tier_own = tier_name(standing, tier);
		take_effect(standing, at, until, reason, NULL, false);
		return;
	}

	/* Without a floor the column is his own tier. */
	if (kept)
	{
		add_change(standing, before, before, at, until, reason, NULL);
		return;
	}
	member->tier = tier_name(standing, tier);
	member->tier_since = at;
	add_change(standing, before, member->tier, at, member->tier_until, reason, NULL);
}

void
standing_set_floor(Standing *standing, int tier, DateADT until, TimestampTz at, const char *reason, text *note)
{
	MemberRow  *member = standing->member;
	text	   *own = member->tier_floor != NULL ? member->tier_own : member->tier;

	member->tier_floor = tier_name(standing, tier);
	member->tier_floor_until = tier == NO_TIER ? DATEVAL_NOEND : until;
	member->tier_own = tier == NO_TIER ? NULL : own;
	if (tier == NO_TIER)
	{
		text	   *before = member->tier;

		/* His own may be one that is gone: a review sees to it. */
		if (!(before == own || (before != NULL && own != NULL && same_text(before, own))))
		{
			member->tier = own;
			member->tier_since = at;
		}
		add_change(standing, before, own, at, member->tier_until, reason, note);
		return;
	}
	/* Below his own it changes nothing yet, and its end is not that of his tier. */
	take_effect(standing, at, standing_own(standing) > tier ? member->tier_until : until, reason, note, true);
}

void
standing_weigh_floor(Standing *standing, TimestampTz at)
{
	const MemberRow *member = standing->member;
	bool		own = standing_own(standing) > tier_by_name(standing->tiers, member->tier_floor);

	if (member->tier_floor != NULL)
		take_effect(standing, at, own ? member->tier_until : member->tier_floor_until,
					own ? TIER_EARNED : TIER_MANUAL, NULL, false);
}

/* Who has none has everyone's. */
static text *
tier_or_base(const Standing *standing, text *tier)
{
	return tier != NULL ? tier : standing->program->base_tier;
}

text *
standing_tier_at(Standing *standing, TimestampTz at)
{
	MemberRow  *member = standing->member;
	TierAt		then;
	int			i;

	if (at >= member->tier_since)
		return tier_or_base(standing, member->tier);
	tier_at_begin(&then, at, member->tier);
	if (member->tier_changes > standing->nchanges)
		store_visit_tier_changes(standing->store, member->member_id, tier_at_consider, &then);
	for (i = 0; i < standing->nchanges; i++)
		tier_at_consider(&standing->changes[i], &then);
	return tier_or_base(standing, then.tier);
}

/*
 * Counting
 */

/*
 * Let him rise from a time on to what he reached on a day, if that is higher
 * than his own.  What he reached before that time is his then only by its
 * validity.
 */
static bool
rise(Standing *standing, DateADT day, TimestampTz at)
{
	TallyTotals totals;
	DateADT		starts = calendar_day(at, standing->program->zone);
	DateADT		until;
	int			reached;

	if (day < starts && !standing->program->tier_has_validity)
		return false;
	standing_totals(standing, day, &totals);
	reached = tier_reached(standing->program, standing->tiers, &totals);
	until = standing_until(standing, reached, day);
	if (reached <= standing_own(standing) || (day < starts && until < starts))
		return false;
	standing_set_own(standing, reached, until, at, TIER_EARNED);
	return true;
}

/*
 * The same for a time at which he had another tier than now: a purchase that
 * comes late.  It is put down in his history; his tier of now stays.
 */
static void
rise_in_the_past(Standing *standing, DateADT day, TimestampTz at)
{
	text	   *then = standing_tier_at(standing, at);
	TallyTotals totals;
	int			reached;

	standing_totals(standing, day, &totals);
	reached = tier_reached(standing->program, standing->tiers, &totals);
	if (reached > tier_by_name(standing->tiers, then))
		add_change(standing, then, tier_name(standing, reached), at, standing_until(standing, reached, day),
				   TIER_EARNED, NULL);
}

/* Nothing that is counted lets next_expiry be later; where it is to be earlier, it is lowered here. */
static void
lower_next_expiry(Standing *standing)
{
	MemberRow  *member = standing->member;

	member->next_expiry = Min(member->next_expiry, review_quiet_until(standing));
}

static void
notice_another(const TierChangeRow *change, void *arg)
{
	*(bool *) arg |= !(change->from_tier == NULL ? change->to_tier == NULL
					   : change->to_tier != NULL && same_text(change->from_tier, change->to_tier));
}

/* Whether he has ever had another tier than the one that he was enrolled with. */
static bool
has_had_another(Standing *standing)
{
	bool		another = false;
	int			i;

	if (standing->member->tier_changes > standing->nchanges)
		store_visit_tier_changes(standing->store, standing->member->member_id, notice_another, &another);
	for (i = 0; i < standing->nchanges; i++)
		notice_another(&standing->changes[i], &another);
	return another;
}

/* Let him rise by what was just counted at a time. */
static bool
judge_counted(Standing *standing, TimestampTz at)
{
	pg_tz	   *zone = standing->program->zone;
	DateADT		then = calendar_day(at, zone);
	TimestampTz since = standing->member->tier_since;
	DateADT		last;
	bool		rose = false;

	/* For who has had one tier only nothing can be late. */
	if (at < since && !has_had_another(standing))
		since = DT_NOBEGIN;
	if (at >= since)
		rose = rise(standing, then, at);
	else
	{
		rise_in_the_past(standing, then, at);
		/* What it reached may be his still, or it reaches a tier together with what came after it. */
		rose = rise(standing, then, since);
		rose |= rise(standing, calendar_day(since, zone), since);
	}

	/* By now a total has been counted anew, if the day was in question. */
	last = standing_last_counted_day(standing);
	if (then < last)
	{
		TimestampTz from = calendar_start_of_day(last, zone);

		rose |= rise(standing, last, Max(Max(from, at), since));
	}
	return rose;
}

void
standing_count(Standing *standing, DateADT day, TimestampTz at, const TallyTotals *change)
{
	MemberRow  *member = standing->member;
	bool		lowers = change->amount < 0 || change->points < 0 || change->purchases < 0;

	if (change->amount == 0 && change->points == 0 && change->purchases == 0)
		return;
	/* Before it is counted: entries do not say it yet. */
	if (DATE_IS_NOEND(standing->tally_since))
		recount(standing);
	tally_add_day(&standing->added, day, change->amount, change->points, change->purchases);
	/* A day that it is not complete for would only look like one. */
	if (day >= standing->tally_since)
	{
		tally_add_day(&standing->tally, day, change->amount, change->points, change->purchases);
		standing->changed = true;
	}

	/* What is dated ahead waits for its day. */
	if (at > standing->now)
	{
		if (!counts_at_once(standing))
		{
			member->next_expiry = Min(member->next_expiry, day - 1);
			return;
		}
		at = standing->now;
	}

	if (judge_counted(standing, at) || lowers ||
		review_may_rise(standing, calendar_day(standing->now, standing->program->zone)))
		lower_next_expiry(standing);
	/* A tier whose time is over may be kept by it yet. */
	if (standing->program->tier_has_validity && member->tier_until < calendar_day(standing->now, standing->program->zone))
		member->next_expiry = Min(member->next_expiry, member->tier_until);
}

static void
consider_latest(const TierChangeRow *change, void *arg)
{
	TimestampTz *latest = arg;

	*latest = Max(*latest, change->at);
}

TimestampTz
standing_last_change(Standing *standing)
{
	TimestampTz latest = DT_NOBEGIN;
	int			i;

	if (standing->member->tier_changes > standing->nchanges)
		store_visit_tier_changes(standing->store, standing->member->member_id, consider_latest, &latest);
	for (i = 0; i < standing->nchanges; i++)
		latest = Max(latest, standing->changes[i].at);
	return latest;
}

void
standing_import(Standing *standing, const Tally *tally, int tier, DateADT until, TimestampTz since, TimestampTz at)
{
	int			own;
	int			i;

	if (DATE_IS_NOEND(standing->tally_since))
		recount(standing);
	for (i = 0; i < tally->nperiods; i++)
	{
		const TallyPeriod *period = &tally->periods[i];

		tally_add_day(&standing->added, period->first, period->amount, period->points, period->purchases);
		/* As in standing_count. */
		if (period->first >= standing->tally_since)
			tally_add_day(&standing->tally, period->first, period->amount, period->points, period->purchases);
	}
	standing->changed = true;

	/* What has changed since then is not undone. */
	own = standing_own(standing);
	if (tier > own || (tier != NO_TIER && tier == own && !tier_is_everyones(standing->program, standing->tiers, tier)))
		standing_set_own(standing, tier, until, Max(since, standing_last_change(standing)), TIER_IMPORTED);
	(void) judge_counted(standing, at);
	lower_next_expiry(standing);
}
