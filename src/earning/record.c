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

#include "earning/request.h"
#include "earning/single.h"
#include "ledger/access.h"
#include "ledger/act.h"
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
	Snapshot	snapshot = store_snapshot();

	store_begin_read(store, snapshot);
	store_visit_entries(store, member_id, SOURCE_API, key, remember_entry, earlier);
	if (earlier->last_seq != 0)
		balance_replay(store, member_id, DT_NOEND, earlier->last_seq, &earlier->act.state);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return earlier->last_seq != 0;
}

/* Whether the key has been used; false without one. */
static bool
find_earlier(Config *config, const Program *program, Store *store, const text *ref, const MemberRow *member,
			 const text *key, Earlier *earlier)
{
	MemberIds	ledgers;
	int			i;

	memset(earlier, 0, sizeof(*earlier));
	if (key == NULL)
		return false;
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

/* What was posted for it, taken together as one entry. */
static void
add_up_posting(const Single *single, EntryRow *sum)
{
	int			i;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < single->posting.nentries; i++)
	{
		const EntryRow *entry = &single->posting.entries[i];

		if (!single_is_own(single, entry))
			continue;
		if (sum->seq == 0)
			*sum = *entry;
		else
			sum->points = points_add(sum->points, entry->points);
	}
}

/* record(member, event, amount, data, lines, reason, key, at, program) → posting */
Datum
loyalty_record(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, ARG_MEMBER);
	text	   *note = text_argument(fcinfo, ARG_REASON);
	Program    *program = access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, ref);
	EventRequest request;
	Jsonb	   *asked;
	Purchase	purchase;
	Store	   *store;
	MemberRequest member;
	Single		single;
	Earlier		earlier;
	EntryRow	posted;
	Snapshot	snapshot;

	request_from_arguments(fcinfo, ARG_EVENT, ARG_AT, &request);
	(void) act_time(fcinfo, ARG_AT);
	request_purchase(program, &request, &purchase);
	asked = request_to_json(&request);
	purchase.key = act_key(strcmp(request.event, PURCHASE_EVENT) == 0 ? PURCHASE_EVENT : RECORD_KIND,
						   text_argument(fcinfo, ARG_KEY));

	if (rule_event(rule_set(config, program), request.event) == EVENT_UNKNOWN)
		ereport(NOTICE,
				(errmsg("no rule of program \"%s\" is about the event \"%s\"", program->name, request.event)));

	store = store_open(config, true);
	member_lock(config, store, program, ref, program->auto_enroll, request.at, &member);
	if (member.row == NULL)
		member_unknown(program, ref);

	if (find_earlier(config, program, store, ref, member.row, purchase.key, &earlier))
	{
		if (!act_same_context(earlier.context.request, asked) || !same_text(earlier.act.entry.note, note))
			act_key_reused(PG_GETARG_TEXT_PP(ARG_KEY),
						   psprintf("It recorded something else for member \"%s\", which gave %s points.",
									text_to_cstring(ref), points_to_cstring(earlier.act.entry.points)));
		store_close(store);
		return act_repeated(fcinfo, program, member.row, &earlier.act);
	}
	act_check_active(program, member.row);

	purchase.member_id = member.row->member_id;
	purchase.ref = ref;
	single_begin(&single, config, program, store, SOURCE_API,
				 rule_event(rule_set(config, program), request.event), &purchase, member.row);
	single.case_.asked = asked;
	single.case_.note = note;
	rule_set_used();
	snapshot = store_snapshot();
	single_judge(&single, snapshot, true);
	UnregisterSnapshot(snapshot);
	add_up_posting(&single, &posted);
	velocity_check(config, program, store, member.row, VELOCITY_RECORD, Max(posted.points, 0), 0);
	single_write(&single);
	store_close(store);

	return act_posted(fcinfo, program, member.row, &posted);
}
