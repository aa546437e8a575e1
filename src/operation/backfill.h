/*
 * backfill.h
 *		What the parts of backfill share.
 */
#ifndef LOYALTY_BACKFILL_H
#define LOYALTY_BACKFILL_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "earning/source.h"
#include "ledger/storage.h"
#include "operation/batch.h"

typedef struct Backfill
{
	int32		source_id;
	char	   *name;
	int			batch_size;
	bool		first_pass;		/* all rows; later passes only those without entries */
	int64		listed;			/* purchases of this pass */
	int64		done;
	int64		posted;
	int64		deferred;
	bool		finished;		/* nothing is left to do */
	TupleDesc	desc;			/* (at, key) */
	Tuplestorestate *keys;		/* in order; outlives the commits */
	TupleTableSlot *slot;
	Batches    *batches;
} Backfill;

/* Where an earlier run came to; DT_NOBEGIN and NULL: nowhere. */
typedef struct Position
{
	TimestampTz at;
	text	   *key;
} Position;

/* The list of a pass while it is put in order. */
typedef struct PassList
{
	Backfill   *backfill;
	Source	   *source;
	Position	position;
	Store	   *store;
	Tuplesortstate *sort;
	TupleTableSlot *slot;
} PassList;

/* Put a purchase into the list, if the pass is about it; "ref" NULL: a guest's. */
extern void backfill_list(PassList *list, text *key, const text *ref, bool counts, TimestampTz at);

/* The same two steps for a query. */
extern void backfill_list_query(PassList *list);
extern void backfill_work_query(Backfill *backfill, Source *source, text **keys, int nkeys);

#endif							/* LOYALTY_BACKFILL_H */
