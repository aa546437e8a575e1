/*
 * payable.c
 *		How much of an amount a member can pay with his points.
 *
 * What spend would accept, worked out from the same limits; it writes and locks
 * nothing, so it runs on a standby too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "ledger/act.h"
#include "ledger/unwritten.h"
#include "loyalty.h"
#include "redemption/household.h"
#include "redemption/payment.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_payable);

/* Arguments of payable, in order. */
enum
{
	ARG_MEMBER, ARG_AMOUNT, ARG_POINTS, ARG_AT, ARG_PROGRAM
};

/*
 * What the member can spend at the time, below zero in debt; in the past what he
 * had then and still has.  What time has given him is his, as it is once he is locked.
 */
static Points
spendable(const Reading *reading)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	const Program *program = reading->program;
	const MemberRow *row = &reading->row;
	MemberState state = {row->purse, row->lifetime, row->held, row->last_activity};
	Snapshot	snapshot = GetActiveSnapshot();
	List	   *unwritten;
	Points		awaiting = 0;
	Points		available;
	Store	   *store;

	if (!reading->known)
		return 0;
	if (reading->at >= now)
		return act_available(program, &reading->state, row->enrolled_at, reading->at);

	store = store_open(reading->config, false);
	store_begin_read(store, snapshot);
	unwritten = unwritten_list(reading->config, store, snapshot, program, row, now, false, &awaiting);
	unwritten_apply(program, row, unwritten, &state);
	available = act_available(program, &state, row->enrolled_at, reading->at);
	available = Min(available, balance_least_since(store, program, row, reading->at, unwritten, &state));
	store_end_read(store);
	store_close(store);
	return available;
}

/* payable(member, amount, points, at, program) → (points, value, points_needed, why) */
Datum
loyalty_payable(PG_FUNCTION_ARGS)
{
	Reading		reading;
	Numeric		amount;
	Points		asked = 0;
	Payment		payment;
	Points		available;
	bool		may_spend;
	Numeric		value;
	Points		needed = 0;
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(ARG_AMOUNT))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("amount must not be null")));
	amount = payment_amount(PG_GETARG_NUMERIC(ARG_AMOUNT));
	if (!PG_ARGISNULL(ARG_POINTS))
		asked = points_from_numeric(PG_GETARG_NUMERIC(ARG_POINTS));
	if (asked < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points must not be negative")));
	balance_read_member(fcinfo, ARG_AT, ARG_PROGRAM, &reading);

	available = points_add(spendable(&reading), household_spendable(&reading, &may_spend));
	payment = payment_most(reading.program, amount, Max(available, 0), PG_ARGISNULL(ARG_POINTS) ? NULL : &asked);
	if (reading.known && reading.row.status != MEMBER_ACTIVE)
	{
		payment.points = 0;
		payment.why = reading.row.status == MEMBER_SUSPENDED ? "the member is suspended" : "the member is closed";
	}
	else if (!may_spend)
	{
		payment.points = 0;
		payment.why = "the member may not spend points of his household";
	}

	value = payment_value(reading.program, payment.points);
	values[0] = PointsGetDatum(payment.points);
	values[1] = NumericGetDatum(value == NULL ? int64_to_numeric(0) : value);
	nulls[2] = !payment_needed(reading.program, amount, &needed);
	values[2] = PointsGetDatum(needed);
	nulls[3] = payment.why == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(payment.why);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
