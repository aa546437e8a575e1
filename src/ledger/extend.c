/*
 * extend.c
 *		A later last day for points, and expired points that come back.
 *
 * Both judge the member as of now, when the act is dated earlier too: what has
 * lapsed since is written down first, so the answer does not depend on whether
 * maintenance has run.  And nobody can move in the past what he got later.
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/actor.h"
#include "ledger/balance.h"
#include "ledger/context_field.h"
#include "ledger/holdings.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "ledger/velocity.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_extend);
PG_FUNCTION_INFO_V1(loyalty_reinstate);

/* Where reinstatements keep which expiries they took back: {"7": 120}, by entry. */
#define REINSTATES "reinstates"

/*
 * What both acts begin with
 */

typedef struct Act
{
	Config	   *config;
	Program    *program;
	text	   *note;
	text	   *key;			/* as given; NULL: none */
	text	   *source_key;
	TimestampTz at;
	bool		at_given;
	DateADT		day;			/* that of "at" */
	DateADT		today;
	bool		all;			/* no number of points was asked for */
	Points		points;
	Store	   *store;
	text	   *ref;			/* as named in the call */
	MemberRow  *member;
	Posting		posting;
} Act;

/* Read what the acts have in common, from the argument "reason" on, and lock the member. */
static void
begin_act(FunctionCallInfo fcinfo, const char *kind, int points_arg, int reason_arg, Act *act)
{
	text	   *ref = member_argument(fcinfo, 0);
	MemberRequest request;

	memset(act, 0, sizeof(*act));
	act->config = config_get();
	act->note = text_argument(fcinfo, reason_arg);
	act->key = text_argument(fcinfo, reason_arg + 1);
	act->source_key = act_key(kind, act->key);
	act->at = act_time(fcinfo, reason_arg + 2);
	act->at_given = !PG_ARGISNULL(reason_arg + 2);
	act->program = access_program_for(act->config, text_argument(fcinfo, reason_arg + 3), ACCESS_OPERATE, ref);
	act->day = calendar_day(act->at, act->program->zone);
	act->today = calendar_day(GetCurrentTransactionStartTimestamp(), act->program->zone);
	act->all = PG_ARGISNULL(points_arg);
	act->points = act->all ? 0 : act_points(fcinfo, points_arg);

	act->store = store_open(act->config, true);
	member_lock(act->config, act->store, act->program, ref, false, 0, &request);
	if (request.row == NULL)
		member_unknown(act->program, ref);
	act->ref = ref;
	act->member = request.row;
}

/* Whether an earlier call with this key was another one. */
static bool
differs(const Act *act, const EntryRow *earlier, const Jsonb *earlier_context, const Jsonb *context)
{
	return (act->at_given && earlier->occurred_at != act->at) ||
		!act_same_context(earlier_context, context) ||
		!same_text(earlier->note, act->note);
}

/* Bring the member up to now. */
static void
ready_member(Act *act)
{
	act_check_status(act->program, act->member);
	posting_begin(&act->posting, act->program, act->member);
	posting_bring_current(&act->posting, act->posting.posted_at);
}

/* What is given a new life: more than one role may give by itself takes a second person. */
static void
check_limits(const Act *act, const Purse *lots, const char *what)
{
	Points		points = 0;
	int			i;

	for (i = 0; i < lots->nlots; i++)
		if (lots->lots[i].points > 0)
			points = points_add(points, lots->lots[i].points);
	actor_check_limit(act->config, act->program, act->store, act->member, points, what);
	velocity_check(act->config, act->program, act->store, act->member, VELOCITY_ADJUST, points, 0);
}

static Datum
post(FunctionCallInfo fcinfo, Act *act, const Purse *lots, Jsonb *context)
{
	EntryRow	entry;
	EntryRow   *added;

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_ADJUST;
	entry.source_id = SOURCE_API;
	entry.source_key = act->source_key;
	entry.occurred_at = act->at;
	entry.context = actor_sign(context, NULL, false);
	entry.note = act->note;
	added = posting_add(&act->posting, &entry, lots);
	posting_write(&act->posting, act->store);
	store_close(act->store);
	return act_posted(fcinfo, act->program, act->member, added);
}

/*
 * Extending
 */

/* {"act": "extend", "new_ends": "2026-06-30", "ends": "2026-03-31", "points": 50}; the last two if given. */
static Jsonb *
extend_context(FunctionCallInfo fcinfo, const Act *act, DateADT new_ends)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_text(&state, "act", "extend");
	act_push_date(&state, "new_ends", new_ends);
	if (!PG_ARGISNULL(1))
		act_push_date(&state, "ends", PG_GETARG_DATEADT(1));
	if (!act->all)
		act_push_points(&state, "points", act->points);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/*
 * The positive lots with a last day that the member can have extended: those he
 * has now, and had at the time of the act.
 */
static void
extendable_lots(const Act *act, Purse *lots)
{
	const Purse *purse = &act->member->purse;
	Purse		then;
	int			i;

	purse_init(&then);
	if (act->at_given)
	{
		Snapshot	snapshot = store_snapshot();
		MemberState state;

		store_begin_read(act->store, snapshot);
		balance_replay(act->store, act->member->member_id, act->at, PG_INT64_MAX, &state);
		store_end_read(act->store);
		UnregisterSnapshot(snapshot);
		purse_outstanding(&state.purse, act->day, &then);
	}
	for (i = 0; i < purse->nlots; i++)
	{
		const Lot  *lot = &purse->lots[i];
		Points		points = lot->points;

		if (act->at_given)
			points = Min(points, purse_lot(&then, lot->starts, lot->ends));
		if (points > 0 && lot->ends >= act->today && !DATE_IS_NOEND(lot->ends))
			purse_add_lot(lots, lot->starts, lot->ends, points);
	}
}

/* What of the lots ends on a day. */
static Points
points_ending(const Purse *lots, DateADT ends)
{
	Points		points = 0;
	int			i;

	for (i = 0; i < lots->nlots; i++)
		if (lots->lots[i].ends == ends)
			points = points_add(points, lots->lots[i].points);
	return points;
}

/* 22023 unless the new last day is later. */
static void
check_later(const Act *act, DateADT ends, DateADT new_ends)
{
	DateADT		lives_until = new_ends;

	if (ends < act->today)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points whose last day is over cannot be extended"),
				 errhint("loyalty.reinstate brings expired points back.")));
	if (DATE_IS_NOEND(new_ends))
		lives_until = holdings_inactive_end(act->program, act->member->last_activity, act->member->enrolled_at);
	if (lives_until <= ends)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points can only be given a later last day"),
				 errdetail("They end on %s, and would end on %s.", act_day_text(ends), act_day_text(lives_until))));
}

/* extend(member, ends, new_ends, points, reason, key, at, program) → posting */
Datum
loyalty_extend(PG_FUNCTION_ARGS)
{
	Act			act;
	EarlierAct	earlier;
	Jsonb	   *context;
	Purse		lots;
	Purse		moves;
	DateADT		ends;
	DateADT		new_ends;
	Points		there;
	Points		rest;
	int			i;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("new_ends must not be null")));
	new_ends = PG_GETARG_DATEADT(2);
	begin_act(fcinfo, "extend", 3, 4, &act);
	context = extend_context(fcinfo, &act, new_ends);
	if (act_find(act.config, act.program, act.store, act.ref, act.member, act.source_key, &earlier))
	{
		if (differs(&act, &earlier.entry, actor_asked(earlier.entry.context), context))
			act_key_reused(act.key, psprintf("It extended points of member \"%s\".",
											 text_to_cstring(act.member->ref)));
		store_close(act.store);
		return act_repeated(fcinfo, act.program, act.member, &earlier);
	}
	ready_member(&act);

	purse_init(&lots);
	extendable_lots(&act, &lots);
	/* Lots are in order of their last day. */
	if (!PG_ARGISNULL(1))
		ends = PG_GETARG_DATEADT(1);
	else if (lots.nlots > 0)
		ends = lots.lots[0].ends;
	else
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("insufficient points"),
				 errdetail("Member \"%s\" of program \"%s\" has no points with a last day.",
						   text_to_cstring(act.member->ref), act.program->name)));
	if (!DATE_IS_NOEND(ends))
		check_later(&act, ends, new_ends);
	there = points_ending(&lots, ends);
	if (there == 0 || there < act.points)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("insufficient points"),
				 errdetail("Member \"%s\" of program \"%s\" has %s points that end on %s, %s were asked for.",
						   text_to_cstring(act.member->ref), act.program->name, points_to_cstring(there),
						   act_day_text(ends), act.all ? "all" : points_to_cstring(act.points))));

	/* What opens first is extended first. */
	purse_init(&moves);
	rest = act.all ? there : act.points;
	for (i = 0; i < lots.nlots && rest > 0; i++)
	{
		const Lot  *lot = &lots.lots[i];
		Points		part = Min(rest, lot->points);

		if (lot->ends != ends)
			continue;
		purse_add_lot(&moves, lot->starts, ends, -part);
		purse_add_lot(&moves, lot->starts, new_ends, part);
		rest -= part;
	}
	check_limits(&act, &moves, "extended");
	return post(fcinfo, &act, &moves, context);
}

/*
 * Reinstating
 */

/* An expiry on record, and what of it has not come back. */
typedef struct Lapse
{
	int64		seq;
	TimestampTz occurred_at;
	Points		points;
} Lapse;

typedef struct Lapses
{
	int			count;
	int			capacity;
	Lapse	   *lapses;
} Lapses;

static void
add_lapse(Lapses *lapses, const EntryRow *entry)
{
	Lapse	   *lapse;

	if (strcmp(entry->kind, KIND_EXPIRE) != 0)
		return;
	if (lapses->count == lapses->capacity)
	{
		lapses->capacity = Max(16, lapses->capacity * 2);
		lapses->lapses = lapses->lapses == NULL ? palloc(lapses->capacity * sizeof(Lapse))
			: repalloc(lapses->lapses, lapses->capacity * sizeof(Lapse));
	}
	lapse = &lapses->lapses[lapses->count++];
	lapse->seq = entry->seq;
	lapse->occurred_at = entry->occurred_at;
	lapse->points = -entry->points;
}

static void
remember_lapse(const EntryRow *entry, void *arg)
{
	add_lapse(arg, entry);
}

/* Take off what a reinstatement has brought back already. */
static void
take_off(const EntryRow *entry, void *arg)
{
	Lapses	   *lapses = arg;
	JsonbValue	found;
	int			i;

	if (!context_field_of(entry->context, REINSTATES, jbvBinary, &found))
		return;
	for (i = 0; i < lapses->count; i++)
	{
		char	   *seq = psprintf(INT64_FORMAT, lapses->lapses[i].seq);
		JsonbValue	points;

		if (getKeyJsonValueFromContainer(found.val.binary.data, seq, strlen(seq), &points) != NULL &&
			points.type == jbvNumeric)
			lapses->lapses[i].points -= points_from_numeric(points.val.numeric);
		pfree(seq);
	}
}

static int
compare_lapses(const void *a, const void *b)
{
	const Lapse *x = a;
	const Lapse *y = b;

	if (x->occurred_at != y->occurred_at)
		return x->occurred_at < y->occurred_at ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* All that expired, those just worked out too, oldest first; what came back is taken off. */
static void
find_lapses(Act *act, Lapses *lapses)
{
	Snapshot	snapshot = store_snapshot();
	int			i;

	memset(lapses, 0, sizeof(*lapses));
	store_begin_read(act->store, snapshot);
	store_visit_entries(act->store, act->member->member_id, SOURCE_API, NULL, remember_lapse, lapses);
	store_visit_entries(act->store, act->member->member_id, SOURCE_API, NULL, take_off, lapses);
	store_end_read(act->store);
	UnregisterSnapshot(snapshot);
	for (i = 0; i < act->posting.nentries; i++)
		add_lapse(lapses, &act->posting.entries[i]);
	if (lapses->count > 0)
		qsort(lapses->lapses, lapses->count, sizeof(Lapse), compare_lapses);
}

/* The first day of what expired within an interval up to a day; 22023 when it comes after it. */
static DateADT
first_day_within(DateADT day, Interval *within)
{
	Datum		start = DirectFunctionCall2(date_mi_interval, DateADTGetDatum(day), IntervalPGetDatum(within));
	DateADT		first = DatumGetDateADT(DirectFunctionCall1(timestamp_date, start));

	if (first > day)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"within\" must not be negative")));
	return first;
}

/* What was asked for, as far as it was; the object is left open. */
static void
push_asked(FunctionCallInfo fcinfo, const Act *act, Interval *within, JsonbParseState **state)
{
	int			level = settings_pin();

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	act_push_text(state, "act", "reinstate");
	act_push_text(state, "within", DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(within))));
	if (!PG_ARGISNULL(2))
		act_push_date(state, "expires", PG_GETARG_DATEADT(2));
	if (!act->all)
		act_push_points(state, "points", act->points);
	settings_unpin(level);
}

/* The context of an earlier reinstatement without what it found. */
static Jsonb *
asked_then(const EntryRow *entry)
{
	Jsonb	   *context = actor_asked(entry->context);

	return context == NULL ? NULL
		: DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(context), CStringGetTextDatum(REINSTATES)));
}

/* reinstate(member, points, expires, within, reason, key, at, program) → posting */
Datum
loyalty_reinstate(PG_FUNCTION_ARGS)
{
	static Interval ninety_days = {.day = 90};
	Interval   *within = PG_ARGISNULL(3) ? &ninety_days : PG_GETARG_INTERVAL_P(3);
	DateADT		expires = PG_GETARG_DATEADT(2);
	JsonbParseState *asked = NULL;
	JsonbParseState *context = NULL;
	Act			act;
	EarlierAct	earlier;
	Lapses		lapses;
	Purse		lots;
	DateADT		first;
	Points		there = 0;
	Points		rest;
	int			i;

	begin_act(fcinfo, "reinstate", 1, 4, &act);
	first = first_day_within(act.day, within);
	push_asked(fcinfo, &act, within, &asked);
	if (act_find(act.config, act.program, act.store, act.ref, act.member, act.source_key, &earlier))
	{
		if (differs(&act, &earlier.entry, asked_then(&earlier.entry),
					JsonbValueToJsonb(pushJsonbValue(&asked, WJB_END_OBJECT, NULL))))
			act_key_reused(act.key, psprintf("It reinstated %s points of member \"%s\".",
											 points_to_cstring(earlier.entry.points),
											 text_to_cstring(act.member->ref)));
		store_close(act.store);
		return act_repeated(fcinfo, act.program, act.member, &earlier);
	}
	ready_member(&act);

	find_lapses(&act, &lapses);
	for (i = 0; i < lapses.count; i++)
	{
		Lapse	   *lapse = &lapses.lapses[i];

		if (lapse->occurred_at > act.at || calendar_day(lapse->occurred_at, act.program->zone) < first)
			lapse->points = 0;
		there = points_add(there, lapse->points);
	}
	if (there == 0 || there < act.points)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("insufficient points"),
				 errdetail("Of member \"%s\" of program \"%s\" %s points have expired since %s and not come back, %s were asked for.",
						   text_to_cstring(act.member->ref), act.program->name, points_to_cstring(there),
						   act_day_text(first), act.all ? "all" : points_to_cstring(act.points))));

	/* What will soonest be too old comes back first. */
	push_asked(fcinfo, &act, within, &context);
	act_push_key(&context, REINSTATES);
	pushJsonbValue(&context, WJB_BEGIN_OBJECT, NULL);
	rest = act.all ? there : act.points;
	purse_init(&lots);
	purse_add_lot(&lots, DATEVAL_NOBEGIN,
				  act_last_day(act.program, act.member, act.day, PG_ARGISNULL(2) ? NULL : &expires), rest);
	for (i = 0; i < lapses.count && rest > 0; i++)
	{
		Points		part = Min(rest, lapses.lapses[i].points);

		if (part <= 0)
			continue;
		act_push_points(&context, psprintf(INT64_FORMAT, lapses.lapses[i].seq), part);
		rest -= part;
	}
	pushJsonbValue(&context, WJB_END_OBJECT, NULL);
	check_limits(&act, &lots, "reinstated");
	return post(fcinfo, &act, &lots, JsonbValueToJsonb(pushJsonbValue(&context, WJB_END_OBJECT, NULL)));
}
