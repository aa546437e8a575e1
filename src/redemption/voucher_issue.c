/*
 * voucher_issue.c
 *		Vouchers whose codes are made here.
 *
 * A code is derived from what it is issued for where that has a name of its own
 * (a redemption, or a key) and the secret is set; else it is random.  Either
 * way the table gets its hash, and the caller the code.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "redemption/voucher_private.h"
#include "redemption/voucher_secret.h"

/* More collisions than one do not happen. */
#define MOST_ATTEMPTS 8

/* A new code; where it is derived the nonce is, else NULL. */
static VoucherCode
make_code(const Program *program, const VoucherOrder *order, bytea **nonce)
{
	bytea	   *bytes = palloc(VARHDRSZ + VOUCHER_NONCE_BYTES);
	char	   *derivation;

	SET_VARSIZE(bytes, VARHDRSZ + VOUCHER_NONCE_BYTES);
	if (!pg_strong_random(VARDATA(bytes), VOUCHER_NONCE_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	derivation = voucher_derivation(program, order->member_id, order->seq, order->key, bytes);
	*nonce = derivation != NULL && voucher_secret_is_set() ? bytes : NULL;
	return *nonce != NULL ? voucher_secret_derive(derivation) : voucher_code_random();
}

/* False when the code, or the key, is taken. */
static bool
insert_voucher(VoucherWork *work, const Program *program, const VoucherOrder *order, const uint8 *hash, const bytea *nonce)
{
	static VoucherStatement statement = {
		"INSERT INTO loyalty.voucher (" TERMS_COLUMNS ", hash, program_id, member_id, redeemer_id, seq, bearer,"
		" remaining, issued_at, hint, key, note, nonce)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7::loyalty.points, $8, $9, $10, $11, $12, $13, $14, $15,"
		" CASE WHEN $16 IS NOT NULL THEN $15 END, $16, $17, CASE WHEN $3 THEN $2 END, $18, $19, $20, $21, $22)"
		" ON CONFLICT DO NOTHING",
		NTERMS + 10, {TERMS_TYPES, BYTEAOID, INT4OID, INT8OID, INT8OID, BOOLOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID}, NULL
	};
	Datum		values[NTERMS + 10];
	char		nulls[NTERMS + 10];

	memset(nulls, ' ', sizeof(nulls));
	voucher_terms_values(order->terms, values, nulls);
	values[12] = voucher_hash_datum(hash);
	values[13] = Int32GetDatum(program->program_id);
	values[14] = Int64GetDatum(order->member_id);
	nulls[14] = order->has_member ? ' ' : 'n';
	values[15] = Int64GetDatum(order->seq);
	nulls[15] = order->seq == 0 ? 'n' : ' ';
	values[16] = BoolGetDatum(order->terms->bearer);
	values[17] = TimestampTzGetDatum(order->at);
	values[18] = CStringGetTextDatum(code_hint(hash));
	values[19] = PointerGetDatum(order->key);
	nulls[19] = order->key == NULL ? 'n' : ' ';
	values[20] = PointerGetDatum(order->note);
	nulls[20] = order->note == NULL ? 'n' : ' ';
	values[21] = PointerGetDatum(nonce);
	nulls[21] = nonce == NULL ? 'n' : ' ';
	return voucher_run(work, &statement, values, nulls, false) == 1;
}

char *
voucher_make(VoucherWork *work, const Program *program, const VoucherOrder *order, char **hint)
{
	VoucherRow	taken;
	int			attempt;

	for (attempt = 0; attempt < MOST_ATTEMPTS; attempt++)
	{
		bytea	   *nonce;
		VoucherCode code = make_code(program, order, &nonce);
		uint8		hash[SHA256_LENGTH];

		voucher_code_hash(code, hash);
		if (insert_voucher(work, program, order, hash, nonce))
		{
			*hint = code_hint(hash);
			return voucher_code_to_cstring(code);
		}
		if (voucher_of_key(work, program, order->key, &taken))
			return NULL;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("no code was free for a voucher"),
			 errdetail("%d were taken.", MOST_ATTEMPTS)));
}

char *
voucher_issue(Config *config, const Program *program, const VoucherTerms *terms,
			  const MemberRow *member, int64 seq, TimestampTz at)
{
	VoucherOrder order = {.terms = terms, .has_member = true, .member_id = member->member_id, .seq = seq, .at = at};
	VoucherWork work;
	char	   *hint;
	char	   *code;

	if (terms->pool == NULL)
		voucher_terms_check(terms);
	voucher_begin(&work, config);
	code = terms->pool == NULL ? voucher_make(&work, program, &order, &hint)
		: voucher_hand_out(&work, program, &order, &hint);
	voucher_finish(&work);
	return code;
}

/* LY025 */
static void
refuse_used(const VoucherRow *row, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_VOUCHER_UNUSABLE),
			 errmsg("voucher %s has been used", row->hint),
			 errdetail_internal("%s", detail),
			 errhint("loyalty.return_voucher gives back what it took.")));
}

/* The share of the value, or of the uses, that goes with the units; LY025 when it has been used. */
static void
take_share(VoucherRow *row, int units, int standing)
{
	VoucherTerms *terms = &row->terms;

	if (terms->stored)
	{
		Numeric		share = amount_share(terms->value, units, standing);

		if (amount_cmp(row->remaining, share) < 0)
			refuse_used(row, psprintf("%s of its value would have to go back, %s is left.",
										   amount_text(share), amount_text(row->remaining)));
		terms->value = amount_sub(terms->value, share);
		row->remaining = amount_sub(row->remaining, share);
	}
	else if (terms->uses > 0)
	{
		int			uses = terms->uses - (int) ((int64) terms->uses * units / standing);

		if (row->used > uses)
			refuse_used(row, psprintf("%d of its %d uses would have to go back, %d have been made.",
										   terms->uses - uses, terms->uses, row->used));
		/* 0 would be any number. */
		terms->uses = Max(uses, 1);
	}
}

void
voucher_take_back(Config *config, const Program *program, int64 member_id, int64 seq,
				  int units, int standing, const text *reason, TimestampTz at)
{
	VoucherWork work;
	VoucherRow	row;

	Assert(units > 0 && units <= standing);
	voucher_begin(&work, config);
	if (voucher_of_redemption(&work, member_id, seq, true, &row))
	{
		/* What was used stays used, also of one that somebody has made void since. */
		if (units < standing)
			take_share(&row, units, standing);
		else if (row.used > 0)
			refuse_used(&row, psprintf("It has been used %s, and would have to go back whole.", voucher_times(row.used)));
		else if (!row.is_void)
		{
			row.is_void = true;
			row.void_at = at;
			row.void_reason = reason == NULL ? cstring_to_text("its redemption was cancelled")
				: unconstify(text *, reason);
		}
		voucher_write(&work, &row);
	}
	voucher_finish(&work);
}
