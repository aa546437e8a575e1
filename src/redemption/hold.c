/*
 * hold.c
 *		Points that are held until it is known what becomes of an order.
 *
 * An act like spend, under the same limits: the points leave the purse in an
 * entry of their own, and a row of hold says which they are and until when.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "ledger/velocity.h"
#include "loyalty.h"
#include "redemption/held.h"
#include "redemption/household.h"
#include "redemption/spend.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_hold);

/* Arguments of hold, in order. */
enum
{
	ARG_MEMBER, ARG_POINTS, ARG_TTL, ARG_PURCHASE, ARG_AMOUNT, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

/* The name space of its keys. */
#define HOLD_KEYS "hold"

/* What is asked for. */
typedef struct HoldRequest
{
	Points		points;
	const Interval *ttl;		/* NULL: the program's */
	text	   *purchase;		/* NULL: none is named */
	Numeric		amount;			/* of the purchase; NULL: unknown */
	text	   *note;
	text	   *key;
	TimestampTz at;
	bool		at_given;
} HoldRequest;

static void
read_request(FunctionCallInfo fcinfo, HoldRequest *request)
{
	request->points = act_points(fcinfo, ARG_POINTS);
	request->ttl = PG_ARGISNULL(ARG_TTL) ? NULL : PG_GETARG_INTERVAL_P(ARG_TTL);
	request->purchase = spend_purchase_argument(fcinfo, ARG_PURCHASE);
	request->amount = PG_ARGISNULL(ARG_AMOUNT) ? NULL : payment_amount(PG_GETARG_NUMERIC(ARG_AMOUNT));
	request->note = text_argument(fcinfo, ARG_REASON);
	request->key = text_argument(fcinfo, ARG_KEY);
	request->at = act_time(fcinfo, ARG_AT);
	request->at_given = !PG_ARGISNULL(ARG_AT);
}

/*
 * When the hold ends: days by the calendar of the program's zone, then hours by
 * the clock.  22023 for a span that is none.
 */
static TimestampTz
hold_end(const Program *program, TimestampTz at, const Interval *ttl)
{
	Interval	days = *ttl;
	TimestampTz until;

	days.time = 0;
	until = calendar_instant(DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
																   TimestampGetDatum(calendar_local(at, program->zone)),
																   IntervalPGetDatum(&days))),
							 program->zone);
	if (pg_add_s64_overflow(until, ttl->time, &until) || !IS_VALID_TIMESTAMP(until))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	if (until <= at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"ttl\" must be greater than zero")));
	return until;
}

/* What was paid for in points can have changed since, and is not asked for: it is left out. */
static bool
same_request(Store *store, const Program *program, const EntryRow *earlier, const HoldRequest *request)
{
	Snapshot	snapshot;
	HoldRow		hold;
	bool		found;

	if (earlier->points != -request->points ||
		(request->at_given && earlier->occurred_at != request->at) ||
		!spend_is_for(earlier, request->purchase, request->amount) ||
		!same_text(earlier->note, request->note))
		return false;
	if (request->ttl == NULL)
		return true;
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	found = store_find_hold(store, earlier->member_id, earlier->seq, &hold);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return found && hold.until == hold_end(program, earlier->occurred_at, request->ttl);
}

static Jsonb *
hold_context(Store *store, const Program *program, const MemberRow *member, const Sharing *sharing, const HoldRequest *request)
{
	JsonbParseState *state = NULL;
	Numeric		value = payment_value(program, request->points);

	if (request->purchase == NULL && request->amount == NULL && value == NULL && !sharing->any)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	spend_push(&state, request->purchase, request->amount, value);
	household_push_shared(&state, program, member, store, sharing, request->at, request->at_given);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* Take the points out of the purse, and put down that they are held. */
static EntryRow
post(Config *config, Store *store, const Program *program, MemberRow *member, Sharing *sharing,
	 const HoldRequest *request, text *source_key, TimestampTz until)
{
	HoldRow    *hold = palloc0(sizeof(HoldRow));
	Posting		posting;
	EntryRow	entry;
	Purse		lots;

	posting_begin(&posting, program, member);
	posting_bring_current(&posting, request->at);
	purse_init(&lots);
	household_take(config, store, program, member, sharing, request->points, request->at, request->at_given, &lots);

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_HOLD;
	entry.source_id = SOURCE_API;
	entry.source_key = source_key;
	entry.occurred_at = request->at;
	entry.context = hold_context(store, program, member, sharing, request);
	entry.note = request->note;
	entry = *posting_add_exact(&posting, &entry, &lots);
	posting_even_out(&posting, request->at);

	ItemPointerSetInvalid(&hold->tid);
	hold->member_id = member->member_id;
	hold->seq = entry.seq;
	hold->points = request->points;
	hold->made_at = request->at;
	hold->until = until;
	hold->ended_at = DT_NOEND;
	hold->program_id = program->program_id;
	hold->status = HOLD_ACTIVE;
	purse_init(&hold->lots);
	purse_sub(&hold->lots, &lots);
	hold->point_value = program->point_value;
	hold->amount = request->amount;
	hold->purchase = request->purchase;
	hold->note = request->note;
	member->hold_until = Min(member->hold_until, until);
	posting_put_hold(&posting, hold);
	posting_write(&posting, store);
	return entry;
}

/* hold(member, points, ttl, purchase, amount, reason, key, at, program) → posting */
Datum
loyalty_hold(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, ARG_MEMBER);
	Program    *program = access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, ref);
	HoldRequest request;
	TimestampTz until;
	text	   *source_key;
	Store	   *store;
	MemberRequest member;
	Sharing		sharing;
	EarlierAct	earlier;
	Spent		spent;
	EntryRow	entry;

	read_request(fcinfo, &request);
	until = hold_end(program, request.at, request.ttl == NULL ? &program->hold_ttl : request.ttl);
	source_key = act_key(HOLD_KEYS, request.key);

	store = store_open(config, true);
	household_lock(config, store, program, ref, request.at_given ? POINTS_MAX : request.points, &member, &sharing);
	if (member.row == NULL)
		member_unknown(program, ref);

	if (act_find(config, program, store, ref, member.row, source_key, &earlier))
	{
		if (!same_request(store, program, &earlier.entry, &request))
			act_key_reused(request.key,
						   psprintf("It held %s points of member \"%s\" in entry " INT64_FORMAT " of his.",
									points_to_cstring(-earlier.entry.points), text_to_cstring(ref), earlier.entry.seq));
		store_close(store);
		return act_repeated(fcinfo, program, member.row, &earlier);
	}
	act_check_active(program, member.row);
	if (until <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the hold would be over already"),
				 errdetail("It would end at %s.", timestamptz_to_str(until)),
				 errhint("Hold the points for longer with \"ttl\", or spend them.")));
	spent = spend_before(store, program, member.row, request.purchase, request.amount);
	payment_check(program, request.points, request.amount, request.purchase, &spent);
	velocity_check(config, program, store, member.row, VELOCITY_REDEEM, request.points, 0);
	entry = post(config, store, program, member.row, &sharing, &request, source_key, until);
	store_close(store);
	return act_posted(fcinfo, program, member.row, &entry);
}
