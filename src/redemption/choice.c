/*
 * choice.c
 *		Rewards that are redeemed by themselves, for members who have chosen one.
 *
 * Nobody pays for this in a program where nobody has chosen: has_choices is
 * kept with the rewards.  It is looked at after members have been locked, which
 * choosing does too, so nobody is missed who has chosen meanwhile.
 *
 * A redemption that fails does not stop the order: it runs in a subtransaction
 * of its own, and what went wrong is put down with the choice.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "earning/attempt.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "ledger/probe.h"
#include "loyalty.h"
#include "redemption/choice.h"
#include "redemption/household.h"
#include "redemption/redeem.h"
#include "redemption/reward.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_choose_reward);

/* Columns of reward_choice, in order. */
enum
{
	Anum_choice_member_id = 1,
	Anum_choice_program_id,
	Anum_choice_reward_id,
	Anum_choice_option,
	Anum_choice_chosen_at,
	Anum_choice_reached_at,
	Anum_choice_due,
	Anum_choice_redeemed,
	Anum_choice_last_error,
	Anum_choice_last_error_at,
	Natts_choice = Anum_choice_last_error_at
};

/* What failed is tried again by maintain after so long. */
#define RETRY_AFTER USECS_PER_DAY

typedef struct Choice
{
	int64		member_id;
	int32		reward_id;
	text	   *option;			/* NULL: the cheapest */
	TimestampTz reached_at;		/* DT_NOBEGIN: it does not wait */
	TimestampTz due;			/* DT_NOEND: never */
	int64		redeemed;
	text	   *last_error;		/* NULL: none */
} Choice;

/*
 * The rows
 */

static bool
find_choice(Config *config, Snapshot snapshot, int64 member_id, Choice *choice)
{
	Probe		probe;
	ScanKeyData key;
	HeapTuple	tuple;
	Datum		values[Natts_choice + 1];	/* so that columns count from 1 */
	bool		nulls[Natts_choice + 1];

	ScanKeyInit(&key, Anum_choice_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	tuple = probe_begin(&probe, config->choice_rel, snapshot, &key, 1);
	if (tuple != NULL && choice != NULL)
	{
		heap_deform_tuple(tuple, RelationGetDescr(probe.rel), values + 1, nulls + 1);
		choice->member_id = member_id;
		choice->reward_id = DatumGetInt32(values[Anum_choice_reward_id]);
		choice->option = nulls[Anum_choice_option] ? NULL : DatumGetTextPCopy(values[Anum_choice_option]);
		choice->reached_at = nulls[Anum_choice_reached_at] ? DT_NOBEGIN
			: DatumGetTimestampTz(values[Anum_choice_reached_at]);
		choice->due = nulls[Anum_choice_due] ? DT_NOEND : DatumGetTimestampTz(values[Anum_choice_due]);
		choice->redeemed = DatumGetInt64(values[Anum_choice_redeemed]);
		choice->last_error = nulls[Anum_choice_last_error] ? NULL
			: DatumGetTextPCopy(values[Anum_choice_last_error]);
	}
	probe_end(&probe);
	return tuple != NULL;
}

/* Run a statement of the engine's on the choice of a member. */
static void
write_choice(Config *config, const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not write what a member has chosen");
	SPI_finish();
	engine_leave(&scope);
}

static void
update_choice(Config *config, const Choice *choice)
{
	Oid			types[6] = {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[6] = {Int64GetDatum(choice->member_id), TimestampTzGetDatum(choice->reached_at),
		TimestampTzGetDatum(choice->due), Int64GetDatum(choice->redeemed), PointerGetDatum(choice->last_error),
	TimestampTzGetDatum(GetCurrentTransactionStartTimestamp())};
	char		nulls[6] = {' ', TIMESTAMP_IS_NOBEGIN(choice->reached_at) ? 'n' : ' ',
		TIMESTAMP_IS_NOEND(choice->due) ? 'n' : ' ', ' ', choice->last_error == NULL ? 'n' : ' ',
	choice->last_error == NULL ? 'n' : ' '};

	write_choice(config, "UPDATE loyalty.reward_choice SET reached_at = $2, due = $3, redeemed = $4,"
				 " last_error = $5, last_error_at = CASE WHEN last_error = $5 THEN last_error_at ELSE $6 END"
				 " WHERE member_id = $1", 6, types, values, nulls);
}

/*
 * Looking
 */

/* One member who is looked at. */
typedef struct Look
{
	Config	   *config;
	Program    *program;
	int64		member_id;
	const Reward *reward;
	text	   *option;
	TimestampTz now;
	MemberRow	row;			/* as he is */
	Sharing		sharing;		/* with whom he shares his balance */
	Points		shared;			/* what they would give him */
	Points		cost;
} Look;

/* His row as it is now; he is locked.  False when he shares his balance with somebody whom others have. */
static bool
read_member(Look *look)
{
	bool		free;
	Store	   *store = store_open(look->config, true);
	Snapshot	snapshot = store_snapshot();

	store_begin_read(store, snapshot);
	if (!store_lock_member(store, look->member_id, &look->row))
		elog(ERROR, "member " INT64_FORMAT " is gone", look->member_id);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	free = household_try_lock(look->config, store, look->program, &look->row, &look->sharing);
	look->shared = household_gives(store, look->program, &look->row, &look->sharing, look->now);
	store_close(store);
	return free;
}

/* What is available on a day. */
static Points
available(const Look *look, TimestampTz at)
{
	MemberState state = {look->row.purse, look->row.lifetime, look->row.held, look->row.last_activity};

	return points_add(act_available(look->program, &state, look->row.enrolled_at, at), look->shared);
}

/* The least that it can cost anybody, so that nothing else is asked of whoever has less. */
static Points
least_cost(const Look *look)
{
	Points		least = POINTS_MAX;
	int			i;

	for (i = 0; i < look->reward->noptions; i++)
		if (look->reward->options[i].price == NULL)
			least = Min(least, look->reward->options[i].cost);
	return least;
}

/* When pending points let him have so many; DT_NOEND: they do not. */
static TimestampTz
opens_at(const Look *look, Points wanted)
{
	const Purse *purse = &look->row.purse;
	DateADT		opens = DATEVAL_NOEND;
	int			i;

	for (i = 0; i < purse->nlots; i++)
	{
		DateADT		starts = purse->lots[i].starts;
		TimestampTz at;

		if (DATE_IS_NOBEGIN(starts) || starts >= opens)
			continue;
		at = calendar_start_of_day(starts, look->program->zone);
		if (at > look->now && available(look, at) >= wanted)
			opens = starts;
	}
	return DATE_IS_NOEND(opens) ? DT_NOEND : calendar_start_of_day(opens, look->program->zone);
}

static void
find_cost(void *arg)
{
	Look	   *look = arg;
	Store	   *store = store_open(look->config, false);

	look->cost = redeem_cost(look->config, look->program, store, &look->row, look->reward, look->option, look->now);
	store_close(store);
}

static void
redeem_one(void *arg)
{
	Look	   *look = arg;
	Store	   *store = store_open(look->config, true);
	RedeemRequest request = {.reward = look->reward, .option = look->option, .quantity = 1,
	.at = look->now, .automatic = true, .sharing = look->sharing.any ? &look->sharing : NULL};
	RedeemResult result;

	/* This is what follows. */
	store_follow_nothing(store);
	redeem_reward(look->config, look->program, store, &look->row, &request, &result);
	store_close(store);
	CommandCounterIncrement();
}

/* Put down what went wrong; a WARNING only when it had not before. */
static void
put_down(const Look *look, Choice *choice, const ErrorData *error)
{
	if (choice->last_error == NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("what member \"%s\" of program \"%s\" has chosen is not redeemed yet: %s",
						text_to_cstring(look->row.ref), look->program->name, error->message),
				 error->detail == NULL ? 0 : errdetail_internal("%s", error->detail),
				 errhint("It is tried again with his next points, and by CALL loyalty.maintain(); see loyalty.choices.")));
	choice->last_error = cstring_to_text(psprintf("%s %s", unpack_sql_state(error->sqlerrcode), error->message));
	choice->due = look->now + RETRY_AFTER;
}

/* When a wait since a time is over. */
static TimestampTz
wait_over(const Look *look, TimestampTz since)
{
	Timestamp	local = calendar_local(since, look->program->zone);

	local = DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(local),
												  IntervalPGetDatum(look->reward->auto_wait)));
	return calendar_instant(local, look->program->zone);
}

/* Redeem as often as the balance allows, if it is time; returns how often. */
static int
redeem_chosen(Look *look, Choice *choice)
{
	TimestampTz reached_at = choice->reached_at;
	TimestampTz due = choice->due;
	int			count = 0;

	choice->reached_at = DT_NOBEGIN;
	choice->due = DT_NOEND;
	while (available(look, look->now) >= least_cost(look))
	{
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		if (look->row.status != MEMBER_ACTIVE)
			return count;
		error = attempt(find_cost, look);
		if (error == NULL && available(look, look->now) < look->cost)
			break;
		if (error == NULL && look->reward->auto_wait != NULL && count == 0)
		{
			TimestampTz since = TIMESTAMP_IS_NOBEGIN(reached_at) ? look->now : reached_at;
			TimestampTz over = wait_over(look, since);

			if (look->now < over)
			{
				choice->reached_at = since;
				choice->due = over;
				return count;
			}
		}
		if (error == NULL && count == CHOICE_MOST_AT_ONCE)
		{
			choice->due = look->now;
			return count;
		}
		if (error == NULL)
			error = attempt(redeem_one, look);
		if (error != NULL)
		{
			put_down(look, choice, error);
			return count;
		}
		choice->last_error = NULL;
		choice->redeemed++;
		count++;
		(void) read_member(look);
	}
	choice->due = opens_at(look, look->cost > 0 ? look->cost : least_cost(look));
	/* Two who post to his household at once do not see what the other one does. */
	if (look->sharing.any)
		choice->due = Min(choice->due, due > look->now && due <= look->now + RETRY_AFTER ? due : look->now + RETRY_AFTER);
	return count;
}

static bool
same_choice(const Choice *a, const Choice *b)
{
	return a->reached_at == b->reached_at && a->due == b->due && a->redeemed == b->redeemed &&
		same_text(a->last_error, b->last_error);
}

int
choice_look(int32 program_id, int64 member_id)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "loyalty choice", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Config	   *config = config_get();
	Look		look = {.config = config, .program = config_program_still(config, program_id),
	.member_id = member_id, .now = GetCurrentTransactionStartTimestamp()};
	Snapshot	snapshot = store_snapshot();
	Choice		before;
	int			count = 0;

	if (find_choice(config, snapshot, member_id, &before))
	{
		Choice		choice = before;

		look.config = config = redemption_begin();
		look.program = config_program_still(config, program_id);
		look.reward = reward_by_id(reward_set(config, look.program), choice.reward_id);
		look.option = choice.option;
		if (!read_member(&look))
			choice.due = look.now;
		else if (look.reward != NULL)
			count = redeem_chosen(&look, &choice);
		if (!same_choice(&before, &choice))
			update_choice(config, &choice);
	}
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return count;
}

/*
 * After postings
 */

/* Whether anybody has chosen in the program. */
static bool
has_choices(Config *config, int32 program_id)
{
	Program    *program = config_program_by_id(config, program_id);

	return program != NULL && reward_set(config, program)->has_choices;
}

/* Whether the member has chosen, or somebody who could spend his points. */
static bool
has_chooser(Config *config, Snapshot snapshot, const PostedMember *member)
{
	Household	household;
	int			i;

	if (find_choice(config, snapshot, member->member_id, NULL))
		return true;
	if (!config_program_still(config, member->program_id)->has_households ||
		!household_of(config, snapshot, member->member_id, &household))
		return false;
	for (i = 0; i < household.nmembers; i++)
		if (household.members[i].may_spend && find_choice(config, snapshot, household.members[i].member_id, NULL))
			return true;
	return false;
}

/* Nothing is made before somebody is found for whom it is worth while: every posting comes here. */
static int
keep_choosers(PostedMember *members, int count)
{
	Config	   *config = count == 0 ? NULL : config_get();
	Snapshot	snapshot = NULL;
	int32		program_id = 0;
	bool		wanted = false;
	int			kept = 0;
	int			i;

	for (i = 0; i < count; i++)
	{
		if (i == 0 || members[i].program_id != program_id)
		{
			program_id = members[i].program_id;
			wanted = has_choices(config, program_id);
		}
		if (!wanted)
			continue;
		if (snapshot == NULL)
			snapshot = store_snapshot();
		if (has_chooser(config, snapshot, &members[i]))
			members[kept++] = members[i];
	}
	if (snapshot != NULL)
		UnregisterSnapshot(snapshot);
	return kept;
}

/* Lock a member unless somebody else has him. */
static bool
is_free(Config *config, int64 member_id)
{
	Store	   *store = store_open(config, true);
	Snapshot	snapshot = store_snapshot();
	MemberRow	row;
	bool		free;

	store_begin_read(store, snapshot);
	free = store_try_lock_member(store, member_id, &row) == STORE_LOCKED;
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	store_close(store);
	return free;
}

/* Those who could spend the member's points.  Nobody is waited for, since some are locked already. */
static void
look_at_household(const PostedMember *member)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "loyalty choices", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Config	   *config = config_get();
	Household	household = {0};
	Snapshot	snapshot;
	int			i;

	if (config_program_still(config, member->program_id)->has_households)
	{
		snapshot = store_snapshot();
		(void) household_of(config, snapshot, member->member_id, &household);
		for (i = 0; i < household.nmembers; i++)
		{
			const HouseholdMember *other = &household.members[i];

			if (other->member_id != member->member_id && other->may_spend &&
				find_choice(config, snapshot, other->member_id, NULL) && is_free(config, other->member_id))
				(void) choice_look(member->program_id, other->member_id);
		}
		UnregisterSnapshot(snapshot);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

static void
look_at_choosers(const PostedMember *members, int count)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		(void) choice_look(members[i].program_id, members[i].member_id);
		look_at_household(&members[i]);
	}
}

void
choice_init(void)
{
	store_follow_up.keep = keep_choosers;
	store_follow_up.work = look_at_choosers;
}

/*
 * Choosing
 */

/* It must be possible without asking: an option that is named asks for no money. */
static const Reward *
check_choice(const Program *program, const RewardSet *set, const text *name, const text *option)
{
	const Reward *reward = reward_named(program, set, name);
	bool		asks_money = false;
	int			i;

	for (i = 0; i < reward->noptions; i++)
	{
		const char *this = reward->options[i].name;

		if (option != NULL && (strlen(this) != VARSIZE_ANY_EXHDR(option) ||
							   memcmp(this, VARDATA_ANY(option), VARSIZE_ANY_EXHDR(option)) != 0))
			continue;
		if (reward->options[i].price == NULL)
			return reward;
		asks_money = true;
	}
	if (option != NULL && !asks_money)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_REWARD),
				 errmsg("the reward has no such option"),
				 errdetail("Reward \"%s\" has no option \"%s\".", reward->name, text_to_cstring(option))));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("what asks for money cannot be redeemed by itself"),
			 errdetail("Reward \"%s\" asks for money beside the points.", reward->name)));
}

/* choose_reward(member, reward, option, program) */
Datum
loyalty_choose_reward(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	text	   *name = text_argument(fcinfo, 1);
	text	   *option = text_argument(fcinfo, 2);
	Program    *program = access_program_for(config, text_argument(fcinfo, 3), ACCESS_OPERATE, ref);
	RewardSet  *set = reward_set(config, program);
	const Reward *reward = name == NULL ? NULL : check_choice(program, set, name, option);
	Oid			types[5] = {INT8OID, INT4OID, INT4OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[5];
	char		nulls[5] = {' ', ' ', ' ', option == NULL ? 'n' : ' ', ' '};
	Store	   *store;
	MemberRequest member;

	if (name == NULL && option != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no reward has no option")));
	store = store_open(config, true);
	member_lock(config, store, program, ref, program->auto_enroll, GetCurrentTransactionStartTimestamp(), &member);
	if (member.row == NULL)
		member_unknown(program, ref);
	if (reward != NULL)
	{
		act_check_active(program, member.row);
		household_check_may_spend(config, program, member.row);
	}
	store_close(store);

	values[0] = Int64GetDatum(member.member_id);
	if (reward == NULL)
	{
		write_choice(config, "DELETE FROM loyalty.reward_choice WHERE member_id = $1", 1, types, values, NULL);
		PG_RETURN_VOID();
	}
	values[1] = Int32GetDatum(program->program_id);
	values[2] = Int32GetDatum(reward->reward_id);
	values[3] = PointerGetDatum(option);
	values[4] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	/* Saying again what was chosen leaves a wait as it is. */
	write_choice(config, "INSERT INTO loyalty.reward_choice AS c (member_id, program_id, reward_id, option, chosen_at)"
				 " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (member_id) DO UPDATE"
				 " SET reward_id = $3, option = $4, chosen_at = $5, reached_at = NULL, due = NULL, redeemed = 0,"
				 " last_error = NULL, last_error_at = NULL"
				 " WHERE (c.reward_id, c.option) IS DISTINCT FROM ($3, $4)", 5, types, values, nulls);
	if (!set->has_choices)
	{
		config_invalidate(config);
		CommandCounterIncrement();
	}
	(void) choice_look(program->program_id, member.member_id);
	PG_RETURN_VOID();
}
