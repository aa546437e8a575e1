/*
 * purchase.h
 *		Purchases on their way from rows to the ledger, sorted by member.
 */
#ifndef LOYALTY_PURCHASE_H
#define LOYALTY_PURCHASE_H

#include "postgres.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* One line of a purchase that counts; what rules do not read may be missing. */
typedef struct PurchaseLine
{
	TimestampTz at;				/* DT_NOBEGIN: that of the purchase */
	Numeric		amount;			/* in its own currency */
	Numeric		quantity;		/* NULL: one */
	text	   *item;			/* these and the rest: NULL for none */
	text	   *category;
	text	   *channel;
	text	   *store;
	text	   *currency;		/* NULL: the program's */
	Jsonb	   *data;
} PurchaseLine;

/* What a statement says of one purchase of one member. */
typedef struct Purchase
{
	int64		member_id;
	text	   *ref;
	text	   *key;
	bool		counts;			/* it stands there and counts; else it is to stand at zero */
	bool		was_counting;	/* it counted before the statement, as (old_member_id, old_key) */
	int64		old_member_id;
	text	   *old_key;		/* NULL: the same key */
	TimestampTz at;
	int			nlines;			/* none unless it counts */
	PurchaseLine *lines;
} Purchase;

/* Whether two lines say the same. */
extern bool purchase_line_equal(const PurchaseLine *a, const PurchaseLine *b);

/*
 * A pile of purchases that is read in order of member_id and key, for one key
 * the counting one first.  Few stay in memory, many are sorted within work_mem.
 */
typedef struct PurchasePile PurchasePile;

extern PurchasePile *purchase_pile_begin(void);
extern void purchase_pile_put(PurchasePile *pile, const Purchase *purchase);	/* copies */
extern void purchase_pile_sort(PurchasePile *pile);
extern bool purchase_pile_get(PurchasePile *pile, Purchase *purchase);	/* allocated in CurrentMemoryContext */
extern void purchase_pile_end(PurchasePile *pile);

#endif							/* LOYALTY_PURCHASE_H */
