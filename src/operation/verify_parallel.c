/*
 * verify_parallel.c
 *		Going through members side by side.
 *
 * A member and his entries can be proven without looking at anybody else, and
 * member_ids are spread evenly.  So they are cut into ranges of the same width,
 * one for each process that takes part, this one and as many parallel workers as
 * a query over entry would get (max_parallel_workers_per_gather,
 * min_parallel_table_scan_size).  Who takes part goes through a range quietly;
 * workers that cannot be had leave theirs to the others.  Only where something
 * is wrong a range is gone through again, here, to say what.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "loyalty.h"
#include "operation/verify.h"

PGDLLEXPORT void loyalty_verify_worker(dsm_segment *segment, shm_toc *toc);

#define KEY_SHARED 1

/* What those who take part share. */
typedef struct Shared
{
	Oid			owner;			/* of the extension */
	int32		program_id;		/* 0: all */
	int			nranges;
	pg_atomic_uint32 next;		/* range to be taken */
	bool		unsound[FLEXIBLE_ARRAY_MEMBER];
} Shared;

static MemberRange
nth_range(const Shared *shared, int n)
{
	uint64		width = (uint64) PG_INT64_MAX / shared->nranges + 1;
	MemberRange range;

	range.program_id = shared->program_id;
	/* Whatever was tampered with is in the first range or the last. */
	range.first = n == 0 ? PG_INT64_MIN : (int64) (width * n);
	range.last = n == shared->nranges - 1 ? PG_INT64_MAX : (int64) (width * (n + 1) - 1);
	return range;
}

/* Go through ranges that nobody has taken. */
static void
take_part(Shared *shared)
{
	uint32		n;

	while ((n = pg_atomic_fetch_add_u32(&shared->next, 1)) < shared->nranges)
	{
		MemberRange range = nth_range(shared, n);

		shared->unsound[n] = !verify_range(NULL, &range);
	}
}

void
loyalty_verify_worker(dsm_segment *segment, shm_toc *toc)
{
	Shared	   *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	EngineScope scope;

	engine_enter(&scope, shared->owner);
	SPI_connect();
	take_part(shared);
	SPI_finish();
	engine_leave(&scope);
}

/* As many workers as a parallel scan of entry would have. */
static int
wanted_workers(const Config *config)
{
	Relation	entry = table_open(config->entry_rel, AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(entry);
	int64		threshold = Max(min_parallel_table_scan_size, 1);
	int			workers = 0;

	table_close(entry, NoLock);
	if (blocks >= min_parallel_table_scan_size)
		for (workers = 1; threshold * 3 <= blocks; workers++)
			threshold *= 3;
	return IsInParallelMode() ? 0 : Min(workers, max_parallel_workers_per_gather);
}

static void
begin_shared(Shared *shared, const Verification *verification, int nranges)
{
	memset(shared, 0, offsetof(Shared, unsound) + sizeof(bool) * nranges);
	shared->owner = verification->config->owner;
	shared->program_id = verification->only == NULL ? 0 : verification->only->program_id;
	shared->nranges = nranges;
	pg_atomic_init_u32(&shared->next, 0);
}

static void
go_side_by_side(const Verification *verification, int nworkers, Shared *result)
{
	Size		size = offsetof(Shared, unsound) + sizeof(bool) * (nworkers + 1);
	ParallelContext *parallel;
	Shared	   *shared;

	EnterParallelMode();
	parallel = CreateParallelContext("$libdir/loyalty", "loyalty_verify_worker", nworkers);
	shm_toc_estimate_chunk(&parallel->estimator, size);
	shm_toc_estimate_keys(&parallel->estimator, 1);
	InitializeParallelDSM(parallel);
	shared = shm_toc_allocate(parallel->toc, size);
	begin_shared(shared, verification, nworkers + 1);
	shm_toc_insert(parallel->toc, KEY_SHARED, shared);
	LaunchParallelWorkers(parallel);
	take_part(shared);
	WaitForParallelWorkersToFinish(parallel);
	memcpy(result, shared, size);
	DestroyParallelContext(parallel);
	ExitParallelMode();
}

void
verify_members(Verification *verification)
{
	MemoryContext caller = CurrentMemoryContext;
	int			nworkers = wanted_workers(verification->config);
	Shared	   *shared = palloc(offsetof(Shared, unsound) + sizeof(bool) * (nworkers + 1));
	int			n;

	if (nworkers > 0)
		go_side_by_side(verification, nworkers, shared);
	else
	{
		begin_shared(shared, verification, 1);
		take_part(shared);
	}
	MemoryContextSwitchTo(caller);
	for (n = 0; n < shared->nranges; n++)
	{
		MemberRange range = nth_range(shared, n);

		if (shared->unsound[n])
			(void) verify_range(verification, &range);
	}
	MemoryContextSwitchTo(caller);
	pfree(shared);
}
