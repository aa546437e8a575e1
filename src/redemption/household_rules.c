/*
 * household_rules.c
 *		Who may be in a household, and what becomes of his points when he leaves.
 *
 * Whoever makes, joins or leaves one first locks all of its members, in the
 * order of member_id; so who spends meanwhile sees all of it or nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "earning/passing.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "loyalty.h"
#include "redemption/household.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_create_household);
PG_FUNCTION_INFO_V1(loyalty_join_household);
PG_FUNCTION_INFO_V1(loyalty_leave_household);

extern Datum loyalty_member_id(PG_FUNCTION_ARGS);

/* LY028; the last two are errdetail's and errhint's. */
#define REFUSE(message, detail, hint) \
	ereport(ERROR, (errcode(ERRCODE_LOYALTY_HOUSEHOLD), message, detail, hint))

static int64
household_id(const Program *program, text *name)
{
	return DatumGetInt64(DirectFunctionCall2(loyalty_member_id, PointerGetDatum(name),
											 CStringGetTextDatum(program->name)));
}

/* An argument that is the name of a household. */
static text *
name_argument(FunctionCallInfo fcinfo, int argno)
{
	text	   *name = text_argument(fcinfo, argno);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("household must not be null")));
	if (VARSIZE_ANY_EXHDR(name) == 0 || VARSIZE_ANY_EXHDR(name) > MAX_KEY_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a household must have from 1 to %d bytes", MAX_KEY_BYTES)));
	return name;
}

/* Whether there is one of this name. */
static bool
find_named(Config *config, const Program *program, text *name, Household *household)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	bool		found = household_find(config, snapshot, household_id(program, name), household);

	UnregisterSnapshot(snapshot);
	if (found && !same_text(household->name, name))
		REFUSE(errmsg("household \"%s\" cannot have this name", text_to_cstring(name)),
			   errdetail("Household \"%s\" of program \"%s\" has the same number.",
						 text_to_cstring(household->name), program->name),
			   errhint("Give it another name."));
	return found;
}

static bool
find_of(Config *config, int64 member_id, Household *household)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	bool		found = household_of(config, snapshot, member_id, household);

	UnregisterSnapshot(snapshot);
	return found;
}

static void
refuse_second(const Program *program, const MemberRow *member, const Household *other)
{
	REFUSE(errmsg("member \"%s\" is in another household", text_to_cstring(member->ref)),
		   errdetail("Member \"%s\" of program \"%s\" is in household \"%s\".",
					 text_to_cstring(member->ref), program->name, text_to_cstring(other->name)),
		   errhint("He can leave it with loyalty.leave_household."));
}

/* Run a statement on the tables of households. */
static void
execute(Config *config, const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not execute: %s", sql);
	SPI_finish();
	engine_leave(&scope);
}

static void
write_member(Config *config, const MemberRow *member, int64 household, bool may_spend, TimestampTz at)
{
	Oid			types[5] = {INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID, BOOLOID};
	Datum		values[5] = {Int64GetDatum(member->member_id), Int64GetDatum(household), TimestampTzGetDatum(at),
	Int32GetDatum(member->program_id), BoolGetDatum(may_spend)};

	execute(config, "INSERT INTO loyalty.household_member AS m (member_id, household_id, joined_at, program_id, may_spend)"
			" VALUES ($1, $2, $3, $4, $5)"
			" ON CONFLICT (member_id) DO UPDATE SET household_id = $2, left_at = NULL, may_spend = $5,"
			" joined_at = CASE WHEN m.left_at IS NULL AND m.household_id = $2 THEN m.joined_at ELSE $3 END",
			lengthof(types), types, values, NULL);
}

/*
 * Making one
 */

/* What is asked for. */
typedef struct Terms
{
	text	   *name;
	int			max_members;	/* 0: any number */
	text	   *on_leave;
	Interval   *cooldown;		/* NULL: none */
} Terms;

static bool
is_word(const text *value, const char *word)
{
	return VARSIZE_ANY_EXHDR(value) == strlen(word) && memcmp(VARDATA_ANY(value), word, strlen(word)) == 0;
}

static void
read_terms(FunctionCallInfo fcinfo, Terms *terms)
{
	Interval	none = {0};

	terms->name = name_argument(fcinfo, 0);
	terms->max_members = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	terms->on_leave = PG_ARGISNULL(3) ? cstring_to_text("own") : PG_GETARG_TEXT_PP(3);
	terms->cooldown = PG_ARGISNULL(4) ? NULL : PG_GETARG_INTERVAL_P(4);
	if (!PG_ARGISNULL(2) && terms->max_members < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_members must be greater than zero"),
				 errhint("NULL is any number.")));
	if (!is_word(terms->on_leave, "own") && !is_word(terms->on_leave, "stay"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_leave \"%s\" is not known", text_to_cstring(terms->on_leave)),
				 errhint("It is own (who leaves takes his points along) or stay (they go to the head).")));
	if (terms->cooldown != NULL &&
		DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(terms->cooldown), IntervalPGetDatum(&none))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cooldown must not be below zero")));
}

static void
write_household(Config *config, const Program *program, const Terms *terms, int64 head_id, TimestampTz at)
{
	Oid			types[8] = {INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID, INT4OID, TEXTOID, TEXTOID, INTERVALOID};
	Datum		values[8] = {Int64GetDatum(household_id(program, terms->name)), Int64GetDatum(head_id),
		TimestampTzGetDatum(at), Int32GetDatum(program->program_id), Int32GetDatum(terms->max_members),
	PointerGetDatum(terms->name), PointerGetDatum(terms->on_leave), IntervalPGetDatum(terms->cooldown)};
	char		nulls[8] = {' ', ' ', ' ', ' ', terms->max_members == 0 ? 'n' : ' ', ' ', ' ',
	terms->cooldown == NULL ? 'n' : ' '};

	execute(config, "INSERT INTO loyalty.household (household_id, head_member_id, created_at, program_id, max_members, name, on_leave, cooldown)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
			" ON CONFLICT (household_id) DO UPDATE SET max_members = $5, on_leave = $7, cooldown = $8",
			lengthof(types), types, values, nulls);
	config_invalidate(config);
}

/* LY028 for who left another one a short while ago. */
static void
check_cooldown(Config *config, const Program *program, const MemberRow *member, const text *name,
			   const Interval *cooldown, TimestampTz at)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	TimestampTz left_at = household_left_at(config, snapshot, member->member_id);
	Timestamp	over;

	UnregisterSnapshot(snapshot);
	if (cooldown == NULL || TIMESTAMP_IS_NOBEGIN(left_at))
		return;
	/* In the program's zone, where a day may have 23 hours. */
	over = DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
												 TimestampGetDatum(calendar_local(left_at, program->zone)),
												 IntervalPGetDatum(cooldown)));
	if (calendar_local(at, program->zone) < over)
		REFUSE(errmsg("member \"%s\" has left a household too recently", text_to_cstring(member->ref)),
			   errdetail("He left one at %s, and may join \"%s\" of program \"%s\" %s after that.",
						 pstrdup(timestamptz_to_str(left_at)), text_to_cstring(name), program->name,
						 DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(cooldown)))),
			   errhint("Its cooldown says so."));
}

/* create_household(name, head, max_members, on_leave, cooldown, at, program) → household_id */
Datum
loyalty_create_household(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Terms		terms;
	text	   *ref = member_argument(fcinfo, 1);
	TimestampTz at = act_time(fcinfo, 5);
	Program    *program = access_program_for(config, text_argument(fcinfo, 6), ACCESS_OPERATE, ref);
	Store	   *store;
	MemberRequest head;
	Household	household;
	Household	other;
	bool		exists;

	read_terms(fcinfo, &terms);
	store = store_open(config, true);
	member_lock(config, store, program, ref, program->auto_enroll, at, &head);
	if (head.row == NULL)
		member_unknown(program, ref);
	act_check_active(program, head.row);
	exists = find_named(config, program, terms.name, &household);
	if (exists && household.head_id != head.member_id)
		REFUSE(errmsg("household \"%s\" exists already", text_to_cstring(terms.name)),
			   errdetail("Member \"%s\" is not the head of household \"%s\" of program \"%s\".",
						 text_to_cstring(ref), text_to_cstring(terms.name), program->name),
			   errhint("loyalty.join_household takes him into it."));
	if (exists && terms.max_members > 0 && household.nmembers > terms.max_members)
		REFUSE(errmsg("household \"%s\" has more members", text_to_cstring(terms.name)),
			   errdetail("Household \"%s\" of program \"%s\" has %d members, at most %d were asked for.",
						 text_to_cstring(terms.name), program->name, household.nmembers, terms.max_members),
			   errhint("Members can leave it with loyalty.leave_household."));
	if (!exists && find_of(config, head.member_id, &other))
		refuse_second(program, head.row, &other);
	if (!exists)
		check_cooldown(config, program, head.row, terms.name, terms.cooldown, at);
	write_household(config, program, &terms, head.member_id, at);
	if (!exists)
		write_member(config, head.row, household_id(program, terms.name), true, at);
	store_close(store);
	PG_RETURN_INT64(household_id(program, terms.name));
}

/*
 * Joining
 */

/* Lock who wants to join, and all who are in it; looks again until these are the same. */
static void
lock_joining(Config *config, Store *store, const Program *program, text *ref, text *name, TimestampTz at,
			 MemberRequest *joining, Household *household)
{
	MemberIds	locked = {0};
	int			i;

	memset(joining, 0, sizeof(*joining));
	joining->member_id = member_resolve(config, program, ref);
	for (;;)
	{
		MemberRequest *requests;
		int			nrequests = 0;

		CHECK_FOR_INTERRUPTS();
		if (!find_named(config, program, name, household))
			REFUSE(errmsg("household \"%s\" does not exist", text_to_cstring(name)),
				   errdetail("Program \"%s\" has none of that name.", program->name),
				   errhint("loyalty.create_household makes one."));
		requests = palloc0(sizeof(MemberRequest) * (household->nmembers + 1));
		if (joining->row == NULL)
		{
			requests[nrequests].member_id = joining->member_id;
			requests[nrequests].ref = ref;
			requests[nrequests].enroll = program->auto_enroll;
			requests[nrequests++].enrolled_at = at;
		}
		for (i = 0; i < household->nmembers; i++)
		{
			int64		member_id = household->members[i].member_id;

			if (member_id == joining->member_id || member_ids_have(&locked, member_id))
				continue;
			requests[nrequests++].member_id = member_id;
			member_ids_add(&locked, member_id);
		}
		if (nrequests == 0)
			return;
		qsort(requests, nrequests, sizeof(MemberRequest), household_compare_requests);
		members_lock(config, store, program, requests, nrequests);
		for (i = 0; i < nrequests; i++)
			if (requests[i].ref != NULL)
				*joining = requests[i];
		if (joining->row == NULL)
			member_unknown(program, ref);
	}
}

/* join_household(member, household, may_spend, at, program) */
Datum
loyalty_join_household(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	text	   *name = name_argument(fcinfo, 1);
	bool		may_spend = PG_ARGISNULL(2) || PG_GETARG_BOOL(2);
	TimestampTz at = act_time(fcinfo, 3);
	Program    *program = access_program_for(config, text_argument(fcinfo, 4), ACCESS_OPERATE, ref);
	Store	   *store = store_open(config, true);
	MemberRequest joining;
	Household	household;
	Household	other;

	lock_joining(config, store, program, ref, name, at, &joining, &household);
	act_check_active(program, joining.row);
	if (household_member(&household, joining.member_id) == NULL)
	{
		if (find_of(config, joining.member_id, &other))
			refuse_second(program, joining.row, &other);
		if (household.max_members > 0 && household.nmembers >= household.max_members)
			REFUSE(errmsg("household \"%s\" is full", text_to_cstring(name)),
				   errdetail("Household \"%s\" of program \"%s\" has %d members, and at most %d.",
							 text_to_cstring(name), program->name, household.nmembers, household.max_members),
				   errhint("loyalty.create_household, called for its head, gives it other rules."));
		check_cooldown(config, program, joining.row, name, household.cooldown, at);
	}
	write_member(config, joining.row, household.household_id, may_spend, at);
	store_close(store);
	PG_RETURN_VOID();
}

/*
 * Leaving
 */

/* Who joined first of the others; NULL: there are none. */
static const HouseholdMember *
next_head(const Household *household, int64 leaving)
{
	const HouseholdMember *next = NULL;
	int			i;

	for (i = 0; i < household->nmembers; i++)
	{
		const HouseholdMember *member = &household->members[i];

		if (member->member_id != leaving && (next == NULL || member->joined_at < next->joined_at))
			next = member;
	}
	return next;
}

/* All but a debt goes to the one who stays. */
static void
leave_behind(Config *config, Store *store, Program *program, MemberRow *member, MemberRow *heir,
			 text *note, TimestampTz at)
{
	Move		move;
	int			i;

	memset(&move, 0, sizeof(move));
	move.config = config;
	move.program = program;
	move.store = store;
	move.from = member;
	move.into = heir;
	move.keys = HOUSEHOLD_KEYS;
	move.note = note;
	move.at = at;
	move_begin(&move);
	for (i = 0; i < member->purse.nlots; i++)
		if (member->purse.lots[i].points > 0)
			purse_add_lot(&move.lots, member->purse.lots[i].starts, member->purse.lots[i].ends,
						  member->purse.lots[i].points);
	if (move.lots.nlots > 0)
		move_post(&move);
}

static void
write_leaving(Config *config, const Household *household, int64 member_id, const HouseholdMember *head, TimestampTz at)
{
	Oid			types[3] = {INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[3] = {Int64GetDatum(member_id), Int64GetDatum(household->household_id), TimestampTzGetDatum(at)};

	execute(config, "UPDATE loyalty.household_member SET left_at = $3"
			" WHERE member_id = $1 AND household_id = $2 AND left_at IS NULL", 3, types, values, NULL);
	if (head == NULL)
	{
		execute(config, "DELETE FROM loyalty.household WHERE household_id = $2 AND $1 IS NOT NULL AND $3 IS NOT NULL",
				3, types, values, NULL);
		config_invalidate(config);
	}
	else if (household->head_id == member_id)
	{
		values[0] = Int64GetDatum(head->member_id);
		execute(config, "UPDATE loyalty.household SET head_member_id = $1 WHERE household_id = $2 AND $3 IS NOT NULL",
				3, types, values, NULL);
	}
}

/* leave_household(member, reason, at, program) */
Datum
loyalty_leave_household(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	text	   *note = text_argument(fcinfo, 1);
	TimestampTz at = act_time(fcinfo, 2);
	Program    *program = access_program_for(config, text_argument(fcinfo, 3), ACCESS_OPERATE, ref);
	Store	   *store = store_open(config, true);
	MemberRequest leaving;
	Sharing		sharing;
	const HouseholdMember *head;
	int64		heir;
	int			i;

	household_lock(config, store, program, ref, POINTS_MAX, &leaving, &sharing);
	if (leaving.row == NULL)
		member_unknown(program, ref);
	if (sharing.any)
	{
		head = next_head(&sharing.household, leaving.member_id);
		heir = sharing.household.head_id != leaving.member_id ? sharing.household.head_id
			: head != NULL ? head->member_id : 0;
		for (i = 0; i < sharing.nothers && sharing.household.points_stay; i++)
			if (sharing.others[i]->member_id == heir)
				leave_behind(config, store, program, leaving.row, sharing.others[i], note, at);
		write_leaving(config, &sharing.household, leaving.member_id, head, at);
	}
	store_close(store);
	PG_RETURN_VOID();
}
