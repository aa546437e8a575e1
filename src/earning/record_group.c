/*
 * record_group.c
 *		Events of a batch that are recorded together.
 *
 * Members are locked in order of member_id; a snapshot is taken after the last
 * lock; each member's events are judged and posted in memory, one after the
 * other in the order of the batch, on one row, one standing and one count of
 * what limits gave him, which is what the calls of record would have read back
 * from the tables; then all of it is written at once.
 *
 * What has to see an earlier event of its member in the tables waits for
 * another round, after this one is written: the same key again, which answers
 * what is there; what comes after an award that awaits confirmation, on which
 * silence may have decided already; and, where there are velocity limits, which
 * count entries, whatever is not a member's first.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/confirm.h"
#include "earning/record_group.h"
#include "ledger/member.h"
#include "ledger/velocity.h"
#include "loyalty.h"
#include "redemption/returned.h"

typedef struct Round
{
	RecordBatch *batch;
	Program    *program;
	Store	   *store;
	Settlement	settlement;
	bool		may_be_unwritten;	/* new members, until they are written with what they get */
	int			nitems;
	RecordItem **items;			/* by member, then by place */
	int			nwaiting;		/* for another round; they are put first among the items */
	int			nmembers;
	Subject    *subjects;
	Posting    *postings;		/* one a member */
	int			ncases;
	Case	   *cases;
	RecordItem **case_items;	/* whose case it is */
} Round;

/*
 * Members
 */

static int
compare_rows(const void *a, const void *b)
{
	const RecordItem *x = *(RecordItem *const *) a;
	const RecordItem *y = *(RecordItem *const *) b;

	if (x->row->member_id != y->row->member_id)
		return x->row->member_id < y->row->member_id ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/* The request for the item's ref, among those for its place; made when there is none. */
static int
find_request(Round *round, MemberRequest *requests, int *nrequests, RecordItem *item)
{
	MemberRequest *request;
	int			i;

	for (i = *nrequests - 1; i >= 0 && requests[i].member_id == item->member_id; i--)
		if (same_text(requests[i].ref, item->call.ref))
			return i;
	request = &requests[*nrequests];
	memset(request, 0, sizeof(*request));
	request->member_id = item->member_id;
	request->ref = item->call.ref;
	request->enroll = round->program->auto_enroll;
	request->forgotten_too = true;
	request->unwritten_too = round->may_be_unwritten;
	request->enrolled_at = item->call.request.at;
	return (*nrequests)++;
}

static void
lock_members(Round *round)
{
	RecordBatch *batch = round->batch;
	MemberRequest *requests = palloc(sizeof(MemberRequest) * round->nitems);
	int		   *request_of = palloc(sizeof(int) * round->nitems);
	int			nrequests = 0;
	bool		moved = false;
	int			i;

	for (i = 0; i < round->nitems; i++)
		request_of[i] = find_request(round, requests, &nrequests, round->items[i]);
	members_lock(batch->config, round->store, round->program, requests, nrequests);
	for (i = 0; i < round->nitems; i++)
	{
		RecordItem *item = round->items[i];

		batch->current = item->index;
		item->row = requests[request_of[i]].row;
		if (item->row == NULL)
			member_unknown(round->program, item->call.ref);
		if (item->row->status == MEMBER_FORGOTTEN)
			member_forgotten(round->program, item->call.ref);
		moved |= item->row->member_id != item->member_id;
	}
	batch->current = -1;
	/* Refs may lead to one member by different ways. */
	if (moved)
		qsort(round->items, round->nitems, sizeof(RecordItem *), compare_rows);
	pfree(request_of);
}

/* The members of the items, once each, and what rules need to know of them. */
static MemberUsage *
load_members(Round *round, Snapshot snapshot, int *nusages)
{
	int			i;

	round->subjects = palloc0(sizeof(Subject) * round->nitems);
	round->postings = palloc(sizeof(Posting) * round->nitems);
	round->nmembers = 0;
	for (i = 0; i < round->nitems; i++)
		if (i == 0 || round->items[i]->row != round->items[i - 1]->row)
			round->subjects[round->nmembers++].member = round->items[i]->row;
	return subjects_load(round->batch->config, round->settlement.rules, snapshot,
						 round->subjects, round->nmembers, nusages);
}

/*
 * Judging
 */

/* Whether an event of the same key has just been posted for the member, whose cases begin there. */
static bool
key_was_posted(const Round *round, int first_case, const text *key)
{
	int			i;

	for (i = first_case; i < round->ncases; i++)
		if (same_text(round->cases[i].purchase.key, key))
			return true;
	return false;
}

static bool
awaits_confirmation(const Case *case_)
{
	int			i;

	for (i = 0; i < case_->nsteps; i++)
		if (case_->steps[i].context.awaiting.any)
			return true;
	return false;
}

/* Judge one event and make up its entries. */
static void
post_item(Round *round, RecordItem *item, Subject *subject, Posting *posting)
{
	Case	   *case_ = &round->cases[round->ncases];
	int			from = posting->nentries;
	text	   *key = item->record.purchase.key;

	act_check_active(round->program, item->row);
	memset(case_, 0, sizeof(*case_));
	case_->ngrants = -1;
	case_->purchase = item->record.purchase;
	case_->purchase.member_id = item->row->member_id;
	case_->asked = item->record.asked;
	case_->note = item->call.note;
	round->settlement.event = rule_event(round->settlement.rules, item->call.request.event);
	/* Without its key, since nobody has entries of it: that has been looked up. */
	case_->purchase.key = NULL;
	settle_judge(&round->settlement, case_, subject);
	case_->purchase.key = key;
	settle_post(&round->settlement, posting, &case_, 1);
	record_answer(posting, from, case_->purchase.key, &round->batch->outcomes[item->index].answer);
	round->case_items[round->ncases++] = item;
}

/* All events of one member, items [from .. to). */
static void
judge_member(Round *round, int member, int from, int to)
{
	RecordBatch *batch = round->batch;
	Subject    *subject = &round->subjects[member];
	Posting    *posting = &round->postings[member];
	/* A member without entries has none of any key, unless merges have led some elsewhere. */
	bool		may_repeat = subject->member->seq > 0 || round->program->has_merges;
	bool		wait = false;
	int			first_case = round->ncases;
	int			i;

	settle_begin(&round->settlement, subject);
	posting_begin(posting, round->program, subject->member);
	for (i = from; i < to; i++)
	{
		RecordItem *item = round->items[i];
		const text *key = item->record.purchase.key;

		CHECK_FOR_INTERRUPTS();
		batch->current = item->index;
		if (wait || (key != NULL && key_was_posted(round, first_case, key)))
		{
			round->items[round->nwaiting++] = item;
			continue;
		}
		if (key != NULL && may_repeat &&
			record_find(batch->config, round->program, round->store, &item->record, subject->member,
						&batch->outcomes[item->index].answer))
			continue;
		post_item(round, item, subject, posting);
		wait = round->program->has_velocity || awaits_confirmation(&round->cases[round->ncases - 1]);
	}
	batch->current = -1;
	settle_end(subject);
}

static void
judge_members(Round *round, Snapshot snapshot)
{
	int			nitems = round->nitems;
	int			member = 0;
	int			from;
	int			to;

	round->cases = palloc(sizeof(Case) * nitems);
	round->case_items = palloc(sizeof(RecordItem *) * nitems);
	store_begin_read(round->store, snapshot);
	for (from = 0; from < nitems; from = to)
	{
		for (to = from + 1; to < nitems && round->items[to]->row == round->items[from]->row; to++)
			;
		judge_member(round, member++, from, to);
	}
	store_end_read(round->store);
}

static void
check_velocity(Round *round)
{
	RecordBatch *batch = round->batch;
	int			i;

	if (!round->program->has_velocity)
		return;
	for (i = 0; i < round->ncases; i++)
	{
		const RecordItem *item = round->case_items[i];

		batch->current = item->index;
		velocity_check(batch->config, round->program, round->store, item->row, VELOCITY_RECORD,
					   Max(batch->outcomes[item->index].answer.points, 0), 0);
	}
	batch->current = -1;
}

/*
 * Rounds
 */

/* Write the new members with what they have got; false, and none of them, when somebody else enrolls one. */
static bool
enroll_unwritten(Round *round)
{
	MemberRow **rows = palloc(sizeof(MemberRow *) * round->nmembers);
	int			i;

	for (i = 0; i < round->nmembers; i++)
		rows[i] = round->postings[i].member;
	return posting_enroll(round->postings, rows, round->nmembers, round->store);
}

/*
 * Record what can be; those that have to wait are put first.  Returns how many
 * these are, -1 when nothing was written since new members have to be written
 * before they are judged.
 */
static int
try_round(RecordBatch *batch, RecordItem **items, int nitems, bool may_be_unwritten)
{
	Round		round = {.batch = batch, .program = batch->program, .items = items, .nitems = nitems};
	Settlement *settlement = &round.settlement;
	MemberUsage *usages;
	Snapshot	snapshot;
	int			nusages;
	int			i;

	round.store = store_open(batch->config, true);
	settlement->config = batch->config;
	settlement->program = batch->program;
	settlement->source_id = SOURCE_API;
	settlement->rules = rule_set(batch->config, batch->program);
	settlement->tiers = tier_set(batch->config, batch->program);
	settlement->store = round.store;
	settlement->now = GetCurrentTransactionStartTimestamp();
	rule_set_used();
	round.may_be_unwritten = may_be_unwritten && !settlement->rules->has_limits && !batch->program->has_merges &&
		!batch->program->has_forgotten && !batch->program->has_velocity;

	lock_members(&round);
	if (round.may_be_unwritten && batch->program->has_merges)
	{
		store_close(round.store);
		return -1;
	}
	snapshot = store_snapshot();
	usages = load_members(&round, snapshot, &nusages);
	judge_members(&round, snapshot);
	check_velocity(&round);
	UnregisterSnapshot(snapshot);
	if (!enroll_unwritten(&round))
	{
		store_close(round.store);
		return -1;
	}

	if (usages != NULL)
		limits_write(batch->config, usages, nusages);
	for (i = 0; i < round.nmembers; i++)
	{
		posting_write(&round.postings[i], round.store);
		returned_write(batch->config, round.store, &round.postings[i]);
	}
	confirm_write(settlement, round.cases, round.ncases);
	store_close(round.store);
	return round.nwaiting;
}

static int
work_round(RecordBatch *batch, RecordItem **items, int nitems)
{
	RecordItem **all = memcpy(palloc(sizeof(RecordItem *) * nitems), items, sizeof(RecordItem *) * nitems);
	int			nwaiting = try_round(batch, items, nitems, true);

	if (nwaiting >= 0)
		return nwaiting;
	memcpy(items, all, sizeof(RecordItem *) * nitems);
	return try_round(batch, items, nitems, false);
}

void
record_group(RecordBatch *batch, RecordItem *items, int nitems)
{
	RecordItem **open = palloc(sizeof(RecordItem *) * nitems);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "loyalty round", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	int			i;

	for (i = 0; i < nitems; i++)
		open[i] = &items[i];
	while (nitems > 0)
	{
		caller = MemoryContextSwitchTo(context);
		nitems = work_round(batch, open, nitems);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	pfree(open);
}
