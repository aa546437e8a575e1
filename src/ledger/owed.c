/*
 * owed.c
 *		What members are owed, by the month in which it expires: an aggregate.
 *
 * Each purse is taken as time leaves it at the moment asked about: lots that
 * lapsed left out, debt netted, points that end by inactivity in the month in
 * which they would.  Most purses have neither debt nor such points, and their
 * lots are added up as they are read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "ledger/access.h"
#include "ledger/holdings.h"
#include "loyalty.h"
#include "types/calendar.h"
#include "types/purse.h"

PG_FUNCTION_INFO_V1(loyalty_owed_accum);
PG_FUNCTION_INFO_V1(loyalty_owed_months);

/* Last days whose month has been worked out, by the low bits of the day. */
#define KNOWN_DAYS 256

/* What is owed of a month. */
typedef struct MonthOwed
{
	DateADT		month;			/* first day; DATEVAL_NOEND: what never expires */
	int64		members;
	int128		points;
	char		status;			/* of the hash table */
} MonthOwed;

#define SH_PREFIX months
#define SH_ELEMENT_TYPE MonthOwed
#define SH_KEY_TYPE DateADT
#define SH_KEY month
#define SH_HASH_KEY(table, key) ((uint32) (key) * 0x9E3779B9U)
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Owed
{
	months_hash *months;
	Purse		purse;
	MemoryContext row_context;
	int32		program_id;		/* of the row before; 0: there was none */
	TimestampTz at;
	bool		visible;		/* the caller may read all of that program */
	bool		inactivity;		/* its points end by inactivity */
	Expiry		expiry;
	pg_tz	   *zone;
	DateADT		day;			/* that of "at" there */
	DateADT		known_days[KNOWN_DAYS];
	DateADT		known_months[KNOWN_DAYS];
} Owed;

static Owed *
new_owed(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	MemoryContext caller;
	Owed	   *owed;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	caller = MemoryContextSwitchTo(context);
	owed = palloc0(sizeof(Owed));
	owed->months = months_create(context, 64, NULL);
	purse_init(&owed->purse);
	owed->row_context = AllocSetContextCreate(context, "loyalty owed", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(caller);
	return owed;
}

/* Have the terms of the row's program; a copy, since configuration may be read anew at any time. */
static void
know_program(Owed *owed, int32 program_id, TimestampTz at)
{
	Config	   *config = config_get();
	Program    *program = config_program_by_id(config, program_id);

	owed->program_id = program_id;
	owed->at = at;
	owed->visible = program != NULL && access_may(config, program, ACCESS_READ);
	if (!owed->visible)
		return;
	owed->inactivity = expiry_is_inactivity(program->expiry);
	owed->expiry = program->expiry;
	owed->zone = program->zone;
	owed->day = calendar_day(at, program->zone);
}

static DateADT
month_of(Owed *owed, DateADT day)
{
	int			slot = (uint32) day % KNOWN_DAYS;

	if (DATE_NOT_FINITE(day))
		return day;
	/* A table of zeros knows the wrong month of day 0 only. */
	if (owed->known_days[slot] != day || day == 0)
	{
		owed->known_days[slot] = day;
		owed->known_months[slot] = calendar_start_of_period(day, PERIOD_MONTH);
	}
	return owed->known_months[slot];
}

/* Lots are in order of their last day, so months that follow each other count the member once. */
static void
add_lots(Owed *owed, const Purse *purse)
{
	MonthOwed  *sum = NULL;
	bool		found;
	int			i;

	for (i = 0; i < purse->nlots; i++)
	{
		const Lot  *lot = &purse->lots[i];
		DateADT		month;

		if (lot->ends < owed->day)
			continue;
		month = month_of(owed, lot->ends);
		if (sum == NULL || sum->month != month)
		{
			sum = months_insert(owed->months, month, &found);
			if (!found)
			{
				sum->members = 0;
				sum->points = 0;
			}
			sum->members++;
		}
		sum->points += lot->points;
	}
}

static bool
has_debt(const Purse *purse)
{
	int			i;

	for (i = 0; i < purse->nlots; i++)
		if (purse->lots[i].points < 0)
			return true;
	return false;
}

/* The purse as time leaves it. */
static void
add_settled(Owed *owed, TimestampTz active)
{
	MemoryContext caller = MemoryContextSwitchTo(owed->row_context);
	DateADT		inactive_end = !owed->inactivity ? DATEVAL_NOEND
		: expiry_inactive_last_day(owed->expiry, calendar_day(active, owed->zone));
	Purse		settled;
	Purse		outstanding;

	purse_init(&settled);
	purse_init(&outstanding);
	holdings_settle(&owed->purse, inactive_end, owed->day, &settled);
	purse_outstanding(&settled, owed->day, &outstanding);
	MemoryContextSwitchTo(caller);
	add_lots(owed, &outstanding);
	MemoryContextReset(owed->row_context);
}

/* owed(purse, program_id, last_activity, enrolled_at, at): a member, of whom last_activity alone may be NULL */
Datum
loyalty_owed_accum(PG_FUNCTION_ARGS)
{
	Owed	   *owed = PG_ARGISNULL(0) ? new_owed(fcinfo) : (Owed *) PG_GETARG_POINTER(0);
	TimestampTz at;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(4) || PG_ARGISNULL(5))
		PG_RETURN_POINTER(owed);
	at = PG_GETARG_TIMESTAMPTZ(5);
	if (owed->program_id != PG_GETARG_INT32(2) || owed->at != at)
		know_program(owed, PG_GETARG_INT32(2), at);
	if (!owed->visible)
		PG_RETURN_POINTER(owed);
	purse_read(&owed->purse, PG_GETARG_DATUM(1));
	if (owed->inactivity || has_debt(&owed->purse))
	{
		TimestampTz active = PG_GETARG_TIMESTAMPTZ(4);

		add_settled(owed, PG_ARGISNULL(3) ? active : Max(active, PG_GETARG_TIMESTAMPTZ(3)));
	}
	else
		add_lots(owed, &owed->purse);
	PG_RETURN_POINTER(owed);
}

static int
compare_months(const void *a, const void *b)
{
	DateADT		x = (*(MonthOwed *const *) a)->month;
	DateADT		y = (*(MonthOwed *const *) b)->month;

	return x < y ? -1 : x > y;
}

/* The months in order, as an array of month_owed; 22003 when points are out of range. */
Datum
loyalty_owed_months(PG_FUNCTION_ARGS)
{
	Oid			type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	TupleDesc	desc;
	Owed	   *owed;
	MonthOwed **sums;
	MonthOwed  *sum;
	Datum	   *rows;
	months_iterator iterator;
	int			nrows = 0;
	int			i;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	owed = (Owed *) PG_GETARG_POINTER(0);
	desc = lookup_rowtype_tupdesc(type, -1);
	sums = palloc(sizeof(MonthOwed *) * (owed->months->members + 1));
	rows = palloc(sizeof(Datum) * (owed->months->members + 1));
	months_start_iterate(owed->months, &iterator);
	while ((sum = months_iterate(owed->months, &iterator)) != NULL)
		sums[nrows++] = sum;
	qsort(sums, nrows, sizeof(MonthOwed *), compare_months);
	for (i = 0; i < nrows; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		if (sums[i]->points > POINTS_MAX || sums[i]->points < POINTS_MIN)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("points out of range")));
		values[0] = DateADTGetDatum(sums[i]->month);
		values[1] = Int64GetDatum(sums[i]->members);
		values[2] = PointsGetDatum((Points) sums[i]->points);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, nrows, type, -1, false, TYPALIGN_DOUBLE));
}
