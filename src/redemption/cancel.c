/*
 * cancel.c
 *		Undoing an act, whole or in part.
 *
 * What took points gives them back into the lots they came from, what gave them
 * takes them again, a transfer goes the other way.  The entry that does it names
 * the one that it cancels; nothing is erased.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "earning/unrecord.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/actor.h"
#include "ledger/context_field.h"
#include "ledger/imported.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "loyalty.h"
#include "redemption/held.h"
#include "redemption/redemption.h"
#include "redemption/transfer.h"
#include "redemption/undone.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_cancel);

/* Arguments of cancel, in order. */
enum
{
	ARG_MEMBER, ARG_ENTRY, ARG_POINTS, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

/* The name space of its keys. */
#define CANCEL_KEYS "cancel"

/* A call, from its arguments to what it undoes. */
typedef struct Cancel
{
	Config	   *config;
	Program    *program;
	text	   *ref;
	int64		seq;
	Points		asked;			/* 0: all that is left */
	text	   *note;
	text	   *key;			/* NULL: none */
	text	   *source_key;
	bool		at_given;
	TimestampTz at;
	Store	   *store;
	MemberRow  *member;
	MemberRow  *other;			/* of a transfer; NULL: of none */
	bool		found;			/* the entry */
	Undone		undone;
	Points		points;			/* to be undone now */
	bool		own;			/* it undoes what the same role has just adjusted */
} Cancel;

static void
read_arguments(FunctionCallInfo fcinfo, Cancel *cancel)
{
	memset(cancel, 0, sizeof(*cancel));
	cancel->config = config_get();
	cancel->ref = member_argument(fcinfo, ARG_MEMBER);
	cancel->program = access_program_for(cancel->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, cancel->ref);
	if (PG_ARGISNULL(ARG_ENTRY))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("entry must not be null")));
	cancel->seq = PG_GETARG_INT64(ARG_ENTRY);
	cancel->asked = PG_ARGISNULL(ARG_POINTS) ? 0 : act_points(fcinfo, ARG_POINTS);
	cancel->note = text_argument(fcinfo, ARG_REASON);
	cancel->key = text_argument(fcinfo, ARG_KEY);
	cancel->source_key = act_key(CANCEL_KEYS, cancel->key);
	cancel->at_given = !PG_ARGISNULL(ARG_AT);
	cancel->at = act_time(fcinfo, ARG_AT);
}

/* LY017; the arguments are errdetail's. */
#define NOT_CANCELLABLE(cancel, hint, ...) \
	ereport(ERROR, \
			(errcode(ERRCODE_LOYALTY_NOT_CANCELLABLE), \
			 errmsg("entry " INT64_FORMAT " of member \"%s\" cannot be cancelled", (cancel)->seq, \
					text_to_cstring((cancel)->ref)), \
			 errdetail(__VA_ARGS__), \
			 errhint(hint)))

/*
 * Finding
 */

static bool
find_entry(Cancel *cancel, int64 member_id)
{
	Snapshot	snapshot = store_snapshot();
	bool		found;

	store_begin_read(cancel->store, snapshot);
	found = cancel->seq > 0 && undone_read(cancel->store, member_id, cancel->seq, &cancel->undone);
	store_end_read(cancel->store);
	UnregisterSnapshot(snapshot);
	return found;
}

/* The other member of a transfer; false where the entry names none. */
static bool
other_member(const EntryRow *entry, int64 *member_id)
{
	JsonbValue	number;

	if (strcmp(entry->kind, KIND_TRANSFER) != 0 ||
		!(context_field_of(entry->context, TRANSFER_TO_MEMBER, jbvNumeric, &number) ||
		  context_field_of(entry->context, TRANSFER_FROM_MEMBER, jbvNumeric, &number)))
		return false;
	*member_id = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number.val.numeric)));
	return true;
}

static void
report_conflict(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update")));
}

/*
 * Lock the member, and of a transfer the other one too.  Entries do not change,
 * so whose it is may be read before the locks are taken in order.
 */
static void
lock_members(Cancel *cancel)
{
	MemberRequest members[2];
	int64		member_id = member_resolve(cancel->config, cancel->program, cancel->ref);
	int64		other_id;
	bool		both = find_entry(cancel, member_id) && other_member(&cancel->undone.entry, &other_id);
	MemberRequest *own = &members[both && other_id < member_id ? 1 : 0];
	MemberRequest *other = &members[own == &members[0] ? 1 : 0];

	memset(members, 0, sizeof(members));
	own->member_id = member_id;
	own->ref = cancel->ref;
	if (both)
		other->member_id = other_id;
	members_lock(cancel->config, cancel->store, cancel->program, members, both ? 2 : 1);
	if (own->row == NULL)
		member_unknown(cancel->program, cancel->ref);
	cancel->member = own->row;
	cancel->other = both ? other->row : NULL;
	/* A merge was faster, and the number is that of another ledger. */
	if (own->row->member_id != member_id)
		report_conflict();
	cancel->found = find_entry(cancel, member_id);
	if (!cancel->found)
		return;
	/* It was not there before the locks were: so only one of the two is held. */
	if (!both && other_member(&cancel->undone.entry, &other_id))
		report_conflict();
	/* The clock of a transaction that began later may have made it. */
	if (!cancel->at_given)
		cancel->at = Max(cancel->at, Min(cancel->undone.entry.occurred_at, cancel->undone.entry.posted_at));
}

/*
 * Refusing
 */

static void
refuse_merge(const Cancel *cancel, const text *source_key)
{
	if (drawn_by_household(source_key))
		NOT_CANCELLABLE(cancel, "Cancel what the points were spent on; loyalty.transfer can give them back.",
						"Points went from one member of a household to another.");
	NOT_CANCELLABLE(cancel, "loyalty.unmerge_members parts them.", "It says that members were merged or parted.");
}

/* LY017 for what is no act, or cannot be undone by itself. */
static void
check_kind(const Cancel *cancel)
{
	const EntryRow *entry = &cancel->undone.entry;
	JsonbValue	number;

	if (context_field_of(entry->context, FIELD_ENTRY, jbvNumeric, &number))
		NOT_CANCELLABLE(cancel, "Do again what was cancelled.",
						"It is itself a cancellation, of entry %s.", numeric_normalize(number.val.numeric));
	if (context_field_of(entry->context, "voucher", jbvString, &number))
		NOT_CANCELLABLE(cancel, "loyalty.return_voucher gives it back.", "It is what a voucher gave.");
	if (moved_by_merge(entry->source_key))
		refuse_merge(cancel, entry->source_key);
	if (entry->source_id != SOURCE_API)
		NOT_CANCELLABLE(cancel, "Change or delete the row: its points follow.",
						"It is of a purchase, whose row is in an attached table.");
	if (strcmp(entry->kind, KIND_IMPORT) == 0)
		NOT_CANCELLABLE(cancel, "loyalty.adjust puts a balance right.", "It is what was imported.");
	if (strcmp(entry->kind, KIND_RELEASE) == 0 && context_field_of(entry->context, FIELD_HOLD, jbvNumeric, &number))
		NOT_CANCELLABLE(cancel, "loyalty.hold can hold them anew.", "It released points that were held.");
	if (strcmp(entry->kind, KIND_EXPIRE) == 0 || strcmp(entry->kind, KIND_RELEASE) == 0)
		NOT_CANCELLABLE(cancel, "loyalty.adjust puts a balance right.", "It says what time has done.");
	if (strcmp(entry->kind, KIND_TRANSFER) == 0 && cancel->other == NULL)
		NOT_CANCELLABLE(cancel, "loyalty.transfer can give points the other way.",
						"It no longer says who the other member is.");
	if (cancel->other != NULL)
		act_check_status(cancel->program, cancel->other);
	/* What a redemption came to may be nothing. */
	if (entry->points == 0 && strcmp(entry->kind, KIND_ADJUST) == 0)
		NOT_CANCELLABLE(cancel, "loyalty.extend, or loyalty.set_tier, can change it again.",
						"It gave no points and took none.");
}

/* How many points are to be undone; LY018 when fewer are left. */
static void
decide_points(Cancel *cancel)
{
	const Undone *undone = &cancel->undone;
	Points		left = undone->points - undone->back;

	cancel->points = cancel->asked == 0 ? left : cancel->asked;
	if (cancel->points <= left && (left > 0 || undone->times == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_TOO_MUCH_BACK),
			 left == 0 ? errmsg("entry " INT64_FORMAT " of member \"%s\" has been cancelled", cancel->seq,
								text_to_cstring(cancel->ref))
			 : errmsg("too many points to be cancelled"),
			 cancel->asked == 0
			 ? errdetail("All of its %s points have been undone.", points_to_cstring(undone->points))
			 : errdetail("Entry " INT64_FORMAT " of member \"%s\" moved %s points, %s of them have been undone, %s were asked for.",
						 cancel->seq, text_to_cstring(cancel->ref), points_to_cstring(undone->points),
						 points_to_cstring(undone->back), points_to_cstring(cancel->asked))));
}

static void
check_time(const Cancel *cancel)
{
	if (cancel->at < Min(cancel->undone.entry.occurred_at, cancel->undone.entry.posted_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an act cannot be cancelled before it took place")));
}

/*
 * Posting
 */

/* {"entry": 5}, with the points if so many were asked for; open, or closed. */
static void
begin_context(const Cancel *cancel, int64 seq, JsonbParseState **state)
{
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	act_push_numeric(state, FIELD_ENTRY, int64_to_numeric(seq));
	if (cancel->asked > 0)
		act_push_points(state, FIELD_POINTS, cancel->asked);
}

static Jsonb *
end_context(JsonbParseState **state)
{
	return JsonbValueToJsonb(pushJsonbValue(state, WJB_END_OBJECT, NULL));
}

static void
begin_entry(const Cancel *cancel, const char *kind, EntryRow *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->kind = kind;
	entry->source_id = SOURCE_API;
	entry->source_key = cancel->source_key;
	entry->occurred_at = cancel->at;
	entry->note = cancel->note;
}

/* What took points gives them back. */
static EntryRow
give_back(const Cancel *cancel)
{
	DateADT		day = calendar_day(cancel->at, cancel->program->zone);
	bool		redeemed = strcmp(cancel->undone.entry.kind, KIND_REDEEM) == 0;
	JsonbParseState *state = NULL;
	Posting		posting;
	Purse		lots;
	EntryRow	entry;

	if (redeemed && redemption_exists(cancel->config, cancel->member->member_id, cancel->seq))
	{
		/* What goes back is not to be redeemed again by the same statement. */
		store_follow_nothing(cancel->store);
		redemption_give_back(cancel->config, cancel->store, cancel->program, cancel->member, cancel->seq,
							 cancel->undone.points, cancel->undone.back, cancel->points, cancel->note, cancel->at);
	}
	posting_begin(&posting, cancel->program, cancel->member);
	posting_bring_current(&posting, cancel->at);
	purse_init(&lots);
	undone_put_back(&cancel->undone, cancel->program, cancel->member, cancel->points, day, &lots);
	begin_entry(cancel, redeemed ? KIND_REFUND : KIND_ADJUST, &entry);
	begin_context(cancel, cancel->seq, &state);
	entry.context = end_context(&state);
	if (!redeemed)
		entry.context = actor_sign(entry.context, NULL, cancel->own);
	entry = *posting_add_exact(&posting, &entry, &lots);
	posting_even_out(&posting, cancel->at);
	posting_write(&posting, cancel->store);
	return entry;
}

/* LY017 when points that are to be taken again have lapsed. */
static void
check_alive(const Cancel *cancel, const Undone *given, DateADT day)
{
	const Purse *lots = &given->lots;
	Points		alive = 0;
	int			i;

	for (i = 0; i < lots->nlots; i++)
		if (lots->lots[i].ends >= day)
			alive = points_add(alive, lots->lots[i].points);
	if (alive >= points_add(given->back, cancel->points))
		return;
	NOT_CANCELLABLE(cancel, "What has lapsed is not taken again.",
					"Points that it gave have lapsed since.");
}

/* What gave points takes them again: first from the life span that it gave. */
static EntryRow
take_again(const Cancel *cancel)
{
	JsonbParseState *state = NULL;
	Posting		posting;
	Purse		given;
	Purse		lots;
	EntryRow	entry;

	check_alive(cancel, &cancel->undone, calendar_day(cancel->at, cancel->program->zone));
	posting_begin(&posting, cancel->program, cancel->member);
	posting_bring_current(&posting, cancel->at);
	purse_init(&given);
	undone_lots(&cancel->undone, cancel->points, &given);
	purse_init(&lots);
	act_take(cancel->store, cancel->program, cancel->member, cancel->points, cancel->at, cancel->at_given,
			 &given, &lots);
	begin_entry(cancel, KIND_ADJUST, &entry);
	begin_context(cancel, cancel->seq, &state);
	entry.context = actor_sign(end_context(&state), NULL, cancel->own);
	entry = *posting_add(&posting, &entry, &lots);
	posting_write(&posting, cancel->store);
	return entry;
}

/*
 * A transfer goes the other way: an entry each, as of any transfer, which also
 * name the entries that they cancel.  Whoever is named in the call gets its key.
 */
static EntryRow
transfer_back(const Cancel *cancel)
{
	bool		by_giver = cancel->undone.entry.points < 0;
	MemberRow  *giver = by_giver ? cancel->member : cancel->other;
	MemberRow  *receiver = by_giver ? cancel->other : cancel->member;
	DateADT		day = calendar_day(cancel->at, cancel->program->zone);
	int64		other_seq = transfer_counterpart(&cancel->undone.entry);
	Undone		other;
	const Undone *given = by_giver ? &cancel->undone : &other;
	const Undone *received = by_giver ? &other : &cancel->undone;
	TransferSide taking = {.member = receiver, .cancels = by_giver ? other_seq : cancel->seq};
	TransferSide getting = {.member = giver, .cancels = by_giver ? cancel->seq : other_seq};
	Snapshot	snapshot = store_snapshot();
	Purse		preferred;
	bool		found;

	store_begin_read(cancel->store, snapshot);
	found = undone_read(cancel->store, cancel->other->member_id, other_seq, &other);
	store_end_read(cancel->store);
	UnregisterSnapshot(snapshot);
	if (!found || other.points != cancel->undone.points)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("entry " INT64_FORMAT " of member \"%s\" is not that of a transfer", other_seq,
						text_to_cstring(cancel->other->ref)),
				 errhint("loyalty.verify says what is wrong.")));
	if (moved_by_merge(other.entry.source_key))
		refuse_merge(cancel, other.entry.source_key);
	act_check_status(cancel->program, cancel->other);

	/* Of a person who was forgotten it is not known. */
	other.back = cancel->undone.back;
	check_alive(cancel, received, day);

	posting_begin(&taking.posting, cancel->program, receiver);
	posting_bring_current(&taking.posting, cancel->at);
	posting_begin(&getting.posting, cancel->program, giver);
	posting_bring_current(&getting.posting, cancel->at);
	purse_init(&preferred);
	undone_lots(received, cancel->points, &preferred);
	purse_init(&taking.lots);
	act_take(cancel->store, cancel->program, receiver, cancel->points, cancel->at, cancel->at_given,
			 &preferred, &taking.lots);
	purse_init(&getting.lots);
	undone_put_back(given, cancel->program, giver, cancel->points, day, &getting.lots);
	if (by_giver)
		getting.source_key = cancel->source_key;
	else
		taking.source_key = cancel->source_key;
	getting.asked = taking.asked = cancel->asked;
	transfer_post(cancel->store, &taking, &getting, cancel->at, cancel->note);
	return by_giver ? getting.entry : taking.entry;
}

static Datum
answer_again(FunctionCallInfo fcinfo, const Cancel *cancel, const EarlierAct *earlier)
{
	JsonbValue	seq;
	JsonbValue	points;
	const EntryRow *entry = &earlier->entry;
	bool		known = context_field_of(entry->context, FIELD_ENTRY, jbvNumeric, &seq);
	bool		asked = context_field_of(entry->context, FIELD_POINTS, jbvNumeric, &points);

	if (!known ||
		DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(seq.val.numeric))) != cancel->seq ||
		(asked ? points_from_numeric(points.val.numeric) : 0) != cancel->asked ||
		(cancel->at_given && entry->occurred_at != cancel->at) ||
		!same_text(entry->note, cancel->note))
		act_key_reused(cancel->key,
					   psprintf("It cancelled %s points of %s of member \"%s\".",
								points_to_cstring(entry->points < 0 ? -entry->points : entry->points),
								known ? psprintf("entry %s", numeric_normalize(seq.val.numeric)) : "an entry",
								text_to_cstring(cancel->ref)));
	return act_repeated(fcinfo, cancel->program, cancel->member, earlier);
}

/* Whether it is an event that record recorded. */
static bool
is_event(const EntryRow *entry)
{
	return entry->source_id == SOURCE_API &&
		(strcmp(entry->kind, KIND_EARN) == 0 || strcmp(entry->kind, KIND_CLAWBACK) == 0);
}

/* LY006 for a key that has cancelled an event, but not this entry. */
static void
check_event_key(const Cancel *cancel)
{
	const EntryRow *entry = &cancel->undone.entry;
	MemberIds	ledgers;
	bool		found;
	int			i;

	if (cancel->key == NULL)
		return;
	found = recorded_cancelled_by(cancel->store, cancel->member->member_id, cancel->key,
								  cancel->found && is_event(entry) ? entry->source_key : NULL);
	/* Of who has been merged since, the number names another entry by now. */
	merge_other_ledgers(cancel->config, cancel->program, cancel->ref, cancel->member, cancel->source_key, &ledgers);
	for (i = 0; i < ledgers.count && !found; i++)
		found = recorded_cancelled_by(cancel->store, ledgers.ids[i], cancel->key, NULL);
	if (found)
		act_key_reused(cancel->key, psprintf("It cancelled an event of member \"%s\".",
											 text_to_cstring(cancel->ref)));
}

/*
 * LY001 when an event is to be cancelled in the past, and what it gave was spent
 * since: only a policy that makes debts takes what was not there.
 */
static void
check_past(const Cancel *cancel, Points net)
{
	Snapshot	snapshot;
	MemberState then;
	Points		least;

	if (!cancel->at_given || net <= 0 || cancel->program->clawback == CLAWBACK_DEBT)
		return;
	snapshot = store_snapshot();
	store_begin_read(cancel->store, snapshot);
	least = balance_least_since(cancel->store, cancel->program, cancel->member, cancel->at, NIL, &then);
	store_end_read(cancel->store);
	UnregisterSnapshot(snapshot);
	if (least >= net)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
			 errmsg("insufficient points"),
			 errdetail("Member \"%s\" of program \"%s\" had %s available then or since, the event gave %s.",
					   text_to_cstring(cancel->ref), cancel->program->name,
					   points_to_cstring(Max(least, 0)), points_to_cstring(net)),
			 errhint("Without \"at\" it is cancelled now.")));
}

/* One is cancelled whole, for its points follow from it. */
static Datum
cancel_event(FunctionCallInfo fcinfo, Cancel *cancel)
{
	const text *source_key = cancel->undone.entry.source_key;
	Recorded	recorded;
	EntryRow	entry;

	recorded_read(cancel->store, cancel->member->member_id, source_key, &recorded);
	if (recorded.cancelled && cancel->key != NULL && same_text(recorded.key, cancel->key))
	{
		if ((cancel->at_given && recorded.by.entry.occurred_at != cancel->at) ||
			!same_text(recorded.by.entry.note, cancel->note))
			act_key_reused(cancel->key, psprintf("It cancelled an event of member \"%s\".",
												 text_to_cstring(cancel->ref)));
		return act_repeated(fcinfo, cancel->program, cancel->member, &recorded.by);
	}
	cancel->undone.points = recorded.cancelled ? recorded.by.entry.points : recorded.net;
	cancel->undone.points = Max(cancel->undone.points, -cancel->undone.points);
	cancel->undone.back = recorded.cancelled ? cancel->undone.points : 0;
	cancel->undone.times = recorded.cancelled ? 1 : 0;
	act_check_status(cancel->program, cancel->member);
	check_time(cancel);
	decide_points(cancel);
	if (cancel->points != cancel->undone.points)
		NOT_CANCELLABLE(cancel, "Cancel all of it, and record what remains.",
						"It is an event, which gave %s points as a whole; %s were asked for.",
						points_to_cstring(cancel->undone.points), points_to_cstring(cancel->points));
	check_past(cancel, recorded.net);
	entry = unrecord(cancel->config, cancel->program, cancel->store, cancel->member, source_key,
					 cancel->note, cancel->key, cancel->at);
	return act_posted(fcinfo, cancel->program, cancel->member, &entry);
}

/* A hold is released, as far as it still holds something. */
static EntryRow
release_hold(const Cancel *cancel)
{
	JsonbParseState *state = NULL;
	Snapshot	snapshot = store_snapshot();
	Posting		posting;
	EntryRow	entry;

	begin_context(cancel, cancel->seq, &state);
	act_push_numeric(&state, FIELD_HOLD, int64_to_numeric(cancel->seq));
	posting_begin(&posting, cancel->program, cancel->member);
	store_begin_read(cancel->store, snapshot);
	entry = held_cancel(cancel->store, &posting, cancel->seq, cancel->asked, cancel->at, cancel->at_given,
						end_context(&state), cancel->source_key, cancel->note);
	store_end_read(cancel->store);
	UnregisterSnapshot(snapshot);
	posting_write(&posting, cancel->store);
	return entry;
}

/*
 * To undo an adjustment is one, but for what the same role has just made by
 * itself: it only comes back to where it was.
 */
static void
check_adjust_limit(Cancel *cancel)
{
	Actor		actor = actor_now();
	Points		points;

	cancel->own = actor_adjusted(&cancel->undone.entry, &actor, actor_day_before(), &points);
	if (!cancel->own)
		actor_check_limit(cancel->config, cancel->program, cancel->store, cancel->member, cancel->points, "cancelled");
}

/* Undo what the call names; answers the entry that did. */
static EntryRow
undo(Cancel *cancel)
{
	const EntryRow *entry = &cancel->undone.entry;

	if (strcmp(entry->kind, KIND_ADJUST) == 0)
		check_adjust_limit(cancel);
	if (strcmp(entry->kind, KIND_TRANSFER) == 0)
		return transfer_back(cancel);
	return entry->points > 0 ? take_again(cancel) : give_back(cancel);
}

/* cancel(member, entry, points, reason, key, at, program) → posting */
Datum
loyalty_cancel(PG_FUNCTION_ARGS)
{
	Cancel		cancel;
	EarlierAct	earlier;
	EntryRow	entry;
	Datum		answer;

	read_arguments(fcinfo, &cancel);
	cancel.store = store_open(cancel.config, true);
	lock_members(&cancel);
	if (act_find(cancel.config, cancel.program, cancel.store, cancel.ref, cancel.member, cancel.source_key, &earlier))
	{
		answer = answer_again(fcinfo, &cancel, &earlier);
		store_close(cancel.store);
		return answer;
	}
	check_event_key(&cancel);
	if (!cancel.found)
		NOT_CANCELLABLE(&cancel, "loyalty.statement lists the entries of a member.",
						"The member has %lld entries.", (long long) cancel.member->seq);
	if (is_event(&cancel.undone.entry))
	{
		answer = cancel_event(fcinfo, &cancel);
		store_close(cancel.store);
		return answer;
	}
	act_check_status(cancel.program, cancel.member);
	check_kind(&cancel);
	check_time(&cancel);
	if (strcmp(cancel.undone.entry.kind, KIND_HOLD) == 0)
		entry = release_hold(&cancel);
	else
	{
		decide_points(&cancel);
		entry = undo(&cancel);
	}
	store_close(cancel.store);
	return act_posted(fcinfo, cancel.program, cancel.member, &entry);
}
