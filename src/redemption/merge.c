/*
 * merge.c
 *		Two members who are one person, and how they are parted again.
 *
 * All that a member has goes to the other one, as a pair of entries, and his
 * refs lead there.  His ledger stays: a purchase of his is judged where its
 * entries are, whenever it changes, and what that comes to is passed on
 * (earning/holders.h).  So merging rewrites nothing, and can be undone: what went
 * comes back, as far as it is still there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "earning/passing.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/context_field.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "redemption/merge_follow.h"
#include "redemption/transfer.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_merge_members);
PG_FUNCTION_INFO_V1(loyalty_unmerge_members);

/* What is asked for, and what it takes. */
typedef struct Request
{
	Config	   *config;
	Program    *program;
	text	   *from;
	text	   *into;			/* NULL: who is parted */
	bool		partial;
	text	   *note;
	text	   *key;
	bool		at_given;
	TimestampTz at;
	Store	   *store;
	MemberRow  *from_row;
	MemberRow  *into_row;
	Merge		merge;
} Request;

/* LY027; the last two are errdetail's and errhint's. */
#define REFUSE(message, detail, hint) \
	ereport(ERROR, (errcode(ERRCODE_LOYALTY_MERGE), message, detail, hint))

/* Arguments from number "first" on: reason, key, at, program. */
static void
read_tail(FunctionCallInfo fcinfo, int first, Request *request)
{
	request->config = config_get();
	request->note = text_argument(fcinfo, first);
	request->key = text_argument(fcinfo, first + 1);
	(void) act_key(UNMERGE_KEYS, request->key);
	request->at_given = !PG_ARGISNULL(first + 2);
	request->at = act_time(fcinfo, first + 2);
	request->program = access_program(request->config, text_argument(fcinfo, first + 3), ACCESS_OPERATE);
}

/* Lock two members, each by his ref or, where that is NULL, by his number; either may not be there. */
static void
lock_two(Request *request, int64 from_id, text *from, int64 into_id, text *into)
{
	MemberRequest members[2];
	int			of_from = from_id <= into_id ? 0 : 1;

	memset(members, 0, sizeof(members));
	members[of_from].member_id = from_id;
	members[of_from].ref = from;
	members[1 - of_from].member_id = into_id;
	members[1 - of_from].ref = into;
	members_lock(request->config, request->store, request->program, members, 2);
	request->from_row = members[of_from].row;
	request->into_row = members[1 - of_from].row;
}

static void
consider_time(const EntryRow *entry, void *arg)
{
	TimestampTz *latest = arg;

	*latest = Max(*latest, Min(entry->occurred_at, entry->posted_at));
}

/*
 * All that they have moves, so it is not asked what they had at another time:
 * 22023 for one before something happened to either.
 */
static void
check_time(Request *request)
{
	TimestampTz latest = DT_NOBEGIN;
	Snapshot	snapshot;

	if (!request->at_given)
		return;
	snapshot = store_snapshot();
	store_begin_read(request->store, snapshot);
	store_visit_entries(request->store, request->from_row->member_id, ANY_SOURCE, NULL, consider_time, &latest);
	store_visit_entries(request->store, request->into_row->member_id, ANY_SOURCE, NULL, consider_time, &latest);
	store_end_read(request->store);
	UnregisterSnapshot(snapshot);
	if (request->at < latest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("members cannot be merged or parted before what they did last"),
				 errdetail("Their last entry is of %s, and \"at\" is %s.",
						   pstrdup(timestamptz_to_str(latest)), pstrdup(timestamptz_to_str(request->at))),
				 errhint("Leave out \"at\".")));
}

static void
begin_move(Request *request, Move *move, MemberRow *from, MemberRow *into, const char *keys)
{
	memset(move, 0, sizeof(*move));
	move->config = request->config;
	move->program = request->program;
	move->store = request->store;
	move->from = from;
	move->into = into;
	move->keys = keys;
	move->key = request->key;
	move->note = request->note;
	move->at = request->at;
	move->arg = request;
	move_begin(move);
}

/*
 * Merging
 */

/* Of two last days of something the later one, where it has one. */
static bool
is_later(DateADT a, DateADT b)
{
	return !DATE_IS_NOEND(b) && a > b;
}

/* The tier that the member has reached himself. */
static text *
own_tier(const MemberRow *member)
{
	return member->tier_floor != NULL ? member->tier_own : member->tier;
}

/* The tier that the one who goes has reached himself, if it is higher than that of who stays, or held longer. */
static void
give_tier(Request *request, Standing *standing)
{
	const MemberRow *from = request->from_row;
	MemberRow  *into = request->into_row;
	int			tier = tier_by_name(standing->tiers, own_tier(from));
	int			own = standing_own(standing);

	if (tier == NO_TIER || tier < own || tier_is_everyones(standing->program, standing->tiers, tier) ||
		(tier == own && !is_later(from->tier_until, into->tier_until)))
		return;
	standing_set_own(standing, tier, from->tier_until, Max(request->at, standing_last_change(standing)), TIER_MERGED);
	into->next_expiry = Min(into->next_expiry, from->tier_until);
}

static void
give_floor(Request *request, Standing *standing)
{
	const MemberRow *from = request->from_row;
	MemberRow  *into = request->into_row;
	Merge	   *merge = &request->merge;
	int			given = tier_by_name(standing->tiers, from->tier_floor);
	int			floor = tier_by_name(standing->tiers, into->tier_floor);

	if (given == NO_TIER || given < floor ||
		(given == floor && !is_later(from->tier_floor_until, into->tier_floor_until)))
		return;
	merge->gave_floor = from->tier_floor;
	merge->had_floor = into->tier_floor;
	merge->had_floor_until = into->tier_floor_until;
	standing_set_floor(standing, given, from->tier_floor_until, Max(request->at, standing_last_change(standing)),
					   TIER_MANUAL, cstring_to_text(psprintf("merged from member \"%s\"", text_to_cstring(from->ref))));
	into->next_expiry = Min(into->next_expiry, from->tier_floor_until);
}

static void
give_tiers(Move *move, Standing *standing)
{
	give_tier(move->arg, standing);
	give_floor(move->arg, standing);
}

/* Whether the member stands merged into this one, perhaps by way of others; LY027 when it is somebody else. */
static bool
stands_merged(Request *request)
{
	Merge		merge;
	MemberIds	way;

	if (!merge_of_ref(request->config, request->program, request->from, &merge))
		return false;
	merge_way(request->config, merge.into_id, &way);
	if (!member_ids_have(&way, request->into_row->member_id))
		REFUSE(errmsg("member \"%s\" is merged into another one already", text_to_cstring(request->from)),
			   errdetail("Since then \"%s\" has meant member \"%s\" of program \"%s\".", text_to_cstring(request->from),
						 text_to_cstring(request->from_row->ref), request->program->name),
			   errhint("Part them first, with loyalty.unmerge_members."));
	return true;
}

/*
 * Whether the key has merged them, be it undone since, and be the other one
 * merged himself; LY006 when it was into somebody else.
 */
static bool
was_merged(Request *request)
{
	text	   *key = act_key(MERGE_KEYS, request->key);
	int64		member_id = request->from_row->member_id;
	EarlierAct	earlier;
	MemberIds	family;
	Merge		merge;

	if (key == NULL)
		return false;
	/* Where he stands merged, his ref leads to the other one. */
	if (merge_of_ref(request->config, request->program, request->from, &merge))
		member_id = merge.member_id;
	if (!act_find_in(request->store, member_id, key, &earlier))
		return false;
	merge_family(request->config, request->into_row->member_id, &family);
	if (!member_ids_have(&family, merge_by(request->config, member_id, earlier.entry.seq)))
		act_key_reused(request->key, psprintf("It merged member \"%s\" into another one.",
											  text_to_cstring(request->from)));
	return true;
}

static void
check_merge(Request *request)
{
	const Program *program = request->program;

	if (request->from_row->member_id == request->into_row->member_id)
		REFUSE(errmsg("a member cannot be merged with himself"),
			   errdetail("Both \"%s\" and \"%s\" mean member \"%s\" of program \"%s\".", text_to_cstring(request->from),
						 text_to_cstring(request->into), text_to_cstring(request->into_row->ref), program->name),
			   errhint("Name two members."));
	act_check_active(program, request->from_row);
	act_check_active(program, request->into_row);
	members_check_merge(request->config, program, request->from_row, request->into_row);
	check_time(request);
}

static void
merge(Request *request)
{
	MemberRow  *from = request->from_row;
	MemberRow  *into = request->into_row;
	Merge	   *merge = &request->merge;
	Move		move;

	merge->member_id = from->member_id;
	merge->into_id = into->member_id;
	merge->program_id = from->program_id;
	merge->ref = from->ref;
	merge->enrolled_at = DT_NOEND;
	merge->had_tier_until = DATEVAL_NOEND;
	merge->had_floor_until = DATEVAL_NOEND;
	merge->had_tier = own_tier(into);
	merge->had_tier_until = into->tier_until;
	begin_move(request, &move, from, into, MERGE_KEYS);
	move_everything(&move);
	move.received = give_tiers;
	from->status = MEMBER_MERGED;
	if (from->enrolled_at < into->enrolled_at)
	{
		merge->enrolled_at = into->enrolled_at;
		into->enrolled_at = from->enrolled_at;
	}
	move_post(&move);
	merge->seq = move.given_seq;
	/* Be it his, or reached by what both have done. */
	if (!same_text(own_tier(into), merge->had_tier) || into->tier_until != merge->had_tier_until)
		merge->gave_tier = own_tier(into);
	merge->refs = merge_lead_on(request->config, request->program, from->member_id, from->ref, into->member_id);
	merge_write(request->config, merge, move.received_seq, request->at);
	members_merged(request->config, request->program, from, into, request->at);
}

/* merge_members(from_member, into_member, reason, key, at, program) */
Datum
loyalty_merge_members(PG_FUNCTION_ARGS)
{
	Request		request;

	memset(&request, 0, sizeof(request));
	request.from = member_argument(fcinfo, 0);
	request.into = member_argument(fcinfo, 1);
	read_tail(fcinfo, 2, &request);
	request.store = store_open(request.config, true);
	lock_two(&request, member_resolve(request.config, request.program, request.from), request.from,
			 member_resolve(request.config, request.program, request.into), request.into);
	if (request.from_row == NULL)
		member_unknown(request.program, request.from);
	if (request.into_row == NULL)
		member_unknown(request.program, request.into);
	if (!was_merged(&request) && !stands_merged(&request))
	{
		check_merge(&request);
		merge(&request);
	}
	store_close(request.store);
	PG_RETURN_VOID();
}

/*
 * Parting
 */

/* What has moved since the merge, both ways taken together. */
typedef struct Sum
{
	const Merge *merge;
	char	   *lent;			/* source_key of what came back begins so */
	Purse		lots;
	Moved		moved;
} Sum;

static bool
begins_with(const text *key, const char *prefix)
{
	return VARSIZE_ANY_EXHDR(key) >= strlen(prefix) && memcmp(VARDATA_ANY(key), prefix, strlen(prefix)) == 0;
}

static void
add_moved(const EntryRow *entry, void *arg)
{
	Sum		   *sum = arg;
	Purse		lots;
	Tally		tally;
	Points		lifetime;
	TimestampTz active;

	if (entry->seq < sum->merge->seq || strcmp(entry->kind, KIND_TRANSFER) != 0 ||
		(!moved_by_merge(entry->source_key) && !begins_with(entry->source_key, sum->lent)))
		return;
	purse_init(&lots);
	purse_read(&lots, entry->lots);
	purse_sub(&sum->lots, &lots);
	tally_init(&tally);
	imported_add_tally(entry, &tally);
	tally_sub(&sum->moved.tally, &tally);
	moved_count(entry, &lifetime, &active);
	sum->moved.lifetime = points_sub(sum->moved.lifetime, lifetime);
}

/* Read it from the entries of the one who was merged. */
static void
add_up_moved(Request *request, Sum *sum)
{
	Snapshot	snapshot = store_snapshot();

	memset(sum, 0, sizeof(*sum));
	sum->merge = &request->merge;
	sum->lent = psprintf(TRANSFER_RECEIVED INT64_FORMAT "#", request->merge.into_id);
	purse_init(&sum->lots);
	tally_init(&sum->moved.tally);
	store_begin_read(request->store, snapshot);
	store_visit_entries(request->store, request->merge.member_id, ANY_SOURCE, NULL, add_moved, sum);
	store_end_read(request->store);
	UnregisterSnapshot(snapshot);
}

/*
 * The lots that come back: of what was brought, and has not run out since, in
 * its own life spans where these are there, else from what is soonest to expire.
 * A debt comes back as far as there is one: what was paid off stays so.  LY001
 * when less is available, unless a part is wanted.
 */
static void
returning_lots(Request *request, Move *move, const Purse *brought)
{
	DateADT		day = calendar_day(request->at, request->program->zone);
	const Purse *purse = &move->from->purse;
	Purse		net;
	Purse		settled;
	Purse		given;
	Purse		taken;
	Points		wanted;
	Points		debt;
	int			i;

	purse_init(&net);
	purse_init(&settled);
	purse_init(&given);
	purse_init(&taken);
	/* What returns took of the other one's own lots is owed to him. */
	for (i = 0; i < brought->nlots; i++)
		if (brought->lots[i].points > 0)
			purse_add_lot(&net, brought->lots[i].starts, brought->lots[i].ends, brought->lots[i].points);
		else
			purse_add_lot(&net, DATEVAL_NOBEGIN, DATEVAL_NOEND, brought->lots[i].points);
	purse_outstanding(&net, day, &settled);
	for (i = 0; i < settled.nlots; i++)
		if (settled.lots[i].points > 0)
			purse_add_lot(&given, settled.lots[i].starts, settled.lots[i].ends, settled.lots[i].points);
	wanted = purse_total(&given);
	if (wanted > 0)
		posting_take_back_lots(&move->giving, CLAWBACK_AVAILABLE, wanted, &given, day, &taken);
	if (-purse_total(&taken) < wanted && !request->partial)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("insufficient points"),
				 errdetail("Member \"%s\" of program \"%s\" has %s of the %s points left that \"%s\" brought.",
						   text_to_cstring(move->from->ref), request->program->name,
						   points_to_cstring(-purse_total(&taken)), points_to_cstring(wanted),
						   text_to_cstring(request->from)),
				 errhint("With partial => true as many come back as there are.")));
	purse_sub(&move->lots, &taken);
	debt = Min(-Min(purse_lot(&settled, DATEVAL_NOBEGIN, DATEVAL_NOEND), 0),
			   -Min(purse_lot(purse, DATEVAL_NOBEGIN, DATEVAL_NOEND), 0));
	if (debt > 0)
		purse_add_lot(&move->lots, DATEVAL_NOBEGIN, DATEVAL_NOEND, -debt);
}

/*
 * Who stayed has the tier and the floor again that he had, unless they have
 * changed since; what his own figures reach by now is then counted.
 */
static void
take_tiers(Move *move, Standing *standing)
{
	const Request *request = move->arg;
	const Merge *merge = &request->merge;
	MemberRow  *into = move->from;
	TimestampTz at = Max(request->at, standing_last_change(standing));
	int			had = tier_by_name(standing->tiers, merge->had_tier);

	if (merge->gave_tier != NULL && same_text(own_tier(into), merge->gave_tier) && (had != NO_TIER || merge->had_tier == NULL))
		standing_set_own(standing, had, merge->had_tier_until, at, TIER_MERGED);
	had = tier_by_name(standing->tiers, merge->had_floor);
	if (merge->gave_floor != NULL && same_text(into->tier_floor, merge->gave_floor))
		standing_set_floor(standing, had, had == NO_TIER ? DATEVAL_NOEND : merge->had_floor_until, at, TIER_MANUAL,
						   cstring_to_text(psprintf("parted from member \"%s\"", text_to_cstring(merge->ref))));
	into->next_expiry = Min(into->next_expiry, calendar_day(request->at, request->program->zone) - 1);
}

static void
unmerge(Request *request)
{
	MemberRow  *from = request->from_row;
	MemberRow  *into = request->into_row;
	Move		move;
	Sum			sum;

	add_up_moved(request, &sum);
	from->status = MEMBER_ACTIVE;
	/* His tier has not been reviewed meanwhile. */
	from->next_expiry = Min(from->next_expiry, calendar_day(request->at, request->program->zone) - 1);
	if (!TIMESTAMP_IS_NOEND(request->merge.enrolled_at) && into->enrolled_at == from->enrolled_at)
		into->enrolled_at = request->merge.enrolled_at;
	begin_move(request, &move, into, from, UNMERGE_KEYS);
	returning_lots(request, &move, &sum.lots);
	move.moved = sum.moved;
	/* He was active as the other one. */
	move.moved.last_activity = into->last_activity;
	move.given = take_tiers;
	move_post(&move);
	merge_lead_back(request->config, request->program, &request->merge);
	merge_undo(request->config, &request->merge, move.received_seq, request->at);
	members_unmerged(request->config, request->program, from, into, request->at);
}

/* LY027 for who was never merged; who was, and was parted since, needs nothing. */
static void
check_parted(Request *request)
{
	MemberRequest member;

	member_lock(request->config, request->store, request->program, request->from, false, 0, &member);
	if (member.row == NULL)
		member_unknown(request->program, request->from);
	if (merge_by(request->config, member.row->member_id, 0) == 0)
		REFUSE(errmsg("member \"%s\" is not merged", text_to_cstring(request->from)),
			   errdetail("Member \"%s\" of program \"%s\" has never been merged into another one.",
						 text_to_cstring(request->from), request->program->name),
			   errhint("loyalty.member_merge lists who was."));
}

/* Whether an entry gave something back to the member who was merged. */
static bool
gave_back_to(const EntryRow *entry, int64 member_id)
{
	JsonbValue	other;

	return !context_field_of(entry->context, "to_member_id", jbvNumeric, &other) ||
		DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(other.val.numeric))) == member_id;
}

/*
 * Whether the key has parted them before, or him from somebody else into whom
 * he was merged then; LY006 when it has parted others.
 */
static bool
was_parted(Request *request)
{
	int64		member_id = request->merge.member_id;
	text	   *key = act_key(UNMERGE_KEYS, request->key);
	EarlierAct	earlier;
	MemberIds	family;
	int			i;

	if (key == NULL)
		return false;
	if (act_find_in(request->store, request->into_row->member_id, key, &earlier))
	{
		if (!gave_back_to(&earlier.entry, member_id))
			act_key_reused(request->key, psprintf("It parted another member from \"%s\".",
												  text_to_cstring(request->into_row->ref)));
		return true;
	}
	merge_family(request->config, member_id, &family);
	for (i = 0; i < family.count; i++)
		if (act_find_in(request->store, family.ids[i], key, &earlier) && gave_back_to(&earlier.entry, member_id))
			return true;
	return false;
}

/* unmerge_members(from_member, partial, reason, key, at, program) */
Datum
loyalty_unmerge_members(PG_FUNCTION_ARGS)
{
	Request		request;
	Merge		now;

	memset(&request, 0, sizeof(request));
	request.from = member_argument(fcinfo, 0);
	request.partial = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	read_tail(fcinfo, 2, &request);
	request.store = store_open(request.config, true);
	if (!merge_of_ref(request.config, request.program, request.from, &request.merge))
	{
		check_parted(&request);
		store_close(request.store);
		PG_RETURN_VOID();
	}
	lock_two(&request, request.merge.member_id, NULL, request.merge.into_id, NULL);
	/* Somebody may have been faster. */
	if (!merge_of(request.config, request.merge.member_id, &now) || now.seq != request.merge.seq)
	{
		store_close(request.store);
		PG_RETURN_VOID();
	}
	if (!was_parted(&request))
	{
		if (request.into_row->status == MEMBER_MERGED)
			REFUSE(errmsg("the member into whom \"%s\" was merged has been merged himself", text_to_cstring(request.from)),
				   errdetail("Member \"%s\" of program \"%s\" is merged into another one.",
							 text_to_cstring(request.into_row->ref), request.program->name),
				   errhint("Part that one first, with loyalty.unmerge_members."));
		check_time(&request);
		unmerge(&request);
	}
	store_close(request.store);
	PG_RETURN_VOID();
}
