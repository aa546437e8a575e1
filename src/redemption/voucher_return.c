/*
 * voucher_return.c
 *		Giving back what a use of a voucher took, whole or in part.
 *
 * A return is of one use, and gives back no more than is left of it; so over
 * any number of returns nothing is given back twice.  It is given back even when
 * the voucher has ended, or is void, since: what the customer may do with it then
 * is another matter.  A use that was given back whole does not count any more.
 *
 * Points go the other way: the member gives them back, those first that he got
 * by the use.  He is locked before the voucher, so the use is looked for
 * twice.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "ledger/merges.h"
#include "ledger/posting.h"
#include "redemption/voucher_private.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_return_voucher);

/* Arguments, in order. */
enum
{
	ARG_CODE, ARG_AMOUNT, ARG_PURCHASE, ARG_REASON, ARG_KEY, ARG_AT, ARG_PROGRAM
};

typedef struct Return
{
	Config	   *config;
	Program    *program;
	CodeText	code;
	Numeric		asked;			/* NULL: all that is left of the use */
	text	   *purchase;		/* NULL: any */
	text	   *note;
	text	   *key;
	TimestampTz at;
	bool		at_given;
	VoucherWork work;
	VoucherRow	row;
	Store	   *store;			/* open for points */
	MemberRow  *member;			/* likewise */
	/* the use that is given back */
	int			use_no;
	int64		member_id;		/* 0: nobody */
	int64		locked_for;		/* member whose points are looked after by "member", who stands for him since a merge */
	Numeric		taken;
	Numeric		given_back;		/* before */
	TimestampTz used_at;
} Return;

static void
read_arguments(FunctionCallInfo fcinfo, Return *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->config = config_get();
	ret->program = access_program(ret->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE);
	code_argument(fcinfo, ARG_CODE, &ret->code);
	ret->asked = amount_argument(fcinfo, ARG_AMOUNT);
	ret->purchase = voucher_purchase_argument(fcinfo, ARG_PURCHASE);
	ret->note = text_argument(fcinfo, ARG_REASON);
	ret->key = text_argument(fcinfo, ARG_KEY);
	(void) act_key("return", ret->key);
	ret->at = act_time(fcinfo, ARG_AT);
	ret->at_given = !PG_ARGISNULL(ARG_AT);
}

static Datum
answer(FunctionCallInfo fcinfo, Numeric given_back, Numeric left, int use_no, bool repeated)
{
	TupleDesc	desc;
	Datum		values[4] = {NumericGetDatum(given_back), NumericGetDatum(left), Int32GetDatum(use_no), BoolGetDatum(repeated)};
	bool		nulls[4] = {false, left == NULL, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* Whether the key has given back; then the answer of that time.  LY006 when it was something else. */
static bool
find_repeated(Return *ret, Numeric *given_back, Numeric *left, int *use_no)
{
	static VoucherStatement statement = {
		"SELECT use_no, amount, remaining, hash = $3 AND asked IS NOT DISTINCT FROM $4 AND purchase IS NOT DISTINCT FROM $5"
		" AND note IS NOT DISTINCT FROM $6 AND at = coalesce($7, at)"
		" FROM loyalty.voucher_return WHERE program_id = $1 AND key = $2",
		7, {INT4OID, TEXTOID, BYTEAOID, NUMERICOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}, NULL
	};
	Datum		values[7] = {Int32GetDatum(ret->program->program_id), PointerGetDatum(ret->key),
		voucher_hash_datum(ret->code.hash), NumericGetDatum(ret->asked), PointerGetDatum(ret->purchase),
		PointerGetDatum(ret->note), TimestampTzGetDatum(ret->at)};
	char		nulls[7] = {' ', ' ', ' ', ret->asked == NULL ? 'n' : ' ', ret->purchase == NULL ? 'n' : ' ',
		ret->note == NULL ? 'n' : ' ', ret->at_given ? ' ' : 'n'};
	bool		isnull;
	Datum		value;

	if (ret->key == NULL || voucher_run(&ret->work, &statement, values, nulls, false) == 0)
		return false;
	*use_no = DatumGetInt32(voucher_result(0, 1, &isnull));
	*given_back = DatumGetNumericCopy(voucher_result(0, 2, &isnull));
	value = voucher_result(0, 3, &isnull);
	*left = isnull ? NULL : DatumGetNumericCopy(value);
	if (!DatumGetBool(voucher_result(0, 4, &isnull)))
		act_key_reused(ret->key, psprintf("It gave %s back, of use %d of a voucher.", amount_text(*given_back), *use_no));
	return true;
}

/*
 * The use
 */

/* The latest one of the purchase of which something is left; false when there is none. */
static bool
find_use(Return *ret)
{
	static VoucherStatement statement = {
		"SELECT use_no, member_id, taken, given_back, at FROM loyalty.voucher_use"
		" WHERE hash = $1 AND given_back < taken AND ($2 IS NULL OR purchase = $2) ORDER BY use_no DESC LIMIT 1",
		2, {BYTEAOID, TEXTOID}, NULL
	};
	Datum		values[2] = {voucher_hash_datum(ret->row.hash), PointerGetDatum(ret->purchase)};
	char		nulls[2] = {' ', ret->purchase == NULL ? 'n' : ' '};
	bool		isnull;
	Datum		value;

	if (voucher_run(&ret->work, &statement, values, nulls, false) == 0)
		return false;
	ret->use_no = DatumGetInt32(voucher_result(0, 1, &isnull));
	value = voucher_result(0, 2, &isnull);
	ret->member_id = isnull ? 0 : DatumGetInt64(value);
	ret->taken = DatumGetNumericCopy(voucher_result(0, 3, &isnull));
	ret->given_back = DatumGetNumericCopy(voucher_result(0, 4, &isnull));
	ret->used_at = DatumGetTimestampTz(voucher_result(0, 5, &isnull));
	return true;
}

/* LY018 */
static void
refuse_more(const Return *ret, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_TOO_MUCH_BACK),
			 errmsg("more of voucher %s than is left cannot be given back", ret->row.hint),
			 errdetail_internal("%s", detail)));
}

/* What is given back. */
static Numeric
check_amount(const Return *ret)
{
	Numeric		left = amount_sub(ret->taken, ret->given_back);

	if (ret->asked != NULL && amount_cmp(ret->asked, left) > 0)
		refuse_more(ret, psprintf("Use %d took %s and %s of it is left to be given back, %s was asked for.",
								  ret->use_no, amount_text(ret->taken), amount_text(left), amount_text(ret->asked)));
	if (ret->at_given && ret->at < ret->used_at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must not be before the voucher was used"),
				 errdetail("It was used at %s.", pstrdup(timestamptz_to_str(ret->used_at)))));
	return ret->asked == NULL ? left : ret->asked;
}

/*
 * Points
 */

/* Lock the member whose points are to be given back; the voucher is not locked yet. */
static void
lock_member(Return *ret)
{
	MemberRequest request;
	MemberIds	way;
	bool		points;

	voucher_begin(&ret->work, ret->config);
	voucher_look(&ret->work, ret->program, &ret->code, &ret->row, false);
	points = ret->row.terms.kind == VOUCHER_POINTS && find_use(ret);
	voucher_finish(&ret->work);
	if (!points)
		return;
	ret->store = store_open(ret->config, true);
	memset(&request, 0, sizeof(request));
	merge_way(ret->config, ret->member_id, &way);
	request.member_id = way.ids[way.count - 1];
	members_lock(ret->config, ret->store, ret->program, &request, 1);
	ret->member = request.row;
	ret->locked_for = ret->member_id;
}

static void
copy_lots(const EntryRow *entry, void *arg)
{
	purse_read(arg, entry->lots);
}

/* What the member got by the use. */
static void
given_lots(Return *ret, Purse *given)
{
	Snapshot	snapshot = store_snapshot();
	Purse		lots;

	purse_init(&lots);
	store_begin_read(ret->store, snapshot);
	store_visit_entries(ret->store, ret->member_id, SOURCE_API, voucher_entry_key(ret->row.hash, ret->use_no, 0),
						copy_lots, &lots);
	purse_copy(given, &lots);
	store_end_read(ret->store);
	UnregisterSnapshot(snapshot);
}

/*
 * Which points go: those of the use, as far as they are there, then the soonest
 * to expire.  LY001 when there are not as many.
 */
static void
take_points(Return *ret, Points points, Purse *lots)
{
	Purse		given;

	purse_init(&given);
	given_lots(ret, &given);
	act_take(ret->store, ret->program, ret->member, points, ret->at, ret->at_given, &given, lots);
}

/* {"voucher": "7KQ4", "use": 1, "return": 1} */
static Jsonb *
points_context(const Return *ret)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_text(&state, "voucher", ret->row.hint);
	act_push_numeric(&state, "use", int64_to_numeric(ret->use_no));
	act_push_numeric(&state, "return", int64_to_numeric(ret->row.last_return));
	if (ret->purchase != NULL)
		act_push_text(&state, "purchase", text_to_cstring(ret->purchase));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* Returns the number of the entry. */
static int64
debit_points(Return *ret, Numeric amount)
{
	Posting		posting;
	EntryRow	entry;
	EntryRow   *added;
	Purse		lots;

	/* It was looked for before the voucher was locked. */
	if (ret->member == NULL || ret->locked_for != ret->member_id)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent use of a voucher"),
				 errhint("The transaction might succeed if retried.")));
	act_check_status(ret->program, ret->member);
	posting_begin(&posting, ret->program, ret->member);
	posting_bring_current(&posting, ret->at);
	purse_init(&lots);
	take_points(ret, points_from_numeric(amount), &lots);
	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_ADJUST;
	entry.source_id = SOURCE_API;
	entry.source_key = voucher_entry_key(ret->row.hash, ret->use_no, ret->row.last_return);
	entry.occurred_at = ret->at;
	entry.context = points_context(ret);
	entry.note = ret->note;
	added = posting_add(&posting, &entry, &lots);
	posting_write(&posting, ret->store);
	return added->seq;
}

/*
 * Writing
 */

static void
write_return(Return *ret, Numeric amount, int64 seq)
{
	static VoucherStatement give = {
		"UPDATE loyalty.voucher_use SET given_back = given_back + $3 WHERE hash = $1 AND use_no = $2",
		3, {BYTEAOID, INT4OID, NUMERICOID}, NULL
	};
	static VoucherStatement statement = {
		"INSERT INTO loyalty.voucher_return"
		" (hash, return_no, use_no, program_id, seq, amount, asked, remaining, at, purchase, key, note)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (program_id, key) WHERE key IS NOT NULL DO NOTHING",
		12, {BYTEAOID, INT4OID, INT4OID, INT4OID, INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, TIMESTAMPTZOID,
			TEXTOID, TEXTOID, TEXTOID}, NULL
	};
	Datum		given[3] = {voucher_hash_datum(ret->row.hash), Int32GetDatum(ret->use_no), NumericGetDatum(amount)};
	Datum		values[12] = {given[0], Int32GetDatum(ret->row.last_return), Int32GetDatum(ret->use_no),
		Int32GetDatum(ret->program->program_id), Int64GetDatum(seq), NumericGetDatum(amount), NumericGetDatum(ret->asked),
		NumericGetDatum(ret->row.remaining), TimestampTzGetDatum(ret->at), PointerGetDatum(ret->purchase),
		PointerGetDatum(ret->key), PointerGetDatum(ret->note)};
	char		nulls[12] = {' ', ' ', ' ', ' ', seq == 0 ? 'n' : ' ', ' ', ret->asked == NULL ? 'n' : ' ',
		ret->row.remaining == NULL ? 'n' : ' ', ' ', ret->purchase == NULL ? 'n' : ' ', ret->key == NULL ? 'n' : ' ',
		ret->note == NULL ? 'n' : ' '};

	if (voucher_run(&ret->work, &give, given, NULL, false) != 1)
		elog(ERROR, "a use of a voucher has gone");
	/* Who returns this voucher waits for us: so the key's other return is another voucher's. */
	if (voucher_run(&ret->work, &statement, values, nulls, false) != 1)
		act_key_reused(ret->key, "It gave back what another voucher took.");
}

/* return_voucher(code, amount, purchase, reason, key, at, program) → (given_back, left, use_no, repeated) */
Datum
loyalty_return_voucher(PG_FUNCTION_ARGS)
{
	Return		ret;
	Numeric		amount;
	Numeric		left;
	int			use_no;
	bool		repeated;

	read_arguments(fcinfo, &ret);
	lock_member(&ret);
	voucher_begin(&ret.work, ret.config);
	voucher_lock(&ret.work, ret.program, &ret.code, &ret.row);
	repeated = find_repeated(&ret, &amount, &left, &use_no);
	if (!repeated)
	{
		int64		seq = 0;

		if (!find_use(&ret))
			refuse_more(&ret, ret.purchase == NULL ? "Nothing that it took is left to be given back."
						: psprintf("Nothing that it took for purchase \"%s\" is left to be given back.",
								   text_to_cstring(ret.purchase)));
		amount = check_amount(&ret);
		ret.row.last_return++;
		if (ret.row.remaining != NULL)
			ret.row.remaining = amount_add(ret.row.remaining, amount);
		if (amount_cmp(amount_add(ret.given_back, amount), ret.taken) == 0)
			ret.row.used--;
		left = ret.row.remaining;
		use_no = ret.use_no;
		if (ret.row.terms.kind == VOUCHER_POINTS)
			seq = debit_points(&ret, amount);
		write_return(&ret, amount, seq);
		voucher_write(&ret.work, &ret.row);
	}
	voucher_finish(&ret.work);
	if (ret.store != NULL)
		store_close(ret.store);
	return answer(fcinfo, amount, left, use_no, repeated);
}
