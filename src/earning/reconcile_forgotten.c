/*
 * reconcile_forgotten.c
 *		Purchases of members who have been forgotten.
 *
 * Their ledger stays as it is, whatever becomes of the rows: a return takes
 * nothing back, and a row that names somebody else by now (a shop that erases a
 * customer may well write another customer into his orders) earns that one
 * nothing, since it was earned already.  Rows that went on to somebody else, or
 * to nobody, are remembered by their keys, so that no later change is taken for
 * a new purchase.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "earning/holders.h"
#include "earning/reconcile_private.h"
#include "ledger/forgotten.h"
#include "loyalty.h"

static void
keep_key(WorkGroup *group, const text *key, int64 member_id)
{
	forgotten_keep_purchase(group->config, group->settlement.program, group->source->id.source_id, key, member_id);
}

static bool
is_kept(WorkGroup *group, const text *key)
{
	return forgotten_purchase(group->config, NULL, group->source->id.source_id, key);
}

static bool
has_new_key(const Purchase *purchase)
{
	return purchase->old_key != NULL && !same_text(purchase->old_key, purchase->key);
}

/* Whose ledger has what the purchase earned before it came to its member; 0: nobody's. */
static int64
earlier_holder(WorkGroup *group, const Purchase *purchase)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	int64		holder;

	store_begin_read(group->store, snapshot);
	holder = holder_find(group->config, group->settlement.program, group->store, purchase->old_member_id, true,
						 group->source->id.source_id, purchase->old_key != NULL ? purchase->old_key : purchase->key,
						 false, NULL);
	store_end_read(group->store);
	UnregisterSnapshot(snapshot);
	return holder;
}

/* Whether it was a forgotten member's, and is somebody else's now. */
static bool
was_forgotten(WorkGroup *group, const Purchase *purchase)
{
	int64		holder = 0;

	if (group->settlement.program->has_forgotten_purchases &&
		(is_kept(group, purchase->key) || (has_new_key(purchase) && is_kept(group, purchase->old_key))))
	{
		if (has_new_key(purchase))
			keep_key(group, purchase->key, purchase->member_id);
		return true;
	}
	if (purchase->old_member_id != 0 && purchase->old_member_id != purchase->member_id)
		holder = earlier_holder(group, purchase);
	if (holder == 0 || holder == purchase->member_id || !forgotten_has(group->config, NULL, holder))
		return false;
	keep_key(group, purchase->key, holder);
	return true;
}

void
forgotten_drop_moved(WorkGroup *group, bool locked)
{
	bool		any = group->settlement.program->has_forgotten;
	int			i;

	/* One who has been forgotten while we waited. */
	for (i = 0; locked && i < group->nmembers && !any; i++)
		any = group->members[i].row != NULL && group->members[i].row->status == MEMBER_FORGOTTEN;
	for (i = 0; i < group->ncases && any; i++)
	{
		Case	   *case_ = &group->cases[i];

		CHECK_FOR_INTERRUPTS();
		if (!case_->dropped && case_->purchase.counts)
			case_->dropped = was_forgotten(group, &case_->purchase);
	}
}

void
forgotten_drop(WorkGroup *group)
{
	int			i;

	for (i = 0; i < group->ncases; i++)
	{
		Case	   *case_ = &group->cases[i];
		const Purchase *purchase = &case_->purchase;
		int64		ledger = kept_ledger(group, case_);
		const MemberRow *row = ledger == 0 ? NULL : group->members[case_->request].row;

		CHECK_FOR_INTERRUPTS();
		if (row != NULL && ledger != row->member_id)
			row = kept_lock_row(group, ledger);
		if (row == NULL || row->status != MEMBER_FORGOTTEN)
			continue;
		case_->dropped = true;
		/* What went may come back as somebody else's, and what has another key by now is not known by it. */
		if (!purchase->counts || has_new_key(purchase))
			keep_key(group, purchase->key, ledger);
	}
}

void
forgotten_drop_members(WorkGroup *group)
{
	int			i;

	forgotten_drop(group);
	for (i = 0; i < group->nmembers; i++)
		if (group->members[i].row != NULL && group->members[i].row->status == MEMBER_FORGOTTEN)
			group->members[i].row = NULL;
}
