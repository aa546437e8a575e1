/*
 * single.c
 *		One purchase of one member, judged by itself.
 */
#include "postgres.h"

#include "access/xact.h"

#include "earning/confirm.h"
#include "earning/draw.h"
#include "earning/single.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "redemption/returned.h"

/* A member_id that is nobody's: they are never below zero. */
#define NOBODY INT64CONST(-1)

void
single_newcomer(const Program *program, text *ref, TimestampTz at, MemberRow *row)
{
	member_newcomer(program, NOBODY, ref, at, row);
}

void
single_begin(Single *single, Config *config, Program *program, Store *store,
			 int32 source_id, int event, const Purchase *purchase, MemberRow *member)
{
	memset(single, 0, sizeof(*single));
	single->settlement.config = config;
	single->settlement.program = program;
	single->settlement.source_id = source_id;
	single->settlement.rules = rule_set(config, program);
	single->settlement.tiers = tier_set(config, program);
	single->settlement.event = event;
	single->settlement.store = store;
	single->settlement.now = GetCurrentTransactionStartTimestamp();
	single->case_.purchase = *purchase;
	single->case_.ngrants = -1;
	single->subject.member = member;
	single->before = *member;
}

static void
judge(Single *single, Snapshot snapshot)
{
	store_begin_read(single->settlement.store, snapshot);
	settle_begin(&single->settlement, &single->subject);
	settle_judge(&single->settlement, &single->case_, &single->subject);
	store_end_read(single->settlement.store);
}

/* Judge once more, within what budgets have granted. */
static void
judge_again(Single *single, Snapshot snapshot)
{
	*single->subject.member = single->before;
	limits_reset(single->subject.usage);
	settle_reset(&single->case_);
	judge(single, snapshot);
}

void
single_judge(Single *single, Snapshot snapshot, bool draw)
{
	Settlement *settlement = &single->settlement;
	Case	   *case_ = &single->case_;
	int			nusages;

	(void) subjects_load(settlement->config, settlement->rules, snapshot, &single->subject, 1, &nusages);
	judge(single, snapshot);
	if (single->subject.usage != NULL)
	{
		if (!(draw ? draw_budgets : draw_look) (settlement, case_, 1))
			judge_again(single, snapshot);
		if (draw)
			draw_give_back(settlement, case_, 1);
	}
	posting_begin(&single->posting, settlement->program, single->subject.member);
	if (case_->settled)
		return;
	store_begin_read(settlement->store, snapshot);
	settle_post(settlement, &single->posting, &case_, 1);
	settle_end(&single->subject);
	store_end_read(settlement->store);
}

void
single_write(Single *single)
{
	if (single->subject.usage != NULL)
		limits_write(single->settlement.config, single->subject.usage, 1);
	posting_write(&single->posting, single->settlement.store);
	returned_write(single->settlement.config, single->settlement.store, &single->posting);
	confirm_write(&single->settlement, &single->case_, 1);
}

bool
single_is_own(const Single *single, const EntryRow *entry)
{
	return entry->source_id == single->settlement.source_id &&
		same_text(entry->source_key, single->case_.purchase.key);
}
