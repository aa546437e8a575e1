/*
 * slots.c
 *		A number that all members draw on, kept so that they do not queue for it.
 *
 * What there is for a period is allotted to slots, each a row.  A draw takes from
 * one slot that holds enough and that nobody has locked, looking first where
 * its backend always looks first; so sessions meet only by chance, and nobody
 * waits while plenty is left.
 *
 * Where no free slot holds enough, a draw locks all slots in order, adds up
 * what is left, takes its part and allots the rest anew.  Others find every
 * slot locked meanwhile and come the same way, so they queue at slot 0 and then
 * look for a free slot again: else each of them would lock all slots in his
 * turn, and keep the next ones coming.
 *
 * A change of the total is taken over when slots are allotted anew, and only
 * if it leaves something to allot.  Else the slots go on naming the former
 * total, and nothing is drawn from them, even after something was given back,
 * until less is drawn than the total of now.  Therefore these hold always:
 * what was drawn from a slot is at most what is allotted to it, and what is
 * allotted to all slots is the total that each of them names.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "ledger/probe.h"
#include "ledger/slots.h"
#include "ledger/storage.h"
#include "loyalty.h"
#include "types/points.h"

/* Columns of such a table, in order; the first three are its key. */
enum
{
	Anum_slot_id = 1,
	Anum_slot_period,
	Anum_slot_slot,
	Anum_slot_total,
	Anum_slot_allotted,
	Anum_slot_drawn
};

enum
{
	ADD_UP,
	CREATE_SLOTS,
	LOCK_SLOTS,
	WRITE_SLOT
};

/* All statements have the same parameters, used or not. */
enum
{
	PARAM_ID,
	PARAM_PERIOD,
	PARAM_FIRST,				/* slots from here */
	PARAM_LAST,					/* to here */
	PARAM_TOTAL,
	PARAM_ALLOTTED,
	PARAM_DRAWN,
	NPARAMS
};

/* The transaction of this session that drew last from any table. */
static LocalTransactionId drawing_transaction = InvalidLocalTransactionId;

/* A draw at work, between begin and end. */
typedef struct Draw
{
	const SlotCount *count;
	EngineScope scope;
	int			home;			/* the slot where this backend looks first */
} Draw;

typedef struct Slot
{
	int16		slot;
	int64		total;
	int64		allotted;
	int64		drawn;
} Slot;

static void
begin(Draw *draw, const SlotCount *count)
{
	draw->count = count;
	draw->home = MyProcPid % NSLOTS;
	engine_enter(&draw->scope, count->config->owner);
	SPI_connect();
}

static void
end(Draw *draw)
{
	SPI_finish();
	engine_leave(&draw->scope);
}

static char *
statement_text(const SlotTable *table, int statement)
{
	switch (statement)
	{
		case ADD_UP:
			return psprintf("SELECT %s(%s)%s, pg_catalog.count(*) FROM loyalty.%s WHERE %s = $1 AND period = $2",
							table->points ? "loyalty.sum" : "pg_catalog.sum", table->drawn,
							table->points ? "" : "::pg_catalog.int8", table->name, table->id);
		case CREATE_SLOTS:
			return psprintf("INSERT INTO loyalty.%s (%s, period, slot)"
							" SELECT $1, $2, pg_catalog.generate_series($3::pg_catalog.int4, $4::pg_catalog.int4)"
							" ON CONFLICT DO NOTHING", table->name, table->id);
		case LOCK_SLOTS:
			return psprintf("SELECT slot, %s, allotted, %s FROM loyalty.%s"
							" WHERE %s = $1 AND period = $2 AND slot BETWEEN $3 AND $4"
							" ORDER BY slot FOR UPDATE", table->total, table->drawn, table->name, table->id);
		default:
			return psprintf("UPDATE loyalty.%s SET %s = $5, allotted = $6, %s = $7"
							" WHERE %s = $1 AND period = $2 AND slot = $3",
							table->name, table->total, table->drawn, table->id);
	}
}

/* One plan for all counts of a table: none of them has anything that another plan would be better for. */
static SPIPlanPtr
prepare(const SlotTable *table, int statement)
{
	List	   *name = list_make2(makeString(LOYALTY_SCHEMA), makeString("points"));
	Oid			number = table->points ? typenameTypeId(NULL, makeTypeNameFromNameList(name)) : INT8OID;
	Oid			types[NPARAMS] = {INT4OID, DATEOID, INT2OID, INT2OID, number, number, number};
	SPIPlanPtr	plan = SPI_prepare_cursor(statement_text(table, statement), NPARAMS, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare to read or write \"%s\"", table->name);
	return plan;
}

/* Run a statement on slots first to last; "write" is what WRITE_SLOT writes. */
static void
run(Draw *draw, int statement, int first, int last, const Slot *write, bool read_only)
{
	SlotTable  *table = draw->count->table;
	Datum		values[NPARAMS] = {Int32GetDatum(draw->count->id), DateADTGetDatum(draw->count->period),
	Int16GetDatum(first), Int16GetDatum(last)};
	SPIPlanPtr	plan = table->plans[statement];

	if (write != NULL)
	{
		values[PARAM_TOTAL] = Int64GetDatum(write->total);
		values[PARAM_ALLOTTED] = Int64GetDatum(write->allotted);
		values[PARAM_DRAWN] = Int64GetDatum(write->drawn);
	}
	if (plan != NULL && !SPI_plan_is_valid(plan))
	{
		table->plans[statement] = NULL;
		SPI_freeplan(plan);
	}
	if (table->plans[statement] == NULL)
		table->plans[statement] = prepare(table, statement);
	if (SPI_execute_plan(table->plans[statement], values, NULL, read_only, 0) < 0)
		elog(ERROR, "could not read or write \"%s\"", table->name);
}

static void
write_slot(Draw *draw, const Slot *slot)
{
	run(draw, WRITE_SLOT, slot->slot, slot->slot, slot, false);
}

/* What is drawn, and in how many slots: as of now, or as the active snapshot sees it. */
static int64
add_up(Draw *draw, bool now, int *nslots)
{
	HeapTuple	row;
	TupleDesc	desc;
	Datum		drawn;
	bool		isnull;

	run(draw, ADD_UP, 0, 0, NULL, !now);
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	*nslots = (int) DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	drawn = SPI_getbinval(row, desc, 1, &isnull);
	return isnull ? 0 : DatumGetInt64(drawn);
}

/* Wait for slots, in order; returns how many there are. */
static int
lock_slots(Draw *draw, int first, int last, Slot *slots)
{
	int			nslots;
	int			i;

	run(draw, LOCK_SLOTS, first, last, NULL, false);
	nslots = (int) SPI_processed;
	for (i = 0; i < nslots; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		slots[i].slot = DatumGetInt16(SPI_getbinval(row, desc, 1, &isnull));
		slots[i].total = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
		slots[i].allotted = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
		slots[i].drawn = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
	}
	return nslots;
}

/* Whether so much can be drawn from the slot (negative: given back to it). */
static bool
slot_suits(const Draw *draw, const Slot *slot, int64 amount)
{
	if (amount < 0)
		return slot->drawn >= -amount;
	return slot->total == draw->count->total && slot->allotted - slot->drawn >= amount;
}

/* Unpack what a scan found. */
static void
unpack_slot(TupleTableSlot *tuple, Slot *slot)
{
	Datum	   *values;

	slot_getallattrs(tuple);
	values = tuple->tts_values - 1; /* so that columns count from 1 */
	slot->slot = DatumGetInt16(values[Anum_slot_slot]);
	slot->total = DatumGetInt64(values[Anum_slot_total]);
	slot->allotted = DatumGetInt64(values[Anum_slot_allotted]);
	slot->drawn = DatumGetInt64(values[Anum_slot_drawn]);
}

/*
 * Lock the first slot of the range that is free and suits.  SKIP LOCKED would
 * not do: it locks the latest version of a row, and keeps it locked when that
 * one turns out not to suit.  Then we could wait for others while they wait for
 * us; so a row that changed since the snapshot is passed over instead.
 */
static bool
lock_one(Draw *draw, Relation rel, Relation index, Snapshot snapshot,
		 int first, int last, int64 amount, Slot *found)
{
	TupleTableSlot *tuple = table_slot_create(rel, NULL);
	TupleTableSlot *locked = table_slot_create(rel, NULL);
	ScanKeyData keys[4];
	IndexScanDesc scan;
	bool		done = false;

	ScanKeyInit(&keys[0], Anum_slot_id, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(draw->count->id));
	ScanKeyInit(&keys[1], Anum_slot_period, BTEqualStrategyNumber, F_DATE_EQ,
				DateADTGetDatum(draw->count->period));
	ScanKeyInit(&keys[2], Anum_slot_slot, BTGreaterEqualStrategyNumber, F_INT2GE,
				Int16GetDatum(first));
	ScanKeyInit(&keys[3], Anum_slot_slot, BTLessEqualStrategyNumber, F_INT2LE,
				Int16GetDatum(last));
	scan = index_beginscan(rel, index, snapshot,
#if PG_VERSION_NUM >= 180000
						   NULL,
#endif
						   lengthof(keys), 0);
	index_rescan(scan, keys, lengthof(keys), NULL, 0);
	while (!done && index_getnext_slot(scan, ForwardScanDirection, tuple))
	{
		TM_FailureData failure;

		unpack_slot(tuple, found);
		done = slot_suits(draw, found, amount) &&
			table_tuple_lock(rel, &tuple->tts_tid, snapshot, locked, GetCurrentCommandId(true),
							 LockTupleNoKeyExclusive, LockWaitSkip, 0, &failure) == TM_Ok;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(locked);
	ExecDropSingleTupleTableSlot(tuple);
	return done;
}

/*
 * Draw up to "most" from one slot that is free and has at least "least" (both
 * negative: give them back); false when there is none.
 */
static bool
draw_from_one(Draw *draw, int64 least, int64 most, int64 *drawn)
{
	Relation	rel = table_open(draw->count->rel, RowExclusiveLock);
	Relation	index;
	Snapshot	snapshot = store_snapshot();
	Slot		slot;
	bool		found;

	index = index_open(probe_primary_key(rel), RowExclusiveLock);
	found = lock_one(draw, rel, index, snapshot, draw->home, NSLOTS - 1, least, &slot) ||
		(draw->home > 0 &&
		 lock_one(draw, rel, index, snapshot, 0, draw->home - 1, least, &slot));
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	if (!found)
		return false;
	*drawn = most < 0 ? most : Min(most, slot.allotted - slot.drawn);
	slot.drawn += *drawn;
	write_slot(draw, &slot);
	return true;
}

/*
 * Draw from all slots that are free, without waiting; false, and none of them
 * is locked, when they hold too little together.
 */
static bool
draw_from_free(Draw *draw, int64 wanted)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int64 rest = wanted;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		int64		drawn;

		while (rest > 0 && draw_from_one(draw, 1, rest, &drawn))
			rest -= drawn;
		if (rest == 0)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return rest == 0;
}

static int64
total_drawn(const Slot *slots, int nslots)
{
	int64		total = 0;
	int			i;

	for (i = 0; i < nslots; i++)
		total = points_add(total, slots[i].drawn);
	return total;
}

/*
 * Allot what is left: to all slots, or to as many as get "portion" each, for
 * less is of no use to a draw like the last one.  Where it was of whole units
 * they stay whole, so that draws leave no crumbs.
 */
static void
allot(Draw *draw, Slot *slots, int nslots, int64 left, int64 portion)
{
	int64		whole = draw->count->table->points ? POINTS_UNIT : 1;
	int64		nparts = Max(Min(left / portion, nslots), 1);
	int64		unit = portion % whole == 0 ? whole : 1;
	int64		nunits = left / unit;
	int			part = 0;
	int			i;

	for (i = 0; i < nslots; i++)
	{
		slots[i].total = draw->count->total;
		slots[i].allotted = slots[i].drawn;
		if ((i + 1) * nparts / nslots == part)
			continue;
		slots[i].allotted += (nunits / nparts + (part < nunits % nparts ? 1 : 0)) * unit;
		part++;
	}
	/* The last slot has a part in any case. */
	slots[nslots - 1].allotted += left % unit;
}

/* Draw from all slots together. */
static int64
draw_from_all(Draw *draw, int64 wanted)
{
	Slot		slots[NSLOTS];
	int			nslots = lock_slots(draw, 0, NSLOTS - 1, slots);
	int64		left = points_sub(draw->count->total, total_drawn(slots, nslots));
	int64		granted = Min(wanted, left);
	int			i;

	if (nslots == 0 || granted <= 0)
		return 0;
	slots[draw->home % nslots].drawn += granted;
	allot(draw, slots, nslots, left - granted, wanted);
	for (i = 0; i < nslots; i++)
		write_slot(draw, &slots[i]);
	return granted;
}

int64
slots_draw(const SlotCount *count, int64 wanted)
{
	Draw		draw;
	Slot		gate[1];
	int64		granted = 0;
	bool		queued = false;
	int			nslots;

	Assert(wanted > 0);
	begin(&draw, count);
	for (;;)
	{
		if (draw_from_one(&draw, wanted, wanted, &granted))
			break;
		/* What others have drawn but not committed can only add to this sum: nothing to wait for. */
		if (add_up(&draw, true, &nslots) >= count->total)
			break;
		if (nslots < NSLOTS)
			run(&draw, CREATE_SLOTS, 0, NSLOTS - 1, NULL, false);
		/* One that draws again has slots that others may wait for: it takes what is free before it waits itself. */
		else if (drawing_transaction == MY_TRANSACTION && !queued && draw_from_free(&draw, wanted))
		{
			granted = wanted;
			break;
		}
		else if (queued)
		{
			granted = draw_from_all(&draw, wanted);
			break;
		}
		else
		{
			lock_slots(&draw, 0, 0, gate);
			queued = true;
		}
	}
	end(&draw);
	drawing_transaction = MY_TRANSACTION;
	return granted;
}

/* Give back to as many slots as were drawn from. */
static void
give_back_to_all(Draw *draw, int64 amount)
{
	Slot		slots[NSLOTS];
	int			nslots = lock_slots(draw, 0, NSLOTS - 1, slots);
	int64		rest = amount;
	int64		left;
	int			i;

	for (i = 0; i < nslots; i++)
	{
		int64		part = Min(slots[i].drawn, rest);

		slots[i].drawn -= part;
		rest -= part;
	}
	left = points_sub(draw->count->total, total_drawn(slots, nslots));
	if (nslots > 0 && left > 0)
		allot(draw, slots, nslots, left, amount);
	for (i = 0; i < nslots; i++)
		write_slot(draw, &slots[i]);
}

void
slots_give_back(const SlotCount *count, int64 amount)
{
	Draw		draw;
	Slot		gate[1];
	int64		drawn;

	Assert(amount > 0);
	begin(&draw, count);
	if (!draw_from_one(&draw, -amount, -amount, &drawn))
	{
		lock_slots(&draw, 0, 0, gate);
		if (!draw_from_one(&draw, -amount, -amount, &drawn))
			give_back_to_all(&draw, amount);
	}
	end(&draw);
}

int64
slots_left(const SlotCount *count, bool now)
{
	Draw		draw;
	int64		drawn;
	int			nslots;

	begin(&draw, count);
	drawn = add_up(&draw, now, &nslots);
	end(&draw);
	return drawn < count->total ? count->total - drawn : 0;
}
