/*
 * tally_ops.c
 *		The operators and functions of the type tally, but for its input, output
 *		and aggregate.
 *
 * They unpack their arguments, leave the work to tally.h and pack what comes of
 * it.  Equality and the hash read the packed bytes; see packed.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "types/calendar.h"
#include "types/points.h"
#include "types/tally.h"
#include "types/tally_private.h"

PG_FUNCTION_INFO_V1(loyalty_tally_add_day);
PG_FUNCTION_INFO_V1(loyalty_tally_add);
PG_FUNCTION_INFO_V1(loyalty_tally_sub);
PG_FUNCTION_INFO_V1(loyalty_tally_neg);
PG_FUNCTION_INFO_V1(loyalty_tally_coarsen);
PG_FUNCTION_INFO_V1(loyalty_tally_prune);
PG_FUNCTION_INFO_V1(loyalty_tally_resolution);
PG_FUNCTION_INFO_V1(loyalty_tally_totals);
PG_FUNCTION_INFO_V1(loyalty_tally_periods);

/* ----------
 * Algebra
 * ----------
 */

/* Counts on a day; 22003 out of range or too fine, 22008 for an infinite day. */
Datum
loyalty_tally_add_day(PG_FUNCTION_ARGS)
{
	Tally		tally;

	read_argument(fcinfo, 0, &tally);
	tally_add_day(&tally, PG_GETARG_DATEADT(1),
				  tally_amount_from_numeric(PG_GETARG_NUMERIC(2)),
				  points_from_numeric(PG_GETARG_NUMERIC(3)),
				  PG_GETARG_INT32(4));
	return tally_pack(&tally);
}

/* 22003 when a figure of a period leaves its range. */
Datum
loyalty_tally_add(PG_FUNCTION_ARGS)
{
	Tally		a;
	Tally		b;

	read_argument(fcinfo, 0, &a);
	read_argument(fcinfo, 1, &b);
	tally_add(&a, &b);
	return tally_pack(&a);
}

/* 22003 when a figure of a period leaves its range. */
Datum
loyalty_tally_sub(PG_FUNCTION_ARGS)
{
	Tally		a;
	Tally		b;

	read_argument(fcinfo, 0, &a);
	read_argument(fcinfo, 1, &b);
	tally_sub(&a, &b);
	return tally_pack(&a);
}

/* Cannot fail: every figure can be negated. */
Datum
loyalty_tally_neg(PG_FUNCTION_ARGS)
{
	Tally		tally;

	read_argument(fcinfo, 0, &tally);
	for (int i = 0; i < tally.nperiods; i++)
	{
		TallyPeriod *period = &tally.periods[i];

		period->amount = -period->amount;
		period->points = -period->points;
		period->purchases = -period->purchases;
	}
	return tally_pack(&tally);
}

/* ----------
 * Periods
 * ----------
 */

/* In longer periods; 22023 for one that a tally has not. */
Datum
loyalty_tally_coarsen(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Tally		tally;

	read_argument(fcinfo, 0, &tally);
	tally_coarsen(&tally, calendar_period(name));
	return tally_pack(&tally);
}

/* Without what ends before a day. */
Datum
loyalty_tally_prune(PG_FUNCTION_ARGS)
{
	Tally		tally;

	read_argument(fcinfo, 0, &tally);
	tally_prune(&tally, PG_GETARG_DATEADT(1));
	return tally_pack(&tally);
}

/* The kind of its periods. */
Datum
loyalty_tally_resolution(PG_FUNCTION_ARGS)
{
	Tally		tally;

	read_argument(fcinfo, 0, &tally);
	PG_RETURN_TEXT_P(cstring_to_text(calendar_period_name(tally.resolution)));
}

static TupleDesc
result_row(FunctionCallInfo fcinfo)
{
	TupleDesc	row;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	return BlessTupleDesc(row);
}

/* The sums over a window; 22003 when the points are out of range. */
Datum
loyalty_tally_totals(PG_FUNCTION_ARGS)
{
	Tally		tally;
	TallyTotals totals;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	read_argument(fcinfo, 0, &tally);
	tally_totals(&tally, PG_GETARG_DATEADT(1), PG_GETARG_DATEADT(2), &totals);
	values[0] = NumericGetDatum(tally_amount_to_numeric(totals.amount));
	values[1] = PointsGetDatum(totals.points);
	values[2] = Int64GetDatum(totals.purchases);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(result_row(fcinfo), values, nulls)));
}

/*
 * The periods as rows, in canonical order.
 */
Datum
loyalty_tally_periods(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	Tally	   *tally;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;

		call = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		call->tuple_desc = result_row(fcinfo);
		tally = palloc(sizeof(Tally));
		read_argument(fcinfo, 0, tally);
		call->user_fctx = tally;
		MemoryContextSwitchTo(caller);
	}

	call = SRF_PERCALL_SETUP();
	tally = call->user_fctx;
	if (call->call_cntr < tally->nperiods)
	{
		const TallyPeriod *period = &tally->periods[call->call_cntr];
		Datum		values[5];
		bool		nulls[5] = {false, false, false, false, false};

		values[0] = DateADTGetDatum(period->first);
		values[1] = DateADTGetDatum(tally_period_end(tally, period->first));
		values[2] = NumericGetDatum(tally_amount_to_numeric(period->amount));
		values[3] = PointsGetDatum(period->points);
		values[4] = Int32GetDatum(period->purchases);
		SRF_RETURN_NEXT(call,
						HeapTupleGetDatum(heap_form_tuple(call->tuple_desc,
														  values, nulls)));
	}
	SRF_RETURN_DONE(call);
}
