/*
 * spend.c
 *		Points as money at the till.
 *
 * The member is locked, and who shares his balance where they are needed; the
 * key is looked up, what fell due is written down, then the points are taken,
 * soonest to expire first.  What has been spent on the same purchase before
 * counts together; it is read from the member's entries, so nothing else has to
 * be kept in step.
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
#include "ledger/posting.h"
#include "ledger/velocity.h"
#include "loyalty.h"
#include "redemption/held.h"
#include "redemption/household.h"
#include "redemption/payment.h"
#include "redemption/spend.h"
#include "redemption/undone.h"

PG_FUNCTION_INFO_V1(loyalty_spend);

/* Arguments of spend, in order. */
enum
{
	ARG_MEMBER, ARG_POINTS, ARG_PURCHASE, ARG_AMOUNT, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

/* The name space of its keys. */
#define SPEND_KEYS "spend"

/* What is asked for. */
typedef struct SpendRequest
{
	Points		points;
	text	   *purchase;		/* NULL: none is named */
	Numeric		amount;			/* of the purchase; NULL: unknown */
	text	   *note;
	text	   *key;
	TimestampTz at;
	bool		at_given;
} SpendRequest;

text *
spend_purchase_argument(FunctionCallInfo fcinfo, int argno)
{
	text	   *purchase = text_argument(fcinfo, argno);

	if (purchase != NULL && VARSIZE_ANY_EXHDR(purchase) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("purchase must not be empty"),
				 errhint("NULL is no purchase.")));
	if (purchase != NULL && VARSIZE_ANY_EXHDR(purchase) > MAX_KEY_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("purchase is too long"),
				 errdetail("It has %d bytes, %d are allowed.",
						   (int) VARSIZE_ANY_EXHDR(purchase), MAX_KEY_BYTES)));
	return purchase;
}

static void
read_request(FunctionCallInfo fcinfo, SpendRequest *request)
{
	request->points = act_points(fcinfo, ARG_POINTS);
	request->purchase = spend_purchase_argument(fcinfo, ARG_PURCHASE);
	request->amount = PG_ARGISNULL(ARG_AMOUNT) ? NULL : payment_amount(PG_GETARG_NUMERIC(ARG_AMOUNT));
	request->note = text_argument(fcinfo, ARG_REASON);
	request->key = text_argument(fcinfo, ARG_KEY);
	request->at = act_time(fcinfo, ARG_AT);
	request->at_given = !PG_ARGISNULL(ARG_AT);
}

void
spend_push(JsonbParseState **state, const text *purchase, Numeric amount, Numeric value)
{
	if (purchase != NULL)
		act_push_text(state, FIELD_PURCHASE, text_to_cstring(purchase));
	if (amount != NULL)
		act_push_numeric(state, FIELD_AMOUNT, amount);
	if (value != NULL)
		act_push_numeric(state, FIELD_VALUE, value);
}

/* {"purchase": "7", "amount": 20.00, "value": 1.50}, as far as known; NULL when nothing is. */
static Jsonb *
spend_context(Store *store, const Program *program, const MemberRow *member, const Sharing *sharing, const SpendRequest *request)
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

bool
spend_is_for(const EntryRow *earlier, const text *purchase, Numeric wanted)
{
	JsonbValue	amount;
	bool		had_amount = context_field_of(earlier->context, FIELD_AMOUNT, jbvNumeric, &amount);

	return undone_is_purchase(earlier, purchase) &&
		had_amount == (wanted != NULL) &&
		(!had_amount ||
		 rational_cmp(rational_from_numeric(amount.val.numeric), rational_from_numeric(wanted)) == 0);
}

/* What points pay can have changed since, and is not asked for: it is left out. */
static bool
same_request(const EntryRow *earlier, const SpendRequest *request)
{
	return earlier->points == -request->points &&
		(!request->at_given || earlier->occurred_at == request->at) &&
		spend_is_for(earlier, request->purchase, request->amount) &&
		same_text(earlier->note, request->note);
}

/*
 * What has been spent before
 */

/* A spend counts at what it paid then, less what has been cancelled of it. */
static void
add_spent(const Undone *undone, Spent *spent)
{
	Points		kept = undone->points - undone->back;
	JsonbValue	value;

	spent->points = points_add(spent->points, kept);
	if (kept > 0 && context_field_of(undone->entry.context, FIELD_VALUE, jbvNumeric, &value))
		spent->value = DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(spent->value),
														   NumericGetDatum(undone_value(undone, value.val.numeric, kept))));
}

/* Only read where it makes a difference. */
Spent
spend_before(Store *store, const Program *program, const MemberRow *member, const text *purchase, Numeric amount)
{
	Spent		spent = {0, int64_to_numeric(0)};
	Snapshot	snapshot;
	Undone	   *spends;
	int			count;
	int			i;

	if (purchase == NULL ||
		(program->spend_maximum == 0 && (amount == NULL || program->point_value == NULL)))
		return spent;
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	spends = undone_of_purchase(store, member->member_id, purchase, &count);
	held_add_spent(held_list(store, member, NULL), purchase, &spent);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	for (i = 0; i < count; i++)
		add_spent(&spends[i], &spent);
	return spent;
}

/* spend(member, points, purchase, amount, reason, key, at, program) → posting */
Datum
loyalty_spend(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, ARG_MEMBER);
	Program    *program = access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, ref);
	SpendRequest request;
	text	   *source_key;
	Store	   *store;
	MemberRequest member;
	Sharing		sharing;
	EarlierAct	earlier;
	Spent		spent;
	Posting		posting;
	Purse		lots;
	EntryRow	entry;
	EntryRow   *added;

	read_request(fcinfo, &request);
	source_key = act_key(SPEND_KEYS, request.key);

	store = store_open(config, true);
	household_lock(config, store, program, ref, request.at_given ? POINTS_MAX : request.points, &member, &sharing);
	if (member.row == NULL)
		member_unknown(program, ref);

	if (act_find(config, program, store, ref, member.row, source_key, &earlier))
	{
		if (!same_request(&earlier.entry, &request))
			act_key_reused(request.key,
						   psprintf("It spent %s points of member \"%s\".",
									points_to_cstring(-earlier.entry.points), text_to_cstring(ref)));
		store_close(store);
		return act_repeated(fcinfo, program, member.row, &earlier);
	}
	act_check_active(program, member.row);
	spent = spend_before(store, program, member.row, request.purchase, request.amount);
	payment_check(program, request.points, request.amount, request.purchase, &spent);
	velocity_check(config, program, store, member.row, VELOCITY_REDEEM, request.points, 0);

	posting_begin(&posting, program, member.row);
	posting_bring_current(&posting, request.at);
	purse_init(&lots);
	household_take(config, store, program, member.row, &sharing, request.points, request.at, request.at_given, &lots);

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_REDEEM;
	entry.source_id = SOURCE_API;
	entry.source_key = source_key;
	entry.occurred_at = request.at;
	entry.context = spend_context(store, program, member.row, &sharing, &request);
	entry.note = request.note;
	added = posting_add(&posting, &entry, &lots);
	posting_write(&posting, store);
	store_close(store);
	return act_posted(fcinfo, program, member.row, added);
}
