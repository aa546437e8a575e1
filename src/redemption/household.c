/*
 * household.c
 *		Spending from a household's balance.
 *
 * Who spends more than he has draws on the others: what he lacks comes into his
 * ledger by transfers, in the same act, and keeps its life.  So each ledger says
 * whose points were spent, and cancelling a spend needs to know of one member only.
 *
 * For that all members of the household are locked, in the order of member_id.
 * Who joins or leaves locks them too; so whoever holds them all, and has looked
 * again who they are, has them until he commits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "earning/passing.h"
#include "ledger/act.h"
#include "ledger/holdings.h"
#include "ledger/unwritten.h"
#include "loyalty.h"
#include "redemption/household.h"
#include "types/calendar.h"

/*
 * Locking
 */

static MemberRow *
locked_row(MemberRequest *requests, int nrequests, int64 member_id)
{
	int			i;

	for (i = 0; i < nrequests; i++)
		if (requests[i].row != NULL && requests[i].row->member_id == member_id)
			return requests[i].row;
	return NULL;
}

int
household_compare_requests(const void *a, const void *b)
{
	const MemberRequest *x = a;
	const MemberRequest *y = b;

	return x->member_id < y->member_id ? -1 : x->member_id > y->member_id;
}

/* The rows of the others, who are locked already but for those who joined while we waited. */
static void
gather_others(Config *config, Store *store, const Program *program, const MemberRow *member,
			  MemberRequest *requests, int nrequests, Sharing *sharing)
{
	const Household *household = &sharing->household;
	int			i;

	sharing->others = palloc(sizeof(MemberRow *) * household->nmembers);
	sharing->nothers = 0;
	for (i = 0; i < household->nmembers; i++)
	{
		int64		member_id = household->members[i].member_id;
		MemberRow  *row = locked_row(requests, nrequests, member_id);

		if (member_id == member->member_id)
			continue;
		if (row == NULL)
		{
			MemberRequest late;

			memset(&late, 0, sizeof(late));
			late.member_id = member_id;
			members_lock(config, store, program, &late, 1);
			row = late.row;
		}
		if (row != NULL)
			sharing->others[sharing->nothers++] = row;
	}
}

/* Whether a member's own points seem to be enough, and nobody of the household owes any. */
static bool
is_enough(Store *store, const Program *program, const Household *household, int64 member_id,
		  Points points, Snapshot snapshot)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	bool		enough = false;
	bool		debt = false;
	int			i;

	store_begin_read(store, snapshot);
	for (i = 0; i < household->nmembers && !debt; i++)
	{
		int64		id = household->members[i].member_id;
		MemberRow	row;
		MemberState state;
		Points		available;

		if (!store_find_member(store, id, &row))
			continue;
		state = (MemberState) {row.purse, row.lifetime, row.held, row.last_activity};
		available = act_available(program, &state, row.enrolled_at, now);
		debt = available < 0;
		if (id == member_id)
			enough = available >= points;
	}
	store_end_read(store);
	return enough && !debt;
}

void
household_lock(Config *config, Store *store, const Program *program, text *ref, Points points,
			   MemberRequest *request, Sharing *sharing)
{
	Household	before;
	MemberRequest *requests;
	int			nrequests = 0;
	Snapshot	snapshot;
	int			i;

	memset(sharing, 0, sizeof(*sharing));
	if (!program->has_households)
	{
		member_lock(config, store, program, ref, false, 0, request);
		return;
	}

	memset(request, 0, sizeof(*request));
	request->member_id = member_resolve(config, program, ref);
	request->ref = ref;
	snapshot = RegisterSnapshot(config_snapshot());
	if (!household_of(config, snapshot, request->member_id, &before))
		before.nmembers = 0;
	sharing->alone = before.nmembers > 0 &&
		is_enough(store, program, &before, request->member_id, points, snapshot);
	UnregisterSnapshot(snapshot);
	if (sharing->alone)
		before.nmembers = 0;
	requests = palloc0(sizeof(MemberRequest) * (before.nmembers + 1));
	requests[nrequests++] = *request;
	for (i = 0; i < before.nmembers; i++)
		if (before.members[i].member_id != request->member_id)
			requests[nrequests++].member_id = before.members[i].member_id;
	qsort(requests, nrequests, sizeof(MemberRequest), household_compare_requests);
	members_lock(config, store, program, requests, nrequests);
	for (i = 0; i < nrequests; i++)
		if (requests[i].ref != NULL)
			*request = requests[i];
	if (request->row == NULL)
		return;

	/* Somebody may have joined or left before we had them. */
	snapshot = RegisterSnapshot(config_snapshot());
	sharing->any = household_of(config, snapshot, request->row->member_id, &sharing->household);
	UnregisterSnapshot(snapshot);
	if (sharing->any && !sharing->alone)
		gather_others(config, store, program, request->row, requests, nrequests, sharing);
}

bool
household_try_lock(Config *config, Store *store, const Program *program, const MemberRow *member, Sharing *sharing)
{
	Household  *household = &sharing->household;
	Snapshot	snapshot;
	bool		free = true;
	int			i;

	memset(sharing, 0, sizeof(*sharing));
	if (!program->has_households)
		return true;
	/* Nobody joins or leaves while we have him. */
	snapshot = store_snapshot();
	sharing->any = household_of(config, snapshot, member->member_id, household);
	if (sharing->any)
	{
		sharing->others = palloc(sizeof(MemberRow *) * household->nmembers);
		store_begin_read(store, snapshot);
		for (i = 0; i < household->nmembers && free; i++)
		{
			MemberRow  *row;
			StoreLock	lock;

			if (household->members[i].member_id == member->member_id)
				continue;
			row = palloc(sizeof(MemberRow));
			lock = store_try_lock_member(store, household->members[i].member_id, row);
			if (lock == STORE_LOCKED)
				sharing->others[sharing->nothers++] = row;
			free = lock != STORE_BUSY;
		}
		store_end_read(store);
	}
	UnregisterSnapshot(snapshot);
	return free;
}

/*
 * Taking
 */

/* What is available to the member, below zero in debt; in the past what he had then and still has. */
static Points
available_at(Store *store, const Program *program, const MemberRow *row, TimestampTz at, bool at_given)
{
	MemberState state = {row->purse, row->lifetime, row->held, row->last_activity};
	Points		available = act_available(program, &state, row->enrolled_at, at);

	if (at_given)
	{
		Snapshot	snapshot = store_snapshot();
		MemberState then;

		store_begin_read(store, snapshot);
		available = Min(available, balance_least_since(store, program, row, at, NIL, &then));
		store_end_read(store);
		UnregisterSnapshot(snapshot);
	}
	return available;
}

/* A lot of one of the others. */
typedef struct SharedLot
{
	DateADT		ends;
	int			other;
	Points		points;
} SharedLot;

static int
compare_lots(const void *a, const void *b)
{
	const SharedLot *x = a;
	const SharedLot *y = b;

	if (x->ends != y->ends)
		return x->ends < y->ends ? -1 : 1;
	return x->other - y->other;
}

/* The lots of a member that are open on the day. */
static int
open_lots(const Program *program, const MemberRow *row, DateADT day, int other, SharedLot *lots)
{
	Purse		settled;
	Purse		outstanding;
	int			nlots = 0;
	int			i;

	purse_init(&settled);
	purse_init(&outstanding);
	holdings_settle(&row->purse, holdings_inactive_end(program, row->last_activity, row->enrolled_at), day, &settled);
	purse_outstanding(&settled, day, &outstanding);
	for (i = 0; i < outstanding.nlots; i++)
		if (outstanding.lots[i].points > 0 && outstanding.lots[i].starts <= day)
			lots[nlots++] = (SharedLot) {outstanding.lots[i].ends, other, outstanding.lots[i].points};
	return nlots;
}

/* How much each of the others gives of "needed", soonest to expire first over all of them. */
static void
divide(const Program *program, const Sharing *sharing, const Points *limits, DateADT day, Points needed, Points *shares)
{
	SharedLot  *lots;
	int			capacity = 0;
	int			nlots = 0;
	int			i;

	for (i = 0; i < sharing->nothers; i++)
		capacity += sharing->others[i]->purse.nlots + 1;
	lots = palloc(sizeof(SharedLot) * Max(capacity, 1));
	for (i = 0; i < sharing->nothers; i++)
	{
		shares[i] = 0;
		if (limits[i] > 0)
			nlots += open_lots(program, sharing->others[i], day, i, &lots[nlots]);
	}
	qsort(lots, nlots, sizeof(SharedLot), compare_lots);
	for (i = 0; i < nlots && needed > 0; i++)
	{
		Points		taken = Min(Min(lots[i].points, limits[lots[i].other] - shares[lots[i].other]), needed);

		shares[lots[i].other] += taken;
		needed -= taken;
	}
	pfree(lots);
}

/* Let one of the others give so many points to the member. */
static void
draw(Config *config, Store *store, const Program *program, MemberRow *other, MemberRow *member,
	 Points points, TimestampTz at, bool at_given)
{
	Move		move;
	Purse		taken;

	memset(&move, 0, sizeof(move));
	move.config = config;
	move.program = config_program_by_id(config, program->program_id);
	move.store = store;
	move.from = other;
	move.into = member;
	move.keys = HOUSEHOLD_KEYS;
	move.at = at;
	move_begin(&move);
	purse_init(&taken);
	act_take(store, program, other, points, at, at_given, NULL, &taken);
	purse_sub(&move.lots, &taken);
	move_post(&move);
}

static void
check_may_spend(const Program *program, const MemberRow *member, const Sharing *sharing)
{
	if (!household_member(&sharing->household, member->member_id)->may_spend)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_HOUSEHOLD),
				 errmsg("member \"%s\" may not spend points of his household", text_to_cstring(member->ref)),
				 errdetail("Member \"%s\" of program \"%s\" is in household \"%s\" without that right.",
						   text_to_cstring(member->ref), program->name, text_to_cstring(sharing->household.name)),
				 errhint("loyalty.join_household gives it: may_spend => true.")));
}

/* Whether a member's points are there for another one: at a time that is given only if both were in it by then. */
static bool
gives(const Household *household, const MemberRow *row, int64 member_id, TimestampTz at, bool at_given)
{
	return row->status == MEMBER_ACTIVE &&
		(!at_given || (household_member(household, row->member_id)->joined_at <= at &&
					   household_member(household, member_id)->joined_at <= at));
}

void
household_check_may_spend(Config *config, const Program *program, const MemberRow *member)
{
	Sharing		sharing;
	Snapshot	snapshot;

	if (!program->has_households)
		return;
	snapshot = store_snapshot();
	if (household_of(config, snapshot, member->member_id, &sharing.household))
		check_may_spend(program, member, &sharing);
	UnregisterSnapshot(snapshot);
}

Points
household_gives(Store *store, const Program *program, const MemberRow *member, const Sharing *sharing, TimestampTz at)
{
	Points		all = 0;
	int			i;

	for (i = 0; i < sharing->nothers; i++)
		if (gives(&sharing->household, sharing->others[i], member->member_id, at, false))
			all = points_add(all, available_at(store, program, sharing->others[i], at, false));
	return all;
}

void
household_take(Config *config, Store *store, const Program *program, MemberRow *member,
			   Sharing *sharing, Points points, TimestampTz at, bool at_given, Purse *lots)
{
	Points	   *limits;
	Points	   *shares;
	Points		own;
	Points		all;
	Points		needed;
	int			i;

	if (!sharing->any)
	{
		act_take(store, program, member, points, at, at_given, NULL, lots);
		return;
	}
	check_may_spend(program, member, sharing);
	if (sharing->alone && available_at(store, program, member, at, at_given) < points)
	{
		/* It was not enough after all. */
		gather_others(config, store, program, member, NULL, 0, sharing);
		sharing->alone = false;
	}
	limits = palloc(sizeof(Points) * Max(sharing->nothers, 1));
	shares = palloc(sizeof(Points) * Max(sharing->nothers, 1));
	own = available_at(store, program, member, at, at_given);
	all = own;
	for (i = 0; i < sharing->nothers; i++)
	{
		limits[i] = gives(&sharing->household, sharing->others[i], member->member_id, at, at_given)
			? available_at(store, program, sharing->others[i], at, at_given) : 0;
		/* A debt is the household's. */
		all = points_add(all, limits[i]);
	}
	if (all < points)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("insufficient points"),
				 errdetail("Household \"%s\" of program \"%s\" has %s available, %s were asked for by member \"%s\".",
						   text_to_cstring(sharing->household.name), program->name,
						   points_to_cstring(Max(all, 0)), points_to_cstring(points), text_to_cstring(member->ref))));
	needed = points_sub(points, own);
	if (needed > 0)
	{
		divide(program, sharing, limits, calendar_day(at, program->zone), needed, shares);
		for (i = 0; i < sharing->nothers; i++)
			if (shares[i] > 0)
				draw(config, store, program, sharing->others[i], member, shares[i], at, at_given);
	}
	act_take(store, program, member, points, at, at_given, NULL, lots);
}

void
household_push_shared(JsonbParseState **state, const Program *program, const MemberRow *member,
					  Store *store, const Sharing *sharing, TimestampTz at, bool at_given)
{
	const Household *household = &sharing->household;
	Points		shared = 0;
	Snapshot	snapshot;
	int			i;

	if (!sharing->any)
		return;
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	for (i = 0; i < household->nmembers; i++)
	{
		MemberRow	row;
		MemberState his;

		if (household->members[i].member_id == member->member_id ||
			!store_find_member(store, household->members[i].member_id, &row) ||
			!gives(household, &row, member->member_id, at, at_given))
			continue;
		his = (MemberState) {row.purse, row.lifetime, row.held, row.last_activity};
		shared = points_add(shared, act_available(program, &his, row.enrolled_at, at));
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	act_push_points(state, FIELD_SHARED, shared);
}

/*
 * Looking
 */

Points
household_spendable(const Reading *reading, bool *may_spend)
{
	Config	   *config = reading->config;
	const Program *program = reading->program;
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Snapshot	snapshot = GetActiveSnapshot();
	Household	household;
	HouseholdMember *self;
	Points		all = 0;
	Store	   *store;
	int			i;

	*may_spend = true;
	if (!program->has_households || !reading->known ||
		!household_of(config, snapshot, reading->member_id, &household))
		return 0;
	self = household_member(&household, reading->member_id);
	*may_spend = self == NULL || self->may_spend;
	store = store_open(config, false);
	store_begin_read(store, snapshot);
	for (i = 0; i < household.nmembers; i++)
	{
		MemberRow	row;
		MemberState state;
		Points		awaiting = 0;
		Points		available;
		List	   *unwritten;

		CHECK_FOR_INTERRUPTS();
		if (household.members[i].member_id == reading->member_id ||
			!store_find_member(store, household.members[i].member_id, &row) ||
			!gives(&household, &row, reading->member_id, reading->at, reading->at < now))
			continue;
		state = (MemberState) {row.purse, row.lifetime, row.held, row.last_activity};
		unwritten = unwritten_list(config, store, snapshot, program, &row, Max(reading->at, now), false, &awaiting);
		unwritten_apply(program, &row, unwritten, &state);
		available = act_available(program, &state, row.enrolled_at, reading->at);
		if (reading->at < now)
			available = Min(available, balance_least_since(store, program, &row, reading->at, unwritten, &state));
		all = points_add(all, available);
	}
	store_end_read(store);
	store_close(store);
	return all;
}
