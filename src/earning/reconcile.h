/*
 * reconcile.h
 *		Bringing the ledger in line with purchases.
 */
#ifndef LOYALTY_RECONCILE_H
#define LOYALTY_RECONCILE_H

#include "earning/purchase.h"
#include "earning/source.h"

typedef struct ReconcileResult
{
	int64		posted;			/* purchases for which something was posted */
	int64		deferred;
} ReconcileResult;

/*
 * Reconcile the sorted purchases of a source.  Members are locked in order,
 * judged, and posted to; purchases that cannot be judged are deferred, or
 * raise their error where the source says so.  With "backfill", a purchase
 * that counted before and has no entries earns; else it is left to backfill.
 */
extern void reconcile(Source *source, PurchasePile *pile, bool backfill, ReconcileResult *result);

#endif							/* LOYALTY_RECONCILE_H */
