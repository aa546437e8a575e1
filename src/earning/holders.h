/*
 * holders.h
 *		Who has the entries of a purchase.
 *
 * They stay where they are when members are merged, and when they are parted
 * again: so a purchase's ref may lead to another member than its entries.
 */
#ifndef LOYALTY_HOLDERS_H
#define LOYALTY_HOLDERS_H

#include "earning/purchase.h"
#include "ledger/config.h"
#include "ledger/merges.h"
#include "ledger/storage.h"

/*
 * The member who has the entries of a purchase that is to be "member_id"'s; 0
 * when nobody of his family has any.  One that has just come to him from another
 * member ("reassigned") is none of those that the others keep of his.  "always":
 * though the program seems to have no merges.  *alone (NULL: not asked): he has
 * no family.  Inside store_begin_read.
 */
extern int64 holder_find(Config *config, const Program *program, Store *store, int64 member_id, bool always,
						 int32 source_id, const text *key, bool reassigned, bool *alone);

/* The same for who has no store at hand. */
extern int64 holder_of(Config *config, const Program *program, Snapshot snapshot, int64 member_id,
					   int32 source_id, const text *key);

/* Whether two members are of one family. */
extern bool holders_are_related(Config *config, const Program *program, int64 a, int64 b);

#endif							/* LOYALTY_HOLDERS_H */
