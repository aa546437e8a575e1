/*
 * expiring.c
 *		What members are about to lose.
 *
 * Time is let run over a copy of each member's purse, by the same steps in
 * which maintenance writes it down.  Only members whose next_expiry says that
 * something may fall due are looked at, but for the past, which is added up
 * from everybody's entries, and while something that silence has accepted or a
 * lapsed hold gives back is not written down, of which next_expiry does not
 * know.
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/balance.h"
#include "ledger/holdings.h"
#include "ledger/unwritten.h"
#include "loyalty.h"
#include "operation/due.h"
#include "operation/lapse.h"
#include "operation/silence.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_expiring);

typedef struct Expiring
{
	Config	   *config;
	Program    *program;
	Snapshot	snapshot;
	TimestampTz at;
	bool		past;			/* "at" is: states are added up */
	DateADT		day;			/* that of "at" */
	DateADT		until;			/* the last that matters */
	MemoryContext row_context;
	Tuplestorestate *result;
	TupleDesc	desc;
} Expiring;

/* One row for each day on which the member loses something. */
static void
put_losses(Store *store, int64 member_id, void *arg)
{
	Expiring   *expiring = arg;
	MemoryContext caller = MemoryContextSwitchTo(expiring->row_context);
	DateADT		inactive_end;
	MemberState state;
	MemberRow	row;
	Points		awaiting = 0;
	Due			due;

	store_visited_member(store, &row);
	if (expiring->past)
		balance_replay(store, member_id, expiring->at, PG_INT64_MAX, &state);
	else
	{
		state.purse = row.purse;
		state.lifetime = row.lifetime;
		state.held = row.held;
		state.last_activity = row.last_activity;
	}
	unwritten_apply(expiring->program, &row,
					unwritten_list(expiring->config, store, expiring->snapshot, expiring->program, &row,
								   expiring->at, expiring->past, &awaiting),
					&state);
	inactive_end = holdings_inactive_end(expiring->program, state.last_activity, row.enrolled_at);

	purse_init(&due.netting);
	purse_init(&due.lapsed);
	while (holdings_due(&state.purse, inactive_end, expiring->until + 1, &due))
	{
		purse_add(&state.purse, &due.netting);
		purse_add(&state.purse, &due.lapsed);
		if (due.lapsed.nlots > 0 && due.day > expiring->day)
		{
			Datum		values[3] = {PointerGetDatum(row.ref),
				PointsGetDatum(-purse_total(&due.lapsed)), DateADTGetDatum(due.day - 1)};
			bool		nulls[3] = {false};

			tuplestore_putvalues(expiring->result, expiring->desc, values, nulls);
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(expiring->row_context);
}

/* The last day that is within the interval from a day; 22023 when it comes before it. */
static DateADT
last_day_within(DateADT day, Interval *within)
{
	Datum		end = DirectFunctionCall2(date_pl_interval, DateADTGetDatum(day), IntervalPGetDatum(within));
	DateADT		last = DatumGetDateADT(DirectFunctionCall1(timestamp_date, end));

	if (last < day)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"within\" must not be negative")));
	return last;
}

/* expiring(program, within, at) → setof (member, points, ends) */
Datum
loyalty_expiring(PG_FUNCTION_ARGS)
{
	static Interval thirty_days = {.day = 30};
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Config	   *config = config_get();
	Expiring	expiring;
	Store	   *store;
	DateADT		before;

	memset(&expiring, 0, sizeof(expiring));
	expiring.program = access_program(config, text_argument(fcinfo, 0), ACCESS_READ);
	expiring.at = PG_ARGISNULL(2) ? now : PG_GETARG_TIMESTAMPTZ(2);
	if (TIMESTAMP_NOT_FINITE(expiring.at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be a finite time")));
	expiring.past = expiring.at < now;
	expiring.day = calendar_day(expiring.at, expiring.program->zone);
	expiring.until = last_day_within(expiring.day, PG_ARGISNULL(1) ? &thirty_days : PG_GETARG_INTERVAL_P(1));
	expiring.result = result_begin(fcinfo, &expiring.desc);
	expiring.config = config;
	expiring.snapshot = GetActiveSnapshot();
	expiring.row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty row", ALLOCSET_DEFAULT_SIZES);

	before = expiring.past ||
		(expiry_is_inactivity(expiring.program->expiry) && !due_is_known(config, expiring.program)) ||
		silence_is_due(config, expiring.program->program_id, expiring.day) ||
		lapse_is_due(config, expiring.program->program_id, expiring.at) ? DATEVAL_NOEND : expiring.until + 1;
	store = store_open(config, false);
	store_begin_read(store, expiring.snapshot);
	store_visit_members(store, expiring.program->program_id, before, put_losses, &expiring);
	store_end_read(store);
	store_close(store);
	MemoryContextDelete(expiring.row_context);
	PG_RETURN_NULL();
}
