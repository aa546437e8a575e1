/*
 * seal.c
 *		Sealing the history of all members of a program.
 *
 * One pass over the members in the order of member_id, under one snapshot: each
 * is a leaf of the tree, and who has another head than his last leaf says gets a
 * new one.  Memory is that of a batch of leaves, and of what is kept of each
 * part.  Nobody who earns or redeems waits: members are only read.
 *
 * Seals are made one after the other, so that each knows the one before; and
 * whatever a transaction sees otherwise, they are of the moment they tell.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "ledger/access.h"
#include "ledger/config.h"
#include "ledger/probe.h"
#include "loyalty.h"
#include "operation/seals.h"
#include "operation/verify.h"
#include "types/merkle.h"

PG_FUNCTION_INFO_V1(loyalty_seal);

/* Leaves written at a time. */
#define LEAF_BATCH 1000

static const char *const members_query =
	"SELECT member_id, seq, head FROM loyalty.member WHERE program_id = $1 ORDER BY member_id";

/* Columns of seal_leaf. */
enum
{
	Anum_leaf_seq = 2,
	Anum_leaf_head = 5
};

static const char *const leaves_insert =
	"INSERT INTO loyalty.seal_leaf (member_id, seq, program_id, seal, head)"
	" SELECT l.member_id, l.seq, $4, $5, l.head FROM unnest($1, $2, $3) AS l (member_id, seq, head)";

/* A seal in the making. */
typedef struct Sealing
{
	StoredSeal	seal;
	Merkle		whole;			/* over the roots of parts */
	Merkle		part;
	int			parts_capacity;
	int64		newcomers;
	MemoryContext context;
	Relation	leaf_rel;
	Relation	leaf_index;
	IndexScanDesc leaf_scan;
	TupleTableSlot *leaf_slot;
	SPIPlanPtr	insert;			/* of leaves */
	MemoryContext batch;		/* what waits to be inserted is there */
	int			nleaves;
	Datum		leaf_members[LEAF_BATCH];
	Datum		leaf_seqs[LEAF_BATCH];
	Datum		leaf_heads[LEAF_BATCH];
} Sealing;

static Datum
hash_datum(const uint8 *hash, bool present)
{
	Size		length = present ? HASH_LENGTH : 0;
	bytea	   *value = palloc(VARHDRSZ + length);

	SET_VARSIZE(value, VARHDRSZ + length);
	memcpy(VARDATA(value), hash, length);
	return PointerGetDatum(value);
}

/*
 * The tree
 */

/* The part is full, or the last one. */
static void
end_part(Sealing *sealing)
{
	StoredSeal *seal = &sealing->seal;
	uint8	   *root = seal->part_roots + (Size) (seal->nparts - 1) * HASH_LENGTH;

	merkle_root(&sealing->part, root);
	merkle_add(&sealing->whole, root);
	merkle_init(&sealing->part);
}

static void
add_leaf(Sealing *sealing, int64 member_id, const uint8 *leaf)
{
	StoredSeal *seal = &sealing->seal;

	if (sealing->part.count == 0)
	{
		if (seal->nparts == sealing->parts_capacity)
		{
			sealing->parts_capacity *= 2;
			seal->part_members = repalloc_huge(seal->part_members, sizeof(int64) * sealing->parts_capacity);
			seal->part_roots = repalloc_huge(seal->part_roots, (Size) HASH_LENGTH * sealing->parts_capacity);
		}
		seal->part_members[seal->nparts++] = member_id;
	}
	merkle_add(&sealing->part, leaf);
	seal->row.members++;
	if (sealing->part.count == SEAL_PART)
		end_part(sealing);
}

/*
 * Leaves that are new
 */

static Datum
array_datum(Datum *elements, int count, Oid type)
{
	ArrayType  *array = type == INT8OID
		? construct_array(elements, count, type, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)
		: construct_array(elements, count, type, -1, false, TYPALIGN_INT);

	return PointerGetDatum(array);
}

static void
write_leaves(Sealing *sealing)
{
	MemoryContext caller = MemoryContextSwitchTo(sealing->batch);
	Datum		values[5];

	values[0] = array_datum(sealing->leaf_members, sealing->nleaves, INT8OID);
	values[1] = array_datum(sealing->leaf_seqs, sealing->nleaves, INT8OID);
	values[2] = array_datum(sealing->leaf_heads, sealing->nleaves, BYTEAOID);
	values[3] = Int32GetDatum(sealing->seal.row.program_id);
	values[4] = Int32GetDatum(sealing->seal.row.seal);
	SPI_execute_plan(sealing->insert, values, NULL, false, 0);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(sealing->batch);
	sealing->nleaves = 0;
}

static void
note_leaf(Sealing *sealing, int64 member_id, int64 seq, const uint8 *head, bool has_head)
{
	MemoryContext caller = MemoryContextSwitchTo(sealing->batch);

	sealing->leaf_members[sealing->nleaves] = Int64GetDatum(member_id);
	sealing->leaf_seqs[sealing->nleaves] = Int64GetDatum(seq);
	sealing->leaf_heads[sealing->nleaves] = hash_datum(head, has_head);
	MemoryContextSwitchTo(caller);
	sealing->seal.changed++;
	if (++sealing->nleaves == LEAF_BATCH)
		write_leaves(sealing);
}

static void
begin_look_up(Sealing *sealing, Snapshot snapshot)
{
	sealing->context = CurrentMemoryContext;
	sealing->leaf_rel = table_open(get_relname_relid("seal_leaf", get_namespace_oid(LOYALTY_SCHEMA, false)),
								   RowExclusiveLock);
	sealing->leaf_index = index_open(probe_primary_key(sealing->leaf_rel), AccessShareLock);
	sealing->leaf_scan = index_beginscan(sealing->leaf_rel, sealing->leaf_index, snapshot,
#if PG_VERSION_NUM >= 180000
										 NULL,
#endif
										 1, 0);
	sealing->leaf_slot = table_slot_create(sealing->leaf_rel, NULL);
}

static void
end_look_up(Sealing *sealing)
{
	ExecDropSingleTupleTableSlot(sealing->leaf_slot);
	index_endscan(sealing->leaf_scan);
	index_close(sealing->leaf_index, NoLock);
	table_close(sealing->leaf_rel, NoLock);
}

/* The last leaf of a member; false when he has none. */
static bool
find_leaf(Sealing *sealing, int64 member_id, int64 *seq, uint8 *head, bool *has_head)
{
	/* What the scan remembers of dead rows outlives a member. */
	MemoryContext caller = MemoryContextSwitchTo(sealing->context);
	ScanKeyData key;
	bool		found;
	bool		isnull;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	index_rescan(sealing->leaf_scan, &key, 1, NULL, 0);
	found = index_getnext_slot(sealing->leaf_scan, BackwardScanDirection, sealing->leaf_slot);
	MemoryContextSwitchTo(caller);
	if (!found)
		return false;
	*seq = DatumGetInt64(slot_getattr(sealing->leaf_slot, Anum_leaf_seq, &isnull));
	(void) seals_hash(slot_getattr(sealing->leaf_slot, Anum_leaf_head, &isnull), head, has_head);
	return true;
}

/* The member at the cursor. */
static void
seal_member(Sealing *sealing, const Cursor *members)
{
	int64		member_id = DatumGetInt64(members->values[0]);
	int64		seq = DatumGetInt64(members->values[1]);
	uint8		head[HASH_LENGTH];
	bool		has_head;
	int64		sealed_seq;
	uint8		sealed_head[HASH_LENGTH];
	bool		had_head;
	uint8		leaf[HASH_LENGTH];

	if (!seals_hash(members->values[2], head, &has_head))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("head of member " INT64_FORMAT " is damaged", member_id),
				 errhint("loyalty.verify() says what else is wrong.")));
	seal_leaf(member_id, seq, head, has_head ? HASH_LENGTH : 0, leaf);
	add_leaf(sealing, member_id, leaf);
	if (!find_leaf(sealing, member_id, &sealed_seq, sealed_head, &had_head))
		sealing->newcomers++;
	else if (sealed_seq == seq && had_head == has_head && memcmp(sealed_head, head, HASH_LENGTH) == 0)
		return;
	note_leaf(sealing, member_id, seq, head, has_head);
}

/* Whoever was under the seal before is a member still: else no leaf says where he has gone. */
static void
check_nobody_left(const Sealing *sealing, int64 members_before)
{
	int64		stayed = sealing->seal.row.members - sealing->newcomers;

	if (stayed != members_before)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("members of program \"%s\" are gone who were sealed", sealing->seal.row.program),
				 errdetail("Seal %d is over " INT64_FORMAT " members, of whom " INT64_FORMAT " are there.",
						   sealing->seal.row.seal - 1, members_before, stayed),
				 errhint("loyalty.verify() says who is missing.")));
}

/* Sort as maintenance does, and never fetch rows in the order of an index; until engine_leave. */
static void
plan_to_sort(void)
{
	char		memory[32];

	snprintf(memory, sizeof(memory), "%d", Max(work_mem, maintenance_work_mem));
	(void) set_config_option("work_mem", memory, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_indexscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
seal_members(Sealing *sealing, int64 members_before, Snapshot snapshot)
{
	Oid			leaf_types[5] = {INT8ARRAYOID, INT8ARRAYOID, BYTEAARRAYOID, INT4OID, INT4OID};
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(sealing->seal.row.program_id)};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row_context = AllocSetContextCreate(caller, "loyalty sealed member", ALLOCSET_SMALL_SIZES);
	Cursor		members;

	sealing->batch = AllocSetContextCreate(caller, "loyalty leaves", ALLOCSET_DEFAULT_SIZES);
	sealing->insert = SPI_prepare(leaves_insert, lengthof(leaf_types), leaf_types);
	plan_to_sort();
	begin_look_up(sealing, snapshot);
	cursor_open(&members, InvalidOid, members_query, lengthof(types), types, values, NULL);
	while (cursor_next(&members))
	{
		MemoryContextSwitchTo(row_context);
		seal_member(sealing, &members);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
	}
	cursor_close(&members);
	end_look_up(sealing);
	MemoryContextDelete(row_context);
	if (sealing->nleaves > 0)
		write_leaves(sealing);
	if (sealing->part.count > 0)
		end_part(sealing);
	merkle_root(&sealing->whole, sealing->seal.row.root);
	check_nobody_left(sealing, members_before);
}

/*
 * The seal
 */

static void
write_seal(const StoredSeal *seal)
{
	const SealRow *row = &seal->row;
	Oid			types[10] = {INT4OID, INT4OID, TIMESTAMPTZOID, INT8OID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID,
		INT8ARRAYOID, BYTEAARRAYOID};
	Datum	   *members = palloc_extended(sizeof(Datum) * Max(seal->nparts, 1), MCXT_ALLOC_HUGE);
	Datum	   *roots = palloc_extended(sizeof(Datum) * Max(seal->nparts, 1), MCXT_ALLOC_HUGE);
	Datum		values[10];
	int			i;

	for (i = 0; i < seal->nparts; i++)
	{
		members[i] = Int64GetDatum(seal->part_members[i]);
		roots[i] = hash_datum(seal->part_roots + (Size) i * HASH_LENGTH, true);
	}
	values[0] = Int32GetDatum(row->program_id);
	values[1] = Int32GetDatum(row->seal);
	values[2] = TimestampTzGetDatum(row->sealed_at);
	values[3] = Int64GetDatum(row->members);
	values[4] = Int64GetDatum(seal->changed);
	values[5] = hash_datum(row->root, true);
	values[6] = hash_datum(row->previous, row->has_previous);
	values[7] = hash_datum(row->hash, true);
	values[8] = array_datum(members, seal->nparts, INT8OID);
	values[9] = array_datum(roots, seal->nparts, BYTEAOID);
	SPI_execute_with_args("INSERT INTO loyalty.seal (" SEAL_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
						  lengthof(types), types, values, NULL, false, 0);
}

/* Begin the seal that follows the last one; returns how many members that is over. */
static int64
begin_seal(Sealing *sealing, const Program *program)
{
	SealRow    *row = &sealing->seal.row;
	StoredSeal	before;
	bool		found = seals_find(program, 0, &before);

	memset(sealing, 0, sizeof(*sealing));
	merkle_init(&sealing->whole);
	merkle_init(&sealing->part);
	sealing->parts_capacity = 64;
	sealing->seal.part_members = palloc(sizeof(int64) * sealing->parts_capacity);
	sealing->seal.part_roots = palloc((Size) HASH_LENGTH * sealing->parts_capacity);
	row->program_id = program->program_id;
	row->program = program->name;
	row->seal = 1;
	row->sealed_at = GetCurrentTimestamp();
	if (!found)
		return 0;
	row->seal = before.row.seal + 1;
	row->has_previous = true;
	memcpy(row->previous, before.row.hash, HASH_LENGTH);
	/* A clock that was put back does not put time back. */
	row->sealed_at = Max(row->sealed_at, before.row.sealed_at);
	return before.row.members;
}

static Datum
hex_datum(const uint8 *hash, bool present)
{
	char		hex[2 * HASH_LENGTH + 1];

	hex[hex_encode((const char *) hash, present ? HASH_LENGTH : 0, hex)] = '\0';
	return CStringGetTextDatum(hex);
}

static Datum
seal_result(FunctionCallInfo fcinfo, const StoredSeal *seal)
{
	const SealRow *row = &seal->row;
	TupleDesc	desc;
	Datum		values[8];
	bool		nulls[8] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(row->program);
	values[1] = Int32GetDatum(row->seal);
	values[2] = TimestampTzGetDatum(row->sealed_at);
	values[3] = Int64GetDatum(row->members);
	values[4] = Int64GetDatum(seal->changed);
	values[5] = hex_datum(row->root, true);
	values[6] = hex_datum(row->previous, row->has_previous);
	values[7] = hex_datum(row->hash, true);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* seal(program) → seals */
Datum
loyalty_seal(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	Config	   *config = config_get();
	Program    *program = access_program(config, text_argument(fcinfo, 0), ACCESS_OPERATE);
	Sealing    *sealing = palloc(sizeof(Sealing));
	Snapshot	snapshot;
	EngineScope scope;
	int64		members_before;

	PreventCommandIfReadOnly("loyalty.seal()");
	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute("LOCK TABLE loyalty.seal IN SHARE ROW EXCLUSIVE MODE", false, 0);
	/* What is committed by now, by who sealed before us too, in a transaction of any isolation level: the time is sealed with it. */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	MemoryContextSwitchTo(caller);
	members_before = begin_seal(sealing, program);
	seal_members(sealing, members_before, snapshot);
	seal_hash(&sealing->seal.row, sealing->seal.row.hash);
	write_seal(&sealing->seal);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	SPI_finish();
	engine_leave(&scope);
	return seal_result(fcinfo, &sealing->seal);
}
