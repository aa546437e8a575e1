/*
 * accept.c
 *		Accepting and rejecting points that await confirmation.
 *
 * Deciding again in the same way answers what the first decision answered,
 * whoever asks; so two clerks with one list cannot get in each other's way.  A
 * key names one decision of a member, and is kept with the row of confirmation,
 * since the entry has the key of its purchase.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "earning/confirm.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_accept);
PG_FUNCTION_INFO_V1(loyalty_reject);

/* Arguments of both, in order. */
enum
{
	ARG_MEMBER, ARG_ENTRY, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

typedef struct Act
{
	Decision	decision;		/* asked for */
	Config	   *config;
	Program    *program;
	text	   *ref;
	int64		seq;
	text	   *note;
	text	   *key;			/* NULL: none */
	bool		at_given;
	TimestampTz at;
	Store	   *store;
	MemberRow  *member;
} Act;

static void
read_arguments(FunctionCallInfo fcinfo, Decision decision, Act *act)
{
	memset(act, 0, sizeof(*act));
	act->decision = decision;
	act->config = config_get();
	act->ref = member_argument(fcinfo, ARG_MEMBER);
	if (PG_ARGISNULL(ARG_ENTRY))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("entry must not be null")));
	act->seq = PG_GETARG_INT64(ARG_ENTRY);
	act->note = text_argument(fcinfo, ARG_REASON);
	act->key = text_argument(fcinfo, ARG_KEY);
	/* As long as those of other acts may be. */
	(void) act_key("decide", act->key);
	act->at_given = !PG_ARGISNULL(ARG_AT);
	act->at = act_time(fcinfo, ARG_AT);
	act->program = access_program_for(act->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, act->ref);
}

/* LY006 when the key has named another decision. */
static void
check_key(const Act *act, Snapshot snapshot)
{
	ListCell   *cell;

	if (act->key == NULL)
		return;
	foreach(cell, awaiting_list(act->config, act->member->member_id, snapshot))
	{
		const Confirmation *row = lfirst(cell);

		if (!same_text(row->key, act->key) ||
			(row->seq == act->seq && row->decision == act->decision && same_text(row->note, act->note) &&
			 (!act->at_given || row->decided_at == act->at)))
			continue;
		act_key_reused(act->key, psprintf("By it entry " INT64_FORMAT " of member \"%s\" was %s.", row->seq,
										  text_to_cstring(act->ref), decision_name(row->decision)));
	}
}

/* LY013 */
static void
raise_decided(const Act *act, const Confirmation *row, Decision decision)
{
	bool		silent = decision == DECISION_NONE || row->by_silence;

	if (decision == DECISION_NONE)
		decision = row->silence_accepts ? DECISION_ACCEPTED : DECISION_REJECTED;
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_DECIDED),
			 errmsg("entry " INT64_FORMAT " of member \"%s\" has been %s", act->seq,
					text_to_cstring(act->ref), decision_name(decision)),
			 silent ? errdetail("Nobody had decided in time, and what the rule says of silence stands.")
			 : errdetail("Entry " INT64_FORMAT " says so.", row->decided_seq),
			 errhint("loyalty.adjust puts a balance right.")));
}

/* LY014 */
static void
raise_not_awaiting(const Act *act, const Confirmation *row)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_NOT_AWAITING),
			 errmsg("entry " INT64_FORMAT " of member \"%s\" does not await confirmation", act->seq,
					text_to_cstring(act->ref)),
			 row != NULL ? errdetail("Its purchase stands at zero: it was returned, or is another member's now.")
			 : errdetail("No points of program \"%s\" have begun to await confirmation with it.", act->program->name),
			 errhint("loyalty.awaiting lists what does.")));
}

/* Finding the entry that says what was decided. */
typedef struct Search
{
	int64		seq;
	EntryRow   *entry;
} Search;

static void
look_at_entry(const EntryRow *entry, void *arg)
{
	Search	   *search = arg;

	if (entry->seq == search->seq)
		*search->entry = *entry;
}

/* What the first decision answered. */
static Datum
repeated(FunctionCallInfo fcinfo, Act *act, const Confirmation *row)
{
	Snapshot	snapshot = store_snapshot();
	EarlierAct	earlier;
	Search		search = {row->decided_seq, &earlier.entry};

	memset(&earlier, 0, sizeof(earlier));
	store_begin_read(act->store, snapshot);
	store_visit_entries(act->store, row->member_id, row->source_id, row->source_key, look_at_entry, &search);
	balance_replay(act->store, row->member_id, DT_NOEND, row->decided_seq, &earlier.state);
	store_end_read(act->store);
	UnregisterSnapshot(snapshot);
	store_close(act->store);
	return act_repeated(fcinfo, act->program, act->member, &earlier);
}

/* When the entry that began to await was written down. */
static TimestampTz
awaits_since(const Act *act, const Confirmation *row)
{
	EntryRow	entry = {0};
	Search		search = {row->seq, &entry};

	store_visit_entries(act->store, row->member_id, row->source_id, row->source_key, look_at_entry, &search);
	return entry.posted_at;
}

/* Make the decision and write it. */
static Datum
decide_now(FunctionCallInfo fcinfo, Act *act, const Confirmation *row)
{
	Snapshot	snapshot = store_snapshot();
	Deciding	deciding;
	TimestampTz since;

	store_begin_read(act->store, snapshot);
	since = awaits_since(act, row);
	if (act->at_given && act->at < since)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must not be before the points began to await confirmation"),
				 errdetail("They have awaited confirmation since %s, the decision is of %s.",
						   pstrdup(timestamptz_to_str(since)), pstrdup(timestamptz_to_str(act->at))),
				 errhint("The column \"since\" of loyalty.awaiting says when that was.")));
	/* This transaction may have begun before the one that wrote it. */
	act->at = Max(act->at, since);
	confirm_begin(&deciding, act->config, act->store, snapshot, act->member);
	confirm_decide(&deciding, row, act->decision, act->at, false, act->key, act->note);
	store_end_read(act->store);
	UnregisterSnapshot(snapshot);
	(void) confirm_post(&deciding, 1);
	store_close(act->store);
	return act_posted(fcinfo, act->program, act->member,
					  &deciding.posting.entries[deciding.posting.nentries - 1]);
}

static Datum
decide(FunctionCallInfo fcinfo, Decision decision)
{
	MemberRequest request;
	Confirmation *row;
	Snapshot	snapshot;
	DateADT		today;
	Act			act;

	read_arguments(fcinfo, decision, &act);
	today = calendar_day(GetCurrentTransactionStartTimestamp(), act.program->zone);
	act.store = store_open(act.config, true);
	/* Writes down what silence has decided, which then stands. */
	member_lock(act.config, act.store, act.program, act.ref, false, 0, &request);
	if (request.row == NULL)
		member_unknown(act.program, act.ref);
	act.member = request.row;

	snapshot = store_snapshot();
	check_key(&act, snapshot);
	row = awaiting_find(act.config, act.member->member_id, act.seq, snapshot);
	UnregisterSnapshot(snapshot);
	if (row == NULL)
		raise_not_awaiting(&act, NULL);
	if (row->decision == decision)
		return repeated(fcinfo, &act, row);
	if (row->decision != DECISION_NONE || row->due <= today)
		raise_decided(&act, row, row->decision);
	if (row->points == 0)
		raise_not_awaiting(&act, row);
	act_check_status(act.program, act.member);
	return decide_now(fcinfo, &act, row);
}

/* accept(member, entry, reason, key, at, program) → posting */
Datum
loyalty_accept(PG_FUNCTION_ARGS)
{
	return decide(fcinfo, DECISION_ACCEPTED);
}

/* reject(member, entry, reason, key, at, program) → posting */
Datum
loyalty_reject(PG_FUNCTION_ARGS)
{
	return decide(fcinfo, DECISION_REJECTED);
}
