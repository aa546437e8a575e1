/*
 * voucher_pool.c
 *		Codes that a supplier made: pools, and handing codes out.
 *
 * A pool's codes are rows of voucher from the start, so that no code is ever
 * there twice; they become vouchers when they are handed out, under the terms
 * that the pool has then.
 *
 * Handing out begins somewhere in the pool and passes over what others have
 * locked: sessions do not meet, and what has been handed out already is not
 * waded through again and again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "port.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "ledger/access.h"
#include "redemption/voucher_pool.h"
#include "redemption/voucher_private.h"
#include "redemption/voucher_secret.h"

PG_FUNCTION_INFO_V1(loyalty_voucher_pool_guard);

/* Columns of voucher_pool, in order; the terms are those of TERMS_COLUMNS. */
enum
{
	Anum_voucher_pool_program = 1,
	Anum_voucher_pool_name,
	Anum_voucher_pool_terms,
	Anum_voucher_pool_valid_for = Anum_voucher_pool_terms + NTERMS
};

bool
voucher_pool_find(VoucherWork *work, const Program *program, const text *name, bool lock, VoucherPool *pool)
{
	static VoucherStatement looked_at = {
		"SELECT program, name, " TERMS_COLUMNS ", valid_for FROM loyalty.voucher_pool WHERE program = $1 AND name = $2",
		2, {TEXTOID, TEXTOID}, NULL
	};
	static VoucherStatement locked = {
		"SELECT program, name, " TERMS_COLUMNS ", valid_for FROM loyalty.voucher_pool WHERE program = $1 AND name = $2"
		" FOR SHARE",
		2, {TEXTOID, TEXTOID}, NULL
	};
	Datum		values[2] = {CStringGetTextDatum(program->name), PointerGetDatum(name)};
	bool		isnull;
	Datum		valid_for;

	if (voucher_run(work, lock ? &locked : &looked_at, values, NULL, false) == 0)
		return false;
	voucher_terms_read(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, Anum_voucher_pool_terms, &pool->terms);
	valid_for = voucher_result(0, Anum_voucher_pool_valid_for, &isnull);
	pool->has_valid_for = !isnull;
	if (!isnull)
		pool->valid_for = *DatumGetIntervalP(valid_for);
	return true;
}

void
voucher_pool_unknown(const Program *program, const text *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("program \"%s\" has no pool \"%s\" of vouchers", program->name, text_to_cstring(name)),
			 errhint("Add one: INSERT INTO loyalty.voucher_pool (program, name, kind, ...) VALUES (...);")));
}

/*
 * Handing out
 */

/* Lock a code that is free, at or after a hash; false when there is none. */
static bool
lock_free_code(VoucherWork *work, const Program *program, const text *pool, const uint8 *from, VoucherRow *row)
{
	static VoucherStatement statement = {
		"SELECT " VOUCHER_COLUMNS " FROM loyalty.voucher"
		" WHERE program_id = $1 AND pool = $2 AND issued_at IS NULL AND void_at IS NULL AND hash >= $3"
		" ORDER BY program_id, pool, hash LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
		3, {INT4OID, TEXTOID, BYTEAOID}, NULL
	};
	Datum		values[3] = {Int32GetDatum(program->program_id), PointerGetDatum(pool), voucher_hash_datum(from)};

	if (voucher_run(work, &statement, values, NULL, false) == 0)
		return false;
	voucher_row_read(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, row);
	return true;
}

static int64
count_codes(VoucherWork *work, const Program *program, const text *pool)
{
	static VoucherStatement statement = {
		"SELECT pg_catalog.count(*) FROM loyalty.voucher WHERE program_id = $1 AND pool = $2", 2, {INT4OID, TEXTOID}, NULL
	};
	Datum		values[2] = {Int32GetDatum(program->program_id), PointerGetDatum(pool)};
	bool		isnull;

	(void) voucher_run(work, &statement, values, NULL, false);
	return DatumGetInt64(voucher_result(0, 1, &isnull));
}

/* LY026 */
static void
refuse_empty(VoucherWork *work, const Program *program, const text *pool)
{
	int64		count = count_codes(work, program, pool);

	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_POOL_EMPTY),
			 errmsg("pool \"%s\" of program \"%s\" is empty", text_to_cstring(pool), program->name),
			 count == 0 ? errdetail("No codes have been imported into it.")
			 : errdetail_plural("There was " INT64_FORMAT " code in it, which is handed out, void, or being handed out.",
								"There were " INT64_FORMAT " codes in it, all are handed out, void, or being handed out.",
								count, count),
			 errhint("loyalty.import_vouchers adds codes.")));
}

/* What the table keeps of a code that has been handed out: nothing that could be read. */
static void
seal_code(VoucherRow *row)
{
	if (row->sealed || !voucher_secret_is_set())
	{
		if (!row->sealed)
			row->code = NULL;
		return;
	}
	voucher_secret_seal(row->hash, (uint8 *) VARDATA(row->code), VARSIZE(row->code) - VARHDRSZ);
	row->sealed = true;
}

static void
write_handed_out(VoucherWork *work, const VoucherRow *row, const VoucherOrder *order)
{
	static VoucherStatement statement = {
		"UPDATE loyalty.voucher SET kind = $1, value = $2, stored = $3, percent = $4, maximum = $5, product = $6,"
		" points = $7::loyalty.points, uses = $8, per_member = $9, min_amount = $10, valid_from = $11, valid_until = $12,"
		" remaining = CASE WHEN $3 THEN $2 END, member_id = $14, redeemer_id = CASE WHEN $15 IS NOT NULL THEN $14 END,"
		" seq = $15, bearer = $16, issued_at = $17, code = $18, sealed = $19, key = $20, note = $21 WHERE hash = $13",
		NTERMS + 9, {TERMS_TYPES, BYTEAOID, INT8OID, INT8OID, BOOLOID, TIMESTAMPTZOID, BYTEAOID, BOOLOID, TEXTOID, TEXTOID}, NULL
	};
	Datum		values[NTERMS + 9];
	char		nulls[NTERMS + 9];

	memset(nulls, ' ', sizeof(nulls));
	voucher_terms_values(&row->terms, values, nulls);
	values[12] = voucher_hash_datum(row->hash);
	values[13] = Int64GetDatum(order->member_id);
	nulls[13] = order->has_member ? ' ' : 'n';
	values[14] = Int64GetDatum(order->seq);
	nulls[14] = order->seq == 0 ? 'n' : ' ';
	values[15] = BoolGetDatum(order->terms->bearer);
	values[16] = TimestampTzGetDatum(order->at);
	values[17] = PointerGetDatum(row->code);
	nulls[17] = row->code == NULL ? 'n' : ' ';
	values[18] = BoolGetDatum(row->sealed);
	values[19] = PointerGetDatum(order->key);
	nulls[19] = order->key == NULL ? 'n' : ' ';
	values[20] = PointerGetDatum(order->note);
	nulls[20] = order->note == NULL ? 'n' : ' ';
	if (voucher_run(work, &statement, values, nulls, false) != 1)
		elog(ERROR, "a voucher has gone");
}

char *
voucher_hand_out(VoucherWork *work, const Program *program, const VoucherOrder *order, char **hint)
{
	const text *name = order->terms->pool;
	uint8		from[SHA256_LENGTH];
	VoucherPool pool;
	VoucherRow	row;
	char	   *code;

	if (!voucher_pool_find(work, program, name, false, &pool))
		voucher_pool_unknown(program, name);
	if (!pg_strong_random(from, sizeof(from)))
		memset(from, 0, sizeof(from));
	if (!lock_free_code(work, program, name, from, &row))
	{
		memset(from, 0, sizeof(from));
		if (!lock_free_code(work, program, name, from, &row))
			refuse_empty(work, program, name);
	}
	code = row.code == NULL ? NULL : voucher_open_code(&row);
	if (code == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("code %s of pool \"%s\" cannot be read", row.hint, text_to_cstring(name)),
				 errdetail("It was imported under a loyalty.voucher_secret that is not the one of now."),
				 errhint("Set that one again.")));
	row.terms = pool.terms;
	if (pool.has_valid_for)
		row.terms.valid_until = Min(row.terms.valid_until, voucher_ends_at(program, order->at, &pool.valid_for));
	if (row.terms.valid_from >= row.terms.valid_until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("vouchers of pool \"%s\" would end before they begin", text_to_cstring(name)),
				 errhint("Look at valid_from, valid_until and valid_for of the pool.")));
	seal_code(&row);
	write_handed_out(work, &row, order);
	*hint = row.hint;
	return code;
}

/*
 * The guard
 */

static bool
has_codes(Config *config, const Program *program, const text *name)
{
	VoucherWork work;
	bool		found;

	voucher_begin(&work, config);
	found = count_codes(&work, program, name) > 0;
	voucher_finish(&work);
	return found;
}

/* LY009 for a pool that has codes. */
static void
check_unused(Config *config, HeapTuple old, TupleDesc desc, const char *message)
{
	bool		isnull;
	char	   *program = TextDatumGetCString(heap_getattr(old, Anum_voucher_pool_program, desc, &isnull));
	text	   *name = DatumGetTextPP(heap_getattr(old, Anum_voucher_pool_name, desc, &isnull));
	const Program *known = config_program_by_name(config, program);

	if (known == NULL || !has_codes(config, known, name))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_FIXED),
			 errmsg_internal("%s", message),
			 errdetail("Codes that were imported into it go by its name.")));
}

static void
check_pool(Config *config, HeapTuple tuple, TupleDesc desc)
{
	VoucherTerms terms;
	bool		isnull;
	Datum		value = heap_getattr(tuple, Anum_voucher_pool_program, desc, &isnull);

	if (isnull)
		return;
	/* A restore may load pools before any program. */
	if (config->nprograms > 0 && access_program_named(config, TextDatumGetCString(value)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program \"%s\" does not exist", TextDatumGetCString(value))));
	(void) heap_getattr(tuple, Anum_voucher_pool_terms, desc, &isnull);
	if (isnull)
		return;
	voucher_terms_read(tuple, desc, Anum_voucher_pool_terms, &terms);
	voucher_terms_check(&terms);
}

static bool
differs(HeapTuple old, HeapTuple new, TupleDesc desc, int column)
{
	bool		old_null;
	bool		new_null;
	Datum		a = heap_getattr(old, column, desc, &old_null);
	Datum		b = heap_getattr(new, column, desc, &new_null);

	return old_null || new_null || !same_text(DatumGetTextPP(a), DatumGetTextPP(b));
}

/* Trigger on voucher_pool: before INSERT, UPDATE, DELETE (rows) and TRUNCATE. */
Datum
loyalty_voucher_pool_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Config	   *config;
	TupleDesc	desc;
	HeapTuple	tuple;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE trigger", "loyalty.voucher_pool_guard")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("pools of vouchers cannot be truncated"),
				 errhint("DELETE them.")));

	config = config_get();
	desc = RelationGetDescr(trigdata->tg_relation);
	tuple = trigdata->tg_trigtuple;
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		check_unused(config, tuple, desc, "a pool with codes cannot be deleted");
		return PointerGetDatum(tuple);
	}
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		if (differs(tuple, trigdata->tg_newtuple, desc, Anum_voucher_pool_program) ||
			differs(tuple, trigdata->tg_newtuple, desc, Anum_voucher_pool_name))
			check_unused(config, tuple, desc, "the name of a pool with codes is fixed");
		tuple = trigdata->tg_newtuple;
	}
	check_pool(config, tuple, desc);
	return PointerGetDatum(tuple);
}
