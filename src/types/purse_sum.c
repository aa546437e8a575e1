/*
 * purse_sum.c
 *		The aggregate sum of purses.
 *
 * The state is a hash table of life spans, so that a lot costs the same however
 * many life spans there are; it is sorted once, at the end.  As with points the
 * sums are 128 bits wide and only the result is judged.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/date.h"

#include "types/points.h"
#include "types/purse.h"
#include "types/purse_private.h"

PG_FUNCTION_INFO_V1(loyalty_purse_accum);
PG_FUNCTION_INFO_V1(loyalty_purse_combine);
PG_FUNCTION_INFO_V1(loyalty_purse_serialize);
PG_FUNCTION_INFO_V1(loyalty_purse_deserialize);
PG_FUNCTION_INFO_V1(loyalty_purse_sum);

/* Points by life span. */
typedef struct SpanSum
{
	uint64		span;			/* last day, first day */
	int128		points;
	char		status;			/* of the hash table */
} SpanSum;

/* Spreads days that run on evenly over the table. */
static inline uint32
hash_span(uint64 span)
{
	span = (span ^ (span >> 32)) * UINT64CONST(0x9E3779B97F4A7C15);
	span = (span ^ (span >> 32)) * UINT64CONST(0x9E3779B97F4A7C15);
	return (uint32) (span >> 32);
}

#define SH_PREFIX spans
#define SH_ELEMENT_TYPE SpanSum
#define SH_KEY_TYPE uint64
#define SH_KEY span
#define SH_HASH_KEY(table, key) hash_span(key)
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What an aggregate keeps: the table, and a purse to unpack each value in. */
typedef struct PurseSum
{
	spans_hash *spans;
	Purse		purse;
} PurseSum;

static PurseSum *
new_sum(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	MemoryContext caller;
	PurseSum   *state;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");

	caller = MemoryContextSwitchTo(context);
	state = palloc(sizeof(PurseSum));
	state->spans = spans_create(context, 16, NULL);
	purse_init(&state->purse);
	MemoryContextSwitchTo(caller);
	return state;
}

static inline void
add_to_span(PurseSum *state, uint64 span, int128 points)
{
	bool		found;
	SpanSum    *sum = spans_insert(state->spans, span, &found);

	if (found)
		sum->points += points;
	else
		sum->points = points;
}

/* Adds a purse; NULLs are skipped, as by the aggregates of PostgreSQL. */
Datum
loyalty_purse_accum(PG_FUNCTION_ARGS)
{
	PurseSum   *state;
	Purse	   *purse;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	state = PG_ARGISNULL(0) ? new_sum(fcinfo) :
		(PurseSum *) PG_GETARG_POINTER(0);
	purse = &state->purse;
	purse_read(purse, PG_GETARG_DATUM(1));
	for (int i = 0; i < purse->nlots; i++)
		add_to_span(state,
					(uint64) (uint32) purse->lots[i].ends << 32 |
					(uint32) purse->lots[i].starts,
					purse->lots[i].points);
	PG_RETURN_POINTER(state);
}

/* Adds the state of another worker. */
Datum
loyalty_purse_combine(PG_FUNCTION_ARGS)
{
	PurseSum   *state;
	PurseSum   *other;
	spans_iterator iterator;
	SpanSum    *sum;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	/* The other state dies with this call, so it is always copied. */
	state = PG_ARGISNULL(0) ? new_sum(fcinfo) :
		(PurseSum *) PG_GETARG_POINTER(0);
	other = (PurseSum *) PG_GETARG_POINTER(1);
	spans_start_iterate(other->spans, &iterator);
	while ((sum = spans_iterate(other->spans, &iterator)) != NULL)
		add_to_span(state, sum->span, sum->points);
	PG_RETURN_POINTER(state);
}

/* The state as bytes: for each life span its key, then both halves of its sum. */
Datum
loyalty_purse_serialize(PG_FUNCTION_ARGS)
{
	PurseSum   *state = (PurseSum *) PG_GETARG_POINTER(0);
	StringInfoData message;
	spans_iterator iterator;
	SpanSum    *sum;

	pq_begintypsend(&message);
	spans_start_iterate(state->spans, &iterator);
	while ((sum = spans_iterate(state->spans, &iterator)) != NULL)
	{
		pq_sendint64(&message, sum->span);
		pq_sendint64(&message, (uint64) (sum->points >> 64));
		pq_sendint64(&message, (uint64) sum->points);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* The state from bytes; 08P01 when they are cut off. */
Datum
loyalty_purse_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	PurseSum   *state = new_sum(fcinfo);
	StringInfoData message;

	message.data = VARDATA_ANY(bytes);
	message.len = VARSIZE_ANY_EXHDR(bytes);
	message.maxlen = message.len;
	message.cursor = 0;

	while (message.cursor < message.len)
	{
		uint64		span = (uint64) pq_getmsgint64(&message);
		uint128		points = (uint128) (uint64) pq_getmsgint64(&message) << 64;

		points |= (uint64) pq_getmsgint64(&message);
		add_to_span(state, span, (int128) points);
	}
	PG_RETURN_POINTER(state);
}

/*
 * sum: NULL over no purses, 22003 when the points of a life span are out of
 * range.  Leaves the state as it is, for window functions.
 */
Datum
loyalty_purse_sum(PG_FUNCTION_ARGS)
{
	PurseSum   *state;
	spans_iterator iterator;
	SpanSum    *sum;
	Purse		purse;
	Lot		   *lots;
	int			nlots = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (PurseSum *) PG_GETARG_POINTER(0);

	lots = MemoryContextAllocHuge(CurrentMemoryContext,
								  (Size) (state->spans->members + 1) * sizeof(Lot));
	spans_start_iterate(state->spans, &iterator);
	while ((sum = spans_iterate(state->spans, &iterator)) != NULL)
	{
		if (sum->points > POINTS_MAX || sum->points < POINTS_MIN)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("points out of range")));
		if (sum->points == 0)
			continue;
		lots[nlots].ends = (DateADT) (sum->span >> 32);
		lots[nlots].starts = (DateADT) (uint32) sum->span;
		lots[nlots].points = (Points) sum->points;
		nlots++;
	}
	qsort(lots, nlots, sizeof(Lot), compare_lots);

	purse_init(&purse);
	for (int i = 0; i < nlots; i++)
		purse_add_lot(&purse, lots[i].starts, lots[i].ends, lots[i].points);
	pfree(lots);
	return purse_pack(&purse);
}
