/*
 * set_tier.c
 *		A tier by hand: a floor below which a member does not fall.
 *
 * It lies beside the tier that he reaches himself, and the higher one counts.
 * A floor with a last day is ended by the first review after it; one that is
 * taken away is gone at once, for that is somebody's decision.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "tiers/standing.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_set_tier);

/* {"tier": "gold", "until": "2027-12-31"}; "until" if given, "tier" null for the end of a floor. */
static Jsonb *
floor_context(const text *tier, DateADT until)
{
	JsonbParseState *state = NULL;
	JsonbValue	null = {.type = jbvNull};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (tier != NULL)
		act_push_text(&state, "tier", text_to_cstring(tier));
	else
	{
		act_push_key(&state, "tier");
		pushJsonbValue(&state, WJB_VALUE, &null);
	}
	if (!DATE_IS_NOEND(until))
		act_push_date(&state, "until", until);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* 22023 for a last day that makes no sense. */
static void
check_until(const text *tier, DateADT until, DateADT day)
{
	if (tier == NULL && !DATE_IS_NOEND(until))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tier that is taken away has no last day"),
				 errhint("Leave out \"until\".")));
	if (until < day)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tier cannot end before it is given"),
				 errdetail("It would be given on %s and end on %s.", act_day_text(day),
						   act_day_text(until))));
}

/*
 * History goes forward: when the change takes effect.  Transactions may have
 * begun in another order than they came to the member, so a time that nobody
 * asked for gives way; one that was asked for is refused.
 */
static TimestampTz
effective_at(Standing *standing, TimestampTz at, bool given)
{
	Snapshot	snapshot = store_snapshot();
	TimestampTz latest;

	store_begin_read(standing->store, snapshot);
	latest = standing_last_change(standing);
	store_end_read(standing->store);
	UnregisterSnapshot(snapshot);
	if (at >= latest)
		return at;
	if (given)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tier cannot be given before the last change of tier"),
				 errdetail("The tier of member \"%s\" of program \"%s\" last changed at %s, and was to change at %s.",
						   text_to_cstring(standing->member->ref), standing->program->name,
						   pstrdup(timestamptz_to_str(latest)), pstrdup(timestamptz_to_str(at))),
				 errhint("Give it from then on, or leave out \"at\".")));
	return latest;
}

/* set_tier(member, tier, until, reason, key, at, program) → posting */
Datum
loyalty_set_tier(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	text	   *name = text_argument(fcinfo, 1);
	DateADT		until = PG_ARGISNULL(2) ? DATEVAL_NOEND : PG_GETARG_DATEADT(2);
	text	   *note = text_argument(fcinfo, 3);
	text	   *key = act_key("tier", text_argument(fcinfo, 4));
	bool		at_given = !PG_ARGISNULL(5);
	TimestampTz at = act_time(fcinfo, 5);
	Program    *program = access_program_for(config, text_argument(fcinfo, 6), ACCESS_OPERATE, ref);
	TierSet    *tiers = tier_set(config, program);
	Jsonb	   *context = floor_context(name, until);
	int			tier;
	Store	   *store;
	MemberRequest request;
	Standing	standing;
	Posting		posting;
	EntryRow	entry;
	EntryRow   *added;
	Purse		lots;
	EarlierAct	earlier;
	int			i;

	store = store_open(config, true);
	member_lock(config, store, program, ref, program->auto_enroll, at, &request);
	if (request.row == NULL)
		member_unknown(program, ref);
	if (act_find(config, program, store, ref, request.row, key, &earlier))
	{
		const EntryRow *old = &earlier.entry;

		if ((at_given && old->occurred_at != at) ||
			!act_same_context(old->context, context) ||
			!same_text(old->note, note))
			act_key_reused(PG_GETARG_TEXT_PP(4),
						   psprintf("It set the tier of member \"%s\".", text_to_cstring(ref)));
		store_close(store);
		return act_repeated(fcinfo, program, request.row, &earlier);
	}
	tier = name == NULL ? NO_TIER : tier_named(program, tiers, name);
	check_until(name, until, calendar_day(at, program->zone));
	act_check_status(program, request.row);
	/* A floor needs no figures, so nothing that counts them. */
	standing_begin(&standing, program, tiers, store, request.row, NULL, NULL);
	at = effective_at(&standing, at, at_given);

	posting_begin(&posting, program, request.row);
	posting_bring_current(&posting, at);
	standing_set_floor(&standing, tier, until, at, TIER_MANUAL, note);
	request.row->next_expiry = Min(request.row->next_expiry, until);

	purse_init(&lots);
	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_ADJUST;
	entry.source_id = SOURCE_API;
	entry.source_key = key;
	entry.occurred_at = at;
	entry.context = context;
	entry.note = note;
	added = posting_add(&posting, &entry, &lots);
	for (i = 0; i < standing.nchanges; i++)
		posting_add_tier_change(&posting, &standing.changes[i], added->seq);
	posting_write(&posting, store);
	store_close(store);
	return act_posted(fcinfo, program, request.row, added);
}
