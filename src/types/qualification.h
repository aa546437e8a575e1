/*
 * qualification.h
 *		The type qualification: the window in which tiers count.
 *
 * Four bytes passed by value; the layout is private to qualification.c.
 */
#ifndef LOYALTY_QUALIFICATION_H
#define LOYALTY_QUALIFICATION_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/date.h"

#include "types/calendar.h"

typedef uint32 Qualification;

#define DatumGetQualification(X) ((Qualification) DatumGetInt32(X))
#define QualificationGetDatum(X) Int32GetDatum((int32) (X))
#define PG_GETARG_QUALIFICATION(n) DatumGetQualification(PG_GETARG_DATUM(n))
#define PG_RETURN_QUALIFICATION(x) return QualificationGetDatum(x)

/* What counts when nothing else is said: everything. */
#define QUALIFICATION_LIFETIME ((Qualification) 0)

/*
 * The window of a day: what counts toward the tier on that day is what stands
 * between these two, and not after the day itself.  All days are calendar days
 * in the program's time zone; "enrolled" is read by "membership year" only.
 *
 *							first day					last day
 *	rolling N days			day - N + 1					infinity
 *	rolling N months		(day - N months) + 1		infinity
 *	calendar year			January 1					December 31
 *	membership year			last anniversary			day before the next one
 *	lifetime				-infinity					infinity
 *
 * So "rolling 365 days" on 1998-07-01 begins on 1997-07-02, and so does
 * "rolling 12 months".  A subtraction of months is clamped to the month, and an
 * anniversary of February 29 is February 28 in common years.  A rolling window
 * has no last day: it goes on with the days.
 */
extern DateADT qualification_start(Qualification qualification, DateADT day, DateADT enrolled);
extern DateADT qualification_end(Qualification qualification, DateADT day, DateADT enrolled);

/* True when the window depends on the day of enrollment. */
extern bool qualification_is_by_membership(Qualification qualification);

/*
 * The coarsest periods in which a tally may count for this window: PERIOD_EVER
 * for lifetime, else PERIOD_DAY.  A tally that is finer will do as well; one
 * that is coarser has to be counted anew.  A total does not know days: what is
 * dated ahead counts in it at once.
 */
extern CalendarPeriod qualification_resolution(Qualification qualification);

#endif							/* LOYALTY_QUALIFICATION_H */
