/*
 * backfill_query.c
 *		The history of a query earns too.
 *
 * The list is made in one go through the whole query; then the purchases of a
 * batch are locked and read again by their keys, as the triggers do it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "earning/deferred.h"
#include "earning/requery.h"
#include "operation/backfill.h"

void
backfill_list_query(PassList *list)
{
	Backfill   *backfill = list->backfill;
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty purchase",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	QueryScan  *scan;
	QueryPurchase purchase;

	SPI_connect();
	MemoryContextSwitchTo(caller);
	scan = query_scan_begin(list->source, GetCurrentTransactionStartTimestamp());
	MemoryContextSwitchTo(row_context);
	while (query_scan_next(scan, &purchase))
	{
		if (purchase.error != NULL)
		{
			if (list->source->fail)
				ReThrowError(purchase.error);
			/* Later passes find again what the first one deferred. */
			if (backfill->first_pass)
			{
				deferred_write(list->source, purchase.key, NULL, 0, purchase.error);
				backfill->deferred++;
			}
		}
		else
			backfill_list(list, purchase.key, purchase.ref, purchase.nlines > 0, purchase.at);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(caller);
	query_scan_end(scan);
	SPI_finish();
	MemoryContextDelete(row_context);
}

static int
compare_claims(const void *a, const void *b)
{
	const text *x = ((const Claim *) a)->key;
	const text *y = ((const Claim *) b)->key;
	int			x_length = VARSIZE_ANY_EXHDR(x);
	int			y_length = VARSIZE_ANY_EXHDR(y);
	int			order = memcmp(VARDATA_ANY(x), VARDATA_ANY(y), Min(x_length, y_length));

	return order != 0 ? order : x_length - y_length;
}

void
backfill_work_query(Backfill *backfill, Source *source, text **keys, int nkeys)
{
	Claim	   *claims = palloc0(sizeof(Claim) * nkeys);
	Requery		requery;
	ReconcileResult result;
	int			i;

	for (i = 0; i < nkeys; i++)
		claims[i].key = keys[i];
	qsort(claims, nkeys, sizeof(Claim), compare_claims);
	requery_begin(&requery, source);
	requery_lock(&requery, claims, nkeys);
	requery_read(&requery, claims, nkeys);
	requery_end(&requery, &result);
	backfill->posted += result.posted;
	backfill->deferred += result.deferred;
}
