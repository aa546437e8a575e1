/*
 * member_run.h
 *		A step of maintenance over the members who need it.
 *
 * As in due.c: a run lists the members, then takes them batch by batch, each in
 * a transaction.  Whoever is locked is being posted to, which writes down the
 * same of him, or is written by another run: he is skipped.  Once locked he is
 * judged by what there is then.  So a run that was stopped is simply started
 * again.
 */
#ifndef LOYALTY_MEMBER_RUN_H
#define LOYALTY_MEMBER_RUN_H

#include "ledger/config.h"
#include "ledger/storage.h"
#include "operation/batch.h"

typedef struct MemberStep
{
	/* gives the members in ascending order; $1 program_id, $2 the day of the run, $3 its time */
	const char *query;

	/* Write it for locked members; returns how many things that were. */
	int64		(*write) (Config *config, Store *store, MemberRow *rows, int nrows, TimestampTz at);

	/* A sentence of them; and what a failure leaves undone, so that "... member_id 7 ..." can follow. */
	char	   *(*sentence) (const char *program, int64 count);
	const char *undone;
} MemberStep;

/*
 * Do the step for the members of a program, batch by batch; inside a
 * transaction one batch.  False when there was nobody.
 */
extern bool member_run(Batches *batches, const MemberStep *step, int32 program_id, TimestampTz at, int batch_size);

#endif							/* LOYALTY_MEMBER_RUN_H */
