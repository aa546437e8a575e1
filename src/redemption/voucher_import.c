/*
 * voucher_import.c
 *		Codes that come from a supplier.
 *
 * They are written in the order of their hashes, so that two imports of the
 * same list wait for each other and do not deadlock.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "redemption/voucher_pool.h"
#include "redemption/voucher_private.h"
#include "redemption/voucher_secret.h"

PG_FUNCTION_INFO_V1(loyalty_import_vouchers);

/* Arguments of import_vouchers, in order. */
enum
{
	ARG_POOL, ARG_CODES, ARG_KEY, ARG_PROGRAM
};

/* Rows written by one statement. */
#define BATCH 1000

typedef struct NewCode
{
	uint8		hash[SHA256_LENGTH];
	int			which;			/* of the list, from 1 */
	bytea	   *kept;			/* sealed where the secret is set */
} NewCode;

static int
compare_codes(const void *a, const void *b)
{
	const NewCode *x = a;
	const NewCode *y = b;
	int			order = memcmp(x->hash, y->hash, SHA256_LENGTH);

	return order != 0 ? order : (x->which > y->which) - (x->which < y->which);
}

static void
read_code(const text *code, int which, NewCode *new)
{
	CodeText	read;

	code_read(code, which, &read);
	memcpy(new->hash, read.hash, SHA256_LENGTH);
	new->which = which;
	new->kept = palloc(VARHDRSZ + read.length);
	SET_VARSIZE(new->kept, VARHDRSZ + read.length);
	memcpy(VARDATA(new->kept), read.utf8, read.length);
	if (voucher_secret_is_set())
		voucher_secret_seal(new->hash, (uint8 *) VARDATA(new->kept), read.length);
}

/* Codes in the order of their hashes. */
static NewCode *
read_codes(ArrayType *array, int *ncodes)
{
	Datum	   *elements;
	bool	   *nulls;
	NewCode    *codes;
	int			i;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, ncodes);
	codes = palloc_extended(sizeof(NewCode) * Max(*ncodes, 1), MCXT_ALLOC_HUGE);
	for (i = 0; i < *ncodes; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("code %d must not be null", i + 1)));
		read_code(DatumGetTextPP(elements[i]), i + 1, &codes[i]);
	}
	qsort(codes, *ncodes, sizeof(NewCode), compare_codes);
	return codes;
}

static Datum
bytea_array(Datum *elements, int nelements)
{
	return PointerGetDatum(construct_array(elements, nelements, BYTEAOID, -1, false, TYPALIGN_INT));
}

typedef struct Import
{
	VoucherWork work;
	const Program *program;
	text	   *name;
	text	   *key;			/* NULL: none */
	VoucherPool pool;
} Import;

/* Returns how many were new. */
static int64
insert_codes(Import *import, const NewCode *codes, Datum hashes, Datum hints, Datum kept)
{
	static VoucherStatement statement = {
		"INSERT INTO loyalty.voucher (" TERMS_COLUMNS ", program_id, bearer, remaining, pool, delivery, sealed,"
		" hash, hint, code)"
		" SELECT $1, $2, $3, $4, $5, $6, $7::loyalty.points, $8, $9, $10, $11, $12, $13, true, CASE WHEN $3 THEN $2 END,"
		" $14, $15, $16, c.hash, c.hint, c.code"
		" FROM ROWS FROM (pg_catalog.unnest($17), pg_catalog.unnest($18), pg_catalog.unnest($19)) AS c (hash, hint, code)"
		" ON CONFLICT (hash) DO NOTHING",
		NTERMS + 7, {TERMS_TYPES, INT4OID, TEXTOID, TEXTOID, BOOLOID, BYTEAARRAYOID, TEXTARRAYOID, BYTEAARRAYOID}, NULL
	};
	Datum		values[NTERMS + 7];
	char		nulls[NTERMS + 7];

	memset(nulls, ' ', sizeof(nulls));
	voucher_terms_values(&import->pool.terms, values, nulls);
	values[12] = Int32GetDatum(import->program->program_id);
	values[13] = PointerGetDatum(import->name);
	values[14] = PointerGetDatum(import->key);
	nulls[14] = import->key == NULL ? 'n' : ' ';
	values[15] = BoolGetDatum(voucher_secret_is_set());
	values[16] = hashes;
	values[17] = hints;
	values[18] = kept;
	return (int64) voucher_run(&import->work, &statement, values, nulls, false);
}

/* 23505 when one of the codes is somewhere else: in another pool, or made here. */
static void
check_elsewhere(Import *import, const NewCode *codes, int ncodes, Datum hashes)
{
	static VoucherStatement statement = {
		"SELECT v.hash, v.pool, v.program_id = $2 FROM loyalty.voucher v"
		" WHERE v.hash = ANY ($1) AND (v.program_id <> $2 OR v.pool IS DISTINCT FROM $3) ORDER BY v.hash LIMIT 1",
		3, {BYTEAARRAYOID, INT4OID, TEXTOID}, NULL
	};
	Datum		values[3] = {hashes, Int32GetDatum(import->program->program_id), PointerGetDatum(import->name)};
	bytea	   *hash;
	Datum		pool;
	bool		no_pool;
	bool		ours;
	bool		isnull;
	int			i;

	if (voucher_run(&import->work, &statement, values, NULL, false) == 0)
		return;
	hash = DatumGetByteaPP(voucher_result(0, 1, &isnull));
	pool = voucher_result(0, 2, &no_pool);
	ours = DatumGetBool(voucher_result(0, 3, &isnull));
	for (i = 0; i < ncodes - 1; i++)
		if (memcmp(codes[i].hash, VARDATA_ANY(hash), SHA256_LENGTH) == 0)
			break;
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("code %d is a voucher already", codes[i].which),
	/* Who the other program is, is none of his business. */
			 !ours ? errdetail("It is one of another program.")
			 : no_pool ? errdetail("It was made here, for program \"%s\".", import->program->name)
			 : errdetail("It is in pool \"%s\" of program \"%s\".", TextDatumGetCString(pool), import->program->name),
			 errhint("A code can be in one pool only.")));
}

static int64
write_batch(Import *import, const NewCode *codes, int ncodes)
{
	Datum		hashes[BATCH];
	Datum		hints[BATCH];
	Datum		kept[BATCH];
	Datum		hash_array;
	int64		added;
	int			i;

	CHECK_FOR_INTERRUPTS();
	for (i = 0; i < ncodes; i++)
	{
		hashes[i] = voucher_hash_datum(codes[i].hash);
		hints[i] = CStringGetTextDatum(code_hint(codes[i].hash));
		kept[i] = PointerGetDatum(codes[i].kept);
	}
	hash_array = bytea_array(hashes, ncodes);
	added = insert_codes(import, codes, hash_array,
						 PointerGetDatum(construct_array(hints, ncodes, TEXTOID, -1, false, TYPALIGN_INT)),
						 bytea_array(kept, ncodes));
	if (added < ncodes)
		check_elsewhere(import, codes, ncodes, hash_array);
	return added;
}

/* What the key has brought, now and before. */
static int64
count_delivery(Import *import)
{
	static VoucherStatement statement = {
		"SELECT pg_catalog.count(*) FROM loyalty.voucher WHERE program_id = $1 AND pool = $2 AND delivery = $3",
		3, {INT4OID, TEXTOID, TEXTOID}, NULL
	};
	Datum		values[3] = {Int32GetDatum(import->program->program_id), PointerGetDatum(import->name),
		PointerGetDatum(import->key)};
	bool		isnull;

	(void) voucher_run(&import->work, &statement, values, NULL, false);
	return DatumGetInt64(voucher_result(0, 1, &isnull));
}

/* import_vouchers(pool, codes, key, program) → bigint */
Datum
loyalty_import_vouchers(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Import		import;
	NewCode    *codes;
	int			ncodes;
	int64		added = 0;
	int			i;

	import.program = access_program(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_MANAGE);
	import.name = text_argument(fcinfo, ARG_POOL);
	import.key = text_argument(fcinfo, ARG_KEY);
	(void) act_key("import", import.key);
	if (import.name == NULL || PG_ARGISNULL(ARG_CODES))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", import.name == NULL ? "pool" : "codes")));
	codes = read_codes(PG_GETARG_ARRAYTYPE_P(ARG_CODES), &ncodes);

	voucher_begin(&import.work, config);
	if (!voucher_pool_find(&import.work, import.program, import.name, true, &import.pool))
		voucher_pool_unknown(import.program, import.name);
	for (i = 0; i < ncodes; i += BATCH)
		added += write_batch(&import, &codes[i], Min(BATCH, ncodes - i));
	if (import.key != NULL)
		added = count_delivery(&import);
	voucher_finish(&import.work);
	PG_RETURN_INT64(added);
}
