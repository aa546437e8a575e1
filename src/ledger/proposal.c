/*
 * proposal.c
 *		Adjustments that await a second person: their rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "ledger/proposal.h"
#include "loyalty.h"

static const char *const state_names[] = {"open", "approved", "declined", "withdrawn"};

const char *
proposal_state_name(ProposalState state)
{
	return state_names[state];
}

char *
proposal_name(const ProposalRow *row)
{
	return psprintf(INT64_FORMAT "#%d", row->member_id, row->number);
}

static ProposalState
state_from_text(const char *value)
{
	int			i;

	for (i = 0; i < lengthof(state_names); i++)
		if (strcmp(value, state_names[i]) == 0)
			return (ProposalState) i;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("state of a proposal is \"%s\"", value)));
	return PROPOSAL_OPEN;		/* keep compiler quiet */
}

/*
 * Reading
 */

#define COLUMNS \
	"member_id, number, program_id, points, expires, reason, key, at, state," \
	" proposed_by, proposed_session, decided_by, decided_session, entry_member_id, entry"

static text *
kept_text(HeapTuple tuple, TupleDesc desc, int column, MemoryContext caller)
{
	MemoryContext spi = MemoryContextSwitchTo(caller);
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, desc, column, &isnull);
	text	   *kept = isnull ? NULL : DatumGetTextPCopy(value);

	MemoryContextSwitchTo(spi);
	return kept;
}

static const char *
kept_string(HeapTuple tuple, TupleDesc desc, int column, MemoryContext caller)
{
	char	   *value = SPI_getvalue(tuple, desc, column);

	return value == NULL ? NULL : MemoryContextStrdup(caller, value);
}

static void
unpack(HeapTuple tuple, TupleDesc desc, ProposalRow *row, MemoryContext caller)
{
	bool		isnull;

	row->member_id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
	row->number = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull));
	row->program_id = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &isnull));
	row->points = DatumGetPoints(SPI_getbinval(tuple, desc, 4, &isnull));
	row->expires = DatumGetDateADT(SPI_getbinval(tuple, desc, 5, &isnull));
	row->has_expires = !isnull;
	row->note = kept_text(tuple, desc, 6, caller);
	row->key = kept_text(tuple, desc, 7, caller);
	row->at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 8, &isnull));
	row->at_given = !isnull;
	row->state = state_from_text(SPI_getvalue(tuple, desc, 9));
	row->proposer.role = kept_string(tuple, desc, 10, caller);
	row->proposer.session = kept_string(tuple, desc, 11, caller);
	row->decider.role = kept_string(tuple, desc, 12, caller);
	row->decider.session = kept_string(tuple, desc, 13, caller);
	row->entry_member_id = DatumGetInt64(SPI_getbinval(tuple, desc, 14, &isnull));
	row->entry_seq = DatumGetInt64(SPI_getbinval(tuple, desc, 15, &isnull));
}

/* As it is now, not as of the transaction's read-only snapshot: it is asked for once the member is locked, too. */
static bool
find(Config *config, const char *condition, int nargs, Oid *types, Datum *values, ProposalRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	bool		found;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args(psprintf("SELECT " COLUMNS " FROM loyalty.proposal WHERE %s", condition),
							  nargs, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read proposals");
	found = SPI_processed > 0;
	if (found)
		unpack(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, row, caller);
	SPI_finish();
	engine_leave(&scope);
	return found;
}

bool
proposal_find(Config *config, const Program *program, const text *name, ProposalRow *row)
{
	Oid			types[3] = {INT8OID, INT4OID, INT4OID};
	Datum		values[3] = {0, 0, Int32GetDatum(program->program_id)};
	char	   *string = text_to_cstring(name);
	char	   *mark = strchr(string, '#');
	char	   *end;
	long		number;

	if (mark == NULL || mark == string || strspn(string, "0123456789") != mark - string)
		return false;
	errno = 0;
	values[0] = Int64GetDatum(strtoll(string, &end, 10));
	if (errno != 0 || end != mark || strspn(mark + 1, "0123456789") != strlen(mark + 1))
		return false;
	number = strtol(mark + 1, &end, 10);
	if (errno != 0 || end == mark + 1 || number > PG_INT32_MAX)
		return false;
	values[1] = Int32GetDatum((int32) number);
	return find(config, "member_id = $1 AND number = $2 AND program_id = $3", 3, types, values, row);
}

bool
proposal_find_key(Config *config, int64 member_id, const text *key, ProposalRow *row)
{
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2] = {Int64GetDatum(member_id), PointerGetDatum(key)};

	return find(config, "member_id = $1 AND key = $2", 2, types, values, row);
}

/*
 * Writing
 */

static void
write_row(Config *config, const char *sql, int nargs, Oid *types, Datum *values, const char *nulls, ProposalRow *inserted)
{
	EngineScope scope;
	bool		isnull;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not write a proposal");
	/* Whoever has the member's lock sees all there is, unless his snapshot is older. */
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errhint("The transaction might succeed if retried.")));
	if (inserted != NULL)
		inserted->number = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	engine_leave(&scope);
}

void
proposal_insert(Config *config, ProposalRow *row)
{
	Oid			types[9] = {INT8OID, INT4OID, NUMERICOID, DATEOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID};
	Datum		values[9] = {Int64GetDatum(row->member_id), Int32GetDatum(row->program_id),
		NumericGetDatum(points_to_numeric(row->points)), DateADTGetDatum(row->expires), PointerGetDatum(row->note),
		PointerGetDatum(row->key), TimestampTzGetDatum(row->at), CStringGetTextDatum(row->proposer.role),
		CStringGetTextDatum(row->proposer.session)};
	char		nulls[9] = {' ', ' ', ' ', row->has_expires ? ' ' : 'n', row->note == NULL ? 'n' : ' ',
		row->key == NULL ? 'n' : ' ', row->at_given ? ' ' : 'n', ' ', ' '};

	write_row(config,
		  "INSERT INTO loyalty.proposal (member_id, number, program_id, points, expires, reason, key, at,"
		  " state, proposed_at, proposed_by, proposed_session)"
		  " SELECT $1, coalesce(pg_catalog.max(p.number), 0) + 1, $2, $3::loyalty.points, $4, $5, $6, $7,"
		  " 'open', pg_catalog.now(), $8, $9 FROM loyalty.proposal p WHERE p.member_id = $1"
		  " ON CONFLICT DO NOTHING RETURNING number",
		  9, types, values, nulls, row);
}

void
proposal_decide(Config *config, const ProposalRow *row, const text *reason)
{
	Oid			types[8] = {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[8] = {Int64GetDatum(row->member_id), Int32GetDatum(row->number),
		CStringGetTextDatum(proposal_state_name(row->state)), CStringGetTextDatum(row->decider.role),
		CStringGetTextDatum(row->decider.session), PointerGetDatum(reason),
		Int64GetDatum(row->entry_member_id), Int64GetDatum(row->entry_seq)};
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', reason == NULL ? 'n' : ' ',
		row->entry_seq == 0 ? 'n' : ' ', row->entry_seq == 0 ? 'n' : ' '};

	write_row(config,
		  "UPDATE loyalty.proposal SET state = $3, decided_at = pg_catalog.now(), decided_by = $4, decided_session = $5,"
		  " decision_reason = $6, entry_member_id = $7, entry = $8"
		  " WHERE member_id = $1 AND number = $2 AND state = 'open'",
		  8, types, values, nulls, NULL);
}
