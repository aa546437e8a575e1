/*
 * lapse.c
 *		Writing down which holds have lapsed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"

#include "ledger/unwritten.h"
#include "loyalty.h"
#include "operation/lapse.h"
#include "operation/member_run.h"

/* What silence decided of the same members is written in between, each at its time. */
static int64
write_lapses(Config *config, Store *store, MemberRow *rows, int nrows, TimestampTz at)
{
	int64		lapsed = 0;
	int			i;

	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		lapsed += member_bring_current(config, store, &rows[i], at);
	}
	return lapsed;
}

static char *
lapses_sentence(const char *program, int64 count)
{
	return psprintf(ngettext("%lld hold of program \"%s\" has lapsed",
							 "%lld holds of program \"%s\" have lapsed", count),
					(long long) count, program);
}

static const MemberStep lapse_step = {
	.query = "SELECT DISTINCT member_id FROM loyalty.hold"
	" WHERE program_id = $1 AND until <= $3 AND status = 'active' ORDER BY member_id",
	.write = write_lapses,
	.sentence = lapses_sentence,
	.undone = "which holds have lapsed of",
};

bool
lapse_write(Batches *batches, int32 program_id, TimestampTz at, int batch_size)
{
	return member_run(batches, &lapse_step, program_id, at, batch_size);
}

bool
lapse_is_due(Config *config, int32 program_id, TimestampTz at)
{
	Oid			types[2] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[2] = {Int32GetDatum(program_id), TimestampTzGetDatum(at)};
	EngineScope scope;
	bool		is_due;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT FROM loyalty.hold WHERE program_id = $1 AND until <= $2 AND status = 'active' LIMIT 1",
						  2, types, values, NULL, true, 1);
	is_due = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return is_due;
}
