/*
 * reconcile_kept.c
 *		Purchases whose entries are in another ledger than their member's.
 *
 * When members were merged, orders from before stay in the ledger of the one who
 * went, and when they are parted, orders from meanwhile stay in that of the one
 * who got them.  Such a purchase is judged where its entries are.  What the one
 * who went gets by it is passed on at once; what is taken back of him comes from
 * who has his points now: so it is judged first as though all of that one's
 * points were his, to see which lots it takes, and these are lent to him.
 *
 * All this is rare, so each is settled by itself, after the rest of its group.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/holders.h"
#include "earning/passing.h"
#include "earning/reconcile_private.h"
#include "earning/single.h"
#include "loyalty.h"
#include "redemption/returned.h"
#include "types/rational.h"

int64
kept_holder(WorkGroup *group, Case *case_, int64 member_id, bool always)
{
	const Purchase *purchase = &case_->purchase;

	/* Of the rows of a query nobody knows what they were before. */
	return holder_find(group->config, group->settlement.program, group->store, member_id, always,
					   group->source->id.source_id, purchase->key,
					   group->source->query == NULL && purchase->counts && purchase->old_member_id != 0 &&
					   purchase->old_member_id != purchase->member_id, &case_->alone);
}

/* The relatives of who has the case's entries who paid for it with points.  Inside store_begin_read. */
static void
find_payers(const WorkGroup *group, const Case *case_, MemberIds *payers)
{
	MemberIds	family;
	int			i;

	memset(payers, 0, sizeof(*payers));
	if (case_->dropped || case_->holder == 0 || case_->alone)
		return;
	merge_family(group->config, case_->holder, &family);
	for (i = 1; i < family.count; i++)
		if (returned_is_paid_by(group->store, family.ids[i], case_->purchase.key))
			member_ids_add(payers, family.ids[i]);
}

/*
 * Before the members are locked
 */

static bool
is_requested(const WorkGroup *group, int64 member_id)
{
	int			i;

	for (i = 0; i < group->nmembers; i++)
		if (group->members[i].member_id == member_id)
			return true;
	return false;
}

/* A request, and where it stood. */
typedef struct Place
{
	MemberRequest request;
	int			was;
} Place;

static int
compare_places(const void *a, const void *b)
{
	const Place *x = a;
	const Place *y = b;

	if (x->request.member_id != y->request.member_id)
		return x->request.member_id < y->request.member_id ? -1 : 1;
	return x->was - y->was;
}

/* Put the requests in order, and let the cases know of it. */
static void
sort_requests(WorkGroup *group)
{
	Place	   *places = palloc(sizeof(Place) * group->nmembers);
	int		   *now = palloc(sizeof(int) * group->nmembers);
	int			i;

	for (i = 0; i < group->nmembers; i++)
		places[i] = (Place) {group->members[i], i};
	qsort(places, group->nmembers, sizeof(Place), compare_places);
	for (i = 0; i < group->nmembers; i++)
	{
		group->members[i] = places[i].request;
		now[places[i].was] = i;
	}
	for (i = 0; i < group->ncases; i++)
		if (!group->cases[i].dropped)
			group->cases[i].request = now[group->cases[i].request];
	pfree(places);
	pfree(now);
}

/* Add who stands for a member, and those between, as far as they are not to be locked yet. */
static void
add_way(const WorkGroup *group, int64 member_id, MemberIds *added)
{
	MemberIds	way;
	int			i;

	merge_way(group->config, member_id, &way);
	for (i = 0; i < way.count; i++)
		if (!is_requested(group, way.ids[i]) && !member_ids_have(added, way.ids[i]))
			member_ids_add(added, way.ids[i]);
}

void
kept_add_members(WorkGroup *group)
{
	Snapshot	snapshot = NULL;
	MemberIds	added = {0};
	int			i;
	int			j;

	if (!group->settlement.program->has_merges)
		return;
	for (i = 0; i < group->ncases; i++)
	{
		const Case *case_ = &group->cases[i];
		MemberIds	payers;

		if (case_->dropped || case_->holder == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		add_way(group, case_->holder, &added);
		if (snapshot == NULL)
		{
			snapshot = RegisterSnapshot(GetLatestSnapshot());
			store_begin_read(group->store, snapshot);
		}
		find_payers(group, case_, &payers);
		for (j = 0; j < payers.count; j++)
			add_way(group, payers.ids[j], &added);
	}
	if (snapshot != NULL)
	{
		store_end_read(group->store);
		UnregisterSnapshot(snapshot);
	}
	if (added.count == 0)
		return;
	group->members = repalloc(group->members, sizeof(MemberRequest) * (group->nmembers + added.count));
	for (i = 0; i < added.count; i++)
	{
		memset(&group->members[group->nmembers], 0, sizeof(MemberRequest));
		group->members[group->nmembers].forgotten_too = true;
		group->members[group->nmembers++].member_id = added.ids[i];
	}
	sort_requests(group);
}

/*
 * Once they are locked
 */

static MemberRow *
locked_row(const WorkGroup *group, int64 member_id)
{
	int			i;

	for (i = 0; i < group->nrows; i++)
		if (group->rows[i]->member_id == member_id)
			return group->rows[i];
	return NULL;
}

static void
add_row(WorkGroup *group, MemberRow *row)
{
	group->rows = group->rows == NULL ? palloc(sizeof(MemberRow *))
		: repalloc(group->rows, sizeof(MemberRow *) * (group->nrows + 1));
	group->rows[group->nrows++] = row;
}

/* Whether somebody was merged, or several requests mean one member, or another one than was asked for. */
static bool
is_mixed(const WorkGroup *group)
{
	const MemberRow *last = NULL;
	int			i;

	for (i = 0; i < group->nmembers; i++)
	{
		const MemberRow *row = group->members[i].row;

		if (row == NULL)
			continue;
		if (row->status == MEMBER_MERGED || row == last)
			return true;
		last = row;
	}
	for (i = 0; i < group->ncases; i++)
		if (!group->cases[i].dropped &&
			group->members[group->cases[i].request].member_id != group->cases[i].purchase.member_id)
			return true;
	return false;
}

/* Everybody who is locked. */
static void
gather_rows(WorkGroup *group)
{
	int			i;

	group->nrows = 0;
	group->rows = NULL;
	for (i = 0; i < group->nmembers; i++)
		if (group->members[i].row != NULL && locked_row(group, group->members[i].row->member_id) == NULL)
			add_row(group, group->members[i].row);
}

MemberRow *
kept_lock_row(WorkGroup *group, int64 member_id)
{
	MemberRow  *row = locked_row(group, member_id);
	MemberRequest request;

	if (row != NULL)
		return row;
	memset(&request, 0, sizeof(request));
	request.member_id = member_id;
	request.forgotten_too = true;
	members_lock(group->config, group->store, group->settlement.program, &request, 1);
	if (request.row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("member " INT64_FORMAT " is not there, into whom another one was merged", member_id)));
	add_row(group, request.row);
	return request.row;
}

int64
kept_ledger(const WorkGroup *group, const Case *case_)
{
	const MemberRow *row = case_->dropped ? NULL : group->members[case_->request].row;

	return row == NULL ? 0 : case_->holder != 0 ? case_->holder : row->member_id;
}

/* One that went, of one member, and one that stands, of another, may be about one ledger: only what stands is. */
static void
drop_doubles(WorkGroup *group)
{
	int			i;
	int			j;

	for (i = 1; i < group->ncases; i++)
	{
		Case	   *case_ = &group->cases[i];
		int64		ledger = kept_ledger(group, case_);

		CHECK_FOR_INTERRUPTS();
		for (j = 0; j < i && ledger != 0 && !case_->dropped; j++)
		{
			Case	   *other = &group->cases[j];

			if (kept_ledger(group, other) != ledger || !same_text(other->purchase.key, case_->purchase.key))
				continue;
			if (case_->purchase.counts && !other->purchase.counts)
				other->dropped = true;
			else
				case_->dropped = true;
		}
	}
}

/* A member and whom he was merged into, all of them locked. */
static KeptWay
lock_way(WorkGroup *group, int64 member_id)
{
	MemberIds	way;
	KeptWay		locked;
	int			i;

	merge_way(group->config, member_id, &way);
	locked.nrows = way.count;
	locked.rows = palloc(sizeof(MemberRow *) * way.count);
	for (i = 0; i < way.count; i++)
		locked.rows[i] = kept_lock_row(group, way.ids[i]);
	return locked;
}

/* Take the case out of the group. */
static void
keep(WorkGroup *group, Case *case_, const MemberIds *payers)
{
	KeptCase   *kept;
	KeptWay		way;
	int			i;

	case_->dropped = true;
	group->kept = group->kept == NULL ? palloc(sizeof(KeptCase))
		: repalloc(group->kept, sizeof(KeptCase) * (group->nkept + 1));
	kept = &group->kept[group->nkept++];
	kept->case_ = *case_;
	kept->case_.dropped = false;
	way = lock_way(group, case_->holder);
	kept->nrows = way.nrows;
	kept->way = way.rows;
	kept->payers = payers->count == 0 ? NULL : palloc(sizeof(KeptWay) * payers->count);
	kept->npayers = 0;
	for (i = 0; i < payers->count; i++)
	{
		way = lock_way(group, payers->ids[i]);
		if (way.rows[0]->status != MEMBER_FORGOTTEN)
			kept->payers[kept->npayers++] = way;
	}
}

/* By member, as locked, then as before. */
typedef struct Sorted
{
	int64		member_id;
	int			was;
	Case		case_;
} Sorted;

static int
compare_sorted(const void *a, const void *b)
{
	const Sorted *x = a;
	const Sorted *y = b;

	if (x->case_.dropped != y->case_.dropped)
		return x->case_.dropped ? 1 : -1;
	if (x->member_id != y->member_id)
		return x->member_id < y->member_id ? -1 : 1;
	return x->was - y->was;
}

/* Several requests may mean one member by now: his cases are to stand together. */
static void
regroup(WorkGroup *group)
{
	Sorted	   *sorted = palloc(sizeof(Sorted) * group->ncases);
	MemberRequest *members = palloc0(sizeof(MemberRequest) * Max(group->ncases, 1));
	int			nmembers = 0;
	int			i;

	for (i = 0; i < group->ncases; i++)
	{
		const Case *case_ = &group->cases[i];

		sorted[i].case_ = *case_;
		sorted[i].was = i;
		sorted[i].member_id = case_->dropped ? 0 : group->members[case_->request].row != NULL
			? group->members[case_->request].row->member_id : group->members[case_->request].member_id;
	}
	qsort(sorted, group->ncases, sizeof(Sorted), compare_sorted);
	for (i = 0; i < group->ncases; i++)
	{
		Case	   *case_ = &group->cases[i];

		*case_ = sorted[i].case_;
		if (case_->dropped)
			continue;
		if (nmembers == 0 || members[nmembers - 1].row == NULL ||
			members[nmembers - 1].row != group->members[case_->request].row)
			members[nmembers++] = group->members[case_->request];
		case_->request = nmembers - 1;
	}
	group->members = members;
	group->nmembers = nmembers;
	pfree(sorted);
}

void
kept_part(WorkGroup *group)
{
	bool		mixed = is_mixed(group);
	MemberIds  *payers;
	Snapshot	snapshot;
	int			i;

	group->nkept = 0;
	group->kept = NULL;
	forgotten_drop_moved(group, true);
	if (!mixed && !group->settlement.program->has_merges)
	{
		forgotten_drop_members(group);
		return;
	}
	/*
	 * Whoever was faster than us may have merged or parted some of them; not
	 * who had no family then and is whom we asked for, since what somebody else
	 * kept of his would have made that one ask too.
	 */
	payers = palloc0(sizeof(MemberIds) * group->ncases);
	snapshot = store_snapshot();
	store_begin_read(group->store, snapshot);
	for (i = 0; i < group->ncases; i++)
	{
		Case	   *case_ = &group->cases[i];
		MemberRow  *row = case_->dropped ? NULL : group->members[case_->request].row;

		CHECK_FOR_INTERRUPTS();
		if (row == NULL || (case_->alone && !mixed))
			continue;
		case_->holder = kept_holder(group, case_, row->member_id, mixed);
		case_->dropped = case_->holder == 0 && row->status == MEMBER_MERGED;
		find_payers(group, case_, &payers[i]);
		mixed |= payers[i].count > 0 || (case_->holder != 0 && case_->holder != row->member_id);
	}
	store_end_read(group->store);
	UnregisterSnapshot(snapshot);
	if (!mixed)
	{
		forgotten_drop_members(group);
		return;
	}
	gather_rows(group);
	drop_doubles(group);
	forgotten_drop(group);
	for (i = 0; i < group->ncases; i++)
	{
		Case	   *case_ = &group->cases[i];
		MemberRow  *row = case_->dropped ? NULL : group->members[case_->request].row;

		if (row != NULL && case_->holder != 0 &&
			(case_->holder != row->member_id || row->status == MEMBER_MERGED || payers[i].count > 0))
			keep(group, case_, &payers[i]);
	}
	regroup(group);
}

/*
 * Settling
 */

/* A case that is judged to see what it comes to. */
typedef struct Trial
{
	WorkGroup  *group;
	KeptCase   *kept;
	MemberRow	row;			/* who has its entries, with all the points that are his */
	Purse		before;
	Single		single;
} Trial;

/* As though the points of who has them now had never left him. */
static void
begin_trial(WorkGroup *group, KeptCase *kept, Trial *trial)
{
	MemberRow	end = *kept->way[kept->nrows - 1];
	Posting		current;

	trial->group = group;
	trial->kept = kept;
	trial->row = *kept->way[0];
	purse_init(&trial->row.purse);
	purse_copy(&trial->row.purse, &kept->way[0]->purse);
	if (kept->nrows > 1)
	{
		posting_begin(&current, group->settlement.program, &end);
		posting_bring_current(&current, group->settlement.now);
		purse_add(&trial->row.purse, &end.purse);
		trial->row.last_activity = Max(trial->row.last_activity, end.last_activity);
	}
	purse_init(&trial->before);
	purse_copy(&trial->before, &trial->row.purse);
}

static void
judge(Single *single, WorkGroup *group, const KeptCase *kept, MemberRow *row, bool draw)
{
	Snapshot	snapshot = store_snapshot();

	single_begin(single, group->config, config_program_by_id(group->config, row->program_id), group->store,
				 group->source->id.source_id, EVENT_PURCHASE, &kept->case_.purchase, row);
	single->case_.goes_on = kept->case_.goes_on;
	single_judge(single, snapshot, draw);
	UnregisterSnapshot(snapshot);
}

static void
try_case(void *arg)
{
	Trial	   *trial = arg;

	judge(&trial->single, trial->group, trial->kept, &trial->row, false);
}

/* The lots of others' that the trial has taken. */
static void
taken_lots(const Trial *trial, Purse *lots)
{
	const Purse *after = &trial->row.purse;
	int			i;

	for (i = 0; i < trial->before.nlots; i++)
	{
		const Lot  *lot = &trial->before.lots[i];
		Points		left = Max(purse_lot(after, lot->starts, lot->ends), 0);
		Points		own = Max(purse_lot(&trial->kept->way[0]->purse, lot->starts, lot->ends), 0);

		if (lot->points > left + own)
			purse_add_lot(lots, lot->starts, lot->ends, lot->points - left - own);
	}
}

/* See what the case comes to; false when it was put aside, or nothing is left to do. */
static bool
pass_trial(WorkGroup *group, KeptCase *kept, Trial *trial)
{
	ErrorData  *error = NULL;

	begin_trial(group, kept, trial);
	if (group->source->fail)
		try_case(trial);
	else
		error = attempt(try_case, trial);
	if (error == NULL)
		return !trial->single.case_.settled;
	store_abandon_read(group->store);
	reconcile_defer(group, &kept->case_, error);
	return false;
}

/* What a relative paid for a purchase that comes to less goes back to him, and on to who stands for him. */
static bool
give_back_paid(WorkGroup *group, const KeptCase *kept, const KeptWay *payer, const Case *judged)
{
	Program    *program = config_program_by_id(group->config, group->settlement.program->program_id);
	const Case *becomes = kept->case_.goes_on == NULL ? judged : kept->case_.goes_on;
	Snapshot	snapshot = store_snapshot();
	Posting		posting;

	posting_begin(&posting, program, payer->rows[0]);
	store_begin_read(group->store, snapshot);
	returned_give_back_to(group->store, &posting, kept->case_.holder, group->settlement.source_id, judged->purchase.key,
						  settle_amount(becomes), kept->case_.goes_on == NULL ? NULL : becomes->purchase.key,
						  group->settlement.now);
	store_end_read(group->store);
	UnregisterSnapshot(snapshot);
	if (posting.nentries == 0 && !posting.settled)
		return false;
	posting_write(&posting, group->store);
	returned_write(group->config, group->store, &posting);
	store_flush(group->store);
	CommandCounterIncrement();
	pass_on(group->config, program, group->store, payer->rows, payer->nrows);
	return true;
}

/* The case as which it goes on under another key; NULL: none. */
static const Case *
goes_on_as(const WorkGroup *group, const Case *case_)
{
	int			i;

	for (i = 0; i < group->ncases; i++)
	{
		const Case *other = &group->cases[i];

		if (!other->dropped && other->purchase.counts && other->purchase.old_key != NULL &&
			same_text(other->purchase.old_key, case_->purchase.key) &&
			!same_text(other->purchase.key, case_->purchase.key))
			return other;
	}
	return NULL;
}

static void
settle_kept(WorkGroup *group, KeptCase *kept)
{
	Program    *program = config_program_by_id(group->config, group->settlement.program->program_id);
	Trial		trial;
	Single		single;
	Purse		lent;
	bool		gave = false;
	int			i;

	kept->case_.goes_on = goes_on_as(group, &kept->case_);
	if (!pass_trial(group, kept, &trial))
		return;
	/* Points that paid for it go back before what it earned is taken. */
	if (!trial.single.case_.first && trial.single.case_.amount_change != NULL &&
		(kept->case_.goes_on != NULL ||
		 rational_sign(rational_from_numeric(trial.single.case_.amount_change)) < 0))
		for (i = 0; i < kept->npayers; i++)
			gave |= give_back_paid(group, kept, &kept->payers[i], &trial.single.case_);
	if (gave && !pass_trial(group, kept, &trial))
		return;
	purse_init(&lent);
	taken_lots(&trial, &lent);
	if (kept->nrows > 1 && lent.nlots > 0)
		pass_back(group->config, program, group->store, kept->way, kept->nrows, &lent);
	judge(&single, group, kept, kept->way[0], true);
	single_write(&single);
	store_flush(group->store);
	CommandCounterIncrement();
	pass_on(group->config, program, group->store, kept->way, kept->nrows);
	group->result->posted++;
}

void
kept_settle(WorkGroup *group)
{
	int			i;

	for (i = 0; i < group->nkept; i++)
	{
		CHECK_FOR_INTERRUPTS();
		settle_kept(group, &group->kept[i]);
	}
	group->nkept = 0;
}
