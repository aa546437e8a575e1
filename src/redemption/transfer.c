/*
 * transfer.c
 *		Points that one member gives to another.
 *
 * Both members are locked in the order of member_id, so that two who give to
 * each other at once wait and do not deadlock.  Each gets an entry of the same
 * points with opposite sign, which names the other one: what leaves one ledger
 * arrives in another, and verify can prove it.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "ledger/act.h"
#include "ledger/holdings.h"
#include "ledger/imported.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "redemption/transfer.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_transfer);

/* Arguments of transfer, in order. */
enum
{
	ARG_FROM, ARG_TO, ARG_POINTS, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

/* The name space of its keys. */
#define TRANSFER_KEYS "transfer"

/* What is asked for. */
typedef struct TransferRequest
{
	text	   *from;
	text	   *to;
	Points		points;
	text	   *note;
	text	   *key;
	TimestampTz at;
	bool		at_given;
} TransferRequest;

static void
refuse_himself(const text *ref)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("member \"%s\" cannot transfer points to himself", text_to_cstring(ref))));
}

static void
read_request(FunctionCallInfo fcinfo, TransferRequest *request)
{
	request->from = member_argument(fcinfo, ARG_FROM);
	request->to = member_argument(fcinfo, ARG_TO);
	request->points = act_points(fcinfo, ARG_POINTS);
	request->note = text_argument(fcinfo, ARG_REASON);
	request->key = text_argument(fcinfo, ARG_KEY);
	request->at = act_time(fcinfo, ARG_AT);
	request->at_given = !PG_ARGISNULL(ARG_AT);
	if (same_text(request->from, request->to))
		refuse_himself(request->from);
}

/*
 * Lock both.  Only the receiver may become a member by it: who is none has
 * nothing to give.
 */
static void
lock_both(Config *config, Store *store, const Program *program, const TransferRequest *request,
		  MemberRow **giver, MemberRow **receiver)
{
	MemberRequest members[2];
	int64		from = member_resolve(config, program, request->from);
	int64		to = member_resolve(config, program, request->to);
	MemberRequest *by_from = &members[from <= to ? 0 : 1];
	MemberRequest *by_to = &members[from <= to ? 1 : 0];

	memset(members, 0, sizeof(members));
	by_from->member_id = from;
	by_from->ref = request->from;
	by_to->member_id = to;
	by_to->ref = request->to;
	by_to->enroll = program->auto_enroll;
	by_to->enrolled_at = request->at;
	members_lock(config, store, program, members, 2);
	if (by_from->row == NULL)
		member_unknown(program, request->from);
	if (by_to->row == NULL)
		member_unknown(program, request->to);
	/* One member may have several refs. */
	if (by_from->row->member_id == by_to->row->member_id)
		refuse_himself(request->from);
	*giver = by_from->row;
	*receiver = by_to->row;
}

text *
transfer_received_key(int64 giver_id, int64 seq)
{
	return cstring_to_text(psprintf(TRANSFER_RECEIVED INT64_FORMAT "#" INT64_FORMAT, giver_id, seq));
}

/* {"to_entry": 7, "to_member_id": 42}, or the same with "from". */
static Jsonb *
counterpart_context(const char *member_field, int64 member_id, const char *entry_field, int64 seq)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_numeric(&state, member_field, int64_to_numeric(member_id));
	act_push_numeric(&state, entry_field, int64_to_numeric(seq));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
note_found(const EntryRow *entry, void *arg)
{
	*(bool *) arg = true;
}

/* Whether the member got what was given by the entry. */
static bool
has_received(Store *store, int64 receiver_id, const EntryRow *given)
{
	Snapshot	snapshot = store_snapshot();
	bool		found = false;

	store_begin_read(store, snapshot);
	store_visit_entries(store, receiver_id, SOURCE_API, transfer_received_key(given->member_id, given->seq), note_found, &found);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * The program's terms
 */

/* LY015; the arguments are errdetail's. */
#define TERMS_ERROR(message, ...) \
	ereport(ERROR, \
			(errcode(ERRCODE_LOYALTY_TRANSFER_LIMIT), \
			 errmsg(message), \
			 errdetail(__VA_ARGS__), \
			 errhint("Look at transfer_enabled, transfer_minimum, transfer_maximum and transfer_cap of the program.")))

static void
check_number(const Program *program, Points points)
{
	if (!program->transfer_enabled)
		TERMS_ERROR("points cannot be transferred",
					"Program \"%s\" lets no points be transferred, %s were asked for.",
					program->name, points_to_cstring(points));
	if (points < program->transfer_minimum)
		TERMS_ERROR("too few points to be transferred at once",
					"Program \"%s\" lets at least %s points be transferred at once, %s were asked for.",
					program->name, points_to_cstring(program->transfer_minimum), points_to_cstring(points));
	if (program->transfer_maximum > 0 && points > program->transfer_maximum)
		TERMS_ERROR("too many points to be transferred at once",
					"Program \"%s\" lets at most %s points be transferred at once, %s were asked for.",
					program->name, points_to_cstring(program->transfer_maximum), points_to_cstring(points));
}

typedef struct Giving
{
	const Program *program;
	DateADT		period;			/* its first day */
	Points		given;
} Giving;

static DateADT
cap_period(const Program *program, TimestampTz at)
{
	return calendar_start_of_period(calendar_day(at, program->zone), program->transfer_cap_period);
}

static bool
is_received(const text *source_key)
{
	return VARSIZE_ANY_EXHDR(source_key) >= strlen(TRANSFER_RECEIVED) &&
		memcmp(VARDATA_ANY(source_key), TRANSFER_RECEIVED, strlen(TRANSFER_RECEIVED)) == 0;
}

static void
add_given(const EntryRow *entry, void *arg)
{
	Giving	   *giving = arg;

	/* What a merge moved is no gift, on the side that gets it neither: a debt. */
	if (entry->points >= 0 || strcmp(entry->kind, KIND_TRANSFER) != 0 || moved_by_merge(entry->source_key) ||
		is_received(entry->source_key) ||
		cap_period(giving->program, entry->occurred_at) != giving->period)
		return;
	/* What goes round can be more than there ever was. */
	if (pg_sub_s64_overflow(giving->given, entry->points, &giving->given))
		giving->given = POINTS_MAX;
}

/* What the giver has given away in the period is read from his entries, so nothing else has to be kept in step. */
static void
check_cap(Store *store, const Program *program, const MemberRow *giver, const TransferRequest *request)
{
	Giving		giving = {program, cap_period(program, request->at), 0};
	Points		cap = program->transfer_cap;
	bool		ever = program->transfer_cap_period == PERIOD_EVER;
	Snapshot	snapshot;

	if (cap == 0)
		return;
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	store_visit_entries(store, giver->member_id, SOURCE_API, NULL, add_given, &giving);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	if (request->points <= cap - giving.given)
		return;
	TERMS_ERROR("too many points to be given away",
				"Program \"%s\" lets a member give away %s points%s; member \"%s\" has given %s%s, %s were asked for.",
				program->name, points_to_cstring(cap),
				ever ? " ever" : psprintf(" a %s", calendar_period_name(program->transfer_cap_period)),
				text_to_cstring(giver->ref), points_to_cstring(giving.given),
				ever ? "" : psprintf(" in the %s from %s", calendar_period_name(program->transfer_cap_period),
									 act_day_text(giving.period)),
				points_to_cstring(request->points));
}

/*
 * What arrives: the same lots, or one with a life span of its own.  22023 when
 * it would lapse at once, since the receiver has been inactive for too long.
 */
static void
arriving_lots(const Program *program, const MemberRow *receiver, const TransferRequest *request,
			  const Purse *given, Purse *lots)
{
	DateADT		day = calendar_day(request->at, program->zone);

	if (program->transfer_restart)
		purse_add_lot(lots, DATEVAL_NOBEGIN, expiry_last_day(program->expiry, day), request->points);
	else
		purse_sub(lots, given);

	/* Lots are in order of their last day. */
	if (DATE_IS_NOEND(lots->lots[lots->nlots - 1].ends) &&
		holdings_inactive_end(program, receiver->last_activity, receiver->enrolled_at) < day)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points cannot expire before they are given"),
				 errdetail("Member \"%s\" of program \"%s\" has been inactive too long: points without a last day would lapse at once.",
						   text_to_cstring(receiver->ref), program->name),
				 errhint("Earning makes the member active again.")));
}

/* Write both entries, each with the other's number in it; answers the giver's. */
static EntryRow *
post_both(Store *store, const Program *program, MemberRow *giver, MemberRow *receiver,
		  const TransferRequest *request, text *source_key)
{
	Posting		giving;
	Posting		receiving;
	Purse		given;
	Purse		received;
	EntryRow	entry;
	EntryRow   *answer;
	int64		given_seq;
	int64		received_seq;

	posting_begin(&giving, program, giver);
	posting_bring_current(&giving, request->at);
	posting_begin(&receiving, program, receiver);
	posting_bring_current(&receiving, request->at);
	purse_init(&given);
	purse_init(&received);
	act_take(store, program, giver, request->points, request->at, request->at_given, &given);
	arriving_lots(program, receiver, request, &given, &received);
	given_seq = giver->seq + 1;
	received_seq = receiver->seq + 1;

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_TRANSFER;
	entry.source_id = SOURCE_API;
	entry.occurred_at = request->at;
	entry.note = request->note;

	entry.source_key = source_key;
	entry.context = counterpart_context("to_member_id", receiver->member_id, "to_entry", received_seq);
	answer = posting_add(&giving, &entry, &given);
	entry.source_key = transfer_received_key(giver->member_id, given_seq);
	entry.context = counterpart_context("from_member_id", giver->member_id, "from_entry", given_seq);
	(void) posting_add(&receiving, &entry, &received);

	posting_write(&giving, store);
	posting_write(&receiving, store);
	return answer;
}

/* transfer(from_member, to_member, points, reason, key, at, program) → posting */
Datum
loyalty_transfer(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Program    *program = config_program(config, text_argument(fcinfo, ARG_PROGRAM));
	TransferRequest request;
	text	   *source_key;
	Store	   *store;
	MemberRow  *giver;
	MemberRow  *receiver;
	EarlierAct	earlier;
	EntryRow   *given;

	read_request(fcinfo, &request);
	source_key = act_key(TRANSFER_KEYS, request.key);

	store = store_open(config, true);
	lock_both(config, store, program, &request, &giver, &receiver);
	if (act_find(store, giver->member_id, source_key, &earlier))
	{
		if (earlier.entry.points != -request.points ||
			(request.at_given && earlier.entry.occurred_at != request.at) ||
			!same_text(earlier.entry.note, request.note) ||
			!has_received(store, receiver->member_id, &earlier.entry))
			act_key_reused(request.key,
						   psprintf("It transferred %s points from member \"%s\" in entry " INT64_FORMAT " of his.",
									points_to_cstring(-earlier.entry.points), text_to_cstring(request.from),
									earlier.entry.seq));
		store_close(store);
		return act_repeated(fcinfo, program, giver, &earlier);
	}
	act_check_active(program, giver);
	act_check_active(program, receiver);
	check_number(program, request.points);
	check_cap(store, program, giver, &request);
	given = post_both(store, program, giver, receiver, &request, source_key);
	store_close(store);
	return act_posted(fcinfo, program, giver, given);
}
