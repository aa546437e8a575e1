/*
 * import_member.c
 *		What one member brings along, and the entry that it becomes.
 *
 * His rows are put together, checked, and compared with what an earlier import
 * under the same key wrote.  Whatever is wrong with them is an error, which the
 * batch turns into a failure of this member alone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/snapmgr.h"

#include "earning/qualify.h"
#include "ledger/act.h"
#include "ledger/holdings.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "operation/import.h"
#include "tiers/review.h"
#include "tiers/standing.h"
#include "types/calendar.h"

/* A member on his way into the ledger. */
typedef struct Arrival
{
	const ImportBatch *batch;
	const ImportMember *source;
	Datum		values[IMPORT_NCOLUMNS];	/* of all rows, but for lots */
	bool		nulls[IMPORT_NCOLUMNS];
	Imported	imported;
	Tally		tally;			/* as given */
	MemberRequest *request;
	bool		forgotten;		/* he is left out */
	bool		repeated;
	Posting		posting;
} Arrival;

/* 22023, with a DETAIL that names the member. */
static void
refuse(const Arrival *arrival, const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_internal("%s", message),
			 errdetail_internal("%s", detail),
			 hint == NULL ? 0 : errhint("%s", hint)));
}

/*
 * Putting rows together
 */

/* A row's points: with a last day, without one, or a debt. */
static void
add_lot(Arrival *arrival, const Datum *values, const bool *nulls)
{
	Imported   *imported = &arrival->imported;
	DateADT		starts = nulls[IMPORT_STARTS] ? DATEVAL_NOBEGIN : DatumGetDateADT(values[IMPORT_STARTS]);
	DateADT		ends = nulls[IMPORT_ENDS] ? DATEVAL_NOEND : DatumGetDateADT(values[IMPORT_ENDS]);
	Points		points = nulls[IMPORT_POINTS] ? 0 : points_from_numeric(DatumGetNumeric(values[IMPORT_POINTS]));

	if (points == 0)
		return;
	if (points < 0 && !(DATE_IS_NOBEGIN(starts) && DATE_IS_NOEND(ends)))
		refuse(arrival, "points below zero are a debt, which has no first and no last day",
			   psprintf("The row has %s points.", points_to_cstring(points)),
			   "Leave out \"starts\" and \"ends\" of a debt.");
	if (DATE_IS_NOEND(starts) || starts > ends)
		refuse(arrival, "points cannot end before they start",
			   psprintf("The row has %s points from %s to %s.", points_to_cstring(points),
						act_day_text(starts), act_day_text(ends)), NULL);
	if (points > 0 && nulls[IMPORT_ENDS])
		purse_add_lot(&imported->undated, starts, ends, points);
	else
		purse_add_lot(&imported->lots, starts, ends, points);
}

/* What is not about points may stand on any of his rows; where it stands on several, it is the same. */
static void
take_value(Arrival *arrival, int column, Datum value)
{
	Form_pg_attribute attribute = TupleDescAttr(arrival->batch->desc, column);

	if (arrival->nulls[column])
	{
		arrival->values[column] = value;
		arrival->nulls[column] = false;
	}
	else if (!datum_image_eq(arrival->values[column], value, attribute->attbyval, attribute->attlen))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_SOURCE_CONFLICT),
				 errmsg("rows of one member contradict each other"),
				 errdetail("Column \"%s\" is not the same on all of them.", NameStr(attribute->attname)),
				 errhint("Give it on one row of each member, or the same on all.")));
}

static void
put_together(Arrival *arrival)
{
	int			i;

	memset(arrival->nulls, true, sizeof(arrival->nulls));
	for (i = 0; i < arrival->source->nrows; i++)
	{
		Datum		values[IMPORT_NCOLUMNS];
		bool		nulls[IMPORT_NCOLUMNS];
		int			column;

		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(arrival->source->rows[i], arrival->batch->desc, values, nulls);
		add_lot(arrival, values, nulls);
		for (column = IMPORT_LIFETIME; column < IMPORT_NCOLUMNS; column++)
			if (!nulls[column])
				take_value(arrival, column, values[column]);
	}
}

/* A time that is given; 22023 unless it is finite and has come. */
static TimestampTz
past_time(const Arrival *arrival, int column)
{
	const char *name = NameStr(TupleDescAttr(arrival->batch->desc, column)->attname);
	TimestampTz at;

	if (arrival->nulls[column])
		return DT_NOBEGIN;
	at = DatumGetTimestampTz(arrival->values[column]);
	if (TIMESTAMP_NOT_FINITE(at) || at > arrival->batch->at)
		refuse(arrival, psprintf("\"%s\" must be a finite time that is not after the import", name),
			   psprintf("It is %s.", timestamptz_to_str(at)), NULL);
	if (!calendar_has(at))
		refuse(arrival, psprintf("\"%s\" must be in the years 1 to 9999", name),
			   psprintf("It is %s.", timestamptz_to_str(at)), NULL);
	return at;
}

static void
read_values(Arrival *arrival)
{
	Imported   *imported = &arrival->imported;
	const Datum *values = arrival->values;
	const bool *nulls = arrival->nulls;

	imported->has_lifetime = !nulls[IMPORT_LIFETIME];
	if (imported->has_lifetime)
		imported->lifetime = points_from_numeric(DatumGetNumeric(values[IMPORT_LIFETIME]));
	if (imported->lifetime < 0)
		refuse(arrival, "lifetime points cannot be below zero",
			   psprintf("They are %s.", points_to_cstring(imported->lifetime)), NULL);
	imported->enrolled_at = past_time(arrival, IMPORT_ENROLLED_AT);
	imported->last_activity = past_time(arrival, IMPORT_LAST_ACTIVITY);
	imported->tier_since = past_time(arrival, IMPORT_TIER_SINCE);
	imported->tier = nulls[IMPORT_TIER] ? NULL : DatumGetTextPP(values[IMPORT_TIER]);
	imported->tier_until = nulls[IMPORT_TIER_UNTIL] ? DATEVAL_NOEND : DatumGetDateADT(values[IMPORT_TIER_UNTIL]);
	if (imported->tier == NULL && (!nulls[IMPORT_TIER_SINCE] || !nulls[IMPORT_TIER_UNTIL]))
		refuse(arrival, "\"tier_since\" and \"tier_until\" are about a tier", "No tier is given.", NULL);
	if (!nulls[IMPORT_TIER_UNTIL] && DATE_NOT_FINITE(imported->tier_until))
		refuse(arrival, "\"tier_until\" must be a finite day", "A tier that was reached is reviewed one day.",
			   "Leave it out, or give the tier by hand: loyalty.set_tier.");
	if (!nulls[IMPORT_TALLY])
		tally_read(&arrival->tally, values[IMPORT_TALLY]);
	if (!nulls[IMPORT_DATA] && !JB_ROOT_IS_OBJECT(DatumGetJsonbP(values[IMPORT_DATA])))
		refuse(arrival, "\"data\" must be a JSON object", "It is another JSON value.", NULL);
}

/*
 * The tally by day, as the ledger counts.  Of a longer period nobody knows the
 * days: it counts on its last one, but not after he was last active, nor after
 * the import.  Of an import that was made already a period after these is left
 * as it is, so that it differs.
 */
static void
tally_by_day(Arrival *arrival, DateADT day, bool was_imported)
{
	const Tally *tally = &arrival->tally;
	pg_tz	   *zone = arrival->batch->program->zone;
	DateADT		latest = TIMESTAMP_IS_NOBEGIN(arrival->imported.last_activity) ? day
		: calendar_day(arrival->imported.last_activity, zone);
	int			i;

	tally_clear(&arrival->imported.tally);
	for (i = 0; i < tally->nperiods; i++)
	{
		const TallyPeriod *period = &tally->periods[i];

		if (period->first > latest && !was_imported)
			refuse(arrival, "what counts toward tiers cannot lie after the last activity, nor after the import",
				   psprintf("Something counts on %s, after %s.", act_day_text(period->first), act_day_text(latest)), NULL);
		tally_add_day(&arrival->imported.tally, Max(Min(tally_period_end(tally, period->first), latest), period->first),
					  period->amount, period->points, period->purchases);
	}
}

static void
read_arrival(Arrival *arrival, const ImportBatch *batch, const ImportMember *source, MemberRequest *request)
{
	Imported   *imported = &arrival->imported;

	memset(arrival, 0, sizeof(*arrival));
	arrival->batch = batch;
	arrival->source = source;
	arrival->request = request;
	purse_init(&imported->lots);
	purse_init(&imported->undated);
	tally_init(&imported->tally);
	tally_init(&arrival->tally);
	put_together(arrival);
	read_values(arrival);

	memset(request, 0, sizeof(*request));
	request->member_id = source->member_id;
	request->ref = source->ref;
	request->enroll = true;
	request->forgotten_too = true;
	/* He was a member by whatever is known of him. */
	request->enrolled_at = imported->enrolled_at;
	if (TIMESTAMP_IS_NOBEGIN(request->enrolled_at))
	{
		request->enrolled_at = batch->at;
		if (!TIMESTAMP_IS_NOBEGIN(imported->last_activity))
			request->enrolled_at = Min(request->enrolled_at, imported->last_activity);
		if (!TIMESTAMP_IS_NOBEGIN(imported->tier_since))
			request->enrolled_at = Min(request->enrolled_at, imported->tier_since);
	}
}

/*
 * Posting
 */

/* Whether he has been imported under this key already; LY006 when it was something else. */
static bool
was_imported(Arrival *arrival, Store *store, const text *source_key)
{
	const ImportBatch *batch = arrival->batch;
	EarlierAct	earlier;

	if (arrival->request->row->seq == 0 ||
		!act_find(batch->config, batch->program, store, arrival->request->ref, arrival->request->row, source_key, &earlier))
		return false;
	tally_by_day(arrival, calendar_day(earlier.entry.occurred_at, batch->program->zone), true);
	if ((batch->at_given && earlier.entry.occurred_at != batch->at) ||
		!act_same_context(earlier.entry.context, imported_write(&arrival->imported)))
		act_key_reused(batch->key, psprintf("It imported member \"%s\" with %s points, as entry " INT64_FORMAT ".",
											text_to_cstring(arrival->request->ref),
											points_to_cstring(earlier.entry.points), earlier.entry.seq));
	return true;
}

/* What he gets: lots that are open, without a first day; points without a last day, with the program's. */
static void
make_lots(Arrival *arrival, DateADT day, Purse *lots)
{
	const Imported *imported = &arrival->imported;
	const Program *program = arrival->batch->program;
	const MemberRow *member = arrival->request->row;
	TimestampTz active = TIMESTAMP_IS_NOBEGIN(imported->last_activity) ? arrival->batch->at : imported->last_activity;
	DateADT		inactive_end = holdings_inactive_end(program, Max(member->last_activity, active), member->enrolled_at);
	int			i;

	purse_init(lots);
	for (i = 0; i < imported->lots.nlots + imported->undated.nlots; i++)
	{
		bool		dated = i < imported->lots.nlots;
		Lot			lot = dated ? imported->lots.lots[i] : imported->undated.lots[i - imported->lots.nlots];
		DateADT		over;

		if (lot.starts <= day)
			lot.starts = DATEVAL_NOBEGIN;
		if (!dated)
			lot.ends = expiry_last_day(program->expiry, Max(lot.starts, day));
		over = DATE_IS_NOEND(lot.ends) ? inactive_end : lot.ends;
		if (lot.points > 0 && over < day)
			refuse(arrival, "points to be imported are over already",
				   psprintf("%s points ended on %s, the import is of %s.", points_to_cstring(lot.points),
							act_day_text(over), act_day_text(day)),
				   "Leave out what has expired, or give it a later last day.");
		purse_add_lot(lots, lot.starts, lot.ends, lot.points);
	}
}

/*
 * Through which day he has the tier that he brings where that is not said: for
 * a validity, or else, if he brings nothing that could keep it, until the window
 * has passed once.  A lifetime does not pass.
 */
static DateADT
held_until(const Standing *standing, int tier, DateADT day, bool has_tally)
{
	DateADT		until = standing_until(standing, tier, day);

	if (tier == NO_TIER || standing->program->tier_has_validity || has_tally ||
		tier_is_everyones(standing->program, standing->tiers, tier))
		return until;
	until = review_window_passes(standing, day);
	return DATE_IS_NOEND(until) ? date2j(9999, 12, 31) - POSTGRES_EPOCH_JDATE : until;
}

/* His tier, and what counts toward it; false: nothing is counted.  Inside store_begin_read. */
static bool
import_standing(Arrival *arrival, Store *store, DateADT day, Standing *standing)
{
	const Imported *imported = &arrival->imported;
	const ImportBatch *batch = arrival->batch;
	TierSet    *tiers = tier_set(batch->config, batch->program);
	RuleSet    *rules = rule_set(batch->config, batch->program);
	QualifyCounter counter = {batch->program, rules, store};
	int			tier = imported->tier == NULL ? NO_TIER : tier_named(batch->program, tiers, imported->tier);
	DateADT		until = imported->tier_until;

	standing->nchanges = 0;
	if (!qualify_is_asked(rules, tiers))
	{
		/* A tally from before the tiers were gone lacks what he brings. */
		standing_forget(arrival->request->row);
		return false;
	}
	if (until < day)
		refuse(arrival, "the tier to be imported is over already",
			   psprintf("It ended on %s, the import is of %s.", act_day_text(until), act_day_text(day)),
			   "Leave out \"tier\", or give it a later \"tier_until\".");
	standing_begin(standing, batch->program, tiers, store, arrival->request->row, qualify_count, &counter);
	if (arrival->nulls[IMPORT_TIER_UNTIL])
		until = held_until(standing, tier, day, imported->tally.nperiods > 0);
	standing_import(standing, &imported->tally, tier, until,
					TIMESTAMP_IS_NOBEGIN(imported->tier_since) ? batch->at : imported->tier_since, batch->at);
	return true;
}

/* Make up his posting.  Inside store_begin_read. */
static void
make_posting(Arrival *arrival, Store *store, text *source_key)
{
	const ImportBatch *batch = arrival->batch;
	MemberRow  *member = arrival->request->row;
	DateADT		day = calendar_day(batch->at, batch->program->zone);
	Standing	standing;
	EntryRow	entry;
	EntryRow   *added;
	Purse		lots;
	bool		counts;
	int			i;

	act_check_status(batch->program, member);
	if (!TIMESTAMP_IS_NOBEGIN(arrival->imported.enrolled_at))
		member->enrolled_at = Min(member->enrolled_at, arrival->imported.enrolled_at);
	/* Whoever has nothing yet has nothing that falls due: the bound of a newcomer is a guess. */
	if (member->seq == 0 && member->tier_changes == 0)
		member->next_expiry = DATEVAL_NOEND;
	tally_by_day(arrival, day, false);
	posting_begin(&arrival->posting, batch->program, member);
	posting_bring_current(&arrival->posting, batch->at);
	make_lots(arrival, day, &lots);
	counts = import_standing(arrival, store, day, &standing);

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_IMPORT;
	entry.source_id = SOURCE_API;
	entry.source_key = source_key;
	entry.occurred_at = batch->at;
	entry.context = imported_write(&arrival->imported);
	added = posting_add(&arrival->posting, &entry, &lots);
	if (counts)
		standing_store(&standing);
	for (i = 0; i < standing.nchanges; i++)
		posting_add_tier_change(&arrival->posting, &standing.changes[i], added->seq);
}

/* What is known of him as a person. */
static void
write_profile(const Arrival *arrival)
{
	Datum		values[4] = {arrival->values[IMPORT_BIRTHDAY], arrival->values[IMPORT_SEGMENTS],
	(Datum) 0, arrival->values[IMPORT_DATA]};
	char		nulls[4] = {arrival->nulls[IMPORT_BIRTHDAY] ? 'n' : ' ', arrival->nulls[IMPORT_SEGMENTS] ? 'n' : ' ',
	'n', arrival->nulls[IMPORT_DATA] ? 'n' : ' '};

	if (memchr(nulls, ' ', lengthof(nulls)) != NULL)
		member_write_profile(arrival->batch->config, arrival->request->row, values, nulls);
}

void
import_write(void *arg)
{
	ImportBatch *batch = arg;
	text	   *source_key = act_key("import", batch->key);
	Arrival    *arrivals = palloc(sizeof(Arrival) * batch->count);
	MemberRequest *requests = palloc(sizeof(MemberRequest) * batch->count);
	Store	   *store;
	Snapshot	snapshot;
	int			i;

	batch->imported = 0;
	batch->repeated = 0;
	batch->forgotten = 0;
	for (i = 0; i < batch->count; i++)
		read_arrival(&arrivals[i], batch, &batch->members[i], &requests[i]);
	store = store_open(batch->config, true);
	members_lock(batch->config, store, batch->program, requests, batch->count);
	for (i = 0; i < batch->count; i++)
	{
		arrivals[i].forgotten = requests[i].row->status == MEMBER_FORGOTTEN;
		arrivals[i].repeated = !arrivals[i].forgotten && was_imported(&arrivals[i], store, source_key);
	}

	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	for (i = 0; i < batch->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!arrivals[i].repeated && !arrivals[i].forgotten)
			make_posting(&arrivals[i], store, source_key);
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);

	for (i = 0; i < batch->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (arrivals[i].repeated || arrivals[i].forgotten)
		{
			batch->repeated += arrivals[i].repeated;
			batch->forgotten += arrivals[i].forgotten;
			continue;
		}
		posting_write(&arrivals[i].posting, store);
		write_profile(&arrivals[i]);
		batch->imported++;
	}
	store_close(store);
}
