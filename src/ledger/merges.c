/*
 * merges.c
 *		Who has been merged into whom.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "ledger/merges.h"
#include "ledger/probe.h"
#include "loyalty.h"

/* Columns of member_merge; the first two are its key. */
enum
{
	Anum_merge_member_id = 1,
	Anum_merge_seq,
	Anum_merge_into_member_id,
	Anum_merge_into_seq,
	Anum_merge_merged_at,
	Anum_merge_undone_at,
	Anum_merge_undone_seq,
	Anum_merge_had_enrolled_at,
	Anum_merge_program_id,
	Anum_merge_had_tier_until,
	Anum_merge_had_floor_until,
	Anum_merge_ref,
	Anum_merge_refs,
	Anum_merge_gave_tier,
	Anum_merge_had_tier,
	Anum_merge_gave_floor,
	Anum_merge_had_floor
};

/*
 * Lists of members
 */

void
member_ids_add(MemberIds *members, int64 member_id)
{
	if (members->count == members->capacity)
	{
		members->capacity = Max(4, members->capacity * 2);
		members->ids = members->ids == NULL ? palloc(sizeof(int64) * members->capacity)
			: repalloc(members->ids, sizeof(int64) * members->capacity);
	}
	members->ids[members->count++] = member_id;
}

bool
member_ids_have(const MemberIds *members, int64 member_id)
{
	int			i;

	for (i = 0; i < members->count; i++)
		if (members->ids[i] == member_id)
			return true;
	return false;
}

/*
 * Reading
 */

static text *
text_column(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	return isnull ? NULL : DatumGetTextPCopy(value);
}

static DateADT
date_column(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	return isnull ? DATEVAL_NOEND : DatumGetDateADT(value);
}

static void
read_merge(HeapTuple row, TupleDesc desc, Merge *merge)
{
	bool		isnull;
	Datum		enrolled_at = heap_getattr(row, Anum_merge_had_enrolled_at, desc, &isnull);

	merge->enrolled_at = isnull ? DT_NOEND : DatumGetTimestampTz(enrolled_at);
	merge->member_id = DatumGetInt64(heap_getattr(row, Anum_merge_member_id, desc, &isnull));
	merge->seq = DatumGetInt64(heap_getattr(row, Anum_merge_seq, desc, &isnull));
	merge->into_id = DatumGetInt64(heap_getattr(row, Anum_merge_into_member_id, desc, &isnull));
	merge->program_id = DatumGetInt32(heap_getattr(row, Anum_merge_program_id, desc, &isnull));
	merge->ref = text_column(row, desc, Anum_merge_ref);
	merge->refs = PointerGetDatum(PG_DETOAST_DATUM_COPY(heap_getattr(row, Anum_merge_refs, desc, &isnull)));
	merge->gave_tier = text_column(row, desc, Anum_merge_gave_tier);
	merge->had_tier = text_column(row, desc, Anum_merge_had_tier);
	merge->had_tier_until = date_column(row, desc, Anum_merge_had_tier_until);
	merge->gave_floor = text_column(row, desc, Anum_merge_gave_floor);
	merge->had_floor = text_column(row, desc, Anum_merge_had_floor);
	merge->had_floor_until = date_column(row, desc, Anum_merge_had_floor_until);
}

static bool
stands(HeapTuple row, TupleDesc desc)
{
	return heap_attisnull(row, Anum_merge_undone_at, desc);
}

bool
merge_of(Config *config, int64 member_id, Merge *merge)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	bool		found = false;
	Probe		probe;
	ScanKeyData key;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_merge_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	for (row = probe_begin(&probe, config->merge_rel, snapshot, &key, 1); row != NULL && !found; row = probe_next(&probe))
	{
		found = stands(row, RelationGetDescr(probe.rel));
		if (found)
		{
			read_merge(row, RelationGetDescr(probe.rel), merge);
			break;
		}
	}
	probe_end(&probe);
	UnregisterSnapshot(snapshot);
	return found;
}

int64
merge_by(Config *config, int64 member_id, int64 seq)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	int64		into_id = 0;
	Probe		probe;
	ScanKeyData keys[2];
	HeapTuple	row;
	bool		isnull;

	ScanKeyInit(&keys[0], Anum_merge_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	ScanKeyInit(&keys[1], Anum_merge_seq, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(seq));
	row = probe_begin(&probe, config->merge_rel, snapshot, keys, seq == 0 ? 1 : 2);
	if (row != NULL)
		into_id = DatumGetInt64(heap_getattr(row, Anum_merge_into_member_id, RelationGetDescr(probe.rel), &isnull));
	probe_end(&probe);
	UnregisterSnapshot(snapshot);
	return into_id;
}

bool
merge_of_ref(Config *config, const Program *program, const text *ref, Merge *merge)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(program->program_id), PointerGetDatum(ref)};
	int64		member_id = 0;
	bool		found;
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("SELECT member_id FROM loyalty.member_merge"
						  " WHERE program_id = $1 AND ref = $2 AND undone_at IS NULL",
						  2, types, values, NULL, true, 1);
	PopActiveSnapshot();
	found = SPI_processed > 0;
	if (found)
	{
		bool		isnull;

		member_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	engine_leave(&scope);
	return found && merge_of(config, member_id, merge);
}

void
merge_way(Config *config, int64 member_id, MemberIds *way)
{
	Merge		merge;

	memset(way, 0, sizeof(*way));
	member_ids_add(way, member_id);
	/* No ring, whatever somebody has done to the table. */
	while (merge_of(config, member_id, &merge) && !member_ids_have(way, merge.into_id))
	{
		CHECK_FOR_INTERRUPTS();
		member_id = merge.into_id;
		member_ids_add(way, member_id);
	}
}

/*
 * Add the ledgers that a member's refs led to while he stood merged, and that have
 * an act of that source_key from then.  From when to when that was is said by
 * numbers of entries: of the entry that got what he had, and of the one that gave
 * it back, which his own entry names.  Nobody is merged, or parted, into who
 * stands merged himself; so a merge of that one belongs to the time in which it
 * was made.
 */
static void
add_ledgers_since(Config *config, int64 member_id, const text *source_key, MemberIds *ledgers)
{
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2] = {Int64GetDatum(member_id), PointerGetDatum(source_key)};
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	uint64		i;

#define LAST_SEQ "CASE WHEN m.undone_seq IS NULL THEN 9223372036854775807" \
	" ELSE (SELECT pg_catalog.split_part(u.source_key, '#', 2)::pg_catalog.int8 FROM loyalty.entry u" \
	" WHERE u.member_id = m.member_id AND u.seq = m.undone_seq) END"

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args("WITH RECURSIVE led (member_id, first_seq, last_seq) AS ("
						  " SELECT m.into_member_id, m.into_seq, " LAST_SEQ
						  " FROM loyalty.member_merge m WHERE m.member_id = $1"
						  " UNION SELECT m.into_member_id, m.into_seq, " LAST_SEQ
						  " FROM led JOIN loyalty.member_merge m ON m.member_id = led.member_id"
						  " AND m.seq > led.first_seq AND m.seq <= led.last_seq)"
						  " SELECT DISTINCT led.member_id FROM led JOIN loyalty.entry e ON e.member_id = led.member_id"
						  " AND e.source_id = 0 AND e.source_key = $2 AND e.seq > led.first_seq AND e.seq <= led.last_seq",
						  2, types, values, NULL, true, 0);
	PopActiveSnapshot();
	for (i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int64		holder = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContext spi = MemoryContextSwitchTo(caller);

		member_ids_add(ledgers, holder);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	engine_leave(&scope);
}

void
merge_other_ledgers(Config *config, const Program *program, const text *ref, const MemberRow *row,
					const text *source_key, MemberIds *ledgers)
{
	int64		own = row->member_id;
	Merge		merge;

	memset(ledgers, 0, sizeof(*ledgers));
	if (!same_text(ref, row->ref) && merge_of_ref(config, program, ref, &merge))
	{
		own = merge.member_id;
		member_ids_add(ledgers, own);
	}
	if (merge_by(config, own, 0) != 0)
		add_ledgers_since(config, own, source_key, ledgers);
}

static void
add_relative(HeapTuple row, TupleDesc desc, int column, MemberIds *family)
{
	bool		isnull;
	int64		member_id = DatumGetInt64(heap_getattr(row, column, desc, &isnull));

	if (!member_ids_have(family, member_id))
		member_ids_add(family, member_id);
}

/* Add whom the member was merged into, and who was merged into him. */
static void
add_relatives(Config *config, Snapshot snapshot, int64 member_id, MemberIds *family)
{
	Probe		probe;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_merge_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	for (row = probe_begin(&probe, config->merge_rel, snapshot, &key, 1); row != NULL; row = probe_next(&probe))
		add_relative(row, RelationGetDescr(probe.rel), Anum_merge_into_member_id, family);
	ScanKeyInit(&key, Anum_merge_into_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	scan = systable_beginscan(probe.rel, config->merge_into_index, true, snapshot, 1, &key);
	while ((row = systable_getnext(scan)) != NULL)
		add_relative(row, RelationGetDescr(probe.rel), Anum_merge_member_id, family);
	systable_endscan(scan);
	probe_end(&probe);
}

void
merge_family(Config *config, int64 member_id, MemberIds *family)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	int			i;

	memset(family, 0, sizeof(*family));
	member_ids_add(family, member_id);
	for (i = 0; i < family->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_relatives(config, snapshot, family->ids[i], family);
	}
	UnregisterSnapshot(snapshot);
}

void
merge_person(Config *config, const Program *program, int64 member_id, MemberIds *person)
{
	MemberIds	family;
	int			i;

	memset(person, 0, sizeof(*person));
	member_ids_add(person, member_id);
	if (!program->has_merges)
		return;
	merge_family(config, member_id, &family);
	for (i = 1; i < family.count; i++)
	{
		MemberIds	way;

		merge_way(config, family.ids[i], &way);
		if (member_ids_have(&way, member_id))
			member_ids_add(person, family.ids[i]);
	}
}

/*
 * Writing
 */

static Datum
text_value(text *value, char *isnull)
{
	*isnull = value == NULL ? 'n' : ' ';
	return PointerGetDatum(value);
}

static Datum
date_value(DateADT value, char *isnull)
{
	*isnull = DATE_IS_NOEND(value) ? 'n' : ' ';
	return DateADTGetDatum(value);
}

void
merge_write(Config *config, const Merge *merge, int64 into_seq, TimestampTz at)
{
	Oid			types[15] = {INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID,
	DATEOID, DATEOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[15];
	char		nulls[15];
	EngineScope scope;

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(merge->member_id);
	values[1] = Int64GetDatum(merge->seq);
	values[2] = Int64GetDatum(merge->into_id);
	values[3] = Int64GetDatum(into_seq);
	values[4] = TimestampTzGetDatum(at);
	values[5] = TimestampTzGetDatum(merge->enrolled_at);
	nulls[5] = TIMESTAMP_IS_NOEND(merge->enrolled_at) ? 'n' : ' ';
	values[6] = Int32GetDatum(merge->program_id);
	values[7] = date_value(merge->had_tier_until, &nulls[7]);
	values[8] = date_value(merge->had_floor_until, &nulls[8]);
	values[9] = PointerGetDatum(merge->ref);
	values[10] = merge->refs;
	values[11] = text_value(merge->gave_tier, &nulls[11]);
	values[12] = text_value(merge->had_tier, &nulls[12]);
	values[13] = text_value(merge->gave_floor, &nulls[13]);
	values[14] = text_value(merge->had_floor, &nulls[14]);
	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.member_merge (member_id, seq, into_member_id, into_seq, merged_at,"
							  " had_enrolled_at, program_id, had_tier_until, had_floor_until, ref, refs,"
							  " gave_tier, had_tier, gave_floor, had_floor)"
							  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
							  lengthof(types), types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write a merge");
	SPI_finish();
	engine_leave(&scope);
}

void
merge_undo(Config *config, const Merge *merge, int64 seq, TimestampTz at)
{
	Oid			types[4] = {INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID};
	Datum		values[4] = {Int64GetDatum(merge->member_id), Int64GetDatum(merge->seq),
	TimestampTzGetDatum(at), Int64GetDatum(seq)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("UPDATE loyalty.member_merge SET undone_at = $3, undone_seq = $4"
							  " WHERE member_id = $1 AND seq = $2 AND undone_at IS NULL",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_UPDATE || SPI_processed != 1)
		elog(ERROR, "could not undo a merge");
	SPI_finish();
	engine_leave(&scope);
}

Datum
merge_lead_on(Config *config, const Program *program, int64 from, text *ref, int64 into)
{
	Oid			types[4] = {INT4OID, INT8OID, TEXTOID, INT8OID};
	Datum		values[4] = {Int32GetDatum(program->program_id), Int64GetDatum(from),
	PointerGetDatum(ref), Int64GetDatum(into)};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;
	EngineScope scope;
	Datum		refs;
	bool		isnull;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("WITH led AS (UPDATE loyalty.member_alias SET member_id = $4"
							  "  WHERE program_id = $1 AND member_id = $2 AND ref <> $3 RETURNING ref),"
							  " own AS (INSERT INTO loyalty.member_alias AS a (program_id, ref, member_id) VALUES ($1, $3, $4)"
							  "  ON CONFLICT (program_id, ref) DO UPDATE SET member_id = $4 RETURNING ref)"
							  " SELECT pg_catalog.array_agg(ref ORDER BY ref) FROM (SELECT ref FROM led UNION ALL SELECT ref FROM own) r",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not lead refs to another member");
	spi = MemoryContextSwitchTo(caller);
	refs = PointerGetDatum(PG_DETOAST_DATUM_COPY(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)));
	MemoryContextSwitchTo(spi);
	SPI_finish();
	engine_leave(&scope);
	config_invalidate(config);
	return refs;
}

void
merge_lead_back(Config *config, const Program *program, const Merge *merge)
{
	Oid			types[5] = {INT4OID, INT8OID, TEXTARRAYOID, INT8OID, TEXTOID};
	Datum		values[5] = {Int32GetDatum(program->program_id), Int64GetDatum(merge->into_id),
	merge->refs, Int64GetDatum(merge->member_id), CStringGetTextDatum(program->name)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	/* A ref that computes his place needs no help. */
	SPI_execute_with_args("DELETE FROM loyalty.member_alias WHERE program_id = $1 AND member_id = $2 AND ref = ANY ($3)"
						  " AND loyalty.member_id(ref, $5) = $4", lengthof(types), types, values, NULL, false, 0);
	SPI_execute_with_args("UPDATE loyalty.member_alias SET member_id = $4"
						  " WHERE program_id = $1 AND member_id = $2 AND ref = ANY ($3) AND $5 IS NOT NULL",
						  lengthof(types), types, values, NULL, false, 0);
	SPI_finish();
	engine_leave(&scope);
	config_invalidate(config);
}
