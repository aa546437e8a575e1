/*
 * silence.c
 *		Writing down what silence has decided of points that awaited confirmation.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "earning/confirm.h"
#include "loyalty.h"
#include "operation/member_run.h"
#include "operation/silence.h"
#include "types/calendar.h"

static int64
write_decisions(Config *config, Store *store, MemberRow *rows, int nrows, TimestampTz at)
{
	Deciding   *deciding = palloc(sizeof(Deciding) * nrows);
	Snapshot	snapshot;
	int			i;

	/* One that misses nothing of what was posted before the locks. */
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		confirm_begin(&deciding[i], config, store, snapshot, &rows[i]);
		confirm_silence(&deciding[i], calendar_day(at, config_program_by_id(config, rows[i].program_id)->zone));
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return confirm_post(deciding, nrows);
}

static char *
decisions_sentence(const char *program, int64 count)
{
	return psprintf(ngettext("silence decided on %lld award of program \"%s\"",
							 "silence decided on %lld awards of program \"%s\"", count),
					(long long) count, program);
}

static const MemberStep silence_step = {
	.query = "SELECT DISTINCT member_id FROM loyalty.confirmation"
	" WHERE program_id = $1 AND due <= $2 AND decision IS NULL ORDER BY member_id",
	.write = write_decisions,
	.sentence = decisions_sentence,
	.undone = "what silence decided for",
};

bool
silence_write(Batches *batches, int32 program_id, TimestampTz at, int batch_size)
{
	return member_run(batches, &silence_step, program_id, at, batch_size);
}

bool
silence_is_due(Config *config, int32 program_id, DateADT day)
{
	Oid			types[2] = {INT4OID, DATEOID};
	Datum		values[2] = {Int32GetDatum(program_id), DateADTGetDatum(day)};
	EngineScope scope;
	bool		is_due;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT FROM loyalty.confirmation"
						  " WHERE program_id = $1 AND due <= $2 AND decision IS NULL AND on_silence = 'accept' LIMIT 1",
						  2, types, values, NULL, true, 1);
	is_due = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return is_due;
}
