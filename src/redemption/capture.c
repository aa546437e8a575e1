/*
 * capture.c
 *		What ends a hold: its points are captured, or go back.
 *
 * A capture is two entries of one posting: what is captured is released, with
 * the rest where that goes back, and redeemed from exactly those lots.  So it is
 * a spend like any other, also of points whose life span has passed meanwhile.
 *
 * The shop has to finish an order whatever has become of the customer: both are
 * there for a suspended member too, and of a closed one points can be released.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/context_field.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "redemption/held.h"
#include "redemption/spend.h"

PG_FUNCTION_INFO_V1(loyalty_capture);
PG_FUNCTION_INFO_V1(loyalty_release);

/* The name spaces of their keys. */
#define CAPTURE_KEYS "capture"
#define RELEASE_KEYS "release"

/* Fields of the context of a capture that leaves a rest: it went back, or is held on. */
#define FIELD_RELEASED "released"
#define FIELD_LEFT "left"

/* A call of either. */
typedef struct Act
{
	Config	   *config;
	Program    *program;
	text	   *ref;
	int64		seq;			/* number of the hold */
	Points		points;			/* to be captured; 0: all that is held */
	bool		final;			/* the rest goes back */
	text	   *note;
	text	   *key;
	text	   *source_key;
	TimestampTz at;
	bool		at_given;
	Store	   *store;
	MemberRow  *member;			/* locked */
} Act;

/* Read the arguments that both have, from "reason" on at that place, and lock the member. */
static void
begin_act(FunctionCallInfo fcinfo, const char *keys, int reason_arg, Act *act)
{
	MemberRequest request;

	act->config = config_get();
	act->ref = member_argument(fcinfo, 0);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("hold must not be null"),
				 errhint("The entry that loyalty.hold answers is the hold's number.")));
	act->seq = PG_GETARG_INT64(1);
	act->note = text_argument(fcinfo, reason_arg);
	act->key = text_argument(fcinfo, reason_arg + 1);
	act->source_key = act_key(keys, act->key);
	act->at = act_time(fcinfo, reason_arg + 2);
	act->at_given = !PG_ARGISNULL(reason_arg + 2);
	act->program = access_program_for(act->config, text_argument(fcinfo, reason_arg + 3), ACCESS_OPERATE, act->ref);

	act->store = store_open(act->config, true);
	member_lock(act->config, act->store, act->program, act->ref, false, 0, &request);
	if (request.row == NULL)
		member_unknown(act->program, act->ref);
	act->member = request.row;
}

/* Find the hold among the active ones. */
static HoldRow *
find_hold(Act *act, List **holds)
{
	Snapshot	snapshot = store_snapshot();
	HoldRow    *hold;

	store_begin_read(act->store, snapshot);
	*holds = held_list(act->store, act->member, NULL);
	hold = held_find(act->store, act->program, act->member, *holds, act->seq, &act->at, act->at_given);
	store_end_read(act->store);
	UnregisterSnapshot(snapshot);
	return hold;
}

/* A number in the context of an earlier entry; 0 without one. */
static Points
context_points(const EntryRow *earlier, const char *field)
{
	JsonbValue	value;

	return context_field_of(earlier->context, field, jbvNumeric, &value)
		? points_from_numeric(value.val.numeric) : 0;
}

/* Whether an earlier entry is about the same hold, and in what both acts have is the same call. */
static bool
same_act(const EntryRow *earlier, const Act *act)
{
	JsonbValue	seq;

	return context_field_of(earlier->context, FIELD_HOLD, jbvNumeric, &seq) &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(seq.val.numeric),
										 NumericGetDatum(int64_to_numeric(act->seq)))) &&
		(!act->at_given || earlier->occurred_at == act->at) &&
		same_text(earlier->note, act->note);
}

/* Calls that come to the same are the same. */
static bool
same_capture(const EntryRow *earlier, const Act *act)
{
	Points		released = context_points(earlier, FIELD_RELEASED);
	Points		left = context_points(earlier, FIELD_LEFT);

	return same_act(earlier, act) &&
		(act->points == 0 ? released == 0 && left == 0 : earlier->points == -act->points) &&
		(act->final ? left == 0 : released == 0);
}

/* {"hold": 3, "purchase": "7", "amount": 20.00, "value": 1.50, "left": 50}, as far as known. */
static Jsonb *
capture_context(const HoldRow *hold, Points points, bool over, Points rest)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_numeric(&state, FIELD_HOLD, int64_to_numeric(hold->seq));
	spend_push(&state, hold->purchase, hold->amount,
			   hold->point_value == NULL ? NULL : payment_worth(hold->point_value, points));
	if (rest > 0)
		act_push_points(&state, over ? FIELD_RELEASED : FIELD_LEFT, rest);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* Post the capture of so many points; answers the entry that redeems them. */
static EntryRow
post_capture(Act *act, List *holds, HoldRow *hold, Points points)
{
	Points		rest = points_sub(purse_total(&hold->lots), points);
	bool		over = act->final || rest == 0;
	Posting		posting;
	EntryRow	entry;
	Purse		captured;
	Purse		released;
	Purse		lots;

	purse_init(&captured);
	purse_init(&released);
	purse_init(&lots);
	held_part(hold, points, true, &captured);
	purse_copy(&released, over ? &hold->lots : &captured);
	purse_sub(&lots, &captured);

	posting_begin(&posting, act->program, act->member);
	posting_bring_current(&posting, act->at);
	hold->captured = points_add(hold->captured, points);
	(void) held_release(&posting, holds, hold, &released, over ? HOLD_CAPTURED : HOLD_ACTIVE,
						act->at, NULL, NULL, NULL);
	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_REDEEM;
	entry.source_id = SOURCE_API;
	entry.source_key = act->source_key;
	entry.occurred_at = act->at;
	entry.context = capture_context(hold, points, over, rest);
	entry.note = act->note;
	entry = *posting_add_exact(&posting, &entry, &lots);
	posting_even_out(&posting, act->at);
	posting_write(&posting, act->store);
	return entry;
}

/* capture(member, hold, points, final, reason, key, at, program) → posting */
Datum
loyalty_capture(PG_FUNCTION_ARGS)
{
	Act			act;
	EarlierAct	earlier;
	List	   *holds;
	HoldRow    *hold;
	EntryRow	entry;

	act.points = PG_ARGISNULL(2) ? 0 : act_points(fcinfo, 2);
	act.final = PG_ARGISNULL(3) || PG_GETARG_BOOL(3);
	begin_act(fcinfo, CAPTURE_KEYS, 4, &act);
	if (act_find(act.config, act.program, act.store, act.ref, act.member, act.source_key, &earlier))
	{
		if (!same_capture(&earlier.entry, &act))
			act_key_reused(act.key, psprintf("It captured %s held points of member \"%s\" in entry " INT64_FORMAT " of his.",
											 points_to_cstring(-earlier.entry.points), text_to_cstring(act.ref),
											 earlier.entry.seq));
		store_close(act.store);
		return act_repeated(fcinfo, act.program, act.member, &earlier);
	}
	act_check_status(act.program, act.member);
	hold = find_hold(&act, &holds);
	held_check_points(act.member, hold, act.points);
	entry = post_capture(&act, holds, hold, act.points == 0 ? purse_total(&hold->lots) : act.points);
	store_close(act.store);
	return act_posted(fcinfo, act.program, act.member, &entry);
}

/* release(member, hold, reason, key, at, program) → posting */
Datum
loyalty_release(PG_FUNCTION_ARGS)
{
	Act			act;
	EarlierAct	earlier;
	List	   *holds;
	HoldRow    *hold;
	Posting		posting;
	Purse		lots;
	EntryRow	entry;

	begin_act(fcinfo, RELEASE_KEYS, 2, &act);
	if (act_find(act.config, act.program, act.store, act.ref, act.member, act.source_key, &earlier))
	{
		if (!same_act(&earlier.entry, &act))
			act_key_reused(act.key, psprintf("It released %s held points of member \"%s\" in entry " INT64_FORMAT " of his.",
											 points_to_cstring(earlier.entry.points), text_to_cstring(act.ref),
											 earlier.entry.seq));
		store_close(act.store);
		return act_repeated(fcinfo, act.program, act.member, &earlier);
	}
	hold = find_hold(&act, &holds);
	purse_init(&lots);
	purse_copy(&lots, &hold->lots);
	posting_begin(&posting, act.program, act.member);
	posting_bring_current(&posting, act.at);
	entry = *held_release(&posting, holds, hold, &lots, HOLD_RELEASED, act.at, NULL, act.source_key, act.note);
	posting_even_out(&posting, act.at);
	posting_write(&posting, act.store);
	store_close(act.store);
	return act_posted(fcinfo, act.program, act.member, &entry);
}
