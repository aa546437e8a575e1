/*
 * act.c
 *		What moves points by hand.
 *
 * Every act locks its member, looks whether its key has been used, brings the
 * member up to date, and posts.  A key is a name space of its own per kind of
 * act: the entry's source_key is the kind, a colon and the key.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/act.h"
#include "ledger/balance.h"
#include "ledger/context_field.h"
#include "ledger/holdings.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "types/calendar.h"

/* What looking for a key has found. */
typedef struct Finding
{
	bool		found;
	EntryRow   *entry;
} Finding;

static void
remember_entry(const EntryRow *entry, void *arg)
{
	Finding    *finding = arg;

	finding->found = true;
	*finding->entry = *entry;
	finding->entry->note = entry->note == NULL ? NULL
		: DatumGetTextPCopy(PointerGetDatum(entry->note));
	if (entry->context != NULL)
		finding->entry->context = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(entry->context));
}

text *
act_key(const char *kind, const text *key)
{
	if (key == NULL)
		return NULL;
	if (VARSIZE_ANY_EXHDR(key) > MAX_KEY_BYTES - 100)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("key is too long"),
				 errdetail("It has %d bytes, %d are allowed.",
						   (int) VARSIZE_ANY_EXHDR(key), MAX_KEY_BYTES - 100)));
	return cstring_to_text(psprintf("%s:%s", kind, text_to_cstring(key)));
}

bool
act_find_in(Store *store, int64 member_id, const text *source_key, EarlierAct *earlier)
{
	Finding		finding = {false, &earlier->entry};
	Snapshot	snapshot;

	if (source_key == NULL)
		return false;
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	store_visit_entries(store, member_id, SOURCE_API, source_key, remember_entry, &finding);
	if (finding.found)
		balance_replay(store, member_id, DT_NOEND, earlier->entry.seq, &earlier->state);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return finding.found;
}

bool
act_find(Config *config, const Program *program, Store *store, const text *ref,
		 const MemberRow *member, const text *source_key, EarlierAct *earlier)
{
	MemberIds	ledgers;
	int			i;

	if (act_find_in(store, member->member_id, source_key, earlier))
		return true;
	if (source_key == NULL || !program->has_merges)
		return false;
	merge_other_ledgers(config, program, ref, member, source_key, &ledgers);
	for (i = 0; i < ledgers.count; i++)
		if (act_find_in(store, ledgers.ids[i], source_key, earlier))
			return true;
	return false;
}

void
act_key_reused(const text *key, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_KEY_REUSED),
			 errmsg("key \"%s\" has been used with other arguments", text_to_cstring(key)),
			 errdetail_internal("%s", detail),
			 errhint("A key names one act; use a new one for another.")));
}

Points
act_points_given(FunctionCallInfo fcinfo, int argno)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("points must not be null")));
	return points_from_numeric(PG_GETARG_NUMERIC(argno));
}

Points
act_points(FunctionCallInfo fcinfo, int argno)
{
	Points		points = act_points_given(fcinfo, argno);

	if (points <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points must be greater than zero")));
	return points;
}

void
act_check_time(TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at) || at > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be a finite time that is not in the future")));
	if (!calendar_has(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be in the years 1 to 9999")));
}

TimestampTz
act_time(FunctionCallInfo fcinfo, int argno)
{
	TimestampTz at = PG_ARGISNULL(argno) ? GetCurrentTransactionStartTimestamp() : PG_GETARG_TIMESTAMPTZ(argno);

	act_check_time(at);
	return at;
}

void
act_check_status(const Program *program, const MemberRow *member)
{
	if (member->status == MEMBER_CLOSED)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MEMBER_STATUS),
				 errmsg("member \"%s\" of program \"%s\" is closed",
						text_to_cstring(member->ref), program->name)));
	if (member->status == MEMBER_MERGED)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MEMBER_STATUS),
				 errmsg("member \"%s\" of program \"%s\" is merged into another one",
						text_to_cstring(member->ref), program->name)));
}

void
act_check_active(const Program *program, const MemberRow *member)
{
	act_check_status(program, member);
	if (member->status == MEMBER_SUSPENDED)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MEMBER_STATUS),
				 errmsg("member \"%s\" of program \"%s\" is suspended",
						text_to_cstring(member->ref), program->name)));
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *string)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = pstrdup(string);
	value.val.string.len = strlen(string);
	pushJsonbValue(state, token, &value);
}

void
act_push_key(JsonbParseState **state, const char *name)
{
	push_string(state, WJB_KEY, name);
}

void
act_push_text(JsonbParseState **state, const char *name, const char *value)
{
	act_push_key(state, name);
	push_string(state, WJB_VALUE, value);
}

void
act_push_date(JsonbParseState **state, const char *name, DateADT day)
{
	char		string[MAXDATELEN + 1];

	JsonEncodeDateTime(string, DateADTGetDatum(day), DATEOID, NULL);
	act_push_text(state, name, string);
}

void
act_push_numeric(JsonbParseState **state, const char *name, Numeric number)
{
	JsonbValue	value;

	act_push_key(state, name);
	value.type = jbvNumeric;
	value.val.numeric = number;
	pushJsonbValue(state, WJB_VALUE, &value);
}

void
act_push_points(JsonbParseState **state, const char *name, Points points)
{
	act_push_numeric(state, name, points_to_numeric(points));
}

char *
act_day_text(DateADT day)
{
	int			level = settings_pin();
	char	   *text = DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(day)));

	settings_unpin(level);
	return text;
}

bool
act_same_context(const Jsonb *a, const Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return compareJsonbContainers(unconstify(JsonbContainer *, &a->root),
								  unconstify(JsonbContainer *, &b->root)) == 0;
}

Points
act_available(const Program *program, const MemberState *state, TimestampTz enrolled_at, TimestampTz at)
{
	Holdings	holdings;

	holdings_read(&state->purse,
				  holdings_inactive_end(program, state->last_activity, enrolled_at),
				  calendar_day(at, program->zone), &holdings);
	return holdings.available;
}

DateADT
act_last_day(const Program *program, const MemberRow *member, DateADT day, const DateADT *asked)
{
	DateADT		ends = asked == NULL ? expiry_last_day(program->expiry, day) : *asked;

	if (asked == NULL &&
		holdings_inactive_end(program, member->last_activity, member->enrolled_at) < day)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points cannot expire before they are given"),
				 errdetail("Member \"%s\" of program \"%s\" has been inactive too long: points without a last day would lapse at once.",
						   text_to_cstring(member->ref), program->name),
				 errhint("Give them a last day of their own with \"expires\".")));
	if (ends < day)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points cannot expire before they are given")));
	return ends;
}

Datum
act_answer(FunctionCallInfo fcinfo, int64 entry, Points points, Points balance, bool repeated)
{
	TupleDesc	desc;
	Datum		values[4] = {Int64GetDatum(entry), PointsGetDatum(points),
	PointsGetDatum(balance), BoolGetDatum(repeated)};
	bool		nulls[4] = {entry == 0, false, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Points
act_shared(const EntryRow *entry)
{
	JsonbValue	shared;

	return context_field_of(entry->context, FIELD_SHARED, jbvNumeric, &shared)
		? points_from_numeric(shared.val.numeric) : 0;
}

Datum
act_repeated(FunctionCallInfo fcinfo, const Program *program, const MemberRow *member, const EarlierAct *earlier)
{
	return act_answer(fcinfo, earlier->entry.seq, earlier->entry.points,
						  points_add(act_available(program, &earlier->state, member->enrolled_at, earlier->entry.occurred_at),
									 act_shared(&earlier->entry)),
						  true);
}

Datum
act_posted(FunctionCallInfo fcinfo, const Program *program, const MemberRow *member, const EntryRow *entry)
{
	MemberState state = {member->purse, member->lifetime, member->held, member->last_activity};

	return act_answer(fcinfo, entry->seq, entry->points,
						  points_add(act_available(program, &state, member->enrolled_at, entry->occurred_at),
									 act_shared(entry)), false);
}

Datum
act_proposed(FunctionCallInfo fcinfo, const Program *program, const MemberRow *member, TimestampTz at, bool repeated)
{
	MemberState state = {member->purse, member->lifetime, member->held, member->last_activity};

	return act_answer(fcinfo, 0, 0, act_available(program, &state, member->enrolled_at, at), repeated);
}

/* What there is of some lots. */
static void
common_lots(const Purse *purse, const Purse *wanted, Purse *common)
{
	int			i;

	for (i = 0; i < purse->nlots; i++)
	{
		const Lot  *lot = &purse->lots[i];
		Points		points = Min(lot->points, purse_lot(wanted, lot->starts, lot->ends));

		if (points > 0)
			purse_add_lot(common, lot->starts, lot->ends, points);
	}
}

/* Take up to "wanted" more of what can be spent of the purse; of some lots only, unless "only" is NULL. */
static Points
take_from(const Purse *purse, const Purse *only, Points wanted, DateADT day, Purse *lots)
{
	Purse		left;
	Purse		part;
	Purse		taken;
	Points		points;

	purse_init(&left);
	purse_copy(&left, purse);
	purse_add(&left, lots);
	if (only != NULL)
	{
		purse_init(&part);
		common_lots(&left, only, &part);
		left = part;
	}
	points = Min(wanted, purse_available(&left, day));
	if (points <= 0)
		return 0;
	purse_init(&taken);
	purse_spend(&left, points, day, &taken);
	purse_sub(lots, &taken);
	return points;
}

void
act_take(Store *store, const Program *program, const MemberRow *member,
		 Points points, TimestampTz at, bool at_given, const Purse *first, Purse *lots)
{
	DateADT		day = calendar_day(at, program->zone);
	Points		available = purse_available(&member->purse, day);
	MemberState then;

	if (at_given)
	{
		Snapshot	snapshot = store_snapshot();

		store_begin_read(store, snapshot);
		available = Min(available, balance_least_since(store, program, member, at, NIL, &then));
		store_end_read(store);
		UnregisterSnapshot(snapshot);
	}
	if (available < points)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("insufficient points"),
				 errdetail("Member \"%s\" of program \"%s\" has %s available, %s were asked for.",
						   text_to_cstring(member->ref), program->name,
						   points_to_cstring(Max(available, 0)), points_to_cstring(points))));
	if (first != NULL)
		points -= take_from(&member->purse, first, points, day, lots);
	if (at_given)
		points -= take_from(&member->purse, &then.purse, points, day, lots);
	(void) take_from(&member->purse, NULL, points, day, lots);
}
