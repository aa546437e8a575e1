/*
 * calendar.c
 *		Days and instants in a program's time zone.
 *
 * All zone knowledge is PostgreSQL's own.  The unit of a loyalty program is
 * the day; so instants become days once, here, and all else counts days.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/datetime.h"

#include "types/calendar.h"

/* From the epoch of the time zone library (1970) to that of dates (2000). */
#define EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* Further from UTC than any zone has ever been. */
#define WIDEST_OFFSET (26 * SECS_PER_HOUR)

static void
date_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("date out of range")));
}

static void
timestamp_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("timestamp out of range")));
}

static int64
floor_div(int64 value, int64 divisor)
{
	int64		quotient = value / divisor;

	if (value % divisor < 0)
		quotient--;
	return quotient;
}

/*
 * True if the zone comes from the time zone database, false if it was made up
 * from a POSIX specification: pg_tzset takes any "FOO+3" for a zone three
 * hours west, so that a misspelt name would pass.
 *
 * A specification has a digit, and pg_tzset names it in upper case, whereas a
 * database zone keeps its own spelling.  That settles nearly every name; the
 * few that are left (EST5EDT, GMT0) are looked up in the database.
 */
static bool
zone_is_listed(pg_tz *zone)
{
	const char *name = pg_get_timezone_name(zone);
	pg_tzenum  *zones;
	pg_tz	   *candidate;
	bool		listed = false;

	if (strpbrk(name, "0123456789") == NULL ||
		strpbrk(name, "abcdefghijklmnopqrstuvwxyz") != NULL)
		return true;

	zones = pg_tzenumerate_start();
	while (!listed && (candidate = pg_tzenumerate_next(zones)) != NULL)
		listed = strcmp(pg_get_timezone_name(candidate), name) == 0;
	pg_tzenumerate_end(zones);
	return listed;
}

/*
 * The zone of that name, as pg_timezone_names lists it (in any case).  The
 * result lives as long as the process.  22023 for a name that is not listed:
 * abbreviations, offsets, POSIX specifications, and zones with leap seconds.
 */
pg_tz *
calendar_zone(const char *name)
{
	pg_tz	   *zone = pg_tzset(name);

	/* the second condition keeps out ":UTC", which pg_tzset takes for UTC */
	if (zone == NULL || pg_strcasecmp(pg_get_timezone_name(zone), name) != 0 ||
		!pg_tz_acceptable(zone) || !zone_is_listed(zone))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" is not recognized", name),
				 errhint("The view pg_timezone_names lists the names, such as \"Europe/Paris\".")));
	return zone;
}

bool
calendar_has(TimestampTz at)
{
	return at >= (date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY &&
		at < (date2j(10000, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

/*
 * The calendar day of an instant.  On the path of every posting: one search in
 * the zone's transitions and one division.
 */
DateADT
calendar_day(TimestampTz at, pg_tz *zone)
{
	pg_time_t	seconds;
	struct pg_tm *local;
	int64		day;

	if (TIMESTAMP_IS_NOBEGIN(at))
		return DATEVAL_NOBEGIN;
	if (TIMESTAMP_IS_NOEND(at))
		return DATEVAL_NOEND;
	if (!IS_VALID_TIMESTAMP(at))
		timestamp_out_of_range();

	seconds = floor_div(at, USECS_PER_SEC) + (int64) EPOCH_DAYS * SECS_PER_DAY;
	local = pg_localtime(&seconds, zone);
	if (local == NULL)
		timestamp_out_of_range();

	day = floor_div(seconds + local->tm_gmtoff, SECS_PER_DAY) - EPOCH_DAYS;
	if (!IS_VALID_DATE(day))
		date_out_of_range();
	return (DateADT) day;
}

/*
 * The first instant at which the zone's calendar shows that day or, where the
 * zone skipped the day, a later one.  So a missing midnight gives the end of
 * the gap, and a midnight that comes twice its first coming.
 *
 * Walks over the stretches of constant offset around that midnight.  22008
 * when the day is beyond the range of timestamps.
 */
TimestampTz
calendar_start_of_day(DateADT day, pg_tz *zone)
{
	pg_time_t	midnight;		/* as the zone's clocks show it */
	pg_time_t	at;
	pg_time_t	found;
	int64		result;

	if (DATE_IS_NOBEGIN(day))
	{
		TIMESTAMP_NOBEGIN(result);
		return result;
	}
	if (DATE_IS_NOEND(day))
	{
		TIMESTAMP_NOEND(result);
		return result;
	}

	midnight = ((int64) day + EPOCH_DAYS) * SECS_PER_DAY;
	at = midnight - WIDEST_OFFSET;
	for (;;)
	{
		long int	offset;
		long int	offset_after;
		int			isdst;
		int			isdst_after;
		pg_time_t	boundary;
		int			more;

		more = pg_next_dst_boundary(&at, &offset, &isdst, &boundary,
									&offset_after, &isdst_after, zone);
		if (more < 0)
			timestamp_out_of_range();

		/* a stretch may begin beyond midnight: then midnight was skipped */
		found = Max(at, midnight - offset);
		if (more == 0 || found < boundary)
			break;
		at = boundary;
	}

	if (pg_mul_s64_overflow(found - (int64) EPOCH_DAYS * SECS_PER_DAY, USECS_PER_SEC, &result) ||
		!IS_VALID_TIMESTAMP(result))
		timestamp_out_of_range();
	return result;
}

/*
 * A local time read in the zone, as PostgreSQL's AT TIME ZONE does: in a gap
 * or a repeated hour the standard offset decides.  22008 out of range.
 */
TimestampTz
calendar_instant(Timestamp local, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	TimestampTz result;

	if (TIMESTAMP_NOT_FINITE(local))
		return local;

	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, zone) != 0)
		timestamp_out_of_range();
	offset = DetermineTimeZoneOffset(&tm, zone);
	if (tm2timestamp(&tm, fsec, &offset, &result) != 0 || !IS_VALID_TIMESTAMP(result))
		timestamp_out_of_range();
	return result;
}

/*
 * Same day of the month, so many months on, or the last one where the month is
 * shorter.  22008 when the result is no date.
 */
DateADT
calendar_add_months(DateADT day, int months)
{
	int			year;
	int			month;
	int			mday;
	int64		total;
	int64		new_year;
	DateADT		result;

	if (DATE_NOT_FINITE(day))
		return day;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	total = (int64) year * MONTHS_PER_YEAR + (month - 1) + months;
	new_year = floor_div(total, MONTHS_PER_YEAR);
	month = (int) (total - new_year * MONTHS_PER_YEAR) + 1;
	if (!IS_VALID_JULIAN(new_year, month, 1))
		date_out_of_range();
	year = (int) new_year;
	mday = Min(mday, day_tab[isleap(year)][month - 1]);

	result = date2j(year, month, mday) - POSTGRES_EPOCH_JDATE;
	if (!IS_VALID_DATE(result))
		date_out_of_range();
	return result;
}

/* So many days on.  22008 when the result is no date. */
DateADT
calendar_add_days(DateADT day, int days)
{
	DateADT		result;

	if (DATE_NOT_FINITE(day))
		return day;
	if (pg_add_s32_overflow(day, days, &result) || !IS_VALID_DATE(result))
		date_out_of_range();
	return result;
}

/*
 * Last day of the month, quarter, half-year or year (1, 3, 6 or 12 months) in
 * which the day falls.
 */
DateADT
calendar_end_of_period(DateADT day, int months_in_period)
{
	int			year;
	int			month;
	int			mday;

	Assert(months_in_period > 0 && MONTHS_PER_YEAR % months_in_period == 0);

	if (DATE_NOT_FINITE(day))
		return day;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	month = ((month - 1) / months_in_period + 1) * months_in_period;
	return date2j(year, month, day_tab[isleap(year)][month - 1]) - POSTGRES_EPOCH_JDATE;
}

Timestamp
calendar_local(TimestampTz at, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	Timestamp	local;

	if (TIMESTAMP_NOT_FINITE(at))
		return at;
	if (timestamp2tm(at, &offset, &tm, &fsec, NULL, zone) != 0 ||
		tm2timestamp(&tm, fsec, NULL, &local) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return local;
}

static const char *const period_names[] = {"day", "week", "month", "year", "ever"};

CalendarPeriod
calendar_period(const char *name)
{
	int			i;

	for (i = 0; i < lengthof(period_names); i++)
		if (strcmp(name, period_names[i]) == 0)
			return (CalendarPeriod) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not a period", name),
			 errhint("A period is day, week, month, year or ever.")));
}

const char *
calendar_period_name(CalendarPeriod period)
{
	return period_names[period];
}

/* 22008 when the period begins before the range of dates. */
DateADT
calendar_start_of_period(DateADT day, CalendarPeriod period)
{
	int			year,
				month,
				month_day;

	if (DATE_NOT_FINITE(day) || period == PERIOD_DAY)
		return day;
	if (period == PERIOD_EVER)
		return DATEVAL_NOBEGIN;
	/* j2day says 1 for Monday and 0 for Sunday. */
	if (period == PERIOD_WEEK)
		day -= (j2day(day + POSTGRES_EPOCH_JDATE) + 6) % 7;
	else
	{
		j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &month_day);
		day = date2j(year, period == PERIOD_YEAR ? 1 : month, 1) - POSTGRES_EPOCH_JDATE;
	}
	if (!IS_VALID_DATE(day))
		date_out_of_range();
	return day;
}
