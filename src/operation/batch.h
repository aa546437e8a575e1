/*
 * batch.h
 *		Procedures that commit batch by batch.
 *
 * Called on its own a procedure commits after each batch; inside a transaction
 * it does one bounded batch and leaves the commit to the caller.  Rights and
 * search_path are taken on within a batch and given back before each commit.
 */
#ifndef LOYALTY_BATCH_H
#define LOYALTY_BATCH_H

#include "postgres.h"
#include "fmgr.h"

typedef struct Batches
{
	bool		atomic;			/* inside a transaction: one batch only */
	MemoryContext context;		/* outlives the commits */
} Batches;

extern void batches_begin(FunctionCallInfo fcinfo, Batches *batches);

/* Commit a batch; false when there may be no further one. */
extern bool batches_next(Batches *batches);
extern void batches_end(Batches *batches);

/* batch_size as given; 22023 unless positive. */
extern int	batch_size_argument(FunctionCallInfo fcinfo, int argno, int default_size);

#endif							/* LOYALTY_BATCH_H */
