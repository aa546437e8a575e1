/*
 * void_voucher.c
 *		Making a voucher void.
 *
 * A voucher is void once and for all; who does it again is told when it became
 * void.  So it needs no key.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "ledger/access.h"
#include "ledger/act.h"
#include "redemption/voucher_private.h"

PG_FUNCTION_INFO_V1(loyalty_void_voucher);

/* Arguments, in order. */
enum
{
	ARG_CODE, ARG_REASON, ARG_AT, ARG_PROGRAM
};

/* void_voucher(code, reason, at, program) → (hint, void_at, left, repeated) */
Datum
loyalty_void_voucher(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Program    *program = access_program(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE);
	TimestampTz at = act_time(fcinfo, ARG_AT);
	VoucherWork work;
	VoucherRow	row;
	CodeText	code;
	bool		repeated;
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	code_argument(fcinfo, ARG_CODE, &code);
	voucher_begin(&work, config);
	voucher_lock(&work, program, &code, &row);
	repeated = row.is_void;
	if (!repeated)
	{
		row.is_void = true;
		row.void_at = at;
		row.void_reason = text_argument(fcinfo, ARG_REASON);
		voucher_write(&work, &row);
	}
	voucher_finish(&work);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(row.hint);
	values[1] = TimestampTzGetDatum(row.void_at);
	values[2] = NumericGetDatum(row.remaining);
	nulls[2] = row.remaining == NULL;
	values[3] = BoolGetDatum(repeated);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
