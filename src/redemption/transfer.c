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

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/context_field.h"
#include "ledger/holdings.h"
#include "ledger/imported.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "ledger/posting.h"
#include "ledger/velocity.h"
#include "loyalty.h"
#include "redemption/transfer.h"
#include "redemption/undone.h"
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

/* "transfer from 42#7" */
static text *
link_key(const char *direction, int64 member_id, int64 seq)
{
	return cstring_to_text(psprintf("%s" INT64_FORMAT "#" INT64_FORMAT, direction, member_id, seq));
}

text *
transfer_received_key(int64 giver_id, int64 seq)
{
	return link_key(TRANSFER_RECEIVED, giver_id, seq);
}

static void
note_found(const EntryRow *entry, void *arg)
{
	*(bool *) arg = true;
}

/* Whether the member got what was given by the entry; merges may have led him to another ledger since. */
static bool
has_received(Config *config, const Program *program, Store *store, int64 receiver_id, const EntryRow *given)
{
	text	   *key = transfer_received_key(given->member_id, given->seq);
	Snapshot	snapshot = store_snapshot();
	MemberIds	ledgers = {0};
	bool		found = false;
	int			i;

	if (program->has_merges)
		merge_family(config, receiver_id, &ledgers);
	else
		member_ids_add(&ledgers, receiver_id);
	store_begin_read(store, snapshot);
	for (i = 0; i < ledgers.count && !found; i++)
		store_visit_entries(store, ledgers.ids[i], SOURCE_API, key, note_found, &found);
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

/* Points of one of his entries. */
typedef struct Gift
{
	int64		seq;
	Points		points;
} Gift;

/* What a member gave in a period, and what of anything he gave was given back. */
typedef struct Giving
{
	const Program *program;
	DateADT		period;			/* its first day */
	List	   *gifts;			/* of Gift */
	List	   *returns;		/* likewise: seq of the entry that was cancelled */
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
	JsonbValue	number;
	bool		cancels;
	Gift	   *gift;

	/* What a merge moved is no gift, on the side that gets it neither: a debt. */
	if (strcmp(entry->kind, KIND_TRANSFER) != 0 || moved_by_merge(entry->source_key) ||
		(entry->points < 0 && is_received(entry->source_key)))
		return;
	cancels = context_field_of(entry->context, FIELD_ENTRY, jbvNumeric, &number);
	if (cancels ? entry->points <= 0
		: entry->points >= 0 || cap_period(giving->program, entry->occurred_at) != giving->period)
		return;
	gift = palloc(sizeof(Gift));
	gift->seq = cancels ? DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number.val.numeric)))
		: entry->seq;
	gift->points = entry->points;
	if (cancels)
		giving->returns = lappend(giving->returns, gift);
	else
		giving->gifts = lappend(giving->gifts, gift);
}

/* What he gave in the period and has not got back. */
static Points
total_given(const Giving *giving)
{
	Points		total = 0;
	ListCell   *cell;

	foreach(cell, giving->gifts)
	{
		const Gift *gift = lfirst(cell);
		Points		given = -gift->points;
		ListCell   *back;

		foreach(back, giving->returns)
			if (((const Gift *) lfirst(back))->seq == gift->seq)
				given -= ((const Gift *) lfirst(back))->points;
		/* What goes round can be more than there ever was. */
		if (pg_add_s64_overflow(total, given, &total))
			return POINTS_MAX;
	}
	return total;
}

/* What the giver has given away in the period is read from his entries, so nothing else has to be kept in step. */
static void
check_cap(Store *store, const Program *program, const MemberRow *giver, const TransferRequest *request)
{
	Giving		giving = {program, cap_period(program, request->at), NIL, NIL};
	Points		given;
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
	given = total_given(&giving);
	if (request->points <= cap - given)
		return;
	TERMS_ERROR("too many points to be given away",
				"Program \"%s\" lets a member give away %s points%s; member \"%s\" has given %s%s, %s were asked for.",
				program->name, points_to_cstring(cap),
				ever ? " ever" : psprintf(" a %s", calendar_period_name(program->transfer_cap_period)),
				text_to_cstring(giver->ref), points_to_cstring(given),
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

/*
 * Writing
 */

/* {"to_entry": 7, "to_member_id": 42}, or the same with "from"; and what it cancels. */
static Jsonb *
side_context(const TransferSide *side, const char *member_field, int64 member_id,
			 const char *entry_field, int64 seq)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_numeric(&state, member_field, int64_to_numeric(member_id));
	act_push_numeric(&state, entry_field, int64_to_numeric(seq));
	if (side->cancels != 0)
		act_push_numeric(&state, FIELD_ENTRY, int64_to_numeric(side->cancels));
	if (side->asked != 0)
		act_push_points(&state, FIELD_POINTS, side->asked);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

void
transfer_post(Store *store, TransferSide *giving, TransferSide *getting, TimestampTz at, text *note)
{
	int64		giver_id = giving->member->member_id;
	int64		getter_id = getting->member->member_id;
	int64		given_seq = giving->member->seq + 1;
	int64		got_seq = getting->member->seq + 1;
	EntryRow	entry;

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_TRANSFER;
	entry.source_id = SOURCE_API;
	entry.occurred_at = at;
	entry.note = note;

	entry.source_key = getting->source_key == NULL ? giving->source_key
		: link_key(TRANSFER_GIVEN, getter_id, got_seq);
	entry.context = side_context(giving, TRANSFER_TO_MEMBER, getter_id, TRANSFER_TO_ENTRY, got_seq);
	giving->entry = *posting_add(&giving->posting, &entry, &giving->lots);

	entry.source_key = getting->source_key != NULL ? getting->source_key
		: transfer_received_key(giver_id, given_seq);
	entry.context = side_context(getting, TRANSFER_FROM_MEMBER, giver_id, TRANSFER_FROM_ENTRY, given_seq);
	if (getting->cancels == 0)
		getting->entry = *posting_add(&getting->posting, &entry, &getting->lots);
	else
	{
		getting->entry = *posting_add_exact(&getting->posting, &entry, &getting->lots);
		posting_even_out(&getting->posting, at);
	}

	posting_write(&giving->posting, store);
	posting_write(&getting->posting, store);
}

int64
transfer_counterpart(const EntryRow *entry)
{
	JsonbValue	number;

	if (!context_field_of(entry->context, TRANSFER_TO_ENTRY, jbvNumeric, &number) &&
		!context_field_of(entry->context, TRANSFER_FROM_ENTRY, jbvNumeric, &number))
		return 0;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number.val.numeric)));
}

/* Take the points from the giver, soonest to expire first. */
static void
give(Store *store, const Program *program, const TransferRequest *request, text *source_key,
	 TransferSide *giving, TransferSide *getting)
{
	posting_begin(&giving->posting, program, giving->member);
	posting_bring_current(&giving->posting, request->at);
	posting_begin(&getting->posting, program, getting->member);
	posting_bring_current(&getting->posting, request->at);
	purse_init(&giving->lots);
	purse_init(&getting->lots);
	act_take(store, program, giving->member, request->points, request->at, request->at_given, NULL, &giving->lots);
	arriving_lots(program, getting->member, request, &giving->lots, &getting->lots);
	giving->source_key = source_key;
	transfer_post(store, giving, getting, request->at, request->note);
}

/* transfer(from_member, to_member, points, reason, key, at, program) → posting */
Datum
loyalty_transfer(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Program    *program;
	TransferRequest request;
	text	   *source_key;
	Store	   *store;
	MemberRow  *giver;
	MemberRow  *receiver;
	EarlierAct	earlier;
	TransferSide giving = {0};
	TransferSide getting = {0};

	read_request(fcinfo, &request);
	program = access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, request.from);
	source_key = act_key(TRANSFER_KEYS, request.key);

	store = store_open(config, true);
	lock_both(config, store, program, &request, &giver, &receiver);
	if (act_find(config, program, store, request.from, giver, source_key, &earlier))
	{
		if (earlier.entry.points != -request.points ||
			(request.at_given && earlier.entry.occurred_at != request.at) ||
			!same_text(earlier.entry.note, request.note) ||
			!has_received(config, program, store, receiver->member_id, &earlier.entry))
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
	velocity_check(config, program, store, giver, VELOCITY_TRANSFER, request.points, receiver->member_id);
	giving.member = giver;
	getting.member = receiver;
	give(store, program, &request, source_key, &giving, &getting);
	store_close(store);
	return act_posted(fcinfo, program, giver, &giving.entry);
}
