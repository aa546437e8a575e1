/*
 * purse_ops.c
 *		The operators and functions of the type purse, but for its input, output
 *		and aggregate.
 *
 * They unpack their arguments, leave the work to purse.h and pack what comes of
 * it.  Equality and the hash read the packed bytes; see packed.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/date.h"

#include "types/calendar.h"
#include "types/points.h"
#include "types/purse.h"
#include "types/purse_private.h"

PG_FUNCTION_INFO_V1(loyalty_purse_make);
PG_FUNCTION_INFO_V1(loyalty_purse_add);
PG_FUNCTION_INFO_V1(loyalty_purse_sub);
PG_FUNCTION_INFO_V1(loyalty_purse_neg);
PG_FUNCTION_INFO_V1(loyalty_purse_total);
PG_FUNCTION_INFO_V1(loyalty_purse_available);
PG_FUNCTION_INFO_V1(loyalty_purse_pending);
PG_FUNCTION_INFO_V1(loyalty_purse_expired);
PG_FUNCTION_INFO_V1(loyalty_purse_outstanding);
PG_FUNCTION_INFO_V1(loyalty_purse_spend);
PG_FUNCTION_INFO_V1(loyalty_purse_lots);

/* ----------
 * Algebra
 * ----------
 */

/*
 * A purse of one lot, or of none when the points are zero.  NULL when the
 * points or the last day are; no first day means spendable at once.  22023 for
 * days that are no life span.
 */
Datum
loyalty_purse_make(PG_FUNCTION_ARGS)
{
	Purse		purse;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();

	purse_init(&purse);
	purse_add_lot(&purse,
				  PG_ARGISNULL(1) ? DATEVAL_NOBEGIN : PG_GETARG_DATEADT(1),
				  PG_GETARG_DATEADT(2), PG_GETARG_POINTS(0));
	return purse_pack(&purse);
}

/* 22003 when the points of a life span leave their range. */
Datum
loyalty_purse_add(PG_FUNCTION_ARGS)
{
	Purse		a;
	Purse		b;

	read_argument(fcinfo, 0, &a);
	read_argument(fcinfo, 1, &b);
	purse_add(&a, &b);
	return purse_pack(&a);
}

/* 22003 when the points of a life span leave their range. */
Datum
loyalty_purse_sub(PG_FUNCTION_ARGS)
{
	Purse		a;
	Purse		b;

	read_argument(fcinfo, 0, &a);
	read_argument(fcinfo, 1, &b);
	purse_sub(&a, &b);
	return purse_pack(&a);
}

/* Cannot fail: every value of points can be negated. */
Datum
loyalty_purse_neg(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	for (int i = 0; i < purse.nlots; i++)
		purse.lots[i].points = -purse.lots[i].points;
	return purse_pack(&purse);
}

/* ----------
 * Readings; see purse_readings.c.  22003 when a sum is out of range.
 * ----------
 */

/* All points, whenever they can be spent. */
Datum
loyalty_purse_total(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	PG_RETURN_POINTS(purse_total(&purse));
}

/* What can be spent on a day, less what debt is left. */
Datum
loyalty_purse_available(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	PG_RETURN_POINTS(purse_available(&purse, PG_GETARG_DATEADT(1)));
}

/* What opens after a day. */
Datum
loyalty_purse_pending(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	PG_RETURN_POINTS(purse_pending(&purse, PG_GETARG_DATEADT(1)));
}

/* What had lapsed by a day. */
Datum
loyalty_purse_expired(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	PG_RETURN_POINTS(purse_expired(&purse, PG_GETARG_DATEADT(1)));
}

/* The purse of a day: netted, and without what has lapsed. */
Datum
loyalty_purse_outstanding(PG_FUNCTION_ARGS)
{
	Purse		purse;
	Purse		outstanding;

	read_argument(fcinfo, 0, &purse);
	purse_init(&outstanding);
	purse_outstanding(&purse, PG_GETARG_DATEADT(1), &outstanding);
	return purse_pack(&outstanding);
}

/* The part that a redemption takes; 22023, LY001. */
Datum
loyalty_purse_spend(PG_FUNCTION_ARGS)
{
	Purse		purse;
	Purse		taken;

	read_argument(fcinfo, 0, &purse);
	purse_init(&taken);
	purse_spend(&purse, PG_GETARG_POINTS(1), PG_GETARG_DATEADT(2), &taken);
	return purse_pack(&taken);
}

/*
 * The lots as rows, in canonical order.
 */
Datum
loyalty_purse_lots(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	Purse	   *purse;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;
		TupleDesc	row;

		call = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("function returning record called in context that cannot accept type record")));
		call->tuple_desc = BlessTupleDesc(row);
		purse = palloc(sizeof(Purse));
		read_argument(fcinfo, 0, purse);
		call->user_fctx = purse;
		MemoryContextSwitchTo(caller);
	}

	call = SRF_PERCALL_SETUP();
	purse = call->user_fctx;
	if (call->call_cntr < purse->nlots)
	{
		const Lot  *lot = &purse->lots[call->call_cntr];
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		values[0] = PointsGetDatum(lot->points);
		values[1] = DateADTGetDatum(lot->starts);
		nulls[1] = lot->starts == DATEVAL_NOBEGIN;
		values[2] = DateADTGetDatum(lot->ends);
		SRF_RETURN_NEXT(call,
						HeapTupleGetDatum(heap_form_tuple(call->tuple_desc,
														  values, nulls)));
	}
	SRF_RETURN_DONE(call);
}
