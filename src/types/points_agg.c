/*
 * points_agg.c
 *		sum and avg of points.
 *
 * The running sum is 128 bits wide: no number of rows can overflow it, a row
 * can be taken out of it again exactly (moving frames), and only the final
 * result is judged, so that a sum whose parts leave the range but whose total
 * does not is right whatever the order of the rows.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "types/numeric_wire.h"
#include "types/points.h"

PG_FUNCTION_INFO_V1(loyalty_points_accum);
PG_FUNCTION_INFO_V1(loyalty_points_accum_inv);
PG_FUNCTION_INFO_V1(loyalty_points_combine);
PG_FUNCTION_INFO_V1(loyalty_points_serialize);
PG_FUNCTION_INFO_V1(loyalty_points_deserialize);
PG_FUNCTION_INFO_V1(loyalty_points_sum);
PG_FUNCTION_INFO_V1(loyalty_points_avg);

typedef struct PointsSum
{
	int128		sum;
	int64		count;			/* of values that are not NULL */
} PointsSum;

/* A zero state that lives as long as the aggregate does. */
static PointsSum *
new_state(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return MemoryContextAllocZero(context, sizeof(PointsSum));
}

/* Add a value; NULLs are skipped, as by the aggregates of PostgreSQL. */
Datum
loyalty_points_accum(PG_FUNCTION_ARGS)
{
	PointsSum  *state = PG_ARGISNULL(0) ? new_state(fcinfo) :
		(PointsSum *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(1))
	{
		state->sum += PG_GETARG_POINTS(1);
		state->count++;
	}
	PG_RETURN_POINTER(state);
}

/* Take a value out again that has left the frame of a window. */
Datum
loyalty_points_accum_inv(PG_FUNCTION_ARGS)
{
	PointsSum  *state;

	if (PG_ARGISNULL(0))
		elog(ERROR, "inverse transition function called with a null state");
	state = (PointsSum *) PG_GETARG_POINTER(0);
	if (!PG_ARGISNULL(1))
	{
		state->sum -= PG_GETARG_POINTS(1);
		state->count--;
	}
	PG_RETURN_POINTER(state);
}

/* Add the state of another worker. */
Datum
loyalty_points_combine(PG_FUNCTION_ARGS)
{
	PointsSum  *state = PG_ARGISNULL(0) ? new_state(fcinfo) :
		(PointsSum *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(1))
	{
		PointsSum  *other = (PointsSum *) PG_GETARG_POINTER(1);

		state->sum += other->sum;
		state->count += other->count;
	}
	PG_RETURN_POINTER(state);
}

/* The state as bytes: count, upper and lower half of the sum. */
Datum
loyalty_points_serialize(PG_FUNCTION_ARGS)
{
	PointsSum  *state = (PointsSum *) PG_GETARG_POINTER(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint64(&message, state->count);
	pq_sendint64(&message, (uint64) (state->sum >> 64));
	pq_sendint64(&message, (uint64) state->sum);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* The state from bytes; 08P01 when there are too few or too many of them. */
Datum
loyalty_points_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	PointsSum  *state = palloc(sizeof(PointsSum));
	StringInfoData message;
	uint128		sum;

	message.data = VARDATA_ANY(bytes);
	message.len = VARSIZE_ANY_EXHDR(bytes);
	message.maxlen = message.len;
	message.cursor = 0;

	state->count = pq_getmsgint64(&message);
	sum = (uint128) (uint64) pq_getmsgint64(&message) << 64;
	sum |= (uint64) pq_getmsgint64(&message);
	state->sum = (int128) sum;
	pq_getmsgend(&message);
	PG_RETURN_POINTER(state);
}

/* sum: NULL over no values, 22003 when the total is out of range. */
Datum
loyalty_points_sum(PG_FUNCTION_ARGS)
{
	PointsSum  *state = (PointsSum *) PG_GETARG_POINTER(0);

	if (state->count == 0)
		PG_RETURN_NULL();
	if (state->sum > POINTS_MAX || state->sum < POINTS_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("points out of range")));
	PG_RETURN_POINTS((Points) state->sum);
}

/* avg: a numeric, NULL over no values; cannot fail. */
Datum
loyalty_points_avg(PG_FUNCTION_ARGS)
{
	PointsSum  *state = (PointsSum *) PG_GETARG_POINTER(0);

	if (state->count == 0)
		PG_RETURN_NULL();
	return DirectFunctionCall2(numeric_div,
							   NumericGetDatum(numeric_wire_make(state->sum)),
							   DirectFunctionCall1(int8_numeric,
												   Int64GetDatum(state->count)));
}
