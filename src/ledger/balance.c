/*
 * balance.c
 *		What a member has, had and will have.
 *
 * Now and the future are read from the member's row, the past from his
 * entries; both are then judged on the day in question, so the answer is right
 * whether or not maintenance has run.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/balance.h"
#include "ledger/holdings.h"
#include "ledger/households.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "ledger/unwritten.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_find_member);
PG_FUNCTION_INFO_V1(loyalty_balance);
PG_FUNCTION_INFO_V1(loyalty_member_lots);
PG_FUNCTION_INFO_V1(loyalty_outstanding);
PG_FUNCTION_INFO_V1(loyalty_held_ends);

typedef struct Replay
{
	TimestampTz until;
	int64		last_seq;
	MemberState *state;
} Replay;

static void
replay_entry(const EntryRow *entry, void *arg)
{
	Replay	   *replay = arg;
	MemberState *state = replay->state;
	Purse		lots;

	if (entry->occurred_at > replay->until || entry->seq > replay->last_seq)
		return;
	purse_init(&lots);
	purse_read(&lots, entry->lots);
	purse_add(&state->purse, &lots);
	posting_count(entry, &state->lifetime, &state->held, &state->last_activity);
}

void
balance_replay(Store *store, int64 member_id, TimestampTz until, int64 last_seq, MemberState *state)
{
	Replay		replay = {until, last_seq, state};

	purse_init(&state->purse);
	state->lifetime = 0;
	state->held = 0;
	state->last_activity = DT_NOBEGIN;
	store_visit_entries(store, member_id, ANY_SOURCE, NULL, replay_entry, &replay);
}

void
tier_at_begin(TierAt *then, TimestampTz at, text *tier)
{
	then->at = at;
	then->since = DT_NOBEGIN;
	then->any = false;
	then->tier = tier;
}

static text *
copy_name(const text *tier)
{
	return tier == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(tier));
}

void
tier_at_consider(const TierChangeRow *change, void *arg)
{
	TierAt	   *then = arg;

	/* What he had before the first. */
	if (!then->any)
		then->tier = copy_name(change->from_tier);
	then->any = true;
	/* One that kept a tier does not say what it was: it may have been written before a late rise. */
	if (change->at > then->at || change->at < then->since || same_text(change->from_tier, change->to_tier))
		return;
	then->since = change->at;
	then->tier = copy_name(change->to_tier);
}

text *
tier_at(Store *store, const Program *program, const MemberRow *member, TimestampTz at)
{
	TierAt		then;

	tier_at_begin(&then, at, member->tier);
	if (at < member->tier_since && member->tier_changes > 0)
		store_visit_tier_changes(store, member->member_id, tier_at_consider, &then);
	return then.tier != NULL ? then.tier : program->base_tier;
}

/*
 * What could still be taken in the past
 */

/* Entries after a time, in the order in which they occurred. */
typedef struct Later
{
	TimestampTz since;
	int			count;
	int			capacity;
	EntryRow   *entries;
} Later;

static void
remember_later(const EntryRow *entry, void *arg)
{
	Later	   *later = arg;
	EntryRow   *copy;

	if (entry->occurred_at <= later->since)
		return;
	if (later->count == later->capacity)
	{
		later->capacity = Max(16, later->capacity * 2);
		later->entries = later->entries == NULL ? palloc(later->capacity * sizeof(EntryRow))
			: repalloc(later->entries, later->capacity * sizeof(EntryRow));
	}
	copy = &later->entries[later->count++];
	*copy = *entry;
	copy->kind = pstrdup(entry->kind);
	copy->lots = PointerGetDatum(PG_DETOAST_DATUM_COPY(entry->lots));
}

static int
compare_occurred(const void *a, const void *b)
{
	const EntryRow *x = a;
	const EntryRow *y = b;

	if (x->occurred_at != y->occurred_at)
		return x->occurred_at < y->occurred_at ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static Points
state_available(const Program *program, const MemberState *state, TimestampTz enrolled_at, TimestampTz at)
{
	Holdings	holdings;

	holdings_read(&state->purse, holdings_inactive_end(program, state->last_activity, enrolled_at),
				  calendar_day(at, program->zone), &holdings);
	return holdings.available;
}

Points
balance_least_since(Store *store, const Program *program, const MemberRow *member,
					TimestampTz since, const List *unwritten, MemberState *then)
{
	Later		later = {since, 0, 0, NULL};
	MemberState state;
	Points		least;
	const ListCell *cell;
	int			i;

	balance_replay(store, member->member_id, since, PG_INT64_MAX, then);
	store_visit_entries(store, member->member_id, ANY_SOURCE, NULL, remember_later, &later);
	foreach(cell, unwritten)
	{
		const EntryRow *entry = lfirst(cell);

		replay_entry(entry, &(Replay) {since, PG_INT64_MAX, then});
		remember_later(entry, &later);
	}
	least = state_available(program, then, member->enrolled_at, since);
	if (later.count == 0)
		return least;
	qsort(later.entries, later.count, sizeof(EntryRow), compare_occurred);
	state = *then;
	purse_init(&state.purse);
	purse_copy(&state.purse, &then->purse);
	for (i = 0; i < later.count; i++)
	{
		const EntryRow *entry = &later.entries[i];
		Purse		lots;

		CHECK_FOR_INTERRUPTS();
		purse_init(&lots);
		purse_read(&lots, entry->lots);
		purse_add(&state.purse, &lots);
		posting_count(entry, &state.lifetime, &state.held, &state.last_activity);
		/* What happened at one time is one change. */
		if (i + 1 == later.count || later.entries[i + 1].occurred_at != entry->occurred_at)
			least = Min(least, state_available(program, &state, member->enrolled_at,
											   Min(entry->occurred_at, entry->posted_at)));
	}
	return least;
}

/* How a member stands at the time that is asked about; what awaits confirmation is added up. */
static void
read_state(Reading *reading, Store *store, const MemberRow *row, MemberState *state)
{
	bool		past = reading->at < GetCurrentTransactionStartTimestamp();

	if (past)
		balance_replay(store, row->member_id, reading->at, PG_INT64_MAX, state);
	else
	{
		state->purse = row->purse;
		state->lifetime = row->lifetime;
		state->held = row->held;
		state->last_activity = row->last_activity;
	}
	unwritten_apply(reading->program, row,
					unwritten_list(reading->config, store, GetActiveSnapshot(), reading->program, row,
								   reading->at, past, &reading->awaiting),
					state);
}

void
balance_read_member(FunctionCallInfo fcinfo, int at_arg, int program_arg, Reading *reading)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Store	   *store;
	Snapshot	snapshot;
	MemberRow  *row = &reading->row;

	reading->config = config_get();
	reading->ref = member_argument(fcinfo, 0);
	reading->program = access_program_for(reading->config, text_argument(fcinfo, program_arg), ACCESS_READ, reading->ref);
	reading->at = (at_arg < 0 || PG_ARGISNULL(at_arg)) ? now : PG_GETARG_TIMESTAMPTZ(at_arg);
	reading->member_id = member_resolve(reading->config, reading->program, reading->ref);
	purse_init(&reading->state.purse);
	reading->state.lifetime = 0;
	reading->state.held = 0;
	reading->state.last_activity = DT_NOBEGIN;
	reading->tier = reading->program->base_tier;
	reading->awaiting = 0;

	store = store_open(reading->config, false);
	snapshot = GetActiveSnapshot();
	store_begin_read(store, snapshot);
	reading->known = store_find_member(store, reading->member_id, row) &&
		member_is(reading->config, reading->program, row, reading->ref);
	if (reading->known)
	{
		reading->tier = tier_at(store, reading->program, row, reading->at);
		read_state(reading, store, row, &reading->state);
	}
	store_end_read(store);
	store_close(store);

	if (!reading->known && !reading->program->auto_enroll)
		member_unknown(reading->program, reading->ref);
}

/* find_member(member, program) → bigint */
Datum
loyalty_find_member(PG_FUNCTION_ARGS)
{
	Reading		reading;

	balance_read_member(fcinfo, -1, 1, &reading);
	if (!reading.known)
		PG_RETURN_NULL();
	PG_RETURN_INT64(reading.member_id);
}

/* Add what one of his household has. */
static void
add_member(Reading *reading, Store *store, int64 member_id, Holdings *holdings)
{
	MemberRow	row;
	MemberState state;
	Holdings	his;

	if (!store_find_member(store, member_id, &row) || row.status != MEMBER_ACTIVE)
		return;
	read_state(reading, store, &row, &state);
	holdings_read(&state.purse, holdings_inactive_end(reading->program, state.last_activity, row.enrolled_at),
				  calendar_day(reading->at, reading->program->zone), &his);
	holdings->available = points_add(holdings->available, his.available);
	holdings->pending = points_add(holdings->pending, his.pending);
	reading->state.held = points_add(reading->state.held, state.held);
	if (his.next_expiry == holdings->next_expiry)
		holdings->next_expiry_points = points_add(holdings->next_expiry_points, his.next_expiry_points);
	else if (his.next_expiry < holdings->next_expiry)
	{
		holdings->next_expiry = his.next_expiry;
		holdings->next_expiry_points = his.next_expiry_points;
	}
}

/* Add what the others of his household have, who were in it with him at the time. */
static void
add_household(Reading *reading, Holdings *holdings)
{
	bool		past = reading->at < GetCurrentTransactionStartTimestamp();
	Household	household;
	Store	   *store;
	int			i;

	if (!reading->program->has_households || !reading->known ||
		!household_of(reading->config, GetActiveSnapshot(), reading->member_id, &household) ||
		(past && household_member(&household, reading->member_id)->joined_at > reading->at))
		return;
	store = store_open(reading->config, false);
	store_begin_read(store, GetActiveSnapshot());
	for (i = 0; i < household.nmembers; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (household.members[i].member_id != reading->member_id &&
			(!past || household.members[i].joined_at <= reading->at))
			add_member(reading, store, household.members[i].member_id, holdings);
	}
	store_end_read(store);
	store_close(store);
}

/* balance(member, at, program) → one row */
Datum
loyalty_balance(PG_FUNCTION_ARGS)
{
	Reading		reading;
	Holdings	holdings;
	TupleDesc	desc;
	Datum		values[8];
	bool		nulls[8] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	balance_read_member(fcinfo, 1, 2, &reading);
	memset(&holdings, 0, sizeof(holdings));
	holdings.next_expiry = DATEVAL_NOEND;
	if (reading.known)
		holdings_read(&reading.state.purse,
					  holdings_inactive_end(reading.program, reading.state.last_activity, reading.row.enrolled_at),
					  calendar_day(reading.at, reading.program->zone), &holdings);
	add_household(&reading, &holdings);

	values[0] = PointsGetDatum(Max(holdings.available, 0));
	values[1] = PointsGetDatum(points_add(holdings.pending, reading.awaiting));
	values[2] = PointsGetDatum(reading.state.held);
	values[3] = PointsGetDatum(Max(-holdings.available, 0));
	values[4] = PointsGetDatum(reading.state.lifetime);
	nulls[5] = reading.tier == NULL;
	values[5] = PointerGetDatum(reading.tier);
	values[6] = DateADTGetDatum(holdings.next_expiry);
	nulls[6] = DATE_IS_NOEND(holdings.next_expiry);
	values[7] = PointsGetDatum(holdings.next_expiry_points);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* lots(member, at, program) → setof (points, starts, ends) */
Datum
loyalty_member_lots(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *result = result_begin(fcinfo, &desc);
	Reading		reading;
	Purse		settled;
	Purse		lots;
	DateADT		day;
	int			i;

	balance_read_member(fcinfo, 1, 2, &reading);
	if (!reading.known)
		PG_RETURN_NULL();
	day = calendar_day(reading.at, reading.program->zone);
	purse_init(&settled);
	purse_init(&lots);
	holdings_settle(&reading.state.purse,
					holdings_inactive_end(reading.program, reading.state.last_activity, reading.row.enrolled_at),
					day, &settled);
	purse_outstanding(&settled, day, &lots);
	for (i = 0; i < lots.nlots; i++)
	{
		const Lot  *lot = &lots.lots[i];
		Datum		values[3] = {PointsGetDatum(lot->points), DateADTGetDatum(lot->starts), DateADTGetDatum(lot->ends)};
		bool		nulls[3] = {false, DATE_IS_NOBEGIN(lot->starts) || lot->starts <= day, false};

		tuplestore_putvalues(result, desc, values, nulls);
	}
	PG_RETURN_NULL();
}

/*
 * The arguments purse, program_id, last_activity, enrolled_at and at: the purse
 * as it stands on the day.  False when there is nothing to be answered.
 */
static bool
settled_arguments(FunctionCallInfo fcinfo, Purse *settled, DateADT *day)
{
	Config	   *config = config_get();
	Program    *program;
	Purse		purse;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		return false;
	program = config_program_by_id(config, PG_GETARG_INT32(1));
	if (program == NULL || !access_sees(config, program->program_id))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program %d does not exist", PG_GETARG_INT32(1))));
	purse_init(&purse);
	purse_read(&purse, PG_GETARG_DATUM(0));
	*day = calendar_day(PG_GETARG_TIMESTAMPTZ(4), program->zone);
	purse_init(settled);
	holdings_settle(&purse, holdings_inactive_end(program,
												  PG_ARGISNULL(2) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(2),
												  PG_GETARG_TIMESTAMPTZ(3)),
					*day, settled);
	return true;
}

/* outstanding(purse, program_id, last_activity, enrolled_at, at) → purse */
Datum
loyalty_outstanding(PG_FUNCTION_ARGS)
{
	Purse		settled;
	Purse		outstanding;
	DateADT		day;

	if (!settled_arguments(fcinfo, &settled, &day))
		PG_RETURN_NULL();
	purse_init(&outstanding);
	purse_outstanding(&settled, day, &outstanding);
	PG_RETURN_DATUM(purse_pack(&outstanding));
}

/* held_ends(lots, program_id, last_activity, enrolled_at, at) → purse */
Datum
loyalty_held_ends(PG_FUNCTION_ARGS)
{
	Purse		settled;
	Purse		held;
	DateADT		day;
	int			i;

	if (!settled_arguments(fcinfo, &settled, &day))
		PG_RETURN_NULL();
	purse_init(&held);
	for (i = 0; i < settled.nlots; i++)
		purse_add_lot(&held, DATEVAL_NOBEGIN, Max(settled.lots[i].ends, day), settled.lots[i].points);
	PG_RETURN_DATUM(purse_pack(&held));
}
