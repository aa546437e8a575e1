/*
 * retention.c
 *		Forgetting members who have been inactive for long.
 *
 * The last day on which a member is kept is the day of his last activity (or of
 * his enrollment) and program.retention after it, in the program's time zone.
 * Nobody is forgotten who has something to lose: points available, pending or
 * held, a voucher that can be used, a household, something that he redeemed and
 * has not got, an order that has not earned yet, an adjustment that is proposed.
 * A debt is nothing to lose.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "loyalty.h"
#include "operation/member_run.h"
#include "operation/retention.h"
#include "redemption/forget.h"
#include "types/calendar.h"

/* Those who are one person with m. */
#define PERSON \
	"SELECT m.member_id UNION ALL SELECT g.member_id FROM loyalty.member_merge g WHERE g.into_member_id = m.member_id"

#define IS_OVER \
	"((coalesce(m.last_activity, m.enrolled_at) AT TIME ZONE p.time_zone)::pg_catalog.date + p.retention)::pg_catalog.date < $2"

/* Those that may be forgotten of the members whose condition it is: m, of program p. */
#define MAY_BE_FORGOTTEN \
	IS_OVER " AND m.status <> ALL ('{merged,forgotten}') AND m.hold_until IS NULL" \
	" AND m.held::pg_catalog.numeric = 0 AND m.awaiting::pg_catalog.numeric = 0" \
	" AND NOT EXISTS (SELECT FROM loyalty.lots(m.purse) l WHERE l.points::pg_catalog.numeric > 0)" \
	" AND NOT EXISTS (SELECT FROM loyalty.voucher v WHERE v.member_id = m.member_id AND v.void_at IS NULL" \
	"  AND (v.valid_until IS NULL OR v.valid_until > $3) AND (v.uses IS NULL OR v.used < v.uses)" \
	"  AND (v.remaining IS NULL OR v.remaining > 0))" \
	" AND NOT EXISTS (SELECT FROM loyalty.household_member h WHERE h.member_id = m.member_id AND h.left_at IS NULL)" \
	" AND NOT EXISTS (SELECT FROM loyalty.redemption d WHERE d.member_id IN (" PERSON ")" \
	"  AND (d.status IN ('requested', 'confirmed') OR d.voucher_issued IS FALSE AND d.status <> 'cancelled'))" \
	" AND NOT EXISTS (SELECT FROM loyalty.proposal q WHERE q.member_id IN (" PERSON ") AND q.state = 'open')" \
	" AND m.member_id NOT IN (SELECT coalesce(g.into_member_id, i) FROM loyalty.deferred d CROSS JOIN pg_catalog.unnest(d.member_ids) i" \
	"  LEFT JOIN loyalty.member_merge g ON g.member_id = i AND g.undone_at IS NULL WHERE d.program_id = $1 AND i IS NOT NULL)"

/* The locked members who may be forgotten still, now that nothing happens to them any more. */
static MemberIds
still_over(Config *config, const Program *program, const MemberRow *rows, int nrows, TimestampTz at)
{
	Oid			types[4] = {INT4OID, DATEOID, TIMESTAMPTZOID, INT8ARRAYOID};
	Datum		values[4] = {Int32GetDatum(program->program_id), DateADTGetDatum(calendar_day(at, program->zone)),
	TimestampTzGetDatum(at)};
	Datum	   *ids = palloc(sizeof(Datum) * nrows);
	MemoryContext caller = CurrentMemoryContext;
	MemberIds	over = {0};
	EngineScope scope;
	uint64		i;

	for (i = 0; i < nrows; i++)
		ids[i] = Int64GetDatum(rows[i].member_id);
	values[3] = PointerGetDatum(construct_array(ids, nrows, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT m.member_id FROM loyalty.member m JOIN loyalty.program p USING (program_id)"
						  " WHERE m.program_id = $1 AND m.member_id = ANY ($4) AND " MAY_BE_FORGOTTEN,
						  lengthof(types), types, values, NULL, false, 0);
	MemoryContextSwitchTo(caller);
	for (i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		member_ids_add(&over, DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	}
	SPI_finish();
	engine_leave(&scope);
	return over;
}

/* The member with all who are one person with him, locked; NIL when somebody is busy with one of them. */
static List *
lock_person(Config *config, Store *store, MemberRow *row)
{
	Snapshot	snapshot = store_snapshot();
	List	   *rows = list_make1(row);
	MemberIds	person;
	int			i;

	forget_person(config, row->member_id, &person);
	store_begin_read(store, snapshot);
	for (i = 1; i < person.count && rows != NIL; i++)
	{
		MemberRow  *other = palloc(sizeof(MemberRow));

		rows = store_try_lock_member(store, person.ids[i], other) == STORE_LOCKED ? lappend(rows, other) : NIL;
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return rows;
}

static int64
forget_members(Config *config, Store *store, MemberRow *rows, int nrows, TimestampTz at)
{
	Program    *program;
	List	   *members = NIL;
	MemberRow **forgotten;
	ListCell   *cell;
	MemberIds	over;
	int64		persons = 0;
	int			count = 0;
	int			i;

	if (nrows == 0)
		return 0;
	program = config_program_still(config, rows[0].program_id);
	over = still_over(config, program, rows, nrows, at);
	for (i = 0; i < nrows; i++)
	{
		List	   *person;

		CHECK_FOR_INTERRUPTS();
		if (!member_ids_have(&over, rows[i].member_id))
			continue;
		person = lock_person(config, store, &rows[i]);
		members = list_concat(members, person);
		persons += person != NIL;
	}
	if (members == NIL)
		return 0;
	forgotten = palloc(sizeof(MemberRow *) * list_length(members));
	foreach(cell, members)
		forgotten[count++] = lfirst(cell);
	forget(config, program, store, forgotten, count, at, cstring_to_text("retention"));
	return persons;
}

static char *
forgotten_sentence(const char *program, int64 count)
{
	return psprintf(ngettext("forgot %lld member of program \"%s\", inactive for longer than its retention",
							 "forgot %lld members of program \"%s\", inactive for longer than its retention", count),
					(long long) count, program);
}

static const MemberStep retention_step = {
	.query = "SELECT m.member_id FROM loyalty.member m JOIN loyalty.program p USING (program_id)"
	" WHERE m.program_id = $1 AND $3 IS NOT NULL AND " MAY_BE_FORGOTTEN " ORDER BY m.member_id",
	.write = forget_members,
	.sentence = forgotten_sentence,
	.undone = "forgetting",
};

/* Those who could never be imported have been kept for as long, too. */
static void
strike_off_failures(Config *config, int32 program_id, TimestampTz at)
{
	Oid			types[2] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[2] = {Int32GetDatum(program_id), TimestampTzGetDatum(at)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("DELETE FROM loyalty.import_failure f USING loyalty.program p"
						  " WHERE p.program_id = $1 AND f.program_id = $1 AND f.failed_at + p.retention < $2",
						  lengthof(types), types, values, NULL, false, 0);
	SPI_finish();
	engine_leave(&scope);
}

bool
retention_forget(Batches *batches, int32 program_id, TimestampTz at, int batch_size)
{
	Config	   *config = config_get();

	if (!config_program_still(config, program_id)->has_retention)
		return false;
	strike_off_failures(config, program_id, at);
	return member_run(batches, &retention_step, program_id, at, batch_size);
}
