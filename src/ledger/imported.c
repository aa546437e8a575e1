/*
 * imported.c
 *		What the entry of an import says beside its lots.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"

#include "ledger/act.h"
#include "ledger/context_field.h"
#include "ledger/imported.h"
#include "loyalty.h"

extern Datum loyalty_purse_out(PG_FUNCTION_ARGS);
extern Datum loyalty_tally_in(PG_FUNCTION_ARGS);
extern Datum loyalty_tally_out(PG_FUNCTION_ARGS);

/*
 * Writing
 */

static void
push_purse(JsonbParseState **state, const char *name, const Purse *purse)
{
	if (purse->nlots > 0)
		act_push_text(state, name, DatumGetCString(DirectFunctionCall1(loyalty_purse_out, purse_pack(purse))));
}

static void
push_tally(JsonbParseState **state, const Tally *tally)
{
	if (tally->nperiods > 0)
		act_push_text(state, "tally", DatumGetCString(DirectFunctionCall1(loyalty_tally_out, tally_pack(tally))));
}

static void
push_time(JsonbParseState **state, const char *name, TimestampTz at)
{
	char		string[MAXDATELEN + 1];
	int			utc = 0;

	if (TIMESTAMP_NOT_FINITE(at))
		return;
	JsonEncodeDateTime(string, TimestampTzGetDatum(at), TIMESTAMPTZOID, &utc);
	act_push_text(state, name, string);
}

Jsonb *
imported_write(const Imported *imported)
{
	JsonbParseState *state = NULL;
	Jsonb	   *context;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_purse(&state, "lots", &imported->lots);
	push_purse(&state, "undated", &imported->undated);
	if (imported->has_lifetime)
		act_push_points(&state, "lifetime", imported->lifetime);
	push_time(&state, "enrolled_at", imported->enrolled_at);
	push_time(&state, "last_activity", imported->last_activity);
	if (imported->tier != NULL)
		act_push_text(&state, "tier", text_to_cstring(imported->tier));
	push_time(&state, "tier_since", imported->tier_since);
	if (!DATE_IS_NOEND(imported->tier_until))
		act_push_date(&state, "tier_until", imported->tier_until);
	push_tally(&state, &imported->tally);
	context = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	return JB_ROOT_COUNT(context) == 0 ? NULL : context;
}

/*
 * Reading
 */

static char *
string_of(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static TimestampTz
time_of(const JsonbValue *value)
{
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(string_of(value)),
												   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

void
imported_count(const EntryRow *entry, Points *lifetime, TimestampTz *last_activity)
{
	JsonbValue	value;

	*lifetime = Max(entry->points, 0);
	if (context_field_of(entry->context, "lifetime", jbvNumeric, &value))
		*lifetime = points_from_numeric(value.val.numeric);
	*last_activity = entry->occurred_at;
	if (context_field_of(entry->context, "last_activity", jbvString, &value))
		*last_activity = time_of(&value);
}

void
imported_add_tally(const EntryRow *entry, Tally *tally)
{
	JsonbValue	value;
	Tally		added;
	int			i;

	if (!context_field_of(entry->context, "tally", jbvString, &value))
		return;
	tally_init(&added);
	tally_read(&added, DirectFunctionCall1(loyalty_tally_in, CStringGetDatum(string_of(&value))));
	for (i = 0; i < added.nperiods; i++)
		tally_add_day(tally, added.periods[i].first, added.periods[i].amount,
					  added.periods[i].points, added.periods[i].purchases);
}

/*
 * Merges
 */

void
moved_push(JsonbParseState **state, const Moved *moved)
{
	if (moved->lifetime != 0)
		act_push_points(state, "lifetime", moved->lifetime);
	push_time(state, "last_activity", moved->last_activity);
	push_tally(state, &moved->tally);
}

void
moved_count(const EntryRow *entry, Points *lifetime, TimestampTz *last_activity)
{
	JsonbValue	value;

	*lifetime = 0;
	*last_activity = DT_NOBEGIN;
	if (context_field_of(entry->context, "lifetime", jbvNumeric, &value))
		*lifetime = points_from_numeric(value.val.numeric);
	if (context_field_of(entry->context, "last_activity", jbvString, &value))
		*last_activity = time_of(&value);
}

/* Whether it is a key of such an act: its kind, and what was given or a number. */
static bool
is_key_of(const text *source_key, const char *kind)
{
	int			length = strlen(kind);
	const char *key = VARDATA_ANY(source_key);

	return VARSIZE_ANY_EXHDR(source_key) > length && memcmp(key, kind, length) == 0 &&
		(key[length] == ':' || key[length] == '#');
}

bool
drawn_by_household(const text *source_key)
{
	return is_key_of(source_key, HOUSEHOLD_KEYS);
}

bool
moved_by_merge(const text *source_key)
{
	return is_key_of(source_key, MERGE_KEYS) || is_key_of(source_key, UNMERGE_KEYS) ||
		is_key_of(source_key, PASS_KEYS) || drawn_by_household(source_key);
}
