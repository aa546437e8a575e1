/*
 * budget.c
 *		Points that a rule may give to all members together.
 *
 * The budget of a period is allotted to slots, each a row.  A draw takes from
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
 * A change of the budget is taken over when slots are allotted anew, and only
 * if it leaves something to allot.  Else the slots go on naming the former
 * budget, and nothing is drawn from them, even after points were given back,
 * until less is spent than the budget of now.  Therefore these hold always:
 * what a slot has spent is at most what is allotted to it, and what is allotted
 * to all slots is the budget that each of them names.
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
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/budget.h"
#include "ledger/storage.h"
#include "loyalty.h"

/* Columns of rule_budget, in order; the first three are its key. */
enum
{
	Anum_rule_budget_rule_id = 1,
	Anum_rule_budget_period,
	Anum_rule_budget_slot,
	Anum_rule_budget_budget,
	Anum_rule_budget_allotted,
	Anum_rule_budget_spent
};

typedef enum Statement
{
	ADD_UP,
	CREATE_SLOTS,
	LOCK_SLOTS,
	WRITE_SLOT,
	NSTATEMENTS
} Statement;

/* All statements have the same parameters, used or not. */
enum
{
	PARAM_RULE,
	PARAM_PERIOD,
	PARAM_FIRST,				/* slots from here */
	PARAM_LAST,					/* to here */
	PARAM_BUDGET,
	PARAM_ALLOTTED,
	PARAM_SPENT,
	NPARAMS
};

static const char *const statements[NSTATEMENTS] = {
	[ADD_UP] = "SELECT loyalty.sum(spent), pg_catalog.count(*) FROM loyalty.rule_budget"
	" WHERE rule_id = $1 AND period = $2",
	[CREATE_SLOTS] = "INSERT INTO loyalty.rule_budget (rule_id, period, slot)"
	" SELECT $1, $2, pg_catalog.generate_series($3::pg_catalog.int4, $4::pg_catalog.int4)"
	" ON CONFLICT DO NOTHING",
	[LOCK_SLOTS] = "SELECT slot, budget, allotted, spent FROM loyalty.rule_budget"
	" WHERE rule_id = $1 AND period = $2 AND slot BETWEEN $3 AND $4"
	" ORDER BY slot FOR UPDATE",
	[WRITE_SLOT] = "UPDATE loyalty.rule_budget SET budget = $5, allotted = $6, spent = $7"
	" WHERE rule_id = $1 AND period = $2 AND slot = $3"
};

static SPIPlanPtr plans[NSTATEMENTS];

/*
 * The transaction of this session that drew last.  One that draws again has
 * slots that others may wait for; it takes what is free before it waits itself.
 */
static LocalTransactionId drawing_transaction = InvalidLocalTransactionId;

/* A budget at work, between begin and end. */
typedef struct Counter
{
	Config	   *config;
	EngineScope scope;
	int32		rule_id;
	DateADT		period;
	Points		budget;
	int			home;			/* the slot where this backend looks first */
} Counter;

typedef struct Slot
{
	int16		slot;
	Points		budget;
	Points		allotted;
	Points		spent;
} Slot;

static void
begin(Counter *counter, Config *config, int32 rule_id, DateADT period, Points budget)
{
	counter->config = config;
	counter->rule_id = rule_id;
	counter->period = period;
	counter->budget = budget;
	counter->home = MyProcPid % BUDGET_SLOTS;
	engine_enter(&counter->scope, config->owner);
	SPI_connect();
}

static void
end(Counter *counter)
{
	SPI_finish();
	engine_leave(&counter->scope);
}

/* One plan for all budgets: none of them has anything that another plan would be better for. */
static SPIPlanPtr
prepare(Statement statement)
{
	List	   *name = list_make2(makeString(LOYALTY_SCHEMA), makeString("points"));
	Oid			points = typenameTypeId(NULL, makeTypeNameFromNameList(name));
	Oid			types[NPARAMS] = {INT4OID, DATEOID, INT2OID, INT2OID, points, points, points};
	SPIPlanPtr	plan = SPI_prepare_cursor(statements[statement], NPARAMS, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare to read or write a budget");
	return plan;
}

/* Run a statement on slots first to last; "write" is what WRITE_SLOT writes. */
static void
run(Counter *counter, Statement statement, int first, int last, const Slot *write, bool read_only)
{
	Datum		values[NPARAMS] = {Int32GetDatum(counter->rule_id), DateADTGetDatum(counter->period),
	Int16GetDatum(first), Int16GetDatum(last)};
	SPIPlanPtr	plan = plans[statement];

	if (write != NULL)
	{
		values[PARAM_BUDGET] = PointsGetDatum(write->budget);
		values[PARAM_ALLOTTED] = PointsGetDatum(write->allotted);
		values[PARAM_SPENT] = PointsGetDatum(write->spent);
	}
	if (plan != NULL && !SPI_plan_is_valid(plan))
	{
		plans[statement] = NULL;
		SPI_freeplan(plan);
	}
	if (plans[statement] == NULL)
		plans[statement] = prepare(statement);
	if (SPI_execute_plan(plans[statement], values, NULL, read_only, 0) < 0)
		elog(ERROR, "could not read or write a budget");
}

static void
write_slot(Counter *counter, const Slot *slot)
{
	run(counter, WRITE_SLOT, slot->slot, slot->slot, slot, false);
}

/* What is spent, and in how many slots: as of now, or as the active snapshot sees it. */
static Points
add_up(Counter *counter, bool now, int *nslots)
{
	HeapTuple	row;
	TupleDesc	desc;
	Datum		spent;
	bool		isnull;

	run(counter, ADD_UP, 0, 0, NULL, !now);
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	*nslots = (int) DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	spent = SPI_getbinval(row, desc, 1, &isnull);
	return isnull ? 0 : DatumGetPoints(spent);
}

/* Wait for slots, in order; returns how many there are. */
static int
lock_slots(Counter *counter, int first, int last, Slot *slots)
{
	int			nslots;
	int			i;

	run(counter, LOCK_SLOTS, first, last, NULL, false);
	nslots = (int) SPI_processed;
	for (i = 0; i < nslots; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		slots[i].slot = DatumGetInt16(SPI_getbinval(row, desc, 1, &isnull));
		slots[i].budget = DatumGetPoints(SPI_getbinval(row, desc, 2, &isnull));
		slots[i].allotted = DatumGetPoints(SPI_getbinval(row, desc, 3, &isnull));
		slots[i].spent = DatumGetPoints(SPI_getbinval(row, desc, 4, &isnull));
	}
	return nslots;
}

/* Whether the slot can spend that much (negative: take that much back). */
static bool
slot_suits(const Counter *counter, const Slot *slot, Points points)
{
	if (points < 0)
		return slot->spent >= -points;
	return slot->budget == counter->budget && slot->allotted - slot->spent >= points;
}

/* Unpack what a scan found. */
static void
unpack_slot(TupleTableSlot *tuple, Slot *slot)
{
	Datum	   *values;

	slot_getallattrs(tuple);
	values = tuple->tts_values - 1; /* so that columns count from 1 */
	slot->slot = DatumGetInt16(values[Anum_rule_budget_slot]);
	slot->budget = DatumGetPoints(values[Anum_rule_budget_budget]);
	slot->allotted = DatumGetPoints(values[Anum_rule_budget_allotted]);
	slot->spent = DatumGetPoints(values[Anum_rule_budget_spent]);
}

/*
 * Lock the first slot of the range that is free and suits.  SKIP LOCKED would
 * not do: it locks the latest version of a row, and keeps it locked when that
 * one turns out not to suit.  Then we could wait for others while they wait for
 * us; so a row that changed since the snapshot is passed over instead.
 */
static bool
lock_one(Counter *counter, Relation rel, Relation index, Snapshot snapshot,
		 int first, int last, Points points, Slot *found)
{
	TupleTableSlot *tuple = table_slot_create(rel, NULL);
	TupleTableSlot *locked = table_slot_create(rel, NULL);
	ScanKeyData keys[4];
	IndexScanDesc scan;
	bool		done = false;

	ScanKeyInit(&keys[0], Anum_rule_budget_rule_id, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(counter->rule_id));
	ScanKeyInit(&keys[1], Anum_rule_budget_period, BTEqualStrategyNumber, F_DATE_EQ,
				DateADTGetDatum(counter->period));
	ScanKeyInit(&keys[2], Anum_rule_budget_slot, BTGreaterEqualStrategyNumber, F_INT2GE,
				Int16GetDatum(first));
	ScanKeyInit(&keys[3], Anum_rule_budget_slot, BTLessEqualStrategyNumber, F_INT2LE,
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
		done = slot_suits(counter, found, points) &&
			table_tuple_lock(rel, &tuple->tts_tid, snapshot, locked, GetCurrentCommandId(true),
							 LockTupleNoKeyExclusive, LockWaitSkip, 0, &failure) == TM_Ok;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(locked);
	ExecDropSingleTupleTableSlot(tuple);
	return done;
}

/*
 * Spend up to "most" points in one slot that is free and has "least" of them
 * (both negative: take them back); false when there is none.
 */
static bool
spend_in_one(Counter *counter, Points least, Points most, Points *spent)
{
	Relation	rel = table_open(counter->config->budget_rel, RowExclusiveLock);
	Relation	index;
	Oid			key = RelationGetPrimaryKeyIndex(rel
#if PG_VERSION_NUM >= 180000
												 ,false
#endif
		);
	Snapshot	snapshot = store_snapshot();
	Slot		slot;
	bool		found;

	if (!OidIsValid(key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.%s\" has no primary key",
						LOYALTY_SCHEMA, RelationGetRelationName(rel)),
				 errhint("It came with the extension; restore it before going on.")));
	index = index_open(key, RowExclusiveLock);
	found = lock_one(counter, rel, index, snapshot, counter->home, BUDGET_SLOTS - 1, least, &slot) ||
		(counter->home > 0 &&
		 lock_one(counter, rel, index, snapshot, 0, counter->home - 1, least, &slot));
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	if (!found)
		return false;
	*spent = most < 0 ? most : Min(most, slot.allotted - slot.spent);
	slot.spent += *spent;
	write_slot(counter, &slot);
	return true;
}

/* A draw on several slots. */
typedef struct FreeDraw
{
	Counter    *counter;
	Points		wanted;
	bool		failed;
} FreeDraw;

static void
spend_in_several(void *arg)
{
	FreeDraw   *draw = arg;
	Points		rest = draw->wanted;
	Points		spent;

	while (rest > 0 && spend_in_one(draw->counter, 1, rest, &spent))
		rest -= spent;
	draw->failed = rest > 0;
	if (draw->failed)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("free slots of a budget hold too little")));
}

/*
 * Draw from all slots that are free, without waiting; false, and none of them
 * is locked, when they hold too little together.
 */
static bool
spend_in_free(Counter *counter, Points points)
{
	FreeDraw	draw = {counter, points, false};
	ErrorData  *error = attempt(spend_in_several, &draw);

	if (error != NULL && !draw.failed)
		ReThrowError(error);
	return error == NULL;
}

static Points
total_spent(const Slot *slots, int nslots)
{
	Points		total = 0;
	int			i;

	for (i = 0; i < nslots; i++)
		total = points_add(total, slots[i].spent);
	return total;
}

/*
 * Allot what is left: to all slots, or to as many as get "portion" each, for
 * less is of no use to a draw like the last one.  Where it was of whole points
 * they stay whole, so that draws leave no crumbs.
 */
static void
allot(Counter *counter, Slot *slots, int nslots, Points left, Points portion)
{
	int64		nparts = Max(Min(left / portion, nslots), 1);
	Points		unit = portion % POINTS_UNIT == 0 ? POINTS_UNIT : 1;
	Points		nunits = left / unit;
	int			part = 0;
	int			i;

	for (i = 0; i < nslots; i++)
	{
		slots[i].budget = counter->budget;
		slots[i].allotted = slots[i].spent;
		if ((i + 1) * nparts / nslots == part)
			continue;
		slots[i].allotted += (nunits / nparts + (part < nunits % nparts ? 1 : 0)) * unit;
		part++;
	}
	/* The last slot has a part in any case. */
	slots[nslots - 1].allotted += left % unit;
}

/* Draw from all slots together. */
static Points
draw_from_all(Counter *counter, Points wanted)
{
	Slot		slots[BUDGET_SLOTS];
	int			nslots = lock_slots(counter, 0, BUDGET_SLOTS - 1, slots);
	Points		left = points_sub(counter->budget, total_spent(slots, nslots));
	Points		granted = Min(wanted, left);
	int			i;

	if (nslots == 0 || granted <= 0)
		return 0;
	slots[counter->home % nslots].spent += granted;
	allot(counter, slots, nslots, left - granted, wanted);
	for (i = 0; i < nslots; i++)
		write_slot(counter, &slots[i]);
	return granted;
}

Points
budget_draw(Config *config, int32 rule_id, DateADT period, Points budget, Points wanted)
{
	Counter		counter;
	Slot		gate[1];
	Points		granted = 0;
	bool		queued = false;
	int			nslots;

	Assert(wanted > 0);
	begin(&counter, config, rule_id, period, budget);
	for (;;)
	{
		if (spend_in_one(&counter, wanted, wanted, &granted))
			break;
		/* What others have drawn but not committed can only add to this sum: nothing to wait for. */
		if (add_up(&counter, true, &nslots) >= budget)
			break;
		if (nslots < BUDGET_SLOTS)
			run(&counter, CREATE_SLOTS, 0, BUDGET_SLOTS - 1, NULL, false);
		else if (drawing_transaction == MY_TRANSACTION && !queued && spend_in_free(&counter, wanted))
		{
			granted = wanted;
			break;
		}
		else if (queued)
		{
			granted = draw_from_all(&counter, wanted);
			break;
		}
		else
		{
			lock_slots(&counter, 0, 0, gate);
			queued = true;
		}
	}
	end(&counter);
	drawing_transaction = MY_TRANSACTION;
	return granted;
}

/* Take points back from as many slots as have spent them. */
static void
take_back_from_all(Counter *counter, Points points)
{
	Slot		slots[BUDGET_SLOTS];
	int			nslots = lock_slots(counter, 0, BUDGET_SLOTS - 1, slots);
	Points		rest = points;
	Points		left;
	int			i;

	for (i = 0; i < nslots; i++)
	{
		Points		part = Min(slots[i].spent, rest);

		slots[i].spent -= part;
		rest -= part;
	}
	left = points_sub(counter->budget, total_spent(slots, nslots));
	if (nslots > 0 && left > 0)
		allot(counter, slots, nslots, left, points);
	for (i = 0; i < nslots; i++)
		write_slot(counter, &slots[i]);
}

void
budget_give_back(Config *config, int32 rule_id, DateADT period, Points budget, Points points)
{
	Counter		counter;
	Slot		gate[1];
	Points		spent;

	Assert(points > 0);
	begin(&counter, config, rule_id, period, budget);
	if (!spend_in_one(&counter, -points, -points, &spent))
	{
		lock_slots(&counter, 0, 0, gate);
		if (!spend_in_one(&counter, -points, -points, &spent))
			take_back_from_all(&counter, points);
	}
	end(&counter);
}

Points
budget_left(Config *config, int32 rule_id, DateADT period, Points budget)
{
	Counter		counter;
	Points		spent;
	int			nslots;

	begin(&counter, config, rule_id, period, budget);
	spent = add_up(&counter, false, &nslots);
	end(&counter);
	return spent < budget ? budget - spent : 0;
}
