/*
 * reconcile_lock.c
 *		Who is locked for a group of purchases, and how those among them who are
 *		new are written.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "earning/reconcile_private.h"
#include "loyalty.h"

/* By member, where two refs compute one member_id by ref, else as they came. */
static int
compare_by_ref(const void *a, const void *b)
{
	const Purchase *x = &((const Case *) a)->purchase;
	const Purchase *y = &((const Case *) b)->purchase;
	int			order;

	if (x->member_id != y->member_id)
		return x->member_id < y->member_id ? -1 : 1;
	order = strcmp(x->ref == NULL ? "" : text_to_cstring(x->ref),
				   y->ref == NULL ? "" : text_to_cstring(y->ref));
	if (order != 0)
		return order;
	return strcmp(text_to_cstring(x->key), text_to_cstring(y->key));
}

/* Keep the cases of each ref together, and those of a group that is locked anew in order of their members. */
static void
part_refs(WorkGroup *group)
{
	int			i;

	for (i = 1; i < group->ncases; i++)
	{
		const Purchase *last = &group->cases[i - 1].purchase;
		const Purchase *next = &group->cases[i].purchase;

		if (last->member_id > next->member_id ||
			(last->member_id == next->member_id && last->ref != NULL && next->ref != NULL &&
			 !same_text(last->ref, next->ref)))
		{
			qsort(group->cases, group->ncases, sizeof(Case), compare_by_ref);
			return;
		}
	}
}

bool
lock_group(WorkGroup *group, bool may_be_unwritten)
{
	const Program *program = group->settlement.program;
	int			i;

	may_be_unwritten &= !program->has_merges && !program->has_forgotten && !group->settlement.rules->has_limits;
	part_refs(group);
	group->members = palloc0(sizeof(MemberRequest) * group->ncases);
	group->nmembers = 0;
	for (i = 0; i < group->ncases; i++)
	{
		Case	   *case_ = &group->cases[i];
		MemberRequest *request = group->nmembers == 0 ? NULL : &group->members[group->nmembers - 1];

		if (case_->dropped)
			continue;
		if (request == NULL || request->member_id != case_->purchase.member_id ||
			(request->ref != NULL && case_->purchase.ref != NULL &&
			 !same_text(request->ref, case_->purchase.ref)))
		{
			request = &group->members[group->nmembers++];
			request->member_id = case_->purchase.member_id;
			request->forgotten_too = true;
		}
		if (request->ref == NULL)
			request->ref = case_->purchase.ref;
		case_->request = group->nmembers - 1;
		if (case_->purchase.counts && group->settlement.program->auto_enroll)
		{
			/* A member of the first day on which he bought something. */
			if (!request->enroll || case_->purchase.at < request->enrolled_at)
				request->enrolled_at = Min(case_->purchase.at, group->settlement.now);
			request->enroll = true;
			request->unwritten_too = may_be_unwritten;
		}
	}
	kept_add_members(group);
	members_lock(group->config, group->store, program, group->members, group->nmembers);
	if (may_be_unwritten && program->has_merges)
		return false;
	kept_part(group);
	return true;
}

bool
lock_write_newcomers(WorkGroup *group)
{
	MemberRow **rows = palloc(sizeof(MemberRow *) * group->nmembers);
	int			i;

	for (i = 0; i < group->nmembers; i++)
		rows[i] = group->members[i].row;
	return posting_enroll(group->postings, rows, group->nmembers, group->store);
}

bool
lock_write_as_locked(WorkGroup *group)
{
	int			i;

	for (i = 0; i < group->nmembers; i++)
		if (group->members[i].row != NULL)
			*group->members[i].row = group->before[i];
	if (!lock_write_newcomers(group))
		return false;
	for (i = 0; i < group->nmembers; i++)
		if (group->members[i].row != NULL)
			group->before[i].tid = group->members[i].row->tid;
	return true;
}
