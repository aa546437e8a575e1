/*
 * qualification.c
 *		The type qualification: the window in which tiers count.
 *
 * One 32-bit word:
 *
 *	bits  0- 2	kind
 *	bits  3-18	length of a rolling window, in days or months
 *	bits 19-31	zero
 *
 * Weeks are kept as days and years as months, so that equal windows are equal
 * words.  The word is stored in tables, so the layout never changes.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "types/calendar.h"
#include "types/qualification.h"
#include "types/scan.h"

typedef enum QualificationKind
{
	QUALIFICATION_EVER = 0,		/* lifetime */
	QUALIFICATION_DAYS,			/* rolling N days */
	QUALIFICATION_MONTHS,		/* rolling N months */
	QUALIFICATION_CALENDAR_YEAR,
	QUALIFICATION_MEMBERSHIP_YEAR
} QualificationKind;

#define KIND_BITS 3
#define KIND_MASK 0x7
#define LENGTH_MASK 0xFFFF

/* As with expiries, a hundred Gregorian years. */
#define MOST_MONTHS 1200
#define MOST_DAYS 36525

#define QUALIFICATION_FORMS \
	"A qualification is written \"rolling 365 days\", \"rolling 12 months\", " \
	"\"calendar year\", \"membership year\" or \"lifetime\"."

PG_FUNCTION_INFO_V1(loyalty_qualification_in);
PG_FUNCTION_INFO_V1(loyalty_qualification_out);
PG_FUNCTION_INFO_V1(loyalty_qualification_recv);
PG_FUNCTION_INFO_V1(loyalty_qualification_send);
PG_FUNCTION_INFO_V1(loyalty_qualification_eq);
PG_FUNCTION_INFO_V1(loyalty_qualification_ne);
PG_FUNCTION_INFO_V1(loyalty_qualification_hash);
PG_FUNCTION_INFO_V1(loyalty_qualification_hash_extended);
PG_FUNCTION_INFO_V1(loyalty_qualification_window_start);
PG_FUNCTION_INFO_V1(loyalty_qualification_window_end);
PG_FUNCTION_INFO_V1(loyalty_qualification_resolution);


/*
 * The word and its parts
 */

static inline Qualification
pack(QualificationKind kind, int length)
{
	return (uint32) kind | (uint32) length << KIND_BITS;
}

static inline QualificationKind
kind_of(Qualification qualification)
{
	return (QualificationKind) (qualification & KIND_MASK);
}

static inline int
length_of(Qualification qualification)
{
	return (int) (qualification >> KIND_BITS & LENGTH_MASK);
}

/* True for what qualification_in can make, and for nothing else. */
static bool
is_valid(Qualification qualification)
{
	int			length = length_of(qualification);

	if (qualification != pack(kind_of(qualification), length))
		return false;

	switch ((int) kind_of(qualification))
	{
		case QUALIFICATION_DAYS:
			return length > 0 && length <= MOST_DAYS;
		case QUALIFICATION_MONTHS:
			return length > 0 && length <= MOST_MONTHS;
		case QUALIFICATION_EVER:
		case QUALIFICATION_CALENDAR_YEAR:
		case QUALIFICATION_MEMBERSHIP_YEAR:
			return length == 0;
		default:
			return false;
	}
}


/*
 * Text
 */

/* What was wrong with the text, beyond its being no qualification at all. */
typedef enum QualificationFault
{
	FAULT_NONE,
	FAULT_SYNTAX,
	FAULT_FRACTION,				/* rolling 1.5 months */
	FAULT_NOT_POSITIVE,			/* rolling 0 days, rolling -1 days */
	FAULT_TOO_LONG
} QualificationFault;

/* The units of a rolling window, and what they are kept as. */
static const struct
{
	const char *one;
	const char *many;
	QualificationKind kind;
	int			factor;
}			units[] =
{
	{"day", "days", QUALIFICATION_DAYS, 1},
	{"week", "weeks", QUALIFICATION_DAYS, 7},
	{"month", "months", QUALIFICATION_MONTHS, 1},
	{"year", "years", QUALIFICATION_MONTHS, MONTHS_PER_YEAR}
};

/* "COUNT UNIT", after "rolling". */
static QualificationFault
scan_rolling(Scanner *scanner, Qualification *qualification)
{
	int			count = 0;
	int			most;
	int			unit;
	ScanResult	result = scan_integer(scanner, MOST_DAYS, &count);

	if (result == SCAN_NOTHING)
		return FAULT_SYNTAX;
	if (scan_char(scanner, '.'))
		return FAULT_FRACTION;
	for (unit = 0; unit < lengthof(units); unit++)
		if (scan_word(scanner, units[unit].one) || scan_word(scanner, units[unit].many))
			break;
	if (unit == lengthof(units))
		return FAULT_SYNTAX;

	most = units[unit].kind == QUALIFICATION_DAYS ? MOST_DAYS : MOST_MONTHS;
	if (result == SCAN_NEGATIVE || (result == SCAN_OK && count == 0))
		return FAULT_NOT_POSITIVE;
	if (result == SCAN_TOO_LARGE || count > most / units[unit].factor)
		return FAULT_TOO_LONG;
	*qualification = pack(units[unit].kind, count * units[unit].factor);
	return FAULT_NONE;
}

/* Any qualification, without what may follow it. */
static QualificationFault
scan_qualification(Scanner *scanner, Qualification *qualification)
{
	if (scan_word(scanner, "rolling"))
		return scan_rolling(scanner, qualification);

	if (scan_word(scanner, "lifetime"))
	{
		*qualification = QUALIFICATION_LIFETIME;
		return FAULT_NONE;
	}
	if (scan_word(scanner, "calendar"))
		*qualification = pack(QUALIFICATION_CALENDAR_YEAR, 0);
	else if (scan_word(scanner, "membership"))
		*qualification = pack(QUALIFICATION_MEMBERSHIP_YEAR, 0);
	else
		return FAULT_SYNTAX;
	return scan_word(scanner, "year") ? FAULT_NONE : FAULT_SYNTAX;
}

/*
 * qualification_in: 22P02 for text that is no qualification, 22023 for lengths
 * that are not positive, 22003 for lengths beyond a hundred years.
 */
Datum
loyalty_qualification_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	struct Node *escontext = fcinfo->context;
	Scanner		scanner = {str};
	Qualification qualification = QUALIFICATION_LIFETIME;
	QualificationFault fault;

	fault = scan_qualification(&scanner, &qualification);
	if (fault != FAULT_FRACTION && !scan_end(&scanner))
		fault = FAULT_SYNTAX;

	switch (fault)
	{
		case FAULT_NONE:
			break;
		case FAULT_SYNTAX:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", "qualification", str),
					 errhint(QUALIFICATION_FORMS)));
			break;
		case FAULT_FRACTION:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", "qualification", str),
					 errdetail("The length of a rolling window is a whole number."),
					 errhint(QUALIFICATION_FORMS)));
			break;
		case FAULT_NOT_POSITIVE:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("qualification is out of range: \"%s\"", str),
					 errdetail("The length of a rolling window must be greater than zero.")));
			break;
		case FAULT_TOO_LONG:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("qualification is out of range: \"%s\"", str),
					 errdetail("The length of a rolling window must not exceed %d days or %d months.",
							   MOST_DAYS, MOST_MONTHS),
					 errhint("Write \"lifetime\" to count everything.")));
			break;
	}

	Assert(is_valid(qualification));
	PG_RETURN_QUALIFICATION(qualification);
}

/* qualification_out: the canonical form, which qualification_in reads back as the same. */
Datum
loyalty_qualification_out(PG_FUNCTION_ARGS)
{
	Qualification qualification = PG_GETARG_QUALIFICATION(0);
	int			length = length_of(qualification);
	const char *text = "lifetime";

	switch (kind_of(qualification))
	{
		case QUALIFICATION_EVER:
			break;
		case QUALIFICATION_DAYS:
			text = psprintf("rolling %d %s", length, length == 1 ? "day" : "days");
			break;
		case QUALIFICATION_MONTHS:
			text = psprintf("rolling %d %s", length, length == 1 ? "month" : "months");
			break;
		case QUALIFICATION_CALENDAR_YEAR:
			text = "calendar year";
			break;
		case QUALIFICATION_MEMBERSHIP_YEAR:
			text = "membership year";
			break;
	}
	PG_RETURN_CSTRING(pstrdup(text));
}


/*
 * Binary form, equality
 */

/* qualification_recv: the word itself.  22P03 for anything that qualification_in could not have made. */
Datum
loyalty_qualification_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	Qualification qualification = (Qualification) pq_getmsgint(buf, sizeof(int32));

	if (!is_valid(qualification))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s", "qualification")));
	PG_RETURN_QUALIFICATION(qualification);
}

/* qualification_send: what qualification_recv reads. */
Datum
loyalty_qualification_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, PG_GETARG_QUALIFICATION(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* implementation of = operator: equal windows are equal words */
Datum
loyalty_qualification_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_QUALIFICATION(0) == PG_GETARG_QUALIFICATION(1));
}

/* implementation of <> operator */
Datum
loyalty_qualification_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_QUALIFICATION(0) != PG_GETARG_QUALIFICATION(1));
}

/* hash function that agrees with = */
Datum
loyalty_qualification_hash(PG_FUNCTION_ARGS)
{
	return hash_uint32(PG_GETARG_QUALIFICATION(0));
}

/* the same with a seed, for hash partitioning */
Datum
loyalty_qualification_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_uint32_extended(PG_GETARG_QUALIFICATION(0), (uint64) PG_GETARG_INT64(1));
}


/*
 * Windows
 */

static int
year_of(DateADT day)
{
	int			year;
	int			month;
	int			mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return year;
}

/*
 * How many years after the enrollment the last anniversary not after "day" is.
 * Anniversaries are counted from the enrollment itself, so that February 29
 * comes back in leap years, and also backward: purchases may be older than the
 * enrollment.  22008 when there is no anniversary to count from.
 */
static int
years_of_membership(DateADT day, DateADT enrolled)
{
	int			years;

	if (DATE_NOT_FINITE(enrolled))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("cannot count membership years from an infinite date")));

	years = year_of(day) - year_of(enrolled);
	if (calendar_add_months(enrolled, years * MONTHS_PER_YEAR) > day)
		years--;
	return years;
}

/*
 * First day of the window of "day".  An infinite day is its own window, but for
 * lifetime.  22008 when the window begins before the range of dates.
 */
DateADT
qualification_start(Qualification qualification, DateADT day, DateADT enrolled)
{
	int			length = length_of(qualification);

	if (kind_of(qualification) == QUALIFICATION_EVER)
		return DATEVAL_NOBEGIN;
	if (DATE_NOT_FINITE(day))
		return day;

	switch (kind_of(qualification))
	{
		case QUALIFICATION_EVER:
			break;
		case QUALIFICATION_DAYS:
			return calendar_add_days(day, 1 - length);
		case QUALIFICATION_MONTHS:
			return calendar_add_days(calendar_add_months(day, -length), 1);
		case QUALIFICATION_CALENDAR_YEAR:
			return calendar_start_of_period(day, PERIOD_YEAR);
		case QUALIFICATION_MEMBERSHIP_YEAR:
			return calendar_add_months(enrolled,
									   years_of_membership(day, enrolled) * MONTHS_PER_YEAR);
	}
	return DATEVAL_NOBEGIN;
}

/*
 * Last day of the window of "day", as above; infinity for a window that moves
 * with the days and for the one that never ends.
 */
DateADT
qualification_end(Qualification qualification, DateADT day, DateADT enrolled)
{
	switch (kind_of(qualification))
	{
		case QUALIFICATION_EVER:
		case QUALIFICATION_DAYS:
		case QUALIFICATION_MONTHS:
			break;
		case QUALIFICATION_CALENDAR_YEAR:
			return calendar_end_of_period(day, MONTHS_PER_YEAR);
		case QUALIFICATION_MEMBERSHIP_YEAR:
			if (DATE_NOT_FINITE(day))
				return day;
			return calendar_add_days(calendar_add_months(enrolled,
														 (years_of_membership(day, enrolled) + 1) *
														 MONTHS_PER_YEAR), -1);
	}
	return DATEVAL_NOEND;
}

bool
qualification_is_by_membership(Qualification qualification)
{
	return kind_of(qualification) == QUALIFICATION_MEMBERSHIP_YEAR;
}

/*
 * A period may not reach over an end of the window, and the window of a day
 * ends with that day.  So even the calendar year asks for days: months would
 * let a purchase dated later in this month count today, and would not tell what
 * counted on an earlier day.  A lifetime keeps one total all the same, since
 * its days would never come to an end.
 */
CalendarPeriod
qualification_resolution(Qualification qualification)
{
	return kind_of(qualification) == QUALIFICATION_EVER ? PERIOD_EVER : PERIOD_DAY;
}

/*
 * The arguments of the two functions below: false when an argument that the
 * window depends on is NULL.
 */
static bool
window_arguments(FunctionCallInfo fcinfo, Qualification *qualification, DateADT *day, DateADT *enrolled)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return false;
	*qualification = PG_GETARG_QUALIFICATION(0);
	*day = PG_GETARG_DATEADT(1);
	*enrolled = DATEVAL_NOBEGIN;
	if (!qualification_is_by_membership(*qualification))
		return true;
	if (PG_ARGISNULL(2))
		return false;
	*enrolled = PG_GETARG_DATEADT(2);
	return true;
}

/* loyalty.window_start(qualification, date, date) */
Datum
loyalty_qualification_window_start(PG_FUNCTION_ARGS)
{
	Qualification qualification;
	DateADT		day;
	DateADT		enrolled;

	if (!window_arguments(fcinfo, &qualification, &day, &enrolled))
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(qualification_start(qualification, day, enrolled));
}

/* loyalty.window_end(qualification, date, date) */
Datum
loyalty_qualification_window_end(PG_FUNCTION_ARGS)
{
	Qualification qualification;
	DateADT		day;
	DateADT		enrolled;

	if (!window_arguments(fcinfo, &qualification, &day, &enrolled))
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(qualification_end(qualification, day, enrolled));
}

/* loyalty.resolution(qualification) */
Datum
loyalty_qualification_resolution(PG_FUNCTION_ARGS)
{
	CalendarPeriod period = qualification_resolution(PG_GETARG_QUALIFICATION(0));

	PG_RETURN_TEXT_P(cstring_to_text(calendar_period_name(period)));
}
