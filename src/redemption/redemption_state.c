/*
 * redemption_state.c
 *		Confirming and fulfilling what was requested.
 *
 * A redemption goes from requested over confirmed to fulfilled; cancel() takes
 * it back from anywhere.  Whoever says again what is so already gets the same
 * answer.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "redemption/redeem.h"
#include "redemption/redemption.h"
#include "redemption/voucher.h"

PG_FUNCTION_INFO_V1(loyalty_confirm_redemption);
PG_FUNCTION_INFO_V1(loyalty_fulfill_redemption);

/* A redemption whose member is locked. */
typedef struct Handled
{
	Config	   *config;
	Program    *program;
	Store	   *store;
	MemberRow  *member;
	const Reward *reward;
	RedemptionRow row;
} Handled;

static void
lock_redemption(FunctionCallInfo fcinfo, int program_argno, Handled *handled)
{
	text	   *ref = member_argument(fcinfo, 0);
	Snapshot	snapshot;
	MemberRequest request;
	bool		found;

	handled->config = config_get();
	handled->program = access_program_for(handled->config, text_argument(fcinfo, program_argno), ACCESS_OPERATE, ref);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("entry must not be null")));
	handled->store = store_open(handled->config, true);
	member_lock(handled->config, handled->store, handled->program, ref, false, 0, &request);
	if (request.row == NULL)
		member_unknown(handled->program, ref);
	handled->member = request.row;
	snapshot = store_snapshot();
	found = redemption_find(handled->config, snapshot, handled->member->member_id, PG_GETARG_INT64(1), &handled->row);
	UnregisterSnapshot(snapshot);
	handled->reward = !found ? NULL
		: reward_by_id(reward_set(handled->config, handled->program), handled->row.reward_id);
	if (handled->reward == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_REWARD),
				 errmsg("entry " INT64_FORMAT " of member \"%s\" redeemed no reward",
						PG_GETARG_INT64(1), text_to_cstring(ref)),
				 errhint("loyalty.redemptions lists what was redeemed.")));
}

/* LY023 with what the redemption is. */
static void
wrong_state(const Handled *handled, const char *message)
{
	const RedemptionRow *row = &handled->row;

	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_REDEMPTION_STATE),
			 errmsg("%s", message),
			 row->backordered > 0
			 ? errdetail("Redemption " INT64_FORMAT " of member \"%s\" waits for stock: %d of reward \"%s\".",
						 row->seq, text_to_cstring(handled->member->ref), row->backordered, handled->reward->name)
			 : errdetail("Redemption " INT64_FORMAT " of member \"%s\" is %s.",
						 row->seq, text_to_cstring(handled->member->ref), redemption_status_name(row->status))));
}

/* Nothing moves here: the points are none, the balance is what the member has. */
static Datum
answer_state(FunctionCallInfo fcinfo, Handled *handled, const char *voucher, bool repeated)
{
	MemberState state = {handled->member->purse, handled->member->lifetime, handled->member->held,
	handled->member->last_activity};
	RedeemAnswer answer = {.entry = handled->row.seq, .repeated = repeated, .voucher = voucher, .row = &handled->row};

	answer.balance = act_available(handled->program, &state, handled->member->enrolled_at,
								   GetCurrentTransactionStartTimestamp());
	if (voucher == NULL && handled->row.voucher == VOUCHER_ISSUED)
		answer.voucher = voucher_again(handled->config, handled->program, handled->member->member_id, handled->row.seq, &answer.why);
	store_close(handled->store);
	return redeem_answer(fcinfo, &answer);
}

/*
 * Nothing happens to a redemption before it was made: 22023 for such a time that
 * was given.  The clock of a transaction that began later may have made it; then
 * what is done now takes place at that time.
 */
static TimestampTz
take_place(const Handled *handled, TimestampTz at, bool at_given)
{
	TimestampTz made = Max(handled->row.requested_at, handled->row.confirmed_at);

	if (at_given && at < made)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must not be before the redemption was made, or confirmed")));
	return Max(at, made);
}

static text *
actor_argument(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? redemption_actor() : PG_GETARG_TEXT_PP(argno);
}

/* confirm_redemption(member, entry, actor, at, program) → redeemed */
Datum
loyalty_confirm_redemption(PG_FUNCTION_ARGS)
{
	TimestampTz at = act_time(fcinfo, 3);
	Handled		handled;
	bool		repeated;
	char	   *voucher;

	lock_redemption(fcinfo, 4, &handled);
	if (handled.row.status == REDEMPTION_CANCELLED || handled.row.backordered > 0)
		wrong_state(&handled, "the redemption cannot be confirmed");
	repeated = handled.row.status != REDEMPTION_REQUESTED;
	if (!repeated)
		at = take_place(&handled, at, !PG_ARGISNULL(3));
	voucher = redemption_advance(handled.config, handled.program, handled.reward, handled.member, &handled.row,
								 true, true, actor_argument(fcinfo, 2), at);
	if (!repeated || voucher != NULL)
		redemption_update(handled.config, &handled.row);
	return answer_state(fcinfo, &handled, voucher, repeated && voucher == NULL);
}

/* fulfill_redemption(member, entry, reference, actor, at, program) → redeemed */
Datum
loyalty_fulfill_redemption(PG_FUNCTION_ARGS)
{
	text	   *reference = text_argument(fcinfo, 2);
	TimestampTz at = act_time(fcinfo, 4);
	Handled		handled;
	RedemptionRow *row = &handled.row;

	lock_redemption(fcinfo, 5, &handled);
	if (row->status == REDEMPTION_FULFILLED && (reference == NULL || same_text(reference, row->reference)))
		return answer_state(fcinfo, &handled, NULL, true);
	/* What was fulfilled by itself may get its reference afterwards, once. */
	if (row->status != REDEMPTION_CONFIRMED && (row->status != REDEMPTION_FULFILLED || row->reference != NULL))
		wrong_state(&handled, row->status == REDEMPTION_FULFILLED
					? "the redemption was fulfilled under another reference" : "the redemption cannot be fulfilled");
	if (row->status == REDEMPTION_CONFIRMED)
	{
		at = take_place(&handled, at, !PG_ARGISNULL(4));
		row->status = REDEMPTION_FULFILLED;
		row->fulfilled_at = at;
		row->fulfilled_by = actor_argument(fcinfo, 3);
	}
	row->reference = reference;
	redemption_update(handled.config, row);
	return answer_state(fcinfo, &handled, NULL, false);
}
