/*
 * approve.c
 *		What becomes of adjustments that await a second person.
 *
 * The member is locked, then the proposal is read as it is by now; of two who
 * decide at once one waits and finds it decided.  Approving or declining again
 * answers what the first decision answered, whoever asks, as with points that
 * await confirmation.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/adjust.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "ledger/proposal.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_approve);
PG_FUNCTION_INFO_V1(loyalty_decline);
PG_FUNCTION_INFO_V1(loyalty_withdraw);

/* Arguments of all three, in order. */
enum
{
	ARG_PROPOSAL, ARG_REASON, ARG_PROGRAM
};

typedef struct Decide
{
	Config	   *config;
	Program    *program;
	text	   *reason;
	ProposalState state;		/* that it is to have */
	ProposalRow row;
	Store	   *store;
	MemberRow  *member;
} Decide;

/* LY030 */
#define CANNOT_DECIDE(decide, hint, ...) \
	ereport(ERROR, \
			(errcode(ERRCODE_LOYALTY_PROPOSAL), \
			 errmsg("proposal \"%s\" cannot be %s", proposal_name(&(decide)->row), proposal_state_name((decide)->state)), \
			 errdetail(__VA_ARGS__), \
			 errhint(hint)))

static const char *
actor_text(const Actor *actor)
{
	if (strcmp(actor->role, actor->session) == 0)
		return psprintf("\"%s\"", actor->role);
	return psprintf("\"%s\", logged in as \"%s\"", actor->role, actor->session);
}

/* Whoever stands for the member by now is locked. */
static void
lock_member(Decide *decide)
{
	MemberRequest request = {.member_id = decide->row.member_id};
	MemberIds	way = {0};

	if (decide->program->has_merges)
	{
		merge_way(decide->config, decide->row.member_id, &way);
		request.member_id = way.ids[way.count - 1];
	}
	decide->store = store_open(decide->config, true);
	members_lock(decide->config, decide->store, decide->program, &request, 1);
	if (request.row == NULL || request.row->status == MEMBER_MERGED)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errhint("The transaction might succeed if retried.")));
	decide->member = request.row;
}

static void
begin(FunctionCallInfo fcinfo, ProposalState state, Decide *decide)
{
	text	   *name = text_argument(fcinfo, ARG_PROPOSAL);

	memset(decide, 0, sizeof(*decide));
	decide->config = config_get();
	decide->program = access_program(decide->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE);
	decide->reason = text_argument(fcinfo, ARG_REASON);
	decide->state = state;
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("proposal must not be null")));
	if (!proposal_find(decide->config, decide->program, name, &decide->row))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_PROPOSAL),
				 errmsg("proposal \"%s\" of program \"%s\" does not exist", text_to_cstring(name), decide->program->name),
				 errhint("loyalty.proposals lists what there is.")));
	lock_member(decide);
	if (!proposal_find(decide->config, decide->program, name, &decide->row))
		elog(ERROR, "proposal is gone");
}

static void
check_open(const Decide *decide)
{
	if (decide->row.state != PROPOSAL_OPEN)
		CANNOT_DECIDE(decide, "loyalty.adjust proposes anew.",
					  "It has been %s by %s.", proposal_state_name(decide->row.state), actor_text(&decide->row.decider));
}

/* Two persons have to agree. */
static void
check_other_person(const Decide *decide)
{
	Actor		actor = actor_now();

	if (actor_same_person(&actor, &decide->row.proposer))
		CANNOT_DECIDE(decide, "Who proposed it can only withdraw it; another role, logged in as another one, decides.",
					  "It was proposed by %s; you are %s.", actor_text(&decide->row.proposer), actor_text(&actor));
}

static void
decide_so(Decide *decide)
{
	decide->row.state = decide->state;
	decide->row.decider = actor_now();
	proposal_decide(decide->config, &decide->row, decide->reason);
}

/* Finding the entry that it came to. */
typedef struct Search
{
	int64		seq;
	EntryRow   *entry;
} Search;

static void
look_at_entry(const EntryRow *entry, void *arg)
{
	Search	   *search = arg;

	if (entry->seq != search->seq)
		return;
	*search->entry = *entry;
	search->entry->context = NULL;	/* gone after the visit, and not asked for */
}

static Datum
approved_before(FunctionCallInfo fcinfo, const Decide *decide)
{
	Snapshot	snapshot = store_snapshot();
	EarlierAct	earlier;
	Search		search = {decide->row.entry_seq, &earlier.entry};

	memset(&earlier, 0, sizeof(earlier));
	store_begin_read(decide->store, snapshot);
	store_visit_entries(decide->store, decide->row.entry_member_id, SOURCE_API, NULL, look_at_entry, &search);
	balance_replay(decide->store, decide->row.entry_member_id, DT_NOEND, decide->row.entry_seq, &earlier.state);
	store_end_read(decide->store);
	UnregisterSnapshot(snapshot);
	return act_repeated(fcinfo, decide->program, decide->member, &earlier);
}

/* The key of the act, unless a merge led the proposal to where it has been used. */
static text *
free_key(const Decide *decide)
{
	text	   *key = act_key(KIND_ADJUST, decide->row.key);
	EarlierAct	earlier;

	return act_find_in(decide->store, decide->member->member_id, key, &earlier) ? NULL : key;
}

static Datum
approve_now(FunctionCallInfo fcinfo, Decide *decide)
{
	ProposalRow *row = &decide->row;
	Approval	approval = {proposal_name(row), row->proposer, actor_now()};
	Adjustment	adjustment = {.config = decide->config,
		.program = decide->program,
		.store = decide->store,
		.member = decide->member,
		.points = row->points,
		.has_expires = row->has_expires,
		.expires = row->expires,
		.note = row->note,
		.source_key = free_key(decide),
		.at_given = row->at_given,
		.at = row->at_given ? row->at : GetCurrentTransactionStartTimestamp()};
	EntryRow   *added;

	adjust_prepare(&adjustment);
	added = adjust_post(&adjustment, &approval);
	row->entry_member_id = added->member_id;
	row->entry_seq = added->seq;
	decide_so(decide);
	return act_posted(fcinfo, decide->program, decide->member, added);
}

/* approve(proposal, reason, program) → posting */
Datum
loyalty_approve(PG_FUNCTION_ARGS)
{
	Decide		decide;
	Datum		answer;

	begin(fcinfo, PROPOSAL_APPROVED, &decide);
	check_other_person(&decide);
	if (decide.row.state == PROPOSAL_APPROVED)
		answer = approved_before(fcinfo, &decide);
	else
	{
		check_open(&decide);
		answer = approve_now(fcinfo, &decide);
	}
	store_close(decide.store);
	return answer;
}

/* decline(proposal, reason, program) */
Datum
loyalty_decline(PG_FUNCTION_ARGS)
{
	Decide		decide;

	begin(fcinfo, PROPOSAL_DECLINED, &decide);
	check_other_person(&decide);
	if (decide.row.state != PROPOSAL_DECLINED)
	{
		check_open(&decide);
		decide_so(&decide);
	}
	store_close(decide.store);
	PG_RETURN_VOID();
}

/* withdraw(proposal, reason, program) */
Datum
loyalty_withdraw(PG_FUNCTION_ARGS)
{
	Decide		decide;
	Actor		actor = actor_now();

	begin(fcinfo, PROPOSAL_WITHDRAWN, &decide);
	if (strcmp(actor.role, decide.row.proposer.role) != 0 || strcmp(actor.session, decide.row.proposer.session) != 0)
		CANNOT_DECIDE(&decide, "Another role declines it.",
					  "It was proposed by %s; you are %s.", actor_text(&decide.row.proposer), actor_text(&actor));
	if (decide.row.state != PROPOSAL_WITHDRAWN)
	{
		check_open(&decide);
		decide_so(&decide);
	}
	store_close(decide.store);
	PG_RETURN_VOID();
}
