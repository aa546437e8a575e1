/*
 * calendar.h
 *		Days and instants in a program's time zone.
 */
#ifndef LOYALTY_CALENDAR_H
#define LOYALTY_CALENDAR_H

#include "postgres.h"
#include "pgtime.h"
#include "utils/date.h"
#include "utils/timestamp.h"

/* The zone by name; 22023 with a HINT when PostgreSQL does not know it. */
extern pg_tz *calendar_zone(const char *name);

/*
 * Whether an instant lies in the years 1 to 9999, as all do that are kept: others
 * are mistakes.  Near the ends of the type a local time, or the beginning of its
 * month, would be out of range, and every report would fail on it for ever.
 */
extern bool calendar_has(TimestampTz at);

/* The calendar day of an instant in the zone (infinite instants give infinite days; 22008 out of range). */
extern DateADT calendar_day(TimestampTz at, pg_tz *zone);

/* The first instant of a day in the zone, also where midnight is skipped. */
extern TimestampTz calendar_start_of_day(DateADT day, pg_tz *zone);

/* A local time read in the zone, as PostgreSQL's AT TIME ZONE does. */
extern TimestampTz calendar_instant(Timestamp local, pg_tz *zone);

/* The other way: the local time of an instant, as AT TIME ZONE gives it. */
extern Timestamp calendar_local(TimestampTz at, pg_tz *zone);

/* day + months, clamped to the end of the month (Jan 31 + 1 month = Feb 28 or 29); infinities stay. */
extern DateADT calendar_add_months(DateADT day, int months);
extern DateADT calendar_add_days(DateADT day, int days);

/* Last day of the period of 1, 3, 6 or 12 months in which the day falls. */
extern DateADT calendar_end_of_period(DateADT day, int months_in_period);

/* Periods in which things are counted. */
typedef enum CalendarPeriod
{
	PERIOD_DAY,
	PERIOD_WEEK,				/* from Monday, as ISO 8601 has it */
	PERIOD_MONTH,
	PERIOD_YEAR,
	PERIOD_EVER
} CalendarPeriod;

/* day, week, month, year or ever; 22023 for anything else. */
extern CalendarPeriod calendar_period(const char *name);
extern const char *calendar_period_name(CalendarPeriod period);

/* First day of the period in which the day falls; DATEVAL_NOBEGIN of PERIOD_EVER. */
extern DateADT calendar_start_of_period(DateADT day, CalendarPeriod period);

#endif							/* LOYALTY_CALENDAR_H */
