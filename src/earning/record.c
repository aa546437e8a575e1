/*
 * record.c
 *		Events and purchases that no table holds, recorded by a function.
 *
 * An event is judged as a purchase is, by the rules that are about it.  It is
 * asked for once, and its rows do not change afterwards, so there is one
 * posting; what it was asked for is kept with its first entry.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "earning/record.h"
#include "ledger/access.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "ledger/velocity.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_record);

/* Arguments of record, in order. */
enum
{
	ARG_MEMBER, ARG_EVENT, ARG_AMOUNT, ARG_DATA, ARG_LINES, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

/* What an earlier call with the same key posted, its entries taken together as one. */
typedef struct Earlier
{
	EarlierAct	act;			/* seq of the first, their points, its time and note; seq 0: there are none */
	int64		last_seq;
	PurchaseContext context;
} Earlier;

static void
remember_entry(const EntryRow *entry, void *arg)
{
	Earlier    *earlier = arg;
	EntryRow   *sum = &earlier->act.entry;

	if (entry->revision != 1)
		return;
	sum->points = points_add(sum->points, entry->points);
	earlier->last_seq = Max(earlier->last_seq, entry->seq);
	if (sum->seq != 0 && sum->seq < entry->seq)
		return;
	sum->seq = entry->seq;
	sum->occurred_at = entry->occurred_at;
	sum->note = entry->note == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(entry->note));
	memset(&earlier->context, 0, sizeof(earlier->context));
	context_read_purchase(entry->context, &earlier->context);
}

static bool
find_in_ledger(Store *store, int64 member_id, const text *key, Earlier *earlier)
{
	store_visit_entries(store, member_id, SOURCE_API, key, remember_entry, earlier);
	if (earlier->last_seq == 0)
		return false;
	balance_replay(store, member_id, DT_NOEND, earlier->last_seq, &earlier->act.state);
	return true;
}

/* Whether the key has been used; in whatever ledger merges have led it to. */
static bool
find_earlier(Config *config, const Program *program, Store *store, const text *ref, const MemberRow *member,
			 const text *key, Earlier *earlier)
{
	MemberIds	ledgers;
	int			i;

	memset(earlier, 0, sizeof(*earlier));
	if (find_in_ledger(store, member->member_id, key, earlier))
		return true;
	if (!program->has_merges)
		return false;
	merge_other_ledgers(config, program, ref, member, key, &ledgers);
	for (i = 0; i < ledgers.count; i++)
		if (find_in_ledger(store, ledgers.ids[i], key, earlier))
			return true;
	return false;
}

bool
record_find(Config *config, const Program *program, Store *store, const RecordCase *record,
			const MemberRow *member, RecordAnswer *answer)
{
	const RecordCall *call = record->call;
	Earlier		earlier;

	if (record->purchase.key == NULL ||
		!find_earlier(config, program, store, call->ref, member, record->purchase.key, &earlier))
		return false;
	if (!act_same_context(earlier.context.request, record->asked) || !same_text(earlier.act.entry.note, call->note))
		act_key_reused(call->key,
					   psprintf("It recorded something else for member \"%s\", which gave %s points.",
								text_to_cstring(call->ref), points_to_cstring(earlier.act.entry.points)));
	answer->entry = earlier.act.entry.seq;
	answer->points = earlier.act.entry.points;
	answer->balance = act_available(program, &earlier.act.state, member->enrolled_at, earlier.act.entry.occurred_at);
	answer->repeated = true;
	return true;
}

void
record_answer(const Posting *posting, int from, const text *source_key, RecordAnswer *answer)
{
	const MemberRow *member = posting->member;
	MemberState state = {member->purse, member->lifetime, member->held, member->last_activity};
	const EntryRow *first = NULL;
	int			i;

	memset(answer, 0, sizeof(*answer));
	for (i = from; i < posting->nentries; i++)
	{
		const EntryRow *entry = &posting->entries[i];

		if (entry->source_id != SOURCE_API || !same_text(entry->source_key, source_key))
			continue;
		if (first == NULL)
			first = entry;
		answer->points = points_add(answer->points, entry->points);
	}
	answer->entry = first->seq;
	answer->balance = act_available(posting->program, &state, member->enrolled_at, first->occurred_at);
}

void
record_prepare(const Program *program, const RecordCall *call, RecordCase *record)
{
	record->call = call;
	request_purchase(program, &call->request, &record->purchase);
	record->purchase.ref = call->ref;
	record->purchase.key = act_key(strcmp(call->request.event, PURCHASE_EVENT) == 0 ? PURCHASE_EVENT : RECORD_KIND,
								   call->key);
	record->asked = request_to_json(&call->request);
}

void
record_notice_event(Config *config, Program *program, const char *event)
{
	if (rule_event(rule_set(config, program), event) == EVENT_UNKNOWN)
		ereport(NOTICE,
				(errmsg("no rule of program \"%s\" is about the event \"%s\"", program->name, event)));
}

/* Judge it for a locked member, and write what it gives. */
static void
post(Config *config, Program *program, Store *store, const RecordCase *record, MemberRow *member, RecordAnswer *answer)
{
	Purchase	purchase = record->purchase;
	Single		single;
	Snapshot	snapshot;

	act_check_active(program, member);
	purchase.member_id = member->member_id;
	single_begin(&single, config, program, store, SOURCE_API,
				 rule_event(rule_set(config, program), record->call->request.event), &purchase, member);
	single.case_.asked = record->asked;
	single.case_.note = record->call->note;
	rule_set_used();
	snapshot = store_snapshot();
	single_judge(&single, snapshot, true);
	UnregisterSnapshot(snapshot);
	record_answer(&single.posting, 0, single.case_.purchase.key, answer);
	velocity_check(config, program, store, member, VELOCITY_RECORD, Max(answer->points, 0), 0);
	single_write(&single);
}

void
record_one(Config *config, Program *program, const RecordCase *record, RecordAnswer *answer)
{
	const RecordCall *call = record->call;
	Store	   *store = store_open(config, true);
	MemberRequest member;
	Snapshot	snapshot;
	bool		repeated = false;

	member_lock(config, store, program, call->ref, program->auto_enroll, call->request.at, &member);
	if (member.row == NULL)
		member_unknown(program, call->ref);
	if (record->purchase.key != NULL)
	{
		snapshot = store_snapshot();
		store_begin_read(store, snapshot);
		repeated = record_find(config, program, store, record, member.row, answer);
		store_end_read(store);
		UnregisterSnapshot(snapshot);
	}
	if (!repeated)
		post(config, program, store, record, member.row, answer);
	store_close(store);
}

/* record(member, event, amount, data, lines, reason, key, at, program) → posting */
Datum
loyalty_record(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	RecordCall	call = {.ref = member_argument(fcinfo, ARG_MEMBER), .note = text_argument(fcinfo, ARG_REASON),
	.key = text_argument(fcinfo, ARG_KEY)};
	Program    *program = access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, call.ref);
	RecordCase	record;
	RecordAnswer answer;

	request_from_arguments(fcinfo, ARG_EVENT, ARG_AT, &call.request);
	(void) act_time(fcinfo, ARG_AT);
	record_prepare(program, &call, &record);
	record_notice_event(config, program, call.request.event);
	record_one(config, program, &record, &answer);
	return act_answer(fcinfo, answer.entry, answer.points, answer.balance, answer.repeated);
}
