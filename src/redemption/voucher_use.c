/*
 * voucher_use.c
 *		Using a voucher: it takes what fits.
 *
 * The member is locked first, where one is named, then the voucher, whose row
 * guards its uses: so of two sessions with the last use one waits, and sees that
 * it was the last.  Points are credited like an adjustment, and only here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "ledger/velocity.h"
#include "redemption/voucher_private.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_use_voucher);

/* Arguments, in order. */
enum
{
	ARG_CODE, ARG_AMOUNT, ARG_MEMBER, ARG_PURCHASE, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

typedef struct Use
{
	Config	   *config;
	Program    *program;
	CodeText	code;
	VoucherCase case_;
	text	   *purchase;		/* NULL: none is named */
	text	   *note;
	text	   *key;
	bool		at_given;
	Store	   *store;			/* open while a member is named */
	MemberRow  *member;
	VoucherWork work;
	VoucherRow	row;
} Use;

text *
voucher_purchase_argument(FunctionCallInfo fcinfo, int argno)
{
	text	   *purchase = text_argument(fcinfo, argno);

	if (purchase == NULL)
		return NULL;
	if (VARSIZE_ANY_EXHDR(purchase) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("purchase must not be empty"),
				 errhint("NULL is no purchase.")));
	if (VARSIZE_ANY_EXHDR(purchase) > MAX_KEY_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("purchase is too long"),
				 errdetail("It has %d bytes, %d are allowed.",
						   (int) VARSIZE_ANY_EXHDR(purchase), MAX_KEY_BYTES)));
	return purchase;
}

static void
read_arguments(FunctionCallInfo fcinfo, Use *use)
{
	memset(use, 0, sizeof(*use));
	use->config = config_get();
	use->program = PG_ARGISNULL(ARG_MEMBER)
		? access_program(use->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE)
		: access_program_for(use->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE,
							 member_argument(fcinfo, ARG_MEMBER));
	code_argument(fcinfo, ARG_CODE, &use->code);
	use->case_.program = use->program;
	use->case_.amount = amount_argument(fcinfo, ARG_AMOUNT);
	use->case_.at = act_time(fcinfo, ARG_AT);
	use->at_given = !PG_ARGISNULL(ARG_AT);
	use->purchase = voucher_purchase_argument(fcinfo, ARG_PURCHASE);
	use->note = text_argument(fcinfo, ARG_REASON);
	use->key = text_argument(fcinfo, ARG_KEY);
	(void) act_key("voucher", use->key);
}

static void
lock_member(FunctionCallInfo fcinfo, Use *use)
{
	MemberRequest request;
	text	   *ref;

	if (PG_ARGISNULL(ARG_MEMBER))
		return;
	ref = member_argument(fcinfo, ARG_MEMBER);
	use->store = store_open(use->config, true);
	member_lock(use->config, use->store, use->program, ref, use->program->auto_enroll, use->case_.at, &request);
	if (request.row == NULL)
		member_unknown(use->program, ref);
	use->member = request.row;
	use->case_.has_member = true;
	use->case_.member_id = request.row->member_id;
	use->case_.member = ref;
}

/*
 * What a use was, and is
 */

static Datum
answer(FunctionCallInfo fcinfo, const VoucherRow *row, Numeric taken, Numeric left, int use_no, bool repeated)
{
	TupleDesc	desc;
	Datum		values[6] = {NumericGetDatum(taken), NumericGetDatum(left), Int32GetDatum(use_no),
		BoolGetDatum(repeated), CStringGetTextDatum(voucher_kind_name(row->terms.kind)), PointerGetDatum(row->terms.product)};
	bool		nulls[6] = {false, left == NULL, false, false, false, row->terms.product == NULL};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* Whether the key has been used; then the answer of that time.  LY006 when it was for something else. */
static bool
find_repeated(Use *use, Numeric *taken, Numeric *left, int *use_no)
{
	static VoucherStatement statement = {
		"SELECT use_no, taken, remaining, hash = $3"
		" AND member_id IS NOT DISTINCT FROM $4 AND amount IS NOT DISTINCT FROM $5 AND purchase IS NOT DISTINCT FROM $6"
		" AND note IS NOT DISTINCT FROM $7 AND at = coalesce($8, at)"
		" FROM loyalty.voucher_use WHERE program_id = $1 AND key = $2",
		8, {INT4OID, TEXTOID, BYTEAOID, INT8OID, NUMERICOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}, NULL
	};
	Datum		values[8] = {Int32GetDatum(use->program->program_id), PointerGetDatum(use->key),
		voucher_hash_datum(use->code.hash), Int64GetDatum(use->case_.member_id), NumericGetDatum(use->case_.amount),
		PointerGetDatum(use->purchase), PointerGetDatum(use->note), TimestampTzGetDatum(use->case_.at)};
	char		nulls[8] = {' ', ' ', ' ', use->case_.has_member ? ' ' : 'n', use->case_.amount == NULL ? 'n' : ' ',
		use->purchase == NULL ? 'n' : ' ', use->note == NULL ? 'n' : ' ', use->at_given ? ' ' : 'n'};
	bool		isnull;
	Datum		value;

	if (use->key == NULL || voucher_run(&use->work, &statement, values, nulls, false) == 0)
		return false;
	*use_no = DatumGetInt32(voucher_result(0, 1, &isnull));
	*taken = DatumGetNumericCopy(voucher_result(0, 2, &isnull));
	value = voucher_result(0, 3, &isnull);
	*left = isnull ? NULL : DatumGetNumericCopy(value);
	if (!DatumGetBool(voucher_result(0, 4, &isnull)))
		act_key_reused(use->key, psprintf("It was use %d of a voucher, which took %s.", *use_no, amount_text(*taken)));
	return true;
}

/* Uses of the member, and of whoever is merged into him, that stand. */
static int
count_uses(Use *use)
{
	static VoucherStatement statement = {
		"SELECT pg_catalog.count(*)::pg_catalog.int4 FROM loyalty.voucher_use"
		" WHERE hash = $1 AND member_id = ANY ($2) AND given_back < taken",
		2, {BYTEAOID, INT8ARRAYOID}, NULL
	};
	Datum		values[2];
	bool		isnull;

	if (!use->case_.has_member || use->row.terms.per_member == 0)
		return 0;
	values[0] = voucher_hash_datum(use->row.hash);
	values[1] = voucher_person(use->config, use->program, use->case_.member_id);
	(void) voucher_run(&use->work, &statement, values, NULL, false);
	return DatumGetInt32(voucher_result(0, 1, &isnull));
}

/* 22004: only points need no amount, unless the voucher asks for one. */
static void
check_amount(const Use *use)
{
	if (use->case_.amount != NULL ||
		(use->row.terms.kind == VOUCHER_POINTS && use->row.terms.min_amount == NULL))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("amount must not be null"),
			 errdetail("Voucher %s, of kind %s, is used on an amount.", use->row.hint,
					   voucher_kind_name(use->row.terms.kind))));
}

/*
 * Points
 */

/* {"voucher": "7KQ4", "use": 1, "purchase": "o1"} */
static Jsonb *
points_context(const Use *use, int use_no)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_text(&state, "voucher", use->row.hint);
	act_push_numeric(&state, "use", int64_to_numeric(use_no));
	if (use->purchase != NULL)
		act_push_text(&state, "purchase", text_to_cstring(use->purchase));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* Returns the number of the entry. */
static int64
credit_points(Use *use, int use_no)
{
	Posting		posting;
	EntryRow	entry;
	EntryRow   *added;
	Purse		lots;

	posting_begin(&posting, use->program, use->member);
	posting_bring_current(&posting, use->case_.at);
	purse_init(&lots);
	purse_add_lot(&lots, DATEVAL_NOBEGIN,
				  act_last_day(use->program, use->member, calendar_day(use->case_.at, use->program->zone), NULL),
				  use->row.terms.points);
	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_ADJUST;
	entry.source_id = SOURCE_API;
	entry.source_key = voucher_entry_key(use->row.hash, use_no, 0);
	entry.occurred_at = use->case_.at;
	entry.context = points_context(use, use_no);
	entry.note = use->note;
	added = posting_add(&posting, &entry, &lots);
	posting_write(&posting, use->store);
	return added->seq;
}

/*
 * Writing
 */

static void
write_use(Use *use, Numeric taken, Numeric left, int64 seq)
{
	static VoucherStatement statement = {
		"INSERT INTO loyalty.voucher_use"
		" (hash, use_no, program_id, member_id, seq, amount, taken, remaining, at, purchase, key, note)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (program_id, key) WHERE key IS NOT NULL DO NOTHING",
		12, {BYTEAOID, INT4OID, INT4OID, INT8OID, INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, TIMESTAMPTZOID,
			TEXTOID, TEXTOID, TEXTOID}, NULL
	};
	Datum		values[12] = {voucher_hash_datum(use->row.hash), Int32GetDatum(use->row.last_use),
		Int32GetDatum(use->program->program_id), Int64GetDatum(use->case_.member_id), Int64GetDatum(seq),
		NumericGetDatum(use->case_.amount), NumericGetDatum(taken), NumericGetDatum(left),
		TimestampTzGetDatum(use->case_.at), PointerGetDatum(use->purchase), PointerGetDatum(use->key),
		PointerGetDatum(use->note)};
	char		nulls[12] = {' ', ' ', ' ', use->case_.has_member ? ' ' : 'n', seq == 0 ? 'n' : ' ',
		use->case_.amount == NULL ? 'n' : ' ', ' ', left == NULL ? 'n' : ' ', ' ',
		use->purchase == NULL ? 'n' : ' ', use->key == NULL ? 'n' : ' ', use->note == NULL ? 'n' : ' '};

	/* Who uses this voucher waits for us: so the key's other use is another voucher's. */
	if (voucher_run(&use->work, &statement, values, nulls, false) != 1)
		act_key_reused(use->key, "It used another voucher.");
}

/* What is left of the value; NULL where that says nothing. */
static Numeric
what_is_left(const VoucherRow *row)
{
	if (row->remaining != NULL)
		return row->remaining;
	return row->terms.kind == VOUCHER_VALUE && row->terms.uses > 0 && row->used >= row->terms.uses
		? int64_to_numeric(0) : NULL;
}

/* use_voucher(code, amount, member, purchase, reason, key, at, program) → (taken, left, use_no, repeated, kind, product) */
Datum
loyalty_use_voucher(PG_FUNCTION_ARGS)
{
	Use			use;
	Numeric		taken;
	Numeric		left;
	int			use_no;
	bool		repeated;

	read_arguments(fcinfo, &use);
	lock_member(fcinfo, &use);
	voucher_begin(&use.work, use.config);
	voucher_lock(&use.work, use.program, &use.code, &use.row);
	repeated = find_repeated(&use, &taken, &left, &use_no);
	if (!repeated)
	{
		int64		seq = 0;
		char	   *refusal;

		if (use.member != NULL)
			act_check_active(use.program, use.member);
		use.case_.used_by_member = count_uses(&use);
		refusal = voucher_refusal(&use.row, &use.case_, &taken);
		if (refusal != NULL)
			voucher_unusable(&use.row, refusal);
		check_amount(&use);
		if (use.member != NULL)
			velocity_check(use.config, use.program, use.store, use.member, VELOCITY_VOUCHER, use.row.terms.points, 0);
		use.row.last_use++;
		use.row.used++;
		if (use.row.remaining != NULL)
			use.row.remaining = amount_sub(use.row.remaining, taken);
		use_no = use.row.last_use;
		left = what_is_left(&use.row);
		if (use.row.terms.kind == VOUCHER_POINTS)
			seq = credit_points(&use, use_no);
		write_use(&use, taken, left, seq);
		voucher_write(&use.work, &use.row);
	}
	voucher_finish(&use.work);
	if (use.store != NULL)
		store_close(use.store);
	return answer(fcinfo, &use.row, taken, left, use_no, repeated);
}
