/*
 * tally_sum.c
 *		The aggregate sum of tallies.
 *
 * The state is a hash table of periods, so that a period costs the same however
 * many there are; it is sorted once, at the end.  It is as coarse as the
 * coarsest tally so far.  As with points the sums are wider than what they
 * become, and only the result is judged.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "utils/date.h"

#include "types/calendar.h"
#include "types/points.h"
#include "types/tally.h"
#include "types/tally_private.h"

PG_FUNCTION_INFO_V1(loyalty_tally_accum);
PG_FUNCTION_INFO_V1(loyalty_tally_combine);
PG_FUNCTION_INFO_V1(loyalty_tally_serialize);
PG_FUNCTION_INFO_V1(loyalty_tally_deserialize);
PG_FUNCTION_INFO_V1(loyalty_tally_sum);

/* Figures by period; no sum of so many rows as there can be leaves its range. */
typedef struct PeriodSum
{
	uint32		first;			/* first day */
	char		status;			/* of the hash table */
	int64		purchases;
	int128		points;
	TallyAmount amount;
} PeriodSum;

#define SH_PREFIX periods
#define SH_ELEMENT_TYPE PeriodSum
#define SH_KEY_TYPE uint32
#define SH_KEY first
#define SH_HASH_KEY(table, key) murmurhash32(key)
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What an aggregate keeps: the table, and a tally to unpack each value in. */
typedef struct TallySum
{
	CalendarPeriod resolution;
	periods_hash *periods;
	Tally		tally;
} TallySum;

static TallySum *
new_sum(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	MemoryContext caller;
	TallySum   *state;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");

	caller = MemoryContextSwitchTo(context);
	state = palloc(sizeof(TallySum));
	state->resolution = PERIOD_DAY;
	state->periods = periods_create(context, 16, NULL);
	tally_init(&state->tally);
	MemoryContextSwitchTo(caller);
	return state;
}

/*
 * Adds to the state's period in which "first" falls.
 */
static inline void
add_to_period(TallySum *state, DateADT first,
			  TallyAmount amount, int128 points, int64 purchases)
{
	bool		found;
	PeriodSum  *sum;

	sum = periods_insert(state->periods,
						 (uint32) calendar_start_of_period(first, state->resolution),
						 &found);
	if (!found)
	{
		sum->amount = 0;
		sum->points = 0;
		sum->purchases = 0;
	}
	sum->amount += amount;
	sum->points += points;
	sum->purchases += purchases;
}

static void
add_table(TallySum *state, periods_hash *periods)
{
	periods_iterator iterator;
	PeriodSum  *sum;

	periods_start_iterate(periods, &iterator);
	while ((sum = periods_iterate(periods, &iterator)) != NULL)
		add_to_period(state, (DateADT) sum->first, sum->amount, sum->points, sum->purchases);
}

/*
 * Makes the state as coarse as what is to be added, which is not empty.
 */
static void
coarsen(TallySum *state, CalendarPeriod resolution)
{
	periods_hash *finer = state->periods;

	if (resolution <= state->resolution)
		return;
	state->resolution = resolution;
	state->periods = periods_create(state->tally.context, 16, NULL);
	add_table(state, finer);
	periods_destroy(finer);
}

/* Adds a tally; NULLs are skipped, as by the aggregates of PostgreSQL. */
Datum
loyalty_tally_accum(PG_FUNCTION_ARGS)
{
	TallySum   *state;
	Tally	   *tally;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	state = PG_ARGISNULL(0) ? new_sum(fcinfo) :
		(TallySum *) PG_GETARG_POINTER(0);
	tally = &state->tally;
	tally_read(tally, PG_GETARG_DATUM(1));
	coarsen(state, tally->resolution);
	for (int i = 0; i < tally->nperiods; i++)
		add_to_period(state, tally->periods[i].first, tally->periods[i].amount,
					  tally->periods[i].points, tally->periods[i].purchases);
	PG_RETURN_POINTER(state);
}

/* Adds the state of another worker. */
Datum
loyalty_tally_combine(PG_FUNCTION_ARGS)
{
	TallySum   *state;
	TallySum   *other;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	/* The other state dies with this call, so it is always copied. */
	state = PG_ARGISNULL(0) ? new_sum(fcinfo) :
		(TallySum *) PG_GETARG_POINTER(0);
	other = (TallySum *) PG_GETARG_POINTER(1);
	coarsen(state, other->resolution);
	add_table(state, other->periods);
	PG_RETURN_POINTER(state);
}

static void
send_wide(StringInfo message, int128 value)
{
	pq_sendint64(message, (uint64) (value >> 64));
	pq_sendint64(message, (uint64) value);
}

static int128
get_wide(StringInfo message)
{
	uint128		high = (uint64) pq_getmsgint64(message);

	return (int128) (high << 64 | (uint64) pq_getmsgint64(message));
}

/* The state as bytes: the resolution, then for each period its key and sums. */
Datum
loyalty_tally_serialize(PG_FUNCTION_ARGS)
{
	TallySum   *state = (TallySum *) PG_GETARG_POINTER(0);
	StringInfoData message;
	periods_iterator iterator;
	PeriodSum  *sum;

	pq_begintypsend(&message);
	pq_sendbyte(&message, (uint8) state->resolution);
	periods_start_iterate(state->periods, &iterator);
	while ((sum = periods_iterate(state->periods, &iterator)) != NULL)
	{
		pq_sendint32(&message, sum->first);
		pq_sendint64(&message, (uint64) sum->purchases);
		send_wide(&message, sum->points);
		send_wide(&message, sum->amount);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* The state from bytes; 08P01 when they are cut off. */
Datum
loyalty_tally_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	TallySum   *state = new_sum(fcinfo);
	StringInfoData message;

	message.data = VARDATA_ANY(bytes);
	message.len = VARSIZE_ANY_EXHDR(bytes);
	message.maxlen = message.len;
	message.cursor = 0;

	state->resolution = (CalendarPeriod) pq_getmsgbyte(&message);
	while (message.cursor < message.len)
	{
		DateADT		first = (DateADT) pq_getmsgint(&message, sizeof(int32));
		int64		purchases = pq_getmsgint64(&message);
		int128		points = get_wide(&message);
		TallyAmount amount = get_wide(&message);

		add_to_period(state, first, amount, points, purchases);
	}
	PG_RETURN_POINTER(state);
}

/*
 * sum: NULL over no tallies, 22003 when a figure of a period is out of range.
 * Leaves the state as it is, for window functions.
 */
Datum
loyalty_tally_sum(PG_FUNCTION_ARGS)
{
	TallySum   *state;
	periods_iterator iterator;
	PeriodSum  *sum;
	Tally		tally;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (TallySum *) PG_GETARG_POINTER(0);

	tally_init(&tally);
	tally.resolution = state->resolution;
	periods_start_iterate(state->periods, &iterator);
	while ((sum = periods_iterate(state->periods, &iterator)) != NULL)
	{
		TallyPeriod period;

		if (!is_amount(sum->amount))
			tally_amount_out_of_range();
		if (!is_purchases(sum->purchases))
			tally_purchases_out_of_range();
		period.first = (DateADT) sum->first;
		period.amount = sum->amount;
		period.points = checked_points(sum->points);
		period.purchases = (int32) sum->purchases;
		if (!is_nothing(&period))
			append(&tally, &period);
	}
	if (tally.nperiods > 0)
		qsort(tally.periods, tally.nperiods, sizeof(TallyPeriod), compare_periods);
	return tally_pack(&tally);
}
