/*
 * verify_query.c
 *		The purchases of a query for verify().
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "earning/attempt.h"
#include "earning/deferred.h"
#include "earning/query.h"
#include "ledger/member.h"
#include "operation/verify_purchases.h"

typedef struct Gathering
{
	Source	   *source;
	QueryScan  *scan;
} Gathering;

static void
begin_scan(void *arg)
{
	Gathering  *gathering = arg;

	gathering->scan = query_scan_begin(gathering->source, GetCurrentTransactionStartTimestamp());
}

void
proof_gather_query(Proof *proof)
{
	Source	   *source = proof->source;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row_context = AllocSetContextCreate(caller, "loyalty purchase", ALLOCSET_DEFAULT_SIZES);
	Gathering	gathering = {source, NULL};
	ErrorData  *error = attempt(begin_scan, &gathering);
	QueryPurchase read;

	if (error != NULL)
	{
		proof_report(proof, "I4", NULL, NULL, psprintf("source cannot be read: %s", error->message), NULL, NULL);
		return;
	}
	MemoryContextSwitchTo(row_context);
	while (query_scan_next(gathering.scan, &read))
	{
		if (read.error != NULL)
		{
			if (!deferred_has(source, read.key))
				proof_report(proof, "I4", NULL, read.key,
							 psprintf("purchase cannot be read: %s", read.error->message), NULL, NULL);
		}
		else if (read.ref != NULL)
		{
			int64		holder = proof_holder(proof, read.key, read.ref);
			Purchase	purchase;

			query_purchase(&read, holder, &purchase);
			if (!proof_is_forgotten(proof, read.key, holder))
				purchase_pile_put(proof->pile, &purchase);
		}
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(caller);
	query_scan_end(gathering.scan);
	MemoryContextDelete(row_context);
	purchase_pile_sort(proof->pile);
}

bool
proof_find_query(Proof *proof, text *key, text **ref)
{
	QueryPurchase read;

	memset(&read, 0, sizeof(read));
	read.key = key;
	query_read(proof->source, &read, 1, false, GetCurrentTransactionStartTimestamp());
	if (read.error != NULL)
		ReThrowError(read.error);
	*ref = read.ref;
	return read.found;
}
