/*
 * actor.c
 *		Who adjusts, and when it takes a second person.
 *
 * The points of a day are added up from the member's entries, so there is no
 * second counter that could drift.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/act.h"
#include "ledger/actor.h"
#include "ledger/context_field.h"
#include "ledger/merges.h"
#include "ledger/posting.h"
#include "loyalty.h"

/* For so long adjustments count together. */
#define DAY (INT64CONST(24) * USECS_PER_HOUR)

Actor
actor_now(void)
{
	Actor		actor;

	actor.role = GetUserNameFromId(GetOuterUserId(), false);
	actor.session = GetUserNameFromId(GetSessionUserId(), false);
	return actor;
}

bool
actor_same_person(const Actor *a, const Actor *b)
{
	return strcmp(a->role, b->role) == 0 || strcmp(a->role, b->session) == 0 ||
		strcmp(a->session, b->role) == 0 || strcmp(a->session, b->session) == 0;
}

static void
push_names(JsonbParseState **state, const Actor *actor, const char *role_field, const char *session_field)
{
	act_push_text(state, role_field, actor->role);
	if (strcmp(actor->role, actor->session) != 0)
		act_push_text(state, session_field, actor->session);
}

Jsonb *
actor_sign(Jsonb *context, const Approval *approval, bool own)
{
	Actor		actor = approval == NULL ? actor_now() : approval->proposer;
	JsonbParseState *state = NULL;
	Jsonb	   *by;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_key(&state, FIELD_BY);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_names(&state, &actor, FIELD_ROLE, FIELD_SESSION);
	if (approval != NULL)
	{
		act_push_text(&state, FIELD_PROPOSAL, approval->proposal);
		push_names(&state, &approval->approver, FIELD_APPROVED_BY, FIELD_APPROVED_SESSION);
	}
	if (own)
	{
		JsonbValue	yes = {.type = jbvBool, .val.boolean = true};

		act_push_key(&state, FIELD_OWN);
		pushJsonbValue(&state, WJB_VALUE, &yes);
	}
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	by = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	return context == NULL ? by
		: DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(context), JsonbPGetDatum(by)));
}

Jsonb *
actor_asked(const Jsonb *context)
{
	Jsonb	   *asked;

	if (context == NULL)
		return NULL;
	asked = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(context), CStringGetTextDatum(FIELD_BY)));
	return JB_ROOT_COUNT(asked) == 0 ? NULL : asked;
}

/* A text of the field; NULL where there is none. */
static const char *
name_of(const JsonbValue *by, const char *field)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(by->val.binary.data, field, strlen(field), &value) == NULL ||
		value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

Points
actor_moved_points(const EntryRow *entry)
{
	Purse		lots;
	Points		added = 0;
	int			i;

	if (entry->points != 0)
		return Max(entry->points, -entry->points);
	purse_init(&lots);
	purse_read(&lots, entry->lots);
	for (i = 0; i < lots.nlots; i++)
		if (lots.lots[i].points > 0)
			added = points_add(added, lots.lots[i].points);
	return added;
}

bool
actor_adjusted(const EntryRow *entry, const Actor *actor, TimestampTz since, Points *points)
{
	JsonbValue	by;
	JsonbValue	own;
	Actor		then;

	if (entry->posted_at < since || strcmp(entry->kind, KIND_ADJUST) != 0 ||
		!context_field_of(entry->context, FIELD_BY, jbvBinary, &by))
		return false;
	then.role = name_of(&by, FIELD_ROLE);
	then.session = name_of(&by, FIELD_SESSION);
	if (then.role == NULL || name_of(&by, FIELD_PROPOSAL) != NULL ||
		getKeyJsonValueFromContainer(by.val.binary.data, FIELD_OWN, strlen(FIELD_OWN), &own) != NULL)
		return false;
	if (then.session == NULL)
		then.session = then.role;
	*points = actor_moved_points(entry);
	return actor_same_person(&then, actor);
}

TimestampTz
actor_day_before(void)
{
	return GetCurrentTransactionStartTimestamp() - DAY;
}

typedef struct Adding
{
	Actor		actor;
	TimestampTz since;
	Points		total;
} Adding;

static void
add_adjusted(const EntryRow *entry, void *arg)
{
	Adding	   *adding = arg;
	Points		points;

	if (actor_adjusted(entry, &adding->actor, adding->since, &points) &&
		pg_add_s64_overflow(adding->total, points, &adding->total))
		adding->total = POINTS_MAX;
}

Points
actor_adjusted_points(Config *config, const Program *program, Store *store, const MemberRow *member)
{
	Adding		adding = {.actor = actor_now(), .since = actor_day_before()};
	MemberIds	ledgers = {0};
	Snapshot	snapshot;
	int			i;

	if (program->has_merges)
		merge_family(config, member->member_id, &ledgers);
	else
		member_ids_add(&ledgers, member->member_id);
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	for (i = 0; i < ledgers.count; i++)
		store_visit_entries(store, ledgers.ids[i], SOURCE_API, NULL, add_adjusted, &adding);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return adding.total;
}

void
actor_check_limit(Config *config, const Program *program, Store *store, const MemberRow *member,
				  Points points, const char *what)
{
	Points		before;

	if (program->adjust_limit == 0)
		return;
	before = actor_adjusted_points(config, program, store, member);
	if (points <= program->adjust_limit - before)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_PROPOSAL),
			 errmsg("so many points take a second person"),
			 errdetail("Program \"%s\" lets one role adjust %s points of a member within a day; of member \"%s\" it has adjusted %s, %s were to be %s.",
					   program->name, points_to_cstring(program->adjust_limit), text_to_cstring(member->ref),
					   points_to_cstring(before), points_to_cstring(points), what),
			 errhint("loyalty.adjust proposes what another role can approve.")));
}
