/*
 * adjust.c
 *		Points given or taken by hand.
 *
 * What would pass the program's adjust_limit is prepared like any other
 * adjustment, so whatever is wrong with it is said at once; but then it is not
 * posted, and proposed to a second person.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/adjust.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "ledger/proposal.h"
#include "ledger/velocity.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_adjust);

/* Arguments, in order. */
enum
{
	ARG_MEMBER, ARG_POINTS, ARG_EXPIRES, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

static Points
magnitude(Points points)
{
	return points < 0 ? -points : points;
}

static void
read_arguments(FunctionCallInfo fcinfo, const text *ref, Adjustment *adjustment)
{
	memset(adjustment, 0, sizeof(*adjustment));
	adjustment->config = config_get();
	adjustment->note = text_argument(fcinfo, ARG_REASON);
	adjustment->source_key = act_key(KIND_ADJUST, text_argument(fcinfo, ARG_KEY));
	adjustment->at_given = !PG_ARGISNULL(ARG_AT);
	adjustment->at = act_time(fcinfo, ARG_AT);
	adjustment->has_expires = !PG_ARGISNULL(ARG_EXPIRES);
	adjustment->expires = adjustment->has_expires ? PG_GETARG_DATEADT(ARG_EXPIRES) : 0;
	adjustment->program = access_program_for(adjustment->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE, ref);
	adjustment->points = act_points_given(fcinfo, ARG_POINTS);
	if (adjustment->points == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points must not be zero")));
	if (adjustment->points < 0 && adjustment->has_expires)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points that are taken have no last day"),
				 errhint("Leave out \"expires\".")));
}

/* {"expires": "2026-12-31"}; NULL when no last day was asked for. */
static Jsonb *
asked_context(const Adjustment *adjustment)
{
	JsonbParseState *state = NULL;

	if (!adjustment->has_expires)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_date(&state, "expires", adjustment->expires);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

void
adjust_prepare(Adjustment *adjustment)
{
	const Program *program = adjustment->program;
	MemberRow  *member = adjustment->member;

	act_check_status(program, member);
	posting_begin(&adjustment->posting, program, member);
	posting_bring_current(&adjustment->posting, adjustment->at);
	purse_init(&adjustment->lots);
	if (adjustment->points > 0)
		purse_add_lot(&adjustment->lots, DATEVAL_NOBEGIN,
					  act_last_day(program, member, calendar_day(adjustment->at, program->zone),
								   adjustment->has_expires ? &adjustment->expires : NULL),
					  adjustment->points);
	else
		act_take(adjustment->store, program, member, -adjustment->points, adjustment->at, adjustment->at_given,
				 NULL, &adjustment->lots);
}

EntryRow *
adjust_post(Adjustment *adjustment, const Approval *approval)
{
	EntryRow	entry;
	EntryRow   *added;

	velocity_check(adjustment->config, adjustment->program, adjustment->store, adjustment->member,
				   VELOCITY_ADJUST, magnitude(adjustment->points), 0);
	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_ADJUST;
	entry.source_id = SOURCE_API;
	entry.source_key = adjustment->source_key;
	entry.occurred_at = adjustment->at;
	entry.context = actor_sign(asked_context(adjustment), approval, false);
	entry.note = adjustment->note;
	added = posting_add(&adjustment->posting, &entry, &adjustment->lots);
	posting_write(&adjustment->posting, adjustment->store);
	return added;
}

/*
 * Keys
 */

static void
key_reused(FunctionCallInfo fcinfo, const char *did, Points points)
{
	act_key_reused(PG_GETARG_TEXT_PP(ARG_KEY),
				   psprintf("It %s member \"%s\" by %s points.", did,
							text_to_cstring(member_argument(fcinfo, ARG_MEMBER)), points_to_cstring(points)));
}

static bool
same_posted(const EntryRow *entry, const Adjustment *adjustment)
{
	return entry->points == adjustment->points &&
		(!adjustment->at_given || entry->occurred_at == adjustment->at) &&
		act_same_context(actor_asked(entry->context), asked_context(adjustment)) &&
		same_text(entry->note, adjustment->note);
}

static bool
same_proposed(const ProposalRow *row, const Adjustment *adjustment)
{
	return row->points == adjustment->points &&
		row->has_expires == adjustment->has_expires && (!row->has_expires || row->expires == adjustment->expires) &&
		(!adjustment->at_given || (row->at_given && row->at == adjustment->at)) &&
		same_text(row->note, adjustment->note);
}

/* Whether a proposal has the key, with the member or where merges led him. */
static bool
find_proposal(FunctionCallInfo fcinfo, const Adjustment *adjustment, ProposalRow *row)
{
	text	   *key = text_argument(fcinfo, ARG_KEY);
	MemberIds	ledgers;
	int			i;

	if (key == NULL)
		return false;
	if (proposal_find_key(adjustment->config, adjustment->member->member_id, key, row))
		return true;
	if (!adjustment->program->has_merges)
		return false;
	merge_other_ledgers(adjustment->config, adjustment->program, member_argument(fcinfo, ARG_MEMBER),
						adjustment->member, adjustment->source_key, &ledgers);
	for (i = 0; i < ledgers.count; i++)
		if (proposal_find_key(adjustment->config, ledgers.ids[i], key, row))
			return true;
	return false;
}

/*
 * Proposing
 */

static Datum
propose(FunctionCallInfo fcinfo, const Adjustment *adjustment)
{
	ProposalRow row = {.member_id = adjustment->member->member_id,
		.program_id = adjustment->program->program_id,
		.points = adjustment->points,
		.has_expires = adjustment->has_expires,
		.expires = adjustment->expires,
		.note = adjustment->note,
		.key = text_argument(fcinfo, ARG_KEY),
		.at_given = adjustment->at_given,
		.at = adjustment->at,
		.proposer = actor_now()};

	proposal_insert(adjustment->config, &row);
	ereport(NOTICE,
			(errmsg("so many points take a second person: proposal \"%s\"", proposal_name(&row)),
			 errdetail("Program \"%s\" lets one role adjust %s points of a member within a day.",
					   adjustment->program->name, points_to_cstring(adjustment->program->adjust_limit)),
			 errhint("Another role posts it with loyalty.approve.")));
	return act_proposed(fcinfo, adjustment->program, adjustment->member, adjustment->at, false);
}

static Datum
proposed_before(FunctionCallInfo fcinfo, const Adjustment *adjustment, const ProposalRow *row)
{
	if (!same_proposed(row, adjustment))
		key_reused(fcinfo, "proposed to adjust", row->points);
	ereport(NOTICE,
			(errmsg("proposal \"%s\" is %s", proposal_name(row), proposal_state_name(row->state))));
	return act_proposed(fcinfo, adjustment->program, adjustment->member, adjustment->at, true);
}

/* adjust(member, points, expires, reason, key, at, program) → posting */
Datum
loyalty_adjust(PG_FUNCTION_ARGS)
{
	text	   *ref = member_argument(fcinfo, ARG_MEMBER);
	Adjustment	adjustment;
	MemberRequest request;
	EarlierAct	earlier;
	ProposalRow proposal;
	EntryRow   *added;
	Datum		answer;

	read_arguments(fcinfo, ref, &adjustment);
	adjustment.store = store_open(adjustment.config, true);
	member_lock(adjustment.config, adjustment.store, adjustment.program, ref, adjustment.program->auto_enroll,
				adjustment.at, &request);
	if (request.row == NULL)
		member_unknown(adjustment.program, ref);
	adjustment.member = request.row;

	if (act_find(adjustment.config, adjustment.program, adjustment.store, ref, request.row, adjustment.source_key, &earlier))
	{
		if (!same_posted(&earlier.entry, &adjustment))
			key_reused(fcinfo, "adjusted", earlier.entry.points);
		store_close(adjustment.store);
		return act_repeated(fcinfo, adjustment.program, request.row, &earlier);
	}
	if (find_proposal(fcinfo, &adjustment, &proposal))
	{
		answer = proposed_before(fcinfo, &adjustment, &proposal);
		store_close(adjustment.store);
		return answer;
	}

	adjust_prepare(&adjustment);
	if (adjustment.program->adjust_limit > 0 &&
		magnitude(adjustment.points) > adjustment.program->adjust_limit -
		actor_adjusted_points(adjustment.config, adjustment.program, adjustment.store, adjustment.member))
	{
		answer = propose(fcinfo, &adjustment);
		store_close(adjustment.store);
		return answer;
	}
	added = adjust_post(&adjustment, NULL);
	store_close(adjustment.store);
	return act_posted(fcinfo, adjustment.program, request.row, added);
}
