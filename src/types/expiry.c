/*
 * expiry.c
 *		The type expiry: how long earned points can be spent.
 *
 * One 64-bit word holds the rule as it was written, so that "12 months" reads
 * back as "12 months" and not as "1 year":
 *
 *	bits  0- 2	kind
 *	bits  3- 9	years	\
 *	bits 10-20	months	 | the length
 *	bits 21-33	weeks	 |
 *	bits 34-49	days	/
 *	bits 50-53	months of the period whose end is named (0: none); the month of a yearly date
 *	bits 54-58	the day of a yearly date
 *	bits 59-63	zero
 *
 * The word is stored in tables, so the layout never changes.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/datetime.h"

#include "types/calendar.h"
#include "types/expiry.h"
#include "types/scan.h"

typedef enum ExpiryKind
{
	EXPIRY_NEVER = 0,
	EXPIRY_LENGTH,				/* a length, an end, or a length with an end */
	EXPIRY_YEARLY,				/* the next month and day, after a length if any */
	EXPIRY_INACTIVE				/* a length with or without an end, since the last activity */
} ExpiryKind;

/* An expiry taken apart. */
typedef struct ExpiryParts
{
	int			kind;
	int			years;
	int			months;
	int			weeks;
	int			days;
	int			period;			/* 0, 1, 3, 6 or 12 months, not for EXPIRY_YEARLY */
	int			month;			/* EXPIRY_YEARLY only */
	int			day;			/* EXPIRY_YEARLY only */
} ExpiryParts;

/* The four units of a length, in the order in which they are written. */
#define NUNITS 4
static const char *const unit_names[NUNITS][2] = {
	{"year", "years"},
	{"month", "months"},
	{"week", "weeks"},
	{"day", "days"}
};

/* No length exceeds a hundred Gregorian years, of 36525 days at the most. */
#define MOST_MONTHS 1200
#define MOST_DAYS 36525

#define EXPIRY_FORMS \
	"An expiry is written \"never\", \"12 months\", \"1 year 6 months\", " \
	"\"12 months end of quarter\", \"end of year\", \"end of next year\", \"03-31\", \"03-31 after 1 year\" " \
	"or \"inactive 18 months\"; lengths are in years, months, weeks and days, " \
	"ends are those of a month, quarter, half-year or year."

PG_FUNCTION_INFO_V1(loyalty_expiry_in);
PG_FUNCTION_INFO_V1(loyalty_expiry_out);
PG_FUNCTION_INFO_V1(loyalty_expiry_recv);
PG_FUNCTION_INFO_V1(loyalty_expiry_send);
PG_FUNCTION_INFO_V1(loyalty_expiry_eq);
PG_FUNCTION_INFO_V1(loyalty_expiry_ne);
PG_FUNCTION_INFO_V1(loyalty_expiry_hash);
PG_FUNCTION_INFO_V1(loyalty_expiry_hash_extended);
PG_FUNCTION_INFO_V1(loyalty_expiry_last_day);
PG_FUNCTION_INFO_V1(loyalty_expiry_inactive_last_day);


/*
 * The word and its parts
 */

static Expiry
pack(const ExpiryParts *parts)
{
	int			third = parts->kind == EXPIRY_YEARLY ? parts->month : parts->period;

	return (uint64) parts->kind |
		(uint64) parts->years << 3 |
		(uint64) parts->months << 10 |
		(uint64) parts->weeks << 21 |
		(uint64) parts->days << 34 |
		(uint64) third << 50 |
		(uint64) parts->day << 54;
}

static ExpiryParts
unpack(Expiry expiry)
{
	ExpiryParts parts;
	int			third = (int) (expiry >> 50 & 0xF);

	parts.kind = (int) (expiry & 0x7);
	parts.years = (int) (expiry >> 3 & 0x7F);
	parts.months = (int) (expiry >> 10 & 0x7FF);
	parts.weeks = (int) (expiry >> 21 & 0x1FFF);
	parts.days = (int) (expiry >> 34 & 0xFFFF);
	parts.period = parts.kind == EXPIRY_YEARLY ? 0 : third;
	parts.month = parts.kind == EXPIRY_YEARLY ? third : 0;
	parts.day = (int) (expiry >> 54 & 0x1F);
	return parts;
}

static int
length_months(const ExpiryParts *parts)
{
	return parts->years * MONTHS_PER_YEAR + parts->months;
}

static int
length_days(const ExpiryParts *parts)
{
	return parts->weeks * 7 + parts->days;
}

static bool
has_length(const ExpiryParts *parts)
{
	return length_months(parts) != 0 || length_days(parts) != 0;
}

/* Months and days together, weighed so that either maximum is the whole. */
static bool
length_in_range(const ExpiryParts *parts)
{
	return (int64) length_months(parts) * MOST_DAYS + (int64) length_days(parts) * MOST_MONTHS
		<= (int64) MOST_MONTHS * MOST_DAYS;
}

/* Is there such a day, at least in leap years? */
static bool
is_yearly_date(int month, int day)
{
	return month >= 1 && month <= MONTHS_PER_YEAR &&
		day >= 1 && day <= day_tab[1][month - 1];
}

/* True for what expiry_in can make, and for nothing else. */
static bool
is_valid(Expiry expiry)
{
	ExpiryParts parts = unpack(expiry);

	if (expiry >> 59 != 0 || !length_in_range(&parts))
		return false;
	if (parts.kind != EXPIRY_YEARLY &&
		(parts.day != 0 ||
		 (parts.period != 0 && parts.period != 1 && parts.period != 3 &&
		  parts.period != 6 && parts.period != 12)))
		return false;

	switch (parts.kind)
	{
		case EXPIRY_NEVER:
			return parts.period == 0 && !has_length(&parts);
		case EXPIRY_LENGTH:
			return parts.period != 0 || has_length(&parts);
		case EXPIRY_YEARLY:
			return is_yearly_date(parts.month, parts.day);
		case EXPIRY_INACTIVE:
			return has_length(&parts);
		default:
			return false;
	}
}


/*
 * Text
 */

/* What was wrong with the text, beyond its being no expiry at all. */
typedef enum ExpiryFault
{
	FAULT_NONE,
	FAULT_SYNTAX,
	FAULT_FRACTION,				/* 1.5 years */
	FAULT_TWICE,				/* 1 month 2 months */
	FAULT_NOT_POSITIVE,			/* 0 months, -1 day */
	FAULT_TOO_LONG,
	FAULT_NO_SUCH_DAY			/* 02-30 */
} ExpiryFault;

/* Any number of "COUNT UNIT", each unit once; "started" if the first count has been read. */
static ExpiryFault
scan_length(Scanner *scanner, ExpiryParts *parts, ScanResult result, int count)
{
	int		   *fields[NUNITS] = {&parts->years, &parts->months, &parts->weeks, &parts->days};
	ExpiryFault fault = FAULT_NONE;

	for (; result != SCAN_NOTHING; result = scan_integer(scanner, MOST_DAYS, &count))
	{
		int			unit;

		if (scan_char(scanner, '.'))
			return FAULT_FRACTION;
		for (unit = 0; unit < NUNITS; unit++)
			if (scan_word(scanner, unit_names[unit][0]) || scan_word(scanner, unit_names[unit][1]))
				break;
		if (unit == NUNITS)
			return FAULT_SYNTAX;

		/* go on to the end, so that garbage after it is reported as such */
		if (result == SCAN_TOO_LARGE)
			fault = FAULT_TOO_LONG;
		else if (result == SCAN_NEGATIVE || count == 0)
			fault = FAULT_NOT_POSITIVE;
		else if (*fields[unit] != 0)
			fault = FAULT_TWICE;
		else
			*fields[unit] = count;
	}
	if (fault == FAULT_NONE && !length_in_range(parts))
		fault = FAULT_TOO_LONG;
	return fault;
}

/*
 * "end of month" and the like, or nothing; where there is no length also "end
 * of next month", which is the end of the period after one as long.
 */
static ExpiryFault
scan_end_of(Scanner *scanner, ExpiryParts *parts)
{
	bool		next;

	if (!scan_word(scanner, "end"))
		return FAULT_NONE;
	if (!scan_word(scanner, "of"))
		return FAULT_SYNTAX;

	next = scan_word(scanner, "next");
	if (next && (parts->kind != EXPIRY_LENGTH || has_length(parts)))
		return FAULT_SYNTAX;
	if (scan_word(scanner, "month"))
		parts->period = 1;
	else if (scan_word(scanner, "quarter"))
		parts->period = 3;
	else if (scan_word(scanner, "half"))
	{
		(void) scan_char(scanner, '-');
		if (!scan_word(scanner, "year"))
			return FAULT_SYNTAX;
		parts->period = 6;
	}
	else if (scan_word(scanner, "year"))
		parts->period = 12;
	else
		return FAULT_SYNTAX;
	if (next)
		parts->months = parts->period;
	return FAULT_NONE;
}

/* The rest of a yearly date, of which the month and the hyphen have been read. */
static ExpiryFault
scan_yearly(Scanner *scanner, ExpiryParts *parts, ScanResult result, int month)
{
	ExpiryFault fault = FAULT_NONE;
	int			count = 0;

	parts->kind = EXPIRY_YEARLY;
	parts->month = month;
	if (result != SCAN_OK)
		fault = FAULT_NO_SUCH_DAY;
	result = scan_integer(scanner, MOST_DAYS, &parts->day);
	if (result == SCAN_NOTHING || result == SCAN_NEGATIVE)
		return FAULT_SYNTAX;
	if (fault == FAULT_NONE &&
		(result != SCAN_OK || !is_yearly_date(parts->month, parts->day)))
		fault = FAULT_NO_SUCH_DAY;

	if (scan_word(scanner, "after"))
	{
		ExpiryFault length_fault;

		result = scan_integer(scanner, MOST_DAYS, &count);
		if (result == SCAN_NOTHING)
			return FAULT_SYNTAX;
		length_fault = scan_length(scanner, parts, result, count);
		if (fault == FAULT_NONE || length_fault == FAULT_SYNTAX)
			fault = length_fault;
	}
	return fault;
}

/* Any expiry, without what may follow it. */
static ExpiryFault
scan_expiry(Scanner *scanner, ExpiryParts *parts)
{
	ExpiryFault fault;
	ScanResult	result;
	int			count = 0;

	if (scan_word(scanner, "never"))
		return FAULT_NONE;		/* EXPIRY_NEVER is zero */

	parts->kind = scan_word(scanner, "inactive") ? EXPIRY_INACTIVE : EXPIRY_LENGTH;
	result = scan_integer(scanner, MOST_DAYS, &count);
	if (result == SCAN_NOTHING)
	{
		if (parts->kind == EXPIRY_INACTIVE)
			return FAULT_SYNTAX;
		fault = scan_end_of(scanner, parts);
		if (fault == FAULT_NONE && parts->period == 0)
			fault = FAULT_SYNTAX;	/* neither a length nor an end */
		return fault;
	}
	if (parts->kind == EXPIRY_LENGTH && result != SCAN_NEGATIVE && scan_char(scanner, '-'))
		return scan_yearly(scanner, parts, result, count);

	fault = scan_length(scanner, parts, result, count);
	if (fault != FAULT_SYNTAX && scan_end_of(scanner, parts) == FAULT_SYNTAX)
		fault = FAULT_SYNTAX;
	return fault;
}

/*
 * expiry_in: 22P02 for text that is no expiry, 22023 for lengths that are not
 * positive, 22003 for lengths beyond a hundred years, 22008 for a yearly date
 * that never comes.
 */
Datum
loyalty_expiry_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	struct Node *escontext = fcinfo->context;
	Scanner		scanner = {str};
	ExpiryParts parts;
	ExpiryFault fault;

	memset(&parts, 0, sizeof(parts));
	fault = scan_expiry(&scanner, &parts);
	if (fault != FAULT_FRACTION && !scan_end(&scanner))
		fault = FAULT_SYNTAX;

	switch (fault)
	{
		case FAULT_NONE:
			break;
		case FAULT_SYNTAX:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", "expiry", str),
					 errhint(EXPIRY_FORMS)));
			break;
		case FAULT_FRACTION:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", "expiry", str),
					 errdetail("The lengths of an expiry are whole numbers."),
					 errhint(EXPIRY_FORMS)));
			break;
		case FAULT_TWICE:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", "expiry", str),
					 errdetail("A unit stands twice."),
					 errhint(EXPIRY_FORMS)));
			break;
		case FAULT_NOT_POSITIVE:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("expiry is out of range: \"%s\"", str),
					 errdetail("The lengths of an expiry must be greater than zero.")));
			break;
		case FAULT_TOO_LONG:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("expiry is out of range: \"%s\"", str),
					 errdetail("The length of an expiry must not exceed %d years.",
							   MOST_MONTHS / MONTHS_PER_YEAR),
					 errhint("Write \"never\" for points that do not expire.")));
			break;
		case FAULT_NO_SUCH_DAY:
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
					 errmsg("expiry is out of range: \"%s\"", str),
					 errdetail("There is no such day in the year."),
					 errhint("A yearly date is written month-day, such as \"03-31\".")));
			break;
	}

	Assert(is_valid(pack(&parts)));
	PG_RETURN_EXPIRY(pack(&parts));
}

/* A blank between two parts of the text. */
static void
append_blank(StringInfo buf)
{
	if (buf->len > 0)
		appendStringInfoChar(buf, ' ');
}

/* The length in the units in which it was written, then the end, if any. */
static void
append_length(StringInfo buf, const ExpiryParts *parts)
{
	const int	counts[NUNITS] = {parts->years, parts->months, parts->weeks, parts->days};
	int			unit;

	for (unit = 0; unit < NUNITS; unit++)
	{
		if (counts[unit] == 0)
			continue;
		append_blank(buf);
		appendStringInfo(buf, "%d %s", counts[unit], unit_names[unit][counts[unit] == 1 ? 0 : 1]);
	}

	if (parts->period == 0)
		return;
	append_blank(buf);
	appendStringInfoString(buf, "end of ");
	switch (parts->period)
	{
		case 1:
			appendStringInfoString(buf, "month");
			break;
		case 3:
			appendStringInfoString(buf, "quarter");
			break;
		case 6:
			appendStringInfoString(buf, "half-year");
			break;
		default:
			appendStringInfoString(buf, "year");
			break;
	}
}

/* expiry_out: the canonical form, which expiry_in reads back as the same expiry. */
Datum
loyalty_expiry_out(PG_FUNCTION_ARGS)
{
	ExpiryParts parts = unpack(PG_GETARG_EXPIRY(0));
	StringInfoData buf;

	initStringInfo(&buf);
	switch ((ExpiryKind) parts.kind)
	{
		case EXPIRY_NEVER:
			appendStringInfoString(&buf, "never");
			break;
		case EXPIRY_LENGTH:
			break;
		case EXPIRY_YEARLY:
			appendStringInfo(&buf, "%02d-%02d", parts.month, parts.day);
			if (has_length(&parts))
				appendStringInfoString(&buf, " after");
			break;
		case EXPIRY_INACTIVE:
			appendStringInfoString(&buf, "inactive");
			break;
	}
	append_length(&buf, &parts);
	PG_RETURN_CSTRING(buf.data);
}


/*
 * Binary form, equality
 */

/* expiry_recv: the word itself.  22P03 for anything that expiry_in could not have made. */
Datum
loyalty_expiry_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	Expiry		expiry = (Expiry) pq_getmsgint64(buf);

	if (!is_valid(expiry))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s", "expiry")));
	PG_RETURN_EXPIRY(expiry);
}

/* expiry_send: what expiry_recv reads. */
Datum
loyalty_expiry_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint64(&buf, PG_GETARG_EXPIRY(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* The same expiry with its length in months and days only, as = compares it. */
static Expiry
in_common_units(Expiry expiry)
{
	ExpiryParts parts = unpack(expiry);

	parts.months = length_months(&parts);
	parts.days = length_days(&parts);
	parts.years = parts.weeks = 0;
	return pack(&parts);
}

/* implementation of = operator: "12 months" = "1 year", "2 weeks" = "14 days" */
Datum
loyalty_expiry_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(in_common_units(PG_GETARG_EXPIRY(0)) == in_common_units(PG_GETARG_EXPIRY(1)));
}

/* implementation of <> operator */
Datum
loyalty_expiry_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(in_common_units(PG_GETARG_EXPIRY(0)) != in_common_units(PG_GETARG_EXPIRY(1)));
}

/* hash function that agrees with = */
Datum
loyalty_expiry_hash(PG_FUNCTION_ARGS)
{
	Expiry		expiry = in_common_units(PG_GETARG_EXPIRY(0));

	return hash_any((unsigned char *) &expiry, sizeof(expiry));
}

/* the same with a seed, for hash partitioning */
Datum
loyalty_expiry_hash_extended(PG_FUNCTION_ARGS)
{
	Expiry		expiry = in_common_units(PG_GETARG_EXPIRY(0));

	return hash_any_extended((unsigned char *) &expiry, sizeof(expiry),
							 (uint64) PG_GETARG_INT64(1));
}


/*
 * Days
 */

/*
 * The first such day of a year on or after "day".  February 29 is the last day
 * of February where the year has none.  22008 beyond the range of dates.
 */
static DateADT
next_yearly(DateADT day, int month, int mday)
{
	int			year;
	int			day_month;
	int			day_mday;
	DateADT		result;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &day_month, &day_mday);
	if (month < day_month ||
		(month == day_month && Min(mday, day_tab[isleap(year)][month - 1]) < day_mday))
		year++;

	/* the second check is exact, the first keeps date2j from overflowing */
	if (!IS_VALID_JULIAN(year, month, mday) ||
		!IS_VALID_DATE(result = date2j(year, month, Min(mday, day_tab[isleap(year)][month - 1])) -
					   POSTGRES_EPOCH_JDATE))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("date out of range")));
	return result;
}

/* first + length, then up to the end or the yearly date that is named */
static DateADT
count_from(const ExpiryParts *parts, DateADT first)
{
	DateADT		day;

	if (DATE_IS_NOEND(first))
		return DATEVAL_NOEND;
	if (DATE_IS_NOBEGIN(first))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("cannot count an expiry from -infinity")));

	day = calendar_add_months(first, length_months(parts));
	day = calendar_add_days(day, length_days(parts));
	if (parts->kind == EXPIRY_YEARLY)
		day = next_yearly(day, parts->month, parts->day);
	else if (parts->period != 0)
		day = calendar_end_of_period(day, parts->period);
	return day;
}

/*
 * Last day of points whose first spendable day is "first", which may be
 * infinity but not -infinity.  22008 when it is out of the range of dates.
 */
DateADT
expiry_last_day(Expiry expiry, DateADT first)
{
	ExpiryParts parts = unpack(expiry);

	if (parts.kind == EXPIRY_NEVER || parts.kind == EXPIRY_INACTIVE)
		return DATEVAL_NOEND;
	return count_from(&parts, first);
}

/* True for "inactive ...". */
bool
expiry_is_inactivity(Expiry expiry)
{
	return unpack(expiry).kind == EXPIRY_INACTIVE;
}

/* Last day of points that were last active on "active", as above. */
DateADT
expiry_inactive_last_day(Expiry expiry, DateADT active)
{
	ExpiryParts parts = unpack(expiry);

	if (parts.kind != EXPIRY_INACTIVE)
		return DATEVAL_NOEND;
	return count_from(&parts, active);
}

/* loyalty.last_day(expiry, date) */
Datum
loyalty_expiry_last_day(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(expiry_last_day(PG_GETARG_EXPIRY(0), PG_GETARG_DATEADT(1)));
}

/* loyalty.inactive_last_day(expiry, date) */
Datum
loyalty_expiry_inactive_last_day(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(expiry_inactive_last_day(PG_GETARG_EXPIRY(0), PG_GETARG_DATEADT(1)));
}
