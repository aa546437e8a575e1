/*
 * voucher_list.c
 *		Looking at vouchers: one by its code, or those that a member could use.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/balance.h"
#include "redemption/voucher_private.h"

PG_FUNCTION_INFO_V1(loyalty_voucher);
PG_FUNCTION_INFO_V1(loyalty_vouchers);

/* A row of a result, filled column by column. */
typedef struct Output
{
	int			n;
	Datum		values[23];
	bool		nulls[23];
} Output;

static void
put(Output *output, Datum value, bool isnull)
{
	output->values[output->n] = value;
	output->nulls[output->n++] = isnull;
}

static void
put_text(Output *output, const text *value)
{
	put(output, PointerGetDatum(value), value == NULL);
}

static void
put_string(Output *output, const char *value)
{
	put_text(output, value == NULL ? NULL : cstring_to_text(value));
}

static void
put_numeric(Output *output, Numeric value)
{
	put(output, NumericGetDatum(value), value == NULL);
}

/* 0 is none. */
static void
put_number(Output *output, int value)
{
	put(output, Int32GetDatum(value), value == 0);
}

static void
put_time(Output *output, TimestampTz value, bool isnull)
{
	put(output, TimestampTzGetDatum(value), isnull);
}

/* The argument "at", now by default; the future may be asked about. */
static TimestampTz
time_argument(FunctionCallInfo fcinfo, int argno)
{
	TimestampTz at = PG_ARGISNULL(argno) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(argno);

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be a finite time")));
	return at;
}

/* The ref of the voucher's member; NULL when it has none. */
static text *
member_ref(VoucherWork *work, const VoucherRow *row)
{
	static VoucherStatement statement = {
		"SELECT ref FROM loyalty.member WHERE member_id = $1", 1, {INT8OID}, NULL
	};
	Datum		values[1] = {Int64GetDatum(row->member_id)};
	bool		isnull;

	if (!row->has_member || voucher_run(work, &statement, values, NULL, true) == 0)
		return NULL;
	return DatumGetTextPCopy(voucher_result(0, 1, &isnull));
}

/* voucher(code, at, program) → (hint, state, kind, ...) */
Datum
loyalty_voucher(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	TimestampTz at = time_argument(fcinfo, 1);
	Program    *program = access_program(config, text_argument(fcinfo, 2), ACCESS_READ);
	Output		output = {0};
	VoucherWork work;
	VoucherRow	row;
	CodeText	code;
	TupleDesc	desc;
	text	   *member;

	code_argument(fcinfo, 0, &code);
	voucher_begin(&work, config);
	voucher_look(&work, program, &code, &row, true);
	member = member_ref(&work, &row);
	voucher_finish(&work);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	put_string(&output, row.hint);
	put_string(&output, voucher_state(&row, at));
	put_string(&output, voucher_kind_name(row.terms.kind));
	put_numeric(&output, row.terms.value);
	put(&output, BoolGetDatum(row.terms.stored), false);
	put_numeric(&output, row.remaining);
	put_numeric(&output, row.terms.percent);
	put_numeric(&output, row.terms.maximum);
	put_text(&output, row.terms.product);
	put(&output, PointsGetDatum(row.terms.points), row.terms.points == 0);
	put_number(&output, row.terms.uses);
	put(&output, Int32GetDatum(row.used), false);
	put_number(&output, row.terms.per_member);
	put_numeric(&output, row.terms.min_amount);
	put_text(&output, member);
	put(&output, BoolGetDatum(row.terms.bearer), false);
	put_time(&output, row.terms.valid_from, TIMESTAMP_IS_NOBEGIN(row.terms.valid_from));
	put_time(&output, row.terms.valid_until, TIMESTAMP_IS_NOEND(row.terms.valid_until));
	put_time(&output, row.issued_at, !row.issued);
	put_time(&output, row.void_at, !row.is_void);
	put_text(&output, row.void_reason);
	put_text(&output, row.terms.pool);
	put_text(&output, row.note);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), output.values, output.nulls));
}

/* One that could be used: of the result's columns. */
static void
put_usable(Output *output, const VoucherRow *row, const VoucherCase *case_, Numeric takes, bool with_code)
{
	const char *why;

	put_string(output, row->hint);
	put_string(output, with_code ? voucher_code_again(case_->program, row, &why) : NULL);
	put_string(output, voucher_kind_name(row->terms.kind));
	put_numeric(output, takes);
	put_numeric(output, row->remaining);
	put_numeric(output, row->terms.percent);
	put_numeric(output, row->terms.maximum);
	put_text(output, row->terms.product);
	put(output, PointsGetDatum(row->terms.points), row->terms.points == 0);
	put(output, Int32GetDatum(row->terms.uses - row->used), row->terms.uses == 0);
	put_numeric(output, row->terms.min_amount);
	put_time(output, row->terms.valid_until, TIMESTAMP_IS_NOEND(row->terms.valid_until));
	put(output, BoolGetDatum(row->terms.bearer), false);
}

/* vouchers(member, amount, at, program) → setof (hint, code, kind, ...) */
Datum
loyalty_vouchers(PG_FUNCTION_ARGS)
{
	static VoucherStatement statement = {
		"SELECT " VOUCHER_COLUMNS ", CASE WHEN per_member IS NULL THEN 0 ELSE (SELECT pg_catalog.count(*)"
		" FROM loyalty.voucher_use u WHERE u.hash = v.hash AND u.member_id = ANY ($3) AND u.given_back < u.taken) END::pg_catalog.int4"
		" FROM loyalty.voucher v WHERE member_id = $1 AND program_id = $2 AND issued_at IS NOT NULL AND void_at IS NULL"
		" ORDER BY valid_until, issued_at, hash",
		3, {INT8OID, INT4OID, INT8ARRAYOID}, NULL
	};
	Numeric		amount = amount_argument(fcinfo, 1);
	TimestampTz at = time_argument(fcinfo, 2);
	VoucherCase case_ = {.has_member = true, .amount = amount, .at = at};
	Tuplestorestate *result;
	TupleDesc	desc;
	Reading		reading;
	VoucherWork work;
	bool		with_code;
	Datum		values[3];
	uint64		count;
	uint64		i;

	result = result_begin(fcinfo, &desc);
	balance_read_member(fcinfo, -1, 3, &reading);
	if (!reading.known)
		return (Datum) 0;
	case_.program = reading.program;
	case_.member_id = reading.row.member_id;
	case_.member = reading.ref;
	/* Whoever has the code has what it is worth. */
	with_code = access_sees_person(reading.config, reading.program);
	values[0] = Int64GetDatum(reading.row.member_id);
	values[1] = Int32GetDatum(reading.program->program_id);
	values[2] = voucher_person(reading.config, reading.program, reading.row.member_id);
	voucher_begin(&work, reading.config);
	count = voucher_run(&work, &statement, values, NULL, true);
	for (i = 0; i < count; i++)
	{
		Output		output = {0};
		VoucherRow	row;
		Numeric		takes;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		voucher_row_read(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &row);
		case_.used_by_member = DatumGetInt32(voucher_result(i, SPI_tuptable->tupdesc->natts, &isnull));
		if (voucher_refusal(&row, &case_, &takes) != NULL)
			continue;
		put_usable(&output, &row, &case_, takes, with_code);
		tuplestore_putvalues(result, desc, output.values, output.nulls);
	}
	voucher_finish(&work);
	return (Datum) 0;
}
