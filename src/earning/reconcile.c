/*
 * reconcile.c
 *		Bringing the ledger in line with purchases.
 *
 * Insert, status change, amount change, return, reassignment and delete are
 * one operation: work out what each purchase should have earned, compare with
 * what was posted, post the difference.
 *
 * Purchases come sorted by member and are worked on in groups: lock the
 * group's members in order of member_id; take a snapshot, after the last lock,
 * so that nothing posted before is missed; judge everything in memory, inside
 * a subtransaction that writes nothing; then write.  Groups end between
 * members, unless one member alone has more purchases than a group.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/confirm.h"
#include "earning/deferred.h"
#include "earning/draw.h"
#include "earning/holders.h"
#include "earning/reconcile_private.h"
#include "ledger/forgotten.h"
#include "loyalty.h"
#include "redemption/returned.h"

/* Purchases that are worked on together. */
#define GROUP_SIZE 1000

/* Orders may have to stand only with their points. */
void
reconcile_defer(WorkGroup *group, Case *case_, ErrorData *error)
{
	Purchase   *purchase = &case_->purchase;
	int64		members[2] = {purchase->member_id, purchase->old_member_id};
	int			nmembers = purchase->old_member_id != 0 &&
		purchase->old_member_id != purchase->member_id ? 2 : 1;

	if (group->source->fail)
		ReThrowError(error);
	case_->dropped = true;
	deferred_write(group->source, purchase->key, members, nmembers, error);
	group->result->deferred++;
}

/*
 * Gather the next group.  Two images of one purchase (one that went, one that
 * stands) become one, the standing one.  Returns false when the pile is empty.
 */
static bool
gather(WorkGroup *group, PurchasePile *pile, Purchase *ahead, bool *has_ahead)
{
	int			capacity = 16;

	group->ncases = 0;
	group->cases = palloc(sizeof(Case) * capacity);
	while (*has_ahead || purchase_pile_get(pile, ahead))
	{
		Case	   *last = group->ncases == 0 ? NULL : &group->cases[group->ncases - 1];

		*has_ahead = true;
		if (last != NULL && last->purchase.member_id == ahead->member_id &&
			same_text(last->purchase.key, ahead->key))
		{
			*has_ahead = false;
			continue;
		}
		if (last != NULL && group->ncases >= GROUP_SIZE &&
			(last->purchase.member_id != ahead->member_id || group->ncases >= 4 * GROUP_SIZE))
			break;
		if (group->ncases == capacity)
		{
			capacity *= 2;
			group->cases = repalloc(group->cases, sizeof(Case) * capacity);
		}
		memset(&group->cases[group->ncases], 0, sizeof(Case));
		group->cases[group->ncases].ngrants = -1;
		group->cases[group->ncases++].purchase = *ahead;
		*has_ahead = false;
	}
	return group->ncases > 0;
}

/*
 * Drop what needs no lock: purchases that do not count and never did, and
 * those that counted before the source was there, which are backfill's.
 *
 * This looks at entries before the member is locked, and may: nobody else can
 * post for these purchases now, since their rows are ours until we commit.
 * The look must not miss what backfill committed before it gave us the row, so
 * it takes the latest snapshot whatever the isolation level; where that is
 * newer than the transaction's, locking the member raises the conflict.
 */
static void
drop_idle_cases(WorkGroup *group)
{
	const Program *program = group->settlement.program;
	Snapshot	snapshot = NULL;
	int			i;

	for (i = 0; i < group->ncases; i++)
	{
		Case	   *case_ = &group->cases[i];
		Purchase   *purchase = &case_->purchase;
		bool		may_be_new = purchase->counts && (!purchase->was_counting || group->backfill);
		bool		judged;

		if (case_->dropped || (may_be_new && !program->has_merges))
			continue;
		CHECK_FOR_INTERRUPTS();
		if (snapshot == NULL)
		{
			snapshot = RegisterSnapshot(GetLatestSnapshot());
			store_begin_read(group->store, snapshot);
		}
		case_->holder = kept_holder(group, case_, purchase->member_id, false);
		judged = may_be_new || case_->holder != 0;
		if (!judged && purchase->counts)
			judged = holder_find(group->config, program, group->store,
								 purchase->old_member_id != 0 ? purchase->old_member_id : purchase->member_id, false,
								 group->source->id.source_id,
								 purchase->old_key != NULL ? purchase->old_key : purchase->key, false, NULL) != 0;
		/* Nobody has been let earn it yet: its member had been forgotten. */
		if (!judged && purchase->counts && purchase->was_counting && program->has_forgotten &&
			purchase->old_member_id != purchase->member_id)
			judged = forgotten_has(group->config, NULL, purchase->old_member_id);
		case_->dropped = !judged;
	}
	if (snapshot != NULL)
	{
		store_end_read(group->store);
		UnregisterSnapshot(snapshot);
	}
}

/* Forget what judging has worked out for the member, whether it ended well or not. */
static void
reset_member(WorkGroup *group)
{
	int			i;

	*group->members[group->member].row = group->before[group->member];
	if (group->subjects[group->member].usage != NULL)
		limits_reset(group->subjects[group->member].usage);
	for (i = group->from; i < group->to; i++)
		settle_reset(&group->cases[i]);
}

static void
judge_cases(WorkGroup *group, Case **cases, int ncases)
{
	Subject    *subject = &group->subjects[group->member];
	int			i;

	settle_begin(&group->settlement, subject);
	for (i = 0; i < ncases; i++)
	{
		CHECK_FOR_INTERRUPTS();
		settle_judge(&group->settlement, cases[i], subject);
	}
}

/* Judge all cases of a member and make up his posting. */
static void
judge_member(WorkGroup *group)
{
	Subject    *subject = &group->subjects[group->member];
	Posting    *posting = &group->postings[group->member];
	Case	  **cases = palloc(sizeof(Case *) * (group->to - group->from));
	int			ncases = 0;
	int			nopen = 0;
	int			i;

	for (i = group->from; i < group->to; i++)
		if (!group->cases[i].dropped)
			cases[ncases++] = &group->cases[i];
	(void) settle_sort(cases, ncases);
	judge_cases(group, cases, ncases);

	/* What one gives back to a limit is there for the others, whichever came first. */
	if (subject->usage != NULL && !settle_sort(cases, ncases))
	{
		reset_member(group);
		judge_cases(group, cases, ncases);
	}

	posting_begin(posting, group->settlement.program, subject->member);
	for (i = 0; i < ncases; i++)
		if (!cases[i]->settled)
			cases[nopen++] = cases[i];
	if (nopen > 0)
		settle_post(&group->settlement, posting, cases, nopen);
	settle_end(subject);
	pfree(cases);
}

/* Call work for each member with his cases. */
static void
for_each_member(WorkGroup *group, void (*work) (WorkGroup *group))
{
	group->to = 0;
	for (group->member = 0; group->member < group->nmembers; group->member++)
	{
		group->from = group->to;
		/* Dropped cases may stand between. */
		while (group->to < group->ncases &&
			   (group->cases[group->to].dropped ||
				group->cases[group->to].request == group->member))
			group->to++;
		if (group->members[group->member].row != NULL)
			work(group);
	}
}

/* Judge the whole group. */
static void
judge_group(void *arg)
{
	WorkGroup	   *group = arg;

	store_begin_read(group->store, group->snapshot);
	for_each_member(group, judge_member);
	store_end_read(group->store);
}

/* Judge one member alone. */
static void
judge_one_member(void *arg)
{
	WorkGroup	   *group = arg;

	store_begin_read(group->store, group->snapshot);
	judge_member(group);
	store_end_read(group->store);
}

/* Judge the member from the start; the error, if there is one to be deferred for. */
static ErrorData *
judge_again(WorkGroup *group)
{
	ErrorData  *error;

	reset_member(group);
	error = attempt(judge_one_member, group);
	if (error != NULL)
		store_abandon_read(group->store);
	return error;
}

/*
 * Let cases [from .. to) in beside those of the member that went well before,
 * halving what fails until the purchase at fault is found and put aside.
 */
static void
admit(WorkGroup *group, const bool *wanted, int from, int to)
{
	ErrorData  *error;
	int			i;

	for (i = from; i < to; i++)
		group->cases[i].dropped = !wanted[i - group->from];
	error = judge_again(group);
	if (error == NULL)
		return;

	for (i = from; i < to; i++)
		group->cases[i].dropped = true;
	if (to - from == 1)
	{
		reconcile_defer(group, &group->cases[from], error);
		return;
	}
	admit(group, wanted, from, from + (to - from) / 2);
	admit(group, wanted, from + (to - from) / 2, to);
}

/* Something in the group failed: find the purchases at fault among this member's. */
static void
judge_member_carefully(WorkGroup *group)
{
	int			ncases = group->to - group->from;
	bool	   *wanted = palloc(sizeof(bool) * Max(ncases, 1));
	ErrorData  *error;
	int			i;

	for (i = 0; i < ncases; i++)
	{
		wanted[i] = !group->cases[group->from + i].dropped;
		group->cases[group->from + i].dropped = true;
	}
	if (ncases > 0)
		admit(group, wanted, group->from, group->to);

	/* The last try may have been one that failed. */
	error = judge_again(group);
	if (error != NULL)
		ReThrowError(error);
	pfree(wanted);
}

/* Read what rules need to know of the members, with the group's snapshot. */
static void
load_subjects(WorkGroup *group)
{
	int			i;

	group->subjects = palloc0(sizeof(Subject) * group->nmembers);
	for (i = 0; i < group->nmembers; i++)
		group->subjects[i].member = group->members[i].row;
	group->usages = subjects_load(group->config, group->settlement.rules, group->snapshot,
								  group->subjects, group->nmembers, &group->nusages);
}

/*
 * Judge the member again if a case of his may draw less than it wanted.  What
 * another award kept from a purchase may then be looked at for the first time,
 * and fail.
 */
static void
judge_again_within_grants(WorkGroup *group)
{
	int			i;

	for (i = group->from; i < group->to; i++)
		if (!group->cases[i].dropped && group->cases[i].ngrants > 0)
		{
			if (judge_again(group) != NULL)
				judge_member_carefully(group);
			return;
		}
}

/* Draw on budgets what was judged as though they had no end. */
static void
draw_for_group(WorkGroup *group)
{
	if (group->usages == NULL)
		return;
	if (!draw_budgets(&group->settlement, group->cases, group->ncases))
		for_each_member(group, judge_again_within_grants);
	draw_give_back(&group->settlement, group->cases, group->ncases);
}

/* Judge the whole group; false when it has to be locked again (lock_write_newcomers). */
static bool
judge_locked(WorkGroup *group)
{
	ErrorData  *error = NULL;
	int			i;

	group->postings = palloc0(sizeof(Posting) * group->nmembers);
	group->before = palloc(sizeof(MemberRow) * group->nmembers);
	for (i = 0; i < group->nmembers; i++)
		if (group->members[i].row != NULL)
			group->before[i] = *group->members[i].row;
	load_subjects(group);
	if (group->source->fail)
		judge_group(group);
	else
	{
		error = attempt(judge_group, group);
		if (error != NULL)
		{
			store_abandon_read(group->store);
			/* Purchases that are put aside are written down. */
			if (!lock_write_as_locked(group))
				return false;
			for_each_member(group, judge_member_carefully);
		}
	}
	draw_for_group(group);
	return true;
}

/* Lock and judge what is left of the group, and begin to write it: with new members, in the state that they have come to. */
static bool
lock_and_judge(WorkGroup *group, bool may_be_unwritten)
{
	bool		judged;

	if (!lock_group(group, may_be_unwritten))
		return false;
	if (group->nmembers == 0)
		return true;
	group->snapshot = store_snapshot();
	judged = judge_locked(group);
	UnregisterSnapshot(group->snapshot);
	return judged && lock_write_newcomers(group);
}

/* Lock, judge and write one group. */
static void
work_group(WorkGroup *group)
{
	int			i;

	forgotten_drop_moved(group, false);
	drop_idle_cases(group);
	if (!lock_and_judge(group, true))
	{
		for (i = 0; i < group->ncases; i++)
			settle_reset(&group->cases[i]);
		(void) lock_and_judge(group, false);
	}
	if (group->nmembers == 0)
	{
		kept_settle(group);
		return;
	}

	if (group->usages != NULL)
		limits_write(group->config, group->usages, group->nusages);
	for (i = 0; i < group->nmembers; i++)
		if (group->members[i].row != NULL)
		{
			posting_write(&group->postings[i], group->store);
			returned_write(group->config, group->store, &group->postings[i]);
		}
	confirm_write(&group->settlement, group->cases, group->ncases);
	for (i = 0; i < group->ncases; i++)
		if (group->cases[i].posted && !group->cases[i].dropped)
			group->result->posted++;
	store_flush(group->store);
	/* The next group may be about the same member again, and so may a case that was kept. */
	CommandCounterIncrement();
	kept_settle(group);
}

void
reconcile(Source *source, PurchasePile *pile, bool backfill, ReconcileResult *result)
{
	WorkGroup		group;
	Purchase	ahead;
	bool		has_ahead = false;
	MemoryContext contexts[2];
	MemoryContext caller;
	int			turn;

	memset(&group, 0, sizeof(group));
	memset(result, 0, sizeof(*result));
	group.config = source->config;
	group.source = source;
	group.backfill = backfill;
	group.result = result;
	group.store = store_open(source->config, true);
	group.settlement.config = source->config;
	group.settlement.program = source->program;
	group.settlement.source_id = source->id.source_id;
	group.settlement.rules = rule_set(source->config, source->program);
	group.settlement.tiers = tier_set(source->config, source->program);
	group.settlement.event = EVENT_PURCHASE;
	group.settlement.store = group.store;
	group.settlement.now = GetCurrentTransactionStartTimestamp();
	rule_set_used();

	/*
	 * Two contexts by turns: the purchase that ended a group has been read
	 * into that group's memory, and begins the next one.
	 */
	for (turn = 0; turn < 2; turn++)
		contexts[turn] = AllocSetContextCreate(CurrentMemoryContext, "loyalty group",
											   ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(contexts[0]);
	for (turn = 0; gather(&group, pile, &ahead, &has_ahead); turn = 1 - turn)
	{
		work_group(&group);
		MemoryContextReset(contexts[1 - turn]);
		MemoryContextSwitchTo(contexts[1 - turn]);
	}
	MemoryContextSwitchTo(caller);
	store_close(group.store);
	for (turn = 0; turn < 2; turn++)
		MemoryContextDelete(contexts[turn]);
}
