/*
 * tier_outlook.c
 *		Tiers as a member sees them: what he has, what is missing, what is to come.
 *
 * Reads only, on a standby too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"

#include "earning/qualify.h"
#include "ledger/balance.h"
#include "loyalty.h"
#include "tiers/outlook.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_tier_outlook);
PG_FUNCTION_INFO_V1(loyalty_tier_progress);

/* A member and his standing at the time that was asked about. */
typedef struct View
{
	Reading		reading;
	const TierSet *tiers;
	QualifyCounterAt counter;
	Standing	standing;
} View;

static void
view_begin(FunctionCallInfo fcinfo, View *view)
{
	Reading    *reading = &view->reading;
	MemberRow  *row = &reading->row;
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	balance_read_member(fcinfo, 1, 2, reading);
	if (TIMESTAMP_NOT_FINITE(reading->at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the time at which a tier is looked at must be finite")));
	if (!reading->known)
	{
		Tally		nothing;

		tally_init(&nothing);
		memset(row, 0, sizeof(*row));
		row->program_id = reading->program->program_id;
		row->enrolled_at = reading->at;
		row->last_activity = DT_NOBEGIN;
		row->tier_since = DT_NOBEGIN;
		row->next_expiry = row->tier_until = row->tier_floor_until = DATEVAL_NOEND;
		row->tally_since = DATEVAL_NOBEGIN;
		row->tally = tally_pack(&nothing);
	}
	view->tiers = tier_set(reading->config, reading->program);
	view->counter.counter.program = reading->program;
	view->counter.counter.rules = rule_set(reading->config, reading->program);
	view->counter.counter.store = store_open(reading->config, false);
	view->counter.until = reading->at < now ? reading->at : DT_NOEND;

	store_begin_read(view->counter.counter.store, GetActiveSnapshot());
	standing_begin(&view->standing, reading->program, view->tiers, view->counter.counter.store, row,
				   qualify_count_at, &view->counter);
	if (reading->at < now && reading->known)
		outlook_rewind(&view->standing, reading->at);
	else if (reading->at > now)
		outlook_advance(&view->standing, reading->at);
}

static void
view_end(View *view)
{
	store_end_read(view->counter.counter.store);
	store_close(view->counter.counter.store);
}

/*
 * Values of a row, one column after the other
 */

typedef struct Row
{
	int			ncolumns;
	Datum		values[32];
	bool		nulls[32];
} Row;

static void
put(Row *row, Datum value, bool isnull)
{
	row->values[row->ncolumns] = value;
	row->nulls[row->ncolumns++] = isnull;
}

static void
put_text(Row *row, const text *value)
{
	put(row, PointerGetDatum(value), value == NULL);
}

/* Infinite days stand for none. */
static void
put_day(Row *row, DateADT day)
{
	put(row, DateADTGetDatum(day), DATE_NOT_FINITE(day));
}

static void
put_totals(Row *row, const TallyTotals *totals)
{
	put(row, NumericGetDatum(tally_amount_to_numeric(totals->amount)), false);
	put(row, PointsGetDatum(totals->points), false);
	put(row, Int64GetDatum(totals->purchases), false);
}

static void
put_missing(Row *row, const TierMinimums *missing)
{
	if (missing->amount < 0)
		put(row, (Datum) 0, true);
	else
		put(row, NumericGetDatum(tally_amount_to_numeric(missing->amount)), false);
	put(row, PointsGetDatum(missing->points), missing->points < 0);
	put(row, Int64GetDatum(missing->purchases), missing->purchases < 0);
}

/* tier_outlook(member, at, program) → one row */
Datum
loyalty_tier_outlook(PG_FUNCTION_ARGS)
{
	View		view;
	Outlook		outlook;
	const Program *program;
	TimestampTz since;
	TupleDesc	desc;
	Row			row = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	view_begin(fcinfo, &view);
	outlook_see(&view.standing, view.reading.at, &outlook);
	view_end(&view);

	program = view.reading.program;
	/* Who has had no other has had everyone's from the first. */
	since = outlook.tier == NULL || !view.reading.known ? DT_NOBEGIN
		: TIMESTAMP_IS_NOBEGIN(outlook.since) ? view.reading.row.enrolled_at : outlook.since;
	put_text(&row, outlook.tier);
	put(&row, outlook.number == NO_TIER ? (Datum) 0 : Int32GetDatum(view.tiers->tiers[outlook.number].rank),
		outlook.number == NO_TIER);
	put(&row, TimestampTzGetDatum(since), TIMESTAMP_NOT_FINITE(since) || since > view.reading.at);
	put_day(&row, outlook.until);
	put_text(&row, outlook.projected);
	put_text(&row, outlook.floor);
	put_day(&row, outlook.floor_until);
	put_day(&row, qualification_start(program->tier_window, outlook.day, view.standing.enrolled));
	put_day(&row, qualification_end(program->tier_window, outlook.day, view.standing.enrolled));
	put_totals(&row, &outlook.totals);
	put_text(&row, cstring_to_text(program->tier_match_all ? "all" : "any"));
	put_missing(&row, &outlook.keep);
	put_day(&row, outlook.keep_by);
	put_text(&row, outlook.next == NO_TIER ? NULL : view.tiers->tiers[outlook.next].name);
	put_missing(&row, &outlook.reach);
	Assert(row.ncolumns == desc->natts);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), row.values, row.nulls)));
}

/* tier_progress(member, at, program) → setof (tier, rank, reached, missing_amount, missing_points, missing_purchases) */
Datum
loyalty_tier_progress(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *result = result_begin(fcinfo, &desc);
	View		view;
	const Program *program;
	TallyTotals totals;
	int			reached;
	int			i;

	view_begin(fcinfo, &view);
	program = view.reading.program;
	standing_totals(&view.standing, calendar_day(view.reading.at, program->zone), &totals);
	view_end(&view);

	reached = tier_reached(program, view.tiers, &totals);
	for (i = 0; i < view.tiers->ntiers; i++)
	{
		const Tier *tier = &view.tiers->tiers[i];
		bool		by_hand = tier_is_by_hand(view.tiers, i);
		TierMinimums missing;
		Row			row = {0};

		outlook_missing(&tier->reach, &totals, i <= reached, &missing);
		put_text(&row, tier->name);
		put(&row, Int32GetDatum(tier->rank), false);
		put(&row, BoolGetDatum(i <= reached), by_hand);
		put_missing(&row, &missing);
		tuplestore_putvalues(result, desc, row.values, row.nulls);
	}
	PG_RETURN_NULL();
}
