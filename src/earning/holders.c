/*
 * holders.c
 *		Who has the entries of a purchase.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "earning/holders.h"
#include "earning/judge.h"
#include "ledger/forgotten.h"

/* Better ones are greater. */
typedef enum Claim
{
	CLAIM_NONE,					/* no entries */
	CLAIM_RELATIVE_ZERO,		/* entries that come to nothing, of who is another member now */
	CLAIM_MERGED_ZERO,			/* of who is merged into the member */
	CLAIM_OWN_ZERO,				/* of the member himself */
	CLAIM_RELATIVE,				/* the same where they come to something */
	CLAIM_MERGED,
	CLAIM_OWN
} Claim;

/* Whether anything stands of the purchase. */
static bool
something_stands(const PurchaseLedger *ledger)
{
	int			i;

	/* What could not be taken back does not; what a limit kept from it does. */
	for (i = 0; i < ledger->nrules; i++)
	{
		const RuleContext *context = &ledger->rules[i].context;

		if (judge_stands_for(&ledger->rules[i]) != 0 || context->awaiting.points != 0 || context->wanted != 0)
			return true;
	}
	return ledger->amount != NULL &&
		DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(ledger->amount),
										  NumericGetDatum(int64_to_numeric(0)))) != 0;
}

static Claim
claim_of(Config *config, Store *store, int64 relative, int64 end, int32 source_id, const text *key, bool reassigned)
{
	PurchaseLedger ledger;
	MemberIds	way;
	bool		stands;

	judge_read(store, relative, source_id, key, &ledger);
	if (ledger.revision == 0)
		return CLAIM_NONE;
	stands = something_stands(&ledger);
	if (relative == end)
		return stands ? CLAIM_OWN : CLAIM_OWN_ZERO;
	merge_way(config, relative, &way);
	if (way.ids[way.count - 1] == end)
		return stands ? CLAIM_MERGED : CLAIM_MERGED_ZERO;
	if (reassigned)
		return CLAIM_NONE;
	return stands ? CLAIM_RELATIVE : CLAIM_RELATIVE_ZERO;
}

int64
holder_find(Config *config, const Program *program, Store *store, int64 member_id, bool always,
			int32 source_id, const text *key, bool reassigned, bool *alone)
{
	MemberIds	family;
	MemberIds	way;
	Claim		best = CLAIM_NONE;
	int64		holder = 0;
	int			i;

	/* What is known of the program may be older than a merge that we have waited for. */
	if (program->has_merges || always)
		merge_family(config, member_id, &family);
	else
		family = (MemberIds) {1, 1, &member_id};
	if (alone != NULL)
		*alone = family.count == 1;
	if (family.count == 1)
		return judge_has_entries(store, member_id, source_id, key) ? member_id : 0;
	merge_way(config, member_id, &way);
	for (i = 0; i < family.count; i++)
	{
		Claim		claim;

		CHECK_FOR_INTERRUPTS();
		claim = claim_of(config, store, family.ids[i], way.ids[way.count - 1], source_id, key, reassigned);
		if (claim > best)
		{
			best = claim;
			holder = family.ids[i];
		}
	}

	/*
	 * Who was forgotten gets no entries: what came to him left none but those of
	 * the one who had it before, and is not that one's again for it.
	 */
	if (best == CLAIM_RELATIVE_ZERO && (program->has_forgotten || always) &&
		forgotten_has(config, NULL, way.ids[way.count - 1]))
		return 0;
	return holder;
}

int64
holder_of(Config *config, const Program *program, Snapshot snapshot, int64 member_id,
		  int32 source_id, const text *key)
{
	Store	   *store;
	int64		holder;

	if (!program->has_merges)
		return member_id;
	store = store_open(config, false);
	store_begin_read(store, snapshot);
	holder = holder_find(config, program, store, member_id, false, source_id, key, false, NULL);
	store_end_read(store);
	store_close(store);
	return holder == 0 ? member_id : holder;
}

bool
holders_are_related(Config *config, const Program *program, int64 a, int64 b)
{
	MemberIds	family;

	if (a == b || !program->has_merges)
		return a == b;
	merge_family(config, a, &family);
	return member_ids_have(&family, b);
}
