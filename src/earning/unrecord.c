/*
 * unrecord.c
 *		Cancelling an event that record recorded.
 *
 * It is settled once more, as a purchase that does not count; the first entry
 * of that posting says in its context that it was cancelled, and by which key,
 * since the entries have the key of the event.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "earning/request.h"
#include "earning/single.h"
#include "earning/unrecord.h"
#include "ledger/context_field.h"
#include "loyalty.h"

/* On the way through the entries of an event. */
typedef struct EventReading
{
	Recorded   *recorded;
	int32		revision;		/* of the posting that cancelled it */
	int64		last_seq;		/* of that posting */
	Jsonb	   *request;		/* what was recorded */
} EventReading;

static void
notice_cancellation(const EntryRow *entry, void *arg)
{
	EventReading *reading = arg;
	Recorded   *recorded = reading->recorded;
	JsonbValue	key;

	recorded->net = points_add(recorded->net, entry->points);
	if (!context_field_of(entry->context, FIELD_CANCELLED, jbvString, &key))
		return;
	recorded->cancelled = true;
	reading->revision = entry->revision;
	if (key.val.string.len > 0)
		recorded->key = cstring_to_text_with_len(key.val.string.val, key.val.string.len);
}

static void
add_up(const EntryRow *entry, void *arg)
{
	EventReading *reading = arg;
	EntryRow   *sum = &reading->recorded->by.entry;

	if (entry->revision != reading->revision)
		return;
	sum->points = points_add(sum->points, entry->points);
	reading->last_seq = Max(reading->last_seq, entry->seq);
	if (sum->seq != 0 && sum->seq < entry->seq)
		return;
	sum->seq = entry->seq;
	sum->occurred_at = entry->occurred_at;
	sum->note = entry->note == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(entry->note));
}

void
recorded_read(Store *store, int64 member_id, const text *source_key, Recorded *recorded)
{
	EventReading reading = {.recorded = recorded};
	Snapshot	snapshot = store_snapshot();

	memset(recorded, 0, sizeof(*recorded));
	store_begin_read(store, snapshot);
	store_visit_entries(store, member_id, SOURCE_API, source_key, notice_cancellation, &reading);
	if (recorded->cancelled)
	{
		store_visit_entries(store, member_id, SOURCE_API, source_key, add_up, &reading);
		balance_replay(store, member_id, DT_NOEND, reading.last_seq, &recorded->by.state);
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);
}

/* Who else was cancelled by a key. */
typedef struct KeySearch
{
	const text *key;
	const text *source_key;		/* that is not looked for; NULL: any */
	bool		found;
} KeySearch;

static void
look_for_key(const EntryRow *entry, void *arg)
{
	KeySearch  *search = arg;
	JsonbValue	key;

	if (context_field_of(entry->context, FIELD_CANCELLED, jbvString, &key) &&
		key.val.string.len == VARSIZE_ANY_EXHDR(search->key) &&
		memcmp(key.val.string.val, VARDATA_ANY(search->key), key.val.string.len) == 0 &&
		(search->source_key == NULL || !same_text(entry->source_key, search->source_key)))
		search->found = true;
}

bool
recorded_cancelled_by(Store *store, int64 member_id, const text *key, const text *source_key)
{
	KeySearch	search = {key, source_key, false};
	Snapshot	snapshot = store_snapshot();

	store_begin_read(store, snapshot);
	store_visit_entries(store, member_id, SOURCE_API, NULL, look_for_key, &search);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return search.found;
}

static void
read_request(const EntryRow *entry, void *arg)
{
	Jsonb	  **request = arg;
	JsonbValue *field = context_field(entry->context, "request");

	if (entry->revision == 1 && field != NULL)
		*request = JsonbValueToJsonb(field);
}

/* The event that it was; LY017 where nothing says so any more. */
static int
event_of(Store *store, const Program *program, RuleSet *rules, int64 member_id, const text *source_key)
{
	Snapshot	snapshot = store_snapshot();
	Jsonb	   *json = NULL;
	EventRequest request;

	store_begin_read(store, snapshot);
	store_visit_entries(store, member_id, SOURCE_API, source_key, read_request, &json);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	if (json == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_NOT_CANCELLABLE),
				 errmsg("what was recorded under \"%s\" is no longer known", text_to_cstring(source_key)),
				 errhint("loyalty.adjust puts a balance right.")));
	request_from_json(json, &request);
	return rule_event(rules, request.event);
}

EntryRow
unrecord(Config *config, Program *program, Store *store, MemberRow *member,
		 const text *source_key, text *note, const text *key, TimestampTz at)
{
	RuleSet    *rules = rule_set(config, program);
	Purchase	purchase;
	Single		single;
	EntryRow	sum;
	Snapshot	snapshot;
	int			i;

	memset(&purchase, 0, sizeof(purchase));
	purchase.member_id = member->member_id;
	purchase.ref = member->ref;
	purchase.key = DatumGetTextPCopy(PointerGetDatum(source_key));
	purchase.at = at;
	single_begin(&single, config, program, store, SOURCE_API,
				 event_of(store, program, rules, member->member_id, source_key), &purchase, member);
	single.settlement.now = at;
	single.case_.note = note;
	single.case_.cancelled = true;
	single.case_.cancel_key = key == NULL ? NULL : text_to_cstring(key);
	rule_set_used();
	snapshot = store_snapshot();
	single_judge(&single, snapshot, true);
	UnregisterSnapshot(snapshot);
	single_write(&single);

	memset(&sum, 0, sizeof(sum));
	for (i = 0; i < single.posting.nentries; i++)
	{
		const EntryRow *entry = &single.posting.entries[i];

		if (!single_is_own(&single, entry))
			continue;
		if (sum.seq == 0)
			sum = *entry;
		else
			sum.points = points_add(sum.points, entry->points);
	}
	return sum;
}
