/*
 * purse_io.c
 *		The text and the binary form of the type purse.
 *
 * Text is {points@last, points@first/last, ...} with days as YYYY-MM-DD,
 * whatever DateStyle says, and "infinity" for a last day that never comes.
 * Binary is the packed form itself (see purse_pack.c).
 */
#include "postgres.h"

#include "common/int.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "types/packed.h"
#include "types/points.h"
#include "types/purse.h"
#include "types/purse_private.h"
#include "types/scan.h"

PG_FUNCTION_INFO_V1(loyalty_purse_in);
PG_FUNCTION_INFO_V1(loyalty_purse_out);
PG_FUNCTION_INFO_V1(loyalty_purse_recv);

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

/*
 * Points as the type points reads them: a sign, digits with or without a
 * decimal point.
 */
static bool
parse_points(Scanner *scanner, Points *points, ScanFault *fault)
{
	const char *from;
	const char *at;
	int64		units = 0;
	int			decimals = 0;
	bool		negative;
	bool		has_digits = false;
	bool		after_point = false;
	bool		excess = false;
	bool		overflow = false;

	(void) scan_end(scanner);	/* for the blanks */
	from = at = scanner->at;
	negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;

	for (;; at++)
	{
		if (*at == '.' && !after_point)
		{
			after_point = true;
			continue;
		}
		if (!is_digit(*at))
			break;
		has_digits = true;
		if (after_point && decimals == POINTS_DECIMALS)
		{
			excess |= *at != '0';
			continue;
		}
		decimals += after_point;
		overflow = overflow ||
			pg_mul_s64_overflow(units, 10, &units) ||
			pg_add_s64_overflow(units, *at - '0', &units);
	}
	if (!has_digits)
		return scan_unexpected(fault, "points", from);

	for (; decimals < POINTS_DECIMALS; decimals++)
		overflow = overflow || pg_mul_s64_overflow(units, 10, &units);
	if (excess || overflow)
	{
		fault->sqlstate = ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
		fault->detail = psprintf(excess ? "\"%s\" has more than four decimals." :
								 "\"%s\" is out of range for points.",
								 scan_shown(from, at - from));
		return false;
	}

	scanner->at = at;
	*points = negative ? -units : units;
	return true;
}

/*
 * A day: infinity, -infinity, or YYYY-MM-DD with as many digits as the year
 * has beyond four, and BC behind it for the years that PostgreSQL writes so.
 */
static bool
parse_day(Scanner *scanner, DateADT *day, ScanFault *fault)
{
	const char *from;
	const char *at;
	int			year;
	int			month;
	int			mday;
	int			digits;
	bool		zero_led;

	if (scan_word(scanner, "infinity"))
	{
		*day = DATEVAL_NOEND;
		return true;
	}

	from = at = scanner->at;	/* past the blanks */
	if (scan_char(scanner, '-'))
	{
		if (*scanner->at != ' ' && scan_word(scanner, "infinity"))
		{
			*day = DATEVAL_NOBEGIN;
			return true;
		}
		return scan_unexpected(fault, "a day as YYYY-MM-DD or \"infinity\"", from);
	}

	zero_led = *at == '0';
	digits = read_digits(&at, &year);
	if (digits < 4 || (digits > 4 && zero_led) || *at++ != '-' ||
		read_digits(&at, &month) != 2 || *at++ != '-' ||
		read_digits(&at, &mday) != 2)
		return scan_unexpected(fault, "a day as YYYY-MM-DD or \"infinity\"", from);

	scanner->at = at;
	if (year == 0)
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is not a date", from, at);
	if (scan_word(scanner, "BC"))
	{
		at = scanner->at;
		year = 1 - year;
	}

	if (month < 1 || month > 12 || mday < 1 || mday > day_tab[isleap(year)][month - 1])
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is not a date", from, at);
	if (!IS_VALID_JULIAN(year, month, mday))
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is out of range for a date", from, at);
	*day = date2j(year, month, mday) - POSTGRES_EPOCH_JDATE;
	if (!IS_VALID_DATE(*day))
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is out of range for a date", from, at);
	return true;
}

/*
 * One lot: points@last or points@first/last.
 */
static bool
parse_lot(Scanner *scanner, Lot *lot, ScanFault *fault)
{
	const char *from;

	if (!parse_points(scanner, &lot->points, fault))
		return false;
	if (!scan_char(scanner, '@'))
		return scan_unexpected(fault, "\"@\"", scanner->at);

	(void) scan_end(scanner);
	from = scanner->at;
	lot->starts = DATEVAL_NOBEGIN;
	if (!parse_day(scanner, &lot->ends, fault))
		return false;
	if (scan_char(scanner, '/'))
	{
		lot->starts = lot->ends;
		if (!parse_day(scanner, &lot->ends, fault))
			return false;
	}

	if (lot->ends == DATEVAL_NOBEGIN)
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "is not a last day", from, scanner->at);
	if (lot->starts == DATEVAL_NOEND)
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "never opens", from, scanner->at);
	if (lot->starts > lot->ends)
		return scan_refused(fault, ERRCODE_INVALID_TEXT_REPRESENTATION, "ends before it starts", from, scanner->at);
	return true;
}

/*
 * The lots of a text, as they stand there.
 */
static bool
parse_lots(const char *text, Lot **lots, int *nlots, ScanFault *fault)
{
	Scanner		scanner = {text};
	int			capacity = 8;

	*nlots = 0;
	*lots = palloc(capacity * sizeof(Lot));

	if (!scan_char(&scanner, '{'))
		return scan_unexpected(fault, "\"{\"", scanner.at);
	if (!scan_char(&scanner, '}'))
	{
		do
		{
			CHECK_FOR_INTERRUPTS();
			if (*nlots == capacity)
			{
				capacity *= 2;
				*lots = repalloc_huge(*lots, capacity * sizeof(Lot));
			}
			if (!parse_lot(&scanner, &(*lots)[*nlots], fault))
				return false;
			(*nlots)++;
		} while (scan_char(&scanner, ','));

		if (!scan_char(&scanner, '}'))
			return scan_unexpected(fault, "\",\" or \"}\"", scanner.at);
	}
	if (!scan_end(&scanner))
		return scan_unexpected(fault, "the end", scanner.at);
	return true;
}

/*
 * Sorts the lots, makes one of those with the same life span and leaves out
 * the empty ones.
 */
static bool
settle_lots(Lot *lots, int nlots, Purse *purse, ScanFault *fault)
{
	qsort(lots, nlots, sizeof(Lot), compare_lots);

	for (int from = 0, to; from < nlots; from = to)
	{
		int128		sum = 0;

		for (to = from; to < nlots && compare_lots(&lots[from], &lots[to]) == 0; to++)
			sum += lots[to].points;
		if (sum > POINTS_MAX || sum < POINTS_MIN)
		{
			fault->sqlstate = ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
			fault->detail = pstrdup("The points of one life span are out of range.");
			return false;
		}
		purse_add_lot(purse, lots[from].starts, lots[from].ends, (Points) sum);
	}
	return true;
}

/*
 * Text input; lots may come in any order, and a life span more than once.
 * 22P02 for what is no purse, 22003 for points out of range or too fine.
 */
Datum
loyalty_purse_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	Purse		purse;
	ScanFault	fault;
	Lot		   *lots;
	int			nlots;

	purse_init(&purse);
	if (!parse_lots(text, &lots, &nlots, &fault) ||
		!settle_lots(lots, nlots, &purse, &fault))
	{
		if (fault.sqlstate == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
			ereturn(fcinfo->context, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("value \"%s\" is out of range for type %s",
							scan_shown(text, strlen(text)), "purse"),
					 errdetail_internal("%s", fault.detail)));
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"",
						"purse", scan_shown(text, strlen(text))),
				 errdetail_internal("%s", fault.detail)));
	}
	return purse_pack(&purse);
}

static void
append_day(StringInfo text, DateADT day)
{
	char		buffer[MAXDATELEN + 1];
	struct pg_tm tm;

	if (day == DATEVAL_NOEND)
	{
		appendStringInfoString(text, "infinity");
		return;
	}

	j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	EncodeDateOnly(&tm, USE_ISO_DATES, buffer);
	appendStringInfoString(text, buffer);
}

/* Text output: canonical order. */
Datum
loyalty_purse_out(PG_FUNCTION_ARGS)
{
	StringInfoData text;
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < purse.nlots; i++)
	{
		const Lot  *lot = &purse.lots[i];
		char	   *points = points_to_cstring(lot->points);

		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			appendStringInfoString(&text, ", ");
		appendStringInfoString(&text, points);
		appendStringInfoChar(&text, '@');
		if (lot->starts != DATEVAL_NOBEGIN)
		{
			append_day(&text, lot->starts);
			appendStringInfoChar(&text, '/');
		}
		append_day(&text, lot->ends);
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
loyalty_purse_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			size = message->len - message->cursor;
	const char *bytes = pq_getmsgbytes(message, size);
	const char *fault;
	Datum		packed = (Datum) 0;
	Purse		purse;

	purse_init(&purse);
	fault = purse_unpack(&purse, bytes, size);
	if (fault == NULL)
	{
		packed = purse_pack(&purse);
		if (!packed_is(packed, bytes, size))
			fault = "It is not the shortest form of its value.";
	}
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid external \"%s\" value", "purse"),
				 errdetail_internal("%s", fault)));
	return packed;
}
