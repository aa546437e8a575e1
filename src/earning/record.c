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
#include "ledger/act.h"
#include "ledger/member.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_record);

/* Arguments of record, in order. */
enum
{
	ARG_MEMBER, ARG_EVENT, ARG_AMOUNT, ARG_DATA, ARG_LINES, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

/* What an earlier call with the same key posted. */
typedef struct Earlier
{
	int64		first;			/* number of its first entry; 0: there was none */
	int64		last;
	Points		points;
	TimestampTz at;
	text	   *note;
	PurchaseContext context;
} Earlier;

static void
remember_entry(const EntryRow *entry, void *arg)
{
	Earlier    *earlier = arg;

	if (entry->revision != 1)
		return;
	earlier->points = points_add(earlier->points, entry->points);
	earlier->last = Max(earlier->last, entry->seq);
	if (earlier->first != 0 && earlier->first < entry->seq)
		return;
	earlier->first = entry->seq;
	earlier->at = entry->occurred_at;
	earlier->note = entry->note == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(entry->note));
	memset(&earlier->context, 0, sizeof(earlier->context));
	context_read_purchase(entry->context, &earlier->context);
}

/* Whether the key was used; then also how the member stood afterwards. */
static bool
find_earlier(Store *store, const MemberRow *member, const text *key, Earlier *earlier, MemberState *state)
{
	Snapshot	snapshot = store_snapshot();

	memset(earlier, 0, sizeof(*earlier));
	store_begin_read(store, snapshot);
	store_visit_entries(store, member->member_id, SOURCE_API, key, remember_entry, earlier);
	if (earlier->first != 0)
		balance_replay(store, member->member_id, DT_NOEND, earlier->last, state);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return earlier->first != 0;
}

static void
check_status(const Program *program, const MemberRow *member, const text *ref)
{
	if (member->status != MEMBER_ACTIVE)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MEMBER_STATUS),
				 errmsg("member \"%s\" of program \"%s\" is %s", text_to_cstring(ref), program->name,
						member->status == MEMBER_CLOSED ? "closed" : "suspended")));
}

/* What was posted for it, in the form of an earlier call's. */
static void
add_up_posting(const Single *single, Earlier *posted)
{
	int			i;

	memset(posted, 0, sizeof(*posted));
	for (i = 0; i < single->posting.nentries; i++)
	{
		const EntryRow *entry = &single->posting.entries[i];

		if (!single_is_own(single, entry))
			continue;
		if (posted->first == 0)
			posted->first = entry->seq;
		posted->points = points_add(posted->points, entry->points);
	}
}

/* record(member, event, amount, data, lines, reason, key, at, program) → posting */
Datum
loyalty_record(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, ARG_MEMBER);
	text	   *note = PG_ARGISNULL(ARG_REASON) ? NULL : PG_GETARG_TEXT_PP(ARG_REASON);
	Program    *program = config_program(config, PG_ARGISNULL(ARG_PROGRAM) ? NULL : PG_GETARG_TEXT_PP(ARG_PROGRAM));
	EventRequest request;
	Jsonb	   *asked;
	Purchase	purchase;
	Store	   *store;
	MemberRequest member;
	Single		single;
	Earlier		posted;
	Snapshot	snapshot;

	request_from_arguments(fcinfo, ARG_EVENT, ARG_AT, &request);
	act_check_time(request.at);
	request_purchase(program, &request, &purchase);
	asked = request_to_json(&request);
	purchase.key = act_key(strcmp(request.event, PURCHASE_EVENT) == 0 ? PURCHASE_EVENT : RECORD_KIND,
						   PG_ARGISNULL(ARG_KEY) ? NULL : PG_GETARG_TEXT_PP(ARG_KEY));

	store = store_open(config, true);
	member_lock(config, store, program, ref, program->auto_enroll, request.at, &member);
	if (member.row == NULL)
		member_unknown(program, ref);

	if (purchase.key != NULL)
	{
		Earlier		earlier;
		MemberState state;

		if (find_earlier(store, member.row, purchase.key, &earlier, &state))
		{
			if (!act_same_context(earlier.context.request, asked) || !same_text(earlier.note, note))
				act_key_reused(PG_GETARG_TEXT_PP(ARG_KEY),
							   psprintf("It recorded something else for member \"%s\", which gave %s points.",
										text_to_cstring(ref), points_to_cstring(earlier.points)));
			store_close(store);
			return act_result(fcinfo, earlier.first, earlier.points,
							  act_available(program, &state, member.row->enrolled_at, earlier.at), true);
		}
	}
	check_status(program, member.row, ref);

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
	single_write(&single);
	store_close(store);

	add_up_posting(&single, &posted);
	return act_result(fcinfo, posted.first, posted.points,
					  act_available_now(program, member.row, request.at), false);
}
