/*
 * review.c
 *		Reviews of tiers: who keeps his tier, who falls, and when to look again.
 *
 * A tier that has a validity is held through its last day (tier_until).  Then
 * what is asked to keep it is held against the window of that day, or of the
 * day after where the validity gains nothing from it (end of year): whoever
 * meets it holds the tier for another period, counted from that day.  So "end
 * of the next year" over calendar years asks in each year for the year after.
 *
 * A tier without validity is kept as long as the window of the day gives it.
 *
 * Either is held through the days of grace.  Whoever then falls goes to what
 * he has reached, or one tier down: there he stays for a validity, or else until
 * the window has passed once, before he can fall again.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "tiers/review.h"
#include "types/calendar.h"

/* A window that does not leave a day behind within so many days never does. */
#define LONGEST_WINDOW 100000

static DateADT
window_start(const Standing *standing, DateADT day)
{
	return qualification_start(standing->program->tier_window, day, standing->enrolled);
}

/* The first day whose window begins after a day; DATEVAL_NOEND: there is none. */
static DateADT
first_window_after(const Standing *standing, DateADT day)
{
	DateADT		low = day;		/* its window begins by then */
	DateADT		high;
	int			step = 1;

	if (DATE_NOT_FINITE(day))
		return DATEVAL_NOEND;
	for (high = calendar_add_days(day, step); window_start(standing, high) <= day;
		 high = calendar_add_days(day, step))
	{
		if (step > LONGEST_WINDOW)
			return DATEVAL_NOEND;
		low = high;
		step *= 2;
	}
	while (high - low > 1)
	{
		DateADT		middle = low + (high - low) / 2;

		if (window_start(standing, middle) <= day)
			low = middle;
		else
			high = middle;
	}
	return high;
}

DateADT
review_window_passes(const Standing *standing, DateADT day)
{
	DateADT		next = first_window_after(standing, day);

	return DATE_IS_NOEND(next) ? next : next - 1;
}

/* The next day on which what counts in the window changes by itself; DATEVAL_NOEND: never. */
static DateADT
next_change(const Standing *standing, DateADT day)
{
	const Tally *tally = &standing->tally;
	DateADT		start = window_start(standing, day);
	int			i;

	for (i = 0; i < tally->nperiods; i++)
	{
		DateADT		first = tally->periods[i].first;

		if (first > day)
			return first;
		if (first >= start && !DATE_IS_NOBEGIN(start))
		{
			DateADT		next = first_window_after(standing, first);

			for (; i < tally->nperiods; i++)
				if (tally->periods[i].first > day)
					return Min(next, tally->periods[i].first);
			return next;
		}
	}
	return DATEVAL_NOEND;
}

/* The last day up to "day" on which it changed by itself, or by what was counted; DATEVAL_NOBEGIN: never. */
static DateADT
last_change(const Standing *standing, DateADT day)
{
	const Tally *tally = &standing->tally;
	DateADT		start = window_start(standing, day);
	DateADT		last = DATEVAL_NOBEGIN;
	int			i;

	for (i = tally->nperiods - 1; i >= 0; i--)
	{
		DateADT		first = tally->periods[i].first;

		if (first > day)
			continue;
		last = Max(last, first);
		if (first < start)
			return Max(last, first_window_after(standing, first));
	}
	return last;
}

static int
reached_on(Standing *standing, DateADT day)
{
	TallyTotals totals;

	standing_totals(standing, day, &totals);
	return tier_reached(standing->program, standing->tiers, &totals);
}

static bool
kept_on(Standing *standing, int tier, DateADT day)
{
	TallyTotals totals;

	standing_totals(standing, day, &totals);
	return tier_kept(standing->program, standing->tiers, tier, &totals);
}

/* The first day from "day" on that does not keep the tier; DATEVAL_NOEND: all do. */
static DateADT
first_failing(Standing *standing, int tier, DateADT day)
{
	while (!DATE_IS_NOEND(day) && kept_on(standing, tier, day))
	{
		CHECK_FOR_INTERRUPTS();
		day = next_change(standing, day);
	}
	return day;
}

/* Since when no day has kept the tier, which "day" does not; not before he had it. */
static DateADT
failing_since(Standing *standing, int tier, DateADT day)
{
	const MemberRow *member = standing->member;
	/* Since when he has a tier below his floor is not known. */
	DateADT		since = member->tier_floor != NULL && tier_by_name(standing->tiers, member->tier) != tier
		? DATEVAL_NOBEGIN : calendar_day(member->tier_since, standing->program->zone);

	standing_count_all(standing);
	for (;;)
	{
		DateADT		change = last_change(standing, day);

		CHECK_FOR_INTERRUPTS();
		if (DATE_IS_NOBEGIN(change) || change <= since)
			return DATE_IS_NOBEGIN(since) ? day : Min(since, day);
		if (kept_on(standing, tier, change - 1))
			return change;
		day = change - 1;
	}
}

/* Whether what is reached is reached for good: a validity that never ends. */
static bool
is_for_good(const Standing *standing)
{
	return standing->program->tier_has_validity &&
		DATE_IS_NOEND(standing_valid_until(standing, standing->enrolled));
}

/* Whether he can fall from the tier at all. */
static bool
can_fall(const Standing *standing, int tier)
{
	return tier != NO_TIER && standing->program->tier_downgrade != DOWNGRADE_NONE &&
		!is_for_good(standing) && !tier_is_everyones(standing->program, standing->tiers, tier);
}

/* Whether his tier is held for a time, and not by the window of the day. */
static bool
is_held(const Standing *standing)
{
	return standing->program->tier_has_validity && !DATE_IS_NOEND(standing->member->tier_until);
}

/* The day whose window says whether a tier held through "until" is kept. */
static DateADT
judgment_day(const Standing *standing, DateADT until)
{
	return standing_valid_until(standing, until) > until ? until : until + 1;
}

/* One tier down, past those that are only given by hand. */
static int
one_down(const Standing *standing, int tier)
{
	while (--tier > NO_TIER && tier_is_by_hand(standing->tiers, tier))
		;
	return tier;
}

/* Let him fall, on a day; "judged" is the day whose window did not keep his tier. */
static void
fall(Standing *standing, int tier, DateADT judged, DateADT day, TimestampTz at)
{
	int			reached = Max(reached_on(standing, judged), reached_on(standing, day));
	int			target = reached;
	DateADT		until;

	if (standing->program->tier_downgrade == DOWNGRADE_ONE)
		target = Max(target, one_down(standing, tier));
	/* What he is judged by has kept nothing as high. */
	target = Min(target, tier - 1);
	until = standing_until(standing, target, judged);
	if (until < day)
		until = standing_until(standing, target, day);
	if (target > reached && DATE_IS_NOEND(until) && can_fall(standing, target))
	{
		until = review_window_passes(standing, day);
		if (DATE_IS_NOEND(until))
			until = day;
	}
	standing_set_own(standing, target, until, at, TIER_LAPSED);
}

/* Review a tier that was held for a time, and is over; false when nothing is to be done any more. */
static bool
review_held(Standing *standing, int tier, DateADT day, TimestampTz at)
{
	DateADT		until = standing->member->tier_until;
	DateADT		judged = judgment_day(standing, until);
	DateADT		kept_on_day = kept_on(standing, tier, judged) ? judged
		: kept_on(standing, tier, day) ? day : DATEVAL_NOBEGIN;

	if (!DATE_IS_NOBEGIN(kept_on_day))
	{
		DateADT		next = standing_valid_until(standing, kept_on_day);

		standing_set_own(standing, tier, next, at, TIER_KEPT);
		return true;
	}
	if (day <= calendar_add_days(until, standing->program->tier_grace))
		return false;
	fall(standing, tier, judged, day, at);
	return true;
}

/* The same for a tier that the window of the day keeps or not. */
static bool
review_by_window(Standing *standing, int tier, DateADT day, TimestampTz at)
{
	if (kept_on(standing, tier, day))
		return false;
	if (standing->program->tier_grace > 0)
	{
		DateADT		since = failing_since(standing, tier, day);

		if (!DATE_IS_NOEND(standing->member->tier_until))
			since = Max(since, standing->member->tier_until + 1);
		if (day < calendar_add_days(since, standing->program->tier_grace))
			return false;
	}
	fall(standing, tier, day, day, at);
	return true;
}

/* Whether a name is that of a tier that is gone. */
static bool
is_gone(const Standing *standing, const text *name)
{
	return name != NULL && tier_by_name(standing->tiers, name) == NO_TIER;
}

static const text *
own_name(const Standing *standing)
{
	return standing->member->tier_floor != NULL ? standing->member->tier_own : standing->member->tier;
}

void
review(Standing *standing, TimestampTz at)
{
	MemberRow  *member = standing->member;
	DateADT		day = calendar_day(at, standing->program->zone);
	int			tier;
	int			reached;

	/* A change dates from no time before the tier that it ends. */
	at = Max(at, member->tier_since);
	if (is_gone(standing, member->tier_floor))
		standing_set_floor(standing, NO_TIER, DATEVAL_NOEND, at, TIER_REMOVED, NULL);
	else if (member->tier_floor != NULL && member->tier_floor_until < day)
		standing_set_floor(standing, NO_TIER, DATEVAL_NOEND, at, TIER_FLOOR_ENDED, NULL);
	if (is_gone(standing, own_name(standing)))
	{
		reached = reached_on(standing, day);
		standing_set_own(standing, reached, standing_until(standing, reached, day), at, TIER_REMOVED);
	}
	standing_weigh_floor(standing, at);

	/* Late by more than one period, he may fall more than once. */
	for (;;)
	{
		tier = standing_own(standing);
		if (!can_fall(standing, tier) ||
			(!DATE_IS_NOEND(member->tier_until) && day <= member->tier_until))
			break;
		if (!(is_held(standing) ? review_held : review_by_window) (standing, tier, day, at))
			break;
	}
	reached = reached_on(standing, day);
	if (reached > standing_own(standing))
		standing_set_own(standing, reached, standing_until(standing, reached, day), at, TIER_EARNED);
}

/*
 * When to look again
 */

bool
review_may_rise(const Standing *standing, DateADT from)
{
	const Tally *tally = &standing->tally;
	int			i;

	for (i = 0; i < tally->nperiods; i++)
		if (tally->periods[i].first > from || tally->periods[i].amount < 0 ||
			tally->periods[i].points < 0 || tally->periods[i].purchases < 0)
			return true;
	return false;
}

/* Through which day he does not rise by himself. */
static DateADT
quiet_upward(Standing *standing, int tier, DateADT from)
{
	DateADT		day = from;

	if (!review_may_rise(standing, from))
		return DATEVAL_NOEND;
	while (!DATE_IS_NOEND(day = next_change(standing, day)))
	{
		CHECK_FOR_INTERRUPTS();
		if (reached_on(standing, day) > tier)
			return day - 1;
	}
	return DATEVAL_NOEND;
}

/* The same for a tier whose time is over and which is not kept so far: in the days of grace it may be. */
static DateADT
quiet_in_grace(Standing *standing, int tier, DateADT from)
{
	DateADT		last = calendar_add_days(standing->member->tier_until, standing->program->tier_grace);
	DateADT		day = from;

	while ((day = next_change(standing, day)) <= last)
	{
		CHECK_FOR_INTERRUPTS();
		if (kept_on(standing, tier, day))
			return day - 1;
	}
	return Max(last, from);
}

/* Through which day he neither falls nor is his tier looked at. */
static DateADT
quiet_downward(Standing *standing, int tier, DateADT from)
{
	int			grace = standing->program->tier_grace;
	DateADT		until = standing->member->tier_until;
	DateADT		start;
	DateADT		failing;

	if (!can_fall(standing, tier))
		return DATEVAL_NOEND;
	if (is_held(standing))
		return from <= until ? until : quiet_in_grace(standing, tier, from);

	start = DATE_IS_NOEND(until) ? from + 1 : Max(from, until) + 1;
	failing = first_failing(standing, tier, start);
	if (DATE_IS_NOEND(failing))
		return DATEVAL_NOEND;
	if (grace > 0 && failing == start)
	{
		failing = failing_since(standing, tier, start);
		if (!DATE_IS_NOEND(until))
			failing = Max(failing, until + 1);
	}
	return Max(calendar_add_days(failing, grace) - 1, start - 1);
}

DateADT
review_quiet_after(Standing *standing, DateADT from)
{
	const MemberRow *member = standing->member;
	int			tier = standing_own(standing);
	DateADT		quiet;
	DateADT		up;

	if (is_gone(standing, member->tier_floor) || is_gone(standing, own_name(standing)))
		return from;
	quiet = quiet_downward(standing, tier, from);
	up = quiet_upward(standing, tier, from);
	quiet = Min(quiet, up);
	if (member->tier_floor != NULL)
		quiet = Min(quiet, Max(member->tier_floor_until, from));
	return quiet;
}

DateADT
review_quiet_until(Standing *standing)
{
	bool		total = standing->tally.resolution == PERIOD_EVER;
	DateADT		since = calendar_day(standing->member->tier_since, standing->program->zone);
	DateADT		from;
	DateADT		quiet;

	if (DATE_NOT_FINITE(since))
		since = standing->enrolled;
	from = since;
	if (total)
		from = Max(from, standing_last_counted_day(standing));
	else if (!DATE_NOT_FINITE(standing->tally_since))
		from = Max(from, first_window_after(standing, standing->tally_since - 1));
	quiet = review_quiet_after(standing, from - 1);
	/* A total tells the present only, and not since when it does not keep his tier. */
	if (total && !DATE_IS_NOEND(quiet) && !is_held(standing))
		quiet = Min(quiet, since - 1);
	return quiet;
}

DateADT
review_judgment_day(const Standing *standing)
{
	int			tier = standing_own(standing);

	return can_fall(standing, tier) && is_held(standing) ? judgment_day(standing, standing->member->tier_until)
		: DATEVAL_NOEND;
}
