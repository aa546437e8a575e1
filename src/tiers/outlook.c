/*
 * outlook.c
 *		What a member has to do to keep his tier or reach another, and what
 *		becomes of it if he does nothing.
 *
 * The future is not worked out by formulas of its own: the reviews that are to
 * come are made in memory, each on the day on which it would do something, until
 * one of them ends the tier or holds it for another period.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "miscadmin.h"

#include "ledger/balance.h"
#include "loyalty.h"
#include "tiers/outlook.h"
#include "tiers/review.h"
#include "types/calendar.h"

/* Beyond it there are days, but no times. */
#define LAST_DAY (TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE - 2)

static bool
same_tier(const text *a, const text *b)
{
	return a == b || (a != NULL && b != NULL && same_text(a, b));
}

/* The tier of his row; who has none has everyone's. */
static text *
tier_of(const Standing *standing)
{
	return standing->member->tier != NULL ? standing->member->tier : standing->program->base_tier;
}

/* Whether only a floor holds his tier. */
static bool
is_lifted(const Standing *standing)
{
	return standing->member->tier_floor != NULL &&
		tier_by_name(standing->tiers, standing->member->tier_floor) > standing_own(standing);
}

/*
 * The past
 */

/* A member's changes of tier. */
typedef struct Changes
{
	int			count;
	int			capacity;
	TierChangeRow *rows;
} Changes;

static text *
copy_text(const text *value)
{
	return value == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(value));
}

static void
collect_change(const TierChangeRow *change, void *arg)
{
	Changes    *changes = arg;
	TierChangeRow *row;

	if (changes->count == changes->capacity)
	{
		changes->capacity = Max(8, changes->capacity * 2);
		changes->rows = changes->rows == NULL ? palloc(sizeof(TierChangeRow) * changes->capacity)
			: repalloc(changes->rows, sizeof(TierChangeRow) * changes->capacity);
	}
	row = &changes->rows[changes->count++];
	*row = *change;
	row->from_tier = copy_text(change->from_tier);
	row->to_tier = copy_text(change->to_tier);
	row->reason = pstrdup(change->reason);
}

/* By time; of one time as they were written. */
static int
compare_changes(const void *a, const void *b)
{
	const TierChangeRow *x = a;
	const TierChangeRow *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->change_no < y->change_no ? -1 : 1;
}

/*
 * What a change made of his row.  One by hand that does not lower the tier gave
 * a floor, another one took it away; what a change left as it was it does not tell.
 */
static void
replay_change(const Standing *standing, MemberRow *row, const TierChangeRow *change)
{
	int			from = tier_by_name(standing->tiers, change->from_tier);
	int			to = tier_by_name(standing->tiers, change->to_tier);

	if (!same_tier(change->from_tier, change->to_tier))
		row->tier_since = change->at;
	if (strcmp(change->reason, TIER_MANUAL) == 0 && to != NO_TIER && to >= from &&
		!(row->tier_floor != NULL && same_tier(row->tier_own, change->to_tier)))
	{
		if (row->tier_floor == NULL)
			row->tier_own = row->tier;
		row->tier_floor = change->to_tier;
		row->tier_floor_until = change->until;
	}
	else
	{
		if (strcmp(change->reason, TIER_MANUAL) == 0 || strcmp(change->reason, TIER_FLOOR_ENDED) == 0 ||
			strcmp(change->reason, TIER_REMOVED) == 0)
		{
			row->tier_floor = NULL;
			row->tier_floor_until = DATEVAL_NOEND;
		}
		row->tier_own = row->tier_floor == NULL ? NULL : change->to_tier;
		row->tier_until = change->until;
	}
	row->tier = change->to_tier;
}

void
outlook_rewind(Standing *standing, TimestampTz at)
{
	MemberRow  *row = standing->member;
	Changes		changes = {0};
	TierAt		then;
	int			i;

	standing->now = at;
	standing->tally_since = DATEVAL_NOEND;
	if (row->tier_changes == 0)
		return;
	store_visit_tier_changes(standing->store, row->member_id, collect_change, &changes);
	if (changes.count == 0)
		return;

	tier_at_begin(&then, DT_NOBEGIN, row->tier);
	for (i = 0; i < changes.count; i++)
		tier_at_consider(&changes.rows[i], &then);
	qsort(changes.rows, changes.count, sizeof(TierChangeRow), compare_changes);
	/* The row itself knows more than its changes. */
	if (changes.rows[changes.count - 1].at <= at)
		return;
	row->tier = then.tier;
	row->tier_own = NULL;
	row->tier_floor = NULL;
	row->tier_since = DT_NOBEGIN;
	row->tier_until = DATEVAL_NOEND;
	row->tier_floor_until = DATEVAL_NOEND;
	for (i = 0; i < changes.count && changes.rows[i].at <= at; i++)
		replay_change(standing, row, &changes.rows[i]);
}

/*
 * The future
 */

/*
 * The day before the next review that does something, as seen from a day on
 * which he was reviewed; DATEVAL_NOEND: there is none that matters.
 */
static DateADT
next_pause(Standing *standing, DateADT from)
{
	DateADT		quiet;

	/* What happens below a floor that does not end never shows. */
	if (is_lifted(standing) && DATE_IS_NOEND(standing->member->tier_floor_until) &&
		!review_may_rise(standing, from))
		return DATEVAL_NOEND;
	quiet = review_quiet_after(standing, from);
	return quiet < LAST_DAY ? quiet : DATEVAL_NOEND;
}

/* The review on a day; the standing then has the changes that it made, and no earlier ones. */
static void
review_on(Standing *standing, DateADT day)
{
	CHECK_FOR_INTERRUPTS();
	if (standing->nchanges > 0)
		pfree(standing->changes);
	standing->nchanges = 0;
	standing->now = calendar_start_of_day(day, standing->program->zone);
	review(standing, standing->now);
}

void
outlook_advance(Standing *standing, TimestampTz at)
{
	DateADT		day = calendar_day(standing->now, standing->program->zone);
	DateADT		last = calendar_day(at, standing->program->zone);

	review(standing, standing->now);
	while ((day = next_pause(standing, day)) < last)
		review_on(standing, ++day);
	standing->now = at;
}

/* Whether that review held his tier for another period. */
static bool
was_kept(const Standing *standing)
{
	int			i;

	for (i = 0; i < standing->nchanges; i++)
		if (strcmp(standing->changes[i].reason, TIER_KEPT) == 0)
			return !is_lifted(standing);
	return false;
}

/* From a day on which he was reviewed on: until when he has his tier, and what follows. */
static void
look_ahead(const Standing *standing, DateADT day, Outlook *outlook)
{
	MemberRow	row = *standing->member;
	Standing	ahead = *standing;
	DateADT		quiet;

	ahead.member = &row;
	ahead.changes = NULL;
	ahead.nchanges = 0;
	tally_init(&ahead.tally);
	tally_copy(&ahead.tally, &standing->tally);
	while (!DATE_IS_NOEND(quiet = next_pause(&ahead, day)))
	{
		day = quiet + 1;
		review_on(&ahead, day);
		if (!same_tier(tier_of(&ahead), outlook->tier) || was_kept(&ahead))
		{
			outlook->until = quiet;
			outlook->projected = tier_of(&ahead);
			return;
		}
	}
}

/*
 * What is missing
 */

void
outlook_missing(const TierMinimums *minimums, const TallyTotals *totals, bool met, TierMinimums *missing)
{
	missing->amount = minimums->amount < 0 ? NOT_ASKED
		: met ? 0 : Max(minimums->amount - totals->amount, 0);
	missing->points = minimums->points < 0 ? NOT_ASKED
		: met ? 0 : Max(points_sub(minimums->points, totals->points), 0);
	missing->purchases = minimums->purchases < 0 ? NOT_ASKED
		: met ? 0 : Max(minimums->purchases - totals->purchases, 0);
}

/* The day whose window says whether he keeps the tier. */
static DateADT
judged_on(const Standing *standing, const Outlook *outlook, bool overdue)
{
	DateADT		judged = review_judgment_day(standing);

	if (overdue)
		return outlook->day;
	if (is_lifted(standing) || DATE_IS_NOEND(judged))
		return outlook->until + 1;
	/* In the days of grace what counts on the day of the review keeps it still. */
	return outlook->day <= judged ? judged : outlook->until;
}

/* What he has to do for his tier to be his beyond its end. */
static void
see_keep(Standing *standing, bool overdue, Outlook *outlook)
{
	const Tier *tier;
	DateADT		judged;
	DateADT		start;
	TallyTotals totals;

	if (DATE_IS_NOEND(outlook->until) || outlook->number == NO_TIER ||
		tier_is_by_hand(standing->tiers, outlook->number))
		return;
	tier = &standing->tiers->tiers[outlook->number];
	judged = judged_on(standing, outlook, overdue);
	standing_totals(standing, judged, &totals);
	if (is_lifted(standing))
		/* Given by hand, it is to be reached. */
		outlook_missing(&tier->reach, &totals,
						tier_reached(standing->program, standing->tiers, &totals) >= outlook->number,
						&outlook->keep);
	else
		outlook_missing(&tier->keep, &totals,
						tier_kept(standing->program, standing->tiers, outlook->number, &totals),
						&outlook->keep);
	/* A purchase on the day of the review itself may come after it: the day before is safe, if it counts. */
	start = qualification_start(standing->program->tier_window, judged, standing->enrolled);
	outlook->keep_by = start <= outlook->until ? Min(judged, outlook->until) : judged;
}

/* The next tier above his that purchases can reach. */
static void
see_next(const Standing *standing, Outlook *outlook)
{
	const TierSet *tiers = standing->tiers;
	int			next = outlook->number + 1;

	while (next < tiers->ntiers && tier_is_by_hand(tiers, next))
		next++;
	if (next >= tiers->ntiers)
		return;
	outlook->next = next;
	outlook_missing(&tiers->tiers[next].reach, &outlook->totals,
					tier_reached(standing->program, tiers, &outlook->totals) >= next, &outlook->reach);
}

void
outlook_see(Standing *standing, TimestampTz at, Outlook *outlook)
{
	static const TierMinimums nothing = {NOT_ASKED, NOT_ASKED, NOT_ASKED};
	const MemberRow *member = standing->member;
	bool		overdue;

	standing->now = at;
	outlook->day = calendar_day(at, standing->program->zone);
	outlook->tier = tier_of(standing);
	outlook->number = tier_by_name(standing->tiers, outlook->tier);
	outlook->since = member->tier_since;
	outlook->floor = member->tier_floor;
	outlook->floor_until = member->tier_floor_until;
	outlook->until = DATEVAL_NOEND;
	outlook->keep_by = DATEVAL_NOEND;
	outlook->next = NO_TIER;
	outlook->keep = nothing;
	outlook->reach = nothing;
	standing_totals(standing, outlook->day, &outlook->totals);
	see_next(standing, outlook);

	/* What the next review writes down anyway is taken for granted. */
	review(standing, at);
	outlook->projected = tier_of(standing);
	overdue = !same_tier(outlook->projected, outlook->tier);
	if (overdue)
		outlook->until = outlook->day;
	else
		look_ahead(standing, outlook->day, outlook);
	see_keep(standing, overdue, outlook);
}
