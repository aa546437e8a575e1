/*
 * requery.h
 *		Purchases of queries: locked, read again by their keys, reconciled.
 */
#ifndef LOYALTY_REQUERY_H
#define LOYALTY_REQUERY_H

#include "utils/tuplestore.h"

#include "earning/query.h"
#include "earning/reconcile.h"

/* A purchase that is ours until the transaction ends. */
typedef struct Claim
{
	text	   *key;
	int64		member_id;		/* who has its entries; 0: nobody yet */
} Claim;

/*
 * In this order: requery_begin; requery_lock for all purchases, ascending by
 * key, in as many calls as one likes; requery_read for the same ones, again in
 * portions; requery_end.
 */
typedef struct Requery
{
	Source	   *source;
	TimestampTz now;
	MemoryContext context;
	PurchasePile *pile;			/* others may put into it too, for members who may have entries */
	Tuplestorestate *moved;		/* (key, ref) of purchases that come to a member; NULL: none */
	TupleTableSlot *slot;
	int64		deferred;
} Requery;

extern void requery_begin(Requery *requery, Source *source);
extern void requery_lock(Requery *requery, Claim *claims, int nclaims);
extern void requery_read(Requery *requery, const Claim *claims, int nclaims);
extern void requery_end(Requery *requery, ReconcileResult *result);

#endif							/* LOYALTY_REQUERY_H */
