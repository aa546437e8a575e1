/*
 * redeem.c
 *		A reward for points, in one step.
 *
 * The member is locked, and with him who shares his balance; the key is looked
 * up, everything that needs no other row is checked, and the points are taken in
 * memory.  Only then stock is taken, so that nobody holds any who cannot pay, and
 * what follows is written.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "common/int.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "ledger/velocity.h"
#include "loyalty.h"
#include "redemption/offer.h"
#include "redemption/redeem.h"
#include "redemption/spend.h"
#include "redemption/stock.h"
#include "redemption/undone.h"
#include "redemption/voucher.h"

PG_FUNCTION_INFO_V1(loyalty_redeem);

/* Arguments of redeem, in order. */
enum
{
	ARG_MEMBER, ARG_REWARD, ARG_QUANTITY, ARG_PURCHASE, ARG_OPTION, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

/* The name space of its keys. */
#define REDEEM_KEYS "redeem"

/* What an answer shows when the code is not in it. */
#define CODE_LATER "its voucher is issued by confirm_redemption"

static void
read_request(FunctionCallInfo fcinfo, RedeemRequest *request)
{
	memset(request, 0, sizeof(*request));
	if (PG_ARGISNULL(ARG_REWARD))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("reward must not be null")));
	if (PG_ARGISNULL(ARG_QUANTITY))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("quantity must not be null")));
	request->quantity = PG_GETARG_INT32(ARG_QUANTITY);
	if (request->quantity <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("quantity must be greater than zero")));
	request->purchase = spend_purchase_argument(fcinfo, ARG_PURCHASE);
	request->option = text_argument(fcinfo, ARG_OPTION);
	request->note = text_argument(fcinfo, ARG_REASON);
	request->source_key = act_key(REDEEM_KEYS, text_argument(fcinfo, ARG_KEY));
	request->at = act_time(fcinfo, ARG_AT);
	request->at_given = !PG_ARGISNULL(ARG_AT);
}

/* {"reward": "mug", "option": "base", "quantity": 1, "purchase": "7", "price": 5.00} */
static Jsonb *
redeem_context(Store *store, const Program *program, const MemberRow *member, const RedeemRequest *request, const RedemptionRow *row)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_text(&state, FIELD_REWARD, request->reward->name);
	act_push_text(&state, "option", text_to_cstring(row->option));
	act_push_numeric(&state, "quantity", int64_to_numeric(row->quantity));
	if (row->purchase != NULL)
		act_push_text(&state, FIELD_PURCHASE, text_to_cstring(row->purchase));
	/* A discount that is no voucher is off that purchase: a return of it gives its points back. */
	if (row->purchase != NULL && strcmp(request->reward->kind, "discount") == 0 && !request->reward->has_voucher)
		act_push_text(&state, FIELD_PAYS, FIELD_PURCHASE);
	if (row->price != NULL)
		act_push_numeric(&state, "price", row->price);
	if (request->sharing != NULL)
		household_push_shared(&state, program, member, store, request->sharing, request->at, request->at_given);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* How he pays for so many units; everything that no other row is needed for is checked. */
static const RewardOption *
check_offer(Config *config, Program *program, Store *store, MemberRow *member,
			const Reward *reward, const text *named, int quantity, TimestampTz at)
{
	Snapshot	snapshot = store_snapshot();
	const RewardOption *option;
	Buyer		buyer;
	Refusal		refusal;
	int64		most;

	store_begin_read(store, snapshot);
	buyer_begin(&buyer, config, program, store, snapshot, member, at);
	if (!offer_is_open(&buyer, reward, &refusal))
		refusal_raise(&refusal);
	option = offer_choose(&buyer, reward, named, &refusal);
	if (option == NULL)
		refusal_raise(&refusal);
	most = offer_most(&buyer, reward, &refusal);
	if (refusal.why == NULL && quantity > most)
	{
		refusal.code = ERRCODE_LOYALTY_REWARD_LIMIT;
		refusal.why = "no more of it may be had at once";
		refusal.detail = psprintf("The member may have " INT64_FORMAT " of reward \"%s\" now, %d were asked for.",
								  most, reward->name, quantity);
	}
	if (refusal.why != NULL)
		refusal_raise(&refusal);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return option;
}

Points
redeem_cost(Config *config, Program *program, Store *store, MemberRow *member,
			const Reward *reward, const text *option, TimestampTz at)
{
	return check_offer(config, program, store, member, reward, option, 1, at)->cost;
}

static Points
total_cost(const RewardOption *option, int quantity)
{
	Points		points;

	if (pg_mul_s64_overflow(option->cost, quantity, &points))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("points out of range")));
	return points;
}

/* Take the units from the stock, or have them wait for it. */
static void
take_stock(Config *config, const Program *program, const RedeemRequest *request, RedemptionRow *row)
{
	const Reward *reward = request->reward;
	DateADT		period;
	Refusal		refusal;

	row->stock_period = DATEVAL_NOEND;
	if (reward->stock == STOCK_UNLIMITED)
		return;
	period = stock_period(program, reward, request->at);
	/* Whoever comes while others wait goes behind them. */
	if (!(reward->backorder && stock_is_awaited(config, reward)) &&
		stock_take(config, reward, period, request->quantity))
	{
		row->stocked = request->quantity;
		row->stock_period = period;
		return;
	}
	if (reward->backorder && !request->automatic)
	{
		row->backordered = request->quantity;
		return;
	}
	refusal.code = ERRCODE_LOYALTY_OUT_OF_STOCK;
	refusal.why = "it is out of stock";
	refusal.detail = psprintf("Of reward \"%s\" " INT64_FORMAT " are left, %d were asked for.", reward->name,
							  stock_left(config, reward, period, true), request->quantity);
	refusal_raise(&refusal);
}

void
redeem_reward(Config *config, Program *program, Store *store, MemberRow *member,
			  const RedeemRequest *request, RedeemResult *result)
{
	const Reward *reward = request->reward;
	RedemptionRow *row = &result->row;
	const RewardOption *option;
	Posting		posting;
	EntryRow	entry;
	Purse		lots;

	act_check_active(program, member);
	option = check_offer(config, program, store, member, reward, request->option, request->quantity, request->at);

	memset(row, 0, sizeof(*row));
	row->member_id = member->member_id;
	row->points = total_cost(option, request->quantity);
	row->requested_at = request->at;
	row->confirmed_at = row->fulfilled_at = row->cancelled_at = DT_NOBEGIN;
	row->program_id = program->program_id;
	row->reward_id = reward->reward_id;
	row->quantity = request->quantity;
	if (option->price != NULL)
		row->price = DatumGetNumeric(DirectFunctionCall2(numeric_mul, NumericGetDatum(option->price),
														 NumericGetDatum(int64_to_numeric(request->quantity))));
	row->status = REDEMPTION_REQUESTED;
	row->option = cstring_to_text(option->name);
	row->automatic = request->automatic;
	row->purchase = request->purchase;
	row->requested_by = redemption_actor();
	row->note = request->note;

	velocity_check(config, program, store, member, VELOCITY_REDEEM, row->points, 0);
	posting_begin(&posting, program, member);
	posting_bring_current(&posting, request->at);
	purse_init(&lots);
	if (request->sharing == NULL)
		act_take(store, program, member, row->points, request->at, request->at_given, NULL, &lots);
	else
		household_take(config, store, program, member, request->sharing, row->points, request->at, request->at_given, &lots);
	take_stock(config, program, request, row);

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_REDEEM;
	entry.source_id = SOURCE_API;
	entry.source_key = request->source_key;
	entry.occurred_at = request->at;
	entry.context = redeem_context(store, program, member, request, row);
	entry.note = request->note;
	result->entry = posting_add(&posting, &entry, &lots);
	posting_write(&posting, store);
	row->seq = result->entry->seq;
	result->voucher = redemption_advance(config, program, reward, member, row, false, !request->automatic,
										 row->requested_by, request->at);
	redemption_insert(config, row);
}

Datum
redeem_answer(FunctionCallInfo fcinfo, const RedeemAnswer *answer)
{
	const RedemptionRow *row = answer->row;
	const char *why = answer->why;
	TupleDesc	desc;
	Datum		values[8];
	bool		nulls[8] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (why == NULL && answer->voucher == NULL && row->voucher == VOUCHER_DUE)
		why = CODE_LATER;
	if (why == NULL)
		why = redemption_why(row);
	values[0] = Int64GetDatum(answer->entry);
	values[1] = PointsGetDatum(answer->points);
	values[2] = PointsGetDatum(answer->balance);
	values[3] = BoolGetDatum(answer->repeated);
	nulls[4] = answer->voucher == NULL;
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(answer->voucher);
	values[5] = CStringGetTextDatum(redemption_status_name(row->status));
	nulls[6] = row->price == NULL;
	values[6] = NumericGetDatum(row->price);
	nulls[7] = why == NULL;
	values[7] = nulls[7] ? (Datum) 0 : CStringGetTextDatum(why);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* Whether an earlier call asked for the same.  An option need not be named again. */
static bool
same_request(const EntryRow *earlier, const RedemptionRow *row, const RedeemRequest *request)
{
	return row->reward_id == request->reward->reward_id &&
		row->quantity == request->quantity &&
		(request->option == NULL || same_text(row->option, request->option)) &&
		(!request->at_given || earlier->occurred_at == request->at) &&
		same_text(row->purchase, request->purchase) &&
		same_text(earlier->note, request->note);
}

/* What an earlier call with the same key has done. */
static Datum
answer_again(FunctionCallInfo fcinfo, Config *config, const Program *program, const MemberRow *member,
			 const EarlierAct *earlier, const RedeemRequest *request)
{
	Snapshot	snapshot = store_snapshot();
	RedemptionRow row;
	RedeemAnswer answer = {.entry = earlier->entry.seq, .points = earlier->entry.points, .repeated = true, .row = &row};
	bool		found = redemption_find(config, snapshot, earlier->entry.member_id, earlier->entry.seq, &row);

	UnregisterSnapshot(snapshot);
	if (!found || !same_request(&earlier->entry, &row, request))
		act_key_reused(PG_GETARG_TEXT_PP(ARG_KEY),
					   psprintf("It took %s points of member \"%s\" in entry " INT64_FORMAT ".",
								points_to_cstring(-earlier->entry.points), text_to_cstring(member->ref),
								earlier->entry.seq));
	answer.balance = points_add(act_available(program, &earlier->state, member->enrolled_at, earlier->entry.occurred_at),
								act_shared(&earlier->entry));
	if (row.voucher == VOUCHER_ISSUED)
		answer.voucher = voucher_again(config, program, earlier->entry.member_id, row.seq, &answer.why);
	return redeem_answer(fcinfo, &answer);
}

/* redeem(member, reward, quantity, purchase, option, reason, key, at, program) → redeemed */
Datum
loyalty_redeem(PG_FUNCTION_ARGS)
{
	Config	   *config = redemption_begin();
	text	   *ref = member_argument(fcinfo, ARG_MEMBER);
	Program    *program = access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, ref);
	RedeemRequest request;
	RedeemResult result;
	RedeemAnswer answer = {0};
	MemberState state;
	Store	   *store;
	MemberRequest member;
	Sharing		sharing;
	EarlierAct	earlier;
	Datum		repeated;

	read_request(fcinfo, &request);
	request.reward = reward_named(program, reward_set(config, program), PG_GETARG_TEXT_PP(ARG_REWARD));

	store = store_open(config, true);
	household_lock(config, store, program, ref, POINTS_MAX, &member, &sharing);
	request.sharing = &sharing;
	if (member.row == NULL)
		member_unknown(program, ref);
	if (act_find(config, program, store, ref, member.row, request.source_key, &earlier))
	{
		repeated = answer_again(fcinfo, config, program, member.row, &earlier, &request);
		store_close(store);
		return repeated;
	}
	redeem_reward(config, program, store, member.row, &request, &result);
	state = (MemberState) {member.row->purse, member.row->lifetime, member.row->held, member.row->last_activity};
	answer.entry = result.entry->seq;
	answer.points = result.entry->points;
	answer.balance = points_add(act_available(program, &state, member.row->enrolled_at, request.at),
								act_shared(result.entry));
	answer.voucher = result.voucher;
	answer.row = &result.row;
	store_close(store);
	return redeem_answer(fcinfo, &answer);
}
