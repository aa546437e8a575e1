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
#include "ledger/holdings.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_adjust);

/*
 * What acts share
 */

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

void
act_check_time(TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at) || at > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be a finite time that is not in the future")));
}

void
act_key_reused(const text *key, const char *did)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_KEY_REUSED),
			 errmsg("key \"%s\" has been used with other arguments", text_to_cstring(key)),
			 errdetail_internal("%s", did),
			 errhint("A key names one act; use a new one for another.")));
}

Datum
act_result(FunctionCallInfo fcinfo, int64 entry, Points points, Points balance, bool repeated)
{
	TupleDesc	desc;
	Datum		values[4] = {Int64GetDatum(entry), PointsGetDatum(points),
	PointsGetDatum(balance), BoolGetDatum(repeated)};
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
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

Points
act_available_now(const Program *program, const MemberRow *member, TimestampTz at)
{
	MemberState state;

	state.purse = member->purse;
	state.lifetime = member->lifetime;
	state.last_activity = member->last_activity;
	return act_available(program, &state, member->enrolled_at, at);
}

bool
act_same_context(const Jsonb *a, const Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return compareJsonbContainers(unconstify(JsonbContainer *, &a->root),
								  unconstify(JsonbContainer *, &b->root)) == 0;
}

/*
 * adjust
 */

/* The entry that an earlier call with the same key made. */
typedef struct Earlier
{
	bool		found;
	EntryRow	entry;
} Earlier;

static void
remember_entry(const EntryRow *entry, void *arg)
{
	Earlier    *earlier = arg;

	earlier->found = true;
	earlier->entry = *entry;
	earlier->entry.note = entry->note == NULL ? NULL
		: DatumGetTextPCopy(PointerGetDatum(entry->note));
	if (entry->context != NULL)
		earlier->entry.context = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(entry->context));
}

/* What was available to the member at a time, by his entries up to then. */
static Points
available_then(Store *store, const Program *program, const MemberRow *member, TimestampTz at)
{
	Snapshot	snapshot = store_snapshot();
	MemberState state;

	store_begin_read(store, snapshot);
	balance_replay(store, member->member_id, at, PG_INT64_MAX, &state);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return act_available(program, &state, member->enrolled_at, at);
}

/* {"expires": "2026-12-31"}; NULL when no last day was asked for. */
static Jsonb *
expires_context(FunctionCallInfo fcinfo)
{
	JsonbParseState *state = NULL;
	JsonbValue	key;
	JsonbValue	value;
	char		day[MAXDATELEN + 1];

	if (PG_ARGISNULL(2))
		return NULL;
	JsonEncodeDateTime(day, PG_GETARG_DATUM(2), DATEOID, NULL);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	key.type = jbvString;
	key.val.string.val = "expires";
	key.val.string.len = strlen(key.val.string.val);
	pushJsonbValue(&state, WJB_KEY, &key);
	value.type = jbvString;
	value.val.string.val = pstrdup(day);
	value.val.string.len = strlen(day);
	pushJsonbValue(&state, WJB_VALUE, &value);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The last day of an adjustment's points: as asked for, else as the program's. */
static DateADT
adjustment_ends(FunctionCallInfo fcinfo, const Program *program, DateADT day)
{
	if (!PG_ARGISNULL(2))
		return PG_GETARG_DATEADT(2);
	return expiry_last_day(program->expiry, day);
}

/* adjust(member, points, expires, reason, key, at, program) → posting */
Datum
loyalty_adjust(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	text	   *note = PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3);
	text	   *key = act_key(KIND_ADJUST, PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	Jsonb	   *context = expires_context(fcinfo);
	TimestampTz at = PG_ARGISNULL(5) ? GetCurrentTransactionStartTimestamp() : PG_GETARG_TIMESTAMPTZ(5);
	Program    *program = config_program(config, PG_ARGISNULL(6) ? NULL : PG_GETARG_TEXT_PP(6));
	Points		points;
	Store	   *store;
	MemberRequest request;
	Posting		posting;
	EntryRow	entry;
	EntryRow   *added;
	Purse		lots;
	DateADT		day;
	MemberState state;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("points must not be null")));
	points = points_from_numeric(PG_GETARG_NUMERIC(1));
	if (points == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points must not be zero")));
	if (points < 0 && !PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points that are taken have no last day"),
				 errhint("Leave out \"expires\".")));
	act_check_time(at);
	day = calendar_day(at, program->zone);

	store = store_open(config, true);
	member_lock(config, store, program, ref, program->auto_enroll, at, &request);
	if (request.row == NULL)
		member_unknown(program, ref);

	if (key != NULL)
	{
		Earlier		earlier;
		Snapshot	snapshot = store_snapshot();

		earlier.found = false;
		store_begin_read(store, snapshot);
		store_visit_entries(store, request.member_id, SOURCE_API, key, remember_entry, &earlier);
		if (earlier.found)
			balance_replay(store, request.member_id, DT_NOEND, earlier.entry.seq, &state);
		store_end_read(store);
		UnregisterSnapshot(snapshot);

		if (earlier.found)
		{
			EntryRow   *old = &earlier.entry;

			if (old->points != points ||
				(!PG_ARGISNULL(5) && old->occurred_at != at) ||
				!act_same_context(old->context, context) ||
				!same_text(old->note, note))
				act_key_reused(PG_GETARG_TEXT_PP(4),
							   psprintf("It adjusted member \"%s\" by %s points.",
										text_to_cstring(ref), points_to_cstring(old->points)));
			store_close(store);
			return act_result(fcinfo, old->seq, old->points,
							  act_available(program, &state, request.row->enrolled_at, old->occurred_at),
							  true);
		}
	}

	if (request.row->status == MEMBER_CLOSED)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MEMBER_STATUS),
				 errmsg("member \"%s\" of program \"%s\" is closed",
						text_to_cstring(ref), program->name)));

	posting_begin(&posting, program, request.row);
	posting_bring_current(&posting, at);
	purse_init(&lots);
	if (points > 0)
	{
		DateADT		ends = adjustment_ends(fcinfo, program, day);

		if (PG_ARGISNULL(2) &&
			holdings_inactive_end(program, request.row->last_activity, request.row->enrolled_at) < day)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("points cannot expire before they are given"),
					 errdetail("Member \"%s\" of program \"%s\" has been inactive too long: points without a last day would lapse at once.",
							   text_to_cstring(ref), program->name),
					 errhint("Give them a last day of their own with \"expires\".")));
		if (ends < day)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("points cannot expire before they are given")));
		purse_add_lot(&lots, DATEVAL_NOBEGIN, ends, points);
	}
	else
	{
		Purse		taken;
		Points		available = purse_available(&request.row->purse, day);

		/* In the past nobody can lose what he got later. */
		if (!PG_ARGISNULL(5))
			available = Min(available, available_then(store, program, request.row, at));
		if (available < -points)
			ereport(ERROR,
					(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
					 errmsg("insufficient points"),
					 errdetail("Member \"%s\" of program \"%s\" has %s available, %s were asked for.",
							   text_to_cstring(ref), program->name,
							   points_to_cstring(available), points_to_cstring(-points))));
		purse_init(&taken);
		purse_spend(&request.row->purse, -points, day, &taken);
		purse_sub(&lots, &taken);
	}

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_ADJUST;
	entry.source_id = SOURCE_API;
	entry.source_key = key;
	entry.occurred_at = at;
	entry.context = context;
	entry.note = note;
	added = posting_add(&posting, &entry, &lots);
	posting_write(&posting, store);
	store_close(store);

	return act_result(fcinfo, added->seq, added->points,
					  act_available_now(program, request.row, at), false);
}
