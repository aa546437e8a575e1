/*
 * voucher_row.c
 *		Rows of voucher, by SQL with the engine's rights.
 *
 * Plans are kept, and made so that rows are found by their keys whatever the
 * planner knows of the tables: a pool can be imported and handed out before
 * anybody has analyzed it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "ledger/merges.h"
#include "redemption/voucher_private.h"

void
voucher_begin(VoucherWork *work, Config *config)
{
	work->config = config;
	work->caller = CurrentMemoryContext;
	engine_enter(&work->scope, config->owner);
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	MemoryContextSwitchTo(work->caller);
}

void
voucher_finish(VoucherWork *work)
{
	SPI_finish();
	engine_leave(&work->scope);
	MemoryContextSwitchTo(work->caller);
}

uint64
voucher_run(VoucherWork *work, VoucherStatement *statement, Datum *values, const char *nulls, bool read_only)
{
	SPIPlanPtr	plan = statement->plan;

	if (plan != NULL && !SPI_plan_is_valid(plan))
	{
		statement->plan = NULL;
		SPI_freeplan(plan);
	}
	if (statement->plan == NULL)
	{
		plan = SPI_prepare_cursor(statement->sql, statement->nargs, statement->types, CURSOR_OPT_GENERIC_PLAN);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare to read or write vouchers");
		statement->plan = plan;
	}
	if (SPI_execute_plan(statement->plan, values, nulls, read_only, 0) < 0)
		elog(ERROR, "could not read or write vouchers");
	MemoryContextSwitchTo(work->caller);
	return SPI_processed;
}

Datum
voucher_result(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

static text *
text_or_null(HeapTuple tuple, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, desc, &isnull);

	return isnull ? NULL : DatumGetTextPCopy(value);
}

void
voucher_row_read(HeapTuple tuple, TupleDesc desc, VoucherRow *row)
{
	/* Columns, in the order of VOUCHER_COLUMNS. */
	enum
	{
		HASH = 1, MEMBER_ID, REDEEMER_ID, SEQ, PROGRAM_ID, BEARER, TERMS,
		REMAINING = TERMS + NTERMS, USED, LAST_USE, LAST_RETURN,
		ISSUED_AT, VOID_AT, VOID_REASON, POOL, HINT, CODE, SEALED, KEY, NOTE, NONCE
	};
	bool		isnull;
	bytea	   *hash = DatumGetByteaPP(heap_getattr(tuple, HASH, desc, &isnull));
	Datum		value;

	memset(row, 0, sizeof(*row));
	/* The table has no other ones. */
	memcpy(row->hash, VARDATA_ANY(hash), Min(VARSIZE_ANY_EXHDR(hash), SHA256_LENGTH));
	value = heap_getattr(tuple, MEMBER_ID, desc, &isnull);
	row->has_member = !isnull;
	row->member_id = isnull ? 0 : DatumGetInt64(value);
	value = heap_getattr(tuple, REDEEMER_ID, desc, &isnull);
	row->redeemer_id = isnull ? 0 : DatumGetInt64(value);
	value = heap_getattr(tuple, SEQ, desc, &isnull);
	row->seq = isnull ? 0 : DatumGetInt64(value);
	row->program_id = DatumGetInt32(heap_getattr(tuple, PROGRAM_ID, desc, &isnull));
	voucher_terms_read(tuple, desc, TERMS, &row->terms);
	row->terms.bearer = DatumGetBool(heap_getattr(tuple, BEARER, desc, &isnull));
	row->terms.pool = text_or_null(tuple, desc, POOL);
	value = heap_getattr(tuple, REMAINING, desc, &isnull);
	row->remaining = isnull ? NULL : DatumGetNumericCopy(value);
	row->used = DatumGetInt32(heap_getattr(tuple, USED, desc, &isnull));
	row->last_use = DatumGetInt32(heap_getattr(tuple, LAST_USE, desc, &isnull));
	row->last_return = DatumGetInt32(heap_getattr(tuple, LAST_RETURN, desc, &isnull));
	value = heap_getattr(tuple, ISSUED_AT, desc, &isnull);
	row->issued = !isnull;
	row->issued_at = isnull ? 0 : DatumGetTimestampTz(value);
	value = heap_getattr(tuple, VOID_AT, desc, &isnull);
	row->is_void = !isnull;
	row->void_at = isnull ? 0 : DatumGetTimestampTz(value);
	row->void_reason = text_or_null(tuple, desc, VOID_REASON);
	row->hint = TextDatumGetCString(heap_getattr(tuple, HINT, desc, &isnull));
	value = heap_getattr(tuple, CODE, desc, &isnull);
	row->code = isnull ? NULL : DatumGetByteaPCopy(value);
	row->sealed = DatumGetBool(heap_getattr(tuple, SEALED, desc, &isnull));
	row->key = text_or_null(tuple, desc, KEY);
	row->note = text_or_null(tuple, desc, NOTE);
	value = heap_getattr(tuple, NONCE, desc, &isnull);
	row->nonce = isnull ? NULL : DatumGetByteaPCopy(value);
}

/* The first row of the result; false when there is none. */
static bool
read_first(uint64 count, VoucherRow *row)
{
	if (count == 0)
		return false;
	voucher_row_read(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, row);
	return true;
}

/* LY024 unless the row is there and the program's. */
static void
check_found(const Program *program, bool found, const VoucherRow *row)
{
	if (found && row->program_id == program->program_id)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_UNKNOWN_VOUCHER),
			 errmsg("program \"%s\" has no voucher with that code", program->name),
			 errhint("Compare it with the original, character by character.")));
}

Datum
voucher_hash_datum(const uint8 *hash)
{
	bytea	   *value = palloc(VARHDRSZ + SHA256_LENGTH);

	SET_VARSIZE(value, VARHDRSZ + SHA256_LENGTH);
	memcpy(VARDATA(value), hash, SHA256_LENGTH);
	return PointerGetDatum(value);
}

void
voucher_lock(VoucherWork *work, const Program *program, const CodeText *code, VoucherRow *row)
{
	static VoucherStatement statement = {
		"SELECT " VOUCHER_COLUMNS " FROM loyalty.voucher WHERE hash = $1 FOR NO KEY UPDATE", 1, {BYTEAOID}, NULL
	};
	Datum		values[1] = {voucher_hash_datum(code->hash)};

	check_found(program, read_first(voucher_run(work, &statement, values, NULL, false), row), row);
}

void
voucher_look(VoucherWork *work, const Program *program, const CodeText *code, VoucherRow *row, bool read_only)
{
	static VoucherStatement statement = {
		"SELECT " VOUCHER_COLUMNS " FROM loyalty.voucher WHERE hash = $1", 1, {BYTEAOID}, NULL
	};
	Datum		values[1] = {voucher_hash_datum(code->hash)};

	check_found(program, read_first(voucher_run(work, &statement, values, NULL, read_only), row), row);
}

Datum
voucher_person(Config *config, const Program *program, int64 member_id)
{
	MemberIds	person;
	Datum	   *elements;
	int			i;

	merge_person(config, program, member_id, &person);
	elements = palloc(sizeof(Datum) * person.count);
	for (i = 0; i < person.count; i++)
		elements[i] = Int64GetDatum(person.ids[i]);
	return PointerGetDatum(construct_array(elements, person.count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

bool
voucher_of_redemption(VoucherWork *work, int64 redeemer_id, int64 seq, bool lock, VoucherRow *row)
{
	static VoucherStatement locked = {
		"SELECT " VOUCHER_COLUMNS " FROM loyalty.voucher WHERE redeemer_id = $1 AND seq = $2 FOR NO KEY UPDATE",
		2, {INT8OID, INT8OID}, NULL
	};
	static VoucherStatement looked_at = {
		"SELECT " VOUCHER_COLUMNS " FROM loyalty.voucher WHERE redeemer_id = $1 AND seq = $2",
		2, {INT8OID, INT8OID}, NULL
	};
	Datum		values[2] = {Int64GetDatum(redeemer_id), Int64GetDatum(seq)};

	return read_first(voucher_run(work, lock ? &locked : &looked_at, values, NULL, false), row);
}

bool
voucher_of_key(VoucherWork *work, const Program *program, const text *key, VoucherRow *row)
{
	static VoucherStatement statement = {
		"SELECT " VOUCHER_COLUMNS " FROM loyalty.voucher WHERE program_id = $1 AND key = $2", 2, {INT4OID, TEXTOID}, NULL
	};
	Datum		values[2] = {Int32GetDatum(program->program_id), PointerGetDatum(key)};

	return key != NULL && read_first(voucher_run(work, &statement, values, NULL, false), row);
}

void
voucher_write(VoucherWork *work, const VoucherRow *row)
{
	static VoucherStatement statement = {
		"UPDATE loyalty.voucher SET value = $2, uses = $3, remaining = $4, used = $5, last_use = $6, last_return = $7,"
		" void_at = $8, void_reason = $9 WHERE hash = $1",
		9, {BYTEAOID, NUMERICOID, INT4OID, NUMERICOID, INT4OID, INT4OID, INT4OID, TIMESTAMPTZOID, TEXTOID}, NULL
	};
	Datum		values[9] = {voucher_hash_datum(row->hash), NumericGetDatum(row->terms.value), Int32GetDatum(row->terms.uses),
		NumericGetDatum(row->remaining), Int32GetDatum(row->used), Int32GetDatum(row->last_use),
		Int32GetDatum(row->last_return), TimestampTzGetDatum(row->void_at), PointerGetDatum(row->void_reason)};
	char		nulls[9] = {' ', row->terms.value == NULL ? 'n' : ' ', row->terms.uses == 0 ? 'n' : ' ',
		row->remaining == NULL ? 'n' : ' ', ' ', ' ', ' ', row->is_void ? ' ' : 'n',
		row->void_reason == NULL ? 'n' : ' '};

	if (voucher_run(work, &statement, values, nulls, false) != 1)
		elog(ERROR, "a voucher has gone");
}
