/*
 * tally.c
 *		Tallies unpacked for work, and their algebra.
 *
 * Periods are kept in canonical order, so that one is found by bisection and
 * two tallies are added by merging them.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "types/calendar.h"
#include "types/points.h"
#include "types/rational.h"
#include "types/tally.h"
#include "types/tally_private.h"

#define TALLY_MAX_PERIODS	((int) (MaxAllocSize / sizeof(TallyPeriod)))

void
tally_amount_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("amount of a tally out of range"),
			 errdetail("It has at most 18 digits before the decimal point.")));
}

void
tally_purchases_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("purchases of a tally out of range")));
}

void
tally_init(Tally *tally)
{
	tally->resolution = PERIOD_DAY;
	tally->nperiods = 0;
	tally->capacity = 0;
	tally->periods = NULL;
	tally->context = CurrentMemoryContext;
}

void
tally_clear(Tally *tally)
{
	tally->resolution = PERIOD_DAY;
	tally->nperiods = 0;
}

/*
 * Makes room for "nperiods" periods, at least doubling it.  54000 when that is
 * more than memory can be asked for.
 */
void
tally_grow(Tally *tally, int64 nperiods)
{
	int64		capacity;

	if (nperiods > TALLY_MAX_PERIODS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many periods in a tally"),
				 errdetail("A tally holds at most %d periods.", TALLY_MAX_PERIODS)));

	CHECK_FOR_INTERRUPTS();

	capacity = Max(Max(nperiods, 4), 2 * (int64) tally->capacity);
	capacity = Min(capacity, TALLY_MAX_PERIODS);

	if (tally->periods == NULL)
		tally->periods = MemoryContextAlloc(tally->context, capacity * sizeof(TallyPeriod));
	else
		tally->periods = repalloc(tally->periods, capacity * sizeof(TallyPeriod));
	tally->capacity = (int) capacity;
}

void
tally_copy(Tally *to, const Tally *from)
{
	if (to == from)
		return;

	to->resolution = from->resolution;
	to->nperiods = 0;
	if (from->nperiods == 0)
		return;
	reserve(to, from->nperiods);
	memcpy(to->periods, from->periods, from->nperiods * sizeof(TallyPeriod));
	to->nperiods = from->nperiods;
}

/*
 * Adds figures, times "sign", to those of a period.  22003 out of range.
 */
static inline void
add_figures(TallyPeriod *period, const TallyPeriod *other, int sign)
{
	TallyAmount amount = period->amount + sign * other->amount;
	int128		points = (int128) period->points + (int128) sign * other->points;
	int64		purchases = (int64) period->purchases + (int64) sign * other->purchases;

	if (unlikely(!is_amount(amount)))
		tally_amount_out_of_range();
	if (unlikely(!is_purchases(purchases)))
		tally_purchases_out_of_range();
	period->amount = amount;
	period->points = checked_points(points);
	period->purchases = (int32) purchases;
}

/*
 * Adds one period of the tally's resolution, times "sign".  The newest period,
 * or one after it, costs the same however many there are.
 */
static void
add_period(Tally *tally, const TallyPeriod *other, int sign)
{
	int			at = find(tally, other->first);
	int			after = tally->nperiods - at;
	TallyPeriod *period;

	if (after > 0 && tally->periods[at].first == other->first)
	{
		period = &tally->periods[at];
		add_figures(period, other, sign);
		if (is_nothing(period))
		{
			memmove(period, period + 1, (after - 1) * sizeof(TallyPeriod));
			tally->nperiods--;
		}
	}
	else
	{
		TallyPeriod added = {.first = other->first};

		add_figures(&added, other, sign);
		if (is_nothing(&added))
			return;
		reserve(tally, (int64) tally->nperiods + 1);
		period = &tally->periods[at];
		memmove(period + 1, period, after * sizeof(TallyPeriod));
		*period = added;
		tally->nperiods++;
	}
}

void
tally_add_day(Tally *tally, DateADT day, TallyAmount amount, Points points, int32 purchases)
{
	TallyPeriod period;

	if (DATE_NOT_FINITE(day))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("cannot count on an infinite date")));
	if (unlikely(!is_amount(amount)))
		tally_amount_out_of_range();

	period.first = calendar_start_of_period(day, tally->resolution);
	period.amount = amount;
	period.points = points;
	period.purchases = purchases;
	add_period(tally, &period, 1);
}

/*
 * Adds "other", times "sign", to "tally", both of one resolution.  Both are
 * sorted, so they are merged from the back, within the one array; "other" may
 * be "tally" itself.
 */
static void
merge(Tally *tally, const Tally *other, int sign)
{
	int			mine = tally->nperiods - 1;
	int			theirs = other->nperiods - 1;
	int			size;
	int			out;
	TallyPeriod *periods;

	/* A posting into a long tally: look its periods up instead. */
	if (other->nperiods <= 2 && other != tally)
	{
		for (int i = 0; i < other->nperiods; i++)
			add_period(tally, &other->periods[i], sign);
		return;
	}

	reserve(tally, (int64) tally->nperiods + other->nperiods);
	size = tally->nperiods + other->nperiods;
	out = size;
	periods = tally->periods;

	while (theirs >= 0)
	{
		TallyPeriod theirs_now = other->periods[theirs];
		TallyPeriod sum = {.first = theirs_now.first};

		while (mine >= 0 && periods[mine].first > sum.first)
			periods[--out] = periods[mine--];
		if (mine >= 0 && periods[mine].first == sum.first)
			sum = periods[mine--];
		add_figures(&sum, &theirs_now, sign);
		theirs--;
		if (!is_nothing(&sum))
			periods[--out] = sum;
	}

	/* What "mine" has not reached never moved: close the gap behind it. */
	memmove(&periods[mine + 1], &periods[out], (size - out) * sizeof(TallyPeriod));
	tally->nperiods = mine + 1 + size - out;
}

static void
add_tally(Tally *tally, const Tally *other, int sign)
{
	if (other->nperiods == 0)
		return;

	tally_coarsen(tally, other->resolution);
	if (tally->resolution == other->resolution)
	{
		merge(tally, other, sign);
		return;
	}

	for (int i = 0; i < other->nperiods; i++)
	{
		TallyPeriod period = other->periods[i];

		period.first = calendar_start_of_period(period.first, tally->resolution);
		add_period(tally, &period, sign);
	}
}

void
tally_add(Tally *tally, const Tally *other)
{
	add_tally(tally, other, 1);
}

void
tally_sub(Tally *tally, const Tally *other)
{
	add_tally(tally, other, -1);
}

void
tally_coarsen(Tally *tally, CalendarPeriod resolution)
{
	TallyPeriod *out = tally->periods;

	/* Each kind of period must be made of whole ones of the kind before it. */
	if (resolution != PERIOD_DAY && resolution != PERIOD_MONTH && resolution != PERIOD_EVER)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tally has no periods of one %s", calendar_period_name(resolution)),
				 errhint("A tally counts by day, by month or ever.")));

	if (resolution <= tally->resolution)
		return;

	tally->resolution = resolution;
	for (int from = 0, to; from < tally->nperiods; from = to)
	{
		TallyPeriod sum = {.first = calendar_start_of_period(tally->periods[from].first, resolution)};

		for (to = from; to < tally->nperiods; to++)
		{
			TallyPeriod *period = &tally->periods[to];

			if (calendar_start_of_period(period->first, resolution) != sum.first)
				break;
			add_figures(&sum, period, 1);
		}
		if (!is_nothing(&sum))
			*out++ = sum;
	}
	tally->nperiods = out - tally->periods;
}

DateADT
tally_period_end(const Tally *tally, DateADT first)
{
	switch (tally->resolution)
	{
		case PERIOD_DAY:
			return first;
		case PERIOD_MONTH:
			return calendar_end_of_period(first, 1);
		default:
			return DATEVAL_NOEND;
	}
}

void
tally_prune(Tally *tally, DateADT before)
{
	int			past = 0;

	while (past < tally->nperiods &&
		   tally_period_end(tally, tally->periods[past].first) < before)
		past++;
	if (past == 0)
		return;
	tally->nperiods -= past;
	memmove(tally->periods, tally->periods + past, tally->nperiods * sizeof(TallyPeriod));
}

void
tally_totals(const Tally *tally, DateADT since, DateADT until, TallyTotals *totals)
{
	int128		points = 0;

	totals->amount = 0;
	totals->purchases = 0;
	for (int i = find(tally, since); i < tally->nperiods && tally->periods[i].first <= until; i++)
	{
		totals->amount += tally->periods[i].amount;
		points += tally->periods[i].points;
		totals->purchases += tally->periods[i].purchases;
	}
	totals->points = checked_points(points);
}

TallyAmount
tally_amount_from_numeric(Numeric value)
{
	Rational	scaled = rational_mul(rational_from_numeric(value), rational_from_int64(TALLY_AMOUNT_UNIT, 1));
	TallyAmount amount;

	if (rational_cmp(scaled, rational_floor(scaled)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("amounts of a tally have at most %d decimals: \"%s\"",
						TALLY_AMOUNT_DECIMALS,
						DatumGetCString(DirectFunctionCall1(numeric_out,
															NumericGetDatum(value))))));
	if (!rational_get_int128(scaled, &amount) || !is_amount(amount))
		tally_amount_out_of_range();
	return amount;
}

TallyAmount
tally_amount_from_rational(Rational value)
{
	Rational	scaled = rational_mul(value, rational_from_int64(TALLY_AMOUNT_UNIT, 1));
	bool		negative = rational_sign(scaled) < 0;
	TallyAmount amount;

	/* To the nearest, of the magnitude. */
	if (negative)
		scaled = rational_neg(scaled);
	scaled = rational_floor(rational_add(scaled, rational_from_int64(1, 2)));
	if (!rational_get_int128(scaled, &amount) || !is_amount(amount))
		tally_amount_out_of_range();
	return negative ? -amount : amount;
}

char *
tally_amount_to_cstring(TallyAmount amount)
{
	char		digits[48];		/* 39 of them, a sign and a point */
	char	   *end = digits + sizeof(digits);
	char	   *at = end;
	uint128		rest = amount < 0 ? -(uint128) amount : (uint128) amount;
	int			fraction = (int) (rest % TALLY_AMOUNT_UNIT);

	rest /= TALLY_AMOUNT_UNIT;
	if (fraction != 0)
	{
		int			decimals = TALLY_AMOUNT_DECIMALS;

		for (; decimals > 2 && fraction % 10 == 0; decimals--)
			fraction /= 10;
		for (; decimals > 0; decimals--)
		{
			*--at = '0' + fraction % 10;
			fraction /= 10;
		}
		*--at = '.';
	}
	do
	{
		*--at = '0' + (int) (rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (amount < 0)
		*--at = '-';
	return pnstrdup(at, end - at);
}

Numeric
tally_amount_to_numeric(TallyAmount amount)
{
	char	   *text = tally_amount_to_cstring(amount);
	Datum		value = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	pfree(text);
	return DatumGetNumeric(value);
}
