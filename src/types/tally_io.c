/*
 * tally_io.c
 *		The text and the binary form of the type tally.
 *
 * Text is {period: amount/points/purchases, ...} with periods as YYYY-MM-DD,
 * YYYY-MM or "ever", all of one kind, whatever DateStyle says.  Binary is the
 * packed form itself (see tally_pack.c).
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "types/packed.h"
#include "types/points.h"
#include "types/scan.h"
#include "types/tally.h"
#include "types/tally_private.h"

PG_FUNCTION_INFO_V1(loyalty_tally_in);
PG_FUNCTION_INFO_V1(loyalty_tally_out);
PG_FUNCTION_INFO_V1(loyalty_tally_recv);

/* ----------
 * Text
 * ----------
 */

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * A run of digits; saturates, so that any number of them is safe.
 */
static int
read_digits(const char **at, int *value)
{
	const char *from = *at;

	*value = 0;
	for (; is_digit(**at); (*at)++)
		if (*value < 10000000)
			*value = *value * 10 + (**at - '0');
	return *at - from;
}

/* The figures of a period, as their texts are judged. */
typedef struct Figure
{
	const char *name;
	int			decimals;
	int128		most;
	const char *excess;
	const char *overflow;
} Figure;

static const Figure amount_figure = {
	"an amount", TALLY_AMOUNT_DECIMALS, TALLY_AMOUNT_MAX,
	"has more than six decimals", "is out of range for an amount"
};
static const Figure points_figure = {
	"points", POINTS_DECIMALS, POINTS_MAX,
	"has more than four decimals", "is out of range for points"
};
static const Figure purchases_figure = {
	"a number of purchases", 0, TALLY_PURCHASES_MAX,
	NULL, "is out of range for a number of purchases"
};

/*
 * One figure: a sign, digits with or without a decimal point, which a figure
 * without decimals cannot have.  In units of its last decimal.
 */
static bool
parse_figure(Scanner *scanner, const Figure *figure, int128 *value, ScanFault *fault)
{
	const char *from;
	const char *at;
	int128		units = 0;
	int			decimals = 0;
	bool		negative;
	bool		has_digits = false;
	bool		after_point = false;
	bool		excess = false;

	(void) scan_end(scanner);	/* for the blanks */
	from = at = scanner->at;
	negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;

	for (;; at++)
	{
		if (*at == '.' && !after_point && figure->decimals > 0)
		{
			after_point = true;
			continue;
		}
		if (!is_digit(*at))
			break;
		has_digits = true;
		if (after_point && decimals == figure->decimals)
		{
			excess |= *at != '0';
			continue;
		}
		decimals += after_point;
		/* beyond the most it only has to stay there */
		if (units <= figure->most)
			units = units * 10 + (*at - '0');
	}
	if (!has_digits)
		return scan_unexpected(fault, figure->name, from);
	if (excess)
		return scan_refused(fault, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, figure->excess, from, at);

	for (; decimals < figure->decimals && units <= figure->most; decimals++)
		units *= 10;
	if (units > figure->most)
		return scan_refused(fault, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, figure->overflow, from, at);

	scanner->at = at;
	*value = negative ? -units : units;
	return true;
}

/*
 * A period: "ever", YYYY-MM or YYYY-MM-DD, with as many digits as the year has
 * beyond four, and BC behind it for the years that PostgreSQL writes so.
 */
static bool
parse_period(Scanner *scanner, CalendarPeriod *resolution, DateADT *first, ScanFault *fault)
{
	const char *from;
	const char *at;
	int			year;
	int			month;
	int			mday = 1;
	int			digits;
	bool		zero_led;

	if (scan_word(scanner, "ever"))
	{
		*resolution = PERIOD_EVER;
		*first = DATEVAL_NOBEGIN;
		return true;
	}

	from = at = scanner->at;	/* past the blanks */
	zero_led = *at == '0';
	*resolution = PERIOD_MONTH;
	digits = read_digits(&at, &year);
	if (digits < 4 || (digits > 4 && zero_led) || *at++ != '-' ||
		read_digits(&at, &month) != 2)
		return scan_unexpected(fault, "a period as YYYY-MM-DD, YYYY-MM or \"ever\"", from);
	if (*at == '-')
	{
		at++;
		*resolution = PERIOD_DAY;
		if (read_digits(&at, &mday) != 2)
			return scan_unexpected(fault, "a period as YYYY-MM-DD, YYYY-MM or \"ever\"", from);
	}

	scanner->at = at;
	if (year == 0)
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is not in the calendar", from, at);
	if (scan_word(scanner, "BC"))
	{
		at = scanner->at;
		year = 1 - year;
	}

	if (month < 1 || month > 12 || mday < 1 || mday > day_tab[isleap(year)][month - 1])
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is not in the calendar", from, at);
	if (!IS_VALID_JULIAN(year, month, mday))
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is out of range for a date", from, at);
	*first = date2j(year, month, mday) - POSTGRES_EPOCH_JDATE;
	if (!IS_VALID_DATE(*first))
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is out of range for a date", from, at);
	return true;
}

/*
 * One period with its figures.
 */
static bool
parse_entry(Scanner *scanner, CalendarPeriod *resolution, TallyPeriod *period, ScanFault *fault)
{
	int128		amount;
	int128		points;
	int128		purchases;

	if (!parse_period(scanner, resolution, &period->first, fault))
		return false;
	if (!scan_char(scanner, ':'))
		return scan_unexpected(fault, "\":\"", scanner->at);
	if (!parse_figure(scanner, &amount_figure, &amount, fault))
		return false;
	if (!scan_char(scanner, '/'))
		return scan_unexpected(fault, "\"/\"", scanner->at);
	if (!parse_figure(scanner, &points_figure, &points, fault))
		return false;
	if (!scan_char(scanner, '/'))
		return scan_unexpected(fault, "\"/\"", scanner->at);
	if (!parse_figure(scanner, &purchases_figure, &purchases, fault))
		return false;

	period->amount = amount;
	period->points = (Points) points;
	period->purchases = (int32) purchases;
	return true;
}

/*
 * The periods of a text, as they stand there.
 */
static bool
parse_periods(const char *text, Tally *parsed, ScanFault *fault)
{
	Scanner		scanner = {text};

	if (!scan_char(&scanner, '{'))
		return scan_unexpected(fault, "\"{\"", scanner.at);
	if (!scan_char(&scanner, '}'))
	{
		do
		{
			CalendarPeriod resolution;
			TallyPeriod period;
			const char *from;

			CHECK_FOR_INTERRUPTS();
			(void) scan_end(&scanner);
			from = scanner.at;
			if (!parse_entry(&scanner, &resolution, &period, fault))
				return false;
			if (parsed->nperiods == 0)
				parsed->resolution = resolution;
			if (parsed->resolution != resolution)
				return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION,
							   "has another kind of period than those before it",
							   from, scanner.at);
			append(parsed, &period);
		} while (scan_char(&scanner, ','));

		if (!scan_char(&scanner, '}'))
			return scan_unexpected(fault, "\",\" or \"}\"", scanner.at);
	}
	if (!scan_end(&scanner))
		return scan_unexpected(fault, "the end", scanner.at);
	return true;
}

/*
 * Sorts the periods, makes one of those that stand twice and leaves out those
 * that count nothing.
 */
static bool
settle_periods(Tally *parsed, ScanFault *fault)
{
	TallyPeriod *out = parsed->periods;

	if (parsed->nperiods == 0)
		return true;
	qsort(parsed->periods, parsed->nperiods, sizeof(TallyPeriod), compare_periods);

	for (int from = 0, to; from < parsed->nperiods; from = to)
	{
		TallyPeriod sum = {.first = parsed->periods[from].first};
		int128		points = 0;
		int64		purchases = 0;

		for (to = from; to < parsed->nperiods && parsed->periods[to].first == sum.first; to++)
		{
			sum.amount += parsed->periods[to].amount;
			points += parsed->periods[to].points;
			purchases += parsed->periods[to].purchases;
		}
		if (!is_amount(sum.amount) || points > POINTS_MAX || points < POINTS_MIN ||
			!is_purchases(purchases))
		{
			fault->sqlstate = ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
			fault->detail = pstrdup("The figures of one period are out of range.");
			return false;
		}
		sum.points = (Points) points;
		sum.purchases = (int32) purchases;
		if (!is_nothing(&sum))
			*out++ = sum;
	}
	parsed->nperiods = out - parsed->periods;
	return true;
}

/*
 * Text input; periods may come in any order, and more than once.  22P02 for
 * what is no tally, 22003 for figures out of range or too fine.
 */
Datum
loyalty_tally_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	Tally		tally;
	ScanFault	fault;

	tally_init(&tally);
	if (!parse_periods(text, &tally, &fault) || !settle_periods(&tally, &fault))
	{
		if (fault.sqlstate == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
			ereturn(fcinfo->context, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("value \"%s\" is out of range for type %s",
							scan_shown(text, strlen(text)), "tally"),
					 errdetail_internal("%s", fault.detail)));
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"",
						"tally", scan_shown(text, strlen(text))),
				 errdetail_internal("%s", fault.detail)));
	}
	return tally_pack(&tally);
}

static void
append_period(StringInfo text, CalendarPeriod resolution, DateADT first)
{
	int			year;
	int			month;
	int			mday;

	if (resolution == PERIOD_EVER)
	{
		appendStringInfoString(text, "ever");
		return;
	}

	j2date(first + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	appendStringInfo(text, "%04d-%02d", year > 0 ? year : 1 - year, month);
	if (resolution == PERIOD_DAY)
		appendStringInfo(text, "-%02d", mday);
	if (year <= 0)
		appendStringInfoString(text, " BC");
}

/* Text output: canonical order. */
Datum
loyalty_tally_out(PG_FUNCTION_ARGS)
{
	StringInfoData text;
	Tally		tally;

	read_argument(fcinfo, 0, &tally);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < tally.nperiods; i++)
	{
		const TallyPeriod *period = &tally.periods[i];
		char	   *amount = tally_amount_to_cstring(period->amount);
		char	   *points = points_to_cstring(period->points);

		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			appendStringInfoString(&text, ", ");
		append_period(&text, tally.resolution, period->first);
		appendStringInfo(&text, ": %s/%s/%d", amount, points, period->purchases);
		pfree(amount);
		pfree(points);
	}
	appendStringInfoChar(&text, '}');
	PG_RETURN_CSTRING(text.data);
}

/* ----------
 * Binary
 * ----------
 */

/*
 * Binary input: the packed form, and no other spelling of it: what packs
 * differently than it came would not be equal to itself.  22P03.
 */
Datum
loyalty_tally_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			size = message->len - message->cursor;
	const char *bytes = pq_getmsgbytes(message, size);
	const char *fault;
	Datum		packed = (Datum) 0;
	Tally		tally;

	tally_init(&tally);
	fault = tally_unpack(&tally, bytes, size);
	if (fault == NULL)
	{
		packed = tally_pack(&tally);
		if (!packed_is(packed, bytes, size))
			fault = "It is not the shortest form of its value.";
	}
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid external \"%s\" value", "tally"),
				 errdetail_internal("%s", fault)));
	return packed;
}
